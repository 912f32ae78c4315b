
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Members of a JSON body's top level, and the values of a JSON text.
 */


#include <ngx_config.h>
#include <ngx_core.h>

static void *scarce(size_t size);

#define malloc(size)  scarce(size)
#include "../../src/lib/ngx_http_idpay_json.c"

#undef malloc

#include "tap.h"


static ngx_int_t parse(char *text, size_t len, ngx_http_idpay_json_t **json);
static ngx_int_t lead(char *text, char *pointer, size_t len, ngx_str_t *value);
static ngx_uint_t is(ngx_str_t *value, char *text);
static void test_members(void);
static void test_grammar(void);
static void test_placed(char *value, ngx_int_t rc);
static void test_bytes(void);
static void test_depth(void);
static void test_values(void);
static void test_pointers(void);
static void test_next(void);
static void test_memory(void);


static const ngx_str_t  names[] = {
    ngx_string("client_id"),
    ngx_string("secret"),
    ngx_null_string
};


static struct {
    char       *text;
    ngx_int_t   rc;
} texts[] = {
    { "{}", NGX_DECLINED },
    { " {\"a\": 1} \r\n", NGX_DECLINED },
    { "{\"secret\": \"x\"}", NGX_OK },
    { "{\"a\": 1, \"client_id\": null}", NGX_OK },
    { "{\"a\": 1, \"a\": 2, \"Secret\": 3}", NGX_OK },
    { "{\"\\u0073ecret\": \"x\"}", NGX_OK },
    { "{\"client\\u005fid\": \"x\"}", NGX_OK },
    { "{\"\\u017fecret\": \"x\"}", NGX_OK },
    { "{\"\xc5\xbf" "ecret\": \"x\"}", NGX_OK },
    { "{\"secre\xc5\": \"x\"}", NGX_DECLINED },
    { "{\"secre\": \"x\"}", NGX_DECLINED },
    { "{\"user\": {\"secret\": \"x\", \"client_id\": 1}}", NGX_DECLINED },
    { "{\"a\": [{\"secret\": \"x\"}]}", NGX_DECLINED },
    { "{\"a\": \"secret\", \"secrets\": 1}", NGX_DECLINED },
    { "{\"n\": 12345678901234567890123456789.123456789}", NGX_DECLINED },
    { "", NGX_ERROR },
    { "null", NGX_ERROR },
    { "[{\"secret\": 1}]", NGX_ERROR },
    { "\"secret\"", NGX_ERROR },
    { "secret=x&client_id=y", NGX_ERROR },
    { "{\"a\": 1} {\"secret\": 2}", NGX_ERROR },
    { "{\"a\": 1}, \"secret\": 2}", NGX_ERROR },
    { "{\"a\": 1", NGX_ERROR },
    { "{'secret': 1}", NGX_ERROR },
    { "{/* */\"secret\": 1}", NGX_ERROR }
};


/* what may be in an array or an object, and what may not */

static char  *valid[] = {
    "0", "-0", "1", "-1", "10", "0.0", "1.5", "1.05", "0e0", "1e5", "1E5",
    "1e+5", "1e-05", "-12.340E+56", "1e999999", "9007199254740993",
    "18446744073709551616", "9223372036854775807",
    "12345678901234567890123456789.123456789012345678901234567890",
    "0.1000000000000000000000000000000000000000000000000000000000001",
    "1234567890123456789012345678901234567890123456789012345678901234567",

    "true", "false", "null",

    "\"\"", "\"1\"", "\"a 1 01 .5 :\"", "\"\\\"1\"", "\"\\\\\"",
    "\"\\b\\f\\n\\r\\t\\/\"", "\"\x7f\"", "\"\xff\xfe\x80\"",
    "\"\\u00e4\\u00C4\"", "\"\\ud83d\\ude00\"", "\"\\u0000\"",
    "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\n\"",

    "[]", "{}", "[1,-2,3e1]", "{\"1\":1}", "{\"1\" : 1 , \"\": 2}"
};


static char  *invalid[] = {
    "01", "-01", "00", "1.", "-1.", ".5", "-.5", "1.e5", "1.5.5", "+1", "-",
    "--1", "-+1", "1-", "1-1", "1+1", "1e", "1e+", "1e-", "1e+-5", "1e5.5",
    "1ee5", "e5", "1a", "0x10", "1_000", "1/2", "1;", "\xd9\xa1", "NaN",
    "Infinity", "-Infinity",

    "1\"a\"", "\"a\"1", "1\"\"", "\"\"1", "\"a\"1\"b\"", "\"a\" 1", "1 \"a\"",
    "1 2", "1true", "true1", "true 1", "1 true", "null-1", "truefalse",
    "true\"a\"", "\"a\"true", "1[]", "[]1", "1{}", "{}1", "\x01" "1", "1\x01",
    "\x0b" "1", "1\x0c", "true\x01", "\x7f", "/**/1", "1/**/", "1,", ",1",
    "1:2", "\"a\":2", "1,2:3", "{1:2}", "{1 \t:2}", "{-1.5e3:\"a\"}",
    "{\"a\":1,2:3}", "{\"a\":1:2}", "{1}", "{\"a\",1}", "{true:1}",
    "{null:1}", "{a:1}", "{:1}", "{[]:1}", "{\"a\" 1:2}", "{1\"a\":2}",
    "[1,]", "[1}",

    "True", "NULL", "tru", "nulll", "'a'", "a",

    "\"\\\\\"1", "\"\\a\"", "\"\\", "\"\\\"", "\"\t\"", "\"\x1f\"",
    "\"\\u00g0\"", "\"\\u 123\"", "\"\\u+123\"", "\"\\u123\"", "\"\\u\"",

    "\"\\ud800\\u\"", "\"\\ud800\\\""
};


static struct {
    char  *json;
    char  *text;
} texts_of[] = {
    { "\"\"", "" },
    { "\"a\"", "a" },
    { "\"12\"", "12" },
    { "\"-\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "-\"\\/\b\f\n\r\t" },
    { "\"\\u0041\\u00e4\\u20aC\\uD83D\\uDe00\"",
      "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
    { "\"\xff\xc3\"", "\xff\xc3" },
    { "\"\\u0000\"", "\xef\xbf\xbd" },
    { "\"a\\u0000b\"", "a\xef\xbf\xbd" "b" },
    { "\"\\ud83d!\"", "\xef\xbf\xbd!" },
    { "\"\\ude00\\u0041\"", "\xef\xbf\xbd" "A" },
    { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A" },
    { "\"\\ud83d\\u0000\"", "\xef\xbf\xbd\xef\xbf\xbd" },
    { "\"\\ud83daaaaaa\"", "\xef\xbf\xbd" "aaaaaa" },
    { "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
    { "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf" },
    { "\"\\\\u0000\"", "\\u0000" },
    { "\"\\u0001\"", "\x01" },
    { "\"1\\\"2\"", "1\"2" },
    { "\"true\"", "true" },
    { "true", "true" },
    { "false", "false" },
    { "null", NULL },
    { "[1]", NULL },
    { "{\"a\": 1}", NULL }
};


/* with all there is in JSON */

static char  sample[] =
    "\xef\xbb\xbf {\"id\": 9007199254740993, \"n\": [-0.5e+10, 1, true], "
    "\"s\": \"\\u00e4\\ud83d\\ude00\\u0000\\n\\\"\\\\\", \"o\": {\"\": null}, "
    "\"e\": [ ], \"f\":false, \"\xff\": {}}";


/* RFC 6901, section 5, and some more */

static char  document[] =
    "{"
    "  \"foo\": [\"bar\", \"baz\"],"
    "  \"\": 0,"
    "  \"a/b\": 1,"
    "  \"c%d\": 2,"
    "  \"e^f\": 3,"
    "  \"g|h\": 4,"
    "  \"i\\\\j\": 5,"
    "  \"k\\\"l\": 6,"
    "  \" \": 7,"
    "  \"m~n\": 8,"
    "  \"~1\": 9,"
    "  \"Foo\": \"upper\","
    "  \"twice\": 1, \"twice\": 2,"
    "  \"0\": \"zero\", \"01\": \"one\","
    "  \"object\": {\"\": {\"\": \"deep\"}, \"-\": \"dash\"},"
    "  \"array\": [[], [{\"a\": [10, 11, 12]}], null, 3, 4, 5, 6, 7, 8, 9, 10],"
    "  \"cut\\u0000off\": \"nul\","
    "  \"value\": \"cut\\u0000off\","
    "  \"\\u00e4\": \"umlaut\""
    "}";


static struct {
    char  *pointer;
    char  *value;
} pointers[] = {
    { "/foo/0", "bar" },
    { "/", "0" },
    { "/a~1b", "1" },
    { "/c%d", "2" },
    { "/e^f", "3" },
    { "/g|h", "4" },
    { "/i\\j", "5" },
    { "/k\"l", "6" },
    { "/ ", "7" },
    { "/m~0n", "8" },
    { "/~01", "9" },

    { "/foo/1", "baz" },
    { "/Foo", "upper" },
    { "/FOO", NULL },
    { "/fo", NULL },
    { "/fooo", NULL },
    { "/twice", "1" },
    { "/0", "zero" },
    { "/01", "one" },
    { "/00", NULL },
    { "/object//", "deep" },
    { "/object/-", "dash" },
    { "/object///", NULL },
    { "//", NULL },
    { "/array/1/0/a/2", "12" },
    { "/array/10", "10" },
    { "/array/9", "9" },
    { "/\xc3\xa4", "umlaut" },
    { "/value", "cut\xef\xbf\xbdoff" },
    { "/cut\xef\xbf\xbdoff", "nul" },
    { "/cut", NULL },

    { "foo", NULL },
    { "foo/0", NULL },
    { "0", NULL },
    { "#/foo", NULL },
    { " /foo", NULL },
    { "/a/b", NULL },
    { "/m~n", NULL },
    { "/m~", NULL },
    { "/a~2b", NULL },
    { "/~1", NULL },
    { "/~", NULL },
    { "/foo/", NULL },
    { "/foo/2", NULL },
    { "/foo/-", NULL },
    { "/foo/-1", NULL },
    { "/foo/+1", NULL },
    { "/foo/ 1", NULL },
    { "/foo/1 ", NULL },
    { "/foo/00", NULL },
    { "/foo/01", NULL },
    { "/foo/1.0", NULL },
    { "/foo/1e0", NULL },
    { "/foo/0x1", NULL },
    { "/foo/~0", NULL },
    { "/foo/a", NULL },
    { "/foo/4294967296", NULL },
    { "/foo/4294967297", NULL },
    { "/foo/9223372036854775807", NULL },
    { "/foo/9223372036854775808", NULL },
    { "/foo/18446744073709551616", NULL },
    { "/foo/18446744073709551617", NULL },
    { "/foo/0/0", NULL },
    { "/foo/0/", NULL },
    { "/array/1/0/a/3", NULL },
    { "/array/0/0", NULL },
    { "/array/2/0", NULL },
    { "/a~1b/0", NULL }
};


static size_t  scarce_left = (size_t) -1;


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_members();
    test_grammar();
    test_bytes();
    test_depth();
    test_values();
    test_pointers();
    test_next();
    test_memory();

    return tap_done();
}


static void
test_members(void)
{
    u_char           *copy, deep[600];
    size_t            len;
    ngx_uint_t        i;
    const ngx_str_t  *found;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {

        /* of the exact size, so that a read behind its end is seen */

        len = ngx_strlen(texts[i].text);
        copy = malloc(len ? len : 1);
        ngx_memcpy(copy, texts[i].text, len);

        tap_ok(ngx_http_idpay_json_member(copy, len, names, &found)
               == texts[i].rc, "%s", texts[i].text);

        free(copy);
    }

    tap_ok(ngx_http_idpay_json_member((u_char *) "{\"a\0b\": 1}", 10, names,
                                      &found)
           == NGX_ERROR, "a NUL");

    for (i = 64; i <= 65; i++) {
        len = 0;

        ngx_memcpy(deep, "{\"a\":", 5);
        len += 5;
        ngx_memset(deep + len, '[', i - 1);
        len += i - 1;
        ngx_memset(deep + len, ']', i - 1);
        len += i - 1;
        deep[len++] = '}';

        tap_ok(ngx_http_idpay_json_member(deep, len, names, &found)
               == (i == 64 ? NGX_DECLINED : NGX_ERROR),
               "depth %d", (int) i);
    }
}


/* parses a copy of the exact size, so that a read behind its end is seen */

static ngx_int_t
parse(char *text, size_t len, ngx_http_idpay_json_t **json)
{
    u_char     *copy;
    ngx_int_t   rc;

    copy = malloc(len ? len : 1);
    ngx_memcpy(copy, text, len);

    *json = NULL;
    rc = ngx_http_idpay_json_parse(copy, len, json);

    /* nothing of the text is needed any more */

    ngx_memset(copy, 'x', len);
    free(copy);

    return rc;
}


/* the text at a pointer; it is to be freed */

static ngx_int_t
lead(char *text, char *pointer, size_t len, ngx_str_t *value)
{
    u_char                 *data;
    ngx_int_t               rc;
    ngx_str_t               copy;
    ngx_http_idpay_json_t  *json, *item;

    ngx_str_null(value);

    if (parse(text, ngx_strlen(text), &json) != NGX_OK) {
        return NGX_ERROR;
    }

    copy.len = len;
    copy.data = malloc(len ? len : 1);
    ngx_memcpy(copy.data, pointer, len);

    item = ngx_http_idpay_json_find(json, &copy);

    free(copy.data);

    rc = ngx_http_idpay_json_text(item, value);

    if (rc == NGX_OK) {
        data = malloc(value->len ? value->len : 1);
        ngx_memcpy(data, value->data, value->len);
        value->data = data;
    }

    ngx_http_idpay_json_free(json);

    return rc;
}


static ngx_uint_t
is(ngx_str_t *value, char *text)
{
    return value->len == ngx_strlen(text)
           && ngx_memcmp(value->data, text, value->len) == 0;
}


static void *
scarce(size_t size)
{
    if (scarce_left == 0) {
        return NULL;
    }

    scarce_left--;

    return malloc(size);
}


static void
test_grammar(void)
{
    char                   *value;
    ngx_uint_t              i;
    ngx_http_idpay_json_t  *json;

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {

        value = valid[i];

        test_placed(value, NGX_OK);

        tap_ok(parse(value, ngx_strlen(value), &json)
               == (*value == '[' || *value == '{' ? NGX_OK : NGX_DECLINED),
               "%s alone", value);
        ngx_http_idpay_json_free(json);
    }

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {

        value = invalid[i];

        test_placed(value, NGX_DECLINED);

        tap_ok(parse(value, ngx_strlen(value), &json) == NGX_DECLINED,
               "%s alone", value);
    }

    test_placed("", NGX_DECLINED);
}


static void
test_placed(char *value, ngx_int_t rc)
{
    char                    text[300];
    size_t                  len;
    ngx_uint_t              i;
    ngx_http_idpay_json_t  *json;

    static char  *places[] = { "[%s,1]", "[2, %s ,\r\n1]", "{\"a\":%s}" };

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        len = snprintf(text, sizeof(text), places[i], value);

        tap_ok(parse(text, len, &json) == rc, "%s in \"%.4s\"", value,
               places[i]);
        ngx_http_idpay_json_free(json);
    }
}


static void
test_bytes(void)
{
    char                    text[sizeof(sample)];
    size_t                  i, len;
    ngx_uint_t              n;
    ngx_http_idpay_json_t  *json;

    len = sizeof(sample) - 1;

    tap_ok(parse(sample, len, &json) == NGX_OK, "a sample");
    ngx_http_idpay_json_free(json);

    for (i = 0; i < len; i++) {
        tap_ok(parse(sample, i, &json) == NGX_DECLINED, "%d bytes of it",
               (int) i);
    }

    tap_ok(ngx_http_idpay_json_parse(NULL, 0, &json) == NGX_DECLINED,
           "no bytes");

    n = 0;

    for (i = 0; i < len; i++) {
        ngx_memcpy(text, sample, len);
        text[i] = '\0';
        n += (parse(text, len, &json) == NGX_DECLINED);
    }

    tap_ok(n == len, "a NUL in the place of any byte");

    tap_ok(parse("[]\0", 3, &json) == NGX_DECLINED, "a NUL behind it");
    tap_ok(parse("[\"\\\0\"]", 6, &json) == NGX_DECLINED, "an escaped NUL");

    tap_ok(parse("[] \t\r\n", 6, &json) == NGX_OK, "blanks behind it");
    ngx_http_idpay_json_free(json);

    tap_ok(parse("\xef\xbb\xbf[]", 5, &json) == NGX_OK, "a BOM");
    ngx_http_idpay_json_free(json);

    tap_ok(parse("\xef\xbb\xbf\xef\xbb\xbf[]", 8, &json) == NGX_DECLINED,
           "two of them");
    tap_ok(parse(" \xef\xbb\xbf[]", 6, &json) == NGX_DECLINED,
           "a blank before the BOM");
    tap_ok(parse("[]\xef\xbb\xbf", 5, &json) == NGX_DECLINED,
           "a BOM at the end");
    tap_ok(parse("\xef\xbb\xbf", 3, &json) == NGX_DECLINED, "only a BOM");

    tap_ok(parse("[] []", 5, &json) == NGX_DECLINED, "two values");
    tap_ok(parse("[]]", 3, &json) == NGX_DECLINED, "a bracket too many");
    tap_ok(parse("[],", 3, &json) == NGX_DECLINED, "a comma behind it");
    tap_ok(parse("{}\f", 3, &json) == NGX_DECLINED, "a form feed behind it");
    tap_ok(parse("{} 1", 4, &json) == NGX_DECLINED, "a number behind it");
    tap_ok(parse("1 {}", 4, &json) == NGX_DECLINED, "a number before it");
    tap_ok(parse(" ", 1, &json) == NGX_DECLINED, "a blank");
}


static void
test_depth(void)
{
    char                    text[5000], *p;
    ngx_uint_t              i, k;
    ngx_http_idpay_json_t  *json;

    static ngx_uint_t  depths[] = { 63, 64, 65, 1000 };

    for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {

        k = depths[i];

        ngx_memset(text, '[', k);
        text[k] = '7';
        ngx_memset(text + k + 1, ']', k);

        tap_ok(parse(text, 2 * k + 1, &json)
               == (k <= 64 ? NGX_OK : NGX_DECLINED), "%d arrays", (int) k);
        ngx_http_idpay_json_free(json);

        tap_ok(parse(text, k, &json) == NGX_DECLINED, "%d open", (int) k);

        p = text;

        while (p < text + 4 * k) {
            ngx_memcpy(p, "{\"\":", 4);
            p += 4;
        }

        *p++ = '7';
        ngx_memset(p, '}', k < 100 ? k : 0);
        p += k < 100 ? k : 0;

        tap_ok(parse(text, p - text, &json)
               == (k <= 64 ? NGX_OK : NGX_DECLINED), "%d objects", (int) k);
        ngx_http_idpay_json_free(json);
    }

    ngx_memset(text, '[', 1000);
    text[1] = '"';
    text[998] = '"';
    text[999] = ']';

    tap_ok(parse(text, 1000, &json) == NGX_OK, "brackets of a string");
    ngx_http_idpay_json_free(json);
}


static void
test_values(void)
{
    char        text[300];
    ngx_str_t   value;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {

        if (valid[i][0] != '-' && (valid[i][0] < '0' || valid[i][0] > '9')) {
            continue;
        }

        snprintf(text, sizeof(text), "{\"a\":[%s]}", valid[i]);

        tap_ok(lead(text, "/a/0", 4, &value) == NGX_OK && is(&value, valid[i]),
               "%s kept", valid[i]);
        free(value.data);
    }

    for (i = 0; i < sizeof(texts_of) / sizeof(texts_of[0]); i++) {

        snprintf(text, sizeof(text), "[%s]", texts_of[i].json);

        if (texts_of[i].text) {
            tap_ok(lead(text, "/0", 2, &value) == NGX_OK
                   && is(&value, texts_of[i].text), "text of %s", text);

        } else {
            tap_ok(lead(text, "/0", 2, &value) == NGX_DECLINED,
                   "no text of %s", text);
        }

        free(value.data);
    }

    tap_ok(ngx_http_idpay_json_text(NULL, &value) == NGX_DECLINED,
           "no text of NULL");

    ngx_http_idpay_json_free(NULL);
}


static void
test_pointers(void)
{
    char                   *p;
    ngx_str_t               value, empty;
    ngx_uint_t              i;
    ngx_http_idpay_json_t  *json, *foo;

    for (i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {

        p = pointers[i].pointer;

        if (pointers[i].value) {
            tap_ok(lead(document, p, ngx_strlen(p), &value) == NGX_OK
                   && is(&value, pointers[i].value), "pointer \"%s\"", p);

        } else {
            tap_ok(lead(document, p, ngx_strlen(p), &value) == NGX_DECLINED,
                   "pointer \"%s\" leads to nothing", p);
        }

        free(value.data);
    }

    tap_ok(lead(document, "/foo\0", 5, &value) == NGX_DECLINED,
           "a NUL behind a name");

    /* 0xbe is what ASan fills memory with */

    tap_ok(lead(document, "/foo\0\xbe\xbe", 7, &value) == NGX_DECLINED,
           "a NUL and more behind a name");

    tap_ok(lead(document, "/cut\0off", 8, &value) == NGX_DECLINED,
           "a NUL in a name");
    tap_ok(lead(document, "/\0", 2, &value) == NGX_DECLINED, "only a NUL");
    tap_ok(lead(document, "/foo/1\0", 7, &value) == NGX_DECLINED,
           "a NUL behind an index");

    (void) parse(document, sizeof(document) - 1, &json);

    ngx_str_null(&empty);
    ngx_str_set(&value, "/foo");

    foo = ngx_http_idpay_json_find(json, &value);

    tap_ok(ngx_http_idpay_json_find(json, &empty) == json, "pointer \"\"");
    tap_ok(foo && ngx_http_idpay_json_find(foo, &empty) == foo,
           "pointer \"\" of a value");
    tap_ok(foo && ngx_http_idpay_json_find(foo, &value) == NULL,
           "a pointer goes on from the value");
    tap_ok(ngx_http_idpay_json_find(NULL, &value) == NULL
           && ngx_http_idpay_json_find(NULL, &empty) == NULL,
           "pointers of NULL");

    ngx_str_set(&value, "/1");
    ngx_http_idpay_json_text(ngx_http_idpay_json_find(foo, &value), &empty);

    tap_ok(is(&empty, "baz"), "a pointer of a value");

    ngx_http_idpay_json_free(json);
}


static void
test_next(void)
{
    char                    seen[8], *p;
    ngx_str_t               value;
    ngx_uint_t              i;
    ngx_http_idpay_json_t  *json, *item;

    static char  *none[] = { "[]", "{}", "{\"a\": 1}" };

    (void) parse("[1, \"b\", null, {\"d\": 4}, [5], 6]", 32, &json);

    p = seen;

    for (item = ngx_http_idpay_json_next(json, NULL);
         item && p < seen + sizeof(seen);
         item = ngx_http_idpay_json_next(json, item))
    {
        *p++ = (ngx_http_idpay_json_text(item, &value) == NGX_OK)
               ? value.data[0] : '-';
    }

    tap_ok(p - seen == 6 && ngx_memcmp(seen, "1b---6", 6) == 0,
           "elements of an array");

    ngx_str_set(&value, "/1");
    item = ngx_http_idpay_json_find(json, &value);

    tap_ok(ngx_http_idpay_json_next(item, NULL) == NULL,
           "a string has no elements");

    ngx_http_idpay_json_free(json);

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        (void) parse(none[i], ngx_strlen(none[i]), &json);

        tap_ok(json && ngx_http_idpay_json_next(json, NULL) == NULL,
               "%s has no elements", none[i]);

        ngx_http_idpay_json_free(json);
    }

    tap_ok(ngx_http_idpay_json_next(NULL, NULL) == NULL,
           "NULL has no elements");
}


/* each allocation fails in turn, until there is enough of them */

static void
test_memory(void)
{
    size_t                  pieces;
    ngx_int_t               rc;
    ngx_http_idpay_json_t  *json;
    static u_char           text[40000];

    /* an array of strings, whose values take many pieces */

    memset(text, ',', sizeof(text));
    text[0] = '[';
    text[sizeof(text) - 1] = ']';

    for (pieces = 1; pieces < sizeof(text) - 3; pieces += 4) {
        ngx_memcpy(text + pieces, "\"a\"", 3);
    }

    ngx_memset(text + pieces - 1, ' ', sizeof(text) - pieces);

    rc = NGX_DECLINED;

    for (pieces = 0; pieces < 1000 && rc != NGX_OK; pieces++) {
        scarce_left = pieces;
        rc = parse((char *) text, sizeof(text), &json);

        if (rc != (pieces ? NGX_DECLINED : NGX_ERROR) && rc != NGX_OK) {
            break;
        }
    }

    tap_ok(rc == NGX_OK && pieces > 100, "too little memory");

    ngx_http_idpay_json_free(json);

    scarce_left = (size_t) -1;
}
