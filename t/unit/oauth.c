
/*
 * Copyright (C) 2026 idpay contributors
 *
 * What is said to a token endpoint, and what its answers mean.
 */


#include "../../src/credential/ngx_http_idpay_oauth.c"

#include "tap.h"


#define NOW   1783987200LL
#define MIN   NGX_HTTP_IDPAY_MIN_LIFE
#define MAX   NGX_HTTP_IDPAY_MAX_LIFE

#define GRANTED  NGX_HTTP_IDPAY_OAUTH_GRANTED
#define GONE     NGX_HTTP_IDPAY_OAUTH_GONE
#define CLIENT   NGX_HTTP_IDPAY_OAUTH_CLIENT
#define BUSY     NGX_HTTP_IDPAY_OAUTH_BUSY
#define FAILED   NGX_HTTP_IDPAY_OAUTH_FAILED


/* an access token of GoPay's reference, which ends at 1513597098 */

#define JWT                                                                   \
    "eyJraWQiOiJkZWZhdWx0IiwidHlwIjoiSldUIiwiYWxnIjoiUlMyNTYifQ."             \
    "eyJzdWIiOiJodHRwOi8vYXV0aC9hcHAvMzI3IiwiaXNzIjoiZ29wYXkuY29tIiwic2NvcG"  \
    "VzIjpbInBlcm0uY2xpZW50LmlkZW50aWZpY2F0aW9uIiwiaHR0cDovL2NsaWVudC9jbGll"  \
    "bnRwcm9maWxlLzU4MSJdLCJleHAiOjE1MTM1OTcwOTgsImp0aSI6Ijg5MTc0NzE1Mjc3Nz"  \
    "k1MjczNDkifQ."                                                           \
    "QKKKC9EkxWS"


static ngx_str_t  secrets[] = {
    ngx_string("777 777"),
    ngx_string("a+b&c=d%\xc3\xa9")
};

static ngx_http_idpay_grant_t  standard = {
    ngx_string("/oauth2/token"), 1, NGX_HTTP_IDPAY_CLIENT_BASIC,
    ngx_string("scope=payment-all"),
    ngx_string("access_token"), ngx_null_string, ngx_null_string,
    ngx_string("expires_in"), 1800
};

static ngx_http_idpay_grant_t  application = {
    ngx_string("/v1/auth/login/app"), 0, NGX_HTTP_IDPAY_CLIENT_BASIC,
    ngx_null_string,
    ngx_string("accessToken"), ngx_null_string, ngx_null_string,
    ngx_null_string, 1800
};

static ngx_http_idpay_grant_t  client = {
    ngx_string("/v1/auth/token"), 1, NGX_HTTP_IDPAY_CLIENT_POST,
    ngx_null_string,
    ngx_string("accessToken"), ngx_string("refreshToken"),
    ngx_string("clientProfileId"), ngx_null_string, 3600
};


static struct {
    char                    *name;
    ngx_http_idpay_grant_t  *grant;
    char                    *type;
    char                    *value;
    char                    *form;
} forms[] = {
    { "client credentials", &standard, "client_credentials", NULL,
      "grant_type=client_credentials&scope=payment-all" },
    { "client credentials, nothing else", &application, "client_credentials",
      NULL, "grant_type=client_credentials" },
    { "a code", &client, "authorization_code", "pgCNnZnVSNTT",
      "grant_type=authorization_code&code=pgCNnZnVSNTT"
      "&client_id=777%20777&client_secret=a%2Bb%26c%3Dd%25%C3%A9" },
    { "a refresh token", &client, "refresh_token", "a.b-c_d~e",
      "grant_type=refresh_token&refresh_token=a.b-c_d~e"
      "&client_id=777%20777&client_secret=a%2Bb%26c%3Dd%25%C3%A9" },
    { "a code that would be more", &standard, "authorization_code",
      "a&code=b=c+d%20\"'<>#?/\\\r\n*!()",
      "grant_type=authorization_code&code="
      "a%26code%3Db%3Dc%2Bd%2520%22%27%3C%3E%23%3F%2F%5C%0D%0A%2A%21%28%29"
      "&scope=payment-all" },
    { "an empty code", &application, "authorization_code", "",
      "grant_type=authorization_code&code=" }
};


#define T(s)      "{\"accessToken\":" s "}"
#define C(a,r,p)                                                              \
    "{\"accessToken\":" a ",\"refreshToken\":" r ",\"clientProfileId\":" p "}"
#define S(e)      "{\"access_token\":\"t\",\"expires_in\":" e "}"
#define ERR(e)    "{\"error\":" e "}"

#define A  &application
#define G  &client
#define O  &standard


static struct {
    char                    *name;
    ngx_http_idpay_grant_t  *grant;
    ngx_uint_t               spends;
    ngx_uint_t               status;
    char                    *body;
    ngx_uint_t               result;
    char                    *access;
    char                    *refresh;
    char                    *profile;
    time_t                   life;
    char                    *error;
} answers[] = {

    /* granted */

    { "an application", A, 0, 200, T("\"t\""),
      GRANTED, "t", "", "", 1800, "" },
    { "a client", G, 1, 200, C("\"a\"", "\"r\"", "123"),
      GRANTED, "a", "r", "123", 3600, "" },
    { "a client, members the other way round", G, 1, 200,
      "{\"refreshToken\":\"r\",\"clientProfileId\":9223372036854775807,"
      "\"x\":[{}],\"accessToken\":\"a\"}",
      GRANTED, "a", "r", "9223372036854775807", 3600, "" },
    { "as RFC 6749 has it", O, 0, 200,
      "{\"access_token\":\"2YotnFZFEjr1zCsicMWpAA\",\"token_type\":\"Bearer\","
      "\"expires_in\":3600,\"refresh_token\":\"tGzv3JOkF0XG5Qx2TlKWIA\"}",
      GRANTED, "2YotnFZFEjr1zCsicMWpAA", "", "", 3590, "" },
    { "201", A, 0, 201, T("\"t\""), GRANTED, "t", "", "", 1800, "" },
    { "white space", A, 0, 200, "\r\n { \"accessToken\" :\t\"t\" } \n",
      GRANTED, "t", "", "", 1800, "" },
    { "a BOM", A, 0, 200, "\xef\xbb\xbf" T("\"t\""),
      GRANTED, "t", "", "", 1800, "" },
    { "the first of two", A, 0, 200,
      "{\"accessToken\":\"t\",\"accessToken\":\"u\"}",
      GRANTED, "t", "", "", 1800, "" },
    { "escapes", A, 0, 200, T("\"\\u0074\\/\\\\\\\"\""),
      GRANTED, "t/\\\"", "", "", 1800, "" },
    { "an escaped name", A, 0, 200, "{\"access\\u0054oken\":\"t\"}",
      GRANTED, "t", "", "", 1800, "" },
    { "a number as a token", A, 0, 200, T("12345678901234567890"),
      GRANTED, "12345678901234567890", "", "", 1800, "" },
    { "a profile in quotes", G, 1, 200, C("\"a\"", "\"r\"", "\"123\""),
      GRANTED, "a", "r", "123", 3600, "" },
    { "no refresh token where none is needed", G, 0, 200,
      "{\"accessToken\":\"a\",\"clientProfileId\":1}",
      GRANTED, "a", "", "1", 3600, "" },
    { "an error beside a token", A, 0, 200,
      "{\"accessToken\":\"t\",\"error\":\"x\"}",
      GRANTED, "t", "", "", 1800, "" },

    /* no token */

    { "null", A, 0, 200, T("null"), FAILED, "", "", "", 0, "" },
    { "an empty one", A, 0, 200, T("\"\""), FAILED, "", "", "", 0, "" },
    { "false", A, 0, 200, T("false"), FAILED, "", "", "", 0, "" },
    { "true", A, 0, 200, T("true"), FAILED, "", "", "", 0, "" },
    { "an object", A, 0, 200, T("{\"accessToken\":\"t\"}"),
      FAILED, "", "", "", 0, "" },
    { "an array", A, 0, 200, T("[\"t\"]"), FAILED, "", "", "", 0, "" },
    { "the first of two is null", A, 0, 200,
      "{\"accessToken\":null,\"accessToken\":\"u\"}",
      FAILED, "", "", "", 0, "" },
    { "in an object", A, 0, 200, "{\"data\":" T("\"t\"") "}",
      FAILED, "", "", "", 0, "" },
    { "in an array", A, 0, 200, "[" T("\"t\"") "]",
      FAILED, "", "", "", 0, "" },
    { "in other letters", A, 0, 200, "{\"AccessToken\":\"t\"}",
      FAILED, "", "", "", 0, "" },
    { "by another name", A, 0, 200, "{\"access_token\":\"t\"}",
      FAILED, "", "", "", 0, "" },
    { "a line feed in it", A, 0, 200, T("\"a\\nb\""),
      FAILED, "", "", "", 0, "" },
    { "a header in it", A, 0, 200, T("\"a\\r\\nX: y\""),
      FAILED, "", "", "", 0, "" },
    { "a space in it", A, 0, 200, T("\"a b\""), FAILED, "", "", "", 0, "" },
    { "a NUL in it", A, 0, 200, T("\"a\\u0000b\""),
      FAILED, "", "", "", 0, "" },
    { "DEL in it", A, 0, 200, T("\"a\x7f\""), FAILED, "", "", "", 0, "" },
    { "UTF-8 in it", A, 0, 200, T("\"\xc3\xa9\""),
      FAILED, "", "", "", 0, "" },
    { "no UTF-8 in it", A, 0, 200, T("\"\xff\""), FAILED, "", "", "", 0, "" },
    { "a raw line feed in it", A, 0, 200, T("\"a\nb\""),
      FAILED, "", "", "", 0, "" },

    /* no answer */

    { "nothing", A, 0, 200, "", FAILED, "", "", "", 0, "" },
    { "204", A, 0, 204, "", FAILED, "", "", "", 0, "" },
    { "an empty object", A, 0, 200, "{}", FAILED, "", "", "", 0, "" },
    { "a string", A, 0, 200, "\"accessToken\"", FAILED, "", "", "", 0, "" },
    { "a page", A, 0, 200, "<html><body>Maintenance</body></html>",
      FAILED, "", "", "", 0, "" },
    { "a form", A, 0, 200, "accessToken=t&expires_in=3600",
      FAILED, "", "", "", 0, "" },
    { "cut", A, 0, 200, "{\"accessToken\":\"t\"", FAILED, "", "", "", 0, "" },
    { "cut in a token", A, 0, 200, "{\"accessToken\":\"t",
      FAILED, "", "", "", 0, "" },
    { "more behind it", A, 0, 200, T("\"t\"") "x", FAILED, "", "", "", 0, "" },
    { "twice", A, 0, 200, T("\"t\"") T("\"t\""), FAILED, "", "", "", 0, "" },
    { "UTF-16", A, 0, 200, "\xff\xfe{", FAILED, "", "", "", 0, "" },
    { "an error and 200", G, 1, 200, ERR("\"invalid_grant\""),
      FAILED, "", "", "", 0, "invalid_grant" },
    { "false and an error", A, 0, 200,
      "{\"accessToken\":false,\"error\":\"x\"}",
      FAILED, "", "", "", 0, "x" },

    /* a client's */

    { "no refresh token", G, 1, 200,
      "{\"accessToken\":\"a\",\"clientProfileId\":1}",
      FAILED, "", "", "", 0, "" },
    { "no good refresh token", G, 1, 200, C("\"a\"", "\"r r\"", "1"),
      FAILED, "", "", "", 0, "" },
    { "a null as refresh token", G, 1, 200, C("\"a\"", "null", "1"),
      FAILED, "", "", "", 0, "" },
    { "a bad refresh token where none is needed", G, 0, 200,
      C("\"a\"", "\"\"", "1"), GRANTED, "a", "", "1", 3600, "" },
    { "no profile", G, 1, 200,
      "{\"accessToken\":\"a\",\"refreshToken\":\"r\"}",
      FAILED, "", "", "", 0, "" },
    { "profile 0", G, 1, 200, C("\"a\"", "\"r\"", "0"),
      FAILED, "", "", "", 0, "" },
    { "profile with a leading zero", G, 1, 200, C("\"a\"", "\"r\"", "\"01\""),
      FAILED, "", "", "", 0, "" },
    { "profile -1", G, 1, 200, C("\"a\"", "\"r\"", "-1"),
      FAILED, "", "", "", 0, "" },
    { "profile 1.0", G, 1, 200, C("\"a\"", "\"r\"", "1.0"),
      FAILED, "", "", "", 0, "" },
    { "profile 1e3", G, 1, 200, C("\"a\"", "\"r\"", "1e3"),
      FAILED, "", "", "", 0, "" },
    { "profile of 20 digits", G, 1, 200,
      C("\"a\"", "\"r\"", "12345678901234567890"),
      FAILED, "", "", "", 0, "" },
    { "profile null", G, 1, 200, C("\"a\"", "\"r\"", "null"),
      FAILED, "", "", "", 0, "" },
    { "profile empty", G, 1, 200, C("\"a\"", "\"r\"", "\"\""),
      FAILED, "", "", "", 0, "" },
    { "profile with a way out", G, 1, 200, C("\"a\"", "\"r\"", "\"1/../2\""),
      FAILED, "", "", "", 0, "" },

    /* types */

    { "bearer", A, 0, 200, "{\"accessToken\":\"t\",\"token_type\":\"bEARER\"}",
      GRANTED, "t", "", "", 1800, "" },
    { "no type", A, 0, 200, "{\"accessToken\":\"t\",\"token_type\":null}",
      GRANTED, "t", "", "", 1800, "" },
    { "an empty type", A, 0, 200, "{\"accessToken\":\"t\",\"token_type\":\"\"}",
      GRANTED, "t", "", "", 1800, "" },
    { "mac", A, 0, 200, "{\"accessToken\":\"t\",\"token_type\":\"mac\"}",
      FAILED, "", "", "", 0, "" },
    { "DPoP", A, 0, 200, "{\"accessToken\":\"t\",\"token_type\":\"DPoP\"}",
      FAILED, "", "", "", 0, "" },
    { "bearer and more", A, 0, 200,
      "{\"accessToken\":\"t\",\"token_type\":\"bearers\"}",
      FAILED, "", "", "", 0, "" },
    { "a number as type", A, 0, 200,
      "{\"accessToken\":\"t\",\"token_type\":1}",
      FAILED, "", "", "", 0, "" },
    { "an object as type", A, 0, 200,
      "{\"accessToken\":\"t\",\"token_type\":{}}",
      FAILED, "", "", "", 0, "" },

    /* lives: the request has taken 10 s */

    { "life 1800", O, 0, 200, S("1800"), GRANTED, "t", "", "", 1790, "" },
    { "life in quotes", O, 0, 200, S("\"1800\""),
      GRANTED, "t", "", "", 1790, "" },
    { "life 1800.5", O, 0, 200, S("1800.5"), GRANTED, "t", "", "", 1790, "" },
    { "life 1.8e3", O, 0, 200, S("1.8e3"), GRANTED, "t", "", "", 1790, "" },
    { "life 180000e-2", O, 0, 200, S("180000e-2"),
      GRANTED, "t", "", "", 1790, "" },
    { "life 1e300", O, 0, 200, S("1e300"), GRANTED, "t", "", "", MAX, "" },
    { "life -1e300", O, 0, 200, S("-1e300"), GRANTED, "t", "", "", MIN, "" },
    { "life 1e-300", O, 0, 200, S("1e-300"), GRANTED, "t", "", "", MIN, "" },
    { "life 1e999999999999999999999", O, 0, 200, S("1e999999999999999999999"),
      GRANTED, "t", "", "", MAX, "" },
    { "life 0e999999999", O, 0, 200, S("0e999999999"),
      GRANTED, "t", "", "", MIN, "" },
    { "life 18446744073709553416", O, 0, 200, S("18446744073709553416"),
      GRANTED, "t", "", "", MAX, "" },
    { "life -9223372036854775808", O, 0, 200, S("-9223372036854775808"),
      GRANTED, "t", "", "", MIN, "" },
    { "life 0", O, 0, 200, S("0"), GRANTED, "t", "", "", MIN, "" },
    { "life -5", O, 0, 200, S("-5"), GRANTED, "t", "", "", MIN, "" },
    { "life 69", O, 0, 200, S("69"), GRANTED, "t", "", "", MIN, "" },
    { "life 71", O, 0, 200, S("71"), GRANTED, "t", "", "", 61, "" },
    { "life of a week", O, 0, 200, S("604810"),
      GRANTED, "t", "", "", MAX, "" },
    { "life of less than a week", O, 0, 200, S("604809"),
      GRANTED, "t", "", "", MAX - 1, "" },
    { "life null", O, 0, 200, S("null"), GRANTED, "t", "", "", 1800, "" },
    { "life true", O, 0, 200, S("true"), GRANTED, "t", "", "", 1800, "" },
    { "life {}", O, 0, 200, S("{}"), GRANTED, "t", "", "", 1800, "" },
    { "life empty", O, 0, 200, S("\"\""), GRANTED, "t", "", "", 1800, "" },
    { "life soon", O, 0, 200, S("\"soon\""), GRANTED, "t", "", "", 1800, "" },
    { "life 1h", O, 0, 200, S("\"1h\""), GRANTED, "t", "", "", 1800, "" },
    { "life inf", O, 0, 200, S("\"inf\""), GRANTED, "t", "", "", 1800, "" },
    { "life nan", O, 0, 200, S("\"nan\""), GRANTED, "t", "", "", 1800, "" },
    { "life 0x10", O, 0, 200, S("\"0x10\""), GRANTED, "t", "", "", 1800, "" },
    { "life with a space", O, 0, 200, S("\" 900\""),
      GRANTED, "t", "", "", 1800, "" },
    { "life 01800", O, 0, 200, S("\"01800\""),
      GRANTED, "t", "", "", 1790, "" },
    { "no life", O, 0, 200, "{\"access_token\":\"t\"}",
      GRANTED, "t", "", "", 1800, "" },
    { "the first life", O, 0, 200,
      "{\"access_token\":\"t\",\"expires_in\":900,\"expires_in\":70}",
      GRANTED, "t", "", "", 890, "" },
    { "a JWT that has ended", O, 0, 200, "{\"access_token\":\"" JWT "\"}",
      GRANTED, JWT, "", "", MIN, "" },
    { "a life and a JWT", O, 0, 200,
      "{\"access_token\":\"" JWT "\",\"expires_in\":900}",
      GRANTED, JWT, "", "", 890, "" },
    { "a life that is none and a JWT", O, 0, 200,
      "{\"access_token\":\"" JWT "\",\"expires_in\":\"soon\"}",
      GRANTED, JWT, "", "", MIN, "" },
    { "a life that no table names", A, 0, 200,
      "{\"accessToken\":\"t\",\"expires_in\":70}",
      GRANTED, "t", "", "", 1800, "" },

    /* refused */

    { "400 invalid_grant", G, 1, 400, ERR("\"invalid_grant\""),
      GONE, "", "", "", 0, "invalid_grant" },
    { "400 invalid_grant of no grant", A, 0, 400, ERR("\"invalid_grant\""),
      CLIENT, "", "", "", 0, "invalid_grant" },
    { "401 invalid_grant", G, 1, 401, ERR("\"invalid_grant\""),
      GONE, "", "", "", 0, "invalid_grant" },
    { "403 invalid_grant", G, 1, 403, ERR("\"invalid_grant\""),
      GONE, "", "", "", 0, "invalid_grant" },
    { "404 invalid_grant", G, 1, 404, ERR("\"invalid_grant\""),
      GONE, "", "", "", 0, "invalid_grant" },
    { "429 invalid_grant", G, 1, 429, ERR("\"invalid_grant\""),
      BUSY, "", "", "", 0, "invalid_grant" },
    { "500 invalid_grant", G, 1, 500, ERR("\"invalid_grant\""),
      FAILED, "", "", "", 0, "invalid_grant" },
    { "302 invalid_grant", G, 1, 302, ERR("\"invalid_grant\""),
      FAILED, "", "", "", 0, "invalid_grant" },
    { "404 Invalid_Grant", G, 1, 404, ERR("\"Invalid_Grant\""),
      FAILED, "", "", "", 0, "Invalid_Grant" },
    { "400 invalid_client", G, 1, 400, ERR("\"invalid_client\""),
      CLIENT, "", "", "", 0, "invalid_client" },
    { "404 invalid_client", G, 1, 404, ERR("\"invalid_client\""),
      CLIENT, "", "", "", 0, "invalid_client" },
    { "400 unauthorized_client", G, 1, 400, ERR("\"unauthorized_client\""),
      CLIENT, "", "", "", 0, "unauthorized_client" },
    { "400 unsupported_grant_type", G, 1, 400,
      ERR("\"unsupported_grant_type\""),
      CLIENT, "", "", "", 0, "unsupported_grant_type" },
    { "400 temporarily_unavailable", G, 1, 400,
      ERR("\"temporarily_unavailable\""),
      BUSY, "", "", "", 0, "temporarily_unavailable" },
    { "400 server_error", G, 1, 400, ERR("\"server_error\""),
      FAILED, "", "", "", 0, "server_error" },
    { "400 invalid_request", G, 1, 400, ERR("\"invalid_request\""),
      GONE, "", "", "", 0, "invalid_request" },
    { "400 invalid_scope", A, 0, 400, ERR("\"invalid_scope\""),
      CLIENT, "", "", "", 0, "invalid_scope" },
    { "400", G, 1, 400, "", GONE, "", "", "", 0, "" },
    { "400 of no grant", A, 0, 400, "", CLIENT, "", "", "", 0, "" },
    { "400 with a token", G, 1, 400, C("\"a\"", "\"r\"", "1"),
      GONE, "", "", "", 0, "" },
    { "409", G, 1, 409, "", GONE, "", "", "", 0, "" },
    { "422", G, 1, 422, "{\"detail\":\"x\"}", GONE, "", "", "", 0, "" },
    { "401", G, 1, 401, "", CLIENT, "", "", "", 0, "" },
    { "401 of no grant", A, 0, 401, "<html>", CLIENT, "", "", "", 0, "" },
    { "403 of a firewall", G, 1, 403, "<html>403 Forbidden</html>",
      FAILED, "", "", "", 0, "" },
    { "403 without a code", A, 0, 403, "{\"message\":\"x\"}",
      FAILED, "", "", "", 0, "" },
    { "403 with a code", G, 1, 403,
      "{\"errors\":[{\"error_name\":\"ACCESS_DENIED\"}]}",
      GONE, "", "", "", 0, "ACCESS_DENIED" },
    { "403 with a code, of no grant", A, 0, 403, ERR("\"access_denied\""),
      CLIENT, "", "", "", 0, "access_denied" },
    { "403 with a code that is none", G, 1, 403, ERR("\"no, sir\""),
      FAILED, "", "", "", 0, "" },
    { "429", G, 1, 429, "", BUSY, "", "", "", 0, "" },
    { "503", G, 1, 503, "<html>", BUSY, "", "", "", 0, "" },

    /* codes */

    { "the name of v3", G, 1, 409,
      "{\"date_issued\":\"x\",\"errors\":[{\"scope\":\"F\",\"error_code\":111,"
      "\"error_name\":\"INVALID\"},{\"error_name\":\"B\"}]}",
      GONE, "", "", "", 0, "INVALID" },
    { "the error of v4", G, 1, 400,
      "{\"code\":400,\"error\":\"BAD_REQUEST\",\"errors\":[{\"error_name\":"
      "\"x\"}]}", GONE, "", "", "", 0, "BAD_REQUEST" },
    { "an error that is none, a name", G, 1, 400,
      "{\"error\":\"a b\",\"errors\":[{\"error_name\":\"x\"}]}",
      GONE, "", "", "", 0, "x" },
    { "a true error, a name", G, 1, 400,
      "{\"error\":true,\"errors\":[{\"error_name\":\"x\"}]}",
      GONE, "", "", "", 0, "x" },
    { "an object as error", G, 1, 400, ERR("{\"code\":\"invalid_grant\"}"),
      GONE, "", "", "", 0, "" },
    { "an empty error", G, 1, 400, ERR("\"\""), GONE, "", "", "", 0, "" },
    { "null as error", G, 1, 400, ERR("null"), GONE, "", "", "", 0, "" },
    { "all characters", G, 1, 400, ERR("\"azAZ09_.-\""),
      GONE, "", "", "", 0, "azAZ09_.-" },
    { "64 characters", G, 1, 400,
      ERR("\"0123456789012345678901234567890123456789012345678901234567890123"
          "\""),
      GONE, "", "", "", 0,
      "0123456789012345678901234567890123456789012345678901234567890123" },
    { "65 characters", G, 1, 400,
      ERR("\"0123456789012345678901234567890123456789012345678901234567890123"
          "4\""),
      GONE, "", "", "", 0, "" },
    { "a line in a code", G, 1, 400, ERR("\"a\\nb\""),
      GONE, "", "", "", 0, "" },
    { "a slash in a code", G, 1, 400, ERR("\"a/b\""),
      GONE, "", "", "", 0, "" },
    { "UTF-8 in a code", G, 1, 400, ERR("\"\xc3\xa9\""),
      GONE, "", "", "", 0, "" },
    { "a NUL in a code", G, 1, 400, ERR("\"invalid_grant\\u0000\""),
      GONE, "", "", "", 0, "" },
    { "the first code", G, 1, 400,
      "{\"error\":\"invalid_client\",\"error\":\"invalid_grant\"}",
      CLIENT, "", "", "", 0, "invalid_client" }
};


/* these say nothing of the request, whether there is a grant or not */

static ngx_uint_t  failures[] = {
    0, 1, 100, 101, 199, 300, 301, 302, 303, 304, 307, 308, 399, 402, 404,
    405, 406, 407, 408, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421,
    423, 424, 425, 426, 428, 431, 444, 451, 495, 499, 500, 501, 502, 504,
    505, 520, 599, 600, 999, (ngx_uint_t) -1
};


static ngx_uint_t  changed;


static void test_forms(void);
static void test_answers(void);
static void test_long(void);
static void parse(ngx_http_idpay_grant_t *grant, ngx_uint_t spends,
    ngx_uint_t status, char *body, int64_t began, int64_t now, u_char **buf,
    ngx_http_idpay_oauth_answer_t *answer);
static ngx_uint_t same(ngx_str_t *text, char *expected);


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_forms();
    test_answers();
    test_long();

    tap_ok(changed == 0, "no body is changed");

    return tap_done();
}


static void
test_forms(void)
{
    u_char      *p;
    size_t       len, written;
    ngx_str_t    value, form;
    ngx_uint_t   i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {

        if (forms[i].value) {
            value.data = (u_char *) forms[i].value;
            value.len = ngx_strlen(forms[i].value);
        }

        len = ngx_http_idpay_oauth_form(NULL, forms[i].grant, secrets,
                                        forms[i].type,
                                        forms[i].value ? &value : NULL);
        p = malloc(len);

        written = ngx_http_idpay_oauth_form(p, forms[i].grant, secrets,
                                            forms[i].type,
                                            forms[i].value ? &value : NULL);
        form.data = p;
        form.len = written;

        tap_ok(len == written && same(&form, forms[i].form), "form: %s",
               forms[i].name);

        free(p);
    }

    ngx_str_set(&value, "eyJ/+=");

    len = ngx_http_idpay_oauth_revoke_form(NULL, secrets, &value);
    p = malloc(len);

    form.data = p;
    form.len = ngx_http_idpay_oauth_revoke_form(p, secrets, &value);

    tap_ok(len == form.len
           && same(&form, "token=eyJ%2F%2B%3D&client_id=777%20777"
                          "&client_secret=a%2Bb%26c%3Dd%25%C3%A9"),
           "form: revocation");

    free(p);
}


static void
test_answers(void)
{
    u_char                         *buf;
    ngx_uint_t                      i, spends;
    ngx_http_idpay_oauth_answer_t   answer;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {

        parse(answers[i].grant, answers[i].spends, answers[i].status,
              answers[i].body, NOW - 10, NOW, &buf, &answer);

        tap_ok(answer.result == answers[i].result
               && same(&answer.access, answers[i].access)
               && same(&answer.refresh, answers[i].refresh)
               && same(&answer.profile, answers[i].profile)
               && same(&answer.error, answers[i].error)
               && answer.life == answers[i].life,
               "answer: %s", answers[i].name);

        free(buf);
    }

    for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        for (spends = 0; spends < 2; spends++) {

            parse(spends ? &client : &application, spends, failures[i],
                  C("\"a\"", "\"r\"", "1"), NOW, NOW, &buf, &answer);

            tap_ok(answer.result == FAILED && answer.access.len == 0
                   && answer.refresh.len == 0 && answer.profile.len == 0,
                   "status %d", (int) failures[i]);

            free(buf);
        }
    }
}


/* tokens at their limit, and texts without one */

static void
test_long(void)
{
    char                           *body;
    u_char                         *buf, *p;
    size_t                          len, size;
    ngx_uint_t                      i;
    ngx_http_idpay_oauth_answer_t   answer;

    static size_t  lengths[] = {
        NGX_HTTP_IDPAY_MAX_TOKEN - 1, NGX_HTTP_IDPAY_MAX_TOKEN,
        NGX_HTTP_IDPAY_MAX_TOKEN + 1, 100 * 1024
    };

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        len = lengths[i];

        body = malloc(2 * len + 128);
        p = ngx_cpymem(body, "{\"accessToken\":\"", 16);
        memset(p, 'a', len);
        p += len;
        p = ngx_cpymem(p, "\",\"clientProfileId\":1,\"refreshToken\":\"", 38);
        memset(p, 'r', len);
        p += len;
        (void) ngx_cpymem(p, "\"}", 3);

        parse(&client, 1, 200, body, NOW, NOW, &buf, &answer);

        tap_ok(answer.result == (len <= NGX_HTTP_IDPAY_MAX_TOKEN ? GRANTED
                                                                 : FAILED)
               && answer.access.len == (answer.result == GRANTED ? len : 0)
               && answer.refresh.len == answer.access.len,
               "two tokens of %d bytes", (int) len);

        free(buf);
        free(body);
    }

    body = malloc(1 << 20);
    memset(body, '[', (1 << 20) - 1);
    body[(1 << 20) - 1] = '\0';

    parse(&client, 1, 200, body, NOW, NOW, &buf, &answer);
    tap_ok(answer.result == FAILED, "1 MB of brackets");
    free(buf);

    /* one byte of the body for the NUL */

    size = (1 << 20) - 1;

    memset(body, '9', size);
    memcpy(body, "{\"access_token\":\"t\",\"expires_in\":", 33);
    body[size - 1] = '}';

    parse(&standard, 0, 200, body, NOW, NOW, &buf, &answer);
    tap_ok(answer.result == GRANTED && answer.life == MAX, "1 MB of digits");
    free(buf);

    memset(body + 33, '0', size - 33);
    body[34] = '.';
    memcpy(body + size - 7, "9e1000}", 7);

    parse(&standard, 0, 200, body, NOW, NOW, &buf, &answer);
    tap_ok(answer.result == GRANTED && answer.life == MIN,
           "1 MB of zeros behind the point");
    free(buf);

    free(body);
}


/* in blocks of just their size: a sanitizer sees what is beyond */

static void
parse(ngx_http_idpay_grant_t *grant, ngx_uint_t spends, ngx_uint_t status,
    char *body, int64_t began, int64_t now, u_char **buf,
    ngx_http_idpay_oauth_answer_t *answer)
{
    ngx_str_t  text;

    text.len = ngx_strlen(body);
    text.data = malloc(text.len);
    memcpy(text.data, body, text.len);

    *buf = malloc(text.len);
    memset(answer, 0xff, sizeof(ngx_http_idpay_oauth_answer_t));

    ngx_http_idpay_oauth_parse(grant, spends, status, &text, began, now, *buf,
                               answer);

    changed += (memcmp(text.data, body, text.len) != 0);

    free(text.data);
}


static ngx_uint_t
same(ngx_str_t *text, char *expected)
{
    return text->len == ngx_strlen(expected)
           && (text->len == 0
               || ngx_memcmp(text->data, expected, text->len) == 0);
}
