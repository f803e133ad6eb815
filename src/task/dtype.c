// Element types of task files: names, C and CUDA spellings, sizes, and conversion of single elements to and from double.
// Bulk conversion is in fill.c. Sits at the bottom of task/.
#include "task/internal.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t bytes;
    bool is_float, is_signed;
} types[HONE_DTYPE_COUNT] = {
    [HONE_FLOAT] = {"float", 4, true, true},        [HONE_DOUBLE] = {"double", 8, true, true},      [HONE_HALF] = {"half", 2, true, true},
    [HONE_BFLOAT16] = {"bfloat16", 2, true, true},  [HONE_INT8] = {"int8", 1, false, true},         [HONE_UINT8] = {"uint8", 1, false,
                                                                                                                    false},
    [HONE_INT16] = {"int16", 2, false, true},       [HONE_UINT16] = {"uint16", 2, false, false},    [HONE_INT32] = {"int32", 4, false,
                                                                                                                    true},
    [HONE_UINT32] = {"uint32", 4, false, false},    [HONE_INT64] = {"int64", 8, false, true},       [HONE_UINT64] = {"uint64", 8, false,
                                                                                                                     false},
    [HONE_BOOL] = {"bool", 1, false, false},        [HONE_FP8_E4M3] = {"fp8_e4m3", 1, true, true},  [HONE_FP8_E5M2] = {"fp8_e5m2", 1, true,
                                                                                                                       true},
};

size_t hone_dtype_bytes(hone_dtype t) { return types[t].bytes; }
const char *hone_dtype_name(hone_dtype t) { return types[t].name; }
bool hone_dtype_is_float(hone_dtype t) { return types[t].is_float; }
bool dtype_is_signed(hone_dtype t) { return types[t].is_signed; }

void dtype_range(hone_dtype t, int64_t *lo, int64_t *hi) {
    unsigned bits = 8u * types[t].bytes;
    if (t == HONE_BOOL) {
        *lo = 0;
        *hi = 1;
    } else if (types[t].is_signed) {
        *hi = (int64_t)(UINT64_MAX >> (65 - bits));
        *lo = -*hi - 1;
    } else {
        *lo = 0;
        *hi = bits == 64 ? INT64_MAX : (int64_t)(UINT64_MAX >> (64 - bits));
    }
}

// ---- spellings
typedef struct spelling { const char *s; hone_dtype t; } spelling;
// Element types as CUDA sources write them; several words are joined by one space.
static const spelling c_spellings[] = {
    {"float", HONE_FLOAT}, {"double", HONE_DOUBLE}, {"__half", HONE_HALF}, {"half", HONE_HALF}, {"__nv_bfloat16", HONE_BFLOAT16},
    {"nv_bfloat16", HONE_BFLOAT16}, {"bfloat16", HONE_BFLOAT16}, {"char", HONE_INT8}, {"signed char", HONE_INT8}, {"int8_t", HONE_INT8},
    {"unsigned char", HONE_UINT8}, {"uint8_t", HONE_UINT8}, {"uchar", HONE_UINT8}, {"short", HONE_INT16}, {"short int", HONE_INT16},
    {"signed short", HONE_INT16}, {"int16_t", HONE_INT16}, {"unsigned short", HONE_UINT16}, {"unsigned short int", HONE_UINT16},
    {"uint16_t", HONE_UINT16}, {"ushort", HONE_UINT16}, {"int", HONE_INT32}, {"signed", HONE_INT32}, {"signed int", HONE_INT32},
    {"int32_t", HONE_INT32}, {"unsigned", HONE_UINT32}, {"unsigned int", HONE_UINT32}, {"uint32_t", HONE_UINT32}, {"uint", HONE_UINT32},
    {"long", HONE_INT64}, {"long int", HONE_INT64}, {"long long", HONE_INT64}, {"long long int", HONE_INT64},
    {"signed long long", HONE_INT64}, {"int64_t", HONE_INT64}, {"ptrdiff_t", HONE_INT64}, {"ssize_t", HONE_INT64},
    {"unsigned long", HONE_UINT64}, {"unsigned long int", HONE_UINT64}, {"unsigned long long", HONE_UINT64},
    {"unsigned long long int", HONE_UINT64}, {"uint64_t", HONE_UINT64}, {"size_t", HONE_UINT64}, {"bool", HONE_BOOL},
    {"__nv_fp8_e4m3", HONE_FP8_E4M3}, {"__nv_fp8_e5m2", HONE_FP8_E5M2},
};
static const spelling vector_bases[] = {
    {"float", HONE_FLOAT}, {"double", HONE_DOUBLE}, {"__half", HONE_HALF}, {"half", HONE_HALF}, {"__nv_bfloat16", HONE_BFLOAT16},
    {"nv_bfloat16", HONE_BFLOAT16}, {"char", HONE_INT8}, {"uchar", HONE_UINT8}, {"short", HONE_INT16},
    {"ushort", HONE_UINT16}, {"int", HONE_INT32}, {"uint", HONE_UINT32}, {"long", HONE_INT64}, {"ulong", HONE_UINT64},
    {"longlong", HONE_INT64}, {"ulonglong", HONE_UINT64},
};

static bool lookup(const spelling *v, size_t n, const char *s, size_t len, hone_dtype *out) {
    for (size_t i = 0; i < n; i++)
        if (strlen(v[i].s) == len && memcmp(v[i].s, s, len) == 0) {
            *out = v[i].t;
            return true;
        }
    return false;
}

bool dtype_from_c(const char *s, hone_dtype *out, unsigned *lanes) {
    if (strncmp(s, "std::", 5) == 0)
        s += 5;
    size_t n = strlen(s);
    *lanes = 1;
    if (lookup(c_spellings, HONE_COUNT(c_spellings), s, n, out))
        return true;
    if (n < 2 || s[n - 1] < '1' || s[n - 1] > '4')
        return false;
    *lanes = (unsigned)(s[n - 1] - '0');
    return lookup(vector_bases, HONE_COUNT(vector_bases), s, n - 1, out);
}

bool dtype_from_task(const char *s, hone_dtype *out) {
    for (size_t i = 0; i < HONE_DTYPE_COUNT; i++)
        if (strcmp(types[i].name, s) == 0) {
            *out = (hone_dtype)i;
            return true;
        }
    unsigned lanes;
    return dtype_from_c(s, out, &lanes) && lanes == 1;
}

// ---- small floats: sign, exponent, mantissa with the IEEE layout unless noted
typedef struct small_float { int exp_bits, man_bits; bool has_inf; } small_float;
static const small_float HALF = {5, 10, true}, BF16 = {8, 7, true}, E5M2 = {5, 2, true}, E4M3 = {4, 3, false};

static double small_get(small_float f, unsigned bits) {
    int bias = (1 << (f.exp_bits - 1)) - 1, top = (1 << f.exp_bits) - 1;
    unsigned man_mask = (1u << f.man_bits) - 1, man = bits & man_mask;
    int ex = (int)((bits >> f.man_bits) & (unsigned)top);
    double sign = bits >> (f.exp_bits + f.man_bits) & 1 ? -1.0 : 1.0;
    if (ex == top && f.has_inf)
        return man ? NAN : sign * INFINITY;
    if (ex == top && man == man_mask)   // E4M3 has no infinity and one NaN per sign (OCP OFP8 1.0)
        return NAN;
    if (ex == 0)
        return sign * ldexp((double)man, 1 - bias - f.man_bits);
    return sign * ldexp((double)(man | (man_mask + 1)), ex - bias - f.man_bits);
}

// Round to nearest even. Too large: infinity, or the largest finite value for E4M3 (as the hardware's satfinite conversion).
static unsigned small_set(small_float f, double v) {
    int bias = (1 << (f.exp_bits - 1)) - 1, top = (1 << f.exp_bits) - 1;
    unsigned man_mask = (1u << f.man_bits) - 1, sign = signbit(v) ? 1u << (f.exp_bits + f.man_bits) : 0;
    unsigned largest = ((unsigned)top << f.man_bits) | (f.has_inf ? 0 : man_mask - 1);   // infinity, or the largest finite value
    if (isnan(v))
        return sign | ((unsigned)top << f.man_bits) | (f.has_inf ? 1u << (f.man_bits - 1) : man_mask);
    v = fabs(v);
    if (isinf(v))
        return sign | largest;
    int ex;
    frexp(v, &ex);                                        // v = m·2^ex, m in [0.5, 1)
    int lowest = 1 - bias, unit = ex - 1 < lowest ? lowest : ex - 1;
    double steps = nearbyint(ldexp(v, f.man_bits - unit));   // in units of the last place
    uint64_t code = v == 0 ? 0 : (uint64_t)steps + ((uint64_t)(unit - lowest) << f.man_bits);
    return sign | (code > largest ? largest : (unsigned)code);
}

static int64_t saturate(double v, int64_t lo, int64_t hi) {
    if (isnan(v))
        return 0;
    v = nearbyint(v);
    if (v <= (double)lo)
        return lo;
    return v >= (double)hi ? hi : (int64_t)v;
}

double hone_dtype_get(hone_dtype t, const void *buf, size_t i) {
    const uint8_t *p = (const uint8_t *)buf + i * types[t].bytes;
    uint64_t raw = 0;
    memcpy(&raw, p, types[t].bytes);
    float f;
    double d;
    switch (t) {
    case HONE_FLOAT: memcpy(&f, p, 4); return (double)f;
    case HONE_DOUBLE: memcpy(&d, p, 8); return d;
    case HONE_HALF: return small_get(HALF, (unsigned)raw);
    case HONE_BFLOAT16: return small_get(BF16, (unsigned)raw);
    case HONE_FP8_E4M3: return small_get(E4M3, (unsigned)raw);
    case HONE_FP8_E5M2: return small_get(E5M2, (unsigned)raw);
    case HONE_INT8: return (double)(int8_t)raw;
    case HONE_INT16: return (double)(int16_t)raw;
    case HONE_INT32: return (double)(int32_t)raw;
    case HONE_INT64: return (double)(int64_t)raw;
    default: return (double)raw;
    }
}

void hone_dtype_set(hone_dtype t, void *buf, size_t i, double v) {
    uint8_t *p = (uint8_t *)buf + i * types[t].bytes;
    float f = (float)v;
    uint64_t raw = 0;
    int64_t lo, hi;
    switch (t) {
    case HONE_FLOAT: memcpy(&raw, &f, 4); break;
    case HONE_DOUBLE: memcpy(&raw, &v, 8); break;
    case HONE_HALF: raw = small_set(HALF, v); break;
    case HONE_BFLOAT16: raw = small_set(BF16, v); break;
    case HONE_FP8_E4M3: raw = small_set(E4M3, v); break;
    case HONE_FP8_E5M2: raw = small_set(E5M2, v); break;
    case HONE_BOOL: raw = !isnan(v) && v != 0; break;
    case HONE_UINT64: raw = isnan(v) || v <= 0 ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)nearbyint(v); break;
    default:
        dtype_range(t, &lo, &hi);
        raw = (uint64_t)saturate(v, lo, hi);
    }
    memcpy(p, &raw, types[t].bytes);
}
