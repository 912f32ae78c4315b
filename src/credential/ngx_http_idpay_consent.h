
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A person's consent: its code becomes a pair of tokens, and its tokens are
 * revoked.  Both belong to the worker and to no request: who wanted it may have
 * gone meanwhile.
 */


#ifndef _NGX_HTTP_IDPAY_CONSENT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CONSENT_H_INCLUDED_


#include "ngx_http_idpay.h"


/*
 * What became of it.  The texts are valid until the handler returns.
 *
 *   NONE: it is done;
 *   ABSENT: there is no consent that could be revoked;
 *   GONE: the provider has refused the code;
 *   CLIENT: it refuses the gateway's secrets;
 *   FAILED: it has not answered well, or a token is being got just now;
 *   STORE: the store cannot be used.
 */

typedef struct {
    ngx_http_idpay_cause_e   cause;
    ngx_str_t                profile;  /* of a code: set with NONE alone */
    ngx_uint_t               status;   /* the provider's, or 0 */
    ngx_str_t                error;    /* the provider's code, or empty, see
                                          ngx_http_idpay_oauth.h */
    ngx_msec_t               retry;    /* ms, or 0: nothing is known */
    unsigned                 doubt:1;  /* the provider may have done it */
} ngx_http_idpay_consent_result_t;


typedef void (*ngx_http_idpay_consent_handler_pt)(void *data,
    ngx_http_idpay_consent_result_t *result);

typedef struct ngx_http_idpay_consent_s  ngx_http_idpay_consent_t;


/*
 * Exchanges a code, visible ASCII of up to NGX_HTTP_IDPAY_MAX_TOKEN bytes that
 * is copied, for a pair of tokens, which is saved and published.  The handler
 * is called once, never before this returns.  Returns what
 * ngx_http_idpay_consent_leave() takes until then, or NULL: nothing was begun.
 */
ngx_http_idpay_consent_t *ngx_http_idpay_consent_exchange(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_str_t *code,
    ngx_http_idpay_consent_handler_pt handler, void *data);

/*
 * Revokes the consent of a profile at the provider and forgets it.  Nothing is
 * forgotten unless the provider says that it is revoked, or that it does not
 * know it.  The rest is as above.
 */
ngx_http_idpay_consent_t *ngx_http_idpay_consent_revoke(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_str_t *profile,
    ngx_http_idpay_consent_handler_pt handler, void *data);

/* From now on nobody waits for the result: the handler is not called. */

void ngx_http_idpay_consent_leave(ngx_http_idpay_consent_t *ct);


#endif /* _NGX_HTTP_IDPAY_CONSENT_H_INCLUDED_ */
