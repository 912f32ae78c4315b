
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_answer.h"


static ngx_str_t  ngx_http_idpay_request_id = ngx_string("request_id");


ngx_int_t
ngx_http_idpay_answer(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_problem_t *problem)
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

    if (problem->provider_status == 0) {
        problem->provider_status = ctx->status;
    }

    if (problem->code == NGX_HTTP_IDPAY_CONSENT_REQUIRED) {
        problem->consent_url = ctx->iucf->consent_url;
    }

    if (problem->retryable) {
        problem->retry_after = (ctx->retry_after + 999) / 1000;
    }

    ctx->code = ngx_http_idpay_problem_name(problem->code);
    ctx->unknown = problem->unknown;

    problem->attempts = ngx_http_idpay_answer_attempts(r, ctx);

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

    if (problem->retry_after
        && ngx_http_idpay_answer_retry_after(r, &r->headers_out.headers,
                                             ctx->retry_after)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_idpay_answer_reject(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_uint_t status, char *detail)
{
    ngx_http_idpay_problem_t  problem;

    ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_REQUEST_REJECTED, 0);

    problem.status = status;
    problem.detail.data = (u_char *) detail;
    problem.detail.len = ngx_strlen(detail);

    return ngx_http_idpay_answer(r, ctx, &problem);
}


ngx_int_t
ngx_http_idpay_answer_method(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, const ngx_str_t *allow, char *detail)
{
    if (ngx_http_idpay_answer_header(r, "Allow", allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_idpay_answer_reject(r, ctx, NGX_HTTP_NOT_ALLOWED, detail);
}


ngx_int_t
ngx_http_idpay_answer_header(ngx_http_request_t *r, char *name,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_answer_failure(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_idpay_problem_t  problem;

    ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_GATEWAY_ERROR, 0);

    problem.unknown = ctx->unknown;

    return ngx_http_idpay_answer(r, ctx, &problem);
}


ngx_uint_t
ngx_http_idpay_answer_attempts(ngx_http_request_t *r,
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


ngx_int_t
ngx_http_idpay_answer_retry_after(ngx_http_request_t *r, ngx_list_t *headers,
    ngx_msec_t ms)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    /* one that nobody could read is replaced */

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

        if (h[i].key.len == sizeof("Retry-After") - 1
            && ngx_strncasecmp(h[i].key.data, (u_char *) "Retry-After",
                               sizeof("Retry-After") - 1)
               == 0)
        {
            h[i].hash = 0;
        }
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_list_push(headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "Retry-After");
    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%M", (ms + 999) / 1000) - p;

    return NGX_OK;
}
