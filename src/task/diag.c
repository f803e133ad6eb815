// Diagnostics: recording them while parsing, suggesting close names, and printing them with line, caret and hint.
#include "task/internal.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool diags_grow(hone_diags *d) {
    size_t cap = d->cap ? d->cap * 2 : 8;
    hone_diag *v = hone_arena_array(d->arena, cap, sizeof *v);
    if (!v)
        return false;
    if (d->n)
        memcpy(v, d->v, d->n * sizeof *v);
    d->v = v;
    d->cap = cap;
    return true;
}

static void add(parser *p, bool is_error, const hone_tok *at, const char *hint, const char *fmt, va_list ap) {
    hone_diags *d = p->diags;
    char msg[512];
    vsnprintf(msg, sizeof msg, fmt, ap);
    p->n_errors += is_error;
    if (d->n >= MAX_DIAGS)
        return;
    if ((d->n == d->cap && !diags_grow(d))) {
        p->nomem = true;
        return;
    }
    for (size_t i = 0; i < d->n; i++)   // one mistake, found in two ways
        if (d->v[i].line == at->line && d->v[i].col == at->col && strcmp(d->v[i].msg, msg) == 0)
            return;
    hone_diag x = {.line = at->line, .col = at->col, .len = at->len ? at->len : 1, .is_error = is_error};
    x.msg = hone_arena_strdup(d->arena, msg);
    x.hint = hint ? hone_arena_strdup(d->arena, hint) : NULL;
    if (!x.msg || (hint && !x.hint)) {
        p->nomem = true;
        return;
    }
    d->v[d->n++] = x;
}

void task_error(parser *p, const hone_tok *at, const char *hint, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    add(p, true, at, hint, fmt, ap);
    va_end(ap);
}

void task_warn(parser *p, const hone_tok *at, const char *hint, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    add(p, false, at, hint, fmt, ap);
    va_end(ap);
}

void names_add(name_list *l, const char *name) {
    if (l->n < HONE_COUNT(l->v))
        l->v[l->n++] = name;
}

// Another case is near, whatever the length; else one letter in two to four, two in longer names, none in single letters. The name itself
// is no suggestion.
const char *task_suggest(parser *p, const char *name, const name_list *known) {
    size_t n = strlen(name), limit = n < 2 ? 0 : n < 5 ? 1 : 2, best = limit + 1;
    const char *found = NULL;
    for (size_t i = 0; i < known->n; i++) {
        if (strcmp(name, known->v[i]) == 0)
            continue;
        size_t d = strcasecmp(name, known->v[i]) == 0 ? 0 : hone_edit_distance(name, known->v[i], limit);
        if (d < best) {
            best = d;
            found = known->v[i];
        }
    }
    return found ? hone_arena_printf(p->a, "did you mean '%s'?", found) : NULL;
}

// By position; of equal ones the first found stays first.
void task_sort_diags(hone_diags *d) {
    for (size_t i = 1; i < d->n; i++)
        for (size_t k = i; k > 0; k--) {
            hone_diag x = d->v[k], before = d->v[k - 1];
            if (before.line < x.line || (before.line == x.line && before.col <= x.col))
                break;
            d->v[k] = before;
            d->v[k - 1] = x;
        }
}

// The bytes of line `line` (1-based) without its end.
static hone_span text_line(const char *text, size_t len, uint32_t line) {
    const char *s = text, *end = text + len;
    for (uint32_t k = 1; k < line && s < end; k++) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        s = nl ? nl + 1 : end;
    }
    const char *nl = s < end ? memchr(s, '\n', (size_t)(end - s)) : NULL;
    size_t n = (size_t)((nl ? nl : end) - s);
    if (n && s[n - 1] == '\r')
        n--;
    return (hone_span){s, n};
}

// Tabs stay tabs under the caret, so that it lines up whatever their width; other control bytes become spaces.
static void print_caret(hone_str *out, hone_span line, const hone_diag *d) {
    hone_str_add(out, "  ");
    for (uint32_t c = 1; c < d->col && c <= line.n; c++)
        if (((unsigned char)line.s[c - 1] & 0xC0) != 0x80)   // one blank per UTF-8 character
            hone_str_addc(out, line.s[c - 1] == '\t' ? '\t' : ' ');
    hone_str_addc(out, '^');
    for (uint32_t c = 1; c < d->len && d->col + c <= line.n; c++)
        hone_str_addc(out, '~');
    hone_str_addc(out, '\n');
}

void hone_diags_print(const hone_diags *d, const char *path, const char *text, size_t len, hone_str *out) {
    for (size_t i = 0; i < d->n; i++) {
        const hone_diag *x = &d->v[i];
        hone_span line = text_line(text, len, x->line);
        hone_str_addf(out, "%s:%u:%u: %s: %s\n  ", path, x->line, x->col, x->is_error ? "error" : "warning", x->msg);
        for (size_t k = 0; k < line.n; k++)
            hone_str_addc(out, (unsigned char)line.s[k] < 0x20 && line.s[k] != '\t' ? ' ' : line.s[k]);
        hone_str_addc(out, '\n');
        print_caret(out, line, x);
        if (x->hint)
            hone_str_addf(out, "hint: %s\n", x->hint);
    }
}
