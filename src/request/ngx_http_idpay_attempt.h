
/*
 * Copyright (C) 2026 idpay contributors
 *
 * One call to the provider: a clone subrequest that nginx's proxy module runs.
 */


#ifndef _NGX_HTTP_IDPAY_ATTEMPT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ATTEMPT_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/*
 * Creates an attempt with ctx->credential.  It begins to run when this event's
 * handler is done, and posts the caller's request when it has ended: then
 * ctx->attempt is NULL again, and ctx->rc is what the upstream module ended
 * with, NGX_OK or an HTTP status.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_attempt_start(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/*
 * Ends the attempt under way, as if the provider had not answered in time if it
 * has not answered.  The caller's request is posted as above.
 */
void ngx_http_idpay_attempt_abort(ngx_http_idpay_ctx_t *ctx);

/*
 * The peer.init of each provider's upstream.  It lets attempts through and
 * nothing else: a connection to a provider is never shared with a handler that
 * has not verified it.  The request is written by now and not yet sent; the
 * credential is put in here, so that no variable, no log and no filter of
 * nginx ever sees it.
 */
ngx_int_t ngx_http_idpay_attempt_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *uscf);

/* Overwrites secrets in the values of headers, in place. */

void ngx_http_idpay_filter_headers(ngx_http_idpay_redact_t *redact,
    ngx_list_t *headers);

/*
 * An output filter of the upstream module that drops what comes.  Returns
 * NGX_OK.
 */
ngx_int_t ngx_http_idpay_filter_discard(void *data, ngx_chain_t *in);

/* installs the header and body filters; NGX_OK */

ngx_int_t ngx_http_idpay_filter_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_IDPAY_ATTEMPT_H_INCLUDED_ */
