// check: is a candidate allowed to call itself correct? Static rules on source and PTX, then differential tests against the baseline with
// poisoned outputs, guard zones and several input distributions. It needs from a device only a hone_runner (implemented by evaluate/), so
// everything here runs without any GPU in unit tests. It does not compile, time, or know who proposed the candidate. See
// docs/verification.md.
#ifndef HONE_CHECK_H
#define HONE_CHECK_H
#include "task/task.h"
#include <jansson.h>

// ---- findings: named reasons, with evidence
typedef enum hone_severity { HONE_NOTE /* told, does not refuse */, HONE_REFUSE } hone_severity;
#define FINDING(name, kind, stage, severity, text) HONE_F_##name,
typedef enum hone_finding_kind {
#include "check/findings.def"
    HONE_F_COUNT
} hone_finding_kind;
#undef FINDING
const char *hone_finding_name(hone_finding_kind k);           // "static.clock"
const char *hone_finding_stage(hone_finding_kind k);          // "static"
const char *hone_finding_text(hone_finding_kind k);           // one line of explanation
hone_severity hone_finding_severity(hone_finding_kind k);
bool hone_finding_by_name(const char *name, hone_finding_kind *out);

// A list of findings as a JSON array of {kind, stage, severity:"refuse"|"note", message, file?, line?, evidence?}; at most
// HONE_FINDINGS_MAX are kept, `dropped` counts the rest. owns: array.
enum { HONE_FINDINGS_MAX = 64 };
typedef struct hone_findings { json_t *array; unsigned refused, notes, dropped; } hone_findings;
hone_code hone_findings_init(hone_findings *f, hone_err *e);
void hone_findings_free(hone_findings *f);
// evidence is stolen, NULL when there is none; file NULL and line 0 when unknown. Out of memory drops the object, never the refusal.
void hone_findings_add(hone_findings *f, hone_finding_kind k, const char *file, uint32_t line, json_t *evidence, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
// The same for a kind known only by name (those of the virtual GPU: "memory.out-of-bounds"). A name outside the table refuses.
void hone_findings_add_named(hone_findings *f, const char *kind, const char *stage, const char *file, uint32_t line, json_t *evidence,
                             const char *message);

// ---- stage 0: static rules. Both return HONE_OK when they could judge; what they found is in f.
// Source of the candidate, and its contract against the task's. candidate == task is the baseline itself.
hone_code hone_check_source(const hone_task *task, const hone_task *candidate, hone_findings *f, hone_err *e);
// PTX of the candidate; baseline_ptx may be NULL. Persistent __device__ state and inline PTX that the baseline has too are not refused.
hone_code hone_check_ptx(const char *ptx, size_t len, const char *baseline_ptx, size_t baseline_len, hone_findings *f, hone_err *e);
// Whether the PTX has a floating-point atomic (atom/red .add/.min/.max on f16 bf16 f32 f64): its results may differ from run to run.
bool hone_ptx_float_atomics(const char *ptx, size_t len);

// ---- the device, as far as check/ needs it
// One buffer of a run. `image` is guard_bytes, then bytes of contents, then guard_bytes. The runner makes a device allocation of at least
// image_bytes (256-aligned start; guard_bytes is 0 or a multiple of 256), copies the image there, passes start + guard_bytes to the
// kernels, and after the run copies everything back.
typedef struct hone_run_buffer {
    const char *name;
    hone_role role;
    uint8_t *image;
    size_t image_bytes, guard_bytes, bytes;
    bool keep;                 // the device's contents stay as the run before, of equal plan and placement, left them
    bool undefined;            // contents are poison: on the virtual GPU call honeVgpuForget for them
} hone_run_buffer;
// The binary64 shadow of a run, by buffer; only buffers of float, half and bfloat16 have one.
typedef struct hone_shadow_run {
    double **values;           // [n_buffers] before the run: exact values of inputs (NULL: the values that the run gets); after it: the shadows of outputs
    uint64_t results, lost, rederived;   // see honeVgpuShadowStats
} hone_shadow_run;
typedef struct hone_run {
    const hone_plan *plan;     // of the program's own task
    hone_run_buffer *buffers;  // in the order of plan->buffers
    size_t n_buffers;
    // Runs of one program with equal plans and placements use the same device addresses, with another placement other ones.
    unsigned placement;
    uint64_t schedule_seed;    // virtual GPU: honeVgpuOptions.schedule_seed; ignored elsewhere
    struct hone_shadow_run *shadow;   // virtual GPU: run with a binary64 shadow (HONE_VGPU_SHADOW). NULL: without
} hone_run;
typedef struct hone_runner {
    void *self;
    bool shadows;              // runs can have a binary64 shadow
    size_t guard_bytes;        // 0 when the device itself refuses any access outside a buffer (virtual GPU with checks), else 4096
    // Makes a task runnable (compiling it, or from the cache). *program stays valid until unload; one program keeps one module loaded, so
    // that state in __device__ variables survives between its runs, as it would for a user. owns: the runner.
    hone_code (*load)(void *self, const hone_task *t, const hone_env *tuning, void **program, hone_err *e);
    void (*unload)(void *self, void *program);
    // errors: HONE_E_DEVICE (fault, bad launch), HONE_E_TIMEOUT, HONE_E_WRONG (the device's own sanitizer found something; the runner
    // reports it itself where it keeps findings), HONE_E_UNSUPPORTED. The candidate's run failing is a finding, anything else's an error.
    hone_code (*run)(void *self, void *program, hone_run *r, hone_err *e);
} hone_runner;

// ---- stages 2 and 3: differential tests. One judge per worker and task: it keeps the baseline's results, its higher-precision shadow and
// error scales between candidates.
typedef struct hone_judge hone_judge;
typedef struct hone_judge_config {
    const hone_task *task;     // contract and baseline; borrowed, must outlive the judge
    const hone_env *tuning;    // the baseline's; NULL: first values. borrowed
    hone_runner runner;
    uint64_t seed;             // of the inputs
    const hone_sizes *sizes; size_t n_sizes;   // to check at; NULL: hone_task_check_sizes. borrowed
    size_t max_size_bytes;     // buffers of one check size; 0: 16 MiB
    size_t max_cache_bytes;    // results kept between candidates; 0: 192 MiB
    unsigned variants;         // input distributions per size at most; 0: all that apply
} hone_judge_config;
// errors: those of load and run on the baseline: a baseline that does not run cannot be judged against.
hone_code hone_judge_open(const hone_judge_config *c, hone_judge **out, hone_err *e);
void hone_judge_close(hone_judge *j);
// What the judge decided about the baseline: {"sizes":[…],"reference":"shadow"|"bound","reason":…,"deterministic":…}. Borrowed.
const json_t *hone_judge_facts(const hone_judge *j);

typedef struct hone_judged {
    unsigned cases, runs, relations;       // done
    bool differs;                          // some output of some case was not the baseline's bit for bit
    json_t *errors;   // owned; by buffer, its worst case: {"metric","baseline","candidate","allowed","share","multiple"?}
} hone_judged;
void hone_judged_free(hone_judged *r);
// Runs all cases, cheap sizes first, and stops after the first size with a refusal. float_atomics: results may vary in the last bits from
// run to run (hone_ptx_float_atomics). Candidate and tuning are borrowed for the call. Refused ⇔ f->refused grew.
// errors: only when it could not be judged (out of memory, the baseline stopped running, device lost while running the baseline).
hone_code hone_judge_candidate(hone_judge *j, const hone_task *candidate, const hone_env *tuning, bool float_atomics, hone_findings *f,
                               hone_judged *r, hone_err *e);
// From now on only this case of a candidate is judged, without launch histories; NULL: all. A case is named as in findings' evidence:
// "M=5,N=33:normal", the sizes and the input distribution; a relation of it as "M=5,N=33:normal/permutation:M". Borrowed until the next call.
void hone_judge_only(hone_judge *j, const char *only);
// From now on candidates are judged without launch histories, which take most of the time of one that passes.
void hone_judge_brief(hone_judge *j, bool brief);
// One output buffer of a timed run against the baseline's, at any size, in pieces of whole rows and on several threads. Both come from the
// same inputs. Uses the wider, reference-free bound of docs/verification.md ("Timed outputs"). Begin, every piece in order, end.
typedef struct hone_output_check {
    const hone_judge *judge; const hone_plan *plan;   // borrowed
    size_t buffer;                         // of the plan
    unsigned threads;
    size_t done;                           // elements looked at
    bool any_order;                        // integers whose places vary from run to run in the baseline: compared as a set
    uint64_t set_baseline, set_candidate;
    double bound;
    bool wrong; size_t at; double expected, got;
} hone_output_check;
void hone_output_check_begin(hone_output_check *o, const hone_judge *j, const hone_plan *p, size_t buffer, unsigned threads);
// Elements per piece: whole rows, about `bytes` of them, or everything when that is less.
size_t hone_output_check_step(const hone_output_check *o, size_t bytes);
// The next n elements, n from hone_output_check_step (the last piece may be shorter). false when the output is known to be wrong.
bool hone_output_check_piece(hone_output_check *o, const void *baseline, const void *candidate, size_t n);
// true when all agreed; otherwise a finding was added.
bool hone_output_check_end(const hone_output_check *o, hone_findings *f);
// The three in one, for a buffer that is in memory as a whole.
bool hone_judge_same_output(const hone_judge *j, const hone_plan *p, size_t buffer, const void *baseline, const void *candidate,
                            hone_findings *f);
// Is the task's test strong enough? Notes (findings task.weak) a task for which zero, constant, copied-input, dropped-tile,
// lower-precision or previous output would pass, or an input that influences nothing.
hone_code hone_judge_admit(hone_judge *j, hone_findings *f, hone_err *e);
#endif
