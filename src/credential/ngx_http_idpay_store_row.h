
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The operations of the store, each of which is about one row or some.
 */


#ifndef _NGX_HTTP_IDPAY_STORE_ROW_H_INCLUDED_
#define _NGX_HTTP_IDPAY_STORE_ROW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "credential/ngx_http_idpay_store_db.h"


/* an operation as it is posted */

typedef struct {
    ngx_http_idpay_store_op_t       op;
    ngx_queue_t                     queue;
    int64_t                         now;       /* when posted, ms since 1970 */
    ngx_str_t                       bound;     /* what its row is sealed with */
    size_t                          size;      /* of this and its texts */
    ngx_uint_t                      failed;    /* it is not to be tried */

    u_char                         *buf;       /* of the results, or NULL */
    size_t                          len;
} ngx_http_idpay_store_job_t;


/*
 * Copies an operation and its texts, to be done as of "now", ms since 1970.
 * Returns NULL if there is no memory.
 */
ngx_http_idpay_store_job_t *ngx_http_idpay_store_row_job(
    ngx_http_idpay_store_op_t *op, int64_t now, ngx_log_t *log);

/* Wipes and frees it and its results. */

void ngx_http_idpay_store_row_free(ngx_http_idpay_store_job_t *job);

/*
 * Does an operation and sets its results.  Opens the database where that has
 * not been done.  If op.rc is NGX_ERROR there is "error", and the database is
 * closed, unless it is not in its place any more.
 */
void ngx_http_idpay_store_row_run(ngx_http_idpay_store_db_t *db,
    ngx_http_idpay_store_job_t *job);


#endif /* _NGX_HTTP_IDPAY_STORE_ROW_H_INCLUDED_ */
