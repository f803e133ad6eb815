// Order statistics, the bootstrap of the median, the sign test's bound, rank correlation. See stats.h.
#include "base/stats.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted_copy(const double *x, size_t n) {
    double *s = hone_calloc(n, sizeof *s);
    if (s) {
        memcpy(s, x, n * sizeof *s);
        qsort(s, n, sizeof *s, by_value);
    }
    return s;
}

static double sorted_quantile(const double *s, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? s[i] + (at - (double)i) * (s[i + 1] - s[i]) : s[n - 1];
}

double hone_quantile(const double *x, size_t n, double q) {
    double *s = n ? sorted_copy(x, n) : NULL;
    if (!s)
        return NAN;
    double v = sorted_quantile(s, n, q < 0 ? 0 : q > 1 ? 1 : q);
    hone_free(s);
    return v;
}

double hone_median(const double *x, size_t n) { return hone_quantile(x, n, 0.5); }

double hone_mad(const double *x, size_t n) {
    double *d = n ? hone_calloc(n, sizeof *d) : NULL;
    if (!d)
        return NAN;
    double m = hone_median(x, n);
    for (size_t i = 0; i < n; i++)
        d[i] = fabs(x[i] - m);
    double v = hone_median(d, n);
    hone_free(d);
    return v;
}

// ---- the bootstrap of the median: how it would come out over all resamples, without drawing any

typedef struct outcome { double value, weight; } outcome;

static int by_outcome(const void *a, const void *b) {
    double x = ((const outcome *)a)->value, y = ((const outcome *)b)->value;
    return (x > y) - (x < y);
}

static double log_choose(size_t n, size_t k) {
    int sign;
    return lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) - lgamma_r((double)(n - k) + 1, &sign);
}

// P(Binomial(n, i/n) >= k): the k-th smallest of a resample is at most the i-th smallest of the sample.
static double at_most(size_t n, size_t i, size_t k) {
    if (i == 0 || i >= n)
        return i ? 1 : 0;
    double p = (double)i / (double)n, term = exp(log_choose(n, k) + (double)k * log(p) + (double)(n - k) * log1p(-p)), sum = 0;
    for (size_t m = k; m <= n; m++) {
        sum += term;
        term *= (double)(n - m) / (double)(m + 1) * p / (1 - p);
    }
    return sum < 1 ? sum : 1;
}

// log((i/n)^k - ((i-1)/n)^k), i >= 1
static double log_step(size_t n, size_t i, size_t k) {
    return (double)k * log((double)i / (double)n) + (i > 1 ? log1p(-exp((double)k * log1p(-1 / (double)i))) : 0);
}

// Even n: the two middle values of a resample are the i-th and the j-th of the sample. k of its draws are up to i with i among them, n - k from j on.
// steps: room for n. What is too rare to matter is left out.
static size_t middle_pairs(const double *sorted, size_t n, size_t from, size_t to, double *steps, outcome *out) {
    static const double rare = 1e-10;
    size_t k = n / 2, count = 0;
    double choose = log_choose(n, k), before = at_most(n, from - 1, k);
    for (size_t i = 1; i <= n; i++)
        steps[i - 1] = log_step(n, i, k);
    for (size_t i = from; i <= to; i++) {
        double now = at_most(n, i, k), both = now - before, base = choose + steps[i - 1];
        before = now;
        for (size_t j = i + 1; j <= to; j++) {
            double w = exp(base + steps[n - j]);
            both -= w;
            if (w < rare)
                break;   // and the rest is rarer
            out[count++] = (outcome){(sorted[i - 1] + sorted[j - 1]) / 2, w};
        }
        out[count++] = (outcome){sorted[i - 1], both > 0 ? both : 0};
    }
    return count;
}

static size_t middles(const double *sorted, size_t n, size_t from, size_t to, outcome *out) {
    for (size_t i = from; i <= to; i++)
        out[i - from] = (outcome){sorted[i - 1], at_most(n, i, (n + 1) / 2) - at_most(n, i - 1, (n + 1) / 2)};
    return to - from + 1;
}

// The outermost outcomes beyond which less than `tail` of the weight lies, on each side.
static void cut_tails(const outcome *v, size_t n, double tail, hone_interval *out) {
    size_t lo = 0, hi = n - 1;
    for (double sum = v[0].weight; sum < tail && lo + 1 < n; sum += v[++lo].weight) {}
    for (double sum = v[hi].weight; sum < tail && hi > 0; sum += v[--hi].weight) {}
    out->lo = v[lo].value;
    out->hi = v[hi].value;
}

hone_interval hone_bootstrap_median(const double *x, size_t n, double level) {
    static const size_t most_paired = 4096;   // larger samples: the lower middle alone
    hone_interval out = {NAN, hone_median(x, n), NAN};
    double *sorted = n ? sorted_copy(x, n) : NULL;
    bool pairs = n % 2 == 0 && n <= most_paired;
    size_t reach = (size_t)(4 * sqrt((double)n)) + 2, middle = (n + 1) / 2;   // eight deviations of the middle's place
    size_t from = middle > reach ? middle - reach : 1, to = middle + reach < n ? middle + reach : n, width = to - from + 1;
    outcome *v = sorted ? hone_calloc(pairs ? width * (width + 1) / 2 : width, sizeof *v) : NULL;
    double *steps = v && pairs ? hone_calloc(n, sizeof *steps) : NULL;
    if (v && (steps || !pairs)) {
        size_t count = pairs ? middle_pairs(sorted, n, from, to, steps, v) : middles(sorted, n, from, to, v);
        qsort(v, count, sizeof *v, by_outcome);
        cut_tails(v, count, (1 - level) / 2, &out);
    }
    hone_free(steps);
    hone_free(v);
    hone_free(sorted);
    return out;
}

// ---- the sign test

// P(Binomial(n, 1/2) <= k) grows with k: the largest k with P <= alpha, -1 when there is none.
static long sign_test_rank(size_t n, double alpha) {
    double log_term = -(double)n * log(2), sum = 0;
    long k = -1;
    for (size_t i = 0; i <= n; i++) {
        sum += exp(log_term);
        if (sum > alpha)
            return k;
        k = (long)i;
        log_term += log((double)(n - i)) - log((double)(i + 1));
    }
    return k;
}

hone_interval hone_sign_bounds(const double *x, size_t n, double alpha) {
    long k = n ? sign_test_rank(n, alpha) : -1;
    double *s = k >= 0 ? sorted_copy(x, n) : NULL;
    if (!s)
        return (hone_interval){-INFINITY, NAN, INFINITY};
    hone_interval v = {s[k], (s[(n - 1) / 2] + s[n / 2]) / 2, s[n - 1 - (size_t)k]};
    hone_free(s);
    return v;
}

double hone_geomean(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += log(x[i]);
    return n ? exp(sum / (double)n) : NAN;
}

typedef struct ranked { double value; size_t at; } ranked;

static int by_ranked(const void *a, const void *b) { return by_value(&((const ranked *)a)->value, &((const ranked *)b)->value); }

static bool ranks(const double *x, size_t n, double *out) {   // ties share their mean rank
    ranked *r = hone_calloc(n, sizeof *r);
    if (!r)
        return false;
    for (size_t i = 0; i < n; i++)
        r[i] = (ranked){x[i], i};
    qsort(r, n, sizeof *r, by_ranked);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && r[j].value <= r[i].value; j++) {}
        for (size_t k = i; k < j; k++)
            out[r[k].at] = (double)(i + j - 1) / 2;
    }
    hone_free(r);
    return true;
}

static double pearson(const double *x, const double *y, size_t n) {
    double mx = 0, my = 0, sxy = 0, sxx = 0, syy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        sxy += (x[i] - mx) * (y[i] - my);
        sxx += (x[i] - mx) * (x[i] - mx);
        syy += (y[i] - my) * (y[i] - my);
    }
    return sxx > 0 && syy > 0 ? sxy / sqrt(sxx * syy) : NAN;
}

double hone_spearman(const double *x, const double *y, size_t n) {
    double *r = n > 1 ? hone_calloc(2 * n, sizeof *r) : NULL;
    if (!r)
        return NAN;
    double rho = ranks(x, n, r) && ranks(y, n, r + n) ? pearson(r, r + n, n) : NAN;
    hone_free(r);
    return rho;
}
