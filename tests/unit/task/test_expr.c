// Expressions through the task parser: values, precedence, faults. The expression under test is the value of size N, or of flops.
#include "task/task.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char rest[] = "#pragma hone out b float[1]\n#pragma hone launch k<<<1,1>>>(b)\nextern \"C\" __global__ void k(float *b) {}\n";

static hone_task *parse(const char *lines, hone_err *e) {
    char text[4096];
    hone_task *t;
    snprintf(text, sizeof text, "%s\n%s", lines, rest);
    return hone_task_parse("t.cu", text, strlen(text), &t, NULL, e) == HONE_OK ? t : NULL;
}

static void expect(const char *expr, int64_t value) {
    char line[2048];
    hone_err e = {0};
    snprintf(line, sizeof line, "#pragma hone size A=12 N=1000000+(%s)", expr);   // sizes are positive, values under test need not be
    hone_task *t = parse(line, &e);
    if (!t)
        fail_msg("%s: %s", expr, e.msg);
    if (t->sizes[0].v[1].value - 1000000 != value)
        fail_msg("%s is %" PRId64 ", not %" PRId64, expr, t->sizes[0].v[1].value - 1000000, value);
    hone_task_free(t);
}

static void test_values(void **s) {
    (void)s;
    static const struct { const char *x; int64_t v; } cases[] = {
        {"1+2*3", 7}, {"(1+2)*3", 9}, {"7/2", 3}, {"-7/2", -3}, {"-7%3", -1}, {"10-3-2", 5}, {"1<<4>>2", 4}, {"1|6&3^1", 3}, {"2>1 && 1>2 || 1", 1},
        {"0 && 1/0", 0}, {"1 || 1/0", 1}, {"3==3 ? 5 : 6", 5}, {"0 ? 1/0 : 2", 2}, {"0 ? 1 : 0 ? 2 : 3", 3}, {"!0 + ~0", 0}, {"- -3", 3}, {"+3", 3}, {"0x10", 16},
        {"0b101", 5}, {"1'000u", 1000}, {"cdiv(7,2)", 4}, {"cdiv(6,2)", 3}, {"cdiv(-7,2)", -3}, {"min(3,A)", 3}, {"max(3,A)", 12}, {"round_up(5,4)", 8},
        {"round_up(8,4)", 8}, {"pow2_ceil(5)", 8}, {"pow2_ceil(8)", 8}, {"pow2_ceil(0)", 1}, {"A*A", 144}, {"5!=5", 0}, {"5>=5", 1}, {"4<=3", 0}, {"4<5", 1},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++)
        expect(cases[i].x, cases[i].v);
}

static void test_faults(void **s) {
    (void)s;
    static const char *const bad[] = {
        "1/0", "1%0", "cdiv(1,0)", "round_up(1,0)", "1<<64", "1<<-1", "9223372036854775807*2", "9223372036854775807+1", "-9223372036854775807-2",
        "1<<63", "pow2_ceil(9223372036854775807)", "B", "1.5", "1 2", "min(1)", "min(1,2,3)", "(", ")", "1+", "0x", "1abc", "a(", "1?2", "\"x\"",
    };
    for (size_t i = 0; i < HONE_COUNT(bad); i++) {
        char line[256];
        hone_err e = {0};
        snprintf(line, sizeof line, "#pragma hone size N=%s", bad[i]);
        hone_task *t = parse(line, &e);
        if (t)
            fail_msg("'%s' was accepted", bad[i]);
        assert_int_equal(e.code, HONE_E_PARSE);
        assert_non_null(strstr(e.msg, "t.cu:1:"));
    }
}

static void test_nesting(void **s) {
    (void)s;
    char line[2000] = "#pragma hone size N=";
    for (int i = 0; i < 500; i++)
        strcat(line, "(");
    hone_err e = {0};
    assert_null(parse(line, &e));
    assert_non_null(strstr(e.msg, "nested"));
    strcpy(line, "#pragma hone size N=1");
    for (int i = 0; i < 600; i++)
        strcat(line, "+1");
    e = (hone_err){0};
    assert_null(parse(line, &e));
    assert_non_null(strstr(e.msg, "more than 1000 parts"));
}

static void test_doubles(void **s) {
    (void)s;
    static const struct { const char *x; double v; } cases[] = {
        {"N/4", 2.5}, {"2*N*1e9", 2e10}, {"min(N,2.5f)", 2.5}, {"-N+0.5", -9.5}, {"cdiv(N,4)", 3}, {"N>3 ? 1.5 : 0", 1.5}, {"pow2_ceil(N)", 16}, {"N%4", 2},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        char line[256];
        double v = 0;
        snprintf(line, sizeof line, "#pragma hone size N=10\n#pragma hone flops %s", cases[i].x);
        hone_err e = {0};
        hone_task *t = parse(line, &e);
        if (!t)
            fail_msg("%s", e.msg);
        hone_env env = {t->sizes[0].v, 1, NULL};
        assert_int_equal(hone_expr_double(t->flops, &env, &v, NULL), HONE_OK);
        assert_true(v == cases[i].v);
        hone_task_free(t);
    }
    hone_err e = {0};
    assert_null(parse("#pragma hone size N=10\n#pragma hone flops N/0", &e));
    e = (hone_err){0};
    assert_null(parse("#pragma hone size N=10\n#pragma hone flops N<<1", &e));
}

static void test_text_and_mentions(void **s) {
    (void)s;
    hone_err e = {0};
    hone_task *t = parse("#pragma hone size N=10 M=3\n#pragma hone scalar m int32 = N + 1\n#pragma hone flops  2 * ( m - -1 ) ? 3:4", &e);
    assert_non_null(t);
    assert_string_equal(hone_expr_text(t->flops), "2*(m- -1)?3:4");
    assert_true(hone_expr_mentions(t->flops, "m"));
    assert_true(hone_expr_mentions(t->flops, "N"));
    assert_false(hone_expr_mentions(t->flops, "M"));
    hone_env env = {t->sizes[0].v, 2, NULL};
    int64_t v;
    assert_int_equal(hone_expr_int(t->args[0].value, &env, &v, &e), HONE_OK);
    assert_int_equal(v, 11);
    hone_env none = {NULL, 0, NULL};
    assert_int_equal(hone_expr_int(t->args[0].value, &none, &v, &e), HONE_E_PARSE);
    assert_string_equal(e.msg, "2:31: a name without a value in 'N+1'");
    hone_task_free(t);
}

// s1 = s0+s0, s2 = s1+s1 …: must not take 2^60 steps.
static void test_doubling_scalars(void **s) {
    (void)s;
    char text[8192] = "#pragma hone size N=10\n#pragma hone scalar s0 int32 = N\n", line[128];
    for (int i = 1; i < 60; i++) {
        snprintf(line, sizeof line, "#pragma hone scalar s%d int32 = s%d+s%d\n", i, i - 1, i - 1);
        strcat(text, line);
    }
    strcat(text, rest);
    hone_task *t;
    hone_err e = {0};
    assert_int_equal(hone_task_parse("t.cu", text, strlen(text), &t, NULL, &e), HONE_E_PARSE);
    assert_non_null(strstr(e.msg, "more than 1000 parts"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_faults),            cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_doubles), cmocka_unit_test(test_text_and_mentions), cmocka_unit_test(test_doubling_scalars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
