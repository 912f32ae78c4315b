
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Which calls may be made a second time.  Pure functions of their arguments.
 */


#ifndef _NGX_HTTP_IDPAY_REPLAY_H_INCLUDED_
#define _NGX_HTTP_IDPAY_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* a call that is known to do no more when it is made twice */

typedef struct {
    ngx_uint_t    method;      /* NGX_HTTP_GET and so on, 0: any */
    ngx_str_t     path;        /* without the "*" */
    unsigned      rest:1;      /* any rest may follow */
} ngx_http_idpay_replay_rule_t;


/* how an attempt has ended */

typedef enum {
    NGX_HTTP_IDPAY_NOT_SENT = 0,       /* no connection was made */
    NGX_HTTP_IDPAY_NO_ANSWER,          /* closed, reset, or no HTTP */
    NGX_HTTP_IDPAY_TIMED_OUT,          /* after bytes were sent */
    NGX_HTTP_IDPAY_ANSWERED            /* with a status */
} ngx_http_idpay_end_e;


/*
 * Tells whether a call is replay-safe by its method (RFC 9110 9.2.2: GET,
 * HEAD, OPTIONS, PUT and DELETE) or by a rule.  "rules" may be NULL, an array
 * of ngx_http_idpay_replay_rule_t; "path" is as it is sent, without
 * arguments.  A rest that can be read in more than one way (with a "%", a
 * backslash, an empty or a dot segment) is none.
 */
ngx_uint_t ngx_http_idpay_replay_safe(ngx_array_t *rules, ngx_uint_t method,
    ngx_str_t *path);

/*
 * Tells whether an attempt that ended so may be followed by another one:
 * always if nothing was sent or the status is 429; if it is 5xx (but 501 and
 * 505), or there was no answer, if the call is replay-safe; else never.
 */
ngx_uint_t ngx_http_idpay_replay_allowed(ngx_http_idpay_end_e end,
    ngx_uint_t status, ngx_uint_t safe);

/*
 * Tells whether it may be that the provider has acted, though the caller is
 * told of a failure: bytes of a call that is not replay-safe were sent, and
 * there was no answer or a 5xx.  A status above that is one too (RFC 9110 15).
 */
ngx_uint_t ngx_http_idpay_replay_unknown(ngx_http_idpay_end_e end,
    ngx_uint_t status, ngx_uint_t safe);


#endif /* _NGX_HTTP_IDPAY_REPLAY_H_INCLUDED_ */
