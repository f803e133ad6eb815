// Pseudo-random numbers in blocks of 256, fast: element i is a function of (key, i) alone, computed with integer mixing and plain
// single-precision arithmetic, so that every machine gets the same bits and the compiler can use vectors. On x86-64 the same
// code is compiled twice and the AVX2 version chosen at run time. What the numbers stand for is decided in fill.c.
#include "task/internal.h"
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// source: "lowbias32", an integer permutation with an avalanche bias of 0.17 (C. Wellons, hash-prospector)
INLINE uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// Two rounds, a half of the key before each: streams of different keys are not shifted copies of each other.
INLINE uint32_t bits_of(fill_key key, uint32_t lo, uint32_t hi) { return mix(mix(lo + key.k1) ^ (key.k2 + hi * 0x9e3779b9u)); }

uint32_t fill_bits(fill_key key, uint64_t i) { return bits_of(key, (uint32_t)i, (uint32_t)(i >> 32)); }

INLINE float as_float(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

INLINE uint32_t as_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

// a where mask is all ones, b where it is 0. Comparing and selecting as integers: compilers vectorise it without -ffast-math.
INLINE float pick(uint32_t mask, float a, float b) { return as_float((as_bits(a) & mask) | (as_bits(b) & ~mask)); }

// Natural logarithm for normal t in (0, 1], within 2 ulp. source: Cephes, logf.
INLINE float log_small(float t) {
    uint32_t b = as_bits(t), half = (b & 0x7fffffu) | 0x3f000000u;   // mantissa as a float in [0.5, 1)
    uint32_t low = half < 0x3f3504f3u;                               // below sqrt(0.5): take twice it
    float m = as_float(half + (low << 23)) - 1.0f, n = (float)((int32_t)(b >> 23) - 126 - (int32_t)low), z = m * m;
    float y = 7.0376836292e-2f;
    y = y * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = y * m * z - 2.12194440e-4f * n - 0.5f * z;
    return m + y + 0.693359375f * n;
}

// Standard normal from 32 random bits, of which 24 count: |z| <= 5.4. source: M. Giles, Approximating the erfinv function (2010).
INLINE float normal_of(uint32_t h) {
    float x = ((float)((int32_t)h >> 8) + 0.5f) * 0x1p-23f;   // exact; -1 < x < 1
    float w = -log_small((1.0f - x) * (1.0f + x));
    uint32_t central = -(uint32_t)((int32_t)as_bits(w) < 0x40a00000);   // w < 5
    float c = w - 2.5f, s = sqrtf(pick(central, 5.0f, w)) - 3.0f;
    float p = 2.81022636e-08f, q = -0.000200214257f;
    p = p * c + 3.43273939e-07f;
    q = q * s + 0.000100950558f;
    p = p * c - 3.5233877e-06f;
    q = q * s + 0.00134934322f;
    p = p * c - 4.39150654e-06f;
    q = q * s - 0.00367342844f;
    p = p * c + 0.00021858087f;
    q = q * s + 0.00573950773f;
    p = p * c - 0.00125372503f;
    q = q * s - 0.0076224613f;
    p = p * c - 0.00417768164f;
    q = q * s + 0.00943887047f;
    p = p * c + 0.246640727f;
    q = q * s + 1.00167406f;
    p = p * c + 1.50140941f;
    q = q * s + 2.83297682f;
    return pick(central, p, q) * x * 1.41421356f;
}

float fill_normal_at(fill_key key, uint64_t i) { return normal_of(fill_bits(key, i)); }

// Round to nearest even; no NaN comes here.
INLINE uint16_t to_bfloat16(float f) {
    uint32_t u = as_bits(f);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

// source: F. Giesen, float→half variants (public domain), round to nearest even, with selects for its branches
INLINE uint16_t to_half(float f) {
    const float magic = as_float((127u - 15 + 23 - 10 + 1) << 23);
    uint32_t u = as_bits(f), sign = u & 0x80000000u, a = u ^ sign;
    uint32_t subnormal = as_bits(as_float(a) + magic) - as_bits(magic);
    uint32_t normal = (a + 0xc8000fffu + ((a >> 13) & 1)) >> 13;
    // huge: what rounds up to 2^16 is infinity already
    uint32_t tiny = -(uint32_t)(a < (113u << 23)), huge = -(uint32_t)(a >= (143u << 23));
    uint32_t h = (subnormal & tiny) | (normal & ~tiny);
    return (uint16_t)((0x7c00u & huge) | (h & ~huge) | sign >> 16);
}

INLINE void uniform_block(fill_key key, uint64_t first, float lo, float hi, float *restrict out) {
    uint32_t f = (uint32_t)first, high = (uint32_t)(first >> 32);
    float scale = (hi - lo) * 0x1p-24f, last = nextafterf(hi, lo);
    for (uint32_t k = 0; k < FILL_BLOCK; k++) {
        float x = lo + scale * (float)(int32_t)(bits_of(key, f + k, high) >> 8);
        out[k] = x < hi ? x : last;
    }
}

INLINE void normal_block(fill_key key, uint64_t first, float mean, float sd, float *restrict out) {
    uint32_t f = (uint32_t)first, high = (uint32_t)(first >> 32);
    for (uint32_t k = 0; k < FILL_BLOCK; k++)
        out[k] = mean + sd * normal_of(bits_of(key, f + k, high));
}

INLINE void int_block(fill_key key, uint64_t first, uint32_t lo, uint32_t range, uint32_t *restrict out) {
    uint32_t f = (uint32_t)first, high = (uint32_t)(first >> 32);
    for (uint32_t k = 0; k < FILL_BLOCK; k++) {
        uint32_t h = bits_of(key, f + k, high);
        out[k] = lo + (range ? (uint32_t)((uint64_t)h * range >> 32) : h);
    }
}

INLINE void half_block(const float *restrict in, uint16_t *restrict out) {
    for (uint32_t k = 0; k < FILL_BLOCK; k++)
        out[k] = to_half(in[k]);
}

INLINE void bfloat16_block(const float *restrict in, uint16_t *restrict out) {
    for (uint32_t k = 0; k < FILL_BLOCK; k++)
        out[k] = to_bfloat16(in[k]);
}

// ---- each block function twice: for any machine and for AVX2
#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
static bool has_avx2(void) { return __builtin_cpu_supports("avx2"); }
#else
#define AVX2
static bool has_avx2(void) { return false; }
#endif
#define TWICE(name, params, args)                                    \
    static void name##_any params { name args; }                     \
    AVX2 static void name##_avx2 params { name args; }
TWICE(uniform_block, (fill_key key, uint64_t first, float lo, float hi, float *out), (key, first, lo, hi, out))
TWICE(normal_block, (fill_key key, uint64_t first, float mean, float sd, float *out), (key, first, mean, sd, out))
TWICE(int_block, (fill_key key, uint64_t first, uint32_t lo, uint32_t range, uint32_t *out), (key, first, lo, range, out))
TWICE(half_block, (const float *in, uint16_t *out), (in, out))
TWICE(bfloat16_block, (const float *in, uint16_t *out), (in, out))

void fill_uniform(fill_key key, uint64_t first, float lo, float hi, float out[FILL_BLOCK]) {
    (has_avx2() ? uniform_block_avx2 : uniform_block_any)(key, first, lo, hi, out);
}

void fill_normal(fill_key key, uint64_t first, float mean, float sd, float out[FILL_BLOCK]) {
    (has_avx2() ? normal_block_avx2 : normal_block_any)(key, first, mean, sd, out);
}

void fill_int(fill_key key, uint64_t first, uint32_t lo, uint32_t range, uint32_t out[FILL_BLOCK]) {
    (has_avx2() ? int_block_avx2 : int_block_any)(key, first, lo, range, out);
}

void fill_store_floats(hone_dtype t, const float in[FILL_BLOCK], void *out) {
    uint16_t small[FILL_BLOCK];
    if (t == HONE_FLOAT) {
        memcpy(out, in, FILL_BLOCK * sizeof *in);
        return;
    }
    if (t == HONE_HALF)
        (has_avx2() ? half_block_avx2 : half_block_any)(in, small);
    else
        (has_avx2() ? bfloat16_block_avx2 : bfloat16_block_any)(in, small);
    memcpy(out, small, sizeof small);
}

void fill_store_ints(unsigned bytes, const uint32_t in[FILL_BLOCK], void *out) {
    uint16_t half[FILL_BLOCK];
    uint8_t byte[FILL_BLOCK];
    if (bytes == 4) {
        memcpy(out, in, FILL_BLOCK * sizeof *in);
    } else if (bytes == 2) {
        for (uint32_t k = 0; k < FILL_BLOCK; k++)
            half[k] = (uint16_t)in[k];
        memcpy(out, half, sizeof half);
    } else {
        for (uint32_t k = 0; k < FILL_BLOCK; k++)
            byte[k] = (uint8_t)in[k];
        memcpy(out, byte, sizeof byte);
    }
}
