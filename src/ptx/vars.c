// ptx variables: .global .const .shared .local .param declarations with initialisers, parameters of functions, and .reg lists.
// Values land little-endian in ptx_var.init; addresses in it become relocations.
#include "ptx/internal.h"
#include <stdio.h>

static hone_code unknown(ptx_parser *p, const char *what) { return ptx_error(p, &p->tok, HONE_E_PARSE, what); }

hone_code ptx_type_of(ptx_parser *p, ptx_type *t) {
    if (p->tok.kind == PTX_T_DOT)
        for (int i = ptx_mod_first(p, p->tok.s, p->tok.n); i >= 0; i = p->tables->mod_next[i] - 1)
            if (ptx_mods[i].groups == ~0ull && ptx_tok_is(&p->tok, ptx_mods[i].text)) {   // only types are legal everywhere
                *t = (ptx_type)ptx_mods[i].value;
                return ptx_advance(p);
            }
    return unknown(p, "expected a type at");
}

static hone_code parse_align(ptx_parser *p, size_t *align) {
    ptx_tok at = p->tok;
    int64_t v;
    HONE_TRY(ptx_advance(p));
    HONE_TRY(ptx_const_expr(p, &v));
    if (v <= 0 || v > 1 << 20 || (v & (v - 1)))
        return ptx_error(p, &at, HONE_E_PARSE, "alignment is not a power of two:");
    *align = (size_t)v;
    return HONE_OK;
}

typedef struct decl { ptx_type type; size_t align; unsigned vec; bool is_ptr, is_managed; } decl;

static hone_code parse_attribute(ptx_parser *p, decl *d) {
    HONE_TRY(ptx_advance(p));
    HONE_TRY(ptx_expect(p, '('));
    if (ptx_is_dot(&p->tok, "managed"))
        d->is_managed = true;
    else
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unsupported attribute");
    HONE_TRY(ptx_advance(p));
    return ptx_expect(p, ')');
}

// ".align 16 .u32 .ptr .global .align 4", in the orders that PTX allows
static hone_code parse_decl(ptx_parser *p, decl *d) {
    *d = (decl){.vec = 1};
    while (p->tok.kind == PTX_T_DOT) {
        if (ptx_is_dot(&p->tok, "align")) {
            size_t pointee, *align = d->is_ptr ? &pointee : &d->align;
            HONE_TRY(parse_align(p, align));
        } else if (ptx_is_dot(&p->tok, "attribute")) {
            HONE_TRY(parse_attribute(p, d));
        } else if (ptx_is_dot(&p->tok, "ptr")) {
            d->is_ptr = true;
            HONE_TRY(ptx_advance(p));
        } else if (d->is_ptr && (ptx_is_dot(&p->tok, "global") || ptx_is_dot(&p->tok, "shared") || ptx_is_dot(&p->tok, "local") ||
            ptx_is_dot(&p->tok, "const"))) {
            HONE_TRY(ptx_advance(p));
        } else if (ptx_is_dot(&p->tok, "v2") || ptx_is_dot(&p->tok, "v4")) {
            d->vec = (unsigned)(p->tok.s[1] - '0');
            HONE_TRY(ptx_advance(p));
        } else {
            HONE_TRY(ptx_type_of(p, &d->type));
        }
    }
    return d->type == PTX_NOTYPE ? unknown(p, "expected a type before") : HONE_OK;
}

static ptx_var *new_var(ptx_parser *p, const ptx_tok *name, ptx_space space, const decl *d) {
    ptx_var *v = hone_arena_alloc(p->arena, sizeof *v);
    char *copy = hone_arena_strndup(p->arena, name->s, name->n);
    if (!v || !copy)
        return NULL;
    unsigned bytes = ptx_type_bytes(d->type);
    *v = (ptx_var){.name = copy, .space = space, .type = d->type, .bytes = (size_t)bytes * d->vec, .line = name->line,
        .is_managed = d->is_managed};
    v->align = d->align ? d->align : v->bytes ? v->bytes : 1;
    return v;
}

// "[4][8]" multiplies; "[]" leaves *open set
static hone_code parse_dims(ptx_parser *p, ptx_var *v, bool *open) {
    while (ptx_is_punct(&p->tok, '[')) {
        ptx_tok at = p->tok;
        HONE_TRY(ptx_advance(p));
        if (ptx_is_punct(&p->tok, ']')) {
            *open = true;
        } else {
            int64_t n;
            HONE_TRY(ptx_const_expr(p, &n));
            if (n < 0 || (uint64_t)n > PTX_MAX_VAR_BYTES || __builtin_mul_overflow(v->bytes, (size_t)n, &v->bytes) ||
                v->bytes > ((size_t)1 << 40))
                return ptx_error(p, &at, HONE_E_LIMIT, "array is too large at");
        }
        HONE_TRY(ptx_expect(p, ']'));
    }
    return HONE_OK;
}

// --- initialisers ---------------------------------------------------------------------------------------------------------------
typedef struct init {
    ptx_var *v;
    unsigned elem;          // bytes of one element
    bool is_open;           // size follows from the values
    size_t at;              // next byte
    HONE_VEC(uint8_t) bytes;
    HONE_VEC(struct ptx_reloc) relocs;
} init;

static hone_code put(ptx_parser *p, init *in, uint64_t value, const ptx_tok *at) {
    if (!in->is_open && in->at + in->elem > in->v->bytes)
        return ptx_error(p, at, HONE_E_PARSE, "too many initial values at");
    if (in->at + in->elem > PTX_MAX_VAR_BYTES)
        return ptx_error(p, at, HONE_E_LIMIT, "initial values are too large at");
    for (unsigned i = 0; i < in->elem; i++)
        if (!hone_vec_push(&in->bytes, (uint8_t)(i < 8 ? value >> (8 * i) : 0)))
            return ptx_nomem(p);
    in->at += in->elem;
    return HONE_OK;
}

static uint64_t float_value(const ptx_tok *t, ptx_type type) {
    double d;
    float f;
    if (t->is_f32 == (type != PTX_F64))
        return t->value;
    if (t->is_f32) {
        uint32_t b = (uint32_t)t->value;
        memcpy(&f, &b, 4);
        d = (double)f;
        uint64_t bits;
        memcpy(&bits, &d, 8);
        return bits;
    }
    memcpy(&d, &t->value, 8);
    f = (float)d;
    uint32_t b;
    memcpy(&b, &f, 4);
    return b;
}

// "symbol", "symbol+8", "generic(symbol)+8"
static hone_code put_symbol(ptx_parser *p, init *in) {
    ptx_tok t = p->tok;
    bool generic = ptx_tok_is(&t, "generic") && ptx_is_punct(&p->next, '(');
    HONE_TRY(ptx_advance(p));
    if (generic) {
        HONE_TRY(ptx_advance(p));
        t = p->tok;
        if (t.kind != PTX_T_IDENT)
            return unknown(p, "expected a symbol at");
        HONE_TRY(ptx_advance(p));
        HONE_TRY(ptx_expect(p, ')'));
    }
    int64_t addend = 0;
    if (ptx_is_punct(&p->tok, '+') || ptx_is_punct(&p->tok, '-'))
        HONE_TRY(ptx_const_expr(p, &addend));
    ptx_sym *y = ptx_sym_find(p, t.s, t.n);
    if (!y || (y->kind != PTX_SYM_VAR && y->kind != PTX_SYM_FUNC))
        return ptx_error(p, &t, HONE_E_PARSE, "symbol not defined:");
    if (in->elem != 8 && in->elem != 4)
        return ptx_error(p, &t, HONE_E_UNSUPPORTED, "an address needs a 32- or 64-bit element:");
    struct ptx_reloc r = {.at = in->at, .symbol = y->name, .addend = addend, .size = in->elem, .generic = generic};
    if (!hone_vec_push(&in->relocs, r))
        return ptx_nomem(p);
    return put(p, in, 0, &t);
}

static hone_code put_value(ptx_parser *p, init *in) {
    ptx_tok t = p->tok;
    bool minus = ptx_is_punct(&t, '-') && p->next.kind == PTX_T_FLOAT;
    if (minus) {
        HONE_TRY(ptx_advance(p));
        t = p->tok;
    }
    if (t.kind == PTX_T_FLOAT) {
        uint64_t v = float_value(&t, in->v->type);
        HONE_TRY(ptx_advance(p));
        return put(p, in, minus ? v ^ (in->v->type == PTX_F64 ? 1ull << 63 : 1ull << 31) : v, &t);
    }
    if (t.kind == PTX_T_IDENT && !ptx_tok_is(&t, "WARP_SZ"))
        return put_symbol(p, in);
    int64_t v;
    HONE_TRY(ptx_const_expr(p, &v));
    return put(p, in, (uint64_t)v, &t);
}

static hone_code put_braces(ptx_parser *p, init *in, unsigned depth) {
    if (depth > PTX_MAX_DEPTH)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "initialiser nested too deep at");
    HONE_TRY(ptx_expect(p, '{'));
    while (!ptx_is_punct(&p->tok, '}')) {
        HONE_TRY(ptx_is_punct(&p->tok, '{') ? put_braces(p, in, depth + 1) : put_value(p, in));
        if (!ptx_is_punct(&p->tok, ','))
            break;
        HONE_TRY(ptx_advance(p));
    }
    return ptx_expect(p, '}');
}

static hone_code keep_init(ptx_parser *p, init *in) {
    ptx_var *v = in->v;
    if (in->is_open)
        v->bytes = in->at;
    v->init = hone_arena_alloc(p->arena, v->bytes ? v->bytes : 1);
    v->relocs = hone_arena_array(p->arena, in->relocs.n ? in->relocs.n : 1, sizeof *v->relocs);
    if (!v->init || !v->relocs)
        return ptx_nomem(p);
    if (in->bytes.n)
        memcpy(v->init, in->bytes.v, in->bytes.n);
    if (in->relocs.n)
        memcpy(v->relocs, in->relocs.v, in->relocs.n * sizeof *v->relocs);
    v->n_relocs = in->relocs.n;
    return HONE_OK;
}

static hone_code parse_init(ptx_parser *p, ptx_var *v, bool is_open) {
    init in = {.v = v, .elem = ptx_type_bytes(v->type), .is_open = is_open};
    if (v->bytes > PTX_MAX_VAR_BYTES)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "initialised variable is too large at");
    hone_code c = ptx_is_punct(&p->tok, '{') ? put_braces(p, &in, 0) : put_value(p, &in);
    if (c == HONE_OK)
        c = keep_init(p, &in);
    hone_vec_free(&in.bytes);
    hone_vec_free(&in.relocs);
    return c;
}

// Variables of a function keep unique names, because users of the tree look them up by name: a repeat in another scope gets "@n".
static hone_code keep_var(ptx_parser *p, const ptx_tok *name, ptx_var *v) {
    ptx_sym *y = NULL, *old = ptx_sym_find(p, name->s, name->n);
    if (old && old->kind == PTX_SYM_VAR && !p->f && ((ptx_var *)old->ptr)->is_extern) {   // .extern declaration, then the definition
        ptx_var *declared = old->ptr;
        if (!v->is_extern)
            *declared = *v;
        return HONE_OK;
    }
    HONE_TRY(ptx_sym_add(p, name, PTX_SYM_VAR, &y));
    y->ptr = v;
    if (p->f && p->depth > 1) {
        v->name = hone_arena_printf(p->arena, "%s@%u", v->name, ++p->name_serial);
        if (!v->name)
            return ptx_nomem(p);
    }
    bool ok = p->f ? hone_vec_push(&p->vars, v) : hone_vec_push(&p->mvars, v);
    return ok ? HONE_OK : ptx_nomem(p);
}

hone_code ptx_parse_vars(ptx_parser *p, ptx_space space, bool is_extern) {
    decl d;
    HONE_TRY(parse_decl(p, &d));
    for (;;) {
        ptx_tok name = p->tok;
        if (name.kind != PTX_T_IDENT)
            return unknown(p, "expected a variable name at");
        ptx_var *v = new_var(p, &name, space, &d);
        if (!v)
            return ptx_nomem(p);
        v->is_extern = is_extern;
        bool is_open = false;
        HONE_TRY(ptx_advance(p));
        HONE_TRY(parse_dims(p, v, &is_open));
        if (is_open)
            v->bytes = 0;
        if (ptx_is_punct(&p->tok, '=')) {
            HONE_TRY(ptx_advance(p));
            HONE_TRY(parse_init(p, v, is_open));
        } else if (is_open && !is_extern) {
            return ptx_error(p, &name, HONE_E_PARSE, "array without size:");
        }
        HONE_TRY(keep_var(p, &name, v));
        if (!ptx_is_punct(&p->tok, ','))
            return ptx_expect(p, ';');
        HONE_TRY(ptx_advance(p));
    }
}

hone_code ptx_parse_param(ptx_parser *p, ptx_var **out) {
    if (ptx_is_dot(&p->tok, "reg"))
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unsupported parameter space");
    if (!ptx_is_dot(&p->tok, "param"))
        return unknown(p, "expected .param at");
    HONE_TRY(ptx_advance(p));
    decl d;
    HONE_TRY(parse_decl(p, &d));
    ptx_tok name = p->tok;
    if (name.kind != PTX_T_IDENT)
        return unknown(p, "expected a parameter name at");
    ptx_var *v = new_var(p, &name, PTX_PARAM, &d);
    if (!v)
        return ptx_nomem(p);
    bool is_open = false;
    HONE_TRY(ptx_advance(p));
    HONE_TRY(parse_dims(p, v, &is_open));
    if (is_open)
        v->bytes = 0;
    *out = v;
    return HONE_OK;
}

static hone_code add_reg_name(ptx_parser *p, const ptx_tok *name, ptx_type type) {
    ptx_sym *y;
    if (!ptx_is_punct(&p->tok, '<')) {
        HONE_TRY(ptx_sym_add(p, name, PTX_SYM_REG, &y));
        y->type = type;
        y->index = UINT32_MAX;   // numbered at its first use
        return HONE_OK;
    }
    HONE_TRY(ptx_advance(p));
    ptx_tok count = p->tok;
    if (count.kind != PTX_T_INT)
        return unknown(p, "expected a register count at");
    HONE_TRY(ptx_advance(p));
    HONE_TRY(ptx_expect(p, '>'));
    HONE_TRY(ptx_sym_add(p, name, PTX_SYM_RANGE, &y));
    y->type = type;
    y->index = count.value > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)count.value;
    return HONE_OK;
}

hone_code ptx_parse_regs(ptx_parser *p) {
    ptx_type type;
    ptx_tok at = p->tok;
    HONE_TRY(ptx_type_of(p, &type));
    if (type != PTX_PRED && (ptx_type_bytes(type) > 16 || (ptx_type_kind(type) == 'X' && type != PTX_F32X2)))
        return ptx_error(p, &at, HONE_E_UNSUPPORTED, "unsupported register type");
    for (;;) {
        ptx_tok name = p->tok;
        if (name.kind != PTX_T_IDENT)
            return unknown(p, "expected a register name at");
        HONE_TRY(ptx_advance(p));
        HONE_TRY(add_reg_name(p, &name, type));
        if (!ptx_is_punct(&p->tok, ','))
            return ptx_expect(p, ';');
        HONE_TRY(ptx_advance(p));
    }
}
