// Robust statistics over small samples. All inputs are borrowed and not modified.
#ifndef HONE_BASE_STATS_H
#define HONE_BASE_STATS_H
#include "base/rng.h"
double hone_median(const double *x, size_t n);                                  // NaN when n = 0
double hone_quantile(const double *x, size_t n, double q);                      // linear interpolation (type 7)
double hone_mad(const double *x, size_t n);
typedef struct hone_interval { double lo, mid, hi; } hone_interval;
// Percentile bootstrap of the median at `level` (0.99), of the distribution over all resamples: nothing is drawn, so it needs no seed. mid is the
// sample's median; lo and hi are NAN when n is 0 or memory is short.
hone_interval hone_bootstrap_median(const double *x, size_t n, double level);
// Bounds of the median, each wrong with probability alpha at most, whatever the distribution (sign test): order statistics. Infinite when n is too
// small for any (n < 10 at alpha = 0.001) or memory is short; mid is the sample's median, NaN then.
hone_interval hone_sign_bounds(const double *x, size_t n, double alpha);
double hone_geomean(const double *x, size_t n);
double hone_spearman(const double *x, const double *y, size_t n);
#endif
