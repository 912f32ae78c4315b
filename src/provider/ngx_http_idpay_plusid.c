
/*
 * Copyright (C) 2026 idpay contributors
 *
 * PlusID Service Provider API v1: a static key in X-API-Key on every call.
 */


#include "provider/ngx_http_idpay_provider.h"


static const ngx_http_idpay_scheme_t  ngx_http_idpay_plusid_scheme = {
    1,
    { { ngx_string("api_key"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_SECRET, ngx_string("X-API-Key"),
        ngx_null_string, 0 } },
    NULL
};


/*
 * The reference says that some errors have a code and a message, and not how
 * these are called.  Its statuses mean what they mean anywhere.
 */

static const ngx_http_idpay_error_field_t  ngx_http_idpay_plusid_fields[] = {
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/code") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error_code") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/errorCode") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error/code") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error_message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/errorMessage") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error/message") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/error") },
    { 0, ngx_null_string }
};


static const ngx_http_idpay_error_rule_t  ngx_http_idpay_plusid_rules[] = {
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_plusid_errors = {
    ngx_http_idpay_plusid_fields,
    ngx_http_idpay_plusid_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_plusid = {
    ngx_string("plusid"),
    &ngx_http_idpay_plusid_scheme,
    NULL,                                  /* drop headers */
    NULL,                                  /* drop arguments */
    NULL,                                  /* refuse members */
    NULL,                                  /* paths */
    0,                                     /* methods */
    ngx_null_string,
    &ngx_http_idpay_plusid_errors,
    NULL,                                  /* settings */
    { 0, ngx_null_string, ngx_null_string },
    0                                      /* never 4xx */
};
