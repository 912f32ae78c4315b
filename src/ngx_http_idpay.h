
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
#include "credential/ngx_http_idpay_store.h"
#include "policy/ngx_http_idpay_breaker.h"
#include "policy/ngx_http_idpay_limiter.h"
#include "policy/ngx_http_idpay_replay.h"
#include "policy/ngx_http_idpay_retry.h"
#include "provider/ngx_http_idpay_provider.h"
#include "zone/ngx_http_idpay_zone.h"


/* the overlapping credential of a rotation is the second one */

#define NGX_HTTP_IDPAY_PRIMARY  0
#define NGX_HTTP_IDPAY_NEXT     1
#define NGX_HTTP_IDPAY_SLOTS    2


typedef struct {
    ngx_http_idpay_zone_t           *zone;      /* NULL: no provider */
    size_t                           zone_size;
    ngx_http_idpay_store_t          *store;     /* or NULL */
    ngx_http_idpay_vault_t          *vault;     /* of its keys */
    ngx_array_t                      providers;
                                     /* of ngx_http_idpay_upstream_conf_t * */
} ngx_http_idpay_main_conf_t;


/* one "idpay_rate" */

typedef struct {
    ngx_http_idpay_rate_t            rate;
    ngx_msec_t                       wait;     /* ms that a call waits */
    ngx_uint_t                       method;   /* NGX_HTTP_GET .., 0: any */
    ngx_str_t                        path;     /* a prefix, empty: any */
    ngx_uint_t                       bucket;   /* of the limiter */
    struct ngx_http_idpay_queue_s   *queue;    /* of this worker */
    unsigned                         dry_run:1;
} ngx_http_idpay_limit_t;


/* a provider: the upstream{} block's configuration, or http{}'s defaults */

typedef struct {
    const ngx_http_idpay_preset_t   *preset;  /* NULL: not a provider */
    const ngx_http_idpay_scheme_t   *scheme;

    ngx_str_t                        name;
    ngx_str_t                        host;
    ngx_flag_t                       tls;
    ngx_str_t                        trusted_certificate;
    ngx_str_t                        ca_file;   /* the same, its full name */

    /* values[slot][i] is the scheme's secret i, data is NULL if not set */

    ngx_str_t                        values[NGX_HTTP_IDPAY_SLOTS]
                                           [NGX_HTTP_IDPAY_MAX_SECRETS];
    ngx_array_t                     *secrets;
                                       /* of ngx_http_idpay_secret_conf_t */
    ngx_http_idpay_vault_t          *vault;
    ngx_http_idpay_credential_t     *credentials[NGX_HTTP_IDPAY_SLOTS];
    ngx_http_idpay_redact_t         *redact;

    /* those of the configuration, or NULL, and with the preset's behind */

    ngx_array_t                     *error_fields;
                                       /* of ngx_http_idpay_error_field_t */
    ngx_array_t                     *error_rules;
                                       /* of ngx_http_idpay_error_rule_t */
    ngx_http_idpay_errors_t          errors;
    ngx_uint_t                       status_off; /* the preset's STATUS */

    ngx_array_t                     *drop_headers;    /* of ngx_str_t */
    ngx_array_t                     *drop_args;       /* of ngx_str_t */

    /* "rates" is NULL if not set, and without elements if off */

    ngx_array_t                     *rates;     /* of ngx_http_idpay_limit_t */
    ngx_http_idpay_limit_t           limit;     /* the general one */
    ngx_http_idpay_limit_t          *dry_limit; /* or NULL, the same tried */
    ngx_flag_t                       adaptive;
    ngx_msec_t                       timeout;
    ngx_http_idpay_retry_conf_t      retry;
    ngx_http_idpay_breaker_conf_t    breaker;
    ngx_array_t                     *replay;
                                       /* of ngx_http_idpay_replay_rule_t */

    /* where tokens are had, and kept; all of it empty where there are none */

    ngx_str_t                        token_scheme;  /* "https", "http" */
    ngx_str_t                        token_host;
    ngx_addr_t                      *token_addrs;
    ngx_uint_t                       token_naddrs;  /* 0: by the host's name */
    ngx_str_t                        consent_url;
    ngx_http_idpay_store_t          *store;         /* or NULL */

    ngx_http_idpay_zone_t           *zone;
    ngx_int_t                        node;      /* its zone's entry */
    struct ngx_http_idpay_shared_s  *shared;    /* by all workers */
    ngx_shmtx_t                     *mutex;     /* its lock */

    ngx_http_upstream_init_peer_pt   init_peer;

    u_char                          *file_name;
    ngx_uint_t                       line;
} ngx_http_idpay_upstream_conf_t;


typedef struct {
    ngx_str_t                        provider;  /* empty: no "idpay_pass" */
    ngx_str_t                        uri;
    ngx_uint_t                       location_len;

    ngx_http_idpay_upstream_conf_t  *iucf;
    ngx_msec_t                       own_timeout; /* here or further out */
    ngx_msec_t                       timeout;     /* that, or the provider's */
    ngx_flag_t                       errors;      /* are normalized */

    /*
     * The location's own configurations of all modules, and the same with the
     * proxy module's replaced by the one that attempts run with.
     */

    void                           **loc_conf;
    void                           **attempt_conf;
    ngx_http_handler_pt              proxy_handler;

    struct ngx_http_idpay_page_s    *page;      /* or NULL */

    u_char                          *file_name;
    ngx_uint_t                       line;
} ngx_http_idpay_loc_conf_t;


extern ngx_module_t  ngx_http_idpay_module;


#endif /* _NGX_HTTP_IDPAY_H_INCLUDED_ */
