
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_fetch.h"

#include "credential/ngx_http_idpay_oauth.h"


static ngx_int_t ngx_http_idpay_fetch_alloc(ngx_str_t *text, size_t len);
static void ngx_http_idpay_fetch_free(ngx_str_t *text);
static ngx_int_t ngx_http_idpay_fetch_call(
    ngx_http_idpay_upstream_conf_t *iucf, ngx_http_idpay_curl_call_t *call);
static ngx_int_t ngx_http_idpay_fetch_escape(ngx_str_t *from, ngx_str_t *to);


ngx_int_t
ngx_http_idpay_fetch_token(ngx_http_idpay_upstream_conf_t *iucf,
    const ngx_http_idpay_grant_t *grant, const char *type, ngx_str_t *value,
    ngx_http_idpay_curl_handler_pt handler, void *data)
{
    ngx_int_t                    rc;
    ngx_str_t                   *secrets, pair[2];
    ngx_http_idpay_curl_call_t   call;

    secrets = iucf->values[NGX_HTTP_IDPAY_PRIMARY];

    ngx_memzero(&call, sizeof(ngx_http_idpay_curl_call_t));
    ngx_memzero(pair, sizeof(pair));

    call.path = grant->url;
    call.handler = handler;
    call.data = data;
    call.essential = (value != NULL);

    rc = NGX_OK;

    if (grant->auth == NGX_HTTP_IDPAY_CLIENT_BASIC) {
        call.user = secrets[NGX_HTTP_IDPAY_CLIENT_ID];
        call.password = secrets[NGX_HTTP_IDPAY_CLIENT_SECRET];
    }

    if (grant->auth == NGX_HTTP_IDPAY_CLIENT_BASIC_FORM) {

        if (ngx_http_idpay_fetch_escape(&secrets[NGX_HTTP_IDPAY_CLIENT_ID],
                                        &pair[0])
            != NGX_OK
            || ngx_http_idpay_fetch_escape(
                                    &secrets[NGX_HTTP_IDPAY_CLIENT_SECRET],
                                    &pair[1])
               != NGX_OK)
        {
            rc = NGX_ERROR;
        }

        call.user = pair[0];
        call.password = pair[1];
    }

    if (rc == NGX_OK && grant->post) {
        rc = ngx_http_idpay_fetch_alloc(&call.form,
                               ngx_http_idpay_oauth_form(NULL, grant, secrets,
                                                         type, value));

        if (rc == NGX_OK) {
            (void) ngx_http_idpay_oauth_form(call.form.data, grant, secrets,
                                             type, value);
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_fetch_call(iucf, &call);
    }

    ngx_http_idpay_fetch_free(&pair[0]);
    ngx_http_idpay_fetch_free(&pair[1]);
    ngx_http_idpay_fetch_free(&call.form);

    return rc;
}


ngx_int_t
ngx_http_idpay_fetch_revoke(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *refresh, ngx_http_idpay_curl_handler_pt handler, void *data)
{
    ngx_int_t                    rc;
    ngx_str_t                   *secrets;
    ngx_http_idpay_curl_call_t   call;

    secrets = iucf->values[NGX_HTTP_IDPAY_PRIMARY];

    ngx_memzero(&call, sizeof(ngx_http_idpay_curl_call_t));

    call.path = iucf->scheme->grants->revoke;
    call.handler = handler;
    call.data = data;
    call.essential = 1;

    rc = ngx_http_idpay_fetch_alloc(&call.form,
                               ngx_http_idpay_oauth_revoke_form(NULL, secrets,
                                                                refresh));

    if (rc == NGX_OK) {
        (void) ngx_http_idpay_oauth_revoke_form(call.form.data, secrets,
                                                refresh);

        rc = ngx_http_idpay_fetch_call(iucf, &call);
    }

    ngx_http_idpay_fetch_free(&call.form);

    return rc;
}


void
ngx_http_idpay_fetch_redact(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *value, ngx_str_t *error)
{
    ngx_pool_t               *pool;
    ngx_http_idpay_vault_t   *vault;
    ngx_http_idpay_redact_t  *redact;

    if (error->len == 0) {
        return;
    }

    pool = ngx_create_pool(NGX_MIN_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        error->len = 0;
        return;
    }

    redact = NULL;
    vault = ngx_http_idpay_vault_create(pool);

    if (vault) {
        redact = ngx_http_idpay_credential_redact(pool, vault, iucf->scheme,
                                         iucf->values[NGX_HTTP_IDPAY_PRIMARY],
                                         iucf->values[NGX_HTTP_IDPAY_NEXT]);
    }

    if (redact && ngx_http_idpay_redact_add(redact, value) == NGX_OK) {
        ngx_http_idpay_redact_text(redact, error);

    } else {
        error->len = 0;
    }

    ngx_destroy_pool(pool);
}


static ngx_int_t
ngx_http_idpay_fetch_call(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_http_idpay_curl_call_t *call)
{
    call->scheme = iucf->token_scheme;
    call->host = iucf->token_host;
    call->addrs = iucf->token_addrs;
    call->naddrs = iucf->token_naddrs;
    call->trusted_certificate = iucf->ca_file;

    return ngx_http_idpay_curl_start(call);
}


static ngx_int_t
ngx_http_idpay_fetch_alloc(ngx_str_t *text, size_t len)
{
    text->data = ngx_alloc(len, ngx_cycle->log);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_fetch_escape(ngx_str_t *from, ngx_str_t *to)
{
    u_char  *p;

    if (ngx_http_idpay_fetch_alloc(to, from->len * 3) != NGX_OK) {
        return NGX_ERROR;
    }

    p = (u_char *) ngx_escape_uri(to->data, from->data, from->len,
                                  NGX_ESCAPE_URI_COMPONENT);
    to->len = p - to->data;

    return NGX_OK;
}


static void
ngx_http_idpay_fetch_free(ngx_str_t *text)
{
    if (text->data) {
        ngx_explicit_memzero(text->data, text->len);
        ngx_free(text->data);
    }
}
