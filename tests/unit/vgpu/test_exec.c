// The executor: divergence, loops, calls, barriers, spins, budget, on small kernels written in PTX.
#include "exec_fixture.h"

// out[i] = i < n ? sum of 0..i by a loop : -1; lanes of a warp leave the loop at different times
static void divergent_loop(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u32 n)\n{\n.reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %rd<4>;\n"
                "ld.param.u64 %rd1, [p0]; ld.param.u32 %r1, [n];\n"
                "mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.s32 %r5, %r2, %r3, %r4;\n"
                "mul.wide.u32 %rd2, %r5, 4; add.s64 %rd3, %rd1, %rd2;\n"
                "setp.ge.u32 %p1, %r5, %r1; @%p1 bra OUT;\n"
                "mov.u32 %r6, 0; mov.u32 %r7, 0;\n"
                "LOOP: setp.gt.u32 %p2, %r7, %r5; @%p2 bra DONE;\n"
                "add.s32 %r6, %r6, %r7; add.s32 %r7, %r7, 1; bra LOOP;\n"
                "DONE: st.global.u32 [%rd3], %r6; ret;\n"
                "OUT: st.global.u32 [%rd3], -1; ret;\n}\n");
    int32_t *out = fx_buffer(&f, NULL, 256 * 4);
    const uint32_t n = 200;
    assert_int_equal(fx_launch(&f, 2, 128, NULL, 1, &n), 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(out[i], i < 200 ? i * (i + 1) / 2 : -1);
    fx_free(&f);
}

// Every thread adds 1 under one lock, lanes of a warp against each other and blocks against blocks.
static const char g_spin_lock[] =
    PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %rd<4>;\n"
    "ld.param.u64 %rd1, [p0];\n"
    "TRY: atom.global.cas.b32 %r1, [%rd1], 0, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra TRY;\n"
    "membar.gl; ld.volatile.global.u32 %r2, [%rd1+4]; add.s32 %r2, %r2, 1; st.volatile.global.u32 [%rd1+4], %r2; membar.gl;\n"
    "atom.global.exch.b32 %r3, [%rd1], 0; ret;\n}\n";
static void spin_lock(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        fixture f;
        fx_load(&f, g_spin_lock);
        uint32_t *m = fx_buffer(&f, (uint32_t[2]){0}, 8);
        assert_int_equal(fx_launch(&f, 4, 64, &(fx_options){.threads = threads, .flags = HONE_VGPU_CHECK}, 0, NULL), 0);
        assert_int_equal(m[1], 256);
        fx_free(&f);
    }
}

// Block 0 waits for the last block: with one host thread blocks must be switched.
static void block_waits_for_block(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %rd<4>;\n"
                "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %nctaid.x; sub.s32 %r2, %r2, 1;\n"
                "setp.eq.u32 %p1, %r1, %r2; @%p1 bra LAST;\n"
                "WAIT: ld.volatile.global.u32 %r3, [%rd1]; setp.eq.u32 %p2, %r3, 0; @%p2 bra WAIT;\n"
                "atom.global.add.u32 %r4, [%rd1+4], %r3; ret;\n"
                "LAST: st.volatile.global.u32 [%rd1], 7; ret;\n}\n");
    uint32_t *m = fx_buffer(&f, (uint32_t[2]){0}, 8);
    assert_int_equal(fx_launch(&f, 12, 32, NULL, 0, NULL), 0);
    assert_int_equal(m[1], 11 * 32 * 7);
    fx_free(&f);
}

// Reverse through shared memory across a barrier.
static void barrier_orders(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .b32 %r<12>; .reg .b64 %rd<6>; .shared .align 4 .b8 s[1024];\n"
                "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2; add.s32 %r4, %r2, %r3;\n"
                "st.shared.u32 [%r4], %r1; bar.sync 0;\n"
                "mov.u32 %r5, 255; sub.s32 %r5, %r5, %r1; shl.b32 %r5, %r5, 2; add.s32 %r5, %r2, %r5; ld.shared.u32 %r6, [%r5];\n"
                "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r6; ret;\n}\n");
    uint32_t *out = fx_buffer(&f, NULL, 1024);
    for (uint64_t seed = 0; seed < 4; seed++) {
        memset(out, 0, 1024);
        assert_int_equal(fx_launch(&f, 1, 256, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1, .seed = seed}, 0, NULL), 0);
        for (uint32_t i = 0; i < 256; i++)
            assert_int_equal(out[i], 255 - i);
    }
    assert_int_equal(fx_findings(&f, NULL, 0), 0);
    fx_free(&f);
}

static const char g_divergent_barrier[] =
    PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .pred %p<2>; .reg .b32 %r<4>;\n"
    "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 16; @%p1 bra A; bar.sync 0; bra E;\nA: bar.sync 0;\nE: ret;\n}\n";
static void barrier_divergence_is_found(void **state) {
    (void)state;
    fixture f;
    honeVgpuFinding found[4];
    fx_load(&f, g_divergent_barrier);
    fx_buffer(&f, NULL, 4);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&f, found, 4), 2);
    assert_string_equal(found[0].kind, "barrier.divergent");
    fx_free(&f);
}

static void barrier_deadlock_is_found(void **state) {
    (void)state;
    fixture f;
    honeVgpuFinding found[4];
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .pred %p<2>; .reg .b32 %r<4>;\n"
                "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1; bra E;\nA: bar.sync 2;\nE: ret;\n}\n");
    fx_buffer(&f, NULL, 4);
    assert_int_equal(fx_launch(&f, 1, 64, NULL, 0, NULL), VG_CU_LAUNCH_TIMEOUT);
    assert_true(fx_findings(&f, found, 4) >= 1);
    assert_string_equal(found[0].kind, "barrier.deadlock");
    fx_free(&f);
}

static void endless_loop_runs_out_of_budget(void **state) {
    (void)state;
    fixture f;
    honeVgpuFinding found[4];
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .b32 %r<4>;\nmov.u32 %r1, 0;\nL: add.s32 %r1, %r1, 1; bra L;\n}\n");
    fx_buffer(&f, NULL, 4);
    assert_int_equal(fx_launch(&f, 3, 64, &(fx_options){.flags = HONE_VGPU_CHECK, .budget = 3000000, .threads = 2}, 0, NULL), VG_CU_LAUNCH_TIMEOUT);
    assert_int_equal(fx_findings(&f, found, 4), 1);
    assert_string_equal(found[0].kind, "launch.timeout");
    fx_free(&f);
}

// fib by recursion: lanes recurse to different depths; and a call under divergence from two places
static void calls(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".func (.param .b32 r) fib(.param .b32 n)\n{\n.reg .pred %p<2>; .reg .b32 %r<8>;\n"
                "ld.param.u32 %r1, [n]; setp.gt.u32 %p1, %r1, 1; @%p1 bra REC; st.param.b32 [r], %r1; ret;\n"
                "REC: sub.s32 %r2, %r1, 1;\n{ .param .b32 a0; st.param.b32 [a0], %r2; .param .b32 v0; call.uni (v0), fib, (a0); ld.param.b32 %r3, [v0]; }\n"
                "sub.s32 %r4, %r1, 2;\n{ .param .b32 a1; st.param.b32 [a1], %r4; .param .b32 v1; call.uni (v1), fib, (a1); ld.param.b32 %r5, [v1]; }\n"
                "add.s32 %r6, %r3, %r5; st.param.b32 [r], %r6; ret;\n}\n"
                ".visible .entry k(.param .u64 p0)\n{\n.reg .b32 %r<8>; .reg .b64 %rd<4>;\n"
                "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 15;\n"
                "{ .param .b32 a0; st.param.b32 [a0], %r2; .param .b32 v0; call.uni (v0), fib, (a0); ld.param.b32 %r3, [v0]; }\n"
                "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r3; ret;\n}\n");
    uint32_t *out = fx_buffer(&f, NULL, 64 * 4);
    assert_int_equal(fx_launch(&f, 1, 64, NULL, 0, NULL), 0);
    uint32_t fib[16] = {0, 1};
    for (int i = 2; i < 16; i++)
        fib[i] = fib[i - 1] + fib[i - 2];
    for (int i = 0; i < 64; i++)
        assert_int_equal(out[i], fib[i & 15]);
    fx_free(&f);
}

static void endless_recursion_overflows(void **state) {
    (void)state;
    fixture f;
    honeVgpuFinding found[4];
    fx_load(&f, PTX_HEAD ".func f()\n{\ncall.uni f;\nret;\n}\n.visible .entry k(.param .u64 p0)\n{\ncall.uni f;\nret;\n}\n");
    fx_buffer(&f, NULL, 4);
    assert_int_not_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&f, found, 4), 1);
    assert_string_equal(found[0].kind, "kernel.stack-overflow");
    fx_free(&f);
}

static void unsupported_is_refused_at_load(void **state) {
    (void)state;
    const char *ptx = PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r<4>;\nmax.relu.u32 %r1, %r2, %r3;\nret;\n}\n";
    ptx_module *m = NULL;
    vg_program *p = NULL;
    hone_err e = {0};
    hone_code c = ptx_parse(ptx, strlen(ptx), &m, &e);
    if (c == HONE_OK)
        c = vg_program_build(m, NULL, NULL, &p, &e);
    assert_int_equal(c, HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "ptx:7:"));
    ptx_free(m);
}

static void trap_faults(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\ntrap;\nret;\n}\n");
    fx_buffer(&f, NULL, 4);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), VG_CU_LAUNCH_FAILED);
    fx_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergent_loop), cmocka_unit_test(spin_lock), cmocka_unit_test(block_waits_for_block), cmocka_unit_test(barrier_orders),
        cmocka_unit_test(barrier_divergence_is_found), cmocka_unit_test(barrier_deadlock_is_found), cmocka_unit_test(endless_loop_runs_out_of_budget),
        cmocka_unit_test(calls), cmocka_unit_test(endless_recursion_overflows), cmocka_unit_test(unsupported_is_refused_at_load),
        cmocka_unit_test(trap_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
