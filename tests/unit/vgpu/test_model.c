// What the timing model sees: loads of shared memory that ptxas joins, wavefronts of wide loads, waiting at barriers, the power limit.
#include "exec_fixture.h"
#include "vgpu/timing.h"

// One warp; lane l reads shared memory at l * STEP, after the whole array was written.
#define KERNEL(LOADS)                                                                                                                                 \
    ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u32 p0) {\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n.reg .pred %p<2>;\n"       \
    ".shared .align 16 .b8 s[2048];\nmov.u32 %r1, %tid.x;\nld.param.u32 %r2, [p0];\nmov.u32 %r3, s;\nmul.lo.u32 %r4, %r1, 16;\nadd.u32 %r5, %r3, %r4;\n" \
    "mov.f32 %f0, 0f3F800000;\nst.shared.f32 [%r5], %f0;\nst.shared.f32 [%r5+4], %f0;\nst.shared.f32 [%r5+8], %f0;\nst.shared.f32 [%r5+12], %f0;\n"      \
    "bar.sync 0;\nshr.u32 %r6, %r1, %r2;\nmul.lo.u32 %r6, %r6, 16;\nadd.u32 %r6, %r6, %r3;\n" LOADS "ret;\n}\n"

static vg_counters run(fixture *f, const char *ptx, uint32_t scalar) {
    hone_err e = {0};
    vg_counters c = {0};
    fx_load(f, ptx);
    vg_launch l = {.ctx = f->ctx, .code = f->code, .grid = {1, 1, 1}, .block = {32, 1, 1}, .cluster = {1, 1, 1}, .params = (const uint8_t *)&scalar,
                   .param_bytes = f->code->param_bytes, .shared_window = VG_SHARED_WINDOW, .local_window = VG_LOCAL_WINDOW,
                   .flags = HONE_VGPU_COUNT | HONE_VGPU_SERIAL, .threads = 1, .counters = &c};
    if (vg_exec_launch(&l, &e) != HONE_OK || l.fault)
        fail_msg("%s", e.msg);
    return c;
}

// Loads come after the four stores: requests and wavefronts of those alone.
static void expect(const char *ptx, uint32_t scalar, double requests, double wavefronts) {
    fixture f;
    vg_counters c = run(&f, ptx, scalar);
    vg_counters none;
    fixture g;
    none = run(&g, KERNEL(""), scalar);
    assert_true(c.total.shared_requests - none.total.shared_requests == requests);
    assert_true(c.total.shared_wavefronts - none.total.shared_wavefronts == wavefronts);
    vg_counters_free(&c);
    vg_counters_free(&none);
    fx_free(&f);
    fx_free(&g);
}

#define FOUR "ld.shared.f32 %f1, [%r6];\nld.shared.f32 %f2, [%r6+4];\nld.shared.f32 %f3, [%r6+8];\nld.shared.f32 %f4, [%r6+12];\n"
#define SPLIT "ld.shared.f32 %f1, [%r6];\nld.shared.f32 %f2, [%r6+4];\nbar.sync 0;\nld.shared.f32 %f3, [%r6+8];\nld.shared.f32 %f4, [%r6+12];\n"
#define UNALIGNED "and.b32 %r6, %r6, 0xFFFFFC0F;\nadd.u32 %r6, %r6, 4;\n" FOUR
#define WIDE "ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [%r6];\n"

static void neighbouring_loads_join(void **state) {
    (void)state;
    expect(KERNEL(FOUR), 0, 1, 4);
    expect(KERNEL(FOUR), 5, 1, 2);        // one address: neighbours share
}
static void a_barrier_keeps_loads_apart(void **state) {
    (void)state;
    expect(KERNEL(SPLIT), 5, 2, 2);
}
static void unaligned_loads_stay_single(void **state) {
    (void)state;
    expect(KERNEL(UNALIGNED), 5, 4, 4);
}
static void pairs_halve_a_wide_load(void **state) {
    (void)state;
    expect(KERNEL(WIDE), 0, 1, 4);
    expect(KERNEL(WIDE), 1, 1, 2);        // lanes 2n and 2n+1 read one address
    expect(KERNEL(WIDE), 2, 1, 2);        // as do four
}

static const char loop_ptx[] =
    ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u32 p0) {\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n.reg .pred %p<2>;\n"
    ".shared .align 16 .b8 s[2048];\nmov.u32 %r1, 0;\nmov.u32 %r3, s;\nmov.f32 %f1, 0f3F800000;\nst.shared.f32 [%r3], %f1;\n"
    "L:\nld.shared.f32 %f2, [%r3];\nadd.f32 %f2, %f2, %f2;\nadd.f32 %f2, %f2, %f2;\n%s%s"
    "add.u32 %r1, %r1, 1;\nsetp.lt.u32 %p1, %r1, 100;\n@%p1 bra L;\nret;\n}\n";

static void barriers_expose_latency(void **state) {
    (void)state;
    for (int with = 0; with < 2; with++) {
        char ptx[sizeof loop_ptx + 64];
        const char *at = strstr(loop_ptx, "%s%s");
        snprintf(ptx, sizeof ptx, "%.*s%s%s", (int)(at - loop_ptx), loop_ptx, with ? "bar.sync 0;\n" : "", at + 4);
        fixture f;
        vg_counters c = run(&f, ptx, 0);
        vg_chain chain = vg_chain_of(&f.device, &c, 1);
        assert_true(chain.cycles > 100 * vg_dev(&f.device, VG_DEV_SHARED_LATENCY));
        assert_true(with ? chain.exposed > 100 * vg_dev(&f.device, VG_DEV_SHARED_LATENCY) : chain.exposed == 0);
        vg_counters_free(&c);
        fx_free(&f);
    }
}

static void the_power_limit_lowers_the_clock(void **state) {
    (void)state;
    fixture f;
    vg_counters c = run(&f, KERNEL(FOUR), 0);
    vg_launch l = {.ctx = f.ctx, .code = f.code, .grid = {1, 1, 1}, .block = {32, 1, 1}};
    honeVgpuModel m;
    c.total.flops_fp32 = 1e9;             // far more than the launch can do in its time
    vg_model_time(&f.device, f.code, &l, NULL, &c, &m);
    assert_true(m.clock_mhz == vg_dev(&f.device, VG_DEV_BOOST_MHZ));   // this device's energies are not known
    f.device.v[VG_DEV_POWER_BASE_W] = 100;
    f.device.v[VG_DEV_FP32_PJ] = 5;
    f.device.v[VG_DEV_DRAM_PJ] = 100;
    vg_model_time(&f.device, f.code, &l, NULL, &c, &m);
    assert_true(m.clock_mhz < vg_dev(&f.device, VG_DEV_BOOST_MHZ));
    vg_counters_free(&c);
    fx_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(neighbouring_loads_join), cmocka_unit_test(a_barrier_keeps_loads_apart),
                                       cmocka_unit_test(unaligned_loads_stay_single), cmocka_unit_test(pairs_halve_a_wide_load),
                                       cmocka_unit_test(barriers_expose_latency), cmocka_unit_test(the_power_limit_lowers_the_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
