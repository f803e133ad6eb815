// Promotion of source to double precision: golden pairs, obstacles, and that the result is a task again.
#include "fake.h"

static char *promoted(const char *text, const char **reason) {
    hone_task *t = parse_task(text);
    char *out = NULL;
    size_t len = 0;
    hone_err e = {0};
    hone_code c = hone_promote(t, &out, &len, reason, &e);
    hone_task_free(t);
    assert_true((c == HONE_OK) == (out != NULL));
    return out;
}

#define HEAD                                                                                    \
    "#pragma hone size n=64\n#pragma hone in x float[n] ~ normal(0,1)\n#pragma hone scalar a float = 0.5\n" \
    "#pragma hone out y bfloat16[n]\n#pragma hone launch k<<<1, 64, 4*n>>>(x, y, a, n)\n"
#define KERNEL(body) HEAD "extern \"C\" __global__ void k(const float *__restrict__ x, __nv_bfloat16 *y, float a, int n) { " body " }\n"

static void words_become_double(void **state) {
    (void)state;
    static const struct { const char *body, *want; } rows[] = {
        {"float v = 0.1f * expf(x[0]);", "double v = ((double)0.1f) * exp(x[0]);"},
        {"float4 q = make_float4(1.f, 2.0F, 3e-2f, 4.0);",
         "double4 q = make_double4(((double)1.f), ((double)2.0F), ((double)3e-2f), 4.0);"},
        {"y[0] = __float2bfloat16(__ldg(&x[1]));", "y[0] = hone_p_same(hone_p_load(&x[1]));"},
        {"int h = 0xff; float m = fmaxf(a, 1e-5f);", "int h = 0xff; double m = fmax(a, ((double)1e-5f));"},
        {"float inf = __int_as_float(0x7f800000);", "double inf = __longlong_as_double((long long)0x7ff0000000000000ULL);"},
        {"struct { int half; } s; s.half = 1;", "s.half = 1;"},
        {"__shared__ float s[256 / sizeof(float)];", "__shared__ double s[256 / sizeof(double)];"},
        {"__half2 p = __floats2half2_rn(1, 2); float l = __low2float(__hmul2(p, p));",
         "double2 p = make_double2(1, 2); double l = hone_p_low(hone_p_mul2(p, p));"},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++) {
        char text[2048];
        const char *reason;
        snprintf(text, sizeof text, HEAD "extern \"C\" __global__ void k(const float *x, __nv_bfloat16 *y, float a, int n) { %s }\n",
                 rows[i].body);
        char *out = promoted(text, &reason);
        assert_non_null(out);
        if (!strstr(out, rows[i].want))
            fail_msg("expected '%s' in:\n%s", rows[i].want, strstr(out, "#pragma"));
        hone_free(out);
    }
}

static void contract_becomes_double(void **state) {
    (void)state;
    const char *reason;
    char *out = promoted(KERNEL("y[0] = x[0] * a;"), &reason);
    assert_non_null(out);
    assert_non_null(strstr(out, "in x double[n] ~ normal(0,1)"));
    assert_non_null(strstr(out, "out y double[n]"));
    assert_non_null(strstr(out, "scalar a float = 0.5"));             // the value a user passes stays a float
    assert_non_null(strstr(out, "const double *__restrict__ x, double *y, float a, int n"));
    assert_non_null(strstr(out, "<<<1, 64,( 4*n)*4>>>"));             // bfloat16 grows fourfold
    hone_task *again = parse_task(out);
    assert_int_equal(again->args[0].type, HONE_DOUBLE);
    hone_task_free(again);
    hone_free(out);
}

static void macros_are_promoted(void **state) {
    (void)state;
    const char *reason;
    char *out = promoted("#define SCALE 0.25f\n#define NEG_INF (-__int_as_float(0x7f800000))\n#define SQ(v) ((float)(v) * (v))\n"
                         KERNEL("y[0] = SQ(x[0]) * SCALE;"), &reason);
    assert_non_null(out);
    assert_non_null(strstr(out, "#define SCALE ((double)0.25f)"));
    assert_non_null(strstr(out, "#define NEG_INF (-__longlong_as_double("));
    assert_non_null(strstr(out, "#define SQ(v) ((double)(v) * (v))"));
    hone_free(out);
}

static void obstacles_are_named(void **state) {
    (void)state;
    static const char *const texts[] = {
        KERNEL("asm(\"mov.b32 %0, %0;\" : \"+r\"(n));"),
        KERNEL("int b = __float_as_int(x[0]);"),
        KERNEL("float v = __int_as_float(n);"),
        "#pragma hone size n=64\n#pragma hone in x int32[n]\n#pragma hone out y int32[n]\n#pragma hone launch k<<<1, 64>>>(x, y)\n"
        "extern \"C\" __global__ void k(const int *x, int *y) { y[0] = x[0]; }\n",
        "#pragma hone size n=64\n#pragma hone in x double[n]\n#pragma hone out y double[n]\n#pragma hone launch k<<<1, 64>>>(x, y)\n"
        "extern \"C\" __global__ void k(const double *x, double *y) { y[0] = x[0]; }\n",
    };
    for (size_t i = 0; i < HONE_COUNT(texts); i++) {
        const char *reason = NULL;
        assert_null(promoted(texts[i], &reason));
        assert_non_null(reason);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_become_double), cmocka_unit_test(contract_becomes_double),
                                       cmocka_unit_test(macros_are_promoted), cmocka_unit_test(obstacles_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
