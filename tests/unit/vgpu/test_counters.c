// Counters of kernels whose counts are known by construction: sectors by stride, bank conflicts, divergence, atomics on one address, operations by type,
// waits at barriers, caches, called functions; and the same per source line, inlined lines included.
#include "driver_fixture.h"
#include <math.h>

static const char kernels[] = PTX_HEAD
    ".visible .entry strided(.param .u64 in, .param .u64 out, .param .u32 stride)\n{\n.reg .b32 %t, %s, %v;\n.reg .b64 %a, %b, %x;\n"
    "ld.param.u64 %a, [in];\nld.param.u64 %b, [out];\nld.param.u32 %s, [stride];\nmov.u32 %t, %tid.x;\nmul.lo.u32 %s, %s, %t;\n"
    "mul.wide.u32 %x, %s, 4;\nadd.u64 %a, %a, %x;\nmul.wide.u32 %x, %t, 4;\nadd.u64 %b, %b, %x;\n"
    "ld.global.u32 %v, [%a];\nst.global.u32 [%b], %v;\nret;\n}\n"
    ".visible .entry banks(.param .u32 stride)\n{\n.reg .b32 %t, %s, %v;\n.shared .align 4 .b8 tile[4096];\n"
    "ld.param.u32 %s, [stride];\nmov.u32 %t, %tid.x;\nmul.lo.u32 %s, %s, %t;\nshl.b32 %s, %s, 2;\nmov.u32 %v, tile;\nadd.u32 %s, %s, %v;\n"
    "st.shared.u32 [%s], %t;\nret;\n}\n"
    ".visible .entry halves()\n{\n.reg .b32 %t, %v;\n.reg .pred %p;\nmov.u32 %t, %tid.x;\nsetp.lt.u32 %p, %t, 16;\n@%p bra LOW;\n"
    "add.u32 %v, %t, 1;\nadd.u32 %v, %v, 1;\nbra DONE;\nLOW:\nadd.u32 %v, %t, 3;\nDONE:\nret;\n}\n"
    ".visible .entry atoms(.param .u64 out, .param .u32 stride)\n{\n.reg .b32 %t, %s;\n.reg .b64 %a, %x;\nld.param.u64 %a, [out];\n"
    "ld.param.u32 %s, [stride];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %x, %s, %t;\nadd.u64 %a, %a, %x;\nred.global.add.u32 [%a], 1;\nret;\n}\n"
    ".visible .entry flops()\n{\n.reg .f32 %f;\n.reg .f64 %d;\n.reg .b32 %h;\n.reg .f32 %c<4>;\n.reg .b32 %a<4>, %b<2>;\n"
    "mov.f32 %f, 0f3f800000;\nmov.f64 %d, 0d3ff0000000000000;\nmov.b32 %h, 0;\n"
    "fma.rn.f32 %f, %f, %f, %f;\nfma.rn.f32 %f, %f, %f, %f;\nadd.f32 %f, %f, %f;\nmul.f64 %d, %d, %d;\nfma.rn.f16x2 %h, %h, %h, %h;\n"
    "mov.b32 %a0, 0;\nmov.b32 %a1, 0;\nmov.b32 %a2, 0;\nmov.b32 %a3, 0;\nmov.b32 %b0, 0;\nmov.b32 %b1, 0;\n"
    "mov.f32 %c0, 0f00000000;\nmov.f32 %c1, %c0;\nmov.f32 %c2, %c0;\nmov.f32 %c3, %c0;\n"
    "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%c0,%c1,%c2,%c3}, {%a0,%a1,%a2,%a3}, {%b0,%b1}, {%c0,%c1,%c2,%c3};\nret;\n}\n"
    ".visible .entry waits()\n{\n.reg .b32 %t, %v;\n.reg .pred %p;\nmov.u32 %t, %tid.x;\nsetp.ge.u32 %p, %t, 32;\n@%p bra MEET;\n"
    "add.u32 %v, %t, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nMEET:\nbar.sync 0;\nbar.sync 0;\nret;\n}\n"
    ".visible .entry twice(.param .u64 in)\n{\n.reg .b32 %t, %v, %u;\n.reg .b64 %a, %x;\nld.param.u64 %a, [in];\nmov.u32 %t, %tid.x;\n"
    "mul.wide.u32 %x, %t, 4;\nadd.u64 %a, %a, %x;\nld.global.u32 %v, [%a];\nld.global.u32 %u, [%a];\nadd.u32 %v, %v, %u;\n"
    "st.global.u32 [%a], %v;\nret;\n}\n"
    ".func helper(.param .b64 p)\n{\n.reg .b32 %v;\n.reg .b64 %a;\nld.param.b64 %a, [p];\nmov.u32 %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\n"
    "add.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\n"
    "st.global.u32 [%a], %v;\nret;\n}\n"
    ".visible .entry caller(.param .u64 out)\n{\n.reg .b64 %a;\nld.param.u64 %a, [out];\n{\n.param .b64 q;\nst.param.b64 [q], %a;\n"
    "call.uni helper, (q);\n}\nret;\n}\n";

static honeVgpuCounters count(const char *name, unsigned grid, unsigned block, void **params) {
    set_flags(HONE_VGPU_COUNT);
    assert_int_equal(run_kernel(load_kernel(kernels, name), grid, block, params), CUDA_SUCCESS);
    honeVgpuLaunch l;
    uint32_t n;
    assert_int_equal(honeVgpuTakeLaunches(&l, 1, &n), 0);
    assert_int_equal(n, 1);
    set_flags(HONE_VGPU_CHECK);
    assert_true(l.counters.sampled_fraction == 1);
    return l.counters;
}

static void sectors_follow_the_stride(void **state) {
    (void)state;
    CUdeviceptr in = upload(NULL, 32 * 32 * 4 * 2), out = upload(NULL, 4096);
    cuMemsetD8_v2(in, 0, 32 * 32 * 4 * 2);
    static const struct { uint32_t stride, load_sectors, lines; } cases[] = {{0, 1, 1}, {1, 4, 1}, {2, 8, 2}, {4, 16, 4}, {8, 32, 8}, {32, 32, 32}};
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        uint32_t stride = cases[i].stride;
        void *params[] = {&in, &out, &stride};
        honeVgpuCounters c = count("strided", 1, 32, params);
        assert_int_equal(c.global_requests, 2);
        assert_int_equal(c.global_sectors, cases[i].load_sectors + 4);
        assert_int_equal(c.global_sectors_ideal, (stride ? 4 : 1) + 4);
        assert_int_equal(c.global_lines, cases[i].lines + 1);
        assert_int_equal(c.global_store_bytes, 128);
        assert_int_equal(c.compulsory_bytes, 32 * (cases[i].load_sectors + 4));
        if (stride == 1) {
            assert_int_equal(c.dram_sectors_read, 4);
            assert_int_equal(c.dram_sectors_written, 4);
        }
    }
}

static void bank_conflicts_follow_the_stride(void **state) {
    (void)state;
    static const struct { uint32_t stride, wavefronts; } cases[] = {{0, 1}, {1, 1}, {2, 2}, {3, 1}, {8, 8}, {32, 32}};
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        uint32_t stride = cases[i].stride;
        void *params[] = {&stride};
        honeVgpuCounters c = count("banks", 1, 32, params);
        assert_int_equal(c.shared_requests, 1);
        assert_int_equal(c.shared_wavefronts, cases[i].wavefronts);
        assert_int_equal(c.shared_wavefronts_ideal, 1);
        assert_int_equal(c.global_requests, 0);
    }
}

static void divergent_halves_run_one_after_the_other(void **state) {
    (void)state;
    honeVgpuCounters c = count("halves", 3, 32, NULL);
    // Per warp: three instructions by all, then 3 by the upper and 1 by the lower half; ret by all.
    assert_int_equal(c.warp_insts, 3 * (3 + 3 + 1 + 1));
    assert_int_equal(c.thread_insts, 3 * (32 * 4 + 16 * 4));
    assert_int_equal(c.branches, 3 * 2);
    assert_int_equal(c.divergent_branches, 3);
}

static void atomics_on_one_address_contend(void **state) {
    (void)state;
    CUdeviceptr out = upload(NULL, 4096);
    cuMemsetD8_v2(out, 0, 4096);
    uint32_t stride = 0;
    void *params[] = {&out, &stride};
    honeVgpuCounters c = count("atoms", 2, 64, params);
    assert_int_equal(c.atomic_requests, 4);
    assert_int_equal(c.atomic_lane_ops, 128);
    assert_int_equal(c.atomic_serial_max, 128);
    assert_int_equal(c.atomic_warp_serial, 128);   // 32 lanes take turns in each of 4 requests
    stride = 4;
    c = count("atoms", 1, 64, params);
    assert_int_equal(c.atomic_lane_ops, 64);
    assert_int_equal(c.atomic_serial_max, 1);
    assert_int_equal(c.atomic_warp_serial, 2);
}

static void operations_are_counted_by_type(void **state) {
    (void)state;
    honeVgpuCounters c = count("flops", 2, 32, NULL);
    assert_int_equal(c.flops_fp32, 64 * 5);
    assert_int_equal(c.flops_fp64, 64);
    assert_int_equal(c.flops_fp16, 64 * 4);
    assert_int_equal(c.flops_tensor, 2 * 2 * 16 * 8 * 16);
    assert_int_equal(c.pipe_tensor, 2);
}

static void waits_at_barriers_are_the_imbalance(void **state) {
    (void)state;
    honeVgpuCounters c = count("waits", 1, 128, NULL);
    assert_int_equal(c.barriers, 8);
    assert_int_equal(c.barrier_wait_insts, 3 * 5);   // three warps skip five instructions; the second barrier finds them even
}

static void caches_remember(void **state) {
    (void)state;
    CUdeviceptr in = upload(NULL, 128);
    cuMemsetD8_v2(in, 0, 128);
    void *params[] = {&in};
    honeVgpuCounters c = count("twice", 1, 32, params);
    assert_int_equal(c.global_sectors, 12);
    assert_int_equal(c.l1_hit_sectors, 4);
    assert_int_equal(c.compulsory_bytes, 128);
    assert_int_equal(c.global_load_bytes, 256);
}

// The helper has more instructions than the kernel: its counts must not land among the kernel's.
static void called_functions_are_counted(void **state) {
    (void)state;
    CUdeviceptr out = upload(NULL, 128);
    void *params[] = {&out};
    honeVgpuCounters c = count("caller", 1, 32, params);
    assert_int_equal(c.global_requests, 1);
    assert_int_equal(c.global_sectors, 1);
    assert_int_equal(c.warp_insts, 4 + 13);
    assert_int_equal(c.thread_insts, 32 * (4 + 13));
}

// ---- lines

static const char lined[] = PTX_HEAD
    ".visible .entry k(.param .u64 a)\n{\n.reg .b32 %t, %v;\n.reg .b64 %a, %x;\n.reg .pred %p;\n.loc 1 10 0\nld.param.u64 %a, [a];\nmov.u32 %t, %tid.x;\n"
    "mul.wide.u32 %x, %t, 128;\nadd.u64 %a, %a, %x;\n.loc 1 20 5\nld.global.u32 %v, [%a];\n"
    ".loc 1 3 9, function_name $L__info0, inlined_at 1 21 7\nadd.u32 %v, %v, 1;\n"
    ".loc 2 77 9, function_name $L__info1, inlined_at 1 22 7\nadd.u32 %v, %v, 1;\nadd.u32 %v, %v, 1;\n"
    ".loc 1 23 5\nsetp.lt.u32 %p, %t, 8;\n@%p bra OUT;\n.loc 1 24 5\nst.global.u32 [%a], %v;\nOUT:\nret;\n}\n"
    ".file 1 \"lined.cu\"\n.file 2 \"somewhere/header.h\"\n.section .debug_str\n{\n$L__info0:\n.b8 104,0\n$L__info1:\n.b8 104,0\n}\n";

static const honeVgpuLine *at(const honeVgpuLine *lines, uint32_t n, uint32_t line) {
    for (uint32_t i = 0; i < n; i++)
        if (lines[i].line == line && !strcmp(lines[i].file, "lined.cu"))
            return &lines[i];
    fail_msg("no line %u", line);
    return NULL;
}

static void lines_have_their_own_counters(void **state) {
    (void)state;
    CUdeviceptr a = upload(NULL, 32 * 128);
    cuMemsetD8_v2(a, 0, 32 * 128);
    void *params[] = {&a};
    set_flags(HONE_VGPU_COUNT);
    assert_int_equal(run_kernel(load_kernel(lined, "k"), 1, 32, params), CUDA_SUCCESS);
    honeVgpuLine lines[16];
    uint32_t n;
    assert_int_equal(honeVgpuTakeLines(lines, 16, &n), 0);
    assert_int_equal(at(lines, n, 20)->global_sectors, 32);
    assert_int_equal(at(lines, n, 20)->global_sectors_ideal, 4);
    assert_int_equal(at(lines, n, 20)->dram_sectors, 64);    // DRAM gives 64 bytes at a time
    assert_int_equal(at(lines, n, 3)->warp_insts, 1);        // inlined from the same file: its own line
    assert_int_equal(at(lines, n, 22)->warp_insts, 2);       // from another file: where it was inlined
    assert_int_equal(at(lines, n, 23)->divergent_branches, 1);
    assert_int_equal(at(lines, n, 24)->global_sectors, 24);
    assert_int_equal(at(lines, n, 24)->thread_insts, 24 + 32);   // the store, and the ret after the label
    assert_int_equal(at(lines, n, 20)->pipe_lsu, 1);
    double time = 0, share = 0;
    for (uint32_t i = 0; i < n; i++) {
        time += lines[i].time_share;
        share += lines[i].share;
    }
    assert_true(fabs(share - 1) < 1e-9);
    assert_true(time > 0.5 && time < 1 + 1e-9);              // less what launching blocks takes
    assert_true(at(lines, n, 20)->time_share > 0.5 * time);  // everything waits for the load
    assert_string_equal(at(lines, n, 20)->bound, "latency");
    set_flags(HONE_VGPU_CHECK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sectors_follow_the_stride, open_context, close_context),
        cmocka_unit_test_setup_teardown(bank_conflicts_follow_the_stride, open_context, close_context),
        cmocka_unit_test_setup_teardown(divergent_halves_run_one_after_the_other, open_context, close_context),
        cmocka_unit_test_setup_teardown(atomics_on_one_address_contend, open_context, close_context),
        cmocka_unit_test_setup_teardown(operations_are_counted_by_type, open_context, close_context),
        cmocka_unit_test_setup_teardown(waits_at_barriers_are_the_imbalance, open_context, close_context),
        cmocka_unit_test_setup_teardown(caches_remember, open_context, close_context),
        cmocka_unit_test_setup_teardown(called_functions_are_counted, open_context, close_context),
        cmocka_unit_test_setup_teardown(lines_have_their_own_counters, open_context, close_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
