
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_store_file.h"


/* supplementary groups of the workers' user that are looked at */

#define NGX_HTTP_IDPAY_STORE_GROUPS  256


static ngx_int_t ngx_http_idpay_store_file_test(ngx_conf_t *cf,
    ngx_str_t *path, ngx_http_idpay_store_user_t *user, ngx_file_info_t *fi);
static ngx_int_t ngx_http_idpay_store_file_test_dir(ngx_conf_t *cf,
    ngx_str_t *path, ngx_http_idpay_store_user_t *user, u_char *real);
static ngx_uint_t ngx_http_idpay_store_file_writable(
    ngx_http_idpay_store_user_t *user, ngx_file_info_t *fi);
static ngx_int_t ngx_http_idpay_store_file_create(ngx_conf_t *cf,
    ngx_str_t *path, ngx_http_idpay_store_user_t *user);


ngx_int_t
ngx_http_idpay_store_file_user(ngx_conf_t *cf,
    ngx_http_idpay_store_user_t *user)
{
    struct group     *grp;
    struct passwd    *pwd;
    ngx_core_conf_t  *ccf;

    user->uid = geteuid();
    user->gid = getegid();
    user->name = NULL;

    if (user->uid != 0) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->user != (uid_t) NGX_CONF_UNSET_UINT) {
        user->uid = ccf->user;
        user->gid = ccf->group;
        user->name = ccf->username;

        return NGX_OK;
    }

    /* nginx does the same, but only when all has been read */

    ngx_set_errno(0);
    pwd = getpwnam(NGX_USER);

    if (pwd == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "getpwnam(\"" NGX_USER "\") failed");
        return NGX_ERROR;
    }

    user->uid = pwd->pw_uid;

    ngx_set_errno(0);
    grp = getgrnam(NGX_GROUP);

    if (grp == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "getgrnam(\"" NGX_GROUP "\") failed");
        return NGX_ERROR;
    }

    user->gid = grp->gr_gid;
    user->name = NGX_USER;

    return NGX_OK;
}


/*
 * A file that exists is looked at by its name alone: who closes a descriptor of
 * it takes the locks of all connections that the process has.
 */

ngx_int_t
ngx_http_idpay_store_file_make(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_idpay_store_user_t *user)
{
    u_char           *real;
    ngx_int_t         rc;
    ngx_file_info_t   fi;

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {

        if (ngx_errno != NGX_ENOENT) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               "idpay: store \"%V\" cannot be opened", path);
            return NGX_ERROR;
        }

        if (ngx_http_idpay_store_file_test_dir(cf, path, user, path->data)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_test_config) {
            return NGX_DECLINED;
        }

        return ngx_http_idpay_store_file_create(cf, path, user);
    }

    if (ngx_http_idpay_store_file_test(cf, path, user, &fi) != NGX_OK) {
        return NGX_ERROR;
    }

    /* SQLite's other files are made beside the file, not beside a link to it */

    real = ngx_realpath(path->data, NULL);

    if (real == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_realpath_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = ngx_http_idpay_store_file_test_dir(cf, path, user, real);

    ngx_free(real);

    return rc;
}


static ngx_int_t
ngx_http_idpay_store_file_test(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_idpay_store_user_t *user, ngx_file_info_t *fi)
{
    ngx_uint_t  allowed;

    if (!ngx_is_file(fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: store \"%V\" is not a regular file", path);
        return NGX_ERROR;
    }

    /* an empty file is taken, but not from somebody else */

    if (fi->st_uid != user->uid && (user->name || fi->st_size == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: store \"%V\" belongs to user %uD, but the "
                           "workers run as %uD, use \"chown %uD\" if it is "
                           "theirs", path, (uint32_t) fi->st_uid,
                           (uint32_t) user->uid, (uint32_t) user->uid);
        return NGX_ERROR;
    }

    /* root may read and write whatever its mode says, the workers may not */

    allowed = (user->uid == 0 || user->name == NULL
               || (fi->st_mode & (S_IRUSR|S_IWUSR)) == (S_IRUSR|S_IWUSR));

    if (!allowed || access((char *) path->data, R_OK|W_OK) == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, allowed ? ngx_errno : 0,
                           "idpay: store \"%V\" can be read only, or not even "
                           "that: the workers have to read and write it", path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_store_file_test_dir(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_idpay_store_user_t *user, u_char *real)
{
    u_char           *p, *dir;
    size_t            len;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    len = ngx_strlen(real);

    dir = ngx_pnalloc(cf->temp_pool, len + 3);
    if (dir == NULL) {
        return NGX_ERROR;
    }

    /* "." and "/" stay what they are */

    p = ngx_cpymem(dir, real, len);

    while (p > dir && p[-1] != '/') {
        p--;
    }

    if (p == dir) {
        *p++ = '.';
    }

    *p = '\0';

    err = 0;

    if (ngx_file_info(dir, &fi) == NGX_FILE_ERROR
        || access((char *) dir, W_OK|X_OK) == -1)
    {
        err = ngx_errno;

    } else if (ngx_http_idpay_store_file_writable(user, &fi)) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                       "idpay: the workers cannot make files in \"%s\", where "
                       "store \"%V\" and its log are to be, use \"install -d "
                       "-m 700 -o %uD %s\"", dir, path, (uint32_t) user->uid,
                       dir);

    return NGX_ERROR;
}


/* whether the workers may make files in a directory, where root may */

static ngx_uint_t
ngx_http_idpay_store_file_writable(ngx_http_idpay_store_user_t *user,
    ngx_file_info_t *fi)
{
    int     i, n;
    gid_t   groups[NGX_HTTP_IDPAY_STORE_GROUPS];
    mode_t  mode;

    if (user->uid == 0 || user->name == NULL) {
        return 1;
    }

    if (fi->st_uid == user->uid) {
        mode = S_IWUSR|S_IXUSR;
        return (fi->st_mode & mode) == mode;
    }

    n = NGX_HTTP_IDPAY_STORE_GROUPS;

    if (getgrouplist(user->name, user->gid, groups, &n) == -1) {
        n = NGX_HTTP_IDPAY_STORE_GROUPS;
    }

    for (i = 0; i < n; i++) {

        if (fi->st_gid == groups[i]) {
            mode = S_IWGRP|S_IXGRP;
            return (fi->st_mode & mode) == mode;
        }
    }

    mode = S_IWOTH|S_IXOTH;

    return (fi->st_mode & mode) == mode;
}


/* SQLite gives its other files the same mode and owner */

static ngx_int_t
ngx_http_idpay_store_file_create(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_idpay_store_user_t *user)
{
    ngx_fd_t   fd;
    ngx_int_t  rc;

    fd = ngx_open_tempfile(path->data, 1, NGX_FILE_OWNER_ACCESS);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "idpay: store \"%V\" cannot be created", path);
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (user->name && fchown(fd, user->uid, user->gid) == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "idpay: store \"%V\" cannot be given to user %uD",
                           path, (uint32_t) user->uid);
        rc = NGX_ERROR;

        if (ngx_delete_file(path->data) == NGX_FILE_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_delete_file_n " \"%V\" failed", path);
        }
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    return rc;
}
