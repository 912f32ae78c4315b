
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_crypto.h"

#include <openssl/err.h>
#include <openssl/x509.h>


const char *
ngx_http_idpay_crypto_test_ca(ngx_str_t *file)
{
    const char  *reason;
    X509_STORE  *store;

    reason = NULL;

    ERR_clear_error();

    store = X509_STORE_new();

    if (store == NULL
        || X509_STORE_load_locations(store, (char *) file->data, NULL) != 1)
    {
        /* the first error is the cause of those behind it */

        reason = ERR_reason_error_string(ERR_peek_error());

        if (reason == NULL) {
            reason = "no certificate found";
        }
    }

    X509_STORE_free(store);
    ERR_clear_error();

    return reason;
}
