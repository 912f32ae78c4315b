
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The way of one call: admission, credential, attempt, verdict.
 */


#ifndef _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_


#include "ngx_http_idpay.h"
#include "problem/ngx_http_idpay_problem.h"


typedef enum {
    NGX_HTTP_IDPAY_ADMIT = 0,
    NGX_HTTP_IDPAY_CREDENTIAL,
    NGX_HTTP_IDPAY_ATTEMPT,
    NGX_HTTP_IDPAY_VERDICT
} ngx_http_idpay_state_e;


/*
 * One call.  It is the module's context of the caller's request and of each of
 * its attempts.
 */

typedef struct {
    ngx_http_request_t              *request;    /* the caller's */
    ngx_http_request_t              *attempt;    /* under way, or NULL */

    ngx_http_idpay_loc_conf_t       *ilcf;
    ngx_http_idpay_upstream_conf_t  *iucf;
    ngx_http_idpay_credential_t     *credential;

    ngx_http_idpay_state_e           state;

    ngx_uint_t                       states;     /* of upstreams, before */
    ngx_int_t                        rc;         /* of the last attempt */

    ngx_int_t                      (*input_filter_init)(void *data);
                                                 /* the proxy module's */

    /* the last bytes of an error's body that may begin a secret */

    u_char                          *held;
    size_t                           held_len;
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;

    unsigned                         passed:1;   /* the header went on */
    unsigned                         complete:1; /* the whole body came */
    unsigned                         redact:1;   /* the body is an error's */
    unsigned                         withhold:1; /* and cannot be read */
} ngx_http_idpay_ctx_t;


/*
 * Goes on with a call whose body is read: the handler given to
 * ngx_http_read_client_request_body(), whose reference it takes over.
 */
void ngx_http_idpay_exchange_start(ngx_http_request_t *r);

/*
 * Tests what can be seen of a call before its body: its method and its path.
 * Returns NGX_DECLINED if there is nothing against it, or what a
 * content handler returns that has answered.
 */
ngx_int_t ngx_http_idpay_exchange_test(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);


#endif /* _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_ */
