// search/window: the generations that are proposed and not all applied yet. A candidate is compiled first; one whose PTX and launch plan are known takes
// the known outcome, the others run in full, as many at once as the evaluator takes. Outcomes are applied in proposal order and appended to the archive
// one by one.
#include "search/internal.h"
#include <string.h>

// A screen asks whether a candidate is worth a measurement. Most are not: whether those compute the right thing nobody needs to know.
static unsigned stages_of(const slot *w, slot_state next) {
    if (next == SLOT_COMPILING)
        return HONE_STAGE_STATIC | HONE_STAGE_COMPILE;
    if (next == SLOT_SCREENING)
        return HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE | HONE_STAGE_TIME;
    return w->state == SLOT_CHOSEN ? HONE_STAGE_DIFFERENTIAL | HONE_STAGE_TIME : HONE_STAGE_ALL;
}

static hone_code submit(search *s, slot *w, slot_state next, hone_err *e) {
    hone_job j;
    hone_search_job(s, w->e, stages_of(w, next), &j);
    j.id = hone_search_job_id(w->e, next);
    j.on_virtual = next == SLOT_SCREENING;
    HONE_TRY(s->c->evaluator.submit(s->c->evaluator.self, &j, e));
    w->state = next;
    s->newest = w->e;
    s->in_flight++;
    return HONE_OK;
}

static bool is_unknown(const slot *w) { return w->state == SLOT_NEW || w->state == SLOT_COMPILING; }   // its PTX

static bool no_slot(search *s) { return s->c->evaluator.free_slots(s->c->evaluator.self) == 0; }

// The first slot that the budget of evaluations will not reach.
static size_t reach(const search *s, const generation *g) {
    unsigned ahead = 0;
    size_t i = g->n_applied;
    for (; i < g->n && (!s->c->evals || s->evaluations + ahead < s->c->evals); i++)
        ahead += g->v[i].same_as < 0 && g->v[i].state != SLOT_WAITING;
    return i;
}

// Full runs start in proposal order. On a GPU, which must not wait for a slow compilation, those whose PTX is known overtake it (find_twins); else they wait
// until every earlier candidate's is. None starts that the budget of evaluations will not reach.
static hone_code submit_full(search *s, generation *g, bool *full, hone_err *e) {
    size_t end = reach(s, g);
    *full = false;
    for (size_t i = g->n_applied; i < end; i++) {
        slot *w = &g->v[i];
        if (is_unknown(w) && !s->c->ahead)
            return HONE_OK;
        if (w->state != SLOT_COMPILED && w->state != SLOT_CHOSEN)
            continue;
        if ((*full = no_slot(s)))
            return HONE_OK;
        HONE_TRY(submit(s, w, w->state == SLOT_COMPILED && s->c->screen ? SLOT_SCREENING : SLOT_RUNNING, e));
    }
    return HONE_OK;
}

static hone_code submit_what_fits(search *s, generation *g, hone_err *e) {
    bool full;
    HONE_TRY(submit_full(s, g, &full, e));
    for (size_t i = g->n_applied; i < g->n && !full; i++)
        if (g->v[i].state == SLOT_NEW) {
            if ((full = no_slot(s)))
                break;
            HONE_TRY(submit(s, &g->v[i], SLOT_COMPILING, e));
        }
    return HONE_OK;
}

static void key_of(entry *x, const char *ptx_hash) {
    char both[2 * HONE_HASH_HEX];
    int n = snprintf(both, sizeof both, "%s%s", ptx_hash, x->plan);
    memcpy(x->ptx, ptx_hash, HONE_HASH_HEX);
    hone_sha256_hex(both, (size_t)n, x->key);
}

static bool are_twins(const slot *a, const slot *b) { return a->e->key[0] && strcmp(a->e->key, b->e->key) == 0; }

static bool is_started(const slot *w) {
    bool judged = w->state == SLOT_DONE && w->outcome && w->outcome->verdict != HONE_ERROR;
    return w->state == SLOT_RUNNING || w->state == SLOT_SCREENING || w->state == SLOT_SCREENED || w->state == SLOT_CHOSEN || judged;
}

// Whether slot k runs, or ran, what slot i would: any before it, and one after it that overtook it.
static bool runs_for(const generation *g, size_t k, size_t i) {
    const slot *w = &g->v[k];
    return k != i && w->same_as < 0 && are_twins(w, &g->v[i]) && (k < i || is_started(w));
}

static bool has_twin(const generation *g, size_t i) {
    for (size_t k = g->n_applied; k < g->n; k++)
        if (runs_for(g, k, i))
            return true;
    return false;
}

// Of two equals the first proposed is the one that counts, whichever was compiled first: one that overtook its twin hands its outcome over.
static void hand_over(generation *g, slot *from) {
    for (slot *w = &g->v[g->n_applied]; w < from; w++)
        if (w->state == SLOT_WAITING && are_twins(w, from)) {
            w->outcome = from->outcome;
            w->screened = from->screened;
            w->why = from->why;
            w->state = SLOT_DONE;
            from->outcome = NULL;
            from->screened = false;
            from->why = NULL;
            from->state = SLOT_WAITING;
            return;
        }
}

// Resolves compiled slots against the archive of keys and other slots.
static void find_twins(search *s, generation *g) {
    for (size_t i = g->n_applied; i < g->n; i++)
        if (g->v[i].state == SLOT_DONE && is_started(&g->v[i]))
            hand_over(g, &g->v[i]);
    for (size_t i = g->n_applied; i < g->n; i++) {
        slot *w = &g->v[i];
        uint64_t id;
        if (is_unknown(w) && !s->c->ahead)
            return;
        if (w->state != SLOT_COMPILED || !w->e->key[0])
            continue;
        if (hone_map_get(&s->keys, w->e->key, &id)) {
            w->same_as = (int)id;
            w->state = SLOT_DONE;
        } else if (has_twin(g, i)) {
            w->state = SLOT_WAITING;
        }
    }
}

static void take(search *s, slot *w, hone_outcome *o) {
    s->in_flight--;
    if (o->verdict == HONE_ERROR && w->retries++ == 0) {   // could not be judged: once more, then it counts as refused
        w->state = w->state == SLOT_COMPILING ? SLOT_NEW : w->state == SLOT_RUNNING && w->screen ? SLOT_CHOSEN : SLOT_COMPILED;
        hone_outcome_free(o);
        return;
    }
    if (o->ptx_hash[0])
        key_of(w->e, o->ptx_hash);
    if (w->state == SLOT_COMPILING && o->verdict == HONE_PASS) {
        w->state = SLOT_COMPILED;
        hone_outcome_free(o);
    } else if (w->state == SLOT_SCREENING && o->verdict == HONE_PASS) {
        w->state = SLOT_SCREENED;
        w->screened = true;
        w->screen = o;
    } else {
        w->outcome = o;
        w->state = SLOT_DONE;
    }
}

// A slot that waited for an equal one: takes its outcome, unless that could not be judged; then it runs itself.
static void resolve_waiting(search *s, generation *g) {
    for (size_t i = 0; i < g->n; i++) {
        slot *w = &g->v[i];
        uint64_t id;
        if (w->state != SLOT_WAITING)
            continue;
        if (hone_map_get(&s->keys, w->e->key, &id)) {
            w->same_as = (int)id;
            w->state = SLOT_DONE;
        } else if (!has_twin(g, i)) {
            w->state = SLOT_COMPILED;
        }
    }
}

static bool is_under_way(const slot *w) { return w->state == SLOT_RUNNING || w->state == SLOT_COMPILING || w->state == SLOT_SCREENING; }

static hone_code deliver(search *s, generation *g, hone_outcome *o, hone_err *e) {
    for (size_t i = g->n_applied; i < g->n; i++) {
        slot *w = &g->v[i];
        if (!is_under_way(w) || o->id != hone_search_job_id(w->e, w->state))
            continue;
        take(s, w, o);
        resolve_waiting(s, g);
        if (w->screen && w->outcome)
            HONE_TRY(hone_screen_join(w, &w->outcome, e));
        return w->outcome && w->outcome->verdict == HONE_PASS ? hone_rival_tell(s, w->e, w->outcome, e) : HONE_OK;
    }
    hone_outcome_free(o);
    return HONE_OK;
}

bool hone_search_budget_spent(search *s) {
    hone_stop why;
    if (s->c->evals && s->evaluations >= s->c->evals)
        why = HONE_STOP_EVALS;
    else if (s->c->patience && s->since_best >= s->c->patience)
        why = HONE_STOP_PATIENCE;
    else if (hone_search_out_of_time(s))
        why = HONE_STOP_TIME;
    else
        return false;
    s->stop = why;
    s->stopped = true;
    return true;
}

static hone_code apply_slot(search *s, slot *w, hone_err *e) {
    const entry *same = w->same_as >= 0 ? s->entries.v[w->same_as] : NULL;
    hone_outcome none = {.verdict = HONE_PASS, .time_is_modelled = true};
    bool live = !w->row;
    char *text = NULL;
    hone_code c = live && !same ? hone_replay_form(&w->outcome, &text, e) : HONE_OK;
    if (c == HONE_OK)
        c = hone_state_apply(s, w->e, same ? &none : w->outcome, same, e);
    if (c == HONE_OK && live)
        c = hone_replay_append(s, w->e, text, e);
    hone_free(text);
    if (c == HONE_OK && hone_generation_is_inbox(s, w->e))
        hone_inbox_tell(s, w->e);
    s->live_evaluations += live && !same;
    hone_outcome_free(w->outcome);
    w->outcome = NULL;
    if (c == HONE_OK)
        hone_search_tell(s, live);
    return c;
}

// Up to the end of a generation: what is proposed next must not depend on how far the one after it came.
static hone_code apply_ready(search *s, generation *g, hone_err *e) {
    size_t end = g->n_ends ? g->ends[0] : g->n;
    while (g->n_applied < end && g->v[g->n_applied].state == SLOT_DONE && !s->stopped) {
        HONE_TRY(apply_slot(s, &g->v[g->n_applied++], e));
        resolve_waiting(s, g);
        hone_search_budget_spent(s);
    }
    return HONE_OK;
}

// Outcomes of an earlier sitting, as far as the archive has them.
static hone_code replay_slots(search *s, generation *g, size_t from, hone_err *e) {
    for (size_t i = from; i < g->n; i++) {
        slot *w = &g->v[i];
        hone_code c;
        const stored_row *r = hone_replay_row(s, w->e->cand.id, w->e->cand.hash, e, &c);
        HONE_TRY(c);
        if (!r)
            return HONE_OK;
        w->row = r;
        w->state = SLOT_DONE;
        if (r->ptx_hash[0])
            key_of(w->e, r->ptx_hash);
        if (r->duplicate && r->duplicate_of < w->e->cand.id)
            w->same_as = (int)r->duplicate_of;
        else
            HONE_TRY(hone_replay_outcome(r, &w->outcome, e));
    }
    return HONE_OK;
}

bool hone_window_first_is_applied(const generation *g) { return g->n_ends && g->n_applied >= g->ends[0]; }

// Evaluates until the first generation of the window is applied.
hone_code hone_window_run_first(search *s, generation *g, hone_err *e) {
    HONE_TRY(apply_ready(s, g, e));
    while (!hone_window_first_is_applied(g) && !s->stopped) {
        if (hone_search_interrupted(s))
            return HONE_E_INTERRUPTED;
        find_twins(s, g);
        HONE_TRY(hone_screen_decide(s, g, reach(s, g), e));
        HONE_TRY(apply_ready(s, g, e));
        HONE_TRY(submit_what_fits(s, g, e));
        if (hone_window_first_is_applied(g) || s->stopped)
            break;
        hone_outcome *o = NULL;
        hone_code c = hone_search_next_outcome(s, &o, e);
        if (c == HONE_OK)
            HONE_TRY(deliver(s, g, o, e));
        else if (c != HONE_E_TIMEOUT)
            return c;
        find_twins(s, g);
        HONE_TRY(hone_screen_decide(s, g, reach(s, g), e));
        HONE_TRY(apply_ready(s, g, e));
        hone_search_budget_spent(s);
    }
    return HONE_OK;
}

// ---- when time is up

// After the last result that came; g->n_applied: there is none.
static size_t last_result(const generation *g) {
    size_t end = g->n_applied;
    for (size_t i = g->n_applied; i < g->n; i++)
        if (g->v[i].state == SLOT_DONE && g->v[i].outcome && g->v[i].outcome->verdict == HONE_PASS && !g->v[i].row)
            end = i + 1;
    return end;
}

// Whom the screen would still have decided about is left out.
static hone_code apply_up_to(search *s, generation *g, size_t end, hone_err *e) {
    for (; g->n_applied < end; g->n_applied++) {
        slot *w = &g->v[g->n_applied];
        if (w->state == SLOT_SCREENED || w->state == SLOT_CHOSEN)
            HONE_TRY(hone_screen_leave_out(s, w, e));
        if (w->state != SLOT_DONE || (s->c->evals && s->evaluations >= s->c->evals))
            return HONE_OK;
        HONE_TRY(apply_slot(s, w, e));
        resolve_waiting(s, g);
    }
    return HONE_OK;
}

static hone_code submit_up_to(search *s, generation *g, size_t end, hone_err *e) {
    for (size_t i = g->n_applied; i < end && !no_slot(s); i++) {
        slot *w = &g->v[i];
        if (w->state == SLOT_NEW)
            HONE_TRY(submit(s, w, SLOT_COMPILING, e));
        else if (w->state == SLOT_COMPILED)
            HONE_TRY(submit(s, w, s->c->screen ? SLOT_SCREENING : SLOT_RUNNING, e));
    }
    return HONE_OK;
}

// What is measured when time is up is not thrown away: what stands before it gets a tenth of the budget more. Nothing is proposed any more, so it does not
// matter to which generation a result belongs.
hone_code hone_window_finish(search *s, generation *g, hone_err *e) {
    const double end = 1.1 * s->c->time_s;
    if (s->stop != HONE_STOP_TIME)
        return HONE_OK;
    for (;;) {
        find_twins(s, g);
        const size_t last = last_result(g);
        HONE_TRY(apply_up_to(s, g, last, e));
        if (g->n_applied >= last || (s->c->evals && s->evaluations >= s->c->evals) || hone_search_elapsed(s) >= end)
            return HONE_OK;
        if (hone_search_interrupted(s))
            return HONE_E_INTERRUPTED;
        HONE_TRY(submit_up_to(s, g, last, e));
        hone_outcome *o = NULL;
        hone_code c = hone_search_next_outcome(s, &o, e);
        if (c == HONE_OK)
            HONE_TRY(deliver(s, g, o, e));
        else if (c != HONE_E_TIMEOUT)
            return c;
    }
}

static void free_slot(slot *w) {
    hone_outcome_free(w->outcome);
    hone_outcome_free(w->screen);
    w->outcome = w->screen = NULL;
}

void hone_window_drop_first(generation *g) {
    size_t n = g->n_ends ? g->ends[0] : g->n;
    for (size_t i = 0; i < n; i++)
        free_slot(&g->v[i]);
    memmove(g->v, g->v + n, (g->n - n) * sizeof g->v[0]);
    g->n -= n;
    g->n_applied -= n;
    for (size_t i = 1; i < g->n_ends; i++)
        g->ends[i - 1] = g->ends[i] - n;
    g->n_ends -= g->n_ends > 0;
}

void hone_window_drop_all(search *s, generation *g) {
    for (size_t i = 0; i < g->n; i++) {
        if (s->c->evaluator.cancel && is_under_way(&g->v[i]))
            s->c->evaluator.cancel(s->c->evaluator.self, hone_search_job_id(g->v[i].e, g->v[i].state));
        free_slot(&g->v[i]);
    }
    g->n = g->n_applied = g->n_ends = 0;
    s->in_flight = 0;
}

// Puts a generation behind those in the window and gives it what the archive has.
hone_code hone_window_append(search *s, generation *g, const generation *next, hone_err *e) {
    memcpy(g->v + g->n, next->v, next->n * sizeof g->v[0]);
    g->n += next->n;
    g->ends[g->n_ends++] = g->n;
    return replay_slots(s, g, g->n - next->n, e);
}
