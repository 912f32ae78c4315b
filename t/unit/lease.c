
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What processes hold: a process is its slot.
 */


#include "../../src/zone/ngx_http_idpay_lease.c"

#include "tap.h"


#define TAKE   0
#define GIVE   1
#define RESET  2
#define SUM    3


/* a step of one process; for "sum" a time and what all hold then */

static struct {
    ngx_int_t    slot;
    ngx_uint_t   what;
    ngx_msec_t   ms;
    ngx_uint_t   held;
    ngx_uint_t   used;
} steps[] = {
    { 0, SUM, 0, 0, 0 },
    { 0, GIVE, 0, 0, 0 },
    { 0, SUM, 0, 0, 0 },

    { 2, TAKE, 1000, 0, 0 },
    { 2, SUM, 999, 1, 3 },
    { 2, SUM, 1000, 0, 3 },
    { 5, TAKE, 2000, 0, 0 },
    { 5, TAKE, 1500, 0, 0 },
    { 2, SUM, 999, 3, 6 },
    { 2, SUM, 1000, 2, 6 },
    { 2, SUM, 1999, 2, 6 },
    { 2, SUM, 2000, 0, 6 },

    /* a lower slot does not lower what is looked at */

    { 1, TAKE, 1200, 0, 0 },
    { 1, SUM, 999, 4, 6 },
    { 1, GIVE, 0, 0, 0 },
    { 1, SUM, 999, 3, 6 },

    /* one process never gives back what is another's */

    { 1, GIVE, 0, 0, 0 },
    { 1, GIVE, 0, 0, 0 },
    { 1, SUM, 999, 3, 6 },
    { 5, GIVE, 0, 0, 0 },
    { 5, SUM, 999, 2, 6 },

    /* the process of slot 5 was killed, and there is a new one */

    { 5, RESET, 0, 0, 0 },
    { 5, SUM, 999, 1, 6 },
    { 5, TAKE, 1100, 0, 0 },
    { 5, SUM, 1099, 1, 6 },
    { 5, SUM, 1100, 0, 6 },
    { 5, GIVE, 0, 0, 0 },
    { 2, RESET, 0, 0, 0 },
    { 2, SUM, 0, 0, 6 },

    /* ms that begin anew */

    { 2, TAKE, (ngx_msec_t) -10, 0, 0 },
    { 2, TAKE, 10, 0, 0 },
    { 2, SUM, (ngx_msec_t) -20, 2, 6 },
    { 2, SUM, 9, 2, 6 },
    { 2, SUM, 10, 0, 6 },
    { 2, TAKE, (ngx_msec_t) -5, 0, 0 },
    { 2, SUM, 9, 3, 6 },
    { 2, RESET, 0, 0, 0 },

    /* processes without a slot, and the last one */

    { -1, TAKE, 1000, 0, 0 },
    { -1, GIVE, 0, 0, 0 },
    { -1, RESET, 0, 0, 0 },
    { -1, SUM, 0, 0, 6 },
    { NGX_MAX_PROCESSES, TAKE, 1000, 0, 0 },
    { NGX_MAX_PROCESSES, GIVE, 0, 0, 0 },
    { NGX_MAX_PROCESSES, RESET, 0, 0, 0 },
    { NGX_MAX_PROCESSES, SUM, 0, 0, 6 },
    { NGX_MAX_PROCESSES - 1, TAKE, 1000, 0, 0 },
    { 0, SUM, 0, 1, NGX_MAX_PROCESSES }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_uint_t                i, held;
    ngx_http_idpay_leases_t  *leases;

    /* nothing before or after it is touched: a sanitizer looks */

    leases = calloc(1, sizeof(ngx_http_idpay_leases_t));
    if (leases == NULL) {
        return 1;
    }

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        ngx_process_slot = steps[i].slot;

        switch (steps[i].what) {

        case TAKE:
            ngx_http_idpay_lease_take(leases, steps[i].ms);
            break;

        case GIVE:
            ngx_http_idpay_lease_give(leases);
            break;

        case RESET:
            ngx_http_idpay_lease_reset(leases);
            break;

        default: /* SUM */
            held = ngx_http_idpay_lease_sum(leases, steps[i].ms);

            tap_ok(held == steps[i].held && leases->used == steps[i].used,
                   "step %d: %d held, of %d slots", (int) i, (int) held,
                   (int) leases->used);
        }
    }

    free(leases);

    return tap_done();
}
