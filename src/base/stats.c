// Order statistics, the bootstrap of the median, rank correlation. See stats.h.
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

hone_interval hone_bootstrap_median(const double *x, size_t n, double level, unsigned reps, uint64_t seed) {
    hone_interval out = {NAN, hone_median(x, n), NAN};
    double *medians = n && reps ? hone_calloc(reps, sizeof *medians) : NULL, *draw = medians ? hone_calloc(n, sizeof *draw) : NULL;
    if (draw) {
        hone_rng rng;
        hone_rng_init(&rng, seed, 0x6d656469616eu);
        for (unsigned r = 0; r < reps; r++) {
            for (size_t i = 0; i < n; i++)
                draw[i] = x[hone_rng_below(&rng, n)];
            qsort(draw, n, sizeof *draw, by_value);
            medians[r] = sorted_quantile(draw, n, 0.5);
        }
        qsort(medians, reps, sizeof *medians, by_value);
        out.lo = sorted_quantile(medians, reps, (1 - level) / 2);
        out.hi = sorted_quantile(medians, reps, (1 + level) / 2);
    }
    hone_free(draw);
    hone_free(medians);
    return out;
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
