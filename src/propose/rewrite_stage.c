// propose/rewrite_stage: loops in which every thread of a block reads the same elements (all-pairs interactions): the elements are staged
// in shared memory, TILE iterations at a time, each loaded once per block instead of once per thread.
#include "propose/rewrite.h"
#include <string.h>

enum { MAX_STAGED = 4 };
typedef struct staged {
    const char *base, *type, *tile, *vec;
    int64_t stride;
    const hone_node *access[24];
    int64_t lane[24];
    size_t n;
} staged;
typedef struct stage {
    rw_frame f;
    hone_loop loop;
    size_t at;
    staged b[MAX_STAGED];
    size_t n;
} stage;

// index = stride*j + lane, uniform over the block
static bool uniform_index(const hone_poly *p, const char *var, int64_t *stride, int64_t *lane)
{
    *lane = 0;
    *stride = 0;
    for (size_t k = 0; k < p->n; k++) {
        if (p->v[k].n == 0)
            *lane = p->v[k].coef;
        else if (p->v[k].n == 1 && !strcmp(p->v[k].atom[0], var))
            *stride = p->v[k].coef;
        else
            return false;
    }
    return p->ok && *stride >= 1 && *stride <= 16 && *lane >= 0 && *lane < *stride;
}

static bool add_staged(const rw_unit *u, stage *s, const hone_access *a, int64_t stride, int64_t lane)
{
    size_t k = 0;
    while (k < s->n && strcmp(s->b[k].base, a->base) != 0)
        k++;
    if (k == s->n) {
        const char *type = rw_elem_type(u, a->base);
        if (k == MAX_STAGED || !rw_elem_bytes(type))
            return false;
        s->b[s->n++] = (staged){.base = a->base, .type = type, .stride = stride};
    }
    staged *b = &s->b[k];
    if (b->stride != stride || b->n == HONE_COUNT(b->access))
        return false;
    b->access[b->n] = a->node;
    b->lane[b->n++] = lane;
    return true;
}

static bool stage_of(const rw_unit *u, stage *s)
{
    if (!rw_frame_of(u, &s->f) || s->f.n_axes != 1 || !s->f.axis[0].found || !s->f.early || !u->distinct_buffers)
        return false;
    bool found = false;
    for (size_t k = 0; k < s->f.n_inner; k++) {
        const hone_node *x = s->f.inner[k];
        hone_loop l;
        if (!found && hone_ast_loop(&u->ast, x, &l) && l.step == 1 && !l.inclusive &&
            hone_node_is(hone_node_strip(l.lo), HONE_N_LITERAL, "0") && hone_ast_invariant(&u->ast, l.bound, u->ast.body) &&
            !hone_node_mentions(&u->ast, l.bound, s->f.axis[0].name)) {
            s->loop = l;
            s->at = k;
            found = true;
        } else if (!found && x->kind != HONE_N_DECL) {
            return false;
        }
    }
    if (!found || rw_has_kind(&u->ast, s->loop.body, HONE_N_RETURN) || rw_has_kind(&u->ast, s->loop.body, HONE_N_BREAK))
        return false;
    const char *keep[] = {s->loop.var, NULL};
    HONE_EACH_NODE(&u->ast, s->loop.body, n) {
        hone_access a;
        int64_t stride, lane;
        if (n->kind != HONE_N_INDEX || !hone_ast_access(&u->ast, n, keep, &a) || !a.is_param || a.written || rw_param_written(u, a.base))
            continue;
        if (n->parent->kind == HONE_N_UNARY && n->parent->op[0] == '&')
            continue;
        if (uniform_index(&a.index, s->loop.var, &stride, &lane) && !add_staged(u, s, &a, stride, lane))
            return false;
    }
    return s->n > 0;
}

static const char *vector_for(const staged *b)
{
    int64_t seen = 0;
    for (size_t k = 0; k < b->n; k++)
        seen |= (int64_t)1 << b->lane[k];
    if (!strcmp(b->type, "float") && b->stride == 4 && seen == 15)
        return "float4";
    if (!strcmp(b->type, "float") && b->stride == 2 && seen == 3)
        return "float2";
    if (!strcmp(b->type, "int") && b->stride == 4 && seen == 15)
        return "int4";
    return NULL;
}

static const char *staged_loop(rw *r, const rw_unit *u, stage *s, const char *tile_name)
{
    const char *in = rw_indent(r, hone_node_at(&u->ast, s->loop.node)), *decl = "", *load = "", *v = s->loop.var,
               *bound = hone_node_text(&u->ast, s->loop.bound);
    const char *first = rw_local(r, u, rw_text(r, "%s0", v)), *at = rw_local(r, u, "s");
    rw_subst sub[MAX_STAGED * 24 + 1];
    size_t n = 0;
    for (size_t k = 0; k < s->n; k++) {
        staged *b = &s->b[k];
        long long stride = (long long)b->stride;
        b->tile = rw_local(r, u, rw_text(r, "%s_tile", b->base));
        b->vec = vector_for(b);
        if (b->vec) {
            decl = rw_text(r, "%s%s__shared__ %s %s[%s];\n", decl, in, b->vec, b->tile, tile_name);
            load = rw_text(r, "%s%s        if (%s + %s < %s)\n%s            %s[%s] = reinterpret_cast<const %s*>(%s)[%s + %s];\n", load, in,
                           first, at, bound, in, b->tile, at, b->vec, b->base, first, at);
        } else {
            decl = rw_text(r, "%s%s__shared__ %s %s[%s * %lld];\n", decl, in, b->type, b->tile, tile_name, stride);
            load = rw_text(
                r,
                "%s%s        for (int c = 0; c < %lld && %s + %s < %s; c++)\n%s            %s[%s * %lld + c] = %s[(%s + %s) * %lld + c];\n",
                load, in, stride, first, at, bound, in, b->tile, at, stride, b->base, first, at, stride);
        }
        for (size_t i = 0; i < b->n; i++)
            sub[n++] = (rw_subst){.node = b->access[i],
                                  .text = b->vec ? rw_text(r, "%s[%s].%c", b->tile, at, "xyzw"[b->lane[i]])
                                                 : rw_text(r, "%s[%s * %lld + %lld]", b->tile, at, stride, (long long)b->lane[i])};
    }
    const char *body = rw_render(r, u, s->loop.body, sub, n);
    return rw_text(
        r,
        "// staged in shared memory, %s iterations at a time\n%s%sfor (%s %s = 0; %s < %s; %s += %s) {\n"
        "%s    __syncthreads();\n%s    for (int %s = threadIdx.x; %s < %s; %s += blockDim.x) {\n%s%s    }\n%s    __syncthreads();\n"
        "%s    const int %s_end = min(%s, %s - %s);\n"
        "%s    #pragma unroll 8\n%s    for (int %s = 0; %s < %s_end; %s++) {\n%s        const %s %s = %s + %s;\n%s        (void)%s;\n%s    "
        "    %s\n%s    }\n%s}",
        tile_name, decl, in, s->loop.type, first, first, bound, first, tile_name, in, in, at, at, tile_name, at, load, in, in, in, at,
        tile_name, bound, first, in, in, at, at, at, at, in, s->loop.type, v, first, at, in, v, in, body, in, in);
}

void rw_move_shared_tile(rw *r)
{
    for (size_t k = 0; k < r->n_units && !rw_full(r); k++) {
        const rw_unit *u = &r->unit[k];
        stage *s = hone_arena_alloc(r->arena, sizeof *s);
        if (!s || !stage_of(u, s))
            continue;
        const rw_axis *x = &s->f.axis[0];
        const char *tile = rw_fresh(r, "TILE"), *all = rw_local(r, u, rw_text(r, "%s_all", x->name)),
                   *in = rw_indent(r, hone_node_at(&u->ast, x->decl));
        const char *bound = hone_node_text(&u->ast, x->bound);
        // every thread stays for the barriers: those past the end work on the last element and store nothing
        rw_replace_node(r, u, x->decl,
                        rw_text(r, "const %s %s = %s;\n%s%s %s = min(%s, %s - 1);   // threads past the end help with staging", x->type,
                                all, hone_node_text(&u->ast, x->decl->kid[0]->kid[0]), in, x->type, x->name, all, bound));
        rw_remove(r, u, s->f.guard);
        const char *pre = s->loop.node->first > 0 && u->ast.t->v[s->loop.node->first - 1].kind == HONE_TOK_DIRECTIVE ? "\n" : "";
        rw_replace_node(r, u, s->loop.node, rw_text(r, "%s%s\n%sif (%s >= %s) return;", pre, staged_loop(r, u, s, tile), in, all, bound));
        rw_add_lines(r, u, rw_text(r, "#pragma hone tune %s={256,128,64,512}\n", tile));
        rw_emit(r, NULL, 0, rw_text(r, "loop at line %u of %s reads shared memory tiles", rw_line(u, s->loop.node), u->kernel->name));
    }
}
