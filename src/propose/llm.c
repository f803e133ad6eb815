// propose/llm: see llm.h. Everything here is a function of the history and the answers, so that a run replays. Which (model, template, exemplars) is asked
// is learnt by a bandit of its own: the reward is the rank of the log gain over the parent, divided by what the answer cost relative to the mean.
#include "propose/llm_internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const hone_llm_moves[] = {"write", "repair", "cross", NULL};
enum { STYLES = 2 };   // write-analysis, write-direct
typedef hone_asked asked;
typedef hone_arm arm;

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the llm proposer"); }

// ---- life

static void task_amounts(hone_writer *w) {
    hone_plan *p = NULL;
    hone_env none = {0};
    if (w->c.task->n_sizes && hone_plan_make(w->c.task, &w->c.task->sizes[0], &none, &p, NULL) == HONE_OK) {
        w->flops = p->has_flops ? p->flops : 0;
        w->bytes = p->has_bytes ? p->bytes_moved : 0;
    }
    hone_plan_free(p);
}

static hone_code make_arms(hone_writer *w, hone_err *e) {
    char names[HONE_MAX_ARMS][16];
    const char *list[HONE_MAX_ARMS];
    for (size_t m = 0; m < w->c.models->n; m++)
        for (size_t s = 0; s < STYLES; s++)
            for (int p = 0; p < HONE_EXEMPLARS_COUNT && w->n_arms < HONE_MAX_ARMS; p++) {
                snprintf(names[w->n_arms], sizeof names[0], "a%zu", w->n_arms);
                list[w->n_arms] = names[w->n_arms];
                w->arms[w->n_arms++] = (arm){m, s, (hone_exemplars)p};
            }
    hone_bandit_options o = {.discount = 0.95, .min_share = 0.02};
    w->bandit = hone_bandit_new(list, w->n_arms, &o);
    w->closed = hone_calloc(w->c.models->n, sizeof *w->closed);
    return w->bandit && w->closed ? HONE_OK : nomem(e);
}

hone_code hone_writer_new(const hone_writer_config *c, hone_writer **out, hone_err *e) {
    hone_writer *w = hone_calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return nomem(e);
    w->c = *c;
    task_amounts(w);
    hone_code code = make_arms(w, e);
    if (code == HONE_OK)
        *out = w;
    else
        hone_writer_free(w);
    return code;
}

void hone_writer_free(hone_writer *w) {
    if (!w)
        return;
    for (size_t i = 0; i < w->asked.n; i++)
        hone_free(w->asked.v[i].text);
    for (size_t i = 0; i < w->pending.n; i++)
        hone_free(w->pending.v[i].prompt);
    hone_vec_free(&w->pending);
    hone_vec_free(&w->asked);
    hone_vec_free(&w->notes);
    hone_prints_free(w->prints);
    hone_bandit_free(w->bandit);
    hone_reward_scale_free(&w->scale);
    hone_free(w->closed);
    hone_free(w);
}

bool hone_writer_open(const hone_writer *w) {
    bool any = false;
    for (size_t i = 0; i < w->c.models->n; i++)
        any |= !w->closed[i].is;
    return any && w->useless < HONE_MAX_USELESS;
}

bool hone_writer_waits(const hone_writer *w) { return w->pending.n > 0; }

size_t hone_writer_notes(const hone_writer *w, const hone_writer_note **out) {
    *out = w->notes.v;
    return w->notes.n;
}
const hone_prompts *hone_writer_prompts(const hone_writer *w) { return w->c.prompts; }

// ---- what became of answers

static hone_code learn(hone_writer *w, size_t i, double gain, hone_err *e) {
    double r = 0, mean = w->n_costs ? w->cost_sum / (double)w->n_costs : 0;
    asked *a = &w->asked.v[i];
    HONE_TRY(hone_reward_of(&w->scale, gain, &r, e));
    if (mean > 0)
        r /= fmin(4, fmax(1, w->notes.v[i].cost / mean));
    a->settled = true;
    return hone_bandit_update(w->bandit, "llm", a->arm, r, 1, e);
}

static hone_code meet(hone_writer *w, size_t i, const hone_candidate *c, hone_err *e) {
    asked *a = &w->asked.v[i];
    hone_writer_note *n = &w->notes.v[i];
    double gain = c->ok && a->parent_cost > 0 ? log(a->parent_cost / c->cost) : 0;
    n->has_candidate = true;
    n->candidate = c->id;
    n->gain = c->ok ? exp(gain) : 0;
    snprintf(n->outcome, sizeof n->outcome, "%s", !c->ok ? (c->finding_kind ? c->finding_kind : "error") : gain > 0.005 ? "improved" : "passed");
    a->failed = c->ok ? NULL : c;
    return learn(w, i, gain > 0.005 ? gain : 0, e);
}

hone_code hone_writer_settle(hone_writer *w, const hone_candidate *const *history, size_t n, uint64_t generation, hone_err *e) {
    for (; w->seen < n; w->seen++) {
        const hone_candidate *c = history[w->seen];
        for (size_t i = 0; i < w->asked.n && !strcmp(c->proposer, hone_proposer_llm.name); i++) {
            const asked *a = &w->asked.v[i];
            if (a->settled || !a->text || a->len != c->len || memcmp(a->text, c->text, a->len) != 0)
                continue;
            HONE_TRY(meet(w, i, c, e));
            break;
        }
    }
    for (size_t i = 0; i < w->asked.n; i++) {
        if (w->asked.v[i].settled || w->asked.v[i].generation >= generation)
            continue;
        snprintf(w->notes.v[i].outcome, sizeof w->notes.v[i].outcome, "%s", generation == UINT64_MAX ? "not-evaluated" : "not-new");
        HONE_TRY(learn(w, i, 0, e));
    }
    return generation == UINT64_MAX ? hone_asking_abandon(w, e) : HONE_OK;
}

// ---- the proposer

static asked *to_repair(hone_writer *w) {
    for (size_t i = w->asked.n; i-- > 0;) {
        asked *a = &w->asked.v[i];
        if (a->failed && !a->repaired && a->repairs < HONE_MAX_REPAIRS)
            return a;
    }
    return NULL;
}

static const hone_candidate *other_parent(const hone_context *ctx, const hone_candidate *parent) {
    size_t n = 0;
    const hone_candidate *found = NULL;
    for (size_t i = 0; i < ctx->n_population; i++) {   // each as likely
        const hone_candidate *c = ctx->population[i];
        if (c->id == 0 || (c->len == parent->len && !memcmp(c->text, parent->text, c->len)))
            continue;
        if (hone_rng_below(ctx->rng, ++n) == 0)
            found = c;
    }
    return found;
}

static bool has_other(const hone_context *ctx, const hone_candidate *parent) {
    for (size_t i = 0; i < ctx->n_population; i++)
        if (ctx->population[i]->id && (ctx->population[i]->len != parent->len || memcmp(ctx->population[i]->text, parent->text, parent->len) != 0))
            return true;
    return false;
}

static int move_of(const char *move) {
    for (int i = 0; hone_llm_moves[i]; i++)
        if (!strcmp(hone_llm_moves[i], move))
            return i;
    return -1;
}

static bool applies(const hone_context *ctx, const hone_candidate *parent, const char *move) {
    hone_writer *w = ctx->writer;
    if (!w || ctx->n_history == 0 || !hone_writer_open(w) || w->pending.n >= HONE_MAX_PENDING || (w->generation == ctx->generation && w->asks >= HONE_MAX_ASKS))
        return false;
    switch (move_of(move)) {
    case HONE_MOVE_WRITE: return true;
    case HONE_MOVE_REPAIR: hone_writer_settle(w, ctx->history, ctx->n_history, ctx->generation, NULL); return to_repair(w) != NULL;
    case HONE_MOVE_CROSS: return parent->id != 0 && has_other(ctx, parent);
    default: return false;
    }
}

static bool pick(hone_asking *q) {
    bool eligible[HONE_MAX_ARMS];
    for (size_t i = 0; i < q->w->n_arms; i++)
        eligible[i] = !q->w->closed[q->w->arms[i].model].is;
    int a = hone_bandit_pick(q->w->bandit, "llm", eligible, q->ctx->rng);
    q->arm = a < 0 ? 0 : (size_t)a;
    return a >= 0;
}

static void enter(hone_writer *w, uint64_t generation) {
    if (w->generation != generation) {
        w->generation = generation;
        w->asks = 0;
    }
}

static hone_code propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got, hone_err *e) {
    hone_writer *w = ctx->writer;
    hone_asking q = {.w = w, .ctx = ctx, .parent = parent, .move = move_of(move)};
    bool deferred = false;
    *got = 0;
    if (n == 0 || !applies(ctx, parent, move))
        return HONE_OK;
    enter(w, ctx->generation);
    HONE_TRY(hone_writer_settle(w, ctx->history, ctx->n_history, ctx->generation, e));
    if (q.move == HONE_MOVE_REPAIR) {
        asked *a = to_repair(w);
        a->repaired = true;
        q.parent = a->failed;
        q.repairs = a->repairs + 1;
    }
    if (q.move == HONE_MOVE_CROSS && !(q.second = other_parent(ctx, parent)))
        return HONE_OK;
    if (!pick(&q))
        return HONE_OK;
    HONE_TRY(hone_asking_prompt(&q, e));
    HONE_TRY(hone_asking_put(&q, out, got, &deferred, e));
    if (deferred && ctx->deferred)
        *ctx->deferred = true;
    return HONE_OK;
}

// A model that was closed in an earlier sitting may answer in this one: a key was mended, a budget raised.
static hone_code reopen(hone_writer *w, const hone_context *ctx, hone_err *e) {
    const hone_models *m = w->c.models;
    for (size_t i = 0; i < m->n; i++) {
        hone_closed *k = &w->closed[i];
        bool now = k->is && k->replayed && (k->reopens ? ctx->generation >= k->reopens : ctx->pace != HONE_PACE_REPEATING && m->reopen);
        if (now && !k->reopens)
            HONE_TRY(m->reopen(m->self, k->key, ctx->generation, e));
        k->is = k->is && !now;
    }
    return HONE_OK;
}

static hone_code collect(const hone_context *ctx, hone_proposal *out, bool *got, hone_err *e) {
    hone_writer *w = ctx->writer;
    *got = false;
    if (!w || ctx->n_history == 0)
        return HONE_OK;
    if (w->generation != ctx->generation)
        HONE_TRY(reopen(w, ctx, e));
    enter(w, ctx->generation);
    HONE_TRY(hone_writer_settle(w, ctx->history, ctx->n_history, ctx->generation, e));
    return hone_asking_collect(w, ctx, out, got, e);
}

const hone_proposer hone_proposer_llm = {.name = "llm", .moves = hone_llm_moves, .propose = propose, .applies = applies, .collect = collect, .fresh = true};
