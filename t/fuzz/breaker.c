
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A breaker under any sequence of calls, against what is to hold always.
 */


#include "../../src/policy/ngx_http_idpay_breaker.c"


#define SKEW  50


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


/* what the last probe and the run of failures are, without the breaker */

typedef struct {
    ngx_http_idpay_breaker_t        breaker;
    ngx_http_idpay_breaker_conf_t   conf;

    ngx_uint_t                      live;
    ngx_uint_t                      probe;
    ngx_msec_t                      probe_end;

    ngx_uint_t                      run;
    ngx_msec_t                      run_times[4096];
} fuzz_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void fuzz_admit(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t lease);
static void fuzz_success(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t start,
    ngx_uint_t probe);
static void fuzz_failure(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t start,
    ngx_uint_t probe);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i;
    fuzz_t         fuzz;
    ngx_uint_t     probe;
    ngx_msec_t     clock, now, start;
    static const ngx_msec_t  epochs[] = {
        0, 1000000, (ngx_msec_t) -1, (ngx_msec_t) -100000,
        ((ngx_msec_t) -1 >> 1) - 100000
    };

    if (size < 2 || size > 3 * 4096) {
        return 0;
    }

    ngx_memzero(&fuzz, sizeof(fuzz_t));

    fuzz.conf.failures = data[1] % (NGX_HTTP_IDPAY_MAX_FAILURES + 1);
    fuzz.conf.window = 1000;
    fuzz.conf.open = 2000;

    clock = epochs[data[0] % (sizeof(epochs) / sizeof(epochs[0]))];

    /* a step: what is done, how much later, and one more argument */

    for (i = 2; i + 3 <= size; i += 3) {
        clock += data[i + 1] * (data[i] & 0x80 ? 50 : 1);

        /* workers do not have quite the same clock */

        now = clock - (data[i] >> 4 & 3) * SKEW / 3;
        start = now - data[i + 2] * 20;
        probe = (data[i] & 0x40) ? data[i + 2] % 4 + fuzz.probe - 3 : 0;

        if (probe > fuzz.probe) {
            probe = 0;
        }

        switch (data[i] & 7) {

        case 0:
            fuzz_success(&fuzz, now, start, probe);
            break;

        case 1:
            fuzz_success(&fuzz, now, now, fuzz.probe);
            break;

        case 2:
            fuzz_failure(&fuzz, now, start, probe);
            break;

        case 3:
            fuzz_failure(&fuzz, now, now, 0);
            break;

        case 4:
            ngx_http_idpay_breaker_release(&fuzz.breaker, now, probe);

            if (probe && probe == fuzz.probe) {
                fuzz.live = 0;
            }

            break;

        case 5:
            if (data[i] & 8) {
                fuzz.conf.failures = data[i + 2]
                                     % (NGX_HTTP_IDPAY_MAX_FAILURES + 1);

            } else {
                fuzz.conf.window = data[i + 2] * 10;
                fuzz.conf.open = data[i + 1] * 30;
            }

            break;

        default: /* 6, 7 */
            fuzz_admit(&fuzz, now, data[i + 2] * 10);
        }
    }

    return 0;
}


static void
fuzz_admit(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t lease)
{
    ngx_int_t                  rc;
    ngx_uint_t                 probe, again;
    ngx_msec_t                 wait;
    ngx_http_idpay_breaker_t   before;

    before = fuzz->breaker;
    wait = 0;

    rc = ngx_http_idpay_breaker_admit(&fuzz->breaker, &fuzz->conf, now, lease,
                                      &probe, &wait);

    if (fuzz->conf.failures == 0 || before.state == 0) {
        check(rc == NGX_OK && probe == 0);
        check(ngx_memcmp(&before, &fuzz->breaker, sizeof(before)) == 0);
        return;
    }

    if (rc == NGX_OK) {
        check(probe != 0 && probe != fuzz->probe);
        check(!fuzz->live || (ngx_msec_int_t) (now - fuzz->probe_end) >= 0);
        check(fuzz->breaker.state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN);

        fuzz->live = 1;
        fuzz->probe = probe;
        fuzz->probe_end = now + lease;
        return;
    }

    check(rc == NGX_BUSY && probe == 0);
    check(ngx_memcmp(&before, &fuzz->breaker, sizeof(before)) == 0);
    check(wait >= 1);

    if (before.state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN) {
        check(wait <= 1000);
        return;
    }

    /* who waits as told is let through, and not a ms before */

    rc = ngx_http_idpay_breaker_admit(&before, &fuzz->conf, now + wait - 1,
                                      lease, &again, &lease);
    check(rc == NGX_BUSY && lease == 1);

    rc = ngx_http_idpay_breaker_admit(&before, &fuzz->conf, now + wait, lease,
                                      &again, &wait);
    check(rc == NGX_OK && again != 0);
}


static void
fuzz_success(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t start, ngx_uint_t probe)
{
    ngx_http_idpay_breaker_t  before;

    before = fuzz->breaker;

    ngx_http_idpay_breaker_success(&fuzz->breaker, now, start, probe);

    if (before.state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN
        && probe == fuzz->probe)
    {
        check(fuzz->breaker.state == NGX_HTTP_IDPAY_BREAKER_CLOSED);
        check(fuzz->breaker.failures == 0 && fuzz->breaker.changed == now);

        fuzz->live = 0;
        fuzz->run = 0;
        return;
    }

    check(fuzz->breaker.state == before.state);

    if (fuzz->breaker.failures == 0) {
        fuzz->run = 0;
        return;
    }

    check(ngx_memcmp(&before, &fuzz->breaker, sizeof(before)) == 0);
}


static void
fuzz_failure(fuzz_t *fuzz, ngx_msec_t now, ngx_msec_t start, ngx_uint_t probe)
{
    ngx_uint_t                 n, within;
    ngx_msec_int_t             age;
    ngx_http_idpay_breaker_t   before;

    before = fuzz->breaker;

    ngx_http_idpay_breaker_failure(&fuzz->breaker, &fuzz->conf, now, start,
                                   probe);

    if (ngx_memcmp(&before, &fuzz->breaker, sizeof(before)) == 0) {

        /* a call that began since then, to a closed breaker, counts */

        check(fuzz->conf.failures == 0
              || before.state != NGX_HTTP_IDPAY_BREAKER_CLOSED
              || probe != 0
              || (before.changed
                  && (ngx_msec_int_t) (start - before.changed) < 0));
        return;
    }

    check(fuzz->conf.failures != 0);

    if (before.state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN) {
        check(probe == fuzz->probe);
        check(fuzz->breaker.state == NGX_HTTP_IDPAY_BREAKER_OPEN);
        check(fuzz->breaker.until == now + fuzz->conf.open);

        fuzz->live = 0;
        return;
    }

    check(before.state == NGX_HTTP_IDPAY_BREAKER_CLOSED && probe == 0);

    fuzz->run_times[fuzz->run++] = now;

    within = (fuzz->run >= fuzz->conf.failures);

    if (within) {
        n = fuzz->run - fuzz->conf.failures;
        age = (ngx_msec_int_t) (now - fuzz->run_times[n]);
        within = (age <= (ngx_msec_int_t) fuzz->conf.window);
    }

    check(fuzz->breaker.state
          == (within ? NGX_HTTP_IDPAY_BREAKER_OPEN
                     : NGX_HTTP_IDPAY_BREAKER_CLOSED));
}
