// search/state: what the search knows. Admission (hash, launch plan, duplicates by source), application of outcomes in sequence (costs,
// duplicates by PTX, rewards), and the population. Everything here is a function of the sequence of admitted candidates and applied
// outcomes.
#include "base/visible.h"
#include "search/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search"); }

// ---- texts

static double combinations(const hone_task *t) {
    double n = 1;
    for (size_t i = 0; i < t->n_tunes; i++)
        n *= (double)t->tunes[i].n_values;
    return n;
}

static text_info *intern_text(search *s, const hone_task *parsed, const char *text, size_t len) {
    char sha[HONE_HASH_HEX];
    uint64_t at;
    hone_sha256_hex(text, len, sha);
    if (hone_map_get(&s->text_map, sha, &at))
        return s->texts.v[at];
    text_info *t = hone_arena_alloc(s->arena, sizeof *t);
    if (!t)
        return NULL;
    *t = (text_info){hone_arena_strndup(s->arena, text, len),
                     hone_arena_strdup(s->arena, sha),
                     len,
                     parsed->n_tunes > 0,
                     combinations(parsed),
                     0,
                     NULL,
                     NULL};
    if (!t->text || !t->sha || !hone_vec_push(&s->texts, t) || !hone_map_put(&s->text_map, t->sha, s->texts.n - 1))
        return NULL;
    return t;
}

// ---- fingerprints

static void add_plan(hone_sha *h, const hone_plan *p) {
    for (size_t i = 0; i < p->n_buffers; i++) {
        hone_sha_add(h, p->buffers[i].arg->name, strlen(p->buffers[i].arg->name) + 1);
        hone_sha_add(h, &p->buffers[i].bytes, sizeof p->buffers[i].bytes);
    }
    for (size_t i = 0; i < p->n_launches; i++) {
        const hone_plan_launch *l = &p->launches[i];
        uint32_t shape[11] = {l->grid[0],    l->grid[1],    l->grid[2],    l->block[0],   l->block[1],   l->block[2],
                              l->cluster[0], l->cluster[1], l->cluster[2], l->smem_bytes, l->cooperative};
        hone_sha_add(h, l->kernel, strlen(l->kernel) + 1);
        hone_sha_add(h, shape, sizeof shape);
        for (size_t a = 0; a < l->n_args; a++) {
            hone_sha_add(h, &l->args[a].buffer, sizeof l->args[a].buffer);
            hone_sha_add(h, l->args[a].value, l->args[a].bytes < 8 ? l->args[a].bytes : 8);
        }
    }
}

// Launch plans at the main and some check sizes, and the flags: together with the PTX they decide what an evaluation sees.
// false: no main size can be launched.
static bool plan_fingerprint(const search *s, const hone_task *t, const hone_env *tuning, char out[HONE_HASH_HEX]) {
    hone_sha *h = hone_sha_new();
    bool ok = h != NULL;
    for (size_t i = 0; ok && i < t->n_sizes + s->n_checks; i++) {
        hone_plan *p = NULL;
        const hone_sizes *sizes = i < t->n_sizes ? &t->sizes[i] : &s->checks[i - t->n_sizes];
        if (hone_plan_make(t, sizes, tuning, &p, NULL) == HONE_OK)
            add_plan(h, p);
        else if (i < t->n_sizes)
            ok = false;
        else
            hone_sha_add(h, "cannot launch", 14);
        hone_plan_free(p);
    }
    for (size_t i = 0; ok && i < t->n_flags; i++)
        hone_sha_add(h, t->flags[i], strlen(t->flags[i]) + 1);
    if (h)
        hone_sha_hex(h, out);
    return ok;
}

// Of the normalised text and every tune value, defaults filled in.
static hone_code source_hash(const hone_task *t, const hone_binding *tuning, char out[HONE_HASH_HEX], hone_err *e) {
    char *normal = NULL;
    size_t n = 0;
    HONE_TRY(hone_normalise(t->text, t->len, &normal, &n, e));
    hone_sha *h = hone_sha_new();
    if (!h) {
        hone_free(normal);
        return nomem(e);
    }
    hone_sha_add(h, normal, n);
    for (size_t i = 0; i < t->n_tunes; i++) {
        hone_sha_add(h, tuning[i].name, strlen(tuning[i].name) + 1);
        hone_sha_add(h, &tuning[i].value, sizeof tuning[i].value);
    }
    hone_sha_hex(h, out);
    hone_free(normal);
    return HONE_OK;
}

// ---- admission

static const hone_binding *whole_tuning(search *s, const hone_task *t, const hone_proposal *p) {
    hone_binding *b = hone_arena_array(s->arena, t->n_tunes + 1, sizeof *b);
    for (size_t i = 0; b && i < t->n_tunes; i++) {
        b[i] = (hone_binding){hone_arena_strdup(s->arena, t->tunes[i].name), t->tunes[i].values[0]};
        for (size_t k = 0; k < p->n_tuning; k++)
            if (strcmp(p->tuning[k].name, t->tunes[i].name) == 0)
                b[i].value = p->tuning[k].value;
        if (!b[i].name)
            return NULL;
    }
    return b;
}

static bool feasible(const hone_task *t, const hone_env *tuning) {
    bool ok = true;
    for (size_t i = 0; ok && t->n_wheres && i < t->n_sizes; i++)
        if (hone_task_feasible(t, &t->sizes[i], tuning, &ok, NULL) != HONE_OK)
            ok = false;
    return ok;
}

static entry *new_entry(search *s, const hone_task *t, const hone_proposal *p, const hone_binding *tuning) {
    entry *x = hone_arena_alloc(s->arena, sizeof *x);
    if (!x || !(x->text = intern_text(s, t, p->text, p->len)))
        return NULL;
    x->applies = hone_arena_alloc(s->arena, s->n_arms + 1);
    x->fruitless = hone_arena_alloc(s->arena, s->n_arms + 1);
    x->cand.text = x->text->text;
    x->cand.len = x->text->len;
    x->cand.tuning = tuning;
    x->cand.n_tuning = t->n_tunes;
    char *note = p->note ? hone_visible(p->note, strlen(p->note)) : NULL;   // a model's words, shown while the search goes on
    x->cand.note = note ? hone_arena_strdup(s->arena, note) : "";
    hone_free(note);
    x->pub.candidate = &x->cand;
    x->pub.ptx_hash = x->ptx;
    x->arm = -1;
    return x->applies && x->fruitless && x->cand.note ? x : NULL;
}

// Everything of a new candidate except its id and origin. *out NULL: duplicate or not launchable.
static hone_code admit_parsed(search *s, const hone_task *t, const hone_proposal *p, entry **out, bool *invalid, hone_err *e) {
    const hone_binding *tuning = whole_tuning(s, t, p);
    char hash[HONE_HASH_HEX], plan[HONE_HASH_HEX];
    uint64_t seen;
    if (!tuning)
        return nomem(e);
    HONE_TRY(source_hash(t, tuning, hash, e));
    if (hone_map_get(&s->sources, hash, &seen)) {
        s->duplicates_source++;
        return HONE_OK;
    }
    hone_env env = {tuning, t->n_tunes, NULL};
    if (!feasible(t, &env) || !plan_fingerprint(s, t, &env, plan)) {
        *invalid = true;
        return HONE_OK;
    }
    entry *x = new_entry(s, t, p, tuning);
    if (!x)
        return nomem(e);
    memcpy(x->cand.hash, hash, sizeof hash);
    memcpy(x->plan, plan, sizeof plan);
    if (!hone_map_put(&s->sources, x->cand.hash, 1))
        return nomem(e);
    *out = x;
    return HONE_OK;
}

hone_code hone_state_admit(search *s, hone_arena *arena, const entry *parent, const hone_proposal *p, int arm, const char *context,
                           uint64_t id, entry **out, bool *invalid, hone_err *e) {
    *out = NULL;
    *invalid = false;
    hone_task *t = NULL;
    hone_diags diags = {.arena = arena};
    hone_err why = {0};
    hone_code c = hone_task_parse(s->c->task->path, p->text, p->len, &t, &diags, &why);
    if (c == HONE_E_NOMEM)
        return nomem(e);
    if (c != HONE_OK || hone_task_same_contract(s->c->task, t, &why) != HONE_OK)
        *invalid = true;   // a proposer's mistake: not worth an evaluation
    else
        c = admit_parsed(s, t, p, out, invalid, e);
    hone_task_free(t);
    if (*invalid)
        return HONE_OK;
    if (c == HONE_OK && *out) {
        entry *x = *out;
        x->cand.id = id;
        x->cand.n_parents = p->n_parents ? p->n_parents : 1;
        for (unsigned i = 0; i < x->cand.n_parents; i++)
            x->cand.parents[i] = p->n_parents ? p->parents[i]->id : parent->cand.id;
        x->arm = arm;
        x->cand.proposer = s->arms[arm].proposer->name;
        x->cand.move = s->arms[arm].move;
        x->context = context;
        x->pub.generation = s->generation;
    }
    return c;
}

hone_code hone_state_baseline(search *s, entry **out, hone_err *e) {
    const hone_task *t = s->c->task;
    hone_proposal p = {.text = t->text, .len = t->len, .note = "baseline"};
    bool invalid = false;
    *out = NULL;
    HONE_TRY(admit_parsed(s, t, &p, out, &invalid, e));
    if (!*out) {   // its plan fails: say why
        hone_env none = {0};
        hone_plan *plan = NULL;
        hone_code c = t->n_sizes ? hone_plan_make(t, &t->sizes[0], &none, &plan, e) : HONE_E_USAGE;
        hone_plan_free(plan);
        return c != HONE_OK ? c : hone_fail(e, HONE_E_WRONG, 0, "first values of the tune parameters break a 'where' constraint");
    }
    (*out)->cand.proposer = "baseline";
    (*out)->cand.move = "";
    return HONE_OK;
}

// ---- population

static uint32_t bin(double x, double step) { return x <= 0 ? 0 : x >= 3 * step ? 3 : (uint32_t)(x / step); }

// Cell of diversity: occupancy quarter × shared memory quarter (of 64 KiB) × the newest move on its line that was not a parameter change.
static uint32_t cell_of(const search *s, const entry *x) {
    const entry *p = x;
    while (p->arm >= 0 && strcmp(s->arms[p->arm].proposer->name, "tune") == 0)
        p = s->entries.v[p->cand.parents[0]];
    uint32_t technique = (uint32_t)(p->arm + 1);
    return (technique * 4 + bin(x->facts.occupancy, 0.25)) * 4 + bin(x->facts.shared_bytes, 16384);
}

static int by_cost(const void *a, const void *b) {
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    if (x->cand.cost != y->cand.cost)
        return x->cand.cost < y->cand.cost ? -1 : 1;
    return x->cand.id < y->cand.id ? -1 : 1;
}

static size_t count_like(const search *s, const entry *x, bool by_cell) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_population; i++)
        n += by_cell ? s->population[i]->cell == x->cell : s->population[i]->text == x->text;
    return n;
}

static bool in_population(const search *s, const entry *x) {
    for (size_t i = 0; i < s->n_population; i++)
        if (s->population[i] == x)
            return true;
    return false;
}

// Most of what a screen leaves out is far from the best, and there is much of it: as parents that would crowd out what was measured.
static bool may_be_parent(const search *s, const entry *x) {
    static const double near = 1.5;
    return x->cand.ok && !x->pub.duplicate && !(x->screened && s->best && x->cand.cost > near * s->best->cand.cost);
}

// First the best of each cell (at most two per text), then the best of the rest (at most three per text).
static hone_code choose_population(search *s, hone_err *e) {
    entry **ok = hone_calloc(s->entries.n, sizeof *ok);
    if (!ok)
        return nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < s->entries.n; i++)
        if (may_be_parent(s, s->entries.v[i]))
            ok[n++] = s->entries.v[i];
    qsort(ok, n, sizeof *ok, by_cost);
    s->n_population = 0;
    for (size_t i = 0; i < n && s->n_population < 20; i++)
        if (count_like(s, ok[i], true) == 0 && count_like(s, ok[i], false) < 2)
            s->population[s->n_population++] = ok[i];
    for (size_t i = 0; i < n && s->n_population < HONE_SEARCH_POPULATION; i++)
        if (!in_population(s, ok[i]) && count_like(s, ok[i], false) < 3)
            s->population[s->n_population++] = ok[i];
    qsort(s->population, s->n_population, sizeof s->population[0], by_cost);
    hone_free(ok);
    return HONE_OK;
}

// ---- rewards

static hone_code credit_line(search *s, const entry *x, double reward, hone_err *e) {
    const entry *p = x;
    double weight = 1;
    for (int k = 0; k < 3; k++) {
        p = s->entries.v[p->cand.parents[0]];
        if (p->arm < 0)
            return HONE_OK;
        weight *= 0.5;
        if (hone_generation_is_inbox(s, p))
            continue;
        HONE_TRY(hone_bandit_update(s->bandit, p->context, (size_t)p->arm, reward, weight, e));
    }
    return HONE_OK;
}

// Reward of an arm: rank-normalised log gain over the parent, per unit of cost. A virtual evaluation costs one unit, so that runs replay
// bit for bit; a physical one its seconds relative to the mean so far.
static double cost_units(const search *s, const entry *x, const hone_outcome *o) {
    if (o->time_is_modelled || s->evaluations == 0 || !(x->pub.seconds > 0))
        return 1;
    double sum = 0;
    for (size_t i = 0; i < s->entries.n; i++)
        sum += s->entries.v[i]->pub.seconds;
    double relative = x->pub.seconds * (double)s->entries.n / sum;
    return relative > 1 ? fmin(relative, 4) : 1;
}

static hone_code reward(search *s, const entry *x, const hone_outcome *o, hone_err *e) {
    if (x->arm < 0)
        return HONE_OK;
    const entry *parent = s->entries.v[x->cand.parents[0]];
    while (!parent->cand.ok && parent->arm >= 0)   // a repaired one is compared with what it was made from
        parent = s->entries.v[parent->cand.parents[0]];
    double gain = x->cand.ok && parent->cand.ok && !x->pub.duplicate ? log(parent->cand.cost / x->cand.cost) : 0, r = 0;
    hone_move_stats *m = &s->stats[x->arm];
    m->evaluated += !x->pub.duplicate;
    m->passed += x->cand.ok;
    if (gain > 0.005) {
        HONE_TRY(hone_reward_of(&s->scale, gain, &r, e));
        r /= cost_units(s, x, o);
        m->improved++;
        m->gain_log_sum += gain;
        HONE_TRY(credit_line(s, x, r, e));
    }
    if (hone_generation_is_inbox(s, x))
        return HONE_OK;
    return hone_bandit_update(s->bandit, x->context, (size_t)x->arm, r, x->pub.duplicate ? 0.5 : 1, e);
}

// ---- applying

// Where something went wrong, for proposers that can use it. Only these members: what an output is or should be is not among them.
static const char *evidence_of(search *s, const hone_finding *f) {
    static const char *const keep[] = {"sizes", "input", "buffer", "element", "places", "metric", "error", "allowed", "offset", "hint", "kernel", "block",
                                       "thread", "address", "bytes", "text"};
    json_t *o = json_object();
    for (size_t i = 0; i < HONE_COUNT(keep); i++)
        if (json_object_get(f->evidence, keep[i]))
            json_object_set(o, keep[i], json_object_get(f->evidence, keep[i]));
    if (f->line)
        json_object_set_new(o, "line", json_integer(f->line));
    char *text = json_object_size(o) ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(4)) : NULL;
    const char *own = text ? hone_arena_strdup(s->arena, text) : NULL;
    free(text);
    json_decref(o);
    return own;
}

static hone_code count_findings(search *s, const hone_outcome *o, entry *x, hone_err *e) {
    for (size_t i = 0; i < o->n_findings && o->verdict != HONE_PASS; i++) {   // what passes has notes at most
        uint64_t at;
        if (!hone_map_get(&s->kinds, o->findings[i].kind, &at)) {
            hone_finding_count f = {hone_arena_strdup(s->arena, o->findings[i].kind), 0};
            at = s->findings.n;
            if (!f.kind || !hone_vec_push(&s->findings, f) || !hone_map_put(&s->kinds, f.kind, at))
                return nomem(e);
        }
        s->findings.v[at].count++;
    }
    if (o->verdict != HONE_PASS && o->n_findings) {
        x->pub.finding_kind = x->cand.finding_kind = hone_arena_strdup(s->arena, o->findings[0].kind);
        x->pub.finding_message = x->cand.finding_message = hone_arena_strdup(s->arena, o->findings[0].message);
        x->cand.finding_evidence = evidence_of(s, &o->findings[0]);
    }
    return HONE_OK;
}

static double member(const hone_outcome *o, const char *object, const char *key) {
    return json_number_value(json_object_get(json_object_get(o->json, object), key));
}

static void pair_energy(const hone_timing *base, const hone_outcome *o, hone_timing *t) {
    double ratio = member(o, "energy", "ratio"), lo = member(o, "energy", "ratio_lo"), hi = member(o, "energy", "ratio_hi");
    if (!(ratio > 0) || !(lo > 0) || !(hi > 0) || !base->has_energy)
        return;
    t->energy_mj = base->energy_mj / ratio;
    t->energy_lo_mj = base->energy_mj / hi;
    t->energy_hi_mj = base->energy_mj / lo;
}

// The energy's share of the cost, with its interval; edp: times the time, whose own interval then adds to it.
static void energy_cost(const search *s, const hone_timing *base, hone_timing *t) {
    bool edp = s->c->task->objective == HONE_OBJ_EDP;
    double us = edp ? t->paired_us : 1, lo = edp ? t->lo_us / t->time_us : 1, hi = edp ? t->hi_us / t->time_us : 1;
    if (edp && t->ratio_lo > 0) {   // of the pairs
        lo = t->ratio / t->ratio_hi;
        hi = t->ratio / t->ratio_lo;
    }
    if (!t->has_energy || !base->has_energy)
        return;
    t->cost = t->energy_mj * us;
    t->cost_lo = t->energy_lo_mj * us * lo;
    t->cost_hi = t->energy_hi_mj * us * hi;
}

// A measured candidate was measured in turns with the baseline, on one device: what counts is by how much it differs there, in terms of the baseline's
// first time and energy. So devices and hours compare.
void hone_state_pair_cost(const search *s, const hone_outcome *o, hone_timing *t) {
    double beside = t->ratio > 0 ? t->time_us * t->ratio : member(o, "time", "baseline_us");
    const entry *base = s->entries.n ? s->entries.v[0] : NULL;
    if (!(beside > 0) || !base || !base->cand.ok || t->modelled)
        return;
    t->paired_us = t->time_us / beside * base->pub.timing.time_us;
    pair_energy(&base->pub.timing, o, t);
    if (s->c->task->objective == HONE_OBJ_TIME)
        t->cost = t->paired_us;
    else
        energy_cost(s, &base->pub.timing, t);
}

// A kernel at half speed may need less energy; few would want it. It stays in the population and on the front of time and energy.
bool hone_state_too_slow(const search *s, const hone_timing *t) {
    return s->c->task->objective == HONE_OBJ_ENERGY && t->paired_us > HONE_ENERGY_MAX_SLOWDOWN * s->entries.v[0]->pub.timing.time_us;
}

static double device_seconds(const hone_outcome *o) {
    const json_t *g = json_object_get(o->json, "gpu");
    return json_number_value(json_object_get(g, "last_s")) - json_number_value(json_object_get(g, "first_s"));
}

// Fills an entry from its own outcome. A pass without a usable time is a refusal, except that energy missing for the baseline is an error.
static hone_code take_outcome(search *s, entry *x, const hone_outcome *o, hone_err *e) {
    hone_err why = {0};
    x->cand.evaluated = true;
    x->cand.ok = o->verdict == HONE_PASS;
    x->pub.seconds = o->seconds;
    memcpy(x->ptx, o->ptx_hash, sizeof x->ptx);
    if (x->cand.ok && hone_timing_read(s->c->task, o, &x->pub.timing, &why) != HONE_OK) {
        if (x->arm < 0)
            return hone_fail(e, why.code, why.sub, "%s", why.msg);
        x->cand.ok = false;
        x->pub.finding_kind = why.code == HONE_E_UNSUPPORTED ? "measure.no-energy" : "measure.no-time";
        x->pub.finding_message = hone_arena_strdup(s->arena, why.msg);
    }
    if (x->cand.ok && s->c->screen)
        HONE_TRY(hone_screen_apply(s, x, o, e));
    x->pub.screened = x->screened;
    if (x->cand.ok)
        hone_state_pair_cost(s, o, &x->pub.timing);
    x->pub.too_slow = x->cand.ok && x->arm >= 0 && hone_state_too_slow(s, &x->pub.timing);
    x->cand.time_us = x->pub.timing.time_us;
    x->cand.cost = x->pub.timing.cost;
    hone_facts_read(o, &x->facts);
    x->cand.facts = x->cand.ok ? &x->facts : NULL;
    return count_findings(s, o, x, e);
}

static void take_same(entry *x, const entry *same) {
    uint64_t seen = same->cand.id;
    x->cand.evaluated = true;
    x->cand.ok = same->cand.ok;
    x->cand.time_us = same->cand.time_us;
    x->cand.cost = same->cand.cost;
    x->facts = same->facts;
    x->screened = x->pub.screened = same->screened;
    x->modelled_us = same->modelled_us;
    x->cand.facts = x->cand.ok ? &x->facts : NULL;
    x->pub.timing = same->pub.timing;
    x->pub.finding_kind = same->pub.finding_kind;
    x->pub.finding_message = same->pub.finding_message;
    memcpy(x->ptx, same->ptx, sizeof x->ptx);
    x->pub.duplicate = true;
    x->pub.duplicate_of = same->pub.duplicate ? same->pub.duplicate_of : seen;
}

static hone_code keep_outcome(search *s, char **json, const hone_outcome *o, hone_err *e) {
    char *dump = hone_outcome_dump(o);
    *json = dump ? hone_arena_strdup(s->arena, dump) : NULL;
    hone_free(dump);
    return *json ? HONE_OK : nomem(e);
}

static hone_code new_best(search *s, entry *x, const hone_outcome *o, hone_err *e) {
    hone_convergence point = {s->evaluations, x->cand.id, x->cand.time_us, hone_search_elapsed(s), s->gpu_s};
    HONE_TRY(hone_rival_ratios(s, x, o, e));
    s->best = x;
    s->since_best = 0;
    if (x->arm >= 0)
        s->stats[x->arm].best++;
    HONE_TRY(hone_rival_tell(s, x, o, e));
    return keep_outcome(s, &s->best_outcome, o, e) == HONE_OK && hone_vec_push(&s->convergence, point) ? HONE_OK : nomem(e);
}

static hone_code remember(search *s, entry *x, hone_err *e) {
    if (!hone_vec_push(&s->entries, x) || !hone_vec_push(&s->history, (const hone_candidate *)&x->cand))
        return nomem(e);
    text_info *t = x->text;
    t->any = t->any ? t->any : x;
    t->configs++;
    if (x->cand.ok && (!t->best || x->cand.cost < t->best->cand.cost))
        t->best = x;
    return HONE_OK;
}

hone_code hone_state_apply(search *s, entry *x, const hone_outcome *o, const entry *same, hone_err *e) {
    if (x->cand.id != s->entries.n)
        HONE_BUG("candidate %llu applied as number %zu", (unsigned long long)x->cand.id, s->entries.n);
    if (same)
        take_same(x, same);
    else
        HONE_TRY(take_outcome(s, x, o, e));
    if (!same)
        s->gpu_s += device_seconds(o);
    HONE_TRY(remember(s, x, e));
    x->cell = cell_of(s, x);
    if (same) {
        s->duplicates_ptx++;
    } else {
        s->evaluations += x->arm >= 0;
        s->since_best += x->arm >= 0;
        s->refused += !x->cand.ok;
        if (x->key[0] && o->verdict != HONE_ERROR && !hone_map_put(&s->keys, x->key, x->cand.id))
            return nomem(e);
    }
    if (x->arm < 0)
        HONE_TRY(keep_outcome(s, &s->baseline_outcome, o, e));
    HONE_TRY(reward(s, x, o, e));
    if (x->cand.ok && !same && !x->screened && !x->pub.too_slow && (!s->best || x->cand.cost < s->best->cand.cost * (1 - 1e-9)))
        HONE_TRY(new_best(s, x, o, e));
    return choose_population(s, e);
}

double hone_state_speedup(const search *s) {
    return s->entries.n && s->entries.v[0]->cand.ok && s->best ? s->entries.v[0]->cand.cost / s->best->cand.cost : 1;
}

// ---- life

hone_code hone_state_init(search *s, hone_err *e) {
    s->arena = hone_arena_new((size_t)1 << 30);
    s->tune_cache = hone_tune_cache_new();
    if (!s->arena || !s->tune_cache)
        return nomem(e);
    HONE_TRY(hone_generation_arms(s, e));
    HONE_TRY(hone_task_check_sizes(s->c->task, (size_t)64 << 20, s->arena, &s->checks, &s->n_checks, e));
    if (s->n_checks > HONE_SEARCH_MAX_CHECKS)
        s->n_checks = HONE_SEARCH_MAX_CHECKS;
    return HONE_OK;
}

void hone_state_free(search *s) {
    hone_vec_free(&s->entries);
    hone_vec_free(&s->history);
    hone_vec_free(&s->texts);
    hone_vec_free(&s->convergence);
    hone_vec_free(&s->findings);
    hone_replay_drop_rows(s);
    hone_vec_free(&s->rows);
    hone_map_free(&s->sources);
    hone_map_free(&s->keys);
    hone_map_free(&s->text_map);
    hone_map_free(&s->kinds);
    hone_screen_free(&s->screen);
    hone_bandit_free(s->bandit);
    hone_reward_scale_free(&s->scale);
    hone_tune_cache_free(s->tune_cache);
    hone_free(s->options);
    hone_arena_free(s->arena);
}
