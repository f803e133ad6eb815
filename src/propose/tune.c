// propose/tune: see tune.h. A text is parsed and its space enumerated once (tune_space); asking is then a matter of collecting what is
// known of that text.
#include "propose/tune.h"
#include <stdio.h>
#include <string.h>

enum { CACHE = 8, MAX_LIST = 200000, MAX_VISITS = 400000, ROUNDS = 6 };

typedef struct tune_space {
    const char *text;
    size_t len;   // the task's copy
    hone_task *task;
    hone_space *space;   // NULL: no tune lines, or none that fit
    size_t depth_of[64];
    size_t n_wheres;   // where i is decided once that many parameters have values
    uint64_t used;
} tune_space;
struct hone_tune_cache {
    tune_space *v[CACHE];
    uint64_t clock;
};

// ---- constraints

static void place_wheres(tune_space *t) {
    t->n_wheres = t->task->n_wheres < HONE_COUNT(t->depth_of) ? t->task->n_wheres : HONE_COUNT(t->depth_of);
    for (size_t w = 0; w < t->n_wheres; w++) {
        t->depth_of[w] = 1;
        for (size_t i = 0; i < t->task->n_tunes; i++)
            if (hone_expr_mentions(t->task->wheres[w], t->task->tunes[i].name))
                t->depth_of[w] = i + 1;
    }
}

// Only constraints decided by this very prefix: shorter ones held before. An expression that cannot be evaluated (division by zero)
// excludes.
static bool prefix_ok(void *ctx, const int64_t *values, size_t n) {
    const tune_space *t = ctx;
    hone_binding v[HONE_SPACE_MAX_PARAMS];
    for (size_t i = 0; i < n; i++)
        v[i] = (hone_binding){t->task->tunes[i].name, values[i]};
    for (size_t w = 0; w < t->n_wheres; w++) {
        if (t->depth_of[w] != n)
            continue;
        for (size_t s = 0; s < t->task->n_sizes; s++) {
            hone_env sizes = {t->task->sizes[s].v, t->task->sizes[s].n, NULL}, env = {v, n, &sizes};
            int64_t holds = 0;
            if (hone_expr_int(t->task->wheres[w], &env, &holds, NULL) != HONE_OK || !holds)
                return false;
        }
    }
    return true;
}

// Whether a device could launch it at every main size: grid, block and buffers evaluate to something within limits.
static bool launchable(const tune_space *t, const hone_binding *tuning, size_t n) {
    hone_env env = {tuning, n, NULL};
    for (size_t s = 0; s < t->task->n_sizes; s++) {
        hone_plan *plan = NULL;
        if (hone_plan_make(t->task, &t->task->sizes[s], &env, &plan, NULL) != HONE_OK)
            return false;
        hone_plan_free(plan);
    }
    return true;
}

// ---- spaces

static void space_free(tune_space *t) {
    if (!t)
        return;
    hone_space_free(t->space);
    hone_task_free(t->task);
    hone_free(t);
}

static hone_code space_of_task(tune_space *t, hone_err *e) {
    hone_space_param params[HONE_SPACE_MAX_PARAMS];
    if (t->task->n_tunes == 0 || t->task->n_tunes > HONE_SPACE_MAX_PARAMS)
        return HONE_OK;
    for (size_t i = 0; i < t->task->n_tunes; i++)
        params[i] = (hone_space_param){t->task->tunes[i].name, t->task->tunes[i].values, t->task->tunes[i].n_values};
    place_wheres(t);
    hone_code c = hone_space_new(params, t->task->n_tunes, prefix_ok, t, MAX_LIST, MAX_VISITS, &t->space, e);
    if (c == HONE_E_LIMIT) {   // more combinations than a number holds: not searched
        hone_err_clear(e);
        return HONE_OK;
    }
    return c;
}

// A text that does not parse has no space: propose then yields nothing, the evaluation says why it is wrong.
static hone_code space_new(const hone_context *ctx, const hone_candidate *parent, tune_space **out, hone_err *e) {
    tune_space *t = hone_calloc(1, sizeof *t);
    if (!t)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the tune proposer");
    hone_diags diags = {.arena = ctx->arena};
    hone_err ignored = {0};
    hone_code c = hone_task_parse(ctx->task->path, parent->text, parent->len, &t->task, &diags, &ignored);
    if (c == HONE_OK) {
        t->text = t->task->text;
        t->len = t->task->len;
        c = space_of_task(t, e);
    } else if (c == HONE_E_NOMEM) {
        c = hone_fail(e, c, 0, "out of memory in the tune proposer");
    } else {
        c = HONE_OK;
    }
    if (c != HONE_OK) {
        space_free(t);
        return c;
    }
    *out = t;
    return HONE_OK;
}

hone_tune_cache *hone_tune_cache_new(void) { return hone_calloc(1, sizeof(hone_tune_cache)); }

void hone_tune_cache_free(hone_tune_cache *c) {
    for (size_t i = 0; c && i < CACHE; i++)
        space_free(c->v[i]);
    hone_free(c);
}

static bool same_text(const char *a, size_t n, const char *b, size_t m) { return n == m && (a == b || memcmp(a, b, n) == 0); }

// *owned: the caller frees it (there is no cache, or the text does not parse).
static hone_code space_for(const hone_context *ctx, const hone_candidate *parent, tune_space **out, bool *owned, hone_err *e) {
    hone_tune_cache *c = ctx->tune_cache;
    *owned = true;
    if (!c)
        return space_new(ctx, parent, out, e);
    size_t oldest = 0;
    for (size_t i = 0; i < CACHE; i++) {
        tune_space *t = c->v[i];
        if (t && same_text(t->text, t->len, parent->text, parent->len)) {
            t->used = ++c->clock;
            *out = t;
            *owned = false;
            return HONE_OK;
        }
        if (c->v[oldest] && (!t || t->used < c->v[oldest]->used))
            oldest = i;
    }
    HONE_TRY(space_new(ctx, parent, out, e));
    if (!(*out)->task)
        return HONE_OK;
    space_free(c->v[oldest]);
    c->v[oldest] = *out;
    (*out)->used = ++c->clock;
    *owned = false;
    return HONE_OK;
}

// ---- what is known

static bool config_of(const tune_space *t, const hone_candidate *c, uint64_t *config) {
    int64_t values[HONE_SPACE_MAX_PARAMS];
    for (size_t i = 0; i < t->task->n_tunes; i++) {
        values[i] = t->task->tunes[i].values[0];
        for (size_t k = 0; k < c->n_tuning; k++)
            if (strcmp(c->tuning[k].name, t->task->tunes[i].name) == 0)
                values[i] = c->tuning[k].value;
    }
    return hone_space_find(t->space, values, config);
}

typedef struct known {
    hone_observation *v;
    size_t n, cap;
} known;

static void add_known(const tune_space *t, known *k, const hone_candidate *c) {
    uint64_t config;
    if (k->n < k->cap && c->evaluated && same_text(t->text, t->len, c->text, c->len) && config_of(t, c, &config))
        k->v[k->n++] = (hone_observation){config, c->ok && c->cost > 0, c->cost};
}

static hone_code collect(const hone_context *ctx, const tune_space *t, size_t room, known *k, hone_err *e) {
    bool whole = ctx->n_history > 0;   // the population is part of the history
    size_t n = whole ? ctx->n_history : ctx->n_population;
    *k = (known){hone_arena_array(ctx->arena, n + room + 1, sizeof *k->v), 0, n};
    if (!k->v)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the tune proposer");
    for (size_t i = 0; i < n; i++)
        add_known(t, k, whole ? ctx->history[i] : ctx->population[i]);
    k->cap = n + room + 1;
    return HONE_OK;
}

// ---- proposing

static hone_code to_proposal(const hone_context *ctx, const hone_candidate *parent, const tune_space *t, const int64_t *values,
                             hone_proposal *p, hone_err *e) {
    size_t n = t->task->n_tunes;
    hone_binding *b = hone_arena_array(ctx->arena, n, sizeof *b);
    hone_str note;
    hone_str_init(&note, 1024);
    for (size_t i = 0; b && i < n; i++) {
        b[i] = (hone_binding){hone_arena_strdup(ctx->arena, t->task->tunes[i].name), values[i]};
        hone_str_addf(&note, "%s%s=%lld", i ? " " : "", t->task->tunes[i].name, (long long)values[i]);
    }
    *p = (hone_proposal){.text = parent->text, .len = parent->len, .tuning = b, .n_tuning = n, .move = "parameters",
                         .note = hone_arena_strdup(ctx->arena, note.s)};
    hone_str_free(&note);
    return b && p->note ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the tune proposer");
}

static hone_code ask(const hone_context *ctx, const hone_candidate *parent, const tune_space *t, size_t n, hone_proposal *out, size_t *got,
                     hone_err *e) {
    known k;
    HONE_TRY(collect(ctx, t, ROUNDS * n, &k, e));
    uint64_t configs[64];
    for (size_t round = 0; round < ROUNDS && *got < n; round++) {
        size_t want = n - *got < HONE_COUNT(configs) ? n - *got : HONE_COUNT(configs), answered = 0;
        HONE_TRY(hone_tuner_ask(t->space, k.v, k.n, NULL, ctx->rng, want, configs, &answered, e));
        for (size_t i = 0; i < answered; i++) {
            int64_t values[HONE_SPACE_MAX_PARAMS];
            hone_space_values(t->space, configs[i], values);
            hone_proposal p;
            HONE_TRY(to_proposal(ctx, parent, t, values, &p, e));
            if (k.n < k.cap)
                k.v[k.n++] = (hone_observation){configs[i], false, 0};   // not to be asked for again in this call
            if (launchable(t, p.tuning, p.n_tuning))
                out[(*got)++] = p;
        }
        if (answered == 0)
            break;
    }
    return HONE_OK;
}

static hone_code propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got,
                         hone_err *e) {
    (void)move;
    *got = 0;
    tune_space *t = NULL;
    bool owned = false;
    HONE_TRY(space_for(ctx, parent, &t, &owned, e));
    hone_code c = t->space ? ask(ctx, parent, t, n, out, got, e) : HONE_OK;
    if (owned)
        space_free(t);
    return c;
}

// Cheap: a line that starts with #pragma hone tune, whatever its spacing.
static bool applies(const hone_context *ctx, const hone_candidate *parent, const char *move) {
    (void)ctx;
    (void)move;
    const char *p = parent->text, *end = parent->text + parent->len;
    static const char *const words[] = {"#", "pragma", "hone", "tune"};
    for (; p && p < end; p = memchr(p, '\n', (size_t)(end - p)), p = p ? p + 1 : NULL) {
        const char *q = p;
        size_t w = 0;
        for (; w < HONE_COUNT(words); w++) {
            while (q < end && (*q == ' ' || *q == '\t'))
                q++;
            size_t len = strlen(words[w]);
            if ((size_t)(end - q) < len || memcmp(q, words[w], len) != 0)
                break;
            q += len;
        }
        if (w == HONE_COUNT(words))
            return true;
    }
    return false;
}

static const char *const moves[] = {"parameters", NULL};
const hone_proposer hone_proposer_tune = {.name = "tune", .moves = moves, .propose = propose, .applies = applies};
