
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_store_file.h"
#include "credential/ngx_http_idpay_store_row.h"

#include <ngx_event.h>

#if (NGX_THREADS)
#include <ngx_thread_pool.h>
#endif


/* ms; while a thread works the timer only keeps the worker from its end */

#define NGX_HTTP_IDPAY_STORE_GUARD  60000


struct ngx_http_idpay_store_s {
    ngx_http_idpay_store_db_t     db;
    ngx_str_t                     key;       /* its text, in the vault */
    ngx_http_idpay_store_user_t   user;

    ngx_queue_t                   jobs;      /* the first one is under way */
    ngx_msec_t                    began;     /* that one, ms */
    ngx_event_t                   timer;
    ngx_log_t                    *log;

#if (NGX_THREADS)
    ngx_thread_pool_t            *pool;
    ngx_thread_task_t            *task;      /* NULL: no threads; active: one
                                                has the job, or that it is done
                                                has not been told yet */
    volatile ngx_uint_t           busy;      /* a thread has it */
#endif
};


#if (NGX_THREADS)
static ngx_int_t ngx_http_idpay_store_threads(ngx_conf_t *cf,
    ngx_http_idpay_store_t *store);
#endif
static ngx_int_t ngx_http_idpay_store_keys(ngx_conf_t *cf,
    ngx_http_idpay_store_t *store, ngx_str_t *keys,
    ngx_http_idpay_vault_t *vault);
static void ngx_http_idpay_store_next(ngx_http_idpay_store_t *store);
static ngx_http_idpay_store_job_t *ngx_http_idpay_store_job(
    ngx_http_idpay_store_t *store);
#if (NGX_THREADS)
static void ngx_http_idpay_store_thread(void *data, ngx_log_t *log);
static void ngx_http_idpay_store_thread_done(ngx_event_t *ev);
#endif
static void ngx_http_idpay_store_turn(ngx_event_t *ev);
static void ngx_http_idpay_store_done(ngx_http_idpay_store_t *store);
static void ngx_http_idpay_store_give_up(ngx_http_idpay_store_t *store);
static void ngx_http_idpay_store_report(ngx_http_idpay_store_t *store,
    ngx_http_idpay_store_op_t *op);
static void ngx_http_idpay_store_cleanup(void *data);


ngx_http_idpay_store_t *
ngx_http_idpay_store_add(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *keys,
    ngx_http_idpay_vault_t *vault)
{
    ngx_int_t                     rc;
    ngx_pool_cleanup_t           *cln;
    ngx_http_idpay_store_t       *store;
    ngx_http_idpay_store_open_e   mode;

    store = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_store_t));
    if (store == NULL) {
        return NULL;
    }

    ngx_queue_init(&store->jobs);

    store->db.path = *path;
    store->log = &cf->cycle->new_log;

    store->timer.handler = ngx_http_idpay_store_turn;
    store->timer.data = store;
    store->timer.log = store->log;

#if (NGX_THREADS)

    if (ngx_http_idpay_store_threads(cf, store) != NGX_OK) {
        return NULL;
    }

#endif

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_idpay_store_cleanup;
    cln->data = store;

    if (ngx_http_idpay_store_keys(cf, store, keys, vault) != NGX_OK
        || ngx_http_idpay_store_file_user(cf, &store->user) != NGX_OK)
    {
        return NULL;
    }

    rc = ngx_http_idpay_store_file_make(cf, path, &store->user);

    if (rc == NGX_ERROR) {
        return NULL;
    }

    if (rc == NGX_DECLINED) {
        return store;
    }

    mode = ngx_test_config ? NGX_HTTP_IDPAY_STORE_OPEN_TEST
                           : NGX_HTTP_IDPAY_STORE_OPEN_CREATE;

    if (ngx_http_idpay_store_db_open(&store->db, mode) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "idpay: store \"%V\" %s",
                           path, store->db.error);
        return NULL;
    }

    ngx_http_idpay_store_db_close(&store->db);

    return store;
}


#if (NGX_THREADS)

static ngx_int_t
ngx_http_idpay_store_threads(ngx_conf_t *cf, ngx_http_idpay_store_t *store)
{
    /*
     * A single process starts no threads when it reads its configuration again,
     * and fails at its end over a pool that has none.
     */

    if (ngx_process == NGX_PROCESS_SINGLE
        && !ngx_is_init_cycle(cf->cycle->old_cycle))
    {
        return NGX_OK;
    }

    store->pool = ngx_thread_pool_add(cf, NULL);
    store->task = ngx_thread_task_alloc(cf->pool, 0);

    if (store->pool == NULL || store->task == NULL) {
        return NGX_ERROR;
    }

    store->task->ctx = store;
    store->task->handler = ngx_http_idpay_store_thread;
    store->task->event.handler = ngx_http_idpay_store_thread_done;
    store->task->event.data = store;
    store->task->event.log = store->log;

    return NGX_OK;
}

#endif


static ngx_int_t
ngx_http_idpay_store_keys(ngx_conf_t *cf, ngx_http_idpay_store_t *store,
    ngx_str_t *keys, ngx_http_idpay_vault_t *vault)
{
    ngx_uint_t                   i;
    ngx_http_idpay_store_key_t  *key;

    key = (ngx_http_idpay_store_key_t *)
              ngx_http_idpay_vault_alloc(vault,
                                         NGX_HTTP_IDPAY_STORE_KEYS
                                         * sizeof(ngx_http_idpay_store_key_t));
    if (key == NULL) {
        return NGX_ERROR;
    }

    store->key = keys[0];
    store->db.keys = key;

    for (i = 0; i < NGX_HTTP_IDPAY_STORE_KEYS; i++) {

        if (i && keys[i].len == 0) {
            break;
        }

        if (keys[i].len < NGX_HTTP_IDPAY_STORE_MIN_KEY) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: the %skey of store \"%V\" has less than "
                               "%d characters, make one with "
                               "\"openssl rand -hex 32\"", i ? "former " : "",
                               &store->db.path, NGX_HTTP_IDPAY_STORE_MIN_KEY);
            return NGX_ERROR;
        }

        if (ngx_http_idpay_crypto_derive(&keys[i], "idpay store 1",
                                         key[i].key, NGX_HTTP_IDPAY_KEY_LEN)
            != NGX_OK
            || ngx_http_idpay_crypto_derive(&keys[i], "idpay store key id",
                                            key[i].id, NGX_HTTP_IDPAY_STORE_ID)
               != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: no key can be derived for store \"%V\"",
                               &store->db.path);
            return NGX_ERROR;
        }
    }

    store->db.nkeys = i;

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_store_init_module(ngx_http_idpay_store_t *store,
    ngx_cycle_t *cycle)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (store->user.name == NULL || store->user.uid == ccf->user) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "idpay: \"user\" stands behind \"http\", where it is not yet "
                  "known whom store \"%V\" is made for, put it before",
                  &store->db.path);

    /* an error at a reload would end the master */

    return ngx_is_init_cycle(cycle->old_cycle) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_idpay_store_post(ngx_http_idpay_store_t *store,
    ngx_http_idpay_store_op_t *op)
{
    ngx_time_t                  *tp;
    ngx_uint_t                   idle;
    ngx_http_idpay_store_job_t  *job;

    tp = ngx_timeofday();

    job = ngx_http_idpay_store_row_job(op, (int64_t) tp->sec * 1000 + tp->msec,
                                       store->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    idle = ngx_queue_empty(&store->jobs);

    ngx_queue_insert_tail(&store->jobs, &job->queue);

    if (idle) {
        ngx_http_idpay_store_next(store);
    }

    return NGX_OK;
}


static void
ngx_http_idpay_store_next(ngx_http_idpay_store_t *store)
{
    if (ngx_queue_empty(&store->jobs)) {

        if (store->timer.timer_set) {
            ngx_del_timer(&store->timer);
        }

        return;
    }

    store->began = ngx_current_msec;

#if (NGX_THREADS)

    if (store->task && ngx_process != NGX_PROCESS_SINGLE
        && !ngx_http_idpay_store_job(store)->failed)
    {
        store->busy = 1;

        if (ngx_thread_task_post(store->pool, store->task) == NGX_OK) {
            ngx_add_timer(&store->timer, NGX_HTTP_IDPAY_STORE_GUARD);
            return;
        }

        store->busy = 0;
    }

#endif

    ngx_add_timer(&store->timer, 1);
}


static ngx_http_idpay_store_job_t *
ngx_http_idpay_store_job(ngx_http_idpay_store_t *store)
{
    return ngx_queue_data(ngx_queue_head(&store->jobs),
                          ngx_http_idpay_store_job_t, queue);
}


#if (NGX_THREADS)

/* others may be put behind the first job in the meantime, no more */

static void
ngx_http_idpay_store_thread(void *data, ngx_log_t *log)
{
    ngx_http_idpay_store_t *store = data;

    ngx_http_idpay_store_row_run(&store->db, ngx_http_idpay_store_job(store));

    ngx_memory_barrier();

    store->busy = 0;
}


static void
ngx_http_idpay_store_thread_done(ngx_event_t *ev)
{
    ngx_http_idpay_store_done(ev->data);
}

#endif


static void
ngx_http_idpay_store_turn(ngx_event_t *ev)
{
    ngx_http_idpay_store_t      *store;
    ngx_http_idpay_store_job_t  *job;

    store = ev->data;

#if (NGX_THREADS)

    if (store->task && store->task->event.active) {
        ngx_add_timer(ev, NGX_HTTP_IDPAY_STORE_GUARD);
        return;
    }

#endif

    job = ngx_http_idpay_store_job(store);

    if (!job->failed) {
        ngx_http_idpay_store_row_run(&store->db, job);
    }

    ngx_http_idpay_store_done(store);
}


static void
ngx_http_idpay_store_done(ngx_http_idpay_store_t *store)
{
    ngx_http_idpay_store_job_t  *job;

    job = ngx_http_idpay_store_job(store);

    if (job->op.rc == NGX_ERROR) {
        ngx_http_idpay_store_report(store, &job->op);

        if (ngx_current_msec - store->began >= NGX_HTTP_IDPAY_STORE_BUSY) {
            ngx_http_idpay_store_give_up(store);
        }
    }

    /* it stays the first one, so that what the handler posts waits */

    job->op.handler(&job->op);

    ngx_queue_remove(&job->queue);
    ngx_http_idpay_store_row_free(job);

    ngx_http_idpay_store_next(store);
}


/*
 * Others have the database, and all that has waited meanwhile would wait as
 * long, one after another, and longer than its callers can.  What only reads
 * does not wait, and a row that is to be removed has nobody to do it later.
 */

static void
ngx_http_idpay_store_give_up(ngx_http_idpay_store_t *store)
{
    ngx_queue_t                 *q;
    ngx_http_idpay_store_job_t  *job;

    for (q = ngx_queue_next(ngx_queue_head(&store->jobs));
         q != ngx_queue_sentinel(&store->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_idpay_store_job_t, queue);

        if (job->op.action == NGX_HTTP_IDPAY_STORE_INTEND
            || job->op.action == NGX_HTTP_IDPAY_STORE_WITHDRAW
            || job->op.action == NGX_HTTP_IDPAY_STORE_SAVE)
        {
            job->failed = 1;
            job->op.rc = NGX_ERROR;
        }
    }
}


static void
ngx_http_idpay_store_report(ngx_http_idpay_store_t *store,
    ngx_http_idpay_store_op_t *op)
{
    static const char  *actions[] = {
        "load", "intend", "withdraw", "save", "remove", "list"
    };

    ngx_log_error(NGX_LOG_ERR, store->log, 0,
                  "idpay: store \"%V\" %s, to %s a token of \"%V\", "
                  "profile \"%V\"", &store->db.path, store->db.error,
                  actions[op->action], &op->provider, &op->profile);
}


ngx_int_t
ngx_http_idpay_store_derive(ngx_http_idpay_store_t *store, const char *label,
    u_char *key)
{
    return ngx_http_idpay_crypto_derive(&store->key, label, key,
                                        NGX_HTTP_IDPAY_KEY_LEN);
}


void
ngx_http_idpay_store_exit_process(ngx_http_idpay_store_t *store)
{
    ngx_uint_t                   done, failed;
    ngx_http_idpay_store_op_t   *op;
    ngx_http_idpay_store_job_t  *job;

    done = 0;
    failed = 0;

#if (NGX_THREADS)

    /*
     * nginx has waited for its threads, unless the pool has no room for what
     * tells them to end.
     */

    if (store->busy) {
        return;
    }

    ngx_memory_barrier();

    done = store->task && store->task->event.active;

#endif

    if (store->timer.timer_set) {
        ngx_del_timer(&store->timer);
    }

    while (!ngx_queue_empty(&store->jobs)) {
        job = ngx_http_idpay_store_job(store);
        op = &job->op;

        /* what is to be written may exist nowhere else, as a new token */

        if (!done
            && op->action != NGX_HTTP_IDPAY_STORE_LOAD
            && op->action != NGX_HTTP_IDPAY_STORE_INTEND
            && op->action != NGX_HTTP_IDPAY_STORE_LIST)
        {
            if (failed) {
                op->rc = NGX_ERROR;

            } else {
                ngx_http_idpay_store_row_run(&store->db, job);
            }

            done = 1;
        }

        /* each failure may take some seconds, so none is looked for again */

        if (done && op->rc == NGX_ERROR) {
            ngx_http_idpay_store_report(store, op);
            failed = 1;
        }

        done = 0;

        ngx_queue_remove(&job->queue);
        ngx_http_idpay_store_row_free(job);
    }

    ngx_http_idpay_store_db_close(&store->db);
}


static void
ngx_http_idpay_store_cleanup(void *data)
{
    ngx_http_idpay_store_exit_process(data);
}
