
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Places, pauses, quotas, and an unknown limit that is found and held.
 */


#include "../../src/policy/ngx_http_idpay_window.c"
#include "../../src/policy/ngx_http_idpay_limiter.c"

#include "tap.h"


#define T0  ((ngx_msec_t) 1000000)


static ngx_http_idpay_limiter_t  l;
static uint64_t                  tickets[4096];


static void fresh(void);
static ngx_int_t take(const ngx_http_idpay_rate_t *conf, ngx_msec_t now,
    ngx_msec_t max, ngx_uint_t i, ngx_msec_t *wait);
static void test_places(ngx_msec_t t0);
static void test_burst(void);
static void test_pause(void);
static void test_quota(void);
static void test_refusals(void);
static void test_start(void);
static void simulate(ngx_uint_t kind, ngx_uint_t told, ngx_uint_t known,
    ngx_uint_t workers);
static ngx_uint_t provider(ngx_uint_t kind, ngx_msec_t now);


static void
fresh(void)
{
    ngx_memzero(&l, sizeof(ngx_http_idpay_limiter_t));
}


static ngx_int_t
take(const ngx_http_idpay_rate_t *conf, ngx_msec_t now, ngx_msec_t max,
    ngx_uint_t i, ngx_msec_t *wait)
{
    return ngx_http_idpay_limiter_reserve(&l, 0, conf, now, max, &tickets[i],
                                          wait);
}


/* ten calls a second, so one each 101 ms */

static void
test_places(ngx_msec_t t0)
{
    ngx_uint_t             i, ok;
    ngx_msec_t             wait;
    ngx_http_idpay_rate_t  conf = { 10000, 0, 0 };

    fresh();
    ok = 1;

    for (i = 0; i < 50; i++) {
        ok &= take(&conf, t0, 5000, i, &wait) == NGX_OK;
        ok &= wait == (i * 1000000 + 9899) / 9900;
    }

    tap_ok(ok, "places at equal distances");

    tap_ok(take(&conf, t0, 5000, i, &wait) == NGX_BUSY && wait == 5051,
           "none beyond the longest wait: %d", (int) wait);

    tap_ok(take(&conf, t0, 5051, i, &wait) == NGX_OK && wait == 5051,
           "nothing was given out then");

    ok = 1;

    for (i = 10; i < 51; i++) {
        wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, t0 + 1000,
                                           &tickets[i]);
        ok &= wait == (i * 1000000 + 9899) / 9900 - 1000;
    }

    tap_ok(ok, "a second later all are nearer by that");

    tap_ok(ngx_http_idpay_limiter_cancel(&l, 0, tickets[20]) == NGX_DECLINED,
           "a place in the middle is not taken back");
    tap_ok(ngx_http_idpay_limiter_cancel(&l, 0, tickets[50]) == NGX_OK
           && ngx_http_idpay_limiter_cancel(&l, 0, tickets[49]) == NGX_OK
           && ngx_http_idpay_limiter_wait(&l, 0, &conf, t0 + 1000, NULL)
              == 3950,
           "the last ones are");

    tap_ok(ngx_http_idpay_limiter_wait(&l, 0, &conf, t0 + 900, NULL) == 3950,
           "a clock that is behind changes nothing");

    tap_ok(take(&conf, t0 + 100000, 0, 0, &wait) == NGX_OK && wait == 0
           && take(&conf, t0 + 100000, 0, 1, &wait) == NGX_BUSY
           && wait == 102,
           "what was not used is not saved: %d", (int) wait);

    fresh();

    (void) take(&conf, t0, 5000, 0, &wait);
    (void) take(&conf, t0, 5000, 1, &wait);
    (void) take(&conf, t0, 5000, 2, &wait);

    tap_ok(ngx_http_idpay_limiter_wait(&l, 0, &conf, t0 + 151, &tickets[1])
           == 0
           && ngx_http_idpay_limiter_wait(&l, 0, &conf, t0 + 151, &tickets[2])
              == 97,
           "behind a call that is late the distance is kept");

    conf.rate = 0;
    ok = 1;

    for (i = 0; i < 1000; i++) {
        ok &= take(&conf, t0 + 100000, 0, 0, &wait) == NGX_OK && wait == 0;
    }

    tap_ok(ok, "no rate, no limit");
}


static void
test_burst(void)
{
    ngx_uint_t             i, n;
    ngx_msec_t             wait;
    ngx_http_idpay_rate_t  conf = { 10000, 5, 0 };

    fresh();

    for (n = 0; take(&conf, T0, 0, n, &wait) == NGX_OK; n++) { /* void */ }

    tap_ok(n == 6, "one call and a burst of 5: %d", (int) n);

    for (n = 0; take(&conf, T0 + 250, 0, n, &wait) == NGX_OK; n++) {
        /* void */
    }

    tap_ok(n == 2, "two more after 250 ms: %d", (int) n);

    for (n = 0; take(&conf, T0 + 3600000, 0, n, &wait) == NGX_OK; n++) {
        /* void */
    }

    tap_ok(n == 6, "after an hour no more than at first: %d", (int) n);

    /* the rules' buckets do not know of one another */

    for (i = 1; i < NGX_HTTP_IDPAY_MAX_BUCKETS; i++) {
        for (n = 0;
             ngx_http_idpay_limiter_reserve(&l, i, &conf, T0, 0, &tickets[n],
                                            &wait)
             == NGX_OK;
             n++)
        {
            /* void */
        }

        if (n != 6) {
            break;
        }
    }

    tap_ok(i == NGX_HTTP_IDPAY_MAX_BUCKETS, "each bucket for itself");
}


static void
test_pause(void)
{
    ngx_uint_t             i, ok;
    ngx_msec_t             wait, before[20];
    ngx_http_idpay_rate_t  conf = { 10000, 0, 1 };
    ngx_http_idpay_rate_t  none = { 0, 0, 0 };

    fresh();

    for (i = 0; i < 20; i++) {
        (void) take(&conf, T0, 5000, i, &before[i]);
    }

    ngx_http_idpay_limiter_pause(&l, T0 + 500, 2000);
    ngx_http_idpay_limiter_pause(&l, T0 + 600, 1000);

    ok = 1;

    for (i = 5; i < 20; i++) {
        wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, T0 + 1000,
                                           &tickets[i]);
        ok &= wait == before[i] + 2000 - 1000;
    }

    tap_ok(ok, "a pause moves all places, a shorter one changes nothing");

    ngx_http_idpay_limiter_pause(&l, T0 + 1000, 3000);

    ok = 1;

    for (i = 5; i < 20; i++) {
        wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, T0 + 2000,
                                           &tickets[i]);
        ok &= wait == before[i] + 3500 - 2000;
    }

    tap_ok(ok, "a longer one prolongs it");

    ok = 1;

    for (i = 5; i < 20; i++) {
        wait = ngx_http_idpay_limiter_wait(&l, 0, &conf, T0 + 3500 + before[i],
                                           &tickets[i]);
        ok &= wait == 0;
    }

    tap_ok(ok, "and when it is over they come as they would have");

    wait = ngx_http_idpay_limiter_wait(&l, 1, &none, T0 + 2000, NULL);
    tap_ok(wait == 2000, "it is for every bucket, also without a rate");

    tap_ok(take(&conf, T0 + 2000, 1999, 20, &wait) == NGX_BUSY,
           "nobody is let in");
}


static void
test_quota(void)
{
    ngx_uint_t             i, n;
    ngx_msec_t             now, wait;
    ngx_http_idpay_rate_t  conf = { 0, 0, 1 };
    ngx_http_idpay_rate_t  fast = { 1000000, 100, 1 };

    fresh();

    ngx_http_idpay_limiter_pace(&l, &conf, T0, 0, 7000);
    tap_ok(ngx_http_idpay_limiter_wait(&l, 0, &conf, T0 + 1000, NULL) == 6000,
           "nothing left: a pause up to the reset");

    for (i = 1; i <= 20; i++) {
        fresh();

        ngx_http_idpay_limiter_pace(&l, i % 2 ? &conf : &fast, T0, i, 10000);

        n = 0;

        for (now = T0; now < T0 + 10000; now += 10) {
            while (take(i % 2 ? &conf : &fast, now, 0, 0, &wait) == NGX_OK) {
                n++;
            }
        }

        if (n > i || n + 1 < i) {
            break;
        }
    }

    tap_ok(i == 21, "a quota is used and kept to: %d of %d", (int) n, (int) i);

    for (n = 0; n < 50; n++) {
        if (take(&conf, T0 + 10000 + n, 0, 0, &wait) != NGX_OK) {
            break;
        }
    }

    tap_ok(n == 50, "and ends with its window");

    /* waits that reach over the reset */

    fresh();
    ngx_http_idpay_limiter_pace(&l, &conf, T0, 2, 10000);

    (void) take(&conf, T0, 60000, 0, &wait);
    (void) take(&conf, T0, 60000, 1, &wait);
    (void) take(&conf, T0, 60000, 2, &wait);
    tap_ok(wait == 10000, "the rest goes at the reset: %d", (int) wait);
}


static void
test_refusals(void)
{
    ngx_uint_t             i;
    ngx_msec_t             now, wait, pause;
    ngx_http_idpay_rate_t  conf = { 0, 0, 1 };

    fresh();

    for (now = T0; now < T0 + 1000; now += 20) {
        ngx_http_idpay_limiter_accepted(&l, now);
    }

    ngx_http_idpay_limiter_refused(&l, &conf, now, now - 5, 0);

    tap_ok(l.ceiling >= 49000 && l.ceiling <= 51000
           && ngx_http_idpay_limiter_rate(&l, &conf, now)
              == l.ceiling - l.ceiling / 50,
           "a refusal: what was accepted, less 2 %%: %d", (int) l.rate);

    i = l.rate;
    ngx_http_idpay_limiter_refused(&l, &conf, now + 5, now - 1, 0);
    tap_ok(l.rate == i, "others of the same time tell nothing new");

    ngx_http_idpay_limiter_accepted(&l, now - 3);
    (void) ngx_http_idpay_limiter_wait(&l, 0, &conf, now + 6, NULL);
    tap_ok(l.rate == i + 980, "but what was accepted then counts");

    /* in a row, without an answer between them */

    pause = 0;

    for (i = 0; i < 20; i++) {
        now += pause + 100;
        (void) take(&conf, now, 0, 0, &wait);
        ngx_http_idpay_limiter_refused(&l, &conf, now + 2, now + 1, 0);
        now += 2;
        wait = l.pause_end - now;

        if (wait < pause || wait > 60000) {
            break;
        }

        pause = wait;
    }

    tap_ok(i == 20 && pause == 60000, "each pause is longer, up to 60 s");
    tap_ok(l.rate >= 98 && l.rate <= 100, "down to the lowest rate: %d",
           (int) l.rate);

    fresh();
    ngx_http_idpay_limiter_refused(&l, &conf, T0, T0 - 1, 0);
    tap_ok(l.rate == 4900 && take(&conf, T0, 0, 0, &wait) == NGX_OK,
           "a refusal of the first call of all is no catastrophe");

    /* now and then one, whatever the rate */

    for (now = T0; now < T0 + 50000; now += 1000) {
        ngx_http_idpay_limiter_accepted(&l, now);
        (void) take(&conf, now + 10, 0, 0, &wait);
        ngx_http_idpay_limiter_refused(&l, &conf, now + 20, now + 15, 0);
    }

    tap_ok(l.rate == 1000, "refusals among other answers: %d", (int) l.rate);

    fresh();
    ngx_http_idpay_limiter_refused(&l, &conf, T0, T0 - 1, 0);

    /* raised while it makes calls wait, forgotten when it does not */

    i = l.rate;

    for (now = T0; now < T0 + 5000; now += 10) {
        (void) take(&conf, now, 0, 0, &wait);
    }

    tap_ok(l.rate > i, "successes raise it");

    (void) take(&conf, now + 30000, 0, 0, &wait);
    tap_ok(l.state == NGX_HTTP_IDPAY_LIMITER_LEARNED, "kept for a while");

    (void) take(&conf, now + 100000, 0, 0, &wait);
    tap_ok(l.state == NGX_HTTP_IDPAY_LIMITER_START, "and then forgotten");

    fresh();
    conf.rate = 50000;

    for (now = T0; now < T0 + 1000; now += 50) {
        ngx_http_idpay_limiter_accepted(&l, now);
    }

    ngx_http_idpay_limiter_refused(&l, &conf, now, now - 1, 0);
    tap_ok(l.rate == 24500, "a configured rate is no more than halved: %d",
           (int) l.rate);
}


static void
test_start(void)
{
    ngx_uint_t             n;
    ngx_msec_t             now, wait;
    ngx_http_idpay_rate_t  conf = { 0, 0, 1 };

    fresh();

    for (n = 0; take(&conf, T0, 5000, n, &wait) == NGX_OK && wait == 0; n++) {
        /* void */
    }

    tap_ok(n == 10, "an unknown provider gets 10 calls at once: %d", (int) n);

    for (n = 0; n < 4000; n++) {
        if (take(&conf, T0, 5000, n, &wait) != NGX_OK || wait > 5000) {
            break;
        }
    }

    tap_ok(n == 4000, "nobody is turned away for that");

    fresh();

    for (now = T0; l.state == NGX_HTTP_IDPAY_LIMITER_START; now++) {

        while (ngx_http_idpay_limiter_wait(&l, 0, &conf, now, NULL) == 0) {
            (void) take(&conf, now, 0, 0, &wait);
            ngx_http_idpay_limiter_accepted(&l, now);

            if (l.state == NGX_HTTP_IDPAY_LIMITER_PROVEN) {
                break;
            }
        }

        l.limited = 1;

        if (now > T0 + 30000) {
            break;
        }
    }

    tap_ok(now - T0 < 6000, "with successes the limit is gone after %d ms",
           (int) (now - T0));
}


/*
 * 200 callers want all they can get for 30 s of a provider that allows 50 calls
 * a second: in any second, in each second of the clock, or as a bucket.
 */

static void
simulate(ngx_uint_t kind, ngx_uint_t told, ngx_uint_t known,
    ngx_uint_t workers)
{
    ngx_uint_t             i, good, bad;
    ngx_msec_t             t, now, wait;
    ngx_http_idpay_rate_t  conf = { known ? 50000 : 0, 0, 1 };
    static struct {
        enum { IDLE, WAITS, CALLS, ANSWERED }  state;
        ngx_msec_t                             at;
        ngx_msec_t                             start;
        uint64_t                               ticket;
        ngx_uint_t                             ok;
        ngx_uint_t                             tries;
    } c[200];

    fresh();
    ngx_memzero(c, sizeof(c));

    good = 0;
    bad = 0;

    (void) provider(kind, 0);

    for (t = T0; t < T0 + 30000; t++) {

        for (i = 0; i < 200; i++) {

            /* workers look at a clock of 4 ms, each at its own time */

            now = t - (t + i % workers) % 4;

            if (c[i].state == CALLS && t - c[i].start >= 2 + i % 3) {
                c[i].ok = provider(kind, t);
                c[i].state = ANSWERED;
                c[i].at = t + 2;
            }

            if (c[i].state == ANSWERED && c[i].at <= t) {
                c[i].state = IDLE;

                if (c[i].ok) {
                    good++;
                    c[i].at = t + 1;
                    c[i].tries = 0;
                    ngx_http_idpay_limiter_accepted(&l, c[i].start);
                    continue;
                }

                bad++;
                c[i].at = t + (500 << c[i].tries++ % 3) / (1 + i % 7);

                ngx_http_idpay_limiter_refused(&l, &conf, now, c[i].start,
                                               told);

                if (told) {
                    ngx_http_idpay_limiter_pause(&l, now, 1000);
                    c[i].at = t + 1000;
                }
            }

            if (c[i].state == IDLE && c[i].at <= t
                && ngx_http_idpay_limiter_reserve(&l, 0, &conf, now, 5000,
                                                  &c[i].ticket, &wait)
                   == NGX_OK)
            {
                c[i].state = WAITS;
            }

            if (c[i].state == WAITS
                && ngx_http_idpay_limiter_wait(&l, 0, &conf, now,
                                               &c[i].ticket)
                   == 0)
            {
                c[i].state = CALLS;
                c[i].start = now;
            }
        }
    }

    tap_ok(good * 1000 >= 1500 * (known ? 980 : 950)
           && bad * 1000 <= (good + bad) * (known ? 0 : 30),
           "limit by %s, %s, %d workers: %d of 1500, %d refused",
           kind == 0 ? "any second" : kind == 1 ? "the clock" : "bucket",
           known ? "known" : told ? "with Retry-After" : "without",
           (int) workers, (int) good, (int) bad);
}


static ngx_uint_t
provider(ngx_uint_t kind, ngx_msec_t now)
{
    static ngx_uint_t  n, tokens;
    static ngx_msec_t  taken[4096], last;

    if (now == 0) {
        n = 0;
        tokens = 50000;
        last = T0;
        return 0;
    }

    switch (kind) {

    case 0:
        if (n >= 50 && now - taken[n - 50] < 1000) {
            return 0;
        }

        break;

    case 1:
        if (n >= 50 && now / 1000 == taken[n - 50] / 1000) {
            return 0;
        }

        break;

    default:
        tokens = ngx_min(tokens + (now - last) * 50, 50000);
        last = now;

        if (tokens < 1000) {
            return 0;
        }

        tokens -= 1000;
    }

    taken[n++] = now;

    return 1;
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_uint_t  kind, told, workers;

    test_places(T0);
    test_places((ngx_msec_t) -3000);
    test_burst();
    test_pause();
    test_quota();
    test_refusals();
    test_start();

    for (kind = 0; kind < 3; kind++) {

        for (told = 0; told < 2; told++) {
            simulate(kind, told, 0, 1);
            simulate(kind, told, 0, 4);
        }

        for (workers = 1; workers <= 4; workers *= 2) {
            simulate(kind, 0, 1, workers);
        }
    }

    return tap_done();
}
