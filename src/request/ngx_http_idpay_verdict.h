
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the end of an attempt means: for the provider's limits, for the caller,
 * and whether another attempt follows.
 */


#ifndef _NGX_HTTP_IDPAY_VERDICT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_VERDICT_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"
#include "problem/ngx_http_idpay_problem.h"


/*
 * Judges the header of an answer, when the upstream module has read it and
 * nothing is sent yet.  Returns
 *   NGX_OK: it goes to the caller, with a Retry-After where one belongs to it;
 *   NGX_DECLINED: another attempt follows, ctx->again is set;
 *   NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_idpay_verdict_answer(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx);

/*
 * Judges an attempt that ended without an answer.  Sets ctx->again if another
 * one follows, and else makes a problem of it.
 */
void ngx_http_idpay_verdict_failure(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_problem_t *problem);


#endif /* _NGX_HTTP_IDPAY_VERDICT_H_INCLUDED_ */
