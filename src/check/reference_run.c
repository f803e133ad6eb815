// References from the binary64 shadow of the baseline's own run on the virtual GPU: the run itself gives the values, its shadow what they
// would be without rounding, and two more runs whose inputs have moved shadows how far that depends on the inputs' last bits. It follows the
// baseline's own control flow and needs nothing of its source, so it serves tensor cores and inline assembly as well. Here too: the
// baseline's own rounding error in numbers for people.
#include "check/judge_internal.h"
#include <math.h>
#include <string.h>

enum { MOVES = 2 };
typedef struct shadows { double **ref, **moved[MOVES]; size_t n_moved; uint64_t results, lost, rederived; } shadows;   // [buffer]
// Where the source in binary64 has been seen to agree, cases with more results than this use it: it runs several times faster.
enum { MANY_RESULTS = 1 << 17 };

static void arrays_free(double **v, size_t n) {
    for (size_t i = 0; v && i < n; i++)
        hone_free(v[i]);
    hone_free(v);
}
static void shadows_free(shadows *s, size_t n) {
    arrays_free(s->ref, n);
    for (size_t m = 0; m < MOVES; m++)
        arrays_free(s->moved[m], n);
}

static bool followed(hone_dtype t) { return t == HONE_FLOAT || t == HONE_HALF || t == HONE_BFLOAT16; }

// Integer outputs may have the value that arithmetic in binary64 *decides* for; the run's shadow decides nothing.
static const char *obstacle(const hone_plan *p) {
    if (hone_plan_unordered(p))
        return "it has outputs in no order";
    for (size_t i = 0; i < p->n_buffers; i++) {
        const hone_dtype t = p->buffers[i].arg->type;
        if (hone_is_output(&p->buffers[i]) && !followed(t))
            return hone_dtype_is_float(t) ? "it has outputs of a type that has no shadow" : "it has integer outputs";
        if (t == HONE_DOUBLE && p->buffers[i].arg->role != HONE_SCALAR)
            return "it is in double precision already";
    }
    return NULL;
}

static hone_code fill_arrays(const hone_plan *base, uint8_t *const *inputs, hone_perturbation p, double ***out, hone_err *e) {
    double **v = *out = hone_calloc(base->n_buffers + 1, sizeof *v);
    bool good = v != NULL;
    for (size_t i = 0; good && i < base->n_buffers; i++) {
        if (!followed(base->buffers[i].arg->type))
            continue;
        if (inputs[i] && (p.relative > 0 || hone_is_output(&base->buffers[i])))
            good = (v[i] = hone_input_moved(base, i, inputs[i], p)) != NULL;
        else if (hone_is_output(&base->buffers[i]))
            good = (v[i] = hone_calloc(base->buffers[i].n_elems + 1, sizeof **v)) != NULL;
    }
    return good ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a run's shadow");
}

static hone_code run_one(const hone_judge *j, const judge_case *k, hone_perturbation p, double ***values, shadows *total, hone_err *e) {
    const hone_plan *base = j->sizes[k->size].base;
    hone_images im = {0};
    HONE_TRY(fill_arrays(base, k->inputs, p, values, e));
    HONE_TRY(hone_images_make(base, base, k->inputs, HONE_POISON_A, j->c.runner.guard_bytes, (hone_perturbation){0}, &im, e));
    hone_shadow_run shadow = {.values = *values};
    hone_run r = {.plan = base, .buffers = im.v, .n_buffers = im.n, .shadow = &shadow};
    const hone_code c = j->c.runner.run(j->c.runner.self, j->base_program, &r, e);
    total->results += shadow.results;
    total->lost += shadow.lost;
    total->rederived += shadow.rederived;
    hone_images_free(&im);
    return c;
}

static bool too_many(const hone_judge *j, const shadows *s) {
    return s->ref && !s->moved[0] && s->results > MANY_RESULTS && j->second_ratio >= 0.5 && j->second_ratio <= 2;
}

static hone_code run_all(const hone_judge *j, const judge_case *k, shadows *s, hone_err *e) {
    HONE_TRY(run_one(j, k, (hone_perturbation){0}, &s->ref, s, e));
    s->n_moved = hone_case_moves(j, k, MOVES);
    for (size_t m = 0; m < s->n_moved && !s->lost && !too_many(j, s); m++)
        HONE_TRY(run_one(j, k, (hone_perturbation){0x1p-24, k->seed + m + 1}, &s->moved[m], s, e));
    return HONE_OK;
}

static hone_code make_references(const judge_size *s, judge_case *k, const hone_images *a, const hone_images *b, const shadows *x, hone_err *e) {
    k->refs = hone_calloc(s->base->n_buffers + 1, sizeof *k->refs);
    hone_code c = k->refs ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for references");
    for (size_t i = 0; c == HONE_OK && i < s->base->n_buffers; i++) {
        const hone_plan_buffer *buffer = &s->base->buffers[i];
        if (!hone_is_output(buffer))
            continue;
        const double *moved[MOVES] = {NULL};
        for (size_t m = 0; m < x->n_moved; m++)
            moved[m] = x->moved[m][i];
        const hone_ref_spec spec = {.buffer = buffer, .n = buffer->n_elems, .base = hone_image_data(&a->v[i]),
                                    .base2 = b->v ? hone_image_data(&b->v[i]) : NULL, .shadow = x->ref[i], .moved = moved, .n_moved = x->n_moved,
                                    .zero_floor = hone_zero_floor(s->base, k->inputs)};
        c = hone_reference_make(&spec, &k->refs[i], e);
    }
    if (c != HONE_OK)
        hone_case_free_refs(k, s->base->n_buffers);
    return c;
}

static void give_up(hone_judge *j, const char *why) {
    const char *kept = hone_arena_printf(j->arena, "%s", why);
    j->no_run_shadow = kept ? kept : "out of memory";
}

hone_code hone_case_run_shadow(hone_judge *j, judge_case *k, const hone_images *a, const hone_images *b, bool *usable, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    hone_err why = {0};
    shadows x = {0};
    *usable = false;
    if (!j->no_run_shadow && !j->c.runner.shadows)
        j->no_run_shadow = "the device keeps none";
    if (!j->no_run_shadow)
        j->no_run_shadow = obstacle(s->base);
    if (j->no_run_shadow)
        return HONE_OK;
    hone_code c = run_all(j, k, &x, &why);
    if (c == HONE_E_NOMEM || c == HONE_E_INTERRUPTED) {
        shadows_free(&x, s->base->n_buffers);
        return hone_fail(e, c, why.sub, "%s", why.msg);
    }
    if (c != HONE_OK)
        give_up(j, why.msg);
    else if (x.lost)
        j->no_run_shadow = "it lost values that it could not follow";
    else if (too_many(j, &x))
        j->no_run_shadow = "the source in binary64 agrees with it and is faster on larger cases";
    c = j->no_run_shadow ? HONE_OK : make_references(s, k, a, b, &x, e);
    shadows_free(&x, s->base->n_buffers);
    if (c != HONE_OK || j->no_run_shadow)
        return c;
    j->rederived += x.rederived;
    *usable = !hone_case_diverges(s, k);
    if (!*usable) {
        hone_case_free_refs(k, s->base->n_buffers);
        j->no_run_shadow = "it disagrees with the baseline by more than rounding can explain";
    }
    k->by_shadow = *usable;
    return HONE_OK;
}

// ---- in numbers for people

typedef struct precision { double max_abs, rms, scale, ulp; size_t n; } precision;

static double ulp_of(hone_dtype t, double x) {
    int e = 0;
    if (x == 0)
        return 0;
    frexp(x, &e);      // 0.5 ≤ |m| < 1: the ulp at x is 2^e times the unit roundoff
    return ldexp(hone_unit_roundoff(t), e);
}

static precision measure(const hone_reference *r) {
    const hone_dtype t = r->buffer->arg->type;
    precision p = {0};
    for (size_t i = 0; i < r->n; i++) {
        const double base = hone_dtype_get(t, r->base, i), exact = r->shadow[i], ulp = ulp_of(t, exact), error = fabs(base - exact);
        if (!isfinite(base) || !isfinite(exact) || (r->unwritten && r->unwritten[i / 8] >> (i % 8) & 1))
            continue;
        p.n++;
        p.max_abs = fmax(p.max_abs, error);
        p.rms += error * error;
        p.scale += exact * exact;
        p.ulp = ulp > 0 ? fmax(p.ulp, error / ulp) : p.ulp;
    }
    return p;
}

void hone_case_note_precision(hone_judge *j, const judge_case *k) {
    const hone_plan *base = j->sizes[k->size].base;
    if (k->input != HONE_INPUT_TASK)
        return;
    if (!j->precision)
        j->precision = json_object();
    for (size_t i = 0; i < base->n_buffers; i++) {
        const hone_reference *r = &k->refs[i];
        if (!r->n || !hone_dtype_is_float(base->buffers[i].arg->type))
            continue;
        const precision p = measure(r);
        const double rms = p.scale > 0 ? sqrt(p.rms / p.scale) : 0;
        const json_t *before = json_object_get(j->precision, base->buffers[i].arg->name);
        if (!p.n || (before && json_number_value(json_object_get(before, "rms_rel")) > rms))
            continue;
        json_object_set_new(j->precision, base->buffers[i].arg->name,
                            json_pack("{s:f,s:f,s:f,s:s}", "rms_rel", rms, "max_abs", p.max_abs, "max_ulp", p.ulp, "reference",
                                      k->by_run ? "run" : "source"));
    }
}
