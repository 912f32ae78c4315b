
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_screen.h"


/* how often a name may be percent-encoded, and one more */

#define NGX_HTTP_IDPAY_MAX_DECODINGS  8


static ngx_uint_t ngx_http_idpay_screen_same(u_char *one, u_char *other,
    size_t len);
static u_char ngx_http_idpay_screen_fold(u_char c);
static ngx_uint_t ngx_http_idpay_screen_arg(ngx_array_t *drops, u_char *name,
    size_t len);
static size_t ngx_http_idpay_screen_decode(u_char *p, size_t len);


ngx_uint_t
ngx_http_idpay_screen_header(ngx_array_t *drops, ngx_str_t *name)
{
    size_t       len;
    ngx_str_t   *drop;
    ngx_uint_t   i;

    drop = drops->elts;

    for (i = 0; i < drops->nelts; i++) {
        len = drop[i].len;

        if (drop[i].data[len - 1] == '*') {
            len--;

            if (name->len < len) {
                continue;
            }

        } else if (name->len != len) {
            continue;
        }

        if (ngx_http_idpay_screen_same(name->data, drop[i].data, len)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_idpay_screen_same(u_char *one, u_char *other, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (ngx_http_idpay_screen_fold(one[i])
            != ngx_http_idpay_screen_fold(other[i]))
        {
            return 0;
        }
    }

    return 1;
}


static u_char
ngx_http_idpay_screen_fold(u_char c)
{
    c = ngx_tolower(c);

    return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) ? c : '-';
}


ngx_int_t
ngx_http_idpay_screen_args(ngx_pool_t *pool, ngx_array_t *drops,
    ngx_str_t *args, ngx_str_t *out)
{
    u_char      *p, *start, *name, *last, *scratch, *dst;
    size_t       len;
    ngx_uint_t   removed;

    if (drops->nelts == 0 || args->len == 0) {
        return NGX_DECLINED;
    }

    scratch = ngx_pnalloc(pool, args->len * 2);
    if (scratch == NULL) {
        return NGX_ERROR;
    }

    out->data = scratch + args->len;
    dst = out->data;

    removed = 0;
    last = args->data + args->len;

    for (start = args->data; start < last; start = p) {

        /*
         * An argument is taken with the separator before it.  ";" is one to
         * some servers.
         */

        name = start;

        if (*name == '&' || *name == ';') {
            name++;
        }

        for (p = name; p < last && *p != '&' && *p != ';'; p++) {
            /* void */
        }

        len = p - name;
        ngx_memcpy(scratch, name, len);

        if (ngx_http_idpay_screen_arg(drops, scratch, len)) {
            removed = 1;
            continue;
        }

        if (dst == out->data) {
            start = name;
        }

        dst = ngx_cpymem(dst, start, p - start);
    }

    out->len = dst - out->data;

    return removed ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_idpay_screen_arg(ngx_array_t *drops, u_char *name, size_t len)
{
    size_t       rest;
    ngx_str_t   *drop;
    ngx_uint_t   i, times;

    times = 0;

    do {
        if (times++ == NGX_HTTP_IDPAY_MAX_DECODINGS) {
            /* no honest name is encoded so often */
            return 1;
        }

        rest = len;
        len = ngx_http_idpay_screen_decode(name, rest);
    } while (len != rest);

    /* servers trim names, and read "name[]" and "name[key]" as the name */

    while (len && (*name <= ' ' || *name == '+')) {
        name++;
        len--;
    }

    for (i = 0; i < len; i++) {
        if (name[i] == '=' || name[i] == '[') {
            break;
        }
    }

    while (i && (name[i - 1] <= ' ' || name[i - 1] == '+')) {
        i--;
    }

    drop = drops->elts;
    len = i;

    for (i = 0; i < drops->nelts; i++) {
        if (drop[i].len == len
            && ngx_http_idpay_screen_same(name, drop[i].data, len))
        {
            return 1;
        }
    }

    return 0;
}


/* decodes in place, leaves what is no percent-encoding as it is */

static size_t
ngx_http_idpay_screen_decode(u_char *p, size_t len)
{
    u_char     *src, *dst, *last;
    ngx_int_t   c;

    dst = p;
    last = p + len;

    for (src = p; src < last; /* void */) {

        if (*src == '%' && last - src > 2) {
            c = ngx_hextoi(src + 1, 2);

            if (c != NGX_ERROR) {
                *dst++ = (u_char) c;
                src += 3;
                continue;
            }
        }

        *dst++ = *src++;
    }

    return dst - p;
}


ngx_uint_t
ngx_http_idpay_screen_path(const ngx_str_t *prefixes, ngx_str_t *path)
{
    u_char      c;
    size_t      segment;
    ngx_uint_t  i;

    for (i = 0; prefixes[i].len; i++) {
        if (path->len > prefixes[i].len
            && ngx_strncmp(path->data, prefixes[i].data, prefixes[i].len) == 0)
        {
            break;
        }
    }

    if (prefixes[i].len == 0) {
        return 0;
    }

    segment = 0;

    for (i = 1; i <= path->len; i++) {
        c = (i < path->len) ? path->data[i] : '/';

        if (c != '/') {
            if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
                && (c < '0' || c > '9')
                && c != '-' && c != '.' && c != '_' && c != '~')
            {
                return 0;
            }

            segment++;
            continue;
        }

        if (segment == 0 && i < path->len) {
            return 0;
        }

        if ((segment == 1 && path->data[i - 1] == '.')
            || (segment == 2 && path->data[i - 1] == '.'
                && path->data[i - 2] == '.'))
        {
            return 0;
        }

        segment = 0;
    }

    return 1;
}
