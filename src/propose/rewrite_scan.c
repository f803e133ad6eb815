// propose/rewrite_scan: one thread that runs along a row with a running sum becomes one warp: 32 elements at a time, a shuffle scan among
// them, the running sum carried from one group to the next. Exact for integers; for floats the order of additions changes, as in any
// parallel scan.
#include "propose/rewrite_row.h"
#include <string.h>

static const char *scan_key = "T hone_warp_scan(T v)";
static const char *scan_helper =
    "// inclusive prefix sum over the 32 lanes of a warp\n"
    "template <typename T> __device__ __forceinline__ T hone_warp_scan(T v)\n{\n"
    "    for (int step = 1; step < 32; step *= 2) {\n        const T left = __shfl_up_sync(0xffffffffu, v, step);\n"
    "        if (threadIdx.x % 32 >= step)\n            v += left;\n    }\n    return v;\n}\n\n";

typedef struct scan {
    hone_loop loop;
    const char *acc;
    size_t update;
    const hone_node *added;
    hone_node *const *body;
    size_t n_body;
} scan;

static bool simple_statement(const rw_unit *u, const hone_loop *l, const hone_node *s)
{
    hone_access a;
    if (s->kind == HONE_N_DECL)
        return s->n_kids == 1 && s->kid[0]->kid[0] && s->kid[0]->n_kids == 1 && !s->kid[0]->op[0] && !s->is_shared;
    if (s->kind != HONE_N_EXPR || !hone_node_is(s->kid[0], HONE_N_ASSIGN, "=") ||
        !hone_ast_access(&u->ast, hone_node_strip(s->kid[0]->kid[0]), NULL, &a))
        return false;
    int64_t stride = 0;
    hone_poly d = hone_poly_stride(&a.index, l->var);
    return a.is_param && d.ok && d.n > 0 && !(hone_poly_is_const(&d, &stride) && stride == 0);
}

static bool scan_of(const rw_unit *u, const hone_node *stmt, scan *s)
{
    *s = (scan){0};
    if (!hone_ast_loop(&u->ast, stmt, &s->loop) || s->loop.step != 1 || s->loop.inclusive || s->loop.body->kind != HONE_N_BLOCK)
        return false;
    s->body = s->loop.body->kid;
    s->n_body = s->loop.body->n_kids;
    for (size_t k = 0; k < s->n_body; k++) {
        const hone_node *x = s->body[k], *e = x->kind == HONE_N_EXPR ? x->kid[0] : NULL;
        bool update = e && hone_node_is(e, HONE_N_ASSIGN, "+=") && e->kid[0]->kind == HONE_N_IDENT &&
                      !hone_node_inside(hone_ast_local(&u->ast, e->kid[0]->name).var ? hone_ast_local(&u->ast, e->kid[0]->name).var : stmt,
                                        stmt);
        if (update && !s->acc) {
            s->acc = e->kid[0]->name;
            s->added = e->kid[1];
            s->update = k;
        } else if (update || !simple_statement(u, &s->loop, x)) {
            return false;
        }
    }
    return s->acc && !hone_node_mentions(&u->ast, s->added, s->acc) && hone_ast_local(&u->ast, s->acc).declared == 1;
}

// The running sum must be a store's operand only, and no written buffer may be read.
static bool scan_safe(const rw_unit *u, const scan *s)
{
    bool used = false;
    HONE_EACH_NODE(&u->ast, s->loop.body, n) {
        hone_access a;
        if (n->kind == HONE_N_CALL && (strstr(n->name, "atomic") || strstr(n->name, "sync")))
            return false;
        if (n->kind == HONE_N_INDEX && (!hone_ast_access(&u->ast, n, NULL, &a) || (a.read && rw_param_written(u, a.base))))
            return false;
        used = used || (hone_node_is(n, HONE_N_IDENT, s->acc) && !hone_node_inside(n, s->body[s->update]));
    }
    for (size_t k = 0; k < s->n_body; k++)
        if (s->body[k]->kind == HONE_N_DECL && hone_node_mentions(&u->ast, s->body[k], s->acc))
            return false;
    return used;
}

static const char *scan_text(rw *r, const rw_unit *u, const scan *s, const char *lane)
{
    const char *type = rw_scalar_type(r, &u->ast, s->acc), *in = rw_indent(r, hone_node_at(&u->ast, s->loop.node)), *load = "", *store = "";
    const char *first = rw_local(r, u, rw_text(r, "%s0", s->loop.var)), *before = rw_local(r, u, "before"), *upto = rw_local(r, u, "upto"),
               *added = rw_local(r, u, "added");
    for (size_t k = 0; k < s->n_body; k++) {
        const hone_node *x = s->body[k];
        rw_subst sub = {.name = s->acc, .text = k < s->update ? before : upto};
        if (x->kind == HONE_N_DECL)
            load = rw_text(r, "%s%s    %s %s = %s < %s ? %s : 0;\n", load, in, x->name, x->kid[0]->name, s->loop.var,
                           hone_node_text(&u->ast, s->loop.bound), hone_node_text(&u->ast, x->kid[0]->kid[0]));
        else if (k != s->update)
            store = rw_text(r, "%s%s        %s\n", store, in, rw_render(r, u, x, &sub, 1));
    }
    const char *bound = hone_node_text(&u->ast, s->loop.bound), *lo = hone_node_text(&u->ast, s->loop.lo), *var = s->loop.var;
    return rw_text(r,
                   "for (%s %s = %s; %s < %s; %s += 32) {   // 32 elements at a time, one per lane\n"
                   "%s    const %s %s = %s + %s;\n%s"
                   "%s    const %s %s = %s < %s ? %s : 0;\n"
                   "%s    const %s %s = %s + hone_warp_scan<%s>(%s);\n"
                   "%s    const %s %s = %s - %s;\n"
                   "%s    if (%s < %s) {\n%s%s    }\n"
                   "%s    %s = __shfl_sync(0xffffffffu, %s, 31);\n%s}",
                   s->loop.type, first, lo, first, bound, first, in, s->loop.type, var, first, lane, load, in, type, added, var, bound,
                   hone_node_text(&u->ast, s->added), in, type, upto, s->acc, type, added, in, type, before, upto, added, in, var, bound,
                   store, in, in, s->acc, upto, in);
}

void rw_move_row_scan(rw *r)
{
    for (size_t k = 0; k < r->n_units && !rw_full(r); k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        row_names names;
        scan s = {0};
        size_t n_scans = 0;
        if (!rw_frame_of(u, &f) || f.n_axes != 1 || !f.axis[0].found || !u->distinct_buffers)
            continue;
        for (size_t i = 0; i < f.n_inner; i++) {
            bool decl = f.inner[i]->kind == HONE_N_DECL && !rw_has_kind(&u->ast, f.inner[i], HONE_N_INDEX);
            scan found;
            bool is_scan = scan_of(u, f.inner[i], &found) && scan_safe(u, &found) && rw_scalar_type(r, &u->ast, found.acc);
            if (is_scan)
                s = found;
            n_scans += is_scan ? 1 : decl ? 0 : 2;
        }
        const char *type = n_scans == 1 && s.acc ? rw_scalar_type(r, &u->ast, s.acc) : NULL;
        if (!type || rw_is_float_type(type))
            continue;   // `upto - added` is exact for integers only
        row_to_warp_frame(r, u, &f, &names);
        rw_replace_node(r, u, s.loop.node, scan_text(r, u, &s, names.lane));
        rw_add_before_kernel(r, u, scan_key, scan_helper);
        rw_emit(r, NULL, 0, rw_text(r, "one warp scans a '%s' in %s", f.axis[0].name, u->kernel->name));
    }
}
