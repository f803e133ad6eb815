// propose/rewrite_edit: text edits, emission, rendering of nodes with substitutions, and fresh names.
#include "propose/rewrite.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rw_text(rw *r, const char *fmt, ...)
{
    char small[512];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    char *out = n < 0 ? NULL : hone_arena_alloc(r->arena, (size_t)n + 1);
    if (out)
        vsnprintf(out, (size_t)n + 1, fmt, again);
    else
        r->oom = true;
    va_end(again);
    return out ? out : "";
}

void rw_replace(rw *r, size_t at, size_t end, const char *text)
{
    rw_edit x = {at, end, r->edits.n, text};
    if (!hone_vec_push(&r->edits, x))
        r->oom = true;
}

void rw_insert(rw *r, size_t at, const char *text)
{
    rw_replace(r, at, at, text);
}

void rw_replace_node(rw *r, const rw_unit *u, const hone_node *n, const char *text)
{
    rw_replace(r, hone_node_at(&u->ast, n), hone_node_end(&u->ast, n), text);
}

void rw_drop_edits(rw *r)
{
    r->edits.n = r->names.n = 0;
}

bool rw_full(const rw *r)
{
    return r->oom || r->out.n >= r->limit;
}

static int by_place(const void *a, const void *b)
{
    const rw_edit *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if ((x->end == x->at) != (y->end == y->at))   // insertions before a replacement at the same place
        return x->end == x->at ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void rw_emit(rw *r, const hone_binding *tuning, size_t n_tuning, const char *note)
{
    const char *text = r->task->text;
    size_t at = 0;
    hone_str s;
    if (rw_full(r)) {
        rw_drop_edits(r);
        return;
    }
    hone_str_init(&s, 4 << 20);
    if (r->edits.n)
        qsort(r->edits.v, r->edits.n, sizeof *r->edits.v, by_place);
    for (size_t k = 0; k < r->edits.n; k++) {
        const rw_edit *x = &r->edits.v[k];
        if (x->at < at)
            HONE_BUG("overlapping edits in move '%s'", r->move);
        hone_str_addn(&s, text + at, x->at - at);
        hone_str_add(&s, x->text);
        at = x->end;
    }
    hone_str_addn(&s, text + at, r->task->len - at);
    bool changed = !s.failed && (s.len != r->task->len || memcmp(s.s, text, s.len) != 0);
    hone_proposal p = {.len = s.len, .tuning = tuning, .n_tuning = n_tuning, .move = r->move, .note = note};
    if (!tuning)
        p.tuning = r->parent->tuning, p.n_tuning = r->parent->n_tuning;
    p.text = changed ? hone_arena_strndup(r->arena, s.s, s.len) : NULL;
    if (s.failed || (changed && !p.text) || (changed && !hone_vec_push(&r->out, p)))
        r->oom = true;
    hone_str_free(&s);
    rw_drop_edits(r);
}

static bool name_taken(const rw *r, const char *name)
{
    for (size_t k = 0; k < r->names.n; k++)
        if (!strcmp(r->names.v[k], name))
            return true;
    size_t n = strlen(name);
    for (const char *s = strstr(r->task->text, name); s; s = strstr(s + 1, name)) {   // also inside #pragma hone lines
        bool before = s > r->task->text && (s[-1] == '_' || (s[-1] >= '0' && s[-1] <= '9') || ((s[-1] | 32) >= 'a' && (s[-1] | 32) <= 'z'));
        bool after = s[n] == '_' || (s[n] >= '0' && s[n] <= '9') || ((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z');
        if (!before && !after)
            return true;
    }
    return false;
}

const char *rw_fresh(rw *r, const char *base)
{
    const char *name = rw_text(r, "%s", base);
    for (unsigned k = 2; name_taken(r, name) && !r->oom; k++)
        name = rw_text(r, "%s%u", base, k);
    if (!hone_vec_push(&r->names, (char *)name))
        r->oom = true;
    return name;
}

const char *rw_local(rw *r, const rw_unit *u, const char *base)
{
    for (unsigned k = 1; !r->oom; k++) {
        const char *name = k == 1 ? rw_text(r, "%s", base) : rw_text(r, "%s%u", base, k);
        bool taken = false;
        for (size_t i = u->kernel->tok_lparen; i <= u->kernel->tok_rbrace && !taken; i++)
            taken = u->ast.t->v[i].kind == HONE_TOK_IDENT && hone_tok_is(u->ast.t, i, name);
        for (size_t i = 0; i < r->names.n && !taken; i++)
            taken = !strcmp(r->names.v[i], name);
        if (taken)
            continue;
        if (!hone_vec_push(&r->names, (char *)name))
            r->oom = true;
        return name;
    }
    return base;
}

void rw_remove(rw *r, const rw_unit *u, const hone_node *n)
{
    size_t at = hone_node_at(&u->ast, n), end = hone_node_end(&u->ast, n);
    const char *text = r->task->text;
    size_t before = at, after = end;
    while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t'))
        before--;
    while (text[after] == ' ' || text[after] == '\t')
        after++;
    if (before > 0 && text[before - 1] == '\n' && text[after] == '\n') {
        at = before;
        end = after + 1;
    }
    rw_replace(r, at, end, "");
}

unsigned rw_line(const rw_unit *u, const hone_node *n)
{
    return u->ast.t->v[n->first].line;
}

const char *rw_indent(rw *r, size_t at)
{
    size_t line = at;
    while (line > 0 && r->task->text[line - 1] != '\n')
        line--;
    size_t n = 0;
    while (r->task->text[line + n] == ' ' || r->task->text[line + n] == '\t')
        n++;
    char *s = hone_arena_strndup(r->arena, r->task->text + line, n);
    if (!s)
        r->oom = true;
    return s ? s : "";
}

static const char *substitute(const hone_node *n, const rw_subst *s, size_t n_s)
{
    for (size_t k = 0; k < n_s; k++) {
        if (s[k].node && s[k].node == n)
            return s[k].text;
        if (s[k].name && (n->kind == HONE_N_IDENT) && !strcmp(n->name, s[k].name))
            return s[k].text;
    }
    return NULL;
}

// Appends bytes [at, end of root) with substitutions; nodes are visited in preorder, which is text order for what does not overlap.
static void render(hone_str *out, const rw_unit *u, const hone_node *root, size_t at, const rw_subst *s, size_t n_s)
{
    const char *text = u->ast.t->text;
    for (size_t k = root->index; k < root->index + root->size; k++) {
        const hone_node *n = u->ast.all[k];
        const char *with = substitute(n, s, n_s);
        if (!with || hone_node_at(&u->ast, n) < at)
            continue;
        hone_str_addn(out, text + at, hone_node_at(&u->ast, n) - at);
        hone_str_add(out, with);
        at = hone_node_end(&u->ast, n);
        k = n->index + n->size - 1;
    }
    hone_str_addn(out, text + at, hone_node_end(&u->ast, root) - at);
}

static const char *finish(rw *r, hone_str *s)
{
    char *out = s->failed ? NULL : hone_arena_strndup(r->arena, s->s, s->len);
    if (!out)
        r->oom = true;
    hone_str_free(s);
    return out ? out : "";
}

const char *rw_render(rw *r, const rw_unit *u, const hone_node *n, const rw_subst *s, size_t n_s)
{
    hone_str out;
    hone_str_init(&out, 1 << 20);
    render(&out, u, n, hone_node_at(&u->ast, n), s, n_s);
    return finish(r, &out);
}

const char *rw_render_range(rw *r, const rw_unit *u, const hone_node *const *stmts, size_t n_stmts, const rw_subst *s, size_t n_s,
                            const char *indent)
{
    hone_str out;
    hone_str_init(&out, 1 << 20);
    for (size_t k = 0; k < n_stmts; k++) {
        if (k) {
            hone_str_addc(&out, '\n');
            hone_str_add(&out, indent);
        }
        render(&out, u, stmts[k], hone_node_at(&u->ast, stmts[k]), s, n_s);
    }
    return finish(r, &out);
}
