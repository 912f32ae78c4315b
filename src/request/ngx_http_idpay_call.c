
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_call.h"

#include "lib/ngx_http_idpay_json.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_authorize.h"
#include "request/ngx_http_idpay_limits.h"
#include "request/ngx_http_idpay_screen.h"


/* the largest body that is looked into, bytes */

#define NGX_HTTP_IDPAY_MAX_SCREENED_BODY  65536


static ngx_int_t ngx_http_idpay_call_sent(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *path);
static ngx_int_t ngx_http_idpay_call_refuse(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *body, const ngx_str_t *names);
static ngx_int_t ngx_http_idpay_call_body(ngx_http_request_t *r,
    ngx_str_t *body);


ngx_int_t
ngx_http_idpay_call_path(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    const ngx_http_idpay_preset_t  *preset;

    preset = ctx->iucf->preset;

    if (preset->methods && !(r->method & preset->methods)) {
        return ngx_http_idpay_answer_method(r, ctx, &preset->allow,
                             "the provider's API does not have this method");
    }

    if (ngx_http_idpay_call_sent(r, ctx, &ctx->path) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if ((preset->paths
         && !ngx_http_idpay_screen_path(preset->paths, &ctx->path))
        || ngx_http_idpay_authorize_path(ctx) != NGX_OK)
    {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_FORBIDDEN,
                                "the path is outside of what the gateway may "
                                "call at this provider");
    }

    ctx->rule = ngx_http_idpay_limits_find(ctx->iucf, r->method, &ctx->path);
    ctx->safe = ngx_http_idpay_replay_safe(ctx->iucf->replay, r->method,
                                           &ctx->path);

    return NGX_DECLINED;
}


/*
 * The path that the proxy module will send: the caller's own where there is no
 * URI in "idpay_pass", and else the URI in place of the location's name.
 */

static ngx_int_t
ngx_http_idpay_call_sent(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_str_t *path)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *uri;

    uri = &ctx->ilcf->uri;

    if (uri->len == 0 && r->valid_unparsed_uri) {
        *path = r->unparsed_uri;

        p = ngx_strlchr(path->data, path->data + path->len, '?');
        if (p) {
            path->len = p - path->data;
        }

        return NGX_OK;
    }

    if (uri->len == 0 || !r->valid_location) {
        *path = r->uri;
        return NGX_OK;
    }

    len = r->uri.len - ctx->ilcf->location_len;

    path->data = ngx_pnalloc(r->pool, uri->len + len);
    if (path->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path->data, uri->data, uri->len);
    p = ngx_cpymem(p, r->uri.data + ctx->ilcf->location_len, len);

    path->len = p - path->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_call_test(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                           rc;
    ngx_str_t                           body;
    ngx_uint_t                          idempotent;
    const ngx_http_idpay_preset_t      *preset;
    const ngx_http_idpay_idempotent_t  *call;

    preset = ctx->iucf->preset;
    call = &preset->idempotent;

    idempotent = call->member.len
                 && r->method == call->method
                 && ctx->path.len == call->path.len
                 && ngx_strncmp(ctx->path.data, call->path.data,
                                call->path.len)
                    == 0;

    if (preset->refuse_members == NULL && !idempotent) {
        return NGX_DECLINED;
    }

    rc = ngx_http_idpay_call_body(r, &body);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED && preset->refuse_members) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body is larger than "
                     ngx_value(NGX_HTTP_IDPAY_MAX_SCREENED_BODY)
                     " bytes and cannot be searched for credentials");
    }

    if (rc == NGX_DECLINED || body.len == 0) {
        return NGX_DECLINED;
    }

    if (preset->refuse_members) {
        rc = ngx_http_idpay_call_refuse(r, ctx, &body, preset->refuse_members);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (idempotent
        && ngx_http_idpay_json_true(body.data, body.len, &call->member)
           == NGX_OK)
    {
        ctx->safe = 1;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_idpay_call_refuse(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_str_t *body, const ngx_str_t *names)
{
    ngx_int_t         rc;
    const ngx_str_t  *found;

    rc = ngx_http_idpay_json_member(body->data, body->len, names, &found);

    if (rc == NGX_OK) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body holds a credential, which is the gateway's "
                     "to send: leave that member out");
    }

    if (rc == NGX_ERROR) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body is not a JSON object");
    }

    return NGX_DECLINED;
}


/*
 * The whole body in one piece, empty if there is none.  Returns NGX_OK,
 * NGX_DECLINED if it is too large, or NGX_ERROR.
 */

static ngx_int_t
ngx_http_idpay_call_body(ngx_http_request_t *r, ngx_str_t *body)
{
    u_char       *p;
    off_t         size, len;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > NGX_HTTP_IDPAY_MAX_SCREENED_BODY) {
        return NGX_DECLINED;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory(cl->buf)) {
        body->data = cl->buf->pos;
        body->len = (size_t) size;
        return NGX_OK;
    }

    body->data = ngx_pnalloc(r->pool, (size_t) size);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    p = body->data;

    for ( /* void */ ; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        if (!b->in_file) {
            /* the mark of a chunked body's end */
            continue;
        }

        len = ngx_buf_size(b);

        n = ngx_read_file(b->file, p, (size_t) len, b->file_pos);

        if (n != (ssize_t) len) {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "idpay: %z of %O bytes read from the request body",
                          n, len);
            return NGX_ERROR;
        }

        p += n;
    }

    body->len = p - body->data;

    return NGX_OK;
}
