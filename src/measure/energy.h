// energy: joules per run of a plan on a physical GPU, from NVML's total-energy counter, read only. The counter moves in ticks of 10–100 ms: the
// tick is found first, the plan is looped without a pause, and windows begin and end where the counter moves. Gross energy: idle power is never
// subtracted. See docs/measuring.md.
#ifndef HONE_MEASURE_ENERGY_H
#define HONE_MEASURE_ENERGY_H
#include "measure/measure.h"

enum { HONE_ENERGY_MAX_BLOCKS = 64 };

// What is read and what is kept busy, so that tests can script both.
typedef struct hone_energy_source {
    void *self;
    void (*read)(void *self, hone_nvml_reading *r);
    double (*now_s)(void *self);
    void (*pause)(void *self, double s);                 // between two looks at the counter
    // Keeps the device at work with runs of arm 0 or 1 and never waits long. *done: runs finished since `start`.
    hone_code (*start)(void *self, unsigned arm, hone_err *e);
    hone_code (*work)(void *self, unsigned long long *done, hone_err *e);
    hone_code (*stop)(void *self, hone_err *e);          // waits for what was sent
} hone_energy_source;

typedef struct hone_energy_config {
    double window_s;                 // 0: 5
    unsigned blocks;                 // ABBA, kept ones; 0: 6
    double settle_s;                 // work before each window; 0: 0.3
    double level;                    // as hone_pair_config
} hone_energy_config;

typedef struct hone_energy_window { double joules, seconds, mj_per_run, edge_s, temperature_c; bool has_temperature; double runs; } hone_energy_window;
typedef struct hone_energy {
    bool integrated;                 // no counter: power readings were integrated over time, which is less exact
    double tick_s;                   // the counter's; 0 with `integrated`
    double window_s;                 // mean of those kept
    double *a_mj, *b_mj, *log_ratio; // millijoules per run, one per window; owned
    size_t n;
    unsigned blocks, discarded;      // blocks dropped for throttling or temperature
    bool temperature_matched;        // every block within 1 °C
    double edge_error;               // worst relative uncertainty of a window's edges
    double power_a_w, power_b_w;     // medians
    hone_interval a, b, ratio;       // ratio: a/b, > 1: b needs less
    bool has_temperature; double temperature_lo_c, temperature_hi_c;
} hone_energy;

// The counter's tick: the median time between its moves, while arm 0 works. errors: HONE_E_UNSUPPORTED when it does not move within 3 s.
hone_code hone_energy_tick(const hone_energy_source *s, double *tick_s, hone_err *e);
// paired false: arm 0 alone. errors: HONE_E_UNSUPPORTED (no counter and no power reading; the message says what is missing), HONE_E_DEVICE (no
// block without throttling).
hone_code hone_energy_measure(const hone_energy_source *s, bool paired, const hone_energy_config *c, hone_energy *out, hone_err *e);
// The same on a device: arm b may be NULL.
hone_code hone_measure_energy(const hone_arm *a, const hone_arm *b, hone_nvml *nvml, const hone_energy_config *c, hone_energy *out, hone_err *e);
hone_code hone_energy_no_source(hone_err *e);            // HONE_E_UNSUPPORTED, in the words that both use
void hone_energy_free(hone_energy *x);
json_t *hone_energy_json(const hone_energy *x);          // NULL when out of memory
#endif
