// What the files of evaluate/ share: messages between pool and worker, the runner that check/ uses, the state a worker keeps, and one job's
// report. Nothing outside evaluate/ includes this.
#ifndef HONE_EVALUATE_INTERNAL_H
#define HONE_EVALUATE_INTERNAL_H
#include "check/check.h"
#include "compile/program.h"
#include "evaluate/evaluate.h"
#include "measure/claim.h"

#define HONE_JOB_SCHEMA "hone.job/1"
#define HONE_OUTCOME_SCHEMA "hone.outcome/1"
#define HONE_HELLO_SCHEMA "hone.worker/1"
#define HONE_NOTE_SCHEMA "hone.note/1"
enum { HONE_MAX_JOB = 16 << 20, HONE_MAX_OUTCOME = 16 << 20, HONE_MAX_ARTIFACT = 64 << 20 };

// ---- protocol.c: the job as text and back
char *hone_job_dump(const hone_job *j);                                  // caller owns; NULL when out of memory
typedef struct hone_job_message {
    json_t *json;
    hone_job job;
    hone_binding *tuning, *rival_tuning;
    double *rival_ratios;
    const char **flags;
} hone_job_message;
// The job borrows from the message. errors: HONE_E_CORRUPT naming the member that is wrong.
hone_code hone_job_parse(const char *text, size_t n, hone_job_message *out, hone_err *e);
void hone_job_message_free(hone_job_message *m);
json_t *hone_err_json(const hone_err *e);
json_t *hone_device_json(const hone_device_info *i, const hone_compiler *c);
// Between job and outcome a worker says when it enters and leaves the compiler, so that its death there has the right name.
char *hone_note_dump(bool compiling);                                    // caller frees with free; NULL when out of memory
bool hone_note_parse(const char *text, size_t n, bool *compiling);       // false: no note
// An outcome message built by the parent for a worker that cannot answer any more.
json_t *hone_outcome_stub(uint64_t id, hone_verdict v, hone_findings *f, const hone_err *why, double seconds);
hone_code hone_outcome_from_json(json_t *stolen, hone_outcome **out, hone_err *e);
extern const char *const hone_verdict_names[3];

// What a worker is for. WHOLE: every stage on one (virtual) device. GPU: the stages that need a physical device. HOST: the stages that do not,
// compiled for the physical device and run on the virtual GPU that stands in for it; it makes no context on the device.
typedef enum hone_worker_kind { HONE_WORKER_WHOLE, HONE_WORKER_GPU, HONE_WORKER_HOST } hone_worker_kind;

// ---- sandbox.c, landlock.c
typedef struct hone_sandbox_paths {
    const char *const *read; size_t n_read;      // folders or files, besides the system's and those of loaded libraries
    const char *cache;                           // the one folder to write in; NULL or "": none
} hone_sandbox_paths;
// Lowers what this process can do from here on: no new processes or programs, no network, no tracing, no signals to others, no core files,
// bounded files, an empty working folder, few files to read and one folder to write, death with the parent. Call it before threads are
// started: those that run already keep their access to files. errors: HONE_E_INTERNAL when the kernel refuses the filter or the rules.
hone_code hone_sandbox_enter(const hone_sandbox_paths *p, hone_err *e);
hone_code hone_sandbox_files(const hone_sandbox_paths *p, hone_err *e);   // enter's part by Landlock; HONE_OK where the kernel has none
void hone_sandbox_limit_memory(size_t bytes_more); // beyond what is mapped writable now; no effect under a sanitizer build
void hone_sandbox_limit_cpu(double seconds_more);  // CPU time of all threads from now on; beyond it the process dies of SIGXCPU

// ---- runner.c: hone_runner over a device
typedef struct hone_device_runner {
    hone_device *device;             // borrowed
    hone_compiler *compiler;         // borrowed
    unsigned threads;                // virtual: host threads
    uint32_t vgpu_flags;             // HONE_VGPU_CHECK …
    uint64_t max_warp_insts;         // virtual, per launch
    const hone_task *accused;        // whose sanitizer findings go to `findings`
    hone_findings *findings;         // NULL: nobody's
    const char *const *extra_flags; size_t n_extra_flags;   // compiler flags for the accused
    const char *stage;               // for findings
    bool lost;                       // physical: a sticky error; the process must end
    unsigned generation;             // of the context; modules of older ones are gone
    struct runner_layout *layouts; size_t n_layouts; uint64_t tick;
    unsigned runs;
} hone_device_runner;
void hone_device_runner_init(hone_device_runner *r, hone_device *d, hone_compiler *c);
void hone_device_runner_free(hone_device_runner *r);
hone_runner hone_device_runner_face(hone_device_runner *r);
// Compiles a task as jobs mean it: tune parameters complete (first values where env has none), the task's flags and then the extra ones.
hone_code hone_compile_task(hone_compiler *c, const hone_task *t, const hone_env *tuning, const char *const *extra, size_t n_extra,
                            uint32_t cc, const hone_compiled **out, hone_err *e);
// After a failed driver call: virtual contexts are made anew, physical ones are lost.
void hone_device_runner_recover(hone_device_runner *r, int result);

// ---- session.c: what a worker keeps between jobs
typedef struct hone_size_state {
    hone_plan *plan;                 // the task's own
    hone_workload *workload;
    hone_bound bound;                // baseline
    hone_program *program;           // baseline, loaded on the timing device
    void **outputs;                  // (plan->n_buffers) host copies of the baseline's results for set 0; NULL until they are needed
    uint64_t used;                   // tick of the last use
} hone_size_state;
typedef struct hone_rival_size { hone_plan *plan; hone_bound bound; hone_program *program; } hone_rival_size;
typedef struct hone_rival {          // rival.c; all zero: none
    char key[HONE_HASH_HEX];         // of its text and tuning
    hone_task *task;
    const hone_compiled *compiled;
    hone_rival_size *sizes;          // (n_sizes), each made when it is first timed
} hone_rival;
typedef struct hone_session {
    hone_device *device;             // timing (and on a physical device everything)
    hone_device *check_device;       // virtual: a second context; physical: == device
    hone_device *virtual_device;     // physical: the virtual GPU for sanitizing, NULL when it cannot be had
    hone_compiler *compiler;
    hone_nvml *nvml;
    hone_device_info target;         // what is compiled for; of a HOST worker the physical device, else == device->info
    bool stands_in;                  // HOST: `device` is the virtual GPU in place of the target
    hone_device_runner runner, sanitizer;   // sanitizer is used on physical devices only
    unsigned threads;
    bool must_exit;
    json_t *device_json;
    // of the task at hand
    char key[HONE_HASH_HEX];
    uint64_t seed;
    hone_task *task;
    const hone_compiled *baseline;
    hone_judge *judge;
    hone_size_state *sizes; size_t n_sizes;
    uint64_t tick;
    hone_sizes *check_sizes; size_t n_check_sizes;   // sizes.c; NULL before they were chosen
    json_t *check_notes;             // [{"sizes","derived","used","why"}]
    json_t *admission;               // findings about the task itself; NULL before they were looked for
    hone_rival rival;
    bool has_control; hone_control control;   // physical: the A/A control of this session
    double timed_at;                 // physical: when samples were last taken, seconds of the monotonic clock; 0: never
    json_t *ceilings;                // of the device, kept for the worker's life; NULL before they were asked for
} hone_session;
hone_code hone_session_open(const char *device, unsigned threads, bool host, hone_session **out, hone_err *e);
void hone_session_close(hone_session *s);
// Makes the job's task the one at hand: parsed and compiled, unless it already is.
hone_code hone_session_task(hone_session *s, const hone_job *job, hone_err *e);
hone_code hone_session_judge(hone_session *s, hone_err *e);              // opens the judge when there is none
hone_code hone_session_workload(hone_session *s, size_t size, hone_err *e);
// Chooses the sizes to check at (sizes.c), once per task.
hone_code hone_session_check_sizes(hone_session *s, hone_err *e);
// Host images of a plan's buffers: inputs filled, outputs and scratch poisoned and marked undefined. owns: free with hone_run_free.
hone_code hone_run_fill(const hone_plan *p, uint64_t seed, hone_run_buffer **out, hone_err *e);
void hone_run_free(hone_run_buffer *b, size_t n);
// What the judge says of the task: an array of notes, made once per task. Borrowed. NULL when it could not be made.
const json_t *hone_session_admission(hone_session *s);
void hone_session_drop_workloads(hone_session *s);

// ---- outputs.c: what a program on the timing device computes from a size's inputs (set 0), against the baseline. Adds findings to f.
// p NULL: b's outputs of set 0 lie in its buffers already, as a timed run left them. The baseline's must have been kept before.
hone_code hone_compare_outputs(hone_session *s, size_t size, const hone_bound *b, hone_program *p, hone_findings *f, hone_err *e);
hone_code hone_keep_outputs(hone_session *s, size_t size, hone_err *e);   // runs the baseline once, unless its outputs are kept
void hone_size_forget_outputs(hone_size_state *z);

// ---- rival.c: what a candidate is timed in turns with
// The job's rival at this size, its buffers those of the size's workload, and *ratio, baseline/rival: what a ratio to it is to be multiplied by. false, and
// nothing changed: the job has none, or it cannot be made ready. Borrowed until the workloads are dropped.
bool hone_rival_arm(hone_session *s, const hone_job *j, size_t size, hone_arm *arm, double *ratio);
void hone_rival_rebase(hone_pair *p, double ratio);   // its ratios; the times stay what they were
void hone_rival_drop(hone_session *s);

// ---- report.c: one job's outcome while it grows
typedef struct hone_report {
    uint64_t id;
    json_t *root, *stages;
    hone_findings findings;
    hone_verdict verdict;
    bool stopped;                    // a stage failed: the later ones are skipped
    const hone_compiled *compiled;   // for artifacts
    bool want_artifacts;
    double from, stage_from;
    hone_clock clock;
} hone_report;
hone_code hone_report_init(hone_report *r, const hone_job *j, hone_clock clock, hone_err *e);
void hone_report_free(hone_report *r);
void hone_report_set(hone_report *r, const char *key, json_t *stolen);   // NULL is ignored
void hone_report_begin(hone_report *r);
// Ends a stage: passed when nothing was refused since and c is HONE_OK.
void hone_report_end(hone_report *r, unsigned stage, unsigned refused_before, hone_code c, const hone_err *e);
// Turns a failed run into a finding of the candidate when the code can be blamed on it; false when it cannot (then it is an error).
bool hone_report_blame(hone_report *r, hone_code c, const hone_err *e);
json_t *hone_report_finish(hone_report *r);                              // caller owns

// ---- ceilings.c: {"kind","copy_gbs","fma_tflops"}, measured (virtual: modelled) once per worker; {"reason"} when it cannot be. Borrowed.
const json_t *hone_session_ceilings(hone_session *s);

// ---- stages.c
void hone_evaluate_job(hone_session *s, const hone_job *j, hone_report *r);
// Lets go of what the report borrowed from the session (its compiled program), after the answer was sent.
void hone_evaluate_release(hone_session *s, hone_report *r);
#endif
