// The time and profile stages. Virtual: one sampled run per size, modelled. Physical: paired with the baseline, outputs of timed runs
// compared, an A/A control once per session. Several sizes count equally: the outcome's time is the geometric mean of their times.
#include "evaluate/stages.h"
#include "measure/energy.h"
#include <math.h>
#include <string.h>

// Executed per launch before extrapolating. On the examples 4 million give the same modelled time as 32 million, within 0.1 %, in a quarter
// of the time.
// A screen compares candidates of one task with each other and takes a quarter of that: on the examples and their best 16 of 21 modelled times stay the same
// within 0.01 %, the others within 6 %.
enum { SAMPLE_WARP_INSTS = 4 << 20, SCREEN_WARP_INSTS = 1 << 20, PAIR_SECONDS = 6, CONTROL_SECONDS = 3, STAYS_WARM_S = 2 };

static json_t *sizes_json(const hone_sizes *z) {
    json_t *o = json_object();
    for (size_t i = 0; i < z->n; i++)
        json_object_set_new(o, z->v[i].name, json_integer(z->v[i].value));
    return o;
}

// ---- virtual

static hone_code model_size(hone_stage_run *x, size_t i, bool want_lines, hone_claim *t, json_t *lines, hone_err *e) {
    hone_session *s = x->s;
    hone_code c = hone_session_workload(s, i, e);
    if (c != HONE_OK) {
        x->not_the_candidate = true;
        return c;
    }
    hone_program *p = NULL;
    hone_bound b = {0};
    hone_modelled m = {0};
    hone_model_config cfg = {.max_warp_insts = (uint64_t)1 << 31, .want_lines = want_lines,
                             .sample_warp_insts = x->job->on_virtual ? SCREEN_WARP_INSTS : SAMPLE_WARP_INSTS};
    c = hone_program_load(s->device, x->compiled, x->plans[i], &p, e);
    if (c == HONE_OK)
        c = hone_bound_make(s->sizes[i].workload, x->plans[i], &b, e);
    if (c == HONE_OK)
        c = hone_measure_modelled(&b, p, &cfg, &m, e);
    if (c == HONE_OK && !(m.time_us > 0))
        c = hone_fail(e, HONE_E_INTERNAL, 0, "the modelled time of '%s' is %g µs", x->plans[i]->launches[0].kernel, m.time_us);
    if (c == HONE_OK) {
        json_t *entry = json_pack("{s:o,s:f,s:O}", "sizes", sizes_json(x->plans[i]->sizes), "time_us", m.time_us, "launches", m.launches);
        hone_claim_modelled(t, m.time_us, m.error_band, entry);
        if (m.lines)
            json_array_extend(lines, m.lines);
    }
    hone_modelled_free(&m);
    hone_bound_free(&b);
    hone_program_free(p);
    return c;
}

// A fault while sampling leaves the context unusable: it is made anew, and the buffers with it.
static void recover_timing(hone_session *s, const hone_err *e) {
    if (!hone_result_is_sticky(e->sub))
        return;
    if (!s->device->info.is_virtual) {
        s->must_exit = true;
        return;
    }
    hone_session_drop_workloads(s);
    if (hone_device_reset(s->device, NULL) != HONE_OK)
        s->must_exit = true;
}

static hone_code model_all(hone_stage_run *x, bool want_lines, hone_err *e) {
    hone_claim t;
    HONE_TRY(hone_claim_open(&t, e));
    json_t *lines = json_array();
    hone_code c = hone_device_use(x->s->device, e);
    for (size_t i = 0; i < x->n_plans && c == HONE_OK; i++)
        c = model_size(x, i, want_lines, &t, lines, e);
    if (c == HONE_OK) {
        hone_report_set(x->r, "time", hone_claim_json(&t, NULL));
        if (want_lines)
            hone_report_set(x->r, "lines", json_incref(lines));
    } else {
        recover_timing(x->s, e);
        if (c == HONE_E_DEVICE && e->sub == CUDA_ERROR_LAUNCH_TIMEOUT)
            c = HONE_E_TIMEOUT;
    }
    json_decref(lines);
    hone_claim_close(&t);
    return c;
}

// ---- physical

// A device that was busy a moment ago has its clocks up; a search then warms up the caches only, and not for long later: blocks in which clocks move are dropped.
static double warm_up_seconds(const hone_stage_run *x) {
    hone_clock clock = hone_clock_monotonic();
    if (!(x->job->timing_enough > 0) || !(x->s->timed_at > 0))
        return 0;
    return hone_now_s(&clock) - x->s->timed_at < STAYS_WARM_S ? 0.02 : 0.1;
}

static hone_pair_config pair_config(const hone_stage_run *x) {
    const double warm_up = warm_up_seconds(x);
    return (hone_pair_config){.samples = x->job->timing_samples, .warmup_launches = warm_up > 0 ? 2 : 0, .warmup_s = warm_up,
                              .nvml = x->s->nvml, .max_seconds = PAIR_SECONDS, .race_ratio = x->job->race_ratio, .enough = x->job->timing_enough};
}

static void was_timed(hone_session *s) {
    hone_clock clock = hone_clock_monotonic();
    s->timed_at = hone_now_s(&clock);
}

// A search's baseline against itself is a control already.
static bool is_own_control(const hone_stage_run *x) { return !x->job->candidate_text && x->job->timing_enough > 0; }

// The same program on both arms: what the protocol itself adds.
static hone_code control(hone_stage_run *x, size_t i, hone_err *e) {
    hone_size_state *z = &x->s->sizes[i];
    if (x->s->has_control || is_own_control(x))
        return HONE_OK;
    hone_pair_config cfg = pair_config(x);
    cfg.max_seconds = CONTROL_SECONDS;
    HONE_TRY(hone_measure_control(&(hone_arm){&z->bound, z->program}, &cfg, &x->s->control, e));
    x->s->has_control = true;
    return HONE_OK;
}

// ---- energy

typedef struct energy_total { double log_mj, log_lo, log_hi, log_ratio, log_ratio_lo, log_ratio_hi; size_t n; json_t *sizes; char why[300]; } energy_total;

// A device without energy readings, or without a steady block, refuses nobody: the outcome says why there is none.
static hone_code energy_size(hone_stage_run *x, size_t i, const hone_arm *candidate, energy_total *t, hone_err *e) {
    hone_session *s = x->s;
    hone_energy_config cfg = {.window_s = x->job->energy_window_s, .blocks = x->job->energy_blocks};
    hone_energy m;
    hone_err why = {0};
    hone_arm base = {&s->sizes[i].bound, s->sizes[i].program};
    hone_code c = x->job->candidate_text ? hone_measure_energy(&base, candidate, s->nvml, &cfg, &m, &why)
                                         : hone_measure_energy(candidate, NULL, s->nvml, &cfg, &m, &why);
    if (c != HONE_OK) {
        if (hone_result_is_sticky(why.sub))
            return hone_fail(e, c, why.sub, "%s", why.msg);
        snprintf(t->why, sizeof t->why, "%.299s", why.msg);
        return HONE_OK;
    }
    json_t *entry = hone_energy_json(&m);
    if (entry)
        json_object_set_new(entry, "sizes", sizes_json(x->plans[i]->sizes));
    json_array_append_new(t->sizes, entry);
    t->log_mj += log(m.b.mid);
    t->log_lo += log(m.b.lo);
    t->log_hi += log(m.b.hi);
    t->log_ratio += log(m.ratio.mid);
    t->log_ratio_lo += log(m.ratio.lo);
    t->log_ratio_hi += log(m.ratio.hi);
    t->n++;
    hone_energy_free(&m);
    return HONE_OK;
}

// Several sizes count equally, as for time: geometric means.
static json_t *energy_total_json(const energy_total *t) {
    if (t->why[0] || !t->n)
        return json_pack("{s:s,s:s}", "kind", "absent", "reason", t->why);
    double n = (double)t->n;
    json_t *first = json_array_get(t->sizes, 0);
    return json_pack("{s:s,s:O,s:f,s:f,s:f,s:f,s:f,s:f,s:O}", "kind", "measured", "source", json_object_get(first, "source"), "energy_mj",
                     exp(t->log_mj / n), "lo_mj", exp(t->log_lo / n), "hi_mj", exp(t->log_hi / n), "ratio", exp(t->log_ratio / n), "ratio_lo",
                     exp(t->log_ratio_lo / n), "ratio_hi", exp(t->log_ratio_hi / n), "sizes", t->sizes);
}

typedef struct physical { hone_claim cold, warm; energy_total energy; } physical;

static void note_cap(hone_stage_run *x, const hone_pair *p) {
    if (p->capped)
        hone_findings_add(&x->r->findings, HONE_F_TIME_CAPPED, NULL, 0, json_pack("{s:i,s:i}", "pairs", (int)p->n, "capped", (int)p->capped),
                          "the device was at its power limit in %u of %zu pairs, its clocks between %.0f and %.0f MHz: work that draws as much runs so in use too, but not "
                          "alike on every card",
                          p->capped, p->n, p->clock_mhz_lo, p->clock_mhz_hi);
}

static void tell_outside_events(hone_stage_run *x, const hone_pair *p) {
    if (x->job->candidate_text && hone_pair_leaves_events(p))
        hone_findings_add(&x->r->findings, HONE_F_TIME_OUTSIDE_EVENTS, NULL, 0,
                          json_pack("{s:f,s:f}", "event_to_wall", p->event_to_wall, "reference", p->reference_event_to_wall),
                          "its events tell %.0f %% of the time that its launches take by the host's clock (the reference's %.0f %%): work runs outside of them",
                          100 * p->event_to_wall, 100 * p->reference_event_to_wall);
}

// One mode of L2. The candidate's outputs are those of the form that was timed, replays of graphs included.
static hone_code pair_mode(hone_stage_run *x, size_t i, const hone_arm *candidate, bool warm, hone_claim *t, hone_err *e) {
    hone_session *s = x->s;
    hone_pair pair = {0};
    hone_pair_config cfg = pair_config(x);
    cfg.warm_cache = warm;
    cfg.leave_outputs = true;
    HONE_TRY(hone_keep_outputs(s, i, e));
    hone_arm reference = {&s->sizes[i].bound, s->sizes[i].program};
    double gained = 1;   // by the reference over the baseline
    const bool rival = !warm && hone_rival_arm(s, x->job, i, &reference, &gained);
    if (rival)
        cfg.race_ratio = 1;   // the best so far is the reference itself
    HONE_TRY(hone_measure_pair(&reference, candidate, &cfg, &pair, e));
    hone_rival_rebase(&pair, gained);
    was_timed(s);
    if (!warm && is_own_control(x) && !s->has_control) {
        s->control = hone_control_of(&pair);
        s->has_control = true;
    }
    hone_code c = pair.raced_out ? HONE_OK   // it lost, and is nobody's best: its outputs of this size need no reading
                                 : hone_compare_outputs(s, i, candidate->bound, NULL, &x->r->findings, e);
    if (c == HONE_OK) {
        double floor_us = hone_floor_us(x->plans[i], &s->device->info);
        if (!warm && pair.b.mid < floor_us)
            hone_findings_add(&x->r->findings, HONE_F_TIME_TOO_FAST, NULL, 0,
                              json_pack("{s:f,s:f}", "time_us", pair.b.mid, "floor_us", floor_us),
                              "takes %.3f µs, but writing the outputs alone takes %.3f µs at the memory's peak rate", pair.b.mid, floor_us);
        note_cap(x, &pair);
        tell_outside_events(x, &pair);
        json_t *entry = hone_pair_json(&pair, true);
        if (entry)
            json_object_set_new(entry, "sizes", sizes_json(x->plans[i]->sizes));
        if (entry && rival)
            json_object_set_new(entry, "against", json_pack("{s:s,s:f}", "arm", "best so far", "baseline_ratio", gained));
        pair.a.mid *= gained;   // the baseline's, as far as is known
        hone_claim_measured(t, &pair, hone_control_doubt(&s->control), entry);
    }
    hone_pair_free(&pair);
    return c;
}

// Nobody's fault, but what was timed is not what ptxas's statistics describe.
static void note_jit(hone_stage_run *x, const hone_program *p) {
    if (p->jit)
        hone_findings_add(&x->r->findings, HONE_F_TIME_JIT, NULL, 0, json_pack("{s:i}", "result", CUDA_ERROR_NO_BINARY_FOR_GPU),
                          "the driver did not take the machine code for compute capability %u.%u (CUDA_ERROR_NO_BINARY_FOR_GPU) and compiled the PTX itself: "
                          "the registers, spills and cubin reported are not those that were timed",
                          x->s->target.cc / 10, x->s->target.cc % 10);
}

static hone_code pair_size(hone_stage_run *x, size_t i, physical *t, hone_err *e) {
    hone_session *s = x->s;
    hone_code c = hone_session_workload(s, i, e);
    if (c == HONE_OK)
        c = control(x, i, e);
    if (c != HONE_OK) {
        x->not_the_candidate = true;
        return c;
    }
    hone_program *p = NULL;
    hone_bound b = {0};
    c = hone_program_load(s->device, x->compiled, x->plans[i], &p, e);
    if (c == HONE_OK)
        c = hone_bound_make(s->sizes[i].workload, x->plans[i], &b, e);
    hone_arm candidate = {&b, p};
    if (c == HONE_OK && i == 0)
        note_jit(x, p);
    if (c == HONE_OK)
        c = pair_mode(x, i, &candidate, false, &t->cold, e);
    if (c == HONE_OK && x->job->timing_warm)
        c = pair_mode(x, i, &candidate, true, &t->warm, e);
    if (c == HONE_OK && x->job->energy_window_s > 0)
        c = energy_size(x, i, &candidate, &t->energy, e);
    hone_bound_free(&b);
    hone_program_free(p);
    return c;
}

static void tell_times(hone_stage_run *x, const physical *t) {
    json_t *j = hone_claim_json(&t->cold, &x->s->control);
    if (j && t->warm.n)
        json_object_set_new(j, "warm", hone_claim_json(&t->warm, NULL));
    hone_report_set(x->r, "time", j);
    if (x->job->energy_window_s > 0)
        hone_report_set(x->r, "energy", energy_total_json(&t->energy));
}

static hone_code pair_all(hone_stage_run *x, hone_err *e) {
    physical t = {.energy = {.sizes = json_array()}};
    hone_code c = hone_claim_open(&t.cold, e);
    if (c == HONE_OK)
        c = hone_claim_open(&t.warm, e);
    if (c == HONE_OK)
        c = hone_device_use(x->s->device, e);
    for (size_t i = 0; i < x->n_plans && c == HONE_OK; i++)
        c = pair_size(x, i, &t, e);
    if (c == HONE_OK)
        tell_times(x, &t);
    else
        recover_timing(x->s, e);
    hone_claim_close(&t.cold);
    hone_claim_close(&t.warm);
    json_decref(t.energy.sizes);
    return c;
}

hone_code hone_stage_time(hone_stage_run *x, hone_err *e) {
    if (x->job->want_ceilings)
        hone_report_set(x->r, "ceilings", json_deep_copy(hone_session_ceilings(x->s)));
    if (x->job->energy_window_s > 0 && x->s->device->info.is_virtual)
        hone_report_set(x->r, "energy", json_pack("{s:s,s:s}", "kind", "absent", "reason", "the virtual GPU has no energy model"));
    if (!x->s->device->info.is_virtual)
        return pair_all(x, e);
    return model_all(x, (x->job->stages & HONE_STAGE_PROFILE) != 0, e);
}

// ---- profile: counters, per launch and per line. A physical device borrows the virtual GPU's.

static hone_code profile_on_virtual(hone_stage_run *x, hone_err *e) {
    hone_session *s = x->s;
    hone_device *v = s->stands_in ? s->device : s->virtual_device;
    json_t *sizes = json_array();
    hone_program *p = NULL;
    hone_workload *w = NULL;
    hone_bound b = {0};
    hone_modelled m = {0};
    hone_model_config cfg = {.max_warp_insts = (uint64_t)1 << 31, .want_lines = true, .sample_warp_insts = SAMPLE_WARP_INSTS};
    hone_code c = hone_device_use(v, e);
    if (c == HONE_OK)
        c = hone_workload_open(v, s->sizes[0].plan, s->seed, 1, s->threads, &w, e);
    if (c == HONE_OK)
        c = hone_program_load(v, x->compiled, x->plans[0], &p, e);
    if (c == HONE_OK)
        c = hone_bound_make(w, x->plans[0], &b, e);
    if (c == HONE_OK)
        c = hone_measure_modelled(&b, p, &cfg, &m, e);
    if (c == HONE_OK) {
        json_array_append_new(
            sizes, json_pack("{s:o,s:f,s:O}", "sizes", sizes_json(x->plans[0]->sizes), "time_us", m.time_us, "launches", m.launches));
        hone_report_set(x->r, "model",
                        json_pack("{s:s,s:s,s:O}", "kind", "modelled", "device", v->info.name, "sizes", sizes));
        hone_report_set(x->r, "lines", json_incref(m.lines));
    }
    json_decref(sizes);
    hone_modelled_free(&m);
    hone_bound_free(&b);
    hone_program_free(p);
    hone_workload_close(w);
    hone_device_use(s->device, NULL);
    return c;
}

hone_code hone_stage_profile(hone_stage_run *x, hone_err *e) {
    if (x->s->device->info.is_virtual && (!x->s->stands_in || x->job->on_virtual))
        return x->job->stages & HONE_STAGE_TIME ? HONE_OK : model_all(x, true, e);   // the time stage counted lines already
    if (!x->s->virtual_device && !x->s->stands_in) {
        hone_report_set(x->r, "model", json_pack("{s:s}", "skipped", "libhonegpu.so is not available"));
        return HONE_OK;
    }
    hone_code c = profile_on_virtual(x, e);
    if (c == HONE_OK)
        return HONE_OK;
    hone_report_set(x->r, "model", json_pack("{s:s}", "skipped", e->msg));   // a missing profile refuses nobody
    hone_err_clear(e);
    return HONE_OK;
}
