// search: the loop that improves a task's kernels. Its state is a function of (seed, options, sequence of applied outcomes): generations of
// a fixed batch size are proposed from that state, evaluated in any order, and applied in proposal order, each appended to the store.
// Resuming replays the stored outcomes through the same state machine, so a run killed at any instant ends with the same best as an
// undisturbed one. It never loads a driver: candidates go out through hone_evaluator. See docs/search.md.
#ifndef HONE_SEARCH_H
#define HONE_SEARCH_H
#include "evaluate/evaluate.h"
#include "propose/inbox.h"
#include "propose/propose.h"
#include "store/store.h"

// ---- where candidates are evaluated: a pool of workers, or a simulation in tests
typedef struct hone_evaluator {
    void *self;
    unsigned (*free_slots)(void *self);
    hone_code (*submit)(void *self, const hone_job *j, hone_err *e);   // copies the job; HONE_E_BUSY when no slot is free
    // As hone_pool_wait: next finished job in any order; HONE_E_TIMEOUT, HONE_E_INTERRUPTED.
    hone_code (*wait)(void *self, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e);
    // What the devices took since they were opened, idle time included. false: not known. NULL: never known.
    bool (*energy_j)(void *self, double *joules);
    // As hone_pool_race. NULL: a job is timed against what it was submitted with.
    hone_code (*race)(void *self, const hone_job *j, hone_err *e);
    void (*cancel)(void *self, uint64_t id);   // as hone_pool_cancel. NULL: what is under way at the end is waited for
} hone_evaluator;
hone_evaluator hone_evaluator_of_pool(hone_pool *p);   // borrows p

// ---- progress, called after every applied outcome and while waiting (at most about ten times a second)
typedef struct hone_search_progress {
    unsigned evaluations, evaluations_limit;    // limit 0: none
    unsigned generation, duplicates, refused;   // refused: evaluated and failed
    bool replaying;                             // outcomes come from the archive
    bool has_baseline;
    double baseline_us;
    bool has_best;
    double best_us, speedup;   // best so far, not confirmed yet
    uint64_t best_id;
    double elapsed_s, rate_per_s;   // rate of evaluations in this process
    bool has_eta;
    double eta_s;
    const char *proposer, *move, *note;   // of the newest candidate under evaluation; NULL when there is none
    unsigned in_flight;
    bool confirming;
} hone_search_progress;

typedef struct hone_search_config {
    const hone_task *task;
    const char *device;   // as given, part of the run's identity
    const char *const *flags;
    size_t n_flags;   // extra compiler options for every job
    hone_evaluator evaluator;
    hone_store *store;                       // borrowed, writable; NULL: nothing is kept
    const hone_proposer *const *proposers;   // NULL-terminated; NULL: hone_proposers
    uint64_t seed;
    unsigned batch;                  // candidates per generation; 0 = 4. Never derived from the number of workers
    unsigned ahead;                  // generations proposed before the one in evaluation is applied, 0 to 3: keeps a physical device at work
    unsigned screen;                 // all candidates on the virtual GPU first, only the promising ones on the device (jobs with on_virtual): so many are measured at a time; 0: no screen
    unsigned evals;                  // budget; 0 = none
    double time_s;                   // budget of wall time over all sittings of the run; 0 = none
    unsigned patience;               // stop after that many evaluations without improvement; 0 = none
    unsigned timing_samples;         // as hone_job; 0 = default
    double job_time_limit_s;         // as hone_job; 0 = default
    double energy_window_s; unsigned energy_blocks;   // physical: as hone_job; window 0: energy is not measured. A confirmation takes twice both
    const hone_inbox *inbox;         // candidates from outside, taken before each generation; NULL: none
    bool no_confirm;                 // skip the final confirmation (tests, benches)
    struct hone_writer *writer;      // the proposer "llm" (propose/llm.h), borrowed; NULL: none. Then `proposers` should hold it
    const char *writer_identity;     // models and templates: part of the run's identity
    double writer_share;             // of the proposals, while a model answers; 0 = 0.5
    const char *bandit_prior;        // state of an earlier run (hone_search_result.bandit), or NULL
    const hone_clock *clock;         // NULL: the monotonic clock
    const volatile int *interrupt;   // non-zero: finish at once with everything valid; may be NULL
    void (*progress)(void *self, const hone_search_progress *p);
    void *progress_self;
} hone_search_config;

// ---- result
typedef enum hone_compare {
    HONE_CMP_NONE /* no improvement found */,
    HONE_CMP_FAST,
    HONE_CMP_SAME,
    HONE_CMP_AMBIGUOUS,
    HONE_CMP_SLOW
} hone_compare;
const char *hone_compare_name(hone_compare c);   // "none", "fast", "same", "ambiguous", "slow"
// FAST only when the improvement exceeds what noise (physical: interval of the pairs) or the model's error band (virtual) could explain by more
// than 0.5 %, and no size is slower by more than 1 %.
typedef struct hone_timing {
    double time_us, lo_us, hi_us;
    bool modelled;
    double error_band;
    double cost;
    bool paired;                                  // measured in turns with the baseline: the members below hold, baseline / candidate
    double ratio, ratio_lo, ratio_hi, ratio_worst;   // median of the pairs with its interval; worst: the median of the size where it is smallest
    double cost_lo, cost_hi;   // interval of the cost against the baseline's, from energy measured beside it; 0: the time's interval stands for it
    double paired_us;          // time in terms of the baseline's first one, so that devices and hours compare; 0: not timed beside it
    bool has_energy; double energy_mj, energy_lo_mj, energy_hi_mj;   // per run, in terms of the baseline's
} hone_timing;
// What an outcome says of its time, cost = time. All zero without one.
hone_timing hone_timing_of(const hone_outcome *o);
hone_timing hone_timing_of_json(const json_t *time);   // an outcome's member `time`
// With the objective `energy`: how much slower than the baseline a best may be.
#define HONE_ENERGY_MAX_SLOWDOWN 1.1
hone_compare hone_compare_timings(const hone_timing *baseline, const hone_timing *candidate);
// Two outcomes by the objective, as at the end of a search: times, or the energies that were measured in turns, or their products. false: one of them does
// not say what the objective asks.
bool hone_compare_outcomes(hone_objective objective, const hone_outcome *baseline, const hone_outcome *candidate, hone_compare *out);
// The speedup's worst and best case, as hone_compare_timings judges it.
void hone_compare_bounds(const hone_timing *baseline, const hone_timing *candidate, double *lo, double *hi);

typedef enum hone_stop {
    HONE_STOP_EVALS,
    HONE_STOP_TIME,
    HONE_STOP_PATIENCE,
    HONE_STOP_EXHAUSTED /* nothing new to propose */,
    HONE_STOP_INTERRUPTED,
    HONE_STOP_BASELINE /* baseline refused */
} hone_stop;
const char *hone_stop_name(hone_stop s);

typedef struct hone_search_entry {   // one candidate with its outcome, for reports
    const hone_candidate *candidate;
    hone_timing timing;   // when candidate->ok
    uint64_t generation;
    bool duplicate;
    uint64_t duplicate_of;                        // same PTX and launch plan as that candidate: took its outcome, was not timed
    bool screened;                                // modelled on the virtual GPU and left out: the time is a prediction
    bool too_slow;                                // objective energy: over HONE_ENERGY_MAX_SLOWDOWN times the baseline's time, so it is never the best
    const char *ptx_hash;                         // "" before compile
    const char *finding_kind, *finding_message;   // first finding when refused; NULL
    double seconds;                               // spent by the worker
} hone_search_entry;
typedef struct hone_convergence {
    unsigned evaluation;
    uint64_t id;
    double time_us, elapsed_s, gpu_s;   // gpu_s: device time of everything applied until then
} hone_convergence;   // a new best
typedef struct hone_move_stats {
    const char *proposer, *move;
    unsigned tried, evaluated, passed, improved /* over the parent */, best /* became best */;
    double gain_log_sum;
} hone_move_stats;
typedef struct hone_finding_count {
    const char *kind;
    unsigned count;
} hone_finding_count;

typedef struct hone_search_result {
    hone_arena *arena;   // owns everything below
    uint64_t run;
    bool resumed;
    unsigned replayed;
    hone_stop stop;
    const hone_search_entry *baseline;   // NULL when it was never evaluated
    const hone_search_entry *best;       // beats the baseline; NULL when nothing does. Confirmed unless interrupted or no_confirm
    hone_compare verdict;                // of best against the baseline
    double speedup;                      // baseline cost / best cost; 1 when best is NULL
    bool confirmed;                      // best passed a full evaluation with fresh seeds
    unsigned confirmations, confirmations_failed;
    const hone_search_entry *const *lineage;
    size_t n_lineage;   // best, its first parent, … , baseline
    const hone_search_entry *const *entries;
    size_t n_entries;   // all, in order applied
    hone_convergence *convergence;
    size_t n_convergence;
    hone_move_stats *moves;
    size_t n_moves;
    hone_finding_count *findings;
    size_t n_findings;   // by kind, most frequent first
    unsigned evaluations, duplicates_source, duplicates_ptx, refused, generations;
    double seconds, seconds_evaluating, seconds_searching;   // this process: wall, blocked on the evaluator, the rest
    double gpu_s, gpu_to_best_s;                             // device time of all outcomes (earlier sittings too), and until the best was found
    bool has_energy_j; double energy_j;                      // of all sittings by the devices' counters, idle time included
    bool energy_partial;                                     // an earlier sitting's is not known
    bool screened;                                           // --screen: the members below
    unsigned screen_measured, screen_left_out, screen_at_random;
    double screen_rank_correlation, screen_agreement, screen_share, screen_spread;
    const char *warning;                                     // "the archive's row 12 does not match …"; NULL
    const char *bandit;                                      // learnt state, for bandit_prior
    char *best_outcome_json;   // of the confirmation (of the evaluation when not confirmed); NULL without best
    char *baseline_outcome_json;
} hone_search_result;

// Runs, or resumes the run with the same task, device, options and seed found in the store. Budgets are not part of the identity: asking
// for more evaluations continues. An interruption is a success with stop = HONE_STOP_INTERRUPTED. A refused baseline is a success with stop
// = HONE_STOP_BASELINE. errors: HONE_E_IO (archive, disk full), HONE_E_NO_DEVICE, HONE_E_NOMEM …; *out is NULL then.
hone_code hone_search_run(const hone_search_config *c, hone_search_result **out, hone_err *e);
void hone_search_result_free(hone_search_result *r);
#endif
