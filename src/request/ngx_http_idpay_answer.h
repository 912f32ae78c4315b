
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the gateway itself answers.
 */


#ifndef _NGX_HTTP_IDPAY_ANSWER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ANSWER_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"
#include "problem/ngx_http_idpay_problem.h"


/*
 * Sends a problem, with what is known of the call: provider, attempts and, if
 * ctx->retry_after is set and the problem is retryable, Retry-After.  Returns
 * what a content handler may return: the result of the output, or an HTTP
 * status if nothing was sent.
 */
ngx_int_t ngx_http_idpay_answer(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_problem_t *problem);

/* The same for a call that the gateway refuses; "detail" is static text. */

ngx_int_t ngx_http_idpay_answer_reject(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_uint_t status, char *detail);

/* The same for a method that it refuses; "allow" names the others. */

ngx_int_t ngx_http_idpay_answer_method(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, const ngx_str_t *allow, char *detail);

/* The same for a call that the gateway could not make or answer. */

ngx_int_t ngx_http_idpay_answer_failure(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/*
 * Adds a header to the answer; "name" is static and "value" lasts as long as
 * the request.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_answer_header(ngx_http_request_t *r, char *name,
    const ngx_str_t *value);

/*
 * Adds a Retry-After of so many ms, in seconds rounded up, to "headers".
 * Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_answer_retry_after(ngx_http_request_t *r,
    ngx_list_t *headers, ngx_msec_t ms);

/* Returns the number of calls begun at the provider. */

ngx_uint_t ngx_http_idpay_answer_attempts(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_ANSWER_H_INCLUDED_ */
