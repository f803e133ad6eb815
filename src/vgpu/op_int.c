// op_int: integer arithmetic: add … dp4a, bit counting and bit fields. 16-, 32- and 64-bit; packed 16x2 for add, min, max. Semantics: PTX ISA
// 9.7.1, 9.7.2 (extended precision with the carry flag), 9.7.8 (bit fields live in the integer chapter). Division by zero, which PTX
// leaves open, gives what the hardware's code gives: all ones, and the dividend as remainder.
#include "vgpu/op.h"

// ---- add sub mul mad
#define WRAP2(name, expr) VG_OP2(name##_u16, U16, U16, U16, expr) VG_OP2(name##_u32, U32, U32, U32, expr) VG_OP2(name##_u64, U64, U64, U64, expr)
WRAP2(add, (a + b))
WRAP2(sub, (a - b))
VG_OP2(mullo_u16, U16, U16, U16, ((uint32_t)a * b))
VG_OP2(mullo_u32, U32, U32, U32, a * b)
VG_OP2(mullo_u64, U64, U64, U64, a * b)
VG_OP2(mulhi_u16, U16, U16, U16, ((uint32_t)a * b) >> 16)
VG_OP2(mulhi_s16, S16, S16, S16, ((int32_t)a * b) >> 16)
VG_OP2(mulhi_u32, U32, U32, U32, ((uint64_t)a * b) >> 32)
VG_OP2(mulhi_s32, S32, S32, S32, ((int64_t)a * b) >> 32)
VG_OP2(mulhi_u64, U64, U64, U64, ((unsigned __int128)a * b) >> 64)
VG_OP2(mulhi_s64, S64, S64, S64, ((__int128)a * b) >> 64)
VG_OP2(mulwide_u16, U32, U16, U16, (uint32_t)a * b)
VG_OP2(mulwide_s16, U32, S16, S16, (uint32_t)((int32_t)a * b))
VG_OP2(mulwide_u32, U64, U32, U32, (uint64_t)a * b)
VG_OP2(mulwide_s32, S64, S32, S32, (int64_t)a * b)
VG_OP3(madlo_u16, U16, U16, U16, U16, ((uint32_t)a * b + c))
VG_OP3(madlo_u32, U32, U32, U32, U32, a * b + c)
VG_OP3(madlo_u64, U64, U64, U64, U64, a * b + c)
VG_OP3(madhi_u16, U16, U16, U16, U16, (((uint32_t)a * b) >> 16) + c)
VG_OP3(madhi_s16, S16, S16, S16, S16, (((int32_t)a * b) >> 16) + c)
VG_OP3(madhi_u32, U32, U32, U32, U32, (uint32_t)(((uint64_t)a * b) >> 32) + c)
VG_OP3(madhi_s32, U32, S32, S32, U32, (uint32_t)(((int64_t)a * b) >> 32) + c)
VG_OP3(madhi_u64, U64, U64, U64, U64, (uint64_t)(((unsigned __int128)a * b) >> 64) + c)
VG_OP3(madhi_s64, U64, S64, S64, U64, (uint64_t)(((__int128)a * b) >> 64) + c)
VG_OP3(madwide_u16, U32, U16, U16, U32, (uint32_t)a * b + c)
VG_OP3(madwide_s16, U32, S16, S16, U32, (uint32_t)((int32_t)a * b) + c)
VG_OP3(madwide_u32, U64, U32, U32, U64, (uint64_t)a * b + c)
VG_OP3(madwide_s32, U64, S32, S32, U64, (uint64_t)((int64_t)a * b) + c)

static inline int32_t clamp32(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }
VG_OP2(addsat_s32, S32, S32, S32, clamp32((int64_t)a + b))
VG_OP2(subsat_s32, S32, S32, S32, clamp32((int64_t)a - b))
VG_OP3(madhisat_s32, S32, S32, S32, S32, clamp32((((int64_t)a * b) >> 32) + c))

// 24-bit products: the low 24 bits of each operand, lo: bits 31..0, hi: bits 47..16 of the 48-bit product
static inline int64_t s24(int32_t v) { return (int32_t)((uint32_t)v << 8) >> 8; }
#define U24(v) ((uint64_t)((v) & 0xffffffu))
VG_OP2(mul24lo_u32, U32, U32, U32, U24(a) * U24(b))
VG_OP2(mul24hi_u32, U32, U32, U32, (U24(a) * U24(b)) >> 16)
VG_OP2(mul24lo_s32, U32, S32, S32, (uint64_t)(s24(a) * s24(b)))
VG_OP2(mul24hi_s32, U32, S32, S32, (uint64_t)((s24(a) * s24(b)) >> 16))
VG_OP3(mad24lo_u32, U32, U32, U32, U32, (uint32_t)(U24(a) * U24(b)) + c)
VG_OP3(mad24hi_u32, U32, U32, U32, U32, (uint32_t)((U24(a) * U24(b)) >> 16) + c)
VG_OP3(mad24lo_s32, U32, S32, S32, U32, (uint32_t)(s24(a) * s24(b)) + c)
VG_OP3(mad24hi_s32, U32, S32, S32, U32, (uint32_t)((s24(a) * s24(b)) >> 16) + c)

// ---- div rem. 32-bit quotients through binary64 are exact: |a/b - nearest integer above| ≥ 1/b, far more than half an ulp of the quotient.
static inline uint32_t divu32(uint32_t a, uint32_t b) { return b ? (uint32_t)(int64_t)((double)a / (double)(b ? b : 1)) : 0xffffffffu; }
static inline int32_t divs32(int32_t a, int32_t b) { return b ? (int32_t)(uint32_t)(int64_t)((double)a / (double)(b ? b : 1)) : -1; }
static inline uint64_t divu64(uint64_t a, uint64_t b) { return b ? a / b : UINT64_MAX; }
static inline int64_t divs64(int64_t a, int64_t b) { return b == 0 ? -1 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b; }
VG_OP2(div_u16, U16, U16, U16, b ? a / (b ? b : 1) : 0xffff)
VG_OP2(div_s16, S16, S16, S16, b ? a / (b ? b : 1) : -1)
VG_OP2(div_u32, U32, U32, U32, divu32(a, b))
VG_OP2(div_s32, S32, S32, S32, divs32(a, b))
VG_OP2(div_u64, U64, U64, U64, divu64(a, b))
VG_OP2(div_s64, S64, S64, S64, divs64(a, b))
VG_OP2(rem_u16, U16, U16, U16, b ? a % (b ? b : 1) : a)
VG_OP2(rem_s16, S16, S16, S16, b ? a % (b ? b : 1) : a)
VG_OP2(rem_u32, U32, U32, U32, b ? a - divu32(a, b) * b : a)
VG_OP2(rem_s32, U32, S32, S32, b ? (uint32_t)a - (uint32_t)divs32(a, b) * (uint32_t)b : (uint32_t)a)
VG_OP2(rem_u64, U64, U64, U64, b ? a % (b ? b : 1) : a)
VG_OP2(rem_s64, S64, S64, S64, b == 0 ? a : b == -1 ? 0 : a % (b ? b : 1))

// ---- min max abs neg sad
#define EACH_INT2(name, expr)                                                                                                 \
    VG_OP2(name##_u16, U16, U16, U16, expr) VG_OP2(name##_s16, S16, S16, S16, expr) VG_OP2(name##_u32, U32, U32, U32, expr)  \
    VG_OP2(name##_s32, S32, S32, S32, expr) VG_OP2(name##_u64, U64, U64, U64, expr) VG_OP2(name##_s64, S64, S64, S64, expr)
EACH_INT2(min, (a < b ? a : b))
EACH_INT2(max, (a > b ? a : b))
VG_OP1(abs_s16, S16, S16, a < 0 ? -a : a)
VG_OP1(abs_s32, U32, S32, a < 0 ? 0u - (uint32_t)a : (uint32_t)a)
VG_OP1(abs_s64, U64, S64, a < 0 ? 0ull - (uint64_t)a : (uint64_t)a)
VG_OP1(neg_s16, S16, S16, -a)
VG_OP1(neg_s32, U32, U32, 0u - a)
VG_OP1(neg_s64, U64, U64, 0ull - a)
VG_OP3(sad_u16, U16, U16, U16, U16, c + (a > b ? a - b : b - a))
VG_OP3(sad_s16, S16, S16, S16, S16, c + (a > b ? a - b : b - a))
VG_OP3(sad_u32, U32, U32, U32, U32, c + (a > b ? a - b : b - a))
VG_OP3(sad_s32, U32, S32, S32, U32, c + (a > b ? (uint32_t)a - (uint32_t)b : (uint32_t)b - (uint32_t)a))
VG_OP3(sad_u64, U64, U64, U64, U64, c + (a > b ? a - b : b - a))
VG_OP3(sad_s64, U64, S64, S64, U64, c + (a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a))
// packed pairs
#define LO16(v) ((v) & 0xffffu)
#define HI16(v) ((v) >> 16)
#define S16OF(v) ((int16_t)(uint16_t)(v))
VG_OP2(add_x2, U32, U32, U32, ((a + (b & 0xffff0000u)) & 0xffff0000u) | LO16(a + b))
VG_OP2(min_u16x2, U32, U32, U32, (HI16(a) < HI16(b) ? HI16(a) : HI16(b)) << 16 | (LO16(a) < LO16(b) ? LO16(a) : LO16(b)))
VG_OP2(max_u16x2, U32, U32, U32, (HI16(a) > HI16(b) ? HI16(a) : HI16(b)) << 16 | (LO16(a) > LO16(b) ? LO16(a) : LO16(b)))
VG_OP2(min_s16x2, U32, U32, U32, (S16OF(HI16(a)) < S16OF(HI16(b)) ? HI16(a) : HI16(b)) << 16 | (S16OF(a) < S16OF(b) ? LO16(a) : LO16(b)))
VG_OP2(max_s16x2, U32, U32, U32, (S16OF(HI16(a)) > S16OF(HI16(b)) ? HI16(a) : HI16(b)) << 16 | (S16OF(a) > S16OF(b) ? LO16(a) : LO16(b)))

VG_OP2(minrelu_s32, S32, S32, S32, (a < b ? a : b) > 0 ? (a < b ? a : b) : 0)
VG_OP2(maxrelu_s32, S32, S32, S32, (a > b ? a : b) > 0 ? (a > b ? a : b) : 0)
#define RELU16(x) ((x) > 0 ? (uint32_t)(uint16_t)(x) : 0u)
#define MIN16(x, y) (S16OF(x) < S16OF(y) ? S16OF(x) : S16OF(y))
#define MAX16(x, y) (S16OF(x) > S16OF(y) ? S16OF(x) : S16OF(y))
VG_OP2(minrelu_s16x2, U32, U32, U32, RELU16(MIN16(HI16(a), HI16(b))) << 16 | RELU16(MIN16(a, b)))
VG_OP2(maxrelu_s16x2, U32, U32, U32, RELU16(MAX16(HI16(a), HI16(b))) << 16 | RELU16(MAX16(a, b)))
VG_OP3(mad24hisat_s32, S32, S32, S32, S32, clamp32(((s24(a) * s24(b)) >> 16) + c))

// ---- bits
VG_OP1(popc_b32, U32, U32, (uint32_t)__builtin_popcount(a))
VG_OP1(popc_b64, U32, U64, (uint32_t)__builtin_popcountll(a))
VG_OP1(clz_b32, U32, U32, a ? (uint32_t)__builtin_clz(a | 1u) - (uint32_t)(a == 0) : 32u)
VG_OP1(clz_b64, U32, U64, a ? (uint32_t)__builtin_clzll(a) : 64u)
static inline uint32_t find_u64(uint64_t a) { return a ? 63u - (uint32_t)__builtin_clzll(a) : 0xffffffffu; }
VG_OP1(bfind_u32, U32, U32, find_u64(a))
VG_OP1(bfind_s32, U32, S32, find_u64((uint32_t)(a < 0 ? ~a : a)))
VG_OP1(bfind_u64, U32, U64, find_u64(a))
VG_OP1(bfind_s64, U32, S64, find_u64((uint64_t)(a < 0 ? ~a : a)))
static inline uint32_t to_shift(uint32_t at, uint32_t msb) { return at == 0xffffffffu ? at : msb - at; }
VG_OP1(bfindsh_u32, U32, U32, to_shift(find_u64(a), 31))
VG_OP1(bfindsh_s32, U32, S32, to_shift(find_u64((uint32_t)(a < 0 ? ~a : a)), 31))
VG_OP1(bfindsh_u64, U32, U64, to_shift(find_u64(a), 63))
VG_OP1(bfindsh_s64, U32, S64, to_shift(find_u64((uint64_t)(a < 0 ? ~a : a)), 63))
static inline uint32_t reverse32(uint32_t v) {
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
    v = (v >> 8 & 0x00ff00ffu) | (v & 0x00ff00ffu) << 8;
    return v >> 16 | v << 16;
}
VG_OP1(brev_b32, U32, U32, reverse32(a))
VG_OP1(brev_b64, U64, U64, (uint64_t)reverse32((uint32_t)a) << 32 | reverse32((uint32_t)(a >> 32)))

static inline uint64_t low_bits(uint32_t n) { return n >= 64 ? UINT64_MAX : (1ull << n) - 1; }
// PTX ISA bfe: position and length are the low 8 bits; fields reach at most to the top bit; the sign is the field's top bit or bit msb
static inline uint64_t extract(uint64_t a, uint32_t pos, uint32_t len, uint32_t width, bool is_signed) {
    pos &= 0xff;
    len &= 0xff;
    if (len == 0)
        return 0;
    const uint32_t top = pos + len - 1 < width - 1 ? pos + len - 1 : width - 1;
    const bool negative = is_signed && (a >> top & 1);
    const uint64_t field = pos < width ? a >> pos & low_bits(len) : 0;
    const uint32_t have = pos < width ? (len < width - pos ? len : width - pos) : 0;
    return negative ? field | ~low_bits(have) : field;
}
VG_OP3(bfe_u32, U32, U32, U32, U32, extract(a, b, c, 32, false))
VG_OP3(bfe_s32, U32, U32, U32, U32, extract(a, b, c, 32, true))
VG_OP3(bfe_u64, U64, U64, U32, U32, extract(a, b, c, 64, false))
VG_OP3(bfe_s64, U64, U64, U32, U32, extract(a, b, c, 64, true))
static inline uint64_t insert(uint64_t f, uint64_t into, uint32_t pos, uint32_t len, uint32_t width) {
    pos &= 0xff;
    len &= 0xff;
    const uint64_t m = pos < width ? low_bits(len) << pos : 0;
    return pos < width ? (into & ~m) | (f << pos & m) : into;
}
VG_OP4(bfi_b32, U32, U32, U32, U32, U32, insert(a, b, c, e, 32))
VG_OP4(bfi_b64, U64, U64, U64, U32, U32, insert(a, b, c, e, 64))
VG_OP2(bmsk_clamp, U32, U32, U32, a >= 32 || b == 0 ? 0 : low_bits(b < 32 ? b : 32) << a)
VG_OP2(bmsk_wrap, U32, U32, U32, low_bits(b & 31) << (a & 31))
static inline uint32_t extend(uint32_t a, uint32_t n, bool is_signed) {
    if (n >= 32)
        return a;
    if (n == 0)
        return 0;
    const uint32_t v = a & (uint32_t)low_bits(n);
    return is_signed && (v >> (n - 1) & 1) ? v | ~(uint32_t)low_bits(n) : v;
}
VG_OP2(szext_clamp_u32, U32, U32, U32, extend(a, b, false))
VG_OP2(szext_clamp_s32, U32, U32, U32, extend(a, b, true))
VG_OP2(szext_wrap_u32, U32, U32, U32, extend(a, b & 31, false))
VG_OP2(szext_wrap_s32, U32, U32, U32, extend(a, b & 31, true))
// PTX ISA fns: the n-th set bit of mask at or above (offset > 0) or at or below (offset < 0) base
static inline uint32_t nth_set(uint32_t mask, uint32_t base, int32_t offset) {
    const int step = offset < 0 ? -1 : 1;
    int64_t left = offset < 0 ? -(int64_t)offset : offset;
    if (offset == 0)
        return base < 32 && (mask >> base & 1) ? base : 0xffffffffu;
    for (int32_t p = (int32_t)(base & 31); p >= 0 && p < 32; p += step)
        if ((mask >> p & 1) && --left == 0)
            return (uint32_t)p;
    return 0xffffffffu;
}
VG_OP3(fns_b32, U32, U32, U32, S32, nth_set(a, b, c))

// ---- dot products
#define SB(v, i) ((int32_t)(int8_t)(uint8_t)((v) >> (8 * (i))))
#define UB(v, i) ((int32_t)(uint8_t)((v) >> (8 * (i))))
#define SH(v, i) ((int32_t)(int16_t)(uint16_t)((v) >> (16 * (i))))
#define UH(v, i) ((int32_t)(uint16_t)((v) >> (16 * (i))))
#define DOT4(A, B) (c + (uint32_t)(A(a, 0) * B(b, 0) + A(a, 1) * B(b, 1) + A(a, 2) * B(b, 2) + A(a, 3) * B(b, 3)))
#define DOT2(A, B, k) (c + (uint32_t)(A(a, 0) * B(b, k)) + (uint32_t)(A(a, 1) * B(b, (k) + 1)))
VG_OP3(dp4a_uu, U32, U32, U32, U32, DOT4(UB, UB))
VG_OP3(dp4a_us, U32, U32, U32, U32, DOT4(UB, SB))
VG_OP3(dp4a_su, U32, U32, U32, U32, DOT4(SB, UB))
VG_OP3(dp4a_ss, U32, U32, U32, U32, DOT4(SB, SB))
#define DP2A(name, k) VG_OP3(name##_uu, U32, U32, U32, U32, DOT2(UH, UB, k)) VG_OP3(name##_us, U32, U32, U32, U32, DOT2(UH, SB, k)) \
    VG_OP3(name##_su, U32, U32, U32, U32, DOT2(SH, UB, k)) VG_OP3(name##_ss, U32, U32, U32, U32, DOT2(SH, SB, k))
DP2A(dp2alo, 0)
DP2A(dp2ahi, 2)

// ---- extended precision: the carry flag is predicate in->aux2, one bit per lane
enum { CARRY_IN = 1, CARRY_OUT = 2, SUBTRACT = 4, WIDE64 = 8 };
VG_HANDLER(carry_op) {
    const uint32_t how = in->aux, cc = w->pred[in->aux2];
    uint32_t out = 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint64_t a = how & WIDE64 ? vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l];
        const uint64_t b = how & WIDE64 ? vg_u64(w, in->b)[l] : vg_u32(w, in->b)[l];
        const uint64_t carry = how & CARRY_IN ? cc >> l & 1 : 0;
        // PTX ISA 9.7.2: the flag is the carry out of additions and the borrow out of subtractions
        const unsigned __int128 r = how & SUBTRACT ? (unsigned __int128)a - b - carry : (unsigned __int128)a + b + carry;
        if (how & WIDE64)
            vg_u64(w, in->d)[l] = (uint64_t)r;
        else
            vg_u32(w, in->d)[l] = (uint32_t)r;
        out |= (uint32_t)(r >> (how & WIDE64 ? 64 : 32) & 1) << l;
    }
    if (how & CARRY_OUT)
        vg_pred_write(w, in->aux2, out, mask);
}
// mad{c}.{lo,hi}{.cc}: the product first into a scratch row (in->imm), then as above
VG_HANDLER(carry_mad) {
    const bool wide = in->aux & WIDE64, hi = in->flags != 0;
    const bool is_signed = in->src->type[0] == PTX_S32 || in->src->type[0] == PTX_S64;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        if (wide) {
            const uint64_t a = vg_u64(w, in->a)[l], b = vg_u64(w, in->b)[l];
            const uint64_t h = is_signed ? (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64) : (uint64_t)(((unsigned __int128)a * b) >> 64);
            vg_u64(w, (uint32_t)in->imm)[l] = hi ? h : a * b;
        } else {
            const uint32_t a = vg_u32(w, in->a)[l], b = vg_u32(w, in->b)[l];
            const uint32_t h = is_signed ? (uint32_t)(((int64_t)(int32_t)a * (int32_t)b) >> 32) : (uint32_t)(((uint64_t)a * b) >> 32);
            vg_u32(w, (uint32_t)in->imm)[l] = hi ? h : a * b;
        }
    }
    vg_inst sum = *in;
    sum.a = (uint32_t)in->imm;
    sum.b = in->c;
    carry_op(w, &sum, mask);
}

static bool bind_carry(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool mad = in->op == PTX_OP_MAD || in->op == PTX_OP_MADC;
    const bool wide = ptx_type_bytes((ptx_type)in->type[0]) == 8;
    const ptx_type t = wide ? PTX_U64 : PTX_U32;
    if (ptx_type_bytes((ptx_type)in->type[0]) < 4 || in->mods & PTX_M_WIDE)
        return vg_unsupported(b, in, "a carry at this type");
    out->full = out->masked = mad ? carry_mad : carry_op;
    out->d = vg_bind_row(b, &in->operand[0], t);
    out->a = vg_bind_row(b, &in->operand[1], t);
    out->b = vg_bind_row(b, &in->operand[2], t);
    if (mad) {
        out->c = vg_bind_row(b, &in->operand[3], t);
        out->imm = vg_bind_scratch(b, 2);
        out->flags = (in->mods & PTX_M_HI) != 0;
    }
    out->aux2 = (uint16_t)vg_bind_cc(b);
    out->aux = (in->op == PTX_OP_ADDC || in->op == PTX_OP_SUBC || in->op == PTX_OP_MADC ? CARRY_IN : 0u) | (in->mods & PTX_M_CC ? CARRY_OUT : 0u) |
               (in->op == PTX_OP_SUB || in->op == PTX_OP_SUBC ? SUBTRACT : 0u) | (wide ? WIDE64 : 0u);
    return true;
}

#define F(op, type, variant, name) { PTX_OP_##op, PTX_##type, variant, VG_H(name) }
#define F6(op, v, name) F(op, U16, v, name##_u16), F(op, S16, v, name##_s16), F(op, U32, v, name##_u32), F(op, S32, v, name##_s32), \
    F(op, U64, v, name##_u64), F(op, S64, v, name##_s64)
#define FW(op, v, name) F(op, U16, v, name##_u16), F(op, S16, v, name##_u16), F(op, U32, v, name##_u32), F(op, S32, v, name##_u32), \
    F(op, U64, v, name##_u64), F(op, S64, v, name##_u64)
#define FWIDE(op, v, name) F(op, U16, v, name##_u16), F(op, S16, v, name##_s16), F(op, U32, v, name##_u32), F(op, S32, v, name##_s32)
static const vg_form g_forms[] = {
    FW(ADD, 0, add), FW(SUB, 0, sub), FW(MUL, PTX_M_LO, mullo), F6(MUL, PTX_M_HI, mulhi), FWIDE(MUL, PTX_M_WIDE, mulwide),
    FW(MAD, PTX_M_LO, madlo), F6(MAD, PTX_M_HI, madhi), FWIDE(MAD, PTX_M_WIDE, madwide),
    F(MIN, S32, PTX_M_RELU, minrelu_s32), F(MAX, S32, PTX_M_RELU, maxrelu_s32), F(MIN, S16X2, PTX_M_RELU, minrelu_s16x2),
    F(MAX, S16X2, PTX_M_RELU, maxrelu_s16x2), F(MAD24, S32, PTX_M_HI | PTX_M_SAT, mad24hisat_s32),
    F(ADD, S32, PTX_M_SAT, addsat_s32), F(SUB, S32, PTX_M_SAT, subsat_s32), F(MAD, S32, PTX_M_HI | PTX_M_SAT, madhisat_s32),
    F(MUL24, U32, PTX_M_LO, mul24lo_u32), F(MUL24, U32, PTX_M_HI, mul24hi_u32), F(MUL24, S32, PTX_M_LO, mul24lo_s32),
    F(MUL24, S32, PTX_M_HI, mul24hi_s32), F(MAD24, U32, PTX_M_LO, mad24lo_u32), F(MAD24, U32, PTX_M_HI, mad24hi_u32),
    F(MAD24, S32, PTX_M_LO, mad24lo_s32), F(MAD24, S32, PTX_M_HI, mad24hi_s32),
    F6(DIV, 0, div), F6(REM, 0, rem), F6(MIN, 0, min), F6(MAX, 0, max), F6(SAD, 0, sad),
    F(ABS, S16, 0, abs_s16), F(ABS, S32, 0, abs_s32), F(ABS, S64, 0, abs_s64), F(NEG, S16, 0, neg_s16), F(NEG, S32, 0, neg_s32), F(NEG, S64, 0, neg_s64),
    F(ADD, U16X2, 0, add_x2), F(ADD, S16X2, 0, add_x2), F(MIN, U16X2, 0, min_u16x2), F(MAX, U16X2, 0, max_u16x2), F(MIN, S16X2, 0, min_s16x2),
    F(MAX, S16X2, 0, max_s16x2),
    F(POPC, B32, 0, popc_b32), F(POPC, B64, 0, popc_b64), F(CLZ, B32, 0, clz_b32), F(CLZ, B64, 0, clz_b64), F(BREV, B32, 0, brev_b32),
    F(BREV, B64, 0, brev_b64), F(BFIND, U32, 0, bfind_u32), F(BFIND, S32, 0, bfind_s32), F(BFIND, U64, 0, bfind_u64), F(BFIND, S64, 0, bfind_s64),
    F(BFIND, U32, PTX_M_SHIFTAMT, bfindsh_u32), F(BFIND, S32, PTX_M_SHIFTAMT, bfindsh_s32), F(BFIND, U64, PTX_M_SHIFTAMT, bfindsh_u64),
    F(BFIND, S64, PTX_M_SHIFTAMT, bfindsh_s64),
    F(BFE, U32, 0, bfe_u32), F(BFE, S32, 0, bfe_s32), F(BFE, U64, 0, bfe_u64), F(BFE, S64, 0, bfe_s64), F(BFI, B32, 0, bfi_b32), F(BFI, B64, 0, bfi_b64),
    F(BMSK, B32, 0, bmsk_clamp), F(BMSK, B32, PTX_M_CLAMP, bmsk_clamp), F(BMSK, B32, PTX_M_WRAP, bmsk_wrap),
    F(SZEXT, U32, PTX_M_CLAMP, szext_clamp_u32), F(SZEXT, S32, PTX_M_CLAMP, szext_clamp_s32), F(SZEXT, U32, 0, szext_clamp_u32),
    F(SZEXT, S32, 0, szext_clamp_s32), F(SZEXT, U32, PTX_M_WRAP, szext_wrap_u32), F(SZEXT, S32, PTX_M_WRAP, szext_wrap_s32), F(FNS, B32, 0, fns_b32),
};
// dot products by type pair: variant bit 0: b signed, bit 1: a signed, bit 2: hi half (dp2a)
static const vg_form g_dots[] = {
    F(DP4A, B32, 0, dp4a_uu), F(DP4A, B32, 1, dp4a_us), F(DP4A, B32, 2, dp4a_su), F(DP4A, B32, 3, dp4a_ss),
    F(DP2A, B32, 0, dp2alo_uu), F(DP2A, B32, 1, dp2alo_us), F(DP2A, B32, 2, dp2alo_su), F(DP2A, B32, 3, dp2alo_ss),
    F(DP2A, B32, 4, dp2ahi_uu), F(DP2A, B32, 5, dp2ahi_us), F(DP2A, B32, 6, dp2ahi_su), F(DP2A, B32, 7, dp2ahi_ss),
};

static bool bind_dot(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const uint32_t v = (in->type[1] == PTX_S32 ? 1u : 0u) | (in->type[0] == PTX_S32 ? 2u : 0u) | (in->op == PTX_OP_DP2A && in->mods & PTX_M_HI ? 4u : 0u);
    for (unsigned i = 0; i < 2; i++)
        if (in->type[i] != PTX_S32 && in->type[i] != PTX_U32)
            return vg_unsupported(b, in, "this type");
    const vg_form *f = vg_form_find(g_dots, HONE_COUNT(g_dots), in->op, PTX_B32, v);
    return f ? vg_bind_form(b, in, out, f, PTX_U32, PTX_U32) : vg_unsupported(b, in, "this type");
}

// Source rows: as the instruction's type, except that bit positions, lengths and counts are 32-bit and wide sums are twice as wide.
static ptx_type source_type(const ptx_inst *in, unsigned k) {
    const ptx_type t = (ptx_type)in->type[0];
    if ((in->op == PTX_OP_BFE && k >= 2) || (in->op == PTX_OP_BFI && k >= 3))
        return PTX_U32;
    if (in->op == PTX_OP_MAD && in->mods & PTX_M_WIDE && k == 3)
        return ptx_type_bytes(t) == 4 ? PTX_U64 : PTX_U32;
    return t;
}
static ptx_type dest_type(const ptx_inst *in) {
    const ptx_type t = (ptx_type)in->type[0];
    if (in->op == PTX_OP_POPC || in->op == PTX_OP_CLZ || in->op == PTX_OP_BFIND)
        return PTX_U32;
    if (in->mods & PTX_M_WIDE)
        return ptx_type_bytes(t) == 4 ? PTX_U64 : PTX_U32;
    return t;
}

bool VG_NAME(vg_bind_int)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_bind_int)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->op == PTX_OP_ADDC || in->op == PTX_OP_SUBC || in->op == PTX_OP_MADC || in->mods & PTX_M_CC)
        return bind_carry(b, in, out);
    if (in->op == PTX_OP_DP4A || in->op == PTX_OP_DP2A)
        return bind_dot(b, in, out);
    // every modifier is part of the key: one that a form does not name makes it unknown
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), in->op, in->type[0], in->mods);
    if (!f || in->rnd || in->n_types != 1 || in->n_operands > 5 || ((in->op == PTX_OP_MIN || in->op == PTX_OP_MAX) && in->n_operands != 3))
        return vg_unsupported(b, in, "this combination of type and modifiers");
    uint32_t *const at[5] = {&out->d, &out->a, &out->b, &out->c, &out->aux};
    out->full = f->full;
    out->masked = f->masked;
    for (unsigned k = 0; k < in->n_operands && k < 5; k++)
        *at[k] = vg_bind_row(b, &in->operand[k], k == 0 ? dest_type(in) : source_type(in, k));
    return true;
}
