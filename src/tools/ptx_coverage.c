// hone-ptx-coverage: which PTX the virtual GPU runs. For PTX files: every instruction that it does not have, with line and reason. For tables
// of opcode statistics (opcode, count, kernels, files; tab-separated): the share of rows that are supported, plain and weighted by files,
// judged by decoding a real instruction of each form. --support: the page docs/ptx-support.md.
// Exit code: 0 all is supported (of tables: at least --min per cent weighted by files), 1 not, 2 bad usage.
#include "ptx/support.h"
#include "vgpu/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT_MB = 256, TEXT_LIMIT = 1 << 20 };

typedef struct share { double rows, files; } share;
typedef struct totals { size_t files, bad_files, issues; } totals;

// --- one form ---------------------------------------------------------------------------------------------------------------------
static hone_code decode(const char *text, size_t len, ptx_issues *issues, hone_err *e) {
    ptx_module *m = NULL;
    vg_program *p = NULL;
    HONE_TRY(ptx_parse_all(text, len, issues, &m, e));
    const hone_code c = vg_program_build_all(m, NULL, NULL, issues, &p, e);
    vg_program_free(p);
    ptx_free(m);
    return c;
}

// Some instruction of this form decodes. why: of the last attempt that did not.
static bool is_supported(const char *form, char *why, size_t n) {
    bool ok = false;
    snprintf(why, n, "no operands are known for it");
    for (unsigned variant = 0; !ok && variant < 16; variant++) {
        hone_err e = {0};
        ptx_issues issues = {0};
        hone_str text;
        hone_str_init(&text, TEXT_LIMIT);
        const bool more = ptx_example(form, variant, &text, &e);
        if (more) {
            ok = decode(text.s, text.len, &issues, &e) == HONE_OK && !issues.n;
            snprintf(why, n, "%s", issues.n ? issues.all.msg : e.msg);
        } else if (e.code) {
            snprintf(why, n, "%s", e.msg);
        }
        hone_str_free(&text);
        if (!more)
            break;
    }
    return ok;
}

// --- statistics -------------------------------------------------------------------------------------------------------------------
static void add_row(char *line, share *have, share *all) {
    char why[1024];
    char *rest = strchr(line, '\t'), *last = strrchr(line, '\t');
    if (!rest || !last || !strcmp(line, "opcode"))
        return;
    const double files = strtod(last + 1, NULL);
    *rest = '\0';
    if (!strcmp(line, "opcode") || files <= 0)
        return;
    all->rows += 1;
    all->files += files;
    if (is_supported(line, why, sizeof why)) {
        have->rows += 1;
        have->files += files;
    } else {
        printf("  %-60s %5.0f files  %s\n", line, files, why);
    }
}

static void cover_table(const char *path, char *text, share *have, share *all) {
    printf("%s: unsupported\n", path);
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        add_row(line, have, all);
    }
    printf("%s: %.0f of %.0f rows (%.2f %%), weighted by files %.2f %%\n", path, have->rows, all->rows, 100 * have->rows / all->rows,
           100 * have->files / all->files);
}

// --- PTX files --------------------------------------------------------------------------------------------------------------------
typedef struct listing { const char *path, *text; } listing;

static const char *line_of(const char *text, unsigned line, int *n) {
    for (; line > 1 && text; line--) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    while (text && (*text == ' ' || *text == '\t'))
        text++;
    *n = text ? (int)strcspn(text, "\n") : 0;
    return text ? text : "";
}

static void print_issue(void *self, const hone_err *issue) {
    const listing *l = self;
    unsigned line = 0, column = 0;
    int n, at = 0;
    if (sscanf(issue->msg, "ptx:%u:%u: %n", &line, &column, &at) != 2)
        at = 0;
    const char *source = line_of(l->text, line, &n);
    printf("%s:%u: %.*s\n    %s\n", l->path, line, n, source, issue->msg + at);
}

static uint64_t no_address(void *user, const ptx_var *v) {
    (void)user;
    (void)v;
    return 0x700000000000;
}

static void cover_ptx(const char *path, const char *text, size_t len, totals *t) {
    listing l = {path, text};
    ptx_issues issues = {.each = print_issue, .self = &l};
    hone_err e = {0};
    ptx_module *m = NULL;
    vg_program *p = NULL;
    hone_code c = ptx_parse_all(text, len, &issues, &m, &e);
    if (c == HONE_OK)
        c = vg_program_build_all(m, no_address, NULL, &issues, &p, &e);
    if (c != HONE_OK)
        print_issue(&l, &e);
    printf("%s: %zu unsupported\n", path, issues.n + (c != HONE_OK));
    t->files++;
    t->issues += issues.n + (c != HONE_OK);
    t->bad_files += issues.n || c != HONE_OK;
    vg_program_free(p);
    ptx_free(m);
}

// --- the page ---------------------------------------------------------------------------------------------------------------------
static bool form_is_supported(void *self, const char *form) {
    char why[1024];
    (void)self;
    return is_supported(form, why, sizeof why);
}

static int print_support(void) {
    hone_str out;
    hone_str_init(&out, (size_t)4 << 20);
    ptx_support_page(form_is_supported, NULL, &out);
    fputs(out.s, stdout);
    const bool ok = !out.failed;
    hone_str_free(&out);
    return ok ? 0 : 2;
}

int main(int argc, char **argv) {
    totals t = {0};
    share have = {0}, all = {0};
    double least = 100;   // of a table, weighted by files: less is exit code 1
    int first = 1;
    if (argc == 2 && !strcmp(argv[1], "--support"))
        return print_support();
    if (argc > 2 && !strcmp(argv[1], "--min")) {
        least = strtod(argv[2], NULL);
        first = 3;
    }
    if (argc <= first) {
        fprintf(stderr, "usage: hone-ptx-coverage [--min PERCENT] FILE.ptx|FILE.tsv… | --support\n");
        return 2;
    }
    for (int i = first; i < argc; i++) {
        hone_err e = {0};
        char *text = NULL;
        size_t len = 0;
        if (hone_read_file(argv[i], (size_t)FILE_LIMIT_MB << 20, &text, &len, &e) != HONE_OK) {
            fprintf(stderr, "error: %s\n", e.msg);
            return 2;
        }
        const char *dot = strrchr(argv[i], '.');
        if (dot && !strcmp(dot, ".tsv"))
            cover_table(argv[i], text, &have, &all);
        else
            cover_ptx(argv[i], text, len, &t);
        hone_free(text);
    }
    if (t.files > 1)
        printf("total: %zu of %zu files supported, %zu unsupported instructions\n", t.files - t.bad_files, t.files, t.issues);
    return t.issues || 100 * have.files < least * all.files;
}
