
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is known of each provider's API, as tables.  A provider is one file of
 * tables beside this one and one line in the registry.
 */


#ifndef _NGX_HTTP_IDPAY_PROVIDER_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PROVIDER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "provider/ngx_http_idpay_error.h"
#include "provider/ngx_http_idpay_grant.h"


#define NGX_HTTP_IDPAY_MAX_SECRETS  2


typedef enum {
    NGX_HTTP_IDPAY_FIELD_SECRET = 0,     /* NAME: secret */
    NGX_HTTP_IDPAY_FIELD_LITERAL,        /* NAME: text */
    NGX_HTTP_IDPAY_FIELD_BEARER,         /* Authorization: Bearer secret */
    NGX_HTTP_IDPAY_FIELD_BASIC,          /* Authorization: Basic of both */
    NGX_HTTP_IDPAY_FIELD_ARGUMENT,       /* ?NAME=secret */
    NGX_HTTP_IDPAY_FIELD_TOKEN           /* Authorization: Bearer token */
} ngx_http_idpay_field_e;


typedef struct {
    ngx_http_idpay_field_e    type;
    ngx_str_t                 name;      /* header field or argument */
    ngx_str_t                 text;      /* LITERAL only */
    ngx_uint_t                secret;    /* index in the scheme's secrets,
                                            BASIC and TOKEN use this and the
                                            next */
} ngx_http_idpay_field_t;


typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 prefix;    /* every value begins with it */
} ngx_http_idpay_secret_spec_t;


/* how a credential is made of secrets, and where it stands in a request */

typedef struct {
    ngx_uint_t                     nsecrets;
    ngx_http_idpay_secret_spec_t   secrets[NGX_HTTP_IDPAY_MAX_SECRETS];
    ngx_uint_t                     nfields;
    ngx_http_idpay_field_t         fields[NGX_HTTP_IDPAY_MAX_SECRETS + 1];
    const ngx_http_idpay_grants_t *grants;    /* of a TOKEN, or NULL */
} ngx_http_idpay_scheme_t;


/* a call that is replay-safe if a member of its JSON body is true */

typedef struct {
    ngx_uint_t                method;
    ngx_str_t                 path;
    ngx_str_t                 member;    /* empty: there is no such call */
} ngx_http_idpay_idempotent_t;


/*
 * Lists of names end with an empty string, NULL is an empty list.  What a
 * scheme injects is removed from a caller's request without being listed.
 */

typedef struct {
    ngx_str_t                        name;
    const ngx_http_idpay_scheme_t   *scheme;       /* NULL: by "idpay_auth" */
    const ngx_str_t                 *drop_headers; /* "name" or "prefix*" */
    const ngx_str_t                 *drop_args;
    const ngx_str_t                 *refuse_members;
                                         /* of a JSON body's top level */
    const ngx_str_t                 *paths;        /* the only prefixes */
    ngx_uint_t                       methods;      /* the only ones, 0: any */
    ngx_str_t                        allow;        /* the same, for "Allow" */
    const ngx_http_idpay_errors_t   *errors;
    const ngx_str_t                 *settings;     /* directives, as in a
                                         configuration, where it has none */
    ngx_http_idpay_idempotent_t      idempotent;
    ngx_uint_t                       never_4xx;    /* not even a 429 is
                                                      repeated */
} ngx_http_idpay_preset_t;


/*
 * Finds a preset by its name.  Returns NULL where there is none.
 */
const ngx_http_idpay_preset_t *ngx_http_idpay_provider_find(ngx_str_t *name);

/*
 * Names of all presets, or of those whose providers ask people for consent, for
 * error messages: allocated from the pool, separated by ", ".  Returns an empty
 * string if there is no memory.
 */
ngx_str_t ngx_http_idpay_provider_names(ngx_pool_t *pool, ngx_uint_t consents);

/* Tells whether tokens of a scheme, or NULL, need people's consent. */

ngx_uint_t ngx_http_idpay_provider_consents(
    const ngx_http_idpay_scheme_t *scheme);


extern const ngx_http_idpay_preset_t  ngx_http_idpay_generic;
extern const ngx_http_idpay_preset_t  ngx_http_idpay_gopay;
extern const ngx_http_idpay_preset_t  ngx_http_idpay_passportreader;
extern const ngx_http_idpay_preset_t  ngx_http_idpay_plaid;
extern const ngx_http_idpay_preset_t  ngx_http_idpay_plasmapay;
extern const ngx_http_idpay_preset_t  ngx_http_idpay_plusid;


#endif /* _NGX_HTTP_IDPAY_PROVIDER_H_INCLUDED_ */
