// Paired timing by events, for physical devices: warm-up, ABBA blocks, cold L2 by flush and by rotation over sets, clocks read around every
// block, median log ratio with a bootstrap interval. It runs on any driver; on the virtual GPU the events carry modelled time and one
// sample suffices.
#include "measure/runs.h"
#include <math.h>
#include <string.h>

typedef struct timer {
    hone_device *device;
    const hone_driver *drv;
    const hone_pair_config *cfg;
    CUstream stream;
    CUevent from, to;
    CUdeviceptr flush;
    size_t flush_bytes;
    unsigned batch, next_set, span;   // runs per sample; the set of the next run; sets taken in turn
    hone_runs replay[2];              // short plans, per arm: captured once
    bool slow;                        // a run takes SLOW_US: samples are dear, and steady
    bool far;                         // in each run of the warm-up arm b took FAR times the best's time, or the best FAR times arm b's
    bool lost;                        // arm b's first run said it all; first_us: of both
    double first_us[2];
    const hone_arm *arms[2];
} timer;

enum { SHORT_US = 10, WARM_BATCH = 32, DEFAULT_SAMPLES = 40, DEFAULT_VISIT = 5, DEFAULT_WARMUP = 10, MOST_EXTENDED = 4, FAR = 2, FAR_PAIRS = 10, SLOW_US = 5000, STEADY_PAIRS = 4, STEADY_SLOW_PAIRS = 2,
       LOST = 10, LOST_US = 100000 };
static const double FAR_SECONDS = 0.25, WORTH = 0.01;
#define CU(t, call, ...)                                           \
    do {                                                           \
        CUresult cu_ = (call);                                     \
        if (cu_ != CUDA_SUCCESS)                                   \
            return hone_driver_fail((t)->drv, cu_, e, __VA_ARGS__); \
    } while (0)

static hone_code open_timer(timer *t, hone_err *e) {
    CU(t, t->drv->StreamCreate(&t->stream, 0), "make a stream");
    CU(t, t->drv->EventCreate(&t->from, CU_EVENT_DEFAULT_FLAG), "make an event");
    CU(t, t->drv->EventCreate(&t->to, CU_EVENT_DEFAULT_FLAG), "make an event");
    if (!t->cfg->warm_cache && !t->device->info.is_virtual && t->device->info.l2_bytes) {
        t->flush_bytes = 2 * t->device->info.l2_bytes;
        HONE_TRY(hone_device_alloc(t->device, t->flush_bytes, "the buffer that flushes the L2 cache", &t->flush, e));
    }
    return HONE_OK;
}

static void close_timer(timer *t) {
    for (int i = 0; i < 2; i++)
        hone_runs_free(&t->replay[i]);
    if (t->flush)
        t->drv->MemFree(t->flush);
    if (t->from)
        t->drv->EventDestroy(t->from);
    if (t->to)
        t->drv->EventDestroy(t->to);
    if (t->stream)
        t->drv->StreamDestroy(t->stream);
}

static hone_code flush(timer *t, hone_err *e) {
    if (!t->flush)
        return HONE_OK;
    if (t->drv->CtxResetPersistingL2Cache)
        t->drv->CtxResetPersistingL2Cache();
    CU(t, t->drv->MemsetD8(t->flush, (unsigned char)t->next_set, t->flush_bytes), "flush the L2 cache");
    return HONE_OK;
}

// Sends a sample's runs: the captured graph when there is one.
static hone_code send_runs(timer *t, const hone_arm *arm, unsigned first, hone_err *e) {
    for (int i = 0; i < 2; i++)
        if (t->replay[i].exec && t->arms[i] == arm && first == 0)
            return hone_runs_send(&t->replay[i], e);
    hone_runs r = {.arm = arm, .stream = t->stream, .first = first, .span = t->span, .n = t->batch};
    return hone_runs_send(&r, e);
}

static hone_code reset_sets(timer *t, const hone_arm *arm, unsigned first, hone_err *e) {
    for (unsigned i = 0; i < t->batch && i < t->span; i++)
        HONE_TRY(hone_bound_reset(arm->bound, (first + i) % t->span, 0xff, e));
    return HONE_OK;
}

// Warm: the sample's own runs once, untimed, and the buffers reset after them. Cold: buffers reset, then L2 overwritten.
static hone_code prepare(timer *t, const hone_arm *arm, unsigned first, hone_err *e) {
    HONE_TRY(reset_sets(t, arm, first, e));
    if (t->cfg->warm_cache && !t->device->info.is_virtual) {
        HONE_TRY(send_runs(t, arm, first, e));
        CU(t, t->drv->StreamSynchronize(t->stream), "warm the L2 cache");
        HONE_TRY(reset_sets(t, arm, first, e));
    }
    HONE_TRY(flush(t, e));
    CU(t, t->drv->CtxSynchronize(), "prepare a timed run");
    return HONE_OK;
}

// One sample: `batch` runs over consecutive sets between two events, microseconds per run. Resets are outside the timed stretch.
static hone_code sample(timer *t, const hone_arm *arm, double *us, hone_err *e) {
    unsigned first = t->next_set % t->span;
    HONE_TRY(prepare(t, arm, first, e));
    CU(t, t->drv->EventRecord(t->from, t->stream), "record an event");
    HONE_TRY(send_runs(t, arm, first, e));
    CU(t, t->drv->EventRecord(t->to, t->stream), "record an event");
    CU(t, t->drv->EventSynchronize(t->to), "finish a timed run");
    float ms = 0;
    CU(t, t->drv->EventElapsedTime(&ms, t->from, t->to), "read the time between two events");
    t->next_set = (first + t->batch) % t->span;
    *us = (double)ms * 1e3 / t->batch;
    return HONE_OK;
}

// Sets whose buffers together take half of L2, so that all stay in it.
static unsigned warm_sets(const hone_arm *arm) {
    const hone_workload *w = arm->bound->w;
    size_t one = arm->bound->plan->total_bytes ? arm->bound->plan->total_bytes : 1, fit = w->device->info.l2_bytes / 2 / one;
    return fit < 1 ? 1 : fit < w->n_sets ? (unsigned)fit : w->n_sets;
}

// Short plans: a sample is many runs. Cold, each on data of its own; warm, the same few sets again and again, unless a run changes its inputs.
static hone_code make_batches(timer *t, unsigned n_arms, hone_err *e) {
    bool repeats = t->cfg->warm_cache && !hone_plan_has_inout(t->arms[0]->bound->plan);
    t->batch = repeats && t->span < WARM_BATCH ? (WARM_BATCH + t->span - 1) / t->span * t->span : t->span;
    t->next_set = 0;   // graphs begin with set 0
    for (unsigned i = 0; i < n_arms && t->batch > 1 && !t->cfg->no_graph; i++)
        HONE_TRY(hone_runs_make(t->arms[i], t->stream, t->span, t->batch, true, false, &t->replay[i], e));
    if (n_arms == 2 && !t->replay[0].exec != !t->replay[1].exec)   // both arms in the same form
        for (unsigned i = 0; i < n_arms; i++)
            hone_runs_free(&t->replay[i]);
    return HONE_OK;
}

// Searches meet candidates that take ten or fifty times the best's time, or a fiftieth of it; a few runs of such a one say all. Both arms ran in turns, under
// the same clocks.
static bool is_hopeless(const hone_pair_config *c, double a_us, double b_us) { return c->race_ratio > 0 && b_us * c->race_ratio > FAR * a_us; }
static bool is_splendid(const hone_pair_config *c, double a_us, double b_us) { return c->race_ratio > 0 && FAR * b_us * c->race_ratio < a_us; }

// A first run may load the code; that takes no tenth of a second.
static bool is_lost(const timer *t) { return t->cfg->race_ratio > 0 && t->first_us[1] > LOST_US && t->first_us[1] * t->cfg->race_ratio > LOST * t->first_us[0]; }

static hone_code warm_up(timer *t, unsigned n_arms, hone_err *e) {
    unsigned least = t->cfg->warmup_launches ? t->cfg->warmup_launches : DEFAULT_WARMUP;
    double busy = t->cfg->warmup_s == 0 ? 0.5 : t->cfg->warmup_s, from = hone_now_s(&t->cfg->clock), shortest[2] = {INFINITY, INFINITY};
    bool is_virtual = t->device->info.is_virtual;
    for (unsigned i = 0;; i++) {
        const bool busy_enough = is_virtual || hone_now_s(&t->cfg->clock) - from >= busy;
        if (busy_enough && (i >= least || (i >= 2 && busy > 0)))
            break;
        for (unsigned a = 0; a < n_arms; a++) {
            double us;
            HONE_TRY(sample(t, t->arms[a], &us, e));
            shortest[a] = fmin(us, shortest[a]);
            if (i == 0)
                t->first_us[a] = us;
        }
        t->lost = n_arms == 2 && !is_virtual && is_lost(t);
        t->far = n_arms == 2 && i > 0 && (is_hopeless(t->cfg, shortest[0], shortest[1]) || is_splendid(t->cfg, shortest[0], shortest[1]));
        if (t->far || t->lost)
            break;
        if (is_virtual)
            break;   // modelled time has nothing to warm up
    }
    t->slow = !is_virtual && fmax(shortest[0], n_arms == 2 ? shortest[1] : 0) > SLOW_US;
    if (!is_virtual && fmin(shortest[0], shortest[1]) < SHORT_US)
        return make_batches(t, n_arms, e);
    return HONE_OK;
}

typedef struct block { double a[64], b[64]; unsigned n; bool capped; } block;

// Work at the power limit has clocks that move, in use as here: such a block counts, and is told of.
static bool clocks_steady(hone_pair *out, const hone_nvml_reading *r, unsigned n, bool *capped) {
    bool slowed = false, moved = false;
    *capped = false;
    for (unsigned i = 0; i < n; i++) {
        slowed |= hone_nvml_slowed(&r[i]);
        *capped |= hone_nvml_capped(&r[i]);
        moved |= r[i].has_sm_mhz && r[0].has_sm_mhz && fabs((double)r[i].sm_mhz / r[0].sm_mhz - 1) > 0.01;
        if (!r[i].has_sm_mhz)
            continue;
        if (!out->has_clock_mhz || r[i].sm_mhz < out->clock_mhz_lo)
            out->clock_mhz_lo = r[i].sm_mhz;
        if (!out->has_clock_mhz || r[i].sm_mhz > out->clock_mhz_hi)
            out->clock_mhz_hi = r[i].sm_mhz;
        out->has_clock_mhz = true;
    }
    if (n && r[n - 1].has_temperature_c) {
        out->has_temperature_c = true;
        out->temperature_c = r[n - 1].temperature_c;
    }
    return !slowed && (!moved || *capped);
}

// A B B A with `visit` samples each: drift that is linear in time cancels. Position i of a visit of A is paired with position i of the B
// beside it.
static hone_code abba(timer *t, const hone_arm *a, const hone_arm *b, unsigned visit, hone_pair *out, block *blk, bool *steady,
                      hone_err *e) {
    hone_nvml_reading r[4];
    const hone_arm *order[4] = {a, b, b, a};
    for (unsigned v = 0; v < 4; v++) {
        double *to = (order[v] == b && (v == 1 || v == 2) ? blk->b : blk->a) + (v >= 2 ? visit : 0);
        for (unsigned i = 0; i < visit; i++)
            HONE_TRY(sample(t, order[v], &to[i], e));
        hone_nvml_read(t->cfg->nvml, &r[v]);
    }
    blk->n = 2 * visit;
    *steady = clocks_steady(out, r, 4, &blk->capped);
    return HONE_OK;
}

static void keep(hone_pair *out, const block *blk, size_t cap) {
    for (unsigned i = 0; i < blk->n && out->n < cap; i++) {
        out->capped += blk->capped;
        out->a_us[out->n] = blk->a[i];
        out->b_us[out->n] = blk->b[i];
        out->log_ratio[out->n] = log(blk->a[i] / blk->b[i]);
        out->n++;
    }
}

// ---- when more samples would change nothing (trust.md: what is decided needs no more). None of it decides a verdict: confirmation takes a fixed number.

static double range_of(const double *v, size_t n) {
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        lo = fmin(lo, v[i]);
        hi = fmax(hi, v[i]);
    }
    return hi - lo;
}

static bool all_pairs(const hone_pair_config *c, const hone_pair *p, bool (*is)(const hone_pair_config *, double, double)) {
    for (size_t i = 0; i < p->n; i++)
        if (!is(c, p->a_us[i], p->b_us[i]))
            return false;
    return p->n > 0;
}

// One that took less than half the best's time is the new best, which is measured again and again as such: ten pairs do, or what FAR_SECONDS allow.
static bool is_new_best(const hone_pair_config *c, const hone_pair *p, double seconds) {
    return (p->n >= FAR_PAIRS || seconds > FAR_SECONDS) && all_pairs(c, p, is_splendid);
}

// The ratio is known as closely as was asked, by the sign test or since all pairs lie so close together.
static bool is_known(const hone_pair_config *c, const hone_pair *p, const hone_interval *b) {
    const double wanted = log1p(c->enough);
    return c->enough > 0 && (fmax(b->hi - b->mid, b->mid - b->lo) <= wanted || (p->n >= STEADY_PAIRS && range_of(p->log_ratio, p->n) <= wanted));
}

// The most that b can gain if pairs to come scatter no more than those so far; INFINITY while they are too few. Samples of slow kernels are steady.
static double most_gain(const timer *t, const hone_pair *p) {
    double most = -INFINITY;
    for (size_t i = 0; i < p->n; i++)
        most = fmax(most, p->log_ratio[i]);
    return p->n < (t->slow ? STEADY_SLOW_PAIRS : STEADY_PAIRS) ? INFINITY : most + range_of(p->log_ratio, p->n);
}

// Sign test over the pairs so far, wrong once in a thousand looks. Racing: a candidate that is certainly slower than the best so far is timed no
// further; that can lose a candidate, never make one look faster. So is one that took twice the best's time in every run, and, in a search, one that gains
// less than is worth knowing more of.
static bool decided(const timer *t, hone_pair *p, double seconds) {
    static const double margin = 0.98, alpha = 1e-3;
    const hone_pair_config *c = t->cfg;
    if (!(c->race_ratio > 0 || c->enough > 0))
        return false;
    hone_interval b = hone_sign_bounds(p->log_ratio, p->n, alpha);
    const double most = c->race_ratio > 0 && c->enough > 0 ? fmin(b.hi, most_gain(t, p)) : INFINITY;
    p->raced_out = all_pairs(c, p, is_hopeless) || (c->race_ratio > 0 && fmin(b.hi, most) < log(margin * c->race_ratio));
    return p->raced_out || most <= log((1 + WORTH) * c->race_ratio) || is_new_best(c, p, seconds) || is_known(c, p, &b);
}

// A challenger: it looks better than the best, but noise could explain that.
static bool undecided(const hone_pair_config *c, const hone_pair *p) {
    double best = c->race_ratio > 0 ? log(c->race_ratio) : INFINITY;
    if (!(hone_median(p->log_ratio, p->n) > best))
        return false;
    return !(hone_bootstrap_median(p->log_ratio, p->n, c->level > 0 ? c->level : 0.99).lo > best);
}

static bool enough(const timer *t, hone_pair *p, size_t wanted, double seconds) {
    bool known = decided(t, p, seconds);
    if (known || p->n < wanted) {
        p->raced_out &= p->n < wanted;
        return known;
    }
    bool more = undecided(t->cfg, p);
    p->extended |= more;
    return !more;
}

static hone_code collect_pairs(timer *t, const hone_arm *a, const hone_arm *b, size_t wanted, size_t cap, unsigned visit, hone_pair *out, hone_err *e) {
    double from = hone_now_s(&t->cfg->clock);
    for (unsigned tries = 0; out->n < cap && tries < 3 * (cap / (2 * visit) + 1); tries++) {
        block blk;
        bool steady;
        HONE_TRY(abba(t, a, b, visit, out, &blk, &steady, e));
        if (steady)
            keep(out, &blk, cap);
        else
            out->discarded += blk.n;
        if (enough(t, out, wanted, hone_now_s(&t->cfg->clock) - from))
            break;
        if (t->cfg->max_seconds > 0 && hone_now_s(&t->cfg->clock) - from > t->cfg->max_seconds)
            break;
    }
    if (out->n == 0) {
        hone_fail(e, HONE_E_DEVICE, 0, "no steady timing block in %u samples: clocks moved by more than 1 %% or the device was throttled",
                  out->discarded);
        return hone_hint(e, "let the device cool down, or use it exclusively");
    }
    return HONE_OK;
}

// Its first run beside the reference's is the one pair that it gets.
static hone_code take_first(const timer *t, hone_pair *out) {
    *out->a_us = t->first_us[0];
    *out->b_us = t->first_us[1];
    *out->log_ratio = log(t->first_us[0] / t->first_us[1]);
    out->n = 1;
    out->raced_out = true;
    return HONE_OK;
}

static hone_code collect_single(timer *t, const hone_arm *a, size_t cap, hone_pair *out, hone_err *e) {
    double from = hone_now_s(&t->cfg->clock);
    while (out->n < cap) {
        HONE_TRY(sample(t, a, &out->a_us[out->n], e));
        out->n++;
        if (t->cfg->max_seconds > 0 && hone_now_s(&t->cfg->clock) - from > t->cfg->max_seconds)
            break;
    }
    hone_nvml_reading r;
    bool capped;
    hone_nvml_read(t->cfg->nvml, &r);
    clocks_steady(out, &r, 1, &capped);
    return HONE_OK;
}

static void summarise(const hone_pair_config *c, bool paired, hone_pair *out) {
    double level = c->level > 0 ? c->level : 0.99;
    out->a = hone_bootstrap_median(out->a_us, out->n, level);
    if (!paired)
        return;
    out->b = hone_bootstrap_median(out->b_us, out->n, level);
    hone_interval l = hone_bootstrap_median(out->log_ratio, out->n, level);
    out->ratio = (hone_interval){exp(l.lo), exp(l.mid), exp(l.hi)};
}

// Event time against wall time over one long stretch of an arm, up to where the device is idle: a clock that lies and work that runs outside of the events show here. 20 ms by the
// device's clock; where that takes far longer by the host's (a clock that runs slow, an emulated device), as many runs as STRETCH_S sends.
static const double STRETCH_S = 0.5;
static hone_code one_stretch(timer *t, const hone_arm *a, double run_us, double *ratio, hone_err *e) {
    unsigned sets = a->bound->w->n_sets, runs = (unsigned)(20e3 / (run_us > 1 ? run_us : 1)) + 1;
    runs = runs > 4000 ? 4000 : runs;
    CU(t, t->drv->CtxSynchronize(), "prepare a timed stretch");
    double from = hone_now_s(&t->cfg->clock);
    CU(t, t->drv->EventRecord(t->from, t->stream), "record an event");
    for (unsigned i = 0; i < runs && (i == 0 || hone_now_s(&t->cfg->clock) - from < STRETCH_S); i++)
        HONE_TRY(hone_program_launch(a->program, a->bound->plan, hone_bound_set(a->bound, i % sets), t->stream, NULL, e));
    CU(t, t->drv->EventRecord(t->to, t->stream), "record an event");
    CU(t, t->drv->EventSynchronize(t->to), "finish a timed stretch");
    CU(t, t->drv->CtxSynchronize(), "wait for what runs outside of a timed stretch");
    double wall = hone_now_s(&t->cfg->clock) - from;
    float ms = 0;
    CU(t, t->drv->EventElapsedTime(&ms, t->from, t->to), "read the time between two events");
    *ratio = wall > 0 ? (double)ms * 1e-3 / wall : 0;
    return HONE_OK;
}

// A host that was kept from its work makes a short stretch look long, a lie makes all of them: the best of those that fit into RETRY_S counts.
static const double RETRY_S = 0.1;
enum { MOST_STRETCHES = 10 };
static hone_code stretches(timer *t, const hone_arm *a, double run_us, double *best, hone_err *e) {
    const double from = hone_now_s(&t->cfg->clock);
    for (unsigned i = 0; i == 0 || (i < MOST_STRETCHES && *best < HONE_LEAST_EVENT_TO_WALL && hone_now_s(&t->cfg->clock) - from < RETRY_S); i++) {
        double ratio = 0;
        HONE_TRY(one_stretch(t, a, run_us, &ratio, e));
        *best = ratio > *best ? ratio : *best;
    }
    return HONE_OK;
}

// What the reference shows on this device is asked only where arm b looks odd.
static hone_code compare_with_wall(timer *t, const hone_arm *a, const hone_arm *b, hone_pair *out, hone_err *e) {
    if (t->device->info.is_virtual)
        return HONE_OK;
    HONE_TRY(stretches(t, b ? b : a, b ? out->b.mid : out->a.mid, &out->event_to_wall, e));
    if (b && out->event_to_wall < HONE_LEAST_EVENT_TO_WALL)
        HONE_TRY(stretches(t, a, out->a.mid, &out->reference_event_to_wall, e));
    return HONE_OK;
}

bool hone_pair_leaves_events(const hone_pair *p) {
    return p->reference_event_to_wall > 0 && p->event_to_wall < HONE_LEAST_EVENT_TO_WALL * fmin(1, p->reference_event_to_wall);
}

// The outputs of set 0 as the timed form leaves them: the same graph, the same batch, L2 as it was for the samples.
static hone_code leave_outputs(timer *t, const hone_arm *arm, hone_err *e) {
    double us;
    t->next_set = 0;
    return sample(t, arm, &us, e);
}

static hone_code measure(timer *t, const hone_arm *a, const hone_arm *b, hone_pair *out, hone_err *e) {
    bool is_virtual = t->device->info.is_virtual;
    unsigned visit = is_virtual ? 1 : t->cfg->per_visit ? t->cfg->per_visit : DEFAULT_VISIT;
    visit = visit > 32 ? 32 : visit;
    size_t wanted = is_virtual ? 2 : t->cfg->samples ? t->cfg->samples : DEFAULT_SAMPLES;
    wanted = (wanted + 2 * visit - 1) / (2 * visit) * (2 * visit);
    size_t cap = b && !is_virtual && t->cfg->race_ratio > 0 ? MOST_EXTENDED * wanted : wanted;
    out->a_us = hone_calloc(cap, sizeof(double));
    out->b_us = hone_calloc(cap, sizeof(double));
    out->log_ratio = hone_calloc(cap, sizeof(double));
    if (!out->a_us || !out->b_us || !out->log_ratio)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for %zu samples", cap);
    HONE_TRY(open_timer(t, e));
    HONE_TRY(warm_up(t, b ? 2 : 1, e));
    out->batch = t->batch;
    out->sets = t->span;
    out->warm = t->cfg->warm_cache;
    out->graph = t->replay[0].exec != NULL;
    visit = t->far || (t->slow && t->cfg->enough > 0) ? 1 : visit;
    HONE_TRY(t->lost ? take_first(t, out) : b ? collect_pairs(t, a, b, wanted, cap, visit, out, e) : collect_single(t, a, cap, out, e));
    summarise(t->cfg, b != NULL, out);
    if (!out->raced_out)
        HONE_TRY(compare_with_wall(t, a, b, out, e));
    return t->cfg->leave_outputs && !out->raced_out ? leave_outputs(t, b ? b : a, e) : HONE_OK;
}

hone_code hone_measure_pair(const hone_arm *a, const hone_arm *b, const hone_pair_config *c, hone_pair *out, hone_err *e) {
    *out = (hone_pair){0};
    hone_pair_config cfg = *c;
    if (!cfg.clock.now_s)
        cfg.clock = hone_clock_monotonic();
    timer t = {.device = a->bound->w->device, .drv = a->bound->w->device->driver, .cfg = &cfg, .batch = 1, .arms = {a, b}};
    t.span = cfg.warm_cache && !t.device->info.is_virtual ? warm_sets(a) : a->bound->w->n_sets;
    hone_code code = measure(&t, a, b, out, e);
    close_timer(&t);
    if (code != HONE_OK)
        hone_pair_free(out);
    return code;
}

void hone_pair_free(hone_pair *p) {
    hone_free(p->a_us);
    hone_free(p->b_us);
    hone_free(p->log_ratio);
    *p = (hone_pair){0};
}
