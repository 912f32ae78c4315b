
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What can be seen of a call before it is sent: its method, its path, its
 * body.
 */


#ifndef _NGX_HTTP_IDPAY_CALL_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CALL_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/*
 * Looks at method and path, before the body is read; sets ctx->path, ctx->rule
 * and ctx->safe.  Returns NGX_DECLINED if there is nothing against the call,
 * or what a content handler returns that has answered.
 */
ngx_int_t ngx_http_idpay_call_path(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/*
 * Looks at the body, when it is read; may set ctx->safe.  Returns as above.
 */
ngx_int_t ngx_http_idpay_call_test(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_CALL_H_INCLUDED_ */
