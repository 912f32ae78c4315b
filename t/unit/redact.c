
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Secrets in what a provider says of an error, cut at every place.
 */


#include "../../src/credential/ngx_http_idpay_redact.c"

#include "tap.h"


#define SIZE  1024    /* bytes of a text */
#define PAIRS 80      /* bytes of a text that is cut at two places */


static ngx_http_idpay_redact_t *set(ngx_uint_t n);
static ngx_uint_t cut(ngx_http_idpay_redact_t *redact, ngx_str_t *in,
    u_char *out, size_t first, size_t second);
static void test(ngx_http_idpay_redact_t *redact, char *marked);
static void test_base64(ngx_str_t *value, ngx_uint_t url, ngx_uint_t escaped);
static void test_max(void);
static void test_run(void);
static void test_steps(void);


static ngx_str_t  sets[][4] = {
    { ngx_string("s3cr/et+"), ngx_string("s3cr/et+more"), ngx_string("aab"),
      ngx_string("a\"b\\c/d") },
    { ngx_string("a b&c") },
    { ngx_string("%41\\u0042&lt;\"'<>") },
    { ngx_string("p\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80s") },
    { ngx_string("caf\xe9!") },
    { ngx_string("\"%25x") },
    { ngx_string("x") },
    { ngx_string("\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\y") },
    { ngx_string(" lead") },
    { ngx_string("\xc3\xb6l"), ngx_string("\xf0\x9f\x98\x80\xe2\x82\xac"),
      ngx_string("<\xd0\xb6>") }
};


/* brackets are not of the text, they stand around what is to be found */

static struct {
    ngx_uint_t   set;
    char        *text;
} texts[] = {
    { 0, "" },
    { 0, "nothing to hide" },
    { 0, "key=[s3cr/et+]" },
    { 0, "[s3cr/et+][s3cr/et+]!" },
    { 0, "s3cr/et" },
    { 0, "s3cr/e[s3cr/et+]" },
    { 0, "[s3cr/et+more]" },
    { 0, "[s3cr/et+]mor" },
    { 0, "a[aab]" },

    { 0, "enc [s3cr%2Fet%2B]." },
    { 0, "enc [s3cr%2fet%2b]." },
    { 0, "part [s3cr%2fet+], [s3cr/et%2B]" },
    { 0, "[%73%33%63%72%2F%65%74%2B]" },
    { 0, "[s3cr%252Fet%252b] [s3cr%25252Fet%25252B]" },
    { 0, "s3cr%2525252Fet%2525252B" },
    { 0, "s3cr%2Get+ s3cr%et+ s3cr%2" },
    { 0, "s3cr/et%2" },

    { 0, "json \"[s3cr\\/et+]\"" },
    { 0, "{\"k\": \"[a\\\"b\\\\c/d]\"}" },
    { 0, "{\"k\": \"[a\\\"b\\\\c\\/d]\"}" },
    { 0, "[s3cr\\u002fet\\u002B] [\\u00733cr/et+]" },
    { 0, "[s3cr\\\\u002fet\\\\u002B] [s3cr\\\\\\/et+]" },
    { 0, "[a\\\\\\\"b\\\\\\\\c\\\\/d]" },
    { 0, "s3cr/et\\u002" },
    { 0, "s3cr\\u00g2et+ s3cr\\et+ a\\\"b\\\\" },

    { 0, "[s3cr&#47;et&#43;] [s3cr&#x2F;et&#X2b;]" },
    { 0, "[s3cr&#0000000047;et+] s3cr&#00000000047;et+" },
    { 0, "[s3cr&amp;#47;et&amp;#43;] [s3cr/et&amp;amp;#43;]" },
    { 0, "[a&quot;b\\c/d] [a&#34;b&#92;c&#x2f;d]" },
    { 0, "s3cr&#47et+ s3cr&#;et+ s3cr&sol;et+ s3cr&#x110000;et+" },
    { 0, "s3cr/et&#4294967339; s3cr/et&#3d; a&quot,b\\c/d" },
    { 0, "s3cr/et&#43" },
    { 0, "s3cr/et&am" },

    { 0, "[\\u00733c&#114;%2Fet+]" },
    { 0, "[s3cr\\u0026#47;et\\u0026#x2b;] [s3cr%26%2347%3Bet+]" },
    { 0, "[s3cr%5Cu002fet%5C%75002B] [s3cr&#37;2Fet+]" },
    { 0, "[s3cr%255Cu002fet+] [s3cr%%32Fet+]" },
    { 0, "100% of %2x & &; &#; &#x; &bogus; \\ \\u12 \\d %" },

    { 0, "Basic [dXNlcjpwYXNz]." },
    { 0, "Basic [dXNlcjpwYXN%7a]" },
    { 0, "Basic dXNlcjpwYXN6" },
    { 0, "Basic [dXNl\r\ncjpw\n YXNz] [d\nXNlcjpwYXN\nz] "
         "[dXNl\\r\\ncjpw\\nYXNz]" },
    { 0, "dXNl\\tcjpwYXNz dXNl-cjpwYXNz" },
    { 0, "Basic [YTpiYw==] [YTpiYw=] [YTpiYw], [YTpiYw%3d%3D]" },

    { 1, "[a b&c] [a+b&c] [a+b%26c] [a%20b&amp;c] [a%2Bb%26amp;c]" },
    { 1, "a-b&c a+b%26" },

    { 2, "[%41\\u0042&lt;\"'<>] AB<\"'<>" },
    { 2, "[%41\\\\u0042&lt;\\\"'<>]" },
    { 2, "[%41\\u0042&amp;lt;&quot;&apos;&lt;&gt;]" },
    { 2, "[%41\\u0042&amp;lt;&#34;&#39;&#60;&#62;]" },
    { 2, "[%2541%5Cu0042%26lt%3B%22%27%3C%3E]" },
    { 2, "[%41\\\\u0042\\u0026lt;\\\"'\\u003c\\u003E]" },

    { 3, "[p\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80s]" },
    { 3, "[p\\u00e4\\u20ac\\ud83d\\ude00s]" },
    { 3, "[p\\u00e4\xe2\x82\xac\\ud83d\\ude00s]" },
    { 3, "[p&#228;&#8364;&#x1F600;s]" },
    { 3, "[p%C3%A4%e2%82%ac%F0%9F%98%80s]" },
    { 3, "[p\\\\u00e4\\\\u20ac\\\\ud83d\\\\ude00s]" },
    { 3, "[p\\u00c3\\u00a4\\u00e2\\u0082\\u00ac"
         "\\u00f0\\u009f\\u0098\\u0080s]" },
    { 3, "p\\u00e4\\u20ac\\ud83ds p\\u00e4\\u20ac\\ud83d\\ud83ds" },
    { 3, "p\\u00e4\\u20ac\\ud83d\\u0200s p\\u00e4\\u20ac\\ud83d\\ufe00s" },
    { 3, "p\\u00e4\\u20ac\\ud83d" },

    { 4, "[caf\xe9!] [caf\\u00e9!] [caf%E9!] [caf&#233;!] "
         "[caf\xc3\xa9!] caf\xc3!" },

    { 5, "[\"%25x] [\\\"%25x] [&quot;%25x] [%22%2525x]" },

    { 6, "[x][x] y[%78][%25%37%38]" },

    { 7, "[\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\y]" },
    { 7, "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\y" },

    { 8, "x[ lead] x[+lead] x[%20lead] x[%2Blead]" },

    { 9, "[\xc3\xb6l] [\\u00F6l] [&#xf6;l] [%c3%b6l] [&amp;#246;l]" },
    { 9, "[\\uD83D\\uDE00\\u20AC] [\\uD83D\\uDE00&#8364;] \\u20ac" },
    { 9, "[<\\u0436>] [\\u003c\\u0436>] [&lt;&#1078;&gt;] [<%d0%B6>]" }
};


static ngx_pool_t              *pool;
static ngx_http_idpay_vault_t  *vault;


static ngx_http_idpay_redact_t *
set(ngx_uint_t n)
{
    ngx_str_t                 user, password;
    ngx_uint_t                i;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_http_idpay_redact_create(pool, vault);

    for (i = 0; i < 4 && redact; i++) {
        if (ngx_http_idpay_redact_add(redact, &sets[n][i]) != NGX_OK) {
            return NULL;
        }
    }

    if (n || redact == NULL) {
        return redact;
    }

    ngx_str_set(&user, "user");
    ngx_str_set(&password, "pass");

    if (ngx_http_idpay_redact_add_basic(redact, &user, &password) != NGX_OK) {
        return NULL;
    }

    ngx_str_set(&user, "a");
    ngx_str_set(&password, "bc");

    if (ngx_http_idpay_redact_add_basic(redact, &user, &password) != NGX_OK) {
        return NULL;
    }

    return redact;
}


/* one text in three pieces, the held bytes given again */

static ngx_uint_t
cut(ngx_http_idpay_redact_t *redact, ngx_str_t *in, u_char *out, size_t first,
    size_t second)
{
    size_t      cuts[3], pos, sent, kept, n;
    u_char     *buf;
    ngx_uint_t  i;

    cuts[0] = first;
    cuts[1] = second;
    cuts[2] = in->len;

    pos = 0;
    sent = 0;
    kept = 0;

    for (i = 0; i < 3; i++) {

        /* of the size that it needs, so that a sanitizer sees more */

        buf = malloc(kept + cuts[i] - pos + 1);

        ngx_memcpy(buf, in->data + pos - kept, kept);
        ngx_memcpy(buf + kept, in->data + pos, cuts[i] - pos);

        kept += cuts[i] - pos;
        pos = cuts[i];

        n = ngx_http_idpay_redact_bytes(redact, buf, kept, i == 2);

        ngx_memcpy(out + sent, buf, n);
        free(buf);

        sent += n;
        kept -= n;

        if (kept > redact->max) {
            return 0;
        }
    }

    return kept == 0;
}


static void
test(ngx_http_idpay_redact_t *redact, char *marked)
{
    char        *p;
    size_t       first, second, from, i;
    u_char       in[SIZE], bytes[SIZE], text[SIZE], out[SIZE];
    ngx_str_t    src, whole, less;
    ngx_uint_t   same;

    src.data = in;
    src.len = 0;
    whole.data = bytes;
    less.data = text;
    less.len = 0;
    from = 0;

    for (p = marked; *p; p++) {

        if (*p == '[') {
            from = src.len + 1;

        } else if (*p == ']') {
            for (i = from - 1; i < src.len; i++) {
                bytes[i] = '*';

                if (i < from + 2) {
                    text[less.len++] = '*';
                }
            }

            from = 0;

        } else {
            in[src.len] = *p;
            bytes[src.len++] = *p;

            if (from == 0) {
                text[less.len++] = *p;
            }
        }
    }

    same = 1;

    for (first = 0; first <= src.len; first++) {
        for (second = first; second <= src.len; second++) {

            if (!cut(redact, &src, out, first, second)
                || ngx_memcmp(out, bytes, src.len) != 0)
            {
                if (same) {
                    printf("# cut at %d and %d: %.*s\n", (int) first,
                           (int) second, (int) src.len, (char *) out);
                }

                same = 0;
            }

            if (src.len > PAIRS) {
                break;
            }
        }
    }

    tap_ok(same, "bytes of \"%s\"", marked);

    whole.len = src.len;
    ngx_memcpy(whole.data, in, src.len);
    ngx_http_idpay_redact_text(redact, &whole);

    if (whole.len != less.len
        || ngx_memcmp(whole.data, less.data, less.len) != 0)
    {
        printf("# %.*s\n", (int) whole.len, (char *) whole.data);
        same = 0;
    }

    tap_ok(same, "text of \"%s\"", marked);
}


/*
 * A secret somewhere in what is encoded in base64: each character that has
 * bits of it goes, and no other but the padding.
 */

static void
test_base64(ngx_str_t *value, ngx_uint_t url, ngx_uint_t escaped)
{
    char                     *dst, marked[SIZE];
    u_char                    buf[SIZE], encoded[SIZE];
    size_t                    before, after, i, from, to;
    ngx_str_t                 in, out;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_http_idpay_redact_create(pool, vault);
    (void) ngx_http_idpay_redact_add(redact, value);

    in.data = buf;
    out.data = encoded;

    for (before = 0; before < 6; before++) {
        for (after = 0; after < 6; after++) {
            in.len = before + value->len + after;
            ngx_memset(buf, 'z', in.len);
            ngx_memcpy(buf + before, value->data, value->len);

            if (url) {
                ngx_encode_base64url(&out, &in);

            } else {
                ngx_encode_base64(&out, &in);
            }

            from = before * 8 / 6;
            to = ((before + value->len) * 8 + 5) / 6;
            dst = marked;
            *dst++ = '"';

            for (i = 0; i < out.len; i++) {

                if (i == from) {
                    *dst++ = '[';
                }

                if (i == to && out.data[i] != '=') {
                    *dst++ = ']';
                    to = out.len + 1;
                }

                if (escaped && (i % 2 || out.data[i] == '+')) {
                    dst += snprintf(dst, 8, "%%%02x", out.data[i]);

                } else {
                    *dst++ = out.data[i];
                }
            }

            if (to <= out.len) {
                *dst++ = ']';
            }

            *dst++ = '"';
            *dst = '\0';

            test(redact, marked);
        }
    }
}


/* what may begin a secret and is too long is overwritten, and no longer held */

static void
test_max(void)
{
    u_char                    buf[SIZE], stars[SIZE], *p;
    size_t                    len, n, rest;
    ngx_str_t                 value;
    ngx_uint_t                i, held, wiped;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_http_idpay_redact_create(pool, vault);

    ngx_str_set(&value, "----b");
    (void) ngx_http_idpay_redact_add(redact, &value);

    /* base64 of it has up to 10 characters, with the padding */

    tap_ok(redact->max == 10 * NGX_HTTP_IDPAY_REDACT_SPREAD, "bytes to hold");

    ngx_memset(stars, '*', SIZE);

    held = 1;
    wiped = 1;

    for (rest = 1; rest <= 156; rest++) {
        p = ngx_cpymem(buf, "text", 4);

        for (i = 0; i < 4; i++) {
            p = ngx_cpymem(p, "%26%23%30%30%30%30%30%30%30%30%34%35%3B", 39);
        }

        len = 4 + rest;
        n = ngx_http_idpay_redact_bytes(redact, buf, len, 0);

        if (rest <= redact->max) {
            held &= (n == 4);

        } else {
            wiped &= (n == len && ngx_memcmp(buf + 4, stars, rest) == 0);
        }

        wiped &= (ngx_memcmp(buf, "text", 4) == 0);
    }

    tap_ok(held, "what may be a secret is held");
    tap_ok(wiped, "what is too long to be held is overwritten");
}


/* a run of backslashes has more readings than are followed */

static void
test_run(void)
{
    size_t                    len, i;
    u_char                    buf[SIZE];
    ngx_uint_t                n, found;
    ngx_http_idpay_redact_t  *redact;

    redact = set(7);

    for (n = 1; n <= 16; n *= 2) {
        len = (sets[7][0].len - 1) * n;

        ngx_memset(buf, '\\', len);
        buf[len] = 'y';

        (void) ngx_http_idpay_redact_bytes(redact, buf, len + 1, 1);

        found = 1;

        for (i = 0; i <= len; i++) {
            found &= (buf[i] == '*');
        }

        tap_ok(found == (n <= 8), "backslashes, %d for each", (int) n);
    }
}


/* a secret that repeats itself costs no more than is allowed */

static void
test_steps(void)
{
    size_t                    i, len;
    u_char                   *buf;
    ngx_str_t                 value, text;
    ngx_uint_t                last, found;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_http_idpay_redact_create(pool, vault);

    value.len = NGX_HTTP_IDPAY_SECRET_MAX;
    value.data = ngx_http_idpay_vault_alloc(vault, value.len);
    ngx_memset(value.data, 'a', value.len);
    value.data[value.len - 1] = 'b';

    (void) ngx_http_idpay_redact_add(redact, &value);

    len = 65536;
    buf = malloc(len);

    for (last = 0; last < 2; last++) {
        ngx_memset(buf, 'a', len);
        buf[0] = '-';

        found = (ngx_http_idpay_redact_bytes(redact, buf, len, last) == len);
        found &= (buf[0] == '-');

        for (i = 2048; i < len; i++) {
            found &= (buf[i] == '*');
        }

        tap_ok(found, "bytes that take too long are overwritten");
    }

    ngx_memset(buf, 'a', len);

    text.data = buf;
    text.len = len;

    ngx_http_idpay_redact_text(redact, &text);

    tap_ok(text.len < 2048 + 3
           && ngx_memcmp(buf + text.len - 4, "a***", 4) == 0,
           "text that takes too long is cut off");

    free(buf);
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    u_char                   *pos;
    size_t                    len;
    ngx_log_t                 log;
    ngx_str_t                 value;
    ngx_uint_t                i;
    ngx_http_idpay_redact_t  *redact;

    ngx_pagesize = 4096;
    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);
    vault = ngx_http_idpay_vault_create(pool);

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        redact = set(texts[i].set);

        if (redact == NULL) {
            tap_ok(0, "set %d", (int) texts[i].set);
            continue;
        }

        test(redact, texts[i].text);
    }

    ngx_str_set(&value, "~~~?>?>?>!!");

    for (i = 0; i < 3; i++) {
        test_base64(&value, 0, 0);
        test_base64(&value, 1, 0);
        test_base64(&value, 0, 1);
        value.len--;
    }

    test_max();
    test_run();
    test_steps();

    /* nothing to find, and nothing to find it in */

    redact = ngx_http_idpay_redact_create(pool, vault);
    ngx_str_null(&value);
    tap_ok(ngx_http_idpay_redact_add(redact, &value) == NGX_OK,
           "a value of nothing");
    test(redact, "100%25 of \\");
    tap_ok(redact->max == 0, "nothing is held");

    /* what is taken of the vault */

    for (len = 1; len < 100; len++) {
        redact = ngx_http_idpay_redact_create(pool, vault);

        value.len = len;
        value.data = ngx_http_idpay_vault_alloc(vault, len);
        ngx_memset(value.data, 'a', len);

        pos = vault->pos;
        (void) ngx_http_idpay_redact_add(redact, &value);

        if ((size_t) (vault->pos - pos) > 10 * len) {
            break;
        }
    }

    tap_ok(len == 100, "ten times the length of the vault, not more");

    ngx_destroy_pool(pool);

    return tap_done();
}
