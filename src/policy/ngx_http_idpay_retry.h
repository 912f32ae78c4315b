
/*
 * Copyright (C) 2026 idpay contributors
 *
 * When a call is made again: exponential back-off with full jitter, and a
 * budget that keeps retries from becoming the load.  Pure functions of their
 * arguments.
 */


#ifndef _NGX_HTTP_IDPAY_RETRY_H_INCLUDED_
#define _NGX_HTTP_IDPAY_RETRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "policy/ngx_http_idpay_window.h"


/* retries that the budget never forbids, within its window */

#define NGX_HTTP_IDPAY_MIN_RETRIES   3

/* a slot of the budget's windows, ms */

#define NGX_HTTP_IDPAY_BUDGET_SLOT   1000


typedef struct {
    ngx_uint_t    tries;       /* attempts of a call, 1: no retry */
    ngx_msec_t    base;        /* ms, before the first retry */
    ngx_uint_t    factor;      /* 1/1000, of each delay to the one before */
    ngx_msec_t    max;         /* ms */
    ngx_uint_t    budget;      /* percent of the calls */
    ngx_flag_t    jitter;      /* 0: the delays are exact */
} ngx_http_idpay_retry_conf_t;


/* in shared memory; zeroed is empty */

typedef struct {
    ngx_http_idpay_window_t   calls;
    ngx_http_idpay_window_t   retries;
} ngx_http_idpay_budget_t;


/*
 * Returns the ms to wait after attempt number "attempts" (from 1 on):
 * base * factor ^ (attempts - 1), max at most; with jitter anything from 0 to
 * that, as "random" (any number, evenly spread) tells.
 */
ngx_msec_t ngx_http_idpay_retry_delay(const ngx_http_idpay_retry_conf_t *conf,
    ngx_uint_t attempts, ngx_uint_t random);

/*
 * Takes a retry from the budget.  The retries of the last 10 s, this one
 * among them, may be as many as that percentage of the calls that began in
 * that time or are in flight, whichever is more, and at least
 * NGX_HTTP_IDPAY_MIN_RETRIES.  Returns NGX_OK or, if it is used up,
 * NGX_DECLINED.  Needs the lock of the shared memory; counting a call with
 * ngx_http_idpay_window_add() does not.
 */
ngx_int_t ngx_http_idpay_retry_take(ngx_http_idpay_budget_t *budget,
    const ngx_http_idpay_retry_conf_t *conf, ngx_msec_t now,
    ngx_uint_t in_flight);


#endif /* _NGX_HTTP_IDPAY_RETRY_H_INCLUDED_ */
