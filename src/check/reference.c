// How accurate is the baseline? For one output buffer of one case: its error against the higher-precision run, and how far that run moves
// when the inputs move in their last bits. Rows (or tiles of 256 elements) and buckets of similar magnitude are kept apart, so that a large
// row cannot pay for a small one. See docs/verification.md, "tolerance auto".
#include "check/internal.h"
#include <math.h>
#include <string.h>

enum { TILE = 256, SHORTEST_ROW = 16, BUCKET_MIN = 16, BLOCK = 1024 };

double hone_unit_roundoff(hone_dtype t) {
    switch (t) {
    case HONE_FLOAT: return 0x1p-24;
    case HONE_DOUBLE: return 0x1p-53;
    case HONE_HALF: return 0x1p-11;
    case HONE_BFLOAT16: return 0x1p-8;
    case HONE_FP8_E4M3: return 0x1p-4;
    case HONE_FP8_E5M2: return 0x1p-3;
    default: return 0;
    }
}

double hone_sum_bound(hone_dtype t, double n) {
    double u = t == HONE_DOUBLE ? 0x1p-53 : 0x1p-24;
    return 16 * sqrt(n > 1 ? n : 1) * u;
}

double hone_zero_floor(const hone_plan *p, uint8_t *const *inputs) {
    double most = 0;
    for (size_t b = 0; b < p->n_buffers; b++)
        for (size_t i = 0; inputs[b] && hone_dtype_is_float(p->buffers[b].arg->type) && i < p->buffers[b].n_elems; i++) {
            const double x = fabs(hone_dtype_get(p->buffers[b].arg->type, inputs[b], i));
            most = isfinite(x) && x > most ? x : most;
        }
    return 0x1p-52 * most;
}

size_t hone_row_length(const hone_plan_buffer *b) {
    size_t last = b->n_dims ? b->dims[b->n_dims - 1] : 1;
    return b->n_dims < 2 || last < SHORTEST_ROW ? TILE : last;
}

bool hone_is_poison(const uint8_t *p, size_t n, uint8_t poison) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != poison)
            return false;
    return true;
}

void hone_reference_free(hone_reference *r) {
    hone_free(r->base);
    hone_free(r->unwritten);
    hone_free(r->shadow);
    hone_free(r->moved);
    hone_free(r->rows);
    hone_free(r->buckets);
    hone_free(r->bucket_of);
    *r = (hone_reference){0};
}

size_t hone_reference_bytes(const hone_reference *r) {
    size_t element = hone_dtype_bytes(r->buffer->arg->type) + 8 + (r->moved ? 8 : 0);
    return r->n * element + r->n / 8 + (r->n_rows + r->n_buckets) * sizeof(hone_scale) + HONE_EXPONENTS * sizeof(uint16_t);
}

static int exponent_of(double x) {   // as frexp: 0.5 ≤ |m| < 1
    uint64_t bits;
    int e;
    memcpy(&bits, &x, sizeof bits);
    unsigned field = (unsigned)(bits >> 52) & 0x7ff;
    if (field && field < 0x7ff)
        return (int)field - 1022 + HONE_EXPONENT_BIAS;
    if (x == 0 || field)
        return 0;
    frexp(x, &e);
    return e + HONE_EXPONENT_BIAS;   // -1073 … 1024 → 27 … 2124; 0 is the exponent of zero
}

unsigned hone_bucket_index(const hone_reference *r, double reference) { return r->bucket_of[exponent_of(reference)]; }

// What one element adds to its row and its magnitude class.
typedef struct element { double ref, base, moves2 /* mean of squares */, move_max; } element;

static inline double larger(double a, double b) { return a > b ? a : b; }

// Sums while they are collected; square roots are taken at the end.
static void scale_add(hone_scale *s, const element *x) {
    s->n++;
    s->scale += x->ref * x->ref;
    s->scale_max = larger(s->scale_max, fabs(x->ref));
    s->base_rms += x->base * x->base;
    s->base_max = larger(s->base_max, x->base);
    s->sens_rms += x->moves2;
    s->sens_max = larger(s->sens_max, x->move_max);
}

static void scale_finish(hone_scale *s) {
    if (!s->n)
        return;
    s->scale = sqrt(s->scale / (double)s->n);
    s->base_rms = sqrt(s->base_rms / (double)s->n);
    s->sens_rms = sqrt(s->sens_rms / (double)s->n);
}

// Exponents with fewer than BUCKET_MIN elements join the next larger one (the last joins the one below it); zeros have no scale of their
// own and join the smallest numbers.
static void assign_buckets(hone_reference *r, const uint32_t *count) {
    uint32_t held = 0;
    r->n_buckets = 0;
    for (size_t x = 0; x < HONE_EXPONENTS; x++) {
        r->bucket_of[x] = (uint16_t)r->n_buckets;
        held += count[x];
        if (x && held >= BUCKET_MIN && held > count[0]) {
            r->n_buckets++;
            held = 0;
        }
    }
    if (held && r->n_buckets)        // too few at the top: fold them into the last full one
        for (size_t x = 0; x < HONE_EXPONENTS; x++)
            if (r->bucket_of[x] == r->n_buckets)
                r->bucket_of[x]--;
    if (held && !r->n_buckets)
        r->n_buckets = 1;
    for (size_t x = 0; x < HONE_EXPONENTS; x++)
        if (r->bucket_of[x] >= r->n_buckets && r->n_buckets)
            r->bucket_of[x] = (uint16_t)(r->n_buckets - 1);
}

static bool counts(const hone_reference *r, size_t i, double base) {
    return isfinite(r->shadow[i]) && isfinite(base) && !(r->unwritten && (r->unwritten[i / 8] >> (i % 8) & 1));
}

// Up to BLOCK elements from `first`; base2 is NULL without a second run.
static void collect_block(hone_reference *r, const hone_ref_spec *s, size_t first, size_t n, const double *bases, const double *base2) {
    double share = s->n_moved ? 1 / (double)s->n_moved : 0;
    for (size_t k = 0; k < n; k++) {
        size_t i = first + k;
        double base = bases[k];
        element x = {.ref = r->shadow[i]};
        if (!counts(r, i, base)) {
            r->exact &= !isfinite(base) && !isfinite(x.ref);
            continue;
        }
        x.base = fabs(base - x.ref);
        r->exact &= x.base == 0;
        if (base2 && isfinite(base2[k]))
            x.base = larger(x.base, fabs(base2[k] - x.ref));
        for (size_t m = 0; m < s->n_moved; m++) {
            double move = isfinite(s->moved[m][i]) ? fabs(s->moved[m][i] - x.ref) : 0;
            x.moves2 += move * move * share;
            x.move_max = larger(x.move_max, move);
        }
        scale_add(&r->rows[i / r->row_len], &x);
        if (r->n_buckets)
            scale_add(&r->buckets[hone_bucket_index(r, x.ref)], &x);
    }
}

static void collect(hone_reference *r, const hone_ref_spec *s) {
    hone_dtype t = s->buffer->arg->type;
    double base[BLOCK], base2[BLOCK];
    r->exact = true;
    for (size_t i = 0; i < r->n; i += BLOCK) {
        size_t n = r->n - i < BLOCK ? r->n - i : BLOCK;
        hone_values_get(t, r->base, i, n, base);
        if (s->base2)
            hone_values_get(t, s->base2, i, n, base2);
        collect_block(r, s, i, n, base, s->base2 ? base2 : NULL);
    }
}

static void count_exponents(const hone_reference *r, uint32_t *count) {
    double base[BLOCK];
    for (size_t i = 0; i < r->n; i += BLOCK) {
        size_t n = r->n - i < BLOCK ? r->n - i : BLOCK;
        hone_values_get(r->buffer->arg->type, r->base, i, n, base);
        for (size_t k = 0; k < n; k++)
            count[exponent_of(r->shadow[i + k])] += counts(r, i + k, base[k]);
    }
}

static hone_code typical(hone_reference *r, hone_err *e) {
    double *x = hone_calloc(2 * r->n_rows + 1, sizeof *x);
    if (!x)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for error statistics");
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].scale > 0) {
            x[n] = r->rows[i].base_rms / r->rows[i].scale;
            x[r->n_rows + n++] = r->rows[i].base_max / r->rows[i].scale;
        }
    r->typical_rms = n ? hone_median(x, n) : 0;
    r->typical_max = n ? hone_median(x + r->n_rows, n) : 0;
    hone_free(x);
    return HONE_OK;
}

static hone_code statistics(hone_reference *r, const hone_ref_spec *s, hone_err *e) {
    uint32_t *count = hone_calloc(HONE_EXPONENTS, sizeof *count);
    r->bucket_of = hone_calloc(HONE_EXPONENTS, sizeof *r->bucket_of);
    r->n_rows = (r->n + r->row_len - 1) / r->row_len;
    r->rows = hone_calloc(r->n_rows + 1, sizeof *r->rows);
    if (!count || !r->bucket_of || !r->rows) {
        hone_free(count);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for error statistics");
    }
    // Without a shadow and without moved inputs nothing says how far a small element of a sum that cancels may differ: rows alone decide.
    if (s->shadow || s->n_moved) {
        count_exponents(r, count);
        assign_buckets(r, count);
    }
    hone_free(count);
    r->buckets = hone_calloc(r->n_buckets + 1, sizeof *r->buckets);
    if (!r->buckets)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for error statistics");
    collect(r, s);
    for (size_t i = 0; i < r->n_rows; i++)
        scale_finish(&r->rows[i]);
    for (size_t i = 0; i < r->n_buckets; i++)
        scale_finish(&r->buckets[i]);
    return typical(r, e);
}

// An element that holds each run's own poison was written in neither.
static void find_unwritten(hone_reference *r, const hone_ref_spec *s) {
    size_t size = hone_dtype_bytes(s->buffer->arg->type);
    bool any = false, same = memcmp(s->base, s->base2, r->n * size) == 0;   // the usual case: nothing to look at element by element
    for (size_t i = 0; !same && i < r->n && s->buffer->arg->role == HONE_OUT; i++)
        if (hone_is_poison(s->base + i * size, size, HONE_POISON_A) && hone_is_poison(s->base2 + i * size, size, HONE_POISON_B)) {
            r->unwritten[i / 8] |= (uint8_t)(1u << (i % 8));
            any = true;
        } else if (memcmp(s->base + i * size, s->base2 + i * size, size) != 0) {
            r->varying = true;
        }
    if (s->buffer->arg->role != HONE_OUT)
        r->varying = !same;
    if (!any) {
        hone_free(r->unwritten);
        r->unwritten = NULL;
    }
}

hone_code hone_reference_make(const hone_ref_spec *s, hone_reference *out, hone_err *e) {
    hone_dtype t = s->buffer->arg->type;
    size_t size = hone_dtype_bytes(t);
    *out = (hone_reference){.buffer = s->buffer, .first = s->first, .n = s->n, .row_len = hone_row_length(s->buffer), .bound = s->bound,
                             .zero_floor = s->zero_floor};
    bool integer = !hone_dtype_is_float(t);
    out->base = hone_malloc(s->n * size + 1);
    out->shadow = hone_calloc(s->n + 1, sizeof(double));
    out->unwritten = s->base2 ? hone_calloc(s->n / 8 + 1, 1) : NULL;
    out->moved = integer && s->n_moved ? hone_calloc(s->n + 1, sizeof(double)) : NULL;
    hone_code c = HONE_OK;
    if (!out->base || !out->shadow || (s->base2 && !out->unwritten) || (integer && s->n_moved && !out->moved))
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the reference of '%s'", s->buffer->arg->name);
    if (c == HONE_OK) {
        memcpy(out->base, s->base, s->n * size);
        if (s->shadow)
            memcpy(out->shadow, s->shadow, s->n * sizeof(double));
        else
            hone_values_get(t, s->base, 0, s->n, out->shadow);
        if (out->moved)
            memcpy(out->moved, s->moved[0], s->n * sizeof(double));
        if (s->base2)
            find_unwritten(out, s);
        if (!integer)
            c = statistics(out, s, e);
    }
    if (c != HONE_OK)
        hone_reference_free(out);
    return c;
}
