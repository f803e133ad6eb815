// Every instruction with a defined rounding against MPFR: edge values × edge values, then random operands. The number of operands per
// instruction is HONE_ORACLE_OPERANDS (20000 by default, `make soak` asks for a million). Approximate instructions: the largest error found, against
// the bound that PTX states. HONE_ORACLE_REPORT=1 prints a table (docs/exactness.md).
#include "alu_fixture.h"
#include "oracle.h"

enum { BATCH = 4096, MAX_FORMS = 1200, LINE = 120 };

typedef enum kind { ARITH, MINMAX, SIGN, FROM_INT, TO_INT, FLOAT_CVT, INTEGRAL, PACK_CVT, UNPACK_CVT, SCALE_CVT, TF32_AWAY } kind;
typedef struct form {
    char line[LINE];
    char take;
    kind kind;
    int d, s;                      // formats; integers: bits, negative when signed
    int s2;                        // ARITH with mixed sources: format of the narrow ones, or -1
    int lanes;                     // elements in a register
    orc_compute compute;
    orc_rules rules;
    bool max, nan, xorsign, neg, abs;
} form;
static form forms[MAX_FORMS];
static unsigned n_forms;
static mpfr_t A, B, C;

static const struct { const char *name, *integral; mpfr_rnd_t rnd; } modes[] = {{"rn", "rni", MPFR_RNDN}, {"rz", "rzi", MPFR_RNDZ}, {"rm", "rmi", MPFR_RNDD},
    {"rp", "rpi", MPFR_RNDU}};

static form *add_form(kind k, char take, int d, int s, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static form *add_form(kind k, char take, int d, int s, const char *fmt, ...) {
    assert_true(n_forms < MAX_FORMS);
    form *f = &forms[n_forms++];
    *f = (form){.take = take, .kind = k, .d = d, .s = s, .s2 = -1, .lanes = 1};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->line, sizeof f->line, fmt, ap);
    va_end(ap);
    return f;
}

// --- expectations -----------------------------------------------------------------------------------------------------------------
static uint64_t arith(const form *f, uint64_t a, uint64_t b, uint64_t c) {
    const orc_format *d = &orc_formats[f->d], *narrow = f->s2 >= 0 ? &orc_formats[f->s2] : d;
    orc_get(A, a, narrow, f->rules.ftz);
    orc_get(B, b, f->compute == orc_fma ? narrow : d, f->rules.ftz);
    orc_get(C, c, d, f->rules.ftz);
    return orc_round(f->compute, A, B, C, d, &f->rules);
}

static bool is_nan(uint64_t x, const orc_format *f) { return orc_low(x, f->bits - 1) > f->max + 1; }
static uint64_t flush(uint64_t x, const orc_format *f) {
    const uint64_t mag = orc_low(x, f->bits - 1);
    return mag < 1ull << orc_fraction(f) ? x & 1ull << (f->bits - 1) : x;
}
static int64_t order(uint64_t x, const orc_format *f) {   // a number's place on the line; -0 just below +0
    const int64_t mag = (int64_t)orc_low(x, f->bits - 1);
    return x >> (f->bits - 1) & 1 ? -mag - 1 : mag;
}
static uint64_t min_max(const form *f, uint64_t a, uint64_t b) {
    const orc_format *d = &orc_formats[f->d];
    const uint64_t sign = 1ull << (d->bits - 1);
    uint64_t x = orc_low(a, d->bits), y = orc_low(b, d->bits);
    if (f->rules.ftz)
        x = flush(x, d), y = flush(y, d);
    const uint64_t s = (x ^ y) & sign;
    if (f->xorsign)
        x &= ~sign, y &= ~sign;
    const bool nx = is_nan(x, d), ny = is_nan(y, d);
    if ((nx && ny) || (f->nan && (nx || ny)))
        return d->nan | (f->xorsign && d->bits == 32 ? s : 0);
    const uint64_t r = nx ? y : ny ? x : (order(x, d) < order(y, d)) != f->max ? x : y;
    return f->xorsign ? r | s : r;
}
static uint64_t sign_op(const form *f, uint64_t a) {
    const orc_format *d = &orc_formats[f->d];
    const uint64_t x = f->rules.ftz ? flush(orc_low(a, d->bits), d) : orc_low(a, d->bits), sign = 1ull << (d->bits - 1);
    return f->neg ? x ^ sign : x & ~sign;
}

static uint64_t from_int(const form *f, uint64_t a) {
    const int bits = abs(f->s);
    const uint64_t v = orc_low(a, bits);
    if (f->s < 0)
        mpfr_set_sj(A, (int64_t)(v << (64 - bits)) >> (64 - bits), MPFR_RNDN);
    else
        mpfr_set_uj(A, v, MPFR_RNDN);
    return orc_round(orc_set, A, B, C, &orc_formats[f->d], &f->rules);
}

static uint64_t to_int(const form *f, uint64_t a) {
    const int bits = abs(f->d);
    const bool is_signed = f->d < 0;
    const uint64_t max = is_signed ? (1ull << (bits - 1)) - 1 : orc_low(~0ull, bits), min = is_signed ? 1ull << (bits - 1) : 0;
    orc_get(A, a, &orc_formats[f->s], f->rules.ftz);
    uint64_t r = 0;
    if (mpfr_nan_p(A))   // PTX ISA 9.7.9.21: 0, or the top bit alone for f64 sources and 64-bit results
        r = f->s == F64 || bits == 64 ? 1ull << (bits - 1) : 0;
    else if (!mpfr_inf_p(A))
        mpfr_rint(B, A, f->rules.rnd);
    else
        mpfr_set(B, A, MPFR_RNDN);
    if (mpfr_nan_p(A)) {
        (void)0;                                       // as set above
    } else if (mpfr_signbit(B) && !mpfr_zero_p(B)) {
        mpfr_neg(B, B, MPFR_RNDN);
        r = mpfr_cmp_ui(B, 0) > 0 && (mpfr_inf_p(B) || !mpfr_fits_uintmax_p(B, MPFR_RNDZ) || mpfr_get_uj(B, MPFR_RNDZ) > min) ? 0 - min
            : 0 - mpfr_get_uj(B, MPFR_RNDZ);
        r = orc_low(r, bits);
    } else {
        r = mpfr_inf_p(B) || !mpfr_fits_uintmax_p(B, MPFR_RNDZ) || mpfr_get_uj(B, MPFR_RNDZ) > max ? max : mpfr_get_uj(B, MPFR_RNDZ);
    }
    if (is_signed && bits == 8)   // a 32-bit register holds it sign-extended
        r = orc_low((uint64_t)((int64_t)(r << (64 - bits)) >> (64 - bits)), 32);
    return r;
}

static uint64_t float_cvt(const form *f, uint64_t a) {
    orc_rules out = f->rules;
    out.ftz = f->rules.ftz && f->d == F32;
    orc_get(A, a, &orc_formats[f->s], f->rules.ftz && f->s == F32);
    const uint64_t x = orc_round(orc_set, A, B, C, &orc_formats[f->d], &out);
    return f->d == TF32 ? x << 13 | (mpfr_nan_p(A) ? 0x1fff : 0) : x;
}
static uint64_t integral(const form *f, uint64_t a) {
    orc_get(A, a, &orc_formats[f->d], f->rules.ftz);
    if (!mpfr_nan_p(A) && !mpfr_inf_p(A))
        mpfr_rint(B, A, f->rules.rnd);
    else
        mpfr_set(B, A, MPFR_RNDN);
    if (mpfr_zero_p(B))
        mpfr_setsign(B, B, mpfr_signbit(A), MPFR_RNDN);
    return orc_round(orc_set, B, B, B, &orc_formats[f->d], &f->rules);
}
// ties away from zero: half a unit in the last place more, cut
static uint64_t tf32_away(const form *f, uint64_t a) {
    orc_rules r = {.rnd = MPFR_RNDZ, .satfinite = f->rules.satfinite};
    orc_get(A, a, &orc_formats[F32], false);
    if (!mpfr_nan_p(A) && !mpfr_inf_p(A) && !mpfr_zero_p(A)) {
        const mpfr_exp_t e = mpfr_get_exp(A), low = orc_formats[TF32].emin + 10;
        mpfr_set_ui_2exp(B, 1, (e < low ? low : e) - 12, MPFR_RNDN);
        mpfr_setsign(B, B, mpfr_signbit(A), MPFR_RNDN);
        mpfr_add(A, A, B, MPFR_RNDZ);
        if (mpfr_get_exp(A) > 128)
            mpfr_set_inf(A, mpfr_signbit(A) ? -1 : 1);
    }
    const uint64_t x = orc_round(orc_set, A, B, C, &orc_formats[TF32], &r);
    return x << 13 | (mpfr_nan_p(A) ? 0x1fff : 0);
}
static int stride_of(int format) { return format == E2M1 ? 4 : format >= E4M3 ? 8 : orc_formats[format].bits; }
// two sources (or one packed one) to a packed result: the first source is the upper half
static uint64_t pack_cvt(const form *f, uint64_t a, uint64_t b) {
    const uint64_t hi = f->lanes == 2 ? a >> stride_of(f->s) : a, lo = f->lanes == 2 ? a : b;
    form one = *f;
    one.lanes = 1;
    return float_cvt(&one, hi) << stride_of(f->d) | float_cvt(&one, lo);
}
static uint64_t scale_of(const form *f, uint64_t x) {   // f32 or bf16 → ue8m0: |x| up or down to a power of two
    orc_get(A, x, &orc_formats[f->s], false);
    if (mpfr_nan_p(A))
        return 0xff;
    mpfr_abs(A, A, MPFR_RNDN);
    if (mpfr_inf_p(A))
        return f->rules.satfinite ? 0xfe : 0xff;
    if (mpfr_zero_p(A) || mpfr_cmp_ui_2exp(A, 1, -127) <= 0)
        return 0;
    mpfr_t t;
    mpfr_init2(t, 1);
    mpfr_set(t, A, f->rules.rnd == MPFR_RNDU ? MPFR_RNDU : MPFR_RNDZ);
    const long code = (long)mpfr_get_exp(t) - 1 + 127;
    mpfr_clear(t);
    return code > 0xfe ? (f->rules.satfinite ? 0xfe : 0xff) : (uint64_t)code;
}

static uint64_t one_lane(const form *f, uint64_t a, uint64_t b, uint64_t c) {
    switch (f->kind) {
    case ARITH: return arith(f, a, b, c);
    case MINMAX: return min_max(f, a, b);
    case SIGN: return sign_op(f, a);
    case FROM_INT: return from_int(f, a);
    case TO_INT: return to_int(f, a);
    case FLOAT_CVT: return float_cvt(f, a);
    case INTEGRAL: return integral(f, a);
    case TF32_AWAY: return tf32_away(f, a);
    case SCALE_CVT: return scale_of(f, a);
    default: return float_cvt(f, a);
    }
}
static uint64_t expected(const form *f, uint64_t a, uint64_t b, uint64_t c) {
    if (f->kind == PACK_CVT)
        return pack_cvt(f, a, b);
    if (f->kind == SCALE_CVT)   // two f32 sources, or halves of one bf16x2
        return f->lanes == 2 ? scale_of(f, a >> 16) << 8 | scale_of(f, a) : scale_of(f, a) << 8 | scale_of(f, b);
    if (f->lanes == 1)
        return one_lane(f, a, b, c);
    const int sd = stride_of(f->d), ss = f->kind == UNPACK_CVT ? stride_of(f->s) : sd;
    return one_lane(f, a >> ss, b >> ss, c >> ss) << sd | orc_low(one_lane(f, a, b, c), sd);
}
static bool same(const form *f, uint64_t got, uint64_t want) {
    if (got == want)
        return true;
    const bool f64 = f->kind != TO_INT && f->d == F64;   // PTX leaves the payload of an f64 NaN open
    return f64 && is_nan(got & 0x7fffffffffffffff, &orc_formats[F64]) && is_nan(want & 0x7fffffffffffffff, &orc_formats[F64]);
}

// --- operands ---------------------------------------------------------------------------------------------------------------------
static unsigned edges_of(int bits, int fraction, uint64_t *out) {
    const uint64_t sign = 1ull << (bits - 1), hidden = 1ull << fraction, top = orc_low(~0ull, bits - 1) & ~(hidden - 1), bias = (top >> fraction) / 2;
    const uint64_t one = bias << fraction;
    const uint64_t m[] = {0, 1, hidden - 1, hidden, hidden + 1, one, one - 1, one + 1, one + hidden / 2, one + hidden, one - hidden, top - 1, top - hidden, top,
                          top + 1, top + hidden / 2, top + hidden - 1, one + (uint64_t)fraction * hidden, one + (uint64_t)(fraction + 1) * hidden + 1,
                          one - (uint64_t)(fraction + 1) * hidden, one / 2, one / 2 + 1, hidden / 2, one + 3};
    unsigned n = 0;
    for (size_t i = 0; i < HONE_COUNT(m); i++) {
        out[n++] = orc_low(m[i], bits - 1);
        out[n++] = orc_low(m[i], bits - 1) | sign;
    }
    return n;
}
static unsigned int_edges(int bits, uint64_t *out) {
    unsigned n = 0;
    for (int k = 0; k < bits; k++)
        for (int d = -1; d <= 1; d++)
            out[n++] = orc_low((1ull << k) + (uint64_t)(int64_t)d, bits);
    out[n++] = orc_low(~0ull, bits);
    return n;
}
typedef struct source { uint64_t edge[256]; unsigned n; int bits, fraction; uint64_t seed; } source;
static uint64_t draw(source *s) {
    const uint64_t r = alu_rand(&s->seed), k = alu_rand(&s->seed);
    if (k % 16 == 0)
        return s->edge[r % s->n] | (s->bits <= 32 ? (r & ~0ull) << 32 : 0);
    if (k % 4 == 1 && s->fraction)   // near one: sums cancel, products stay in range
        return (r & ~((orc_low(~0ull, s->bits - 1) >> s->fraction) << s->fraction)) |
               ((((orc_low(~0ull, s->bits - 1) >> s->fraction) / 2 + (k >> 8) % 8 - 4)) << s->fraction);
    return r;
}
static void start_source(source *s, const form *f, uint64_t seed) {
    const bool is_int = f->kind == FROM_INT;
    const int format = f->kind == FROM_INT ? 0 : f->kind == ARITH || f->kind == MINMAX || f->kind == SIGN || f->kind == INTEGRAL ? f->d : f->s;
    s->bits = is_int ? abs(f->s) : orc_formats[format].bits;
    s->fraction = is_int ? 0 : orc_fraction(&orc_formats[format]);
    s->n = is_int ? int_edges(s->bits, s->edge) : edges_of(s->bits, s->fraction, s->edge);
    s->seed = seed;
}
// Operand i of the run: first all pairs of edges (both halves of packed operands), then drawn ones.
static void operand(source *s, const form *f, uint64_t i, uint64_t *a, uint64_t *b, uint64_t *c) {
    const uint64_t n = s->n;
    if (i < n * n) {
        const int up = f->lanes == 2 ? s->bits : 0;
        *a = s->edge[i % n] | (up && up < 64 ? s->edge[i / n] << up : 0);
        *b = s->edge[i / n] | (up && up < 64 ? s->edge[(i * 5) % n] << up : 0);
        *c = s->edge[(i * 7 + i / n * 3) % n] | (up && up < 64 ? s->edge[(i * 11) % n] << up : 0);
        return;
    }
    *a = draw(s);
    *b = draw(s);
    *c = draw(s);
    if (f->s2 >= 0)   // narrow sources take their low bits from anywhere
        *a ^= alu_rand(&s->seed);
    if (f->lanes == 2 && s->bits <= 32 && alu_rand(&s->seed) % 2)
        *a |= draw(s) << s->bits, *b |= draw(s) << s->bits, *c |= draw(s) << s->bits;
}

// --- running ----------------------------------------------------------------------------------------------------------------------
static uint64_t wanted(void) {
    const char *s = getenv("HONE_ORACLE_OPERANDS");
    return s ? strtoull(s, NULL, 10) : 20000;
}
static void check_form(const form *f) {
    static alu t;
    source s;
    start_source(&s, f, 1 + (uint64_t)(f - forms));
    const uint64_t pairs = f->kind == ARITH || f->kind == MINMAX || f->kind == PACK_CVT ? (uint64_t)s.n * s.n : s.n;   // of edge values
    const uint64_t total = wanted() > pairs ? wanted() : pairs;
    fixture fx;
    alu_open(&fx, f->line, f->take, BATCH);
    for (uint64_t done = 0; done < total; done += BATCH) {
        t.n = BATCH;
        for (unsigned i = 0; i < BATCH; i++)
            operand(&s, f, done + i, &t.a[i], &t.b[i], &t.c[i]);
        alu_again(&fx, &t);
        for (unsigned i = 0; i < BATCH; i++) {
            const uint64_t want = expected(f, t.a[i], t.b[i], t.c[i]);
            if (!same(f, t.d[i], want))
                ALU_FAIL(&t, i, f->line, want);
        }
    }
    fx_free(&fx);
}

static const char *reg_of(int format, char name, char *out) {   // the fixture's register of this width
    sprintf(out, orc_formats[format].bits == 64 ? "%%%c" : orc_formats[format].bits == 32 ? "%%%c" : "%%h%c", orc_formats[format].bits == 64 ? name - 32 : name);
    return out;
}
static char take_of(int format) { return orc_formats[format].bits == 64 ? 'D' : orc_formats[format].bits == 32 ? 'd' : 'h'; }

typedef struct operation { const char *name; orc_compute compute; int sources; } operation;
static const operation basic[] = {{"add", orc_add, 2}, {"sub", orc_sub, 2}, {"mul", orc_mul, 2}, {"fma", orc_fma, 3}};
static const operation roots[] = {{"div", orc_div, 2}, {"rcp", orc_rcp, 1}, {"sqrt", orc_sqrt, 1}};

static void add_arith(const operation *o, int format, unsigned mode, bool ftz, bool sat, bool relu, bool packed) {
    char d[8], a[8], b[8], c[8];
    const bool half = format == F16 || format == BF16;
    const int w = packed && half ? F32 : packed ? F64 : format;
    form *f = add_form(ARITH, take_of(w), format, format, "%s.%s%s%s%s.%s%s %s, %s%s%s%s%s;", o->name, modes[mode].name, ftz ? ".ftz" : "", sat ? ".sat" : "",
                       relu ? ".relu" : "", orc_formats[format].name, packed ? "x2" : "", reg_of(w, 'd', d), reg_of(w, 'a', a), o->sources > 1 ? ", " : "",
                       o->sources > 1 ? reg_of(w, 'b', b) : "", o->sources > 2 ? ", " : "", o->sources > 2 ? reg_of(w, 'c', c) : "");
    f->compute = o->compute;
    f->lanes = packed ? 2 : 1;
    f->rules = (orc_rules){.rnd = modes[mode].rnd, .ftz = ftz, .sat = sat, .relu = relu};
}

static void check_from(unsigned first) {
    for (unsigned i = first; i < n_forms; i++)
        check_form(&forms[i]);
}

static void arithmetic_f32(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (unsigned m = 0; m < 4; m++)
        for (int ftz = 0; ftz < 2; ftz++) {
            for (size_t o = 0; o < HONE_COUNT(basic); o++)
                for (int sat = 0; sat < 2; sat++)
                    add_arith(&basic[o], F32, m, ftz, sat, false, false);
            for (size_t o = 0; o < HONE_COUNT(roots); o++)
                add_arith(&roots[o], F32, m, ftz, false, false, false);
            for (size_t o = 0; o < HONE_COUNT(basic); o++)
                add_arith(&basic[o], F32, m, ftz, false, false, true);
        }
    check_from(first);
}
static void arithmetic_f64(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (unsigned m = 0; m < 4; m++) {
        for (size_t o = 0; o < HONE_COUNT(basic); o++)
            add_arith(&basic[o], F64, m, false, false, false, false);
        for (size_t o = 0; o < HONE_COUNT(roots); o++)
            add_arith(&roots[o], F64, m, false, false, false, false);
    }
    check_from(first);
}
static void arithmetic_half(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (int packed = 0; packed < 2; packed++)
        for (size_t o = 0; o < HONE_COUNT(basic); o++) {
            for (int ftz = 0; ftz < 2; ftz++) {
                add_arith(&basic[o], F16, 0, ftz, false, false, packed);
                add_arith(&basic[o], F16, 0, ftz, true, false, packed);
                if (basic[o].sources == 3)
                    add_arith(&basic[o], F16, 0, ftz, false, true, packed);
            }
            add_arith(&basic[o], BF16, 0, false, false, false, packed);
            if (basic[o].sources == 3)
                add_arith(&basic[o], BF16, 0, false, false, true, packed);
        }
    check_from(first);
}
static void arithmetic_mixed(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (int narrow = F16; narrow <= BF16; narrow++)
        for (unsigned m = 0; m < 4; m++)
            for (int sat = 0; sat < 2; sat++)
                for (size_t o = 0; o < HONE_COUNT(basic); o++) {
                    if (basic[o].compute == orc_mul)
                        continue;
                    form *f = add_form(ARITH, 'd', F32, F32, "%s.%s%s.f32.%s %%d, %%ha, %s;", basic[o].name, modes[m].name, sat ? ".sat" : "",
                                       orc_formats[narrow].name, basic[o].sources == 3 ? "%hb, %c" : "%b");
                    f->compute = basic[o].compute;
                    f->s2 = narrow;
                    f->rules = (orc_rules){.rnd = modes[m].rnd, .sat = sat};
                }
    check_from(first);
}

static void add_minmax(int format, bool max, bool ftz, bool nan, bool xorsign, bool packed) {
    char d[8], a[8], b[8];
    const int w = packed ? F32 : format;
    form *f = add_form(MINMAX, take_of(w), format, format, "%s%s%s%s.%s%s %s, %s, %s;", max ? "max" : "min", ftz ? ".ftz" : "", nan ? ".NaN" : "",
                       xorsign ? ".xorsign.abs" : "", orc_formats[format].name, packed ? "x2" : "", reg_of(w, 'd', d), reg_of(w, 'a', a), reg_of(w, 'b', b));
    f->max = max;
    f->nan = nan;
    f->xorsign = xorsign;
    f->rules.ftz = ftz;
    f->lanes = packed ? 2 : 1;
}
static void add_sign(int format, bool neg, bool ftz, bool packed) {
    char d[8], a[8];
    const int w = packed ? F32 : format;
    form *f = add_form(SIGN, take_of(w), format, format, "%s%s.%s%s %s, %s;", neg ? "neg" : "abs", ftz ? ".ftz" : "", orc_formats[format].name, packed ? "x2" : "",
                       reg_of(w, 'd', d), reg_of(w, 'a', a));
    f->neg = neg;
    f->rules.ftz = ftz;
    f->lanes = packed ? 2 : 1;
}
static void minima_and_signs(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (int format = F16; format <= F64; format++)
        for (int packed = 0; packed <= (format <= BF16); packed++)
            for (int k = 0; k < 16; k++) {
                const bool ftz = k & 2, nan = k & 4, xs = k & 8;
                if (format == F64 && k > 1)
                    continue;
                if (format == BF16 && ftz)
                    continue;
                add_minmax(format, k & 1, ftz, nan, xs, packed);
                if (!nan && !xs)
                    add_sign(format, k & 1, ftz, packed);
            }
    check_from(first);
}

static const struct { const char *name; int bits; char take; const char *a; } ints[] = {{"u8", 8, 'd', "%a"}, {"u16", 16, 'h', "%ha"}, {"u32", 32, 'd', "%a"},
    {"u64", 64, 'D', "%A"}, {"s8", -8, 'd', "%a"}, {"s16", -16, 'h', "%ha"}, {"s32", -32, 'd', "%a"}, {"s64", -64, 'D', "%A"}};
static void integers_to_floats(void **s) {
    (void)s;
    const unsigned first = n_forms;
    char d[8];
    for (size_t i = 0; i < HONE_COUNT(ints); i++)
        for (int format = F16; format <= F64; format++)
            for (unsigned m = 0; m < 4; m++) {
                form *f = add_form(FROM_INT, take_of(format), format, ints[i].bits, "cvt.%s.%s.%s %s, %s;", modes[m].name, orc_formats[format].name, ints[i].name,
                                   reg_of(format, 'd', d), ints[i].a);
                f->rules.rnd = modes[m].rnd;
            }
    check_from(first);
}
static void floats_to_integers(void **s) {
    (void)s;
    const unsigned first = n_forms;
    char a[8];
    for (size_t i = 0; i < HONE_COUNT(ints); i++)
        for (int format = F16; format <= F64; format++)
            for (unsigned m = 0; m < 4; m++)
                for (int ftz = 0; ftz <= (format == F32); ftz++) {
                    form *f = add_form(TO_INT, ints[i].take, ints[i].bits, format, "cvt.%s%s.%s.%s %%%s, %s;", modes[m].integral, ftz ? ".ftz" : "", ints[i].name,
                                       orc_formats[format].name, ints[i].take == 'h' ? "hd" : ints[i].take == 'D' ? "D" : "d", reg_of(format, 'a', a));
                    f->rules = (orc_rules){.rnd = modes[m].rnd, .ftz = ftz};
                }
    check_from(first);
}
static void add_cvt(int d, int s, int mode, bool ftz, bool sat, bool relu, bool satfinite) {
    char rd[8], ra[8];
    form *f = add_form(FLOAT_CVT, d == TF32 ? 'd' : take_of(d), d, s, "cvt%s%s%s%s%s%s.%s.%s %s, %s;", mode < 0 ? "" : ".", mode < 0 ? "" : modes[mode].name,
                       ftz ? ".ftz" : "", sat ? ".sat" : "", relu ? ".relu" : "", satfinite ? ".satfinite" : "", orc_formats[d].name, orc_formats[s].name,
                       reg_of(d == TF32 ? F32 : d, 'd', rd), reg_of(s, 'a', ra));
    f->rules = (orc_rules){.rnd = mode < 0 ? MPFR_RNDN : modes[mode].rnd, .ftz = ftz, .sat = sat, .relu = relu, .satfinite = satfinite};
}
static void floats_to_floats(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (int sat = 0; sat < 2; sat++)
        for (int ftz = 0; ftz < 2; ftz++) {
            add_cvt(F32, F16, -1, ftz, sat, false, false);
            add_cvt(F32, F32, -1, ftz, sat, false, false);
            add_cvt(F64, F32, -1, ftz, sat, false, false);
            for (int m = 0; m < 4; m++) {
                add_cvt(F16, F32, m, ftz, sat, false, false);
                add_cvt(F32, F64, m, ftz, sat, false, false);
                if (!ftz)
                    add_cvt(F16, F64, m, false, sat, false, false);
            }
        }
    add_cvt(F64, F16, -1, false, false, false, false);
    add_cvt(F32, BF16, -1, false, false, false, false);
    add_cvt(F64, BF16, -1, false, false, false, false);
    for (int m = 0; m < 4; m++) {
        add_cvt(BF16, F64, m, false, false, false, false);
        add_cvt(BF16, F16, m, false, false, false, false);
        add_cvt(F16, BF16, m, false, false, false, false);
    }
    for (int m = 0; m < 2; m++)
        for (int relu = 0; relu < 2; relu++)
            for (int sf = 0; sf < 2; sf++) {
                add_cvt(F16, F32, m, false, false, relu, sf);
                add_cvt(BF16, F32, m, false, false, relu, sf);
                add_cvt(TF32, F32, m, false, false, relu, sf);
            }
    for (int sf = 0; sf < 2; sf++)
        add_form(TF32_AWAY, 'd', TF32, F32, "cvt.rna%s.tf32.f32 %%d, %%a;", sf ? ".satfinite" : "")->rules.satfinite = sf;
    for (int format = F16; format <= F64; format++)
        for (unsigned m = 0; m < 4; m++) {
            char d[8], a[8];
            form *f = add_form(INTEGRAL, take_of(format), format, format, "cvt.%s.%s.%s %s, %s;", modes[m].integral, orc_formats[format].name,
                               orc_formats[format].name, reg_of(format, 'd', d), reg_of(format, 'a', a));
            f->rules.rnd = modes[m].rnd;
        }
    check_from(first);
}
static void packed_conversions(void **s) {
    (void)s;
    const unsigned first = n_forms;
    for (int m = 0; m < 2; m++)
        for (int relu = 0; relu < 2; relu++)
            for (int sf = 0; sf < 2; sf++)
                for (int d = F16; d <= BF16; d++) {
                    form *f = add_form(PACK_CVT, 'd', d, F32, "cvt.%s%s%s.%sx2.f32 %%d, %%a, %%b;", modes[m].name, relu ? ".relu" : "", sf ? ".satfinite" : "",
                                       orc_formats[d].name);
                    f->rules = (orc_rules){.rnd = modes[m].rnd, .relu = relu, .satfinite = sf};
                }
    for (int relu = 0; relu < 2; relu++)
        for (int d = E4M3; d <= E3M2; d++) {
            const orc_rules r = {.rnd = MPFR_RNDN, .relu = relu, .satfinite = true};
            add_form(PACK_CVT, 'h', d, F32, "cvt.rn.satfinite%s.%sx2.f32 %%hd, %%a, %%b;", relu ? ".relu" : "", orc_formats[d].name)->rules = r;
            form *f = NULL;
            if (d <= E5M2) {
                f = add_form(PACK_CVT, 'h', d, F16, "cvt.rn.satfinite%s.%sx2.f16x2 %%hd, %%a;", relu ? ".relu" : "", orc_formats[d].name);
                f->rules = r;
                f->lanes = 2;
            }
            f = add_form(UNPACK_CVT, 'd', F16, d, "cvt.rn%s.f16x2.%sx2 %%d, %%ha;", relu ? ".relu" : "", orc_formats[d].name);
            f->rules.relu = relu;
            f->lanes = 2;
        }
    for (int up = 0; up < 2; up++)
        for (int sf = 0; sf < 2; sf++) {
            const orc_rules r = {.rnd = up ? MPFR_RNDU : MPFR_RNDZ, .satfinite = sf};
            add_form(SCALE_CVT, 'h', E4M3, F32, "cvt.%s%s.ue8m0x2.f32 %%hd, %%a, %%b;", up ? "rp" : "rz", sf ? ".satfinite" : "")->rules = r;
            form *f = add_form(SCALE_CVT, 'h', E4M3, BF16, "cvt.%s%s.ue8m0x2.bf16x2 %%hd, %%a;", up ? "rp" : "rz", sf ? ".satfinite" : "");
            f->rules = r;
            f->lanes = 2;
        }
    check_from(first);
}

// --- approximations ---------------------------------------------------------------------------------------------------------------
typedef int (*function)(mpfr_t, const mpfr_t, mpfr_rnd_t);
static int f_lg2(mpfr_t r, const mpfr_t x, mpfr_rnd_t m) { return mpfr_log2(r, x, m); }
static int f_ex2(mpfr_t r, const mpfr_t x, mpfr_rnd_t m) { return mpfr_exp2(r, x, m); }
static int f_rcp(mpfr_t r, const mpfr_t x, mpfr_rnd_t m) { return mpfr_ui_div(r, 1, x, m); }
// lo, hi: the arguments tried; bounds: PTX ISA 9.7.3 (f32, f64) and 9.7.4 (half): absolute, or relative when absolute is 0. note: its wording.
static const struct approximation {
    const char *line;
    int format;
    function f;
    double lo, hi, relative, absolute;
    const char *bound;
} approximations[] = {
    {"ex2.approx.f32 %d, %a;", F32, f_ex2, -149, 127.99, 0x1p-22, 0x1p-149, "2 ulp (2^-22)"},
    {"ex2.approx.ftz.f32 %d, %a;", F32, f_ex2, -125.9, 127.99, 0x1p-22, 0, "2 ulp (2^-22)"},
    {"lg2.approx.f32 %d, %a;", F32, f_lg2, 0x1p-149, 0.5, 0x1p-22, 0, "rel 2^-22 outside (0.5, 2)"},
    {"lg2.approx.f32 %d, %a;", F32, f_lg2, 2, 0x1.fffffep127, 0x1p-22, 0, "rel 2^-22 outside (0.5, 2)"},
    {"lg2.approx.f32 %d, %a;", F32, f_lg2, 0.5, 2, 0, 0x1p-22, "abs 2^-22 in (0.5, 2)"},
    {"sin.approx.f32 %d, %a;", F32, mpfr_sin, -6.2831853, 6.2831853, 0, 0x1.6ap-21, "abs 2^-20.5 in [-2pi, 2pi]"},
    {"sin.approx.f32 %d, %a;", F32, mpfr_sin, -314.15926, 314.15926, 0, 0x1.3bp-15, "abs 2^-14.7 in [-100pi, 100pi]"},
    {"cos.approx.f32 %d, %a;", F32, mpfr_cos, -6.2831853, 6.2831853, 0, 0x1.6ap-21, "abs 2^-20.5 in [-2pi, 2pi]"},
    {"cos.approx.f32 %d, %a;", F32, mpfr_cos, -314.15926, 314.15926, 0, 0x1.3bp-15, "abs 2^-14.7 in [-100pi, 100pi]"},
    {"rcp.approx.f32 %d, %a;", F32, f_rcp, 0x1p-126, 0x1p126, 0x1p-23, 0, "1 ulp (2^-23)"},
    {"rcp.approx.ftz.f32 %d, %a;", F32, f_rcp, 0x1p-126, 0x1p125, 0x1p-23, 0, "1 ulp (2^-23)"},
    {"rsqrt.approx.f32 %d, %a;", F32, mpfr_rec_sqrt, 0x1p-149, 0x1.fffffep127, 0x1.2p-23, 0, "rel 2^-22.9"},
    {"sqrt.approx.f32 %d, %a;", F32, mpfr_sqrt, 0x1p-149, 0x1.fffffep127, 0x1p-23, 0, "rel 2^-23"},
    {"tanh.approx.f32 %d, %a;", F32, mpfr_tanh, -30, 30, 0x1p-11, 0, "rel 2^-11"},
    {"div.full.f32 %d, %a, %b;", F32, NULL, 0x1p-60, 0x1p60, 0x1p-22, 0, "2 ulp"},
    {"div.approx.f32 %d, %a, %b;", F32, NULL, 0x1p-60, 0x1p60, 0x1p-22, 0, "2 ulp, |b| in [2^-126, 2^126]"},
    {"rcp.approx.ftz.f64 %D, %A;", F64, f_rcp, 0x1p-1000, 0x1p1000, 0x1p-19, 0, "upper 32 bits only"},
    {"rsqrt.approx.f64 %D, %A;", F64, mpfr_rec_sqrt, 0x1p-1000, 0x1p1000, 0x1p-20, 0, "not stated"},
    {"rsqrt.approx.ftz.f64 %D, %A;", F64, mpfr_rec_sqrt, 0x1p-1000, 0x1p1000, 0x1p-19, 0, "not stated"},
    {"ex2.approx.f16 %hd, %ha;", F16, f_ex2, -14, 15.9, 0x1.5p-10, 0, "rel 2^-9.9"},
    {"ex2.approx.ftz.bf16 %hd, %ha;", BF16, f_ex2, -126, 127.4, 0x1p-7, 0, "rel 2^-7"},
    {"tanh.approx.f16 %hd, %ha;", F16, mpfr_tanh, -10, 10, 0x1.06p-10, 0x1p-24, "abs 2^-10.987"},
    {"tanh.approx.bf16 %hd, %ha;", BF16, mpfr_tanh, -10, 10, 0x1p-8, 0, "abs 2^-8"},
};

static double value(uint64_t bits, int format) {
    orc_get(A, bits, &orc_formats[format], false);
    return mpfr_get_d(A, MPFR_RNDN);
}
static void approximate_one(const struct approximation *p, double *worst_relative, double *worst_absolute) {
    static alu t;
    const orc_format *fmt = &orc_formats[p->format];
    uint64_t seed = 5 + (uint64_t)(p - approximations);
    fixture fx;
    mpfr_t want, error;
    mpfr_inits2(200, want, error, (mpfr_ptr)0);
    alu_open(&fx, p->line, take_of(p->format), BATCH);
    *worst_relative = *worst_absolute = 0;
    for (uint64_t done = 0; done < wanted(); done += BATCH) {
        t.n = BATCH;
        for (unsigned i = 0; i < BATCH; i++)
            for (uint64_t *x = t.a; x; x = x == t.a ? t.b : NULL) {
                double v;
                do {   // half evenly spread over the interval, half over its exponents
                    const uint64_t r = alu_rand(&seed);
                    mpfr_set_d(A, p->lo + (p->hi - p->lo) * ((double)(r >> 11) * 0x1p-53), MPFR_RNDN);
                    const orc_rules rule = {.rnd = MPFR_RNDN};
                    x[i] = i % 2 ? orc_round(orc_set, A, A, A, fmt, &rule) : orc_low(r, fmt->bits);
                    v = value(x[i], p->format);
                } while (!(v >= p->lo && v <= p->hi));
            }
        alu_again(&fx, &t);
        for (unsigned i = 0; i < BATCH; i++) {
            orc_get(A, t.a[i], fmt, false);
            orc_get(B, t.b[i], fmt, false);
            if (p->f)
                p->f(want, A, MPFR_RNDN);
            else
                mpfr_div(want, A, B, MPFR_RNDN);
            orc_get(C, t.d[i], fmt, false);
            mpfr_sub(error, C, want, MPFR_RNDN);
            const double absolute = fabs(mpfr_get_d(error, MPFR_RNDN)), relative = absolute == 0 ? 0 : absolute / fabs(mpfr_get_d(want, MPFR_RNDN));
            if (!(absolute <= p->absolute || relative <= p->relative))
                fail_msg("%s a=%llx b=%llx: got %llx, relative error 2^%.2f, absolute 2^%.2f", p->line, (unsigned long long)t.a[i], (unsigned long long)t.b[i],
                         (unsigned long long)t.d[i], log2(relative), log2(absolute));
            *worst_relative = relative > *worst_relative ? relative : *worst_relative;
            *worst_absolute = absolute > *worst_absolute ? absolute : *worst_absolute;
        }
    }
    mpfr_clears(want, error, (mpfr_ptr)0);
    fx_free(&fx);
}
static void approximate(void **s) {
    (void)s;
    const bool report = getenv("HONE_ORACLE_REPORT") != NULL;
    for (size_t i = 0; i < HONE_COUNT(approximations); i++) {
        double relative, absolute;
        const struct approximation *p = &approximations[i];
        approximate_one(p, &relative, &absolute);
        if (report)
            printf("| `%.*s` | [%g, %g] | %s | 2^%.2f | 2^%.2f |\n", (int)strcspn(p->line, " "), p->line, p->lo, p->hi, p->bound, log2(relative), log2(absolute));
    }
}

static int setup(void **s) {
    (void)s;
    mpfr_inits2(128, A, B, C, (mpfr_ptr)0);
    return 0;
}
static int teardown(void **s) {
    (void)s;
    mpfr_clears(A, B, C, (mpfr_ptr)0);
    mpfr_free_cache();
    if (getenv("HONE_ORACLE_REPORT"))
        printf("%u instructions, %llu operands each\n", n_forms, (unsigned long long)wanted());
    return 0;
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_f32), cmocka_unit_test(arithmetic_f64), cmocka_unit_test(arithmetic_half), cmocka_unit_test(arithmetic_mixed),
        cmocka_unit_test(minima_and_signs), cmocka_unit_test(integers_to_floats), cmocka_unit_test(floats_to_integers), cmocka_unit_test(floats_to_floats),
        cmocka_unit_test(packed_conversions), cmocka_unit_test(approximate),
    };
    if (getenv("HONE_ORACLE_ONLY"))                    // one group, by its name
        cmocka_set_test_filter(getenv("HONE_ORACLE_ONLY"));
    return cmocka_run_group_tests(tests, setup, teardown);
}
