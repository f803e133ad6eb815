// ptx symbols: names in nested scopes (registers, %r<n> ranges, variables, labels, functions), label resolution, and the hash
// tables over opcodes and modifiers. One table holds every scope; closing a scope removes its names.
#include "ptx/internal.h"
#include <pthread.h>

enum { INITIAL_BUCKETS = 1024 };

static uint64_t hash_name(const char *s, size_t n) {   // FNV-1a: names are short
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3ull;
    return h ^ h >> 29;
}

static bool same(const ptx_sym *s, uint64_t h, const char *name, size_t n) { return s->hash == h && s->n == n &&
    !memcmp(s->name, name, n); }

ptx_sym *ptx_sym_find(ptx_parser *p, const char *s, size_t n) {
    uint64_t h = hash_name(s, n);
    for (ptx_sym *y = p->buckets[h & (p->n_buckets - 1)]; y; y = y->chain)
        if (same(y, h, s, n))
            return y;
    return NULL;
}

// Buckets keep the innermost name first; regrowing walks scopes from the outermost to keep that order.
static hone_code grow(ptx_parser *p) {
    size_t n = p->n_buckets * 2;
    ptx_sym **b = hone_arena_array(p->arena, n, sizeof *b);
    if (!b)
        return ptx_nomem(p);
    for (uint32_t d = 0; d <= p->depth; d++)
        for (ptx_sym *y = p->scopes[d]; y; y = y->scope_next) {
            y->chain = b[y->hash & (n - 1)];
            b[y->hash & (n - 1)] = y;
        }
    p->buckets = b;
    p->n_buckets = n;
    return HONE_OK;
}

hone_code ptx_sym_add(ptx_parser *p, const ptx_tok *name, ptx_sym_kind kind, ptx_sym **out) {
    ptx_sym *old = ptx_sym_find(p, name->s, name->n);
    if (old && old->depth == p->depth)
        return ptx_error(p, name, HONE_E_PARSE, "name declared twice:");
    if (p->n_syms >= p->n_buckets)
        HONE_TRY(grow(p));
    ptx_sym *y = hone_arena_alloc(p->arena, sizeof *y);
    char *copy = hone_arena_strndup(p->arena, name->s, name->n);
    if (!y || !copy)
        return ptx_nomem(p);
    *y = (ptx_sym){.name = copy, .n = name->n, .hash = hash_name(name->s, name->n), .kind = kind, .depth = p->depth};
    ptx_sym **b = &p->buckets[y->hash & (p->n_buckets - 1)];
    y->chain = *b;
    *b = y;
    y->scope_next = p->scopes[p->depth];
    p->scopes[p->depth] = y;
    p->n_syms++;
    *out = y;
    return HONE_OK;
}

hone_code ptx_scope_open(ptx_parser *p) {
    if (p->depth >= PTX_MAX_DEPTH)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "braces nested too deep at");
    p->depth++;
    p->scopes[p->depth] = NULL;
    p->scope_fixups[p->depth] = p->fixups.n;
    return HONE_OK;
}

static void resolve(ptx_parser *p, const ptx_fixup *fx, const ptx_sym *label) {
    ptx_operand *o = &p->insts.v[fx->inst].operand[fx->operand];
    if (fx->is_elem)
        o = &o->elems[fx->elem];
    o->label = label->index;
}

// Uses of labels that this scope defines are settled; the others move on to the scope around it.
static hone_code resolve_labels(ptx_parser *p) {
    size_t keep = p->scope_fixups[p->depth];
    for (size_t i = keep; i < p->fixups.n; i++) {
        ptx_fixup fx = p->fixups.v[i];
        ptx_sym *y = ptx_sym_find(p, fx.name, strlen(fx.name));
        if (y && y->kind == PTX_SYM_LABEL)
            resolve(p, &fx, y);
        else if (p->depth == 1)
            return ptx_error_at(p, fx.line, fx.col, HONE_E_PARSE, "label not defined:", fx.name, strlen(fx.name));
        else
            p->fixups.v[keep++] = fx;
    }
    p->fixups.n = keep;
    return HONE_OK;
}

hone_code ptx_scope_close(ptx_parser *p) {
    HONE_TRY(resolve_labels(p));
    for (ptx_sym *y = p->scopes[p->depth]; y; y = y->scope_next) {
        p->end_label |= y->kind == PTX_SYM_LABEL && y->index == p->insts.n;
        ptx_sym **b = &p->buckets[y->hash & (p->n_buckets - 1)];
        while (*b != y)
            b = &(*b)->chain;
        *b = y->chain;
        p->n_syms--;
    }
    p->scopes[p->depth--] = NULL;
    return HONE_OK;
}

static hone_code add_reg(ptx_parser *p, const char *name, ptx_type type, uint32_t *index) {
    if (p->regs.n >= PTX_MAX_REGS)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "too many registers at");
    if (!hone_vec_push(&p->regs, ((ptx_reg){.name = name, .type = type})))
        return ptx_nomem(p);
    *index = (uint32_t)p->regs.n - 1;
    return HONE_OK;
}

// The innermost range that holds this name: "%r<100>" declares %r0 … %r99. The prefix may itself end in digits.
static ptx_sym *find_range(ptx_parser *p, const ptx_tok *t) {
    uint32_t digits = 0;
    while (digits < t->n && digits < 9 && t->s[t->n - 1 - digits] >= '0' && t->s[t->n - 1 - digits] <= '9')
        digits++;
    ptx_sym *best = NULL;
    for (uint32_t d = digits; d > 0; d--) {
        if (d > 1 && t->s[t->n - d] == '0')
            continue;
        uint32_t v = 0, n = t->n - d;
        for (uint32_t i = n; i < t->n; i++)
            v = v * 10 + (uint32_t)(t->s[i] - '0');
        uint64_t h = hash_name(t->s, n);
        for (ptx_sym *y = p->buckets[h & (p->n_buckets - 1)]; y; y = y->chain)
            if (same(y, h, t->s, n) && y->kind == PTX_SYM_RANGE && v < y->index && (!best || y->depth > best->depth))
                best = y;
    }
    return best;
}

// Names of a range get an entry at their first use, in the scope of the range.
static hone_code reg_from_range(ptx_parser *p, const ptx_tok *t, ptx_sym *range, ptx_sym **out) {
    uint32_t here = p->depth;
    p->depth = range->depth;
    hone_code c = ptx_sym_add(p, t, PTX_SYM_REG, out);
    p->depth = here;
    HONE_TRY(c);
    (*out)->type = range->type;
    return add_reg(p, (*out)->name, range->type, &(*out)->index);
}

hone_code ptx_reg_find(ptx_parser *p, const ptx_tok *t, ptx_sym **out) {
    ptx_sym *y = ptx_sym_find(p, t->s, t->n);
    if (!y || y->depth < p->depth) {   // a range in an inner scope shadows the name found
        ptx_sym *range = find_range(p, t);
        if (range && (!y || range->depth > y->depth))
            return reg_from_range(p, t, range, out);
    }
    *out = y && y->kind == PTX_SYM_REG ? y : NULL;
    if (*out && y->index == UINT32_MAX)
        return add_reg(p, y->name, y->type, &y->index);
    return HONE_OK;
}

static uint32_t fold(const char *s, size_t n, uint32_t mask) { return (uint32_t)(hash_name(s, n) & mask); }

static ptx_tables g_tables;
static pthread_once_t g_tables_once = PTHREAD_ONCE_INIT;
static void make_tables(void) {
    ptx_tables *t = &g_tables;
    for (unsigned i = 0; i < PTX_OP_COUNT; i++) {   // open addressing: slots hold index + 1
        const char *s = ptx_op_name((ptx_op)i);
        uint32_t h = fold(s, strlen(s), HONE_COUNT(t->op_hash) - 1);
        while (t->op_hash[h])
            h = (h + 1) & (HONE_COUNT(t->op_hash) - 1);
        t->op_hash[h] = (uint16_t)(i + 1);
    }
    if (ptx_n_mods >= HONE_COUNT(t->mod_next))
        HONE_BUG("modifier table has %zu rows", ptx_n_mods);
    for (size_t i = ptx_n_mods; i-- > 0;) {         // chains by hash: mod_next holds index + 1
        uint32_t h = fold(ptx_mods[i].text, strlen(ptx_mods[i].text), HONE_COUNT(t->mod_hash) - 1);
        t->mod_next[i] = t->mod_hash[h];
        t->mod_hash[h] = (uint16_t)(i + 1);
    }
}

hone_code ptx_tables_init(ptx_parser *p) {
    p->n_buckets = INITIAL_BUCKETS;
    p->buckets = hone_arena_array(p->arena, p->n_buckets, sizeof(ptx_sym *));
    pthread_once(&g_tables_once, make_tables);
    p->tables = &g_tables;
    return p->buckets ? HONE_OK : ptx_nomem(p);
}

int ptx_op_find(const ptx_parser *p, const char *s, size_t n) {
    for (uint32_t h = fold(s, n, HONE_COUNT(p->tables->op_hash) - 1); p->tables->op_hash[h]; h = (h + 1) & (HONE_COUNT(p->tables->op_hash) - 1)) {
        const char *name = ptx_op_name((ptx_op)(p->tables->op_hash[h] - 1));
        if (strlen(name) == n && !memcmp(name, s, n))
            return p->tables->op_hash[h] - 1;
    }
    return -1;
}

int ptx_mod_first(const ptx_parser *p, const char *s, size_t n) { return p->tables->mod_hash[fold(s, n, HONE_COUNT(p->tables->mod_hash) - 1)] - 1; }
