
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Keys that are derived, texts that are sealed.
 */


#include "../../src/lib/ngx_http_idpay_crypto.c"

#include "tap.h"


#define MAX_LEN  64


static void test_random(void);
static void test_derive(void);
static void test_vector(void);
static void test_round_trip(size_t len, size_t bound_len);
static void test_changed(void);
static void test_short(void);
static void test_long(void);
static void test_hash(void);
static void test_equal(void);
static ngx_uint_t declined(const u_char *key, ngx_str_t *bound,
    ngx_str_t *sealed);
static u_char *block(size_t len);
static void hex(u_char *dst, char *text);


static u_char  key[NGX_HTTP_IDPAY_KEY_LEN];


static struct {
    char    *name;
    char    *secret;
    char    *label;
    size_t   len;
    char    *derived;
} derives[] = {
    { "RFC 5869, test case 3",
      "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", 42,
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
      "9d201395faa4b61a96c8" },
    { "fewer bytes are the first of them",
      "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", 5,
      "8da4e775a5" }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    size_t  len, bound_len;

    memset(key, 'k', sizeof(key));

    test_random();
    test_derive();
    test_vector();

    for (len = 0; len <= MAX_LEN; len += 16) {
        for (bound_len = 0; bound_len <= 17; bound_len += 17) {
            test_round_trip(len, bound_len);
            test_round_trip(len + 1, bound_len);
        }
    }

    test_round_trip(100 * 1024, 100 * 1024);

    test_changed();
    test_short();
    test_long();
    test_hash();
    test_equal();

    tap_ok(ERR_peek_error() == 0, "no error is left");

    return tap_done();
}


static void
test_random(void)
{
    u_char  *a, *b;

    a = block(32);
    b = block(32);

    tap_ok(ngx_http_idpay_crypto_random(a, 32) == NGX_OK
           && ngx_http_idpay_crypto_random(b, 32) == NGX_OK
           && memcmp(a, b, 32) != 0,
           "random bytes");

    tap_ok(ngx_http_idpay_crypto_random(a, 0) == NGX_OK, "none of them");

    tap_ok(ngx_http_idpay_crypto_random(a, (size_t) -1) == NGX_ERROR,
           "too many of them");

    free(a);
    free(b);
}


static void
test_derive(void)
{
    u_char      *p, *other, expected[64];
    ngx_str_t    secret;
    ngx_uint_t   i;

    for (i = 0; i < sizeof(derives) / sizeof(derives[0]); i++) {
        secret.len = ngx_strlen(derives[i].secret) / 2;
        secret.data = block(secret.len);
        hex(secret.data, derives[i].secret);
        hex(expected, derives[i].derived);

        p = block(derives[i].len);

        tap_ok(ngx_http_idpay_crypto_derive(&secret, derives[i].label, p,
                                            derives[i].len)
               == NGX_OK
               && memcmp(p, expected, derives[i].len) == 0,
               "derive: %s", derives[i].name);

        free(p);
        free(secret.data);
    }

    ngx_str_set(&secret, "0123456789abcdef0123456789abcdef");

    p = block(255 * 32 + 1);
    other = block(32);

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "a", p, 255 * 32) == NGX_OK,
           "derive: as much as there is");

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "a", other, 32) == NGX_OK
           && memcmp(p, other, 32) == 0,
           "derive: the same again");

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "b", other, 32) == NGX_OK
           && memcmp(p, other, 32) != 0,
           "derive: another label");

    secret.len--;

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "a", other, 32) == NGX_OK
           && memcmp(p, other, 32) != 0,
           "derive: another secret");

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "a", p, 255 * 32 + 1)
           == NGX_ERROR,
           "derive: more than there is");

    secret.len = (size_t) -1;

    tap_ok(ngx_http_idpay_crypto_derive(&secret, "a", p, 32) == NGX_ERROR,
           "derive: a secret that is too long");

    free(p);
    free(other);
}


/* test case 16 of the proposal of GCM to NIST, behind its nonce */

static void
test_vector(void)
{
    u_char      vector_key[NGX_HTTP_IDPAY_KEY_LEN], text[60], *p;
    ngx_str_t   bound, sealed;

    hex(vector_key, "feffe9928665731c6d6a8f9467308308"
                    "feffe9928665731c6d6a8f9467308308");
    hex(text, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
              "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");

    bound.len = 20;
    bound.data = block(bound.len);
    hex(bound.data, "feedfacedeadbeeffeedfacedeadbeefabaddad2");

    sealed.len = 12 + 60 + 16;
    sealed.data = block(sealed.len);
    hex(sealed.data,
        "cafebabefacedbaddecaf888"
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b");

    p = block(60);

    tap_ok(ngx_http_idpay_crypto_open(vector_key, &bound, &sealed, p) == NGX_OK
           && memcmp(p, text, 60) == 0,
           "open: a known text");

    free(p);
    free(bound.data);
    free(sealed.data);
}


static void
test_round_trip(size_t len, size_t bound_len)
{
    u_char     *p;
    ngx_str_t   bound, text, sealed, again;

    /* nothing may have no address */

    text.len = len;
    text.data = len ? block(len) : NULL;
    bound.len = bound_len;
    bound.data = bound_len ? block(bound_len) : NULL;

    sealed.len = again.len = len + NGX_HTTP_IDPAY_SEAL_EXTRA;
    sealed.data = block(sealed.len);
    again.data = block(again.len);
    p = block(len);

    tap_ok(ngx_http_idpay_crypto_seal(key, &bound, &text, sealed.data)
           == NGX_OK
           && ngx_http_idpay_crypto_open(key, &bound, &sealed, p) == NGX_OK
           && (len == 0 || memcmp(p, text.data, len) == 0),
           "%d bytes, bound to %d", (int) len, (int) bound_len);

    tap_ok(ngx_http_idpay_crypto_seal(key, &bound, &text, again.data)
           == NGX_OK
           && memcmp(sealed.data, again.data, 12) != 0
           && memcmp(sealed.data + 12, again.data + 12, again.len - 12) != 0,
           "%d bytes, sealed again", (int) len);

    free(p);
    free(text.data);
    free(bound.data);
    free(sealed.data);
    free(again.data);
}


static void
test_changed(void)
{
    size_t      i, len;
    u_char      other[NGX_HTTP_IDPAY_KEY_LEN], buf[64];
    ngx_str_t   bound, text, sealed;
    ngx_uint_t  opened;

    ngx_str_set(&text, "a refresh token");
    ngx_str_set(&bound, "gopay 17");

    bound.data = memcpy(buf, bound.data, bound.len);

    sealed.len = text.len + NGX_HTTP_IDPAY_SEAL_EXTRA;
    sealed.data = block(sealed.len);

    (void) ngx_http_idpay_crypto_seal(key, &bound, &text, sealed.data);

    opened = 0;

    for (i = 0; i < sealed.len * 8; i++) {
        sealed.data[i / 8] ^= 1 << i % 8;
        opened += !declined(key, &bound, &sealed);
        sealed.data[i / 8] ^= 1 << i % 8;
    }

    tap_ok(opened == 0, "a bit of what was sealed is changed");

    opened = 0;

    for (i = 0; i < bound.len * 8; i++) {
        bound.data[i / 8] ^= 1 << i % 8;
        opened += !declined(key, &bound, &sealed);
        bound.data[i / 8] ^= 1 << i % 8;
    }

    tap_ok(opened == 0, "a bit of what it is bound to is changed");

    opened = 0;

    for (i = 0; i < sizeof(key) * 8; i++) {
        memcpy(other, key, sizeof(key));
        other[i / 8] ^= 1 << i % 8;
        opened += !declined(other, &bound, &sealed);
    }

    tap_ok(opened == 0, "a bit of the key is changed");

    len = bound.len--;
    tap_ok(declined(key, &bound, &sealed), "bound to less");
    bound.len = 0;
    tap_ok(declined(key, &bound, &sealed), "bound to nothing");
    bound.len = len + 1;
    buf[len] = '0';
    tap_ok(declined(key, &bound, &sealed), "bound to more");
    bound.len = len;

    opened = 0;
    len = sealed.len;

    while (sealed.len--) {
        opened += !declined(key, &bound, &sealed);

        if (sealed.len == 0) {
            break;
        }
    }

    tap_ok(opened == 0, "cut");

    opened = 0;

    for (i = 1; i < len; i++) {
        sealed.data++;
        sealed.len = len - i;
        opened += !declined(key, &bound, &sealed);
    }

    sealed.data -= len - 1;

    tap_ok(opened == 0, "begins later");

    sealed.len = len;
    tap_ok(!declined(key, &bound, &sealed), "not changed");

    free(sealed.data);
}


static void
test_short(void)
{
    u_char     *p, *start;
    ngx_str_t   bound, sealed;

    ngx_str_null(&bound);

    /* there is room for nothing */

    p = block(0);
    start = block(NGX_HTTP_IDPAY_SEAL_EXTRA);

    sealed.data = start;
    sealed.len = NGX_HTTP_IDPAY_SEAL_EXTRA;
    tap_ok(ngx_http_idpay_crypto_open(key, &bound, &sealed, p)
           == NGX_DECLINED, "no text and no seal");

    sealed.len = NGX_HTTP_IDPAY_SEAL_EXTRA - 1;
    tap_ok(ngx_http_idpay_crypto_open(key, &bound, &sealed, p)
           == NGX_DECLINED, "a byte too short");

    sealed.len = 0;
    tap_ok(ngx_http_idpay_crypto_open(key, &bound, &sealed, p)
           == NGX_DECLINED, "empty");

    ngx_str_null(&sealed);
    tap_ok(ngx_http_idpay_crypto_open(key, &bound, &sealed, p)
           == NGX_DECLINED, "no address");

    free(p);
    free(start);
}


/* what OpenSSL could not count is not touched */

static void
test_long(void)
{
    u_char     *p;
    ngx_str_t   some, many;

    p = block(NGX_HTTP_IDPAY_SEAL_EXTRA);

    many.data = p;
    many.len = (size_t) 1 << 32;
    ngx_str_null(&some);

    tap_ok(ngx_http_idpay_crypto_seal(key, &some, &many, p) == NGX_ERROR
           && ngx_http_idpay_crypto_seal(key, &many, &some, p) == NGX_ERROR,
           "seal: too long");

    some.data = p;
    some.len = NGX_HTTP_IDPAY_SEAL_EXTRA;

    tap_ok(ngx_http_idpay_crypto_open(key, &some, &many, p) == NGX_ERROR
           && ngx_http_idpay_crypto_open(key, &many, &some, p) == NGX_ERROR,
           "open: too long");

    free(p);
}


/* the examples of FIPS 180 */

static void
test_hash(void)
{
    u_char     *p, expected[NGX_HTTP_IDPAY_HASH_LEN];
    ngx_str_t   text;

    p = block(NGX_HTTP_IDPAY_HASH_LEN);

    ngx_str_set(&text, "abc");
    hex(expected, "ba7816bf8f01cfea414140de5dae2223"
                  "b00361a396177a9cb410ff61f20015ad");

    tap_ok(ngx_http_idpay_crypto_hash(&text, p) == NGX_OK
           && memcmp(p, expected, NGX_HTTP_IDPAY_HASH_LEN) == 0,
           "hash");

    ngx_str_null(&text);
    hex(expected, "e3b0c44298fc1c149afbf4c8996fb924"
                  "27ae41e4649b934ca495991b7852b855");

    tap_ok(ngx_http_idpay_crypto_hash(&text, p) == NGX_OK
           && memcmp(p, expected, NGX_HTTP_IDPAY_HASH_LEN) == 0,
           "hash: of nothing");

    free(p);
}


static void
test_equal(void)
{
    tap_ok(ngx_http_idpay_crypto_equal((u_char *) "abc", (u_char *) "abc", 3)
           == 1, "equal");
    tap_ok(ngx_http_idpay_crypto_equal((u_char *) "abc", (u_char *) "abd", 3)
           == 0, "not equal");
    tap_ok(ngx_http_idpay_crypto_equal((u_char *) "bbc", (u_char *) "abc", 3)
           == 0, "not equal from the beginning");
    tap_ok(ngx_http_idpay_crypto_equal((u_char *) "abc", (u_char *) "abd", 2)
           == 1, "equal as far as asked");
    tap_ok(ngx_http_idpay_crypto_equal((u_char *) "a", (u_char *) "b", 0)
           == 1, "nothing is equal");
}


/* nothing of the text may be in the room for it */

static ngx_uint_t
declined(const u_char *with, ngx_str_t *bound, ngx_str_t *sealed)
{
    size_t      i, size;
    u_char     *p;
    ngx_int_t   rc;

    size = (sealed->len < NGX_HTTP_IDPAY_SEAL_EXTRA)
           ? 0 : sealed->len - NGX_HTTP_IDPAY_SEAL_EXTRA;
    p = block(size);

    rc = ngx_http_idpay_crypto_open(with, bound, sealed, p);

    for (i = 0; i < size && rc == NGX_DECLINED; i++) {
        if (p[i] != '\0' && p[i] != '-') {
            rc = NGX_OK;
        }
    }

    free(p);

    return rc == NGX_DECLINED;
}


/* of just its size: a sanitizer sees what is written beyond */

static u_char *
block(size_t len)
{
    u_char  *p;

    p = malloc(len);
    memset(p, '-', len);

    return p;
}


static void
hex(u_char *dst, char *text)
{
    for ( /* void */ ; *text; text += 2) {
        *dst++ = ngx_hextoi((u_char *) text, 2);
    }
}
