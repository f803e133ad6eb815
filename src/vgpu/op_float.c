// op_float: f32 and f64 arithmetic whose result IEEE 754 defines: add sub mul fma mad min max abs neg. Bit exact in every rounding mode, with
// .ftz and .sat as PTX ISA 9.7.3 says. Round-to-nearest runs as vector loops; the other modes set the host's rounding mode around a loop that
// the compiler cannot move. Division and the transcendental functions are in op_special.c, half precision in op_half.c.
#include "vgpu/op.h"
#include <fenv.h>

enum { KEY_SAT = 1, KEY_FTZ = 2, KEY_NAN = 4, KEY_XORSIGN = 8 };

// ---- round to nearest: four variants each
#define FTZ(x) vg_ftz(x)
#define F32_2(name, e, ef)                                            \
    VG_OP2(name##_f32, F32, F32, F32, vg_nan32(e))                    \
    VG_OP2(name##_sat_f32, F32, F32, F32, vg_sat32(e))                \
    VG_OP2(name##_ftz_f32, F32, F32, F32, vg_nan32(FTZ(ef)))          \
    VG_OP2(name##_ftz_sat_f32, F32, F32, F32, vg_sat32(FTZ(ef)))
F32_2(add, a + b, FTZ(a) + FTZ(b))
F32_2(sub, a - b, FTZ(a) - FTZ(b))
F32_2(mul, a *b, FTZ(a) * FTZ(b))
VG_OP3(fma_f32, F32, F32, F32, F32, vg_nan32(__builtin_fmaf(a, b, c)))
VG_OP3(fma_sat_f32, F32, F32, F32, F32, vg_sat32(__builtin_fmaf(a, b, c)))
VG_OP3(fma_ftz_f32, F32, F32, F32, F32, vg_nan32(FTZ(__builtin_fmaf(FTZ(a), FTZ(b), FTZ(c)))))
VG_OP3(fma_ftz_sat_f32, F32, F32, F32, F32, vg_sat32(FTZ(__builtin_fmaf(FTZ(a), FTZ(b), FTZ(c)))))
VG_OP2(add_f64, F64, F64, F64, a + b)
VG_OP2(sub_f64, F64, F64, F64, a - b)
VG_OP2(mul_f64, F64, F64, F64, a *b)
VG_OP3(fma_f64, F64, F64, F64, F64, __builtin_fma(a, b, c))

// ---- min max: a NaN loses against a number (unless .NaN), and -0 < +0
static inline float min32(float a, float b) {
    const float zero = vg_f32_of(vg_bits_f32(a) | vg_bits_f32(b));     // equal: the same bits, or two zeros
    const float r = a == b ? zero : a < b ? a : b;
    return vg_nan32(a != a ? b : b != b ? a : r);
}
static inline float max32(float a, float b) {
    const float zero = vg_f32_of(vg_bits_f32(a) & vg_bits_f32(b));
    const float r = a == b ? zero : a > b ? a : b;
    return vg_nan32(a != a ? b : b != b ? a : r);
}
static inline double min64(double a, double b) {
    const double zero = vg_f64_of(vg_bits_f64(a) | vg_bits_f64(b));
    const double r = a == b ? zero : a < b ? a : b;
    return a != a ? b : b != b ? a : r;
}
static inline double max64(double a, double b) {
    const double zero = vg_f64_of(vg_bits_f64(a) & vg_bits_f64(b));
    const double r = a == b ? zero : a > b ? a : b;
    return a != a ? b : b != b ? a : r;
}
static inline float abs32(float a) { return vg_f32_of(vg_bits_f32(a) & 0x7fffffffu); }
static inline float or_nan(float r, float a, float b) { return a != a || b != b ? vg_f32_of(0x7fffffffu) : r; }
// .xorsign.abs: the smaller magnitude with the product's sign
static inline float xor_sign(float r, float a, float b) { return vg_f32_of(vg_bits_f32(r) | ((vg_bits_f32(a) ^ vg_bits_f32(b)) & 0x80000000u)); }
#define MINMAX(name, fn)                                                                                                           \
    VG_OP2(name##_f32, F32, F32, F32, fn##32(a, b))                                                                                \
    VG_OP2(name##_ftz_f32, F32, F32, F32, fn##32(FTZ(a), FTZ(b)))                                                                  \
    VG_OP2(name##_nan_f32, F32, F32, F32, or_nan(fn##32(a, b), a, b))                                                              \
    VG_OP2(name##_ftz_nan_f32, F32, F32, F32, or_nan(fn##32(FTZ(a), FTZ(b)), a, b))                                                \
    VG_OP2(name##_xs_f32, F32, F32, F32, xor_sign(fn##32(abs32(a), abs32(b)), a, b))                                               \
    VG_OP2(name##_ftz_xs_f32, F32, F32, F32, xor_sign(fn##32(abs32(FTZ(a)), abs32(FTZ(b))), a, b))                                 \
    VG_OP2(name##_nan_xs_f32, F32, F32, F32, xor_sign(or_nan(fn##32(abs32(a), abs32(b)), a, b), a, b))                             \
    VG_OP2(name##_ftz_nan_xs_f32, F32, F32, F32, xor_sign(or_nan(fn##32(abs32(FTZ(a)), abs32(FTZ(b))), a, b), a, b))               \
    VG_OP2(name##_f64, F64, F64, F64, fn##64(a, b))
MINMAX(min, min)
MINMAX(max, max)
VG_OP1(abs_f32, U32, U32, a & 0x7fffffffu)
VG_OP1(abs_ftz_f32, F32, F32, abs32(FTZ(a)))
VG_OP1(neg_f32, U32, U32, a ^ 0x80000000u)
VG_OP1(neg_ftz_f32, F32, F32, vg_f32_of(vg_bits_f32(FTZ(a)) ^ 0x80000000u))
VG_OP1(abs_f64, U64, U64, a & 0x7fffffffffffffffull)
VG_OP1(neg_f64, U64, U64, a ^ 0x8000000000000000ull)

// ---- directed rounding: in->aux2 = host mode, in->aux = variant. noinline: the arithmetic must not move out of the mode's reach.
#define DIRECTED32(name, expr)                                                                                                     \
    static __attribute__((noinline)) void name(float *d, const float *ra, const float *rb, const float *rc, bool ftz) {            \
        for (unsigned l = 0; l < VG_LANES; l++) {                                                                                  \
            const float a = ftz ? vg_ftz(ra[l]) : ra[l], b = ftz ? vg_ftz(rb[l]) : rb[l], c = ftz ? vg_ftz(rc[l]) : rc[l];         \
            const volatile float v = expr;                                                                                         \
            (void)c;                                                                                                               \
            d[l] = v;                                                                                                              \
        }                                                                                                                          \
    }
#define DIRECTED64(name, expr)                                                                                                     \
    static __attribute__((noinline)) void name(double *d, const double *ra, const double *rb, const double *rc) {                  \
        for (unsigned l = 0; l < VG_LANES; l++) {                                                                                  \
            const double a = ra[l], b = rb[l], c = rc[l];                                                                          \
            const volatile double v = expr;                                                                                        \
            (void)c;                                                                                                               \
            d[l] = v;                                                                                                              \
        }                                                                                                                          \
    }
DIRECTED32(directed_add32, a + b)
DIRECTED32(directed_mul32, a *b)
DIRECTED32(directed_fma32, __builtin_fmaf(a, b, c))
DIRECTED64(directed_add64, a + b)
DIRECTED64(directed_mul64, a *b)
DIRECTED64(directed_fma64, __builtin_fma(a, b, c))

VG_HANDLER(directed_f32) {
    float t[VG_LANES], minus_b[VG_LANES];
    const float *a = vg_f32(w, in->a), *b = vg_f32(w, in->b);
    const bool ftz = in->aux & KEY_FTZ;
    for (unsigned l = 0; in->src->op == PTX_OP_SUB && l < VG_LANES; l++)
        minus_b[l] = -b[l];
    const int before = fegetround();
    fesetround(in->aux2);
    if (in->src->op == PTX_OP_MUL)
        directed_mul32(t, a, b, b, ftz);
    else if (in->src->op == PTX_OP_FMA || in->src->op == PTX_OP_MAD)
        directed_fma32(t, a, b, vg_f32(w, in->c), ftz);
    else
        directed_add32(t, a, in->src->op == PTX_OP_SUB ? minus_b : b, b, ftz);
    fesetround(before);
    float *d = vg_f32(w, in->d);
    for (unsigned l = 0; l < VG_LANES; l++) {
        const float v = ftz ? vg_ftz(t[l]) : t[l], x = in->aux & KEY_SAT ? vg_sat32(v) : vg_nan32(v);
        d[l] = VG_ON(l) ? x : d[l];
    }
}
VG_HANDLER(directed_f64) {
    double t[VG_LANES], minus_b[VG_LANES];
    const double *a = vg_f64(w, in->a), *b = vg_f64(w, in->b);
    for (unsigned l = 0; in->src->op == PTX_OP_SUB && l < VG_LANES; l++)
        minus_b[l] = -b[l];
    const int before = fegetround();
    fesetround(in->aux2);
    if (in->src->op == PTX_OP_MUL)
        directed_mul64(t, a, b, b);
    else if (in->src->op == PTX_OP_FMA || in->src->op == PTX_OP_MAD)
        directed_fma64(t, a, b, vg_f64(w, in->c));
    else
        directed_add64(t, a, in->src->op == PTX_OP_SUB ? minus_b : b, b);
    fesetround(before);
    double *d = vg_f64(w, in->d);
    for (unsigned l = 0; l < VG_LANES; l++)
        d[l] = VG_ON(l) ? t[l] : d[l];
}

#define F(op, type, variant, name) { PTX_OP_##op, PTX_##type, variant, VG_H(name) }
#define F4(op, name) F(op, F32, 0, name##_f32), F(op, F32, KEY_SAT, name##_sat_f32), F(op, F32, KEY_FTZ, name##_ftz_f32), \
    F(op, F32, KEY_FTZ | KEY_SAT, name##_ftz_sat_f32)
#define F8(op, name) F(op, F32, 0, name##_f32), F(op, F32, KEY_FTZ, name##_ftz_f32), F(op, F32, KEY_NAN, name##_nan_f32),                        \
    F(op, F32, KEY_FTZ | KEY_NAN, name##_ftz_nan_f32), F(op, F32, KEY_XORSIGN, name##_xs_f32), F(op, F32, KEY_FTZ | KEY_XORSIGN, name##_ftz_xs_f32), \
    F(op, F32, KEY_NAN | KEY_XORSIGN, name##_nan_xs_f32), F(op, F32, KEY_FTZ | KEY_NAN | KEY_XORSIGN, name##_ftz_nan_xs_f32)
static const vg_form g_forms[] = {
    F4(ADD, add), F4(SUB, sub), F4(MUL, mul), F4(FMA, fma), F4(MAD, fma), F8(MIN, min), F8(MAX, max),
    F(ABS, F32, 0, abs_f32), F(ABS, F32, KEY_FTZ, abs_ftz_f32), F(NEG, F32, 0, neg_f32), F(NEG, F32, KEY_FTZ, neg_ftz_f32),
    F(ADD, F64, 0, add_f64), F(SUB, F64, 0, sub_f64), F(MUL, F64, 0, mul_f64), F(FMA, F64, 0, fma_f64), F(MAD, F64, 0, fma_f64),
    F(MIN, F64, 0, min_f64), F(MAX, F64, 0, max_f64), F(ABS, F64, 0, abs_f64), F(NEG, F64, 0, neg_f64),
};

static int host_mode(uint8_t rnd) { return rnd == PTX_RZ ? FE_TOWARDZERO : rnd == PTX_RM ? FE_DOWNWARD : FE_UPWARD; }

bool VG_NAME(vg_bind_float)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_bind_float_more)(vg_binder *b, const ptx_inst *in, vg_inst *out);   // op_float_more.c
bool VG_NAME(vg_bind_float)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_type t = (ptx_type)in->type[0];
    if (t == PTX_F32X2 || in->n_types > 1 || ((in->op == PTX_OP_MIN || in->op == PTX_OP_MAX) && in->n_operands == 4))
        return VG_NAME(vg_bind_float_more)(b, in, out);
    const uint32_t variant = (in->mods & PTX_M_SAT ? KEY_SAT : 0u) | (in->mods & PTX_M_FTZ ? KEY_FTZ : 0u) | (in->mods & PTX_M_NAN ? KEY_NAN : 0u) |
                             (in->mods & PTX_M_XORSIGN_ABS ? KEY_XORSIGN : 0u);
    const vg_form *f = vg_form_find(g_forms, HONE_COUNT(g_forms), in->op, t, variant);
    const bool three = in->op == PTX_OP_FMA || in->op == PTX_OP_MAD, one = in->op == PTX_OP_ABS || in->op == PTX_OP_NEG;
    // .abs belongs to .xorsign here; with three operands it stands alone
    const uint32_t known = PTX_M_SAT | PTX_M_FTZ | PTX_M_NAN | PTX_M_XORSIGN_ABS | PTX_M_ABS;
    if (in->mods & ~known || in->mods2 || !(in->mods & PTX_M_XORSIGN_ABS) != !(in->mods & PTX_M_ABS))
        return vg_unsupported(b, in, "this combination of type and modifiers");
    if (!f || in->n_operands != (three ? 4 : one ? 2 : 3) || in->n_types != 1)
        return vg_unsupported(b, in, "this combination of type and modifiers");
    vg_bind_form(b, in, out, f, t, t);
    if (in->rnd == PTX_RZ || in->rnd == PTX_RM || in->rnd == PTX_RP) {
        out->full = out->masked = t == PTX_F64 ? directed_f64 : directed_f32;
        out->aux = variant;
        out->aux2 = (uint16_t)host_mode(in->rnd);
    }
    return true;
}
