// hone check: judges a candidate against its task, or the task's own baseline; or replays a certificate.
#include "base/visible.h"
#include "check/check.h"
#include "cli/admission.h"
#include "cli/cli.h"
#include "cli/replay.h"
#include <string.h>

// What is judged beside the task. It is hostile until a worker has parsed it: a text that cannot be read refuses the candidate, not the command.
typedef struct subject {
    const char *path;
    char *text;                  // owned; NULL when it is unreadable
    hone_err unreadable;
} subject;

static json_t *stages_json(const hone_outcome *o) {
    json_t *s = json_object_get(o->json, "stages");
    return s ? json_incref(s) : json_array();
}

// The command that shows a finding again: the same files, inputs and parameters, and the case alone where the finding does not depend on the
// ones before.
static char *reproduce(const cli_options *opt, const hone_task *task, const subject *candidate, const hone_finding *f) {
    hone_str s;
    hone_str_init(&s, 4096);
    hone_str_addf(&s, "hone check %s", task->path);
    if (candidate)
        hone_str_addf(&s, " %s", candidate->path);
    if (opt->device)
        hone_str_addf(&s, " --device %s", opt->device);
    hone_str_addf(&s, " --seed %llu", opt->has_seed ? (unsigned long long)opt->seed : 1ull);
    for (size_t i = 0; i < opt->n_params; i++)
        hone_str_addf(&s, " -p %s=%lld", opt->params[i].name, (long long)opt->params[i].value);
    const char *only = json_string_value(json_object_get(f->evidence, "case"));
    if (only)
        hone_str_addf(&s, " --case %s", only);
    return hone_str_take(&s);
}

static json_t *findings_json(const cli_options *opt, const hone_task *task, const subject *candidate, const hone_outcome *o) {
    json_t *list = cli_findings_json(o);
    for (size_t i = 0; i < o->n_findings; i++) {
        json_t *one = json_array_get(list, i);
        hone_finding_kind k;
        char *command = reproduce(opt, task, candidate, &o->findings[i]);
        if (hone_finding_by_name(o->findings[i].kind, &k))
            json_object_set_new(one, "explanation", json_string(hone_finding_text(k)));
        if (command)
            json_object_set_new(one, "reproduce", json_string(command));
        hone_free(command);
    }
    return list;
}

// Each command once, after the last of the findings that it shows.
static void print_reproduce(const cli_options *opt, const cli_style *st, const hone_task *task, const subject *candidate, const hone_outcome *o) {
    char *last = NULL;
    for (size_t i = 0; i < o->n_findings; i++) {
        hone_finding_kind k;
        if (hone_finding_by_name(o->findings[i].kind, &k) && hone_finding_severity(k) == HONE_NOTE)
            continue;
        char *command = reproduce(opt, task, candidate, &o->findings[i]);
        if (command && (!last || strcmp(command, last) != 0))
            printf("  %sreproduce: %s%s\n", st->dim, command, st->off);
        hone_free(last);
        last = command;
    }
    hone_free(last);
}

static void print_text(const cli_options *opt, const hone_task *task, const subject *candidate, const hone_outcome *o, const char *name) {
    cli_style st = cli_style_for(opt, stdout);
    bool pass = o->verdict == HONE_PASS;
    printf("%s%s%s %s", pass ? st.green : st.red, pass ? "PASS" : o->verdict == HONE_FAIL ? "FAIL" : "ERROR", st.off, name);
    if (o->has_resources)
        printf("  (%u registers, %u B shared memory%s)", o->registers, o->static_shared_bytes, o->spill_bytes ? ", spills" : "");
    putchar('\n');
    cli_print_findings(o, &st, stdout);
    print_reproduce(opt, &st, task, candidate, o);
    cli_print_why(o);
}

// How accurate the baseline itself is: what `tolerance auto` measures candidates against.
static void print_precision(const hone_outcome *o, const cli_style *st) {
    const char *buffer;
    json_t *p;
    json_object_foreach(json_object_get(json_object_get(o->json, "check"), "precision"), buffer, p)
        printf("  %sbaseline's own rounding error in '%s': %.2g relative RMS, at most %.2g%s\n", st->dim, buffer,
               json_number_value(json_object_get(p, "rms_rel")), json_number_value(json_object_get(p, "max_abs")), st->off);
}

// Sizes that hone derived and the baseline itself cannot run.
static void print_left_out(const hone_outcome *o, const cli_style *st) {
    size_t i;
    json_t *z;
    json_array_foreach(json_object_get(o->json, "check_sizes"), i, z) {
        const char *name, *why = json_string_value(json_object_get(z, "why"));
        json_t *v;
        if (json_is_true(json_object_get(z, "used")))
            continue;
        printf("  %snot checked at", st->dim);
        json_object_foreach(json_object_get(z, "sizes"), name, v) printf(" %s=%lld", name, (long long)json_integer_value(v));
        printf(" (derived): the baseline fails there: %s%s\n", why ? why : "", st->off);
    }
}

typedef struct checked { hone_outcome *o; json_t *admission; } checked;

static hone_code judge(const cli_options *opt, const hone_task *task, const subject *candidate, hone_pool *pool, checked *out, hone_err *e) {
    hone_job j = {.id = 1, .task_path = task->path, .task_text = task->text, .candidate_text = candidate ? candidate->text : NULL,
                  .tuning = opt->params, .n_tuning = opt->n_params, .seed = opt->has_seed ? opt->seed : 1, .time_limit_s = opt->limit_s, .only_case = opt->only_case,
                  .mutants = opt->mutants, .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE | HONE_STAGE_DIFFERENTIAL};
    const bool wanted = cli_admission_wanted(opt, candidate != NULL), apart = wanted && cli_admission_apart(pool);
    if (wanted && !apart)
        j.stages |= HONE_STAGE_MUTATE;
    *out = (checked){0};
    if (candidate && !candidate->text)
        return hone_outcome_refuse(1, "static.unreadable", candidate->unreadable.msg, &out->o, e);
    HONE_TRY(cli_evaluate(pool, &j, &out->o, e));
    if (apart && out->o->verdict == HONE_PASS)
        return cli_admission_run(pool, &j, &out->admission, e);
    out->admission = json_incref(json_object_get(out->o->json, "admission"));
    return HONE_OK;
}

static json_t *check_json(const cli_options *opt, const hone_task *task, const subject *candidate, const checked *k, const hone_pool *pool) {
    const hone_outcome *o = k->o;
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:O}", "schema", "hone.check/1", "task", task->path, "candidate",
                            candidate ? candidate->path : task->path, "verdict", o->verdict == HONE_PASS ? "pass" : o->verdict == HONE_FAIL ? "fail" : "error",
                            "findings", findings_json(opt, task, candidate, o), "stages", stages_json(o), "device", hone_pool_device(pool));
    static const char *const extras[] = {"check", "check_sizes", "error", "compile"};
    for (size_t i = 0; i < HONE_COUNT(extras); i++)
        if (json_object_get(o->json, extras[i]))
            json_object_set(out, extras[i], json_object_get(o->json, extras[i]));
    if (k->admission)
        json_object_set(out, "admission", k->admission);
    return out;
}

// Adds to `list` (JSON) or prints. *code: the command's exit code, the worst so far.
static hone_code check_one(const cli_options *opt, const hone_task *task, const subject *candidate, hone_pool *pool, json_t *list, int *code, hone_err *e) {
    checked k;
    hone_code c = judge(opt, task, candidate, pool, &k, e);
    if (c == HONE_OK) {
        if (opt->json) {
            json_array_append_new(list, check_json(opt, task, candidate, &k, pool));
        } else {
            cli_style st = cli_style_for(opt, stdout);
            print_text(opt, task, candidate, k.o, candidate ? candidate->path : task->path);
            if (!candidate) {
                print_precision(k.o, &st);
                print_left_out(k.o, &st);
                cli_admission_print(k.admission, &st);
            }
        }
        if (k.o->verdict != HONE_PASS)
            *code = EXIT_WRONG;
    }
    json_decref(k.admission);
    hone_outcome_free(k.o);
    return c;
}

// errors: those of reading the file. A text too large, or no UTF-8, is no error: it leaves the subject unreadable.
static hone_code load_subject(const char *path, subject *out, hone_err *e) {
    hone_err why = {0};
    size_t len, bad;
    *out = (subject){.path = path};
    enum { MAX_BYTES = 4 << 20 };   // as of tasks
    hone_code c = hone_read_file(path, MAX_BYTES, &out->text, &len, &why);
    if (c == HONE_OK && !hone_is_utf8(out->text, len, &bad)) {
        c = hone_fail(&why, HONE_E_LIMIT, 0, "'%s' is no UTF-8 text: byte %zu is 0x%02X", path, bad, (unsigned)(unsigned char)out->text[bad]);
        hone_free(out->text);
        out->text = NULL;
    }
    if (c != HONE_OK && c != HONE_E_LIMIT && e)
        *e = why;
    out->unreadable = why;
    return c == HONE_E_LIMIT ? HONE_OK : c;
}

// A candidate that cannot be read from the disk is an error; where there are several the others go on.
static hone_code check_candidates(const cli_options *o, const hone_task *task, hone_pool *pool, json_t *list, int *code, hone_err *e) {
    hone_code c = HONE_OK;
    for (size_t i = 1; c == HONE_OK && i < o->n_args; i++) {
        subject candidate;
        hone_err why = {0};
        c = load_subject(o->args[i], &candidate, &why);
        if (c == HONE_OK) {
            c = check_one(o, task, &candidate, pool, list, code, e);
        } else if (o->n_args > 2 && c != HONE_E_NOMEM) {
            c = HONE_OK;
            *code = EXIT_WRONG;
            if (o->json)
                json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:[],s:{s:s}}", "schema", "hone.check/1", "task", task->path, "candidate", o->args[i],
                                                      "verdict", "error", "findings", "error", "message", why.msg));
            else
                printf("ERROR %s\n  %s\n", o->args[i], why.msg);
        } else {
            *e = why;
        }
        hone_free(candidate.text);
    }
    return c;
}

// One candidate or none: one object. Several: a list, in the order given; the baseline's results are made once.
static int check_files(const cli_options *o) {
    hone_err e = {0};
    hone_task *task = NULL;
    hone_pool *pool = NULL;
    json_t *list = json_array();
    int code = EXIT_FINE;
    hone_code c = list ? cli_load_task(o->args[0], &task, &e) : hone_fail(&e, HONE_E_NOMEM, 0, "out of memory");
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &pool, &e);
    if (c == HONE_OK)
        c = o->n_args == 1 ? check_one(o, task, NULL, pool, list, &code, &e) : check_candidates(o, task, pool, list, &code, &e);
    if (c != HONE_OK)
        code = cli_error(o, &e);
    else if (o->json)
        cli_print_json(o->n_args > 2 ? json_pack("{s:s,s:s,s:O}", "schema", "hone.checks/1", "task", task->path, "candidates", list)
                                     : json_incref(json_array_get(list, 0)));
    if (pool)
        hone_pool_close(pool);
    json_decref(list);
    hone_task_free(task);
    return code;
}

int cmd_check(const cli_options *o) {
    hone_err e = {0};
    if (o->certificate ? o->n_args != 0 : o->n_args < 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone check' needs a task file, and candidates or none, or --certificate FILE");
        hone_hint(&e, "hone check TASK.cu CANDIDATE.cu");
        return cli_error(o, &e);
    }
    return o->certificate ? cli_replay_certificate(o) : check_files(o);
}
