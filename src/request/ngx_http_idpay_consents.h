
/*
 * Copyright (C) 2026 idpay contributors
 *
 * "idpay_consents": a location where the consents of a provider are seen and
 * revoked.
 */


#ifndef _NGX_HTTP_IDPAY_CONSENTS_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CONSENTS_H_INCLUDED_


#include "ngx_http_idpay.h"


/* the directive's setter, as ngx_command_t wants it; errors are logged */

char *ngx_http_idpay_consents(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_IDPAY_CONSENTS_H_INCLUDED_ */
