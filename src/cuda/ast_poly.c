// cuda/ast_poly: index expressions as polynomials with integer coefficients. They answer: what is the stride of this access along
// that variable, are two accesses the same element, which buffer does a local pointer lead to. Casts between integer types are
// looked through (index arithmetic is assumed not to wrap, as the original kernel must not wrap either).
#include "cuda/ast.h"
#include <stdlib.h>
#include <string.h>

enum { EXPAND_DEPTH = 16 };
typedef struct walk {
    const hone_ast *ast;
    const char *const *keep;
    unsigned depth;
} walk;

static int compare_terms(const hone_term *a, const hone_term *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (unsigned k = 0; k < a->n; k++) {
        int c = strcmp(a->atom[k], b->atom[k]);
        if (c)
            return c;
    }
    return 0;
}

static void add_term(hone_poly *p, hone_term t)
{
    size_t k = 0;
    while (k < p->n && compare_terms(&p->v[k], &t) < 0)
        k++;
    if (k < p->n && compare_terms(&p->v[k], &t) == 0) {
        if (__builtin_add_overflow(p->v[k].coef, t.coef, &p->v[k].coef))
            p->ok = false;
        if (p->v[k].coef == 0) {
            memmove(&p->v[k], &p->v[k + 1], (p->n - k - 1) * sizeof t);
            p->n--;
        }
        return;
    }
    if (p->n == HONE_POLY_TERMS) {
        p->ok = false;
        return;
    }
    if (t.coef == 0)
        return;
    memmove(&p->v[k + 1], &p->v[k], (p->n - k) * sizeof t);
    p->v[k] = t;
    p->n++;
}

static hone_poly constant(int64_t v)
{
    hone_poly p = {.ok = true};
    add_term(&p, (hone_term){.coef = v});
    return p;
}

static hone_poly atom(const char *name)
{
    hone_poly p = {.ok = name != NULL};
    add_term(&p, (hone_term){.coef = 1, .n = 1, .atom = {name ? name : ""}});
    return p;
}

static hone_poly combine(const hone_poly *a, const hone_poly *b, int64_t scale)
{
    hone_poly p = *a;
    p.ok = a->ok && b->ok;
    for (size_t k = 0; k < b->n; k++) {
        hone_term t = b->v[k];
        t.coef *= scale;
        add_term(&p, t);
    }
    return p;
}

static hone_poly product(const hone_poly *a, const hone_poly *b)
{
    hone_poly p = {.ok = a->ok && b->ok};
    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            hone_term t = a->v[i];
            if (__builtin_mul_overflow(t.coef, b->v[j].coef, &t.coef) || t.n + b->v[j].n > HONE_TERM_ATOMS) {
                p.ok = false;
                return p;
            }
            for (unsigned k = 0; k < b->v[j].n; k++) {
                unsigned at = t.n++;
                for (; at > 0 && strcmp(t.atom[at - 1], b->v[j].atom[k]) > 0; at--)
                    t.atom[at] = t.atom[at - 1];
                t.atom[at] = b->v[j].atom[k];
            }
            add_term(&p, t);
        }
    }
    return p;
}

static bool kept(const walk *w, const char *name)
{
    for (size_t k = 0; w->keep && w->keep[k]; k++)
        if (!strcmp(w->keep[k], name))
            return true;
    return false;
}

static hone_poly build(walk *w, const hone_node *e);

static hone_poly of_name(walk *w, const hone_node *e)
{
    hone_local l = hone_ast_local(w->ast, e->name);
    bool expand = l.var && l.declared == 1 && !l.writes && l.var->kid[0] && !l.var->op[0] && l.var->n_kids == 1 && !l.decl->is_shared;
    if (expand && l.decl->parent && l.decl->parent->kind == HONE_N_FOR)
        expand = false;
    if (!expand || kept(w, e->name) || w->depth >= EXPAND_DEPTH)
        return atom(e->name);
    w->depth++;
    hone_poly p = build(w, l.var->kid[0]);
    w->depth--;
    return p;
}

// 123, 0x7f, 12u; a floating literal is not a number here
static bool of_literal(const hone_node *e, hone_poly *out)
{
    char *end;
    long long v = strtoll(e->name, &end, 0);
    while (*end == 'u' || *end == 'U' || *end == 'l' || *end == 'L')
        end++;
    if (*end || end == e->name)
        return false;
    *out = constant(v);
    return true;
}

static hone_poly build(walk *w, const hone_node *e)
{
    e = hone_node_strip_casts(e);
    hone_poly p;
    if (!e)
        return (hone_poly){.ok = false};
    if (e->kind == HONE_N_IDENT)
        return of_name(w, e);
    if (e->kind == HONE_N_LITERAL && of_literal(e, &p))
        return p;
    if (e->kind == HONE_N_UNARY && !strcmp(e->op, "-")) {
        hone_poly a = build(w, e->kid[0]), zero = constant(0);
        return combine(&zero, &a, -1);
    }
    if (e->kind == HONE_N_BINARY && (!strcmp(e->op, "+") || !strcmp(e->op, "-") || !strcmp(e->op, "*"))) {
        hone_poly a = build(w, e->kid[0]), b = build(w, e->kid[1]);
        return e->op[0] == '*' ? product(&a, &b) : combine(&a, &b, e->op[0] == '-' ? -1 : 1);
    }
    return atom(hone_node_text(w->ast, e));
}

hone_poly hone_poly_of(const hone_ast *ast, const hone_node *e, const char *const *keep)
{
    walk w = {ast, keep, 0};
    return build(&w, e);
}

hone_poly hone_poly_sub(const hone_poly *a, const hone_poly *b)
{
    return combine(a, b, -1);
}

bool hone_poly_equal(const hone_poly *a, const hone_poly *b)
{
    hone_poly d = combine(a, b, -1);
    return d.ok && d.n == 0;
}

static bool word_inside(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = strstr(text, word); s; s = strstr(s + 1, word)) {
        bool before = s > text &&
                      (s[-1] == '_' || s[-1] == '.' || (s[-1] >= '0' && s[-1] <= '9') || ((s[-1] | 32) >= 'a' && (s[-1] | 32) <= 'z'));
        bool after = s[n] == '_' || (s[n] >= '0' && s[n] <= '9') || ((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z');
        if (!before && !after)
            return true;
    }
    return false;
}

bool hone_poly_has(const hone_poly *p, const char *name)
{
    for (size_t k = 0; k < p->n; k++)
        for (unsigned j = 0; j < p->v[k].n; j++)
            if (word_inside(p->v[k].atom[j], name))
                return true;
    return false;
}

hone_poly hone_poly_stride(const hone_poly *p, const char *name)
{
    hone_poly out = {.ok = p->ok};
    for (size_t k = 0; k < p->n; k++) {
        hone_term t = p->v[k];
        unsigned n = 0, times = 0;
        for (unsigned j = 0; j < t.n; j++) {
            if (!strcmp(t.atom[j], name))
                times++;
            else if (word_inside(t.atom[j], name))
                out.ok = false;
            else
                t.atom[n++] = t.atom[j];
        }
        t.n = n;
        if (times > 1)
            out.ok = false;
        if (times == 1)
            add_term(&out, t);
    }
    return out;
}

bool hone_poly_is_const(const hone_poly *p, int64_t *value)
{
    *value = p->n == 1 ? p->v[0].coef : 0;
    return p->ok && (p->n == 0 || (p->n == 1 && p->v[0].n == 0));
}

// pointer + offset, with either side the pointer
static bool trace_pointer(walk *w, const hone_node *e, hone_access *out)
{
    e = hone_node_strip(e);
    if (!e || w->depth >= EXPAND_DEPTH)
        return false;
    if (e->kind == HONE_N_BINARY && (!strcmp(e->op, "+") || !strcmp(e->op, "-"))) {
        if (!trace_pointer(w, e->kid[0], out))
            return false;
        hone_poly p = build(w, e->kid[1]);
        out->index = combine(&out->index, &p, e->op[0] == '-' ? -1 : 1);
        return out->index.ok;
    }
    if (e->kind == HONE_N_UNARY && !strcmp(e->op, "&") && hone_node_strip(e->kid[0])->kind == HONE_N_INDEX) {
        const hone_node *in = hone_node_strip(e->kid[0]);
        hone_poly p = build(w, in->kid[1]);
        bool ok = trace_pointer(w, in->kid[0], out);
        out->index = combine(&out->index, &p, 1);
        return ok && out->index.ok;
    }
    if (e->kind != HONE_N_IDENT)
        return false;
    hone_local l = hone_ast_local(w->ast, e->name);
    if (!l.var) {
        out->base = e->name;
        out->is_param = hone_ast_is_param(w->ast, e->name, NULL);
        return true;
    }
    if (l.declared != 1 || l.writes)
        return false;
    if (l.var->n_kids > 1) {   // an array
        out->base = e->name;
        return true;
    }
    if (strcmp(l.var->op, "*") != 0 || !l.var->kid[0])
        return false;
    w->depth++;
    bool ok = trace_pointer(w, l.var->kid[0], out);
    w->depth--;
    return ok;
}

bool hone_ast_access(const hone_ast *ast, const hone_node *n, const char *const *keep, hone_access *out)
{
    walk w = {ast, keep, 0};
    *out = (hone_access){.node = n, .index = {.ok = true}};
    if (!n || n->kind != HONE_N_INDEX || !trace_pointer(&w, n->kid[0], out))
        return false;
    hone_poly p = build(&w, n->kid[1]);
    out->index = combine(&out->index, &p, 1);
    const hone_node *target = n;
    while (target->parent && target->parent->kind == HONE_N_MEMBER)
        target = target->parent;
    out->written = hone_ast_is_written_expr(target);
    out->read = hone_ast_is_read_expr(target);
    return out->index.ok;
}
