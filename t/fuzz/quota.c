
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The fields of rate limits, of any bytes: 4 that set the clock, and the
 * fields with a line feed behind each.
 */


#include "../../src/policy/ngx_http_idpay_retry_after.c"

#include "fuzz.h"


static void fuzz_range(ngx_http_idpay_quota_t *quota);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char                         *p, *last, *end;
    int64_t                         now;
    uint32_t                        seconds;
    ngx_str_t                      *field;
    ngx_uint_t                      i;
    ngx_http_idpay_quota_t          quota, alone;
    ngx_http_idpay_quota_fields_t   fields;

    if (size < sizeof(uint32_t)) {
        return 0;
    }

    ngx_memcpy(&seconds, data, sizeof(uint32_t));
    now = (int64_t) seconds * 1000 + seconds % 1000;

    p = (u_char *) data + sizeof(uint32_t);
    last = (u_char *) data + size;

    ngx_memzero(&fields, sizeof(ngx_http_idpay_quota_fields_t));
    field = &fields.ratelimit;

    for (i = 0; i < 5 && p < last; i++) {
        end = memchr(p, '\n', last - p);

        if (end == NULL) {
            end = last;
        }

        if (end > p) {
            field[i].len = end - p;
            field[i].data = malloc(field[i].len);
            ngx_memcpy(field[i].data, p, field[i].len);
        }

        p = end + 1;
    }

    ngx_memset(&quota, 0xff, sizeof(ngx_http_idpay_quota_t));
    ngx_http_idpay_quota(&fields, now, &quota);
    fuzz_range(&quota);

    /* what RateLimit says without the single fields it says with them */

    ngx_memset(&alone, 0xff, sizeof(ngx_http_idpay_quota_t));

    for (i = 2; i < 5; i++) {
        free(field[i].data);
        ngx_str_null(&field[i]);
    }

    ngx_http_idpay_quota(&fields, now, &alone);
    fuzz_range(&alone);

    if (alone.valid) {
        fuzz_ok(quota.valid);
        fuzz_ok(quota.remaining == alone.remaining);
        fuzz_ok(quota.reset == alone.reset);
    }

    free(fields.ratelimit.data);
    free(fields.policy.data);

    return 0;
}


static void
fuzz_range(ngx_http_idpay_quota_t *quota)
{
    if (quota->valid) {
        fuzz_ok(quota->remaining <= NGX_MAX_INT32_VALUE);
        fuzz_ok(quota->reset >= 1);
        fuzz_ok(quota->reset <= NGX_HTTP_IDPAY_MAX_PAUSE);

    } else {
        fuzz_ok(quota->remaining == 0);
        fuzz_ok(quota->reset == 0);
    }
}
