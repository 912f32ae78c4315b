
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "provider/ngx_http_idpay_provider.h"


static const ngx_http_idpay_preset_t  *ngx_http_idpay_presets[] = {
    &ngx_http_idpay_generic,
    &ngx_http_idpay_gopay,
    &ngx_http_idpay_passportreader,
    &ngx_http_idpay_plaid,
    &ngx_http_idpay_plasmapay,
    &ngx_http_idpay_plusid,
    NULL
};


const ngx_http_idpay_preset_t *
ngx_http_idpay_provider_find(ngx_str_t *name)
{
    ngx_uint_t                      i;
    const ngx_http_idpay_preset_t  *preset;

    for (i = 0; ngx_http_idpay_presets[i]; i++) {
        preset = ngx_http_idpay_presets[i];

        if (preset->name.len == name->len
            && ngx_strncmp(preset->name.data, name->data, name->len) == 0)
        {
            return preset;
        }
    }

    return NULL;
}


ngx_str_t
ngx_http_idpay_provider_names(ngx_pool_t *pool, ngx_uint_t consents)
{
    u_char                         *p;
    size_t                          len;
    ngx_str_t                       names;
    ngx_uint_t                      i;
    const ngx_http_idpay_preset_t  *preset;

    ngx_str_null(&names);

    len = 0;

    for (i = 0; ngx_http_idpay_presets[i]; i++) {
        len += ngx_http_idpay_presets[i]->name.len + sizeof(", ") - 1;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return names;
    }

    names.data = p;

    for (i = 0; ngx_http_idpay_presets[i]; i++) {
        preset = ngx_http_idpay_presets[i];

        if (!consents || ngx_http_idpay_provider_consents(preset->scheme)) {
            p = ngx_sprintf(p, "%s%V", p == names.data ? "" : ", ",
                            &preset->name);
        }
    }

    names.len = p - names.data;

    return names;
}


ngx_uint_t
ngx_http_idpay_provider_consents(const ngx_http_idpay_scheme_t *scheme)
{
    return scheme && scheme->grants && scheme->grants->client.url.len;
}
