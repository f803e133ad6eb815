// Kernels and their signatures, read from source.
#include "cuda/lex.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static hone_arena *arena;
static int setup(void **s) { (void)s; return (arena = hone_arena_new(64u << 20)) ? 0 : -1; }
static int teardown(void **s) { (void)s; hone_arena_free(arena); return 0; }

static hone_tokens tokens;
static hone_kernel *find(const char *text, size_t expected) {
    hone_kernel *k;
    size_t n;
    hone_err e = {0};
    assert_int_equal(hone_lex(arena, text, strlen(text), &tokens, &e), HONE_OK);
    assert_int_equal(hone_find_kernels(arena, &tokens, &k, &n, &e), HONE_OK);
    assert_int_equal(n, expected);
    return k;
}

static void test_plain(void **s) {
    (void)s;
    hone_kernel *k = find("int x;\nextern \"C\" __global__ void __launch_bounds__(256, 2) f(const float *__restrict__ a, float b, unsigned long long n)\n{ a; }", 1);
    assert_string_equal(k->name, "f");
    assert_true(k->extern_c);
    assert_false(k->is_template);
    assert_int_equal(k->launch_bounds[0], 256);
    assert_int_equal(k->launch_bounds[1], 2);
    assert_int_equal(k->line, 2);
    assert_true(hone_tok_is(&tokens, k->tok_first, "extern"));
    assert_true(hone_tok_is(&tokens, k->tok_lbrace, "{"));
    assert_true(hone_tok_is(&tokens, k->tok_rbrace, "}"));
    assert_int_equal(k->n_params, 3);
    assert_string_equal(k->params[0].type, "const float *");
    assert_string_equal(k->params[0].elem, "float");
    assert_true(k->params[0].is_pointer && k->params[0].is_const && k->params[0].is_restrict);
    assert_string_equal(k->params[1].type, "float");
    assert_null(k->params[1].elem);
    assert_string_equal(k->params[2].type, "unsigned long long");
    assert_string_equal(k->params[2].name, "n");
}

static void test_spellings(void **s) {
    (void)s;
    hone_kernel *k = find("static __global__ void g(float const * restrict a, float *const __restrict b, int c[], const int d[4], std::uint8_t *e,"
                          " const int f, float **h, int = 3, unsigned, vec<float, 4> *v, const __grid_constant__ P p);",
                          1);
    static const struct { const char *name, *type, *elem; bool is_const; } expected[] = {
        {"a", "float const *", "float", true}, {"b", "float *", "float", false}, {"c", "int *", "int", false}, {"d", "const int *", "int", true},
        {"e", "std::uint8_t *", "std::uint8_t", false}, {"f", "int", NULL, false}, {"h", "float * *", "float *", false}, {"", "int", NULL, false},
        {"", "unsigned", NULL, false}, {"v", "vec < float , 4 > *", "vec < float , 4 >", false}, {"p", "P", NULL, false},
    };
    assert_int_equal(k->n_params, HONE_COUNT(expected));
    for (size_t i = 0; i < k->n_params; i++) {
        assert_string_equal(k->params[i].name, expected[i].name);
        assert_string_equal(k->params[i].type, expected[i].type);
        assert_int_equal(k->params[i].elem != NULL, expected[i].elem != NULL);
        if (expected[i].elem)
            assert_string_equal(k->params[i].elem, expected[i].elem);
        assert_int_equal(k->params[i].is_const, expected[i].is_const);
    }
    assert_int_equal(k->tok_lbrace, 0);
    assert_false(k->extern_c);
}

static void test_many(void **s) {
    (void)s;
    hone_kernel *k = find("extern \"C\" {\n__global__ void a(void) { if (1) { } }\n}\n__device__ int d() { return 1; }\n"
                          "template <typename T, int N> __global__ void b(T *x) {}\nnamespace q { __launch_bounds__(64) __global__ void c() {} }\n"
                          "#define __global__x\n[[deprecated]] __global__ __attribute__((unused)) void e(int) {}\n",
                          4);
    assert_true(k[0].extern_c);
    assert_int_equal(k[0].n_params, 0);
    assert_true(k[1].is_template);
    assert_false(k[1].extern_c);
    assert_string_equal(k[1].params[0].type, "T *");
    assert_int_equal(k[2].launch_bounds[0], 64);
    assert_string_equal(k[3].name, "e");
    assert_int_equal(k[3].n_params, 1);
}

static void test_errors(void **s) {
    (void)s;
    hone_kernel *k;
    size_t n;
    static const char *const bad[] = {"__global__ void;", "__global__", "__global__ int x = 3;", "__global__ void f(int a,, int b) {}"};
    for (size_t i = 0; i < HONE_COUNT(bad); i++) {
        hone_err e = {0};
        assert_int_equal(hone_lex(arena, bad[i], strlen(bad[i]), &tokens, &e), HONE_OK);
        assert_int_equal(hone_find_kernels(arena, &tokens, &k, &n, &e), HONE_E_PARSE);
        assert_non_null(strstr(e.msg, "1:"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spellings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
