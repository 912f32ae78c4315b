
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What an answer says about when to come again.  Pure functions of their
 * arguments; texts are read only and need not be NUL-terminated.
 */


#ifndef _NGX_HTTP_IDPAY_RETRY_AFTER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_RETRY_AFTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* what is longer is taken for that, ms */

#define NGX_HTTP_IDPAY_MAX_PAUSE  3600000

/* fields of that length at most are read, bytes */

#define NGX_HTTP_IDPAY_MAX_FIELD  1024


/*
 * A Retry-After field (RFC 9110 10.2.3): seconds, or a date in each of the
 * three forms of RFC 9110 5.6.7, whose two-digit years are never more than 50
 * years ahead.  "now" is ms since the epoch.
 *
 * Returns ms from now on, 0 for a date that has passed, at most
 * NGX_HTTP_IDPAY_MAX_PAUSE, or NGX_ERROR if the field is malformed.
 */
ngx_int_t ngx_http_idpay_retry_after(u_char *text, size_t len, int64_t now);

/*
 * What is left of a quota.  Of several windows the strictest counts: the one
 * that allows the lowest rate, and of those that have nothing left the one
 * that lasts longest.
 */

typedef struct {
    ngx_uint_t   remaining;    /* calls */
    ngx_msec_t   reset;        /* ms from now on, 1 .. MAX_PAUSE */
    unsigned     valid:1;
} ngx_http_idpay_quota_t;

/*
 * The fields of an answer, each a NULL "data" where there is none.  "limit"
 * and the like are those with the prefix "X-RateLimit-", "X-Rate-Limit-" or
 * "RateLimit-" alike.
 */

typedef struct {
    ngx_str_t    ratelimit;    /* RateLimit */
    ngx_str_t    policy;       /* RateLimit-Policy */
    ngx_str_t    limit;        /* RateLimit-Limit */
    ngx_str_t    remaining;    /* RateLimit-Remaining */
    ngx_str_t    reset;        /* RateLimit-Reset: seconds, or a time in
                                  seconds or ms since the epoch */
} ngx_http_idpay_quota_fields_t;

/*
 * Reads what an answer says of quotas (draft-ietf-httpapi-ratelimit-headers:
 * "RateLimit" of drafts 8 and later, a list of items with the parameters r and
 * t, a missing t being the w of the policy with the same name; and of drafts 7:
 * "limit=, remaining=, reset="; and the single fields of drafts up to 6, whose
 * limit may have a list of windows behind the first number).  Malformed fields
 * are ignored, absurd ones cut to the caps.  "now" is ms since the epoch.
 * Sets "quota", valid or not.
 */
void ngx_http_idpay_quota(ngx_http_idpay_quota_fields_t *fields, int64_t now,
    ngx_http_idpay_quota_t *quota);

/*
 * The "wait" preference of a Prefer field (RFC 7240 4.3), the first one that
 * is there.  Returns seconds, cut to NGX_HTTP_IDPAY_MAX_PAUSE / 1000, or
 * NGX_ERROR if there is none or it is malformed.
 */
ngx_int_t ngx_http_idpay_prefer_wait(u_char *text, size_t len);


#endif /* _NGX_HTTP_IDPAY_RETRY_AFTER_H_INCLUDED_ */
