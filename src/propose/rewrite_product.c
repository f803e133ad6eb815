// propose/rewrite_product: see rewrite_product.h.
#include "propose/rewrite_product.h"
#include <string.h>

static bool zero_literal(const hone_node *n)
{
    static const char *const zeros[] = {"0", "0.0f", "0.f", "0.0", "0.", "0u", "0.0F"};
    n = hone_node_strip(n);
    for (size_t k = 0; k < HONE_COUNT(zeros); k++)
        if (hone_node_is(n, HONE_N_LITERAL, zeros[k]))
            return true;
    return false;
}

// acc += x * y as the whole loop body
static const hone_node *product_statement(const hone_node *body)
{
    if (body->kind == HONE_N_BLOCK && body->n_kids == 1)
        body = body->kid[0];
    if (body->kind != HONE_N_EXPR || !hone_node_is(body->kid[0], HONE_N_ASSIGN, "+=") || body->kid[0]->kid[0]->kind != HONE_N_IDENT)
        return NULL;
    return hone_node_is(hone_node_strip(body->kid[0]->kid[1]), HONE_N_BINARY, "*") ? body->kid[0] : NULL;
}

static bool loads_once(const rw_unit *u, const hone_node *e)
{
    size_t loads = 0;
    HONE_EACH_NODE(&u->ast, e, n) {
        hone_access a;
        if (n->kind == HONE_N_ASSIGN || (n->kind == HONE_N_CALL && (strstr(n->name, "atomic") || strstr(n->name, "sync"))))
            return false;
        if (n->kind == HONE_N_INDEX && (!hone_ast_access(&u->ast, n, NULL, &a) || rw_param_written(u, a.base)))
            return false;
        loads += n->kind == HONE_N_INDEX;
    }
    return loads > 0;
}

static bool fastest_along_k(const rw_unit *u, const rw_product *p, const rw_operand *o, const char *axis)
{
    const char *keep[] = {axis, p->loop.var, NULL};
    HONE_EACH_NODE(&u->ast, o->e, n) {
        hone_access a;
        int64_t v;
        if (n->kind != HONE_N_INDEX || !hone_ast_access(&u->ast, n, keep, &a))
            continue;
        hone_poly s = hone_poly_stride(&a.index, p->loop.var);
        return hone_poly_is_const(&s, &v) && v == 1;
    }
    return false;
}

// Which two axes are tiled: both operands share the batch axes; each has one of its own.
static bool assign_axes(const rw_unit *u, rw_product *p, const hone_node *x, const hone_node *y)
{
    size_t ax = p->s.n, ay = p->s.n;
    for (size_t k = 0; k < p->s.n; k++) {
        bool dx = rw_depends(u, &p->s, x, p->s.axis[k].name), dy = rw_depends(u, &p->s, y, p->s.axis[k].name);
        if (dx == dy)
            continue;   // a batch axis, or one neither uses
        size_t *mine = dx ? &ax : &ay;
        if (*mine != p->s.n)
            return false;
        *mine = k;
    }
    if (ax == p->s.n || ay == p->s.n)
        return false;
    bool swap = ax == 0;   // columns run along the fastest axis, where the output is usually contiguous
    p->row = swap ? ay : ax;
    p->col = swap ? ax : ay;
    p->a.e = swap ? y : x;
    p->b.e = swap ? x : y;
    return true;
}

// Outputs are stored coalesced when threads run along the column axis: choose it by the stores behind the loop.
static void choose_columns(const rw_unit *u, rw_product *p)
{
    const char *rn = p->s.axis[p->row].name, *cn = p->s.axis[p->col].name, *keep[SPACE_AXES + 2] = {0};
    for (size_t k = 0; k < p->s.n; k++)
        keep[k] = p->s.axis[k].name;
    for (size_t i = 0; i < u->ast.n && !p->s.flat; i++) {
        const hone_node *n = u->ast.all[i];
        hone_access a;
        int64_t v;
        if (n->kind != HONE_N_INDEX || !hone_ast_access(&u->ast, n, keep, &a) || !a.written)
            continue;
        hone_poly along_row = hone_poly_stride(&a.index, rn), along_col = hone_poly_stride(&a.index, cn);
        bool row_unit = hone_poly_is_const(&along_row, &v) && v == 1, col_unit = hone_poly_is_const(&along_col, &v) && v == 1;
        if (row_unit && !col_unit) {
            size_t t = p->row;
            rw_operand o = p->a;
            p->row = p->col;
            p->col = t;
            p->a = p->b;
            p->b = o;
        }
        return;
    }
}

static bool product_loop(rw *r, const rw_unit *u, rw_product *p)
{
    const hone_node *assign = NULL;
    for (size_t k = 0; k < p->s.n_inner; k++) {
        if (p->s.inner[k]->kind != HONE_N_FOR) {
            if (rw_has_kind(&u->ast, p->s.inner[k], HONE_N_FOR) || rw_has_kind(&u->ast, p->s.inner[k], HONE_N_WHILE))
                return false;
            continue;
        }
        if (assign || !hone_ast_loop(&u->ast, p->s.inner[k], &p->loop) || p->loop.step != 1)
            return false;
        assign = product_statement(p->loop.body);
        if (!assign)
            return false;
    }
    if (!assign || !hone_node_is(hone_node_strip(p->loop.lo), HONE_N_LITERAL, "0"))
        return false;
    p->acc = assign->kid[0]->name;
    hone_local l = hone_ast_local(&u->ast, p->acc);
    p->type = rw_scalar_type(r, &u->ast, p->acc);
    p->acc_decl = l.decl;
    if (!p->type || !l.var || l.declared != 1 || !zero_literal(l.var->kid[0]) || l.decl->n_kids != 1 || l.decl->index > p->loop.node->index)
        return false;
    HONE_EACH_NODE(&u->ast, u->ast.body, n)   // untouched between its declaration and the loop
        if (hone_node_is(n, HONE_N_IDENT, p->acc) && n->index < p->loop.node->index)
            return false;
    const hone_node *mul = hone_node_strip(assign->kid[1]);
    return loads_once(u, mul->kid[0]) && loads_once(u, mul->kid[1]) && rw_depends(u, &p->s, mul->kid[0], p->loop.var) &&
           rw_depends(u, &p->s, mul->kid[1], p->loop.var) && assign_axes(u, p, mul->kid[0], mul->kid[1]);
}

static bool bound_ok(const rw_unit *u, rw_product *p)
{
    const hone_node *b = p->loop.bound;
    if (rw_depends(u, &p->s, b, p->s.axis[p->col].name))
        return false;
    if (!rw_slice(u, &p->s, b, p->loop.node, p->bound_slice, &p->n_bound_slice, RW_SLICE))
        return false;
    if (!rw_depends(u, &p->s, b, p->s.axis[p->row].name))
        return true;
    const char *keep[] = {p->s.axis[p->row].name, NULL};
    int64_t v;
    hone_poly poly = hone_poly_of(&u->ast, b, keep), s = hone_poly_stride(&poly, keep[0]);
    p->ragged_row = true;
    return hone_poly_is_const(&s, &v) && v > 0 && p->n_bound_slice == 0;
}

bool rw_product_of(rw *r, const rw_unit *u, rw_product *p)
{
    *p = (rw_product){0};
    if (!rw_space_of(r, u, &p->s) || !product_loop(r, u, p))
        return false;
    choose_columns(u, p);
    if (!bound_ok(u, p))
        return false;
    if (!rw_slice(u, &p->s, p->a.e, p->loop.node, p->a.slice, &p->a.n_slice, RW_SLICE) ||
        !rw_slice(u, &p->s, p->b.e, p->loop.node, p->b.slice, &p->b.n_slice, RW_SLICE))
        return false;
    for (size_t k = 0; k < p->a.n_slice + p->b.n_slice; k++) {   // repeated declarations must not load written buffers
        const hone_node *d = k < p->a.n_slice ? p->a.slice[k] : p->b.slice[k - p->a.n_slice];
        if (rw_has_kind(&u->ast, d, HONE_N_INDEX))
            return false;
    }
    p->a.k_fastest = fastest_along_k(u, p, &p->a, p->s.axis[p->row].name);
    p->b.k_fastest = fastest_along_k(u, p, &p->b, p->s.axis[p->col].name);
    return true;
}

// ---- text
const char *rw_statements(rw *r, const rw_unit *u, const hone_node *const *v, size_t n, const char *in)
{
    const char *s = "";
    for (size_t k = 0; k < n; k++)
        s = rw_text(r, "%s%s%s\n", s, in, hone_node_text(&u->ast, v[k]));
    return s;
}

const char *rw_product_batch(rw *r, const rw_product *p, const char **launch)
{
    const char *s = "", *rest = "blockIdx.z";
    size_t left = p->s.n - 2;
    *launch = "1";
    for (size_t k = 0; k < p->s.n; k++) {
        const space_axis *x = &p->s.axis[k];
        if (k == p->row || k == p->col)
            continue;
        left--;
        s = left ? rw_text(r, "%s    const %s %s = %s %% (%s);\n", s, x->type, x->name, rest, x->extent)
                 : rw_text(r, "%s    const %s %s = %s;\n", s, x->type, x->name, rest);
        rest = rw_text(r, "%s / (%s)", rest, x->extent);
        *launch = rw_same_expr(*launch, "1") ? x->launch_extent : rw_text(r, "%s*%s", *launch, x->launch_extent);
    }
    return s;
}

// Which statements the epilogue keeps: not the loop, and no declarations that only the loop used.
static void kept_statements(const rw_unit *u, const rw_product *p, bool keep[64], bool *flat_used)
{
    *flat_used = false;
    for (size_t k = p->s.n_inner; k-- > 0;) {
        const hone_node *stmt = p->s.inner[k];
        keep[k] = stmt != p->loop.node;
        if (stmt->kind == HONE_N_DECL && stmt->n_kids == 1 && stmt != p->acc_decl) {
            keep[k] = false;
            for (size_t i = k + 1; i < p->s.n_inner; i++)
                keep[k] = keep[k] || (keep[i] && hone_node_mentions(&u->ast, p->s.inner[i], stmt->kid[0]->name));
        }
        *flat_used = *flat_used || (keep[k] && p->s.flat && hone_node_mentions(&u->ast, stmt, p->s.flat_name));
    }
}

const char *rw_product_epilogue(rw *r, const rw_unit *u, const rw_product *p, const char *sum)
{
    rw_subst sub[16];
    size_t n = 0;
    bool keep[64], flat_used;
    kept_statements(u, p, keep, &flat_used);
    const char *s = flat_used ? rw_text(r, "                const %s %s = %s;\n", p->s.frame.axis[0].type, p->s.flat_name, p->s.flat_value)
                              : "";
    for (size_t k = 0; k < p->s.n_inner; k++)
        HONE_EACH_NODE(&u->ast, p->s.inner[k], x)
            if (x->kind == HONE_N_RETURN && n < HONE_COUNT(sub))
                sub[n++] = (rw_subst){.node = x, .text = "continue;"};
    for (size_t k = 0; k < p->s.n_inner; k++) {
        const hone_node *stmt = p->s.inner[k];
        const char *text = stmt == p->acc_decl ? rw_text(r, "%s %s = %s;", stmt->name, p->acc, sum)
                                               : rw_render(r, u, stmt, sub, n);
        if (keep[k])
            s = rw_text(r, "%s                %s\n", s, text);
    }
    return s;
}

const char *rw_product_limit(rw *r, const rw_unit *u, const rw_product *p, const rw_product_names *t)
{
    const char *bound = hone_node_text(&u->ast, p->loop.bound);
    if (!p->ragged_row)
        return rw_text(r, "%s    const %s %s = %s;\n", rw_statements(r, u, p->bound_slice, p->n_bound_slice, "    "), p->loop.type, t->limit,
                       bound);
    const space_axis *x = &p->s.axis[p->row];
    rw_subst s = {.name = x->name, .text = t->last};
    return rw_text(r, "    const %s %s = min(%s + %s, %s) - 1;   // the longest row of this tile\n    const %s %s = %s;\n", x->type,
                   t->last, t->row0, t->bm, x->extent, p->loop.type, t->limit, rw_render(r, u, p->loop.bound, &s, 1));
}

const char *rw_product_bound(const rw_unit *u, const rw_product *p, const rw_product_names *t, bool is_a)
{
    return is_a && p->ragged_row ? hone_node_text(&u->ast, p->loop.bound) : t->limit;
}

rw_product_names rw_product_names_for(rw *r, const rw_unit *u)
{
    return (rw_product_names){.bm = rw_fresh(r, "BM"), .bn = rw_fresh(r, "BN"), .bk = rw_fresh(r, "BK"), .as = rw_local(r, u, "a_tile"), .bs = rw_local(r, u, "b_tile"), .k0 = rw_local(r, u, "k0"), .row0 = rw_local(r, u, "row0"), .col0 = rw_local(r, u, "col0"), .tid = rw_local(r, u, "tid"), .e = rw_local(r, u, "e"), .limit = rw_local(r, u, "k_limit"), .last = rw_local(r, u, "last")};
}

void rw_product_emit(rw *r, const rw_unit *u, const rw_product *p, const rw_product_names *t, const char *threads, const char *launch_z, const char *lines,
                     const char *const *names, const int64_t *shape, size_t n_names, const char *note)
{
    rw_grid g = {{rw_text(r, "cdiv(%s, %s)", p->s.axis[p->col].launch_extent, t->bn),
                  rw_text(r, "cdiv(%s, %s)", p->s.axis[p->row].launch_extent, t->bm), launch_z},
                 {threads, "1", "1"},
                 rw_grid_of(r, u).smem};
    rw_add_lines(r, u, lines);
    rw_set_launch(r, u, &g);
    size_t n = r->parent->n_tuning;
    hone_binding *b = hone_arena_array(r->arena, n + n_names, sizeof *b);
    for (size_t i = 0; b && i < n; i++)
        b[i] = r->parent->tuning[i];
    for (size_t i = 0; b && i < n_names; i++)
        b[n + i] = (hone_binding){names[i], shape[i]};
    if (!b)
        r->oom = true;
    rw_emit(r, b, b ? n + n_names : 0, note);
}
