// claim: what may be said of a candidate after its pairs were taken: the control of the session, the sizes of a task together, and the verdict's
// interval. It measures nothing itself but the control; the worker and the simulation of the selection procedure (tests/sim) both go through it.
#ifndef HONE_MEASURE_CLAIM_H
#define HONE_MEASURE_CLAIM_H
#include "measure/measure.h"

// ---- control: a program timed against itself, once per session
typedef struct hone_control { double lo, median, hi; unsigned samples; bool is_void; } hone_control;
// Takes as many pairs as make the interval narrow enough to see 0.2 %, at most 640 and c->max_seconds. Void: the median is off by more than 0.2 %
// and the interval does not hold 1, so that it is the protocol's doing and not noise. c->enough (a search): once, until the ratio is known so closely. errors: those of hone_measure_pair.
hone_code hone_measure_control(const hone_arm *a, const hone_pair_config *c, hone_control *out, hone_err *e);
hone_control hone_control_of(const hone_pair *p);   // of a pair whose arms are the same program
// Factor by which every interval of the session is widened, both ways: 1, or ten times the deviation of a void control.
double hone_control_doubt(const hone_control *c);
json_t *hone_control_json(const hone_control *c);

// ---- all sizes of a task; each counts equally (geometric means)
typedef struct hone_claim {
    double log_time, log_lo, log_hi;             // sums of logs of microseconds
    double log_baseline;                         // measured: of the baseline, timed in turns with it
    double log_ratio, log_ratio_lo, log_ratio_hi, log_worst;   // measured: baseline / candidate of the pairs; worst: smallest of a size
    double band;                                 // modelled: largest
    size_t n;
    bool paired;
    json_t *sizes;                               // owned
} hone_claim;
hone_code hone_claim_open(hone_claim *c, hone_err *e);
void hone_claim_close(hone_claim *c);
void hone_claim_modelled(hone_claim *c, double time_us, double band, json_t *entry);           // takes entry
void hone_claim_measured(hone_claim *c, const hone_pair *p, double doubt, json_t *entry);      // takes entry; p has two arms
// An outcome's `time` (docs/json.md); control may be NULL. New reference; NULL when out of memory.
json_t *hone_claim_json(const hone_claim *c, const hone_control *control);
#endif
