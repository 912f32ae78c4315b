
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_authorize.h"

#include "credential/ngx_http_idpay_route.h"
#include "request/ngx_http_idpay_answer.h"


static ngx_int_t ngx_http_idpay_authorize_used(ngx_http_idpay_ctx_t *ctx);
static void ngx_http_idpay_authorize_resume(void *data);
static ngx_int_t ngx_http_idpay_authorize_none(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


ngx_int_t
ngx_http_idpay_authorize_path(ngx_http_idpay_ctx_t *ctx)
{
    const ngx_http_idpay_grants_t  *grants;

    grants = ctx->iucf->scheme->grants;

    if (grants == NULL || grants->routes == NULL) {
        return NGX_OK;
    }

    return ngx_http_idpay_route(grants->routes, &ctx->path, &ctx->kind,
                                &ctx->profile);
}


ngx_int_t
ngx_http_idpay_authorize(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ctx->iucf;

    if (iucf->scheme->grants == NULL) {
        ctx->credential = iucf->credentials[NGX_HTTP_IDPAY_PRIMARY];
        return NGX_DECLINED;
    }

    ctx->token_wait.handler = ngx_http_idpay_authorize_resume;
    ctx->token_wait.data = ctx;

    rc = ngx_http_idpay_token_get(iucf, &ctx->profile, ctx->refused, r->pool,
                                  &ctx->token, &ctx->token_wait);

    if (rc == NGX_DECLINED && ctx->kind == NGX_HTTP_IDPAY_TOKEN_EITHER
        && ctx->profile.len)
    {
        /* the application's token it is */

        ngx_str_null(&ctx->profile);
        ctx->refused = 0;

        rc = ngx_http_idpay_token_get(iucf, &ctx->profile, 0, r->pool,
                                      &ctx->token, &ctx->token_wait);
    }

    switch (rc) {

    case NGX_OK:

        if (ngx_http_idpay_authorize_used(ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->credential = &ctx->token.credential;
        return NGX_DECLINED;

    case NGX_AGAIN:
        ctx->parked = ngx_current_msec;
        ctx->due = ctx->deadline;
        return NGX_AGAIN;

    case NGX_DECLINED:
        return ngx_http_idpay_authorize_none(r, ctx);

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


/* the provider may echo the token of any attempt, not of the last one alone */

static ngx_int_t
ngx_http_idpay_authorize_used(ngx_http_idpay_ctx_t *ctx)
{
    ngx_str_t  *token;

    if (ctx->tokens == NULL) {
        ctx->tokens = ngx_array_create(ctx->request->pool, 1,
                                       sizeof(ngx_str_t));
        if (ctx->tokens == NULL) {
            return NGX_ERROR;
        }

    } else {
        token = ctx->tokens->elts;
        token += ctx->tokens->nelts - 1;

        if (token->len == ctx->token.token.len
            && ngx_memcmp(token->data, ctx->token.token.data, token->len) == 0)
        {
            return NGX_OK;
        }
    }

    token = ngx_array_push(ctx->tokens);
    if (token == NULL) {
        return NGX_ERROR;
    }

    *token = ctx->token.token;

    ctx->secrets = NULL;

    return NGX_OK;
}


static void
ngx_http_idpay_authorize_resume(void *data)
{
    ngx_http_idpay_ctx_t *ctx = data;

    ctx->wait += ngx_current_msec - ctx->parked;

    ngx_http_idpay_exchange_resume(ctx);
}


void
ngx_http_idpay_authorize_leave(ngx_http_idpay_ctx_t *ctx)
{
    if (ctx->token_wait.queue.next) {
        ngx_http_idpay_token_leave(&ctx->token_wait);
        ctx->wait += ngx_current_msec - ctx->parked;
    }
}


ngx_int_t
ngx_http_idpay_authorize_late(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_authorize_leave(ctx);

    ctx->token.cause = NGX_HTTP_IDPAY_CAUSE_FAILED;
    ctx->token.retry_after = 1000;

    return ngx_http_idpay_authorize_none(r, ctx);
}


static ngx_int_t
ngx_http_idpay_authorize_none(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_problem_t  problem;

    ctx->retry_after = ctx->token.retry_after;

    switch (ctx->token.cause) {

    case NGX_HTTP_IDPAY_CAUSE_ABSENT:
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_CONSENT_REQUIRED,
                                    1);
        ngx_str_set(&problem.detail,
                    "the person of this profile has not given consent");
        break;

    case NGX_HTTP_IDPAY_CAUSE_GONE:
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_CONSENT_REQUIRED,
                                    1);
        ngx_str_set(&problem.detail,
                    "the consent of this profile's person is no longer valid");
        break;

    case NGX_HTTP_IDPAY_CAUSE_CLIENT:
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_REJECTED, 1);
        ngx_str_set(&problem.detail,
                    "the provider gives no token for the gateway's secrets");
        break;

    case NGX_HTTP_IDPAY_CAUSE_STORE:
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE, 1);
        ngx_str_set(&problem.detail,
                    "the gateway's store of tokens cannot be used");
        break;

    default: /* NGX_HTTP_IDPAY_CAUSE_FAILED */
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE, 1);
        ngx_str_set(&problem.detail,
                    "the provider gives no token at present");
    }

    return ngx_http_idpay_answer(r, ctx, &problem);
}


ngx_uint_t
ngx_http_idpay_authorize_again(ngx_http_idpay_ctx_t *ctx, ngx_uint_t status)
{
    uint64_t                        generation;
    const ngx_http_idpay_grants_t  *grants;

    grants = ctx->iucf->scheme->grants;

    if (grants == NULL
        || (status != NGX_HTTP_UNAUTHORIZED
            && (status != NGX_HTTP_FORBIDDEN || !grants->refuses_403))
        || ngx_http_idpay_authorize_absent(ctx, status))
    {
        return 0;
    }

    generation = ctx->token.generation;

    if (ctx->refused) {
        ngx_http_idpay_token_refused(ctx->iucf, &ctx->profile, generation);
        return 0;
    }

    if (!ngx_http_idpay_token_again(ctx->iucf, &ctx->profile, generation)) {
        return 0;
    }

    ctx->refused = generation;

    return 1;
}


ngx_uint_t
ngx_http_idpay_authorize_absent(ngx_http_idpay_ctx_t *ctx, ngx_uint_t status)
{
    return ctx->kind == NGX_HTTP_IDPAY_TOKEN_EITHER && ctx->profile.len == 0
           && status == NGX_HTTP_FORBIDDEN;
}


ngx_int_t
ngx_http_idpay_authorize_secrets(ngx_http_idpay_ctx_t *ctx)
{
    ngx_str_t                *token;
    ngx_pool_t               *pool;
    ngx_uint_t                i;
    ngx_http_idpay_vault_t   *vault;
    ngx_http_idpay_redact_t  *redact;

    if (ctx->iucf->scheme->grants == NULL) {
        ctx->secrets = ctx->iucf->redact;
        return NGX_OK;
    }

    if (ctx->secrets) {
        return NGX_OK;
    }

    pool = ctx->request->pool;

    vault = ngx_http_idpay_vault_create(pool);
    if (vault == NULL) {
        return NGX_ERROR;
    }

    redact = ngx_http_idpay_credential_redact(pool, vault, ctx->iucf->scheme,
                                              ctx->iucf->values[0],
                                              ctx->iucf->values[1]);
    if (redact == NULL) {
        return NGX_ERROR;
    }

    token = ctx->tokens->elts;

    for (i = 0; i < ctx->tokens->nelts; i++) {

        if (ngx_http_idpay_redact_add(redact, &token[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->secrets = redact;

    return NGX_OK;
}
