
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Any other API: its scheme is given by "idpay_auth".
 */


#include "provider/ngx_http_idpay_provider.h"


const ngx_http_idpay_preset_t  ngx_http_idpay_generic = {
    ngx_string("generic"),
    NULL,                                  /* scheme */
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
