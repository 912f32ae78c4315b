
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Which token a call needs, by its path as it is sent.
 */


#ifndef _NGX_HTTP_IDPAY_ROUTE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "provider/ngx_http_idpay_grant.h"


/* digits of a profile */

#define NGX_HTTP_IDPAY_ROUTE_DIGITS  19


/*
 * Finds the route of a path, without arguments, and its profile, which points
 * into the path and is empty where the route has none.  A path must be plain:
 * letters, digits and "-._~" between single slashes, no segment "." or "..".
 * So a provider can read nothing else in it, and no encoding is undone here.
 * A profile has no leading zero.  It is all of its segment: a path that is a
 * route's up to there, and then has something else, has no route at all.
 *
 * Returns NGX_OK, or NGX_DECLINED if the path is not plain or has no route.
 */
ngx_int_t ngx_http_idpay_route(const ngx_http_idpay_token_route_t *routes,
    ngx_str_t *path, ngx_http_idpay_token_kind_e *kind, ngx_str_t *profile);

/*
 * Returns how many bytes at "p", before "last", are a profile, or 0: these are
 * up to NGX_HTTP_IDPAY_ROUTE_DIGITS digits, as many as there are, and the first
 * one is no zero.
 */
size_t ngx_http_idpay_route_profile(u_char *p, u_char *last);


#endif /* _NGX_HTTP_IDPAY_ROUTE_H_INCLUDED_ */
