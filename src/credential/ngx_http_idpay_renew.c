
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_renew.h"

#include "credential/ngx_http_idpay_fetch.h"
#include "credential/ngx_http_idpay_oauth.h"
#include "credential/ngx_http_idpay_token.h"
#include "policy/ngx_http_idpay_retry_after.h"


/* another nginx that gets the same token is looked after so often, ms */

#define NGX_HTTP_IDPAY_RENEW_LOOK       100

/* when what could not be saved is tried again, ms */

#define NGX_HTTP_IDPAY_RENEW_SAVE       5000

/* how often the store may say that there is a newer token, in one renewal */

#define NGX_HTTP_IDPAY_RENEW_MAX_NEWER  3

/* a token from the store is of use if it lives for so long, s */

#define NGX_HTTP_IDPAY_RENEW_MIN_LIFE   10


typedef struct {
    ngx_queue_t                      queue;
    ngx_http_idpay_upstream_conf_t  *iucf;
    const ngx_http_idpay_grant_t    *grant;
    u_char                           name[NGX_HTTP_IDPAY_CACHE_PROFILE];
    ngx_str_t                        profile;
    uint64_t                         owner;
    uint64_t                         refused;
    uint64_t                         generation;  /* of the former pair */

    ngx_http_idpay_store_token_t     pair;        /* its texts are in "buf" */
    u_char                           buf[NGX_HTTP_IDPAY_MAX_TOKEN * 2];

    int64_t                          began;       /* s since 1970 */
    ngx_uint_t                       newer;
    ngx_event_t                      timer;

    /* what to end with when the store has taken the intent back, if not well */

    ngx_http_idpay_cause_e           cause;
    ngx_msec_t                       retry;
    ngx_uint_t                       doubt;
} ngx_http_idpay_renew_t;


static ngx_http_idpay_renew_t *ngx_http_idpay_renew_create(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_str_t *profile);
static void ngx_http_idpay_renew_again(ngx_event_t *ev);
static void ngx_http_idpay_renew_begin(ngx_http_idpay_renew_t *rn,
    ngx_uint_t *loaded, ngx_uint_t *kept);
static void ngx_http_idpay_renew_pair(ngx_http_idpay_renew_t *rn,
    ngx_str_t *access, ngx_str_t *refresh);
static void ngx_http_idpay_renew_store(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_store_do_e action,
    ngx_http_idpay_store_handler_pt handler);
static void ngx_http_idpay_renew_loaded(ngx_http_idpay_store_op_t *op);
static ngx_uint_t ngx_http_idpay_renew_adopt(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_store_token_t *token);
static void ngx_http_idpay_renew_intended(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_renew_look(ngx_event_t *ev);
static void ngx_http_idpay_renew_fetch(ngx_http_idpay_renew_t *rn);
static void ngx_http_idpay_renew_answered(void *data,
    ngx_http_idpay_curl_answer_t *answer);
static void ngx_http_idpay_renew_granted(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_oauth_answer_t *answer);
static void ngx_http_idpay_renew_refused(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_curl_answer_t *answer,
    ngx_http_idpay_oauth_answer_t *parsed);
static void ngx_http_idpay_renew_withdrawn(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_renew_saved(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_renew_publish(ngx_http_idpay_renew_t *rn,
    ngx_uint_t unsaved);
static void ngx_http_idpay_renew_fail(ngx_http_idpay_renew_t *rn);
static void ngx_http_idpay_renew_end(ngx_http_idpay_renew_t *rn);


/* of this worker, those under way */

static ngx_queue_t  ngx_http_idpay_renew_all;


void
ngx_http_idpay_renew(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, uint64_t refused)
{
    ngx_uint_t               loaded, kept;
    ngx_http_idpay_renew_t  *rn;

    rn = ngx_http_idpay_renew_create(iucf, profile);

    if (rn == NULL) {
        ngx_http_idpay_token_fail(iucf, profile, owner,
                                  NGX_HTTP_IDPAY_CAUSE_FAILED, 0, 0);
        return;
    }

    rn->owner = owner;
    rn->refused = refused;

    ngx_http_idpay_renew_begin(rn, &loaded, &kept);

    if (kept) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_SAVE,
                                   ngx_http_idpay_renew_saved);

    } else if (iucf->store && !loaded) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_LOAD,
                                   ngx_http_idpay_renew_loaded);

    } else if (iucf->store && rn->profile.len) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_INTEND,
                                   ngx_http_idpay_renew_intended);

    } else {
        ngx_http_idpay_renew_fetch(rn);
    }
}


static ngx_http_idpay_renew_t *
ngx_http_idpay_renew_create(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile)
{
    ngx_http_idpay_renew_t         *rn;
    const ngx_http_idpay_grants_t  *grants;

    rn = ngx_calloc(sizeof(ngx_http_idpay_renew_t), ngx_cycle->log);
    if (rn == NULL) {
        return NULL;
    }

    if (ngx_http_idpay_renew_all.next == NULL) {
        ngx_queue_init(&ngx_http_idpay_renew_all);
    }

    ngx_queue_insert_tail(&ngx_http_idpay_renew_all, &rn->queue);

    grants = iucf->scheme->grants;

    rn->iucf = iucf;
    rn->grant = profile->len ? &grants->client : &grants->application;

    rn->profile.data = rn->name;
    rn->profile.len = profile->len;
    ngx_memcpy(rn->name, profile->data, profile->len);

    rn->timer.handler = ngx_http_idpay_renew_look;
    rn->timer.data = rn;
    rn->timer.log = ngx_cycle->log;
    rn->timer.cancelable = 1;

    return rn;
}


void
ngx_http_idpay_renew_save(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile)
{
    ngx_queue_t             *q;
    ngx_http_idpay_renew_t  *rn, *other;

    /* a single process may outlive its configuration, where a worker ends */

    if (ngx_process == NGX_PROCESS_SINGLE) {
        return;
    }

    rn = ngx_http_idpay_renew_create(iucf, profile);
    if (rn == NULL) {
        return;
    }

    /* once for each profile */

    for (q = ngx_queue_head(&ngx_http_idpay_renew_all);
         q != &rn->queue;
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_idpay_renew_t, queue);

        if (other->timer.handler == ngx_http_idpay_renew_again
            && other->iucf == iucf
            && other->profile.len == profile->len
            && ngx_memcmp(other->name, profile->data, profile->len) == 0)
        {
            ngx_http_idpay_renew_end(rn);
            return;
        }
    }

    rn->timer.handler = ngx_http_idpay_renew_again;

    ngx_add_timer(&rn->timer, NGX_HTTP_IDPAY_RENEW_SAVE);
}


static void
ngx_http_idpay_renew_again(ngx_event_t *ev)
{
    ngx_uint_t               loaded, kept;
    ngx_http_idpay_renew_t  *rn;

    rn = ev->data;

    if (ngx_http_idpay_token_lease(rn->iucf, &rn->profile, &rn->owner)
        != NGX_OK)
    {
        ngx_add_timer(ev, NGX_HTTP_IDPAY_RENEW_SAVE);
        return;
    }

    ngx_http_idpay_renew_begin(rn, &loaded, &kept);

    if (!kept) {
        ngx_http_idpay_token_release(rn->iucf, &rn->profile, rn->owner);
        ngx_http_idpay_renew_end(rn);
        return;
    }

    ev->handler = ngx_http_idpay_renew_look;

    ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_SAVE,
                               ngx_http_idpay_renew_saved);
}


/* what the zone has of the former pair */

static void
ngx_http_idpay_renew_begin(ngx_http_idpay_renew_t *rn, ngx_uint_t *loaded,
    ngx_uint_t *kept)
{
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    *loaded = 0;
    *kept = 0;

    shpool = rn->iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(rn->iucf->zone->cache, rn->iucf->shared,
                                      &rn->profile);

    if (entry && entry->kept_refresh.len) {
        *kept = 1;

        rn->generation = entry->kept_generation - 1;
        rn->pair.generation = entry->kept_generation;
        rn->pair.expires = entry->kept_expires;

        ngx_http_idpay_renew_pair(rn, &entry->kept_access,
                                  &entry->kept_refresh);

    } else if (entry) {
        *loaded = entry->loaded;

        rn->generation = entry->generation;

        ngx_http_idpay_renew_pair(rn, &entry->access, &entry->refresh);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


/* each text is at most NGX_HTTP_IDPAY_MAX_TOKEN bytes long */

static void
ngx_http_idpay_renew_pair(ngx_http_idpay_renew_t *rn, ngx_str_t *access,
    ngx_str_t *refresh)
{
    rn->pair.access.data = rn->buf;
    rn->pair.access.len = access->len;
    ngx_memcpy(rn->pair.access.data, access->data, access->len);

    rn->pair.refresh.data = rn->buf + access->len;
    rn->pair.refresh.len = refresh->len;
    ngx_memcpy(rn->pair.refresh.data, refresh->data, refresh->len);
}


static void
ngx_http_idpay_renew_store(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_store_do_e action, ngx_http_idpay_store_handler_pt handler)
{
    ngx_time_t                 *tp;
    ngx_http_idpay_store_op_t   op;

    ngx_memzero(&op, sizeof(ngx_http_idpay_store_op_t));

    tp = ngx_timeofday();

    op.action = action;
    op.provider = rn->iucf->name;
    op.profile = rn->profile;
    op.generation = rn->generation;
    op.owner = rn->owner;
    op.until = (int64_t) tp->sec * 1000 + tp->msec
               + NGX_HTTP_IDPAY_TOKEN_LEASE;
    op.token = rn->pair;
    op.handler = handler;
    op.data = rn;

    if (ngx_http_idpay_store_post(rn->iucf->store, &op) == NGX_OK) {
        return;
    }

    op.rc = NGX_ERROR;
    handler(&op);
}


static void
ngx_http_idpay_renew_loaded(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_renew_t  *rn;

    rn = op->data;

    /* an application's token can be had without the store */

    if (op->rc == NGX_ERROR && rn->profile.len) {
        rn->cause = NGX_HTTP_IDPAY_CAUSE_STORE;
        ngx_http_idpay_renew_fail(rn);
        return;
    }

    if (op->rc == NGX_DECLINED && rn->profile.len) {
        rn->cause = NGX_HTTP_IDPAY_CAUSE_ABSENT;
        ngx_http_idpay_renew_fail(rn);
        return;
    }

    if (op->rc == NGX_OK) {

        if (ngx_http_idpay_renew_adopt(rn, &op->token)) {
            return;
        }

        rn->generation = op->token.generation;
    }

    if (rn->profile.len) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_INTEND,
                                   ngx_http_idpay_renew_intended);
        return;
    }

    ngx_http_idpay_renew_fetch(rn);
}


/* takes a row of the store if it is good; returns 1 if that is the end */

static ngx_uint_t
ngx_http_idpay_renew_adopt(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_store_token_t *token)
{
    if (token->gone) {
        rn->cause = NGX_HTTP_IDPAY_CAUSE_GONE;
        ngx_http_idpay_renew_fail(rn);
        return 1;
    }

    if (token->generation == rn->refused
        || token->expires - ngx_time() < NGX_HTTP_IDPAY_RENEW_MIN_LIFE)
    {
        return 0;
    }

    rn->pair = *token;
    ngx_http_idpay_renew_pair(rn, &token->access, &token->refresh);

    ngx_http_idpay_renew_publish(rn, 0);

    return 1;
}


static void
ngx_http_idpay_renew_intended(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_renew_t  *rn;

    rn = op->data;

    switch (op->rc) {

    case NGX_OK:
        rn->pair = op->token;
        ngx_http_idpay_renew_pair(rn, &op->token.access, &op->token.refresh);

        if (op->token.gone) {
            rn->cause = NGX_HTTP_IDPAY_CAUSE_GONE;
            ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_WITHDRAW,
                                       ngx_http_idpay_renew_withdrawn);
            return;
        }

        /*
         * A refresh token that may be spent is tried last: if it is, then all
         * that came of it ends with that.
         */

        if (op->token.doubt && op->token.generation != rn->refused
            && op->token.expires - ngx_time() >= NGX_HTTP_IDPAY_RENEW_MIN_LIFE)
        {
            ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_WITHDRAW,
                                       ngx_http_idpay_renew_withdrawn);
            return;
        }

        ngx_http_idpay_renew_fetch(rn);
        return;

    case NGX_BUSY:

        if (op->until == 0) {

            if (ngx_http_idpay_renew_adopt(rn, &op->token)) {
                return;
            }

            rn->generation = op->token.generation;

            if (rn->newer++ < NGX_HTTP_IDPAY_RENEW_MAX_NEWER) {
                ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_INTEND,
                                           ngx_http_idpay_renew_intended);
                return;
            }

            rn->cause = NGX_HTTP_IDPAY_CAUSE_STORE;
            break;
        }

        /* another nginx is at it, with the same store and another zone */

        ngx_add_timer(&rn->timer, NGX_HTTP_IDPAY_RENEW_LOOK);
        return;

    case NGX_DECLINED:
        rn->cause = NGX_HTTP_IDPAY_CAUSE_ABSENT;
        break;

    default: /* NGX_ERROR */
        rn->cause = NGX_HTTP_IDPAY_CAUSE_STORE;
    }

    ngx_http_idpay_renew_fail(rn);
}


static void
ngx_http_idpay_renew_look(ngx_event_t *ev)
{
    ngx_http_idpay_renew_t  *rn;

    rn = ev->data;

    ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_INTEND,
                               ngx_http_idpay_renew_intended);
}


static void
ngx_http_idpay_renew_fetch(ngx_http_idpay_renew_t *rn)
{
    ngx_int_t  rc;

    rn->began = ngx_time();

    rc = ngx_http_idpay_fetch_token(rn->iucf, rn->grant,
                                    rn->profile.len ? "refresh_token"
                                                    : "client_credentials",
                                    rn->profile.len ? &rn->pair.refresh : NULL,
                                    ngx_http_idpay_renew_answered, rn);
    if (rc == NGX_OK) {
        return;
    }

    rn->cause = NGX_HTTP_IDPAY_CAUSE_FAILED;

    if (rn->iucf->store && rn->profile.len) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_WITHDRAW,
                                   ngx_http_idpay_renew_withdrawn);
        return;
    }

    ngx_http_idpay_renew_fail(rn);
}


static void
ngx_http_idpay_renew_answered(void *data, ngx_http_idpay_curl_answer_t *answer)
{
    u_char                         *buf;
    ngx_http_idpay_renew_t         *rn;
    ngx_http_idpay_oauth_answer_t   parsed;

    rn = data;

    ngx_memzero(&parsed, sizeof(ngx_http_idpay_oauth_answer_t));
    parsed.result = NGX_HTTP_IDPAY_OAUTH_FAILED;

    buf = NULL;

    if (answer->end == NGX_HTTP_IDPAY_CURL_ANSWERED) {

        buf = ngx_alloc(answer->body.len + 1, ngx_cycle->log);

        if (buf) {
            ngx_http_idpay_oauth_parse(rn->grant, rn->profile.len != 0,
                                       answer->status, &answer->body,
                                       rn->began, ngx_time(), buf, &parsed);
        }
    }

    if (parsed.result == NGX_HTTP_IDPAY_OAUTH_GRANTED && rn->profile.len
        && (parsed.profile.len != rn->profile.len
            || ngx_memcmp(parsed.profile.data, rn->profile.data,
                          rn->profile.len)
               != 0))
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: \"%V\" gave a token of another profile than "
                      "%V, it is not used", &rn->iucf->name, &rn->profile);

        parsed.result = NGX_HTTP_IDPAY_OAUTH_FAILED;
    }

    if (parsed.result == NGX_HTTP_IDPAY_OAUTH_GRANTED) {
        ngx_http_idpay_renew_granted(rn, &parsed);

    } else {
        ngx_http_idpay_renew_refused(rn, answer, &parsed);
    }

    if (buf) {
        ngx_explicit_memzero(buf, answer->body.len);
        ngx_free(buf);
    }
}


static void
ngx_http_idpay_renew_granted(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_oauth_answer_t *answer)
{
    rn->pair.generation = rn->generation + 1;
    rn->pair.expires = ngx_time() + answer->life;
    rn->pair.gone = 0;
    rn->pair.doubt = 0;

    ngx_http_idpay_renew_pair(rn, &answer->access, &answer->refresh);

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "idpay: new %s token of \"%V\"%s%V, generation %uL, "
                  "for %T s", rn->profile.len ? "client" : "application",
                  &rn->iucf->name, rn->profile.len ? " for profile " : "",
                  &rn->profile, rn->pair.generation, answer->life);

    if (rn->iucf->store == NULL) {
        ngx_http_idpay_renew_publish(rn, 0);
        return;
    }

    /* the worker may be killed before the store has it */

    if (rn->profile.len
        && ngx_http_idpay_token_keep(rn->iucf, &rn->profile, rn->owner,
                                     &rn->pair)
           == NGX_DECLINED)
    {
        /* a new consent: this pair is of the former one */

        ngx_http_idpay_renew_end(rn);
        return;
    }

    ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_SAVE,
                               ngx_http_idpay_renew_saved);
}


static void
ngx_http_idpay_renew_refused(ngx_http_idpay_renew_t *rn,
    ngx_http_idpay_curl_answer_t *answer,
    ngx_http_idpay_oauth_answer_t *parsed)
{
    int64_t      now;
    ngx_int_t    retry;
    ngx_time_t  *tp;

    rn->cause = NGX_HTTP_IDPAY_CAUSE_FAILED;

    if (answer->end != NGX_HTTP_IDPAY_CURL_ANSWERED) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: no token of \"%V\"%s%V: %s", &rn->iucf->name,
                      rn->profile.len ? " for profile " : "", &rn->profile,
                      answer->reason);

        rn->doubt = (answer->end == NGX_HTTP_IDPAY_CURL_LOST);

    } else {

        /* a code may be anything, also what was sent */

        ngx_http_idpay_fetch_redact(rn->iucf, &rn->pair.refresh,
                                    &parsed->error);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: no token of \"%V\"%s%V: the provider answered "
                      "%ui%s%V", &rn->iucf->name,
                      rn->profile.len ? " for profile " : "", &rn->profile,
                      answer->status, parsed->error.len ? ", " : "",
                      &parsed->error);

        switch (parsed->result) {

        case NGX_HTTP_IDPAY_OAUTH_GONE:
            rn->cause = NGX_HTTP_IDPAY_CAUSE_GONE;
            rn->pair.gone = 1;
            break;

        case NGX_HTTP_IDPAY_OAUTH_CLIENT:
            rn->cause = NGX_HTTP_IDPAY_CAUSE_CLIENT;
            break;

        case NGX_HTTP_IDPAY_OAUTH_FAILED:
            rn->doubt = 1;
            break;

        default: /* NGX_HTTP_IDPAY_OAUTH_BUSY */
            break;
        }

        tp = ngx_timeofday();
        now = (int64_t) tp->sec * 1000 + tp->msec;

        retry = ngx_http_idpay_retry_after(answer->retry_after.data,
                                           answer->retry_after.len, now);
        rn->retry = (retry == NGX_ERROR) ? 0 : retry;
    }

    /* a request for the application's token spends nothing */

    if (rn->profile.len == 0) {
        rn->doubt = 0;
    }

    rn->pair.doubt = rn->doubt;

    if (rn->iucf->store && rn->profile.len) {
        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_WITHDRAW,
                                   ngx_http_idpay_renew_withdrawn);
        return;
    }

    ngx_http_idpay_renew_fail(rn);
}


static void
ngx_http_idpay_renew_withdrawn(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_renew_t  *rn;

    rn = op->data;

    if (rn->cause == NGX_HTTP_IDPAY_CAUSE_NONE) {
        ngx_http_idpay_renew_publish(rn, 0);
        return;
    }

    if (rn->cause == NGX_HTTP_IDPAY_CAUSE_GONE && op->rc == NGX_DECLINED) {

        /* the refresh token was refused because another one has spent it */

        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_LOAD,
                                   ngx_http_idpay_renew_loaded);
        return;
    }

    ngx_http_idpay_renew_fail(rn);
}


static void
ngx_http_idpay_renew_saved(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_renew_t  *rn;

    rn = op->data;

    if (op->rc == NGX_DECLINED && rn->newer++ < NGX_HTTP_IDPAY_RENEW_MAX_NEWER)
    {
        /* a new consent, most likely: this pair is of the former one */

        ngx_http_idpay_renew_store(rn, NGX_HTTP_IDPAY_STORE_LOAD,
                                   ngx_http_idpay_renew_loaded);
        return;
    }

    if (op->rc == NGX_ERROR && rn->profile.len) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: the new refresh token of \"%V\" for profile %V "
                      "is not in the store and lost if nginx ends",
                      &rn->iucf->name, &rn->profile);

        ngx_http_idpay_renew_publish(rn, 1);
        return;
    }

    ngx_http_idpay_renew_publish(rn, 0);
}


static void
ngx_http_idpay_renew_publish(ngx_http_idpay_renew_t *rn, ngx_uint_t unsaved)
{
    time_t  life;

    life = rn->pair.expires - ngx_time();
    life = ngx_max(life, 0);

    ngx_http_idpay_token_publish(rn->iucf, &rn->profile, rn->owner, &rn->pair,
                                 life, unsaved);

    if (unsaved) {
        ngx_http_idpay_renew_save(rn->iucf, &rn->profile);
    }

    ngx_http_idpay_renew_end(rn);
}


static void
ngx_http_idpay_renew_fail(ngx_http_idpay_renew_t *rn)
{
    ngx_http_idpay_token_fail(rn->iucf, &rn->profile, rn->owner, rn->cause,
                              rn->retry, rn->doubt);
    ngx_http_idpay_renew_end(rn);
}


static void
ngx_http_idpay_renew_end(ngx_http_idpay_renew_t *rn)
{
    if (rn->timer.timer_set) {
        ngx_del_timer(&rn->timer);
    }

    ngx_queue_remove(&rn->queue);

    ngx_explicit_memzero(rn->buf, sizeof(rn->buf));
    ngx_free(rn);
}


void
ngx_http_idpay_renew_exit_process(void)
{
    ngx_queue_t  *q;

    while (ngx_http_idpay_renew_all.next
           && !ngx_queue_empty(&ngx_http_idpay_renew_all))
    {
        q = ngx_queue_head(&ngx_http_idpay_renew_all);

        ngx_http_idpay_renew_end(ngx_queue_data(q, ngx_http_idpay_renew_t,
                                                queue));
    }
}
