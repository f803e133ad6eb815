// propose/llm_pick: which measured versions a prompt shows. "contrast": two to four buckets of scores are drawn, better ones more likely, and one version of
// each; seeing why one beats another teaches more than the best alone. "best": the two fastest texts. source: CUDA-L1 (2025), section on contrastive exemplars
#include "propose/llm_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POOL = 256, MAX_BUCKETS = 64 };
static const double TEMPERATURE = 0.5, STEP = 0.25;   // a bucket spans a factor of 2^STEP

const char *const hone_exemplar_names[HONE_EXEMPLARS_COUNT] = {"contrast", "best"};

typedef struct pool {
    const hone_candidate *v[MAX_POOL];   // one per text (its best), best first
    double smooth[MAX_POOL];
    size_t n;
} pool;

static int by_cost(const void *a, const void *b) {
    const hone_candidate *x = *(const hone_candidate *const *)a, *y = *(const hone_candidate *const *)b;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool same_text(const hone_candidate *a, const hone_candidate *b) { return a->len == b->len && !memcmp(a->text, b->text, a->len); }

static hone_code fill(const hone_context *ctx, pool *p, hone_err *e) {
    size_t n = 0;
    const hone_candidate **all = hone_arena_array(ctx->arena, ctx->n_history + 1, sizeof *all);
    if (!all)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the llm proposer");
    for (size_t i = 0; i < ctx->n_history; i++)
        if (ctx->history[i]->id != 0 && ctx->history[i]->ok && ctx->history[i]->cost > 0 && ctx->history[i]->len <= HONE_SHOWN_MAX)   // the baseline is shown anyway
            all[n++] = ctx->history[i];
    qsort(all, n, sizeof *all, by_cost);
    for (size_t i = 0; i < n && p->n < MAX_POOL; i++) {
        bool seen = false;
        for (size_t k = 0; k < p->n && !seen; k++)
            seen = same_text(p->v[k], all[i]);
        if (!seen)
            p->v[p->n++] = all[i];
    }
    return HONE_OK;
}

// Scores standardised and clipped, so that one outlier does not decide everything.
static void smooth(pool *p, const hone_candidate *baseline) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < p->n; i++) {
        double r = hone_score(baseline, p->v[i]);
        p->smooth[i] = r;
        sum += r;
        square += r * r;
    }
    double n = (double)p->n, mean = sum / n, sd = sqrt(fmax(square / n - mean * mean, 1e-12));
    for (size_t i = 0; i < p->n; i++)
        p->smooth[i] = fmin(1.5, fmax(-1.5, (p->smooth[i] - mean) / sd));
}

typedef struct bucket { int at; double sum; size_t n; bool used; } bucket;

static size_t buckets_of(const pool *p, const hone_candidate *baseline, bucket *b) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        int at = (int)floor(log2(fmax(1e-6, baseline->cost / p->v[i]->cost)) / STEP);
        size_t k = 0;
        while (k < n && b[k].at != at)
            k++;
        if (k == n && n < MAX_BUCKETS)
            b[n++] = (bucket){.at = at};
        if (k < n) {
            b[k].sum += p->smooth[i];
            b[k].n++;
        }
    }
    return n;
}

static size_t draw_bucket(bucket *b, size_t n, hone_rng *rng) {
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += b[i].used ? 0 : exp(b[i].sum / (double)b[i].n / TEMPERATURE);
    double u = hone_rng_unit(rng) * total;
    size_t last = n;
    for (size_t i = 0; i < n; i++) {
        if (b[i].used)
            continue;
        last = i;
        u -= exp(b[i].sum / (double)b[i].n / TEMPERATURE);
        if (u < 0)
            break;
    }
    return last;
}

static const hone_candidate *draw_from(const pool *p, const hone_candidate *baseline, int at, size_t n, hone_rng *rng) {
    uint64_t k = hone_rng_below(rng, n);
    for (size_t i = 0; i < p->n; i++)
        if ((int)floor(log2(fmax(1e-6, baseline->cost / p->v[i]->cost)) / STEP) == at && k-- == 0)
            return p->v[i];
    return p->v[0];
}

static void contrast(const hone_context *ctx, pool *p, const hone_candidate *baseline, const hone_candidate **out, size_t *n) {
    bucket b[MAX_BUCKETS] = {{0}};
    smooth(p, baseline);
    size_t n_buckets = buckets_of(p, baseline, b), want = 2 + (size_t)hone_rng_below(ctx->rng, HONE_EXEMPLARS_MAX - 1);
    while (*n < want && *n < n_buckets) {
        size_t k = draw_bucket(b, n_buckets, ctx->rng);
        if (k == n_buckets)
            break;
        b[k].used = true;
        out[(*n)++] = draw_from(p, baseline, b[k].at, b[k].n, ctx->rng);
    }
    qsort(out, *n, sizeof *out, by_cost);
}

hone_code hone_pick_exemplars(const hone_context *ctx, const hone_candidate *baseline, hone_exemplars policy, const hone_candidate **out, size_t *n,
                              hone_err *e) {
    *n = 0;
    pool *p = hone_arena_alloc(ctx->arena, sizeof *p);
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the llm proposer");
    HONE_TRY(fill(ctx, p, e));
    if (p->n && policy == HONE_EXEMPLARS_CONTRAST && baseline->cost > 0)
        contrast(ctx, p, baseline, out, n);
    else
        for (; *n < 2 && *n < p->n; ++*n)
            out[*n] = p->v[*n];
    for (size_t i = 0; i < *n / 2; i++) {   // worst to best
        const hone_candidate *t = out[i];
        out[i] = out[*n - 1 - i];
        out[*n - 1 - i] = t;
    }
    return HONE_OK;
}
