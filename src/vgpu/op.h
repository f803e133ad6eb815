// op: how to write a handler family (op_*.c). Every op_*.c is compiled once per instruction set with VG_ISA = baseline, avx2 or avx512;
// handlers are static, and the only public symbol is the family's bind function, named VG_NAME(vg_bind_<family>).
//
// A handler pair is generated from one expression over the lanes' values a, b, c (and e, the fourth source, whose row is in->aux):
//
//     VG_OP2(add_u32, U32, U32, U32, a + b)             // defines add_u32_full and add_u32_masked; d = operand 0, a, b = operands 1, 2
//     { PTX_OP_ADD, PTX_U32, 0, VG_H(add_u32) },        // a row of the family's table
//
// The loops run over 32 lanes with no calls and no branches where possible, so that the compiler turns them into vector code; the masked
// one blends. Kinds: U8 S8 U16 S16 U32 S32 U64 S64 F32 F64 (value type, and storage in the row: 32-bit rows for up to 32 bits).
// Expressions must not depend on other lanes and must not trap for any input (lanes outside the mask are computed too).
#ifndef HONE_VGPU_OP_H
#define HONE_VGPU_OP_H
#include "vgpu/warp.h"
#include <string.h>

#define VG_CAT2(a, b) a##_##b
#define VG_CAT(a, b) VG_CAT2(a, b)
#define VG_NAME(x) VG_CAT(x, VG_ISA)

#if defined(__clang__)
#define VG_EACH _Pragma("clang loop vectorize(assume_safety)") for (unsigned l = 0; l < VG_LANES; l++)
#elif defined(__GNUC__)
#define VG_EACH _Pragma("GCC ivdep") for (unsigned l = 0; l < VG_LANES; l++)
#endif

// value type, storage type, and how a value is written into storage (zero-extended)
#define VG_T_U8 uint8_t
#define VG_T_S8 int8_t
#define VG_T_U16 uint16_t
#define VG_T_S16 int16_t
#define VG_T_U32 uint32_t
#define VG_T_S32 int32_t
#define VG_T_U64 uint64_t
#define VG_T_S64 int64_t
#define VG_T_F32 float
#define VG_T_F64 double
#define VG_S_U8 uint32_t
#define VG_S_S8 uint32_t
#define VG_S_U16 uint32_t
#define VG_S_S16 uint32_t
#define VG_S_U32 uint32_t
#define VG_S_S32 int32_t
#define VG_S_U64 uint64_t
#define VG_S_S64 int64_t
#define VG_S_F32 float
#define VG_S_F64 double
#define VG_W_U8(x) ((uint32_t)(uint8_t)(x))
#define VG_W_S8(x) ((uint32_t)(uint8_t)(x))
#define VG_W_U16(x) ((uint32_t)(uint16_t)(x))
#define VG_W_S16(x) ((uint32_t)(uint16_t)(x))
#define VG_W_U32(x) ((uint32_t)(x))
#define VG_W_S32(x) ((int32_t)(x))
#define VG_W_U64(x) ((uint64_t)(x))
#define VG_W_S64(x) ((int64_t)(x))
#define VG_W_F32(x) ((float)(x))
#define VG_W_F64(x) ((double)(x))

#define VG_ROW(K, off) ((VG_S_##K *)__builtin_assume_aligned((void *)(w->file + (off)), 64))
#define VG_HANDLER(name) static void name(vg_warp *w, const vg_inst *in, uint32_t mask)
#define VG_ON(l) ((mask >> (l)) & 1u)

#define VG_OP1(name, D, A, expr)                                                                       \
    VG_HANDLER(name##_full)                                                                            \
    {                                                                                                  \
        (void)mask;                                                                                    \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        VG_EACH { const VG_T_##A a = (VG_T_##A)ra[l]; rd[l] = VG_W_##D(expr); }                        \
    }                                                                                                  \
    VG_HANDLER(name##_masked)                                                                          \
    {                                                                                                  \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_S_##D x = VG_W_##D(expr), old = rd[l];                                            \
            rd[l] = VG_ON(l) ? x : old;                                                                \
        }                                                                                              \
    }

#define VG_OP2(name, D, A, B, expr)                                                                    \
    VG_HANDLER(name##_full)                                                                            \
    {                                                                                                  \
        (void)mask;                                                                                    \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        const VG_S_##B *rb = VG_ROW(B, in->b);                                                         \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_T_##B b = (VG_T_##B)rb[l];                                                        \
            rd[l] = VG_W_##D(expr);                                                                    \
        }                                                                                              \
    }                                                                                                  \
    VG_HANDLER(name##_masked)                                                                          \
    {                                                                                                  \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        const VG_S_##B *rb = VG_ROW(B, in->b);                                                         \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_T_##B b = (VG_T_##B)rb[l];                                                        \
            const VG_S_##D x = VG_W_##D(expr), old = rd[l];                                            \
            rd[l] = VG_ON(l) ? x : old;                                                                \
        }                                                                                              \
    }

#define VG_OP3(name, D, A, B, C, expr)                                                                 \
    VG_HANDLER(name##_full)                                                                            \
    {                                                                                                  \
        (void)mask;                                                                                    \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        const VG_S_##B *rb = VG_ROW(B, in->b);                                                         \
        const VG_S_##C *rc = VG_ROW(C, in->c);                                                         \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_T_##B b = (VG_T_##B)rb[l];                                                        \
            const VG_T_##C c = (VG_T_##C)rc[l];                                                        \
            rd[l] = VG_W_##D(expr);                                                                    \
        }                                                                                              \
    }                                                                                                  \
    VG_HANDLER(name##_masked)                                                                          \
    {                                                                                                  \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        const VG_S_##B *rb = VG_ROW(B, in->b);                                                         \
        const VG_S_##C *rc = VG_ROW(C, in->c);                                                         \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_T_##B b = (VG_T_##B)rb[l];                                                        \
            const VG_T_##C c = (VG_T_##C)rc[l];                                                        \
            const VG_S_##D x = VG_W_##D(expr), old = rd[l];                                            \
            rd[l] = VG_ON(l) ? x : old;                                                                \
        }                                                                                              \
    }

// four sources: e is the fourth, its row in in->aux
#define VG_OP4(name, D, A, B, C, E, expr)                                                              \
    VG_HANDLER(name##_masked)                                                                          \
    {                                                                                                  \
        VG_S_##D *rd = VG_ROW(D, in->d);                                                               \
        const VG_S_##A *ra = VG_ROW(A, in->a);                                                         \
        const VG_S_##B *rb = VG_ROW(B, in->b);                                                         \
        const VG_S_##C *rc = VG_ROW(C, in->c);                                                         \
        const VG_S_##E *re = VG_ROW(E, in->aux);                                                       \
        VG_EACH                                                                                        \
        {                                                                                              \
            const VG_T_##A a = (VG_T_##A)ra[l];                                                        \
            const VG_T_##B b = (VG_T_##B)rb[l];                                                        \
            const VG_T_##C c = (VG_T_##C)rc[l];                                                        \
            const VG_T_##E e = (VG_T_##E)re[l];                                                        \
            const VG_S_##D x = VG_W_##D(expr), old = rd[l];                                            \
            rd[l] = VG_ON(l) ? x : old;                                                                \
        }                                                                                              \
    }                                                                                                  \
    VG_HANDLER(name##_full) { (void)mask; name##_masked(w, in, 0xffffffffu); }

#define VG_H(name) name##_full, name##_masked

// One supported form. `variant` is the family's own key beside opcode and type (rounding, ftz …).
typedef struct vg_form {
    uint16_t op;
    uint8_t type;
    uint32_t variant;
    vg_handler full, masked;
} vg_form;

static inline const vg_form *vg_form_find(const vg_form *t, size_t n, unsigned op, unsigned type, uint32_t variant)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].op == op && t[i].type == type && t[i].variant == variant)
            return &t[i];
    return NULL;
}
// Fills handlers, d and up to four source rows, all of type `as` (operand 0 is d).
static inline bool vg_bind_form(vg_binder *b, const ptx_inst *in, vg_inst *out, const vg_form *f, ptx_type as_d, ptx_type as)
{
    uint32_t *const at[5] = { &out->d, &out->a, &out->b, &out->c, &out->aux };
    out->full = f->full;
    out->masked = f->masked;
    for (unsigned i = 0; i < in->n_operands && i < 5; i++)
        *at[i] = vg_bind_row(b, &in->operand[i], i == 0 ? as_d : as);
    return true;
}

// Lane mask of a row of 0 / non-zero sign bits: bit l = top bit of t[l].
#if defined(__AVX2__)
#include <immintrin.h>
static inline uint32_t vg_mask_of(const int32_t t[32])
{
    uint32_t m = 0;
    for (unsigned i = 0; i < 4; i++)
        m |= (uint32_t)_mm256_movemask_ps(_mm256_loadu_ps((const float *)(const void *)(t + 8 * i))) << (8 * i);
    return m;
}
#elif defined(__SSE2__)
#include <emmintrin.h>
static inline uint32_t vg_mask_of(const int32_t t[32])
{
    uint32_t m = 0;
    for (unsigned i = 0; i < 8; i++)
        m |= (uint32_t)_mm_movemask_ps(_mm_loadu_ps((const float *)(const void *)(t + 4 * i))) << (4 * i);
    return m;
}
#else
static inline uint32_t vg_mask_of(const int32_t t[32])
{
    uint32_t m = 0;
    for (unsigned i = 0; i < 32; i++)
        m |= ((uint32_t)t[i] >> 31) << i;
    return m;
}
#endif
static inline void vg_pred_write(vg_warp *w, uint32_t p, uint32_t value, uint32_t mask)
{
    if (p != VG_NO_PRED)
        w->pred[p] = (w->pred[p] & ~mask) | (value & mask);
}

// Bits and floats
static inline float vg_f32_of(uint32_t x) { float f; memcpy(&f, &x, 4); return f; }
static inline uint32_t vg_bits_f32(float f) { uint32_t x; memcpy(&x, &f, 4); return x; }
static inline double vg_f64_of(uint64_t x) { double f; memcpy(&f, &x, 8); return f; }
static inline uint64_t vg_bits_f64(double f) { uint64_t x; memcpy(&x, &f, 8); return x; }
// PTX ISA 9.7.3: subnormal inputs and results become zero of the same sign
static inline float vg_ftz(float f)
{
    const uint32_t x = vg_bits_f32(f);
    return vg_f32_of((x & 0x7f800000u) ? x : x & 0x80000000u);
}
// PTX ISA 9.7.3: the NaN that single-precision instructions return is 0x7fffffff
static inline float vg_nan32(float f) { return f == f ? f : vg_f32_of(0x7fffffffu); }
// x86 and PTX keep a quiet NaN for f64; payloads are unspecified, we return the canonical one of the hardware
static inline double vg_nan64(double f) { return f == f ? f : vg_f64_of(0xfff8000000000000ull); }
// .sat: [+0, 1], NaN and -0 become +0
static inline float vg_sat32(float f) { return f > 0.0f ? (f < 1.0f ? f : 1.0f) : 0.0f; }
#endif
