// Is the test itself any good? Wrong results are put in place of a candidate's (no device is needed for that) and must be refused; and
// every input must count (influence.c).
#include "check/judge_internal.h"
#include <string.h>

typedef enum mutant { MUTANT_ZERO, MUTANT_CONSTANT, MUTANT_COPIED_INPUT, MUTANT_DROPPED_TILE, MUTANT_LOWER_PRECISION, MUTANT_PREVIOUS,
                     MUTANT_COUNT } mutant;
static const char *const mutant_names[MUTANT_COUNT] = {"zeros", "a constant", "a copy of an input", "an answer with a part missing",
                                                       "an answer of lower precision", "the answer to earlier inputs"};

static double lowered(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~(uint64_t)0 << 44;          // eight bits of mantissa, like bfloat16
    memcpy(&x, &bits, sizeof x);
    return x;
}

static const uint8_t *input_like(const judge_size *s, const judge_case *k, const hone_plan_buffer *out) {
    for (size_t i = 0; i < s->base->n_buffers; i++)
        if (s->base->buffers[i].arg->role == HONE_IN && s->base->buffers[i].arg->type == out->arg->type &&
            s->base->buffers[i].n_elems >= out->n_elems)
            return k->inputs[i];
    return NULL;
}

// false: this mutant makes no sense for the buffer
static bool mutate(const judge_size *s, const judge_case *k, const judge_case *before, size_t buffer, mutant m, uint8_t *v) {
    const hone_reference *r = &k->refs[buffer];
    const hone_plan_buffer *b = r->buffer;
    hone_dtype t = b->arg->type;
    const uint8_t *in = input_like(s, k, b);
    memcpy(v, r->base, b->bytes);
    switch (m) {
    case MUTANT_ZERO: memset(v, 0, b->bytes); return true;
    case MUTANT_CONSTANT:
        for (size_t i = 0; i < b->n_elems; i++)
            hone_dtype_set(t, v, i, hone_dtype_get(t, r->base, 0));
        return b->n_elems > 1;
    case MUTANT_COPIED_INPUT:
        if (in)
            memcpy(v, in, b->bytes);
        return in != NULL;
    case MUTANT_DROPPED_TILE:
        for (size_t i = b->n_elems - b->n_elems / 16 - 1; i < b->n_elems; i++)
            hone_dtype_set(t, v, i, 0);
        return true;
    case MUTANT_LOWER_PRECISION:
        for (size_t i = 0; i < b->n_elems; i++)
            hone_dtype_set(t, v, i, lowered(hone_dtype_get(t, r->base, i)));
        return t == HONE_FLOAT || t == HONE_DOUBLE;
    case MUTANT_PREVIOUS:
        if (before)
            memcpy(v, before->refs[buffer].base, b->bytes);
        return before != NULL;
    case MUTANT_COUNT: break;
    }
    return false;
}

// A mutant counts as caught when any output of any case of this size refuses it, and as untestable when it never differs from the answer.
static hone_code try_mutant(hone_judge *j, judge_case *k, judge_case *before, mutant m, hone_findings *f, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    bool tried = false, caught = false;
    const char *name = NULL;
    for (size_t i = 0; i < s->base->n_buffers && !caught; i++) {
        if (!hone_is_output(&s->base->buffers[i]))
            continue;
        uint8_t *v = hone_malloc(s->base->buffers[i].bytes + 1);
        if (!v)
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory while testing the task's own test");
        if (mutate(s, k, before, i, m, v) && memcmp(v, k->refs[i].base, s->base->buffers[i].bytes) != 0) {
            hone_tolerance tol = hone_task_tolerance(j->c.task, s->base->buffers[i].arg->name);
            tried = true;
            name = s->base->buffers[i].arg->name;
            caught = hone_compare(&k->refs[i], &tol, v, k->input == HONE_INPUT_SMALL_INT, e).kind != HONE_F_COUNT;
        }
        hone_free(v);
    }
    if (tried && !caught)
        hone_findings_add(f, HONE_F_TASK_WEAK, j->c.task->path, 0, json_pack("{s:s, s:s}", "mutant", mutant_names[m], "buffer", name),
                          "the task's test would accept %s as its result; give inputs or a tolerance that tell them apart",
                              mutant_names[m]);
    return HONE_OK;
}

static void note_dead_inputs(const hone_judge *j, hone_findings *f) {
    const hone_influence *v = &j->influence;
    const judge_size *s = &j->sizes[v->k->size];
    for (size_t i = 0; i < s->base->n_buffers; i++)
        if (v->ran[i] && !v->moves[i])
            hone_findings_add(f, HONE_F_TASK_DEAD_INPUT, j->c.task->path, s->base->buffers[i].arg->line, NULL, "no output depends on the input '%s'",
                              s->base->buffers[i].arg->name);
}

// The largest size that has all variants: big enough for tiles, small enough to be quick.
static size_t admission_case(const hone_judge *j) {
    size_t best = 0;
    for (size_t i = 0; i < j->n_cases; i++)
        if (j->cases[i].first_of_size && j->sizes[j->cases[i].size].base->total_bytes <= (1u << 20))
            best = i;
    return best;
}

hone_code hone_judge_admit(hone_judge *j, hone_findings *f, hone_err *e) {
    size_t at = admission_case(j);
    judge_case *k = &j->cases[at];
    judge_case *other = at + 1 < j->n_cases && j->cases[at + 1].size == k->size ? k + 1 : NULL;
    HONE_TRY(hone_case_prepare(j, k, e));
    if (other)
        HONE_TRY(hone_case_prepare(j, other, e));
    for (int m = 0; m < MUTANT_COUNT; m++)
        HONE_TRY(try_mutant(j, k, other, (mutant)m, f, e));
    HONE_TRY(hone_influence_find(j, e));
    note_dead_inputs(j, f);
    if (j->varying)
        hone_findings_add(f, HONE_F_TASK_NONDETERMINISTIC, j->c.task->path, 0, NULL, "the baseline's own results vary from run to run");
    return HONE_OK;
}
