// measure/ on the fake driver: the ABBA protocol's bookkeeping, verdicts, and every driver call failing in turn without a leak.
#include "measure/measure.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../fault/fake_driver.h"

static fake ctl;
static hone_arg args[3] = {{.name = "A", .role = HONE_IN, .type = HONE_FLOAT, .init = {.kind = HONE_INIT_ZEROS}},
                           {.name = "B", .role = HONE_OUT, .type = HONE_FLOAT},
                           {.name = "T", .role = HONE_SCRATCH, .type = HONE_FLOAT}};
static hone_plan_buffer buffers[3];
static hone_plan_arg launch_args[2] = {{.buffer = 0, .bytes = 8}, {.buffer = 1, .bytes = 8}};
static hone_plan_launch launch = {.kernel = "k", .grid = {1, 1, 1}, .block = {32, 1, 1}, .args = launch_args, .n_args = 2};
static hone_sizes no_sizes;
static hone_plan plan = {.sizes = &no_sizes, .buffers = buffers, .n_buffers = 3, .launches = &launch, .n_launches = 1};
static hone_kernel_info kernel = {.name = "k"};
static hone_compiled compiled = {.ok = true, .ptx = "", .cubin = "x", .cubin_len = 1, .kernels = &kernel, .n_kernels = 1};

static double ticks;
static double tick(void *self) {
    (void)self;
    return ticks += 0.01;
}

typedef struct rig { hone_driver *driver; hone_device device; } rig;

static hone_code open_rig(rig *r, hone_err *e) {
    *r = (rig){0};
    for (size_t i = 0; i < 3; i++)
        buffers[i] = (hone_plan_buffer){.arg = &args[i], .dims = {16}, .n_dims = 1, .n_elems = 16, .bytes = 64};
    plan.total_bytes = 192;
    HONE_TRY(hone_driver_load(false, FAKE_PATH, &r->driver, e));
    r->device = (hone_device){.driver = r->driver, .borrowed_driver = true};
    return hone_device_describe(r->driver, 0, &r->device.info, e);
}

static hone_code measure_all(rig *r, unsigned sets, const hone_pair_config *cfg, hone_pair *out, hone_err *e) {
    hone_workload *w = NULL;
    hone_bound b = {0};
    hone_program *p = NULL;
    hone_code c = hone_workload_open(&r->device, &plan, 1, sets, 2, &w, e);
    if (c == HONE_OK)
        c = hone_program_load(&r->device, &compiled, &plan, &p, e);
    if (c == HONE_OK)
        c = hone_bound_make(w, &plan, &b, e);
    if (c == HONE_OK) {
        hone_arm arm = {&b, p}, other = arm;
        c = hone_measure_pair(&arm, &other, cfg, out, e);
    }
    hone_bound_free(&b);
    hone_program_free(p);
    hone_workload_close(w);
    return c;
}

static void samples_come_in_blocks(void **s) {
    (void)s;
    rig r;
    hone_pair p;
    hone_err e = {0};
    if (open_rig(&r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    ctl.event_ms(0.05f);
    hone_pair_config cfg = {.samples = 35, .warmup_launches = 3, .warmup_s = -1, .clock = {tick, NULL}};
    if (measure_all(&r, 2, &cfg, &p, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(p.n, 40);   // whole blocks of 2×5
    assert_int_equal(p.batch, 1);
    assert_true(fabs(p.a.mid - 50) < 1e-3 && fabs(p.ratio.mid - 1) < 1e-6);
    assert_int_equal(hone_speed_of(&p.ratio), HONE_SAME);
    json_t *j = hone_pair_json(&p, true);
    assert_int_equal(json_array_size(json_object_get(j, "b_samples_us")), 40);
    json_decref(j);
    hone_pair_free(&p);
    assert_true(fake_nothing_left(&ctl));
    hone_driver_free(r.driver);
}

// Samples of equal arms all agree: one block of ten decides, unless nothing was asked that it could decide; two pairs do for what takes twice the best's time.
static void a_decided_pair_stops(void **s) {
    (void)s;
    static const struct { double race_ratio, enough; size_t n; bool raced_out; } rows[] = {
        {0, 0, 40, false}, {0, 0.002, 10, false}, {1.5, 0, 10, true}, {0.9, 0, 40, false}, {1.5, 0.002, 10, true}, {2.5, 0, 2, true}, {2.5, 0.002, 2, true}, {1.9, 0, 10, true}};
    ctl.event_ms(0.05f);
    for (size_t i = 0; i < HONE_COUNT(rows); i++) {
        rig r;
        hone_pair p;
        hone_err e = {0};
        assert_int_equal(open_rig(&r, &e), HONE_OK);
        hone_pair_config cfg = {.warmup_launches = 2, .warmup_s = -1, .clock = {tick, NULL}, .race_ratio = rows[i].race_ratio, .enough = rows[i].enough};
        assert_int_equal(measure_all(&r, 2, &cfg, &p, &e), HONE_OK);
        assert_int_equal(p.n, rows[i].n);
        assert_int_equal(p.raced_out, rows[i].raced_out);
        hone_pair_free(&p);
        hone_driver_free(r.driver);
    }
}

static void short_kernels_are_batched(void **s) {
    (void)s;
    rig r;
    hone_pair p;
    hone_err e = {0};
    assert_int_equal(open_rig(&r, &e), HONE_OK);
    ctl.event_ms(0.008f);   // 8 µs: under 10
    hone_pair_config cfg = {.samples = 10, .warmup_launches = 2, .warmup_s = -1, .clock = {tick, NULL}};
    assert_int_equal(measure_all(&r, 8, &cfg, &p, &e), HONE_OK);
    assert_int_equal(p.batch, 8);
    assert_true(fabs(p.a.mid - 1) < 1e-3);   // 8 µs over 8 runs
    hone_pair_free(&p);
    ctl.event_ms(0.05f);
    hone_driver_free(r.driver);
}

static void every_call_fails_in_turn(void **s) {
    (void)s;
    static const char *const calls[] = {"cuMemAlloc_v2",    "cuMemcpyHtoD_v2", "cuModuleLoadDataEx", "cuModuleGetFunction",
                                        "cuStreamCreate",   "cuEventCreate",   "cuMemsetD8_v2",      "cuLaunchKernel",
                                        "cuCtxSynchronize", "cuEventRecord",   "cuEventSynchronize", "cuEventElapsedTime"};
    static const CUresult results[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_LAUNCH_FAILED};
    for (size_t i = 0; i < HONE_COUNT(calls); i++)
        for (size_t k = 0; k < HONE_COUNT(results); k++)
            for (long from = 1; from <= 3; from += 2) {
                rig r;
                hone_pair p;
                hone_err e = {0};
                assert_int_equal(open_rig(&r, &e), HONE_OK);
                hone_pair_config cfg = {.samples = 10, .warmup_launches = 2, .warmup_s = -1, .clock = {tick, NULL}};
                ctl.answer(calls[i], results[k], from);
                hone_code c = measure_all(&r, 2, &cfg, &p, &e);
                ctl.answer(NULL, 0, 0);
                if (c == HONE_OK) {   // the third call of what is called once or twice
                    hone_pair_free(&p);
                    assert_true(from == 3);
                } else {
                    char number[20];
                    snprintf(number, sizeof number, "%d", results[k]);
                    assert_non_null(strstr(e.msg, number));
                    assert_int_equal(e.sub, results[k]);
                }
                if (!fake_nothing_left(&ctl))
                    fail_msg("%s leaves something behind", calls[i]);
                hone_driver_free(r.driver);
            }
}

static void verdicts(void **s) {
    (void)s;
    static const struct { double lo, mid, hi; hone_speed v; } table[] = {
        {1.01, 1.02, 1.03, HONE_FAST}, {0.9, 0.95, 0.99, HONE_SLOW}, {0.999, 1, 1.001, HONE_SAME}, {0.99, 1.02, 1.05, HONE_AMBIGUOUS},
        {1.001, 1.02, 1.05, HONE_AMBIGUOUS}};
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        assert_int_equal(hone_speed_of(&(hone_interval){table[i].lo, table[i].mid, table[i].hi}), table[i].v);
    assert_int_equal(hone_speed_modelled(100, 50, 0.25), HONE_FAST);
    assert_int_equal(hone_speed_modelled(100, 90, 0.25), HONE_AMBIGUOUS);
    assert_int_equal(hone_speed_modelled(100, 100, 0.25), HONE_SAME);
    assert_int_equal(hone_speed_modelled(100, 200, 0.25), HONE_SLOW);
    assert_int_equal(hone_speed_modelled(100, 0, 0.25), HONE_AMBIGUOUS);
}

static void rotation(void **s) {
    (void)s;
    hone_plan p = {.total_bytes = 1 << 20};
    assert_int_equal(hone_workload_sets_for(&p, (size_t)50 << 20, 3, (size_t)1 << 30), HONE_MAX_SETS);
    assert_int_equal(hone_workload_sets_for(&p, (size_t)5 << 20, 3, (size_t)1 << 30), 15);
    assert_int_equal(hone_workload_sets_for(&p, (size_t)5 << 20, 3, (size_t)4 << 20), 4);
    p.total_bytes = (size_t)2 << 30;
    assert_int_equal(hone_workload_sets_for(&p, (size_t)50 << 20, 3, (size_t)1 << 30), 1);
}

// ---- racing

static double speeds[2] = {1, 1}, base_ms, scatter;
static hone_rng noise;
static float by_image(void *self, const void *image) {
    (void)self;
    return (float)(base_ms / *(const double *)image * exp(scatter * hone_rng_normal(&noise)));
}

static hone_pair race(double speed, double ratio, double enough) {
    rig r;
    hone_pair p;
    hone_err e = {0};
    hone_workload *w = NULL;
    hone_bound b = {0};
    hone_program *one[2] = {NULL, NULL};
    hone_compiled image[2] = {compiled, compiled};
    hone_pair_config cfg = {.samples = 40, .warmup_launches = 2, .warmup_s = -1, .clock = {tick, NULL}, .race_ratio = ratio, .enough = enough};
    speeds[1] = speed;
    hone_rng_init(&noise, 17, 0);
    assert_int_equal(open_rig(&r, &e), HONE_OK);
    assert_int_equal(hone_workload_open(&r.device, &plan, 1, 2, 2, &w, &e), HONE_OK);
    assert_int_equal(hone_bound_make(w, &plan, &b, &e), HONE_OK);
    for (int i = 0; i < 2; i++) {
        image[i].cubin = (void *)&speeds[i];
        assert_int_equal(hone_program_load(&r.device, &image[i], &plan, &one[i], &e), HONE_OK);
    }
    ctl.event_source(by_image, NULL);
    if (hone_measure_pair(&(hone_arm){&b, one[0]}, &(hone_arm){&b, one[1]}, &cfg, &p, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    ctl.event_source(NULL, NULL);
    for (int i = 0; i < 2; i++)
        hone_program_free(one[i]);
    hone_bound_free(&b);
    hone_workload_close(w);
    hone_driver_free(r.driver);
    return p;
}

static void what_is_decided_is_timed_no_further(void **s) {
    (void)s;
    static const struct { double speed, best; size_t at_least, at_most; bool raced, extended; } table[] = {
        {1.1, 1.2, 10, 10, true, false},        // certainly slower than the best
        {1.19, 1.2, 40, 40, false, false},      // within 2 % of it: as many as anybody
        {1.2005, 1.2, 41, 160, false, true},    // looks better, but not for certain
        {1.3, 1.2, 40, 40, false, false},       // certainly better
        {1.1, 0, 40, 40, false, false},         // no race
    };
    base_ms = 0.05;
    scatter = 0.002;
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_pair p = race(table[i].speed, table[i].best, 0);
        if (p.n < table[i].at_least || p.n > table[i].at_most || p.raced_out != table[i].raced || p.extended != table[i].extended)
            fail_msg("speed %g against %g: %zu pairs, raced out %d, extended %d", table[i].speed, table[i].best, p.n, p.raced_out, p.extended);
        assert_true(fabs(p.ratio.mid - table[i].speed) < 0.004);
        json_t *j = hone_pair_json(&p, false);
        assert_int_equal(json_is_true(json_object_get(j, "raced_out")), table[i].raced);
        assert_int_equal(json_is_true(json_object_get(j, "extended")), table[i].extended);
        json_decref(j);
        hone_pair_free(&p);
    }
}

// A search of slow kernels: their samples are steady and dear.
static void a_search_is_soon_content(void **s) {
    (void)s;
    static const struct { double base_ms, scatter, speed, best; size_t least, most; bool raced; } table[] = {
        {50, 0.0005, 1, 1, 2, 2, false},          // as fast as the best: nothing to gain
        {50, 0.0005, 1.1, 1.2, 2, 2, true},       // steadily slower
        {50, 0.0002, 1.3, 1.2, 4, 4, false},      // better: known to 0.2 %
        {50, 0.01, 1.195, 1.2, 10, 160, false},   // scattered: what it can gain is not known so soon
        {0.05, 0.0002, 1.005, 1, 10, 10, false},  // a gain that is not worth more samples than a block
        {0.05, 0.003, 1, 1, 10, 10, false},       // scattered, and yet no pair of ten gains a hundredth
        {50, 0.0005, 0.05, 1, 1, 1, true},        // its first run took a second, the best's 50 ms
        {0.05, 0.0005, 0.05, 1, 2, 2, true},      // such a first run may have loaded the code
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        base_ms = table[i].base_ms;
        scatter = table[i].scatter;
        hone_pair p = race(table[i].speed, table[i].best, 0.002);
        if (p.n < table[i].least || p.n > table[i].most || p.raced_out != table[i].raced)
            fail_msg("row %zu: %zu pairs, raced out %d", i, p.n, p.raced_out);
        assert_true(fabs(p.ratio.mid / table[i].speed - 1) < 0.004);
        hone_pair_free(&p);
    }
}

int main(void) {
    if (!fake_open(&ctl)) {
        fprintf(stderr, "cannot load %s\n", FAKE_PATH);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(samples_come_in_blocks), cmocka_unit_test(a_decided_pair_stops), cmocka_unit_test(short_kernels_are_batched),
                                       cmocka_unit_test(every_call_fails_in_turn), cmocka_unit_test(verdicts), cmocka_unit_test(rotation),
                                       cmocka_unit_test(what_is_decided_is_timed_no_further),
                                       cmocka_unit_test(a_search_is_soon_content)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
