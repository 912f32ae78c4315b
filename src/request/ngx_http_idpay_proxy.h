
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The configuration of nginx's proxy module that attempts run with.
 */


#ifndef _NGX_HTTP_IDPAY_PROXY_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PROXY_H_INCLUDED_


#include "ngx_http_idpay.h"


/*
 * Sets conf->attempt_conf and conf->proxy_handler of a location whose
 * conf->iucf is known.  "handler" is the location's own content handler, which
 * stays in place.  Returns NGX_OK, NGX_DECLINED if a directive of the proxy
 * module is refused, which is logged, or NGX_ERROR, the cause being logged.
 */
ngx_int_t ngx_http_idpay_proxy_create(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, ngx_http_handler_pt handler);


#endif /* _NGX_HTTP_IDPAY_PROXY_H_INCLUDED_ */
