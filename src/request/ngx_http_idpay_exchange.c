
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_exchange.h"

#include "lib/ngx_http_idpay_json.h"
#include "request/ngx_http_idpay_attempt.h"
#include "request/ngx_http_idpay_screen.h"


/* the largest body that is searched for credentials, bytes */

#define NGX_HTTP_IDPAY_MAX_SCREENED_BODY  65536

/* RFC 9110 9.2.2, of the methods that a provider's API may have */

#define NGX_HTTP_IDPAY_IDEMPOTENT                                             \
    (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS|NGX_HTTP_PUT|NGX_HTTP_DELETE)


static void ngx_http_idpay_exchange_read(ngx_http_request_t *r);
static void ngx_http_idpay_exchange_write(ngx_http_request_t *r);
static void ngx_http_idpay_exchange_run(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_exchange_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_http_idpay_exchange_path(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *path);
static ngx_int_t ngx_http_idpay_exchange_admit(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_idpay_exchange_verdict(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_reject(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_uint_t status, char *detail);
static ngx_uint_t ngx_http_idpay_exchange_attempts(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);
static ngx_int_t ngx_http_idpay_exchange_answer(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_problem_t *problem);


static ngx_str_t  ngx_http_idpay_request_id = ngx_string("request_id");


ngx_int_t
ngx_http_idpay_exchange_test(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_str_t                       path;
    const ngx_http_idpay_preset_t  *preset;

    preset = ctx->iucf->preset;

    if (preset->methods && !(r->method & preset->methods)) {
        return ngx_http_idpay_exchange_reject(r, ctx, NGX_HTTP_NOT_ALLOWED,
                             "the provider's API does not have this method");
    }

    if (preset->paths == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_http_idpay_exchange_path(r, ctx, &path);
    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_idpay_screen_path(preset->paths, &path)) {
        return ngx_http_idpay_exchange_reject(r, ctx, NGX_HTTP_FORBIDDEN,
                                "the path is outside of what the gateway may "
                                "call at this provider");
    }

    return NGX_DECLINED;
}


/*
 * The path that the proxy module will send: the caller's own where there is no
 * URI in "idpay_pass", and else the URI in place of the location's name.
 */

static ngx_int_t
ngx_http_idpay_exchange_path(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
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


void
ngx_http_idpay_exchange_start(ngx_http_request_t *r)
{
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    r->read_event_handler = ngx_http_idpay_exchange_read;
    r->write_event_handler = ngx_http_idpay_exchange_write;

    ngx_http_idpay_exchange_run(r, ctx);
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
    }
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

    ngx_http_idpay_exchange_run(r, ctx);
}


static void
ngx_http_idpay_exchange_run(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t  rc;

    for ( ;; ) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "idpay exchange state: %ui", (ngx_uint_t) ctx->state);

        switch (ctx->state) {

        case NGX_HTTP_IDPAY_ADMIT:
            rc = ngx_http_idpay_exchange_admit(r, ctx);

            if (rc != NGX_DECLINED) {
                ngx_http_idpay_exchange_finalize(r, rc);
                return;
            }

            ctx->state = NGX_HTTP_IDPAY_CREDENTIAL;
            break;

        case NGX_HTTP_IDPAY_CREDENTIAL:
            ctx->credential = ctx->iucf->credentials[NGX_HTTP_IDPAY_PRIMARY];
            ctx->state = NGX_HTTP_IDPAY_ATTEMPT;
            break;

        case NGX_HTTP_IDPAY_ATTEMPT:
            ctx->state = NGX_HTTP_IDPAY_VERDICT;

            if (ngx_http_idpay_attempt_start(r, ctx) == NGX_OK) {
                return;
            }

            ctx->rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            break;

        case NGX_HTTP_IDPAY_VERDICT:
            rc = ngx_http_idpay_exchange_verdict(r, ctx);

            ngx_http_idpay_exchange_finalize(r, rc);
            return;
        }
    }
}


/*
 * An "error_page" may take the request elsewhere, where it has not the context
 * that the module's event handlers need.
 */

static void
ngx_http_idpay_exchange_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, rc);
}


/* returns NGX_DECLINED if there is nothing against the call */

static ngx_int_t
ngx_http_idpay_exchange_admit(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_str_t         body;
    const ngx_str_t  *names, *found;

    names = ctx->iucf->preset->refuse_members;

    if (names == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_http_idpay_exchange_body(r, &body);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_idpay_exchange_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body is larger than "
                     ngx_value(NGX_HTTP_IDPAY_MAX_SCREENED_BODY)
                     " bytes and cannot be searched for credentials");
    }

    if (body.len == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_http_idpay_json_member(body.data, body.len, names, &found);

    if (rc == NGX_OK) {
        return ngx_http_idpay_exchange_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body holds a credential, which is the gateway's "
                     "to send: leave that member out");
    }

    if (rc == NGX_ERROR) {
        return ngx_http_idpay_exchange_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the body is not a JSON object");
    }

    return NGX_DECLINED;
}


/*
 * The whole body in one piece, empty if there is none.  Returns NGX_OK,
 * NGX_DECLINED if it is too large, or NGX_ERROR.
 */

static ngx_int_t
ngx_http_idpay_exchange_body(ngx_http_request_t *r, ngx_str_t *body)
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


static ngx_int_t
ngx_http_idpay_exchange_verdict(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_uint_t                 safe;
    ngx_http_upstream_t       *u;
    ngx_http_idpay_problem_t   problem;

    if (ctx->passed) {

        if (ctx->rc >= NGX_HTTP_SPECIAL_RESPONSE) {
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

    u = r->upstream;
    safe = (r->method & NGX_HTTP_IDPAY_IDEMPOTENT) ? 1 : 0;

    if (u == NULL || u->state == NULL
        || ctx->rc == NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_GATEWAY_ERROR);
        ngx_str_set(&problem.detail, "the gateway could not make the call");

    } else if (u->state->connect_time != (ngx_msec_t) -1) {

        /* a request was sent, at least its begin */

        if (ctx->rc == NGX_HTTP_GATEWAY_TIME_OUT) {
            ngx_http_idpay_problem_init(&problem,
                                        NGX_HTTP_IDPAY_PROVIDER_TIMEOUT);
            ngx_str_set(&problem.detail, "the provider did not answer in time");

        } else {
            ngx_http_idpay_problem_init(&problem,
                                        NGX_HTTP_IDPAY_PROVIDER_ERROR);
            ngx_str_set(&problem.detail,
                        "the provider gave no valid HTTP answer");
        }

        problem.retryable = safe;
        problem.unknown = !safe;

    } else if (ctx->rc == NGX_HTTP_BAD_GATEWAY
               && u->ssl && u->ssl_name.data != u->upstream->host.data)
    {
        /* the name to verify is set when the handshake begins */

        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_PROVIDER_ERROR);
        ngx_str_set(&problem.detail, "no verified TLS connection "
                                     "to the provider could be made");
        problem.retryable = safe;

    } else {
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE);
        ngx_str_set(&problem.detail,
                    "no connection to the provider could be made");
        problem.retryable = 1;
    }

    return ngx_http_idpay_exchange_answer(r, ctx, &problem);
}


static ngx_int_t
ngx_http_idpay_exchange_reject(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_uint_t status, char *detail)
{
    ngx_table_elt_t           *h;
    ngx_http_idpay_problem_t   problem;

    ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_REQUEST_REJECTED);

    problem.status = status;
    problem.detail.data = (u_char *) detail;
    problem.detail.len = ngx_strlen(detail);

    if (status == NGX_HTTP_NOT_ALLOWED) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        ngx_str_set(&h->key, "Allow");
        h->value = ctx->iucf->preset->allow;
    }

    return ngx_http_idpay_exchange_answer(r, ctx, &problem);
}


/*
 * Calls begun, those that the upstream module repeats by itself among them: on
 * a kept connection that had been closed, and at the next server.
 */

static ngx_uint_t
ngx_http_idpay_exchange_attempts(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_uint_t                  i, n;
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL) {
        return 0;
    }

    state = r->upstream_states->elts;
    n = 0;

    for (i = ctx->states; i < r->upstream_states->nelts; i++) {
        if (state[i].peer) {
            n++;
        }
    }

    return n;
}


/*
 * Sends a problem.  Returns what a content handler may return: the result of
 * the output, or an HTTP status if nothing was sent.
 */

static ngx_int_t
ngx_http_idpay_exchange_answer(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_problem_t *problem)
{
    ngx_int_t                   rc;
    ngx_buf_t                  *b;
    ngx_uint_t                  key;
    ngx_chain_t                 out;
    ngx_http_variable_value_t  *vv;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    key = ngx_hash_key(ngx_http_idpay_request_id.data,
                       ngx_http_idpay_request_id.len);

    vv = ngx_http_get_variable(r, &ngx_http_idpay_request_id, key);
    if (vv == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    problem->request_id.data = vv->data;
    problem->request_id.len = vv->len;
    problem->provider = ctx->iucf->name;
    problem->attempts = ngx_http_idpay_exchange_attempts(r, ctx);

    b = ngx_http_idpay_problem_create(r->pool, problem);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    r->headers_out.status = problem->status;
    r->headers_out.content_length_n = b->last - b->pos;

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
