
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


#endif /* _NGX_HTTP_IDPAY_JSON_H_INCLUDED_ */
