// A simulated evaluator and a proposer for tests of the search: outcomes come back in any order from any number of slots, and the process may die at any of
// them.
#ifndef HONE_TESTS_SEARCH_SIMULATOR_H
#define HONE_TESTS_SEARCH_SIMULATOR_H
#include "search/search.h"
#include "propose/tune.h"
#include "store/internal.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char task_text[] =
    "#pragma hone size N=4096\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n#pragma hone tune BX={32,64,128,256,512}\n"
    "#pragma hone tune UN={1,2,4,8}\n#pragma hone where BX*UN <= 1024\n"
    "#pragma hone launch k<<<cdiv(N,BX),BX>>>(a,b,N)\n"
    "extern \"C\" __global__ void k(const float *a, float *b, int n) {\n  const int level = 0;\n  int i = "
    "blockIdx.x*blockDim.x+threadIdx.x;\n"
    "  if (i < n) b[i] = 2.0f * a[i] + level;\n}\n";

// ---- a proposer that changes the level by one, or jumps

static inline int level_of(const char *text) {
    const char *p = strstr(text, "level = ");
    return p ? atoi(p + 8) : 0;
}

static inline hone_code fake_propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out,
                              size_t *got, hone_err *e) {
    (void)e;
    *got = 0;
    for (size_t i = 0; i < n && i < 2; i++) {
        int level = level_of(parent->text);
        level = strcmp(move, "step") == 0 ? level + 1 : strcmp(move, "jump") == 0 ? (int)hone_rng_below(ctx->rng, 40) : level;
        const char *at = strstr(parent->text, "level = ");
        const char *text =
            hone_arena_printf(ctx->arena, "%.*slevel = %d%s", (int)(at - parent->text), parent->text, level, strchr(at, ';'));
        out[(*got)++] = (hone_proposal){.text = text, .len = strlen(text), .tuning = parent->tuning, .n_tuning = parent->n_tuning, .move = move, .note = move};
    }
    return HONE_OK;
}

static const char *const fake_moves[] = {"step", "jump", "nothing", NULL};
static const hone_proposer fake = {.name = "fake", .moves = fake_moves, .propose = fake_propose};
static const hone_proposer *const proposers[] = {&hone_proposer_tune, &fake, NULL};

// ---- a simulated evaluator

typedef struct simulator {
    hone_job jobs[16];
    char texts[16][2048];
    hone_binding tuning[16][4];
    unsigned n, slots, order;
    unsigned full_runs, compiles, confirmations, die_after, outcomes;
    char ran[512][80];
    size_t n_ran;
    bool ran_twice;   // programs that ran in full
    bool refuse_baseline, lose_once, submit_fails;
    bool physical;                     // jobs that are not for the virtual GPU are measured: 1.3 times the model's time, and another order by `model_error`
    double model_error;
    bool energy;                       // measured: energies besides, unlike the times in their order
    double least_window_s, most_window_s, most_limit_s; unsigned most_blocks;   // asked for
    double joules;
    double flatters;   // the model: the baseline's own text takes this share of its time
    unsigned measured, modelled, passed;   // passed: of those measured
    unsigned refuse_confirmations;
    volatile int *interrupt;
    unsigned interrupt_after;
    uint64_t search_seed;
    unsigned races, cancelled;   // calls
    double race_ratio;           // the last one's
    double now, outcome_s;   // a clock of its own: an outcome takes so long; 0: it stands still
    bool newest_first;       // outcomes come in the order in which nobody waits for them
    double silent_from_s;    // no outcome comes from then on; 0: always
} simulator;

static inline unsigned sim_free(void *self) { return ((simulator *)self)->slots - ((simulator *)self)->n; }

static inline hone_code sim_submit(void *self, const hone_job *j, hone_err *e) {
    simulator *s = self;
    if (s->submit_fails)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "no such device");
    assert_true(s->n < s->slots);
    hone_job *k = &s->jobs[s->n];
    *k = *j;
    snprintf(s->texts[s->n], sizeof s->texts[0], "%s", j->candidate_text ? j->candidate_text : j->task_text);
    memcpy(s->tuning[s->n], j->tuning, j->n_tuning * sizeof *j->tuning);
    s->n++;
    return HONE_OK;
}

static inline int64_t tuned(const hone_binding *v, size_t n, const char *name, int64_t otherwise) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return v[i].value;
    return otherwise;
}

// Levels 2k and 2k+1 compile to the same program; level 13 is best; every level ≡ 2 mod 6 is wrong.
static inline double time_of(int level, int64_t bx, int64_t un) {
    double l = level / 2, x = log2((double)bx) - 7, u = log2((double)un) - 2;
    return 100 + 5 * fabs(l - 6) + 7 * x * x + 4 * u * u + 1.0 / 3;
}

static inline void note_run(simulator *s, const char *program) {
    for (size_t i = 0; i < s->n_ran; i++)
        s->ran_twice |= strcmp(s->ran[i], program) == 0;
    snprintf(s->ran[s->n_ran++ % 512], sizeof s->ran[0], "%s", program);
}

// Per run; beside it stands the baseline, which takes 100 mJ.
static inline void put_energy(const simulator *s, double us, const char *program, size_t n, char *out, size_t cap) {
    double mj = strcmp(program, "0 32 1") == 0 ? 100 : 50 + (double)(hone_hash64(program, n, 11) % 1000) / 10;
    mj *= us > 1.3 * time_of(0, 32, 1) ? 0.3 : 1;   // slow ones take least
    snprintf(out, cap, s->energy ? ",\"energy\":{\"kind\":\"measured\",\"energy_mj\":%.9g,\"lo_mj\":%.9g,\"hi_mj\":%.9g,\"ratio\":%.9g,\"ratio_lo\":%.9g,\"ratio_hi\":%.9g}" : "",
             mj, mj * 0.99, mj * 1.01, 100 / mj, 99 / mj, 101 / mj);
}

static inline void note_energy_job(simulator *s, const hone_job *j) {
    if (!(j->stages & HONE_STAGE_TIME) || j->on_virtual)
        return;
    s->least_window_s = s->least_window_s > 0 ? fmin(s->least_window_s, j->energy_window_s) : j->energy_window_s;
    s->most_window_s = fmax(s->most_window_s, j->energy_window_s);
    s->most_blocks = j->energy_blocks > s->most_blocks ? j->energy_blocks : s->most_blocks;
    s->most_limit_s = fmax(s->most_limit_s, j->time_limit_s);
}

static inline bool sim_energy(void *self, double *joules) {
    *joules = ((simulator *)self)->joules;
    return ((simulator *)self)->energy;
}

static inline hone_code sim_answer(simulator *s, unsigned at, hone_outcome **out, hone_err *e) {
    const hone_job *j = &s->jobs[at];
    int level = level_of(s->texts[at]);
    int64_t bx = tuned(s->tuning[at], j->n_tuning, "BX", 32), un = tuned(s->tuning[at], j->n_tuning, "UN", 1);
    char json[2048], energy[400], beside[64] = "", program[80], hash[HONE_HASH_HEX];
    int n = snprintf(program, sizeof program, "%d %d %d", level / 2, (int)bx, (int)un);
    hone_sha256_hex(program, (size_t)n, hash);
    bool confirming = j->seed != s->search_seed, full = (j->stages & HONE_STAGE_TIME) != 0;
    double us = time_of(level, bx, un);
    if (s->physical && full && !j->on_virtual)
        us *= s->energy && strcmp(program, "0 32 1") && hone_hash64(program, (size_t)n, 13) % 4 == 0 ? 2 : 1.3;
    if (s->physical && full && j->on_virtual && s->model_error > 0)
        us *= 1 + s->model_error * (double)(hone_hash64(program, (size_t)n, 7) % 1000) / 1000;
    if (s->physical && full && j->on_virtual && s->flatters > 0 && level / 2 == 0)
        us *= s->flatters;
    put_energy(s, us, program, (size_t)n, energy, sizeof energy);
    if (s->energy)
        snprintf(beside, sizeof beside, "\"baseline_us\":%.17g,", 1.3 * time_of(0, 32, 1));
    note_energy_job(s, j);
    s->joules += full ? 10 : 1;
    s->measured += full && !confirming && !j->on_virtual;
    s->modelled += full && j->on_virtual;
    bool wrong =
        full && (level / 2 % 3 == 1 || (s->refuse_baseline && level == 0) || (confirming && s->confirmations < s->refuse_confirmations));
    const char *verdict = wrong ? "fail" : "pass";
    s->passed += full && !confirming && !j->on_virtual && !wrong;
    if (full && s->lose_once && level == 3) {
        s->lose_once = false;
        verdict = "error";
    } else if (full && !confirming && !j->on_virtual) {
        note_run(s, program);
    }
    s->full_runs += full && !confirming;
    s->compiles += !full;
    s->confirmations += confirming;
    snprintf(json, sizeof json,
             "{\"schema\":\"hone.outcome/1\",\"id\":%llu,\"verdict\":\"%s\",\"stages\":[],\"findings\":[%s],\"seconds\":0.25,"
             "\"compile\":{\"registers\":32,\"program_hash\":\"%s\"},\"time\":{%s\"kind\":\"%s\",\"time_us\":%.17g,\"error_band\":0.02,"
             "\"sizes\":[{\"launches\":["
             "{\"block\":[%d,1,1],\"model\":{\"time_us\":1,\"bottleneck\":\"%s\",\"occupancy\":0.5,\"shared_bytes\":0}}]}]}%s}",
             (unsigned long long)j->id, verdict,
             wrong ? "{\"kind\":\"output.wrong\",\"stage\":\"differential\",\"message\":\"wrong\"}" : "", hash, beside, s->physical && !j->on_virtual ? "measured" : "modelled", us,
             (int)bx, level > 5 ? "dram" : "latency", energy);
    return hone_outcome_parse(json, strlen(json), out, e);
}

static inline hone_code sim_wait(void *self, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    simulator *s = self;
    (void)timeout_ms;
    if (interrupt && *interrupt)
        return HONE_E_INTERRUPTED;
    if (s->n == 0)
        return HONE_E_TIMEOUT;
    s->now += s->outcome_s;
    if (s->silent_from_s > 0 && s->now >= s->silent_from_s)
        return HONE_E_TIMEOUT;
    if (s->die_after && s->outcomes == s->die_after)
        _exit(77);
    s->outcomes++;
    if (s->interrupt && s->outcomes == s->interrupt_after)
        *s->interrupt = 1;
    unsigned at = s->newest_first ? s->n - 1 : s->order ? (s->outcomes * 7 + s->order) % s->n : 0;
    hone_code c = sim_answer(s, at, out, e);
    s->n--;
    s->jobs[at] = s->jobs[s->n];
    memcpy(s->texts[at], s->texts[s->n], sizeof s->texts[0]);
    memcpy(s->tuning[at], s->tuning[s->n], sizeof s->tuning[0]);
    return c;
}

static inline hone_code sim_race(void *self, const hone_job *j, hone_err *e) {
    simulator *s = self;
    (void)e;
    assert_true(j->race_ratio > s->race_ratio && j->timing_enough > 0);
    s->race_ratio = j->race_ratio;
    s->races++;
    return HONE_OK;
}

static inline void sim_cancel(void *self, uint64_t id) {
    simulator *s = self;
    for (unsigned i = 0; i < s->n; i++)
        if (s->jobs[i].id == id) {
            s->cancelled++;
            s->n--;
            s->jobs[i] = s->jobs[s->n];
            memcpy(s->texts[i], s->texts[s->n], sizeof s->texts[0]);
            memcpy(s->tuning[i], s->tuning[s->n], sizeof s->tuning[0]);
            return;
        }
    fail_msg("job %llu is not under way", (unsigned long long)id);
}

static inline double sim_now(void *self) { return ((simulator *)self)->now; }

// ---- runs

static inline hone_task *task_of(hone_objective objective) {
    static const char *const lines[] = {"", "#pragma hone objective energy\n", "#pragma hone objective edp\n"};
    char text[2048];
    hone_task *t = NULL;
    hone_arena *a = hone_arena_new(1 << 20);
    hone_diags d = {.arena = a};
    hone_err e = {0};
    snprintf(text, sizeof text, "%s%s", lines[objective], task_text);
    if (hone_task_parse("t.cu", text, strlen(text), &t, &d, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    hone_arena_free(a);
    return t;
}

static inline hone_task *the_task(void) { return task_of(HONE_OBJ_TIME); }

typedef struct summary {
    uint64_t best, entries, trace;
    double speedup;
    unsigned evaluations, duplicates;
    hone_stop stop;
    bool resumed, confirmed, warned;
} summary;

static inline summary summarise(const hone_search_result *r) {
    summary s = {.best = r->best ? r->best->candidate->id : 0,
                 .entries = r->n_entries,
                 .speedup = r->speedup,
                 .evaluations = r->evaluations,
                 .duplicates = r->duplicates_ptx,
                 .stop = r->stop,
                 .resumed = r->resumed,
                 .confirmed = r->confirmed,
                 .warned = r->warning != NULL};
    for (size_t i = 0; i < r->n_entries; i++) {
        s.trace = hone_hash64(r->entries[i]->candidate->hash, 64, s.trace);
        if (!(r->best && r->best == r->entries[i]))
            s.trace = hone_hash64(&r->entries[i]->timing.cost, sizeof(double), s.trace);
    }
    return s;
}

typedef struct options {
    const char *dir;
    unsigned evals, patience;
    uint64_t seed;
    bool no_confirm;
    const hone_clock *clock;
    double time_s;
    unsigned ahead;
    unsigned screen, batch;
    hone_objective objective;
    double window_s;
} options;

static inline hone_code run_search(simulator *sim, const options *o, hone_search_result **r, hone_err *e) {
    hone_task *t = task_of(o->objective);
    hone_store *store = NULL;
    if (!sim->slots)
        sim->slots = 2;
    sim->search_seed = o->seed;
    hone_code c = o->dir ? hone_store_open(o->dir, false, &store, e) : HONE_OK;
    hone_search_config config = {.task = t,
                                 .device = "virtual:test",
                                 .evaluator = {sim, sim_free, sim_submit, sim_wait, sim_energy, sim_race, sim_cancel},
                                 .energy_window_s = o->window_s,
                                 .energy_blocks = 3,
                                 .store = store,
                                 .proposers = proposers,
                                 .seed = o->seed,
                                 .evals = o->evals,
                                 .patience = o->patience,
                                 .ahead = o->ahead,
                                 .screen = o->screen,
                                 .batch = o->batch,
                                 .interrupt = sim->interrupt,
                                 .no_confirm = o->no_confirm,
                                 .clock = o->clock,
                                 .time_s = o->time_s};
    if (c == HONE_OK)
        c = hone_search_run(&config, r, e);
    hone_store_close(store);
    hone_task_free(t);
    return c;
}

static inline summary run_ok(simulator *sim, const options *o) {
    hone_search_result *r = NULL;
    hone_err e = {0};
    if (run_search(sim, o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    summary s = summarise(r);
    hone_search_result_free(r);
    return s;
}

static inline hone_search_result *result_of(simulator *sim, const options *o) {
    hone_search_result *r = NULL;
    hone_err e = {0};
    if (run_search(sim, o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return r;
}

static inline void assert_same(summary a, summary b) {
    assert_int_equal(a.best, b.best);
    assert_int_equal(a.entries, b.entries);
    assert_int_equal(a.trace, b.trace);
    assert_true(a.speedup == b.speedup);
    assert_int_equal(a.evaluations, b.evaluations);
}

static inline int setup(void **state) {
    char path[] = "/tmp/hone-search-XXXXXX";
    *state = mkdtemp(path) ? strdup(path) : NULL;
    return *state ? 0 : -1;
}

static inline int teardown(void **state) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    int rc = system(command);
    free(*state);
    return rc;
}

static inline const char *sub(void **state, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", (char *)*state, name);
    return path;
}

#define SIM_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#endif
