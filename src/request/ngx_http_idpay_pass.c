
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_pass.h"

#include "request/ngx_http_idpay_exchange.h"
#include "request/ngx_http_idpay_screen.h"


extern ngx_module_t  ngx_http_proxy_module;


static ngx_int_t ngx_http_idpay_pass_handler(ngx_http_request_t *r);
static ngx_http_idpay_upstream_conf_t *ngx_http_idpay_pass_provider(
    ngx_conf_t *cf, ngx_str_t *name);
static ngx_int_t ngx_http_idpay_pass_attempt_conf(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf);
static ngx_int_t ngx_http_idpay_pass_proxy(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, void *plcf);
static ngx_int_t ngx_http_idpay_pass_headers(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, void *plcf, void *parent);
static ngx_uint_t ngx_http_idpay_pass_own_header(
    ngx_http_idpay_loc_conf_t *conf, ngx_str_t *name);
static ngx_int_t ngx_http_idpay_pass_set(ngx_conf_t *cf, void *plcf,
    char *name, ngx_str_t *first, ngx_str_t *second);
static ngx_command_t *ngx_http_idpay_pass_command(char *name);


/*
 * What attempts need of the proxy module, over whatever else is configured:
 * one verified protocol, repeats only where they are safe, and a provider that
 * cannot steer the gateway.
 */

static struct {
    char       *name;
    ngx_str_t   value;
} ngx_http_idpay_pass_proxy_settings[] = {
    { "proxy_http_version", ngx_string("1.1") },
    { "proxy_pass_request_headers", ngx_string("on") },
    { "proxy_intercept_errors", ngx_string("off") },
    { "proxy_force_ranges", ngx_string("off") },
    { "proxy_store", ngx_string("off") },
#if (NGX_HTTP_CACHE)
    { "proxy_cache", ngx_string("off") },
#endif
    { "proxy_next_upstream", ngx_string("error") },
    { "proxy_next_upstream", ngx_string("timeout") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Redirect") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Expires") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Limit-Rate") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Buffering") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Charset") },
    { NULL, ngx_null_string }
};


/* what stays with the gateway, whatever "proxy_pass_header" says */

static ngx_str_t  ngx_http_idpay_pass_hidden[] = {
    ngx_string("Set-Cookie"),
    ngx_string("WWW-Authenticate"),
    ngx_null_string
};


/* an empty value is a header that is not sent */

static ngx_keyval_t  ngx_http_idpay_pass_headers_set[] = {
    { ngx_string("Connection"), ngx_null_string },
    { ngx_string("Upgrade"), ngx_null_string },
    { ngx_string("Expect"), ngx_null_string },
    { ngx_null_string, ngx_null_string }
};


static ngx_str_t  ngx_http_idpay_pass_host = ngx_string("Host");
static ngx_str_t  ngx_http_idpay_pass_accept_encoding =
    ngx_string("Accept-Encoding");
static ngx_str_t  ngx_http_idpay_pass_content_type =
    ngx_string("Content-Type");
static ngx_str_t  ngx_http_idpay_pass_empty = ngx_string("");
static ngx_str_t  ngx_http_idpay_pass_on = ngx_string("on");


char *
ngx_http_idpay_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_loc_conf_t *ilcf = conf;

    u_char                    *p, *last;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (ilcf->provider.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    last = value[1].data + value[1].len;

    for (p = value[1].data; p < last && *p != '/'; p++) {

        if (*p == ':' || *p == '$') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: invalid provider in \"idpay_pass "
                               "%V\", use the name of an upstream, without "
                               "scheme, port and variables", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    ilcf->provider.data = value[1].data;
    ilcf->provider.len = p - value[1].data;

    ilcf->uri.data = p;
    ilcf->uri.len = last - p;

    if (ilcf->provider.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: no provider in \"idpay_pass %V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "conflicts with another content handler of the location";
    }

    if (ilcf->uri.len
        && (clcf->named
#if (NGX_PCRE)
            || clcf->regex
#endif
           ))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_pass\" cannot have URI part in "
                           "location given by regular expression, or inside "
                           "named location");
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_idpay_pass_handler;

    ilcf->location_len = clcf->name.len;
    ilcf->loc_conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf;
    ilcf->file_name = cf->conf_file->file.name.data;
    ilcf->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_pass_merge(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *prev,
    ngx_http_idpay_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->provider.len == 0) {

        /* "if" and "limit_except" go on with the location's handler */

        if (!clcf->noname || prev->provider.len == 0 || clcf->handler) {
            return NGX_CONF_OK;
        }

        *conf = *prev;

        if (clcf->lmt_excpt) {
            clcf->handler = ngx_http_idpay_pass_handler;
        }

    } else {

        if (clcf->handler != ngx_http_idpay_pass_handler) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "idpay: \"idpay_pass %V\" conflicts with another "
                          "content handler of the location, in %s:%ui",
                          &conf->provider, conf->file_name, conf->line);
            return NGX_CONF_ERROR;
        }

        conf->iucf = ngx_http_idpay_pass_provider(cf, &conf->provider);

        if (conf->iucf == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "idpay: unknown provider \"%V\" in \"idpay_pass\", "
                          "no upstream of that name has \"idpay_provider\", "
                          "in %s:%ui", &conf->provider, conf->file_name,
                          conf->line);
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_idpay_pass_attempt_conf(cf, conf) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: \"idpay_pass %V\" cannot be set up, in %s:%ui",
                      &conf->provider, conf->file_name, conf->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_idpay_upstream_conf_t *
ngx_http_idpay_pass_provider(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;
    ngx_http_idpay_upstream_conf_t  *iucf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->srv_conf == NULL
            || uscfp[i]->host.len != name->len
            || ngx_strncasecmp(uscfp[i]->host.data, name->data, name->len)
               != 0)
        {
            continue;
        }

        iucf = ngx_http_conf_upstream_srv_conf(uscfp[i],
                                               ngx_http_idpay_module);

        return iucf->preset ? iucf : NULL;
    }

    return NULL;
}


/*
 * Attempts run in a copy of the location with a configuration of the proxy
 * module that inherits the location's one, as if it stood in a location inside
 * of it.
 */

static ngx_int_t
ngx_http_idpay_pass_attempt_conf(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf)
{
    void                      *plcf, *parent, **saved;
    ngx_int_t                  rc;
    ngx_uint_t                 index;
    ngx_http_module_t         *proxy;
    ngx_http_conf_ctx_t       *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    ctx = cf->ctx;
    saved = ctx->loc_conf;

    proxy = ngx_http_proxy_module.ctx;
    index = ngx_http_proxy_module.ctx_index;

    conf->attempt_conf = ngx_palloc(cf->pool,
                                    sizeof(void *) * ngx_http_max_module);
    if (conf->attempt_conf == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(conf->attempt_conf, saved,
               sizeof(void *) * ngx_http_max_module);

    plcf = proxy->create_loc_conf(cf);
    if (plcf == NULL) {
        return NGX_ERROR;
    }

    conf->attempt_conf[index] = plcf;
    parent = saved[index];

    /* the URI replaces the name of the location that has the directive */

    ctx->loc_conf = conf->loc_conf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    rc = ngx_http_idpay_pass_proxy(cf, conf, plcf);

    conf->proxy_handler = clcf->handler;
    clcf->handler = ngx_http_idpay_pass_handler;

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_pass_headers(cf, conf, plcf, parent);
    }

    if (rc == NGX_OK
        && proxy->merge_loc_conf(cf, parent, plcf) != NGX_CONF_OK)
    {
        rc = NGX_ERROR;
    }

    ctx->loc_conf = saved;

    return rc;
}


static ngx_int_t
ngx_http_idpay_pass_proxy(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    void *plcf)
{
    u_char                          *p;
    ngx_str_t                        url;
    ngx_uint_t                       i;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = conf->iucf;

    url.len = sizeof("https://") - 1 + iucf->name.len + conf->uri.len;

    url.data = ngx_pnalloc(cf->pool, url.len + 1);
    if (url.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(url.data, "%s://%V%V%Z", iucf->tls ? "https" : "http",
                    &iucf->name, &conf->uri);
    url.len = p - url.data - 1;

    if (ngx_http_idpay_pass_set(cf, plcf, "proxy_pass", &url, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; ngx_http_idpay_pass_proxy_settings[i].name; i++) {
        if (ngx_http_idpay_pass_set(cf, plcf,
                                ngx_http_idpay_pass_proxy_settings[i].name,
                                &ngx_http_idpay_pass_proxy_settings[i].value,
                                NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!iucf->tls) {
        return NGX_OK;
    }

    if (ngx_http_idpay_pass_set(cf, plcf, "proxy_ssl_verify",
                                &ngx_http_idpay_pass_on, NULL)
        != NGX_OK
        || ngx_http_idpay_pass_set(cf, plcf, "proxy_ssl_server_name",
                                   &ngx_http_idpay_pass_on, NULL)
           != NGX_OK
        || ngx_http_idpay_pass_set(cf, plcf, "proxy_ssl_name", &iucf->host,
                                   NULL)
           != NGX_OK
        || ngx_http_idpay_pass_set(cf, plcf, "proxy_ssl_trusted_certificate",
                                   &iucf->trusted_certificate, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Headers that the administrator sets, hides and passes are kept, but for
 * those that are the module's own.
 */

static ngx_int_t
ngx_http_idpay_pass_headers(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    void *plcf, void *parent)
{
    ngx_str_t                 *name;
    ngx_uint_t                 i, encoding;
    ngx_array_t               *set;
    ngx_keyval_t              *kv;
    ngx_command_t             *cmd;
    ngx_http_upstream_conf_t  *ucf;

    encoding = 0;

    cmd = ngx_http_idpay_pass_command("proxy_set_header");
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    set = *(ngx_array_t **) ((char *) parent + cmd->offset);

    for (i = 0; set && i < set->nelts; i++) {
        kv = set->elts;

        if (ngx_http_idpay_pass_own_header(conf, &kv[i].key)) {
            continue;
        }

        if (ngx_strcasecmp(kv[i].key.data,
                           ngx_http_idpay_pass_accept_encoding.data)
            == 0)
        {
            encoding = 1;
        }

        if (ngx_http_idpay_pass_set(cf, plcf, "proxy_set_header", &kv[i].key,
                                    &kv[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (kv = ngx_http_idpay_pass_headers_set; kv->key.len; kv++) {
        if (ngx_http_idpay_pass_set(cf, plcf, "proxy_set_header", &kv->key,
                                    &kv->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_idpay_pass_set(cf, plcf, "proxy_set_header",
                                &ngx_http_idpay_pass_host, &conf->iucf->host)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the gateway has to read errors, so they are not to be encoded */

    if (!encoding
        && ngx_http_idpay_pass_set(cf, plcf, "proxy_set_header",
                                   &ngx_http_idpay_pass_accept_encoding,
                                   &ngx_http_idpay_pass_empty)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the configuration of each module over upstreams begins with this one */

    ucf = parent;

    if (ucf->hide_headers != NGX_CONF_UNSET_PTR) {
        name = ucf->hide_headers->elts;

        for (i = 0; i < ucf->hide_headers->nelts; i++) {
            if (ngx_http_idpay_pass_set(cf, plcf, "proxy_hide_header",
                                        &name[i], NULL)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    for (i = 0; ngx_http_idpay_pass_hidden[i].len; i++) {
        if (ngx_http_idpay_pass_set(cf, plcf, "proxy_hide_header",
                                    &ngx_http_idpay_pass_hidden[i], NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ucf->pass_headers == NGX_CONF_UNSET_PTR) {
        return NGX_OK;
    }

    /* a list of its own inherits none; this header always passes */

    if (ngx_http_idpay_pass_set(cf, plcf, "proxy_pass_header",
                                &ngx_http_idpay_pass_content_type, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    name = ucf->pass_headers->elts;

    for (i = 0; i < ucf->pass_headers->nelts; i++) {

        if (ngx_strcasecmp(name[i].data, ngx_http_idpay_pass_hidden[0].data)
            == 0
            || ngx_strcasecmp(name[i].data, ngx_http_idpay_pass_hidden[1].data)
               == 0)
        {
            continue;
        }

        if (ngx_http_idpay_pass_set(cf, plcf, "proxy_pass_header", &name[i],
                                    NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_idpay_pass_own_header(ngx_http_idpay_loc_conf_t *conf,
    ngx_str_t *name)
{
    ngx_keyval_t  *kv;

    for (kv = ngx_http_idpay_pass_headers_set; kv->key.len; kv++) {
        if (ngx_strcasecmp(name->data, kv->key.data) == 0) {
            return 1;
        }
    }

    return ngx_strcasecmp(name->data, ngx_http_idpay_pass_host.data) == 0
           || ngx_http_idpay_screen_header(conf->iucf->drop_headers, name);
}


/*
 * Sets a directive of the proxy module as if it stood in the configuration.
 */

static ngx_int_t
ngx_http_idpay_pass_set(ngx_conf_t *cf, void *plcf, char *name,
    ngx_str_t *first, ngx_str_t *second)
{
    char           *rv;
    ngx_str_t       args[3];
    ngx_array_t     array, *saved;
    ngx_command_t  *cmd;

    cmd = ngx_http_idpay_pass_command(name);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    args[0] = cmd->name;
    args[1] = *first;

    ngx_memzero(&array, sizeof(ngx_array_t));

    array.elts = args;
    array.nelts = 2;
    array.size = sizeof(ngx_str_t);
    array.nalloc = 3;
    array.pool = cf->pool;

    if (second) {
        args[2] = *second;
        array.nelts = 3;
    }

    saved = cf->args;
    cf->args = &array;

    rv = cmd->set(cf, cmd, plcf);

    cf->args = saved;

    if (rv == NGX_CONF_OK) {
        return NGX_OK;
    }

    if (rv != NGX_CONF_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "idpay: \"%s %V\" %s",
                      name, first, rv);
    }

    return NGX_ERROR;
}


static ngx_command_t *
ngx_http_idpay_pass_command(char *name)
{
    ngx_command_t  *cmd;

    for (cmd = ngx_http_proxy_module.commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, name) == 0) {
            return cmd;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_idpay_pass_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_idpay_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->ilcf = ngx_http_get_module_loc_conf(r, ngx_http_idpay_module);
    ctx->iucf = ctx->ilcf->iucf;

    ngx_http_set_ctx(r, ctx, ngx_http_idpay_module);

    rc = ngx_http_idpay_exchange_test(r, ctx);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_idpay_exchange_start);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}
