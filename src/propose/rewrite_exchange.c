// propose/rewrite_exchange: moves through shared memory between threads of a block: exchanging axes through a padded tile, and collecting
// atomics in private copies before they go to global memory.
#include "propose/rewrite_vector.h"
#include <string.h>

// ---- transpose
typedef struct exchange {
    const hone_node *load, *store, *assign;
    unsigned load_axis, store_axis;
    const char *type;
} exchange;

static bool unit_stride(const rw_unit *u, const hone_node *n, const char *const *keep, const char *axis)
{
    hone_access a;
    int64_t v;
    if (!hone_ast_access(&u->ast, n, keep, &a))
        return false;
    hone_poly s = hone_poly_stride(&a.index, axis);
    return hone_poly_is_const(&s, &v) && v == 1;
}

static bool exchange_of(const rw_unit *u, const rw_frame *f, exchange *x)
{
    const hone_node *stmt = f->n_inner == 1 ? f->inner[0] : NULL;
    const char *keep[] = {f->axis[0].name, f->axis[1].name, NULL};
    if (!stmt || stmt->kind != HONE_N_EXPR || !hone_node_is(stmt->kid[0], HONE_N_ASSIGN, "="))
        return false;
    *x = (exchange){.assign = stmt->kid[0], .store = hone_node_strip(stmt->kid[0]->kid[0])};
    HONE_EACH_NODE(&u->ast, x->assign->kid[1], n) {
        if (n->kind == HONE_N_CALL && (strstr(n->name, "atomic") || strstr(n->name, "sync")))
            return false;
        if (n->kind != HONE_N_INDEX)
            continue;
        if (x->load)
            return false;
        x->load = n;
    }
    hone_access in, out;
    if (!x->load || !hone_ast_access(&u->ast, x->load, keep, &in) || !hone_ast_access(&u->ast, x->store, keep, &out) || !in.is_param ||
        !out.is_param)
        return false;
    if (!strcmp(in.base, out.base) || rw_param_written(u, in.base))
        return false;
    for (unsigned a = 0; a < 2; a++) {
        if (unit_stride(u, x->load, keep, keep[a]) && unit_stride(u, x->store, keep, keep[1 - a])) {
            x->load_axis = a;
            x->store_axis = 1 - a;
            x->type = rw_elem_type(u, in.base);
            return rw_elem_bytes(x->type) > 0 && !unit_stride(u, x->load, keep, keep[1 - a]);
        }
    }
    return false;
}

static const char *exchange_text(rw *r, const rw_unit *u, const rw_frame *f, const exchange *x)
{
    const rw_axis *l = &f->axis[x->load_axis], *s = &f->axis[x->store_axis];
    const char *tile = rw_local(r, u, "tile"), *row = rw_local(r, u, "r"), *in = rw_indent(r, hone_node_at(&u->ast, l->decl));
    rw_subst sub = {.node = x->load, .text = rw_text(r, "%s[threadIdx.x][%s]", tile, row)};
    const char *inside = rw_text(r, "%s < %s && %s < %s", l->name, hone_node_text(&u->ast, l->bound), s->name,
                                 hone_node_text(&u->ast, s->bound));
    return rw_text(r,
                   "__shared__ %s %s[32][33];   // both sides coalesced; the extra column avoids bank conflicts\n"
                   "%sfor (int %s = threadIdx.y; %s < 32; %s += blockDim.y) {\n"
                   "%s    const %s %s = blockIdx.x * 32 + threadIdx.x, %s = blockIdx.y * 32 + %s;\n"
                   "%s    if (%s)\n%s        %s[%s][threadIdx.x] = %s;\n%s}\n%s__syncthreads();\n"
                   "%sfor (int %s = threadIdx.y; %s < 32; %s += blockDim.y) {\n"
                   "%s    const %s %s = blockIdx.x * 32 + %s, %s = blockIdx.y * 32 + threadIdx.x;\n"
                   "%s    if (%s)\n%s        %s;\n%s}",
                   x->type, tile, in, row, row, row, in, l->type, l->name, s->name, row, in, inside, in, tile, row,
                   hone_node_text(&u->ast, x->load), in, in, in, row, row, row, in, l->type, l->name, row, s->name, in, inside, in,
                   rw_render(r, u, x->assign, &sub, 1), in);
}

void rw_move_transpose_tile(rw *r)
{
    for (size_t k = 0; k < r->n_units && !rw_full(r); k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        exchange x;
        if (!rw_frame_of(u, &f) || f.n_axes != 2 || !f.axis[0].found || !f.axis[1].found || !u->distinct_buffers || !exchange_of(u, &f, &x))
            continue;
        const hone_node *last = f.early ? f.inner[0] : f.guard;
        const char *rows = rw_fresh(r, "ROWS");
        rw_replace(r, hone_node_at(&u->ast, u->ast.body->kid[0]), hone_node_end(&u->ast, last), exchange_text(r, u, &f, &x));
        rw_grid g = rw_grid_of(r, u);
        const char *load = rw_extent(r, u, &f, x.load_axis), *store = rw_extent(r, u, &f, x.store_axis);
        g = (rw_grid){{rw_text(r, "cdiv(%s, 32)", load), rw_text(r, "cdiv(%s, 32)", store), "1"}, {"32", rows, "1"}, g.smem};
        rw_add_lines(r, u, rw_text(r, "#pragma hone tune %s={8,4,16,2}\n", rows));
        rw_set_launch(r, u, &g);
        rw_emit(r, NULL, 0, rw_text(r, "%s through a shared tile", u->kernel->name));
    }
}

// ---- atomics
typedef struct bins {
    const hone_node *address;
    const char *buffer_param, *type;
    int64_t n;
    size_t n_calls;
    rw_subst s[8];
} bins;

static bool literal_extent(const hone_arg *b, int64_t *n)
{
    *n = 1;
    for (size_t k = 0; b && k < b->n_dims; k++) {
        int64_t d;
        if (!rw_literal(hone_expr_text(b->dims[k]), &d) || d > 65536 || *n > 65536)
            return false;
        *n *= d;
    }
    return b != NULL;
}

// All accesses of one small buffer are atomicAdd(&buffer[…], …) whose result nobody wants.
static bool bins_of(rw *r, const rw_unit *u, const rw_frame *f, bins *b)
{
    *b = (bins){0};
    for (size_t s = 0; s < f->n_inner; s++) {
        HONE_EACH_NODE(&u->ast, f->inner[s], n) {
            hone_access a;
            if (n->kind == HONE_N_RETURN)
                return false;
            if (n->kind != HONE_N_CALL || strcmp(n->name, "atomicAdd") != 0)
                continue;
            const hone_node *address = n->n_kids == 3 ? hone_node_strip(n->kid[1]) : NULL;
            if (!address || n->parent->kind != HONE_N_EXPR || !hone_node_is(address, HONE_N_UNARY, "&") ||
                !hone_ast_access(&u->ast, hone_node_strip(address->kid[0]), NULL, &a))
                return false;
            if ((b->buffer_param && strcmp(b->buffer_param, a.base) != 0) || b->n_calls == HONE_COUNT(b->s) || !a.is_param)
                return false;
            b->buffer_param = a.base;
            b->s[b->n_calls++] = (rw_subst){.node = hone_node_strip(address->kid[0])->kid[0]};
        }
    }
    if (!b->n_calls || !literal_extent(rw_buffer(r, rw_arg_buffer(u, b->buffer_param)), &b->n) || b->n > 4096)
        return false;
    b->type = rw_elem_type(u, b->buffer_param);
    size_t mentions = 0;
    for (size_t k = 0; k < u->ast.n; k++)
        mentions += hone_node_is(u->ast.all[k], HONE_N_IDENT, b->buffer_param);
    return mentions == b->n_calls && rw_elem_bytes(b->type) >= 4;
}

// No stores but the atomics.
static bool no_other_stores(const rw_unit *u, const rw_frame *f)
{
    for (size_t s = 0; s < f->n_inner; s++)
        HONE_EACH_NODE(&u->ast, f->inner[s], n)
            if ((n->kind == HONE_N_ASSIGN || n->kind == HONE_N_POSTFIX) && rw_has_kind(&u->ast, n->kid[0], HONE_N_INDEX))
                return false;
    return true;
}

static const char *bins_loop(rw *r, const rw_unit *u, const rw_frame *f, const bins *b, const lanes *l, unsigned width, const char *in)
{
    const rw_axis *x = &f->axis[0];
    rw_subst s[80];
    size_t n = 0;
    const char *first = rw_local(r, u, rw_text(r, "%s0", x->name)), *load = "", *bound = hone_node_text(&u->ast, x->bound),
               *index = hone_node_text(&u->ast, x->decl->kid[0]->kid[0]);
    for (size_t k = 0; k < b->n_calls; k++)
        s[n++] = b->s[k];
    const char *plain = rw_render_range(r, u, (const hone_node *const *)f->inner, f->n_inner, s, n, rw_text(r, "%s    ", in));
    if (width == 1)
        return rw_text(r, "%sfor (%s %s = %s; %s < %s; %s += blockDim.x * gridDim.x) {\n%s    %s\n%s}\n", in, x->type, x->name, index,
                       x->name, bound, x->name, in, plain, in);
    for (size_t k = 0; k < l->n; k++)
        load = rw_text(r, "%s%s        const hone_vec<%s, %u> %s = *reinterpret_cast<const hone_vec<%s, %u>*>(%s + %s);\n", load, in,
                       l->b[k].type, width, l->b[k].local, l->b[k].type, width, l->b[k].name, first);
    for (size_t k = 0; k < l->n_s && n < HONE_COUNT(s); k++)
        s[n++] = l->s[k];
    const char *wide = rw_render_range(r, u, (const hone_node *const *)f->inner, f->n_inner, s, n, rw_text(r, "%s            ", in));
    return rw_text(r,
                   "%sfor (%s %s = (%s) * %u; %s < %s; %s += blockDim.x * gridDim.x * %u) {\n"
                   "%s    if (%s + %u <= %s) {\n%s%s        #pragma unroll\n%s        for (int u = 0; u < %u; u++) {\n"
                   "%s            %s\n%s        }\n%s    } else {\n%s        for (%s %s = %s; %s < %s; %s++) {\n%s            %s\n%s       "
                   " }\n%s    }\n%s}\n",
                   in, x->type, first, index, width, first, bound, first, width, in, first, width, bound, load, in, in, width, in, wide, in,
                   in, in, x->type, x->name, first, x->name, bound, x->name, in, plain, in, in, in);
}

static void emit_bins(rw *r, const rw_unit *u, const rw_frame *f, bins *b, const lanes *l, unsigned width)
{
    const char *priv = rw_local(r, u, rw_text(r, "%s_s", b->buffer_param)), *own = rw_local(r, u, "own"), *copies = rw_fresh(r, "COPIES"),
               *blocks = rw_fresh(r, "BLOCKS");
    const char *in = rw_indent(r, hone_node_at(&u->ast, f->axis[0].decl)), *reach = NULL;
    long long n = (long long)b->n;
    for (size_t k = 0; k < b->n_calls; k++)
        b->s[k].text = own;
    const char *text = rw_text(
        r,
        "__shared__ %s %s[%s][%lld];   // private copies: contention stays inside a few warps\n"
        "%sfor (int b = threadIdx.x; b < %s * %lld; b += blockDim.x)\n%s    %s[b / %lld][b %% %lld] = 0;\n%s__syncthreads();\n"
        "%s%s *%s = %s[threadIdx.x / 32 %% %s];\n%s%s__syncthreads();\n"
        "%sfor (int b = threadIdx.x; b < %lld; b += blockDim.x) {\n%s    %s total = 0;\n%s    for (int c = 0; c < %s; c++)\n%s        "
        "total += %s[c][b];\n"
        "%s    if (total != 0)\n%s        atomicAdd(&%s[b], total);\n%s}",
        b->type, priv, copies, n, in, copies, n, in, priv, n, n, in, in, b->type, own, priv, copies, bins_loop(r, u, f, b, l, width, in),
        in, in, n, in, b->type, in, copies, in, priv, in, in, b->buffer_param, in);
    size_t end = f->early ? hone_node_end(&u->ast, f->inner[f->n_inner - 1]) : hone_node_end(&u->ast, f->guard);
    rw_replace(r, hone_node_at(&u->ast, f->axis[0].decl), end, text);
    if (width > 1)
        rw_add_before_kernel(r, u, rw_vector_key, rw_vector_helper);
    rw_grid g = rw_grid_of(r, u);
    reach = rw_reach(r, g.grid[0], g.block[0]);
    g.grid[0] = rw_text(r, "min(cdiv(%s, %s), %s)", reach, rw_times(r, g.block[0], width), blocks);
    rw_add_lines(r, u,
                 rw_text(r, "#pragma hone tune %s={1056,528,264,2112,132}\n#pragma hone tune %s={%s}\n", blocks, copies,
                         b->n <= 512    ? "8,4,2,1"
                         : b->n <= 1024 ? "4,2,1"
                                        : "1"));
    rw_set_launch(r, u, &g);
    rw_emit(r, NULL, 0, rw_text(r, "atomics of %s collected in shared memory, %u elements at a time", b->buffer_param, width));
}

void rw_move_privatise_atomics(rw *r)
{
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        bins b;
        lanes l = {0};
        if (!rw_frame_of(u, &f) || f.n_axes != 1 || !f.axis[0].found || !u->distinct_buffers || !bins_of(r, u, &f, &b) ||
            !no_other_stores(u, &f))
            continue;
        bool taken = hone_ast_local(&u->ast, "u").var || hone_ast_local(&u->ast, "b").var || hone_ast_local(&u->ast, "c").var;
        unsigned widest = 1;
        bool wide = !taken && rw_lanes_of(r, u, &f, &l, true);
        for (size_t i = 0; i < l.n; i++)
            widest = l.b[i].bytes > widest ? l.b[i].bytes : widest;
        for (size_t i = 0; wide && i < f.n_inner; i++)   // the index itself is not at hand inside a vector
            HONE_EACH_NODE(&u->ast, f.inner[i], n)
                if (hone_node_is(n, HONE_N_IDENT, f.axis[0].name) && n->parent->kind != HONE_N_INDEX)
                    wide = false;
        for (unsigned width = wide ? 16 / widest : 1; width >= 1 && !taken && !rw_full(r); width /= 2)
            emit_bins(r, u, &f, &b, &l, width);
    }
}
