
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_consents.h"

#include "credential/ngx_http_idpay_route.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_page.h"


/* shown at a time: one row more of the store tells that there are more */

#define NGX_HTTP_IDPAY_CONSENTS_PAGE  (NGX_HTTP_IDPAY_STORE_MAX_LIST - 1)

/* bytes of a consent in JSON, at most */

#define NGX_HTTP_IDPAY_CONSENTS_ITEM  256


typedef struct ngx_http_idpay_consents_wait_s  ngx_http_idpay_consents_wait_t;


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_idpay_ctx_t            *ctx;
    ngx_str_t                        profile;  /* or behind which to list */
    ngx_http_idpay_consent_t        *consent;  /* that is revoked, or NULL */
    ngx_http_idpay_consents_wait_t  *wait;     /* for the store, or NULL */
} ngx_http_idpay_consents_t;


/* what an operation of the store knows of the request, which may go */

struct ngx_http_idpay_consents_wait_s {
    ngx_http_idpay_consents_t       *cs;       /* NULL: it has gone */
};


static ngx_int_t ngx_http_idpay_consents_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_idpay_consents_rest(ngx_http_request_t *r,
    ngx_str_t *location, ngx_str_t *rest);
static ngx_int_t ngx_http_idpay_consents_list(ngx_http_idpay_consents_t *cs);
static ngx_int_t ngx_http_idpay_consents_show(ngx_http_idpay_consents_t *cs);
static ngx_int_t ngx_http_idpay_consents_revoke(
    ngx_http_idpay_consents_t *cs);
static void ngx_http_idpay_consents_revoked(void *data,
    ngx_http_idpay_consent_result_t *result);
static ngx_int_t ngx_http_idpay_consents_load(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_do_e action);
static void ngx_http_idpay_consents_loaded(ngx_http_idpay_store_op_t *op);
static ngx_int_t ngx_http_idpay_consents_stored(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_consents_cleanup(void *data);
static ngx_int_t ngx_http_idpay_consents_zone(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t **items, ngx_uint_t *nitems);
static ngx_uint_t ngx_http_idpay_consents_walk(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *items, ngx_uint_t max);
static void ngx_http_idpay_consents_entry(ngx_http_idpay_entry_t *entry,
    ngx_http_idpay_store_item_t *item);
static int ngx_libc_cdecl ngx_http_idpay_consents_compare(const void *one,
    const void *two);
static ngx_int_t ngx_http_idpay_consents_order(u_char *one, size_t one_len,
    u_char *two, size_t two_len);
static ngx_int_t ngx_http_idpay_consents_answer(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *items, ngx_uint_t nitems);
static ngx_int_t ngx_http_idpay_consents_one(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *item);
static u_char *ngx_http_idpay_consents_item(u_char *p,
    ngx_http_idpay_store_item_t *item);
static ngx_int_t ngx_http_idpay_consents_fail(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_cause_e cause);


static const ngx_str_t  ngx_http_idpay_consents_allow =
    ngx_string("GET, HEAD");

static const ngx_str_t  ngx_http_idpay_consents_allow_one =
    ngx_string("GET, HEAD, DELETE");


char *
ngx_http_idpay_consents(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->named
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        return "cannot be in a location that a regular expression or a name "
               "gives, the consents are below the location";
    }

    return ngx_http_idpay_page(cf, conf, ngx_http_idpay_consents_handler,
                               NULL);
}


static ngx_int_t
ngx_http_idpay_consents_handler(ngx_http_request_t *r)
{
    ngx_http_idpay_ctx_t       *ctx;
    ngx_http_idpay_consents_t  *cs;

    ctx = ngx_http_idpay_page_begin(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cs = ngx_pcalloc(r->pool, sizeof(ngx_http_idpay_consents_t));
    if (cs == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cs->request = r;
    cs->ctx = ctx;

    if (ngx_http_idpay_consents_rest(r, &ctx->ilcf->page->location,
                                     &cs->profile)
        != NGX_OK)
    {
        return ngx_http_idpay_consents_fail(cs, NGX_HTTP_IDPAY_CAUSE_ABSENT);
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return cs->profile.len ? ngx_http_idpay_consents_show(cs)
                               : ngx_http_idpay_consents_list(cs);
    }

    if (cs->profile.len == 0) {
        return ngx_http_idpay_answer_method(r, ctx,
                     &ngx_http_idpay_consents_allow,
                     "the list of consents can only be read");
    }

    if (r->method == NGX_HTTP_DELETE) {
        return ngx_http_idpay_consents_revoke(cs);
    }

    return ngx_http_idpay_answer_method(r, ctx,
                     &ngx_http_idpay_consents_allow_one,
                     "a consent can only be read and revoked");
}


/* the part below the location: a profile, or empty */

static ngx_int_t
ngx_http_idpay_consents_rest(ngx_http_request_t *r, ngx_str_t *location,
    ngx_str_t *rest)
{
    u_char  *p, *last;

    /* a "rewrite" may have led here with any URI */

    if (r->uri.len < location->len
        || ngx_memcmp(r->uri.data, location->data, location->len) != 0)
    {
        return NGX_DECLINED;
    }

    p = r->uri.data + location->len;
    last = r->uri.data + r->uri.len;

    if (p < last && location->data[location->len - 1] != '/') {

        /* "/consents7" is not below "/consents" */

        if (*p++ != '/') {
            return NGX_DECLINED;
        }
    }

    rest->data = p;
    rest->len = last - p;

    if (rest->len == 0
        || ngx_http_idpay_route_profile(p, last) == rest->len)
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_idpay_consents_list(ngx_http_idpay_consents_t *cs)
{
    ngx_int_t                     rc;
    ngx_str_t                    *after;
    ngx_uint_t                    nitems;
    ngx_http_idpay_store_item_t  *items;

    after = &cs->profile;

    rc = ngx_http_idpay_page_argument(cs->request, "after", after);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (after->len
        && ngx_http_idpay_route_profile(after->data, after->data + after->len)
           != after->len)
    {
        return ngx_http_idpay_answer_reject(cs->request, cs->ctx,
                     NGX_HTTP_BAD_REQUEST,
                     "the argument \"after\" is no profile's number");
    }

    if (cs->ctx->iucf->store) {
        return ngx_http_idpay_consents_load(cs, NGX_HTTP_IDPAY_STORE_LIST);
    }

    if (ngx_http_idpay_consents_zone(cs, &items, &nitems) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_idpay_consents_answer(cs, items, nitems);
}


static ngx_int_t
ngx_http_idpay_consents_show(ngx_http_idpay_consents_t *cs)
{
    ngx_slab_pool_t                 *shpool;
    ngx_http_idpay_entry_t          *entry;
    ngx_http_idpay_store_item_t      item;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = cs->ctx->iucf;

    if (iucf->store) {
        return ngx_http_idpay_consents_load(cs, NGX_HTTP_IDPAY_STORE_LOAD);
    }

    item.len = 0;
    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    entry = ngx_http_idpay_cache_find(iucf->zone->cache, iucf->shared,
                                      &cs->profile);

    if (entry && entry->generation) {
        ngx_http_idpay_consents_entry(entry, &item);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (item.len == 0) {
        return ngx_http_idpay_consents_fail(cs, NGX_HTTP_IDPAY_CAUSE_ABSENT);
    }

    return ngx_http_idpay_consents_one(cs, &item);
}


static ngx_int_t
ngx_http_idpay_consents_revoke(ngx_http_idpay_consents_t *cs)
{
    cs->consent = ngx_http_idpay_consent_revoke(cs->ctx->iucf, &cs->profile,
                                          ngx_http_idpay_consents_revoked, cs);
    if (cs->consent == NULL) {
        return ngx_http_idpay_answer_failure(cs->request, cs->ctx);
    }

    if (ngx_http_idpay_page_park(cs->request, ngx_http_idpay_consents_cleanup,
                                 cs)
        != NGX_OK)
    {
        ngx_http_idpay_consents_cleanup(cs);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


static void
ngx_http_idpay_consents_revoked(void *data,
    ngx_http_idpay_consent_result_t *result)
{
    ngx_http_idpay_consents_t *cs = data;

    ngx_int_t  rc;

    cs->consent = NULL;

    if (ngx_http_idpay_page_gone(cs->request, cs->ctx)) {
        return;
    }

    rc = (result->cause == NGX_HTTP_IDPAY_CAUSE_NONE)
         ? ngx_http_idpay_page_send(cs->request, NGX_HTTP_NO_CONTENT, NULL)
         : ngx_http_idpay_page_failure(cs->request, cs->ctx, result);

    ngx_http_idpay_page_finalize(cs->request, rc);
}


static ngx_int_t
ngx_http_idpay_consents_load(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_do_e action)
{
    ngx_http_idpay_store_op_t   op;

    cs->wait = ngx_alloc(sizeof(ngx_http_idpay_consents_wait_t),
                         ngx_cycle->log);
    if (cs->wait == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cs->wait->cs = cs;

    ngx_memzero(&op, sizeof(ngx_http_idpay_store_op_t));

    op.action = action;
    op.provider = cs->ctx->iucf->name;
    op.profile = cs->profile;
    op.handler = ngx_http_idpay_consents_loaded;
    op.data = cs->wait;

    if (ngx_http_idpay_store_post(cs->ctx->iucf->store, &op) != NGX_OK) {
        ngx_free(cs->wait);
        cs->wait = NULL;

        return ngx_http_idpay_consents_fail(cs, NGX_HTTP_IDPAY_CAUSE_STORE);
    }

    if (ngx_http_idpay_page_park(cs->request, ngx_http_idpay_consents_cleanup,
                                 cs)
        != NGX_OK)
    {
        ngx_http_idpay_consents_cleanup(cs);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


static void
ngx_http_idpay_consents_loaded(ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_consents_t       *cs;
    ngx_http_idpay_consents_wait_t  *wait;

    wait = op->data;
    cs = wait->cs;

    ngx_free(wait);

    if (cs == NULL) {
        return;
    }

    cs->wait = NULL;

    if (ngx_http_idpay_page_gone(cs->request, cs->ctx)) {
        return;
    }

    ngx_http_idpay_page_finalize(cs->request,
                                 ngx_http_idpay_consents_stored(cs, op));
}


static ngx_int_t
ngx_http_idpay_consents_stored(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_op_t *op)
{
    ngx_http_idpay_store_item_t  item;

    if (op->rc == NGX_DECLINED) {
        return ngx_http_idpay_consents_fail(cs, NGX_HTTP_IDPAY_CAUSE_ABSENT);
    }

    if (op->rc != NGX_OK) {
        return ngx_http_idpay_consents_fail(cs, NGX_HTTP_IDPAY_CAUSE_STORE);
    }

    if (op->action == NGX_HTTP_IDPAY_STORE_LIST) {
        return ngx_http_idpay_consents_answer(cs, op->items, op->nitems);
    }

    item.len = cs->profile.len;
    ngx_memcpy(item.profile, cs->profile.data, item.len);

    item.generation = op->token.generation;
    item.expires = op->token.expires;
    item.updated = op->token.updated;
    item.gone = op->token.gone;

    return ngx_http_idpay_consents_one(cs, &item);
}


static void
ngx_http_idpay_consents_cleanup(void *data)
{
    ngx_http_idpay_consents_t *cs = data;

    if (cs->consent) {
        ngx_http_idpay_consent_leave(cs->consent);
        cs->consent = NULL;
    }

    if (cs->wait) {
        cs->wait->cs = NULL;
        cs->wait = NULL;
    }
}


/* those that the zone has, of which new ones may come between the two walks */

static ngx_int_t
ngx_http_idpay_consents_zone(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t **items, ngx_uint_t *nitems)
{
    ngx_uint_t  n, max;

    max = ngx_http_idpay_consents_walk(cs, NULL, 0);

    *items = ngx_palloc(cs->request->pool,
                        (max + 1) * sizeof(ngx_http_idpay_store_item_t));
    if (*items == NULL) {
        return NGX_ERROR;
    }

    n = ngx_http_idpay_consents_walk(cs, *items, max);
    n = ngx_min(n, max);

    ngx_qsort(*items, n, sizeof(ngx_http_idpay_store_item_t),
              ngx_http_idpay_consents_compare);

    *nitems = n;

    return NGX_OK;
}


/* returns how many there are, and writes up to "max" of them */

static ngx_uint_t
ngx_http_idpay_consents_walk(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *items, ngx_uint_t max)
{
    ngx_uint_t                       n;
    ngx_queue_t                     *q;
    ngx_slab_pool_t                 *shpool;
    ngx_http_idpay_cache_t          *cache;
    ngx_http_idpay_entry_t          *entry;
    ngx_http_idpay_upstream_conf_t  *iucf;

    n = 0;

    iucf = cs->ctx->iucf;
    cache = iucf->zone->cache;
    shpool = iucf->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    for (q = ngx_queue_head(&cache->used);
         q != ngx_queue_sentinel(&cache->used);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, ngx_http_idpay_entry_t, queue);

        if (entry->provider != iucf->shared || entry->len == 0
            || entry->generation == 0
            || ngx_http_idpay_consents_order(entry->profile, entry->len,
                                             cs->profile.data,
                                             cs->profile.len)
               <= 0)
        {
            continue;
        }

        if (n < max) {
            ngx_http_idpay_consents_entry(entry, &items[n]);
        }

        n++;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return n;
}


static void
ngx_http_idpay_consents_entry(ngx_http_idpay_entry_t *entry,
    ngx_http_idpay_store_item_t *item)
{
    ngx_msec_int_t  left;

    left = entry->usable - ngx_current_msec;

    item->len = entry->len;
    ngx_memcpy(item->profile, entry->profile, entry->len);

    item->generation = entry->generation;
    item->expires = ngx_time() + left / 1000;
    item->updated = entry->updated;
    item->gone = (entry->cause == NGX_HTTP_IDPAY_CAUSE_GONE);
}


static int ngx_libc_cdecl
ngx_http_idpay_consents_compare(const void *one, const void *two)
{
    ngx_http_idpay_store_item_t  *first, *second;

    first = (ngx_http_idpay_store_item_t *) one;
    second = (ngx_http_idpay_store_item_t *) two;

    return (int) ngx_http_idpay_consents_order(first->profile, first->len,
                                               second->profile, second->len);
}


/* as the store does: numbers without leading zeros, so by their value */

static ngx_int_t
ngx_http_idpay_consents_order(u_char *one, size_t one_len, u_char *two,
    size_t two_len)
{
    if (one_len != two_len) {
        return (one_len < two_len) ? -1 : 1;
    }

    return ngx_memcmp(one, two, one_len);
}


static ngx_int_t
ngx_http_idpay_consents_answer(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *items, ngx_uint_t nitems)
{
    ngx_buf_t   *b;
    ngx_str_t    last;
    ngx_uint_t   i, n;

    n = ngx_min(nitems, NGX_HTTP_IDPAY_CONSENTS_PAGE);

    b = ngx_create_temp_buf(cs->request->pool,
                            (n + 1) * NGX_HTTP_IDPAY_CONSENTS_ITEM);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, "{\"consents\":[",
                         sizeof("{\"consents\":[") - 1);

    for (i = 0; i < n; i++) {
        if (i) {
            *b->last++ = ',';
        }

        b->last = ngx_http_idpay_consents_item(b->last, &items[i]);
    }

    *b->last++ = ']';

    if (n < nitems) {
        last.data = items[n - 1].profile;
        last.len = items[n - 1].len;

        b->last = ngx_sprintf(b->last, ",\"next\":\"%V\"", &last);
    }

    b->last = ngx_cpymem(b->last, "}" CRLF, sizeof("}" CRLF) - 1);

    return ngx_http_idpay_page_send(cs->request, NGX_HTTP_OK, b);
}


static ngx_int_t
ngx_http_idpay_consents_one(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_store_item_t *item)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(cs->request->pool, NGX_HTTP_IDPAY_CONSENTS_ITEM);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_idpay_consents_item(b->last, item);
    b->last = ngx_cpymem(b->last, CRLF, sizeof(CRLF) - 1);

    return ngx_http_idpay_page_send(cs->request, NGX_HTTP_OK, b);
}


static u_char *
ngx_http_idpay_consents_item(u_char *p, ngx_http_idpay_store_item_t *item)
{
    int64_t    left;
    ngx_tm_t   tm;
    ngx_str_t  profile;

    profile.data = item->profile;
    profile.len = item->len;

    left = item->expires - ngx_time();
    left = ngx_max(left, 0);

    ngx_gmtime((time_t) item->updated, &tm);

    return ngx_sprintf(p, "{\"client_profile_id\":%V,\"state\":\"%s\","
                       "\"generation\":%uL,\"expires_in\":%L,"
                       "\"updated\":\"%4d-%02d-%02dT%02d:%02d:%02dZ\"}",
                       &profile, item->gone ? "gone" : "valid",
                       item->generation, left,
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
}


static ngx_int_t
ngx_http_idpay_consents_fail(ngx_http_idpay_consents_t *cs,
    ngx_http_idpay_cause_e cause)
{
    ngx_http_idpay_consent_result_t  result;

    ngx_memzero(&result, sizeof(ngx_http_idpay_consent_result_t));

    result.cause = cause;

    return ngx_http_idpay_page_failure(cs->request, cs->ctx, &result);
}
