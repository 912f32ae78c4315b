
/*
 * Copyright (C) 2026 idpay contributors
 *
 * PlasmaPay Business API v1: a static key as a bearer token.  The provider
 * takes the key from the argument "apiKey" as well, on every endpoint.
 */


#include "provider/ngx_http_idpay_provider.h"


static const ngx_http_idpay_scheme_t  ngx_http_idpay_plasmapay_scheme = {
    1,
    { { ngx_string("api_key"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_BEARER, ngx_string("Authorization"),
        ngx_null_string, 0 } },
    NULL
};


static const ngx_str_t  ngx_http_idpay_plasmapay_drop_args[] = {
    ngx_string("apikey"),
    ngx_null_string
};


/*
 * The provider's own plug-in for shops takes the code in the body for the
 * status and does not look at that of HTTP, so it may be 200.  What was made or
 * found has an id.
 */

static const ngx_http_idpay_error_field_t  ngx_http_idpay_plasmapay_fields[] =
{
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/code") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/message") },
    { NGX_HTTP_IDPAY_ERROR_STATUS, ngx_string("/code") },
    { NGX_HTTP_IDPAY_ERROR_RESULT, ngx_string("/id") },
    { 0, ngx_null_string }
};


static const ngx_http_idpay_error_rule_t  ngx_http_idpay_plasmapay_rules[] = {
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_plasmapay_errors = {
    ngx_http_idpay_plasmapay_fields,
    ngx_http_idpay_plasmapay_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_plasmapay = {
    ngx_string("plasmapay"),
    &ngx_http_idpay_plasmapay_scheme,
    NULL,                                  /* drop headers */
    ngx_http_idpay_plasmapay_drop_args,    /* drop arguments */
    NULL,                                  /* refuse members */
    NULL,                                  /* paths */
    0,                                     /* methods */
    ngx_null_string,
    &ngx_http_idpay_plasmapay_errors,
    NULL,                                  /* settings */
    { 0, ngx_null_string, ngx_null_string },
    0                                      /* never 4xx */
};
