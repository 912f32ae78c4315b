
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_limits.h"

#include "credential/ngx_http_idpay_upstream.h"
#include "request/ngx_http_idpay_params.h"


#define NGX_HTTP_IDPAY_RATE_WAIT  5000
#define NGX_HTTP_IDPAY_TIMEOUT    60000

/* bucket 0 is for a provider without a rate of its own, too */

#define NGX_HTTP_IDPAY_MAX_RATES  (NGX_HTTP_IDPAY_MAX_BUCKETS - 2)


static char *ngx_http_idpay_limits_set_rate(ngx_conf_t *cf,
    ngx_http_idpay_limit_t *limit);
static ngx_uint_t ngx_http_idpay_limits_off(ngx_conf_t *cf);
static ngx_int_t ngx_http_idpay_limits_parse_rate(ngx_str_t *text);
static ngx_int_t ngx_http_idpay_limits_test_path(ngx_str_t *path);
static ngx_int_t ngx_http_idpay_limits_init_preset(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *preset);
static char *ngx_http_idpay_limits_apply(ngx_conf_t *cf, ngx_str_t *setting,
    ngx_http_idpay_upstream_conf_t *preset);
static void ngx_http_idpay_limits_init_rates(
    ngx_http_idpay_upstream_conf_t *iucf);


static ngx_http_idpay_param_t  ngx_http_idpay_rate_params[] = {
    { ngx_string("burst="), NGX_HTTP_IDPAY_NUMBER, 0, 100000,
      offsetof(ngx_http_idpay_limit_t, rate.burst),
      "a number from 0 to 100000" },
    { ngx_string("wait="), NGX_HTTP_IDPAY_TIME, 0, NGX_HTTP_IDPAY_MAX_TIME,
      offsetof(ngx_http_idpay_limit_t, wait),
      "a time from 0 to 1h" },
    { ngx_string("method="), NGX_HTTP_IDPAY_METHOD, 1, NGX_MAX_INT_T_VALUE,
      offsetof(ngx_http_idpay_limit_t, method),
      NGX_HTTP_IDPAY_HINT_METHOD },
    { ngx_null_string, 0, 0, 0, 0,
      "one of: burst=, wait=, method=, path=, dry_run" }
};


static ngx_http_idpay_param_t  ngx_http_idpay_retry_params[] = {
    { ngx_string("tries="), NGX_HTTP_IDPAY_NUMBER, 1, 100,
      offsetof(ngx_http_idpay_retry_conf_t, tries),
      "a number from 1 to 100" },
    { ngx_string("base="), NGX_HTTP_IDPAY_TIME, 1, NGX_HTTP_IDPAY_MAX_TIME,
      offsetof(ngx_http_idpay_retry_conf_t, base),
      NGX_HTTP_IDPAY_HINT_TIME },
    { ngx_string("factor="), NGX_HTTP_IDPAY_FACTOR, 1000, 100000,
      offsetof(ngx_http_idpay_retry_conf_t, factor),
      "a number from 1 to 100, 3 decimals at most" },
    { ngx_string("max="), NGX_HTTP_IDPAY_TIME, 1, NGX_HTTP_IDPAY_MAX_TIME,
      offsetof(ngx_http_idpay_retry_conf_t, max),
      NGX_HTTP_IDPAY_HINT_TIME },
    { ngx_string("jitter="), NGX_HTTP_IDPAY_JITTER, 0, 1,
      offsetof(ngx_http_idpay_retry_conf_t, jitter),
      "\"full\" or \"none\"" },
    { ngx_string("budget="), NGX_HTTP_IDPAY_PERCENT, 0, 100,
      offsetof(ngx_http_idpay_retry_conf_t, budget),
      "a percentage from 0% to 100%" },
    { ngx_null_string, 0, 0, 0, 0,
      "one of: tries=, base=, factor=, max=, jitter=, budget=, or \"off\" "
      "alone" }
};


static ngx_http_idpay_param_t  ngx_http_idpay_breaker_params[] = {
    { ngx_string("failures="),
      NGX_HTTP_IDPAY_NUMBER, 1, NGX_HTTP_IDPAY_MAX_FAILURES,
      offsetof(ngx_http_idpay_breaker_conf_t, failures),
      "a number from 1 to 64" },
    { ngx_string("window="), NGX_HTTP_IDPAY_TIME, 1, NGX_HTTP_IDPAY_MAX_TIME,
      offsetof(ngx_http_idpay_breaker_conf_t, window),
      NGX_HTTP_IDPAY_HINT_TIME },
    { ngx_string("open="), NGX_HTTP_IDPAY_TIME, 1, NGX_HTTP_IDPAY_MAX_TIME,
      offsetof(ngx_http_idpay_breaker_conf_t, open),
      NGX_HTTP_IDPAY_HINT_TIME },
    { ngx_null_string, 0, 0, 0, 0,
      "one of: failures=, window=, open=, or \"off\" alone" }
};


static const ngx_http_idpay_retry_conf_t  ngx_http_idpay_retry_default = {
    4,                                     /* tries */
    500,                                   /* base */
    2000,                                  /* factor */
    30000,                                 /* max */
    20,                                    /* budget */
    1                                      /* jitter */
};


static const ngx_http_idpay_breaker_conf_t  ngx_http_idpay_breaker_default = {
    5,                                     /* failures */
    10000,                                 /* window */
    30000                                  /* open */
};


char *
ngx_http_idpay_limits_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t               *value;
    ngx_int_t                rate;
    ngx_uint_t               off;
    ngx_http_idpay_limit_t  *limit, *other;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    off = ngx_http_idpay_limits_off(cf);

    if (iucf->rates && (off || iucf->rates->nelts == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_rate off\" stands beside another "
                           "\"idpay_rate\", remove one of them");
        return NGX_CONF_ERROR;
    }

    if (iucf->rates == NULL) {
        iucf->rates = ngx_array_create(cf->pool, 4,
                                       sizeof(ngx_http_idpay_limit_t));
        if (iucf->rates == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (off) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (iucf->rates->nelts == NGX_HTTP_IDPAY_MAX_RATES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_rate %V\" is one too many, an "
                           "upstream can have %d of them", &value[1],
                           NGX_HTTP_IDPAY_MAX_RATES);
        return NGX_CONF_ERROR;
    }

    rate = ngx_http_idpay_limits_parse_rate(&value[1]);

    if (rate == NGX_ERROR) {
        return ngx_http_idpay_params_invalid(cf, &value[1],
                                   "\"Nr/s\" or \"Nr/m\" with a number from 1 "
                                   "to 1000000, or \"off\" alone");
    }

    limit = ngx_array_push(iucf->rates);
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(limit, sizeof(ngx_http_idpay_limit_t));

    limit->rate.rate = rate;
    limit->wait = NGX_HTTP_IDPAY_RATE_WAIT;
    ngx_str_set(&limit->path, "");

    if (ngx_http_idpay_limits_set_rate(cf, limit) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    for (other = iucf->rates->elts; other < limit; other++) {

        if (other->method == limit->method
            && other->path.len == limit->path.len
            && ngx_strncmp(other->path.data, limit->path.data,
                           limit->path.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: duplicate \"idpay_rate %V\", another "
                               "one has the same method and path, remove one "
                               "of them", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_idpay_limits_set_rate(ngx_conf_t *cf, ngx_http_idpay_limit_t *limit)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "dry_run") == 0) {
            limit->dry_run = 1;

        } else if (ngx_strncmp(value[i].data, "path=", 5) == 0) {
            limit->path.data = value[i].data + 5;
            limit->path.len = value[i].len - 5;

            if (ngx_http_idpay_limits_test_path(&limit->path) != NGX_OK) {
                return ngx_http_idpay_params_invalid(cf, &value[i],
                                   "the beginning of a path, with the first "
                                   "\"/\" and without \"*\"");
            }

        } else if (ngx_http_idpay_params_set(cf, &value[i],
                                             ngx_http_idpay_rate_params,
                                             limit)
                   != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_limits_adaptive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    if (ngx_http_idpay_upstream_first(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_idpay_limits_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (iucf->retry.tries) {
        return "is duplicate";
    }

    iucf->retry = ngx_http_idpay_retry_default;

    if (ngx_http_idpay_limits_off(cf)) {
        iucf->retry.tries = 1;
        return NGX_CONF_OK;
    }

    return ngx_http_idpay_params_set_all(cf, ngx_http_idpay_retry_params,
                                         &iucf->retry);
}


char *
ngx_http_idpay_limits_timeout(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t    timeout;
    ngx_str_t   *value;
    ngx_msec_t  *field;

    if ((cf->cmd_type & NGX_HTTP_UPS_CONF)
        && ngx_http_idpay_upstream_first(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    field = (ngx_msec_t *) ((u_char *) conf + cmd->offset);

    if (*field != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;
    timeout = ngx_http_idpay_params_parse(NGX_HTTP_IDPAY_TIME, &value[1]);

    if (timeout < 1 || timeout > NGX_HTTP_IDPAY_MAX_TIME) {
        return ngx_http_idpay_params_invalid(cf, &value[1],
                                             NGX_HTTP_IDPAY_HINT_TIME);
    }

    *field = timeout;

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_limits_replay_safe(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_int_t                       method;
    ngx_str_t                      *value, *path;
    ngx_http_idpay_replay_rule_t   *rule;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    path = &value[cf->args->nelts - 1];

    method = 0;

    if (cf->args->nelts == 3) {
        method = ngx_http_idpay_params_parse(NGX_HTTP_IDPAY_METHOD,
                                             &value[1]);

        if (method == NGX_ERROR) {
            return ngx_http_idpay_params_invalid(cf, &value[1],
                                                 NGX_HTTP_IDPAY_HINT_METHOD);
        }
    }

    if (iucf->replay == NULL) {
        iucf->replay = ngx_array_create(cf->pool, 8,
                                        sizeof(ngx_http_idpay_replay_rule_t));
        if (iucf->replay == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(iucf->replay);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    rule->method = method;
    rule->path = *path;
    rule->rest = (path->len && path->data[path->len - 1] == '*');
    rule->path.len -= rule->rest;

    if (ngx_http_idpay_limits_test_path(&rule->path) != NGX_OK) {
        return ngx_http_idpay_params_invalid(cf, path,
                                   "a path with the first \"/\", and \"*\" "
                                   "at its end only");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_limits_breaker(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (iucf->breaker.failures != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    iucf->breaker = ngx_http_idpay_breaker_default;

    if (ngx_http_idpay_limits_off(cf)) {
        iucf->breaker.failures = 0;
        return NGX_CONF_OK;
    }

    return ngx_http_idpay_params_set_all(cf, ngx_http_idpay_breaker_params,
                                         &iucf->breaker);
}


static ngx_uint_t
ngx_http_idpay_limits_off(ngx_conf_t *cf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0;
}


/* of a minute 1/1000 r/s are rounded down, so that no limit is exceeded */

static ngx_int_t
ngx_http_idpay_limits_parse_rate(ngx_str_t *text)
{
    u_char     *unit;
    ngx_int_t   n;

    if (text->len < 4) {
        return NGX_ERROR;
    }

    unit = text->data + text->len - 3;
    n = ngx_atoi(text->data, text->len - 3);

    if (n < 1 || n > 1000000) {
        return NGX_ERROR;
    }

    if (ngx_strcmp(unit, "r/s") == 0) {
        return n * 1000;
    }

    if (ngx_strcmp(unit, "r/m") == 0) {
        return n * 1000 / 60;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_idpay_limits_test_path(ngx_str_t *path)
{
    if (path->len == 0
        || path->data[0] != '/'
        || ngx_strlchr(path->data, path->data + path->len, '*'))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_limits_init(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_http_idpay_upstream_conf_t  preset;

    ngx_memzero(&preset, sizeof(ngx_http_idpay_upstream_conf_t));

    preset.preset = iucf->preset;
    preset.adaptive = NGX_CONF_UNSET;
    preset.timeout = NGX_CONF_UNSET_MSEC;
    preset.breaker.failures = NGX_CONF_UNSET_UINT;

    /* the one directive whose preset is added to what is configured */

    preset.replay = iucf->replay;

    if (ngx_http_idpay_limits_init_preset(cf, &preset) != NGX_OK) {
        return NGX_ERROR;
    }

    iucf->replay = preset.replay;

    if (iucf->rates == NULL) {
        iucf->rates = preset.rates;
    }

    ngx_conf_merge_value(iucf->adaptive, preset.adaptive, 1);
    ngx_conf_merge_msec_value(iucf->timeout, preset.timeout,
                              NGX_HTTP_IDPAY_TIMEOUT);

    if (iucf->retry.tries == 0) {
        iucf->retry = preset.retry.tries ? preset.retry
                                         : ngx_http_idpay_retry_default;
    }

    if (iucf->breaker.failures == NGX_CONF_UNSET_UINT) {
        iucf->breaker = (preset.breaker.failures != NGX_CONF_UNSET_UINT)
                        ? preset.breaker : ngx_http_idpay_breaker_default;
    }

    ngx_http_idpay_limits_init_rates(iucf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_limits_init_preset(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *preset)
{
    char             *rv;
    ngx_str_t         setting;
    const ngx_str_t  *s;

    for (s = preset->preset->settings; s && s->len; s++) {
        setting = *s;

        rv = ngx_http_idpay_limits_apply(cf, &setting, preset);

        if (rv != NGX_CONF_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "idpay: the setting \"%V\" of the preset \"%V\" "
                          "%s", &setting, &preset->preset->name,
                          (rv == NGX_CONF_ERROR) ? "failed" : rv);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static char *
ngx_http_idpay_limits_apply(ngx_conf_t *cf, ngx_str_t *setting,
    ngx_http_idpay_upstream_conf_t *preset)
{
    u_char         *p;
    ngx_str_t      *arg, *name;
    ngx_conf_t      pcf;
    ngx_array_t     args;
    ngx_command_t  *cmd;

    if (ngx_array_init(&args, cf->pool, 8, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, setting->len + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(p, setting->data, setting->len + 1);

    for ( ;; ) {
        arg = ngx_array_push(&args);
        if (arg == NULL) {
            return NGX_CONF_ERROR;
        }

        arg->data = p;
        arg->len = strcspn((char *) p, " ");

        p += arg->len;

        if (*p == '\0') {
            break;
        }

        *p++ = '\0';
    }

    pcf = *cf;
    pcf.args = &args;
    pcf.cmd_type = NGX_HTTP_UPS_CONF;

    name = args.elts;

    for (cmd = ngx_http_idpay_module.commands; cmd->name.len; cmd++) {

        if ((cmd->type & NGX_HTTP_UPS_CONF)
            && ngx_strcmp(cmd->name.data, name->data) == 0)
        {
            return cmd->set(&pcf, cmd, preset);
        }
    }

    return "is unknown";
}


/* the rate without method and path is the provider's own, if it is not dry */

static void
ngx_http_idpay_limits_init_rates(ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_uint_t               i;
    ngx_http_idpay_limit_t  *limit;

    iucf->limit.wait = NGX_HTTP_IDPAY_RATE_WAIT;

    if (iucf->rates == NULL) {
        return;
    }

    limit = iucf->rates->elts;

    for (i = 0; i < iucf->rates->nelts; i++) {

        if (limit[i].method || limit[i].path.len) {
            continue;
        }

        if (limit[i].dry_run) {
            iucf->dry_limit = &limit[i];

        } else {
            iucf->limit = limit[i];
        }
    }
}


ngx_http_idpay_limit_t *
ngx_http_idpay_limits_find(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_uint_t method, ngx_str_t *path)
{
    ngx_uint_t               i;
    ngx_http_idpay_limit_t  *limit, *found;

    if (iucf->rates == NULL) {
        return NULL;
    }

    found = NULL;
    limit = iucf->rates->elts;

    for (i = 0; i < iucf->rates->nelts; i++) {

        if ((limit[i].method == 0 && limit[i].path.len == 0)
            || (limit[i].method && limit[i].method != method)
            || limit[i].path.len > path->len
            || ngx_strncmp(limit[i].path.data, path->data, limit[i].path.len)
               != 0)
        {
            continue;
        }

        if (found == NULL
            || limit[i].path.len > found->path.len
            || (limit[i].path.len == found->path.len && limit[i].method))
        {
            found = &limit[i];
        }
    }

    return found;
}
