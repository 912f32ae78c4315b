
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_consent.h"

#include "credential/ngx_http_idpay_fetch.h"
#include "credential/ngx_http_idpay_oauth.h"
#include "credential/ngx_http_idpay_renew.h"
#include "credential/ngx_http_idpay_token.h"
#include "policy/ngx_http_idpay_retry_after.h"


/* how often the store may say that the row is another one by now */

#define NGX_HTTP_IDPAY_CONSENT_MAX_NEWER  3

/* when to come again where a token is being got, ms */

#define NGX_HTTP_IDPAY_CONSENT_RETRY      1000

/* characters of an error's code */

#define NGX_HTTP_IDPAY_CONSENT_ERROR      64


struct ngx_http_idpay_consent_s {
    ngx_http_idpay_upstream_conf_t     *iucf;
    u_char                              name[NGX_HTTP_IDPAY_CACHE_PROFILE];
    ngx_str_t                           profile;
    uint64_t                            owner;       /* of a revocation */
    uint64_t                            generation;  /* of the row, 0: none */

    ngx_http_idpay_store_token_t        pair;        /* its texts in "buf" */
    u_char                              buf[NGX_HTTP_IDPAY_MAX_TOKEN * 2];

    int64_t                             began;       /* s since 1970 */
    ngx_uint_t                          newer;
    ngx_event_t                         event;

    ngx_http_idpay_consent_result_t     result;
    u_char                              error[NGX_HTTP_IDPAY_CONSENT_ERROR];
    ngx_http_idpay_consent_handler_pt   handler;     /* NULL: nobody waits */
    void                               *data;
};


static ngx_http_idpay_consent_t *ngx_http_idpay_consent_create(
    ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_consent_handler_pt handler, void *data);
static void ngx_http_idpay_consent_pair(ngx_http_idpay_consent_t *ct,
    ngx_str_t *access, ngx_str_t *refresh);
static void ngx_http_idpay_consent_store(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_store_do_e action,
    ngx_http_idpay_store_handler_pt handler);

static void ngx_http_idpay_consent_answered(void *data,
    ngx_http_idpay_curl_answer_t *answer);
static void ngx_http_idpay_consent_refused(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_curl_answer_t *answer,
    ngx_http_idpay_oauth_answer_t *parsed);
static void ngx_http_idpay_consent_granted(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_oauth_answer_t *answer);
static void ngx_http_idpay_consent_loaded(ngx_http_idpay_store_op_t *op);
static uint64_t ngx_http_idpay_consent_generation(
    ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_saved(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_publish(ngx_http_idpay_consent_t *ct,
    ngx_uint_t unsaved);

static void ngx_http_idpay_consent_begin(ngx_http_idpay_consent_t *ct);
static ngx_uint_t ngx_http_idpay_consent_known(ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_kept(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_found(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_intended(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_ask(ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_revoked(void *data,
    ngx_http_idpay_curl_answer_t *answer);
static void ngx_http_idpay_consent_gone(ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_looked(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_removed(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_forget(ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_withdraw(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_cause_e cause);
static void ngx_http_idpay_consent_withdrawn(ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consent_fail(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_cause_e cause);

static ngx_msec_t ngx_http_idpay_consent_retry(
    ngx_http_idpay_curl_answer_t *answer);
static void ngx_http_idpay_consent_end(ngx_http_idpay_consent_t *ct);
static void ngx_http_idpay_consent_told(ngx_event_t *ev);


static ngx_http_idpay_consent_t *
ngx_http_idpay_consent_create(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_consent_handler_pt handler, void *data)
{
    ngx_http_idpay_consent_t  *ct;

    ct = ngx_calloc(sizeof(ngx_http_idpay_consent_t), ngx_cycle->log);
    if (ct == NULL) {
        return NULL;
    }

    ct->iucf = iucf;
    ct->profile.data = ct->name;
    ct->handler = handler;
    ct->data = data;

    ct->event.handler = ngx_http_idpay_consent_told;
    ct->event.data = ct;
    ct->event.log = ngx_cycle->log;

    return ct;
}


void
ngx_http_idpay_consent_leave(ngx_http_idpay_consent_t *ct)
{
    ct->handler = NULL;
}


/* each text is at most NGX_HTTP_IDPAY_MAX_TOKEN bytes long */

static void
ngx_http_idpay_consent_pair(ngx_http_idpay_consent_t *ct, ngx_str_t *access,
    ngx_str_t *refresh)
{
    u_char  *p;

    ct->pair.access.data = ct->buf;
    ct->pair.access.len = access->len;

    p = ngx_cpymem(ct->buf, access->data, access->len);

    ct->pair.refresh.data = p;
    ct->pair.refresh.len = refresh->len;

    ngx_memcpy(p, refresh->data, refresh->len);
}


/* a handler is told at once where there is no memory for the operation */

static void
ngx_http_idpay_consent_store(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_store_do_e action, ngx_http_idpay_store_handler_pt handler)
{
    ngx_time_t                 *tp;
    ngx_http_idpay_store_op_t   op;

    ngx_memzero(&op, sizeof(ngx_http_idpay_store_op_t));

    tp = ngx_timeofday();

    op.action = action;
    op.provider = ct->iucf->name;
    op.profile = ct->profile;
    op.generation = ct->generation;
    op.owner = ct->owner;
    op.until = (int64_t) tp->sec * 1000 + tp->msec
               + NGX_HTTP_IDPAY_TOKEN_LEASE;
    op.token = ct->pair;
    op.handler = handler;
    op.data = ct;

    if (ngx_http_idpay_store_post(ct->iucf->store, &op) != NGX_OK) {
        op.rc = NGX_ERROR;
        handler(&op);
    }
}


ngx_http_idpay_consent_t *
ngx_http_idpay_consent_exchange(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *code, ngx_http_idpay_consent_handler_pt handler, void *data)
{
    ngx_str_t                  none;
    ngx_http_idpay_consent_t  *ct;

    ct = ngx_http_idpay_consent_create(iucf, handler, data);
    if (ct == NULL) {
        return NULL;
    }

    ct->began = ngx_time();

    /* an error may echo it */

    ngx_str_null(&none);
    ngx_http_idpay_consent_pair(ct, &none, code);

    if (ngx_http_idpay_fetch_token(iucf, &iucf->scheme->grants->client,
                                   "authorization_code", code,
                                   ngx_http_idpay_consent_answered, ct)
        != NGX_OK)
    {
        ngx_explicit_memzero(ct->buf, code->len);
        ngx_free(ct);
        return NULL;
    }

    return ct;
}


static void
ngx_http_idpay_consent_answered(void *data,
    ngx_http_idpay_curl_answer_t *answer)
{
    u_char                         *buf;
    ngx_http_idpay_consent_t       *ct;
    ngx_http_idpay_oauth_answer_t   parsed;

    ct = data;

    ngx_memzero(&parsed, sizeof(ngx_http_idpay_oauth_answer_t));
    parsed.result = NGX_HTTP_IDPAY_OAUTH_FAILED;

    buf = NULL;

    if (answer->end == NGX_HTTP_IDPAY_CURL_ANSWERED) {

        buf = ngx_alloc(answer->body.len + 1, ngx_cycle->log);

        if (buf) {
            ngx_http_idpay_oauth_parse(&ct->iucf->scheme->grants->client, 1,
                                       answer->status, &answer->body,
                                       ct->began, ngx_time(), buf, &parsed);
        }
    }

    if (parsed.result == NGX_HTTP_IDPAY_OAUTH_GRANTED) {
        ngx_http_idpay_consent_granted(ct, &parsed);

    } else {
        ngx_http_idpay_consent_refused(ct, answer, &parsed);
    }

    if (buf) {
        ngx_explicit_memzero(buf, answer->body.len);
        ngx_free(buf);
    }
}


static void
ngx_http_idpay_consent_refused(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_curl_answer_t *answer,
    ngx_http_idpay_oauth_answer_t *parsed)
{
    ngx_http_idpay_consent_result_t  *result;

    result = &ct->result;
    result->cause = NGX_HTTP_IDPAY_CAUSE_FAILED;

    if (answer->end != NGX_HTTP_IDPAY_CURL_ANSWERED) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: a consent was not taken by \"%V\": %s",
                      &ct->iucf->name, answer->reason);

        result->doubt = (answer->end == NGX_HTTP_IDPAY_CURL_LOST);

        ngx_http_idpay_consent_end(ct);
        return;
    }

    ngx_http_idpay_fetch_redact(ct->iucf, &ct->pair.refresh, &parsed->error);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "idpay: a consent was not taken by \"%V\": the provider "
                  "answered %ui%s%V", &ct->iucf->name, answer->status,
                  parsed->error.len ? ", " : "", &parsed->error);

    if (parsed->result == NGX_HTTP_IDPAY_OAUTH_GONE) {
        result->cause = NGX_HTTP_IDPAY_CAUSE_GONE;

    } else if (parsed->result == NGX_HTTP_IDPAY_OAUTH_CLIENT) {
        result->cause = NGX_HTTP_IDPAY_CAUSE_CLIENT;
    }

    result->doubt = (parsed->result == NGX_HTTP_IDPAY_OAUTH_FAILED);
    result->status = answer->status;
    result->retry = ngx_http_idpay_consent_retry(answer);

    result->error.data = ct->error;
    result->error.len = ngx_min(parsed->error.len,
                                NGX_HTTP_IDPAY_CONSENT_ERROR);
    ngx_memcpy(ct->error, parsed->error.data, result->error.len);

    ngx_http_idpay_consent_end(ct);
}


static void
ngx_http_idpay_consent_granted(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_oauth_answer_t *answer)
{
    ct->profile.len = answer->profile.len;
    ngx_memcpy(ct->name, answer->profile.data, answer->profile.len);

    ct->pair.expires = ngx_time() + answer->life;

    ngx_http_idpay_consent_pair(ct, &answer->access, &answer->refresh);

    if (ct->iucf->store == NULL) {
        ngx_http_idpay_consent_publish(ct, 0);
        return;
    }

    /* the worker may be killed before the store has it, or tells what it has */

    ct->pair.generation = ngx_http_idpay_consent_generation(ct) + 1;
    (void) ngx_http_idpay_token_keep(ct->iucf, &ct->profile, 0, &ct->pair);

    ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_LOAD,
                                 ngx_http_idpay_consent_loaded);
}


static void
ngx_http_idpay_consent_loaded(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    ct->generation = (op->rc == NGX_OK) ? op->token.generation : 0;

    ct->pair.generation = ngx_http_idpay_consent_generation(ct) + 1;
    (void) ngx_http_idpay_token_keep(ct->iucf, &ct->profile, 0, &ct->pair);

    ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_SAVE,
                                 ngx_http_idpay_consent_saved);
}


/*
 * The former generation, where the zone may know of a newer one than the store.
 * A pair that is not yet in the store does not count: this one replaces it.
 */

static uint64_t
ngx_http_idpay_consent_generation(ngx_http_idpay_consent_t *ct)
{
    uint64_t                 generation;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    generation = 0;
    shpool = ct->iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(ct->iucf->zone->cache,
                                      ct->iucf->shared, &ct->profile);

    if (entry) {
        generation = entry->kept_refresh.len ? entry->kept_generation - 1
                                             : entry->generation;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return ngx_max(generation, ct->generation);
}


static void
ngx_http_idpay_consent_saved(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    if (op->rc == NGX_DECLINED
        && ct->newer++ < NGX_HTTP_IDPAY_CONSENT_MAX_NEWER)
    {
        ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_LOAD,
                                     ngx_http_idpay_consent_loaded);
        return;
    }

    if (op->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: the new refresh token of \"%V\" for profile %V "
                      "is not in the store and lost if nginx ends",
                      &ct->iucf->name, &ct->profile);
    }

    ngx_http_idpay_consent_publish(ct, op->rc != NGX_OK);
}


static void
ngx_http_idpay_consent_publish(ngx_http_idpay_consent_t *ct,
    ngx_uint_t unsaved)
{
    time_t  life;

    life = ct->pair.expires - ngx_time();
    life = ngx_max(life, 0);

    ngx_http_idpay_token_publish(ct->iucf, &ct->profile, 0, &ct->pair, life,
                                 unsaved);

    if (unsaved) {
        ngx_http_idpay_renew_save(ct->iucf, &ct->profile);
    }

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "idpay: consent given to \"%V\" for profile %V, "
                  "generation %uL, for %T s", &ct->iucf->name, &ct->profile,
                  ct->pair.generation, life);

    ngx_http_idpay_consent_end(ct);
}


ngx_http_idpay_consent_t *
ngx_http_idpay_consent_revoke(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, ngx_http_idpay_consent_handler_pt handler, void *data)
{
    ngx_int_t                  rc;
    ngx_http_idpay_consent_t  *ct;

    ct = ngx_http_idpay_consent_create(iucf, handler, data);
    if (ct == NULL) {
        return NULL;
    }

    ct->profile.len = profile->len;
    ngx_memcpy(ct->name, profile->data, profile->len);

    rc = ngx_http_idpay_token_lease(iucf, &ct->profile, &ct->owner);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "idpay: no room for a token of \"%V\", enlarge "
                      "\"idpay_zone\"", &iucf->name);
        ngx_free(ct);
        return NULL;
    }

    if (rc == NGX_OK) {
        ngx_http_idpay_consent_begin(ct);

    } else { /* NGX_BUSY */
        ct->result.cause = NGX_HTTP_IDPAY_CAUSE_FAILED;
        ct->result.retry = NGX_HTTP_IDPAY_CONSENT_RETRY;
        ngx_http_idpay_consent_end(ct);
    }

    return ct;
}


static void
ngx_http_idpay_consent_begin(ngx_http_idpay_consent_t *ct)
{
    if (ngx_http_idpay_consent_known(ct)) {
        ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_SAVE,
                                     ngx_http_idpay_consent_kept);

    } else if (ct->iucf->store) {
        ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_LOAD,
                                     ngx_http_idpay_consent_found);

    } else if (ct->pair.refresh.len) {
        ngx_http_idpay_consent_ask(ct);

    } else {
        ngx_http_idpay_consent_fail(ct, NGX_HTTP_IDPAY_CAUSE_ABSENT);
    }
}


/* what the zone has; returns 1 if that is a pair that is still to be saved */

static ngx_uint_t
ngx_http_idpay_consent_known(ngx_http_idpay_consent_t *ct)
{
    ngx_uint_t               kept;
    ngx_slab_pool_t         *shpool;
    ngx_http_idpay_entry_t  *entry;

    kept = 0;
    shpool = ct->iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(ct->iucf->zone->cache,
                                      ct->iucf->shared, &ct->profile);

    if (entry && entry->kept_refresh.len) {
        kept = 1;

        ct->generation = entry->kept_generation - 1;
        ct->pair.generation = entry->kept_generation;
        ct->pair.expires = entry->kept_expires;

        ngx_http_idpay_consent_pair(ct, &entry->kept_access,
                                    &entry->kept_refresh);

    } else if (entry) {
        ct->generation = entry->generation;

        ngx_http_idpay_consent_pair(ct, &entry->access, &entry->refresh);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return kept;
}


static void
ngx_http_idpay_consent_kept(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    if (op->rc == NGX_ERROR) {
        ngx_http_idpay_consent_fail(ct, NGX_HTTP_IDPAY_CAUSE_STORE);
        return;
    }

    ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_LOAD,
                                 ngx_http_idpay_consent_found);
}


static void
ngx_http_idpay_consent_found(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    if (op->rc == NGX_OK) {
        ct->generation = op->token.generation;

        ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_INTEND,
                                     ngx_http_idpay_consent_intended);
        return;
    }

    ngx_http_idpay_consent_fail(ct, op->rc == NGX_DECLINED
                                    ? NGX_HTTP_IDPAY_CAUSE_ABSENT
                                    : NGX_HTTP_IDPAY_CAUSE_STORE);
}


/* nobody spends the refresh token from here on */

static void
ngx_http_idpay_consent_intended(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    switch (op->rc) {

    case NGX_OK:
        ngx_http_idpay_consent_pair(ct, &op->token.access,
                                    &op->token.refresh);
        ngx_http_idpay_consent_ask(ct);
        return;

    case NGX_BUSY:

        if (op->until == 0 && ct->newer++ < NGX_HTTP_IDPAY_CONSENT_MAX_NEWER)
        {
            ct->generation = op->token.generation;
            ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_INTEND,
                                         ngx_http_idpay_consent_intended);
            return;
        }

        /* another nginx gets a new token, with the same store */

        ct->result.retry = NGX_HTTP_IDPAY_CONSENT_RETRY;
        ngx_http_idpay_consent_fail(ct, NGX_HTTP_IDPAY_CAUSE_FAILED);
        return;

    default: /* NGX_DECLINED, NGX_ERROR */
        ngx_http_idpay_consent_fail(ct, op->rc == NGX_DECLINED
                                        ? NGX_HTTP_IDPAY_CAUSE_ABSENT
                                        : NGX_HTTP_IDPAY_CAUSE_STORE);
    }
}


static void
ngx_http_idpay_consent_ask(ngx_http_idpay_consent_t *ct)
{
    if (ngx_http_idpay_fetch_revoke(ct->iucf, &ct->pair.refresh,
                                    ngx_http_idpay_consent_revoked, ct)
        != NGX_OK)
    {
        ngx_http_idpay_consent_withdraw(ct, NGX_HTTP_IDPAY_CAUSE_FAILED);
    }
}


static void
ngx_http_idpay_consent_revoked(void *data,
    ngx_http_idpay_curl_answer_t *answer)
{
    ngx_http_idpay_consent_t  *ct;

    ct = data;

    if (answer->end != NGX_HTTP_IDPAY_CURL_ANSWERED) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: the consent of profile %V was not revoked at "
                      "\"%V\": %s", &ct->profile, &ct->iucf->name,
                      answer->reason);

        ngx_http_idpay_consent_withdraw(ct, NGX_HTTP_IDPAY_CAUSE_FAILED);
        return;
    }

    /* a token that the provider does not know is of no use to anybody */

    if (answer->status == NGX_HTTP_OK || answer->status == NGX_HTTP_NOT_FOUND)
    {
        ngx_http_idpay_consent_gone(ct);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "idpay: the consent of profile %V was not revoked at "
                  "\"%V\": the provider answered %ui", &ct->profile,
                  &ct->iucf->name, answer->status);

    ct->result.status = answer->status;
    ct->result.retry = ngx_http_idpay_consent_retry(answer);

    ngx_http_idpay_consent_withdraw(ct, answer->status == NGX_HTTP_UNAUTHORIZED
                                        ? NGX_HTTP_IDPAY_CAUSE_CLIENT
                                        : NGX_HTTP_IDPAY_CAUSE_FAILED);
}


static void
ngx_http_idpay_consent_gone(ngx_http_idpay_consent_t *ct)
{
    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "idpay: consent revoked at \"%V\" for profile %V",
                  &ct->iucf->name, &ct->profile);

    if (ct->iucf->store) {
        ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_LOAD,
                                     ngx_http_idpay_consent_looked);
        return;
    }

    ngx_http_idpay_consent_forget(ct);
}


/* a row that is another one by now is of a new consent, and stays */

static void
ngx_http_idpay_consent_looked(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    if (op->rc == NGX_OK && op->token.generation != ct->generation) {
        ngx_http_idpay_consent_forget(ct);
        return;
    }

    ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_REMOVE,
                                 ngx_http_idpay_consent_removed);
}


static void
ngx_http_idpay_consent_removed(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    if (op->rc == NGX_ERROR) {
        ct->result.cause = NGX_HTTP_IDPAY_CAUSE_STORE;
    }

    ngx_http_idpay_consent_forget(ct);
}


static void
ngx_http_idpay_consent_forget(ngx_http_idpay_consent_t *ct)
{
    ngx_http_idpay_token_forget(ct->iucf, &ct->profile, ct->generation);
    ngx_http_idpay_token_release(ct->iucf, &ct->profile, ct->owner);

    ngx_http_idpay_consent_end(ct);
}


static void
ngx_http_idpay_consent_withdraw(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_cause_e cause)
{
    if (ct->iucf->store == NULL) {
        ngx_http_idpay_consent_fail(ct, cause);
        return;
    }

    ct->result.cause = cause;

    ngx_http_idpay_consent_store(ct, NGX_HTTP_IDPAY_STORE_WITHDRAW,
                                 ngx_http_idpay_consent_withdrawn);
}


/* an intent that could not be taken back ends by itself */

static void
ngx_http_idpay_consent_withdrawn(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consent_t  *ct;

    ct = op->data;

    ngx_http_idpay_consent_fail(ct, ct->result.cause);
}


static void
ngx_http_idpay_consent_fail(ngx_http_idpay_consent_t *ct,
    ngx_http_idpay_cause_e cause)
{
    ct->result.cause = cause;

    ngx_http_idpay_token_release(ct->iucf, &ct->profile, ct->owner);

    ngx_http_idpay_consent_end(ct);
}


static ngx_msec_t
ngx_http_idpay_consent_retry(ngx_http_idpay_curl_answer_t *answer)
{
    int64_t      now;
    ngx_int_t    retry;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    retry = ngx_http_idpay_retry_after(answer->retry_after.data,
                                       answer->retry_after.len, now);

    return (retry == NGX_ERROR) ? 0 : retry;
}


/* who waits is told from the event loop, also where it was a short way */

static void
ngx_http_idpay_consent_end(ngx_http_idpay_consent_t *ct)
{
    ngx_explicit_memzero(ct->buf, sizeof(ct->buf));

    ngx_post_event(&ct->event, &ngx_posted_events);
}


static void
ngx_http_idpay_consent_told(ngx_event_t *ev)
{
    ngx_http_idpay_consent_t  *ct;

    ct = ev->data;

    ct->result.profile = ct->profile;

    if (ct->handler) {
        ct->handler(ct->data, &ct->result);
    }

    ngx_free(ct);
}
