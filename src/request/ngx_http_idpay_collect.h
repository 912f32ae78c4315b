
/*
 * Copyright (C) 2026 idpay contributors
 *
 * An answer that is not passed on as it comes: its body is read to the end, in
 * bounds, and then it is a problem or, where an error may have the status 200,
 * passes after all.
 */


#ifndef _NGX_HTTP_IDPAY_COLLECT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_COLLECT_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/*
 * Tells whether the answer whose header an attempt has is to be collected: an
 * error, where errors are normalized, or what may be one by its body.
 */
ngx_uint_t ngx_http_idpay_collect_test(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx);

/* Begins with it, in place of sending the header. */

void ngx_http_idpay_collect_start(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx);

/*
 * An output filter of the upstream module for the caller's request "data".
 * What is too long to be collected and may be no error passes from then on.
 */
ngx_int_t ngx_http_idpay_collect_body(void *data, ngx_chain_t *in);

/*
 * Answers the caller when the attempt has ended.  Returns what a content
 * handler may return.
 */
ngx_int_t ngx_http_idpay_collect_answer(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_COLLECT_H_INCLUDED_ */
