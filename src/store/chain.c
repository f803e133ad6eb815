// store/chain: the rows of a run as a hash chain, and the digest of all that the archive holds of it. An edited, dropped, repeated or reordered row breaks the
// chain; one cut off at the end does not, but its head and digest are then not those that a certificate names.
#include "store/internal.h"
#include <stdio.h>
#include <string.h>

// ---- hashing: every value with its kind and length, so that no two sequences of values hash the same

static void add_value(hone_sha *h, char kind, const void *data, size_t n) {
    char head[32];
    hone_sha_add(h, head, (size_t)snprintf(head, sizeof head, "%c%zu:", kind, n));
    hone_sha_add(h, data, n);
}
static void add_text(hone_sha *h, const char *t) { add_value(h, t ? 't' : '0', t ? t : "", t ? strlen(t) : 0); }
static void add_int(hone_sha *h, int64_t v) {
    char text[24];
    add_value(h, 'i', text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v));
}
static void add_real(hone_sha *h, double v) {
    char text[40];
    add_value(h, 'r', text, (size_t)snprintf(text, sizeof text, "%a", v));
}

static hone_code start(hone_sha **h, hone_err *e) {
    *h = hone_sha_new();
    return *h ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the archive");
}

// prev and out may be the same.
hone_code hone_store_link(const char *prev, const hone_row *row, char out[HONE_HASH_HEX], hone_err *e) {
    hone_sha *h;
    HONE_TRY(start(&h, e));
    add_text(h, "hone.row/1");
    add_text(h, prev);
    add_int(h, (int64_t)row->seq);
    add_int(h, (int64_t)row->candidate);
    add_text(h, row->hash);
    add_value(h, 't', row->text, row->len);
    add_text(h, row->tuning_json);
    add_text(h, row->proposer);
    add_text(h, row->move);
    add_text(h, row->note);
    add_int(h, row->n_parents);
    for (unsigned i = 0; i < row->n_parents && i < 2; i++)
        add_int(h, (int64_t)row->parents[i]);
    add_text(h, row->ptx_hash);
    add_int(h, row->ok);
    add_real(h, row->ok ? row->time_us : 0);
    add_real(h, row->seconds);
    add_text(h, row->outcome_json);
    hone_sha_hex(h, out);
    return HONE_OK;
}

static void add_column(hone_sha *h, sqlite3_stmt *st, int i) {
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER: add_int(h, sqlite3_column_int64(st, i)); break;
    case SQLITE_FLOAT: add_real(h, sqlite3_column_double(st, i)); break;
    case SQLITE_NULL: add_text(h, NULL); break;
    default: {
        const void *data = sqlite3_column_blob(st, i);   // before the length, which it may change
        add_value(h, sqlite3_column_type(st, i) == SQLITE_BLOB ? 'b' : 't', data ? data : "", (size_t)sqlite3_column_bytes(st, i));
    }
    }
}

// Steps to the end; every row's columns go into h.
static hone_code add_rows(hone_store *s, sqlite3_stmt *st, hone_sha *h, unsigned *n, hone_err *e) {
    int rc;
    for (*n = 0; (rc = sqlite3_step(st)) == SQLITE_ROW; ++*n)
        for (int i = 0; i < sqlite3_column_count(st); i++)
            add_column(h, st, i);
    return rc == SQLITE_DONE ? HONE_OK : hone_store_sql_fail(s, "read the archive", e);
}

// ---- the chain

static hone_code identity(hone_store *s, uint64_t run, char out[HONE_HASH_HEX], hone_err *e) {
    sqlite3_stmt *st;
    unsigned n;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_RUN, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    hone_sha *h;
    HONE_TRY(start(&h, e));
    add_text(h, "hone.run/1");
    hone_code c = add_rows(s, st, h, &n, e);
    hone_sha_hex(h, out);
    sqlite3_reset(st);
    return c == HONE_OK && n == 0 ? hone_store_no_run(s, e) : c;
}

hone_code hone_store_chain_before(hone_store *s, uint64_t run, uint64_t seq, char out[HONE_HASH_HEX], hone_err *e) {
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_CHAIN_BEFORE, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)seq);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        snprintf(out, HONE_HASH_HEX, "%s", (const char *)sqlite3_column_text(st, 0));
    hone_code c = rc == SQLITE_ROW || rc == SQLITE_DONE ? HONE_OK : hone_store_sql_fail(s, "read the archive", e);
    sqlite3_reset(st);
    return c == HONE_OK && rc == SQLITE_DONE ? identity(s, run, out, e) : c;
}

typedef struct following { hone_store_chain *chain; hone_code c; hone_err *e; } following;

static int follow(void *ctx, const hone_row *row) {
    following *f = ctx;
    hone_store_chain *k = f->chain;
    char expected[HONE_HASH_HEX];
    f->c = hone_store_link(k->head, row, expected, f->e);
    if (f->c != HONE_OK)
        return 1;
    bool fits = row->seq == k->rows && row->chain && !strcmp(expected, row->chain);
    if (!fits && !k->broken) {
        k->broken = true;
        k->broken_seq = row->seq;
    }
    snprintf(k->head, sizeof k->head, "%s", expected);
    k->rows++;
    return 0;
}

// ---- everything

static const char *const everything[] = {
    "SELECT * FROM run WHERE id=?1", "SELECT * FROM text WHERE run=?1 ORDER BY id", "SELECT * FROM candidate WHERE run=?1 ORDER BY seq",
    "SELECT * FROM finding WHERE run=?1 ORDER BY rowid", "SELECT * FROM sample WHERE run=?1 ORDER BY seq, arm, n",
    "SELECT * FROM fact WHERE run=?1 ORDER BY key",
};

static hone_code digest(hone_store *s, uint64_t run, char out[HONE_HASH_HEX], hone_err *e) {
    hone_sha *h;
    HONE_TRY(start(&h, e));
    hone_code c = HONE_OK;
    for (size_t i = 0; i < HONE_COUNT(everything) && c == HONE_OK; i++) {
        sqlite3_stmt *st = NULL;
        unsigned n = 0;
        if (sqlite3_prepare_v2(s->db, everything[i], -1, &st, NULL) != SQLITE_OK) {
            c = hone_store_sql_fail(s, "read the archive", e);
        } else {
            sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
            c = add_rows(s, st, h, &n, e);
        }
        sqlite3_finalize(st);
        add_int(h, n);
    }
    hone_sha_hex(h, out);
    return c;
}

hone_code hone_store_check(hone_store *s, uint64_t run, hone_store_chain *out, hone_err *e) {
    *out = (hone_store_chain){0};
    HONE_TRY(identity(s, run, out->head, e));
    following f = {out, HONE_OK, e};
    HONE_TRY(hone_store_each(s, run, follow, &f, e));
    HONE_TRY(f.c);
    return digest(s, run, out->digest, e);
}
