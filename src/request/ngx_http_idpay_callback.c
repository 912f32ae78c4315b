
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_callback.h"

#include "credential/ngx_http_idpay_state.h"
#include "lib/ngx_http_idpay_crypto.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_page.h"
#include "request/ngx_http_idpay_start.h"


/* bytes of a code, and of an error's */

#define NGX_HTTP_IDPAY_CALLBACK_MAX_CODE   512
#define NGX_HTTP_IDPAY_CALLBACK_MAX_ERROR  64


typedef struct {
    ngx_http_request_t        *request;
    ngx_http_idpay_ctx_t      *ctx;
    ngx_str_t                  state;      /* the caller's, or empty */
    ngx_http_idpay_consent_t  *consent;    /* under way, or NULL */
} ngx_http_idpay_callback_t;


static ngx_int_t ngx_http_idpay_callback_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_idpay_callback_state(ngx_http_idpay_callback_t *cb);
static ngx_int_t ngx_http_idpay_callback_open(ngx_http_idpay_callback_t *cb,
    ngx_str_t *text, ngx_http_idpay_state_t *state);
static ngx_int_t ngx_http_idpay_callback_once(ngx_http_idpay_callback_t *cb,
    ngx_http_idpay_state_t *state);
static ngx_int_t ngx_http_idpay_callback_run(ngx_http_idpay_callback_t *cb);
static ngx_uint_t ngx_http_idpay_callback_visible(ngx_str_t *code);
static void ngx_http_idpay_callback_cleanup(void *data);
static void ngx_http_idpay_callback_done(void *data,
    ngx_http_idpay_consent_result_t *result);
static ngx_int_t ngx_http_idpay_callback_result(ngx_http_idpay_callback_t *cb,
    ngx_http_idpay_consent_result_t *result);
static ngx_int_t ngx_http_idpay_callback_error(ngx_http_idpay_callback_t *cb,
    ngx_str_t *error);
static ngx_int_t ngx_http_idpay_callback_answer(ngx_http_idpay_callback_t *cb,
    char *name, ngx_str_t *value, ngx_uint_t status);
static ngx_int_t ngx_http_idpay_callback_return(ngx_http_idpay_callback_t *cb,
    char *name, ngx_str_t *value);


static const ngx_str_t  ngx_http_idpay_callback_allow = ngx_string("GET");

static ngx_str_t  ngx_http_idpay_callback_cookie =
    ngx_string("cookie_" NGX_HTTP_IDPAY_START_COOKIE);

static ngx_str_t  ngx_http_idpay_callback_none = ngx_string("");


/* codes of RFC 6749, 4.1.2.1 and 5.2 */

static ngx_str_t  ngx_http_idpay_callback_server_error =
    ngx_string("server_error");

static ngx_str_t  ngx_http_idpay_callback_unavailable =
    ngx_string("temporarily_unavailable");

static ngx_str_t  ngx_http_idpay_callback_invalid_grant =
    ngx_string("invalid_grant");


char *
ngx_http_idpay_callback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_idpay_page(cf, conf, ngx_http_idpay_callback_handler,
                               "return=");
}


static ngx_int_t
ngx_http_idpay_callback_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_idpay_ctx_t       *ctx;
    ngx_http_idpay_callback_t  *cb;

    ctx = ngx_http_idpay_page_begin(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_GET) {
        return ngx_http_idpay_answer_method(r, ctx,
                                            &ngx_http_idpay_callback_allow,
                                            "a person's browser comes here "
                                            "with GET");
    }

    cb = ngx_pcalloc(r->pool, sizeof(ngx_http_idpay_callback_t));
    if (cb == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cb->request = r;
    cb->ctx = ctx;

    rc = ngx_http_idpay_callback_state(cb);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    /* it has done what it was for, whatever comes of it */

    if (ngx_http_idpay_start_cookie(r, &ngx_http_idpay_callback_none, 0, 0)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_idpay_callback_run(cb);
}


/*
 * Nobody is sent anywhere by a state that is not the gateway's own.  Returns
 * NGX_DECLINED if it is, else what a content handler returns.
 */

static ngx_int_t
ngx_http_idpay_callback_state(ngx_http_idpay_callback_t *cb)
{
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_http_request_t      *r;
    ngx_http_idpay_ctx_t    *ctx;
    ngx_http_idpay_state_t   state;

    r = cb->request;
    ctx = cb->ctx;

    rc = ngx_http_idpay_page_argument(r, "state", &text);

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_callback_open(cb, &text, &state);
    }

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_DONE:
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the time to give consent is over: begin again");

    case NGX_DECLINED:
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the argument \"state\" is none that the gateway has "
                     "given to this browser last");

    default: /* NGX_ERROR */
        return ngx_http_idpay_answer_failure(r, ctx);
    }

    cb->state = state.caller;

    return ngx_http_idpay_callback_once(cb, &state);
}


static ngx_int_t
ngx_http_idpay_callback_open(ngx_http_idpay_callback_t *cb, ngx_str_t *text,
    ngx_http_idpay_state_t *state)
{
    u_char                     *buf;
    u_char                      key[NGX_HTTP_IDPAY_KEY_LEN];
    ngx_int_t                   rc;
    ngx_str_t                   cookie;
    ngx_uint_t                  hash;
    ngx_http_request_t         *r;
    ngx_http_variable_value_t  *vv;

    r = cb->request;

    hash = ngx_hash_key(ngx_http_idpay_callback_cookie.data,
                        ngx_http_idpay_callback_cookie.len);

    vv = ngx_http_get_variable(r, &ngx_http_idpay_callback_cookie, hash);
    if (vv == NULL) {
        return NGX_ERROR;
    }

    if (vv->not_found) {
        return NGX_DECLINED;
    }

    cookie.data = vv->data;
    cookie.len = vv->len;

    buf = ngx_pnalloc(r->pool, text->len);

    if (buf == NULL || ngx_http_idpay_start_key(cb->ctx->iucf, key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_idpay_state_open(key, &cb->ctx->iucf->name, &cookie, text,
                                   ngx_time(), buf, state);

    ngx_explicit_memzero(key, sizeof(key));

    return rc;
}


/* the same for a state that may have been used before */

static ngx_int_t
ngx_http_idpay_callback_once(ngx_http_idpay_callback_t *cb,
    ngx_http_idpay_state_t *state)
{
    ngx_int_t                  rc;
    ngx_http_idpay_zone_t     *zone;
    ngx_http_idpay_problem_t   problem;

    zone = cb->ctx->iucf->zone;

    ngx_shmtx_lock(&zone->shpool->mutex);

    rc = ngx_http_idpay_cache_once(zone->cache, zone->shpool, state->id,
                                   state->end, ngx_time(), ngx_current_msec);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    switch (rc) {

    case NGX_OK:
        return NGX_DECLINED;

    case NGX_DECLINED:
        return ngx_http_idpay_answer_reject(cb->request, cb->ctx,
                     NGX_HTTP_BAD_REQUEST,
                     "the argument \"state\" has been used before");

    case NGX_DONE:
        return ngx_http_idpay_answer_reject(cb->request, cb->ctx,
                     NGX_HTTP_BAD_REQUEST,
                     "the time to give consent is over: begin again");

    default: /* NGX_BUSY */
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE, 0);
        ngx_str_set(&problem.detail,
                    "more people give consent than the gateway can remember");

        return ngx_http_idpay_answer(cb->request, cb->ctx, &problem);
    }
}


static ngx_int_t
ngx_http_idpay_callback_run(ngx_http_idpay_callback_t *cb)
{
    ngx_int_t                         rc;
    ngx_str_t                         error, code;
    ngx_http_request_t               *r;
    ngx_http_idpay_ctx_t             *ctx;
    ngx_http_idpay_consent_result_t   result;

    r = cb->request;
    ctx = cb->ctx;

    rc = ngx_http_idpay_page_argument(r, "error", &error);

    if (rc == NGX_OK) {
        return ngx_http_idpay_callback_error(cb, &error);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_idpay_page_argument(r, "code", &code);
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "there is neither an argument \"code\" nor \"error\"");
    }

    if (!ngx_http_idpay_callback_visible(&code)) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the argument \"code\" is not 1 to "
                     ngx_value(NGX_HTTP_IDPAY_CALLBACK_MAX_CODE)
                     " visible characters");
    }

    cb->consent = ngx_http_idpay_consent_exchange(ctx->iucf, &code,
                                            ngx_http_idpay_callback_done, cb);
    if (cb->consent == NULL) {
        ngx_memzero(&result, sizeof(ngx_http_idpay_consent_result_t));
        result.cause = NGX_HTTP_IDPAY_CAUSE_FAILED;

        return ngx_http_idpay_callback_result(cb, &result);
    }

    if (ngx_http_idpay_page_park(r, ngx_http_idpay_callback_cleanup, cb)
        != NGX_OK)
    {
        ngx_http_idpay_callback_cleanup(cb);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


/* RFC 6749, appendix A.11; a longer one is none that this can be about */

static ngx_uint_t
ngx_http_idpay_callback_visible(ngx_str_t *code)
{
    ngx_uint_t  i;

    if (code->len > NGX_HTTP_IDPAY_CALLBACK_MAX_CODE) {
        return 0;
    }

    for (i = 0; i < code->len; i++) {
        if (code->data[i] <= 0x20 || code->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* a person who has gone has given consent all the same */

static void
ngx_http_idpay_callback_cleanup(void *data)
{
    ngx_http_idpay_callback_t *cb = data;

    if (cb->consent) {
        ngx_http_idpay_consent_leave(cb->consent);
        cb->consent = NULL;
    }
}


static void
ngx_http_idpay_callback_done(void *data,
    ngx_http_idpay_consent_result_t *result)
{
    ngx_http_idpay_callback_t *cb = data;

    cb->consent = NULL;

    if (ngx_http_idpay_page_gone(cb->request, cb->ctx)) {
        return;
    }

    ngx_http_idpay_page_finalize(cb->request,
                                 ngx_http_idpay_callback_result(cb, result));
}


static ngx_int_t
ngx_http_idpay_callback_result(ngx_http_idpay_callback_t *cb,
    ngx_http_idpay_consent_result_t *result)
{
    switch (result->cause) {

    case NGX_HTTP_IDPAY_CAUSE_NONE:
        return ngx_http_idpay_callback_answer(cb, "client_profile_id",
                                              &result->profile, NGX_HTTP_OK);

    case NGX_HTTP_IDPAY_CAUSE_GONE:
        return ngx_http_idpay_callback_error(cb,
                                     &ngx_http_idpay_callback_invalid_grant);

    case NGX_HTTP_IDPAY_CAUSE_CLIENT:

        if (cb->ctx->ilcf->page->url.len) {
            return ngx_http_idpay_callback_error(cb,
                                      &ngx_http_idpay_callback_server_error);
        }

        break;

    default: /* NGX_HTTP_IDPAY_CAUSE_FAILED, NGX_HTTP_IDPAY_CAUSE_STORE */

        if (cb->ctx->ilcf->page->url.len) {
            return ngx_http_idpay_callback_error(cb,
                                       &ngx_http_idpay_callback_unavailable);
        }
    }

    return ngx_http_idpay_page_failure(cb->request, cb->ctx, result);
}


/* what the provider says comes by way of the browser: it may be anything */

static ngx_int_t
ngx_http_idpay_callback_error(ngx_http_idpay_callback_t *cb, ngx_str_t *error)
{
    u_char       c;
    ngx_uint_t   i;

    for (i = 0; i < error->len; i++) {
        c = error->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-')
        {
            continue;
        }

        break;
    }

    if (i != error->len || i > NGX_HTTP_IDPAY_CALLBACK_MAX_ERROR) {
        error = &ngx_http_idpay_callback_server_error;
    }

    return ngx_http_idpay_callback_answer(cb, "error", error,
                                          NGX_HTTP_BAD_REQUEST);
}


/* the value is a number if the status is 200, else plain characters */

static ngx_int_t
ngx_http_idpay_callback_answer(ngx_http_idpay_callback_t *cb, char *name,
    ngx_str_t *value, ngx_uint_t status)
{
    ngx_buf_t  *b;

    if (cb->ctx->ilcf->page->url.len) {
        return ngx_http_idpay_callback_return(cb, name, value);
    }

    b = ngx_create_temp_buf(cb->request->pool,
                            sizeof("{\"client_profile_id\":\"\"}" CRLF)
                            + value->len
                            + ngx_http_idpay_problem_room(&cb->state,
                                                NGX_HTTP_IDPAY_STATE_CALLER));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, (status == NGX_HTTP_OK)
                                   ? "{\"%s\":%V" : "{\"%s\":\"%V\"",
                          name, value);

    b->last = ngx_http_idpay_problem_member(b->last, ",\"state\":\"",
                                            &cb->state,
                                            NGX_HTTP_IDPAY_STATE_CALLER);

    b->last = ngx_cpymem(b->last, "}" CRLF, sizeof("}" CRLF) - 1);

    return ngx_http_idpay_page_send(cb->request, status, b);
}


static ngx_int_t
ngx_http_idpay_callback_return(ngx_http_idpay_callback_t *cb, char *name,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t  *url, location;

    url = &cb->ctx->ilcf->page->url;

    p = ngx_pnalloc(cb->request->pool,
                    url->len + sizeof("?client_profile_id=&state=")
                    + value->len + 3 * cb->state.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location.data = p;

    p = ngx_cpymem(p, url->data, url->len);
    *p++ = ngx_strlchr(url->data, url->data + url->len, '?') ? '&' : '?';
    p = ngx_sprintf(p, "%s=%V", name, value);

    if (cb->state.len) {
        p = ngx_cpymem(p, "&state=", sizeof("&state=") - 1);
        p = (u_char *) ngx_escape_uri(p, cb->state.data, cb->state.len,
                                      NGX_ESCAPE_URI_COMPONENT);
    }

    location.len = p - location.data;

    if (ngx_http_idpay_answer_header(cb->request, "Location", &location)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_idpay_page_send(cb->request, NGX_HTTP_SEE_OTHER, NULL);
}
