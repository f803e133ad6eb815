// search/facts: what an outcome says that the search acts on: the cost under the task's objective, and the bottleneck context for moves and
// bandit. A fact that the outcome does not carry stays zero or empty.
#include "search/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : 0;
}

static uint32_t whole(const json_t *o, const char *key) {
    double v = number(o, key);
    return v > 0 && v < 4e9 ? (uint32_t)v : 0;
}

// The launch that costs most speaks for the plan.
static const json_t *dominant_launch(const json_t *launches) {
    const json_t *best = NULL, *l;
    size_t i;
    json_array_foreach(launches, i, l) {
        const json_t *m = json_object_get(l, "model");
        if (!best || number(m, "time_us") > number(json_object_get(best, "model"), "time_us"))
            best = l;
    }
    return best;
}

// Of the first workload when there are several.
static const json_t *launches_of(const json_t *time) {
    const json_t *direct = json_object_get(time, "launches"), *sizes = json_object_get(time, "sizes");
    return direct ? direct : json_object_get(json_array_get(sizes, 0), "launches");
}

static double ratio(double a, double b, double otherwise) { return b > 0 ? a / b : otherwise; }

void hone_facts_read(const hone_outcome *o, hone_facts *f) {
    *f = (hone_facts){0};
    const json_t *time = json_object_get(o->json, "time"), *launch = dominant_launch(launches_of(time));
    if (!launch)   // measured: what the virtual GPU says of it, where it was asked
        launch = dominant_launch(launches_of(json_object_get(o->json, "model")));
    const json_t *m = json_object_get(launch, "model"), *k = json_object_get(launch, "counters"), *block = json_object_get(launch, "block");
    const json_t *shares = json_object_get(m, "shares");
    const char *bottleneck = json_string_value(json_object_get(m, "bottleneck"));
    snprintf(f->bottleneck, sizeof f->bottleneck, "%s", bottleneck ? bottleneck : "");
    f->occupancy = number(m, "occupancy");
    f->registers = o->has_resources ? o->registers : whole(m, "registers");
    f->shared_bytes = whole(m, "shared_bytes");
    f->share_dram = number(shares, "dram");
    f->share_issue = number(shares, "issue");
    f->share_latency = number(shares, "latency");
    f->sector_efficiency = ratio(number(k, "global_sectors_ideal"), number(k, "global_sectors"), 1);
    f->bank_conflict = ratio(number(k, "shared_wavefronts"), number(k, "shared_wavefronts_ideal"), 1);
    f->threads_per_block = 1;
    for (size_t i = 0; i < json_array_size(block); i++)
        f->threads_per_block *= (uint32_t)json_integer_value(json_array_get(block, i));
    if (json_array_size(block) == 0)
        f->threads_per_block = 0;
}

hone_timing hone_timing_of_json(const json_t *time) {
    const char *kind = json_string_value(json_object_get(time, "kind"));
    const json_t *ratio = json_object_get(time, "ratio");
    hone_timing t = {.time_us = number(time, "time_us"), .lo_us = number(time, "lo_us"), .hi_us = number(time, "hi_us"),
                     .modelled = kind && !strcmp(kind, "modelled"), .error_band = number(time, "error_band"), .cost = number(time, "time_us"),
                     .ratio = number(ratio, "median"), .ratio_lo = number(ratio, "lo"), .ratio_hi = number(ratio, "hi"),
                     .ratio_worst = number(ratio, "worst")};
    t.paired = !t.modelled && t.ratio_lo > 0 && t.ratio >= t.ratio_lo && t.ratio_hi >= t.ratio;
    return t;
}

hone_timing hone_timing_of(const hone_outcome *o) { return hone_timing_of_json(json_object_get(o->json, "time")); }

static hone_code no_energy(const hone_outcome *o, hone_err *e) {
    const char *why = json_string_value(json_object_get(json_object_get(o->json, "energy"), "reason"));
    return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the task's objective needs energy, which was not measured: %s",
                     why && *why ? why : "the device does not report it");
}

hone_code hone_timing_read(const hone_task *t, const hone_outcome *o, hone_timing *out, hone_err *e) {
    *out = hone_timing_of(o);
    out->has_energy = o->has_energy;
    out->energy_mj = o->energy_mj;
    out->energy_lo_mj = o->energy_lo_mj;
    out->energy_hi_mj = o->energy_hi_mj;
    if (!o->has_time || !(o->time_us > 0) || !isfinite(o->time_us))
        return hone_fail(e, HONE_E_WRONG, 0, "the evaluation passed without a time");
    if (!(out->lo_us > 0) || !(out->hi_us >= out->lo_us))
        out->lo_us = out->hi_us = o->time_us;
    if (t->objective != HONE_OBJ_TIME) {
        if (!o->has_energy)
            return no_energy(o, e);
        out->cost = t->objective == HONE_OBJ_ENERGY ? o->energy_mj : o->energy_mj * o->time_us;
        out->paired = false;   // the pairs are of times
    }
    return HONE_OK;
}

// ---- comparing

const char *hone_compare_name(hone_compare c) {
    static const char *const names[] = {"none", "fast", "same", "ambiguous", "slow"};
    return (unsigned)c < HONE_COUNT(names) ? names[c] : "unknown";
}

const char *hone_stop_name(hone_stop s) {
    static const char *const names[] = {"evaluations", "time", "patience", "exhausted", "interrupted", "baseline"};
    return (unsigned)s < HONE_COUNT(names) ? names[s] : "unknown";
}

// Modelled: two kernels' errors partly cancel, but no more than the stated band may be claimed. Measured: the interval of the pairs; of times that
// were not taken in turns, the two intervals' worst case.
void hone_compare_bounds(const hone_timing *b, const hone_timing *c, double *lo, double *hi) {
    double speedup = b->cost / c->cost;
    if (c->cost_lo > 0) {   // of the energy's ratio: the baseline's own interval is in it
        *lo = b->cost / c->cost_hi;
        *hi = b->cost / c->cost_lo;
    } else if (b->modelled || c->modelled) {
        double band = fmax(b->error_band, c->error_band);
        *lo = speedup / (1 + band);
        *hi = speedup * (1 + band);
    } else if (c->paired) {
        *lo = c->ratio_lo;
        *hi = c->ratio_hi;
    } else {
        *lo = speedup * (b->lo_us / b->time_us) / (c->hi_us / c->time_us);
        *hi = speedup * (b->hi_us / b->time_us) / (c->lo_us / c->time_us);
    }
}

hone_compare hone_compare_timings(const hone_timing *b, const hone_timing *c) {
    double lo, hi, speedup = c->paired ? c->ratio : b->cost / c->cost;
    hone_compare_bounds(b, c, &lo, &hi);
    bool a_size_is_slower = c->paired && c->ratio_worst > 0 && c->ratio_worst < 0.99;
    if (lo > 1.005)
        return a_size_is_slower ? HONE_CMP_AMBIGUOUS : HONE_CMP_FAST;
    if (hi < 0.995)
        return HONE_CMP_SLOW;
    return fabs(speedup - 1) <= 0.005 ? HONE_CMP_SAME : HONE_CMP_AMBIGUOUS;
}

// The energy's ratio with its interval; edp: times that of the times, whose own interval then adds to it.
static bool energy_ratio(hone_objective objective, const hone_outcome *o, hone_timing *base, hone_timing *c) {
    const json_t *en = json_object_get(o->json, "energy");
    const double ratio = number(en, "ratio"), lo = number(en, "ratio_lo"), hi = number(en, "ratio_hi"), times = objective == HONE_OBJ_EDP ? c->ratio : 1;
    if (!(lo > 0) || !(ratio >= lo) || !(hi >= ratio) || !(times > 0))
        return false;
    base->cost = 1;
    c->cost = 1 / (ratio * times);
    c->cost_lo = 1 / (hi * (objective == HONE_OBJ_EDP ? c->ratio_hi : 1));
    c->cost_hi = 1 / (lo * (objective == HONE_OBJ_EDP ? c->ratio_lo : 1));
    c->paired = false;
    return true;
}

bool hone_compare_outcomes(hone_objective objective, const hone_outcome *baseline, const hone_outcome *candidate, hone_compare *out) {
    hone_timing b = hone_timing_of(baseline), c = hone_timing_of(candidate);
    *out = HONE_CMP_NONE;
    if (!baseline->has_time || !candidate->has_time || (objective != HONE_OBJ_TIME && !energy_ratio(objective, candidate, &b, &c)))
        return false;
    *out = hone_compare_timings(&b, &c);
    return true;
}
