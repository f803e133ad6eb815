// ptx checks: an instruction against rules.def: types, required words, number, kind and width of operands. What passes here is safe to
// execute: every register operand is as wide as the operation reads or writes it.
#include "ptx/internal.h"

#define RULE(op, group, types, lo, hi, operands) [PTX_OP_##op] = {PTX_G_##group, types, lo, hi, operands},
static const ptx_rule rules[PTX_OP_COUNT] = {
#include "ptx/rules.def"
};
#undef RULE
#define SUBRULE(sub, types, lo, hi, operands) [sub] = {1, types, lo, hi, operands},
static const ptx_rule subrules[PTX_TEX_ACUBE + 1] = {
#include "ptx/subrules.def"
};
#undef SUBRULE

const ptx_rule *ptx_rule_of(ptx_op op) { return &rules[op]; }

typedef struct checker { ptx_parser *p; const ptx_inst *in; const ptx_tok *at; } checker;

static hone_code bad(const checker *c, const char *what) { return ptx_error(c->p, c->at, HONE_E_PARSE, what); }

static bool has_sub(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_CP: case PTX_OP_MBARRIER: case PTX_OP_BAR: case PTX_OP_BARRIER: case PTX_OP_WMMA: case PTX_OP_TESTP: case PTX_OP_TEX: case PTX_OP_TLD4:
    case PTX_OP_TXQ: case PTX_OP_SUQ: case PTX_OP_ISTYPEP: case PTX_OP_SULD: case PTX_OP_SUST: case PTX_OP_SURED: case PTX_OP_TENSORMAP:
    case PTX_OP_GRIDDEPCONTROL: case PTX_OP_SETMAXNREG: case PTX_OP_WGMMA: return in->sub != PTX_SUB_NONE;
    default: return true;
    }
}

// Which words go with which of the texture and surface instructions; they share one group of modifiers.
static bool texture_words(const ptx_inst *in) {
    const uint32_t color = in->mods2 & (PTX_M2_RED | PTX_M2_GREEN | PTX_M2_BLUE | PTX_M2_ALPHA);
    const bool shape = in->sub >= PTX_TEX_1D, formatted = in->mods2 & PTX_M2_FORMATTED, bytes = in->mods2 & PTX_M2_CG_HINT;
    if (in->op != PTX_OP_SURED && in->atom != PTX_ATOM_NONE)
        return false;
    switch (in->op) {
    case PTX_OP_TEX: return shape && !color && !formatted;
    case PTX_OP_TLD4: return shape && color && !(color & (color - 1)) && !formatted;
    case PTX_OP_TXQ: return in->sub >= PTX_TXQ_WIDTH && in->sub <= PTX_TXQ_SAMPLES && !color;
    case PTX_OP_SUQ: return ((in->sub >= PTX_TXQ_WIDTH && in->sub <= PTX_TXQ_LAYERS && in->sub != PTX_TXQ_NORMALIZED) || in->sub == PTX_SUQ_LAYOUT) && !color;
    case PTX_OP_ISTYPEP: return in->sub >= PTX_IS_TEXREF && in->sub <= PTX_IS_SURFREF && !color;
    default: return shape && formatted != bytes && !(color & ~PTX_M2_BLUE) && (in->op != PTX_OP_SURED || in->atom != PTX_ATOM_NONE);
    }
}

// tensormap.replace.tile.FIELD….b1024.TYPE [map], …; tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.SCOPE.sync.aligned [to], [from], 128
static bool tensormap_words(const ptx_inst *in) {
    if (in->sub == PTX_TMAP_COPY)
        return in->space == PTX_GLOBAL && in->space2 == PTX_SHARED && in->mods2 & PTX_M2_TENSOR && in->sem == PTX_RELEASE && in->scope != PTX_SCOPE_NONE &&
               in->mods & PTX_M_SYNC && in->mods & PTX_M_ALIGNED && !(in->mods2 & (PTX_M2_TILE | PTX_M2_BITS1024 | PTX_M2_CG_HINT)) && !in->n_types;
    const bool wide = in->sub == PTX_TMAP_ADDRESS || in->sub == PTX_TMAP_STRIDE;
    return in->mods2 & PTX_M2_TILE && in->mods2 & PTX_M2_BITS1024 && in->mods2 & PTX_M2_CG_HINT /* .replace */ && !in->space2 &&
           in->n_types == 1 && in->type[0] == (wide ? PTX_B64 : PTX_B32);
}

// Words without which the opcode means nothing.
static hone_code check_words(const checker *c) {
    const ptx_inst *in = c->in;
    bool ok = has_sub(in);
    switch (in->op) {
    case PTX_OP_SETP: case PTX_OP_SET: ok = in->cmp != PTX_CMP_NONE; break;
    case PTX_OP_ATOM: case PTX_OP_RED: case PTX_OP_REDUX: case PTX_OP_SHFL: case PTX_OP_VOTE: case PTX_OP_MATCH:
        ok = in->atom != PTX_ATOM_NONE;
        break;
    case PTX_OP_SHF: ok = in->mods & (PTX_M_LEFT | PTX_M_RIGHT) && in->mods & (PTX_M_WRAP | PTX_M_CLAMP); break;
    case PTX_OP_ISSPACEP: ok = in->space != PTX_GENERIC; break;
    case PTX_OP_CVTA: ok = in->space != PTX_GENERIC; break;
    case PTX_OP_MMA: case PTX_OP_LDMATRIX: case PTX_OP_STMATRIX: ok = in->shape != PTX_SHAPE_NONE; break;
    case PTX_OP_WGMMA: ok = ok && (in->sub != PTX_WGMMA_MMA_ASYNC || in->shape >= PTX_M64); break;
    case PTX_OP_TEX: case PTX_OP_TLD4: case PTX_OP_TXQ: case PTX_OP_SUQ: case PTX_OP_ISTYPEP: case PTX_OP_SULD: case PTX_OP_SUST: case PTX_OP_SURED:
        ok = ok && texture_words(in);
        break;
    case PTX_OP_TENSORMAP: ok = ok && tensormap_words(in); break;
    case PTX_OP_BRX: ok = in->mods2 & PTX_M2_CG_HINT; break;   // .idx, a hint row of mods.def
    default: break;
    }
    if (in->op != PTX_OP_CP && (in->sub == PTX_CP_ASYNC || in->mods2 & PTX_M2_MBARRIER))   // st.async, red.async: both words
        ok = ok && (in->op == PTX_OP_ST || in->op == PTX_OP_RED) && in->sub == PTX_CP_ASYNC && in->mods2 & PTX_M2_MBARRIER && in->n_operands == 3;
    if (ptx_rule_of(in->op)->group == PTX_G_LD && in->mods2 & PTX_M2_TENSOR)   // prefetch{.const, .param}.tensormap
        ok = ok && in->op == PTX_OP_PREFETCH && (in->space == PTX_GENERIC || in->space == PTX_CONST || in->space == PTX_PARAM) && !(in->mods2 & PTX_M2_CG_HINT);
    if (in->op == PTX_OP_BAR || in->op == PTX_OP_BARRIER)
        ok = ok && (in->sub != PTX_BAR_RED || in->atom != PTX_ATOM_NONE);
    return ok ? HONE_OK : bad(c, "a required modifier is missing from");
}

static hone_code check_types(const checker *c, const ptx_rule *r) {
    const ptx_inst *in = c->in;
    if (in->n_types < r->min_types || in->n_types > r->max_types)
        return bad(c, "wrong number of types for");
    const bool may_mix = in->op == PTX_OP_ADD || in->op == PTX_OP_SUB || in->op == PTX_OP_FMA;   // .f32.f16: mixed precision
    if (may_mix && in->n_types == 2 && (in->type[0] != PTX_F32 || (in->type[1] != PTX_F16 && in->type[1] != PTX_BF16)))
        return bad(c, "wrong number of types for");
    for (unsigned i = 0; i < in->n_types; i++)
        if (!strchr(r->types, ptx_type_kind((ptx_type)in->type[i])))
            return bad(c, "wrong type for");
    return HONE_OK;
}

static unsigned bytes_of(const ptx_inst *in, unsigned i) { return i < in->n_types ? ptx_type_bytes((ptx_type)in->type[i]) : 0; }

// What a width letter asks for: bytes, whether wider registers will do, and the type it stands for.
typedef struct width { unsigned bytes; bool at_least, is_pred, any; ptx_type type; } width;
static width width_of(const ptx_inst *in, char letter) {
    width w = {0};
    unsigned i = letter >= '0' && letter <= '3' ? (unsigned)(letter - '0') : letter == 'n' || (letter == 'x' && in->n_types > 1) ? 1 : 0;
    w.type = i < in->n_types ? (ptx_type)in->type[i] : PTX_NOTYPE;
    w.bytes = bytes_of(in, i);
    w.is_pred = w.type == PTX_PRED;
    switch (letter) {
    case 'w': w.bytes *= in->mods & PTX_M_WIDE ? 2 : 1; break;
    case 'u': w = (width){.bytes = 4, .type = PTX_U32}; break;
    case 'l': w = (width){.bytes = 8, .type = PTX_U64}; break;
    case 'y': w = in->mods2 & PTX_M2_PARITY ? (width){.bytes = 4, .type = PTX_U32} : (width){.bytes = 8, .type = PTX_U64}; break;
    case 'm': case 'n': w.at_least = true; break;
    case '-': w = (width){.any = true}; break;
    default: break;
    }
    return w;
}

static hone_code check_reg(const checker *c, uint32_t reg, width w) {
    ptx_type t = c->p->regs.v[reg].type;
    unsigned bytes = ptx_type_bytes(t);
    if (bytes == 16 && (w.any || w.bytes != 16))
        return bad(c, "operand is a register of another width in");
    if (w.any)
        return t == PTX_PRED ? bad(c, "a predicate cannot be an operand here of") : HONE_OK;
    if ((t == PTX_PRED) != w.is_pred)
        return bad(c, w.is_pred ? "operand is not a predicate in" : "a predicate cannot be an operand here of");
    if (!w.is_pred && (w.at_least ? bytes < w.bytes : bytes != w.bytes))
        return bad(c, "operand is a register of another width in");
    return HONE_OK;
}

static hone_code check_pred_reg(const checker *c, const ptx_operand *o) {
    return o->kind == PTX_O_REG && c->p->regs.v[o->reg].type == PTX_PRED ? HONE_OK : bad(c, "operand is not a predicate in");
}

static hone_code check_source(const checker *c, const ptx_operand *o, width w) {
    char kind = ptx_type_kind(w.type);
    switch (o->kind) {
    case PTX_O_REG: return o->negated ? bad(c, "negated operand in") : check_reg(c, o->reg, w);
    case PTX_O_SREG: return w.is_pred != (o->sreg == PTX_SREG_IS_EXPLICIT_CLUSTER) ? bad(c, "operand is not a predicate in") : HONE_OK;
    case PTX_O_INT: return kind == 'F' && w.bytes >= 4 ? bad(c, "an integer constant cannot be an operand of") : HONE_OK;
    case PTX_O_FLOAT: return kind == 'F' || kind == 'B' || w.any ? HONE_OK : bad(c, "a floating-point constant cannot be an operand of");
    default: return bad(c, "operand is neither a register nor a constant in");
    }
}

static hone_code check_dest(const checker *c, const ptx_operand *o, width w) {
    if (o->kind == PTX_O_SINK)
        return HONE_OK;
    return o->kind == PTX_O_REG && !o->negated ? check_reg(c, o->reg, w) : bad(c, "destination is not a register in");
}

static hone_code check_address(const checker *c, const ptx_operand *o) {
    if (o->kind != PTX_O_ADDR)
        return bad(c, "operand is not an [address] in");
    if (o->has_base && (c->p->regs.v[o->reg].type == PTX_PRED || ptx_type_bytes(c->p->regs.v[o->reg].type) < 4))
        return bad(c, "address register is too narrow in");
    for (unsigned i = 0; i < o->n_elems; i++)
        if (o->elems[i].kind == PTX_O_REG)
            HONE_TRY(check_reg(c, o->elems[i].reg, (width){.any = true}));
    return HONE_OK;
}

static hone_code check_vector(const checker *c, const ptx_operand *o, width w, bool is_dest, unsigned want) {
    if (want == 1 && o->kind != PTX_O_VEC)
        return is_dest ? check_dest(c, o, w) : check_source(c, o, w);
    if (o->kind != PTX_O_VEC || (want && o->n_elems != want))
        return bad(c, "wrong number of vector elements in");
    for (unsigned i = 0; i < o->n_elems; i++)
        HONE_TRY(is_dest ? check_dest(c, &o->elems[i], w) : check_source(c, &o->elems[i], w));
    return HONE_OK;
}

static hone_code check_any(const checker *c, const ptx_operand *o, width w) {
    if (o->kind == PTX_O_REG && !w.any)
        return check_reg(c, o->reg, w);
    return HONE_OK;
}

static hone_code check_pred_source(const checker *c, const ptx_operand *o) {
    return o->kind == PTX_O_INT ? HONE_OK : check_pred_reg(c, o);
}

static hone_code check_matrix(const checker *c, const ptx_operand *o) {
    if (o->kind == PTX_O_REG)
        return check_reg(c, o->reg, (width){.any = true});
    if (o->kind != PTX_O_VEC)
        return bad(c, "operand is not a vector in");
    for (unsigned i = 0; i < o->n_elems; i++)
        HONE_TRY(check_dest(c, &o->elems[i], (width){.any = true}));
    return HONE_OK;
}

static hone_code check_operand(const checker *c, const ptx_operand *o, char kind, width w) {
    switch (kind) {
    case 'd': return check_dest(c, o, w);
    case 'D': case 'Q': return o->kind == PTX_O_SINK ? HONE_OK : check_pred_reg(c, o);
    case 's': return check_source(c, o, w);
    case 'p': return check_pred_source(c, o);
    case 'a': return check_address(c, o);
    case 'V': return check_vector(c, o, w, true, c->in->vec);
    case 'v': return check_vector(c, o, w, false, c->in->vec);
    case 'R': return check_matrix(c, o);
    case 'T': return o->kind == PTX_O_VEC && o->elems[0].kind == PTX_O_LABEL ? HONE_OK : bad(c, "operand is not a list of labels in");
    case 'L': return o->kind == PTX_O_LABEL ? HONE_OK : bad(c, "operand is not a label in");
    case 'i': return o->kind == PTX_O_INT ? HONE_OK : bad(c, "operand is not an integer constant in");
    default: return check_any(c, o, w);
    }
}

// Walks the operands along the rule. Optional places are skipped when the rest would not fit otherwise: only '|p' decides early.
static hone_code check_operands(const checker *c, const char *rule) {
    unsigned at = 0;
    for (const char *r = rule; *r;) {
        char kind = r[0], letter = r[1];
        bool optional = r[2] == '?';
        r += optional ? 3 : 2;
        r += *r == ' ';
        bool part = at < c->in->n_operands && c->in->operand[at].part;
        if (optional && (at >= c->in->n_operands || (kind == 'Q') != part))
            continue;
        if (optional && kind == 's' && c->in->mods2 & PTX_M2_CACHE_HINT && at + 1u == c->in->n_operands)   // the last is the policy
            continue;
        if (at >= c->in->n_operands)
            return bad(c, "too few operands for");
        if (part && kind != 'Q')
            return bad(c, "a pair d|p is not valid in");
        HONE_TRY(check_operand(c, &c->in->operand[at], kind, width_of(c->in, letter)));
        at++;
    }
    return at == c->in->n_operands ? HONE_OK : bad(c, "too many operands for");
}

// mov: register to register, constants, addresses of symbols, and packing {a,b} ↔ c, where the parts make up the whole.
static hone_code check_mov(const checker *c) {
    const ptx_operand *d = &c->in->operand[0], *s = &c->in->operand[1];
    width w = width_of(c->in, '0');
    if (c->in->n_operands != 2 || d->part || s->part)
        return bad(c, "wrong number of operands for");
    if (d->kind == PTX_O_VEC || s->kind == PTX_O_VEC) {
        const ptx_operand *v = d->kind == PTX_O_VEC ? d : s, *o = v == d ? s : d;
        if (w.is_pred || (v->n_elems != 2 && v->n_elems != 4 && v->n_elems != 8) || w.bytes % v->n_elems)
            return bad(c, "wrong number of vector elements in");
        width part = {.bytes = w.bytes / v->n_elems, .type = PTX_NOTYPE};
        for (unsigned i = 0; i < v->n_elems; i++)
            HONE_TRY(v == d ? check_dest(c, &v->elems[i], part) : check_source(c, &v->elems[i], part));
        return o == d ? check_dest(c, o, w) : check_source(c, o, w);
    }
    HONE_TRY(check_dest(c, d, w));
    if (s->kind == PTX_O_SYMBOL)
        return w.bytes == 8 || w.bytes == 4 ? HONE_OK : bad(c, "an address does not fit in");
    if (w.is_pred && s->kind == PTX_O_INT)
        return HONE_OK;
    return check_source(c, s, w);
}

static hone_code check_cas(const checker *c) {
    const ptx_inst *in = c->in;
    unsigned sources = in->n_operands - (in->mods2 & PTX_M2_CACHE_HINT ? 1u : 0u);
    bool cas = in->atom == PTX_ATOM_CAS;
    return sources == (cas ? 4u : 3u) ? HONE_OK : bad(c, cas ? "cas needs two values in" : "wrong number of operands for");
}

static hone_code check_free(const checker *c) {   // the "*" rules: each family's binder checks the rest
    for (unsigned i = 0; i < c->in->n_operands; i++)
        if (c->in->operand[i].kind == PTX_O_ADDR)
            HONE_TRY(check_address(c, &c->in->operand[i]));
    return HONE_OK;
}

const char *ptx_operands_of(const ptx_inst *in) {
    const ptx_rule *r = &rules[in->op];
    return in->sub && subrules[in->sub].operands && r->operands[0] == '*' ? subrules[in->sub].operands : r->operands;
}

hone_code ptx_check_inst(ptx_parser *p, const ptx_inst *in, const ptx_tok *at) {
    checker c = {p, in, at};
    const ptx_rule *r = &rules[in->op];
    if (in->sub && subrules[in->sub].operands && r->operands[0] == '*')
        r = &subrules[in->sub];
    HONE_TRY(check_words(&c));
    HONE_TRY(check_types(&c, r));
    if (in->op == PTX_OP_MOV)
        return check_mov(&c);
    if (in->op == PTX_OP_CALL)
        return HONE_OK;
    if (r->operands[0] == '*')
        return check_free(&c);
    HONE_TRY(check_operands(&c, r->operands));
    return in->op == PTX_OP_ATOM ? check_cas(&c) : HONE_OK;
}
