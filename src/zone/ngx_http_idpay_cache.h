
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Tokens in the zone: one entry for each profile of a provider that is in use,
 * the one not used for the longest time giving way.
 */


#ifndef _NGX_HTTP_IDPAY_CACHE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "lib/ngx_http_idpay_crypto.h"


/* bytes of a profile's name: a number of up to 19 digits, or none */

#define NGX_HTTP_IDPAY_CACHE_PROFILE  20

/* bytes of an ID that is good once, and how many are remembered at a time */

#define NGX_HTTP_IDPAY_CACHE_ID       16
#define NGX_HTTP_IDPAY_CACHE_MAX_IDS  4096


/* in the zone's header */

typedef struct {
    ngx_rbtree_t        tree;
    ngx_rbtree_node_t   sentinel;
    ngx_queue_t         used;       /* the last one first */
    ngx_uint_t          evicted;    /* so far */
    ngx_queue_t         ids;        /* that are used, the first to end first */
    ngx_uint_t          nids;
    int64_t             dropped;    /* s since 1970: of those that end then or
                                       before, some are not remembered */
    u_char              key[NGX_HTTP_IDPAY_KEY_LEN];
    unsigned            keyed:1;    /* there is a key */
} ngx_http_idpay_cache_t;


/* why there is no token, or no newer one */

typedef enum {
    NGX_HTTP_IDPAY_CAUSE_NONE = 0,
    NGX_HTTP_IDPAY_CAUSE_ABSENT,    /* nobody has given consent */
    NGX_HTTP_IDPAY_CAUSE_GONE,      /* the consent is no longer good */
    NGX_HTTP_IDPAY_CAUSE_CLIENT,    /* the provider refuses our secrets */
    NGX_HTTP_IDPAY_CAUSE_FAILED,    /* the provider does not answer well */
    NGX_HTTP_IDPAY_CAUSE_STORE      /* the store does not */
} ngx_http_idpay_cause_e;


/*
 * An entry.  Times are ms of ngx_current_msec, which is the same clock for all
 * processes.  The texts are in the zone and not NUL-terminated.
 */

typedef struct {
    ngx_rbtree_node_t        node;
    ngx_queue_t              queue;
    void                    *provider;   /* its node in the zone */
    u_char                   profile[NGX_HTTP_IDPAY_CACHE_PROFILE];
    size_t                   len;

    ngx_str_t                access;
    ngx_str_t                refresh;    /* where there is no store */

    /* a pair that is not yet in the store: it is still to be saved */

    ngx_str_t                kept_access;
    ngx_str_t                kept_refresh;
    uint64_t                 kept_generation;
    int64_t                  kept_expires;  /* s since 1970 */

    uint64_t                 generation; /* of "access", 0: there is none */
    int64_t                  updated;    /* the same, s since 1970 */
    ngx_msec_t               usable;     /* until then */
    ngx_msec_t               renew;      /* from then on */

    /* the one who gets a new token, until the end of his lease, or 0 */

    uint64_t                 owner;
    ngx_msec_t               lease;

    ngx_uint_t               changes;    /* that a waiting call looks for */
    ngx_http_idpay_cause_e   cause;      /* of the last failure */
    ngx_uint_t               failures;   /* in a row */
    ngx_msec_t               retry;      /* not before, if there are any */
    ngx_msec_t               hold;       /* a refusal is no reason for a new
                                            token before, if "held" */
    unsigned                 held:1;
    unsigned                 loaded:1;   /* the store has been asked */
} ngx_http_idpay_entry_t;


/* Empties a new cache. */

void ngx_http_idpay_cache_init(ngx_http_idpay_cache_t *cache);

/*
 * The functions below need the lock of the zone's pool.  None of them logs.
 *
 * Finds an entry and marks it as used just now.  Returns NULL if there is none.
 */
ngx_http_idpay_entry_t *ngx_http_idpay_cache_find(
    ngx_http_idpay_cache_t *cache, void *provider, ngx_str_t *profile);

/*
 * Allocates from the zone.  In a full one the entries that are not used for
 * the longest time give way, but not "keep", which may be NULL, and none that
 * has a lease at "now" or a pair to be saved.  Returns NULL if that was not
 * enough.
 */
void *ngx_http_idpay_cache_alloc(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *keep, size_t size,
    ngx_msec_t now);

/* Adds a zeroed entry, in memory made free as above, or returns NULL. */

ngx_http_idpay_entry_t *ngx_http_idpay_cache_add(
    ngx_http_idpay_cache_t *cache, ngx_slab_pool_t *shpool, void *provider,
    ngx_str_t *profile, ngx_msec_t now);

/*
 * Sets a text of an entry to a copy of "value", in memory made free as above;
 * what was there before is wiped.  An empty value removes it.  Returns NGX_OK,
 * or NGX_ERROR with the text unchanged.
 */
ngx_int_t ngx_http_idpay_cache_set(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *entry, ngx_str_t *text,
    ngx_str_t *value, ngx_msec_t now);

/* Removes an entry and wipes it. */

void ngx_http_idpay_cache_remove(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_idpay_entry_t *entry);

/*
 * Remembers that an ID of NGX_HTTP_IDPAY_CACHE_ID bytes is used, until "end",
 * s since 1970, as is "time".  Memory is made free as above.  Returns NGX_OK,
 * NGX_DECLINED if it was used before, or NGX_BUSY if there is no memory.
 *
 * Where there are too many the first to end gives way, and with it all that end
 * no later than it: for these NGX_DONE is returned, they may have been used.
 */
ngx_int_t ngx_http_idpay_cache_once(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, u_char *id, int64_t end, int64_t time,
    ngx_msec_t now);

/*
 * Replaces "key", NGX_HTTP_IDPAY_KEY_LEN random bytes, by the one that is in
 * the zone; if there is none, it is this one from now on.
 */
void ngx_http_idpay_cache_key(ngx_http_idpay_cache_t *cache, u_char *key);

/*
 * Copies the key and the used IDs to the cache of another, new zone, as many
 * as there is room for: the others have given way there.  Needs the lock of
 * "from".
 */
void ngx_http_idpay_cache_copy_ids(ngx_http_idpay_cache_t *to,
    ngx_slab_pool_t *shpool, ngx_http_idpay_cache_t *from, ngx_msec_t now);

/*
 * Copies the entries of a provider to the cache of another zone.  Where there
 * is no room for all, it is for those used last.  Needs the lock of "from".
 */
void ngx_http_idpay_cache_copy(ngx_http_idpay_cache_t *to,
    ngx_slab_pool_t *shpool, void *to_provider, ngx_http_idpay_cache_t *from,
    void *from_provider, ngx_msec_t now);


#endif /* _NGX_HTTP_IDPAY_CACHE_H_INCLUDED_ */
