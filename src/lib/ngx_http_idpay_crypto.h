
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is asked of OpenSSL beside what nginx does itself.
 */


#ifndef _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_KEY_LEN      32    /* bytes, of AES-256 */
#define NGX_HTTP_IDPAY_HASH_LEN     32    /* bytes, of SHA-256 */

/* bytes of a sealed text beside the text: a nonce before, a tag behind */

#define NGX_HTTP_IDPAY_SEAL_EXTRA   (12 + 16)


/*
 * Tells whether a file holds CA certificates in PEM format.  "file" is
 * NUL-terminated.  Blocks on the file.  Returns NULL, or OpenSSL's static text
 * of what is wrong.
 */
const char *ngx_http_idpay_crypto_test_ca(ngx_str_t *file);

/*
 * None of the functions below logs, and all of them may be called in a thread.
 * OpenSSL's queue of errors is empty afterwards.
 */

/* Fills "len" bytes with random ones.  Returns NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_idpay_crypto_random(u_char *p, size_t len);

/*
 * Derives "len" bytes, 255 * 32 at most, from a secret for the use that "label"
 * names (RFC 5869, HKDF with SHA-256 and no salt).  Returns NGX_OK or
 * NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_crypto_derive(ngx_str_t *secret, const char *label,
    u_char *p, size_t len);

/*
 * Seals "text" with AES-256-GCM under a key of NGX_HTTP_IDPAY_KEY_LEN bytes and
 * a random nonce, bound to "bound", which is not part of it.  "p" has room for
 * text->len + NGX_HTTP_IDPAY_SEAL_EXTRA bytes, which are all written.  Returns
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_crypto_seal(const u_char *key, ngx_str_t *bound,
    ngx_str_t *text, u_char *p);

/*
 * Opens what was sealed.  "p" has room for sealed->len -
 * NGX_HTTP_IDPAY_SEAL_EXTRA bytes.  Returns NGX_OK, NGX_DECLINED if it was not
 * sealed so (another key, another bound, changed, too short), and nothing of
 * it is in "p" then, or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_crypto_open(const u_char *key, ngx_str_t *bound,
    ngx_str_t *sealed, u_char *p);

/*
 * Writes the SHA-256 of "text", NGX_HTTP_IDPAY_HASH_LEN bytes.  Returns NGX_OK
 * or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_crypto_hash(ngx_str_t *text, u_char *p);

/* Tells whether "len" bytes are the same, in a time that depends on "len". */

ngx_uint_t ngx_http_idpay_crypto_equal(const u_char *a, const u_char *b,
    size_t len);


#endif /* _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_ */
