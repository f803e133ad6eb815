// What a search's candidates are timed against, on the driver that presents the virtual GPU as physical: a session in this process, its jobs one after another.
// Skips loudly without a toolkit.
#include "evaluate/internal.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "#pragma hone size N=2048\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n"
#define KERNEL(bound, step)                                                                                                                                       \
    "extern \"C\" __global__ void scale(const float *x, float *y, int N) {\n"                                                                                     \
    "    for (int i = (blockIdx.x * blockDim.x + threadIdx.x) * " step "; i < " bound "; i++) if (i < N) y[i] = 2.0f * x[i] + 1.0f;\n}\n"
static const char baseline[] = HEAD "#pragma hone launch scale<<<1, 1>>>(x, y, N)\n" KERNEL("N", "N");
static const char fast[] = HEAD "#pragma hone tune BX={64,128}\n#pragma hone launch scale<<<cdiv(N,BX), BX>>>(x, y, N)\n" KERNEL("(blockIdx.x * blockDim.x + threadIdx.x) + 1", "1");
static const char other[] = HEAD "#pragma hone launch scale<<<cdiv(N,4*32), 32>>>(x, y, N)\n" KERNEL("(blockIdx.x * blockDim.x + threadIdx.x) * 4 + 4", "4");
static hone_session *session;

static json_t *evaluate(hone_job j) {
    hone_err e = {0};
    hone_report r;
    j.task_path = "scale.cu";
    j.task_text = baseline;
    j.seed = 1;
    j.stages = HONE_STAGE_DIFFERENTIAL | HONE_STAGE_TIME;
    j.timing_samples = 10;
    j.timing_enough = 0.01;
    assert_int_equal(hone_report_init(&r, &j, hone_clock_monotonic(), &e), HONE_OK);
    hone_evaluate_job(session, &j, &r);
    json_t *o = hone_report_finish(&r);
    hone_evaluate_release(session, &r);
    hone_report_free(&r);
    if (strcmp(json_string_value(json_object_get(o, "verdict")), "pass") != 0)
        fail_msg("%s", json_dumps(o, 0));
    return o;
}

static const json_t *size_of(const json_t *o, size_t i) { return json_array_get(json_object_get(json_object_get(o, "time"), "sizes"), i); }
static double number(const json_t *o, const char *a, const char *b) { return json_number_value(json_object_get(json_object_get(o, a), b)); }

static void the_best_takes_the_baselines_place(void **state) {
    (void)state;
    const hone_binding bx = {"BX", 128};
    json_t *first = evaluate((hone_job){.candidate_text = fast, .tuning = &bx, .n_tuning = 1});
    const double ratio = number(size_of(first, 0), "ratio", "median");
    assert_null(json_object_get(size_of(first, 0), "against"));
    assert_true(ratio > 4);
    json_t *direct = evaluate((hone_job){.candidate_text = other});
    hone_job j = {.candidate_text = other, .race_ratio = 2, .rival = {fast, &bx, 1, &ratio, 1}};
    for (int turn = 0; turn < 2; turn++) {   // the second finds it loaded
        json_t *o = evaluate(j);
        const json_t *z = size_of(o, 0), *d = size_of(direct, 0);
        assert_string_equal(json_string_value(json_object_get(json_object_get(z, "against"), "arm")), "best so far");
        assert_true(number(z, "against", "baseline_ratio") == ratio);
        const double a = number(z, "a_us", "median"), b = number(z, "b_us", "median"), r = number(z, "ratio", "median");
        assert_true(a < number(d, "a_us", "median") / 4);            // it was the rival that ran
        assert_true(fabs(r / (a / b * ratio) - 1) < 0.1);            // told in terms of the baseline
        assert_true(fabs(r / number(d, "ratio", "median") - 1) < 0.1);
        const double told = json_number_value(json_object_get(json_object_get(o, "time"), "baseline_us"));
        assert_true(fabs(told / json_number_value(json_object_get(json_object_get(direct, "time"), "baseline_us")) - 1) < 0.1);
        json_decref(o);
    }
    json_decref(direct);
    json_decref(first);
}

// Whatever is wrong with a rival, the baseline stands in, and the candidate is judged as ever.
static void a_rival_that_fails_is_left_out(void **state) {
    (void)state;
    const double ratios[2] = {5, 5};
    const hone_job jobs[] = {{.rival = {"no task at all", NULL, 0, ratios, 1}}, {.rival = {fast, NULL, 0, ratios, 2}}};
    for (size_t i = 0; i < HONE_COUNT(jobs); i++) {
        hone_job j = jobs[i];
        j.candidate_text = other;
        json_t *o = evaluate(j);
        assert_null(json_object_get(size_of(o, 0), "against"));
        json_decref(o);
    }
}

static int open_session(void) {
    hone_err e = {0};
    setenv("HONE_CUDA_DRIVER", BUILD_DIR "/fakegpu/libphysical.so", 1);
    setenv("HONE_FAKE_GPU", "scale=100000 noise=0 gapless=1 l2=65536", 1);   // so slow that emulating it is no time beside it
    setenv("HONE_VGPU_DEVICE", "a6000", 1);   // little of L2 to model
    hone_code c = hone_session_open("cuda:0", 1, false, &session, &e);
    if (c == HONE_OK)
        return 0;
    const bool no_toolkit = strstr(e.msg, "toolkit") != NULL;   // anything else that is missing is a failure
    print_message("%s: %s\n", no_toolkit ? "SKIPPED" : "FAILED", e.msg);
    return no_toolkit ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    hone_session_close(session);
    return 0;
}

int main(void) {
    const int failed = open_session();
    if (failed || !session)
        return failed;
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_best_takes_the_baselines_place), cmocka_unit_test(a_rival_that_fails_is_left_out)};
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
