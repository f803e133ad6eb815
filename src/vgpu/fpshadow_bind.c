// fpshadow_bind: which instruction is followed how. Runs behind the normal binding of each instruction of a shadow program: keeps the normal
// handlers and puts its own in their place. Instructions that neither compute nor move floats stay as they are: what they write is no
// shadow's word any more.
#include "vgpu/fpshadow.h"
#include <math.h>

static uint32_t kind_of(ptx_type t) {
    switch (t) {
    case PTX_F16: case PTX_F16X2: return VG_FS_F16;
    case PTX_BF16: case PTX_BF16X2: return VG_FS_BF16;
    case PTX_F32: case PTX_TF32: return VG_FS_F32;
    case PTX_F64: return VG_FS_F64;
    default: return VG_FS_NONE;
    }
}
static bool packed(ptx_type t) { return t == PTX_F16X2 || t == PTX_BF16X2; }
static bool narrow8(ptx_type t) { return t == PTX_E4M3 || t == PTX_E5M2 || t == PTX_E4M3X2 || t == PTX_E5M2X2; }
static bool is_int(ptx_type t) { return t >= PTX_U8 && t <= PTX_S64; }

// One rounding of the result type, with room for what PTX allows approximate instructions (ISA 9.7.3: at worst 2^-20.9 for f32 and
// 2^-11 for tanh.approx), and the largest number that becomes zero.
static void set_rounding(vg_fs_inst *s, const ptx_inst *in) {
    const bool rough = in->op == PTX_OP_TANH && (in->mods & PTX_M_APPROX);
    switch (s->kind) {
    case VG_FS_F16: s->rel = 0x1p-9; s->abs += 0x1p-23; break;
    case VG_FS_BF16: s->rel = 0x1p-6; s->abs += 0x1p-126; break;
    case VG_FS_F64: s->rel = in->mods & PTX_M_APPROX ? 0x1p-18 : 0x1p-48; s->abs += 0x1p-1022; break;
    default: s->rel = rough ? 0x1p-10 : 0x1p-19; s->abs += 0x1p-125; break;
    }
}

// ---- constants, also through a register that is written once
static bool constant_of(const vg_binder *b, const ptx_operand *o, double *x) {
    if (o->kind == PTX_O_REG) {
        *x = b->fs_const ? b->fs_const[o->reg] : NAN;
        return *x == *x;
    }
    if (o->kind != PTX_O_FLOAT)
        return false;
    if (o->is_f32) {
        float f;
        const uint32_t bits = (uint32_t)o->bits;
        memcpy(&f, &bits, 4);
        *x = (double)f;
    } else {
        memcpy(x, &o->bits, 8);
    }
    return true;
}

static void note_write(uint8_t *writes, const ptx_operand *o) {
    if (o->kind == PTX_O_REG)
        writes[o->reg] = writes[o->reg] < 2 ? writes[o->reg] + 1 : 2;
    for (unsigned i = 0; o->kind == PTX_O_VEC && i < o->n_elems; i++)
        note_write(writes, &o->elems[i]);
}

// The float that a mov writes, NAN when it writes none.
static double moved_constant(const ptx_inst *in) {
    const vg_binder no_registers = {0};
    const ptx_operand *v = &in->operand[1];
    double x = (double)NAN;
    float bits = 0;
    if (in->op != PTX_OP_MOV || in->n_operands != 2)
        return x;
    if (v->kind == PTX_O_FLOAT && constant_of(&no_registers, v, &x))
        return x;
    if (v->kind != PTX_O_INT || in->type[0] == PTX_PRED || ptx_type_bytes((ptx_type)in->type[0]) != 4)
        return (double)NAN;
    memcpy(&bits, &v->i, 4);
    return (double)bits;
}

double *vg_fs_constants(const ptx_func *f) {
    double *c = hone_calloc(f->n_regs + 1, sizeof *c);
    uint8_t *writes = hone_calloc(f->n_regs + 1, 1);
    for (size_t i = 0; c && writes && i < f->n_insts; i++) {
        const ptx_inst *in = &f->insts[i];
        if (!in->n_operands)
            continue;
        note_write(writes, &in->operand[0]);
        if (in->operand[0].kind == PTX_O_REG)
            c[in->operand[0].reg] = moved_constant(in);
    }
    for (size_t i = 0; c && writes && i < f->n_regs; i++)
        c[i] = writes[i] == 1 ? c[i] : (double)NAN;
    if (!writes) {
        hone_free(c);
        c = NULL;
    }
    hone_free(writes);
    return c;
}

// Adding 1.5·2^23 (2^52) rounds to an integer by intent (expf, rintf and their like do it, plus a small number): the integer is
// meant, not the sum. A constant in the binade of the unit in the last place that is a multiple of half a binade, give or take 1024.
static bool magic_constant(const vg_binder *b, const ptx_operand *o, bool wide) {
    double x = 0;
    if (!constant_of(b, o, &x) || !isfinite(x))
        return false;
    const double unit = wide ? 0x1p51 : 0x1p22, a = fabs(x);
    return a >= 2 * unit && a < 32 * unit && a == floor(a) && fmod(a, unit) < 1024;
}
static bool is_magic(const vg_binder *b, const ptx_inst *in, bool wide) {
    if (in->op == PTX_OP_ADD || in->op == PTX_OP_SUB)
        return magic_constant(b, &in->operand[1], wide) || magic_constant(b, &in->operand[2], wide);
    return (in->op == PTX_OP_FMA || in->op == PTX_OP_MAD) && magic_constant(b, &in->operand[3], wide);
}

static bool use(vg_fs_inst *s, vg_handler h) {
    s->shadow = h;
    return true;
}

static bool bind_arith(vg_binder *b, const ptx_inst *in, vg_fs_inst *s) {
    const ptx_type t = in->n_types ? (ptx_type)in->type[0] : PTX_NOTYPE;
    s->eval = vg_fs_eval_of(in->op, &s->abs);
    s->kind = (uint8_t)kind_of(t);
    if (!s->eval || !s->kind || in->n_operands < 2)
        return false;
    s->source_kind = s->kind;
    s->sources = (uint8_t)(in->n_operands - 1 > 3 ? 3 : in->n_operands - 1);
    s->pair = packed(t);
    s->clamp = in->mods & PTX_M_SAT;
    s->relu = in->mods & PTX_M_RELU;
    s->pick = in->op == PTX_OP_MIN || in->op == PTX_OP_MAX;
    s->integral = is_magic(b, in, t == PTX_F64);
    set_rounding(s, in);
    return use(s, t == PTX_F64 ? vg_fs_arith64 : vg_fs_arith);
}

static bool bind_bits(const vg_inst *out, vg_fs_inst *s, unsigned sources) {
    const uint32_t rows[4] = {out->a, out->b, out->c, out->aux};
    s->sources = (uint8_t)sources;
    for (unsigned i = 0; i < sources; i++)
        s->row[i] = rows[i];
    return use(s, vg_fs_bits);
}

static bool bind_cvt(vg_binder *b, const ptx_inst *in, const vg_inst *out, vg_fs_inst *s) {
    const ptx_type d = (ptx_type)in->type[0], from = (ptx_type)in->type[1];
    const ptx_type reg_d = vg_bind_reg_type(b, &in->operand[0]), reg_s = vg_bind_reg_type(b, &in->operand[1]);
    if (is_int(d) && is_int(from))
        return ptx_type_bytes(reg_d) <= 4 && ptx_type_bytes(reg_s) <= 4 && reg_s != PTX_NOTYPE && bind_bits(out, s, 1);
    if (narrow8(d) && kind_of(from))
        return use(s, vg_fs_cvt_narrow);
    s->kind = (uint8_t)kind_of(d);
    s->source_kind = (uint8_t)kind_of(from);
    if (!s->kind || !s->source_kind || ptx_type_bytes(reg_d) > ptx_type_bytes(d) + 2u)
        return false;
    s->sources = in->n_operands == 3 ? 2 : 1;
    s->pair = packed(d);
    s->clamp = in->mods & PTX_M_SAT;
    s->relu = in->mods & PTX_M_RELU;
    s->integral = in->rnd >= PTX_RNI;
    if (s->integral && s->kind == VG_FS_F64)
        return false;
    set_rounding(s, in);
    s->rel = in->type[0] == PTX_TF32 ? 0x1p-9 : s->rel;
    return use(s, vg_fs_cvt);
}

static bool bind_wide_move(const vg_inst *out, vg_fs_inst *s, unsigned sources) {
    s->sources = (uint8_t)sources;
    s->row[0] = out->a;
    s->row[1] = out->b;
    return use(s, vg_fs_move64);
}

static bool bind_move(const ptx_inst *in, const vg_inst *out, vg_fs_inst *s) {
    const unsigned bytes = ptx_type_bytes((ptx_type)in->type[0]), sources = in->op == PTX_OP_MOV ? 1 : 2;
    if (in->type[0] == PTX_PRED || bytes > 8)
        return false;
    if (in->op == PTX_OP_MOV && (in->operand[0].kind == PTX_O_VEC || in->operand[1].kind == PTX_O_VEC))
        return use(s, in->operand[0].kind == PTX_O_VEC ? vg_fs_unpack : vg_fs_pack);
    return bytes == 8 ? bind_wide_move(out, s, sources) : bind_bits(out, s, sources);
}

// Integer and logic instructions of up to 32 bits that programs apply to the bits of floats.
static bool bind_integer(const ptx_inst *in, const vg_inst *out, vg_fs_inst *s) {
    static const struct { uint16_t op; uint8_t sources; } ops[] = {
        {PTX_OP_ADD, 2}, {PTX_OP_SUB, 2}, {PTX_OP_MAD, 3}, {PTX_OP_MIN, 2}, {PTX_OP_MAX, 2}, {PTX_OP_AND, 2}, {PTX_OP_OR, 2}, {PTX_OP_XOR, 2},
        {PTX_OP_NOT, 1}, {PTX_OP_SHL, 2}, {PTX_OP_SHR, 2}, {PTX_OP_SHF, 3}, {PTX_OP_LOP3, 3}, {PTX_OP_PRMT, 3}, {PTX_OP_BFE, 3}, {PTX_OP_BFI, 4}};
    if (in->type[0] == PTX_PRED || ptx_type_bytes((ptx_type)in->type[0]) > 4 || in->mods & (PTX_M_WIDE | PTX_M_CC))
        return false;
    for (size_t i = 0; i < HONE_COUNT(ops); i++)
        if (ops[i].op == in->op)
            return bind_bits(out, s, ops[i].sources);
    return false;
}

// ---- memory: the address operand's space, as op_mem.c decides it
static bool bind_memory(vg_binder *b, const ptx_inst *in, const vg_inst *out, vg_fs_inst *s, const ptx_operand *address, bool load) {
    const ptx_space symbol = address->symbol && address->var ? address->var->space : PTX_GENERIC;
    const ptx_space space = in->space == PTX_GENERIC && symbol != PTX_GENERIC ? symbol : (ptx_space)in->space;
    s->bytes = (uint8_t)ptx_type_bytes((ptx_type)in->type[0]);
    s->vec = in->vec ? in->vec : 1;
    if (s->bytes == 1 || s->bytes > 8 || (s->bytes < 8 && out->aux2 & 8 /* 64-bit registers */))
        return false;
    switch (space) {
    case PTX_SHARED: case PTX_SHARED_CLUSTER: s->where = VG_IN_SHARED; break;
    case PTX_LOCAL: s->where = VG_IN_LOCAL; break;
    case PTX_GENERIC: s->where = VG_IN_GENERIC; break;
    case PTX_GLOBAL: case PTX_CONST: s->where = VG_IN_GLOBAL; break;
    case PTX_PARAM:
        if (!address->symbol || !address->var || !vg_place_find(b->out->places, b->out->n_places, address->var))
            return false;
        s->where = VG_FS_FRAME;
        return use(s, load ? vg_fs_load_frame : vg_fs_store_frame);
    default: return false;
    }
    return use(s, load ? vg_fs_load : vg_fs_store);
}

static bool bind_atom(const ptx_inst *in, vg_fs_inst *s) {
    const ptx_type t = (ptx_type)in->type[0];
    s->bytes = (uint8_t)ptx_type_bytes(t);
    s->pair = packed(t);
    if (in->vec > 1)
        return use(s, vg_fs_opaque);
    if (in->atom == PTX_ATOM_ADD && kind_of(t)) {
        s->kind = (uint8_t)kind_of(t);
        return use(s, vg_fs_atom);
    }
    const bool offers = in->atom == PTX_ATOM_CAS || in->atom == PTX_ATOM_EXCH || in->atom == PTX_ATOM_MIN || in->atom == PTX_ATOM_MAX;
    if (kind_of(t))                                    // min and max of halves
        return use(s, vg_fs_opaque);
    return offers && s->bytes == 4 && use(s, vg_fs_atom);
}

static bool bind_matrix(const ptx_inst *in, vg_fs_inst *s) {
    switch (in->op) {
    case PTX_OP_MMA: return use(s, vg_fs_mma);
    case PTX_OP_WMMA: return use(s, in->sub == PTX_WMMA_MMA ? vg_fs_mma : vg_fs_wmma_memory);
    case PTX_OP_LDMATRIX: return use(s, vg_fs_ldmatrix);
    case PTX_OP_STMATRIX: return use(s, vg_fs_stmatrix);
    case PTX_OP_WGMMA: return in->sub == PTX_WGMMA_MMA_ASYNC && use(s, vg_fs_opaque);
    default: return use(s, vg_fs_opaque);
    }
}

static bool choose(vg_binder *b, const ptx_inst *in, const vg_inst *out, vg_fs_inst *s) {
    if (in->sub == PTX_CP_ASYNC && in->op != PTX_OP_CP)   // st.async, red.async: not followed
        return false;
    switch (vg_family_of(in)) {
    case VG_FAM_FLOAT: case VG_FAM_DOUBLE: case VG_FAM_SPECIAL: case VG_FAM_HALF:
        return in->op != PTX_OP_SETP && in->op != PTX_OP_SET && in->op != PTX_OP_TESTP && (bind_arith(b, in, s) || use(s, vg_fs_opaque));
    case VG_FAM_CVT: return bind_cvt(b, in, out, s);
    case VG_FAM_INT: return bind_integer(in, out, s);
    case VG_FAM_LOGIC: return in->op == PTX_OP_MOV ? bind_move(in, out, s) : bind_integer(in, out, s);
    case VG_FAM_CMP: return (in->op == PTX_OP_SELP || in->op == PTX_OP_SLCT) && bind_move(in, out, s);
    case VG_FAM_MEM:
        if (in->op == PTX_OP_LD || in->op == PTX_OP_LDU)
            return bind_memory(b, in, out, s, &in->operand[1], true);
        if (in->op == PTX_OP_ST)
            return bind_memory(b, in, out, s, &in->operand[0], false);
        return in->op == PTX_OP_CP && in->sub == PTX_CP_ASYNC && use(s, vg_fs_cp_async);
    case VG_FAM_ATOM: return (in->op == PTX_OP_ATOM || in->op == PTX_OP_RED) && bind_atom(in, s);
    case VG_FAM_WARP: return in->op == PTX_OP_SHFL && use(s, vg_fs_shfl);
    case VG_FAM_MMA: return bind_matrix(in, s);
    default: return false;
    }
}

bool vg_fs_bind(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    vg_fs_inst *s = &b->out->fs[out->index];
    if (!out->full || !choose(b, in, out, s)) {
        *s = (vg_fs_inst){0};
        return true;
    }
    s->full = out->full;
    s->masked = out->masked;
    out->full = out->masked = s->shadow;
    return true;
}
