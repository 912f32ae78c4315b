
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Paths of any bytes: those that are accepted can be read in one way only, and
 * have the route and the profile that a plain reading finds.
 */


#include "../../src/credential/ngx_http_idpay_route.c"

#include "fuzz.h"

#include <ctype.h>
#include <string.h>


#define PROFILE  "/v1/client/client-profile/"


static void fuzz_plain(ngx_str_t *path);
static ngx_int_t fuzz_kind(ngx_str_t *path, ngx_str_t *profile);
static ngx_uint_t fuzz_is_profile(u_char *p, size_t len);


static const ngx_http_idpay_token_route_t  routes[] = {
    { ngx_string(PROFILE "{}/identification-pdf"),
      NGX_HTTP_IDPAY_TOKEN_EITHER },
    { ngx_string(PROFILE "{}/*"), NGX_HTTP_IDPAY_TOKEN_CLIENT },
    { ngx_string("/v1/client/*"), NGX_HTTP_IDPAY_TOKEN_APPLICATION },
    { ngx_null_string, 0 }
};


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_int_t                     rc;
    ngx_str_t                     path, profile, expected;
    ngx_http_idpay_token_kind_e   kind;

    path.len = size;
    path.data = malloc(size);
    fuzz_ok(path.data);

    ngx_memcpy(path.data, data, size);

    rc = ngx_http_idpay_route(routes, &path, &kind, &profile);

    if (rc == NGX_OK) {
        fuzz_plain(&path);

        fuzz_ok(fuzz_kind(&path, &expected) == (ngx_int_t) kind
                && profile.len == expected.len
                && profile.data == expected.data);

    } else {
        fuzz_ok(rc == NGX_DECLINED && profile.len == 0);
    }

    free(path.data);

    return 0;
}


/* no encoding, no empty segment but a last one, no dot segment */

static void
fuzz_plain(ngx_str_t *path)
{
    u_char  *p, *end, *last;
    size_t   i;

    for (i = 0; i < path->len; i++) {
        fuzz_ok(isalnum(path->data[i])
                || (path->data[i] && strchr("/-._~", path->data[i])));
    }

    p = path->data;
    last = p + path->len;

    while (p < last) {
        fuzz_ok(*p == '/');
        p++;

        end = memchr(p, '/', last - p);

        if (end == NULL) {
            end = last;
        }

        fuzz_ok(end > p || end == last);
        fuzz_ok(end - p != 1 || memcmp(p, ".", 1) != 0);
        fuzz_ok(end - p != 2 || memcmp(p, "..", 2) != 0);

        p = end;
    }
}


static ngx_int_t
fuzz_kind(ngx_str_t *path, ngx_str_t *profile)
{
    u_char  *p, *end, *last;

    ngx_str_null(profile);

    last = path->data + path->len;

    if (path->len < sizeof(PROFILE) - 1
        || memcmp(path->data, PROFILE, sizeof(PROFILE) - 1) != 0)
    {
        fuzz_ok(path->len >= 11
                && memcmp(path->data, "/v1/client/", 11) == 0);

        return NGX_HTTP_IDPAY_TOKEN_APPLICATION;
    }

    p = path->data + sizeof(PROFILE) - 1;
    end = memchr(p, '/', last - p);

    /* nothing below the profiles is anything but one */

    fuzz_ok(fuzz_is_profile(p, (end ? end : last) - p));

    if (end == NULL) {
        return NGX_HTTP_IDPAY_TOKEN_APPLICATION;
    }

    profile->data = p;
    profile->len = end - p;

    return (last - end == 19 && memcmp(end, "/identification-pdf", 19) == 0)
           ? NGX_HTTP_IDPAY_TOKEN_EITHER : NGX_HTTP_IDPAY_TOKEN_CLIENT;
}


static ngx_uint_t
fuzz_is_profile(u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!isdigit(p[i])) {
            return 0;
        }
    }

    return len && len <= 19 && *p != '0';
}
