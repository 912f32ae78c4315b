
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The way of one call: admission, credential, attempt, verdict.
 */


#ifndef _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_


#include "ngx_http_idpay.h"
#include "credential/ngx_http_idpay_token.h"
#include "problem/ngx_http_idpay_problem.h"


typedef enum {
    NGX_HTTP_IDPAY_ADMIT = 0,
    NGX_HTTP_IDPAY_CREDENTIAL,
    NGX_HTTP_IDPAY_ATTEMPT,
    NGX_HTTP_IDPAY_VERDICT,
    NGX_HTTP_IDPAY_DELAY
} ngx_http_idpay_state_e;


/* what an attempt still has to wait for: its rule's turn, then the general */

typedef enum {
    NGX_HTTP_IDPAY_STAGE_RULE = 0,
    NGX_HTTP_IDPAY_STAGE_GENERAL,
    NGX_HTTP_IDPAY_STAGE_GO
} ngx_http_idpay_stage_e;


/*
 * One call.  It is the module's context of the caller's request and of each of
 * its attempts.  Times are ms of ngx_current_msec.
 */

typedef struct {
    ngx_http_request_t              *request;    /* the caller's */
    ngx_http_request_t              *attempt;    /* under way, or NULL */

    ngx_http_idpay_loc_conf_t       *ilcf;
    ngx_http_idpay_upstream_conf_t  *iucf;
    ngx_http_idpay_credential_t     *credential;

    /* where that is a token: which one, and the last one that was used */

    ngx_http_idpay_token_kind_e      kind;
    ngx_str_t                        profile;    /* empty: the application's */
    ngx_http_idpay_token_t           token;
    ngx_http_idpay_token_wait_t      token_wait;
    uint64_t                         refused;    /* generation, or 0 */

    /* what must not come back, and the tokens in there: all that were used */

    ngx_http_idpay_redact_t         *secrets;
    ngx_array_t                     *tokens;     /* ngx_str_t, or NULL */

    ngx_str_t                        path;       /* as it is sent */
    ngx_http_idpay_limit_t          *rule;       /* that it is under */

    ngx_http_idpay_state_e           state;
    ngx_http_idpay_stage_e           stage;

    ngx_event_t                      timer;      /* of the state */
    ngx_msec_t                       deadline;
    ngx_msec_t                       started;    /* the last attempt */
    ngx_msec_t                       due;        /* the next one, or the end
                                                    of its waiting for it */
    ngx_msec_t                       parked;     /* since then */
    ngx_msec_t                       wait;       /* ms parked so far */
    ngx_msec_t                       retry_after; /* ms, 0: nothing known */

    struct ngx_http_idpay_queue_s   *queue;      /* parked in, or NULL */
    ngx_queue_t                      link;
    uint64_t                         ticket;     /* the last one got */
    ngx_uint_t                       probe;      /* of the breaker, or 0 */

    ngx_uint_t                       attempts;   /* begun */
    ngx_uint_t                       failovers;  /* without a delay */

    ngx_uint_t                       states;     /* of upstreams, before */
    ngx_int_t                        rc;         /* of the last attempt */
    ngx_uint_t                       status;     /* the provider's last one */
    const ngx_str_t                 *code;       /* of the problem, or NULL */

    /* the proxy module's */

    ngx_int_t                      (*input_filter_init)(void *data);
    ngx_int_t                      (*process_header)(ngx_http_request_t *sr);
    void                           (*finalize_request)(ngx_http_request_t *sr,
                                                       ngx_int_t rc);

    ngx_uint_t                       interim;    /* answers, 1xx */

    ngx_http_request_t              *answer;     /* attempt that is collected */
    ngx_buf_t                       *body;       /* of it, or NULL */

    /* the last bytes of an error's body that may begin a secret */

    u_char                          *held;
    size_t                           held_len;
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;

    unsigned                         safe:1;     /* may be made twice */
    unsigned                         shortened:1; /* deadline, by the caller */
    unsigned                         leased:1;   /* counted as in flight */
    unsigned                         placed:1;   /* the ticket is to be kept */
    unsigned                         again:1;    /* another attempt follows */
    unsigned                         discard:1;  /* the answer's body */
    unsigned                         collect:1;  /* it, and judge by it */
    unsigned                         lost:1;     /* it was too large */
    unsigned                         unknown:1;  /* it may have been applied */
    unsigned                         aborted:1;  /* the attempt, in time */
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

/* goes on with a parked call whose turn has come */

void ngx_http_idpay_exchange_resume(ngx_http_idpay_ctx_t *ctx);

#endif /* _NGX_HTTP_IDPAY_EXCHANGE_H_INCLUDED_ */
