
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is known of a call, as variables.
 */


#ifndef _NGX_HTTP_IDPAY_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_IDPAY_VARIABLES_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/* adds the variables to the configuration; NGX_OK or NGX_ERROR */

ngx_int_t ngx_http_idpay_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_IDPAY_VARIABLES_H_INCLUDED_ */
