
/*
 * Copyright (C) 2026 idpay contributors
 *
 * JSON (RFC 8259), read by cJSON.
 */


#ifndef _NGX_HTTP_IDPAY_JSON_H_INCLUDED_
#define _NGX_HTTP_IDPAY_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_JSON_MAX_DEPTH  64


/*
 * Looks for a member with one of "names", which end with an empty string, at
 * the top level of an object, in any case.  The text is read only, it need
 * not be NUL-terminated.
 *
 * Returns NGX_OK and sets "found" to the name, NGX_DECLINED if there is none,
 * or NGX_ERROR if the text is not one JSON object, is deeper than
 * NGX_HTTP_IDPAY_JSON_MAX_DEPTH, or there is no memory.
 */
ngx_int_t ngx_http_idpay_json_member(u_char *text, size_t len,
    const ngx_str_t *names, const ngx_str_t **found);

/*
 * Tells whether the member "name", exactly so, of an object's top level is
 * true: each of that name, if it is there more than once.  Returns NGX_OK,
 * NGX_DECLINED, or NGX_ERROR as above.
 */
ngx_int_t ngx_http_idpay_json_true(u_char *text, size_t len,
    const ngx_str_t *name);


/* a value of a parsed text */

typedef struct ngx_http_idpay_json_s  ngx_http_idpay_json_t;


/*
 * Parses a text that is one object or one array, for reading a few values of
 * it.  A number is kept as it is written, so that no digit is lost, and is a
 * text to the functions below; of members with the same name the first counts.
 * The text is read only and need not be NUL-terminated.
 *
 * Returns NGX_OK and sets "json", which ngx_http_idpay_json_free() frees;
 * NGX_DECLINED if the text is not JSON, has a NUL in it, goes on behind the
 * value, is deeper than NGX_HTTP_IDPAY_JSON_MAX_DEPTH, or if cJSON has no
 * memory, which it does not tell apart; or NGX_ERROR if there is no memory for
 * a copy of the text.
 */
ngx_int_t ngx_http_idpay_json_parse(u_char *text, size_t len,
    ngx_http_idpay_json_t **json);

/* wipes and frees all of a parsed text; "json" may be NULL */
void ngx_http_idpay_json_free(ngx_http_idpay_json_t *json);

/*
 * Returns the value that a JSON Pointer (RFC 6901) leads to from "json", or
 * NULL.  The empty pointer leads to "json" itself.  The value belongs to the
 * parsed text, do not free it.
 */
ngx_http_idpay_json_t *ngx_http_idpay_json_find(ngx_http_idpay_json_t *json,
    const ngx_str_t *pointer);

/*
 * Sets "text" to a string without its quotes and escapes, to a number as it is
 * written, or to "true" or "false".  The bytes belong to "json" and are gone
 * with it.  There is no NUL among them: an escaped one is read as U+FFFD, as is
 * the escaped half of a surrogate pair.  Nothing says that they are valid
 * UTF-8.  Returns NGX_OK, or NGX_DECLINED of null, an array, an object, and if
 * "json" is NULL.
 */
ngx_int_t ngx_http_idpay_json_text(ngx_http_idpay_json_t *json,
    ngx_str_t *text);

/* Tells whether a value is null or a string without a character. */

ngx_uint_t ngx_http_idpay_json_empty(ngx_http_idpay_json_t *json);

/*
 * The elements of an array in turn: the first one after NULL, the one behind
 * "element" else.  Returns NULL after the last one, and if "json" is no array.
 */
ngx_http_idpay_json_t *ngx_http_idpay_json_next(ngx_http_idpay_json_t *json,
    ngx_http_idpay_json_t *element);


#endif /* _NGX_HTTP_IDPAY_JSON_H_INCLUDED_ */
