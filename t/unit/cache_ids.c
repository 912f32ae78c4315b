
/*
 * Copyright (C) 2026 idpay contributors
 *
 * IDs that are good once, and the key of the zone.
 */


#include "../../src/zone/ngx_http_idpay_cache.c"

#include "slab.h"
#include "tap.h"


#define TEST_PAGES  128
#define TEST_TIME   1000000


static ngx_log_t    test_log;
static ngx_cycle_t  test_cycle;


static ngx_int_t test_once(ngx_http_idpay_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_uint_t n, int64_t end, int64_t time);
static ngx_uint_t test_ordered(ngx_http_idpay_cache_t *cache);
static void test_ids(ngx_slab_pool_t *shpool);
static void test_full(ngx_slab_pool_t *shpool, ngx_slab_pool_t *other);
static void test_key(ngx_slab_pool_t *shpool, ngx_slab_pool_t *other);


/* the first byte of an ID is the same for many */

static ngx_int_t
test_once(ngx_http_idpay_cache_t *cache, ngx_slab_pool_t *shpool, ngx_uint_t n,
    int64_t end, int64_t time)
{
    u_char  id[NGX_HTTP_IDPAY_CACHE_ID];

    ngx_memzero(id, sizeof(id));
    ngx_memcpy(id + sizeof(id) - sizeof(n), &n, sizeof(n));

    return ngx_http_idpay_cache_once(cache, shpool, id, end, time, 0);
}


static ngx_uint_t
test_ordered(ngx_http_idpay_cache_t *cache)
{
    int64_t                     end;
    ngx_uint_t                  n;
    ngx_queue_t                *q;
    ngx_http_idpay_cache_id_t  *node;

    n = 0;
    end = 0;

    for (q = ngx_queue_head(&cache->ids);
         q != ngx_queue_sentinel(&cache->ids);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_http_idpay_cache_id_t, queue);

        if (node->end < end) {
            return 0;
        }

        end = node->end;
        n++;
    }

    return n == cache->nids;
}


static void
test_ids(ngx_slab_pool_t *shpool)
{
    ngx_uint_t              i;
    ngx_http_idpay_cache_t  cache;

    ngx_http_idpay_cache_init(&cache);

    tap_ok(test_once(&cache, shpool, 1, TEST_TIME + 10, TEST_TIME) == NGX_OK,
           "an ID");
    tap_ok(test_once(&cache, shpool, 1, TEST_TIME + 10, TEST_TIME)
           == NGX_DECLINED, "once only");
    tap_ok(test_once(&cache, shpool, 1, TEST_TIME + 99, TEST_TIME + 9)
           == NGX_DECLINED, "up to its end, whatever is said then");
    tap_ok(cache.nids == 1, "it is remembered once");

    for (i = 2; i < 50; i++) {
        (void) test_once(&cache, shpool, i, TEST_TIME + (i * 37) % 50 + 1,
                         TEST_TIME);
    }

    tap_ok(cache.nids == 49 && test_ordered(&cache), "in the order of ends");

    for (i = 1; i < 50; i++) {
        if (test_once(&cache, shpool, i, TEST_TIME + 60, TEST_TIME)
            != NGX_DECLINED)
        {
            break;
        }
    }

    tap_ok(i == 50, "all of them are known");

    tap_ok(test_once(&cache, shpool, 99, TEST_TIME + 99, TEST_TIME + 25)
           == NGX_OK
           && test_ordered(&cache), "a later one");
    tap_ok(cache.nids == 24 + 1, "those that are over have gone");

    tap_ok(test_once(&cache, shpool, 99, TEST_TIME + 99, TEST_TIME + 98)
           == NGX_DECLINED
           && cache.nids == 1, "one is left");
    tap_ok(test_once(&cache, shpool, 98, TEST_TIME + 200, TEST_TIME + 99)
           == NGX_OK
           && cache.nids == 1, "and goes at its end");
    tap_ok(test_once(&cache, shpool, 97, TEST_TIME + 300, TEST_TIME + 200)
           == NGX_OK
           && cache.nids == 1 && test_ordered(&cache), "as does the next");

    (void) test_once(&cache, shpool, 96, TEST_TIME + 500, TEST_TIME + 300);
}


static void
test_full(ngx_slab_pool_t *shpool, ngx_slab_pool_t *other)
{
    ngx_uint_t              i, n;
    ngx_http_idpay_cache_t  cache, copy;

    ngx_http_idpay_cache_init(&cache);

    for (i = 0; i < NGX_HTTP_IDPAY_CACHE_MAX_IDS; i++) {
        if (test_once(&cache, shpool, i, TEST_TIME + 10 + i, TEST_TIME)
            != NGX_OK)
        {
            break;
        }
    }

    tap_ok(i == NGX_HTTP_IDPAY_CACHE_MAX_IDS, "so many at a time");
    tap_ok(test_once(&cache, shpool, i, TEST_TIME + 10, TEST_TIME)
           == NGX_DONE, "none that ends before all of them");
    tap_ok(test_once(&cache, shpool, 0, TEST_TIME + 10, TEST_TIME)
           == NGX_DECLINED, "those that are known stay so");
    tap_ok(test_once(&cache, shpool, i, TEST_TIME + 10000, TEST_TIME)
           == NGX_OK
           && cache.nids == NGX_HTTP_IDPAY_CACHE_MAX_IDS
           && test_ordered(&cache), "another one in the place of the first");
    tap_ok(test_once(&cache, shpool, 0, TEST_TIME + 10, TEST_TIME)
           == NGX_DONE, "which is good no more");
    tap_ok(test_once(&cache, shpool, 70000, TEST_TIME + 10, TEST_TIME)
           == NGX_DONE, "nor is one that ends with it");
    tap_ok(test_once(&cache, shpool, 70001, TEST_TIME + 12, TEST_TIME)
           == NGX_OK
           && test_ordered(&cache), "but one that ends later");
    tap_ok(test_once(&cache, shpool, 1, TEST_TIME + 11, TEST_TIME)
           == NGX_DONE, "in the place of the next");
    tap_ok(test_once(&cache, shpool, 70002, TEST_TIME + 11, TEST_TIME + 10000)
           == NGX_DONE
           && cache.nids == 0, "also when there is room again");

    ngx_http_idpay_cache_init(&cache);

    for (i = 0; i < NGX_HTTP_IDPAY_CACHE_MAX_IDS; i++) {
        (void) test_once(&cache, shpool, i, TEST_TIME + 10 + i, TEST_TIME);
    }

    ngx_http_idpay_cache_init(&copy);
    ngx_http_idpay_cache_copy_ids(&copy, other, &cache, 0);

    n = copy.nids;

    tap_ok(n > 10 && n < cache.nids && test_ordered(&copy),
           "as many as there is room for are copied");
    tap_ok(test_once(&copy, other, i - 1, TEST_TIME + 10 + i, TEST_TIME)
           == NGX_DECLINED, "the last to end among them");
    tap_ok(test_once(&copy, other, i - 1 - n, TEST_TIME + 9 + i - n, TEST_TIME)
           == NGX_DONE, "one that has no room is good no more");
    tap_ok(test_once(&copy, other, 70000, TEST_TIME + 10000, TEST_TIME)
           == NGX_BUSY, "and no other");
}


static void
test_key(ngx_slab_pool_t *shpool, ngx_slab_pool_t *other)
{
    u_char                  key[NGX_HTTP_IDPAY_KEY_LEN];
    ngx_http_idpay_cache_t  cache, copy;

    ngx_http_idpay_cache_init(&cache);
    ngx_http_idpay_cache_init(&copy);

    ngx_http_idpay_cache_copy_ids(&copy, other, &cache, 0);

    ngx_memset(key, 1, sizeof(key));
    ngx_http_idpay_cache_key(&cache, key);
    tap_ok(key[0] == 1 && key[31] == 1, "the first key");

    ngx_memset(key, 2, sizeof(key));
    ngx_http_idpay_cache_key(&cache, key);
    tap_ok(key[0] == 1 && key[31] == 1, "stays");

    ngx_memset(key, 3, sizeof(key));
    ngx_http_idpay_cache_key(&copy, key);
    tap_ok(key[0] == 3 && key[31] == 3, "none is copied where there is none");

    ngx_http_idpay_cache_init(&copy);
    ngx_http_idpay_cache_copy_ids(&copy, other, &cache, 0);

    ngx_memset(key, 4, sizeof(key));
    ngx_http_idpay_cache_key(&copy, key);
    tap_ok(key[0] == 1 && key[31] == 1, "else it is");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_slab_pool_t  *shpool, *small, *other;

    test_cycle.log = &test_log;
    ngx_cycle = &test_cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_ncpu = 1;
    ngx_pid = ngx_getpid();

    ngx_time_init();
    ngx_slab_sizes_init();

    shpool = slab_pool(TEST_PAGES, &test_log);
    small = slab_pool(8, &test_log);
    other = slab_pool(8, &test_log);

    test_ids(shpool);
    test_full(shpool, small);
    test_key(shpool, other);

    ngx_free(shpool);
    ngx_free(small);
    ngx_free(other);

    return tap_done();
}
