
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_replay.h"


static ngx_uint_t ngx_http_idpay_replay_rest(ngx_str_t *path, size_t len);


ngx_uint_t
ngx_http_idpay_replay_safe(ngx_array_t *rules, ngx_uint_t method,
    ngx_str_t *path)
{
    ngx_uint_t                     i;
    ngx_http_idpay_replay_rule_t  *rule;

    if (method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS
                  |NGX_HTTP_PUT|NGX_HTTP_DELETE))
    {
        return 1;
    }

    if (rules == NULL) {
        return 0;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {
        if ((rule[i].method && rule[i].method != method)
            || path->len < rule[i].path.len
            || ngx_memcmp(path->data, rule[i].path.data, rule[i].path.len)
               != 0)
        {
            continue;
        }

        if (path->len == rule[i].path.len
            || (rule[i].rest
                && ngx_http_idpay_replay_rest(path, rule[i].path.len)))
        {
            return 1;
        }
    }

    return 0;
}


/* the rest is what comes after the first "len" bytes */

static ngx_uint_t
ngx_http_idpay_replay_rest(ngx_str_t *path, size_t len)
{
    u_char  c, *p;
    size_t  i, start;

    p = path->data;

    /* the first segment may have begun before the rest */

    for (start = len; start && p[start - 1] != '/'; start--) {
        /* void */
    }

    for (i = len; i <= path->len; i++) {
        c = (i < path->len) ? p[i] : '/';

        if (c == '%' || c == '\\') {
            return 0;
        }

        /* to some servers "..;" is ".." with a parameter */

        if (c != '/' && c != ';') {
            continue;
        }

        if (i == start
            || (i == start + 1 && p[start] == '.')
            || (i == start + 2 && p[start] == '.' && p[start + 1] == '.'))
        {
            return 0;
        }

        start = i + 1;
    }

    return 1;
}


ngx_uint_t
ngx_http_idpay_replay_allowed(ngx_http_idpay_end_e end, ngx_uint_t status,
    ngx_uint_t safe)
{
    switch (end) {

    case NGX_HTTP_IDPAY_NOT_SENT:
        return 1;

    case NGX_HTTP_IDPAY_ANSWERED:
        if (status == NGX_HTTP_TOO_MANY_REQUESTS) {
            return 1;
        }

        if (status < 500 || status > 599
            || status == NGX_HTTP_NOT_IMPLEMENTED
            || status == NGX_HTTP_VERSION_NOT_SUPPORTED)
        {
            return 0;
        }

        return safe;

    default: /* NGX_HTTP_IDPAY_NO_ANSWER, NGX_HTTP_IDPAY_TIMED_OUT */
        return safe;
    }
}


ngx_uint_t
ngx_http_idpay_replay_unknown(ngx_http_idpay_end_e end, ngx_uint_t status,
    ngx_uint_t safe)
{
    if (safe || end == NGX_HTTP_IDPAY_NOT_SENT) {
        return 0;
    }

    return end != NGX_HTTP_IDPAY_ANSWERED || status >= 500;
}
