// propose/rewrite_row: kernels in which one thread walks a whole row. The row goes to a warp or a block: every loop whose iterations are
// independent but for sums and extrema is dealt out over the lanes, partial results are combined by shuffles, and what is stored outside
// loops is stored once. Loads become coalesced, since neighbouring lanes read neighbouring elements. Prefix sums are in rewrite_scan.c.
#include "propose/rewrite_row.h"
#include <string.h>

const char *rw_warp_key = "T hone_warp_sum(T v)";
const char *rw_warp_helpers =
    "// reductions over the 32 lanes of a warp; every lane gets the result\n"
    "template <typename T> __device__ __forceinline__ T hone_warp_sum(T v)\n{\n"
    "    for (int step = 16; step > 0; step /= 2)\n        v += __shfl_xor_sync(0xffffffffu, v, step);\n    return v;\n}\n"
    "template <typename T> __device__ __forceinline__ T hone_warp_max(T v)\n{\n"
    "    for (int step = 16; step > 0; step /= 2) {\n        const T other = __shfl_xor_sync(0xffffffffu, v, step);\n        v = other > v "
    "? other : v;\n    }\n    return v;\n}\n"
    "template <typename T> __device__ __forceinline__ T hone_warp_min(T v)\n{\n"
    "    for (int step = 16; step > 0; step /= 2) {\n        const T other = __shfl_xor_sync(0xffffffffu, v, step);\n        v = other < v "
    "? other : v;\n    }\n    return v;\n}\n\n";
const char *rw_block_key = "T hone_block_sum(T v)";
const char *rw_block_helpers =
    "// reductions over all threads of a one-dimensional block (a multiple of 32 threads); every thread gets the result\n"
    "template <typename T> __device__ __forceinline__ T hone_block_gather(T v, T fill)\n{\n"
    "    __shared__ T part[32];\n"
    "    __syncthreads();   // earlier results have been read\n"
    "    if (threadIdx.x % 32 == 0)\n        part[threadIdx.x / 32] = v;\n"
    "    __syncthreads();\n"
    "    return threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : fill;\n}\n"
    "template <typename T> __device__ __forceinline__ T hone_block_sum(T v)\n{\n"
    "    return hone_warp_sum(hone_block_gather(hone_warp_sum(v), T(0)));\n}\n"
    "template <typename T> __device__ __forceinline__ T hone_block_max(T v)\n{\n"
    "    v = hone_warp_max(v);\n    return hone_warp_max(hone_block_gather(v, v));\n}\n"
    "template <typename T> __device__ __forceinline__ T hone_block_min(T v)\n{\n"
    "    v = hone_warp_min(v);\n    return hone_warp_min(hone_block_gather(v, v));\n}\n\n";

// ---- what a loop does to variables of the row
static const char *max_or_min(const char *callee)
{
    static const char *const names[][2] = {{"fmaxf", "max"}, {"fmax", "max"}, {"max", "max"},
                                           {"fminf", "min"}, {"fmin", "min"}, {"min", "min"}};
    for (size_t k = 0; k < HONE_COUNT(names); k++)
        if (!strcmp(callee, names[k][0]))
            return names[k][1];
    return NULL;
}

// acc = max(acc, e)
static const char *call_update(const hone_ast *ast, const hone_node *rhs, const char *acc)
{
    rhs = hone_node_strip(rhs);
    const char *kind = rhs->kind == HONE_N_CALL && rhs->n_kids == 3 ? max_or_min(rhs->name) : NULL;
    if (!kind)
        return NULL;
    bool first = hone_node_is(hone_node_strip(rhs->kid[1]), HONE_N_IDENT, acc),
         second = hone_node_is(hone_node_strip(rhs->kid[2]), HONE_N_IDENT, acc);
    const hone_node *other = first ? rhs->kid[2] : rhs->kid[1];
    return first != second && !hone_node_mentions(ast, other, acc) ? kind : NULL;
}

// if (e > acc) acc = e;  (either side, < and > and their or-equal forms)
static const char *if_update(const hone_ast *ast, const hone_node *assign, const char *acc, const hone_node **whole)
{
    const hone_node *stmt = assign->parent, *p = stmt ? stmt->parent : NULL;
    if (p && p->kind == HONE_N_BLOCK && p->n_kids == 1)
        p = p->parent;
    if (!p || p->kind != HONE_N_IF || p->kid[2])
        return NULL;
    const hone_node *cond = hone_node_strip(p->kid[0]);
    if (cond->kind != HONE_N_BINARY || (cond->op[0] != '<' && cond->op[0] != '>') || (cond->op[1] && cond->op[1] != '='))
        return NULL;
    bool right = hone_node_is(hone_node_strip(cond->kid[1]), HONE_N_IDENT, acc),
         left = hone_node_is(hone_node_strip(cond->kid[0]), HONE_N_IDENT, acc);
    const hone_node *value = right ? cond->kid[0] : cond->kid[1];
    if (right == left || hone_node_mentions(ast, value, acc) ||
        !hone_node_same(ast, hone_node_strip(value), hone_node_strip(assign->kid[1])))
        return NULL;
    *whole = p;
    return (cond->op[0] == '>') == right ? "max" : "min";
}

// The update of an outer scalar by this assignment: "sum", "max", "min"; NULL when it is none of them. *whole: the statement or if that
// holds it.
static const char *update_kind(const hone_ast *ast, const hone_node *assign, const char *acc, const hone_node **whole)
{
    *whole = assign;
    if (!strcmp(assign->op, "+="))
        return hone_node_mentions(ast, assign->kid[1], acc) ? NULL : "sum";
    if (strcmp(assign->op, "=") != 0)
        return NULL;
    const hone_node *rhs = hone_node_strip(assign->kid[1]);
    if (rhs->kind == HONE_N_BINARY && !strcmp(rhs->op, "+")) {
        bool first = hone_node_is(hone_node_strip(rhs->kid[0]), HONE_N_IDENT, acc);
        return first && !hone_node_mentions(ast, rhs->kid[1], acc) ? "sum" : NULL;
    }
    const char *kind = call_update(ast, rhs, acc);
    return kind ? kind : if_update(ast, assign, acc, whole);
}

static bool add_acc(row_loop *l, const char *name, const char *kind, const hone_node *whole)
{
    for (size_t k = 0; k < l->n_acc; k++) {
        if (strcmp(l->acc[k].name, name) != 0)
            continue;
        if (strcmp(l->acc[k].kind, kind) != 0 || l->acc[k].n_updates == HONE_COUNT(l->acc[k].update))
            return false;
        l->acc[k].update[l->acc[k].n_updates++] = whole;
        return true;
    }
    if (l->n_acc == HONE_COUNT(l->acc))
        return false;
    l->acc[l->n_acc++] = (row_acc){.name = name, .kind = kind, .update = {whole}, .n_updates = 1};
    return true;
}

// An accumulator must occur in its updates only.
static bool acc_used_otherwise(const rw_unit *u, const row_loop *l, const row_acc *acc)
{
    HONE_EACH_NODE(&u->ast, l->loop.body, n) {
        bool inside = false;
        if (!hone_node_is(n, HONE_N_IDENT, acc->name))
            continue;
        for (size_t k = 0; k < acc->n_updates; k++)
            inside = inside || hone_node_inside(n, acc->update[k]);
        if (!inside)
            return true;
    }
    return false;
}

static bool pure_call(const hone_node *n)
{
    return strncmp(n->name, "atomic", 6) != 0 && !strstr(n->name, "sync") && !strstr(n->name, "__shfl") && !strstr(n->name, "fence") &&
           strcmp(n->name, "printf") != 0;
}

static bool row_write(rw *r, const rw_unit *u, row_loop *l, const hone_node *assign, const hone_node *target)
{
    if (target->kind == HONE_N_INDEX)
        return true;   // judged with all other accesses of the buffer
    if (target->kind == HONE_N_MEMBER)
        target = hone_node_strip(target->kid[0]);
    if (target->kind != HONE_N_IDENT)
        return false;
    hone_local v = hone_ast_local(&u->ast, target->name);
    if (v.var && v.declared == 1 && hone_node_inside(v.var, l->loop.body))
        return true;
    if (assign->kind == HONE_N_POSTFIX || assign->kind == HONE_N_UNARY) {   // an inner loop's own variable
        HONE_EACH_NODE(&u->ast, l->loop.body, n)
            if (n->kind == HONE_N_VAR && !strcmp(n->name, target->name) && n->parent->parent && n->parent->parent->kind == HONE_N_FOR)
                return true;
        return false;
    }
    const hone_node *whole;
    const char *kind = v.var && v.declared == 1 ? update_kind(&u->ast, assign, target->name, &whole) : NULL;
    return kind && rw_scalar_type(r, &u->ast, target->name) && add_acc(l, target->name, kind, whole);
}

bool row_loop_of(rw *r, const rw_unit *u, const hone_node *stmt, row_loop *l)
{
    *l = (row_loop){0};
    if (!hone_ast_loop(&u->ast, stmt, &l->loop) || l->loop.step != 1)
        return false;
    HONE_EACH_NODE(&u->ast, l->loop.body, n) {
        if (n->kind == HONE_N_RETURN || n->kind == HONE_N_BREAK || n->kind == HONE_N_WHILE || n->kind == HONE_N_DO ||
            n->kind == HONE_N_OPAQUE || n->kind == HONE_N_PRAGMA)
            return false;
        if (n->kind == HONE_N_CALL && !pure_call(n))
            return false;
        if (n->kind == HONE_N_UNARY && (n->op[0] == '*' || !strcmp(n->op, "&")))
            return false;
        bool step = n->kind == HONE_N_POSTFIX || (n->kind == HONE_N_UNARY && (!strcmp(n->op, "++") || !strcmp(n->op, "--")));
        if ((n->kind == HONE_N_ASSIGN || step) && !row_write(r, u, l, n, hone_node_strip(n->kid[0])))
            return false;
    }
    for (size_t k = 0; k < l->n_acc; k++)
        if (acc_used_otherwise(u, l, &l->acc[k]))
            return false;
    return true;
}

// ---- a whole row kernel
static const row_loop *loop_around(const row_kernel *k, const hone_node *n)
{
    for (size_t i = 0; i < k->n_loops; i++)
        if (hone_node_inside(n, k->loop[i].loop.body))
            return &k->loop[i];
    return NULL;
}

// The index with the loop's variable renamed to "$", so that accesses of different loops compare.
static hone_poly canonical(const hone_poly *p, const char *var)
{
    hone_poly stride = hone_poly_stride(p, var), out = {.ok = p->ok && stride.ok};
    for (size_t k = 0; k < p->n; k++) {
        out.v[k] = p->v[k];
        for (unsigned a = 0; a < out.v[k].n; a++)
            if (!strcmp(out.v[k].atom[a], var))
                out.v[k].atom[a] = "$";
    }
    out.n = p->n;
    return out;
}

typedef struct written {
    const char *base;
    bool in_loop, outside_write;
    hone_poly index;
} written;

static bool is_written_base(const rw_unit *u, const char *base)
{
    return rw_elem_type(u, base) == NULL || rw_param_written(u, base);
}

// One access of a written buffer: in a dealt loop it must touch the iteration's own element; outside it may only be a store to another
// buffer.
static bool fits(const rw_unit *u, const row_kernel *k, const hone_access *a, written *w, size_t *n, size_t max)
{
    const row_loop *l = loop_around(k, a->node);
    size_t i = 0;
    while (i < *n && strcmp(w[i].base, a->base) != 0)
        i++;
    if (i == *n) {
        if (i == max)
            return false;
        w[(*n)++] = (written){.base = a->base};
    }
    if (!l) {
        w[i].outside_write = true;
        return !a->read;
    }
    int64_t stride = 0;
    hone_poly c = canonical(&a->index, l->loop.var), s = hone_poly_stride(&a->index, l->loop.var);
    bool own = c.ok && s.ok && s.n >= 1 && !(hone_poly_is_const(&s, &stride) && stride == 0) &&
               hone_node_is(hone_node_strip(l->loop.lo), HONE_N_LITERAL, "0");
    HONE_EACH_NODE(&u->ast, l->loop.body, n2)
        if (n2->kind == HONE_N_VAR && hone_poly_has(&a->index, n2->name))
            own = false;   // an inner loop's variable: several elements per iteration
    if (w[i].in_loop && !hone_poly_equal(&w[i].index, &c))
        own = false;
    w[i].in_loop = true;
    w[i].index = c;
    return own;
}

static bool accesses_fit(const rw_unit *u, const row_kernel *k)
{
    written w[8];
    size_t n = 0;
    for (size_t s = 0; s < k->frame.n_inner; s++) {
        HONE_EACH_NODE(&u->ast, k->frame.inner[s], x) {
            hone_access a;
            if (x->kind != HONE_N_INDEX)
                continue;
            if (!hone_ast_access(&u->ast, x, NULL, &a))
                return false;
            if (is_written_base(u, a.base) && !fits(u, k, &a, w, &n, HONE_COUNT(w)))
                return false;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (w[i].in_loop && w[i].outside_write)
            return false;
    return true;
}

// Statements outside dealt loops run on every lane alike: no loops, no atomics there.
static bool scalar_statement_ok(const rw_unit *u, const hone_node *s)
{
    HONE_EACH_NODE(&u->ast, s, n) {
        if (n->kind == HONE_N_FOR || n->kind == HONE_N_WHILE || n->kind == HONE_N_DO || n->kind == HONE_N_PRAGMA ||
            (n->kind == HONE_N_CALL && !pure_call(n)))
            return false;
        if (n->kind == HONE_N_UNARY && n->op[0] == '*')
            return false;
        if (n->kind == HONE_N_DECL && n->is_shared)
            return false;
    }
    return true;
}

bool row_kernel_of(rw *r, const rw_unit *u, row_kernel *k)
{
    *k = (row_kernel){0};
    if (!rw_frame_of(u, &k->frame) || k->frame.n_axes != 1 || !k->frame.axis[0].found || !u->distinct_buffers)
        return false;
    for (size_t s = 0; s < k->frame.n_inner; s++) {
        const hone_node *stmt = k->frame.inner[s];
        if (stmt->kind == HONE_N_FOR) {
            if (k->n_loops == HONE_COUNT(k->loop) || !row_loop_of(r, u, stmt, &k->loop[k->n_loops]))
                return false;
            k->n_loops++;
        } else if (!scalar_statement_ok(u, stmt)) {
            return false;
        }
    }
    return k->n_loops > 0 && accesses_fit(u, k);
}

// ---- edits
static bool starts_at_zero(const rw_unit *u, const row_kernel *k, const row_loop *l, const row_acc *acc)
{
    static const char *const zeros[] = {"0", "0.0f", "0.f", "0.0", "0.", "0u", "0.0F"};
    hone_local v = hone_ast_local(&u->ast, acc->name);
    bool zero = false;
    for (size_t i = 0; i < HONE_COUNT(zeros); i++)
        zero = zero || hone_node_is(hone_node_strip(v.var->kid[0]), HONE_N_LITERAL, zeros[i]);
    for (size_t s = 0; s < k->frame.n_inner && zero; s++)
        if (k->frame.inner[s]->index < l->loop.node->index && hone_ast_writes(&u->ast, k->frame.inner[s], acc->name))
            zero = false;
    return zero;
}

static void deal_loop(rw *r, const rw_unit *u, const row_kernel *k, const row_loop *l, const row_names *names)
{
    const hone_node *n = l->loop.node, *lo = hone_node_strip(l->loop.lo);
    const char *indent = rw_indent(r, hone_node_at(&u->ast, n)), *after = "";
    const char *start = hone_node_is(lo, HONE_N_LITERAL, "0") ? names->lane
                                                              : rw_text(r, "%s + %s", hone_node_text(&u->ast, l->loop.lo), names->lane);
    rw_replace_node(r, u, l->loop.lo, start);
    rw_replace_node(r, u, n->kid[2], rw_text(r, "%s += %s", l->loop.var, names->lanes));
    for (size_t i = 0; i < l->n_acc; i++) {
        const row_acc *acc = &l->acc[i];
        if (!strcmp(acc->kind, "sum") && !starts_at_zero(u, k, l, acc))
            rw_insert(r, hone_node_at(&u->ast, n),
                      rw_text(r, "if (%s != 0)\n%s    %s = 0;   // counted once, by lane 0\n%s", names->lane, indent, acc->name, indent));
        after = rw_text(r, "%s\n%s%s = hone_%s_%s(%s);", after, indent, acc->name, names->scope, acc->kind, acc->name);
    }
    if (after[0])
        rw_insert(r, hone_node_end(&u->ast, n), after);
}

static void guard_stores(rw *r, const rw_unit *u, const hone_node *stmt, const row_names *names)
{
    HONE_EACH_NODE(&u->ast, stmt, n) {
        if (n->kind != HONE_N_EXPR || (n->kid[0]->kind != HONE_N_ASSIGN && n->kid[0]->kind != HONE_N_POSTFIX))
            continue;
        const hone_node *target = hone_node_strip(n->kid[0]->kid[0]);
        if (!rw_has_kind(&u->ast, target, HONE_N_INDEX))
            continue;
        bool plain = n->parent->kind == HONE_N_BLOCK;   // braces keep an else with its if
        rw_insert(r, hone_node_at(&u->ast, n), rw_text(r, "%sif (%s == 0) ", plain ? "" : "{ ", names->lane));
        if (!plain)
            rw_insert(r, hone_node_end(&u->ast, n), " }");
    }
}

void row_edits(rw *r, const rw_unit *u, const row_kernel *k, const row_names *names)
{
    for (size_t s = 0; s < k->frame.n_inner; s++) {
        const hone_node *stmt = k->frame.inner[s];
        const row_loop *l = NULL;
        for (size_t i = 0; i < k->n_loops; i++)
            l = k->loop[i].loop.node == stmt ? &k->loop[i] : l;
        if (l)
            deal_loop(r, u, k, l, names);
        else
            guard_stores(r, u, stmt, names);
    }
}

// "const int lane = …; int row = …;" in place of the index, and the launch to match.
void row_to_warp_frame(rw *r, const rw_unit *u, const rw_frame *f, row_names *names)
{
    const rw_axis *x = &f->axis[0];
    const char *warps = rw_fresh(r, "WARPS"), *indent = rw_indent(r, hone_node_at(&u->ast, x->decl));
    names->lane = rw_local(r, u, "lane");
    names->lanes = "32";
    names->scope = "warp";
    rw_replace_node(
        r, u, x->decl,
        rw_text(r, "const int %s = threadIdx.x %% 32;   // one warp per %s\n%s%s %s = (blockIdx.x * blockDim.x + threadIdx.x) / 32;",
                names->lane, x->name, indent, x->type, x->name));
    rw_grid g = rw_grid_of(r, u);
    g.grid[0] = rw_text(r, "cdiv(%s, %s)", rw_extent(r, u, f, 0), warps);
    g.block[0] = rw_text(r, "%s*32", warps);
    rw_add_lines(r, u, rw_text(r, "#pragma hone tune %s={4,8,2,16,1}\n", warps));
    rw_set_launch(r, u, &g);
}

static void block_frame(rw *r, const rw_unit *u, const rw_frame *f, row_names *names)
{
    const rw_axis *x = &f->axis[0];
    const char *threads = rw_fresh(r, "THREADS"), *indent = rw_indent(r, hone_node_at(&u->ast, x->decl));
    names->lane = rw_local(r, u, "lane");
    names->lanes = "blockDim.x";
    names->scope = "block";
    rw_replace_node(r, u, x->decl,
                    rw_text(r, "const int %s = threadIdx.x;   // one block per %s\n%s%s %s = blockIdx.x;", names->lane, x->name, indent,
                            x->type, x->name));
    rw_grid g = rw_grid_of(r, u);
    g.grid[0] = rw_extent(r, u, f, 0);
    g.block[0] = threads;
    rw_add_lines(r, u, rw_text(r, "#pragma hone tune %s={256,128,512,64,1024}\n", threads));
    rw_set_launch(r, u, &g);
}

static void row_move(rw *r, bool warp)
{
    for (size_t i = 0; i < r->n_units && !rw_full(r); i++) {
        const rw_unit *u = &r->unit[i];
        row_kernel k;
        row_names names;
        if (!row_kernel_of(r, u, &k))
            continue;
        if (warp)
            row_to_warp_frame(r, u, &k.frame, &names);
        else
            block_frame(r, u, &k.frame, &names);
        row_edits(r, u, &k, &names);
        rw_add_before_kernel(r, u, rw_warp_key, rw_warp_helpers);
        if (!warp)
            rw_add_before_kernel(r, u, rw_block_key, rw_block_helpers);
        rw_emit(r, NULL, 0, rw_text(r, "one %s per '%s' in %s", warp ? "warp" : "block", k.frame.axis[0].name, u->kernel->name));
    }
}

void rw_move_row_to_warp(rw *r)
{
    row_move(r, true);
}

void rw_move_row_to_block(rw *r)
{
    row_move(r, false);
}
