// ptx instructions: guard, opcode, modifiers (through mods.def) and the list of operands. What operands an opcode may have is
// check.c's; how one operand reads is operand.c's.
#include "ptx/internal.h"

enum { F_TYPE, F_SPACE, F_RND, F_CMP, F_BOOL, F_SEM, F_SCOPE, F_ATOM, F_VEC, F_MOD, F_MOD2, F_SUB, F_SHAPE, F_LAYOUT, F_HINT };
#define G(x) (1ull << PTX_G_##x)
#define M(text, groups, field, value) {text, groups, F_##field, (uint32_t)(value)},
const ptx_mod ptx_mods[] = {
#include "ptx/mods.def"
};
#undef M
#undef G
const size_t ptx_n_mods = HONE_COUNT(ptx_mods);

typedef struct mod_state { uint32_t seen; unsigned layouts; } mod_state;   // fields already set

static hone_code set_once(ptx_parser *p, mod_state *s, unsigned field, uint8_t *to, uint32_t value) {
    if (s->seen & 1u << field)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "modifier contradicts an earlier one:");
    s->seen |= 1u << field;
    *to = (uint8_t)value;
    return HONE_OK;
}

static hone_code set_type(ptx_parser *p, ptx_inst *in, uint32_t value) {
    if (in->n_types >= HONE_COUNT(in->type))
        return ptx_error(p, &p->tok, HONE_E_PARSE, "too many types at");
    in->type[in->n_types++] = (uint8_t)value;
    return HONE_OK;
}

static hone_code set_space(ptx_parser *p, ptx_inst *in, mod_state *s, uint32_t value) {
    if (!(s->seen & 1u << F_SPACE))
        return set_once(p, s, F_SPACE, &in->space, value);
    if ((in->op != PTX_OP_CP && in->op != PTX_OP_TENSORMAP) || in->space2)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "modifier contradicts an earlier one:");
    in->space2 = (uint8_t)value;
    return HONE_OK;
}

static void set_sub(ptx_inst *in, uint32_t value) {
    if (in->op == PTX_OP_MBARRIER && in->sub == PTX_MB_ARRIVE && value == PTX_MB_EXPECT_TX)
        value = PTX_MB_ARRIVE_EXPECT_TX;
    else if (in->op == PTX_OP_MBARRIER && in->sub == PTX_MB_ARRIVE_DROP && value == PTX_MB_EXPECT_TX)
        value = PTX_MB_ARRIVE_DROP_EXPECT_TX;
    in->sub = (uint8_t)value;   // later words refine earlier ones: cp.async.commit_group
}

static hone_code apply(ptx_parser *p, ptx_inst *in, mod_state *s, const ptx_mod *m) {
    switch (m->field) {
    case F_TYPE: return set_type(p, in, m->value);
    case F_SPACE: return set_space(p, in, s, m->value);
    case F_RND: return set_once(p, s, F_RND, &in->rnd, m->value);
    case F_CMP: return set_once(p, s, F_CMP, &in->cmp, m->value);
    case F_BOOL: return set_once(p, s, F_BOOL, &in->boolop, m->value);
    case F_SEM: return set_once(p, s, F_SEM, &in->sem, m->value);
    case F_SCOPE: return set_once(p, s, F_SCOPE, &in->scope, m->value);
    case F_ATOM: return set_once(p, s, F_ATOM, &in->atom, m->value);
    case F_VEC: return set_once(p, s, F_VEC, &in->vec, m->value);
    case F_SHAPE: return set_once(p, s, F_SHAPE, &in->shape, m->value);
    case F_MOD: in->mods |= m->value; break;
    case F_MOD2: in->mods2 |= m->value; break;
    case F_SUB:
        if (in->sub && (m->groups == 1ull << PTX_G_TEX || m->groups == 1ull << PTX_G_TMAP))
            return ptx_error(p, &p->tok, HONE_E_PARSE, "modifier contradicts an earlier one:");
        set_sub(in, m->value);
        break;
    case F_LAYOUT:
        if (m->value)
            in->mods2 |= s->layouts ? PTX_M2_COL_B : PTX_M2_COL_A;
        s->layouts++;
        break;
    default: in->mods2 |= PTX_M2_CG_HINT; break;
    }
    return HONE_OK;
}

static unsigned decimal(const char **at, const char *end) {
    unsigned n = 0;
    for (unsigned digits = 0; *at < end && **at >= '0' && **at <= '9' && digits < 4; digits++)
        n = 10 * n + (unsigned)(*(*at)++ - '0');
    return n;
}

// PTX ISA 9.7.15.2: m64nNkK with N a multiple of 8 up to 256; which K belongs to which type is the binder's to check.
static bool is_wgmma_shape(const ptx_tok *t, unsigned *n, unsigned *k) {
    const char *at = t->s + 4, *end = t->s + t->n;
    if (t->n < 6 || strncmp(t->s, "m64n", 4) != 0)
        return false;
    *n = decimal(&at, end);
    if (at == end || *at++ != 'k')
        return false;
    *k = decimal(&at, end);
    return at == end && *n >= 8 && *n <= 256 && *n % 8 == 0 && *k >= 8 && *k < 256;
}

static hone_code parse_modifier(ptx_parser *p, ptx_inst *in, mod_state *s, unsigned group) {
    bool known = false, here = false;
    unsigned n, k;
    if (group == PTX_G_WGMMA && is_wgmma_shape(&p->tok, &n, &k)) {
        HONE_TRY(set_once(p, s, F_SHAPE, &in->shape, PTX_M64 + n / 8 - 1));
        HONE_TRY(set_once(p, s, F_VEC, &in->vec, k));
        return ptx_advance(p);
    }
    for (int i = ptx_mod_first(p, p->tok.s, p->tok.n); i >= 0; i = p->tables->mod_next[i] - 1) {
        if (!ptx_tok_is(&p->tok, ptx_mods[i].text))
            continue;
        known = true;
        if (!(ptx_mods[i].groups >> group & 1))
            continue;
        here = true;
        HONE_TRY(apply(p, in, s, &ptx_mods[i]));
    }
    if (!here)
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, known ? "modifier not valid for this opcode:" : "unknown modifier");
    return ptx_advance(p);
}

// Words whose meaning depends on others of the same opcode.
static void settle(ptx_inst *in) {
    if (in->op == PTX_OP_MATCH)
        in->atom = in->atom == PTX_VOTE_ANY ? PTX_MATCH_ANY : in->atom == PTX_VOTE_ALL ? PTX_MATCH_ALL : PTX_ATOM_NONE;
    if (in->op != PTX_OP_BAR && in->op != PTX_OP_BARRIER)
        return;
    if (in->mods2 & PTX_M2_CLUSTER)
        in->sub = in->sub == PTX_BAR_ARRIVE ? PTX_BAR_CLUSTER_ARRIVE : in->sub == PTX_BAR_CLUSTER_WAIT ? PTX_BAR_CLUSTER_WAIT
            : PTX_SUB_NONE;
    else if (in->sub == PTX_BAR_CLUSTER_WAIT)
        in->sub = PTX_SUB_NONE;
    if (in->mods & PTX_M_WARP)
        in->sub = in->sub == PTX_BAR_SYNC ? PTX_BAR_WARP_SYNC : PTX_SUB_NONE;
}

static hone_code parse_guard(ptx_parser *p, ptx_inst *in) {
    ptx_sym *y = NULL;
    HONE_TRY(ptx_advance(p));
    if (ptx_is_punct(&p->tok, '!')) {
        in->guard_neg = true;
        HONE_TRY(ptx_advance(p));
    }
    if (p->tok.kind == PTX_T_IDENT)
        HONE_TRY(ptx_reg_find(p, &p->tok, &y));
    if (!y || y->type != PTX_PRED)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a predicate at");
    in->has_guard = true;
    in->guard = y->index;
    return ptx_advance(p);
}

static hone_code parse_operands(ptx_parser *p, ptx_inst *in) {
    uint8_t part = 0;
    while (!ptx_is_punct(&p->tok, ';')) {
        if (in->n_operands >= PTX_MAX_OPERANDS)
            return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "too many operands at");
        ptx_operand *o = &in->operand[in->n_operands];
        HONE_TRY(ptx_parse_operand(p, in, o));
        o->part = part;
        in->n_operands++;
        part = ptx_is_punct(&p->tok, '|');
        if (!part && !ptx_is_punct(&p->tok, ','))
            break;
        HONE_TRY(ptx_advance(p));
        if (ptx_is_punct(&p->tok, ';'))
            return ptx_error(p, &p->tok, HONE_E_PARSE, "expected an operand before");
    }
    return HONE_OK;
}

hone_code ptx_parse_opcode(ptx_parser *p, ptx_inst *in) {
    mod_state s = {0};
    if (p->tok.kind != PTX_T_IDENT)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected an instruction at");
    int op = ptx_op_find(p, p->tok.s, p->tok.n);
    if (op < 0)
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unknown opcode");
    in->op = (uint16_t)op;
    in->line = p->tok.line;
    unsigned group = ptx_rule_of((ptx_op)op)->group;
    HONE_TRY(ptx_advance(p));
    while (p->tok.kind == PTX_T_DOT)
        HONE_TRY(parse_modifier(p, in, &s, group));
    settle(in);
    return HONE_OK;
}

hone_code ptx_parse_inst(ptx_parser *p) {
    ptx_inst in = {.line = p->tok.line, .src_line = p->src_line, .src_file = (uint16_t)p->src_file, .vec = 1};
    if (p->insts.n >= PTX_MAX_INSTS)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "too many instructions at");
    if (ptx_is_punct(&p->tok, '@'))
        HONE_TRY(parse_guard(p, &in));
    ptx_tok at = p->tok;
    HONE_TRY(ptx_parse_opcode(p, &in));
    HONE_TRY(in.op == PTX_OP_CALL ? ptx_parse_call(p, &in) : parse_operands(p, &in));
    HONE_TRY(ptx_expect(p, ';'));
    HONE_TRY(ptx_check_inst(p, &in, &at));
    p->end_label = false;
    return hone_vec_push(&p->insts, in) ? HONE_OK : ptx_nomem(p);
}
