// hone optimize: the main job. Opens the archive and the workers, runs the search, writes the result folder, prints a summary.
#include "cli/models.h"
#include "cli/progress.h"
#include "export/export.h"
#include "report/report.h"
#include <string.h>

enum { DEFAULT_EVALS = 200, BATCH_PER_DEVICE = 4, BATCH_SCREENED = 16, AHEAD = 3, AHEAD_SCREENED = 1 };   // on a GPU, in generations

typedef struct optimize {
    const cli_options *o;
    hone_task *task;
    hone_store *store;
    hone_pool *pool;
    hone_search_result *result;
    hone_outcome *artifacts;
    cli_models models;
    json_t *json;
    char dir[4096], device[512];
    hone_manual *manual;
} optimize;

static void optimize_free(optimize *x) {
    json_decref(x->json);
    hone_outcome_free(x->artifacts);
    hone_search_result_free(x->result);
    hone_manual_close(x->manual);
    cli_models_close(&x->models);
    if (x->pool)
        hone_pool_close(x->pool);
    if (x->store)
        hone_store_close(x->store);
    hone_task_free(x->task);
}

static hone_code result_folder(optimize *x, hone_err *e) {
    int n = x->o->out ? snprintf(x->dir, sizeof x->dir, "%s", x->o->out) : snprintf(x->dir, sizeof x->dir, "%s.hone", x->task->name);
    if (n < 0 || (size_t)n >= sizeof x->dir)
        return hone_fail(e, HONE_E_LIMIT, 0, "the result folder's name is too long");
    return HONE_OK;
}

static hone_code open_manual(optimize *x, hone_err *e) {
    char *dir = hone_path_join(x->dir, "manual");
    hone_code c = dir ? hone_manual_open(dir, x->task, &x->manual, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_free(dir);
    return c;
}

static bool wants_energy(const optimize *x) {
    return x->o->energy || x->o->energy_window_s > 0 || x->o->energy_blocks || x->task->objective != HONE_OBJ_TIME;
}

static hone_code check_energy(const optimize *x, hone_err *e) {
    if (x->task->objective == HONE_OBJ_TIME)
        return HONE_OK;
    if (!hone_pool_devices(x->pool)) {
        hone_fail(e, HONE_E_NO_DEVICE, 0, "the task's objective needs energy, and on '%s' none is known: the virtual GPU has no energy model", x->device);
        return hone_hint(e, "use a GPU (--device cuda:0), or the objective 'time'");
    }
    if (x->o->screen && !strcmp(x->o->screen, "virtual")) {
        hone_fail(e, HONE_E_USAGE, 0, "'--screen virtual' sorts by modelled time, and the task's objective is not time: the virtual GPU has no energy model");
        return hone_hint(e, "leave it out");
    }
    return HONE_OK;
}

static hone_code open_everything(optimize *x, hone_err *e) {
    HONE_TRY(cli_load_task(x->o->args[0], &x->task, e));
    HONE_TRY(result_folder(x, e));
    HONE_TRY(hone_store_open(x->dir, false, &x->store, e));
    HONE_TRY(cli_open_pool(x->o, 0, &x->pool, e));
    const char *spec = json_string_value(json_object_get(hone_pool_device(x->pool), "spec"));
    snprintf(x->device, sizeof x->device, "%s", spec ? spec : x->o->device ? x->o->device : "auto");
    HONE_TRY(cli_models_open(x->o, x->task, hone_pool_device(x->pool), x->dir, &x->models, e));
    if (x->o->screen && !strcmp(x->o->screen, "virtual") && !hone_pool_devices(x->pool)) {
        hone_fail(e, HONE_E_USAGE, 0, "'--screen virtual' is for GPUs: on '%s' nothing is measured", x->device);
        return hone_hint(e, "leave it out");
    }
    HONE_TRY(check_energy(x, e));
    return x->o->manual ? open_manual(x, e) : HONE_OK;
}

static hone_code search(optimize *x, hone_err *e) {
    const cli_options *o = x->o;
    const hone_authors *authors = x->models.authors;
    cli_progress progress;
    cli_progress_start(&progress, o);
    if (authors) {
        progress.more = cli_models_shown;
        progress.more_self = &x->models;
    }
    hone_inbox inbox = x->manual ? hone_manual_inbox(x->manual) : (hone_inbox){0};
    unsigned devices = hone_pool_devices(x->pool);
    bool any = o->evals || o->time_s > 0 || o->patience, screens = devices && o->screen && !strcmp(o->screen, "virtual");
    unsigned per_device = screens ? BATCH_SCREENED : BATCH_PER_DEVICE;
    hone_search_config c = {
        .task = x->task, .device = x->device, .evaluator = hone_evaluator_of_pool(x->pool), .store = x->store, .seed = o->has_seed ? o->seed : 1,
        .batch = o->batch ? o->batch : devices > 1 || screens ? per_device * devices : 0,
        .ahead = !devices || authors ? 0 : screens ? AHEAD_SCREENED : AHEAD, .screen = screens ? devices : 0, .evals = any ? o->evals : DEFAULT_EVALS, .time_s = o->time_s, .patience = o->patience, .job_time_limit_s = o->limit_s,
        .proposers = authors ? hone_proposers_with_model : NULL, .writer = authors ? hone_authors_writer(authors) : NULL,
        .writer_identity = authors ? hone_authors_identity(authors) : NULL,
        .energy_window_s = !devices || !wants_energy(x) ? 0 : o->energy_window_s > 0 ? o->energy_window_s : CLI_ENERGY_WINDOW_S,
        .energy_blocks = o->energy_blocks ? o->energy_blocks : CLI_ENERGY_BLOCKS,
        .inbox = x->manual ? &inbox : NULL, .interrupt = &cli_interrupted, .progress = cli_progress_show, .progress_self = &progress,
    };
    hone_code code = hone_search_run(&c, &x->result, e);
    cli_progress_end(&progress);
    cli_models_finish(&x->models, code != HONE_OK || cli_interrupted || x->result->stop == HONE_STOP_TIME);
    return code;
}

// PTX and cubin of the best, for the result folder: one more compilation (from the cache).
static hone_code fetch_artifacts(optimize *x, hone_err *e) {
    const hone_search_entry *best = x->result->best;
    if (!best || cli_interrupted)
        return HONE_OK;
    hone_job j = {.id = UINT64_MAX, .task_path = x->task->path, .task_text = x->task->text, .candidate_text = best->candidate->text,
                  .tuning = best->candidate->tuning, .n_tuning = best->candidate->n_tuning, .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE,
                  .want_artifacts = true};
    return cli_evaluate(x->pool, &j, &x->artifacts, e);
}

static hone_code write_results(optimize *x, hone_err *e) {
    const cli_options *o = x->o;
    hone_report_input in = {.task = x->task, .result = x->result, .device = hone_pool_device(x->pool), .command = o->command,
                            .seed = o->has_seed ? o->seed : 1, .evals = o->evals, .patience = o->patience, .batch = o->batch, .time_s = o->time_s};
    hone_gpu_usage usage;
    hone_pool_usage(x->pool, &usage);
    in.usage = &usage;
    hone_store_chain chain;
    HONE_TRY(hone_store_latest_run(x->store, &in.run, e));
    HONE_TRY(hone_store_check(x->store, in.run, &chain, e));
    in.chain = &chain;
    in.energy_asked = wants_energy(x);
    json_t *model = cli_models_json(&x->models);
    in.model = model;
    x->json = hone_report_json(&in);
    json_decref(model);
    if (!x->json)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the result");
    const hone_search_entry *best = x->result->best;
    if (best) {   // launch.json; a plan was made for every candidate that was evaluated, so this does not fail
        const hone_candidate *k = best->candidate;
        json_object_set_new(x->json, "plan", hone_export_plan_of_text(k->text, k->tuning, k->n_tuning, x->task->name,
                                                                    x->artifacts ? x->artifacts->ptx : NULL, NULL));
    }
    return hone_report_write(x->dir, x->json, x->artifacts, e);
}

// The object promised for `--json`: the result document without the bulk, plus where files are.
static json_t *summary_json(const optimize *x) {
    static const char *const keys[] = {"task", "device", "baseline", "speedup", "verdict", "evaluations", "seconds", "stopped", "kind", "model", "gpu", "energy", "screen"};
    json_t *j = json_pack("{s:s}", "schema", "hone.optimize/1");
    for (size_t i = 0; i < HONE_COUNT(keys); i++)
        if (json_object_get(x->json, keys[i]))
            json_object_set(j, keys[i], json_object_get(x->json, keys[i]));
    json_t *best = json_object_get(x->json, "best");
    if (json_is_object(best)) {
        json_t *b = json_pack("{s:O, s:O, s:o}", "id", json_object_get(best, "id"), "time_us", json_object_get(best, "time_us"), "path",
                              json_sprintf("%s/best.cu", x->dir));
        json_object_set_new(j, "best", b);
    } else {
        json_object_set_new(j, "best", json_null());
    }
    json_object_set_new(j, "folder", json_string(x->dir));
    return j;
}

static void print_summary(const optimize *x) {
    if (x->o->json) {
        cli_print_json(summary_json(x));
        return;
    }
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_report_summary(x->json, cli_color(x->o, stdout), &s);
    fputs(s.s, stdout);
    hone_str_free(&s);
    if (x->result->best)
        printf("%s/best.cu  %s/report.html\n", x->dir, x->dir);
    if (x->result->warning)
        fprintf(stderr, "warning: %s\n", x->result->warning);
}

static int verdict_code(const optimize *x) {
    if (x->result->stop == HONE_STOP_BASELINE)
        return EXIT_WRONG;
    if (cli_interrupted || x->result->stop == HONE_STOP_INTERRUPTED)
        return EXIT_INTERRUPTED;
    bool validated = x->result->best && x->result->confirmed && x->result->verdict == HONE_CMP_FAST;   // beyond noise, or beyond the model's band
    return validated ? EXIT_FINE : EXIT_NO_IMPROVEMENT;
}

static void explain_baseline(const optimize *x) {
    const hone_search_entry *b = x->result->baseline;
    fprintf(stderr, "error: the baseline of '%s' was refused: %s: %s\n", x->task->path, b && b->finding_kind ? b->finding_kind : "no finding",
            b && b->finding_message ? b->finding_message : "it could not be evaluated");
    fprintf(stderr, "hint: 'hone check %s' shows every finding\n", x->task->path);
}

int cmd_optimize(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args != 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone optimize' needs one task file");
        hone_hint(&e, "hone optimize examples/matmul.cu");
        return cli_error(o, &e);
    }
    optimize x = {.o = o};
    hone_code c = open_everything(&x, &e);
    if (c == HONE_OK)
        c = search(&x, &e);
    if (c == HONE_OK)
        c = fetch_artifacts(&x, &e);
    if (c == HONE_OK)
        c = write_results(&x, &e);
    int code;
    if (c != HONE_OK) {
        code = cli_error(o, &e);
    } else {
        if (x.result->stop == HONE_STOP_BASELINE)
            explain_baseline(&x);
        print_summary(&x);
        code = verdict_code(&x);
    }
    optimize_free(&x);
    return code;
}
