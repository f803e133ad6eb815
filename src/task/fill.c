// Input data: what each initialiser and each input variant puts into a buffer. Element i depends on (seed, buffer name, variant, i)
// only. The common distributions go through blocks of fill_fast.c; the others are computed element by element. See hone_fill.
#include "task/internal.h"
#include <math.h>
#include <string.h>

// How elements are made.
typedef enum gen_kind {
    GEN_NORMAL, GEN_UNIFORM, GEN_INT, GEN_CONST, GEN_ENDS, GEN_ZIPF, GEN_PERMUTATION, GEN_SORTED, GEN_ONE_HOT, GEN_SPARSE, GEN_IOTA,
        GEN_CSR, GEN_CSR_SKEWED, GEN_CSR_FRONT, GEN_CSR_BACK,
    GEN_HASH, GEN_FEW_LARGE, GEN_RANGE_ENDS, GEN_CLUSTERS
} gen_kind;
typedef struct gen {
    gen_kind kind;
    hone_dtype type;
    fill_key key;
    double a, b;             // mean and deviation; lo and hi; value; s of zipf; share of zeros
    double clamp_lo, clamp_hi;
    bool clamped;
    int64_t lo, hi;          // whole numbers, both included
    uint64_t row;            // one_hot: length of a row; csr: mean_row
    uint64_t n, columns;     // elements
    uint64_t origin;         // csr: the row that the pointers begin at
} gen;

// ---- choosing a generator
typedef struct chooser { const hone_plan *p; const hone_plan_buffer *b; const hone_env *env; hone_err *e; } chooser;

static hone_code too_big(const chooser *c, const char *what) {
    return hone_fail(c->e, HONE_E_LIMIT, 0, "%s:%u: buffer '%s' of type %s cannot hold %s", c->p->task->path, c->b->arg->line,
                     c->b->arg->name,
                     hone_dtype_name(c->b->arg->type), what);
}

// Whole numbers must fit the type, and floats must hold them exactly enough to mean something (2^53).
static hone_code check_whole(const chooser *c, const gen *g) {
    int64_t lo, hi;
    if (g->lo > g->hi)
        return hone_fail(c->e, HONE_E_PARSE, 0, "%s:%u: initialiser of '%s' has no value: %lld .. %lld", c->p->task->path, c->b->arg->line,
                         c->b->arg->name,
                         (long long)g->lo, (long long)g->hi);
    if (hone_dtype_is_float(g->type))
        return HONE_OK;
    dtype_range(g->type, &lo, &hi);
    return g->lo < lo || g->hi > hi ? too_big(c, "the values of its initialiser") : HONE_OK;
}

static hone_code param(const chooser *c, unsigned k, double *v) {
    expr_fault f;
    const hone_expr *x = c->b->arg->init.p[k];
    return expr_eval_double(x, c->env, v, &f) ? HONE_OK : task_fault(c->p->task, &f, x, c->e);
}

static hone_code int_param(const chooser *c, unsigned k, int64_t *v) {
    double d;
    HONE_TRY(param(c, k, &d));
    if (d != floor(d) || fabs(d) > 0x1p53)
        return hone_fail(c->e, HONE_E_PARSE, 0, "%s:%u: parameter %u of the initialiser of '%s' is %g, no whole number", c->p->task->path,
                         c->b->arg->line,
                         k + 1, c->b->arg->name, d);
    *v = (int64_t)d;
    return HONE_OK;
}

static hone_code choose_csr(const chooser *c, gen *g) {
    int64_t columns, mean;
    HONE_TRY(int_param(c, 0, &columns));
    HONE_TRY(int_param(c, 1, &mean));
    if (mean < 1 || mean > columns || columns > 0x7fffffff)
        return hone_fail(c->e, HONE_E_PARSE, 0, "%s:%u: csr(%lld, %lld) of '%s': a row has 1 to %lld entries on average", c->p->task->path,
                         c->b->arg->line,
                         (long long)columns, (long long)mean, c->b->arg->name, (long long)columns);
    g->kind = GEN_CSR;
    g->columns = (uint64_t)columns;
    g->row = (uint64_t)mean;
    g->hi = (int64_t)(g->n - 1) * mean;
    return check_whole(c, g);
}

static hone_code choose_sorted(const chooser *c, gen *g) {
    int64_t lo, hi = INT64_MAX;
    bool is_float = hone_dtype_is_float(g->type);
    if (!is_float)
        dtype_range(g->type, &lo, &hi);
    g->kind = GEN_SORTED;
    g->a = is_float ? -1 : 0;
    g->b = is_float ? 1 : fmin((double)(g->n / 2), (double)hi);
    if (c->b->arg->init.n_p == 2) {
        HONE_TRY(param(c, 0, &g->a));
        HONE_TRY(param(c, 1, &g->b));
    }
    g->lo = (int64_t)floor(fmax(fmin(g->a, 0x1p62), -0x1p62));
    g->hi = (int64_t)floor(fmax(fmin(g->b, 0x1p62), -0x1p62));
    return check_whole(c, g);
}

static hone_code choose_default(gen *g) {
    domain d = domain_of_type(g->type);
    if (d.kind == DOMAIN_SIGNED) {
        g->kind = GEN_NORMAL;
        g->a = 0;
        g->b = 1;
    } else {
        g->kind = GEN_INT;
        g->lo = (int64_t)d.lo;
        g->hi = (int64_t)d.hi;
    }
    return HONE_OK;
}

// The task's own distribution.
static hone_code choose_task(const chooser *c, gen *g) {
    double v;
    switch (c->b->arg->init.kind) {
    case HONE_INIT_DEFAULT: return choose_default(g);
    case HONE_INIT_NORMAL:
    case HONE_INIT_UNIFORM:
        g->kind = c->b->arg->init.kind == HONE_INIT_NORMAL ? GEN_NORMAL : GEN_UNIFORM;
        HONE_TRY(param(c, 0, &g->a));
        return param(c, 1, &g->b);
    case HONE_INIT_INT:
        g->kind = GEN_INT;
        HONE_TRY(int_param(c, 0, &g->lo));
        HONE_TRY(int_param(c, 1, &g->hi));
        return check_whole(c, g);
    case HONE_INIT_INDEX:
        g->kind = GEN_INT;
        HONE_TRY(int_param(c, 0, &g->hi));
        g->hi--;
        return check_whole(c, g);
    case HONE_INIT_ZIPF:
        g->kind = GEN_ZIPF;
        HONE_TRY(param(c, 0, &g->a));
        HONE_TRY(int_param(c, 1, &g->hi));
        g->hi--;
        return check_whole(c, g);
    case HONE_INIT_PERMUTATION:
    case HONE_INIT_IOTA:
        g->kind = c->b->arg->init.kind == HONE_INIT_IOTA ? GEN_IOTA : GEN_PERMUTATION;
        g->hi = (int64_t)g->n - 1;
        return check_whole(c, g);
    case HONE_INIT_SORTED: return choose_sorted(c, g);
    case HONE_INIT_CSR: return choose_csr(c, g);
    case HONE_INIT_ONE_HOT:
        g->kind = GEN_ONE_HOT;
        g->b = 1;
        HONE_TRY(int_param(c, 0, &g->lo));
        g->row = (uint64_t)(g->lo < 1 ? 1 : g->lo);
        return HONE_OK;
    case HONE_INIT_SPARSE:
        g->kind = GEN_SPARSE;
        g->b = 1;
        HONE_TRY(param(c, 0, &v));
        g->a = fmax(0, fmin(1, v));
        return HONE_OK;
    case HONE_INIT_CONST: g->kind = GEN_CONST; return param(c, 0, &g->a);
    case HONE_INIT_HASH32: g->kind = GEN_HASH; return HONE_OK;
    case HONE_INIT_ZEROS: g->kind = GEN_CONST; return HONE_OK;
    }
    return HONE_OK;
}

// Length of the rows that hold one hot element: the innermost extent, or 64 for a vector.
static uint64_t hot_row(const hone_plan_buffer *b) {
    size_t inner = b->dims[b->n_dims - 1];
    return b->n_dims > 1 ? inner : inner < 64 ? inner : 64;
}

static void scale(gen *g, double factor) {
    if (g->kind == GEN_SPARSE) {
        g->b = factor;
        return;
    }
    g->a *= factor;
    g->b *= factor;
}

// Every element the lowest, or the highest, whole number of the range.
static void choose_same(gen *g, bool lowest) {
    if (lowest)
        g->hi = g->lo;
    else
        g->lo = g->hi;
    g->kind = GEN_INT;
}

static void choose_variant(const chooser *c, hone_input k, gen *g) {
    domain d = domain_of(c->b->arg, c->env);
    bool ranged = d.kind == DOMAIN_RANGE, whole = d.kind == DOMAIN_WHOLE;
    switch (k) {
    case HONE_INPUT_NORMAL:
        g->kind = GEN_NORMAL;
        g->a = ranged ? (d.lo + d.hi) / 2 : 0;
        g->b = ranged ? (d.hi - d.lo) / 6 : 1;
        g->clamped = ranged;
        g->clamp_lo = d.lo;
        g->clamp_hi = nextafterf((float)d.hi, (float)d.lo);
        break;
    case HONE_INPUT_TINY: scale(g, 1e-3); break;
    case HONE_INPUT_LARGE:
        if (ranged) {
            g->kind = GEN_RANGE_ENDS;
            g->a = d.lo;
            g->b = d.hi;
        } else if (whole) {
            g->kind = GEN_ENDS;
        } else {
            scale(g, 64);
        }
        break;
    case HONE_INPUT_ONE_HOT:
        g->kind = GEN_ONE_HOT;
        g->b = ranged && d.hi <= 1 ? d.hi / 2 : 1;
        g->row = hot_row(c->b);
        break;
    case HONE_INPUT_SMALL_INT:
        g->kind = GEN_INT;
        domain_small_ints(&d, &g->lo, &g->hi);
        break;
    case HONE_INPUT_LOWEST:
    case HONE_INPUT_HIGHEST:
        if (d.kind == DOMAIN_CSR)
            g->kind = k == HONE_INPUT_LOWEST ? GEN_CSR_BACK : GEN_CSR_FRONT;
        else
            choose_same(g, k == HONE_INPUT_LOWEST);
        break;
    case HONE_INPUT_CLUSTERED:
        if (d.kind == DOMAIN_CSR) {
            g->kind = GEN_CSR_SKEWED;
        } else if (whole) {
            g->kind = GEN_CLUSTERS;
            g->a = 1.2;
        } else {
            g->kind = GEN_FEW_LARGE;
            g->a = 0;
            g->b = ranged ? d.hi : 0;
        }
        break;
    default: break;
    }
}

// ---- single elements
// 0 <= x < n from 32 bits, or from 64 when n needs them.
static uint64_t below(fill_key key, uint64_t i, uint64_t n) {
    uint64_t h = fill_bits(key, i);
    if (n > UINT32_MAX)
        h = h << 32 | fill_bits((fill_key){key.k2, key.k1 ^ 0x5bd1e995u}, i);
    else
        h <<= 32;
    return (uint64_t)(((__uint128_t)h * n) >> 64);
}

// 53 random bits: 0 <= u < 1
static double unit(fill_key key, uint64_t i) {
    uint64_t h = (uint64_t)fill_bits(key, i) << 32 | fill_bits((fill_key){key.k2, key.k1 ^ 0x5bd1e995u}, i);
    return (double)(h >> 11) * 0x1p-53;
}

static double normal_at(fill_key key, uint64_t i) { return (double)fill_normal_at(key, i); }

// k in 0 .. n-1 with probability about proportional to (k+1)^-s: the continuous distribution on [1, n+1), rounded down.
static int64_t zipf(const gen *g, uint64_t i) {
    double n = (double)(g->hi - g->lo) + 2, u = unit(g->key, i), x;
    if (fabs(g->a - 1) < 1e-9)
        x = exp(u * log(n));
    else
        x = pow(1 + u * (pow(n, 1 - g->a) - 1), 1 / (1 - g->a));
    int64_t k = (int64_t)floor(x) - 1;
    return g->lo + (k < 0 ? 0 : k > g->hi - g->lo ? g->hi - g->lo : k);
}

// Every other group of 32 elements lies within eight values of one another; the others are Zipf's.
static int64_t clusters(const gen *g, uint64_t i) {
    const uint64_t group = i / 32, values = (uint64_t)(g->hi - g->lo) + 1, width = values < 8 ? values : 8;
    if (group % 2 == 0)
        return zipf(g, i);
    const fill_key other = {g->key.k1 ^ 0x2545f491u, g->key.k2 ^ 0x4f6cdd1du};
    return g->lo + (int64_t)(below(other, group, values - width + 1) + below(g->key, i, width));
}

// A bijection of 0 .. n-1: four Feistel rounds on the next even number of bits, walked until the result is below n.
static uint64_t permute(const gen *g, uint64_t i) {
    unsigned half = 1;
    while ((uint64_t)1 << (2 * half) < g->n)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t l = i >> half, r = i & mask;
        for (unsigned round = 0; round < 4; round++) {
            uint64_t f = fill_bits((fill_key){g->key.k1 + round * 0x9e3779b9u, g->key.k2}, r) & mask, old = l;
            l = r;
            r = old ^ f;
        }
        i = l << half | r;
    } while (i >= g->n);
    return i;
}

// Row pointer i: i*mean plus a jitter that keeps every row's length within 0 .. columns; the total is rows*mean exactly.
static int64_t csr(const gen *g, uint64_t i) {
    uint64_t rows = g->n - 1, room = g->columns - g->row + 1, jitter = g->row < room ? g->row : room;
    uint64_t exact = i * g->row;
    return (int64_t)(i == 0 || i == rows ? exact : exact + below(g->key, i, jitter));
}

// Of each 32 rows (fewer when columns is small) one holds all entries.
static int64_t csr_skewed(const gen *g, uint64_t i) {
    uint64_t rows = g->n - 1, group = g->columns / g->row < 32 ? g->columns / g->row : 32, b = i / group, first = b * group;
    uint64_t here = rows - first < group ? rows - first : group;
    uint64_t full = here ? below(g->key, b, here) : 0;
    return (int64_t)(first * g->row + (i - first > full ? here * g->row : 0));
}

// Full rows, then empty ones; or the other way round, with a rest in the row between.
static int64_t csr_front(const gen *g, uint64_t i) {
    const uint64_t total = (g->n - 1) * g->row;
    return (int64_t)(i < total / g->columns + 1 && i * g->columns < total ? i * g->columns : total);
}

static int64_t csr_back(const gen *g, uint64_t i) { return (int64_t)((g->n - 1) * g->row) - csr_front(g, g->n - 1 - i); }

static int64_t csr_kind(const gen *g, uint64_t i) {
    return g->kind == GEN_CSR ? csr(g, i) : g->kind == GEN_CSR_SKEWED ? csr_skewed(g, i) : g->kind == GEN_CSR_FRONT ? csr_front(g, i) : csr_back(g, i);
}

static uint32_t fmix32(uint32_t h) {   // source: MurmurHash3
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ (h >> 16);
}

static double sorted_at(const gen *g, uint64_t i) {
    double x = g->a + (g->b - g->a) * (((double)i + unit(g->key, i)) / (double)g->n);
    return x < g->b ? x : g->b;
}

static double clamp(const gen *g, double x) { return !g->clamped ? x : x < g->clamp_lo ? g->clamp_lo : x > g->clamp_hi ? g->clamp_hi : x; }

// Whole-numbered kinds; *whole is false for the others.
static int64_t whole_at(const gen *g, uint64_t i, bool *whole) {
    *whole = true;
    switch (g->kind) {
    case GEN_INT: return g->lo + (int64_t)below(g->key, i, (uint64_t)(g->hi - g->lo) + 1);
    case GEN_ENDS: return fill_bits(g->key, i) & 1 ? g->hi : g->lo;
    case GEN_ZIPF: return zipf(g, i);
    case GEN_CLUSTERS: return clusters(g, i);
    case GEN_PERMUTATION: return (int64_t)permute(g, i);
    case GEN_IOTA: return (int64_t)i;
    case GEN_CSR:
    case GEN_CSR_SKEWED:
    case GEN_CSR_FRONT:
    case GEN_CSR_BACK: return csr_kind(g, i - g->origin) + (int64_t)(g->origin * g->row);
    case GEN_HASH: return (int64_t)fmix32((uint32_t)i);
    default: *whole = false; return 0;
    }
}

// A quarter each of the range's two ends. The upper one is outside the range, except where it is 1: then the numbers are taken for probabilities.
static double range_ends(const gen *g, uint64_t i) {
    const fill_key other = {g->key.k1 ^ 0x2545f491u, g->key.k2 ^ 0x4f6cdd1du};
    const uint64_t which = below(other, i, 4);
    if (which == 0)
        return g->a;
    if (which == 1)
        return g->a == 0 && g->b == 1 ? 1 : (double)nextafterf((float)g->b, (float)g->a);
    return g->a + (g->b - g->a) * unit(g->key, i);
}

static double real_at(const gen *g, uint64_t i) {
    fill_key other = {g->key.k1 ^ 0x2545f491u, g->key.k2 ^ 0x4f6cdd1du};
    switch (g->kind) {
    case GEN_CONST: return g->a;
    case GEN_UNIFORM: return g->a + (g->b - g->a) * unit(g->key, i);
    case GEN_NORMAL: return clamp(g, g->a + g->b * (normal_at(g->key, i) + (unit(other, i) - 0.5) * 0x1p-22));   // all 53 bits random
    case GEN_SORTED: return hone_dtype_is_float(g->type) ? sorted_at(g, i) : floor(sorted_at(g, i));
    case GEN_ONE_HOT: return below(g->key, i / g->row, g->row) == i % g->row ? g->b : 0;
    case GEN_SPARSE:
        if (unit(other, i) < g->a)
            return 0;
        return hone_dtype_is_float(g->type) ? g->b * normal_at(g->key, i) : 1 + (double)below(g->key, i, g->type == HONE_BOOL ? 1 : 9);
    case GEN_FEW_LARGE:
        if (g->b > 0)
            return g->b * unit(g->key, i) * (below(other, i, 64) ? 0.05 : 1.0);
        return normal_at(g->key, i) * (below(other, i, 64) ? 0.05 : 32.0);
    case GEN_RANGE_ENDS: return range_ends(g, i);
    default: return 0;
    }
}

static void store_whole(hone_dtype t, void *dst, size_t at, int64_t v) {
    if (hone_dtype_is_float(t))
        hone_dtype_set(t, dst, at, (double)v);
    else
        memcpy((char *)dst + at * hone_dtype_bytes(t), &v, hone_dtype_bytes(t));   // little-endian: the low bytes come first
}

static void fill_slowly(const gen *g, size_t first, size_t n, void *dst) {
    for (size_t k = 0; k < n; k++) {
        bool whole;
        int64_t v = whole_at(g, first + k, &whole);
        if (whole)
            store_whole(g->type, dst, k, v);
        else
            hone_dtype_set(g->type, dst, k, real_at(g, first + k));
    }
}

// ---- blocks
static bool small_type(hone_dtype t) { return t == HONE_FLOAT || t == HONE_HALF || t == HONE_BFLOAT16; }

static bool is_fast(const gen *g) {
    if (g->kind == GEN_NORMAL || g->kind == GEN_UNIFORM)
        return small_type(g->type);
    return g->kind == GEN_INT && !hone_dtype_is_float(g->type) && hone_dtype_bytes(g->type) <= 4;
}

static void one_block(const gen *g, uint64_t first, void *out) {
    float f[FILL_BLOCK];
    uint32_t u[FILL_BLOCK];
    if (g->kind == GEN_INT) {
        fill_int(g->key, first, (uint32_t)g->lo, (uint32_t)(g->hi - g->lo + 1), u);
        fill_store_ints((unsigned)hone_dtype_bytes(g->type), u, out);
        return;
    }
    if (g->kind == GEN_UNIFORM)
        fill_uniform(g->key, first, (float)g->a, (float)g->b, f);
    else
        fill_normal(g->key, first, (float)g->a, (float)g->b, f);
    for (size_t k = 0; g->clamped && k < FILL_BLOCK; k++)
        f[k] = (float)clamp(g, (double)f[k]);
    fill_store_floats(g->type, f, out);
}

static void fill_blocks(const gen *g, size_t first, size_t n, void *dst) {
    size_t size = hone_dtype_bytes(g->type);
    _Alignas(64) char block[FILL_BLOCK * 4];
    for (size_t done = 0; done < n;) {
        size_t at = first + done, skip = at % FILL_BLOCK, take = FILL_BLOCK - skip;
        if (take > n - done)
            take = n - done;
        one_block(g, at - skip, block);
        memcpy((char *)dst + done * size, block + skip * size, take * size);
        done += take;
    }
}

static fill_key key_of(const char *name, hone_input k, uint64_t seed) {
    uint64_t h = hone_hash64(name, strlen(name), seed + (uint64_t)k * 0x9e3779b97f4a7c15u);
    return (fill_key){(uint32_t)h, (uint32_t)(h >> 32)};
}

static hone_code choose(const chooser *c, hone_input k, uint64_t seed, gen *g) {
    if (!hone_input_applies(c->b->arg, k))
        k = HONE_INPUT_TASK;
    *g = (gen){.type = c->b->arg->type, .key = key_of(c->b->arg->name, k, seed), .n = c->b->n_elems};
    HONE_TRY(choose_task(c, g));
    choose_variant(c, k, g);
    return HONE_OK;
}

static void fill_with(const gen *g, size_t first, size_t n, void *dst) {
    if (is_fast(g))
        fill_blocks(g, first, n, dst);
    else
        fill_slowly(g, first, n, dst);
}

// Row pointers of a part are row pointers by themselves, after the entries of the rows before: every part keeps the mean. The last pointer is its part's end.
static gen part_of(const gen *g, const mixed_layout *l, const mixed_part *part) {
    gen own = *g;
    if (g->kind != GEN_CSR && g->kind != GEN_CSR_SKEWED && g->kind != GEN_CSR_FRONT && g->kind != GEN_CSR_BACK)
        return own;
    own.origin = part->from;
    own.n = (part->to < l->extent ? part->to : l->extent - 1) - part->from + 1;
    return own;
}

static hone_code fill_mixed(const chooser *c, uint64_t seed, size_t first, size_t n, void *dst) {
    const mixed_layout l = mixed_layout_of(c->p, c->b, seed);
    const size_t size = hone_dtype_bytes(c->b->arg->type);
    gen kinds[HONE_INPUT_COUNT];
    for (size_t k = 0; k < l.n_kinds; k++)
        HONE_TRY(choose(c, l.kinds[k], seed, &kinds[k]));
    for (size_t at = first; at < first + n;) {
        const mixed_part part = mixed_part_at(&l, at);
        const gen g = part_of(&kinds[part.kind], &l, &part);
        const size_t end = part.end < first + n ? (size_t)part.end : first + n;
        fill_with(&g, at, end - at, (char *)dst + (at - first) * size);
        at = end;
    }
    return HONE_OK;
}

hone_code hone_fill_range(const hone_plan *p, size_t buffer, hone_input k, uint64_t seed, size_t first, size_t n, void *dst, hone_err *e) {
    const hone_plan_buffer *b = &p->buffers[buffer];
    if (first > b->n_elems || n > b->n_elems - first)
        HONE_BUG("elements %zu + %zu of '%s', which has %zu", first, n, b->arg->name, b->n_elems);
    if (b->arg->role == HONE_OUT || b->arg->role == HONE_SCRATCH) {
        memset(dst, 0, n * hone_dtype_bytes(b->arg->type));
        return HONE_OK;
    }
    hone_env env = {p->sizes->v, p->sizes->n, NULL};   // initialisers do not depend on tune parameters
    chooser c = {p, b, &env, e};
    gen g;
    if (k == HONE_INPUT_MIXED && hone_input_applies(b->arg, k))
        return fill_mixed(&c, seed, first, n, dst);
    HONE_TRY(choose(&c, k, seed, &g));
    fill_with(&g, first, n, dst);
    return HONE_OK;
}

hone_code hone_fill(const hone_plan *p, size_t buffer, hone_input k, uint64_t seed, void *dst, hone_err *e) {
    return hone_fill_range(p, buffer, k, seed, 0, p->buffers[buffer].n_elems, dst, e);
}
