
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Characters as they are written by those who encode: percent-encoding
 * (RFC 3986 2.1), escapes of JSON (RFC 8259 7), references of HTML, base64.
 */


#ifndef _NGX_HTTP_IDPAY_ESCAPE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_ESCAPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* digits of a numeric reference of HTML, with the zeros before it */

#define NGX_HTTP_IDPAY_ESCAPE_DIGITS  10


/* what a character must be to begin an escape */

#define ngx_http_idpay_escape_begins(c)                                       \
    ((c) == '%' || (c) == '\\' || (c) == '&')


typedef struct {
    u_char      *next;          /* behind it in the text */
    u_char      *end;
    ngx_uint_t   layers;        /* that were taken off */
    uint32_t     code;
    unsigned     point:1;       /* a code point of Unicode, not a byte */
    unsigned     cut:1;         /* the end was met, more text may change it */
} ngx_http_idpay_escape_t;


/*
 * Reads the byte at "p", which must be before "end", as it is.  The text
 * remains the caller's.
 */
void ngx_http_idpay_escape_read(ngx_http_idpay_escape_t *ch, u_char *p,
    u_char *end);

/*
 * Takes one more layer off: if the character, read so far, begins an escape in
 * a text read so far, it becomes what that stands for.  Otherwise it stays.
 */
void ngx_http_idpay_escape_decode(ngx_http_idpay_escape_t *ch);

/*
 * Writes a code point in UTF-8, up to 4 bytes.  Returns how many.
 */
size_t ngx_http_idpay_escape_utf8(u_char *dst, uint32_t code);


/*
 * The values of base64's characters in both of its alphabets (RFC 4648 4 and
 * 5): 64 is "=", 77 is none of them.
 */
extern const u_char  ngx_http_idpay_escape_base64[];


#endif /* _NGX_HTTP_IDPAY_ESCAPE_H_INCLUDED_ */
