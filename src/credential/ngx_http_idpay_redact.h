
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Takes secrets out of what a provider says of an error.
 */


#ifndef _NGX_HTTP_IDPAY_REDACT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_REDACT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_secret.h"


typedef struct {
    ngx_array_t              needles;      /* of ngx_str_t, in the vault */
    size_t                   max;          /* length of the longest, bytes */
    ngx_http_idpay_vault_t  *vault;
} ngx_http_idpay_redact_t;


/*
 * Creates an empty set; its needles are kept in the vault.  Returns NULL if
 * there is no memory.
 */
ngx_http_idpay_redact_t *ngx_http_idpay_redact_create(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault);

/*
 * Adds a value, which must be in the vault, and its forms in a URI (RFC 3986)
 * and in JSON (RFC 8259) where they differ.  They take at most ten times the
 * value's length of the vault.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_redact_add(ngx_http_idpay_redact_t *redact,
    ngx_str_t *value);

/*
 * Adds base64 of "user:password" (RFC 7617), as it stands behind "Basic".
 * Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_redact_add_basic(ngx_http_idpay_redact_t *redact,
    ngx_str_t *user, ngx_str_t *password);

/*
 * Overwrites each occurrence of a needle in the "len" bytes at "p" with as
 * many asterisks.  Returns how many bytes may be let go: fewer than "len",
 * by less than redact->max, where a needle may have begun at the end and
 * "last" is not set.  The rest is to be given again, before what follows it.
 */
size_t ngx_http_idpay_redact_bytes(ngx_http_idpay_redact_t *redact, u_char *p,
    size_t len, ngx_uint_t last);


#endif /* _NGX_HTTP_IDPAY_REDACT_H_INCLUDED_ */
