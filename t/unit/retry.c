
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Delays before a retry, and the budget of retries.
 */


#include "../../src/policy/ngx_http_idpay_window.c"
#include "../../src/policy/ngx_http_idpay_retry.c"

#include "tap.h"


static struct {
    ngx_msec_t   base;
    ngx_uint_t   factor;
    ngx_msec_t   max;
    ngx_uint_t   attempts;
    ngx_msec_t   delay;
} delays[] = {
    { 100, 2000, 10000, 1, 100 },
    { 100, 2000, 10000, 2, 200 },
    { 100, 2000, 10000, 7, 6400 },
    { 100, 2000, 10000, 8, 10000 },
    { 100, 2000, 10000, 1000, 10000 },
    { 100, 2000, 6400, 7, 6400 },
    { 100, 2000, 6399, 7, 6399 },
    { 100, 2000, 100, 5, 100 },
    { 100, 2000, 50, 1, 50 },
    { 100, 1000, 10000, 1000, 100 },
    { 100, 1500, 10000, 4, 337 },
    { 100, 1500, 10000, 5, 506 },
    { 1, 1500, 10000, 2, 1 },
    { 1, 1500, 10000, 3, 2 },
    { 1, 1500, 10000, 10, 38 },
    { 10, 1100, 1000000, 100, 125236 },
    { 1, 100000, 3600000, 4, 1000000 },
    { 1, 100000, 3600000, 5, 3600000 },
    { 1, 100000, 3600000, 1000, 3600000 },
    { 0, 2000, 10000, 1000, 0 },
    { 100, 2000, 0, 3, 0 },
    { 4000000000, 100000, 4294967295, 1, 4000000000 },
    { 4000000000, 100000, 4294967295, 1000, 4294967295 },
    { 1, 100000, 1000000000000, 7, 1000000000000 }
};


/* calls at once, and how many retries follow them at most */

static struct {
    ngx_uint_t   calls;
    ngx_uint_t   in_flight;
    ngx_uint_t   budget;
    ngx_uint_t   retries;
} budgets[] = {
    { 0, 0, 20, NGX_HTTP_IDPAY_MIN_RETRIES },
    { 1000, 1000, 0, NGX_HTTP_IDPAY_MIN_RETRIES },
    { 15, 0, 20, 3 },
    { 19, 0, 20, 3 },
    { 20, 0, 20, 4 },
    { 24, 0, 20, 4 },
    { 25, 0, 20, 5 },
    { 0, 20, 20, 4 },
    { 25, 20, 20, 5 },
    { 20, 25, 20, 5 },
    { 399, 0, 1, 3 },
    { 400, 0, 1, 4 },
    { 33, 0, 33, 10 },
    { 34, 0, 33, 11 },
    { 50, 0, 100, 50 }
};


static void test_delays(void);
static void test_jitter(void);
static void test_budgets(void);
static void test_time(void);
static ngx_uint_t take_all(ngx_http_idpay_budget_t *budget,
    ngx_http_idpay_retry_conf_t *conf, ngx_msec_t now, ngx_uint_t in_flight);


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_delays();
    test_jitter();
    test_budgets();
    test_time();

    return tap_done();
}


static void
test_delays(void)
{
    ngx_uint_t                    i, good;
    ngx_msec_t                    delay, last;
    ngx_http_idpay_retry_conf_t   conf;

    ngx_memzero(&conf, sizeof(ngx_http_idpay_retry_conf_t));

    for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        conf.base = delays[i].base;
        conf.factor = delays[i].factor;
        conf.max = delays[i].max;

        delay = ngx_http_idpay_retry_delay(&conf, delays[i].attempts, 12345);

        tap_ok(delay == delays[i].delay,
               "%lu ms times %lu/1000, %lu at most, after attempt %lu: %lu",
               (u_long) conf.base, (u_long) conf.factor, (u_long) conf.max,
               (u_long) delays[i].attempts, (u_long) delay);
    }

    conf.base = 1;
    conf.factor = 100000;
    conf.max = NGX_MAX_INT_T_VALUE;

    good = 1;
    last = 0;

    for (i = 1; i <= 1000; i++) {
        delay = ngx_http_idpay_retry_delay(&conf, i, 0);

        if (delay < last) {
            good = 0;
        }

        last = delay;
    }

    tap_ok(good, "without an end it only grows, up to %lu ms", (u_long) last);
}


static void
test_jitter(void)
{
    ngx_uint_t                    i, good;
    ngx_http_idpay_retry_conf_t   conf;

    conf.base = 100;
    conf.factor = 2000;
    conf.max = 10000;
    conf.jitter = 1;

    good = 1;

    for (i = 0; i < 1000; i++) {
        if (ngx_http_idpay_retry_delay(&conf, 2, i) != i % 201) {
            good = 0;
        }
    }

    tap_ok(good, "jitter is anything from 0 to the delay");

    tap_ok(ngx_http_idpay_retry_delay(&conf, 2, (ngx_uint_t) -1) <= 200,
           "jitter of a big number");

    conf.base = 0;

    tap_ok(ngx_http_idpay_retry_delay(&conf, 2, 7) == 0, "jitter of nothing");
}


static void
test_budgets(void)
{
    ngx_uint_t                    i, n;
    ngx_http_idpay_budget_t       budget;
    ngx_http_idpay_retry_conf_t   conf;

    for (i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        ngx_memzero(&budget, sizeof(ngx_http_idpay_budget_t));
        conf.budget = budgets[i].budget;

        for (n = 0; n < budgets[i].calls; n++) {
            ngx_http_idpay_window_add(&budget.calls, 60000 + n % 10 * 1000,
                                      NGX_HTTP_IDPAY_BUDGET_SLOT);
        }

        n = take_all(&budget, &conf, 69999, budgets[i].in_flight);

        tap_ok(n == budgets[i].retries,
               "%d calls, %d in flight, %d percent: %d retries",
               (int) budgets[i].calls, (int) budgets[i].in_flight,
               (int) budgets[i].budget, (int) n);
    }
}


static void
test_time(void)
{
    ngx_uint_t                    i;
    ngx_http_idpay_budget_t       budget;
    ngx_http_idpay_retry_conf_t   conf;

    ngx_memzero(&budget, sizeof(ngx_http_idpay_budget_t));
    conf.budget = 10;

    for (i = 0; i < 100; i++) {
        ngx_http_idpay_window_add(&budget.calls, 60000,
                                  NGX_HTTP_IDPAY_BUDGET_SLOT);
    }

    tap_ok(take_all(&budget, &conf, 64000, 0) == 10, "all of the budget");
    tap_ok(take_all(&budget, &conf, 69999, 0) == 0, "none is left");
    tap_ok(take_all(&budget, &conf, 74000, 0) == 0,
           "none after just the window");

    /* 10 retries, of which one is over after a tenth of the slot */

    tap_ok(take_all(&budget, &conf, 74799, 0) == 0, "more than 2 left");
    tap_ok(take_all(&budget, &conf, 74800, 0) == 1, "2 left, one is taken");
    tap_ok(take_all(&budget, &conf, 74899, 0) == 0, "1.01 and the new one");
    tap_ok(take_all(&budget, &conf, 74900, 0) == 1, "1 and the new one");
    tap_ok(take_all(&budget, &conf, 75000, 0) == 1, "the old ones are over");
    tap_ok(take_all(&budget, &conf, 90000, 0) == NGX_HTTP_IDPAY_MIN_RETRIES,
           "all are over");
    tap_ok(ngx_http_idpay_window_sum(&budget.retries, 90000,
                                     NGX_HTTP_IDPAY_BUDGET_SLOT)
           == NGX_HTTP_IDPAY_MIN_RETRIES * 1000,
           "what was refused is not counted");

    /* 10.5 are allowed, and of 10 a half one is over */

    ngx_memzero(&budget, sizeof(ngx_http_idpay_budget_t));

    for (i = 0; i < 105; i++) {
        ngx_http_idpay_window_add(&budget.calls, 65000,
                                  NGX_HTTP_IDPAY_BUDGET_SLOT);
    }

    tap_ok(take_all(&budget, &conf, 65000, 0) == 10, "10 of 10.5");

    for (i = 0; i < 105; i++) {
        ngx_http_idpay_window_add(&budget.calls, 75000,
                                  NGX_HTTP_IDPAY_BUDGET_SLOT);
    }

    budget.calls.slots[65 % 12] = 0;

    tap_ok(take_all(&budget, &conf, 75049, 0) == 0, "9.51 and the new one");
    tap_ok(take_all(&budget, &conf, 75050, 0) == 1, "9.5 and the new one");
}


static ngx_uint_t
take_all(ngx_http_idpay_budget_t *budget, ngx_http_idpay_retry_conf_t *conf,
    ngx_msec_t now, ngx_uint_t in_flight)
{
    ngx_uint_t  n;

    for (n = 0; n < 10000; n++) {
        if (ngx_http_idpay_retry_take(budget, conf, now, in_flight) != NGX_OK)
        {
            break;
        }
    }

    return n;
}
