// learn/forest: see forest.h. All trees share one node array; a leaf has feature -1.
#include "learn/forest.h"
#include <math.h>

typedef struct node {
    int32_t feature;
    float cut;
    uint32_t left;
    float value;
} node;   // right child = left + 1
struct hone_forest {
    HONE_VEC(node) nodes;
    uint32_t *roots;
    size_t n_trees;
};
typedef struct builder {
    hone_forest *f;
    const float *x;
    const double *y;
    size_t d;
    uint32_t *rows;   // permuted in place; a node owns a range
    hone_forest_options o;
    hone_rng *rng;
} builder;
typedef struct cut {
    int32_t feature;
    float at;
    double score;
} cut;

static double mean_of(const builder *b, size_t lo, size_t hi) {
    double sum = 0;
    for (size_t i = lo; i < hi; i++)
        sum += b->y[b->rows[i]];
    return sum / (double)(hi - lo);
}

// Sum of squares explained by splitting [lo,hi) at x[feature] < at; 0 when a side is too small.
static double score_cut(const builder *b, size_t lo, size_t hi, size_t feature, float at) {
    double sum_l = 0, sum = 0;
    size_t n_l = 0, n = hi - lo;
    for (size_t i = lo; i < hi; i++) {
        double y = b->y[b->rows[i]];
        bool left = b->x[b->rows[i] * b->d + feature] < at;
        sum += y;
        sum_l += left ? y : 0;
        n_l += left;
    }
    size_t n_r = n - n_l;
    if (n_l < b->o.min_leaf || n_r < b->o.min_leaf)
        return 0;
    double diff = sum_l / (double)n_l - (sum - sum_l) / (double)n_r;
    return diff * diff * (double)n_l * (double)n_r / (double)n;
}

static bool random_cut(const builder *b, size_t lo, size_t hi, size_t feature, float *at) {
    float min = INFINITY, max = -INFINITY;
    for (size_t i = lo; i < hi; i++) {
        float v = b->x[b->rows[i] * b->d + feature];
        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    if (!(max > min))
        return false;
    *at = min + (max - min) * (float)(1 - hone_rng_unit(b->rng));   // in (min, max]: never an empty left side
    return true;
}

static cut best_cut(const builder *b, size_t lo, size_t hi) {
    cut best = {-1, 0, 0};
    unsigned scored = 0;
    for (size_t attempt = 0; attempt < 3 * (size_t)b->o.tries && scored < b->o.tries; attempt++) {
        size_t feature = (size_t)hone_rng_below(b->rng, b->d);
        float at;
        if (!random_cut(b, lo, hi, feature, &at))
            continue;
        scored++;
        double score = score_cut(b, lo, hi, feature, at);
        if (score > best.score)
            best = (cut){(int32_t)feature, at, score};
    }
    return best;
}

static size_t partition(builder *b, size_t lo, size_t hi, const cut *c) {
    size_t mid = lo;
    for (size_t i = lo; i < hi; i++)
        if (b->x[b->rows[i] * b->d + (size_t)c->feature] < c->at) {
            uint32_t t = b->rows[i];
            b->rows[i] = b->rows[mid];
            b->rows[mid++] = t;
        }
    return mid;
}

static bool build(builder *b, uint32_t at, size_t lo, size_t hi) {
    b->f->nodes.v[at] = (node){-1, 0, 0, (float)mean_of(b, lo, hi)};
    if (hi - lo < 2 * (size_t)b->o.min_leaf)
        return true;
    cut c = best_cut(b, lo, hi);
    if (c.feature < 0)
        return true;
    size_t mid = partition(b, lo, hi, &c);
    uint32_t left = (uint32_t)b->f->nodes.n;
    node zero = {-1, 0, 0, 0};
    if (!hone_vec_push(&b->f->nodes, zero) || !hone_vec_push(&b->f->nodes, zero))
        return false;
    b->f->nodes.v[at].feature = c.feature;
    b->f->nodes.v[at].cut = c.at;
    b->f->nodes.v[at].left = left;
    return build(b, left, lo, mid) && build(b, left + 1, mid, hi);
}

static bool build_tree(builder *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        b->rows[i] = (uint32_t)i;
    node root = {-1, 0, 0, 0};
    b->f->roots[b->f->n_trees] = (uint32_t)b->f->nodes.n;
    if (!hone_vec_push(&b->f->nodes, root))
        return false;
    b->f->n_trees++;
    return build(b, (uint32_t)b->f->nodes.n - 1, 0, n);
}

hone_code hone_forest_fit(const float *x, const double *y, size_t n, size_t d, const hone_forest_options *o, hone_rng *rng,
                          hone_forest **out, hone_err *e) {
    *out = NULL;
    builder b = {.f = hone_calloc(1, sizeof *b.f), .x = x, .y = y, .d = d, .rows = hone_calloc(n, sizeof *b.rows), .rng = rng};
    if (o)
        b.o = *o;
    b.o.trees = b.o.trees ? b.o.trees : 40;
    b.o.tries = b.o.tries ? b.o.tries : (unsigned)(d + 2) / 3;
    b.o.min_leaf = b.o.min_leaf ? b.o.min_leaf : 1;
    bool ok = b.f && b.rows && (b.f->roots = hone_calloc(b.o.trees, sizeof *b.f->roots));
    for (unsigned t = 0; ok && t < b.o.trees; t++)
        ok = build_tree(&b, n);
    hone_free(b.rows);
    if (!ok) {
        hone_forest_free(b.f);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory fitting a surrogate");
    }
    *out = b.f;
    return HONE_OK;
}

void hone_forest_predict(const hone_forest *f, const float *x, double *mean, double *sd) {
    double sum = 0, squares = 0;
    for (size_t t = 0; t < f->n_trees; t++) {
        const node *p = &f->nodes.v[f->roots[t]];
        while (p->feature >= 0)
            p = &f->nodes.v[p->left + (x[p->feature] < p->cut ? 0 : 1)];
        sum += (double)p->value;
        squares += (double)p->value * (double)p->value;
    }
    double n = (double)f->n_trees, m = sum / n;
    *mean = m;
    *sd = sqrt(fmax(0, squares / n - m * m));
}

void hone_forest_free(hone_forest *f) {
    if (!f)
        return;
    hone_vec_free(&f->nodes);
    hone_free(f->roots);
    hone_free(f);
}
