// mma_tile: the arithmetic that matrix instructions share: 16-bit floats widened in rows, and the product of two tiles summed in binary64 in order
// of k. Products of the input types (11 bits and fewer) are exact in binary64, so fused and separate multiply-adds give the same bits on every
// instruction set. Include after op.h.
#ifndef HONE_VGPU_MMA_TILE_H
#define HONE_VGPU_MMA_TILE_H
#include "vgpu/fp.h"
#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

typedef double __attribute__((vector_size(64), aligned(8), may_alias)) tile_f64;     // unaligned loads
typedef float __attribute__((vector_size(32), aligned(4), may_alias)) tile_f32;
typedef float __attribute__((vector_size(16), aligned(4), may_alias)) tile_f32x4;
typedef uint32_t __attribute__((vector_size(32), aligned(4), may_alias)) tile_u32;

// acc[i] += a[i * k_a] * b for four rows.
#if defined(__AVX512F__)
typedef struct tile_acc { __m512d v; } tile_acc;
FP_INLINE void tile_zero(tile_acc *x) { x->v = _mm512_setzero_pd(); }
FP_INLINE void tile_fma(tile_acc *x, double a, const double *b) { x->v = _mm512_fmadd_pd(_mm512_set1_pd(a), _mm512_loadu_pd(b), x->v); }
FP_INLINE void tile_value(const tile_acc *x, double *out) { _mm512_storeu_pd(out, x->v); }
#elif defined(__FMA__)
typedef struct tile_acc { __m256d lo, hi; } tile_acc;
FP_INLINE void tile_zero(tile_acc *x) { x->lo = x->hi = _mm256_setzero_pd(); }
FP_INLINE void tile_fma(tile_acc *x, double a, const double *b) {
    const __m256d s = _mm256_set1_pd(a);
    x->lo = _mm256_fmadd_pd(s, _mm256_loadu_pd(b), x->lo);
    x->hi = _mm256_fmadd_pd(s, _mm256_loadu_pd(b + 4), x->hi);
}
FP_INLINE void tile_value(const tile_acc *x, double *out) {
    _mm256_storeu_pd(out, x->lo);
    _mm256_storeu_pd(out + 4, x->hi);
}
#else
typedef struct tile_acc { double v[8]; } tile_acc;
FP_INLINE void tile_zero(tile_acc *x) { memset(x, 0, sizeof *x); }
FP_INLINE void tile_fma(tile_acc *x, double a, const double *b) {
    for (unsigned i = 0; i < 8; i++)
        x->v[i] += a * b[i];
}
FP_INLINE void tile_value(const tile_acc *x, double *out) { memcpy(out, x->v, sizeof x->v); }
#endif

// d (m,n) = Σ over k in order, a is (m,k) with rows k_pitch apart, b is (k,n), d like b n_pitch apart. m a multiple of 4, n of 8.
FP_INLINE void tile_multiply(unsigned m, unsigned n, unsigned k, const double *a, unsigned k_pitch, const double *b, unsigned n_pitch, double *d) {
    for (unsigned i = 0; i < m; i += 4)
        for (unsigned j = 0; j < n; j += 8) {
            tile_acc s[4];
            for (unsigned r = 0; r < 4; r++)
                tile_zero(&s[r]);
            for (unsigned p = 0; p < k; p++)
                for (unsigned r = 0; r < 4; r++)
                    tile_fma(&s[r], a[(i + r) * k_pitch + p], b + p * n_pitch + j);
            for (unsigned r = 0; r < 4; r++)
                tile_value(&s[r], d + (i + r) * n_pitch + j);
        }
}

// out = sum + c, rounded once, NaN as the hardware writes it: eight columns; c and out: their even columns, then their odd ones.
FP_INLINE void tile_round(const double sum[8], const float *c_even, const float *c_odd, float *even, float *odd) {
    const tile_f32 c = __builtin_shufflevector(*(const tile_f32x4 *)(const void *)c_even, *(const tile_f32x4 *)(const void *)c_odd, 0, 4, 1, 5, 2, 6, 3, 7);
    const tile_f64 x = *(const tile_f64 *)(const void *)sum + __builtin_convertvector(c, tile_f64);
    const tile_f32 f = __builtin_convertvector(x, tile_f32);
    const tile_u32 nan = (tile_u32)(f != f), bits = ((tile_u32)f & ~nan) | (nan & 0x7fffffffu);
    const tile_f32 d = (tile_f32)bits;
    *(tile_f32x4 *)(void *)even = __builtin_shufflevector(d, d, 0, 2, 4, 6);
    *(tile_f32x4 *)(void *)odd = __builtin_shufflevector(d, d, 1, 3, 5, 7);
}

typedef uint32_t __attribute__((vector_size(16), aligned(4), may_alias)) tile_u32x4;

// Four rows of four words, transposed: out[t * step + g] = in[4 * g + t].
FP_INLINE void tile_transpose4(const uint32_t *in, uint32_t *out, unsigned step) {
    const tile_u32x4 *v = (const tile_u32x4 *)(const void *)in, a = v[0], b = v[1], c = v[2], d = v[3];
    const tile_u32x4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), AB = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const tile_u32x4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(tile_u32x4 *)(void *)out = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(tile_u32x4 *)(void *)(out + step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(tile_u32x4 *)(void *)(out + 2 * step) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
    *(tile_u32x4 *)(void *)(out + 3 * step) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

// 16-bit floats as binary64. tile_halves: both halves of n words, in order (n a multiple of 4). tile_split: of each eight words the low halves, then
// the high ones, so that words of two neighbouring k become two rows (n a multiple of 8).
#if defined(__F16C__) && defined(__AVX2__)
FP_INLINE void tile_store8(double *out, __m256 f) {
    _mm256_storeu_pd(out, _mm256_cvtps_pd(_mm256_castps256_ps128(f)));
    _mm256_storeu_pd(out + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(f, 1)));
}
FP_INLINE __m256 tile_f32_of_f16(__m256i x) {   // eight words under 2^16
    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
}
FP_INLINE void tile_halves(double *out, const uint32_t *words, unsigned n, bool brain) {
    for (unsigned i = 0; i < n; i += 4) {
        const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(words + i));
        tile_store8(out + 2 * i, brain ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)) : _mm256_cvtph_ps(h));
    }
}
FP_INLINE void tile_split(double *out, const uint32_t *words, unsigned n, bool brain) {
    for (unsigned i = 0; i < n; i += 8) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(words + i)), high = _mm256_srli_epi32(x, 16), low = _mm256_slli_epi32(x, 16);
        tile_store8(out + 2 * i, brain ? _mm256_castsi256_ps(low) : tile_f32_of_f16(_mm256_srli_epi32(low, 16)));
        tile_store8(out + 2 * i + 8, brain ? _mm256_castsi256_ps(_mm256_slli_epi32(high, 16)) : tile_f32_of_f16(high));
    }
}
#else
FP_INLINE double tile_f64_of(uint32_t h, bool brain) { return (double)(brain ? fp_f32_of_bf16(h) : fp_f32_of_f16(h)); }
FP_INLINE void tile_halves(double *out, const uint32_t *words, unsigned n, bool brain) {
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = tile_f64_of(words[i] & 0xffff, brain);
        out[2 * i + 1] = tile_f64_of(words[i] >> 16, brain);
    }
}
FP_INLINE void tile_split(double *out, const uint32_t *words, unsigned n, bool brain) {
    for (unsigned i = 0; i < n; i += 8)
        for (unsigned l = 0; l < 8; l++) {
            out[2 * i + l] = tile_f64_of(words[i + l] & 0xffff, brain);
            out[2 * i + 8 + l] = tile_f64_of(words[i + l] >> 16, brain);
        }
}
#endif
#endif
