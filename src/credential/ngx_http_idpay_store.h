
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The durable store of tokens: one SQLite database, whose rows are sealed.
 */


#ifndef _NGX_HTTP_IDPAY_STORE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_secret.h"


/* characters of a key's text: of "openssl rand -hex 32" it is 64 */

#define NGX_HTTP_IDPAY_STORE_MIN_KEY   32

/* bytes of an access or a refresh token */

#define NGX_HTTP_IDPAY_MAX_TOKEN       8192

/* bytes of a profile's name: a number of up to 19 digits */

#define NGX_HTTP_IDPAY_MAX_PROFILE     32

/*
 * No intent is written for so long, ms: one that seems to be is of a clock that
 * has been set back, and has ended
 */

#define NGX_HTTP_IDPAY_STORE_MAX_INTENT  60000

/* rows of one list */

#define NGX_HTTP_IDPAY_STORE_MAX_LIST  1000


typedef struct ngx_http_idpay_store_s  ngx_http_idpay_store_t;


/* a token as it is kept; times are of the wall clock, s since 1970 */

typedef struct {
    ngx_str_t         access;
    ngx_str_t         refresh;     /* empty: it has none */
    uint64_t          generation;  /* of this pair, from 1 */
    int64_t           expires;     /* of "access" */
    int64_t           updated;     /* when the row was written last */
    unsigned          gone:1;      /* the provider has refused "refresh" */
    unsigned          doubt:1;     /* an intent has ended with nobody to tell
                                      whether "refresh" is spent */
} ngx_http_idpay_store_token_t;


/* of a list; nothing of it is secret */

typedef struct {
    u_char            profile[NGX_HTTP_IDPAY_MAX_PROFILE];
    size_t            len;
    uint64_t          generation;
    int64_t           expires;
    int64_t           updated;
    unsigned          gone:1;
} ngx_http_idpay_store_item_t;


typedef enum {

    /*
     * Reads the row.  OK, or DECLINED if there is none.
     */
    NGX_HTTP_IDPAY_STORE_LOAD = 0,

    /*
     * Reads the row and writes an intent to spend its refresh token, for
     * "owner" until "until".  OK; DECLINED if there is no row; BUSY if there is
     * an intent of another owner that has not ended ("until" is its end then),
     * or if the generation is not "generation" any more (the row is read, and
     * "until" is 0): nothing is written in both cases.
     */
    NGX_HTTP_IDPAY_STORE_INTEND,

    /*
     * Takes the intent of "owner" back, its refresh token being unspent.  With
     * "token.gone" or "token.doubt" that is written into the row as well.  OK,
     * or DECLINED if the intent or the generation is another one by now.
     */
    NGX_HTTP_IDPAY_STORE_WITHDRAW,

    /*
     * Writes "token" in place of the row of "generation", 0 being no row or
     * any, and ends all intents.  OK, or DECLINED if the row has another
     * generation, which is not 0, by now: nothing is written then.
     */
    NGX_HTTP_IDPAY_STORE_SAVE,

    /*
     * Removes the row.  OK, also where there is none.
     */
    NGX_HTTP_IDPAY_STORE_REMOVE,

    /*
     * Up to NGX_HTTP_IDPAY_STORE_MAX_LIST rows of a provider with a profile, in
     * the order of their profiles' length and digits, behind "profile", which
     * may be empty.  OK.
     */
    NGX_HTTP_IDPAY_STORE_LIST
} ngx_http_idpay_store_do_e;


typedef struct ngx_http_idpay_store_op_s  ngx_http_idpay_store_op_t;

typedef void (*ngx_http_idpay_store_handler_pt)(
    ngx_http_idpay_store_op_t *op);


/*
 * One operation.  All below "rc" is its result.  The token's texts are in
 * memory of the operation's own; those of a SAVE are copied when it is posted.
 */
struct ngx_http_idpay_store_op_s {
    ngx_http_idpay_store_do_e         action;
    ngx_str_t                         provider;   /* copied, too */
    ngx_str_t                         profile;    /* empty: the application */
    uint64_t                          generation;
    uint64_t                          owner;
    int64_t                           until;      /* ms since 1970 */
    ngx_http_idpay_store_token_t      token;
    ngx_http_idpay_store_handler_pt   handler;
    void                             *data;

    ngx_int_t                         rc;         /* as above, or NGX_ERROR,
                                                     which is logged */
    ngx_http_idpay_store_item_t      *items;      /* of a LIST */
    ngx_uint_t                        nitems;
};


/*
 * Adds a store to the configuration.  "path" is NUL-terminated, keys[0] is the
 * key and keys[1], which may be empty, the former one: texts of at least
 * NGX_HTTP_IDPAY_STORE_MIN_KEY characters in the vault.  What is derived from
 * them is kept in the vault.
 *
 * Outside of "nginx -t" the database is created if there is none, with 0600
 * and the workers' user as its owner; there, nothing is written.  It is opened,
 * its version and its key are tested, and it is closed again, since no
 * connection may be taken over a fork.  Blocks.  Returns NULL on an error,
 * which is logged as EMERG with the way out: wrong key, damaged, of a newer
 * version, no such directory, read-only, ...
 */
ngx_http_idpay_store_t *ngx_http_idpay_store_add(ngx_conf_t *cf,
    ngx_str_t *path, ngx_str_t *keys, ngx_http_idpay_vault_t *vault);

/*
 * Tests that the workers run as whom the database has been made for: a "user"
 * that stands behind "http" is not known before.  For the module's init_module.
 * Returns NGX_OK, or NGX_ERROR, which is logged as EMERG; never at a reload,
 * since that would end the master.
 */
ngx_int_t ngx_http_idpay_store_init_module(ngx_http_idpay_store_t *store,
    ngx_cycle_t *cycle);

/*
 * Posts an operation: it runs in the thread pool "default" where nginx has
 * threads, after those that were posted before, and in place where it has none.
 * The handler is called once from the event loop, never before this returns.
 * The operation is a copy of "op" for which the handler is called; it is wiped
 * and freed when the handler returns.  The worker's graceful end waits for it.
 * Returns NGX_OK or NGX_ERROR if there is no memory.
 *
 * The database is opened by the first operation of a worker, and again where
 * that has failed.
 */
ngx_int_t ngx_http_idpay_store_post(ngx_http_idpay_store_t *store,
    ngx_http_idpay_store_op_t *op);

/*
 * Derives a key of NGX_HTTP_IDPAY_KEY_LEN bytes for another use from the
 * store's key.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_store_derive(ngx_http_idpay_store_t *store,
    const char *label, u_char *key);

/*
 * Closes the database.  What has been posted and is to be written is written
 * before; no handler is called.  For the module's exit_process.
 */

void ngx_http_idpay_store_exit_process(ngx_http_idpay_store_t *store);


#endif /* _NGX_HTTP_IDPAY_STORE_H_INCLUDED_ */
