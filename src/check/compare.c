// A candidate's output against its reference. Each element's error is its distance to the nearer of the higher-precision result and the
// baseline's own (which is right by definition); rows, maxima and magnitude buckets must each stay within a multiple of the baseline's
// error.
#include "check/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Why these numbers: docs/verification.md, "measured multiples".
typedef struct limits { double times, cap, floor_rms, floor_max, sens, tiny; } limits;

// Below this a result may become zero: the smallest normal number where GPUs flush subnormals (float, bfloat16), else the subnormal step.
static double tiny_of(hone_dtype t) {
    switch (t) {
    case HONE_DOUBLE: return 0x1p-1022;
    case HONE_HALF: return 0x1p-24;
    case HONE_FP8_E4M3: return 0x1p-9;
    case HONE_FP8_E5M2: return 0x1p-16;
    default: return 0x1p-126;
    }
}

static limits limits_of(hone_dtype t) {
    double u = hone_unit_roundoff(t);
    bool narrow = t != HONE_FLOAT && t != HONE_DOUBLE;
    return (limits){.times = narrow ? 2 : 32,                       // c
                    .cap = narrow ? INFINITY : u * 2048,            // an inaccurate baseline does not license 32 times its error
                    .floor_rms = narrow ? u : 4 * u,                // one rounding flip per element; a few ulp
                    .floor_max = narrow ? 2.2 * u : 8 * u,
                    .sens = 16,
                    .tiny = tiny_of(t)};
}

static bool skipped(const hone_reference *r, size_t i) { return r->unwritten && (r->unwritten[i / 8] >> (i % 8) & 1); }

static double largest_finite(hone_dtype t) {
    switch (t) {
    case HONE_HALF: return 65504;
    case HONE_BFLOAT16: return 0x1.fep127;
    case HONE_FP8_E4M3: return 448;
    case HONE_FP8_E5M2: return 57344;
    case HONE_FLOAT: return 0x1.fffffep127;
    default: return 0x1.fffffffffffffp1023;
    }
}

// Where baseline or candidate is not finite: same kind of non-number, or both at the edge of overflow, or (the baseline overflowed, the
// candidate did not) right by the higher-precision run.
static bool same_nonfinite(hone_dtype t, double base, double shadow, double got) {
    double edge = 0.995 * largest_finite(t);
    if (isnan(base) && isnan(got))
        return true;
    if (isinf(base) && isinf(got))
        return signbit(base) == signbit(got);
    if (isfinite(shadow) && isfinite(got) && fabs(got - shadow) <= 0.01 * fabs(shadow))
        return true;
    return !isnan(base) && !isnan(got) && fabs(base) >= edge && fabs(got) >= edge && signbit(base) == signbit(got);
}

static void note(hone_diff *d, hone_finding_kind kind, size_t at, double base, double got, double reference) {
    if (!d->count++) {
        d->kind = kind;
        d->at = at;
        d->expected = base;
        d->got = got;
        d->reference = reference;
    }
}

// The test closest to its limit is reported; above the limit it decides.
static bool weigh(hone_diff *d, const char *metric, double base, double got, double allowed, double scale) {
    double ratio = allowed > 0 ? got / allowed : got > 0 ? INFINITY : 0;
    double before = d->metric_allowed > 0 ? d->metric_candidate / d->metric_allowed : d->metric && d->metric_candidate > 0 ? INFINITY : 0;
    if (!d->metric || ratio > before) {
        double s = scale > 0 ? scale : 1;
        d->metric = metric;
        d->metric_baseline = base / s;
        d->metric_candidate = got / s;
        d->metric_allowed = allowed / s;
    }
    return got > allowed;
}

// A few elements may all be off by the most that one may: the floor of the mean comes from many.
static double floor_rms(limits l, size_t n) { return l.floor_rms + (l.floor_max - l.floor_rms) / sqrt(n > 1 ? (double)n : 1); }

static double smallest(const hone_reference *r, limits l, double scale) { return scale > 0 ? l.tiny : fmax(l.tiny, r->zero_floor); }

static double allow_rms(const hone_reference *r, const hone_scale *s, limits l, bool bucket) {
    double own = bucket ? s->base_rms : fmax(s->base_rms, r->typical_rms * s->scale);
    double times = l.times * own;
    if (!bucket)
        times = fmin(times, fmax(2 * own, l.cap * s->scale));
    return times + l.sens * s->sens_rms + (floor_rms(l, s->n) + r->bound) * s->scale + smallest(r, l, s->scale);
}

static double allow_max(const hone_reference *r, const hone_scale *s, limits l) {
    double own = fmax(s->base_max, r->typical_max * s->scale);
    double times = fmin(l.times * own, fmax(2 * own, l.cap * s->scale_max));
    return times + l.sens * fmax(s->sens_max, 3 * s->sens_rms) + (l.floor_max + 4 * r->bound) * s->scale_max + smallest(r, l, s->scale_max);
}

hone_row_limits hone_compare_row_limits(hone_dtype t, double bound) {
    limits l = limits_of(t);
    return (hone_row_limits){.rms = l.floor_rms + bound, .max = l.floor_max + 4 * bound, .tiny = l.tiny};
}

// errors: rms and max of one row of the candidate
typedef struct row_error { double sum, max; size_t at, n; } row_error;

typedef struct float_walk {
    const hone_reference *r;
    const uint8_t *got;
    limits l;
    double *bucket_sum;
    size_t *bucket_n;
    double error_sum, scale_sum;
    hone_diff *d;
} float_walk;

// Where one of the two is no finite number.
static void walk_nonfinite(float_walk *w, size_t i, double base, double got) {
    const hone_reference *r = w->r;
    hone_dtype t = r->buffer->arg->type;
    size_t size = hone_dtype_bytes(t);
    bool untouched = r->buffer->arg->role == HONE_OUT && hone_is_poison(w->got + i * size, size, HONE_POISON_A) &&
                     !hone_is_poison(r->base + i * size, size, HONE_POISON_A);
    if (untouched)
        note(w->d, HONE_F_DIFF_UNWRITTEN, i, base, got, r->shadow[i]);
    else if (!same_nonfinite(t, base, r->shadow[i], got))
        note(w->d, HONE_F_DIFF_NONFINITE, i, base, got, r->shadow[i]);
}

static void walk_block(float_walk *w, size_t first, size_t n, const double *bases, const double *gots, row_error *e) {
    const hone_reference *r = w->r;
    for (size_t k = 0; k < n; k++) {
        size_t i = first + k;
        double base = bases[k], got = gots[k], ref = r->shadow[i];
        if (skipped(r, i))
            continue;
        if (!isfinite(base) || !isfinite(got)) {
            walk_nonfinite(w, i, base, got);
            continue;
        }
        double error = fabs(got - base), other = isfinite(ref) ? fabs(got - ref) : error;
        error = other < error ? other : error;
        e->sum += error * error;
        e->n++;
        if (error > e->max) {
            e->max = error;
            e->at = i;
        }
        if (r->n_buckets && isfinite(ref)) {
            unsigned bucket = hone_bucket_index(r, ref);
            w->bucket_sum[bucket] += error * error;
            w->bucket_n[bucket]++;
        }
    }
}

static row_error walk_row(float_walk *w, size_t row) {
    enum { BLOCK = 512 };
    const hone_reference *r = w->r;
    hone_dtype t = r->buffer->arg->type;
    double base[BLOCK], got[BLOCK];
    size_t end = (row + 1) * r->row_len < r->n ? (row + 1) * r->row_len : r->n;
    row_error e = {.at = row * r->row_len};
    for (size_t i = row * r->row_len; i < end; i += BLOCK) {
        size_t n = end - i < BLOCK ? end - i : BLOCK;
        hone_values_get(t, r->base, i, n, base);
        hone_values_get(t, w->got, i, n, got);
        walk_block(w, i, n, base, got, &e);
    }
    return e;
}

static void judge_row(float_walk *w, const hone_scale *s, const row_error *e) {
    const hone_reference *r = w->r;
    hone_dtype t = r->buffer->arg->type;
    double rms = e->n ? sqrt(e->sum / (double)e->n) : 0;
    w->error_sum += e->sum;
    w->scale_sum += s->scale * s->scale * (double)s->n;
    bool bad = weigh(w->d, "row-rms", s->base_rms, rms, allow_rms(r, s, w->l, false), s->scale);
    bad |= weigh(w->d, "row-max", s->base_max, e->max, allow_max(r, s, w->l), s->scale_max);
    if (bad)
        note(w->d, HONE_F_DIFF_WRONG, e->at, hone_dtype_get(t, r->base, e->at), hone_dtype_get(t, w->got, e->at), r->shadow[e->at]);
}

static size_t worst_of_bucket(const float_walk *w, size_t bucket) {
    hone_dtype t = w->r->buffer->arg->type;
    double worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < w->r->n; i++) {
        double ref = w->r->shadow[i], got = hone_dtype_get(t, w->got, i);
        if (skipped(w->r, i) || !isfinite(ref) || !isfinite(got) || hone_bucket_index(w->r, ref) != bucket || fabs(got - ref) <= worst)
            continue;
        worst = fabs(got - ref);
        at = i;
    }
    return at;
}

static void judge_buckets(float_walk *w) {
    const hone_reference *r = w->r;
    hone_dtype t = r->buffer->arg->type;
    for (size_t b = 0; b < r->n_buckets; b++) {
        double rms = w->bucket_n[b] ? sqrt(w->bucket_sum[b] / (double)w->bucket_n[b]) : 0;
        const hone_scale *s = &r->buckets[b];
        if (!weigh(w->d, "magnitude-rms", s->base_rms, rms, allow_rms(r, s, w->l, true), s->scale) || w->d->count)
            continue;
        size_t at = worst_of_bucket(w, b);
        note(w->d, HONE_F_DIFF_WRONG, at, hone_dtype_get(t, r->base, at), hone_dtype_get(t, w->got, at), r->shadow[at]);
    }
}

static void compare_auto(const hone_reference *r, const uint8_t *got, hone_diff *d, hone_err *e) {
    float_walk w = {.r = r, .got = got, .l = limits_of(r->buffer->arg->type), .d = d};
    w.bucket_sum = hone_calloc(r->n_buckets + 1, sizeof *w.bucket_sum);
    w.bucket_n = hone_calloc(r->n_buckets + 1, sizeof *w.bucket_n);
    if (!w.bucket_sum || !w.bucket_n) {
        hone_fail(e, HONE_E_NOMEM, 0, "out of memory while comparing '%s'", r->buffer->arg->name);
    } else {
        for (size_t row = 0; row < r->n_rows; row++) {
            row_error x = walk_row(&w, row);
            judge_row(&w, &r->rows[row], &x);
        }
        judge_buckets(&w);
        // right but coarse: the whole buffer is within 2 % of the reference
        if (d->kind == HONE_F_DIFF_WRONG && w.error_sum < 4e-4 * w.scale_sum)
            d->kind = HONE_F_DIFF_PRECISION;
    }
    hone_free(w.bucket_sum);
    hone_free(w.bucket_n);
}

static void compare_elements(const hone_reference *r, const hone_tolerance *tol, const uint8_t *got, hone_diff *d) {
    hone_dtype t = r->buffer->arg->type;
    size_t size = hone_dtype_bytes(t);
    for (size_t i = 0; i < r->n; i++) {
        double base = hone_dtype_get(t, r->base, i), x = hone_dtype_get(t, got, i);
        if (skipped(r, i) || (isnan(base) && isnan(x)) || base == x)
            continue;
        if (!isfinite(base) || !isfinite(x)) {
            bool untouched = r->buffer->arg->role == HONE_OUT && hone_is_poison(got + i * size, size, HONE_POISON_A);
            note(d, untouched ? HONE_F_DIFF_UNWRITTEN : HONE_F_DIFF_NONFINITE, i, base, x, r->shadow[i]);
            continue;
        }
        bool exact = tol->kind == HONE_TOL_EXACT;
        double allowed = exact ? 0 : tol->atol + tol->rtol * fabs(base);
        if (weigh(d, exact ? "equal" : "relative", 0, fabs(x - base), allowed, fabs(base)))
            note(d, HONE_F_DIFF_WRONG, i, base, x, r->shadow[i]);
    }
}

static int by_value(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? -1 : x > y;
}

static uint64_t *sorted_copy(const uint8_t *p, size_t n, size_t size) {
    uint64_t *v = hone_calloc(n + 1, sizeof *v);
    for (size_t i = 0; v && i < n; i++)
        memcpy(&v[i], p + i * size, size);
    if (v)
        qsort(v, n, sizeof *v, by_value);
    return v;
}

// The baseline's own order varies from run to run (atomics hand out places): the same values in any order are right.
static bool same_multiset(const hone_reference *r, const uint8_t *got, size_t size) {
    uint64_t *a = sorted_copy(r->base, r->n, size), *b = sorted_copy(got, r->n, size);
    bool same = a && b && memcmp(a, b, r->n * sizeof *a) == 0;
    hone_free(a);
    hone_free(b);
    return same;
}

// Integers are exact, except where rounding of the float inputs decides: there the higher-precision results count as right too.
static void compare_integers(const hone_reference *r, const uint8_t *got, hone_diff *d) {
    hone_dtype t = r->buffer->arg->type;
    size_t size = hone_dtype_bytes(t);
    for (size_t i = 0; i < r->n; i++) {
        if (skipped(r, i) || memcmp(got + i * size, r->base + i * size, size) == 0)
            continue;
        double x = hone_dtype_get(t, got, i);
        if (r->moved && (x == r->shadow[i] || x == r->moved[i]))
            continue;
        bool untouched = r->buffer->arg->role == HONE_OUT && hone_is_poison(got + i * size, size, HONE_POISON_A);
        note(d, untouched ? HONE_F_DIFF_UNWRITTEN : HONE_F_DIFF_INTEGER, i, hone_dtype_get(t, r->base, i), x, r->shadow[i]);
    }
    if (d->count && r->varying && same_multiset(r, got, size))
        *d = (hone_diff){.kind = HONE_F_COUNT};
}

hone_diff hone_compare(const hone_reference *r, const hone_tolerance *tol, const uint8_t *got, bool must_match, hone_err *e) {
    static const hone_tolerance exact = {.kind = HONE_TOL_EXACT};
    hone_diff d = {.kind = HONE_F_COUNT};
    if (!hone_dtype_is_float(r->buffer->arg->type)) {
        compare_integers(r, got, &d);
        d.metric = "equal";
        d.metric_candidate = (double)d.count;
    } else if (tol->kind != HONE_TOL_AUTO) {
        compare_elements(r, tol, got, &d);
    } else if (must_match && r->exact && r->bound == 0 && !r->varying && r->n >= 16) {
        compare_elements(r, &exact, got, &d);
    } else {
        compare_auto(r, got, &d, e);
    }
    d.at += r->first;
    return d;
}

hone_tolerance hone_task_tolerance(const hone_task *t, const char *buffer) {
    hone_tolerance all = {.kind = HONE_TOL_AUTO};
    for (size_t i = 0; i < t->n_tolerances; i++) {
        if (!t->tolerances[i].buffer)
            all = t->tolerances[i];
        else if (strcmp(t->tolerances[i].buffer, buffer) == 0)
            return t->tolerances[i];
    }
    return all;
}
