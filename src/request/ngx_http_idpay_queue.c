
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_queue.h"


ngx_int_t
ngx_http_idpay_queue_room(ngx_http_idpay_queue_t *queue)
{
    uint64_t    *tickets;
    ngx_uint_t   i, size;

    if (queue->ntickets < queue->size) {
        return NGX_OK;
    }

    size = queue->size ? queue->size * 2 : 64;

    tickets = ngx_alloc(size * sizeof(uint64_t), ngx_cycle->log);
    if (tickets == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < queue->ntickets; i++) {
        tickets[i] = ngx_http_idpay_queue_ticket(queue, i);
    }

    if (queue->tickets) {
        ngx_free(queue->tickets);
    }

    queue->tickets = tickets;
    queue->size = size;
    queue->first = 0;

    return NGX_OK;
}


void
ngx_http_idpay_queue_push(ngx_http_idpay_queue_t *queue, uint64_t ticket)
{
    ngx_http_idpay_queue_ticket(queue, queue->ntickets) = ticket;
    queue->ntickets++;
}


void
ngx_http_idpay_queue_shift(ngx_http_idpay_queue_t *queue)
{
    queue->first = (queue->first + 1) % queue->size;

    ngx_http_idpay_queue_cut(queue, 1);
}


void
ngx_http_idpay_queue_cut(ngx_http_idpay_queue_t *queue, ngx_uint_t n)
{
    queue->ntickets -= n;

    if (queue->ntickets == 0) {
        ngx_free(queue->tickets);

        queue->tickets = NULL;
        queue->size = 0;
        queue->first = 0;
    }
}
