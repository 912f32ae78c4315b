
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "ngx_http_idpay.h"
#include "credential/ngx_http_idpay_upstream.h"
#include "request/ngx_http_idpay_attempt.h"
#include "request/ngx_http_idpay_pass.h"


static char *ngx_http_idpay_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_idpay_create_upstream_conf(ngx_conf_t *cf);
static void *ngx_http_idpay_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_idpay_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


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

      ngx_null_command
};


static ngx_http_module_t  ngx_http_idpay_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_idpay_filter_init,            /* postconfiguration */

    NULL,                                  /* create main configuration */
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
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Providers are completed when all of http{} is read and upstreams are set up,
 * and before the module's locations, which need them, are merged.
 */

static char *
ngx_http_idpay_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_uint_t                        i;
    ngx_http_upstream_srv_conf_t    **uscfp;
    ngx_http_upstream_main_conf_t    *umcf;
    ngx_http_idpay_upstream_conf_t   *iucf, *defaults;

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

        if (ngx_http_idpay_upstream_init(cf, uscfp[i], defaults) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

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

    return iucf;
}


static void *
ngx_http_idpay_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_loc_conf_t));
}


static char *
ngx_http_idpay_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    return ngx_http_idpay_pass_merge(cf, parent, child);
}
