
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Tokens over time: who gets one, who is the one to renew it, and how often it
 * is tried while that fails.  The clock is the test's.
 */


#include "../../src/credential/ngx_http_idpay_token.c"

#include "slab.h"
#include "tap.h"


#define TEST_PAGES  64


static void test_begin(ngx_msec_t now);
static ngx_int_t test_get(uint64_t refused);
static void test_publish(uint64_t generation, time_t life);
static void test_fail(ngx_http_idpay_cause_e cause, ngx_msec_t retry);
static void test_outage(void);
static void test_valid(void);
static void test_refused(void);
static void test_lease(void);
static void test_late(void);
static void test_around(void);


static ngx_log_t                        test_log;
static ngx_pool_t                      *test_pool;
static ngx_cycle_t                      test_cycle;
static ngx_str_t                        test_profile = ngx_string("");
static ngx_http_idpay_zone_t            test_shared;
static ngx_http_idpay_cache_t           test_cache;
static ngx_http_idpay_token_t           test_token;
static ngx_http_idpay_token_wait_t      test_wait;
static ngx_http_idpay_upstream_conf_t   test_iucf;

/* of the last renewal */

static uint64_t                         test_owner;
static ngx_uint_t                       test_renewals;


/* in place of the one that asks the provider */

void
ngx_http_idpay_renew(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, uint64_t refused)
{
    test_owner = owner;
    test_renewals++;
}


static void
test_begin(ngx_msec_t now)
{
    ngx_current_msec = now;

    ngx_http_idpay_token_forget(&test_iucf, &test_profile, (uint64_t) -1);
    test_renewals = 0;
}


/* nobody waits for real */

static ngx_int_t
test_get(uint64_t refused)
{
    ngx_int_t  rc;

    rc = ngx_http_idpay_token_get(&test_iucf, &test_profile, refused,
                                  test_pool, &test_token, &test_wait);

    ngx_http_idpay_token_leave(&test_wait);

    return rc;
}


static void
test_publish(uint64_t generation, time_t life)
{
    ngx_http_idpay_store_token_t  pair;

    ngx_memzero(&pair, sizeof(ngx_http_idpay_store_token_t));

    ngx_str_set(&pair.access, "an-access-token");
    pair.generation = generation;

    ngx_http_idpay_token_publish(&test_iucf, &test_profile, test_owner, &pair,
                                 life, 0);
}


static void
test_fail(ngx_http_idpay_cause_e cause, ngx_msec_t retry)
{
    ngx_http_idpay_token_fail(&test_iucf, &test_profile, test_owner, cause,
                              retry, 0);
}


/*
 * For ten minutes a caller comes each 100 ms: 1 + 2 + 4 + ... + 32 s are 63 s,
 * and then it is once a minute.
 */

static void
test_outage(void)
{
    ngx_int_t    rc;
    ngx_uint_t   i, wrong;
    ngx_msec_t   start;

    start = 1000000;
    test_begin(start);

    wrong = 0;

    for (i = 0; i < 6000; i++) {
        ngx_current_msec = start + i * 100;

        rc = test_get(0);

        if (rc == NGX_AGAIN) {
            test_fail(NGX_HTTP_IDPAY_CAUSE_FAILED, 0);
            continue;
        }

        if (rc != NGX_DECLINED
            || test_token.cause != NGX_HTTP_IDPAY_CAUSE_FAILED
            || test_token.retry_after == 0
            || test_token.retry_after > NGX_HTTP_IDPAY_TOKEN_MAX_RETRY)
        {
            wrong++;
        }
    }

    tap_ok(test_renewals == 7 + 8, "an outage: one attempt a step, %lu",
           (unsigned long) test_renewals);
    tap_ok(wrong == 0, "an outage: the others are told at once");

    /* the step that is under way is the last one that anybody notices */

    for (i = 0; i < 600; i++) {
        ngx_current_msec += 100;

        if (test_get(0) == NGX_AGAIN) {
            break;
        }
    }

    tap_ok(i < 600, "an outage: within a step it is tried again");

    test_publish(1, 3600);
    tap_ok(test_get(0) == NGX_OK, "an outage: and is over");

    /* what comes later begins anew */

    ngx_current_msec += 3590 * 1000;
    tap_ok(test_get(0) == NGX_OK && test_renewals > 15,
           "an outage: the next renewal");
    test_fail(NGX_HTTP_IDPAY_CAUSE_FAILED, 0);

    ngx_current_msec += 900;
    i = test_renewals;
    (void) test_get(0);
    tap_ok(test_renewals == i, "an outage: the first step again");

    ngx_current_msec += 101;
    (void) test_get(0);
    tap_ok(test_renewals == i + 1, "an outage: is of one second");
}


/* for those who have a valid token nothing has happened */

static void
test_valid(void)
{
    ngx_uint_t  i, wrong, before, after;

    test_begin(5000000);

    (void) test_get(0);
    test_publish(1, 3600);

    wrong = 0;
    before = 0;
    after = 0;

    for (i = 0; i < 3594; i++) {
        ngx_current_msec += 1000;

        wrong += (test_get(0) != NGX_OK || test_token.generation != 1);

        if (test_renewals == 1) {
            before = i;
            continue;
        }

        after++;

        if (test_owner) {
            test_fail(NGX_HTTP_IDPAY_CAUSE_FAILED, 0);
            test_owner = 0;
        }
    }

    tap_ok(before + 1 >= 2700 && before + 1 <= 3061,
           "valid: renewed after %lu s of 3600", (unsigned long) before + 1);
    tap_ok(wrong == 0, "valid: nobody notices that it fails");
    tap_ok(test_renewals > 5 && test_renewals < 25,
           "valid: tried %lu times in %lu s", (unsigned long) test_renewals - 1,
           (unsigned long) after);

    ngx_current_msec += 1000;
    tap_ok(test_get(0) != NGX_OK, "valid: an expired one is never sent");
}


static void
test_refused(void)
{
    ngx_uint_t  i, wrong;

    test_begin(9000000);

    (void) test_get(0);
    test_publish(1, 3600);

    wrong = 0;

    for (i = 0; i < 1000; i++) {
        wrong += !ngx_http_idpay_token_again(&test_iucf, &test_profile, 1);
        wrong += (test_get(1) != NGX_AGAIN);
    }

    tap_ok(wrong == 0 && test_renewals == 2,
           "refused: one renewal for a thousand");

    test_publish(2, 3600);

    wrong = 0;

    for (i = 0; i < 1000; i++) {
        wrong += !ngx_http_idpay_token_again(&test_iucf, &test_profile, 1);
        wrong += (test_get(1) != NGX_OK || test_token.generation != 2);
    }

    tap_ok(wrong == 0 && test_renewals == 2,
           "refused: those who come late have the newer one");

    ngx_http_idpay_token_refused(&test_iucf, &test_profile, 1);
    tap_ok(ngx_http_idpay_token_again(&test_iucf, &test_profile, 2),
           "refused: of an older one it is nothing new");

    ngx_http_idpay_token_refused(&test_iucf, &test_profile, 2);
    tap_ok(!ngx_http_idpay_token_again(&test_iucf, &test_profile, 2),
           "refused: a new one as well, so that another is of no use");

    ngx_current_msec += NGX_HTTP_IDPAY_TOKEN_HOLD;
    tap_ok(ngx_http_idpay_token_again(&test_iucf, &test_profile, 2),
           "refused: for a while");
}


static void
test_lease(void)
{
    uint64_t  first;

    test_begin(20000000);

    (void) test_get(0);
    first = test_owner;

    ngx_current_msec += NGX_HTTP_IDPAY_TOKEN_LEASE - 1;
    tap_ok(test_get(0) == NGX_AGAIN && test_renewals == 1,
           "lease: nobody else as long as it lasts");

    ngx_current_msec += 1;
    tap_ok(test_get(0) == NGX_AGAIN && test_renewals == 2
           && test_owner != first, "lease: then somebody else");

    ngx_http_idpay_token_fail(&test_iucf, &test_profile, first,
                              NGX_HTTP_IDPAY_CAUSE_FAILED, 0, 0);
    tap_ok(test_get(0) == NGX_AGAIN && test_renewals == 2,
           "lease: who has lost it ends nothing");

    test_fail(NGX_HTTP_IDPAY_CAUSE_FAILED, 30000);
    tap_ok(test_get(0) == NGX_DECLINED && test_token.retry_after == 30000,
           "lease: the provider's own time to come again");
}


/* a worker was stopped, and another one has been faster */

static void
test_late(void)
{
    uint64_t  first, second;

    test_begin(30000000);

    (void) test_get(0);
    first = test_owner;

    ngx_current_msec += NGX_HTTP_IDPAY_TOKEN_LEASE;
    (void) test_get(0);
    second = test_owner;
    test_publish(5, 3600);

    test_owner = first;
    test_publish(4, 3600);
    tap_ok(test_get(0) == NGX_OK && test_token.generation == 5,
           "late: an older pair replaces nothing");

    test_publish(6, 3600);
    tap_ok(test_get(0) == NGX_OK && test_token.generation == 6,
           "late: a newer one does");

    test_owner = second;
    test_fail(NGX_HTTP_IDPAY_CAUSE_GONE, 0);
    tap_ok(test_get(0) == NGX_OK, "late: nor does a refusal that is too late");
}


/* ms are counted in 32 bits on some systems, and come around */

static void
test_around(void)
{
    test_begin((ngx_msec_t) -1000);

    (void) test_get(0);
    test_publish(1, 3600);
    tap_ok(test_get(0) == NGX_OK, "around: before");

    ngx_current_msec += 2000000;
    tap_ok(test_get(0) == NGX_OK && test_renewals == 1, "around: after");

    ngx_current_msec += 1700000;
    tap_ok(test_get(0) == NGX_AGAIN && test_renewals == 2,
           "around: at its end");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_cycle.log = &test_log;
    ngx_cycle = &test_cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_ncpu = 1;
    ngx_pid = ngx_getpid();

    ngx_time_init();
    ngx_slab_sizes_init();
    (void) ngx_event_timer_init(&test_log);
    ngx_queue_init(&ngx_posted_events);

    test_pool = ngx_create_pool(4096, &test_log);

    ngx_http_idpay_cache_init(&test_cache);

    test_shared.shpool = slab_pool(TEST_PAGES, &test_log);
    test_shared.cache = &test_cache;
    test_iucf.zone = &test_shared;

    test_outage();
    test_valid();
    test_refused();
    test_lease();
    test_late();
    test_around();

    ngx_destroy_pool(test_pool);

    return tap_done();
}
