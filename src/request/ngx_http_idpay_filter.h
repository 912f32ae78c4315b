
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The header and body filters, through which an attempt's answer becomes the
 * caller's.
 */


#ifndef _NGX_HTTP_IDPAY_FILTER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_FILTER_H_INCLUDED_


#include "request/ngx_http_idpay_exchange.h"


/*
 * Sends the header of an attempt's answer to the caller, as it is but for
 * secrets in a redirect or an error.  Returns what ngx_http_send_header() does.
 */
ngx_int_t ngx_http_idpay_filter_pass(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx);

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


#endif /* _NGX_HTTP_IDPAY_FILTER_H_INCLUDED_ */
