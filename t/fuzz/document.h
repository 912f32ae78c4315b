
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What a problem document may be, as the contract has it in section 4 and
 * t/problem.schema.json: what an answer of a provider can become.
 */


#ifndef _DOCUMENT_H_INCLUDED_
#define _DOCUMENT_H_INCLUDED_


#include "strict.h"


typedef struct {
    char        *name;
    char        *title;
    ngx_uint_t   status;
    char        *fault;
    char        *retryable;  /* NULL: it depends */
} document_code_t;


/* a member: its type as that of strict_t, what it can be, if it must be */

typedef struct {
    char        *name;
    char         type;
    ngx_uint_t   least;
    ngx_uint_t   most;
    ngx_uint_t   required;
} document_member_t;


static const document_code_t  document_codes[] = {
    { "invalid_request", "Invalid request", 400, "caller", "false" },
    { "validation_failed", "Validation failed", 422, "caller", "false" },
    { "request_failed", "Request failed", 402, "caller", "false" },
    { "permission_denied", "Permission denied", 403, "credential", "false" },
    { "consent_required", "Consent required", 403, "caller", "false" },
    { "not_found", "Not found", 404, "caller", "false" },
    { "conflict", "Conflict", 409, "caller", "false" },
    { "rate_limited", "Rate limit reached", 429, "provider", "true" },
    { "credential_rejected", "Credential rejected by the provider", 502,
      "credential", "false" },
    { "credential_unavailable", "Credential unavailable", 503, "credential",
      "true" },
    { "provider_error", "Provider failed", 502, "provider", NULL },
    { "provider_unavailable", "Provider unavailable", 503, "provider",
      "true" },
    { "provider_timeout", "Provider timed out", 504, "provider", NULL }
};


static const document_member_t  document_members[] = {
    { "type", '"', 1, 64, 1 },
    { "title", '"', 1, 64, 1 },
    { "status", '0', 400, 504, 1 },
    { "detail", '"', 1, 1024, 1 },
    { "code", '"', 1, 64, 1 },
    { "provider", '"', 1, 64, 1 },
    { "fault", '"', 1, 64, 1 },
    { "retryable", 't', 0, 0, 1 },
    { "retry_after", '0', 1, 86400, 0 },
    { "outcome", '"', 1, 64, 1 },
    { "attempts", '0', 0, 1000, 1 },
    { "provider_status", '0', 100, 999, 0 },
    { "provider_code", '"', 1, 128, 0 },
    { "provider_type", '"', 1, 128, 0 },
    { "provider_request_id", '"', 1, 128, 0 },
    { "errors", '[', 1, 32, 0 },
    { "request_id", '"', 32, 32, 1 },
    { NULL, 0, 0, 0, 0 }
};


static const document_member_t  document_error_members[] = {
    { "field", '"', 1, 128, 1 },
    { "code", '"', 1, 128, 0 },
    { "detail", '"', 1, 1024, 0 },
    { NULL, 0, 0, 0, 0 }
};


/* an object has these members and no others, and each of them at most once */

static void
document_check(strict_t *object, const document_member_t *members)
{
    ngx_int_t                 number;
    strict_t                 *value;
    ngx_uint_t                n, chars;
    const document_member_t  *m;

    fuzz_ok(object && object->type == '{');

    n = 0;

    for (m = members; m->name; m++) {
        value = strict_member(object, m->name);

        if (value == NULL) {
            fuzz_ok(!m->required);
            continue;
        }

        n++;

        switch (m->type) {

        case '"':
            chars = strict_chars(&value->text);
            fuzz_ok(value->type == '"');
            fuzz_ok(chars >= m->least && chars <= m->most);
            break;

        case '0':
            number = ngx_atoi(value->text.data, value->text.len);
            fuzz_ok(value->type == '0');
            fuzz_ok(number >= (ngx_int_t) m->least);
            fuzz_ok(number <= (ngx_int_t) m->most);
            break;

        case 't':
            fuzz_ok(value->type == 't' || value->type == 'f');
            break;

        default:
            fuzz_ok(value->type == (u_char) m->type);
            fuzz_ok(value->n >= m->least && value->n <= m->most);
            break;
        }
    }

    fuzz_ok(n == object->n);
}


static const document_code_t *
document_code(strict_t *value)
{
    size_t  i, n;

    n = sizeof(document_codes) / sizeof(document_codes[0]);

    for (i = 0; i < n; i++) {
        if (strict_is_text(value, document_codes[i].name)) {
            break;
        }
    }

    fuzz_ok(i < n);

    return &document_codes[i];
}


/* the statuses that invalid_request has beside 400 */

static ngx_uint_t
document_kept(ngx_uint_t status)
{
    return status == 405 || status == 406 || status == 411
           || (status >= 413 && status <= 415);
}


/* checks the text of a member: NULL if there must be none */

static void
document_is(strict_t *object, char *name, char *text)
{
    strict_t  *value;

    value = strict_member(object, name);

    fuzz_ok((value != NULL) == (text != NULL));

    fuzz_ok(value == NULL || strict_is_text(value, text));
}


static void
document_number(strict_t *object, char *name, ngx_uint_t n)
{
    u_char  text[NGX_INT_T_LEN + 1];

    *ngx_sprintf(text, "%ui", n) = '\0';
    document_is(object, name, (char *) text);
}


#endif /* _DOCUMENT_H_INCLUDED_ */
