// One candidate on trial: what candidate.c (cases and comparison) and state.c (launch history) share. Internal to check/.
#ifndef HONE_CHECK_TRIAL_H
#define HONE_CHECK_TRIAL_H
#include "check/judge_internal.h"

typedef struct trial {
    hone_judge *j;
    const hone_task *candidate;
    const hone_env *tuning;
    void *program;
    bool float_atomics;
    hone_findings *f;
    hone_judged *r;
    bool stop;               // the candidate's program cannot be run any more
    bool told_nondeterministic;
    unsigned refused_before;  // by earlier stages
    unsigned launches;        // runs of the program since it was loaded
} trial;

// How one run differs from the first one of its case, which is all zeros and HONE_POISON_A.
typedef struct manner {
    uint8_t poison, scratch_poison;
    unsigned placement;
    uint64_t schedule;
    bool keep_scratch;       // workspace keeps what the run before left there
} manner;
#define MANNER_FIRST ((manner){.poison = HONE_POISON_A, .scratch_poison = HONE_POISON_A})

json_t *hone_trial_evidence(const trial *t, const judge_case *k);          // sizes, input, seed; caller owns, may be NULL
json_t *hone_trial_number(double x);
// Runs the candidate on a case's inputs. When it failed, t->stop is set, its finding is made and *im is empty.
// errors: only those that are not the candidate's fault
hone_code hone_trial_run(trial *t, const judge_case *k, const hone_plan *plan, manner m, hone_images *im, hone_err *e);
// The same on inputs of one's own, which the baseline's plan at these sizes goes with. evidence is stolen: what to say when it fails.
hone_code hone_trial_run_on(trial *t, json_t *evidence, const hone_plan *base, uint8_t *const *inputs, const hone_plan *plan, manner m, hone_images *im,
                            hone_err *e);
// Compares the outputs with the case's references and adds findings; quietly: only says whether they are wrong.
hone_code hone_trial_values(trial *t, const judge_case *k, const hone_images *im, bool quietly, bool *wrong, hone_err *e);
// First element in which two runs differ, neither being the poison of its run: the buffer of the baseline's plan, or -1. Floats that may vary
// (atomics) are passed over.
int hone_trial_difference(const trial *t, const judge_case *k, const hone_images *a, const hone_images *b, size_t *element);
hone_code hone_trial_reload(trial *t, hone_err *e);
void hone_index_text(const hone_plan_buffer *b, size_t at, char out[128]);   // [3][17] of a (…,64) buffer

// ---- state.c
// Two runs of one case that differ in poison, addresses and schedule gave different results: which of them was it? Adds that finding.
hone_code hone_trial_isolate(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e);
// A case that is wrong after other launches: is it right on a freshly loaded module? Then names what it depends on.
hone_code hone_trial_blame_history(trial *t, judge_case *cases, const judge_case *k, const hone_plan *plan, hone_err *e);
// Launch histories at one small size whose cases all passed: cases[0 .. n-1].
hone_code hone_trial_histories(trial *t, judge_case *cases, size_t n, const hone_plan *plan, hone_err *e);

// ---- influence.c
// Adds a finding for each input that the baseline's outputs follow and the candidate's do not.
hone_code hone_trial_influence(trial *t, hone_err *e);

// ---- relations_try.c
// The relations that the baseline keeps, demanded of a candidate that has passed its cases.
hone_code hone_trial_relations(trial *t, hone_err *e);

// ---- ignored.c
// The case is wrong, `first` being its run: adds a finding for each input that the candidate does not look at though the baseline does.
hone_code hone_trial_ignored_inputs(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e);
#endif
