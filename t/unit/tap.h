
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The Test Anything Protocol for unit tests.
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdio.h>


static int  tap_tests, tap_failed;


#define tap_ok(condition, ...)                                                \
    do {                                                                      \
        int  tap_result = !!(condition);                                      \
                                                                              \
        tap_failed += !tap_result;                                            \
        printf("%sok %d - ", tap_result ? "" : "not ", ++tap_tests);          \
        printf(__VA_ARGS__);                                                  \
        printf("\n");                                                         \
                                                                              \
        if (!tap_result) {                                                    \
            printf("# at %s:%d: %s\n", __FILE__, __LINE__, #condition);       \
        }                                                                     \
    } while (0)


static int
tap_done(void)
{
    printf("1..%d\n", tap_tests);

    return tap_failed != 0;
}


#endif /* _TAP_H_INCLUDED_ */
