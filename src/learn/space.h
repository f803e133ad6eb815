// learn/space: a constrained space of tune parameters. A configuration is one mixed-radix number (first parameter most significant). Small
// spaces are enumerated exactly by depth-first descent that cuts infeasible prefixes: the sorted list is the prefix-feasibility trie in
// compact form. Larger ones answer membership through the constraint itself and sample by randomised descent with backtracking.
#ifndef HONE_LEARN_SPACE_H
#define HONE_LEARN_SPACE_H
#include "base/base.h"

enum { HONE_SPACE_MAX_PARAMS = 32 };
typedef struct hone_space_param {
    const char *name;
    const int64_t *values;
    size_t n_values;
} hone_space_param;
// Whether values[0..n_assigned) can still be extended: every constraint that they decide holds. Called with growing prefixes.
typedef bool (*hone_space_ok)(void *ctx, const int64_t *values, size_t n_assigned);

typedef struct hone_space {
    size_t n;                                         // parameters
    hone_space_param params[HONE_SPACE_MAX_PARAMS];   // values owned by the space
    uint64_t stride[HONE_SPACE_MAX_PARAMS], product;
    bool exact;   // list holds every feasible configuration, ascending
    uint64_t *list;
    size_t n_list;
    hone_space_ok ok;
    void *ok_ctx;   // borrowed; used after construction only when !exact
} hone_space;
// max_list, max_visits: limits of the enumeration, beyond which the space is not exact. ok NULL: no constraints.
// errors: HONE_E_LIMIT (too many parameters, product beyond 2^63), HONE_E_NOMEM. An exact space may be empty.
hone_code hone_space_new(const hone_space_param *params, size_t n, hone_space_ok ok, void *ctx, size_t max_list, size_t max_visits,
                         hone_space **out, hone_err *e);
// Takes a list of feasible configurations, ascending, instead of a constraint; copied.
hone_code hone_space_of_list(const hone_space_param *params, size_t n, const uint64_t *list, size_t n_list, hone_space **out, hone_err *e);
void hone_space_free(hone_space *s);
void hone_space_digits(const hone_space *s, uint64_t config, uint32_t *digits);   // digits[n]
uint64_t hone_space_config(const hone_space *s, const uint32_t *digits);
void hone_space_values(const hone_space *s, uint64_t config, int64_t *values);        // values[n]
bool hone_space_find(const hone_space *s, const int64_t *values, uint64_t *config);   // false: a value is not in its list
bool hone_space_contains(const hone_space *s, uint64_t config);                       // feasible
bool hone_space_sample(const hone_space *s, hone_rng *rng, uint64_t *config);         // false when nothing feasible was found
// A random feasible configuration that differs from `config` in one parameter; step: only the next value up or down.
bool hone_space_neighbour(const hone_space *s, uint64_t config, bool step, hone_rng *rng, uint64_t *out);
#endif
