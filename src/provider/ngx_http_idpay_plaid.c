
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
        ngx_string("2020-09-14"), 0 } }
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


const ngx_http_idpay_preset_t  ngx_http_idpay_plaid = {
    ngx_string("plaid"),
    &ngx_http_idpay_plaid_scheme,
    ngx_http_idpay_plaid_drop_headers,
    NULL,                                  /* drop arguments */
    ngx_http_idpay_plaid_refuse_members,
    ngx_http_idpay_plaid_paths,
    0,                                     /* methods */
    ngx_null_string,
    ngx_http_idpay_plaid_settings,
    { NGX_HTTP_POST, ngx_string("/identity_verification/create"),
      ngx_string("is_idempotent") },
    0                                      /* never 4xx */
};
