
/*
 * Copyright (C) 2026 idpay contributors
 *
 * GoPay identification service: tokens of the application and of each person
 * who has given consent.  The reference shows no body of an error, so these are
 * the shapes of the provider's other APIs, payments v3 and v4, and of OAuth
 * (RFC 6749 4.1.2.1 and 5.2).
 */


#include "provider/ngx_http_idpay_provider.h"


/*
 * The document of a person can be had with either token, everything else of
 * one with his own.  All other calls have the application's.
 */

static const ngx_http_idpay_token_route_t  ngx_http_idpay_gopay_routes[] = {
    { ngx_string("/v1/client/client-profile/{}/identification-pdf"),
      NGX_HTTP_IDPAY_TOKEN_EITHER },
    { ngx_string("/v1/client/client-profile/{}/*"),
      NGX_HTTP_IDPAY_TOKEN_CLIENT },
    { ngx_string("/v1/client/*"), NGX_HTTP_IDPAY_TOKEN_APPLICATION },
    { ngx_null_string, 0 }
};


/* the life of an application's token is not documented, and may be in it */

static const ngx_http_idpay_grants_t  ngx_http_idpay_gopay_grants = {
    {
        ngx_string("/v1/auth/login/app"),
        0,
        NGX_HTTP_IDPAY_CLIENT_BASIC,
        ngx_null_string,
        ngx_string("accessToken"),
        ngx_null_string,
        ngx_null_string,
        ngx_null_string,
        1800
    },
    {
        ngx_string("/v1/auth/token"),
        1,
        NGX_HTTP_IDPAY_CLIENT_POST,
        ngx_null_string,
        ngx_string("accessToken"),
        ngx_string("refreshToken"),
        ngx_string("clientProfileId"),
        ngx_null_string,
        3600
    },
    ngx_http_idpay_gopay_routes,
    ngx_string("/v1/auth/revoke"),
    ngx_string("https://auth.gopay.com/consent"),
    ngx_string("scopes%5B%5D=perm.client.identification%3Aread"),
    1                                      /* refuses with 403 */
};


static const ngx_http_idpay_scheme_t  ngx_http_idpay_gopay_scheme = {
    2,
    { { ngx_string("client_id"), ngx_null_string },
      { ngx_string("client_secret"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_TOKEN, ngx_string("Authorization"),
        ngx_null_string, 0 } },
    &ngx_http_idpay_gopay_grants
};


/* the tokens are the gateway's matter */

static const ngx_str_t  ngx_http_idpay_gopay_paths[] = {
    ngx_string("/v1/client/"),
    ngx_null_string
};


/* v3: {"errors": [{...}]}, v4: {"code", "error", "message", "detail"} */

static const ngx_http_idpay_error_field_t  ngx_http_idpay_gopay_fields[] = {
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/errors/0/error_name") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/errors/0/error_code") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/code") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/errors/0/message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/errors/0/description") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error_description") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/detail") },
    { NGX_HTTP_IDPAY_ERROR_ERRORS, ngx_string("/errors") },
    { NGX_HTTP_IDPAY_ERROR_FIELD, ngx_string("/field") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_CODE, ngx_string("/error_name") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_CODE, ngx_string("/error_code") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE, ngx_string("/message") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE, ngx_string("/description") },
    { 0, ngx_null_string }
};


/*
 * A 409 is about values, not about a conflict.  A 403 is "not authorized": the
 * token is meant, as with a 401.  The first two codes are a person's consent
 * that is not given, or is gone.
 */

static const ngx_http_idpay_error_rule_t  ngx_http_idpay_gopay_rules[] = {
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("access_denied"),
      NGX_HTTP_IDPAY_CONSENT_REQUIRED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("invalid_grant"),
      NGX_HTTP_IDPAY_CONSENT_REQUIRED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("invalid_scope"),
      NGX_HTTP_IDPAY_PERMISSION_DENIED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("invalid_client"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("unauthorized_client"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("invalid_token"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("server_error"),
      NGX_HTTP_IDPAY_PROVIDER_ERROR },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("temporarily_unavailable"),
      NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE },

    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("403"),
      NGX_HTTP_IDPAY_CREDENTIAL_REJECTED },
    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("409"),
      NGX_HTTP_IDPAY_VALIDATION_FAILED },
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_gopay_errors = {
    ngx_http_idpay_gopay_fields,
    ngx_http_idpay_gopay_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_gopay = {
    ngx_string("gopay"),
    &ngx_http_idpay_gopay_scheme,
    NULL,                                  /* drop headers */
    NULL,                                  /* drop arguments */
    NULL,                                  /* refuse members */
    ngx_http_idpay_gopay_paths,
    0,                                     /* methods */
    ngx_null_string,
    &ngx_http_idpay_gopay_errors,
    NULL,                                  /* settings */
    { 0, ngx_null_string, ngx_null_string },
    0                                      /* never 4xx */
};
