// op_logic: bitwise operations on rows and predicates, shifts, byte permutation, and mov (registers, constants, special registers, packing and
// unpacking of vectors). PTX ISA 9.7.8 (logic and shift), 9.7.9 (mov, prmt).
#include "vgpu/cluster.h"
#include "vgpu/op.h"

#define EACH_WIDTH2(name, expr) VG_OP2(name##_b16, U16, U16, U16, expr) VG_OP2(name##_b32, U32, U32, U32, expr) VG_OP2(name##_b64, U64, U64, U64, expr)
#define EACH_WIDTH1(name, expr) VG_OP1(name##_b16, U16, U16, expr) VG_OP1(name##_b32, U32, U32, expr) VG_OP1(name##_b64, U64, U64, expr)
EACH_WIDTH2(and, a &b)
EACH_WIDTH2(or, a | b)
EACH_WIDTH2(xor, a ^ b)
EACH_WIDTH1(not, ~a)
EACH_WIDTH1(cnot, a == 0)
VG_OP1(mov_b16, U16, U16, a)
VG_OP1(mov_b32, U32, U32, a)
VG_OP1(mov_b64, U64, U64, a)

// PTX ISA 9.7.8: shift amounts are 32-bit and clamp at the width, unlike C
VG_OP2(shl_b16, U16, U16, U32, b > 15 ? 0 : (uint32_t)a << (b & 15))
VG_OP2(shl_b32, U32, U32, U32, b > 31 ? 0 : a << (b & 31))
VG_OP2(shl_b64, U64, U64, U32, b > 63 ? 0 : a << (b & 63))
VG_OP2(shr_u16, U16, U16, U32, b > 15 ? 0 : a >> (b & 15))
VG_OP2(shr_u32, U32, U32, U32, b > 31 ? 0 : a >> (b & 31))
VG_OP2(shr_u64, U64, U64, U32, b > 63 ? 0 : a >> (b & 63))
VG_OP2(shr_s16, S16, S16, U32, a >> (b > 15 ? 15 : b))
VG_OP2(shr_s32, S32, S32, U32, a >> (b > 31 ? 31 : b))
VG_OP2(shr_s64, S64, S64, U32, a >> (b > 63 ? 63 : b))
// shf: the 64-bit value b:a (a low) shifted; .l keeps the high word, .r the low one
#define PAIR ((uint64_t)b << 32 | a)
VG_OP3(shf_l_clamp, U32, U32, U32, U32, (uint32_t)((PAIR << (c > 32 ? 32 : c)) >> 32))
VG_OP3(shf_l_wrap, U32, U32, U32, U32, (uint32_t)((PAIR << (c & 31)) >> 32))
VG_OP3(shf_r_clamp, U32, U32, U32, U32, (uint32_t)(PAIR >> (c > 32 ? 32 : c)))
VG_OP3(shf_r_wrap, U32, U32, U32, U32, (uint32_t)(PAIR >> (c & 31)))

// ---- lop3: common tables have their own loop, the rest select among the eight minterms
VG_OP3(lop3_xor3, U32, U32, U32, U32, a ^ b ^ c)
VG_OP3(lop3_or3, U32, U32, U32, U32, a | b | c)
VG_OP3(lop3_and3, U32, U32, U32, U32, a &b &c)
VG_OP3(lop3_and_or, U32, U32, U32, U32, (a & b) | c)
VG_OP3(lop3_or_and, U32, U32, U32, U32, (a | b) & c)
VG_OP3(lop3_mux, U32, U32, U32, U32, (a & b) | (~a & c))
VG_OP3(lop3_maj, U32, U32, U32, U32, (a & b) | (a & c) | (b & c))
VG_OP3(lop3_and_xor, U32, U32, U32, U32, (a & b) ^ c)
static inline uint32_t lop3_of(uint32_t a, uint32_t b, uint32_t c, const uint32_t m[8]) {
    const uint32_t n00 = (c & m[1]) | (~c & m[0]), n01 = (c & m[3]) | (~c & m[2]), n10 = (c & m[5]) | (~c & m[4]), n11 = (c & m[7]) | (~c & m[6]);
    const uint32_t n0 = (b & n01) | (~b & n00), n1 = (b & n11) | (~b & n10);
    return (a & n1) | (~a & n0);
}
VG_HANDLER(lop3_any) {
    uint32_t m[8];
    for (unsigned i = 0; i < 8; i++)
        m[i] = in->imm >> i & 1 ? 0xffffffffu : 0;
    uint32_t *d = VG_ROW(U32, in->d);
    const uint32_t *ra = VG_ROW(U32, in->a), *rb = VG_ROW(U32, in->b), *rc = VG_ROW(U32, in->c);
    VG_EACH {
        const uint32_t x = lop3_of(ra[l], rb[l], rc[l], m), old = d[l];
        d[l] = VG_ON(l) ? x : old;
    }
}
// lop3.and/or d|p, a, b, c, lut, q: p = (d != 0) op q
VG_HANDLER(lop3_pred) {
    lop3_any(w, in, mask);
    const uint32_t *d = vg_u32(w, in->d);
    uint32_t p = 0;
    for (unsigned l = 0; l < VG_LANES; l++)
        p |= (uint32_t)(d[l] != 0) << l;
    const uint32_t q = w->pred[in->aux & 0xffff] ^ (in->aux >> 31 ? ~0u : 0u);
    vg_pred_write(w, in->aux2, in->aux >> 30 & 1 ? p | q : p & q, mask);
}

// ---- prmt
static inline uint32_t prmt_byte(uint64_t pair, uint32_t sel) {
    const uint32_t v = (uint32_t)(pair >> ((sel & 7) * 8)) & 0xff;
    return sel & 8 ? (v & 0x80 ? 0xffu : 0u) : v;
}
VG_OP3(prmt_any, U32, U32, U32, U32,
       prmt_byte(PAIR, c & 15) | prmt_byte(PAIR, c >> 4 & 15) << 8 | prmt_byte(PAIR, c >> 8 & 15) << 16 | prmt_byte(PAIR, c >> 12 & 15) << 24)
// PTX ISA prmt modes: the selector of each result byte, by the low two bits of c
static const uint16_t g_prmt_modes[7][4] = {
    {0}, {0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123}, {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
    {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232},
};
VG_HANDLER(prmt_mode) {
    const uint32_t *ra = vg_u32(w, in->a), *rb = vg_u32(w, in->b), *rc = vg_u32(w, in->c);
    uint32_t *d = vg_u32(w, in->d);
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t s = g_prmt_modes[in->aux][rc[l] & 3];
        const uint64_t pair = (uint64_t)rb[l] << 32 | ra[l];
        const uint32_t x = prmt_byte(pair, s & 15) | prmt_byte(pair, s >> 4 & 15) << 8 | prmt_byte(pair, s >> 8 & 15) << 16 | prmt_byte(pair, s >> 12 & 15) << 24;
        d[l] = VG_ON(l) ? x : d[l];
    }
}

// ---- predicates as operands
VG_HANDLER(pred_and) { vg_pred_write(w, in->d, (w->pred[in->a] ^ (in->aux & 1 ? ~0u : 0u)) & (w->pred[in->b] ^ (in->aux & 2 ? ~0u : 0u)), mask); }
VG_HANDLER(pred_or) { vg_pred_write(w, in->d, (w->pred[in->a] ^ (in->aux & 1 ? ~0u : 0u)) | (w->pred[in->b] ^ (in->aux & 2 ? ~0u : 0u)), mask); }
VG_HANDLER(pred_xor) { vg_pred_write(w, in->d, w->pred[in->a] ^ w->pred[in->b] ^ (in->aux == 1 || in->aux == 2 ? ~0u : 0u), mask); }
VG_HANDLER(pred_not) { vg_pred_write(w, in->d, w->pred[in->a] ^ (in->aux & 1 ? 0u : ~0u), mask); }
VG_HANDLER(pred_mov) { vg_pred_write(w, in->d, w->pred[in->a] ^ (in->aux & 1 ? ~0u : 0u), mask); }

static bool bind_pred_op(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const vg_handler h = in->op == PTX_OP_AND ? pred_and : in->op == PTX_OP_OR ? pred_or : in->op == PTX_OP_XOR ? pred_xor
                         : in->op == PTX_OP_NOT ? pred_not : in->op == PTX_OP_MOV ? pred_mov : NULL;
    if (!h)
        return vg_unsupported(b, in, "predicates");
    out->full = out->masked = h;
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->a = vg_bind_pred(b, &in->operand[1]);
    out->aux = in->operand[1].negated;
    if (in->n_operands > 2) {
        out->b = vg_bind_pred(b, &in->operand[2]);
        out->aux |= in->operand[2].negated ? 2u : 0u;
    }
    return true;
}

// ---- mov with vectors. One side is a vector of n elements of `size` bytes, the other a register of n * size bytes; element rows in a, b, c, aux.
static uint64_t element(const vg_warp *w, uint32_t row, unsigned size, unsigned l) {
    const uint8_t *r = w->file + row;
    uint64_t v = 0;
    memcpy(&v, r + (size == 8 ? 8 : 4) * l, size);
    return v;
}
VG_HANDLER(mov_pack) {
    const unsigned n = in->aux2 & 15, size = in->aux2 >> 4;
    const uint32_t rows[4] = {in->a, in->b, in->c, in->aux};
    const unsigned wide = n * size;
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint8_t t[16] = {0};
        for (unsigned i = 0; i < n; i++) {
            const uint64_t v = element(w, rows[i], size, l);
            memcpy(t + i * size, &v, size);
        }
        if (VG_ON(l))
            memcpy(w->file + in->d + (wide > 8 ? 16 : wide > 4 ? 8 : 4) * l, t, wide > 8 ? 16 : wide > 4 ? 8 : 4);
    }
}
VG_HANDLER(mov_unpack) {
    const unsigned n = in->aux2 & 15, size = in->aux2 >> 4, wide = n * size;
    const uint32_t rows[4] = {in->a, in->b, in->c, in->aux};
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint8_t t[16] = {0};
        memcpy(t, w->file + in->d + (wide > 8 ? 16 : wide > 4 ? 8 : 4) * l, wide > 8 ? 16 : wide > 4 ? 8 : 4);
        for (unsigned i = 0; i < n && VG_ON(l); i++) {
            uint64_t v = 0;
            memcpy(&v, t + i * size, size);
            memcpy(w->file + rows[i] + (size == 8 ? 8 : 4) * l, &v, size == 8 ? 8 : 4);
        }
    }
}
VG_OP2(pack_2x32, U64, U32, U32, (uint64_t)b << 32 | a)
VG_OP2(pack_2x16, U32, U32, U32, (b & 0xffffu) << 16 | (a & 0xffffu))
VG_HANDLER(unpack_2x32) {
    const uint64_t *s = VG_ROW(U64, in->d);
    uint32_t *lo = VG_ROW(U32, in->a), *hi = VG_ROW(U32, in->b);
    VG_EACH {
        const uint64_t v = s[l];
        lo[l] = VG_ON(l) ? (uint32_t)v : lo[l];
        hi[l] = VG_ON(l) ? (uint32_t)(v >> 32) : hi[l];
    }
}
VG_HANDLER(unpack_2x16) {
    const uint32_t *s = VG_ROW(U32, in->d);
    uint32_t t[VG_LANES];
    memcpy(t, s, sizeof t);                            // one of the halves may be the source register itself
    uint32_t *lo = VG_ROW(U32, in->a), *hi = VG_ROW(U32, in->b);
    VG_EACH {
        lo[l] = VG_ON(l) ? t[l] & 0xffffu : lo[l];
        hi[l] = VG_ON(l) ? t[l] >> 16 : hi[l];
    }
}

static ptx_type type_of_bytes(unsigned n) { return n == 1 ? PTX_B8 : n == 2 ? PTX_B16 : n == 4 ? PTX_B32 : n == 8 ? PTX_B64 : PTX_B128; }

static bool bind_vector_mov(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool unpack = in->operand[0].kind == PTX_O_VEC;
    const ptx_operand *vec = &in->operand[unpack ? 0 : 1], *one = &in->operand[unpack ? 1 : 0];
    const unsigned total = ptx_type_bytes((ptx_type)in->type[0]), n = vec->n_elems;
    if (vec->kind != PTX_O_VEC || (n != 2 && n != 4) || total % n)
        return vg_unsupported(b, in, "this vector");
    const unsigned size = total / n;
    uint32_t *const at[4] = {&out->a, &out->b, &out->c, &out->aux};
    out->d = vg_bind_row(b, one, (ptx_type)in->type[0]);
    for (unsigned i = 0; i < n; i++)
        *at[i] = vg_bind_row(b, &vec->elems[i], type_of_bytes(size));
    out->aux2 = (uint16_t)(n | size << 4);
    const bool p32 = n == 2 && size == 4, p16 = n == 2 && size == 2;
    if (unpack) {
        out->full = out->masked = p32 ? unpack_2x32 : p16 ? unpack_2x16 : mov_unpack;
    } else {
        out->full = p32 ? pack_2x32_full : p16 ? pack_2x16_full : mov_pack;
        out->masked = p32 ? pack_2x32_masked : p16 ? pack_2x16_masked : mov_pack;
    }
    return true;
}
VG_HANDLER(mov_b128) {
    for (uint32_t m = mask; m; m &= m - 1)
        memmove(w->file + in->d + 16 * (unsigned)__builtin_ctz(m), w->file + in->a + 16 * (unsigned)__builtin_ctz(m), 16);
}

#define F(op, type, variant, name) { PTX_OP_##op, PTX_##type, variant, VG_H(name) }
#define FB(op, name) F(op, B16, 0, name##_b16), F(op, B32, 0, name##_b32), F(op, B64, 0, name##_b64)
static const vg_form g_forms[] = {
    FB(AND, and), FB(OR, or), FB(XOR, xor), FB(NOT, not), FB(CNOT, cnot), FB(SHL, shl), FB(MOV, mov),
    F(SHR, B16, 0, shr_u16), F(SHR, U16, 0, shr_u16), F(SHR, S16, 0, shr_s16), F(SHR, B32, 0, shr_u32), F(SHR, U32, 0, shr_u32), F(SHR, S32, 0, shr_s32),
    F(SHR, B64, 0, shr_u64), F(SHR, U64, 0, shr_u64), F(SHR, S64, 0, shr_s64),
};
static const struct { uint8_t lut; vg_handler full, masked; } g_luts[] = {
    {0x96, VG_H(lop3_xor3)}, {0xfe, VG_H(lop3_or3)}, {0x80, VG_H(lop3_and3)}, {0xea, VG_H(lop3_and_or)}, {0xa8, VG_H(lop3_or_and)},
    {0xca, VG_H(lop3_mux)}, {0xe8, VG_H(lop3_maj)}, {0x6a, VG_H(lop3_and_xor)},
};

static bool bind_lop3(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const unsigned second = in->n_operands > 5 && in->operand[1].part == 1 ? 1 : 0;   // d|p
    const ptx_operand *lut = &in->operand[4 + second];
    if (in->n_operands < 5u || lut->kind != PTX_O_INT || in->type[0] != PTX_B32)
        return vg_unsupported(b, in, "its table");
    out->full = out->masked = second ? lop3_pred : lop3_any;
    out->imm = lut->i & 0xff;
    for (size_t i = 0; !second && i < HONE_COUNT(g_luts); i++)
        if (g_luts[i].lut == out->imm) {
            out->full = g_luts[i].full;
            out->masked = g_luts[i].masked;
        }
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->a = vg_bind_row(b, &in->operand[1 + second], PTX_B32);
    out->b = vg_bind_row(b, &in->operand[2 + second], PTX_B32);
    out->c = vg_bind_row(b, &in->operand[3 + second], PTX_B32);
    if (second) {
        out->aux2 = (uint16_t)vg_bind_pred(b, &in->operand[1]);
        out->aux = vg_bind_pred(b, &in->operand[6]) | (in->operand[6].negated ? 1u << 31 : 0u) | (in->boolop == PTX_BOOL_OR ? 1u << 30 : 0u);
    }
    return true;
}

static bool bind_three(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->type[0] != PTX_B32)
        return vg_unsupported(b, in, "this type");
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->a = vg_bind_row(b, &in->operand[1], PTX_B32);
    out->b = vg_bind_row(b, &in->operand[2], PTX_B32);
    out->c = vg_bind_row(b, &in->operand[3], PTX_B32);
    if (in->op == PTX_OP_PRMT) {
        const unsigned mode = in->sub >= PTX_PRMT_F4E && in->sub <= PTX_PRMT_RC16 ? in->sub - PTX_PRMT_F4E + 1u : 0;
        out->aux = mode;
        out->full = mode ? prmt_mode : prmt_any_full;
        out->masked = mode ? prmt_mode : prmt_any_masked;
        return true;
    }
    const bool left = in->mods & PTX_M_LEFT, clamp = in->mods & PTX_M_CLAMP;
    out->full = left ? (clamp ? shf_l_clamp_full : shf_l_wrap_full) : (clamp ? shf_r_clamp_full : shf_r_wrap_full);
    out->masked = left ? (clamp ? shf_l_clamp_masked : shf_l_wrap_masked) : (clamp ? shf_r_clamp_masked : shf_r_wrap_masked);
    return true;
}

static ptx_type as_bits(ptx_type t) { return type_of_bytes(ptx_type_bytes(t)); }

bool VG_NAME(vg_bind_logic)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_bind_logic)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_type t = (ptx_type)in->type[0];
    if (t == PTX_PRED)
        return in->op == PTX_OP_MOV && in->operand[1].kind == PTX_O_SREG ? vg_bind_cluster(b, in, out) : bind_pred_op(b, in, out);
    if (in->op == PTX_OP_LOP3)
        return bind_lop3(b, in, out);
    if (in->op == PTX_OP_SHF || in->op == PTX_OP_PRMT)
        return bind_three(b, in, out);
    if (in->op == PTX_OP_MOV && (in->operand[0].kind == PTX_O_VEC || in->operand[1].kind == PTX_O_VEC))
        return bind_vector_mov(b, in, out);
    if (in->op == PTX_OP_MOV && t == PTX_B128) {
        out->full = out->masked = mov_b128;
        out->d = vg_bind_row(b, &in->operand[0], t);
        out->a = vg_bind_row(b, &in->operand[1], t);
        return true;
    }
    const ptx_type key = in->op == PTX_OP_SHR ? t : as_bits(t);
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), in->op, key, 0);
    if (!f)
        return vg_unsupported(b, in, "this combination of type and modifiers");
    out->full = f->full;
    out->masked = f->masked;
    out->d = vg_bind_row(b, &in->operand[0], key);
    out->a = vg_bind_row(b, &in->operand[1], in->op == PTX_OP_MOV ? t : key);
    if (in->n_operands > 2)
        out->b = vg_bind_row(b, &in->operand[2], in->op == PTX_OP_SHL || in->op == PTX_OP_SHR ? PTX_U32 : key);
    return true;
}
