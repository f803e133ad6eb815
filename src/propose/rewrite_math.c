// propose/rewrite_math: cheaper arithmetic for the same result within rounding: rsqrt, reciprocals of loop invariants, sums kept in
// registers.
#include "propose/rewrite.h"
#include <string.h>

static const char *rsqrt_for(const char *callee)
{
    static const char *const pairs[][2] = {{"sqrtf", "rsqrtf"}, {"sqrt", "rsqrt"}, {"__fsqrt_rn", "rsqrtf"}};
    for (size_t k = 0; k < HONE_COUNT(pairs); k++)
        if (!strcmp(callee, pairs[k][0]))
            return pairs[k][1];
    return NULL;
}

static size_t operator_token(const rw_unit *u, const hone_node *n)
{
    for (size_t i = n->kid[0]->last + 1; i < n->kid[1]->first; i++)
        if (hone_tok_is(u->ast.t, i, n->op))
            return i;
    return 0;
}

static bool is_one(const hone_node *n)
{
    static const char *const ones[] = {"1.0f", "1.f", "1.0", "1.", "1", "1.0F"};
    n = hone_node_strip(n);
    for (size_t k = 0; k < HONE_COUNT(ones); k++)
        if (hone_node_is(n, HONE_N_LITERAL, ones[k]))
            return true;
    return false;
}

void rw_move_rsqrt(rw *r)
{
    unsigned count = 0;
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->ast.n; i++) {
            const hone_node *n = u->ast.all[i];
            if (n->kind != HONE_N_BINARY || strcmp(n->op, "/") != 0)
                continue;
            const hone_node *call = hone_node_strip(n->kid[1]);
            const char *fn = call->kind == HONE_N_CALL && call->n_kids == 2 ? rsqrt_for(call->name) : NULL;
            size_t op = operator_token(u, n);
            if (!fn || !op)
                continue;
            if (is_one(n->kid[0])) {
                rw_replace(r, hone_node_at(&u->ast, n), hone_node_end(&u->ast, call->kid[0]), fn);
                if (n->kid[1] != call)
                    rw_replace(r, hone_node_end(&u->ast, call), hone_node_end(&u->ast, n->kid[1]), "");
            } else {
                rw_replace(r, u->ast.t->v[op].at, u->ast.t->v[op].at + 1, "*");
                rw_replace_node(r, u, call->kid[0], fn);
            }
            count++;
        }
    }
    if (count)
        rw_emit(r, NULL, 0, rw_text(r, "%u divisions by a square root become rsqrt", count));
}

// The outermost loop around n in which `d` does not change and before which a declaration can stand.
static const hone_node *hoist_loop(const rw_unit *u, const hone_node *n, const hone_node *d)
{
    const hone_node *best = NULL;
    for (const hone_node *p = n->parent; p; p = p->parent) {
        if (p->kind != HONE_N_FOR)
            continue;
        if (!hone_ast_invariant(&u->ast, d, p))
            break;
        if (p->parent && p->parent->kind == HONE_N_BLOCK)
            best = p;
    }
    return best;
}

void rw_move_reciprocal(rw *r)
{
    struct {
        const hone_node *loop;
        const char *of, *name;
    } made[16];
    size_t n_made = 0, count = 0;
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->ast.n; i++) {
            const hone_node *n = u->ast.all[i];
            if (n->kind != HONE_N_BINARY || strcmp(n->op, "/") != 0)
                continue;
            const hone_node *d = hone_node_strip(n->kid[1]);
            const char *type = d->kind == HONE_N_IDENT ? rw_scalar_type(r, &u->ast, d->name) : NULL;
            const hone_node *loop = rw_is_float_type(type) ? hoist_loop(u, n, d) : NULL;
            size_t op = operator_token(u, n), m = 0;
            if (!loop || !op || is_one(n->kid[0]))
                continue;
            while (m < n_made && (made[m].loop != loop || strcmp(made[m].of, d->name) != 0))
                m++;
            if (m == HONE_COUNT(made))
                continue;
            if (m == n_made) {
                made[n_made].loop = loop;
                made[n_made].of = d->name;
                made[n_made++].name = rw_local(r, u, rw_text(r, "inv_%s", d->name));
                size_t at = hone_node_at(&u->ast, loop);
                rw_insert(r, at,
                          rw_text(r, "const %s %s = %s / %s;\n%s", type, made[m].name, strcmp(type, "double") ? "1.0f" : "1.0", d->name,
                                  rw_indent(r, at)));
            }
            rw_replace(r, u->ast.t->v[op].at, u->ast.t->v[op].at + 1, "*");
            rw_replace_node(r, u, n->kid[1], made[m].name);
            count++;
        }
    }
    if (count)
        rw_emit(r, NULL, 0, rw_text(r, "%zu divisions by a loop invariant become multiplications", count));
}

// The only access of its buffer in the loop, of the form p[i] += e with a fixed element; NULL otherwise.
static const hone_node *accumulating_store(const rw_unit *u, const hone_node *loop, const char **base)
{
    const hone_node *found = NULL;
    HONE_EACH_NODE(&u->ast, loop, n) {
        hone_access a;
        bool sum = n->kind == HONE_N_ASSIGN && !strcmp(n->op, "+=") && n->parent->kind == HONE_N_EXPR;
        const hone_node *target = sum ? hone_node_strip(n->kid[0]) : NULL;
        if (target && target->kind == HONE_N_INDEX && hone_ast_access(&u->ast, target, NULL, &a) && a.is_param &&
            hone_ast_invariant(&u->ast, target->kid[1], loop)) {
            if (found)
                return NULL;
            found = n;
            *base = a.base;
        }
    }
    if (!found)
        return NULL;
    HONE_EACH_NODE(&u->ast, loop, n) {
        hone_access a;
        if (n->kind == HONE_N_INDEX && n != hone_node_strip(found->kid[0]) &&
            (!hone_ast_access(&u->ast, n, NULL, &a) || !strcmp(a.base, *base)))
            return NULL;
    }
    return found;
}

void rw_move_scalar_replace(rw *r)
{
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->ast.n && !rw_full(r); i++) {
            const hone_node *loop = u->ast.all[i];
            const char *base = NULL;
            if (loop->kind != HONE_N_FOR || loop->parent->kind != HONE_N_BLOCK || rw_has_barrier(&u->ast, loop) || !u->distinct_buffers)
                continue;
            const hone_node *store = accumulating_store(u, loop, &base);
            const char *type = store ? rw_elem_type(u, base) : NULL;
            if (!type)
                continue;
            const char *name = rw_local(r, u, "sum"), *indent = rw_indent(r, hone_node_at(&u->ast, loop));
            const char *place = hone_node_text(&u->ast, store->kid[0]);
            rw_insert(r, hone_node_at(&u->ast, loop),
                      rw_text(r, "%s %s = %s;   // accumulated in a register\n%s", type, name, place, indent));
            rw_replace_node(r, u, store->kid[0], name);
            rw_insert(r, hone_node_end(&u->ast, loop), rw_text(r, "\n%s%s = %s;", indent, place, name));
            rw_emit(r, NULL, 0, rw_text(r, "accumulate %s in a register in the loop at line %u", place, rw_line(u, loop)));
        }
    }
}
