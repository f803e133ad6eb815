// gpu/: loading a driver, describing and opening a device, with every call made to fail in turn: a clear message, nothing left behind.
#include "gpu/device.h"
#include "gpu/toolkit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../fault/fake_driver.h"

static fake ctl;

static void a_driver_loads(void **s) {
    (void)s;
    hone_driver *d = NULL;
    hone_err e = {0};
    if (hone_driver_load(false, FAKE_PATH, &d, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(d->version, 13000);
    assert_non_null(d->LaunchKernel);
    assert_null(d->LaunchKernelEx);        // optional and absent
    assert_null(d->vgpu.SetOptions);
    assert_string_equal(hone_result_name(d, 700), "FAKE_ERROR_700");
    hone_device_info i;
    assert_int_equal(hone_device_describe(d, 0, &i, &e), HONE_OK);
    assert_string_equal(i.name, "Fake GPU");
    assert_int_equal(i.cc, 90);
    assert_int_equal(i.shared_per_block_optin, 101376);
    assert_true(i.has_bandwidth && i.bandwidth_gbs == 256);
    assert_false(i.has_clock_mhz);
    assert_int_equal(hone_device_describe(d, 3, &i, &e), HONE_E_NO_DEVICE);
    assert_non_null(strstr(e.msg, "no device 3"));
    hone_driver_free(d);
}

static void libraries_that_are_none(void **s) {
    (void)s;
    static const struct { const char *path, *part;
    } table[] = {{"/nowhere/libcuda.so", "/nowhere/libcuda.so"},
                 {"libm.so.6", "lacks the function 'cuInit'"},
                 {SOURCE_DIR "/CMakeLists.txt", "CMakeLists.txt"}};
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_driver *d = NULL;
        hone_err e = {0};
        assert_int_equal(hone_driver_load(false, table[i].path, &d, &e), HONE_E_NO_DEVICE);
        if (!strstr(e.msg, table[i].part))
            fail_msg("%s", e.msg);
    }
}

static void device_strings(void **s) {
    (void)s;
    static const struct { const char *spec; hone_code code;
    } table[] = {{"virtual:", HONE_E_USAGE}, {"cuda:x", HONE_E_USAGE},  {"cuda:", HONE_E_USAGE},
                 {"cuda:1x", HONE_E_USAGE},  {"cuda:-1", HONE_E_USAGE}, {"tpu", HONE_E_USAGE}};
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_device *d;
        hone_err e = {0};
        assert_int_equal(hone_device_open(table[i].spec, &d, &e), table[i].code);
        assert_true(e.msg[0] && e.hint[0]);
        assert_null(d);
    }
}

static void sticky_results(void **s) {
    (void)s;
    assert_true(hone_result_is_sticky(CUDA_ERROR_ILLEGAL_ADDRESS) && hone_result_is_sticky(CUDA_ERROR_ASSERT) &&
                hone_result_is_sticky(CUDA_ERROR_LAUNCH_TIMEOUT));
    assert_false(hone_result_is_sticky(CUDA_SUCCESS) || hone_result_is_sticky(CUDA_ERROR_OUT_OF_MEMORY) ||
                 hone_result_is_sticky(CUDA_ERROR_INVALID_VALUE) || hone_result_is_sticky(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES));
}

static void every_call_fails_in_turn(void **s) {
    (void)s;
    static const char *const calls[] = {"cuInit",          "cuDriverGetVersion",  "cuDeviceGetCount",    "cuDeviceGet",
                                        "cuDeviceGetName", "cuDeviceTotalMem_v2", "cuDeviceGetAttribute"};
    static const CUresult results[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_NO_DEVICE, CUDA_ERROR_UNKNOWN};
    for (size_t i = 0; i < HONE_COUNT(calls); i++)
        for (size_t k = 0; k < HONE_COUNT(results); k++) {
            hone_driver *d = NULL;
            hone_device_info info;
            hone_err e = {0};
            ctl.answer(calls[i], results[k], 1);
            hone_code c = hone_driver_load(false, FAKE_PATH, &d, &e);
            if (c == HONE_OK)
                c = hone_device_describe(d, 0, &info, &e);
            if (c == HONE_OK)
                fail_msg("%s failed unnoticed", calls[i]);
            assert_true(strlen(e.msg) > 10);
            hone_driver_free(d);
            ctl.answer(NULL, 0, 0);
        }
}

static void toolkits_by_what_they_hold(void **s) {
    (void)s;
    hone_toolkit t;
    char root[] = "/tmp/hone-test-toolkit-XXXXXX", command[900];
    assert_non_null(mkdtemp(root));
    assert_false(hone_toolkit_at(root, &t));
    snprintf(command, sizeof command, "cd %s && mkdir -p cuda_nvrtc/lib cuda_runtime/include && touch cuda_nvrtc/lib/libnvrtc.so.12 "
             "cuda_nvrtc/lib/libnvrtc.so.13 cuda_nvrtc/lib/libnvrtc-builtins.so.13.0", root);
    assert_int_equal(system(command), 0);
    assert_false(hone_toolkit_at(root, &t));   // no headers
    snprintf(command, sizeof command, "touch %s/cuda_runtime/include/cuda_fp16.h", root);
    assert_int_equal(system(command), 0);
    assert_true(hone_toolkit_at(root, &t));    // PyPI's layout
    assert_non_null(strstr(t.nvrtc, "cuda_nvrtc/lib/libnvrtc.so.13"));
    assert_int_equal(t.n_includes, 1);
    assert_non_null(strstr(t.includes[0], "cuda_runtime/include"));
    assert_string_equal(t.ptxas, "");
    hone_nvrtc *n;
    hone_err e = {0};
    assert_int_equal(hone_nvrtc_load(&t, &n, &e), HONE_E_NO_DEVICE);   // an empty file is no library
    assert_non_null(strstr(e.msg, "libnvrtc.so.13"));
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void) {
    if (!fake_open(&ctl)) {
        fprintf(stderr, "cannot load %s\n", FAKE_PATH);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_driver_loads),           cmocka_unit_test(libraries_that_are_none),
                                       cmocka_unit_test(device_strings),           cmocka_unit_test(sticky_results),
                                       cmocka_unit_test(every_call_fails_in_turn), cmocka_unit_test(toolkits_by_what_they_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
