
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_credential.h"


static size_t ngx_http_idpay_credential_size(
    const ngx_http_idpay_scheme_t *scheme, ngx_str_t *values);
static u_char *ngx_http_idpay_credential_field(u_char *p,
    const ngx_http_idpay_field_t *field, ngx_str_t *values);
static ngx_uint_t ngx_http_idpay_credential_token(ngx_str_t *name);
static ngx_int_t ngx_http_idpay_credential_redact_form(
    ngx_http_idpay_redact_t *redact, ngx_http_idpay_vault_t *vault,
    ngx_str_t *values);


static const ngx_http_idpay_scheme_t  ngx_http_idpay_bearer = {
    1,
    { { ngx_string("token"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_BEARER, ngx_string("Authorization"),
        ngx_null_string, 0 } },
    NULL
};


static const ngx_http_idpay_scheme_t  ngx_http_idpay_basic = {
    2,
    { { ngx_string("user"), ngx_null_string },
      { ngx_string("password"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_BASIC, ngx_string("Authorization"),
        ngx_null_string, 0 } },
    NULL
};


static const ngx_http_idpay_scheme_t  ngx_http_idpay_header = {
    1,
    { { ngx_string("key"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_SECRET, ngx_null_string, ngx_null_string, 0 } },
    NULL
};


static const ngx_http_idpay_scheme_t  ngx_http_idpay_query = {
    1,
    { { ngx_string("key"), ngx_null_string } },
    1,
    { { NGX_HTTP_IDPAY_FIELD_ARGUMENT, ngx_null_string, ngx_null_string, 0 } },
    NULL
};


/* these are written by the proxy module, a second one must not appear */

static const ngx_str_t  ngx_http_idpay_reserved_headers[] = {
    ngx_string("host"),
    ngx_string("connection"),
    ngx_string("content-length"),
    ngx_string("transfer-encoding"),
    ngx_string("te"),
    ngx_string("keep-alive"),
    ngx_string("expect"),
    ngx_string("upgrade"),
    ngx_null_string
};


ngx_http_idpay_scheme_t *
ngx_http_idpay_credential_scheme(ngx_pool_t *pool, ngx_array_t *args,
    char **err)
{
    ngx_str_t                      *value;
    ngx_uint_t                      i, named;
    ngx_http_idpay_scheme_t        *scheme;
    const ngx_http_idpay_scheme_t  *model;

    value = args->elts;
    named = 0;

    if (ngx_strcmp(value[1].data, "bearer") == 0) {
        model = &ngx_http_idpay_bearer;

    } else if (ngx_strcmp(value[1].data, "basic") == 0) {
        model = &ngx_http_idpay_basic;

    } else if (ngx_strcmp(value[1].data, "header") == 0) {
        model = &ngx_http_idpay_header;
        named = 1;

    } else if (ngx_strcmp(value[1].data, "query") == 0) {
        model = &ngx_http_idpay_query;
        named = 1;

    } else {
        *err = "is unknown, use \"bearer\", \"basic\", \"header NAME\", "
               "\"query NAME\" or \"oauth2\"";
        return NULL;
    }

    if (args->nelts != 2 + named) {
        *err = named ? "takes exactly one name" : "takes no arguments";
        return NULL;
    }

    scheme = ngx_palloc(pool, sizeof(ngx_http_idpay_scheme_t));
    if (scheme == NULL) {
        *err = "has no memory";
        return NULL;
    }

    *scheme = *model;

    if (!named) {
        return scheme;
    }

    scheme->fields[0].name = value[2];

    if (!ngx_http_idpay_credential_token(&value[2])) {
        *err = "takes a name of letters, digits, \"-\", \"_\" and \".\" only";
        return NULL;
    }

    if (model == &ngx_http_idpay_query) {
        return scheme;
    }

    for (i = 0; ngx_http_idpay_reserved_headers[i].len; i++) {
        if (value[2].len == ngx_http_idpay_reserved_headers[i].len
            && ngx_strcasecmp(value[2].data,
                              ngx_http_idpay_reserved_headers[i].data)
               == 0)
        {
            *err = "names a header that HTTP itself needs";
            return NULL;
        }
    }

    return scheme;
}


static ngx_uint_t
ngx_http_idpay_credential_token(ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')
        {
            continue;
        }

        return 0;
    }

    return name->len != 0;
}


ngx_int_t
ngx_http_idpay_credential_test(const ngx_http_idpay_scheme_t *scheme,
    ngx_uint_t n, ngx_str_t *value, ngx_str_t *err)
{
    u_char           *last;
    ngx_uint_t        i;
    const ngx_str_t  *prefix, *other;

    last = err->data + NGX_MAX_CONF_ERRSTR;
    prefix = &scheme->secrets[n].prefix;

    if (prefix->len
        && (value->len <= prefix->len
            || ngx_strncmp(value->data, prefix->data, prefix->len) != 0))
    {
        err->len = ngx_slprintf(err->data, last, "must be \"%V\" and more",
                                prefix)
                   - err->data;

        for (i = 0; i < scheme->nsecrets; i++) {
            other = &scheme->secrets[i].prefix;

            if (i != n
                && value->len > other->len
                && ngx_strncmp(value->data, other->data, other->len) == 0)
            {
                err->len = ngx_slprintf(err->data + err->len, last,
                                        ", is it swapped with \"%V\"?",
                                        &scheme->secrets[i].name)
                           - err->data;
            }
        }

        return NGX_DECLINED;
    }

    for (i = 0; i < scheme->nfields; i++) {
        if (scheme->fields[i].type == NGX_HTTP_IDPAY_FIELD_BASIC
            && scheme->fields[i].secret == n
            && ngx_strlchr(value->data, value->data + value->len, ':'))
        {
            err->len = ngx_slprintf(err->data, last, "has a colon, which Basic "
                                    "authentication does not allow in a user "
                                    "name")
                       - err->data;

            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_http_idpay_credential_t *
ngx_http_idpay_credential_create(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault, const ngx_http_idpay_scheme_t *scheme,
    ngx_str_t *values)
{
    u_char                        *p;
    ngx_str_t                     *out;
    ngx_uint_t                     i;
    const ngx_http_idpay_field_t  *field;
    ngx_http_idpay_credential_t   *credential;

    credential = ngx_pcalloc(pool, sizeof(ngx_http_idpay_credential_t));
    if (credential == NULL) {
        return NULL;
    }

    p = ngx_http_idpay_vault_alloc(vault,
                             ngx_http_idpay_credential_size(scheme, values));
    if (p == NULL) {
        return NULL;
    }

    /* a scheme has fields of one kind: headers, or a single argument */

    for (i = 0; i < scheme->nfields; i++) {
        field = &scheme->fields[i];

        out = (field->type == NGX_HTTP_IDPAY_FIELD_ARGUMENT)
              ? &credential->args : &credential->headers;

        if (out->data == NULL) {
            out->data = p;
        }

        p = ngx_http_idpay_credential_field(p, field, values);

        out->len = p - out->data;
    }

    return credential;
}


static size_t
ngx_http_idpay_credential_size(const ngx_http_idpay_scheme_t *scheme,
    ngx_str_t *values)
{
    size_t                         size;
    ngx_uint_t                     i, n;
    const ngx_http_idpay_field_t  *field;

    size = 0;

    for (i = 0; i < scheme->nfields; i++) {
        field = &scheme->fields[i];
        n = field->secret;

        size += field->name.len + sizeof(": \r\n") - 1;

        switch (field->type) {

        case NGX_HTTP_IDPAY_FIELD_SECRET:
            size += values[n].len;
            break;

        case NGX_HTTP_IDPAY_FIELD_LITERAL:
            size += field->text.len;
            break;

        case NGX_HTTP_IDPAY_FIELD_BEARER:
            size += sizeof("Bearer ") - 1 + values[n].len;
            break;

        case NGX_HTTP_IDPAY_FIELD_BASIC:

            /* the pair itself is put behind its encoded form */

            size += sizeof("Basic ") - 1 + values[n].len + 1 + values[n + 1].len
                    + ngx_base64_encoded_length(values[n].len + 1
                                                + values[n + 1].len);
            break;

        case NGX_HTTP_IDPAY_FIELD_ARGUMENT:
            size += values[n].len * 3;
            break;

        case NGX_HTTP_IDPAY_FIELD_TOKEN:
            /* not made of secrets alone */
            break;
        }
    }

    return size;
}


static u_char *
ngx_http_idpay_credential_field(u_char *p, const ngx_http_idpay_field_t *field,
    ngx_str_t *values)
{
    size_t      len;
    ngx_str_t  *value, src, dst;

    value = &values[field->secret];

    p = ngx_cpymem(p, field->name.data, field->name.len);

    if (field->type == NGX_HTTP_IDPAY_FIELD_ARGUMENT) {
        *p++ = '=';
        return (u_char *) ngx_escape_uri(p, value->data, value->len,
                                         NGX_ESCAPE_URI_COMPONENT);
    }

    p = ngx_cpymem(p, ": ", 2);

    switch (field->type) {

    case NGX_HTTP_IDPAY_FIELD_LITERAL:
        p = ngx_cpymem(p, field->text.data, field->text.len);
        break;

    case NGX_HTTP_IDPAY_FIELD_BEARER:
        p = ngx_cpymem(p, "Bearer ", sizeof("Bearer ") - 1);
        p = ngx_cpymem(p, value->data, value->len);
        break;

    case NGX_HTTP_IDPAY_FIELD_BASIC:
        p = ngx_cpymem(p, "Basic ", sizeof("Basic ") - 1);

        src.len = value[0].len + 1 + value[1].len;
        len = ngx_base64_encoded_length(src.len);

        /* CRLF lies between the two */

        src.data = p + len + 2;
        dst.data = p;

        p = ngx_cpymem(src.data, value[0].data, value[0].len);
        *p++ = ':';
        ngx_memcpy(p, value[1].data, value[1].len);

        ngx_encode_base64(&dst, &src);
        ngx_explicit_memzero(src.data, src.len);

        p = dst.data + dst.len;
        break;

    default: /* NGX_HTTP_IDPAY_FIELD_SECRET */
        p = ngx_cpymem(p, value->data, value->len);
        break;
    }

    *p++ = CR;
    *p++ = LF;

    return p;
}


ngx_http_idpay_redact_t *
ngx_http_idpay_credential_redact(ngx_pool_t *pool,
    ngx_http_idpay_vault_t *vault, const ngx_http_idpay_scheme_t *scheme,
    ngx_str_t *values, ngx_str_t *next)
{
    ngx_uint_t                i, n, differs;
    ngx_http_idpay_field_e    type;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_http_idpay_redact_create(pool, vault);
    if (redact == NULL) {
        return NULL;
    }

    differs = 0;

    for (n = 0; n < scheme->nsecrets; n++) {

        if (ngx_http_idpay_redact_add(redact, &values[n]) != NGX_OK) {
            return NULL;
        }

        if (next[n].data == values[n].data) {
            continue;
        }

        differs = 1;

        if (ngx_http_idpay_redact_add(redact, &next[n]) != NGX_OK) {
            return NULL;
        }
    }

    for (i = 0; i < scheme->nfields; i++) {

        type = scheme->fields[i].type;
        n = scheme->fields[i].secret;

        if (type != NGX_HTTP_IDPAY_FIELD_BASIC
            && type != NGX_HTTP_IDPAY_FIELD_TOKEN)
        {
            continue;
        }

        if (ngx_http_idpay_redact_add_basic(redact, &values[n],
                                            &values[n + 1])
            != NGX_OK)
        {
            return NULL;
        }

        if (differs
            && ngx_http_idpay_redact_add_basic(redact, &next[n], &next[n + 1])
               != NGX_OK)
        {
            return NULL;
        }
    }

    if (scheme->grants
        && scheme->grants->application.auth
           == NGX_HTTP_IDPAY_CLIENT_BASIC_FORM
        && (ngx_http_idpay_credential_redact_form(redact, vault, values)
            != NGX_OK
            || (differs
                && ngx_http_idpay_credential_redact_form(redact, vault, next)
                   != NGX_OK)))
    {
        return NULL;
    }

    return redact;
}


/* a pair that is percent-encoded before it is encoded for Basic */

static ngx_int_t
ngx_http_idpay_credential_redact_form(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_vault_t *vault, ngx_str_t *values)
{
    u_char      *p;
    ngx_str_t    pair[2];
    ngx_uint_t   n;

    for (n = 0; n < 2; n++) {

        p = ngx_http_idpay_vault_alloc(vault, values[n].len * 3);
        if (p == NULL) {
            return NGX_ERROR;
        }

        pair[n].data = p;

        p = (u_char *) ngx_escape_uri(p, values[n].data, values[n].len,
                                      NGX_ESCAPE_URI_COMPONENT);
        pair[n].len = p - pair[n].data;
    }

    return ngx_http_idpay_redact_add_basic(redact, &pair[0], &pair[1]);
}
