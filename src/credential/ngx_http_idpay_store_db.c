
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_store_db.h"


/* "idpa"; both are parts of statements */

#define NGX_HTTP_IDPAY_STORE_APPLICATION  1768190049
#define NGX_HTTP_IDPAY_STORE_VERSION      1


static ngx_int_t ngx_http_idpay_store_db_layout(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode);
static ngx_int_t ngx_http_idpay_store_db_create(
    ngx_http_idpay_store_db_t *db);
static ngx_int_t ngx_http_idpay_store_db_keys(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode);
static ngx_int_t ngx_http_idpay_store_db_test_key(
    ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_key_t *key);
static ngx_int_t ngx_http_idpay_store_db_add_key(
    ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_key_t *key);
static ngx_int_t ngx_http_idpay_store_db_other_key(
    ngx_http_idpay_store_db_t *db);
static ngx_int_t ngx_http_idpay_store_db_prepare(
    ngx_http_idpay_store_db_t *db);


static ngx_str_t  ngx_http_idpay_store_key_bound =
    ngx_string("idpay store key");

static const char  ngx_http_idpay_store_schema[] =

    "CREATE TABLE keys ("
        "id BLOB NOT NULL PRIMARY KEY, "
        "sealed BLOB NOT NULL"
    ") STRICT; "

    /* "len" is of "profile", since numbers stand in order by both */

    "CREATE TABLE tokens ("
        "provider TEXT NOT NULL, "
        "len INTEGER NOT NULL, "
        "profile TEXT NOT NULL, "
        "generation INTEGER NOT NULL, "
        "expires INTEGER NOT NULL, "
        "updated INTEGER NOT NULL, "
        "gone INTEGER NOT NULL, "
        "doubt INTEGER NOT NULL, "
        "intent_owner INTEGER NOT NULL, "
        "intent_until INTEGER NOT NULL, "
        "key BLOB NOT NULL, "
        "sealed BLOB NOT NULL, "
        "PRIMARY KEY (provider, len, profile)"
    ") STRICT; "

    "PRAGMA application_id=" ngx_value(NGX_HTTP_IDPAY_STORE_APPLICATION) "; "
    "PRAGMA user_version=" ngx_value(NGX_HTTP_IDPAY_STORE_VERSION);


static const char  *ngx_http_idpay_store_sql[] = {

    "SELECT generation, expires, updated, gone, doubt, "
        "intent_owner, intent_until, key, sealed "
    "FROM tokens WHERE provider = ?1 AND len = ?2 AND profile = ?3",

    "UPDATE tokens SET gone = ?4, doubt = ?5, intent_owner = ?6, "
        "intent_until = ?7 "
    "WHERE provider = ?1 AND len = ?2 AND profile = ?3",

    "INSERT OR REPLACE INTO tokens (provider, len, profile, generation, "
        "expires, updated, gone, doubt, intent_owner, intent_until, "
        "key, sealed) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, ?9, ?10)",

    "DELETE FROM tokens WHERE provider = ?1 AND len = ?2 AND profile = ?3",

    "SELECT profile, generation, expires, updated, gone "
    "FROM tokens WHERE provider = ?1 AND (len, profile) > (?2, ?3) "
    "ORDER BY len, profile LIMIT " ngx_value(NGX_HTTP_IDPAY_STORE_MAX_LIST)
};


ngx_int_t
ngx_http_idpay_store_db_open(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode)
{
    ngx_int_t  rc;

    if (mode == NGX_HTTP_IDPAY_STORE_OPEN_TEST) {
        rc = ngx_http_idpay_sqlite_open_still(&db->sqlite, &db->path);

    } else {
        rc = ngx_http_idpay_sqlite_open(&db->sqlite, &db->path,
                                        NGX_HTTP_IDPAY_STORE_BUSY);
    }

    if (rc != NGX_OK) {
        rc = ngx_http_idpay_store_db_failed(db);
        goto done;
    }

    rc = ngx_http_idpay_store_db_layout(db, mode);

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_store_db_keys(db, mode);
    }

    if (rc == NGX_OK && mode == NGX_HTTP_IDPAY_STORE_OPEN_USE) {
        rc = ngx_http_idpay_store_db_prepare(db);
    }

done:

    if (rc == NGX_ERROR) {
        ngx_http_idpay_store_db_close(db);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_DECLINED: it is empty, which only a test may leave so */

static ngx_int_t
ngx_http_idpay_store_db_layout(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode)
{
    int64_t  pages, application, version, wal;

    if (ngx_http_idpay_sqlite_number(db->sqlite, "PRAGMA page_count", &pages)
        != NGX_OK
        || ngx_http_idpay_sqlite_number(db->sqlite, "PRAGMA application_id",
                                        &application)
           != NGX_OK
        || ngx_http_idpay_sqlite_number(db->sqlite, "PRAGMA user_version",
                                        &version)
           != NGX_OK)
    {
        return ngx_http_idpay_store_db_failed(db);
    }

    if (pages == 0) {

        if (mode == NGX_HTTP_IDPAY_STORE_OPEN_TEST) {
            return NGX_DECLINED;
        }

        if (mode == NGX_HTTP_IDPAY_STORE_OPEN_USE) {
            return ngx_http_idpay_store_db_says(db, "is empty, reload nginx");
        }

    } else if (application != NGX_HTTP_IDPAY_STORE_APPLICATION) {
        return ngx_http_idpay_store_db_says(db, "is another application's "
                                            "database, it is left as it is");

    } else if (version != NGX_HTTP_IDPAY_STORE_VERSION) {
        return ngx_http_idpay_store_db_says(db, "is of version %L, this module "
                                            "knows version %d only", version,
                                            NGX_HTTP_IDPAY_STORE_VERSION);
    }

    if (mode == NGX_HTTP_IDPAY_STORE_OPEN_TEST) {
        return NGX_OK;
    }

    if (ngx_http_idpay_sqlite_read_only(db->sqlite)) {
        return ngx_http_idpay_store_db_says(db, "can only be read, allow to "
                                            "write to it");
    }

    if (ngx_http_idpay_sqlite_exec(db->sqlite, "PRAGMA synchronous=FULL; "
                                   "PRAGMA secure_delete=ON; "
                                   "PRAGMA temp_store=MEMORY; "
                                   "PRAGMA cell_size_check=ON; "
                                   "PRAGMA trusted_schema=OFF")
        != NGX_OK)
    {
        return ngx_http_idpay_store_db_failed(db);
    }

    if (pages == 0 && ngx_http_idpay_store_db_create(db) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * Only now: what is created is in the file itself from the beginning, for
     * a test that does not read the log.
     */

    if (ngx_http_idpay_sqlite_exec(db->sqlite, "PRAGMA journal_mode=WAL")
        != NGX_OK
        || ngx_http_idpay_sqlite_number(db->sqlite,
                                        "SELECT journal_mode = 'wal' "
                                        "FROM pragma_journal_mode", &wal)
           != NGX_OK)
    {
        return ngx_http_idpay_store_db_failed(db);
    }

    if (!wal) {
        return ngx_http_idpay_store_db_says(db, "cannot be used with a "
                                            "write-ahead log, put it into a "
                                            "local file system");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_store_db_create(ngx_http_idpay_store_db_t *db)
{
    int64_t  application;

    if (ngx_http_idpay_sqlite_exec(db->sqlite, "BEGIN EXCLUSIVE") != NGX_OK
        || ngx_http_idpay_sqlite_number(db->sqlite, "PRAGMA application_id",
                                        &application)
           != NGX_OK)
    {
        return ngx_http_idpay_store_db_failed(db);
    }

    /* if it is, another nginx has been faster */

    if (application != NGX_HTTP_IDPAY_STORE_APPLICATION) {

        if (ngx_http_idpay_sqlite_exec(db->sqlite, ngx_http_idpay_store_schema)
            != NGX_OK)
        {
            return ngx_http_idpay_store_db_failed(db);
        }

        if (ngx_http_idpay_store_db_add_key(db, &db->keys[0]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_idpay_sqlite_exec(db->sqlite, "COMMIT") != NGX_OK) {
        return ngx_http_idpay_store_db_failed(db);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_store_db_keys(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_DECLINED;

    for (i = 0; i < db->nkeys; i++) {
        rc = ngx_http_idpay_store_db_test_key(db, &db->keys[i]);

        if (rc != NGX_DECLINED) {
            break;
        }
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_idpay_store_db_other_key(db);
    }

    if (rc == NGX_ERROR || i == 0 || mode == NGX_HTTP_IDPAY_STORE_OPEN_TEST) {
        return rc;
    }

    if (ngx_http_idpay_store_db_add_key(db, &db->keys[0]) != NGX_OK) {
        return NGX_ERROR;
    }

    /* again for a test that does not read the log */

    if (ngx_http_idpay_sqlite_exec(db->sqlite, "PRAGMA wal_checkpoint")
        != NGX_OK)
    {
        return ngx_http_idpay_store_db_failed(db);
    }

    return NGX_OK;
}


/*
 * The text is the key's own name: what counts is that it can be opened.
 * Returns NGX_DECLINED if the database does not know the key.
 */

static ngx_int_t
ngx_http_idpay_store_db_test_key(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_key_t *key)
{
    u_char                         text[NGX_HTTP_IDPAY_STORE_ID];
    ngx_int_t                      rc;
    ngx_str_t                      id, sealed;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    stmt = ngx_http_idpay_sqlite_prepare(db->sqlite, "SELECT sealed FROM keys "
                                         "WHERE id = ?1");
    if (stmt == NULL) {
        return ngx_http_idpay_store_db_failed(db);
    }

    id.data = key->id;
    id.len = NGX_HTTP_IDPAY_STORE_ID;

    rc = ngx_http_idpay_sqlite_bind_blob(stmt, 1, &id);

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_sqlite_step(stmt);
    }

    if (rc == NGX_ERROR) {
        rc = ngx_http_idpay_store_db_failed(db);
        goto done;
    }

    if (rc == NGX_DONE) {
        rc = NGX_DECLINED;
        goto done;
    }

    ngx_http_idpay_sqlite_blob(stmt, 0, &sealed);

    if (sealed.len != id.len + NGX_HTTP_IDPAY_SEAL_EXTRA
        || ngx_http_idpay_crypto_open(key->key, &ngx_http_idpay_store_key_bound,
                                   &sealed, text)
           != NGX_OK)
    {
        rc = ngx_http_idpay_store_db_says(db, "is damaged, what key %*xs is "
                                          "tested with cannot be opened",
                                          id.len, id.data);
    }

done:

    ngx_http_idpay_sqlite_finalize(stmt);

    return rc;
}


static ngx_int_t
ngx_http_idpay_store_db_add_key(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_key_t *key)
{
    u_char                         p[NGX_HTTP_IDPAY_STORE_ID
                                     + NGX_HTTP_IDPAY_SEAL_EXTRA];
    ngx_int_t                      rc;
    ngx_str_t                      id, sealed;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    id.data = key->id;
    id.len = NGX_HTTP_IDPAY_STORE_ID;

    if (ngx_http_idpay_crypto_seal(key->key, &ngx_http_idpay_store_key_bound,
                                   &id, p) != NGX_OK) {
        return ngx_http_idpay_store_db_says(db, "failed: cannot seal");
    }

    sealed.data = p;
    sealed.len = sizeof(p);

    stmt = ngx_http_idpay_sqlite_prepare(db->sqlite, "INSERT OR IGNORE "
                                         "INTO keys (id, sealed) "
                                         "VALUES (?1, ?2)");
    if (stmt == NULL) {
        return ngx_http_idpay_store_db_failed(db);
    }

    rc = ngx_http_idpay_sqlite_bind_blob(stmt, 1, &id);

    if (rc == NGX_OK) {
        rc = ngx_http_idpay_sqlite_bind_blob(stmt, 2, &sealed);
    }

    rc = ngx_http_idpay_store_db_write(db, stmt, rc);

    ngx_http_idpay_sqlite_finalize(stmt);

    return rc;
}


/* tells which keys it knows: a name says nothing of the key */

static ngx_int_t
ngx_http_idpay_store_db_other_key(ngx_http_idpay_store_db_t *db)
{
    ngx_str_t                      known;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    stmt = ngx_http_idpay_sqlite_prepare(db->sqlite,
                                         "SELECT group_concat(lower(hex(id))) "
                                         "FROM (SELECT id FROM keys LIMIT 4)");
    if (stmt == NULL) {
        return ngx_http_idpay_store_db_failed(db);
    }

    if (ngx_http_idpay_sqlite_step(stmt) == NGX_OK) {
        ngx_http_idpay_sqlite_text(stmt, 0, &known);

        (void) ngx_http_idpay_store_db_says(db, "is sealed with another key: "
                   "it knows \"%V\", given is %*xs%s%*xs", &known,
                   (size_t) NGX_HTTP_IDPAY_STORE_ID, db->keys[0].id,
                   (db->nkeys > 1) ? "," : "",
                   (size_t) (db->nkeys - 1) * NGX_HTTP_IDPAY_STORE_ID,
                   db->keys[db->nkeys - 1].id);

    } else {
        (void) ngx_http_idpay_store_db_failed(db);
    }

    ngx_http_idpay_sqlite_finalize(stmt);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_idpay_store_db_prepare(ngx_http_idpay_store_db_t *db)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_IDPAY_STORE_SQL_MAX; i++) {
        db->stmts[i] = ngx_http_idpay_sqlite_prepare(db->sqlite,
                                                  ngx_http_idpay_store_sql[i]);
        if (db->stmts[i] == NULL) {
            return ngx_http_idpay_store_db_failed(db);
        }
    }

    return NGX_OK;
}


void
ngx_http_idpay_store_db_close(ngx_http_idpay_store_db_t *db)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_IDPAY_STORE_SQL_MAX; i++) {
        ngx_http_idpay_sqlite_finalize(db->stmts[i]);
        db->stmts[i] = NULL;
    }

    ngx_http_idpay_sqlite_close(db->sqlite);
    db->sqlite = NULL;
}


ngx_int_t
ngx_http_idpay_store_db_write(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_sqlite_stmt_t *stmt, ngx_int_t rc)
{
    if (rc != NGX_OK || ngx_http_idpay_sqlite_step(stmt) != NGX_DONE) {
        rc = ngx_http_idpay_store_db_failed(db);
    }

    ngx_http_idpay_sqlite_reset(stmt);

    return rc;
}


ngx_int_t
ngx_http_idpay_store_db_says(ngx_http_idpay_store_db_t *db, const char *fmt,
    ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(db->error, db->error + NGX_HTTP_IDPAY_STORE_ERROR - 1,
                      fmt, args);
    va_end(args);

    *p = '\0';

    return NGX_ERROR;
}


ngx_int_t
ngx_http_idpay_store_db_failed(ngx_http_idpay_store_db_t *db)
{
    u_char  *p, *last;

    last = db->error + NGX_HTTP_IDPAY_STORE_ERROR - 1;

    p = ngx_slprintf(db->error, last, "failed: ");
    p = ngx_http_idpay_sqlite_error(db->sqlite, p, last);

    *p = '\0';

    return NGX_ERROR;
}
