
/*
 * Copyright (C) 2026 idpay contributors
 *
 * Events of the last ten slots: exact bounds, stale slots, numbers that begin
 * anew, and several processes at one window.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "../../src/policy/ngx_http_idpay_window.c"

#include "tap.h"


/* the same once more with words of 32 bits, whose numbers soon begin anew */

#undef NGX_PTR_SIZE
#define NGX_PTR_SIZE  4

#define ngx_http_idpay_window_add    narrow_add
#define ngx_http_idpay_window_sum    narrow_sum
#define ngx_http_idpay_window_first  narrow_first
#define ngx_http_idpay_window_slot   narrow_slot
#define ngx_http_idpay_window_count  narrow_count

void narrow_add(ngx_http_idpay_window_t *window, ngx_msec_t at,
    ngx_msec_t slot);
ngx_uint_t narrow_sum(ngx_http_idpay_window_t *window, ngx_msec_t now,
    ngx_msec_t slot);
ngx_msec_t narrow_first(ngx_http_idpay_window_t *window, ngx_msec_t now,
    ngx_msec_t slot);

#include "../../src/policy/ngx_http_idpay_window.c"

#undef ngx_http_idpay_window_add
#undef ngx_http_idpay_window_sum
#undef ngx_http_idpay_window_first
#undef ngx_http_idpay_window_slot
#undef ngx_http_idpay_window_count


#define PROCESSES  8
#define EVENTS     50000


static struct {
    char        *name;
    ngx_msec_t   slot;
    ngx_msec_t   at[8];
    ngx_msec_t   now;
    ngx_uint_t   sum;
    ngx_msec_t   first;
} cases[] = {
    { "nothing", 1000, { 0 }, 50000, 0, 50000 },
    { "the same ms", 1000, { 50000 }, 50000, 1000, 50000 },
    { "one slot", 1000, { 50001, 50500, 50999 }, 50999, 3000, 50000 },
    { "two slots", 1000, { 49999, 50000 }, 50000, 2000, 49000 },
    { "nine slots ago", 1000, { 41000 }, 50999, 1000, 41000 },
    { "oldest, all of it", 1000, { 40000 }, 50000, 1000, 40000 },
    { "oldest, but a ms", 1000, { 40999 }, 50001, 999, 40000 },
    { "oldest, a half", 1000, { 40000, 40999 }, 50500, 1000, 40000 },
    { "oldest, the last ms", 1000, { 40000 }, 50999, 1, 40000 },
    { "over", 1000, { 40999 }, 51000, 0, 51000 },
    { "of a third", 3, { 3000, 3001, 3002 }, 3031, 2000, 3000 },
    { "of a third, rounded down", 3, { 3000 }, 3032, 333, 3000 },
    { "slots of 1 ms", 1, { 90, 91, 100 }, 100, 3000, 90 },
    { "slots of 1 ms, over", 1, { 89, 90, 91 }, 101, 1000, 91 },
    { "both ends", 1000, { 40100, 50100 }, 50250, 1750, 40000 },
    { "a gap", 1000, { 43000, 50000 }, 50000, 2000, 43000 },
    { "ahead of now", 1000, { 50000, 51000 }, 50999, 1000, 50000 },
    { "ahead, the oldest stays", 1000, { 40000, 51000 }, 50500, 500, 40000 },
    { "ahead by a ring", 1000, { 62000, 50000 }, 50000, 0, 50000 },
    { "ahead by a ring, the newer", 1000, { 62000, 50000 }, 62000, 1000,
      62000 },
    { "after a ring", 1000, { 50000, 62000 }, 62000, 1000, 62000 },
    { "two rings", 1000, { 50000, 50000, 62000, 74000 }, 74000, 1000, 74000 },
    { "out of order", 1000, { 50000, 45000, 49000, 41000 }, 50000, 4000,
      41000 },
    { "at the beginning of time", 86400000, { 5, 10 }, 20, 2000, 0 }
};


static void test_cases(void);
static void test_model(void);
static void test_full(void);
static void test_round(void);
static void test_narrow(void);
static void test_processes(void);
static void hammer(ngx_http_idpay_window_t *window, volatile int *go);


int ngx_cdecl
main(int argc, char *const *argv)
{
    test_cases();
    test_model();
    test_full();
    test_round();
    test_narrow();
    test_processes();

    return tap_done();
}


static void
test_cases(void)
{
    ngx_msec_t                first;
    ngx_uint_t                i, n, sum;
    ngx_http_idpay_window_t   window;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

        for (n = 0; n < 8 && cases[i].at[n]; n++) {
            ngx_http_idpay_window_add(&window, cases[i].at[n], cases[i].slot);
        }

        sum = ngx_http_idpay_window_sum(&window, cases[i].now, cases[i].slot);
        first = ngx_http_idpay_window_first(&window, cases[i].now,
                                            cases[i].slot);

        tap_ok(sum == cases[i].sum && first == cases[i].first,
               "%s: %d since %d", cases[i].name, (int) sum, (int) first);
    }
}


/* random events, counted one by one */

static void
test_model(void)
{
    ngx_msec_t                at[400], now, slot, first, start;
    ngx_uint_t                i, n, age, good, full, oldest;
    ngx_http_idpay_window_t   window;

    good = 1;
    srandom(1);

    for (i = 0; i < 300; i++) {
        ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

        slot = 1 + random() % 50;
        now = 100000 + random() % 1000;

        for (n = 0; n < 400; n++) {
            at[n] = now;
            ngx_http_idpay_window_add(&window, now, slot);

            now += random() % (n % 100 ? 2 * slot / 10 + 2 : 20 * slot);

            full = 0;
            oldest = 0;
            first = now;

            for (age = 0; age <= n; age++) {
                start = at[n - age] / slot;

                if (now / slot - start < 10) {
                    full++;

                } else if (now / slot - start == 10) {
                    oldest++;

                } else {
                    break;
                }

                first = start * slot;
            }

            full = full * 1000 + oldest * 1000 * (slot - now % slot) / slot;

            if (ngx_http_idpay_window_sum(&window, now, slot) != full
                || ngx_http_idpay_window_first(&window, now, slot) != first)
            {
                good = 0;
            }
        }
    }

    tap_ok(good, "random events");
}


static void
test_full(void)
{
    ngx_uint_t                i;
    ngx_atomic_uint_t         max;
    ngx_http_idpay_window_t   window;

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    max = ((ngx_atomic_uint_t) 1 << 32) - 1;
    window.slots[7] = ((ngx_atomic_uint_t) 7 << 32) + max - 1;

    for (i = 0; i < 3; i++) {
        ngx_http_idpay_window_add(&window, 7000, 1000);
    }

    tap_ok(window.slots[7] == ((ngx_atomic_uint_t) 7 << 32) + max,
           "a full count stays full");
    tap_ok(ngx_http_idpay_window_sum(&window, 7000, 1000) == max * 1000,
           "the sum of a full count");

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    for (i = 0; i < NGX_HTTP_IDPAY_WINDOW + 2; i++) {
        narrow_add(&window, 120000 + i * 1000, 1000);
        window.slots[i] |= 0xffff;
    }

    tap_ok(narrow_sum(&window, 131000, 1000) == (ngx_uint_t) 11 * 0xffff * 1000,
           "the sum of full counts of 16 bits");
}


/* ms that begin anew: an event may be lost, and none comes back */

static void
test_round(void)
{
    ngx_msec_t                at;
    ngx_http_idpay_window_t   window;

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    /* slots of a length that 2^64 is a multiple of */

    ngx_http_idpay_window_add(&window, (ngx_msec_t) -1, 1024);
    ngx_http_idpay_window_add(&window, 0, 1024);

    tap_ok(ngx_http_idpay_window_sum(&window, 1023, 1024) == 2000,
           "both sides of the end of ms");
    tap_ok(ngx_http_idpay_window_first(&window, 1023, 1024)
           == (ngx_msec_t) -1024, "the first of them");

    tap_ok(ngx_http_idpay_window_sum(&window, 9 * 1024 + 512, 1024) == 1500,
           "the one before is half over");
    tap_ok(ngx_http_idpay_window_sum(&window, 10 * 1024, 1024) == 1000,
           "the one before is over");

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    for (at = (ngx_msec_t) -20000; at != 30000; at += 100) {
        ngx_http_idpay_window_add(&window, at, 1000);

        if (ngx_http_idpay_window_sum(&window, at, 1000) > 101 * 1000) {
            break;
        }
    }

    tap_ok(at == 30000, "never too many at the end of ms");
    tap_ok(ngx_http_idpay_window_sum(&window, 29900, 1000) == 100 * 1000 + 1000,
           "all again, later");
}


static void
test_narrow(void)
{
    ngx_msec_t                at;
    ngx_uint_t                good;
    ngx_http_idpay_window_t   window;

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    good = 1;

    for (at = 65500 * 1000; at < 65600 * 1000; at += 500) {
        narrow_add(&window, at, 1000);

        if (at >= 65520 * 1000 && narrow_sum(&window, at, 1000) != 21000) {
            good = 0;
        }
    }

    tap_ok(good, "numbers begin anew");

    /* 65544 is a multiple of 12: the same word, and a number ahead by 8 */

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    narrow_add(&window, 24, 1);
    narrow_add(&window, 24 + 65544, 1);

    tap_ok(narrow_sum(&window, 24 + 65544, 1) == 1000
           && narrow_first(&window, 24 + 65544, 1) == 24 + 65544,
           "a stale count that looks a little older");

    narrow_add(&window, 24 + 65544 + 60000, 1);

    tap_ok(narrow_sum(&window, 24 + 65544 + 60000, 1) == 1000,
           "a stale count that looks much newer");

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    narrow_add(&window, 1200000, 1);
    narrow_add(&window, 1200000 - 252, 1);

    tap_ok(narrow_sum(&window, 1200000 - 252, 1) == 0
           && narrow_sum(&window, 1200000, 1) == 1000,
           "an old event does not replace a new one");

    /* a zeroed word has the number 0, and counts nothing */

    ngx_memzero(&window, sizeof(ngx_http_idpay_window_t));

    narrow_add(&window, 65528, 1);

    tap_ok(narrow_sum(&window, 65528, 1) == 1000, "a word not yet used");
}


static void
test_processes(void)
{
    int                       status;
    pid_t                     pids[PROCESSES];
    u_char                   *shared;
    ngx_uint_t                i, sum, good;
    volatile int             *go;
    ngx_http_idpay_window_t  *window;

    shared = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1,
                  0);
    if (shared == MAP_FAILED) {
        tap_ok(0, "no shared memory");
        return;
    }

    window = (ngx_http_idpay_window_t *) shared;
    go = (volatile int *) (shared + 2048);

    /* each slot is first to be taken from an older one */

    for (i = 0; i < NGX_HTTP_IDPAY_WINDOW + 2; i++) {
        ngx_http_idpay_window_add(window, 1200 + i * 100, 100);
    }

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            hammer(window, go);
        }
    }

    *go = 1;
    good = 1;

    for (i = 0; i < PROCESSES; i++) {
        if (pids[i] == -1
            || waitpid(pids[i], &status, 0) != pids[i]
            || status != 0)
        {
            good = 0;
        }
    }

    sum = ngx_http_idpay_window_sum(window, 12999, 100);

    tap_ok(good && sum == PROCESSES * EVENTS * 1000,
           "%d events of %d processes: %d", PROCESSES * EVENTS, PROCESSES,
           (int) (sum / 1000));

    munmap(shared, 4096);
}


static void
hammer(ngx_http_idpay_window_t *window, volatile int *go)
{
    ngx_uint_t  i;

    while (*go == 0) {
        ngx_cpu_pause();
    }

    for (i = 0; i < EVENTS; i++) {
        ngx_http_idpay_window_add(window, 12000 + i * 1000 / EVENTS, 100);
    }

    _exit(0);
}
