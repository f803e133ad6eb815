// store: append-only facts of runs in SQLite (WAL), in DIR/archive.db. Killing the program at any instant loses at most the evaluations in
// flight.
#ifndef HONE_STORE_H
#define HONE_STORE_H
#include "base/base.h"

typedef struct hone_store hone_store;
typedef struct hone_store_run {   // what makes two runs the same run: resume only when all of it agrees
    const char *task_hash, *device, *options_json;
    uint64_t seed;
} hone_store_run;
typedef struct hone_row {      // one evaluation, in order of `seq` (the order in which outcomes were applied to the search state)
    uint64_t seq, candidate;   // candidate id
    const char *hash, *text;
    size_t len;   // text: whole (stored compressed, zstd with the task's text as dictionary)
    const char *tuning_json, *proposer, *move, *note, *outcome_json;
    uint64_t parents[2];
    unsigned n_parents;
    const char *ptx_hash;
    bool ok;
    double time_us, seconds;
    const char *chain;         // only of a row that was read: its hash, which covers the hash of the row before it
} hone_row;

// Creates DIR when needed, takes DIR/lock (HONE_E_BUSY names the holder's pid), checks the schema version (HONE_E_CORRUPT) and integrity.
hone_code hone_store_open(const char *dir, bool read_only, hone_store **out, hone_err *e);
void hone_store_close(hone_store *s);
// Finds the run with these properties or starts one; *resumed says which.
hone_code hone_store_begin(hone_store *s, const hone_store_run *r, uint64_t *run, bool *resumed, hone_err *e);
hone_code hone_store_append(hone_store *s, uint64_t run, const hone_row *row,
                            hone_err *e);   // durable when it returns; full disk: HONE_E_IO
// The rows of a run are a chain: each one's hash covers its own contents and the hash before it, the first one's the run's identity.
typedef struct hone_store_chain {
    uint64_t rows;
    char head[HONE_HASH_HEX];     // hash of the last row; of the run's identity without rows
    char digest[HONE_HASH_HEX];   // of everything that the archive holds of the run: rows, texts, findings, samples, facts
    bool broken;                  // a row is not what its hash says, or does not follow the one before it
    uint64_t broken_seq;          // the first such row
} hone_store_chain;
hone_code hone_store_check(hone_store *s, uint64_t run, hone_store_chain *out, hone_err *e);
// Calls fn for each row of a run in seq order; fn returning non-zero stops.
hone_code hone_store_each(hone_store *s, uint64_t run, int (*fn)(void *ctx, const hone_row *row), void *ctx, hone_err *e);
// errors: HONE_E_USAGE with sub HONE_STORE_NO_RUN when the archive holds none yet, as after a kill before the first commit.
enum { HONE_STORE_NO_RUN = 1 };
hone_code hone_store_latest_run(hone_store *s, uint64_t *run, hone_err *e);
hone_code hone_store_put(hone_store *s, uint64_t run, const char *key, const char *value,
                         hone_err *e);   // small named facts: "best", "finished", "device" …
hone_code hone_store_get(hone_store *s, uint64_t run, const char *key, char **value, hone_err *e);   // *value NULL when absent; caller owns
#endif
