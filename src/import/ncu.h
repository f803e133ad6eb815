// ncu: hardware counters from a file that Nsight Compute wrote with `ncu --csv`, either --page raw (a column per metric, units in the second row) or
// --page details (a row per metric). Only metrics of ncu_metrics.def are kept; values are converted by the unit that stands beside them, and a unit
// that is not known is an error, not a guess.
#ifndef HONE_IMPORT_NCU_H
#define HONE_IMPORT_NCU_H
#include "base/base.h"

typedef enum hone_ncu_metric {
#define NCU(id, kind, words) HONE_NCU_##id,
#include "import/ncu_metrics.def"
    HONE_NCU_COUNT
} hone_ncu_metric;

typedef struct hone_ncu_kernel {         // launches of one kernel in one shape
    char name[160];                      // without return type, template arguments and parameters
    uint32_t grid[3], block[3];          // 0 when the file does not say
    uint32_t invocations;
    double sum[HONE_NCU_COUNT];
    uint32_t n[HONE_NCU_COUNT];          // invocations that have the metric; 0: absent
} hone_ncu_kernel;

typedef struct hone_ncu {
    hone_ncu_kernel *kernels; size_t n;  // in order of appearance
    char device[96];                     // as the file says, else ""
    bool details;                        // layout
    size_t known, unknown;               // metrics in the file that hone understands, and others
} hone_ncu;

// path: for messages. errors: HONE_E_PARSE "PATH:LINE: …", HONE_E_NOMEM, HONE_E_LIMIT. owns: *out by hone_ncu_free, also after an error.
hone_code hone_ncu_parse(const char *path, const char *text, size_t len, hone_ncu *out, hone_err *e);
void hone_ncu_free(hone_ncu *x);
static inline bool hone_ncu_has(const hone_ncu_kernel *k, hone_ncu_metric m) { return k->n[m] > 0; }
static inline double hone_ncu_mean(const hone_ncu_kernel *k, hone_ncu_metric m) { return k->n[m] ? k->sum[m] / k->n[m] : 0; }
const char *hone_ncu_id(hone_ncu_metric m);      // "time_us"
const char *hone_ncu_words(hone_ncu_metric m);   // "time"
// The entry for a kernel of this plain name, preferably with this shape; NULL when the file has none.
const hone_ncu_kernel *hone_ncu_find(const hone_ncu *x, const char *name, const uint32_t grid[3], const uint32_t block[3]);
#endif
