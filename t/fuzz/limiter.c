
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Any order of events, at any times: waits are bounded, places keep their
 * order, a pause is kept, and rates stay within their bounds.
 */


#include "../../src/policy/ngx_http_idpay_window.c"
#include "../../src/policy/ngx_http_idpay_limiter.c"


int LLVMFuzzerTestOneInput(const u_char *data, size_t size);


#define check(condition)                                                      \
    do { if (!(condition)) { __builtin_trap(); } } while (0)


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t                           i;
    uint64_t                         ticket, last;
    ngx_int_t                        rc;
    ngx_uint_t                       n, given, rate;
    ngx_msec_t                       now, wait, again, end;
    ngx_http_idpay_rate_t            conf;
    static ngx_http_idpay_limiter_t  l;

    if (size < 4) {
        return 0;
    }

    ngx_memzero(&l, sizeof(ngx_http_idpay_limiter_t));

    conf.rate = (data[0] & 3) ? (ngx_uint_t) data[1] * data[1] * 20 : 0;
    conf.burst = data[2];
    conf.adaptive = 1;

    now = (ngx_msec_t) (data[3] & 1 ? -20000 : 20000);
    given = 0;
    last = 0;

    for (i = 4; i + 1 < size; i += 2) {
        n = data[i + 1];

        switch (data[i] % 8) {

        case 0:
            now += n * n;
            break;

        case 1:
            /* another worker, whose clock is behind */
            (void) ngx_http_idpay_limiter_wait(&l, 0, &conf, now - n % 5,
                                               NULL);
            break;

        case 2:
            wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, now, NULL);
            rc = ngx_http_idpay_limiter_reserve(&l, 0, &conf, now, n * 100,
                                                &ticket, &again);

            check(rc == NGX_OK || rc == NGX_BUSY);
            check(rc == NGX_OK || again > n * 100);

            if (rc == NGX_OK) {
                check(again == wait || again == ngx_max(n * 100, 1));

                last = ticket;
                given = 1;
            }

            break;

        case 3:
            ngx_http_idpay_limiter_pause(&l, now, n * 50);
            check(ngx_http_idpay_limiter_wait(&l, 1, &conf, now, NULL)
                  >= n * 50);
            break;

        case 4:
            ngx_http_idpay_limiter_pace(&l, &conf, now, n / 4, 1 + n * 10);
            break;

        case 5:
            ngx_http_idpay_limiter_refused(&l, &conf, now, now - n % 16,
                                           n & 128);
            break;

        case 6:
            ngx_http_idpay_limiter_accepted(&l, now - n);
            break;

        default:
            if (given
                && ngx_http_idpay_limiter_cancel(&l, 0, last) == NGX_OK)
            {
                check(l.buckets[0].next == last);
                given = 0;
            }
        }

        rate = ngx_http_idpay_limiter_rate(&l, &conf, now);

        check(conf.rate == 0 || (rate > 0 && rate <= conf.rate));
        check(l.state != NGX_HTTP_IDPAY_LIMITER_LEARNED || rate > 0);

        /* the turn of a ticket comes, and then it stays */

        if (given) {
            wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, now, &last);

            if (wait) {
                end = now + wait;
                again = ngx_http_idpay_limiter_wait(&l, 0, &conf, end, &last);
                check(again <= wait);
                now = end;
            }
        }
    }

    return 0;
}
