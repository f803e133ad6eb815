// What PTX says a rounded floating-point instruction returns, computed with MPFR and plain integer code, independently of the virtual GPU's own
// arithmetic. Values travel as bits of their format.
#ifndef ORACLE_H
#define ORACLE_H
#include <mpfr.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct orc_format {
    const char *name;
    int bits, precision, emin, emax;   // emin, emax: as MPFR counts exponents, emin of the least subnormal
    uint64_t nan;                      // what is written; 0: the format has none, a NaN becomes the largest finite value
    bool has_inf;
    uint64_t max;                      // largest finite magnitude
} orc_format;
enum { F16, BF16, F32, F64, TF32, E4M3, E5M2, E2M1, E2M3, E3M2 };
static const orc_format orc_formats[] = {
    [F16] = {"f16", 16, 11, -23, 16, 0x7fff, true, 0x7bff}, [BF16] = {"bf16", 16, 8, -132, 128, 0x7fff, true, 0x7f7f},
    [F32] = {"f32", 32, 24, -148, 128, 0x7fffffff, true, 0x7f7fffff}, [F64] = {"f64", 64, 53, -1073, 1024, 0xfff8000000000000, true, 0x7fefffffffffffff},
    [TF32] = {"tf32", 19, 11, -135, 128, 0x3ffff, true, 0x3fbff}, [E4M3] = {"e4m3", 8, 4, -8, 9, 0x7f, false, 0x7e},
    [E5M2] = {"e5m2", 8, 3, -15, 16, 0x7f, true, 0x7b}, [E2M1] = {"e2m1", 4, 2, 0, 3, 0, false, 7}, [E2M3] = {"e2m3", 6, 4, -2, 3, 0, false, 0x1f},
    [E3M2] = {"e3m2", 6, 3, -3, 5, 0, false, 0x1f},
};
typedef struct orc_rules { mpfr_rnd_t rnd; bool ftz, sat, relu, satfinite; } orc_rules;

static inline int orc_fraction(const orc_format *f) { return f->precision - 1; }
static inline uint64_t orc_low(uint64_t x, int bits) { return bits == 64 ? x : x & ((1ull << bits) - 1); }

// bits → MPFR. Exact: 64 bits of precision hold every format.
static inline void orc_get(mpfr_t x, uint64_t bits, const orc_format *f, bool ftz) {
    const uint64_t v = orc_low(bits, f->bits), mag = orc_low(v, f->bits - 1), frac = orc_low(mag, orc_fraction(f));
    const int sign = v >> (f->bits - 1) & 1 ? -1 : 1;
    const int exponent = (int)(mag >> orc_fraction(f));
    const bool top = exponent == (int)orc_low(~0ull, f->bits - 1 - orc_fraction(f));
    if (f->has_inf ? top && frac : f->nan && mag == f->nan)
        mpfr_set_nan(x);
    else if (f->has_inf && top)
        mpfr_set_inf(x, sign);
    else if (!exponent && (!frac || ftz))
        mpfr_set_zero(x, sign);
    else
        mpfr_set_uj_2exp(x, exponent ? frac | 1ull << orc_fraction(f) : frac, f->emin - 1 + (exponent ? exponent - 1 : 0), MPFR_RNDN);
    if (sign < 0 && !mpfr_zero_p(x) && !mpfr_nan_p(x) && !mpfr_inf_p(x))
        mpfr_neg(x, x, MPFR_RNDN);
}

// A rounded value of the format's precision and range → bits.
static inline uint64_t orc_put(const mpfr_t x, const orc_format *f, const orc_rules *r) {
    const uint64_t sign = 1ull << (f->bits - 1), inf = f->has_inf ? f->max + 1 : f->max;
    if (mpfr_nan_p(x))
        return r->sat ? 0 : f->nan ? f->nan : f->max;
    uint64_t s = mpfr_signbit(x) ? sign : 0, mag;
    if (s && (r->sat || r->relu))
        return 0;
    if (mpfr_zero_p(x))
        return s;
    if (mpfr_inf_p(x)) {
        mag = r->satfinite ? f->max : inf;
    } else {
        const mpfr_exp_t e = mpfr_get_exp(x);   // x = 0.1… · 2^e
        const bool subnormal = e < f->emin + orc_fraction(f);
        const long unit = subnormal ? f->emin - 1 : (long)e - f->precision;   // weight of the last place
        const uint64_t digits = *(const mp_limb_t *)mpfr_custom_get_significand(x) >> (64 - ((long)e - unit));   // one limb: precision ≤ 64
        mag = subnormal ? digits : ((uint64_t)(e - (f->emin + orc_fraction(f)) + 1) << orc_fraction(f)) + (digits - (1ull << orc_fraction(f)));
        if (mag > f->max)
            mag = r->satfinite || !f->has_inf ? f->max : inf;
    }
    if (r->ftz && mag < 1ull << orc_fraction(f))
        mag = 0;
    const uint64_t one = ((uint64_t)(1 - (f->emin + orc_fraction(f)) + 1)) << orc_fraction(f);
    if (r->sat && mag > one)
        mag = one;
    return s | mag;
}

// Rounds an exactly known operation: `compute` runs with the format's precision and exponent range, so that MPFR rounds once.
typedef int (*orc_compute)(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t rnd);
static inline uint64_t orc_round(orc_compute compute, const mpfr_t a, const mpfr_t b, const mpfr_t c, const orc_format *f, const orc_rules *r) {
    mp_limb_t limb = 0;                                // no allocation: this runs millions of times
    mpfr_t x;
    mpfr_custom_init(&limb, (mpfr_prec_t)f->precision);
    mpfr_custom_init_set(x, MPFR_ZERO_KIND, 0, (mpfr_prec_t)f->precision, &limb);
    const mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
    mpfr_set_emin(f->emin);
    mpfr_set_emax(f->emax);
    int t = compute(x, a, b, c, r->rnd);
    t = mpfr_check_range(x, t, r->rnd);
    mpfr_subnormalize(x, t, r->rnd);
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    return orc_put(x, f, r);
}

static inline int orc_add(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)c; return mpfr_add(to, a, b, r); }
static inline int orc_sub(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)c; return mpfr_sub(to, a, b, r); }
static inline int orc_mul(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)c; return mpfr_mul(to, a, b, r); }
static inline int orc_fma(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { return mpfr_fma(to, a, b, c, r); }
static inline int orc_div(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)c; return mpfr_div(to, a, b, r); }
static inline int orc_rcp(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)b; (void)c; return mpfr_ui_div(to, 1, a, r); }
static inline int orc_sqrt(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)b; (void)c; return mpfr_sqrt(to, a, r); }
static inline int orc_set(mpfr_t to, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t r) { (void)b; (void)c; return mpfr_set(to, a, r); }
#endif
