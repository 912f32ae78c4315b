
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The directives that say how a provider is to be treated: rates, retries,
 * time, breaker.
 */


#ifndef _NGX_HTTP_IDPAY_LIMITS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_LIMITS_H_INCLUDED_


#include "ngx_http_idpay.h"


/* setters of directives, as ngx_command_t wants them; errors are logged */

char *ngx_http_idpay_limits_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_limits_adaptive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_limits_retry(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_limits_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_limits_replay_safe(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_idpay_limits_breaker(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Completes a provider when its block is read: what is not configured is as
 * its preset says, or else the default.  Returns NGX_OK or NGX_ERROR, which is
 * logged.
 */
ngx_int_t ngx_http_idpay_limits_init(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);

/*
 * Finds the rule that a call comes under: the one of the longest prefix of
 * "path", and of two such the one for the method.  Returns NULL if there is
 * none.
 */
ngx_http_idpay_limit_t *ngx_http_idpay_limits_find(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_uint_t method, ngx_str_t *path);


#endif /* _NGX_HTTP_IDPAY_LIMITS_H_INCLUDED_ */
