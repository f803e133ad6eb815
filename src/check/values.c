// Elements of a buffer as doubles, a block at a time: the loops of check/ read every element several times, and one loop per type is many
// times faster than asking for the type at every element.
#include "check/internal.h"
#include <string.h>

#define LOOP(type, convert)                                                     \
    do {                                                                        \
        for (size_t i = 0; i < n; i++) {                                        \
            type x;                                                             \
            memcpy(&x, (const uint8_t *)from + (first + i) * sizeof x, sizeof x); \
            to[i] = convert(x);                                                 \
        }                                                                       \
    } while (0)

static double as_is(double x) { return x; }

static double of_float_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double of_bfloat16(uint16_t x) { return of_float_bits((uint32_t)x << 16); }

// The exponent field moves up by 112 with the product; infinity and NaN, whose field must become all ones, get it set instead.
static double of_half(uint16_t x) {
    uint32_t magnitude = (uint32_t)(x & 0x7fff) << 13, sign = (uint32_t)(x & 0x8000) << 16;
    double v = (x & 0x7c00) == 0x7c00 ? of_float_bits(magnitude | 0x7f800000u) : of_float_bits(magnitude) * 0x1p112;
    return sign ? -v : v;
}

void hone_values_get(hone_dtype t, const void *from, size_t first, size_t n, double *to) {
    switch (t) {
    case HONE_FLOAT: LOOP(float, as_is); break;
    case HONE_DOUBLE: LOOP(double, as_is); break;
    case HONE_HALF: LOOP(uint16_t, of_half); break;
    case HONE_BFLOAT16: LOOP(uint16_t, of_bfloat16); break;
    case HONE_INT32: LOOP(int32_t, as_is); break;
    case HONE_UINT32: LOOP(uint32_t, as_is); break;
    default:
        for (size_t i = 0; i < n; i++)
            to[i] = hone_dtype_get(t, from, first + i);
    }
}
