
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Counts of what the processes hold, in shared memory.  Each process writes
 * to its own, and each has an end: what a killed process held is nobody's
 * after it, at the latest.
 */


#ifndef _NGX_HTTP_IDPAY_LEASE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct {
    ngx_atomic_t    count;
    ngx_atomic_t    end;       /* ms, of the last one */
} ngx_http_idpay_lease_t;


/* zeroed is empty */

typedef struct {
    ngx_atomic_t             used;     /* slots, up to the highest one */
    ngx_http_idpay_lease_t   slots[NGX_MAX_PROCESSES];
} ngx_http_idpay_leases_t;


/* Forgets what a former process of this slot held.  Needs no lock, as below. */

void ngx_http_idpay_lease_reset(ngx_http_idpay_leases_t *leases);

/* Takes one until "end", ms, and gives one back. */

void ngx_http_idpay_lease_take(ngx_http_idpay_leases_t *leases,
    ngx_msec_t end);
void ngx_http_idpay_lease_give(ngx_http_idpay_leases_t *leases);

/* Returns how many are held by all processes at "now". */

ngx_uint_t ngx_http_idpay_lease_sum(ngx_http_idpay_leases_t *leases,
    ngx_msec_t now);


#endif /* _NGX_HTTP_IDPAY_LEASE_H_INCLUDED_ */
