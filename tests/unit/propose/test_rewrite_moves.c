// Moves as a search sees them: which apply where, that nothing but kernels, launches and tune lines changes, determinism, and the cases in
// which a move must stay away because the result would be another kernel.
#include "rewrite_fixture.h"

#define EXAMPLES SOURCE_DIR "/examples"

static void test_each_example_has_its_big_move(void **state)
{
    (void)state;
    static const char *const want[][2] = {
        {"gelu.cu", "vector_load"},        {"transpose.cu", "transpose_tile"}, {"reduce.cu", "reduction"},
        {"softmax.cu", "row_to_block"},    {"layernorm.cu", "row_to_warp"},    {"matmul.cu", "register_tile"},
        {"gemm_bf16.cu", "register_tile"}, {"gemm_bf16.cu", "tensor_tile"}, {"segscan.cu", "row_scan"},         {"histogram.cu", "privatise_atomics"},
        {"laplace3d.cu", "block_shape"},   {"attention.cu", "register_tile"},  {"nbody.cu", "shared_tile"},
    };
    for (size_t k = 0; k < HONE_COUNT(want); k++) {
        fixture f;
        setup(&f, EXAMPLES, want[k][0]);
        if (!hone_proposer_rewrite.applies(&f.ctx, &f.parent, want[k][1]))
            fail_msg("%s does not apply to %s", want[k][1], want[k][0]);
        teardown(&f);
    }
}

static void test_every_proposal_keeps_the_contract(void **state)
{
    (void)state;
    static const char *const names[] = {"gelu.cu", "attention.cu", "reduce.cu", "histogram.cu", "nbody.cu", "matmul.cu"};
    hone_proposal *out = calloc(MAX_PROPOSALS, sizeof *out);
    for (size_t k = 0; k < HONE_COUNT(names); k++) {
        fixture f;
        setup(&f, EXAMPLES, names[k]);
        for (const char *const *move = hone_proposer_rewrite.moves; *move; move++) {
            size_t n = propose(&f, &f.parent, *move, out);
            assert_int_equal(n > 0, hone_proposer_rewrite.applies(&f.ctx, &f.parent, *move));
            for (size_t i = 0; i < n; i++) {
                hone_task *t = NULL;
                hone_err e = {0};
                hone_diags d = {.arena = f.arena};
                assert_int_equal(hone_task_parse("candidate.cu", out[i].text, out[i].len, &t, &d, &e), HONE_OK);
                if (hone_task_same_contract(f.task, t, &e) != HONE_OK)
                    fail_msg("%s on %s: %s", *move, names[k], e.msg);
                assert_true(out[i].len != f.len || memcmp(out[i].text, f.text, f.len) != 0);
                assert_true(out[i].note && out[i].note[0]);
                assert_string_equal(out[i].move, *move);
                hone_task_free(t);
            }
        }
        teardown(&f);
    }
    free(out);
}

static void test_same_seed_same_proposals(void **state)
{
    (void)state;
    hone_proposal *a = calloc(MAX_PROPOSALS, sizeof *a), *b = calloc(MAX_PROPOSALS, sizeof *b);
    fixture f;
    setup(&f, EXAMPLES, "laplace3d.cu");
    size_t n = propose(&f, &f.parent, "block_shape", a), m = propose(&f, &f.parent, "block_shape", b);
    assert_int_equal(n, m);
    assert_true(n > 4);
    for (size_t k = 0; k < n; k++)
        assert_string_equal(a[k].text, b[k].text);
    hone_rng_init(&f.rng, 2, 1);
    hone_err e = {0};
    assert_int_equal(hone_proposer_rewrite.propose(&f.ctx, &f.parent, "block_shape", MAX_PROPOSALS, b, &m, &e), HONE_OK);
    bool other = false;
    for (size_t k = 0; k < n; k++)
        other = other || strcmp(a[k].text, b[k].text) != 0;
    assert_true(other);
    teardown(&f);
    free(a);
    free(b);
}

static void test_unknown_move_is_an_error(void **state)
{
    (void)state;
    fixture f;
    size_t got;
    hone_proposal p;
    hone_err e = {0};
    setup(&f, EXAMPLES, "gelu.cu");
    assert_int_equal(hone_proposer_rewrite.propose(&f.ctx, &f.parent, "no_such_move", 1, &p, &got, &e), HONE_E_USAGE);
    assert_int_equal(got, 0);
    teardown(&f);
}

// ---- moves that must stay away
static bool applies(const char *kernel_and_pragmas, const char *move)
{
    fixture f;
    setup_text(&f, "t.cu", hone_strdup(kernel_and_pragmas), strlen(kernel_and_pragmas));
    bool yes = hone_proposer_rewrite.applies(&f.ctx, &f.parent, move);
    teardown(&f);
    return yes;
}

#define VECTOR_HEAD                                                                                                                        \
    "#pragma hone size n=4096\n#pragma hone in a float[n]\n#pragma hone inout b float[n]\n#pragma hone launch f<<<cdiv(n, 256), "          \
    "256>>>(a, b, n)\n"
#define ROW_HEAD                                                                                                                           \
    "#pragma hone size N=64 C=128\n#pragma hone in a float[N][C]\n#pragma hone out b float[N][C]\n#pragma hone launch f<<<cdiv(N, 128), "  \
    "128>>>(a, b, N, C)\n"
#define KERNEL(args, body) "extern \"C\" __global__ void f(" args ")\n{\n" body "\n}\n"
#define VECTOR(body)                                                                                                                       \
    VECTOR_HEAD KERNEL("const float *a, float *b, int n",                                                                                  \
                       "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i >= n) return;\n" body)
#define ROW(body)                                                                                                                          \
    ROW_HEAD KERNEL("const float *a, float *b, int N, int C",                                                                              \
                    "    int r = blockIdx.x * blockDim.x + threadIdx.x;\n    if (r >= N) return;\n" body)

static void test_vectors_need_their_own_element(void **state)
{
    (void)state;
    assert_true(applies(VECTOR("    b[i] = a[i] * 2.0f;"), "vector_load"));
    assert_true(applies(VECTOR("    if (a[i] > 0.0f) b[i] = a[n - 1 - i];"), "vector_load"));   // a is only read: any element will do
    assert_false(applies(VECTOR("    b[i] = b[n - 1 - i];"), "vector_load"));   // another thread's element of a written buffer
    assert_false(applies(VECTOR("    b[n - 1 - i] = a[i];"), "vector_load"));
    assert_false(applies(VECTOR("    float *p = b + i; *p = a[i];"), "vector_load"));
    assert_false(applies(VECTOR("    atomicAdd(&b[i], a[i]);"), "vector_load"));
    assert_false(applies(VECTOR("    if (a[i] < 0.0f) return; b[i] = a[i];"), "vector_load"));
}

static void test_aliased_buffers_get_no_restrict(void **state)
{
    (void)state;
    const char *same =
        "#pragma hone size n=4096\n#pragma hone inout b float[n]\n#pragma hone launch f<<<cdiv(n, 256), 256>>>(b, b, n)\n" KERNEL(
            "const float *x, float *y, int n", "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < n) y[i] = x[i];");
    assert_false(applies(same, "restrict"));
    assert_false(applies(same, "vector_load"));
    assert_true(applies(VECTOR("    b[i] = a[i];"), "restrict"));
}

static void test_rows_need_independent_iterations(void **state)
{
    (void)state;
    assert_true(applies(ROW("    float s = 0.0f;\n    for (int j = 0; j < C; j++) s += a[r * C + j];\n    for (int j = 0; j < C; j++) b[r "
                            "* C + j] = a[r * C + j] / s;"),
                        "row_to_warp"));
    // a recurrence, a running value, a neighbour's result, early exit, a product
    assert_false(applies(ROW("    float s = 0.0f;\n    for (int j = 0; j < C; j++) s = s * 0.5f + a[r * C + j];\n    b[r * C] = s;"),
                         "row_to_warp"));
    assert_false(
        applies(ROW("    float s = 0.0f;\n    for (int j = 0; j < C; j++) { s += a[r * C + j]; b[r * C + j] = s; }"), "row_to_warp"));
    assert_false(applies(ROW("    for (int j = 0; j < C; j++) b[r * C + j] = j ? b[r * C + j - 1] + a[r * C + j] : 0.0f;"), "row_to_warp"));
    assert_false(applies(ROW("    for (int j = 0; j < C; j++) { if (a[r * C + j] < 0.0f) break; b[r * C + j] = 1.0f; }"), "row_to_warp"));
    assert_false(applies(ROW("    for (int j = 0; j < C; j++) b[r * C + j / 2] = a[r * C + j];"), "row_to_warp"));
    assert_false(applies(ROW("    for (int j = 0; j < C; j++) b[r * C] = a[r * C + j];"), "row_to_warp"));
    // loops that touch different elements of a written buffer in one iteration
    assert_false(applies(ROW("    for (int j = 0; j < C; j++) b[r * C + j] = a[r * C + j];\n    for (int j = 0; j < C; j++) b[r * C + C - "
                             "1 - j] = b[r * C + C - 1 - j] * 2.0f;"),
                         "row_to_warp"));
}

static void test_scans_of_floats_are_left_alone(void **state)
{
    (void)state;
    assert_false(applies(ROW("    float s = 0.0f;\n    for (int j = 0; j < C; j++) { b[r * C + j] = s; s += a[r * C + j]; }"), "row_scan"));
}

static void test_tiles_need_a_plain_product(void **state)
{
    (void)state;
#define MM_HEAD                                                                                                                            \
    "#pragma hone size M=64\n#pragma hone in a float[M][M]\n#pragma hone inout c float[M][M]\n#pragma hone launch f<<<dim3(cdiv(M, 16), "  \
    "cdiv(M, 16)), dim3(16, 16)>>>(a, c, M)\n"
#define MM(body)                                                                                                                           \
    MM_HEAD KERNEL("const float *a, float *c, int M",                                                                                      \
                   "    int x = blockIdx.x * blockDim.x + threadIdx.x;\n    int y = blockIdx.y * blockDim.y + threadIdx.y;\n"              \
                   "    if (x < M && y < M) {\n" body "\n    }")
    assert_true(
        applies(MM("float s = 0.0f; for (int k = 0; k < M; k++) s += a[y * M + k] * a[k * M + x]; c[y * M + x] = s;"), "register_tile"));
    assert_false(
        applies(MM("float s = 1.0f; for (int k = 0; k < M; k++) s += a[y * M + k] * a[k * M + x]; c[y * M + x] = s;"), "register_tile"));
    assert_false(applies(MM("float s = 0.0f; for (int k = 0; k < M; k++) s += a[y * M + k] * c[k * M + x]; c[y * M + x] = s;"),
                         "register_tile"));   // reads what it writes
    assert_false(applies(MM("float s = 0.0f; for (int k = 0; k < M; k++) s += a[y * M + k + x] * a[k * M + x]; c[y * M + x] = s;"),
                         "register_tile"));
    assert_false(applies(MM("float s = 0.0f; for (int k = 0; k < M; k++) s += fabsf(a[y * M + k] - a[k * M + x]); c[y * M + x] = s;"),
                         "register_tile"));
}

static void test_tensor_cores_need_converted_halves(void **state)
{
    (void)state;
#define HALVES(type, params, factors)                                                                                                      \
    "#include <cuda_fp16.h>\n#pragma hone size M=64\n#pragma hone in a " type "[M][M]\n#pragma hone in b half[M][M]\n"                      \
    "#pragma hone out c float[M][M]\n#pragma hone launch f<<<dim3(cdiv(M, 16), cdiv(M, 16)), dim3(16, 16)>>>(a, b, c, M)\n"                \
    KERNEL(params ", const __half *b, float *c, int M",                                                                                    \
           "    int x = blockIdx.x * blockDim.x + threadIdx.x;\n    int y = blockIdx.y * blockDim.y + threadIdx.y;\n"                      \
           "    if (x < M && y < M) { float s = 0.0f; for (int k = 0; k < M; k++) s += " factors "; c[y * M + x] = s; }")
#define HALF "const __half *a"
    static const char *const yes[] = {HALVES("half", HALF, "__half2float(a[y * M + k]) * __half2float(b[k * M + x])"),
                                      HALVES("half", HALF, "(float)a[k * M + y] * (float)(b[x * M + k])")};
    static const char *const no[] = {HALVES("half", HALF, "__half2float(a[y * M + k]) * 2.0f * __half2float(b[k * M + x])"),     // another factor
                                     HALVES("half", HALF, "__half2float(a[y * M + k] * b[k * M + x])"),                          // rounds the product
                                     HALVES("half", HALF, "__half2float(a[y * M + 2 * k]) * __half2float(b[k * M + x])"),        // no neighbours
                                     HALVES("float", "const float *a", "(float)a[y * M + k] * __half2float(b[k * M + x])")};     // another type
    for (size_t i = 0; i < HONE_COUNT(yes); i++)
        if (!applies(yes[i], "tensor_tile"))
            fail_msg("does not apply to\n%s", yes[i]);
    for (size_t i = 0; i < HONE_COUNT(no); i++)
        if (applies(no[i], "tensor_tile"))
            fail_msg("applies to\n%s", no[i]);
}

static void test_blocks_keep_what_depends_on_them(void **state)
{
    (void)state;
    assert_true(applies(VECTOR("    b[i] = a[i];"), "block_shape"));
    assert_false(applies(VECTOR("    b[i] = a[i] + blockIdx.x;"), "block_shape"));
    assert_false(applies(VECTOR("    b[i] = a[i] + blockDim.x;"), "coarsen"));
}

static void test_atomics_need_a_small_buffer_and_no_result(void **state)
{
    (void)state;
#define BINS(extent, body)                                                                                                                 \
    "#pragma hone size n=4096\n#pragma hone in a uint8[n]\n#pragma hone inout h uint32[" extent                                            \
    "]\n#pragma hone launch f<<<cdiv(n, 256), 256>>>(a, h, n)\n" KERNEL(                                                                   \
        "const unsigned char *a, unsigned int *h, int n",                                                                                  \
        "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < n) {\n" body "\n    }")
    assert_true(applies(BINS("256", "atomicAdd(&h[a[i]], 1u);"), "privatise_atomics"));
    assert_false(applies(BINS("n", "atomicAdd(&h[a[i]], 1u);"), "privatise_atomics"));
    assert_false(applies(BINS("65536", "atomicAdd(&h[a[i]], 1u);"), "privatise_atomics"));
    assert_false(applies(BINS("256", "unsigned int old = atomicAdd(&h[a[i]], 1u); h[old % 256] = 1u;"), "privatise_atomics"));
}

static void test_opaque_kernels_are_left_alone(void **state)
{
    (void)state;
    const char *text = VECTOR("    asm volatile(\"\");\n    b[i] = a[i];");
    for (const char *const *move = hone_proposer_rewrite.moves; *move; move++)
        assert_false(applies(text, *move));
}

static void test_out_of_memory_is_an_error_and_nothing_else(void **state)
{
    (void)state;
    hone_proposal *out = calloc(MAX_PROPOSALS, sizeof *out);
    fixture f;
    setup(&f, EXAMPLES, "matmul.cu");
    bool finished = false;
    for (uint64_t at = 1; at < 3000 && !finished; at += at < 60 ? 1 : 37) {
        size_t got = 0;
        hone_err e = {0};
        hone_fail_alloc_at(at, true);
        hone_code c = hone_proposer_rewrite.propose(&f.ctx, &f.parent, "register_tile", MAX_PROPOSALS, out, &got, &e);
        hone_fail_alloc_at(0, false);
        finished = c == HONE_OK && got == 6;
        if (c != HONE_OK)
            assert_int_equal(c, HONE_E_NOMEM);
    }
    assert_true(finished);
    teardown(&f);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_example_has_its_big_move),
        cmocka_unit_test(test_every_proposal_keeps_the_contract),
        cmocka_unit_test(test_same_seed_same_proposals),
        cmocka_unit_test(test_unknown_move_is_an_error),
        cmocka_unit_test(test_vectors_need_their_own_element),
        cmocka_unit_test(test_aliased_buffers_get_no_restrict),
        cmocka_unit_test(test_rows_need_independent_iterations),
        cmocka_unit_test(test_scans_of_floats_are_left_alone),
        cmocka_unit_test(test_tiles_need_a_plain_product),
        cmocka_unit_test(test_tensor_cores_need_converted_halves),
        cmocka_unit_test(test_blocks_keep_what_depends_on_them),
        cmocka_unit_test(test_atomics_need_a_small_buffer_and_no_result),
        cmocka_unit_test(test_opaque_kernels_are_left_alone),
        cmocka_unit_test(test_out_of_memory_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
