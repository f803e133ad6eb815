// What `hone log`, `show`, `diff`, `report` and `export` read: a result folder. The archive is opened for reading only, so that a run in progress
// is never held up; result.json, when the folder has one, is read beside it.
#ifndef HONE_CLI_ARCHIVE_H
#define HONE_CLI_ARCHIVE_H
#include "cli/cli.h"
#include "search/search.h"
#include "store/store.h"

typedef struct cli_row {             // one evaluated candidate
    uint64_t id, parents[2]; unsigned n_parents;
    const char *text, *tuning_json, *proposer, *move, *note, *ptx_hash;
    bool ok, duplicate; uint64_t duplicate_of;
    bool has_time; hone_timing timing;
    bool predicted;                  // left out by the screen: its time is the model's, as wrong as for its parent
    bool has_resources; uint32_t registers, spill_bytes, static_shared_bytes;
    const char *finding_kind, *finding_message;   // the first; NULL when there is none
    json_t *findings;                // array; borrowed from `outcome`, NULL when there are none
    json_t *outcome;                 // as stored; NULL for a duplicate
    double seconds;
} cli_row;
typedef struct cli_archive {
    const char *dir;
    hone_arena *arena;
    uint64_t run;
    cli_row *rows; size_t n_rows;    // in the order applied; rows[0] is the baseline
    bool has_best; uint64_t best;    // as the finished run says; while it goes on, the fastest so far
    bool finished;
    char *verdict, *stop;            // NULL while it goes on
    json_t *confirmation;            // outcome of the confirmation of `best`; NULL
} cli_archive;

// Reads the latest run of the archive in dir; one that was killed before its first evaluation has no rows. errors: HONE_E_USAGE with a hint when there is no archive; those of hone_store_open.
hone_code cli_archive_open(const char *dir, cli_archive *a, hone_err *e);
void cli_archive_close(cli_archive *a);
const cli_row *cli_archive_row(const cli_archive *a, uint64_t id);   // NULL when there is none
// The candidate that an argument names: a number, "best" or "baseline". errors: HONE_E_USAGE saying which ids there are.
hone_code cli_archive_find(const cli_archive *a, const char *name, const cli_row **out, hone_err *e);
// The row's verdict in a word: "baseline", "fast", "same", "ambiguous", "slow", "duplicate", or the kind of its first finding.
const char *cli_row_verdict(const cli_archive *a, const cli_row *r);
// Baseline time / its time; 0 when either is unknown.
double cli_row_speedup(const cli_archive *a, const cli_row *r);
// {id, parents, proposer, move, note, tuning, verdict, time_us …}; new reference.
json_t *cli_row_json(const cli_archive *a, const cli_row *r);
// The candidate as a file of its own: its text with the tune values filled in. owns: the caller (hone_free).
hone_code cli_row_text(const cli_row *r, char **out, hone_err *e);
// The folder's result.json. errors: HONE_E_USAGE with a hint when there is none (yet), HONE_E_CORRUPT.
hone_code cli_read_result(const char *dir, json_t **out, hone_err *e);
// Refuses what is no result folder, with a hint: a task file given instead, a folder without archive.
hone_code cli_need_folder(const char *dir, hone_err *e);
// Pads s to `columns` with spaces on its right (left when negative), counting characters, and prints it.
void cli_print_cell(const char *s, int columns);
#endif
