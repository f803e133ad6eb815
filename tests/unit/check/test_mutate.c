// Mutants: which changes are found in a kernel, that each is one edit of the text which still parses as a task, and their order.
#include "check/mutate.h"
#include "fake.h"

#define HEAD                                                                                      \
    "#pragma hone size n=64\n#pragma hone in x float[n]\n#pragma hone out y float[n]\n"            \
    "#pragma hone launch k<<<cdiv(n, 32), 32>>>(x, y, n)\nextern \"C\" __global__ void k(const float *x, float *y, int n) {\n"

// Whether some mutant of this kind turns `from` into `to`.
static bool has(const char *body, hone_mutation kind, const char *to) {
    char text[2048];
    snprintf(text, sizeof text, HEAD "%s\n}\n", body);
    hone_task *t = parse_task(text);
    hone_arena *a = hone_arena_new(1 << 22);
    hone_mutant *v;
    size_t n;
    bool found = false;
    assert_int_equal(hone_mutants_of(t, 1, a, &v, &n, NULL), HONE_OK);
    for (size_t i = 0; i < n && !found; i++) {
        char *out;
        size_t len;
        assert_int_equal(hone_mutant_apply(t, &v[i], &out, &len, NULL), HONE_OK);
        found = v[i].kind == kind && strstr(out, to);
        hone_free(out);
    }
    hone_arena_free(a);
    hone_task_free(t);
    return found;
}

static void changes(void **state) {
    (void)state;
    static const struct { hone_mutation kind; const char *body, *to; } rows[] = {
        {HONE_MUTATION_BOUND, "if (n < 3) return;", "n <= 3"},
        {HONE_MUTATION_SHORT, "for (int i = 0; i < n; i++) y[i] = x[i];", "i < -1 + n"},
        {HONE_MUTATION_STRIDE, "for (int i = 0; i < n; i += 32) y[i] = x[i];", "i += 1 + 32"},
        {HONE_MUTATION_INDEX, "y[n] = x[0];", "x[1 + 0]"},
        {HONE_MUTATION_AXIS, "int i = threadIdx.x;", "threadIdx.y"},
        {HONE_MUTATION_OPERATOR, "int i = n * 2;", "n + 2"},
        {HONE_MUTATION_LOGIC, "if (n == 1 && n) return;", "n == 1 || n"},
        {HONE_MUTATION_CONDITION, "if (n > 1) return;", "if (false) return"},
        {HONE_MUTATION_CONSTANT, "int i = n / 32;", "n / (32 + 1)"},
        {HONE_MUTATION_COEFFICIENT, "y[0] = 2.5f;", "(2.5f * 1.001f"},
        {HONE_MUTATION_SIGN, "y[0] = -x[0];", "= +x[0]"},
        {HONE_MUTATION_OPERANDS, "int i = n - 1;", "= 1 - n;"},
        {HONE_MUTATION_FUNCTION, "y[0] = fmaxf(x[0], x[1]);", "fminf(x[0], x[1])"},
        {HONE_MUTATION_ASSIGN, "float s = 0; s += x[0]; y[0] = s;", "s = x[0]"},
        {HONE_MUTATION_DROPPED, "y[0] = x[0];\n", "{\n;\n"},
        {HONE_MUTATION_BARRIER, "__syncthreads();", "((void)0);"},
        {HONE_MUTATION_NARROW_SUM, "float s = 0; s += x[0]; y[0] = s;", "s = __uint_as_float(__float_as_uint(s + (x[0])) & 0xffff0000u);"},
        {HONE_MUTATION_NARROW_INPUT, "y[0] = x[3];", "= __uint_as_float(__float_as_uint(x[3]) & 0xffffe000u);"},
        {HONE_MUTATION_NARROW_RESULT, "y[0] = 2 * x[3];", "__float_as_uint(2 * x[3]) &"},
        {HONE_MUTATION_RANGE_INPUT, "y[0] = x[3];", "= fminf(x[3], 1.0f);"},
        {HONE_MUTATION_RANGE_RESULT, "y[0] = 2 * x[3];", "= fmaxf(2 * x[3], 0.0f);"},
        {HONE_MUTATION_TAIL, "", "<<<max(1, (n) / (32)), 32>>>"},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++)
        if (!has(rows[i].body, rows[i].kind, rows[i].to))
            fail_msg("no mutant '%s' of '%s' has '%s'", hone_mutation_name(rows[i].kind), rows[i].body, rows[i].to);
}

static void what_is_left_alone(void **state) {
    (void)state;
    assert_false(has("float *p = y; p[0] = x[0];", HONE_MUTATION_OPERATOR, "float + p"));
    assert_false(has("__shared__ float s[32]; s[0] = x[0];", HONE_MUTATION_INDEX, "s[1 + 32]"));
    assert_false(has("int i = static_cast<int>(x[0]);", HONE_MUTATION_BOUND, "static_cast<="));
    assert_false(has("float s = x[0];", HONE_MUTATION_DROPPED, "{\n;"));      // a declaration
}

// The same seed gives the same order, another seed another one, and each kind comes once before any comes twice.
static void order(void **state) {
    (void)state;
    hone_task *t = parse_task(HEAD "float s = 0; for (int i = 0; i < n; i++) s += x[i] * 2.0f + x[0] - 1.0f; y[0] = s; if (n < 3 || n > 70) y[1] = 3.0f;\n}\n");
    hone_arena *a = hone_arena_new(1 << 22);
    hone_mutant *v[3];
    size_t n[3];
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(hone_mutants_of(t, i / 2 + 1, a, &v[i], &n[i], NULL), HONE_OK);
    bool moved = false, seen[HONE_MUTATION_COUNT] = {false};
    for (size_t i = 0; i < n[0]; i++) {
        assert_int_equal(v[0][i].at, v[1][i].at);
        moved |= v[0][i].at != v[2][i].at;
    }
    for (size_t i = 0; i < n[0] && !seen[v[0][i].kind]; i++)
        seen[v[0][i].kind] = true;
    for (size_t i = 0; i < n[0]; i++)
        assert_true(seen[v[0][i].kind]);
    assert_true(moved);
    hone_arena_free(a);
    hone_task_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes), cmocka_unit_test(what_is_left_alone), cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
