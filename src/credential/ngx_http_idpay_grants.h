
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The directives of tokens, and where a provider gives them.
 */


#ifndef _NGX_HTTP_IDPAY_GRANTS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_GRANTS_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the setters of "idpay_store" and "idpay_consent_url" */

char *ngx_http_idpay_grants_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_grants_consent_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Makes a scheme of the arguments of "idpay_auth oauth2" (RFC 6749 4.4).  Names
 * and values point into the arguments.  Returns NULL on an error, which is
 * logged.
 */
ngx_http_idpay_scheme_t *ngx_http_idpay_grants_scheme(ngx_conf_t *cf);

/* Tells whether a text is an absolute URL that a browser can be sent to. */

ngx_uint_t ngx_http_idpay_grants_web(ngx_str_t *url);

/*
 * Completes a provider whose block is read: finds the servers of its token
 * endpoint.  Returns NGX_OK or NGX_ERROR, which is logged.
 */
ngx_int_t ngx_http_idpay_grants_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_main_conf_t *imcf,
    ngx_http_idpay_upstream_conf_t *iucf);


#endif /* _NGX_HTTP_IDPAY_GRANTS_H_INCLUDED_ */
