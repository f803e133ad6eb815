// ptx operands: registers, constants, special registers, symbols with offsets, addresses, vectors and labels; and the operand list of
// call. Names are looked up here; whether an operand fits its place is check.c's.
#include "ptx/internal.h"

enum { MAX_ELEMS = 128 };

static hone_code keep_elems(ptx_parser *p, ptx_operand *o, const ptx_operand *list, size_t n) {
    o->elems = hone_arena_array(p->arena, n ? n : 1, sizeof *o->elems);
    if (!o->elems)
        return ptx_nomem(p);
    if (n)
        memcpy(o->elems, list, n * sizeof *list);
    o->n_elems = (uint8_t)n;
    return HONE_OK;
}

// o becomes a label whose place is filled in when its scope closes; fx says which operand that is.
static hone_code use_label(ptx_parser *p, const ptx_tok *label, ptx_fixup fx, ptx_operand *o) {
    char *name = hone_arena_strndup(p->arena, label->s, label->n);
    fx.inst = (uint32_t)p->insts.n;
    fx.name = name;
    fx.line = label->line;
    fx.col = label->col;
    if (!name || !hone_vec_push(&p->fixups, fx))
        return ptx_nomem(p);
    *o = (ptx_operand){.kind = PTX_O_LABEL, .symbol = name};
    return HONE_OK;
}

// The table of brx.idx: its name stands for the labels of a .branchtargets list before it.
static hone_code use_targets(ptx_parser *p, const ptx_inst *in, ptx_operand *o) {
    const ptx_sym *y = ptx_sym_find(p, p->tok.s, p->tok.n);
    const ptx_targets *t = y && y->kind == PTX_SYM_TARGETS ? y->ptr : NULL;
    if (!t)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "no list of branch targets before this is named");
    o->kind = PTX_O_VEC;
    o->symbol = NULL;
    o->n_elems = (uint8_t)t->n;
    o->elems = hone_arena_array(p->arena, t->n, sizeof *o->elems);
    if (!o->elems)
        return ptx_nomem(p);
    for (size_t i = 0; i < t->n; i++)
        HONE_TRY(use_label(p, &t->v[i], (ptx_fixup){.operand = in->n_operands, .elem = (uint8_t)i, .is_elem = true}, &o->elems[i]));
    return ptx_advance(p);
}

// "%tid.x" is two tokens; "%laneid" one
static hone_code parse_sreg(ptx_parser *p, ptx_operand *o, bool *found) {
    size_t n = p->tok.n;
    bool two = p->next.kind == PTX_T_DOT && p->next.s == p->tok.s + n + 1;
    size_t both = two ? n + 1 + p->next.n : n;
    for (unsigned i = 0; i < PTX_SREG_COUNT; i++) {
        const char *name = ptx_sreg_name(i);
        if (strncmp(name, p->tok.s, both) || name[both])
            continue;
        o->kind = PTX_O_SREG;
        o->sreg = (uint16_t)i;
        *found = true;
        if (two)
            HONE_TRY(ptx_advance(p));
        return ptx_advance(p);
    }
    return HONE_OK;
}

static hone_code parse_symbol(ptx_parser *p, ptx_operand *o, const ptx_sym *y) {
    o->kind = PTX_O_SYMBOL;
    o->var = y->kind == PTX_SYM_VAR ? y->ptr : NULL;
    o->symbol = o->var ? o->var->name : ((ptx_func *)y->ptr)->name;
    HONE_TRY(ptx_advance(p));
    return ptx_is_punct(&p->tok, '+') || ptx_is_punct(&p->tok, '-') ? ptx_const_expr(p, &o->i) : HONE_OK;
}

// %r1.h0, %r1.b3210: the parts of a register that a video instruction takes (PTX ISA 9.7.16)
static hone_code parse_selector(ptx_parser *p, ptx_operand *o) {
    const ptx_tok *t = &p->tok;
    bool ok = t->n >= 2 && t->n < sizeof o->select && (t->s[0] == 'b' || t->s[0] == 'h');
    for (uint32_t i = 1; ok && i < t->n; i++)
        ok = t->s[i] >= '0' && t->s[i] <= '7';
    if (!ok)
        return ptx_error(p, t, HONE_E_PARSE, "no part of a register:");
    memcpy(o->select, t->s, t->n);
    return ptx_advance(p);
}

static hone_code parse_name(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    ptx_sym *y = NULL;
    if (in->op == PTX_OP_BRA) {
        HONE_TRY(use_label(p, &p->tok, (ptx_fixup){.operand = in->n_operands}, o));
        return ptx_advance(p);
    }
    if (in->op == PTX_OP_BRX && in->n_operands == 1)
        return use_targets(p, in, o);
    if (ptx_tok_is(&p->tok, "_")) {
        o->kind = PTX_O_SINK;
        return ptx_advance(p);
    }
    HONE_TRY(ptx_reg_find(p, &p->tok, &y));
    if (y) {
        o->kind = PTX_O_REG;
        o->reg = y->index;
        HONE_TRY(ptx_advance(p));
        return p->tok.kind == PTX_T_DOT && ptx_rule_of((ptx_op)in->op)->group == PTX_G_VIDEO ? parse_selector(p, o) : HONE_OK;
    }
    bool found = false;
    if (p->tok.s[0] == '%') {
        HONE_TRY(parse_sreg(p, o, &found));
        return found ? HONE_OK : ptx_error(p, &p->tok, HONE_E_PARSE, "register not declared:");
    }
    y = ptx_sym_find(p, p->tok.s, p->tok.n);
    if (y && (y->kind == PTX_SYM_VAR || y->kind == PTX_SYM_FUNC))
        return parse_symbol(p, o, y);
    return ptx_error(p, &p->tok, HONE_E_PARSE, "symbol not defined:");
}

static hone_code parse_vector(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    ptx_operand list[MAX_ELEMS];
    size_t n = 0;
    o->kind = PTX_O_VEC;
    HONE_TRY(ptx_advance(p));
    while (!ptx_is_punct(&p->tok, '}')) {
        if (n >= MAX_ELEMS || ptx_is_punct(&p->tok, '{') || ptx_is_punct(&p->tok, '['))
            return ptx_error(p, &p->tok, HONE_E_PARSE, "vector cannot hold");
        list[n] = (ptx_operand){0};
        HONE_TRY(ptx_parse_operand(p, in, &list[n++]));
        if (!ptx_is_punct(&p->tok, ','))
            break;
        HONE_TRY(ptx_advance(p));
    }
    HONE_TRY(ptx_expect(p, '}'));
    return keep_elems(p, o, list, n);
}

// The rest of "[base, a, {b, c}]": a sampler, coordinates
static hone_code parse_coordinates(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    ptx_operand list[MAX_ELEMS];
    size_t n = 0;
    while (ptx_is_punct(&p->tok, ',')) {
        HONE_TRY(ptx_advance(p));
        if (n >= MAX_ELEMS || ptx_is_punct(&p->tok, '['))
            return ptx_error(p, &p->tok, HONE_E_PARSE, "address cannot hold");
        list[n] = (ptx_operand){0};
        HONE_TRY(ptx_parse_operand(p, in, &list[n++]));
        const ptx_operand vec = list[n - 1];
        for (unsigned i = 0; vec.kind == PTX_O_VEC && i < vec.n_elems; i++) {   // {a, b} are coordinates like a, b
            if (n - 1 + i >= MAX_ELEMS)
                return ptx_error(p, &p->tok, HONE_E_PARSE, "address cannot hold");
            list[n - 1 + i] = vec.elems[i];
        }
        n += vec.kind == PTX_O_VEC && vec.n_elems ? vec.n_elems - 1u : 0;
    }
    return n ? keep_elems(p, o, list, n) : HONE_OK;
}

static hone_code parse_address(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    HONE_TRY(ptx_advance(p));
    if (p->tok.kind == PTX_T_IDENT) {
        ptx_operand base = {0};
        ptx_tok at = p->tok;
        HONE_TRY(parse_name(p, in, &base));
        *o = base;
        if (base.kind == PTX_O_REG)
            o->has_base = true;
        else if (base.kind != PTX_O_SYMBOL)
            return ptx_error(p, &at, HONE_E_PARSE, "cannot be an address:");
        if (o->has_base && (ptx_is_punct(&p->tok, '+') || ptx_is_punct(&p->tok, '-')))
            HONE_TRY(ptx_const_expr(p, &o->i));
    } else {
        HONE_TRY(ptx_const_expr(p, &o->i));
    }
    o->kind = PTX_O_ADDR;
    HONE_TRY(parse_coordinates(p, in, o));
    return ptx_expect(p, ']');
}

static hone_code parse_float(ptx_parser *p, ptx_operand *o, bool minus) {
    o->kind = PTX_O_FLOAT;
    o->is_f32 = p->tok.is_f32;
    o->bits = minus ? p->tok.value ^ (o->is_f32 ? 1ull << 31 : 1ull << 63) : p->tok.value;
    return ptx_advance(p);
}

static hone_code parse_negated(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    HONE_TRY(ptx_advance(p));
    ptx_tok at = p->tok;
    if (at.kind != PTX_T_IDENT)
        return ptx_error(p, &at, HONE_E_PARSE, "expected a predicate at");
    HONE_TRY(parse_name(p, in, o));
    if (o->kind != PTX_O_REG || p->regs.v[o->reg].type != PTX_PRED)
        return ptx_error(p, &at, HONE_E_PARSE, "only a predicate can be negated:");
    o->negated = true;
    return HONE_OK;
}

hone_code ptx_parse_operand(ptx_parser *p, ptx_inst *in, ptx_operand *o) {
    if (p->tok.kind == PTX_T_FLOAT)
        return parse_float(p, o, false);
    if (ptx_is_punct(&p->tok, '-') && p->next.kind == PTX_T_FLOAT) {
        HONE_TRY(ptx_advance(p));
        return parse_float(p, o, true);
    }
    if (ptx_is_punct(&p->tok, '{'))
        return parse_vector(p, in, o);
    if (ptx_is_punct(&p->tok, '['))
        return parse_address(p, in, o);
    if (ptx_is_punct(&p->tok, '!') && p->next.kind == PTX_T_IDENT)
        return parse_negated(p, in, o);
    if (p->tok.kind == PTX_T_IDENT && !ptx_tok_is(&p->tok, "WARP_SZ"))
        return parse_name(p, in, o);
    o->kind = PTX_O_INT;
    return ptx_const_expr(p, &o->i);
}

// --- call -----------------------------------------------------------------------------------------------------------------------
static hone_code parse_call_list(ptx_parser *p, ptx_var ***out, uint8_t *n) {
    ptx_var *list[UINT8_MAX];
    size_t k = 0;
    HONE_TRY(ptx_expect(p, '('));
    while (!ptx_is_punct(&p->tok, ')')) {
        ptx_sym *y = p->tok.kind == PTX_T_IDENT ? ptx_sym_find(p, p->tok.s, p->tok.n) : NULL;
        ptx_var *v = y && y->kind == PTX_SYM_VAR ? y->ptr : NULL;
        if (!v || v->space != PTX_PARAM || k >= HONE_COUNT(list))   // registers and constants are legal PTX, but no compiler emits them
            return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "call argument is not a .param variable:");
        list[k++] = v;
        HONE_TRY(ptx_advance(p));
        if (!ptx_is_punct(&p->tok, ','))
            break;
        HONE_TRY(ptx_advance(p));
    }
    HONE_TRY(ptx_expect(p, ')'));
    if (!(*out = hone_arena_array(p->arena, k + 1, sizeof **out)))
        return ptx_nomem(p);
    if (k)
        memcpy(*out, list, k * sizeof **out);
    *n = (uint8_t)k;
    return HONE_OK;
}

static hone_code parse_callee(ptx_parser *p, ptx_inst *in, const ptx_func **f) {
    ptx_sym *y = NULL;
    if (p->tok.kind == PTX_T_IDENT)
        HONE_TRY(ptx_reg_find(p, &p->tok, &y));
    if (y) {
        in->operand[0] = (ptx_operand){.kind = PTX_O_REG, .reg = y->index};
        in->n_operands = 1;
        if (y->type == PTX_PRED || ptx_type_bytes(y->type) != 8)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "callee is not a 64-bit register:");
        return ptx_advance(p);
    }
    y = p->tok.kind == PTX_T_IDENT ? ptx_sym_find(p, p->tok.s, p->tok.n) : NULL;
    if (!y || y->kind != PTX_SYM_FUNC)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "function not declared:");
    *f = y->ptr;
    in->callee = (*f)->name;
    return ptx_advance(p);
}

// A variadic callee (vprintf-like) declares fewer; everything else must agree in number and size.
static hone_code check_call(ptx_parser *p, const ptx_inst *in, const ptx_func *f, const ptx_tok *at) {
    if (in->n_call_rets > f->n_rets || in->n_call_args != f->n_params)
        return ptx_error(p, at, HONE_E_PARSE, "wrong number of arguments for call");
    for (size_t i = 0; i < in->n_call_args; i++)
        if (f->params[i]->bytes && in->call_args[i]->bytes != f->params[i]->bytes)
            return ptx_error(p, at, HONE_E_PARSE, "argument of another size in call");
    for (size_t i = 0; i < in->n_call_rets; i++)
        if (in->call_rets[i]->bytes != f->rets[i]->bytes)
            return ptx_error(p, at, HONE_E_PARSE, "result of another size in call");
    return HONE_OK;
}

hone_code ptx_parse_call(ptx_parser *p, ptx_inst *in) {
    const ptx_func *f = NULL;
    ptx_tok at = p->tok;
    if (ptx_is_punct(&p->tok, '(')) {
        HONE_TRY(parse_call_list(p, &in->call_rets, &in->n_call_rets));
        HONE_TRY(ptx_expect(p, ','));
        at = p->tok;
    }
    HONE_TRY(parse_callee(p, in, &f));
    if (ptx_is_punct(&p->tok, ',')) {
        HONE_TRY(ptx_advance(p));
        if (ptx_is_punct(&p->tok, '(')) {
            HONE_TRY(parse_call_list(p, &in->call_args, &in->n_call_args));
            if (ptx_is_punct(&p->tok, ','))
                HONE_TRY(ptx_advance(p));
        }
    }
    if (p->tok.kind == PTX_T_IDENT) {
        ptx_sym *y = ptx_sym_find(p, p->tok.s, p->tok.n);
        if (!y || y->kind != PTX_SYM_PROTO)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "call prototype not declared:");
        in->prototype = y->ptr;
        f = in->prototype;
        HONE_TRY(ptx_advance(p));
    }
    return f ? check_call(p, in, f, &at) : ptx_error(p, &at, HONE_E_PARSE, "indirect call without a prototype:");
}
