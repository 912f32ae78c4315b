
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is said to a token endpoint and what its answers mean.  No request, no
 * clock, no memory that is kept.
 */


#ifndef _NGX_HTTP_IDPAY_OAUTH_H_INCLUDED_
#define _NGX_HTTP_IDPAY_OAUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_store.h"
#include "provider/ngx_http_idpay_grant.h"


/* a token lives at least and at most this long, s, whatever is said of it */

#define NGX_HTTP_IDPAY_MIN_LIFE   60
#define NGX_HTTP_IDPAY_MAX_LIFE   (7 * 24 * 3600)


typedef enum {
    NGX_HTTP_IDPAY_OAUTH_GRANTED = 0,
    NGX_HTTP_IDPAY_OAUTH_GONE,      /* the grant is not good (any more): the
                                       code or the refresh token was refused */
    NGX_HTTP_IDPAY_OAUTH_CLIENT,    /* the client is not known by these
                                       secrets, or may not do this */
    NGX_HTTP_IDPAY_OAUTH_BUSY,      /* not now, nothing has been spent: 429,
                                       503 */
    NGX_HTTP_IDPAY_OAUTH_FAILED     /* it may have been spent: 5xx, an answer
                                       that cannot be read */
} ngx_http_idpay_oauth_result_e;


/* the texts are in the parsed answer's copy, see below */

typedef struct {
    ngx_http_idpay_oauth_result_e   result;
    ngx_str_t                       access;
    ngx_str_t                       refresh;
    ngx_str_t                       profile;    /* digits */
    time_t                          life;       /* s, from now on */
    ngx_str_t                       error;      /* a code of RFC 6749 5.2 or
                                                   like it: [A-Za-z0-9_.-], 64
                                                   characters at most */
} ngx_http_idpay_oauth_answer_t;


/*
 * Writes the form of a token request: what is of the grant ("grant_type", then
 * "code" or "refresh_token" with "value", nothing where it is NULL), the
 * client's pair where it belongs into the form, and grant->form.  "type" is
 * "client_credentials", "authorization_code" or "refresh_token".  Every value
 * is percent-encoded.
 *
 * Returns the length, and writes only if "p" is not NULL.
 */
size_t ngx_http_idpay_oauth_form(u_char *p,
    const ngx_http_idpay_grant_t *grant, ngx_str_t *secrets,
    const char *type, ngx_str_t *value);

/* The same for the revocation of a refresh token (RFC 7009, "token"). */

size_t ngx_http_idpay_oauth_revoke_form(u_char *p, ngx_str_t *secrets,
    ngx_str_t *value);

/*
 * Reads the answer to a token request at "now", s since 1970.  "began" is when
 * the request was made, s: "expires_in" counts from there.  The life is what
 * "expires_in" says, else what the "exp" of an access token that is a JWT says
 * (RFC 7519 4.1.4; base64url without padding, fractions), else grant->life; all
 * within NGX_HTTP_IDPAY_MIN_LIFE and NGX_HTTP_IDPAY_MAX_LIFE.
 *
 * "spends" is set where the request has a code or a refresh token, which can be
 * gone; without it, no result is GONE.
 *
 * A 2xx is GRANTED only if there is an access token, and a refresh token where
 * grant->refresh has a name and "spends" is set, and a profile where
 * grant->profile has one: it is FAILED else.  A token longer than
 * NGX_HTTP_IDPAY_MAX_TOKEN, or with bytes beside visible ASCII, is none.  A
 * "token_type" that is not "bearer", in any case, is FAILED.
 *
 * Where the result is GRANTED there is no error; else there is nothing but the
 * error, if that.  A 4xx is GONE or CLIENT only by its code, or if its status
 * says something of the request: 400, 401, 403 with a code, 409, 422.
 *
 * "buf" has room for body->len bytes: the texts of the answer are copied there.
 * The caller wipes it.  The body is only read.
 */
void ngx_http_idpay_oauth_parse(const ngx_http_idpay_grant_t *grant,
    ngx_uint_t spends, ngx_uint_t status, ngx_str_t *body, int64_t began,
    int64_t now, u_char *buf, ngx_http_idpay_oauth_answer_t *answer);

/*
 * Finds "exp" in a JWT, whose signature is not tested: s since 1970, rounded
 * down.  Returns NGX_OK, or NGX_DECLINED if the token is no JWT or has none
 * that is a number, which may be in quotes.  A number that is greater than 2^53
 * is that.
 */
ngx_int_t ngx_http_idpay_oauth_exp(ngx_str_t *token, int64_t *exp);


#endif /* _NGX_HTTP_IDPAY_OAUTH_H_INCLUDED_ */
