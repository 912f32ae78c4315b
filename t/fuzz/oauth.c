
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Answers of a token endpoint: a line of 6 bytes, which are the grant, a set of
 * bits, the status, and a line feed; and the body.  Where the grant is "j" the
 * rest is a token, where it is "p" a token's payload, where it is "n" a number,
 * and where it is "f" it is the values of a form, one a line.
 */


#include "../../src/credential/ngx_http_idpay_oauth.c"
#include "../../src/credential/ngx_http_idpay_route.c"
#include "../../src/lib/ngx_http_idpay_json.c"

#include "strict.h"

#include <math.h>


#define FUZZ_SPENDS  0x01
#define FUZZ_TIMES   0x02    /* from one end of time to the other */
#define FUZZ_BACK    0x04

#define FUZZ_HEAD    6       /* bytes */
#define FUZZ_NOW     1783987200LL
#define FUZZ_MAX     (1LL << 53)
#define FUZZ_LAST    0x7fffffffffffffffLL


static void fuzz_answer(const ngx_http_idpay_grant_t *grant, ngx_uint_t bits,
    ngx_uint_t status, ngx_str_t *body);
static void fuzz_granted(const ngx_http_idpay_grant_t *grant,
    ngx_uint_t spends, ngx_str_t *body, u_char *buf,
    ngx_http_idpay_oauth_answer_t *answer);
static void fuzz_refused(ngx_uint_t spends, ngx_uint_t status,
    ngx_http_idpay_oauth_answer_t *answer);
static void fuzz_token(strict_t *object, const ngx_str_t *name,
    ngx_str_t *token);
static void fuzz_exp(ngx_str_t *token);
static void fuzz_payload(ngx_str_t *payload);
static void fuzz_number(ngx_str_t *text);
static ngx_uint_t fuzz_is_number(ngx_str_t *text);
static void fuzz_form(const ngx_http_idpay_grant_t *grant, ngx_str_t text);
static void fuzz_pair(u_char **p, u_char *last, const char *name,
    ngx_str_t *value);
static ngx_str_t fuzz_line(ngx_str_t *text);
static ngx_str_t fuzz_copy(const u_char *p, size_t len);


static const ngx_http_idpay_grant_t  fuzz_grants[] = {
    { ngx_string("/a"), 0, NGX_HTTP_IDPAY_CLIENT_BASIC, ngx_null_string,
      ngx_string("accessToken"), ngx_null_string, ngx_null_string,
      ngx_null_string, 1800 },
    { ngx_string("/b"), 1, NGX_HTTP_IDPAY_CLIENT_POST, ngx_null_string,
      ngx_string("accessToken"), ngx_string("refreshToken"),
      ngx_string("clientProfileId"), ngx_null_string, 3600 },
    { ngx_string("/c"), 1, NGX_HTTP_IDPAY_CLIENT_BASIC,
      ngx_string("scope=all"),
      ngx_string("access_token"), ngx_string("refresh_token"),
      ngx_null_string, ngx_string("expires_in"), 1 }
};


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_int_t   status;
    ngx_str_t   text;
    ngx_uint_t  bits;

    if (size < FUZZ_HEAD || size > 65536) {
        return 0;
    }

    bits = data[1];
    status = ngx_atoi((u_char *) data + 2, 3);
    text = fuzz_copy(data + FUZZ_HEAD, size - FUZZ_HEAD);

    switch (data[0]) {

    case 'j':
        fuzz_exp(&text);
        break;

    case 'p':
        fuzz_payload(&text);
        break;

    case 'n':
        fuzz_number(&text);
        break;

    case 'f':
        fuzz_form(&fuzz_grants[bits % 3], text);
        break;

    default:
        fuzz_answer(&fuzz_grants[data[0] % 3], bits,
                    status == NGX_ERROR ? 200 : status, &text);
        break;
    }

    free(text.data);

    return 0;
}


static void
fuzz_answer(const ngx_http_idpay_grant_t *grant, ngx_uint_t bits,
    ngx_uint_t status, ngx_str_t *body)
{
    u_char                         *buf;
    int64_t                         began, now;
    ngx_uint_t                      spends;
    ngx_http_idpay_oauth_answer_t   answer;

    spends = bits & FUZZ_SPENDS;
    now = (bits & FUZZ_TIMES) ? FUZZ_LAST : FUZZ_NOW;
    began = (bits & FUZZ_TIMES) ? -FUZZ_LAST - 1 : now - 10;

    if (bits & FUZZ_BACK) {
        now = began;
        began = FUZZ_LAST;
    }

    buf = malloc(body->len);
    fuzz_ok(buf);

    ngx_http_idpay_oauth_parse(grant, spends, status, body, began, now, buf,
                               &answer);

    if (answer.result == NGX_HTTP_IDPAY_OAUTH_GRANTED) {
        fuzz_ok(status >= 200 && status < 300);
        fuzz_granted(grant, spends, body, buf, &answer);

    } else {
        fuzz_refused(spends, status, &answer);
        fuzz_ok(answer.error.len == 0 || answer.error.data == buf);
    }

    free(buf);
}


static void
fuzz_granted(const ngx_http_idpay_grant_t *grant, ngx_uint_t spends,
    ngx_str_t *body, u_char *buf, ngx_http_idpay_oauth_answer_t *answer)
{
    size_t     bom;
    strict_t  *object;

    fuzz_ok(answer->error.len == 0);
    fuzz_ok(answer->life >= NGX_HTTP_IDPAY_MIN_LIFE
            && answer->life <= NGX_HTTP_IDPAY_MAX_LIFE);

    bom = (body->len >= 3 && memcmp(body->data, "\xef\xbb\xbf", 3) == 0)
          ? 3 : 0;

    object = strict_parse(body->data + bom, body->len - bom);
    fuzz_ok(object && object->type == '{');

    /* one behind the other */

    fuzz_ok(answer->access.data == buf);
    fuzz_token(object, &grant->access, &answer->access);
    buf += answer->access.len;

    if (answer->refresh.len) {
        fuzz_ok(answer->refresh.data == buf);
        fuzz_token(object, &grant->refresh, &answer->refresh);
        buf += answer->refresh.len;

    } else {
        fuzz_ok(grant->refresh.len == 0 || !spends);
    }

    if (grant->profile.len) {
        fuzz_ok(answer->profile.data == buf);
        fuzz_token(object, &grant->profile, &answer->profile);

        fuzz_ok(answer->profile.len <= 19 && answer->profile.data[0] != '0'
                && ngx_atoof(answer->profile.data,
                             ngx_min(answer->profile.len, 18))
                   != NGX_ERROR
                && isdigit(answer->profile.data[answer->profile.len - 1]));

    } else {
        fuzz_ok(answer->profile.len == 0);
    }
}


static void
fuzz_refused(ngx_uint_t spends, ngx_uint_t status,
    ngx_http_idpay_oauth_answer_t *answer)
{
    size_t  i;

    fuzz_ok(answer->access.len == 0 && answer->refresh.len == 0
            && answer->profile.len == 0 && answer->life == 0);

    fuzz_ok(answer->error.len <= 64);

    for (i = 0; i < answer->error.len; i++) {
        fuzz_ok(isalnum(answer->error.data[i])
                || ngx_strchr("_.-", answer->error.data[i]));
    }

    switch (answer->result) {

    case NGX_HTTP_IDPAY_OAUTH_GONE:
        fuzz_ok(spends);

        /* fall through */

    case NGX_HTTP_IDPAY_OAUTH_CLIENT:
        fuzz_ok(status >= 400 && status < 500 && status != 429);
        break;

    case NGX_HTTP_IDPAY_OAUTH_BUSY:
        fuzz_ok(status == 503 || (status >= 400 && status < 500));
        break;

    default:
        fuzz_ok(answer->result == NGX_HTTP_IDPAY_OAUTH_FAILED);
        fuzz_ok(status != 429 && status != 503 && status != 401);
        break;
    }
}


/* the first member of the name is it, and no header can be split by it */

static void
fuzz_token(strict_t *object, const ngx_str_t *name, ngx_str_t *token)
{
    size_t     i;
    strict_t  *member;

    fuzz_ok(token->len && token->len <= NGX_HTTP_IDPAY_MAX_TOKEN);

    for (i = 0; i < token->len; i++) {
        fuzz_ok(isgraph(token->data[i]));
    }

    for (member = object->child; member; member = member->next) {
        if (strict_equal(&member->name, (ngx_str_t *) name)) {
            break;
        }
    }

    fuzz_ok(member && (member->type == '"' || member->type == '0')
            && strict_equal(&member->text, token));
}


static void
fuzz_exp(ngx_str_t *token)
{
    int64_t  exp;

    if (ngx_http_idpay_oauth_exp(token, &exp) == NGX_OK) {
        fuzz_ok(exp <= FUZZ_MAX && exp >= -FUZZ_MAX - 1);
        fuzz_ok(token->len <= NGX_HTTP_IDPAY_MAX_TOKEN);
    }
}


/* a token of it says what the payload says */

static void
fuzz_payload(ngx_str_t *payload)
{
    int64_t                 exp, n;
    ngx_int_t               rc;
    ngx_str_t               token, text, encoded;
    ngx_http_idpay_json_t  *json;

    static const ngx_str_t  pointer = ngx_string("/exp");

    token.data = malloc(payload->len * 2 + 8);
    fuzz_ok(token.data);

    encoded.data = ngx_cpymem(token.data, "e30.", 4);
    ngx_encode_base64url(&encoded, payload);
    ngx_memcpy(encoded.data + encoded.len, ".x", 2);
    token.len = 4 + encoded.len + 2;

    rc = ngx_http_idpay_oauth_exp(&token, &exp);

    if (token.len > NGX_HTTP_IDPAY_MAX_TOKEN
        || ngx_http_idpay_json_parse(payload->data, payload->len, &json)
           != NGX_OK)
    {
        fuzz_ok(rc == NGX_DECLINED);
        free(token.data);
        return;
    }

    if (ngx_http_idpay_json_text(ngx_http_idpay_json_find(json, &pointer),
                                 &text)
        == NGX_OK
        && fuzz_is_number(&text))
    {
        fuzz_ok(rc == NGX_OK
                && ngx_http_idpay_oauth_number(&text, &n) == NGX_OK
                && n == exp);

    } else {
        fuzz_ok(rc == NGX_DECLINED);
    }

    ngx_http_idpay_json_free(json);
    free(token.data);
}


/* as near to what the C library reads as that can tell */

static void
fuzz_number(ngx_str_t *text)
{
    char         *s;
    int64_t       n;
    long double   value;

    if (ngx_http_idpay_oauth_number(text, &n) != NGX_OK) {
        fuzz_ok(!fuzz_is_number(text));
        return;
    }

    fuzz_ok(fuzz_is_number(text));

    s = malloc(text->len + 1);
    fuzz_ok(s);

    ngx_memcpy(s, text->data, text->len);
    s[text->len] = '\0';

    value = floorl(strtold(s, NULL));

    if (value > FUZZ_MAX) {
        fuzz_ok(n == FUZZ_MAX);

    } else if (value < -FUZZ_MAX) {
        fuzz_ok(n == -FUZZ_MAX || n == -FUZZ_MAX - 1);

    } else {
        fuzz_ok(fabsl(value - n) <= 1);
    }

    free(s);
}


static ngx_uint_t
fuzz_is_number(ngx_str_t *text)
{
    size_t       i;
    ngx_uint_t   state, next;
    const char  *c;

    /* sign, digits, point, digits, e, its sign, its digits */

    static const char  *states[] = { "-0", "0", "0.e", "0", "0e", "-+0",
                                     "0", "0" };
    static const u_char  nexts[][3] = {
        { 1, 2 }, { 2 }, { 2, 3, 5 }, { 4 }, { 4, 5 }, { 6, 6, 7 },
        { 7 }, { 7 }
    };

    state = 0;

    for (i = 0; i < text->len; i++) {
        next = text->data[i];
        next = isdigit(next) ? '0' : next == 'E' ? 'e' : next;

        c = next ? strchr(states[state], next) : NULL;

        if (c == NULL) {
            return 0;
        }

        state = nexts[state][c - states[state]];
    }

    return state == 2 || state == 4 || state == 7;
}


static void
fuzz_form(const ngx_http_idpay_grant_t *grant, ngx_str_t text)
{
    u_char      *p, *form, *last;
    size_t       i, len;
    ngx_str_t    secrets[2], value, type;

    static const char  unreserved[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-._~%&=";

    secrets[0] = fuzz_line(&text);
    secrets[1] = fuzz_line(&text);
    value = text;

    ngx_str_set(&type, "refresh_token");

    len = ngx_http_idpay_oauth_form(NULL, grant, secrets, "refresh_token",
                                    &value);
    form = malloc(len);
    last = form + len;
    p = form;

    fuzz_ok(form && ngx_http_idpay_oauth_form(form, grant, secrets,
                                              "refresh_token", &value)
                    == len);

    for (i = 0; i < len; i++) {
        fuzz_ok(form[i] && strchr(unreserved, form[i]));
    }

    fuzz_pair(&p, last, "grant_type", &type);
    fuzz_pair(&p, last, "refresh_token", &value);

    if (grant->auth == NGX_HTTP_IDPAY_CLIENT_POST) {
        fuzz_pair(&p, last, "client_id", &secrets[0]);
        fuzz_pair(&p, last, "client_secret", &secrets[1]);
    }

    fuzz_ok((size_t) (last - p) == grant->form.len
            && memcmp(p, grant->form.data, grant->form.len) == 0);

    free(form);

    len = ngx_http_idpay_oauth_revoke_form(NULL, secrets, &value);
    form = malloc(len);
    last = form + len;
    p = form;

    fuzz_ok(form && ngx_http_idpay_oauth_revoke_form(form, secrets, &value)
                    == len);

    fuzz_pair(&p, last, "token", &value);
    fuzz_pair(&p, last, "client_id", &secrets[0]);
    fuzz_pair(&p, last, "client_secret", &secrets[1]);
    fuzz_ok(p == last);

    free(form);
}


/* WHATWG URL, 5.1: parted at "&", then at the first "=", then decoded */

static void
fuzz_pair(u_char **p, u_char *last, const char *name, ngx_str_t *value)
{
    u_char  *s, *end, c;
    size_t   n;

    s = *p;
    n = strlen(name);

    end = memchr(s, '&', last - s);

    if (end == NULL) {
        end = last;
    }

    fuzz_ok((size_t) (end - s) > n && memcmp(s, name, n) == 0 && s[n] == '=');

    s += n + 1;

    for (n = 0; n < value->len; n++) {
        fuzz_ok(s < end);

        if (*s != '%') {
            c = *s++;

        } else {
            fuzz_ok(end - s >= 3 && ngx_hextoi(s + 1, 2) != NGX_ERROR);
            c = ngx_hextoi(s + 1, 2);
            s += 3;
        }

        fuzz_ok(c == value->data[n]);
    }

    fuzz_ok(s == end);

    *p = (end == last) ? last : end + 1;
}


static ngx_str_t
fuzz_line(ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t   line;

    p = memchr(text->data, LF, text->len);

    line.data = text->data;
    line.len = p ? (size_t) (p - text->data) : text->len;

    text->data += line.len + (p != NULL);
    text->len -= line.len + (p != NULL);

    return line;
}


/* in a block of just its size */

static ngx_str_t
fuzz_copy(const u_char *p, size_t len)
{
    ngx_str_t  text;

    text.data = malloc(len);
    text.len = len;

    fuzz_ok(text.data);
    ngx_memcpy(text.data, p, len);

    return text;
}
