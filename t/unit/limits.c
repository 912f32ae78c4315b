
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the limits of a provider are in the end: configured, preset, default.
 */


#include "../../src/request/ngx_http_idpay_limits.c"

#include "tap.h"


static void test_upstream(ngx_http_idpay_upstream_conf_t *iucf, char *preset);
static char *test_set(ngx_conf_t *cf, ngx_http_idpay_upstream_conf_t *iucf,
    char *line);
static ngx_uint_t test_find(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_uint_t method, char *path);
static ngx_uint_t test_replay(ngx_http_idpay_upstream_conf_t *iucf,
    char *path);
static void test_defaults(ngx_conf_t *cf);
static void test_configured(ngx_conf_t *cf);
static void test_rates(ngx_conf_t *cf);
static void test_presets(ngx_conf_t *cf);


static void
test_upstream(ngx_http_idpay_upstream_conf_t *iucf, char *preset)
{
    ngx_str_t  name;

    name.data = (u_char *) preset;
    name.len = ngx_strlen(preset);

    ngx_memzero(iucf, sizeof(ngx_http_idpay_upstream_conf_t));

    iucf->preset = ngx_http_idpay_provider_find(&name);
    iucf->adaptive = NGX_CONF_UNSET;
    iucf->timeout = NGX_CONF_UNSET_MSEC;
    iucf->breaker.failures = NGX_CONF_UNSET_UINT;
}


static char *
test_set(ngx_conf_t *cf, ngx_http_idpay_upstream_conf_t *iucf, char *line)
{
    ngx_str_t  setting;

    setting.data = (u_char *) line;
    setting.len = ngx_strlen(line);

    return ngx_http_idpay_limits_apply(cf, &setting, iucf);
}


/* the rate, 1/1000 r/s, of the rule for a call, 0 if there is none */

static ngx_uint_t
test_find(ngx_http_idpay_upstream_conf_t *iucf, ngx_uint_t method, char *path)
{
    ngx_str_t                text;
    ngx_http_idpay_limit_t  *limit;

    text.data = (u_char *) path;
    text.len = ngx_strlen(path);

    limit = ngx_http_idpay_limits_find(iucf, method, &text);

    return limit ? limit->rate.rate : 0;
}


/* how many rules for POST there are of that path */

static ngx_uint_t
test_replay(ngx_http_idpay_upstream_conf_t *iucf, char *path)
{
    ngx_uint_t                     i, n;
    ngx_http_idpay_replay_rule_t  *rule;

    n = 0;
    rule = iucf->replay->elts;

    for (i = 0; i < iucf->replay->nelts; i++) {
        n += (rule[i].method == NGX_HTTP_POST
              && rule[i].path.len == ngx_strlen(path)
              && ngx_strncmp(rule[i].path.data, path, rule[i].path.len) == 0);
    }

    return n;
}


static void
test_defaults(ngx_conf_t *cf)
{
    ngx_http_idpay_upstream_conf_t  u;

    test_upstream(&u, "generic");

    tap_ok(ngx_http_idpay_limits_init(cf, &u) == NGX_OK, "generic");
    tap_ok(u.rates == NULL && u.dry_limit == NULL && u.replay == NULL
           && u.limit.rate.rate == 0 && u.limit.wait == 5000, "no rate");
    tap_ok(u.adaptive == 1 && u.timeout == 60000, "adaptive and timeout");
    tap_ok(u.retry.tries == 4 && u.retry.base == 500 && u.retry.factor == 2000
           && u.retry.max == 30000 && u.retry.jitter == 1
           && u.retry.budget == 20, "retry");
    tap_ok(u.breaker.failures == 5 && u.breaker.window == 10000
           && u.breaker.open == 30000, "breaker");
    tap_ok(test_find(&u, NGX_HTTP_GET, "/") == 0, "no rule");
}


static void
test_configured(ngx_conf_t *cf)
{
    ngx_http_idpay_replay_rule_t    *rule;
    ngx_http_idpay_upstream_conf_t   u;

    test_upstream(&u, "generic");

    tap_ok(test_set(cf, &u, "idpay_rate off") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_adaptive off") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_retry off") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_breaker off") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_timeout 1m30s") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK, "off");
    tap_ok(u.rates->nelts == 0 && u.adaptive == 0 && u.retry.tries == 1
           && u.breaker.failures == 0 && u.timeout == 90000, "it is");

    test_upstream(&u, "generic");

    tap_ok(test_set(cf, &u, "idpay_retry jitter=none factor=1.125 base=1s "
                            "max=10m budget=0% tries=7") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_breaker open=1h failures=64 window=1ms")
              == NGX_CONF_OK
           && test_set(cf, &u, "idpay_replay_safe /a*") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_replay_safe PUT /b") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK, "numbers");
    tap_ok(u.retry.tries == 7 && u.retry.base == 1000
           && u.retry.factor == 1125 && u.retry.max == 600000
           && u.retry.jitter == 0 && u.retry.budget == 0, "of retry");
    tap_ok(u.breaker.failures == 64 && u.breaker.window == 1
           && u.breaker.open == 3600000, "of breaker");

    rule = u.replay->elts;

    tap_ok(u.replay->nelts == 2
           && rule[0].method == 0 && rule[0].path.len == 2 && rule[0].rest
           && rule[1].method == NGX_HTTP_PUT && rule[1].path.len == 2
           && !rule[1].rest, "rules of replay");
}


static void
test_rates(ngx_conf_t *cf)
{
    ngx_http_idpay_limit_t          *limit;
    ngx_http_idpay_upstream_conf_t   u;

    test_upstream(&u, "generic");

    tap_ok(test_set(cf, &u, "idpay_rate 1r/s path=/a") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_rate 20r/s burst=40 wait=7s")
              == NGX_CONF_OK
           && test_set(cf, &u, "idpay_rate 2r/s path=/a/b dry_run")
              == NGX_CONF_OK
           && test_set(cf, &u, "idpay_rate 3r/s path=/a/b method=POST")
              == NGX_CONF_OK
           && test_set(cf, &u, "idpay_rate 1r/m method=DELETE") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK, "rates");

    tap_ok(u.limit.rate.rate == 20000 && u.limit.rate.burst == 40
           && u.limit.wait == 7000
           && u.dry_limit == NULL, "the general one");

    limit = u.rates->elts;

    tap_ok(limit[2].dry_run && !limit[0].dry_run, "a rule that is tried");

    tap_ok(test_find(&u, NGX_HTTP_GET, "/") == 0
           && test_find(&u, NGX_HTTP_GET, "") == 0
           && test_find(&u, NGX_HTTP_GET, "/A") == 0, "none for it");
    tap_ok(test_find(&u, NGX_HTTP_GET, "/a") == 1000
           && test_find(&u, NGX_HTTP_GET, "/ax") == 1000, "by prefix");
    tap_ok(test_find(&u, NGX_HTTP_GET, "/a/b") == 2000
           && test_find(&u, NGX_HTTP_DELETE, "/a/bc") == 2000,
           "by the longest");
    tap_ok(test_find(&u, NGX_HTTP_POST, "/a/b") == 3000, "by method");
    tap_ok(test_find(&u, NGX_HTTP_DELETE, "/") == 16
           && test_find(&u, NGX_HTTP_DELETE, "/a") == 1000,
           "by method alone");

    test_upstream(&u, "generic");

    tap_ok(test_set(cf, &u, "idpay_rate 9r/s wait=1s dry_run") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK
           && u.limit.rate.rate == 0 && u.limit.wait == 5000
           && u.dry_limit && u.dry_limit->rate.rate == 9000
           && u.dry_limit->wait == 1000
           && test_find(&u, NGX_HTTP_GET, "/") == 0, "dry");
}


static void
test_presets(ngx_conf_t *cf)
{
    ngx_http_idpay_upstream_conf_t  u;

    test_upstream(&u, "plaid");

    tap_ok(ngx_http_idpay_limits_init(cf, &u) == NGX_OK, "plaid");
    tap_ok(u.rates->nelts == 4 && u.limit.rate.rate == 0
           && test_find(&u, NGX_HTTP_POST, "/identity_verification/create")
              == 2000
           && test_find(&u, NGX_HTTP_POST, "/identity_verification/get")
              == 7000
           && test_find(&u, NGX_HTTP_POST, "/identity_verification/list")
              == 5000
           && test_find(&u, NGX_HTTP_POST, "/identity_verification/retry")
              == 2000, "plaid: rates");
    tap_ok(u.replay->nelts == 2
           && test_replay(&u, "/identity_verification/get")
           && test_replay(&u, "/identity_verification/list"),
           "plaid: replay");
    tap_ok(u.retry.tries == 4, "plaid: the default's retry");

    test_upstream(&u, "plaid");

    tap_ok(test_set(cf, &u, "idpay_rate off") == NGX_CONF_OK
           && test_set(cf, &u, "idpay_replay_safe POST /mine") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK
           && u.rates->nelts == 0 && u.replay->nelts == 3
           && test_replay(&u, "/mine"), "plaid: configured otherwise");

    test_upstream(&u, "passportreader");

    tap_ok(ngx_http_idpay_limits_init(cf, &u) == NGX_OK && u.rates == NULL
           && u.retry.tries == 5 && u.retry.base == 2000
           && u.retry.factor == 2000 && u.retry.max == 16000
           && u.retry.jitter == 1 && u.retry.budget == 20
           && u.replay->nelts == 8 && u.preset->never_4xx
           && test_replay(&u, "/api/v1/session.create")
           && test_replay(&u, "/api/session.list"), "passportreader");

    test_upstream(&u, "passportreader");

    tap_ok(test_set(cf, &u, "idpay_retry tries=2") == NGX_CONF_OK
           && ngx_http_idpay_limits_init(cf, &u) == NGX_OK
           && u.retry.tries == 2 && u.retry.base == 500
           && u.retry.max == 30000 && u.replay->nelts == 8,
           "passportreader: configured otherwise");

    test_upstream(&u, "plasmapay");

    tap_ok(ngx_strcmp(test_set(cf, &u, "idpay_pass p"), "is unknown") == 0
           && ngx_strcmp(test_set(cf, &u, ""), "is unknown") == 0,
           "a setting that is none");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_log_t        log;
    ngx_conf_t       cf;
    ngx_cycle_t      cycle;
    ngx_conf_file_t  file;

    ngx_pagesize = 4096;

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&cf, sizeof(ngx_conf_t));
    ngx_memzero(&cycle, sizeof(ngx_cycle_t));
    ngx_memzero(&file, sizeof(ngx_conf_file_t));

    cf.cycle = &cycle;
    cf.conf_file = &file;
    cf.log = &log;
    cf.pool = ngx_create_pool(4096, &log);

    test_defaults(&cf);
    test_configured(&cf);
    test_rates(&cf);
    test_presets(&cf);

    ngx_destroy_pool(cf.pool);

    return tap_done();
}
