// propose/rewrite_task: edits of the task file's own lines (launch, tune, flags) and the bridge from kernel expressions to launch
// expressions.
#include "propose/rewrite.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool rw_literal(const char *text, int64_t *out)
{
    char *end;
    if (!text || !isdigit((unsigned char)*text))
        return false;
    *out = strtoll(text, &end, 10);
    return *end == 0 && *out > 0;
}

const char *rw_times(rw *r, const char *a, int64_t factor)
{
    int64_t v;
    if (factor == 1)
        return a;
    return rw_literal(a, &v) ? rw_text(r, "%lld", (long long)(v * factor)) : rw_text(r, "(%s)*%lld", a, (long long)factor);
}

static bool wrapped(const char *s, size_t n)
{
    int depth = 0;
    if (n < 2 || s[0] != '(' || s[n - 1] != ')')
        return false;
    for (size_t k = 0; k < n; k++) {
        depth += s[k] == '(' ? 1 : s[k] == ')' ? -1 : 0;
        if (depth == 0 && k + 1 < n)
            return false;
    }
    return true;
}

static hone_span trim(hone_span s)
{
    while (s.n && isspace((unsigned char)s.s[0]))
        s.s++, s.n--;
    while (s.n && isspace((unsigned char)s.s[s.n - 1]))
        s.n--;
    return s;
}

static hone_span unwrap(const char *text)
{
    hone_span s = trim((hone_span){text, strlen(text)});
    while (wrapped(s.s, s.n))
        s = trim((hone_span){s.s + 1, s.n - 2});
    return s;
}

bool rw_same_expr(const char *a, const char *b)
{
    if (!a || !b)
        return false;
    hone_span x = unwrap(a), y = unwrap(b);
    size_t i = 0, j = 0;
    for (;;) {
        while (i < x.n && isspace((unsigned char)x.s[i]))
            i++;
        while (j < y.n && isspace((unsigned char)y.s[j]))
            j++;
        if (i == x.n || j == y.n)
            return i == x.n && j == y.n;
        if (x.s[i++] != y.s[j++])
            return false;
    }
}

bool rw_block_size(const rw_unit *u, int64_t block[3])
{
    for (unsigned a = 0; a < 3; a++)
        if (!rw_literal(hone_expr_text(u->launch->block[a]), &block[a]))
            return false;
    return true;
}

const char *rw_reach(rw *r, const char *grid, const char *block)
{
    hone_span g = unwrap(grid);
    if (g.n > 6 && !memcmp(g.s, "cdiv(", 5) && wrapped(g.s + 4, g.n - 4)) {
        int depth = 0;
        for (size_t k = 5; k + 1 < g.n; k++) {
            depth += g.s[k] == '(' ? 1 : g.s[k] == ')' ? -1 : 0;
            if (depth != 0 || g.s[k] != ',')
                continue;
            hone_span by = trim((hone_span){g.s + k + 1, g.n - k - 2}), of = trim((hone_span){g.s + 5, k - 5});
            if (rw_same_expr(rw_text(r, "%.*s", (int)by.n, by.s), block))
                return rw_text(r, "%.*s", (int)of.n, of.s);
        }
    }
    if (rw_same_expr(block, "1"))
        return grid;
    return rw_text(r, "(%s)*(%s)", grid, block);
}

rw_grid rw_grid_of(rw *r, const rw_unit *u)
{
    rw_grid g = {0};
    for (unsigned a = 0; a < 3; a++) {
        g.grid[a] = rw_text(r, "%s", hone_expr_text(u->launch->grid[a]));
        g.block[a] = rw_text(r, "%s", hone_expr_text(u->launch->block[a]));
    }
    g.smem = u->launch->smem ? rw_text(r, "%s", hone_expr_text(u->launch->smem)) : NULL;
    return g;
}

static const char *dim_text(rw *r, const char *const d[3])
{
    if (!rw_same_expr(d[2], "1"))
        return rw_text(r, "dim3(%s, %s, %s)", d[0], d[1], d[2]);
    if (!rw_same_expr(d[1], "1"))
        return rw_text(r, "dim3(%s, %s)", d[0], d[1]);
    return d[0];
}

static const char *launch_args(rw *r, const hone_launch *l, const char *from, const char *to)
{
    const char *s = "";
    for (size_t k = 0; k < l->n_args; k++) {
        const char *value = l->args[k].value ? hone_expr_text(l->args[k].value) : NULL;
        if (from && value && rw_same_expr(value, from))
            value = to;
        s = rw_text(r, "%s%s%s", s, k ? ", " : "", l->args[k].buffer ? l->args[k].buffer : value);
    }
    return s;
}

static void replace_launch(rw *r, const hone_launch *l, const rw_grid *g, const char *from, const char *to)
{
    const char *tail = "";
    if (l->cluster[0] && l->cluster[1] && l->cluster[2])
        tail = rw_text(r, " cluster=dim3(%s, %s, %s)", hone_expr_text(l->cluster[0]), hone_expr_text(l->cluster[1]),
                       hone_expr_text(l->cluster[2]));
    if (l->cooperative)
        tail = rw_text(r, "%s cooperative", tail);
    const char *smem = g->smem && !rw_same_expr(g->smem, "0") ? rw_text(r, ", %s", g->smem) : "";
    const char *line = rw_text(r, "#pragma hone launch %s<<<%s, %s%s>>>(%s)%s", l->kernel, dim_text(r, g->grid), dim_text(r, g->block),
                               smem, launch_args(r, l, from, to), tail);
    size_t at = l->text_at, end = at + l->text_len;
    while (end > at && (r->task->text[end - 1] == '\n' || r->task->text[end - 1] == '\r'))
        end--;
    rw_replace(r, at, end, line);
}

void rw_set_launch(rw *r, const rw_unit *u, const rw_grid *g)
{
    replace_launch(r, u->launch, g, NULL, NULL);
}

void rw_set_launch_args(rw *r, const hone_launch *l, const char *from, const char *to)
{
    rw_unit u = {.launch = l};
    rw_grid g = rw_grid_of(r, &u);
    replace_launch(r, l, &g, from, to);
}

void rw_add_lines(rw *r, const rw_unit *u, const char *lines)
{
    size_t at = u->launch->text_at;
    while (at > 0 && r->task->text[at - 1] != '\n')
        at--;
    rw_insert(r, at, lines);
}

void rw_add_before_kernel(rw *r, const rw_unit *u, const char *key, const char *text)
{
    if (strstr(r->task->text, key))
        return;
    size_t at = u->ast.t->v[u->kernel->tok_first].at;
    while (at > 0 && r->task->text[at - 1] != '\n')
        at--;
    // before the comment lines that belong to the kernel
    while (at > 1) {
        size_t line = at - 1;
        while (line > 0 && r->task->text[line - 1] != '\n')
            line--;
        if (strncmp(r->task->text + line, "//", 2) != 0)
            break;
        at = line;
    }
    rw_insert(r, at, text);
}

const char *rw_arg_buffer(const rw_unit *u, const char *param)
{
    for (size_t k = 0; k < u->kernel->n_params; k++)
        if (u->kernel->params[k].name && !strcmp(u->kernel->params[k].name, param))
            return u->launch->args[k].buffer;
    return NULL;
}

const char *rw_arg_value(const rw_unit *u, const char *param)
{
    for (size_t k = 0; k < u->kernel->n_params; k++)
        if (u->kernel->params[k].name && !strcmp(u->kernel->params[k].name, param))
            return u->launch->args[k].value ? hone_expr_text(u->launch->args[k].value) : NULL;
    return NULL;
}

const hone_arg *rw_buffer(const rw *r, const char *name)
{
    for (size_t k = 0; name && k < r->task->n_args; k++)
        if (!strcmp(r->task->args[k].name, name))
            return &r->task->args[k];
    return NULL;
}

static bool plain_name(const char *s)
{
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static const char *launch_binary(rw *r, const rw_unit *u, const hone_node *n)
{
    static const char *const ops[] = {"+", "-", "*", "/", "%"};
    for (size_t k = 0; k < HONE_COUNT(ops); k++) {
        if (strcmp(n->op, ops[k]) != 0)
            continue;
        const char *a = rw_launch_expr(r, u, n->kid[0]), *b = rw_launch_expr(r, u, n->kid[1]);
        return a && b ? rw_text(r, "%s%s%s", a, ops[k], b) : NULL;
    }
    return NULL;
}

const char *rw_launch_expr(rw *r, const rw_unit *u, const hone_node *n)
{
    int64_t v;
    if (!n)
        return NULL;
    switch (n->kind) {
    case HONE_N_CAST:
        return rw_launch_expr(r, u, n->kid[0]);
    case HONE_N_PAREN: {
        const char *in = rw_launch_expr(r, u, n->kid[0]);
        return in && !plain_name(in) ? rw_text(r, "(%s)", in) : in;
    }
    case HONE_N_LITERAL:
        return rw_literal(n->name, &v) || !strcmp(n->name, "0") ? n->name : NULL;
    case HONE_N_BINARY:
        return launch_binary(r, u, n);
    case HONE_N_IDENT: {
        const char *value = rw_arg_value(u, n->name);
        hone_local l = hone_ast_local(&u->ast, n->name);
        if (!value && l.var && l.declared == 1 && !l.writes && l.var->kid[0]) {
            const char *in = rw_launch_expr(r, u, l.var->kid[0]);
            return in && !plain_name(in) ? rw_text(r, "(%s)", in) : in;
        }
        if (!value || l.var || hone_ast_writes(&u->ast, u->ast.body, n->name))
            return NULL;
        return plain_name(value) || wrapped(value, strlen(value)) ? value : rw_text(r, "(%s)", value);
    }
    default:
        return NULL;
    }
}
