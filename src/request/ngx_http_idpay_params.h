
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Parameters of directives whose values are stored as numbers: "tries=4",
 * "wait=5s".
 */


#ifndef _NGX_HTTP_IDPAY_PARAMS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_PARAMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* ms */

#define NGX_HTTP_IDPAY_MAX_TIME   3600000

#define NGX_HTTP_IDPAY_HINT_TIME  "a time from 1ms to 1h"

#define NGX_HTTP_IDPAY_HINT_METHOD                                            \
    "one of: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"


typedef enum {
    NGX_HTTP_IDPAY_NUMBER = 0,
    NGX_HTTP_IDPAY_FACTOR,             /* 1/1000, with a decimal point */
    NGX_HTTP_IDPAY_PERCENT,            /* with its "%" */
    NGX_HTTP_IDPAY_TIME,               /* ms, as nginx writes times */
    NGX_HTTP_IDPAY_JITTER,             /* 1: full, 0: none */
    NGX_HTTP_IDPAY_METHOD              /* NGX_HTTP_GET and so on */
} ngx_http_idpay_param_e;


/* the last one of a table has no name */

typedef struct {
    ngx_str_t                name;      /* with its "=" */
    ngx_http_idpay_param_e   type;
    ngx_int_t                min;
    ngx_int_t                max;
    size_t                   offset;    /* of a number or a time */
    char                    *hint;      /* what to use instead */
} ngx_http_idpay_param_t;


/*
 * Returns the number that a text, which ends with a NUL, stands for, or
 * NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_params_parse(ngx_http_idpay_param_e type,
    ngx_str_t *text);

/*
 * Stores the value of one argument, or of all arguments of the directive,
 * where the table says, in "conf".  Returns NGX_CONF_OK or NGX_CONF_ERROR,
 * which is logged.
 */
char *ngx_http_idpay_params_set(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_idpay_param_t *param, void *conf);
char *ngx_http_idpay_params_set_all(ngx_conf_t *cf,
    ngx_http_idpay_param_t *params, void *conf);

/* Logs what is to be used instead.  Returns NGX_CONF_ERROR. */

char *ngx_http_idpay_params_invalid(ngx_conf_t *cf, ngx_str_t *arg,
    char *hint);


#endif /* _NGX_HTTP_IDPAY_PARAMS_H_INCLUDED_ */
