// The archive: what goes in comes out, a killed writer loses nothing, damage and a full disk are clear errors, two writers are refused.
#include "store/store.h"
#include <sqlite3.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const char task_text[] =
    "#pragma hone size N=1024\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n"
    "#pragma hone launch k<<<cdiv(N,256),256>>>(a,b,N)\n"
    "extern \"C\" __global__ void k(const float *a, float *b, int n) {\n  int i = blockIdx.x*blockDim.x+threadIdx.x;\n"
    "  if (i < n) b[i] = 2.0f * a[i];\n}\n";
static const char outcome_json[] =
    "{\"schema\":\"hone.outcome/1\",\"verdict\":\"fail\",\"findings\":[{\"kind\":\"memory.out-of-bounds\",\"stage\":\"sanitize\","
    "\"message\":\"reads behind a\"}],\"time\":{\"sizes\":[{\"pair\":{\"a_samples_us\":[1.5,2.5],\"b_samples_us\":[1.25]}}]}}";

static int setup(void **state) {
    char path[] = "/tmp/hone-store-XXXXXX";
    char *dir = mkdtemp(path);
    *state = dir ? strdup(dir) : NULL;
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    int rc = system(command);
    free(*state);
    return rc;
}

static hone_store_run a_run(void) { return (hone_store_run){"abc", "virtual:h200", "{}", 7}; }

static hone_row a_row(uint64_t seq, const char *text) {
    return (hone_row){.seq = seq,
                      .candidate = seq,
                      .hash = "deadbeef",
                      .text = text,
                      .len = strlen(text),
                      .tuning_json = "{\"BM\":64}",
                      .proposer = "tune",
                      .move = "parameters",
                      .note = "BM=64",
                      .outcome_json = outcome_json,
                      .parents = {0, 0},
                      .n_parents = seq > 0,
                      .ptx_hash = "cafe",
                      .ok = true,
                      .time_us = 12.25,
                      .seconds = 0.5};
}

static hone_store *open_ok(const char *dir) {
    hone_store *s = NULL;
    hone_err e = {0};
    if (hone_store_open(dir, false, &s, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return s;
}

static uint64_t begin_ok(hone_store *s) {
    hone_store_run r = a_run();
    uint64_t run = 0;
    bool resumed;
    assert_int_equal(hone_store_begin(s, &r, &run, &resumed, NULL), HONE_OK);
    return run;
}

typedef struct seen {
    size_t n;
    char last_text[4096];
    hone_row last;
    uint64_t stop_after;
} seen;

static int count_row(void *ctx, const hone_row *row) {
    seen *k = ctx;
    assert_int_equal(row->seq, k->n);
    k->n++;
    snprintf(k->last_text, sizeof k->last_text, "%s", row->text);
    k->last = *row;
    assert_string_equal(row->outcome_json, outcome_json);
    assert_string_equal(row->tuning_json, "{\"BM\":64}");
    assert_int_equal(row->len, strlen(row->text));
    return k->stop_after && k->n >= k->stop_after;
}

static size_t count(hone_store *s, uint64_t run, seen *k) {
    *k = (seen){0};
    assert_int_equal(hone_store_each(s, run, count_row, k, NULL), HONE_OK);
    return k->n;
}

static void round_trip(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    hone_row r0 = a_row(0, task_text), r1 = a_row(1, "another text"), r2 = a_row(2, task_text);
    assert_int_equal(hone_store_append(s, run, &r0, NULL), HONE_OK);
    assert_int_equal(hone_store_append(s, run, &r1, NULL), HONE_OK);
    assert_int_equal(hone_store_append(s, run, &r2, NULL), HONE_OK);
    hone_store_close(s);

    s = open_ok(*state);
    hone_store_run same = a_run();
    uint64_t again = 0;
    bool resumed = false;
    assert_int_equal(hone_store_begin(s, &same, &again, &resumed, NULL), HONE_OK);
    assert_true(resumed);
    assert_int_equal(again, run);
    seen k;
    assert_int_equal(count(s, run, &k), 3);
    assert_string_equal(k.last_text, task_text);
    assert_int_equal(k.last.n_parents, 1);
    assert_true(k.last.ok);
    assert_true(k.last.time_us == 12.25 && k.last.seconds == 0.5);
    seen few = {.stop_after = 2};
    assert_int_equal(hone_store_each(s, run, count_row, &few, NULL), HONE_OK);
    assert_int_equal(few.n, 2);
    hone_store_close(s);
}

static int64_t ask_sql(const char *dir, const char *sql) {
    char path[256];
    snprintf(path, sizeof path, "%s/archive.db", dir);
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return v;
}

// Findings and samples are tables of their own, for people with questions in SQL.
static void tables_for_sql(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    hone_row r = a_row(0, task_text);
    assert_int_equal(hone_store_append(s, run, &r, NULL), HONE_OK);
    hone_store_close(s);
    assert_int_equal(ask_sql(*state, "SELECT count(*) FROM finding WHERE kind='memory.out-of-bounds' AND stage='sanitize'"), 1);
    assert_int_equal(ask_sql(*state, "SELECT count(*) FROM sample WHERE arm='a'"), 2);
    assert_int_equal(ask_sql(*state, "SELECT 100*time_us FROM sample WHERE arm='b' AND n=1"), 125);
    assert_int_equal(ask_sql(*state, "PRAGMA application_id"), 0x484f4e45);
}

static void another_seed_is_another_run(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s), other = 0, latest = 0;
    hone_store_run r = a_run();
    r.seed = UINT64_MAX;
    bool resumed = true;
    assert_int_equal(hone_store_begin(s, &r, &other, &resumed, NULL), HONE_OK);
    assert_false(resumed);
    assert_int_not_equal(run, other);
    assert_int_equal(hone_store_latest_run(s, &latest, NULL), HONE_OK);
    assert_int_equal(latest, other);
    begin_ok(s);   // the older one again: now that is the latest
    assert_int_equal(hone_store_latest_run(s, &latest, NULL), HONE_OK);
    assert_int_equal(latest, run);
    hone_store_close(s);
}

static void facts(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    char *v = (char *)"x";
    assert_int_equal(hone_store_get(s, run, "best", &v, NULL), HONE_OK);
    assert_null(v);
    assert_int_equal(hone_store_put(s, run, "best", "12", NULL), HONE_OK);
    assert_int_equal(hone_store_put(s, run, "best", "13", NULL), HONE_OK);
    assert_int_equal(hone_store_get(s, run, "best", &v, NULL), HONE_OK);
    assert_string_equal(v, "13");
    hone_free(v);
    hone_store_close(s);
}

static void a_parent_must_exist(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    hone_row orphan = a_row(1, "x"), root = a_row(0, task_text);
    orphan.parents[0] = 99;
    assert_int_not_equal(hone_store_append(s, run, &orphan, NULL), HONE_OK);
    assert_int_equal(hone_store_append(s, run, &root, NULL), HONE_OK);   // the refused one left nothing behind
    seen k;
    assert_int_equal(count(s, run, &k), 1);
    hone_store_close(s);
}

static void two_writers(void **state) {
    hone_store *s = open_ok(*state), *second = NULL;
    hone_err e = {0};
    assert_int_equal(hone_store_open(*state, false, &second, &e), HONE_E_BUSY);
    assert_null(second);
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(e.msg, pid));
    uint64_t run = begin_ok(s);
    hone_row r = a_row(0, task_text);
    assert_int_equal(hone_store_append(s, run, &r, NULL), HONE_OK);
    hone_store *reader = NULL;
    assert_int_equal(hone_store_open(*state, true, &reader, NULL), HONE_OK);   // readers are welcome
    seen k;
    assert_int_equal(count(reader, run, &k), 1);
    assert_int_not_equal(hone_store_append(reader, run, &r, NULL), HONE_OK);
    hone_store_close(reader);
    hone_store_close(s);
    s = open_ok(*state);
    hone_store_close(s);
}

static void write_file(const char *dir, const char *data, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/archive.db", dir);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void expect_corrupt(const char *dir) {
    hone_store *s = NULL;
    hone_err e = {0};
    assert_int_equal(hone_store_open(dir, false, &s, &e), HONE_E_CORRUPT);
    assert_null(s);
    assert_non_null(strstr(e.msg, "archive.db"));
    assert_true(e.hint[0]);
}

static void foreign_file(void **state) {
    write_file(*state, "this is no database at all, just some text that is rather longer than the hundred bytes of a database's header.",
               110);
    expect_corrupt(*state);
}

static void fill(const char *dir, unsigned rows) {
    hone_store *s = open_ok(dir);
    uint64_t run = begin_ok(s);
    for (unsigned i = 0; i < rows; i++) {
        char text[3000];
        for (size_t k = 0; k + 1 < sizeof text; k++)
            text[k] = (char)('a' + (k * k * (i + 3) + k / 7 * i) % 26);
        text[sizeof text - 1] = 0;
        hone_row r = a_row(i, i ? text : task_text);
        assert_int_equal(hone_store_append(s, run, &r, NULL), HONE_OK);
    }
    hone_store_close(s);
}

// ---- archives from others: whatever SQL made them, reading is an error or harmless, and nothing of theirs runs
static void change(const char *dir, const char *sql) {
    char path[300], *why = NULL;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/archive.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA journal_mode=DELETE; PRAGMA ignore_check_constraints=ON", NULL, NULL, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static int count_whole(void *ctx, const hone_row *row) {
    size_t *n = ctx;
    if (row->text)
        *n += row->len < 4096 && strlen(row->text) <= row->len;
    return *n > 100;
}

static hone_code read_through(const char *dir, bool read_only, size_t *rows) {
    hone_store *s;
    hone_err e = {0};
    uint64_t run;
    *rows = 0;
    hone_code c = hone_store_open(dir, read_only, &s, &e);
    if (c != HONE_OK)
        return c;
    char *fact = NULL;
    c = hone_store_latest_run(s, &run, &e);
    if (c == HONE_OK)
        c = hone_store_each(s, run, count_whole, rows, &e);
    if (c == HONE_OK)
        c = hone_store_get(s, run, "best", &fact, &e);
    hone_free(fact);
    hone_store_close(s);
    return c;
}

static void hostile_archives(void **state) {
    static const struct { const char *sql; bool refused; } table[] = {
        {"DROP TABLE sample; CREATE VIEW sample AS SELECT 1 AS run", true},
        {"ALTER TABLE candidate RENAME TO c2; CREATE VIEW candidate AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT 1 AS run, x AS seq, x AS id, "
         "'h' AS hash, 1 AS text, '' AS tuning, '' AS proposer, '' AS move, '' AS note, NULL AS parent1, NULL AS parent2, '' AS ptx_hash, 1 AS ok, 1.0 AS time_us, "
         "1.0 AS seconds, NULL AS outcome FROM n", true},
        {"CREATE TRIGGER t AFTER INSERT ON fact BEGIN DELETE FROM candidate; END", true},
        {"CREATE TABLE extra(x)", true},
        {"CREATE INDEX i ON candidate(abs(seq))", true},
        {"ALTER TABLE fact ADD COLUMN more AS (key || key)", true},
        {"DROP TABLE text", true},
        {"PRAGMA foreign_keys=OFF; UPDATE candidate SET seq='x' WHERE seq=2; UPDATE candidate SET seq='y' WHERE seq=1", true},
        {"PRAGMA foreign_keys=OFF; UPDATE candidate SET seq=-5 WHERE seq=1; UPDATE candidate SET id=-5 WHERE seq=2", true},
        {"UPDATE text SET data=zeroblob(3)", true},
        {"UPDATE text SET data=zeroblob(200000000)", true},
        {"UPDATE text SET data=x'28b52ffdffffffffffffffff7f00'", true},   // zstd: a frame that says it holds 2^63 bytes
        {"UPDATE text SET data=''", true},
        {"PRAGMA foreign_keys=OFF; UPDATE candidate SET text=99999", true},
        {"UPDATE candidate SET outcome=x'00'", true},
        {"PRAGMA user_version=99", true},
        {"PRAGMA application_id=0", true},
        {"DELETE FROM candidate; DELETE FROM finding; DELETE FROM sample; DELETE FROM text; DELETE FROM fact; DELETE FROM run", true},
        {"INSERT OR REPLACE INTO fact SELECT id, 'best', x'ff00ff' FROM run", false},
        {"UPDATE candidate SET time_us='NaN', seconds=9e999, ok='maybe', parent1=NULL, note=x'ff1b5b324a00', tuning='{', hash=zeroblob(9)", false},
        {"UPDATE fact SET value=x'ff00'; INSERT OR REPLACE INTO fact SELECT id, 'best', x'00' FROM run", true},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        char dir[200];
        size_t rows;
        snprintf(dir, sizeof dir, "%s/hostile-%zu", (const char *)*state, i);
        fill(dir, 3);
        assert_int_equal(read_through(dir, true, &rows), HONE_OK);
        assert_int_equal(rows, 3);
        change(dir, table[i].sql);
        hone_code c = read_through(dir, true, &rows);
        if ((c != HONE_OK) != table[i].refused || rows > 3)
            fail_msg("'%.60s': %s, %zu rows", table[i].sql, hone_code_name(c), rows);
        c = read_through(dir, false, &rows);
        if ((c != HONE_OK) != table[i].refused || rows > 3)
            fail_msg("writing, '%.60s': %s, %zu rows", table[i].sql, hone_code_name(c), rows);
    }
}

// The lock is cut to nothing when it is taken: a link to somebody's file must not be.
static void a_lock_that_is_a_link(void **state) {
    char dir[200], lock[220], victim[220];
    hone_store *s;
    hone_err e = {0};
    snprintf(dir, sizeof dir, "%s/linked", (const char *)*state);
    snprintf(lock, sizeof lock, "%.190s/lock", dir);
    snprintf(victim, sizeof victim, "%s/precious", (const char *)*state);
    fill(dir, 1);
    FILE *f = fopen(victim, "w");
    assert_non_null(f);
    fputs("keep me", f);
    fclose(f);
    unlink(lock);
    assert_int_equal(symlink(victim, lock), 0);
    assert_int_not_equal(hone_store_open(dir, false, &s, &e), HONE_OK);
    struct stat st;
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_size, 7);
}

static void truncated(void **state) {
    fill(*state, 40);
    char path[256];
    snprintf(path, sizeof path, "%s/archive.db", (char *)*state);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 16384);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    expect_corrupt(*state);
    assert_int_equal(truncate(path, 50), 0);
    expect_corrupt(*state);
}

// ---- the chain

static hone_store_chain checked(const char *dir, hone_code *c) {
    hone_store *s;
    hone_store_chain k = {0};
    hone_err e = {0};
    uint64_t run;
    if (hone_store_open(dir, true, &s, &e) != HONE_OK || hone_store_latest_run(s, &run, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    *c = hone_store_check(s, run, &k, &e);
    hone_store_close(s);
    return k;
}

static void edit(const char *dir, const char *sql) {
    char path[300], *why = NULL;
    snprintf(path, sizeof path, "%s/archive.db", dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

// Whether an archive differs from what it was: a broken chain, an unreadable row, or another head or digest.
static bool noticed(const char *dir, const hone_store_chain *was) {
    hone_code c;
    hone_store_chain k = checked(dir, &c);
    return c != HONE_OK || k.broken || k.rows != was->rows || strcmp(k.head, was->head) != 0 || strcmp(k.digest, was->digest) != 0;
}

static void copy_archive(const char *from, const char *to) {
    char command[700];
    snprintf(command, sizeof command, "mkdir -p '%s' && cp '%s/archive.db' '%s/archive.db'", to, from, to);
    assert_int_equal(system(command), 0);
}

static void every_edit_breaks_the_chain(void **state) {
    static const struct { const char *sql; int64_t at; } edits[] = {   // at: the row where the chain breaks; -1: nowhere, head or digest differ
        {"UPDATE candidate SET id=99 WHERE seq=19", 19}, {"UPDATE candidate SET hash='x' WHERE seq=7", 7},
        {"UPDATE candidate SET text=(SELECT text FROM candidate WHERE seq=3) WHERE seq=7", 7}, {"UPDATE candidate SET tuning=NULL WHERE seq=7", 7},
        {"UPDATE candidate SET proposer='' WHERE seq=7", 7}, {"UPDATE candidate SET move='x' WHERE seq=0", 0}, {"UPDATE candidate SET note='BM=65' WHERE seq=7", 7},
        {"UPDATE candidate SET parent1=3 WHERE seq=7", 7}, {"UPDATE candidate SET parent2=3 WHERE seq=7", 7}, {"UPDATE candidate SET ptx_hash='x' WHERE seq=7", 7},
        {"UPDATE candidate SET ok=0 WHERE seq=7", 7}, {"UPDATE candidate SET time_us=12.25000000000001 WHERE seq=7", 7},
        {"UPDATE candidate SET seconds=0.25 WHERE seq=7", 7}, {"UPDATE candidate SET outcome=NULL WHERE seq=7", 7}, {"UPDATE candidate SET chain='x' WHERE seq=7", 7},
        {"UPDATE candidate SET chain=(SELECT chain FROM candidate WHERE seq=6) WHERE seq=7", 7},
        {"DELETE FROM candidate WHERE seq=19", -1}, {"DELETE FROM candidate WHERE seq=7", 8}, {"DELETE FROM candidate WHERE seq=0", 1},
        {"UPDATE candidate SET seq=1000 WHERE seq=7; UPDATE candidate SET seq=7 WHERE seq=8; UPDATE candidate SET seq=8 WHERE seq=1000", 7},
        {"INSERT INTO candidate SELECT run, 20, 20, hash, text, tuning, proposer, move, note, parent1, parent2, ptx_hash, ok, time_us, seconds, outcome, chain "
         "FROM candidate WHERE seq=19", 20},
        {"UPDATE run SET seed=8", 0}, {"UPDATE run SET task_hash='x'", 0}, {"UPDATE run SET device='x'", 0}, {"UPDATE run SET options='x'", 0},
        {"UPDATE finding SET message='fine' WHERE seq=7", -1}, {"DELETE FROM finding WHERE seq=7", -1}, {"UPDATE sample SET time_us=1 WHERE seq=7 AND arm='a' AND n=1", -1},
        {"UPDATE fact SET value='x' WHERE key='best'", -1}, {"DELETE FROM fact WHERE key='best'", -1}, {"UPDATE text SET bytes=1 WHERE id=2", -1},
        {"UPDATE text SET sha='x' WHERE id=2", -1},
    };
    const char *dir = *state;
    char other[300];
    hone_code c;
    snprintf(other, sizeof other, "%s/other", dir);
    fill(dir, 20);
    edit(dir, "INSERT INTO fact VALUES(1, 'best', '7'); PRAGMA wal_checkpoint(TRUNCATE)");
    hone_store_chain was = checked(dir, &c);
    assert_int_equal(c, HONE_OK);
    assert_false(was.broken);
    assert_int_equal(was.rows, 20);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        copy_archive(dir, other);
        assert_false(noticed(other, &was));
        edit(other, edits[i].sql);
        hone_store_chain k = checked(other, &c);
        if (c != HONE_OK || !noticed(other, &was) || k.broken != (edits[i].at >= 0) || (k.broken && k.broken_seq != (uint64_t)edits[i].at))
            fail_msg("%s: broken %d at %llu", edits[i].sql, k.broken, (unsigned long long)k.broken_seq);
    }
}

// Any one byte of any value of a row, changed.
static void every_byte_counts(void **state) {
    static const char *const columns[] = {"hash", "tuning", "proposer", "move", "note", "ptx_hash", "outcome", "chain"};
    const char *dir = *state;
    char other[300], sql[400];
    hone_code c;
    hone_rng r;
    unsigned edited = 0;
    hone_rng_init(&r, 11, 0);
    snprintf(other, sizeof other, "%s/other", dir);
    fill(dir, 8);
    edit(dir, "PRAGMA wal_checkpoint(TRUNCATE)");
    hone_store_chain was = checked(dir, &c);
    for (int i = 0; i < 150; i++) {
        const char *table = i % 5 == 4 ? "text" : "candidate", *column = i % 5 == 4 ? "data" : columns[hone_rng_below(&r, 8)];
        unsigned row = (unsigned)hone_rng_below(&r, 8), at = (unsigned)hone_rng_below(&r, 4000), to = 1 + (unsigned)hone_rng_below(&r, 126);
        copy_archive(dir, other);
        // a byte of the value as bytes, in hex, is replaced unless it is the same
        snprintf(sql, sizeof sql,
                 "UPDATE %s SET %s=CAST(substr(CAST(%s AS BLOB),1,%u%%length(CAST(%s AS BLOB)))||x'%02x'||substr(CAST(%s AS BLOB),%u%%length(CAST(%s AS BLOB))+2) AS %s) "
                 "WHERE %s=%u AND hex(substr(CAST(%s AS BLOB),%u%%length(CAST(%s AS BLOB))+1,1))<>'%02X'",
                 table, column, column, at, column, to, column, at, column, !strcmp(column, "outcome") || !strcmp(column, "data") ? "BLOB" : "TEXT",
                 i % 5 == 4 ? "id" : "seq", row + (i % 5 == 4), column, at, column, to);
        edit(other, sql);
        hone_store_chain k = checked(other, &c);
        bool same = c == HONE_OK && !k.broken && !strcmp(k.digest, was.digest);
        char compare[700];
        snprintf(compare, sizeof compare, "cmp -s '%s/archive.db' '%s/archive.db'", dir, other);
        bool changed = system(compare) != 0;
        edited += changed;
        if (same && changed)
            fail_msg("not noticed: %s", sql);
    }
    assert_true(edited > 130);
}

static void another_version(void **state) {
    fill(*state, 2);
    char path[256];
    snprintf(path, sizeof path, "%s/archive.db", (char *)*state);
    FILE *f = fopen(path, "r+b");
    fseek(f, 60, SEEK_SET);   // user_version, big-endian
    unsigned char v[4] = {0, 0, 0, 99};
    assert_int_equal(fwrite(v, 1, 4, f), 4);
    fclose(f);
    hone_store *s = NULL;
    hone_err e = {0};
    assert_int_equal(hone_store_open(*state, false, &s, &e), HONE_E_CORRUPT);
    assert_non_null(strstr(e.msg, "99"));
}

static void empty_file_is_a_new_archive(void **state) {   // killed while creating it
    write_file(*state, "", 0);
    hone_store *s = open_ok(*state);
    begin_ok(s);
    hone_store_close(s);
}

static void no_runs_yet(void **state) {
    hone_store *s = open_ok(*state);
    uint64_t run;
    assert_int_equal(hone_store_latest_run(s, &run, NULL), HONE_E_USAGE);
    hone_store_close(s);
}

static void unwritable_directory(void **state) {
    (void)state;
    hone_store *s = NULL;
    hone_err e = {0};
    assert_int_equal(hone_store_open("/proc/hone-nowhere", false, &s, &e), HONE_E_IO);
    assert_non_null(strstr(e.msg, "/proc/hone-nowhere"));
    assert_int_equal(hone_store_open("/tmp/hone-store-absent", true, &s, &e), HONE_E_IO);
}

// A writer killed at a random moment: every append that returned is there, and the archive opens.
static void killed_writer(void **state) {
    unsigned before = 0;
    for (int round = 0; round < 8; round++) {
        int fd[2];
        assert_int_equal(pipe(fd), 0);
        pid_t pid = fork();
        if (pid == 0) {
            hone_store *s = NULL;
            hone_store_run r = a_run();
            uint64_t run = 0;
            bool resumed;
            if (hone_store_open(*state, false, &s, NULL) || hone_store_begin(s, &r, &run, &resumed, NULL))
                _exit(1);
            for (unsigned i = before;; i++) {
                hone_row row = a_row(i, i ? "some text" : task_text);
                if (hone_store_append(s, run, &row, NULL) != HONE_OK || write(fd[1], "+", 1) != 1)
                    _exit(2);
            }
        }
        close(fd[1]);
        unsigned acknowledged = 0;
        char buf[64];
        while (acknowledged < 20 + 13 * (unsigned)round) {
            ssize_t n = read(fd[0], buf, sizeof buf);
            assert_true(n > 0);
            acknowledged += (unsigned)n;
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (ssize_t n; (n = read(fd[0], buf, sizeof buf)) > 0;)
            acknowledged += (unsigned)n;
        close(fd[0]);
        hone_store *s = open_ok(*state);
        uint64_t run = begin_ok(s);
        seen k;
        size_t n = count(s, run, &k);
        assert_true(n >= before + acknowledged && n <= before + acknowledged + 1);
        before = (unsigned)n;
        hone_store_close(s);
    }
}

// No room left: a clear error, and everything before it stays readable. A child, because the limit cannot be taken back.
static void disk_full(void **state) {
    fill(*state, 5);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        hone_store *s = NULL;
        hone_store_run r = a_run();
        uint64_t run = 0;
        bool resumed;
        if (hone_store_open(*state, false, &s, NULL) || hone_store_begin(s, &r, &run, &resumed, NULL))
            _exit(1);
        struct rlimit limit = {200 << 10, 200 << 10};
        setrlimit(RLIMIT_FSIZE, &limit);
        for (unsigned i = 5; i < 4000; i++) {
            hone_err e = {0};
            hone_row row = a_row(i, "some other text");
            char text[64];
            snprintf(text, sizeof text, "text %u", i);
            row.text = text, row.len = strlen(text);
            if (hone_store_append(s, run, &row, &e) != HONE_OK)
                _exit(e.code == HONE_E_IO && e.msg[0] && e.hint[0] ? 42 : 3);
        }
        _exit(4);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    seen k;
    size_t n = count(s, run, &k);
    assert_true(n > 5);
    hone_row row = a_row(n, "goes on");
    assert_int_equal(hone_store_append(s, run, &row, NULL), HONE_OK);
    hone_store_close(s);
}

static hone_code whole_life(const char *dir) {
    hone_store *s = NULL;
    hone_err e = {0};
    hone_code c = hone_store_open(dir, false, &s, &e);
    uint64_t run = 0;
    bool resumed;
    hone_store_run r = a_run();
    hone_row row = a_row(0, task_text), second = a_row(1, "more");
    if (c == HONE_OK)
        c = hone_store_begin(s, &r, &run, &resumed, &e);
    if (c == HONE_OK && !resumed) {
        c = hone_store_append(s, run, &row, &e);
        if (c == HONE_OK)
            c = hone_store_append(s, run, &second, &e);
    }
    seen k = {0};
    if (c == HONE_OK)
        c = hone_store_each(s, run, count_row, &k, &e);
    hone_store_close(s);
    if (c != HONE_OK)
        assert_int_equal(e.code, c);
    return c;
}

static void each_allocation_fails(void **state) {
    for (uint64_t n = 1; n < 200; n++) {
        char dir[256];
        snprintf(dir, sizeof dir, "%s/%llu", (char *)*state, (unsigned long long)n);
        hone_fail_alloc_at(n, false);
        hone_code c = whole_life(dir);
        hone_fail_alloc_at(0, false);
        if (c == HONE_OK)
            return;
        assert_int_equal(c, HONE_E_NOMEM);
    }
    fail();
}

// The promise: at most 4 KiB per candidate plus its compressed text.
static void growth(void **state) {
    fill(*state, 1);
    char path[256];
    snprintf(path, sizeof path, "%s/archive.db", (char *)*state);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    hone_store *s = open_ok(*state);
    uint64_t run = begin_ok(s);
    enum { N = 200 };
    for (unsigned i = 1; i <= N; i++) {
        char text[2048];
        snprintf(text, sizeof text, "%s// variant %u\n", task_text, i);
        hone_row r = a_row(i, text);
        assert_int_equal(hone_store_append(s, run, &r, NULL), HONE_OK);
    }
    hone_store_close(s);
    assert_int_equal(stat(path, &after), 0);
    assert_true((after.st_size - before.st_size) / N < 4096);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(round_trip),
        T(tables_for_sql),
        T(another_seed_is_another_run),
        T(facts),
        T(a_parent_must_exist),
        T(two_writers),
        T(foreign_file),
        T(truncated),
        T(every_edit_breaks_the_chain),
        T(every_byte_counts),
        T(hostile_archives),
        T(a_lock_that_is_a_link),
        T(another_version),
        T(empty_file_is_a_new_archive),
        T(no_runs_yet),
        T(unwritable_directory),
        T(killed_writer),
        T(disk_full),
        T(each_allocation_fails),
        T(growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
