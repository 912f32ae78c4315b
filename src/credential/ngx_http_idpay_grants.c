
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_grants.h"

#include "credential/ngx_http_idpay_upstream.h"
#include "lib/ngx_http_idpay_curl.h"


/* s, where neither the answer nor the token tells */

#define NGX_HTTP_IDPAY_GRANTS_LIFE  1800


static ngx_uint_t ngx_http_idpay_grants_visible(ngx_str_t *url);
static ngx_uint_t ngx_http_idpay_grants_twice(ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_idpay_grants_argument(ngx_conf_t *cf,
    ngx_http_idpay_grant_t *grant, ngx_str_t *argument);
static char *ngx_http_idpay_grants_add(ngx_conf_t *cf, ngx_str_t *form,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_grants_own(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_grants_endpoint(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_grant_t *grant);


char *
ngx_http_idpay_grants_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_main_conf_t *imcf = conf;

    char                     *reason;
    ngx_err_t                 err;
    ngx_int_t                 rc;
    ngx_str_t                *value, text, keys[2];
    ngx_uint_t                i, open_to_others;
    ngx_http_idpay_source_t   source;

    if (imcf->store) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_memzero(keys, sizeof(keys));

    imcf->vault = ngx_http_idpay_vault_create(cf->pool);
    if (imcf->vault == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        text = value[i];

        if (text.len < 4 || ngx_strncmp(text.data, "key=", 4) != 0) {

            /* the text may be the key itself, so it is not repeated */

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: invalid parameter of "
                               "\"idpay_store\", use \"key=file:PATH\" or "
                               "\"key=env:NAME\"");
            return NGX_CONF_ERROR;
        }

        text.data += 4;
        text.len -= 4;

        rc = ngx_http_idpay_secret_source(cf->cycle, cf->temp_pool, &text,
                                          &source);
        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: the key of \"idpay_store\" must be "
                               "\"key=file:PATH\" or \"key=env:NAME\", it "
                               "cannot stand in the configuration");
            return NGX_CONF_ERROR;
        }

        reason = ngx_http_idpay_secret_read(imcf->vault, &source, &keys[i - 2],
                                            &open_to_others, &err);
        if (reason) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                               "idpay: the key \"%V\" of \"idpay_store\" %s",
                               &source.name, reason);
            return NGX_CONF_ERROR;
        }

        if (open_to_others) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "idpay: the key \"%V\" of \"idpay_store\" can "
                               "be read by everybody, use mode 0600",
                               &source.name);
        }

        if (keys[i - 2].len < NGX_HTTP_IDPAY_STORE_MIN_KEY) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: the key \"%V\" of \"idpay_store\" is "
                               "shorter than %d characters, make one with "
                               "\"openssl rand -hex 32\"", &source.name,
                               NGX_HTTP_IDPAY_STORE_MIN_KEY);
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    imcf->store = ngx_http_idpay_store_add(cf, &value[1], keys, imcf->vault);

    return imcf->store ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_idpay_grants_consent_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t  *value;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (iucf->consent_url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (iucf->scheme == NULL || iucf->scheme->grants == NULL
        || iucf->scheme->grants->consent_url.len == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_consent_url\" in a provider of "
                           "preset \"%V\", which asks nobody for consent",
                           &iucf->preset->name);
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_idpay_grants_web(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: invalid URL \"%V\" in "
                           "\"idpay_consent_url\", use "
                           "\"https://host/path\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    iucf->consent_url = value[1];

    return NGX_CONF_OK;
}


/* a URL that a browser is sent to: visible characters, and a host */

ngx_uint_t
ngx_http_idpay_grants_web(ngx_str_t *url)
{
    u_char  *p;

    p = url->data;

    if (url->len > 8 && ngx_strncasecmp(p, (u_char *) "https://", 8) == 0) {
        p += 8;

    } else if (url->len > 7
               && ngx_strncasecmp(p, (u_char *) "http://", 7) == 0)
    {
        p += 7;

    } else {
        return 0;
    }

    return *p != '/' && *p != '?' && *p != ':'
           && ngx_http_idpay_grants_visible(url);
}


static ngx_uint_t
ngx_http_idpay_grants_visible(ngx_str_t *url)
{
    ngx_uint_t  i;

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= 0x20 || url->data[i] >= 0x7f
            || url->data[i] == '#')
        {
            return 0;
        }
    }

    return 1;
}


ngx_http_idpay_scheme_t *
ngx_http_idpay_grants_scheme(ngx_conf_t *cf)
{
    char                     *err;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_idpay_grant_t   *grant;
    ngx_http_idpay_grants_t  *grants;
    ngx_http_idpay_scheme_t  *scheme;

    scheme = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_scheme_t));
    if (scheme == NULL) {
        return NULL;
    }

    grants = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_grants_t));
    if (grants == NULL) {
        return NULL;
    }

    scheme->grants = grants;

    scheme->nsecrets = 2;
    ngx_str_set(&scheme->secrets[NGX_HTTP_IDPAY_CLIENT_ID].name, "client_id");
    ngx_str_set(&scheme->secrets[NGX_HTTP_IDPAY_CLIENT_SECRET].name,
                "client_secret");

    scheme->nfields = 1;
    scheme->fields[0].type = NGX_HTTP_IDPAY_FIELD_TOKEN;
    ngx_str_set(&scheme->fields[0].name, "Authorization");

    grant = &grants->application;

    grant->post = 1;
    grant->auth = NGX_HTTP_IDPAY_CLIENT_BASIC_FORM;
    grant->life = NGX_HTTP_IDPAY_GRANTS_LIFE;
    ngx_str_set(&grant->access, "access_token");
    ngx_str_set(&grant->expires_in, "expires_in");

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        err = ngx_http_idpay_grants_twice(value, i)
              ? "is duplicate"
              : ngx_http_idpay_grants_argument(cf, grant, &value[i]);

        if (err) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: the parameter \"%V\" of "
                               "\"idpay_auth oauth2\" %s", &value[i], err);
            return NULL;
        }
    }

    if (grant->url.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_auth oauth2\" has no "
                           "\"token_url=URL\"");
        return NULL;
    }

    return scheme;
}


/* only "param" may be there several times */

static ngx_uint_t
ngx_http_idpay_grants_twice(ngx_str_t *value, ngx_uint_t n)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    p = ngx_strlchr(value[n].data, value[n].data + value[n].len, '=');

    if (p == NULL || ngx_strncmp(value[n].data, "param=", 6) == 0) {
        return 0;
    }

    len = p + 1 - value[n].data;

    for (i = 2; i < n; i++) {
        if (ngx_strncmp(value[i].data, value[n].data, len) == 0) {
            return 1;
        }
    }

    return 0;
}


static char *
ngx_http_idpay_grants_argument(ngx_conf_t *cf, ngx_http_idpay_grant_t *grant,
    ngx_str_t *argument)
{
    u_char     *p, *last;
    ngx_str_t   name, value;

    last = argument->data + argument->len;

    p = ngx_strlchr(argument->data, last, '=');
    if (p == NULL) {
        return "is no \"NAME=VALUE\"";
    }

    name.data = argument->data;
    name.len = p - argument->data;

    value.data = p + 1;
    value.len = last - value.data;

    if (value.len == 0) {
        return "has no value";
    }

    if (name.len == 9 && ngx_strncmp(name.data, "token_url", 9) == 0) {

        /* "//host/path" is meant as a URL and would be taken for a path */

        if ((value.data[0] != '/' || (value.len > 1 && value.data[1] == '/')
             || !ngx_http_idpay_grants_visible(&value))
            && !ngx_http_idpay_grants_web(&value))
        {
            return "is no URL, use \"https://host/path\", or \"/path\" at "
                   "the provider's own servers";
        }

        grant->url = value;

        return NULL;
    }

    if (name.len == 5 && ngx_strncmp(name.data, "scope", 5) == 0) {
        return ngx_http_idpay_grants_add(cf, &grant->form, &name, &value);
    }

    if (name.len == 11 && ngx_strncmp(name.data, "client_auth", 11) == 0) {

        if (value.len == 4 && ngx_strncmp(value.data, "post", 4) == 0) {
            grant->auth = NGX_HTTP_IDPAY_CLIENT_POST;
            return NULL;
        }

        if (value.len == 5 && ngx_strncmp(value.data, "basic", 5) == 0) {
            grant->auth = NGX_HTTP_IDPAY_CLIENT_BASIC_FORM;
            return NULL;
        }

        return "is unknown, use \"basic\" or \"post\"";
    }

    if (name.len == 5 && ngx_strncmp(name.data, "param", 5) == 0) {

        p = ngx_strlchr(value.data, last, ':');

        if (p == NULL || p == value.data) {
            return "must be \"param=NAME:VALUE\"";
        }

        name.data = value.data;
        name.len = p - value.data;

        value.data = p + 1;
        value.len = last - value.data;

        return ngx_http_idpay_grants_add(cf, &grant->form, &name, &value);
    }

    return "is unknown, use \"token_url\", \"scope\", \"client_auth\" or "
           "\"param\"";
}


/* adds "name=value" to a form, both encoded */

static char *
ngx_http_idpay_grants_add(ngx_conf_t *cf, ngx_str_t *form, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *data;

    data = ngx_pnalloc(cf->pool, form->len + 2 + (name->len + value->len) * 3);
    if (data == NULL) {
        return "has no memory";
    }

    p = ngx_cpymem(data, form->data, form->len);

    if (form->len) {
        *p++ = '&';
    }

    p = (u_char *) ngx_escape_uri(p, name->data, name->len,
                                  NGX_ESCAPE_URI_COMPONENT);
    *p++ = '=';
    p = (u_char *) ngx_escape_uri(p, value->data, value->len,
                                  NGX_ESCAPE_URI_COMPONENT);

    form->data = data;
    form->len = p - data;

    return NULL;
}


ngx_int_t
ngx_http_idpay_grants_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_idpay_main_conf_t *imcf, ngx_http_idpay_upstream_conf_t *iucf)
{
    const ngx_http_idpay_grants_t  *grants;

    if (iucf->scheme->grants == NULL) {
        return NGX_OK;
    }

    grants = iucf->scheme->grants;

    iucf->store = imcf->store;

    if (iucf->consent_url.data == NULL) {
        iucf->consent_url = grants->consent_url;
    }

    if (grants->client.url.len && iucf->store == NULL) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "idpay: the client tokens of \"%V\" are lost when nginx "
                      "ends, set \"idpay_store\" to keep them, in %s:%ui",
                      &iucf->name, iucf->file_name, iucf->line);
    }

    if (ngx_http_idpay_grants_own(cf, uscf, iucf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (grants->application.url.data[0] == '/') {
        return NGX_OK;
    }

    /* the scheme is of this provider alone */

    return ngx_http_idpay_grants_endpoint(cf, iucf,
                            (ngx_http_idpay_grant_t *) &grants->application);
}


/* the provider's own servers, those for want of others last */

static ngx_int_t
ngx_http_idpay_grants_own(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_addr_t                  *addr;
    ngx_uint_t                   i, j, backup;
    ngx_array_t                  addrs;
    ngx_http_upstream_server_t  *server;

    if (ngx_array_init(&addrs, cf->pool, uscf->servers->nelts,
                       sizeof(ngx_addr_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    server = uscf->servers->elts;

    for (backup = 0; backup < 2; backup++) {

        for (i = 0; i < uscf->servers->nelts; i++) {

            if (server[i].down || server[i].backup != backup) {
                continue;
            }

            for (j = 0; j < server[i].naddrs; j++) {
                addr = ngx_array_push(&addrs);
                if (addr == NULL) {
                    return NGX_ERROR;
                }

                *addr = server[i].addrs[j];
            }
        }
    }

    ngx_str_set(&iucf->token_scheme, "https");

    if (!iucf->tls) {
        ngx_str_set(&iucf->token_scheme, "http");
    }

    iucf->token_host = iucf->host;
    iucf->token_addrs = addrs.elts;
    iucf->token_naddrs = addrs.nelts;

    return NGX_OK;
}


/* a URL with a host, which is the provider's own or another one */

static ngx_int_t
ngx_http_idpay_grants_endpoint(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_grant_t *grant)
{
    char        *err;
    u_char      *p, *last;
    ngx_str_t    scheme, host;
    ngx_url_t    u;
    ngx_uint_t   tls;

    p = grant->url.data;
    last = p + grant->url.len;

    tls = (ngx_strncasecmp(p, (u_char *) "https://", 8) == 0);

    scheme = iucf->token_scheme;
    ngx_str_set(&iucf->token_scheme, "https");

    if (!tls) {
        ngx_str_set(&iucf->token_scheme, "http");
    }

    host.data = p + iucf->token_scheme.len + 3;

    p = ngx_strlchr(host.data, last, '/');
    host.len = (p ? p : last) - host.data;

    if (p) {
        grant->url.data = p;
        grant->url.len = last - p;

    } else {
        ngx_str_set(&grant->url, "/");
    }

    if (scheme.len == iucf->token_scheme.len
        && host.len == iucf->host.len
        && ngx_strncasecmp(host.data, iucf->host.data, host.len) == 0)
    {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = host;
    u.default_port = tls ? 443 : 80;
    u.no_resolve = 1;

    err = NULL;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK
        || ngx_strlchr(host.data, host.data + host.len, '@'))
    {
        err = "has no valid host";

    } else if (tls && iucf->trusted_certificate.len == 0) {
        err = "needs \"idpay_trusted_certificate\" where \"idpay_tls\" is off";

    } else if (!tls && (u.naddrs == 0
                        || !ngx_http_idpay_curl_loopback(u.addrs[0].sockaddr)))
    {
        err = "must be \"https\", unless its host is a loopback address";
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: the token_url with host \"%V\" in upstream "
                      "\"%V\" %s, in %s:%ui", &host, &iucf->name, err,
                      iucf->file_name, iucf->line);
        return NGX_ERROR;
    }

    iucf->token_host = host;
    iucf->token_addrs = u.addrs;
    iucf->token_naddrs = u.naddrs;

    return NGX_OK;
}
