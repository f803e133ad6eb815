// The search against a simulated evaluator: outcomes come back in any order from any number of slots, and the process may die at any of
// them; what was tried and what is best must not depend on that.
#include "search/search.h"
#include "propose/tune.h"
#include "store/internal.h"
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

static int level_of(const char *text) {
    const char *p = strstr(text, "level = ");
    return p ? atoi(p + 8) : 0;
}

static hone_code fake_propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out,
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
    unsigned measured, modelled;
    unsigned refuse_confirmations;
    volatile int *interrupt;
    unsigned interrupt_after;
    uint64_t search_seed;
} simulator;

static unsigned sim_free(void *self) { return ((simulator *)self)->slots - ((simulator *)self)->n; }

static hone_code sim_submit(void *self, const hone_job *j, hone_err *e) {
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

static int64_t tuned(const hone_binding *v, size_t n, const char *name, int64_t otherwise) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return v[i].value;
    return otherwise;
}

// Levels 2k and 2k+1 compile to the same program; level 13 is best; every level ≡ 2 mod 6 is wrong.
static double time_of(int level, int64_t bx, int64_t un) {
    double l = level / 2, x = log2((double)bx) - 7, u = log2((double)un) - 2;
    return 100 + 5 * fabs(l - 6) + 7 * x * x + 4 * u * u + 1.0 / 3;
}

static void note_run(simulator *s, const char *program) {
    for (size_t i = 0; i < s->n_ran; i++)
        s->ran_twice |= strcmp(s->ran[i], program) == 0;
    snprintf(s->ran[s->n_ran++ % 512], sizeof s->ran[0], "%s", program);
}

// Per run; beside it stands the baseline, which takes 100 mJ.
static void put_energy(const simulator *s, double us, const char *program, size_t n, char *out, size_t cap) {
    double mj = strcmp(program, "0 32 1") == 0 ? 100 : 50 + (double)(hone_hash64(program, n, 11) % 1000) / 10;
    mj *= us > 1.3 * time_of(0, 32, 1) ? 0.3 : 1;   // slow ones take least
    snprintf(out, cap, s->energy ? ",\"energy\":{\"kind\":\"measured\",\"energy_mj\":%.9g,\"lo_mj\":%.9g,\"hi_mj\":%.9g,\"ratio\":%.9g,\"ratio_lo\":%.9g,\"ratio_hi\":%.9g}" : "",
             mj, mj * 0.99, mj * 1.01, 100 / mj, 99 / mj, 101 / mj);
}

static void note_energy_job(simulator *s, const hone_job *j) {
    if (!(j->stages & HONE_STAGE_TIME) || j->on_virtual)
        return;
    s->least_window_s = s->least_window_s > 0 ? fmin(s->least_window_s, j->energy_window_s) : j->energy_window_s;
    s->most_window_s = fmax(s->most_window_s, j->energy_window_s);
    s->most_blocks = j->energy_blocks > s->most_blocks ? j->energy_blocks : s->most_blocks;
    s->most_limit_s = fmax(s->most_limit_s, j->time_limit_s);
}

static bool sim_energy(void *self, double *joules) {
    *joules = ((simulator *)self)->joules;
    return ((simulator *)self)->energy;
}

static hone_code sim_answer(simulator *s, unsigned at, hone_outcome **out, hone_err *e) {
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

static hone_code sim_wait(void *self, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    simulator *s = self;
    (void)timeout_ms;
    if (interrupt && *interrupt)
        return HONE_E_INTERRUPTED;
    if (s->n == 0)
        return HONE_E_TIMEOUT;
    if (s->die_after && s->outcomes == s->die_after)
        _exit(77);
    s->outcomes++;
    if (s->interrupt && s->outcomes == s->interrupt_after)
        *s->interrupt = 1;
    unsigned at = s->order ? (s->outcomes * 7 + s->order) % s->n : 0;
    hone_code c = sim_answer(s, at, out, e);
    s->n--;
    s->jobs[at] = s->jobs[s->n];
    memcpy(s->texts[at], s->texts[s->n], sizeof s->texts[0]);
    memcpy(s->tuning[at], s->tuning[s->n], sizeof s->tuning[0]);
    return c;
}

// ---- runs

static hone_task *task_of(hone_objective objective) {
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

static hone_task *the_task(void) { return task_of(HONE_OBJ_TIME); }

typedef struct summary {
    uint64_t best, entries, trace;
    double speedup;
    unsigned evaluations, duplicates;
    hone_stop stop;
    bool resumed, confirmed, warned;
} summary;

static summary summarise(const hone_search_result *r) {
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

static hone_code run_search(simulator *sim, const options *o, hone_search_result **r, hone_err *e) {
    hone_task *t = task_of(o->objective);
    hone_store *store = NULL;
    if (!sim->slots)
        sim->slots = 2;
    sim->search_seed = o->seed;
    hone_code c = o->dir ? hone_store_open(o->dir, false, &store, e) : HONE_OK;
    hone_search_config config = {.task = t,
                                 .device = "virtual:test",
                                 .evaluator = {sim, sim_free, sim_submit, sim_wait, sim_energy},
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

static summary run_ok(simulator *sim, const options *o) {
    hone_search_result *r = NULL;
    hone_err e = {0};
    if (run_search(sim, o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    summary s = summarise(r);
    hone_search_result_free(r);
    return s;
}

static void assert_same(summary a, summary b) {
    assert_int_equal(a.best, b.best);
    assert_int_equal(a.entries, b.entries);
    assert_int_equal(a.trace, b.trace);
    assert_true(a.speedup == b.speedup);
    assert_int_equal(a.evaluations, b.evaluations);
}

static int setup(void **state) {
    char path[] = "/tmp/hone-search-XXXXXX";
    *state = mkdtemp(path) ? strdup(path) : NULL;
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    int rc = system(command);
    free(*state);
    return rc;
}

static const char *sub(void **state, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", (char *)*state, name);
    return path;
}

// ---- tests

static void finds_the_optimum(void **state) {
    (void)state;
    simulator sim = {0};
    hone_search_result *r = NULL;
    options o = {.evals = 150, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, NULL), HONE_OK);
    assert_non_null(r->best);
    assert_true(r->confirmed);
    assert_int_equal(r->verdict, HONE_CMP_FAST);
    assert_true(r->speedup > 1.5);   // 173.3 → at most 105
    assert_true(r->best->timing.time_us < 106);
    assert_int_equal(r->lineage[r->n_lineage - 1]->candidate->id, 0);
    assert_ptr_equal(r->lineage[0], r->best);
    assert_int_equal(r->evaluations, 150);
    assert_true(r->refused > 0 && r->n_findings == 1);
    assert_string_equal(r->findings[0].kind, "output.wrong");
    for (size_t i = 1; i < r->n_convergence; i++)
        assert_true(r->convergence[i].time_us < r->convergence[i - 1].time_us);
    assert_non_null(strstr(r->best_outcome_json, "hone.outcome/1"));
    hone_search_result_free(r);
}

static void never_runs_a_program_twice(void **state) {
    (void)state;
    simulator sim = {.slots = 4, .order = 3};
    options o = {.evals = 120, .seed = 5};
    summary s = run_ok(&sim, &o);
    assert_true(s.duplicates > 0);
    assert_false(sim.ran_twice);
}

static void slots_and_order_do_not_matter(void **state) {
    (void)state;
    options o = {.evals = 60, .seed = 11};
    simulator one = {.slots = 1}, four = {.slots = 4, .order = 1}, many = {.slots = 9, .order = 5};
    summary a = run_ok(&one, &o);
    assert_same(a, run_ok(&four, &o));
    assert_same(a, run_ok(&many, &o));
    options other = {.evals = 60, .seed = 12};
    simulator again = {0};
    assert_true(run_ok(&again, &other).trace != a.trace);
}

// One sitting in a child that dies after so many outcomes; true when it ended by itself.
static bool sitting(const options *o, unsigned die_after, unsigned order) {
    pid_t pid = fork();
    if (pid == 0) {
        simulator sim = {.slots = 3, .order = order, .die_after = die_after};
        hone_search_result *r = NULL;
        _exit(run_search(&sim, o, &r, NULL) == HONE_OK ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == 0;
}

static void killed_at_every_point(void **state) {
    options o = {.evals = 24, .seed = 4};
    simulator sim = {0};
    summary undisturbed = run_ok(&sim, &o);
    bool finished = false;
    for (unsigned at = 1; !finished; at++) {
        char name[32];
        snprintf(name, sizeof name, "once-%u", at);
        options archived = {.dir = sub(state, name), .evals = 24, .seed = 4};
        finished = sitting(&archived, at, at % 5);
        simulator rest = {0};
        summary s = run_ok(&rest, &archived);
        assert_same(undisturbed, s);
        assert_false(s.warned);
    }
}

static void killed_again_and_again(void **state) {
    options o = {.evals = 40, .seed = 8}, archived = {.dir = sub(state, "again"), .evals = 40, .seed = 8};
    simulator sim = {0}, rest = {0};
    summary undisturbed = run_ok(&sim, &o);
    unsigned sittings = 1;
    while (!sitting(&archived, 5 + sittings % 7, sittings % 3))
        assert_true(++sittings < 100);
    assert_true(sittings > 4);
    summary s = run_ok(&rest, &archived);
    assert_true(s.resumed);
    assert_same(undisturbed, s);
    assert_int_equal(rest.outcomes, 0);   // everything came from the archive, the confirmation too
}

static void more_evaluations_go_on(void **state) {
    options o = {.evals = 30, .seed = 2}, first = {.dir = sub(state, "more"), .evals = 13, .seed = 2},
            more = {.dir = first.dir, .evals = 30, .seed = 2};
    simulator a = {0}, b = {0}, c = {0};
    summary whole = run_ok(&a, &o);
    assert_int_equal(run_ok(&b, &first).evaluations, 13);
    assert_same(whole, run_ok(&c, &more));
    assert_true(c.full_runs < a.full_runs);
}

static void interrupt_leaves_everything_valid(void **state) {
    options o = {.evals = 30, .seed = 6}, archived = {.dir = sub(state, "int"), .evals = 30, .seed = 6};
    volatile int flag = 0;
    simulator sim = {.interrupt = &flag, .interrupt_after = 17}, rest = {0}, undisturbed = {0};
    summary cut = run_ok(&sim, &archived);
    assert_int_equal(cut.stop, HONE_STOP_INTERRUPTED);
    assert_false(cut.confirmed);
    assert_true(cut.evaluations > 0 && cut.evaluations < 30);
    assert_same(run_ok(&undisturbed, &o), run_ok(&rest, &archived));
}

static void falls_back_when_confirmation_fails(void **state) {
    (void)state;
    simulator plain = {0}, strict = {.refuse_confirmations = 2}, all = {.refuse_confirmations = 1000};
    options o = {.evals = 60, .seed = 3};
    summary a = run_ok(&plain, &o);
    hone_search_result *r = NULL;
    assert_int_equal(run_search(&strict, &o, &r, NULL), HONE_OK);
    assert_true(r->confirmed);
    assert_int_equal(r->confirmations, 3);
    assert_int_equal(r->confirmations_failed, 2);
    assert_int_not_equal(r->best->candidate->id, a.best);
    assert_true(r->speedup <= a.speedup);
    hone_search_result_free(r);
    assert_int_equal(run_search(&all, &o, &r, NULL), HONE_OK);
    assert_null(r->best);
    assert_int_equal(r->verdict, HONE_CMP_NONE);
    assert_true(r->speedup == 1);
    hone_search_result_free(r);
}

static void refused_baseline(void **state) {
    (void)state;
    simulator sim = {.refuse_baseline = true};
    hone_search_result *r = NULL;
    options o = {.evals = 60, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, NULL), HONE_OK);
    assert_int_equal(r->stop, HONE_STOP_BASELINE);
    assert_null(r->best);
    assert_string_equal(r->baseline->finding_kind, "output.wrong");
    assert_non_null(strstr(r->baseline_outcome_json, "output.wrong"));
    hone_search_result_free(r);
}

// Proposing one generation ahead is another search, and as repeatable: neither slots nor order nor a kill change it.
static void generations_ahead(void **state) {
    options o = {.evals = 60, .seed = 11, .ahead = 1}, plain = {.evals = 60, .seed = 11}, first = {.dir = sub(state, "ahead"), .evals = 23, .seed = 11, .ahead = 1},
            rest = {.dir = first.dir, .evals = 60, .seed = 11, .ahead = 1};
    simulator one = {.slots = 1}, many = {.slots = 9, .order = 5}, none = {0}, a = {0}, b = {.slots = 4, .order = 3};
    summary s = run_ok(&one, &o);
    assert_int_equal(s.evaluations, 60);
    assert_same(s, run_ok(&many, &o));
    assert_true(run_ok(&none, &plain).trace != s.trace);
    assert_int_equal(run_ok(&a, &first).evaluations, 23);
    summary resumed = run_ok(&b, &rest);
    assert_same(s, resumed);
    assert_false(resumed.warned || one.ran_twice || many.ran_twice);
}

static hone_search_result *screened(simulator *sim, const options *o) {
    hone_search_result *r = NULL;
    hone_err e = {0};
    if (run_search(sim, o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return r;
}

static void the_screen_measures_the_promising(void **state) {
    options o = {.evals = 100, .seed = 3, .ahead = 1, .screen = 1, .dir = sub(state, "screen")};
    simulator good = {.slots = 3, .physical = true}, bad = {.slots = 3, .physical = true, .model_error = 3}, again = {.slots = 5, .order = 2, .physical = true};
    hone_search_result *r = screened(&good, &o);
    assert_int_equal(r->evaluations, 100);
    assert_true(r->screen_left_out > r->screen_measured && r->screen_at_random > 0);
    assert_true(r->screen_rank_correlation > 0.99);
    assert_true(r->best && !r->best->screened && !r->best->timing.modelled && r->best->timing.time_us < 106 * 1.3);
    assert_int_equal(good.measured, r->screen_measured);
    assert_true(good.modelled >= r->screen_measured + r->screen_left_out);
    summary s = summarise(r);
    hone_search_result_free(r);
    assert_same(s, run_ok(&again, &o));   // from the archive
    assert_int_equal(again.measured, 0);
    options other = {.evals = 100, .seed = 3, .ahead = 1, .screen = 1};
    r = screened(&bad, &other);
    assert_true(r->screen_rank_correlation < 0.9 && r->screen_share > 0.25);   // a model that orders badly is trusted less
    hone_search_result_free(r);
}

// A tenth is measured, and the best is as good as when everything is.
static void a_screen_spares_most(void **state) {
    (void)state;
    simulator some = {.slots = 3, .physical = true}, all = {.slots = 3, .physical = true};
    options screen = {.evals = 240, .batch = 48, .seed = 3, .ahead = 1, .screen = 1}, none = {.evals = 240, .batch = 4, .seed = 3, .ahead = 1};
    hone_search_result *r = screened(&some, &screen), *b = screened(&all, &none);
    assert_true((r->screen_measured - r->screen_at_random) * 10 < r->evaluations);
    assert_true(r->best && b->best && r->best->timing.time_us <= b->best->timing.time_us * 1.01);
    assert_int_equal(some.measured, r->screen_measured);
    hone_search_result_free(r);
    hone_search_result_free(b);
}

// What the model is wrong by differs between families of candidates: one that flatters the baseline and what is near it must not hide the rest.
static void a_flattered_baseline_hides_nothing(void **state) {
    (void)state;
    simulator fair = {.slots = 3, .physical = true}, flattered = {.slots = 3, .physical = true, .flatters = 0.3};
    options o = {.evals = 96, .batch = 16, .seed = 3, .ahead = 1, .screen = 1};
    hone_search_result *r = screened(&fair, &o), *b = screened(&flattered, &o);
    assert_true(r->best && b->best && b->best->timing.time_us < r->best->timing.time_us * 1.05);
    hone_search_result_free(r);
    hone_search_result_free(b);
}

// The least energy of those that are not too slow, and its interval against the baseline's.
static void energy_as_the_objective(void **state) {
    (void)state;
    simulator sim = {.physical = true, .energy = true};
    hone_search_result *r = NULL;
    hone_err e = {0};
    options o = {.evals = 60, .seed = 5, .objective = HONE_OBJ_ENERGY, .window_s = 1};
    if (run_search(&sim, &o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_non_null(r->best);
    double limit = HONE_ENERGY_MAX_SLOWDOWN * r->baseline->timing.time_us;
    unsigned slow = 0;
    for (size_t i = 1; i < r->n_entries; i++) {
        const hone_search_entry *x = r->entries[i];
        if (!x->candidate->ok || x->duplicate)
            continue;
        assert_true(x->candidate->cost == x->timing.energy_mj);
        assert_int_equal(x->too_slow, x->timing.paired_us > limit);
        slow += x->too_slow && x->candidate->cost < r->best->candidate->cost;
        assert_true(x->too_slow || x->candidate->cost >= r->best->candidate->cost);
    }
    assert_true(slow > 0);   // else this run shows nothing of the limit
    assert_true(r->best->timing.paired_us <= limit);
    assert_true(fabs(r->speedup - 100 / r->best->timing.energy_mj) < 1e-6);
    assert_int_equal(r->verdict, HONE_CMP_FAST);
    assert_true(sim.least_window_s == 1 && sim.most_window_s == 2 && sim.most_blocks == 6);   // twice both in the confirmation
    assert_true(sim.most_limit_s >= hone_job_energy_seconds(2, 6, 1));
    assert_true(r->has_energy_j && r->energy_j == sim.joules);
    hone_search_result_free(r);
}

static void an_interval_that_holds_the_baseline_is_no_saving(void **state) {
    (void)state;
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100};
    hone_timing x = {.time_us = 50, .lo_us = 49, .hi_us = 51, .cost = 95, .cost_lo = 88, .cost_hi = 103};
    assert_int_equal(hone_compare_timings(&base, &x), HONE_CMP_AMBIGUOUS);
    x.cost_hi = 97;
    assert_int_equal(hone_compare_timings(&base, &x), HONE_CMP_FAST);
}

// What the devices took in an earlier sitting is in the archive.
static void joules_of_all_sittings(void **state) {
    options o = {.dir = *state, .evals = 8, .seed = 5, .objective = HONE_OBJ_EDP, .window_s = 1};
    simulator first = {.physical = true, .energy = true}, second = first;
    hone_search_result *r = NULL;
    hone_err e = {0};
    assert_int_equal(run_search(&first, &o, &r, &e), HONE_OK);
    for (size_t i = 1; i < r->n_entries; i++)
        if (r->entries[i]->candidate->ok && !r->entries[i]->duplicate)
            assert_true(fabs(r->entries[i]->candidate->cost - r->entries[i]->timing.energy_mj * r->entries[i]->timing.paired_us) < 1e-6);
    hone_search_result_free(r);
    o.evals = 16;
    assert_int_equal(run_search(&second, &o, &r, &e), HONE_OK);
    assert_true(first.joules > 0 && second.joules > 0);
    assert_true(r->has_energy_j && !r->energy_partial && fabs(r->energy_j - first.joules - second.joules) < 1e-6);
    hone_search_result_free(r);
}

static void patience_and_evaluations(void **state) {
    (void)state;
    simulator a = {0}, b = {0};
    options patient = {.patience = 25, .seed = 3}, none = {.evals = 1, .seed = 3};
    assert_int_equal(run_ok(&a, &patient).stop, HONE_STOP_PATIENCE);
    summary s = run_ok(&b, &none);
    assert_int_equal(s.stop, HONE_STOP_EVALS);
    assert_int_equal(s.evaluations, 1);
}

static double ticking(void *self) { return *(double *)self += 0.05; }

static void time_over_all_sittings(void **state) {
    double now = 0;
    hone_clock clock = {ticking, &now};
    options o = {.dir = sub(state, "time"), .seed = 3, .time_s = 30, .clock = &clock};
    simulator a = {0}, b = {0};
    summary first = run_ok(&a, &o), second = run_ok(&b, &o);
    assert_int_equal(first.stop, HONE_STOP_TIME);
    assert_true(first.evaluations > 3);
    assert_int_equal(second.stop, HONE_STOP_TIME);   // spent already: nothing new is evaluated
    assert_same(first, second);
    assert_int_equal(b.full_runs, 0);
}

static void a_lost_outcome_is_asked_for_again(void **state) {
    (void)state;
    options o = {.evals = 60, .seed = 3};
    simulator plain = {0}, lossy = {.lose_once = true};
    assert_same(run_ok(&plain, &o), run_ok(&lossy, &o));
}

static void no_device(void **state) {
    (void)state;
    simulator sim = {.submit_fails = true};
    hone_search_result *r = NULL;
    hone_err e = {0};
    options o = {.evals = 60, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, &e), HONE_E_NO_DEVICE);
    assert_string_equal(e.msg, "no such device");
    assert_null(r);
}

typedef struct links { char v[64][HONE_HASH_HEX]; size_t n; } links;
static int link_row(void *ctx, const hone_row *row) {
    links *l = ctx;
    assert_true(l->n + 1 < HONE_COUNT(l->v));
    assert_int_equal(hone_store_link(l->v[l->n], row, l->v[l->n + 1], NULL), HONE_OK);
    l->n++;
    return 0;
}

static void execute(const char *path, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

// Gives every row the hash that its contents ask for: an archive as another version of the search would have written it.
static void chain_anew(const char *dir, const char *path) {
    hone_store *store;
    uint64_t run;
    links l = {.n = 0};
    assert_int_equal(hone_store_open(dir, false, &store, NULL), HONE_OK);
    assert_int_equal(hone_store_latest_run(store, &run, NULL), HONE_OK);
    assert_int_equal(hone_store_chain_before(store, run, 0, l.v[0], NULL), HONE_OK);
    assert_int_equal(hone_store_each(store, run, link_row, &l, NULL), HONE_OK);
    hone_store_close(store);
    for (size_t i = 0; i < l.n; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE candidate SET chain='%s' WHERE seq=%zu", l.v[i + 1], i);
        execute(path, sql);
    }
}

// An archive whose rows are not what this search would try: goes on from the last agreeing row, twice with the same end. Rows that are not what their
// hashes say are no state to go on from.
static void another_history(void **state) {
    options o = {.evals = 30, .seed = 6}, archived = {.dir = sub(state, "hist"), .evals = 20, .seed = 6},
            more = {.dir = archived.dir, .evals = 30, .seed = 6};
    simulator a = {0}, b = {0}, c = {0}, whole = {0};
    hone_search_result *r = NULL;
    hone_err e = {0};
    run_ok(&a, &archived);
    char path[300];
    snprintf(path, sizeof path, "%s/archive.db", archived.dir);
    execute(path, "UPDATE candidate SET hash='other' WHERE seq=9");
    assert_int_equal(run_search(&b, &more, &r, &e), HONE_E_CORRUPT);
    assert_non_null(strstr(e.msg, "row 9"));
    assert_null(r);
    chain_anew(archived.dir, path);
    summary s = run_ok(&b, &more);
    assert_true(s.warned);
    assert_same(run_ok(&whole, &o), s);
    summary again = run_ok(&c, &more);
    assert_same(s, again);
    assert_int_equal(c.full_runs, 0);
}

// Measured in turns: the interval of the pairs decides, whatever the two times' quotient says; a size that is slower by more than 1 % forbids FAST.
static void comparisons_of_pairs(void **state) {
    (void)state;
    static const struct { double lo, mid, hi, worst; hone_compare verdict; } table[] = {
        {1.006, 1.02, 1.03, 1.02, HONE_CMP_FAST},       {1.0049, 1.02, 1.03, 1.02, HONE_CMP_AMBIGUOUS}, {0.97, 0.98, 0.994, 0.98, HONE_CMP_SLOW},
        {0.97, 0.98, 0.996, 0.98, HONE_CMP_AMBIGUOUS},  {0.98, 1.004, 1.03, 1.004, HONE_CMP_SAME},      {0.98, 1.006, 1.03, 1.006, HONE_CMP_AMBIGUOUS},
        {1.3, 1.4, 1.5, 0.991, HONE_CMP_FAST},          {1.3, 1.4, 1.5, 0.989, HONE_CMP_AMBIGUOUS},     {0.97, 0.98, 0.994, 0.9, HONE_CMP_SLOW},
    };
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100};
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        for (int quotient = 0; quotient < 2; quotient++) {
            double us = quotient ? 40 : 250, lo, hi;
            hone_timing c = {.time_us = us, .lo_us = us, .hi_us = us, .cost = us, .paired = true, .ratio = table[i].mid, .ratio_lo = table[i].lo,
                             .ratio_hi = table[i].hi, .ratio_worst = table[i].worst};
            if (hone_compare_timings(&base, &c) != table[i].verdict)
                fail_msg("row %zu: %s", i, hone_compare_name(hone_compare_timings(&base, &c)));
            hone_compare_bounds(&base, &c, &lo, &hi);
            assert_true(lo == table[i].lo && hi == table[i].hi);
        }
}

// What an outcome's `time` says is what is judged; incomplete or modelled pairs are none.
static void timing_of_an_outcome(void **state) {
    (void)state;
    static const struct { const char *json; bool paired; } table[] = {
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":1.9,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", true},
        {"{\"kind\":\"modelled\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":1.9,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", false},
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":2.1,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", false},
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51}", false},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        json_t *j = json_loads(table[i].json, 0, NULL);
        hone_timing t = hone_timing_of_json(j);
        assert_true(t.paired == table[i].paired && t.time_us == 50 && t.cost == 50 && t.modelled == (i == 1));
        assert_true(!t.paired || (t.ratio == 2 && t.ratio_lo == 1.9 && t.ratio_hi == 2.1 && t.ratio_worst == 1.5));
        json_decref(j);
    }
    assert_false(hone_timing_of_json(NULL).paired);
}

static void comparisons(void **state) {
    (void)state;
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100},
                near = {.time_us = 99.8, .lo_us = 99, .hi_us = 100.5, .cost = 99.8};
    hone_timing fast = {.time_us = 50, .lo_us = 49, .hi_us = 51, .cost = 50},
                slow = {.time_us = 200, .lo_us = 199, .hi_us = 201, .cost = 200};
    hone_timing noisy = {.time_us = 95, .lo_us = 80, .hi_us = 110, .cost = 95};
    assert_int_equal(hone_compare_timings(&base, &fast), HONE_CMP_FAST);
    assert_int_equal(hone_compare_timings(&base, &slow), HONE_CMP_SLOW);
    assert_int_equal(hone_compare_timings(&base, &near), HONE_CMP_SAME);
    assert_int_equal(hone_compare_timings(&base, &noisy), HONE_CMP_AMBIGUOUS);
    hone_timing modelled = {.time_us = 100, .modelled = true, .error_band = 0.25, .cost = 100}, within = modelled, beyond = modelled;
    within.cost = 90;
    beyond.cost = 70;
    assert_int_equal(hone_compare_timings(&modelled, &within), HONE_CMP_AMBIGUOUS);
    assert_int_equal(hone_compare_timings(&modelled, &beyond), HONE_CMP_FAST);
    assert_string_equal(hone_compare_name(HONE_CMP_AMBIGUOUS), "ambiguous");
    assert_string_equal(hone_stop_name(HONE_STOP_PATIENCE), "patience");
}

static void allocations_fail(void **state) {
    (void)state;
    options o = {.evals = 6, .seed = 3};
    simulator count = {0};
    uint64_t before = hone_alloc_count();
    run_ok(&count, &o);
    uint64_t all = hone_alloc_count() - before;
    for (uint64_t n = 1; n < all + 20; n += 1 + n / 24) {
        simulator sim = {.slots = 2};
        hone_search_result *r = NULL;
        hone_err e = {0};
        hone_task *t = the_task();
        hone_search_config config = {
            .task = t, .evaluator = {&sim, sim_free, sim_submit, sim_wait}, .proposers = proposers, .seed = 3, .evals = 6};
        sim.search_seed = 3;
        hone_fail_alloc_at(n, false);
        hone_code c = hone_search_run(&config, &r, &e);
        hone_fail_alloc_at(0, false);
        assert_true((c == HONE_OK) == (r != NULL));
        assert_true(c == HONE_OK || e.msg[0]);
        hone_search_result_free(r);
        hone_task_free(t);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(finds_the_optimum),
        T(never_runs_a_program_twice),
        T(slots_and_order_do_not_matter),
        T(killed_at_every_point),
        T(killed_again_and_again),
        T(more_evaluations_go_on),
        T(interrupt_leaves_everything_valid),
        T(falls_back_when_confirmation_fails),
        T(refused_baseline),
        T(generations_ahead),
        T(the_screen_measures_the_promising),
        T(a_flattered_baseline_hides_nothing),
        T(a_screen_spares_most),
        T(patience_and_evaluations),
        T(time_over_all_sittings),
        T(energy_as_the_objective),
        T(an_interval_that_holds_the_baseline_is_no_saving),
        T(joules_of_all_sittings),
        T(a_lost_outcome_is_asked_for_again),
        T(no_device),
        T(another_history),
        T(comparisons),
        T(comparisons_of_pairs),
        T(timing_of_an_outcome),
        T(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
