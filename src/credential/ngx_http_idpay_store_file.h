
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The file of the store's database: who may use it, and its beginning.
 */


#ifndef _NGX_HTTP_IDPAY_STORE_FILE_H_INCLUDED_
#define _NGX_HTTP_IDPAY_STORE_FILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* whom the workers run as */

typedef struct {
    uid_t        uid;
    gid_t        gid;
    const char  *name;     /* NULL: as the master does, who is not root */
} ngx_http_idpay_store_user_t;


/*
 * Finds the workers' user, as far as the configuration has been read: a "user"
 * that stands behind is not known.  Returns NGX_OK, or NGX_ERROR, which is
 * logged as EMERG.
 */
ngx_int_t ngx_http_idpay_store_file_user(ngx_conf_t *cf,
    ngx_http_idpay_store_user_t *user);

/*
 * Tests that the workers can use the file and make others beside it.  Where
 * there is none an empty one is made, for them alone, but not by "nginx -t".
 * "path" is NUL-terminated.  Returns NGX_OK, NGX_DECLINED if there is none
 * still, or NGX_ERROR, which is logged as EMERG.
 */
ngx_int_t ngx_http_idpay_store_file_make(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_idpay_store_user_t *user);


#endif /* _NGX_HTTP_IDPAY_STORE_FILE_H_INCLUDED_ */
