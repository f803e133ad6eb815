// Outputs of timed runs against the baseline's. They are large and have no shadow, so three tests follow one another, each only where the one
// before could not say yes: equal bytes; every element within the allowance of its own size, which implies that every row is within its own;
// each row's own error. What all three leave open is compared in full, and the finding comes from there. See docs/verification.md.
#include "base/parallel.h"
#include "check/judge_internal.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { CHUNK = 1 << 18, BLOCK = 512 };       // elements

static double longest_input(const hone_plan *p) {
    double longest = 1;
    for (size_t i = 0; i < p->n_buffers; i++)
        for (size_t d = 0; d < p->buffers[i].n_dims; d++)
            if (p->buffers[i].arg->role != HONE_OUT && (double)p->buffers[i].dims[d] > longest)
                longest = (double)p->buffers[i].dims[d];
    return longest;
}

void hone_output_check_begin(hone_output_check *o, const hone_judge *j, const hone_plan *p, size_t buffer, unsigned threads) {
    const hone_plan_buffer *b = &p->buffers[buffer];
    *o = (hone_output_check){.judge = j, .plan = p, .buffer = buffer, .threads = threads,
                             .bound = hone_sum_bound(b->arg->type, longest_input(p)),
                             .any_order = j->varying && !b->arg->unordered && !hone_dtype_is_float(b->arg->type)};
}

size_t hone_output_check_step(const hone_output_check *o, size_t bytes) {
    const hone_plan_buffer *b = &o->plan->buffers[o->buffer];
    size_t row = hone_row_length(b), most = bytes / hone_dtype_bytes(b->arg->type), step = row >= most ? row : most / row * row;
    step = b->arg->unordered ? b->n_elems : step;             // sorted as a whole
    return step < b->n_elems ? step : b->n_elems ? b->n_elems : 1;
}

// ---- one chunk of whole rows

typedef struct piece {
    hone_output_check *o;
    hone_tolerance tolerance;
    hone_row_limits limits;
    const uint8_t *base, *got;
    size_t n, row, step;                     // elements: of the piece, a row, a chunk
    atomic_size_t first_wrong;               // chunk
    atomic_uint_fast64_t set_base, set_got;
} piece;

static hone_dtype type_of(const piece *p) { return p->o->plan->buffers[p->o->buffer].arg->type; }

// Is every |got - base| ≤ absolute + relative·|base|? NaN and infinity are not.
static bool elements_within(hone_dtype t, const uint8_t *base, const uint8_t *got, size_t n, double relative, double absolute) {
    double b[BLOCK], g[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t k = n - i < BLOCK ? n - i : BLOCK;
        unsigned outside = 0;
        hone_values_get(t, base, i, k, b);
        hone_values_get(t, got, i, k, g);
        for (size_t x = 0; x < k; x++)
            outside |= !(fabs(g[x] - b[x]) <= absolute + relative * fabs(b[x]));
        if (outside)
            return false;
    }
    return true;
}

static bool row_within(const piece *p, const uint8_t *base, const uint8_t *got, size_t n) {
    double b[BLOCK], g[BLOCK], error = 0, error_max = 0, scale = 0, scale_max = 0;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t k = n - i < BLOCK ? n - i : BLOCK;
        hone_values_get(type_of(p), base, i, k, b);
        hone_values_get(type_of(p), got, i, k, g);
        for (size_t x = 0; x < k; x++) {
            double e = fabs(g[x] - b[x]), m = fabs(b[x]);
            error += e * e;
            scale += m * m;
            error_max = e > error_max ? e : error_max;
            scale_max = m > scale_max ? m : scale_max;
        }
    }
    if (!isfinite(error) || !isfinite(scale))   // not a number somewhere, or too large to square
        return false;
    double rms = sqrt(error / (double)n), rms_allowed = p->limits.rms * sqrt(scale / (double)n) + p->limits.tiny;
    return rms <= rms_allowed && error_max <= p->limits.max * scale_max + p->limits.tiny;
}

static bool rows_within(const piece *p, const uint8_t *base, const uint8_t *got, size_t n) {
    size_t size = hone_dtype_bytes(type_of(p));
    double relative = p->limits.rms * (1 - 1e-9);   // so that it implies the row test after rounding, too
    for (size_t i = 0; i < n; i += p->row) {
        size_t k = n - i < p->row ? n - i : p->row;
        const uint8_t *b = base + i * size, *g = got + i * size;
        if (!elements_within(type_of(p), b, g, k, relative, 0) && !row_within(p, b, g, k))
            return false;
    }
    return true;
}

static hone_diff compare_chunk(const piece *p, size_t chunk, size_t n, hone_err *e) {
    const hone_output_check *o = p->o;
    size_t size = hone_dtype_bytes(type_of(p)), from = chunk * p->step;
    hone_ref_spec spec = {.buffer = &o->plan->buffers[o->buffer], .first = o->done + from, .n = n, .base = p->base + from * size,
                          .bound = o->bound};
    hone_reference r;
    hone_diff d = {.kind = HONE_F_TIME_WRONG_OUTPUT, .at = o->done + from};
    if (hone_reference_make(&spec, &r, e) == HONE_OK) {
        r.varying = o->judge->varying;
        d = hone_compare(&r, &p->tolerance, p->got + from * size, false, e);
        hone_reference_free(&r);
    }
    return d;
}

// Sums do not depend on the order; equal chunks add the same to both and are left out.
static void add_to_sets(piece *p, const uint8_t *base, const uint8_t *got, size_t n) {
    size_t size = hone_dtype_bytes(type_of(p));
    uint64_t b = 0, g = 0;
    for (size_t i = 0; i < n; i++) {
        b += hone_hash64(base + i * size, size, 1);
        g += hone_hash64(got + i * size, size, 1);
    }
    atomic_fetch_add(&p->set_base, b);
    atomic_fetch_add(&p->set_got, g);
}

static bool chunk_agrees(piece *p, size_t chunk, size_t n) {
    hone_dtype t = type_of(p);
    size_t size = hone_dtype_bytes(t), from = chunk * p->step * size;
    const uint8_t *base = p->base + from, *got = p->got + from;
    if (memcmp(base, got, n * size) == 0)
        return true;
    if (p->o->any_order) {
        add_to_sets(p, base, got, n);
        return true;
    }
    const hone_tolerance *tol = &p->tolerance;
    if (hone_dtype_is_float(t) && tol->kind == HONE_TOL_AUTO && rows_within(p, base, got, n))
        return true;
    if (hone_dtype_is_float(t) && tol->kind == HONE_TOL_RELATIVE && elements_within(t, base, got, n, tol->rtol, tol->atol))
        return true;
    hone_err e = {0};
    return compare_chunk(p, chunk, n, &e).kind == HONE_F_COUNT && e.code == HONE_OK;
}

static size_t chunk_length(const piece *p, size_t chunk) {
    size_t from = chunk * p->step;
    return p->n - from < p->step ? p->n - from : p->step;
}

static void check_chunk(void *self, size_t chunk) {
    piece *p = self;
    size_t wrong = atomic_load(&p->first_wrong);
    if (chunk > wrong || chunk_agrees(p, chunk, chunk_length(p, chunk)))
        return;
    while (chunk < wrong && !atomic_compare_exchange_weak(&p->first_wrong, &wrong, chunk)) {
    }
}

// ---- the buffer

static bool check_piece(hone_output_check *o, const void *baseline, const void *candidate, size_t n) {
    const hone_plan_buffer *b = &o->plan->buffers[o->buffer];
    size_t row = hone_row_length(b);
    piece p = {.o = o, .tolerance = hone_task_tolerance(o->judge->c.task, b->arg->name), .base = baseline, .got = candidate, .n = n,
               .limits = hone_compare_row_limits(b->arg->type, o->bound), .row = row, .step = row >= CHUNK ? row : CHUNK / row * row};
    atomic_init(&p.first_wrong, SIZE_MAX);
    atomic_init(&p.set_base, 0);
    atomic_init(&p.set_got, 0);
    if (o->wrong)
        return false;
    hone_parallel(o->threads, (n + p.step - 1) / p.step, check_chunk, &p);
    o->set_baseline += atomic_load(&p.set_base);
    o->set_candidate += atomic_load(&p.set_got);
    size_t wrong = atomic_load(&p.first_wrong);
    if (wrong != SIZE_MAX) {
        hone_err e = {0};
        hone_diff d = compare_chunk(&p, wrong, chunk_length(&p, wrong), &e);
        o->wrong = true;
        o->at = d.at;
        o->expected = d.expected;
        o->got = d.got;
    }
    o->done += n;
    return !o->wrong;
}

// The whole buffer, rows sorted. Out of memory counts as wrong: nothing was shown.
static bool check_sorted(hone_output_check *o, const void *baseline, const void *candidate) {
    const hone_plan_buffer *b = &o->plan->buffers[o->buffer];
    void *base = hone_malloc(b->bytes + 1), *got = hone_malloc(b->bytes + 1);
    o->wrong |= !base || !got;
    if (base && got) {
        memcpy(base, baseline, b->bytes);
        memcpy(got, candidate, b->bytes);
        hone_rows_sort(b, base, HONE_POISON_A);
        hone_rows_sort(b, got, HONE_POISON_A);
        check_piece(o, base, got, b->n_elems);
    }
    hone_free(base);
    hone_free(got);
    return !o->wrong;
}

bool hone_output_check_piece(hone_output_check *o, const void *baseline, const void *candidate, size_t n) {
    const bool unordered = o->plan->buffers[o->buffer].arg->unordered;
    return unordered ? check_sorted(o, baseline, candidate) : check_piece(o, baseline, candidate, n);
}

bool hone_output_check_end(const hone_output_check *o, hone_findings *f) {
    const char *name = o->plan->buffers[o->buffer].arg->name;
    if (o->wrong)
        hone_findings_add(f, HONE_F_TIME_WRONG_OUTPUT, NULL, 0, NULL,
                          "output '%s' of a timed run is wrong at element %zu: %.9g, the baseline has %.9g", name, o->at, o->got,
                          o->expected);
    else if (o->set_baseline != o->set_candidate)
        hone_findings_add(f, HONE_F_TIME_WRONG_OUTPUT, NULL, 0, NULL,
                          "output '%s' of a timed run does not hold the baseline's values, in whatever order", name);
    return !o->wrong && o->set_baseline == o->set_candidate;
}

bool hone_judge_same_output(const hone_judge *j, const hone_plan *p, size_t buffer, const void *baseline, const void *candidate,
                            hone_findings *f) {
    hone_output_check o;
    hone_output_check_begin(&o, j, p, buffer, 1);
    hone_output_check_piece(&o, baseline, candidate, p->buffers[buffer].n_elems);
    return hone_output_check_end(&o, f);
}
