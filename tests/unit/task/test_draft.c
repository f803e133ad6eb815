// Drafts for `hone init`: roles and extents from observations, scalars, several launches; each draft must be a valid task file.
#include "task/task.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const char matmul[] = "__global__ void mm(const float *A, const float *B, float *C, int M, int N, int K, float alpha) { C[0] = A[0] * B[0]; }\n";
static hone_binding mnk[] = {{"M", 100}, {"N", 60}, {"K", 33}}, one[] = {{"n", 1000}};
static const hone_sizes sizes3 = {mnk, 3, 0}, sizes1 = {one, 1, 0};

static char *draft(const char *text, const hone_sizes *s, const char *launch, const hone_observed *obs, size_t n_obs) {
    char *out;
    size_t len;
    hone_err e = {0};
    if (hone_draft("k.cu", text, strlen(text), s, launch, obs, n_obs, &out, &len, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(strlen(out), len);
    hone_task *t;
    if (hone_task_parse("k.cu", out, len, &t, NULL, &e) != HONE_OK)
        fail_msg("%s\n%s", e.msg, out);
    hone_task_free(t);
    return out;
}

static void has(const char *text, const char *line) {
    if (!strstr(text, line))
        fail_msg("'%s' is not in\n%s", line, text);
}

static void test_matmul(void **s) {
    (void)s;
    const hone_observed obs[] = {{"A", true, false, false, 100 * 33 * 4}, {"B", true, false, false, 33 * 60 * 4}, {"C", false, true, false, 100 * 60 * 4}};
    char *d = draft(matmul, &sizes3, "mm<<<dim3(cdiv(N,16), cdiv(M,16)), dim3(16,16)>>>(A, B, C, M, N, K, 0.5f)", obs, 3);
    has(d, "#pragma hone size M=100 N=60 K=33\n");
    has(d, "#pragma hone in A float[M][K]\n");
    has(d, "#pragma hone in B float[N][K]\n");   // K*N elements; the order follows the sizes
    has(d, "#pragma hone out C float[M][N]\n");
    has(d, "#pragma hone scalar alpha float = 0.5f\n");
    has(d, "#pragma hone launch mm<<<dim3(cdiv(N,16), cdiv(M,16)), dim3(16, 16)>>>(A, B, C, M, N, K, alpha)\n");
    hone_free(d);
}

static void test_two_launches(void **s) {
    (void)s;
    static const char text[] = "extern \"C\" __global__ void a(const int4 *in, int *part, int n) {}\nextern \"C\" __global__ void b(const int *part, int *out, int m) {}\n";
    const hone_observed obs[] = {{"in", true, false, false, 4000}, {"part", true, true, false, 4 * 4}, {"out", true, true, true, 4}};
    char *d = draft(text, &sizes1, " a<<<cdiv(n,256), 256, 1024>>>(in, part, n) ;\nb<<<1, 256>>>(part, out, cdiv(n, 256)) cooperative", obs, 3);
    has(d, "#pragma hone in in int32[n]\n");
    has(d, "#pragma hone scratch part int32[cdiv(n, 256)]\n");
    has(d, "#pragma hone inout out int32[1]\n");
    has(d, "#pragma hone launch a<<<cdiv(n,256), 256, 1024>>>(in, part, n)\n#pragma hone launch b<<<1, 256>>>(part, out, cdiv(n,256)) cooperative\n");
    hone_free(d);
}

static void test_bare_launch_and_extents(void **s) {
    (void)s;
    static const char text[] = "__global__ void k(float *w, const float *x, const int *rows, double *n4, int n) {}\n";
    const hone_observed obs[] = {{"w", false, true, false, 12345 * 4}, {"x", true, false, false, 1000000 * 4}, {"rows", true, false, false, 1001 * 4},
                                 {"n4", true, true, true, 4000 * 8}};
    char *d = draft(text, &sizes1, "k<<<4, 256>>>", obs, 4);
    has(d, "#pragma hone out w float[12345]\n");
    has(d, "#pragma hone in x float[n][n]\n");
    has(d, "#pragma hone in rows int32[n+1]\n");
    has(d, "#pragma hone inout n4 double[n][4]\n");
    has(d, ">>>(w, x, rows, n4, n)\n");
    hone_free(d);
    hone_binding equal[] = {{"M", 64}, {"N", 64}};
    hone_sizes same = {equal, 2, 0};
    const hone_observed ambiguous[] = {{"w", false, true, false, 64 * 4}};
    d = draft("__global__ void k(float *w) {}\n", &same, "k<<<1, 64>>>(w)", ambiguous, 1);
    has(d, "#pragma hone out w float[M]   // or [N]: the sizes fit both\n");
    hone_free(d);
}

static void refuse(const char *text, const hone_sizes *s, const char *launch, const char *msg) {
    char *out;
    size_t len;
    hone_err e = {0};
    assert_int_not_equal(hone_draft("k.cu", text, strlen(text), s, launch, NULL, 0, &out, &len, &e), HONE_OK);
    assert_null(out);
    if (!strstr(e.msg, msg))
        fail_msg("'%s' lacks '%s'", e.msg, msg);
}

static void test_refusals(void **s) {
    (void)s;
    refuse(matmul, &sizes3, "", "no launch");
    refuse(matmul, &sizes3, NULL, "no launch");
    refuse(matmul, &sizes3, "nn<<<1,2>>>()", "no kernel 'nn'");
    refuse(matmul, &sizes3, "mm<<<1,2>>>(A)", "takes 7 arguments, the launch gives 1");
    refuse(matmul, &sizes3, "mm<<<1,2>>>", "'alpha' is neither a size nor a pointer");
    refuse(matmul, &sizes3, "mm<<1,2>>>()", "in the launch: expected '<<<'");
    refuse(matmul, &sizes3, "mm<<<1,2>>>(1, B, C, M, N, K, 1)", "is a pointer; the launch passes '1'");
    refuse("#pragma hone size N=1\n__global__ void k(float *a) {}", &sizes1, "k<<<1,1>>>", "a task file already");
    refuse("__global__ void k(T *a) {}", &sizes1, "k<<<1,1>>>", "element type 'T'");
    refuse("__global__ void k(float *a) {", &sizes1, "k<<<1,1>>>", "never closed");
    hone_sizes none = {0};
    refuse(matmul, &none, "mm<<<1,2>>>", "no sizes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul), cmocka_unit_test(test_two_launches), cmocka_unit_test(test_bare_launch_and_extents), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
