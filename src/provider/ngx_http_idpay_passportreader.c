
/*
 * Copyright (C) 2026 idpay contributors
 *
 * PassportReader session API v1: a key pair with Basic authentication, every
 * call is a POST.  The prefixes are parts of the values; they also tell a
 * public key and a secret that were swapped.
 */


#include "provider/ngx_http_idpay_provider.h"


static const ngx_http_idpay_scheme_t  ngx_http_idpay_passportreader_scheme = {
    2,
    { { ngx_string("public_key"), ngx_string("public-key-") },
      { ngx_string("secret"), ngx_string("secret-") } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_BASIC, ngx_string("Authorization"),
        ngx_null_string, 0 } },
    NULL
};


/* these may stand for another method */

static const ngx_str_t  ngx_http_idpay_passportreader_drop_headers[] = {
    ngx_string("x-http-method*"),
    ngx_string("x-method-override"),
    ngx_null_string
};


/*
 * The provider's own rule, session.create not excepted: whatever is not 4xx
 * may be retried, up to 4 times, after 2, 4, 8 and 16 seconds.  Its reference
 * has the calls under both prefixes.
 */

static const ngx_str_t  ngx_http_idpay_passportreader_settings[] = {
    ngx_string("idpay_retry tries=5 base=2s factor=2 max=16s"),
    ngx_string("idpay_replay_safe POST /api/v1/session.get"),
    ngx_string("idpay_replay_safe POST /api/v1/session.list"),
    ngx_string("idpay_replay_safe POST /api/v1/session.state"),
    ngx_string("idpay_replay_safe POST /api/v1/session.create"),
    ngx_string("idpay_replay_safe POST /api/session.get"),
    ngx_string("idpay_replay_safe POST /api/session.list"),
    ngx_string("idpay_replay_safe POST /api/session.state"),
    ngx_string("idpay_replay_safe POST /api/session.create"),
    ngx_null_string
};


static const ngx_http_idpay_error_field_t
    ngx_http_idpay_passportreader_fields[] =
{
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error_name") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error_message") },
    { 0, ngx_null_string }
};


static const ngx_http_idpay_error_rule_t
    ngx_http_idpay_passportreader_rules[] =
{
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_passportreader_errors = {
    ngx_http_idpay_passportreader_fields,
    ngx_http_idpay_passportreader_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_passportreader = {
    ngx_string("passportreader"),
    &ngx_http_idpay_passportreader_scheme,
    ngx_http_idpay_passportreader_drop_headers,
    NULL,                                  /* drop arguments */
    NULL,                                  /* refuse members */
    NULL,                                  /* paths */
    NGX_HTTP_POST,                         /* methods */
    ngx_string("POST"),
    &ngx_http_idpay_passportreader_errors,
    ngx_http_idpay_passportreader_settings,
    { 0, ngx_null_string, ngx_null_string },
    1                                      /* never 4xx */
};
