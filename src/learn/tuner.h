// learn/tuner: which configurations of a tuning space to evaluate next, given those evaluated so far. A portfolio over one archive: a
// surrogate forest with a lower confidence bound, local moves around the best, crossover, random. Stateless: the answer is a function of
// space, observations and rng.
#ifndef HONE_LEARN_TUNER_H
#define HONE_LEARN_TUNER_H
#include "learn/space.h"

typedef struct hone_observation {
    uint64_t config;
    bool ok;
    double cost;
} hone_observation;   // cost > 0 when ok; lower is better
typedef struct hone_tuner_options {
    unsigned initial;      // random configurations before the surrogate is used; 0 = by the number of parameters
    double forest_share;   // of proposals made by the surrogate, the rest is divided among the other members; 0 = default
} hone_tuner_options;
// Up to n configurations that are feasible and not among obs; *got < n when the space runs out. errors: HONE_E_NOMEM.
hone_code hone_tuner_ask(const hone_space *s, const hone_observation *obs, size_t n_obs, const hone_tuner_options *o, hone_rng *rng,
                         size_t n, uint64_t *out, size_t *got, hone_err *e);
#endif
