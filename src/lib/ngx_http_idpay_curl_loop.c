
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_curl_loop.h"

#include <malloc.h>


static void ngx_http_idpay_curl_loop_free(void *p);
static void *ngx_http_idpay_curl_loop_realloc(void *p, size_t size);
static int ngx_http_idpay_curl_loop_watch(CURL *easy, curl_socket_t fd,
    int what, void *data, void *socket);
static ngx_int_t ngx_http_idpay_curl_loop_watch_event(ngx_event_t *ev,
    ngx_int_t event, ngx_uint_t wanted);
static void ngx_http_idpay_curl_loop_unwatch(ngx_connection_t *c);
static int ngx_http_idpay_curl_loop_set_timer(CURLM *multi, long ms,
    void *data);
static void ngx_http_idpay_curl_loop_socket_handler(ngx_event_t *ev);
static void ngx_http_idpay_curl_loop_timer_handler(ngx_event_t *ev);
static void ngx_http_idpay_curl_loop_act(curl_socket_t fd, int mask);


/* of the worker, from its first call on */

static CURLM             *ngx_http_idpay_curl_loop_multi;
static ngx_queue_t        ngx_http_idpay_curl_loop_transfers;
static ngx_event_t        ngx_http_idpay_curl_loop_timer;
static ngx_connection_t   ngx_http_idpay_curl_loop_dumb;


ngx_int_t
ngx_http_idpay_curl_loop_init(void)
{
    CURLM        *multi;
    ngx_event_t  *timer;

    if (ngx_http_idpay_curl_loop_multi) {
        return NGX_OK;
    }

    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc,
                             ngx_http_idpay_curl_loop_free,
                             ngx_http_idpay_curl_loop_realloc, strdup, calloc)
        != CURLE_OK)
    {
        goto failed;
    }

    multi = curl_multi_init();

    if (multi == NULL
        || curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                             ngx_http_idpay_curl_loop_watch)
           != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                             ngx_http_idpay_curl_loop_set_timer)
           != CURLM_OK)
    {
        (void) curl_multi_cleanup(multi);
        curl_global_cleanup();
        goto failed;
    }

    ERR_clear_error();

    ngx_queue_init(&ngx_http_idpay_curl_loop_transfers);

    ngx_http_idpay_curl_loop_dumb.fd = (ngx_socket_t) -1;

    /* a worker that quits waits for the deadlines of calls, not for this */

    timer = &ngx_http_idpay_curl_loop_timer;

    timer->handler = ngx_http_idpay_curl_loop_timer_handler;
    timer->data = &ngx_http_idpay_curl_loop_dumb;
    timer->log = ngx_cycle->log;
    timer->cancelable = 1;

    ngx_http_idpay_curl_loop_multi = multi;

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "idpay: libcurl cannot be initialized");

    return NGX_ERROR;
}


ngx_int_t
ngx_http_idpay_curl_loop_add(ngx_http_idpay_curl_transfer_t *t)
{
    CURLMcode  code;

    code = curl_multi_add_handle(ngx_http_idpay_curl_loop_multi, t->easy);

    if (code != CURLM_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: curl_multi_add_handle() failed (%s)",
                      curl_multi_strerror(code));
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ngx_http_idpay_curl_loop_transfers, &t->queue);

    return NGX_OK;
}


void
ngx_http_idpay_curl_loop_remove(ngx_http_idpay_curl_transfer_t *t)
{
    (void) curl_multi_remove_handle(ngx_http_idpay_curl_loop_multi, t->easy);

    ngx_queue_remove(&t->queue);

    ERR_clear_error();
}


ngx_http_idpay_curl_transfer_t *
ngx_http_idpay_curl_loop_any(void)
{
    ngx_queue_t  *q;

    if (ngx_http_idpay_curl_loop_multi == NULL
        || ngx_queue_empty(&ngx_http_idpay_curl_loop_transfers))
    {
        return NULL;
    }

    q = ngx_queue_head(&ngx_http_idpay_curl_loop_transfers);

    return ngx_queue_data(q, ngx_http_idpay_curl_transfer_t, queue);
}


void
ngx_http_idpay_curl_loop_exit(void)
{
    if (ngx_http_idpay_curl_loop_multi == NULL) {
        return;
    }

    (void) curl_multi_cleanup(ngx_http_idpay_curl_loop_multi);

    ngx_http_idpay_curl_loop_multi = NULL;

    if (ngx_http_idpay_curl_loop_timer.timer_set) {
        ngx_del_timer(&ngx_http_idpay_curl_loop_timer);
    }

    curl_global_cleanup();

    ERR_clear_error();
}


/*
 * Requests and answers pass through libcurl's own memory, so all of that is
 * wiped.  A block has no header: what another user of libcurl in this process
 * frees with free() stays right.
 */

static void
ngx_http_idpay_curl_loop_free(void *p)
{
    if (p) {
        ngx_explicit_memzero(p, malloc_usable_size(p));
        free(p);
    }
}


static void *
ngx_http_idpay_curl_loop_realloc(void *p, size_t size)
{
    void  *new;

    new = malloc(size);

    if (new && p) {
        ngx_memcpy(new, p, ngx_min(malloc_usable_size(p), size));
        ngx_http_idpay_curl_loop_free(p);
    }

    return new;
}


static int
ngx_http_idpay_curl_loop_watch(CURL *easy, curl_socket_t fd, int what,
    void *data, void *socket)
{
    ngx_connection_t  *c = socket;

    ngx_http_idpay_curl_transfer_t  *t;

    if (what == CURL_POLL_REMOVE) {
        if (c) {
            ngx_http_idpay_curl_loop_unwatch(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_get_connection(fd, ngx_cycle->log);
        if (c == NULL) {
            goto failed;
        }

        c->log = ngx_cycle->log;
        c->read->log = c->log;
        c->write->log = c->log;
        c->read->handler = ngx_http_idpay_curl_loop_socket_handler;
        c->write->handler = ngx_http_idpay_curl_loop_socket_handler;

        if (curl_multi_assign(ngx_http_idpay_curl_loop_multi, fd, c)
            != CURLM_OK)
        {
            ngx_http_idpay_curl_loop_unwatch(c);
            goto failed;
        }
    }

    if (ngx_http_idpay_curl_loop_watch_event(c->read, NGX_READ_EVENT,
                                             what & CURL_POLL_IN)
        == NGX_OK
        && ngx_http_idpay_curl_loop_watch_event(c->write, NGX_WRITE_EVENT,
                                                what & CURL_POLL_OUT)
           == NGX_OK)
    {
        return 0;
    }

failed:

    /*
     * An error returned from here would end all calls.  This one goes on
     * blindly till its deadline, which is now.
     */

    t = NULL;

    (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &t);

    if (t && t->deadline.timer_set) {
        t->reason = "no connection of the worker is free";

        ngx_del_timer(&t->deadline);
        ngx_add_timer(&t->deadline, 1);
    }

    return 0;
}


static ngx_int_t
ngx_http_idpay_curl_loop_watch_event(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t wanted)
{
    if (wanted && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!wanted && ev->active) {
        return ngx_del_event(ev, event, 0);
    }

    return NGX_OK;
}


/*
 * The socket itself is libcurl's to close.  It tells before it does so, but for
 * one that was not connected in time (7.88).
 */

static void
ngx_http_idpay_curl_loop_unwatch(ngx_connection_t *c)
{
    ngx_uint_t  flags;

    flags = (fcntl(c->fd, F_GETFD) == -1) ? NGX_CLOSE_EVENT : 0;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


static int
ngx_http_idpay_curl_loop_set_timer(CURLM *multi, long ms, void *data)
{
    /* a timer that is set would not be moved by less than 300 ms */

    if (ngx_http_idpay_curl_loop_timer.timer_set) {
        ngx_del_timer(&ngx_http_idpay_curl_loop_timer);
    }

    if (ms >= 0) {
        ngx_add_timer(&ngx_http_idpay_curl_loop_timer, ngx_max(ms, 1));
    }

    return 0;
}


static void
ngx_http_idpay_curl_loop_socket_handler(ngx_event_t *ev)
{
    ngx_queue_t                     *q;
    ngx_connection_t                *c;
    ngx_http_idpay_curl_transfer_t  *t;

    c = ev->data;

    if (c->close) {

        /* "worker_shutdown_timeout": no call is waited for any longer */

        for (q = ngx_queue_head(&ngx_http_idpay_curl_loop_transfers);
             q != ngx_queue_sentinel(&ngx_http_idpay_curl_loop_transfers);
             q = ngx_queue_next(q))
        {
            t = ngx_queue_data(q, ngx_http_idpay_curl_transfer_t, queue);
            t->deadline.cancelable = 1;
        }
    }

    ngx_http_idpay_curl_loop_act(c->fd, ev->write ? CURL_CSELECT_OUT
                                                  : CURL_CSELECT_IN);
}


static void
ngx_http_idpay_curl_loop_timer_handler(ngx_event_t *ev)
{
    ngx_http_idpay_curl_loop_act(CURL_SOCKET_TIMEOUT, 0);
}


static void
ngx_http_idpay_curl_loop_act(curl_socket_t fd, int mask)
{
    int                              n;
    CURLMsg                         *msg;
    CURLcode                         result;
    CURLMcode                        code;
    ngx_http_idpay_curl_transfer_t  *t;

    code = curl_multi_socket_action(ngx_http_idpay_curl_loop_multi, fd, mask,
                                    &n);

    /* errors of foreign TLS connections are not nginx's */

    ERR_clear_error();

    if (code != CURLM_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: curl_multi_socket_action() failed (%s)",
                      curl_multi_strerror(code));
    }

    for ( ;; ) {
        msg = curl_multi_info_read(ngx_http_idpay_curl_loop_multi, &n);
        if (msg == NULL) {
            return;
        }

        /* the only message that there is is CURLMSG_DONE */

        result = msg->data.result;

        (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
                                 (char **) &t);

        t->ended(t, result);
    }
}
