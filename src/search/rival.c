// search/rival: what candidates are timed against. Once the best is much faster than the baseline, it takes the baseline's place in the pairs of the candidates
// that follow (evaluate/rival.c): a pair takes as long as its slower arm, and the search asks for the order at the top. Confirmation knows only the baseline.
#include "search/internal.h"

static const double worth_it = 1.25;   // below, the device would gain less than an estimate built on an estimate costs

// Per size, baseline/best as measured. NULL when an outcome does not say so for each.
hone_code hone_rival_ratios(search *s, entry *x, const hone_outcome *o, hone_err *e) {
    const json_t *sizes = json_object_get(json_object_get(o->json, "time"), "sizes");
    const size_t n = json_array_size(sizes);
    double *v = hone_arena_array(s->arena, n + 1, sizeof *v);
    if (!v)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    for (size_t i = 0; i < n; i++)
        v[i] = json_number_value(json_object_get(json_object_get(json_array_get(sizes, i), "ratio"), "median"));
    x->ratios = v;
    x->n_ratios = n;
    return HONE_OK;
}

static void set_rival(const entry *best, hone_job *j) {
    if (!(j->race_ratio >= worth_it) || !best || best->arm < 0 || !best->n_ratios)
        return;
    j->rival.text = best->cand.text;
    j->rival.tuning = best->cand.tuning;
    j->rival.n_tuning = best->cand.n_tuning;
    j->rival.ratios = best->ratios;
    j->rival.n_ratios = best->n_ratios;
}

void hone_rival_set(const search *s, hone_job *j) { set_rival(s->best, j); }

// Candidates that wait for a device shall meet the newest best, also one whose turn to be applied has not come.
hone_code hone_rival_tell(search *s, const entry *x, const hone_outcome *o, hone_err *e) {
    const entry *base = s->entries.n ? s->entries.v[0] : NULL;
    hone_timing t = hone_timing_of(o);
    if (!s->c->evaluator.race || x->arm < 0 || !base || !base->cand.ok || t.modelled || s->c->task->objective != HONE_OBJ_TIME)
        return HONE_OK;
    hone_state_pair_cost(s, o, &t);
    if (!(t.cost > 0) || t.cost >= (s->told_cost > 0 ? s->told_cost : base->cand.cost))
        return HONE_OK;
    entry best = *x;
    HONE_TRY(hone_rival_ratios(s, &best, o, e));
    best.cand.cost = t.cost;
    hone_job j;
    hone_search_job(s, x, HONE_STAGE_TIME, &j);
    j.race_ratio = base->cand.cost / t.cost;
    j.rival.text = NULL;
    set_rival(&best, &j);
    s->told_cost = t.cost;
    return s->c->evaluator.race(s->c->evaluator.self, &j, e);
}
