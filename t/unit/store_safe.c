
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The store among others: their files, their locks, their ends.
 */


#include "../../src/credential/ngx_http_idpay_store_row.c"

#include <sys/wait.h>

#include "store.h"


#define KILLS  50
#define ROWS   100000


static void test_files(void);
static void test_full(void);
static void test_race(void);
static void racer(ngx_uint_t intend, int fd);
static void test_kill(void);
static void victim(int fd);
static void test_many(void);
static double opening(ngx_http_idpay_store_db_t *db, int64_t *memory);


static void
test_files(void)
{
    int                         fd, status;
    pid_t                       pid;
    size_t                      n;
    u_char                     *before, *after;
    ngx_http_idpay_store_db_t   db, live;

    sql("foreign.db", "CREATE TABLE t (a); INSERT INTO t VALUES ('theirs')");
    n = contents("foreign.db", &before);

    db = set("foreign.db", KEY_A, "");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_CREATE, "another application's")
           && fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST, "another application"),
           "files: a foreign database");
    tap_ok(contents("foreign.db", &after) == n
           && ngx_memcmp(before, after, n) == 0
           && !exists("foreign.db-wal") && !exists("foreign.db-journal"),
           "files: it is left as it is");
    free(before);
    free(after);

    fd = open(name("text.db"), O_CREAT|O_WRONLY, 0600);
    tap_ok(write(fd, dir, sizeof(dir)) == sizeof(dir), "files: a text");
    close(fd);

    db = set("text.db", KEY_A, "");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_CREATE, "not a database")
           && fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST, "not a database"),
           "files: is no database");
    tap_ok(contents("text.db", &after) == sizeof(dir)
           && ngx_memcmp(dir, after, sizeof(dir)) == 0
           && !exists("text.db-wal"), "files: it is left as it is");
    free(after);

    db = set("none.db", KEY_A, "");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_CREATE, "unable to open")
           && fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "No such file")
           && !exists("none.db"), "files: none is made");

    fd = open(name("empty.db"), O_CREAT|O_WRONLY, 0600);
    close(fd);

    db = set("empty.db", KEY_A, "");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "is empty")
           && ngx_http_idpay_store_db_open(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST)
              == NGX_OK
           && contents("empty.db", &after) == 0, "files: an empty one");
    free(after);
    ngx_http_idpay_store_db_close(&db);

    /* a name that means something in a URI */

    live = create("a?b#c%41 d.db", KEY_A, "");
    tap_ok(ngx_http_idpay_store_db_open(&live, NGX_HTTP_IDPAY_STORE_OPEN_TEST)
           == NGX_OK, "files: a strange name");
    ngx_http_idpay_store_db_close(&live);
    tap_ok(!exists("a?b#c%41 d.db-wal") && !exists("a?b#c%41 d.db-shm"),
           "files: a test makes none");

    live = create("live.db", KEY_A, "");
    save(&live, "1", 0, 1, "one", "first");

    tap_ok(chmod(name("live.db"), 0400) == 0, "files: read only");

    pid = fork();

    if (pid == 0) {
        if (geteuid() == 0 && (chown(name("live.db"), 65534, 65534) == -1
                               || setgid(65534) == -1 || setuid(65534) == -1))
        {
            _exit(9);
        }

        db = set("live.db", KEY_A, "");
        _exit(ngx_http_idpay_store_db_open(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE)
              == NGX_ERROR
              && (ngx_strstr(db.error, "can only be read")
                  || ngx_strstr(db.error, "failed: ")) ? 3 : 4);
    }

    tap_ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status)
           && WEXITSTATUS(status) == 3, "files: for who may not write");
    tap_ok(chmod(name("live.db"), 0600) == 0, "files: writable again");

    /* under the open database */

    db = create("other.db", KEY_A, "");
    save(&db, "1", 0, 9, "other", "other");
    ngx_http_idpay_store_db_close(&db);

    tap_ok(rename(name("live.db"), name("old.db")) == 0
           && load_fails(&live, "1", "has been moved"), "files: moved away");
    tap_ok(rename(name("other.db"), name("live.db")) == 0
           && load_fails(&live, "1", "has been moved"), "files: replaced");
    tap_ok(rename(name("old.db"), name("live.db")) == 0
           && has(&live, "1", 1, "one", "first"), "files: put back");
    ngx_http_idpay_store_db_close(&live);
}


static void
test_full(void)
{
    char                        text[4001];
    char                        profile[16];
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_idpay_store_db_t   db;

    db = create("full.db", KEY_A, "");
    save(&db, "1", 0, 1, "one", "first");

    ngx_http_idpay_sqlite_exec(db.sqlite, "PRAGMA max_page_count=30");

    ngx_memset(text, 'f', 4000);
    text[4000] = '\0';

    for (i = 2; i < 100; i++) {
        (void) snprintf(profile, sizeof(profile), "%d", (int) i);
        rc = save(&db, profile, 0, 1, text, text);

        if (rc != NGX_OK) {
            break;
        }
    }

    tap_ok(rc == NGX_ERROR && i > 5 && i < 100
           && ngx_strstr(db.error, "database or disk is full (13)"),
           "full: an error");

    (void) snprintf(profile, sizeof(profile), "%d", (int) i - 1);

    tap_ok(has(&db, profile, 1, text, text) && has(&db, "1", 1, "one", "first"),
           "full: what was saved is there");

    (void) snprintf(profile, sizeof(profile), "%d", (int) i);

    tap_ok(done(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, profile, 0)) == NGX_DECLINED
           && save(&db, profile, 0, 1, text, text) == NGX_OK
           && has(&db, profile, 1, text, text), "full: room again");

    ngx_http_idpay_store_db_close(&db);
}


static void
test_race(void)
{
    int                          fd[2], status;
    pid_t                        pids[3];
    ngx_uint_t                   i, n, intend;
    uint64_t                     wins, sum;
    ngx_http_idpay_store_db_t    db;
    ngx_http_idpay_store_job_t  *job;

    for (intend = 0; intend < 2; intend++) {
        db = create("race.db", KEY_A, "");
        save(&db, "7", 0, 1, "access", "refresh");
        ngx_http_idpay_store_db_close(&db);

        if (pipe(fd) == -1) {
            return;
        }

        for (i = 0; i < 3; i++) {
            pids[i] = fork();

            if (pids[i] == 0) {
                racer(intend, fd[1]);
            }
        }

        close(fd[1]);
        n = 0;
        sum = 0;

        while (read(fd[0], &wins, sizeof(wins)) == sizeof(wins)) {
            sum += wins;
        }

        for (i = 0; i < 3; i++) {
            n += waitpid(pids[i], &status, 0) == pids[i] && status == 0;
        }

        close(fd[0]);

        job = run(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0));
        printf("# generation %d, %d wins\n", (int) job->op.token.generation,
               (int) sum);

        if (intend) {
            tap_ok(n == 3 && sum == 1, "race: one intent");

        } else {
            tap_ok(n == 3 && sum && job->op.token.generation == 1 + sum,
                   "race: as many generations as who has won");
        }

        ngx_http_idpay_store_row_free(job);
        ngx_http_idpay_store_db_close(&db);
        unlink(name("race.db"));
    }
}


static void
racer(ngx_uint_t intend, int fd)
{
    ngx_int_t                     rc;
    uint64_t                      wins, generation;
    ngx_uint_t                    i;
    ngx_http_idpay_store_op_t     o;
    ngx_http_idpay_store_db_t     db;
    ngx_http_idpay_store_job_t   *job;

    db = set("race.db", KEY_A, "");
    wins = 0;

    for (i = 0; i < (intend ? 1 : 60); i++) {

        if (intend) {
            o = op(NGX_HTTP_IDPAY_STORE_INTEND, "7", 1);
            o.owner = ngx_getpid();
            o.until = NOW + 1;
            rc = done(&db, o);

        } else {
            job = run(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0));
            generation = job->op.token.generation;
            ngx_http_idpay_store_row_free(job);

            rc = save(&db, "7", generation, generation + 1, "a", "b");
        }

        wins += (rc == NGX_OK);

        if (rc == NGX_ERROR) {
            printf("# %s\n", db.error);
            fflush(stdout);
            _exit(1);
        }
    }

    ngx_http_idpay_store_db_close(&db);
    _exit(write(fd, &wins, sizeof(wins)) == sizeof(wins) ? 0 : 1);
}


static void
test_kill(void)
{
    int                         fd[2];
    char                        profile[2], access[32];
    pid_t                       pid;
    uint64_t                    last[8], said[2];
    ngx_uint_t                  i, k, lost, total;
    ngx_http_idpay_store_db_t   db;
    ngx_http_idpay_store_job_t *job;

    db = create("kill.db", KEY_A, "");
    ngx_memzero(last, sizeof(last));
    srandom(42);
    lost = 0;
    total = 0;

    for (i = 0; i < KILLS; i++) {

        if (pipe(fd) == -1) {
            return;
        }

        pid = fork();

        if (pid == 0) {
            victim(fd[1]);
        }

        close(fd[1]);
        usleep(5000 + random() % 60000);
        kill(pid, SIGKILL);

        while (read(fd[0], said, sizeof(said)) == sizeof(said)) {
            last[said[0]] = said[1];
            total++;
        }

        close(fd[0]);
        waitpid(pid, NULL, 0);

        for (k = 0; k < 8; k++) {
            profile[0] = '0' + k;
            profile[1] = '\0';

            job = run(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, profile, 0));

            (void) snprintf(access, sizeof(access), "access %llu",
                            (unsigned long long) job->op.token.generation);

            if (last[k] > job->op.token.generation
                || (last[k] && job->op.rc != NGX_OK)
                || job->op.rc == NGX_ERROR
                || (job->op.rc == NGX_OK
                    && (job->op.token.access.len != ngx_strlen(access)
                        || ngx_memcmp(job->op.token.access.data, access,
                                      ngx_strlen(access)) != 0)))
            {
                lost++;
            }

            ngx_http_idpay_store_row_free(job);
        }

        /* sometimes the next one finds what nobody has open */

        if (i % 2) {
            ngx_http_idpay_store_db_close(&db);
        }
    }

    printf("# %d saved\n", (int) total);
    tap_ok(lost == 0 && total > KILLS, "kill: all that was said is there");

    ngx_http_idpay_store_db_close(&db);
}


static void
victim(int fd)
{
    char                        profile[2], access[32];
    uint64_t                    said[2], generation;
    ngx_http_idpay_store_db_t   db;
    ngx_http_idpay_store_job_t *job;

    db = set("kill.db", KEY_A, "");
    profile[1] = '\0';
    said[0] = 0;

    for ( ;; ) {
        profile[0] = '0' + said[0];

        job = run(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, profile, 0));
        generation = job->op.token.generation;
        ngx_http_idpay_store_row_free(job);

        said[1] = generation + 1;
        (void) snprintf(access, sizeof(access), "access %llu",
                        (unsigned long long) said[1]);

        if (save(&db, profile, generation, said[1], access, "r") != NGX_OK
            || write(fd, said, sizeof(said)) != sizeof(said))
        {
            _exit(1);
        }

        said[0] = (said[0] + 1) % 8;
    }
}


static void
test_many(void)
{
    double                     none, many;
    int64_t                    less, more;
    ngx_http_idpay_store_db_t  db;

    db = create("many.db", KEY_A, "");
    none = opening(&db, &less);

    sql("many.db", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                   "FROM n WHERE i < " ngx_value(ROWS) ") "
                   "INSERT INTO tokens SELECT 'gopay', length(i), i, 9, 8, 7, "
                   "1, 0, 0, 0, x'00', randomblob(1200) FROM n");
    many = opening(&db, &more);

    printf("# opened in %.2f ms without rows, %.2f ms with " ngx_value(ROWS)
           "; %d and %d bytes of memory\n", none, many, (int) less, (int) more);

    tap_ok(many < none * 5 + 20, "many: opened as fast");
    tap_ok(more < less + 1000000, "many: in as much memory");

    unlink(name("many.db"));
}


/* ms of the fastest of some, and what SQLite holds then */

static double
opening(ngx_http_idpay_store_db_t *db, int64_t *memory)
{
    double           ms, best;
    ngx_uint_t       i;
    struct timespec  a, b;

    best = 1e9;

    for (i = 0; i < 10; i++) {
        clock_gettime(CLOCK_MONOTONIC, &a);

        if (done(db, op(NGX_HTTP_IDPAY_STORE_LOAD, "none", 0))
            != NGX_DECLINED)
        {
            return 1e9;
        }

        clock_gettime(CLOCK_MONOTONIC, &b);

        *memory = sqlite3_memory_used();
        ngx_http_idpay_store_db_close(db);

        ms = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
        best = ngx_min(best, ms);
    }

    return best;
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    begin();

    test_files();
    test_full();
    test_race();
    test_kill();
    test_many();

    return end();
}
