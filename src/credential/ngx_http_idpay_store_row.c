
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_store_row.h"


#define NGX_HTTP_IDPAY_STORE_ROW_LABEL    "idpay store token"

/* behind its profile, a row is bound to its generation, 8 bytes of it */

#define NGX_HTTP_IDPAY_STORE_BOUND(op)                                        \
    (sizeof(NGX_HTTP_IDPAY_STORE_ROW_LABEL) + (op)->provider.len + 1          \
     + (op)->profile.len + 1 + 8)

/* the text of a row: the length of the access token, that, the refresh token */

#define NGX_HTTP_IDPAY_STORE_PREFIX       4
#define NGX_HTTP_IDPAY_STORE_MAX_TEXT                                         \
    (NGX_HTTP_IDPAY_STORE_PREFIX + 2 * NGX_HTTP_IDPAY_MAX_TOKEN)


/* the numbers of a row */

typedef struct {
    uint64_t   generation;
    uint64_t   owner;
    int64_t    until;      /* 0: no intent */
    unsigned   gone:1;
    unsigned   doubt:1;
} ngx_http_idpay_store_row_t;


static ngx_int_t ngx_http_idpay_store_row_load(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_intend(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_withdraw(
    ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_save(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_remove(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_list(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);
static ngx_int_t ngx_http_idpay_store_row_read(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_http_idpay_store_row_t *row,
    ngx_uint_t open);
static ngx_int_t ngx_http_idpay_store_row_open(
    ngx_http_idpay_store_db_t *db, ngx_http_idpay_store_job_t *job,
    ngx_str_t *id, ngx_str_t *sealed);
static ngx_int_t ngx_http_idpay_store_row_intent(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_http_idpay_store_row_t *row);
static ngx_int_t ngx_http_idpay_store_row_seal(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_str_t *sealed);
static ngx_int_t ngx_http_idpay_store_row_bind(
    ngx_http_idpay_sqlite_stmt_t *stmt, ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_store_row_generation(
    ngx_http_idpay_store_job_t *job, uint64_t generation);
static u_char *ngx_http_idpay_store_row_buf(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, size_t len);


ngx_http_idpay_store_job_t *
ngx_http_idpay_store_row_job(ngx_http_idpay_store_op_t *op, int64_t now,
    ngx_log_t *log)
{
    u_char                      *p;
    size_t                       size;
    ngx_uint_t                   save;
    ngx_http_idpay_store_job_t  *job;

    save = (op->action == NGX_HTTP_IDPAY_STORE_SAVE);

    size = sizeof(ngx_http_idpay_store_job_t) + NGX_HTTP_IDPAY_STORE_BOUND(op);

    if (save) {
        size += op->token.access.len + op->token.refresh.len;
    }

    job = ngx_alloc(size, log);
    if (job == NULL) {
        return NULL;
    }

    ngx_memzero(job, sizeof(ngx_http_idpay_store_job_t));

    job->op = *op;
    job->now = now;
    job->size = size;

    /* both names are parts of what the row is bound to */

    p = (u_char *) (job + 1);

    job->bound.data = p;
    job->bound.len = NGX_HTTP_IDPAY_STORE_BOUND(op);

    p = ngx_cpymem(p, NGX_HTTP_IDPAY_STORE_ROW_LABEL,
                   sizeof(NGX_HTTP_IDPAY_STORE_ROW_LABEL));

    job->op.provider.data = p;
    p = ngx_cpymem(p, op->provider.data, op->provider.len);
    *p++ = '\0';

    job->op.profile.data = p;
    p = ngx_cpymem(p, op->profile.data, op->profile.len);
    *p++ = '\0';

    p += 8;

    ngx_str_null(&job->op.token.access);
    ngx_str_null(&job->op.token.refresh);

    if (save) {
        job->op.token.access.data = p;
        job->op.token.access.len = op->token.access.len;
        p = ngx_cpymem(p, op->token.access.data, op->token.access.len);

        job->op.token.refresh.data = p;
        job->op.token.refresh.len = op->token.refresh.len;
        ngx_memcpy(p, op->token.refresh.data, op->token.refresh.len);
    }

    job->op.items = NULL;
    job->op.nitems = 0;

    return job;
}


void
ngx_http_idpay_store_row_free(ngx_http_idpay_store_job_t *job)
{
    if (job->buf) {
        ngx_explicit_memzero(job->buf, job->len);
        ngx_free(job->buf);
    }

    ngx_explicit_memzero(job, job->size);
    ngx_free(job);
}


void
ngx_http_idpay_store_row_run(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_int_t                   rc;
    ngx_uint_t                  writes;
    ngx_http_idpay_store_op_t  *op;

    op = &job->op;
    op->rc = NGX_ERROR;

    /*
     * Else it would be written where nobody finds it any more.  What is there
     * now is not opened: the log of the former one may still lie beside it.
     */

    if (db->sqlite && ngx_http_idpay_sqlite_moved(db->sqlite)) {
        (void) ngx_http_idpay_store_db_says(db, "has been moved or replaced "
                   "while it was in use, stop nginx, put it in its place, and "
                   "take away what lies there of another one");
        return;
    }

    if (db->sqlite == NULL
        && ngx_http_idpay_store_db_open(db, NGX_HTTP_IDPAY_STORE_OPEN_USE)
           != NGX_OK)
    {
        return;
    }

    writes = (op->action != NGX_HTTP_IDPAY_STORE_LOAD
              && op->action != NGX_HTTP_IDPAY_STORE_LIST);

    if (writes
        && ngx_http_idpay_sqlite_exec(db->sqlite, "BEGIN IMMEDIATE") != NGX_OK)
    {
        rc = ngx_http_idpay_store_db_failed(db);
        goto done;
    }

    switch (op->action) {

    case NGX_HTTP_IDPAY_STORE_LOAD:
        rc = ngx_http_idpay_store_row_load(db, job);
        break;

    case NGX_HTTP_IDPAY_STORE_INTEND:
        rc = ngx_http_idpay_store_row_intend(db, job);
        break;

    case NGX_HTTP_IDPAY_STORE_WITHDRAW:
        rc = ngx_http_idpay_store_row_withdraw(db, job);
        break;

    case NGX_HTTP_IDPAY_STORE_SAVE:
        rc = ngx_http_idpay_store_row_save(db, job);
        break;

    case NGX_HTTP_IDPAY_STORE_REMOVE:
        rc = ngx_http_idpay_store_row_remove(db, job);
        break;

    default: /* NGX_HTTP_IDPAY_STORE_LIST */
        rc = ngx_http_idpay_store_row_list(db, job);
        break;
    }

    /* of what is not to be written nothing has been: then it costs nothing */

    if (writes && rc != NGX_ERROR
        && ngx_http_idpay_sqlite_exec(db->sqlite, "COMMIT") != NGX_OK)
    {
        rc = ngx_http_idpay_store_db_failed(db);
    }

done:

    /* what is open is rolled back, and what was wrong is found out anew */

    if (rc == NGX_ERROR) {
        ngx_http_idpay_store_db_close(db);
    }

    op->rc = rc;
}


static ngx_int_t
ngx_http_idpay_store_row_load(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_http_idpay_store_row_t  row;

    return ngx_http_idpay_store_row_read(db, job, &row, 1);
}


static ngx_int_t
ngx_http_idpay_store_row_intend(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_http_idpay_store_op_t   *op;
    ngx_http_idpay_store_row_t   row;

    op = &job->op;

    rc = ngx_http_idpay_store_row_read(db, job, &row, 1);

    if (rc != NGX_OK) {
        return rc;
    }

    if (row.generation != op->generation) {
        op->until = 0;
        return NGX_BUSY;
    }

    if (row.until && row.owner != op->owner) {

        if (row.until > job->now) {
            op->until = row.until;
            return NGX_BUSY;
        }

        /* the new intent takes the place of what tells of the doubt */

        row.doubt = 1;
    }

    row.owner = op->owner;
    row.until = op->until;

    return ngx_http_idpay_store_row_intent(db, job, &row);
}


static ngx_int_t
ngx_http_idpay_store_row_withdraw(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_http_idpay_store_op_t   *op;
    ngx_http_idpay_store_row_t   row;

    op = &job->op;

    rc = ngx_http_idpay_store_row_read(db, job, &row, 0);

    if (rc != NGX_OK) {
        return rc;
    }

    if (row.generation != op->generation || row.until == 0
        || row.owner != op->owner)
    {
        return NGX_DECLINED;
    }

    row.owner = 0;
    row.until = 0;
    row.gone |= op->token.gone;
    row.doubt |= op->token.doubt;

    return ngx_http_idpay_store_row_intent(db, job, &row);
}


static ngx_int_t
ngx_http_idpay_store_row_save(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_int_t                      rc;
    ngx_str_t                      id, sealed;
    ngx_http_idpay_store_op_t     *op;
    ngx_http_idpay_store_row_t     row;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    op = &job->op;

    rc = ngx_http_idpay_store_row_read(db, job, &row, 0);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (op->generation
        && (rc == NGX_DECLINED || row.generation != op->generation))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_idpay_store_row_seal(db, job, &sealed) != NGX_OK) {
        return NGX_ERROR;
    }

    op->token.updated = job->now / 1000;

    id.data = db->keys[0].id;
    id.len = NGX_HTTP_IDPAY_STORE_ID;

    stmt = db->stmts[NGX_HTTP_IDPAY_STORE_SQL_SAVE];

    rc = NGX_ERROR;

    if (ngx_http_idpay_store_row_bind(stmt, op) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 4, op->token.generation)
           == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 5, op->token.expires) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 6, op->token.updated) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 7, op->token.gone) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 8, op->token.doubt) == NGX_OK
        && ngx_http_idpay_sqlite_bind_blob(stmt, 9, &id) == NGX_OK
        && ngx_http_idpay_sqlite_bind_blob(stmt, 10, &sealed) == NGX_OK)
    {
        rc = NGX_OK;
    }

    return ngx_http_idpay_store_db_write(db, stmt, rc);
}


static ngx_int_t
ngx_http_idpay_store_row_remove(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    stmt = db->stmts[NGX_HTTP_IDPAY_STORE_SQL_REMOVE];

    return ngx_http_idpay_store_db_write(db, stmt,
                                ngx_http_idpay_store_row_bind(stmt, &job->op));
}


static ngx_int_t
ngx_http_idpay_store_row_list(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job)
{
    ngx_int_t                      rc;
    ngx_str_t                      profile;
    ngx_http_idpay_store_op_t     *op;
    ngx_http_idpay_store_item_t   *item;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    op = &job->op;

    op->items = (ngx_http_idpay_store_item_t *)
                    ngx_http_idpay_store_row_buf(db, job,
                                   NGX_HTTP_IDPAY_STORE_MAX_LIST
                                   * sizeof(ngx_http_idpay_store_item_t));
    if (op->items == NULL) {
        return NGX_ERROR;
    }

    stmt = db->stmts[NGX_HTTP_IDPAY_STORE_SQL_LIST];

    rc = ngx_http_idpay_store_row_bind(stmt, op);

    while (rc == NGX_OK) {
        rc = ngx_http_idpay_sqlite_step(stmt);

        if (rc != NGX_OK) {
            break;
        }

        ngx_http_idpay_sqlite_text(stmt, 0, &profile);

        /* what is longer is not of this module */

        if (profile.len == 0 || profile.len > NGX_HTTP_IDPAY_MAX_PROFILE) {
            continue;
        }

        item = &op->items[op->nitems++];

        ngx_memcpy(item->profile, profile.data, profile.len);
        item->len = profile.len;
        item->generation = ngx_http_idpay_sqlite_int(stmt, 1);
        item->expires = ngx_http_idpay_sqlite_int(stmt, 2);
        item->updated = ngx_http_idpay_sqlite_int(stmt, 3);
        item->gone = (ngx_http_idpay_sqlite_int(stmt, 4) != 0);
    }

    if (rc == NGX_ERROR) {
        (void) ngx_http_idpay_store_db_failed(db);
    }

    ngx_http_idpay_sqlite_reset(stmt);

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}


/* NGX_DECLINED: there is no row.  With "open" the operation's token is set. */

static ngx_int_t
ngx_http_idpay_store_row_read(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_http_idpay_store_row_t *row,
    ngx_uint_t open)
{
    ngx_int_t                      rc;
    ngx_str_t                      id, sealed;
    ngx_http_idpay_store_token_t  *token;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    stmt = db->stmts[NGX_HTTP_IDPAY_STORE_SQL_ROW];

    rc = ngx_http_idpay_store_row_bind(stmt, &job->op);

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

    row->generation = ngx_http_idpay_sqlite_int(stmt, 0);
    row->gone = (ngx_http_idpay_sqlite_int(stmt, 3) != 0);
    row->doubt = (ngx_http_idpay_sqlite_int(stmt, 4) != 0);
    row->owner = ngx_http_idpay_sqlite_int(stmt, 5);
    row->until = ngx_http_idpay_sqlite_int(stmt, 6);

    if (row->until > job->now + NGX_HTTP_IDPAY_STORE_MAX_INTENT) {
        row->until = job->now;
    }

    if (open) {
        token = &job->op.token;

        token->generation = row->generation;
        token->expires = ngx_http_idpay_sqlite_int(stmt, 1);
        token->updated = ngx_http_idpay_sqlite_int(stmt, 2);
        token->gone = row->gone;
        token->doubt = row->doubt || (row->until && row->until <= job->now);

        ngx_http_idpay_sqlite_blob(stmt, 7, &id);
        ngx_http_idpay_sqlite_blob(stmt, 8, &sealed);

        rc = ngx_http_idpay_store_row_open(db, job, &id, &sealed);
    }

done:

    ngx_http_idpay_sqlite_reset(stmt);

    return rc;
}


static ngx_int_t
ngx_http_idpay_store_row_open(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_str_t *id, ngx_str_t *sealed)
{
    size_t                         len, size;
    u_char                        *p;
    ngx_uint_t                     i;
    ngx_http_idpay_store_token_t  *token;

    for (i = 0; i < db->nkeys; i++) {

        if (id->len == NGX_HTTP_IDPAY_STORE_ID
            && ngx_memcmp(id->data, db->keys[i].id, id->len) == 0)
        {
            break;
        }
    }

    if (i == db->nkeys) {
        return ngx_http_idpay_store_db_says(db, "has its row sealed with key "
                   "%*xs, given is %*xs%s%*xs",
                   ngx_min(id->len, NGX_HTTP_IDPAY_STORE_ID), id->data,
                   (size_t) NGX_HTTP_IDPAY_STORE_ID, db->keys[0].id,
                   (db->nkeys > 1) ? "," : "",
                   (size_t) (db->nkeys - 1) * NGX_HTTP_IDPAY_STORE_ID,
                   db->keys[db->nkeys - 1].id);
    }

    token = &job->op.token;

    if (sealed->len < NGX_HTTP_IDPAY_STORE_PREFIX + NGX_HTTP_IDPAY_SEAL_EXTRA
        || sealed->len
           > NGX_HTTP_IDPAY_STORE_MAX_TEXT + NGX_HTTP_IDPAY_SEAL_EXTRA)
    {
        goto damaged;
    }

    size = sealed->len - NGX_HTTP_IDPAY_SEAL_EXTRA;

    p = ngx_http_idpay_store_row_buf(db, job, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_idpay_store_row_generation(job, token->generation);

    if (ngx_http_idpay_crypto_open(db->keys[i].key, &job->bound, sealed, p)
        != NGX_OK)
    {
        goto damaged;
    }

    len = ((size_t) p[0] << 24) | (p[1] << 16) | (p[2] << 8) | p[3];

    p += NGX_HTTP_IDPAY_STORE_PREFIX;
    size -= NGX_HTTP_IDPAY_STORE_PREFIX;

    if (len > size) {
        goto damaged;
    }

    token->access.data = p;
    token->access.len = len;

    token->refresh.data = p + len;
    token->refresh.len = size - len;

    return NGX_OK;

damaged:

    return ngx_http_idpay_store_db_says(db, "has its row damaged, or put there "
                                        "from another place");
}


static ngx_int_t
ngx_http_idpay_store_row_intent(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_http_idpay_store_row_t *row)
{
    ngx_int_t                      rc;
    ngx_http_idpay_sqlite_stmt_t  *stmt;

    stmt = db->stmts[NGX_HTTP_IDPAY_STORE_SQL_INTENT];

    rc = NGX_ERROR;

    if (ngx_http_idpay_store_row_bind(stmt, &job->op) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 4, row->gone) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 5, row->doubt) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 6, row->owner) == NGX_OK
        && ngx_http_idpay_sqlite_bind_int(stmt, 7, row->until) == NGX_OK)
    {
        rc = NGX_OK;
    }

    return ngx_http_idpay_store_db_write(db, stmt, rc);
}


static ngx_int_t
ngx_http_idpay_store_row_seal(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, ngx_str_t *sealed)
{
    u_char                        *p;
    ngx_str_t                      text;
    ngx_http_idpay_store_token_t  *token;

    token = &job->op.token;

    if (token->access.len > NGX_HTTP_IDPAY_MAX_TOKEN
        || token->refresh.len > NGX_HTTP_IDPAY_MAX_TOKEN
        || job->op.profile.len > NGX_HTTP_IDPAY_MAX_PROFILE)
    {
        return ngx_http_idpay_store_db_says(db, "has no room for a token of "
                   "%uz and %uz bytes, profile of %uz", token->access.len,
                   token->refresh.len, job->op.profile.len);
    }

    text.len = NGX_HTTP_IDPAY_STORE_PREFIX + token->access.len
               + token->refresh.len;
    sealed->len = text.len + NGX_HTTP_IDPAY_SEAL_EXTRA;

    text.data = ngx_http_idpay_store_row_buf(db, job, text.len + sealed->len);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    sealed->data = text.data + text.len;

    p = text.data;

    *p++ = (u_char) (token->access.len >> 24);
    *p++ = (u_char) (token->access.len >> 16);
    *p++ = (u_char) (token->access.len >> 8);
    *p++ = (u_char) token->access.len;

    p = ngx_cpymem(p, token->access.data, token->access.len);
    ngx_memcpy(p, token->refresh.data, token->refresh.len);

    ngx_http_idpay_store_row_generation(job, token->generation);

    if (ngx_http_idpay_crypto_seal(db->keys[0].key, &job->bound, &text,
                                   sealed->data)
        != NGX_OK)
    {
        return ngx_http_idpay_store_db_says(db, "failed: cannot seal");
    }

    return NGX_OK;
}


/* the first three parameters of all statements */

static ngx_int_t
ngx_http_idpay_store_row_bind(ngx_http_idpay_sqlite_stmt_t *stmt,
    ngx_http_idpay_store_op_t *op)
{
    if (ngx_http_idpay_sqlite_bind_text(stmt, 1, &op->provider) != NGX_OK
        || ngx_http_idpay_sqlite_bind_int(stmt, 2, op->profile.len) != NGX_OK
        || ngx_http_idpay_sqlite_bind_text(stmt, 3, &op->profile) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_idpay_store_row_generation(ngx_http_idpay_store_job_t *job,
    uint64_t generation)
{
    u_char      *p;
    ngx_uint_t   i;

    p = job->bound.data + job->bound.len;

    for (i = 0; i < 8; i++) {
        *--p = (u_char) generation;
        generation >>= 8;
    }
}


/* no nginx's function: they log, and this may be a thread */

static u_char *
ngx_http_idpay_store_row_buf(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job, size_t len)
{
    job->buf = malloc(len);

    if (job->buf == NULL) {
        (void) ngx_http_idpay_store_db_says(db, "failed: no memory");
        return NULL;
    }

    job->len = len;

    return job->buf;
}
