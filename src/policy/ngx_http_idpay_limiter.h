
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Outbound limits of one provider: token buckets that give places out instead
 * of counting, what the provider has said of when to come, and what was
 * learned from its refusals.
 *
 * A bucket has a clock that counts tokens and runs at the bucket's rate, and a
 * queue of places: the number of the token that a place is for is its ticket,
 * and its call may be made when the clock has come to it.  So places keep
 * their order and their distance whatever happens to the rate meanwhile, and a
 * pause is a clock that stands.
 *
 * Pure functions of their arguments.  The limiter lives in shared memory, and
 * each function needs its lock but where it is said.  Times are ms of a clock
 * that all workers share.
 */


#ifndef _NGX_HTTP_IDPAY_LIMITER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_LIMITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "policy/ngx_http_idpay_window.h"


/* bucket 0 is the provider's own, the others are those of its rules */

#define NGX_HTTP_IDPAY_MAX_BUCKETS     64

/*
 * A provider of which nothing is known is not met with all there is: so many
 * calls at once, so many in a second, and more with each success up to a rate
 * that needs no limit.
 */

#define NGX_HTTP_IDPAY_START_BURST     9
#define NGX_HTTP_IDPAY_START_RATE      100000      /* 1/1000 r/s */
#define NGX_HTTP_IDPAY_PROVEN_RATE     10000000

/*
 * The least that is learned of a first refusal, of one that follows other
 * answers, and of those in a row, 1/1000 r/s.
 */

#define NGX_HTTP_IDPAY_FIRST_RATE      5000
#define NGX_HTTP_IDPAY_LEAST_RATE      1000
#define NGX_HTTP_IDPAY_MIN_RATE        100

/* pauses after refusals that do not tell how long, ms */

#define NGX_HTTP_IDPAY_MIN_BACKOFF     250
#define NGX_HTTP_IDPAY_MAX_BACKOFF     60000

/* what was learned and made no call wait for so long is forgotten, ms */

#define NGX_HTTP_IDPAY_FORGET          60000


typedef enum {
    NGX_HTTP_IDPAY_LIMITER_START = 0,
    NGX_HTTP_IDPAY_LIMITER_PROVEN,
    NGX_HTTP_IDPAY_LIMITER_LEARNED
} ngx_http_idpay_limiter_state_e;


typedef struct {
    ngx_uint_t    rate;        /* 1/1000 r/s, 0: no limit */
    ngx_uint_t    burst;       /* calls that may go at once, beside one */
    ngx_uint_t    adaptive;    /* bucket 0: what was learned counts too */
} ngx_http_idpay_rate_t;


typedef struct {
    uint64_t      clock;       /* 1/1000000 tokens, wraps around */
    uint64_t      next;        /* the ticket of the next place */
    ngx_msec_t    last;        /* when the clock was looked at */
} ngx_http_idpay_bucket_t;


/* zeroed is a limiter that knows nothing of its provider */

typedef struct {
    ngx_http_idpay_bucket_t   buckets[NGX_HTTP_IDPAY_MAX_BUCKETS];

    ngx_uint_t                begun;       /* not zeroed any more */

    ngx_msec_t                pause_start; /* from then on all clocks stand, */
    ngx_msec_t                pause_end;   /* and until then */

    ngx_uint_t                pace;        /* 1/1000 r/s, what is left of a */
    ngx_uint_t                pace_burst;  /* quota, spread over the time */
    ngx_msec_t                pace_end;    /* up to its reset */

    ngx_uint_t                state;       /* ..._limiter_state_e */
    ngx_uint_t                rate;        /* 1/1000 r/s */
    ngx_uint_t                ceiling;     /* the rate that was refused */
    ngx_uint_t                step;        /* 1/1000 r/s for each second */
    ngx_uint_t                refusals;    /* in a row */
    ngx_msec_t                refused;     /* when the rate was lowered */
    ngx_msec_t                raised;      /* when it was raised */
    ngx_msec_t                needed;      /* when it made a call wait */
    ngx_uint_t                limited;     /* a place had to wait since */

    ngx_http_idpay_window_t   accepted;    /* attempts, by their start */
    ngx_atomic_t              late;        /* and those that began before
                                              the last refusal */
} ngx_http_idpay_limiter_t;


/*
 * Gives out a place in a bucket.  Returns
 *   NGX_OK: "ticket" is the place's, "wait" the ms until its turn, 0: now;
 *   NGX_BUSY: its turn would be in "wait" ms, more than "max"; no place was
 *       given out.
 */
ngx_int_t ngx_http_idpay_limiter_reserve(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now,
    ngx_msec_t max, uint64_t *ticket, ngx_msec_t *wait);

/*
 * Returns the ms until the turn of a ticket, 0: now.  Without a ticket, NULL:
 * until that of the next place.  A ticket is taken for used when its turn has
 * come: if it is late, the clock is set back.
 */
ngx_msec_t ngx_http_idpay_limiter_wait(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now,
    uint64_t *ticket);

/*
 * Takes a place back that will not be used, if it is the last one given out.
 * Returns NGX_OK, or NGX_DECLINED if there are others behind it.
 */
ngx_int_t ngx_http_idpay_limiter_cancel(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, uint64_t ticket);

/*
 * Stops all clocks for "pause" ms from now on.  A longer pause is not
 * shortened.
 */
void ngx_http_idpay_limiter_pause(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t now, ngx_msec_t pause);

/*
 * Spreads what is left of a quota over the ms to its reset: half of it may go
 * at once, the other half is paced.  Nothing left is a pause.
 */
void ngx_http_idpay_limiter_pace(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now, ngx_uint_t remaining,
    ngx_msec_t reset);

/*
 * Tells that an attempt which began at "start" was refused (429).  It lowers
 * the rate to a little less than what was accepted in the second before; an
 * attempt that began before the last such refusal tells nothing new.  If the
 * provider has not "told" when to come again, a refusal that follows another
 * one is also a pause, each twice as long as the one before.
 */
void ngx_http_idpay_limiter_refused(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now, ngx_msec_t start,
    ngx_uint_t told);

/* Tells that an attempt was answered with anything else.  Needs no lock. */

void ngx_http_idpay_limiter_accepted(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t start);

/* Returns the rate in force in bucket 0, 1/1000 r/s, 0: no limit. */

ngx_uint_t ngx_http_idpay_limiter_rate(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now);


#endif /* _NGX_HTTP_IDPAY_LIMITER_H_INCLUDED_ */
