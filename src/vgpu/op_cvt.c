// op_cvt: conversions between number formats. The usual ones have vector loops; every other legal combination goes through
// cvt_any.h, which is exact for all. Registers may be wider than the types of the instruction: sources are cut to the type, integer
// results are extended to the register (PTX ISA 9.7.9.21).
#include "vgpu/cvt_any.h"
#include "vgpu/fp.h"

// --- integers in 32- and 64-bit rows ----------------------------------------------------------------------------------------------
// imm: bits above the source type | bits above the destination type << 8 | bits above the destination register << 16
#define SHIFT_S ((unsigned)(in->imm & 0xff))
#define SHIFT_D ((unsigned)(in->imm >> 8 & 0xff))
#define CUT_REG(x) ((uint32_t)(x) << (in->imm >> 16 & 0xff) >> (in->imm >> 16 & 0xff))
#define EXT_U(x, k) ((uint32_t)(x) << (k) >> (k))
#define EXT_S(x, k) ((uint32_t)((int32_t)((uint32_t)(x) << (k)) >> (k)))
VG_OP1(int_uu, U32, U32, CUT_REG(EXT_U(EXT_U(a, SHIFT_S), SHIFT_D)))
VG_OP1(int_us, U32, U32, CUT_REG(EXT_S(EXT_U(a, SHIFT_S), SHIFT_D)))   // from unsigned to signed
VG_OP1(int_su, U32, U32, CUT_REG(EXT_U(EXT_S(a, SHIFT_S), SHIFT_D)))
VG_OP1(int_ss, U32, U32, CUT_REG(EXT_S(EXT_S(a, SHIFT_S), SHIFT_D)))
VG_OP1(int_widen_u, U64, U32, EXT_U(a, SHIFT_S))
VG_OP1(int_widen_s, U64, U32, (uint64_t)(int64_t)(int32_t)EXT_S(a, SHIFT_S))
VG_OP1(int_narrow_u, U32, U64, CUT_REG(EXT_U(a, SHIFT_D)))
VG_OP1(int_narrow_s, U32, U64, CUT_REG(EXT_S(a, SHIFT_D)))
VG_OP1(int_copy64, U64, U64, a)

// --- integer → float, to nearest --------------------------------------------------------------------------------------------------
VG_OP1(f32_s32, F32, S32, a)
VG_OP1(f32_u32, F32, U32, a)
VG_OP1(f32_s16, F32, S16, a)
VG_OP1(f32_u16, F32, U16, a)
VG_OP1(f32_s8, F32, S8, a)
VG_OP1(f32_u8, F32, U8, a)
VG_OP1(f32_s64, F32, S64, a)
VG_OP1(f32_u64, F32, U64, a)
VG_OP1(f64_s32, F64, S32, a)
VG_OP1(f64_u32, F64, U32, a)
VG_OP1(f64_s64, F64, S64, a)
VG_OP1(f64_u64, F64, U64, a)

// --- float → 32-bit integer: round, clamp, NaN ------------------------------------------------------------------------------------
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))
FP_INLINE int32_t s32_of_f32(float r) {
    const float c = CLAMP(r, -2147483648.0f, 2147483520.0f);
    const uint32_t number = 0u - (uint32_t)(r == r), top = 0u - (uint32_t)(r >= 2147483648.0f);
    const int32_t i = (int32_t)vg_f32_of(vg_bits_f32(c) & number);
    return (int32_t)fp_blend(top, 0x7fffffffu, (uint32_t)i);
}
FP_INLINE uint32_t u32_of_f32(float r) {   // the upper half of the range is shifted down for the signed conversion
    const uint32_t number = 0u - (uint32_t)(r == r), top = 0u - (uint32_t)(r >= 4294967296.0f), upper = 0u - (uint32_t)(r >= 2147483648.0f);
    const float c = vg_f32_of(vg_bits_f32(CLAMP(r, 0.0f, 4294967040.0f)) & number), d = c - vg_f32_of(0x4f000000u & upper);
    return fp_blend(top, 0xffffffffu, (uint32_t)(int32_t)d ^ (upper & 0x80000000u));
}
FP_INLINE int32_t s32_of_f64(double r) { return r == r ? (int32_t)CLAMP(r, -2147483648.0, 2147483647.0) : INT32_MIN; }
FP_INLINE uint32_t u32_of_f64(double r) {
    const double c = r == r ? CLAMP(r, 0.0, 4294967295.0) : 2147483648.0;
    return (uint32_t)(int32_t)(c - 2147483648.0) ^ 0x80000000u;
}
#define TO_INT(name, D, S, convert)                          \
    VG_OP1(name##_rni, D, S, convert(ROUND_##S(rint, a)))    \
    VG_OP1(name##_rzi, D, S, convert(ROUND_##S(trunc, a)))   \
    VG_OP1(name##_rmi, D, S, convert(ROUND_##S(floor, a)))   \
    VG_OP1(name##_rpi, D, S, convert(ROUND_##S(ceil, a)))
#define ROUND_F32(how, x) __builtin_##how##f(x)
#define ROUND_F64(how, x) __builtin_##how(x)
TO_INT(s32_f32, S32, F32, s32_of_f32)
TO_INT(u32_f32, U32, F32, u32_of_f32)
TO_INT(s32_f64, S32, F64, s32_of_f64)
TO_INT(u32_f64, U32, F64, u32_of_f64)

// --- float → float ----------------------------------------------------------------------------------------------------------------
#define TO_INTEGRAL(name, S, canonical)                          \
    VG_OP1(name##_rni, S, S, canonical(ROUND_##S(rint, a)))      \
    VG_OP1(name##_rzi, S, S, canonical(ROUND_##S(trunc, a)))     \
    VG_OP1(name##_rmi, S, S, canonical(ROUND_##S(floor, a)))     \
    VG_OP1(name##_rpi, S, S, canonical(ROUND_##S(ceil, a)))
TO_INTEGRAL(f32_f32, F32, vg_nan32)
TO_INTEGRAL(f64_f64, F64, vg_nan64)
VG_OP1(f32_f32, F32, F32, vg_nan32(a))
VG_OP1(f32_f32_ftz, F32, F32, vg_nan32(vg_ftz(a)))
VG_OP1(f32_f32_sat, F32, F32, fp_sat(a))
VG_OP1(f32_f32_ftz_sat, F32, F32, fp_sat(vg_ftz(a)))
VG_OP1(f64_f32, F64, F32, vg_nan64((double)a))
VG_OP1(f64_f32_ftz, F64, F32, vg_nan64((double)vg_ftz(a)))
VG_OP1(f32_f64, F32, F64, vg_nan32((float)a))
VG_OP1(f32_f64_ftz, F32, F64, vg_nan32(vg_ftz((float)a)))
VG_OP1(f32_f16, F32, U32, vg_nan32(fp_f32_of_f16(a & 0xffffu)))
VG_OP1(f16_f32, U32, F32, fp_f16_of_f32(a))
VG_OP1(f16_f32_ftz, U32, F32, fp_f16_of_f32(vg_ftz(a)))
VG_OP1(f16_f32_relu, U32, F32, fp_f16_of_f32(fp_relu(a)))
VG_OP1(f32_bf16, F32, U32, vg_nan32(fp_f32_of_bf16(a & 0xffffu)))
VG_OP1(bf16_f32, U32, F32, fp_bf16_of_f32(a))
VG_OP1(bf16_f32_relu, U32, F32, fp_bf16_of_f32(fp_relu(a)))
VG_OP2(f16x2_f32, U32, F32, F32, fp_f16_of_f32(b) | fp_f16_of_f32(a) << 16)   // the first source is the upper half
VG_OP2(f16x2_f32_relu, U32, F32, F32, fp_f16_of_f32(fp_relu(b)) | fp_f16_of_f32(fp_relu(a)) << 16)
VG_OP2(bf16x2_f32, U32, F32, F32, fp_bf16_of_f32(b) | fp_bf16_of_f32(a) << 16)
VG_OP2(bf16x2_f32_relu, U32, F32, F32, fp_bf16_of_f32(fp_relu(b)) | fp_bf16_of_f32(fp_relu(a)) << 16)
FP_INLINE uint32_t tf32_rna(uint32_t x) {
    return fp_blend(fp_lt(0x7f800000u, x & 0x7fffffffu), 0x7fffffffu,
        fp_blend(fp_lt(x & 0x7fffffffu, 0x7f800000u), x + 0x1000u, x) & 0xffffe000u);
}
VG_OP1(tf32_f32_rna, U32, U32, tf32_rna(a))

// --- the table of fast forms: type is the destination, variant the source and the modifiers ---------------------------------------
enum { V_FTZ = 1 << 16, V_SAT = 1 << 17, V_RELU = 1 << 18, V_SATFINITE = 1 << 19 };
#define ROUNDED(r, s) ((uint32_t)(s) | (uint32_t)PTX_##r << 8)
#define FORM(d, s, rnd, flags, name) {PTX_OP_CVT, PTX_##d, ROUNDED(rnd, PTX_##s) | (flags), VG_H(name)}
#define ROUNDINGS(d, s, name) FORM(d, s, RNI, 0, name##_rni), FORM(d, s, RZI, 0, name##_rzi), FORM(d, s, RMI, 0, name##_rmi), \
    FORM(d, s, RPI, 0, name##_rpi)
static const vg_form g_forms[] = {
    FORM(F32, S32, RN, 0, f32_s32), FORM(F32, U32, RN, 0, f32_u32), FORM(F32, S16, RN, 0, f32_s16), FORM(F32, U16, RN, 0, f32_u16),
    FORM(F32, S8, RN, 0, f32_s8),
    FORM(F32, U8, RN, 0, f32_u8), FORM(F32, S64, RN, 0, f32_s64), FORM(F32, U64, RN, 0, f32_u64), FORM(F64, S32, RN, 0, f64_s32),
    FORM(F64, U32, RN, 0, f64_u32),
    FORM(F64, S64, RN, 0, f64_s64), FORM(F64, U64, RN, 0, f64_u64),
    ROUNDINGS(S32, F32, s32_f32), ROUNDINGS(U32, F32, u32_f32), ROUNDINGS(S32, F64, s32_f64), ROUNDINGS(U32, F64, u32_f64),
    ROUNDINGS(F32, F32, f32_f32), ROUNDINGS(F64, F64, f64_f64),
    // .ftz changes nothing where a subnormal becomes a zero of its sign anyway
    FORM(S32, F32, RNI, V_FTZ, s32_f32_rni), FORM(S32, F32, RZI, V_FTZ, s32_f32_rzi), FORM(U32, F32, RNI, V_FTZ, u32_f32_rni),
    FORM(U32, F32, RZI, V_FTZ, u32_f32_rzi),
    FORM(F32, F32, RNI, V_FTZ, f32_f32_rni), FORM(F32, F32, RZI, V_FTZ, f32_f32_rzi),
    FORM(F32, F32, RND_NONE, 0, f32_f32), FORM(F32, F32, RND_NONE, V_FTZ, f32_f32_ftz), FORM(F32, F32, RND_NONE, V_SAT, f32_f32_sat),
    FORM(F32, F32, RND_NONE, V_FTZ | V_SAT, f32_f32_ftz_sat), FORM(F64, F32, RND_NONE, 0, f64_f32),
    FORM(F64, F32, RND_NONE, V_FTZ, f64_f32_ftz),
    FORM(F32, F64, RN, 0, f32_f64), FORM(F32, F64, RN, V_FTZ, f32_f64_ftz), FORM(F32, F16, RND_NONE, 0, f32_f16),
    FORM(F32, F16, RND_NONE, V_FTZ, f32_f16),
    FORM(F16, F32, RN, 0, f16_f32), FORM(F16, F32, RN, V_FTZ, f16_f32_ftz), FORM(F16, F32, RN, V_RELU, f16_f32_relu),
    FORM(F32, BF16, RND_NONE, 0, f32_bf16),
    FORM(BF16, F32, RN, 0, bf16_f32), FORM(BF16, F32, RN, V_RELU, bf16_f32_relu), FORM(F16X2, F32, RN, 0, f16x2_f32),
    FORM(F16X2, F32, RN, V_RELU, f16x2_f32_relu),
    FORM(BF16X2, F32, RN, 0, bf16x2_f32), FORM(BF16X2, F32, RN, V_RELU, bf16x2_f32_relu), FORM(TF32, F32, RNA, 0, tf32_f32_rna),
};

// --- everything else --------------------------------------------------------------------------------------------------------------
// imm: bytes of the destination register | wide source row << 8 | wide destination row << 9. aux2: two sources make a packed result.
static void extend(uint64_t *x, ptx_type t, unsigned reg_bytes) {
    const unsigned bytes = ptx_type_bytes(t);
    if (cvt_is_signed(t) && bytes < 8 && *x >> (8 * bytes - 1) & 1)
        *x |= ~0ull << (8 * bytes);
    *x = cvt_low(*x, reg_bytes);
}

static uint64_t convert_lane(const vg_inst *in, uint64_t a, uint64_t b) {
    const ptx_inst *p = in->src;
    const ptx_type d = (ptx_type)p->type[0], s = (ptx_type)p->type[1];
    const unsigned sb = cvt_stride_bits(s), db = cvt_stride_bits(d);
    const cvt_rules r = {.rnd = p->rnd, .ftz = p->mods & PTX_M_FTZ, .sat = p->mods & PTX_M_SAT, .satfinite = p->mods & PTX_M_SATFINITE,
        .relu = p->mods & PTX_M_RELU};
    if (db == 8 * ptx_type_bytes(d))
        return cvt_any(a, s, d, &r);
    const uint64_t low = in->aux2 ? b : a, high = in->aux2 ? a : a >> sb;   // packed: from two sources, or half by half
    return cvt_any(low, s, d, &r) | cvt_any(high, s, d, &r) << db;
}

VG_HANDLER(cvt_slow) {
    const bool wide_s = in->imm >> 8 & 1, wide_d = in->imm >> 9 & 1;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint64_t a = wide_s ? vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l], b = in->aux2 ? vg_u32(w, in->b)[l] : 0;
        uint64_t x = convert_lane(in, a, b);
        extend(&x, (ptx_type)in->src->type[0], (unsigned)(in->imm & 0xff));
        if (wide_d)
            vg_u64(w, in->d)[l] = x;
        else
            vg_u32(w, in->d)[l] = (uint32_t)x;
    }
}

// cvt.pack: a and b, saturated, become the low elements of d, a above b; c moves up above them.
VG_HANDLER(cvt_pack) {
    const int32_t *a = vg_s32(w, in->a), *b = vg_s32(w, in->b);
    const uint32_t *c = in->src->n_operands > 3 ? vg_u32(w, in->c) : NULL;
    const unsigned bits = in->aux;
    const int32_t lo = in->aux2 ? -(1 << (bits - 1)) : 0, hi = (1 << (bits - (in->aux2 ? 1 : 0))) - 1;
    const uint32_t element = (1u << bits) - 1;
    uint32_t *d = vg_u32(w, in->d);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const int32_t x = CLAMP(a[l], lo, hi), y = CLAMP(b[l], lo, hi);
        d[l] = (c ? c[l] << 2 * bits : 0) | ((uint32_t)x & element) << bits | ((uint32_t)y & element);
    }
}

static bool bind_pack(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    static const struct { uint8_t type, bits, is_signed; } kinds[] = {{PTX_U2, 2, 0}, {PTX_S2, 2, 1}, {PTX_U4, 4, 0}, {PTX_S4, 4, 1},
        {PTX_U8, 8, 0}, {PTX_S8, 8, 1}, {PTX_U16, 16, 0}, {PTX_S16, 16, 1}};
    for (size_t i = 0; i < HONE_COUNT(kinds); i++)
        if (kinds[i].type == in->type[0] && in->type[1] == PTX_S32 && in->mods == PTX_M_SAT && (kinds[i].bits == 16) == (in->n_types == 2) &&
            in->n_operands == (kinds[i].bits == 16 ? 3 : 4)) {
            out->full = out->masked = cvt_pack;
            out->aux = kinds[i].bits;
            out->aux2 = kinds[i].is_signed;
            out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
            out->a = vg_bind_row(b, &in->operand[1], PTX_S32);
            out->b = vg_bind_row(b, &in->operand[2], PTX_S32);
            if (in->n_types == 3)
                out->c = vg_bind_row(b, &in->operand[3], PTX_B32);
            return ptx_type_bytes(vg_bind_reg_type(b, &in->operand[0])) == 4 || vg_unsupported(b, in, "a destination of another width");
        }
    return vg_unsupported(b, in, "these types");
}

// --- binding ----------------------------------------------------------------------------------------------------------------------
static bool is_int(ptx_type t) { return t >= PTX_U8 && t <= PTX_S64; }
static bool is_packed(ptx_type t) { return t == PTX_F16X2 || t == PTX_BF16X2 || t == PTX_E4M3X2 || t == PTX_E5M2X2 || (t >= PTX_E2M1X2 && t <= PTX_UE8M0X2); }
static bool is_legal(ptx_type t) { return is_int(t) || cvt_format_of(t) != NULL; }

static const char *problem(const ptx_inst *in, ptx_type d, ptx_type s) {
    if (!is_legal(d) || !is_legal(s))
        return "its types";
    const bool from_int = is_int(s), to_int = is_int(d), two = in->n_operands == 3;
    if (in->n_operands != 2 && !(two && is_packed(d) && s == PTX_F32))
        return "its operands";
    if (is_packed(d) && !is_packed(s) && !two)
        return "a packed result of one scalar";
    if (is_packed(s) && !is_packed(d))
        return "a scalar result of a packed value";
    if (!from_int && to_int && in->rnd < PTX_RNI)
        return "it needs an integer rounding";
    if (from_int && in->rnd >= PTX_RNI)
        return "it takes no integer rounding";
    return NULL;
}

// The row kinds: true when a register, or a constant standing for one, takes 64 bits per lane.
static bool row_is_wide(const vg_binder *b, const ptx_operand *o, ptx_type t) {
    const ptx_type reg = vg_bind_reg_type(b, o);
    return ptx_type_bytes(reg == PTX_NOTYPE ? t : reg) == 8;
}

static bool bind_ints(vg_inst *out, ptx_type d, ptx_type s, unsigned reg_bytes, bool wide_d, bool wide_s) {
    const unsigned sb = ptx_type_bytes(s), db = ptx_type_bytes(d);
    const bool ss = cvt_is_signed(s), sd = cvt_is_signed(d);
#define USE(name) (out->full = name##_full, out->masked = name##_masked, true)
    if (wide_s != (sb == 8) || wide_d != (db == 8))
        return false;
    out->imm = (sb < 4 ? 32 - 8 * sb : 0) | (db < 4 ? 32 - 8 * db : 0) << 8 | (reg_bytes < 4 ? 32 - 8 * reg_bytes : 0) << 16;
    if (wide_s && wide_d)
        return USE(int_copy64);
    if (wide_d)
        return ss ? USE(int_widen_s) : USE(int_widen_u);
    if (wide_s)
        return sd ? USE(int_narrow_s) : USE(int_narrow_u);
    return ss ? (sd ? USE(int_ss) : USE(int_su)) : (sd ? USE(int_us) : USE(int_uu));
#undef USE
}

static uint32_t variant_of(const ptx_inst *in, ptx_type s) {
    return (uint32_t)s | (uint32_t)in->rnd << 8 | (in->mods & PTX_M_FTZ ? V_FTZ : 0u) | (in->mods & PTX_M_SAT ? V_SAT : 0u) |
           (in->mods & PTX_M_RELU ? V_RELU : 0u) | (in->mods & PTX_M_SATFINITE ? V_SATFINITE : 0u);
}

static bool bind_fast(vg_inst *out, const ptx_inst *in, ptx_type d, ptx_type s, unsigned reg_bytes, bool wide_d, bool wide_s) {
    if (is_int(d) && is_int(s))
        return !(in->mods & PTX_M_SAT) && bind_ints(out, d, s, reg_bytes, wide_d, wide_s);
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), PTX_OP_CVT, d, variant_of(in, s));
    if (!f || wide_d != (ptx_type_bytes(d) == 8) || wide_s != (ptx_type_bytes(s) == 8))
        return false;
    out->full = f->full;
    out->masked = f->masked;
    return true;
}

bool VG_NAME(vg_bind_cvt)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_type d = (ptx_type)in->type[0], s = (ptx_type)in->type[1];
    if (in->sub == PTX_CVT_PACK)
        return bind_pack(b, in, out);
    const char *why = in->n_types == 2 ? problem(in, d, s) : "its types";
    if (why)
        return vg_unsupported(b, in, why);
    const bool wide_d = row_is_wide(b, &in->operand[0], d), wide_s = row_is_wide(b, &in->operand[1], s);
    const ptx_type reg = vg_bind_reg_type(b, &in->operand[0]);
    const unsigned reg_bytes = ptx_type_bytes(reg == PTX_NOTYPE ? d : reg);
    out->d = vg_bind_row(b, &in->operand[0], d);
    out->a = vg_bind_row(b, &in->operand[1], s);
    if (in->n_operands == 3) {
        out->b = vg_bind_row(b, &in->operand[2], s);
        out->aux2 = 1;
    }
    if (!bind_fast(out, in, d, s, reg_bytes, wide_d, wide_s)) {
        out->full = out->masked = cvt_slow;
        out->imm = reg_bytes | (int64_t)wide_s << 8 | (int64_t)wide_d << 9;
    }
    return true;
}
