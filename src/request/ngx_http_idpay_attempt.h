
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


#endif /* _NGX_HTTP_IDPAY_ATTEMPT_H_INCLUDED_ */
