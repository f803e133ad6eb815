// fp: arithmetic shared by the families that convert and round (half, cvt, special, mma): f16 and bf16 to and from f32, rounding to
// odd, and f32/f64 approximations. All of it is branch-free on lanes, so that loops over 32 of them vectorise, and uses no fused
// operations, so that every instruction set gives the same bits. Include after op.h.
#ifndef HONE_VGPU_FP_H
#define HONE_VGPU_FP_H
#include "vgpu/op.h"
#include <math.h>
// always: a call inside a loop keeps it from vectorising
#define FP_INLINE static inline __attribute__((always_inline))

// Masks instead of conditions: compilers turn ?: into control flow around the floating-point arms, and such loops do not vectorise.
// All ones when a < b; for values below 2^31.
FP_INLINE uint32_t fp_lt(uint32_t a, uint32_t b) { return (uint32_t)((int32_t)(a - b) >> 31); }
FP_INLINE uint32_t fp_blend(uint32_t mask, uint32_t a, uint32_t b) { return b ^ ((a ^ b) & mask); }   // mask ? a : b

// --- f16 and bf16 ---------------------------------------------------------------------------------------------------------------
FP_INLINE float fp_f32_of_f16(uint32_t h) {   // exact; NaN keeps its payload
    const uint32_t sign = (h & 0x8000u) << 16, m = h & 0x7fffu;
    const uint32_t scaled = vg_bits_f32(vg_f32_of(m << 13) * 0x1p112f);   // also makes subnormals normal
    return vg_f32_of(scaled | sign | (fp_lt(0x7bffu, m) & (m << 13 | 0x7f800000u)));
}
FP_INLINE uint32_t fp_f16_of_f32(float f) {   // to nearest even; NaN → 0x7fff, as the hardware writes it
    const uint32_t x = vg_bits_f32(f), sign = x >> 16 & 0x8000u, m = x & 0x7fffffffu;
    const uint32_t normal = (m + 0xc8000fffu + (m >> 13 & 1u)) >> 13;
    const uint32_t small = vg_bits_f32(vg_f32_of(m) + 0.5f) - 0x3f000000u;   // the addition rounds at 2^-24
    const uint32_t finite = fp_blend(fp_lt(m, 0x38800000u), small, normal);
    return (fp_blend(fp_lt(m, 0x47800000u), finite, 0x7c00u) | sign |
        (fp_lt(0x7f800000u, m) & 0x7fffu)) & ~(fp_lt(0x7f800000u, m) & 0x8000u);
}
FP_INLINE float fp_f32_of_bf16(uint32_t h) { return vg_f32_of(h << 16); }
FP_INLINE uint32_t fp_bf16_of_f32(float f) {   // to nearest even; NaN → 0x7fff
    const uint32_t x = vg_bits_f32(f);
    return fp_blend(fp_lt(0x7f800000u, x & 0x7fffffffu), 0x7fffu, (x + 0x7fffu + (x >> 16 & 1u)) >> 16);
}
FP_INLINE uint32_t fp_f16_ftz(uint32_t h) { return h & (0x8000u | ~fp_lt(h & 0x7c00u, 1u)); }
// NaN → +0, below 0 → +0, above 1 → 1
FP_INLINE float fp_sat(float f) {
    const uint32_t x = vg_bits_f32(f), positive = ~(uint32_t)((int32_t)x >> 31), number = ~fp_lt(0x7f800000u, x & 0x7fffffffu);
    return vg_f32_of(fp_blend(fp_lt(0x3f800000u, x & 0x7fffffffu), 0x3f800000u, x) & positive & number);
}
// negative → +0, NaN stays
FP_INLINE float fp_relu(float f) {
    const uint32_t x = vg_bits_f32(f);
    return vg_f32_of(x & (~(uint32_t)((int32_t)x >> 31) | fp_lt(0x7f800000u, x & 0x7fffffffu)));
}

// --- rounding to odd (Boldo and Melquiond): an inexact result takes the neighbour whose last bit is 1, so that rounding it once more
// to at least two bits fewer gives the correctly rounded value of the exact one. `direction` is the sign of exact - s, 0 when exact.
FP_INLINE float fp_odd32(float s, int32_t direction) {   // direction is -1, 0 or 1
    const uint32_t x = vg_bits_f32(s), m = x & 0x7fffffffu, d = (uint32_t)direction, minus = (uint32_t)((int32_t)x >> 31);
    const uint32_t moved = fp_blend(fp_lt(m, 1u), 1u | (d & 0x80000000u), x + ((d ^ minus) - minus));
    const uint32_t even = (x & 1u) - 1u, inexact = 0u - (d & 1u);
    return vg_f32_of(x ^ ((x ^ moved) & even & fp_lt(m, 0x7f800000u) & inexact));
}
// The sign of e as -1, 0, 1; 0 for NaN
FP_INLINE int32_t fp_sign32(float e) {
    const uint32_t x = vg_bits_f32(e), m = x & 0x7fffffffu;
    return (int32_t)((1u | (uint32_t)((int32_t)x >> 31)) & ~fp_lt(m, 1u) & ~fp_lt(0x7f800000u, m));
}
// a*b + c for f16 values held in f32: the product is exact (22 bits), TwoSum (Knuth) gives the error of the sum.
FP_INLINE float fp_fma_f16(float a, float b, float c) {
    const float p = a * b, s = p + c, t = s - p;
    return fp_odd32(s, fp_sign32((p - (s - t)) + (c - t)));
}
// The same for bf16 values: 16-bit products and the exponents of f32 need binary64. What binary32 cannot hold of the sum decides the
// direction; the error of the sum itself only when that is nothing.
FP_INLINE int32_t fp_sign64(double e) {
    const uint64_t x = vg_bits_f64(e), m = x & 0x7fffffffffffffffull;
    const uint64_t zero = (uint64_t)((int64_t)(m - 1) >> 63), nan = (uint64_t)((int64_t)(0x7ff0000000000000ull - m) >> 63);
    return (int32_t)((1u | (uint32_t)((int64_t)x >> 63)) & ~(uint32_t)zero & ~(uint32_t)nan);
}
FP_INLINE float fp_fma_bf16(float a, float b, float c) {
    const double p = (double)a * (double)b, s = p + (double)c, t = s - p;
    const int32_t sum = fp_sign64((p - (s - t)) + ((double)c - t));
    const float f = (float)s;
    const int32_t narrow = fp_sign64(s - (double)f);
    return fp_odd32(f, narrow + (sum & ((narrow & 1) - 1)));
}
FP_INLINE float fp_mul_bf16(float a, float b) {
    const double p = (double)a * (double)b;
    const float f = (float)p;
    return fp_odd32(f, fp_sign64(p - (double)f));
}

// --- binary64 → binary32 in a direction -----------------------------------------------------------------------------------------
FP_INLINE float fp_up32(float f) {   // the next value above; not for NaN or +inf
    const uint32_t x = vg_bits_f32(f);
    return vg_f32_of((x & 0x7fffffffu) == 0 ? 1u : x & 0x80000000u ? x - 1u : x + 1u);
}
FP_INLINE float fp_down32(float f) { return -fp_up32(-f); }
FP_INLINE float fp_f32_rz(double d) {
    const float f = (float)d;
    const bool too_far = d > 0 ? (double)f > d : (double)f < d;
    return too_far ? (d > 0 ? fp_down32(f) : fp_up32(f)) : f;
}
FP_INLINE float fp_f32_rm(double d) {
    const float f = (float)d;
    return (double)f > d ? fp_down32(f) : f;
}
FP_INLINE float fp_f32_rp(double d) {
    const float f = (float)d;
    return (double)f < d ? fp_up32(f) : f;
}

// --- approximations -------------------------------------------------------------------------------------------------------------
// 2^a. PTX ISA 9.7.3.21 allows a relative error of 2^-22.5 (2 ulp in full range). Here: a = n + r, |r| ≤ 1/2, the Taylor polynomial of
// degree 7 in r evaluated in binary32 as 1 + r·q: about 1 ulp. Scaling in two steps keeps subnormal results.
FP_INLINE float fp_ex2(float a) {
    const uint32_t nan = fp_lt(0x7f800000u, vg_bits_f32(a) & 0x7fffffffu);
    const float c = vg_f32_of(vg_bits_f32(a) & ~nan), lo = c < -151.0f ? -151.0f : c, x = lo > 129.0f ? 129.0f : lo;
    const float magic = 12582912.0f, n = (x + magic) - magic, r = x - n;
    const float q = 0.69314718056f + r * (0.24022650696f + r * (0.055504108665f + r * (0.0096181291076f +
                    r * (0.0013333558146f + r * (0.00015403530394f + r * 0.000015252733804f)))));
    const float y = 1.0f + r * q;
    const int32_t i = (int32_t)n, half = i >> 1;
    const float s1 = vg_f32_of((uint32_t)(half + 127) << 23), s2 = vg_f32_of((uint32_t)(i - half + 127) << 23);
    return vg_f32_of(fp_blend(nan, 0x7fffffffu, vg_bits_f32(y * s1 * s2)));
}

// log2 a. PTX allows an absolute error of 2^-22.6 for a in (0.5, 2) and that relative error elsewhere. Here: a = m·2^e with
// m in [√½, √2), log2 m = 2/ln 2 · atanh((m-1)/(m+1)) as an odd polynomial of degree 9 (truncation 2^-29).
FP_INLINE float fp_lg2(float a) {
    const uint32_t x0 = vg_bits_f32(a), m0 = x0 & 0x7fffffffu, subnormal = fp_lt(m0, 0x00800000u);
    const uint32_t x = fp_blend(subnormal, vg_bits_f32(vg_f32_of(m0) * 0x1p24f), m0);
    const int32_t e = (int32_t)(x - 0x3f3504f3u) >> 23;
    const float m = vg_f32_of(x - ((uint32_t)e << 23)), t = m - 1.0f, s = t / (m + 1.0f), z = s * s;
    const float p = s * (2.8853900818f + z * (0.96179669393f + z * (0.57707801636f + z * (0.41219858311f + z * 0.32059889798f))));
    const float y = p + (float)(e - (int32_t)(subnormal & 24u));
    // 0 → -inf; negative and NaN → NaN; +inf → +inf
    const uint32_t infinite = fp_blend(fp_lt(m0, 1u), 0xff800000u, fp_blend(~fp_lt(m0, 0x7f800000u), 0x7f800000u, vg_bits_f32(y)));
    const uint32_t invalid = ((uint32_t)((int32_t)x0 >> 31) & ~fp_lt(m0, 1u)) | fp_lt(0x7f800000u, m0);
    return vg_f32_of(fp_blend(invalid, 0x7fffffffu, infinite));
}

// tanh. PTX allows a relative error of 2^-11. Here: x - x³/3 + 2x⁵/15 below 1/4, else 1 - 2/(1 + e^2x): 2^-14.
FP_INLINE float fp_tanh(float a) {
    const uint32_t x = vg_bits_f32(a), u = x & 0x7fffffffu;
    const float m = vg_f32_of(u), c = m > 10.0f ? 10.0f : m, z = c * c;
    const float small = m + m * z * (-0.33333333f + z * 0.13333333f);
    const float large = 1.0f - 2.0f / (1.0f + fp_ex2(c * 2.8853900818f));
    const uint32_t y = fp_blend(fp_lt(u, 0x3e800000u), vg_bits_f32(small), vg_bits_f32(large)) | (x & 0x80000000u);
    return vg_f32_of(fp_blend(fp_lt(0x7f800000u, u), 0x7fffffffu, y));
}

// sin and cos. PTX allows an absolute error of 2^-20.5 in [-π, π] and less outside. Here: binary64 reduction by π/2 in two parts, then
// polynomials in binary64 to 2^-30, so within binary32 rounding up to |a| = 2^31; beyond that the reduction's error grows, as on hardware,
// but the result stays in [-1, 1].
FP_INLINE float fp_sincos(float a, double quarter) {
    const double x = (double)a, magic = 0x1.8p52;
    const double k = (x * 0.63661977236758134308 + magic) - magic;
    const double r0 = (x - k * 0x1.921fb54400000p+0) - k * 0x1.0b4611a626331p-34;
    const double r = r0 > 0.8 ? 0.8 : r0 < -0.8 ? -0.8 : r0;
    const double q = k + quarter, j = q - 4.0 * ((q * 0.25 - 0.375 + magic) - magic);   // q modulo 4: 0 … 3
    const double z = r * r;
    const double s = r * (1.0 + z * (-1.6666666666666666e-1 + z * (8.3333333333333333e-3 + z * (-1.9841269841269841e-4 +
                     z * 2.7557319223985893e-6))));
    const double c = 1.0 + z * (-0.5 + z * (4.1666666666666667e-2 + z * (-1.3888888888888889e-3 + z * (2.4801587301587302e-5 -
                     z * 2.7557319223985888e-7))));
    const bool use_cos = j == 1.0 || j == 3.0;
    const double y = use_cos ? c : s;
    const float f = (float)(j >= 2.0 ? -y : y);
    const float zero = quarter == 0.0 && a == 0.0f ? a : f;   // sin(-0) is -0
    return (vg_bits_f32(a) & 0x7f800000u) == 0x7f800000u ? vg_f32_of(0x7fffffffu) : zero;
}
#endif
