
/*
 * Copyright (C) 2026 idpay contributors
 *
 * The store's rows, and what they are sealed with.
 */


#include "../../src/credential/ngx_http_idpay_store_row.c"

#include "store.h"


static void test_rows(void);
static void test_intents(void);
static void test_list(void);
static void test_caps(void);
static void test_sealed(void);
static void test_keys(void);
static void test_damage(void);


static void
test_rows(void)
{
    ngx_http_idpay_store_db_t  db;

    db = create("rows.db", KEY_A, "");

    tap_ok(done(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0)) == NGX_DECLINED,
           "rows: none");
    tap_ok(save(&db, "7", 0, 1, "access one", "refresh one") == NGX_OK
           && has(&db, "7", 1, "access one", "refresh one"), "rows: saved");
    tap_ok(save(&db, "", 0, 1, "application", "") == NGX_OK
           && has(&db, "", 1, "application", ""), "rows: no refresh token");

    tap_ok(save(&db, "7", 2, 3, "no", "no") == NGX_DECLINED
           && has(&db, "7", 1, "access one", "refresh one"),
           "rows: another generation");
    tap_ok(save(&db, "8", 1, 2, "no", "no") == NGX_DECLINED
           && done(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "8", 0)) == NGX_DECLINED,
           "rows: removed in the meantime");
    tap_ok(save(&db, "7", 1, 2, "access two", "refresh two") == NGX_OK
           && save(&db, "7", 1, 2, "loser", "loser") == NGX_DECLINED
           && has(&db, "7", 2, "access two", "refresh two"),
           "rows: the generation is compared and swapped");
    tap_ok(save(&db, "7", 2, UINT64_MAX - 1, "x", "y") == NGX_OK
           && has(&db, "7", UINT64_MAX - 1, "x", "y")
           && save(&db, "7", UINT64_MAX - 1, 5, "x", "y") == NGX_OK
           && has(&db, "7", 5, "x", "y"), "rows: generation of 64 bits");
    tap_ok(save(&db, "7", 0, 6, "again", "y") == NGX_OK
           && has(&db, "7", 6, "again", "y"), "rows: any generation");

    ngx_http_idpay_store_db_close(&db);
    db = set("rows.db", KEY_A, "");

    tap_ok(has(&db, "7", 6, "again", "y"), "rows: after the end");
    tap_ok(done(&db, op(NGX_HTTP_IDPAY_STORE_REMOVE, "7", 0)) == NGX_OK
           && done(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0)) == NGX_DECLINED
           && done(&db, op(NGX_HTTP_IDPAY_STORE_REMOVE, "7", 0)) == NGX_OK
           && has(&db, "", 1, "application", ""), "rows: removed");

    ngx_http_idpay_store_db_close(&db);
}


static void
test_intents(void)
{
    ngx_http_idpay_store_db_t    db;
    ngx_http_idpay_store_op_t    a, b;
    ngx_http_idpay_store_job_t  *job;

    db = create("intents.db", KEY_A, "");
    save(&db, "7", 0, 4, "access", "refresh");

    a = op(NGX_HTTP_IDPAY_STORE_INTEND, "7", 4);
    a.owner = UINT64_MAX;
    a.until = NOW + 1000;

    b = a;
    b.owner = 2;
    b.until = NOW + 5000;

    job = run(&db, a);
    tap_ok(job->op.rc == NGX_OK && job->op.token.refresh.len == 7
           && !job->op.token.doubt, "intents: written, the row is read");
    ngx_http_idpay_store_row_free(job);

    job = run(&db, b);
    tap_ok(job->op.rc == NGX_BUSY && job->op.until == NOW + 1000,
           "intents: another one's has not ended");
    ngx_http_idpay_store_row_free(job);

    tap_ok(done(&db, a) == NGX_OK, "intents: one's own again");

    a.generation = 3;
    job = run(&db, a);
    tap_ok(job->op.rc == NGX_BUSY && job->op.until == 0
           && job->op.token.generation == 4 && job->op.token.access.len == 6,
           "intents: the generation is another one, the row is read");
    ngx_http_idpay_store_row_free(job);
    a.generation = 4;

    tap_ok(done(&db, op(NGX_HTTP_IDPAY_STORE_INTEND, "8", 4)) == NGX_DECLINED,
           "intents: no row");

    b.action = NGX_HTTP_IDPAY_STORE_WITHDRAW;
    tap_ok(done(&db, b) == NGX_DECLINED, "withdraw: not by another one");

    a.action = NGX_HTTP_IDPAY_STORE_WITHDRAW;
    a.generation = 5;
    tap_ok(done(&db, a) == NGX_DECLINED, "withdraw: another generation");

    a.generation = 4;
    tap_ok(done(&db, a) == NGX_OK && done(&db, a) == NGX_DECLINED,
           "withdraw: once");

    b.action = NGX_HTTP_IDPAY_STORE_INTEND;
    job = run(&db, b);
    tap_ok(job->op.rc == NGX_OK && !job->op.token.doubt,
           "intents: after a withdraw, no doubt");
    ngx_http_idpay_store_row_free(job);

    job = run_at(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0), NOW + 4999);
    tap_ok(job->op.rc == NGX_OK && !job->op.token.doubt,
           "doubt: not before the end");
    ngx_http_idpay_store_row_free(job);

    job = run_at(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0), NOW + 5000);
    tap_ok(job->op.rc == NGX_OK && job->op.token.doubt, "doubt: at the end");
    ngx_http_idpay_store_row_free(job);

    a.action = NGX_HTTP_IDPAY_STORE_INTEND;
    a.until = NOW + 9000;
    job = run_at(&db, a, NOW + 5000);
    tap_ok(job->op.rc == NGX_OK && job->op.token.doubt,
           "intents: an ended one is taken over, in doubt");
    ngx_http_idpay_store_row_free(job);

    a.action = NGX_HTTP_IDPAY_STORE_WITHDRAW;
    a.token.gone = 1;
    tap_ok(done(&db, a) == NGX_OK, "withdraw: gone");

    job = run(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0));
    tap_ok(job->op.token.gone && job->op.token.doubt,
           "withdraw: what was written stays");
    ngx_http_idpay_store_row_free(job);

    b.until = NOW + 1;
    tap_ok(done(&db, b) == NGX_OK && save(&db, "7", 4, 5, "c", "d") == NGX_OK,
           "save: by whom has no intent");

    job = run_at(&db, op(NGX_HTTP_IDPAY_STORE_LOAD, "7", 0), NOW + 100000);
    tap_ok(!job->op.token.gone && !job->op.token.doubt,
           "save: ends intents and doubt");
    ngx_http_idpay_store_row_free(job);

    b.generation = 5;
    b.until = NOW + 20000;
    tap_ok(done(&db, b) == NGX_OK, "intents: before the clock is set back");

    a.action = NGX_HTTP_IDPAY_STORE_INTEND;
    a.generation = 5;
    a.until = NOW - 3600000 + 20000;
    job = run_at(&db, a, NOW - 3600000);
    tap_ok(job->op.rc == NGX_OK && job->op.token.doubt,
           "intents: one of a clock that was set back has ended, in doubt");
    ngx_http_idpay_store_row_free(job);

    ngx_http_idpay_store_db_close(&db);
}


static void
test_list(void)
{
    char                          profile[32];
    ngx_uint_t                    i, n;
    ngx_http_idpay_store_op_t     o;
    ngx_http_idpay_store_db_t     db;
    ngx_http_idpay_store_job_t   *job;
    ngx_http_idpay_store_item_t  *item;

    db = create("list.db", KEY_A, "");

    for (i = 0; i < 30; i++) {
        (void) snprintf(profile, sizeof(profile), "%d",
                        (int) (i * 7919 % 30 * 50));
        save(&db, profile, 0, i + 1, "access", "");
    }

    save(&db, "", 0, 1, "application", "");
    ngx_http_idpay_store_db_close(&db);

    sql("list.db", "WITH RECURSIVE n(i) AS (SELECT 2000 UNION ALL SELECT i + 1 "
                   "FROM n WHERE i < 3199) "
                   "INSERT INTO tokens SELECT 'gopay', length(i), i, 9, 8, 7, "
                   "1, 0, 0, 0, x'00', x'00' FROM n; "
                   "INSERT INTO tokens VALUES ('other', 1, '5', 1, 1, 1, 0, 0, "
                   "0, 0, x'00', x'00')");

    o = op(NGX_HTTP_IDPAY_STORE_LIST, "", 0);
    job = run(&db, o);

    tap_ok(job->op.rc == NGX_OK
           && job->op.nitems == NGX_HTTP_IDPAY_STORE_MAX_LIST, "list: a part");

    n = 0;
    item = job->op.items;

    for (i = 0; i < job->op.nitems; i++) {
        n += (i < 30) ? ngx_atoi(item[i].profile, item[i].len)
                        == (ngx_int_t) (i * 50)
                      : ngx_atoi(item[i].profile, item[i].len)
                        == (ngx_int_t) (2000 + i - 30);
    }

    tap_ok(n == NGX_HTTP_IDPAY_STORE_MAX_LIST, "list: in order");
    tap_ok(item[0].expires == 1700003600 && item[0].updated == NOW / 1000
           && item[0].generation == 1 && !item[0].gone && item[999].gone
           && item[999].generation == 9, "list: what is told of a row");

    o.profile.data = item[999].profile;
    o.profile.len = item[999].len;

    ngx_http_idpay_store_row_free(run(&db, o));
    ngx_http_idpay_store_row_free(job);

    o.profile = str("2969");
    job = run(&db, o);
    tap_ok(job->op.rc == NGX_OK && job->op.nitems == 230
           && ngx_atoi(job->op.items[0].profile, 4) == 2970, "list: the rest");
    ngx_http_idpay_store_row_free(job);

    o.provider = str("nobody");
    job = run(&db, o);
    tap_ok(job->op.rc == NGX_OK && job->op.nitems == 0, "list: nothing");
    ngx_http_idpay_store_row_free(job);

    ngx_http_idpay_store_db_close(&db);
}


static void
test_caps(void)
{
    char                       *text, *more;
    ngx_http_idpay_store_db_t   db;

    db = create("caps.db", KEY_A, "");

    text = malloc(NGX_HTTP_IDPAY_MAX_TOKEN + 2);
    ngx_memset(text, 't', NGX_HTTP_IDPAY_MAX_TOKEN + 1);
    text[NGX_HTTP_IDPAY_MAX_TOKEN] = '\0';

    tap_ok(save(&db, "7", 0, 1, text, text) == NGX_OK
           && has(&db, "7", 1, text, text), "caps: the longest tokens");

    more = malloc(NGX_HTTP_IDPAY_MAX_TOKEN + 2);
    ngx_memset(more, 't', NGX_HTTP_IDPAY_MAX_TOKEN + 1);
    more[NGX_HTTP_IDPAY_MAX_TOKEN + 1] = '\0';

    tap_ok(save(&db, "7", 0, 2, more, "x") == NGX_ERROR
           && ngx_strstr(db.error, "has no room for a token of 8193 and 1")
           && save(&db, "7", 0, 2, "x", more) == NGX_ERROR
           && has(&db, "7", 1, text, text), "caps: longer ones");
    tap_ok(save(&db, "01234567890123456789012345678901", 0, 2, "a", "b")
           == NGX_OK
           && save(&db, "012345678901234567890123456789012", 0, 2, "a", "b")
              == NGX_ERROR, "caps: profiles");

    ngx_http_idpay_store_db_close(&db);
    free(text);
    free(more);
}


static void
test_sealed(void)
{
    struct stat                st;
    ngx_http_idpay_store_db_t  db;

    db = create("sealed.db", KEY_A, "");

    tap_ok(stat(name("sealed.db"), &st) == 0 && (st.st_mode & 0777) == 0600,
           "sealed: 0600");

    save(&db, "7", 0, 1, "AccessTokenInTheClear", "RefreshTokenInTheClear");

    tap_ok(exists("sealed.db-wal")
           && stat(name("sealed.db-wal"), &st) == 0
           && (st.st_mode & 0777) == 0600, "sealed: the log, too");
    tap_ok(!found("AccessTokenInTheClear") && !found("RefreshTokenInTheClear")
           && !found("TokenInThe") && !found(KEY_A) && found("gopay"),
           "sealed: no token in any file");

    save(&db, "7", 1, 2, "AccessTokenInTheClear", "RefreshTokenInTheClear");
    done(&db, op(NGX_HTTP_IDPAY_STORE_REMOVE, "7", 0));
    ngx_http_idpay_store_db_close(&db);

    tap_ok(!exists("sealed.db-wal") && !found("TokenInThe"),
           "sealed: neither when it is closed");
}


static void
test_keys(void)
{
    u_char                     *before, *after;
    size_t                      n, m;
    ngx_http_idpay_store_db_t   db;

    db = create("keys.db", KEY_A, "");
    save(&db, "1", 0, 1, "one", "first");
    save(&db, "2", 0, 1, "two", "second");
    ngx_http_idpay_store_db_close(&db);

    n = contents("keys.db", &before);

    db = set("keys.db", KEY_B, "");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_CREATE,
                 "is sealed with another key: it knows")
           && fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST, "another key")
           && load_fails(&db, "1", "another key"), "keys: a wrong one");

    db = set("keys.db", KEY_B, KEY_C);
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "another key"),
           "keys: two wrong ones");

    db = set("keys.db", KEY_B, KEY_A);
    tap_ok(ngx_http_idpay_store_db_open(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST)
           == NGX_OK, "keys: the former one, a test");
    ngx_http_idpay_store_db_close(&db);

    m = contents("keys.db", &after);
    tap_ok(n == m && ngx_memcmp(before, after, n) == 0,
           "keys: nothing has been written");
    free(before);
    free(after);

    tap_ok(has(&db, "1", 1, "one", "first"), "keys: the former one opens");
    tap_ok(save(&db, "1", 1, 2, "uno", "primo") == NGX_OK
           && has(&db, "1", 2, "uno", "primo"), "keys: saved");

    /* while it is open, so that the file itself is what is tested */

    tap_ok(exists("keys.db-wal"), "keys: in use");

    ngx_http_idpay_store_db_close(&db);
    db = set("keys.db", KEY_B, "");

    tap_ok(ngx_http_idpay_store_db_open(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST)
           == NGX_OK, "keys: without the former one, a test");
    ngx_http_idpay_store_db_close(&db);

    tap_ok(has(&db, "1", 2, "uno", "primo")
           && load_fails(&db, "2", "has its row sealed with key ")
           && has(&db, "1", 2, "uno", "primo"),
           "keys: a row of neither, the others are there");
    ngx_http_idpay_store_db_close(&db);

    db = set("keys.db", KEY_A, "");
    tap_ok(has(&db, "2", 1, "two", "second"), "keys: it was left alone");
    ngx_http_idpay_store_db_close(&db);
}


static void
test_damage(void)
{
    ngx_http_idpay_store_db_t  db;

    db = create("damage.db", KEY_A, "");
    save(&db, "1", 0, 1, "access one", "refresh one");
    save(&db, "2", 0, 1, "access two", "refresh two");
    save(&db, "3", 0, 1, "access three", "refresh three");
    save(&db, "4", 0, 1, "access four", "refresh four");
    save(&db, "5", 0, 1, "access five", "refresh five");
    ngx_http_idpay_store_db_close(&db);

    sql("damage.db", "UPDATE tokens SET sealed = (SELECT sealed FROM tokens "
                     "WHERE profile = '1') WHERE profile = '2'");
    tap_ok(load_fails(&db, "2", "has its row damaged"),
           "damage: of another profile");

    sql("damage.db", "UPDATE tokens SET provider = 'other' "
                     "WHERE profile = '1'; "
                     "UPDATE tokens SET provider = 'gopay', len = 2, "
                     "profile = '11' WHERE provider = 'other'");
    tap_ok(load_fails(&db, "11", "has its row damaged"), "damage: moved");

    sql("damage.db", "UPDATE tokens SET generation = 2 WHERE profile = '3'");
    tap_ok(load_fails(&db, "3", "has its row damaged"),
           "damage: of another generation");

    sql("damage.db", "UPDATE tokens SET sealed = zeroblob(60) "
                     "WHERE profile = '4'");
    tap_ok(load_fails(&db, "4", "has its row damaged"), "damage: zeros");

    sql("damage.db", "UPDATE tokens SET sealed = x'00' WHERE profile = '4'");
    tap_ok(load_fails(&db, "4", "has its row damaged"), "damage: too short");

    sql("damage.db", "UPDATE tokens SET sealed = zeroblob(1000000) "
                     "WHERE profile = '4'");
    tap_ok(load_fails(&db, "4", "has its row damaged"), "damage: too long");

    sql("damage.db", "UPDATE tokens SET key = x'' WHERE profile = '4'");
    tap_ok(load_fails(&db, "4", "has its row sealed with key ,"),
           "damage: no key");

    tap_ok(save(&db, "4", 0, 7, "new", "new") == NGX_OK
           && has(&db, "4", 7, "new", "new")
           && has(&db, "5", 1, "access five", "refresh five"),
           "damage: a new consent heals");
    ngx_http_idpay_store_db_close(&db);

    sql("damage.db", "UPDATE keys SET sealed = zeroblob(36)");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "is damaged"),
           "damage: of the key's test");

    sql("damage.db", "DELETE FROM keys");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "another key"),
           "damage: no key is known");

    sql("damage.db", "PRAGMA user_version=2");
    tap_ok(fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_USE, "is of version 2, this")
           && fails(&db, NGX_HTTP_IDPAY_STORE_OPEN_TEST, "is of version 2"),
           "a newer version");
}


int ngx_cdecl
main(int argc, char *const *argv)
{
    begin();

    test_rows();
    test_intents();
    test_list();
    test_caps();
    test_sealed();
    test_keys();
    test_damage();

    return end();
}
