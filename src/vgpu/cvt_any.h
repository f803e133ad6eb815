// cvt_any: any number format to any other, exactly, one value at a time. A value is unpacked to sign · m · 2^e with a 64-bit integer m, so
// every source is held without loss, and packed with one rounding. The slow but obvious path of op_cvt.c; its fast paths are tested
// against it, and it against MPFR.
#ifndef HONE_VGPU_CVT_ANY_H
#define HONE_VGPU_CVT_ANY_H
#include "ptx/ptx.h"

typedef struct cvt_format {
    uint8_t mantissa;        // stored bits
    uint8_t shift;           // zero bits below them in the register (tf32)
    int16_t bias;
    uint64_t max, inf, nan;  // largest finite magnitude, infinity (nan where the format has none), the NaN written
} cvt_format;
typedef struct cvt_value { uint64_t m; int e; bool sign, is_nan, is_inf; } cvt_value;
typedef struct cvt_rules { uint8_t rnd; bool ftz, sat, satfinite, relu; } cvt_rules;

static inline const cvt_format *cvt_format_of(ptx_type t) {
    static const cvt_format f16 = {10, 0, 15, 0x7bff, 0x7c00, 0x7fff}, bf16 = {7, 0, 127, 0x7f7f, 0x7f80, 0x7fff};
    static const cvt_format f32 = {23, 0, 127, 0x7f7fffff, 0x7f800000, 0x7fffffff}, tf32 = {10, 13, 127, 0x3fbff, 0x3fc00, 0x3ffff};
    static const cvt_format f64 = {52, 0, 1023, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff8000000000000};
    static const cvt_format e2m1 = {1, 0, 1, 7, 7, 7}, e2m3 = {3, 0, 1, 0x1f, 0x1f, 0x1f}, e3m2 = {2, 0, 3, 0x1f, 0x1f, 0x1f};   // no infinity, no NaN
    static const cvt_format ue8m0 = {0, 0, 127, 0xfe, 0xff, 0xff};   // packed and unpacked by functions of their own
    static const cvt_format e4m3 = {3, 0, 7, 0x7e, 0x7f, 0x7f}, e5m2 = {2, 0, 15, 0x7b, 0x7c, 0x7f};
    switch (t) {
    case PTX_F16: case PTX_F16X2: return &f16;
    case PTX_BF16: case PTX_BF16X2: return &bf16;
    case PTX_F32: return &f32;
    case PTX_F64: return &f64;
    case PTX_TF32: return &tf32;
    case PTX_E4M3: case PTX_E4M3X2: return &e4m3;
    case PTX_E5M2: case PTX_E5M2X2: return &e5m2;
    case PTX_E2M1X2: return &e2m1;
    case PTX_E2M3X2: return &e2m3;
    case PTX_E3M2X2: return &e3m2;
    case PTX_UE8M0X2: return &ue8m0;
    default: return NULL;
    }
}
static inline bool cvt_is_signed(ptx_type t) { return t == PTX_S8 || t == PTX_S16 || t == PTX_S32 || t == PTX_S64; }
static inline unsigned cvt_element_bytes(ptx_type t) {   // of one half of a packed type
    return t == PTX_F16X2 || t == PTX_BF16X2 ? 2 : t == PTX_E4M3X2 || t == PTX_E5M2X2 || (t >= PTX_E2M3X2 && t <= PTX_UE8M0X2) ? 1 : ptx_type_bytes(t);
}
// Distance of the two halves of a packed type in its register, and bits of one half; the 6-bit types have two zero bits above.
static inline unsigned cvt_stride_bits(ptx_type t) { return t == PTX_E2M1X2 ? 4 : 8 * cvt_element_bytes(t); }
static inline unsigned cvt_element_bits(ptx_type t) { return t == PTX_E2M3X2 || t == PTX_E3M2X2 ? 6 : cvt_stride_bits(t); }
static inline uint64_t cvt_low(uint64_t x, unsigned bytes) { return bytes >= 8 ? x : x & ((1ull << (8 * bytes)) - 1); }

static inline cvt_value cvt_unpack_float(uint64_t bits, ptx_type t, bool ftz) {
    const cvt_format *f = cvt_format_of(t);
    const unsigned width = cvt_element_bits(t);
    if (t == PTX_UE8M0X2)   // 2^(x - 127), 0xff is NaN
        return (cvt_value){.m = 1, .e = (int)(bits & 0xff) - 127, .is_nan = (bits & 0xff) == 0xff};
    const uint64_t sign = bits >> (width - 1) & 1, mag = (bits & ((1ull << (width - 1)) - 1)) >> f->shift;
    const uint64_t frac = mag & ((1ull << f->mantissa) - 1), exponent = mag >> f->mantissa;
    cvt_value v = {.sign = sign, .is_inf = mag == f->inf && f->inf != f->nan, .is_nan = mag > f->max &&
        !(mag == f->inf && f->inf != f->nan)};
    v.m = exponent ? frac | 1ull << f->mantissa : frac;
    v.e = (int)(exponent ? exponent : 1) - f->bias - f->mantissa;
    if (ftz && !exponent)
        v.m = 0;
    return v;
}
static inline cvt_value cvt_unpack_int(uint64_t bits, ptx_type t) {
    const unsigned bytes = ptx_type_bytes(t);
    const uint64_t x = cvt_low(bits, bytes);
    const bool negative = cvt_is_signed(t) && x >> (8 * bytes - 1);
    return (cvt_value){.sign = negative, .m = negative ? cvt_low(0 - x, bytes) : x};
}

// m >> shift with the rounding that rnd asks for; shift may exceed 63.
static inline uint64_t cvt_round_shift(uint64_t m, int shift, bool sign, uint8_t rnd) {
    const uint64_t q = shift > 63 ? 0 : m >> shift;
    const uint64_t rest = shift > 63 ? m : shift ? m << (64 - shift) : 0;
    const bool inexact = rest != 0, beyond = shift > 64;   // beyond: the value is below one half
    const bool half = !beyond && (shift == 64 ? m >> 63 : rest >> 63), over = half && (shift == 64 ? m << 1 : rest << 1);
    switch (rnd) {
    case PTX_RZ: case PTX_RZI: return q;
    case PTX_RM: case PTX_RMI: return q + (inexact && sign);
    case PTX_RP: case PTX_RPI: return q + (inexact && !sign);
    case PTX_RNA: return q + half;
    default: return q + (over || (half && (q & 1)));
    }
}

static inline uint64_t cvt_overflow(const cvt_format *f, const cvt_value *v, const cvt_rules *r) {
    const bool to_max = r->satfinite || r->rnd == PTX_RZ || (r->rnd == PTX_RM && !v->sign) || (r->rnd == PTX_RP && v->sign);
    return to_max ? f->max : f->inf;
}

static inline uint64_t cvt_magnitude(const cvt_format *f, const cvt_value *v, const cvt_rules *r) {
    if (v->is_inf)
        return r->satfinite ? f->max : f->inf;
    if (v->m == 0)
        return 0;
    const int lead = 63 - __builtin_clzll(v->m), low = 1 - f->bias;
    const int exponent = lead + v->e, target = (exponent < low ? low : exponent) - f->mantissa;   // of the last bit kept
    const int shift = target - v->e;
    const uint64_t q = shift <= 0 ? v->m << -shift : cvt_round_shift(v->m, shift, v->sign, r->rnd);
    uint64_t mag = exponent < low ? q : ((uint64_t)(exponent + f->bias) << f->mantissa) + (q - (1ull << f->mantissa));
    if (r->ftz && mag < 1ull << f->mantissa)
        mag = 0;
    return mag > f->max ? cvt_overflow(f, v, r) : mag;
}

// ue8m0: the exponent of |v|, up to the next power of two with .rp; what is at most 2^-127 is 0.
static inline uint64_t cvt_pack_scale(const cvt_value *v, const cvt_rules *r) {
    if (v->is_nan || v->is_inf)
        return v->is_inf && r->satfinite ? 0xfe : 0xff;
    if (v->m == 0)
        return 0;
    int code = 63 - __builtin_clzll(v->m) + v->e + 127;
    code += code >= 0 && r->rnd == PTX_RP && (v->m & (v->m - 1));
    return code < 0 ? 0 : code > 0xfe ? (r->satfinite ? 0xfe : 0xff) : (uint64_t)code;
}

static inline uint64_t cvt_pack_float(cvt_value v, ptx_type t, const cvt_rules *r) {
    const cvt_format *f = cvt_format_of(t);
    const unsigned width = cvt_element_bits(t);
    if (t == PTX_UE8M0X2)
        return cvt_pack_scale(&v, r);
    if (v.is_nan)
        return r->sat ? 0 : f->nan << f->shift | (f->shift ? (1ull << f->shift) - 1 : 0);
    if ((r->sat || r->relu) && v.sign)
        return 0;
    const uint64_t one = (uint64_t)f->bias << f->mantissa;
    uint64_t mag = cvt_magnitude(f, &v, r);
    if (r->sat && mag > one)
        mag = one;
    return mag << f->shift | (uint64_t)v.sign << (width - 1);
}

// PTX ISA 9.7.9.21 (cvt): out of range clamps; NaN is 0, but 1 << (bits - 1) when the source is f64 or the destination has 64 bits.
static inline uint64_t cvt_pack_int(cvt_value v, ptx_type t, const cvt_rules *r, bool nan_is_min) {
    const unsigned bits = 8 * ptx_type_bytes(t);
    const bool is_signed = cvt_is_signed(t);
    const uint64_t max = is_signed ? (1ull << (bits - 1)) - 1 : bits == 64 ? ~0ull : (1ull << bits) - 1;
    const uint64_t min = is_signed ? 1ull << (bits - 1) : 0;   // magnitude of the least value
    if (v.is_nan)
        return nan_is_min ? 1ull << (bits - 1) : 0;
    uint64_t q = 0;
    bool huge = v.is_inf;
    if (!huge && v.m) {
        const int lead = 63 - __builtin_clzll(v.m);
        huge = lead + v.e > 63;
        q = huge ? 0 : v.e >= 0 ? v.m << v.e : cvt_round_shift(v.m, -v.e, v.sign, r->rnd);
    }
    if (v.sign)
        return huge || q > min ? cvt_low(0 - min, bits / 8) : cvt_low(0 - q, bits / 8);
    return huge || q > max ? max : q;
}

// One element: bits of type s → bits of type d.
static inline uint64_t cvt_any(uint64_t bits, ptx_type s, ptx_type d, const cvt_rules *r) {
    const cvt_format *from = cvt_format_of(s), *to = cvt_format_of(d);
    cvt_value v = from ? cvt_unpack_float(cvt_element_bits(s) == 64 ? bits : bits & ((1ull << cvt_element_bits(s)) - 1), s, r->ftz && s == PTX_F32) : cvt_unpack_int(bits, s);
    cvt_rules q = *r;
    q.ftz = r->ftz && d == PTX_F32;
    if (from && to && r->rnd >= PTX_RNI && !v.is_nan && !v.is_inf && v.e < 0) {   // to an integral value of the same format
        v.m = cvt_round_shift(v.m, -v.e, v.sign, r->rnd);
        v.e = 0;
    }
    return to ? cvt_pack_float(v, d, &q) : cvt_pack_int(v, d, &q, s == PTX_F64 || ptx_type_bytes(d) == 8);
}
#endif
