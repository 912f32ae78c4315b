
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_redact.h"


static ngx_int_t ngx_http_idpay_redact_push(ngx_http_idpay_redact_t *redact,
    u_char *data, size_t len);


ngx_http_idpay_redact_t *
ngx_http_idpay_redact_create(ngx_pool_t *pool, ngx_http_idpay_vault_t *vault)
{
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_palloc(pool, sizeof(ngx_http_idpay_redact_t));
    if (redact == NULL) {
        return NULL;
    }

    redact->max = 0;
    redact->vault = vault;

    if (ngx_array_init(&redact->needles, pool, 8, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NULL;
    }

    return redact;
}


ngx_int_t
ngx_http_idpay_redact_add(ngx_http_idpay_redact_t *redact, ngx_str_t *value)
{
    u_char  *p, *dst, *upper, *lower, *slashed;
    size_t   i, len;

    if (ngx_http_idpay_redact_push(redact, value->data, value->len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = value->len
          + 2 * ngx_escape_uri(NULL, value->data, value->len,
                               NGX_ESCAPE_URI_COMPONENT);

    if (len > value->len) {
        upper = ngx_http_idpay_vault_alloc(redact->vault, len * 2);
        if (upper == NULL) {
            return NGX_ERROR;
        }

        ngx_escape_uri(upper, value->data, value->len,
                       NGX_ESCAPE_URI_COMPONENT);

        lower = upper + len;
        ngx_memcpy(lower, upper, len);

        for (i = 0; i < len; i++) {
            if (lower[i] == '%') {
                lower[i + 1] = ngx_tolower(lower[i + 1]);
                lower[i + 2] = ngx_tolower(lower[i + 2]);
            }
        }

        if (ngx_http_idpay_redact_push(redact, upper, len) != NGX_OK
            || ngx_http_idpay_redact_push(redact, lower, len) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* in JSON quotes and backslashes are escaped, slashes only by some */

    p = ngx_http_idpay_vault_alloc(redact->vault, value->len * 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    dst = (u_char *) ngx_escape_json(p, value->data, value->len);
    len = dst - p;

    if (len > value->len
        && ngx_http_idpay_redact_push(redact, p, len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    slashed = dst;

    for (i = 0; i < len; i++) {
        if (p[i] == '/') {
            *dst++ = '\\';
        }

        *dst++ = p[i];
    }

    if ((size_t) (dst - slashed) == len) {
        return NGX_OK;
    }

    return ngx_http_idpay_redact_push(redact, slashed, dst - slashed);
}


ngx_int_t
ngx_http_idpay_redact_add_basic(ngx_http_idpay_redact_t *redact,
    ngx_str_t *user, ngx_str_t *password)
{
    u_char     *p;
    ngx_str_t   src, dst;

    src.len = user->len + 1 + password->len;

    p = ngx_http_idpay_vault_alloc(redact->vault,
                             src.len + ngx_base64_encoded_length(src.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    src.data = p;

    p = ngx_cpymem(p, user->data, user->len);
    *p++ = ':';
    p = ngx_cpymem(p, password->data, password->len);

    dst.data = p;
    ngx_encode_base64(&dst, &src);

    return ngx_http_idpay_redact_add(redact, &dst);
}


static ngx_int_t
ngx_http_idpay_redact_push(ngx_http_idpay_redact_t *redact, u_char *data,
    size_t len)
{
    ngx_str_t  *needle;

    needle = ngx_array_push(&redact->needles);
    if (needle == NULL) {
        return NGX_ERROR;
    }

    needle->data = data;
    needle->len = len;

    redact->max = ngx_max(redact->max, len);

    return NGX_OK;
}


size_t
ngx_http_idpay_redact_bytes(ngx_http_idpay_redact_t *redact, u_char *p,
    size_t len, ngx_uint_t last)
{
    u_char      *end, *held;
    size_t       rest, longest;
    ngx_str_t   *needle;
    ngx_uint_t   i;

    end = p + len;
    held = NULL;
    needle = redact->needles.elts;

    while (p < end) {
        rest = end - p;
        longest = 0;

        for (i = 0; i < redact->needles.nelts; i++) {

            if (needle[i].len <= rest) {
                if (needle[i].len > longest
                    && ngx_memcmp(p, needle[i].data, needle[i].len) == 0)
                {
                    longest = needle[i].len;
                }

                continue;
            }

            if (!last
                && held == NULL
                && ngx_memcmp(p, needle[i].data, rest) == 0)
            {
                held = p;
            }
        }

        /*
         * The bytes may begin one needle and hold another: as long as the
         * first is undecided, all from there on is given again.
         */

        if (held) {
            return held - (end - len);
        }

        if (longest) {
            ngx_memset(p, '*', longest);
            p += longest;
            continue;
        }

        p++;
    }

    return len;
}
