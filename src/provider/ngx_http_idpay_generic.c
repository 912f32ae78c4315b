
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Any other API: its scheme is given by "idpay_auth".
 */


#include "provider/ngx_http_idpay_provider.h"


/* where errors say something is for "idpay_error_fields" to tell */

static const ngx_http_idpay_error_field_t  ngx_http_idpay_generic_fields[] = {
    { 0, ngx_null_string }
};


static const ngx_http_idpay_error_rule_t  ngx_http_idpay_generic_rules[] = {
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  ngx_http_idpay_generic_errors = {
    ngx_http_idpay_generic_fields,
    ngx_http_idpay_generic_rules
};


const ngx_http_idpay_preset_t  ngx_http_idpay_generic = {
    ngx_string("generic"),
    NULL,                                  /* scheme */
    NULL,                                  /* drop headers */
    NULL,                                  /* drop arguments */
    NULL,                                  /* refuse members */
    NULL,                                  /* paths */
    0,                                     /* methods */
    ngx_null_string,
    &ngx_http_idpay_generic_errors,
    NULL,                                  /* settings */
    { 0, ngx_null_string, ngx_null_string },
    0                                      /* never 4xx */
};
