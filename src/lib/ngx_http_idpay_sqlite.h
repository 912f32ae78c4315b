
/*
 * Copyright (C) 2026 idpay contributors
 *
 * SQLite, as far as the store needs it.  Nothing here logs, and all may be
 * called in a thread, one at a time for a database.
 */


#ifndef _NGX_HTTP_IDPAY_SQLITE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_SQLITE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* bytes of the text of an error */

#define NGX_HTTP_IDPAY_SQLITE_ERROR  256


/* SQLite's own, which are known to the .c file alone */

typedef struct sqlite3       ngx_http_idpay_sqlite_t;
typedef struct sqlite3_stmt  ngx_http_idpay_sqlite_stmt_t;


/*
 * Opens a file that exists.  "path" is NUL-terminated.  Who waits for another
 * process waits "busy" ms.  Returns NGX_OK, or NGX_ERROR: the database is to be
 * closed then, too, and is NULL where there is no memory.
 */
ngx_int_t ngx_http_idpay_sqlite_open(ngx_http_idpay_sqlite_t **db,
    ngx_str_t *path, ngx_uint_t busy);

/*
 * The same to read only what the file itself holds, not the log beside it.
 * No lock is taken and no file is made or changed.
 */
ngx_int_t ngx_http_idpay_sqlite_open_still(ngx_http_idpay_sqlite_t **db,
    ngx_str_t *path);

/* Closes it; its statements are finalized before.  NULL is none. */

void ngx_http_idpay_sqlite_close(ngx_http_idpay_sqlite_t *db);

/*
 * Writes what was wrong with the last call, without values of any statement;
 * at most NGX_HTTP_IDPAY_SQLITE_ERROR bytes, which end before "last".  Returns
 * their end.
 */
u_char *ngx_http_idpay_sqlite_error(ngx_http_idpay_sqlite_t *db, u_char *p,
    u_char *last);

/* Tells whether it can only be read. */

ngx_uint_t ngx_http_idpay_sqlite_read_only(ngx_http_idpay_sqlite_t *db);

/* Tells whether there is another file or none under its name by now. */

ngx_uint_t ngx_http_idpay_sqlite_moved(ngx_http_idpay_sqlite_t *db);

/* Runs statements without parameters.  Returns NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_idpay_sqlite_exec(ngx_http_idpay_sqlite_t *db,
    const char *sql);

/*
 * Runs one that gives a number.  Returns NGX_OK, or NGX_ERROR, also if it gives
 * none.
 */
ngx_int_t ngx_http_idpay_sqlite_number(ngx_http_idpay_sqlite_t *db,
    const char *sql, int64_t *number);

/* Prepares a statement that is run often.  Returns NULL on an error. */

ngx_http_idpay_sqlite_stmt_t *ngx_http_idpay_sqlite_prepare(
    ngx_http_idpay_sqlite_t *db, const char *sql);

/* NULL is none. */

void ngx_http_idpay_sqlite_finalize(ngx_http_idpay_sqlite_stmt_t *stmt);

/*
 * Bind the parameter "n", from 1.  Texts and blobs are not copied: they are
 * kept until the statement is reset.  Return NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_sqlite_bind_int(ngx_http_idpay_sqlite_stmt_t *stmt,
    int n, int64_t value);
ngx_int_t ngx_http_idpay_sqlite_bind_text(ngx_http_idpay_sqlite_stmt_t *stmt,
    int n, ngx_str_t *value);
ngx_int_t ngx_http_idpay_sqlite_bind_blob(ngx_http_idpay_sqlite_stmt_t *stmt,
    int n, ngx_str_t *value);

/* Returns NGX_OK if there is a row, NGX_DONE if there is none, or NGX_ERROR. */

ngx_int_t ngx_http_idpay_sqlite_step(ngx_http_idpay_sqlite_stmt_t *stmt);

/*
 * The column "n" of the row, from 0.  A text or a blob is SQLite's, until the
 * next step or reset; it is empty also where there is no memory.
 */
int64_t ngx_http_idpay_sqlite_int(ngx_http_idpay_sqlite_stmt_t *stmt, int n);
void ngx_http_idpay_sqlite_text(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value);
void ngx_http_idpay_sqlite_blob(ngx_http_idpay_sqlite_stmt_t *stmt, int n,
    ngx_str_t *value);

/* Makes it ready to be run again, without parameters. */

void ngx_http_idpay_sqlite_reset(ngx_http_idpay_sqlite_stmt_t *stmt);


#endif /* _NGX_HTTP_IDPAY_SQLITE_H_INCLUDED_ */
