// search/generation: what to try next. Parents come from the population (rank) or are texts whose tune parameters were hardly searched yet;
// the bandit picks the move; duplicates by source are dropped here. All randomness: one stream per generation.
#include "search/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct builder {
    search *s;
    generation *g;
    hone_context ctx;
    hone_rng rng;
    const hone_candidate *population[HONE_SEARCH_POPULATION];
    bool *eligible;
    int tune_arm;
} builder;

hone_code hone_generation_arms(search *s, hone_err *e) {
    const hone_proposer *const *all = s->c->proposers ? s->c->proposers : hone_proposers;
    size_t n = 0;
    for (size_t i = 0; all[i]; i++)
        for (size_t k = 0; all[i]->moves[k]; k++)
            n++;
    s->arms = hone_arena_array(s->arena, n + 1, sizeof *s->arms);
    s->stats = hone_arena_array(s->arena, n + 1, sizeof *s->stats);
    const char **names = hone_arena_array(s->arena, n + 1, sizeof *names);
    if (!s->arms || !s->stats || !names)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    for (size_t i = 0; all[i]; i++)
        for (size_t k = 0; all[i]->moves[k]; k++) {
            size_t a = s->n_arms++;
            s->arms[a] = (search_arm){all[i], all[i]->moves[k]};
            s->stats[a] = (hone_move_stats){.proposer = all[i]->name, .move = all[i]->moves[k]};
            if (!(names[a] = hone_arena_printf(s->arena, "%s/%s", all[i]->name, all[i]->moves[k])))
                return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
        }
    s->arms[s->n_arms] = (search_arm){&hone_proposer_manual, hone_proposer_manual.moves[0]};
    s->stats[s->n_arms] = (hone_move_stats){.proposer = hone_proposer_manual.name, .move = hone_proposer_manual.moves[0]};
    hone_bandit_options o = {.min_share = 0.01};
    s->bandit = hone_bandit_new(names, s->n_arms, &o);
    if (!s->bandit)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    return s->c->bandit_prior ? hone_bandit_load(s->bandit, s->c->bandit_prior, false, e) : HONE_OK;
}

bool hone_generation_is_inbox(const search *s, const entry *x) { return x->arm == (int)s->n_arms; }

// ---- parents

// How much a text's space deserves to be searched further: its best cost, discounted while few of its configurations are known.
static double tuning_priority(const search *s, const text_info *t) {
    if (!t->tunable || t->combinations < 2)
        return INFINITY;
    double target = fmin(t->combinations / 2, 40);
    if (t->configs >= target || (!t->best && t->configs >= 4))
        return INFINITY;
    double cost = t->best ? t->best->cand.cost : 2 * s->best->cand.cost;
    return cost * (0.4 + t->configs / target);
}

static entry *undertuned(const builder *b) {
    double least = 2.5 * b->s->best->cand.cost;
    entry *found = NULL;
    for (size_t i = 0; i < b->s->texts.n; i++) {
        text_info *t = b->s->texts.v[i];
        double p = t->any ? tuning_priority(b->s, t) : INFINITY;
        entry *x = t->best ? t->best : t->any;
        if (p < least && x->fruitless[b->tune_arm] < 3)
            least = p, found = x;
    }
    return found;
}

static entry *by_rank(builder *b) {
    double u = hone_rng_unit(&b->rng), power = b->ctx.phase ? 3 : 1.7;
    size_t i = (size_t)(pow(u, power) * (double)b->s->n_population);
    return b->s->population[i < b->s->n_population ? i : b->s->n_population - 1];
}

// ---- arms

static bool arm_applies(builder *b, entry *parent, size_t a) {
    if (b->s->arms[a].proposer->fresh)
        return b->s->arms[a].proposer->applies(&b->ctx, &parent->cand, b->s->arms[a].move);
    if (!parent->applies[a]) {
        const hone_proposer *p = b->s->arms[a].proposer;
        parent->applies[a] = !p->applies || p->applies(&b->ctx, &parent->cand, b->s->arms[a].move) ? 1 : 2;
    }
    return parent->applies[a] == 1 && parent->fruitless[a] < 2;
}

// A model costs money and time and is asked for what moves cannot do, so it gets a fixed share of the proposals instead of one arm among many. No draw is
// made without a model: runs without one stay as they are.
static bool model_turn(builder *b) {
    double share = b->s->c->writer_share > 0 ? b->s->c->writer_share : 0.5;
    return b->ctx.writer && hone_rng_unit(&b->rng) < share;
}

static int pick_arm(builder *b, entry *parent, const char *context, bool only_model) {
    bool any = false;
    for (size_t a = 0; a < b->s->n_arms; a++) {
        bool is_model = b->ctx.writer && b->s->arms[a].proposer == &hone_proposer_llm;
        b->eligible[a] = (!b->ctx.writer || is_model == only_model) && arm_applies(b, parent, a);
        any |= b->eligible[a];
    }
    if (!any && only_model)   // no model answers now
        for (size_t a = 0; a < b->s->n_arms; a++)
            b->eligible[a] = b->s->arms[a].proposer != &hone_proposer_llm && arm_applies(b, parent, a);
    return hone_bandit_pick(b->s->bandit, context, b->eligible, &b->rng);
}

static const char *context_of(search *s, const entry *parent, unsigned phase) {
    const char *name = parent->facts.bottleneck[0] ? parent->facts.bottleneck : "unknown";
    char clean[32];
    snprintf(clean, sizeof clean, "%s", name);
    for (char *p = clean; *p; p++)
        if (*p == ' ' || *p == '\n')
            *p = '-';
    return hone_arena_printf(s->arena, "%s/%s", clean, phase ? "exploit" : "explore");
}

// ---- proposing

static hone_code admit_all(builder *b, entry *parent, int a, const char *context, const hone_proposal *p, size_t n, size_t quota,
                           size_t *added, bool *invalid, hone_err *e) {
    for (size_t i = 0; i < n && *added < quota; i++) {
        entry *x = NULL;
        bool bad = false;
        b->s->stats[a].tried++;
        HONE_TRY(hone_state_admit(b->s, b->ctx.arena, parent, &p[i], a, context, b->s->next_id + b->g->n, &x, &bad, e));
        *invalid |= bad;
        if (x) {
            b->g->v[b->g->n++] = (slot){.e = x, .same_as = -1};
            ++*added;
        }
    }
    return HONE_OK;
}

static hone_code try_arm(builder *b, entry *parent, int a, size_t want, size_t batch, hone_err *e) {
    hone_proposal p[8] = {{0}};
    size_t got = 0, added = 0, room = batch - b->g->n, ask = want < HONE_COUNT(p) ? want : HONE_COUNT(p);
    bool invalid = false, is_tune = a == b->tune_arm;
    const char *context = context_of(b->s, parent, b->ctx.phase);
    if (!context)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    const search_arm *m = &b->s->arms[a];
    hone_err why = {0};
    bool deferred = false;
    b->ctx.deferred = &deferred;
    hone_code c = m->proposer->propose(&b->ctx, &parent->cand, m->move, ask, p, &got, &why);
    if (c == HONE_E_NOMEM || c == HONE_E_INTERNAL || c == HONE_E_INTERRUPTED || c == HONE_E_IO)
        return hone_fail(e, c, why.sub, "%s", why.msg);
    if (c != HONE_OK)
        got = 0;   // a move that fails on this text is one that does not apply
    size_t quota = is_tune ? want : 1;
    HONE_TRY(admit_all(b, parent, a, context, p, got, quota < room ? quota : room, &added, &invalid, e));
    if (added) {
        parent->fruitless[a] = 0;
        return HONE_OK;
    }
    if (deferred)
        return HONE_OK;   // its worth shows when it comes
    parent->fruitless[a]++;
    return hone_bandit_update(b->s->bandit, context, (size_t)a, 0, invalid ? 0.3 : 0.1, e);
}

// ---- what was asked for earlier

static int arm_of(const search *s, const hone_proposer *p, const char *move) {
    for (size_t a = 0; a < s->n_arms; a++)
        if (s->arms[a].proposer == p && !strcmp(s->arms[a].move, move))
            return (int)a;
    return -1;
}

static hone_code take_deferred(builder *b, const hone_proposer *from, const hone_proposal *p, hone_err *e) {
    int a = arm_of(b->s, from, p->move);
    entry *parent = b->s->entries.v[p->parents[0]->id];
    const char *context = context_of(b->s, parent, b->ctx.phase);
    size_t added = 0;
    bool invalid = false;
    if (!context)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    HONE_TRY(admit_all(b, parent, a, context, p, p->text ? 1 : 0, 1, &added, &invalid, e));
    if (added)
        return HONE_OK;
    parent->fruitless[a]++;
    return hone_bandit_update(b->s->bandit, context, (size_t)a, 0, invalid ? 0.3 : 0.1, e);
}

// Candidates that proposers deferred in earlier generations and that are there now take places before new ones are asked for.
static hone_code collect(builder *b, size_t batch, bool *any, hone_err *e) {
    for (size_t a = 0; a < b->s->n_arms && b->s->n_population; a++) {
        const hone_proposer *p = b->s->arms[a].proposer;
        bool got = p->collect && (a == 0 || b->s->arms[a - 1].proposer != p);
        while (got && b->g->n < batch) {
            hone_proposal x;
            HONE_TRY(p->collect(&b->ctx, &x, &got, e));
            *any |= got;
            if (got)
                HONE_TRY(take_deferred(b, p, &x, e));
        }
    }
    return HONE_OK;
}

static hone_code one_try(builder *b, size_t batch, hone_err *e) {
    bool only_model = model_turn(b);
    entry *parent = !only_model && b->tune_arm >= 0 && hone_rng_unit(&b->rng) < 0.4 ? undertuned(b) : NULL;
    size_t room = batch - b->g->n;
    if (parent)
        return try_arm(b, parent, b->tune_arm, room < 2 ? room : 2, batch, e);
    parent = by_rank(b);
    const char *context = context_of(b->s, parent, b->ctx.phase);
    if (!context)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    int a = pick_arm(b, parent, context, only_model);
    if (a < 0)
        return HONE_OK;
    return try_arm(b, parent, a, a == b->tune_arm ? (room < 2 ? room : 2) : 3, batch, e);
}

static int find_tune_arm(const search *s) {
    for (size_t a = 0; a < s->n_arms; a++)
        if (strcmp(s->arms[a].proposer->name, "tune") == 0)
            return (int)a;
    return -1;
}

static hone_pace pace_of(const search *s, const generation *g) {
    return s->idle ? HONE_PACE_IDLE : s->next_id + g->n < s->rows.n ? HONE_PACE_REPEATING : HONE_PACE_LIVE;
}

static hone_code build(search *s, generation *g, hone_arena *arena, size_t batch, hone_err *e) {
    bool came = false;
    builder b = {.s = s, .g = g, .tune_arm = find_tune_arm(s)};
    b.eligible = hone_arena_array(arena, s->n_arms + 1, sizeof(bool));
    if (!b.eligible)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    s->generation++;
    hone_rng_init(&b.rng, s->c->seed, 0x5ea4c40000000000u + s->generation);
    for (size_t i = 0; i < s->n_population; i++)
        b.population[i] = &s->population[i]->cand;
    b.ctx = (hone_context){.task = s->c->task,
                           .arena = arena,
                           .rng = &b.rng,
                           .population = b.population,
                           .n_population = s->n_population,
                           .phase = s->evaluations > 0 && s->since_best < 12,
                           .history = s->history.v,
                           .n_history = s->history.n,
                           .tune_cache = s->tune_cache,
                           .writer = s->c->writer,
                           .generation = s->generation,
                           .pace = pace_of(s, g)};
    HONE_TRY(hone_inbox_fill(s, g, arena, &b.ctx, batch, e));
    HONE_TRY(collect(&b, batch, &came, e));
    if (s->idle && g->n == 0) {   // with nothing taken, as if it had not been tried: how often that is depends on time
        s->generation -= !came;
        return HONE_OK;
    }
    for (size_t attempt = 0; attempt < 16 * batch && g->n < batch && s->n_population; attempt++)
        HONE_TRY(one_try(&b, batch, e));
    return HONE_OK;
}

// A screen's first generations are small: they can only vary the baseline, and a large one would vary it to no end.
static size_t batch_of(const search *s) {
    size_t batch = s->c->batch ? s->c->batch : HONE_SEARCH_BATCH;
    if (batch > HONE_SEARCH_MAX_BATCH)
        batch = HONE_SEARCH_MAX_BATCH;
    return s->c->screen && s->generation < 2 ? (batch + 3) / 4 << s->generation : batch;
}

hone_code hone_generation_build(search *s, generation *g, hone_err *e) {
    *g = (generation){0};
    size_t batch = batch_of(s);
    hone_arena *arena = hone_arena_new((size_t)256 << 20);
    if (!arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    hone_code c = build(s, g, arena, batch, e);
    hone_arena_free(arena);
    s->barren = g->n ? 0 : s->barren + 1;
    s->idle = s->idle && g->n == 0;
    return c;
}
