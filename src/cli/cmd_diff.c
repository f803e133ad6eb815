// hone diff: what changed between two candidates of a run, tune values filled in on both sides.
#include "base/visible.h"
#include "cli/archive.h"
#include "report/report.h"
#include <string.h>
#include <unistd.h>

enum { CONTEXT_LINES = 3, MAX_DIFF_BYTES = 32 << 20 };

typedef struct sides {
    const cli_row *from, *to;
    char *a, *b;
    char name_a[64], name_b[64];
} sides;

static void name_side(const cli_archive *a, const cli_row *r, char out[64]) {
    const char *what = r == &a->rows[0] ? " (baseline)" : a->has_best && r->id == a->best ? " (best)" : "";
    snprintf(out, 64, "candidate %llu%s", (unsigned long long)r->id, what);
}

static hone_code show_all(char **text, hone_err *e) {
    char *shown = hone_visible(*text, strlen(*text));
    hone_free(*text);
    *text = shown;
    return shown ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a text");
}

static hone_code find_sides(const cli_options *o, const cli_archive *a, sides *s, hone_err *e) {
    const char *from = o->n_args == 3 ? o->args[1] : "baseline", *to = o->n_args == 1 ? "best" : o->args[o->n_args - 1];
    HONE_TRY(cli_archive_find(a, from, &s->from, e));
    HONE_TRY(cli_archive_find(a, to, &s->to, e));
    HONE_TRY(cli_row_text(s->from, &s->a, e));
    HONE_TRY(cli_row_text(s->to, &s->b, e));
    if (!o->json && isatty(STDOUT_FILENO)) {   // a file gets the bytes as they are
        HONE_TRY(show_all(&s->a, e));
        HONE_TRY(show_all(&s->b, e));
    }
    name_side(a, s->from, s->name_a);
    name_side(a, s->to, s->name_b);
    return HONE_OK;
}

static void print(const cli_options *o, const sides *s, const char *diff) {
    if (!o->json) {
        fputs(diff, stdout);
        if (!*diff)
            fprintf(stderr, "%s and %s have the same text\n", s->name_a, s->name_b);
        return;
    }
    cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:s}", "schema", "hone.diff/1", "folder", o->args[0], "from", (json_int_t)s->from->id,
                             "to", (json_int_t)s->to->id, "diff", diff));
}

static int diff(const cli_options *o, const cli_archive *a) {
    hone_err e = {0};
    sides s = {0};
    hone_str out;
    hone_str_init(&out, MAX_DIFF_BYTES);
    hone_code c = find_sides(o, a, &s, &e);
    if (c == HONE_OK && strcmp(s.a, s.b) != 0)
        c = hone_report_diff(s.a, s.b, s.name_a, s.name_b, CONTEXT_LINES, !o->json && cli_color(o, stdout), &out, &e);
    if (c == HONE_OK)
        c = hone_str_check(&out, "the diff", &e);
    if (c == HONE_OK)
        print(o, &s, out.s);
    hone_str_free(&out);
    hone_free(s.a);
    hone_free(s.b);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}

int cmd_diff(const cli_options *o) {
    hone_err e = {0};
    cli_archive a;
    if (o->n_args < 1 || o->n_args > 3) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone diff' needs a result folder and at most two candidates");
        hone_hint(&e, "hone diff matmul.hone 4 17");
        return cli_error(o, &e);
    }
    if (cli_archive_open(o->args[0], &a, &e) != HONE_OK)
        return cli_error(o, &e);
    int code = diff(o, &a);
    cli_archive_close(&a);
    return code;
}
