
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What callers may not send: names of headers, arguments, paths.
 */


#include "../../src/request/ngx_http_idpay_screen.c"

#include "tap.h"


static ngx_str_t  header_names[] = {
    ngx_string("authorization"),
    ngx_string("x-api-key"),
    ngx_string("x_own.key"),
    ngx_string("plaid-*")
};

static ngx_str_t  arg_names[] = {
    ngx_string("apikey"),
    ngx_string("my_key")
};

static const ngx_str_t  prefixes[] = {
    ngx_string("/identity_verification/"),
    ngx_null_string
};


static struct {
    char        *name;
    ngx_uint_t   dropped;
} headers[] = {
    { "Authorization", 1 },
    { "AUTHORIZATION", 1 },
    { "Authorization2", 0 },
    { "uthorization", 0 },
    { "X-API-Key", 1 },
    { "X_API_Key", 1 },
    { "x.api.key", 1 },
    { "X-API-Key-2", 0 },
    { "X-Own-Key", 1 },
    { "PLAID-SECRET", 1 },
    { "plaid_client_id", 1 },
    { "Plaid-", 1 },
    { "Plaid", 0 },
    { "My-Plaid-Secret", 0 },
    { "Content-Type", 0 }
};


static struct {
    char  *args;
    char  *rest;         /* NULL: nothing to remove */
} args[] = {
    { "a=1&b=2", NULL },
    { "apiKey=k", "" },
    { "apiKey", "" },
    { "a=1&apiKey=k", "a=1" },
    { "apiKey=k&a=1", "a=1" },
    { "a=1&apiKey=k&b=2", "a=1&b=2" },
    { "a=1&APIKEY=k&b=2&apikey=k", "a=1&b=2" },
    { "apiKey=k&apiKey=l&apiKey=m", "" },
    { "api%4Bey=k&a", "a" },
    { "%61%70%69%4b%65%79=k&a", "a" },
    { "api%254Bey=k&a", "a" },
    { "api%25254Bey=k&a", "a" },
    { "api%25%34%42ey=k&a", "a" },
    { "api%2525252525254Bey=k&a", "a" },
    { "api%25252525252525252525254Bey=k&a", "a" },
    { "x%25252525252541=k&a", NULL },
    { "x%2525252525252541=k&a", "a" },
    { "apiKey%3Dk&a", "a" },
    { "apiKey[]=k&a", "a" },
    { "apiKey%5B0%5D=k&a", "a" },
    { "+apiKey=k&a", "a" },
    { "%20apiKey%20=k&a", "a" },
    { "%00apiKey=k&a", "a" },
    { "a;apiKey=k;b", "a;b" },
    { "&apiKey=k&a", "a" },
    { "a&&apiKey=k&&b", "a&&&b" },
    { "my.key=k&my-key=k&My%20Key=k&my+key=k&a", "a" },
    { "api_Key=k", NULL },
    { "apiKey2=k", NULL },
    { "xapiKey=k", NULL },
    { "a=apiKey", NULL },
    { "a=1%26apiKey", NULL },
    { "%", NULL },
    { "%4", NULL },
    { "%zz=1", NULL },
    { "&&&", NULL }
};


static struct {
    char        *path;
    ngx_uint_t   allowed;
} paths[] = {
    { "/identity_verification/get", 1 },
    { "/identity_verification/autofill/create", 1 },
    { "/identity_verification/a.b-c_d~e", 1 },
    { "/identity_verification/", 0 },
    { "/identity_verification", 0 },
    { "/identity_verification/get/", 1 },
    { "/item/get", 0 },
    { "/identity_verification/../item/get", 0 },
    { "/identity_verification/..", 0 },
    { "/identity_verification/./get", 0 },
    { "/identity_verification/.", 0 },
    { "/identity_verification/...", 1 },
    { "/identity_verification//get", 0 },
    { "//identity_verification/get", 0 },
    { "/identity_verification/%2e%2e/item/get", 0 },
    { "/identity_verification/..%2fitem", 0 },
    { "/identity_verification/..\\item", 0 },
    { "/identity_verification/a;b", 0 },
    { "/identity_verification/a b", 0 },
    { "/identity_verification/a#b", 0 },
    { "/identity_verification/\xc3\xa9", 0 },
    { "/Identity_verification/get", 0 },
    { "identity_verification/get", 0 },
    { "/", 0 },
    { "", 0 }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_int_t    rc;
    ngx_str_t    text, rest;
    ngx_log_t    log;
    ngx_uint_t   i;
    ngx_pool_t  *pool;
    ngx_array_t  drops;

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&drops, sizeof(ngx_array_t));

    pool = ngx_create_pool(1024, &log);

    drops.elts = header_names;
    drops.nelts = sizeof(header_names) / sizeof(header_names[0]);

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        text.data = (u_char *) headers[i].name;
        text.len = ngx_strlen(headers[i].name);

        tap_ok(ngx_http_idpay_screen_header(&drops, &text)
               == headers[i].dropped,
               "header %s", headers[i].name);
    }

    drops.elts = arg_names;
    drops.nelts = sizeof(arg_names) / sizeof(arg_names[0]);

    for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        text.data = (u_char *) args[i].args;
        text.len = ngx_strlen(args[i].args);

        rc = ngx_http_idpay_screen_args(pool, &drops, &text, &rest);

        if (args[i].rest == NULL) {
            tap_ok(rc == NGX_DECLINED, "arguments \"%s\" stay", args[i].args);
            continue;
        }

        tap_ok(rc == NGX_OK
               && rest.len == ngx_strlen(args[i].rest)
               && ngx_strncmp(rest.data, args[i].rest, rest.len) == 0,
               "arguments \"%s\"", args[i].args);
    }

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        text.data = (u_char *) paths[i].path;
        text.len = ngx_strlen(paths[i].path);

        tap_ok(ngx_http_idpay_screen_path(prefixes, &text)
               == paths[i].allowed,
               "path \"%s\"", paths[i].path);
    }

    ngx_destroy_pool(pool);

    return tap_done();
}
