// Sizes to check at: the task's own `check` lines, then boundary sizes derived from the launch plan. Kernels go wrong at 1, at a tile
// and one beside it, at primes and at non-multiples of 32; each set is kept small enough to be interpreted. See hone_task_check_sizes.
#include "task/internal.h"
#include <string.h>

// Limits of a derived set, so that a checking run takes a fraction of a second on the virtual GPU. Where the task has check lines of its own,
// derived sets only add boundaries to them and stay small.
typedef struct limits { double elems, flops, threads; } limits;
static const limits alone = {2e6, 5e7, 2e6}, beside_checks = {3e5, 4e6, 1e6};

static const double LITTLE_WORK = 1 << 17;     // hone_plan_work: next to nothing on the virtual GPU

typedef struct deriver {
    const hone_task *t;
    size_t max_bytes;
    hone_arena *a;
    HONE_VEC(hone_sizes) out;
    hone_env tunes;                 // first values
    int64_t tile[MAX_NAMES];        // per size: how it is cut by the launches, 32 when unknown
} deriver;

static double elems_of(const hone_plan *p) {
    double n = 0;
    for (size_t i = 0; i < p->n_buffers; i++)
        n += (double)p->buffers[i].n_elems;
    return n;
}

static double threads_of(const hone_plan *p) {
    double n = 0;
    for (size_t i = 0; i < p->n_launches; i++) {
        const hone_plan_launch *l = &p->launches[i];
        n += (double)l->grid[0] * l->grid[1] * l->grid[2] * l->block[0] * l->block[1] * l->block[2];
    }
    return n;
}

double hone_plan_work(const hone_plan *p) {
    const double elems = elems_of(p), threads = threads_of(p), most = elems > threads ? elems : threads;
    return p->has_flops && p->flops / 2 > most ? p->flops / 2 : most;
}

// Whether the set can be planned at all and costs little. own: a set of the task, only bounded by memory.
static bool affordable(const deriver *d, const hone_sizes *s, bool own) {
    hone_plan *p;
    bool where = true;
    if (hone_task_feasible(d->t, s, NULL, &where, NULL) != HONE_OK || (!own && !where) || hone_plan_make(d->t, s, NULL, &p,
                                                                                                         NULL) != HONE_OK)
        return false;
    const limits *l = d->t->n_checks ? &beside_checks : &alone;
    bool ok = p->total_bytes <= d->max_bytes;
    if (!own)
        ok = ok && elems_of(p) <= l->elems && threads_of(p) <= l->threads && (!p->has_flops || p->flops <= l->flops);
    hone_plan_free(p);
    return ok;
}

static bool is_new(const deriver *d, const hone_sizes *s) {
    for (size_t i = 0; i < d->out.n; i++) {
        bool same = true;
        for (size_t k = 0; k < s->n; k++)
            for (size_t j = 0; j < d->out.v[i].n; j++)
                if (strcmp(d->out.v[i].v[j].name, s->v[k].name) == 0)
                    same &= d->out.v[i].v[j].value == s->v[k].value;
        if (same)
            return false;
    }
    return true;
}

// Halves the largest size until the set is affordable; false when even the smallest is not.
static bool shrink(const deriver *d, hone_sizes *s) {
    for (unsigned k = 0; k < 600; k++) {
        if (affordable(d, s, false))
            return true;
        size_t largest = 0;
        for (size_t i = 1; i < s->n; i++)
            if (s->v[i].value > s->v[largest].value)
                largest = i;
        if (s->v[largest].value <= 1)
            return false;
        s->v[largest].value = (s->v[largest].value + 1) / 2;
    }
    return false;
}

// Adds the set whose i-th size is value(i), shrunk if need be. False: out of memory.
static bool add(deriver *d, const int64_t *values) {
    const hone_sizes *first = &d->t->sizes[0];
    hone_sizes s = {.v = hone_arena_array(d->a, first->n, sizeof *s.v), .n = first->n};
    if (!s.v)
        return false;
    for (size_t i = 0; i < s.n; i++)
        s.v[i] = (hone_binding){first->v[i].name, values[i] < 1 ? 1 : values[i]};
    if (!shrink(d, &s) || !is_new(d, &s))
        return true;
    return hone_vec_push(&d->out, s);
}

// ---- tiles: cdiv(N, 16), round_up(N, 16) and N / 16 in launches and scratch tell how N is cut
static void find_tile(deriver *d, const hone_expr *x) {
    const hone_sizes *first = &d->t->sizes[0];
    expr_fault f;
    int64_t v;
    if ((x->op == OP_CDIV || x->op == OP_DIV || x->op == OP_ROUND_UP) && expr_eval_int(x->k[1], &d->tunes, &v, &f) && v > 1 && v <= 65536)
        for (size_t i = 0; i < first->n; i++)
            if (hone_expr_mentions(x->k[0], first->v[i].name))
                d->tile[i] = v;
    for (unsigned i = 0; i < x->n_k; i++)
        find_tile(d, x->k[i]);
}

static bool find_tiles(deriver *d) {
    hone_binding *v = hone_arena_array(d->a, d->t->n_tunes ? d->t->n_tunes : 1, sizeof *v);
    if (!v)
        return false;
    for (size_t i = 0; i < d->t->n_tunes; i++)
        v[i] = (hone_binding){d->t->tunes[i].name, d->t->tunes[i].values[0]};
    d->tunes = (hone_env){v, d->t->n_tunes, NULL};
    for (size_t i = 0; i < MAX_NAMES; i++)
        d->tile[i] = 32;
    for (size_t i = 0; i < d->t->n_launches; i++)
        for (size_t k = 0; k < 3; k++)
            find_tile(d, d->t->launches[i].grid[k]);
    return true;
}

// Whether some set is next to no work and has no size of 1: check/ makes many runs at such a one.
static bool has_little(const deriver *d) {
    for (size_t i = 0; i < d->out.n; i++) {
        const hone_sizes *s = &d->out.v[i];
        hone_plan *p;
        bool good = true;
        for (size_t k = 0; k < s->n; k++)
            good &= s->v[k].value > 1;
        if (!good || hone_plan_make(d->t, s, NULL, &p, NULL) != HONE_OK)
            continue;
        good = hone_plan_work(p) <= LITTLE_WORK;
        hone_plan_free(p);
        if (good)
            return true;
    }
    return false;
}

static bool derive(deriver *d) {
    static const int64_t primes[] = {67, 131, 37, 29, 53, 41, 23, 31}, few[] = {3, 11, 2, 7, 5, 9, 6, 4};
    const hone_sizes *first = &d->t->sizes[0];
    int64_t ones[MAX_NAMES], below[MAX_NAMES], tile[MAX_NAMES], above[MAX_NAMES], prime[MAX_NAMES], ragged[MAX_NAMES], scaled[MAX_NAMES], little[MAX_NAMES];
    for (size_t i = 0; i < first->n; i++) {
        ones[i] = 1;
        tile[i] = d->tile[i];
        below[i] = tile[i] - 1;
        above[i] = tile[i] + 1;
        prime[i] = primes[i % HONE_COUNT(primes)];
        ragged[i] = (int64_t)(i + 2) * tile[i] + 7;   // several tiles and a rest, another number of them for each size
        scaled[i] = first->v[i].value;
        little[i] = few[i % HONE_COUNT(few)];
    }
    const bool timed = !d->t->n_checks || affordable(d, first, false);   // beside check lines the timed size only when it is small itself
    return (!timed || add(d, scaled)) && add(d, above) && add(d, below) && add(d, tile) && add(d, prime) && add(d, ragged) && add(d, ones) &&
           (has_little(d) || add(d, little));
}

hone_code hone_task_check_sizes(const hone_task *t, size_t max_bytes, hone_arena *a, hone_sizes **out, size_t *n, hone_err *e) {
    deriver d = {.t = t, .max_bytes = max_bytes, .a = a};
    bool ok = true;
    for (size_t i = 0; i < t->n_checks && ok; i++)
        if (affordable(&d, &t->checks[i], true))
            ok = hone_vec_push(&d.out, t->checks[i]);
    ok = ok && find_tiles(&d) && derive(&d);
    hone_sizes *v = ok ? hone_arena_array(a, d.out.n ? d.out.n : 1, sizeof *v) : NULL;
    if (v) {
        if (d.out.n)
            memcpy(v, d.out.v, d.out.n * sizeof *v);
        *out = v;
        *n = d.out.n;
    }
    hone_vec_free(&d.out);
    return v ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory choosing check sizes for '%s'", t->path);
}
