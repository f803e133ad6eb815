// f16 and bf16 arithmetic against enumeration: every result is the nearest value to the exact one.
#include "alu_fixture.h"
#include "small_float.h"

static const uint64_t edges[] = {0, 0x8000, 1, 0x8001, 2, 0x3ff, 0x400, 0x83ff, 0x3c00, 0xbc00, 0x3c01, 0x3bff, 0x3555, 0x7bff, 0xfbff,
    0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01,
                                 0x0080, 0x007f, 0x7f7f, 0x7f80, 0xff80, 0x3f80, 0x3f81, 0x7f81, 0x4000, 0x6400, 0x0100, 0x8100, 0x1400,
                                     0x5801};
typedef enum kind { ADD, SUB, MUL, FMA, MIN, MAX, MIN_NAN, MAX_NAN } kind;

static uint32_t reference(const small_format *f, kind k, uint32_t x, uint32_t y, uint32_t z) {
    const bool nx = small_is_nan(f, x), ny = small_is_nan(f, y), nz = small_is_nan(f, z);
    if (k >= MIN) {
        if ((nx && ny) || ((nx || ny) && k >= MIN_NAN))
            return f->nan;
        if (nx || ny)
            return nx ? y : x;
        const __float128 a = small_value(f, x), b = small_value(f, y);
        const bool less = a < b || (a == b && x >> 15 > y >> 15);
        return (less == (k == MIN || k == MIN_NAN)) ? x : y;
    }
    if (nx || ny || (nz && k == FMA))
        return f->nan;
    const __float128 a = small_value(f, x), b = k == SUB ? -small_value(f, y) : small_value(f, y), c = small_value(f, z);
    if (k == MUL)
        return small_nearest(f, a * b, 0, false);
    const __float128 p = k == FMA ? a * b : a, q = k == FMA ? c : b, s = p + q, t = s - p, e = (p - (s - t)) + (q - t);
    return small_nearest(f, s, e > 0 ? 1 : e < 0 ? -1 : 0, false);
}

static const struct { const char *name; kind k; } ops[] = {{"add", ADD}, {"sub", SUB}, {"mul", MUL}, {"fma.rn", FMA}, {"min", MIN},
    {"max", MAX}, {"min.NaN", MIN_NAN}, {"max.NaN", MAX_NAN}};

static void check(const small_format *f, const char *type) {
    static alu t;
    alu_fill(&t, edges, HONE_COUNT(edges), 11);
    for (size_t o = 0; o < HONE_COUNT(ops); o++) {
        char line[96];
        snprintf(line, sizeof line, "%s.%s %%hd, %%ha, %%hb%s;", ops[o].name, type, ops[o].k == FMA ? ", %hc" : "");
        alu_run(&t, line, 'h');
        for (unsigned i = 0; i < t.n; i++) {
            const uint32_t want = reference(f, ops[o].k, (uint16_t)t.a[i], (uint16_t)t.b[i], (uint16_t)t.c[i]);
            if (t.d[i] != want)
                ALU_FAIL(&t, i, line, want);
        }
        snprintf(line, sizeof line, "%s.%sx2 %%d, %%a, %%b%s;", ops[o].name, type, ops[o].k == FMA ? ", %c" : "");
        alu_run(&t, line, 'd');
        for (unsigned i = 0; i < t.n; i++) {
            const uint32_t lo = reference(f, ops[o].k, (uint16_t)t.a[i], (uint16_t)t.b[i], (uint16_t)t.c[i]);
            const uint32_t hi = reference(f, ops[o].k, (uint16_t)(t.a[i] >> 16), (uint16_t)(t.b[i] >> 16), (uint16_t)(t.c[i] >> 16));
            if (t.d[i] != (lo | hi << 16))
                ALU_FAIL(&t, i, line, lo | hi << 16);
        }
    }
}
static void f16_rounds_once(void **s) { (void)s; check(&SMALL_F16, "f16"); }
static void bf16_rounds_once(void **s) { (void)s; check(&SMALL_BF16, "bf16"); }

// A product exactly between two bf16 values, and an addend far below it: only an exact sum knows which way.
static void bf16_fma_sees_tiny_addends(void **s) {
    (void)s;
    static alu t;
    memset(&t, 0, sizeof t);
    t.n = 32;
    for (unsigned i = 0; i < 32; i++) {
        t.a[i] = 0x3f81;   // 1 + 2^-7
        t.b[i] = 0x3fc0;   // 1.5: product 1.5 + 1.5·2^-7, a tie
        t.c[i] = i % 3 == 0 ? 0x0001 : i % 3 == 1 ? 0x8001 : 0;
    }
    alu_run(&t, "fma.rn.bf16 %hd, %ha, %hb, %hc;", 'h');
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(t.d[i], i % 3 == 0 ? 0x3fc2 : i % 3 == 1 ? 0x3fc1 : 0x3fc2);
}

// .oob: +0 where a factor is the NaN of a tensor's outside, whatever the rest; else the plain form, lane by lane.
static void oob_factors_make_zero(void **s) {
    (void)s;
    static alu plain, oob;
    static const uint64_t with_oob[] = {0x7ff7, 0xfff7, 0x7ff6, 0x7ff8, 0x7fff, 0x7eff, 0x3c00, 0xbc00, 0xc000, 0x7c00, 0, 0x8000, 0x7ff73c00, 0x3c007ff7, 0xbc007ff7, 0x7ff77ff7};
    static const char *const types[] = {"f16", "bf16", "f16x2", "bf16x2"};
    for (size_t t = 0; t < 2 * HONE_COUNT(types); t++) {
        const char *type = types[t / 2], *relu = t % 2 ? ".relu" : "";
        const bool pair = strchr(type, 'x') != NULL;
        char line[96];
        alu_fill(&plain, with_oob, HONE_COUNT(with_oob), 23);
        oob = plain;
        snprintf(line, sizeof line, "fma.rn%s.%s %s;", relu, type, pair ? "%d, %a, %b, %c" : "%hd, %ha, %hb, %hc");
        alu_run(&plain, line, pair ? 'd' : 'h');
        snprintf(line, sizeof line, "fma.rn.oob%s.%s %s;", relu, type, pair ? "%d, %a, %b, %c" : "%hd, %ha, %hb, %hc");
        alu_run(&oob, line, pair ? 'd' : 'h');
        unsigned zeros = 0;
        for (unsigned i = 0; i < oob.n; i++) {
            uint32_t want = (uint32_t)plain.d[i];
            for (unsigned half = 0; half < (pair ? 32 : 16); half += 16)
                if ((oob.a[i] >> half & 0x7fff) == 0x7ff7 || (oob.b[i] >> half & 0x7fff) == 0x7ff7) {   // of either sign, as on an H100
                    want &= ~(0xffffu << half);
                    zeros++;
                }
            if (oob.d[i] != want)
                ALU_FAIL(&oob, i, line, want);
        }
        assert_true(zeros > 50);
    }
}

static void modifiers(void **s) {
    (void)s;
    static alu t;
    memset(&t, 0, sizeof t);
    t.n = 32;
    static const struct { const char *line; uint64_t a, b, c; char take; uint64_t want; } rows[] = {
        {"add.sat.f16 %hd, %ha, %hb;", 0x3c00, 0x3c00, 0, 'h', 0x3c00}, {"add.sat.f16 %hd, %ha, %hb;", 0xbc00, 0, 0, 'h', 0},
        {"add.sat.f16 %hd, %ha, %hb;", 0x7e00, 0, 0, 'h', 0},
        {"fma.rn.relu.f16 %hd, %ha, %hb, %hc;", 0xbc00, 0x3c00, 0, 'h', 0},
        {"fma.rn.relu.f16 %hd, %ha, %hb, %hc;", 0x7e00, 0x3c00, 0, 'h', 0x7fff},
        {"add.ftz.f16 %hd, %ha, %hb;", 1, 0, 0, 'h', 0}, {"add.ftz.f16 %hd, %ha, %hb;", 0x8001, 0x8000, 0, 'h', 0x8000},
        {"neg.f16 %hd, %ha;", 0x3c00, 0, 0, 'h', 0xbc00},
        {"neg.bf16x2 %d, %a;", 0x3f80bf80, 0, 0, 'd', 0xbf803f80}, {"abs.f16x2 %d, %a;", 0xbc00fc00, 0, 0, 'd', 0x3c007c00},
        {"setp.lt.f16 %p, %ha, %hb;", 0x3c00, 0x4000, 0, 'p', 1}, {"setp.gt.bf16 %p, %ha, %hb;", 0x3f80, 0x7fff, 0, 'p', 0},
        {"setp.gtu.bf16 %p, %ha, %hb;", 0x3f80, 0x7fff, 0, 'p', 1},
        {"setp.lt.and.f16 %p, %ha, %hb, %q;", 0x3c00, 0x4000, 1, 'p', 1}, {"setp.lt.and.f16 %p, %ha, %hb, !%q;", 0x3c00, 0x4000, 1, 'p', 0},
        {"setp.eq.f16x2 %q|%p, %a, %b;", 0x3c000000, 0x3c004000, 0, 'p', 1},
        {"set.gt.f16x2.f16x2 %d, %a, %b;", 0x40003c00, 0x3c003c00, 0, 'd', 0x3c000000},
        {"set.eq.u32.f16 %d, %ha, %hb;", 0x3c00, 0x3c00, 0, 'd', 0xffffffff},
        {"set.le.u32.f16x2 %d, %a, %b;", 0x3c004000, 0x3c003c00, 0, 'd', 0xffff0000},
        {"min.xorsign.abs.f16 %hd, %ha, %hb;", 0xc000, 0x3c00, 0, 'h', 0xbc00}, {"ex2.approx.f16 %hd, %ha;", 0x4200, 0, 0, 'h', 0x4800},
        {"tanh.approx.bf16 %hd, %ha;", 0x4120, 0, 0, 'h', 0x3f80},
        {"ex2.approx.ftz.bf16x2 %d, %a;", 0x3f80c000, 0, 0, 'd', 0x40003e80},
    };
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        for (unsigned i = 0; i < 32; i++)
            t.a[i] = rows[r].a, t.b[i] = rows[r].b, t.c[i] = rows[r].c;
        alu_run(&t, rows[r].line, rows[r].take);
        for (unsigned i = 0; i < 32; i++)
            if (t.d[i] != rows[r].want)
                ALU_FAIL(&t, i, rows[r].line, rows[r].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(f16_rounds_once), cmocka_unit_test(bf16_rounds_once),
        cmocka_unit_test(bf16_fma_sees_tiny_addends), cmocka_unit_test(oob_factors_make_zero), cmocka_unit_test(modifiers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
