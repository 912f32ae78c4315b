
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A failed call as a problem document (RFC 9457).
 */


#ifndef _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_IDPAY_REQUEST_REJECTED = 0,
    NGX_HTTP_IDPAY_RATE_LIMITED,
    NGX_HTTP_IDPAY_PROVIDER_ERROR,
    NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE,
    NGX_HTTP_IDPAY_PROVIDER_TIMEOUT,
    NGX_HTTP_IDPAY_GATEWAY_ERROR
} ngx_http_idpay_code_e;


typedef struct {
    ngx_http_idpay_code_e    code;
    ngx_uint_t               status;       /* HTTP */
    ngx_str_t                detail;
    ngx_str_t                provider;
    ngx_str_t                request_id;
    ngx_uint_t               attempts;
    ngx_uint_t               retry_after;  /* seconds, 0: not known */
    unsigned                 retryable:1;
    unsigned                 unknown:1;    /* the provider may have acted */
} ngx_http_idpay_problem_t;


/*
 * Sets the code, and the status that belongs to it.  The rest is zeroed.
 */
void ngx_http_idpay_problem_init(ngx_http_idpay_problem_t *problem,
    ngx_http_idpay_code_e code);

/* Returns the name of a code, static. */

const ngx_str_t *ngx_http_idpay_problem_name(ngx_http_idpay_code_e code);

/*
 * Writes the document into a buffer from the pool.  Returns NULL if there is
 * no memory.
 */
ngx_buf_t *ngx_http_idpay_problem_create(ngx_pool_t *pool,
    ngx_http_idpay_problem_t *problem);


#endif /* _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_ */
