// The judge's own structures, shared by judge.c (life, facts), cases.c (references) and candidate.c (the tests).
#ifndef HONE_CHECK_JUDGE_INTERNAL_H
#define HONE_CHECK_JUDGE_INTERNAL_H
#include "check/internal.h"

typedef struct judge_size {
    const hone_sizes *sizes;     // borrowed from the judge's arena
    hone_plan *base, *shadow;    // shadow NULL without one
    double conditioning;         // longest input dimension, for the bound without a shadow
    bool small;                  // one run is next to nothing: many are made
    bool heavy;                  // one run is a lot of work: as few as possible
} judge_size;
typedef struct judge_case {
    size_t size;                 // index into hone_judge.sizes
    hone_input input;
    uint64_t seed;
    bool first_of_size;
    bool brief;                  // without a shadow: nobody asks for one, or an earlier case of this heavy size has it
    bool ready;
    bool by_shadow, by_run;      // a higher-precision reference; it is the binary64 shadow of the baseline's own run
    uint8_t **inputs;
    hone_reference *refs;        // per buffer of the baseline's plan; n = 0 for inputs and scratch
    size_t bytes;                // held by this case
} judge_case;
// What each input does to the baseline's outputs at one small case (influence.c). Arrays over the plan's buffers, owned.
typedef struct hone_influence {
    judge_case *k;               // NULL: not looked at yet
    uint8_t **altered;           // other values for each input; NULL: there are none to try
    uint32_t *outputs;           // which outputs then differ by more than the tolerance
    bool *moves, *ran;           // some output has other bits; the baseline ran
} hone_influence;
struct hone_judge {
    hone_judge_config c;
    hone_arena *arena;
    hone_task *shadow_task;
    void *base_program, *shadow_program;
    const char *no_shadow;       // why there is none; NULL when there is one. Static text or in the arena
    judge_size *sizes; size_t n_sizes;
    judge_case *cases; size_t n_cases;
    size_t cached_bytes;
    unsigned shadow_cases, bound_cases, run_cases;   // run_cases: of the shadow_cases, those by the run's own shadow
    const char *no_run_shadow;   // why the run's own shadow is not used; NULL when it is
    uint64_t rederived;          // in runs whose shadow is used
    bool asked_second;           // the source's shadow was compared with the run's
    unsigned second_opinions;    // asked so far
    double second_ratio;         // baseline's error by the run's shadow / by the source's; 0: not known
    json_t *precision;           // by output buffer: the baseline's own rounding error, worst case so far; owned
    bool needs_truth;            // some output is judged against a higher-precision run
    bool varying;                // the baseline's results vary from run to run
    hone_influence influence;
    struct hone_relations *relations;   // what the baseline keeps (relations.h); NULL before they were looked for; owned
    json_t *facts;
    const char *only;            // hone_judge_only
    bool brief;                  // hone_judge_brief
};
hone_code hone_influence_find(hone_judge *j, hone_err *e);
void hone_influence_free(hone_judge *j);
void hone_case_name(const hone_judge *j, const judge_case *k, char out[256]);
// reference_run.c: references from the binary64 shadow of the baseline's own run. *usable false: there is none, and j->no_run_shadow says why.
hone_code hone_case_run_shadow(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, bool *usable, hone_err *e);
// How many of the at most `most` runs with moved inputs this case gets.
size_t hone_case_moves(const hone_judge *j, const judge_case *k, size_t most);
// Notes the baseline's rounding error in a case that has a higher-precision reference.
void hone_case_note_precision(hone_judge *j, const judge_case *k);
bool hone_case_diverges(const judge_size *s, const judge_case *k);
double hone_case_error(const judge_size *s, const judge_case *k);     // relative RMS over all outputs
void hone_case_free_refs(judge_case *k, size_t n);
// Computes the case's inputs and references unless it has them.
hone_code hone_case_prepare(hone_judge *j, judge_case *k, hone_err *e);
// Forgets them when more is cached than allowed.
void hone_case_release(hone_judge *j, judge_case *k, bool always);
hone_code hone_judge_run(const hone_judge *j, void *program, const hone_plan *plan, hone_images *im, unsigned placement, uint64_t schedule,
                         hone_err *e);
static inline bool hone_is_output(const hone_plan_buffer *b) { return b->arg->role == HONE_OUT || b->arg->role == HONE_INOUT; }
#endif
