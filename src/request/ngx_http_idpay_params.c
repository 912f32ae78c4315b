
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_params.h"


static ngx_conf_enum_t  ngx_http_idpay_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_idpay_jitters[] = {
    { ngx_string("none"), 0 },
    { ngx_string("full"), 1 },
    { ngx_null_string, 0 }
};


char *
ngx_http_idpay_params_set_all(ngx_conf_t *cf, ngx_http_idpay_param_t *params,
    void *conf)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_idpay_params_set(cf, &value[i], params, conf)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_idpay_params_set(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_idpay_param_t *param, void *conf)
{
    ngx_int_t  n;
    ngx_str_t  text;

    for ( /* void */ ; param->name.len; param++) {

        if (ngx_strncmp(arg->data, param->name.data, param->name.len) != 0) {
            continue;
        }

        text.data = arg->data + param->name.len;
        text.len = arg->len - param->name.len;

        n = ngx_http_idpay_params_parse(param->type, &text);

        if (n < param->min || n > param->max) {
            break;
        }

        *(ngx_int_t *) ((u_char *) conf + param->offset) = n;

        return NGX_CONF_OK;
    }

    return ngx_http_idpay_params_invalid(cf, arg, param->hint);
}


char *
ngx_http_idpay_params_invalid(ngx_conf_t *cf, ngx_str_t *arg, char *hint)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "idpay: invalid parameter \"%V\" in \"%V\", use %s",
                       arg, &value[0], hint);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_idpay_params_parse(ngx_http_idpay_param_e type, ngx_str_t *text)
{
    ngx_conf_enum_t  *e;

    switch (type) {

    case NGX_HTTP_IDPAY_NUMBER:
        return ngx_atoi(text->data, text->len);

    case NGX_HTTP_IDPAY_FACTOR:
        return ngx_atofp(text->data, text->len, 3);

    case NGX_HTTP_IDPAY_PERCENT:

        if (text->len == 0 || text->data[text->len - 1] != '%') {
            return NGX_ERROR;
        }

        return ngx_atoi(text->data, text->len - 1);

    case NGX_HTTP_IDPAY_TIME:
        return ngx_parse_time(text, 0);

    case NGX_HTTP_IDPAY_JITTER:
        e = ngx_http_idpay_jitters;
        break;

    default: /* NGX_HTTP_IDPAY_METHOD */
        e = ngx_http_idpay_methods;
    }

    for ( /* void */ ; e->name.len; e++) {

        if (ngx_strcmp(text->data, e->name.data) == 0) {
            return e->value;
        }
    }

    return NGX_ERROR;
}
