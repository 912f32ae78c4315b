
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Secrets in a text, each character encoded in some way, up to three times
 * over, or in base64 with something around it: none is left, nothing else is
 * changed, and it is the same however the text is cut.
 *
 * The input: secrets, each a length and its bytes, then what makes the text.
 */


#include "../../src/credential/ngx_http_idpay_redact.c"
#include "../../src/credential/ngx_http_idpay_escape.c"

#include "fuzz.h"

#include <ctype.h>


#define FUZZ_SECRETS  3
#define FUZZ_SECRET   24        /* bytes */
#define FUZZ_TEXT     16384     /* bytes */
#define FUZZ_PARTS    64


typedef struct {
    size_t   start;
    size_t   end;
} fuzz_part_t;


static ngx_str_t fuzz_secret(void);
static void fuzz_text(ngx_str_t *secrets, ngx_uint_t n);
static void fuzz_embed(u_char *data, size_t len, ngx_uint_t layers);
static void fuzz_embed_base64(ngx_str_t *secret, ngx_uint_t how);
static size_t fuzz_encode(u_char *dst, u_char *src, size_t len,
    ngx_uint_t mixed, ngx_uint_t first);
static size_t fuzz_escape(u_char *dst, u_char **src, u_char *end,
    ngx_uint_t how);
static void fuzz_put(u_char *data, size_t len);
static void fuzz_whole(ngx_http_idpay_redact_t *redact, u_char *out);
static void fuzz_pieces(ngx_http_idpay_redact_t *redact, u_char *whole);
static ngx_uint_t fuzz_over(ngx_http_idpay_redact_t *redact, u_char *p,
    size_t len, ngx_uint_t last);
static void fuzz_less(ngx_http_idpay_redact_t *redact, u_char *whole,
    ngx_str_t *secrets, ngx_uint_t n);
static u_char fuzz_byte(void);


static ngx_pool_t    *pool;
static const u_char  *input, *input_end;
static u_char         text[FUZZ_TEXT];
static size_t         text_len;
static fuzz_part_t    parts[FUZZ_PARTS];
static ngx_uint_t     nparts;


u_char *
ngx_http_idpay_vault_alloc(ngx_http_idpay_vault_t *vault, size_t size)
{
    return ngx_palloc(pool, size);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char                   *whole;
    ngx_log_t                 log;
    ngx_str_t                 secrets[FUZZ_SECRETS];
    ngx_uint_t                i, n;
    ngx_http_idpay_redact_t  *redact;

    input = data;
    input_end = data + size;

    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);
    fuzz_ok(pool);

    redact = ngx_http_idpay_redact_create(pool, NULL);
    fuzz_ok(redact);

    n = 1 + fuzz_byte() % FUZZ_SECRETS;

    for (i = 0; i < n; i++) {
        secrets[i] = fuzz_secret();
        fuzz_ok(ngx_http_idpay_redact_add(redact, &secrets[i]) == NGX_OK);
    }

    fuzz_ok(ngx_http_idpay_redact_add_basic(redact, &secrets[0],
                                            &secrets[n - 1])
            == NGX_OK);

    fuzz_text(secrets, n);

    whole = malloc(text_len + 1);
    fuzz_ok(whole);

    fuzz_whole(redact, whole);

    for (i = 0; i < n; i++) {
        fuzz_ok(memmem(whole, text_len, secrets[i].data, secrets[i].len)
                == NULL);
    }

    fuzz_less(redact, whole, secrets, n);
    fuzz_pieces(redact, whole);

    free(whole);
    ngx_destroy_pool(pool);

    return 0;
}


/*
 * Without asterisks, which are what is left, and with few backslashes, as many
 * can be read in more ways than are followed.
 */

static ngx_str_t
fuzz_secret(void)
{
    size_t      i;
    ngx_str_t   secret;
    ngx_uint_t  slashes;

    slashes = 0;

    secret.len = 1 + fuzz_byte() % FUZZ_SECRET;
    secret.data = ngx_palloc(pool, secret.len);
    fuzz_ok(secret.data);

    for (i = 0; i < secret.len; i++) {
        secret.data[i] = fuzz_byte();

        if (secret.data[i] < 0x20 || secret.data[i] == 0x7f
            || secret.data[i] == '*'
            || (secret.data[i] == '\\' && ++slashes > 2))
        {
            secret.data[i] = 'a' + (secret.data[i] & 0xf);
        }
    }

    return secret;
}


static void
fuzz_text(ngx_str_t *secrets, ngx_uint_t n)
{
    u_char      c, basic[FUZZ_SECRET * 2 + 1], encoded[FUZZ_SECRET * 3];
    ngx_str_t   src, dst, *secret;

    text_len = 0;
    nparts = 0;

    /* room is left for the longest that can be put there */

    while (input < input_end && text_len < FUZZ_TEXT / 2) {
        c = fuzz_byte();

        if (c != '*' && c < 0xf0) {
            fuzz_put(&c, 1);
            continue;
        }

        secret = &secrets[fuzz_byte() % n];

        if (c < 0xfc) {
            fuzz_embed(secret->data, secret->len, c % 4);

        } else if (c != 0xff) {
            fuzz_embed_base64(secret, fuzz_byte());

        } else {
            src.data = basic;
            src.len = ngx_sprintf(basic, "%V:%V", &secrets[0],
                                  &secrets[n - 1])
                      - basic;

            dst.data = encoded;
            ngx_encode_base64(&dst, &src);

            fuzz_embed(dst.data, dst.len, fuzz_byte() % 4);
        }
    }
}


static void
fuzz_embed(u_char *data, size_t len, ngx_uint_t layers)
{
    size_t         n;
    ngx_uint_t     i, mixed;
    static u_char  a[FUZZ_TEXT], b[FUZZ_TEXT];

    ngx_memcpy(a, data, len);
    mixed = layers ? fuzz_byte() & 1 : 0;

    for (i = 0; i < layers; i++) {
        n = fuzz_encode(b, a, len, mixed, i == 0);

        if (n > FUZZ_TEXT / 4) {
            break;
        }

        ngx_memcpy(a, b, n);
        len = n;
    }

    if (nparts == FUZZ_PARTS) {
        return;
    }

    parts[nparts].start = text_len;
    fuzz_put(a, len);
    parts[nparts++].end = text_len;
}


static void
fuzz_embed_base64(ngx_str_t *secret, ngx_uint_t how)
{
    u_char      buf[FUZZ_SECRET + 16], encoded[FUZZ_SECRET * 2 + 32];
    size_t      before, from, to;
    ngx_str_t   src, dst;

    if (secret->len < 5) {
        return;
    }

    before = how % 6;

    src.data = buf;
    src.len = before + secret->len + how / 6 % 6;

    ngx_memset(buf, 'A' + how % 50, src.len);
    ngx_memcpy(buf + before, secret->data, secret->len);

    dst.data = encoded;

    if (how & 1) {
        ngx_encode_base64(&dst, &src);

    } else {
        ngx_encode_base64url(&dst, &src);
    }

    from = before * 8 / 6;
    to = ((before + secret->len) * 8 + 5) / 6;

    fuzz_put(encoded, from);
    fuzz_embed(encoded + from, to - from, how / 36 % 4);
    fuzz_put(encoded + to, dst.len - to);
}


/*
 * The first encoder leaves alone what it likes.  Those that follow do not what
 * begins an escape: of any kind where kinds are mixed, and of its own where an
 * encoder has a single kind, which it uses for a character always or never.
 */

static size_t
fuzz_encode(u_char *dst, u_char *src, size_t len, ngx_uint_t mixed,
    ngx_uint_t first)
{
    u_char      *p, *end, c;
    ngx_uint_t   how, kind, always;

    static const u_char  plain[] = { 1, 1, 6, 7 };
    static const u_char  other[] = { 1, 1, 3, 4 };

    p = dst;
    end = src + len;
    how = fuzz_byte();
    kind = mixed ? 0 : 1 + how % 3;
    always = how >> 2;

    while (src < end && p < dst + FUZZ_TEXT - 64) {
        c = *src;

        if (kind == 0) {
            how = fuzz_byte();

            if (!first && ngx_http_idpay_escape_begins(c)) {
                how = 1 + how % 5;
            }

        } else if (c == "\0%\\&"[kind]) {
            how = plain[kind];

        } else if (isalnum(c) || !(always >> c % 6 & 1)) {
            how = 0;

        } else {
            how = other[kind];
        }

        p += fuzz_escape(p, &src, end, how);
    }

    return p - dst;
}


static size_t
fuzz_escape(u_char *dst, u_char **src, u_char *end, ngx_uint_t how)
{
    u_char      c, *p, utf8[4];
    size_t      zeros;
    uint32_t    code;

    p = *src;
    c = *p;
    code = c;
    zeros = how / 16 % 4;
    (*src)++;

    switch (how % 8) {

    case 1:
        return ngx_sprintf(dst, "%%%02Xd", (ngx_int_t) c) - dst;

    case 2:
        return ngx_sprintf(dst, "%%%02xd", (ngx_int_t) c) - dst;

    case 3:
    case 4:
    case 5:

        if (c >= 0x80 && (how & 0x80)) {
            code = ngx_utf8_decode(&p, end - p);

            /* it takes more than there is */

            if (code > 0x10ffff
                || ngx_http_idpay_escape_utf8(utf8, code)
                   != (size_t) (p + 1 - *src)
                || ngx_memcmp(utf8, *src - 1, p + 1 - *src) != 0)
            {
                code = c;

            } else {
                *src = p;
            }
        }

        if (how % 8 == 4) {
            return ngx_sprintf(dst, "&#%*s%uD;", zeros, "000", code) - dst;
        }

        if (how % 8 == 5) {
            return ngx_sprintf(dst, "&#x%*s%xD;", zeros, "000", code) - dst;
        }

        if (code < 0x10000) {
            return ngx_sprintf(dst, "\\u%04xD", code) - dst;
        }

        code -= 0x10000;

        return ngx_sprintf(dst, "\\u%04xD\\u%04XD", 0xd800 + (code >> 10),
                           0xdc00 + (code & 0x3ff))
               - dst;

    case 6:

        if (c == '"' || c == '\\' || c == '/') {
            dst[0] = '\\';
            dst[1] = c;
            return 2;
        }

        break;

    case 7:

        switch (c) {

        case '&':
            return ngx_sprintf(dst, "&amp;") - dst;

        case '<':
            return ngx_sprintf(dst, "&lt;") - dst;

        case '>':
            return ngx_sprintf(dst, "&gt;") - dst;

        case '"':
            return ngx_sprintf(dst, "&quot;") - dst;

        case '\'':
            return ngx_sprintf(dst, "&apos;") - dst;

        case ' ':
            c = '+';
        }
    }

    *dst = c;

    return 1;
}


static void
fuzz_put(u_char *data, size_t len)
{
    if (len <= FUZZ_TEXT - text_len) {
        ngx_memcpy(text + text_len, data, len);
        text_len += len;
    }
}


static void
fuzz_whole(ngx_http_idpay_redact_t *redact, u_char *out)
{
    size_t       i, start, end, left;
    ngx_uint_t   n;

    ngx_memcpy(out, text, text_len);
    out[text_len] = '!';

    fuzz_ok(ngx_http_idpay_redact_bytes(redact, out, text_len, 1)
            == text_len);
    fuzz_ok(out[text_len] == '!');

    for (i = 0; i < text_len; i++) {
        fuzz_ok(out[i] == '*' || out[i] == text[i]);
    }

    for (n = 0; n < nparts; n++) {
        start = parts[n].start;
        end = parts[n].end;
        left = 0;

        for (i = start; i < end; i++) {
            left += (out[i] != '*');
        }

        /* another secret may begin before it and end in it */

        fuzz_ok(left < end - start || start == end);
        fuzz_ok(left == 0 || (start && out[start - 1] == '*'));
    }
}


/* the sizes of the pieces are from the text too */

static void
fuzz_pieces(ngx_http_idpay_redact_t *redact, u_char *whole)
{
    u_char      *buf, *out;
    size_t       len, size, sent, given;
    ngx_uint_t   i, last, over;

    out = malloc(text_len + 1);
    fuzz_ok(out);

    sent = 0;
    given = 0;
    over = 0;
    last = 0;

    for (i = 0; !last; i++) {
        size = 1 + text[i * 7 % (text_len + 1)] % (1 + text_len % 64);
        size = ngx_min(size, text_len - given);

        given += size;
        last = (given == text_len);
        len = given - sent;

        buf = malloc(len + 1);
        fuzz_ok(buf);

        ngx_memcpy(buf, text + sent, len);
        over |= fuzz_over(redact, buf, len, last);

        ngx_memcpy(buf, text + sent, len);
        size = ngx_http_idpay_redact_bytes(redact, buf, len, last);

        fuzz_ok(size <= len && len - size <= redact->max);
        fuzz_ok(!last || size == len);
        fuzz_ok(ngx_memcmp(buf + size, text + sent + size, len - size) == 0);

        ngx_memcpy(out + sent, buf, size);
        sent += size;

        free(buf);
    }

    fuzz_ok(over || ngx_memcmp(out, whole, text_len) == 0);

    free(out);
}


/* whether more would have to be held than is allowed */

static ngx_uint_t
fuzz_over(ngx_http_idpay_redact_t *redact, u_char *p, size_t len,
    ngx_uint_t last)
{
    ngx_int_t                      rc;
    ngx_http_idpay_redact_text_t   t;

    ngx_http_idpay_redact_init(&t, p, len, last);

    do {
        rc = ngx_http_idpay_redact_find(redact, &t);

        if (rc == NGX_OK) {
            t.pos = t.found;
        }

    } while (rc == NGX_OK);

    fuzz_ok(t.steps >= 0);

    return rc == NGX_AGAIN && (size_t) (t.end - t.pos) > redact->max;
}


/* the same without asterisks is left of a text that gets shorter */

static void
fuzz_less(ngx_http_idpay_redact_t *redact, u_char *whole, ngx_str_t *secrets,
    ngx_uint_t n)
{
    size_t       i, j;
    ngx_str_t    less;

    less.len = text_len;
    less.data = malloc(text_len + 1);
    fuzz_ok(less.data);

    ngx_memcpy(less.data, text, text_len);
    less.data[text_len] = '!';

    ngx_http_idpay_redact_text(redact, &less);

    fuzz_ok(less.len <= text_len);
    fuzz_ok(less.data[text_len] == '!');

    for (i = 0; i < n; i++) {
        fuzz_ok(memmem(less.data, less.len, secrets[i].data, secrets[i].len)
                == NULL);
    }

    for (i = 0, j = 0; i < text_len; i++) {

        if (whole[i] == '*') {
            continue;
        }

        while (j < less.len && less.data[j] == '*') {
            j++;
        }

        fuzz_ok(j < less.len && less.data[j] == whole[i]);
        j++;
    }

    while (j < less.len) {
        fuzz_ok(less.data[j++] == '*');
    }

    free(less.data);
}


static u_char
fuzz_byte(void)
{
    return (input < input_end) ? *input++ : 0;
}
