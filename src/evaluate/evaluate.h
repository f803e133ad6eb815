// evaluate: one self-contained job to a worker process, one outcome back. The parent side (pool.c) never loads a driver and never runs
// candidate code; the worker (worker.c, `hone worker`) owns one device, stays warm, and is killed and replaced on hang, crash or sticky
// error.
#ifndef HONE_EVALUATE_H
#define HONE_EVALUATE_H
#include "task/task.h"
#include <jansson.h>

enum { // stages, in order; a job names those it wants and each needs the ones before
    HONE_STAGE_STATIC = 1,
    HONE_STAGE_COMPILE = 2,
    HONE_STAGE_SANITIZE = 4,
    HONE_STAGE_DIFFERENTIAL = 8,
    HONE_STAGE_TIME = 16,
    HONE_STAGE_PROFILE = 32,
    HONE_STAGE_MUTATE = 64,      // the baseline only: is the task's own test any good? See mutants.c
    HONE_STAGE_ALL = 31
};
const char *hone_stage_name(unsigned stage);     // "static" …

typedef struct hone_job {
    uint64_t id;
    uint64_t rank;                               // of those that wait for a worker the least goes first; equals in the order in which they came
    const char *task_path, *task_text;           // the task: contract and baseline
    const char *candidate_text;                  // NULL: evaluate the baseline itself
    const hone_binding *tuning; size_t n_tuning; // -DNAME=value
    const char *const *flags; size_t n_flags;    // besides the candidate's own `flags` lines
    unsigned stages;
    uint64_t seed;                               // inputs
    double time_limit_s;                         // whole job; 0 = pool default
    bool want_artifacts;                         // PTX and cubin in the outcome
    uint32_t sanitize_flags;                     // HONE_VGPU_* of the sanitize stage; 0: the usual ones
    unsigned schedules;                          // seeded schedules that the sanitize stage compares; 0: none
    unsigned timing_samples;                     // physical: per arm; 0 = default
    double race_ratio;                           // physical: baseline/candidate of the best so far (hone_pair_config); 0: no race
    double timing_enough;                        // physical: stop timing when baseline/candidate is known within this share of it; 0: never
    struct {                                     // physical, searches: the best so far, timed in the baseline's place; text NULL: none
        const char *text;
        const hone_binding *tuning; size_t n_tuning;
        const double *ratios; size_t n_ratios;   // baseline/rival as measured, one per size of the task
    } rival;
    bool fresh_process;                          // in a worker process that has run nothing else
    bool timing_warm;                            // physical: time with a warm L2 cache too, beside the cold one
    double energy_window_s; unsigned energy_blocks;   // physical: measure energy with the time; window 0: no, blocks 0: 6
    bool want_ceilings;                          // what a large copy and a chain of FMAs reach on this device, once per worker
    const char *only_case;                       // differential tests of one case alone, as in a finding's evidence; NULL: all
    unsigned mutants;                            // of HONE_STAGE_MUTATE: this many, whatever time it takes; 0: at most 64 in ten seconds
    bool brief;                                  // differential tests without launch histories: for mutants
    bool without_static;                         // for hone's own tests: what do the other stages say when no static rule refuses?
    bool on_virtual;                             // physical: every stage on the virtual GPU that stands in, time modelled
    size_t memory_limit_bytes;                   // of the worker, beyond what it holds at the start of a task; 0 = pool default
} hone_job;
// What measuring energy adds to a job, at most: for its time limit.
static inline double hone_job_energy_seconds(double window_s, unsigned blocks, size_t sizes) {
    return window_s > 0 ? (10 + 4 * (window_s + 1.2) * 2 * (blocks ? blocks : 6)) * (double)(sizes ? sizes : 1) : 0;
}

typedef struct hone_finding {
    const char *kind;        // stable dotted name, see docs/findings.md
    const char *stage;
    const char *message;     // complete sentence
    const char *file; uint32_t line;
    json_t *evidence;        // inputs, seed, location, both values; borrowed from the outcome
} hone_finding;

typedef enum hone_verdict {
    HONE_PASS,
    HONE_FAIL /* refused with findings */,
    HONE_ERROR /* could not be judged: device lost, out of memory */
} hone_verdict;
typedef struct hone_outcome {
    hone_arena *arena;
    uint64_t id;
    hone_verdict verdict;
    unsigned stages_passed;
    hone_finding *findings; size_t n_findings;
    bool has_time; double time_us, time_lo_us, time_hi_us; bool time_is_modelled; double error_band;
    bool has_energy; double energy_mj, energy_lo_mj, energy_hi_mj;   // per run of the plan
    bool has_resources; uint32_t registers, spill_bytes, static_shared_bytes;   // worst kernel
    char ptx_hash[HONE_HASH_HEX];                // of the PTX without debug lines and names of files; empty before compile
    char *ptx; size_t ptx_len; void *cubin; size_t cubin_len;                   // when wanted
    double seconds;                              // spent by the worker
    json_t *json;                                // the whole message, as received: counters, model, samples, errors per buffer, provenance
} hone_outcome;
void hone_outcome_free(hone_outcome *o);
// The message without artifacts, for the store; and back.
char *hone_outcome_dump(const hone_outcome *o);                                  // caller owns
hone_code hone_outcome_parse(const char *json, size_t n, hone_outcome **out, hone_err *e);

// One outcome of two: of the stages that need no device, and of those that do. Where both have a member, it is the second's. errors: HONE_E_NOMEM.
hone_code hone_outcome_merge(const hone_outcome *host, const hone_outcome *gpu, hone_outcome **out, hone_err *e);

// Replaces every string value (keys are left) by what hone_visible makes of it. Of outcomes it has been done.
void hone_json_visible(json_t *v);
// The outcome of a candidate whose text cannot be sent to a worker: refused by one finding of a kind of docs/findings.md.
hone_code hone_outcome_refuse(uint64_t id, const char *kind, const char *message, hone_outcome **out, hone_err *e);

typedef struct hone_pool hone_pool;
// On the virtual GPU every worker runs whole jobs. On physical devices there is one worker per device, for the stages that need it, and host
// workers beside them that compile and sanitize the next candidates meanwhile.
typedef struct hone_pool_config {
    const char *device;          // "virtual:h200", "cuda:0", "cuda:0,cuda:1", "cuda:all", "auto"
    const char *program;         // path of the hone executable to run as worker; NULL: /proc/self/exe
    unsigned workers;            // virtual: 0 = number of cores (≤ 4). Physical: host workers; 0 = what the cores allow, at most 12 per device, 16 when it screens
    bool screens;                // physical: every job goes over the virtual GPU first
    bool mixed;                  // devices of different models may work together
    double time_limit_s;         // per job and worker, default 60, on the virtual GPU 300
    // Per worker, beyond what it holds when it gets a task; going over it ends the evaluation with an error. 0: the worker decides (it needs
    // the task's buffers and at most 256 MiB; its limit leaves room for what a compilation maps and does not use).
    size_t memory_limit_bytes;
    unsigned worker_threads;     // virtual: host threads per worker for checking runs; 0 = cores / workers
} hone_pool_config;
// errors: HONE_E_NO_DEVICE when the first worker cannot open the device or toolkit (its message is passed on).
hone_code hone_pool_open(const hone_pool_config *c, hone_pool **out, hone_err *e);
void hone_pool_close(hone_pool *p);              // kills what runs
unsigned hone_pool_workers(const hone_pool *p);
unsigned hone_pool_free_slots(const hone_pool *p);
hone_code hone_pool_submit(hone_pool *p, const hone_job *j, hone_err *e);         // copies the job; HONE_E_BUSY when no slot is free
// The next finished job, in order of completion. HONE_E_TIMEOUT after timeout_ms. A worker that hangs or dies yields an outcome with a
// finding (run.timeout, run.crash), not an error. errors: HONE_E_INTERRUPTED when *interrupt becomes non-zero (may be NULL).
hone_code hone_pool_wait(hone_pool *p, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e);
// Ends a job that is being evaluated, with its worker, which is replaced; no outcome comes of it. A job that is not running any more is left alone.
void hone_pool_cancel(hone_pool *p, uint64_t id);
// Jobs that wait for a device, or come later, and may be timed less than in full (timing_enough) are timed against the rival of j, with its race_ratio, instead
// of what they were submitted with: what is best is known better when they are measured. Copies j. On the virtual GPU without effect.
hone_code hone_pool_race(hone_pool *p, const hone_job *j, hone_err *e);
// What the device is: {"name","kind":"virtual|physical","sms",…,"driver","nvrtc"}; borrowed.
const json_t *hone_pool_device(const hone_pool *p);
// How long physical devices were kept at work. Warm-up is the first job of each worker process' device: it fills buffers and makes the baseline's
// results. Afterwards: busy is the time between the first and the last thing that a job sent to its device, active that of it with work sent
// and not waited for, wall the time from the end of warm-up to the last answer. Sums over devices, so shares are of all of them.
typedef struct hone_gpu_usage {
    unsigned devices, jobs;
    double total_s /* warm-up included */, busy_s, active_s, wall_s;
    bool has_energy; double energy_j;   // by NVML's counters, all devices, from their opening to the last answer: idle time and failed work included
} hone_gpu_usage;
void hone_pool_usage(const hone_pool *p, hone_gpu_usage *u);   // all zero on the virtual GPU
unsigned hone_pool_devices(const hone_pool *p);                // physical devices; 0 on the virtual GPU
// The version of the kernel's Landlock interface that keeps workers from other files; 0: it has none, and only system calls are refused.
int hone_sandbox_landlock(void);
// Main loop of a worker process: jobs on fd 0, outcomes on fd 1.
int hone_worker_main(const char *device, unsigned threads, bool host);   // host: see hone_pool_config
#endif
