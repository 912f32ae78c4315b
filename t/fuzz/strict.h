
/*
 * Copyright (C) 2026 idpay contributors
 *
 * JSON by the letter of RFC 8259, to be compared with.
 */


#ifndef _STRICT_H_INCLUDED_
#define _STRICT_H_INCLUDED_


#include <ctype.h>
#include <string.h>

#include "fuzz.h"


/* bytes of a text, which are enough for its values, too */

#define STRICT_MAX    262144
#define STRICT_DEPTH  64


typedef struct strict_s  strict_t;

struct strict_s {
    u_char      type;      /* the first byte; '0' of a number */
    ngx_str_t   name;      /* of a member, without its escapes */
    ngx_str_t   text;      /* of a string, without its escapes, or raw */
    ngx_uint_t  n;         /* elements or members */
    strict_t   *child;
    strict_t   *next;
};


/* all of it is used anew by the next text */

static strict_t    strict_values[STRICT_MAX / 2 + 1];
static u_char      strict_bytes[STRICT_MAX];

static u_char     *strict_p;
static u_char     *strict_last;
static u_char     *strict_text;
static strict_t   *strict_free;
static ngx_uint_t  strict_depth;
static ngx_uint_t  strict_halves;    /* of surrogate pairs */


static strict_t *strict_value(void);


static void
strict_blank(void)
{
    while (strict_p < strict_last && *strict_p
           && strchr(" \t\r\n", *strict_p))
    {
        strict_p++;
    }
}


static ngx_uint_t
strict_is(u_char c)
{
    if (strict_p == strict_last || *strict_p != c) {
        return 0;
    }

    strict_p++;

    return 1;
}


/* the length of a character in UTF-8 (RFC 3629), 0 if there is none */

static size_t
strict_char(u_char *p, u_char *last)
{
    size_t    i, n;
    uint32_t  code;

    static uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (*p < 0x80) {
        return 1;
    }

    n = (*p >= 0xf8) ? 0 : (*p >= 0xf0) ? 4 : (*p >= 0xe0) ? 3
        : (*p >= 0xc0) ? 2 : 0;

    if (n == 0 || (size_t) (last - p) < n) {
        return 0;
    }

    code = *p & (0x7f >> n);

    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        code = code << 6 | (p[i] & 0x3f);
    }

    if (code < least[n] || code > 0x10ffff || (code >> 11) == 0x1b) {
        return 0;
    }

    return n;
}


static ngx_uint_t
strict_hex(uint32_t *code)
{
    char        digits[5], *end;
    ngx_uint_t  i;

    if (strict_last - strict_p < 4) {
        return 0;
    }

    for (i = 0; i < 4; i++) {
        digits[i] = strict_p[i];

        if (!isxdigit(strict_p[i])) {
            return 0;
        }
    }

    digits[4] = '\0';
    *code = (uint32_t) strtoul(digits, &end, 16);
    strict_p += 4;

    return 1;
}


/* what is behind "\u"; a NUL, and half of a pair, is U+FFFD */

static ngx_uint_t
strict_unicode(void)
{
    u_char    *p;
    uint32_t   code, low;

    if (!strict_hex(&code)) {
        return 0;
    }

    if (code >= 0xd800 && code <= 0xdfff) {
        p = strict_p;

        if (code <= 0xdbff && strict_is('\\') && strict_is('u')
            && strict_hex(&low) && low >= 0xdc00 && low <= 0xdfff)
        {
            code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);

        } else {
            strict_p = p;
            strict_halves++;
            code = 0xfffd;
        }
    }

    if (code == 0) {
        code = 0xfffd;
    }

    if (code < 0x80) {
        *strict_text++ = code;

    } else if (code < 0x800) {
        *strict_text++ = 0xc0 | code >> 6;
        *strict_text++ = 0x80 | (code & 0x3f);

    } else if (code < 0x10000) {
        *strict_text++ = 0xe0 | code >> 12;
        *strict_text++ = 0x80 | (code >> 6 & 0x3f);
        *strict_text++ = 0x80 | (code & 0x3f);

    } else {
        *strict_text++ = 0xf0 | code >> 18;
        *strict_text++ = 0x80 | (code >> 12 & 0x3f);
        *strict_text++ = 0x80 | (code >> 6 & 0x3f);
        *strict_text++ = 0x80 | (code & 0x3f);
    }

    return 1;
}


static ngx_uint_t
strict_string(ngx_str_t *text)
{
    u_char  c;
    char   *escape;

    static char  escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

    text->data = strict_text;

    if (!strict_is('"')) {
        return 0;
    }

    while (strict_p < strict_last) {
        c = *strict_p++;

        if (c == '"') {
            text->len = strict_text - text->data;
            return 1;
        }

        if (c < 0x20) {
            return 0;
        }

        if (c != '\\') {
            *strict_text++ = c;
            continue;
        }

        if (strict_is('u')) {

            if (!strict_unicode()) {
                return 0;
            }

            continue;
        }

        for (escape = escapes; *escape; escape += 2) {
            if (strict_is((u_char) *escape)) {
                *strict_text++ = escape[1];
                break;
            }
        }

        if (*escape == '\0') {
            return 0;
        }
    }

    return 0;
}


static ngx_uint_t
strict_digits(void)
{
    u_char  *start;

    start = strict_p;

    while (strict_p < strict_last && isdigit(*strict_p)) {
        strict_p++;
    }

    return strict_p > start;
}


static ngx_uint_t
strict_number(void)
{
    (void) strict_is('-');

    if (!strict_is('0') && !strict_digits()) {
        return 0;
    }

    if (strict_is('.') && !strict_digits()) {
        return 0;
    }

    if (strict_is('e') || strict_is('E')) {
        (void) (strict_is('+') || strict_is('-'));

        return strict_digits();
    }

    return 1;
}


static ngx_uint_t
strict_elements(strict_t *value, u_char end)
{
    strict_t   *element, **next;
    ngx_str_t   name;

    next = &value->child;

    strict_blank();

    if (strict_is(end)) {
        return 1;
    }

    do {
        ngx_str_null(&name);
        strict_blank();

        if (end == '}') {
            if (!strict_string(&name)) {
                return 0;
            }

            strict_blank();

            if (!strict_is(':')) {
                return 0;
            }
        }

        element = strict_value();

        if (element == NULL) {
            return 0;
        }

        element->name = name;
        *next = element;
        next = &element->next;
        value->n++;

        strict_blank();

    } while (strict_is(','));

    return strict_is(end);
}


static strict_t *
strict_value(void)
{
    u_char      *start;
    strict_t    *value;
    ngx_uint_t   i, ok;

    static char  *literals[] = { "true", "false", "null" };

    strict_blank();

    if (strict_p == strict_last) {
        return NULL;
    }

    value = strict_free++;
    ngx_memzero(value, sizeof(strict_t));

    start = strict_p;
    value->type = *start;

    switch (*start) {

    case '{':
    case '[':
        strict_p++;
        ok = ++strict_depth <= STRICT_DEPTH
             && strict_elements(value, (*start == '{') ? '}' : ']');
        strict_depth--;

        return ok ? value : NULL;

    case '"':
        return strict_string(&value->text) ? value : NULL;

    case 't':
    case 'f':
    case 'n':
        ok = 0;

        for (i = 0; i < 3; i++) {
            if (literals[i][0] == *start) {
                value->text.len = strlen(literals[i]);
                ok = (size_t) (strict_last - start) >= value->text.len
                     && memcmp(start, literals[i], value->text.len) == 0;
            }
        }

        value->text.data = start;
        strict_p += value->text.len;

        return ok ? value : NULL;

    default:
        value->type = '0';
        ok = strict_number();
        value->text.data = start;
        value->text.len = strict_p - start;

        return ok ? value : NULL;
    }
}


/* returns the value that is all of a text, or NULL */

static strict_t *
strict_parse(u_char *text, size_t len)
{
    strict_t  *value;

    fuzz_ok(len <= STRICT_MAX);

    strict_p = text;
    strict_last = text + len;
    strict_text = strict_bytes;
    strict_free = strict_values;
    strict_depth = 0;
    strict_halves = 0;

    value = strict_value();
    strict_blank();

    return strict_p == strict_last ? value : NULL;
}


static ngx_uint_t
strict_equal(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len && memcmp(one->data, two->data, one->len) == 0;
}


/* the first member of the name, or NULL */

static strict_t *
strict_member(strict_t *object, char *name)
{
    strict_t   *value;
    ngx_str_t   text;

    text.data = (u_char *) name;
    text.len = strlen(name);

    for (value = object->child; value; value = value->next) {
        if (strict_equal(&value->name, &text)) {
            break;
        }
    }

    return value;
}


static ngx_uint_t
strict_is_text(strict_t *value, char *text)
{
    return value->text.len == strlen(text)
           && memcmp(value->text.data, text, value->text.len) == 0;
}


/* characters of a text in UTF-8 */

static size_t
strict_chars(ngx_str_t *text)
{
    u_char  *p;
    size_t   n;

    n = 0;

    for (p = text->data; p < text->data + text->len; p++) {
        if ((*p & 0xc0) != 0x80) {
            n++;
        }
    }

    return n;
}


#endif /* _STRICT_H_INCLUDED_ */
