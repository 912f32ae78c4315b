
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The directives that make an upstream{} block a provider.
 */


#ifndef _NGX_HTTP_IDPAY_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_IDPAY_UPSTREAM_H_INCLUDED_


#include "ngx_http_idpay.h"


/* setters of directives, as ngx_command_t wants them; errors are logged */

char *ngx_http_idpay_upstream_provider(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_upstream_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_upstream_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_upstream_host(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_upstream_tls(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_upstream_trusted_certificate(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/*
 * Tests that a directive stands behind "idpay_provider".  Returns NGX_CONF_OK
 * or NGX_CONF_ERROR, which is logged.
 */
char *ngx_http_idpay_upstream_first(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);

/*
 * Completes a provider when the whole configuration is read: checks what may
 * stand in any order, sets defaults, makes the credentials.  "defaults" is the
 * configuration of http{}.  Returns NGX_OK or NGX_ERROR, which is logged.
 */
ngx_int_t ngx_http_idpay_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_idpay_upstream_conf_t *defaults);


#endif /* _NGX_HTTP_IDPAY_UPSTREAM_H_INCLUDED_ */
