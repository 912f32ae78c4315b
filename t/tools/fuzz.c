
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What the sources of nginx that fuzz targets are linked with need of others.
 */


#include <ngx_config.h>
#include <ngx_core.h>


volatile ngx_cycle_t  *ngx_cycle;


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}
