// learn/bandit: which arm pays in which context, by discounted Thompson sampling. An arm is a (proposer, move); a context is a short name
// such as "dram/explore". Rewards lie in 0..1. Each context has its own counts and borrows at most a few from what all contexts saw
// together. All randomness comes from the generator passed in, so that a run replays bit for bit. source: Raj & Kalyani 2017, discounted
// Thompson sampling.
#ifndef HONE_LEARN_BANDIT_H
#define HONE_LEARN_BANDIT_H
#include "base/base.h"

typedef struct hone_bandit hone_bandit;
typedef struct hone_bandit_options {
    double discount;    // of old counts per update, 0..1; 0 = 0.97
    double min_share;   // least probability of every eligible arm; 0 = 0.01, at most half of an equal share
    double borrow;      // pseudo-counts taken from all contexts together; 0 = 6
    double prior_cap;   // pseudo-counts an arm may inherit from an earlier run; 0 = 20
} hone_bandit_options;
// names: one per arm, without spaces; copied. NULL when out of memory.
hone_bandit *hone_bandit_new(const char *const *names, size_t n, const hone_bandit_options *o);
void hone_bandit_free(hone_bandit *b);
// The arm to try among those with eligible[i] (n booleans); -1 when none is.
int hone_bandit_pick(hone_bandit *b, const char *context, const bool *eligible, hone_rng *rng);
// weight: how much evidence this is; 1 for an evaluated candidate, less for a proposal that came to nothing or for credit to an ancestor's
// arm.
hone_code hone_bandit_update(hone_bandit *b, const char *context, size_t arm, double reward, double weight, hone_err *e);
double hone_bandit_mean(const hone_bandit *b, const char *context, size_t arm);   // posterior mean
// State as text ("bandit 1", then one line per context and arm), exact.
void hone_bandit_dump(const hone_bandit *b, hone_str *out);
// Restores a dump: exactly when `exact`, else as a prior capped at prior_cap counts per arm. Arms of unknown names are skipped. errors:
// HONE_E_PARSE.
hone_code hone_bandit_load(hone_bandit *b, const char *text, bool exact, hone_err *e);

// Rank-normalises gains: reward of a gain = share of earlier positive gains that it reaches. Gains ≤ 0 earn 0.
typedef struct hone_reward_scale {
    HONE_VEC(double) gains;
} hone_reward_scale;
hone_code hone_reward_of(hone_reward_scale *s, double gain, double *reward, hone_err *e);
void hone_reward_scale_free(hone_reward_scale *s);
#endif
