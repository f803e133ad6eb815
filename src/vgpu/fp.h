// fp: arithmetic shared by the families that convert and round (half, cvt, special, mma): f16 and bf16 to and from f32, rounding to
// odd, and f32/f64 approximations. All of it is branch-free on lanes, so that loops over 32 of them vectorise, and uses no fused
// operations, so that every instruction set gives the same bits. Include after op.h.
#ifndef HONE_VGPU_FP_H
#define HONE_VGPU_FP_H
#include "vgpu/op.h"
#include <math.h>

// c ? a : b without a branch: compilers turn ?: on floating-point arms into control flow, which does not vectorise.
static inline uint32_t fp_select(bool c, uint32_t a, uint32_t b) { return b ^ ((a ^ b) & (0u - (uint32_t)c)); }
static inline float fp_select32(bool c, float a, float b) { return vg_f32_of(fp_select(c, vg_bits_f32(a), vg_bits_f32(b))); }

// --- f16 and bf16 ---------------------------------------------------------------------------------------------------------------
static inline float fp_f32_of_f16(uint32_t h) {   // exact; NaN keeps its payload
    const uint32_t sign = (h & 0x8000u) << 16, em = (h & 0x7fffu) << 13;
    const float scaled = vg_f32_of(em) * 0x1p112f;   // also makes subnormals normal
    return vg_f32_of(fp_select((h & 0x7c00u) == 0x7c00u, em | 0x7f800000u, vg_bits_f32(scaled)) | sign);
}
static inline uint32_t fp_f16_of_f32(float f) {   // to nearest even; NaN → 0x7fff, as the hardware writes it
    const uint32_t x = vg_bits_f32(f), sign = x >> 16 & 0x8000u, m = x & 0x7fffffffu;
    const uint32_t normal = (m + 0xc8000fffu + (m >> 13 & 1u)) >> 13;
    const uint32_t small = vg_bits_f32(vg_f32_of(m) + 0.5f) - 0x3f000000u;   // the addition rounds at 2^-24
    const uint32_t finite = fp_select(m < 0x38800000u, small, normal);
    return fp_select(m > 0x7f800000u, 0x7fffu, fp_select(m >= 0x47800000u, 0x7c00u, finite) | sign);
}
static inline float fp_f32_of_bf16(uint32_t h) { return vg_f32_of(h << 16); }
static inline uint32_t fp_bf16_of_f32(float f) {   // to nearest even; NaN → 0x7fff
    const uint32_t x = vg_bits_f32(f);
    return fp_select((x & 0x7fffffffu) > 0x7f800000u, 0x7fffu, (x + 0x7fffu + (x >> 16 & 1u)) >> 16);
}
static inline uint32_t fp_f16_ftz(uint32_t h) { return fp_select((h & 0x7c00u) != 0, h, h & 0x8000u); }

// --- rounding to odd (Boldo and Melquiond): an inexact result takes the neighbour whose last bit is 1, so that rounding it once more
// to at least two bits fewer gives the correctly rounded value of the exact one. `direction` is the sign of exact - s, 0 when exact.
static inline float fp_odd32(float s, int32_t direction) {   // direction is -1, 0 or 1
    const uint32_t x = vg_bits_f32(s), m = x & 0x7fffffffu, d = (uint32_t)direction, minus = 0u - (x >> 31);
    const uint32_t moved = fp_select(m == 0, 1u | (d & 0x80000000u), x + ((d ^ minus) - minus));
    const uint32_t even = (x & 1u) - 1u, finite = 0u - (uint32_t)(m < 0x7f800000u), inexact = 0u - (d & 1u);
    return vg_f32_of(x ^ ((x ^ moved) & even & finite & inexact));
}
static inline int32_t fp_sign32(float e) { return (int32_t)(e > 0.0f) - (int32_t)(e < 0.0f); }   // 0 for NaN
static inline int32_t fp_sign64(double e) { return (int32_t)(e > 0.0) - (int32_t)(e < 0.0); }
// a*b + c for f16 values held in f32: the product is exact (22 bits), TwoSum (Knuth) gives the error of the sum.
static inline float fp_fma_f16(float a, float b, float c) {
    const float p = a * b, s = p + c, t = s - p;
    return fp_odd32(s, fp_sign32((p - (s - t)) + (c - t)));
}
// The same for bf16 values: 16-bit products and the exponents of f32 need binary64.
static inline float fp_fma_bf16(float a, float b, float c) {
    const double p = (double)a * (double)b, s = p + (double)c, t = s - p;
    const int32_t sum = fp_sign64((p - (s - t)) + ((double)c - t));
    const float f = (float)s;
    const int32_t narrow = fp_sign64(s - (double)f);
    return fp_odd32(f, narrow + (sum & (int32_t)((uint32_t)(narrow & 1) - 1u)));
}
static inline float fp_mul_bf16(float a, float b) {
    const double p = (double)a * (double)b;
    const float f = (float)p;
    return fp_odd32(f, fp_sign64(p - (double)f));
}

// --- binary64 → binary32 in a direction -----------------------------------------------------------------------------------------
static inline float fp_up32(float f) {   // the next value above; not for NaN or +inf
    const uint32_t x = vg_bits_f32(f);
    return vg_f32_of((x & 0x7fffffffu) == 0 ? 1u : x & 0x80000000u ? x - 1u : x + 1u);
}
static inline float fp_down32(float f) { return -fp_up32(-f); }
static inline float fp_f32_rz(double d) {
    const float f = (float)d;
    const bool too_far = d > 0 ? (double)f > d : (double)f < d;
    return too_far ? (d > 0 ? fp_down32(f) : fp_up32(f)) : f;
}
static inline float fp_f32_rm(double d) {
    const float f = (float)d;
    return (double)f > d ? fp_down32(f) : f;
}
static inline float fp_f32_rp(double d) {
    const float f = (float)d;
    return (double)f < d ? fp_up32(f) : f;
}

// --- approximations -------------------------------------------------------------------------------------------------------------
// 2^a. PTX ISA 9.7.3.21 allows a relative error of 2^-22.5 (2 ulp in full range). Here: a = n + r, |r| ≤ 1/2, a degree-7 minimax-like
// (Taylor) polynomial in r, evaluated in binary32 with the last step 1 + r·q: at most 1.0 ulp measured. Scaling in two steps keeps
// subnormal results.
static inline float fp_ex2(float a) {
    const float x = a < -151.0f ? -151.0f : a > 129.0f ? 129.0f : a;   // NaN passes
    const float magic = 12582912.0f, n = (x + magic) - magic, r = x - n;
    const float q = 0.69314718056f + r * (0.24022650696f + r * (0.055504108665f + r * (0.0096181291076f +
                    r * (0.0013333558146f + r * (0.00015403530394f + r * 0.000015252733804f)))));
    const float y = 1.0f + r * q;
    const int32_t i = (int32_t)(x == x ? n : 0.0f), half = i >> 1;
    const float s1 = vg_f32_of((uint32_t)(half + 127) << 23), s2 = vg_f32_of((uint32_t)(i - half + 127) << 23);
    const float z = y * s1 * s2;
    return vg_f32_of(fp_select(a == a, vg_bits_f32(z), 0x7fffffffu));
}

// log2 a. PTX allows an absolute error of 2^-22.6 for a in (0.5, 2) and that relative error elsewhere. Here: a = m·2^e with
// m in [√½, √2), log2 m = 2/ln 2 · atanh((m-1)/(m+1)) as an odd polynomial of degree 9 (truncation 2^-29).
static inline float fp_lg2(float a) {
    const float big = a * 0x1p24f;
    const uint32_t x0 = vg_bits_f32(a);
    const bool sub = (x0 & 0x7f800000u) == 0;
    const uint32_t x = fp_select(sub, vg_bits_f32(big), x0);
    const int32_t e = ((int32_t)(x - 0x3f3504f3u) >> 23);
    const float m = vg_f32_of(x - ((uint32_t)e << 23)), t = m - 1.0f, s = t / (m + 1.0f), z = s * s;
    const float p = s * (2.8853900818f + z * (0.96179669393f + z * (0.57707801636f + z * (0.41219858311f + z * 0.32059889798f))));
    const float y = p + (float)(e - (sub ? 24 : 0));
    const uint32_t special = fp_select(a != a || a < 0.0f, 0x7fffffffu, fp_select(a == 0.0f, 0xff800000u, 0x7f800000u));
    return vg_f32_of(fp_select(a > 0.0f && x0 < 0x7f800000u, vg_bits_f32(y), special));
}

// tanh. PTX allows a relative error of 2^-11. Here: x - x³/3 + 2x⁵/15 below 1/4, else 1 - 2/(1 + e^2x): 2^-14.
static inline float fp_tanh(float a) {
    const float m = vg_f32_of(vg_bits_f32(a) & 0x7fffffffu), c = m > 10.0f ? 10.0f : m, z = c * c;
    const float small = m + m * z * (-0.33333333f + z * 0.13333333f);
    const float large = 1.0f - 2.0f / (1.0f + fp_ex2(c * 2.8853900818f));
    const float y = fp_select32(m < 0.25f, small, large);
    return vg_f32_of(fp_select(a == a, vg_bits_f32(y) | (vg_bits_f32(a) & 0x80000000u), 0x7fffffffu));
}

// sin and cos. PTX allows an absolute error of 2^-20.5 in [-π, π] and less outside. Here: binary64 reduction by π/2 in two parts, then
// polynomials in binary64 to 2^-30, so within binary32 rounding up to |a| = 2^31; beyond that the reduction's error grows, as on hardware,
// but the result stays in [-1, 1].
static inline float fp_sincos(float a, double quarter) {
    const double x = (double)a, magic = 0x1.8p52;
    const double k = (x * 0.63661977236758134308 + magic) - magic;
    const double r0 = (x - k * 0x1.921fb54400000p+0) - k * 0x1.0b4611a626331p-34;
    const double r = r0 > 0.8 ? 0.8 : r0 < -0.8 ? -0.8 : r0;
    const double q = k + quarter, j = q - 4.0 * ((q * 0.25 - 0.375 + magic) - magic);   // q modulo 4: 0 … 3
    const double z = r * r;
    const double s = r * (1.0 + z * (-1.6666666666666666e-1 + z * (8.3333333333333333e-3 + z * (-1.9841269841269841e-4 + z * 2.7557319223985893e-6))));
    const double c = 1.0 + z * (-0.5 + z * (4.1666666666666667e-2 + z * (-1.3888888888888889e-3 + z * (2.4801587301587302e-5 - z * 2.7557319223985888e-7))));
    const bool use_cos = j == 1.0 || j == 3.0;
    const double y = use_cos ? c : s;
    const float f = (float)(j >= 2.0 ? -y : y);
    const float zero = quarter == 0.0 && a == 0.0f ? a : f;   // sin(-0) is -0
    return (vg_bits_f32(a) & 0x7f800000u) == 0x7f800000u ? vg_f32_of(0x7fffffffu) : zero;
}
#endif
