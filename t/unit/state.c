
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The state that goes by way of a browser.
 */


#include "../../src/credential/ngx_http_idpay_state.c"

#include "tap.h"


#define NOW  1783987200LL


static void test_round_trip(size_t len);
static void test_times(void);
static void test_others(void);
static void test_texts(void);
static void test_refused(void);
static void seal(char *caller, ngx_str_t *text);
static ngx_int_t open_text(ngx_str_t *text);
static u_char *block(size_t len);


static u_char     key[NGX_HTTP_IDPAY_KEY_LEN];
static ngx_str_t  provider = ngx_string("gopay");
static ngx_str_t  cookie = ngx_string("8IPjAdJrtFCTyvjKAfTh5A");


static struct {
    char     *name;
    int64_t   now;
    int64_t   rc;
} times[] = {
    { "at once", NOW, NGX_OK },
    { "a second later", NOW + 1, NGX_OK },
    { "at last", NOW + NGX_HTTP_IDPAY_STATE_LIFE - 1, NGX_OK },
    { "at its end", NOW + NGX_HTTP_IDPAY_STATE_LIFE, NGX_DONE },
    { "a year later", NOW + 366 * 86400, NGX_DONE },
    { "the clock was set back", NOW - 10, NGX_OK },
    { "the end of time", 0x7fffffffffffffffLL, NGX_DONE },
    { "before 1970", -1, NGX_OK }
};


static struct {
    char  *name;
    char  *text;
} texts[] = {
    { "empty", "" },
    { "one character", "A" },
    { "no base64", "!!!!" },
    { "base64 of something", "aGVsbG8gd29ybGQ" },
    { "base64 of zeros",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
    { "less than it must have",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
    { "padding alone", "====" }
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    size_t  len;

    memset(key, 'k', sizeof(key));

    for (len = 0; len < 5; len++) {
        test_round_trip(len);
        test_round_trip(NGX_HTTP_IDPAY_STATE_CALLER - len);
    }

    test_times();
    test_others();
    test_texts();
    test_refused();

    return tap_done();
}


static void
test_round_trip(size_t len)
{
    u_char                  *buf;
    ngx_int_t                rc;
    ngx_str_t                text, again, caller;
    ngx_uint_t               i, plain;
    ngx_http_idpay_state_t   state, other;

    caller.len = len;
    caller.data = block(len);

    for (i = 0; i < len; i++) {
        caller.data[i] = (u_char) (i * 7);
    }

    text.data = block(NGX_HTTP_IDPAY_STATE_MAX(len));
    again.data = block(NGX_HTTP_IDPAY_STATE_MAX(len));

    rc = ngx_http_idpay_state_seal(key, &provider, &cookie, &caller, NOW,
                                   &text);
    plain = 1;

    for (i = 0; rc == NGX_OK && i < text.len; i++) {
        if (!isalnum(text.data[i]) && text.data[i] != '-'
            && text.data[i] != '_')
        {
            plain = 0;
        }
    }

    tap_ok(rc == NGX_OK && plain && text.len <= NGX_HTTP_IDPAY_STATE_MAX(len),
           "%d bytes: sealed", (int) len);

    buf = block(text.len);

    rc = ngx_http_idpay_state_open(key, &provider, &cookie, &text, NOW + 1,
                                   buf, &state);

    tap_ok(rc == NGX_OK
           && state.end == NOW + NGX_HTTP_IDPAY_STATE_LIFE
           && state.caller.len == len
           && memcmp(state.caller.data, caller.data, len) == 0,
           "%d bytes: opened", (int) len);

    free(buf);

    /* with an id of its own */

    rc = ngx_http_idpay_state_seal(key, &provider, &cookie, &caller, NOW,
                                   &again);
    buf = block(again.len);

    tap_ok(rc == NGX_OK
           && ngx_http_idpay_state_open(key, &provider, &cookie, &again, NOW,
                                        buf, &other)
              == NGX_OK
           && memcmp(state.id, other.id, NGX_HTTP_IDPAY_STATE_ID) != 0,
           "%d bytes: again", (int) len);

    free(buf);
    free(text.data);
    free(again.data);
    free(caller.data);
}


static void
test_times(void)
{
    u_char                  *buf;
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_uint_t               i;
    ngx_http_idpay_state_t   state;

    seal("customer123", &text);
    buf = block(text.len);

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        memset(&state, 0, sizeof(state));

        rc = ngx_http_idpay_state_open(key, &provider, &cookie, &text,
                                       times[i].now, buf, &state);

        tap_ok(rc == times[i].rc
               && state.end == NOW + NGX_HTTP_IDPAY_STATE_LIFE
               && state.caller.len == 11,
               "opened %s", times[i].name);
    }

    free(buf);
    free(text.data);
}


static void
test_others(void)
{
    u_char                  *buf;
    ngx_str_t                text, other;
    ngx_uint_t               i, opened;
    ngx_http_idpay_state_t   state;

    seal("customer123", &text);
    buf = block(text.len);
    opened = 0;

    for (i = 0; i < sizeof(key) * 8; i++) {
        key[i / 8] ^= 1 << i % 8;
        opened += (open_text(&text) != NGX_DECLINED);
        key[i / 8] ^= 1 << i % 8;
    }

    tap_ok(opened == 0, "another key");

    ngx_str_set(&other, "gopay2");
    tap_ok(ngx_http_idpay_state_open(key, &other, &cookie, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "another provider");

    ngx_str_null(&other);
    tap_ok(ngx_http_idpay_state_open(key, &other, &cookie, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "no provider");

    tap_ok(ngx_http_idpay_state_open(key, &provider, &other, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "no cookie");

    ngx_str_set(&other, "8IPjAdJrtFCTyvjKAfTh5B");
    tap_ok(ngx_http_idpay_state_open(key, &provider, &other, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "another cookie");

    other = cookie;
    other.len--;
    tap_ok(ngx_http_idpay_state_open(key, &provider, &other, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "less of the cookie");

    /* the same letters, parted elsewhere */

    provider.len--;
    ngx_str_set(&other, "y8IPjAdJrtFCTyvjKAfTh5A");
    tap_ok(ngx_http_idpay_state_open(key, &provider, &other, &text, NOW, buf,
                                     &state)
           == NGX_DECLINED, "a letter of the provider in the cookie");
    provider.len++;

    tap_ok(open_text(&text) == NGX_OK, "none of these");

    free(buf);
    free(text.data);
}


static void
test_texts(void)
{
    size_t      len;
    u_char      c, last;
    ngx_str_t   text, longer;
    ngx_uint_t  i, n, opened;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        text.len = ngx_strlen(texts[i].text);
        text.data = block(text.len);
        memcpy(text.data, texts[i].text, text.len);

        tap_ok(open_text(&text) == NGX_DECLINED, "text: %s", texts[i].name);

        free(text.data);
    }

    ngx_str_null(&text);
    tap_ok(open_text(&text) == NGX_DECLINED, "text: no address");

    for (n = 0; n < 3; n++) {

        seal("abc" + n, &text);
        opened = 0;

        /* any character, and any of the last, where bits may mean nothing */

        for (i = 0; i < text.len; i++) {
            c = text.data[i];
            text.data[i] = (c == 'A') ? 'B' : 'A';
            opened += (open_text(&text) != NGX_DECLINED);
            text.data[i] = c;
        }

        last = text.data[text.len - 1];

        for (i = 0; i < 256; i++) {
            if (i != last) {
                text.data[text.len - 1] = i;
                opened += (open_text(&text) != NGX_DECLINED);
            }
        }

        text.data[text.len - 1] = last;

        tap_ok(opened == 0, "text: a changed character, %d", (int) n);

        opened = 0;
        len = text.len;

        for (text.len = 0; text.len < len; text.len++) {
            opened += (open_text(&text) != NGX_DECLINED);
        }

        tap_ok(opened == 0, "text: cut, %d", (int) n);

        opened = 0;
        longer.data = block(len + 4);
        memcpy(longer.data, text.data, len);

        for (longer.len = len + 1; longer.len <= len + 4; longer.len++) {
            longer.data[longer.len - 1] = '=';
            opened += (open_text(&longer) != NGX_DECLINED);
        }

        memset(longer.data + len, 'A', 4);

        for (longer.len = len + 1; longer.len <= len + 4; longer.len++) {
            opened += (open_text(&longer) != NGX_DECLINED);
        }

        tap_ok(opened == 0, "text: longer, %d", (int) n);
        tap_ok(open_text(&text) == NGX_OK, "text: not changed, %d", (int) n);

        free(longer.data);
        free(text.data);
    }

    opened = 0;

    for (len = 0; len < 2000; len++) {
        text.len = len;
        text.data = block(len);
        memset(text.data, 'A', len);
        opened += (open_text(&text) != NGX_DECLINED);
        free(text.data);
    }

    tap_ok(opened == 0, "text: of any length");

    text.len = 1 << 20;
    text.data = block(text.len);
    memset(text.data, 'A', text.len);
    tap_ok(open_text(&text) == NGX_DECLINED, "text: 1 MB");
    free(text.data);
}


static void
test_refused(void)
{
    ngx_str_t  text, caller, empty;

    ngx_str_null(&empty);

    caller.len = NGX_HTTP_IDPAY_STATE_CALLER + 1;
    caller.data = block(caller.len);
    text.data = block(NGX_HTTP_IDPAY_STATE_MAX(caller.len));

    tap_ok(ngx_http_idpay_state_seal(key, &provider, &cookie, &caller, NOW,
                                     &text)
           == NGX_ERROR, "seal: a caller's state that is too long");

    caller.len = 1;

    tap_ok(ngx_http_idpay_state_seal(key, &provider, &empty, &caller, NOW,
                                     &text)
           == NGX_ERROR, "seal: no cookie");

    tap_ok(ngx_http_idpay_state_seal(key, &provider, &cookie, &empty, NOW,
                                     &text)
           == NGX_OK, "seal: no caller's state");

    free(caller.data);
    free(text.data);
}


static void
seal(char *caller, ngx_str_t *text)
{
    ngx_str_t  value;

    value.data = (u_char *) caller;
    value.len = ngx_strlen(caller);

    text->data = block(NGX_HTTP_IDPAY_STATE_MAX(value.len));

    (void) ngx_http_idpay_state_seal(key, &provider, &cookie, &value, NOW,
                                     text);
}


/* nothing is set where it does not open */

static ngx_int_t
open_text(ngx_str_t *text)
{
    u_char                  *buf;
    ngx_int_t                rc;
    ngx_http_idpay_state_t   state;

    buf = block(text->len);
    memset(&state, 0, sizeof(state));

    rc = ngx_http_idpay_state_open(key, &provider, &cookie, text, NOW, buf,
                                   &state);

    if (rc != NGX_OK && (state.end || state.caller.data || state.id[0])) {
        rc = NGX_OK;
    }

    free(buf);

    return rc;
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
