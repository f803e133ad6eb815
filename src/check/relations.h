// Metamorphic relations: what the task's function does to related inputs, found on the baseline and then demanded of candidates. relation_maps.c knows
// what a relation does to inputs and how its outputs are led back; relations.c finds those that the baseline keeps; relations_try.c tests a candidate.
// Internal to check/. See docs/verification.md, "Metamorphic relations".
#ifndef HONE_CHECK_RELATIONS_H
#define HONE_CHECK_RELATIONS_H
#include "check/judge_internal.h"

enum { RELATION_BUFFERS = 32, RELATION_CASES = 2 };

typedef enum relation_kind { RELATION_SCALING, RELATION_ADDITIVITY, RELATION_PERMUTATION, RELATION_PADDING, RELATION_BATCH } relation_kind;

typedef struct relation {
    relation_kind kind;
    size_t at;                          // the judge's size whose cases it is kept on
    char name[128];                     // "scaling-31:A+B", "batch:N=17@4"; part of a case's name
    uint32_t inputs;                    // scaling, additivity: which buffers of the plan
    int exponent;                       // scaling: those inputs times 2^exponent
    int degree[RELATION_BUFFERS];       // scaling: then output b is 2^(degree[b]·exponent) times as large
    uint64_t seed;                      // additivity: of the whole numbers that are added, 16 times
    uint8_t **added;                    // additivity: [buffer] the baseline's outputs for those alone; owned
    const char *size;                   // permutation, padding, batch: the size whose places are moved
    int64_t from, to, offset;           // its value at the case's size and in the relation's runs; batch: place 0 is the case's place `offset`
    uint32_t *order;                    // permutation: place i gets the case's place order[i]; in the judge's arena
    hone_plan *base;                    // the baseline's plan where the relation runs; NULL: the case's own
    const hone_sizes *sizes;            // of that plan, in the judge's arena
} relation;

// Inputs of the relation's run from the case's. *applies false: the values do not allow it. owns: caller, hone_inputs_free with relation_plan.
hone_code relation_inputs(const relation *r, const judge_size *s, const judge_case *k, uint8_t ***out, bool *applies, hone_err *e);
// How many comparisons lead all of output b's elements back: more than one where the batch is repeated.
size_t relation_rounds(const relation *r, const judge_size *s, size_t b);
// Marks in odd[0 .. rounds-1] the rounds that have other bits than `first`, the output as round 0 leads it back.
void relation_odd_rounds(const relation *r, const judge_size *s, size_t b, const uint8_t *got, const uint8_t *first, bool *odd);
// Output b of the relation's run as the case's own run should have it, elements that this round does not cover being the baseline's own. z holds the
// buffer's bytes.
void relation_back(const relation *r, const judge_size *s, const judge_case *k, size_t b, const uint8_t *got, size_t round, uint8_t *z);
static inline const hone_plan *relation_plan(const relation *r, const judge_size *s) { return r->base ? r->base : s->base; }
// Whether each buffer's axes of this size can be told, so that its places can be moved, and what it may hold allows that.
bool relation_moves_apply(const relation *r, const judge_size *s);
// Judges output b of the relation's run by the case's reference. Of the rounds those count that differ from the first, MOST_ROUNDS at most.
typedef struct relation_verdict { hone_diff diff; double share; } relation_verdict;     // kind HONE_F_COUNT: right; share of the tolerance, the worst round's
hone_code relation_judge(const hone_judge *j, const relation *r, const judge_case *k, size_t b, const uint8_t *got, relation_verdict *out, hone_err *e);
// The sentence for people: "the inputs A times 2^-31 should give …".
void relation_text(const relation *r, const judge_size *s, char out[256]);

// ---- relations.c
typedef struct hone_relations { size_t size; relation *v; size_t n; unsigned tried; } hone_relations;
// Finds what the baseline keeps, once per judge, at one small size.
hone_code hone_relations_find(hone_judge *j, hone_err *e);
void hone_relations_free(hone_judge *j);
// The two cases of the relations' size that they are found on, and the one of small whole numbers (NULL: none).
typedef struct relation_cases { judge_case *v[RELATION_CASES], *whole; size_t n; } relation_cases;
relation_cases hone_relation_cases(hone_judge *j, size_t size);
json_t *hone_relations_facts(const hone_judge *j);      // {"tried", "kept": [names]}; caller owns; NULL when none were looked for
#endif
