
/*
 * Copyright (C) 2026 idpay contributors
 *
 * "idpay_consent_start": a location that sends a person to the provider's page
 * of consent, and what ties the way back to that person's browser.
 */


#ifndef _NGX_HTTP_IDPAY_START_H_INCLUDED_
#define _NGX_HTTP_IDPAY_START_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the cookie's name */

#define NGX_HTTP_IDPAY_START_COOKIE  "idpay_consent"


/* the directive's setter, as ngx_command_t wants it; errors are logged */

char *ngx_http_idpay_start(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Gets the key that seals states, NGX_HTTP_IDPAY_KEY_LEN bytes, which the
 * caller wipes.  With a store it is the same for all who have its key, else
 * for all who have the zone.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_start_key(ngx_http_idpay_upstream_conf_t *iucf,
    u_char *key);

/*
 * Adds the cookie to the answer, for "age" s; 0 removes it from the browser.
 * "secure": it is not sent in the clear.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_idpay_start_cookie(ngx_http_request_t *r, ngx_str_t *value,
    ngx_uint_t age, ngx_uint_t secure);


#endif /* _NGX_HTTP_IDPAY_START_H_INCLUDED_ */
