// store, inside: shared between open.c (file, lock, schema), rows.c (append, each, facts) and text.c (compressed texts). Not for other
// rooms.
#ifndef HONE_STORE_INTERNAL_H
#define HONE_STORE_INTERNAL_H
#include "store/store.h"
#include <sqlite3.h>

enum {
    HONE_STORE_APPLICATION_ID = 0x484f4e45,   // "HONE"
    HONE_STORE_VERSION = 2,   // 2: rows are chained
    HONE_STORE_MAX_TEXT = 64 << 20   // bytes of one text or outcome
};
typedef enum hone_stmt {
    HONE_STMT_BEGIN,
    HONE_STMT_COMMIT,
    HONE_STMT_ROLLBACK,
    HONE_STMT_FIND_RUN,
    HONE_STMT_ADD_RUN,
    HONE_STMT_LATEST_RUN,
    HONE_STMT_FIND_TEXT,
    HONE_STMT_ADD_TEXT,
    HONE_STMT_ADD_CANDIDATE,
    HONE_STMT_ADD_FINDINGS,
    HONE_STMT_ADD_SAMPLES,
    HONE_STMT_EACH,
    HONE_STMT_CHAIN_BEFORE,
    HONE_STMT_RUN,
    HONE_STMT_GET_TEXT,
    HONE_STMT_FIRST_TEXT,
    HONE_STMT_PUT,
    HONE_STMT_GET,
    HONE_STMT_COUNT
} hone_stmt;

struct hone_store {
    sqlite3 *db;
    char *path;    // of archive.db
    int lock_fd;   // -1 when read only
    bool read_only;
    sqlite3_stmt *stmts[HONE_STMT_COUNT];   // prepared at first use
    // dictionary of the run used last: the task's text (the run's first row)
    uint64_t dict_run;
    int64_t dict_id;
    char *dict;
    size_t dict_len;
    bool has_dict;
};

// Records a SQLite failure: disk full and I/O errors as HONE_E_IO, damage as HONE_E_CORRUPT, a lock as HONE_E_BUSY. sub = extended code.
hone_code hone_store_sql_fail(hone_store *s, const char *doing, hone_err *e);
// The prepared statement, reset and without bindings. owns: the store.
hone_code hone_store_stmt(hone_store *s, hone_stmt which, sqlite3_stmt **out, hone_err *e);
hone_code hone_store_no_run(const hone_store *s, hone_err *e);   // the refusal of an archive without a run
hone_code hone_store_run_stmt(hone_store *s, hone_stmt which, hone_err *e);   // a statement without parameters or rows

// text.c: a text of a run, stored once per content, compressed with the run's first text as dictionary.
hone_code hone_store_put_text(hone_store *s, uint64_t run, const char *text, size_t len, int64_t *id, hone_err *e);
hone_code hone_store_get_text(hone_store *s, uint64_t run, int64_t id, char **text, size_t *len, hone_err *e);   // caller owns
void hone_store_forget_dict(hone_store *s);
hone_code hone_store_pack(const void *data, size_t n, const void *dict, size_t n_dict, char **out, size_t *n_out, hone_err *e);
hone_code hone_store_unpack(const void *data, size_t n, const void *dict, size_t n_dict, char **out, size_t *n_out, hone_err *e);

// chain.c
// Hash of a row after the one before it (prev). outcome, text: as the row holds them, whole.
hone_code hone_store_link(const char *prev, const hone_row *row, char out[HONE_HASH_HEX], hone_err *e);
// What the row with this seq is chained to: the row before it, or the run's identity.
hone_code hone_store_chain_before(hone_store *s, uint64_t run, uint64_t seq, char out[HONE_HASH_HEX], hone_err *e);
#endif
