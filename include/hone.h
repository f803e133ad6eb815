// hone.h: libhone, the library behind the `hone` program. Parse a task file, judge a candidate, search for a faster one, read the result.
//
// Threads: a task may be read by several threads at once; everything else belongs to one thread at a time. honeOptimize and honeCheck start worker
// processes (the `hone` program) and wait for them; the calling process itself never loads a GPU driver and never runs candidate code.
// Ownership: what ends in Open, Parse or comes back through `out` is the caller's, to be closed with the matching Close; strings that a function
// returns belong to the object they came from, unless honeFree is named.
// Errors: functions return a honeStatus and fill *error when that is not NULL; *out is NULL then.
#ifndef HONE_H
#define HONE_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum honeStatus {
    HONE_STATUS_OK = 0,
    HONE_STATUS_USAGE,         // a wrong option or argument
    HONE_STATUS_PARSE,         // a task file, or a certificate, that is not one
    HONE_STATUS_IO,            // a file or pipe; sub is the errno
    HONE_STATUS_NOMEM,
    HONE_STATUS_LIMIT,         // a stated maximum exceeded
    HONE_STATUS_COMPILE,       // NVRTC or ptxas refused; sub is the nvrtcResult
    HONE_STATUS_DEVICE,        // a driver call failed; sub is the CUresult
    HONE_STATUS_NO_DEVICE,     // no device, driver or toolkit
    HONE_STATUS_WRONG,         // a kernel computes something wrong
    HONE_STATUS_TIMEOUT,
    HONE_STATUS_UNSUPPORTED,   // correct input that hone does not implement
    HONE_STATUS_BUSY,          // somebody else holds the archive
    HONE_STATUS_CORRUPT,       // an archive or message that is damaged or of another version
    HONE_STATUS_INTERRUPTED,
    HONE_STATUS_INTERNAL
} honeStatus;

typedef struct honeError {
    honeStatus status;
    int sub;
    char message[1024];   // for a task file that does not parse: every diagnostic, with place and caret, as far as it fits
    char hint[512];       // what to do about it; empty when nothing helps
} honeError;

const char *honeVersion(void);
void honeFree(void *p);   // for strings that are handed over; NULL is fine

// ---- tasks: docs/task-format.md

typedef struct honeTask honeTask;
honeStatus honeTaskOpen(const char *path, honeTask **out, honeError *error);
// name: what diagnostics and results call it ("matmul.cu"). text is copied.
honeStatus honeTaskParse(const char *name, const char *text, size_t length, honeTask **out, honeError *error);
void honeTaskClose(honeTask *task);
const char *honeTaskName(const honeTask *task);   // file name without .cu
const char *honeTaskText(const honeTask *task);

// ---- searching

typedef struct honeProgress {
    size_t size;                          // of this structure, for later additions
    unsigned evaluations, limit;          // limit 0: none
    double elapsed_s, baseline_us, best_us, speedup;   // 0: not known yet
    const char *proposer, *move, *note;   // what is being tried; NULL when nothing is
    int confirming;                       // the best is being evaluated again with fresh inputs
} honeProgress;

typedef struct honeOptions {
    size_t size;              // sizeof (honeOptions); set by honeOptionsInit
    const char *device;       // "cuda:0", "virtual:h200", …; NULL: cuda:0 when there is one, else virtual:h200
    const char *program;      // the hone program, run as worker; NULL: HONE_PROGRAM in the environment, then `hone` in PATH
    const char *folder;       // archive and result files go there, and a run found there is continued; NULL: nothing is kept
    unsigned workers;         // 0: one per GPU; on the virtual GPU one per core, at most 4
    unsigned evals, patience, batch;      // budgets as on the command line; 0: none (batch: 4)
    double time_s, job_limit_s;           // 0: none; 60
    uint64_t seed;            // 1 by default
    // Called from the thread of honeOptimize after every evaluation and about ten times a second. May be NULL. The structure is valid for the call.
    void (*progress)(void *user, const honeProgress *p);
    void *user;
    const volatile int *interrupt;        // becomes non-zero: finish at once with a valid result. May be NULL

    // Language models as further proposers (docs/models.md). Keys come from the environment or the key files that the configuration names.
    const char *const *models;            // "openai:NAME", "ollama:NAME", "PROVIDER:NAME@https://HOST", or one "replay:DIR"
    size_t n_models;                      // 0: none, and no network is used
    const char *model_config;             // prices, key files, limits; NULL: the user's models.json, when there is one
    const char *prompts;                  // folder of templates; NULL: the user's, when there is one
    double max_cost;                      // budgets over the run; 0: none. In the currency of the prices
    uint64_t max_tokens;
    unsigned max_requests;
} honeOptions;
void honeOptionsInit(honeOptions *options);   // defaults; 200 evaluations

typedef struct honeResult honeResult;
// Runs to the end of a budget. A run without improvement is a success. errors: HONE_STATUS_WRONG when the baseline itself is refused.
honeStatus honeOptimize(const honeTask *task, const honeOptions *options, honeResult **out, honeError *error);
void honeResultClose(honeResult *result);
const char *honeResultJson(const honeResult *result);       // schema hone.result/1: docs/json.md
const char *honeResultVerdict(const honeResult *result);    // "FAST", "SAME", "AMBIGUOUS", "SLOW", "NONE"
double honeResultSpeedup(const honeResult *result);         // baseline / best; 1 when there is no best
int honeResultConfirmed(const honeResult *result);          // the best passed every stage again with fresh inputs
const char *honeResultBest(const honeResult *result);       // best.cu, a task file again, tune values filled in; NULL when there is no best

// Judges a candidate (NULL: the task's own baseline): static rules, compilation, sanitizer, differential tests. *passed is 1 or 0; *json the findings,
// schema hone.outcome/1, to be freed with honeFree (json may be NULL). A refused candidate is a success with *passed 0.
honeStatus honeCheck(const honeTask *task, const char *candidate, const honeOptions *options, int *passed, char **json, honeError *error);

#ifdef __cplusplus
}
#endif
#endif
