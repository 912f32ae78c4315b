
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "lib/ngx_http_idpay_curl.h"
#include "lib/ngx_http_idpay_curl_loop.h"


/* bytes: of all of an answer's header, of a field that is handed on */

#define NGX_HTTP_IDPAY_CURL_MAX_HEADER  65536
#define NGX_HTTP_IDPAY_CURL_MAX_FIELD   128

/* bytes that are first allocated for a body */

#define NGX_HTTP_IDPAY_CURL_BODY        4096


typedef struct {
    ngx_uint_t                       local;    /* a unix socket */
    u_char                           text[2 + NGX_SOCKADDR_STRLEN + 1];
} ngx_http_idpay_curl_addr_t;


typedef struct {
    ngx_http_idpay_curl_transfer_t   transfer;

    ngx_http_idpay_curl_handler_pt   handler;
    void                            *data;

    /* of the block that all but the body is in */
    size_t                           size;

    ngx_http_idpay_curl_addr_t      *addr;
    ngx_uint_t                       naddrs;   /* this one and those behind */

    u_char                          *url;
    ngx_str_t                        form;

    struct curl_slist                headers[3];
    struct curl_slist                connect_to;

    size_t                           header_len;
    size_t                           body_size;
    ngx_str_t                        body;
} ngx_http_idpay_curl_request_t;


static ngx_uint_t ngx_http_idpay_curl_allowed(
    ngx_http_idpay_curl_call_t *call);
static ngx_http_idpay_curl_request_t *ngx_http_idpay_curl_create(
    ngx_http_idpay_curl_call_t *call);
static u_char *ngx_http_idpay_curl_basic(u_char *p, ngx_str_t *user,
    ngx_str_t *password);
static ngx_int_t ngx_http_idpay_curl_set(ngx_http_idpay_curl_request_t *cr,
    ngx_http_idpay_curl_call_t *call);
static ngx_int_t ngx_http_idpay_curl_set_tls(CURL *easy,
    ngx_http_idpay_curl_call_t *call);
static ngx_int_t ngx_http_idpay_curl_set_addr(
    ngx_http_idpay_curl_request_t *cr);
static void ngx_http_idpay_curl_deadline_handler(ngx_event_t *ev);
static size_t ngx_http_idpay_curl_header(char *p, size_t size, size_t n,
    void *data);
static size_t ngx_http_idpay_curl_body(char *p, size_t size, size_t n,
    void *data);
static void ngx_http_idpay_curl_ended(ngx_http_idpay_curl_transfer_t *t,
    CURLcode code);
static void ngx_http_idpay_curl_judge(ngx_http_idpay_curl_request_t *cr,
    CURLcode code, ngx_http_idpay_curl_answer_t *answer);
static const char *ngx_http_idpay_curl_reason(
    ngx_http_idpay_curl_transfer_t *t, CURLcode code);
static void ngx_http_idpay_curl_destroy(ngx_http_idpay_curl_request_t *cr);


ngx_int_t
ngx_http_idpay_curl_start(ngx_http_idpay_curl_call_t *call)
{
    ngx_event_t                    *deadline;
    ngx_http_idpay_curl_request_t  *cr;

    if (!ngx_http_idpay_curl_allowed(call)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: a call of \"%V\" by \"%V\" is refused, only a "
                      "loopback address or a unix socket may be called "
                      "without TLS", &call->host, &call->scheme);
        return NGX_ERROR;
    }

    if (ngx_http_idpay_curl_loop_init() != NGX_OK) {
        return NGX_ERROR;
    }

    cr = ngx_http_idpay_curl_create(call);
    if (cr == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_idpay_curl_set(cr, call) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "idpay: a call of \"%V\" cannot be set up",
                      &call->host);
        goto failed;
    }

    if (ngx_http_idpay_curl_loop_add(&cr->transfer) != NGX_OK) {
        goto failed;
    }

    deadline = &cr->transfer.deadline;

    deadline->handler = ngx_http_idpay_curl_deadline_handler;
    deadline->data = cr;
    deadline->log = ngx_cycle->log;
    deadline->cancelable = !call->essential;

    ngx_add_timer(deadline, NGX_HTTP_IDPAY_CURL_TIMEOUT);

    return NGX_OK;

failed:

    ngx_http_idpay_curl_destroy(cr);

    return NGX_ERROR;
}


void
ngx_http_idpay_curl_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_idpay_curl_transfer_t  *t;

    for ( ;; ) {
        t = ngx_http_idpay_curl_loop_any();
        if (t == NULL) {
            break;
        }

        ngx_http_idpay_curl_loop_remove(t);
        ngx_http_idpay_curl_destroy((ngx_http_idpay_curl_request_t *) t);
    }

    ngx_http_idpay_curl_loop_exit();
}


static ngx_uint_t
ngx_http_idpay_curl_allowed(ngx_http_idpay_curl_call_t *call)
{
    ngx_uint_t  i;

    if (call->scheme.len == 5
        && ngx_strncmp(call->scheme.data, "https", 5) == 0)
    {
        return 1;
    }

    if (call->scheme.len != 4 || ngx_strncmp(call->scheme.data, "http", 4) != 0)
    {
        return 0;
    }

    for (i = 0; i < call->naddrs; i++) {
        if (!ngx_http_idpay_curl_loopback(call->addrs[i].sockaddr)) {
            return 0;
        }
    }

    return call->naddrs != 0;
}


ngx_uint_t
ngx_http_idpay_curl_loopback(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

    default: /* AF_INET */
        sin = (struct sockaddr_in *) sa;
        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;
    }
}


static ngx_http_idpay_curl_request_t *
ngx_http_idpay_curl_create(ngx_http_idpay_curl_call_t *call)
{
    u_char                         *p;
    size_t                          size, pair;
    ngx_addr_t                     *addr;
    ngx_uint_t                      i;
    ngx_http_idpay_curl_addr_t     *a;
    ngx_http_idpay_curl_request_t  *cr;

    pair = call->user.len + 1 + call->password.len;

    size = sizeof(ngx_http_idpay_curl_request_t)
           + call->naddrs * sizeof(ngx_http_idpay_curl_addr_t)
           + call->scheme.len + sizeof("://") - 1 + call->host.len
           + call->path.len + 1
           + sizeof("Authorization: Basic ") + ngx_base64_encoded_length(pair)
           + pair + call->form.len;

    cr = ngx_alloc(size, ngx_cycle->log);
    if (cr == NULL) {
        return NULL;
    }

    ngx_memzero(cr, size);

    cr->size = size;
    cr->handler = call->handler;
    cr->data = call->data;
    cr->transfer.ident = (ngx_socket_t) -1;

    a = (ngx_http_idpay_curl_addr_t *) (cr + 1);

    cr->addr = a;
    cr->naddrs = call->naddrs;

    for (i = 0; i < call->naddrs; i++) {
        addr = &call->addrs[i];

        /* for CURLOPT_CONNECT_TO: of any host and port to this one */

        p = ngx_cpymem(a[i].text, "::", 2);
        (void) ngx_sock_ntop(addr->sockaddr, addr->socklen, p,
                             NGX_SOCKADDR_STRLEN, 1);

#if (NGX_HAVE_UNIX_DOMAIN)
        a[i].local = (addr->sockaddr->sa_family == AF_UNIX);
#endif
    }

    p = (u_char *) (a + call->naddrs);

    cr->url = p;

    p = ngx_sprintf(p, "%V://%V%V%Z", &call->scheme, &call->host, &call->path);

    cr->headers[0].data = (char *) "Accept: application/json";
    cr->headers[0].next = &cr->headers[1];
    cr->headers[1].data = (char *) "Expect:";

    if (call->user.len) {
        cr->headers[1].next = &cr->headers[2];
        cr->headers[2].data = (char *) p;

        p = ngx_http_idpay_curl_basic(p, &call->user, &call->password);
    }

    if (call->form.data) {
        cr->form.data = p;
        cr->form.len = call->form.len;

        ngx_memcpy(p, call->form.data, call->form.len);
    }

    return cr;
}


/*
 * The pair itself is put behind its encoded form.  CURLOPT_USERPWD would split
 * it at the first colon, and keep it.
 */

static u_char *
ngx_http_idpay_curl_basic(u_char *p, ngx_str_t *user, ngx_str_t *password)
{
    u_char     *last;
    ngx_str_t   src, dst;

    p = ngx_cpymem(p, "Authorization: Basic ",
                   sizeof("Authorization: Basic ") - 1);

    src.len = user->len + 1 + password->len;
    src.data = p + ngx_base64_encoded_length(src.len) + 1;

    last = ngx_cpymem(src.data, user->data, user->len);
    *last++ = ':';
    last = ngx_cpymem(last, password->data, password->len);

    dst.data = p;

    ngx_encode_base64(&dst, &src);

    dst.data[dst.len] = '\0';

    return last;
}


static ngx_int_t
ngx_http_idpay_curl_set(ngx_http_idpay_curl_request_t *cr,
    ngx_http_idpay_curl_call_t *call)
{
    CURL        *easy;
    const char  *protocol;

    easy = curl_easy_init();
    if (easy == NULL) {
        return NGX_ERROR;
    }

    cr->transfer.easy = easy;
    cr->transfer.ended = ngx_http_idpay_curl_ended;

    protocol = (call->scheme.len == 5) ? "https" : "http";

    /*
     * CURLOPT_QUICK_EXIT: else the end of a call would wait for the thread
     * that resolves its name.  CURLOPT_PROXY: an empty one overrides the
     * environment.  There is no CURLOPT_TIMEOUT_MS: a call has its deadline,
     * whatever libcurl does.
     */

    if (curl_easy_setopt(easy, CURLOPT_URL, cr->url) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PRIVATE, cr) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocol) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long) CURL_HTTP_VERSION_1_1)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, cr->headers) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                            ngx_http_idpay_curl_header)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERDATA, cr) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            ngx_http_idpay_curl_body)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEDATA, cr) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            (long) NGX_HTTP_IDPAY_CURL_CONNECT)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    if (cr->form.data
        && (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                             (curl_off_t) cr->form.len)
            != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, cr->form.data)
               != CURLE_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_idpay_curl_set_tls(easy, call) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_idpay_curl_set_addr(cr);
}


static ngx_int_t
ngx_http_idpay_curl_set_tls(CURL *easy, ngx_http_idpay_curl_call_t *call)
{
    /* with CURLOPT_CAPATH, which may be compiled in, CAs would be added */

    if (curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                         (long) CURL_SSLVERSION_TLSv1_2)
        != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CAINFO,
                            call->trusted_certificate.data)
           != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_idpay_curl_set_addr(ngx_http_idpay_curl_request_t *cr)
{
    CURL               *easy;
    char               *path;
    struct curl_slist  *connect_to;

    easy = cr->transfer.easy;

    if (cr->naddrs == 0) {
        return NGX_OK;
    }

    if (cr->addr->local) {
        path = (char *) cr->addr->text + sizeof("::unix:") - 1;
        connect_to = NULL;

    } else {
        cr->connect_to.data = (char *) cr->addr->text;

        path = NULL;
        connect_to = &cr->connect_to;
    }

    if (curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, path) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_idpay_curl_deadline_handler(ngx_event_t *ev)
{
    ngx_http_idpay_curl_ended(ev->data, CURLE_OPERATION_TIMEDOUT);
}


static size_t
ngx_http_idpay_curl_header(char *p, size_t size, size_t n, void *data)
{
    ngx_http_idpay_curl_request_t *cr = data;

    /* not every libcurl has a cap of its own; answers of 1xx count too */

    if (n > NGX_HTTP_IDPAY_CURL_MAX_HEADER - cr->header_len) {
        cr->transfer.reason = "the answer's header is too long";
        return 0;
    }

    cr->header_len += n;

    return n;
}


static size_t
ngx_http_idpay_curl_body(char *p, size_t size, size_t n, void *data)
{
    ngx_http_idpay_curl_request_t *cr = data;

    size_t   len;
    u_char  *body;

    if (n > NGX_HTTP_IDPAY_CURL_MAX_BODY - cr->body.len) {
        cr->transfer.reason = "the answer's body is too long";
        return 0;
    }

    if (n > cr->body_size - cr->body.len) {

        len = ngx_max(2 * cr->body_size, NGX_HTTP_IDPAY_CURL_BODY);

        while (len < cr->body.len + n) {
            len *= 2;
        }

        body = ngx_alloc(len, ngx_cycle->log);
        if (body == NULL) {
            cr->transfer.reason = "no memory for the answer's body";
            return 0;
        }

        if (cr->body.data) {
            ngx_memcpy(body, cr->body.data, cr->body.len);
            ngx_explicit_memzero(cr->body.data, cr->body.len);
            ngx_free(cr->body.data);
        }

        cr->body.data = body;
        cr->body_size = len;
    }

    ngx_memcpy(cr->body.data + cr->body.len, p, n);
    cr->body.len += n;

    return n;
}


static void
ngx_http_idpay_curl_ended(ngx_http_idpay_curl_transfer_t *t, CURLcode code)
{
    ngx_http_idpay_curl_answer_t    answer;
    ngx_http_idpay_curl_request_t  *cr;

    cr = (ngx_http_idpay_curl_request_t *) t;

    ngx_http_idpay_curl_loop_remove(t);

    ngx_http_idpay_curl_judge(cr, code, &answer);

    if (answer.end == NGX_HTTP_IDPAY_CURL_NOT_SENT
        && t->deadline.timer_set
        && cr->naddrs > 1)
    {
        cr->addr++;
        cr->naddrs--;

        if (ngx_http_idpay_curl_set_addr(cr) == NGX_OK
            && ngx_http_idpay_curl_loop_add(t) == NGX_OK)
        {
            return;
        }
    }

    cr->handler(cr->data, &answer);

    ngx_http_idpay_curl_destroy(cr);
}


static void
ngx_http_idpay_curl_judge(ngx_http_idpay_curl_request_t *cr, CURLcode code,
    ngx_http_idpay_curl_answer_t *answer)
{
    CURL                *easy;
    long                 status, sent;
    size_t               len;
    struct curl_header  *field;

    easy = cr->transfer.easy;

    ngx_memzero(answer, sizeof(ngx_http_idpay_curl_answer_t));

    status = 0;

    (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);

    if (code == CURLE_OK && status >= 200) {
        answer->end = NGX_HTTP_IDPAY_CURL_ANSWERED;
        answer->status = status;
        answer->body = cr->body;

        if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &field)
            == CURLHE_OK)
        {
            len = ngx_strlen(field->value);

            if (len <= NGX_HTTP_IDPAY_CURL_MAX_FIELD) {
                answer->retry_after.len = len;
                answer->retry_after.data = (u_char *) field->value;
            }
        }

        return;
    }

    sent = 1;

    (void) curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);

    answer->end = sent ? NGX_HTTP_IDPAY_CURL_LOST
                       : NGX_HTTP_IDPAY_CURL_NOT_SENT;

    answer->reason = ngx_http_idpay_curl_reason(&cr->transfer, code);
}


static const char *
ngx_http_idpay_curl_reason(ngx_http_idpay_curl_transfer_t *t, CURLcode code)
{
    long  result;

    if (t->reason) {
        return t->reason;
    }

    switch (code) {

    case CURLE_OK:
        return "the answer has no final status";

    case CURLE_PEER_FAILED_VERIFICATION:

        result = X509_V_OK;

        (void) curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &result);

        /* X509_V_ERR_UNSPECIFIED is there before: a name did not match */

        if (result != X509_V_OK && result != X509_V_ERR_UNSPECIFIED) {
            return X509_verify_cert_error_string(result);
        }

        /* fall through */

    default:
        return curl_easy_strerror(code);
    }
}


static void
ngx_http_idpay_curl_destroy(ngx_http_idpay_curl_request_t *cr)
{
    if (cr->transfer.deadline.timer_set) {
        ngx_del_timer(&cr->transfer.deadline);
    }

    curl_easy_cleanup(cr->transfer.easy);

    if (cr->body.data) {
        ngx_explicit_memzero(cr->body.data, cr->body.len);
        ngx_free(cr->body.data);
    }

    ngx_explicit_memzero(cr, cr->size);
    ngx_free(cr);
}
