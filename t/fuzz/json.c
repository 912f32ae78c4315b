
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A JSON Pointer, a line feed, and a text: the text is refused where it is no
 * JSON, and else has the values in it that a strict parser finds.
 */


#include "../../src/lib/ngx_http_idpay_json.c"

#include "strict.h"


/* values of a text that are looked for by a pointer to each */

#define FUZZ_POINTERS  64


typedef struct {
    ngx_http_idpay_json_t  *json;
    strict_t               *strict;
    ngx_uint_t              left;
    size_t                  len;
    u_char                  pointer[2 * STRICT_MAX];
} fuzz_walk_t;


static void fuzz_parse(u_char *text, size_t len, ngx_str_t *pointer);
static void fuzz_same(ngx_http_idpay_json_t *json, strict_t *strict);
static strict_t *fuzz_find(strict_t *value, ngx_str_t *pointer);
static strict_t *fuzz_step(strict_t *value, u_char *p, size_t len);
static ngx_uint_t fuzz_named(ngx_str_t *name, u_char *p, size_t len);
static void fuzz_walk(fuzz_walk_t *walk, ngx_http_idpay_json_t *json,
    strict_t *value);
static size_t fuzz_token(u_char *dst, strict_t *object, strict_t *child,
    ngx_uint_t n);
static void fuzz_members(u_char *text, size_t len, ngx_str_t *name);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char     *text;
    size_t      len;
    ngx_str_t   pointer;

    if (size > 32768) {
        return 0;
    }

    text = memchr(data, '\n', size);
    pointer.len = text ? (size_t) (text - data) : size;

    len = size - pointer.len;

    if (len) {
        len--;
    }

    pointer.data = malloc(pointer.len);
    text = malloc(len);
    fuzz_ok(pointer.data && text);

    ngx_memcpy(pointer.data, data, pointer.len);
    ngx_memcpy(text, data + size - len, len);

    fuzz_parse(text, len, &pointer);
    fuzz_members(text, len, &pointer);

    free(text);
    free(pointer.data);

    return 0;
}


static void
fuzz_parse(u_char *text, size_t len, ngx_str_t *pointer)
{
    ngx_int_t               rc;
    strict_t               *strict, *value;
    ngx_http_idpay_json_t  *json, *found;

    static fuzz_walk_t  walk;

    rc = ngx_http_idpay_json_parse(text, len, &json);

    fuzz_ok(rc == NGX_OK || rc == NGX_DECLINED);

    /* RFC 8259, section 8.1: a parser may ignore this */

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }

    strict = strict_parse(text, len);

    if (strict && strict->type != '{' && strict->type != '[') {
        strict = NULL;
    }

    fuzz_ok((rc == NGX_OK) == (strict != NULL));

    if (rc != NGX_OK) {
        return;
    }

    found = ngx_http_idpay_json_find(json, pointer);
    value = fuzz_find(strict, pointer);

    fuzz_ok((found == NULL) == (value == NULL));

    if (found) {
        fuzz_same(found, value);
    }

    walk.json = json;
    walk.strict = strict;
    walk.left = FUZZ_POINTERS;
    walk.len = 0;

    fuzz_walk(&walk, json, strict);

    ngx_http_idpay_json_free(json);
}


static void
fuzz_same(ngx_http_idpay_json_t *json, strict_t *strict)
{
    ngx_int_t               rc;
    ngx_str_t               text;
    strict_t               *value;
    ngx_http_idpay_json_t  *element;

    rc = ngx_http_idpay_json_text(json, &text);

    if (strict->type == '{' || strict->type == '[' || strict->type == 'n') {
        fuzz_ok(rc == NGX_DECLINED);

    } else {
        fuzz_ok(rc == NGX_OK && strict_equal(&text, &strict->text));
    }

    element = ngx_http_idpay_json_next(json, NULL);

    if (strict->type == '[') {

        for (value = strict->child; value; value = value->next) {
            fuzz_ok(element);
            element = ngx_http_idpay_json_next(json, element);
        }
    }

    fuzz_ok(element == NULL);
}


/* RFC 6901, section 4, token after token */

static strict_t *
fuzz_find(strict_t *value, ngx_str_t *pointer)
{
    u_char  *p, *end, *last;

    p = pointer->data;
    last = p + pointer->len;

    while (value && p < last) {

        if (*p++ != '/') {
            return NULL;
        }

        end = memchr(p, '/', last - p);

        if (end == NULL) {
            end = last;
        }

        value = fuzz_step(value, p, end - p);
        p = end;
    }

    return value;
}


static strict_t *
fuzz_step(strict_t *value, u_char *p, size_t len)
{
    strict_t    *child;
    ngx_str_t    token;
    ngx_uint_t   n;
    u_char       buf[NGX_INT_T_LEN];

    token.data = p;
    token.len = len;
    n = 0;

    for (child = value->child; child; child = child->next) {

        if (value->type == '[') {
            ngx_str_t  index;

            index.data = buf;
            index.len = ngx_sprintf(buf, "%ui", n++) - buf;

            if (strict_equal(&index, &token)) {
                return child;
            }

        } else if (fuzz_named(&child->name, p, len)) {
            return child;
        }
    }

    return NULL;
}


static ngx_uint_t
fuzz_named(ngx_str_t *name, u_char *p, size_t len)
{
    u_char      *text;
    ngx_str_t    token;
    ngx_uint_t   same;

    text = malloc(len);
    fuzz_ok(text);

    token.data = text;

    for ( /* void */ ; len; p++, len--) {

        if (*p != '~') {
            *text++ = *p;
            continue;
        }

        if (len < 2 || (p[1] != '0' && p[1] != '1')) {
            free(token.data);
            return 0;
        }

        p++;
        len--;

        *text++ = (*p == '0') ? '~' : '/';
    }

    token.len = text - token.data;
    same = strict_equal(name, &token);

    free(token.data);

    return same;
}


/* each value by its pointer: the first one of those with its name */

static void
fuzz_walk(fuzz_walk_t *walk, ngx_http_idpay_json_t *json, strict_t *value)
{
    size_t                  len;
    strict_t               *child, *first;
    ngx_str_t               pointer;
    ngx_uint_t              n;
    ngx_http_idpay_json_t  *found;

    fuzz_same(json, value);

    len = walk->len;
    n = 0;

    for (child = value->child; child && walk->left; child = child->next) {
        walk->left--;

        walk->len = len + fuzz_token(&walk->pointer[len], value, child, n++);

        pointer.data = malloc(walk->len);
        fuzz_ok(pointer.data);

        ngx_memcpy(pointer.data, walk->pointer, walk->len);
        pointer.len = walk->len;

        found = ngx_http_idpay_json_find(walk->json, &pointer);
        first = fuzz_find(walk->strict, &pointer);

        free(pointer.data);

        fuzz_ok(found && first);

        if (first == child) {
            fuzz_walk(walk, found, child);

        } else {
            fuzz_same(found, first);
        }
    }

    walk->len = len;
}


static size_t
fuzz_token(u_char *dst, strict_t *object, strict_t *child, ngx_uint_t n)
{
    u_char  *p;
    size_t   i;

    p = dst;
    *p++ = '/';

    if (object->type == '[') {
        return ngx_sprintf(p, "%ui", n) - dst;
    }

    for (i = 0; i < child->name.len; i++) {

        switch (child->name.data[i]) {

        case '~':
            *p++ = '~';
            *p++ = '0';
            break;

        case '/':
            *p++ = '~';
            *p++ = '1';
            break;

        default:
            *p++ = child->name.data[i];
            break;
        }
    }

    return p - dst;
}


/* what is read of a caller's body: an object, a name of its top level */

static void
fuzz_members(u_char *text, size_t len, ngx_str_t *name)
{
    ngx_int_t          rc, truth;
    strict_t          *strict, *child;
    ngx_str_t          names[2];
    const ngx_str_t   *found;

    names[0] = *name;
    ngx_str_null(&names[1]);

    rc = ngx_http_idpay_json_member(text, len, names, &found);
    truth = ngx_http_idpay_json_true(text, len, name);

    fuzz_ok(rc != NGX_OK || found == &names[0]);

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }

    strict = strict_parse(text, len);

    /* cJSON refuses halves of surrogate pairs */

    if (strict == NULL || strict->type != '{' || strict_halves) {
        return;
    }

    rc = NGX_DECLINED;

    for (child = strict->child; child; child = child->next) {
        if (strict_equal(&child->name, name)) {
            rc = (child->type == 't') ? NGX_OK : NGX_DECLINED;

            if (rc != NGX_OK) {
                break;
            }
        }
    }

    fuzz_ok(truth == rc);
}
