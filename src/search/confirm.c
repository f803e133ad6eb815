// search/confirm: nothing is called better before it passed a full evaluation with fresh seeds in a new process. Candidates are tried from the best
// downwards; what was confirmed is kept in the archive, so that resuming a finished run costs nothing.
#include "search/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Seeds of confirmation differ from the search's in a fixed way, so that a repeated run confirms on the same inputs.
static uint64_t fresh_seed(uint64_t seed) { return hone_hash64(&seed, sizeof seed, 0xc04f14); }

static hone_code stored(search *s, const char *key, hone_outcome **out, hone_err *e) {
    char *json = NULL;
    *out = NULL;
    if (!s->c->store)
        return HONE_OK;
    HONE_TRY(hone_store_get(s->c->store, s->run, key, &json, e));
    hone_err ignored = {0};
    if (json && hone_outcome_parse(json, strlen(json), out, &ignored) != HONE_OK)
        *out = NULL;   // unreadable: confirm again
    hone_free(json);
    return HONE_OK;
}

static hone_code keep(search *s, const char *key, hone_outcome **o, hone_err *e) {
    char *text = NULL;
    hone_code c = hone_replay_form(o, &text, e);
    if (c == HONE_OK && s->c->store && (*o)->verdict != HONE_ERROR)
        c = hone_store_put(s->c->store, s->run, key, text, e);
    hone_free(text);
    return c;
}

static hone_code evaluate(search *s, const entry *x, hone_outcome **out, hone_err *e) {
    char key[48];
    snprintf(key, sizeof key, "confirm:%llu", (unsigned long long)x->cand.id);
    HONE_TRY(stored(s, key, out, e));
    if (*out)
        return HONE_OK;
    hone_job j;
    hone_search_job(s, x, HONE_STAGE_ALL, &j);
    j.id |= (uint64_t)1 << 62;
    j.seed = fresh_seed(s->c->seed);
    j.race_ratio = j.timing_enough = 0;
    j.rival.text = NULL;
    j.fresh_process = true;
    hone_search_energy_job(s, 2, &j);
    s->newest = x;
    s->in_flight = 1;
    hone_code c = hone_search_one(s, &j, out, e);
    s->in_flight = 0;
    return c == HONE_OK ? keep(s, key, out, e) : c;
}

static int by_cost(const void *a, const void *b) {
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    if (x->cand.cost != y->cand.cost)
        return x->cand.cost < y->cand.cost ? -1 : 1;
    return x->cand.id < y->cand.id ? -1 : 1;
}

// Everything evaluated that beats the baseline, best first; n of them.
static entry **candidates(search *s, size_t *n) {
    entry **v = hone_arena_array(s->arena, s->entries.n + 1, sizeof *v);
    *n = 0;
    for (size_t i = 1; v && i < s->entries.n; i++) {
        entry *x = s->entries.v[i];
        if (x->cand.ok && !x->pub.duplicate && !x->screened && !x->pub.too_slow && x->cand.cost < s->entries.v[0]->cand.cost)
            v[(*n)++] = x;
    }
    if (v)
        qsort(v, *n, sizeof *v, by_cost);
    return v;
}

static hone_code judge(search *s, entry *x, confirmation *k, hone_err *e) {
    hone_outcome *o = NULL;
    k->tried++;
    hone_timing t;
    hone_err why = {0};
    hone_code c = evaluate(s, x, &o, e);
    if (c != HONE_OK) {
        hone_outcome_free(o);
        return c;
    }
    bool timed = o->verdict == HONE_PASS && hone_timing_read(s->c->task, o, &t, &why) == HONE_OK;
    if (timed)
        hone_state_pair_cost(s, o, &t);
    if (timed && t.cost < s->entries.v[0]->cand.cost && !hone_state_too_slow(s, &t)) {
        char *dump = hone_outcome_dump(o);
        k->outcome = dump ? hone_arena_strdup(s->arena, dump) : NULL;
        hone_free(dump);
        k->best = x;
        k->timing = t;
        k->confirmed = true;
        c = k->outcome ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    } else {
        k->failed++;
    }
    hone_outcome_free(o);
    return c;
}

hone_code hone_confirm_best(search *s, confirmation *k, hone_err *e) {
    *k = (confirmation){0};
    if (s->entries.n < 2 || !s->entries.v[0]->cand.ok)
        return HONE_OK;
    size_t n = 0;
    entry **v = candidates(s, &n);
    if (!v)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    if (n == 0)
        return HONE_OK;
    if (!s->c->no_confirm && s->stop != HONE_STOP_INTERRUPTED) {
        s->confirming = true;
        for (size_t i = 0; i < n && i < HONE_SEARCH_MAX_CONFIRM && !k->confirmed; i++) {
            hone_code c = judge(s, v[i], k, e);
            if (c == HONE_E_INTERRUPTED) {
                s->stop = HONE_STOP_INTERRUPTED;
                break;
            }
            HONE_TRY(c);
        }
        s->confirming = false;
        if (k->confirmed || s->stop != HONE_STOP_INTERRUPTED)
            return HONE_OK;
    }
    size_t skip = k->failed < n ? k->failed : n - 1;   // unconfirmed: the best that was not refused
    k->best = v[skip];
    k->timing = v[skip]->pub.timing;
    k->outcome = v[skip] == s->best ? s->best_outcome : NULL;
    return HONE_OK;
}
