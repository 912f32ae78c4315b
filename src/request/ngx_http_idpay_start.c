
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_start.h"

#include "credential/ngx_http_idpay_state.h"
#include "lib/ngx_http_idpay_crypto.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_page.h"


/* bytes of the argument "prefill_id" */

#define NGX_HTTP_IDPAY_START_MAX_PREFILL  512

/* random bytes of the cookie, and their text's */

#define NGX_HTTP_IDPAY_START_RANDOM       32
#define NGX_HTTP_IDPAY_START_TEXT                                             \
    ngx_base64_encoded_length(NGX_HTTP_IDPAY_START_RANDOM)


static ngx_int_t ngx_http_idpay_start_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_idpay_start_redirect(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *state, ngx_str_t *prefill);
static ngx_int_t ngx_http_idpay_start_seal(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *caller, ngx_str_t *sealed);
static ngx_int_t ngx_http_idpay_start_location(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *sealed, ngx_str_t *prefill,
    ngx_str_t *location);
static u_char *ngx_http_idpay_start_append(u_char *p, char *name,
    ngx_str_t *value);


static const ngx_str_t  ngx_http_idpay_start_allow = ngx_string("GET, HEAD");


char *
ngx_http_idpay_start(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_idpay_page(cf, conf, ngx_http_idpay_start_handler,
                               "redirect_uri=");
}


static ngx_int_t
ngx_http_idpay_start_handler(ngx_http_request_t *r)
{
    ngx_str_t              state, prefill;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_http_idpay_page_begin(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_idpay_answer_method(r, ctx,
                                            &ngx_http_idpay_start_allow,
                                            "a person's browser comes here "
                                            "with GET");
    }

    if (ngx_http_idpay_page_argument(r, "state", &state) == NGX_ERROR
        || ngx_http_idpay_page_argument(r, "prefill_id", &prefill)
           == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (state.len > NGX_HTTP_IDPAY_STATE_CALLER) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the argument \"state\" is longer than "
                     ngx_value(NGX_HTTP_IDPAY_STATE_CALLER) " bytes");
    }

    if (prefill.len > NGX_HTTP_IDPAY_START_MAX_PREFILL) {
        return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_BAD_REQUEST,
                     "the argument \"prefill_id\" is longer than "
                     ngx_value(NGX_HTTP_IDPAY_START_MAX_PREFILL) " bytes");
    }

    if (ngx_http_idpay_start_redirect(r, ctx, &state, &prefill) != NGX_OK) {
        return ngx_http_idpay_answer_failure(r, ctx);
    }

    return ngx_http_idpay_page_send(r, NGX_HTTP_MOVED_TEMPORARILY, NULL);
}


static ngx_int_t
ngx_http_idpay_start_redirect(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *state, ngx_str_t *prefill)
{
    ngx_str_t  sealed, location;

    if (ngx_http_idpay_start_seal(r, ctx, state, &sealed) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_idpay_start_location(r, ctx, &sealed, prefill, &location)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_idpay_answer_header(r, "Location", &location);
}


/* a state, and the cookie that it is bound to */

static ngx_int_t
ngx_http_idpay_start_seal(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_str_t *caller, ngx_str_t *sealed)
{
    u_char                  random[NGX_HTTP_IDPAY_START_RANDOM];
    u_char                  text[NGX_HTTP_IDPAY_START_TEXT];
    u_char                  key[NGX_HTTP_IDPAY_KEY_LEN];
    ngx_int_t               rc;
    ngx_str_t               src, cookie;
    ngx_uint_t              secure;
    ngx_http_idpay_page_t  *page;

    sealed->data = ngx_pnalloc(r->pool, NGX_HTTP_IDPAY_STATE_MAX(caller->len));

    if (sealed->data == NULL
        || ngx_http_idpay_crypto_random(random, sizeof(random)) != NGX_OK
        || ngx_http_idpay_start_key(ctx->iucf, key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    src.data = random;
    src.len = sizeof(random);
    cookie.data = text;

    ngx_encode_base64url(&cookie, &src);

    rc = ngx_http_idpay_state_seal(key, &ctx->iucf->name, &cookie, caller,
                                   ngx_time(), sealed);

    ngx_explicit_memzero(key, sizeof(key));

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    page = ctx->ilcf->page;

    /* what the browser sees may be the TLS of a server in front of this one */

    secure = page->url.len
             && ngx_strncasecmp(page->url.data, (u_char *) "https", 5) == 0;

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        secure = 1;
    }

#endif

    return ngx_http_idpay_start_cookie(r, &cookie, NGX_HTTP_IDPAY_STATE_LIFE,
                                       secure);
}


ngx_int_t
ngx_http_idpay_start_key(ngx_http_idpay_upstream_conf_t *iucf, u_char *key)
{
    ngx_http_idpay_zone_t  *zone;

    if (iucf->store) {
        return ngx_http_idpay_store_derive(iucf->store, "idpay consent state",
                                           key);
    }

    if (ngx_http_idpay_crypto_random(key, NGX_HTTP_IDPAY_KEY_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    zone = iucf->zone;

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_idpay_cache_key(zone->cache, key);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_start_cookie(ngx_http_request_t *r, ngx_str_t *value,
    ngx_uint_t age, ngx_uint_t secure)
{
    ngx_str_t  cookie;

    cookie.data = ngx_pnalloc(r->pool,
                              sizeof(NGX_HTTP_IDPAY_START_COOKIE "=; Path=/; "
                                     "HttpOnly; SameSite=Lax; Max-Age="
                                     "; Secure")
                              + value->len + NGX_INT_T_LEN);
    if (cookie.data == NULL) {
        return NGX_ERROR;
    }

    cookie.len = ngx_sprintf(cookie.data,
                             NGX_HTTP_IDPAY_START_COOKIE "=%V; Path=/; "
                             "HttpOnly; SameSite=Lax; Max-Age=%ui%s",
                             value, age, secure ? "; Secure" : "")
                 - cookie.data;

    return ngx_http_idpay_answer_header(r, "Set-Cookie", &cookie);
}


static ngx_int_t
ngx_http_idpay_start_location(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *sealed, ngx_str_t *prefill,
    ngx_str_t *location)
{
    u_char           *p;
    ngx_str_t        *url, *id, *redirect;
    const ngx_str_t  *args;

    url = &ctx->iucf->consent_url;
    args = &ctx->iucf->scheme->grants->consent_args;
    id = &ctx->iucf->values[NGX_HTTP_IDPAY_PRIMARY][NGX_HTTP_IDPAY_CLIENT_ID];
    redirect = &ctx->ilcf->page->url;

    p = ngx_pnalloc(r->pool, url->len + 1 + args->len
                             + sizeof("&client_id=&redirect_uri=&state="
                                      "&prefill_id=")
                             + 3 * (id->len + redirect->len + sealed->len
                                    + prefill->len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    location->data = p;

    p = ngx_cpymem(p, url->data, url->len);
    *p++ = ngx_strlchr(url->data, url->data + url->len, '?') ? '&' : '?';
    p = ngx_cpymem(p, args->data, args->len);

    p = ngx_http_idpay_start_append(p, "&client_id=", id);
    p = ngx_http_idpay_start_append(p, "&redirect_uri=", redirect);
    p = ngx_http_idpay_start_append(p, "&state=", sealed);
    p = ngx_http_idpay_start_append(p, "&prefill_id=", prefill);

    location->len = p - location->data;

    return NGX_OK;
}


static u_char *
ngx_http_idpay_start_append(u_char *p, char *name, ngx_str_t *value)
{
    if (value->len == 0) {
        return p;
    }

    p = ngx_cpymem(p, name, ngx_strlen(name));

    return (u_char *) ngx_escape_uri(p, value->data, value->len,
                                     NGX_ESCAPE_URI_COMPONENT);
}
