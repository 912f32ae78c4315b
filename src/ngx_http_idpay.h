
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the rooms share: the configuration types and the module itself.
 */


#ifndef _NGX_HTTP_IDPAY_H_INCLUDED_
#define _NGX_HTTP_IDPAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "credential/ngx_http_idpay_credential.h"
#include "credential/ngx_http_idpay_redact.h"
#include "credential/ngx_http_idpay_secret.h"
#include "provider/ngx_http_idpay_provider.h"


/* the overlapping credential of a rotation is the second one */

#define NGX_HTTP_IDPAY_PRIMARY  0
#define NGX_HTTP_IDPAY_NEXT     1
#define NGX_HTTP_IDPAY_SLOTS    2


/* a provider: the upstream{} block's configuration, or http{}'s defaults */

typedef struct {
    const ngx_http_idpay_preset_t   *preset;  /* NULL: not a provider */
    const ngx_http_idpay_scheme_t   *scheme;

    ngx_str_t                        name;
    ngx_str_t                        host;
    ngx_flag_t                       tls;
    ngx_str_t                        trusted_certificate;

    /* values[slot][i] is the scheme's secret i, data is NULL if not set */

    ngx_str_t                        values[NGX_HTTP_IDPAY_SLOTS]
                                           [NGX_HTTP_IDPAY_MAX_SECRETS];
    ngx_array_t                     *secrets;
                                       /* of ngx_http_idpay_secret_conf_t */
    ngx_http_idpay_vault_t          *vault;
    ngx_http_idpay_credential_t     *credentials[NGX_HTTP_IDPAY_SLOTS];
    ngx_http_idpay_redact_t         *redact;

    ngx_array_t                     *drop_headers;    /* of ngx_str_t */
    ngx_array_t                     *drop_args;       /* of ngx_str_t */

    ngx_http_upstream_init_peer_pt   init_peer;

    u_char                          *file_name;
    ngx_uint_t                       line;
} ngx_http_idpay_upstream_conf_t;


typedef struct {
    ngx_str_t                        provider;  /* empty: no "idpay_pass" */
    ngx_str_t                        uri;
    ngx_uint_t                       location_len;

    ngx_http_idpay_upstream_conf_t  *iucf;

    /*
     * The location's own configurations of all modules, and the same with the
     * proxy module's replaced by the one that attempts run with.
     */

    void                           **loc_conf;
    void                           **attempt_conf;
    ngx_http_handler_pt              proxy_handler;

    u_char                          *file_name;
    ngx_uint_t                       line;
} ngx_http_idpay_loc_conf_t;


extern ngx_module_t  ngx_http_idpay_module;


#endif /* _NGX_HTTP_IDPAY_H_INCLUDED_ */
