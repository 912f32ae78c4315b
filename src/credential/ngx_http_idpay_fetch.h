
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is said to a provider's token endpoint.
 */


#ifndef _NGX_HTTP_IDPAY_FETCH_H_INCLUDED_
#define _NGX_HTTP_IDPAY_FETCH_H_INCLUDED_


#include "ngx_http_idpay.h"
#include "lib/ngx_http_idpay_curl.h"


/*
 * Asks for a token: "type" and "value" are those of
 * ngx_http_idpay_oauth_form().  A call that spends "value" is essential.
 * Returns NGX_OK: the handler is called, never before this returns; or
 * NGX_ERROR, which is logged.
 */
ngx_int_t ngx_http_idpay_fetch_token(ngx_http_idpay_upstream_conf_t *iucf,
    const ngx_http_idpay_grant_t *grant, const char *type, ngx_str_t *value,
    ngx_http_idpay_curl_handler_pt handler, void *data);

/* Asks to revoke a refresh token; the same otherwise. */

ngx_int_t ngx_http_idpay_fetch_revoke(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *refresh, ngx_http_idpay_curl_handler_pt handler, void *data);

/*
 * Takes the gateway's secrets, and the token or code "value" that was sent, out
 * of the code of the error that came back, in place; where there is no memory
 * for that it is empty afterwards.
 */
void ngx_http_idpay_fetch_redact(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *value, ngx_str_t *error);


#endif /* _NGX_HTTP_IDPAY_FETCH_H_INCLUDED_ */
