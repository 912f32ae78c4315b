
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/x509.h>


#define NGX_HTTP_IDPAY_NONCE_LEN  12
#define NGX_HTTP_IDPAY_TAG_LEN    16

/* OpenSSL counts in int */

#define NGX_HTTP_IDPAY_CRYPTO_MAX  (1 << 30)


static ngx_uint_t ngx_http_idpay_crypto_encrypt(EVP_CIPHER_CTX *ctx,
    const u_char *key, ngx_str_t *bound, ngx_str_t *text, u_char *p);
static ngx_int_t ngx_http_idpay_crypto_decrypt(EVP_CIPHER_CTX *ctx,
    const u_char *key, ngx_str_t *bound, ngx_str_t *sealed, u_char *p,
    size_t size);


const char *
ngx_http_idpay_crypto_test_ca(ngx_str_t *file)
{
    const char  *reason;
    X509_STORE  *store;

    reason = NULL;

    ERR_clear_error();

    store = X509_STORE_new();

    if (store == NULL
        || X509_STORE_load_locations(store, (char *) file->data, NULL) != 1)
    {
        /* the first error is the cause of those behind it */

        reason = ERR_reason_error_string(ERR_peek_error());

        if (reason == NULL) {
            reason = "no certificate found";
        }
    }

    X509_STORE_free(store);
    ERR_clear_error();

    return reason;
}


ngx_int_t
ngx_http_idpay_crypto_random(u_char *p, size_t len)
{
    ngx_int_t  rc;

    if (len > NGX_HTTP_IDPAY_CRYPTO_MAX) {
        return NGX_ERROR;
    }

    rc = (RAND_bytes(p, len) == 1) ? NGX_OK : NGX_ERROR;

    ERR_clear_error();

    return rc;
}


ngx_int_t
ngx_http_idpay_crypto_derive(ngx_str_t *secret, const char *label, u_char *p,
    size_t len)
{
    ngx_int_t      rc;
    EVP_PKEY_CTX  *ctx;

    if (secret->len > NGX_HTTP_IDPAY_CRYPTO_MAX) {
        return NGX_ERROR;
    }

    ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

    if (ctx
        && EVP_PKEY_derive_init(ctx) == 1
        && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1
        && EVP_PKEY_CTX_set1_hkdf_key(ctx, secret->data, secret->len) == 1
        && EVP_PKEY_CTX_add1_hkdf_info(ctx, (const u_char *) label,
                                       ngx_strlen(label))
           == 1
        && EVP_PKEY_derive(ctx, p, &len) == 1)
    {
        rc = NGX_OK;

    } else {
        rc = NGX_ERROR;
    }

    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();

    return rc;
}


ngx_int_t
ngx_http_idpay_crypto_seal(const u_char *key, ngx_str_t *bound,
    ngx_str_t *text, u_char *p)
{
    ngx_int_t        rc;
    EVP_CIPHER_CTX  *ctx;

    if (text->len > NGX_HTTP_IDPAY_CRYPTO_MAX
        || bound->len > NGX_HTTP_IDPAY_CRYPTO_MAX)
    {
        return NGX_ERROR;
    }

    ctx = EVP_CIPHER_CTX_new();

    rc = (ctx && ngx_http_idpay_crypto_encrypt(ctx, key, bound, text, p))
         ? NGX_OK : NGX_ERROR;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();

    return rc;
}


/*
 * An update without bytes is left out here and below: OpenSSL may take one
 * without an address for the end.
 */

static ngx_uint_t
ngx_http_idpay_crypto_encrypt(EVP_CIPHER_CTX *ctx, const u_char *key,
    ngx_str_t *bound, ngx_str_t *text, u_char *p)
{
    int      n;
    u_char  *last;

    if (RAND_bytes(p, NGX_HTTP_IDPAY_NONCE_LEN) != 1
        || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, p) != 1)
    {
        return 0;
    }

    if (bound->len
        && EVP_EncryptUpdate(ctx, NULL, &n, bound->data, bound->len) != 1)
    {
        return 0;
    }

    p += NGX_HTTP_IDPAY_NONCE_LEN;

    if (text->len
        && EVP_EncryptUpdate(ctx, p, &n, text->data, text->len) != 1)
    {
        return 0;
    }

    last = p + text->len;

    return EVP_EncryptFinal_ex(ctx, last, &n) == 1
           && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
                                  NGX_HTTP_IDPAY_TAG_LEN, last)
              == 1;
}


ngx_int_t
ngx_http_idpay_crypto_open(const u_char *key, ngx_str_t *bound,
    ngx_str_t *sealed, u_char *p)
{
    size_t           size;
    ngx_int_t        rc;
    EVP_CIPHER_CTX  *ctx;

    if (sealed->len < NGX_HTTP_IDPAY_SEAL_EXTRA) {
        return NGX_DECLINED;
    }

    if (sealed->len > NGX_HTTP_IDPAY_CRYPTO_MAX
        || bound->len > NGX_HTTP_IDPAY_CRYPTO_MAX)
    {
        return NGX_ERROR;
    }

    size = sealed->len - NGX_HTTP_IDPAY_SEAL_EXTRA;

    ctx = EVP_CIPHER_CTX_new();

    rc = ctx ? ngx_http_idpay_crypto_decrypt(ctx, key, bound, sealed, p, size)
             : NGX_ERROR;

    if (rc != NGX_OK) {

        /* the text is written before the tag is tested */

        ngx_explicit_memzero(p, size);
    }

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();

    return rc;
}


static ngx_int_t
ngx_http_idpay_crypto_decrypt(EVP_CIPHER_CTX *ctx, const u_char *key,
    ngx_str_t *bound, ngx_str_t *sealed, u_char *p, size_t size)
{
    int      n;
    u_char  *start;

    start = sealed->data + NGX_HTTP_IDPAY_NONCE_LEN;

    if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed->data)
        != 1)
    {
        return NGX_ERROR;
    }

    if (bound->len
        && EVP_DecryptUpdate(ctx, NULL, &n, bound->data, bound->len) != 1)
    {
        return NGX_ERROR;
    }

    if (size && EVP_DecryptUpdate(ctx, p, &n, start, size) != 1) {
        return NGX_ERROR;
    }

    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, NGX_HTTP_IDPAY_TAG_LEN,
                            start + size)
        != 1)
    {
        return NGX_ERROR;
    }

    return (EVP_DecryptFinal_ex(ctx, p + size, &n) == 1) ? NGX_OK
                                                         : NGX_DECLINED;
}


ngx_int_t
ngx_http_idpay_crypto_hash(ngx_str_t *text, u_char *p)
{
    ngx_int_t  rc;

    rc = (EVP_Digest(text->data, text->len, p, NULL, EVP_sha256(), NULL) == 1)
         ? NGX_OK : NGX_ERROR;

    ERR_clear_error();

    return rc;
}


ngx_uint_t
ngx_http_idpay_crypto_equal(const u_char *a, const u_char *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
