
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What an attempt brings becomes the answer to the caller's request here.  The
 * filters below this one see the caller's request only, header and body, as
 * they would with plain "proxy_pass".
 */


#include "request/ngx_http_idpay_attempt.h"


/* bytes, of the buffers in which an error's body is searched for secrets */

#define NGX_HTTP_IDPAY_REDACT_BUFFER  8192


static ngx_int_t ngx_http_idpay_header_filter(ngx_http_request_t *sr);
static void ngx_http_idpay_filter_move(ngx_http_request_t *sr,
    ngx_http_request_t *r);
static void ngx_http_idpay_filter_error(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_body_filter(ngx_http_request_t *sr,
    ngx_chain_t *in);
static ngx_int_t ngx_http_idpay_filter_redact(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_chain_t *in);
static ngx_chain_t *ngx_http_idpay_filter_buf(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_idpay_header_filter(ngx_http_request_t *sr)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);

    if (ctx == NULL || ctx->attempt != sr) {
        return ngx_http_next_header_filter(sr);
    }

    r = ctx->request;

    ngx_http_idpay_filter_move(sr, r);

    if (r->headers_out.status >= NGX_HTTP_BAD_REQUEST) {
        ngx_http_idpay_filter_error(r, ctx);
    }

    if (r->err_status) {
        r->headers_out.status = r->err_status;
        r->headers_out.status_line.len = 0;
    }

    ctx->passed = 1;
    sr->header_sent = 1;

    rc = ngx_http_next_header_filter(r);

    sr->header_only = r->header_only;

    /* what the filters below want of a body, the copy filter is to know */

    if (r->main_filter_need_in_memory || r->filter_need_in_memory
        || ctx->redact)
    {
        sr->filter_need_in_memory = 1;
    }

    if (r->filter_need_temporary) {
        sr->filter_need_temporary = 1;
    }

    return rc;
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
    ngx_uint_t                i;
    ngx_list_part_t          *part;
    ngx_table_elt_t          *h;
    ngx_http_idpay_redact_t  *redact;

    redact = ctx->iucf->redact;

    ngx_http_idpay_redact_bytes(redact, r->headers_out.status_line.data,
                                r->headers_out.status_line.len, 1);

    ngx_http_idpay_redact_bytes(redact, r->headers_out.content_type.data,
                                r->headers_out.content_type.len, 1);

    part = &r->headers_out.headers.part;
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

        ngx_http_idpay_redact_bytes(redact, h[i].key.data, h[i].key.len, 1);
        ngx_http_idpay_redact_bytes(redact, h[i].value.data, h[i].value.len,
                                    1);
    }

    ctx->redact = 1;

    if (r->headers_out.content_encoding == NULL) {
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


static ngx_int_t
ngx_http_idpay_body_filter(ngx_http_request_t *sr, ngx_chain_t *in)
{
    ngx_chain_t           *cl;
    ngx_http_request_t    *r;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);

    if (ctx == NULL || ctx->attempt != sr) {
        return ngx_http_next_body_filter(sr, in);
    }

    r = ctx->request;

    if (ctx->withhold) {

        for (cl = in; cl; cl = cl->next) {
            cl->buf->pos = cl->buf->last;
            cl->buf->file_pos = cl->buf->file_last;
        }

        return NGX_OK;
    }

    if (ctx->redact && in) {
        return ngx_http_idpay_filter_redact(r, ctx, in);
    }

    if (in && in->next == NULL && in->buf->last_in_chain
        && ngx_buf_special(in->buf))
    {
        /* the end of the attempt, the answer's own one follows */
        return NGX_OK;
    }

    return ngx_http_next_body_filter(r, in);
}


/*
 * The body is copied through buffers of a fixed size.  Secrets in it are
 * overwritten with as many asterisks, so that the length stays what the header
 * says.
 */

static ngx_int_t
ngx_http_idpay_filter_redact(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_chain_t *in)
{
    size_t        len;
    ngx_buf_t    *b, *buf;
    ngx_int_t     rc;
    ngx_uint_t    last;
    ngx_chain_t  *cl, *out;

    rc = NGX_OK;

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;
        last = b->last_in_chain;

        do {
            out = ngx_http_idpay_filter_buf(r, ctx);
            if (out == NULL) {
                return NGX_ERROR;
            }

            buf = out->buf;

            buf->last = ngx_cpymem(buf->last, ctx->held, ctx->held_len);

            len = ngx_min(b->last - b->pos, buf->end - buf->last);
            buf->last = ngx_cpymem(buf->last, b->pos, len);
            b->pos += len;

            len = ngx_http_idpay_redact_bytes(ctx->iucf->redact, buf->pos,
                                              buf->last - buf->pos,
                                              last && b->pos == b->last);

            ctx->held_len = buf->last - buf->pos - len;
            ngx_memcpy(ctx->held, buf->pos + len, ctx->held_len);
            buf->last = buf->pos + len;

            if (len == 0) {
                out->next = ctx->free;
                ctx->free = out;
                continue;
            }

            buf->flush = b->flush;

            out->next = NULL;
            cl = out;

            rc = ngx_http_next_body_filter(r, out);

            ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &cl,
                                    (ngx_buf_tag_t) &ngx_http_idpay_module);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

        } while (b->pos < b->last);
    }

    return rc;
}


static ngx_chain_t *
ngx_http_idpay_filter_buf(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    size_t        size;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (cl == NULL) {
        return NULL;
    }

    if (cl->buf->start) {
        cl->buf->pos = cl->buf->start;
        cl->buf->last = cl->buf->start;
        return cl;
    }

    size = NGX_HTTP_IDPAY_REDACT_BUFFER + ctx->iucf->redact->max;

    cl->buf->start = ngx_palloc(r->pool, size);
    if (cl->buf->start == NULL) {
        return NULL;
    }

    cl->buf->pos = cl->buf->start;
    cl->buf->last = cl->buf->start;
    cl->buf->end = cl->buf->start + size;
    cl->buf->temporary = 1;
    cl->buf->tag = (ngx_buf_tag_t) &ngx_http_idpay_module;

    if (ctx->held == NULL) {
        ctx->held = ngx_pnalloc(r->pool, ctx->iucf->redact->max);
        if (ctx->held == NULL) {
            return NULL;
        }
    }

    return cl;
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
