// op_half: arithmetic and comparisons of f16, bf16 and their packed pairs. Values are widened to f32, computed there and rounded once: for
// add, sub and mul of 11-bit (8-bit) significands binary32 has at least 2p+2 bits, so its rounding is harmless; where it is not (fma, and
// bf16
// products that become subnormal) the wide result is rounded to odd first (fp.h).
#include "vgpu/fp.h"
#include "vgpu/tensormap.h"

// --- formats: F16 has .ftz, BF16 does not ----------------------------------------------------------------------------------------
#define LOAD_F16(h) fp_f32_of_f16((h) & 0xffffu)
#define LOAD_F16Z(h) fp_f32_of_f16(fp_f16_ftz((h) & 0xffffu))
#define LOAD_BF16(h) fp_f32_of_bf16((h) & 0xffffu)
#define STORE_F16(f) fp_f16_of_f32(f)
#define STORE_F16Z(f) fp_f16_ftz(fp_f16_of_f32(f))
#define STORE_BF16(f) fp_bf16_of_f32(f)

// Each operation on the low half (_x1) and on both halves (_x2). FMT: F16, F16Z (ftz), BF16.

#define BINARY(name, FMT, expr)                                                                                                       \
    FP_INLINE uint32_t name##_one(uint32_t x, uint32_t y) {                                                                       \
        const float a = LOAD_##FMT(x), b = LOAD_##FMT(y);                                                                             \
        return STORE_##FMT(expr);                                                                                                     \
    }                                                                                                                                 \
    VG_OP2(name##_x1, U32, U32, U32, name##_one(a, b))                                                                                \
    VG_OP2(name##_x2, U32, U32, U32, name##_one(a, b) | name##_one(a >> 16, b >> 16) << 16)
#define TERNARY(name, FMT, expr)                                                                                                      \
    FP_INLINE uint32_t name##_one(uint32_t x, uint32_t y, uint32_t z) {                                                           \
        const float a = LOAD_##FMT(x), b = LOAD_##FMT(y), c = LOAD_##FMT(z);                                                          \
        return STORE_##FMT(expr);                                                                                                     \
    }                                                                                                                                 \
    VG_OP3(name##_x1, U32, U32, U32, U32, name##_one(a, b, c))                                                                        \
    VG_OP3(name##_x2, U32, U32, U32, U32, name##_one(a, b, c) | name##_one(a >> 16, b >> 16, c >> 16) << 16)
#define UNARY(name, FMT, expr)                                                                                                        \
    FP_INLINE uint32_t name##_one(uint32_t x) {                                                                                   \
        const float a = LOAD_##FMT(x);                                                                                                \
        return STORE_##FMT(expr);                                                                                                     \
    }                                                                                                                                 \
    VG_OP1(name##_x1, U32, U32, name##_one(a))                                                                                        \
    VG_OP1(name##_x2, U32, U32, name##_one(a) | name##_one(a >> 16) << 16)
#define BITS(name, expr)   /* on the bits h of one half */                                                                            \
    FP_INLINE uint32_t name##_one(uint32_t h) { return expr; }                                                                    \
    VG_OP1(name##_x1, U32, U32, name##_one(a & 0xffffu))                                                                              \
    VG_OP1(name##_x2, U32, U32, name##_one(a & 0xffffu) | name##_one(a >> 16) << 16)

BINARY(add_f16, F16, a + b)
BINARY(add_f16_ftz, F16Z, a + b)
BINARY(add_f16_sat, F16, fp_sat(a + b))
BINARY(add_f16_ftz_sat, F16Z, fp_sat(a + b))
BINARY(add_bf16, BF16, a + b)
BINARY(sub_f16, F16, a - b)
BINARY(sub_f16_ftz, F16Z, a - b)
BINARY(sub_f16_sat, F16, fp_sat(a - b))
BINARY(sub_f16_ftz_sat, F16Z, fp_sat(a - b))
BINARY(sub_bf16, BF16, a - b)
BINARY(mul_f16, F16, a * b)
BINARY(mul_f16_ftz, F16Z, a * b)
BINARY(mul_f16_sat, F16, fp_sat(a * b))
BINARY(mul_f16_ftz_sat, F16Z, fp_sat(a * b))
BINARY(mul_bf16, BF16, fp_mul_bf16(a, b))
TERNARY(fma_f16, F16, fp_fma_f16(a, b, c))
TERNARY(fma_f16_ftz, F16Z, fp_fma_f16(a, b, c))
TERNARY(fma_f16_sat, F16, fp_sat(fp_fma_f16(a, b, c)))
TERNARY(fma_f16_ftz_sat, F16Z, fp_sat(fp_fma_f16(a, b, c)))
TERNARY(fma_f16_relu, F16, fp_relu(fp_fma_f16(a, b, c)))
TERNARY(fma_f16_ftz_relu, F16Z, fp_relu(fp_fma_f16(a, b, c)))
TERNARY(fma_bf16, BF16, fp_fma_bf16(a, b, c))
TERNARY(fma_bf16_relu, BF16, fp_relu(fp_fma_bf16(a, b, c)))
// .oob: +0 when a factor is the NaN that a tensor copy puts where there is no tensor, of either sign (as an H100 does)
#define OOB_FMA(name)                                                                                                                 \
    FP_INLINE uint32_t name##_oob_one(uint32_t x, uint32_t y, uint32_t z) {                                                       \
        const uint32_t outside = fp_lt((x & 0x7fffu) ^ VG_OOB_NAN, 1u) | fp_lt((y & 0x7fffu) ^ VG_OOB_NAN, 1u);                        \
        return fp_blend(outside, 0u, name##_one(x, y, z));                                                                            \
    }                                                                                                                                 \
    VG_OP3(name##_oob_x1, U32, U32, U32, U32, name##_oob_one(a, b, c))                                                                \
    VG_OP3(name##_oob_x2, U32, U32, U32, U32, name##_oob_one(a, b, c) | name##_oob_one(a >> 16, b >> 16, c >> 16) << 16)
OOB_FMA(fma_f16)
OOB_FMA(fma_f16_relu)
OOB_FMA(fma_bf16)
OOB_FMA(fma_bf16_relu)
BITS(neg_bits, h ^ 0x8000u)
BITS(neg_f16_ftz, fp_f16_ftz(h) ^ 0x8000u)
BITS(abs_bits, h & 0x7fffu)
BITS(abs_f16_ftz, fp_f16_ftz(h) & 0x7fffu)
UNARY(ex2_f16, F16, fp_ex2(a))
UNARY(ex2_f16_ftz, F16Z, fp_ex2(a))
UNARY(ex2_bf16, BF16, fp_ex2(a))
UNARY(tanh_f16, F16, fp_tanh(a))
UNARY(tanh_bf16, BF16, fp_tanh(a))

// --- min and max: numbers win over NaN, unless .NaN; -0 < +0; both NaN give 0x7fff -----------------------------------------------
// Sign-magnitude halves become signed integers in the same order.
FP_INLINE uint32_t order(uint32_t h) {
    const uint32_t negative = 0u - (h >> 15);
    return 0x10000u + ((h & 0x7fffu) ^ negative);
}
FP_INLINE uint32_t pick(uint32_t x, uint32_t y, uint32_t infinity, uint32_t smaller, uint32_t nan_wins) {   // flags are masks
    const uint32_t nx = fp_lt(infinity, x & 0x7fffu), ny = fp_lt(infinity, y & 0x7fffu);
    const uint32_t number = fp_blend(~(fp_lt(order(x), order(y)) ^ smaller), x, y);
    const uint32_t one_nan = fp_blend(nx, y, x);
    return fp_blend((nx & ny) | (nan_wins & (nx | ny)), 0x7fffu, fp_blend(nx | ny, one_nan, number));
}
// of |x|, |y|, with the sign of x ^ y
FP_INLINE uint32_t pick_xorsign(uint32_t x, uint32_t y, uint32_t infinity, uint32_t smaller, uint32_t nan_wins) {
    const uint32_t r = pick(x & 0x7fffu, y & 0x7fffu, infinity, smaller, nan_wins);
    return r | ((x ^ y) & 0x8000u & ~fp_lt(infinity, r & 0x7fffu));
}
#define YES 0xffffffffu
#define NO 0u
#define F16_INF 0x7c00u
#define BF16_INF 0x7f80u
#define PICK(name, expr)                                                                                                              \
    FP_INLINE uint32_t name##_one(uint32_t x, uint32_t y) { return expr; }                                                        \
    VG_OP2(name##_x1, U32, U32, U32, name##_one(a & 0xffffu, b & 0xffffu))                                                            \
    VG_OP2(name##_x2, U32, U32, U32, name##_one(a & 0xffffu, b & 0xffffu) | name##_one(a >> 16, b >> 16) << 16)
PICK(min_f16, pick(x, y, F16_INF, YES, NO))
PICK(min_f16_ftz, pick(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, YES, NO))
PICK(min_f16_nan, pick(x, y, F16_INF, YES, YES))
PICK(min_f16_ftz_nan, pick(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, YES, YES))
PICK(min_bf16, pick(x, y, BF16_INF, YES, NO))
PICK(min_bf16_nan, pick(x, y, BF16_INF, YES, YES))
PICK(max_f16, pick(x, y, F16_INF, NO, NO))
PICK(max_f16_ftz, pick(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, NO, NO))
PICK(max_f16_nan, pick(x, y, F16_INF, NO, YES))
PICK(max_f16_ftz_nan, pick(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, NO, YES))
PICK(max_bf16, pick(x, y, BF16_INF, NO, NO))
PICK(max_bf16_nan, pick(x, y, BF16_INF, NO, YES))
PICK(min_f16_ftz_xs, pick_xorsign(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, YES, NO))
PICK(min_f16_ftz_nan_xs, pick_xorsign(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, YES, YES))
PICK(min_f16_xs, pick_xorsign(x, y, F16_INF, YES, NO))
PICK(min_f16_nan_xs, pick_xorsign(x, y, F16_INF, YES, YES))
PICK(min_bf16_xs, pick_xorsign(x, y, BF16_INF, YES, NO))
PICK(min_bf16_nan_xs, pick_xorsign(x, y, BF16_INF, YES, YES))
PICK(max_f16_ftz_xs, pick_xorsign(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, NO, NO))
PICK(max_f16_ftz_nan_xs, pick_xorsign(fp_f16_ftz(x), fp_f16_ftz(y), F16_INF, NO, YES))
PICK(max_f16_xs, pick_xorsign(x, y, F16_INF, NO, NO))
PICK(max_f16_nan_xs, pick_xorsign(x, y, F16_INF, NO, YES))
PICK(max_bf16_xs, pick_xorsign(x, y, BF16_INF, NO, NO))
PICK(max_bf16_nan_xs, pick_xorsign(x, y, BF16_INF, NO, YES))

// --- the table of arithmetic forms ------------------------------------------------------------------------------------------------
enum { V_FTZ = 1, V_SAT = 2, V_RELU = 4, V_NAN = 8, V_XS = 16, V_OOB = 32 };
#define PAIR(op, fmt, variant, name) {PTX_OP_##op, PTX_##fmt, variant, VG_H(name##_x1)}, \
    {PTX_OP_##op, PTX_##fmt##X2, variant, VG_H(name##_x2)}
static const vg_form g_forms[] = {
    PAIR(ADD, F16, 0, add_f16), PAIR(ADD, F16, V_FTZ, add_f16_ftz), PAIR(ADD, F16, V_SAT, add_f16_sat),
    PAIR(ADD, F16, V_FTZ | V_SAT, add_f16_ftz_sat),
    PAIR(SUB, F16, 0, sub_f16), PAIR(SUB, F16, V_FTZ, sub_f16_ftz), PAIR(SUB, F16, V_SAT, sub_f16_sat),
    PAIR(SUB, F16, V_FTZ | V_SAT, sub_f16_ftz_sat),
    PAIR(MUL, F16, 0, mul_f16), PAIR(MUL, F16, V_FTZ, mul_f16_ftz), PAIR(MUL, F16, V_SAT, mul_f16_sat),
    PAIR(MUL, F16, V_FTZ | V_SAT, mul_f16_ftz_sat),
    PAIR(FMA, F16, 0, fma_f16), PAIR(FMA, F16, V_FTZ, fma_f16_ftz), PAIR(FMA, F16, V_SAT, fma_f16_sat),
    PAIR(FMA, F16, V_FTZ | V_SAT, fma_f16_ftz_sat),
    PAIR(FMA, F16, V_RELU, fma_f16_relu), PAIR(FMA, F16, V_FTZ | V_RELU, fma_f16_ftz_relu),
    PAIR(ADD, BF16, 0, add_bf16), PAIR(SUB, BF16, 0, sub_bf16), PAIR(MUL, BF16, 0, mul_bf16), PAIR(FMA, BF16, 0, fma_bf16),
    PAIR(FMA, BF16, V_RELU, fma_bf16_relu),
    PAIR(FMA, F16, V_OOB, fma_f16_oob), PAIR(FMA, F16, V_OOB | V_RELU, fma_f16_relu_oob), PAIR(FMA, BF16, V_OOB, fma_bf16_oob),
    PAIR(FMA, BF16, V_OOB | V_RELU, fma_bf16_relu_oob),
    PAIR(NEG, F16, 0, neg_bits), PAIR(NEG, F16, V_FTZ, neg_f16_ftz), PAIR(NEG, BF16, 0, neg_bits),
    PAIR(ABS, F16, 0, abs_bits), PAIR(ABS, F16, V_FTZ, abs_f16_ftz), PAIR(ABS, BF16, 0, abs_bits),
    PAIR(MIN, F16, 0, min_f16), PAIR(MIN, F16, V_FTZ, min_f16_ftz), PAIR(MIN, F16, V_NAN, min_f16_nan),
    PAIR(MIN, F16, V_FTZ | V_NAN, min_f16_ftz_nan),
    PAIR(MAX, F16, 0, max_f16), PAIR(MAX, F16, V_FTZ, max_f16_ftz), PAIR(MAX, F16, V_NAN, max_f16_nan),
    PAIR(MAX, F16, V_FTZ | V_NAN, max_f16_ftz_nan),
    PAIR(MIN, BF16, 0, min_bf16), PAIR(MIN, BF16, V_NAN, min_bf16_nan), PAIR(MAX, BF16, 0, max_bf16), PAIR(MAX, BF16, V_NAN, max_bf16_nan),
    PAIR(MIN, F16, V_XS, min_f16_xs), PAIR(MIN, F16, V_NAN | V_XS, min_f16_nan_xs), PAIR(MAX, F16, V_XS, max_f16_xs),
    PAIR(MAX, F16, V_NAN | V_XS, max_f16_nan_xs),
    PAIR(MIN, F16, V_FTZ | V_XS, min_f16_ftz_xs), PAIR(MIN, F16, V_FTZ | V_NAN | V_XS, min_f16_ftz_nan_xs),
    PAIR(MAX, F16, V_FTZ | V_XS, max_f16_ftz_xs), PAIR(MAX, F16, V_FTZ | V_NAN | V_XS, max_f16_ftz_nan_xs),
    PAIR(MIN, BF16, V_XS, min_bf16_xs), PAIR(MIN, BF16, V_NAN | V_XS, min_bf16_nan_xs), PAIR(MAX, BF16, V_XS, max_bf16_xs),
    PAIR(MAX, BF16, V_NAN | V_XS, max_bf16_nan_xs),
    PAIR(EX2, F16, 0, ex2_f16), PAIR(EX2, F16, V_FTZ, ex2_f16_ftz), PAIR(EX2, BF16, V_FTZ, ex2_bf16), PAIR(TANH, F16, 0, tanh_f16),
    PAIR(TANH, BF16, 0, tanh_bf16),
};

static uint32_t variant_of(const ptx_inst *in) {
    return (in->mods & PTX_M_FTZ ? V_FTZ : 0u) | (in->mods & PTX_M_SAT ? V_SAT : 0u) | (in->mods & PTX_M_RELU ? V_RELU : 0u) |
           (in->mods & PTX_M_NAN ? V_NAN : 0u) | (in->mods & PTX_M_XORSIGN_ABS ? V_XS : 0u) | (in->mods2 & PTX_M2_OOB ? V_OOB : 0u);
}

// --- comparisons ------------------------------------------------------------------------------------------------------------------
// setp: d (predicate), aux (|q), a, b rows, c (third source predicate); set: d row. imm packs the comparison and its variants.
enum { C_BOOL = 8, C_NEG = 1 << 10, C_BF16 = 1 << 11, C_FTZ = 1 << 12, C_X2 = 1 << 13, C_THIRD = 1 << 14 };

static uint32_t compare(float a, float b, unsigned cmp) {
    const bool nan = a != a || b != b;
    switch (cmp) {
    case PTX_EQ: return a == b;
    case PTX_NE: return !nan && a != b;
    case PTX_LT: return a < b;
    case PTX_LE: return a <= b;
    case PTX_GT: return a > b;
    case PTX_GE: return a >= b;
    case PTX_EQU: return nan || a == b;
    case PTX_NEU: return nan || a != b;
    case PTX_LTU: return nan || a < b;
    case PTX_LEU: return nan || a <= b;
    case PTX_GTU: return nan || a > b;
    case PTX_GEU: return nan || a >= b;
    case PTX_NUM: return !nan;
    default: return nan;
    }
}

static float load(uint32_t h, int64_t flags) { return flags & C_BF16 ? LOAD_BF16(h) : flags & C_FTZ ? LOAD_F16Z(h) : LOAD_F16(h); }

// Lane masks of the comparison: [0] of the low halves, [1] of the high ones.
static void compare_rows(vg_warp *w, const vg_inst *in, uint32_t out[2]) {
    const uint32_t *ra = VG_ROW(U32, in->a), *rb = VG_ROW(U32, in->b);
    const unsigned cmp = (unsigned)in->imm & 0xffu;
    out[0] = out[1] = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        out[0] |= compare(load(ra[l], in->imm), load(rb[l], in->imm), cmp) << l;
        if (in->imm & C_X2)
            out[1] |= compare(load(ra[l] >> 16, in->imm), load(rb[l] >> 16, in->imm), cmp) << l;
    }
}

static uint32_t combine(const vg_warp *w, const vg_inst *in, uint32_t t) {
    if (!(in->imm & C_THIRD))
        return t;
    const uint32_t c = in->imm & C_NEG ? ~w->pred[in->c] : w->pred[in->c];
    const unsigned op = (unsigned)in->imm >> C_BOOL & 3u;
    return op == PTX_BOOL_AND ? t & c : op == PTX_BOOL_OR ? t | c : t ^ c;
}

VG_HANDLER(setp_half) {   // PTX ISA 9.7.7.2: scalar: p|q are t and !t, each combined with c; packed: p is the low half, q the high one
    uint32_t t[2];
    compare_rows(w, in, t);
    const uint32_t p = combine(w, in, t[0]), q = combine(w, in, in->imm & C_X2 ? t[1] : ~t[0]);
    vg_pred_write(w, in->d, p, mask);
    vg_pred_write(w, in->aux, q, mask);
}

// set: true is 1.0 in a float destination and all ones in an integer one; in->aux: the value of true per half, aux2: 1 when d is packed
VG_HANDLER(set_half) {
    uint32_t t[2], *rd = VG_ROW(U32, in->d);
    compare_rows(w, in, t);
    const uint32_t lo = combine(w, in, t[0]), hi = combine(w, in, t[1]);
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t x = (lo >> l & 1u ? in->aux : 0u) | (in->aux2 && hi >> l & 1u ? in->aux << 16 : 0u);
        rd[l] = VG_ON(l) ? x : rd[l];
    }
}

static int64_t compare_flags(const ptx_inst *in, unsigned type, const ptx_operand *third) {
    int64_t f = in->cmp | (int64_t)in->boolop << C_BOOL;
    f |= type == PTX_BF16 || type == PTX_BF16X2 ? C_BF16 : 0;
    f |= type == PTX_F16X2 || type == PTX_BF16X2 ? C_X2 : 0;
    f |= in->mods & PTX_M_FTZ ? C_FTZ : 0;
    return f | (third ? C_THIRD : 0) | (third && third->negated ? C_NEG : 0);
}

// The operands after the destinations: a, b and, with a boolean operator, c.
static bool bind_compared(vg_binder *b, const ptx_inst *in, vg_inst *out, unsigned at, unsigned type) {
    const bool third = in->n_operands == at + 3;
    if ((in->n_operands != at + 2 && !third) || third != (in->boolop != PTX_BOOL_NONE))
        return vg_unsupported(b, in, "its operands");
    if ((in->cmp >= PTX_LO && in->cmp <= PTX_HS))
        return vg_unsupported(b, in, "an unsigned comparison of floating-point values");
    out->a = vg_bind_row(b, &in->operand[at], PTX_B32);
    out->b = vg_bind_row(b, &in->operand[at + 1], PTX_B32);
    out->c = third ? vg_bind_pred(b, &in->operand[at + 2]) : 0;
    out->imm = compare_flags(in, type, third ? &in->operand[at + 2] : NULL);
    return true;
}

static bool bind_setp(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const unsigned pair = in->n_operands > 1 && in->operand[1].part ? 1 : 0;
    out->full = out->masked = setp_half;
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->aux = pair ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    return bind_compared(b, in, out, 1 + pair, in->type[0]);
}

static bool bind_set(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const unsigned d = in->type[0], s = in->type[1];
    const bool packed = s == PTX_F16X2 || s == PTX_BF16X2;
    switch (d) {
    case PTX_F16: case PTX_F16X2: out->aux = 0x3c00u; break;
    case PTX_BF16: case PTX_BF16X2: out->aux = 0x3f80u; break;
    case PTX_U16: case PTX_S16: out->aux = 0xffffu; break;
    case PTX_U32: case PTX_S32: out->aux = packed ? 0xffffu : 0xffffffffu; break;
    default: return vg_unsupported(b, in, "its destination type");
    }
    if (ptx_type_bytes((ptx_type)d) < 4 && packed)
        return vg_unsupported(b, in, "a narrow destination of a packed comparison");
    out->aux2 = packed;
    out->full = out->masked = set_half;
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    return bind_compared(b, in, out, 1, s);
}

bool VG_NAME(vg_bind_half)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->op == PTX_OP_SETP)
        return bind_setp(b, in, out);
    if (in->op == PTX_OP_SET)
        return bind_set(b, in, out);
    if (in->rnd != PTX_RND_NONE && in->rnd != PTX_RN)
        return vg_unsupported(b, in, "only rounding to nearest exists for it");
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), in->op, in->type[0], variant_of(in));
    const unsigned sources = in->op == PTX_OP_FMA ? 3 : in->op == PTX_OP_NEG || in->op == PTX_OP_ABS || in->op == PTX_OP_EX2 ||
        in->op == PTX_OP_TANH ? 1 : 2;
    const uint32_t known = PTX_M_FTZ | PTX_M_SAT | PTX_M_RELU | PTX_M_NAN | PTX_M_XORSIGN_ABS | PTX_M_ABS | PTX_M_APPROX;
    if (in->mods & ~known || in->n_types != 1 || !(in->mods & PTX_M_XORSIGN_ABS) != !(in->mods & PTX_M_ABS))
        return vg_unsupported(b, in, "this combination of type and modifiers");
    if (!f || in->n_operands != sources + 1)
        return vg_unsupported(b, in, "this combination of type and modifiers");
    return vg_bind_form(b, in, out, f, PTX_B32, PTX_B32);
}
