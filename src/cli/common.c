// What the commands share: errors and exit codes, tasks and pools, colours, signals, findings.
#include "base/visible.h"
#include "cli/cli.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int cli_interrupted;
static bool diagnostics_shown;   // the error of a task file has been told line by line: not once more as a summary

static void on_signal(int sig) {
    (void)sig;
    if (cli_interrupted++)
        _exit(EXIT_INTERRUPTED);   // the second time: at once. The archive is valid at every instant
}

void cli_catch_signals(void) {
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

int cli_exit_code(hone_code c) {
    switch (c) {
    case HONE_OK: return EXIT_FINE;
    case HONE_E_COMPILE:
    case HONE_E_WRONG:
    case HONE_E_TIMEOUT:
    case HONE_E_UNSUPPORTED: return EXIT_WRONG;
    case HONE_E_DEVICE:
    case HONE_E_NO_DEVICE: return EXIT_NO_DEVICE;
    case HONE_E_INTERRUPTED: return EXIT_INTERRUPTED;
    case HONE_E_INTERNAL: return EXIT_BUG;
    default: return EXIT_USAGE;
    }
}

void cli_put_visible(const char *text, FILE *f) {
    char *shown = hone_visible(text, strlen(text));
    fputs(shown ? shown : "(out of memory)", f);
    hone_free(shown);
}

int cli_error(const cli_options *o, const hone_err *e) {
    if (o && o->json) {
        char *msg = hone_visible(e->msg, strlen(e->msg)), *hint = hone_visible(e->hint, strlen(e->hint));
        cli_print_json(json_pack("{s:s, s:{s:s, s:s, s:s, s:i}}", "schema", "hone.error/1", "error", "code", hone_code_name(e->code), "message",
                                 msg ? msg : "", "hint", hint ? hint : "", "sub", e->sub));
        hone_free(msg);
        hone_free(hint);
    }
    if (diagnostics_shown)
        return cli_exit_code(e->code);
    cli_style st = cli_style_for(o, stderr);
    fprintf(stderr, "%serror:%s ", st.red, st.off);
    cli_put_visible(e->msg, stderr);
    fputc('\n', stderr);
    if (e->hint[0]) {
        fprintf(stderr, "%shint:%s ", st.cyan, st.off);
        cli_put_visible(e->hint, stderr);
        fputc('\n', stderr);
    }
    return cli_exit_code(e->code);
}

// ---- tasks and pools

enum { MAX_TASK_BYTES = 4 << 20 };

static hone_code parse_with_diagnostics(const char *path, const char *text, size_t len, hone_task **out, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    if (!diags.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = hone_task_parse(path, text, len, out, &diags, e);
    if (diags.n) {
        hone_str s;
        hone_str_init(&s, 1 << 20);
        hone_diags_print(&diags, path, text, len, &s);
        cli_put_visible(s.s, stderr);
        diagnostics_shown = c != HONE_OK;
        hone_str_free(&s);
    }
    hone_arena_free(diags.arena);
    return c;
}

hone_code cli_load_task(const char *path, hone_task **out, hone_err *e) {
    char *text;
    size_t len;
    HONE_TRY(hone_read_file(path, MAX_TASK_BYTES, &text, &len, e));
    hone_code c = parse_with_diagnostics(path, text, len, out, e);
    hone_free(text);
    return c;
}

hone_code cli_open_pool(const cli_options *o, unsigned workers, hone_pool **out, hone_err *e) {
    hone_pool_config c = {.device = o->device ? o->device : "auto", .workers = o->workers ? o->workers : workers, .mixed = o->mixed,
                          .time_limit_s = o->limit_s, .screens = o->screen && !strcmp(o->screen, "virtual")};
    return hone_pool_open(&c, out, e);
}

hone_code cli_evaluate(hone_pool *p, const hone_job *j, hone_outcome **out, hone_err *e) {
    HONE_TRY(hone_pool_submit(p, j, e));
    for (;;) {
        hone_err wait = {0};
        hone_code c = hone_pool_wait(p, 1000, &cli_interrupted, out, &wait);
        if (c == HONE_OK)
            return HONE_OK;
        if (c != HONE_E_TIMEOUT) {
            if (e && e->code == HONE_OK)
                *e = wait;
            return c;
        }
    }
}

// ---- colours

bool cli_color(const cli_options *o, FILE *f) {
    const char *when = o && o->color ? o->color : "auto";
    if (!strcmp(when, "always"))
        return true;
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return !strcmp(when, "auto") && !(no && *no) && isatty(fileno(f)) && !(term && !strcmp(term, "dumb"));
}

cli_style cli_style_for(const cli_options *o, FILE *f) {
    if (!cli_color(o, f))
        return (cli_style){"", "", "", "", "", "", ""};
    return (cli_style){"\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m", "\033[0m"};
}

// ---- output

void cli_print_json(json_t *j) {
    if (!j || json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0)
        fprintf(stderr, "error: out of memory for the JSON result\n");
    putchar('\n');
    json_decref(j);
}

json_t *cli_findings_json(const hone_outcome *o) {
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_findings; i++) {
        const hone_finding *f = &o->findings[i];
        json_t *j = json_pack("{s:s, s:s, s:s}", "kind", f->kind, "stage", f->stage ? f->stage : "", "message", f->message);
        if (f->file && f->line)
            json_object_set_new(j, "line", json_integer(f->line));
        if (f->evidence)
            json_object_set(j, "evidence", f->evidence);
        json_array_append_new(list, j);
    }
    return list;
}

void cli_print_findings(const hone_outcome *o, const cli_style *st, FILE *f) {
    for (size_t i = 0; i < o->n_findings; i++) {
        const hone_finding *x = &o->findings[i];
        fprintf(f, "  %s%s%s", st->red, x->kind, st->off);
        if (x->line)
            fprintf(f, " at line %u", x->line);
        fprintf(f, ": %s\n", x->message);
    }
}

void cli_print_why(const hone_outcome *o) {
    const json_t *why = json_object_get(o->json, "error");
    const char *message = json_string_value(json_object_get(why, "message")), *hint = json_string_value(json_object_get(why, "hint"));
    if (message)
        printf("  %s\n", message);
    if (hint && *hint)
        printf("  hint: %s\n", hint);
}

const char *cli_time_text(double us, char buf[32]) {
    if (us < 1000)
        snprintf(buf, 32, "%.3g µs", us);
    else if (us < 1e6)
        snprintf(buf, 32, "%.3g ms", us / 1e3);
    else
        snprintf(buf, 32, "%.3g s", us / 1e6);
    return buf;
}
