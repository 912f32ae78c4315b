
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The "state" that a person's browser carries to the consent page and back
 * (RFC 6749 10.12): sealed, and of use once, for a while, in that browser.
 */


#ifndef _NGX_HTTP_IDPAY_STATE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_STATE_ID       16      /* bytes */
#define NGX_HTTP_IDPAY_STATE_LIFE     3600    /* s */
#define NGX_HTTP_IDPAY_STATE_CALLER   512     /* bytes of the caller's state */

/* bytes of the text of a state with so many bytes of the caller's */

#define NGX_HTTP_IDPAY_STATE_MAX(len)                                         \
    (((len) + 8 + NGX_HTTP_IDPAY_STATE_ID + 32 + 28) * 4 / 3 + 4)


typedef struct {
    u_char       id[NGX_HTTP_IDPAY_STATE_ID];   /* to know it when it comes
                                                   again */
    int64_t      end;        /* s since 1970 */
    ngx_str_t    caller;     /* the caller's state, may be empty */
} ngx_http_idpay_state_t;


/*
 * Seals a state for "provider" with an id of its own, an end
 * NGX_HTTP_IDPAY_STATE_LIFE after "now", and "cookie", random text of the
 * browser's cookie, which is bound by its SHA-256.  The key has
 * NGX_HTTP_IDPAY_KEY_LEN bytes.  "text" is base64url without padding; its data
 * has room for NGX_HTTP_IDPAY_STATE_MAX(caller->len) bytes, its length is set.
 * Returns NGX_OK, or NGX_ERROR, also if the cookie is empty or the caller's
 * state is longer than NGX_HTTP_IDPAY_STATE_CALLER.
 */
ngx_int_t ngx_http_idpay_state_seal(const u_char *key, ngx_str_t *provider,
    ngx_str_t *cookie, ngx_str_t *caller, int64_t now, ngx_str_t *text);

/*
 * Opens it.  "buf" has room for text->len bytes, state->caller points there.
 * Returns NGX_OK; NGX_DECLINED if it is no state of this key, provider and
 * cookie; NGX_DONE if it is and "now" is not before its end; NGX_ERROR.  The
 * state is set with NGX_OK and NGX_DONE.
 */
ngx_int_t ngx_http_idpay_state_open(const u_char *key, ngx_str_t *provider,
    ngx_str_t *cookie, ngx_str_t *text, int64_t now, u_char *buf,
    ngx_http_idpay_state_t *state);


#endif /* _NGX_HTTP_IDPAY_STATE_H_INCLUDED_ */
