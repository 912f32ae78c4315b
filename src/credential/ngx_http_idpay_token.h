
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Tokens that a provider gives: who has one, who waits for one, and who is the
 * only one to get a new one.
 */


#ifndef _NGX_HTTP_IDPAY_TOKEN_H_INCLUDED_
#define _NGX_HTTP_IDPAY_TOKEN_H_INCLUDED_


#include "ngx_http_idpay.h"


/*
 * How long one who gets a new token may take, ms.  It is longer than his call
 * and what he does in the store.
 */

#define NGX_HTTP_IDPAY_TOKEN_LEASE     20000

/* between two attempts that fail, ms: the first time, doubled, at most */

#define NGX_HTTP_IDPAY_TOKEN_RETRY     1000
#define NGX_HTTP_IDPAY_TOKEN_MAX_RETRY 60000

/* the same between two renewals whose tokens are refused at once, ms */

#define NGX_HTTP_IDPAY_TOKEN_HOLD      10000

/* how often a worker looks whether another one has got the token, ms */

#define NGX_HTTP_IDPAY_TOKEN_POLL      5


typedef void (*ngx_http_idpay_token_handler_pt)(void *data);


/* a call that waits; zeroed does not */

typedef struct {
    ngx_queue_t                        queue;
    ngx_http_idpay_upstream_conf_t    *iucf;
    ngx_str_t                          profile;
    ngx_uint_t                         changes;  /* of the entry, then */
    ngx_http_idpay_token_handler_pt    handler;  /* NULL: does not wait */
    void                              *data;
} ngx_http_idpay_token_wait_t;


/* what a call gets */

typedef struct {
    ngx_http_idpay_credential_t   credential;  /* headers only */
    ngx_str_t                     token;       /* a part of it */
    uint64_t                      generation;
    ngx_http_idpay_cause_e        cause;       /* where there is none */
    ngx_msec_t                    retry_after; /* ms, or 0 */
} ngx_http_idpay_token_t;


/*
 * Gets the token of a profile, or of the application where that is empty, for
 * one attempt.  "refused" is the generation that the provider has refused to
 * this call before, or 0: the token is of another one then.  It is allocated
 * from the pool and wiped with it.
 *
 * Where the token is to be renewed soon that is begun by the way.  Returns
 *   NGX_OK: here it is;
 *   NGX_AGAIN: one is being got, wait->handler is called when to ask again,
 *       never before this returns; "profile" is kept until then;
 *   NGX_DECLINED: there is none to be had now, token->cause says why;
 *   NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_idpay_token_get(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t refused, ngx_pool_t *pool,
    ngx_http_idpay_token_t *token, ngx_http_idpay_token_wait_t *wait);

/* Takes back a wait that has not been answered; others are left alone. */

void ngx_http_idpay_token_leave(ngx_http_idpay_token_wait_t *wait);

/*
 * Tells that the provider has refused a token that was got because it had
 * refused the one before.
 */
void ngx_http_idpay_token_refused(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation);


/*
 * Tells whether another attempt makes sense where the provider has refused the
 * token of a generation: there is a newer one, or one can be got now.
 */
ngx_uint_t ngx_http_idpay_token_again(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation);


/*
 * The functions below are for those who get tokens.  "owner" is of a lease; who
 * has lost his by now changes nothing, but for a newer token.
 */

/*
 * Takes the lease of a profile.  Returns NGX_OK and sets "owner", NGX_BUSY if
 * another one has it, or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_token_lease(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t *owner);

/*
 * Keeps a pair that is to be saved, so that another worker can do it if this
 * one is killed.  "owner" is 0 for that of a new consent: whoever has the lease
 * loses it.  Returns NGX_OK; NGX_DECLINED if the lease is lost and such a pair
 * is kept, which this one must not replace, here or in the store; or NGX_ERROR,
 * which is logged.
 */
ngx_int_t ngx_http_idpay_token_keep(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_store_token_t *pair);

/*
 * Publishes a pair that lives for "life" s and ends the lease.  Of what is to
 * be saved nothing is kept, unless "unsaved" is set.  Where the zone has no
 * room for it that is logged, and the lease ends as one does without a token.
 *
 * A pair of a new consent needs no lease: "owner" is 0, and whoever has the
 * lease loses it.  Where there is no store its generation is 0, and set here.
 */
void ngx_http_idpay_token_publish(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_store_token_t *pair,
    time_t life, ngx_uint_t unsaved);

/*
 * Ends the lease without a token: the next attempt is not before "retry" ms,
 * or before the back-off's time if that is longer.  "doubt": nobody can tell
 * whether the refresh token is spent.
 */
void ngx_http_idpay_token_fail(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, ngx_http_idpay_cause_e cause,
    ngx_msec_t retry, ngx_uint_t doubt);

/* Ends the lease with everything as it was. */

void ngx_http_idpay_token_release(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner);

/* Forgets a profile, unless it has a newer pair than that of "generation". */

void ngx_http_idpay_token_forget(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t generation);


#endif /* _NGX_HTTP_IDPAY_TOKEN_H_INCLUDED_ */
