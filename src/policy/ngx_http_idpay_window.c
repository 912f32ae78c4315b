
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_window.h"


/* a word is the number of a slot and its count, half of the bits each */

#define NGX_HTTP_IDPAY_WINDOW_BITS   (NGX_PTR_SIZE * 4)
#define NGX_HTTP_IDPAY_WINDOW_MASK                                            \
    (((ngx_atomic_uint_t) 1 << NGX_HTTP_IDPAY_WINDOW_BITS) - 1)

/* slots by which a number may be ahead; what looks further ahead is stale */

#define NGX_HTTP_IDPAY_WINDOW_AHEAD                                           \
    ((ngx_atomic_uint_t) 1 << (NGX_HTTP_IDPAY_WINDOW_BITS / 2))


static ngx_atomic_t *ngx_http_idpay_window_slot(
    ngx_http_idpay_window_t *window, ngx_msec_t at, ngx_msec_t slot,
    ngx_atomic_uint_t *number);
static ngx_atomic_uint_t ngx_http_idpay_window_count(
    ngx_http_idpay_window_t *window, ngx_msec_t at, ngx_msec_t slot);


void
ngx_http_idpay_window_add(ngx_http_idpay_window_t *window, ngx_msec_t at,
    ngx_msec_t slot)
{
    ngx_atomic_t       *p;
    ngx_atomic_uint_t   old, new, number, count, ahead;

    p = ngx_http_idpay_window_slot(window, at, slot, &number);

    do {
        old = *p;
        count = old & NGX_HTTP_IDPAY_WINDOW_MASK;
        ahead = ((old >> NGX_HTTP_IDPAY_WINDOW_BITS) - number)
                & NGX_HTTP_IDPAY_WINDOW_MASK;

        if (count == 0 || ahead >= NGX_HTTP_IDPAY_WINDOW_AHEAD) {
            new = (number << NGX_HTTP_IDPAY_WINDOW_BITS) + 1;

        } else if (ahead == 0 && count < NGX_HTTP_IDPAY_WINDOW_MASK) {
            new = old + 1;

        } else {
            return;
        }

    } while (!ngx_atomic_cmp_set(p, old, new));
}


ngx_uint_t
ngx_http_idpay_window_sum(ngx_http_idpay_window_t *window, ngx_msec_t now,
    ngx_msec_t slot)
{
    uint64_t    oldest;
    ngx_uint_t  i, sum;

    sum = 0;

    for (i = 0; i < NGX_HTTP_IDPAY_WINDOW; i++) {
        sum += ngx_http_idpay_window_count(window, now - i * slot, slot);
    }

    oldest = ngx_http_idpay_window_count(window, now - i * slot, slot);

    return sum * 1000 + oldest * 1000 * (slot - now % slot) / slot;
}


ngx_msec_t
ngx_http_idpay_window_first(ngx_http_idpay_window_t *window, ngx_msec_t now,
    ngx_msec_t slot)
{
    ngx_int_t   i;
    ngx_msec_t  at;

    for (i = NGX_HTTP_IDPAY_WINDOW; i >= 0; i--) {
        at = now - i * slot;

        if (ngx_http_idpay_window_count(window, at, slot)) {
            return at - at % slot;
        }
    }

    return now;
}


static ngx_atomic_t *
ngx_http_idpay_window_slot(ngx_http_idpay_window_t *window, ngx_msec_t at,
    ngx_msec_t slot, ngx_atomic_uint_t *number)
{
    ngx_msec_t  n;

    n = at / slot;

    *number = n & NGX_HTTP_IDPAY_WINDOW_MASK;

    return &window->slots[n % (NGX_HTTP_IDPAY_WINDOW + 2)];
}


static ngx_atomic_uint_t
ngx_http_idpay_window_count(ngx_http_idpay_window_t *window, ngx_msec_t at,
    ngx_msec_t slot)
{
    ngx_atomic_uint_t  word, number;

    word = *ngx_http_idpay_window_slot(window, at, slot, &number);

    return (word >> NGX_HTTP_IDPAY_WINDOW_BITS) == number
           ? word & NGX_HTTP_IDPAY_WINDOW_MASK : 0;
}
