// Division, roots and approximations of f32 and f64: rounded forms against the host in the same rounding mode, approximate ones against
// libm in higher precision and PTX's stated error.
#include "alu_fixture.h"
#include <fenv.h>

static const uint64_t edges32[] = {0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x800000, 0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff,
    0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
                                   0x7fc00000, 0xffc00001, 0x7e800000, 0x7e800001, 0x7f000000, 0x34000000, 0x4b000001, 0x40490fdb,
                                       0x3fc90fdb, 0x00400000, 0x42fe0000, 0xc3150000, 0x40000000};
static const uint64_t edges64[] = {0, 0x8000000000000000, 1, 0x10000000000000, 0xfffffffffffff, 0x3ff0000000000000, 0xbff0000000000000,
    0x3ff0000000000001, 0x7fefffffffffffff,
                                   0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x4008000000000000, 0x3fb999999999999a,
                                       0x4340000000000001};
static const struct { const char *name; int mode; } modes[] = {{"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD},
    {"rp", FE_UPWARD}};
typedef enum op { DIV, RCP, SQRT } op;
static const struct { const char *name; op o; } ops[] = {{"div", DIV}, {"rcp", RCP}, {"sqrt", SQRT}};

static float host32(op o, float a, float b) {
    volatile float x = a, y = b, r;
    r = o == DIV ? x / y : o == RCP ? 1.0f / x : sqrtf(x);
    return r;
}
static double host64(op o, double a, double b) {
    volatile double x = a, y = b, r;
    r = o == DIV ? x / y : o == RCP ? 1.0 / x : sqrt(x);
    return r;
}
static float flush(float f) { return fabsf(f) < 0x1p-126f ? copysignf(0, f) : f; }

static void rounded_f32(void **s) {
    (void)s;
    static alu t;
    alu_fill(&t, edges32, HONE_COUNT(edges32), 3);
    for (size_t o = 0; o < HONE_COUNT(ops); o++)
        for (size_t m = 0; m < HONE_COUNT(modes); m++)
            for (int ftz = 0; ftz < 2; ftz++) {
                char line[96];
                snprintf(line, sizeof line, "%s.%s%s.f32 %%d, %%a%s;", ops[o].name, modes[m].name, ftz ? ".ftz" : "", ops[o].o == DIV
                    ? ", %b" : "");
                alu_run(&t, line, 'd');
                for (unsigned i = 0; i < t.n; i++) {
                    const float a = ftz ? flush(f32_of(t.a[i])) : f32_of(t.a[i]), b = ftz ? flush(f32_of(t.b[i])) : f32_of(t.b[i]);
                    fesetround(modes[m].mode);
                    float r = host32(ops[o].o, a, b);
                    fesetround(FE_TONEAREST);
                    const uint32_t want = r != r ? 0x7fffffff : bits_of(ftz ? flush(r) : r);
                    if (t.d[i] != want)
                        ALU_FAIL(&t, i, line, want);
                }
            }
}
static void rounded_f64(void **s) {
    (void)s;
    static alu t;
    alu_fill(&t, edges64, HONE_COUNT(edges64), 5);
    for (size_t o = 0; o < HONE_COUNT(ops); o++)
        for (size_t m = 0; m < HONE_COUNT(modes); m++) {
            char line[96];
            snprintf(line, sizeof line, "%s.%s.f64 %%D, %%A%s;", ops[o].name, modes[m].name, ops[o].o == DIV ? ", %B" : "");
            alu_run(&t, line, 'D');
            for (unsigned i = 0; i < t.n; i++) {
                fesetround(modes[m].mode);
                const double r = host64(ops[o].o, f64_of(t.a[i]), f64_of(t.b[i]));
                fesetround(FE_TONEAREST);
                if (r != r ? f64_of(t.d[i]) == f64_of(t.d[i]) : t.d[i] != bits_of64(r))
                    ALU_FAIL(&t, i, line, bits_of64(r));
            }
        }
}

typedef long double real;
static real r_ex2(real x) { return exp2l(x); }
static real r_lg2(real x) { return log2l(x); }
static real r_rsqrt(real x) { return 1 / sqrtl(x); }
static real r_rcp(real x) { return 1 / x; }
// Error bounds of the PTX ISA: relative, or absolute where `absolute` says so within |x| < limit.
static const struct approx { const char *line; real (*f)(real); real lo, hi, relative, absolute; } approxes[] = {
    {"ex2.approx.f32 %d, %a;", r_ex2, -148, 127.9L, 0x1p-22L, 0x1p-149L},
    {"ex2.approx.ftz.f32 %d, %a;", r_ex2, -125.9L, 127.9L, 0x1p-22L, 0},
    {"lg2.approx.f32 %d, %a;", r_lg2, 0x1p-148L, 1e38L, 0x1p-22L, 0x1p-22L}, {"tanh.approx.f32 %d, %a;", tanhl, -20, 20, 0x1p-11L, 0},
    {"sin.approx.f32 %d, %a;", sinl, -3.2L, 3.2L, 0, 0x1p-20L}, {"cos.approx.f32 %d, %a;", cosl, -3.2L, 3.2L, 0, 0x1p-20L},
    {"sin.approx.f32 %d, %a;", sinl, -1e4L, 1e4L, 0, 0x1p-20L},
    {"rsqrt.approx.f32 %d, %a;", r_rsqrt, 0x1p-148L, 1e38L, 0x1.2p-23L, 0},
    {"rcp.approx.ftz.f32 %d, %a;", r_rcp, 0x1p-126L, 0x1p126L, 0x1p-23L, 0},
    {"sqrt.approx.f32 %d, %a;", sqrtl, 0, 1e38L, 0x1p-23L, 0},
};
static void approximations(void **s) {
    (void)s;
    static alu t;
    uint64_t seed = 77;
    for (size_t k = 0; k < HONE_COUNT(approxes); k++) {
        const struct approx *p = &approxes[k];
        t.n = ALU_MAX;
        for (unsigned i = 0; i < t.n; i++) {   // half evenly spread, half over all exponents in range
            float x;
            do {
                const uint64_t r = alu_rand(&seed);
                x = i % 2 ? (float)(p->lo + (p->hi - p->lo) * (real)(r >> 11) * 0x1p-53L) : f32_of(r);
            } while (!(x >= (float)p->lo && x <= (float)p->hi));
            t.a[i] = bits_of(x);
        }
        alu_run(&t, p->line, 'd');
        for (unsigned i = 0; i < t.n; i++) {
            const real want = p->f((real)f32_of(t.a[i])), got = (real)f32_of(t.d[i]), error = fabsl(got - want);
            if (!(error <= p->relative * fabsl(want) || error <= p->absolute))
                fail_msg("%s x=%a: got %a, want %La (relative error 2^%.2f)", p->line, (double)f32_of(t.a[i]), (double)got, want,
                    (double)log2l(error / fabsl(want)));
        }
    }
}

static void special_values(void **s) {
    (void)s;
    static alu t;
    t.n = 32;
    static const struct { const char *line; uint64_t a, b; char take; uint64_t want; } rows[] = {
        {"ex2.approx.f32 %d, %a;", 0xff800000, 0, 'd', 0}, {"ex2.approx.f32 %d, %a;", 0x7f800000, 0, 'd', 0x7f800000},
        {"ex2.approx.f32 %d, %a;", 0x7fc00000, 0, 'd', 0x7fffffff},
        {"ex2.approx.f32 %d, %a;", 0x80000000, 0, 'd', 0x3f800000}, {"ex2.approx.ftz.f32 %d, %a;", 0xc3000000, 0, 'd', 0},
        {"lg2.approx.f32 %d, %a;", 0, 0, 'd', 0xff800000},
        {"lg2.approx.f32 %d, %a;", 0xbf800000, 0, 'd', 0x7fffffff}, {"lg2.approx.f32 %d, %a;", 0x7f800000, 0, 'd', 0x7f800000},
        {"lg2.approx.f32 %d, %a;", 0x3f800000, 0, 'd', 0},
        {"lg2.approx.ftz.f32 %d, %a;", 1, 0, 'd', 0xff800000}, {"lg2.approx.f32 %d, %a;", 1, 0, 'd', 0xc3150000},
        {"sin.approx.f32 %d, %a;", 0x80000000, 0, 'd', 0x80000000},
        {"sin.approx.f32 %d, %a;", 0x7f800000, 0, 'd', 0x7fffffff}, {"cos.approx.f32 %d, %a;", 0x80000000, 0, 'd', 0x3f800000},
        {"rsqrt.approx.f32 %d, %a;", 0x80000000, 0, 'd', 0xff800000},
        {"rsqrt.approx.f32 %d, %a;", 0x7f800000, 0, 'd', 0}, {"rsqrt.approx.f32 %d, %a;", 0xbf800000, 0, 'd', 0x7fffffff},
        {"rcp.approx.ftz.f32 %d, %a;", 0x80000001, 0, 'd', 0xff800000},
        {"tanh.approx.f32 %d, %a;", 0xff800000, 0, 'd', 0xbf800000}, {"tanh.approx.f32 %d, %a;", 0x7fc00000, 0, 'd', 0x7fffffff},
        {"tanh.approx.f32 %d, %a;", 0x80000000, 0, 'd', 0x80000000},
        {"div.approx.f32 %d, %a, %b;", 0x3f800000, 0x7f000000, 'd', 0},
        {"div.approx.f32 %d, %a, %b;", 0x7f800000, 0xff000000, 'd', 0x7fffffff},
        {"div.full.f32 %d, %a, %b;", 0x3f800000, 0x40000000, 'd', 0x3f000000},
        {"div.approx.ftz.f32 %d, %a, %b;", 0x40400000, 0x40000000, 'd', 0x3fc00000},
        {"copysign.f32 %d, %a, %b;", 0x80000000, 0x3f800000, 'd', 0xbf800000},
        {"copysign.f64 %D, %A, %B;", 0x8000000000000000, 0x3ff0000000000000, 'D', 0xbff0000000000000},
        {"rcp.approx.ftz.f64 %D, %A;", 0x4000000000000000, 0, 'D', 0x3fe0000000000000},
        {"rsqrt.approx.f64 %D, %A;", 0x4010000000000000, 0, 'D', 0x3fe0000000000000},
        {"testp.normal.f32 %p, %a;", 0x3f800000, 0, 'p', 1}, {"testp.subnormal.f32 %p, %a;", 1, 0, 'p', 1},
        {"testp.finite.f32 %p, %a;", 0x7f800000, 0, 'p', 0}, {"testp.infinite.f64 %p, %A;", 0xfff0000000000000, 0, 'p', 1},
        {"testp.notanumber.f32 %p, %a;", 0x7fc00000, 0, 'p', 1},
        {"testp.number.f64 %p, %A;", 0x7ff8000000000000, 0, 'p', 0},
    };
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        for (unsigned i = 0; i < 32; i++)
            t.a[i] = rows[r].a, t.b[i] = rows[r].b, t.c[i] = 0;
        alu_run(&t, rows[r].line, rows[r].take);
        for (unsigned i = 0; i < 32; i++)
            if (t.d[i] != rows[r].want)
                ALU_FAIL(&t, i, rows[r].line, rows[r].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounded_f32), cmocka_unit_test(rounded_f64), cmocka_unit_test(approximations),
        cmocka_unit_test(special_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
