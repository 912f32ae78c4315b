
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Whether and when a call goes to its provider: what the workers share of a
 * provider, and the calls that wait for their turn in this one.
 */


#ifndef _NGX_HTTP_IDPAY_ADMISSION_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ADMISSION_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"
#include "policy/ngx_http_idpay_retry_after.h"
#include "zone/ngx_http_idpay_lease.h"


/* a change of what follows, or of what it is made of, is a new layout */

#define NGX_HTTP_IDPAY_LAYOUT  3


/* zeroed is a provider of which nothing is known */

struct ngx_http_idpay_shared_s {
    ngx_http_idpay_limiter_t   limiter;
    ngx_uint_t                 rules[NGX_HTTP_IDPAY_MAX_BUCKETS];
                                         /* that the buckets are for */
    ngx_http_idpay_breaker_t   breaker;
    ngx_http_idpay_budget_t    budget;
    ngx_http_idpay_leases_t    in_flight;

    ngx_atomic_t               waited;   /* calls that had to wait */
    ngx_atomic_t               rejected; /* or would have for too long */
    ngx_atomic_t               dry_run;  /* that would have, of one or the
                                            other, but for "dry_run" */
};

typedef struct ngx_http_idpay_shared_s  ngx_http_idpay_shared_t;


/*
 * What an attempt has told of its provider.  "delay" is that of Retry-After,
 * ms, or NGX_ERROR.
 */

typedef struct {
    ngx_http_idpay_end_e       end;
    ngx_uint_t                 status;   /* ANSWERED only */
    ngx_int_t                  delay;
    ngx_http_idpay_quota_t     quota;
    unsigned                   neutral:1;  /* cut off for the caller's sake */
} ngx_http_idpay_report_t;


/*
 * Gives the rules of all providers their buckets, when the zone is there.
 * Returns NGX_OK or NGX_ERROR, which is logged.
 */
ngx_int_t ngx_http_idpay_admission_init_module(ngx_cycle_t *cycle);

/* forgets what a former process in the place of this one held; NGX_OK */

ngx_int_t ngx_http_idpay_admission_init_process(ngx_cycle_t *cycle);

/*
 * Asks for admission of the call's next attempt.  Returns
 *   NGX_OK: it may begin now;
 *   NGX_AGAIN: the call is parked, ngx_http_idpay_exchange_resume() is called
 *       when it is its turn, and this is to be asked again;
 *   NGX_BUSY: it would have to wait too long, ctx->retry_after ms;
 *   NGX_DECLINED: the breaker is open, for ctx->retry_after ms;
 *   NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_idpay_admission_enter(ngx_http_idpay_ctx_t *ctx);

/* Takes a parked call out of its queue, and sets ctx->retry_after. */

void ngx_http_idpay_admission_give_up(ngx_http_idpay_ctx_t *ctx);

/* Tells how an attempt has ended. */

void ngx_http_idpay_admission_report(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_report_t *report);

/*
 * Asks for another attempt in "delay" ms.  Returns NGX_OK and has taken it
 * from the budget, or NGX_DECLINED: the budget is used up, the breaker is open,
 * or its turn would come after the deadline.
 */
ngx_int_t ngx_http_idpay_admission_retry(ngx_http_idpay_ctx_t *ctx,
    ngx_msec_t delay);

/* Gives back all that a call holds.  May be called more than once. */

void ngx_http_idpay_admission_leave(ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_ADMISSION_H_INCLUDED_ */
