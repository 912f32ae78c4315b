
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_errors.h"

#include "credential/ngx_http_idpay_upstream.h"
#include "problem/ngx_http_idpay_problem.h"
#include "request/ngx_http_idpay_params.h"


static ngx_uint_t ngx_http_idpay_errors_source(
    ngx_http_idpay_error_member_e member, ngx_str_t *source);
static ngx_uint_t ngx_http_idpay_errors_status(ngx_str_t *text);
static ngx_int_t ngx_http_idpay_errors_arrays(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf);


static struct {
    ngx_str_t                       name;      /* with its "=" */
    ngx_http_idpay_error_member_e   member;
} ngx_http_idpay_errors_members[] = {
    { ngx_string("code="), NGX_HTTP_IDPAY_ERROR_CODE },
    { ngx_string("type="), NGX_HTTP_IDPAY_ERROR_TYPE },
    { ngx_string("message="), NGX_HTTP_IDPAY_ERROR_MESSAGE },
    { ngx_string("request_id="), NGX_HTTP_IDPAY_ERROR_REQUEST_ID },
    { ngx_string("status="), NGX_HTTP_IDPAY_ERROR_STATUS },
    { ngx_string("result="), NGX_HTTP_IDPAY_ERROR_RESULT },
    { ngx_string("errors="), NGX_HTTP_IDPAY_ERROR_ERRORS },
    { ngx_string("field="), NGX_HTTP_IDPAY_ERROR_FIELD },
    { ngx_string("field_code="), NGX_HTTP_IDPAY_ERROR_FIELD_CODE },
    { ngx_string("field_message="), NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE },
    { ngx_null_string, 0 }
};


static struct {
    ngx_str_t                name;
    ngx_http_idpay_match_e   match;
} ngx_http_idpay_errors_matches[] = {
    { ngx_string("code="), NGX_HTTP_IDPAY_MATCH_CODE },
    { ngx_string("type="), NGX_HTTP_IDPAY_MATCH_TYPE },
    { ngx_string("status="), NGX_HTTP_IDPAY_MATCH_STATUS },
    { ngx_null_string, 0 }
};


char *
ngx_http_idpay_errors_fields(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t                       *value, *name, source;
    ngx_uint_t                       i, n;
    ngx_http_idpay_error_field_t    *field;
    ngx_http_idpay_error_member_e    member;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK
        || ngx_http_idpay_errors_arrays(cf, iucf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "status=off") == 0) {
            iucf->status_off = 1;
            continue;
        }

        for (n = 0; ngx_http_idpay_errors_members[n].name.len; n++) {
            name = &ngx_http_idpay_errors_members[n].name;

            if (ngx_strncmp(value[i].data, name->data, name->len) == 0) {
                break;
            }
        }

        name = &ngx_http_idpay_errors_members[n].name;
        member = ngx_http_idpay_errors_members[n].member;

        if (name->len == 0) {
            return ngx_http_idpay_params_invalid(cf, &value[i],
                                 "one of: code=, type=, message=, "
                                 "request_id=, status=, result=, errors=, "
                                 "field=, field_code=, field_message=");
        }

        source.data = value[i].data + name->len;
        source.len = value[i].len - name->len;

        if (!ngx_http_idpay_errors_source(member, &source)) {
            return ngx_http_idpay_params_invalid(cf, &value[i],
                     (member <= NGX_HTTP_IDPAY_ERROR_REQUEST_ID)
                     ? "a JSON Pointer such as \"/error/code\", or the name "
                       "of a header"
                     : (member == NGX_HTTP_IDPAY_ERROR_STATUS)
                       ? "a JSON Pointer such as \"/error/code\", or \"off\""
                       : "a JSON Pointer such as \"/error/code\"");
        }

        field = ngx_array_push(iucf->error_fields);
        if (field == NULL) {
            return NGX_CONF_ERROR;
        }

        field->member = member;
        field->source = source;
    }

    return NGX_CONF_OK;
}


/* a JSON Pointer (RFC 6901) or, where it can be one, the name of a header */

static ngx_uint_t
ngx_http_idpay_errors_source(ngx_http_idpay_error_member_e member,
    ngx_str_t *source)
{
    u_char      c, *p;
    ngx_uint_t  i;

    p = source->data;

    if (source->len == 0) {
        return 0;
    }

    if (p[0] == '/') {

        for (i = 1; i < source->len; i++) {
            if (p[i] == '~' && p[i + 1] != '0' && p[i + 1] != '1') {
                return 0;
            }
        }

        return 1;
    }

    if (member > NGX_HTTP_IDPAY_ERROR_REQUEST_ID) {
        return 0;
    }

    for (i = 0; i < source->len; i++) {
        c = ngx_tolower(p[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '-' && c != '_')
        {
            return 0;
        }
    }

    return 1;
}


char *
ngx_http_idpay_errors_map(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_idpay_upstream_conf_t *iucf = conf;

    ngx_str_t                     *value, *name, text, names;
    ngx_uint_t                     i, n;
    ngx_http_idpay_code_e          code;
    ngx_http_idpay_match_e         match;
    ngx_http_idpay_error_rule_t   *rule;

    if (ngx_http_idpay_upstream_first(cf, iucf) != NGX_CONF_OK
        || ngx_http_idpay_errors_arrays(cf, iucf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (n = 0; ngx_http_idpay_errors_matches[n].name.len; n++) {
        name = &ngx_http_idpay_errors_matches[n].name;

        if (ngx_strncmp(value[1].data, name->data, name->len) == 0) {
            break;
        }
    }

    name = &ngx_http_idpay_errors_matches[n].name;
    match = ngx_http_idpay_errors_matches[n].match;

    text.data = value[1].data + name->len;
    text.len = value[1].len - name->len;

    if (name->len == 0 || text.len == 0) {
        return ngx_http_idpay_params_invalid(cf, &value[1],
                                         "one of: code=, type=, status=");
    }

    if (match == NGX_HTTP_IDPAY_MATCH_STATUS
        && !ngx_http_idpay_errors_status(&text))
    {
        return ngx_http_idpay_params_invalid(cf, &value[1],
                           "a status from 400 to 599, \"4xx\" or \"5xx\"");
    }

    if (ngx_http_idpay_problem_code(&value[2], &code, &names) != NGX_OK) {
        return ngx_http_idpay_params_invalid(cf, &value[2],
                                             (char *) names.data);
    }

    rule = iucf->error_rules->elts;

    for (i = 0; i < iucf->error_rules->nelts; i++) {

        if (rule[i].match == match
            && rule[i].text.len == text.len
            && ngx_strncmp(rule[i].text.data, text.data, text.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "idpay: duplicate \"%V\" in "
                               "\"idpay_error_map\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(iucf->error_rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    rule->match = match;
    rule->text = text;
    rule->code = code;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_idpay_errors_status(ngx_str_t *text)
{
    ngx_int_t  status;

    if (ngx_strcmp(text->data, "4xx") == 0
        || ngx_strcmp(text->data, "5xx") == 0)
    {
        return 1;
    }

    status = ngx_atoi(text->data, text->len);

    return text->len == 3 && status >= NGX_HTTP_BAD_REQUEST && status < 600;
}


ngx_int_t
ngx_http_idpay_errors_init(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    ngx_http_idpay_error_rule_t         *rule;
    ngx_http_idpay_error_field_t        *field;
    const ngx_http_idpay_error_rule_t   *known_rule;
    const ngx_http_idpay_error_field_t  *known_field;

    if (ngx_http_idpay_errors_arrays(cf, iucf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* with what ends a list */

    known_field = iucf->preset->errors->fields;

    do {
        if (known_field->member == NGX_HTTP_IDPAY_ERROR_STATUS
            && iucf->status_off)
        {
            continue;
        }

        field = ngx_array_push(iucf->error_fields);
        if (field == NULL) {
            return NGX_ERROR;
        }

        *field = *known_field;

    } while ((known_field++)->source.len);

    known_rule = iucf->preset->errors->rules;

    do {
        rule = ngx_array_push(iucf->error_rules);
        if (rule == NULL) {
            return NGX_ERROR;
        }

        *rule = *known_rule;

    } while ((known_rule++)->text.len);

    iucf->errors.fields = iucf->error_fields->elts;
    iucf->errors.rules = iucf->error_rules->elts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_errors_arrays(ngx_conf_t *cf,
    ngx_http_idpay_upstream_conf_t *iucf)
{
    if (iucf->error_fields == NULL) {
        iucf->error_fields = ngx_array_create(cf->pool, 8,
                                         sizeof(ngx_http_idpay_error_field_t));
        if (iucf->error_fields == NULL) {
            return NGX_ERROR;
        }
    }

    if (iucf->error_rules == NULL) {
        iucf->error_rules = ngx_array_create(cf->pool, 8,
                                          sizeof(ngx_http_idpay_error_rule_t));
        if (iucf->error_rules == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
