
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The directives that tell what a provider's errors look like and mean.
 */


#ifndef _NGX_HTTP_IDPAY_ERRORS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ERRORS_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the setters of "idpay_error_fields" and "idpay_error_map" */

char *ngx_http_idpay_errors_fields(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_errors_map(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Completes a provider whose block is read: what the configuration has said,
 * with the preset's behind it.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_errors_init(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);


#endif /* _NGX_HTTP_IDPAY_ERRORS_H_INCLUDED_ */
