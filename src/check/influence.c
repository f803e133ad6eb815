// Every input must count. Each input of one small case is replaced, the others staying as they are, and the baseline says which outputs that changes by
// more than rounding. An input that changes none is dead, which is told about the task; a candidate whose outputs stay where the baseline's change does
// not look at that input. Inputs whose initialiser gives the same values for every seed (constants, hash32, iota) are reached by no other test.
#include "check/trial.h"
#include <math.h>
#include <string.h>

static bool is_input(const hone_influence *f, size_t i) { return f->altered && f->altered[i]; }

static bool all_equal(const hone_plan_buffer *b, const uint8_t *v) {
    const size_t size = hone_dtype_bytes(b->arg->type);
    for (size_t i = 1; i < b->n_elems; i++)
        if (memcmp(v, v + i * size, size) != 0)
            return false;
    return true;
}

// Whole numbers that are declared to be all equal may be an extent, a stride or a first free place, so that another value may lead the task's own kernels astray: they are tried on
// the baseline one after the other, and where none runs the input stays. Only where the device stops accesses outside buffers, and never zero for something else, which may be a step.
static bool is_whole_constant(const hone_judge *j, const hone_plan_buffer *b, const uint8_t *v) {
    const hone_init_kind k = b->arg->init.kind;
    return j->c.runner.guard_bytes == 0 && !hone_dtype_is_float(b->arg->type) && (k == HONE_INIT_CONST || k == HONE_INIT_ZEROS || k == HONE_INIT_INT) && all_equal(b, v);
}

enum { WHOLE_ATTEMPTS = 3 };
static double other_whole(hone_dtype t, double x, unsigned attempt) {
    static const double from_zero[WHOLE_ATTEMPTS] = {16, 4, 1};      // the larger first: an offset keeps its alignment
    if (t == HONE_BOOL)
        return x == 0;
    if (x == 0)
        return from_zero[attempt];
    return attempt == 0 && fabs(x) >= 2 ? trunc(x / 2) : attempt == 1 && fabs(x) >= 3 ? x - copysign(1, x) : x + copysign(1, x);
}

// About half of the places get the other value, the last one always.
static void alter_whole(const hone_plan_buffer *b, uint64_t seed, unsigned attempt, const uint8_t *from, uint8_t *v) {
    memcpy(v, from, b->bytes);
    for (size_t i = 0; i < b->n_elems; i++) {
        uint32_t r[4];
        hone_philox(seed, 0x1f1f, i, r);
        if (r[0] & 1 || i + 1 == b->n_elems)
            hone_dtype_set(b->arg->type, v, i, other_whole(b->arg->type, hone_dtype_get(b->arg->type, from, i), attempt));
    }
}

// Values that no seed changes: constants are multiplied by numbers around 1 (zeros become numbers around 0), of others each place gets the value of
// some place. Whole numbers that are all equal: is_whole_constant. false: it stays.
static bool alter_fixed(const hone_plan_buffer *b, uint64_t seed, const uint8_t *from, uint8_t *v) {
    const size_t size = hone_dtype_bytes(b->arg->type);
    const bool constant = all_equal(b, from);
    if (constant && !hone_dtype_is_float(b->arg->type))
        return false;
    for (size_t i = 0; i < b->n_elems; i++) {
        uint32_t r[4];
        hone_philox(seed, 0x1f1e, i, r);
        const double x = hone_dtype_get(b->arg->type, from, i), u = (double)r[0] * 0x1p-32;
        if (constant)
            hone_dtype_set(b->arg->type, v, i, x == 0 ? 2 * u - 1 : x * (0.5 + u));
        else
            memcpy(v + i * size, from + r[0] % b->n_elems * size, size);
    }
    return true;
}

static uint64_t other_seed(const judge_case *k) { return k->seed + 0x9e3779b9u; }

static hone_code alter(const hone_judge *j, const judge_case *k, hone_influence *f, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    const uint64_t seed = other_seed(k);
    HONE_TRY(hone_inputs_fill(s->base, k->input, seed, &f->altered, e));
    for (size_t i = 0; i < s->base->n_buffers; i++) {
        const hone_plan_buffer *b = &s->base->buffers[i];
        if (!f->altered[i] || memcmp(f->altered[i], k->inputs[i], b->bytes) != 0 || is_whole_constant(j, b, k->inputs[i]) ||
            alter_fixed(b, seed, k->inputs[i], f->altered[i]))
            continue;
        hone_free(f->altered[i]);
        f->altered[i] = NULL;
    }
    return HONE_OK;
}

// The case's inputs with one of them replaced. inputs: n_buffers
static void mix(const judge_size *s, const judge_case *k, const hone_influence *f, size_t input, uint8_t **inputs) {
    memcpy(inputs, k->inputs, s->base->n_buffers * sizeof *inputs);
    inputs[input] = f->altered[input];
}

static hone_code still_right(const hone_judge *j, const judge_case *k, size_t b, const uint8_t *got, bool *right, hone_err *e) {
    const hone_tolerance tol = hone_task_tolerance(j->c.task, j->sizes[k->size].base->buffers[b].arg->name);
    hone_err why = {0};
    *right = hone_compare(&k->refs[b], &tol, got, k->input == HONE_INPUT_SMALL_INT, &why).kind == HONE_F_COUNT;
    return why.code == HONE_OK ? HONE_OK : hone_fail(e, why.code, why.sub, "%s", why.msg);
}

// What the baseline's outputs do when this input is replaced; a baseline that fails on it says nothing.
static hone_code observe(hone_judge *j, const judge_case *k, hone_influence *f, size_t input, uint8_t **inputs, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    hone_images im = {0};
    hone_err why = {0};
    mix(s, k, f, input, inputs);
    hone_code c = hone_images_make(s->base, s->base, inputs, HONE_POISON_A, j->c.runner.guard_bytes, (hone_perturbation){0}, &im, &why);
    if (c == HONE_OK)
        c = hone_judge_run(j, j->base_program, s->base, &im, 0, 0, &why);
    if (c == HONE_E_NOMEM || c == HONE_E_INTERRUPTED)
        return hone_fail(e, c, why.sub, "%s", why.msg);
    f->ran[input] = c == HONE_OK;
    c = HONE_OK;
    for (size_t b = 0; c == HONE_OK && f->ran[input] && b < s->base->n_buffers; b++) {
        const hone_plan_buffer *p = &s->base->buffers[b];
        bool right = true;
        if (!hone_is_output(p))
            continue;
        f->moves[input] |= memcmp(k->refs[b].base, hone_image_data(&im.v[b]), p->bytes) != 0;
        c = still_right(j, k, b, hone_image_data(&im.v[b]), &right, e);
        f->outputs[input] |= (uint32_t)(!right && b < 32) << (b % 32);
    }
    hone_images_free(&im);
    return c;
}

// The first of the other values with which the baseline runs and gives other outputs. A baseline that stops with some of them looks at the input.
static hone_code observe_whole(hone_judge *j, const judge_case *k, hone_influence *f, size_t input, uint8_t **inputs, hone_err *e) {
    bool stopped = false;
    for (unsigned attempt = 0; attempt < WHOLE_ATTEMPTS && !f->outputs[input]; attempt++) {
        alter_whole(&j->sizes[k->size].base->buffers[input], other_seed(k), attempt, k->inputs[input], f->altered[input]);
        HONE_TRY(observe(j, k, f, input, inputs, e));
        stopped |= !f->ran[input];
    }
    f->ran[input] &= !stopped;
    return HONE_OK;
}

// The largest size that is little work; of those that are all much work the cheapest.
static judge_case *choose_case(hone_judge *j) {
    size_t size = 0;
    for (size_t i = 0; i < j->n_sizes; i++)
        size = j->sizes[i].small ? i : size;
    for (size_t i = 0; i < j->n_cases; i++)
        if (j->cases[i].size == size)
            return &j->cases[i];
    return &j->cases[0];
}

hone_code hone_influence_find(hone_judge *j, hone_err *e) {
    hone_influence *f = &j->influence;
    if (f->k)
        return HONE_OK;
    judge_case *k = choose_case(j);
    const size_t n = j->sizes[k->size].base->n_buffers;
    HONE_TRY(hone_case_prepare(j, k, e));
    uint8_t **inputs = hone_calloc(n + 1, sizeof *inputs);
    f->outputs = hone_calloc(n + 1, sizeof *f->outputs);
    f->moves = hone_calloc(n + 1, sizeof *f->moves);
    f->ran = hone_calloc(n + 1, sizeof *f->ran);
    hone_code c = inputs && f->outputs && f->moves && f->ran ? alter(j, k, f, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for inputs");
    for (size_t i = 0; c == HONE_OK && i < n; i++)
        if (is_input(f, i))
            c = is_whole_constant(j, &j->sizes[k->size].base->buffers[i], k->inputs[i]) ? observe_whole(j, k, f, i, inputs, e) : observe(j, k, f, i, inputs, e);
    hone_free(inputs);
    if (c == HONE_OK)
        f->k = k;
    else
        hone_influence_free(j);
    return c;
}

void hone_influence_free(hone_judge *j) {
    hone_influence *f = &j->influence;
    if (f->altered)
        hone_inputs_free(f->altered, j->sizes[0].base);     // every size has the same buffers
    hone_free(f->outputs);
    hone_free(f->moves);
    hone_free(f->ran);
    *f = (hone_influence){0};
}

static void report(trial *t, size_t input, size_t output) {
    const hone_plan_buffer *b = t->j->sizes[t->j->influence.k->size].base->buffers;
    json_t *ev = hone_trial_evidence(t, t->j->influence.k);
    if (ev) {
        json_object_set_new(ev, "buffer", json_string(b[input].arg->name));
        json_object_set_new(ev, "output", json_string(b[output].arg->name));
    }
    hone_findings_add(t->f, HONE_F_ORACLE_IGNORED_INPUT, t->candidate->path, 0, ev, "output '%s' stays when the input '%s' changes; the baseline's does not",
                      b[output].arg->name, b[input].arg->name);
}

static hone_code try_input(trial *t, size_t input, uint8_t **inputs, const hone_plan *plan, hone_err *e) {
    const hone_influence *f = &t->j->influence;
    const judge_size *s = &t->j->sizes[f->k->size];
    hone_images im = {0};
    mix(s, f->k, f, input, inputs);
    HONE_TRY(hone_trial_run_on(t, hone_trial_evidence(t, f->k), s->base, inputs, plan, MANNER_FIRST, &im, e));
    hone_code c = HONE_OK;
    for (size_t x = 0; c == HONE_OK && x < im.n; x++) {
        const int b = hone_plan_find(s->base, im.v[x].name);
        bool right = false;
        if (b < 0 || b >= 32 || !(f->outputs[input] >> b & 1))
            continue;
        c = still_right(t->j, f->k, (size_t)b, hone_image_data(&im.v[x]), &right, e);
        if (c == HONE_OK && right)
            report(t, input, (size_t)b);
    }
    hone_images_free(&im);
    return c;
}

hone_code hone_trial_influence(trial *t, hone_err *e) {
    hone_plan *plan = NULL;
    if (t->j->only)
        return HONE_OK;
    HONE_TRY(hone_influence_find(t->j, e));
    const hone_influence *f = &t->j->influence;
    const size_t n = t->j->sizes[f->k->size].base->n_buffers;
    HONE_TRY(hone_case_prepare(t->j, f->k, e));
    uint8_t **inputs = hone_calloc(n + 1, sizeof *inputs);
    hone_code c = inputs ? hone_plan_make(t->candidate, t->j->sizes[f->k->size].sizes, t->tuning, &plan, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for inputs");
    for (size_t i = 0; c == HONE_OK && !t->stop && i < n; i++)
        if (f->outputs[i])
            c = try_input(t, i, inputs, plan, e);
    hone_plan_free(plan);
    hone_free(inputs);
    return c;
}
