// store/rows: runs, evaluations and named facts. Every append is one transaction, so that a row is either whole in the archive or absent.
#include "store/internal.h"
#include <stdio.h>
#include <string.h>

static const char *const sql[HONE_STMT_COUNT] = {
    [HONE_STMT_BEGIN] = "BEGIN IMMEDIATE",
    [HONE_STMT_COMMIT] = "COMMIT",
    [HONE_STMT_ROLLBACK] = "ROLLBACK",
    [HONE_STMT_FIND_RUN] = "SELECT id FROM run WHERE task_hash=?1 AND device=?2 AND options=?3 AND seed=?4",
    [HONE_STMT_ADD_RUN] = "INSERT INTO run(task_hash, device, options, seed) VALUES(?1, ?2, ?3, ?4)",
    [HONE_STMT_LATEST_RUN] = "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM fact WHERE run=(SELECT min(id) FROM run) AND "
                             "key='.latest-run'), max(id)) FROM run",
    [HONE_STMT_FIND_TEXT] = "SELECT id FROM text WHERE run=?1 AND sha=?2",
    [HONE_STMT_ADD_TEXT] = "INSERT INTO text(run, sha, bytes, dict, data) VALUES(?1, ?2, ?3, ?4, ?5)",
    [HONE_STMT_ADD_CANDIDATE] = "INSERT INTO candidate(run, seq, id, hash, text, tuning, proposer, move, note, parent1, parent2, ptx_hash, "
                                "ok, time_us, seconds, outcome, chain)"
                                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    [HONE_STMT_ADD_FINDINGS] = "INSERT INTO finding(run, seq, kind, stage, message) SELECT ?1, ?2, json_extract(f.value, '$.kind'), "
                               "json_extract(f.value, '$.stage'),"
                               " json_extract(f.value, '$.message') FROM json_each(?3, '$.findings') AS f LIMIT 64",
    [HONE_STMT_ADD_SAMPLES] =
        "INSERT INTO sample(run, seq, arm, n, time_us) SELECT ?1, ?2, a.arm, row_number() OVER (PARTITION BY a.arm ORDER BY a.id), a.value"
        " FROM (SELECT CASE WHEN path LIKE '%a!_samples!_us%' ESCAPE '!' THEN 'a' ELSE 'b' END AS arm, id, value FROM json_tree(?3, "
        "'$.time')"
        " WHERE type IN ('real', 'integer') AND path LIKE '%!_samples!_us%' ESCAPE '!' LIMIT 512) AS a",
    [HONE_STMT_EACH] =
        "SELECT seq, id, hash, text, tuning, proposer, move, note, parent1, parent2, ptx_hash, ok, time_us, seconds, outcome, chain FROM candidate"
        " WHERE run=?1 AND seq>?2 ORDER BY seq LIMIT 1",
    [HONE_STMT_CHAIN_BEFORE] = "SELECT chain FROM candidate WHERE run=?1 AND seq<?2 ORDER BY seq DESC LIMIT 1",
    [HONE_STMT_RUN] = "SELECT task_hash, device, options, seed FROM run WHERE id=?1",
    [HONE_STMT_GET_TEXT] = "SELECT dict, data FROM text WHERE id=?1",
    [HONE_STMT_FIRST_TEXT] = "SELECT id, data FROM text WHERE run=?1 AND dict IS NULL ORDER BY id LIMIT 1",
    [HONE_STMT_PUT] = "INSERT INTO fact(run, key, value) VALUES(?1, ?2, ?3) ON CONFLICT(run, key) DO UPDATE SET value=excluded.value",
    [HONE_STMT_GET] = "SELECT value FROM fact WHERE run=?1 AND key=?2",
};

hone_code hone_store_stmt(hone_store *s, hone_stmt which, sqlite3_stmt **out, hone_err *e) {
    sqlite3_stmt **st = &s->stmts[which];
    if (!*st && sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
        return hone_store_sql_fail(s, "read the archive", e);
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
    *out = *st;
    return HONE_OK;
}

hone_code hone_store_run_stmt(hone_store *s, hone_stmt which, hone_err *e) {
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, which, &st, e));
    hone_code c = sqlite3_step(st) == SQLITE_DONE ? HONE_OK : hone_store_sql_fail(s, "write", e);
    sqlite3_reset(st);
    return c;
}

static hone_code writable(hone_store *s, hone_err *e) {
    return s->read_only ? hone_fail(e, HONE_E_INTERNAL, 0, "archive '%s' was opened for reading", s->path) : HONE_OK;
}

// One step of a statement that returns no rows, then reset.
static hone_code step_done(hone_store *s, sqlite3_stmt *st, const char *doing, hone_err *e) {
    hone_code c = sqlite3_step(st) == SQLITE_DONE ? HONE_OK : hone_store_sql_fail(s, doing, e);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return c;
}

static void bind_text(sqlite3_stmt *st, int i, const char *t) {
    if (t)
        sqlite3_bind_text(st, i, t, -1, SQLITE_STATIC);
}

static void bind_run(sqlite3_stmt *st, const hone_store_run *r) {
    bind_text(st, 1, r->task_hash);
    bind_text(st, 2, r->device);
    bind_text(st, 3, r->options_json);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)r->seed);
}

static hone_code remember_latest(hone_store *s, uint64_t run, hone_err *e) {
    uint64_t first = 0;
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, "SELECT min(id) FROM run", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        first = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)run);
    return hone_store_put(s, first, ".latest-run", text, e);
}

hone_code hone_store_begin(hone_store *s, const hone_store_run *r, uint64_t *run, bool *resumed, hone_err *e) {
    HONE_TRY(writable(s, e));
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_FIND_RUN, &st, e));
    bind_run(st, r);
    int rc = sqlite3_step(st);
    *resumed = rc == SQLITE_ROW;
    if (*resumed)
        *run = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return hone_store_sql_fail(s, "find the run", e);
    if (!*resumed) {
        HONE_TRY(hone_store_stmt(s, HONE_STMT_ADD_RUN, &st, e));
        bind_run(st, r);
        HONE_TRY(step_done(s, st, "start a run", e));
        *run = (uint64_t)sqlite3_last_insert_rowid(s->db);
    }
    return remember_latest(s, *run, e);
}

hone_code hone_store_no_run(const hone_store *s, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, HONE_STORE_NO_RUN, "archive '%s' holds no run yet", s->path);
    hone_hint(e, "start one with hone optimize");
    return HONE_E_USAGE;
}

hone_code hone_store_latest_run(hone_store *s, uint64_t *run, hone_err *e) {
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_LATEST_RUN, &st, e));
    int rc = sqlite3_step(st);
    *run = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (rc != SQLITE_ROW)
        return hone_store_sql_fail(s, "find the latest run", e);
    if (*run)
        return HONE_OK;
    return hone_store_no_run(s, e);
}

// ---- append

static hone_code add_from_outcome(hone_store *s, hone_stmt which, uint64_t run, const hone_row *row, hone_err *e) {
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, which, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)row->seq);
    bind_text(st, 3, row->outcome_json);
    return step_done(s, st, "store findings", e);
}

static hone_code add_candidate(hone_store *s, uint64_t run, const hone_row *row, int64_t text, const char *outcome, size_t n_outcome,
                               hone_err *e) {
    char chain[HONE_HASH_HEX];
    sqlite3_stmt *st;
    HONE_TRY(hone_store_chain_before(s, run, row->seq, chain, e));
    HONE_TRY(hone_store_link(chain, row, chain, e));
    HONE_TRY(hone_store_stmt(s, HONE_STMT_ADD_CANDIDATE, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)row->seq);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)row->candidate);
    bind_text(st, 4, row->hash);
    sqlite3_bind_int64(st, 5, text);
    bind_text(st, 6, row->tuning_json);
    bind_text(st, 7, row->proposer);
    bind_text(st, 8, row->move);
    bind_text(st, 9, row->note);
    for (unsigned i = 0; i < row->n_parents && i < 2; i++)
        sqlite3_bind_int64(st, 10 + (int)i, (sqlite3_int64)row->parents[i]);
    bind_text(st, 12, row->ptx_hash);
    sqlite3_bind_int(st, 13, row->ok);
    if (row->ok)
        sqlite3_bind_double(st, 14, row->time_us);
    sqlite3_bind_double(st, 15, row->seconds);
    if (outcome)
        sqlite3_bind_blob64(st, 16, outcome, n_outcome, SQLITE_STATIC);
    bind_text(st, 17, chain);
    return step_done(s, st, "store a candidate", e);
}

static hone_code append_parts(hone_store *s, uint64_t run, const hone_row *row, const char *outcome, size_t n_outcome, hone_err *e) {
    int64_t text = 0;
    HONE_TRY(hone_store_put_text(s, run, row->text, row->len, &text, e));
    HONE_TRY(add_candidate(s, run, row, text, outcome, n_outcome, e));
    if (row->outcome_json) {
        HONE_TRY(add_from_outcome(s, HONE_STMT_ADD_FINDINGS, run, row, e));
        HONE_TRY(add_from_outcome(s, HONE_STMT_ADD_SAMPLES, run, row, e));
    }
    return hone_store_run_stmt(s, HONE_STMT_COMMIT, e);
}

hone_code hone_store_append(hone_store *s, uint64_t run, const hone_row *row, hone_err *e) {
    HONE_TRY(writable(s, e));
    char *outcome = NULL;
    size_t n_outcome = 0;
    if (row->outcome_json)
        HONE_TRY(hone_store_pack(row->outcome_json, strlen(row->outcome_json), NULL, 0, &outcome, &n_outcome, e));
    hone_code c = hone_store_run_stmt(s, HONE_STMT_BEGIN, e);
    if (c == HONE_OK) {
        c = append_parts(s, run, row, outcome, n_outcome, e);
        if (c != HONE_OK) {
            if (!sqlite3_get_autocommit(s->db))
                hone_store_run_stmt(s, HONE_STMT_ROLLBACK, NULL);
            hone_store_forget_dict(s);   // it may have come from the row just undone
        }
    }
    hone_free(outcome);
    return c;
}

// ---- reading

typedef struct row_owner {
    char *text, *outcome, *strings[7];
} row_owner;   // what a row read back points to

static void row_release(row_owner *o) {
    hone_free(o->text);
    hone_free(o->outcome);
    for (size_t i = 0; i < HONE_COUNT(o->strings); i++)
        hone_free(o->strings[i]);
}

static bool own_strings(sqlite3_stmt *st, row_owner *o) {
    static const int columns[7] = {2, 4, 5, 6, 7, 10, 15};   // hash tuning proposer move note ptx_hash chain
    for (size_t i = 0; i < HONE_COUNT(columns); i++) {
        const char *t = (const char *)sqlite3_column_text(st, columns[i]);
        if (t && !(o->strings[i] = hone_strdup(t)))
            return false;
    }
    return true;
}

static hone_code read_row(hone_store *s, uint64_t run, sqlite3_stmt *st, hone_row *r, row_owner *o, hone_err *e) {
    if (!own_strings(st, o))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading the archive");
    for (int i = 0; i < 2; i++)   // SQLite keeps a text where a column says INTEGER
        if (sqlite3_column_type(st, i) != SQLITE_INTEGER || sqlite3_column_int64(st, i) < 0)
            return hone_fail(e, HONE_E_CORRUPT, 0, "archive '%s' is damaged: a candidate's number is none", s->path);
    r->seq = (uint64_t)sqlite3_column_int64(st, 0);
    r->candidate = (uint64_t)sqlite3_column_int64(st, 1);
    r->hash = o->strings[0], r->tuning_json = o->strings[1], r->proposer = o->strings[2], r->move = o->strings[3], r->note = o->strings[4];
    r->ptx_hash = o->strings[5];
    r->chain = o->strings[6];
    for (int i = 0; i < 2 && sqlite3_column_type(st, 8 + i) != SQLITE_NULL; i++)
        r->parents[r->n_parents++] = (uint64_t)sqlite3_column_int64(st, 8 + i);
    r->ok = sqlite3_column_int(st, 11) != 0;
    r->time_us = sqlite3_column_double(st, 12);
    r->seconds = sqlite3_column_double(st, 13);
    if (sqlite3_column_type(st, 14) != SQLITE_NULL) {
        size_t n;
        HONE_TRY(hone_store_unpack(sqlite3_column_blob(st, 14), (size_t)sqlite3_column_bytes(st, 14), NULL, 0, &o->outcome, &n, e));
        r->outcome_json = o->outcome;
    }
    int64_t text = sqlite3_column_int64(st, 3);
    HONE_TRY(hone_store_get_text(s, run, text, &o->text, &r->len, e));
    r->text = o->text;
    return HONE_OK;
}

// One row per query, so that fn may use the store.
hone_code hone_store_each(hone_store *s, uint64_t run, int (*fn)(void *ctx, const hone_row *row), void *ctx, hone_err *e) {
    sqlite3_int64 last = -1;
    for (;;) {
        sqlite3_stmt *st;
        HONE_TRY(hone_store_stmt(s, HONE_STMT_EACH, &st, e));
        sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
        sqlite3_bind_int64(st, 2, last);
        int rc = sqlite3_step(st);
        if (rc == SQLITE_DONE) {
            sqlite3_reset(st);
            return HONE_OK;
        }
        if (rc != SQLITE_ROW)
            return hone_store_sql_fail(s, "read the archive", e);
        hone_row row = {0};
        row_owner own = {0};
        hone_code c = read_row(s, run, st, &row, &own, e);
        sqlite3_reset(st);
        last = (sqlite3_int64)row.seq;
        int stop = c == HONE_OK ? fn(ctx, &row) : 1;
        row_release(&own);
        if (stop)
            return c;
    }
}

hone_code hone_store_put(hone_store *s, uint64_t run, const char *key, const char *value, hone_err *e) {
    HONE_TRY(writable(s, e));
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_PUT, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    bind_text(st, 2, key);
    bind_text(st, 3, value);
    return step_done(s, st, "store a fact", e);
}

hone_code hone_store_get(hone_store *s, uint64_t run, const char *key, char **value, hone_err *e) {
    *value = NULL;
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_GET, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    hone_code c = HONE_OK;
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        *value = hone_strdup(text ? text : "");
        c = *value ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading the archive");
    } else if (rc != SQLITE_DONE) {
        c = hone_store_sql_fail(s, "read a fact", e);
    }
    sqlite3_reset(st);
    return c;
}
