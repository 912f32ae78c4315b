
/*
 * Copyright (C) 2026 idpay contributors
 *
 * A slab pool as a zone has it, of so many pages; it is freed by ngx_free().
 */


#ifndef _SLAB_H_INCLUDED_
#define _SLAB_H_INCLUDED_


static ngx_slab_pool_t *
slab_pool(size_t pages, ngx_log_t *log)
{
    size_t            size;
    u_char           *p;
    ngx_slab_pool_t  *sp;

    size = pages * ngx_pagesize;

    p = ngx_memalign(ngx_pagesize, size, log);
    ngx_memzero(p, size);

    sp = (ngx_slab_pool_t *) p;
    sp->end = p + size;
    sp->min_shift = 3;
    sp->addr = p;

    (void) ngx_shmtx_create(&sp->mutex, &sp->lock, NULL);
    ngx_slab_init(sp);
    sp->log_nomem = 0;

    return sp;
}


#endif /* _SLAB_H_INCLUDED_ */
