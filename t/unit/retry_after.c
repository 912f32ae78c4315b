
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Retry-After, the fields of rate limits, and Prefer: wait.
 */


#include "../../src/policy/ngx_http_idpay_retry_after.c"

#include "tap.h"


/* ms: Sun, 06 Nov 1994 08:49:37.250 GMT and Tue, 14 Jul 2026 00:00:00 GMT */

#define NOW_1994  784111777250LL
#define NOW_2026  1783987200000LL

#define MAX       NGX_HTTP_IDPAY_MAX_PAUSE


static u_char *copy(char *text);
static void set(ngx_str_t *field, char *text);
static void read_fields(char *ratelimit, char *policy, char *limit,
    char *remaining, char *reset, ngx_http_idpay_quota_t *quota);
static void test_long(void);


static struct {
    char       *text;
    int64_t     now;
    ngx_int_t   delay;
} delays[] = {
    { "0", NOW_2026, 0 },
    { "1", NOW_2026, 1000 },
    { "120", NOW_2026, 120000 },
    { "0000000000000000000120", NOW_2026, 120000 },
    { " 120", NOW_2026, 120000 },
    { "\t120 \t ", NOW_2026, 120000 },
    { "3599", NOW_2026, 3599000 },
    { "3600", NOW_2026, MAX },
    { "3601", NOW_2026, MAX },
    { "2147483648", NOW_2026, MAX },
    { "4294967297", NOW_2026, MAX },
    { "9223372036854775807", NOW_2026, MAX },
    { "9223372036854775809", NOW_2026, MAX },
    { "18446744073709551617", NOW_2026, MAX },
    { "100000000000000000000000000000000000000000001", NOW_2026, MAX },

    { "", NOW_2026, NGX_ERROR },
    { " ", NOW_2026, NGX_ERROR },
    { "-1", NOW_2026, NGX_ERROR },
    { "+1", NOW_2026, NGX_ERROR },
    { "1.5", NOW_2026, NGX_ERROR },
    { "1,2", NOW_2026, NGX_ERROR },
    { "1 2", NOW_2026, NGX_ERROR },
    { "1s", NOW_2026, NGX_ERROR },
    { "1e3", NOW_2026, NGX_ERROR },
    { "0x10", NOW_2026, NGX_ERROR },
    { "\"1\"", NOW_2026, NGX_ERROR },
    { "soon", NOW_2026, NGX_ERROR },
    { "1\n", NOW_2026, NGX_ERROR },

    /* each form */

    { "Sun, 06 Nov 1994 08:49:37 GMT", NOW_1994, 0 },
    { "Sun, 06 Nov 1994 08:49:38 GMT", NOW_1994, 750 },
    { "Sunday, 06-Nov-94 08:49:37 GMT", NOW_1994, 0 },
    { "Sunday, 06-Nov-94 08:50:00 GMT", NOW_1994, 22750 },
    { "Sun Nov  6 08:49:37 1994", NOW_1994, 0 },
    { "Sun Nov  6 08:49:38 1994", NOW_1994, 750 },
    { "Sun Nov 06 08:49:38 1994", NOW_1994, 750 },
    { "Mon, 07 Nov 1994 08:49:37 GMT", NOW_1994, MAX },
    { "Monday, 07-Nov-94 08:49:37 GMT", NOW_1994, MAX },
    { "Mon Nov  7 08:49:37 1994", NOW_1994, MAX },
    { " \tSun, 06 Nov 1994 08:49:38 GMT ", NOW_1994, 750 },
    { "Sun, 06 Nov 1994 09:49:37 GMT", NOW_1994, MAX - 250 },
    { "Sun, 06 Nov 1994 09:49:38 GMT", NOW_1994, MAX },
    { "Fri, 31 Dec 9999 23:59:59 GMT", NOW_1994, MAX },

    /* the name of the day may be wrong */

    { "Fri, 06 Nov 1994 08:49:38 GMT", NOW_1994, 750 },

    /* each month */

    { "Thu, 01 Jan 2026 00:00:01 GMT", 1767225600000LL, 1000 },
    { "Sun, 01 Feb 2026 00:00:01 GMT", 1769904000000LL, 1000 },
    { "Sun, 01 Mar 2026 00:00:01 GMT", 1772323200000LL, 1000 },
    { "Wed, 01 Apr 2026 00:00:01 GMT", 1775001600000LL, 1000 },
    { "Fri, 01 May 2026 00:00:01 GMT", 1777593600000LL, 1000 },
    { "Mon, 01 Jun 2026 00:00:01 GMT", 1780272000000LL, 1000 },
    { "Wed, 01 Jul 2026 00:00:01 GMT", 1782864000000LL, 1000 },
    { "Sat, 01 Aug 2026 00:00:01 GMT", 1785542400000LL, 1000 },
    { "Tue, 01 Sep 2026 00:00:01 GMT", 1788220800000LL, 1000 },
    { "Thu, 01 Oct 2026 00:00:01 GMT", 1790812800000LL, 1000 },
    { "Sun, 01 Nov 2026 00:00:01 GMT", 1793491200000LL, 1000 },
    { "Tue, 01 Dec 2026 00:00:01 GMT", 1796083200000LL, 1000 },
    { "Sat, 28 Feb 2026 23:59:59 GMT", 1772323198999LL, 1 },
    { "Thu, 29 Feb 2024 00:00:01 GMT", 1709164800000LL, 1000 },
    { "Thu, 31 Dec 2026 23:59:59 GMT", 1798761599000LL, 0 },

    /* passed */

    { "Thu, 01 Jan 1970 00:00:00 GMT", NOW_2026, 0 },
    { "Wed, 31 Dec 1969 23:59:59 GMT", NOW_2026, 0 },
    { "Sat, 01 Jan 0000 00:00:00 GMT", NOW_2026, 0 },
    { "Wed Dec 31 23:59:59 1969", NOW_2026, 0 },

    /* two-digit years: up to 50 years ahead, else of the past */

    { "Wednesday, 15-Jul-26 00:00:00 GMT", NOW_2026, MAX },
    { "Tuesday, 14-Jul-26 00:00:01 GMT", NOW_2026, 1000 },
    { "Saturday, 06-Nov-27 08:49:37 GMT", NOW_2026, MAX },
    { "Friday, 06-Nov-70 08:49:37 GMT", NOW_2026, MAX },
    { "Friday, 06-Nov-76 08:49:37 GMT", NOW_2026, MAX },
    { "Saturday, 06-Nov-77 08:49:37 GMT", NOW_2026, 0 },
    { "Sunday, 06-Nov-94 08:49:37 GMT", NOW_2026, 0 },
    { "Saturday, 06-Nov-99 08:49:37 GMT", NOW_2026, 0 },
    { "Sunday, 06-Nov-44 08:49:37 GMT", NOW_1994, MAX },
    { "Monday, 06-Nov-45 08:49:37 GMT", NOW_1994, 0 },
    { "Friday, 01-Jan-00 00:00:01 GMT", 4102444799000LL, 2000 },

    /* malformed */

    { "Sun, 00 Nov 1994 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 31 Nov 1994 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 29 Feb 1994 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 29 Feb 2100 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 30 Feb 2024 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 99 Nov 1994 08:49:37 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 24:00:00 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:60:00 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:49:61 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nox 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Jxx 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 NOV 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Xyz, 06 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "sun, 06 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:49:38 UTC", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:49:38", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:49:38 GMT+1", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994 08:49:38 GMT, 5", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 1994  08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun,06 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun,  6 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 6 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06 Nov 94 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06-Nov-94 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun, 06-Nov-1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sunday, 06 Nov 1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sunday, 06-Nov-1994 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sundax, 06-Nov-94 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sunday, 06-Nov 94 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sunday, 00-Nov-94 08:49:38 GMT", NOW_1994, NGX_ERROR },
    { "Sun Nov  0 08:49:38 1994", NOW_1994, NGX_ERROR },
    { "Sun Nov 6 08:49:38 1994", NOW_1994, NGX_ERROR },
    { "Sun Nov 6  08:49:38 1994", NOW_1994, NGX_ERROR },
    { "Sun Nov  6 08:49:38 1994 GMT", NOW_1994, NGX_ERROR },
    { "Sun Nov  6 08.49:38 1994", NOW_1994, NGX_ERROR },
    { "Sun Nov  6 08:49:38 19x4", NOW_1994, NGX_ERROR },
    { "1994-11-06T08:49:38Z", NOW_1994, NGX_ERROR },
    { "Sun", NOW_1994, NGX_ERROR },
    { "Sunday", NOW_1994, NGX_ERROR },
    { "Sunday,", NOW_1994, NGX_ERROR }
};


/* in the order of ngx_http_idpay_quota_fields_t, reset 0: says nothing */

static struct {
    char        *ratelimit;
    char        *policy;
    char        *limit;
    char        *remaining;
    char        *reset;
    ngx_uint_t   calls;
    ngx_msec_t   ms;
} quotas[] = {
    { NULL, NULL, NULL, NULL, NULL, 0, 0 },

    /* drafts 8 and later */

    { "\"default\";r=50;t=30", NULL, NULL, NULL, NULL, 50, 30000 },
    { "default;r=1;t=2", NULL, NULL, NULL, NULL, 1, 2000 },
    { "\"default\";t=30;r=50", NULL, NULL, NULL, NULL, 50, 30000 },
    { "\"a\"; r=50; t=30", NULL, NULL, NULL, NULL, 50, 30000 },
    { " \"a\" ;r=5\t; t=3 ", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\";r=0;t=30", NULL, NULL, NULL, NULL, 0, 30000 },
    { "\"a\";r=7;t=3600", NULL, NULL, NULL, NULL, 7, MAX },
    { "\"a\";r=7;t=3601", NULL, NULL, NULL, NULL, 7, MAX },
    { "\"a\";r=7;t=86400", NULL, NULL, NULL, NULL, 7, MAX },
    { "\"a\";r=7;t=99999999999999999999", NULL, NULL, NULL, NULL, 7, MAX },
    { "\"a\";r=2147483647;t=1", NULL, NULL, NULL, NULL, 2147483647, 1000 },
    { "\"a\";r=2147483648;t=1", NULL, NULL, NULL, NULL, 2147483647, 1000 },
    { "\"a\";r=18446744073709551617;t=1", NULL, NULL, NULL, NULL,
      2147483647, 1000 },
    { "\"a\";r=5;r=4;t=3;t=2", NULL, NULL, NULL, NULL, 4, 2000 },

    /* parameters that are not ours */

    { "\"a\";pk=:dGVzdDs=:;r=5;t=3", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\";pk=:cj0xO3Q9:;r=5;t=3;x", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a,b;r=1;t=9\";r=5;t=3", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\\\";r=1\\\\\";r=5;t=3", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\";x=\",;r=1\\\"\";r=5;t=3", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\";r=5;rr=1;tt=9;t=3", NULL, NULL, NULL, NULL, 5, 3000 },
    { "\"a\";r=5;t=3;d=@1783987200;f=-1.5;b=?0", NULL, NULL, NULL, NULL,
      5, 3000 },

    /* the strictest of several */

    { "\"a\";r=50;t=10, \"b\";r=1;t=10", NULL, NULL, NULL, NULL, 1, 10000 },
    { "\"b\";r=1;t=10,\"a\";r=50;t=10", NULL, NULL, NULL, NULL, 1, 10000 },
    { "\"a\";r=10;t=1, \"b\";r=100;t=60", NULL, NULL, NULL, NULL,
      100, 60000 },
    { "\"a\";r=0;t=1, \"b\";r=1;t=3600", NULL, NULL, NULL, NULL, 0, 1000 },
    { "\"a\";r=1;t=3600, \"b\";r=0;t=1", NULL, NULL, NULL, NULL, 0, 1000 },
    { "\"a\";r=0;t=1, \"b\";r=0;t=60", NULL, NULL, NULL, NULL, 0, 60000 },
    { "\"a\";r=0;t=60, \"b\";r=0;t=1", NULL, NULL, NULL, NULL, 0, 60000 },
    { "\"a\";r=5;t=5, \"b\";r=50;t=50", NULL, NULL, NULL, NULL, 5, 5000 },
    { "\"a\";r=0;t=0, \"b\";r=9;t=9", NULL, NULL, NULL, NULL, 9, 9000 },
    { "\"a\";t=5, \"b\";r=9;t=9", NULL, NULL, NULL, NULL, 9, 9000 },
    { ",\"a\";r=5;t=5, ,", NULL, NULL, NULL, NULL, 5, 5000 },

    /* windows of policies */

    { "\"a\";r=50", "\"a\";q=100;w=60", NULL, NULL, NULL, 50, 60000 },
    { "\"daily\";r=5", "\"burst\";q=100;w=60,\"daily\";q=1000;w=3000",
      NULL, NULL, NULL, 5, 3000000 },
    { "\"a\";r=50;t=30", "\"a\";q=100;w=60", NULL, NULL, NULL, 50, 30000 },
    { "\"a\";r=5", "\"a\";qu=\"requests\";pk=:dz0xO3c9Mg==:;w=60;q=9",
      NULL, NULL, NULL, 5, 60000 },
    { "\"a\";r=5", "\"x\";c=\"a,b;w=1\\\",\\\"a\\\";w=2\",\"a\";w=60",
      NULL, NULL, NULL, 5, 60000 },
    { "\"a\\\"b\";r=5", "\"a\\\"\";w=1, \"a\\\"b\";w=60",
      NULL, NULL, NULL, 5, 60000 },
    { "\"b\";r=5, \"a\";r=1;t=9", "\"a\";q=100;w=60",
      NULL, NULL, NULL, 1, 9000 },
    { "\"a\";r=50", "\"a\";w=86400", NULL, NULL, NULL, 50, MAX },
    { "\"a\";r=50", "\"a\";q=100", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", "\"a\";w=0", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", "\"aa\";w=60", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", "\"A\";w=60", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=0", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50;t=0", "\"a\";w=60", NULL, NULL, NULL, 0, 0 },

    /* other units than calls */

    { "\"a\";r=5;t=5", "\"a\";q=9;qu=\"content-bytes\";w=60",
      NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=5, \"b\";r=50;t=50", "\"a\";w=60;qu=\"content-bytes\"",
      NULL, NULL, NULL, 50, 50000 },

    /* a policy that is malformed anywhere is none */

    { "\"a\";r=50", "\"a\";w=60,\"b\";w=-1", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", "\"a\";w=60,\"b\";w=1.5", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50", "\"a\";w=60,\"b", NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=50;t=30", "\"a\";w=x", NULL, NULL, NULL, 50, 30000 },

    /* malformed */

    { "\"a\";r=5;t=3,\"b\";r=-1;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5.0;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=-3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3.5", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=\"5\";t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5 0;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\" b;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\"b;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r==5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3;x=\"", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3;x=\"\\", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3;x=\"\\\"", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3;x=:ab", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";r=5;t=3;x=:", NULL, NULL, NULL, NULL, 0, 0 },
    { ";r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\",;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "=;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\";R=5;T=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "\"a\"\x01;r=5;t=3", NULL, NULL, NULL, NULL, 0, 0 },
    { "", "", "", "", "", 0, 0 },
    { "\"a\"", NULL, NULL, NULL, NULL, 0, 0 },
    { "5", NULL, NULL, NULL, NULL, 0, 0 },
    { "{\"r\": 5}", NULL, NULL, NULL, NULL, 0, 0 },

    /* draft 7 */

    { "limit=100, remaining=50, reset=30", NULL, NULL, NULL, NULL,
      50, 30000 },
    { "reset=30,limit=100,remaining=0", NULL, NULL, NULL, NULL, 0, 30000 },
    { "remaining=50, reset=30", NULL, NULL, NULL, NULL, 50, 30000 },
    { "limit=100, remaining=50, reset=7200", NULL, NULL, NULL, NULL,
      50, MAX },
    { "limit=100, remaining=50", "10;w=1, 100;w=60;burst=1000",
      NULL, NULL, NULL, 50, 60000 },
    { "limit=100, remaining=50", NULL, NULL, NULL, NULL, 0, 0 },
    { "limit=100, reset=30", NULL, NULL, NULL, NULL, 0, 0 },
    { "limit=100, remaining=-1, reset=30", NULL, NULL, NULL, NULL, 0, 0 },
    { "limit=100, remaining=1.5, reset=30", NULL, NULL, NULL, NULL, 0, 0 },
    { "limit=100, remaining=50, reset=soon", NULL, NULL, NULL, NULL, 0, 0 },

    /* single fields */

    { NULL, NULL, "100", "50", "30", 50, 30000 },
    { NULL, NULL, NULL, "50", "30", 50, 30000 },
    { NULL, NULL, NULL, " 50\t", "\t30 ", 50, 30000 },
    { NULL, NULL, "soon", "50", "30", 50, 30000 },
    { NULL, NULL, "100", "0", "30", 0, 30000 },
    { NULL, NULL, "100", "5", "3600", 5, MAX },
    { NULL, NULL, "100", "5", "3601", 5, MAX },
    { NULL, NULL, "100", "5", "999999999", 5, MAX },
    { NULL, NULL, "100", "99999999999999999999", "1", 2147483647, 1000 },
    { NULL, NULL, "100", "5", "0", 0, 0 },
    { NULL, NULL, "100", NULL, "30", 0, 0 },
    { NULL, NULL, "100", "50", NULL, 0, 0 },
    { NULL, NULL, "100", "", "30", 0, 0 },
    { NULL, NULL, "100", "-1", "30", 0, 0 },
    { NULL, NULL, "100", "1.5", "30", 0, 0 },
    { NULL, NULL, "100", "1, 2", "30", 0, 0 },
    { NULL, NULL, "100", "5", "-30", 0, 0 },
    { NULL, NULL, "100", "5", "30s", 0, 0 },
    { NULL, NULL, "100", "5", "1m30s", 0, 0 },
    { NULL, NULL, "100", "5", "1.5", 5, 2000 },
    { NULL, NULL, "100", "5", "2.0", 5, 2000 },
    { NULL, NULL, "100", "5", "0.001", 5, 1000 },
    { NULL, NULL, "100", "5", "1.", 0, 0 },
    { NULL, NULL, "100", "5", ".5", 0, 0 },
    { NULL, NULL, "100", "5", ".", 0, 0 },
    { NULL, NULL, "100", "5", "1.2.3", 0, 0 },
    { NULL, NULL, "100", "5", "1.-5", 0, 0 },

    /* times since the epoch */

    { NULL, NULL, "100", "5", "1783987230", 5, 30000 },
    { NULL, NULL, "100", "5", "1783987229.5", 5, 30000 },
    { NULL, NULL, "100", "5", "1783987230000", 5, 30000 },
    { NULL, NULL, "100", "5", "1783987200001", 5, 1 },
    { NULL, NULL, "100", "5", "1783987200", 0, 0 },
    { NULL, NULL, "100", "5", "1783987199", 0, 0 },
    { NULL, NULL, "100", "5", "1783987200000", 0, 0 },
    { NULL, NULL, "100", "5", "1783987199999", 0, 0 },
    { NULL, NULL, "100", "5", "1000000000", 0, 0 },
    { NULL, NULL, "100", "5", "1000000000000", 0, 0 },
    { NULL, NULL, "100", "5", "1783990800", 5, MAX },
    { NULL, NULL, "100", "5", "1783990801", 5, MAX },
    { NULL, NULL, "100", "5", "999999999999", 5, MAX },
    { NULL, NULL, "100", "5", "99999999999999999999999", 5, MAX },

    /* the window of the limit */

    { NULL, NULL, "100, 100;w=60;burst=1000, 5000;w=3000", "50", NULL,
      50, 60000 },
    { NULL, NULL, "5000, 100;w=60;burst=1000, 5000;w=3000", "50", NULL,
      50, 3000000 },
    { NULL, NULL, "100, 100;w=60", "50", "30", 50, 30000 },
    { NULL, NULL, "100, 100;w=60", "50", "soon", 50, 60000 },
    { NULL, NULL, "100, 100;w=60", "50", "0", 0, 0 },
    { NULL, NULL, "100, 10;w=60", "50", NULL, 0, 0 },
    { NULL, NULL, "100, 100;w=60, 1;w=-1", "50", NULL, 0, 0 },
    { NULL, "100;w=60", "100", "50", NULL, 50, 60000 },

    /* RateLimit goes before them, unless it says nothing */

    { "\"a\";r=50;t=30", NULL, "9", "1", "60", 50, 30000 },
    { "\"a\";r=50;t=-30", NULL, "9", "1", "60", 1, 60000 },
    { "\"a\";r=50", NULL, "9", "1", "60", 1, 60000 },
    { "", NULL, "9", "1", "60", 1, 60000 }
};


static struct {
    char       *text;
    ngx_int_t   wait;
} prefers[] = {
    { "wait=10", 10 },
    { "respond-async, wait=10", 10 },
    { "wait=10, respond-async", 10 },
    { "WAIT=10", 10 },
    { "Wait=0", 0 },
    { "wait=\"10\"", 10 },
    { " wait\t= 10 ", 10 },
    { "wait = \"10\" ; foo=\"bar\"", 10 },
    { "wait=10;foo=bar;baz", 10 },
    { "wait=10;", 10 },
    { "wait=10; ; x", 10 },
    { ", wait=10,", 10 },
    { "wait=10, wait=20", 10 },
    { "return=minimal; foo=\"a, wait=5\", wait=10", 10 },
    { "foo=\"\\\", wait=5\", wait=10", 10 },
    { "foo=\"\", wait=10", 10 },
    { "foo; wait=5, wait=10", 10 },
    { "await=5, waits=6, wait=10", 10 },
    { "wait=3600", 3600 },
    { "wait=3601", 3600 },
    { "wait=99999999999999999999999", 3600 },
    { "wait=0000000000000000000000010", 10 },

    { "", NGX_ERROR },
    { "respond-async", NGX_ERROR },
    { "wait", NGX_ERROR },
    { "wait=", NGX_ERROR },
    { "wait=\"\"", NGX_ERROR },
    { "wait=\"", NGX_ERROR },
    { "wait=\"10", NGX_ERROR },
    { "wait=\"1\\0\"", NGX_ERROR },
    { "wait=\"10\"0", NGX_ERROR },
    { "wait=-1", NGX_ERROR },
    { "wait=+1", NGX_ERROR },
    { "wait=1.5", NGX_ERROR },
    { "wait=10s", NGX_ERROR },
    { "wait=10 20", NGX_ERROR },
    { "wait 10", NGX_ERROR },
    { "wait;10", NGX_ERROR },
    { "foo; wait=10", NGX_ERROR },
    { "foo=\"wait=10", NGX_ERROR },
    { "foo=\"\\", NGX_ERROR },
    { "wait=x, wait=10", NGX_ERROR },
    { ";wait=10", NGX_ERROR },
    { "=10", NGX_ERROR }
};


/* a copy of the exact size, so that a read behind its end is seen */

static u_char *
copy(char *text)
{
    u_char  *p;
    size_t   len;

    len = ngx_strlen(text);
    p = malloc(len ? len : 1);
    ngx_memcpy(p, text, len);

    return p;
}


static void
set(ngx_str_t *field, char *text)
{
    ngx_str_null(field);

    if (text) {
        field->len = ngx_strlen(text);
        field->data = copy(text);
    }
}


static void
read_fields(char *ratelimit, char *policy, char *limit, char *remaining,
    char *reset, ngx_http_idpay_quota_t *quota)
{
    ngx_http_idpay_quota_fields_t  fields;

    set(&fields.ratelimit, ratelimit);
    set(&fields.policy, policy);
    set(&fields.limit, limit);
    set(&fields.remaining, remaining);
    set(&fields.reset, reset);

    /* what was there before counts for nothing */

    ngx_memset(quota, 0xff, sizeof(ngx_http_idpay_quota_t));

    ngx_http_idpay_quota(&fields, NOW_2026, quota);

    free(fields.ratelimit.data);
    free(fields.policy.data);
    free(fields.limit.data);
    free(fields.remaining.data);
    free(fields.reset.data);
}


static void
test_long(void)
{
    char                     text[NGX_HTTP_IDPAY_MAX_FIELD + 2];
    char                     policy[256], *p;
    u_char                  *data;
    size_t                   len;
    ngx_uint_t               i, fits;
    ngx_http_idpay_quota_t   quota;

    for (len = NGX_HTTP_IDPAY_MAX_FIELD; len < sizeof(text); len++) {
        fits = (len == NGX_HTTP_IDPAY_MAX_FIELD);

        ngx_memset(text, ' ', len);
        text[len] = '\0';

        text[0] = '7';
        data = copy(text);
        tap_ok(ngx_http_idpay_retry_after(data, len, NOW_2026)
               == (fits ? 7000 : NGX_ERROR),
               "Retry-After of %d bytes", (int) len);
        free(data);

        ngx_memcpy(text, "wait=7", 6);
        data = copy(text);
        tap_ok(ngx_http_idpay_prefer_wait(data, len)
               == (fits ? 7 : NGX_ERROR),
               "Prefer of %d bytes", (int) len);
        free(data);

        ngx_memcpy(text, "a;r=7;t=7", 9);
        read_fields(text, NULL, NULL, NULL, NULL, &quota);
        tap_ok(quota.valid == fits, "RateLimit of %d bytes", (int) len);

        ngx_memcpy(text, "7        ", 9);
        read_fields(NULL, NULL, NULL, text, "7", &quota);
        tap_ok(quota.valid == fits, "Remaining of %d bytes", (int) len);
    }

    ngx_memset(text, '9', NGX_HTTP_IDPAY_MAX_FIELD);
    data = copy(text);
    tap_ok(ngx_http_idpay_retry_after(data, NGX_HTTP_IDPAY_MAX_FIELD, NOW_2026)
           == MAX, "%d digits", NGX_HTTP_IDPAY_MAX_FIELD);
    free(data);

    ngx_memset(text, '\\', NGX_HTTP_IDPAY_MAX_FIELD);
    text[0] = '"';
    data = copy(text);
    tap_ok(ngx_http_idpay_prefer_wait(data, NGX_HTTP_IDPAY_MAX_FIELD)
           == NGX_ERROR, "%d backslashes", NGX_HTTP_IDPAY_MAX_FIELD - 1);
    free(data);

    p = policy;

    for (i = 0; i <= NGX_HTTP_IDPAY_MAX_POLICIES; i++) {
        p += snprintf(p, 10, "%c;w=60,", 'a' + (int) i);
    }

    read_fields("p;r=7", policy, NULL, NULL, NULL, &quota);
    tap_ok(quota.valid && quota.reset == 60000, "the last policy that is read");

    read_fields("q;r=7", policy, NULL, NULL, NULL, &quota);
    tap_ok(!quota.valid, "the first one that is not");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    u_char                  *p;
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_idpay_quota_t   quota;

    for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        p = copy(delays[i].text);
        rc = ngx_http_idpay_retry_after(p, ngx_strlen(delays[i].text),
                                        delays[i].now);

        tap_ok(rc == delays[i].delay, "Retry-After: %s: %ld", delays[i].text,
               (long) rc);
        free(p);
    }

    for (i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++) {
        read_fields(quotas[i].ratelimit, quotas[i].policy, quotas[i].limit,
                    quotas[i].remaining, quotas[i].reset, &quota);

        tap_ok(quota.valid == (quotas[i].ms != 0)
               && quota.remaining == quotas[i].calls
               && quota.reset == quotas[i].ms,
               "quota %d: %s, %s, %s, %s, %s: %ld in %ld ms", (int) i,
               quotas[i].ratelimit, quotas[i].policy, quotas[i].limit,
               quotas[i].remaining, quotas[i].reset,
               (long) quota.remaining, (long) quota.reset);
    }

    for (i = 0; i < sizeof(prefers) / sizeof(prefers[0]); i++) {
        p = copy(prefers[i].text);
        rc = ngx_http_idpay_prefer_wait(p, ngx_strlen(prefers[i].text));

        tap_ok(rc == prefers[i].wait, "Prefer: %s: %ld", prefers[i].text,
               (long) rc);
        free(p);
    }

    test_long();

    return tap_done();
}
