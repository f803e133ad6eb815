// Golden chains: example, chain of moves, expected task file. HONE_GOLDEN_UPDATE=1 writes the expected files anew.
#include "rewrite_fixture.h"

static const struct {
    const char *example, *chain, *golden;
} cases[] = {
    {"gelu.cu", "vector_load@8+elements restrict", "gelu.vector_load.restrict.cu"},
    {"transpose.cu", "transpose_tile", "transpose.transpose_tile.cu"},
    {"reduce.cu", "reduction@many+elements", "reduce.reduction.cu"},
    {"softmax.cu", "row_to_block reciprocal restrict", "softmax.row_to_block.reciprocal.restrict.cu"},
    {"layernorm.cu", "rsqrt row_to_warp", "layernorm.rsqrt.row_to_warp.cu"},
    {"segscan.cu", "row_scan", "segscan.row_scan.cu"},
    {"histogram.cu", "privatise_atomics@16+elements", "histogram.privatise_atomics.cu"},
    {"matmul.cu", "restrict register_tile@64x64", "matmul.restrict.register_tile.cu"},
    {"gemm_bf16.cu", "tensor_tile@128x128", "gemm_bf16.tensor_tile.cu"},
    {"laplace3d.cu", "block_shape@32x4x2 launch_bounds@(256) register_cap@64", "laplace3d.block_shape.launch_bounds.register_cap.cu"},
    {"attention.cu", "register_tile@attn_values register_tile@attn_scores row_to_warp",
     "attention.register_tile.register_tile.row_to_warp.cu"},
    {"nbody.cu", "rsqrt shared_tile unroll@by+4", "nbody.rsqrt.shared_tile.unroll.cu"},
    {"nbody.cu", "pack_loads coarsen@4+elements", "nbody.pack_loads.coarsen.cu"},
};

static void test_golden_chains(void **state)
{
    (void)state;
    for (size_t k = 0; k < HONE_COUNT(cases); k++) {
        fixture f;
        char path[1024], *want = NULL;
        size_t len = 0;
        hone_err e = {0};
        setup(&f, SOURCE_DIR "/examples", cases[k].example);
        hone_candidate c = apply_chain(&f, cases[k].chain);
        snprintf(path, sizeof path, "%s/golden/rewrite/%s", TESTS_DIR, cases[k].golden);
        if (getenv("HONE_GOLDEN_UPDATE"))
            assert_int_equal(hone_write_file(path, c.text, c.len, &e), HONE_OK);
        if (hone_read_file(path, 1 << 20, &want, &len, &e) != HONE_OK)
            fail_msg("%s (HONE_GOLDEN_UPDATE=1 writes it)", e.msg);
        if (len != c.len || memcmp(want, c.text, len) != 0)
            fail_msg("%s: '%s' gives another text than %s:\n%s", cases[k].example, cases[k].chain, cases[k].golden, c.text);
        hone_free(want);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_chains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
