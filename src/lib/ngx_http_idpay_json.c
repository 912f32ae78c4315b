
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_json.h"

#include <cjson/cJSON.h>


static cJSON *ngx_http_idpay_json_object(u_char *text, size_t len);
static ngx_uint_t ngx_http_idpay_json_same(u_char *member,
    const ngx_str_t *name);
static ngx_int_t ngx_http_idpay_json_bounded(u_char *text, size_t len);


ngx_int_t
ngx_http_idpay_json_member(u_char *text, size_t len, const ngx_str_t *names,
    const ngx_str_t **found)
{
    cJSON            *json, *item;
    ngx_int_t         rc;
    const ngx_str_t  *name;

    json = ngx_http_idpay_json_object(text, len);
    if (json == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_DECLINED;

    cJSON_ArrayForEach(item, json) {

        for (name = names; name->len; name++) {

            if (ngx_http_idpay_json_same((u_char *) item->string, name)) {
                *found = name;
                rc = NGX_OK;
                goto done;
            }
        }
    }

done:

    cJSON_Delete(json);

    return rc;
}


ngx_int_t
ngx_http_idpay_json_true(u_char *text, size_t len, const ngx_str_t *name)
{
    cJSON      *json, *item;
    ngx_int_t   rc;

    json = ngx_http_idpay_json_object(text, len);
    if (json == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_DECLINED;

    cJSON_ArrayForEach(item, json) {

        if (ngx_strlen(item->string) != name->len
            || ngx_strncmp(item->string, name->data, name->len) != 0)
        {
            continue;
        }

        if (!cJSON_IsTrue(item)) {
            rc = NGX_DECLINED;
            break;
        }

        rc = NGX_OK;
    }

    cJSON_Delete(json);

    return rc;
}


/* returns the object that is all of the text, or NULL */

static cJSON *
ngx_http_idpay_json_object(u_char *text, size_t len)
{
    cJSON       *json;
    const char  *end;

    if (ngx_http_idpay_json_bounded(text, len) != NGX_OK) {
        return NULL;
    }

    json = cJSON_ParseWithLengthOpts((char *) text, len, &end, 0);
    if (json == NULL) {
        return NULL;
    }

    if (!cJSON_IsObject(json)) {
        goto failed;
    }

    /* another parser may read on where this one has stopped */

    while (end < (char *) text + len) {
        if (*end != ' ' && *end != '\t' && *end != CR && *end != LF) {
            goto failed;
        }

        end++;
    }

    return json;

failed:

    cJSON_Delete(json);

    return NULL;
}


/*
 * Compares names as parsers do that care for case least: to these LATIN SMALL
 * LETTER LONG S (U+017F) is an "s", and KELVIN SIGN (U+212A) a "k".
 */

static ngx_uint_t
ngx_http_idpay_json_same(u_char *member, const ngx_str_t *name)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < name->len; i++) {

        if (member[0] == 0xc5 && member[1] == 0xbf) {
            c = 's';
            member += 2;

        } else if (member[0] == 0xe2 && member[1] == 0x84 && member[2] == 0xaa)
        {
            c = 'k';
            member += 3;

        } else {
            c = ngx_tolower(*member);
            member++;
        }

        if (c != name->data[i]) {
            return 0;
        }
    }

    return *member == '\0';
}


/*
 * The depth is limited before the recursive parser sees the text.  A NUL is
 * refused: cJSON would end a name at it, which another parser might not.
 */

static ngx_int_t
ngx_http_idpay_json_bounded(u_char *text, size_t len)
{
    u_char      *p, *last;
    ngx_uint_t   depth, quoted;

    depth = 0;
    quoted = 0;
    last = text + len;

    for (p = text; p < last; p++) {

        switch (*p) {

        case '\0':
            return NGX_ERROR;

        case '\\':
            if (quoted) {
                p++;
            }

            break;

        case '"':
            quoted = !quoted;
            break;

        case '{':
        case '[':
            if (!quoted && ++depth > NGX_HTTP_IDPAY_JSON_MAX_DEPTH) {
                return NGX_ERROR;
            }

            break;

        case '}':
        case ']':
            if (!quoted && depth) {
                depth--;
            }

            break;
        }
    }

    return NGX_OK;
}
