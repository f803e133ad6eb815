// Which metamorphic relations does the baseline keep? Each is tried on two cases of one small size: scaling by powers of two and adding whole numbers must
// hold bit for bit, the others within a quarter of the tolerance. What the baseline does not keep is not asked of anyone.
#include "check/relations.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_RELATIONS = 64, LEAST_EXPONENT = 24, EXPONENTS = 16, HALF_EXPONENT = 3, MOST_DEGREE = 3 };
static const double MOST_WORK = 1 << 19;      // hone_plan_work of a run that repeats the batch
static const double SHARE = 0.25;             // of the tolerance that the baseline may use

relation_cases hone_relation_cases(hone_judge *j, size_t size) {
    relation_cases c = {0};
    for (size_t i = 0; i < j->n_cases; i++) {
        judge_case *k = &j->cases[i];
        if (k->size != size)
            continue;
        if (k->input == HONE_INPUT_SMALL_INT)
            c.whole = k;
        if (c.n < RELATION_CASES)
            c.v[c.n++] = k;
    }
    return c;
}

// ---- one try

// Bit for bit after leading back, also where that is not representable: the run's own values say so.
static bool exactly(const relation *r, const judge_size *s, const judge_case *k, const hone_images *im) {
    for (size_t b = 0; b < s->base->n_buffers; b++) {
        const hone_plan_buffer *p = &s->base->buffers[b];
        const double factor = r->kind == RELATION_SCALING ? ldexp(1, r->degree[b] * r->exponent) : 1;
        for (size_t i = 0; hone_is_output(p) && i < p->n_elems; i++) {
            double expected = hone_dtype_get(p->arg->type, k->refs[b].base, i) * factor;
            const double got = hone_dtype_get(p->arg->type, hone_image_data(&im->v[b]), i);
            if (r->kind == RELATION_ADDITIVITY)
                expected += hone_dtype_get(p->arg->type, r->added[b], i);
            if (!(expected == got) && !(isnan(expected) && isnan(got)))
                return false;
        }
    }
    return true;
}

static hone_code closely(const hone_judge *j, const relation *r, const judge_case *k, const hone_images *im, bool *keeps, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    for (size_t b = 0; b < s->base->n_buffers && *keeps; b++) {
        relation_verdict v;
        if (!hone_is_output(&s->base->buffers[b]))
            continue;
        HONE_TRY(relation_judge(j, r, k, b, hone_image_data(&im->v[b]), &v, e));
        *keeps = v.diff.kind == HONE_F_COUNT && v.share <= SHARE;
    }
    return HONE_OK;
}

// Each output's degree from its first element that has one.
static bool find_degrees(relation *r, const judge_size *s, const judge_case *k, const hone_images *im) {
    for (size_t b = 0; b < s->base->n_buffers; b++) {
        const hone_plan_buffer *p = &s->base->buffers[b];
        r->degree[b] = 0;
        if (!hone_is_output(p) || !hone_dtype_is_float(p->arg->type))
            continue;
        for (size_t i = 0; i < p->n_elems; i++) {
            const double x = hone_dtype_get(p->arg->type, k->refs[b].base, i), y = hone_dtype_get(p->arg->type, hone_image_data(&im->v[b]), i);
            if (x == 0 || y == 0 || !isfinite(x) || !isfinite(y))
                continue;
            const double degree = log2(fabs(y / x)) / r->exponent;
            if (degree != floor(degree) || fabs(degree) > MOST_DEGREE)
                return false;
            r->degree[b] = (int)degree;
            break;
        }
    }
    return true;
}

static bool same_inputs(const relation *r, const judge_size *s, const judge_case *k, uint8_t *const *inputs) {
    for (size_t i = 0; i < s->base->n_buffers; i++)
        if (inputs[i] && (r->base || memcmp(inputs[i], k->inputs[i], s->base->buffers[i].bytes) != 0))
            return false;
    return true;
}

// Runs the baseline on the relation's inputs. *ran false: they do not apply, change nothing, or the baseline itself fails there.
static hone_code run_baseline(hone_judge *j, const relation *r, const judge_case *k, hone_images *im, bool *ran, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    const hone_plan *plan = relation_plan(r, s);
    uint8_t **inputs = NULL;
    hone_err why = {0};
    bool applies;
    *ran = false;
    HONE_TRY(relation_inputs(r, s, k, &inputs, &applies, e));
    hone_code c = HONE_OK;
    if (applies && !same_inputs(r, s, k, inputs)) {
        c = hone_images_make(plan, plan, inputs, HONE_POISON_A, j->c.runner.guard_bytes, (hone_perturbation){0}, im, &why);
        if (c == HONE_OK)
            c = hone_judge_run(j, j->base_program, plan, im, 0, 0, &why);
        *ran = c == HONE_OK;
        if (!*ran)
            hone_images_free(im);
        c = c == HONE_E_NOMEM || c == HONE_E_INTERRUPTED ? hone_fail(e, c, why.sub, "%s", why.msg) : HONE_OK;
    }
    hone_inputs_free(inputs, plan);
    return c;
}

static hone_code keeps_case(hone_judge *j, relation *r, const judge_case *k, bool first, bool *keeps, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    hone_images im = {0};
    HONE_TRY(run_baseline(j, r, k, &im, keeps, e));
    if (!*keeps)
        return HONE_OK;
    hone_code c = HONE_OK;
    if (r->kind == RELATION_SCALING && first)
        *keeps = find_degrees(r, s, k, &im);
    if (r->kind == RELATION_SCALING || r->kind == RELATION_ADDITIVITY)
        *keeps = *keeps && exactly(r, s, k, &im);
    else
        c = closely(j, r, k, &im, keeps, e);
    hone_images_free(&im);
    return c;
}

static void forget(relation *r, const judge_size *s) {
    hone_inputs_free(r->added, s->base);
    hone_plan_free(r->base);
    r->added = NULL;
    r->base = NULL;
}

// Tries the relation on these cases and keeps it when all of them agree. Takes what it owns.
static hone_code try_relation(hone_judge *j, relation *r, judge_case *const *cases, size_t n, bool *kept, hone_err *e) {
    hone_relations *all = j->relations;
    bool keeps = n > 0 && all->n < MOST_RELATIONS;
    hone_code c = HONE_OK;
    all->tried++;
    r->at = all->size;
    for (size_t i = 0; c == HONE_OK && keeps && i < n; i++)
        c = keeps_case(j, r, cases[i], i == 0, &keeps, e);
    *kept = c == HONE_OK && keeps;
    if (*kept)
        all->v[all->n++] = *r;
    else
        forget(r, &j->sizes[all->size]);
    return c;
}

// ---- scaling and additivity

static uint32_t random_below(const hone_judge *j, uint64_t stream, uint32_t n) {
    uint32_t r[4];
    hone_philox(j->c.seed, hone_hash64("relation", 8, stream), 0, r);
    return n ? r[0] % n : 0;
}

static void name_inputs(relation *r, const judge_size *s, const char *prefix) {
    size_t n = (size_t)snprintf(r->name, sizeof r->name, "%s:", prefix);
    const char *between = "";
    for (size_t i = 0; i < s->base->n_buffers && n < sizeof r->name - 64; i++)
        if (r->inputs >> i & 1) {
            n += (size_t)snprintf(r->name + n, sizeof r->name - n, "%s%.40s", between, s->base->buffers[i].arg->name);
            between = "+";
        }
}

// Half has five bits of exponent.
static int exponent_of(const hone_judge *j, const judge_size *s, uint32_t inputs) {
    for (size_t i = 0; i < s->base->n_buffers; i++) {
        const hone_dtype t = s->base->buffers[i].arg->type;
        const bool touched = (inputs >> i & 1) || hone_is_output(&s->base->buffers[i]);
        if (touched && hone_dtype_is_float(t) && t != HONE_FLOAT && t != HONE_DOUBLE && t != HONE_BFLOAT16)
            return HALF_EXPONENT;
    }
    return LEAST_EXPONENT + (int)random_below(j, inputs, EXPONENTS);
}

static bool all_closed(const judge_size *s, uint32_t inputs, hone_closure c) {
    for (size_t i = 0; i < s->base->n_buffers; i++)
        if (inputs >> i & 1 && !hone_input_closed(s->base->buffers[i].arg, c))
            return false;
    return true;
}

static hone_code add_outputs(hone_judge *j, relation *r, const judge_case *k, bool *ran, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    hone_images im = {0};
    HONE_TRY(run_baseline(j, r, k, &im, ran, e));
    uint8_t **v = *ran ? hone_calloc(s->base->n_buffers + 1, sizeof *v) : NULL;
    hone_code c = *ran && !v ? HONE_E_NOMEM : HONE_OK;
    for (size_t b = 0; v && c == HONE_OK && b < s->base->n_buffers; b++) {
        v[b] = hone_malloc(s->base->buffers[b].bytes + 1);
        if (v[b])
            memcpy(v[b], hone_image_data(&im.v[b]), s->base->buffers[b].bytes);
        else
            c = HONE_E_NOMEM;
    }
    hone_images_free(&im);
    r->added = v;
    return c == HONE_OK ? HONE_OK : hone_fail(e, c, 0, "out of memory for a relation's outputs");
}

static hone_code try_additivity(hone_judge *j, uint32_t inputs, const relation_cases *cases, hone_err *e) {
    const judge_size *s = &j->sizes[j->relations->size];
    bool kept = true, ran;
    if (!cases->whole || !all_closed(s, inputs, HONE_CLOSED_LARGER))
        return HONE_OK;
    for (unsigned i = 0; kept && i < 2; i++) {
        relation r = {.kind = RELATION_ADDITIVITY, .inputs = inputs, .seed = j->c.seed * 2 + i + 77};
        name_inputs(&r, s, i ? "additivity-2" : "additivity");
        HONE_TRY(add_outputs(j, &r, cases->whole, &ran, e));
        if (!ran)
            return HONE_OK;
        HONE_TRY(try_relation(j, &r, &cases->whole, 1, &kept, e));
        if (!kept && i)        // one pair of inputs is no relation
            forget(&j->relations->v[--j->relations->n], s);
    }
    return HONE_OK;
}

static bool is_linear(const relation *r, const judge_size *s) {
    for (size_t b = 0; b < s->base->n_buffers; b++)
        if (hone_is_output(&s->base->buffers[b]) && r->degree[b] != 1)
            return false;
    return true;
}

static hone_code try_scaling(hone_judge *j, uint32_t inputs, const relation_cases *cases, hone_err *e) {
    const judge_size *s = &j->sizes[j->relations->size];
    const int exponent = exponent_of(j, s, inputs);
    bool kept = true, linear = false;
    for (int sign = -1; kept && sign <= 1; sign += 2) {
        relation r = {.kind = RELATION_SCALING, .inputs = inputs, .exponent = sign * exponent};
        char prefix[32];
        if (!all_closed(s, inputs, sign < 0 ? HONE_CLOSED_SMALLER : HONE_CLOSED_LARGER))
            break;
        snprintf(prefix, sizeof prefix, "scaling%+d", r.exponent);
        name_inputs(&r, s, prefix);
        HONE_TRY(try_relation(j, &r, cases->v, cases->n, &kept, e));
        linear = kept && is_linear(&r, s);
    }
    return linear ? try_additivity(j, inputs, cases, e) : HONE_OK;
}

// Every set of up to three floating-point inputs; of more inputs each one and all of them.
static hone_code try_numbers(hone_judge *j, const relation_cases *cases, hone_err *e) {
    const judge_size *s = &j->sizes[j->relations->size];
    uint32_t floats[RELATION_BUFFERS], n = 0, all = 0;
    for (size_t i = 0; i < s->base->n_buffers; i++) {
        const hone_arg *a = s->base->buffers[i].arg;
        if (!hone_dtype_is_float(a->type) || (a->role != HONE_IN && a->role != HONE_INOUT))
            continue;
        floats[n++] = 1u << i;
        all |= 1u << i;
    }
    for (uint32_t set = 1; n && n <= 3 && set < 1u << n; set++) {
        uint32_t inputs = 0;
        for (uint32_t i = 0; i < n; i++)
            inputs |= set >> i & 1 ? floats[i] : 0;
        HONE_TRY(try_scaling(j, inputs, cases, e));
    }
    for (uint32_t i = 0; n > 3 && i <= n; i++)
        HONE_TRY(try_scaling(j, i < n ? floats[i] : all, cases, e));
    return HONE_OK;
}

// ---- places

static bool affordable(const hone_judge *j, const hone_sizes *sizes, hone_plan **out) {
    bool feasible = true;
    *out = NULL;
    if (hone_task_feasible(j->c.task, sizes, j->c.tuning, &feasible, NULL) != HONE_OK || !feasible ||
        hone_plan_make(j->c.task, sizes, j->c.tuning, out, NULL) != HONE_OK)
        return false;
    if ((*out)->total_bytes <= j->c.max_size_bytes && hone_plan_work(*out) <= MOST_WORK)
        return true;
    hone_plan_free(*out);
    *out = NULL;
    return false;
}

static hone_sizes *with_value(const hone_judge *j, const hone_sizes *from, const char *name, int64_t value) {
    hone_sizes *s = hone_arena_array(j->arena, 1, sizeof *s);
    hone_binding *v = hone_arena_array(j->arena, from->n, sizeof *v);
    if (!s || !v)
        return NULL;
    memcpy(v, from->v, from->n * sizeof *v);
    for (size_t i = 0; i < from->n; i++)
        if (strcmp(v[i].name, name) == 0)
            v[i].value = value;
    *s = (hone_sizes){.v = v, .n = from->n};
    return s;
}

static int64_t largest_value(const hone_task *t, const char *name) {
    int64_t most = 0;
    for (size_t i = 0; i < t->n_sizes; i++)
        for (size_t k = 0; k < t->sizes[i].n; k++)
            if (strcmp(t->sizes[i].v[k].name, name) == 0 && t->sizes[i].v[k].value > most)
                most = t->sizes[i].v[k].value;
    return most;
}

static hone_code try_places(hone_judge *j, relation *r, const relation_cases *cases, hone_err *e) {
    bool kept;
    if (relation_moves_apply(r, &j->sizes[j->relations->size]))
        return try_relation(j, r, cases->v, cases->n, &kept, e);
    forget(r, &j->sizes[j->relations->size]);
    return HONE_OK;
}

static hone_code try_order(hone_judge *j, const char *size, int64_t n, const relation_cases *cases, hone_err *e) {
    relation r = {.kind = RELATION_PERMUTATION, .size = size, .from = n, .to = n, .order = hone_arena_array(j->arena, (size_t)n, sizeof *r.order)};
    if (!r.order)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a relation");
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = random_below(j, i + 1000, i + 1);
        r.order[i] = r.order[at];
        r.order[at] = i;
    }
    snprintf(r.name, sizeof r.name, "permutation:%.64s", size);
    return try_places(j, &r, cases, e);
}

static hone_code try_resized(hone_judge *j, relation_kind kind, const char *size, int64_t from, int64_t to, int64_t offset, const relation_cases *cases, hone_err *e) {
    relation r = {.kind = kind, .size = size, .from = from, .to = to, .offset = offset};
    r.sizes = with_value(j, j->sizes[j->relations->size].sizes, size, to);
    if (!r.sizes)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a relation");
    snprintf(r.name, sizeof r.name, "%s:%.64s=%lld", kind == RELATION_PADDING ? "padding" : "batch", size, (long long)to);
    if (offset)
        snprintf(r.name, sizeof r.name, "batch:%.64s=%lld@%lld", size, (long long)to, (long long)offset);
    return affordable(j, r.sizes, &r.base) ? try_places(j, &r, cases, e) : HONE_OK;
}

// As often as the work allows, up to the largest value that the task names.
static hone_code try_repeated(hone_judge *j, const char *size, int64_t n, const relation_cases *cases, hone_err *e) {
    for (int64_t to = largest_value(j->c.task, size); to > n; to /= 2) {
        hone_sizes *s = with_value(j, j->sizes[j->relations->size].sizes, size, to);
        hone_plan *p;
        if (!s || !affordable(j, s, &p))
            continue;
        hone_plan_free(p);
        return try_resized(j, RELATION_BATCH, size, n, to, 0, cases, e);
    }
    return HONE_OK;
}

static hone_code try_size(hone_judge *j, const char *size, int64_t n, const relation_cases *cases, hone_err *e) {
    const uint64_t stream = hone_hash64(size, strlen(size), 5);
    const int64_t part = n < 2 ? 0 : 1 + (int64_t)random_below(j, stream, (uint32_t)n - 1), more = n + 1 + (int64_t)random_below(j, stream + 1, (uint32_t)n);
    if (n > 1) {
        HONE_TRY(try_order(j, size, n, cases, e));
        HONE_TRY(try_resized(j, RELATION_BATCH, size, n, part, (int64_t)random_below(j, stream + 2, (uint32_t)(n - part)) + 1, cases, e));
    }
    HONE_TRY(try_repeated(j, size, n, cases, e));
    return try_resized(j, RELATION_PADDING, size, n, more, 0, cases, e);
}

// From the smallest size each size alone reaches much larger values.
static hone_code try_long(hone_judge *j, hone_err *e) {
    const hone_sizes *s = j->sizes[0].sizes;
    if (j->relations->size == 0)
        return HONE_OK;
    j->relations->size = 0;
    const relation_cases cases = hone_relation_cases(j, 0);
    for (size_t i = 0; i < cases.n; i++)
        HONE_TRY(hone_case_prepare(j, cases.v[i], e));
    for (size_t i = 0; i < s->n; i++)
        HONE_TRY(try_repeated(j, s->v[i].name, s->v[i].value, &cases, e));
    return HONE_OK;
}

// ---- all

// The largest of the small sizes that is not degenerate.
static bool choose_size(const hone_judge *j, size_t *out) {
    for (size_t i = j->n_sizes; i-- > 0;) {
        bool good = j->sizes[i].small && j->sizes[i].base->n_buffers <= RELATION_BUFFERS;
        for (size_t k = 0; good && k < j->sizes[i].sizes->n; k++)
            good = j->sizes[i].sizes->v[k].value > 1 && j->sizes[i].sizes->v[k].value < 1 << 20;
        *out = i;
        if (good)
            return true;
    }
    return false;
}

static bool states_tolerance(const hone_task *t) {
    for (size_t i = 0; i < t->n_tolerances; i++)
        if (t->tolerances[i].kind == HONE_TOL_RELATIVE)
            return true;
    return false;
}

hone_code hone_relations_find(hone_judge *j, hone_err *e) {
    if (j->relations)
        return HONE_OK;
    size_t size;
    hone_relations *all = hone_calloc(1, sizeof *all);
    if (all)
        all->v = hone_calloc(MOST_RELATIONS, sizeof *all->v);
    j->relations = all;
    if (!all || !all->v)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for relations");
    if (!choose_size(j, &size))
        return HONE_OK;
    all->size = size;
    relation_cases cases = hone_relation_cases(j, size);
    for (size_t i = 0; i < cases.n; i++)
        HONE_TRY(hone_case_prepare(j, cases.v[i], e));
    if (cases.whole)
        HONE_TRY(hone_case_prepare(j, cases.whole, e));
    if (!states_tolerance(j->c.task))    // it speaks about the task's own inputs
        HONE_TRY(try_numbers(j, &cases, e));
    const hone_sizes *s = j->sizes[size].sizes;
    for (size_t i = 0; i < s->n; i++)
        HONE_TRY(try_size(j, s->v[i].name, s->v[i].value, &cases, e));
    return try_long(j, e);
}

void hone_relations_free(hone_judge *j) {
    for (size_t i = 0; j->relations && j->relations->v && i < j->relations->n; i++)
        forget(&j->relations->v[i], &j->sizes[j->relations->v[i].at]);
    if (j->relations)
        hone_free(j->relations->v);
    hone_free(j->relations);
    j->relations = NULL;
}

json_t *hone_relations_facts(const hone_judge *j) {
    json_t *kept = j->relations ? json_array() : NULL;
    for (size_t i = 0; kept && i < j->relations->n; i++)
        json_array_append_new(kept, json_string(j->relations->v[i].name));
    return kept ? json_pack("{s:i,s:o}", "tried", (int)j->relations->tried, "kept", kept) : NULL;
}
