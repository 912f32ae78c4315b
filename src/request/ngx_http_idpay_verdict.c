
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "request/ngx_http_idpay_verdict.h"

#include "request/ngx_http_idpay_admission.h"
#include "request/ngx_http_idpay_answer.h"
#include "request/ngx_http_idpay_authorize.h"


static ngx_int_t ngx_http_idpay_verdict_fields(ngx_http_request_t *sr,
    ngx_http_idpay_report_t *report);
static ngx_int_t ngx_http_idpay_verdict_field(ngx_pool_t *pool,
    ngx_str_t *field, ngx_str_t *value);
static void ngx_http_idpay_verdict_again(ngx_http_idpay_ctx_t *ctx,
    ngx_http_upstream_t *u, ngx_http_idpay_report_t *report);
static ngx_uint_t ngx_http_idpay_verdict_at_once(ngx_http_idpay_ctx_t *ctx,
    ngx_http_upstream_t *u, ngx_http_idpay_end_e end);


/* the fields that tell of quotas, without an "x-" before them */

static struct {
    ngx_str_t   name;
    size_t      offset;
} ngx_http_idpay_quota_names[] = {
    { ngx_string("ratelimit"),
      offsetof(ngx_http_idpay_quota_fields_t, ratelimit) },
    { ngx_string("ratelimit-policy"),
      offsetof(ngx_http_idpay_quota_fields_t, policy) },
    { ngx_string("ratelimit-limit"),
      offsetof(ngx_http_idpay_quota_fields_t, limit) },
    { ngx_string("ratelimit-remaining"),
      offsetof(ngx_http_idpay_quota_fields_t, remaining) },
    { ngx_string("ratelimit-reset"),
      offsetof(ngx_http_idpay_quota_fields_t, reset) },
    { ngx_string("rate-limit-limit"),
      offsetof(ngx_http_idpay_quota_fields_t, limit) },
    { ngx_string("rate-limit-remaining"),
      offsetof(ngx_http_idpay_quota_fields_t, remaining) },
    { ngx_string("rate-limit-reset"),
      offsetof(ngx_http_idpay_quota_fields_t, reset) },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_idpay_verdict_answer(ngx_http_request_t *sr,
    ngx_http_idpay_ctx_t *ctx)
{
    ngx_http_upstream_t      *u;
    ngx_http_idpay_report_t   report;

    u = sr->upstream;

    ngx_memzero(&report, sizeof(ngx_http_idpay_report_t));

    report.end = NGX_HTTP_IDPAY_ANSWERED;
    report.status = sr->headers_out.status;

    if (ngx_http_idpay_verdict_fields(sr, &report) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->status = report.status;
    ctx->unknown = ngx_http_idpay_replay_unknown(report.end, report.status,
                                                 ctx->safe);

    ngx_http_idpay_admission_report(ctx, &report);

    ctx->retry_after = 0;

    if (ngx_http_idpay_authorize_again(ctx, report.status)) {
        ctx->due = ngx_current_msec;
        ctx->again = 1;

        return NGX_DECLINED;
    }

    ngx_http_idpay_verdict_again(ctx, u, &report);

    if (!ctx->again) {

        if (report.delay != NGX_ERROR) {
            ctx->retry_after = report.delay;
            return NGX_OK;
        }

        if (ctx->retry_after) {
            return ngx_http_idpay_answer_retry_after(sr,
                                   &sr->headers_out.headers, ctx->retry_after);
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_idpay_verdict_fields(ngx_http_request_t *sr,
    ngx_http_idpay_report_t *report)
{
    size_t                          len;
    u_char                         *name;
    int64_t                         now;
    ngx_str_t                      *field;
    ngx_time_t                     *tp;
    ngx_uint_t                      i, n, quota;
    ngx_list_part_t                *part;
    ngx_table_elt_t                *h;
    ngx_http_idpay_quota_fields_t   fields;

    ngx_memzero(&fields, sizeof(ngx_http_idpay_quota_fields_t));

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;
    quota = 0;

    report->delay = NGX_ERROR;

    part = &sr->upstream->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        name = h[i].lowcase_key;
        len = h[i].key.len;

        if (len == sizeof("retry-after") - 1
            && ngx_strncmp(name, "retry-after", len) == 0)
        {
            report->delay = ngx_http_idpay_retry_after(h[i].value.data,
                                                       h[i].value.len, now);
            continue;
        }

        if (len > 2 && name[0] == 'x' && name[1] == '-') {
            name += 2;
            len -= 2;
        }

        if (len == 0 || name[0] != 'r') {
            continue;
        }

        for (n = 0; ngx_http_idpay_quota_names[n].name.len; n++) {

            if (len != ngx_http_idpay_quota_names[n].name.len
                || ngx_strncmp(name, ngx_http_idpay_quota_names[n].name.data,
                               len)
                   != 0)
            {
                continue;
            }

            quota = 1;
            field = (ngx_str_t *) ((u_char *) &fields
                                   + ngx_http_idpay_quota_names[n].offset);

            if (ngx_http_idpay_verdict_field(sr->pool, field, &h[i].value)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    if (quota) {
        ngx_http_idpay_quota(&fields, now, &report->quota);
    }

    return NGX_OK;
}


/* a field that is sent more than once is one list (RFC 9110 5.3) */

static ngx_int_t
ngx_http_idpay_verdict_field(ngx_pool_t *pool, ngx_str_t *field,
    ngx_str_t *value)
{
    u_char  *p;
    size_t   len;

    if (field->data == NULL) {
        *field = *value;
        return NGX_OK;
    }

    len = field->len + sizeof(", ") - 1 + value->len;

    if (len > NGX_HTTP_IDPAY_MAX_FIELD) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(p, "%V, %V", field, value);

    field->data = p;
    field->len = len;

    return NGX_OK;
}


void
ngx_http_idpay_verdict_failure(ngx_http_request_t *r,
    ngx_http_idpay_ctx_t *ctx, ngx_http_idpay_problem_t *problem)
{
    ngx_uint_t                tls;
    ngx_http_upstream_t      *u;
    ngx_http_idpay_report_t   report;

    u = r->upstream;

    if (u == NULL || u->state == NULL
        || ctx->rc == NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        ngx_http_idpay_problem_init(problem, NGX_HTTP_IDPAY_GATEWAY_ERROR, 0);

        problem->unknown = u && u->state && !ctx->safe
                           && u->state->connect_time != (ngx_msec_t) -1;
        return;
    }

    ngx_memzero(&report, sizeof(ngx_http_idpay_report_t));

    report.delay = NGX_ERROR;
    report.neutral = ctx->aborted && ctx->shortened;

    if (u->state->connect_time == (ngx_msec_t) -1) {
        report.end = NGX_HTTP_IDPAY_NOT_SENT;

    } else if (ctx->rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        report.end = NGX_HTTP_IDPAY_TIMED_OUT;

    } else {
        report.end = NGX_HTTP_IDPAY_NO_ANSWER;
    }

    ngx_http_idpay_admission_report(ctx, &report);

    ctx->retry_after = 0;

    ngx_http_idpay_verdict_again(ctx, u, &report);

    if (ctx->again) {
        return;
    }

    /* the name to verify is set when the handshake begins */

    tls = u->ssl && u->ssl_name.data != u->upstream->host.data;

    switch (report.end) {

    case NGX_HTTP_IDPAY_TIMED_OUT:
        ngx_http_idpay_problem_init(problem, NGX_HTTP_IDPAY_PROVIDER_TIMEOUT,
                                    ctx->safe);
        break;

    case NGX_HTTP_IDPAY_NO_ANSWER:
        ngx_http_idpay_problem_init(problem, NGX_HTTP_IDPAY_PROVIDER_ERROR,
                                    ctx->safe);
        ngx_str_set(&problem->detail,
                    "the provider gave no valid HTTP answer");
        break;

    default:

        if (tls && ctx->rc == NGX_HTTP_BAD_GATEWAY) {
            ngx_http_idpay_problem_init(problem,
                                        NGX_HTTP_IDPAY_PROVIDER_ERROR,
                                        ctx->safe);
            ngx_str_set(&problem->detail, "no verified TLS connection "
                                          "to the provider could be made");
            break;
        }

        ngx_http_idpay_problem_init(problem,
                                    NGX_HTTP_IDPAY_PROVIDER_UNAVAILABLE,
                                    ctx->safe);
        ngx_str_set(&problem->detail,
                    "no connection to the provider could be made");
    }

    problem->unknown = ngx_http_idpay_replay_unknown(report.end, 0, ctx->safe);
}


/* decides on another attempt, and when it is to be made */

static void
ngx_http_idpay_verdict_again(ngx_http_idpay_ctx_t *ctx,
    ngx_http_upstream_t *u, ngx_http_idpay_report_t *report)
{
    ngx_msec_t                       delay;
    ngx_http_idpay_upstream_conf_t  *iucf;

    iucf = ctx->iucf;

    if (!ngx_http_idpay_replay_allowed(report->end, report->status, ctx->safe)
        || (report->status == NGX_HTTP_TOO_MANY_REQUESTS
            && iucf->preset->never_4xx)
        || ctx->attempts >= iucf->retry.tries)
    {
        return;
    }

    if (ngx_http_idpay_verdict_at_once(ctx, u, report->end)) {
        ctx->failovers++;
        delay = 0;

    } else if (report->delay != NGX_ERROR) {
        delay = report->delay;

    } else {
        delay = ngx_http_idpay_retry_delay(&iucf->retry,
                                           ctx->attempts - ctx->failovers,
                                           ngx_random());
    }

    if (ngx_http_idpay_admission_retry(ctx, delay) != NGX_OK) {
        return;
    }

    ctx->due = ngx_current_msec + delay;
    ctx->again = 1;
}


/*
 * The next server is tried at once where one could not be connected to, and so
 * is a new connection in place of a kept one that had been closed.
 */

static ngx_uint_t
ngx_http_idpay_verdict_at_once(ngx_http_idpay_ctx_t *ctx,
    ngx_http_upstream_t *u, ngx_http_idpay_end_e end)
{
    ngx_uint_t                   i, n;
    ngx_http_upstream_server_t  *server;

    if (end == NGX_HTTP_IDPAY_NO_ANSWER) {
        return u->peer.cached && ctx->failovers == 0;
    }

    if (end != NGX_HTTP_IDPAY_NOT_SENT) {
        return 0;
    }

    server = u->upstream->servers->elts;
    n = 0;

    for (i = 0; i < u->upstream->servers->nelts; i++) {
        n += server[i].naddrs;
    }

    return ctx->failovers + 1 < n;
}
