
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Problem documents: JSON whatever the texts are, and within their buffers.
 */


#include "../../src/problem/ngx_http_idpay_problem.c"

#include "../../src/lib/ngx_http_idpay_json.h"

#include "tap.h"


#define SIZE   2048    /* bytes of a text */
#define CODES  (NGX_HTTP_IDPAY_GATEWAY_ERROR + 1)
#define FFFD   "\xef\xbf\xbd"
#define HUGE   18446744073709551615u

#define count(array)  (sizeof(array) / sizeof(array[0]))


static void begin(ngx_http_idpay_code_e code, ngx_uint_t safe);
static void repeat(char *bytes, size_t n, size_t len);
static void everywhere(void);
static ngx_uint_t create(void);
static ngx_uint_t tells(char *pointer, char *value);
static ngx_uint_t tells_text(char *pointer, u_char *value, size_t len);
static size_t character(u_char *p, u_char *last);
static size_t reduce(size_t max, u_char *dst);
static void test_codes(void);
static void test_names(void);
static void test_members(void);
static void test_detail(void);
static void test_utf8(void);
static void test_all(void);
static void test_cut(void);
static void test_cuts(void);
static void test_room(void);


static struct {
    char        *name;
    char        *title;
    ngx_uint_t   status;
    char        *fault;
    char        *retryable;      /* for a call that may not be made twice */
    char        *safe;           /* and for one that may */
    ngx_uint_t   given;          /* a provider's error can be given it */
} codes[] = {
    { "invalid_request", "Invalid request", 400, "caller",
      "false", "false", 1 },
    { "validation_failed", "Validation failed", 422, "caller",
      "false", "false", 1 },
    { "request_failed", "Request failed", 402, "caller",
      "false", "false", 1 },
    { "permission_denied", "Permission denied", 403, "credential",
      "false", "false", 1 },
    { "consent_required", "Consent required", 403, "caller",
      "false", "false", 1 },
    { "not_found", "Not found", 404, "caller",
      "false", "false", 1 },
    { "conflict", "Conflict", 409, "caller",
      "false", "false", 1 },
    { "rate_limited", "Rate limit reached", 429, "provider",
      "true", "true", 1 },
    { "request_rejected", "Request rejected by the gateway", 400, "caller",
      "false", "false", 0 },
    { "credential_rejected", "Credential rejected by the provider", 502,
      "credential", "false", "false", 1 },
    { "credential_unavailable", "Credential unavailable", 503, "credential",
      "true", "true", 1 },
    { "provider_error", "Provider failed", 502, "provider",
      "false", "true", 1 },
    { "provider_unavailable", "Provider unavailable", 503, "provider",
      "true", "true", 1 },
    { "provider_timeout", "Provider timed out", 504, "provider",
      "false", "true", 1 },
    { "gateway_error", "Gateway failed", 500, "gateway",
      "false", "false", 0 }
};


/* of what is no UTF-8 each byte is replaced */

static struct {
    char  *name;
    char  *text;
    char  *told;
} utf8[] = {
    { "ASCII", "a ~\x7f", "a ~\x7f" },
    { "controls", "\x01\x08\x0b\x1b\x1f\r\n\t", "\x01\x08\x0b\x1b\x1f\r\n\t" },
    { "quotes", "\"\\\"/", "\"\\\"/" },
    { "escapes", "\\u0041\\n\\", "\\u0041\\n\\" },

    { "two bytes", "\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf" },
    { "three bytes", "\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf" },
    { "around the surrogates", "\xed\x9f\xbf\xee\x80\x80",
      "\xed\x9f\xbf\xee\x80\x80" },
    { "four bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
      "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },

    { "lone continuations", "a\x80" "b\xbf" "c", "a" FFFD "b" FFFD "c" },
    { "overlong, two bytes", "\xc0\x80\xc0\xaf\xc1\xbf",
      FFFD FFFD FFFD FFFD FFFD FFFD },
    { "overlong, three bytes", "\xe0\x80\x80\xe0\x9f\xbf",
      FFFD FFFD FFFD FFFD FFFD FFFD },
    { "overlong, four bytes", "\xf0\x80\x80\x80\xf0\x8f\xbf\xbf",
      FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD },
    { "the first surrogate", "\xed\xa0\x80", FFFD FFFD FFFD },
    { "the last surrogate", "\xed\xbf\xbf", FFFD FFFD FFFD },
    { "U+110000", "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
    { "five bytes", "\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD },
    { "no first byte", "\xfe\xff", FFFD FFFD },
    { "two of four", "a\xf0\x9f", "a" FFFD FFFD },
    { "three of four", "a\xf0\x9f\x98", "a" FFFD FFFD FFFD },
    { "cut by a quote", "\xc3\"\xe2\x82\\", FFFD "\"" FFFD FFFD "\\" },
    { "cut by a whole one", "\xe2\x82\xc3\xa4\xf0\x9f\xe2\x82\xac",
      FFFD FFFD "\xc3\xa4" FFFD FFFD "\xe2\x82\xac" },
    { "Latin-1", "caf\xe9 \xe0 la carte", "caf" FFFD " " FFFD " la carte" }
};


static char  *texts[] = {
    "/detail", "/provider_code", "/provider_type", "/provider_request_id",
    "/provider", "/errors/0/field", "/errors/0/code", "/errors/0/detail"
};


static ngx_str_t                      text;
static ngx_pool_t                    *pool;
static ngx_http_idpay_json_t         *json;
static ngx_http_idpay_problem_t       problem;
static ngx_http_idpay_field_error_t   errors[NGX_HTTP_IDPAY_MAX_ERRORS];


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_log_t  log;

    ngx_pagesize = 4096;
    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);

    test_codes();
    test_names();
    test_members();
    test_detail();
    test_utf8();
    test_all();
    test_cut();
    test_cuts();
    test_room();

    free(text.data);
    ngx_http_idpay_json_free(json);
    ngx_destroy_pool(pool);

    return tap_done();
}


static void
begin(ngx_http_idpay_code_e code, ngx_uint_t safe)
{
    ngx_memset(&problem, 0xff, sizeof(problem));
    ngx_http_idpay_problem_init(&problem, code, safe);

    ngx_str_set(&problem.provider, "plaid");
    ngx_str_set(&problem.request_id, "5d3c");
}


/* sets "text", of the exact size, so that a read behind its end is seen */

static void
repeat(char *bytes, size_t n, size_t len)
{
    size_t  i;

    free(text.data);

    text.data = malloc(len ? len : 1);
    text.len = len;

    for (i = 0; i < len; i++) {
        text.data[i] = bytes[i % n];
    }
}


/* puts "text" wherever there may be one */

static void
everywhere(void)
{
    ngx_uint_t  i;

    problem.message = text;
    problem.provider = text;
    problem.provider_code = text;
    problem.provider_type = text;
    problem.provider_request_id = text;
    problem.errors = errors;
    problem.nerrors = NGX_HTTP_IDPAY_MAX_ERRORS;

    for (i = 0; i < NGX_HTTP_IDPAY_MAX_ERRORS; i++) {
        errors[i].field = text;
        errors[i].code = text;
        errors[i].message = text;
    }
}


/*
 * Creates the document and parses it.  Returns 0 if it is not JSON, is not
 * UTF-8, has a byte in it that must be escaped, or is not within its buffer.
 */

static ngx_uint_t
create(void)
{
    size_t      n;
    u_char     *p;
    ngx_buf_t  *b;

    ngx_http_idpay_json_free(json);
    json = NULL;

    ngx_reset_pool(pool);

    b = ngx_http_idpay_problem_create(pool, &problem);

    if (b == NULL || b->pos != b->start || b->last > b->end
        || b->last - b->pos < 3
        || ngx_memcmp(b->last - 3, "}" CRLF, 3) != 0)
    {
        return 0;
    }

    for (p = b->pos; p < b->last - 2; p += n) {
        n = character(p, b->last);

        if (n == 0 || *p < 0x20) {
            return 0;
        }
    }

    return ngx_http_idpay_json_parse(b->pos, b->last - b->pos, &json)
           == NGX_OK;
}


/* whether a member is that, or is not there if "value" is NULL */

static ngx_uint_t
tells(char *pointer, char *value)
{
    ngx_str_t  name;

    if (value) {
        return tells_text(pointer, (u_char *) value, ngx_strlen(value));
    }

    name.data = (u_char *) pointer;
    name.len = ngx_strlen(pointer);

    return json && ngx_http_idpay_json_find(json, &name) == NULL;
}


static ngx_uint_t
tells_text(char *pointer, u_char *value, size_t len)
{
    ngx_str_t  name, told;

    name.data = (u_char *) pointer;
    name.len = ngx_strlen(pointer);

    return ngx_http_idpay_json_text(ngx_http_idpay_json_find(json, &name),
                                    &told)
           == NGX_OK
           && told.len == len && ngx_memcmp(told.data, value, len) == 0;
}


/*
 * The length of the character that begins here, or 0 if it is none (RFC 3629):
 * by decoding it, not by ranges of bytes as what is tested.
 */

static size_t
character(u_char *p, u_char *last)
{
    size_t    len, i;
    uint32_t  code;

    static uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (*p < 0x80) {
        return 1;
    }

    for (len = 1; *p << len & 0x80; len++) { /* void */ }

    if (len < 2 || len > 4 || (size_t) (last - p) < len) {
        return 0;
    }

    code = *p & (0x7f >> len);

    for (i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        code = code << 6 | (p[i] & 0x3f);
    }

    return (code < least[len] || code > 0x10ffff
            || (code >= 0xd800 && code <= 0xdfff))
           ? 0 : len;
}


/* what is to be told of "text", by these characters */

static size_t
reduce(size_t max, u_char *dst)
{
    size_t   n, room;
    u_char  *p, *src, *last;

    src = text.data;
    last = src + text.len;
    room = text.len > max ? max - 3 : text.len;
    p = dst;

    while (room) {
        n = character(src, last);

        if (n > room) {
            break;
        }

        p = ngx_cpymem(p, n ? src : (u_char *) FFFD, n ? n : 3);
        src += n ? n : 1;
        room -= n ? n : 1;
    }

    if (text.len > max) {
        p = ngx_cpymem(p, "...", 3);
    }

    return p - dst;
}


static void
test_codes(void)
{
    char        type[64], status[8];
    ngx_uint_t  i, safe;

    tap_ok(count(codes) == CODES, "all codes");

    for (i = 0; i < CODES; i++) {
        for (safe = 0; safe < 2; safe++) {

            begin(i, safe);

            snprintf(type, sizeof(type), "urn:idpay:problem:%s",
                     codes[i].name);
            snprintf(status, sizeof(status), "%d", (int) codes[i].status);

            tap_ok(create(), "%s is JSON", codes[i].name);
            tap_ok(tells("/type", type) && tells("/code", codes[i].name)
                   && tells("/title", codes[i].title), "what it is");
            tap_ok(tells("/status", status), "its status");
            tap_ok(tells("/fault", codes[i].fault), "whose fault");
            tap_ok(tells("/retryable",
                         safe ? codes[i].safe : codes[i].retryable),
                   "to be repeated, %ssafe", safe ? "" : "not ");
            tap_ok(tells("/provider", "plaid") && tells("/request_id", "5d3c")
                   && tells("/outcome", "not_applied")
                   && tells("/attempts", "0"), "what is always there");
            tap_ok(problem.detail.len > 20
                   && tells_text("/detail", problem.detail.data,
                                 problem.detail.len), "a sentence");
            tap_ok(tells("/retry_after", NULL)
                   && tells("/provider_status", NULL)
                   && tells("/provider_code", NULL)
                   && tells("/provider_type", NULL)
                   && tells("/provider_request_id", NULL)
                   && tells("/errors", NULL), "and nothing more");
        }
    }
}


static void
test_names(void)
{
    char                    known[1024], *p;
    ngx_str_t               names;
    ngx_int_t               rc;
    ngx_uint_t              i;
    const ngx_str_t        *name;
    ngx_http_idpay_code_e   code;

    static char  *unknown[] = {
        "", "x", "Not_found", "NOT_FOUND", "not_foun", "not_found ",
        " not_found", "not_foundx", "not-found", "not_found, conflict",
        "request_rejected", "gateway_error", "rate_limit", "404"
    };

    p = known;

    for (i = 0; i < CODES; i++) {

        name = ngx_http_idpay_problem_name(i);
        repeat((char *) name->data, name->len, name->len);

        tap_ok(text.len == ngx_strlen(codes[i].name)
               && ngx_memcmp(text.data, codes[i].name, text.len) == 0,
               "the name of %s", codes[i].name);

        code = CODES;
        rc = ngx_http_idpay_problem_code(&text, &code, &names);

        tap_ok(codes[i].given ? rc == NGX_OK && code == i
                              : rc == NGX_DECLINED && code == CODES,
               "the code of %s", codes[i].name);

        if (codes[i].given) {
            p += snprintf(p, known + sizeof(known) - p, "%s%s",
                          i ? ", " : "one of: ", codes[i].name);
        }
    }

    for (i = 0; i < count(unknown); i++) {

        repeat(unknown[i], ngx_strlen(unknown[i]), ngx_strlen(unknown[i]));

        code = CODES;
        ngx_str_null(&names);

        rc = ngx_http_idpay_problem_code(&text, &code, &names);

        /* a configuration's messages take the names for a C string */

        tap_ok(rc == NGX_DECLINED && code == CODES
               && names.len == ngx_strlen(known)
               && ngx_strcmp(names.data, known) == 0,
               "no code of \"%s\", but all there are", unknown[i]);
    }
}


static void
test_members(void)
{
    ngx_uint_t  i;

    static struct {
        char  *pointer;
        char  *value;
    } members[] = {
        { "/status", "418" },
        { "/retryable", "false" },
        { "/outcome", "unknown" },
        { "/fault", "gateway" },
        { "/attempts", "18446744073709551615" },
        { "/retry_after", "12" },
        { "/detail", "said" },
        { "/provider_status", "999" },
        { "/provider_code", "a code" },
        { "/provider_type", "a type" },
        { "/provider_request_id", "an id" },
        { "/errors/0/field", "f0" },
        { "/errors/0/code", "c0" },
        { "/errors/0/detail", "m0" },
        { "/errors/1/field", "f1" },
        { "/errors/1/code", NULL },
        { "/errors/1/detail", "m1" },
        { "/errors/2/field", "f2" },
        { "/errors/2/code", NULL },
        { "/errors/2/detail", NULL },
        { "/errors/3", NULL }
    };

    begin(NGX_HTTP_IDPAY_RATE_LIMITED, 1);
    ngx_memzero(errors, sizeof(errors));

    problem.status = 418;
    problem.retryable = 0;
    problem.unknown = 1;
    problem.own = 1;
    problem.attempts = HUGE;
    problem.retry_after = 12;
    problem.provider_status = 999;
    ngx_str_set(&problem.message, "said");
    ngx_str_set(&problem.provider_code, "a code");
    ngx_str_set(&problem.provider_type, "a type");
    ngx_str_set(&problem.provider_request_id, "an id");
    ngx_str_set(&errors[0].field, "f0");
    ngx_str_set(&errors[0].code, "c0");
    ngx_str_set(&errors[0].message, "m0");
    ngx_str_set(&errors[1].field, "f1");
    ngx_str_set(&errors[1].message, "m1");
    ngx_str_set(&errors[2].field, "f2");
    problem.errors = errors;
    problem.nerrors = 3;

    tap_ok(create(), "all members");

    for (i = 0; i < count(members); i++) {
        tap_ok(tells(members[i].pointer, members[i].value), "%s is %s",
               members[i].pointer,
               members[i].value ? members[i].value : "not there");
    }

    problem.nerrors = 0;

    tap_ok(create() && tells("/errors", NULL), "no errors of fields");
}


/* the provider speaks of what is the caller's to change */

static void
test_detail(void)
{
    char        *detail;
    ngx_uint_t   i;

    for (i = 0; i < CODES; i++) {

        begin(i, 1);
        ngx_str_set(&problem.detail, "a sentence");
        ngx_str_set(&problem.message, "a message");

        detail = codes[i].status < 500 ? "a message" : "a sentence";

        tap_ok(create() && tells("/detail", detail), "%s: %s", codes[i].name,
               detail);

        ngx_str_null(&problem.message);

        tap_ok(create() && tells("/detail", "a sentence"), "no message");
    }

    begin(NGX_HTTP_IDPAY_INVALID_REQUEST, 1);
    ngx_str_set(&problem.message, "a message");

    problem.status = 499;
    tap_ok(create() && tells("/detail", "a message"), "by the status");

    problem.status = 500;
    tap_ok(create() && !tells("/detail", "a message"), "not by the code");

    ngx_str_null(&problem.detail);
    tap_ok(create() && tells("/detail", NULL), "no detail at all");
}


static void
test_utf8(void)
{
    size_t      len;
    ngx_uint_t  i, k, same;

    for (i = 0; i < count(utf8); i++) {

        len = ngx_strlen(utf8[i].text);
        repeat(utf8[i].text, len, len);

        begin(NGX_HTTP_IDPAY_NOT_FOUND, 1);
        everywhere();

        same = create();

        for (k = 0; k < count(texts); k++) {
            same &= tells(texts[k], utf8[i].told);
        }

        tap_ok(same, "%s", utf8[i].name);
    }
}


/* each begin of a character, and behind it what matters */

static void
test_all(void)
{
    size_t      len, i;
    u_char      bytes[4];
    uint32_t    code;
    ngx_uint_t  wrong;

    static u_char  fourth[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

    wrong = 0;

    for (code = 0; code < 0x1000000; code++) {

        bytes[0] = code >> 16;
        bytes[1] = code >> 8;
        bytes[2] = code;

        /* alone, or none */

        if (bytes[0] < 0xc0 && (code & 0xffff)) {
            continue;
        }

        for (i = 0; i < sizeof(fourth); i++) {
            bytes[3] = fourth[i];

            wrong += ngx_http_idpay_problem_utf8(bytes, bytes + 4)
                     != character(bytes, bytes + 4);
        }
    }

    tap_ok(wrong == 0, "all sequences of bytes");

    wrong = 0;

    for (code = 0; code < 0x100; code++) {
        for (len = 1; len < 4; len++) {
            repeat("\x90", 1, len);
            text.data[0] = code;

            wrong += ngx_http_idpay_problem_utf8(text.data, text.data + len)
                     != character(text.data, text.data + len);
        }
    }

    tap_ok(wrong == 0, "all that may be cut off");
}


/* at the caps, and around them; the provider's name has none */

static void
test_cut(void)
{
    size_t      len, max;
    u_char      told[SIZE];
    ngx_uint_t  i;

    for (i = 0; i < count(texts); i++) {

        max = (i == 0 || i == 7) ? NGX_HTTP_IDPAY_MAX_MESSAGE
                                 : NGX_HTTP_IDPAY_MAX_NAME;

        for (len = max - 3; len <= max + 4; len++) {

            repeat("x", 1, len);
            begin(NGX_HTTP_IDPAY_NOT_FOUND, 1);
            everywhere();

            tap_ok(create()
                   && tells_text(texts[i], told,
                                 reduce(i == 4 ? len : max, told)),
                   "%s of %d bytes", texts[i], (int) len);
        }
    }
}


/* the cut at all offsets in characters and in what is none, of each length */

static void
test_cuts(void)
{
    u_char      told[4 * SIZE];
    size_t      len, n, i, max, at;
    ngx_uint_t  k, named, wrong;

    static char  *pieces[] = {
        "x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"", "\n",
        "\xff", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80",
        "\xc0\xaf", "\xf4\x90\x80\x80", "\xf0\x9f\x98\x80\xff\xe2\x82\xac"
    };

    for (k = 0; k < 2 * count(pieces); k++) {

        named = k % 2;
        n = ngx_strlen(pieces[k / 2]);
        max = named ? NGX_HTTP_IDPAY_MAX_NAME : NGX_HTTP_IDPAY_MAX_MESSAGE;
        wrong = 0;

        for (len = max - 4; len < max + 8; len++) {

            /* from the beginning on, and one of them around the cut */

            for (at = 0; at < max + 8; at = (at == 7) ? max - 16 : at + 1) {

                repeat("a", 1, len);

                for (i = at; i < len && (at < 8 || i < at + n); i++) {
                    text.data[i] = pieces[k / 2][(i - at) % n];
                }

                begin(NGX_HTTP_IDPAY_CONFLICT, 1);

                if (named) {
                    problem.provider_code = text;

                } else {
                    problem.message = text;
                }

                wrong += !create()
                         || !tells_text(named ? "/provider_code" : "/detail",
                                        told, reduce(max, told));
            }
        }

        tap_ok(wrong == 0, "piece %d is cut between characters, at %d",
               (int) k / 2, (int) max);
    }
}


/* the longest documents: texts of all sizes in bytes that take the most room */

static void
test_room(void)
{
    size_t      len;
    ngx_uint_t  k, wrong;

    static struct {
        char    *name;
        char    *bytes;
        size_t   len;
    } kinds[] = {
        { "NULs", "\0", 1 },
        { "quotes", "\"\\", 2 },
        { "bad bytes", "\xff", 1 },
        { "cut characters", "\xf0\x9f\x98", 3 },
        { "a mix", "\0\xff\"\xe2\x82\n\xc3\xa4\\\x1f\xed\xa0\x80", 14 }
    };

    for (k = 0; k < count(kinds); k++) {

        wrong = 0;

        for (len = 1; len < 1200; len += (len % 900 > 119 && len % 900 < 135)
                                         ? 1 : 15)
        {
            repeat(kinds[k].bytes, kinds[k].len, len);

            begin(NGX_HTTP_IDPAY_CREDENTIAL_REJECTED, 1);
            everywhere();

            problem.retryable = 1;
            problem.retry_after = HUGE;
            problem.attempts = HUGE;
            problem.provider_status = HUGE;
            problem.detail = text;

            /* with the one and the other */

            wrong += !create();
            problem.status = 400;
            wrong += !create();

            /* and where no other's room is left to be taken */

            ngx_str_null(&problem.detail);
            ngx_str_null(&problem.provider_code);
            ngx_str_null(&problem.provider_type);
            ngx_str_null(&problem.provider_request_id);
            problem.nerrors = 0;

            wrong += !create();
        }

        tap_ok(wrong == 0, "%s of all sizes", kinds[k].name);
    }
    /* the gateway's own has no cap */

    repeat("f", 1, 100000);

    begin(NGX_HTTP_IDPAY_CONFLICT, 1);
    problem.request_id = text;

    tap_ok(create() && tells_text("/request_id", text.data, text.len),
           "a long id");
}
