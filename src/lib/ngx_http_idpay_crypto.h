
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is asked of OpenSSL beside what nginx does itself.
 */


#ifndef _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Tells whether a file holds CA certificates in PEM format.  "file" is
 * NUL-terminated.  Blocks on the file.  Returns NULL, or OpenSSL's static text
 * of what is wrong.
 */
const char *ngx_http_idpay_crypto_test_ca(ngx_str_t *file);


#endif /* _NGX_HTTP_IDPAY_CRYPTO_H_INCLUDED_ */
