// learn/forest: extremely randomised regression trees. No bootstrap; random feature, random cut, best of a few by variance; the mean over
// trees is the prediction, the spread over trees its uncertainty. source: Geurts, Ernst & Wehenkel, Machine Learning 63 (2006).
#ifndef HONE_LEARN_FOREST_H
#define HONE_LEARN_FOREST_H
#include "base/base.h"
typedef struct hone_forest hone_forest;
typedef struct hone_forest_options {
    unsigned trees /* 0 = 40 */, tries /* features tried per node; 0 = a third of them */, min_leaf /* 0 = 1 */;
} hone_forest_options;
// shape: x is (n,d) row-major; y is (n). errors: HONE_E_NOMEM; n > 0, d > 0.
hone_code hone_forest_fit(const float *x, const double *y, size_t n, size_t d, const hone_forest_options *o, hone_rng *rng,
                          hone_forest **out, hone_err *e);
void hone_forest_predict(const hone_forest *f, const float *x, double *mean, double *sd);
void hone_forest_free(hone_forest *f);
#endif
