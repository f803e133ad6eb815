// propose: everything that makes candidates, behind one interface. A proposer reads candidates and returns texts; it never touches a device.
#ifndef HONE_PROPOSE_H
#define HONE_PROPOSE_H
#include "task/task.h"

typedef struct hone_candidate {          // what is evaluated: a text and values for its tune parameters
    uint64_t id;                         // run-local, 0 = baseline
    const char *text; size_t len;        // a task file
    const hone_binding *tuning; size_t n_tuning;
    uint64_t parents[2]; unsigned n_parents;
    const char *proposer, *move;         // "rewrite", "unroll"
    const char *note;                    // one line for people: "unroll loop at line 12 by 4"
    char hash[HONE_HASH_HEX];            // of normalised text + tuning
    bool evaluated, ok;
    double time_us;                      // when ok
    const struct hone_facts *facts;      // when ok: what the evaluation saw; may be NULL
    double cost;                         // when ok: what the search minimises; equals time_us for `objective time`
    const char *finding_kind, *finding_message;   // when refused: the first finding; may be NULL
    const char *finding_evidence;        // its places and sizes as JSON, without any value that an output has or should have; may be NULL
} hone_candidate;

typedef struct hone_facts {              // bottleneck context for moves and the bandit; all relative shares in 0..1
    char bottleneck[24];                 // as the model names it; "" unknown
    double occupancy; uint32_t registers, shared_bytes, threads_per_block;
    double sector_efficiency;            // ideal / actual global sectors
    double bank_conflict;                // actual / ideal wavefronts
    double share_dram, share_issue, share_latency;
} hone_facts;

typedef struct hone_context {
    const hone_task *task;               // contract
    hone_arena *arena;                   // results live here (per generation)
    hone_rng *rng;                       // the only source of randomness
    const hone_candidate *const *population; size_t n_population;   // evaluated and ok, best first
    unsigned phase;                      // 0 explore, 1 exploit
    const hone_candidate *const *history; size_t n_history;         // every candidate with an outcome, failed ones too, in the order applied
    struct hone_tune_cache *tune_cache;  // parsed tuning spaces, so that asking again is cheap (propose/tune.h); NULL: none
    struct hone_writer *writer;          // the state of the proposer "llm" (propose/llm.h); NULL: there is no model
    uint64_t generation;
    unsigned pace;                       // hone_pace (propose/model.h): whether an earlier sitting is repeated, or nothing else is left to try
    bool *deferred;                      // set by a proposer whose candidates come later (collect); may be NULL
} hone_context;

typedef struct hone_proposal {
    const char *text; size_t len; const hone_binding *tuning; size_t n_tuning; const char *move, *note;
    const hone_candidate *parents[2]; unsigned n_parents;   // 0: the candidate that was asked about
} hone_proposal;
typedef struct hone_proposer {
    const char *name;
    // moves[i] NULL-terminated: arms of the bandit
    const char *const *moves;
    // Up to n proposals from this parent with this move; *got may be 0 when the move does not apply. Deterministic in ctx->rng.
    hone_code (*propose)(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got, hone_err *e);
    // Whether a move can apply to this parent at all (cheap); NULL: always.
    bool (*applies)(const hone_context *ctx, const hone_candidate *parent, const char *move);
    // The next candidate that was asked for in an earlier generation and is there now. *got false: none. out->text NULL: one that came to nothing, with its
    // move and parents. NULL: this proposer never defers.
    hone_code (*collect)(const hone_context *ctx, hone_proposal *out, bool *got, hone_err *e);
    bool fresh;   // what applies says changes while the parent does not, and a parent may be asked about again and again
} hone_proposer;
extern const hone_proposer hone_proposer_tune, hone_proposer_rewrite;
extern const hone_proposer *const hone_proposers[];      // NULL-terminated
#endif
