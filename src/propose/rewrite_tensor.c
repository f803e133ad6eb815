// propose/rewrite_tensor: matrix-product loops (rewrite_product.h) over 16-bit floating elements, accumulated in float, on tensor cores: tiles of both
// operands staged in shared memory as they are, WM×WN outputs per warp by 16×16×16 matrix operations. Products are exact and sums are float, as in
// the loop, in another order. Tile sizes are tune parameters.
#include "propose/rewrite_product.h"
#include <string.h>

typedef struct factor {
    const hone_node *element;        // the load, without its conversion
    bool along_axis;                 // else along k: where neighbours in memory lie
} factor;
typedef struct tensor_names {
    rw_product_names n;
    const char *wm, *wn, *warp, *wrow, *wcol, *sum, *patch, *kk, *fa, *fb, *i, *j, *value, *from, *c;
} tensor_names;
typedef struct tensor {
    const rw_unit *u;
    const rw_product *p;
    factor a, b;
    const char *type;                // of both operands' elements
    tensor_names t;
} tensor;

// `e` as a conversion to float of one element; NULL when it is anything else.
static const hone_node *converted_element(const hone_node *e)
{
    static const char *const conversions[] = {"__half2float", "__bfloat162float"};
    e = hone_node_strip(e);
    bool converts = e->kind == HONE_N_CAST && !strcmp(e->name, "float");
    for (size_t k = 0; k < HONE_COUNT(conversions); k++)
        converts = converts || (e->kind == HONE_N_CALL && e->n_kids == 2 && !strcmp(e->name, conversions[k]));
    if (!converts)
        return NULL;
    e = hone_node_strip(e->kid[e->n_kids - 1]);
    return e->kind == HONE_N_INDEX ? e : NULL;
}

static bool unit_stride(const rw_unit *u, const hone_node *element, const char *along, const char *other)
{
    const char *keep[] = {along, other, NULL};
    hone_access a;
    int64_t v;
    if (!hone_ast_access(&u->ast, element, keep, &a))
        return false;
    hone_poly s = hone_poly_stride(&a.index, along);
    return hone_poly_is_const(&s, &v) && v == 1;
}

static const char *element_type(const rw_unit *u, const hone_node *element)
{
    static const char *const types[] = {"__half", "half", "__nv_bfloat16"};
    hone_access a;
    const char *type = hone_ast_access(&u->ast, element, NULL, &a) ? rw_elem_type(u, a.base) : NULL;
    for (size_t k = 0; type && k < HONE_COUNT(types); k++)
        if (!strcmp(type, types[k]))
            return types[k];
    return NULL;
}

// A factor's neighbours in memory lie along k or along its own axis: chunks are loaded that way.
static bool factor_of(const rw_unit *u, const rw_product *p, const hone_node *e, const char *axis, factor *f, const char **type)
{
    *f = (factor){.element = converted_element(e)};
    *type = f->element ? element_type(u, f->element) : NULL;
    if (!*type)
        return false;
    f->along_axis = !unit_stride(u, f->element, p->loop.var, axis);
    return !f->along_axis || unit_stride(u, f->element, axis, p->loop.var);
}

static bool tensor_of(const rw_unit *u, const rw_product *p, tensor *x)
{
    const char *other;
    *x = (tensor){.u = u, .p = p};
    return !strcmp(p->type, "float") && factor_of(u, p, p->a.e, p->s.axis[p->row].name, &x->a, &x->type) &&
           factor_of(u, p, p->b.e, p->s.axis[p->col].name, &x->b, &other) && !strcmp(x->type, other);
}

// ---- text
static const char *shared_tile(rw *r, const tensor *x, bool is_a)
{
    const tensor_names *t = &x->t;
    const char *tile = is_a ? t->n.as : t->n.bs, *size = is_a ? t->n.bm : t->n.bn;
    return (is_a ? &x->a : &x->b)->along_axis ? rw_text(r, "%s[%s][%s + 8]", tile, t->n.bk, size) : rw_text(r, "%s[%s][%s + 8]", tile, size, t->n.bk);
}

// One operand's tile in chunks of eight neighbours, zero outside. What a chunk reads is within the operand: its first element is, and where it is read
// as a whole its last one too.
static const char *stage(rw *r, const tensor *x, bool is_a)
{
    const rw_product *p = x->p;
    const tensor_names *t = &x->t;
    const rw_operand *o = is_a ? &p->a : &p->b;
    const factor *f = is_a ? &x->a : &x->b;
    const space_axis *axis = &p->s.axis[is_a ? p->row : p->col];
    const char *size = is_a ? t->n.bm : t->n.bn, *run = f->along_axis ? size : t->n.bk, *bound = rw_product_bound(x->u, p, &t->n, is_a);
    const char *less = p->loop.inclusive ? "<=" : "<", *chunked = f->along_axis ? axis->name : p->loop.var;
    const char *slow = rw_text(r, "%s / %s", t->n.e, run), *fast = rw_text(r, "%s %% %s", t->n.e, run);
    const char *head = rw_text(r,
                               "        #pragma unroll\n        for (int %s = %s * 8; %s < %s * %s; %s += (%s / %s) * (%s / %s) * 256) {\n"
                               "            const %s %s = %s + %s;\n            const %s %s = %s + %s;\n            __align__(16) %s %s[8] = {};\n",
                               t->n.e, t->n.tid, t->n.e, size, t->n.bk, t->n.e, t->n.bm, t->wm, t->n.bn, t->wn, axis->type, axis->name,
                               is_a ? t->n.row0 : t->n.col0, f->along_axis ? fast : slow, p->loop.type, p->loop.var, t->n.k0,
                               f->along_axis ? slow : fast, x->type, t->value);
    const char *all = rw_text(r, "%s + 7 %s %s", chunked, f->along_axis ? "<" : less, f->along_axis ? axis->extent : bound);
    const char *one = rw_text(r, "%s + %s %s %s", chunked, t->c, f->along_axis ? "<" : less, f->along_axis ? axis->extent : bound);
    const char *load = rw_text(r,
                               "            if (%s < %s && %s %s %s) {\n%s                const %s *%s = &(%s);\n"
                               "                if (%s && (size_t)%s %% 16 == 0)\n                    *(uint4 *)%s = *(const uint4 *)%s;\n"
                               "                else\n                    #pragma unroll\n                    for (int %s = 0; %s < 8; %s++)\n"
                               "                        if (%s)\n                            %s[%s] = %s[%s];\n            }\n",
                               axis->name, axis->extent, p->loop.var, less, bound, rw_statements(r, x->u, o->slice, o->n_slice, "                "),
                               x->type, t->from, hone_node_text(&x->u->ast, f->element), all, t->from, t->value, t->from, t->c, t->c, t->c, one,
                               t->value, t->c, t->from, t->c);
    return rw_text(r, "%s%s            *(uint4 *)&%s[%s][%s] = *(const uint4 *)%s;\n        }\n", head, load, is_a ? t->n.as : t->n.bs, slow, fast, t->value);
}

// Loads this warp's fragments of one operand for the depth kk.
static const char *load_fragments(rw *r, const tensor *x, bool is_a)
{
    const tensor_names *t = &x->t;
    const factor *f = is_a ? &x->a : &x->b;
    const char *v = is_a ? t->i : t->j, *frag = is_a ? t->fa : t->fb, *per_warp = is_a ? t->wm : t->wn, *tile = is_a ? t->n.as : t->n.bs;
    const char *outer = rw_text(r, "%s + %s * 16", is_a ? t->wrow : t->wcol, v);
    const char *place = f->along_axis ? rw_text(r, "%s[%s][%s]", tile, t->kk, outer) : rw_text(r, "%s[%s][%s]", tile, outer, t->kk);
    const char *pitch = rw_text(r, "%s + 8", f->along_axis ? (is_a ? t->n.bm : t->n.bn) : t->n.bk);
    return rw_text(r,
                   "            nvcuda::wmma::fragment<nvcuda::wmma::matrix_%s, 16, 16, 16, %s, nvcuda::wmma::%s> %s[%s / 16];\n"
                   "            #pragma unroll\n            for (int %s = 0; %s < %s / 16; %s++)\n"
                   "                nvcuda::wmma::load_matrix_sync(%s[%s], &%s, %s);\n",
                   is_a ? "a" : "b", x->type, is_a == f->along_axis ? "col_major" : "row_major", frag, per_warp, v, v, per_warp, v, frag, v, place, pitch);
}

static const char *each_fragment(rw *r, const tensor_names *t, const char *in)
{
    return rw_text(r, "%s#pragma unroll\n%sfor (int %s = 0; %s < %s / 16; %s++)\n%s    #pragma unroll\n%s    for (int %s = 0; %s < %s / 16; %s++)", in, in,
                   t->i, t->i, t->wm, t->i, in, in, t->j, t->j, t->wn, t->j);
}

static const char *multiply(rw *r, const tensor *x)
{
    const tensor_names *t = &x->t;
    return rw_text(r,
                   "        #pragma unroll\n        for (int %s = 0; %s < %s; %s += 16) {\n%s%s%s\n"
                   "                    nvcuda::wmma::mma_sync(%s[%s][%s], %s[%s], %s[%s], %s[%s][%s]);\n        }\n",
                   t->kk, t->kk, t->n.bk, t->kk, load_fragments(r, x, true), load_fragments(r, x, false), each_fragment(r, t, "            "), t->sum, t->i,
                   t->j, t->fa, t->i, t->fb, t->j, t->sum, t->i, t->j);
}

static const char *head_text(rw *r, const tensor *x, const char **launch_z)
{
    const tensor_names *t = &x->t;
    const char *s = rw_text(r,
                            "{\n    // %s x %s outputs per block, %s x %s per warp on tensor cores; operands staged %s deep in shared memory\n"
                            "    __shared__ __align__(32) %s %s, %s;\n    __shared__ __align__(32) float %s[(%s / %s) * (%s / %s)][16][16];\n%s"
                            "    const int %s = threadIdx.x, %s = %s / 32;\n",
                            t->n.bm, t->n.bn, t->wm, t->wn, t->n.bk, x->type, shared_tile(r, x, true), shared_tile(r, x, false), t->patch, t->n.bm, t->wm,
                            t->n.bn, t->wn, rw_product_batch(r, x->p, launch_z), t->n.tid, t->warp, t->n.tid);
    return rw_text(r,
                   "%s    const int %s = %s / (%s / %s) * %s, %s = %s %% (%s / %s) * %s;\n    const int %s = blockIdx.y * %s, %s = blockIdx.x * %s;\n"
                   "    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> %s[%s / 16][%s / 16];\n%s\n"
                   "            nvcuda::wmma::fill_fragment(%s[%s][%s], 0.0f);\n%s",
                   s, t->wrow, t->warp, t->n.bn, t->wn, t->wm, t->wcol, t->warp, t->n.bn, t->wn, t->wn, t->n.row0, t->n.bm, t->n.col0, t->n.bn, t->sum,
                   t->wm, t->wn, each_fragment(r, t, "    "), t->sum, t->i, t->j, rw_product_limit(r, x->u, x->p, &t->n));
}

// A fragment's layout is the compiler's secret: each goes through 16 x 16 floats of shared memory to the lanes that own its outputs.
static const char *tail_text(rw *r, const tensor *x)
{
    const rw_product *p = x->p;
    const tensor_names *t = &x->t;
    const space_axis *row = &p->s.axis[p->row], *col = &p->s.axis[p->col];
    const char *sum = rw_text(r, "%s[%s][%s / 16][%s %% 16]", t->patch, t->warp, t->n.e, t->n.e);
    return rw_text(r,
                   "%s {\n            nvcuda::wmma::store_matrix_sync(&%s[%s][0][0], %s[%s][%s], 16, nvcuda::wmma::mem_row_major);\n            __syncwarp();\n"
                   "            for (int %s = %s %% 32; %s < 256; %s += 32) {\n"
                   "                const %s %s = %s + %s + %s * 16 + %s / 16;\n                const %s %s = %s + %s + %s * 16 + %s %% 16;\n"
                   "                if (%s >= %s || %s >= %s)\n                    continue;\n%s            }\n            __syncwarp();\n        }\n}",
                   each_fragment(r, t, "    "), t->patch, t->warp, t->sum, t->i, t->j, t->n.e, t->n.tid, t->n.e, t->n.e, row->type, row->name, t->n.row0,
                   t->wrow, t->i, t->n.e, col->type, col->name, t->n.col0, t->wcol, t->j, t->n.e, row->name, row->extent, col->name, col->extent,
                   rw_product_epilogue(r, x->u, p, sum));
}

static const char *kernel_text(rw *r, const tensor *x, const char **launch_z)
{
    const rw_product *p = x->p;
    const tensor_names *t = &x->t;
    const char *head = head_text(r, x, launch_z);
    return rw_text(r, "%s    for (%s %s = 0; %s %s %s; %s += %s) {\n%s%s        __syncthreads();\n%s        __syncthreads();\n    }\n%s", head, p->loop.type,
                   t->n.k0, t->n.k0, p->loop.inclusive ? "<=" : "<", t->n.limit, t->n.k0, t->n.bk, stage(r, x, true), stage(r, x, false), multiply(r, x),
                   tail_text(r, x));
}

static tensor_names names_for(rw *r, const rw_unit *u)
{
    rw_product_names n = rw_product_names_for(r, u);
    return (tensor_names){.n = n,
                          .wm = rw_fresh(r, "WM"),
                          .wn = rw_fresh(r, "WN"),
                          .warp = rw_local(r, u, "warp"),
                          .wrow = rw_local(r, u, "warp_row"),
                          .wcol = rw_local(r, u, "warp_col"),
                          .sum = rw_local(r, u, "sum"),
                          .patch = rw_local(r, u, "patch"),
                          .kk = rw_local(r, u, "kk"),
                          .fa = rw_local(r, u, "a_frag"),
                          .fb = rw_local(r, u, "b_frag"),
                          .i = rw_local(r, u, "i"),
                          .j = rw_local(r, u, "j"),
                          .value = rw_local(r, u, "value"),
                          .from = rw_local(r, u, "from"),
                          .c = rw_local(r, u, "c")};
}

static void emit(rw *r, tensor *x, const int64_t shape[5])
{
    const char *launch_z;
    tensor_names *t = &x->t;
    *t = names_for(r, x->u);
    const char *const names[5] = {t->n.bm, t->n.bn, t->n.bk, t->wm, t->wn};
    const char *threads = rw_text(r, "(%s/%s)*(%s/%s)*32", t->n.bm, t->wm, t->n.bn, t->wn);
    rw_replace_node(r, x->u, x->u->ast.body, kernel_text(r, x, &launch_z));
    rw_add_before_kernel(r, x->u, "#include <mma.h>", "#include <mma.h>\n");
    const char *lines = rw_text(r,
                                "#pragma hone tune %s={128,64}\n#pragma hone tune %s={128,64}\n#pragma hone tune %s={32,64,16}\n"
                                "#pragma hone tune %s={64,32}\n#pragma hone tune %s={64,32}\n#pragma hone where %s <= 1024\n",
                                t->n.bm, t->n.bn, t->n.bk, t->wm, t->wn, threads);
    rw_product_emit(r, x->u, x->p, &t->n, threads, launch_z, lines, names, shape, 5,
                    rw_text(r, "%s by %lldx%lld tiles on tensor cores, %lldx%lld per warp", x->u->kernel->name, (long long)shape[0], (long long)shape[1],
                            (long long)shape[3], (long long)shape[4]));
}

void rw_move_tensor_tile(rw *r)
{
    static const int64_t shapes[][5] = {{128, 128, 32, 64, 32}, {128, 128, 64, 64, 64}, {128, 64, 32, 32, 32}, {64, 64, 64, 32, 32}};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_product *p = hone_arena_alloc(r->arena, sizeof *p);
        tensor x;
        if (!p || !rw_product_of(r, u, p) || !tensor_of(u, p, &x))
            continue;
        for (size_t v = 0; v < HONE_COUNT(shapes) && !rw_full(r); v++)
            emit(r, &x, shapes[v]);
    }
}
