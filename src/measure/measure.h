// measure: how long does a program take on a workload? On the virtual GPU: modelled time, one sampled run, with counters and how the model
// came to its answer. On a physical GPU: paired ABBA timing by events, a distribution and an interval. See docs/measuring.md. It does not
// judge outputs.
#ifndef HONE_MEASURE_H
#define HONE_MEASURE_H
#include "gpu/nvml.h"
#include "measure/workload.h"
#include <jansson.h>

// ---- modelled (virtual GPU)
typedef struct hone_modelled {
    double time_us, error_band;      // sum over launches; band weighted by time
    json_t *launches;                // [{"kernel","grid","block","time_us","counters":{…},"model":{…}}]; owned
    json_t *lines;                   // per source line, when asked for: [{"kernel","file","line",…}]; NULL otherwise; owned
} hone_modelled;
typedef struct hone_model_config {
    uint64_t sample_warp_insts;      // per launch; 0: the library's default
    uint64_t max_warp_insts;         // per launch; 0: none
    bool want_lines;
} hone_model_config;
hone_code hone_measure_modelled(const hone_bound *b, hone_program *p, const hone_model_config *c, hone_modelled *out, hone_err *e);
void hone_modelled_free(hone_modelled *m);

// ---- measured (physical GPU, or any driver through its events)
typedef struct hone_arm { const hone_bound *bound; hone_program *program; } hone_arm;
typedef struct hone_pair_config {
    unsigned samples;                // per arm, rounded up to whole ABBA blocks; 0: 40
    unsigned per_visit;              // timed launches per visit of an arm within a block; 0: 5
    unsigned warmup_launches;        // per arm; 0: 10
    double warmup_s;                 // busy time before the first sample; <0: none; 0: 0.5
    bool warm_cache;                 // a sample's sets fit in half of L2 and were run once just before; default: L2 flushed before each sample
    bool no_graph;                   // short plans: launch by launch even where the driver has graphs
    bool leave_outputs;              // last of all, arm b (or a alone) runs on set 0 once more in the very form that was timed; not one that was raced out
    double level;                    // of the interval; 0: 0.99
    hone_clock clock;
    hone_nvml *nvml;                 // NULL: clocks unknown
    double race_ratio;               // a/b of the best so far: arm b is timed no further once it is certainly slower by 2 %, and up to four times
                                     // as often while it looks faster and that is not certain; 0: exactly `samples`
    double enough;                   // stop early when the bounds of a/b lie within this share of it, or when it is racing and steady, and gains less than
                                     // 1 % over the best; 0: never
    double max_seconds;              // stop early with what there is; 0: none
} hone_pair_config;
typedef struct hone_pair {
    double *a_us, *b_us;             // kept samples, microseconds per run of the plan; a_us[i] and b_us[i] are a pair; owned
    double *log_ratio;               // ln(a/b), > 0: b is faster; owned
    size_t n;
    unsigned discarded;              // pairs dropped for clocks or a slowdown
    unsigned capped;                 // pairs kept although the device was at its power limit
    unsigned batch;                  // runs per sample (> 1 for short plans)
    unsigned sets;                   // over so many sets
    bool raced_out, extended;        // for race_ratio: stopped early; timed more often
    bool warm, graph;                // L2 left warm; samples were replays of a graph
    hone_interval a, b;              // medians with intervals, microseconds
    hone_interval ratio;             // a/b: speedup of b over a
    bool has_clock_mhz; double clock_mhz_lo, clock_mhz_hi;
    bool has_temperature_c; unsigned temperature_c;
    double event_to_wall;            // event time / wall time over the longest stretch, of arm b or of a alone; 0 when not measured
    double reference_event_to_wall;  // the same of arm a, asked where b's is low; else 0
} hone_pair;
// Arm b may be NULL: only a is timed (b_us empty, ratio absent). errors: HONE_E_DEVICE with the launch that failed.
hone_code hone_measure_pair(const hone_arm *a, const hone_arm *b, const hone_pair_config *c, hone_pair *out, hone_err *e);
void hone_pair_free(hone_pair *p);
// Whether arm b's events tell so little of the time that its launches take by the host's clock, and a's do not, that work must run outside of them.
#define HONE_LEAST_EVENT_TO_WALL 0.9
bool hone_pair_leaves_events(const hone_pair *p);
json_t *hone_pair_json(const hone_pair *p, bool with_samples);   // NULL when out of memory
typedef enum hone_speed { HONE_FAST, HONE_SLOW, HONE_SAME, HONE_AMBIGUOUS } hone_speed;
const char *hone_speed_name(hone_speed s);                       // "FAST" …
// b against a by trust.md: FAST when the interval's lower bound is above 1.005, SLOW when its upper bound is below 0.995, SAME when it lies
// within.
hone_speed hone_speed_of(const hone_interval *ratio);
// Modelled times: differences inside the band of either are AMBIGUOUS.
hone_speed hone_speed_modelled(double base_us, double us, double error_band);

// The roofline floor of a plan on a device: microseconds below which no correct program can be; 0 when unknown.
double hone_floor_us(const hone_plan *p, const hone_device_info *d);

json_t *hone_counters_json(const honeVgpuCounters *c);
json_t *hone_model_json(const honeVgpuModel *m);
#endif
