// NVRTC's log → diagnostics with line and column, ptxas's statistics per kernel, and the remaining text. The formats are those of cudafe
// ("file(3): error: …", the source line, a caret) and of ptxas -v; a line in neither format is kept as text.
#include "compile/compile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef HONE_VEC(hone_kernel_info) kernel_vec;
typedef HONE_VEC(hone_compile_diag) diag_vec;
typedef struct parser {
    const char *file;
    kernel_vec kernels;
    diag_vec diags;
    hone_str text;
    bool failed;
} parser;
enum { MAX_DIAGS = 100 };

static bool starts(const char *s, size_t n, const char *prefix) {
    size_t k = strlen(prefix);
    return n >= k && memcmp(s, prefix, k) == 0;
}

static void add_diag(parser *p, hone_compile_diag d) {
    if (p->diags.n < MAX_DIAGS && !hone_vec_push(&p->diags, d))
        p->failed = true;
}

// "k.cu(12): error: text" or "k.cu(12): warning #177-D: text" or "k.cu(3): catastrophic error: …"
static bool cudafe_line(parser *p, const char *s, size_t n) {
    size_t f = strlen(p->file);
    if (!starts(s, n, p->file) || n <= f + 2 || s[f] != '(')
        return false;
    char *end;
    unsigned long line = strtoul(s + f + 1, &end, 10);
    if (end[0] != ')' || end[1] != ':' || end[2] != ' ')
        return false;
    const char *word = end + 3, *colon = memchr(word, ':', n - (size_t)(word - s));
    if (!colon)
        return false;
    const char *msg = colon + 1;
    while (msg < s + n && *msg == ' ')
        msg++;
    hone_compile_diag d = {.line = (uint32_t)line};
    d.is_error = starts(word, n, "error") || starts(word, n, "catastrophic error") || starts(word, n, "fatal error");
    snprintf(d.msg, sizeof d.msg, "%.*s", (int)(n - (size_t)(msg - s)), msg);
    add_diag(p, d);
    return true;
}

// "ptxas fatal   : …", "ptxas error   : …", "nvrtc: error: …"
static bool tool_error(parser *p, const char *s, size_t n) {
    static const char *const prefixes[] = {"ptxas fatal", "ptxas error", "nvrtc: error", "nvrtc-builtins error", "catastrophic error"};
    for (size_t i = 0; i < HONE_COUNT(prefixes); i++)
        if (starts(s, n, prefixes[i])) {
            const char *msg = memchr(s + strlen(prefixes[i]), ':', n - strlen(prefixes[i]));
            msg = msg ? msg + 1 : s;
            while (*msg == ' ')
                msg++;
            hone_compile_diag d = {.is_error = true};
            snprintf(d.msg, sizeof d.msg, "%.*s", (int)(n - (size_t)(msg - s)), msg);
            add_diag(p, d);
            return true;
        }
    return false;
}

static void caret_line(parser *p, const char *s, size_t n) {   // source lines are indented by two
    size_t spaces = strspn(s, " ");
    if (p->diags.n && spaces >= 2 && spaces < n && s[spaces] == '^' && !p->diags.v[p->diags.n - 1].col)
        p->diags.v[p->diags.n - 1].col = (uint32_t)(spaces - 1);
}

static uint32_t number_before(const char *line, const char *what) {
    const char *at = strstr(line, what);
    if (!at)
        return 0;
    while (at > line && at[-1] == ' ')
        at--;
    while (at > line && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return (uint32_t)strtoul(at, NULL, 10);
}

static uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }

// ptxas -v reports per entry: its name, then stack and spills (also of functions it calls), then registers, barriers and shared memory.
static bool ptxas_line(parser *p, const char *line) {
    if (strncmp(line, "ptxas", 5) != 0 || !(strstr(line, "ptxas info") == line || strstr(line, "ptxas         .") == line))
        return false;
    const char *entry = strstr(line, "Compiling entry function '");
    hone_kernel_info *k = p->kernels.n ? &p->kernels.v[p->kernels.n - 1] : NULL;
    if (entry) {
        hone_kernel_info fresh = {.has_spills = true};
        entry += strlen("Compiling entry function '");
        snprintf(fresh.name, sizeof fresh.name, "%.*s", (int)strcspn(entry, "'"), entry);
        if (!hone_vec_push(&p->kernels, fresh))
            p->failed = true;
    } else if (k && strstr(line, "bytes stack frame")) {
        k->stack_bytes_per_thread = max_u32(k->stack_bytes_per_thread, number_before(line, "bytes stack frame"));
        k->spill_store_bytes = max_u32(k->spill_store_bytes, number_before(line, "bytes spill stores"));
        k->spill_load_bytes = max_u32(k->spill_load_bytes, number_before(line, "bytes spill loads"));
    } else if (k && strstr(line, ": Used ")) {
        k->registers = max_u32(k->registers, number_before(line, "registers"));
        k->barriers = number_before(line, "barriers");
        k->static_shared_bytes = number_before(line, "bytes smem");
    }
    return true;
}

static void one_line(parser *p, const char *s, size_t n) {
    char line[1024];
    snprintf(line, sizeof line, "%.*s", (int)n, s);
    if (ptxas_line(p, line) || starts(s, n, "Remark: The warnings can be suppressed"))
        return;
    if (!cudafe_line(p, line, strlen(line)) && !tool_error(p, line, strlen(line)))
        caret_line(p, line, strlen(line));
    bool blank = strspn(line, " \t\r") == strlen(line);
    if (!blank || (p->text.len && p->text.s[p->text.len - 1] != '\n')) {
        hone_str_addn(&p->text, s, n);
        hone_str_addc(&p->text, '\n');
    }
}

hone_code hone_log_parse(const char *log, const char *file, hone_kernel_info **kernels, size_t *n_kernels, hone_compile_diag **diags,
                         size_t *n_diags, char **text, hone_err *e) {
    parser p = {.file = file};
    hone_str_init(&p.text, 256 << 10);
    for (const char *s = log; *s;) {
        size_t n = strcspn(s, "\n");
        one_line(&p, s, n);
        s += n + (s[n] == '\n');
    }
    bool long_log = p.text.failed;
    *text = hone_str_take(&p.text);
    hone_str_free(&p.text);
    if (!*text)
        *text = hone_strdup(long_log ? "(the compiler's log is too long to keep)" : "");
    if (p.failed || !*text) {
        hone_vec_free(&p.kernels);
        hone_vec_free(&p.diags);
        hone_free(*text);
        *text = NULL;
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the compiler's log");
    }
    *kernels = p.kernels.v;
    *n_kernels = p.kernels.n;
    *diags = p.diags.v;
    *n_diags = p.diags.n;
    return HONE_OK;
}
