// learn/space: see space.h.
#include "learn/space.h"
#include <string.h>

void hone_space_free(hone_space *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        hone_free((void *)s->params[i].values);
    hone_free(s->list);
    hone_free(s);
}

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in a tuning space"); }

static hone_code copy_params(hone_space *s, const hone_space_param *params, size_t n, hone_err *e) {
    if (n > HONE_SPACE_MAX_PARAMS)
        return hone_fail(e, HONE_E_LIMIT, 0, "%zu tune parameters, at most %d are supported", n, HONE_SPACE_MAX_PARAMS);
    for (; s->n < n; s->n++) {
        const hone_space_param *p = &params[s->n];
        if (p->n_values == 0)
            return hone_fail(e, HONE_E_USAGE, 0, "tune parameter '%s' has no values", p->name);
        size_t bytes;
        HONE_TRY(hone_mul_size(p->n_values, sizeof(int64_t), &bytes, e));
        int64_t *v = hone_malloc(bytes);
        if (!v)
            return nomem(e);
        memcpy(v, p->values, bytes);
        s->params[s->n] = (hone_space_param){NULL, v, p->n_values};
    }
    s->product = 1;
    for (size_t i = n; i-- > 0;) {
        s->stride[i] = s->product;
        if (s->params[i].n_values > (UINT64_MAX >> 1) / s->product)
            return hone_fail(e, HONE_E_LIMIT, 0, "tune parameters span more than 2^63 combinations");
        s->product *= s->params[i].n_values;
    }
    return HONE_OK;
}

// ---- exact enumeration

typedef struct descent {
    hone_space *s;
    size_t visits, max_visits, max_list, cap;
    int64_t values[HONE_SPACE_MAX_PARAMS];
    bool over, failed;
} descent;

static void enumerate(descent *d, size_t depth, uint64_t config) {
    hone_space *s = d->s;
    if (depth == s->n) {
        if (s->n_list >= d->max_list)
            d->over = true;
        else if (s->n_list < d->cap || hone_vec_grow((void **)&s->list, &d->cap, s->n_list + 1, sizeof *s->list))
            s->list[s->n_list++] = config;
        else
            d->failed = true;
        return;
    }
    for (size_t i = 0; i < s->params[depth].n_values && !d->over && !d->failed; i++) {
        if (++d->visits > d->max_visits) {
            d->over = true;
            return;
        }
        d->values[depth] = s->params[depth].values[i];
        if (!s->ok || s->ok(s->ok_ctx, d->values, depth + 1))
            enumerate(d, depth + 1, config + i * s->stride[depth]);
    }
}

hone_code hone_space_new(const hone_space_param *params, size_t n, hone_space_ok ok, void *ctx, size_t max_list, size_t max_visits,
                         hone_space **out, hone_err *e) {
    *out = NULL;
    hone_space *s = hone_calloc(1, sizeof *s);
    if (!s)
        return nomem(e);
    s->ok = ok;
    s->ok_ctx = ctx;
    hone_code c = copy_params(s, params, n, e);
    if (c == HONE_OK) {
        descent d = {.s = s, .max_visits = max_visits, .max_list = max_list};
        enumerate(&d, 0, 0);
        s->exact = !d.over;
        if (d.failed)
            c = nomem(e);
        if (d.over) {
            hone_free(s->list);
            s->list = NULL;
            s->n_list = 0;
        }
    }
    if (c != HONE_OK) {
        hone_space_free(s);
        return c;
    }
    *out = s;
    return HONE_OK;
}

hone_code hone_space_of_list(const hone_space_param *params, size_t n, const uint64_t *list, size_t n_list, hone_space **out, hone_err *e) {
    *out = NULL;
    hone_space *s = hone_calloc(1, sizeof *s);
    if (!s)
        return nomem(e);
    hone_code c = copy_params(s, params, n, e);
    if (c == HONE_OK && !(s->list = hone_calloc(n_list ? n_list : 1, sizeof *list)))
        c = nomem(e);
    if (c != HONE_OK) {
        hone_space_free(s);
        return c;
    }
    memcpy(s->list, list, n_list * sizeof *list);
    s->n_list = n_list;
    s->exact = true;
    *out = s;
    return HONE_OK;
}

// ---- numbers and digits

void hone_space_digits(const hone_space *s, uint64_t config, uint32_t *digits) {
    for (size_t i = 0; i < s->n; i++) {
        digits[i] = (uint32_t)(config / s->stride[i]);
        config %= s->stride[i];
    }
}

uint64_t hone_space_config(const hone_space *s, const uint32_t *digits) {
    uint64_t c = 0;
    for (size_t i = 0; i < s->n; i++)
        c += digits[i] * s->stride[i];
    return c;
}

void hone_space_values(const hone_space *s, uint64_t config, int64_t *values) {
    uint32_t digits[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(s, config, digits);
    for (size_t i = 0; i < s->n; i++)
        values[i] = s->params[i].values[digits[i]];
}

bool hone_space_find(const hone_space *s, const int64_t *values, uint64_t *config) {
    *config = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t d = 0;
        while (d < s->params[i].n_values && s->params[i].values[d] != values[i])
            d++;
        if (d == s->params[i].n_values)
            return false;
        *config += d * s->stride[i];
    }
    return true;
}

static bool in_list(const hone_space *s, uint64_t config) {
    size_t lo = 0, hi = s->n_list;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->list[mid] < config)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n_list && s->list[lo] == config;
}

bool hone_space_contains(const hone_space *s, uint64_t config) {
    if (config >= s->product)
        return false;
    if (s->exact)
        return in_list(s, config);
    int64_t values[HONE_SPACE_MAX_PARAMS];
    hone_space_values(s, config, values);
    for (size_t i = 1; s->ok && i <= s->n; i++)
        if (!s->ok(s->ok_ctx, values, i))
            return false;
    return true;
}

// ---- sampling

typedef struct sampler {
    const hone_space *s;
    hone_rng *rng;
    size_t visits;
    int64_t values[HONE_SPACE_MAX_PARAMS];
} sampler;

// Descends in a random order of values, backing out of infeasible prefixes; gives up after a bounded number of visits.
static bool sample_from(sampler *d, size_t depth, uint64_t *config) {
    const hone_space *s = d->s;
    if (depth == s->n)
        return true;
    size_t n = s->params[depth].n_values, first = (size_t)hone_rng_below(d->rng, n);
    for (size_t k = 0; k < n; k++) {
        if (d->visits++ > 20000)
            return false;
        size_t i = (first + k) % n;
        d->values[depth] = s->params[depth].values[i];
        uint64_t next = *config + i * s->stride[depth];
        if ((!s->ok || s->ok(s->ok_ctx, d->values, depth + 1)) && sample_from(d, depth + 1, &next)) {
            *config = next;
            return true;
        }
    }
    return false;
}

bool hone_space_sample(const hone_space *s, hone_rng *rng, uint64_t *config) {
    if (s->exact) {
        if (s->n_list == 0)
            return false;
        *config = s->list[hone_rng_below(rng, s->n_list)];
        return true;
    }
    for (int attempt = 0; attempt < 64; attempt++) {   // plain rejection first: it is uniform
        *config = hone_rng_below(rng, s->product);
        if (hone_space_contains(s, *config))
            return true;
    }
    sampler d = {.s = s, .rng = rng};
    *config = 0;
    return sample_from(&d, 0, config);
}

bool hone_space_neighbour(const hone_space *s, uint64_t config, bool step, hone_rng *rng, uint64_t *out) {
    uint32_t digits[HONE_SPACE_MAX_PARAMS];
    hone_space_digits(s, config, digits);
    for (int attempt = 0; attempt < 32 && s->n > 0; attempt++) {
        size_t i = (size_t)hone_rng_below(rng, s->n);
        size_t n = s->params[i].n_values;
        if (n < 2)
            continue;
        uint64_t d = step ? digits[i] + (hone_rng_below(rng, 2) ? 1 : (uint64_t)-1) : (digits[i] + 1 + hone_rng_below(rng, n - 1)) % n;
        if (d >= n)
            continue;
        *out = config - digits[i] * s->stride[i] + d * s->stride[i];
        if (hone_space_contains(s, *out))
            return true;
    }
    return false;
}
