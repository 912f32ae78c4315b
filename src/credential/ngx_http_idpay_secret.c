
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_secret.h"

#include <sys/mman.h>


static void ngx_http_idpay_vault_cleanup(void *data);
static char *ngx_http_idpay_secret_read_file(ngx_http_idpay_source_t *source,
    u_char *buf, size_t size, size_t *len, ngx_uint_t *open_to_others,
    ngx_err_t *err);


ngx_http_idpay_vault_t *
ngx_http_idpay_vault_create(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_idpay_vault_t  *vault;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_idpay_vault_t));
    if (cln == NULL) {
        return NULL;
    }

    vault = cln->data;

    vault->start = mmap(NULL, NGX_HTTP_IDPAY_VAULT_SIZE, PROT_READ|PROT_WRITE,
                        MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

    if (vault->start == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, pool->log, ngx_errno,
                      "idpay: mmap() failed");
        return NULL;
    }

    vault->pos = vault->start;
    vault->end = vault->start + NGX_HTTP_IDPAY_VAULT_SIZE;
    vault->log = pool->log;

    cln->handler = ngx_http_idpay_vault_cleanup;

#ifdef MADV_DONTDUMP

    if (madvise(vault->start, NGX_HTTP_IDPAY_VAULT_SIZE, MADV_DONTDUMP)
        == -1)
    {
        ngx_log_error(NGX_LOG_WARN, pool->log, ngx_errno,
                      "idpay: madvise(MADV_DONTDUMP) failed, "
                      "a core file would hold secrets");
    }

#endif

    return vault;
}


static void
ngx_http_idpay_vault_cleanup(void *data)
{
    ngx_http_idpay_vault_t  *vault = data;

    ngx_explicit_memzero(vault->start, vault->pos - vault->start);

    if (munmap(vault->start, vault->end - vault->start) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "idpay: munmap() failed");
    }
}


u_char *
ngx_http_idpay_vault_alloc(ngx_http_idpay_vault_t *vault, size_t size)
{
    u_char  *p;

    p = vault->pos;

    if ((size_t) (vault->end - p) < size) {
        ngx_log_error(NGX_LOG_ALERT, vault->log, 0,
                      "idpay: no room for %uz bytes of a credential", size);
        return NULL;
    }

    vault->pos += size;

    return p;
}


ngx_int_t
ngx_http_idpay_secret_source(ngx_cycle_t *cycle, ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_idpay_source_t *source)
{
    u_char  *p;
    size_t   prefix;

    if (text->len >= 5 && ngx_strncmp(text->data, "file:", 5) == 0) {
        source->env = 0;
        prefix = 5;

    } else if (text->len >= 4 && ngx_strncmp(text->data, "env:", 4) == 0) {
        source->env = 1;
        prefix = 4;

    } else {
        return NGX_DECLINED;
    }

    source->name.len = text->len - prefix;

    p = ngx_pnalloc(pool, source->name.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    source->name.data = p;

    (void) ngx_cpystrn(p, text->data + prefix, source->name.len + 1);

    if (source->env) {
        return NGX_OK;
    }

    return ngx_conf_full_name(cycle, &source->name, 1);
}


char *
ngx_http_idpay_secret_read(ngx_http_idpay_vault_t *vault,
    ngx_http_idpay_source_t *source, ngx_str_t *value,
    ngx_uint_t *open_to_others, ngx_err_t *err)
{
    char    *env, *reason;
    u_char  *p, *last;
    size_t   len;

    *err = 0;
    *open_to_others = 0;

    if (source->env) {
        env = getenv((char *) source->name.data);
        if (env == NULL) {
            return "is not set in the environment";
        }

        len = ngx_strlen(env);

        if (len > NGX_HTTP_IDPAY_SECRET_MAX) {
            return "is longer than " ngx_value(NGX_HTTP_IDPAY_SECRET_MAX)
                   " bytes";
        }

        p = ngx_http_idpay_vault_alloc(vault, len);
        if (p == NULL) {
            return "has no room";
        }

        ngx_memcpy(p, env, len);

    } else {

        /* one byte for the newline, one to see that the file is longer */

        p = ngx_http_idpay_vault_alloc(vault, NGX_HTTP_IDPAY_SECRET_MAX + 2);
        if (p == NULL) {
            return "has no room";
        }

        reason = ngx_http_idpay_secret_read_file(source, p,
                                                 NGX_HTTP_IDPAY_SECRET_MAX + 2,
                                                 &len, open_to_others, err);
        if (reason) {
            return reason;
        }

        vault->pos = p + len;

        if (len && p[len - 1] == '\n') {
            len--;
        }

        if (len > NGX_HTTP_IDPAY_SECRET_MAX) {
            return "is longer than " ngx_value(NGX_HTTP_IDPAY_SECRET_MAX)
                   " bytes";
        }
    }

    if (len == 0) {
        return "is empty";
    }

    value->data = p;
    value->len = len;

    for (last = p + len; p < last; p++) {

        if (*p == '\n') {
            return "has more than one line, a secret is one line";
        }

        if (*p < 0x20 || *p == 0x7f) {
            return "has a control character";
        }
    }

    return NULL;
}


static char *
ngx_http_idpay_secret_read_file(ngx_http_idpay_source_t *source, u_char *buf,
    size_t size, size_t *len, ngx_uint_t *open_to_others, ngx_err_t *err)
{
    char             *reason;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_file_info_t   fi;

    /* NGX_FILE_NONBLOCK: a FIFO must not hang the start */

    fd = ngx_open_file(source->name.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        *err = ngx_errno;
        return "cannot be opened";
    }

    reason = NULL;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        *err = ngx_errno;
        reason = "cannot be read";
        goto done;
    }

    if (!ngx_is_file(&fi)) {
        reason = "is not a regular file";
        goto done;
    }

    *open_to_others = ((ngx_file_access(&fi) & S_IROTH) != 0);

    *len = 0;

    while (*len < size) {
        n = ngx_read_fd(fd, buf + *len, size - *len);

        if (n == -1) {
            *err = ngx_errno;
            reason = "cannot be read";
            goto done;
        }

        if (n == 0) {
            break;
        }

        *len += n;
    }

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR && reason == NULL) {
        *err = ngx_errno;
        reason = "cannot be closed";
    }

    return reason;
}
