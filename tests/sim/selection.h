// A search over candidates whose true speed is known, on a device that is a noise model: what does hone's selection procedure claim? Everything
// from the pairs to the verdict is the product's own: hone_measure_control, hone_measure_pair and hone_claim_json as the worker calls them,
// hone_search_run with its ranking, racing and confirmation. Simulated is what lies below the CUDA driver's events (the fake driver asks this
// file how long a launch took) and the clock. Used by tests/unit/search/test_selection.c and bench/search_selection.c.
#ifndef SIM_SELECTION_H
#define SIM_SELECTION_H
#include "measure/claim.h"
#include "search/search.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../fault/fake_driver.h"

typedef struct sim_config {
    unsigned candidates;
    double noise;                // standard deviation of one time's logarithm
    double drift, period_s;      // the device's speed goes down and up by `drift` in a triangle of that period
    double (*speed)(unsigned variant);   // true speed of the candidate measured as number 1 … candidates; the baseline's is 1; NULL: all are equal
    bool no_race;
    uint64_t seed;
} sim_config;

typedef struct sim_result {
    unsigned evaluated, fast_alone, slow_alone, raced, extended;   // by their own pairs, before confirmation
    double best_alone;           // largest median of pairs
    hone_compare verdict;        // what hone says in the end
    double speedup, true_speed;  // of the best: said and true
    bool control_void;
    uint64_t samples, samples_without_race;   // timed pairs
    double naive_single, naive_median;        // best of all by one time each; by the median of as many times as hone takes, one candidate after the other
} sim_result;

enum { SIM_SAMPLES = 40, SIM_VARIANTS = 1 << 14 };
static const double sim_base_ms = 5, sim_gap_ms = 0.2;

typedef struct sim_device {
    sim_config cfg;
    double now_s;
    hone_rng rng;
} sim_device;

typedef struct sim_run {
    sim_device dev;
    hone_driver *driver;
    hone_device device;
    hone_workload *workload;
    hone_bound bound;
    hone_program *baseline;
    double baseline_speed;
    bool has_control;
    hone_control control;
    hone_job job;
    unsigned order[SIM_VARIANTS], measured;   // a variant's number, in order of measuring; 0: not measured yet
    unsigned variant;
    bool waiting;
    sim_result *out;
} sim_run;

// ---- the device

static double sim_time_ms(sim_device *d, double speed) {
    double phase = d->cfg.period_s > 0 ? fmod(d->now_s / d->cfg.period_s, 1) : 0, wave = phase < 0.5 ? 2 * phase : 2 - 2 * phase;
    double ms = sim_base_ms / speed * (1 + d->cfg.drift * wave) * exp(d->cfg.noise * hone_rng_normal(&d->rng));
    d->now_s += (ms + sim_gap_ms) * 1e-3;
    return ms;
}

static float sim_event(void *self, const void *image) { return (float)sim_time_ms(self, *(const double *)image); }
static double sim_now(void *self) { return ((sim_device *)self)->now_s; }

static hone_arg sim_args[2] = {{.name = "a", .role = HONE_IN, .type = HONE_FLOAT, .init = {.kind = HONE_INIT_ZEROS}},
                               {.name = "b", .role = HONE_OUT, .type = HONE_FLOAT}};
static hone_plan_buffer sim_buffers[2] = {{.arg = &sim_args[0], .dims = {16}, .n_dims = 1, .n_elems = 16, .bytes = 64},
                                          {.arg = &sim_args[1], .dims = {16}, .n_dims = 1, .n_elems = 16, .bytes = 64}};
static hone_plan_arg sim_launch_args[2] = {{.buffer = 0, .bytes = 8}, {.buffer = 1, .bytes = 8}};
static hone_plan_launch sim_launch = {.kernel = "k", .grid = {1, 1, 1}, .block = {32, 1, 1}, .args = sim_launch_args, .n_args = 2};
static hone_sizes sim_no_sizes;
static hone_plan sim_plan = {.sizes = &sim_no_sizes, .buffers = sim_buffers, .n_buffers = 2, .launches = &sim_launch, .n_launches = 1, .total_bytes = 128};

// The "cubin" of a program is its true speed.
static hone_code sim_load(sim_run *s, const double *speed, hone_program **out, hone_err *e) {
    hone_kernel_info kernel = {.name = "k"};
    hone_compiled compiled = {.ok = true, .ptx = "", .cubin = (void *)(uintptr_t)speed, .cubin_len = sizeof *speed, .kernels = &kernel, .n_kernels = 1};
    return hone_program_load(&s->device, &compiled, &sim_plan, out, e);
}

// ---- one evaluation, as evaluate/timing.c does it

static hone_pair_config sim_pair_config(sim_run *s) {
    return (hone_pair_config){.samples = SIM_SAMPLES, .max_seconds = 6, .clock = {sim_now, &s->dev},
                              .race_ratio = s->dev.cfg.no_race ? 0 : s->job.race_ratio, .enough = s->dev.cfg.no_race ? 0 : s->job.timing_enough};
}

static hone_code sim_measure(sim_run *s, const double *speed, hone_claim *claim, hone_err *e) {
    hone_program *p = NULL;
    hone_pair pair = {0};
    hone_pair_config cfg = sim_pair_config(s);
    hone_arm base = {&s->bound, s->baseline};
    if (s->job.fresh_process)
        s->has_control = false;
    if (!s->has_control)
        HONE_TRY(hone_measure_control(&base, &cfg, &s->control, e));
    s->has_control = true;
    s->out->control_void |= s->control.is_void;
    HONE_TRY(sim_load(s, speed, &p, e));
    hone_code c = hone_measure_pair(&base, &(hone_arm){&s->bound, p}, &cfg, &pair, e);
    if (c == HONE_OK) {
        hone_claim_measured(claim, &pair, hone_control_doubt(&s->control), hone_pair_json(&pair, true));
        s->out->samples += pair.n;
        s->out->samples_without_race += SIM_SAMPLES;
        s->out->raced += pair.raced_out;
        s->out->extended += pair.extended;
    }
    hone_pair_free(&pair);
    hone_program_free(p);
    return c;
}

static void sim_note(sim_run *s, const json_t *time) {
    hone_timing t = hone_timing_of_json(time);
    if (!s->job.candidate_text || s->job.fresh_process)
        return;
    hone_compare v = hone_compare_timings(&t, &t);
    s->out->evaluated++;
    s->out->fast_alone += v == HONE_CMP_FAST;
    s->out->slow_alone += v == HONE_CMP_SLOW;
    s->out->best_alone = fmax(s->out->best_alone, t.ratio);
}

static double sim_true_speed(sim_run *s, unsigned variant) {
    unsigned *order = &s->order[variant % SIM_VARIANTS];
    if (!*order)
        *order = ++s->measured;
    return s->dev.cfg.speed ? s->dev.cfg.speed(*order) : 1;
}

static hone_code sim_outcome(sim_run *s, hone_outcome **out, hone_err *e) {
    char program[HONE_HASH_HEX], name[32];
    double speed = s->job.candidate_text && s->job.stages & HONE_STAGE_TIME ? sim_true_speed(s, s->variant) : 1;
    hone_claim claim;
    HONE_TRY(hone_claim_open(&claim, e));
    hone_sha256_hex(name, (size_t)snprintf(name, sizeof name, "%u", s->variant), program);
    json_t *o = json_pack("{s:s,s:I,s:s,s:[],s:[],s:f,s:{s:i,s:s}}", "schema", "hone.outcome/1", "id", (json_int_t)s->job.id, "verdict", "pass",
                          "stages", "findings", "seconds", 0.5, "compile", "registers", 32, "program_hash", program);
    hone_code c = HONE_OK;
    if (s->job.stages & HONE_STAGE_TIME) {
        c = sim_measure(s, &speed, &claim, e);
        if (c == HONE_OK) {
            json_object_set_new(o, "time", hone_claim_json(&claim, &s->control));
            sim_note(s, json_object_get(o, "time"));
        }
    }
    hone_claim_close(&claim);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (c == HONE_OK)
        c = hone_outcome_parse(text, strlen(text), out, e);
    free(text);
    return c;
}

// ---- the evaluator

static const char sim_task[] = "#pragma hone size N=4096\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n#pragma hone launch k<<<N/32,32>>>(a,b)\n"
                               "extern \"C\" __global__ void k(const float *a, float *b) {\n  const int variant = 0;\n  b[threadIdx.x] = a[threadIdx.x] + variant;\n}\n";
static const char sim_mark[] = "variant = ";

static unsigned sim_free_slots(void *self) { return !((sim_run *)self)->waiting; }
static hone_code sim_submit(void *self, const hone_job *j, hone_err *e) {
    sim_run *s = self;
    (void)e;
    s->job = *j;
    s->variant = j->candidate_text ? (unsigned)strtoul(strstr(j->candidate_text, sim_mark) + sizeof sim_mark - 1, NULL, 10) : 0;
    s->waiting = true;
    return HONE_OK;
}
static hone_code sim_wait(void *self, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    sim_run *s = self;
    (void)timeout_ms;
    (void)interrupt;
    if (!s->waiting)
        return HONE_E_TIMEOUT;
    s->waiting = false;
    return sim_outcome(s, out, e);
}

static unsigned sim_proposed;   // so far

static hone_code sim_propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got, hone_err *e) {
    (void)e;
    for (*got = 0; *got < n;) {
        const char *at = strstr(parent->text, sim_mark);
        const char *text = hone_arena_printf(ctx->arena, "%.*s%s%u%s", (int)(at - parent->text), parent->text, sim_mark,
                                             ++sim_proposed, strchr(at, ';'));
        out[(*got)++] = (hone_proposal){.text = text, .len = strlen(text), .move = move, .note = move};
    }
    return HONE_OK;
}
static const char *const sim_moves[] = {"another", NULL};
static const hone_proposer sim_proposer = {.name = "sim", .moves = sim_moves, .propose = sim_propose};
static const hone_proposer *const sim_proposers[] = {&sim_proposer, NULL};

static hone_code sim_search(sim_run *s, hone_err *e) {
    hone_task *t = NULL;
    hone_search_result *r = NULL;
    hone_diags d = {.arena = hone_arena_new(1 << 20)};
    hone_clock clock = {sim_now, &s->dev};
    hone_code c = hone_task_parse("sim.cu", sim_task, strlen(sim_task), &t, &d, e);
    hone_search_config config = {.task = t, .device = "cuda:simulated", .evaluator = {s, sim_free_slots, sim_submit, sim_wait}, .proposers = sim_proposers,
                                 .seed = s->dev.cfg.seed, .evals = s->dev.cfg.candidates, .clock = &clock};
    if (c == HONE_OK)
        c = hone_search_run(&config, &r, e);
    if (c == HONE_OK) {
        s->out->verdict = r->best ? r->verdict : HONE_CMP_NONE;
        s->out->speedup = r->speedup;
        s->out->true_speed = r->best ? sim_true_speed(s, (unsigned)strtoul(strstr(r->best->candidate->text, sim_mark) + sizeof sim_mark - 1, NULL, 10)) : 1;
    }
    hone_search_result_free(r);
    hone_task_free(t);
    hone_arena_free(d.arena);
    return c;
}

// What best-of-N would have said: the baseline's median first, then each candidate, and the smallest time wins.
static double sim_naive(const sim_config *cfg, unsigned times) {
    sim_device d = {.cfg = *cfg};
    double v[SIM_SAMPLES], best = INFINITY;
    hone_rng_init(&d.rng, cfg->seed, 0x6e61697665);
    for (unsigned i = 0; i < SIM_SAMPLES; i++)
        v[i] = sim_time_ms(&d, 1);
    double base = hone_median(v, SIM_SAMPLES);
    for (unsigned k = 0; k < cfg->candidates; k++) {
        for (unsigned i = 0; i < times; i++)
            v[i] = sim_time_ms(&d, cfg->speed ? cfg->speed(k + 1) : 1);
        best = fmin(best, hone_median(v, times));
    }
    return base / best;
}

static hone_code sim_open(sim_run *s, fake *ctl, hone_err *e) {
    ctl->event_source(sim_event, &s->dev);
    hone_rng_init(&s->dev.rng, s->dev.cfg.seed, 0x73696d);
    s->baseline_speed = 1;
    HONE_TRY(hone_driver_load(false, FAKE_PATH, &s->driver, e));
    s->device = (hone_device){.driver = s->driver, .borrowed_driver = true};
    HONE_TRY(hone_device_describe(s->driver, 0, &s->device.info, e));
    HONE_TRY(hone_workload_open(&s->device, &sim_plan, 1, 2, 1, &s->workload, e));
    HONE_TRY(hone_bound_make(s->workload, &sim_plan, &s->bound, e));
    return sim_load(s, &s->baseline_speed, &s->baseline, e);
}

static hone_code sim_selection(const sim_config *cfg, fake *ctl, sim_result *out, hone_err *e) {
    sim_run s = {.dev.cfg = *cfg, .out = out};
    *out = (sim_result){0};
    sim_proposed = 0;
    hone_code c = sim_open(&s, ctl, e);
    if (c == HONE_OK)
        c = sim_search(&s, e);
    hone_program_free(s.baseline);
    hone_bound_free(&s.bound);
    hone_workload_close(s.workload);
    if (s.driver)
        hone_driver_free(s.driver);
    ctl->event_source(NULL, NULL);
    out->naive_single = sim_naive(cfg, 1);
    out->naive_median = sim_naive(cfg, SIM_SAMPLES);
    return c;
}
#endif
