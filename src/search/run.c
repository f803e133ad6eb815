// search/run: the loop: the baseline, then generations until a budget is spent, and what a job of the search looks like. How the candidates of a window pass
// through the evaluator: window.c.
#include "search/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool hone_search_interrupted(const search *s) { return s->c->interrupt && *s->c->interrupt; }
double hone_search_elapsed(const search *s) { return s->earlier_s + hone_now_s(&s->clock) - s->started_s; }

// ---- progress

static void fill_eta(const search *s, hone_search_progress *p) {
    double eta = INFINITY;
    if (s->c->evals && p->rate_per_s > 0)
        eta = fmax(0, (double)s->c->evals - s->evaluations) / p->rate_per_s;
    if (s->c->time_s > 0)
        eta = fmin(eta, fmax(0, s->c->time_s - p->elapsed_s));
    p->has_eta = isfinite(eta);
    p->eta_s = p->has_eta ? eta : 0;
}

void hone_search_tell(search *s, bool always) {
    double now = hone_now_s(&s->clock), here = now - s->started_s;
    if (!s->c->progress || (!always && now - s->last_progress_s < 0.1))
        return;
    s->last_progress_s = now;
    const entry *base = s->entries.n && s->entries.v[0]->cand.ok ? s->entries.v[0] : NULL;
    hone_search_progress p = {.evaluations = s->evaluations,
                              .evaluations_limit = s->c->evals,
                              .generation = s->generation,
                              .duplicates = s->duplicates_source + s->duplicates_ptx,
                              .refused = s->refused,
                              .replaying = s->replayed < s->rows.n,
                              .has_baseline = base != NULL,
                              .baseline_us = base ? base->cand.time_us : 0,
                              .has_best = s->best != NULL,
                              .best_us = s->best ? s->best->cand.time_us : 0,
                              .speedup = hone_state_speedup(s),
                              .best_id = s->best ? s->best->cand.id : 0,
                              .elapsed_s = hone_search_elapsed(s),
                              .rate_per_s = here > 0 ? s->live_evaluations / here : 0,
                              .in_flight = s->in_flight,
                              .confirming = s->confirming};
    if (s->newest) {
        p.proposer = s->newest->cand.proposer;
        p.move = s->newest->cand.move;
        p.note = s->newest->cand.note;
    }
    fill_eta(s, &p);
    s->c->progress(s->c->progress_self, &p);
}

// ---- jobs

// The baseline goes as NULL text. A job's id tells compile runs (even) from later ones (odd), and screening from measuring.
uint64_t hone_search_job_id(const entry *x, slot_state state) {
    return x->cand.id * 2 + (state != SLOT_COMPILING) + (state == SLOT_SCREENING ? (uint64_t)1 << 61 : 0);
}

// A search ranks; what it finds is measured again in full before anything is said of it.
static const double search_precision = 0.002;

// Racing against the best so far: what loses is still worth something as a parent, so it keeps the estimate from the pairs that it had.
static double race_ratio(const search *s) {
    const entry *base = s->entries.n ? s->entries.v[0] : NULL;
    if (!base || !base->cand.ok || !s->best || s->best->pub.timing.modelled || s->c->task->objective != HONE_OBJ_TIME || !(s->best->cand.cost > 0))
        return 0;
    return base->cand.cost / s->best->cand.cost;
}

void hone_search_energy_job(const search *s, unsigned times, hone_job *j) {
    const hone_search_config *c = s->c;
    if (!(c->energy_window_s > 0))
        return;
    j->energy_window_s = times * c->energy_window_s;
    j->energy_blocks = times * c->energy_blocks;
    j->time_limit_s = (c->job_time_limit_s > 0 ? c->job_time_limit_s : 60) + hone_job_energy_seconds(j->energy_window_s, j->energy_blocks, c->task->n_sizes);
}

void hone_search_job(const search *s, const entry *x, unsigned stages, hone_job *j) {
    *j = (hone_job){.rank = x->cand.id,   // outcomes are applied in this order
                    .id = hone_search_job_id(x, stages == HONE_STAGE_ALL ? SLOT_RUNNING : SLOT_COMPILING),
                    .task_path = s->c->task->path,
                    .task_text = s->c->task->text,
                    .candidate_text = x->arm < 0 ? NULL : x->cand.text,
                    .tuning = x->cand.tuning,
                    .n_tuning = x->cand.n_tuning,
                    .flags = s->c->flags,
                    .n_flags = s->c->n_flags,
                    .stages = stages,
                    .seed = s->c->seed,
                    .time_limit_s = s->c->job_time_limit_s,
                    .timing_samples = s->c->timing_samples,
                    .race_ratio = race_ratio(s),
                    .timing_enough = search_precision};
    if (stages & HONE_STAGE_TIME) {
        hone_rival_set(s, j);
        hone_search_energy_job(s, 1, j);
    }
}

// What the archive holds was paid for in an earlier sitting.
bool hone_search_out_of_time(const search *s) {
    return s->c->time_s > 0 && s->entries.n > 0 && s->entries.n >= s->rows.n && hone_search_elapsed(s) >= s->c->time_s;
}

static int wait_ms(const search *s) {
    double left = s->c->time_s > 0 && !s->confirming && !s->stopped ? s->c->time_s - hone_search_elapsed(s) : 1;
    return left < 0.1 ? (left > 0.001 ? (int)(left * 1000) : 1) : 100;
}

// The next outcome; HONE_E_TIMEOUT after a short while, so that progress, budgets and Ctrl-C are looked at.
hone_code hone_search_next_outcome(search *s, hone_outcome **out, hone_err *e) {
    double before = hone_now_s(&s->clock);
    hone_err local = {0};
    hone_code c = s->c->evaluator.wait(s->c->evaluator.self, wait_ms(s), s->c->interrupt, out, &local);
    s->blocked_s += hone_now_s(&s->clock) - before;
    hone_search_tell(s, false);
    if (c != HONE_OK && c != HONE_E_TIMEOUT && c != HONE_E_INTERRUPTED)
        return hone_fail(e, c, local.sub, "%s", local.msg);
    return c;
}

hone_code hone_search_one(search *s, const hone_job *j, hone_outcome **out, hone_err *e) {
    bool sent = false;
    for (;;) {
        if (hone_search_interrupted(s))
            return HONE_E_INTERRUPTED;
        if (!sent && s->c->evaluator.free_slots(s->c->evaluator.self) > 0) {
            HONE_TRY(s->c->evaluator.submit(s->c->evaluator.self, j, e));
            sent = true;
        }
        hone_outcome *o = NULL;
        hone_code c = hone_search_next_outcome(s, &o, e);
        if (c == HONE_OK && o->id == j->id) {
            *out = o;
            return HONE_OK;
        }
        if (c == HONE_OK)
            hone_outcome_free(o);   // left over from a generation cut short
        else if (c != HONE_E_TIMEOUT)
            return c;
    }
}

// ---- the whole run

bool hone_search_energy(const search *s, double *joules) {
    const hone_evaluator *v = &s->c->evaluator;
    bool known = v->energy_j && v->energy_j(v->self, joules);
    *joules = known ? *joules + s->earlier_j : 0;
    return known;
}

static hone_code remember_time(search *s, hone_err *e) {
    double joules;
    if (!s->c->store)
        return HONE_OK;
    char text[40];
    if (hone_search_energy(s, &joules)) {
        snprintf(text, sizeof text, "%.3f", joules);
        HONE_TRY(hone_store_put(s->c->store, s->run, "energy_j", text, e));
    }
    snprintf(text, sizeof text, "%.3f", hone_search_elapsed(s));
    return hone_store_put(s->c->store, s->run, "elapsed_s", text, e);
}

static hone_code run_baseline(search *s, generation *g, hone_err *e) {
    generation one = {.n = 1};
    HONE_TRY(hone_state_baseline(s, &one.v[0].e, e));
    one.v[0].same_as = -1;
    one.v[0].state = SLOT_COMPILED;   // nothing it could equal: straight to the full run
    hone_code c = hone_window_append(s, g, &one, e);
    if (c == HONE_OK)
        c = hone_window_run_first(s, g, e);
    hone_window_drop_all(s, g);
    if (c == HONE_OK && s->entries.n && !s->entries.v[0]->cand.ok) {
        s->stop = HONE_STOP_BASELINE;
        s->stopped = true;
    }
    return c;
}

// The first results tell most: what is proposed before them varies the baseline blindly.
static unsigned ahead_of(const search *s) {
    unsigned most = s->generation >= 2 ? HONE_SEARCH_MAX_LAG : s->c->screen ? 0 : 1;
    return s->c->ahead < most ? s->c->ahead : most;
}

// Proposes generations until as many are in the window as may be. *idle: nothing is left to evaluate and nothing new was found.
static hone_code fill_window(search *s, generation *g, bool *idle, hone_err *e) {
    *idle = false;
    while (g->n_ends <= ahead_of(s)) {
        generation next;
        s->next_id = s->entries.n + g->n - g->n_applied;
        HONE_TRY(hone_generation_build(s, &next, e));
        if (next.n == 0 && g->n == g->n_applied && s->barren >= HONE_SEARCH_EXHAUSTED) {
            *idle = s->idle = true;
            return HONE_OK;
        }
        HONE_TRY(hone_window_append(s, g, &next, e));
        if (g->n == 0)
            hone_window_drop_first(g);   // an empty one in an empty window
    }
    return HONE_OK;
}

// With nothing else to try, an answer that was asked for is waited for.
static bool writer_wait(search *s) {
    struct timespec nap = {0, 50 * 1000 * 1000};
    if (!s->c->writer || !hone_writer_waits(s->c->writer))
        return false;
    hone_search_tell(s, false);
    nanosleep(&nap, NULL);
    return true;
}

static hone_code one_round(search *s, generation *g, hone_err *e) {
    bool idle;
    HONE_TRY(fill_window(s, g, &idle, e));
    if (idle && (writer_wait(s) || hone_inbox_wait(s))) {
        hone_search_budget_spent(s);
        return hone_search_interrupted(s) ? HONE_E_INTERRUPTED : HONE_OK;
    }
    if (idle) {
        s->stop = HONE_STOP_EXHAUSTED;
        s->stopped = true;
        return HONE_OK;
    }
    HONE_TRY(hone_window_run_first(s, g, e));
    if (hone_window_first_is_applied(g))
        hone_window_drop_first(g);
    return remember_time(s, e);
}

static hone_code run_generations(search *s, hone_err *e) {
    generation *g = hone_calloc(1, sizeof *g);
    if (!g)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    hone_code c = run_baseline(s, g, e);
    hone_search_budget_spent(s);
    while (c == HONE_OK && !s->stopped)
        c = one_round(s, g, e);
    if (c == HONE_OK)
        c = hone_window_finish(s, g, e);
    hone_window_drop_all(s, g);
    hone_free(g);
    if (c == HONE_E_INTERRUPTED) {
        s->stop = HONE_STOP_INTERRUPTED;
        s->stopped = true;
        hone_err_clear(e);
        c = HONE_OK;
    }
    return c;
}

static hone_code run_all(search *s, hone_search_result **out, hone_err *e) {
    confirmation k = {0};
    HONE_TRY(hone_state_init(s, e));
    HONE_TRY(hone_replay_open(s, e));
    HONE_TRY(run_generations(s, e));
    if (s->c->writer)
        HONE_TRY(hone_writer_settle(s->c->writer, s->history.v, s->history.n, UINT64_MAX, e));
    s->newest = NULL;
    HONE_TRY(hone_confirm_best(s, &k, e));
    HONE_TRY(remember_time(s, e));
    hone_search_tell(s, true);
    return hone_result_make(s, &k, out, e);
}

hone_code hone_search_run(const hone_search_config *c, hone_search_result **out, hone_err *e) {
    *out = NULL;
    search s = {.c = c, .clock = c->clock ? *c->clock : hone_clock_monotonic()};
    s.started_s = hone_now_s(&s.clock);
    hone_code code = run_all(&s, out, e);
    hone_state_free(&s);   // the arena went to the result
    return code;
}

// ---- the pool as an evaluator

static unsigned pool_free_slots(void *self) { return hone_pool_free_slots(self); }
static hone_code pool_submit(void *self, const hone_job *j, hone_err *e) { return hone_pool_submit(self, j, e); }
static hone_code pool_wait(void *self, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    return hone_pool_wait(self, timeout_ms, interrupt, out, e);
}
static bool pool_energy(void *self, double *joules) {
    hone_gpu_usage u;
    hone_pool_usage(self, &u);
    *joules = u.energy_j;
    return u.has_energy;
}
static hone_code pool_race(void *self, const hone_job *j, hone_err *e) { return hone_pool_race(self, j, e); }
static void pool_cancel(void *self, uint64_t id) { hone_pool_cancel(self, id); }
hone_evaluator hone_evaluator_of_pool(hone_pool *p) {
    return (hone_evaluator){p, pool_free_slots, pool_submit, pool_wait, pool_energy, pool_race, pool_cancel};
}
