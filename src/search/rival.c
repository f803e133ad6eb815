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

void hone_rival_set(const search *s, hone_job *j) {
    const entry *best = s->best;
    if (!(j->race_ratio >= worth_it) || !best || best->arm < 0 || !best->n_ratios)
        return;
    j->rival.text = best->cand.text;
    j->rival.tuning = best->cand.tuning;
    j->rival.n_tuning = best->cand.n_tuning;
    j->rival.ratios = best->ratios;
    j->rival.n_ratios = best->n_ratios;
}

// Candidates that wait for a device shall meet the newest best, not the one of the time when they were proposed.
hone_code hone_rival_tell(const search *s, hone_err *e) {
    hone_job j;
    if (!s->c->evaluator.race || s->best->arm < 0)
        return HONE_OK;
    hone_search_job(s, s->best, HONE_STAGE_TIME, &j);
    if (!(j.race_ratio > 0))
        return HONE_OK;
    return s->c->evaluator.race(s->c->evaluator.self, &j, e);
}
