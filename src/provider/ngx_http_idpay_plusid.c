
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
        ngx_null_string, 0 } }
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
    NULL,                                  /* settings */
    { 0, ngx_null_string, ngx_null_string },
    0                                      /* never 4xx */
};
