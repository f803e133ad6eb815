// mutate: small wrong changes to a task's kernels. A test that does not notice them is weak: `hone check TASK.cu` runs them through the whole
// cascade (evaluate/mutants.c) and lists those that survive.
#ifndef HONE_CHECK_MUTATE_H
#define HONE_CHECK_MUTATE_H
#include "task/task.h"

typedef enum hone_mutation {
#define MUTATION(name, kind, text, advice) HONE_MUTATION_##name,
#include "check/mutants.def"
    HONE_MUTATION_COUNT
} hone_mutation;
const char *hone_mutation_name(hone_mutation m);     // "bound"
const char *hone_mutation_text(hone_mutation m);     // what it changes
const char *hone_mutation_advice(hone_mutation m);   // what to add to a task that does not notice it

// One change: bytes at .. at+len-1 of the task's text become `to`.
typedef struct hone_mutant { hone_mutation kind; uint32_t line; size_t at, len; const char *to; } hone_mutant;
// Every mutant of the task, in the order in which to try them: one of each kind in turn, within a kind in an order that `seed` decides. The
// arena owns them. errors: HONE_E_NOMEM.
hone_code hone_mutants_of(const hone_task *t, uint64_t seed, hone_arena *a, hone_mutant **out, size_t *n, hone_err *e);
// owns: the caller owns *out (hone_free).
hone_code hone_mutant_apply(const hone_task *t, const hone_mutant *m, char **out, size_t *len, hone_err *e);
#endif
