// The judge's life: sizes, variants, the baseline's program and its higher-precision shadow. The tests themselves are in candidate.c.
#include "check/relations.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_VARIANTS_BELOW = 1 << 20, MIXED_ABOVE = 3 };
static const double SMALL = 1 << 17, HEAVY = 1 << 22;   // hone_plan_work of a size: some tenths of a second on the virtual GPU

static int by_bytes(const void *a, const void *b) {
    const judge_size *x = a, *y = b;
    return x->base->total_bytes < y->base->total_bytes ? -1 : x->base->total_bytes > y->base->total_bytes;
}

static double longest_input(const hone_plan *p) {
    size_t longest = 1;
    for (size_t i = 0; i < p->n_buffers; i++)
        for (size_t d = 0; d < p->buffers[i].n_dims; d++)
            if (p->buffers[i].arg->role != HONE_OUT && p->buffers[i].dims[d] > longest)
                longest = p->buffers[i].dims[d];
    return (double)longest;
}

static hone_code make_sizes(hone_judge *j, hone_err *e) {
    hone_sizes *derived = NULL;
    size_t n = j->c.n_sizes;
    if (!j->c.sizes)
        HONE_TRY(hone_task_check_sizes(j->c.task, j->c.max_size_bytes, j->arena, &derived, &n, e));
    const hone_sizes *sizes = j->c.sizes ? j->c.sizes : derived;
    if (!n)
        return hone_fail(e, HONE_E_LIMIT, 0, "cannot check '%s': no size fits into %zu MiB of buffers", j->c.task->name,
                         j->c.max_size_bytes >> 20);
    j->sizes = hone_arena_array(j->arena, n, sizeof *j->sizes);
    if (!j->sizes)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for check sizes");
    for (size_t i = 0; i < n; i++) {
        j->sizes[i].sizes = &sizes[i];
        HONE_TRY(hone_plan_make(j->c.task, &sizes[i], j->c.tuning, &j->sizes[i].base, e));
        j->n_sizes++;
        j->sizes[i].heavy = hone_plan_work(j->sizes[i].base) > HEAVY;
        j->sizes[i].conditioning = longest_input(j->sizes[i].base);
    }
    qsort(j->sizes, j->n_sizes, sizeof *j->sizes, by_bytes);
    for (size_t i = 0; i < n; i++)
        j->sizes[i].small = hone_plan_work(j->sizes[i].base) <= SMALL || (i == 0 && !j->sizes[i].heavy);
    return HONE_OK;
}

static bool variant_applies(const hone_plan *p, hone_input input) {
    for (size_t i = 0; i < p->n_buffers; i++) {
        hone_role role = p->buffers[i].arg->role;
        if ((role == HONE_IN || role == HONE_INOUT) && hone_input_applies(p->buffers[i].arg, input))
            return true;
    }
    return false;
}

// A stated rtol/atol speaks about the task's own inputs, not about inputs 64 times as large: then only seeds vary.
static bool only_task_inputs(const hone_task *t) {
    for (size_t i = 0; i < t->n_tolerances; i++)
        if (t->tolerances[i].kind == HONE_TOL_RELATIVE)
            return true;
    return false;
}

// Where every floating-point output is compared as it stands, no higher-precision run is asked; integer outputs ask one when they follow from
// floats.
static bool needs_truth(const hone_judge *j, const hone_plan *p) {
    bool floats = false, integers = false, automatic = false;
    for (size_t i = 0; i < p->n_buffers; i++) {
        const hone_arg *a = p->buffers[i].arg;
        const bool is_float = hone_dtype_is_float(a->type);
        floats |= is_float && (a->role == HONE_IN || a->role == HONE_INOUT);
        integers |= !is_float && hone_is_output(&p->buffers[i]);
        automatic |= is_float && hone_is_output(&p->buffers[i]) && hone_task_tolerance(j->c.task, a->name).kind == HONE_TOL_AUTO;
    }
    return automatic || (integers && floats);
}

static void add_case(hone_judge *j, size_t size, unsigned nth, hone_input input) {
    uint64_t seed = j->c.seed * 1000003u + size * 64 + nth;
    j->cases[j->n_cases++] = (judge_case){.size = size, .input = input, .seed = seed, .first_of_size = !nth, .brief = !j->needs_truth || (nth && j->sizes[size].heavy)};
}

static bool varies(const hone_judge *j, size_t size, hone_input input) {
    return input == HONE_INPUT_TASK || (!only_task_inputs(j->c.task) && variant_applies(j->sizes[size].base, input));
}

static bool is_large(const judge_size *s) { return s->base->total_bytes > ALL_VARIANTS_BELOW || s->heavy; }
static bool has_once(const hone_judge *j, size_t size) { return j->sizes[size].heavy && !j->sizes[0].heavy; }

static bool rounds(const hone_plan *p) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (hone_is_output(&p->buffers[i]) && hone_dtype_is_float(p->buffers[i].arg->type))
            return true;
    return false;
}

// Where outputs cannot be told apart by kind (a floating-point sum over everything), the largest numbers of a mixture hide what happens to the others. There the distributions take turns over the large
// sizes that are not heavy, so that each comes alone at one of them; where each begins differs by seed.
static void add_turns(hone_judge *j, size_t size, unsigned done, unsigned most) {
    size_t n = 0, nth = 0, turn = (size_t)(j->c.seed % HONE_INPUT_COUNT);
    for (size_t s = 0; s < j->n_sizes; s++) {
        nth = s == size ? n : nth;
        n += is_large(&j->sizes[s]) && !has_once(j, s);
    }
    for (hone_input v = HONE_INPUT_TASK + 1; v < HONE_INPUT_MIXED && done < most; v++)
        if (varies(j, size, v) && turn++ % n == nth)
            add_case(j, size, done++, v);
}

// What a size gets whose runs are too long for a case of each distribution: the task's own and the mixture of all, in further seeds until every distribution has had its place (three at most).
// A heavy size beside lighter ones, which have all distributions, has the mixture alone.
static void add_mixed(hone_judge *j, size_t size, unsigned most) {
    const hone_mixture m = hone_input_mixture(j->sizes[size].base);
    const bool mixes = varies(j, size, HONE_INPUT_MIXED), once = has_once(j, size);
    unsigned done = 0;
    if (!once || !mixes)
        add_case(j, size, done++, HONE_INPUT_TASK);
    const unsigned fillings = !mixes ? 0 : once ? 1 : (unsigned)((m.kinds + m.at_once - 1) / m.at_once);
    for (unsigned i = 0; i < fillings && i < MIXED_ABOVE && done < most; i++)
        add_case(j, size, done++, HONE_INPUT_MIXED);
    if (!m.apart && !once && rounds(j->sizes[size].base))
        add_turns(j, size, done, most);
}

// Per size: the task's own distribution first, then the others that apply; never fewer than two cases, so that an answer to earlier inputs
// shows. A heavy size beside lighter ones has one.
static hone_code make_cases(hone_judge *j, hone_err *e) {
    j->cases = hone_arena_array(j->arena, j->n_sizes * (HONE_INPUT_COUNT + 1), sizeof *j->cases);
    if (!j->cases)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for test cases");
    j->needs_truth = needs_truth(j, j->sizes[0].base);
    for (size_t s = 0; s < j->n_sizes; s++) {
        const unsigned most = j->c.variants ? j->c.variants : HONE_INPUT_COUNT;
        const size_t before = j->n_cases;
        if (is_large(&j->sizes[s]))
            add_mixed(j, s, most);
        else
            for (hone_input v = HONE_INPUT_TASK; v < HONE_INPUT_MIXED && j->n_cases - before < most; v++)
                if (varies(j, s, v))
                    add_case(j, s, (unsigned)(j->n_cases - before), v);
        for (unsigned done = (unsigned)(j->n_cases - before); done < (only_task_inputs(j->c.task) ? 3 : 2) && j->c.variants != 1 && !has_once(j, s); done++)
            add_case(j, s, done, HONE_INPUT_TASK);
    }
    return HONE_OK;
}

void hone_case_name(const hone_judge *j, const judge_case *k, char out[256]) {
    const hone_sizes *s = j->sizes[k->size].sizes;
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < s->n && n < 200; i++)
        n += (size_t)snprintf(out + n, 256 - n, "%s%s=%lld", i ? "," : "", s->v[i].name, (long long)s->v[i].value);
    if (n < 200)
        snprintf(out + n, 256 - n, ":%s", hone_input_name(k->input));
}

void hone_judge_only(hone_judge *j, const char *only) { j->only = only; }
void hone_judge_brief(hone_judge *j, bool brief) { j->brief = brief; }

static const char *why_not(hone_judge *j, const char *what, const hone_err *why) {
    const char *text = hone_arena_printf(j->arena, "%s: %.300s", what, why->msg);
    return text ? text : what;
}

static hone_code shadow_plans(hone_judge *j, hone_err *e) {
    for (size_t i = 0; i < j->n_sizes; i++)
        HONE_TRY(hone_plan_make(j->shadow_task, j->sizes[i].sizes, j->c.tuning, &j->sizes[i].shadow, e));
    return HONE_OK;
}

// A missing shadow is a fact, not an error.
static void make_shadow(hone_judge *j) {
    hone_err why = {0};
    char *text;
    size_t len;
    const char *reason;
    if (hone_promote(j->c.task, &text, &len, &reason, &why) != HONE_OK) {
        j->no_shadow = reason ? reason : "out of memory";
        return;
    }
    hone_diags diags = {.arena = j->arena};
    hone_code c = hone_task_parse(j->c.task->path, text, len, &j->shadow_task, &diags, &why);
    if (c != HONE_OK)
        j->no_shadow = why_not(j, "its source does not parse", &why);
    if (c == HONE_OK && (c = shadow_plans(j, &why)) != HONE_OK)
        j->no_shadow = why_not(j, "its launches cannot be planned", &why);
    if (c == HONE_OK && (c = j->c.runner.load(j->c.runner.self, j->shadow_task, j->c.tuning, &j->shadow_program, &why)) != HONE_OK)
        j->no_shadow = why_not(j, "it does not compile", &why);
    for (size_t i = 0; c != HONE_OK && i < j->n_sizes; i++) {
        hone_plan_free(j->sizes[i].shadow);
        j->sizes[i].shadow = NULL;
    }
    hone_free(text);
}

static hone_code judge_setup(hone_judge *j, hone_err *e) {
    HONE_TRY(make_sizes(j, e));
    HONE_TRY(make_cases(j, e));
    HONE_TRY(j->c.runner.load(j->c.runner.self, j->c.task, j->c.tuning, &j->base_program, e));
    make_shadow(j);
    return hone_case_prepare(j, &j->cases[0], e);
}

hone_code hone_judge_open(const hone_judge_config *c, hone_judge **out, hone_err *e) {
    hone_judge *j = hone_calloc(1, sizeof *j);
    *out = NULL;
    if (!j)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the judge");
    j->c = *c;
    j->c.max_size_bytes = c->max_size_bytes ? c->max_size_bytes : (size_t)16 << 20;
    j->c.max_cache_bytes = c->max_cache_bytes ? c->max_cache_bytes : (size_t)192 << 20;
    j->arena = hone_arena_new((size_t)64 << 20);
    hone_code code = j->arena ? judge_setup(j, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the judge");
    if (code != HONE_OK) {
        hone_judge_close(j);
        return code;
    }
    *out = j;
    return HONE_OK;
}

void hone_judge_close(hone_judge *j) {
    if (!j)
        return;
    hone_relations_free(j);
    hone_influence_free(j);
    for (size_t i = 0; i < j->n_cases; i++)
        hone_case_release(j, &j->cases[i], true);
    if (j->shadow_program)
        j->c.runner.unload(j->c.runner.self, j->shadow_program);
    if (j->base_program)
        j->c.runner.unload(j->c.runner.self, j->base_program);
    for (size_t i = 0; i < j->n_sizes; i++) {
        hone_plan_free(j->sizes[i].shadow);
        hone_plan_free(j->sizes[i].base);
    }
    hone_task_free(j->shadow_task);
    json_decref(j->facts);
    json_decref(j->precision);
    hone_arena_free(j->arena);
    hone_free(j);
}

static json_t *size_facts(const judge_size *s) {
    json_t *o = json_object();
    for (size_t i = 0; i < s->sizes->n; i++)
        json_object_set_new(o, s->sizes->v[i].name, json_integer(s->sizes->v[i].value));
    json_object_set_new(o, "bytes", json_integer((json_int_t)s->base->total_bytes));
    return o;
}

// Made anew on each call, since cases are prepared as they are needed.
const json_t *hone_judge_facts(const hone_judge *j) {
    json_t *sizes = json_array();
    for (size_t i = 0; i < j->n_sizes; i++)
        json_array_append_new(sizes, size_facts(&j->sizes[i]));
    json_t *o = json_pack("{s:o, s:i, s:i, s:i, s:b, s:b, s:I}", "sizes", sizes, "cases", (int)j->n_cases, "shadow_cases",
                          (int)j->shadow_cases,
                          "bound_cases", (int)j->bound_cases, "shadow", j->shadow_program != NULL, "deterministic", !j->varying, "seed",
                          (json_int_t)j->c.seed);
    if (o)
        json_object_set_new(o, "reference", json_string(j->shadow_cases ? "shadow" : "bound"));
    if (o && j->shadow_cases)
        json_object_set_new(o, "shadow_of", json_string(j->run_cases ? "run" : "source"));
    if (o && j->no_run_shadow)
        json_object_set_new(o, "no_run_shadow", json_string(j->no_run_shadow));
    if (o && j->second_ratio > 0)
        json_object_set_new(o, "run_to_source", json_real(j->second_ratio));
    if (o && j->precision)
        json_object_set(o, "precision", j->precision);
    if (o && j->no_shadow)
        json_object_set_new(o, "reason", json_string(j->no_shadow));
    json_t *relations = hone_relations_facts(j);
    if (o && relations)
        json_object_set_new(o, "relations", relations);
    hone_judge *mutable_judge = (hone_judge *)(uintptr_t)j;   // the cached copy is no part of the judge's state
    json_decref(mutable_judge->facts);
    mutable_judge->facts = o;
    return o;
}
