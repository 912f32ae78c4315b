
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A breaker, step by step, at several times of its clock.
 */


#include "../../src/policy/ngx_http_idpay_breaker.c"

#include "tap.h"


#define CLOSED     NGX_HTTP_IDPAY_BREAKER_CLOSED
#define OPEN       NGX_HTTP_IDPAY_BREAKER_OPEN
#define HALF_OPEN  NGX_HTTP_IDPAY_BREAKER_HALF_OPEN

#define LEASE      3000


/*
 * A step; "at" and "start" are ms since the beginning of the clock.  Each
 * scenario begins with a new breaker.
 *   set: "at" is the failures, "start" the window, "n" the ms open
 *   admit: "n" is the probe's number or 0
 *   busy: "n" is the ms to wait
 *   success, failure, release: "n" is the probe's number or 0
 */

typedef enum {
    BEGIN,
    SET,
    ADMIT,
    BUSY,
    SUCCESS,
    FAILURE,
    RELEASE
} step_e;


static struct {
    step_e       what;
    ngx_uint_t   at;
    ngx_uint_t   start;
    ngx_uint_t   n;
    ngx_uint_t   state;
    char        *name;
} steps[] = {
    { BEGIN, 0, 0, 0, CLOSED, "a run of failures opens it" },
    { SET, 3, 10000, 5000, CLOSED, NULL },
    { ADMIT, 0, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 200, 0, 0, CLOSED, NULL },
    { ADMIT, 200, 0, 0, CLOSED, NULL },
    { FAILURE, 300, 0, 0, OPEN, NULL },
    { BUSY, 300, 0, 5000, OPEN, NULL },
    { BUSY, 5299, 0, 1, OPEN, NULL },
    { ADMIT, 5300, 0, 1, HALF_OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "a success ends the run" },
    { SET, 3, 10000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { SUCCESS, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the window, just within" },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 1100, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the window, just over" },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 1101, 0, 0, CLOSED, NULL },
    { FAILURE, 2102, 0, 0, CLOSED, NULL },
    { FAILURE, 3102, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the last ones of a long run count" },
    { SET, 3, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 700, 0, 0, CLOSED, NULL },
    { FAILURE, 1300, 0, 0, CLOSED, NULL },
    { FAILURE, 1701, 0, 0, CLOSED, NULL },
    { FAILURE, 2300, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "one failure is enough" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "no breaker" },
    { SET, 0, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { ADMIT, 100, 0, 0, CLOSED, NULL },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { ADMIT, 100, 0, 0, CLOSED, NULL },
    { SET, 2, 1000, 5000, CLOSED, "and what it saw says nothing" },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "a failure of another worker, a bit ahead" },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { FAILURE, 105, 0, 0, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },
    { BUSY, 97, 0, 5003, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the probe succeeds" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 0, 0, 0, OPEN, NULL },
    { ADMIT, 5000, 0, 1, HALF_OPEN, NULL },
    { BUSY, 5000, 0, 1000, HALF_OPEN, NULL },
    { BUSY, 7000, 0, 1000, HALF_OPEN, NULL },
    { BUSY, 7001, 0, 999, HALF_OPEN, NULL },
    { BUSY, 7999, 0, 1, HALF_OPEN, NULL },
    { SUCCESS, 7999, 5000, 1, CLOSED, NULL },
    { ADMIT, 7999, 0, 0, CLOSED, NULL },
    { SET, 2, 1000, 5000, CLOSED, "and the run begins anew" },
    { FAILURE, 8100, 8000, 0, CLOSED, NULL },
    { FAILURE, 8100, 8000, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the probe fails" },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { FAILURE, 0, 0, 0, CLOSED, NULL },
    { FAILURE, 0, 0, 0, OPEN, NULL },
    { ADMIT, 6000, 0, 1, HALF_OPEN, NULL },
    { FAILURE, 6500, 6000, 1, OPEN, NULL },
    { BUSY, 6500, 0, 5000, OPEN, NULL },
    { BUSY, 11499, 0, 1, OPEN, NULL },
    { ADMIT, 11500, 0, 2, HALF_OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the probe is lost" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 0, 0, 0, OPEN, NULL },
    { ADMIT, 5000, 0, 1, HALF_OPEN, NULL },
    { ADMIT, 8000, 0, 2, HALF_OPEN, NULL },
    { BUSY, 8000, 0, 1000, HALF_OPEN, NULL },
    { FAILURE, 8100, 5000, 1, HALF_OPEN, "and its end comes too late" },
    { SUCCESS, 8100, 5000, 1, HALF_OPEN, NULL },
    { RELEASE, 8100, 5000, 1, HALF_OPEN, NULL },
    { BUSY, 8100, 0, 1000, HALF_OPEN, NULL },
    { SUCCESS, 8200, 8000, 2, CLOSED, NULL },
    { FAILURE, 8300, 5000, 1, CLOSED, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the probe is late, and none came after it" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 0, 0, 0, OPEN, NULL },
    { ADMIT, 5000, 0, 1, HALF_OPEN, NULL },
    { SUCCESS, 9000, 5000, 1, CLOSED, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "the probe is given up" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 0, 0, 0, OPEN, NULL },
    { RELEASE, 100, 0, 0, OPEN, NULL },
    { BUSY, 100, 0, 4900, OPEN, NULL },
    { ADMIT, 5000, 0, 1, HALF_OPEN, NULL },
    { RELEASE, 5100, 0, 0, HALF_OPEN, NULL },
    { BUSY, 5100, 0, 1000, HALF_OPEN, NULL },
    { RELEASE, 5100, 0, 1, HALF_OPEN, NULL },
    { BUSY, 5098, 0, 2, HALF_OPEN, NULL },
    { ADMIT, 5100, 0, 2, HALF_OPEN, NULL },
    { BUSY, 5100, 0, 1000, HALF_OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "other calls say nothing meanwhile" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },
    { SUCCESS, 200, 150, 0, OPEN, NULL },
    { FAILURE, 4000, 150, 0, OPEN, NULL },
    { ADMIT, 5100, 0, 1, HALF_OPEN, NULL },
    { SUCCESS, 5200, 5150, 0, HALF_OPEN, NULL },
    { FAILURE, 5200, 5150, 0, HALF_OPEN, NULL },
    { SUCCESS, 5300, 5100, 1, CLOSED, NULL },
    { FAILURE, 5400, 5299, 0, CLOSED, "nor what began before" },
    { FAILURE, 5400, 5300, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "an old success does not end a new run" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },
    { ADMIT, 5100, 0, 1, HALF_OPEN, NULL },
    { SUCCESS, 5300, 5100, 1, CLOSED, NULL },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { FAILURE, 5400, 5300, 0, CLOSED, NULL },
    { SUCCESS, 5400, 50, 0, CLOSED, NULL },
    { FAILURE, 5400, 5300, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "closed by another worker, a bit ahead" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },
    { ADMIT, 5100, 0, 1, HALF_OPEN, NULL },
    { SUCCESS, 5300, 5100, 1, CLOSED, NULL },
    { FAILURE, 5298, 50, 0, CLOSED, NULL },
    { FAILURE, 5310, 5301, 0, OPEN, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "switched off and on" },
    { SET, 1, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, OPEN, NULL },
    { SET, 0, 1000, 5000, OPEN, NULL },
    { ADMIT, 200, 0, 0, OPEN, NULL },
    { FAILURE, 300, 200, 0, OPEN, NULL },
    { SET, 1, 1000, 5000, OPEN, NULL },
    { BUSY, 300, 0, 4800, OPEN, NULL },
    { ADMIT, 9000, 0, 1, HALF_OPEN, NULL },
    { SET, 0, 1000, 5000, HALF_OPEN, NULL },
    { ADMIT, 9000, 0, 0, HALF_OPEN, NULL },
    { FAILURE, 9100, 9000, 1, HALF_OPEN, NULL },
    { SUCCESS, 9100, 9000, 1, CLOSED, NULL },

    { BEGIN, 0, 0, 0, CLOSED, "another number of failures" },
    { SET, 9, 1000, 5000, CLOSED, NULL },
    { FAILURE, 100, 0, 0, CLOSED, NULL },
    { FAILURE, 200, 0, 0, CLOSED, NULL },
    { FAILURE, 300, 0, 0, CLOSED, NULL },
    { SET, 2, 1000, 5000, CLOSED, NULL },
    { ADMIT, 300, 0, 0, CLOSED, NULL },
    { FAILURE, 400, 0, 0, OPEN, NULL }
};


static ngx_http_idpay_breaker_conf_t  conf = { 1, 1000, 5000 };


static void test_steps(ngx_msec_t epoch);
static void test_ring(void);
static void test_old(void);
static void test_numbers(void);


int ngx_cdecl
main(int argc, char *const *argv)
{
    /* the clock at 0, at its half, and such that it begins anew meanwhile */

    test_steps(0);
    test_steps(1000000);
    test_steps((ngx_msec_t) 1 << (NGX_PTR_SIZE * 8 - 1));
    test_steps(((ngx_msec_t) 1 << (NGX_PTR_SIZE * 8 - 1)) - 250);
    test_steps((ngx_msec_t) -250);
    test_steps((ngx_msec_t) -5200);
    test_steps((ngx_msec_t) -30000);

    test_ring();
    test_old();
    test_numbers();

    return tap_done();
}


static void
test_steps(ngx_msec_t epoch)
{
    char                           *name;
    ngx_int_t                       rc;
    ngx_uint_t                      i, probe, good, bad;
    ngx_msec_t                      at, start, wait;
    ngx_http_idpay_breaker_t        breaker;
    ngx_http_idpay_breaker_conf_t   c;

    name = NULL;
    good = 1;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        at = epoch + steps[i].at;
        start = epoch + steps[i].start;
        bad = 0;
        wait = 0;
        probe = 99;

        if (steps[i].name) {
            if (name) {
                tap_ok(good, "%s, since %ld", name, (long) epoch);
            }

            name = steps[i].name;
            good = 1;
        }

        switch (steps[i].what) {

        case BEGIN:
            ngx_memzero(&breaker, sizeof(ngx_http_idpay_breaker_t));
            break;

        case SET:
            c.failures = steps[i].at;
            c.window = steps[i].start;
            c.open = steps[i].n;
            break;

        case ADMIT:
        case BUSY:
            rc = ngx_http_idpay_breaker_admit(&breaker, &c, at, LEASE, &probe,
                                              &wait);
            bad = (steps[i].what == ADMIT)
                  ? rc != NGX_OK || probe != steps[i].n
                  : rc != NGX_BUSY || wait != steps[i].n || probe != 0;
            break;

        case SUCCESS:
            ngx_http_idpay_breaker_success(&breaker, at, start, steps[i].n);
            break;

        case FAILURE:
            ngx_http_idpay_breaker_failure(&breaker, &c, at, start,
                                           steps[i].n);
            break;

        default: /* RELEASE */
            ngx_http_idpay_breaker_release(&breaker, at, steps[i].n);
        }

        if (bad || breaker.state != steps[i].state) {
            good = 0;
            printf("# step %d at %d: state %d, wait %d, probe %d\n", (int) i,
                   (int) steps[i].at, (int) breaker.state, (int) wait,
                   (int) probe);
        }
    }

    tap_ok(good, "%s, since %ld", name, (long) epoch);
}


/* the longest run there is, more than once around the ring */

static void
test_ring(void)
{
    ngx_uint_t                      i;
    ngx_http_idpay_breaker_t        breaker;
    ngx_http_idpay_breaker_conf_t   c;

    c.failures = NGX_HTTP_IDPAY_MAX_FAILURES;
    c.window = 630;
    c.open = 5000;

    ngx_memzero(&breaker, sizeof(ngx_http_idpay_breaker_t));

    for (i = 0; i < 1000; i++) {
        ngx_http_idpay_breaker_failure(&breaker, &c, 1000 + i * 11, 0, 0);
    }

    tap_ok(breaker.state == CLOSED, "64 failures in 693 ms");

    for (i = 0; breaker.state == CLOSED; i++) {
        ngx_http_idpay_breaker_failure(&breaker, &c, 12000 + i * 10, 0, 0);
    }

    tap_ok(i == 64, "64 failures in 630 ms: %d", (int) i);
}


/* what was long ago does not come back when the clock has gone far around */

static void
test_old(void)
{
    ngx_int_t                       rc;
    ngx_msec_t                      half, wait;
    ngx_uint_t                      probe;
    ngx_http_idpay_breaker_t        breaker;
    ngx_http_idpay_breaker_conf_t   c;

    half = ((ngx_msec_t) 1 << (NGX_PTR_SIZE * 8 - 1)) + 100000;

    ngx_memzero(&breaker, sizeof(ngx_http_idpay_breaker_t));

    ngx_http_idpay_breaker_failure(&breaker, &conf, 1000, 900, 0);

    rc = ngx_http_idpay_breaker_admit(&breaker, &conf, 1000 + half, LEASE,
                                      &probe, &wait);

    tap_ok(rc == NGX_OK && probe == 1, "opened long ago");

    rc = ngx_http_idpay_breaker_admit(&breaker, &conf, 1000 + 2 * half, LEASE,
                                      &probe, &wait);

    tap_ok(rc == NGX_OK && probe == 2, "half open since long ago");

    ngx_http_idpay_breaker_success(&breaker, 2000, 1000, 2);
    ngx_http_idpay_breaker_failure(&breaker, &conf, 2000 + half, 1990 + half,
                                   0);

    tap_ok(breaker.state == OPEN, "closed long ago");

    ngx_memzero(&breaker, sizeof(ngx_http_idpay_breaker_t));

    c = conf;
    c.failures = 2;

    ngx_http_idpay_breaker_failure(&breaker, &c, 1000, 900, 0);
    ngx_http_idpay_breaker_failure(&breaker, &c, 1000 + half, 900 + half, 0);

    tap_ok(breaker.state == CLOSED, "failed long ago");
}


static void
test_numbers(void)
{
    ngx_msec_t                 wait;
    ngx_uint_t                 probe;
    ngx_http_idpay_breaker_t   breaker;

    ngx_memzero(&breaker, sizeof(ngx_http_idpay_breaker_t));
    breaker.probe = (ngx_uint_t) -1;

    ngx_http_idpay_breaker_failure(&breaker, &conf, 1000, 900, 0);

    tap_ok(breaker.changed == 1000, "open since the failure");

    tap_ok(ngx_http_idpay_breaker_admit(&breaker, &conf, 6000, LEASE, &probe,
                                        &wait) == NGX_OK
           && probe == 1, "no probe has the number 0");

    tap_ok(breaker.changed == 6000, "half open since the probe");

    ngx_http_idpay_breaker_success(&breaker, 6100, 6000, probe);

    tap_ok(breaker.changed == 6100, "closed since its success");
}
