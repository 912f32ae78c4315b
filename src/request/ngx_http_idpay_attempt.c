
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_attempt.h"

#include "request/ngx_http_idpay_authorize.h"
#include "request/ngx_http_idpay_collect.h"
#include "request/ngx_http_idpay_filter.h"
#include "request/ngx_http_idpay_screen.h"


/* answers of status 1xx before the one that counts */

#define NGX_HTTP_IDPAY_MAX_INTERIM  16


static ngx_int_t ngx_http_idpay_attempt_handler(ngx_http_request_t *sr);
static ngx_int_t ngx_http_idpay_attempt_headers(ngx_http_request_t *r,
    ngx_http_request_t *sr, ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_attempt_args(ngx_http_request_t *r,
    ngx_http_request_t *sr, ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_attempt_input_init(void *data);
static ngx_int_t ngx_http_idpay_attempt_process_header(
    ngx_http_request_t *sr);
static void ngx_http_idpay_attempt_finalize(ngx_http_request_t *sr,
    ngx_int_t rc);
static ngx_int_t ngx_http_idpay_attempt_inject(ngx_http_request_t *sr,
    ngx_http_idpay_credential_t *credential);
static ngx_chain_t **ngx_http_idpay_attempt_slice(ngx_pool_t *pool,
    ngx_chain_t **ll, u_char *start, u_char *end);
static ngx_int_t ngx_http_idpay_attempt_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);


ngx_int_t
ngx_http_idpay_attempt_start(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_request_t          *sr;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_idpay_attempt_done;
    ps->data = ctx;

    if (ngx_http_subrequest(r, &r->uri, &r->args, &sr, ps,
                            NGX_HTTP_SUBREQUEST_CLONE
                            |NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->attempt = sr;
    r->upstream = NULL;

    ngx_http_set_ctx(sr, ctx, ngx_http_idpay_module);

    sr->loc_conf = ctx->ilcf->attempt_conf;
    sr->content_handler = ngx_http_idpay_attempt_handler;

    /* the proxy module is to write the request as if it were the caller's */

    sr->internal = r->internal;
    sr->quoted_uri = r->quoted_uri;

    /* states are separated from those of what ran before, but not in here */

    sr->upstream_states = ctx->attempts ? NULL : r->upstream_states;

    /* a provider that switches protocols must not get the caller's socket */

    sr->headers_in.upgrade = NULL;

    /* as of a request that is not a subrequest */

    sr->read_event_handler = ngx_http_block_reading;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_attempt_handler(ngx_http_request_t *sr)
{
    ngx_http_request_t    *r;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);
    r = ctx->request;

    if (ngx_http_idpay_attempt_headers(r, sr, ctx) != NGX_OK
        || ngx_http_idpay_attempt_args(r, sr, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ctx->ilcf->proxy_handler(sr);
}


static ngx_int_t
ngx_http_idpay_attempt_headers(ngx_http_request_t *r, ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header, *h;

    if (ngx_list_init(&sr->headers_in.headers, r->pool, 10,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (ngx_http_idpay_screen_header(ctx->iucf->drop_headers,
                                         &header[i].key))
        {
            continue;
        }

        h = ngx_list_push(&sr->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = header[i];
    }

    /* what earlier phases have set is part of the answer */

    part = &r->headers_out.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        h = ngx_list_push(&sr->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = header[i];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_attempt_args(ngx_http_request_t *r, ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx)
{
    u_char     *p;
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   args, rest;

    rc = ngx_http_idpay_screen_args(r->pool, ctx->iucf->drop_args, &r->args,
                                    &rest);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        sr->args = rest;
    }

    if (!r->valid_unparsed_uri) {
        return NGX_OK;
    }

    /* all behind the first "?" is sent, nginx's own "args" may end earlier */

    p = ngx_strlchr(r->unparsed_uri.data,
                    r->unparsed_uri.data + r->unparsed_uri.len, '?');
    if (p == NULL) {
        return NGX_OK;
    }

    p++;
    len = p - r->unparsed_uri.data;

    args.data = p;
    args.len = r->unparsed_uri.len - len;

    rc = ngx_http_idpay_screen_args(r->pool, ctx->iucf->drop_args, &args,
                                    &rest);
    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (rest.len == 0) {
        sr->unparsed_uri.len = len - 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len + rest.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    sr->unparsed_uri.data = p;
    sr->unparsed_uri.len = len + rest.len;

    p = ngx_cpymem(p, r->unparsed_uri.data, len);
    ngx_memcpy(p, rest.data, rest.len);

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_attempt_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_http_idpay_ctx_t            *ctx;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_idpay_module);

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx == NULL || ctx->attempt != r || ctx->iucf != iucf) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "idpay: upstream \"%V\" is a provider, "
                      "\"idpay_pass\" alone may use it", &iucf->name);
        return NGX_ERROR;
    }

    if (iucf->init_peer(r, uscf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* for the variables of the upstream module, and its output filter */

    ctx->request->upstream = r->upstream;

    if (ctx->attempts > 1) {
        r->upstream_states = ctx->request->upstream_states;
    }

    ctx->request->upstream_states = r->upstream_states;

    ctx->input_filter_init = r->upstream->input_filter_init;
    r->upstream->input_filter_init = ngx_http_idpay_attempt_input_init;

    ctx->process_header = r->upstream->process_header;
    r->upstream->process_header = ngx_http_idpay_attempt_process_header;

    ctx->finalize_request = r->upstream->finalize_request;
    r->upstream->finalize_request = ngx_http_idpay_attempt_finalize;

    ctx->interim = 0;

    return ngx_http_idpay_attempt_inject(r, ctx->credential);
}


/*
 * The body goes to the caller's request directly: the event pipe writes for
 * nobody but the request that has the connection.
 */

static ngx_int_t
ngx_http_idpay_attempt_input_init(void *data)
{
    ngx_http_request_t *sr = data;

    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);

    sr->upstream->pipe->output_ctx = ctx->request;

#if (NGX_THREADS)
    if (sr->upstream->pipe->thread_handler) {
        sr->upstream->pipe->thread_ctx = ctx->request;
    }
#endif

    if (ctx->discard) {
        sr->upstream->pipe->output_filter = ngx_http_idpay_filter_discard;

    } else if (ctx->collect) {
        sr->upstream->pipe->output_filter = ngx_http_idpay_collect_body;
    }

    return ctx->input_filter_init(data);
}


/*
 * An interim answer is not the answer: it is passed over, and the header that
 * follows it is read as if nothing had come before.
 */

static ngx_int_t
ngx_http_idpay_attempt_process_header(ngx_http_request_t *sr)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);
    u = sr->upstream;

    for ( ;; ) {

        /* the proxy module sets another function when it is half through */

        u->process_header = ctx->process_header;

        rc = u->process_header(sr);

        ctx->process_header = u->process_header;
        u->process_header = ngx_http_idpay_attempt_process_header;

        if (rc != NGX_OK
            || u->headers_in.status_n < NGX_HTTP_CONTINUE
            || u->headers_in.status_n == NGX_HTTP_SWITCHING_PROTOCOLS
            || u->headers_in.status_n >= NGX_HTTP_OK)
        {
            return rc;
        }

        if (++ctx->interim > NGX_HTTP_IDPAY_MAX_INTERIM) {
            ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                          "idpay: \"%V\" sent too many interim answers",
                          &ctx->iucf->name);
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        ngx_memzero(&u->headers_in, sizeof(ngx_http_upstream_headers_in_t));

        u->headers_in.content_length_n = -1;
        u->headers_in.last_modified_time = -1;

        if (ngx_list_init(&u->headers_in.headers, sr->pool, 8,
                          sizeof(ngx_table_elt_t))
            != NGX_OK
            || ngx_list_init(&u->headers_in.trailers, sr->pool, 2,
                             sizeof(ngx_table_elt_t))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (u->reinit_request(sr) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->process_header = u->process_header;

        u->keepalive = 0;
        u->upgrade = 0;

        if (u->state) {
            u->state->status = 0;
        }
    }
}


/* variables show the headers of an answer that did not go on, too */

static void
ngx_http_idpay_attempt_finalize(ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_http_upstream_t   *u;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_idpay_module);

    /* it has been taken away by a "post_action" if there is none */

    if (ctx == NULL) {
        return;
    }

    u = sr->upstream;

    if (ctx->collect && sr->headers_out.status < NGX_HTTP_BAD_REQUEST) {

        /* the pipe does not tell why an answer has ended early */

        if (u->peer.connection && u->peer.connection->read->timedout) {
            ctx->aborted = 1;
        }

    } else if (!ctx->passed) {

        if (ngx_http_idpay_authorize_secrets(ctx) == NGX_OK) {
            ngx_http_idpay_filter_headers(ctx->secrets,
                                          &u->headers_in.headers);

        } else {
            u->headers_in.headers.last = &u->headers_in.headers.part;
            u->headers_in.headers.part.nelts = 0;
            u->headers_in.headers.part.next = NULL;
        }
    }

    ctx->finalize_request(sr, rc);
}


static ngx_int_t
ngx_http_idpay_attempt_inject(ngx_http_request_t *sr,
    ngx_http_idpay_credential_t *credential)
{
    u_char               *uri_end, *host_end, *sep;
    ngx_buf_t            *b;
    ngx_chain_t          *head, *body, **ll;
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    b = u->request_bufs->buf;
    body = u->request_bufs->next;

    /* "Host" is the first header, and stays so (RFC 9110 7.2) */

    uri_end = u->uri.data + u->uri.len;
    host_end = ngx_strlchr(uri_end, b->last, LF);

    if (host_end) {
        host_end = ngx_strlchr(host_end + 1, b->last, LF);
    }

    if (host_end == NULL) {
        ngx_log_error(NGX_LOG_ALERT, sr->connection->log, 0,
                      "idpay: no header to put a credential behind");
        return NGX_ERROR;
    }

    host_end++;

    head = NULL;
    ll = &head;

    if (credential->args.len) {
        sep = (u_char *) (ngx_strlchr(u->uri.data, uri_end, '?') ? "&" : "?");

        ll = ngx_http_idpay_attempt_slice(sr->pool, ll, b->pos, uri_end);
        ll = ngx_http_idpay_attempt_slice(sr->pool, ll, sep, sep + 1);
        ll = ngx_http_idpay_attempt_slice(sr->pool, ll, credential->args.data,
                             credential->args.data + credential->args.len);
        ll = ngx_http_idpay_attempt_slice(sr->pool, ll, uri_end, host_end);

    } else {
        ll = ngx_http_idpay_attempt_slice(sr->pool, ll, b->pos, host_end);
    }

    if (credential->headers.len) {
        ll = ngx_http_idpay_attempt_slice(sr->pool, ll,
                       credential->headers.data,
                       credential->headers.data + credential->headers.len);
    }

    if (ll == NULL) {
        return NGX_ERROR;
    }

    /* the header's own buffer goes on with what is behind that */

    *ll = u->request_bufs;
    u->request_bufs->next = body;
    u->request_bufs = head;

    b->start = host_end;
    b->pos = host_end;

    return NGX_OK;
}


/*
 * Adds a buffer of its own for bytes that are only read.  It has a "start",
 * since the upstream module sends a request again from there.  Returns where
 * to go on, or NULL if there is no memory, then or before.
 */

static ngx_chain_t **
ngx_http_idpay_attempt_slice(ngx_pool_t *pool, ngx_chain_t **ll, u_char *start,
    u_char *end)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (ll == NULL) {
        return NULL;
    }

    b = ngx_calloc_buf(pool);
    if (b == NULL) {
        return NULL;
    }

    cl = ngx_alloc_chain_link(pool);
    if (cl == NULL) {
        return NULL;
    }

    b->start = start;
    b->pos = start;
    b->last = end;
    b->end = end;
    b->memory = 1;

    cl->buf = b;
    cl->next = NULL;

    *ll = cl;

    return &cl->next;
}


void
ngx_http_idpay_attempt_abort(ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_request_t   *sr;
    ngx_http_upstream_t  *u;

    sr = ctx->attempt;
    u = sr->upstream;

    if (u == NULL || u->cleanup == NULL) {
        /* it has ended by itself just now */
        return;
    }

    /* of an error it is the status that counts, which is there */

    if (!ctx->discard
        && (!ctx->collect
            || ctx->answer->headers_out.status < NGX_HTTP_BAD_REQUEST))
    {
        ctx->aborted = 1;

        if (u->state) {
            u->state->status = NGX_HTTP_GATEWAY_TIME_OUT;
        }

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, NGX_ETIMEDOUT,
                      "idpay: the deadline of a call to \"%V\" has come "
                      "before its answer", &ctx->iucf->name);
    }

    /* the cleanup gives up a reference that the subrequest needs to end */

    sr->main->count++;

    (*u->cleanup)(sr);

    ngx_http_finalize_request(sr, NGX_HTTP_GATEWAY_TIME_OUT);
}


static ngx_int_t
ngx_http_idpay_attempt_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_idpay_ctx_t *ctx = data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "idpay attempt done: %i, buffered:%d", rc, sr->buffered);

    if (rc == NGX_ERROR
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || sr->connection->error)
    {
        /* the caller's request is terminated */
        return rc;
    }

    if (sr->buffered) {
        /* called again when all is sent */
        return NGX_OK;
    }

    ctx->attempt = NULL;
    ctx->rc = rc;

    if (ngx_http_post_request(ctx->request, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}
