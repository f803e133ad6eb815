// hone profile: counters, roofline position, occupancy with its limiter and the likely bottleneck in words, per kernel; and the source lines that
// matter. The document and its renderings are report's; here are jobs, files and output. On a physical device the counters are the virtual GPU's, and
// say so; hardware counters come from a file (--import).
#include "cli/counters.h"
#include "report/profile.h"
#include <string.h>

enum { DEFAULT_TOP = 12, MAX_IMPORT_BYTES = 256 << 20, MAX_TEXT_BYTES = 32 << 20 };

static bool has_profile(const hone_outcome *o) {
    const json_t *model = json_object_get(o->json, "model");
    return json_array_size(json_object_get(model ? model : json_object_get(o->json, "time"), "sizes")) > 0;
}

static int refuse(const cli_options *o, const hone_outcome *out, const hone_task *shown) {
    cli_style st = cli_style_for(o, stderr);
    fprintf(stderr, "error: cannot profile '%s'\n", shown->path);
    cli_print_findings(out, &st, stderr);
    const char *why = json_string_value(json_object_get(json_object_get(out->json, "error"), "message"));
    if (why && *why)
        fprintf(stderr, "  %s\n", why);
    return EXIT_WRONG;
}

typedef struct request { const cli_options *o; const hone_task *task, *candidate; hone_pool *pool; hone_ncu ncu; bool has_ncu; cli_counters counters; hone_err missing; } request;

// A profile without them is still one: it says so, on stderr too.
static void read_counters(request *r, const hone_task *shown, bool with_params, const hone_outcome *built) {
    const char *spec = json_string_value(json_object_get(hone_pool_device(r->pool), "spec"));
    if (cli_counters_read(r->o, shown, with_params, built, spec ? spec : "cuda:0", &r->counters, &r->missing) == HONE_OK)
        return;
    fprintf(stderr, "warning: no hardware counters: %s\n", r->missing.msg);
    if (r->missing.hint[0])
        fprintf(stderr, "hint: %s\n", r->missing.hint);
}

static hone_code check_counters(const request *r, hone_err *e) {
    if (!r->o->counters)
        return HONE_OK;
    if (r->o->import) {
        hone_fail(e, HONE_E_USAGE, 0, "'--counters' and '--import' are two sources of the same");
        return hone_hint(e, "give one of them");
    }
    if (!hone_pool_devices(r->pool)) {
        hone_fail(e, HONE_E_USAGE, 0, "'--counters' reads a GPU's counters, and the device is the virtual GPU");
        return hone_hint(e, "its own counters are shown without that option; --device cuda:0, or --import FILE for what ncu printed elsewhere");
    }
    return HONE_OK;
}

// The document of the task itself, or of the candidate. *code is not EXIT_FINE when there is none.
static json_t *document(request *r, const hone_task *candidate, int *code) {
    hone_err e = {0};
    const hone_task *shown = candidate ? candidate : r->task;
    hone_job j = {.id = candidate ? 2 : 1, .task_path = r->task->path, .task_text = r->task->text, .candidate_text = candidate ? candidate->text : NULL,
                  .tuning = r->o->params, .n_tuning = r->o->n_params, .seed = r->o->has_seed ? r->o->seed : 1, .time_limit_s = r->o->limit_s,
                  .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_PROFILE, .want_artifacts = r->o->counters && candidate == r->candidate};
    if (r->candidate && !candidate)   // the values given are the candidate's
        j.n_tuning = 0;
    hone_outcome *out = NULL;
    json_t *doc = NULL;
    if (cli_evaluate(r->pool, &j, &out, &e) != HONE_OK) {
        *code = cli_error(r->o, &e);
    } else if (out->verdict != HONE_PASS || !has_profile(out)) {
        *code = refuse(r->o, out, shown);
    } else {
        bool wanted = r->o->counters && candidate == r->candidate;   // of what is shown, not of what it is compared with
        if (wanted)
            read_counters(r, shown, j.n_tuning > 0, out);
        hone_profile_input in = {shown, r->task->path, out, hone_pool_device(r->pool), r->has_ncu ? &r->ncu : NULL, r->o->import, NULL, NULL};
        if (wanted && r->missing.code == HONE_OK) {
            in.hardware = &r->counters.ncu;
            in.hardware_path = r->counters.program;
        } else if (wanted) {
            in.hardware_missing = r->missing.msg;
            in.hardware_hint = r->missing.hint;
        }
        doc = hone_profile_document(&in);
    }
    hone_outcome_free(out);
    return doc;
}

static int write_page(const cli_options *o, const json_t *doc) {
    hone_err e = {0};
    hone_str s;
    hone_str_init(&s, MAX_TEXT_BYTES);
    hone_code c = hone_profile_html(doc, &s, &e);
    if (c == HONE_OK)
        c = hone_write_file(o->html, s.s, s.len, &e);
    hone_str_free(&s);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}

static int print_text(const cli_options *o, const json_t *doc) {
    hone_err e = {0};
    cli_style st = cli_style_for(o, stdout);
    hone_profile_view v = {{st.bold, st.dim, st.red, st.green, st.yellow, st.cyan, st.off}, o->top ? o->top : DEFAULT_TOP, o->source};
    hone_str s;
    hone_str_init(&s, MAX_TEXT_BYTES);
    hone_profile_text(doc, &v, &s);
    hone_code c = hone_str_check(&s, "the profile", &e);
    if (c == HONE_OK)
        fputs(s.s, stdout);
    hone_str_free(&s);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}

static int profile(request *r) {
    int code = EXIT_FINE;
    json_t *base = document(r, NULL, &code), *doc = base;
    if (base && r->candidate && (doc = document(r, r->candidate, &code)))
        hone_profile_compare(doc, base);
    if (doc && r->o->html)
        code = write_page(r->o, doc);
    if (doc && code == EXIT_FINE && r->o->json)
        cli_print_json(json_incref(doc));
    else if (doc && code == EXIT_FINE && r->o->html)
        printf("%s\n", r->o->html);
    else if (doc && code == EXIT_FINE)
        code = print_text(r->o, doc);
    if (doc != base)
        json_decref(doc);
    json_decref(base);
    return code;
}

static hone_code load_import(request *r, hone_err *e) {
    if (!r->o->import)
        return HONE_OK;
    char *text;
    size_t len;
    HONE_TRY(hone_read_file(r->o->import, MAX_IMPORT_BYTES, &text, &len, e));
    hone_code c = hone_ncu_parse(r->o->import, text, len, &r->ncu, e);
    hone_free(text);
    r->has_ncu = true;
    return c;
}

int cmd_profile(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args < 1 || o->n_args > 2) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone profile' needs a task file and at most one candidate");
        hone_hint(&e, "hone profile TASK.cu");
        return cli_error(o, &e);
    }
    hone_task *task = NULL, *candidate = NULL;
    request r = {.o = o};
    hone_code c = load_import(&r, &e);
    if (c == HONE_OK)
        c = cli_load_task(o->args[0], &task, &e);
    if (c == HONE_OK && o->n_args == 2)
        c = cli_load_task(o->args[1], &candidate, &e);
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &r.pool, &e);
    if (c == HONE_OK)
        c = check_counters(&r, &e);
    r.task = task;
    r.candidate = candidate;
    int code = c == HONE_OK ? profile(&r) : cli_error(o, &e);
    if (r.pool)
        hone_pool_close(r.pool);
    hone_ncu_free(&r.ncu);
    hone_ncu_free(&r.counters.ncu);
    hone_task_free(candidate);
    hone_task_free(task);
    return code;
}
