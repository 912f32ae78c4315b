
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "ngx_http_idpay.h"
#include "credential/ngx_http_idpay_grants.h"
#include "credential/ngx_http_idpay_renew.h"
#include "credential/ngx_http_idpay_upstream.h"
#include "lib/ngx_http_idpay_curl.h"
#include "request/ngx_http_idpay_admission.h"
#include "request/ngx_http_idpay_attempt.h"
#include "request/ngx_http_idpay_callback.h"
#include "request/ngx_http_idpay_consents.h"
#include "request/ngx_http_idpay_errors.h"
#include "request/ngx_http_idpay_filter.h"
#include "request/ngx_http_idpay_limits.h"
#include "request/ngx_http_idpay_page.h"
#include "request/ngx_http_idpay_pass.h"
#include "request/ngx_http_idpay_start.h"
#include "request/ngx_http_idpay_variables.h"


static char *ngx_http_idpay_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void *ngx_http_idpay_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_idpay_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_idpay_create_upstream_conf(ngx_conf_t *cf);
static void *ngx_http_idpay_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_idpay_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_idpay_init_module(ngx_cycle_t *cycle);
static void ngx_http_idpay_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_idpay_commands[] = {

    { ngx_string("idpay_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_provider"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_upstream_provider,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_secret"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE23,
      ngx_http_idpay_upstream_secret,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_auth"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_idpay_upstream_auth,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_host"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_upstream_host,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_tls"),
      NGX_HTTP_UPS_CONF|NGX_CONF_FLAG,
      ngx_http_idpay_upstream_tls,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_idpay_upstream_conf_t, tls),
      NULL },

    { ngx_string("idpay_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_upstream_trusted_certificate,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_rate"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_idpay_limits_rate,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_adaptive"),
      NGX_HTTP_UPS_CONF|NGX_CONF_FLAG,
      ngx_http_idpay_limits_adaptive,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_idpay_upstream_conf_t, adaptive),
      NULL },

    { ngx_string("idpay_retry"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_idpay_limits_retry,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_replay_safe"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_http_idpay_limits_replay_safe,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_timeout"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_limits_timeout,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_idpay_upstream_conf_t, timeout),
      NULL },

    { ngx_string("idpay_timeout"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_limits_timeout,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_idpay_loc_conf_t, own_timeout),
      NULL },

    { ngx_string("idpay_breaker"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_idpay_limits_breaker,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_errors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_idpay_loc_conf_t, errors),
      NULL },

    { ngx_string("idpay_error_fields"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_idpay_errors_fields,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_error_map"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE2,
      ngx_http_idpay_errors_map,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_consent_url"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_grants_consent_url,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_consent_start"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_idpay_start,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_consent_callback"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_idpay_callback,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_consents"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_consents,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_store"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_idpay_grants_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("idpay_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_idpay_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_idpay_module_ctx = {
    ngx_http_idpay_variables_add,          /* preconfiguration */
    ngx_http_idpay_filter_init,            /* postconfiguration */

    ngx_http_idpay_create_main_conf,       /* create main configuration */
    ngx_http_idpay_init_main_conf,         /* init main configuration */

    ngx_http_idpay_create_upstream_conf,   /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_idpay_create_loc_conf,        /* create location configuration */
    ngx_http_idpay_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_idpay_module = {
    NGX_MODULE_V1,
    &ngx_http_idpay_module_ctx,            /* module context */
    ngx_http_idpay_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_idpay_init_module,            /* init module */
    ngx_http_idpay_admission_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_idpay_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_idpay_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_main_conf_t *imcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (imcf->zone_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: invalid zone size \"%V\" in "
                           "\"idpay_zone\", use a size such as \"4m\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: zone \"%V\" in \"idpay_zone\" is too "
                           "small, use at least \"%uik\"", &value[1],
                           8 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    imcf->zone_size = size;

    return NGX_CONF_OK;
}


static void *
ngx_http_idpay_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_idpay_main_conf_t  *imcf;

    imcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_main_conf_t));
    if (imcf == NULL) {
        return NULL;
    }

    imcf->zone_size = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&imcf->providers, cf->pool, 8,
                       sizeof(ngx_http_idpay_upstream_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return imcf;
}


/*
 * Providers are completed when all of http{} is read and upstreams are set up,
 * and before the module's locations, which need them, are merged.
 */

static char *
ngx_http_idpay_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_idpay_main_conf_t *imcf = conf;

    ngx_uint_t                        i;
    ngx_http_upstream_srv_conf_t    **uscfp;
    ngx_http_upstream_main_conf_t    *umcf;
    ngx_http_idpay_upstream_conf_t   *iucf, *defaults, **provider;

    ngx_conf_init_size_value(imcf->zone_size, NGX_HTTP_IDPAY_ZONE_SIZE);

    defaults = ngx_http_conf_get_module_srv_conf(cf, ngx_http_idpay_module);

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->srv_conf == NULL) {
            continue;
        }

        iucf = ngx_http_conf_upstream_srv_conf(uscfp[i],
                                               ngx_http_idpay_module);
        if (iucf->preset == NULL) {
            continue;
        }

        if (ngx_http_idpay_upstream_init(cf, uscfp[i], defaults) != NGX_OK
            || ngx_http_idpay_limits_init(cf, iucf) != NGX_OK
            || ngx_http_idpay_errors_init(cf, iucf) != NGX_OK
            || ngx_http_idpay_grants_init(cf, uscfp[i], imcf, iucf) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (imcf->zone == NULL) {
            imcf->zone = ngx_http_idpay_zone_add(cf, &ngx_http_idpay_module,
                                              imcf->zone_size,
                                              NGX_HTTP_IDPAY_LAYOUT,
                                              sizeof(ngx_http_idpay_shared_t));
            if (imcf->zone == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        iucf->zone = imcf->zone;
        iucf->node = ngx_http_idpay_zone_node(imcf->zone, &iucf->name);
        if (iucf->node == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        provider = ngx_array_push(&imcf->providers);
        if (provider == NULL) {
            return NGX_CONF_ERROR;
        }

        *provider = iucf;

        iucf->init_peer = uscfp[i]->peer.init;
        uscfp[i]->peer.init = ngx_http_idpay_attempt_init_peer;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_idpay_create_upstream_conf(ngx_conf_t *cf)
{
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_upstream_conf_t));
    if (iucf == NULL) {
        return NULL;
    }

    iucf->tls = NGX_CONF_UNSET;
    iucf->adaptive = NGX_CONF_UNSET;
    iucf->timeout = NGX_CONF_UNSET_MSEC;
    iucf->breaker.failures = NGX_CONF_UNSET_UINT;

    return iucf;
}


static void *
ngx_http_idpay_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_idpay_loc_conf_t  *ilcf;

    ilcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_loc_conf_t));
    if (ilcf == NULL) {
        return NULL;
    }

    ilcf->own_timeout = NGX_CONF_UNSET_MSEC;
    ilcf->errors = NGX_CONF_UNSET;

    return ilcf;
}


static char *
ngx_http_idpay_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    char  *rc;

    rc = ngx_http_idpay_pass_merge(cf, parent, child);

    return (rc == NGX_CONF_OK) ? ngx_http_idpay_page_merge(cf, parent, child)
                               : rc;
}


static ngx_int_t
ngx_http_idpay_init_module(ngx_cycle_t *cycle)
{
    ngx_http_idpay_main_conf_t  *imcf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_idpay_module);

    if (imcf && imcf->store
        && ngx_http_idpay_store_init_module(imcf->store, cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_idpay_admission_init_module(cycle);
}


static void
ngx_http_idpay_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_idpay_main_conf_t  *imcf;

    ngx_http_idpay_curl_exit_process(cycle);

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_idpay_module);

    if (imcf && imcf->store) {
        ngx_http_idpay_store_exit_process(imcf->store);
    }

    ngx_http_idpay_renew_exit_process();
}
