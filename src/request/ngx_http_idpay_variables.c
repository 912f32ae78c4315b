
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_variables.h"

#include "request/ngx_http_idpay_answer.h"


typedef ngx_int_t (*ngx_http_idpay_variable_pt)(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);


static ngx_int_t ngx_http_idpay_variable_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_idpay_variable_provider(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_attempts(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_wait(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_code(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_outcome(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_status(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_variable_credential(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value);


/* the two kinds of tokens */

static const ngx_str_t  ngx_http_idpay_client = ngx_string("client");
static const ngx_str_t  ngx_http_idpay_application = ngx_string("application");


static struct {
    ngx_str_t                    name;
    ngx_http_idpay_variable_pt   get;
} ngx_http_idpay_variables[] = {
    { ngx_string("idpay_provider"), ngx_http_idpay_variable_provider },
    { ngx_string("idpay_attempts"), ngx_http_idpay_variable_attempts },
    { ngx_string("idpay_wait"), ngx_http_idpay_variable_wait },
    { ngx_string("idpay_code"), ngx_http_idpay_variable_code },
    { ngx_string("idpay_outcome"), ngx_http_idpay_variable_outcome },
    { ngx_string("idpay_provider_status"), ngx_http_idpay_variable_status },
    { ngx_string("idpay_credential"), ngx_http_idpay_variable_credential },
    { ngx_null_string, NULL }
};


ngx_int_t
ngx_http_idpay_variables_add(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    for (i = 0; ngx_http_idpay_variables[i].name.len; i++) {

        var = ngx_http_add_variable(cf, &ngx_http_idpay_variables[i].name,
                                    NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_idpay_variable_get;
        var->data = i;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t              rc;
    ngx_str_t              value;
    ngx_http_idpay_ctx_t  *ctx;

    v->not_found = 1;

    ctx = ngx_http_get_module_ctx(r, ngx_http_idpay_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    rc = ngx_http_idpay_variables[data].get(r, ctx, &value);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_provider(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value)
{
    *value = ctx->iucf->name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_attempts(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value)
{
    value->data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%ui",
                         ngx_http_idpay_answer_attempts(ctx->request, ctx))
                 - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_wait(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_msec_t  ms;

    value->data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ms = ctx->wait;

    value->len = ngx_sprintf(value->data, "%T.%03M", (time_t) (ms / 1000),
                             ms % 1000)
                 - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_code(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_str_t *value)
{
    if (ctx->code) {
        *value = *ctx->code;

    } else {
        ngx_str_set(value, "-");
    }

    return NGX_OK;
}


/* of a caller that has gone, what it would have been told if it had stayed */

static ngx_int_t
ngx_http_idpay_variable_outcome(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value)
{
    ngx_uint_t            unknown;
    ngx_http_upstream_t  *u;

    unknown = ctx->unknown;

    if (ctx->attempt && !ctx->passed && !ctx->discard && !ctx->collect) {
        u = ctx->attempt->upstream;
        unknown = !ctx->safe && u && u->state
                  && u->state->connect_time != (ngx_msec_t) -1;
    }

    if (unknown) {
        ngx_str_set(value, "unknown");

    } else if (ctx->passed && ctx->status < NGX_HTTP_BAD_REQUEST) {
        ngx_str_set(value, "passed");

    } else {
        ngx_str_set(value, "not_applied");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_variable_status(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value)
{
    if (ctx->status == 0) {
        return NGX_DECLINED;
    }

    value->data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%03ui", ctx->status) - value->data;

    return NGX_OK;
}


/* a secret is read once, when nginx starts: generation 1 */

static ngx_int_t
ngx_http_idpay_variable_credential(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_str_t *value)
{
    uint64_t          generation;
    const ngx_str_t  *name;

    if (ctx->credential == NULL) {
        return NGX_DECLINED;
    }

    if (ctx->iucf->scheme->grants) {
        name = ctx->profile.len ? &ngx_http_idpay_client
                                : &ngx_http_idpay_application;
        generation = ctx->token.generation;

    } else {
        name = &ctx->iucf->scheme->secrets[ctx->iucf->scheme->nsecrets - 1]
                .name;
        generation = 1;
    }

    value->data = ngx_pnalloc(r->pool, name->len + sizeof("/primary/") - 1
                                       + NGX_INT64_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%V/primary/%uL", name, generation)
                 - value->data;

    return NGX_OK;
}
