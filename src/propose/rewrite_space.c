// propose/rewrite_space: finding the data axes, dependence of expressions on them, and the declarations an expression needs.
#include "propose/rewrite_space.h"
#include <string.h>

typedef struct digit {
    const hone_node *decl, *modulus, *divisor;
    hone_poly stride;
    bool used;
} digit;

// idx % X, idx / S % X, idx / S
static bool digit_of(const rw_unit *u, const hone_node *stmt, const char *idx, digit *d)
{
    *d = (digit){.decl = stmt};
    if (stmt->kind != HONE_N_DECL || stmt->n_kids != 1 || !stmt->kid[0]->kid[0] || stmt->kid[0]->op[0] ||
        hone_ast_local(&u->ast, stmt->kid[0]->name).writes)
        return false;
    const hone_node *e = hone_node_strip(stmt->kid[0]->kid[0]);
    if (hone_node_is(e, HONE_N_BINARY, "%")) {
        d->modulus = e->kid[1];
        e = hone_node_strip(e->kid[0]);
    }
    if (hone_node_is(e, HONE_N_BINARY, "/")) {
        d->divisor = e->kid[1];
        d->stride = hone_poly_of(&u->ast, e->kid[1], NULL);
        e = hone_node_strip(e->kid[0]);
    } else {
        d->stride = (hone_poly){.ok = true, .n = 1, .v = {{.coef = 1}}};
    }
    return hone_node_is(e, HONE_N_IDENT, idx) && (d->modulus || d->divisor) && d->stride.ok;
}

static hone_poly times(const hone_poly *a, const hone_poly *b)
{
    hone_poly p = {.ok = a->ok && b->ok && a->n == 1 && b->n == 1 && a->v[0].n + b->v[0].n <= HONE_TERM_ATOMS, .n = 1};
    if (!p.ok)
        return p;
    p.v[0] = a->v[0];
    p.v[0].coef *= b->v[0].coef;
    for (unsigned k = 0; k < b->v[0].n; k++) {
        unsigned at = p.v[0].n++;
        for (; at > 0 && strcmp(p.v[0].atom[at - 1], b->v[0].atom[k]) > 0; at--)
            p.v[0].atom[at] = p.v[0].atom[at - 1];
        p.v[0].atom[at] = b->v[0].atom[k];
    }
    return p;
}

// total / stride as text, both single products
static const char *quotient(rw *r, const hone_poly *total, const hone_poly *stride)
{
    if (total->n != 1 || stride->n != 1 || !total->ok || total->v[0].coef % stride->v[0].coef != 0)
        return NULL;
    hone_term t = total->v[0];
    for (unsigned k = 0; k < stride->v[0].n; k++) {
        unsigned at = 0;
        while (at < t.n && strcmp(t.atom[at], stride->v[0].atom[k]) != 0)
            at++;
        if (at == t.n)
            return NULL;
        memmove(&t.atom[at], &t.atom[at + 1], (t.n - at - 1) * sizeof t.atom[0]);
        t.n--;
    }
    int64_t c = t.coef / stride->v[0].coef;
    const char *s = c != 1 || t.n == 0 ? rw_text(r, "%lld", (long long)c) : "";
    for (unsigned k = 0; k < t.n; k++)
        s = rw_text(r, "%s%s%s", s, s[0] ? " * " : "", t.atom[k]);
    return s;
}

// Kernel terms to launch terms for a product of parameter names.
static const char *launch_product(rw *r, const rw_unit *u, const char *kernel_text)
{
    const char *s = "", *at = kernel_text;
    while (*at) {
        size_t n = strcspn(at, " *");
        const char *word = rw_text(r, "%.*s", (int)n, at), *value = rw_arg_value(u, word);
        int64_t lit;
        if (!value && !rw_literal(word, &lit))
            return NULL;
        s = rw_text(r, "%s%s%s", s, s[0] ? "*" : "", value ? (strpbrk(value, "+-/%,") ? rw_text(r, "(%s)", value) : value) : word);
        at += n + strspn(at + n, " *");
    }
    return s;
}

static bool flat_axes(rw *r, const rw_unit *u, space *s)
{
    digit d[SPACE_AXES];
    size_t n = 0;
    const rw_axis *idx = &s->frame.axis[0];
    for (size_t k = 0; k < s->frame.n_inner; k++) {
        if (n < SPACE_AXES && digit_of(u, s->frame.inner[k], idx->name, &d[n]))
            n++;
        else if (s->n_inner < HONE_COUNT(s->inner))
            s->inner[s->n_inner++] = s->frame.inner[k];
        else
            return false;
    }
    hone_poly at = {.ok = true, .n = 1, .v = {{.coef = 1}}}, total = hone_poly_of(&u->ast, idx->bound, NULL);
    while (s->n < n) {
        size_t k = 0;
        while (k < n && (d[k].used || !hone_poly_equal(&d[k].stride, &at)))
            k++;
        if (k == n)
            return false;
        d[k].used = true;
        space_axis *x = &s->axis[s->n++];
        *x = (space_axis){.name = d[k].decl->kid[0]->name, .type = d[k].decl->name, .decl = d[k].decl};
        hone_poly extent = hone_poly_of(&u->ast, d[k].modulus, NULL);
        x->extent = d[k].modulus ? quotient(r, &extent, &(hone_poly){.ok = true, .n = 1, .v = {{.coef = 1}}}) : quotient(r, &total, &at);
        x->launch_extent = x->extent ? launch_product(r, u, x->extent) : NULL;
        if (!x->launch_extent || (!d[k].modulus && s->n != n))
            return false;
        at = d[k].modulus ? times(&at, &extent) : total;
    }
    if (s->n < 2 || !hone_poly_equal(&at, &total))
        return false;
    s->flat_name = idx->name;
    s->flat_value = s->axis[s->n - 1].name;
    for (size_t k = s->n - 1; k-- > 0;)
        s->flat_value = rw_text(
            r, "%s%s%s * %s + %s", strchr(s->flat_value, ' ') ? "(" : "", s->flat_value, strchr(s->flat_value, ' ') ? ")" : "",
            strchr(s->axis[k].extent, ' ') ? rw_text(r, "(%s)", s->axis[k].extent) : s->axis[k].extent, s->axis[k].name);
    return true;
}

bool rw_space_of(rw *r, const rw_unit *u, space *s)
{
    *s = (space){0};
    if (!rw_frame_of(u, &s->frame) || !u->distinct_buffers)
        return false;
    if (s->frame.n_axes == 1) {
        s->flat = true;
        return s->frame.axis[0].found && flat_axes(r, u, s);
    }
    for (unsigned a = 0; a < 3; a++) {
        const rw_axis *x = &s->frame.axis[a];
        if (!x->found)
            continue;
        s->axis[s->n++] = (space_axis){x->name, x->type, hone_node_text(&u->ast, x->bound), rw_extent(r, u, &s->frame, a), x->decl};
    }
    if (s->frame.n_inner > HONE_COUNT(s->inner))
        return false;
    for (size_t k = 0; k < s->frame.n_inner; k++)
        s->inner[s->n_inner++] = s->frame.inner[k];
    return true;
}

static bool is_axis(const space *s, const char *name)
{
    for (size_t k = 0; k < s->n; k++)
        if (!strcmp(s->axis[k].name, name))
            return true;
    return s->flat && !strcmp(s->flat_name, name);
}

static bool depends(const rw_unit *u, const space *s, const hone_node *e, const char *name, unsigned depth)
{
    if (depth > 12)
        return true;
    HONE_EACH_NODE(&u->ast, e, n) {
        if (n->kind != HONE_N_IDENT)
            continue;
        if (!strcmp(n->name, name) || (s->flat && !strcmp(n->name, s->flat_name)))
            return true;
        hone_local l = hone_ast_local(&u->ast, n->name);
        if (!is_axis(s, n->name) && l.var && l.var->kid[0] && depends(u, s, l.var->kid[0], name, depth + 1))
            return true;
    }
    return false;
}

bool rw_depends(const rw_unit *u, const space *s, const hone_node *e, const char *name)
{
    return depends(u, s, e, name, 0);
}

static bool needs(const rw_unit *u, const space *s, const hone_node *e, const hone_node *stop, bool *take)
{
    HONE_EACH_NODE(&u->ast, e, n) {
        if (n->kind != HONE_N_IDENT || is_axis(s, n->name))
            continue;
        hone_local l = hone_ast_local(&u->ast, n->name);
        if (!l.var || l.decl->index >= stop->index)
            continue;
        if (l.declared != 1 || l.writes)
            return false;
        for (size_t k = 0; k < s->n_inner; k++) {
            if (s->inner[k] != l.decl || take[k])
                continue;
            take[k] = true;
            if (!needs(u, s, l.decl, stop, take))
                return false;
        }
    }
    return true;
}

bool rw_slice(const rw_unit *u, const space *s, const hone_node *e, const hone_node *stop, const hone_node **out, size_t *n, size_t max)
{
    bool take[64] = {false};
    *n = 0;
    if (!needs(u, s, e, stop, take))
        return false;
    for (size_t k = 0; k < s->n_inner; k++) {
        if (take[k] && *n == max)
            return false;
        if (take[k])
            out[(*n)++] = s->inner[k];
    }
    return true;
}

// ---- the move
void rw_move_unflatten(rw *r)
{
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        space s;
        if (!rw_space_of(r, u, &s) || !s.flat)
            continue;
        for (size_t y = 1; y < s.n && !rw_full(r); y++) {
            const rw_axis *idx = &s.frame.axis[0];
            const space_axis *a = &s.axis[0], *b = &s.axis[y];
            const char *in = rw_indent(r, hone_node_at(&u->ast, idx->decl)), *rest = "blockIdx.z", *z = "", *outer = "1";
            for (size_t i = 1; i < s.n; i++) {
                if (i == y)
                    continue;
                bool last = i + 1 == s.n || (y + 1 == s.n && i + 2 == s.n);
                z = last ? rw_text(r, "%s%s%s %s = %s;\n", z, in, s.axis[i].type, s.axis[i].name, rest)
                         : rw_text(r, "%s%s%s %s = %s %% (%s);\n", z, in, s.axis[i].type, s.axis[i].name, rest, s.axis[i].extent);
                rest = rw_text(r, "%s / (%s)", rest, s.axis[i].extent);
                outer = rw_same_expr(outer, "1") ? s.axis[i].launch_extent : rw_text(r, "%s*%s", outer, s.axis[i].launch_extent);
            }
            for (size_t i = 0; i < s.n; i++)
                rw_remove(r, u, s.axis[i].decl);
            const char *cond = s.frame.early ? rw_text(r, "%s >= %s || %s >= %s", a->name, a->extent, b->name, b->extent)
                                             : rw_text(r, "%s < %s && %s < %s", a->name, a->extent, b->name, b->extent);
            rw_replace_node(r, u, idx->decl,
                            rw_text(r,
                                    "// one grid axis per data axis instead of divisions\n%s%s %s = blockIdx.x * blockDim.x + "
                                    "threadIdx.x;\n%s%s %s = blockIdx.y * blockDim.y + threadIdx.y;\n%s%s%s %s = %s;",
                                    in, a->type, a->name, in, b->type, b->name, z, in, idx->type, idx->name, s.flat_value));
            rw_replace_node(r, u, s.frame.guard->kid[0], cond);
            rw_grid g = {{rw_text(r, "cdiv(%s, 32)", a->launch_extent), rw_text(r, "cdiv(%s, 8)", b->launch_extent), outer},
                         {"32", "8", "1"},
                         rw_grid_of(r, u).smem};
            rw_set_launch(r, u, &g);
            rw_emit(r, NULL, 0, rw_text(r, "axes '%s' and '%s' of %s on the grid instead of divisions", a->name, b->name, u->kernel->name));
        }
    }
}
