// hone show: one candidate. As text it is a task file again: what is known about it stands in comments before it, so that
// `hone show matmul.hone 17 > candidate.cu` gives a file that `hone check` takes.
#include "cli/archive.h"
#include <string.h>
#include <unistd.h>

enum { MAX_LINEAGE = 4096 };
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// From the candidate to the baseline along first parents; returns how many.
static size_t lineage(const cli_archive *a, const cli_row *r, const cli_row **out) {
    size_t n = 0;
    while (r && n < MAX_LINEAGE) {
        out[n++] = r;
        r = r->n_parents && r->parents[0] != r->id ? cli_archive_row(a, r->parents[0]) : NULL;
    }
    return n;
}

static bool ends_in_backslash(const cli_row *r) {   // the comment would go on in the next line
    const char *last = *r->note ? r->note : r->move;
    return *last && last[strlen(last) - 1] == '\\';
}

static void print_lineage(const cli_archive *a, const cli_row *r) {
    static const cli_row *chain[MAX_LINEAGE];
    size_t n = lineage(a, r, chain);
    for (size_t i = n; i-- > 0;) {
        char t[32];
        const cli_row *x = chain[i];
        printf("//   %4llu  ", (unsigned long long)x->id);
        cli_print_cell(x->has_time && x->ok ? cli_time_text(x->timing.time_us, t) : "-", -9);
        if (x->n_parents)
            printf("  %s/%s%s%s%s\n", x->proposer, x->move, *x->note ? ": " : "", x->note, ends_in_backslash(x) ? " ." : "");
        else
            printf("  baseline\n");
    }
}

static void print_tuning(const cli_row *r) {
    json_t *tuning = json_loads(r->tuning_json, 0, NULL), *value;
    const char *key;
    if (json_object_size(tuning)) {
        printf("// tune values:");
        json_object_foreach(tuning, key, value) {
            if (strspn(key, NAME_CHARS) == strlen(key))
                printf(" %s=%lld", key, (long long)json_integer_value(value));
        }
        putchar('\n');
    }
    json_decref(tuning);
}

static void print_findings(const cli_row *r) {
    size_t i;
    json_t *f;
    json_array_foreach(r->findings, i, f) {
        json_int_t line = json_integer_value(json_object_get(f, "line"));
        const char *kind = json_string_value(json_object_get(f, "kind")), *message = json_string_value(json_object_get(f, "message"));
        printf("// finding %.*s", (int)strcspn(kind ? kind : "unknown", "\n"), kind ? kind : "unknown");
        if (line > 0)
            printf(" at line %lld", (long long)line);
        printf(": ");
        for (const char *p = message ? message : ""; *p; p++)
            printf(*p == '\n' ? " \n//   " : *p == '\\' ? "\\ " : "%c", *p);   // no comment goes on over a line's end
        putchar('\n');
    }
}

static void print_timing(const cli_archive *a, const cli_row *r) {
    char t[32], lo[32], hi[32];
    if (!r->ok || !r->has_time)
        return;
    printf("// time: %s (%s, %s … %s)", cli_time_text(r->timing.time_us, t), r->timing.modelled ? "modelled" : "measured",
           cli_time_text(r->timing.lo_us, lo), cli_time_text(r->timing.hi_us, hi));
    double speedup = cli_row_speedup(a, r);
    if (speedup > 0 && r->n_parents)
        printf(", %.2f× the baseline's speed", speedup);
    putchar('\n');
}

static void print_head(const cli_archive *a, const cli_row *r) {
    printf("// candidate %llu of %s: %s%s", (unsigned long long)r->id, a->dir, cli_row_verdict(a, r),
           a->has_best && r->id == a->best ? ", the best of the run" : "");
    if (r->id == a->best && a->confirmation)
        printf(", confirmed with fresh seeds");
    if (r->duplicate)
        printf("; the same program as candidate %llu", (unsigned long long)r->duplicate_of);
    putchar('\n');
    print_timing(a, r);
    if (r->has_resources)
        printf("// %u registers, %u B static shared memory, %u B spilled per thread\n", r->registers, r->static_shared_bytes,
               r->spill_bytes);
    print_tuning(r);
    print_findings(r);
    if (r->n_parents) {
        printf("// lineage:\n");
        print_lineage(a, r);
    }
    putchar('\n');
}

static json_t *lineage_json(const cli_archive *a, const cli_row *r) {
    static const cli_row *chain[MAX_LINEAGE];
    size_t n = lineage(a, r, chain);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)chain[i]->id));
    return list;
}

static void print_json(const cli_archive *a, const cli_row *r, const char *text) {
    json_t *j = cli_row_json(a, r);
    json_object_set_new(j, "schema", json_string("hone.show/1"));
    json_object_set_new(j, "folder", json_string(a->dir));
    json_object_set_new(j, "best", json_boolean(a->has_best && r->id == a->best));
    json_object_set_new(j, "lineage", lineage_json(a, r));
    json_object_set_new(j, "text", json_string(text));
    if (r->outcome)
        json_object_set(j, "outcome", r->outcome);
    if (a->has_best && r->id == a->best && a->confirmation)
        json_object_set(j, "confirmation", a->confirmation);
    cli_print_json(j);
}

static int show(const cli_options *o, const cli_archive *a) {
    hone_err e = {0};
    const cli_row *r = NULL;
    char *text = NULL;
    hone_code c = cli_archive_find(a, o->n_args == 2 ? o->args[1] : "best", &r, &e);
    if (c == HONE_OK)
        c = cli_row_text(r, &text, &e);
    if (c != HONE_OK)
        return cli_error(o, &e);
    if (o->json) {
        print_json(a, r, text);
    } else {
        print_head(a, r);
        if (isatty(STDOUT_FILENO))   // a file gets the bytes as they are
            cli_put_visible(text, stdout);
        else
            fputs(text, stdout);
        if (*text && text[strlen(text) - 1] != '\n')
            putchar('\n');
    }
    hone_free(text);
    return EXIT_FINE;
}

int cmd_show(const cli_options *o) {
    hone_err e = {0};
    cli_archive a;
    if (o->n_args < 1 || o->n_args > 2) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone show' needs a result folder and at most one candidate");
        hone_hint(&e, "hone show matmul.hone 17");
        return cli_error(o, &e);
    }
    if (cli_archive_open(o->args[0], &a, &e) != HONE_OK)
        return cli_error(o, &e);
    int code = show(o, &a);
    cli_archive_close(&a);
    return code;
}
