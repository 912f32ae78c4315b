
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_exchange.h"

#include "request/ngx_http_idpay_admission.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_attempt.h"
#include "request/ngx_http_idpay_authorize.h"
#include "request/ngx_http_idpay_call.h"
#include "request/ngx_http_idpay_collect.h"
#include "request/ngx_http_idpay_screen.h"
#include "request/ngx_http_idpay_verdict.h"


/* these may stand for another method or another path */

static ngx_str_t  ngx_http_idpay_overrides[] = {
    ngx_string("x-http-method*"),
    ngx_string("x-method-override"),
    ngx_string("x-original-url"),
    ngx_string("x-rewrite-url")
};


static ngx_array_t  ngx_http_idpay_override_headers = {
    ngx_http_idpay_overrides,
    sizeof(ngx_http_idpay_overrides) / sizeof(ngx_str_t),
    sizeof(ngx_str_t),
    sizeof(ngx_http_idpay_overrides) / sizeof(ngx_str_t),
    NULL
};


static void ngx_http_idpay_exchange_cleanup(void *data);
static void ngx_http_idpay_exchange_headers(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_exchange_read(ngx_http_request_t *r);
static void ngx_http_idpay_exchange_write(ngx_http_request_t *r);
static void ngx_http_idpay_exchange_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_idpay_exchange_gone(ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_exchange_run(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_admit(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_exchange_park(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_limited(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_verdict(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_exchange_finalize(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_int_t rc);


void
ngx_http_idpay_exchange_start(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_cleanup_t    *cln;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    rc = ngx_http_idpay_call_test(r, ctx);

    if (rc != NGX_DECLINED) {
        ngx_http_idpay_exchange_finalize(r, ctx, rc);
        return;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_idpay_exchange_finalize(r, ctx,
                                         NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_idpay_exchange_cleanup;
    cln->data = ctx;

    ctx->timer.handler = ngx_http_idpay_exchange_timer;
    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;

    ngx_http_idpay_exchange_headers(r, ctx);

    r->read_event_handler = ngx_http_idpay_exchange_read;
    r->write_event_handler = ngx_http_idpay_exchange_write;

    ngx_http_idpay_exchange_run(r, ctx);
}


/* a call that ends, however it does, holds nothing */

static void
ngx_http_idpay_exchange_cleanup(void *data)
{
    ngx_http_idpay_ctx_t *ctx = data;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);

        if (ctx->state == NGX_HTTP_IDPAY_DELAY) {
            ctx->wait += ngx_current_msec - ctx->parked;
        }
    }

    ngx_http_idpay_authorize_leave(ctx);
    ngx_http_idpay_admission_leave(ctx);
}


/* what the caller's headers say of time, and of what the call really is */

static void
ngx_http_idpay_exchange_headers(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t         wait;
    ngx_uint_t        i;
    ngx_msec_t        timeout;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    timeout = ctx->ilcf->timeout;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (ctx->safe
            && ngx_http_idpay_screen_header(&ngx_http_idpay_override_headers,
                                            &h[i].key))
        {
            ctx->safe = 0;
            continue;
        }

        if (h[i].key.len != sizeof("Prefer") - 1
            || ngx_strncasecmp(h[i].key.data, (u_char *) "Prefer",
                               sizeof("Prefer") - 1)
               != 0)
        {
            continue;
        }

        wait = ngx_http_idpay_prefer_wait(h[i].value.data, h[i].value.len);

        if (wait != NGX_ERROR && (ngx_msec_t) wait * 1000 < timeout) {
            timeout = (ngx_msec_t) wait * 1000;
            ctx->shortened = 1;
        }
    }

    ctx->deadline = ngx_current_msec + timeout;
}


/*
 * The attempt is a background subrequest: the caller's request keeps the
 * connection, and hands on to the attempt what happens there.
 */

static void
ngx_http_idpay_exchange_read(ngx_http_request_t *r)
{
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx->attempt) {
        ctx->attempt->read_event_handler(ctx->attempt);
        return;
    }

    /* a parked call whose caller has gone leaves its place */

    ngx_http_test_reading(r);
}


static void
ngx_http_idpay_exchange_write(ngx_http_request_t *r)
{
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx->attempt) {

        /* operations of threads are the caller's request's, as the output */

        ctx->attempt->aio = r->aio;

        ctx->attempt->write_event_handler(ctx->attempt);
        return;
    }

    if (ctx->queue || ctx->state == NGX_HTTP_IDPAY_CREDENTIAL
        || ctx->state == NGX_HTTP_IDPAY_DELAY)
    {
        return;
    }

    ngx_http_idpay_exchange_run(r, ctx);
}


static void
ngx_http_idpay_exchange_timer(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    if (ngx_http_idpay_exchange_gone(ctx)) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "idpay exchange timer, state: %ui", (ngx_uint_t) ctx->state);

    switch (ctx->state) {

    case NGX_HTTP_IDPAY_ADMIT:
        ngx_http_idpay_admission_give_up(ctx);
        ngx_http_idpay_exchange_finalize(r, ctx,
                                    ngx_http_idpay_exchange_limited(r, ctx));
        break;

    case NGX_HTTP_IDPAY_CREDENTIAL:
        ngx_http_idpay_exchange_finalize(r, ctx,
                                    ngx_http_idpay_authorize_late(r, ctx));
        break;

    case NGX_HTTP_IDPAY_DELAY:
        ctx->wait += ngx_current_msec - ctx->parked;
        ctx->state = NGX_HTTP_IDPAY_ADMIT;
        ngx_http_idpay_exchange_run(r, ctx);
        break;

    default: /* NGX_HTTP_IDPAY_VERDICT: an attempt is under way */
        ngx_http_idpay_attempt_abort(ctx);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Where a caller has hung up, a "post_action" takes the request elsewhere
 * before any cleanup is run: the call has ended all the same.
 */

static ngx_uint_t
ngx_http_idpay_exchange_gone(ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->attempt ? ctx->attempt : ctx->request;

    if (ngx_http_get_module_ctx(r, ngx_http_idpay_module) == ctx) {
        return 0;
    }

    ngx_http_idpay_exchange_cleanup(ctx);

    return 1;
}


void
ngx_http_idpay_exchange_resume(ngx_http_idpay_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ngx_http_idpay_exchange_gone(ctx)) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_idpay_exchange_run(r, ctx);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_idpay_exchange_run(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    for ( ;; ) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "idpay exchange state: %ui", (ngx_uint_t) ctx->state);

        switch (ctx->state) {

        case NGX_HTTP_IDPAY_ADMIT:
            rc = ngx_http_idpay_exchange_admit(r, ctx);

            if (rc == NGX_AGAIN) {
                ngx_http_idpay_exchange_park(r, ctx);
                return;
            }

            if (rc != NGX_DECLINED) {
                ngx_http_idpay_exchange_finalize(r, ctx, rc);
                return;
            }

            ctx->state = NGX_HTTP_IDPAY_CREDENTIAL;
            break;

        case NGX_HTTP_IDPAY_CREDENTIAL:
            rc = ngx_http_idpay_authorize(r, ctx);

            if (rc == NGX_AGAIN) {
                ngx_http_idpay_exchange_park(r, ctx);
                return;
            }

            if (rc != NGX_DECLINED) {
                ngx_http_idpay_exchange_finalize(r, ctx, rc);
                return;
            }

            ctx->state = NGX_HTTP_IDPAY_ATTEMPT;
            break;

        case NGX_HTTP_IDPAY_ATTEMPT:
            ctx->state = NGX_HTTP_IDPAY_VERDICT;
            ctx->started = ngx_current_msec;

            if (ngx_http_idpay_attempt_start(r, ctx) == NGX_OK) {
                ctx->attempts++;
                ngx_add_timer(&ctx->timer, ctx->deadline - ngx_current_msec);
                return;
            }

            ctx->rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            break;

        case NGX_HTTP_IDPAY_VERDICT:
            rc = ngx_http_idpay_exchange_verdict(r, ctx);

            if (!ctx->again) {
                ngx_http_idpay_exchange_finalize(r, ctx, rc);
                return;
            }

            ctx->again = 0;
            ctx->discard = 0;
            ctx->stage = NGX_HTTP_IDPAY_STAGE_RULE;

            if ((ngx_msec_int_t) (ctx->due - ngx_current_msec) > 0) {
                ctx->state = NGX_HTTP_IDPAY_DELAY;
                ctx->parked = ngx_current_msec;
                ngx_http_idpay_exchange_park(r, ctx);
                return;
            }

            ctx->state = NGX_HTTP_IDPAY_ADMIT;
            break;

        default: /* NGX_HTTP_IDPAY_DELAY */
            return;
        }
    }
}


/* returns NGX_DECLINED if there is nothing against the attempt, or NGX_AGAIN */

static ngx_int_t
ngx_http_idpay_exchange_admit(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_idpay_problem_t  problem;

    if ((ngx_msec_int_t) (ctx->deadline - ngx_current_msec) <= 0) {
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_PROVIDER_TIMEOUT,
                                    1);
        ngx_str_set(&problem.detail, "there is no time left for an attempt");

        return ngx_http_idpay_answer(r, ctx, &problem);
    }

    rc = ngx_http_idpay_admission_enter(ctx);

    switch (rc) {

    case NGX_OK:
        return NGX_DECLINED;

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_BUSY:
        return ngx_http_idpay_exchange_limited(r, ctx);

    case NGX_DECLINED:
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE, 1);
        ngx_str_set(&problem.detail,
                    "the provider failed again and again, no call is made "
                    "to it for a while");

        return ngx_http_idpay_answer(r, ctx, &problem);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static void
ngx_http_idpay_exchange_park(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_event_t  *rev;

    ngx_add_timer(&ctx->timer, ctx->due - ngx_current_msec);

    /* that the caller has gone may have been told already */

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_idpay_exchange_limited(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_problem_t  problem;

    ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_RATE_LIMITED, 1);
    ngx_str_set(&problem.detail,
                "more calls to the provider wait than its limit lets through "
                "in time");
    problem.own = 1;

    return ngx_http_idpay_answer(r, ctx, &problem);
}


static ngx_int_t
ngx_http_idpay_exchange_verdict(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_problem_t  problem;

    if (ctx->collect) {
        return ngx_http_idpay_collect_answer(r, ctx);
    }

    if (ctx->passed) {

        if (ctx->rc >= NGX_HTTP_SPECIAL_RESPONSE && !ctx->discard) {
            /* a header filter has refused the answer */
            return ctx->rc;
        }

        if (r->header_only) {
            return NGX_OK;
        }

        if (ctx->complete) {
            return ngx_http_send_special(r, NGX_HTTP_LAST);
        }

        /* half an answer must not look like a whole one */

        r->keepalive = 0;

        return ngx_http_send_special(r, NGX_HTTP_FLUSH);
    }

    if (!ctx->again) {
        ngx_http_idpay_verdict_failure(r, ctx, &problem);
    }

    if (ctx->again) {
        return NGX_OK;
    }

    return ngx_http_idpay_answer(r, ctx, &problem);
}


/*
 * An "error_page" may take the request elsewhere, where it has not the context
 * that the module's event handlers need.
 */

static void
ngx_http_idpay_exchange_finalize(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_idpay_exchange_cleanup(ctx);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (rc == NGX_HTTP_INTERNAL_SERVER_ERROR && !r->header_sent) {
        rc = ngx_http_idpay_answer_failure(r, ctx);
    }

    ngx_http_finalize_request(r, rc);
}
