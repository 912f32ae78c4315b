
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Calls that the gateway itself makes: libcurl, driven by nginx's event loop.
 * Nothing here ever blocks the worker.
 */


#ifndef _NGX_HTTP_IDPAY_CURL_H_INCLUDED_
#define _NGX_HTTP_IDPAY_CURL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* what is read of an answer's body, bytes; a longer one is no answer */

#define NGX_HTTP_IDPAY_CURL_MAX_BODY     65536

/* ms: to be connected, TLS included, and for all of it */

#define NGX_HTTP_IDPAY_CURL_CONNECT      5000
#define NGX_HTTP_IDPAY_CURL_TIMEOUT      10000


typedef enum {
    NGX_HTTP_IDPAY_CURL_ANSWERED = 0,  /* a whole answer of HTTP is there */
    NGX_HTTP_IDPAY_CURL_NOT_SENT,      /* nobody has seen the request */
    NGX_HTTP_IDPAY_CURL_LOST           /* it may have been acted upon */
} ngx_http_idpay_curl_end_e;


typedef struct {
    ngx_http_idpay_curl_end_e        end;
    ngx_uint_t                       status;   /* ANSWERED only, not 1xx */
    ngx_str_t                        body;     /* the same; may be empty */
    ngx_str_t                        retry_after; /* the field, or empty */
    const char                      *reason;   /* static, else; for the log */
} ngx_http_idpay_curl_answer_t;


/*
 * Is called once for each call that was started, from the event loop.  The
 * answer is wiped and freed when it returns.
 */
typedef void (*ngx_http_idpay_curl_handler_pt)(void *data,
    ngx_http_idpay_curl_answer_t *answer);


/* all of it is copied; a copy of a secret is wiped after use */

typedef struct {
    ngx_str_t                        scheme;   /* "https", or "http" */
    ngx_str_t                        host;     /* for Host, SNI, certificate,
                                                  may end with ":port" */
    ngx_str_t                        path;     /* and arguments, from "/" */
    ngx_addr_t                      *addrs;    /* of the servers: in turn, one
                                                  after one that is not there;
                                                  unix sockets too */
    ngx_uint_t                       naddrs;   /* 0: "host" is resolved */
    ngx_str_t                        trusted_certificate;
                                               /* a file, NUL-terminated */
    ngx_str_t                        user;     /* of Basic, or empty */
    ngx_str_t                        password;
    ngx_str_t                        form;     /* a POST's body; data is NULL:
                                                  GET */
    ngx_http_idpay_curl_handler_pt   handler;
    void                            *data;
    unsigned                         essential:1; /* a worker that quits
                                                  gracefully waits for it */
} ngx_http_idpay_curl_call_t;


/*
 * Starts a call.  Certificates and host names are always verified with
 * "https"; "http" is refused unless all of "addrs" are loopback addresses or
 * unix sockets.  No redirect is followed, no proxy and no environment variable
 * is heeded, no connection is kept.  Returns NGX_OK: the handler is called,
 * never before this returns; or NGX_ERROR, which is logged: it is not.
 */
ngx_int_t ngx_http_idpay_curl_start(ngx_http_idpay_curl_call_t *call);

/* Tells whether an address is this machine's own. */

ngx_uint_t ngx_http_idpay_curl_loopback(struct sockaddr *sa);

/*
 * Ends all calls of the worker without calling their handlers, and libcurl
 * with them.  For the module's exit_process.
 */
void ngx_http_idpay_curl_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_IDPAY_CURL_H_INCLUDED_ */
