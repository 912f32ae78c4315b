
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the tests of the store have in common.
 */


#ifndef _STORE_H_INCLUDED_
#define _STORE_H_INCLUDED_


#include <ngx_event.h>

#include "../../src/lib/ngx_http_idpay_sqlite.c"

#include "tap.h"


#define KEY_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_C  "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

#define NOW    ((int64_t) 1700000000123)     /* ms */


static char                         dir[64];
static ngx_log_t                    log;
static char                         log_text[NGX_MAX_ERROR_STR + 1];
static ngx_uint_t                   log_level;
static ngx_cycle_t                  cycle;
static ngx_http_idpay_store_key_t   keys[8][NGX_HTTP_IDPAY_STORE_KEYS];
static char                         paths[8][NGX_MAX_PATH];
static ngx_uint_t                   nkeys;


static void write_log(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len);
static ngx_str_t str(const char *text);
static char *name(const char *file);
static ngx_http_idpay_store_db_t set(const char *file, const char *key,
    const char *former);
static ngx_http_idpay_store_db_t create(const char *file, const char *key,
    const char *former);
static ngx_uint_t fails(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode, const char *text);
static void sql(const char *file, const char *text);
static ngx_http_idpay_store_op_t op(ngx_http_idpay_store_do_e action,
    const char *profile, uint64_t generation);
static ngx_http_idpay_store_job_t *run_at(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_op_t operation, int64_t now);
static ngx_http_idpay_store_job_t *run(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_op_t operation);
static ngx_int_t done(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_op_t operation);
static ngx_int_t save(ngx_http_idpay_store_db_t *db, const char *profile,
    uint64_t former, uint64_t generation, const char *access,
    const char *refresh);
static ngx_uint_t has(ngx_http_idpay_store_db_t *db, const char *profile,
    uint64_t generation, const char *access, const char *refresh);
static ngx_uint_t load_fails(ngx_http_idpay_store_db_t *db,
    const char *profile, const char *text);
static size_t contents(const char *file, u_char **p);
static ngx_uint_t found(const char *text);
static ngx_uint_t exists(const char *file);
static void begin(void);
static int end(void);


static void
write_log(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    log_level = level;
    (void) ngx_cpystrn((u_char *) log_text, buf,
                       ngx_min(len + 1, sizeof(log_text)));
}


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    return s;
}


/* some names can be in use at a time */

static char *
name(const char *file)
{
    static char        names[4][NGX_MAX_PATH];
    static ngx_uint_t  n;

    n = (n + 1) % 4;
    (void) snprintf(names[n], NGX_MAX_PATH, "%s/%s", dir, file);

    return names[n];
}


static ngx_http_idpay_store_db_t
set(const char *file, const char *key, const char *former)
{
    ngx_str_t                    secret;
    ngx_uint_t                   i;
    ngx_http_idpay_store_db_t    db;
    ngx_http_idpay_store_key_t  *k;

    ngx_memzero(&db, sizeof(db));

    nkeys = (nkeys + 1) % 8;
    k = keys[nkeys];

    (void) ngx_cpystrn((u_char *) paths[nkeys], (u_char *) name(file),
                       NGX_MAX_PATH);

    db.path = str(paths[nkeys]);
    db.keys = k;

    for (i = 0; i < NGX_HTTP_IDPAY_STORE_KEYS; i++) {
        secret = str(i ? former : key);

        if (secret.len == 0) {
            break;
        }

        ngx_http_idpay_crypto_derive(&secret, "idpay store 1", k[i].key, 32);
        ngx_http_idpay_crypto_derive(&secret, "idpay store key id", k[i].id, 8);
    }

    db.nkeys = i;

    return db;
}


static ngx_http_idpay_store_db_t
create(const char *file, const char *key, const char *former)
{
    int                        fd;
    ngx_http_idpay_store_db_t  db;

    db = set(file, key, former);

    fd = open((char *) db.path.data, O_CREAT|O_RDWR, 0600);
    close(fd);

    if (ngx_http_idpay_store_db_open(&db, NGX_HTTP_IDPAY_STORE_OPEN_CREATE)
        != NGX_OK)
    {
        tap_ok(0, "created: %s", db.error);
    }

    ngx_http_idpay_store_db_close(&db);

    return db;
}


static ngx_uint_t
fails(ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_open_e mode,
    const char *text)
{
    if (ngx_http_idpay_store_db_open(db, mode) == NGX_OK) {
        ngx_http_idpay_store_db_close(db);
        printf("# opened\n");
        return 0;
    }

    if (db->sqlite == NULL && ngx_strstr(db->error, text)) {
        return 1;
    }

    printf("# %s\n", db->error);

    return 0;
}


static void
sql(const char *file, const char *text)
{
    char     *err;
    sqlite3  *db;

    err = NULL;

    if (sqlite3_open(name(file), &db) != SQLITE_OK
        || sqlite3_exec(db, text, NULL, NULL, &err) != SQLITE_OK)
    {
        tap_ok(0, "%s: %s", text, err ? err : sqlite3_errmsg(db));
    }

    sqlite3_free(err);
    sqlite3_close(db);
}


static ngx_http_idpay_store_op_t
op(ngx_http_idpay_store_do_e action, const char *profile, uint64_t generation)
{
    ngx_http_idpay_store_op_t  o;

    ngx_memzero(&o, sizeof(o));

    o.action = action;
    o.provider = str("gopay");
    o.profile = str(profile);
    o.generation = generation;

    return o;
}


static ngx_http_idpay_store_job_t *
run_at(ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_op_t operation,
    int64_t now)
{
    ngx_http_idpay_store_job_t  *job;

    job = ngx_http_idpay_store_row_job(&operation, now, &log);
    ngx_http_idpay_store_row_run(db, job);

    return job;
}


static ngx_http_idpay_store_job_t *
run(ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_op_t operation)
{
    return run_at(db, operation, NOW);
}


static ngx_int_t
done(ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_op_t operation)
{
    ngx_int_t                    rc;
    ngx_http_idpay_store_job_t  *job;

    job = run(db, operation);
    rc = job->op.rc;
    ngx_http_idpay_store_row_free(job);

    return rc;
}


static ngx_int_t
save(ngx_http_idpay_store_db_t *db, const char *profile, uint64_t former,
    uint64_t generation, const char *access, const char *refresh)
{
    ngx_http_idpay_store_op_t  o;

    o = op(NGX_HTTP_IDPAY_STORE_SAVE, profile, former);
    o.token.access = str(access);
    o.token.refresh = str(refresh);
    o.token.generation = generation;
    o.token.expires = 1700003600;

    return done(db, o);
}


static ngx_uint_t
has(ngx_http_idpay_store_db_t *db, const char *profile, uint64_t generation,
    const char *access, const char *refresh)
{
    ngx_uint_t                     is;
    ngx_http_idpay_store_job_t    *job;
    ngx_http_idpay_store_token_t  *t;

    job = run(db, op(NGX_HTTP_IDPAY_STORE_LOAD, profile, 0));
    t = &job->op.token;

    is = job->op.rc == NGX_OK && t->generation == generation
         && t->access.len == ngx_strlen(access)
         && ngx_memcmp(t->access.data, access, t->access.len) == 0
         && t->refresh.len == ngx_strlen(refresh)
         && ngx_memcmp(t->refresh.data, refresh, t->refresh.len) == 0
         && t->expires == 1700003600 && t->updated == NOW / 1000;

    if (job->op.rc == NGX_ERROR) {
        printf("# %s\n", db->error);
    }

    ngx_http_idpay_store_row_free(job);

    return is;
}


static ngx_uint_t
load_fails(ngx_http_idpay_store_db_t *db, const char *profile,
    const char *text)
{
    if (done(db, op(NGX_HTTP_IDPAY_STORE_LOAD, profile, 0)) == NGX_ERROR
        && ngx_strstr(db->error, text))
    {
        return 1;
    }

    printf("# %s\n", db->error);

    return 0;
}


static size_t
contents(const char *file, u_char **p)
{
    int          fd;
    ssize_t      n;
    struct stat  st;

    *p = NULL;
    fd = open(name(file), O_RDONLY);

    if (fd == -1) {
        return 0;
    }

    fstat(fd, &st);
    *p = malloc(st.st_size + 1);
    n = read(fd, *p, st.st_size);
    close(fd);

    return ngx_max(n, 0);
}


/* in any file of the directory */

static ngx_uint_t
found(const char *text)
{
    size_t          n;
    u_char         *p;
    DIR            *d;
    ngx_uint_t      is;
    struct dirent  *de;

    is = 0;
    d = opendir(dir);

    while ((de = readdir(d))) {
        if (de->d_name[0] != '.') {
            n = contents(de->d_name, &p);
            is |= n && memmem(p, n, text, ngx_strlen(text)) != NULL;
            free(p);
        }
    }

    closedir(d);

    return is;
}


static ngx_uint_t
exists(const char *file)
{
    return access(name(file), F_OK) == 0;
}


static void
begin(void)
{
    ngx_pagesize = 4096;
    ngx_ncpu = 1;
    ngx_use_stderr = 0;
    ngx_pid = ngx_getpid();

    (void) ngx_strerror_init();
    ngx_time_init();
    (void) ngx_preinit_modules();

    log.log_level = NGX_LOG_INFO;
    log.writer = write_log;

    cycle.log = &log;
    ngx_cycle = &cycle;

    (void) ngx_event_timer_init(&log);

    setvbuf(stdout, NULL, _IOLBF, 0);

    (void) ngx_cpystrn((u_char *) dir, (u_char *) "/tmp/idpay_store_XXXXXX",
                       sizeof(dir));

    if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1) {
        printf("Bail out! mkdtemp() failed\n");
        exit(1);
    }
}


static int
end(void)
{
    char  command[128];

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    tap_ok(system(command) == 0, "removed");

    return tap_done();
}


#endif /* _STORE_H_INCLUDED_ */
