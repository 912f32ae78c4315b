
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The store in nginx: its configuration, and its queue in a single process.
 */


#include "../../src/credential/ngx_http_idpay_store.c"

#include "store.h"


static ngx_conf_t *conf(void);
static ngx_http_idpay_store_t *add(ngx_conf_t *cf, const char *path,
    const char *key);
static ngx_uint_t refused(ngx_conf_t *cf, const char *path, const char *key,
    const char *text);
static void test_add(void);
static void test_root(void);
static void handler(ngx_http_idpay_store_op_t *o);
static void turns(ngx_http_idpay_store_t *store);
static void test_queue(void);


extern ngx_module_t  ngx_thread_pool_module;


static ngx_http_idpay_store_t  *queue_store;
static char                     queue_told[64];
static ngx_uint_t               queue_again;


/* as far as the store looks at it */

static ngx_conf_t *
conf(void)
{
    static void             *ctx[256];
    static ngx_conf_t        cf;
    static ngx_cycle_t       none;
    static ngx_conf_file_t   file;

    ngx_core_module_t  *core, *threads;

    ngx_memzero(&cf, sizeof(cf));

    cf.pool = ngx_create_pool(4096, &log);
    cf.temp_pool = cf.pool;
    cf.log = &log;
    cf.cycle = &cycle;
    cf.conf_file = &file;

    file.file.fd = NGX_INVALID_FILE;
    file.file.name = str("nginx.conf");

    cycle.pool = cf.pool;
    cycle.log = &log;
    cycle.new_log = log;
    cycle.old_cycle = &none;
    cycle.conf_ctx = (void ****) ctx;

    core = ngx_core_module.ctx;
    threads = ngx_thread_pool_module.ctx;

    ctx[ngx_core_module.index] = core->create_conf(&cycle);
    ctx[ngx_thread_pool_module.index] = threads->create_conf(&cycle);

    return &cf;
}


static ngx_http_idpay_store_t *
add(ngx_conf_t *cf, const char *path, const char *key)
{
    ngx_str_t                file, k[2];
    ngx_http_idpay_vault_t  *vault;

    file.len = ngx_strlen(path);
    file.data = ngx_pnalloc(cf->pool, file.len + 1);
    (void) ngx_cpystrn(file.data, (u_char *) path, file.len + 1);

    k[0] = str(key);
    k[1] = str("");
    log_level = 0;

    vault = ngx_http_idpay_vault_create(cf->pool);

    return ngx_http_idpay_store_add(cf, &file, k, vault);
}


static ngx_uint_t
refused(ngx_conf_t *cf, const char *path, const char *key, const char *text)
{
    if (add(cf, path, key) == NULL && log_level == NGX_LOG_EMERG
        && ngx_strstr(log_text, text))
    {
        return 1;
    }

    printf("# %s\n", log_text);

    return 0;
}


static void
test_add(void)
{
    u_char                   one[32], other[32];
    ngx_conf_t              *cf;
    struct stat              st;
    ngx_http_idpay_store_t  *store;

    cf = conf();

    if (geteuid() == 0) {
        ((ngx_core_conf_t *) ngx_get_conf(cycle.conf_ctx, ngx_core_module))
            ->user = 0;
    }

    tap_ok(refused(cf, name("add.db"), "short", "less than 32 characters"),
           "add: a short key");
    tap_ok(refused(cf, name("no/add.db"), KEY_A, "cannot make files in"),
           "add: no directory");
    tap_ok(refused(cf, dir, KEY_A, "is not a regular file"),
           "add: a directory");
    sql("foreign.db", "CREATE TABLE t (a)");
    tap_ok(refused(cf, name("foreign.db"), KEY_A, "another application's"),
           "add: a foreign database");

    ngx_test_config = 1;
    tap_ok(add(cf, name("add.db"), KEY_A) && !exists("add.db")
           && log_level == 0, "add: a test makes nothing");
    ngx_test_config = 0;

    store = add(cf, name("add.db"), KEY_A);
    tap_ok(store && log_level == 0 && stat(name("add.db"), &st) == 0
           && (st.st_mode & 0777) == 0600 && !exists("add.db-wal"),
           "add: made, and closed");

    tap_ok(refused(cf, name("add.db"), KEY_B, "another key"),
           "add: another key");

    ngx_test_config = 1;
    tap_ok(add(cf, name("add.db"), KEY_A)
           && refused(cf, name("add.db"), KEY_B, "another key")
           && !exists("add.db-wal") && !exists("add.db-shm"),
           "add: a test makes nothing");
    ngx_test_config = 0;

    tap_ok(symlink(name("add.db"), name("link.db")) == 0
           && add(cf, name("link.db"), KEY_A), "add: a link");
    tap_ok(symlink(name("nothing.db"), name("loose.db")) == 0
           && refused(cf, name("loose.db"), KEY_A, "cannot be created")
           && !exists("nothing.db"), "add: a link to nothing");

    tap_ok(ngx_http_idpay_store_derive(store, "a", one) == NGX_OK
           && ngx_http_idpay_store_derive(store, "b", other) == NGX_OK
           && ngx_memcmp(one, other, 32) != 0
           && ngx_memcmp(one, store->db.keys[0].key, 32) != 0,
           "add: other keys are derived");

    ngx_destroy_pool(cf->pool);
}


static void
test_root(void)
{
    ngx_conf_t              *cf;
    struct stat              st;
    ngx_core_conf_t         *ccf;
    ngx_http_idpay_store_t  *store;

    if (geteuid() != 0) {
        tap_ok(1, "root: skipped");
        return;
    }

    cf = conf();
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle.conf_ctx, ngx_core_module);

    tap_ok(mkdir(name("theirs"), 0700) == 0
           && refused(cf, name("theirs/s.db"), KEY_A, "install -d -m 700 -o "),
           "root: the workers may not write there");
    ngx_test_config = 1;
    tap_ok(refused(cf, name("theirs/s.db"), KEY_A, "cannot make files in"),
           "root: a test tells it, too");
    ngx_test_config = 0;

    tap_ok(chown(name("theirs"), 65534, 65534) == 0, "root: now they may");

    store = add(cf, name("theirs/s.db"), KEY_A);
    tap_ok(store && stat(name("theirs/s.db"), &st) == 0
           && st.st_uid == getpwnam(NGX_USER)->pw_uid
           && (st.st_mode & 0777) == 0600, "root: it is the workers'");

    /* all files, where it is open while the master opens it, too */

    (void) done(&store->db, op(NGX_HTTP_IDPAY_STORE_LIST, "", 0));
    tap_ok(add(cf, name("theirs/s.db"), KEY_A)
           && stat(name("theirs/s.db-wal"), &st) == 0 && st.st_uid == 65534
           && stat(name("theirs/s.db-shm"), &st) == 0 && st.st_uid == 65534,
           "root: its other files, too");
    ngx_http_idpay_store_db_close(&store->db);

    ccf->user = 65534;
    cycle.old_cycle = &cycle;
    tap_ok(ngx_http_idpay_store_init_module(store, &cycle) == NGX_OK,
           "root: the user is the one");

    ccf->user = 1;
    log_level = 0;
    (void) ngx_http_idpay_store_init_module(store, &cycle);
    tap_ok(log_level == NGX_LOG_EMERG
           && ngx_strstr(log_text, "\"user\" stands behind \"http\""),
           "root: another user");

    ccf->username = "daemon";
    ccf->group = 1;
    tap_ok(chmod(name("theirs"), 0777) == 0
           && refused(cf, name("theirs/s.db"), KEY_A,
                      "belongs to user 65534, but the workers run as 1"),
           "root: somebody else's");

    tap_ok(chown(name("theirs/s.db"), 1, 1) == 0
           && chmod(name("theirs/s.db"), 0400) == 0
           && refused(cf, name("theirs/s.db"), KEY_A, "can be read only"),
           "root: the workers could only read it");

    ngx_destroy_pool(cf->pool);
}


static void
handler(ngx_http_idpay_store_op_t *o)
{
    size_t                     n;
    ngx_http_idpay_store_op_t  next;

    n = ngx_strlen(queue_told);
    (void) snprintf(queue_told + n, sizeof(queue_told) - n, "%s%d%s ",
                    (char *) o->data, (int) o->rc,
                    o->token.access.len ? "t" : "");

    if (queue_again) {
        queue_again = 0;
        next = op(NGX_HTTP_IDPAY_STORE_LOAD, "1", 0);
        next.handler = handler;
        next.data = "again";
        (void) ngx_http_idpay_store_post(queue_store, &next);
    }
}


static void
turns(ngx_http_idpay_store_t *store)
{
    ngx_uint_t  i;

    for (i = 0; i < 1000 && store->timer.timer_set; i++) {
        usleep(2000);
        ngx_time_update();
        ngx_current_msec += 2;
        ngx_event_expire_timers();
    }
}


static void
test_queue(void)
{
    ngx_conf_t                 *cf;
    ngx_http_idpay_store_op_t   o, l;
    ngx_http_idpay_store_db_t   db;

    cf = conf();

    if (geteuid() == 0) {
        ((ngx_core_conf_t *) ngx_get_conf(cycle.conf_ctx, ngx_core_module))
            ->user = 0;
    }

    queue_store = add(cf, name("queue.db"), KEY_A);

    l = op(NGX_HTTP_IDPAY_STORE_LOAD, "1", 0);
    l.handler = handler;
    l.data = "load";

    o = op(NGX_HTTP_IDPAY_STORE_SAVE, "1", 0);
    o.handler = handler;
    o.data = "save";
    o.token.access = str("access");
    o.token.generation = 1;

    queue_again = 1;
    (void) ngx_http_idpay_store_post(queue_store, &l);
    (void) ngx_http_idpay_store_post(queue_store, &o);
    (void) ngx_http_idpay_store_post(queue_store, &l);

    tap_ok(queue_told[0] == '\0' && ngx_event_no_timers_left() == NGX_AGAIN,
           "queue: nothing before its time, the worker waits");

    turns(queue_store);

    tap_ok(ngx_strcmp(queue_told, "load-5 save0t load0t again0t ") == 0
           && ngx_event_no_timers_left() == NGX_OK, "queue: in order: %s",
           queue_told);

    /* an error is logged once, without what it was about */

    queue_told[0] = '\0';
    tap_ok(rename(name("queue.db"), name("away.db")) == 0, "queue: no file");

    (void) ngx_http_idpay_store_post(queue_store, &o);
    turns(queue_store);

    tap_ok(ngx_strcmp(queue_told, "save-1t ") == 0
           && log_level == NGX_LOG_ERR
           && ngx_strstr(log_text, "to save a token of \"gopay\", profile "
                         "\"1\"")
           && ngx_strstr(log_text, "has been moved"), "queue: an error");

    tap_ok(rename(name("away.db"), name("queue.db")) == 0, "queue: there");

    /* what waits at the end */

    queue_told[0] = '\0';
    o.token.generation = 2;
    o.token.access = str("saved at the end");
    o.token.refresh = str("yes");
    o.token.expires = 1700003600;

    (void) ngx_http_idpay_store_post(queue_store, &l);
    (void) ngx_http_idpay_store_post(queue_store, &o);

    ngx_http_idpay_store_exit_process(queue_store);

    tap_ok(queue_told[0] == '\0' && ngx_event_no_timers_left() == NGX_OK,
           "queue: at the end nobody is told");

    ngx_destroy_pool(cf->pool);

    db = set("queue.db", KEY_A, "");
    o = op(NGX_HTTP_IDPAY_STORE_SAVE, "1", 2);
    o.token.generation = 3;
    tap_ok(done(&db, o) == NGX_OK && !found("at the end"),
           "queue: but all is written");
    ngx_http_idpay_store_db_close(&db);
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    begin();

    test_add();
    test_root();
    test_queue();

    return end();
}
