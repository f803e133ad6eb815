// search, inside. Who does what: inbox.c takes candidates from outside; run.c goes on until a budget is spent; generation.c proposes; window.c drives what is proposed against the
// evaluator and the store; screen.c chooses what is measured; state.c applies outcomes and keeps population, texts, duplicates and statistics; facts.c reads an outcome; replay.c reads the archive; confirm.c
// re-evaluates the best; rival.c says what is timed against what; result.c hands over.
#ifndef HONE_SEARCH_INTERNAL_H
#define HONE_SEARCH_INTERNAL_H
#include "learn/bandit.h"
#include "propose/llm.h"
#include "propose/tune.h"
#include "search/search.h"

enum {
    HONE_SEARCH_POPULATION = 32,
    HONE_SEARCH_BATCH = 4,
    HONE_SEARCH_MAX_BATCH = 64,
    HONE_SEARCH_MAX_CONFIRM = 6,
    HONE_SEARCH_MAX_CHECKS = 6,   // check sizes in the fingerprint of a launch plan
    HONE_SEARCH_EXHAUSTED = 3,    // generations in a row without a new candidate
    HONE_SEARCH_MAX_LAG = 3       // generations that may be proposed ahead
};

// ---- map.c: text keys (borrowed) to numbers
typedef struct hone_map {
    struct hone_map_slot {
        const char *key;
        uint64_t hash, value;
    } * v;
    size_t n, cap;
} hone_map;
bool hone_map_put(hone_map *m, const char *key, uint64_t value);   // keeps an earlier value; false when out of memory
bool hone_map_get(const hone_map *m, const char *key, uint64_t *value);
void hone_map_free(hone_map *m);

// ---- entries
typedef struct text_info {   // one distinct source text
    const char *text, *sha;
    size_t len;
    bool tunable;
    double combinations;   // of its tune parameters, constraints not counted
    unsigned configs;      // evaluated
    struct entry *best;    // NULL: none passed
    struct entry *any;
} text_info;
typedef struct entry {
    hone_search_entry pub;
    hone_candidate cand;
    hone_facts facts;
    text_info *text;
    char key[HONE_HASH_HEX], ptx[HONE_HASH_HEX];   // key: PTX + launch plans + flags
    char plan[HONE_HASH_HEX];                      // launch plans + flags
    int arm;                                       // -1: baseline
    bool screened;                                 // modelled by the virtual GPU and left out: its cost is a prediction
    double modelled_us;                            // by the screen; 0: it did not see it
    const double *ratios; size_t n_ratios;         // of one that was the best: baseline / it, per size
    const char *context;                           // of the bandit when proposed
    uint8_t *applies;                              // per arm: 0 unknown, 1 yes, 2 no
    uint8_t *fruitless;                            // per arm: proposals in a row that brought nothing new
    uint32_t cell;                                 // occupancy bin × shared bin × technique
} entry;

typedef struct search_arm {
    const hone_proposer *proposer;
    const char *move;
} search_arm;
typedef struct stored_row {
    char hash[HONE_HASH_HEX], ptx_hash[HONE_HASH_HEX];
    uint64_t duplicate_of;
    bool duplicate;
    char *outcome;
    char *text;   // of a candidate from the inbox: it cannot be proposed again; NULL otherwise
    char *note;
    size_t len;
    double seconds;
} stored_row;

// How well the virtual GPU's times order the measured ones, learnt from the candidates that have both.
typedef struct screen_stats {
    HONE_VEC(double) model_log, measured_log, surprise;   // of the same candidates: ln(µs), and ln(measured / predicted from the parent)
    unsigned measured, left_out, at_random;
} screen_stats;
typedef struct screen_view {
    size_t pairs;
    double rank_correlation, offset, spread;   // Spearman; median of ln(measured / modelled); robust size of the surprises
    double agreement;                          // of the order of candidates that differ, 1 to -1
    double share;                              // of a generation that is measured, while the model's best are promising
} screen_view;

typedef struct search {
    const hone_search_config *c;
    hone_clock clock;
    hone_arena *arena;           // the result's
    HONE_VEC(entry *) entries;   // index = id
    HONE_VEC(const hone_candidate *) history;
    HONE_VEC(text_info *) texts;
    hone_map sources, keys, text_map, kinds;   // normalised source + tuning; PTX key; text sha; finding kinds
    entry *population[HONE_SEARCH_POPULATION];
    size_t n_population;
    search_arm *arms;   // n_arms of the bandit, and after them the inbox's
    size_t n_arms;
    hone_move_stats *stats;
    hone_bandit *bandit;
    hone_reward_scale scale;
    hone_tune_cache *tune_cache;
    hone_sizes *checks;
    size_t n_checks;
    entry *best;   // lowest cost, baseline included
    double told_cost;   // of the best that the evaluator heard of, applied or not; 0: none
    HONE_VEC(hone_convergence) convergence;
    HONE_VEC(hone_finding_count) findings;
    char *best_outcome, *baseline_outcome;
    unsigned evaluations, live_evaluations, duplicates_source, duplicates_ptx, refused, since_best, generation, barren;
    // archive
    uint64_t run;
    bool resumed;
    HONE_VEC(stored_row) rows;
    size_t replayed;
    char *options;   // identity in the archive
    const char *warning;
    uint64_t next_id;            // of the next candidate to propose
    screen_stats screen;
    double gpu_s;                // of the outcomes applied so far
    double earlier_j; bool energy_partial;   // of the devices in earlier sittings
    // time
    double started_s, earlier_s, blocked_s, last_progress_s;
    bool confirming;
    const entry *newest;
    unsigned in_flight;
    bool idle;   // nothing is evaluated and nothing new was found: only the inbox and answers under way can change that
    hone_stop stop;
    bool stopped;
} search;

// ---- generation.c
typedef enum slot_state {
    SLOT_NEW,
    SLOT_COMPILING,
    SLOT_COMPILED,
    SLOT_SCREENING,
    SLOT_SCREENED /* waits for the rest of its generation */,
    SLOT_CHOSEN /* by the screen, to be measured */,
    SLOT_WAITING /* on an earlier slot with the same PTX */,
    SLOT_RUNNING,
    SLOT_DONE
} slot_state;
typedef struct slot {
    entry *e;
    slot_state state;
    hone_outcome *outcome;
    int same_as;
    unsigned retries;
    const stored_row *row;
    bool screened;          // on the virtual GPU
    hone_outcome *screen;   // what it said, until that is joined to the outcome
    const char *why;        // the screen's reason to measure
    double hope;            // the screen's prediction, ln(µs)
} slot;
typedef struct generation {   // the candidates proposed and not all applied yet: one generation, or as many as run ahead
    slot v[(HONE_SEARCH_MAX_LAG + 1) * HONE_SEARCH_MAX_BATCH];
    size_t n, n_applied;
    size_t ends[HONE_SEARCH_MAX_LAG + 2], n_ends;   // where each generation ends
} generation;
// Fills g with up to the batch size of new candidates, ids following the last applied one. Deterministic in (seed, generation number,
// state).
hone_code hone_generation_build(search *s, generation *g, hone_err *e);
hone_code hone_generation_arms(search *s, hone_err *e);
bool hone_generation_is_inbox(const search *s, const entry *x);   // it came from outside: the bandit had no part in it

// ---- state.c
hone_code hone_state_init(search *s, hone_err *e);
void hone_state_free(search *s);
// A candidate with its hash, text and launch plan; *out NULL when it is a duplicate or cannot be launched (*invalid says which). arena:
// scratch.
hone_code hone_state_admit(search *s, hone_arena *arena, const entry *parent, const hone_proposal *p, int arm, const char *context,
                           uint64_t id, entry **out, bool *invalid, hone_err *e);
hone_code hone_state_baseline(search *s, entry **out, hone_err *e);
// Applies an outcome (or that of `same`, an entry with the same PTX and launch plan) as the next in sequence.
hone_code hone_state_apply(search *s, entry *x, const hone_outcome *o, const entry *same, hone_err *e);
void hone_state_pair_cost(const search *s, const hone_outcome *o, hone_timing *t);   // of what was measured, from the baseline measured beside it
bool hone_state_too_slow(const search *s, const hone_timing *t);
double hone_state_speedup(const search *s);

// ---- rival.c
hone_code hone_rival_ratios(search *s, entry *x, const hone_outcome *o, hone_err *e);   // x is the new best
void hone_rival_set(const search *s, hone_job *j);                                      // the best takes the baseline's place where that pays
hone_code hone_rival_tell(search *s, const entry *x, const hone_outcome *o, hone_err *e);   // x was measured: perhaps there is a new best

// ---- facts.c
void hone_facts_read(const hone_outcome *o, hone_facts *f);
hone_code hone_timing_read(const hone_task *t, const hone_outcome *o, hone_timing *out, hone_err *e);   // HONE_E_WRONG: no time in it

// ---- inbox.c
// Takes candidates from outside into g, first of all; while the archive is replayed, those that it holds.
hone_code hone_inbox_fill(search *s, generation *g, hone_arena *arena, const hone_context *ctx, size_t batch, hone_err *e);
void hone_inbox_tell(search *s, const entry *x);   // its outcome was applied
// With nothing left to propose: whether to wait for the inbox. false at the end of the time budget, and without one.
bool hone_inbox_wait(search *s);

// ---- replay.c
void hone_replay_drop_rows(search *s);
hone_code hone_replay_open(search *s, hone_err *e);   // finds or starts the run, loads its rows
const stored_row *hone_replay_row(search *s, uint64_t seq, const char *hash, hone_err *e, hone_code *c);   // NULL: evaluate it
hone_code hone_replay_append(search *s, const entry *x, const char *outcome, hone_err *e);                 // outcome NULL: a duplicate
// Puts a live outcome through the text that the archive keeps, so that this sitting sees exactly what a later one will read. *text: caller
// owns.
hone_code hone_replay_form(hone_outcome **o, char **text, hone_err *e);
hone_code hone_replay_outcome(const stored_row *r, hone_outcome **out, hone_err *e);

// ---- window.c
hone_code hone_window_append(search *s, generation *g, const generation *next, hone_err *e);   // g takes what is in next
hone_code hone_window_run_first(search *s, generation *g, hone_err *e);                        // until the first generation is applied, or the search has stopped
bool hone_window_first_is_applied(const generation *g);
hone_code hone_window_finish(search *s, generation *g, hone_err *e);                           // after a stop: results that wait for evaluations under way
void hone_window_drop_first(generation *g);
void hone_window_drop_all(search *s, generation *g);
bool hone_search_budget_spent(search *s);                                                      // then the search has stopped

// ---- run.c, used by window.c
uint64_t hone_search_job_id(const entry *x, slot_state state);
bool hone_search_out_of_time(const search *s);
// HONE_E_TIMEOUT after a short while, so that progress, budgets and Ctrl-C are looked at.
hone_code hone_search_next_outcome(search *s, hone_outcome **out, hone_err *e);

// ---- run.c, used by confirm.c
// One job to its end, other outcomes discarded. HONE_E_INTERRUPTED.
hone_code hone_search_one(search *s, const hone_job *j, hone_outcome **out, hone_err *e);
void hone_search_job(const search *s, const entry *x, unsigned stages, hone_job *j);
void hone_search_energy_job(const search *s, unsigned times, hone_job *j);   // windows and blocks, so many times the configured ones
void hone_search_tell(search *s, bool always);   // progress
bool hone_search_interrupted(const search *s);
bool hone_search_energy(const search *s, double *joules);   // of the devices, all sittings; false: not known
double hone_search_elapsed(const search *s);

// ---- screen.c
// Of the window's slots up to `end`: chooses the next to be measured while a device is free, knowing what those before brought. Slots left out, once their
// generation is screened, are done, with the virtual GPU's outcome.
hone_code hone_screen_decide(search *s, generation *g, size_t end, hone_err *e);
hone_code hone_screen_leave_out(search *s, slot *w, hone_err *e);   // of a slot that waits for a decision or a measurement: it gets neither
// The measured outcome with what the screen said.
hone_code hone_screen_join(slot *w, hone_outcome **measured, hone_err *e);
// Learns from x's outcome; if it was left out, its timing becomes the prediction and x->screened true.
hone_code hone_screen_apply(search *s, entry *x, const hone_outcome *o, hone_err *e);
void hone_screen_look(const screen_stats *s, screen_view *out);
void hone_screen_free(screen_stats *s);

// ---- confirm.c, result.c
typedef struct confirmation {
    entry *best;
    hone_timing timing;
    bool confirmed;
    unsigned tried, failed;
    char *outcome;
} confirmation;
hone_code hone_confirm_best(search *s, confirmation *out, hone_err *e);
hone_code hone_result_make(search *s, const confirmation *k, hone_search_result **out, hone_err *e);
#endif
