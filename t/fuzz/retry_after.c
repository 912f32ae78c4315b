
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Retry-After and Prefer of any bytes, behind 4 bytes that set the clock.
 */


#include "../../src/policy/ngx_http_idpay_retry_after.c"

#include "fuzz.h"


static ngx_int_t fuzz_padded(u_char *text, size_t len, int64_t now,
    ngx_int_t *wait);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t      i, len;
    u_char     *text;
    int64_t     now;
    uint32_t    seconds;
    ngx_int_t   delay, later, wait, padded;

    if (size < sizeof(uint32_t)) {
        return 0;
    }

    /* up to the year 2106 */

    ngx_memcpy(&seconds, data, sizeof(uint32_t));
    now = (int64_t) seconds * 1000 + seconds % 1000;

    len = size - sizeof(uint32_t);
    text = malloc(len ? len : 1);
    ngx_memcpy(text, data + sizeof(uint32_t), len);

    delay = ngx_http_idpay_retry_after(text, len, now);
    later = ngx_http_idpay_retry_after(text, len, now + 1);

    fuzz_ok(delay >= 0 || delay == NGX_ERROR);
    fuzz_ok(delay <= NGX_HTTP_IDPAY_MAX_PAUSE);

    for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        /* void */
    }

    if (len && len <= NGX_HTTP_IDPAY_MAX_FIELD && i == len) {
        fuzz_ok(delay % 1000 == 0 && later == delay);

    } else if (delay > 0 && delay < NGX_HTTP_IDPAY_MAX_PAUSE) {
        fuzz_ok(later == delay || later == delay - 1);

    } else {
        fuzz_ok((later == NGX_ERROR) == (delay == NGX_ERROR));
    }

    wait = ngx_http_idpay_prefer_wait(text, len);

    fuzz_ok(wait >= 0 || wait == NGX_ERROR);
    fuzz_ok(wait <= NGX_HTTP_IDPAY_MAX_PAUSE / 1000);

    if (len + 2 <= NGX_HTTP_IDPAY_MAX_FIELD) {
        fuzz_ok(fuzz_padded(text, len, now, &padded) == delay);
        fuzz_ok(padded == wait);
    }

    free(text);

    return 0;
}


/* the same with blanks around it */

static ngx_int_t
fuzz_padded(u_char *text, size_t len, int64_t now, ngx_int_t *wait)
{
    u_char     *p;
    ngx_int_t   delay;

    p = malloc(len + 2);
    p[0] = '\t';
    ngx_memcpy(p + 1, text, len);
    p[len + 1] = ' ';

    delay = ngx_http_idpay_retry_after(p, len + 2, now);
    *wait = ngx_http_idpay_prefer_wait(p, len + 2);

    free(p);

    return delay;
}
