
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What providers answer as problems: the engine with tables of its own, and
 * the table of GoPay.
 */


#include "../../src/problem/ngx_http_idpay_normalize.c"
#include "provider/ngx_http_idpay_provider.h"

#include "tap.h"


#define count(array)  (sizeof(array) / sizeof(array[0]))

/* sources and rules of a table, in a line each */

#define SOURCE(member, source)                                                \
    { NGX_HTTP_IDPAY_ERROR_##member, ngx_string(source) }
#define RULE(match, text, code)                                               \
    { NGX_HTTP_IDPAY_MATCH_##match, ngx_string(text), NGX_HTTP_IDPAY_##code }
#define END       { 0, ngx_null_string }
#define END_RULE  { 0, ngx_null_string, 0 }


/*
 * An answer, with ' for the quotes of its body, and what it is: the name of the
 * problem, and what is told of it as said() writes it.
 */

typedef struct {
    ngx_uint_t   status;
    char        *body;
    char        *name;
    char        *said;
} row_t;


static ngx_int_t answer(const ngx_http_idpay_errors_t *errors,
    ngx_uint_t status, char *text);
static ngx_uint_t named(char *name);
static char *said(void);
static void test_rows(const ngx_http_idpay_errors_t *errors, row_t *row,
    size_t n);
static void test_headers(void);
static void test_errors(void);
static void test_told(void);
static void test_statuses(void);
static void test_memory(void);


static ngx_pool_t                *pool;
static ngx_list_t                *headers;
static ngx_uint_t                 safe;
static ngx_http_idpay_problem_t   problem;

static ngx_uint_t                 scarce = NGX_MAX_UINT32_VALUE;


static row_t  gopay[] = {

    /* the identification service shows no bodies; a firewall has its own */

    { 401, "", "credential_rejected", "" },
    { 403, "", "credential_rejected", "" },
    { 404, "", "not_found", "" },
    { 409, "", "validation_failed", "" },
    { 500, "", "provider_error", "" },
    { 403, "<html>blocked</html>", "credential_rejected", "" },

    /* payments v3 */

    { 404, "{'date_issued':'2019-10-19T15:12:34.174+0200','errors':[{"
           "'scope':'G','error_code':304,'error_name':'PAYMENT_NOT_FOUND',"
           "'message':'Payment not found.'}]}",
      "not_found", "code=PAYMENT_NOT_FOUND message=Payment not found." },
    { 409, "{'date_issued':'2019-10-19T15:27:03.132+0200','errors':[{"
           "'scope':'F','field':'id','error_code':111,"
           "'error_name':'INVALID','message':'Wrong value.'}]}",
      "validation_failed",
      "code=INVALID message=Wrong value. [id|INVALID|Wrong value.]" },
    { 409, "{'errors':[{'error_code':340,"
           "'error_name':'PAYMENT_RECURRENCE_FAILED'}]}",
      "validation_failed", "code=PAYMENT_RECURRENCE_FAILED" },
    { 409, "{'errors':[{'error_code':342,"
           "'error_name':'PAYMENT_RECURRENCE_STOPPED'}]}",
      "validation_failed", "code=PAYMENT_RECURRENCE_STOPPED" },
    { 409, "{'errors':[{'error_name':'PAYMENT_REFUND_NOT_SUPPORTED'}]}",
      "validation_failed", "code=PAYMENT_REFUND_NOT_SUPPORTED" },
    { 409, "{'errors':[{'error_name':'PAYMENT_CAPTURE_DONE'}]}",
      "validation_failed", "code=PAYMENT_CAPTURE_DONE" },
    { 500, "{'errors':[{'error_name':'X'}]}", "provider_error", "code=X" },
    { 409, "{'errors':[{'field':'id','error_code':111,'description':'d'}]}",
      "validation_failed", "code=111 message=d [id|111|d]" },
    { 409, "{'errors':[{'scope':'G','error_name':'A','message':'a'},"
           "{'scope':'F','field':'b','error_name':'B','error_code':2,"
           "'message':'bb','description':'d'},{'field':'c'}]}",
      "validation_failed", "code=A message=a [b|B|bb] [c||]" },
    { 403, "{'errors':[{'error_name':'access_denied'}]}",
      "consent_required", "code=access_denied" },

    /* payments v4 */

    { 400, "{'code':400,'error':'BAD_REQUEST','message':'m','detail':'d',"
           "'path':'/payments/123/charge',"
           "'timestamp':'2025-12-10T10:30:00Z'}",
      "invalid_request", "code=BAD_REQUEST message=m" },
    { 401, "{'code':401,'error':'UNAUTHORIZED'}", "credential_rejected",
      "code=UNAUTHORIZED" },
    { 403, "{'error':'FORBIDDEN','message':'Missing token scope'}",
      "credential_rejected", "code=FORBIDDEN message=Missing token scope" },
    { 404, "{'code':404,'error':'NOT_FOUND','detail':'d'}", "not_found",
      "code=NOT_FOUND message=d" },
    { 409, "{'error':'CONFLICT','message':'Wrong resource state'}",
      "validation_failed", "code=CONFLICT message=Wrong resource state" },
    { 500, "{'code':500,'message':'m'}", "provider_error",
      "code=500 message=m" },

    /* OAuth, and what a person is sent back with */

    { 400, "{'error':'access_denied','error_description':'d'}",
      "consent_required", "code=access_denied message=d" },
    { 403, "{'error':'access_denied'}", "consent_required",
      "code=access_denied" },
    { 400, "{'error':'invalid_scope','error_description':'d'}",
      "permission_denied", "code=invalid_scope message=d" },
    { 409, "{'error':'invalid_scope'}", "permission_denied",
      "code=invalid_scope" },
    { 400, "{'error':'invalid_grant'}", "consent_required",
      "code=invalid_grant" },
    { 400, "{'error':'invalid_client'}", "credential_rejected",
      "code=invalid_client" },
    { 400, "{'error':'unauthorized_client'}", "credential_rejected",
      "code=unauthorized_client" },
    { 400, "{'error':'invalid_token'}", "credential_rejected",
      "code=invalid_token" },
    { 400, "{'error':'invalid_request'}", "invalid_request",
      "code=invalid_request" },
    { 400, "{'error':'server_error'}", "provider_error",
      "code=server_error" },
    { 400, "{'error':'temporarily_unavailable'}", "provider_unavailable",
      "code=temporarily_unavailable" },
    { 403, "{'error':'access_denied_by'}", "credential_rejected",
      "code=access_denied_by" },
    { 400, "{'error':'Access_denied'}", "invalid_request",
      "code=Access_denied" }
};


/* the rules stand in the order in which they are not to be tried */

static const ngx_http_idpay_error_field_t  fields[] = {
    SOURCE(CODE, "/code"),
    SOURCE(CODE, "/error/code"),
    SOURCE(CODE, "X-Error-Code"),
    SOURCE(CODE, "/late"),
    SOURCE(TYPE, "/type"),
    SOURCE(TYPE, "x-type"),
    SOURCE(MESSAGE, "/message"),
    SOURCE(MESSAGE, "/texts/1"),
    SOURCE(MESSAGE, "/"),
    SOURCE(REQUEST_ID, "X-Request-ID"),
    SOURCE(REQUEST_ID, "/id"),
    SOURCE(ERRORS, "/errors"),
    SOURCE(ERRORS, "/error/fields"),
    SOURCE(FIELD, "/name"),
    SOURCE(FIELD, "/path/0"),
    SOURCE(FIELD_CODE, "/rule"),
    SOURCE(FIELD_MESSAGE, "/text"),
    END
};


static const ngx_http_idpay_error_rule_t  rules[] = {
    RULE(STATUS, "4xx", CONFLICT),
    RULE(STATUS, "404", NOT_FOUND),
    RULE(STATUS, "503", RATE_LIMITED),
    RULE(STATUS, "5xx", GATEWAY_ERROR),
    RULE(TYPE, "T1", REQUEST_FAILED),
    RULE(TYPE, "T*", PERMISSION_DENIED),
    RULE(TYPE, "T2", CONSENT_REQUIRED),
    RULE(CODE, "A", VALIDATION_FAILED),
    RULE(CODE, "A_1", PROVIDER_UNAVAILABLE),
    RULE(CODE, "B_*", PROVIDER_TIMEOUT),
    RULE(CODE, "B_1", PROVIDER_ERROR),
    RULE(CODE, "Box", REQUEST_FAILED),
    RULE(CODE, "422", CREDENTIAL_REJECTED),
    RULE(TYPE, "A", CREDENTIAL_UNAVAILABLE),
    END_RULE
};


static const ngx_http_idpay_errors_t  table = { fields, rules };


static row_t  rows[] = {

    /* a code is tried before a type, and this before a status */

    { 404, "{'code':'A','type':'T1'}", "validation_failed", "code=A type=T1" },
    { 404, "{'type':'T1','code':'A'}", "validation_failed", "code=A type=T1" },
    { 404, "{'code':'?','type':'T1'}", "request_failed", "code=? type=T1" },
    { 404, "{'type':'T1'}", "request_failed", "type=T1" },
    { 404, "{'code':'?','type':'?'}", "conflict", "code=? type=?" },
    { 404, "{}", "conflict", "" },
    { 503, "{'code':'A','type':'T1'}", "validation_failed", "code=A type=T1" },
    { 503, "{'code':'T1','type':'A_1'}", "rate_limited", "code=T1 type=A_1" },
    { 503, "", "rate_limited", "" },

    /* what is a code is no type, nor a status */

    { 500, "{'type':'A'}", "credential_unavailable", "type=A" },
    { 500, "{'code':'A'}", "validation_failed", "code=A" },
    { 500, "{'type':'422'}", "gateway_error", "type=422" },
    { 422, "{}", "conflict", "" },
    { 500, "{'code':422}", "credential_rejected", "code=422" },
    { 500, "{'code':'404'}", "gateway_error", "code=404" },
    { 500, "{'code':'4xx','type':'4xx'}", "gateway_error",
      "code=4xx type=4xx" },

    /* all of it, in its case, or what a "*" leaves; the first that fits */

    { 404, "{'code':'A_1'}", "provider_unavailable", "code=A_1" },
    { 404, "{'code':'A_'}", "conflict", "code=A_" },
    { 404, "{'code':'A_11'}", "conflict", "code=A_11" },
    { 404, "{'code':'a'}", "conflict", "code=a" },
    { 404, "{'code':' A'}", "conflict", "code= A" },
    { 404, "{'code':'A '}", "conflict", "code=A " },
    { 404, "{'code':'B'}", "conflict", "code=B" },
    { 404, "{'code':'Box'}", "request_failed", "code=Box" },
    { 404, "{'code':'B_'}", "provider_timeout", "code=B_" },
    { 404, "{'code':'B_1'}", "provider_timeout", "code=B_1" },
    { 404, "{'code':'B_ any'}", "provider_timeout", "code=B_ any" },
    { 404, "{'code':'b_1'}", "conflict", "code=b_1" },
    { 404, "{'code':'4220'}", "conflict", "code=4220" },
    { 404, "{'type':'T'}", "permission_denied", "type=T" },
    { 404, "{'type':'T12'}", "permission_denied", "type=T12" },
    { 404, "{'type':'t1'}", "conflict", "type=t1" },
    { 400, "", "conflict", "" },
    { 499, "", "conflict", "" },
    { 500, "", "gateway_error", "" },
    { 599, "", "gateway_error", "" },
    { 600, "", "provider_error", "" },

    /* of several sources the first that leads to something */

    { 404, "{'code':'a','error':{'code':'b'},'late':'c'}", "conflict",
      "code=a" },
    { 404, "{'late':'c','error':{'code':'b'}}", "conflict", "code=b" },
    { 404, "{'code':'','error':{'code':'b'}}", "conflict", "code=b" },
    { 404, "{'code':null,'error':{'code':'b'}}", "conflict", "code=b" },
    { 404, "{'code':['a'],'error':{'code':{}},'late':'c'}", "conflict",
      "code=c" },
    { 404, "{'code':{'code':'a'},'error':'b'}", "conflict", "" },
    { 404, "{'code':true,'type':false}", "conflict", "code=true type=false" },
    { 404, "{'code':0,'late':'c'}", "conflict", "code=0" },
    { 404, "{'code':' ','late':'c'}", "conflict", "code= " },
    { 404, "{'code':'a','code':'b'}", "conflict", "code=a" },
    { 404, "{'Code':'a','CODE':'b'}", "conflict", "" },
    { 404, "{'\\u0063ode':'a\\u0062\\n\\u0000'}", "conflict",
      "code=ab\n\xef\xbf\xbd" },
    { 404, "{'message':'m','texts':['x','y'],'':'z'}", "conflict",
      "message=m" },
    { 404, "{'texts':['x','y'],'':'z'}", "conflict", "message=y" },
    { 404, "{'texts':['x'],'':'z'}", "conflict", "message=z" },
    { 404, "{'texts':{'1':'y'}}", "conflict", "message=y" },
    { 404, "[{'code':'a'}]", "conflict", "" },
    { 404, "", "conflict", "" },
    { 404, "{'code':'a'", "conflict", "" },
    { 404, "{'code':'a'} <!-- -->", "conflict", "" },
    { 404, "'code'", "conflict", "" },
    { 404, "code=a&message=b", "conflict", "" },
    { 404, "<code>a</code>", "conflict", "" },
    { 404, "\x1f\x8b\x08", "conflict", "" },
    { 404, "\xef\xbb\xbf {'code':'a'} ", "conflict", "code=a" },
    { 404, "{'message':'\xff\xc3'}", "conflict", "message=\xff\xc3" },

    /* numbers digit for digit */

    { 404, "{'code':9007199254740993,'type':123456789012345678901234567890,"
           "'message':-0.10E+5,'id':18446744073709551616,"
           "'errors':[{'name':9223372036854775808,'text':-0,'rule':1e400}]}",
      "conflict", "code=9007199254740993 type=123456789012345678901234567890 "
      "message=-0.10E+5 id=18446744073709551616 "
      "[9223372036854775808|1e400|-0]" },

    /* errors of fields, of those with a field */

    { 404, "{'errors':[{'name':'a','rule':'b','text':'c'}]}", "conflict",
      "[a|b|c]" },
    { 404, "{'errors':[{'rule':'b','text':'c'},{'name':'','rule':'b'},"
           "{'name':null,'text':'c'},{'name':['a']},null,7,'x',[],"
           "{'name':'d'}]}", "conflict", "[d||]" },
    { 404, "{'errors':[{'path':['p','q']},{'name':'n','path':['p']}]}",
      "conflict", "[p||] [n||]" },
    { 404, "{'errors':[['x']],'name':'a'}", "conflict", "" },
    { 404, "{'errors':[],'error':{'fields':[{'name':'a'}]}}", "conflict",
      "[a||]" },
    { 404, "{'errors':{'name':'a'},'error':{'fields':[{'name':'b'}]}}",
      "conflict", "[b||]" },
    { 404, "{'errors':[{}],'error':{'fields':[{'name':'b'}]}}", "conflict",
      "" },
    { 404, "{'errors':'name'}", "conflict", "" }
};


/* nothing is known */

static const ngx_http_idpay_error_field_t  no_fields[] = { END };
static const ngx_http_idpay_error_rule_t  no_rules[] = { END_RULE };
static const ngx_http_idpay_errors_t  none = { no_fields, no_rules };


static row_t  none_rows[] = {
    { 404, "{'code':'A','errors':[{'name':'a'}]}", "not_found", "" },
    { 500, "{'status':400}", "provider_error", "" }
};


/* all that has a code or a type is known */

static const ngx_http_idpay_error_rule_t  any_rules[] = {
    RULE(STATUS, "5xx", NOT_FOUND),
    RULE(TYPE, "*", CONFLICT),
    RULE(CODE, "*", RATE_LIMITED),
    END_RULE
};


static const ngx_http_idpay_errors_t  any = { fields, any_rules };


static row_t  any_rows[] = {
    { 500, "{'code':'a','type':'b'}", "rate_limited", "code=a type=b" },
    { 500, "{'code':'','type':'b'}", "conflict", "type=b" },
    { 500, "{'code':null}", "not_found", "" },
    { 400, "{}", "invalid_request", "" }
};


/* a status of the body's own, in either of two places */

static const ngx_http_idpay_error_field_t  told_fields[] = {
    SOURCE(CODE, "/code"),
    SOURCE(STATUS, "/status"),
    SOURCE(STATUS, "/error/status"),
    SOURCE(RESULT, "/id"),
    SOURCE(RESULT, "/result/id"),
    END
};


static const ngx_http_idpay_error_rule_t  told_rules[] = {
    RULE(STATUS, "422", REQUEST_FAILED),
    RULE(STATUS, "200", GATEWAY_ERROR),
    RULE(CODE, "C", RATE_LIMITED),
    END_RULE
};


static const ngx_http_idpay_errors_t  told = { told_fields, told_rules };


static row_t  told_rows[] = {
    { 200, "{'status':400}", "invalid_request", "" },
    { 200, "{'status':'400'}", "invalid_request", "" },
    { 201, "{'status':422}", "request_failed", "" },
    { 299, "{'status':'404'}", "not_found", "" },
    { 200, "{'status':599}", "provider_error", "" },
    { 200, "{'status':503,'code':'x'}", "provider_unavailable", "code=x" },
    { 200, "{'status':500,'code':'C'}", "rate_limited", "code=C" },
    { 200, "{'error':{'status':409}}", "conflict", "" },
    { 200, "{'status':'','error':{'status':409}}", "conflict", "" },
    { 200, "{'status':401,'id':'','result':{'id':null}}",
      "credential_rejected", "" },
    { 200, "{'status':403,'result':{},'Id':7}", "permission_denied", "" },

    /* an error's own status is not replaced */

    { 404, "{'status':500}", "not_found", "" },
    { 500, "{'status':404}", "provider_error", "" },
    { 400, "{'status':422,'id':7}", "invalid_request", "" }
};


/* and what is no error by it */

static char  *good[] = {
    "", "{}", "[]", "no JSON", "{'status':400", "{'status':400} x",
    "[{'status':400}]", "{'Status':400}", "{'code':400}",
    "{'status':399}", "{'status':'399'}", "{'status':600}",
    "{'status':'600'}", "{'status':'400x'}", "{'status':'x400'}",
    "{'status':' 400'}", "{'status':'400 '}", "{'status':''}",
    "{'status':-400}", "{'status':'+400'}", "{'status':400.0}",
    "{'status':4e2}", "{'status':4000}", "{'status':40}", "{'status':0}",
    "{'status':18446744073709552016}", "{'status':4294967696}",
    "{'status':true}", "{'status':null}", "{'status':[400]}",
    "{'status':{'status':400}}", "{'status':200,'error':{'status':409}}",
    "{'status':'ok','error':{'status':409}}",
    "{'status':400,'id':'x'}", "{'status':400,'id':0}",
    "{'status':400,'id':false}", "{'status':500,'result':{'id':7}}",
    "{'status':400,'id':{}}", "{'status':500,'id':null,'result':{'id':[]}}"
};


int ngx_cdecl
main(int argc, char *const *argv)
{
    ngx_log_t  log;

    ngx_pagesize = 4096;
    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);

    test_rows(ngx_http_idpay_gopay.errors, gopay, count(gopay));
    test_rows(&table, rows, count(rows));
    test_rows(&none, none_rows, count(none_rows));
    test_rows(&any, any_rows, count(any_rows));
    test_rows(&told, told_rows, count(told_rows));
    test_headers();
    test_errors();
    test_told();
    test_statuses();
    test_memory();

    ngx_destroy_pool(pool);

    return tap_done();
}


/* these are as nginx's own, until memory is scarce */

void *
ngx_pnalloc(ngx_pool_t *p, size_t size)
{
    return scarce && scarce-- ? ngx_palloc(p, size) : NULL;
}


void *
ngx_pcalloc(ngx_pool_t *p, size_t size)
{
    void  *data;

    data = scarce && scarce-- ? ngx_palloc(p, size) : NULL;

    if (data) {
        ngx_memzero(data, size);
    }

    return data;
}


/*
 * Of a body of the exact size, which is as it was, and gone when the problem is
 * read.  What the problem has of it can be written to.
 */

static ngx_int_t
answer(const ngx_http_idpay_errors_t *errors, ngx_uint_t status, char *text)
{
    size_t                    i, len;
    u_char                   *copy;
    ngx_int_t                 rc;
    ngx_str_t                *texts[4];
    ngx_http_idpay_reply_t    reply;

    ngx_memset(&problem, 0xff, sizeof(problem));

    len = ngx_strlen(text);
    copy = malloc(2 * len + 1);

    for (i = 0; i < len; i++) {
        copy[i] = (text[i] == '\'') ? '"' : text[i];
    }

    reply.status = status;
    reply.headers = headers;
    reply.safe = safe;
    reply.body.len = len;
    reply.body.data = malloc(len ? len : 1);
    ngx_memcpy(reply.body.data, copy, len);

    rc = ngx_http_idpay_normalize(pool, errors, &reply, &problem);

    if (reply.body.len != len || ngx_memcmp(reply.body.data, copy, len) != 0) {
        printf("# the body has been written to\n");
        rc = NGX_ABORT;
    }

    ngx_memset(reply.body.data, 'x', len);
    free(reply.body.data);
    free(copy);

    texts[0] = &problem.message;
    texts[1] = &problem.provider_code;
    texts[2] = &problem.provider_type;
    texts[3] = &problem.provider_request_id;

    for (i = 0; rc == NGX_OK && i < count(texts); i++) {
        for (len = 0; len < texts[i]->len; len++) {
            texts[i]->data[len] ^= 0xff;
            texts[i]->data[len] ^= 0xff;
        }
    }

    return rc;
}


static ngx_uint_t
named(char *name)
{
    return ngx_strcmp(ngx_http_idpay_problem_name(problem.code)->data, name)
           == 0;
}


/* what is there, as "code=C type=T message=M id=I [FIELD|CODE|MESSAGE]" */

static char *
said(void)
{
    u_char                        *p, *last;
    ngx_uint_t                     i;
    ngx_http_idpay_field_error_t  *error;

    static char  buf[8192];

    p = (u_char *) buf;
    last = p + sizeof(buf) - 1;

    if (problem.provider_code.len) {
        p = ngx_slprintf(p, last, " code=%V", &problem.provider_code);
    }

    if (problem.provider_type.len) {
        p = ngx_slprintf(p, last, " type=%V", &problem.provider_type);
    }

    if (problem.message.len) {
        p = ngx_slprintf(p, last, " message=%V", &problem.message);
    }

    if (problem.provider_request_id.len) {
        p = ngx_slprintf(p, last, " id=%V", &problem.provider_request_id);
    }

    error = problem.errors;

    for (i = 0; i < problem.nerrors; i++) {
        p = ngx_slprintf(p, last, " [%V|%V|%V]", &error[i].field,
                         &error[i].code, &error[i].message);
    }

    *p = '\0';

    return buf + (buf[0] == ' ');
}


static void
test_rows(const ngx_http_idpay_errors_t *errors, row_t *row, size_t n)
{
    size_t     i;
    ngx_int_t  rc;

    for (i = 0; i < n; i++) {

        rc = answer(errors, row[i].status, row[i].body);

        tap_ok(rc == NGX_OK && named(row[i].name), "%d %s is %s",
               (int) row[i].status, row[i].body, row[i].name);

        if (rc == NGX_OK) {
            tap_ok(problem.provider_status == row[i].status, "its status");
            tap_ok(ngx_strcmp(said(), row[i].said) == 0, "what is told");
        }
    }
}


static void
test_headers(void)
{
    size_t            i;
    ngx_table_elt_t  *h;

    static struct {
        ngx_str_t   name;
        ngx_str_t   value;
    } sent[] = {
        { ngx_string("X-Error-Cod"), ngx_string("short") },
        { ngx_string("X-Error-Codes"), ngx_string("long") },
        { ngx_string("x-request-id"), ngx_string("") },
        { ngx_string("X-Error-Code"), ngx_string("") },
        { ngx_string("X-REQUEST-Id"), ngx_string("Id-1") },
        { ngx_string("x-error-code"), ngx_string("B_x") },
        { ngx_string("X-Error-Code"), ngx_string("A") },
        { ngx_string("X-Type"), ngx_string("T1") },
        { ngx_string("/message"), ngx_string("of a header") }
    };

    static row_t  with[] = {
        { 404, "{'code':'of the body','id':7}", "request_failed",
          "code=of the body type=T1 id=Id-1" },
        { 404, "{'type':'of the body','late':'l','code':''}",
          "provider_timeout", "code=B_x type=of the body id=Id-1" },
        { 404, "", "provider_timeout", "code=B_x type=T1 id=Id-1" },
        { 404, "no JSON", "provider_timeout", "code=B_x type=T1 id=Id-1" }
    };

    static row_t  without = { 404, "{'id':7}", "conflict", "id=7" };

    headers = ngx_list_create(pool, 2, sizeof(ngx_table_elt_t));

    test_rows(&table, &without, 1);

    for (i = 0; i < count(sent); i++) {
        h = ngx_list_push(headers);
        ngx_memzero(h, sizeof(ngx_table_elt_t));
        h->key = sent[i].name;
        h->value = sent[i].value;
    }

    test_rows(&table, with, count(with));

    problem.provider_code.data[0] = '*';

    tap_ok(ngx_strcmp(sent[5].value.data, "B_x") == 0,
           "a header's own bytes are the answer's");

    headers = NULL;
}


/* no more of them than fit, and those without a field take no place */

static void
test_errors(void)
{
    char        body[16384], list[1024], *p, *l;
    ngx_uint_t  i, k;

    static ngx_uint_t  counts[] = {
        NGX_HTTP_IDPAY_MAX_ERRORS - 1, NGX_HTTP_IDPAY_MAX_ERRORS,
        NGX_HTTP_IDPAY_MAX_ERRORS + 1, 10 * NGX_HTTP_IDPAY_MAX_ERRORS
    };

    for (i = 0; i < count(counts); i++) {

        l = list;
        p = body + snprintf(body, sizeof(body), "{'errors':[{}");

        for (k = 0; k < counts[i]; k++) {
            p += snprintf(p, body + sizeof(body) - p,
                          ",{'name':'f%d'},{'text':'t'}", (int) k);

            if (k < NGX_HTTP_IDPAY_MAX_ERRORS) {
                l += snprintf(l, list + sizeof(list) - l, "%s[f%d||]",
                              k ? " " : "", (int) k);
            }
        }

        (void) snprintf(p, body + sizeof(body) - p, "]}");

        tap_ok(answer(&table, 404, body) == NGX_OK
               && ngx_strcmp(said(), list) == 0, "%d errors of fields",
               (int) counts[i]);
    }
}


/* what the body tells counts for the outcome too */

static void
test_told(void)
{
    size_t      i;
    ngx_uint_t  wrong;

    for (i = 0; i < count(good); i++) {
        tap_ok(answer(&told, 200, good[i]) == NGX_DECLINED,
               "no error: %s", good[i]);
    }

    tap_ok(answer(&none, 200, "{'status':400}") == NGX_DECLINED,
           "no source of a status");

    for (safe = 0; safe < 2; safe++) {
        tap_ok(answer(&told, 200, "{'status':500}") == NGX_OK
               && problem.unknown == !safe && problem.retryable == safe
               && problem.provider_status == 200, "a 500 in a 200");
        tap_ok(answer(&told, 200, "{'status':501}") == NGX_OK
               && problem.unknown == !safe && !problem.retryable, "a 501");
        tap_ok(answer(&told, 200, "{'status':499}") == NGX_OK
               && !problem.unknown && !problem.retryable, "a 499");
        tap_ok(answer(&told, 200, "{'status':415}") == NGX_OK
               && problem.status == 415, "a 415");
    }

    wrong = 0;

    for (i = 0; i < 1000; i++) {
        wrong += ngx_http_idpay_normalize_success(&told, i)
                 != (i >= 200 && i < 300);
        wrong += ngx_http_idpay_normalize_success(&table, i) != 0;
    }

    tap_ok(wrong == 0, "only a 2xx may be told otherwise");
}


/* every status without a rule: what it is, and what is to be done about it */

static void
test_statuses(void)
{
    char        *name;
    ngx_uint_t   i, k, status, retry;

    static struct {
        ngx_uint_t   status;
        char        *name;
        ngx_uint_t   problem;
    } known[] = {
        { 401, "credential_rejected", 502 },
        { 402, "request_failed", 402 },
        { 403, "permission_denied", 403 },
        { 404, "not_found", 404 },
        { 405, "invalid_request", 405 },
        { 406, "invalid_request", 406 },
        { 409, "conflict", 409 },
        { 410, "not_found", 404 },
        { 411, "invalid_request", 411 },
        { 413, "invalid_request", 413 },
        { 414, "invalid_request", 414 },
        { 415, "invalid_request", 415 },
        { 422, "validation_failed", 422 },
        { 429, "rate_limited", 429 },
        { 503, "provider_unavailable", 503 }
    };

    for (i = 400; i < 1000; i++) {

        name = i < 500 ? "invalid_request" : "provider_error";
        status = i < 500 ? 400 : 502;

        for (k = 0; k < count(known); k++) {
            if (known[k].status == i) {
                name = known[k].name;
                status = known[k].problem;
            }
        }

        for (safe = 0; safe < 2; safe++) {

            retry = (i == 429 || i == 503)
                    || (i >= 500 && i != 501 && i != 505 && safe);

            if (answer(&none, i, "") != NGX_OK || !named(name)
                || problem.status != status || problem.retryable != retry
                || problem.unknown != (i >= 500 && !safe)
                || problem.provider_status != i || problem.detail.len == 0)
            {
                tap_ok(0, "status %d, %ssafe", (int) i, safe ? "" : "not ");
            }
        }
    }

    tap_ok(i == 1000, "all statuses");
}


/* each allocation fails in turn; that of the tree is tested with the tree */

static void
test_memory(void)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_ERROR;

    for (i = 0; i < 20 && rc == NGX_ERROR; i++) {
        scarce = i;
        rc = answer(&table, 404, "{'code':'A','type':'T','message':'m',"
                    "'id':'i','errors':[{'name':'n','rule':'r','text':'t'}]}");
    }

    tap_ok(rc == NGX_OK && i == 9, "too little memory");
    tap_ok(ngx_strcmp(said(), "code=A type=T message=m id=i [n|r|t]") == 0,
           "and enough");
}
