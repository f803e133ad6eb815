// brx.idx: lanes of a warp take different entries of a table and meet again; entries may repeat; an index beyond the table is a fault.
#include "exec_fixture.h"

// out[i] = what the case of in[i] says: 0 and 2 → 100 + i, 1 → 200 + i (after a loop of i rounds), 3 → 400
static const char g_switch[] =
    PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1)\n{\n.reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %rd<8>;\n"
    "ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 4;\n"
    "add.s64 %rd1, %rd1, %rd3; add.s64 %rd2, %rd2, %rd3; ld.global.u32 %r2, [%rd1]; mov.u32 %r4, 0;\n"
    "TABLE: .branchtargets EVEN, LOOP, EVEN, LAST;\n"
    "brx.idx %r2, TABLE;\n"
    "EVEN: add.s32 %r3, %r1, 100; bra DONE;\n"
    "LOOP: setp.ge.u32 %p1, %r4, %r1; @%p1 bra OUT; add.s32 %r4, %r4, 1; bra LOOP;\n"
    "OUT: add.s32 %r3, %r4, 200; bra DONE;\n"
    "LAST: mov.u32 %r3, 400;\n"
    "DONE: st.global.u32 [%rd2], %r3;\nret;\n}\n";

static void lanes_take_their_cases(void **state) {
    (void)state;
    fixture f;
    uint32_t cases[96];
    for (uint32_t i = 0; i < 96; i++)
        cases[i] = i < 64 ? i * 7 / 3 % 4 : 1;   // two mixed warps, one that agrees
    fx_load(&f, g_switch);
    fx_buffer(&f, cases, sizeof cases);
    const uint32_t *out = fx_buffer(&f, NULL, sizeof cases);
    assert_int_equal(fx_launch(&f, 1, 96, NULL, 0, NULL), 0);
    for (uint32_t i = 0; i < 96; i++)
        assert_int_equal(out[i], cases[i] == 3 ? 400 : cases[i] == 1 ? 200 + i : 100 + i);
    fx_free(&f);
}

static void index_beyond_the_table(void **state) {
    (void)state;
    fixture f;
    uint32_t cases[32] = {0};
    honeVgpuFinding found[4];
    cases[5] = 4;
    fx_load(&f, g_switch);
    fx_buffer(&f, cases, sizeof cases);
    fx_buffer(&f, NULL, sizeof cases);
    assert_int_not_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&f, found, 4), 1);
    assert_string_equal(found[0].kind, "control.branch-index");
    assert_int_equal(found[0].thread[0], 5);
    fx_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lanes_take_their_cases), cmocka_unit_test(index_beyond_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
