
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The shared memory zone "idpay": a node of equal size for each provider, found
 * by the provider's name, and the tokens of all.  It outlives a reload of the
 * configuration, and is left out of core files.
 */


#ifndef _NGX_HTTP_IDPAY_ZONE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "zone/ngx_http_idpay_cache.h"


#define NGX_HTTP_IDPAY_ZONE_SIZE  (4 * 1024 * 1024)

/* longer names than that are told apart by their beginning */

#define NGX_HTTP_IDPAY_ZONE_NAME  255


typedef struct {
    ngx_str_t      name;       /* of the provider */
    void          *node;       /* set when the zone is there; zeroed if new */
} ngx_http_idpay_zone_entry_t;


typedef struct {
    ngx_shm_zone_t          *shm_zone;
    ngx_slab_pool_t         *shpool;  /* its mutex is the lock of all */
    void                    *header;
    ngx_http_idpay_cache_t  *cache;
    ngx_uint_t               layout;  /* a change of it is a new number */
    size_t                   size;    /* of a node, bytes */
    ngx_array_t              entries; /* of ngx_http_idpay_zone_entry_t */
} ngx_http_idpay_zone_t;


/*
 * Adds the zone to the configuration, "size" bytes.  Returns NULL on an error,
 * which is logged.  Nodes are there when nginx has created its zones: the same
 * memory if the zone has kept its size, and a copy of what was in it where the
 * size has changed; another layout of nodes begins anew, with a notice.
 */
ngx_http_idpay_zone_t *ngx_http_idpay_zone_add(ngx_conf_t *cf, void *tag,
    size_t size, ngx_uint_t layout, size_t node_size);

/*
 * Asks for the node of a provider.  Returns an index in "entries" or
 * NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_zone_node(ngx_http_idpay_zone_t *zone,
    ngx_str_t *name);


#endif /* _NGX_HTTP_IDPAY_ZONE_H_INCLUDED_ */
