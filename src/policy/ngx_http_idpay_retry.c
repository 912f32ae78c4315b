
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_retry.h"


ngx_msec_t
ngx_http_idpay_retry_delay(const ngx_http_idpay_retry_conf_t *conf,
    ngx_uint_t attempts, ngx_uint_t random)
{
    uint64_t    exact;
    ngx_uint_t  i;
    ngx_msec_t  delay;

    /* 1/1000 ms: in whole ones a short delay would not grow */

    exact = (uint64_t) conf->base * 1000;

    for (i = 1; i < attempts && exact / 1000 < conf->max; i++) {
        if (exact > UINT64_MAX / conf->factor) {
            break;
        }

        exact = exact * conf->factor / 1000;
    }

    delay = ngx_min(exact / 1000, conf->max);

    return conf->jitter ? random % (delay + 1) : delay;
}


ngx_int_t
ngx_http_idpay_retry_take(ngx_http_idpay_budget_t *budget,
    const ngx_http_idpay_retry_conf_t *conf, ngx_msec_t now,
    ngx_uint_t in_flight)
{
    uint64_t  calls, retries, allowed;

    /* all in 1/1000 */

    calls = ngx_http_idpay_window_sum(&budget->calls, now,
                                      NGX_HTTP_IDPAY_BUDGET_SLOT);
    retries = ngx_http_idpay_window_sum(&budget->retries, now,
                                        NGX_HTTP_IDPAY_BUDGET_SLOT);

    calls = ngx_max(calls, (uint64_t) in_flight * 1000);

    allowed = calls * conf->budget / 100;
    allowed = ngx_max(allowed, NGX_HTTP_IDPAY_MIN_RETRIES * 1000);

    if (retries + 1000 > allowed) {
        return NGX_DECLINED;
    }

    ngx_http_idpay_window_add(&budget->retries, now,
                              NGX_HTTP_IDPAY_BUDGET_SLOT);

    return NGX_OK;
}
