
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Plaid identity verification, API version 2020-09-14: three headers on every
 * call.  The provider takes the two secrets from members of the JSON body as
 * well, and the same key opens every other product: only the paths of identity
 * verification are let through, and no header that may stand for another path.
 */


#include "provider/ngx_http_idpay_provider.h"


static const ngx_http_idpay_scheme_t  ngx_http_idpay_plaid_scheme = {
    2,
    { { ngx_string("client_id"), ngx_null_string },
      { ngx_string("secret"), ngx_null_string } },
    3,
    { { NGX_HTTP_IDPAY_FIELD_SECRET, ngx_string("PLAID-CLIENT-ID"),
        ngx_null_string, 0 },
      { NGX_HTTP_IDPAY_FIELD_SECRET, ngx_string("PLAID-SECRET"),
        ngx_null_string, 1 },
      { NGX_HTTP_IDPAY_FIELD_LITERAL, ngx_string("Plaid-Version"),
        ngx_string("2020-09-14"), 0 } },
    NULL
};


static const ngx_str_t  ngx_http_idpay_plaid_drop_headers[] = {
    ngx_string("plaid-*"),
    ngx_string("x-original-url"),
    ngx_string("x-rewrite-url"),
    ngx_null_string
};


static const ngx_str_t  ngx_http_idpay_plaid_refuse_members[] = {
    ngx_string("client_id"),
    ngx_string("secret"),
    ngx_null_string
};


static const ngx_str_t  ngx_http_idpay_plaid_paths[] = {
    ngx_string("/identity_verification/"),
    ngx_null_string
};


/* what the provider documents for production */

static const ngx_str_t  ngx_http_idpay_plaid_settings[] = {
    ngx_string("idpay_rate 120r/m path=/identity_verification/create"),
    ngx_string("idpay_rate 420r/m path=/identity_verification/get"),
    ngx_string("idpay_rate 300r/m path=/identity_verification/list"),
    ngx_string("idpay_rate 120r/m path=/identity_verification/retry"),
    ngx_string("idpay_replay_safe POST /identity_verification/get"),
    ngx_string("idpay_replay_safe POST /identity_verification/list"),
    ngx_null_string
};


static const ngx_http_idpay_error_field_t  ngx_http_idpay_plaid_fields[] = {
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error_code") },
    { NGX_HTTP_IDPAY_ERROR_TYPE, ngx_string("/error_type") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error_message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/display_message") },
    { NGX_HTTP_IDPAY_ERROR_REQUEST_ID, ngx_string("/request_id") },
    { NGX_HTTP_IDPAY_ERROR_REQUEST_ID, ngx_string("Plaid-Request-ID") },
    { 0, ngx_null_string }
};


/*
 * The provider never says 401: a wrong credential is a 400, so the code tells.
 * It may make several of one at any time, each with a status of its own: a code
 * and a type that are not here are what their status is.
 */

static const ngx_http_idpay_error_rule_t  ngx_http_idpay_plaid_rules[] = {
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("INVALID_API_KEYS"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("UNAUTHORIZED_ENVIRONMENT"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("UNAUTHORIZED_ROUTE_ACCESS"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("INVALID_PRODUCT"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("PLANNED_MAINTENANCE"),
      NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("NOT_FOUND"),
      NGX_HTTP_IDPAY_NOT_FOUND },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("NO_LONGER_AVAILABLE"),
      NGX_HTTP_IDPAY_NOT_FOUND },

    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("RATE_LIMIT_EXCEEDED"),
      NGX_HTTP_IDPAY_RATE_LIMITED },

    /* the person's data, not the key, is what a 403 is about here */

    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("USER_ERROR"),
      NGX_HTTP_IDPAY_INVALID_REQUEST },
    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("API_ERROR"),
      NGX_HTTP_IDPAY_PROVIDER_ERROR },
    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("INSTITUTION_ERROR"),
      NGX_HTTP_IDPAY_PROVIDER_ERROR },
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_plaid_errors = {
    ngx_http_idpay_plaid_fields,
    ngx_http_idpay_plaid_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_plaid = {
    ngx_string("plaid"),
    &ngx_http_idpay_plaid_scheme,
    ngx_http_idpay_plaid_drop_headers,
    NULL,                                  /* drop arguments */
    ngx_http_idpay_plaid_refuse_members,
    ngx_http_idpay_plaid_paths,
    0,                                     /* methods */
    ngx_null_string,
    &ngx_http_idpay_plaid_errors,
    ngx_http_idpay_plaid_settings,
    { NGX_HTTP_POST, ngx_string("/identity_verification/create"),
      ngx_string("is_idempotent") },
    0                                      /* never 4xx */
};
