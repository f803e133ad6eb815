// The energy protocol over a scripted or real source. See energy.h. What keeps the device busy: energy_loop.c.
#include "measure/energy.h"
#include <math.h>

enum { TICKS = 8, DEFAULT_BLOCKS = 6 };
static const double LOOK_S = 0.0005, TICK_LIMIT_S = 3, SAME_TEMPERATURE_C = 1;

// When runs were seen to end: the rate of runs comes from the first and the last of these within a window, not from counts at its edges.
typedef struct progress { double first_s, last_s; unsigned long long first, last; bool any; } progress;
typedef struct meter { const hone_energy_source *s; const hone_energy_config *cfg; bool integrated; double tick_s; progress *seen; } meter;

static double now(const meter *m) { return m->s->now_s(m->s->self); }

static void saw(progress *p, unsigned long long done, double t) {
    if (p->any && done == p->last)
        return;
    if (!p->any)
        *p = (progress){.first_s = t, .first = done, .any = done > 0};
    p->last_s = t;
    p->last = done;
}

static double runs_in(const progress *p, double seconds) {
    return p->any && p->last_s > p->first_s ? (double)(p->last - p->first) / (p->last_s - p->first_s) * seconds : 0;
}

// One look while working. errors: those of the work.
static hone_code look(const meter *m, hone_nvml_reading *r, unsigned long long *done, hone_err *e) {
    HONE_TRY(m->s->work(m->s->self, done, e));
    if (m->seen)
        saw(m->seen, *done, now(m));
    m->s->pause(m->s->self, LOOK_S);
    m->s->read(m->s->self, r);
    return HONE_OK;
}

typedef struct edge { double at_s, width_s; unsigned long long mj; } edge;   // where the counter moved, and how exactly that is known

static hone_code next_edge(const meter *m, double limit_s, edge *out, hone_nvml_reading *last, hone_err *e) {
    hone_nvml_reading r;
    unsigned long long done = 0;
    double from = now(m), before = from;
    HONE_TRY(look(m, &r, &done, e));
    unsigned long long old = r.energy_mj;
    bool answered = r.has_energy_mj;
    for (;;) {
        before = now(m);
        HONE_TRY(look(m, &r, &done, e));
        double t = now(m);
        if (!answered || !r.has_energy_mj)
            return hone_fail(e, HONE_E_UNSUPPORTED, 0, "NVML's energy counter stopped answering");
        if (r.energy_mj < old)
            return hone_fail(e, HONE_E_DEVICE, 0, "NVML's energy counter went backwards");
        if (r.energy_mj > old) {
            *out = (edge){(before + t) / 2, t - before, r.energy_mj};
            *last = r;
            return HONE_OK;
        }
        if (t - from > limit_s)
            return hone_fail(e, HONE_E_UNSUPPORTED, 0, "NVML's energy counter did not move within %.1f s", limit_s);
    }
}

static hone_code tick_of(const meter *m, double *tick_s, hone_err *e) {
    double gap[TICKS], last = 0;
    hone_nvml_reading r;
    for (int i = 0; i <= TICKS; i++) {
        edge x;
        HONE_TRY(next_edge(m, TICK_LIMIT_S, &x, &r, e));
        if (i)
            gap[i - 1] = x.at_s - last;
        last = x.at_s;
    }
    *tick_s = hone_median(gap, TICKS);
    return HONE_OK;
}

static hone_code stop_after(const meter *m, hone_code c, hone_err *e) {
    hone_code stopped = m->s->stop(m->s->self, c == HONE_OK ? e : NULL);
    return c != HONE_OK ? c : stopped;
}

hone_code hone_energy_tick(const hone_energy_source *s, double *tick_s, hone_err *e) {
    meter m = {.s = s};
    HONE_TRY(s->start(s->self, 0, e));
    return stop_after(&m, tick_of(&m, tick_s, e), e);
}

static void note_state(hone_energy_window *w, const hone_nvml_reading *r, bool *slowed, double *sum, unsigned *n) {
    *slowed |= hone_nvml_slowed(r);
    if (r->has_temperature_c) {
        *sum += r->temperature_c;
        ++*n;
    }
    w->has_temperature = *n > 0;
    w->temperature_c = *n ? *sum / *n : 0;
}

// From the counter's first move to its first move after window_s. The state of the device is read a hundred times on the way.
static hone_code counter_window(const meter *m, double window_s, hone_energy_window *w, bool *slowed, hone_err *e) {
    edge a, b;
    hone_nvml_reading r;
    unsigned long long done;
    double sum = 0;
    unsigned n = 0;
    HONE_TRY(next_edge(m, TICK_LIMIT_S, &a, &r, e));
    *m->seen = (progress){.first_s = m->seen->last_s, .last_s = m->seen->last_s, .first = m->seen->last, .last = m->seen->last, .any = m->seen->any};
    note_state(w, &r, slowed, &sum, &n);
    while (now(m) < a.at_s + window_s - m->tick_s / 2) {
        HONE_TRY(look(m, &r, &done, e));
        note_state(w, &r, slowed, &sum, &n);
    }
    HONE_TRY(next_edge(m, TICK_LIMIT_S, &b, &r, e));
    note_state(w, &r, slowed, &sum, &n);
    w->joules = (double)(b.mj - a.mj) * 1e-3;
    w->seconds = b.at_s - a.at_s;
    w->runs = runs_in(m->seen, w->seconds);
    w->edge_s = a.width_s + b.width_s;
    return HONE_OK;
}

// Without a counter: trapezoids under the power readings.
static hone_code power_window(const meter *m, double window_s, hone_energy_window *w, bool *slowed, hone_err *e) {
    hone_nvml_reading r;
    unsigned long long done;
    double sum = 0, from, last, watts;
    unsigned n = 0;
    HONE_TRY(look(m, &r, &done, e));
    from = last = now(m);
    watts = r.power_mw * 1e-3;
    do {
        HONE_TRY(look(m, &r, &done, e));
        if (!r.has_power_mw)
            return hone_fail(e, HONE_E_UNSUPPORTED, 0, "NVML's power reading stopped answering");
        note_state(w, &r, slowed, &sum, &n);
        double t = now(m), p = r.power_mw * 1e-3;
        w->joules += (watts + p) / 2 * (t - last);
        last = t;
        watts = p;
    } while (last - from < window_s);
    w->seconds = last - from;
    w->runs = runs_in(m->seen, w->seconds);
    return HONE_OK;
}

static hone_code settle(const meter *m, hone_err *e) {
    double from = now(m), least = m->cfg->settle_s > 0 ? m->cfg->settle_s : 0.3;
    hone_nvml_reading r;
    unsigned long long done = 0;
    while (now(m) - from < least || done < 2)
        HONE_TRY(look(m, &r, &done, e));
    return HONE_OK;
}

static hone_code window(const meter *m, unsigned arm, hone_energy_window *w, bool *slowed, hone_err *e) {
    *w = (hone_energy_window){0};
    *m->seen = (progress){0};
    double window_s = m->cfg->window_s > 0 ? m->cfg->window_s : 5;
    HONE_TRY(m->s->start(m->s->self, arm, e));
    hone_code c = settle(m, e);
    if (c == HONE_OK)
        c = m->integrated ? power_window(m, window_s, w, slowed, e) : counter_window(m, window_s, w, slowed, e);
    HONE_TRY(stop_after(m, c, e));
    if (!(w->runs > 0) || !(w->joules > 0))
        return hone_fail(e, HONE_E_DEVICE, 0, "no run ended within a window of %.2f s, or it took no energy", w->seconds);
    w->mj_per_run = w->joules * 1e3 / w->runs;
    return HONE_OK;
}

// A B B A; position 0 pairs with 1, position 3 with 2.
static hone_code block(const meter *m, bool paired, hone_energy_window w[4], bool *steady, bool *matched, hone_err *e) {
    static const unsigned order[4] = {0, 1, 1, 0};
    bool slowed = false;
    double lo = INFINITY, hi = -INFINITY;
    for (unsigned i = 0; i < 4; i++) {
        HONE_TRY(window(m, paired ? order[i] : 0, &w[i], &slowed, e));
        lo = w[i].has_temperature ? fmin(lo, w[i].temperature_c) : lo;
        hi = w[i].has_temperature ? fmax(hi, w[i].temperature_c) : hi;
    }
    *steady = !slowed;
    *matched = !(hi - lo > SAME_TEMPERATURE_C);
    return HONE_OK;
}

static void keep(hone_energy *out, bool paired, const hone_energy_window w[4], double *power_a, double *power_b) {
    for (unsigned i = 0; i < 4; i++) {
        out->window_s += w[i].seconds;
        out->edge_error = fmax(out->edge_error, w[i].edge_s / w[i].seconds);
        if (!w[i].has_temperature)
            continue;
        out->temperature_lo_c = out->has_temperature ? fmin(out->temperature_lo_c, w[i].temperature_c) : w[i].temperature_c;
        out->temperature_hi_c = out->has_temperature ? fmax(out->temperature_hi_c, w[i].temperature_c) : w[i].temperature_c;
        out->has_temperature = true;
    }
    static const unsigned a_at[4] = {0, 3, 1, 2}, b_at[2] = {1, 2};
    for (unsigned k = 0; k < (paired ? 2u : 4u); k++) {
        const hone_energy_window *a = &w[a_at[k]], *b = paired ? &w[b_at[k]] : a;
        out->a_mj[out->n] = a->mj_per_run;
        out->b_mj[out->n] = b->mj_per_run;
        out->log_ratio[out->n] = log(a->mj_per_run / b->mj_per_run);
        power_a[out->n] = a->joules / a->seconds;
        power_b[out->n++] = b->joules / b->seconds;
    }
    out->blocks++;
}

// Blocks with a slowdown never count. Blocks whose windows differ by more than 1 °C are repeated, as often as half the blocks wanted; what comes
// after that is taken and said.
static hone_code collect(const meter *m, bool paired, unsigned blocks, hone_energy *out, double *power_a, double *power_b, hone_err *e) {
    out->temperature_matched = true;
    for (unsigned tries = 0, repeats = blocks / 2; out->blocks < blocks && tries < 2 * blocks + 2; tries++) {
        hone_energy_window w[4];
        bool steady, matched;
        HONE_TRY(block(m, paired, w, &steady, &matched, e));
        if (!steady || (!matched && repeats > 0)) {
            repeats -= steady;
            out->discarded++;
            continue;
        }
        out->temperature_matched &= matched;
        keep(out, paired, w, power_a, power_b);
    }
    if (out->blocks == 0) {
        hone_fail(e, HONE_E_DEVICE, 0, "no energy block without a slowdown in %u: the device is limited by power or temperature", out->discarded);
        return hone_hint(e, "let the device cool down, or use it exclusively");
    }
    out->window_s /= 4.0 * out->blocks;
    return HONE_OK;
}

hone_code hone_energy_no_source(hone_err *e) {
    return hone_fail(e, HONE_E_UNSUPPORTED, 0, "NVML has neither an energy counter nor a power reading for this device");
}

static hone_code find_source(meter *m, hone_energy *out, hone_err *e) {
    hone_nvml_reading r;
    m->s->read(m->s->self, &r);
    if (r.has_energy_mj) {
        HONE_TRY(m->s->start(m->s->self, 0, e));
        HONE_TRY(stop_after(m, tick_of(m, &m->tick_s, e), e));
    } else if (r.has_power_mw) {
        m->integrated = true;
    } else {
        return hone_energy_no_source(e);
    }
    out->integrated = m->integrated;
    out->tick_s = m->tick_s;
    return HONE_OK;
}

static hone_code measure(const hone_energy_source *s, bool paired, const hone_energy_config *c, hone_energy *out, hone_err *e) {
    progress seen = {0};
    meter m = {.s = s, .cfg = c, .seen = &seen};
    unsigned blocks = c->blocks ? c->blocks : DEFAULT_BLOCKS;
    blocks = blocks > HONE_ENERGY_MAX_BLOCKS ? HONE_ENERGY_MAX_BLOCKS : blocks;
    double level = c->level > 0 ? c->level : 0.99, power_a[4 * HONE_ENERGY_MAX_BLOCKS], power_b[4 * HONE_ENERGY_MAX_BLOCKS];
    out->a_mj = hone_calloc(4 * blocks, sizeof(double));
    out->b_mj = hone_calloc(4 * blocks, sizeof(double));
    out->log_ratio = hone_calloc(4 * blocks, sizeof(double));
    if (!out->a_mj || !out->b_mj || !out->log_ratio)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for energy samples");
    HONE_TRY(find_source(&m, out, e));
    HONE_TRY(collect(&m, paired, blocks, out, power_a, power_b, e));
    out->a = hone_bootstrap_median(out->a_mj, out->n, level);
    out->b = hone_bootstrap_median(out->b_mj, out->n, level);
    hone_interval l = hone_bootstrap_median(out->log_ratio, out->n, level);
    out->ratio = (hone_interval){exp(l.lo), exp(l.mid), exp(l.hi)};
    out->power_a_w = hone_median(power_a, out->n);
    out->power_b_w = hone_median(power_b, out->n);
    return HONE_OK;
}

hone_code hone_energy_measure(const hone_energy_source *s, bool paired, const hone_energy_config *c, hone_energy *out, hone_err *e) {
    *out = (hone_energy){0};
    hone_code code = measure(s, paired, c, out, e);
    if (code != HONE_OK)
        hone_energy_free(out);
    return code;
}

void hone_energy_free(hone_energy *x) {
    hone_free(x->a_mj);
    hone_free(x->b_mj);
    hone_free(x->log_ratio);
    *x = (hone_energy){0};
}

static json_t *list(const double *v, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_real(v[i]));
    return a;
}

static json_t *interval(const hone_interval *i) { return json_pack("{s:f,s:f,s:f}", "lo", i->lo, "median", i->mid, "hi", i->hi); }

json_t *hone_energy_json(const hone_energy *x) {
    json_t *o = json_pack("{s:s,s:s,s:f,s:f,s:i,s:i,s:b,s:f,s:o,s:o,s:o,s:f,s:f,s:o,s:o}", "kind", "measured", "source",
                          x->integrated ? "power-integrated" : "energy-counter", "tick_s", x->tick_s, "window_s", x->window_s, "blocks", (int)x->blocks,
                          "discarded", (int)x->discarded, "temperature_matched", x->temperature_matched, "edge_error", x->edge_error, "a_mj",
                          interval(&x->a), "b_mj", interval(&x->b), "ratio", interval(&x->ratio), "power_a_w", x->power_a_w, "power_b_w", x->power_b_w,
                          "a_samples_mj", list(x->a_mj, x->n), "b_samples_mj", list(x->b_mj, x->n));
    if (o && x->has_temperature)
        json_object_set_new(o, "temperature_c", json_pack("[ff]", x->temperature_lo_c, x->temperature_hi_c));
    return o;
}
