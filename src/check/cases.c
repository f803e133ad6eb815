// References of one case: the baseline is run twice (different poison, addresses and schedule), its double-precision shadow once, and once
// or twice more with inputs moved in their last bits; fewer runs where one is a lot of work. Without a usable shadow the baseline stands for itself, with a bound for reordered
// sums.
#include "check/judge_internal.h"
#include <math.h>
#include <string.h>

enum { MOVES = 2 };
// A shadow that disagrees with the baseline by more than this (relative RMS) is not a more precise version of it.
static const double DIVERGED = 0.02, DIVERGED_NARROW = 0.1;

hone_code hone_judge_run(const hone_judge *j, void *program, const hone_plan *plan, hone_images *im, unsigned placement, uint64_t schedule,
                         hone_err *e) {
    hone_run r = {.plan = plan, .buffers = im->v, .n_buffers = im->n, .placement = placement, .schedule_seed = schedule};
    const hone_code c = j->c.runner.run(j->c.runner.self, program, &r, e);
    if (c == HONE_OK)
        hone_images_sort(plan, im);
    return c;
}

static hone_code run_once(const hone_judge *j, void *program, const hone_plan *plan, const hone_plan *base, uint8_t *const *inputs,
                          uint8_t poison, hone_perturbation p, hone_images *out, hone_err *e) {
    HONE_TRY(hone_images_make(plan, base, inputs, poison, j->c.runner.guard_bytes, p, out, e));
    bool second = poison == HONE_POISON_B;
    hone_code c = hone_judge_run(j, program, plan, out, second, second ? 0x9e3779b9u : 0, e);
    if (c != HONE_OK)
        hone_images_free(out);
    return c;
}

static bool narrow_task(const hone_plan *p) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (hone_promoted_type(p->buffers[i].arg->type) && p->buffers[i].arg->type != HONE_FLOAT)
            return true;
    return false;
}

static double *as_doubles(const hone_plan_buffer *b, const hone_images *im, size_t i) {
    double *v = hone_calloc(b->n_elems + 1, sizeof *v);
    if (v)
        hone_values_get(b->arg->type, hone_image_data(&im->v[i]), 0, b->n_elems, v);
    return v;
}

typedef struct truth { hone_images ref, moved[MOVES]; size_t n_moved; const hone_plan *plan; } truth;   // runs that the references are made from

static bool has_floats(const hone_plan *p) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (hone_dtype_is_float(p->buffers[i].arg->type) && p->buffers[i].arg->role != HONE_OUT && p->buffers[i].arg->role != HONE_SCRATCH)
            return true;
    return false;
}

size_t hone_case_moves(const hone_judge *j, const judge_case *k, size_t most) {
    const judge_size *s = &j->sizes[k->size];
    return k->brief || !has_floats(s->base) ? 0 : s->small ? most : 1;
}

static void truth_free(truth *t) {
    hone_images_free(&t->ref);
    for (size_t m = 0; m < MOVES; m++)
        hone_images_free(&t->moved[m]);
}

// plan and program: the shadow's, or the baseline's own with `relative` one ulp of its type
static hone_code truth_run(const hone_judge *j, const judge_case *k, void *program, const hone_plan *plan, double relative, bool want_ref,
                           truth *t, hone_err *e) {
    const hone_plan *base = j->sizes[k->size].base;
    *t = (truth){.plan = plan, .n_moved = hone_case_moves(j, k, MOVES)};
    hone_code c = want_ref ? run_once(j, program, plan, base, k->inputs, HONE_POISON_A, (hone_perturbation){0}, &t->ref, e) : HONE_OK;
    for (size_t m = 0; c == HONE_OK && m < t->n_moved; m++)
        c = run_once(j, program, plan, base, k->inputs, HONE_POISON_A, (hone_perturbation){relative, k->seed + m + 1}, &t->moved[m], e);
    if (c != HONE_OK)
        truth_free(t);
    return c;
}

static hone_code make_reference(const judge_size *s, size_t i, double zero_floor, const hone_images *a, const hone_images *b, const truth *t, bool by_shadow,
                                hone_reference *out, hone_err *e) {
    const hone_plan_buffer *buffer = &s->base->buffers[i];
    int at = hone_plan_find(t->plan, buffer->arg->name);
    double *shadow = NULL, *moved[MOVES] = {NULL};
    hone_code c = HONE_OK;
    if (at < 0 || t->plan->buffers[at].n_elems != buffer->n_elems)
        return hone_fail(e, HONE_E_INTERNAL, 0, "the higher-precision task lost buffer '%s'", buffer->arg->name);
    const hone_plan_buffer *tb = &t->plan->buffers[at];
    if (by_shadow)
        shadow = as_doubles(tb, &t->ref, (size_t)at);
    bool missing = by_shadow && !shadow;
    for (size_t m = 0; m < t->n_moved; m++)
        missing |= (moved[m] = as_doubles(tb, &t->moved[m], (size_t)at)) == NULL;
    if (missing)
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the reference of '%s'", buffer->arg->name);
    hone_ref_spec spec = {.buffer = buffer, .n = buffer->n_elems, .base = hone_image_data(&a->v[i]),
                          .base2 = b->v ? hone_image_data(&b->v[i]) : NULL, .shadow = shadow, .moved = (const double *const *)moved,
                          .n_moved = t->n_moved,
                          .bound = by_shadow ? 0 : hone_sum_bound(buffer->arg->type, s->conditioning), .zero_floor = zero_floor};
    if (c == HONE_OK)
        c = hone_reference_make(&spec, out, e);
    hone_free(shadow);
    for (size_t m = 0; m < MOVES; m++)
        hone_free(moved[m]);
    return c;
}

void hone_case_free_refs(judge_case *k, size_t n) {
    for (size_t i = 0; k->refs && i < n; i++)
        hone_reference_free(&k->refs[i]);
    hone_free(k->refs);
    k->refs = NULL;
}

static hone_code make_references(const judge_size *s, judge_case *k, const hone_images *a, const hone_images *b, const truth *t,
                                 bool by_shadow, hone_err *e) {
    k->refs = hone_calloc(s->base->n_buffers + 1, sizeof *k->refs);
    hone_code c = k->refs ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for references");
    for (size_t i = 0; c == HONE_OK && i < s->base->n_buffers; i++)
        if (hone_is_output(&s->base->buffers[i]))
            c = make_reference(s, i, hone_zero_floor(s->base, k->inputs), a, b, t, by_shadow, &k->refs[i], e);
    if (c != HONE_OK)
        hone_case_free_refs(k, s->base->n_buffers);
    k->by_shadow = by_shadow;
    return c;
}

bool hone_case_diverges(const judge_size *s, const judge_case *k) {
    double limit = narrow_task(s->base) ? DIVERGED_NARROW : DIVERGED;
    for (size_t i = 0; i < s->base->n_buffers; i++) {
        const hone_reference *r = &k->refs[i];
        double error = 0, scale = 0;
        for (size_t row = 0; row < r->n_rows && r->rows; row++) {
            error += r->rows[row].base_rms * r->rows[row].base_rms * (double)r->rows[row].n;
            scale += r->rows[row].scale * r->rows[row].scale * (double)r->rows[row].n;
        }
        size_t odd = 0;      // numbers against non-numbers
        for (size_t x = 0; r->rows && x < r->n; x++)
            odd += isfinite(hone_dtype_get(r->buffer->arg->type, r->base, x)) != isfinite(r->shadow[x]) &&
                   !(r->unwritten && (r->unwritten[x / 8] >> (x % 8) & 1));
        if (error > limit * limit * scale || odd * 2 > r->n)
            return true;
    }
    return false;
}

double hone_case_error(const judge_size *s, const judge_case *k) {
    double error = 0, scale = 0;
    for (size_t i = 0; i < s->base->n_buffers; i++)
        for (size_t row = 0; k->refs[i].rows && row < k->refs[i].n_rows; row++) {
            const hone_scale *r = &k->refs[i].rows[row];
            error += r->base_rms * r->base_rms * (double)r->n;
            scale += r->scale * r->scale * (double)r->n;
        }
    return scale > 0 ? sqrt(error / scale) : 0;
}

static hone_code with_shadow(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, bool *usable, hone_err *e) {
    judge_size *s = &j->sizes[k->size];
    truth t;
    hone_err why = {0};
    *usable = false;
    if (!s->shadow)
        return HONE_OK;
    hone_code c = truth_run(j, k, j->shadow_program, s->shadow, 0x1p-24, true, &t, &why);
    if (c != HONE_OK) {
        if (c == HONE_E_NOMEM || c == HONE_E_INTERRUPTED)
            return hone_fail(e, c, why.sub, "%s", why.msg);
        const char *kept = hone_arena_printf(j->arena, "it does not run: %s", why.msg);
        j->no_shadow = kept ? kept : "it does not run";
        hone_plan_free(s->shadow);
        s->shadow = NULL;
        return HONE_OK;
    }
    c = make_references(s, k, a, b, &t, true, e);
    truth_free(&t);
    if (c == HONE_OK && hone_case_diverges(s, k)) {
        hone_case_free_refs(k, s->base->n_buffers);
        if (!j->no_shadow)
            j->no_shadow = "it disagrees with the baseline by more than rounding can explain";
        return HONE_OK;
    }
    *usable = c == HONE_OK;
    return c;
}

// Once per task, at the first size with a rounding error, the source in binary64 is asked as well. Where bits of inexact floats were taken apart, the run's shadow may be too close to
// the run: then it has to show at least half of the error that the source's shadow shows, and without one it is not used.
enum { SECOND_OPINIONS = 16 };
static hone_code second_opinion(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    const double first = hone_case_error(s, k);
    hone_reference *refs = k->refs;
    bool usable;
    k->refs = NULL;
    hone_code c = with_shadow(j, k, a, b, &usable, e);
    const double second = c == HONE_OK && usable ? hone_case_error(s, k) : 0;
    j->second_opinions++;
    j->asked_second = !usable || (first > 0 && second > 0) || j->second_opinions >= SECOND_OPINIONS;   // the smallest sizes may have no error to compare
    hone_case_free_refs(k, s->base->n_buffers);
    k->refs = refs;
    k->by_run = true;
    if (c != HONE_OK) {
        hone_case_free_refs(k, s->base->n_buffers);
        return c;
    }
    j->second_ratio = second > 0 ? first / second : 0;
    if (!j->rederived || (usable && first >= 0.5 * second))
        return HONE_OK;
    j->no_run_shadow = usable ? "it shows less error than the source in binary64 does, and integer instructions took floats apart"
                              : "integer instructions took floats apart, and there is no source in binary64 to compare with";
    hone_case_free_refs(k, s->base->n_buffers);
    k->by_run = false;
    return HONE_OK;
}

static hone_code without_shadow(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    bool doubles = false;
    for (size_t i = 0; i < s->base->n_buffers; i++)
        doubles |= s->base->buffers[i].arg->type == HONE_DOUBLE;
    truth t;
    HONE_TRY(truth_run(j, k, j->base_program, s->base, doubles ? 0x1p-52 : 0x1p-23, false, &t, e));
    hone_code c = make_references(s, k, a, b, &t, false, e);
    truth_free(&t);
    return c;
}

static size_t held_bytes(const hone_plan *base, const judge_case *k) {
    size_t total = 0;
    for (size_t i = 0; i < base->n_buffers; i++)
        total += (k->inputs[i] ? base->buffers[i].bytes : 0) + (k->refs[i].n ? hone_reference_bytes(&k->refs[i]) : 0);
    return total;
}

// Whether an output still holds the poison somewhere: then only a second run tells what the baseline leaves unwritten.
static bool holds_poison(const hone_plan *base, const hone_images *a) {
    for (size_t i = 0; i < base->n_buffers; i++) {
        const size_t size = hone_dtype_bytes(base->buffers[i].arg->type), n = base->buffers[i].n_elems;
        const uint8_t *v = hone_image_data(&a->v[i]);
        for (size_t x = 0; base->buffers[i].arg->role == HONE_OUT && x < n; x++)
            if (v[x * size] == HONE_POISON_A && hone_is_poison(v + x * size, size, HONE_POISON_A))
                return true;
    }
    return false;
}

// The baseline's own runs. The second one, which shows what varies and what is left unwritten, is made at small sizes and, unless they are heavy, for
// the first case of the others; else only where smaller sizes or the first run give cause.
static hone_code base_runs(hone_judge *j, judge_case *k, hone_images *a, hone_images *b, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    HONE_TRY(run_once(j, j->base_program, s->base, s->base, k->inputs, HONE_POISON_A, (hone_perturbation){0}, a, e));
    if ((s->heavy || (!s->small && !k->first_of_size)) && !j->varying && !holds_poison(s->base, a))
        return HONE_OK;
    return run_once(j, j->base_program, s->base, s->base, k->inputs, HONE_POISON_B, (hone_perturbation){0}, b, e);
}

static hone_code truth_of(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, bool *by_shadow, hone_err *e) {
    *by_shadow = false;
    if (!k->brief) {
        HONE_TRY(hone_case_run_shadow(j, k, a, b, &k->by_run, e));
        if (k->by_run && !j->asked_second)
            HONE_TRY(second_opinion(j, k, a, b, e));
        *by_shadow = k->by_run;
        if (!*by_shadow)
            HONE_TRY(with_shadow(j, k, a, b, by_shadow, e));
    }
    return *by_shadow ? HONE_OK : without_shadow(j, k, a, b, e);
}

hone_code hone_case_prepare(hone_judge *j, judge_case *k, hone_err *e) {
    if (k->ready)
        return HONE_OK;
    const hone_plan *base = j->sizes[k->size].base;
    hone_images a = {0}, b = {0};
    bool by_shadow = false;
    hone_code c = hone_inputs_fill(base, k->input, k->seed, &k->inputs, e);
    if (c == HONE_OK)
        c = base_runs(j, k, &a, &b, e);
    if (c == HONE_OK)
        c = truth_of(j, k, &a, &b, &by_shadow, e);
    hone_images_free(&a);
    hone_images_free(&b);
    if (c != HONE_OK) {
        hone_inputs_free(k->inputs, base);
        k->inputs = NULL;
        return c;
    }
    k->ready = true;
    k->bytes = held_bytes(base, k);
    j->cached_bytes += k->bytes;
    *(by_shadow ? &j->shadow_cases : &j->bound_cases) += 1;
    j->run_cases += k->by_run;
    if (by_shadow)
        hone_case_note_precision(j, k);
    for (size_t i = 0; i < base->n_buffers; i++)
        j->varying |= k->refs[i].varying;
    return HONE_OK;
}

void hone_case_release(hone_judge *j, judge_case *k, bool always) {
    if (!k->ready || (!always && j->cached_bytes <= j->c.max_cache_bytes))
        return;
    const hone_plan *base = j->sizes[k->size].base;
    hone_case_free_refs(k, base->n_buffers);
    hone_inputs_free(k->inputs, base);
    k->inputs = NULL;
    k->ready = false;
    j->cached_bytes -= k->bytes;
}
