
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Counts what happened lately: a ring of slots of equal length, each a time and
 * a count in one word.  It lives in shared memory and is counted without a
 * lock.
 */


#ifndef _NGX_HTTP_IDPAY_WINDOW_H_INCLUDED_
#define _NGX_HTTP_IDPAY_WINDOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_WINDOW  10


/* zeroed is empty; the last slot is there to be left in parts */

typedef struct {
    ngx_atomic_t  slots[NGX_HTTP_IDPAY_WINDOW + 2];
} ngx_http_idpay_window_t;


/*
 * Counts one event at the time "at", ms.  "slot" is the length of a slot, ms,
 * and always the same for a window.  An event that is older than the window
 * is not counted.  Needs no lock.
 */
void ngx_http_idpay_window_add(ngx_http_idpay_window_t *window,
    ngx_msec_t at, ngx_msec_t slot);

/*
 * Returns 1/1000 events of the NGX_HTTP_IDPAY_WINDOW * "slot" ms before "now":
 * of the oldest slot that part which is not yet over.  Needs no lock.
 */
ngx_uint_t ngx_http_idpay_window_sum(ngx_http_idpay_window_t *window,
    ngx_msec_t now, ngx_msec_t slot);

/*
 * Returns the time, ms, of the oldest slot that has an event in that window,
 * or "now" if there is none.  Needs no lock.
 */
ngx_msec_t ngx_http_idpay_window_first(ngx_http_idpay_window_t *window,
    ngx_msec_t now, ngx_msec_t slot);


#endif /* _NGX_HTTP_IDPAY_WINDOW_H_INCLUDED_ */
