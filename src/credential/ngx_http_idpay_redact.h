
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


/*
 * A secret is found however it is written: each of its characters can stand as
 * it is or as a percent-encoding (RFC 3986), an escape of JSON (RFC 8259) or a
 * reference of HTML, in any mix, and what is encoded so can be encoded again,
 * this many times in all.  A "+" may stand for a space.  Whoever encodes again
 * is taken to encode what begins an escape of his.
 */

#define NGX_HTTP_IDPAY_REDACT_LAYERS  3

/*
 * Encoded bytes for each byte of a secret that are held while more may come.
 * What looks like the beginning of a secret and is longer is overwritten.
 */

#define NGX_HTTP_IDPAY_REDACT_SPREAD  12


typedef struct {
    ngx_array_t              needles;      /* their bytes are in the vault */
    uint64_t                *first;        /* in the vault: by first byte */
    uint64_t                *second;       /* and by the one behind it */
    size_t                   min;          /* bytes of the shortest one */
    size_t                   max;          /* bytes that may be held */
    ngx_http_idpay_vault_t  *vault;
} ngx_http_idpay_redact_t;


/*
 * Creates an empty set; its needles are kept in the vault.  Returns NULL if
 * there is no memory.
 */
ngx_http_idpay_redact_t *ngx_http_idpay_redact_create(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault);

/*
 * Adds a value, which must be in the vault: the value itself, and what base64
 * (RFC 4648 4 and 5) makes of it when it is encoded alone or as a part of
 * something longer, at any place, if it is not shorter than 5 bytes.  That is
 * all characters with bits of the value, and the padding behind them.  They
 * take at most ten times the value's length of the vault.  Returns NGX_OK or
 * NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_redact_add(ngx_http_idpay_redact_t *redact,
    ngx_str_t *value);

/*
 * Adds base64 of "user:password" (RFC 7617), as it stands behind "Basic", of
 * any length.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_redact_add_basic(ngx_http_idpay_redact_t *redact,
    ngx_str_t *user, ngx_str_t *password);

/*
 * Overwrites each occurrence of a secret in the "len" bytes at "p" with as
 * many asterisks as it takes bytes there.  Returns how many bytes may be let
 * go: fewer than "len", by at most redact->max, where a secret may have begun
 * at the end and "last" is not set.  The rest is to be given again, before
 * what follows it.
 *
 * A text costs its length, whatever is in it.  Only with a secret that repeats
 * itself could one cost more: then all that is left of it is overwritten.
 */
size_t ngx_http_idpay_redact_bytes(ngx_http_idpay_redact_t *redact, u_char *p,
    size_t len, ngx_uint_t last);

/*
 * Cuts each occurrence of a secret out of a whole text, in place: three
 * asterisks, or fewer if it took less room, stand for it.  "text" is never
 * longer afterwards.
 */
void ngx_http_idpay_redact_text(ngx_http_idpay_redact_t *redact,
    ngx_str_t *text);


#endif /* _NGX_HTTP_IDPAY_REDACT_H_INCLUDED_ */
