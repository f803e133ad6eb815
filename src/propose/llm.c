// propose/llm: see llm.h. Everything here is a function of the history and the answers, so that a run replays. Which (model, template, exemplars) is asked
// is learnt by a bandit of its own: the reward is the rank of the log gain over the parent, divided by what the answer cost relative to the mean.
#include "propose/llm_internal.h"
#include "learn/bandit.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_ASKS = 8,        // questions per generation
    MAX_USELESS = 12,    // in a row, over all models: then no more are asked
    MAX_REPAIRS = 2,     // turns for one refused candidate and its repairs
    MAX_ARMS = 256
};
enum { MOVE_WRITE, MOVE_REPAIR, MOVE_CROSS };
static const char *const moves[] = {"write", "repair", "cross", NULL};
static const char *const styles[] = {"write-analysis", "write-direct"};

typedef struct asked {
    char *text;   // of the candidate; NULL: none came of it
    size_t len, arm;
    uint64_t generation;
    double parent_cost;
    unsigned repairs;   // turns that led here
    bool settled, repaired;
    const hone_candidate *failed;   // when it was refused: for a repair
} asked;
typedef struct arm { size_t model, style; hone_exemplars policy; } arm;

struct hone_writer {
    hone_writer_config c;
    double flops, bytes;
    arm arms[MAX_ARMS];
    size_t n_arms;
    hone_bandit *bandit;
    hone_reward_scale scale;
    bool *closed;   // per model
    HONE_VEC(asked) asked;
    HONE_VEC(hone_writer_note) notes;   // beside asked, one each
    size_t seen;                        // of the history
    uint64_t generation;
    unsigned asks, useless;             // in this generation; in a row
    double cost_sum;
    size_t n_costs;
};

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
    char names[MAX_ARMS][16];
    const char *list[MAX_ARMS];
    for (size_t m = 0; m < w->c.models->n; m++)
        for (size_t s = 0; s < HONE_COUNT(styles); s++)
            for (int p = 0; p < HONE_EXEMPLARS_COUNT && w->n_arms < MAX_ARMS; p++) {
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
    hone_vec_free(&w->asked);
    hone_vec_free(&w->notes);
    hone_bandit_free(w->bandit);
    hone_reward_scale_free(&w->scale);
    hone_free(w->closed);
    hone_free(w);
}

bool hone_writer_open(const hone_writer *w) {
    bool any = false;
    for (size_t i = 0; i < w->c.models->n; i++)
        any |= !w->closed[i];
    return any && w->useless < MAX_USELESS;
}

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
    return HONE_OK;
}

// ---- prompts

typedef struct question {
    hone_writer *w;
    const hone_context *ctx;
    const hone_candidate *parent, *second;   // second: crossover
    int move;
    size_t arm;
    unsigned repairs;
    const char *prompt;
} question;

static hone_scale_words scale_of(const question *q) {
    return (hone_scale_words){q->ctx->history[0], q->w->flops, q->w->bytes, q->w->c.bandwidth_gbs};
}

static hone_code keep(const hone_context *ctx, hone_str *s, const char **out, hone_err *e) {
    hone_code c = hone_str_check(s, "a prompt", e);
    *out = c == HONE_OK ? hone_arena_strdup(ctx->arena, s->s) : NULL;
    hone_str_free(s);
    return c != HONE_OK ? c : *out ? HONE_OK : nomem(e);
}

static hone_code candidate_text(const question *q, const hone_candidate *c, const char **out, hone_err *e) {
    hone_scale_words scale = scale_of(q);
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_candidate(&scale, c, &s);
    return keep(q->ctx, &s, out, e);
}

static hone_code contract_text(const question *q, const char **out, hone_err *e) {
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_contract(q->w->c.task, &s);
    return keep(q->ctx, &s, out, e);
}

static hone_code exemplars_text(const question *q, const char **out, hone_err *e) {
    const hone_candidate *v[HONE_EXEMPLARS_MAX];
    hone_scale_words scale = scale_of(q);
    size_t n = 0;
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_code c = hone_pick_exemplars(q->ctx, q->ctx->history[0], q->w->arms[q->arm].policy, v, &n, e);
    for (size_t i = 0; c == HONE_OK && i < n; i++)
        hone_words_candidate(&scale, v[i], &s);
    if (n == 0)
        hone_str_add(&s, "None yet.\n");
    if (c == HONE_OK)
        return keep(q->ctx, &s, out, e);
    hone_str_free(&s);
    return c;
}

static hone_code findings_text(const question *q, const char **out, hone_err *e) {
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_finding(q->parent, &s);
    return keep(q->ctx, &s, out, e);
}

static hone_code make_prompt(question *q, hone_err *e) {
    hone_place v[7] = {{"device", q->w->c.device}, {"contract", NULL}, {"baseline", NULL}, {"parent", NULL}};
    size_t n = 4;
    HONE_TRY(contract_text(q, &v[1].text, e));
    HONE_TRY(candidate_text(q, q->ctx->history[0], &v[2].text, e));
    HONE_TRY(candidate_text(q, q->parent, &v[3].text, e));
    if (q->move == MOVE_WRITE) {
        v[n].name = "exemplars";
        HONE_TRY(exemplars_text(q, &v[n++].text, e));
    } else if (q->move == MOVE_REPAIR) {
        v[n].name = "findings";
        HONE_TRY(findings_text(q, &v[n++].text, e));
    } else {
        v[n].name = "second";
        HONE_TRY(candidate_text(q, q->second, &v[n++].text, e));
    }
    const char *name = q->move == MOVE_WRITE ? styles[q->w->arms[q->arm].style] : moves[q->move];
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_code c = hone_prompt_render(q->w->c.prompts, name, v, n, &s, e);
    if (c == HONE_OK)
        return keep(q->ctx, &s, &q->prompt, e);
    hone_str_free(&s);
    return c;
}

// ---- answers

typedef struct verdict { const char *name; char detail[240]; hone_span file; } verdict;   // name NULL: usable

static bool judge(const question *q, const hone_answer *a, verdict *v) {
    const char *words = "";
    hone_err why = {0};
    *v = (verdict){0};
    if (!hone_reply_file(a->text, a->len, &v->file, &v->name, &words)) {
        v->name = a->cut ? "reply.cut" : v->name;
        snprintf(v->detail, sizeof v->detail, "%s", a->cut ? "it was cut at its maximum length" : words);
        return false;
    }
    hone_task *t = NULL;
    hone_diags diags = {.arena = q->ctx->arena};
    if (hone_task_parse(q->w->c.task->path, v->file.s, v->file.n, &t, &diags, &why) != HONE_OK)
        v->name = "task.syntax";
    else if (hone_task_same_contract(q->w->c.task, t, &why) != HONE_OK)
        v->name = "static.contract";
    const char *detail = v->name && !strcmp(v->name, "task.syntax") && diags.n && diags.v[0].msg ? diags.v[0].msg : why.msg;
    snprintf(v->detail, sizeof v->detail, "%.239s", v->name ? detail : "");
    hone_task_free(t);
    return v->name == NULL;
}

static hone_code note(const question *q, const hone_answer *a, const verdict *v, const char *outcome, hone_err *e) {
    hone_writer *w = q->w;
    const arm *m = &w->arms[q->arm];
    hone_writer_note n = {.model = w->c.models->name(w->c.models->self, m->model),
                          .move = moves[q->move],
                          .style = q->move == MOVE_WRITE ? styles[m->style] : moves[q->move],
                          .exemplars = q->move == MOVE_WRITE ? hone_exemplar_names[m->policy] : "",
                          .tokens = a->tokens,
                          .cost = a->cost};
    asked x = {.arm = q->arm, .generation = w->generation, .parent_cost = q->parent->ok ? q->parent->cost : q->ctx->history[0]->cost, .repairs = q->repairs};
    memcpy(n.key, a->key, sizeof n.key);
    snprintf(n.outcome, sizeof n.outcome, "%s", outcome);
    snprintf(n.detail, sizeof n.detail, "%.239s", v ? v->detail : a->why);
    if (v && !v->name && !(x.text = hone_strndup(v->file.s, x.len = v->file.n)))
        return nomem(e);
    x.settled = x.text == NULL;
    if (!hone_vec_push(&w->notes, n) || !hone_vec_push(&w->asked, x))
        return nomem(e);
    w->cost_sum += a->cost;
    w->n_costs++;
    w->useless = x.text ? 0 : w->useless + 1;
    return x.text ? HONE_OK : hone_bandit_update(w->bandit, "llm", q->arm, 0, 1, e);
}

static hone_code offer(const question *q, const verdict *v, hone_proposal *out, size_t *got, hone_err *e) {
    const char *model = q->w->c.models->name(q->w->c.models->self, q->w->arms[q->arm].model);
    static const char *const words[] = {"written", "repaired", "joined from two"};
    *out = (hone_proposal){.text = hone_arena_strndup(q->ctx->arena, v->file.s, v->file.n),
                           .len = v->file.n,
                           .move = moves[q->move],
                           .note = hone_arena_printf(q->ctx->arena, "%s by %s", words[q->move], model),
                           .parents = {q->parent, q->second},
                           .n_parents = q->second ? 2 : 1};
    *got = 1;
    return out->text && out->note ? HONE_OK : nomem(e);
}

static hone_code ask_once(const question *q, const struct hone_turn *turns, size_t n, hone_answer *a, hone_err *e) {
    const char *system = hone_prompt_text(q->w->c.prompts, "system");
    hone_question ask = {system, turns, n, q->w->c.task->name};
    *a = (hone_answer){0};
    q->w->asks++;
    hone_code c = q->w->c.models->ask(q->w->c.models->self, q->w->arms[q->arm].model, &ask, a, e);
    if (c == HONE_OK && a->end == HONE_ANSWER_CLOSED)
        q->w->closed[q->w->arms[q->arm].model] = true;
    return c;
}

// What was wrong with the form of an answer, and the answer itself, go back once.
static hone_code ask_again(const question *q, const hone_answer *first, const verdict *v, hone_answer *a, hone_err *e) {
    hone_str reason, prompt;
    const char *contract, *text;
    HONE_TRY(contract_text(q, &contract, e));
    hone_str_init(&reason, 8192);
    hone_str_add(&reason, v->name);
    hone_str_addc(&reason, '\n');
    hone_prompt_data(&reason, "reason", v->detail, strlen(v->detail));
    hone_str_init(&prompt, HONE_PROMPT_MAX);
    hone_place places[] = {{"findings", reason.s}, {"contract", contract}};
    hone_code c = hone_prompt_render(q->w->c.prompts, "again", places, 2, &prompt, e);
    hone_str_free(&reason);
    if (c != HONE_OK) {
        hone_str_free(&prompt);
        return c;
    }
    HONE_TRY(keep(q->ctx, &prompt, &text, e));
    hone_str shown;
    const char *own;
    hone_str_init(&shown, HONE_PROMPT_MAX);
    hone_prompt_data(&shown, "your answer", first->text, first->len);
    HONE_TRY(keep(q->ctx, &shown, &own, e));
    struct hone_turn turns[] = {{"user", q->prompt}, {"assistant", own}, {"user", text}};
    return ask_once(q, turns, HONE_COUNT(turns), a, e);
}

// One question, and one more when the answer's form is wrong. Each leaves a note.
static hone_code converse(question *q, hone_proposal *out, size_t *got, hone_err *e) {
    hone_answer a, b = {0};
    verdict v;
    struct hone_turn turn = {"user", q->prompt};
    hone_code c = ask_once(q, &turn, 1, &a, e);
    bool usable = c == HONE_OK && a.end == HONE_ANSWER_TEXT && judge(q, &a, &v);
    if (c == HONE_OK && a.end != HONE_ANSWER_TEXT)
        c = note(q, &a, NULL, a.end == HONE_ANSWER_CLOSED ? "closed" : "reply.none", e);
    else if (c == HONE_OK)
        c = note(q, &a, &v, usable ? "not-evaluated" : v.name, e);
    if (c == HONE_OK && usable)
        c = offer(q, &v, out, got, e);
    if (c == HONE_OK && !usable && a.end == HONE_ANSWER_TEXT && q->w->asks < MAX_ASKS) {
        c = ask_again(q, &a, &v, &b, e);
        usable = c == HONE_OK && b.end == HONE_ANSWER_TEXT && judge(q, &b, &v);
        if (c == HONE_OK)
            c = note(q, &b, b.end == HONE_ANSWER_TEXT ? &v : NULL, usable ? "not-evaluated" : b.end == HONE_ANSWER_TEXT ? v.name : b.end == HONE_ANSWER_CLOSED ? "closed" : "reply.none", e);
        if (c == HONE_OK && usable)
            c = offer(q, &v, out, got, e);
    }
    hone_free(a.text);
    hone_free(b.text);
    return c;
}

// ---- the proposer

static asked *to_repair(hone_writer *w) {
    for (size_t i = w->asked.n; i-- > 0;) {
        asked *a = &w->asked.v[i];
        if (a->failed && !a->repaired && a->repairs < MAX_REPAIRS)
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
    for (int i = 0; moves[i]; i++)
        if (!strcmp(moves[i], move))
            return i;
    return -1;
}

static bool applies(const hone_context *ctx, const hone_candidate *parent, const char *move) {
    hone_writer *w = ctx->writer;
    if (!w || ctx->n_history == 0 || !hone_writer_open(w) || (w->generation == ctx->generation && w->asks >= MAX_ASKS))
        return false;
    switch (move_of(move)) {
    case MOVE_WRITE: return true;
    case MOVE_REPAIR: hone_writer_settle(w, ctx->history, ctx->n_history, ctx->generation, NULL); return to_repair(w) != NULL;
    case MOVE_CROSS: return parent->id != 0 && has_other(ctx, parent);
    default: return false;
    }
}

static bool pick(question *q) {
    bool eligible[MAX_ARMS];
    for (size_t i = 0; i < q->w->n_arms; i++)
        eligible[i] = !q->w->closed[q->w->arms[i].model];
    int a = hone_bandit_pick(q->w->bandit, "llm", eligible, q->ctx->rng);
    q->arm = a < 0 ? 0 : (size_t)a;
    return a >= 0;
}

static hone_code propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got, hone_err *e) {
    hone_writer *w = ctx->writer;
    question q = {.w = w, .ctx = ctx, .parent = parent, .move = move_of(move)};
    *got = 0;
    if (n == 0 || !applies(ctx, parent, move))
        return HONE_OK;
    if (w->generation != ctx->generation) {
        w->generation = ctx->generation;
        w->asks = 0;
    }
    HONE_TRY(hone_writer_settle(w, ctx->history, ctx->n_history, ctx->generation, e));
    if (q.move == MOVE_REPAIR) {
        asked *a = to_repair(w);
        a->repaired = true;
        q.parent = a->failed;
        q.repairs = a->repairs + 1;
    }
    if (q.move == MOVE_CROSS && !(q.second = other_parent(ctx, parent)))
        return HONE_OK;
    if (!pick(&q))
        return HONE_OK;
    HONE_TRY(make_prompt(&q, e));
    return converse(&q, out, got, e);
}

const hone_proposer hone_proposer_llm = {.name = "llm", .moves = moves, .propose = propose, .applies = applies, .fresh = true};
