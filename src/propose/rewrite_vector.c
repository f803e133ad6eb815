// propose/rewrite_vector: wide memory accesses: whole vectors per thread in elementwise kernels, and neighbouring scalar loads packed.
// Alignment rests on hone's buffers being at least 256-byte aligned and on index polynomials that are multiples of the width.
#include "propose/rewrite_vector.h"
#include <string.h>

static bool conditional(const rw_unit *u, const hone_node *n, const rw_frame *f)
{
    for (const hone_node *p = n; p && p != u->ast.body && p != f->guard; p = p->parent)
        if (p->kind == HONE_N_IF || p->kind == HONE_N_FOR || p->kind == HONE_N_COND || p->kind == HONE_N_WHILE || p->kind == HONE_N_DO)
            return true;
    return false;
}

static bool add_access(rw *r, const rw_unit *u, const rw_frame *f, lanes *l, const hone_access *a)
{
    size_t k = 0;
    while (k < l->n && strcmp(l->b[k].name, a->base) != 0)
        k++;
    if (k == l->n) {
        const char *type = rw_elem_type(u, a->base);
        if (l->n == MAX_LANES_BUFFERS || !rw_elem_bytes(type))
            return false;
        l->b[l->n++] = (lanes_buffer){
            .name = a->base, .type = type, .bytes = rw_elem_bytes(type), .local = rw_local(r, u, rw_text(r, "%s_v", a->base))};
    }
    l->b[k].read = l->b[k].read || a->read;
    l->b[k].written = l->b[k].written || a->written;
    l->b[k].conditional = l->b[k].conditional || (a->written && conditional(u, a->node, f));
    if (l->n_s == HONE_COUNT(l->s))
        return false;
    l->s[l->n_s++] = (rw_subst){.node = a->node, .text = rw_text(r, "%s.v[u]", l->b[k].local)};
    return true;
}

// Every store is to buffer[i]; loads from written buffers too. Other loads may be anything.
bool rw_lanes_of(rw *r, const rw_unit *u, const rw_frame *f, lanes *l, bool atomics)
{
    const char *keep[] = {f->axis[0].name, NULL};
    for (size_t s = 0; s < f->n_inner; s++) {
        if ((!atomics && !rw_writes_match(u, f->inner[s])) || rw_has_kind(&u->ast, f->inner[s], HONE_N_RETURN))
            return false;
        HONE_EACH_NODE(&u->ast, f->inner[s], n) {
            hone_access a;
            if (n->kind != HONE_N_INDEX)
                continue;
            if (!hone_ast_access(&u->ast, n, keep, &a) || !a.is_param)
                return false;
            bool own = a.index.n == 1 && a.index.v[0].coef == 1 && a.index.v[0].n == 1 && !strcmp(a.index.v[0].atom[0], keep[0]);
            if (atomics && !own && a.written)
                continue;   // the caller has looked at it
            if (own ? !add_access(r, u, f, l, &a) : rw_param_written(u, a.base))
                return false;
        }
    }
    return l->n > 0;
}

const char *rw_vector_key = "struct alignas(sizeof(T) * N) hone_vec";
const char *rw_vector_helper = "// N neighbouring elements, loaded and stored by one access\n"
                               "template <typename T, int N> struct alignas(sizeof(T) * N) hone_vec { T v[N]; };\n\n";

static const char *vector_body(rw *r, const rw_unit *u, const rw_frame *f, const lanes *l, unsigned width)
{
    const rw_axis *x = &f->axis[0];
    const char *first = rw_local(r, u, rw_text(r, "%s0", x->name)), *load = "", *store = "",
               *in = rw_indent(r, hone_node_at(&u->ast, x->decl));
    for (size_t k = 0; k < l->n; k++) {
        const lanes_buffer *b = &l->b[k];
        const char *type = rw_text(r, "hone_vec<%s, %u>", b->type, width);
        if (b->read || b->conditional)
            load = rw_text(r, "%s%s    %s%s %s = *reinterpret_cast<const %s*>(%s + %s);\n", load, in, b->written ? "" : "const ", type,
                           b->local, type, b->name, first);
        else
            load = rw_text(r, "%s%s    %s %s;\n", load, in, type, b->local);
        if (b->written)
            store = rw_text(r, "%s%s    *reinterpret_cast<%s*>(%s + %s) = %s;\n", store, in, type, b->name, first, b->local);
    }
    const char *wide = rw_render_range(r, u, (const hone_node *const *)f->inner, f->n_inner, l->s, l->n_s, rw_text(r, "%s        ", in));
    const char *plain = rw_render_range(r, u, (const hone_node *const *)f->inner, f->n_inner, NULL, 0, rw_text(r, "%s        ", in));
    const char *bound = hone_node_text(&u->ast, x->bound), *index = hone_node_text(&u->ast, x->decl->kid[0]->kid[0]);
    return rw_text(r,
                   "const %s %s = (%s) * %u;   // %u neighbouring elements per thread\n"
                   "%sif (%s + %u <= %s) {\n%s"
                   "%s    #pragma unroll\n"
                   "%s    for (int u = 0; u < %u; u++) {\n%s        const %s %s = %s + u;\n%s        (void)%s;\n%s        %s\n%s    }\n%s"
                   "%s} else {\n%s    for (%s %s = %s; %s < %s; %s++) {\n%s        %s\n%s    }\n%s}",
                   x->type, first, index, width, width, in, first, width, bound, load, in, in, width, in, x->type, x->name, first, in,
                   x->name, in, wide, in, store, in, in, x->type, x->name, first, x->name, bound, x->name, in, plain, in, in);
}

static void emit_vector(rw *r, const rw_unit *u, const rw_frame *f, const lanes *l, unsigned width)
{
    const rw_axis *x = &f->axis[0];
    size_t end = f->early ? hone_node_end(&u->ast, f->inner[f->n_inner - 1]) : hone_node_end(&u->ast, f->guard);
    rw_grid g = rw_grid_of(r, u);
    const char *reach = rw_reach(r, g.grid[0], g.block[0]);
    const char *per_block = rw_times(r, g.block[0], width);
    rw_replace(r, hone_node_at(&u->ast, x->decl), end, vector_body(r, u, f, l, width));
    rw_add_before_kernel(r, u, rw_vector_key, rw_vector_helper);
    g.grid[0] = rw_text(r, "cdiv(%s, %s)", reach, per_block);
    rw_set_launch(r, u, &g);
    rw_emit(r, NULL, 0, rw_text(r, "%u elements per thread by vector accesses in %s", width, u->kernel->name));
}

void rw_move_vector_load(rw *r)
{
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        rw_frame f;
        lanes l = {0};
        if (!rw_frame_of(u, &f) || f.n_axes != 1 || !f.axis[0].found || !f.n_inner || !u->distinct_buffers)
            continue;
        if (hone_ast_local(&u->ast, "u").var || hone_ast_is_param(&u->ast, "u", NULL) || !rw_lanes_of(r, u, &f, &l, false))
            continue;
        unsigned widest = 1;
        for (size_t b = 0; b < l.n; b++)
            widest = l.b[b].bytes > widest ? l.b[b].bytes : widest;
        for (unsigned width = 16 / widest; width >= 2 && !rw_full(r); width /= 2)
            emit_vector(r, u, &f, &l, width);
    }
}

// ---- packing
typedef struct pack {
    const char *base;
    hone_poly core;
    const hone_node *member[16];
    unsigned lane[16];
    size_t n;
    unsigned seen;
} pack;

static bool split_constant(const hone_poly *p, unsigned width, hone_poly *core, unsigned *lane)
{
    int64_t c = 0;
    *core = *p;
    core->n = 0;
    for (size_t k = 0; k < p->n; k++) {
        if (p->v[k].n == 0)
            c = p->v[k].coef;
        else if (p->v[k].coef % (int64_t)width != 0)
            return false;
        else
            core->v[core->n++] = p->v[k];
    }
    *lane = (unsigned)c;
    return p->ok && c >= 0 && c < (int64_t)width;
}

static const hone_node *common_block(const pack *p)
{
    for (const hone_node *b = p->member[0]->parent; b; b = b->parent) {
        bool all = b->kind == HONE_N_BLOCK;
        for (size_t k = 0; all && k < p->n; k++)
            all = hone_node_inside(p->member[k], b);
        if (all)
            return b;
    }
    return NULL;
}

// The names in the index keep their values from `stmt` to the block's end, and are known before `stmt`.
static bool stable_index(const rw_unit *u, const hone_node *index, const hone_node *block, const hone_node *stmt)
{
    HONE_EACH_NODE(&u->ast, index, n) {
        if (n->kind == HONE_N_INDEX || n->kind == HONE_N_CALL)
            return false;
        if (n->kind != HONE_N_IDENT)
            continue;
        hone_local l = hone_ast_local(&u->ast, n->name);
        bool late = l.var && hone_node_inside(l.var, block) && l.var->index >= stmt->index;
        if (late || l.declared > 1 || hone_ast_writes(&u->ast, block, n->name))
            return false;
    }
    return true;
}

static const char *vector_type(const char *elem, unsigned width)
{
    static const struct {
        const char *elem;
        unsigned width;
        const char *vec;
    } t[] = {
        {"float", 4, "float4"},       {"float", 2, "float2"},       {"int", 4, "int4"},       {"int", 2, "int2"},
        {"unsigned int", 4, "uint4"}, {"unsigned int", 2, "uint2"}, {"double", 2, "double2"},
    };
    for (size_t k = 0; elem && k < HONE_COUNT(t); k++)
        if (t[k].width == width && !strcmp(t[k].elem, elem))
            return t[k].vec;
    return NULL;
}

static void pack_edits(rw *r, const rw_unit *u, const pack *p, const char *vec, unsigned *count)
{
    static const char member[] = "xyzw";
    const hone_node *block = common_block(p), *zero = NULL, *first = p->member[0];
    for (size_t k = 0; k < p->n; k++) {
        zero = p->lane[k] == 0 ? p->member[k] : zero;
        first = p->member[k]->index < first->index ? p->member[k] : first;
    }
    const hone_node *stmt = block ? hone_node_stmt_in(first, block) : NULL;
    if (!zero || !stmt || !stable_index(u, zero->kid[1], block, stmt) || stmt->kind == HONE_N_PRAGMA)
        return;
    if (stmt->first > 0 && u->ast.t->v[stmt->first - 1].kind == HONE_TOK_DIRECTIVE)
        return;   // nothing may come between a pragma and its loop
    const char *name = rw_local(r, u, rw_text(r, "%s_v", p->base));
    size_t at = hone_node_at(&u->ast, stmt);
    rw_insert(r, at,
              rw_text(r, "const %s %s = *reinterpret_cast<const %s*>(&%s);\n%s", vec, name, vec, hone_node_text(&u->ast, zero),
                      rw_indent(r, at)));
    for (size_t k = 0; k < p->n; k++)
        rw_replace_node(r, u, p->member[k], rw_text(r, "%s.%c", name, member[p->lane[k]]));
    *count += (unsigned)p->n;
}

static size_t collect_packs(const rw_unit *u, unsigned width, pack *packs, size_t max)
{
    size_t n_packs = 0;
    for (size_t i = 0; i < u->ast.n; i++) {
        const hone_node *n = u->ast.all[i];
        hone_access a;
        hone_poly core;
        unsigned lane;
        bool read = n->kind == HONE_N_INDEX && hone_ast_access(&u->ast, n, NULL, &a) && a.is_param && a.read && !a.written;
        if (!read || !vector_type(rw_elem_type(u, a.base), width) || !split_constant(&a.index, width, &core, &lane) || core.n == 0 ||
            rw_param_written(u, a.base))
            continue;
        if (n->parent->kind == HONE_N_UNARY && n->parent->op[0] == '&')
            continue;
        size_t k = 0;
        while (k < n_packs && (strcmp(packs[k].base, a.base) != 0 || !hone_poly_equal(&packs[k].core, &core)))
            k++;
        if (k == n_packs && n_packs == max)
            continue;
        if (k == n_packs)
            packs[n_packs++] = (pack){.base = a.base, .core = core};
        if (packs[k].n == HONE_COUNT(packs[k].member))
            continue;
        packs[k].member[packs[k].n] = n;
        packs[k].lane[packs[k].n++] = lane;
        packs[k].seen |= 1u << lane;
    }
    return n_packs;
}

void rw_move_pack_loads(rw *r)
{
    unsigned count = 0;
    pack *packs = hone_arena_array(r->arena, 16, sizeof *packs);
    for (size_t k = 0; packs && k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        unsigned in_unit = 0;
        for (unsigned width = 4; width >= 2 && u->distinct_buffers && !in_unit; width /= 2) {
            size_t n = collect_packs(u, width, packs, 16);
            for (size_t i = 0; i < n; i++) {
                const char *vec = vector_type(rw_elem_type(u, packs[i].base), width);
                if (packs[i].seen == (1u << width) - 1)
                    pack_edits(r, u, &packs[i], vec, &in_unit);
            }
        }
        count += in_unit;
    }
    if (count)
        rw_emit(r, NULL, 0, rw_text(r, "%u scalar loads become vector loads", count));
    else
        rw_drop_edits(r);
}
