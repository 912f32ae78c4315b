
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_oauth.h"

#include "credential/ngx_http_idpay_route.h"
#include "lib/ngx_http_idpay_json.h"


/* characters of a member's name, and of an error's code */

#define NGX_HTTP_IDPAY_OAUTH_NAME   64
#define NGX_HTTP_IDPAY_OAUTH_ERROR  64

/* no number is greater; ten times this fits into 64 bits */

#define NGX_HTTP_IDPAY_OAUTH_MAX_NUMBER    ((int64_t) 1 << 53)
#define NGX_HTTP_IDPAY_OAUTH_MAX_EXPONENT  (1 << 30)


typedef struct {
    ngx_str_t                       code;
    ngx_http_idpay_oauth_result_e   result;
} ngx_http_idpay_oauth_code_t;


static size_t ngx_http_idpay_oauth_pair(u_char *p, ngx_str_t *secrets);
static size_t ngx_http_idpay_oauth_field(u_char *p, const char *name,
    ngx_str_t *value);
static ngx_uint_t ngx_http_idpay_oauth_granted(
    const ngx_http_idpay_grant_t *grant, ngx_uint_t spends,
    ngx_http_idpay_json_t *json, u_char *buf,
    ngx_http_idpay_oauth_answer_t *answer);
static ngx_int_t ngx_http_idpay_oauth_token(ngx_http_idpay_json_t *json,
    const ngx_str_t *name, u_char **p, ngx_str_t *token);
static ngx_int_t ngx_http_idpay_oauth_profile(ngx_http_idpay_json_t *json,
    const ngx_str_t *name, u_char **p, ngx_str_t *profile);
static ngx_uint_t ngx_http_idpay_oauth_bearer(ngx_http_idpay_json_t *json);
static time_t ngx_http_idpay_oauth_life(const ngx_http_idpay_grant_t *grant,
    ngx_http_idpay_json_t *json, ngx_str_t *access, int64_t began,
    int64_t now);
static int64_t ngx_http_idpay_oauth_since(int64_t from, int64_t to);
static void ngx_http_idpay_oauth_error(ngx_http_idpay_json_t *json, u_char *p,
    ngx_str_t *error);
static ngx_http_idpay_oauth_result_e ngx_http_idpay_oauth_refusal(
    ngx_uint_t spends, ngx_uint_t status, ngx_str_t *error);
static ngx_int_t ngx_http_idpay_oauth_member(ngx_http_idpay_json_t *json,
    const ngx_str_t *name, ngx_str_t *text);
static ngx_int_t ngx_http_idpay_oauth_text(ngx_http_idpay_json_t *json,
    const ngx_str_t *pointer, ngx_str_t *text);
static void ngx_http_idpay_oauth_copy(u_char **p, ngx_str_t *dst,
    ngx_str_t *src);
static ngx_int_t ngx_http_idpay_oauth_number(ngx_str_t *text, int64_t *n);
static int64_t ngx_http_idpay_oauth_shift(u_char *p, u_char *last,
    int64_t point, ngx_uint_t *rest);
static u_char *ngx_http_idpay_oauth_digits(u_char *p, u_char *last);


static const ngx_str_t  ngx_http_idpay_oauth_token_type =
    ngx_string("/token_type");

static const ngx_str_t  ngx_http_idpay_oauth_exp_claim = ngx_string("/exp");


/* RFC 6749 5.2, and the error of GoPay's other APIs */

static const ngx_str_t  ngx_http_idpay_oauth_errors[] = {
    ngx_string("/error"),
    ngx_string("/errors/0/error_name"),
    ngx_null_string
};


/*
 * What a code says whatever the 4xx.  The last two are of RFC 6749 4.1.2.1,
 * where they stand for a 500 and a 503.
 */

static const ngx_http_idpay_oauth_code_t  ngx_http_idpay_oauth_codes[] = {
    { ngx_string("invalid_grant"), NGX_HTTP_IDPAY_OAUTH_GONE },
    { ngx_string("invalid_client"), NGX_HTTP_IDPAY_OAUTH_CLIENT },
    { ngx_string("unauthorized_client"), NGX_HTTP_IDPAY_OAUTH_CLIENT },
    { ngx_string("unsupported_grant_type"), NGX_HTTP_IDPAY_OAUTH_CLIENT },
    { ngx_string("server_error"), NGX_HTTP_IDPAY_OAUTH_FAILED },
    { ngx_string("temporarily_unavailable"), NGX_HTTP_IDPAY_OAUTH_BUSY },
    { ngx_null_string, 0 }
};


size_t
ngx_http_idpay_oauth_form(u_char *p, const ngx_http_idpay_grant_t *grant,
    ngx_str_t *secrets, const char *type, ngx_str_t *value)
{
    size_t       len;
    ngx_str_t    name;
    const char  *field;

    name.data = (u_char *) type;
    name.len = ngx_strlen(type);

    len = ngx_http_idpay_oauth_field(p, "grant_type=", &name);

    if (value) {
        field = (ngx_strcmp(type, "refresh_token") == 0) ? "&refresh_token="
                                                         : "&code=";

        len += ngx_http_idpay_oauth_field(p ? p + len : NULL, field, value);
    }

    if (grant->auth == NGX_HTTP_IDPAY_CLIENT_POST) {
        len += ngx_http_idpay_oauth_pair(p ? p + len : NULL, secrets);
    }

    if (grant->form.len) {

        if (p) {
            p[len] = '&';
            ngx_memcpy(p + len + 1, grant->form.data, grant->form.len);
        }

        len += 1 + grant->form.len;
    }

    return len;
}


size_t
ngx_http_idpay_oauth_revoke_form(u_char *p, ngx_str_t *secrets,
    ngx_str_t *value)
{
    size_t  len;

    len = ngx_http_idpay_oauth_field(p, "token=", value);

    return len + ngx_http_idpay_oauth_pair(p ? p + len : NULL, secrets);
}


static size_t
ngx_http_idpay_oauth_pair(u_char *p, ngx_str_t *secrets)
{
    size_t  len;

    len = ngx_http_idpay_oauth_field(p, "&client_id=",
                                     &secrets[NGX_HTTP_IDPAY_CLIENT_ID]);

    return len
           + ngx_http_idpay_oauth_field(p ? p + len : NULL, "&client_secret=",
                                    &secrets[NGX_HTTP_IDPAY_CLIENT_SECRET]);
}


/* a space is "%20": in a form as well it means the same as "+" */

static size_t
ngx_http_idpay_oauth_field(u_char *p, const char *name, ngx_str_t *value)
{
    size_t  len;

    len = ngx_strlen(name);

    if (p) {
        p = ngx_cpymem(p, name, len);
        (void) ngx_escape_uri(p, value->data, value->len,
                              NGX_ESCAPE_URI_COMPONENT);
    }

    return len + value->len
           + 2 * ngx_escape_uri(NULL, value->data, value->len,
                                NGX_ESCAPE_URI_COMPONENT);
}


void
ngx_http_idpay_oauth_parse(const ngx_http_idpay_grant_t *grant,
    ngx_uint_t spends, ngx_uint_t status, ngx_str_t *body, int64_t began,
    int64_t now, u_char *buf, ngx_http_idpay_oauth_answer_t *answer)
{
    ngx_http_idpay_json_t  *json;

    ngx_memzero(answer, sizeof(ngx_http_idpay_oauth_answer_t));

    /* nothing is found in what is no JSON */

    if (ngx_http_idpay_json_parse(body->data, body->len, &json) != NGX_OK) {
        json = NULL;
    }

    if (status >= 200 && status < 300
        && ngx_http_idpay_oauth_granted(grant, spends, json, buf, answer))
    {
        answer->result = NGX_HTTP_IDPAY_OAUTH_GRANTED;
        answer->life = ngx_http_idpay_oauth_life(grant, json, &answer->access,
                                                 began, now);

    } else {
        ngx_str_null(&answer->access);
        ngx_str_null(&answer->refresh);
        ngx_str_null(&answer->profile);

        ngx_http_idpay_oauth_error(json, buf, &answer->error);

        answer->result = ngx_http_idpay_oauth_refusal(spends, status,
                                                      &answer->error);
    }

    ngx_http_idpay_json_free(json);
}


/*
 * The texts are of different members, and none is longer than it is in the
 * body, so that all of them have room in "buf".
 */

static ngx_uint_t
ngx_http_idpay_oauth_granted(const ngx_http_idpay_grant_t *grant,
    ngx_uint_t spends, ngx_http_idpay_json_t *json, u_char *buf,
    ngx_http_idpay_oauth_answer_t *answer)
{
    u_char     *p;
    ngx_int_t   rc;

    p = buf;

    if (!ngx_http_idpay_oauth_bearer(json)) {
        return 0;
    }

    if (ngx_http_idpay_oauth_token(json, &grant->access, &p, &answer->access)
        != NGX_OK)
    {
        return 0;
    }

    rc = ngx_http_idpay_oauth_token(json, &grant->refresh, &p,
                                    &answer->refresh);

    if (rc != NGX_OK && grant->refresh.len && spends) {
        return 0;
    }

    rc = ngx_http_idpay_oauth_profile(json, &grant->profile, &p,
                                      &answer->profile);

    return rc == NGX_OK || grant->profile.len == 0;
}


static ngx_int_t
ngx_http_idpay_oauth_token(ngx_http_idpay_json_t *json, const ngx_str_t *name,
    u_char **p, ngx_str_t *token)
{
    size_t     i;
    ngx_str_t  text;

    if (ngx_http_idpay_oauth_member(json, name, &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (text.len == 0 || text.len > NGX_HTTP_IDPAY_MAX_TOKEN) {
        return NGX_DECLINED;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) {
            return NGX_DECLINED;
        }
    }

    ngx_http_idpay_oauth_copy(p, token, &text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_oauth_profile(ngx_http_idpay_json_t *json,
    const ngx_str_t *name, u_char **p, ngx_str_t *profile)
{
    size_t     len;
    ngx_str_t  text;

    if (ngx_http_idpay_oauth_member(json, name, &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    len = ngx_http_idpay_route_profile(text.data, text.data + text.len);

    if (len == 0 || len != text.len) {
        return NGX_DECLINED;
    }

    ngx_http_idpay_oauth_copy(p, profile, &text);

    return NGX_OK;
}


/* a provider that says nothing means this type */

static ngx_uint_t
ngx_http_idpay_oauth_bearer(ngx_http_idpay_json_t *json)
{
    ngx_str_t               text;
    ngx_http_idpay_json_t  *type;

    type = ngx_http_idpay_json_find(json, &ngx_http_idpay_oauth_token_type);

    if (type == NULL || ngx_http_idpay_json_empty(type)) {
        return 1;
    }

    return ngx_http_idpay_json_text(type, &text) == NGX_OK
           && text.len == 6
           && ngx_strncasecmp(text.data, (u_char *) "bearer", 6) == 0;
}


static time_t
ngx_http_idpay_oauth_life(const ngx_http_idpay_grant_t *grant,
    ngx_http_idpay_json_t *json, ngx_str_t *access, int64_t began, int64_t now)
{
    int64_t    n, life;
    ngx_str_t  text;

    if (ngx_http_idpay_oauth_member(json, &grant->expires_in, &text) == NGX_OK
        && ngx_http_idpay_oauth_number(&text, &n) == NGX_OK)
    {
        life = n - ngx_http_idpay_oauth_since(began, now);

    } else if (ngx_http_idpay_oauth_exp(access, &n) == NGX_OK) {
        life = ngx_http_idpay_oauth_since(now, n);

    } else {
        life = grant->life;
    }

    life = ngx_max(life, NGX_HTTP_IDPAY_MIN_LIFE);

    return ngx_min(life, NGX_HTTP_IDPAY_MAX_LIFE);
}


/* nothing, where the clock was set back */

static int64_t
ngx_http_idpay_oauth_since(int64_t from, int64_t to)
{
    uint64_t  n;

    if (to <= from) {
        return 0;
    }

    n = (uint64_t) to - (uint64_t) from;

    return ngx_min(n, (uint64_t) NGX_HTTP_IDPAY_OAUTH_MAX_NUMBER);
}


/* a code that could be anything else than one is left out */

static void
ngx_http_idpay_oauth_error(ngx_http_idpay_json_t *json, u_char *p,
    ngx_str_t *error)
{
    u_char       c;
    size_t       n;
    ngx_str_t    text;
    ngx_uint_t   i;

    for (i = 0; ngx_http_idpay_oauth_errors[i].len; i++) {

        if (ngx_http_idpay_oauth_text(json, &ngx_http_idpay_oauth_errors[i],
                                      &text)
            != NGX_OK
            || text.len > NGX_HTTP_IDPAY_OAUTH_ERROR)
        {
            continue;
        }

        for (n = 0; n < text.len; n++) {
            c = text.data[n];

            if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-')
            {
                continue;
            }

            break;
        }

        if (n && n == text.len) {
            ngx_http_idpay_oauth_copy(&p, error, &text);
            return;
        }
    }
}


static ngx_http_idpay_oauth_result_e
ngx_http_idpay_oauth_refusal(ngx_uint_t spends, ngx_uint_t status,
    ngx_str_t *error)
{
    ngx_uint_t                          i;
    ngx_http_idpay_oauth_result_e       refused;
    const ngx_http_idpay_oauth_code_t  *code;

    refused = spends ? NGX_HTTP_IDPAY_OAUTH_GONE : NGX_HTTP_IDPAY_OAUTH_CLIENT;

    /* RFC 7009 2.2.1 */

    if (status == 429 || status == 503) {
        return NGX_HTTP_IDPAY_OAUTH_BUSY;
    }

    if (status < 400 || status > 499) {
        return NGX_HTTP_IDPAY_OAUTH_FAILED;
    }

    for (i = 0; ngx_http_idpay_oauth_codes[i].code.len; i++) {
        code = &ngx_http_idpay_oauth_codes[i];

        if (error->len == code->code.len
            && ngx_strncmp(error->data, code->code.data, error->len) == 0)
        {
            return (code->result == NGX_HTTP_IDPAY_OAUTH_GONE) ? refused
                                                               : code->result;
        }
    }

    switch (status) {

    case 401:
        return NGX_HTTP_IDPAY_OAUTH_CLIENT;

    case 400:
    case 409:
    case 422:
        return refused;

    case 403:
        /* a firewall in front of the provider says this as well */
        return error->len ? refused : NGX_HTTP_IDPAY_OAUTH_FAILED;
    }

    return NGX_HTTP_IDPAY_OAUTH_FAILED;
}


/* the names are those of the tables: none needs an escape in a pointer */

static ngx_int_t
ngx_http_idpay_oauth_member(ngx_http_idpay_json_t *json, const ngx_str_t *name,
    ngx_str_t *text)
{
    ngx_str_t  pointer;
    u_char     buf[1 + NGX_HTTP_IDPAY_OAUTH_NAME];

    if (name->len == 0 || name->len > NGX_HTTP_IDPAY_OAUTH_NAME) {
        return NGX_DECLINED;
    }

    buf[0] = '/';
    ngx_memcpy(buf + 1, name->data, name->len);

    pointer.data = buf;
    pointer.len = 1 + name->len;

    return ngx_http_idpay_oauth_text(json, &pointer, text);
}


/*
 * A truth value is no text here: "false" is what some answer where there is no
 * token.
 */

static ngx_int_t
ngx_http_idpay_oauth_text(ngx_http_idpay_json_t *json,
    const ngx_str_t *pointer, ngx_str_t *text)
{
    if (ngx_http_idpay_json_text(ngx_http_idpay_json_find(json, pointer), text)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if ((text->len == 4 && ngx_strncmp(text->data, "true", 4) == 0)
        || (text->len == 5 && ngx_strncmp(text->data, "false", 5) == 0))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_http_idpay_oauth_copy(u_char **p, ngx_str_t *dst, ngx_str_t *src)
{
    dst->data = *p;
    dst->len = src->len;

    *p = ngx_cpymem(*p, src->data, src->len);
}


ngx_int_t
ngx_http_idpay_oauth_exp(ngx_str_t *token, int64_t *exp)
{
    u_char                 *p, *last;
    ngx_int_t               rc;
    ngx_str_t               payload, decoded, text;
    ngx_http_idpay_json_t  *json;
    u_char                  buf[NGX_HTTP_IDPAY_MAX_TOKEN];

    if (token->len > NGX_HTTP_IDPAY_MAX_TOKEN) {
        return NGX_DECLINED;
    }

    last = token->data + token->len;

    p = ngx_strlchr(token->data, last, '.');
    if (p == NULL || p == token->data) {
        return NGX_DECLINED;
    }

    payload.data = p + 1;

    p = ngx_strlchr(payload.data, last, '.');
    if (p == NULL || ngx_strlchr(p + 1, last, '.')) {
        return NGX_DECLINED;
    }

    payload.len = p - payload.data;
    decoded.data = buf;

    /* RFC 7515, section 2: no padding; nginx would end there */

    if (ngx_strlchr(payload.data, p, '=')
        || ngx_decode_base64url(&decoded, &payload) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    if (ngx_http_idpay_json_parse(decoded.data, decoded.len, &json) == NGX_OK)
    {
        if (ngx_http_idpay_oauth_text(json, &ngx_http_idpay_oauth_exp_claim,
                                      &text)
            == NGX_OK)
        {
            rc = ngx_http_idpay_oauth_number(&text, exp);
        }

        ngx_http_idpay_json_free(json);
    }

    ngx_explicit_memzero(decoded.data, decoded.len);

    return rc;
}


/*
 * Reads a number as JSON writes it, rounded down: not by a double, which would
 * need the locale's point and has no way to round 1e400.  Returns NGX_OK, or
 * NGX_DECLINED if it is none.
 */

static ngx_int_t
ngx_http_idpay_oauth_number(ngx_str_t *text, int64_t *n)
{
    u_char      *p, *start, *end, *last;
    int64_t      point, exponent, value;
    ngx_uint_t   minus, negative, rest;

    p = text->data;
    last = p + text->len;

    minus = (p < last && *p == '-');
    start = p + minus;

    end = ngx_http_idpay_oauth_digits(start, last);
    if (end == start) {
        return NGX_DECLINED;
    }

    point = end - start;

    if (end < last && *end == '.') {
        p = end + 1;

        end = ngx_http_idpay_oauth_digits(p, last);
        if (end == p) {
            return NGX_DECLINED;
        }
    }

    p = end;

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;

        negative = (p < last && *p == '-');

        if (p < last && (*p == '-' || *p == '+')) {
            p++;
        }

        if (p == last) {
            return NGX_DECLINED;
        }

        for (exponent = 0; p < last && *p >= '0' && *p <= '9'; p++) {
            exponent = exponent * 10 + (*p - '0');
            exponent = ngx_min(exponent, NGX_HTTP_IDPAY_OAUTH_MAX_EXPONENT);
        }

        point += negative ? -exponent : exponent;
    }

    if (p != last) {
        return NGX_DECLINED;
    }

    value = ngx_http_idpay_oauth_shift(start, end, point, &rest);

    *n = minus ? -value - (int64_t) rest : value;

    return NGX_OK;
}


/*
 * The value of the digits before "point", which counts from the first of them
 * and may be beyond the last; "rest" is set where others are no zeros.
 */

static int64_t
ngx_http_idpay_oauth_shift(u_char *p, u_char *last, int64_t point,
    ngx_uint_t *rest)
{
    int64_t  value;

    value = 0;
    *rest = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '.') {
            continue;
        }

        if (point > 0) {
            value = value * 10 + (*p - '0');
            value = ngx_min(value, NGX_HTTP_IDPAY_OAUTH_MAX_NUMBER);
            point--;

        } else if (*p != '0') {
            *rest = 1;
        }
    }

    while (point > 0 && value && value < NGX_HTTP_IDPAY_OAUTH_MAX_NUMBER) {
        value = ngx_min(value * 10, NGX_HTTP_IDPAY_OAUTH_MAX_NUMBER);
        point--;
    }

    return value;
}


static u_char *
ngx_http_idpay_oauth_digits(u_char *p, u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}
