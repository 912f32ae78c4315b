
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_breaker.h"


/*
 * The clocks of two workers differ by less than that, ms: each looks at its
 * own once in a round of its event loop.
 */

#define NGX_HTTP_IDPAY_BREAKER_SKEW  60000


static ngx_uint_t ngx_http_idpay_breaker_between(ngx_msec_t at,
    ngx_msec_t first, ngx_msec_t last);
static ngx_uint_t ngx_http_idpay_breaker_counts(
    ngx_http_idpay_breaker_t *breaker, ngx_msec_t now, ngx_msec_t start,
    ngx_uint_t probe);
static void ngx_http_idpay_breaker_open(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now);


ngx_int_t
ngx_http_idpay_breaker_admit(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now,
    ngx_msec_t lease, ngx_uint_t *probe, ngx_msec_t *wait)
{
    *probe = 0;

    if (conf->failures == 0
        || breaker->state == NGX_HTTP_IDPAY_BREAKER_CLOSED)
    {
        return NGX_OK;
    }

    /*
     * A state may last until the clock has gone round: only what lies between
     * its beginning and its end is before its end.
     */

    if (ngx_http_idpay_breaker_between(now,
                              breaker->changed - NGX_HTTP_IDPAY_BREAKER_SKEW,
                              breaker->until - 1))
    {
        *wait = breaker->until - now;

        /* a probe may end before its time */

        if (breaker->state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN) {
            *wait = ngx_min(*wait, 1000);
        }

        return NGX_BUSY;
    }

    if (breaker->state == NGX_HTTP_IDPAY_BREAKER_OPEN) {
        breaker->state = NGX_HTTP_IDPAY_BREAKER_HALF_OPEN;
        breaker->changed = now;
    }

    breaker->until = now + lease;

    if (++breaker->probe == 0) {
        breaker->probe = 1;
    }

    *probe = breaker->probe;

    return NGX_OK;
}


void
ngx_http_idpay_breaker_success(ngx_http_idpay_breaker_t *breaker,
    ngx_msec_t now, ngx_msec_t start, ngx_uint_t probe)
{
    if (!ngx_http_idpay_breaker_counts(breaker, now, start, probe)) {
        return;
    }

    breaker->failures = 0;

    if (breaker->state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN) {
        breaker->state = NGX_HTTP_IDPAY_BREAKER_CLOSED;
        breaker->changed = now;
    }
}


void
ngx_http_idpay_breaker_failure(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now,
    ngx_msec_t start, ngx_uint_t probe)
{
    ngx_msec_t  oldest;

    if (conf->failures == 0
        || !ngx_http_idpay_breaker_counts(breaker, now, start, probe))
    {
        return;
    }

    if (breaker->state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN) {
        ngx_http_idpay_breaker_open(breaker, conf, now);
        return;
    }

    breaker->times[breaker->failures % NGX_HTTP_IDPAY_MAX_FAILURES] = now;
    breaker->failures++;

    if (breaker->failures < conf->failures) {
        return;
    }

    oldest = breaker->times[(breaker->failures - conf->failures)
                            % NGX_HTTP_IDPAY_MAX_FAILURES];

    if (ngx_http_idpay_breaker_between(now,
                                       oldest - NGX_HTTP_IDPAY_BREAKER_SKEW,
                                       oldest + conf->window))
    {
        ngx_http_idpay_breaker_open(breaker, conf, now);
    }
}


void
ngx_http_idpay_breaker_release(ngx_http_idpay_breaker_t *breaker,
    ngx_msec_t now, ngx_uint_t probe)
{
    if (breaker->state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN
        && breaker->probe == probe)
    {
        breaker->until = now;
    }
}


/* the ends are included; wherever in between the clock begins anew */

static ngx_uint_t
ngx_http_idpay_breaker_between(ngx_msec_t at, ngx_msec_t first,
    ngx_msec_t last)
{
    return at - first <= last - first;
}


static ngx_uint_t
ngx_http_idpay_breaker_counts(ngx_http_idpay_breaker_t *breaker,
    ngx_msec_t now, ngx_msec_t start, ngx_uint_t probe)
{
    if (probe) {
        return breaker->state == NGX_HTTP_IDPAY_BREAKER_HALF_OPEN
               && breaker->probe == probe;
    }

    if (breaker->state != NGX_HTTP_IDPAY_BREAKER_CLOSED) {
        return 0;
    }

    /* 0: never changed */

    return breaker->changed == 0
           || !ngx_http_idpay_breaker_between(breaker->changed, start + 1,
                                          now + NGX_HTTP_IDPAY_BREAKER_SKEW);
}


static void
ngx_http_idpay_breaker_open(ngx_http_idpay_breaker_t *breaker,
    const ngx_http_idpay_breaker_conf_t *conf, ngx_msec_t now)
{
    breaker->state = NGX_HTTP_IDPAY_BREAKER_OPEN;
    breaker->changed = now;
    breaker->until = now + conf->open;
}
