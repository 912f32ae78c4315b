
/*
 * Copyright (C) 2026 idpay contributors
 *
 * With which credential an attempt is made, and what it means that the provider
 * refuses it.
 */


#ifndef _NGX_HTTP_IDPAY_AUTHORIZE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_AUTHORIZE_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/*
 * Finds which token a call needs, by ctx->path; of a provider without tokens
 * it needs none.  Returns NGX_OK, or NGX_DECLINED if the provider has no such
 * call.
 */
ngx_int_t ngx_http_idpay_authorize_path(ngx_http_idpay_ctx_t *ctx);

/*
 * Sets ctx->credential for the next attempt.  Returns
 *   NGX_DECLINED: it can begin;
 *   NGX_AGAIN: the call waits for a token, ngx_http_idpay_exchange_resume() is
 *       called when this is to be asked again;
 *   what a content handler returns, if there is no credential to be had: a
 *       problem has been sent.
 */
ngx_int_t ngx_http_idpay_authorize(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/* Ends the waiting of a call, if it waits. */

void ngx_http_idpay_authorize_leave(ngx_http_idpay_ctx_t *ctx);

/* Answers a call for which no token was there in time.  Returns as above. */

ngx_int_t ngx_http_idpay_authorize_late(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/*
 * Tells whether an answer of that status is a reason for another attempt with
 * another token, and sets ctx->refused.
 */
ngx_uint_t ngx_http_idpay_authorize_again(ngx_http_idpay_ctx_t *ctx,
    ngx_uint_t status);

/*
 * Tells whether an answer of that status means that a person has not given
 * consent: what he could have allowed was asked for with the application's
 * token.
 */
ngx_uint_t ngx_http_idpay_authorize_absent(ngx_http_idpay_ctx_t *ctx,
    ngx_uint_t status);

/*
 * Sets ctx->secrets: all that the provider has got with the call's attempts so
 * far.  Returns NGX_OK or NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_authorize_secrets(ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_AUTHORIZE_H_INCLUDED_ */
