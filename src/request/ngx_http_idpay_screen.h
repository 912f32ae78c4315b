
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What a caller may not send on.  Pure functions of their arguments.
 */


#ifndef _NGX_HTTP_IDPAY_SCREEN_H_INCLUDED_
#define _NGX_HTTP_IDPAY_SCREEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Tells whether a header's name is one of "drops": names in lower case, a
 * trailing "*" stands for any rest.  Whatever is neither letter nor digit
 * counts as "-", as it does to servers that turn names into variables.
 */
ngx_uint_t ngx_http_idpay_screen_header(ngx_array_t *drops, ngx_str_t *name);

/*
 * Removes from a query string all arguments named in "drops" (lower case),
 * whatever their case and punctuation and however often they are
 * percent-encoded: a name that takes more than a few decodings is removed,
 * whatever it is.  Returns
 * NGX_OK with the rest in "out" (from the pool), NGX_DECLINED if there is
 * nothing to remove, or NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_screen_args(ngx_pool_t *pool, ngx_array_t *drops,
    ngx_str_t *args, ngx_str_t *out);

/*
 * Tells whether a path begins with one of "prefixes", which end with an empty
 * string, and can be read in one way only: RFC 3986 unreserved characters and
 * slashes, no empty segment but the last, no "." or "..".
 */
ngx_uint_t ngx_http_idpay_screen_path(const ngx_str_t *prefixes,
    ngx_str_t *path);


#endif /* _NGX_HTTP_IDPAY_SCREEN_H_INCLUDED_ */
