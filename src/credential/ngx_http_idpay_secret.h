
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Secrets: where they are read from, and the memory that holds them.
 */


#ifndef _NGX_HTTP_IDPAY_SECRET_H_INCLUDED_
#define _NGX_HTTP_IDPAY_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_IDPAY_SECRET_MAX  8192    /* bytes */

/*
 * Bytes of one provider's vault: enough for two slots of two secrets of the
 * greatest length with all forms of them.  Pages that are not touched cost
 * nothing.
 */

#define NGX_HTTP_IDPAY_VAULT_SIZE  (1024 * 1024)


/* pages of their own: left out of core files, wiped with the pool */

typedef struct {
    u_char      *start;
    u_char      *pos;
    u_char      *end;
    ngx_log_t   *log;
} ngx_http_idpay_vault_t;


/* "file:PATH" or "env:NAME" */

typedef struct {
    ngx_str_t    name;          /* NUL-terminated, from the pool of the parse */
    unsigned     env:1;
} ngx_http_idpay_source_t;


/*
 * Maps NGX_HTTP_IDPAY_VAULT_SIZE bytes.  They are wiped and unmapped with the
 * pool.  Returns NULL on failure, which is logged.
 */
ngx_http_idpay_vault_t *ngx_http_idpay_vault_create(ngx_pool_t *pool);

/*
 * Takes "size" bytes of the vault; they are never given back alone.  Returns
 * NULL if the vault is full, which is logged as an alert.
 */
u_char *ngx_http_idpay_vault_alloc(ngx_http_idpay_vault_t *vault, size_t size);

/*
 * Parses a source as it stands in the configuration; the path of a file is
 * taken relative to the configuration's directory.  Returns NGX_OK,
 * NGX_DECLINED if the text is no source, or NGX_ERROR if there is no memory.
 */
ngx_int_t ngx_http_idpay_secret_source(ngx_cycle_t *cycle, ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_idpay_source_t *source);

/*
 * Reads a secret into the vault; blocks on the file.  One trailing newline is
 * not part of it.  "value" is in the vault and not NUL-terminated.
 * "open_to_others" is set where others than the file's owner and group may
 * read it.
 *
 * Returns NULL, or what is wrong: a text to stand behind the source's name,
 * with the system's error in "err" or 0.
 */
char *ngx_http_idpay_secret_read(ngx_http_idpay_vault_t *vault,
    ngx_http_idpay_source_t *source, ngx_str_t *value,
    ngx_uint_t *open_to_others, ngx_err_t *err);


#endif /* _NGX_HTTP_IDPAY_SECRET_H_INCLUDED_ */
