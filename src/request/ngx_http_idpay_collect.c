
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_collect.h"

#include "problem/ngx_http_idpay_normalize.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_authorize.h"
#include "request/ngx_http_idpay_filter.h"


/*
 * Bytes of a body that are read for what they say.  Of one that is longer than
 * that by as much at most, and says so, the rest is read too, so that the
 * connection can be used again.
 */

#define NGX_HTTP_IDPAY_MAX_COLLECTED  65536
#define NGX_HTTP_IDPAY_MIN_COLLECTED  4096

/* how long the body of an error is waited for, and one that is of no use, ms */

#define NGX_HTTP_IDPAY_COLLECT_TIME   5000
#define NGX_HTTP_IDPAY_DRAIN_TIME     500


static ngx_uint_t ngx_http_idpay_collect_json(ngx_http_request_t *sr);
static ngx_int_t ngx_http_idpay_collect_add(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, u_char *p, size_t len);
static ngx_int_t ngx_http_idpay_collect_overflow(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_collect_pass(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_collect_cut(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_collect_redact(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_problem_t *problem);
static ngx_int_t ngx_http_idpay_collect_allow(ngx_http_request_t *r);


ngx_uint_t
ngx_http_idpay_collect_test(ngx_http_request_t *sr, ngx_http_idpay_ctx_t *ctx)
{
    off_t       len;
    ngx_uint_t  status;

    status = sr->headers_out.status;

    if (!ctx->ilcf->errors) {
        return 0;
    }

    if (status >= NGX_HTTP_BAD_REQUEST) {
        return 1;
    }

    len = sr->upstream->headers_in.content_length_n;

    return ngx_http_idpay_normalize_success(&ctx->iucf->errors, status)
           && sr->method != NGX_HTTP_HEAD
           && len != 0 && len <= NGX_HTTP_IDPAY_MAX_COLLECTED
           && ngx_http_idpay_collect_json(sr);
}


/* "application/json" and "application/NAME+json" (RFC 6839 3.1) */

static ngx_uint_t
ngx_http_idpay_collect_json(ngx_http_request_t *sr)
{
    u_char     *p, *last;
    ngx_str_t  *type;

    if (sr->headers_out.content_encoding) {
        return 0;
    }

    type = &sr->headers_out.content_type;
    last = type->data + type->len;

    /* there may be parameters, and blanks before them */

    p = ngx_strlchr(type->data, last, ';');
    if (p) {
        last = p;
    }

    while (last > type->data && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if (last - type->data < (ssize_t) sizeof("/json")) {
        return 0;
    }

    p = last - (sizeof("/json") - 1);

    return (*p == '/' || *p == '+')
           && ngx_strncasecmp(p + 1, (u_char *) "json", sizeof("json") - 1)
              == 0;
}


void
ngx_http_idpay_collect_start(ngx_http_request_t *sr, ngx_http_idpay_ctx_t *ctx)
{
    off_t           len;
    ngx_msec_int_t  ms, left;

    ctx->collect = 1;
    ctx->answer = sr;

    if (sr->headers_out.status < NGX_HTTP_BAD_REQUEST) {

        /* as long as nobody is told that it has not failed */

        ctx->unknown = !ctx->safe;
        return;
    }

    /* it is an error, however little of its body comes */

    ms = NGX_HTTP_IDPAY_COLLECT_TIME;
    len = sr->upstream->headers_in.content_length_n;

    if (len > NGX_HTTP_IDPAY_MAX_COLLECTED
        || sr->headers_out.content_encoding)
    {
        ms = NGX_HTTP_IDPAY_DRAIN_TIME;
    }

    if (len > NGX_HTTP_IDPAY_MAX_COLLECTED) {
        ctx->lost = 1;
    }

    if (len > 2 * NGX_HTTP_IDPAY_MAX_COLLECTED && sr->method != NGX_HTTP_HEAD)
    {
        ms = 1;
    }

    left = (ngx_msec_int_t) (ctx->deadline - ngx_current_msec);
    ms = ngx_min(ms, left);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_add_timer(&ctx->timer, (ngx_msec_t) ngx_max(ms, 1));
}


ngx_int_t
ngx_http_idpay_collect_body(void *data, ngx_chain_t *in)
{
    ngx_http_request_t *r = data;

    ngx_buf_t             *b;
    ngx_int_t              rc;
    ngx_chain_t           *cl;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (!ctx->collect && !r->header_only) {
        return ngx_http_output_filter(r, in);
    }

    for (cl = in; cl && ctx->collect && !ctx->lost; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_special(b)) {
            continue;
        }

        rc = ngx_buf_in_memory(b)
             ? ngx_http_idpay_collect_add(r, ctx, b->pos, b->last - b->pos)
             : NGX_DECLINED;

        if (rc == NGX_DECLINED) {
            return ngx_http_idpay_collect_overflow(r, ctx, cl);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        b->pos = b->last;
    }

    return ngx_http_idpay_filter_discard(NULL, in);
}


/* returns NGX_OK, NGX_DECLINED if it is too much, or NGX_ERROR */

static ngx_int_t
ngx_http_idpay_collect_add(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    u_char *p, size_t len)
{
    off_t       length;
    size_t      size, used;
    ngx_buf_t  *b;

    b = ctx->body;
    used = b ? b->last - b->pos : 0;

    if (len > NGX_HTTP_IDPAY_MAX_COLLECTED - used) {
        return NGX_DECLINED;
    }

    if (b == NULL || len > (size_t) (b->end - b->last)) {

        length = ctx->answer->upstream->headers_in.content_length_n;

        if (length > 0) {
            size = (size_t) length;

        } else {
            size = ngx_max(used * 2, NGX_HTTP_IDPAY_MIN_COLLECTED);
        }

        size = ngx_max(size, used + len);

        b = ngx_create_temp_buf(r->pool, size);
        if (b == NULL) {
            return NGX_ERROR;
        }

        if (ctx->body) {
            b->last = ngx_cpymem(b->last, ctx->body->pos, used);
            ngx_pfree(r->pool, ctx->body->start);
        }

        ctx->body = b;
    }

    b->last = ngx_cpymem(b->last, p, len);

    return NGX_OK;
}


/* what has come is not all, and more is not kept: "in" is not in it */

static ngx_int_t
ngx_http_idpay_collect_overflow(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in)
{
    if (ctx->answer->headers_out.status < NGX_HTTP_BAD_REQUEST) {
        return ngx_http_idpay_collect_pass(r, ctx, in);
    }

    ctx->lost = 1;

    /* the attempt cannot be ended from within its own output */

    ngx_del_timer(&ctx->timer);
    ngx_add_timer(&ctx->timer, 1);

    return ngx_http_idpay_filter_discard(NULL, in);
}


/* the header, what has been collected, and then "in" */

static ngx_int_t
ngx_http_idpay_collect_pass(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    ctx->collect = 0;
    ctx->unknown = 0;

    rc = ngx_http_idpay_filter_pass(ctx->answer, ctx);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    if (r->header_only) {

        if (ctx->attempt) {
            ctx->discard = 1;
            ngx_add_timer(&ctx->timer, 1);
        }

        return ngx_http_idpay_filter_discard(NULL, in);
    }

    if (ctx->body) {
        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = ctx->body;
        cl->next = in;
        in = cl;
    }

    return ngx_http_output_filter(r, in);
}


ngx_int_t
ngx_http_idpay_collect_answer(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_idpay_reply_t    reply;
    ngx_http_idpay_problem_t  problem;

    ngx_memzero(&reply, sizeof(ngx_http_idpay_reply_t));

    reply.status = ctx->answer->headers_out.status;
    reply.headers = &ctx->answer->upstream->headers_in.headers;
    reply.safe = ctx->safe;

    if (reply.status < NGX_HTTP_BAD_REQUEST && !ctx->complete) {
        return ngx_http_idpay_collect_cut(r, ctx);
    }

    if (ctx->body && !ctx->lost && !ctx->answer->headers_out.content_encoding)
    {
        reply.body.data = ctx->body->pos;
        reply.body.len = ctx->body->last - ctx->body->pos;
    }

    rc = ngx_http_idpay_normalize(r->pool, &ctx->iucf->errors, &reply,
                                  &problem);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_idpay_collect_pass(r, ctx, NULL);

        if (rc == NGX_ERROR || r->header_only) {
            return rc;
        }

        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    if (ngx_http_idpay_authorize_absent(ctx, reply.status)) {
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_CONSENT_REQUIRED,
                                    ctx->safe);
    }

    ngx_http_idpay_collect_redact(ctx->secrets, &problem);

    /* variables show the headers, which are those of an error now */

    if (reply.status < NGX_HTTP_BAD_REQUEST) {
        ngx_http_idpay_filter_headers(ctx->secrets, reply.headers);
    }

    if (problem.code == NGX_HTTP_IDPAY_CREDENTIAL_REJECTED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "idpay: \"%V\" refused the gateway's credential with "
                      "status %ui", &ctx->iucf->name, reply.status);
    }

    if (problem.status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_idpay_collect_allow(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_idpay_answer(r, ctx, &problem);
}


/* what could have been an error by its body, which did not come whole */

static ngx_int_t
ngx_http_idpay_collect_cut(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_problem_t  problem;

    ngx_http_idpay_problem_init(&problem,
                                ctx->aborted ? NGX_HTTP_IDPAY_PROVIDER_TIMEOUT
                                             : NGX_HTTP_IDPAY_PROVIDER_ERROR,
                                ctx->safe);

    if (!ctx->aborted) {
        ngx_str_set(&problem.detail,
                    "the provider's answer ended before its end");
    }

    problem.unknown = !ctx->safe;

    ngx_http_idpay_filter_headers(ctx->secrets,
                                  &ctx->answer->upstream->headers_in.headers);

    return ngx_http_idpay_answer(r, ctx, &problem);
}


static void
ngx_http_idpay_collect_redact(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_problem_t *problem)
{
    ngx_uint_t                     i;
    ngx_http_idpay_field_error_t  *error;

    ngx_http_idpay_redact_text(redact, &problem->message);
    ngx_http_idpay_redact_text(redact, &problem->provider_code);
    ngx_http_idpay_redact_text(redact, &problem->provider_type);
    ngx_http_idpay_redact_text(redact, &problem->provider_request_id);

    error = problem->errors;

    for (i = 0; i < problem->nerrors; i++) {
        ngx_http_idpay_redact_text(redact, &error[i].field);
        ngx_http_idpay_redact_text(redact, &error[i].code);
        ngx_http_idpay_redact_text(redact, &error[i].message);
    }
}


/* a 405 tells the methods that are allowed (RFC 9110 15.5.6) */

static ngx_int_t
ngx_http_idpay_collect_allow(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *allow;

    part = &r->upstream->headers_in.headers.part;
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

        if (h[i].key.len != sizeof("Allow") - 1
            || ngx_strncasecmp(h[i].key.data, (u_char *) "Allow",
                               sizeof("Allow") - 1)
               != 0)
        {
            continue;
        }

        allow = ngx_list_push(&r->headers_out.headers);
        if (allow == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(allow, sizeof(ngx_table_elt_t));

        allow->hash = 1;
        allow->key = h[i].key;
        allow->value = h[i].value;
    }

    return NGX_OK;
}
