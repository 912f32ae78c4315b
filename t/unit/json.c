
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Members of a JSON body's top level.
 */


#include "../../src/lib/ngx_http_idpay_json.c"

#include "tap.h"


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


int ngx_cdecl
main(int argc, char *const *argv)
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

    return tap_done();
}
