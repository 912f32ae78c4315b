
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A failed call as a problem document (RFC 9457).
 */


#ifndef _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "provider/ngx_http_idpay_error.h"


/* what the document has of a provider's texts, bytes, and elements */

#define NGX_HTTP_IDPAY_MAX_MESSAGE  1024
#define NGX_HTTP_IDPAY_MAX_NAME     128
#define NGX_HTTP_IDPAY_MAX_ERRORS   32


/* an error of one field of the caller's request */

typedef struct {
    ngx_str_t                       field;
    ngx_str_t                       code;
    ngx_str_t                       message;
} ngx_http_idpay_field_error_t;


/*
 * The provider's texts may be any bytes of any length: the document has them
 * in valid UTF-8, and cut.
 */

typedef struct {
    ngx_http_idpay_code_e           code;
    ngx_uint_t                      status;       /* HTTP */
    ngx_str_t                       detail;       /* a sentence, static */
    ngx_str_t                       provider;
    ngx_str_t                       request_id;
    ngx_uint_t                      attempts;
    ngx_uint_t                      retry_after;  /* seconds, 0: not known */
    ngx_str_t                       consent_url;  /* or empty */

    /* what the provider has said, empty or 0 where it has not */

    ngx_uint_t                      provider_status;   /* HTTP */
    ngx_str_t                       message;
    ngx_str_t                       provider_code;
    ngx_str_t                       provider_type;
    ngx_str_t                       provider_request_id;
    ngx_http_idpay_field_error_t   *errors;
    ngx_uint_t                      nerrors;

    unsigned                        retryable:1;
    unsigned                        unknown:1;   /* it may have acted */
    unsigned                        own:1;       /* the gateway's own limit */
} ngx_http_idpay_problem_t;


/*
 * Sets the code, and what belongs to it: status, a detail, and whether the call
 * can be made again, "safe" telling whether it may be made twice.  The rest is
 * zeroed.
 */
void ngx_http_idpay_problem_init(ngx_http_idpay_problem_t *problem,
    ngx_http_idpay_code_e code, ngx_uint_t safe);

/* Returns the name of a code, static. */

const ngx_str_t *ngx_http_idpay_problem_name(ngx_http_idpay_code_e code);

/*
 * Finds the code of a name that a provider's error can be given: all but those
 * of what the gateway itself does.  Returns NGX_OK, or NGX_DECLINED and sets
 * "names" to "one of: " and all of them, static, which ends with a NUL.
 */
ngx_int_t ngx_http_idpay_problem_code(ngx_str_t *name,
    ngx_http_idpay_code_e *code, ngx_str_t *names);

/*
 * Writes the document into a buffer from the pool.  "detail" is the provider's
 * message if there is one and the problem is the caller's (status 4xx), else
 * the sentence.  Returns NULL if there is no memory.
 */
ngx_buf_t *ngx_http_idpay_problem_create(ngx_pool_t *pool,
    ngx_http_idpay_problem_t *problem);

/*
 * Writes a member of a JSON object if there is a text for it: "name", which is
 * all that stands before the text, and the text.  What is no UTF-8 (RFC 3629)
 * becomes U+FFFD, a byte of it each, and of a text of more than "max" bytes
 * there are whole characters and "..." behind them.  Returns the end.
 */
u_char *ngx_http_idpay_problem_member(u_char *p, char *name,
    const ngx_str_t *text, size_t max);

/* Returns the most bytes that it takes, with a name of up to 32. */

size_t ngx_http_idpay_problem_room(const ngx_str_t *text, size_t max);


#endif /* _NGX_HTTP_IDPAY_PROBLEM_H_INCLUDED_ */
