
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "zone/ngx_http_idpay_zone.h"

#include <sys/mman.h>


#define NGX_HTTP_IDPAY_ZONE_MAGIC  0x69647061


typedef struct {
    ngx_queue_t   queue;
    size_t        len;
    u_char        name[NGX_HTTP_IDPAY_ZONE_NAME];
} ngx_http_idpay_zone_node_t;


/* what users call the node follows, aligned for everything */

#define NGX_HTTP_IDPAY_ZONE_OFFSET                                            \
    ngx_align(sizeof(ngx_http_idpay_zone_node_t), 16)


/* it lives in the zone, found by the "data" of the zone's slab pool */

typedef struct {
    ngx_uint_t               magic;
    ngx_uint_t               layout;
    size_t                   size;
    ngx_queue_t              nodes;
    ngx_http_idpay_cache_t   cache;
} ngx_http_idpay_zone_header_t;


static ngx_int_t ngx_http_idpay_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_slab_pool_t *ngx_http_idpay_zone_old(ngx_str_t *name);
static ngx_http_idpay_zone_header_t *ngx_http_idpay_zone_header(
    ngx_http_idpay_zone_t *zone, ngx_slab_pool_t *shpool);
static ngx_http_idpay_zone_header_t *ngx_http_idpay_zone_create(
    ngx_http_idpay_zone_t *zone);
static void *ngx_http_idpay_zone_get(ngx_http_idpay_zone_t *zone,
    ngx_str_t *name);
static void *ngx_http_idpay_zone_find(ngx_http_idpay_zone_header_t *header,
    ngx_str_t *name);


ngx_http_idpay_zone_t *
ngx_http_idpay_zone_add(ngx_conf_t *cf, void *tag, size_t size,
    ngx_uint_t layout, size_t node_size)
{
    ngx_str_t               name;
    ngx_shm_zone_t         *shm_zone;
    ngx_http_idpay_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    if (ngx_array_init(&zone->entries, cf->pool, 8,
                       sizeof(ngx_http_idpay_zone_entry_t))
        != NGX_OK)
    {
        return NULL;
    }

    ngx_str_set(&name, "idpay");

    shm_zone = ngx_shared_memory_add(cf, &name, size, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_http_idpay_zone_init;
    shm_zone->data = zone;

    zone->shm_zone = shm_zone;
    zone->layout = layout;
    zone->size = node_size;

    return zone;
}


ngx_int_t
ngx_http_idpay_zone_node(ngx_http_idpay_zone_t *zone, ngx_str_t *name)
{
    ngx_http_idpay_zone_entry_t  *entry;

    entry = ngx_array_push(&zone->entries);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    entry->name = *name;
    entry->node = NULL;

    return zone->entries.nelts - 1;
}


/*
 * The memory is the former one if "data" is set.  If it is not, there may be a
 * zone of another size, or of another binary of this module: that one has
 * another tag, so it is known by its header alone.
 */

static ngx_int_t
ngx_http_idpay_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    void                          *node;
    ngx_uint_t                     i;
    ngx_slab_pool_t               *old;
    ngx_http_idpay_zone_t         *zone;
    ngx_http_idpay_zone_entry_t   *entry;
    ngx_http_idpay_zone_header_t  *former;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    old = (data || shm_zone->shm.exists)
          ? zone->shpool
          : ngx_http_idpay_zone_old(&shm_zone->shm.name);

    if (old && old != zone->shpool && ngx_process == NGX_PROCESS_SINGLE) {

        /* nginx would unmap what calls of this very process wait in */

        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "idpay: zone \"%V\" cannot be replaced while there is "
                      "no master process, restart nginx to change "
                      "\"idpay_zone\"", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    former = old ? ngx_http_idpay_zone_header(zone, old) : NULL;

    if (old && former == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                      "idpay: zone \"%V\" had another layout and begins anew",
                      &shm_zone->shm.name);
    }

#ifdef MADV_DONTDUMP

    if (madvise(shm_zone->shm.addr, shm_zone->shm.size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, ngx_errno,
                      "idpay: madvise(MADV_DONTDUMP) failed, "
                      "a core file would hold tokens");
    }

#endif

    /* what fails is told here, with the way out */

    zone->shpool->log_nomem = 0;

    zone->header = (former && old == zone->shpool)
                   ? former : ngx_http_idpay_zone_create(zone);

    zone->cache = zone->header
                  ? &((ngx_http_idpay_zone_header_t *) zone->header)->cache
                  : NULL;

    if (former && zone->header && old != zone->shpool) {
        ngx_shmtx_lock(&old->mutex);

        ngx_http_idpay_cache_copy_ids(zone->cache, zone->shpool,
                                      &former->cache, ngx_current_msec);

        ngx_shmtx_unlock(&old->mutex);
    }

    entry = zone->entries.elts;

    for (i = 0; i < zone->entries.nelts; i++) {

        entry[i].node = zone->header
                        ? ngx_http_idpay_zone_get(zone, &entry[i].name) : NULL;

        if (entry[i].node == NULL) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "idpay: zone \"%V\" is too small for %ui providers, "
                          "enlarge \"idpay_zone\"",
                          &shm_zone->shm.name, zone->entries.nelts);
            return NGX_ERROR;
        }

        if (former == NULL || old == zone->shpool) {
            continue;
        }

        ngx_shmtx_lock(&old->mutex);

        node = ngx_http_idpay_zone_find(former, &entry[i].name);
        if (node) {
            ngx_memcpy(entry[i].node, node, zone->size);

            ngx_http_idpay_cache_copy(zone->cache, zone->shpool,
                                      entry[i].node, &former->cache, node,
                                      ngx_current_msec);
        }

        ngx_shmtx_unlock(&old->mutex);
    }

    return NGX_OK;
}


/* the pool of the zone that the running configuration has, or NULL */

static ngx_slab_pool_t *
ngx_http_idpay_zone_old(ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *shm_zone;
    ngx_list_part_t  *part;

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;

    for ( /* void */ ; part; part = part->next) {
        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].shm.name.len == name->len
                && ngx_strncmp(shm_zone[i].shm.name.data, name->data,
                               name->len)
                   == 0)
            {
                return (ngx_slab_pool_t *) shm_zone[i].shm.addr;
            }
        }
    }

    return NULL;
}


/* "data" is another module's, if the zone was: it may be anything */

static ngx_http_idpay_zone_header_t *
ngx_http_idpay_zone_header(ngx_http_idpay_zone_t *zone,
    ngx_slab_pool_t *shpool)
{
    u_char                        *p;
    ngx_http_idpay_zone_header_t  *header;

    p = shpool->data;

    if (p < shpool->start || p > shpool->end
        || (size_t) (shpool->end - p) < sizeof(ngx_http_idpay_zone_header_t))
    {
        return NULL;
    }

    header = shpool->data;

    if (header->magic != NGX_HTTP_IDPAY_ZONE_MAGIC
        || header->layout != zone->layout
        || header->size != zone->size)
    {
        return NULL;
    }

    return header;
}


static ngx_http_idpay_zone_header_t *
ngx_http_idpay_zone_create(ngx_http_idpay_zone_t *zone)
{
    ngx_http_idpay_zone_header_t  *header;

    header = ngx_slab_alloc(zone->shpool,
                            sizeof(ngx_http_idpay_zone_header_t));
    if (header == NULL) {
        return NULL;
    }

    header->magic = NGX_HTTP_IDPAY_ZONE_MAGIC;
    header->layout = zone->layout;
    header->size = zone->size;

    ngx_queue_init(&header->nodes);

    ngx_http_idpay_cache_init(&header->cache);

    zone->shpool->data = header;

    return header;
}


static void *
ngx_http_idpay_zone_get(ngx_http_idpay_zone_t *zone, ngx_str_t *name)
{
    u_char                        *data;
    ngx_http_idpay_zone_node_t    *node;
    ngx_http_idpay_zone_header_t  *header;

    header = zone->header;

    ngx_shmtx_lock(&zone->shpool->mutex);

    data = ngx_http_idpay_zone_find(header, name);
    if (data) {
        goto done;
    }

    node = ngx_http_idpay_cache_alloc(&header->cache, zone->shpool, NULL,
                                      NGX_HTTP_IDPAY_ZONE_OFFSET + zone->size,
                                      ngx_current_msec);
    if (node == NULL) {
        goto done;
    }

    ngx_memzero(node, NGX_HTTP_IDPAY_ZONE_OFFSET + zone->size);

    node->len = ngx_min(name->len, NGX_HTTP_IDPAY_ZONE_NAME);
    ngx_memcpy(node->name, name->data, node->len);

    ngx_queue_insert_tail(&header->nodes, &node->queue);

    data = (u_char *) node + NGX_HTTP_IDPAY_ZONE_OFFSET;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return data;
}


static void *
ngx_http_idpay_zone_find(ngx_http_idpay_zone_header_t *header,
    ngx_str_t *name)
{
    size_t                       len;
    ngx_queue_t                 *q;
    ngx_http_idpay_zone_node_t  *node;

    len = ngx_min(name->len, NGX_HTTP_IDPAY_ZONE_NAME);

    for (q = ngx_queue_head(&header->nodes);
         q != ngx_queue_sentinel(&header->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_http_idpay_zone_node_t, queue);

        if (node->len == len && ngx_memcmp(node->name, name->data, len) == 0)
        {
            return (u_char *) node + NGX_HTTP_IDPAY_ZONE_OFFSET;
        }
    }

    return NULL;
}
