
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Which calls may be made a second time.
 */


#include "../../src/policy/ngx_http_idpay_replay.c"

#include "tap.h"


static ngx_http_idpay_replay_rule_t  rules[] = {
    { NGX_HTTP_POST, ngx_string("/exact"), 0 },
    { NGX_HTTP_POST, ngx_string("/tree/"), 1 },
    { NGX_HTTP_POST, ngx_string("/part"), 1 },
    { NGX_HTTP_POST, ngx_string("/dot/."), 1 },
    { 0, ngx_string("/any"), 0 },
    { NGX_HTTP_PATCH, ngx_string("/patch"), 0 }
};


static struct {
    ngx_uint_t   method;
    char        *path;
    ngx_uint_t   safe;
} calls[] = {
    { NGX_HTTP_GET, "/x", 1 },
    { NGX_HTTP_HEAD, "/x", 1 },
    { NGX_HTTP_OPTIONS, "/x", 1 },
    { NGX_HTTP_PUT, "/x", 1 },
    { NGX_HTTP_DELETE, "/x", 1 },
    { NGX_HTTP_GET, "/a/../b%", 1 },
    { NGX_HTTP_POST, "/x", 0 },
    { NGX_HTTP_PATCH, "/x", 0 },
    { NGX_HTTP_TRACE, "/x", 0 },
    { NGX_HTTP_PROPFIND, "/x", 0 },
    { NGX_HTTP_UNKNOWN, "/x", 0 },

    { NGX_HTTP_POST, "/exact", 1 },
    { NGX_HTTP_POST, "/exac", 0 },
    { NGX_HTTP_POST, "/exact/", 0 },
    { NGX_HTTP_POST, "/exact1", 0 },
    { NGX_HTTP_POST, "/EXACT", 0 },
    { NGX_HTTP_POST, "", 0 },
    { NGX_HTTP_PATCH, "/exact", 0 },
    { NGX_HTTP_PATCH, "/patch", 1 },
    { NGX_HTTP_POST, "/patch", 0 },
    { NGX_HTTP_POST, "/any", 1 },
    { NGX_HTTP_UNKNOWN, "/any", 1 },
    { NGX_HTTP_UNKNOWN, "/any/", 0 },

    { NGX_HTTP_POST, "/tree", 0 },
    { NGX_HTTP_POST, "/tree/", 1 },
    { NGX_HTTP_POST, "/tree/a", 1 },
    { NGX_HTTP_POST, "/tree/a/b-c_d~e", 1 },
    { NGX_HTTP_POST, "/tree/a;b=c", 1 },
    { NGX_HTTP_POST, "/tree/.a", 1 },
    { NGX_HTTP_POST, "/tree/..a", 1 },
    { NGX_HTTP_POST, "/tree/a.", 1 },
    { NGX_HTTP_POST, "/tree/a..b/...", 1 },
    { NGX_HTTP_POST, "/tree/.", 0 },
    { NGX_HTTP_POST, "/tree/..", 0 },
    { NGX_HTTP_POST, "/tree/./a", 0 },
    { NGX_HTTP_POST, "/tree/../a", 0 },
    { NGX_HTTP_POST, "/tree/a/..", 0 },
    { NGX_HTTP_POST, "/tree/a/../b", 0 },
    { NGX_HTTP_POST, "/tree/a/./b", 0 },
    { NGX_HTTP_POST, "/tree/..;/a", 0 },
    { NGX_HTTP_POST, "/tree/..;a", 0 },
    { NGX_HTTP_POST, "/tree/.;a/b", 0 },
    { NGX_HTTP_POST, "/tree//", 0 },
    { NGX_HTTP_POST, "/tree//a", 0 },
    { NGX_HTTP_POST, "/tree/a//b", 0 },
    { NGX_HTTP_POST, "/tree/a/", 0 },
    { NGX_HTTP_POST, "/tree/%61", 0 },
    { NGX_HTTP_POST, "/tree/a%", 0 },
    { NGX_HTTP_POST, "/tree/a%2Fb", 0 },
    { NGX_HTTP_POST, "/tree/a\\b", 0 },
    { NGX_HTTP_POST, "/tree/..\\b", 0 },
    { NGX_HTTP_PATCH, "/tree/a", 0 },

    { NGX_HTTP_POST, "/part", 1 },
    { NGX_HTTP_POST, "/parts", 1 },
    { NGX_HTTP_POST, "/part/a", 1 },
    { NGX_HTTP_POST, "/part..", 1 },
    { NGX_HTTP_POST, "/part/..", 0 },
    { NGX_HTTP_POST, "/part//a", 0 },

    /* a dot segment of which a part stands in the rule */

    { NGX_HTTP_POST, "/dot/.a", 1 },
    { NGX_HTTP_POST, "/dot/..", 0 },
    { NGX_HTTP_POST, "/dot/../a", 0 },
    { NGX_HTTP_POST, "/dot/./a", 0 }
};


static struct {
    ngx_http_idpay_end_e   end;
    ngx_uint_t             status;
    ngx_uint_t             safe;
    ngx_uint_t             allowed;
    ngx_uint_t             unknown;
} ends[] = {
    { NGX_HTTP_IDPAY_NOT_SENT, 0, 0, 1, 0 },
    { NGX_HTTP_IDPAY_NOT_SENT, 0, 1, 1, 0 },
    { NGX_HTTP_IDPAY_NOT_SENT, 502, 0, 1, 0 },
    { NGX_HTTP_IDPAY_NO_ANSWER, 0, 0, 0, 1 },
    { NGX_HTTP_IDPAY_NO_ANSWER, 0, 1, 1, 0 },
    { NGX_HTTP_IDPAY_NO_ANSWER, 429, 0, 0, 1 },
    { NGX_HTTP_IDPAY_TIMED_OUT, 0, 0, 0, 1 },
    { NGX_HTTP_IDPAY_TIMED_OUT, 0, 1, 1, 0 },
    { NGX_HTTP_IDPAY_TIMED_OUT, 200, 0, 0, 1 },

    { NGX_HTTP_IDPAY_ANSWERED, 200, 0, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 200, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 302, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 400, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 401, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 408, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 409, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 428, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 429, 0, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 429, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 430, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 499, 0, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 499, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 500, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 500, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 501, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 501, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 502, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 503, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 503, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 504, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 505, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 505, 1, 0, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 599, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 599, 1, 1, 0 },
    { NGX_HTTP_IDPAY_ANSWERED, 600, 0, 0, 1 },
    { NGX_HTTP_IDPAY_ANSWERED, 600, 1, 0, 0 }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_str_t    path;
    ngx_uint_t   i, safe, allowed, unknown;
    ngx_array_t  array;

    array.elts = rules;
    array.nelts = sizeof(rules) / sizeof(rules[0]);

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {

        /* a block of just its size: a sanitizer sees what is read beyond */

        path.len = ngx_strlen(calls[i].path);
        path.data = malloc(path.len);
        ngx_memcpy(path.data, calls[i].path, path.len);

        safe = ngx_http_idpay_replay_safe(&array, calls[i].method, &path);

        tap_ok(safe == calls[i].safe, "method %d of \"%s\": %d",
               (int) calls[i].method, calls[i].path, (int) safe);

        free(path.data);
    }

    ngx_str_set(&path, "/exact");

    tap_ok(!ngx_http_idpay_replay_safe(NULL, NGX_HTTP_POST, &path)
           && ngx_http_idpay_replay_safe(NULL, NGX_HTTP_PUT, &path),
           "without rules");

    array.nelts = 0;

    tap_ok(!ngx_http_idpay_replay_safe(&array, NGX_HTTP_POST, &path),
           "no rule");

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        allowed = ngx_http_idpay_replay_allowed(ends[i].end, ends[i].status,
                                                ends[i].safe);
        unknown = ngx_http_idpay_replay_unknown(ends[i].end, ends[i].status,
                                                ends[i].safe);

        tap_ok(allowed == ends[i].allowed && unknown == ends[i].unknown,
               "end %d, status %d, %s: allowed %d, unknown %d",
               (int) ends[i].end, (int) ends[i].status,
               ends[i].safe ? "safe" : "not safe", (int) allowed,
               (int) unknown);
    }

    return tap_done();
}
