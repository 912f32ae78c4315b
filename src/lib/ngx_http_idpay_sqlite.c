
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_sqlite.h"

#include <sqlite3.h>


/*
 * ms between two looks whether others are done: SQLite's own are up to 100,
 * and who writes much would starve who waits so long
 */

#define NGX_HTTP_IDPAY_SQLITE_LOOK  2


static ngx_int_t ngx_http_idpay_sqlite_open_as(ngx_http_idpay_sqlite_t **db,
    const char *name, int flags);
static int ngx_http_idpay_sqlite_busy(void *data, int n);


ngx_int_t
ngx_http_idpay_sqlite_open(ngx_http_idpay_sqlite_t **db, ngx_str_t *path,
    ngx_uint_t busy)
{
    ngx_int_t  rc;

    rc = ngx_http_idpay_sqlite_open_as(db, (char *) path->data,
                                       SQLITE_OPEN_READWRITE);
    if (rc == NGX_OK) {
        (void) sqlite3_busy_handler(*db, ngx_http_idpay_sqlite_busy,
                                    (void *) (uintptr_t) busy);
    }

    return rc;
}


ngx_int_t
ngx_http_idpay_sqlite_open_still(ngx_http_idpay_sqlite_t **db,
    ngx_str_t *path)
{
    char       *uri;
    u_char     *p;
    size_t      size;
    ngx_int_t   rc;

    *db = NULL;

    size = sizeof("file://?immutable=1")
           + path->len
           + 2 * ngx_escape_uri(NULL, path->data, path->len, NGX_ESCAPE_URI);

    uri = sqlite3_malloc(size);
    if (uri == NULL) {
        return NGX_ERROR;
    }

    /* an empty authority, lest two slashes at the beginning are taken for it */

    p = ngx_cpymem(uri, "file:", 5);

    if (path->data[0] == '/') {
        p = ngx_cpymem(p, "//", 2);
    }

    p = (u_char *) ngx_escape_uri(p, path->data, path->len, NGX_ESCAPE_URI);

    ngx_memcpy(p, "?immutable=1", sizeof("?immutable=1"));

    rc = ngx_http_idpay_sqlite_open_as(db, uri,
                                       SQLITE_OPEN_READONLY|SQLITE_OPEN_URI);
    sqlite3_free(uri);

    return rc;
}


static ngx_int_t
ngx_http_idpay_sqlite_open_as(ngx_http_idpay_sqlite_t **db, const char *name,
    int flags)
{
    /* one thread at a time, so without SQLite's mutexes */

    if (sqlite3_open_v2(name, db,
                        flags|SQLITE_OPEN_NOMUTEX|SQLITE_OPEN_EXRESCODE, NULL)
        != SQLITE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_idpay_sqlite_busy(void *data, int n)
{
    if ((uintptr_t) n * NGX_HTTP_IDPAY_SQLITE_LOOK >= (uintptr_t) data) {
        return 0;
    }

    ngx_msleep(NGX_HTTP_IDPAY_SQLITE_LOOK);

    return 1;
}


void
ngx_http_idpay_sqlite_close(ngx_http_idpay_sqlite_t *db)
{
    (void) sqlite3_close_v2(db);
}


u_char *
ngx_http_idpay_sqlite_error(ngx_http_idpay_sqlite_t *db, u_char *p,
    u_char *last)
{
    int  code;

    last = ngx_min(last, p + NGX_HTTP_IDPAY_SQLITE_ERROR);

    /* of NULL it says "out of memory" */

    code = sqlite3_extended_errcode(db);
    p = ngx_slprintf(p, last, "%s (%d", sqlite3_errmsg(db), code);

    /* the system's error is of the last of these two */

    if ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR) {
        p = ngx_slprintf(p, last, ", system: ");
        p = ngx_strerror(sqlite3_system_errno(db), p, last - p);
    }

    return ngx_slprintf(p, last, ")");
}


ngx_uint_t
ngx_http_idpay_sqlite_read_only(ngx_http_idpay_sqlite_t *db)
{
    return sqlite3_db_readonly(db, "main") != 0;
}


ngx_uint_t
ngx_http_idpay_sqlite_moved(ngx_http_idpay_sqlite_t *db)
{
    int  moved;

    moved = 0;

    (void) sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);

    return moved != 0;
}


ngx_int_t
ngx_http_idpay_sqlite_exec(ngx_http_idpay_sqlite_t *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_sqlite_number(ngx_http_idpay_sqlite_t *db, const char *sql,
    int64_t *number)
{
    ngx_int_t                      rc;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (sqlite3_step(stmt) == SQLITE_ROW
        && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
    {
        *number = sqlite3_column_int64(stmt, 0);
        rc = NGX_OK;
    }

    (void) sqlite3_finalize(stmt);

    return rc;
}


ngx_http_idpay_sqlite_stmt_t *
ngx_http_idpay_sqlite_prepare(ngx_http_idpay_sqlite_t *db, const char *sql)
{
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL)
        != SQLITE_OK)
    {
        return NULL;
    }

    return stmt;
}


void
ngx_http_idpay_sqlite_finalize(ngx_http_idpay_sqlite_stmt_t *stmt)
{
    (void) sqlite3_finalize(stmt);
}


ngx_int_t
ngx_http_idpay_sqlite_bind_int(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    int64_t value)
{
    return (sqlite3_bind_int64(stmt, n, value) == SQLITE_OK) ? NGX_OK
                                                             : NGX_ERROR;
}


/* where data is NULL it would be a null for SQLite, not an empty text */

ngx_int_t
ngx_http_idpay_sqlite_bind_text(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value)
{
    char  *text;

    text = value->len ? (char *) value->data : "";

    return (sqlite3_bind_text(stmt, n, text, value->len, SQLITE_STATIC)
            == SQLITE_OK) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_idpay_sqlite_bind_blob(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value)
{
    return (sqlite3_bind_blob(stmt, n, value->data, value->len, SQLITE_STATIC)
            == SQLITE_OK) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_idpay_sqlite_step(ngx_http_idpay_sqlite_stmt_t *stmt)
{
    switch (sqlite3_step(stmt)) {

    case SQLITE_ROW:
        return NGX_OK;

    case SQLITE_DONE:
        return NGX_DONE;

    default:
        return NGX_ERROR;
    }
}


int64_t
ngx_http_idpay_sqlite_int(ngx_http_idpay_sqlite_stmt_t *stmt, int n)
{
    return sqlite3_column_int64(stmt, n);
}


void
ngx_http_idpay_sqlite_text(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value)
{
    value->data = (u_char *) sqlite3_column_text(stmt, n);
    value->len = value->data ? (size_t) sqlite3_column_bytes(stmt, n) : 0;
}


void
ngx_http_idpay_sqlite_blob(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value)
{
    value->data = (u_char *) sqlite3_column_blob(stmt, n);
    value->len = value->data ? (size_t) sqlite3_column_bytes(stmt, n) : 0;
}


void
ngx_http_idpay_sqlite_reset(ngx_http_idpay_sqlite_stmt_t *stmt)
{
    (void) sqlite3_reset(stmt);
    (void) sqlite3_clear_bindings(stmt);
}
