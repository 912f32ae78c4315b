
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "problem/ngx_http_idpay_problem.h"


typedef struct {
    ngx_str_t    name;
    ngx_str_t    title;
    ngx_uint_t   status;
    ngx_str_t    fault;
} ngx_http_idpay_problem_code_t;


/* indexed by ngx_http_idpay_code_e */

static ngx_http_idpay_problem_code_t  ngx_http_idpay_problem_codes[] = {

    { ngx_string("request_rejected"),
      ngx_string("Request rejected by the gateway"),
      400, ngx_string("caller") },

    /* the limits are the gateway's, whoever has told it of them */

    { ngx_string("rate_limited"),
      ngx_string("Rate limit reached"),
      429, ngx_string("gateway") },

    { ngx_string("provider_error"),
      ngx_string("Provider failed"),
      502, ngx_string("provider") },

    { ngx_string("provider_unavailable"),
      ngx_string("Provider unavailable"),
      503, ngx_string("provider") },

    { ngx_string("provider_timeout"),
      ngx_string("Provider timed out"),
      504, ngx_string("provider") },

    { ngx_string("gateway_error"),
      ngx_string("Gateway failed"),
      500, ngx_string("gateway") }
};


void
ngx_http_idpay_problem_init(ngx_http_idpay_problem_t *problem,
    ngx_http_idpay_code_e code)
{
    ngx_memzero(problem, sizeof(ngx_http_idpay_problem_t));

    problem->code = code;
    problem->status = ngx_http_idpay_problem_codes[code].status;
}


const ngx_str_t *
ngx_http_idpay_problem_name(ngx_http_idpay_code_e code)
{
    return &ngx_http_idpay_problem_codes[code].name;
}


ngx_buf_t *
ngx_http_idpay_problem_create(ngx_pool_t *pool,
    ngx_http_idpay_problem_t *problem)
{
    size_t                          len;
    ngx_buf_t                      *b;
    ngx_http_idpay_problem_code_t  *code;

    code = &ngx_http_idpay_problem_codes[problem->code];

    /* detail and provider are the module's and the administrator's own text */

    len = sizeof("{\"type\":\"urn:idpay:problem:\",\"title\":\"\",\"status\":,"
                 "\"detail\":\"\",\"code\":\"\",\"provider\":\"\","
                 "\"fault\":\"\",\"retryable\":false,"
                 "\"retry_after\":,\"outcome\":\"not_applied\",\"attempts\":,"
                 "\"request_id\":\"\"}" CRLF)
          + 2 * code->name.len + code->title.len + code->fault.len
          + 3 * NGX_INT_T_LEN
          + problem->detail.len
          + ngx_escape_json(NULL, problem->detail.data, problem->detail.len)
          + problem->provider.len
          + ngx_escape_json(NULL, problem->provider.data,
                            problem->provider.len)
          + problem->request_id.len;

    b = ngx_create_temp_buf(pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, "{\"type\":\"urn:idpay:problem:%V\","
                          "\"title\":\"%V\",\"status\":%ui,\"detail\":\"",
                          &code->name, &code->title, problem->status);

    b->last = (u_char *) ngx_escape_json(b->last, problem->detail.data,
                                         problem->detail.len);

    b->last = ngx_sprintf(b->last, "\",\"code\":\"%V\",\"provider\":\"",
                          &code->name);

    b->last = (u_char *) ngx_escape_json(b->last, problem->provider.data,
                                         problem->provider.len);

    b->last = ngx_sprintf(b->last, "\",\"fault\":\"%V\",\"retryable\":%s,",
                          &code->fault, problem->retryable ? "true" : "false");

    if (problem->retry_after) {
        b->last = ngx_sprintf(b->last, "\"retry_after\":%ui,",
                              problem->retry_after);
    }

    b->last = ngx_sprintf(b->last, "\"outcome\":\"%s\",\"attempts\":%ui,"
                          "\"request_id\":\"%V\"}" CRLF,
                          problem->unknown ? "unknown" : "not_applied",
                          problem->attempts, &problem->request_id);

    return b;
}
