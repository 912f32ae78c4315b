
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Paths and rules of any bytes: no rest that can be read in more than one way
 * makes a call replay-safe, and nothing is read beyond the path.
 */


#include "../../src/policy/ngx_http_idpay_replay.c"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void fuzz_path(const uint8_t *data, size_t len, size_t rule_len,
    ngx_uint_t rest);
static ngx_uint_t fuzz_doubtful(const uint8_t *p, size_t len, size_t from);
static void fuzz_end(ngx_uint_t end, ngx_uint_t status, ngx_uint_t safe);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t  rule_len;

    if (size < 4) {
        return 0;
    }

    fuzz_end(data[0] % 4, data[0] >> 3 << 8 | data[1], data[2] & 1);

    rule_len = data[1] % (size - 3) + 1;

    fuzz_path(data + 3, size - 3, rule_len, data[2] & 2);

    return 0;
}


/* a path whose first bytes are the rule, and one that lacks its last byte */

static void
fuzz_path(const uint8_t *data, size_t len, size_t rule_len, ngx_uint_t rest)
{
    ngx_str_t                      path;
    ngx_uint_t                     safe;
    ngx_array_t                    rules;
    ngx_http_idpay_replay_rule_t   rule;

    rule.method = NGX_HTTP_POST;
    rule.path.len = rule_len;
    rule.path.data = malloc(rule_len);
    rule.rest = rest ? 1 : 0;

    path.len = len;
    path.data = malloc(len);

    check(rule.path.data && path.data);

    ngx_memcpy(rule.path.data, data, rule_len);
    ngx_memcpy(path.data, data, len);

    rules.elts = &rule;
    rules.nelts = 1;

    safe = ngx_http_idpay_replay_safe(&rules, NGX_HTTP_POST, &path);

    if (len == rule_len) {
        check(safe);

    } else if (!rest || fuzz_doubtful(data, len, rule_len)) {
        check(!safe);

    } else {
        check(safe || memchr(data + rule_len, ';', len - rule_len));
    }

    check(!ngx_http_idpay_replay_safe(&rules, NGX_HTTP_PATCH, &path));
    check(ngx_http_idpay_replay_safe(&rules, NGX_HTTP_PUT, &path));

    free(path.data);

    path.len = rule_len - 1;
    path.data = malloc(path.len);
    ngx_memcpy(path.data, data, path.len);

    check(!ngx_http_idpay_replay_safe(&rules, NGX_HTTP_POST, &path));

    free(path.data);
    free(rule.path.data);
}


/*
 * Looks for bad segments as text between slashes; the last byte of what is
 * found is to be in the rest, or the slash after it.
 */

static ngx_uint_t
fuzz_doubtful(const uint8_t *p, size_t len, size_t from)
{
    u_char              *text;
    size_t               i, n, at, rest, size;
    ngx_uint_t           found;
    static const char  *const  bad[] = { "//", "/./", "/../", "/.;", "/..;" };

    if (memchr(p + from, '%', len - from)
        || memchr(p + from, '\\', len - from))
    {
        return 1;
    }

    rest = 1;

    while (from && p[from - 1] != '/') {
        from--;
        rest++;
    }

    n = len - from;
    text = malloc(n + 2);
    check(text);

    text[0] = '/';
    ngx_memcpy(text + 1, p + from, n);
    text[n + 1] = '/';

    found = 0;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size = ngx_strlen(bad[i]);
        at = (rest + 1 > size) ? rest + 1 - size : 0;

        if (memmem(text + at, n + 2 - at, bad[i], size)) {
            found = 1;
        }
    }

    free(text);

    return found;
}


static void
fuzz_end(ngx_uint_t end, ngx_uint_t status, ngx_uint_t safe)
{
    ngx_uint_t  allowed, unknown;

    allowed = ngx_http_idpay_replay_allowed(end, status, safe);
    unknown = ngx_http_idpay_replay_unknown(end, status, safe);

    /* what may have been done is never done again */

    check(!(allowed && unknown));
    check(!(safe && unknown));

    if (end == NGX_HTTP_IDPAY_ANSWERED && status < 500) {
        check(!unknown && allowed == (status == 429));
    }
}
