
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What a provider's errors look like and what they mean, as tables.
 */


#ifndef _NGX_HTTP_IDPAY_ERROR_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ERROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* what a call has failed of, whoever the provider is */

typedef enum {
    NGX_HTTP_IDPAY_INVALID_REQUEST = 0,
    NGX_HTTP_IDPAY_VALIDATION_FAILED,
    NGX_HTTP_IDPAY_REQUEST_FAILED,
    NGX_HTTP_IDPAY_PERMISSION_DENIED,
    NGX_HTTP_IDPAY_CONSENT_REQUIRED,
    NGX_HTTP_IDPAY_NOT_FOUND,
    NGX_HTTP_IDPAY_CONFLICT,
    NGX_HTTP_IDPAY_RATE_LIMITED,
    NGX_HTTP_IDPAY_REQUEST_REJECTED,
    NGX_HTTP_IDPAY_CREDENTIAL_REJECTED,
    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE,
    NGX_HTTP_IDPAY_PROVIDER_ERROR,
    NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE,
    NGX_HTTP_IDPAY_PROVIDER_TIMEOUT,
    NGX_HTTP_IDPAY_GATEWAY_ERROR
} ngx_http_idpay_code_e;


/* what is read from an error */

typedef enum {
    NGX_HTTP_IDPAY_ERROR_CODE = 0,
    NGX_HTTP_IDPAY_ERROR_TYPE,
    NGX_HTTP_IDPAY_ERROR_MESSAGE,
    NGX_HTTP_IDPAY_ERROR_REQUEST_ID,

    /*
     * The status that the body tells.  It makes an error of an answer 2xx if
     * it is from 400 to 599 and the body has no RESULT.
     */

    NGX_HTTP_IDPAY_ERROR_STATUS,
    NGX_HTTP_IDPAY_ERROR_RESULT,

    /* an array with one element for each error, and what is in an element */

    NGX_HTTP_IDPAY_ERROR_ERRORS,
    NGX_HTTP_IDPAY_ERROR_FIELD,
    NGX_HTTP_IDPAY_ERROR_FIELD_CODE,
    NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE
} ngx_http_idpay_error_member_e;


/*
 * Where one of these stands: a JSON Pointer (RFC 6901) into the body, those of
 * an element into the element.  A source that does not begin with a slash is
 * the name of a header.  Of several for the same the first one counts that
 * leads to something.  A list ends with an empty source.
 */

typedef struct {
    ngx_http_idpay_error_member_e   member;
    ngx_str_t                       source;
} ngx_http_idpay_error_field_t;


typedef enum {
    NGX_HTTP_IDPAY_MATCH_CODE = 0,       /* the provider's */
    NGX_HTTP_IDPAY_MATCH_TYPE,           /* the provider's */
    NGX_HTTP_IDPAY_MATCH_STATUS          /* HTTP */
} ngx_http_idpay_match_e;


/*
 * What is known of an error says what it is.  All rules for a code are tried
 * before those for a type, and these before those for a status; of the same
 * kind the first one counts.  A list ends with an empty text.
 */

typedef struct {
    ngx_http_idpay_match_e          match;
    ngx_str_t                       text;  /* a "*" at its end is any rest;
                                              of a status "404" or "4xx" */
    ngx_http_idpay_code_e           code;
} ngx_http_idpay_error_rule_t;


typedef struct {
    const ngx_http_idpay_error_field_t  *fields;
    const ngx_http_idpay_error_rule_t   *rules;
} ngx_http_idpay_errors_t;


#endif /* _NGX_HTTP_IDPAY_ERROR_H_INCLUDED_ */
