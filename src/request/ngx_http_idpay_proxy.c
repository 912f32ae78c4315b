
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_proxy.h"

#include "request/ngx_http_idpay_screen.h"


extern ngx_module_t  ngx_http_proxy_module;


static ngx_int_t ngx_http_idpay_proxy_test(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, void *parent);
static ngx_uint_t ngx_http_idpay_proxy_listed(ngx_str_t *list,
    ngx_str_t *name);
static ngx_int_t ngx_http_idpay_proxy_target(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, void *plcf);
static ngx_int_t ngx_http_idpay_proxy_headers(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, void *plcf, void *parent);
static ngx_int_t ngx_http_idpay_proxy_hide(ngx_conf_t *cf, void *plcf,
    void *parent);
static ngx_uint_t ngx_http_idpay_proxy_own_header(
    ngx_http_idpay_loc_conf_t *conf, ngx_str_t *name);
static ngx_int_t ngx_http_idpay_proxy_set(ngx_conf_t *cf, void *plcf,
    char *name, ngx_str_t *first, ngx_str_t *second);
static ngx_command_t *ngx_http_idpay_proxy_command(char *name);


/*
 * What attempts need of the proxy module, over whatever else is configured:
 * one verified protocol, no repeats but the module's own, and a provider that
 * cannot steer the gateway.
 */

static struct {
    char       *name;
    ngx_str_t   value;
} ngx_http_idpay_proxy_settings[] = {
    { "proxy_http_version", ngx_string("1.1") },
    { "proxy_pass_request_headers", ngx_string("on") },
    { "proxy_intercept_errors", ngx_string("off") },
    { "proxy_force_ranges", ngx_string("off") },
    { "proxy_store", ngx_string("off") },
#if (NGX_HTTP_CACHE)
    { "proxy_cache", ngx_string("off") },
#endif
    { "proxy_next_upstream", ngx_string("off") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Redirect") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Expires") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Limit-Rate") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Buffering") },
    { "proxy_ignore_headers", ngx_string("X-Accel-Charset") },
    { NULL, ngx_null_string }
};


/* what stays with the gateway, whatever "proxy_pass_header" says */

static ngx_str_t  ngx_http_idpay_proxy_hidden[] = {
    ngx_string("Set-Cookie"),
    ngx_string("WWW-Authenticate"),
    ngx_null_string
};


/* an empty value is a header that is not sent */

static ngx_keyval_t  ngx_http_idpay_proxy_own_headers[] = {
    { ngx_string("Connection"), ngx_null_string },
    { ngx_string("Upgrade"), ngx_null_string },
    { ngx_string("Expect"), ngx_null_string },
    { ngx_null_string, ngx_null_string }
};


/* these can be taken away, but not be made to say something else */

static ngx_str_t  ngx_http_idpay_proxy_framing[] = {
    ngx_string("Content-Length"),
    ngx_string("Transfer-Encoding"),
    ngx_string("TE"),
    ngx_string("Keep-Alive"),
    ngx_null_string
};


/* the commands of "proxy_ssl_conf_command" that leave verification alone */

static ngx_str_t  ngx_http_idpay_proxy_ssl_commands[] = {
    ngx_string("Options"),
    ngx_string("CipherString"),
    ngx_string("Ciphersuites"),
    ngx_string("Curves"),
    ngx_string("Groups"),
    ngx_string("SignatureAlgorithms"),
    ngx_string("ClientSignatureAlgorithms"),
    ngx_string("MinProtocol"),
    ngx_string("MaxProtocol"),
    ngx_null_string
};


static ngx_str_t  ngx_http_idpay_proxy_host = ngx_string("Host");
static ngx_str_t  ngx_http_idpay_proxy_accept_encoding =
    ngx_string("Accept-Encoding");
static ngx_str_t  ngx_http_idpay_proxy_content_type =
    ngx_string("Content-Type");
static ngx_str_t  ngx_http_idpay_proxy_empty = ngx_string("");
static ngx_str_t  ngx_http_idpay_proxy_on = ngx_string("on");


/*
 * Attempts run in a copy of the location with a configuration of the proxy
 * module that inherits the location's one, as if it stood in a location inside
 * of it.
 */

ngx_int_t
ngx_http_idpay_proxy_create(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *conf, ngx_http_handler_pt handler)
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

    rc = ngx_http_idpay_proxy_test(cf, conf, parent);

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_proxy_target(cf, conf, plcf);
    }

    conf->proxy_handler = clcf->handler;
    clcf->handler = handler;

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_proxy_headers(cf, conf, plcf, parent);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_proxy_hide(cf, plcf, parent);
    }

    if (rc == NGX_OK
        && proxy->merge_loc_conf(cf, parent, plcf) != NGX_CONF_OK)
    {
        rc = NGX_ERROR;
    }

    ctx->loc_conf = saved;

    return rc;
}


/*
 * What is tested of a call is to be what is sent, and nothing but the module
 * decides what a provider is verified with.
 */

static ngx_int_t
ngx_http_idpay_proxy_test(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    void *parent)
{
    char           *argument;
    ngx_uint_t      i;
    ngx_array_t    *commands;
    ngx_keyval_t   *kv;
    ngx_command_t  *method, *body, *ssl, *refused;

    method = ngx_http_idpay_proxy_command("proxy_method");
    body = ngx_http_idpay_proxy_command("proxy_set_body");
    ssl = ngx_http_idpay_proxy_command("proxy_ssl_conf_command");

    if (method == NULL || body == NULL || ssl == NULL) {
        return NGX_ERROR;
    }

    refused = NULL;
    argument = "";

    if (*(void **) ((char *) parent + method->offset)) {
        refused = method;
    }

    if (((ngx_str_t *) ((char *) parent + body->offset))->data) {
        refused = body;
    }

    commands = *(ngx_array_t **) ((char *) parent + ssl->offset);

    for (i = 0; commands && i < commands->nelts; i++) {
        kv = commands->elts;

        if (!ngx_http_idpay_proxy_listed(ngx_http_idpay_proxy_ssl_commands,
                                         &kv[i].key))
        {
            refused = ssl;
            argument = (char *) kv[i].key.data;
        }
    }

    if (refused == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "idpay: \"%V%s%s\" cannot be used with \"idpay_pass %V\", "
                  "in %s:%ui", &refused->name, *argument ? " " : "", argument,
                  &conf->provider, conf->file_name, conf->line);

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_idpay_proxy_listed(ngx_str_t *list, ngx_str_t *name)
{
    for ( /* void */ ; list->len; list++) {
        if (ngx_strcasecmp(name->data, list->data) == 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_idpay_proxy_target(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
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

    if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_pass", &url, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; ngx_http_idpay_proxy_settings[i].name; i++) {
        if (ngx_http_idpay_proxy_set(cf, plcf,
                                ngx_http_idpay_proxy_settings[i].name,
                                &ngx_http_idpay_proxy_settings[i].value,
                                NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!iucf->tls) {
        return NGX_OK;
    }

    if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_ssl_verify",
                                &ngx_http_idpay_proxy_on, NULL)
        != NGX_OK
        || ngx_http_idpay_proxy_set(cf, plcf, "proxy_ssl_server_name",
                                   &ngx_http_idpay_proxy_on, NULL)
           != NGX_OK
        || ngx_http_idpay_proxy_set(cf, plcf, "proxy_ssl_name", &iucf->host,
                                   NULL)
           != NGX_OK
        || ngx_http_idpay_proxy_set(cf, plcf, "proxy_ssl_trusted_certificate",
                                   &iucf->trusted_certificate, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Headers that the administrator sets, and below those that he hides and
 * passes, are kept but for the module's own.
 */

static ngx_int_t
ngx_http_idpay_proxy_headers(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    void *plcf, void *parent)
{
    ngx_uint_t      i, encoding;
    ngx_array_t    *set;
    ngx_keyval_t   *kv;
    ngx_command_t  *cmd;

    /* the first of all, the credential is put behind it */

    if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_set_header",
                                &ngx_http_idpay_proxy_host, &conf->iucf->host)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    encoding = 0;

    cmd = ngx_http_idpay_proxy_command("proxy_set_header");
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    set = *(ngx_array_t **) ((char *) parent + cmd->offset);

    for (i = 0; set && i < set->nelts; i++) {
        kv = set->elts;

        if (ngx_http_idpay_proxy_own_header(conf, &kv[i].key)) {
            continue;
        }

        if (kv[i].value.len
            && ngx_http_idpay_proxy_listed(ngx_http_idpay_proxy_framing,
                                           &kv[i].key))
        {
            continue;
        }

        if (ngx_strcasecmp(kv[i].key.data,
                           ngx_http_idpay_proxy_accept_encoding.data)
            == 0)
        {
            encoding = 1;
        }

        if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_set_header", &kv[i].key,
                                    &kv[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (kv = ngx_http_idpay_proxy_own_headers; kv->key.len; kv++) {
        if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_set_header", &kv->key,
                                    &kv->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* the gateway has to read errors, so they are not to be encoded */

    if (!encoding
        && ngx_http_idpay_proxy_set(cf, plcf, "proxy_set_header",
                                   &ngx_http_idpay_proxy_accept_encoding,
                                   &ngx_http_idpay_proxy_empty)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_proxy_hide(ngx_conf_t *cf, void *plcf, void *parent)
{
    ngx_str_t                 *name;
    ngx_uint_t                 i;
    ngx_http_upstream_conf_t  *ucf;

    /* the configuration of each module over upstreams begins with this one */

    ucf = parent;

    if (ucf->hide_headers != NGX_CONF_UNSET_PTR) {
        name = ucf->hide_headers->elts;

        for (i = 0; i < ucf->hide_headers->nelts; i++) {
            if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_hide_header",
                                        &name[i], NULL)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    for (i = 0; ngx_http_idpay_proxy_hidden[i].len; i++) {
        if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_hide_header",
                                    &ngx_http_idpay_proxy_hidden[i], NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ucf->pass_headers == NGX_CONF_UNSET_PTR) {
        return NGX_OK;
    }

    /* a list of its own inherits none; this header always passes */

    if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_pass_header",
                                &ngx_http_idpay_proxy_content_type, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    name = ucf->pass_headers->elts;

    for (i = 0; i < ucf->pass_headers->nelts; i++) {

        if (ngx_http_idpay_proxy_listed(ngx_http_idpay_proxy_hidden,
                                        &name[i]))
        {
            continue;
        }

        if (ngx_http_idpay_proxy_set(cf, plcf, "proxy_pass_header", &name[i],
                                    NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_idpay_proxy_own_header(ngx_http_idpay_loc_conf_t *conf,
    ngx_str_t *name)
{
    ngx_keyval_t  *kv;

    for (kv = ngx_http_idpay_proxy_own_headers; kv->key.len; kv++) {
        if (ngx_strcasecmp(name->data, kv->key.data) == 0) {
            return 1;
        }
    }

    return ngx_strcasecmp(name->data, ngx_http_idpay_proxy_host.data) == 0
           || ngx_http_idpay_screen_header(conf->iucf->drop_headers, name);
}


/*
 * Sets a directive of the proxy module as if it stood in the configuration.
 */

static ngx_int_t
ngx_http_idpay_proxy_set(ngx_conf_t *cf, void *plcf, char *name,
    ngx_str_t *first, ngx_str_t *second)
{
    char           *rv;
    ngx_str_t       args[3];
    ngx_array_t     array, *saved;
    ngx_command_t  *cmd;

    cmd = ngx_http_idpay_proxy_command(name);
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
ngx_http_idpay_proxy_command(char *name)
{
    ngx_command_t  *cmd;

    for (cmd = ngx_http_proxy_module.commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, name) == 0) {
            return cmd;
        }
    }

    return NULL;
}
