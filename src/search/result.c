// search/result: hands what the search knows to report and cli. The result takes the arena, so that nothing is copied twice.
#include "search/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_count(const void *a, const void *b) {
    const hone_finding_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->kind, y->kind);
}

static void *copy_array(hone_arena *a, const void *v, size_t n, size_t size) {
    void *out = hone_arena_array(a, n + 1, size);
    if (out && n)
        memcpy(out, v, n * size);
    return out;
}

static bool fill_lineage(search *s, hone_search_result *r) {
    size_t n = 0;
    const entry *x = s->entries.v[r->best->candidate->id];
    for (const entry *p = x;; p = s->entries.v[p->cand.parents[0]]) {
        n++;
        if (p->arm < 0)
            break;
    }
    const hone_search_entry **v = hone_arena_array(s->arena, n, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        v[i] = &x->pub;
        x = s->entries.v[x->cand.parents[0]];
    }
    r->lineage = v;
    r->n_lineage = v ? n : 0;
    return v != NULL;
}

static bool fill_arrays(search *s, hone_search_result *r) {
    const hone_search_entry **v = hone_arena_array(s->arena, s->entries.n + 1, sizeof *v);
    for (size_t i = 0; v && i < s->entries.n; i++)
        v[i] = &s->entries.v[i]->pub;
    r->entries = v;
    r->n_entries = s->entries.n;
    r->convergence = copy_array(s->arena, s->convergence.v, s->convergence.n, sizeof *s->convergence.v);
    r->n_convergence = s->convergence.n;
    r->findings = copy_array(s->arena, s->findings.v, s->findings.n, sizeof *s->findings.v);
    r->n_findings = s->findings.n;
    if (r->findings)
        qsort(r->findings, r->n_findings, sizeof *r->findings, by_count);
    r->moves = s->stats;
    r->n_moves = s->n_arms + (s->stats[s->n_arms].tried > 0);   // the inbox stands after them
    hone_str state;
    hone_str_init(&state, 1 << 20);
    hone_bandit_dump(s->bandit, &state);
    r->bandit = state.failed ? NULL : hone_arena_strdup(s->arena, state.s);
    hone_str_free(&state);
    return v && r->convergence && r->findings && r->bandit;
}

static bool fill_best(search *s, const confirmation *k, hone_search_result *r) {
    r->speedup = 1;
    if (s->entries.n && s->entries.v[0]->cand.evaluated)
        r->baseline = &s->entries.v[0]->pub;
    if (!k->best)
        return true;
    entry *b = k->best;
    b->pub.timing = k->timing;   // the confirmation's is the one that counts
    b->cand.time_us = k->timing.time_us;
    b->cand.cost = k->timing.cost;
    r->best = &b->pub;
    r->verdict = hone_compare_timings(&r->baseline->timing, &k->timing);
    r->speedup = r->baseline->timing.cost / k->timing.cost;
    r->best_outcome_json = k->outcome;
    return fill_lineage(s, r);
}

static hone_code remember(search *s, const hone_search_result *r, hone_err *e) {
    if (!s->c->store)
        return HONE_OK;
    char id[24] = "";
    if (r->best)
        snprintf(id, sizeof id, "%llu", (unsigned long long)r->best->candidate->id);
    HONE_TRY(hone_store_put(s->c->store, s->run, "best", id, e));
    HONE_TRY(hone_store_put(s->c->store, s->run, "verdict", hone_compare_name(r->verdict), e));
    HONE_TRY(hone_store_put(s->c->store, s->run, "bandit", r->bandit, e));
    return hone_store_put(s->c->store, s->run, "stop", hone_stop_name(r->stop), e);
}

hone_code hone_result_make(search *s, const confirmation *k, hone_search_result **out, hone_err *e) {
    hone_search_result *r = hone_arena_alloc(s->arena, sizeof *r);
    if (!r)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    *r = (hone_search_result){.arena = s->arena,
                              .run = s->run,
                              .resumed = s->resumed && s->replayed > 0,
                              .replayed = (unsigned)s->replayed,
                              .stop = s->stop,
                              .confirmed = k->confirmed,
                              .confirmations = k->tried,
                              .confirmations_failed = k->failed,
                              .evaluations = s->evaluations,
                              .duplicates_source = s->duplicates_source,
                              .duplicates_ptx = s->duplicates_ptx,
                              .refused = s->refused,
                              .generations = s->generation,
                              .warning = s->warning,
                              .baseline_outcome_json = s->baseline_outcome};
    r->gpu_s = s->gpu_s;
    r->has_energy_j = hone_search_energy(s, &r->energy_j);
    r->energy_partial = s->energy_partial;
    if (k->best)
        for (size_t i = 0; i < s->convergence.n; i++)
            if (s->convergence.v[i].id <= k->best->cand.id)
                r->gpu_to_best_s = s->convergence.v[i].gpu_s;
    r->screened = s->c->screen;
    r->screen_measured = s->screen.measured;
    r->screen_left_out = s->screen.left_out;
    r->screen_at_random = s->screen.at_random;
    screen_view known;
    hone_screen_look(&s->screen, &known);
    r->screen_rank_correlation = known.rank_correlation;
    r->screen_agreement = known.agreement;
    r->screen_spread = known.spread;
    r->screen_share = known.share;
    r->seconds = hone_now_s(&s->clock) - s->started_s;
    r->seconds_evaluating = s->blocked_s;
    r->seconds_searching = r->seconds - s->blocked_s;
    if (!fill_best(s, k, r) || !fill_arrays(s, r))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    HONE_TRY(remember(s, r, e));
    s->arena = NULL;
    *out = r;
    return HONE_OK;
}

void hone_search_result_free(hone_search_result *r) {
    if (r)
        hone_arena_free(r->arena);
}
