
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The calls of this worker that wait for their turn in a bucket.  Tickets and
 * calls are queues of their own: a call that leaves its place lets all behind
 * it move up.
 */


#ifndef _NGX_HTTP_IDPAY_QUEUE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_QUEUE_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the tickets are a ring that grows */

struct ngx_http_idpay_queue_s {
    ngx_http_idpay_upstream_conf_t  *iucf;
    ngx_http_idpay_limit_t          *limit;

    ngx_queue_t                      calls;
    ngx_uint_t                       ncalls;

    uint64_t                        *tickets;
    ngx_uint_t                       first;
    ngx_uint_t                       ntickets;
    ngx_uint_t                       size;

    ngx_event_t                      event;  /* the turn of the first one */
};

typedef struct ngx_http_idpay_queue_s  ngx_http_idpay_queue_t;


/* the ticket at a position, from 0 on */

#define ngx_http_idpay_queue_ticket(queue, i)                                 \
    (queue)->tickets[((queue)->first + (i)) % (queue)->size]


/* Makes room for one more ticket.  Returns NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_idpay_queue_room(ngx_http_idpay_queue_t *queue);

/* Adds a ticket, for which there is room. */

void ngx_http_idpay_queue_push(ngx_http_idpay_queue_t *queue,
    uint64_t ticket);

/* Drops the first ticket, or as many of the last ones. */

void ngx_http_idpay_queue_shift(ngx_http_idpay_queue_t *queue);
void ngx_http_idpay_queue_cut(ngx_http_idpay_queue_t *queue, ngx_uint_t n);


#endif /* _NGX_HTTP_IDPAY_QUEUE_H_INCLUDED_ */
