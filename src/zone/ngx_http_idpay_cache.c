
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "zone/ngx_http_idpay_cache.h"


/* an ID that is used */

typedef struct {
    ngx_queue_t   queue;
    int64_t       end;      /* s since 1970 */
    u_char        id[NGX_HTTP_IDPAY_CACHE_ID];
} ngx_http_idpay_cache_id_t;


static void ngx_http_idpay_cache_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_idpay_cache_compare(ngx_http_idpay_entry_t *entry,
    void *provider, u_char *profile, size_t len);
static void ngx_http_idpay_cache_free_text(ngx_slab_pool_t *shpool,
    ngx_str_t *text);


void
ngx_http_idpay_cache_init(ngx_http_idpay_cache_t *cache)
{
    ngx_rbtree_init(&cache->tree, &cache->sentinel,
                    ngx_http_idpay_cache_insert);

    ngx_queue_init(&cache->used);
    ngx_queue_init(&cache->ids);

    cache->evicted = 0;
    cache->nids = 0;
    cache->dropped = 0;
    cache->keyed = 0;
}


static void
ngx_http_idpay_cache_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t       **p;
    ngx_http_idpay_entry_t   *entry, *other;

    entry = (ngx_http_idpay_entry_t *) node;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            other = (ngx_http_idpay_entry_t *) temp;

            p = (ngx_http_idpay_cache_compare(other, entry->provider,
                                              entry->profile, entry->len) > 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* as of ngx_memcmp(), in any order that stays the same */

static ngx_int_t
ngx_http_idpay_cache_compare(ngx_http_idpay_entry_t *entry, void *provider,
    u_char *profile, size_t len)
{
    if (entry->provider != provider) {
        return (entry->provider < provider) ? -1 : 1;
    }

    if (entry->len != len) {
        return (entry->len < len) ? -1 : 1;
    }

    return ngx_memcmp(entry->profile, profile, len);
}


ngx_http_idpay_entry_t *
ngx_http_idpay_cache_find(ngx_http_idpay_cache_t *cache, void *provider,
    ngx_str_t *profile)
{
    ngx_int_t                rc;
    ngx_rbtree_key_t         key;
    ngx_rbtree_node_t       *node;
    ngx_http_idpay_entry_t  *entry;

    key = ngx_crc32_short(profile->data, profile->len);
    node = cache->tree.root;

    while (node != &cache->sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        entry = (ngx_http_idpay_entry_t *) node;

        rc = ngx_http_idpay_cache_compare(entry, provider, profile->data,
                                          profile->len);
        if (rc == 0) {
            ngx_queue_remove(&entry->queue);
            ngx_queue_insert_head(&cache->used, &entry->queue);

            return entry;
        }

        node = (rc > 0) ? node->left : node->right;
    }

    return NULL;
}


ngx_http_idpay_entry_t *
ngx_http_idpay_cache_add(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, void *provider, ngx_str_t *profile,
    ngx_msec_t now)
{
    ngx_http_idpay_entry_t  *entry;

    if (profile->len > NGX_HTTP_IDPAY_CACHE_PROFILE) {
        return NULL;
    }

    entry = ngx_http_idpay_cache_alloc(cache, shpool, NULL,
                                       sizeof(ngx_http_idpay_entry_t), now);
    if (entry == NULL) {
        return NULL;
    }

    ngx_memzero(entry, sizeof(ngx_http_idpay_entry_t));

    entry->provider = provider;
    entry->len = profile->len;
    ngx_memcpy(entry->profile, profile->data, profile->len);

    entry->node.key = ngx_crc32_short(profile->data, profile->len);

    ngx_rbtree_insert(&cache->tree, &entry->node);
    ngx_queue_insert_head(&cache->used, &entry->queue);

    return entry;
}


void *
ngx_http_idpay_cache_alloc(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *keep, size_t size,
    ngx_msec_t now)
{
    void                    *p;
    ngx_queue_t             *q, *prev;
    ngx_http_idpay_entry_t  *entry;

    p = ngx_slab_alloc_locked(shpool, size);

    for (q = ngx_queue_last(&cache->used);
         p == NULL && q != ngx_queue_sentinel(&cache->used);
         q = prev)
    {
        prev = ngx_queue_prev(q);
        entry = ngx_queue_data(q, ngx_http_idpay_entry_t, queue);

        if (entry == keep || entry->kept_refresh.len
            || (entry->owner && (ngx_msec_int_t) (entry->lease - now) > 0))
        {
            continue;
        }

        ngx_http_idpay_cache_remove(cache, shpool, entry);
        cache->evicted++;

        p = ngx_slab_alloc_locked(shpool, size);
    }

    return p;
}


ngx_int_t
ngx_http_idpay_cache_set(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *entry, ngx_str_t *text,
    ngx_str_t *value, ngx_msec_t now)
{
    u_char  *p;

    p = NULL;

    if (value->len) {
        p = ngx_http_idpay_cache_alloc(cache, shpool, entry, value->len, now);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, value->data, value->len);
    }

    ngx_http_idpay_cache_free_text(shpool, text);

    text->data = p;
    text->len = value->len;

    return NGX_OK;
}


static void
ngx_http_idpay_cache_free_text(ngx_slab_pool_t *shpool, ngx_str_t *text)
{
    if (text->data) {
        ngx_explicit_memzero(text->data, text->len);
        ngx_slab_free_locked(shpool, text->data);
    }

    ngx_str_null(text);
}


void
ngx_http_idpay_cache_remove(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *entry)
{
    ngx_rbtree_delete(&cache->tree, &entry->node);
    ngx_queue_remove(&entry->queue);

    ngx_http_idpay_cache_free_text(shpool, &entry->access);
    ngx_http_idpay_cache_free_text(shpool, &entry->refresh);
    ngx_http_idpay_cache_free_text(shpool, &entry->kept_access);
    ngx_http_idpay_cache_free_text(shpool, &entry->kept_refresh);

    ngx_slab_free_locked(shpool, entry);
}


void
ngx_http_idpay_cache_copy(ngx_http_idpay_cache_t *to,
    ngx_slab_pool_t *shpool, void *to_provider, ngx_http_idpay_cache_t *from,
    void *from_provider, ngx_msec_t now)
{
    size_t                   offset;
    ngx_str_t                profile;
    ngx_queue_t             *q;
    ngx_http_idpay_entry_t  *entry, *old;

    offset = offsetof(ngx_http_idpay_entry_t, kept_generation);

    for (q = ngx_queue_last(&from->used);
         q != ngx_queue_sentinel(&from->used);
         q = ngx_queue_prev(q))
    {
        old = ngx_queue_data(q, ngx_http_idpay_entry_t, queue);

        if (old->provider != from_provider) {
            continue;
        }

        profile.data = old->profile;
        profile.len = old->len;

        entry = ngx_http_idpay_cache_add(to, shpool, to_provider, &profile,
                                         now);
        if (entry == NULL) {
            return;
        }

        if (ngx_http_idpay_cache_set(to, shpool, entry, &entry->access,
                                     &old->access, now)
            != NGX_OK
            || ngx_http_idpay_cache_set(to, shpool, entry, &entry->refresh,
                                        &old->refresh, now)
               != NGX_OK
            || ngx_http_idpay_cache_set(to, shpool, entry,
                                        &entry->kept_access,
                                        &old->kept_access, now)
               != NGX_OK
            || ngx_http_idpay_cache_set(to, shpool, entry,
                                        &entry->kept_refresh,
                                        &old->kept_refresh, now)
               != NGX_OK)
        {
            ngx_http_idpay_cache_remove(to, shpool, entry);
            return;
        }

        ngx_memcpy((u_char *) entry + offset, (u_char *) old + offset,
                   sizeof(ngx_http_idpay_entry_t) - offset);
    }
}


ngx_int_t
ngx_http_idpay_cache_once(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, u_char *id, int64_t end, int64_t time,
    ngx_msec_t now)
{
    ngx_queue_t                *q, *next, *before;
    ngx_http_idpay_cache_id_t  *node;

    before = &cache->ids;

    for (q = ngx_queue_head(&cache->ids);
         q != ngx_queue_sentinel(&cache->ids);
         q = next)
    {
        next = ngx_queue_next(q);
        node = ngx_queue_data(q, ngx_http_idpay_cache_id_t, queue);

        if (node->end <= time) {
            ngx_queue_remove(q);
            ngx_slab_free_locked(shpool, node);
            cache->nids--;
            continue;
        }

        if (ngx_memcmp(node->id, id, NGX_HTTP_IDPAY_CACHE_ID) == 0) {
            return NGX_DECLINED;
        }

        if (node->end <= end) {
            before = q;
        }
    }

    if (end <= cache->dropped) {
        return NGX_DONE;
    }

    if (cache->nids >= NGX_HTTP_IDPAY_CACHE_MAX_IDS) {

        q = ngx_queue_head(&cache->ids);
        node = ngx_queue_data(q, ngx_http_idpay_cache_id_t, queue);

        if (end <= node->end) {
            return NGX_DONE;
        }

        if (before == q) {
            before = &cache->ids;
        }

        cache->dropped = node->end;

        ngx_queue_remove(q);
        ngx_slab_free_locked(shpool, node);
        cache->nids--;
    }

    node = ngx_http_idpay_cache_alloc(cache, shpool, NULL,
                                      sizeof(ngx_http_idpay_cache_id_t), now);
    if (node == NULL) {
        return NGX_BUSY;
    }

    node->end = end;
    ngx_memcpy(node->id, id, NGX_HTTP_IDPAY_CACHE_ID);

    ngx_queue_insert_after(before, &node->queue);
    cache->nids++;

    return NGX_OK;
}


void
ngx_http_idpay_cache_key(ngx_http_idpay_cache_t *cache, u_char *key)
{
    if (cache->keyed) {
        ngx_memcpy(key, cache->key, NGX_HTTP_IDPAY_KEY_LEN);
        return;
    }

    ngx_memcpy(cache->key, key, NGX_HTTP_IDPAY_KEY_LEN);
    cache->keyed = 1;
}


void
ngx_http_idpay_cache_copy_ids(ngx_http_idpay_cache_t *to,
    ngx_slab_pool_t *shpool, ngx_http_idpay_cache_t *from, ngx_msec_t now)
{
    ngx_queue_t                *q;
    ngx_http_idpay_cache_id_t  *node, *old;

    ngx_memcpy(to->key, from->key, NGX_HTTP_IDPAY_KEY_LEN);
    to->keyed = from->keyed;
    to->dropped = from->dropped;

    for (q = ngx_queue_last(&from->ids);
         q != ngx_queue_sentinel(&from->ids);
         q = ngx_queue_prev(q))
    {
        old = ngx_queue_data(q, ngx_http_idpay_cache_id_t, queue);

        node = ngx_http_idpay_cache_alloc(to, shpool, NULL,
                                          sizeof(ngx_http_idpay_cache_id_t),
                                          now);
        if (node == NULL) {
            to->dropped = old->end;
            return;
        }

        *node = *old;

        ngx_queue_insert_head(&to->ids, &node->queue);
        to->nids++;
    }
}
