
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Errors of any provider, laid out as in HTTP: a line of 6 bytes, which are
 * the tables, a set of bits, the status, and a line feed; header fields, an
 * empty line, and the body.  What comes of them is a problem document by the
 * letter, with no more than there may be in it, and no secret.
 */


#include "../../src/problem/ngx_http_idpay_normalize.c"
#include "../../src/problem/ngx_http_idpay_problem.c"
#include "../../src/provider/ngx_http_idpay_generic.c"
#include "../../src/provider/ngx_http_idpay_gopay.c"
#include "../../src/provider/ngx_http_idpay_passportreader.c"
#include "../../src/provider/ngx_http_idpay_plaid.c"
#include "../../src/provider/ngx_http_idpay_plasmapay.c"
#include "../../src/provider/ngx_http_idpay_plusid.c"
#include "../../src/lib/ngx_http_idpay_json.c"
#include "../../src/policy/ngx_http_idpay_replay.c"
#include "../../src/credential/ngx_http_idpay_escape.c"
#include "../../src/credential/ngx_http_idpay_redact.c"

#include "document.h"


#define FUZZ_SAFE    0x01
#define FUZZ_GIVEN   0x02    /* the first field's value is the secret */
#define FUZZ_OWN     0x04

#define FUZZ_SECRET  64      /* bytes of a given secret */


typedef struct {
    ngx_http_idpay_reply_t     reply;
    ngx_http_idpay_problem_t   problem;
    ngx_http_idpay_redact_t   *redact;
    ngx_str_t                  secret;
} fuzz_call_t;


static void fuzz_call(ngx_pool_t *pool, const u_char *data, size_t size);
static void fuzz_reply(ngx_pool_t *pool, fuzz_call_t *call,
    const u_char *data, size_t size);
static ngx_uint_t fuzz_status(const u_char *p);
static void fuzz_field(ngx_pool_t *pool, fuzz_call_t *call, const u_char *p,
    size_t len);
static ngx_str_t fuzz_copy(ngx_pool_t *pool, const u_char *p, size_t len);
static void fuzz_secret(ngx_pool_t *pool, fuzz_call_t *call,
    ngx_uint_t given);
static void fuzz_redact(fuzz_call_t *call);
static void fuzz_redact_text(fuzz_call_t *call, ngx_str_t *text);
static void fuzz_document(fuzz_call_t *call, ngx_buf_t *b);
static void fuzz_meaning(fuzz_call_t *call, strict_t *object);
static void fuzz_kind(fuzz_call_t *call, strict_t *object,
    const document_code_t *code);
static void fuzz_texts(fuzz_call_t *call, strict_t *object);
static void fuzz_text(fuzz_call_t *call, strict_t *value, ngx_str_t *text,
    size_t max);
static void fuzz_clean(ngx_str_t *secret, ngx_str_t *text);
static void fuzz_same(ngx_http_idpay_json_t *json, strict_t *object);


/* as "idpay_error_fields" and "idpay_error_map" can make them */

static const ngx_http_idpay_error_field_t  fuzz_fields[] = {
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("X-Code") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/error~1~0/c") },
    { NGX_HTTP_IDPAY_ERROR_CODE, ngx_string("/") },
    { NGX_HTTP_IDPAY_ERROR_TYPE, ngx_string("/e/0/1") },
    { NGX_HTTP_IDPAY_ERROR_TYPE, ngx_string("X-Type") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("/0") },
    { NGX_HTTP_IDPAY_ERROR_MESSAGE, ngx_string("X-Message") },
    { NGX_HTTP_IDPAY_ERROR_REQUEST_ID, ngx_string("X-Id") },
    { NGX_HTTP_IDPAY_ERROR_REQUEST_ID, ngx_string("/id") },
    { NGX_HTTP_IDPAY_ERROR_STATUS, ngx_string("/s") },
    { NGX_HTTP_IDPAY_ERROR_STATUS, ngx_string("/0/s") },
    { NGX_HTTP_IDPAY_ERROR_RESULT, ngx_string("/r") },
    { NGX_HTTP_IDPAY_ERROR_ERRORS, ngx_string("/e") },
    { NGX_HTTP_IDPAY_ERROR_ERRORS, ngx_string("/1") },
    { NGX_HTTP_IDPAY_ERROR_FIELD, ngx_string("/f") },
    { NGX_HTTP_IDPAY_ERROR_FIELD, ngx_string("/0") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_CODE, ngx_string("/c") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE, ngx_string("/m/0") },
    { NGX_HTTP_IDPAY_ERROR_FIELD_MESSAGE, ngx_string("/1") },
    { 0, ngx_null_string }
};


static const ngx_http_idpay_error_rule_t  fuzz_rules[] = {
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("A"),
      NGX_HTTP_IDPAY_INVALID_REQUEST },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("A*"),
      NGX_HTTP_IDPAY_CONFLICT },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("LONG_*"),
      NGX_HTTP_IDPAY_NOT_FOUND },
    { NGX_HTTP_IDPAY_MATCH_CODE, ngx_string("5*"),
      NGX_HTTP_IDPAY_PROVIDER_TIMEOUT },
    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("B"),
      NGX_HTTP_IDPAY_CONSENT_REQUIRED },
    { NGX_HTTP_IDPAY_MATCH_TYPE, ngx_string("*"),
      NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE },
    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("404"),
      NGX_HTTP_IDPAY_PROVIDER_ERROR },
    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("4xx"),
      NGX_HTTP_IDPAY_INVALID_REQUEST },
    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("501"),
      NGX_HTTP_IDPAY_INVALID_REQUEST },
    { NGX_HTTP_IDPAY_MATCH_STATUS, ngx_string("5xx"),
      NGX_HTTP_IDPAY_PROVIDER_ERROR },
    { 0, ngx_null_string, 0 }
};


static const ngx_http_idpay_errors_t  fuzz_errors = { fuzz_fields, fuzz_rules };


static const ngx_http_idpay_errors_t  *const  fuzz_tables[] = {
    &ngx_http_idpay_generic_errors,
    &ngx_http_idpay_gopay_errors,
    &ngx_http_idpay_passportreader_errors,
    &ngx_http_idpay_plaid_errors,
    &ngx_http_idpay_plasmapay_errors,
    &ngx_http_idpay_plusid_errors,
    &fuzz_errors
};


static const ngx_str_t  fuzz_user = ngx_string("client");
static const ngx_str_t  fuzz_fixed = ngx_string("s3cr/et+0\"&<\\k=");


/* in place of the vault: over-reads of needles are seen */

u_char *
ngx_http_idpay_vault_alloc(ngx_http_idpay_vault_t *vault, size_t size)
{
    return ngx_pnalloc((ngx_pool_t *) vault, size);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_log_t    log;
    ngx_pool_t  *pool;

    if (size < 6 || size > 32768) {
        return 0;
    }

    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(4096, &log);
    fuzz_ok(pool);

    fuzz_call(pool, data, size);

    ngx_destroy_pool(pool);

    return 0;
}


static void
fuzz_call(ngx_pool_t *pool, const u_char *data, size_t size)
{
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    fuzz_call_t                     call;
    const ngx_http_idpay_errors_t  *errors;

    ngx_memzero(&call, sizeof(fuzz_call_t));

    errors = fuzz_tables[data[0] % (sizeof(fuzz_tables)
                                    / sizeof(fuzz_tables[0]))];

    call.reply.safe = (data[1] & FUZZ_SAFE) ? 1 : 0;
    call.reply.status = fuzz_status(data + 2);

    fuzz_reply(pool, &call, data + 6, size - 6);
    fuzz_secret(pool, &call, data[1] & FUZZ_GIVEN);

    rc = ngx_http_idpay_normalize(pool, errors, &call.reply, &call.problem);

    if (rc == NGX_DECLINED) {
        fuzz_ok(call.reply.status < 400);
        return;
    }

    fuzz_ok(rc == NGX_OK);
    fuzz_ok(call.reply.status >= 400 || errors == &fuzz_errors
            || errors == &ngx_http_idpay_plasmapay_errors);

    /* the texts must be copies */

    ngx_memset(call.reply.body.data, 0xaa, call.reply.body.len);

    fuzz_redact(&call);

    ngx_str_set(&call.problem.provider, "provider-1");
    ngx_str_set(&call.problem.request_id, "00112233445566778899aabbccddeeff");
    call.problem.attempts = data[1] >> 3 & 7;
    call.problem.retry_after = call.problem.retryable ? data[1] >> 6 : 0;
    call.problem.own = (call.problem.code == NGX_HTTP_IDPAY_RATE_LIMITED
                        && (data[1] & FUZZ_OWN));

    b = ngx_http_idpay_problem_create(pool, &call.problem);

    fuzz_ok(b && b->last <= b->end);
    fuzz_document(&call, b);
}


static void
fuzz_reply(ngx_pool_t *pool, fuzz_call_t *call, const u_char *data,
    size_t size)
{
    const u_char  *p, *last, *end;

    call->reply.headers = ngx_list_create(pool, 3, sizeof(ngx_table_elt_t));
    fuzz_ok(call->reply.headers);

    p = data;
    last = data + size;

    while (p < last) {
        end = memchr(p, '\n', last - p);

        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            p++;
            break;
        }

        fuzz_field(pool, call, p, end - p);

        p = (end == last) ? last : end + 1;
    }

    call->reply.body = fuzz_copy(pool, p, last - p);
}


static ngx_uint_t
fuzz_status(const u_char *p)
{
    ngx_int_t  status;

    status = ngx_atoi((u_char *) p, 3);

    if (status >= 100) {
        return status;
    }

    return 200 + (p[0] << 8 | p[1]) % 400;
}


static void
fuzz_field(ngx_pool_t *pool, fuzz_call_t *call, const u_char *p, size_t len)
{
    const u_char     *value;
    ngx_table_elt_t  *h;

    h = ngx_list_push(call->reply.headers);
    fuzz_ok(h);

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    value = memchr(p, ':', len);
    h->key = fuzz_copy(pool, p, value ? (size_t) (value - p) : len);

    if (value) {
        value++;
        h->value = fuzz_copy(pool, value, p + len - value);
    }

    if (call->secret.data == NULL) {
        call->secret = h->value;
    }
}


static ngx_str_t
fuzz_copy(ngx_pool_t *pool, const u_char *p, size_t len)
{
    ngx_str_t  text;

    text.len = len;
    text.data = ngx_pnalloc(pool, len);
    fuzz_ok(text.data);

    ngx_memcpy(text.data, p, len);

    return text;
}


/* a set with the secret in it; a given one is as a secret may be */

static void
fuzz_secret(ngx_pool_t *pool, fuzz_call_t *call, ngx_uint_t given)
{
    size_t      i;
    ngx_str_t  *secret;

    secret = &call->secret;

    for (i = 0; i < secret->len; i++) {
        if (secret->data[i] < 0x20 || secret->data[i] == 0x7f) {
            break;
        }
    }

    if (!given || i == 0) {
        *secret = fuzz_copy(pool, fuzz_fixed.data, fuzz_fixed.len);

    } else {
        *secret = fuzz_copy(pool, secret->data, ngx_min(i, FUZZ_SECRET));
    }

    call->redact = ngx_http_idpay_redact_create(pool,
                                            (ngx_http_idpay_vault_t *) pool);
    fuzz_ok(call->redact);

    fuzz_ok(ngx_http_idpay_redact_add(call->redact, secret) == NGX_OK);
    fuzz_ok(ngx_http_idpay_redact_add_basic(call->redact,
                                            (ngx_str_t *) &fuzz_user, secret)
            == NGX_OK);
}


/* as ngx_http_idpay_collect_redact() does */

static void
fuzz_redact(fuzz_call_t *call)
{
    ngx_uint_t  i;

    fuzz_redact_text(call, &call->problem.message);
    fuzz_redact_text(call, &call->problem.provider_code);
    fuzz_redact_text(call, &call->problem.provider_type);
    fuzz_redact_text(call, &call->problem.provider_request_id);

    for (i = 0; i < call->problem.nerrors; i++) {
        fuzz_redact_text(call, &call->problem.errors[i].field);
        fuzz_redact_text(call, &call->problem.errors[i].code);
        fuzz_redact_text(call, &call->problem.errors[i].message);
    }
}


static void
fuzz_redact_text(fuzz_call_t *call, ngx_str_t *text)
{
    size_t  len;

    len = text->len;

    /* clang minds that nothing is added to NULL */

    if (len) {
        ngx_http_idpay_redact_text(call->redact, text);

        fuzz_ok(text->len && text->len <= len);
    }
}


static void
fuzz_document(fuzz_call_t *call, ngx_buf_t *b)
{
    u_char                 *p;
    size_t                  n, len;
    strict_t               *object;
    ngx_http_idpay_json_t  *json;

    len = b->last - b->pos;

    for (p = b->pos; p < b->last; p += n) {
        n = strict_char(p, b->last);
        fuzz_ok(n);
    }

    fuzz_ok(ngx_http_idpay_json_parse(b->pos, len, &json) == NGX_OK);

    object = strict_parse(b->pos, len);
    fuzz_ok(object && object->type == '{');

    document_check(object, document_members);
    fuzz_meaning(call, object);
    fuzz_texts(call, object);
    fuzz_same(json, object);

    ngx_http_idpay_json_free(json);
}


/* what belongs together by the contract */

static void
fuzz_meaning(fuzz_call_t *call, strict_t *object)
{
    ngx_uint_t              said;
    const document_code_t  *code;

    code = document_code(strict_member(object, "code"));
    said = call->reply.status;

    fuzz_kind(call, object, code);

    if (code->retryable) {
        document_is(object, "retryable", code->retryable);

    } else if (!call->reply.safe
               || (code->status == 502 && (said == 501 || said == 505)))
    {
        document_is(object, "retryable", "false");

    } else if (said >= 400) {
        document_is(object, "retryable", "true");
    }

    if (call->reply.safe) {
        document_is(object, "outcome", "not_applied");

    } else if (said >= 500 || (code->status >= 500
                               && strcmp(code->fault, "provider") == 0))
    {
        document_is(object, "outcome", "unknown");

    } else if (said >= 400) {
        document_is(object, "outcome", "not_applied");
    }

    document_number(object, "provider_status", said);
    document_number(object, "attempts", call->problem.attempts);

    if (call->problem.retry_after) {
        document_number(object, "retry_after", call->problem.retry_after);

    } else {
        document_is(object, "retry_after", NULL);
    }

    document_is(object, "provider", "provider-1");
    document_is(object, "request_id", "00112233445566778899aabbccddeeff");
}


static void
fuzz_kind(fuzz_call_t *call, strict_t *object, const document_code_t *code)
{
    char         type[64];
    ngx_uint_t   said;

    snprintf(type, sizeof(type), "urn:idpay:problem:%s", code->name);

    document_is(object, "type", type);
    document_is(object, "title", code->title);
    document_is(object, "fault", call->problem.own ? "gateway" : code->fault);

    said = call->reply.status;

    if (strcmp(code->name, "invalid_request") != 0) {
        document_number(object, "status", code->status);

    } else if (said >= 400) {
        document_number(object, "status", document_kept(said) ? said : 400);

    } else {

        /* the body tells it */

        fuzz_ok(call->problem.status == 400
                || document_kept(call->problem.status));
        document_number(object, "status", call->problem.status);
    }
}


/* each text is what the provider has said, and a 5xx is not explained */

static void
fuzz_texts(fuzz_call_t *call, strict_t *object)
{
    strict_t                      *value;
    ngx_uint_t                     i, n;
    ngx_http_idpay_problem_t      *problem;
    ngx_http_idpay_field_error_t  *error;

    problem = &call->problem;
    n = (problem->status < 500) ? problem->nerrors : 0;

    value = strict_member(object, "detail");

    if (problem->message.len && problem->status < 500) {
        fuzz_text(call, value, &problem->message, 1024);

    } else {
        fuzz_ok(strict_equal(&value->text, &problem->detail));
    }

    fuzz_text(call, strict_member(object, "provider_code"),
              &problem->provider_code, 128);
    fuzz_text(call, strict_member(object, "provider_type"),
              &problem->provider_type, 128);
    fuzz_text(call, strict_member(object, "provider_request_id"),
              &problem->provider_request_id, 128);

    value = strict_member(object, "errors");

    fuzz_ok((value ? value->n : 0) == n);

    error = problem->errors;
    value = value ? value->child : NULL;

    for (i = 0; i < n; i++) {
        document_check(value, document_error_members);

        fuzz_text(call, strict_member(value, "field"), &error[i].field, 128);
        fuzz_text(call, strict_member(value, "code"), &error[i].code, 128);
        fuzz_text(call, strict_member(value, "detail"), &error[i].message,
                  1024);
        value = value->next;
    }
}


/*
 * A text is there as it is, but for what is no UTF-8, and what is cut.  A NUL
 * is read as the same.
 */

static void
fuzz_text(fuzz_call_t *call, strict_t *value, ngx_str_t *text, size_t max)
{
    u_char  *p, *end, *last, *out;
    size_t   n;

    fuzz_ok((value != NULL) == (text->len != 0));

    if (value == NULL) {
        return;
    }

    p = text->data;
    end = p + text->len;
    last = (text->len > max) ? p + max - 3 : end;

    out = value->text.data;

    while (p < last) {
        n = strict_char(p, end);

        if (n > (size_t) (last - p)) {
            break;
        }

        if (n && *p) {
            fuzz_ok(memcmp(out, p, n) == 0);
            out += n;
            p += n;

        } else {
            fuzz_ok(memcmp(out, "\xef\xbf\xbd", 3) == 0);
            out += 3;
            p++;
        }
    }

    if (last != end) {
        fuzz_ok(memcmp(out, "...", 3) == 0);
        out += 3;
    }

    fuzz_ok(out == value->text.data + value->text.len);

    fuzz_clean(&call->secret, &value->text);
}


/*
 * Looks for the secret in the text as it is and with its percent-encoding taken
 * off, again and again.  Not for one that has in it what is put in the place of
 * something else: that can make up the secret anew.
 */

static void
fuzz_clean(ngx_str_t *secret, ngx_str_t *text)
{
    u_char      *p, *copy, *last, *dst;
    size_t       i;
    ngx_int_t    c;
    ngx_uint_t   layer;

    for (i = 0; i < secret->len; i++) {
        if (secret->data[i] >= 0x80 || strchr("*.", secret->data[i])) {
            return;
        }
    }

    copy = malloc(text->len);
    fuzz_ok(copy);

    last = ngx_cpymem(copy, text->data, text->len);

    for (layer = 0; layer <= NGX_HTTP_IDPAY_REDACT_LAYERS; layer++) {

        fuzz_ok(memmem(copy, last - copy, secret->data, secret->len) == NULL);

        dst = copy;

        for (p = copy; p < last; p++) {
            c = (*p == '%' && last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

            if (c != NGX_ERROR) {
                p += 2;
                *dst++ = c;

            } else {
                *dst++ = *p;
            }
        }

        last = dst;
    }

    free(copy);
}


/* the module's own parser finds the same */

static void
fuzz_same(ngx_http_idpay_json_t *json, strict_t *object)
{
    u_char                  pointer[64];
    strict_t               *value;
    ngx_str_t               path, text;
    ngx_http_idpay_json_t  *found;

    for (value = object->child; value; value = value->next) {
        path.data = pointer;
        path.len = ngx_sprintf(pointer, "/%V", &value->name) - pointer;

        found = ngx_http_idpay_json_find(json, &path);
        fuzz_ok(found);

        if (value->type == '[') {
            fuzz_ok(ngx_http_idpay_json_next(found, NULL));
            continue;
        }

        fuzz_ok(ngx_http_idpay_json_text(found, &text) == NGX_OK);
        fuzz_ok(strict_equal(&text, &value->text));
    }
}
