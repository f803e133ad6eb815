// propose/rewrite_frame: recognises the frame that nearly every simple kernel has: global indices, a bounds guard, the work.
#include "propose/rewrite.h"
#include <string.h>

bool rw_has_kind(const hone_ast *ast, const hone_node *root, hone_node_kind kind)
{
    if (!root)
        return false;
    HONE_EACH_NODE(ast, root, n)
        if (n->kind == kind)
            return true;
    return false;
}

bool rw_has_barrier(const hone_ast *ast, const hone_node *root)
{
    HONE_EACH_NODE(ast, root, n)
        if (n->kind == HONE_N_CALL && (!strncmp(n->name, "__sync", 6) || strstr(n->name, "_sync") || !strcmp(n->name, "hone_block_sum") ||
                                       !strcmp(n->name, "hone_block_max") || !strcmp(n->name, "hone_block_min")))
            return true;
    return false;
}

static bool is_thread_builtin(const hone_node *n)
{
    return hone_node_is_builtin(n, "threadIdx", 0) || hone_node_is_builtin(n, "blockIdx", 0) || hone_node_is_builtin(n, "blockDim", 0) ||
           hone_node_is_builtin(n, "gridDim", 0);
}

// blockIdx.a*blockDim.a + threadIdx.a → 'x', 'y' or 'z'; 0 otherwise
static char global_index_axis(const rw_unit *u, const hone_node *e)
{
    hone_poly p = hone_poly_of(&u->ast, e, NULL);
    for (char a = 'x'; a <= 'z'; a++) {
        char names[3][16] = {"threadIdx.", "blockDim.", "blockIdx."};
        for (unsigned k = 0; k < 3; k++)
            names[k][strlen(names[k])] = a;
        bool fits = p.ok && p.n == 2 && p.v[0].coef == 1 && p.v[1].coef == 1 && p.v[0].n == 1 && p.v[1].n == 2;
        if (fits && !strcmp(p.v[0].atom[0], names[0]) && !strcmp(p.v[1].atom[0], names[1]) && !strcmp(p.v[1].atom[1], names[2]))
            return a;
    }
    return 0;
}

static bool take_axis(const rw_unit *u, const hone_node *stmt, rw_frame *f)
{
    if (stmt->kind != HONE_N_DECL || stmt->n_kids != 1 || !stmt->kid[0]->kid[0] || stmt->kid[0]->op[0])
        return false;
    char a = global_index_axis(u, stmt->kid[0]->kid[0]);
    if (!a)
        return false;
    rw_axis *x = &f->axis[a - 'x'];
    hone_local l = hone_ast_local(&u->ast, stmt->kid[0]->name);
    if (x->found || l.writes || l.declared != 1)
        return false;
    *x = (rw_axis){.found = true, .decl = stmt, .name = stmt->kid[0]->name, .type = stmt->name};
    f->n_axes++;
    return true;
}

static rw_axis *axis_named(rw_frame *f, const hone_node *n)
{
    n = hone_node_strip_casts(n);
    for (unsigned a = 0; a < 3; a++)
        if (f->axis[a].found && hone_node_is(n, HONE_N_IDENT, f->axis[a].name))
            return &f->axis[a];
    return NULL;
}

// One comparison of an axis with a uniform bound: `op` must be "<" (inside) or ">=" (outside).
static bool take_bound(const rw_unit *u, rw_frame *f, const hone_node *n, const char *op)
{
    n = hone_node_strip(n);
    if (n->kind != HONE_N_BINARY || strcmp(n->op, op) != 0)
        return false;
    rw_axis *x = axis_named(f, n->kid[0]);
    if (!x || x->bound || !hone_ast_invariant(&u->ast, n->kid[1], u->ast.body))
        return false;
    for (unsigned a = 0; a < 3; a++)
        if (f->axis[a].found && hone_node_mentions(&u->ast, n->kid[1], f->axis[a].name))
            return false;
    x->bound = n->kid[1];
    return true;
}

static bool take_bounds(const rw_unit *u, rw_frame *f, const hone_node *cond, bool early)
{
    cond = hone_node_strip(cond);
    if (cond->kind == HONE_N_BINARY && !strcmp(cond->op, early ? "||" : "&&"))
        return take_bounds(u, f, cond->kid[0], early) && take_bounds(u, f, cond->kid[1], early);
    return take_bound(u, f, cond, early ? ">=" : "<");
}

static bool is_bare_return(const hone_node *n)
{
    if (n->kind == HONE_N_BLOCK && n->n_kids == 1)
        n = n->kid[0];
    return n->kind == HONE_N_RETURN && !n->kid[0];
}

static bool take_guard(const rw_unit *u, rw_frame *f, const hone_node *body, size_t at)
{
    const hone_node *g = body->kid[at];
    if (g->kind != HONE_N_IF || g->kid[2])
        return false;
    f->guard = g;
    f->early = is_bare_return(g->kid[1]);
    if (!take_bounds(u, f, g->kid[0], f->early))
        return false;
    if (f->early) {
        f->inner = body->kid + at + 1;
        f->n_inner = body->n_kids - at - 1;
        return true;
    }
    if (at + 1 != body->n_kids)
        return false;
    bool block = g->kid[1]->kind == HONE_N_BLOCK;
    f->inner = block ? g->kid[1]->kid : &g->kid[1];
    f->n_inner = block ? g->kid[1]->n_kids : 1;
    return true;
}

static bool builtins_only_in_axes(const rw_unit *u, const rw_frame *f)
{
    for (size_t k = 0; k < u->ast.n; k++) {
        const hone_node *n = u->ast.all[k];
        bool in_axis = false;
        for (unsigned a = 0; a < 3; a++)
            in_axis = in_axis || (f->axis[a].found && hone_node_inside(n, f->axis[a].decl));
        if (is_thread_builtin(n) && !in_axis)
            return false;
    }
    return true;
}

bool rw_frame_of(const rw_unit *u, rw_frame *f)
{
    const hone_node *body = u->ast.body;
    size_t at = 0;
    *f = (rw_frame){0};
    while (at < body->n_kids && take_axis(u, body->kid[at], f))
        at++;
    if (!f->n_axes || at >= body->n_kids || !builtins_only_in_axes(u, f) || !take_guard(u, f, body, at))
        return false;
    for (unsigned a = 0; a < 3; a++) {
        bool used = u->launch->block[a] && !rw_same_expr(hone_expr_text(u->launch->block[a]), "1");
        used = used || !rw_same_expr(hone_expr_text(u->launch->grid[a]), "1");
        if (f->axis[a].found ? !f->axis[a].bound : used)
            return false;
    }
    return !u->launch->cooperative && !u->launch->cluster[0] && !rw_has_barrier(&u->ast, body);
}

const char *rw_extent(rw *r, const rw_unit *u, const rw_frame *f, unsigned axis)
{
    const char *reach = rw_reach(r, hone_expr_text(u->launch->grid[axis]), hone_expr_text(u->launch->block[axis]));
    const char *bound = rw_launch_expr(r, u, f->axis[axis].bound);
    return bound && rw_same_expr(bound, reach) ? bound : reach;
}

bool rw_param_written(const rw_unit *u, const char *param)
{
    for (size_t k = 0; k < u->ast.n; k++) {
        const hone_node *n = u->ast.all[k];
        hone_access a;
        if (n->kind == HONE_N_INDEX && hone_ast_access(&u->ast, n, NULL, &a)) {
            if (a.written && !strcmp(a.base, param))
                return true;
            continue;
        }
        if (n->kind == HONE_N_INDEX && hone_ast_is_written_expr(n))
            return true;   // a store that cannot be traced
        if (n->kind == HONE_N_UNARY && !strcmp(n->op, "*") && hone_ast_is_written_expr(n))
            return true;
    }
    // handed to a call, as a pointer
    for (size_t k = 0; k < u->ast.n; k++) {
        const hone_node *n = u->ast.all[k];
        if (!hone_node_is(n, HONE_N_IDENT, param) || !n->parent)
            continue;
        const hone_node *p = n->parent;
        bool index = p->kind == HONE_N_INDEX && p->kid[0] == n;
        bool sum = p->kind == HONE_N_BINARY || p->kind == HONE_N_VAR || p->kind == HONE_N_PAREN || p->kind == HONE_N_CAST;
        if (!index && !sum)
            return true;
    }
    return false;
}

bool rw_writes_match(const rw_unit *u, const hone_node *root)
{
    HONE_EACH_NODE(&u->ast, root, n) {
        hone_access a;
        if (n->kind == HONE_N_UNARY && !strcmp(n->op, "*"))
            return false;
        if (n->kind == HONE_N_INDEX && hone_ast_is_written_expr(n) && !hone_ast_access(&u->ast, n, NULL, &a))
            return false;
        if (n->kind == HONE_N_CALL && strstr(n->name, "atomic"))
            return false;
    }
    return true;
}

const char *rw_elem_type(const rw_unit *u, const char *param)
{
    const hone_param *p;
    return hone_ast_is_param(&u->ast, param, &p) && p->is_pointer ? p->elem : NULL;
}

static const struct {
    const char *name;
    unsigned bytes;
    bool is_float;
} types[] = {
    {"float", 4, true},         {"double", 8, true},          {"__half", 2, false},
    {"half", 2, false},         {"__nv_bfloat16", 2, false},  {"int", 4, false},
    {"unsigned int", 4, false}, {"unsigned", 4, false},       {"int32_t", 4, false},
    {"uint32_t", 4, false},     {"unsigned char", 1, false},  {"uint8_t", 1, false},
    {"signed char", 1, false},  {"char", 1, false},           {"int8_t", 1, false},
    {"short", 2, false},        {"unsigned short", 2, false}, {"int16_t", 2, false},
    {"uint16_t", 2, false},     {"long long", 8, false},      {"unsigned long long", 8, false},
    {"int64_t", 8, false},      {"uint64_t", 8, false},       {"bool", 1, false},
    {"float2", 8, false},       {"float4", 16, false},        {"int4", 16, false},
    {"uint4", 16, false},       {"int2", 8, false},           {"uint2", 8, false},
};

unsigned rw_elem_bytes(const char *type)
{
    for (size_t k = 0; type && k < HONE_COUNT(types); k++)
        if (!strcmp(types[k].name, type))
            return types[k].bytes;
    return 0;
}

bool rw_is_float_type(const char *type)
{
    for (size_t k = 0; type && k < HONE_COUNT(types); k++)
        if (!strcmp(types[k].name, type))
            return types[k].is_float;
    return false;
}

const char *rw_scalar_type(rw *r, const hone_ast *ast, const char *local)
{
    hone_local l = hone_ast_local(ast, local);
    const char *type = NULL;
    const hone_param *p;
    if (l.var && l.declared == 1 && !l.var->op[0] && l.var->n_kids == 1)
        type = l.decl->name;
    else if (!l.var && hone_ast_is_param(ast, local, &p) && !p->is_pointer)
        type = p->type;
    if (!type)
        return NULL;
    if (!strncmp(type, "const ", 6))
        type += 6;
    return rw_elem_bytes(type) ? rw_text(r, "%s", type) : NULL;
}
