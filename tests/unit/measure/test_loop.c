// Runs as graphs and launch by launch, paired timing of short plans, and the loop under the energy counter, on the driver that presents the virtual GPU as
// physical: kernels compute for real, so what runs leave behind can be looked at. NVML is the fake one.
#include "measure/energy.h"
#include "measure/runs.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <cmocka.h>

enum { N = 96, SETS = 4, X = 0, Y = 1, Z = 2 };
static const char task_text[] = "#pragma hone size N=96\n#pragma hone in x float[N]\n#pragma hone inout y float[N]\n#pragma hone out z float[N]\n"
                                "#pragma hone launch add<<<cdiv(N,64), 64>>>(x, y, z, N)\n"
                                "extern \"C\" __global__ void add(const float *x, float *y, float *z, int n) {\n"
                                "  int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) { y[i] += x[i]; z[i] = y[i] + y[i]; } }\n";
static const char ptx[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry add(.param .u64 px, .param .u64 py, .param .u64 pz, .param .u32 pn)\n{\n"
    ".reg .pred %p;\n.reg .b32 %r<6>;\n.reg .f32 %f<5>;\n.reg .b64 %d<8>;\n"
    "ld.param.u64 %d1, [px];\nld.param.u64 %d2, [py];\nld.param.u64 %d3, [pz];\nld.param.u32 %r1, [pn];\n"
    "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\nmad.lo.s32 %r5, %r2, %r3, %r4;\n"
    "setp.ge.s32 %p, %r5, %r1;\n@%p bra DONE;\n"
    "mul.wide.s32 %d4, %r5, 4;\nadd.s64 %d5, %d1, %d4;\nadd.s64 %d6, %d2, %d4;\nadd.s64 %d7, %d3, %d4;\n"
    "ld.global.f32 %f1, [%d5];\nld.global.f32 %f2, [%d6];\nadd.f32 %f3, %f2, %f1;\nst.global.f32 [%d6], %f3;\nadd.f32 %f4, %f3, %f3;\n"
    "st.global.f32 [%d7], %f4;\nDONE:\nret;\n}\n";
static hone_kernel_info kernel = {.name = "add"};
static hone_compiled compiled = {.ok = true, .ptx = ptx, .ptx_len = sizeof ptx - 1, .cubin = "\177ELF", .cubin_len = 4, .kernels = &kernel, .n_kernels = 1};

static struct { hone_arena *arena; hone_task *task; hone_plan *plan; hone_device *device; hone_workload *w; hone_bound bound; hone_program *program; hone_nvml *nvml; } rig;
static float first_x[SETS][N], first_y[SETS][N];

static void copy_of(size_t buffer, unsigned set, float *to) {
    void *host = NULL;
    assert_int_equal(hone_bound_read(&rig.bound, set, buffer, &host, NULL), HONE_OK);
    memcpy(to, host, N * sizeof(float));
    hone_free(host);
}

static hone_code open_rig(hone_err *e) {
    rig.arena = hone_arena_new(1 << 20);
    hone_diags diags = {.arena = rig.arena};
    HONE_TRY(hone_task_parse("t.cu", task_text, sizeof task_text - 1, &rig.task, &diags, e));
    HONE_TRY(hone_plan_make(rig.task, &rig.task->sizes[0], NULL, &rig.plan, e));
    HONE_TRY(hone_device_open("cuda:0", &rig.device, e));
    HONE_TRY(hone_workload_open(rig.device, rig.plan, 1, SETS, 1, &rig.w, e));
    HONE_TRY(hone_bound_make(rig.w, rig.plan, &rig.bound, e));
    HONE_TRY(hone_program_load(rig.device, &compiled, rig.plan, &rig.program, e));
    return hone_nvml_open("", &rig.nvml, e);
}

static int set_up(void **st) {
    (void)st;
    hone_err e = {0};
    setenv("HONE_CUDA_DRIVER", BUILD_DIR "/fakegpu/libphysical.so", 1);
    setenv("HONE_FAKE_GPU", "time=5 noise=0 gapless=1", 1);
    if (!dlopen(BUILD_DIR "/fakegpu/libnvidia-ml.so.1", RTLD_NOW)) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    if (open_rig(&e) != HONE_OK) {
        fprintf(stderr, "%s\n", e.msg);
        return -1;
    }
    for (unsigned s = 0; s < SETS; s++) {
        copy_of(X, s, first_x[s]);
        copy_of(Y, s, first_y[s]);
    }
    return 0;
}

static int close_rig(void **st) {
    (void)st;
    hone_nvml_close(rig.nvml);
    hone_program_free(rig.program);
    hone_bound_free(&rig.bound);
    hone_workload_close(rig.w);
    hone_device_close(rig.device);
    hone_plan_free(rig.plan);
    hone_task_free(rig.task);
    hone_arena_free(rig.arena);
    return 0;
}

// cuInit of that driver reads its words anew.
static void gpu_is(const char *words) {
    setenv("HONE_FAKE_GPU", words, 1);
    assert_int_equal(rig.device->driver->Init(0), CUDA_SUCCESS);
}

static int reset(void **st) {
    (void)st;
    setenv("HONE_FAKE_NVML", "tick=0.02", 1);
    for (unsigned s = 0; s < SETS; s++)
        if (hone_bound_reset(&rig.bound, s, 0xff, NULL) != HONE_OK)
            return -1;
    return 0;
}

// What `runs` runs without restoring leave in a set.
static void after_runs(unsigned set, unsigned runs) {
    float x[N], y[N], z[N];
    copy_of(X, set, x);
    copy_of(Y, set, y);
    copy_of(Z, set, z);
    assert_memory_equal(x, first_x[set], sizeof x);
    for (unsigned i = 0; i < N; i++) {
        float want = first_y[set][i];
        for (unsigned k = 0; k < runs; k++)
            want += first_x[set][i];
        if (y[i] != want || (runs && z[i] != want + want))
            fail_msg("set %u, element %u: y = %g and z = %g, not %g after %u runs", set, i, y[i], z[i], want, runs);
        if (!runs && !isnan(z[i]))
            fail_msg("set %u: z was written", set);
    }
}

static void in_form(bool graph, bool restore, unsigned n) {
    hone_arm arm = {&rig.bound, rig.program};
    hone_runs r;
    hone_err e = {0};
    CUstream stream = NULL;
    assert_int_equal(rig.device->driver->StreamCreate(&stream, 0), CUDA_SUCCESS);
    if (hone_runs_make(&arm, stream, SETS, n, graph, restore, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_true((r.exec != NULL) == graph);
    for (unsigned s = 0; s < SETS; s++)
        after_runs(s, 0);   // making them runs nothing
    for (int k = 0; k < 2; k++)
        assert_int_equal(hone_runs_send(&r, &e), HONE_OK);
    assert_int_equal(rig.device->driver->CtxSynchronize(), CUDA_SUCCESS);
    for (unsigned s = 0; s < SETS; s++)
        after_runs(s, restore ? 1 : 2 * ((n + SETS - 1 - s) / SETS));
    hone_runs_free(&r);
    rig.device->driver->StreamDestroy(stream);
    reset(NULL);
}

static void graphs_and_batches_leave_the_same(void **st) {
    (void)st;
    for (int restore = 0; restore < 2; restore++)
        for (unsigned n = 1; n <= 14; n += 13) {
            if (n < SETS && restore)
                continue;   // sets that no run touches
            in_form(false, restore, n);
            in_form(true, restore, n);
        }
}

static void short_plans_are_timed_in_graphs(void **st) {
    (void)st;
    hone_arm arm = {&rig.bound, rig.program}, same = arm;
    float y[2][N], z[2][N];
    for (int warm = 0; warm < 2; warm++)
        for (int no_graph = 0; no_graph < 2; no_graph++) {
            hone_pair p;
            hone_err e = {0};
            hone_pair_config cfg = {.samples = 10, .warmup_launches = 2, .warmup_s = -1, .no_graph = no_graph, .warm_cache = warm, .leave_outputs = true};
            if (hone_measure_pair(&arm, &same, &cfg, &p, &e) != HONE_OK)
                fail_msg("%s", e.msg);
            json_t *j = hone_pair_json(&p, false);
            assert_string_equal(json_string_value(json_object_get(j, "form")), no_graph ? "batch" : "graph");
            json_decref(j);
            assert_int_equal(p.graph, !no_graph);
            assert_int_equal(p.warm, warm);
            assert_int_equal(p.batch, SETS);
            hone_pair_free(&p);
            copy_of(Y, 0, y[no_graph]);
            copy_of(Z, 0, z[no_graph]);
            after_runs(0, 1);
            if (no_graph) {
                assert_memory_equal(y[0], y[1], sizeof y[0]);
                assert_memory_equal(z[0], z[1], sizeof z[0]);
            }
        }
}

// Without graphs in the driver: the same, launch by launch.
static void drivers_without_graphs(void **st) {
    (void)st;
    hone_driver *d = rig.device->driver, kept = *d;
    hone_arm arm = {&rig.bound, rig.program}, same = arm;
    hone_pair p;
    hone_err e = {0};
    d->GraphLaunch = NULL;
    hone_pair_config cfg = {.samples = 10, .warmup_launches = 2, .warmup_s = -1, .leave_outputs = true};
    hone_code c = hone_measure_pair(&arm, &same, &cfg, &p, &e);
    *d = kept;
    assert_int_equal(c, HONE_OK);
    assert_false(p.graph);
    assert_int_equal(p.batch, SETS);
    hone_pair_free(&p);
    after_runs(0, 1);
}

static void inouts_are_restored_under_the_energy_counter(void **st) {
    (void)st;
    hone_driver *d = rig.device->driver, kept = *d;
    hone_arm arm = {&rig.bound, rig.program}, same = arm;
    hone_energy_config cfg = {.window_s = 0.2, .blocks = 1, .settle_s = 0.02};
    gpu_is("time=200 gapless=0");   // twenty runs in a chunk
    for (int form = 0; form < 3; form++) {
        hone_energy m;
        hone_err e = {0};
        if (form == 2)
            d->GraphLaunch = NULL;
        hone_code c = hone_measure_energy(&arm, form == 0 ? NULL : &same, rig.nvml, &cfg, &m, &e);
        *d = kept;
        if (c != HONE_OK)
            fail_msg("%s", e.msg);
        assert_int_equal(m.n, form == 0 ? 4 : 2);
        assert_true(m.a.mid > 0 && m.b.mid > 0 && !m.integrated && m.tick_s > 0);
        hone_energy_free(&m);
        for (unsigned s = 0; s < SETS; s++)
            after_runs(s, 1);
        reset(NULL);
    }
}

static void nothing_runs_without_readings(void **st) {
    (void)st;
    hone_arm arm = {&rig.bound, rig.program};
    hone_energy_config cfg = {.window_s = 0.2, .blocks = 1};
    hone_energy m;
    hone_err e = {0}, other = {0};
    setenv("HONE_FAKE_NVML", "no=nvmlDeviceGetTotalEnergyConsumption no=nvmlDeviceGetPowerUsage", 1);
    assert_int_equal(hone_measure_energy(&arm, NULL, rig.nvml, &cfg, &m, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "neither an energy counter nor a power reading"));
    assert_int_equal(hone_measure_energy(&arm, NULL, NULL, &cfg, &m, &other), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(other.msg, "NVML is not available"));
    for (unsigned s = 0; s < SETS; s++)
        after_runs(s, 0);
}

static void power_alone_is_integrated(void **st) {
    (void)st;
    hone_arm arm = {&rig.bound, rig.program};
    hone_energy_config cfg = {.window_s = 0.2, .blocks = 1, .settle_s = 0.02};
    hone_energy m;
    hone_err e = {0};
    gpu_is("time=200 gapless=0");
    setenv("HONE_FAKE_NVML", "watts=250 no=nvmlDeviceGetTotalEnergyConsumption", 1);
    if (hone_measure_energy(&arm, NULL, rig.nvml, &cfg, &m, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_true(m.integrated && fabs(m.power_a_w - 250) < 1e-6);
    hone_energy_free(&m);
}

static void restoring_needs_copies_in_a_stream(void **st) {
    (void)st;
    hone_driver *d = rig.device->driver, kept = *d;
    hone_arm arm = {&rig.bound, rig.program};
    hone_energy_config cfg = {.window_s = 0.2, .blocks = 1};
    hone_energy m;
    hone_err e = {0};
    d->MemcpyDtoDAsync = NULL;
    hone_code c = hone_measure_energy(&arm, NULL, rig.nvml, &cfg, &m, &e);
    *d = kept;
    assert_int_equal(c, HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "cannot copy in a stream"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(graphs_and_batches_leave_the_same, reset),
                                       cmocka_unit_test_setup(short_plans_are_timed_in_graphs, reset),
                                       cmocka_unit_test_setup(drivers_without_graphs, reset),
                                       cmocka_unit_test_setup(inouts_are_restored_under_the_energy_counter, reset),
                                       cmocka_unit_test_setup(nothing_runs_without_readings, reset),
                                       cmocka_unit_test_setup(power_alone_is_integrated, reset),
                                       cmocka_unit_test_setup(restoring_needs_copies_in_a_stream, reset)};
    return cmocka_run_group_tests(tests, set_up, close_rig);
}
