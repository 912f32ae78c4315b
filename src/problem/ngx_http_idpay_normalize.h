
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Makes a problem of what a provider has answered, whatever it is, by tables.
 */


#ifndef _NGX_HTTP_IDPAY_NORMALIZE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_NORMALIZE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "problem/ngx_http_idpay_problem.h"


/* a provider's answer; all of it is only read */

typedef struct {
    ngx_uint_t    status;        /* HTTP */
    ngx_list_t   *headers;       /* of ngx_table_elt_t, or NULL */
    ngx_str_t     body;          /* as much as was read of it */
    ngx_uint_t    safe;          /* the call may be made twice */
} ngx_http_idpay_reply_t;


/*
 * Tells whether an answer with such a status may be an error by its body:
 * whether the tables have a source of the status for 2xx.
 */
ngx_uint_t ngx_http_idpay_normalize_success(
    const ngx_http_idpay_errors_t *errors, ngx_uint_t status);

/*
 * Fills a problem in.  What it has of the provider's texts is as the provider
 * has sent it, secrets too, in writable memory of the pool.  A body that is not
 * JSON says nothing.  Returns NGX_OK, NGX_DECLINED if the answer is no error,
 * or NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_normalize(ngx_pool_t *pool,
    const ngx_http_idpay_errors_t *errors, ngx_http_idpay_reply_t *reply,
    ngx_http_idpay_problem_t *problem);


#endif /* _NGX_HTTP_IDPAY_NORMALIZE_H_INCLUDED_ */
