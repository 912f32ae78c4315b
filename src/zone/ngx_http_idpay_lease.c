
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "zone/ngx_http_idpay_lease.h"


static ngx_http_idpay_lease_t *ngx_http_idpay_lease_own(
    ngx_http_idpay_leases_t *leases);


void
ngx_http_idpay_lease_reset(ngx_http_idpay_leases_t *leases)
{
    ngx_http_idpay_lease_t  *lease;

    lease = ngx_http_idpay_lease_own(leases);

    if (lease) {
        lease->count = 0;
    }
}


void
ngx_http_idpay_lease_take(ngx_http_idpay_leases_t *leases, ngx_msec_t end)
{
    ngx_atomic_uint_t        used, own;
    ngx_http_idpay_lease_t  *lease;

    lease = ngx_http_idpay_lease_own(leases);

    if (lease == NULL) {
        return;
    }

    own = ngx_process_slot + 1;

    do {
        used = leases->used;
    } while (used < own && !ngx_atomic_cmp_set(&leases->used, used, own));

    /* an end that nobody waits for may be of any age */

    if (lease->count == 0
        || (ngx_msec_int_t) (end - (ngx_msec_t) lease->end) > 0)
    {
        lease->end = end;
    }

    lease->count++;
}


void
ngx_http_idpay_lease_give(ngx_http_idpay_leases_t *leases)
{
    ngx_http_idpay_lease_t  *lease;

    lease = ngx_http_idpay_lease_own(leases);

    if (lease && lease->count) {
        lease->count--;
    }
}


ngx_uint_t
ngx_http_idpay_lease_sum(ngx_http_idpay_leases_t *leases, ngx_msec_t now)
{
    ngx_uint_t               i, used, sum;
    ngx_http_idpay_lease_t  *lease;

    sum = 0;
    used = leases->used;

    for (i = 0; i < used; i++) {
        lease = &leases->slots[i];

        if ((ngx_msec_int_t) ((ngx_msec_t) lease->end - now) > 0) {
            sum += lease->count;
        }
    }

    return sum;
}


/* NULL in a process that nginx has no slot for */

static ngx_http_idpay_lease_t *
ngx_http_idpay_lease_own(ngx_http_idpay_leases_t *leases)
{
    if (ngx_process_slot < 0 || ngx_process_slot >= NGX_MAX_PROCESSES) {
        return NULL;
    }

    return &leases->slots[ngx_process_slot];
}
