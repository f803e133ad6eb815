// What the files of the MCP server share: mcp.c (loop, protocol), mcp_child.c (processes), mcp_tools.c (calls), mcp_runs.c (runs), mcp_batch.c
// (several messages at once), mcp_paths.c.
#ifndef HONE_SERVE_MCP_INTERNAL_H
#define HONE_SERVE_MCP_INTERNAL_H
#include "serve/jsonrpc.h"
#include "serve/mcp.h"

enum {
    MCP_MAX_LINE = 8 << 20,          // of a message
    MCP_MAX_RESULT = 1 << 20,        // of a tool's result, as text
    MCP_MAX_OUTPUT = 32 << 20,       // of a command's stdout
    MCP_MAX_TALK = 8192,             // of a command's stderr that is passed on
    MCP_MAX_TEXT = 4 << 20,          // of a candidate
    MCP_MAX_CALLS = 8,               // under way at a time
    MCP_MAX_BATCH = 64,              // messages in a batch
    MCP_MAX_RUNS = 16,               // known
    MCP_MAX_GOING = 4,               // runs going on at a time
    MCP_MAX_ARGS = 96,
    MCP_PATH = 4096,
    MCP_KILL_AFTER_S = 5
};

// ---- mcp_child.c: a command as a process
typedef struct mcp_child {
    hone_proc proc;
    hone_str out, err;               // err: the last MCP_MAX_TALK bytes
    bool running;
    int status;
    double term_at;                  // when it was asked to end; 0: it was not
} mcp_child;
typedef struct mcp_args { char *v[MCP_MAX_ARGS]; size_t n; bool failed; } mcp_args;   // owned strings
void mcp_args_add(mcp_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mcp_args_free(mcp_args *a);
hone_code mcp_child_start(mcp_child *c, mcp_args *args, hone_err *e);   // takes the arguments
void mcp_child_read(mcp_child *c, short out_events, short err_events);
void mcp_child_poll(mcp_child *c, double now);        // reaps; kills what was asked to end and does not
void mcp_child_ask_end(mcp_child *c, double now);
void mcp_child_free(mcp_child *c);                    // kills what runs

typedef struct mcp mcp;
typedef struct mcp_run {
    char id[32], folder[MCP_PATH], task[MCP_PATH];
    mcp_child child;
    json_t *progress;                // the last hone.progress/1; NULL before the first
    json_t *result;                  // hone.optimize/1 or hone.error/1; NULL while it goes on
    bool used, cancelled;
    unsigned proposals;
} mcp_run;
typedef struct mcp_batch {
    unsigned open;                   // what still works on it: its messages, and calls under way; 0: free
    json_t *answers;
} mcp_batch;
typedef struct mcp_call {
    bool used, modern, cancelled;
    mcp_batch *batch;                // its answer goes there; NULL: out
    json_t *id, *token;              // token: progress; NULL: none wanted
    const struct mcp_tool *tool;
    mcp_child child;
    bool has_child;
    mcp_run *waits;                  // for this run's end, or for `wait_file`
    char wait_file[MCP_PATH];        // what the run writes when it took a proposal
    double from, until, told_at;     // until: of a wait
    char files[2][MCP_PATH];         // to be removed at the end
    json_int_t number;               // top lines of a profile; the candidate of a lineage, -1: the best
} mcp_call;
struct mcp {
    const hone_mcp_config *c;
    hone_clock clock;
    char root[MCP_PATH], program[MCP_PATH], scratch[MCP_PATH];
    hone_lines lines;
    const char *version;             // that an old client said hello in; NULL: none did
    mcp_batch batches[MCP_MAX_CALLS], *batch;   // batch: what is sent now is for it
    bool gone;                       // stdout is closed
    mcp_call calls[MCP_MAX_CALLS];
    mcp_run runs[MCP_MAX_RUNS];
    unsigned n_started, n_files;
    uint32_t salt;                   // in the names of runs: a folder may hold proposals of an earlier server
};
void mcp_send(mcp *m, json_t *stolen);
void mcp_take_message(mcp *m, json_t *stolen);

// ---- mcp_batch.c
void mcp_take_batch(mcp *m, const json_t *list);
void mcp_batch_add(mcp_batch *b, json_t *stolen);
void mcp_batch_release(mcp *m, mcp_batch *b);   // one part of it is done; sends the answers after the last
void mcp_batch_free(mcp_batch *b);

// ---- mcp_paths.c
// The absolute path of what an argument names, links resolved. errors: HONE_E_USAGE when it is missing or lies outside the root.
hone_code mcp_path(const mcp *m, const char *name, char out[MCP_PATH], hone_err *e);
hone_code mcp_new_path(const mcp *m, const char *name, char out[MCP_PATH], hone_err *e);   // the last part need not exist
hone_code mcp_scratch_file(mcp *m, const char *text, const char *name, char out[MCP_PATH], hone_err *e);
void mcp_scratch_remove(mcp *m);

// ---- mcp_tools.c
typedef struct mcp_tool {
    const char *name, *title, *text, *schema;
    bool read_only;
    // Starts what the call does: either *now becomes the answer (new reference), or the call has a child or waits.
    hone_code (*start)(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
    json_t *(*shape)(mcp_call *call, json_t *stolen);   // makes the answer of a command small; NULL: as it is
} mcp_tool;
extern const mcp_tool mcp_tools[];
extern const size_t mcp_n_tools;
json_t *mcp_tool_list(void);
const mcp_tool *mcp_find_tool(const char *name);
// Refuses arguments that the schema does not have, and those of a wrong kind.
hone_code mcp_check_args(const mcp_tool *t, const json_t *args, hone_err *e);
const char *mcp_text(const json_t *args, const char *key);   // NULL when absent
void mcp_common_args(const mcp *m, const json_t *args, mcp_args *a);
hone_code mcp_start_command(mcp_call *call, mcp_args *a, hone_err *e);

// ---- mcp_runs.c
hone_code mcp_start_run(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
hone_code mcp_run_status(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
hone_code mcp_run_result(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
hone_code mcp_cancel_run(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
hone_code mcp_propose(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e);
hone_code mcp_folder_of(mcp *m, const json_t *args, char out[MCP_PATH], hone_err *e);   // of run_id or folder
json_t *mcp_run_json(const mcp_run *r);
json_t *mcp_wait_json(const mcp_call *call);          // the answer of a call that waited
bool mcp_wait_over(const mcp_call *call, double now);
void mcp_runs_read(mcp *m, double now);               // progress lines and ends
#endif
