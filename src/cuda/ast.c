// cuda/ast: statements. Each statement is tried as what it looks like; when that fails it is kept as one opaque node up to its
// ';' or closing brace, and the parser goes on behind it. Preorder numbering is done once at the end.
#include "cuda/ast_internal.h"
#include <string.h>

static hone_node *statement(ast_parser *p);

static hone_node *opaque_statement(ast_parser *p, size_t first)
{
    size_t i = first;
    while (i < p->end && !ast_tok(p, i, ";") && !ast_tok(p, i, "}")) {
        bool brace = ast_tok(p, i, "{");
        if (p->t->v[i].match > i)
            i = p->t->v[i].match;
        if (brace && !ast_tok(p, i + 1, "else") && !ast_tok(p, i + 1, "while") && !ast_tok(p, i + 1, ";"))
            break;
        i++;
    }
    size_t last = i < p->end && !(ast_tok(p, i, "}") && p->t->v[i].match < first) ? i : (i > first ? i - 1 : first);
    p->i = last + 1;
    p->bad = false;
    return ast_node(p, HONE_N_OPAQUE, first, last, NULL, 0);
}

static hone_node *init_list(ast_parser *p)
{
    size_t first = p->i, close = p->t->v[first].match;
    ast_kids kids = {0};
    p->i++;
    while (!p->bad && p->i < close) {
        hone_node *x = ast_tok(p, p->i, "{") ? init_list(p) : ast_assignment(p);
        if (!hone_vec_push(&kids, x))
            p->oom = true;
        if (p->i < close && !ast_tok(p, p->i, ","))
            p->bad = true;
        else if (p->i < close)
            p->i++;
    }
    hone_node *x = ast_node(p, HONE_N_LIST, first, close, kids.v, kids.n);
    hone_vec_free(&kids);
    p->i = close + 1;
    return x;
}

static hone_node *declarator(ast_parser *p)
{
    size_t first = p->i;
    const char *op = "";
    for (; ast_tok(p, p->i, "*") || ast_tok(p, p->i, "&") || ast_tok(p, p->i, "const") || ast_tok(p, p->i, "__restrict__"); p->i++)
        if (!ast_tok(p, p->i, "const") && !ast_tok(p, p->i, "__restrict__"))
            op = ast_tok(p, p->i, "*") ? "*" : "&";
    if (!ast_ident(p, p->i)) {
        p->bad = true;
        return NULL;
    }
    size_t name = p->i++;
    ast_kids kids = {0};
    if (!hone_vec_push(&kids, NULL))
        p->oom = true;
    while (!p->bad && ast_tok(p, p->i, "[")) {
        size_t close = p->t->v[p->i].match;
        p->i++;
        hone_node *extent = p->i < close ? ast_expr(p) : NULL;
        if (p->i != close || !hone_vec_push(&kids, extent))
            p->bad = true;
        p->i = close + 1;
    }
    if (!p->bad && ast_tok(p, p->i, "=")) {
        p->i++;
        hone_node *init = ast_tok(p, p->i, "{") ? init_list(p) : ast_assignment(p);
        if (kids.n)
            kids.v[0] = init;
    } else if (ast_tok(p, p->i, "(") || ast_tok(p, p->i, "{")) {
        p->bad = true;   // constructor syntax
    }
    hone_node *x = ast_node(p, HONE_N_VAR, first, p->i - 1, kids.v, kids.n);
    hone_vec_free(&kids);
    x->op = op;
    x->name = ast_text(p, name, name);
    return x;
}

static bool looks_like_declaration(const ast_parser *p, size_t i)
{
    bool certain;
    size_t j = ast_type_end(p, i, &certain);
    if (j == i)
        return false;
    while (ast_tok(p, j, "*") || ast_tok(p, j, "&") || ast_tok(p, j, "const") || ast_tok(p, j, "__restrict__"))
        j++;
    if (!ast_ident(p, j))
        return false;
    return ast_tok(p, j + 1, "=") || ast_tok(p, j + 1, ";") || ast_tok(p, j + 1, ",") || ast_tok(p, j + 1, "[") ||
           (certain && ast_tok(p, j + 1, "("));
}

// DECL up to and including its ';'
static hone_node *declaration(ast_parser *p)
{
    size_t first = p->i;
    bool certain, shared = false;
    size_t after = ast_type_end(p, first, &certain);
    for (size_t i = first; i < after; i++)
        shared = shared || ast_tok(p, i, "__shared__");
    p->i = after;
    ast_kids kids = {0};
    do {
        if (ast_tok(p, p->i, ","))
            p->i++;
        hone_node *v = declarator(p);
        if (v && !hone_vec_push(&kids, v))
            p->oom = true;
    } while (!p->bad && ast_tok(p, p->i, ","));
    if (!ast_tok(p, p->i, ";"))
        p->bad = true;
    hone_node *x = ast_node(p, HONE_N_DECL, first, p->i, kids.v, kids.n);
    hone_vec_free(&kids);
    x->name = ast_text(p, first, after - 1);
    x->is_shared = shared;
    p->i++;
    return x;
}

static hone_node *expression_statement(ast_parser *p)
{
    size_t first = p->i;
    hone_node *in = ast_expr(p);
    if (!ast_tok(p, p->i, ";"))
        p->bad = true;
    p->i++;
    return ast_node(p, HONE_N_EXPR, first, p->i - 1, &in, 1);
}

static hone_node *block(ast_parser *p)
{
    size_t first = p->i, close = p->t->v[first].match;
    ast_kids kids = {0};
    p->i++;
    while (p->i < close && !p->oom) {
        hone_node *s = statement(p);
        if (!hone_vec_push(&kids, s))
            p->oom = true;
    }
    hone_node *x = ast_node(p, HONE_N_BLOCK, first, close, kids.v, kids.n);
    hone_vec_free(&kids);
    p->i = close + 1;
    return x;
}

// ( condition ) for if and while
static hone_node *parenthesised(ast_parser *p)
{
    if (!ast_tok(p, p->i, "(")) {
        p->bad = true;
        return NULL;
    }
    size_t close = p->t->v[p->i].match;
    p->i++;
    hone_node *x = ast_expr(p);
    if (p->i != close)
        p->bad = true;
    p->i = close + 1;
    return x;
}

static hone_node *if_statement(ast_parser *p)
{
    size_t first = p->i++;
    hone_node *kids[3] = {parenthesised(p), NULL, NULL};
    if (p->bad)
        return NULL;
    kids[1] = statement(p);
    if (ast_tok(p, p->i, "else")) {
        p->i++;
        kids[2] = statement(p);
    }
    return ast_node(p, HONE_N_IF, first, p->i - 1, kids, 3);
}

static hone_node *for_statement(ast_parser *p)
{
    size_t first = p->i++;
    if (!ast_tok(p, p->i, "(")) {
        p->bad = true;
        return NULL;
    }
    size_t close = p->t->v[p->i].match;
    p->i++;
    hone_node *kids[4] = {NULL};
    if (ast_tok(p, p->i, ";"))
        p->i++;
    else
        kids[0] = looks_like_declaration(p, p->i) ? declaration(p) : expression_statement(p);
    if (!p->bad && !ast_tok(p, p->i, ";"))
        kids[1] = ast_expr(p);
    if (!p->bad && !ast_tok(p, p->i, ";"))
        p->bad = true;
    p->i++;
    if (!p->bad && p->i < close)
        kids[2] = ast_expr(p);
    if (p->i != close)
        p->bad = true;
    if (p->bad)
        return NULL;
    p->i = close + 1;
    kids[3] = statement(p);
    return ast_node(p, HONE_N_FOR, first, p->i - 1, kids, 4);
}

static hone_node *while_statement(ast_parser *p)
{
    size_t first = p->i;
    bool is_do = ast_tok(p, first, "do");
    hone_node *kids[2] = {NULL, NULL};
    p->i++;
    if (is_do) {
        kids[1] = statement(p);
        if (!ast_tok(p, p->i, "while"))
            p->bad = true;
        p->i++;
        kids[0] = p->bad ? NULL : parenthesised(p);
        if (!ast_tok(p, p->i, ";"))
            p->bad = true;
        p->i++;
    } else {
        kids[0] = parenthesised(p);
        if (!p->bad)
            kids[1] = statement(p);
    }
    return p->bad ? NULL : ast_node(p, is_do ? HONE_N_DO : HONE_N_WHILE, first, p->i - 1, kids, 2);
}

static hone_node *return_statement(ast_parser *p)
{
    size_t first = p->i++;
    hone_node *value = ast_tok(p, p->i, ";") ? NULL : ast_expr(p);
    if (!ast_tok(p, p->i, ";"))
        p->bad = true;
    p->i++;
    return ast_node(p, HONE_N_RETURN, first, p->i - 1, &value, 1);
}

static hone_node *short_statement(ast_parser *p, hone_node_kind kind, size_t n_tokens)
{
    size_t first = p->i;
    p->i += n_tokens;
    return ast_node(p, kind, first, p->i - 1, NULL, 0);
}

static hone_node *understood_statement(ast_parser *p)
{
    if (ast_tok(p, p->i, "{"))
        return block(p);
    if (ast_tok(p, p->i, ";"))
        return short_statement(p, HONE_N_EMPTY, 1);
    if (ast_tok(p, p->i, "if"))
        return if_statement(p);
    if (ast_tok(p, p->i, "for"))
        return for_statement(p);
    if (ast_tok(p, p->i, "while") || ast_tok(p, p->i, "do"))
        return while_statement(p);
    if (ast_tok(p, p->i, "return"))
        return return_statement(p);
    if (ast_tok(p, p->i, "break") && ast_tok(p, p->i + 1, ";"))
        return short_statement(p, HONE_N_BREAK, 2);
    if (ast_tok(p, p->i, "continue") && ast_tok(p, p->i + 1, ";"))
        return short_statement(p, HONE_N_CONTINUE, 2);
    return looks_like_declaration(p, p->i) ? declaration(p) : expression_statement(p);
}

// A directive alone inside a block is a statement of its own; before a single statement elsewhere both form a block without braces.
static hone_node *pragma_statement(ast_parser *p, bool alone)
{
    hone_node *kids[2] = {short_statement(p, HONE_N_PRAGMA, 1), NULL};
    kids[0]->name = ast_text(p, kids[0]->first, kids[0]->first);
    if (alone || p->i >= p->end)
        return kids[0];
    kids[1] = statement(p);
    return ast_node(p, HONE_N_BLOCK, kids[0]->first, kids[1]->last, kids, 2);
}

static hone_node *statement(ast_parser *p)
{
    size_t first = p->i;
    if (first >= p->end) {
        p->bad = true;
        return ast_node(p, HONE_N_OPAQUE, p->end - 1, p->end - 1, NULL, 0);
    }
    if (++p->depth > HONE_AST_DEPTH) {
        p->depth--;
        return opaque_statement(p, first);
    }
    hone_node *x;
    if (p->t->v[first].kind == HONE_TOK_DIRECTIVE) {
        bool in_block = first > 0 && (ast_tok(p, first - 1, "{") || ast_tok(p, first - 1, ";") || ast_tok(p, first - 1, "}"));
        x = pragma_statement(p, in_block);
    } else {
        x = understood_statement(p);
        if (!x || p->bad || p->i <= first)
            x = opaque_statement(p, first);
    }
    p->depth--;
    return x;
}

static size_t count_nodes(const hone_node *x)
{
    size_t n = 1;
    for (size_t k = 0; k < x->n_kids; k++)
        if (x->kid[k])
            n += count_nodes(x->kid[k]);
    return n;
}

static void number_nodes(hone_ast *ast, hone_node *x)
{
    x->index = ast->n;
    ast->all[ast->n++] = x;
    ast->has_opaque = ast->has_opaque || x->kind == HONE_N_OPAQUE;
    for (size_t k = 0; k < x->n_kids; k++)
        if (x->kid[k])
            number_nodes(ast, x->kid[k]);
    x->size = ast->n - x->index;
}

hone_code hone_ast_parse(hone_arena *a, const hone_tokens *t, const hone_kernel *k, hone_ast *out, hone_err *e)
{
    *out = (hone_ast){.arena = a, .t = t, .kernel = k};
    if (!k->tok_lbrace || k->tok_rbrace <= k->tok_lbrace)
        return hone_fail(e, HONE_E_PARSE, 0, "kernel '%s' has no body", k->name);
    ast_parser p = {.arena = a, .t = t, .i = k->tok_lbrace, .end = k->tok_rbrace + 1};
    out->body = block(&p);
    size_t n = p.oom ? 0 : count_nodes(out->body);
    out->all = p.oom ? NULL : hone_arena_array(a, n, sizeof *out->all);
    if (!out->all)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory while parsing kernel '%s'", k->name);
    number_nodes(out, out->body);
    return HONE_OK;
}
