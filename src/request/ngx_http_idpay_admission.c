
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_admission.h"

#include "request/ngx_http_idpay_queue.h"


static ngx_int_t ngx_http_idpay_admission_init(ngx_cycle_t *cycle,
    ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_admission_queue(ngx_cycle_t *cycle,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_limit_t *limit);
static void ngx_http_idpay_admission_cleanup(void *data);
static ngx_uint_t ngx_http_idpay_admission_bucket(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_uint_t key);
static ngx_uint_t ngx_http_idpay_admission_key(ngx_http_idpay_limit_t *limit);
static ngx_int_t ngx_http_idpay_admission_test(ngx_http_idpay_ctx_t *ctx,
    ngx_msec_t now, ngx_msec_t *wait, ngx_uint_t *dry);
static ngx_int_t ngx_http_idpay_admission_place(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_limit_t *limit, ngx_msec_t now, ngx_msec_t *wait);
static ngx_uint_t ngx_http_idpay_admission_try(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_limit_t *limit, ngx_msec_t now);
static ngx_int_t ngx_http_idpay_admission_park(ngx_http_idpay_ctx_t *ctx,
    ngx_msec_t now, ngx_msec_t wait);
static void ngx_http_idpay_admission_unpark(ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_admission_turn(ngx_event_t *ev);


/* a turn may come earlier than it seemed, by what another worker learns; ms */

#define NGX_HTTP_IDPAY_MAX_SLEEP  1000


/* the limit that a call waits for at its stage */

#define ngx_http_idpay_admission_limit(ctx)                                   \
    ((ctx)->stage == NGX_HTTP_IDPAY_STAGE_RULE ? (ctx)->rule                  \
                                               : &(ctx)->iucf->limit)


ngx_int_t
ngx_http_idpay_admission_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_http_idpay_main_conf_t       *imcf;
    ngx_http_idpay_zone_entry_t      *entry;
    ngx_http_idpay_upstream_conf_t  **iucf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_idpay_module);

    if (imcf == NULL || imcf->zone == NULL) {
        return NGX_OK;
    }

    entry = imcf->zone->entries.elts;
    iucf = imcf->providers.elts;

    for (i = 0; i < imcf->providers.nelts; i++) {
        iucf[i]->shared = entry[iucf[i]->node].node;
        iucf[i]->mutex = &imcf->zone->shpool->mutex;

        if (ngx_http_idpay_admission_init(cycle, iucf[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_admission_init(ngx_cycle_t *cycle,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_uint_t               i, bucket;
    ngx_http_idpay_limit_t  *limit;

    iucf->limit.bucket = 0;
    iucf->limit.rate.adaptive = iucf->adaptive;

    if (ngx_http_idpay_admission_queue(cycle, iucf, &iucf->limit) != NGX_OK) {
        return NGX_ERROR;
    }

    if (iucf->rates == NULL) {
        return NGX_OK;
    }

    limit = iucf->rates->elts;

    for (i = 0; i < iucf->rates->nelts; i++) {

        if (limit[i].method == 0 && limit[i].path.len == 0
            && !limit[i].dry_run)
        {
            /* the general limit is a copy of this one */
            continue;
        }

        if (ngx_http_idpay_admission_queue(cycle, iucf, &limit[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_shmtx_lock(iucf->mutex);

        bucket = ngx_http_idpay_admission_bucket(iucf,
                                    ngx_http_idpay_admission_key(&limit[i]));

        ngx_shmtx_unlock(iucf->mutex);

        limit[i].bucket = bucket;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_admission_queue(ngx_cycle_t *cycle,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_limit_t *limit)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_idpay_queue_t  *queue;

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    queue = ngx_pcalloc(cycle->pool, sizeof(ngx_http_idpay_queue_t));
    if (queue == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&queue->calls);

    queue->iucf = iucf;
    queue->limit = limit;

    queue->event.handler = ngx_http_idpay_admission_turn;
    queue->event.data = queue;
    queue->event.log = &cycle->new_log;

    cln->handler = ngx_http_idpay_admission_cleanup;
    cln->data = queue;

    limit->queue = queue;

    return NGX_OK;
}


/* a process that is told to end at once leaves its calls parked */

static void
ngx_http_idpay_admission_cleanup(void *data)
{
    ngx_http_idpay_queue_t *queue = data;

    if (queue->tickets) {
        ngx_free(queue->tickets);
    }
}


/*
 * A rule keeps its bucket when the configuration changes around it.  A bucket
 * is taken from a rule that is no more only when none is left.
 */

static ngx_uint_t
ngx_http_idpay_admission_bucket(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_uint_t key)
{
    ngx_uint_t                i, n, free, old;
    ngx_http_idpay_limit_t   *limit;
    ngx_http_idpay_shared_t  *shared;

    shared = iucf->shared;
    limit = iucf->rates->elts;

    free = 0;
    old = 0;

    for (i = 1; i < NGX_HTTP_IDPAY_MAX_BUCKETS; i++) {

        if (shared->rules[i] == key) {
            return i;
        }

        if (shared->rules[i] == 0) {
            free = i;
            continue;
        }

        for (n = 0; n < iucf->rates->nelts; n++) {
            if (shared->rules[i] == ngx_http_idpay_admission_key(&limit[n])) {
                break;
            }
        }

        if (n == iucf->rates->nelts) {
            old = i;
        }
    }

    i = free ? free : old;

    shared->rules[i] = key;
    ngx_memzero(&shared->limiter.buckets[i], sizeof(ngx_http_idpay_bucket_t));

    return i;
}


static ngx_uint_t
ngx_http_idpay_admission_key(ngx_http_idpay_limit_t *limit)
{
    uint32_t  key;

    ngx_crc32_init(key);

    ngx_crc32_update(&key, (u_char *) &limit->method, sizeof(ngx_uint_t));
    ngx_crc32_update(&key, limit->path.data, limit->path.len);

    ngx_crc32_final(key);

    return key ? key : 1;
}


ngx_int_t
ngx_http_idpay_admission_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_http_idpay_main_conf_t       *imcf;
    ngx_http_idpay_upstream_conf_t  **iucf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_idpay_module);

    if (imcf == NULL || imcf->zone == NULL) {
        return NGX_OK;
    }

    iucf = imcf->providers.elts;

    for (i = 0; i < imcf->providers.nelts; i++) {
        ngx_http_idpay_lease_reset(&iucf[i]->shared->in_flight);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_admission_enter(ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_uint_t                dry;
    ngx_msec_t                now, wait;
    ngx_http_idpay_shared_t  *shared;

    shared = ctx->iucf->shared;
    now = ngx_current_msec;
    dry = 0;

    ngx_shmtx_lock(ctx->iucf->mutex);

    rc = ngx_http_idpay_admission_test(ctx, now, &wait, &dry);

    ngx_shmtx_unlock(ctx->iucf->mutex);

    if (dry) {
        (void) ngx_atomic_fetch_add(&shared->dry_run, 1);

        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "idpay: a call to \"%V\" is over its rate, dry run",
                      &ctx->iucf->name);
    }

    switch (rc) {

    case NGX_AGAIN:
        return ngx_http_idpay_admission_park(ctx, now, wait);

    case NGX_BUSY:
        (void) ngx_atomic_fetch_add(&shared->rejected, 1);

        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "idpay: a call to \"%V\" is over its rate, "
                      "there is room in %M ms", &ctx->iucf->name,
                      ctx->retry_after);
        break;

    case NGX_OK:
        if (!ctx->leased) {
            ctx->leased = 1;

            ngx_http_idpay_window_add(&shared->budget.calls, now,
                                      NGX_HTTP_IDPAY_BUDGET_SLOT);
            ngx_http_idpay_lease_take(&shared->in_flight, ctx->deadline);
        }

        break;
    }

    return rc;
}


/* under the lock: all that an attempt needs to be let go */

static ngx_int_t
ngx_http_idpay_admission_test(ngx_http_idpay_ctx_t *ctx, ngx_msec_t now,
    ngx_msec_t *wait, ngx_uint_t *dry)
{
    uint64_t                         ticket;
    ngx_int_t                        rc;
    ngx_http_idpay_limit_t          *rule;
    ngx_http_idpay_shared_t         *shared;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ctx->iucf;
    shared = iucf->shared;
    rule = NULL;
    ticket = 0;

    if (ctx->probe == 0
        && ngx_http_idpay_breaker_admit(&shared->breaker, &iucf->breaker, now,
                                        ctx->deadline - now, &ctx->probe,
                                        &ctx->retry_after)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ctx->stage == NGX_HTTP_IDPAY_STAGE_RULE) {

        if (iucf->dry_limit) {
            *dry |= ngx_http_idpay_admission_try(ctx, iucf->dry_limit, now);
        }

        if (ctx->rule && ctx->rule->dry_run) {
            *dry |= ngx_http_idpay_admission_try(ctx, ctx->rule, now);

        } else if (ctx->rule) {
            rc = ngx_http_idpay_admission_place(ctx, ctx->rule, now, wait);

            if (rc != NGX_OK) {
                return rc;
            }

            rule = ctx->rule;
            ticket = ctx->ticket;
        }

        ctx->stage = NGX_HTTP_IDPAY_STAGE_GENERAL;
    }

    if (ctx->stage == NGX_HTTP_IDPAY_STAGE_GENERAL) {
        rc = ngx_http_idpay_admission_place(ctx, &iucf->limit, now, wait);

        if (rc == NGX_BUSY && rule) {

            /* of a call that has waited the place is another's by now */

            (void) ngx_http_idpay_limiter_cancel(&shared->limiter,
                                                 rule->bucket, ticket);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        ctx->stage = NGX_HTTP_IDPAY_STAGE_GO;
    }

    return NGX_OK;
}


/*
 * A first attempt waits as long as its limit says, a later one until the
 * deadline.  Places that callers have left come first.
 */

static ngx_int_t
ngx_http_idpay_admission_place(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_limit_t *limit, ngx_msec_t now, ngx_msec_t *wait)
{
    ngx_int_t                  rc;
    ngx_msec_t                 max;
    ngx_http_idpay_queue_t    *queue;
    ngx_http_idpay_limiter_t  *limiter;

    queue = limit->queue;
    limiter = &ctx->iucf->shared->limiter;

    max = ctx->deadline - now;

    if (ctx->attempts == 0) {
        max = ngx_min(max, limit->wait);
    }

    ctx->placed = 0;

    if (queue->ntickets > queue->ncalls) {
        *wait = ngx_http_idpay_limiter_wait(limiter, limit->bucket,
                        &limit->rate, now,
                        &ngx_http_idpay_queue_ticket(queue, queue->ncalls));

        rc = (*wait > max) ? NGX_BUSY : NGX_AGAIN;

    } else {
        rc = ngx_http_idpay_limiter_reserve(limiter, limit->bucket,
                                            &limit->rate, now, max,
                                            &ctx->ticket, wait);
        if (rc == NGX_OK) {

            if (*wait == 0 && queue->ncalls == 0) {
                return NGX_OK;
            }

            ctx->placed = 1;
            rc = NGX_AGAIN;
        }
    }

    if (rc == NGX_BUSY) {
        ctx->retry_after = *wait;
    }

    ctx->due = now + max;

    return rc;
}


/* returns 1 if the call would have had to wait, or been refused */

static ngx_uint_t
ngx_http_idpay_admission_try(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_limit_t *limit, ngx_msec_t now)
{
    uint64_t    ticket;
    ngx_int_t   rc;
    ngx_msec_t  wait;

    rc = ngx_http_idpay_limiter_reserve(&ctx->iucf->shared->limiter,
                                        limit->bucket, &limit->rate, now,
                                        limit->wait, &ticket, &wait);

    return rc != NGX_OK || wait;
}


static ngx_int_t
ngx_http_idpay_admission_park(ngx_http_idpay_ctx_t *ctx, ngx_msec_t now,
    ngx_msec_t wait)
{
    ngx_http_idpay_queue_t  *queue;
    ngx_http_idpay_limit_t  *limit;

    limit = ngx_http_idpay_admission_limit(ctx);
    queue = limit->queue;

    if (ctx->placed) {

        if (ngx_http_idpay_queue_room(queue) != NGX_OK) {
            ngx_shmtx_lock(ctx->iucf->mutex);

            (void) ngx_http_idpay_limiter_cancel(&ctx->iucf->shared->limiter,
                                                 limit->bucket, ctx->ticket);

            ngx_shmtx_unlock(ctx->iucf->mutex);

            return NGX_ERROR;
        }

        ngx_http_idpay_queue_push(queue, ctx->ticket);
    }

    ngx_queue_insert_tail(&queue->calls, &ctx->link);
    queue->ncalls++;

    if (queue->ncalls == 1) {
        ngx_add_timer(&queue->event,
                      ngx_min(wait, NGX_HTTP_IDPAY_MAX_SLEEP));
    }

    ctx->queue = queue;
    ctx->parked = now;

    (void) ngx_atomic_fetch_add(&ctx->iucf->shared->waited, 1);

    return NGX_AGAIN;
}


static void
ngx_http_idpay_admission_unpark(ngx_http_idpay_ctx_t *ctx)
{
    ngx_uint_t               n;
    ngx_http_idpay_queue_t  *queue;

    queue = ctx->queue;

    ctx->queue = NULL;
    ctx->wait += ngx_current_msec - ctx->parked;

    ngx_queue_remove(&ctx->link);
    queue->ncalls--;

    /* places at the end of all go back, others are for those behind */

    ngx_shmtx_lock(queue->iucf->mutex);

    for (n = 0; queue->ntickets - n > queue->ncalls; n++) {

        if (ngx_http_idpay_limiter_cancel(&queue->iucf->shared->limiter,
                    queue->limit->bucket,
                    ngx_http_idpay_queue_ticket(queue,
                                                queue->ntickets - n - 1))
            != NGX_OK)
        {
            break;
        }
    }

    ngx_shmtx_unlock(queue->iucf->mutex);

    if (queue->ncalls) {
        ngx_http_idpay_queue_cut(queue, n);
        return;
    }

    ngx_http_idpay_queue_cut(queue, queue->ntickets);

    if (queue->event.timer_set) {
        ngx_del_timer(&queue->event);
    }
}


static void
ngx_http_idpay_admission_turn(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_msec_t               wait;
    ngx_http_idpay_ctx_t    *ctx;
    ngx_http_idpay_queue_t  *queue;

    queue = ev->data;

    while (queue->ncalls) {

        ngx_shmtx_lock(queue->iucf->mutex);

        wait = ngx_http_idpay_limiter_wait(&queue->iucf->shared->limiter,
                                   queue->limit->bucket, &queue->limit->rate,
                                   ngx_current_msec,
                                   &ngx_http_idpay_queue_ticket(queue, 0));

        ngx_shmtx_unlock(queue->iucf->mutex);

        if (ev->timer_set) {
            ngx_del_timer(ev);
        }

        if (wait) {
            ngx_add_timer(ev, ngx_min(wait, NGX_HTTP_IDPAY_MAX_SLEEP));
            return;
        }

        q = ngx_queue_head(&queue->calls);
        ctx = ngx_queue_data(q, ngx_http_idpay_ctx_t, link);

        ngx_queue_remove(q);
        queue->ncalls--;

        ngx_http_idpay_queue_shift(queue);

        if (queue->ncalls == 0) {
            ngx_http_idpay_queue_cut(queue, queue->ntickets);
        }

        ctx->queue = NULL;
        ctx->wait += ngx_current_msec - ctx->parked;
        ctx->stage++;

        ngx_http_idpay_exchange_resume(ctx);
    }
}


void
ngx_http_idpay_admission_give_up(ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_limit_t  *limit;

    ngx_http_idpay_admission_unpark(ctx);

    limit = ngx_http_idpay_admission_limit(ctx);

    ngx_shmtx_lock(ctx->iucf->mutex);

    ctx->retry_after = ngx_http_idpay_limiter_wait(
                                   &ctx->iucf->shared->limiter, limit->bucket,
                                   &limit->rate, ngx_current_msec, NULL);

    ngx_shmtx_unlock(ctx->iucf->mutex);

    (void) ngx_atomic_fetch_add(&ctx->iucf->shared->rejected, 1);
}


/* the answers of a provider that is well are told without the lock */

void
ngx_http_idpay_admission_report(ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_report_t *report)
{
    ngx_msec_t                       now;
    ngx_uint_t                       failed, told, refused;
    ngx_http_idpay_shared_t         *shared;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ctx->iucf;
    shared = iucf->shared;
    now = ngx_current_msec;

    failed = report->end != NGX_HTTP_IDPAY_ANSWERED
             || (report->status >= NGX_HTTP_INTERNAL_SERVER_ERROR
                 && report->status != NGX_HTTP_NOT_IMPLEMENTED
                 && report->status != NGX_HTTP_VERSION_NOT_SUPPORTED);

    refused = !failed && report->status == NGX_HTTP_TOO_MANY_REQUESTS;

    /* a 503 with the time of its end is a cool-down too */

    told = iucf->adaptive && report->delay > 0
           && (refused || report->status == NGX_HTTP_SERVICE_UNAVAILABLE);

    if (iucf->adaptive && !refused && report->end == NGX_HTTP_IDPAY_ANSWERED) {
        ngx_http_idpay_limiter_accepted(&shared->limiter, ctx->started);
    }

    if (!failed && !ctx->probe && shared->breaker.failures == 0
        && (!iucf->adaptive || (!refused && !told && !report->quota.valid)))
    {
        return;
    }

    ngx_shmtx_lock(iucf->mutex);

    if (report->neutral) {
        ngx_http_idpay_breaker_release(&shared->breaker, now, ctx->probe);

    } else if (failed) {
        ngx_http_idpay_breaker_failure(&shared->breaker, &iucf->breaker, now,
                                       ctx->started, ctx->probe);

    } else {
        ngx_http_idpay_breaker_success(&shared->breaker, now, ctx->started,
                                       ctx->probe);
    }

    if (iucf->adaptive && refused) {
        ngx_http_idpay_limiter_refused(&shared->limiter, &iucf->limit.rate,
                                       now, ctx->started,
                                       told || report->quota.valid);
    }

    if (iucf->adaptive && report->quota.valid) {
        ngx_http_idpay_limiter_pace(&shared->limiter, &iucf->limit.rate, now,
                                    report->quota.remaining,
                                    report->quota.reset);
    }

    if (told) {
        ngx_http_idpay_limiter_pause(&shared->limiter, now, report->delay);
    }

    ngx_shmtx_unlock(iucf->mutex);

    ctx->probe = 0;

    if (iucf->limit.queue->ncalls) {
        ngx_post_event(&iucf->limit.queue->event, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_idpay_admission_retry(ngx_http_idpay_ctx_t *ctx, ngx_msec_t delay)
{
    ngx_int_t                        rc;
    ngx_uint_t                       in_flight;
    ngx_msec_t                       now, wait;
    ngx_http_idpay_shared_t         *shared;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ctx->iucf;
    shared = iucf->shared;
    now = ngx_current_msec;

    in_flight = ngx_http_idpay_lease_sum(&shared->in_flight, now);

    ngx_shmtx_lock(iucf->mutex);

    wait = ngx_http_idpay_limiter_wait(&shared->limiter, 0, &iucf->limit.rate,
                                       now, NULL);
    delay = ngx_max(delay, wait);

    if (ctx->rule && !ctx->rule->dry_run) {
        wait = ngx_http_idpay_limiter_wait(&shared->limiter,
                                           ctx->rule->bucket,
                                           &ctx->rule->rate, now, NULL);
        delay = ngx_max(delay, wait);
    }

    rc = NGX_DECLINED;

    if (shared->breaker.state == NGX_HTTP_IDPAY_BREAKER_OPEN
        && (ngx_msec_int_t) (shared->breaker.until - now - delay) > 0)
    {
        delay = shared->breaker.until - now;

    } else if ((ngx_msec_int_t) (ctx->deadline - now) > (ngx_msec_int_t) delay)
    {
        rc = ngx_http_idpay_retry_take(&shared->budget, &iucf->retry, now,
                                       in_flight);
    }

    ngx_shmtx_unlock(iucf->mutex);

    ctx->retry_after = delay;

    return rc;
}


void
ngx_http_idpay_admission_leave(ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_shared_t  *shared;

    shared = ctx->iucf->shared;

    if (ctx->queue) {
        ngx_http_idpay_admission_unpark(ctx);
    }

    if (ctx->probe) {
        ngx_shmtx_lock(ctx->iucf->mutex);

        ngx_http_idpay_breaker_release(&shared->breaker, ngx_current_msec,
                                       ctx->probe);

        ngx_shmtx_unlock(ctx->iucf->mutex);

        ctx->probe = 0;
    }

    if (ctx->leased) {
        ctx->leased = 0;
        ngx_http_idpay_lease_give(&shared->in_flight);
    }
}
