// hone log: the candidates of a run, one line each, newest last. Reads the archive; a run in progress can be watched.
#include "cli/archive.h"
#include <string.h>

static const char *colour_of(const cli_style *st, const char *verdict) {
    static const char *const plain[] = {"baseline", "same", "ambiguous", "slow", "pass"};
    if (!strcmp(verdict, "fast"))
        return st->green;
    if (!strcmp(verdict, "duplicate"))
        return st->dim;
    for (size_t i = 0; i < HONE_COUNT(plain); i++)
        if (!strcmp(verdict, plain[i]))
            return "";
    return st->red;
}

static void parents_text(const cli_row *r, char *out, size_t cap) {
    if (r->n_parents == 0)
        snprintf(out, cap, "-");
    else if (r->n_parents == 1)
        snprintf(out, cap, "%llu", (unsigned long long)r->parents[0]);
    else
        snprintf(out, cap, "%llu,%llu", (unsigned long long)r->parents[0], (unsigned long long)r->parents[1]);
}

static void print_row(const cli_archive *a, const cli_row *r, const cli_style *st) {
    char id[32], parents[48], move[80], t[32], x[32];
    const char *verdict = cli_row_verdict(a, r);
    snprintf(id, sizeof id, "%s%llu", a->has_best && r->id == a->best ? "*" : "", (unsigned long long)r->id);
    parents_text(r, parents, sizeof parents);
    snprintf(move, sizeof move, "%s%s%s", r->proposer, *r->proposer && *r->move ? "/" : "", r->move);
    double speedup = cli_row_speedup(a, r);
    snprintf(x, sizeof x, speedup > 0 ? "%.2f×" : "-", speedup);
    cli_print_cell(id, -6);
    fputs("  ", stdout);
    cli_print_cell(parents, 9);
    cli_print_cell(*move ? move : "-", 26);
    fputs(colour_of(st, verdict), stdout);
    cli_print_cell(verdict, 20);
    fputs(st->off, stdout);
    cli_print_cell(r->has_time && r->ok ? cli_time_text(r->timing.time_us, t) : "-", -10);
    cli_print_cell(x, -9);
    printf("  %s\n", !r->ok && r->finding_message ? r->finding_message : r->note);
}

static void print_table(const cli_options *o, const cli_archive *a) {
    cli_style st = cli_style_for(o, stdout);
    printf("%s    id  parents  move                      verdict                   time  speedup  note%s\n", st.bold, st.off);
    for (size_t i = 0; i < a->n_rows; i++)
        print_row(a, &a->rows[i], &st);
    if (!a->finished)
        printf("%sthe run is not finished: it is going on, or was stopped and can be continued%s\n", st.dim, st.off);
}

static void print_json(const cli_archive *a) {
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_rows; i++)
        json_array_append_new(list, cli_row_json(a, &a->rows[i]));
    json_t *j = json_pack("{s:s, s:s, s:I, s:b, s:o}", "schema", "hone.log/1", "folder", a->dir, "run", (json_int_t)a->run, "finished",
                          (int)a->finished, "candidates", list);
    json_object_set_new(j, "best", a->has_best ? json_integer((json_int_t)a->best) : json_null());
    json_object_set_new(j, "verdict", a->verdict ? json_string(a->verdict) : json_null());
    json_object_set_new(j, "stopped", a->stop ? json_string(a->stop) : json_null());
    cli_print_json(j);
}

int cmd_log(const cli_options *o) {
    hone_err e = {0};
    cli_archive a;
    if (o->n_args != 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone log' needs a result folder");
        hone_hint(&e, "hone log matmul.hone");
        return cli_error(o, &e);
    }
    if (cli_archive_open(o->args[0], &a, &e) != HONE_OK)
        return cli_error(o, &e);
    if (o->json)
        print_json(&a);
    else
        print_table(o, &a);
    cli_archive_close(&a);
    return EXIT_FINE;
}
