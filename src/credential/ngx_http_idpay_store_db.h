
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The store's database: its layout, its keys and its statements.  All of it
 * blocks and may be called in a thread, one call at a time for a database.
 */


#ifndef _NGX_HTTP_IDPAY_STORE_DB_H_INCLUDED_
#define _NGX_HTTP_IDPAY_STORE_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_store.h"
#include "lib/ngx_http_idpay_crypto.h"
#include "lib/ngx_http_idpay_sqlite.h"


#define NGX_HTTP_IDPAY_STORE_ID      8       /* bytes of a key's name */
#define NGX_HTTP_IDPAY_STORE_KEYS    2
#define NGX_HTTP_IDPAY_STORE_BUSY    5000    /* ms that others are waited for */

/* bytes of the text of an error, with the NUL */

#define NGX_HTTP_IDPAY_STORE_ERROR   512


typedef enum {
    NGX_HTTP_IDPAY_STORE_SQL_ROW = 0,
    NGX_HTTP_IDPAY_STORE_SQL_INTENT,
    NGX_HTTP_IDPAY_STORE_SQL_SAVE,
    NGX_HTTP_IDPAY_STORE_SQL_REMOVE,
    NGX_HTTP_IDPAY_STORE_SQL_LIST,
    NGX_HTTP_IDPAY_STORE_SQL_MAX
} ngx_http_idpay_store_sql_e;


typedef enum {
    NGX_HTTP_IDPAY_STORE_OPEN_TEST = 0,  /* reads the file, makes nothing */
    NGX_HTTP_IDPAY_STORE_OPEN_CREATE,    /* what is empty is begun */
    NGX_HTTP_IDPAY_STORE_OPEN_USE        /* for the operations */
} ngx_http_idpay_store_open_e;


/* made of a key's text */

typedef struct {
    u_char                          id[NGX_HTTP_IDPAY_STORE_ID];
    u_char                          key[NGX_HTTP_IDPAY_KEY_LEN];
} ngx_http_idpay_store_key_t;


/*
 * "path" is NUL-terminated, "keys" are the vault's.  "error" is what was wrong
 * with the last call that has failed: it goes on from the name of the store and
 * holds no secret.
 */
typedef struct {
    ngx_str_t                       path;
    ngx_http_idpay_store_key_t     *keys;
    ngx_uint_t                      nkeys;

    ngx_http_idpay_sqlite_t        *sqlite;    /* NULL: closed */
    ngx_http_idpay_sqlite_stmt_t   *stmts[NGX_HTTP_IDPAY_STORE_SQL_MAX];

    u_char                          error[NGX_HTTP_IDPAY_STORE_ERROR];
} ngx_http_idpay_store_db_t;


/*
 * Opens the database, which is a file that exists, and tests its version and
 * its key.  Returns NGX_OK or NGX_ERROR, with "error"; it is closed then.
 */
ngx_int_t ngx_http_idpay_store_db_open(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_open_e mode);

void ngx_http_idpay_store_db_close(ngx_http_idpay_store_db_t *db);

/*
 * Runs and resets a statement that gives no row and has been bound with the
 * result "rc".  Returns NGX_OK or NGX_ERROR, with "error".
 */
ngx_int_t ngx_http_idpay_store_db_write(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_sqlite_stmt_t *stmt, ngx_int_t rc);

/*
 * Set "error", from a format of nginx's or from what SQLite says.  Return
 * NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_store_db_says(ngx_http_idpay_store_db_t *db,
    const char *fmt, ...);
ngx_int_t ngx_http_idpay_store_db_failed(ngx_http_idpay_store_db_t *db);


#endif /* _NGX_HTTP_IDPAY_STORE_DB_H_INCLUDED_ */
