
/*
 * Copyright (C) 2026 idpay contributors
 *
 * How a provider gives tokens, as tables.
 */


#ifndef _NGX_HTTP_IDPAY_GRANT_H_INCLUDED_
#define _NGX_HTTP_IDPAY_GRANT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* of every scheme with tokens the secrets are these two */

#define NGX_HTTP_IDPAY_CLIENT_ID      0
#define NGX_HTTP_IDPAY_CLIENT_SECRET  1


typedef enum {
    NGX_HTTP_IDPAY_CLIENT_BASIC = 0,    /* the plain pair, RFC 7617 */
    NGX_HTTP_IDPAY_CLIENT_BASIC_FORM,   /* each percent-encoded before, RFC
                                           6749 2.3.1 */
    NGX_HTTP_IDPAY_CLIENT_POST          /* client_id and client_secret in the
                                           form */
} ngx_http_idpay_client_auth_e;


/* one kind of token: how it is asked for, and what the answer looks like */

typedef struct {
    ngx_str_t                       url;      /* a path at the provider's own
                                                 servers, or "https://..." */
    ngx_uint_t                      post;     /* 0: GET, without a form */
    ngx_http_idpay_client_auth_e    auth;
    ngx_str_t                       form;     /* "a=b&c=d", encoded, beside
                                                 what is of the grant itself */

    /* names of members of the answer's top level, empty: there is none */

    ngx_str_t                       access;
    ngx_str_t                       refresh;
    ngx_str_t                       profile;
    ngx_str_t                       expires_in;

    time_t                          life;     /* s, where nothing tells */
} ngx_http_idpay_grant_t;


typedef enum {
    NGX_HTTP_IDPAY_TOKEN_APPLICATION = 0,
    NGX_HTTP_IDPAY_TOKEN_CLIENT,         /* of the path's profile */
    NGX_HTTP_IDPAY_TOKEN_EITHER          /* the client's if there is one */
} ngx_http_idpay_token_kind_e;


/*
 * Which token a call needs: "path" matches from its beginning, its "{}" stands
 * for a profile, 1 to 19 digits, and a "*" at the end for any rest.  The first
 * one that matches counts; a call that none matches is refused.
 */

typedef struct {
    ngx_str_t                       path;     /* empty: the end */
    ngx_http_idpay_token_kind_e     kind;
} ngx_http_idpay_token_route_t;


typedef struct {
    ngx_http_idpay_grant_t                application;
    ngx_http_idpay_grant_t                client;  /* url is empty: none */
    const ngx_http_idpay_token_route_t   *routes;  /* NULL: all calls have the
                                                      application's */
    ngx_str_t                             revoke;  /* path */
    ngx_str_t                             consent_url;
    ngx_str_t                             consent_args;
    ngx_uint_t                            refuses_403; /* a 403 may mean the
                                                      token, like a 401 */
} ngx_http_idpay_grants_t;


#endif /* _NGX_HTTP_IDPAY_GRANT_H_INCLUDED_ */
