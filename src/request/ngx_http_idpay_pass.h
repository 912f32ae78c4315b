
/*
 * Copyright (C) 2026 idpay contributors
 *
 * "idpay_pass": a location that calls a provider.
 */


#ifndef _NGX_HTTP_IDPAY_PASS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PASS_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the directive's setter, as ngx_command_t wants it; errors are logged */

char *ngx_http_idpay_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Completes a location when all upstreams are known and the proxy module has
 * merged its configurations.  Returns NGX_CONF_OK or NGX_CONF_ERROR, which is
 * logged.
 */
char *ngx_http_idpay_pass_merge(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *prev, ngx_http_idpay_loc_conf_t *conf);

/* Finds a provider by the name of its upstream, when all are known, or NULL. */

ngx_http_idpay_upstream_conf_t *ngx_http_idpay_pass_provider(ngx_conf_t *cf,
    ngx_str_t *name);


#endif /* _NGX_HTTP_IDPAY_PASS_H_INCLUDED_ */
