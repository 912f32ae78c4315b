
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_token.h"

#include "credential/ngx_http_idpay_renew.h"


/* a token is not used in the last of its time, ms: a call takes a while */

#define NGX_HTTP_IDPAY_TOKEN_MARGIN  5000


static ngx_int_t ngx_http_idpay_token_test(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_entry_t *entry,
    uint64_t refused, ngx_msec_t now, ngx_uint_t *start);
static void ngx_http_idpay_token_draw(void);
static void ngx_http_idpay_token_take(ngx_http_idpay_entry_t *entry,
    ngx_msec_t now);
static ngx_uint_t ngx_http_idpay_token_leased(ngx_http_idpay_entry_t *entry,
    ngx_msec_t now);
static ngx_uint_t ngx_http_idpay_token_delayed(ngx_http_idpay_entry_t *entry,
    ngx_msec_t now);
static void ngx_http_idpay_token_delay(ngx_http_idpay_entry_t *entry,
    ngx_http_idpay_cause_e cause, ngx_msec_t now, ngx_msec_t retry);
static ngx_int_t ngx_http_idpay_token_write(ngx_pool_t *pool, u_char *data,
    size_t len, ngx_http_idpay_token_t *token);
static void ngx_http_idpay_token_wipe(void *data);
static void ngx_http_idpay_token_wait(ngx_http_idpay_token_wait_t *wait);
static void ngx_http_idpay_token_poll(ngx_event_t *ev);
static void ngx_http_idpay_token_ready(ngx_queue_t *ready);
static void ngx_http_idpay_token_wake(void);


/* of this worker */

static ngx_queue_t       ngx_http_idpay_token_waits;
static ngx_event_t       ngx_http_idpay_token_event;
static ngx_connection_t  ngx_http_idpay_token_dumb;
static uint64_t          ngx_http_idpay_token_owners;


ngx_int_t
ngx_http_idpay_token_get(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t refused, ngx_pool_t *pool,
    ngx_http_idpay_token_t *token, ngx_http_idpay_token_wait_t *wait)
{
    u_char                   buf[NGX_HTTP_IDPAY_MAX_TOKEN];
    size_t                   len;
    uint64_t                 owner;
    ngx_int_t                rc;
    ngx_msec_t               now;
    ngx_uint_t               start;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    now = ngx_current_msec;
    shpool = iucf->zone->shpool;
    start = 0;
    owner = 0;
    len = 0;

    ngx_memzero(token, sizeof(ngx_http_idpay_token_t));

    ngx_http_idpay_token_draw();

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);

    if (entry == NULL && profile->len && iucf->store == NULL) {
        ngx_shmtx_unlock(&shpool->mutex);

        token->cause = NGX_HTTP_IDPAY_CAUSE_ABSENT;

        return NGX_DECLINED;
    }

    if (entry == NULL) {
        entry = ngx_http_idpay_cache_add(iucf->zone->cache, shpool,
                                         iucf->shared, profile, now);
        if (entry == NULL) {
            ngx_shmtx_unlock(&shpool->mutex);

            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "idpay: no room for a token of \"%V\", enlarge "
                          "\"idpay_zone\"", &iucf->name);
            return NGX_ERROR;
        }
    }

    rc = ngx_http_idpay_token_test(iucf, entry, refused, now, &start);

    if (start) {
        ngx_http_idpay_token_take(entry, now);
        owner = entry->owner;
    }

    switch (rc) {

    case NGX_OK:
        len = entry->access.len;
        ngx_memcpy(buf, entry->access.data, len);
        token->generation = entry->generation;
        break;

    case NGX_AGAIN:
        wait->changes = entry->changes;
        break;

    default: /* NGX_DECLINED */
        token->cause = entry->cause;

        if (ngx_http_idpay_token_delayed(entry, now)) {
            token->retry_after = entry->retry - now;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (start) {
        ngx_http_idpay_renew(iucf, profile, owner, refused);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_token_write(pool, buf, len, token);
        ngx_explicit_memzero(buf, len);
    }

    if (rc == NGX_AGAIN) {
        wait->iucf = iucf;
        wait->profile = *profile;

        ngx_http_idpay_token_wait(wait);
    }

    return rc;
}


/* under the lock: what there is for a call, and whether to get a new token */

static ngx_int_t
ngx_http_idpay_token_test(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_entry_t *entry, uint64_t refused, ngx_msec_t now,
    ngx_uint_t *start)
{
    ngx_uint_t  leased, delayed;

    leased = ngx_http_idpay_token_leased(entry, now);
    delayed = ngx_http_idpay_token_delayed(entry, now);

    if (entry->generation && entry->generation != refused
        && (ngx_msec_int_t) (entry->usable - now) > 0)
    {
        *start = !leased && !delayed
                 && (entry->kept_refresh.len
                     || (ngx_msec_int_t) (now - entry->renew) >= 0);
        return NGX_OK;
    }

    if (leased) {
        return NGX_AGAIN;
    }

    if (delayed
        || (entry->cause == NGX_HTTP_IDPAY_CAUSE_GONE && iucf->store == NULL))
    {
        return NGX_DECLINED;
    }

    *start = 1;

    return NGX_AGAIN;
}


/* a process ID may come again, in another container or after a restart */

static void
ngx_http_idpay_token_draw(void)
{
    if (ngx_http_idpay_token_owners == 0) {
        (void) ngx_http_idpay_crypto_random(
                                      (u_char *) &ngx_http_idpay_token_owners,
                                      sizeof(uint64_t));
    }
}


static void
ngx_http_idpay_token_take(ngx_http_idpay_entry_t *entry, ngx_msec_t now)
{
    entry->owner = ++ngx_http_idpay_token_owners;
    entry->lease = now + NGX_HTTP_IDPAY_TOKEN_LEASE;
}


static ngx_uint_t
ngx_http_idpay_token_leased(ngx_http_idpay_entry_t *entry, ngx_msec_t now)
{
    return entry->owner && (ngx_msec_int_t) (entry->lease - now) > 0;
}


static ngx_uint_t
ngx_http_idpay_token_delayed(ngx_http_idpay_entry_t *entry, ngx_msec_t now)
{
    return entry->failures && (ngx_msec_int_t) (entry->retry - now) > 0;
}


/* only what a header can hold has become a token */

static ngx_int_t
ngx_http_idpay_token_write(ngx_pool_t *pool, u_char *data, size_t len,
    ngx_http_idpay_token_t *token)
{
    u_char              *p;
    ngx_str_t           *headers;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    headers = cln->data;

    headers->len = sizeof("Authorization: Bearer " CRLF) - 1 + len;
    headers->data = ngx_pnalloc(pool, headers->len);
    if (headers->data == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_idpay_token_wipe;

    p = ngx_cpymem(headers->data, "Authorization: Bearer ",
                   sizeof("Authorization: Bearer ") - 1);

    token->token.data = p;
    token->token.len = len;

    p = ngx_cpymem(p, data, len);
    ngx_memcpy(p, CRLF, sizeof(CRLF) - 1);

    token->credential.headers = *headers;

    return NGX_OK;
}


static void
ngx_http_idpay_token_wipe(void *data)
{
    ngx_str_t *headers = data;

    ngx_explicit_memzero(headers->data, headers->len);
}


static void
ngx_http_idpay_token_wait(ngx_http_idpay_token_wait_t *wait)
{
    if (ngx_http_idpay_token_event.handler == NULL) {
        ngx_queue_init(&ngx_http_idpay_token_waits);

        ngx_http_idpay_token_dumb.fd = (ngx_socket_t) -1;

        ngx_http_idpay_token_event.handler = ngx_http_idpay_token_poll;
        ngx_http_idpay_token_event.data = &ngx_http_idpay_token_dumb;
        ngx_http_idpay_token_event.cancelable = 1;
    }

    ngx_http_idpay_token_event.log = ngx_cycle->log;

    ngx_queue_insert_tail(&ngx_http_idpay_token_waits, &wait->queue);

    if (!ngx_http_idpay_token_event.timer_set) {
        ngx_add_timer(&ngx_http_idpay_token_event,
                      NGX_HTTP_IDPAY_TOKEN_POLL);
    }
}


void
ngx_http_idpay_token_leave(ngx_http_idpay_token_wait_t *wait)
{
    if (wait->queue.next) {
        ngx_queue_remove(&wait->queue);
        wait->queue.next = NULL;
    }
}


static void
ngx_http_idpay_token_poll(ngx_event_t *ev)
{
    ngx_queue_t                   ready, *q;
    ngx_http_idpay_token_wait_t  *wait;

    ngx_queue_init(&ready);

    ngx_http_idpay_token_ready(&ready);

    /* a handler may add waits, and take back those that are ready */

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        wait = ngx_queue_data(q, ngx_http_idpay_token_wait_t, queue);

        ngx_http_idpay_token_leave(wait);

        wait->handler(wait->data);
    }

    if (!ngx_queue_empty(&ngx_http_idpay_token_waits) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_IDPAY_TOKEN_POLL);
    }
}


/* most of those who wait do so for the same token: it is looked up once */

static void
ngx_http_idpay_token_ready(ngx_queue_t *ready)
{
    ngx_msec_t                    now;
    ngx_uint_t                    leased, changes;
    ngx_queue_t                  *q, *next;
    ngx_slab_pool_t              *shpool;
    ngx_http_idpay_entry_t       *entry;
    ngx_http_idpay_token_wait_t  *wait, *last;

    now = ngx_current_msec;
    last = NULL;
    leased = 0;
    changes = 0;

    for (q = ngx_queue_head(&ngx_http_idpay_token_waits);
         q != ngx_queue_sentinel(&ngx_http_idpay_token_waits);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, ngx_http_idpay_token_wait_t, queue);

        if (last == NULL || last->iucf != wait->iucf
            || last->profile.len != wait->profile.len
            || ngx_memcmp(last->profile.data, wait->profile.data,
                          wait->profile.len)
               != 0)
        {
            last = wait;
            shpool = wait->iucf->zone->shpool;

            ngx_shmtx_lock(&shpool->mutex);

            entry = ngx_http_idpay_cache_find(wait->iucf->zone->cache,
                                              wait->iucf->shared,
                                              &wait->profile);

            leased = entry && ngx_http_idpay_token_leased(entry, now);
            changes = entry ? entry->changes : 0;

            ngx_shmtx_unlock(&shpool->mutex);
        }

        if (leased && changes == wait->changes) {
            continue;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(ready, q);
    }
}


/* those of this worker go on at once */

static void
ngx_http_idpay_token_wake(void)
{
    if (ngx_http_idpay_token_event.timer_set) {
        ngx_post_event(&ngx_http_idpay_token_event, &ngx_posted_events);
    }
}


ngx_uint_t
ngx_http_idpay_token_again(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation)
{
    ngx_msec_t               now;
    ngx_uint_t               again;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    now = ngx_current_msec;
    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);

    again = entry == NULL
            || entry->generation != generation
            || ngx_http_idpay_token_leased(entry, now)
            || (!ngx_http_idpay_token_delayed(entry, now)
                && !(entry->held && (ngx_msec_int_t) (entry->hold - now) > 0));

    ngx_shmtx_unlock(&shpool->mutex);

    return again;
}


void
ngx_http_idpay_token_refused(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation)
{
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);

    if (entry && entry->generation == generation) {
        entry->held = 1;
        entry->hold = ngx_current_msec + NGX_HTTP_IDPAY_TOKEN_HOLD;
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_int_t
ngx_http_idpay_token_lease(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t *owner)
{
    ngx_int_t                rc;
    ngx_msec_t               now;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    now = ngx_current_msec;
    shpool = iucf->zone->shpool;

    ngx_http_idpay_token_draw();

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);
    if (entry == NULL) {
        entry = ngx_http_idpay_cache_add(iucf->zone->cache, shpool,
                                         iucf->shared, profile, now);
    }

    if (entry == NULL) {
        rc = NGX_ERROR;

    } else if (ngx_http_idpay_token_leased(entry, now)) {
        rc = NGX_BUSY;

    } else {
        ngx_http_idpay_token_take(entry, now);
        *owner = entry->owner;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_idpay_token_keep(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_store_token_t *pair)
{
    ngx_int_t                rc;
    ngx_msec_t               now;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_cache_t  *cache;
    ngx_http_idpay_entry_t  *entry;

    rc = NGX_ERROR;
    now = ngx_current_msec;
    cache = iucf->zone->cache;
    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(cache, iucf->shared, profile);

    if (entry == NULL) {
        entry = ngx_http_idpay_cache_add(cache, shpool, iucf->shared, profile,
                                         now);
    }

    /* the refresh token is the mark that there is a pair to be saved */

    if (entry && owner && entry->owner != owner && entry->kept_refresh.len
        && entry->kept_generation >= pair->generation)
    {
        rc = NGX_DECLINED;

    } else if (entry
        && ngx_http_idpay_cache_set(cache, shpool, entry, &entry->kept_access,
                                    &pair->access, now)
           == NGX_OK
        && ngx_http_idpay_cache_set(cache, shpool, entry, &entry->kept_refresh,
                                    &pair->refresh, now)
           == NGX_OK)
    {
        entry->kept_generation = pair->generation;
        entry->kept_expires = pair->expires;
        entry->owner = owner ? entry->owner : 0;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: no room for a token of \"%V\", enlarge "
                      "\"idpay_zone\"", &iucf->name);
    }

    return rc;
}


void
ngx_http_idpay_token_publish(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_store_token_t *pair,
    time_t life, ngx_uint_t unsaved)
{
    ngx_int_t                rc;
    ngx_str_t                none;
    ngx_msec_t               now, time, margin;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_cache_t  *cache;
    ngx_http_idpay_entry_t  *entry;

    rc = NGX_ERROR;
    now = ngx_current_msec;
    cache = iucf->zone->cache;
    shpool = iucf->zone->shpool;

    ngx_str_null(&none);

    time = (ngx_msec_t) life * 1000;
    margin = ngx_min(NGX_HTTP_IDPAY_TOKEN_MARGIN, time / 10);

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(cache, iucf->shared, profile);

    if (entry == NULL) {
        entry = ngx_http_idpay_cache_add(cache, shpool, iucf->shared, profile,
                                         now);
    }

    if (entry == NULL) {
        goto done;
    }

    if (pair->generation == 0) {
        pair->generation = entry->generation + 1;
    }

    /*
     * What the store has may be published again, and who has the lease is
     * right: the store counts anew where another nginx has forgotten a profile.
     * Without a store a pair that is not newer is of a consent that another one
     * has replaced meanwhile.
     */

    if ((entry->generation > pair->generation
         && (owner == 0 || entry->owner != owner))
        || (entry->generation == pair->generation && iucf->store == NULL))
    {
        rc = NGX_OK;
        goto done;
    }

    if (ngx_http_idpay_cache_set(cache, shpool, entry, &entry->access,
                                 &pair->access, now)
        != NGX_OK
        || ngx_http_idpay_cache_set(cache, shpool, entry, &entry->refresh,
                                    iucf->store ? &none : &pair->refresh, now)
           != NGX_OK)
    {
        goto done;
    }

    if (!unsaved) {
        (void) ngx_http_idpay_cache_set(cache, shpool, entry,
                                        &entry->kept_access, &none, now);
        (void) ngx_http_idpay_cache_set(cache, shpool, entry,
                                        &entry->kept_refresh, &none, now);
    }

    entry->generation = pair->generation;
    entry->updated = ngx_time();
    entry->usable = now + time - margin;

    /* not all of them at once; and what may fail, as late as possible */

    entry->renew = pair->doubt ? entry->usable
                               : now + time / 100 * (75 + ngx_random() % 10);

    entry->loaded = 1;

    if (unsaved) {
        ngx_http_idpay_token_delay(entry, NGX_HTTP_IDPAY_CAUSE_STORE, now, 0);

    } else {
        entry->failures = 0;
        entry->cause = NGX_HTTP_IDPAY_CAUSE_NONE;
    }

    rc = NGX_OK;

done:

    /* of a new consent: who is at it has the former one's refresh token */

    if (entry && (entry->owner == owner || owner == 0)) {
        entry->owner = 0;

        if (rc != NGX_OK) {
            ngx_http_idpay_token_delay(entry, NGX_HTTP_IDPAY_CAUSE_FAILED, now,
                                       0);
        }
    }

    if (entry) {
        entry->changes++;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: no room for a token of \"%V\", enlarge "
                      "\"idpay_zone\"", &iucf->name);
    }

    ngx_http_idpay_token_wake();
}


void
ngx_http_idpay_token_fail(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_cause_e cause,
    ngx_msec_t retry, ngx_uint_t doubt)
{
    ngx_str_t                none;
    ngx_msec_t               now;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_cache_t  *cache;
    ngx_http_idpay_entry_t  *entry;

    now = ngx_current_msec;
    cache = iucf->zone->cache;
    shpool = iucf->zone->shpool;

    ngx_str_null(&none);

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(cache, iucf->shared, profile);

    if (entry && entry->owner == owner) {

        ngx_http_idpay_token_delay(entry, cause, now, retry);

        entry->owner = 0;
        entry->changes++;

        if (doubt) {
            entry->renew = entry->usable;
        }

        if (cause == NGX_HTTP_IDPAY_CAUSE_ABSENT
            || cause == NGX_HTTP_IDPAY_CAUSE_GONE)
        {
            entry->usable = now;
            entry->loaded = 0;

            (void) ngx_http_idpay_cache_set(cache, shpool, entry,
                                            &entry->kept_access, &none, now);
            (void) ngx_http_idpay_cache_set(cache, shpool, entry,
                                            &entry->kept_refresh, &none, now);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_http_idpay_token_wake();
}


/* a look into the store is always as cheap, so that is not put off */

static void
ngx_http_idpay_token_delay(ngx_http_idpay_entry_t *entry,
    ngx_http_idpay_cause_e cause, ngx_msec_t now, ngx_msec_t retry)
{
    ngx_msec_t  step;

    step = NGX_HTTP_IDPAY_TOKEN_RETRY;

    if (entry->cause != cause) {
        entry->failures = 0;
    }

    if (cause != NGX_HTTP_IDPAY_CAUSE_ABSENT
        && cause != NGX_HTTP_IDPAY_CAUSE_GONE)
    {
        step <<= ngx_min(entry->failures, 10);
        step = ngx_min(step, NGX_HTTP_IDPAY_TOKEN_MAX_RETRY);
    }

    entry->cause = cause;
    entry->failures++;
    entry->retry = now + ngx_max(step, retry);
}


void
ngx_http_idpay_token_release(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner)
{
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);

    if (entry && entry->owner == owner) {
        entry->owner = 0;
        entry->changes++;

        /* it was there for the lease alone */

        if (entry->generation == 0 && entry->failures == 0
            && entry->kept_refresh.len == 0)
        {
            ngx_http_idpay_cache_remove(iucf->zone->cache, shpool, entry);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_http_idpay_token_wake();
}


void
ngx_http_idpay_token_forget(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation)
{
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      profile);

    if (entry && entry->generation <= generation
        && (entry->kept_refresh.len == 0
            || entry->kept_generation <= generation))
    {
        ngx_http_idpay_cache_remove(iucf->zone->cache, shpool, entry);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_http_idpay_token_wake();
}
