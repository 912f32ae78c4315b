
/*
 * Copyright (C) 2026 idpay contributors
 */


/*
 * The sanitizers' settings, linked into build/asan/nginx.  All three functions
 * are called by the sanitizers' runtime library.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_channel.h>


int __lsan_is_turned_off(void);
const char *__lsan_default_suppressions(void);
const char *__ubsan_default_options(void);


/*
 * A process that fails to start, only tests a configuration, or goes to the
 * background leaves its first pool as it is.  Leaks count in the others: those
 * that were told to end.
 */

int
__lsan_is_turned_off(void)
{
    return !(ngx_quit || ngx_terminate || ngx_exiting);
}


/*
 * What nginx itself never frees: the PCRE2 compile context of a configuration,
 * and the TLS session it keeps for each upstream peer.  Of the latter only the
 * library that allocated it is known, since that has no frame pointers.
 */

const char *
__lsan_default_suppressions(void)
{
    return "leak:ngx_regex_malloc\nleak:libcrypto.so\n";
}


const char *
__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}
