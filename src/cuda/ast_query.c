// cuda/ast_query: questions about a tree: texts, definitions and uses of locals, counted loops, invariance. All answers are
// conservative: when in doubt a variable is written, an expression varies, a loop is not counted.
#include "cuda/ast.h"
#include <stdlib.h>
#include <string.h>

uint32_t hone_node_at(const hone_ast *ast, const hone_node *n)
{
    return ast->t->v[n->first].at;
}

uint32_t hone_node_end(const hone_ast *ast, const hone_node *n)
{
    return ast->t->v[n->last].at + ast->t->v[n->last].len;
}

hone_span hone_node_span(const hone_ast *ast, const hone_node *n)
{
    uint32_t at = hone_node_at(ast, n);
    return (hone_span){ast->t->text + at, hone_node_end(ast, n) - at};
}

char *hone_node_text(const hone_ast *ast, const hone_node *n)
{
    hone_span s = hone_node_span(ast, n);
    return hone_arena_strndup(ast->arena, s.s, s.n);
}

bool hone_node_inside(const hone_node *n, const hone_node *ancestor)
{
    return n->index >= ancestor->index && n->index < ancestor->index + ancestor->size;
}

const hone_node *hone_node_strip(const hone_node *n)
{
    while (n && n->kind == HONE_N_PAREN)
        n = n->kid[0];
    return n;
}

const hone_node *hone_node_strip_casts(const hone_node *n)
{
    while (n && (n->kind == HONE_N_PAREN || n->kind == HONE_N_CAST))
        n = n->kid[0];
    return n;
}

bool hone_node_is(const hone_node *n, hone_node_kind kind, const char *op_or_name)
{
    if (!n || n->kind != kind)
        return false;
    bool by_name = kind == HONE_N_IDENT || kind == HONE_N_LITERAL || kind == HONE_N_CALL || kind == HONE_N_MEMBER || kind == HONE_N_VAR;
    return !strcmp(by_name ? n->name : n->op, op_or_name);
}

bool hone_node_is_builtin(const hone_node *n, const char *object, char axis)
{
    if (!n || n->kind != HONE_N_MEMBER || n->kid[0]->kind != HONE_N_IDENT || strcmp(n->kid[0]->name, object))
        return false;
    return !axis || (n->name[0] == axis && !n->name[1]);
}

bool hone_node_same(const hone_ast *ast, const hone_node *a, const hone_node *b)
{
    if (!a || !b || a->last - a->first != b->last - b->first)
        return a == b;
    for (size_t k = 0; k <= a->last - a->first; k++) {
        hone_span x = hone_tok_span(ast->t, a->first + k), y = hone_tok_span(ast->t, b->first + k);
        if (x.n != y.n || memcmp(x.s, y.s, x.n))
            return false;
    }
    return true;
}

bool hone_node_mentions(const hone_ast *ast, const hone_node *root, const char *name)
{
    if (!root)
        return false;
    for (size_t i = root->first; i <= root->last; i++)
        if (ast->t->v[i].kind == HONE_TOK_IDENT && ast->t->text[ast->t->v[i].at] == name[0] && hone_tok_is(ast->t, i, name) &&
            !(i > 0 && hone_tok_is(ast->t, i - 1, ".")))
            return true;
    return false;
}

const hone_node *hone_node_stmt_in(const hone_node *n, const hone_node *block)
{
    while (n && n->parent != block)
        n = n->parent;
    return n;
}

bool hone_ast_is_written_expr(const hone_node *n)
{
    const hone_node *p = n->parent;
    while (p && p->kind == HONE_N_PAREN)
        n = p, p = p->parent;
    if (!p)
        return false;
    if (p->kind == HONE_N_ASSIGN)
        return p->kid[0] == n;
    if (p->kind == HONE_N_POSTFIX)
        return true;
    if (p->kind != HONE_N_UNARY)
        return false;
    if (!strcmp(p->op, "&"))   // an address read through a pointer to const, or by __ldg, is no write
        return !(p->parent && ((p->parent->kind == HONE_N_CAST && !strncmp(p->parent->name, "const ", 6)) ||
                               hone_node_is(p->parent, HONE_N_CALL, "__ldg")));
    return !strcmp(p->op, "++") || !strcmp(p->op, "--");
}

bool hone_ast_is_read_expr(const hone_node *n)
{
    const hone_node *p = n->parent;
    while (p && p->kind == HONE_N_PAREN)
        n = p, p = p->parent;
    if (p && p->kind == HONE_N_ASSIGN && p->kid[0] == n)
        return strcmp(p->op, "=") != 0;
    return true;
}

bool hone_ast_writes(const hone_ast *ast, const hone_node *root, const char *name)
{
    if (!root)
        return false;
    HONE_EACH_NODE(ast, root, n) {
        if (n->kind == HONE_N_OPAQUE && hone_node_mentions(ast, n, name))
            return true;
        if (n->kind != HONE_N_IDENT || strcmp(n->name, name))
            continue;
        const hone_node *target = n;   // v.x = … writes v too
        while (target->parent && target->parent->kind == HONE_N_MEMBER)
            target = target->parent;
        if (hone_ast_is_written_expr(target))
            return true;
    }
    return false;
}

hone_local hone_ast_local(const hone_ast *ast, const char *name)
{
    hone_local out = {0};
    for (size_t i = 0; i < ast->n; i++) {
        const hone_node *n = ast->all[i];
        if (n->kind == HONE_N_VAR && !strcmp(n->name, name)) {
            out.declared++;
            if (!out.var)
                out.var = n, out.decl = n->parent;
        } else if (n->kind == HONE_N_IDENT && !strcmp(n->name, name)) {
            const hone_node *target = n;
            while (target->parent && target->parent->kind == HONE_N_MEMBER)
                target = target->parent;
            out.writes += hone_ast_is_written_expr(target);
        } else if (n->kind == HONE_N_OPAQUE && hone_node_mentions(ast, n, name)) {
            out.writes++;
        }
    }
    return out;
}

bool hone_ast_is_param(const hone_ast *ast, const char *name, const hone_param **out)
{
    for (size_t k = 0; k < ast->kernel->n_params; k++) {
        if (!ast->kernel->params[k].name || strcmp(ast->kernel->params[k].name, name))
            continue;
        if (out)
            *out = &ast->kernel->params[k];
        return true;
    }
    return false;
}

static bool literal_int(const hone_node *n, int64_t *out)
{
    n = hone_node_strip(n);
    if (!n || n->kind != HONE_N_LITERAL || n->name[0] < '0' || n->name[0] > '9')
        return false;
    char *end;
    long long v = strtoll(n->name, &end, 0);
    while (*end == 'u' || *end == 'U' || *end == 'l' || *end == 'L')
        end++;
    *out = v;
    return *end == 0;
}

// v++, ++v, v += literal
static bool loop_step(const hone_node *step, const char *var, int64_t *out)
{
    if (!step)
        return false;
    const hone_node *target = hone_node_strip(step->n_kids ? step->kid[0] : NULL);
    if (!hone_node_is(target, HONE_N_IDENT, var))
        return false;
    *out = 1;
    if (step->kind == HONE_N_POSTFIX || step->kind == HONE_N_UNARY)
        return !strcmp(step->op, "++");
    return step->kind == HONE_N_ASSIGN && !strcmp(step->op, "+=") && literal_int(step->kid[1], out) && *out > 0;
}

bool hone_ast_loop(const hone_ast *ast, const hone_node *n, hone_loop *out)
{
    if (!n || n->kind != HONE_N_FOR || !n->kid[0] || !n->kid[1] || n->kid[0]->kind != HONE_N_DECL || n->kid[0]->n_kids != 1)
        return false;
    const hone_node *var = n->kid[0]->kid[0], *cond = n->kid[1];
    *out = (hone_loop){.node = n, .body = n->kid[3], .var = var->name, .type = n->kid[0]->name, .lo = var->kid[0]};
    if (!out->lo || var->op[0] || cond->kind != HONE_N_BINARY || !hone_node_is(hone_node_strip(cond->kid[0]), HONE_N_IDENT, var->name))
        return false;
    out->inclusive = !strcmp(cond->op, "<=");
    if (!out->inclusive && strcmp(cond->op, "<") != 0)
        return false;
    out->bound = cond->kid[1];
    if (!loop_step(n->kid[2], var->name, &out->step) || hone_ast_writes(ast, out->body, var->name))
        return false;
    HONE_EACH_NODE(ast, out->body, x)
        if (x->kind == HONE_N_OPAQUE)
            return false;
    return hone_ast_invariant(ast, out->bound, out->body) && !hone_node_mentions(ast, out->bound, var->name);
}

bool hone_ast_invariant(const hone_ast *ast, const hone_node *e, const hone_node *root)
{
    HONE_EACH_NODE(ast, e, n) {
        if (n->kind == HONE_N_INDEX || n->kind == HONE_N_ASSIGN || n->kind == HONE_N_POSTFIX || n->kind == HONE_N_OPAQUE ||
            n->kind == HONE_N_LIST)
            return false;
        if (n->kind == HONE_N_CALL && strcmp(n->name, "min") != 0 && strcmp(n->name, "max") != 0)
            return false;
        if (n->kind == HONE_N_UNARY && (!strcmp(n->op, "*") || !strcmp(n->op, "&") || !strcmp(n->op, "++") || !strcmp(n->op, "--")))
            return false;
        if (n->kind != HONE_N_IDENT)
            continue;
        hone_local l = hone_ast_local(ast, n->name);
        if (l.var && hone_node_inside(l.var, root))
            return false;
        if (hone_ast_writes(ast, root, n->name))
            return false;
    }
    return true;
}
