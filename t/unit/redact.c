
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Secrets in what a provider says of an error, cut at every place.
 */


#include "../../src/credential/ngx_http_idpay_redact.c"

#include "tap.h"


static struct {
    char  *in;
    char  *out;
} texts[] = {
    { "", "" },
    { "nothing to hide", "nothing to hide" },
    { "key=s3cr/et+", "key=********" },
    { "s3cr/et+s3cr/et+!", "****************!" },
    { "s3cr/et", "s3cr/et" },
    { "s3cr/es3cr/et+", "s3cr/e********" },
    { "enc s3cr%2Fet%2B.", "enc ************." },
    { "enc s3cr%2fet%2b.", "enc ************." },
    { "json \"s3cr\\/et+\"", "json \"*********\"" },
    { "{\"k\": \"a\\\"b\\\\c/d\"}", "{\"k\": \"*********\"}" },
    { "{\"k\": \"a\\\"b\\\\c\\/d\"}", "{\"k\": \"**********\"}" },
    { "Basic dXNlcjpwYXNz.", "Basic ************." },
    { "s3cr/et+more", "************" },
    { "aaab", "a***" }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    size_t                    len, cut, sent, kept;
    u_char                    buf[128], out[128];
    ngx_log_t                 log;
    ngx_str_t                 user, password, values[4];
    ngx_uint_t                i, n, same;
    ngx_pool_t               *pool;
    ngx_http_idpay_vault_t   *vault;
    ngx_http_idpay_redact_t  *redact;

    ngx_pagesize = 4096;
    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);
    vault = ngx_http_idpay_vault_create(pool);
    redact = ngx_http_idpay_redact_create(pool, vault);

    ngx_str_set(&values[0], "s3cr/et+");
    ngx_str_set(&values[1], "s3cr/et+more");
    ngx_str_set(&values[2], "aab");
    ngx_str_set(&values[3], "a\"b\\c/d");

    for (i = 0; i < 4; i++) {
        tap_ok(ngx_http_idpay_redact_add(redact, &values[i]) == NGX_OK,
               "value %d", (int) i);
    }

    ngx_str_set(&user, "user");
    ngx_str_set(&password, "pass");

    tap_ok(ngx_http_idpay_redact_add_basic(redact, &user, &password)
           == NGX_OK, "user and password");

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        len = ngx_strlen(texts[i].in);
        same = 1;

        /* in two pieces, cut at each place, the held bytes given again */

        for (cut = 0; cut <= len; cut++) {
            ngx_memcpy(buf, texts[i].in, cut);

            sent = ngx_http_idpay_redact_bytes(redact, buf, cut, 0);
            ngx_memcpy(out, buf, sent);

            kept = cut - sent;
            ngx_memmove(buf, buf + sent, kept);
            ngx_memcpy(buf + kept, texts[i].in + cut, len - cut);

            n = ngx_http_idpay_redact_bytes(redact, buf, kept + len - cut, 1);
            ngx_memcpy(out + sent, buf, n);

            if (kept > redact->max
                || sent + n != len
                || ngx_memcmp(out, texts[i].out, len) != 0)
            {
                same = 0;
                printf("# cut at %d: %.*s\n", (int) cut, (int) (sent + n),
                       (char *) out);
            }
        }

        tap_ok(same, "\"%s\"", texts[i].in);
    }

    ngx_destroy_pool(pool);

    return tap_done();
}
