// op_special: division, reciprocal, square root and the transcendental approximations of f32 and f64, copysign and testp. Rounded forms
// (.rn .rz .rm .rp) are exact: to nearest by the host's own division and square root, directed ones with the host's rounding mode
// set. Approximate forms stay within the error that PTX states (fp.h says which polynomial).
#include "vgpu/fp.h"
#include <fenv.h>

#define Z(x) vg_ftz(x)
#define N(x) vg_nan32(x)

// --- to nearest and approximate, f32 ----------------------------------------------------------------------------------------------
// Each operation without and with .ftz: inputs and results that are subnormal become zero of their sign.
#define F32_1(name, expr)                                                                                       \
    FP_INLINE float name##_of(float a) { return expr; }                                                     \
    VG_OP1(name, F32, F32, N(name##_of(a)))                                                                     \
    VG_OP1(name##_ftz, F32, F32, N(Z(name##_of(Z(a)))))
#define F32_2(name, expr)                                                                                       \
    FP_INLINE float name##_of(float a, float b) { return expr; }                                            \
    VG_OP2(name, F32, F32, F32, N(name##_of(a, b)))                                                             \
    VG_OP2(name##_ftz, F32, F32, F32, N(Z(name##_of(Z(a), Z(b)))))

F32_1(rcp_f32, 1.0f / a)
F32_1(sqrt_f32, __builtin_sqrtf(a))
F32_1(rsqrt_f32, 1.0f / __builtin_sqrtf(a))   // relative error below 2^-23; PTX allows 2^-22.9
F32_1(ex2_f32, fp_ex2(a))
F32_1(lg2_f32, fp_lg2(a))
F32_1(tanh_f32, fp_tanh(a))
F32_1(sin_f32, fp_sincos(a, 0.0))
F32_1(cos_f32, fp_sincos(a, 1.0))
F32_2(div_f32, a / b)

// PTX ISA 9.7.3.8: div.approx divides by multiplying with the reciprocal: for 2^126 < |b| < 2^128 the reciprocal underflows, so the
// result is 0, or NaN when a is infinite.
FP_INLINE float div_approx_value(float a, float b) {
    const uint32_t m = vg_bits_f32(b) & 0x7fffffffu;
    const uint32_t zero = (vg_bits_f32(a) ^ vg_bits_f32(b)) & 0x80000000u;
    const uint32_t huge = fp_blend(fp_lt(vg_bits_f32(a) & 0x7fffffffu, 0x7f800000u), zero, 0x7fffffffu);
    return vg_f32_of(fp_blend(fp_lt(0x7e800000u, m) & fp_lt(m, 0x7f800000u), huge, vg_bits_f32(a / b)));
}
F32_2(div_approx_f32, div_approx_value(a, b))

// --- to nearest, f64 --------------------------------------------------------------------------------------------------------------
VG_OP1(rcp_f64, F64, F64, vg_nan64(1.0 / a))
VG_OP1(sqrt_f64, F64, F64, vg_nan64(__builtin_sqrt(a)))
VG_OP2(div_f64, F64, F64, F64, vg_nan64(a / b))
VG_OP1(rsqrt_f64, F64, F64, vg_nan64(1.0 / __builtin_sqrt(a)))   // rsqrt.approx.f64

// PTX ISA 9.7.3.14 and 9.7.3.17: the .approx.ftz.f64 forms look at the upper 32 bits only, flush subnormals, and write zeros below.
FP_INLINE double upper(double x) { return vg_f64_of(vg_bits_f64(x) & 0xffffffff00000000ull); }
FP_INLINE double flush64(double x) {
    const uint64_t b = vg_bits_f64(x);
    return vg_f64_of(b & 0x7ff0000000000000ull ? b : b & 0x8000000000000000ull);
}
FP_INLINE double gross(double x) {
    const uint64_t b = vg_bits_f64(flush64(x));
    return x == x ? vg_f64_of((b + 0x80000000ull) & 0xffffffff00000000ull) : vg_f64_of(0x7fffffff00000000ull);
}
VG_OP1(rcp_approx_f64, F64, F64, gross(1.0 / upper(flush64(a))))
VG_OP1(rsqrt_approx_ftz_f64, F64, F64, gross(1.0 / __builtin_sqrt(upper(flush64(a)))))

// --- directed rounding ------------------------------------------------------------------------------------------------------------
// in->imm: the host's rounding mode, in->aux: .ftz. Volatile operands keep the arithmetic between the two mode changes.
enum { DIV, RCP, SQRT };
static float directed32(int op, float a, float b) {
    volatile float x = a, y = b, r;
    r = op == DIV ? x / y : op == RCP ? 1.0f / x : __builtin_sqrtf(x);
    return r;
}
static double directed64(int op, double a, double b) {
    volatile double x = a, y = b, r;
    r = op == DIV ? x / y : op == RCP ? 1.0 / x : __builtin_sqrt(x);
    return r;
}
static void run32(vg_warp *w, const vg_inst *in, uint32_t mask, int op) {
    const float *ra = VG_ROW(F32, in->a), *rb = op == DIV ? VG_ROW(F32, in->b) : ra;
    float *rd = VG_ROW(F32, in->d);
    const int before = fegetround();
    fesetround((int)in->imm);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const float r = in->aux ? Z(directed32(op, Z(ra[l]), Z(rb[l]))) : directed32(op, ra[l], rb[l]);
        rd[l] = N(r);
    }
    fesetround(before);
}
static void run64(vg_warp *w, const vg_inst *in, uint32_t mask, int op) {
    const double *ra = VG_ROW(F64, in->a), *rb = op == DIV ? VG_ROW(F64, in->b) : ra;
    double *rd = VG_ROW(F64, in->d);
    const int before = fegetround();
    fesetround((int)in->imm);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        rd[l] = vg_nan64(directed64(op, ra[l], rb[l]));
    }
    fesetround(before);
}
VG_HANDLER(div_dir32) { run32(w, in, mask, DIV); }
VG_HANDLER(rcp_dir32) { run32(w, in, mask, RCP); }
VG_HANDLER(sqrt_dir32) { run32(w, in, mask, SQRT); }
VG_HANDLER(div_dir64) { run64(w, in, mask, DIV); }
VG_HANDLER(rcp_dir64) { run64(w, in, mask, RCP); }
VG_HANDLER(sqrt_dir64) { run64(w, in, mask, SQRT); }

// --- copysign and testp -----------------------------------------------------------------------------------------------------------
VG_OP2(copysign_f32, U32, U32, U32, (a & 0x80000000u) | (b & 0x7fffffffu))   // the sign of a on b
VG_OP2(copysign_f64, U64, U64, U64, (a & 0x8000000000000000ull) | (b & 0x7fffffffffffffffull))

static bool test_class(unsigned sub, bool zero, bool exp_zero, bool exp_ones, bool fraction) {
    switch (sub) {
    case PTX_TESTP_FINITE: return !exp_ones;
    case PTX_TESTP_INFINITE: return exp_ones && !fraction;
    case PTX_TESTP_NUMBER: return !(exp_ones && fraction);
    case PTX_TESTP_NOTANUMBER: return exp_ones && fraction;
    case PTX_TESTP_NORMAL: return zero || (!exp_zero && !exp_ones);   // PTX ISA 9.7.3.1: zero counts as normal
    default: return exp_zero && fraction;
    }
}
VG_HANDLER(testp_f32) {
    const uint32_t *ra = VG_ROW(U32, in->a);
    uint32_t r = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t e = ra[l] & 0x7f800000u, m = ra[l] & 0x7fffffu;
        r |= (uint32_t)test_class((unsigned)in->imm, !e && !m, !e, e == 0x7f800000u, m != 0) << l;
    }
    vg_pred_write(w, in->d, r, mask);
}
VG_HANDLER(testp_f64) {
    const uint64_t *ra = VG_ROW(U64, in->a);
    uint32_t r = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint64_t e = ra[l] & 0x7ff0000000000000ull, m = ra[l] & 0xfffffffffffffull;
        r |= (uint32_t)test_class((unsigned)in->imm, !e && !m, !e, e == 0x7ff0000000000000ull, m != 0) << l;
    }
    vg_pred_write(w, in->d, r, mask);
}

// --- forms ------------------------------------------------------------------------------------------------------------------------
enum { V_RN = 0, V_DIR = 1, V_APPROX = 2, V_FULL = 4, V_FTZ = 8 };
#define BOTH(op, variant, name) {PTX_OP_##op, PTX_F32, variant, VG_H(name)}, {PTX_OP_##op, PTX_F32, (variant) | V_FTZ, VG_H(name##_ftz)}
#define DIRECTED(op, type, name) {PTX_OP_##op, type, V_DIR, name, name}
static const vg_form g_forms[] = {
    BOTH(RCP, V_RN, rcp_f32), BOTH(RCP, V_APPROX, rcp_f32), BOTH(SQRT, V_RN, sqrt_f32), BOTH(SQRT, V_APPROX, sqrt_f32),
    BOTH(RSQRT, V_APPROX, rsqrt_f32),
    BOTH(EX2, V_APPROX, ex2_f32), BOTH(LG2, V_APPROX, lg2_f32), BOTH(TANH, V_APPROX, tanh_f32), BOTH(SIN, V_APPROX, sin_f32),
    BOTH(COS, V_APPROX, cos_f32),
    BOTH(DIV, V_RN, div_f32), BOTH(DIV, V_FULL, div_f32), BOTH(DIV, V_APPROX, div_approx_f32),
    {PTX_OP_RCP, PTX_F64, V_RN, VG_H(rcp_f64)}, {PTX_OP_SQRT, PTX_F64, V_RN, VG_H(sqrt_f64)}, {PTX_OP_DIV, PTX_F64, V_RN, VG_H(div_f64)},
    {PTX_OP_RSQRT, PTX_F64, V_APPROX, VG_H(rsqrt_f64)}, {PTX_OP_RCP, PTX_F64, V_APPROX | V_FTZ, VG_H(rcp_approx_f64)},
    {PTX_OP_RSQRT, PTX_F64, V_APPROX | V_FTZ, VG_H(rsqrt_approx_ftz_f64)},
    DIRECTED(DIV, PTX_F32, div_dir32), DIRECTED(RCP, PTX_F32, rcp_dir32), DIRECTED(SQRT, PTX_F32, sqrt_dir32),
    DIRECTED(DIV, PTX_F64, div_dir64), DIRECTED(RCP, PTX_F64, rcp_dir64), DIRECTED(SQRT, PTX_F64, sqrt_dir64),
    {PTX_OP_COPYSIGN, PTX_F32, V_RN, VG_H(copysign_f32)}, {PTX_OP_COPYSIGN, PTX_F64, V_RN, VG_H(copysign_f64)},
};

static int host_mode(unsigned rnd) { return rnd == PTX_RZ ? FE_TOWARDZERO : rnd == PTX_RM ? FE_DOWNWARD : FE_UPWARD; }

static bool bind_testp(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->full = out->masked = in->type[0] == PTX_F64 ? testp_f64 : testp_f32;
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->a = vg_bind_row(b, &in->operand[1], (ptx_type)in->type[0]);
    out->imm = in->sub;
    return true;
}

bool VG_NAME(vg_bind_special)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool directed = in->rnd == PTX_RZ || in->rnd == PTX_RM || in->rnd == PTX_RP, ftz = in->mods & PTX_M_FTZ;
    const ptx_type t = (ptx_type)in->type[0];
    if (t != PTX_F32 && t != PTX_F64)
        return vg_unsupported(b, in, "its type");
    if (in->mods & ~(uint32_t)(PTX_M_FTZ | PTX_M_APPROX | PTX_M_FULL))
        return vg_unsupported(b, in, "these modifiers");
    if (in->op == PTX_OP_TESTP)
        return bind_testp(b, in, out);
    uint32_t variant = directed ? V_DIR : in->mods & PTX_M_APPROX ? V_APPROX : in->mods & PTX_M_FULL ? V_FULL : V_RN;
    variant |= ftz && !directed ? V_FTZ : 0;
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), in->op, t, variant);
    const unsigned sources = in->op == PTX_OP_DIV || in->op == PTX_OP_COPYSIGN ? 2 : 1;
    if (!f || in->n_operands != sources + 1)
        return vg_unsupported(b, in, "this combination of type, rounding and modifiers");
    if (!vg_bind_form(b, in, out, f, t, t))
        return false;
    if (directed) {
        out->imm = host_mode(in->rnd);
        out->aux = ftz;
    }
    return true;
}
