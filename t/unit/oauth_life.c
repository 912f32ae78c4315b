
/*
 * Copyright (C) 2026 idpay contributors
 *
 * How long a token lives: by the answer, or by itself.
 */


#include "../../src/credential/ngx_http_idpay_oauth.c"

#include "tap.h"


#define NOW    1783987200LL
#define MIN    NGX_HTTP_IDPAY_MIN_LIFE
#define MAX    NGX_HTTP_IDPAY_MAX_LIFE
#define E53    (1LL << 53)
#define FIRST  (-0x7fffffffffffffffLL - 1)
#define LAST   0x7fffffffffffffffLL


/* an access token of GoPay's reference, which ends at 1513597098 */

#define JWT                                                                   \
    "eyJraWQiOiJkZWZhdWx0IiwidHlwIjoiSldUIiwiYWxnIjoiUlMyNTYifQ."             \
    "eyJzdWIiOiJodHRwOi8vYXV0aC9hcHAvMzI3IiwiaXNzIjoiZ29wYXkuY29tIiwic2NvcG"  \
    "VzIjpbInBlcm0uY2xpZW50LmlkZW50aWZpY2F0aW9uIiwiaHR0cDovL2NsaWVudC9jbGll"  \
    "bnRwcm9maWxlLzU4MSJdLCJleHAiOjE1MTM1OTcwOTgsImp0aSI6Ijg5MTc0NzE1Mjc3Nz"  \
    "k1MjczNDkifQ."                                                           \
    "QKKKC9EkxWS"


static ngx_http_idpay_grant_t  standard = {
    ngx_string("/oauth2/token"), 1, NGX_HTTP_IDPAY_CLIENT_BASIC,
    ngx_string("scope=payment-all"),
    ngx_string("access_token"), ngx_null_string, ngx_null_string,
    ngx_string("expires_in"), 1800
};


static struct {
    char      *name;
    char      *token;
    int64_t    exp;
    ngx_int_t  rc;
} tokens[] = {
    { "a token of the reference", JWT, 1513597098, NGX_OK },
    { "no signature", "eyJ9.eyJleHAiOjF9.", 1, NGX_OK },
    { "no header", ".eyJleHAiOjF9.x", 0, NGX_DECLINED },
    { "no payload", "x..x", 0, NGX_DECLINED },
    { "one part", "eyJleHAiOjF9", 0, NGX_DECLINED },
    { "two parts", "x.eyJleHAiOjF9", 0, NGX_DECLINED },
    { "four parts", "x.eyJleHAiOjF9.x.x", 0, NGX_DECLINED },
    { "five parts", "x.eyJleHAiOjF9.x.x.x", 0, NGX_DECLINED },
    { "dots", "..", 0, NGX_DECLINED },
    { "a dot", ".", 0, NGX_DECLINED },
    { "nothing", "", 0, NGX_DECLINED },
    { "padding", "x.eyJleHAiOjEwfQ==.x", 0, NGX_DECLINED },
    { "without that padding", "x.eyJleHAiOjEwfQ.x", 10, NGX_OK },
    { "padding within", "x.eyJleHAiOjF9=AAA.x", 0, NGX_DECLINED },
    { "1 mod 4 characters", "x.eyJleHAiOjF9A.x", 0, NGX_DECLINED },
    { "one character", "x.e.x", 0, NGX_DECLINED },
    { "a space", "x.eyJleHAiOjF9 .x", 0, NGX_DECLINED },
    { "a line feed", "x.eyJl\neHAiOjF9.x", 0, NGX_DECLINED },
    { "the other alphabet", "x.eyJleHAiOjEsImEiOiI+Pz8/In0.x", 0,
      NGX_DECLINED },
    { "the alphabet", "x.eyJleHAiOjEsImEiOiI-Pz8_In0.x", 1, NGX_OK },
    { "cut", "x.eyJleHAiOjE.x", 0, NGX_DECLINED },
    { "no JSON", "x.aGVsbG8.x", 0, NGX_DECLINED }
};


static struct {
    char      *payload;
    int64_t    exp;
    ngx_int_t  rc;
} claims[] = {
    { "{\"exp\":1783990800}", 1783990800, NGX_OK },
    { "{\"exp\":1783990800.999999999999999999999}", 1783990800, NGX_OK },
    { "{\"exp\":1.7839908e9}", 1783990800, NGX_OK },
    { "{\"exp\":1.7839908005E+9}", 1783990800, NGX_OK },
    { "{\"exp\":17839908005e-1}", 1783990800, NGX_OK },
    { "{\"exp\":0.17839908e10}", 1783990800, NGX_OK },
    { "{\"exp\":0.0000017839908e15}", 1783990800, NGX_OK },
    { "{\"exp\":\"1783990800\"}", 1783990800, NGX_OK },
    { "{\"exp\":0}", 0, NGX_OK },
    { "{\"exp\":-0}", 0, NGX_OK },
    { "{\"exp\":-1}", -1, NGX_OK },
    { "{\"exp\":-1.5}", -2, NGX_OK },
    { "{\"exp\":-0.5}", -1, NGX_OK },
    { "{\"exp\":-1e-400}", -1, NGX_OK },
    { "{\"exp\":0.5}", 0, NGX_OK },
    { "{\"exp\":1e-1}", 0, NGX_OK },
    { "{\"exp\":1e-999999999999}", 0, NGX_OK },
    { "{\"exp\":1e400}", E53, NGX_OK },
    { "{\"exp\":-1e400}", -E53, NGX_OK },
    { "{\"exp\":1e99999999999999999999}", E53, NGX_OK },
    { "{\"exp\":0e99999999999999999999}", 0, NGX_OK },
    { "{\"exp\":9007199254740991}", E53 - 1, NGX_OK },
    { "{\"exp\":9007199254740992}", E53, NGX_OK },
    { "{\"exp\":9007199254740993}", E53, NGX_OK },
    { "{\"exp\":9223372036854775807}", E53, NGX_OK },
    { "{\"exp\":9223372036854775808}", E53, NGX_OK },
    { "{\"exp\":18446744073709551617}", E53, NGX_OK },
    { "{\"exp\":100000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000}",
      E53, NGX_OK },
    { "{\"exp\":1,\"exp\":2}", 1, NGX_OK },
    { "{\"exp\":null,\"exp\":2}", 0, NGX_DECLINED },
    { "{\"exp\":null}", 0, NGX_DECLINED },
    { "{\"exp\":true}", 0, NGX_DECLINED },
    { "{\"exp\":[1]}", 0, NGX_DECLINED },
    { "{\"exp\":{\"exp\":1}}", 0, NGX_DECLINED },
    { "{\"exp\":\"\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"-\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"+1\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"--1\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1.\"}", 0, NGX_DECLINED },
    { "{\"exp\":\".1\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1.2.3\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1e\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1e+\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1e-\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1e1e1\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"e1\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1 \"}", 0, NGX_DECLINED },
    { "{\"exp\":\"1\\u0000\"}", 0, NGX_DECLINED },
    { "{\"exp\":\"tomorrow\"}", 0, NGX_DECLINED },
    { "{\"exp\":01}", 0, NGX_DECLINED },
    { "{\"exp\":+1}", 0, NGX_DECLINED },
    { "{\"exp\":NaN}", 0, NGX_DECLINED },
    { "{\"EXP\":1}", 0, NGX_DECLINED },
    { "{\"a\":{\"exp\":1}}", 0, NGX_DECLINED },
    { "{}", 0, NGX_DECLINED },
    { "[1]", 0, NGX_DECLINED },
    { "1", 0, NGX_DECLINED },
    { "{\"exp\":1} ", 1, NGX_OK },
    { "{\"exp\":1}{}", 0, NGX_DECLINED }
};


static struct {
    char     *name;
    int64_t   exp;      /* 0: the body says 3600 */
    int64_t   began;
    int64_t   now;
    time_t    life;
} times[] = {
    { "took no time", 0, NOW, NOW, 3600 },
    { "took a minute", 0, NOW - 60, NOW, 3540 },
    { "took longer than it lives", 0, NOW - 4000, NOW, MIN },
    { "the clock was set back", 0, NOW + 86400, NOW, 3600 },
    { "the clock was set to 1970", 0, NOW, 0, 3600 },
    { "the clock was set from 1970", 0, 0, NOW, MIN },
    { "from the first second to the last", 0, FIRST, LAST,
      MIN },
    { "from the last second to the first", 0, LAST, FIRST,
      3600 },
    { "ends in an hour", NOW + 3600, NOW - 60, NOW, 3600 },
    { "ends in a minute and a second", NOW + 61, NOW, NOW, 61 },
    { "ends in a minute", NOW + 60, NOW, NOW, MIN },
    { "ends now", NOW, NOW, NOW, MIN },
    { "has ended", NOW - 1, NOW, NOW, MIN },
    { "ends in a week", NOW + 7 * 86400, NOW, NOW, MAX },
    { "ends in a year", NOW + 366 * 86400, NOW, NOW, MAX },
    { "ends in a minute, the clock is far behind", NOW + 60, 0, 0, MAX },
    { "ends when time began", E53, FIRST, FIRST, MAX },
    { "has ended when time ends", E53, LAST, LAST, MIN }
};


static void test_tokens(void);
static void test_claims(void);
static void test_long(void);
static void test_times(void);
static void test_default(void);
static time_t life(ngx_http_idpay_grant_t *grant, char *body, int64_t began,
    int64_t now);
static void jwt(u_char *dst, char *payload);


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_tokens();
    test_claims();
    test_long();
    test_times();
    test_default();

    return tap_done();
}


static void
test_tokens(void)
{
    int64_t      exp;
    ngx_int_t    rc;
    ngx_str_t    token;
    ngx_uint_t   i;

    for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        token.len = ngx_strlen(tokens[i].token);
        token.data = malloc(token.len);
        memcpy(token.data, tokens[i].token, token.len);

        rc = ngx_http_idpay_oauth_exp(&token, &exp);

        tap_ok(rc == tokens[i].rc && (rc != NGX_OK || exp == tokens[i].exp),
               "token: %s", tokens[i].name);

        free(token.data);
    }

    ngx_str_null(&token);
    tap_ok(ngx_http_idpay_oauth_exp(&token, &exp) == NGX_DECLINED,
           "token: no address");
}


static void
test_claims(void)
{
    int64_t      exp;
    ngx_int_t    rc;
    ngx_str_t    token;
    ngx_uint_t   i;

    for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        token.data = malloc(1024);
        jwt(token.data, claims[i].payload);
        token.len = ngx_strlen(token.data);

        rc = ngx_http_idpay_oauth_exp(&token, &exp);

        tap_ok(rc == claims[i].rc && (rc != NGX_OK || exp == claims[i].exp),
               "payload: %s", claims[i].payload);

        free(token.data);
    }
}


/* numbers that take a token to its limit, and beyond */

static void
test_long(void)
{
    char       *payload;
    int64_t     exp;
    ngx_int_t   rc;
    ngx_str_t   token;
    ngx_uint_t  len;

    payload = malloc(8192);
    token.data = malloc(12288);

    for (len = 6100; len < 6200; len++) {
        memset(payload, '1', len);
        memcpy(payload, "{\"exp\":", 7);
        memcpy(payload + len - 1, "}", 2);

        jwt(token.data, payload);
        token.len = ngx_strlen(token.data);

        rc = ngx_http_idpay_oauth_exp(&token, &exp);

        if (token.len > NGX_HTTP_IDPAY_MAX_TOKEN
            ? rc != NGX_DECLINED : (rc != NGX_OK || exp != E53))
        {
            break;
        }
    }

    tap_ok(len == 6200, "token: exp of up to %d bytes", (int) len);

    memset(token.data, 'x', 12288);
    memcpy(token.data, "x.", 2);
    token.data[NGX_HTTP_IDPAY_MAX_TOKEN - 1] = '.';
    token.len = NGX_HTTP_IDPAY_MAX_TOKEN;

    tap_ok(ngx_http_idpay_oauth_exp(&token, &exp) == NGX_DECLINED,
           "token: a payload that fills it");

    free(payload);
    free(token.data);
}


static void
test_times(void)
{
    char        body[512], payload[64];
    u_char      token[256];
    ngx_uint_t  i;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {

        snprintf(payload, sizeof(payload), "{\"exp\":%lld}",
                 (long long) times[i].exp);
        jwt(token, payload);
        snprintf(body, sizeof(body),
                 times[i].exp ? "{\"access_token\":\"%s\"}"
                              : "{\"access_token\":\"%s\",\"expires_in\":3600}",
                 token);

        tap_ok(life(&standard, body, times[i].began, times[i].now)
               == times[i].life, "life: %s", times[i].name);
    }
}


static void
test_default(void)
{
    ngx_http_idpay_grant_t  grant;

    grant = standard;
    tap_ok(life(&grant, "{\"access_token\":\"t\"}", 0, NOW) == 1800,
           "default life");

    grant.life = 1;
    tap_ok(life(&grant, "{\"access_token\":\"t\"}", NOW, NOW) == MIN,
           "default life: short");

    grant.life = 366 * 86400;
    tap_ok(life(&grant, "{\"access_token\":\"t\"}", NOW, NOW) == MAX,
           "default life: long");
}


/* 0 where there is no token */

static time_t
life(ngx_http_idpay_grant_t *grant, char *body, int64_t began, int64_t now)
{
    u_char                         *buf;
    ngx_str_t                       text;
    ngx_http_idpay_oauth_answer_t   answer;

    text.data = (u_char *) body;
    text.len = ngx_strlen(body);
    buf = malloc(text.len);

    ngx_http_idpay_oauth_parse(grant, 0, 200, &text, began, now, buf, &answer);

    free(buf);

    return answer.life;
}


static void
jwt(u_char *dst, char *payload)
{
    ngx_str_t  text, encoded;

    dst = ngx_cpymem(dst, "eyJhbGciOiJSUzI1NiJ9.", 21);

    text.data = (u_char *) payload;
    text.len = ngx_strlen(payload);
    encoded.data = dst;

    ngx_encode_base64url(&encoded, &text);

    (void) ngx_cpymem(dst + encoded.len, ".c2ln", 6);
}
