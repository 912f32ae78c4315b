
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_page.h"

#include "credential/ngx_http_idpay_grants.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_pass.h"


static ngx_int_t ngx_http_idpay_page_url(ngx_conf_t *cf,
    ngx_http_idpay_page_t *page, char *parameter);
static ngx_int_t ngx_http_idpay_page_provider(ngx_conf_t *cf,
    ngx_http_idpay_page_t *page);


/* what is answered is of one person, and its address of one use */

static const ngx_str_t  ngx_http_idpay_page_no_store =
    ngx_string("no-store");

static const ngx_str_t  ngx_http_idpay_page_no_referrer =
    ngx_string("no-referrer");


char *
ngx_http_idpay_page(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *conf,
    ngx_http_handler_pt handler, char *parameter)
{
    ngx_str_t                 *value;
    ngx_http_idpay_page_t     *page;
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->page && conf->page->handler == handler) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "conflicts with another content handler of the location";
    }

    page = ngx_pcalloc(cf->pool, sizeof(ngx_http_idpay_page_t));
    if (page == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    page->directive = value[0];
    page->provider = value[1];
    page->location = clcf->name;
    page->handler = handler;
    page->file_name = cf->conf_file->file.name.data;
    page->line = cf->conf_file->line;

    if (cf->args->nelts == 3
        && ngx_http_idpay_page_url(cf, page, parameter) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf->handler = handler;
    conf->page = page;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_idpay_page_url(ngx_conf_t *cf, ngx_http_idpay_page_t *page,
    char *parameter)
{
    size_t      len;
    ngx_str_t  *value;

    value = cf->args->elts;
    len = ngx_strlen(parameter);

    if (value[2].len < len
        || ngx_strncmp(value[2].data, parameter, len) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: invalid parameter \"%V\" in \"%V\", use "
                           "\"%sURL\"", &value[2], &page->directive,
                           parameter);
        return NGX_ERROR;
    }

    if (ngx_http_script_variables_count(&value[2])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: the parameter \"%V\" of \"%V\" cannot "
                           "have variables", &value[2], &page->directive);
        return NGX_ERROR;
    }

    page->url.data = value[2].data + len;
    page->url.len = value[2].len - len;

    if (!ngx_http_idpay_grants_web(&page->url)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "idpay: invalid URL in the parameter \"%V\" of "
                           "\"%V\", use \"%shttps://host/path\"", &value[2],
                           &page->directive, parameter);
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_idpay_page_merge(ngx_conf_t *cf, ngx_http_idpay_loc_conf_t *prev,
    ngx_http_idpay_loc_conf_t *conf)
{
    ngx_http_idpay_page_t     *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->page == NULL) {

        /* "if" and "limit_except" go on with the location's handler */

        if (clcf->noname && prev->page && clcf->handler == NULL) {
            conf->page = prev->page;

            if (clcf->lmt_excpt) {
                clcf->handler = conf->page->handler;
            }
        }

        return NGX_CONF_OK;
    }

    page = conf->page;

    if (page->iucf) {
        /* it is the one of the location around this one */
        return NGX_CONF_OK;
    }

    if (clcf->handler != page->handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: \"%V %V\" conflicts with another content "
                      "handler of the location, in %s:%ui", &page->directive,
                      &page->provider, page->file_name, page->line);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_idpay_page_provider(cf, page) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_idpay_page_provider(ngx_conf_t *cf, ngx_http_idpay_page_t *page)
{
    ngx_str_t  names;

    page->iucf = ngx_http_idpay_pass_provider(cf, &page->provider);

    if (page->iucf == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: unknown provider \"%V\" in \"%V\", no upstream "
                      "of that name has \"idpay_provider\", in %s:%ui",
                      &page->provider, &page->directive, page->file_name,
                      page->line);
        return NGX_ERROR;
    }

    if (!ngx_http_idpay_provider_consents(page->iucf->scheme)) {
        names = ngx_http_idpay_provider_names(cf->pool, 1);

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "idpay: \"%V %V\" needs a provider that asks people for "
                      "consent, its preset \"%V\" does not, use one of: %V, "
                      "in %s:%ui", &page->directive, &page->provider,
                      &page->iucf->preset->name, &names, page->file_name,
                      page->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_idpay_ctx_t *
ngx_http_idpay_page_begin(ngx_http_request_t *r)
{
    ngx_http_idpay_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_idpay_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->ilcf = ngx_http_get_module_loc_conf(r, ngx_http_idpay_module);
    ctx->iucf = ctx->ilcf->page->iucf;

    if (r->upstream_states) {
        ctx->states = r->upstream_states->nelts;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_idpay_module);

    if (ngx_http_idpay_answer_header(r, "Cache-Control",
                                     &ngx_http_idpay_page_no_store)
        != NGX_OK
        || ngx_http_idpay_answer_header(r, "Referrer-Policy",
                                        &ngx_http_idpay_page_no_referrer)
           != NGX_OK)
    {
        return NULL;
    }

    return ctx;
}


ngx_int_t
ngx_http_idpay_page_argument(ngx_http_request_t *r, char *name,
    ngx_str_t *value)
{
    u_char     *src, *dst;
    ngx_str_t   arg;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &arg) != NGX_OK
        || arg.len == 0)
    {
        ngx_str_null(value);
        return NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, arg.len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;
    src = arg.data;

    ngx_unescape_uri(&dst, &src, arg.len, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_page_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = 0;

    if (b) {
        b->last_buf = (r == r->main);
        b->last_in_chain = 1;

        r->headers_out.content_length_n = b->last - b->pos;

        ngx_str_set(&r->headers_out.content_type, "application/json");
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (b == NULL) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_idpay_page_failure(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx,
    ngx_http_idpay_consent_result_t *result)
{
    ngx_http_idpay_problem_t  problem;

    switch (result->cause) {

    case NGX_HTTP_IDPAY_CAUSE_ABSENT:
        ngx_http_idpay_problem_init(&problem, NGX_HTTP_IDPAY_NOT_FOUND, 0);
        ngx_str_set(&problem.detail, "there is no consent of this profile");
        break;

    case NGX_HTTP_IDPAY_CAUSE_CLIENT:
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_REJECTED, 0);
        ngx_str_set(&problem.detail,
                    "the provider refuses the gateway's secrets");
        break;

    case NGX_HTTP_IDPAY_CAUSE_STORE:
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE, 0);
        ngx_str_set(&problem.detail,
                    "the gateway's store of tokens cannot be used");
        break;

    default: /* NGX_HTTP_IDPAY_CAUSE_FAILED */
        ngx_http_idpay_problem_init(&problem,
                                    NGX_HTTP_IDPAY_CREDENTIAL_UNAVAILABLE, 0);
        ngx_str_set(&problem.detail,
                    "the provider does not do this at present");
    }

    problem.provider_status = result->status;
    problem.provider_code = result->error;
    problem.unknown = result->doubt;

    ctx->retry_after = result->retry;

    return ngx_http_idpay_answer(r, ctx, &problem);
}


ngx_int_t
ngx_http_idpay_page_park(ngx_http_request_t *r, ngx_http_cleanup_pt handler,
    void *data)
{
    ngx_event_t         *rev;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = handler;
    cln->data = data;

    r->main->count++;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    /* that the caller has gone may have been told already */

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_idpay_page_gone(ngx_http_request_t *r, ngx_http_idpay_ctx_t *ctx)
{
    if (ngx_http_get_module_ctx(r, ngx_http_idpay_module) != ctx) {
        return 1;
    }

    ngx_http_set_log_request(r->connection->log, r);

    return 0;
}


void
ngx_http_idpay_page_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, rc);

    ngx_http_run_posted_requests(c);
}
