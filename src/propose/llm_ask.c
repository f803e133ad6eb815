// propose/llm_ask: questions and answers. A question is put to the model; its answer is taken at once or in a later generation, judged by its form, and
// becomes a proposal or is asked for once more with the reason. Every answer leaves a note.
#include "propose/llm_internal.h"
#include <stdio.h>
#include <string.h>

static const char *const styles[] = {"write-analysis", "write-direct"};

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the llm proposer"); }

// ---- prompts

static hone_scale_words scale_of(const hone_asking *q) {
    return (hone_scale_words){q->ctx->history[0], q->w->flops, q->w->bytes, q->w->c.bandwidth_gbs};
}

static hone_code keep(const hone_context *ctx, hone_str *s, const char **out, hone_err *e) {
    hone_code c = hone_str_check(s, "a prompt", e);
    *out = c == HONE_OK ? hone_arena_strdup(ctx->arena, s->s) : NULL;
    hone_str_free(s);
    return c != HONE_OK ? c : *out ? HONE_OK : nomem(e);
}

static hone_code candidate_text(const hone_asking *q, const hone_candidate *c, const char **out, hone_err *e) {
    hone_scale_words scale = scale_of(q);
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_candidate(&scale, c, &s);
    return keep(q->ctx, &s, out, e);
}

static hone_code contract_text(const hone_asking *q, const char **out, hone_err *e) {
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_contract(q->w->c.task, &s);
    return keep(q->ctx, &s, out, e);
}

static hone_code exemplars_text(const hone_asking *q, const char **out, hone_err *e) {
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

static hone_code findings_text(const hone_asking *q, const char **out, hone_err *e) {
    hone_str s;
    hone_str_init(&s, HONE_PROMPT_MAX);
    hone_words_finding(q->parent, &s);
    return keep(q->ctx, &s, out, e);
}

hone_code hone_asking_prompt(hone_asking *q, hone_err *e) {
    hone_place v[7] = {{"device", q->w->c.device}, {"contract", NULL}, {"baseline", NULL}, {"parent", NULL}};
    size_t n = 4;
    HONE_TRY(contract_text(q, &v[1].text, e));
    HONE_TRY(candidate_text(q, q->ctx->history[0], &v[2].text, e));
    HONE_TRY(candidate_text(q, q->parent, &v[3].text, e));
    if (q->move == HONE_MOVE_WRITE) {
        v[n].name = "exemplars";
        HONE_TRY(exemplars_text(q, &v[n++].text, e));
    } else if (q->move == HONE_MOVE_REPAIR) {
        v[n].name = "findings";
        HONE_TRY(findings_text(q, &v[n++].text, e));
    } else {
        v[n].name = "second";
        HONE_TRY(candidate_text(q, q->second, &v[n++].text, e));
    }
    const char *name = q->move == HONE_MOVE_WRITE ? styles[q->w->arms[q->arm].style] : hone_llm_moves[q->move];
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

static bool judge_form(const hone_asking *q, const hone_answer *a, verdict *v) {
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

static hone_code judge(const hone_asking *q, const hone_answer *a, verdict *v, bool *usable, hone_err *e) {
    const hone_candidate *like = NULL;
    double share = 0;
    *usable = judge_form(q, a, v);
    if (!*usable)
        return HONE_OK;
    HONE_TRY(hone_novel_check(q->w, q->ctx, v->file.s, v->file.n, &like, &share, e));
    if (!like)
        return HONE_OK;
    v->name = "reply.repeats";
    snprintf(v->detail, sizeof v->detail, "it repeats candidate %llu, which was measured: %.1f %% of its token sequences are the same", (unsigned long long)like->id, 100 * share);
    *usable = false;
    return HONE_OK;
}

static hone_code note(const hone_asking *q, const hone_answer *a, const verdict *v, const char *outcome, hone_err *e) {
    hone_writer *w = q->w;
    const hone_arm *m = &w->arms[q->arm];
    hone_writer_note n = {.model = w->c.models->name(w->c.models->self, m->model),
                          .move = hone_llm_moves[q->move],
                          .style = q->move == HONE_MOVE_WRITE ? styles[m->style] : hone_llm_moves[q->move],
                          .exemplars = q->move == HONE_MOVE_WRITE ? hone_exemplar_names[m->policy] : "",
                          .tokens = a->tokens,
                          .cost = a->cost};
    hone_asked x = {.arm = q->arm, .generation = w->generation, .parent_cost = q->parent->ok ? q->parent->cost : q->ctx->history[0]->cost, .repairs = q->repairs};
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

static hone_code offer(const hone_asking *q, const verdict *v, hone_proposal *out, size_t *got, hone_err *e) {
    const char *model = q->w->c.models->name(q->w->c.models->self, q->w->arms[q->arm].model);
    static const char *const words[] = {"written", "repaired", "joined from two"};
    *out = (hone_proposal){.text = hone_arena_strndup(q->ctx->arena, v->file.s, v->file.n),
                           .len = v->file.n,
                           .move = hone_llm_moves[q->move],
                           .note = hone_arena_printf(q->ctx->arena, "%s by %s", words[q->move], model),
                           .parents = {q->parent, q->second},
                           .n_parents = q->second ? 2 : 1};
    *got = 1;
    return out->text && out->note ? HONE_OK : nomem(e);
}

// ---- putting

static hone_code put(const hone_asking *q, const struct hone_turn *turns, size_t n, bool last, hone_answer *a, bool *ready, hone_err *e) {
    const hone_models *m = q->w->c.models;
    size_t model = q->w->arms[q->arm].model;
    hone_question ask = {hone_prompt_text(q->w->c.prompts, "system"), turns, n, q->w->c.task->name};
    hone_pending p = {.arm = q->arm, .move = q->move, .repairs = q->repairs, .parent = q->parent, .second = q->second, .last = last};
    *a = (hone_answer){0};
    *ready = true;
    q->w->asks++;
    if (!m->post)
        return m->ask(m->self, model, &ask, a, e);
    HONE_TRY(m->post(m->self, model, &ask, q->ctx->generation, &p.ticket, e));
    HONE_TRY(m->take(m->self, p.ticket, q->ctx->generation, (hone_pace)q->ctx->pace, a, ready, e));
    if (*ready)
        return HONE_OK;
    if (!(p.prompt = hone_strdup(q->prompt)) || !hone_vec_push(&q->w->pending, p)) {
        hone_free(p.prompt);
        return nomem(e);
    }
    return HONE_OK;
}

// What was wrong with the form of an answer, and the answer itself, go back once.
static hone_code put_again(const hone_asking *q, const hone_answer *first, const verdict *v, hone_answer *a, bool *ready, hone_err *e) {
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
    return put(q, turns, HONE_COUNT(turns), true, a, ready, e);
}

// One question, and one more when the answer's form is wrong. Each leaves a note.
// ---- receiving

// Whether it is news: questions that were under way when a model closed come back closed too.
static bool close_model(const hone_asking *q, const hone_answer *a) {
    hone_closed *k = &q->w->closed[q->w->arms[q->arm].model];
    if (k->is)
        return false;
    *k = (hone_closed){.is = true, .replayed = a->replayed, .reopens = a->reopens};
    memcpy(k->key, a->key, sizeof k->key);
    return true;
}

// One answer: a note, and a proposal when it is usable. *wrong: its form is, as v says.
static hone_code receive(const hone_asking *q, const hone_answer *a, verdict *v, bool *wrong, hone_proposal *out, size_t *got, hone_err *e) {
    *wrong = false;
    if (a->end == HONE_ANSWER_CLOSED && !close_model(q, a))
        return HONE_OK;
    if (a->end != HONE_ANSWER_TEXT)
        return note(q, a, NULL, a->end == HONE_ANSWER_CLOSED ? "closed" : "reply.none", e);
    bool usable;
    HONE_TRY(judge(q, a, v, &usable, e));
    HONE_TRY(note(q, a, v, usable ? "not-evaluated" : v->name, e));
    *wrong = !usable;
    return usable ? offer(q, v, out, got, e) : HONE_OK;
}

// An answer, and once more when its form is wrong and the model had no second try. Takes a.
static hone_code digest(const hone_asking *q, hone_answer *a, bool last, hone_proposal *out, size_t *got, bool *deferred, hone_err *e) {
    verdict v;
    hone_answer b = {0};
    bool wrong, ready = true;
    hone_code c = receive(q, a, &v, &wrong, out, got, e);
    if (c == HONE_OK && wrong && !last && q->w->asks < HONE_MAX_ASKS) {
        c = put_again(q, a, &v, &b, &ready, e);
        if (c == HONE_OK && ready)
            c = receive(q, &b, &v, &wrong, out, got, e);
    }
    *deferred |= !ready;
    hone_free(a->text);
    hone_free(b.text);
    return c;
}

hone_code hone_asking_put(hone_asking *q, hone_proposal *out, size_t *got, bool *deferred, hone_err *e) {
    hone_answer a;
    struct hone_turn turn = {"user", q->prompt};
    bool ready;
    HONE_TRY(put(q, &turn, 1, false, &a, &ready, e));
    *deferred = !ready;
    return ready ? digest(q, &a, false, out, got, deferred, e) : HONE_OK;
}

// ---- collecting

static hone_code take_one(hone_writer *w, const hone_context *ctx, size_t i, hone_proposal *out, bool *got, hone_err *e) {
    const hone_models *m = w->c.models;
    hone_pending p = w->pending.v[i];
    hone_answer a = {0};
    size_t n = 0;
    bool deferred = false;
    HONE_TRY(m->take(m->self, p.ticket, ctx->generation, (hone_pace)ctx->pace, &a, got, e));
    if (!*got)
        return HONE_OK;
    memmove(w->pending.v + i, w->pending.v + i + 1, (w->pending.n - i - 1) * sizeof p);
    w->pending.n--;
    hone_asking q = {.w = w, .ctx = ctx, .parent = p.parent, .second = p.second, .move = p.move, .arm = p.arm, .repairs = p.repairs, .prompt = p.prompt};
    *out = (hone_proposal){.move = hone_llm_moves[p.move], .parents = {p.parent, p.second}, .n_parents = p.second ? 2 : 1};
    hone_code c = digest(&q, &a, p.last, out, &n, &deferred, e);
    hone_free(p.prompt);
    return c;
}

hone_code hone_asking_collect(hone_writer *w, const hone_context *ctx, hone_proposal *out, bool *got, hone_err *e) {
    *got = false;
    for (size_t i = 0; i < w->pending.n && !*got; i++)
        HONE_TRY(take_one(w, ctx, i, out, got, e));
    return HONE_OK;
}

hone_code hone_asking_abandon(hone_writer *w, hone_err *e) {
    for (size_t i = 0; i < w->pending.n; i++) {
        hone_pending *p = &w->pending.v[i];
        const hone_arm *m = &w->arms[p->arm];
        hone_writer_note n = {.model = w->c.models->name(w->c.models->self, m->model), .move = hone_llm_moves[p->move],
                              .style = p->move == HONE_MOVE_WRITE ? styles[m->style] : hone_llm_moves[p->move],
                              .exemplars = p->move == HONE_MOVE_WRITE ? hone_exemplar_names[m->policy] : "", .outcome = "not-evaluated",
                              .detail = "the run ended before the answer came"};
        hone_asked x = {.arm = p->arm, .generation = w->generation, .settled = true};
        hone_free(p->prompt);
        p->prompt = NULL;
        if (!hone_vec_push(&w->notes, n) || !hone_vec_push(&w->asked, x))
            return nomem(e);
    }
    w->pending.n = 0;
    return HONE_OK;
}
