
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Which token a call needs.
 */


#include "../../src/credential/ngx_http_idpay_route.c"

#include "tap.h"


#define APPLICATION  NGX_HTTP_IDPAY_TOKEN_APPLICATION
#define CLIENT       NGX_HTTP_IDPAY_TOKEN_CLIENT
#define EITHER       NGX_HTTP_IDPAY_TOKEN_EITHER
#define NONE         99


static const ngx_http_idpay_token_route_t  routes[] = {
    { ngx_string("/v1/client/client-profile/{}/identification-pdf"), EITHER },
    { ngx_string("/v1/client/client-profile/{}/*"), CLIENT },
    { ngx_string("/v1/client/*"), APPLICATION },
    { ngx_string("/exact"), APPLICATION },
    { ngx_string("/own/{}"), CLIENT },
    { ngx_null_string, 0 }
};

static const ngx_http_idpay_token_route_t  all[] = {
    { ngx_string("*"), CLIENT },
    { ngx_null_string, 0 }
};

static const ngx_http_idpay_token_route_t  none[] = {
    { ngx_null_string, 0 }
};


#define PROFILE  "/v1/client/client-profile/"


static struct {
    char        *name;
    char        *path;
    ngx_uint_t   kind;
    char        *profile;
} rows[] = {
    { "status", PROFILE "123/identification-status", CLIENT, "123" },
    { "pdf", PROFILE "123/identification-pdf", EITHER, "123" },
    { "prefill", "/v1/client/prefill-client-data", APPLICATION, "" },
    { "more than pdf", PROFILE "123/identification-pdf2", CLIENT, "123" },
    { "behind pdf", PROFILE "123/identification-pdf/", CLIENT, "123" },
    { "pdf in capitals", PROFILE "123/identification-PDF", CLIENT, "123" },
    { "any rest of a profile", PROFILE "5/a/b-c_d~e/f.g", CLIENT, "5" },
    { "no rest of a profile", PROFILE "5/", CLIENT, "5" },

    { "exactly", "/exact", APPLICATION, "" },
    { "less", "/exac", NONE, "" },
    { "more", "/exact/", NONE, "" },
    { "capitals", "/Exact", NONE, "" },
    { "any rest", "/v1/client/a/b/c", APPLICATION, "" },
    { "no rest", "/v1/client/", APPLICATION, "" },
    { "no slash", "/v1/client", NONE, "" },
    { "no route", "/v1/auth/login/app", NONE, "" },
    { "another version", "/v2/client/a", NONE, "" },
    { "not from its beginning", "/x/v1/client/a", NONE, "" },

    { "one digit", "/own/1", CLIENT, "1" },
    { "19 digits", "/own/1234567890123456789", CLIENT,
      "1234567890123456789" },
    { "the greatest", "/own/9999999999999999999", CLIENT,
      "9999999999999999999" },
    { "20 digits", "/own/12345678901234567890", NONE, "" },
    { "behind a profile", "/own/1/", NONE, "" },
    { "no digit", "/own/", NONE, "" },

    /* what is no profile has no token of another route */

    { "zero", PROFILE "0/x", NONE, "" },
    { "a leading zero", PROFILE "0123/x", NONE, "" },
    { "20 digits before more", PROFILE "12345678901234567890/x", NONE, "" },
    { "20 digits, the first a zero", PROFILE "01234567890123456789/x", NONE,
      "" },
    { "letters", PROFILE "abc/x", NONE, "" },
    { "digits and letters", PROFILE "123abc/x", NONE, "" },
    { "letters and digits", PROFILE "abc123/x", NONE, "" },
    { "hexadecimal", PROFILE "0x7b/x", NONE, "" },
    { "a fraction", PROFILE "123.0/x", NONE, "" },
    { "negative", PROFILE "-123/x", NONE, "" },
    { "no profile", PROFILE, NONE, "" },
    { "a profile alone", PROFILE "123", APPLICATION, "" },
    { "the literal of a route", PROFILE "{}/x", NONE, "" },

    { "empty", "", NONE, "" },
    { "an asterisk", "*", NONE, "" },
    { "no leading slash", "v1/client/a", NONE, "" },
    { "a root", "/", NONE, "" },
    { "two slashes", "//v1/client/a", NONE, "" },
    { "two slashes within", "/v1/client//a", NONE, "" },
    { "two slashes at the end", "/v1/client/a//", NONE, "" },
    { "two slashes before a profile", "/v1/client/client-profile//123/x",
      NONE, "" },
    { "a dot", "/v1/client/./a", NONE, "" },
    { "two dots", "/v1/client/../a", NONE, "" },
    { "a dot at the end", "/v1/client/.", NONE, "" },
    { "two dots at the end", "/v1/client/..", NONE, "" },
    { "two dots before the route", "/x/../v1/client/a", NONE, "" },
    { "two dots to another profile", PROFILE "1/../2/x", NONE, "" },
    { "two dots behind an accepted path", PROFILE "1/a/b/..", NONE, "" },
    { "three dots", "/v1/client/...", APPLICATION, "" },
    { "a name of a dot and more", "/v1/client/.a", APPLICATION, "" },
    { "a name of two dots and more", "/v1/client/..a", APPLICATION, "" },
    { "a name that ends with a dot", "/v1/client/a./b..", APPLICATION, "" },
    { "two dots and a parameter", "/v1/client/..;/a", NONE, "" },
    { "a parameter", "/v1/client/a;b=c", NONE, "" },
    { "encoded letter", "/v1/client/%61", NONE, "" },
    { "encoded slash", "/v1/client/a%2Fb", NONE, "" },
    { "encoded dots", "/v1/client/%2e%2e/a", NONE, "" },
    { "encoded digit", PROFILE "1%32/x", NONE, "" },
    { "half an encoding", "/v1/client/a%", NONE, "" },
    { "backslash", "/v1/client/a\\b", NONE, "" },
    { "arguments", "/v1/client/a?b", NONE, "" },
    { "a fragment", "/v1/client/a#b", NONE, "" },
    { "a space", "/v1/client/a b", NONE, "" },
    { "a plus", "/v1/client/a+b", NONE, "" },
    { "an at", "/v1/client/@a", NONE, "" },
    { "a colon", "/v1/client/a:b", NONE, "" },
    { "a control character", "/v1/client/a\x01", NONE, "" },
    { "a line", "/v1/client/a\r\nX: y", NONE, "" },
    { "DEL", "/v1/client/a\x7f", NONE, "" },
    { "UTF-8", "/v1/client/\xc3\xa9", NONE, "" },
    { "a digit of another script", PROFILE "\xd9\xa1/x", NONE, "" }
};


static struct {
    char    *name;
    char    *text;
    size_t   len;
} profiles[] = {
    { "a number", "123", 3 },
    { "the end of a segment", "123/x", 3 },
    { "before anything", "123abc", 3 },
    { "one digit", "7", 1 },
    { "19 digits", "1000000000000000000", 19 },
    { "20 digits", "10000000000000000000", 0 },
    { "zero", "0", 0 },
    { "a leading zero", "01", 0 },
    { "nothing", "", 0 },
    { "no digit", "x1", 0 },
    { "a sign", "-1", 0 },
    { "a space", " 1", 0 }
};


static void test_nul(void);


int ngx_cdecl
main(int argc, char *const *argv)
{
    u_char                       *p;
    size_t                        len;
    ngx_int_t                     rc;
    ngx_str_t                     path, profile;
    ngx_uint_t                    i;
    ngx_http_idpay_token_kind_e   kind;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        /* a block of just its size: a sanitizer sees what is read beyond */

        path.len = ngx_strlen(rows[i].path);
        path.data = malloc(path.len);
        ngx_memcpy(path.data, rows[i].path, path.len);

        kind = NONE;

        rc = ngx_http_idpay_route(routes, &path, &kind, &profile);

        tap_ok(rc == (rows[i].kind == NONE ? NGX_DECLINED : NGX_OK)
               && kind == rows[i].kind
               && profile.len == ngx_strlen(rows[i].profile)
               && ngx_memcmp(profile.data ? profile.data : path.data,
                             rows[i].profile, profile.len)
                  == 0
               && (profile.len == 0
                   || (profile.data > path.data
                       && profile.data < path.data + path.len)),
               "route: %s", rows[i].name);

        free(path.data);
    }

    for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        len = ngx_strlen(profiles[i].text);
        p = malloc(len);
        ngx_memcpy(p, profiles[i].text, len);

        tap_ok(ngx_http_idpay_route_profile(p, p + len) == profiles[i].len,
               "profile: %s", profiles[i].name);

        free(p);
    }

    test_nul();

    return tap_done();
}


static void
test_nul(void)
{
    ngx_str_t                    path, profile;
    ngx_http_idpay_token_kind_e  kind;

    kind = NONE;

    ngx_str_set(&path, "/v1/client/a\0b");

    tap_ok(ngx_http_idpay_route(routes, &path, &kind, &profile)
           == NGX_DECLINED, "route: a NUL");

    ngx_str_null(&path);

    tap_ok(ngx_http_idpay_route(routes, &path, &kind, &profile)
           == NGX_DECLINED, "route: no address");

    ngx_str_set(&path, "/a");

    tap_ok(ngx_http_idpay_route(none, &path, &kind, &profile)
           == NGX_DECLINED && kind == NONE, "route: no routes");

    tap_ok(ngx_http_idpay_route(all, &path, &kind, &profile) == NGX_OK
           && kind == CLIENT && profile.len == 0, "route: one for all");

    ngx_str_set(&path, "/a/../b");

    tap_ok(ngx_http_idpay_route(all, &path, &kind, &profile) == NGX_DECLINED,
           "route: one for all that is plain");
}
