// The driver front beyond what any driver does: findings and where they point, options, sticky errors, tolerant sampling, counters, modelled time.
#include "driver_fixture.h"

static const char *const copy_kernel =
    PTX_HEAD ".visible .entry copy(.param .u64 in, .param .u64 out, .param .u32 n)\n{\n.reg .pred %p;\n.reg .b32 %t, %n, %v, %c, %d;\n.reg .b64 %in, %out, %x;\n"
             "ld.param.u64 %in, [in];\nld.param.u64 %out, [out];\nld.param.u32 %n, [n];\nmov.u32 %t, %tid.x;\nmov.u32 %c, %ctaid.x;\nmov.u32 %d, %ntid.x;\n"
             "mad.lo.u32 %t, %c, %d, %t;\nsetp.ge.u32 %p, %t, %n;\n@%p bra END;\n"
             "mul.wide.u32 %x, %t, 4;\nadd.u64 %in, %in, %x;\nadd.u64 %out, %out, %x;\n.loc 1 7 3\nld.global.u32 %v, [%in];\n.loc 1 9 3\n"
             "st.global.u32 [%out], %v;\nEND:\nret;\n}\n.file 1 \"copy.cu\"\n";

static CUresult copy(CUdeviceptr in, CUdeviceptr out, unsigned n) {
    void *params[] = {&in, &out, &n};
    return run_kernel(load_kernel(copy_kernel, "copy"), (n + 63) / 64, 64, params);
}

// Three hundred values that live at once. A compiler has 255 registers for them, or what the bound leaves, and spills the rest.
static CUfunction crowded(const char *bound) {
    static char text[32768];
    size_t n = (size_t)snprintf(text, sizeof text, PTX_HEAD ".visible .entry crowded(.param .u64 out) %s\n{\n.reg .b64 %%out;\n.reg .b32 %%v<300>, %%t;\n"
                                                   "ld.param.u64 %%out, [out];\nmov.u32 %%t, %%tid.x;\n", bound);
    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "mad.lo.u32 %%v%d, %%t, %%t, %d;\n", i, i);
    for (int i = 1; i < 300; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "xor.b32 %%v0, %%v0, %%v%d;\n", i);
    snprintf(text + n, sizeof text - n, "st.global.u32 [%%out], %%v0;\nret;\n}\n");
    return load_kernel(text, "crowded");
}

static void estimated_registers_fit(void **state) {
    (void)state;
    static const struct { const char *bound; unsigned threads; int most; } rows[] = {{"", 256, 255}, {".maxntid 512, 1, 1", 512, 128}, {".maxntid 1024, 1, 1", 1024, 64}};
    CUdeviceptr out = upload(NULL, 4);
    void *params[] = {&out};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CUfunction f = crowded(rows[i].bound);
        int registers = 0;
        assert_int_equal(cuFuncGetAttribute(&registers, CU_FUNC_REGISTERS, f), CUDA_SUCCESS);
        assert_int_equal(registers, rows[i].most);
        assert_int_equal(run_kernel(f, 1, rows[i].threads, params), CUDA_SUCCESS);
    }
}

static void finding_names_what_where_and_how_often(void **state) {
    (void)state;
    uint32_t data[100] = {0};
    CUdeviceptr in = upload(data, sizeof data), out = upload(data, sizeof data);
    assert_int_equal(honeVgpuName(in + 8, "weights"), 0);
    assert_int_equal(honeVgpuForget(in + 40, 12), 0);
    assert_int_equal(copy(in, out, 100), CUDA_SUCCESS);
    honeVgpuFinding f = one_finding("memory.uninitialized");
    assert_string_equal(f.kernel, "copy");
    assert_string_equal(f.allocation, "weights");
    assert_string_equal(f.file, "copy.cu");
    assert_int_equal(f.line, 7);
    assert_int_equal(f.offset, 40);
    assert_int_equal(f.size, 4);
    assert_int_equal(f.is_write, 0);
    assert_int_equal(f.thread[0], 10);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.address, in + 40);
    assert_int_equal(copy(in, out, 100), CUDA_SUCCESS);
    one_finding("memory.uninitialized");
    no_finding();
}

static void unwritten_output_is_counted(void **state) {
    (void)state;
    uint32_t data[64] = {0};
    uint64_t count = 0, first = 0;
    CUdeviceptr in = upload(data, sizeof data), out = upload(data, sizeof data);
    assert_int_equal(honeVgpuForget(out, sizeof data), 0);
    assert_int_equal(copy(in, out, 60), CUDA_SUCCESS);
    assert_int_equal(honeVgpuUnwritten(out, sizeof data, &count, &first), 0);
    assert_int_equal(count, 16);
    assert_int_equal(first, 240);
    assert_int_equal(honeVgpuUnwritten(out + 1024, 4, &count, &first), CUDA_ERROR_INVALID_VALUE);
    no_finding();
}

static void copies_carry_initialisation(void **state) {
    (void)state;
    uint64_t count;
    CUdeviceptr in = upload(NULL, 64), out = upload(NULL, 64);
    assert_int_equal(cuMemsetD8_v2(in, 1, 10), CUDA_SUCCESS);
    assert_int_equal(cuMemcpyDtoD_v2(out, in, 64), CUDA_SUCCESS);
    assert_int_equal(honeVgpuUnwritten(out, 64, &count, NULL), 0);
    assert_int_equal(count, 54);
}

// Faults need a context of their own each.
static honeVgpuFinding fault(CUdeviceptr (*in)(void), CUdeviceptr (*out)(void), unsigned n, CUresult expected, const char *kind) {
    CUcontext c;
    CUdeviceptr p;
    assert_int_equal(cuCtxCreate_v2(&c, 0, 0), CUDA_SUCCESS);
    set_flags(HONE_VGPU_CHECK | HONE_VGPU_SERIAL);
    assert_int_equal(copy(in(), out(), n), expected);
    assert_int_equal(cuMemAlloc_v2(&p, 4), expected);
    assert_int_equal(cuCtxSynchronize(), expected);
    honeVgpuFinding f = one_finding(kind);
    assert_int_equal(cuCtxDestroy_v2(c), CUDA_SUCCESS);
    assert_int_equal(cuCtxSetCurrent(test_context), CUDA_SUCCESS);
    return f;
}
static CUdeviceptr hundred(void) {
    static uint32_t data[100];
    CUdeviceptr p = upload(data, sizeof data);
    assert_int_equal(honeVgpuName(p, "hundred"), 0);
    return p;
}
static CUdeviceptr plenty(void) {
    CUdeviceptr p = upload(NULL, 4096);
    assert_int_equal(cuMemsetD8_v2(p, 0, 4096), CUDA_SUCCESS);
    return p;
}
static CUdeviceptr odd(void) { return plenty() + 2; }
static CUdeviceptr null(void) { return 0; }
static CUdeviceptr released(void) {
    CUdeviceptr p = plenty();
    assert_int_equal(cuMemFree_v2(p), CUDA_SUCCESS);
    return p;
}

static void faults_are_named_and_stick(void **state) {
    (void)state;
    honeVgpuFinding f = fault(hundred, plenty, 101, CUDA_ERROR_ILLEGAL_ADDRESS, "memory.out-of-bounds");
    assert_string_equal(f.allocation, "hundred");
    assert_int_equal(f.offset, 400);
    assert_int_equal(f.block[0], 1);
    assert_int_equal(f.thread[0], 36);
    assert_false(f.is_write);
    f = fault(plenty, hundred, 101, CUDA_ERROR_ILLEGAL_ADDRESS, "memory.out-of-bounds");
    assert_true(f.is_write);
    assert_int_equal(f.line, 9);
    fault(plenty, null, 8, CUDA_ERROR_ILLEGAL_ADDRESS, "memory.out-of-bounds");
    f = fault(released, plenty, 8, CUDA_ERROR_ILLEGAL_ADDRESS, "memory.use-after-free");
    assert_int_equal(f.offset, 0);
    f = fault(odd, plenty, 8, CUDA_ERROR_MISALIGNED_ADDRESS, "memory.misaligned");
    assert_int_equal(f.size, 4);
}

static void sampling_is_tolerant(void **state) {
    (void)state;
    uint32_t data[64] = {0};
    CUdeviceptr in = upload(data, sizeof data), out = upload(NULL, sizeof data);
    set_flags(HONE_VGPU_CHECK | HONE_VGPU_SAMPLE);
    assert_int_equal(copy(in, out, 128), CUDA_SUCCESS);
    assert_int_equal(copy(in + 2, out, 64), CUDA_SUCCESS);
    no_finding();
    honeVgpuLaunch launches[4];
    honeVgpuLine lines[32];
    uint32_t n;
    assert_int_equal(honeVgpuTakeLaunches(launches, 4, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(launches[0].kernel, "copy");
    assert_int_equal(launches[0].grid[0], 2);
    assert_true(launches[0].counters.warp_insts > 0);
    assert_true(launches[0].model.time_us > 0);
    assert_int_equal(honeVgpuTakeLines(lines, 32, &n), 0);
    assert_true(n > 0 && n <= 32);
    bool line_7 = false;
    for (uint32_t i = 0; i < n; i++)
        line_7 |= lines[i].line == 7 && lines[i].global_requests > 0 && strcmp(lines[i].file, "copy.cu") == 0;
    assert_true(line_7);
    assert_int_equal(honeVgpuTakeLaunches(launches, 4, &n), 0);
    assert_int_equal(n, 0);
    set_flags(HONE_VGPU_CHECK);
}

static void uninitialised_shared_reads_are_found(void **state) {
    (void)state;
    CUfunction f = load_kernel(PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .b32 %t, %v;\n.reg .b64 %o, %x;\n.shared .align 4 .b8 s[128];\n"
                                        "ld.param.u64 %o, [out];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %x, %t, 4;\nadd.u64 %o, %o, %x;\nshl.b32 %t, %t, 2;\n"
                                        "ld.shared.u32 %v, [%t];\nst.global.u32 [%o], %v;\nret;\n}\n", "k");
    CUdeviceptr out = upload(NULL, 128);
    void *params[] = {&out};
    assert_int_equal(run_kernel(f, 1, 32, params), CUDA_SUCCESS);
    assert_int_equal(one_finding("memory.uninitialized-shared").count, 32);
}

static void atomics_agree_between_threads(void **state) {
    (void)state;
    static const struct { const char *op, *type; uint32_t start, want; } cases[] = {
        {"add", "u32", 5, 5 + 8192u * 3}, {"max", "s32", 0xfffffff0u, 3}, {"min", "u32", 100, 3}, {"xor", "b32", 7, 7}, {"or", "b32", 8, 11},
        {"and", "b32", 6, 2}, {"inc", "u32", 0, 0}, {"dec", "u32", 0, 0}, {"exch", "b32", 9, 3}, {"add", "f32", 0x3f800000u, 0x3f800000u}};
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        char ptx[1024];
        snprintf(ptx, sizeof ptx, PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .b32 %%v;\n.reg .b64 %%o;\nld.param.u64 %%o, [out];\n"
                 "atom.global.%s.%s %%v, [%%o], 3;\nret;\n}\n", cases[i].op, cases[i].type);
        if (strcmp(cases[i].type, "f32") == 0)
            memcpy(strstr(ptx, ", 3;"), ",0f00000000;\nret;\n}\n", 21);
        CUdeviceptr out = upload(&cases[i].start, 4);
        void *params[] = {&out};
        uint32_t got;
        assert_int_equal(run_kernel(load_kernel(ptx, "k"), 128, 64, params), CUDA_SUCCESS);
        assert_int_equal(cuMemcpyDtoH_v2(&got, out, 4), CUDA_SUCCESS);
        if (got != cases[i].want)
            fail_msg("atom.%s.%s: %u, not %u", cases[i].op, cases[i].type, got, cases[i].want);
    }
    no_finding();
}

static void options_are_checked(void **state) {
    (void)state;
    honeVgpuOptions o = {.size = sizeof o, .flags = 1u << 20}, back = {.size = sizeof back};
    assert_int_equal(honeVgpuSetOptions(&o), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(honeVgpuSetOptions(NULL), CUDA_ERROR_INVALID_VALUE);
    o.flags = HONE_VGPU_CHECK;
    o.max_warp_insts = 12345;
    assert_int_equal(honeVgpuSetOptions(&o), 0);
    assert_int_equal(honeVgpuGetOptions(&back), 0);
    assert_int_equal(back.max_warp_insts, 12345);
    o.max_warp_insts = 0;
    assert_int_equal(honeVgpuSetOptions(&o), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finding_names_what_where_and_how_often), cmocka_unit_test(unwritten_output_is_counted),
        cmocka_unit_test(copies_carry_initialisation), cmocka_unit_test(faults_are_named_and_stick), cmocka_unit_test(sampling_is_tolerant),
        cmocka_unit_test(uninitialised_shared_reads_are_found), cmocka_unit_test(atomics_agree_between_threads), cmocka_unit_test(options_are_checked),
        cmocka_unit_test(estimated_registers_fit)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
