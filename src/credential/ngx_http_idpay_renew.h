
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Getting a new token: what is asked of the store and of the provider, in which
 * order, and what becomes of the answers.  It belongs to the worker and to no
 * call: who wanted the token may have gone meanwhile.
 */


#ifndef _NGX_HTTP_IDPAY_RENEW_H_INCLUDED_
#define _NGX_HTTP_IDPAY_RENEW_H_INCLUDED_


#include "ngx_http_idpay.h"


/*
 * Gets a token of another generation than "refused" for a profile, with the
 * lease of "owner", which is ended in any case.  In this order:
 *
 *   1. a pair that is still to be saved is saved;
 *   2. what the store has is taken, if it is good;
 *   3. the intent to spend the refresh token is written to the store;
 *   4. the provider is asked;
 *   5. the new pair is kept in the zone, saved in the store, and published.
 *
 * Never ends the lease before it returns, unless there is no memory.
 */
void ngx_http_idpay_renew(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile, uint64_t owner, uint64_t refused);

/*
 * Sees to it that a pair which is kept in the zone is saved, also if no call
 * asks for it; but not in a single process, where calls do.
 */
void ngx_http_idpay_renew_save(ngx_http_idpay_upstream_conf_t *iucf,
    ngx_str_t *profile);

/*
 * Wipes and frees what is under way.  For the module's exit_process, when
 * neither libcurl nor the store calls back any more.
 */
void ngx_http_idpay_renew_exit_process(void);


#endif /* _NGX_HTTP_IDPAY_RENEW_H_INCLUDED_ */
