
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_json.h"

#include <cjson/cJSON.h>


/*
 * A parsed text is in pieces of memory of this size or more, bytes: cJSON needs
 * a lot of them, and a token among them is to be wiped.
 */

#define NGX_HTTP_IDPAY_JSON_PIECE  4096


typedef struct ngx_http_idpay_json_piece_s {
    struct ngx_http_idpay_json_piece_s  *next;
    u_char                              *pos;
    u_char                              *end;
} ngx_http_idpay_json_piece_t;


static void *ngx_http_idpay_json_alloc(size_t size);
static void ngx_http_idpay_json_keep(void *p);
static void ngx_http_idpay_json_wipe(ngx_http_idpay_json_piece_t *piece);
static cJSON *ngx_http_idpay_json_object(u_char *text, size_t len);
static cJSON *ngx_http_idpay_json_whole(u_char *text, size_t len);
static ngx_uint_t ngx_http_idpay_json_same(u_char *member,
    const ngx_str_t *name);
static ngx_int_t ngx_http_idpay_json_bounded(u_char *text, size_t len);
static ngx_int_t ngx_http_idpay_json_quote(u_char *text, size_t len,
    ngx_str_t *quoted);
static u_char *ngx_http_idpay_json_quote_string(u_char **dst, u_char *p,
    u_char *last);
static u_char *ngx_http_idpay_json_quote_word(u_char **dst, u_char *p,
    u_char *last);
static ngx_uint_t ngx_http_idpay_json_literal(u_char *p, size_t len);
static ngx_uint_t ngx_http_idpay_json_number(u_char *p, u_char *last);
static u_char *ngx_http_idpay_json_digits(u_char *p, u_char *last);
static cJSON *ngx_http_idpay_json_child(cJSON *object, u_char *p,
    u_char *last);
static ngx_uint_t ngx_http_idpay_json_named(u_char *name, u_char *p,
    u_char *last);
static cJSON *ngx_http_idpay_json_element(cJSON *array, u_char *p, size_t len);


/* of the text that is being parsed, the last one first */

static ngx_http_idpay_json_piece_t  *ngx_http_idpay_json_pieces;

static cJSON_Hooks  ngx_http_idpay_json_hooks = { ngx_http_idpay_json_alloc,
                                                  ngx_http_idpay_json_keep };


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
    cJSON                  *json, *item;
    ngx_int_t               rc;
    ngx_http_idpay_json_t  *value;

    if (ngx_http_idpay_json_parse(text, len, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    json = (cJSON *) value;

    if (!cJSON_IsObject(json)) {
        ngx_http_idpay_json_free(value);
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

    ngx_http_idpay_json_free(value);

    return rc;
}


ngx_int_t
ngx_http_idpay_json_parse(u_char *text, size_t len,
    ngx_http_idpay_json_t **json)
{
    cJSON      *value;
    ngx_int_t   rc;
    ngx_str_t   quoted;

    if (len == 0) {
        return NGX_DECLINED;
    }

    ngx_http_idpay_json_pieces = NULL;

    /* in the worst case every other byte is a number, and each gets 2 more */

    quoted.data = ngx_http_idpay_json_alloc(2 * len + 1);
    if (quoted.data == NULL) {
        return NGX_ERROR;
    }

    value = NULL;

    rc = ngx_http_idpay_json_quote(text, len, &quoted);

    if (rc == NGX_OK) {
        cJSON_InitHooks(&ngx_http_idpay_json_hooks);

        value = ngx_http_idpay_json_whole(quoted.data, quoted.len);

        cJSON_InitHooks(NULL);
    }

    if (!cJSON_IsObject(value) && !cJSON_IsArray(value)) {
        ngx_http_idpay_json_wipe(ngx_http_idpay_json_pieces);
        return NGX_DECLINED;
    }

    /* the value that is all of the text has no name of its own */

    value->string = (char *) ngx_http_idpay_json_pieces;

    *json = (ngx_http_idpay_json_t *) value;

    return NGX_OK;
}


static void *
ngx_http_idpay_json_alloc(size_t size)
{
    size_t                        n;
    u_char                       *p;
    ngx_http_idpay_json_piece_t  *piece;

    size = ngx_align(size, NGX_ALIGNMENT);
    piece = ngx_http_idpay_json_pieces;

    if (piece == NULL || (size_t) (piece->end - piece->pos) < size) {

        n = sizeof(ngx_http_idpay_json_piece_t) + size;
        n = ngx_max(n, NGX_HTTP_IDPAY_JSON_PIECE);

        piece = malloc(n);
        if (piece == NULL) {
            return NULL;
        }

        piece->next = ngx_http_idpay_json_pieces;
        piece->pos = (u_char *) piece + sizeof(ngx_http_idpay_json_piece_t);
        piece->end = (u_char *) piece + n;

        ngx_http_idpay_json_pieces = piece;
    }

    p = piece->pos;
    piece->pos += size;

    return p;
}


static void
ngx_http_idpay_json_keep(void *p)
{
    /* it goes with all the rest */
}


static void
ngx_http_idpay_json_wipe(ngx_http_idpay_json_piece_t *piece)
{
    ngx_http_idpay_json_piece_t  *next;

    for ( /* void */ ; piece; piece = next) {
        next = piece->next;

        ngx_explicit_memzero(piece, piece->pos - (u_char *) piece);
        free(piece);
    }
}


void
ngx_http_idpay_json_free(ngx_http_idpay_json_t *json)
{
    if (json) {
        ngx_http_idpay_json_wipe((void *) ((cJSON *) json)->string);
    }
}


ngx_http_idpay_json_t *
ngx_http_idpay_json_find(ngx_http_idpay_json_t *json, const ngx_str_t *pointer)
{
    cJSON   *item;
    u_char  *p, *token, *last;

    if (pointer->len == 0) {
        return json;
    }

    item = (cJSON *) json;
    p = pointer->data;
    last = p + pointer->len;

    while (item && p < last) {

        if (*p++ != '/') {
            return NULL;
        }

        token = p;

        while (p < last && *p != '/') {
            p++;
        }

        if (cJSON_IsObject(item)) {
            item = ngx_http_idpay_json_child(item, token, p);

        } else if (cJSON_IsArray(item)) {
            item = ngx_http_idpay_json_element(item, token, p - token);

        } else {
            item = NULL;
        }
    }

    return (ngx_http_idpay_json_t *) item;
}


ngx_int_t
ngx_http_idpay_json_text(ngx_http_idpay_json_t *json, ngx_str_t *text)
{
    cJSON  *item;

    item = (cJSON *) json;

    if (cJSON_IsString(item)) {
        text->data = (u_char *) item->valuestring;
        text->len = ngx_strlen(text->data);

        return NGX_OK;
    }

    if (cJSON_IsTrue(item)) {
        ngx_str_set(text, "true");
        return NGX_OK;
    }

    if (cJSON_IsFalse(item)) {
        ngx_str_set(text, "false");
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_idpay_json_empty(ngx_http_idpay_json_t *json)
{
    cJSON *item = (cJSON *) json;

    return cJSON_IsNull(item)
           || (cJSON_IsString(item) && item->valuestring[0] == '\0');
}


ngx_http_idpay_json_t *
ngx_http_idpay_json_next(ngx_http_idpay_json_t *json,
    ngx_http_idpay_json_t *element)
{
    cJSON  *array;

    array = (cJSON *) json;

    if (!cJSON_IsArray(array)) {
        return NULL;
    }

    if (element == NULL) {
        return (ngx_http_idpay_json_t *) array->child;
    }

    return (ngx_http_idpay_json_t *) ((cJSON *) element)->next;
}


/* returns the object that is all of the text, or NULL */

static cJSON *
ngx_http_idpay_json_object(u_char *text, size_t len)
{
    cJSON  *json;

    if (ngx_http_idpay_json_bounded(text, len) != NGX_OK) {
        return NULL;
    }

    json = ngx_http_idpay_json_whole(text, len);

    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return NULL;
    }

    return json;
}


/* returns the value that is all of the text, or NULL */

static cJSON *
ngx_http_idpay_json_whole(u_char *text, size_t len)
{
    cJSON       *json;
    const char  *end;

    json = cJSON_ParseWithLengthOpts((char *) text, len, &end, 0);
    if (json == NULL) {
        return NULL;
    }

    /* another parser may read on where this one has stopped */

    while (end < (char *) text + len) {
        if (*end != ' ' && *end != '\t' && *end != CR && *end != LF) {
            cJSON_Delete(json);
            return NULL;
        }

        end++;
    }

    return json;
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


/*
 * Copies the text with its numbers in quotes: cJSON would make doubles of them
 * and lose digits.  No JSON may come of what is none by that, so that words are
 * judged as a whole here, and a colon is refused behind one: cJSON takes a
 * quoted number for a name.  All else it refuses with the quotes, too.
 */

static ngx_int_t
ngx_http_idpay_json_quote(u_char *text, size_t len, ngx_str_t *quoted)
{
    u_char      *p, *last, *dst;
    ngx_uint_t   string, depth;

    depth = 0;
    p = text;
    last = p + len;
    dst = quoted->data;
    string = 0;

    if (len >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
        p += 3;
    }

    while (p < last) {

        switch (*p) {

        case ':':
            if (!string) {
                return NGX_DECLINED;
            }

            /* fall through */

        case ' ':
        case '\t':
        case CR:
        case LF:
        case ',':
            *dst++ = *p++;
            continue;

        case '{':
        case '[':
            if (++depth > NGX_HTTP_IDPAY_JSON_MAX_DEPTH) {
                return NGX_DECLINED;
            }

            *dst++ = *p++;
            continue;

        case '}':
        case ']':
            depth -= depth ? 1 : 0;
            *dst++ = *p++;
            continue;

        case '"':
            string = 1;
            p = ngx_http_idpay_json_quote_string(&dst, p, last);
            break;

        default:
            string = 0;
            p = ngx_http_idpay_json_quote_word(&dst, p, last);
            break;
        }

        if (p == NULL) {
            return NGX_DECLINED;
        }
    }

    quoted->len = dst - quoted->data;

    return NGX_OK;
}


/*
 * Copies a string and returns what is behind it, or NULL.  An escaped NUL, and
 * an escape without its digits as well, would end the string in cJSON, and what
 * is left could be another name or value.  A NUL becomes U+FFFD instead.
 */

static u_char *
ngx_http_idpay_json_quote_string(u_char **dst, u_char *p, u_char *last)
{
    u_char     *d;
    ngx_int_t   n;

    d = *dst;
    *d++ = *p++;

    while (p < last && *p >= 0x20) {

        if (*p == '"') {
            *d++ = *p++;
            *dst = d;

            return p;
        }

        if (*p != '\\') {
            *d++ = *p++;
            continue;
        }

        if (last - p < 2) {
            return NULL;
        }

        if (p[1] != 'u') {
            *d++ = *p++;
            *d++ = *p++;
            continue;
        }

        n = (last - p < 6) ? NGX_ERROR : ngx_hextoi(p + 2, 4);

        if (n == NGX_ERROR) {
            return NULL;
        }

        if (n >= 0xd800 && n < 0xdc00
            && last - p >= 12 && p[6] == '\\' && p[7] == 'u'
            && ngx_hextoi(p + 8, 4) >= 0xdc00
            && ngx_hextoi(p + 8, 4) < 0xe000)
        {
            d = ngx_cpymem(d, p, 12);
            p += 12;
            continue;
        }

        if (n == 0 || (n >= 0xd800 && n < 0xe000)) {
            d = ngx_cpymem(d, "\\ufffd", 6);

        } else {
            d = ngx_cpymem(d, p, 6);
        }

        p += 6;
    }

    return NULL;
}


/*
 * Copies a literal, or a number and puts it in quotes, and returns what is
 * behind it, or NULL if it is neither.
 */

static u_char *
ngx_http_idpay_json_quote_word(u_char **dst, u_char *p, u_char *last)
{
    u_char  *word;

    word = p;

    while (p < last && ngx_strchr(" \t\r\n,:{}[]\"", *p) == NULL) {
        p++;
    }

    if (ngx_http_idpay_json_literal(word, p - word)) {
        *dst = ngx_cpymem(*dst, word, p - word);
        return p;
    }

    if (!ngx_http_idpay_json_number(word, p)) {
        return NULL;
    }

    *(*dst)++ = '"';
    *dst = ngx_cpymem(*dst, word, p - word);
    *(*dst)++ = '"';

    return p;
}


static ngx_uint_t
ngx_http_idpay_json_literal(u_char *p, size_t len)
{
    return (len == 4 && (ngx_strncmp(p, "true", 4) == 0
                         || ngx_strncmp(p, "null", 4) == 0))
           || (len == 5 && ngx_strncmp(p, "false", 5) == 0);
}


/* RFC 8259, section 6 */

static ngx_uint_t
ngx_http_idpay_json_number(u_char *p, u_char *last)
{
    if (p < last && *p == '-') {
        p++;
    }

    if (p < last && *p == '0') {
        p++;

    } else {
        p = ngx_http_idpay_json_digits(p, last);
    }

    if (p && p < last && *p == '.') {
        p = ngx_http_idpay_json_digits(p + 1, last);
    }

    if (p && p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        p = ngx_http_idpay_json_digits(p, last);
    }

    return p == last;
}


/* returns what is behind one digit or more, or NULL if there is none */

static u_char *
ngx_http_idpay_json_digits(u_char *p, u_char *last)
{
    u_char  *start;

    start = p;

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p > start ? p : NULL;
}


/* the member that a token of a JSON Pointer names, or NULL */

static cJSON *
ngx_http_idpay_json_child(cJSON *object, u_char *p, u_char *last)
{
    cJSON  *item;

    cJSON_ArrayForEach(item, object) {

        if (ngx_http_idpay_json_named((u_char *) item->string, p, last)) {
            return item;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_idpay_json_named(u_char *name, u_char *p, u_char *last)
{
    u_char  c;

    while (p < last) {

        c = *p++;

        if (c == '~') {

            if (p == last || (*p != '0' && *p != '1')) {
                return 0;
            }

            c = (*p++ == '0') ? '~' : '/';
        }

        /* a NUL of the pointer is not that which ends the name */

        if (c == '\0' || c != *name++) {
            return 0;
        }
    }

    return *name == '\0';
}


/* the element that a token of a JSON Pointer counts to, or NULL */

static cJSON *
ngx_http_idpay_json_element(cJSON *array, u_char *p, size_t len)
{
    cJSON      *item;
    ngx_int_t   n;

    n = ngx_atoi(p, len);

    if (n == NGX_ERROR || (len > 1 && *p == '0')) {
        return NULL;
    }

    /* not cJSON_GetArrayItem(), which takes an int */

    item = array->child;

    while (item && n--) {
        item = item->next;
    }

    return item;
}
