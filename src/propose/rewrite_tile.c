// propose/rewrite_tile: matrix-product loops (rewrite_product.h) computed by blocks: tiles of both operands staged in shared memory, a TM×TN patch of
// outputs per thread in registers. Tile sizes are tune parameters.
#include "propose/rewrite_product.h"

typedef struct tile_names {
    rw_product_names n;
    const char *tm, *tn, *sum, *tx, *ty, *kk, *av, *bv, *i, *j, *value;
} tile_names;

// One operand's tile: element (outer, k) into tile[k][outer], zero outside.
static const char *stage(rw *r, const rw_unit *u, const rw_product *p, const tile_names *t, bool is_a)
{
    const rw_operand *o = is_a ? &p->a : &p->b;
    const space_axis *x = &p->s.axis[is_a ? p->row : p->col];
    const char *size = is_a ? t->n.bm : t->n.bn, *tile = is_a ? t->n.as : t->n.bs, *origin = is_a ? t->n.row0 : t->n.col0;
    const char *outer = o->k_fastest ? rw_text(r, "%s / %s", t->n.e, t->n.bk) : rw_text(r, "%s %% %s", t->n.e, size);
    const char *depth = o->k_fastest ? rw_text(r, "%s %% %s", t->n.e, t->n.bk) : rw_text(r, "%s / %s", t->n.e, size);
    const char *limit = rw_product_bound(u, p, &t->n, is_a);
    const char *head = rw_text(r,
                               "        #pragma unroll\n        for (int %s = %s; %s < %s * %s; %s += (%s / %s) * (%s / %s)) {\n           "
                               " const %s %s = %s + %s;\n            const %s %s = %s + %s;\n",
                               t->n.e, t->n.tid, t->n.e, size, t->n.bk, t->n.e, t->n.bm, t->tm, t->n.bn, t->tn, x->type, x->name, origin, outer,
                               p->loop.type, p->loop.var, t->n.k0, depth);
    return rw_text(r,
                   "%s            %s %s = 0;\n            if (%s < %s && %s %s %s) {\n%s                %s = %s;\n            }\n          "
                   "  %s[%s][%s] = %s;\n        }\n",
                   head, p->type, t->value, x->name, x->extent, p->loop.var, p->loop.inclusive ? "<=" : "<", limit,
                   rw_statements(r, u, o->slice, o->n_slice, "                "), t->value, hone_node_text(&u->ast, o->e), tile, depth, outer,
                   t->value);
}

static const char *tile_head(rw *r, const rw_unit *u, const rw_product *p, const tile_names *t, const char **launch_z)
{
    const char *z = rw_product_batch(r, p, launch_z);
    const char *s = rw_text(r,
                            "{\n    // %s x %s outputs per block, %s x %s per thread; operands staged %s deep in shared memory\n"
                            "    __shared__ __align__(16) %s %s[%s][%s + 4], %s[%s][%s + 4];\n%s    const int %s = threadIdx.x;\n",
                            t->n.bm, t->n.bn, t->tm, t->tn, t->n.bk, p->type, t->n.as, t->n.bk, t->n.bm, t->n.bs, t->n.bk, t->n.bn, z, t->n.tid);
    return rw_text(r,
                   "%s    const int %s = %s %% (%s / %s), %s = %s / (%s / %s);\n    const int %s = blockIdx.y * %s, %s = blockIdx.x * "
                   "%s;\n    %s %s[%s][%s] = {};\n%s",
                   s, t->tx, t->n.tid, t->n.bn, t->tn, t->ty, t->n.tid, t->n.bn, t->tn, t->n.row0, t->n.bm, t->n.col0, t->n.bn, p->type, t->sum, t->tm,
                   t->tn, rw_product_limit(r, u, p, &t->n));
}

// Each thread's patch is split into groups of four neighbours, so that reads of the tiles are 16 bytes wide and free of bank conflicts.
static const char *patch(rw *r, const char *v, const char *block, const char *per_thread, const char *thread)
{
    return rw_text(r, "%s / 4 * (%s / %s * 4) + %s * 4 + %s %% 4", v, block, per_thread, thread, v);
}

static const char *multiply(rw *r, const rw_product *p, const tile_names *t)
{
    const char *rows = patch(r, t->i, t->n.bm, t->tm, t->ty), *cols = patch(r, t->j, t->n.bn, t->tn, t->tx);
    const char *load = rw_text(
        r,
        "        #pragma unroll\n        for (int %s = 0; %s < %s; %s++) {\n            %s %s[%s], %s[%s];\n"
        "            #pragma unroll\n            for (int %s = 0; %s < %s; %s++)\n                %s[%s] = %s[%s][%s];\n"
        "            #pragma unroll\n            for (int %s = 0; %s < %s; %s++)\n                %s[%s] = %s[%s][%s];\n",
        t->kk, t->kk, t->n.bk, t->kk, p->type, t->av, t->tm, t->bv, t->tn, t->i, t->i, t->tm, t->i, t->av, t->i, t->n.as, t->kk, rows, t->j,
        t->j, t->tn, t->j, t->bv, t->j, t->n.bs, t->kk, cols);
    return rw_text(r,
                   "%s            #pragma unroll\n            for (int %s = 0; %s < %s; %s++)\n                #pragma unroll\n            "
                   "    for (int %s = 0; %s < %s; %s++)\n"
                   "                    %s[%s][%s] += %s[%s] * %s[%s];\n        }\n",
                   load, t->i, t->i, t->tm, t->i, t->j, t->j, t->tn, t->j, t->sum, t->i, t->j, t->av, t->i, t->bv, t->j);
}

static const char *tile_text(rw *r, const rw_unit *u, const rw_product *p, const tile_names *t, const char **launch_z)
{
    const space_axis *row = &p->s.axis[p->row], *col = &p->s.axis[p->col];
    const char *loop = rw_text(
        r, "    for (%s %s = 0; %s %s %s; %s += %s) {\n%s%s        __syncthreads();\n%s        __syncthreads();\n    }\n", p->loop.type,
        t->n.k0, t->n.k0, p->loop.inclusive ? "<=" : "<", t->n.limit, t->n.k0, t->n.bk, stage(r, u, p, t, true), stage(r, u, p, t, false),
        multiply(r, p, t));
    return rw_text(
        r,
        "%s%s    #pragma unroll\n    for (int %s = 0; %s < %s; %s++) {\n        #pragma unroll\n        for (int %s = 0; %s < %s; %s++) {\n"
        "            const %s %s = %s + %s;\n            const %s %s = %s + %s;\n            if (%s < %s && %s < %s) {\n%s            }\n  "
        "      }\n    }\n}",
        tile_head(r, u, p, t, launch_z), loop, t->i, t->i, t->tm, t->i, t->j, t->j, t->tn, t->j, row->type, row->name, t->n.row0,
        patch(r, t->i, t->n.bm, t->tm, t->ty), col->type, col->name, t->n.col0, patch(r, t->j, t->n.bn, t->tn, t->tx), row->name, row->extent,
        col->name, col->extent, rw_product_epilogue(r, u, p, rw_text(r, "%s[%s][%s]", t->sum, t->i, t->j)));
}

static tile_names names_for(rw *r, const rw_unit *u)
{
    rw_product_names n = rw_product_names_for(r, u);
    return (tile_names){.n = n,
                        .tm = rw_fresh(r, "TM"),
                        .tn = rw_fresh(r, "TN"),
                        .sum = rw_local(r, u, "sum"),
                        .tx = rw_local(r, u, "tx"),
                        .ty = rw_local(r, u, "ty"),
                        .kk = rw_local(r, u, "kk"),
                        .av = rw_local(r, u, "av"),
                        .bv = rw_local(r, u, "bv"),
                        .i = rw_local(r, u, "i"),
                        .j = rw_local(r, u, "j"),
                        .value = rw_local(r, u, "value")};
}

static void emit_tile(rw *r, const rw_unit *u, const rw_product *p, const int64_t shape[5])
{
    const char *launch_z;
    tile_names t = names_for(r, u);
    const char *const names[5] = {t.n.bm, t.n.bn, t.n.bk, t.tm, t.tn}, *threads = rw_text(r, "(%s/%s)*(%s/%s)", t.n.bm, t.tm, t.n.bn, t.tn);
    rw_replace_node(r, u, u->ast.body, tile_text(r, u, p, &t, &launch_z));
    const char *lines = rw_text(r,
                                "#pragma hone tune %s={128,64,32}\n#pragma hone tune %s={128,64,32}\n#pragma hone tune "
                                "%s={8,16,32}\n#pragma hone tune %s={8,4}\n#pragma hone tune %s={8,4}\n"
                                "#pragma hone where %s <= 1024\n#pragma hone where %s >= 32\n",
                                t.n.bm, t.n.bn, t.n.bk, t.tm, t.tn, threads, threads);
    rw_product_emit(r, u, p, &t.n, threads, launch_z, lines, names, shape, 5,
                    rw_text(r, "%s by %lldx%lld tiles, %lldx%lld per thread", u->kernel->name, (long long)shape[0], (long long)shape[1],
                            (long long)shape[3], (long long)shape[4]));
}

void rw_move_register_tile(rw *r)
{
    static const int64_t shapes[][5] = {{128, 128, 8, 8, 8}, {64, 64, 16, 4, 4}, {128, 64, 16, 8, 4},
                                        {64, 64, 16, 8, 8},  {32, 64, 16, 4, 4}, {128, 128, 16, 8, 8}};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_product *p = hone_arena_alloc(r->arena, sizeof *p);
        if (!p || !rw_product_of(r, u, p))
            continue;
        for (size_t v = 0; v < HONE_COUNT(shapes) && !rw_full(r); v++)
            emit_tile(r, u, p, shapes[v]);
    }
}
