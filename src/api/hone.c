// api: include/hone.h on top of the rooms. Translates types and errors; everything else is done elsewhere.
#include "hone.h"
#include "export/export.h"
#include "models/models.h"
#include "report/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TASK_BYTES = 4 << 20 };
struct honeTask {
    hone_task *t;
};
struct honeResult {
    char *json, *best;
    char verdict[16];
    double speedup;
    bool confirmed;
};

_Static_assert((int)HONE_STATUS_INTERNAL == (int)HONE_E_INTERNAL, "honeStatus mirrors hone_code");

static honeStatus give(hone_code c, const hone_err *e, honeError *out) {
    if (out && c != HONE_OK) {
        *out = (honeError){.status = (honeStatus)c, .sub = e->sub};
        snprintf(out->message, sizeof out->message, "%s", e->msg);
        snprintf(out->hint, sizeof out->hint, "%s", e->hint);
    }
    return (honeStatus)c;
}

const char *honeVersion(void) { return HONE_VERSION; }
void honeFree(void *p) { hone_free(p); }

// ---- tasks

static hone_code parse(const char *name, const char *text, size_t len, hone_task **out, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    if (!diags.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    hone_code c = hone_task_parse(name, text, len, out, &diags, e);
    if (c == HONE_E_PARSE && diags.n) {
        hone_str s;
        hone_str_init(&s, 1 << 20);
        hone_diags_print(&diags, name, text, len, &s);
        snprintf(e->msg, sizeof e->msg, "%s", s.s);
        hone_str_free(&s);
    }
    hone_arena_free(diags.arena);
    return c;
}

static hone_code make_task(const char *name, const char *text, size_t len, honeTask **out, hone_err *e) {
    honeTask *t = hone_calloc(1, sizeof *t);
    if (!t)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    hone_code c = parse(name, text, len, &t->t, e);
    if (c == HONE_OK)
        *out = t;
    else
        hone_free(t);
    return c;
}

honeStatus honeTaskParse(const char *name, const char *text, size_t length, honeTask **out, honeError *error) {
    hone_err e = {0};
    *out = NULL;
    return give(make_task(name, text, length, out, &e), &e, error);
}

honeStatus honeTaskOpen(const char *path, honeTask **out, honeError *error) {
    hone_err e = {0};
    char *text = NULL;
    size_t len;
    *out = NULL;
    hone_code c = hone_read_file(path, MAX_TASK_BYTES, &text, &len, &e);
    if (c == HONE_OK)
        c = make_task(path, text, len, out, &e);
    hone_free(text);
    return give(c, &e, error);
}

void honeTaskClose(honeTask *task) {
    if (task)
        hone_task_free(task->t);
    hone_free(task);
}
const char *honeTaskName(const honeTask *task) { return task->t->name; }
const char *honeTaskText(const honeTask *task) { return task->t->text; }

// ---- options

void honeOptionsInit(honeOptions *options) { *options = (honeOptions){.size = sizeof *options, .evals = 200, .seed = 1}; }

static hone_code check_options(const honeOptions *o, hone_err *e) {
    if (o && o->size == sizeof *o)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "the options were not made by honeOptionsInit of this version");
    return hone_hint(e, "call honeOptionsInit first, then set what differs");
}

static hone_code open_pool(const honeOptions *o, hone_pool **out, hone_err *e) {
    const char *program = o->program ? o->program : getenv("HONE_PROGRAM");
    hone_pool_config c = {.device = o->device ? o->device : "auto",
                          .program = program && *program ? program : "hone",
                          .workers = o->workers,
                          .time_limit_s = o->job_limit_s};
    return hone_pool_open(&c, out, e);
}

// ---- optimize

typedef struct optimizing {
    const hone_task *task;
    const honeOptions *o;
    hone_pool *pool;
    hone_store *store;
    hone_search_result *found;
    hone_authors *authors;   // NULL: no models
    hone_outcome *artifacts;
    json_t *json;
} optimizing;

static void show_progress(void *self, const hone_search_progress *p) {
    const optimizing *x = self;
    honeProgress out = {.size = sizeof out,
                        .evaluations = p->evaluations,
                        .limit = p->evaluations_limit,
                        .elapsed_s = p->elapsed_s,
                        .baseline_us = p->has_baseline ? p->baseline_us : 0,
                        .best_us = p->has_best ? p->best_us : 0,
                        .speedup = p->has_best ? p->speedup : 0,
                        .proposer = p->proposer,
                        .move = p->move,
                        .note = p->note,
                        .confirming = p->confirming};
    x->o->progress(x->o->user, &out);
}

static hone_code one_job(const optimizing *x, const hone_job *j, hone_outcome **out, hone_err *e) {
    HONE_TRY(hone_pool_submit(x->pool, j, e));
    for (;;) {
        hone_err wait = {0};
        hone_code c = hone_pool_wait(x->pool, 1000, x->o->interrupt, out, &wait);
        if (c == HONE_E_TIMEOUT)
            continue;
        if (c != HONE_OK && e)
            *e = wait;
        return c;
    }
}

static hone_code open_models(optimizing *x, hone_err *e) {
    const honeOptions *o = x->o;
    if (o->n_models == 0)
        return o->max_cost > 0 || o->max_tokens || o->max_requests || o->prompts || o->model_config
                   ? hone_fail(e, HONE_E_USAGE, 0, "options about models without a model")
                   : HONE_OK;
    hone_authors_config c = {.models = o->models,
                             .n_models = o->n_models,
                             .config_path = o->model_config,
                             .prompts = o->prompts,
                             .folder = o->folder,
                             .budget = {o->max_cost, o->max_tokens, o->max_requests},
                             .seed = o->seed,
                             .interrupt = o->interrupt};
    return hone_authors_open(&c, x->task, hone_pool_device(x->pool), &x->authors, e);
}

static hone_code search(optimizing *x, hone_err *e) {
    const honeOptions *o = x->o;
    const char *spec = json_string_value(json_object_get(hone_pool_device(x->pool), "spec"));
    hone_search_config c = {.task = x->task,
                            .device = spec ? spec : "auto",
                            .evaluator = hone_evaluator_of_pool(x->pool),
                            .store = x->store,
                            .seed = o->seed,
                            .batch = o->batch,
                            .evals = o->evals,
                            .time_s = o->time_s,
                            .patience = o->patience,
                            .job_time_limit_s = o->job_limit_s,
                            .interrupt = o->interrupt,
                            .progress = o->progress ? show_progress : NULL,
                            .progress_self = x};
    if (x->authors) {
        c.proposers = hone_proposers_with_model;
        c.writer = hone_authors_writer(x->authors);
        c.writer_identity = hone_authors_identity(x->authors);
    }
    hone_code code = hone_search_run(&c, &x->found, e);
    if (x->authors)
        hone_authors_finish(x->authors, code != HONE_OK || x->found->stop == HONE_STOP_TIME || x->found->stop == HONE_STOP_INTERRUPTED);
    HONE_TRY(code);
    if (x->found->stop != HONE_STOP_BASELINE)
        return HONE_OK;
    const hone_search_entry *b = x->found->baseline;
    return hone_fail(e, HONE_E_WRONG, 0, "the baseline of '%s' was refused: %s", x->task->path,
                     b && b->finding_message ? b->finding_message : "it could not be evaluated");
}

static hone_code fetch_artifacts(optimizing *x, hone_err *e) {
    const hone_search_entry *best = x->found->best;
    if (!best || !x->o->folder || (x->o->interrupt && *x->o->interrupt))
        return HONE_OK;
    hone_job j = {.id = UINT64_MAX,
                  .task_path = x->task->path,
                  .task_text = x->task->text,
                  .candidate_text = best->candidate->text,
                  .tuning = best->candidate->tuning,
                  .n_tuning = best->candidate->n_tuning,
                  .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE,
                  .want_artifacts = true};
    return one_job(x, &j, &x->artifacts, e);
}

static hone_code document(optimizing *x, hone_err *e) {
    const honeOptions *o = x->o;
    hone_report_input in = {.task = x->task,
                            .result = x->found,
                            .device = hone_pool_device(x->pool),
                            .command = "honeOptimize",
                            .seed = o->seed,
                            .evals = o->evals,
                            .patience = o->patience,
                            .batch = o->batch,
                            .time_s = o->time_s};
    hone_store_chain chain;
    if (x->store) {
        HONE_TRY(hone_store_latest_run(x->store, &in.run, e));
        HONE_TRY(hone_store_check(x->store, in.run, &chain, e));
        in.chain = &chain;
    }
    json_t *model = x->authors ? hone_authors_json(x->authors) : NULL;
    in.model = model;
    x->json = hone_report_json(&in);
    json_decref(model);
    if (!x->json)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the result");
    if (x->found->best) {
        const hone_candidate *k = x->found->best->candidate;
        json_object_set_new(
            x->json, "plan",
            hone_export_plan_of_text(k->text, k->tuning, k->n_tuning, x->task->name, x->artifacts ? x->artifacts->ptx : NULL, NULL));
    }
    return o->folder ? hone_report_write(o->folder, x->json, x->artifacts, e) : HONE_OK;
}

static hone_code bake(const hone_candidate *k, char **out, hone_err *e) {
    hone_task *t = NULL;
    size_t len;
    HONE_TRY(parse("best.cu", k->text, k->len, &t, e));
    hone_code c = hone_task_bake(t, &(hone_env){k->tuning, k->n_tuning, NULL}, out, &len, e);
    hone_task_free(t);
    return c;
}

static hone_code make_result(const optimizing *x, honeResult *r, hone_err *e) {
    const char *verdict = json_string_value(json_object_get(x->json, "verdict"));
    char *text = json_dumps(x->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    r->json = text ? hone_strdup(text) : NULL;
    free(text);
    if (!r->json)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the result");
    snprintf(r->verdict, sizeof r->verdict, "%s", verdict ? verdict : "NONE");
    r->speedup = x->found->speedup;
    r->confirmed = x->found->confirmed;
    return x->found->best ? bake(x->found->best->candidate, &r->best, e) : HONE_OK;
}

static hone_code optimize(optimizing *x, honeResult *r, hone_err *e) {
    if (x->o->folder)
        HONE_TRY(hone_store_open(x->o->folder, false, &x->store, e));
    HONE_TRY(open_pool(x->o, &x->pool, e));
    HONE_TRY(open_models(x, e));
    HONE_TRY(search(x, e));
    HONE_TRY(fetch_artifacts(x, e));
    HONE_TRY(document(x, e));
    return make_result(x, r, e);
}

static void optimizing_free(optimizing *x) {
    json_decref(x->json);
    hone_outcome_free(x->artifacts);
    hone_search_result_free(x->found);
    hone_authors_close(x->authors);
    if (x->pool)
        hone_pool_close(x->pool);
    if (x->store)
        hone_store_close(x->store);
}

honeStatus honeOptimize(const honeTask *task, const honeOptions *options, honeResult **out, honeError *error) {
    hone_err e = {0};
    *out = NULL;
    hone_code c = check_options(options, &e);
    honeResult *r = c == HONE_OK ? hone_calloc(1, sizeof *r) : NULL;
    if (c == HONE_OK && !r)
        c = hone_fail(&e, HONE_E_NOMEM, 0, "out of memory for the result");
    if (c == HONE_OK) {
        optimizing x = {.task = task->t, .o = options};
        c = optimize(&x, r, &e);
        optimizing_free(&x);
    }
    if (c == HONE_OK)
        *out = r;
    else
        honeResultClose(r);
    return give(c, &e, error);
}

void honeResultClose(honeResult *result) {
    if (!result)
        return;
    hone_free(result->json);
    hone_free(result->best);
    hone_free(result);
}
const char *honeResultJson(const honeResult *result) { return result->json; }
const char *honeResultVerdict(const honeResult *result) { return result->verdict; }
double honeResultSpeedup(const honeResult *result) { return result->speedup; }
int honeResultConfirmed(const honeResult *result) { return result->confirmed; }
const char *honeResultBest(const honeResult *result) { return result->best; }

// ---- check

honeStatus honeCheck(const honeTask *task, const char *candidate, const honeOptions *options, int *passed, char **json, honeError *error) {
    hone_err e = {0};
    *passed = 0;
    if (json)
        *json = NULL;
    optimizing x = {.task = task->t, .o = options};
    hone_outcome *o = NULL;
    hone_code c = check_options(options, &e);
    if (c == HONE_OK)
        c = open_pool(options, &x.pool, &e);
    if (c == HONE_OK) {
        hone_job j = {.id = 1,
                      .task_path = task->t->path,
                      .task_text = task->t->text,
                      .candidate_text = candidate,
                      .seed = options->seed,
                      .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE | HONE_STAGE_DIFFERENTIAL,
                      .time_limit_s = options->job_limit_s};
        c = one_job(&x, &j, &o, &e);
    }
    if (c == HONE_OK && json && !(*json = hone_outcome_dump(o)))
        c = hone_fail(&e, HONE_E_NOMEM, 0, "out of memory for the findings");
    if (c == HONE_OK)
        *passed = o->verdict == HONE_PASS;
    hone_outcome_free(o);
    optimizing_free(&x);
    return give(c, &e, error);
}
