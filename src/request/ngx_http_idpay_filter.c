
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What an attempt brings becomes the answer to the caller's request here.  The
 * filters see the caller's request only, header and body, as they would with
 * plain "proxy_pass".
 */


#include "request/ngx_http_idpay_filter.h"

#include "request/ngx_http_idpay_admission.h"
#include "request/ngx_http_idpay_authorize.h"
#include "request/ngx_http_idpay_collect.h"
#include "request/ngx_http_idpay_verdict.h"


/*
 * How long the body of an answer is read which nobody gets: until the next
 * attempt, but within these, ms.
 */

#define NGX_HTTP_IDPAY_MIN_DISCARD  100
#define NGX_HTTP_IDPAY_MAX_DISCARD  1000


static ngx_int_t ngx_http_idpay_header_filter(ngx_http_request_t *r);
static void ngx_http_idpay_filter_move(ngx_http_request_t *sr,
    ngx_http_request_t *r);
static void ngx_http_idpay_filter_error(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_filter_attempt(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_filter_redact(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_filter_held(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_buf_t *b, ngx_uint_t last,
    ngx_chain_t ***ll);
static ngx_int_t ngx_http_idpay_filter_buf(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_buf_t *b, ngx_chain_t ***ll);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_idpay_header_filter(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_uint_t             collect;
    ngx_msec_t             delay;
    ngx_http_request_t    *sr;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx == NULL || ctx->attempt != r) {
        return ngx_http_next_header_filter(r);
    }

    sr = r;

    if (sr->headers_out.status < NGX_HTTP_CONTINUE
        || sr->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS)
    {
        /* no HTTP, or a protocol that nobody has asked for */
        return NGX_HTTP_BAD_GATEWAY;
    }

    rc = ngx_http_idpay_verdict_answer(sr, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {

        /*
         * Another attempt follows.  The rest of this one is read if it comes
         * soon, so that the connection can be used again.
         */

        ctx->discard = 1;
        sr->header_sent = 1;

        delay = ctx->due - ngx_current_msec;
        delay = ngx_max(delay, NGX_HTTP_IDPAY_MIN_DISCARD);

        ngx_del_timer(&ctx->timer);
        ngx_add_timer(&ctx->timer, ngx_min(delay, NGX_HTTP_IDPAY_MAX_DISCARD));

        return NGX_OK;
    }

    ngx_http_idpay_admission_leave(ctx);

    collect = ngx_http_idpay_collect_test(sr, ctx);

    if ((collect || sr->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE)
        && ngx_http_idpay_authorize_secrets(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sr->header_sent = 1;

    if (collect) {
        ngx_http_idpay_collect_start(sr, ctx);
        return NGX_OK;
    }

    rc = ngx_http_idpay_filter_pass(sr, ctx);

    sr->header_only = ctx->request->header_only;

    return rc;
}


ngx_int_t
ngx_http_idpay_filter_pass(ngx_http_request_t *sr, ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    /* what follows takes the time that it takes */

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_idpay_filter_move(sr, r);

    /* a redirect may have the arguments of the call in it */

    if (r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_idpay_filter_error(r, ctx);
    }

    ctx->passed = 1;

    return ngx_http_send_header(r);
}


/*
 * Both requests have the same pool, so the header can be taken over as it is,
 * with what the upstream module has set beside it.
 */

static void
ngx_http_idpay_filter_move(ngx_http_request_t *sr, ngx_http_request_t *r)
{
    r->headers_out = sr->headers_out;

    if (r->headers_out.headers.last == &sr->headers_out.headers.part) {
        r->headers_out.headers.last = &r->headers_out.headers.part;
    }

    if (r->headers_out.trailers.last == &sr->headers_out.trailers.part) {
        r->headers_out.trailers.last = &r->headers_out.trailers.part;
    }

    r->disable_not_modified = sr->disable_not_modified;

    if (!sr->upstream->buffering) {
        r->limit_rate = 0;
        r->limit_rate_set = 1;
    }
}


static void
ngx_http_idpay_filter_error(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_redact_t  *redact;

    redact = ctx->secrets;

    ngx_http_idpay_redact_bytes(redact, r->headers_out.status_line.data,
                                r->headers_out.status_line.len, 1);

    ngx_http_idpay_redact_bytes(redact, r->headers_out.content_type.data,
                                r->headers_out.content_type.len, 1);

    ngx_http_idpay_filter_headers(redact, &r->headers_out.headers);

    /* also those that do not go on, which variables can show */

    ngx_http_idpay_filter_headers(redact, &r->upstream->headers_in.headers);

    /* the body is written to, so it must be in memory and nobody else's */

    r->filter_need_in_memory = 1;
    r->filter_need_temporary = 1;

    ctx->redact = 1;

    if (r->headers_out.content_encoding == NULL
        || r->headers_out.status == NGX_HTTP_NOT_MODIFIED)
    {
        return;
    }

    /* a secret in there could not be seen */

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "idpay: the encoded body of an error of \"%V\" is withheld",
                  &ctx->iucf->name);

    ctx->withhold = 1;

    r->headers_out.content_encoding->hash = 0;
    r->headers_out.content_encoding = NULL;

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = 0;
}


void
ngx_http_idpay_filter_headers(ngx_http_idpay_redact_t *redact,
    ngx_list_t *headers)
{
    u_char           *end;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &headers->part;
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

        /* a value that the proxy module has shortened in place */

        end = ngx_strlchr(h[i].value.data, h[i].value.data + h[i].value.len,
                          '\0');
        if (end) {
            h[i].value.len = end - h[i].value.data;
        }

        ngx_http_idpay_redact_bytes(redact, h[i].value.data, h[i].value.len,
                                    1);
    }
}


static ngx_int_t
ngx_http_idpay_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->attempt == r) {
        return ngx_http_idpay_filter_attempt(r, ctx, in);
    }

    if (ctx->redact && in) {
        return ngx_http_idpay_filter_redact(r, ctx, in);
    }

    return ngx_http_next_body_filter(r, in);
}


/*
 * What comes here is a body that is not buffered, and the end of an attempt,
 * which is not yet the end of the answer.
 */

static ngx_int_t
ngx_http_idpay_filter_attempt(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t                  rc;
    ngx_chain_t               *cl;
    ngx_http_core_loc_conf_t  *clcf;

    if (ctx->discard) {
        return ngx_http_idpay_filter_discard(ctx->request, in);
    }

    for (cl = in; cl; cl = cl->next) {
        if (cl->buf->last_in_chain) {
            ctx->complete = 1;
        }
    }

    if (ctx->complete && in && in->next == NULL && ngx_buf_special(in->buf)) {
        return NGX_OK;
    }

    rc = ctx->collect ? ngx_http_idpay_collect_body(ctx->request, in)
                      : ngx_http_output_filter(ctx->request, in);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* the upstream module does this for the request with the connection only */

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (ngx_handle_write_event(sr->connection->write, clcf->send_lowat)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


ngx_int_t
ngx_http_idpay_filter_discard(void *data, ngx_chain_t *in)
{
    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }

    return NGX_OK;
}


/*
 * Secrets are overwritten in place with as many asterisks: the length stays
 * what the header says, and buffers are free again no sooner than sent.  The
 * few bytes at the end of a buffer that may begin a secret are held until what
 * follows has told.
 */

static ngx_int_t
ngx_http_idpay_filter_redact(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_chain_t *in)
{
    size_t         len, n;
    ngx_buf_t     *b;
    ngx_int_t      rc;
    ngx_uint_t     last;
    ngx_chain_t   *out, *cl, *next, **ll;

    if (ctx->held == NULL) {
        ctx->held = ngx_pnalloc(r->pool, ctx->secrets->max);
        if (ctx->held == NULL) {
            return NGX_ERROR;
        }
    }

    out = NULL;
    ll = &out;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        last = b->last_buf || b->last_in_chain;

        if (ctx->withhold && !ngx_buf_special(b)) {
            b->pos = b->last;
            b->file_pos = b->file_last;

            if (!last) {
                continue;
            }
        }

        if (ctx->held_len
            && ngx_http_idpay_filter_held(r, ctx, b, last, &ll) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!ngx_buf_special(b)) {

            /* what is in a file too would be sent from there */

            b->in_file = 0;

            /* all of it may be held by now */

            len = b->last - b->pos;

            n = ngx_http_idpay_redact_bytes(ctx->secrets, b->pos, len,
                                            last);
            if (n < len) {
                ctx->held_len = len - n;
                ngx_memcpy(ctx->held, b->pos + n, ctx->held_len);
                b->last -= ctx->held_len;
            }

            if (n == 0 && !last) {
                continue;
            }
        }

        if (ngx_http_idpay_filter_buf(r, ctx, b, &ll) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    rc = ngx_http_next_body_filter(r, out);

    for (cl = out; cl; cl = next) {
        next = cl->next;

        if (cl->buf->tag != (ngx_buf_tag_t) &ngx_http_idpay_module) {
            ngx_free_chain(r->pool, cl);
            continue;
        }

        cl->next = NULL;
        ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &cl,
                                (ngx_buf_tag_t) &ngx_http_idpay_module);
    }

    return rc;
}


/*
 * Decides on the held bytes with those of the next buffer behind them.  What
 * is let go is put into a buffer of its own.
 */

static ngx_int_t
ngx_http_idpay_filter_held(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_buf_t *b, ngx_uint_t last, ngx_chain_t ***ll)
{
    size_t        size, len, n;
    ngx_buf_t    *buf;
    ngx_chain_t  *cl;

    size = ctx->secrets->max;
    len = ngx_buf_special(b) ? 0 : b->last - b->pos;

    if (len > size) {
        len = size;
        last = 0;
    }

    cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    buf = cl->buf;

    if (buf->start == NULL) {
        buf->start = ngx_palloc(r->pool, size * 2);
        if (buf->start == NULL) {
            return NGX_ERROR;
        }

        buf->end = buf->start + size * 2;
        buf->temporary = 1;
        buf->tag = (ngx_buf_tag_t) &ngx_http_idpay_module;
    }

    buf->pos = buf->start;
    buf->last = ngx_cpymem(buf->pos, ctx->held, ctx->held_len);
    buf->last = ngx_cpymem(buf->last, b->pos, len);

    n = ngx_http_idpay_redact_bytes(ctx->secrets, buf->pos,
                                    ctx->held_len + len, last);

    if (n < ctx->held_len) {

        /* undecided still, and all of the next buffer is part of it */

        ctx->held_len = ctx->held_len + len - n;
        ngx_memcpy(ctx->held, buf->pos + n, ctx->held_len);

        b->pos += len;

    } else {

        /* what was overwritten in the next buffer's part goes back to it */

        n = ctx->held_len;
        ngx_memcpy(b->pos, buf->pos + n, len);

        ctx->held_len = 0;
    }

    buf->last = buf->pos + n;

    if (n == 0) {
        cl->next = ctx->free;
        ctx->free = cl;
        return NGX_OK;
    }

    cl->next = NULL;
    **ll = cl;
    *ll = &cl->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_filter_buf(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_buf_t *b, ngx_chain_t ***ll)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    **ll = cl;
    *ll = &cl->next;

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_idpay_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_idpay_body_filter;

    return NGX_OK;
}
