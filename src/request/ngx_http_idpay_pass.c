
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_pass.h"

#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_call.h"
#include "request/ngx_http_idpay_exchange.h"
#include "request/ngx_http_idpay_proxy.h"


static ngx_int_t ngx_http_idpay_pass_handler(ngx_http_request_t *r);


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

    if (ngx_http_script_variables_count(&value[1])) {

        /* what is tested of a call is to be what is sent */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: \"idpay_pass %V\" cannot have variables",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (p = value[1].data; p < last && *p != '/'; p++) {

        if (*p == ':') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: invalid provider in \"idpay_pass "
                               "%V\", use the name of an upstream, without "
                               "scheme and port", &value[1]);
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
                           "idpay: \"idpay_pass %V\" has a URI, but a "
                           "regular expression or a name gives the location "
                           "no part for it to replace", &value[1]);
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
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->own_timeout == NGX_CONF_UNSET_MSEC) {
        conf->own_timeout = prev->own_timeout;
    }

    ngx_conf_merge_value(conf->errors, prev->errors, 1);

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

        conf->timeout = (conf->own_timeout == NGX_CONF_UNSET_MSEC)
                        ? conf->iucf->timeout : conf->own_timeout;
    }

    rc = ngx_http_idpay_proxy_create(cf, conf, ngx_http_idpay_pass_handler);

    if (rc == NGX_DECLINED) {
        return NGX_CONF_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: \"idpay_pass %V\" cannot be set up, in %s:%ui",
                      &conf->provider, conf->file_name, conf->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_http_idpay_upstream_conf_t *
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

    if (r->upstream_states) {
        ctx->states = r->upstream_states->nelts;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_idpay_module);

    rc = ngx_http_idpay_call_path(r, ctx);

    if (rc == NGX_HTTP_INTERNAL_SERVER_ERROR) {
        return ngx_http_idpay_answer_failure(r, ctx);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_idpay_exchange_start);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}
