
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_escape.h"


static void ngx_http_idpay_escape_percent(ngx_http_idpay_escape_t *ch);
static void ngx_http_idpay_escape_json(ngx_http_idpay_escape_t *ch);
static void ngx_http_idpay_escape_html(ngx_http_idpay_escape_t *ch);
static ngx_int_t ngx_http_idpay_escape_number(ngx_http_idpay_escape_t *ch,
    u_char **p, uint32_t *code);
static ngx_int_t ngx_http_idpay_escape_hex(ngx_http_idpay_escape_t *ch,
    u_char **p, ngx_uint_t digits, uint32_t *code);
static ngx_int_t ngx_http_idpay_escape_digit(ngx_uint_t c);
static ngx_uint_t ngx_http_idpay_escape_next(ngx_http_idpay_escape_t *ch,
    u_char **p);


const u_char  ngx_http_idpay_escape_base64[] = {
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 62, 77, 62, 77, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 77, 77, 77, 64, 77, 77,

    77,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 77, 77, 77, 77, 63,
    77, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 77, 77, 77, 77, 77,

    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,

    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77,
    77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77
};


void
ngx_http_idpay_escape_read(ngx_http_idpay_escape_t *ch, u_char *p,
    u_char *end)
{
    ch->next = p + 1;
    ch->end = end;
    ch->layers = 0;
    ch->code = *p;
    ch->point = 0;
    ch->cut = 0;
}


void
ngx_http_idpay_escape_decode(ngx_http_idpay_escape_t *ch)
{
    switch (ch->code) {

    case '%':
        ngx_http_idpay_escape_percent(ch);
        break;

    case '\\':
        ngx_http_idpay_escape_json(ch);
        break;

    case '&':
        ngx_http_idpay_escape_html(ch);
        break;
    }

    ch->layers++;
}


static void
ngx_http_idpay_escape_percent(ngx_http_idpay_escape_t *ch)
{
    u_char    *p;
    uint32_t   code;

    p = ch->next;

    if (ngx_http_idpay_escape_hex(ch, &p, 2, &code) != NGX_OK) {
        return;
    }

    ch->next = p;
    ch->code = code;
    ch->point = 0;
}


static void
ngx_http_idpay_escape_json(ngx_http_idpay_escape_t *ch)
{
    u_char      *p;
    uint32_t     code, low;
    ngx_uint_t   c;

    p = ch->next;
    c = ngx_http_idpay_escape_next(ch, &p);

    if (c == '"' || c == '\\' || c == '/') {
        ch->next = p;
        ch->code = c;
        ch->point = 0;
        return;
    }

    if (c != 'u' || ngx_http_idpay_escape_hex(ch, &p, 4, &code) != NGX_OK) {
        return;
    }

    ch->next = p;
    ch->code = code;
    ch->point = 1;

    if (code < 0xd800 || code > 0xdbff) {
        return;
    }

    if (ngx_http_idpay_escape_next(ch, &p) != '\\'
        || ngx_http_idpay_escape_next(ch, &p) != 'u'
        || ngx_http_idpay_escape_hex(ch, &p, 4, &low) != NGX_OK
        || low < 0xdc00 || low > 0xdfff)
    {
        return;
    }

    ch->next = p;
    ch->code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
}


static void
ngx_http_idpay_escape_html(ngx_http_idpay_escape_t *ch)
{
    u_char      *p, name[4];
    size_t       len;
    uint32_t     code;
    ngx_uint_t   c, i;

    static struct {
        ngx_str_t   name;
        uint32_t    code;
    } names[] = {
        { ngx_string("amp"), '&' },
        { ngx_string("lt"), '<' },
        { ngx_string("gt"), '>' },
        { ngx_string("quot"), '"' },
        { ngx_string("apos"), '\'' }
    };

    p = ch->next;
    c = ngx_http_idpay_escape_next(ch, &p);

    if (c == '#') {

        if (ngx_http_idpay_escape_number(ch, &p, &code) == NGX_OK) {
            ch->next = p;
            ch->code = code;
            ch->point = 1;
        }

        return;
    }

    for (len = 0; c >= 'a' && c <= 'z' && len < sizeof(name); len++) {
        name[len] = c;
        c = ngx_http_idpay_escape_next(ch, &p);
    }

    if (c != ';') {
        return;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        if (names[i].name.len == len
            && ngx_memcmp(names[i].name.data, name, len) == 0)
        {
            ch->next = p;
            ch->code = names[i].code;
            ch->point = 0;
            return;
        }
    }
}


/* what stands behind "&#" */

static ngx_int_t
ngx_http_idpay_escape_number(ngx_http_idpay_escape_t *ch, u_char **p,
    uint32_t *code)
{
    ngx_int_t   digit, base;
    ngx_uint_t  c, n;

    base = 10;
    c = ngx_http_idpay_escape_next(ch, p);

    if (c == 'x' || c == 'X') {
        base = 16;
        c = ngx_http_idpay_escape_next(ch, p);
    }

    *code = 0;

    for (n = 0; c != ';'; n++) {
        digit = ngx_http_idpay_escape_digit(c);

        if (digit == NGX_ERROR || digit >= base
            || n == NGX_HTTP_IDPAY_ESCAPE_DIGITS)
        {
            return NGX_DECLINED;
        }

        *code = *code * base + digit;

        if (*code > 0x10ffff) {
            return NGX_DECLINED;
        }

        c = ngx_http_idpay_escape_next(ch, p);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_escape_hex(ngx_http_idpay_escape_t *ch, u_char **p,
    ngx_uint_t digits, uint32_t *code)
{
    ngx_int_t  digit;

    *code = 0;

    while (digits--) {
        digit = ngx_http_idpay_escape_digit(ngx_http_idpay_escape_next(ch, p));

        if (digit == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *code = *code << 4 | digit;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_escape_digit(ngx_uint_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return NGX_ERROR;
}


/* the next character in the text that the escape is in, or 0 at its end */

static ngx_uint_t
ngx_http_idpay_escape_next(ngx_http_idpay_escape_t *ch, u_char **p)
{
    ngx_http_idpay_escape_t  next;

    if (*p == ch->end) {
        ch->cut = 1;
        return 0;
    }

    ngx_http_idpay_escape_read(&next, *p, ch->end);

    while (next.layers < ch->layers) {
        ngx_http_idpay_escape_decode(&next);
    }

    if (next.cut) {
        ch->cut = 1;
    }

    *p = next.next;

    return next.code;
}


size_t
ngx_http_idpay_escape_utf8(u_char *dst, uint32_t code)
{
    size_t      n;
    ngx_uint_t  shift;

    if (code < 0x80) {
        *dst = code;
        return 1;
    }

    n = (code < 0x800) ? 2 : (code < 0x10000) ? 3 : 4;
    shift = (n - 1) * 6;

    /* as many leading bits as there are bytes */

    *dst++ = (u_char) (0xf00 >> n | code >> shift);

    while (shift) {
        shift -= 6;
        *dst++ = 0x80 | (code >> shift & 0x3f);
    }

    return n;
}
