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

// The k-th smallest (from 0) of a resample, given how often it holds each of the sorted values.
static double counted(const double *sorted, const unsigned *times, size_t k) {
    size_t i = 0;
    for (size_t seen = times[0]; seen <= k; seen += times[++i]) {}
    return sorted[i];
}

// Resamples need no sorting: what is drawn is counted per place of the sorted sample.
static void resampled_medians(const double *sorted, size_t n, unsigned *times, double *medians, unsigned reps, uint64_t seed) {
    hone_rng rng;
    hone_rng_init(&rng, seed, 0x6d656469616eu);
    for (unsigned r = 0; r < reps; r++) {
        memset(times, 0, n * sizeof *times);
        for (size_t i = 0; i < n; i++)
            times[hone_rng_below(&rng, n)]++;
        double low = counted(sorted, times, (n - 1) / 2);
        medians[r] = n % 2 ? low : (low + counted(sorted, times, n / 2)) / 2;
    }
}

hone_interval hone_bootstrap_median(const double *x, size_t n, double level, unsigned reps, uint64_t seed) {
    hone_interval out = {NAN, hone_median(x, n), NAN};
    double *sorted = n && reps ? sorted_copy(x, n) : NULL, *medians = sorted ? hone_calloc(reps, sizeof *medians) : NULL;
    unsigned *times = medians ? hone_calloc(n, sizeof *times) : NULL;
    if (times) {
        resampled_medians(sorted, n, times, medians, reps, seed);
        qsort(medians, reps, sizeof *medians, by_value);
        out.lo = sorted_quantile(medians, reps, (1 - level) / 2);
        out.hi = sorted_quantile(medians, reps, (1 + level) / 2);
    }
    hone_free(times);
    hone_free(medians);
    hone_free(sorted);
    return out;
}

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
