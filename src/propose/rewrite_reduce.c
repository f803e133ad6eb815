// propose/rewrite_reduce: block reductions through shared memory become reductions by warp shuffles, and a block's one element per thread
// becomes a grid-stride sum over fewer blocks; what later launches are told about the number of blocks is changed with it.
#include "propose/rewrite_row.h"
#include <string.h>

typedef struct reduction {
    const char *array, *type, *lane;   // shared array; its element type; the local that holds threadIdx.x, or "threadIdx.x"
    const hone_node *decl, *block;   // the array's declaration; the block of statements
    size_t store, tail;   // array[lane] = value; first statement after the tree
    const hone_node *value;
    bool serial;   // no tree: the tail adds array[0…blockDim.x) itself
} reduction;

// Statements with names replaced: S the array, T the lane, K the step, V a value.
static const char *const tree_idioms[] = {
    "for(intK=1;K<blockDim.x;K*=2){if(T%(2*K)==0)S[T]+=S[T+K];__syncthreads();}",
    "for(intK=1;K<blockDim.x;K*=2){if(T%(2*K)==0){S[T]+=S[T+K];}__syncthreads();}",
    "for(unsignedintK=1;K<blockDim.x;K*=2){if(T%(2*K)==0)S[T]+=S[T+K];__syncthreads();}",
    "for(unsignedintK=1;K<blockDim.x;K*=2){if(T%(2*K)==0){S[T]+=S[T+K];}__syncthreads();}",
    "for(intK=blockDim.x/2;K>0;K/=2){if(T<K)S[T]+=S[T+K];__syncthreads();}",
    "for(intK=blockDim.x/2;K>0;K/=2){if(T<K){S[T]+=S[T+K];}__syncthreads();}",
    "for(intK=blockDim.x/2;K>0;K>>=1){if(T<K)S[T]+=S[T+K];__syncthreads();}",
    "for(intK=blockDim.x/2;K>0;K>>=1){if(T<K){S[T]+=S[T+K];}__syncthreads();}",
    "for(unsignedintK=blockDim.x/2;K>0;K>>=1){if(T<K)S[T]+=S[T+K];__syncthreads();}",
    "for(unsignedintK=blockDim.x/2;K>0;K>>=1){if(T<K){S[T]+=S[T+K];}__syncthreads();}",
    "for(unsignedK=blockDim.x/2;K>0;K>>=1){if(T<K)S[T]+=S[T+K];__syncthreads();}",
};
static const char *const serial_idioms[] = {"for(intK=0;K<blockDim.x;K++)V+=S[K];", "for(intK=0;K<blockDim.x;++K)V+=S[K];",
                                            "for(intK=0;K<blockDim.x;K++){V+=S[K];}"};

static bool matches(const rw_unit *u, const hone_node *n, const char *idiom, const char *const names[4])
{
    static const char letters[] = "STKV";
    const char *at = idiom;
    for (size_t i = n->first; i <= n->last; i++) {
        hone_span t = hone_tok_span(u->ast.t, i);
        const char *letter = *at ? strchr(letters, *at) : NULL;
        bool name = false;
        if (letter && names[letter - letters]) {
            const char *want = names[letter - letters];
            if (hone_span_eq(t, want))
                name = true;
            else if (!strcmp(want, "threadIdx.x") && hone_span_eq(t, "threadIdx") && i + 2 <= n->last)
                name = true, i += 2;
        }
        if (name) {
            at++;
        } else {
            if (strncmp(at, t.s, t.n) != 0)
                return false;
            at += t.n;
        }
    }
    return *at == 0;
}

static bool matches_any(const rw_unit *u, const hone_node *n, const char *const *idioms, size_t n_idioms, const char *const names[4])
{
    for (size_t k = 0; k < n_idioms; k++)
        if (matches(u, n, idioms[k], names))
            return true;
    return false;
}

static const char *loop_var(const hone_node *n)
{
    bool decl = n->kind == HONE_N_FOR && n->kid[0] && n->kid[0]->kind == HONE_N_DECL;
    return decl ? n->kid[0]->kid[0]->name : NULL;
}

static bool is_barrier(const hone_node *n)
{
    return n->kind == HONE_N_EXPR && hone_node_is(n->kid[0], HONE_N_CALL, "__syncthreads");
}

// array[lane] = value with a shared array of one extent and lane = threadIdx.x
static bool reduction_store(rw *r, const rw_unit *u, const hone_node *s, reduction *d)
{
    if (s->kind != HONE_N_EXPR || !hone_node_is(s->kid[0], HONE_N_ASSIGN, "="))
        return false;
    const hone_node *target = hone_node_strip(s->kid[0]->kid[0]);
    if (target->kind != HONE_N_INDEX || target->kid[0]->kind != HONE_N_IDENT)
        return false;
    hone_local l = hone_ast_local(&u->ast, target->kid[0]->name);
    hone_poly p = hone_poly_of(&u->ast, target->kid[1], NULL);
    bool lane = p.ok && p.n == 1 && p.v[0].coef == 1 && p.v[0].n == 1 && !strcmp(p.v[0].atom[0], "threadIdx.x");
    if (!l.var || !l.decl->is_shared || l.var->n_kids != 2 || l.decl->n_kids != 1 || !lane)
        return false;
    const char *type = l.decl->name;
    while (!strncmp(type, "__shared__ ", 11) || !strncmp(type, "static ", 7))
        type = strchr(type, ' ') + 1;
    d->array = l.var->name;
    d->decl = l.decl;
    d->type = type;
    d->lane = hone_node_text(&u->ast, target->kid[1]);
    d->value = s->kid[0]->kid[1];
    (void)r;
    return rw_elem_bytes(type) > 0;
}

// The serial loop inside the tail: array added up by one thread.
static const hone_node *serial_loop(const rw_unit *u, const reduction *d)
{
    for (size_t k = d->tail; k < d->block->n_kids; k++) {
        HONE_EACH_NODE(&u->ast, d->block->kid[k], n) {
            const hone_node *body = n->kind == HONE_N_FOR ? n->kid[3] : NULL;
            if (body && body->kind == HONE_N_BLOCK && body->n_kids == 1)
                body = body->kid[0];
            if (!body || body->kind != HONE_N_EXPR || !hone_node_is(body->kid[0], HONE_N_ASSIGN, "+=") ||
                body->kid[0]->kid[0]->kind != HONE_N_IDENT)
                continue;
            const char *names[4] = {d->array, d->lane, loop_var(n), body->kid[0]->kid[0]->name};
            if (names[2] && matches_any(u, n, serial_idioms, HONE_COUNT(serial_idioms), names))
                return n;
        }
    }
    return NULL;
}

static bool reduction_of(rw *r, const rw_unit *u, reduction *d)
{
    const hone_node *body = u->ast.body;
    int64_t block[3];
    if (!rw_block_size(u, block) || block[1] != 1 || block[2] != 1 || block[0] % 32 != 0)
        return false;
    for (size_t k = 0; k + 2 < body->n_kids; k++) {
        *d = (reduction){.block = body, .store = k};
        if (!reduction_store(r, u, body->kid[k], d) || !is_barrier(body->kid[k + 1]))
            continue;
        const char *names[4] = {d->array, d->lane, loop_var(body->kid[k + 2]), NULL};
        bool tree = names[2] && matches_any(u, body->kid[k + 2], tree_idioms, HONE_COUNT(tree_idioms), names);
        d->tail = tree ? k + 3 : k + 2;
        if (tree && d->tail < body->n_kids && is_barrier(body->kid[d->tail]))
            d->tail++;
        const hone_node *serial = tree ? NULL : serial_loop(u, d);
        d->serial = serial != NULL;
        size_t known = 0, all = 0;
        for (size_t i = 0; i < u->ast.n; i++) {
            const hone_node *n = u->ast.all[i];
            if (!hone_node_is(n, HONE_N_IDENT, d->array))
                continue;
            all++;
            bool first = n->parent->kind == HONE_N_INDEX && hone_node_is(hone_node_strip(n->parent->kid[1]), HONE_N_LITERAL, "0") &&
                         n->index > body->kid[d->tail]->index;
            known += hone_node_inside(n, body->kid[k]) || (tree && hone_node_inside(n, body->kid[k + 2])) ||
                     (serial && hone_node_inside(n, serial)) || (tree && first);
        }
        return (tree || serial) && all == known && d->tail < body->n_kids;
    }
    return false;
}

// (i < n) ? e : 0 with i the global index, used nowhere else
typedef struct gather {
    const hone_node *decl, *bound, *element;
    const char *name;
} gather;

static bool gather_of(const rw_unit *u, const reduction *d, gather *g)
{
    const hone_node *c = hone_node_strip(d->value);
    if (c->kind != HONE_N_COND || !hone_node_is(hone_node_strip(c->kid[0]), HONE_N_BINARY, "<"))
        return false;
    static const char *const zeros[] = {"0", "0.0f", "0.f", "0.0", "0u"};
    bool zero = false;
    for (size_t k = 0; k < HONE_COUNT(zeros); k++)
        zero = zero || hone_node_is(hone_node_strip(c->kid[2]), HONE_N_LITERAL, zeros[k]);
    const hone_node *cond = hone_node_strip(c->kid[0]), *index = hone_node_strip(cond->kid[0]);
    hone_local l = index->kind == HONE_N_IDENT ? hone_ast_local(&u->ast, index->name) : (hone_local){0};
    if (!zero || !l.var || l.writes || l.declared != 1 || l.decl->n_kids != 1 || !l.var->kid[0] ||
        !hone_ast_invariant(&u->ast, cond->kid[1], u->ast.body))
        return false;
    hone_poly p = hone_poly_of(&u->ast, l.var->kid[0], NULL);
    bool global = p.ok && p.n == 2 && hone_poly_has(&p, "blockIdx.x") && hone_poly_has(&p, "blockDim.x") &&
                  hone_poly_has(&p, "threadIdx.x");
    for (size_t k = 0; k < u->ast.n; k++)
        if (hone_node_is(u->ast.all[k], HONE_N_IDENT, index->name) && !hone_node_inside(u->ast.all[k], d->value))
            return false;
    *g = (gather){l.decl, cond->kid[1], c->kid[1], index->name};
    return global;
}

static void shuffle_edits(rw *r, const rw_unit *u, const reduction *d, const char *value)
{
    const hone_node *body = d->block;
    const char *total = rw_local(r, u, rw_text(r, "%s_sum", d->array));
    const hone_node *serial = d->serial ? serial_loop(u, d) : NULL;
    size_t last = d->serial ? d->store + 1 : d->tail - 1;
    rw_replace_node(r, u, d->decl, rw_text(r, "// the sum goes through registers and warp shuffles"));
    rw_replace(r, hone_node_at(&u->ast, body->kid[d->store]), hone_node_end(&u->ast, body->kid[last]),
               rw_text(r, "const %s %s = hone_block_sum<%s>(%s);", d->type, total, d->type, value));
    if (serial) {
        const hone_node *add = serial->kid[3]->kind == HONE_N_BLOCK ? serial->kid[3]->kid[0] : serial->kid[3];
        rw_replace_node(r, u, serial, rw_text(r, "%s += %s;", add->kid[0]->kid[0]->name, total));
    }
    for (size_t k = d->tail; k < body->n_kids; k++)
        HONE_EACH_NODE(&u->ast, body->kid[k], n)
            if (!serial && n->kind == HONE_N_INDEX && hone_node_is(n->kid[0], HONE_N_IDENT, d->array))
                rw_replace_node(r, u, n, total);
    rw_add_before_kernel(r, u, rw_warp_key, rw_warp_helpers);
    rw_add_before_kernel(r, u, rw_block_key, rw_block_helpers);
}

// Later launches that read what this kernel wrote per block get the new number of blocks wherever they were given the old one.
static bool change_block_count(rw *r, const rw_unit *u, const char *from, const char *to)
{
    bool any = false;
    for (size_t k = 0; k < r->task->n_launches; k++) {
        const hone_launch *l = &r->task->launches[k];
        if (l == u->launch)
            continue;
        bool takes = false;
        for (size_t i = 0; i < l->n_args; i++)
            takes = takes || (l->args[i].value && rw_same_expr(hone_expr_text(l->args[i].value), from));
        if (!takes)
            continue;
        rw_set_launch_args(r, l, from, to);
        any = true;
    }
    return any;
}

static bool writes_per_block(const rw_unit *u, const char **buffer)
{
    for (size_t k = 0; k < u->ast.n; k++) {
        hone_access a;
        if (u->ast.all[k]->kind != HONE_N_INDEX || !hone_ast_access(&u->ast, u->ast.all[k], NULL, &a) || !a.written || !a.is_param)
            continue;
        bool own = a.index.n == 1 && a.index.v[0].n == 1 && a.index.v[0].coef == 1 && !strcmp(a.index.v[0].atom[0], "blockIdx.x");
        if (!own)
            return false;
        *buffer = rw_arg_buffer(u, a.base);
    }
    return *buffer != NULL;
}

static bool coarse_edits(rw *r, const rw_unit *u, const reduction *d)
{
    gather g;
    const char *buffer = NULL;
    if (!gather_of(u, d, &g) || !writes_per_block(u, &buffer))
        return false;
    const hone_arg *b = rw_buffer(r, buffer);
    const char *old = hone_expr_text(u->launch->grid[0]), *blocks = rw_fresh(r, "BLOCKS"), *sum = rw_local(r, u, "sum");
    const char *now = rw_text(r, "min(%s, %s)", old, blocks);
    if (!b || b->role != HONE_SCRATCH || !change_block_count(r, u, old, now))
        return false;
    const char *in = rw_indent(r, hone_node_at(&u->ast, g.decl)), *type = g.decl->name;
    rw_replace_node(r, u, g.decl,
                    rw_text(r,
                            "%s %s = 0;\n%s#pragma unroll 8\n%sfor (%s %s = %s; %s < %s; %s += blockDim.x * gridDim.x)   // neighbours "
                            "stay neighbours\n%s    %s += %s;",
                            d->type, sum, in, in, type, g.name, hone_node_text(&u->ast, g.decl->kid[0]->kid[0]), g.name,
                            hone_node_text(&u->ast, g.bound), g.name, in, sum, hone_node_text(&u->ast, g.element)));
    shuffle_edits(r, u, d, sum);
    rw_grid grid = rw_grid_of(r, u);
    grid.grid[0] = now;
    rw_add_lines(r, u, rw_text(r, "#pragma hone tune %s={1056,528,2112,264,4224}\n", blocks));
    rw_set_launch(r, u, &grid);
    return true;
}

void rw_move_reduction(rw *r)
{
    for (size_t k = 0; k < r->n_units && !rw_full(r); k++) {
        const rw_unit *u = &r->unit[k];
        reduction d;
        if (!reduction_of(r, u, &d))
            continue;
        if (coarse_edits(r, u, &d))
            rw_emit(r, NULL, 0, rw_text(r, "%s sums many elements per thread and reduces by shuffles, with fewer blocks", u->kernel->name));
        rw_drop_edits(r);
        shuffle_edits(r, u, &d, hone_node_text(&u->ast, d.value));
        rw_emit(r, NULL, 0, rw_text(r, "%s reduces by shuffles", u->kernel->name));
    }
}
