
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_route.h"


static ngx_uint_t ngx_http_idpay_route_plain(ngx_str_t *path);
static ngx_int_t ngx_http_idpay_route_match(const ngx_str_t *pattern,
    ngx_str_t *path, ngx_str_t *profile);


ngx_int_t
ngx_http_idpay_route(const ngx_http_idpay_token_route_t *routes,
    ngx_str_t *path, ngx_http_idpay_token_kind_e *kind, ngx_str_t *profile)
{
    ngx_int_t                            rc;
    const ngx_http_idpay_token_route_t  *route;

    ngx_str_null(profile);

    if (!ngx_http_idpay_route_plain(path)) {
        return NGX_DECLINED;
    }

    for (route = routes; route->path.len; route++) {

        rc = ngx_http_idpay_route_match(&route->path, path, profile);

        if (rc == NGX_OK) {
            *kind = route->kind;
            return NGX_OK;
        }

        ngx_str_null(profile);

        if (rc == NGX_ABORT) {
            break;
        }
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_idpay_route_plain(ngx_str_t *path)
{
    u_char  *p, *start, *last;

    last = path->data + path->len;

    if (path->len == 0 || path->data[0] != '/') {
        return 0;
    }

    start = path->data + 1;

    for (p = start; p <= last; p++) {

        if (p == last || *p == '/') {

            if ((p == start && p < last)
                || (p - start == 1 && start[0] == '.')
                || (p - start == 2 && start[0] == '.' && start[1] == '.'))
            {
                return 0;
            }

            start = p + 1;
            continue;
        }

        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9')
            || *p == '-' || *p == '.' || *p == '_' || *p == '~')
        {
            continue;
        }

        return 0;
    }

    return 1;
}


/*
 * NGX_ABORT: the path is the pattern's up to the profile, and there it has
 * something else.  A provider could read "0123" or "123abc" as a number, and
 * a route behind this one would have another token for it.
 */

static ngx_int_t
ngx_http_idpay_route_match(const ngx_str_t *pattern, ngx_str_t *path,
    ngx_str_t *profile)
{
    u_char  *p, *last;
    size_t   i;

    p = path->data;
    last = p + path->len;

    for (i = 0; i < pattern->len; i++) {

        if (pattern->data[i] == '*') {
            return NGX_OK;
        }

        if (pattern->data[i] == '{') {
            profile->data = p;
            profile->len = ngx_http_idpay_route_profile(p, last);

            p += profile->len;
            i++;

            if (profile->len == 0 || (p < last && *p != '/')) {
                return NGX_ABORT;
            }

            continue;
        }

        if (p == last || *p != pattern->data[i]) {
            return NGX_DECLINED;
        }

        p++;
    }

    return (p == last) ? NGX_OK : NGX_DECLINED;
}


size_t
ngx_http_idpay_route_profile(u_char *p, u_char *last)
{
    size_t  len;

    len = 0;

    while (p + len < last && p[len] >= '0' && p[len] <= '9') {
        len++;
    }

    if (len == 0 || len > NGX_HTTP_IDPAY_ROUTE_DIGITS || *p == '0') {
        return 0;
    }

    return len;
}
