// cvt: every pair of formats against an independent idea of the nearest value, the host's rounding modes, and clamping.
#include "alu_fixture.h"
#include "small_float.h"
#include <fenv.h>

static const uint64_t edges[] = {0, 0x80000000, 1, 0x7f800000, 0xff800000, 0x7fc00000, 0x3f800000, 0xbf800000, 0x3f000000, 0xbf000000,
    0x3fc00000, 0x40200000, 0x4f000000, 0xcf000000,
                                 0x4effffff, 0x4f7fffff, 0x4f800000, 0x5f000000, 0x477fe000, 0x477ff000, 0x33000000, 0x33000001,
                                     0x387fc000, 0x7f7fffff, 0x3f808000, 0x3f818000, 0x43e00000, 0x43e80000,
                                 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0x41e0000000000000,
                                     0xc1e0000000200000, 0x7ff0000000000000, 0x7ff8000000000000,
                                 0x3fe0000000000000, 0x4340000000000001, 0x43e0000000000000, 0x43f0000000000000, 0x20000001, 0x1000001,
                                     0x1000003, 0xffffff80, 0x20000000000001};
static const struct { const char *name; int mode; } modes[] = {{"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD},
    {"rp", FE_UPWARD}};
static const char *const ints[] = {"rni", "rzi", "rmi", "rpi"};

static void fill(alu *t) { alu_fill(t, edges, HONE_COUNT(edges), 21); }

static void float_to_small(void **s) {
    (void)s;
    static const struct { const char *line; const small_format *f; bool packed, saturate; } rows[] = {
        {"cvt.rn.f16.f32 %hd, %a;", &SMALL_F16, false, false}, {"cvt.rn.bf16.f32 %hd, %a;", &SMALL_BF16, false, false},
        {"cvt.rn.f16x2.f32 %d, %b, %a;", &SMALL_F16, true, false},
        {"cvt.rn.bf16x2.f32 %d, %b, %a;", &SMALL_BF16, true, false}, {"cvt.rn.satfinite.e4m3x2.f32 %hd, %b, %a;", &SMALL_E4M3, true, true},
        {"cvt.rn.satfinite.e5m2x2.f32 %hd, %b, %a;", &SMALL_E5M2, true, true}};
    static alu t;
    fill(&t);
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        alu_run(&t, rows[r].line, strstr(rows[r].line, "%hd") ? 'h' : 'd');
        for (unsigned i = 0; i < t.n; i++) {
            const uint32_t lo = small_nearest(rows[r].f, (__float128)f32_of(t.a[i]), 0, rows[r].saturate),
                hi = small_nearest(rows[r].f, (__float128)f32_of(t.b[i]), 0, rows[r].saturate);
            const uint32_t want = rows[r].packed ? lo | hi << rows[r].f->bits : lo;
            if (t.d[i] != want)
                ALU_FAIL(&t, i, rows[r].line, want);
        }
    }
    alu_run(&t, "cvt.rn.f16.f64 %hd, %A;", 'h');
    for (unsigned i = 0; i < t.n; i++)
        if (t.d[i] != small_nearest(&SMALL_F16, (__float128)f64_of(t.a[i]), 0, false))
            ALU_FAIL(&t, i, "cvt.rn.f16.f64", small_nearest(&SMALL_F16, (__float128)f64_of(t.a[i]), 0, false));
}

static void small_to_float(void **s) {
    (void)s;
    static const struct { const char *line; const small_format *f; } rows[] = {{"cvt.f32.f16 %d, %ha;", &SMALL_F16},
        {"cvt.f32.bf16 %d, %ha;", &SMALL_BF16}};
    static alu t;
    for (unsigned i = 0; i < ALU_MAX; i++)
        t.a[i] = i * 4 + i % 4;
    t.n = ALU_MAX;
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        alu_run(&t, rows[r].line, 'd');
        for (unsigned i = 0; i < t.n; i++) {
            const uint32_t want = small_is_nan(rows[r].f, (uint32_t)t.a[i]) ? 0x7fffffff
                : bits_of((float)small_value(rows[r].f, (uint32_t)t.a[i]));
            if (t.d[i] != want)
                ALU_FAIL(&t, i, rows[r].line, want);
        }
    }
    alu_run(&t, "cvt.rn.f16x2.e4m3x2 %d, %ha;", 'd');
    for (unsigned i = 0; i < t.n; i++) {
        uint32_t want = 0;
        for (unsigned h = 0; h < 2; h++) {
            const uint32_t x = t.a[i] >> (8 * h) & 0xff;
            want |= (small_is_nan(&SMALL_E4M3, x) ? 0x7fff : small_nearest(&SMALL_F16, small_value(&SMALL_E4M3, x), 0, false)) << (16 * h);
        }
        if (t.d[i] != want)
            ALU_FAIL(&t, i, "cvt.rn.f16x2.e4m3x2", want);
    }
}

#define INT_TO_FLOAT(type, ctype, in, ftype, cfloat, out, take, bits)                              \
    for (size_t m = 0; m < 4; m++) {                                                              \
        char line[96];                                                                            \
        snprintf(line, sizeof line, "cvt.%s.%s.%s %s, %s;", modes[m].name, ftype, type, out, in);  \
        alu_run(&t, line, take);                                                                  \
        for (unsigned i = 0; i < t.n; i++) {                                                      \
            fesetround(modes[m].mode);                                                            \
            volatile ctype x = (ctype)t.a[i];                                                     \
            volatile cfloat y = (cfloat)x;                                                        \
            fesetround(FE_TONEAREST);                                                             \
            if (t.d[i] != bits(y))                                                                \
                ALU_FAIL(&t, i, line, bits(y));                                                   \
        }                                                                                         \
    }
static void int_to_float(void **s) {
    (void)s;
    static alu t;
    fill(&t);
    INT_TO_FLOAT("s32", int32_t, "%a", "f32", float, "%d", 'd', bits_of)
    INT_TO_FLOAT("u32", uint32_t, "%a", "f32", float, "%d", 'd', bits_of)
    INT_TO_FLOAT("s64", int64_t, "%A", "f32", float, "%d", 'd', bits_of)
    INT_TO_FLOAT("s32", int32_t, "%a", "f64", double, "%D", 'D', bits_of64)
    INT_TO_FLOAT("u32", uint32_t, "%a", "f64", double, "%D", 'D', bits_of64)
    INT_TO_FLOAT("s64", int64_t, "%A", "f64", double, "%D", 'D', bits_of64)
}

static __float128 rounded(__float128 x, int how) {   // of |x| < 2^70
    __float128 t = (__float128)(__int128)x;
    const __float128 f = x - t;
    if (f == 0 || how == 1)
        return t;
    if (how == 2)
        return f < 0 ? t - 1 : t;
    if (how == 3)
        return f > 0 ? t + 1 : t;
    const __float128 away = t + (x < 0 ? -1 : 1), a = f < 0 ? -f : f;
    return a > 0.5Q ? away : a < 0.5Q ? t : ((__int128)t & 1) ? away : t;
}
static void float_to_int(void **s) {
    (void)s;
    static const struct { const char *type; int bits; bool is_signed; } to[] = {{"s32", 32, true}, {"u32", 32, false},
        {"s64", 64, true}, {"u64", 64, false}, {"s16", 16, true}, {"u16", 16, false}};
    static alu t;
    fill(&t);
    for (size_t k = 0; k < HONE_COUNT(to); k++)
        for (int from64 = 0; from64 < 2; from64++)
            for (int how = 0; how < 4; how++) {
                char line[96];
                const char take = to[k].bits == 64 ? 'D' : to[k].bits == 32 ? 'd' : 'h';
                snprintf(line, sizeof line, "cvt.%s.%s.f%d %s, %s;", ints[how], to[k].type, from64 ? 64 : 32, take == 'D' ? "%D"
                    : take == 'd' ? "%d" : "%hd", from64 ? "%A" : "%a");
                alu_run(&t, line, take);
                const uint64_t low = to[k].bits == 64 ? ~0ull : (1ull << to[k].bits) - 1;
                const __int128 max = ((__int128)1 << (to[k].bits - to[k].is_signed)) - 1, min = to[k].is_signed ? -max - 1 : 0;
                for (unsigned i = 0; i < t.n; i++) {
                    const double x = from64 ? f64_of(t.a[i]) : (double)f32_of(t.a[i]);
                    __int128 v = x != x ? (from64 || to[k].bits == 64 ? (__int128)1 << (to[k].bits - 1) : 0) : x > 1e20 ? max
                        : x < -1e20 ? min : (__int128)rounded((__float128)x, how);
                    if (x == x)
                        v = v > max ? max : v < min ? min : v;
                    if (t.d[i] != ((uint64_t)v & low))
                        ALU_FAIL(&t, i, line, (uint64_t)v & low);
                }
            }
}

static void others(void **s) {
    (void)s;
    static alu t;
    memset(&t, 0, sizeof t);
    t.n = 32;
    static const struct { const char *line; uint64_t a, b; char take; uint64_t want; } rows[] = {
        {"cvt.s32.s8 %d, %ha;", 0x1ff, 0, 'd', 0xffffffff}, {"cvt.u32.u8 %d, %ha;", 0x1ff, 0, 'd', 0xff},
        {"cvt.s8.s32 %d, %a;", 0x180, 0, 'd', 0xffffff80}, {"cvt.u8.u32 %hd, %a;", 0x1ff, 0, 'h', 0xff},
        {"cvt.s16.s8 %hd, %ha;", 0x80, 0, 'h', 0xff80}, {"cvt.s64.s32 %D, %a;", 0x80000000, 0, 'D', 0xffffffff80000000},
        {"cvt.u64.u16 %D, %ha;", 0xffff, 0, 'D', 0xffff},
        {"cvt.u32.u64 %d, %A;", 0x123456789abcdef0, 0, 'd', 0x9abcdef0}, {"cvt.s64.s8 %D, %ha;", 0x80, 0, 'D', 0xffffffffffffff80},
        {"cvt.u16.u64 %hd, %A;", 0x12345, 0, 'h', 0x2345},
        {"cvt.sat.u8.s32 %d, %a;", 0xffffffff, 0, 'd', 0}, {"cvt.sat.u8.s32 %d, %a;", 300, 0, 'd', 255},
        {"cvt.sat.s16.s32 %hd, %a;", 0xffff0000, 0, 'h', 0x8000}, {"cvt.sat.s32.s64 %d, %A;", 0x100000000, 0, 'd', 0x7fffffff},
        {"cvt.sat.f32.f32 %d, %a;", 0x40000000, 0, 'd', 0x3f800000}, {"cvt.sat.f32.f32 %d, %a;", 0xbf800000, 0, 'd', 0},
        {"cvt.sat.f32.f32 %d, %a;", 0x7fc00000, 0, 'd', 0},
        {"cvt.rni.f32.f32 %d, %a;", 0x40200000, 0, 'd', 0x40000000}, {"cvt.rmi.f32.f32 %d, %a;", 0xbf000000, 0, 'd', 0xbf800000},
        {"cvt.rpi.f64.f64 %D, %A;", 0x3fe0000000000000, 0, 'D', 0x3ff0000000000000},
        {"cvt.rmi.f16.f16 %hd, %ha;", 0xb800, 0, 'h', 0xbc00}, {"cvt.rpi.ftz.f32.f32 %d, %a;", 1, 0, 'd', 0},
        {"cvt.rn.f32.f64 %d, %A;", 0x3ff0000010000000, 0, 'd', 0x3f800000},
        {"cvt.rp.f32.f64 %d, %A;", 0x3ff0000000000001, 0, 'd', 0x3f800001},
        {"cvt.rz.f32.f64 %d, %A;", 0x7fefffffffffffff, 0, 'd', 0x7f7fffff}, {"cvt.f64.f32 %D, %a;", 1, 0, 'D', 0x36a0000000000000},
        {"cvt.rna.tf32.f32 %d, %a;", 0x3f801000, 0, 'd', 0x3f802000}, {"cvt.rna.tf32.f32 %d, %a;", 0x3f800fff, 0, 'd', 0x3f800000},
        {"cvt.rn.tf32.f32 %d, %a;", 0x3f801000, 0, 'd', 0x3f800000},
        {"cvt.rz.bf16.f32 %hd, %a;", 0x3f80ffff, 0, 'h', 0x3f80}, {"cvt.rn.relu.f16.f32 %hd, %a;", 0xbf800000, 0, 'h', 0},
        {"cvt.rn.relu.bf16x2.f32 %d, %a, %b;", 0x3f800000, 0xbf800000, 'd', 0x3f800000},
        {"cvt.rn.satfinite.e4m3x2.f16x2 %hd, %a;", 0x7c003c00, 0, 'h', 0x7e38}, {"cvt.rn.bf16.s32 %hd, %a;", 0x1010000, 0, 'h', 0x4b80},
        {"cvt.rz.bf16.s64 %hd, %A;", 0xff8000, 0, 'h', 0x4b7f},
        {"cvt.rzi.s8.f16 %d, %ha;", 0xd940, 0, 'd', 0xffffff80},
    };
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        for (unsigned i = 0; i < 32; i++)
            t.a[i] = rows[r].a, t.b[i] = rows[r].b;
        alu_run(&t, rows[r].line, rows[r].take);
        for (unsigned i = 0; i < 32; i++)
            if (t.d[i] != rows[r].want)
                ALU_FAIL(&t, i, rows[r].line, rows[r].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(float_to_small), cmocka_unit_test(small_to_float),
        cmocka_unit_test(int_to_float), cmocka_unit_test(float_to_int), cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
