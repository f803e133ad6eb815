// An independent idea of small float formats for tests: values by enumeration, rounding by comparing with the midpoint of neighbours.
#ifndef SMALL_FLOAT_H
#define SMALL_FLOAT_H
#include <math.h>
#include <stdint.h>
#include <stdbool.h>
typedef struct small_format { int bits, mantissa, bias; uint32_t max, inf, nan; } small_format;   // inf 0: the format has none
static const small_format SMALL_F16 = {16, 10, 15, 0x7bff, 0x7c00, 0x7fff}, SMALL_BF16 = {16, 7, 127, 0x7f7f, 0x7f80, 0x7fff};
static const small_format SMALL_E4M3 = {8, 3, 7, 0x7e, 0, 0x7f}, SMALL_E5M2 = {8, 2, 15, 0x7b, 0x7c, 0x7f};
static inline bool small_is_nan(const small_format *f, uint32_t x) {
    const uint32_t m = x & ((1u << (f->bits - 1)) - 1);
    return f->inf ? m > f->inf : m > f->max;
}
static inline __float128 small_value(const small_format *f, uint32_t x) {   // finite or infinite
    const uint32_t m = x & ((1u << (f->bits - 1)) - 1), e = m >> f->mantissa, frac = m & ((1u << f->mantissa) - 1);
    __float128 v = ldexp(e ? (double)(frac | 1u << f->mantissa) : (double)frac, (int)(e ? e : 1) - f->bias - f->mantissa);
    if (f->inf && m == f->inf)
        v = (__float128)INFINITY;
    return x >> (f->bits - 1) ? -v : v;
}
// The nearest representable value, ties to even; `beyond` is the sign of what x leaves out.
static inline uint32_t small_nearest(const small_format *f, __float128 x, int beyond, bool saturate) {
    if (x != x)
        return f->nan;
    const bool negative = x < 0 || (x == 0 && signbit((double)x));
    const uint32_t sign = negative ? 1u << (f->bits - 1) : 0;
    if (negative)
        x = -x, beyond = -beyond;
    uint32_t lo = 0, hi = f->max;
    while (lo < hi) {   // the largest value ≤ x
        const uint32_t mid = (lo + hi + 1) / 2;
        const __float128 v = small_value(f, mid);
        if (v < x || (v == x && beyond >= 0))
            lo = mid;
        else
            hi = mid - 1;
    }
    const __float128 below = small_value(f, lo);
    const __float128 step = lo == f->max ? below - small_value(f, lo - 1) : small_value(f, lo + 1) - below, middle = below + step / 2;
    const bool up = x > middle || (x == middle && (beyond > 0 || (beyond == 0 && (lo & 1))));
    if (lo == f->max && up)
        return sign | (saturate ? f->max : f->inf ? f->inf : f->nan);
    return sign | (lo + up);
}
#endif
