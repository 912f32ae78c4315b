
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "problem/ngx_http_idpay_normalize.h"

#include "lib/ngx_http_idpay_json.h"
#include "policy/ngx_http_idpay_replay.h"


/* where a text may be looked for, and where it is put */

typedef struct {
    ngx_pool_t                      *pool;
    const ngx_http_idpay_errors_t   *errors;
    ngx_list_t                      *headers;
    ngx_http_idpay_json_t           *json;      /* NULL: there is none */
} ngx_http_idpay_normalize_t;


static ngx_int_t ngx_http_idpay_normalize_texts(
    ngx_http_idpay_normalize_t *n, ngx_http_idpay_problem_t *problem);
static ngx_int_t ngx_http_idpay_normalize_errors(
    ngx_http_idpay_normalize_t *n, ngx_http_idpay_problem_t *problem);
static ngx_int_t ngx_http_idpay_normalize_element(
    ngx_http_idpay_normalize_t *n, ngx_http_idpay_json_t *json,
    ngx_http_idpay_field_error_t *error);
static ngx_uint_t ngx_http_idpay_normalize_status(
    ngx_http_idpay_normalize_t *n);
static ngx_uint_t ngx_http_idpay_normalize_result(
    ngx_http_idpay_normalize_t *n);
static ngx_int_t ngx_http_idpay_normalize_text(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_error_member_e member, ngx_str_t *text);
static ngx_int_t ngx_http_idpay_normalize_find(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_error_member_e member, ngx_str_t *text);
static ngx_int_t ngx_http_idpay_normalize_header(ngx_list_t *headers,
    const ngx_str_t *name, ngx_str_t *text);
static ngx_http_idpay_code_e ngx_http_idpay_normalize_code(
    const ngx_http_idpay_errors_t *errors, ngx_uint_t status,
    ngx_str_t *code, ngx_str_t *type);
static const ngx_http_idpay_error_rule_t *ngx_http_idpay_normalize_rule(
    const ngx_http_idpay_errors_t *errors, ngx_http_idpay_match_e match,
    ngx_str_t *text);
static ngx_http_idpay_code_e ngx_http_idpay_normalize_class(
    ngx_uint_t status);


ngx_uint_t
ngx_http_idpay_normalize_success(const ngx_http_idpay_errors_t *errors,
    ngx_uint_t status)
{
    const ngx_http_idpay_error_field_t  *field;

    if (status < NGX_HTTP_OK || status >= NGX_HTTP_SPECIAL_RESPONSE) {
        return 0;
    }

    for (field = errors->fields; field->source.len; field++) {
        if (field->member == NGX_HTTP_IDPAY_ERROR_STATUS) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_idpay_normalize(ngx_pool_t *pool,
    const ngx_http_idpay_errors_t *errors, ngx_http_idpay_reply_t *reply,
    ngx_http_idpay_problem_t *problem)
{
    ngx_int_t                    rc;
    ngx_uint_t                   status;
    ngx_http_idpay_code_e        code;
    ngx_http_idpay_problem_t     said;
    ngx_http_idpay_normalize_t   n;

    n.pool = pool;
    n.errors = errors;
    n.headers = reply->headers;

    rc = ngx_http_idpay_json_parse(reply->body.data, reply->body.len, &n.json);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        n.json = NULL;
    }

    status = reply->status;

    if (status < NGX_HTTP_BAD_REQUEST) {
        status = ngx_http_idpay_normalize_status(&n);

        if (status == 0) {
            rc = NGX_DECLINED;
            goto done;
        }
    }

    ngx_memzero(&said, sizeof(ngx_http_idpay_problem_t));

    rc = ngx_http_idpay_normalize_texts(&n, &said);
    if (rc != NGX_OK) {
        goto done;
    }

    code = ngx_http_idpay_normalize_code(errors, status, &said.provider_code,
                                         &said.provider_type);

    ngx_http_idpay_problem_init(problem, code, reply->safe);

    if (code == NGX_HTTP_IDPAY_INVALID_REQUEST) {

        switch (status) {

        case NGX_HTTP_NOT_ALLOWED:
        case 406: /* Not Acceptable */
        case NGX_HTTP_LENGTH_REQUIRED:
        case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        case NGX_HTTP_REQUEST_URI_TOO_LARGE:
        case NGX_HTTP_UNSUPPORTED_MEDIA_TYPE:
            problem->status = status;
            break;
        }
    }

    if (code == NGX_HTTP_IDPAY_PROVIDER_ERROR
        && (status == NGX_HTTP_NOT_IMPLEMENTED
            || status == NGX_HTTP_VERSION_NOT_SUPPORTED))
    {
        problem->retryable = 0;
    }

    problem->unknown = ngx_http_idpay_replay_unknown(NGX_HTTP_IDPAY_ANSWERED,
                                                     status, reply->safe);

    /* a failure of the provider's own, whatever the status is */

    if (code >= NGX_HTTP_IDPAY_PROVIDER_ERROR && !reply->safe) {
        problem->unknown = 1;
    }

    problem->provider_status = reply->status;
    problem->message = said.message;
    problem->provider_code = said.provider_code;
    problem->provider_type = said.provider_type;
    problem->provider_request_id = said.provider_request_id;
    problem->errors = said.errors;
    problem->nerrors = said.nerrors;

done:

    if (n.json) {
        ngx_http_idpay_json_free(n.json);
    }

    return rc;
}


static ngx_int_t
ngx_http_idpay_normalize_texts(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_problem_t *problem)
{
    if (ngx_http_idpay_normalize_text(n, NGX_HTTP_IDPAY_ERROR_CODE,
                                      &problem->provider_code)
        != NGX_OK
        || ngx_http_idpay_normalize_text(n, NGX_HTTP_IDPAY_ERROR_TYPE,
                                         &problem->provider_type)
           != NGX_OK
        || ngx_http_idpay_normalize_text(n, NGX_HTTP_IDPAY_ERROR_MESSAGE,
                                         &problem->message)
           != NGX_OK
        || ngx_http_idpay_normalize_text(n, NGX_HTTP_IDPAY_ERROR_REQUEST_ID,
                                         &problem->provider_request_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_idpay_normalize_errors(n, problem);
}


static ngx_int_t
ngx_http_idpay_normalize_errors(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_problem_t *problem)
{
    ngx_http_idpay_json_t               *array, *json;
    ngx_http_idpay_field_error_t        *error;
    const ngx_http_idpay_error_field_t  *field;

    json = NULL;
    array = NULL;

    for (field = n->errors->fields; field->source.len; field++) {

        if (n->json == NULL
            || field->member != NGX_HTTP_IDPAY_ERROR_ERRORS)
        {
            continue;
        }

        array = ngx_http_idpay_json_find(n->json, &field->source);

        if (array) {
            json = ngx_http_idpay_json_next(array, NULL);
        }

        if (json) {
            break;
        }
    }

    if (json == NULL) {
        return NGX_OK;
    }

    error = ngx_pcalloc(n->pool, NGX_HTTP_IDPAY_MAX_ERRORS
                                 * sizeof(ngx_http_idpay_field_error_t));
    if (error == NULL) {
        return NGX_ERROR;
    }

    problem->errors = error;

    while (json && problem->nerrors < NGX_HTTP_IDPAY_MAX_ERRORS) {

        if (ngx_http_idpay_normalize_element(n, json, error) != NGX_OK) {
            return NGX_ERROR;
        }

        /* what is about no field has been told by the message */

        if (error->field.len) {
            problem->nerrors++;
            error++;
        }

        json = ngx_http_idpay_json_next(array, json);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_normalize_element(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_json_t *json, ngx_http_idpay_field_error_t *error)
{
    ngx_http_idpay_normalize_t  element;

    element = *n;
    element.json = json;

    if (ngx_http_idpay_normalize_text(&element, NGX_HTTP_IDPAY_ERROR_FIELD,
                                      &error->field)
        != NGX_OK
        || ngx_http_idpay_normalize_text(&element,
                                         NGX_HTTP_IDPAY_ERROR_FIELD_CODE,
                                         &error->code)
           != NGX_OK
        || ngx_http_idpay_normalize_text(&element,
                                         NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE,
                                         &error->message)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the status that the body of an answer 2xx tells, 0 if it is no error */

static ngx_uint_t
ngx_http_idpay_normalize_status(ngx_http_idpay_normalize_t *n)
{
    ngx_int_t  status;
    ngx_str_t  text;

    if (n->json == NULL
        || ngx_http_idpay_normalize_result(n)
        || ngx_http_idpay_normalize_find(n, NGX_HTTP_IDPAY_ERROR_STATUS, &text)
           != NGX_OK)
    {
        return 0;
    }

    status = ngx_atoi(text.data, text.len);

    return (status >= NGX_HTTP_BAD_REQUEST && status < 600) ? status : 0;
}


static ngx_uint_t
ngx_http_idpay_normalize_result(ngx_http_idpay_normalize_t *n)
{
    ngx_http_idpay_json_t               *json;
    const ngx_http_idpay_error_field_t  *field;

    for (field = n->errors->fields; field->source.len; field++) {

        if (field->member != NGX_HTTP_IDPAY_ERROR_RESULT) {
            continue;
        }

        json = ngx_http_idpay_json_find(n->json, &field->source);

        if (json && !ngx_http_idpay_json_empty(json)) {
            return 1;
        }
    }

    return 0;
}


/* leaves "text" empty if there is none */

static ngx_int_t
ngx_http_idpay_normalize_text(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_error_member_e member, ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t   found;

    ngx_str_null(text);

    if (ngx_http_idpay_normalize_find(n, member, &found) != NGX_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(n->pool, found.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, found.data, found.len);

    text->data = p;
    text->len = found.len;

    return NGX_OK;
}


/* returns NGX_OK, or NGX_DECLINED if no source has a text that is not empty */

static ngx_int_t
ngx_http_idpay_normalize_find(ngx_http_idpay_normalize_t *n,
    ngx_http_idpay_error_member_e member, ngx_str_t *text)
{
    ngx_http_idpay_json_t               *json;
    const ngx_http_idpay_error_field_t  *field;

    for (field = n->errors->fields; field->source.len; field++) {

        if (field->member != member) {
            continue;
        }

        if (field->source.data[0] != '/') {

            if (n->headers
                && ngx_http_idpay_normalize_header(n->headers, &field->source,
                                                   text)
                   == NGX_OK)
            {
                return NGX_OK;
            }

            continue;
        }

        if (n->json == NULL) {
            continue;
        }

        json = ngx_http_idpay_json_find(n->json, &field->source);

        if (json
            && ngx_http_idpay_json_text(json, text) == NGX_OK
            && text->len)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_idpay_normalize_header(ngx_list_t *headers, const ngx_str_t *name,
    ngx_str_t *text)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &headers->part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == name->len
            && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0
            && h[i].value.len)
        {
            *text = h[i].value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_http_idpay_code_e
ngx_http_idpay_normalize_code(const ngx_http_idpay_errors_t *errors,
    ngx_uint_t status, ngx_str_t *code, ngx_str_t *type)
{
    u_char                              buf[NGX_INT_T_LEN];
    ngx_str_t                           text;
    const ngx_http_idpay_error_rule_t  *rule;

    text.data = buf;
    text.len = ngx_sprintf(buf, "%ui", status) - buf;

    rule = ngx_http_idpay_normalize_rule(errors, NGX_HTTP_IDPAY_MATCH_CODE,
                                         code);
    if (rule == NULL) {
        rule = ngx_http_idpay_normalize_rule(errors, NGX_HTTP_IDPAY_MATCH_TYPE,
                                             type);
    }

    if (rule == NULL) {
        rule = ngx_http_idpay_normalize_rule(errors,
                                             NGX_HTTP_IDPAY_MATCH_STATUS,
                                             &text);
    }

    return rule ? rule->code : ngx_http_idpay_normalize_class(status);
}


static const ngx_http_idpay_error_rule_t *
ngx_http_idpay_normalize_rule(const ngx_http_idpay_errors_t *errors,
    ngx_http_idpay_match_e match, ngx_str_t *text)
{
    size_t                              len;
    const ngx_http_idpay_error_rule_t  *rule;

    if (text->len == 0) {
        return NULL;
    }

    for (rule = errors->rules; rule->text.len; rule++) {

        if (rule->match != match) {
            continue;
        }

        len = rule->text.len;

        if (match == NGX_HTTP_IDPAY_MATCH_STATUS
            && rule->text.data[len - 1] == 'x')
        {
            /* what a 401 is about is not the caller's, unless it is named */

            if (ngx_strncmp(text->data, "401", text->len) == 0) {
                continue;
            }

            len -= sizeof("xx") - 1;

        } else if (rule->text.data[len - 1] == '*') {
            len--;

        } else if (text->len != len) {
            continue;
        }

        if (text->len >= len
            && ngx_strncmp(text->data, rule->text.data, len) == 0)
        {
            return rule;
        }
    }

    return NULL;
}


/* what a status means of which no rule is known (RFC 9110 15) */

static ngx_http_idpay_code_e
ngx_http_idpay_normalize_class(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
        return NGX_HTTP_IDPAY_CREDENTIAL_REJECTED;

    case 402: /* Payment Required */
        return NGX_HTTP_IDPAY_REQUEST_FAILED;

    case NGX_HTTP_FORBIDDEN:
        return NGX_HTTP_IDPAY_PERMISSION_DENIED;

    case NGX_HTTP_NOT_FOUND:
    case 410: /* Gone */
        return NGX_HTTP_IDPAY_NOT_FOUND;

    case NGX_HTTP_CONFLICT:
        return NGX_HTTP_IDPAY_CONFLICT;

    case 422: /* Unprocessable Content */
        return NGX_HTTP_IDPAY_VALIDATION_FAILED;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return NGX_HTTP_IDPAY_RATE_LIMITED;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE;
    }

    return (status < NGX_HTTP_INTERNAL_SERVER_ERROR)
           ? NGX_HTTP_IDPAY_INVALID_REQUEST : NGX_HTTP_IDPAY_PROVIDER_ERROR;
}
