// learn/tuner: see tuner.h. source: search-and-learning design notes: features {log2 value, pairwise log products, trailing zeros}, target
// log cost with its slope flattened above the 60th percentile, failures placed above the cap, pool of neighbours of elites, crossover and
// random, pick by mean − κ·sd with κ drawn per pick.
#include "learn/tuner.h"
#include "learn/forest.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FEATURES = 1024, ELITES = 8, RANDOM_POOL = 400, MAX_POOL = 6000 };

typedef struct features {
    const hone_space *s;
    size_t d;
    bool positive[HONE_SPACE_MAX_PARAMS];
} features;   // which parameters have logarithms

typedef struct tuner {
    const hone_space *s;
    const hone_observation *obs;
    size_t n_obs;
    hone_rng *rng;
    features f;
    uint64_t *seen;
    size_t seen_mask;   // open addressing, config + 1; 0 = empty
    size_t *order;
    size_t n_ok;   // indices of successful observations, best first
    HONE_VEC(uint64_t) pool;
    double *mean, *sd;   // of the pool
} tuner;

// ---- features

static void features_init(features *f, const hone_space *s) {
    *f = (features){.s = s};
    size_t logs = 0;
    for (size_t i = 0; i < s->n; i++) {
        f->positive[i] = s->params[i].n_values > 1;
        for (size_t k = 0; k < s->params[i].n_values; k++)
            f->positive[i] = f->positive[i] && s->params[i].values[k] > 0;
        logs += f->positive[i];
    }
    f->d = 2 * s->n + logs * (logs ? logs - 1 : 0);   // value and trailing zeros; log products and ratios of pairs
    if (f->d > MAX_FEATURES)
        f->d = MAX_FEATURES;
}

static void features_of(const features *f, uint64_t config, float *x) {
    int64_t values[HONE_SPACE_MAX_PARAMS];
    float logs[HONE_SPACE_MAX_PARAMS];
    hone_space_values(f->s, config, values);
    size_t k = 0, n = 0;
    for (size_t i = 0; i < f->s->n; i++) {
        float v = f->positive[i] ? log2f((float)values[i]) : (float)values[i];
        x[k++] = v;
        x[k++] = values[i] ? (float)__builtin_ctzll((uint64_t)values[i]) : 0;
        if (f->positive[i])
            logs[n++] = v;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && k + 1 < f->d; j++) {
            x[k++] = logs[i] + logs[j];
            x[k++] = logs[i] - logs[j];
        }
    while (k < f->d)
        x[k++] = 0;
}

// ---- what was seen

static bool seen_add(tuner *t, uint64_t config) {   // false when it was there
    size_t i = (size_t)(config * 0x9e3779b97f4a7c15u >> 20) & t->seen_mask;
    for (; t->seen[i]; i = (i + 1) & t->seen_mask)
        if (t->seen[i] == config + 1)
            return false;
    t->seen[i] = config + 1;
    return true;
}

static int by_cost(const void *a, const void *b, void *obs) {
    const hone_observation *o = obs, *x = &o[*(const size_t *)a], *y = &o[*(const size_t *)b];
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return *(const size_t *)a < *(const size_t *)b ? -1 : 1;
}

static bool tuner_init(tuner *t, size_t room) {
    size_t cap = 64;
    while (cap < 2 * room)
        cap *= 2;
    t->seen = hone_calloc(cap, sizeof *t->seen);
    t->seen_mask = cap - 1;
    t->order = hone_calloc(t->n_obs ? t->n_obs : 1, sizeof *t->order);
    if (!t->seen || !t->order)
        return false;
    for (size_t i = 0; i < t->n_obs; i++) {
        seen_add(t, t->obs[i].config);
        if (t->obs[i].ok)
            t->order[t->n_ok++] = i;
    }
    qsort_r(t->order, t->n_ok, sizeof *t->order, by_cost, (void *)t->obs);
    return true;
}

static void tuner_free(tuner *t) {
    hone_free(t->seen);
    hone_free(t->order);
    hone_vec_free(&t->pool);
    hone_free(t->mean);
    hone_free(t->sd);
}

// ---- pool

static bool pool_add(tuner *t, uint64_t config) {
    if (t->pool.n >= MAX_POOL || !hone_space_contains(t->s, config) || !seen_add(t, config))
        return true;
    return hone_vec_push(&t->pool, config);
}

static bool add_hamming1(tuner *t, uint64_t config) {
    uint32_t digits[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(t->s, config, digits);
    for (size_t i = 0; i < t->s->n; i++)
        for (size_t v = 0; v < t->s->params[i].n_values; v++)
            if (v != digits[i] && !pool_add(t, config - digits[i] * t->s->stride[i] + v * t->s->stride[i]))
                return false;
    return true;
}

// Moves of two parameters by one step each: opposite directions keep products constant (a wider, lower block), equal ones scale.
static bool add_step_pairs(tuner *t, uint64_t config) {
    uint32_t digits[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(t->s, config, digits);
    for (size_t i = 0; i < t->s->n; i++)
        for (size_t j = i + 1; j < t->s->n; j++)
            for (int k = 0; k < 4; k++) {
                uint64_t a = digits[i] + (k & 1 ? 1u : (uint64_t)-1), b = digits[j] + (k & 2 ? 1u : (uint64_t)-1);
                if (a >= t->s->params[i].n_values || b >= t->s->params[j].n_values)
                    continue;
                uint64_t c = config + (a - digits[i]) * t->s->stride[i] + (b - digits[j]) * t->s->stride[j];
                if (!pool_add(t, c))
                    return false;
            }
    return true;
}

static uint64_t crossover(tuner *t, uint64_t a, uint64_t b) {
    uint32_t x[HONE_SPACE_MAX_PARAMS], y[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(t->s, a, x);
    hone_space_digits(t->s, b, y);
    for (size_t i = 0; i < t->s->n; i++)
        if (hone_rng_u32(t->rng) & 1)
            x[i] = y[i];
    return hone_space_config(t->s, x);
}

static uint64_t elite(const tuner *t, size_t rank) { return t->obs[t->order[rank]].config; }

static bool add_two_steps(tuner *t, uint64_t config, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        uint64_t a, b;
        if (hone_space_neighbour(t->s, config, false, t->rng, &a) && hone_space_neighbour(t->s, a, false, t->rng, &b) && !pool_add(t, b))
            return false;
    }
    return true;
}

static bool pool_fill(tuner *t) {
    size_t n = t->n_ok < ELITES ? t->n_ok : ELITES;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = add_hamming1(t, elite(t, i));
    for (size_t i = 0; i < n && i < 4 && ok; i++)
        ok = add_step_pairs(t, elite(t, i));
    for (size_t i = 0; i < n && ok; i++)
        ok = add_two_steps(t, elite(t, i), 24);
    for (size_t i = 0; i < 60 && n > 1 && ok; i++) {
        size_t a = (size_t)hone_rng_below(t->rng, n), b = (size_t)hone_rng_below(t->rng, t->n_ok < 3 * ELITES ? t->n_ok : 3 * ELITES);
        ok = pool_add(t, crossover(t, elite(t, a), elite(t, b)));
    }
    for (size_t i = 0; i < RANDOM_POOL && ok; i++) {
        uint64_t c;
        if (hone_space_sample(t->s, t->rng, &c))
            ok = pool_add(t, c);
    }
    return ok;
}

// ---- surrogate

// log cost, flattened above the 60th percentile; failures lie above everything by a share of the range.
static bool targets(const tuner *t, double *y) {
    double *ok = hone_calloc(t->n_ok, sizeof *ok);
    if (!ok)
        return false;
    for (size_t i = 0; i < t->n_ok; i++)
        ok[i] = log(t->obs[t->order[i]].cost);
    double knee = hone_quantile(ok, t->n_ok, 0.6), best = ok[0], cap = best;
    hone_free(ok);
    for (size_t i = 0; i < t->n_obs; i++) {
        if (!t->obs[i].ok)
            continue;
        double v = log(t->obs[i].cost);
        y[i] = v <= knee ? v : knee + 0.3 * (v - knee);
        cap = fmax(cap, y[i]);
    }
    for (size_t i = 0; i < t->n_obs; i++)
        if (!t->obs[i].ok)
            y[i] = cap + 0.15 * (cap - best);
    return true;
}

static hone_code predict_pool(tuner *t, hone_err *e) {
    size_t d = t->f.d;
    float *x = hone_calloc(t->n_obs * d, sizeof *x), row[MAX_FEATURES];
    double *y = hone_calloc(t->n_obs, sizeof *y);
    t->mean = hone_calloc(t->pool.n, sizeof(double));
    t->sd = hone_calloc(t->pool.n, sizeof(double));
    hone_forest *forest = NULL;
    hone_code c = HONE_E_NOMEM;
    if (x && y && t->mean && t->sd && targets(t, y)) {
        for (size_t i = 0; i < t->n_obs; i++)
            features_of(&t->f, t->obs[i].config, x + i * d);
        c = hone_forest_fit(x, y, t->n_obs, d, NULL, t->rng, &forest, e);
    } else {
        hone_fail(e, c, 0, "out of memory fitting a surrogate");
    }
    for (size_t i = 0; c == HONE_OK && i < t->pool.n; i++) {
        features_of(&t->f, t->pool.v[i], row);
        hone_forest_predict(forest, row, &t->mean[i], &t->sd[i]);
    }
    hone_forest_free(forest);
    hone_free(x);
    hone_free(y);
    return c;
}

static void pool_take(tuner *t, size_t i) {
    t->pool.n--;
    t->pool.v[i] = t->pool.v[t->pool.n];
    t->mean[i] = t->mean[t->pool.n];
    t->sd[i] = t->sd[t->pool.n];
}

static size_t pick_bound(const tuner *t, double kappa) {
    size_t best = 0;
    for (size_t i = 1; i < t->pool.n; i++)
        if (t->mean[i] - kappa * t->sd[i] < t->mean[best] - kappa * t->sd[best])
            best = i;
    return best;
}

// Best prediction among one-parameter changes of the best configuration.
static size_t pick_local(const tuner *t, bool *found) {
    uint32_t a[HONE_SPACE_MAX_PARAMS], b[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(t->s, elite(t, 0), a);
    size_t best = 0;
    *found = false;
    for (size_t i = 0; i < t->pool.n; i++) {
        hone_space_digits(t->s, t->pool.v[i], b);
        size_t differ = 0;
        for (size_t k = 0; k < t->s->n; k++)
            differ += a[k] != b[k];
        if (differ == 1 && (!*found || t->mean[i] < t->mean[best]))
            best = i, *found = true;
    }
    return best;
}

static size_t pick(tuner *t, double forest_share) {
    double u = hone_rng_unit(t->rng);
    double kappa = 1.2 * fabs(hone_rng_normal(t->rng));
    if (u < forest_share)
        return pick_bound(t, kappa);
    if (u < forest_share + 0.7 * (1 - forest_share)) {
        bool found;
        size_t i = pick_local(t, &found);
        return found ? i : pick_bound(t, 0);
    }
    return (size_t)hone_rng_below(t->rng, t->pool.n);
}

// ---- asking

static void ask_random(tuner *t, size_t n, uint64_t *out, size_t *got) {
    for (size_t attempt = 0; attempt < 50 * n && *got < n; attempt++) {
        uint64_t c;
        if (hone_space_sample(t->s, t->rng, &c) && seen_add(t, c))
            out[(*got)++] = c;
    }
    for (size_t i = 0; t->s->exact && i < t->s->n_list && *got < n; i++)   // nearly used up: whatever is left
        if (seen_add(t, t->s->list[i]))
            out[(*got)++] = t->s->list[i];
}

static hone_code ask_portfolio(tuner *t, double share, size_t n, uint64_t *out, size_t *got, hone_err *e) {
    if (!pool_fill(t))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the tuner");
    if (t->pool.n == 0)
        return HONE_OK;
    HONE_TRY(predict_pool(t, e));
    while (*got < n && t->pool.n > 0) {
        size_t i = pick(t, share);
        out[(*got)++] = t->pool.v[i];
        pool_take(t, i);
    }
    return HONE_OK;
}

hone_code hone_tuner_ask(const hone_space *s, const hone_observation *obs, size_t n_obs, const hone_tuner_options *o, hone_rng *rng,
                         size_t n, uint64_t *out, size_t *got, hone_err *e) {
    *got = 0;
    tuner t = {.s = s, .obs = obs, .n_obs = n_obs, .rng = rng};
    unsigned initial = o && o->initial ? o->initial : (unsigned)(s->n < 4 ? 6 : s->n + 4);
    double share = o && o->forest_share > 0 ? o->forest_share : 0.7;
    features_init(&t.f, s);
    hone_code c = HONE_OK;
    if (!tuner_init(&t, n_obs + n + MAX_POOL))
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the tuner");
    if (c == HONE_OK && t.n_ok >= 2 && n_obs >= initial)
        c = ask_portfolio(&t, share, n, out, got, e);
    if (c == HONE_OK && *got < n)
        ask_random(&t, n, out, got);
    tuner_free(&t);
    return c;
}
