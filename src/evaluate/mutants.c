// Is the task's own test any good? Mutants of the baseline (check/mutate.c) go through the same stages as candidates, static rules left out. What a
// stage refuses is killed. What compiles to the baseline's program is no mutant. What passes has either the baseline's bits everywhere (equivalent, or
// no input reaches the change) or other bits within the tolerance (survived: the test lets a wrong kernel pass). Runs on the virtual GPU only, since
// mutants access what they like.
#include "check/mutate.h"
#include "evaluate/stages.h"
#include <string.h>

enum { BUDGET_S = 10, MAX_BUDGET_S = 3600, USUAL_MUTANTS = 64 };

typedef enum fate { KILLED, IDENTICAL, SURVIVED, SAME_PROGRAM, INVALID, FATES } fate;
static const char *const fate_names[FATES] = {"killed", "identical", "survived", "same-program", "invalid"};

typedef struct tally { unsigned of[FATES]; json_t *list, *kinds; } tally;

// The first refusal's kind, or NULL.
static const char *killer(const hone_report *r) {
    size_t i;
    json_t *o;
    json_array_foreach(r->findings.array, i, o)
        if (strcmp(json_string_value(json_object_get(o, "severity")), "refuse") == 0)
            return json_string_value(json_object_get(o, "kind"));
    return NULL;
}

static fate fate_of(const hone_report *r, const char *baseline_hash, const char **by) {
    const char *hash = json_string_value(json_object_get(json_object_get(r->root, "compile"), "program_hash"));
    const char *kind = *by = killer(r);
    const bool early = kind && (strncmp(kind, "compile.", 8) == 0 || strncmp(kind, "static.", 7) == 0);
    if (early || (!kind && r->verdict != HONE_PASS))
        return INVALID;
    if (kind)
        return KILLED;
    if (hash && baseline_hash && strcmp(hash, baseline_hash) == 0)
        return SAME_PROGRAM;
    return json_is_true(json_object_get(json_object_get(r->root, "check"), "identical")) ? IDENTICAL : SURVIVED;
}

// The whole lines around bytes first..end-1 of a text.
static json_t *lines_at(const char *text, size_t len, size_t first, size_t end) {
    while (first && text[first - 1] != '\n')
        first--;
    while (end < len && text[end] != '\n')
        end++;
    while (first < end && (text[first] == ' ' || text[first] == '\t'))
        first++;
    return json_stringn(text + first, end - first);
}

static json_t *describe(const hone_task *t, const hone_mutant *m, const char *mutated, size_t len, fate f, const char *by) {
    json_t *o = json_pack("{s:s,s:i,s:s,s:o,s:o}", "kind", hone_mutation_name(m->kind), "line", (int)m->line, "fate", fate_names[f], "before",
                          lines_at(t->text, t->len, m->at, m->at + m->len), "after", lines_at(mutated, len, m->at, m->at + strlen(m->to)));
    if (o && by)
        json_object_set_new(o, "by", json_string(by));
    if (o && (f == SURVIVED || f == IDENTICAL))
        json_object_set_new(o, "add", json_string(hone_mutation_advice(m->kind)));
    return o;
}

static void count(tally *t, const hone_mutant *m, fate f) {
    const char *kind = hone_mutation_name(m->kind);
    json_t *o = json_object_get(t->kinds, kind);
    t->of[f]++;
    if (!o) {
        o = json_object();
        json_object_set_new(t->kinds, kind, o);
    }
    json_object_set_new(o, fate_names[f], json_integer(json_integer_value(json_object_get(o, fate_names[f])) + 1));
}

// errors: only those that are not the mutant's doing.
static hone_code try_one(hone_stage_run *x, const hone_mutant *m, const char *baseline_hash, tally *t, hone_err *e) {
    char *text;
    size_t len;
    hone_report r;
    HONE_TRY(hone_mutant_apply(x->s->task, m, &text, &len, e));
    hone_job j = *x->job;
    j.candidate_text = text;
    j.stages = HONE_STAGE_SANITIZE | HONE_STAGE_DIFFERENTIAL;
    j.without_static = j.brief = true;
    hone_code c = hone_report_init(&r, &j, x->r->clock, e);
    if (c == HONE_OK) {
        hone_evaluate_job(x->s, &j, &r);
        const char *by;
        const fate f = fate_of(&r, baseline_hash, &by);
        count(t, m, f);
        json_array_append_new(t->list, describe(x->s->task, m, text, len, f, by));
        hone_evaluate_release(x->s, &r);
        hone_report_free(&r);
    }
    hone_free(text);
    return c;
}

static void note_survivors(hone_stage_run *x, const tally *t) {
    size_t i;
    json_t *o;
    json_array_foreach(t->list, i, o) {
        if (strcmp(json_string_value(json_object_get(o, "fate")), fate_names[SURVIVED]) == 0)
            hone_findings_add(&x->r->findings, HONE_F_TASK_SURVIVOR, x->s->task->path, (uint32_t)json_integer_value(json_object_get(o, "line")),
                              json_incref(o), "a mutant (%s) gives another result, and the task's test lets it pass; it may need %s",
                              json_string_value(json_object_get(o, "kind")), json_string_value(json_object_get(o, "add")));
    }
}

static json_t *summary(const hone_stage_run *x, const tally *t, size_t sites, size_t used) {
    const unsigned tried = t->of[KILLED] + t->of[IDENTICAL] + t->of[SURVIVED];
    return json_pack("{s:I,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:O,s:O}", "seed", (json_int_t)x->job->seed, "sites", (int)sites, "tried", (int)tried, "killed",
                     (int)t->of[KILLED], "survived", (int)t->of[SURVIVED], "identical", (int)t->of[IDENTICAL], "same_program", (int)t->of[SAME_PROGRAM],
                     "invalid", (int)t->of[INVALID], "not_tried", (int)(sites - used), "kinds", t->kinds, "mutants", t->list);
}

hone_code hone_stage_mutate(hone_stage_run *x, hone_err *e) {
    hone_mutant *v;
    size_t n, used = 0;
    if (x->job->candidate_text || !x->s->device->info.is_virtual)
        return HONE_OK;
    HONE_TRY(hone_mutants_of(x->s->task, x->job->seed, x->arena, &v, &n, e));
    const char *hash = json_string_value(json_object_get(json_object_get(x->r->root, "compile"), "program_hash"));
    const double until = hone_now_s(&x->r->clock) + (x->job->mutants ? MAX_BUDGET_S : BUDGET_S);
    const size_t most = x->job->mutants ? x->job->mutants : USUAL_MUTANTS;
    tally t = {.list = json_array(), .kinds = json_object()};
    hone_code c = t.list && t.kinds ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for mutants");
    for (; c == HONE_OK && used < n && used < most && !x->s->must_exit && hone_now_s(&x->r->clock) < until; used++)
        c = try_one(x, &v[used], hash, &t, e);
    if (c == HONE_OK) {
        hone_report_set(x->r, "admission", summary(x, &t, n, used));
        note_survivors(x, &t);
    }
    json_decref(t.list);
    json_decref(t.kinds);
    x->not_the_candidate = c != HONE_OK;
    return c;
}
