
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A breaker: after a run of failures no call is made for a while, and then one
 * at a time until one succeeds.  Pure functions of their arguments; the
 * breaker lives in shared memory, and each function needs its lock.
 */


#ifndef _NGX_HTTP_IDPAY_BREAKER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_BREAKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_MAX_FAILURES  64


typedef struct {
    ngx_uint_t    failures;    /* 1 .. MAX_FAILURES, 0: no breaker */
    ngx_msec_t    window;      /* ms */
    ngx_msec_t    open;        /* ms */
} ngx_http_idpay_breaker_conf_t;


typedef enum {
    NGX_HTTP_IDPAY_BREAKER_CLOSED = 0,
    NGX_HTTP_IDPAY_BREAKER_OPEN,
    NGX_HTTP_IDPAY_BREAKER_HALF_OPEN
} ngx_http_idpay_breaker_state_e;


/* zeroed is closed; times are ms of a clock that all workers share */

typedef struct {
    ngx_uint_t    state;       /* ngx_http_idpay_breaker_state_e */
    ngx_uint_t    failures;    /* in a row */
    ngx_msec_t    times[NGX_HTTP_IDPAY_MAX_FAILURES];
                               /* of the last ones, a ring */
    ngx_msec_t    changed;     /* when the state was changed last */
    ngx_msec_t    until;       /* OPEN: its end, HALF_OPEN: of the probe */
    ngx_uint_t    probe;       /* number of the last probe, never 0 */
} ngx_http_idpay_breaker_t;


/*
 * Asks whether a call may be made at "now".  Returns
 *   NGX_OK: yes, and if "probe" is set to anything but 0 then as the one
 *       probe, which ends with a success, a failure, ngx_http_idpay_breaker_
 *       release() or by itself after "lease" ms;
 *   NGX_BUSY: no, "wait" is set to the ms until one may ask again, at least 1.
 */
ngx_int_t ngx_http_idpay_breaker_admit(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now,
    ngx_msec_t lease, ngx_uint_t *probe, ngx_msec_t *wait);

/*
 * Tell how a call has ended that began at "start", as which probe or 0.  What
 * began before the state changed last says nothing, unless it is the probe; a
 * probe that has been replaced says nothing either.
 */
void ngx_http_idpay_breaker_success(ngx_http_idpay_breaker_t *breaker,
    ngx_msec_t now, ngx_msec_t start, ngx_uint_t probe);
void ngx_http_idpay_breaker_failure(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now,
    ngx_msec_t start, ngx_uint_t probe);

/* gives up a probe that says nothing: the next call may be one */

void ngx_http_idpay_breaker_release(ngx_http_idpay_breaker_t *breaker,
    ngx_msec_t now, ngx_uint_t probe);


#endif /* _NGX_HTTP_IDPAY_BREAKER_H_INCLUDED_ */
