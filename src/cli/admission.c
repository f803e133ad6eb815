// What `hone check TASK.cu` says of the task's own test: mutants of the baseline that it killed, and each that it let pass, with its line, the change
// and what to add.
#include "cli/admission.h"
#include <string.h>

bool cli_admission_wanted(const cli_options *o, bool has_candidate) { return !has_candidate && !o->no_mutants && !o->only_case; }

bool cli_admission_apart(hone_pool *p) {
    const char *kind = json_string_value(json_object_get(hone_pool_device(p), "kind"));
    return kind && strcmp(kind, "virtual") != 0;
}

hone_code cli_admission_run(hone_pool *p, const hone_job *of, json_t **out, hone_err *e) {
    hone_job j = *of;
    hone_outcome *o = NULL;
    j.id = of->id + 1;
    j.on_virtual = true;
    j.stages |= HONE_STAGE_MUTATE;
    HONE_TRY(cli_evaluate(p, &j, &o, e));
    *out = json_incref(json_object_get(o->json, "admission"));
    hone_outcome_free(o);
    return HONE_OK;
}

static int number(const json_t *a, const char *key) { return (int)json_integer_value(json_object_get(a, key)); }

static void print_lines(const char *sign, const char *text) {
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = strchr(text, '\n');
        end = end ? end : text + strlen(text);
        printf("      %s %.*s\n", sign, (int)(end - text), text);
    }
}

static void print_one(const json_t *m, const cli_style *st) {
    printf("    %sline %d, %s%s\n", st->bold, number(m, "line"), json_string_value(json_object_get(m, "kind")), st->off);
    printf("%s", st->red);
    print_lines("-", json_string_value(json_object_get(m, "before")));
    printf("%s%s", st->off, st->green);
    print_lines("+", json_string_value(json_object_get(m, "after")));
    printf("%s      add: %s\n", st->off, json_string_value(json_object_get(m, "add")));
}

static void print_fate(const json_t *a, const char *fate, const char *title, const cli_style *st) {
    size_t i;
    json_t *m;
    if (number(a, fate))
        printf("  %s\n", title);
    json_array_foreach(json_object_get(a, "mutants"), i, m) if (strcmp(json_string_value(json_object_get(m, "fate")), fate) == 0) print_one(m, st);
}

void cli_admission_print(const json_t *a, const cli_style *st) {
    const int tried = number(a, "tried"), killed = number(a, "killed");
    if (!a)
        return;
    printf("  the task's own test: %s%d of %d mutants killed%s; %d survived, %d equivalent or untested; %d left untried\n",
           number(a, "survived") ? st->yellow : st->green, killed, tried, st->off, number(a, "survived"), number(a, "identical"), number(a, "not_tried"));
    print_fate(a, "survived", "survived: another result, and the test lets it pass", st);
    print_fate(a, "identical", "equivalent or untested: the same bits on every input", st);
}
