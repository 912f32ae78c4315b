
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A credential: what a scheme makes of its secrets, as bytes of a request.
 */


#ifndef _NGX_HTTP_IDPAY_CREDENTIAL_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CREDENTIAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_redact.h"
#include "credential/ngx_http_idpay_secret.h"
#include "provider/ngx_http_idpay_provider.h"


/* both are in the vault, not NUL-terminated, and empty where not needed */

typedef struct {
    ngx_str_t    headers;       /* whole lines, each ended by CRLF */
    ngx_str_t    args;          /* without a leading "?" or "&" */
} ngx_http_idpay_credential_t;


/*
 * Makes a scheme of the arguments of "idpay_auth", the directive's name being
 * the first of them.  The scheme is allocated from the pool, the names point
 * into the arguments.  Returns NULL and sets "err" where they make no scheme
 * (RFC 6750 2.1 bearer, RFC 7617 basic, a header, an argument).
 */
ngx_http_idpay_scheme_t *ngx_http_idpay_credential_scheme(ngx_pool_t *pool,
    ngx_array_t *args, char **err);

/*
 * Tests a value of the scheme's secret "n" (an index).  Returns NGX_OK, or
 * NGX_DECLINED with what is wrong in "err", which has room for
 * NGX_MAX_CONF_ERRSTR bytes and gets no part of the value.
 */
ngx_int_t ngx_http_idpay_credential_test(
    const ngx_http_idpay_scheme_t *scheme, ngx_uint_t n, ngx_str_t *value,
    ngx_str_t *err);

/*
 * Makes the credential of the scheme's secrets "values".  It is allocated from
 * the pool, its bytes in the vault.  Returns NULL if there is no memory.
 */
ngx_http_idpay_credential_t *ngx_http_idpay_credential_create(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault, const ngx_http_idpay_scheme_t *scheme,
    ngx_str_t *values);

/*
 * Creates a set of the secrets of both slots, "next" having those of "values"
 * where it has none of its own, and of what goes over the wire in their place.
 * Returns NULL if there is no memory.
 */
ngx_http_idpay_redact_t *ngx_http_idpay_credential_redact(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault, const ngx_http_idpay_scheme_t *scheme,
    ngx_str_t *values, ngx_str_t *next);


#endif /* _NGX_HTTP_IDPAY_CREDENTIAL_H_INCLUDED_ */
