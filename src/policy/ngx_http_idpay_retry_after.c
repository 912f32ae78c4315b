
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "policy/ngx_http_idpay_retry_after.h"


/* the largest integer of a structured field, RFC 9651 3.3.1 */

#define NGX_HTTP_IDPAY_MAX_NUMBER    999999999999999LL

/* a reset from there on is a time since the epoch, in s or in ms */

#define NGX_HTTP_IDPAY_EPOCH         1000000000LL
#define NGX_HTTP_IDPAY_EPOCH_MS      1000000000000LL

/* windows of an answer that are read */

#define NGX_HTTP_IDPAY_MAX_POLICIES  16


/*
 * A list of items with parameters (RFC 9651 3.1), piece by piece.  As it is to
 * read older lists too, blanks may stand around every separator, and empty
 * elements are skipped (RFC 9110 5.6.1).
 */

typedef struct {
    u_char      *pos;
    u_char      *last;
    ngx_uint_t   pieces;       /* of this item, 1: no parameter yet */
    ngx_str_t    name;         /* with its quotes, if any */
    ngx_str_t    value;        /* likewise, empty: none */
} ngx_http_idpay_list_t;


typedef struct {
    ngx_str_t    name;
    int64_t      window;       /* s, 0: it does not count calls */
} ngx_http_idpay_policy_t;


typedef struct {
    ngx_http_idpay_policy_t   elts[NGX_HTTP_IDPAY_MAX_POLICIES];
    ngx_uint_t                nelts;
} ngx_http_idpay_policies_t;


typedef struct {
    ngx_str_t    policy;       /* the name of its policy */
    int64_t      remaining;    /* NGX_ERROR: unknown */
    int64_t      reset;        /* ms, NGX_ERROR: unknown */
} ngx_http_idpay_item_t;


static void ngx_http_idpay_retry_after_trim(ngx_str_t *text);
static int64_t ngx_http_idpay_retry_after_digits(u_char *p, size_t len);
static int64_t ngx_http_idpay_retry_after_date(ngx_str_t *text, int64_t now);
static int64_t ngx_http_idpay_retry_after_time(u_char *p, ngx_uint_t i,
    int64_t now);
static ngx_uint_t ngx_http_idpay_retry_after_form(u_char *p, ngx_str_t *form);
static void ngx_http_idpay_retry_after_policies(
    ngx_http_idpay_policies_t *policies, ngx_str_t *field);
static void ngx_http_idpay_retry_after_items(ngx_str_t *field,
    ngx_http_idpay_policies_t *policies, ngx_http_idpay_quota_t *quota);
static int64_t ngx_http_idpay_retry_after_reset(ngx_str_t *text, int64_t now);
static void ngx_http_idpay_retry_after_take(ngx_http_idpay_item_t *item,
    ngx_http_idpay_policies_t *policies, ngx_http_idpay_quota_t *quota);
static void ngx_http_idpay_retry_after_list(ngx_http_idpay_list_t *list,
    ngx_str_t text);
static ngx_int_t ngx_http_idpay_retry_after_next(ngx_http_idpay_list_t *list);
static ngx_int_t ngx_http_idpay_retry_after_bare(ngx_http_idpay_list_t *list,
    ngx_str_t *bare);
static void ngx_http_idpay_retry_after_blanks(ngx_http_idpay_list_t *list);
static ngx_uint_t ngx_http_idpay_retry_after_is(ngx_str_t *name, char *key);


static ngx_str_t  ngx_http_idpay_days[] = {
    ngx_string("Sunday"),
    ngx_string("Monday"),
    ngx_string("Tuesday"),
    ngx_string("Wednesday"),
    ngx_string("Thursday"),
    ngx_string("Friday"),
    ngx_string("Saturday"),
    ngx_null_string
};


/*
 * What follows the name of the day in a date, RFC 9110 5.6.7, and where the
 * parts stand: "0" is a digit, "_" a digit or a blank, "M" anything.
 */

static struct {
    ngx_str_t    form;
    size_t       name;         /* of the name of the day, 0: all */
    ngx_uint_t   day;
    ngx_uint_t   month;
    ngx_uint_t   year;
    ngx_uint_t   digits;       /* of the year */
    ngx_uint_t   time;
} ngx_http_idpay_dates[] = {
    { ngx_string(", 00 MMM 0000 00:00:00 GMT"), 3, 2, 5, 9, 4, 14 },
    { ngx_string(", 00-MMM-00 00:00:00 GMT"), 0, 2, 5, 9, 2, 12 },
    { ngx_string(" MMM _0 00:00:00 0000"), 3, 5, 1, 17, 4, 8 },
    { ngx_null_string, 0, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_idpay_retry_after(u_char *text, size_t len, int64_t now)
{
    int64_t    n;
    ngx_str_t  field;

    field.data = text;
    field.len = len;

    ngx_http_idpay_retry_after_trim(&field);

    n = ngx_http_idpay_retry_after_digits(field.data, field.len);

    if (n != NGX_ERROR) {
        return ngx_min(n * 1000, NGX_HTTP_IDPAY_MAX_PAUSE);
    }

    n = ngx_http_idpay_retry_after_date(&field, now);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    n = ngx_max(n * 1000 - now, 0);

    return ngx_min(n, NGX_HTTP_IDPAY_MAX_PAUSE);
}


/* a field that is not there, or too long, is as good as an empty one */

static void
ngx_http_idpay_retry_after_trim(ngx_str_t *text)
{
    if (text->data == NULL || text->len > NGX_HTTP_IDPAY_MAX_FIELD) {
        ngx_str_set(text, "");
    }

    while (text->len && (text->data[0] == ' ' || text->data[0] == '\t')) {
        text->data++;
        text->len--;
    }

    while (text->len
           && (text->data[text->len - 1] == ' '
               || text->data[text->len - 1] == '\t'))
    {
        text->len--;
    }
}


/* returns NGX_ERROR for anything but digits */

static int64_t
ngx_http_idpay_retry_after_digits(u_char *p, size_t len)
{
    int64_t  n;

    if (len == 0) {
        return NGX_ERROR;
    }

    for (n = 0; len; p++, len--) {
        if (*p < '0' || *p > '9') {
            return NGX_ERROR;
        }

        n = ngx_min(n * 10 + (*p - '0'), NGX_HTTP_IDPAY_MAX_NUMBER);
    }

    return n;
}


/* returns s since the epoch or NGX_ERROR */

static int64_t
ngx_http_idpay_retry_after_date(ngx_str_t *text, int64_t now)
{
    size_t       len;
    ngx_str_t   *day, *form;
    ngx_uint_t   i;

    for (day = ngx_http_idpay_days; day->len; day++) {

        for (i = 0; ngx_http_idpay_dates[i].form.len; i++) {
            form = &ngx_http_idpay_dates[i].form;
            len = ngx_http_idpay_dates[i].name;

            if (len == 0) {
                len = day->len;
            }

            if (text->len == len + form->len
                && ngx_memcmp(text->data, day->data, len) == 0
                && ngx_http_idpay_retry_after_form(text->data + len, form))
            {
                return ngx_http_idpay_retry_after_time(text->data + len, i,
                                                       now);
            }
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_idpay_retry_after_form(u_char *p, ngx_str_t *form)
{
    u_char      c;
    ngx_uint_t  i, digit;

    for (i = 0; i < form->len; i++) {
        c = form->data[i];
        digit = (p[i] >= '0' && p[i] <= '9');

        switch (c) {

        case '0':
            if (!digit) {
                return 0;
            }

            break;

        case '_':
            if (!digit && p[i] != ' ') {
                return 0;
            }

            break;

        case 'M':
            break;

        default:
            if (p[i] != c) {
                return 0;
            }
        }
    }

    return 1;
}


/*
 * ngx_parse_http_time() has its own rule for two-digit years and is content
 * with the first letters of a month and with a day 0.  So it is given the date
 * in one form, and has to be right about it.
 */

static int64_t
ngx_http_idpay_retry_after_time(u_char *p, ngx_uint_t i, int64_t now)
{
    u_char      date[sizeof("Sun, 06 Nov 1994 08:49:37 GMT") - 1];
    u_char      check[sizeof(date)];
    time_t      time;
    ngx_tm_t    tm;
    ngx_uint_t  year, max;

    year = ngx_atoi(p + ngx_http_idpay_dates[i].year,
                    ngx_http_idpay_dates[i].digits);

    if (ngx_http_idpay_dates[i].digits == 2) {
        ngx_gmtime(now / 1000, &tm);

        max = tm.ngx_tm_year + 50;
        year = max - (max - year) % 100;
    }

    if (year < 1970) {
        return 0;
    }

    ngx_snprintf(date, sizeof(date), "Sun, %*s %*s %04ui %*s GMT",
                 (size_t) 2, p + ngx_http_idpay_dates[i].day,
                 (size_t) 3, p + ngx_http_idpay_dates[i].month, year,
                 (size_t) 8, p + ngx_http_idpay_dates[i].time);

    if (date[5] == ' ') {
        date[5] = '0';
    }

    time = ngx_parse_http_time(date, sizeof(date));

    if (time == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_time(check, time);

    return (ngx_memcmp(check + 5, date + 5, sizeof(date) - 5) == 0)
           ? time : NGX_ERROR;
}


void
ngx_http_idpay_quota(ngx_http_idpay_quota_fields_t *fields, int64_t now,
    ngx_http_idpay_quota_t *quota)
{
    ngx_str_t                  remaining, reset;
    ngx_http_idpay_item_t      item;
    ngx_http_idpay_list_t      list;
    ngx_http_idpay_policies_t  policies;

    quota->remaining = 0;
    quota->reset = 0;
    quota->valid = 0;

    policies.nelts = 0;

    ngx_http_idpay_retry_after_policies(&policies, &fields->policy);
    ngx_http_idpay_retry_after_items(&fields->ratelimit, &policies, quota);

    if (quota->valid) {
        return;
    }

    /* the first number of a limit names one of the windows behind it */

    ngx_http_idpay_retry_after_policies(&policies, &fields->limit);
    ngx_http_idpay_retry_after_list(&list, fields->limit);

    if (ngx_http_idpay_retry_after_next(&list) != NGX_OK) {
        ngx_str_null(&list.name);
    }

    remaining = fields->remaining;
    ngx_http_idpay_retry_after_trim(&remaining);

    reset = fields->reset;
    ngx_http_idpay_retry_after_trim(&reset);

    item.policy = list.name;
    item.remaining = ngx_http_idpay_retry_after_digits(remaining.data,
                                                       remaining.len);
    item.reset = ngx_http_idpay_retry_after_reset(&reset, now);

    ngx_http_idpay_retry_after_take(&item, &policies, quota);
}


/* reads the policies of a field behind those that are there */

static void
ngx_http_idpay_retry_after_policies(ngx_http_idpay_policies_t *policies,
    ngx_str_t *field)
{
    int64_t                   window;
    ngx_int_t                 rc;
    ngx_str_t                 name;
    ngx_uint_t                n;
    ngx_http_idpay_list_t     list;
    ngx_http_idpay_policy_t  *policy;

    ngx_http_idpay_retry_after_list(&list, *field);

    n = policies->nelts;
    ngx_str_null(&name);

    while ((rc = ngx_http_idpay_retry_after_next(&list)) == NGX_OK) {

        if (list.pieces == 1) {
            name = list.name;
            continue;
        }

        if (ngx_http_idpay_retry_after_is(&list.name, "w")) {
            window = ngx_http_idpay_retry_after_digits(list.value.data,
                                                       list.value.len);
            if (window == NGX_ERROR) {
                return;
            }

        } else if (ngx_http_idpay_retry_after_is(&list.name, "qu")
                   && !ngx_http_idpay_retry_after_is(&list.value,
                                                     "\"requests\""))
        {
            window = 0;

        } else {
            continue;
        }

        if (n < NGX_HTTP_IDPAY_MAX_POLICIES) {
            policy = &policies->elts[n++];
            policy->name = name;
            policy->window = window;
        }
    }

    if (rc == NGX_DONE) {
        policies->nelts = n;
    }
}


static void
ngx_http_idpay_retry_after_items(ngx_str_t *field,
    ngx_http_idpay_policies_t *policies, ngx_http_idpay_quota_t *quota)
{
    int64_t                 n;
    ngx_int_t               rc;
    ngx_http_idpay_item_t   item;
    ngx_http_idpay_list_t   list;
    ngx_http_idpay_quota_t  found;

    ngx_http_idpay_retry_after_list(&list, *field);

    found = *quota;

    ngx_str_null(&item.policy);
    item.remaining = NGX_ERROR;
    item.reset = NGX_ERROR;

    while ((rc = ngx_http_idpay_retry_after_next(&list)) == NGX_OK) {

        /* up to draft 7 members with values are all of one item */

        if (list.pieces == 1 && list.value.len == 0) {
            ngx_http_idpay_retry_after_take(&item, policies, &found);

            item.policy = list.name;
            item.remaining = NGX_ERROR;
            item.reset = NGX_ERROR;

            continue;
        }

        n = ngx_http_idpay_retry_after_digits(list.value.data, list.value.len);

        if (ngx_http_idpay_retry_after_is(&list.name, "r")
            || ngx_http_idpay_retry_after_is(&list.name, "remaining"))
        {
            item.remaining = n;

        } else if (ngx_http_idpay_retry_after_is(&list.name, "t")
                   || ngx_http_idpay_retry_after_is(&list.name, "reset"))
        {
            item.reset = n * 1000;

        } else if (ngx_http_idpay_retry_after_is(&list.name, "limit")) {
            item.policy = list.value;
            continue;

        } else {
            continue;
        }

        if (n == NGX_ERROR) {
            return;
        }
    }

    if (rc == NGX_DONE) {
        ngx_http_idpay_retry_after_take(&item, policies, &found);
        *quota = found;
    }
}


/* returns ms from now on, 0 for a time that has passed, or NGX_ERROR */

static int64_t
ngx_http_idpay_retry_after_reset(ngx_str_t *text, int64_t now)
{
    u_char   *dot, *last;
    int64_t   n, fraction;

    last = text->data + text->len;
    fraction = 0;

    dot = ngx_strlchr(text->data, last, '.');

    if (dot) {
        fraction = ngx_http_idpay_retry_after_digits(dot + 1, last - dot - 1);
        last = dot;
    }

    n = ngx_http_idpay_retry_after_digits(text->data, last - text->data);

    if (n == NGX_ERROR || fraction == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (fraction) {
        n++;
    }

    if (n >= NGX_HTTP_IDPAY_EPOCH_MS) {
        return ngx_max(n - now, 0);
    }

    if (n >= NGX_HTTP_IDPAY_EPOCH) {
        return ngx_max(n * 1000 - now, 0);
    }

    return n * 1000;
}


/* takes what an item says for the quota if it is stricter */

static void
ngx_http_idpay_retry_after_take(ngx_http_idpay_item_t *item,
    ngx_http_idpay_policies_t *policies, ngx_http_idpay_quota_t *quota)
{
    int64_t     reset, remaining, rate, strictest;
    ngx_str_t  *name;
    ngx_uint_t  i;

    reset = item->reset;

    for (i = 0; i < policies->nelts; i++) {
        name = &policies->elts[i].name;

        if (name->len != item->policy.len
            || ngx_memcmp(name->data, item->policy.data, name->len) != 0)
        {
            continue;
        }

        if (policies->elts[i].window == 0) {
            return;
        }

        if (reset == NGX_ERROR) {
            reset = policies->elts[i].window * 1000;
        }
    }

    if (item->remaining == NGX_ERROR || reset <= 0) {
        return;
    }

    remaining = ngx_min(item->remaining, NGX_MAX_INT32_VALUE);
    reset = ngx_min(reset, NGX_HTTP_IDPAY_MAX_PAUSE);

    if (quota->valid) {
        rate = remaining * (int64_t) quota->reset;
        strictest = (int64_t) quota->remaining * reset;

        if (rate > strictest
            || (rate == strictest
                && (remaining || reset <= (int64_t) quota->reset)))
        {
            return;
        }
    }

    quota->remaining = remaining;
    quota->reset = reset;
    quota->valid = 1;
}


ngx_int_t
ngx_http_idpay_prefer_wait(u_char *text, size_t len)
{
    int64_t                n;
    ngx_str_t              field;
    ngx_http_idpay_list_t  list;

    field.data = text;
    field.len = len;

    ngx_http_idpay_retry_after_list(&list, field);

    while (ngx_http_idpay_retry_after_next(&list) == NGX_OK) {

        if (list.pieces > 1
            || list.name.len != 4
            || ngx_strncasecmp(list.name.data, (u_char *) "wait", 4) != 0)
        {
            continue;
        }

        if (list.value.len && list.value.data[0] == '"') {
            list.value.data++;
            list.value.len -= 2;
        }

        n = ngx_http_idpay_retry_after_digits(list.value.data,
                                              list.value.len);

        return ngx_min(n, NGX_HTTP_IDPAY_MAX_PAUSE / 1000);
    }

    return NGX_ERROR;
}


static void
ngx_http_idpay_retry_after_list(ngx_http_idpay_list_t *list, ngx_str_t text)
{
    ngx_http_idpay_retry_after_trim(&text);

    list->pos = text.data;
    list->last = text.data + text.len;
    list->pieces = 0;
}


/*
 * Returns NGX_OK with the next piece, an item or a parameter, NGX_DONE at the
 * end or NGX_ERROR if the list is malformed.
 */

static ngx_int_t
ngx_http_idpay_retry_after_next(ngx_http_idpay_list_t *list)
{
    for ( ;; ) {
        ngx_http_idpay_retry_after_blanks(list);

        if (list->pos == list->last) {
            return NGX_DONE;
        }

        if (*list->pos == ',') {
            list->pieces = 0;

        } else if (*list->pos != ';') {
            break;

        } else if (list->pieces == 0) {
            return NGX_ERROR;
        }

        list->pos++;
    }

    if (ngx_http_idpay_retry_after_bare(list, &list->name) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_idpay_retry_after_blanks(list);
    ngx_str_null(&list->value);

    if (list->pos < list->last && *list->pos == '=') {
        list->pos++;
        ngx_http_idpay_retry_after_blanks(list);

        if (ngx_http_idpay_retry_after_bare(list, &list->value) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_idpay_retry_after_blanks(list);
    }

    if (list->pos < list->last && *list->pos != ',' && *list->pos != ';') {
        return NGX_ERROR;
    }

    list->pieces++;

    return NGX_OK;
}


/* a string, a byte sequence, or whatever has no separator in it */

static ngx_int_t
ngx_http_idpay_retry_after_bare(ngx_http_idpay_list_t *list, ngx_str_t *bare)
{
    u_char  c, *p;

    p = list->pos;

    if (p < list->last && (*p == '"' || *p == ':')) {
        c = *p++;

        while (p < list->last && *p != c) {

            if (*p == '\\' && c == '"' && ++p == list->last) {
                break;
            }

            p++;
        }

        if (p == list->last) {
            return NGX_ERROR;
        }

        p++;

    } else {
        while (p < list->last && *p > ' ' && ngx_strchr(",;=\"", *p) == NULL) {
            p++;
        }
    }

    bare->data = list->pos;
    bare->len = p - list->pos;

    list->pos = p;

    return bare->len ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_idpay_retry_after_blanks(ngx_http_idpay_list_t *list)
{
    while (list->pos < list->last && (*list->pos == ' ' || *list->pos == '\t'))
    {
        list->pos++;
    }
}


static ngx_uint_t
ngx_http_idpay_retry_after_is(ngx_str_t *name, char *key)
{
    return name->len == ngx_strlen(key)
           && ngx_memcmp(name->data, key, name->len) == 0;
}
