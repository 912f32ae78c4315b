
/*
 * Copyright (C) 2026 idpay contributors
 *
 * libcurl's multi handle in nginx's event loop, one of a worker.  Private to
 * ngx_http_idpay_curl.c, which knows what is called.
 */


#ifndef _NGX_HTTP_IDPAY_CURL_LOOP_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CURL_LOOP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <curl/curl.h>


typedef struct ngx_http_idpay_curl_transfer_s  ngx_http_idpay_curl_transfer_t;


/* is called from the event loop, never from inside of libcurl */

typedef void (*ngx_http_idpay_curl_ended_pt)(ngx_http_idpay_curl_transfer_t *t,
    CURLcode code);


/* the beginning of a structure of the owner's, who has allocated it */

struct ngx_http_idpay_curl_transfer_s {
    CURL                            *easy;     /* its CURLOPT_PRIVATE is this
                                                  structure */
    ngx_http_idpay_curl_ended_pt     ended;
    const char                      *reason;   /* of a failure, static, where
                                                  libcurl does not know it */

    /* must be after 3 pointers as in ngx_connection_t, for debug logs */
    ngx_socket_t                     ident;

    ngx_event_t                      deadline; /* the owner's; it is set while
                                                  the transfer is under way */
    ngx_queue_t                      queue;
};


/*
 * Starts a transfer.  Returns NGX_OK, and t->ended() is called when it is done,
 * unless it is removed before; never before this returns.  Or NGX_ERROR, which
 * is logged.
 */
ngx_int_t ngx_http_idpay_curl_loop_add(ngx_http_idpay_curl_transfer_t *t);

/*
 * Takes a transfer out, done or not, and closes its connection.  What libcurl
 * knows of it can still be asked for.
 */
void ngx_http_idpay_curl_loop_remove(ngx_http_idpay_curl_transfer_t *t);

/* Returns a transfer that is under way, or NULL. */

ngx_http_idpay_curl_transfer_t *ngx_http_idpay_curl_loop_any(void);

/* libcurl is needed before there is a transfer.  Returns as "add" does. */

ngx_int_t ngx_http_idpay_curl_loop_init(void);

/* Ends libcurl, if it was begun.  All transfers are removed before. */

void ngx_http_idpay_curl_loop_exit(void);


#endif /* _NGX_HTTP_IDPAY_CURL_LOOP_H_INCLUDED_ */
