
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_limiter.h"


/* 1/1000000 tokens */

#define NGX_HTTP_IDPAY_TOKEN    1000000

/* a slot of the window of accepted attempts, ms: the window is one second */

#define NGX_HTTP_IDPAY_SLOT     100

/* the clock is not run for longer than that at once, ms */

#define NGX_HTTP_IDPAY_MAX_RUN  1000000000


/* a call may go so late before those behind it are held up, ms */

#define NGX_HTTP_IDPAY_MAX_LATE  5

/* a rate that is right is not refused for so long, ms */

#define NGX_HTTP_IDPAY_HOLD     5000


#define ngx_http_idpay_limiter_after(a, b)                                    \
    ((ngx_msec_int_t) ((a) - (b)) > 0)

/* workers see the time pass one after the other: an empty pause is none */

#define ngx_http_idpay_limiter_paused(limiter, now)                           \
    ((limiter)->pause_end != (limiter)->pause_start                           \
     && ngx_http_idpay_limiter_after((limiter)->pause_end, now))

#define ngx_http_idpay_limiter_starting(limiter, conf, now)                   \
    ((limiter)->state == NGX_HTTP_IDPAY_LIMITER_START                         \
     && (conf)->adaptive && (conf)->rate == 0                                 \
     && !ngx_http_idpay_limiter_paused(limiter, now))


static void ngx_http_idpay_limiter_begin(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t now);
static void ngx_http_idpay_limiter_advance(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now);
static uint64_t ngx_http_idpay_limiter_run(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t from,
    ngx_msec_t to);
static ngx_uint_t ngx_http_idpay_limiter_in_force(
    ngx_http_idpay_limiter_t *limiter, ngx_uint_t bucket,
    const ngx_http_idpay_rate_t *conf, ngx_uint_t paced, ngx_uint_t *burst);
static void ngx_http_idpay_limiter_raise(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t now);


ngx_int_t
ngx_http_idpay_limiter_reserve(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now,
    ngx_msec_t max, uint64_t *ticket, ngx_msec_t *wait)
{
    ngx_http_idpay_bucket_t  *b;

    *wait = ngx_http_idpay_limiter_wait(limiter, bucket, conf, now, NULL);

    if (*wait) {

        if (bucket == 0) {
            limiter->limited = 1;
        }

        if (*wait > max) {

            if (bucket != 0
                || !ngx_http_idpay_limiter_starting(limiter, conf, now))
            {
                return NGX_BUSY;
            }

            /* there is more to come than the rate of now tells */

            *wait = ngx_max(max, 1);
        }
    }

    b = &limiter->buckets[bucket];

    *ticket = b->next;
    b->next += NGX_HTTP_IDPAY_TOKEN;

    return NGX_OK;
}


ngx_msec_t
ngx_http_idpay_limiter_wait(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now,
    uint64_t *ticket)
{
    int64_t                   need, paced;
    ngx_uint_t                rate, burst;
    ngx_msec_t                start, wait;
    ngx_http_idpay_bucket_t  *b;

    ngx_http_idpay_limiter_advance(limiter, bucket, conf, now);

    b = &limiter->buckets[bucket];

    start = now;

    if (ngx_http_idpay_limiter_paused(limiter, now)) {
        start = limiter->pause_end;
    }

    wait = start - now;
    need = (int64_t) ((ticket ? *ticket : b->next) - b->clock);

    if (need <= 0) {

        if (ticket && wait == 0) {

            /* the distance to the next call is kept if this one is late */

            rate = ngx_http_idpay_limiter_in_force(limiter, bucket, conf,
                           ngx_http_idpay_limiter_after(limiter->pace_end, now),
                           &burst);

            need += (int64_t) rate * NGX_HTTP_IDPAY_MAX_LATE;

            if (rate && need < 0) {
                b->clock += need;
            }
        }

        return wait;
    }

    if (bucket == 0 && conf->adaptive
        && ngx_http_idpay_limiter_after(limiter->pace_end, start))
    {
        rate = ngx_http_idpay_limiter_in_force(limiter, bucket, conf, 1,
                                               &burst);

        paced = (int64_t) rate * (limiter->pace_end - start);

        if (need <= paced) {
            return wait + (need + rate - 1) / rate;
        }

        need -= paced;
        wait += limiter->pace_end - start;
    }

    rate = ngx_http_idpay_limiter_in_force(limiter, bucket, conf, 0, &burst);

    return rate ? wait + (need + rate - 1) / rate : wait;
}


ngx_int_t
ngx_http_idpay_limiter_cancel(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, uint64_t ticket)
{
    ngx_http_idpay_bucket_t  *b;

    b = &limiter->buckets[bucket];

    if (b->next - ticket != NGX_HTTP_IDPAY_TOKEN) {
        return NGX_DECLINED;
    }

    b->next = ticket;

    return NGX_OK;
}


void
ngx_http_idpay_limiter_pause(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t now, ngx_msec_t pause)
{
    ngx_msec_t  end;

    ngx_http_idpay_limiter_begin(limiter, now);

    end = now + pause;

    if (!ngx_http_idpay_limiter_after(limiter->pause_end, now)) {
        limiter->pause_start = now;
        limiter->pause_end = now;
    }

    if (ngx_http_idpay_limiter_after(end, limiter->pause_end)) {
        limiter->pause_end = end;
    }
}


void
ngx_http_idpay_limiter_pace(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now, ngx_uint_t remaining,
    ngx_msec_t reset)
{
    ngx_uint_t                at_once;
    ngx_http_idpay_bucket_t  *b;

    if (remaining == 0) {
        ngx_http_idpay_limiter_pause(limiter, now, reset);
        return;
    }

    ngx_http_idpay_limiter_advance(limiter, 0, conf, now);

    b = &limiter->buckets[0];

    at_once = ngx_max(remaining / 2, 1);

    if (!ngx_http_idpay_limiter_after(limiter->pace_end, now)
        && b->next == b->clock)
    {
        /* a new window, and nobody waits */

        b->next = b->clock - (uint64_t) (at_once - 1) * NGX_HTTP_IDPAY_TOKEN;
    }

    /* the last one waits for the reset, so there is always a rate */

    limiter->pace = ngx_max((uint64_t) (remaining - at_once) * 1000000 / reset,
                            1);
    limiter->pace_burst = at_once - 1;
    limiter->pace_end = now + reset;

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_START) {

        /* there is nothing to find out where the provider tells it */

        limiter->state = NGX_HTTP_IDPAY_LIMITER_PROVEN;
    }
}


/*
 * What was accepted in the last second is the best that is known of a limit.
 * The clock is set back to where it would be had it run at the new rate since
 * the first of those: a provider that counts by the second has room again
 * then.
 */

void
ngx_http_idpay_limiter_refused(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now, ngx_msec_t start,
    ngx_uint_t told)
{
    int64_t      debt;
    ngx_uint_t   rate, least, accepted, n;
    ngx_msec_t   first;

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_LEARNED
        && !ngx_http_idpay_limiter_after(start, limiter->refused))
    {
        return;
    }

    ngx_http_idpay_limiter_advance(limiter, 0, conf, now);

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_LEARNED) {
        rate = limiter->rate;

        if (told && now - limiter->refused < NGX_HTTP_IDPAY_HOLD) {

            /* what was learned then was too much */

            rate -= rate / 5;
        }

    } else {
        rate = conf->rate;
        limiter->refusals = 0;
    }

    if (limiter->refusals) {
        least = NGX_HTTP_IDPAY_MIN_RATE;

        if (limiter->refusals > 1) {
            rate /= 2;
        }

        if (!told) {
            n = ngx_min(limiter->refusals - 1, 16);
            ngx_http_idpay_limiter_pause(limiter, now,
                       ngx_min((ngx_msec_t) NGX_HTTP_IDPAY_MIN_BACKOFF << n,
                               NGX_HTTP_IDPAY_MAX_BACKOFF));
        }

    } else {

        /* one refusal among other answers may have reasons of its own */

        least = rate ? ngx_min(rate, NGX_HTTP_IDPAY_LEAST_RATE)
                     : NGX_HTTP_IDPAY_LEAST_RATE;

        accepted = ngx_http_idpay_window_sum(&limiter->accepted, now,
                                             NGX_HTTP_IDPAY_SLOT);
        first = ngx_http_idpay_window_first(&limiter->accepted, now,
                                            NGX_HTTP_IDPAY_SLOT);

        rate = rate ? ngx_min(rate, ngx_max(accepted, rate / 2))
                    : ngx_max(accepted, NGX_HTTP_IDPAY_FIRST_RATE);

        debt = (int64_t) accepted * 1000
               - (int64_t) rate * (ngx_msec_int_t) (now - first
                                                    - NGX_HTTP_IDPAY_SLOT);

        if (debt > 0 && !told) {
            limiter->buckets[0].clock -= debt;
        }
    }

    rate = ngx_max(rate, least);

    /* a refusal that is a pause too costs more, so there are to be less */

    limiter->state = NGX_HTTP_IDPAY_LIMITER_LEARNED;
    limiter->ceiling = rate;
    limiter->rate = ngx_max(rate - rate * (told ? 3 : 2) / 100, least);
    limiter->step = ngx_max(rate / (told ? 4000 : 1000), 1);
    limiter->refusals++;
    limiter->refused = now;
    limiter->raised = now;
    limiter->needed = now;
    limiter->limited = 0;
    limiter->late = 0;
}


void
ngx_http_idpay_limiter_accepted(ngx_http_idpay_limiter_t *limiter,
    ngx_msec_t start)
{
    ngx_http_idpay_window_add(&limiter->accepted, start, NGX_HTTP_IDPAY_SLOT);

    if (limiter->state != NGX_HTTP_IDPAY_LIMITER_LEARNED) {
        return;
    }

    if (ngx_http_idpay_limiter_after(start, limiter->refused)) {

        if (limiter->refusals) {
            limiter->refusals = 0;
        }

    } else if (limiter->refused - start < 1000) {

        /* it was under way when the rate was measured, and belongs to it */

        (void) ngx_atomic_fetch_add(&limiter->late, 1);
    }
}


ngx_uint_t
ngx_http_idpay_limiter_rate(ngx_http_idpay_limiter_t *limiter,
    const ngx_http_idpay_rate_t *conf, ngx_msec_t now)
{
    ngx_uint_t  burst;

    return ngx_http_idpay_limiter_in_force(limiter, 0, conf,
                    ngx_http_idpay_limiter_after(limiter->pace_end, now),
                    &burst);
}


/* times that are zero may be in the future of a clock that wraps around */

static void
ngx_http_idpay_limiter_begin(ngx_http_idpay_limiter_t *limiter, ngx_msec_t now)
{
    if (limiter->begun) {
        return;
    }

    limiter->begun = 1;
    limiter->pause_start = now;
    limiter->pause_end = now;
    limiter->pace_end = now;
    limiter->refused = now;
    limiter->raised = now;
    limiter->needed = now;
}


static void
ngx_http_idpay_limiter_advance(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t now)
{
    uint64_t                  least;
    ngx_uint_t                rate, burst;
    ngx_msec_t                from, start, end;
    ngx_http_idpay_bucket_t  *b;

    b = &limiter->buckets[bucket];

    ngx_http_idpay_limiter_begin(limiter, now);

    if (b->last == 0) {
        b->last = now;
        (void) ngx_http_idpay_limiter_in_force(limiter, bucket, conf, 0,
                                               &burst);
        b->clock = b->next + (uint64_t) burst * NGX_HTTP_IDPAY_TOKEN;
    }

    if (bucket == 0 && conf->adaptive) {
        ngx_http_idpay_limiter_raise(limiter, now);
    }

    from = b->last;

    if (ngx_http_idpay_limiter_after(now, from)) {

        /* clocks stand in a pause */

        start = limiter->pause_start;
        end = limiter->pause_end;

        if (ngx_http_idpay_limiter_after(end, from)) {

            if (ngx_http_idpay_limiter_after(start, from)) {
                b->clock += ngx_http_idpay_limiter_run(limiter, bucket, conf,
                                                       from, start);
            }

            from = end;
        }

        if (ngx_http_idpay_limiter_after(now, from)) {
            b->clock += ngx_http_idpay_limiter_run(limiter, bucket, conf, from,
                                                   now);
        }

        b->last = now;
    }

    rate = ngx_http_idpay_limiter_in_force(limiter, bucket, conf,
                          ngx_http_idpay_limiter_after(limiter->pace_end, now),
                          &burst);
    if (rate == 0) {

        if ((int64_t) (b->next - b->clock) > 0) {
            b->clock = b->next;
        }

        burst = 0;
    }

    least = b->clock - (uint64_t) burst * NGX_HTTP_IDPAY_TOKEN;

    if ((int64_t) (least - b->next) > 0) {
        b->next = least;
    }
}


static uint64_t
ngx_http_idpay_limiter_run(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_msec_t from,
    ngx_msec_t to)
{
    uint64_t    tokens;
    ngx_uint_t  burst;
    ngx_msec_t  end;

    tokens = 0;

    if (bucket == 0 && ngx_http_idpay_limiter_after(limiter->pace_end, from)) {

        end = ngx_http_idpay_limiter_after(limiter->pace_end, to)
              ? to : limiter->pace_end;

        tokens = (uint64_t) ngx_http_idpay_limiter_in_force(limiter, bucket,
                                                            conf, 1, &burst)
                 * (end - from);
        from = end;
    }

    tokens += (uint64_t) ngx_http_idpay_limiter_in_force(limiter, bucket, conf,
                                                         0, &burst)
              * ngx_min(to - from, NGX_HTTP_IDPAY_MAX_RUN);

    return tokens;
}


/*
 * A configured rate is kept to with one percent to spare: neither a clock nor
 * the way to the provider may make it count one call too many.
 */

static ngx_uint_t
ngx_http_idpay_limiter_in_force(ngx_http_idpay_limiter_t *limiter,
    ngx_uint_t bucket, const ngx_http_idpay_rate_t *conf, ngx_uint_t paced,
    ngx_uint_t *burst)
{
    ngx_uint_t  rate;

    rate = conf->rate;
    rate -= (rate + 50) / 100;

    *burst = conf->burst;

    if (bucket != 0 || !conf->adaptive) {
        return rate;
    }

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_START && rate == 0) {
        rate = ngx_max(limiter->rate, NGX_HTTP_IDPAY_START_RATE);
        *burst = NGX_HTTP_IDPAY_START_BURST;
    }

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_LEARNED
        && (rate == 0 || limiter->rate < rate))
    {
        rate = limiter->rate;
        *burst = 0;
    }

    if (paced && limiter->pace) {
        *burst = rate ? ngx_min(*burst, limiter->pace_burst)
                      : limiter->pace_burst;

        if (rate == 0 || limiter->pace < rate) {
            rate = limiter->pace;
        }
    }

    return rate;
}


static void
ngx_http_idpay_limiter_raise(ngx_http_idpay_limiter_t *limiter, ngx_msec_t now)
{
    ngx_uint_t      late;
    ngx_msec_int_t  elapsed;

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_PROVEN) {
        return;
    }

    if (limiter->late) {
        late = limiter->late;
        (void) ngx_atomic_fetch_add(&limiter->late, -(ngx_atomic_int_t) late);

        limiter->ceiling += late * 1000;
        limiter->rate += late * 980;
    }

    if (ngx_http_idpay_limiter_after(limiter->pause_end, limiter->needed)) {
        limiter->needed = limiter->pause_end;
    }

    elapsed = (ngx_msec_int_t) (now - limiter->raised);

    if (elapsed < ((limiter->state == NGX_HTTP_IDPAY_LIMITER_START)
                   ? NGX_HTTP_IDPAY_SLOT : 1000))
    {
        return;
    }

    limiter->raised = now;

    if (limiter->state == NGX_HTTP_IDPAY_LIMITER_START) {

        limiter->rate = ngx_max(limiter->rate, NGX_HTTP_IDPAY_START_RATE);

        if (limiter->limited
            && ngx_http_idpay_window_sum(&limiter->accepted, now,
                                         NGX_HTTP_IDPAY_SLOT))
        {
            /* nine times as much in a second */

            limiter->rate += limiter->rate / 4;
        }

    } else if (limiter->limited) {
        limiter->needed = now;
        limiter->rate += limiter->step;

        if (limiter->rate > limiter->ceiling + limiter->ceiling / 50) {

            /* the limit is not where it was: twice as fast each second */

            limiter->step *= 2;
        }

    } else if (ngx_http_idpay_limiter_after(now - NGX_HTTP_IDPAY_FORGET,
                                            limiter->needed))
    {
        limiter->state = NGX_HTTP_IDPAY_LIMITER_START;
        limiter->rate = NGX_HTTP_IDPAY_START_RATE;
    }

    limiter->limited = 0;

    if (limiter->rate >= NGX_HTTP_IDPAY_PROVEN_RATE) {
        limiter->state = NGX_HTTP_IDPAY_LIMITER_PROVEN;
    }
}
