
/*
 * Copyright (C) 2026 idpay contributors
 *
 * GoPay identification service: its errors.  The reference shows no body of
 * one, so these are the shapes of the provider's other APIs, payments v3 and
 * v4, and of OAuth (RFC 6749 4.1.2.1 and 5.2).
 */


#include "provider/ngx_http_idpay_provider.h"


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


const ngx_http_idpay_errors_t  ngx_http_idpay_gopay_errors = {
    ngx_http_idpay_gopay_fields,
    ngx_http_idpay_gopay_rules
};
