
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_upstream.h"

#include "credential/ngx_http_idpay_grants.h"
#include "lib/ngx_http_idpay_crypto.h"
#include "lib/ngx_http_idpay_curl.h"


/* one "idpay_secret": values are read at once, the name is checked later */

typedef struct {
    ngx_str_t    name;
    ngx_str_t    values[NGX_HTTP_IDPAY_SLOTS];
    u_char      *file_name;
    ngx_uint_t   line;
} ngx_http_idpay_secret_conf_t;


static ngx_int_t ngx_http_idpay_upstream_read(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_str_t *text, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_upstream_set_host(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_upstream_check_tls(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_upstream_set_ca(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_upstream_conf_t *defaults);
static ngx_int_t ngx_http_idpay_upstream_set_secrets(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_upstream_set_credentials(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_upstream_set_drops(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);
static ngx_int_t ngx_http_idpay_upstream_add_drops(ngx_array_t *names,
    const ngx_str_t *list);


/* where systems keep the bundle of CA certificates */

static ngx_str_t  ngx_http_idpay_ca_bundles[] = {
    ngx_string("/etc/ssl/certs/ca-certificates.crt"),
    ngx_string("/etc/pki/tls/certs/ca-bundle.crt"),
    ngx_string("/etc/ssl/ca-bundle.pem"),
    ngx_string("/etc/ssl/cert.pem"),
    ngx_string("/usr/local/share/certs/ca-root-nss.crt"),
    ngx_null_string
};


/* a caller's credential is of no use to a provider, whatever its scheme */

static const ngx_str_t  ngx_http_idpay_drop_headers[] = {
    ngx_string("authorization"),
    ngx_string("proxy-authorization"),
    ngx_string("cookie"),
    ngx_null_string
};


char *
ngx_http_idpay_upstream_provider(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t  *value, names;

    if (iucf->preset) {
        return "is duplicate";
    }

    value = cf->args->elts;

    iucf->preset = ngx_http_idpay_provider_find(&value[1]);

    if (iucf->preset == NULL) {
        names = ngx_http_idpay_provider_names(cf->pool, 0);

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: unknown preset \"%V\" in "
                           "\"idpay_provider\", use one of: %V", &value[1],
                           &names);
        return NGX_CONF_ERROR;
    }

    iucf->scheme = iucf->preset->scheme;
    iucf->file_name = cf->conf_file->file.name.data;
    iucf->line = cf->conf_file->line;

    iucf->secrets = ngx_array_create(cf->pool, NGX_HTTP_IDPAY_MAX_SECRETS,
                                     sizeof(ngx_http_idpay_secret_conf_t));
    if (iucf->secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    iucf->vault = ngx_http_idpay_vault_create(cf->pool);
    if (iucf->vault == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_upstream_first(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_str_t  *value;

    if (iucf->preset) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "idpay: \"%V\" stands before \"idpay_provider\", "
                       "which must be the first idpay_ directive of "
                       "an upstream", &value[0]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_idpay_upstream_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_idpay_secret_conf_t  *secret;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    secret = iucf->secrets->elts;
    for (i = 0; i < iucf->secrets->nelts; i++) {

        if (secret[i].name.len == value[1].len
            && ngx_strncmp(secret[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: duplicate secret \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    secret = ngx_array_push(iucf->secrets);
    if (secret == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(secret, sizeof(ngx_http_idpay_secret_conf_t));

    secret->name = value[1];
    secret->file_name = cf->conf_file->file.name.data;
    secret->line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_idpay_upstream_read(cf, iucf, &value[i],
                                         &secret->values[i - 2])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_idpay_upstream_read(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf, ngx_str_t *text, ngx_str_t *value)
{
    char                     *reason;
    ngx_err_t                 err;
    ngx_str_t                *name;
    ngx_int_t                 rc;
    ngx_uint_t                open_to_others;
    ngx_http_idpay_source_t   source;

    name = cf->args->elts;
    name++;

    rc = ngx_http_idpay_secret_source(cf->cycle, cf->pool, text, &source);

    if (rc == NGX_DECLINED) {

        /* the text may be the secret itself, so it is not repeated */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: the secret \"%V\" must not stand in the "
                           "configuration, use \"file:PATH\" or \"env:NAME\"",
                           name);
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    reason = ngx_http_idpay_secret_read(iucf->vault, &source, value,
                                        &open_to_others, &err);
    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "idpay: the secret \"%V\": %s \"%V\" %s", name,
                           source.env ? "variable" : "file", &source.name,
                           reason);
        return NGX_ERROR;
    }

    if (open_to_others) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "idpay: the secret \"%V\": file \"%V\" is "
                           "readable by everybody, \"chmod o-rwx\" closes it",
                           name,
                           &source.name);
    }

    return NGX_OK;
}


char *
ngx_http_idpay_upstream_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    char       *err;
    ngx_str_t  *value;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (iucf->preset->scheme) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_auth\" is for the preset "
                           "\"generic\", \"%V\" has a scheme of its own",
                           &iucf->preset->name);
        return NGX_CONF_ERROR;
    }

    if (iucf->scheme) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "oauth2") == 0) {
        iucf->scheme = ngx_http_idpay_grants_scheme(cf);

        return iucf->scheme ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    iucf->scheme = ngx_http_idpay_credential_scheme(cf->pool, cf->args, &err);

    if (iucf->scheme == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: the scheme \"%V\" in \"idpay_auth\" %s",
                           &value[1], err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_upstream_host(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    u_char       c;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (iucf->host.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        c = ngx_tolower(value[1].data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '-' && c != '.' && c != '_')
        {
            break;
        }
    }

    if (value[1].len == 0 || i < value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: invalid name \"%V\" in \"idpay_host\", use "
                           "a host name without scheme and port", &value[1]);
        return NGX_CONF_ERROR;
    }

    iucf->host = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_upstream_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    if (ngx_http_idpay_upstream_first(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_idpay_upstream_trusted_certificate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t   *value, file;
    const char  *reason;

    if ((cf->cmd_type & NGX_HTTP_UPS_CONF)
        && ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (iucf->trusted_certificate.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "names no file";
    }

    file = value[1];

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    reason = ngx_http_idpay_crypto_test_ca(&file);

    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: CA certificates cannot be read from \"%V\" "
                           "(%s)", &file, reason);
        return NGX_CONF_ERROR;
    }

    /* as it is written: the proxy module makes it a full name itself */

    iucf->trusted_certificate = value[1];
    iucf->ca_file = file;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_idpay_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_idpay_upstream_conf_t *defaults)
{
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_idpay_module);

    iucf->name = uscf->host;

    if (iucf->tls == NGX_CONF_UNSET) {
        iucf->tls = 1;
    }

    if (iucf->scheme == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: no \"idpay_auth\" in upstream \"%V\", the preset "
                      "\"generic\" needs it, in %s:%ui", &iucf->name,
                      iucf->file_name, iucf->line);
        return NGX_ERROR;
    }

    if (ngx_http_idpay_upstream_set_host(cf, uscf, iucf) != NGX_OK
        || ngx_http_idpay_upstream_check_tls(cf, uscf, iucf) != NGX_OK
        || ngx_http_idpay_upstream_set_ca(cf, iucf, defaults) != NGX_OK
        || ngx_http_idpay_upstream_set_secrets(cf, iucf) != NGX_OK
        || ngx_http_idpay_upstream_set_credentials(cf, iucf) != NGX_OK
        || ngx_http_idpay_upstream_set_drops(cf, iucf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_upstream_set_host(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_upstream_conf_t *iucf)
{
    u_char                      *port;
    ngx_str_t                    host;
    ngx_http_upstream_server_t  *server;

    if (iucf->host.data) {
        return NGX_OK;
    }

    server = uscf->servers->elts;
    host = server[0].name;

    if (host.len > 5 && ngx_strncasecmp(host.data, (u_char *) "unix:", 5) == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: no \"idpay_host\" in upstream \"%V\", whose "
                      "first server is a unix socket, in %s:%ui", &iucf->name,
                      iucf->file_name, iucf->line);
        return NGX_ERROR;
    }

    port = (host.data[0] == '[') ? ngx_strlchr(host.data, host.data + host.len,
                                               ']')
                                 : host.data;

    if (port) {
        port = ngx_strlchr(port, host.data + host.len, ':');
    }

    if (port) {
        host.len = port - host.data;
    }

    iucf->host = host;

    if (iucf->tls
        && (host.data[0] == '['
            || ngx_inet_addr(host.data, host.len) != INADDR_NONE))
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "idpay: the first server of upstream \"%V\" is an "
                      "address, which no certificate can be verified "
                      "against: set \"idpay_host\" to the provider's name, "
                      "in %s:%ui", &iucf->name, iucf->file_name, iucf->line);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_upstream_check_tls(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_uint_t                   i, j;
    ngx_http_upstream_server_t  *server;

    if (iucf->tls) {
        return NGX_OK;
    }

    server = uscf->servers->elts;

    for (i = 0; i < uscf->servers->nelts; i++) {

        for (j = 0; j < server[i].naddrs; j++) {
            if (!ngx_http_idpay_curl_loopback(server[i].addrs[j].sockaddr)) {
                goto remote;
            }
        }

        if (j == 0) {
            goto remote;
        }
    }

    return NGX_OK;

remote:

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "idpay: \"idpay_tls off\" in upstream \"%V\", whose server "
                  "\"%V\" is neither a loopback address nor a unix socket, "
                  "in %s:%ui",
                  &iucf->name, &server[i].name, iucf->file_name, iucf->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_idpay_upstream_set_ca(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_upstream_conf_t *defaults)
{
    ngx_uint_t       i;
    ngx_file_info_t  fi;

    if (iucf->trusted_certificate.data) {
        return NGX_OK;
    }

    if (defaults->trusted_certificate.data) {
        iucf->trusted_certificate = defaults->trusted_certificate;
        iucf->ca_file = defaults->ca_file;
        return NGX_OK;
    }

    if (!iucf->tls) {
        return NGX_OK;
    }

    for (i = 0; ngx_http_idpay_ca_bundles[i].len; i++) {

        if (ngx_file_info(ngx_http_idpay_ca_bundles[i].data, &fi)
            != NGX_FILE_ERROR)
        {
            iucf->trusted_certificate = ngx_http_idpay_ca_bundles[i];
            iucf->ca_file = ngx_http_idpay_ca_bundles[i];
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "idpay: the system has no bundle of CA certificates to "
                  "verify upstream \"%V\", install one or set "
                  "\"idpay_trusted_certificate\", in %s:%ui", &iucf->name,
                  iucf->file_name, iucf->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_idpay_upstream_set_secrets(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    u_char                               buf[NGX_MAX_CONF_ERRSTR];
    ngx_str_t                            err;
    ngx_uint_t                           i, n, slot;
    ngx_http_idpay_secret_conf_t        *secret;
    const ngx_http_idpay_secret_spec_t  *spec;

    err.data = buf;
    spec = iucf->scheme->secrets;
    secret = iucf->secrets->elts;

    for (i = 0; i < iucf->secrets->nelts; i++) {

        for (n = 0; n < iucf->scheme->nsecrets; n++) {
            if (secret[i].name.len == spec[n].name.len
                && ngx_strncmp(secret[i].name.data, spec[n].name.data,
                               spec[n].name.len)
                   == 0)
            {
                break;
            }
        }

        if (n == iucf->scheme->nsecrets) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "idpay: unknown secret \"%V\" in upstream \"%V\", "
                          "it has \"%V\"%s%V%s, in %s:%ui", &secret[i].name,
                          &iucf->name, &spec[0].name, n > 1 ? " and \"" : "",
                          &spec[1].name, n > 1 ? "\"" : "",
                          secret[i].file_name, secret[i].line);
            return NGX_ERROR;
        }

        for (slot = 0; slot < NGX_HTTP_IDPAY_SLOTS; slot++) {

            if (secret[i].values[slot].data == NULL) {
                continue;
            }

            if (ngx_http_idpay_credential_test(iucf->scheme, n,
                                               &secret[i].values[slot], &err)
                != NGX_OK)
            {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "idpay: the %ssecret \"%V\" in upstream \"%V\" "
                              "%V, in %s:%ui", slot ? "next " : "",
                              &secret[i].name, &iucf->name, &err,
                              secret[i].file_name, secret[i].line);
                return NGX_ERROR;
            }

            iucf->values[slot][n] = secret[i].values[slot];
        }
    }

    for (n = 0; n < iucf->scheme->nsecrets; n++) {

        if (iucf->values[NGX_HTTP_IDPAY_PRIMARY][n].data == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "idpay: no \"idpay_secret %V\" in upstream \"%V\", "
                          "in %s:%ui", &spec[n].name, &iucf->name,
                          iucf->file_name, iucf->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_upstream_set_credentials(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_str_t   *values, *primary;
    ngx_uint_t   n, slot, given;

    primary = iucf->values[NGX_HTTP_IDPAY_PRIMARY];

    for (slot = 0; slot < NGX_HTTP_IDPAY_SLOTS; slot++) {

        values = iucf->values[slot];
        given = 0;

        /* what has no overlapping value stays as it is in a rotation */

        for (n = 0; n < iucf->scheme->nsecrets; n++) {

            if (values[n].data) {
                given = 1;

            } else {
                values[n] = primary[n];
            }
        }

        if (!given || iucf->scheme->grants) {
            continue;
        }

        iucf->credentials[slot] =
                    ngx_http_idpay_credential_create(cf->pool, iucf->vault,
                                                     iucf->scheme, values);
        if (iucf->credentials[slot] == NULL) {
            return NGX_ERROR;
        }
    }

    iucf->redact = ngx_http_idpay_credential_redact(cf->pool, iucf->vault,
                                                    iucf->scheme,
                                                    iucf->values[0],
                                                    iucf->values[1]);

    return iucf->redact ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_idpay_upstream_set_drops(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_str_t                      injected[2];
    ngx_uint_t                     i;
    ngx_array_t                   *names;
    const ngx_http_idpay_field_t  *field;

    iucf->drop_headers = ngx_array_create(cf->pool, 8, sizeof(ngx_str_t));
    if (iucf->drop_headers == NULL) {
        return NGX_ERROR;
    }

    iucf->drop_args = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (iucf->drop_args == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_idpay_upstream_add_drops(iucf->drop_headers,
                                          ngx_http_idpay_drop_headers)
        != NGX_OK
        || ngx_http_idpay_upstream_add_drops(iucf->drop_headers,
                                             iucf->preset->drop_headers)
           != NGX_OK
        || ngx_http_idpay_upstream_add_drops(iucf->drop_args,
                                             iucf->preset->drop_args)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_null(&injected[1]);

    for (i = 0; i < iucf->scheme->nfields; i++) {
        field = &iucf->scheme->fields[i];

        names = (field->type == NGX_HTTP_IDPAY_FIELD_ARGUMENT)
                ? iucf->drop_args : iucf->drop_headers;

        injected[0] = field->name;

        if (ngx_http_idpay_upstream_add_drops(names, injected) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* adds names of a list that ends with an empty one, in lower case */

static ngx_int_t
ngx_http_idpay_upstream_add_drops(ngx_array_t *names, const ngx_str_t *list)
{
    ngx_str_t  *name;

    for ( /* void */ ; list && list->len; list++) {

        name = ngx_array_push(names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        name->len = list->len;
        name->data = ngx_pnalloc(names->pool, list->len);
        if (name->data == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(name->data, list->data, list->len);
    }

    return NGX_OK;
}
