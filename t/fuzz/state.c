
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A state that was sealed, and what is made of its text: a line of changes,
 * each the place, the byte, and how; and the caller's state.  Without a change
 * it opens and is the same, with one it does not, and no other text does.
 */


#include "../../src/credential/ngx_http_idpay_state.c"
#include "../../src/lib/ngx_http_idpay_crypto.c"

#include "fuzz.h"

#include <string.h>


#define FUZZ_NOW   1783987200LL
#define FUZZ_SIZE  1024


static void fuzz_foreign(ngx_str_t *text);
static void fuzz_change(ngx_str_t *text, const u_char *data, size_t size);
static ngx_int_t fuzz_open(ngx_str_t *text, ngx_http_idpay_state_t *state,
    u_char *caller);


static const u_char  key[NGX_HTTP_IDPAY_KEY_LEN] = "a key";
static ngx_str_t     provider = ngx_string("gopay");
static ngx_str_t     cookie = ngx_string("8IPjAdJrtFCTyvjKAfTh5A");


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t                   changes;
    u_char                  *p, caller[FUZZ_SIZE];
    ngx_int_t                rc;
    ngx_str_t                given, text, sealed;
    ngx_http_idpay_state_t   state;
    u_char                   first[FUZZ_SIZE], copy[FUZZ_SIZE];

    given.data = malloc(size);
    given.len = size;
    fuzz_ok(given.data);

    ngx_memcpy(given.data, data, size);

    fuzz_foreign(&given);
    free(given.data);

    p = memchr(data, LF, size);
    changes = p ? (size_t) (p - data) : size;

    given.data = (u_char *) data + changes + (p != NULL);
    given.len = size - changes - (p != NULL);

    text.data = malloc(NGX_HTTP_IDPAY_STATE_MAX(given.len));
    fuzz_ok(text.data);

    rc = ngx_http_idpay_state_seal(key, &provider, &cookie, &given, FUZZ_NOW,
                                   &text);

    if (given.len > NGX_HTTP_IDPAY_STATE_CALLER) {
        fuzz_ok(rc == NGX_ERROR);
        free(text.data);
        return 0;
    }

    fuzz_ok(rc == NGX_OK && text.len <= NGX_HTTP_IDPAY_STATE_MAX(given.len));

    ngx_memcpy(first, text.data, text.len);
    sealed.data = first;
    sealed.len = text.len;

    ngx_memcpy(copy, text.data, text.len);
    free(text.data);
    text.data = copy;

    fuzz_change(&text, data, changes);

    rc = fuzz_open(&text, &state, caller);

    if (text.len == sealed.len
        && memcmp(text.data, sealed.data, text.len) == 0)
    {
        fuzz_ok(rc == NGX_OK
                && state.end == FUZZ_NOW + NGX_HTTP_IDPAY_STATE_LIFE
                && state.caller.len == given.len
                && (given.len == 0
                    || memcmp(caller, given.data, given.len) == 0));

    } else {
        fuzz_ok(rc == NGX_DECLINED);
    }

    return 0;
}


/* the input itself, as it is and as what would be sealed */

static void
fuzz_foreign(ngx_str_t *text)
{
    u_char                   caller[FUZZ_SIZE];
    ngx_str_t                encoded;
    ngx_http_idpay_state_t   state;

    fuzz_ok(fuzz_open(text, &state, caller) == NGX_DECLINED);

    encoded.data = malloc(ngx_base64_encoded_length(text->len));
    fuzz_ok(encoded.data);

    ngx_encode_base64url(&encoded, text);

    fuzz_ok(fuzz_open(&encoded, &state, caller) == NGX_DECLINED);

    free(encoded.data);
}


static void
fuzz_change(ngx_str_t *text, const u_char *data, size_t size)
{
    size_t  at;

    for ( /* void */ ; size >= 3; data += 3, size -= 3) {

        at = (data[0] | (data[2] & 0xfc) << 6) % (text->len + 1);

        switch (data[2] & 3) {

        case 0:
            if (at < text->len) {
                text->data[at] = data[1];
            }

            break;

        case 1:
            text->len = at;
            break;

        case 2:
            if (text->len < FUZZ_SIZE) {
                memmove(text->data + at + 1, text->data + at, text->len - at);
                text->data[at] = data[1];
                text->len++;
            }

            break;

        default:
            if (at < text->len) {
                memmove(text->data + at, text->data + at + 1,
                        text->len - at - 1);
                text->len--;
            }

            break;
        }
    }
}


/* in blocks of just their size */

static ngx_int_t
fuzz_open(ngx_str_t *text, ngx_http_idpay_state_t *state, u_char *caller)
{
    u_char     *buf;
    ngx_int_t   rc;
    ngx_str_t   block;

    block.len = text->len;
    block.data = malloc(text->len);
    buf = malloc(text->len);

    fuzz_ok(block.data && buf);
    ngx_memcpy(block.data, text->data, text->len);

    rc = ngx_http_idpay_state_open(key, &provider, &cookie, &block, FUZZ_NOW,
                                   buf, state);

    if (rc == NGX_OK) {
        fuzz_ok(state->caller.data >= buf
                && state->caller.data + state->caller.len <= buf + text->len
                && state->caller.len <= NGX_HTTP_IDPAY_STATE_CALLER);

        ngx_memcpy(caller, state->caller.data, state->caller.len);
    }

    free(buf);
    free(block.data);

    return rc;
}
