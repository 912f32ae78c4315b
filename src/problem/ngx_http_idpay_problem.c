
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "problem/ngx_http_idpay_problem.h"


/* writes a constant text, which is faster than a format by far */

#define ngx_http_idpay_problem_put(p, text)                                   \
    ngx_cpymem(p, text, sizeof(text) - 1)


typedef enum {
    NGX_HTTP_IDPAY_NEVER = 0,
    NGX_HTTP_IDPAY_ALWAYS,
    NGX_HTTP_IDPAY_IF_SAFE
} ngx_http_idpay_retryable_e;


typedef struct {
    ngx_str_t                    name;
    ngx_str_t                    title;
    ngx_uint_t                   status;
    ngx_str_t                    fault;
    ngx_http_idpay_retryable_e   retryable;
    ngx_str_t                    detail;
} ngx_http_idpay_problem_code_t;


static size_t ngx_http_idpay_problem_size(ngx_http_idpay_problem_t *problem);
static u_char *ngx_http_idpay_problem_errors(u_char *p,
    ngx_http_idpay_problem_t *problem);
static size_t ngx_http_idpay_problem_utf8(u_char *p, u_char *last);


/* indexed by ngx_http_idpay_code_e */

static const ngx_http_idpay_problem_code_t  ngx_http_idpay_problem_codes[] = {

    { ngx_string("invalid_request"),
      ngx_string("Invalid request"),
      400, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the provider refuses the request as invalid") },

    { ngx_string("validation_failed"),
      ngx_string("Validation failed"),
      422, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the provider refuses a value in the request") },

    { ngx_string("request_failed"),
      ngx_string("Request failed"),
      402, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the request is valid, but the provider could not "
                 "carry it out") },

    { ngx_string("permission_denied"),
      ngx_string("Permission denied"),
      403, ngx_string("credential"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the gateway's credential is not allowed to do this") },

    { ngx_string("consent_required"),
      ngx_string("Consent required"),
      403, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the person has not consented to this, or no longer does") },

    { ngx_string("not_found"),
      ngx_string("Not found"),
      404, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the provider does not have what the request is for") },

    { ngx_string("conflict"),
      ngx_string("Conflict"),
      409, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the request conflicts with another one") },

    { ngx_string("rate_limited"),
      ngx_string("Rate limit reached"),
      429, ngx_string("provider"), NGX_HTTP_IDPAY_ALWAYS,
      ngx_string("the provider allows no more calls at the moment") },

    { ngx_string("request_rejected"),
      ngx_string("Request rejected by the gateway"),
      400, ngx_string("caller"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the gateway does not make this call") },

    { ngx_string("credential_rejected"),
      ngx_string("Credential rejected by the provider"),
      502, ngx_string("credential"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the provider refuses the gateway's credential") },

    { ngx_string("credential_unavailable"),
      ngx_string("Credential unavailable"),
      503, ngx_string("credential"), NGX_HTTP_IDPAY_ALWAYS,
      ngx_string("the gateway has no credential for this call") },

    { ngx_string("provider_error"),
      ngx_string("Provider failed"),
      502, ngx_string("provider"), NGX_HTTP_IDPAY_IF_SAFE,
      ngx_string("the provider failed to handle the request") },

    { ngx_string("provider_unavailable"),
      ngx_string("Provider unavailable"),
      503, ngx_string("provider"), NGX_HTTP_IDPAY_ALWAYS,
      ngx_string("the provider is not available at the moment") },

    { ngx_string("provider_timeout"),
      ngx_string("Provider timed out"),
      504, ngx_string("provider"), NGX_HTTP_IDPAY_IF_SAFE,
      ngx_string("the provider did not answer in time") },

    { ngx_string("gateway_error"),
      ngx_string("Gateway failed"),
      500, ngx_string("gateway"), NGX_HTTP_IDPAY_NEVER,
      ngx_string("the gateway could not make the call") }
};


static ngx_str_t  ngx_http_idpay_problem_names = ngx_string(
    "one of: invalid_request, validation_failed, request_failed, "
    "permission_denied, consent_required, not_found, conflict, rate_limited, "
    "credential_rejected, credential_unavailable, provider_error, "
    "provider_unavailable, provider_timeout");

static ngx_str_t  ngx_http_idpay_problem_gateway = ngx_string("gateway");


void
ngx_http_idpay_problem_init(ngx_http_idpay_problem_t *problem,
    ngx_http_idpay_code_e code, ngx_uint_t safe)
{
    const ngx_http_idpay_problem_code_t  *pc;

    pc = &ngx_http_idpay_problem_codes[code];

    ngx_memzero(problem, sizeof(ngx_http_idpay_problem_t));

    problem->code = code;
    problem->status = pc->status;
    problem->detail = pc->detail;
    problem->retryable = pc->retryable == NGX_HTTP_IDPAY_ALWAYS
                         || (pc->retryable == NGX_HTTP_IDPAY_IF_SAFE && safe);
}


const ngx_str_t *
ngx_http_idpay_problem_name(ngx_http_idpay_code_e code)
{
    return &ngx_http_idpay_problem_codes[code].name;
}


ngx_int_t
ngx_http_idpay_problem_code(ngx_str_t *name, ngx_http_idpay_code_e *code,
    ngx_str_t *names)
{
    ngx_uint_t        i;
    const ngx_str_t  *known;

    for (i = 0; i < NGX_HTTP_IDPAY_GATEWAY_ERROR; i++) {
        known = &ngx_http_idpay_problem_codes[i].name;

        if (i != NGX_HTTP_IDPAY_REQUEST_REJECTED
            && known->len == name->len
            && ngx_strncmp(known->data, name->data, name->len) == 0)
        {
            *code = i;
            return NGX_OK;
        }
    }

    *names = ngx_http_idpay_problem_names;

    return NGX_DECLINED;
}


ngx_buf_t *
ngx_http_idpay_problem_create(ngx_pool_t *pool,
    ngx_http_idpay_problem_t *problem)
{
    u_char                               *p;
    ngx_buf_t                            *b;
    const ngx_str_t                      *detail, *fault;
    const ngx_http_idpay_problem_code_t  *code;

    b = ngx_create_temp_buf(pool, ngx_http_idpay_problem_size(problem));
    if (b == NULL) {
        return NULL;
    }

    code = &ngx_http_idpay_problem_codes[problem->code];
    fault = problem->own ? &ngx_http_idpay_problem_gateway : &code->fault;

    /* a failure that is not the caller's is not explained to the caller */

    detail = (problem->message.len
              && problem->status < NGX_HTTP_INTERNAL_SERVER_ERROR)
             ? &problem->message : &problem->detail;

    p = b->last;

    p = ngx_http_idpay_problem_put(p, "{\"type\":\"urn:idpay:problem:");
    p = ngx_cpymem(p, code->name.data, code->name.len);
    p = ngx_http_idpay_problem_put(p, "\",\"title\":\"");
    p = ngx_cpymem(p, code->title.data, code->title.len);
    p = ngx_http_idpay_problem_put(p, "\",\"status\":");
    p = ngx_sprintf(p, "%ui", problem->status);

    p = ngx_http_idpay_problem_member(p, ",\"detail\":\"", detail,
                                      NGX_HTTP_IDPAY_MAX_MESSAGE);

    p = ngx_http_idpay_problem_put(p, ",\"code\":\"");
    p = ngx_cpymem(p, code->name.data, code->name.len);
    *p++ = '"';

    p = ngx_http_idpay_problem_member(p, ",\"provider\":\"",
                                      &problem->provider,
                                      problem->provider.len);

    p = ngx_http_idpay_problem_put(p, ",\"fault\":\"");
    p = ngx_cpymem(p, fault->data, fault->len);

    if (problem->retryable) {
        p = ngx_http_idpay_problem_put(p, "\",\"retryable\":true");

    } else {
        p = ngx_http_idpay_problem_put(p, "\",\"retryable\":false");
    }

    if (problem->retry_after) {
        p = ngx_sprintf(p, ",\"retry_after\":%ui", problem->retry_after);
    }

    if (problem->unknown) {
        p = ngx_http_idpay_problem_put(p, ",\"outcome\":\"unknown\"");

    } else {
        p = ngx_http_idpay_problem_put(p, ",\"outcome\":\"not_applied\"");
    }

    p = ngx_http_idpay_problem_put(p, ",\"attempts\":");
    p = ngx_sprintf(p, "%ui", problem->attempts);

    if (problem->provider_status) {
        p = ngx_http_idpay_problem_put(p, ",\"provider_status\":");
        p = ngx_sprintf(p, "%ui", problem->provider_status);
    }

    p = ngx_http_idpay_problem_member(p, ",\"provider_code\":\"",
                                      &problem->provider_code,
                                      NGX_HTTP_IDPAY_MAX_NAME);
    p = ngx_http_idpay_problem_member(p, ",\"provider_type\":\"",
                                      &problem->provider_type,
                                      NGX_HTTP_IDPAY_MAX_NAME);
    p = ngx_http_idpay_problem_member(p, ",\"provider_request_id\":\"",
                                      &problem->provider_request_id,
                                      NGX_HTTP_IDPAY_MAX_NAME);
    p = ngx_http_idpay_problem_errors(p, problem);
    p = ngx_http_idpay_problem_member(p, ",\"consent_url\":\"",
                                      &problem->consent_url,
                                      problem->consent_url.len);

    p = ngx_http_idpay_problem_put(p, ",\"request_id\":\"");
    p = ngx_cpymem(p, problem->request_id.data, problem->request_id.len);
    b->last = ngx_http_idpay_problem_put(p, "\"}" CRLF);

    return b;
}


/* at least as many bytes as the document takes */

static size_t
ngx_http_idpay_problem_size(ngx_http_idpay_problem_t *problem)
{
    size_t                         size;
    ngx_uint_t                     i;
    ngx_http_idpay_field_error_t  *error;

    size = 1024
           + ngx_http_idpay_problem_room(&problem->detail,
                                         NGX_HTTP_IDPAY_MAX_MESSAGE)
           + ngx_http_idpay_problem_room(&problem->message,
                                         NGX_HTTP_IDPAY_MAX_MESSAGE)
           + ngx_http_idpay_problem_room(&problem->provider,
                                         problem->provider.len)
           + ngx_http_idpay_problem_room(&problem->consent_url,
                                         problem->consent_url.len)
           + ngx_http_idpay_problem_room(&problem->provider_code,
                                         NGX_HTTP_IDPAY_MAX_NAME)
           + ngx_http_idpay_problem_room(&problem->provider_type,
                                         NGX_HTTP_IDPAY_MAX_NAME)
           + ngx_http_idpay_problem_room(&problem->provider_request_id,
                                         NGX_HTTP_IDPAY_MAX_NAME)
           + problem->request_id.len;

    error = problem->errors;

    for (i = 0; i < problem->nerrors; i++) {
        size += ngx_http_idpay_problem_room(&error[i].field,
                                            NGX_HTTP_IDPAY_MAX_NAME)
                + ngx_http_idpay_problem_room(&error[i].code,
                                              NGX_HTTP_IDPAY_MAX_NAME)
                + ngx_http_idpay_problem_room(&error[i].message,
                                              NGX_HTTP_IDPAY_MAX_MESSAGE);
    }

    return size;
}


/* a byte is six if it is escaped */

size_t
ngx_http_idpay_problem_room(const ngx_str_t *text, size_t max)
{
    return 32 + 6 * ngx_min(text->len, max);
}


static u_char *
ngx_http_idpay_problem_errors(u_char *p, ngx_http_idpay_problem_t *problem)
{
    ngx_uint_t                     i;
    ngx_http_idpay_field_error_t  *error;

    if (problem->nerrors == 0
        || problem->status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        return p;
    }

    p = ngx_http_idpay_problem_put(p, ",\"errors\":[");

    error = problem->errors;

    for (i = 0; i < problem->nerrors; i++) {
        p = ngx_http_idpay_problem_member(p, i ? ",{\"field\":\""
                                               : "{\"field\":\"",
                                          &error[i].field,
                                          NGX_HTTP_IDPAY_MAX_NAME);
        p = ngx_http_idpay_problem_member(p, ",\"code\":\"", &error[i].code,
                                          NGX_HTTP_IDPAY_MAX_NAME);
        p = ngx_http_idpay_problem_member(p, ",\"detail\":\"",
                                          &error[i].message,
                                          NGX_HTTP_IDPAY_MAX_MESSAGE);
        *p++ = '}';
    }

    *p++ = ']';

    return p;
}


u_char *
ngx_http_idpay_problem_member(u_char *p, char *name, const ngx_str_t *text,
    size_t max)
{
    size_t   n;
    u_char  *src, *last, *end;

    if (text->len == 0) {
        return p;
    }

    n = ngx_strlen(name);
    p = ngx_cpymem(p, name, n);

    src = text->data;
    end = src + text->len;
    last = end;

    if (text->len > max) {
        last = src + max - (sizeof("...") - 1);
    }

    while (src < last) {

        if (*src >= 0x20 && *src < 0x80 && *src != '"' && *src != '\\') {
            *p++ = *src++;
            continue;
        }

        n = ngx_http_idpay_problem_utf8(src, end);

        if (n > (size_t) (last - src)) {
            /* a character that would be cut */
            break;
        }

        if (n == 0) {
            p = ngx_http_idpay_problem_put(p, "\xef\xbf\xbd");
            src++;
            continue;
        }

        p = (u_char *) ngx_escape_json(p, src, n);
        src += n;
    }

    if (last != end) {
        p = ngx_http_idpay_problem_put(p, "...");
    }

    *p++ = '"';

    return p;
}


/* returns the length of the character that begins here, 0 if there is none */

static size_t
ngx_http_idpay_problem_utf8(u_char *p, u_char *last)
{
    u_char  low, high;
    size_t  i, len;

    low = 0x80;
    high = 0xbf;

    if (p[0] < 0x80) {
        return 1;

    } else if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;

    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;

        /* longer than it needs be, and halves of a surrogate pair */

        if (p[0] == 0xe0) {
            low = 0xa0;

        } else if (p[0] == 0xed) {
            high = 0x9f;
        }

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;

        /* longer than it needs be, and beyond U+10FFFF */

        if (p[0] == 0xf0) {
            low = 0x90;

        } else if (p[0] == 0xf4) {
            high = 0x8f;
        }

    } else {
        return 0;
    }

    if ((size_t) (last - p) < len || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }

    return len;
}
