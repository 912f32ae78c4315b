
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_state.h"

#include "lib/ngx_http_idpay_crypto.h"


/* what is sealed: the id, the end, the cookie's hash, the caller's state */

#define NGX_HTTP_IDPAY_STATE_END   NGX_HTTP_IDPAY_STATE_ID
#define NGX_HTTP_IDPAY_STATE_HASH  (NGX_HTTP_IDPAY_STATE_END + 8)
#define NGX_HTTP_IDPAY_STATE_HEAD                                             \
    (NGX_HTTP_IDPAY_STATE_HASH + NGX_HTTP_IDPAY_HASH_LEN)

#define NGX_HTTP_IDPAY_STATE_SIZE                                             \
    (NGX_HTTP_IDPAY_STATE_HEAD + NGX_HTTP_IDPAY_STATE_CALLER)

#define NGX_HTTP_IDPAY_STATE_TEXT                                             \
    NGX_HTTP_IDPAY_STATE_MAX(NGX_HTTP_IDPAY_STATE_CALLER)


static ngx_int_t ngx_http_idpay_state_decode(ngx_str_t *text,
    ngx_str_t *sealed);


ngx_int_t
ngx_http_idpay_state_seal(const u_char *key, ngx_str_t *provider,
    ngx_str_t *cookie, ngx_str_t *caller, int64_t now, ngx_str_t *text)
{
    u_char      *p;
    uint64_t     end;
    ngx_str_t    plain, sealed;
    ngx_uint_t   i;
    u_char       data[NGX_HTTP_IDPAY_STATE_SIZE];
    u_char       buf[NGX_HTTP_IDPAY_STATE_SIZE + NGX_HTTP_IDPAY_SEAL_EXTRA];

    if (cookie->len == 0 || caller->len > NGX_HTTP_IDPAY_STATE_CALLER) {
        return NGX_ERROR;
    }

    if (ngx_http_idpay_crypto_random(data, NGX_HTTP_IDPAY_STATE_ID) != NGX_OK) {
        return NGX_ERROR;
    }

    end = now + NGX_HTTP_IDPAY_STATE_LIFE;
    p = data + NGX_HTTP_IDPAY_STATE_END;

    for (i = 0; i < 8; i++) {
        *p++ = (u_char) (end >> (56 - 8 * i));
    }

    if (ngx_http_idpay_crypto_hash(cookie, p) != NGX_OK) {
        return NGX_ERROR;
    }

    if (caller->len) {
        ngx_memcpy(data + NGX_HTTP_IDPAY_STATE_HEAD, caller->data, caller->len);
    }

    plain.data = data;
    plain.len = NGX_HTTP_IDPAY_STATE_HEAD + caller->len;

    sealed.data = buf;
    sealed.len = plain.len + NGX_HTTP_IDPAY_SEAL_EXTRA;

    if (ngx_http_idpay_crypto_seal(key, provider, &plain, buf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_encode_base64url(text, &sealed);

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_state_open(const u_char *key, ngx_str_t *provider,
    ngx_str_t *cookie, ngx_str_t *text, int64_t now, u_char *buf,
    ngx_http_idpay_state_t *state)
{
    u_char      *p;
    size_t       len;
    uint64_t     end;
    ngx_int_t    rc;
    ngx_str_t    sealed;
    ngx_uint_t   i;
    u_char       hash[NGX_HTTP_IDPAY_HASH_LEN];
    u_char       data[ngx_base64_decoded_length(NGX_HTTP_IDPAY_STATE_TEXT)];

    sealed.data = data;

    if (ngx_http_idpay_state_decode(text, &sealed) != NGX_OK
        || sealed.len < NGX_HTTP_IDPAY_STATE_HEAD + NGX_HTTP_IDPAY_SEAL_EXTRA)
    {
        return NGX_DECLINED;
    }

    len = sealed.len - NGX_HTTP_IDPAY_SEAL_EXTRA;

    rc = ngx_http_idpay_crypto_open(key, provider, &sealed, buf);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_idpay_crypto_hash(cookie, hash) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_idpay_crypto_equal(buf + NGX_HTTP_IDPAY_STATE_HASH, hash,
                                     NGX_HTTP_IDPAY_HASH_LEN))
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(state->id, buf, NGX_HTTP_IDPAY_STATE_ID);

    end = 0;
    p = buf + NGX_HTTP_IDPAY_STATE_END;

    for (i = 0; i < 8; i++) {
        end = end << 8 | *p++;
    }

    state->end = end;
    state->caller.data = buf + NGX_HTTP_IDPAY_STATE_HEAD;
    state->caller.len = len - NGX_HTTP_IDPAY_STATE_HEAD;

    return (now < state->end) ? NGX_OK : NGX_DONE;
}


/*
 * A state is used once, so it has one text: nginx would decode others to the
 * same bytes, with padding, or with bits that stand for nothing.
 */

static ngx_int_t
ngx_http_idpay_state_decode(ngx_str_t *text, ngx_str_t *sealed)
{
    ngx_str_t  again;
    u_char     buf[NGX_HTTP_IDPAY_STATE_TEXT];

    if (text->len == 0
        || text->len > NGX_HTTP_IDPAY_STATE_TEXT
        || ngx_decode_base64url(sealed, text) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    again.data = buf;

    ngx_encode_base64url(&again, sealed);

    if (again.len != text->len
        || ngx_memcmp(again.data, text->data, text->len) != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
