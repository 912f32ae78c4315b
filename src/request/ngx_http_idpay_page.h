
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Locations that the gateway answers itself, for people and for those who look
 * after their consents.
 */


#ifndef _NGX_HTTP_IDPAY_PAGE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PAGE_H_INCLUDED_


#include "credential/ngx_http_idpay_consent.h"
#include "request/ngx_http_idpay_exchange.h"


typedef struct ngx_http_idpay_page_s {
    ngx_str_t                        directive;
    ngx_str_t                        provider;
    ngx_str_t                        url;        /* its parameter, or empty */
    ngx_str_t                        location;   /* its name */
    ngx_http_handler_pt              handler;
    ngx_http_idpay_upstream_conf_t  *iucf;       /* set when it is merged */

    u_char                          *file_name;
    ngx_uint_t                       line;
} ngx_http_idpay_page_t;


/*
 * Sets up a location: what the setters of the directives have in common.  The
 * first argument is a provider; "parameter" is what a second one begins with,
 * and a URL follows; it is NULL where there is none.  Returns what a setter
 * returns; errors are logged.
 */
char *ngx_http_idpay_page(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    ngx_http_handler_pt handler, char *parameter);

/*
 * Completes a location when all providers are known.  Returns NGX_CONF_OK or
 * NGX_CONF_ERROR, which is logged.
 */
char *ngx_http_idpay_page_merge(ngx_conf_t *cf,
    ngx_http_idpay_loc_conf_t *prev, ngx_http_idpay_loc_conf_t *conf);


/*
 * Gives a request its context, and the headers that all these answers have.
 * Returns NULL if there is no memory.
 */
ngx_http_idpay_ctx_t *ngx_http_idpay_page_begin(ngx_http_request_t *r);

/*
 * Finds an argument and undoes its percent-encoding; a "+" is one.  The value
 * is in the request's pool.  Returns NGX_OK, NGX_DECLINED if there is none or
 * an empty one, or NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_page_argument(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/*
 * Sends an answer whose body is "b", JSON that lasts as long as the request,
 * or empty if that is NULL.  Returns what a content handler may return.
 */
ngx_int_t ngx_http_idpay_page_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b);

/*
 * Sends a problem for a result that is neither NONE nor GONE.  Returns the
 * same.
 */
ngx_int_t ngx_http_idpay_page_failure(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_consent_result_t *result);


/*
 * Parks a request until an event goes on with it: its content handler returns
 * NGX_DONE then.  "handler" is called with "data" when the request ends, be it
 * while it is parked or later.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_page_park(ngx_http_request_t *r,
    ngx_http_cleanup_pt handler, void *data);

/*
 * Tells whether a parked request is no longer what it was: where the caller has
 * hung up, a "post_action" takes it elsewhere before any cleanup is run.  Else
 * it can be gone on with, in an event handler; whatever is logged then is of
 * this request.
 */
ngx_uint_t ngx_http_idpay_page_gone(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx);

/* Ends a parked request with what a content handler returns. */

void ngx_http_idpay_page_finalize(ngx_http_request_t *r, ngx_int_t rc);


#endif /* _NGX_HTTP_IDPAY_PAGE_H_INCLUDED_ */
