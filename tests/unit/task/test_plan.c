// Parsed tasks, plans and their limits, feasibility, contracts, baking, check sizes; and every task file of examples/.
#include "task/task.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char base[] =
    "#pragma hone size M=100 N=60\n#pragma hone check M=37 N=5\n"
    "#pragma hone in A float[M][N] ~ uniform(-1, 1)\n#pragma hone inout C bfloat16[N]\n#pragma hone scratch W int32[cdiv(M, T)]\n"
    "#pragma hone scalar alpha float = 0.5\n#pragma hone tune T={16,32,64}\n#pragma hone tune U=1..9 step 4\n#pragma hone where T*U <= 160 && M > 1\n"
    "#pragma hone launch f<<<dim3(cdiv(M, T), 2), dim3(T, 2), 4*T>>>(A, C, W, M - 1, alpha, N) cluster=dim3(1,2) cooperative\n"
    "#pragma hone tolerance exact\n#pragma hone tolerance C rtol=1e-3 atol=1e-5\n#pragma hone flops 2*M*N\n#pragma hone objective energy\n"
    "extern \"C\" __global__ void f(const float *a, __nv_bfloat16 *c, int *w, short m, double alpha, size_t n) { w[T] = U; }\n";

static hone_task *parse_ok(const char *text) {
    hone_task *t = NULL;
    hone_err e = {0};
    if (hone_task_parse("dir/base.cu", text, strlen(text), &t, NULL, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return t;
}

// base with one occurrence of `from` replaced.
static const char *with(const char *from, const char *to) {
    static char text[4096];
    const char *at = strstr(base, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    return text;
}

static void test_task(void **s) {
    (void)s;
    hone_task *t = parse_ok(base);
    assert_string_equal(t->name, "base");
    assert_int_equal(t->n_args, 4);
    assert_int_equal(t->args[1].type, HONE_BFLOAT16);
    assert_int_equal(t->args[1].role, HONE_INOUT);
    assert_int_equal(t->args[0].init.kind, HONE_INIT_UNIFORM);
    assert_int_equal(t->n_tunes, 2);
    assert_int_equal(t->tunes[1].n_values, 3);
    assert_int_equal(t->tunes[1].values[2], 9);
    assert_int_equal(t->objective, HONE_OBJ_ENERGY);
    assert_int_equal(t->n_tolerances, 2);
    assert_string_equal(t->tolerances[1].buffer, "C");
    assert_true(t->tolerances[1].rtol == 1e-3);
    const hone_launch *l = &t->launches[0];
    assert_memory_equal(t->text + l->text_at, "#pragma hone launch f", 21);
    assert_int_equal(t->text[l->text_at + l->text_len], '\n');
    assert_string_equal(l->args[0].buffer, "A");
    assert_null(l->args[0].value);
    assert_null(l->args[3].buffer);
    hone_task_free(t);
}

static void test_plan(void **s) {
    (void)s;
    hone_task *t = parse_ok(base);
    hone_binding b[] = {{"T", 32}};
    hone_env tuning = {b, 1, NULL};
    hone_plan *p;
    assert_int_equal(hone_plan_make(t, &t->sizes[0], &tuning, &p, NULL), HONE_OK);
    assert_int_equal(p->n_buffers, 3);
    assert_int_equal(p->buffers[0].n_elems, 6000);
    assert_int_equal(p->buffers[0].dims[1], 60);
    assert_int_equal(p->buffers[1].bytes, 120);
    assert_int_equal(p->buffers[2].n_elems, 4);
    assert_int_equal(p->total_bytes, 24000 + 120 + 16);
    const hone_plan_launch *l = &p->launches[0];
    assert_int_equal(l->grid[0], 4);
    assert_int_equal(l->grid[1], 2);
    assert_int_equal(l->grid[2], 1);
    assert_int_equal(l->block[0], 32);
    assert_int_equal(l->smem_bytes, 128);
    assert_int_equal(l->cluster[1], 2);
    assert_true(l->cooperative);
    assert_int_equal(l->args[1].buffer, 1);
    int16_t m;
    double alpha;
    uint64_t n;
    assert_int_equal(l->args[3].bytes, 2);
    memcpy(&m, l->args[3].value, 2);
    memcpy(&alpha, l->args[4].value, 8);
    memcpy(&n, l->args[5].value, 8);
    assert_int_equal(m, 99);
    assert_true(alpha == 0.5);
    assert_int_equal(n, 60);
    assert_true(p->has_flops && p->flops == 12000);
    assert_false(p->has_bytes);
    hone_plan_free(p);
    hone_task_free(t);
}

static void test_limits(void **s) {
    (void)s;
    static const struct { const char *from, *to; hone_code code; const char *msg; } cases[] = {
        {"dim3(T, 2)", "dim3(T, 65)", HONE_E_LIMIT, "block of 'f' has 1040 threads"},
        {"dim3(T, 2)", "2000", HONE_E_LIMIT, "block.x of 'f' is 2000"},
        {"dim3(T, 2)", "dim3(1,1,65)", HONE_E_LIMIT, "block.z of 'f' is 65"},
        {"dim3(cdiv(M, T), 2)", "dim3(1, 70000)", HONE_E_LIMIT, "grid.y of 'f' is 70000"},
        {"dim3(cdiv(M, T), 2)", "M*100000000", HONE_E_LIMIT, "grid.x of 'f' is 10000000000"},
        {"4*T>>>", "300000>>>", HONE_E_LIMIT, "300000 bytes"},
        {"cluster=dim3(1,2)", "cluster=dim3(1,3)", HONE_E_PARSE, "no multiple of the cluster's 3"},
        {"cluster=dim3(1,2)", "cluster=dim3(4,5)", HONE_E_LIMIT, "cluster of 'f' has 20 blocks"},
        {"M - 1", "M*1000", HONE_E_LIMIT, "which parameter 'm' of 'f' (short) cannot hold"},
        {"void f", "void __launch_bounds__(16) f", HONE_E_LIMIT, "__launch_bounds__ allows 16"},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        hone_task *t = parse_ok(with(cases[i].from, cases[i].to));
        hone_plan *p;
        hone_err e = {0};
        assert_int_equal(hone_plan_make(t, &t->sizes[0], NULL, &p, &e), cases[i].code);
        if (!strstr(e.msg, cases[i].msg) || !strstr(e.msg, "dir/base.cu:"))
            fail_msg("'%s' lacks '%s'", e.msg, cases[i].msg);
        assert_null(p);
        hone_task_free(t);
    }
}

// Extents are in order at the task's own sizes, not at others that a plan is made for.
static void test_buffer_limit(void **s) {
    (void)s;
    static const char *const extents[] = {"C bfloat16[N > 100 ? 1 << 50 : 1]", "C bfloat16[N > 100 ? 1 << 35 : 1][N > 100 ? 1 << 35 : 1]"};
    for (size_t i = 0; i < HONE_COUNT(extents); i++) {
        hone_task *t = parse_ok(with("C bfloat16[N]", extents[i]));
        hone_binding v[] = {{"M", 100}, {"N", 105}};
        hone_sizes sizes = {.v = v, .n = 2};
        hone_plan *p;
        hone_err e = {0};
        assert_int_equal(hone_plan_make(t, &sizes, NULL, &p, &e), HONE_E_LIMIT);
        assert_non_null(strstr(e.msg, "more than 2^40 elements"));
        assert_null(p);
        hone_task_free(t);
    }
}

static void test_feasible(void **s) {
    (void)s;
    hone_task *t = parse_ok(base);
    hone_binding b[] = {{"T", 32}, {"U", 9}}, wrong[] = {{"V", 1}};
    hone_env both = {b, 2, NULL}, first = {b, 1, NULL}, bad = {wrong, 1, NULL};
    bool ok;
    assert_int_equal(hone_task_feasible(t, &t->sizes[0], &both, &ok, NULL), HONE_OK);
    assert_false(ok);
    assert_int_equal(hone_task_feasible(t, &t->sizes[0], &first, &ok, NULL), HONE_OK);
    assert_true(ok);
    hone_err e = {0};
    assert_int_equal(hone_task_feasible(t, &t->sizes[0], &bad, &ok, &e), HONE_E_USAGE);
    assert_non_null(strstr(e.msg, "'V'"));
    hone_task_free(t);
}

static void contract(const char *from, const char *to, const char *msg) {
    hone_task *t = parse_ok(base), *c = parse_ok(with(from, to));
    hone_err e = {0};
    hone_code code = hone_task_same_contract(t, c, &e);
    if (msg && !strstr(e.msg, msg))
        fail_msg("'%s' lacks '%s'", e.msg, msg);
    assert_int_equal(code, msg ? HONE_E_WRONG : HONE_OK);
    hone_task_free(t);
    hone_task_free(c);
}

static void test_contract(void **s) {
    (void)s;
    contract("#pragma", "// c\n#pragma", NULL);
    contract("uniform(-1, 1)", "uniform( -1,1 )", NULL);
    contract("T={16,32,64}", "T={8}", NULL);
    contract("scratch W int32[cdiv(M, T)]", "scratch W int32[M]", NULL);
    contract("#pragma hone where T*U <= 160 && M > 1\n", "#pragma hone flags -maxrregcount=64\n", NULL);
    contract("M=100", "M=101", "'size' differs");
    contract("#pragma hone check M=37 N=5\n", "", "0 'check' lines, the task has 1");
    contract("uniform(-1, 1)", "uniform(0, 1)", "buffer 'A' differs");
    contract("uniform(-1, 1)", "normal(-1, 1)", "buffer 'A' differs");
    contract("uniform(-1, 1)", "zeros", "buffer 'A' differs");
    contract("float[M][N]", "float[N][M]", "buffer 'A' differs");
    contract("alpha float = 0.5", "alpha float = 0.25", "scalar 'alpha' differs");
    contract("atol=1e-5", "atol=1e-2", "tolerance differs");
    contract("#pragma hone tolerance exact\n", "", "tolerance differs");
    contract("flops 2*M*N", "flops M*N", "'flops' differs");
    contract("objective energy", "objective time", "objective differs");
    contract("inout C", "out C", "buffer 'C' differs");
    contract("inout C bfloat16[N]", "inout C bfloat16[N] unordered", "buffer 'C' differs");
    contract("#pragma hone scratch W", "#pragma hone in W2 float[1]\n#pragma hone scratch W", "'W2' is not in the task");
}

static char *bake(const hone_task *t, const hone_env *tuning) {
    char *out;
    size_t len;
    hone_err e = {0};
    assert_int_equal(hone_task_bake(t, tuning, &out, &len, &e), HONE_OK);
    assert_int_equal(strlen(out), len);
    return out;
}

static void test_bake(void **s) {
    (void)s;
    hone_task *t = parse_ok(with("extern", "#ifndef U\n#define U  1   // default\n#endif\nextern"));
    hone_binding b[] = {{"T", 64}, {"U", 5}}, second[] = {{"T", 16}, {"U", 1}};
    hone_env tuning = {b, 2, NULL}, again = {second, 2, NULL};
    char *once = bake(t, &tuning);
    assert_non_null(strstr(once, "#pragma hone tune T={64}\n#ifndef T\n#define T 64\n#endif\n#pragma hone tune U={5}\n#pragma hone where"));
    assert_non_null(strstr(once, "#ifndef U\n#define U 5   // default\n#endif\nextern"));
    hone_task *baked = parse_ok(once);
    assert_int_equal(baked->tunes[0].n_values, 1);
    assert_int_equal(hone_task_same_contract(t, baked, NULL), HONE_OK);
    char *same = bake(baked, &tuning);
    assert_string_equal(once, same);
    char *other = bake(baked, &again);   // a second baking replaces the values of the first
    assert_non_null(strstr(other, "#ifndef T\n#define T 16\n#endif"));
    assert_null(strstr(other, "64"));
    hone_free(once);
    hone_free(same);
    hone_free(other);
    hone_task_free(baked);
    hone_task_free(t);
}

static void test_check_sizes(void **s) {
    (void)s;
    hone_task *t = parse_ok(with("M=100 N=60", "M=100000 N=60000"));
    hone_arena *a = hone_arena_new(1u << 20);
    hone_sizes *v;
    size_t n;
    assert_int_equal(hone_task_check_sizes(t, 1u << 20, a, &v, &n, NULL), HONE_OK);
    assert_true(n >= 6 && n <= 9);
    assert_int_equal(v[0].v[0].value, 37);
    assert_int_not_equal(v[0].line, 0);
    bool tile_plus_1 = false, ragged = false;
    for (size_t i = 0; i < n; i++) {
        hone_plan *p;
        assert_int_equal(hone_plan_make(t, &v[i], NULL, &p, NULL), HONE_OK);
        assert_true(p->total_bytes <= 1u << 20);
        hone_plan_free(p);
        tile_plus_1 |= v[i].v[0].value == 17;   // cdiv(M, 16)
        ragged |= v[i].v[0].value % 16 != 0 && v[i].v[0].value > 32;
        assert_true(v[i].v[0].value > 1);       // where M > 1
        assert_true(i == 0 || v[i].line == 0);
    }
    assert_true(tile_plus_1 && ragged);
    assert_int_equal(hone_task_check_sizes(t, 1, a, &v, &n, NULL), HONE_OK);
    assert_int_equal(n, 0);
    hone_arena_free(a);
    hone_task_free(t);
}

static void check_example(const char *path) {
    char *text;
    size_t len, n;
    hone_err e = {0};
    hone_task *t = NULL;
    hone_diags d = {.arena = hone_arena_new(1u << 20)};
    assert_int_equal(hone_read_file(path, 1u << 20, &text, &len, &e), HONE_OK);
    if (hone_task_parse(path, text, len, &t, &d, &e) != HONE_OK || d.n)
        fail_msg("%s: %s", path, d.n ? d.v[0].msg : e.msg);
    hone_sizes *v;
    assert_int_equal(hone_task_check_sizes(t, 64u << 20, d.arena, &v, &n, &e), HONE_OK);
    assert_true(t->n_checks >= 2 && n >= t->n_checks + 3);
    hone_plan *p;
    for (size_t i = 0; i < t->n_sizes + n; i++) {
        if (hone_plan_make(t, i < t->n_sizes ? &t->sizes[i] : &v[i - t->n_sizes], NULL, &p, &e) != HONE_OK)
            fail_msg("%s", e.msg);
        hone_plan_free(p);
    }
    assert_true(t->n_tolerances == 1);
    hone_task_free(t);
    hone_arena_free(d.arena);
    hone_free(text);
}

static void test_examples(void **s) {
    (void)s;
    DIR *dir = opendir(SOURCE_DIR "/examples");
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *f; (f = readdir(dir));) {
        char path[1024];
        size_t k = strlen(f->d_name);
        if (k < 4 || strcmp(f->d_name + k - 3, ".cu") != 0)
            continue;
        snprintf(path, sizeof path, SOURCE_DIR "/examples/%s", f->d_name);
        check_example(path);
        n++;
    }
    closedir(dir);
    assert_true(n >= 12);
}

static void test_memory_failure(void **s) {
    (void)s;
    for (uint64_t n = 1; n < 400; n++) {
        hone_task *t = NULL;
        hone_plan *p = NULL;
        char *baked = NULL;
        size_t len;
        hone_fail_alloc_at(n, true);
        hone_code c = hone_task_parse("base.cu", base, strlen(base), &t, NULL, NULL);
        if (c == HONE_OK)
            c = hone_plan_make(t, &t->sizes[0], NULL, &p, NULL);
        if (c == HONE_OK)
            c = hone_task_bake(t, NULL, &baked, &len, NULL);
        hone_fail_alloc_at(0, false);
        hone_free(baked);
        hone_plan_free(p);
        hone_task_free(t);
        if (c == HONE_OK) {
            assert_true(n > 10);
            return;
        }
        assert_int_equal(c, HONE_E_NOMEM);
    }
    fail_msg("never succeeds");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task), cmocka_unit_test(test_plan), cmocka_unit_test(test_limits), cmocka_unit_test(test_buffer_limit), cmocka_unit_test(test_feasible),
        cmocka_unit_test(test_contract), cmocka_unit_test(test_bake), cmocka_unit_test(test_check_sizes), cmocka_unit_test(test_examples),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
