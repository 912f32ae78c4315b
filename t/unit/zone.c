
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The zone: what it keeps, what it copies, and what it begins anew.
 */


#include "../../src/zone/ngx_http_idpay_zone.c"

#include "tap.h"


#define TEST_PAGES  16
#define TEST_NODE   3000


static ngx_uint_t       test_log_level;
static char             test_log_text[NGX_MAX_ERROR_STR + 1];

static ngx_log_t        test_log;
static ngx_cycle_t      test_cycle;
static ngx_shm_zone_t   test_zones[16];
static ngx_uint_t       test_nzones;


static void test_write(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len);
static ngx_shm_zone_t *test_memory(size_t pages);
static ngx_http_idpay_zone_t *test_conf(ngx_pool_t *pool,
    ngx_shm_zone_t *shm_zone, ngx_uint_t layout, size_t size, char **names);
static u_char *test_node(ngx_http_idpay_zone_t *zone, ngx_uint_t i);
static ngx_int_t test_init(ngx_shm_zone_t *shm_zone, void *data);
static void test_run(ngx_shm_zone_t *shm_zone);
static void test_reuse(ngx_pool_t *pool);
static void test_copy(ngx_pool_t *pool);
static void test_other(ngx_pool_t *pool);
static void test_small(ngx_pool_t *pool);
static void test_names(ngx_pool_t *pool);


static void
test_write(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    test_log_level = level;
    (void) ngx_cpystrn((u_char *) test_log_text, buf,
                       ngx_min(len + 1, sizeof(test_log_text)));
}


/* a zone of zeroed memory, as nginx has just got it from the system */

static ngx_shm_zone_t *
test_memory(size_t pages)
{
    ngx_shm_zone_t   *shm_zone;
    ngx_slab_pool_t  *sp;

    shm_zone = &test_zones[test_nzones++];

    ngx_memzero(shm_zone, sizeof(ngx_shm_zone_t));
    ngx_str_set(&shm_zone->shm.name, "idpay");

    shm_zone->shm.log = &test_log;
    shm_zone->shm.size = pages * ngx_pagesize;
    shm_zone->shm.addr = ngx_memalign(ngx_pagesize, shm_zone->shm.size,
                                      &test_log);
    ngx_memzero(shm_zone->shm.addr, shm_zone->shm.size);

    sp = (ngx_slab_pool_t *) shm_zone->shm.addr;
    sp->end = shm_zone->shm.addr + shm_zone->shm.size;
    sp->min_shift = 3;
    sp->addr = shm_zone->shm.addr;

    (void) ngx_shmtx_create(&sp->mutex, &sp->lock, NULL);
    ngx_slab_init(sp);

    return shm_zone;
}


/* what a configuration has: a zone of that layout for names up to a NULL */

static ngx_http_idpay_zone_t *
test_conf(ngx_pool_t *pool, ngx_shm_zone_t *shm_zone, ngx_uint_t layout,
    size_t size, char **names)
{
    ngx_str_t               name;
    ngx_http_idpay_zone_t  *zone;

    zone = ngx_pcalloc(pool, sizeof(ngx_http_idpay_zone_t));
    ngx_array_init(&zone->entries, pool, 1,
                   sizeof(ngx_http_idpay_zone_entry_t));

    zone->shm_zone = shm_zone;
    zone->layout = layout;
    zone->size = size;

    for ( /* void */ ; *names; names++) {
        name.data = (u_char *) *names;
        name.len = ngx_strlen(*names);
        (void) ngx_http_idpay_zone_node(zone, &name);
    }

    shm_zone->data = zone;

    return zone;
}


static u_char *
test_node(ngx_http_idpay_zone_t *zone, ngx_uint_t i)
{
    ngx_http_idpay_zone_entry_t  *entry;

    entry = zone->entries.elts;

    return entry[i].node;
}


static ngx_int_t
test_init(ngx_shm_zone_t *shm_zone, void *data)
{
    test_log_level = 0;

    return ngx_http_idpay_zone_init(shm_zone, data);
}


/* makes a zone the running configuration's, or none */

static void
test_run(ngx_shm_zone_t *shm_zone)
{
    test_cycle.shared_memory.part.elts = shm_zone;
    test_cycle.shared_memory.part.nelts = shm_zone ? 1 : 0;
}


static void
test_reuse(ngx_pool_t *pool)
{
    u_char                 *a, *b;
    ngx_uint_t              i;
    ngx_shm_zone_t         *shm_zone;
    ngx_http_idpay_zone_t  *zone, *next;

    shm_zone = test_memory(TEST_PAGES);
    zone = test_conf(pool, shm_zone, 1, TEST_NODE,
                     (char *[]) { "a", "b", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_OK && test_log_level == 0,
           "first: made, and nothing said");

    a = test_node(zone, 0);
    b = test_node(zone, 1);

    tap_ok(a && b && a != b && (uintptr_t) a % 16 == 0
           && (uintptr_t) b % 16 == 0, "first: a node for each, aligned");

    for (i = 0; i < TEST_NODE && a[i] == 0 && b[i] == 0; i++) { /* void */ }
    tap_ok(i == TEST_NODE, "first: zeroed");

    ngx_memset(a, 'a', TEST_NODE);
    ngx_memset(b, 'b', TEST_NODE);

    test_run(shm_zone);

    next = test_conf(pool, shm_zone, 1, TEST_NODE,
                     (char *[]) { "c", "b", "a", NULL });

    tap_ok(test_init(shm_zone, zone) == NGX_OK && test_log_level == 0,
           "reuse: taken, and nothing said");
    tap_ok(test_node(next, 1) == b && test_node(next, 2) == a,
           "reuse: the same nodes by their names");
    tap_ok(test_node(next, 0)[0] == 0
           && test_node(next, 0)[TEST_NODE - 1] == 0, "reuse: a new one");
    tap_ok(a[0] == 'a' && a[TEST_NODE - 1] == 'a' && b[TEST_NODE - 1] == 'b',
           "reuse: with what was in them");
}


static void
test_copy(ngx_pool_t *pool)
{
    u_char                 *b;
    ngx_shm_zone_t         *shm_zone;
    ngx_http_idpay_zone_t  *zone;

    /* of another size, so with other memory */

    shm_zone = test_memory(TEST_PAGES * 2);
    zone = test_conf(pool, shm_zone, 1, TEST_NODE,
                     (char *[]) { "b", "d", NULL });

    ngx_process = NGX_PROCESS_SINGLE;

    tap_ok(test_init(shm_zone, NULL) == NGX_ERROR
           && test_log_level == NGX_LOG_EMERG,
           "copy: not without a master process");

    ngx_process = NGX_PROCESS_MASTER;

    tap_ok(test_init(shm_zone, NULL) == NGX_OK && test_log_level == 0,
           "copy: made, and nothing said");

    b = test_node(zone, 0);

    tap_ok(b[0] == 'b' && b[TEST_NODE - 1] == 'b' && test_node(zone, 1)[0] == 0,
           "copy: what was in a node of that name, and a new one");
    tap_ok(b > shm_zone->shm.addr
           && b < shm_zone->shm.addr + shm_zone->shm.size,
           "copy: in the new memory");

    test_run(shm_zone);
}


static void
test_other(ngx_pool_t *pool)
{
    void                   *data[4];
    ngx_uint_t              i;
    ngx_shm_zone_t         *shm_zone;
    ngx_slab_pool_t        *sp;
    ngx_http_idpay_zone_t  *zone, *next;

    shm_zone = test_memory(TEST_PAGES);
    zone = test_conf(pool, shm_zone, 2, TEST_NODE, (char *[]) { "b", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_OK
           && test_log_level == NGX_LOG_NOTICE
           && ngx_strstr(test_log_text, "idpay: zone \"idpay\" had another "
                         "layout and begins anew"), "other layout: a notice");
    tap_ok(test_node(zone, 0)[0] == 0, "other layout: nothing is copied");

    test_node(zone, 0)[0] = 'b';
    test_run(shm_zone);

    next = test_conf(pool, shm_zone, 3, TEST_NODE, (char *[]) { "b", NULL });

    tap_ok(test_init(shm_zone, zone) == NGX_OK
           && test_log_level == NGX_LOG_NOTICE,
           "other layout in the same memory: a notice");
    sp = zone->shpool;

    tap_ok(test_node(next, 0)[0] == 0
           && test_node(next, 0) != test_node(zone, 0)
           && test_node(zone, 0)[0] == 'b',
           "other layout in the same memory: old nodes are left alone");

    shm_zone = test_memory(TEST_PAGES);
    zone = test_conf(pool, shm_zone, 3, TEST_NODE + 8,
                     (char *[]) { "b", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_OK
           && test_log_level == NGX_LOG_NOTICE
           && test_node(zone, 0)[0] == 0, "other size of nodes: a notice");

    /* a zone of that name that was another module's */

    data[0] = NULL;
    data[1] = sp->start;
    data[2] = sp->end - 1;
    data[3] = &data;

    for (i = 0; i < 4; i++) {
        sp->data = data[i];

        shm_zone = test_memory(TEST_PAGES);
        zone = test_conf(pool, shm_zone, 3, TEST_NODE,
                         (char *[]) { "b", NULL });

        tap_ok(test_init(shm_zone, NULL) == NGX_OK
               && test_log_level == NGX_LOG_NOTICE
               && test_node(zone, 0)[0] == 0, "another module's zone %d",
               (int) i);
    }
}


static void
test_small(ngx_pool_t *pool)
{
    ngx_shm_zone_t  *shm_zone;

    test_run(NULL);

    shm_zone = test_memory(8);
    (void) test_conf(pool, shm_zone, 1, 10000,
                     (char *[]) { "a", "b", "c", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_ERROR
           && test_log_level == NGX_LOG_EMERG
           && ngx_strstr(test_log_text, "idpay: zone \"idpay\" is too small "
                         "for 3 providers, enlarge \"idpay_zone\""),
           "too small: told so, and by nobody else");

    shm_zone = test_memory(8);
    (void) test_conf(pool, shm_zone, 1, 10000, (char *[]) { "a", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_OK, "large enough for one");
}


static void
test_names(ngx_pool_t *pool)
{
    char                    name[300], other[300];
    ngx_shm_zone_t         *shm_zone;
    ngx_http_idpay_zone_t  *zone;

    ngx_memset(name, 'n', 299);
    name[299] = '\0';

    ngx_memcpy(other, name, 300);
    other[254] = 'm';

    shm_zone = test_memory(TEST_PAGES);
    zone = test_conf(pool, shm_zone, 1, 100,
                     (char *[]) { "ab", "abc", name, other, "", NULL });

    tap_ok(test_init(shm_zone, NULL) == NGX_OK
           && test_node(zone, 0) != test_node(zone, 1)
           && test_node(zone, 2) != test_node(zone, 3)
           && test_node(zone, 4), "names of all lengths");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_pool_t  *pool;

    ngx_process = NGX_PROCESS_MASTER;
    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_ncpu = 1;
    ngx_use_stderr = 0;
    ngx_pid = ngx_getpid();

    (void) ngx_strerror_init();
    ngx_time_init();
    ngx_slab_sizes_init();

    test_log.log_level = NGX_LOG_INFO;
    test_log.writer = test_write;

    test_cycle.log = &test_log;
    ngx_cycle = &test_cycle;

    pool = ngx_create_pool(4096, &test_log);

    test_reuse(pool);
    test_copy(pool);
    test_other(pool);
    test_small(pool);
    test_names(pool);

    while (test_nzones) {
        ngx_free(test_zones[--test_nzones].shm.addr);
    }

    ngx_destroy_pool(pool);

    return tap_done();
}
