// compile/ against the real NVRTC: results, diagnostics, the cubin reader against ptxas's own report, cache behaviour. Skips loudly without
// a toolkit.
#include "compile/compile.h"
#include "kernels.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/hone-test-compile-XXXXXX";

static hone_compiler *open_compiler(const char *cache) {
    hone_compiler *c = NULL;
    hone_err e = {0};
    hone_compiler_config cfg = {.cache_dir = cache};
    if (hone_compiler_open(&cfg, &c, &e) != HONE_OK) {
        print_message("SKIPPED: %s\n", e.msg);
        skip();
    }
    return c;
}

static hone_source source_of(const char *text) {
    return (hone_source){.name = "/some/where/k.cu", .text = text, .len = strlen(text), .cc = 90};
}

static void one_compilation_gives_both(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    const hone_compiled *k;
    hone_err e = {0};
    hone_source src = source_of(test_kernels[0]);
    assert_int_equal(hone_compile(c, &src, &k, &e), HONE_OK);
    assert_true(k->ok && k->ptx_len > 100 && k->cubin_len > 100);
    assert_non_null(strstr(k->ptx, ".target sm_90"));
    assert_non_null(strstr(k->ptx, ".loc"));
    assert_string_equal(k->log, "");   // neither the unknown pragma nor ptxas's statistics are shown
    assert_int_equal(k->n_diags, 0);
    assert_non_null(hone_compiled_kernel(k, "copy"));
    assert_null(hone_compiled_kernel(k, "cop"));
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void cubin_agrees_with_ptxas(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    unsigned compared = 0, spilled = 0;
    for (size_t i = 0; i < HONE_COUNT(test_kernels); i++) {
        const hone_compiled *k;
        hone_err e = {0};
        hone_source src = source_of(test_kernels[i]);
        if (hone_compile(c, &src, &k, &e) != HONE_OK)
            fail_msg("%s", e.msg);
        hone_kernel_info *own;
        size_t n;
        assert_int_equal(hone_cubin_kernels(k->cubin, k->cubin_len, &own, &n, &e), HONE_OK);
        assert_int_equal(n, k->n_kernels);
        for (size_t j = 0; j < n; j++) {
            assert_true(k->kernels[j].has_spills);   // came from ptxas's report
            assert_string_equal(own[j].name, k->kernels[j].name);
            assert_int_equal(own[j].registers, k->kernels[j].registers);
            assert_int_equal(own[j].static_shared_bytes, k->kernels[j].static_shared_bytes);
            spilled += k->kernels[j].spill_store_bytes > 0;
            compared++;
        }
        hone_free(own);
        hone_compiled_release(c, k);
    }
    assert_int_equal(compared, 5);
    assert_true(spilled >= 1);
    hone_compiler_close(c);
}

static void mangled_names_are_found(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    const hone_compiled *k;
    hone_source src = source_of(test_kernels[1]);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_non_null(hone_compiled_kernel(k, "plain"));
    assert_string_equal(hone_compiled_kernel(k, "plain")->name, "_Z5plainPi");
    assert_int_equal(hone_compiled_kernel(k, "tile")->static_shared_bytes, 333 * 4);
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void errors_have_places(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    const hone_compiled *k;
    hone_err e = {0};
    hone_source src = source_of("extern \"C\" __global__ void f(int *p) {\n    int unused;\n    p[0] = bad;\n}\n");
    assert_int_equal(hone_compile(c, &src, &k, &e), HONE_E_COMPILE);
    assert_non_null(k);
    assert_false(k->ok);
    assert_string_equal(e.msg, "k.cu:3:12: identifier \"bad\" is undefined");
    assert_non_null(strstr(k->log, "identifier"));
    bool warned = false;
    for (size_t i = 0; i < k->n_diags; i++)
        warned = warned || (!k->diags[i].is_error && k->diags[i].line == 2 && k->diags[i].col == 9);
    assert_true(warned);
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void too_much_shared_memory_is_a_compile_error(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    const hone_compiled *k;
    hone_err e = {0};
    hone_source src = source_of("extern \"C\" __global__ void f(float *p) {\n __shared__ float s[20000]; s[threadIdx.x] = p[0]; "
                                "__syncthreads(); p[1] = s[9];\n}\n");
    assert_int_equal(hone_compile(c, &src, &k, &e), HONE_E_COMPILE);
    if (!strstr(e.msg, "shared data"))
        fail_msg("%s", e.msg);
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void flags_have_a_list(void **s) {
    (void)s;
    static const char *const good[] = {"--use_fast_math", "-use_fast_math",      "-maxrregcount=64", "--fmad=false",
                                       "--std=c++20",     "--ptxas-options=-O2", "-Xptxas=-dlcm=ca"};
    static const char *const bad[] = {"-I/etc",
                                      "--include-path=/etc",
                                      "--pre-include=/etc/passwd",
                                      "-DX=1",
                                      "maxrregcount=3",
                                      "-maxrregcount",
                                      "-maxrregcount=",
                                      "-maxrregcount=6 4",
                                      "--ptxas-options=--def-load-cache=ca,--x",
                                      "---fmad=true",
                                      "--use_fast_math=1",
                                      "",
                                      "-",
                                      "--std=/etc/passwd"};
    for (size_t i = 0; i < HONE_COUNT(good); i++)
        assert_true(hone_flag_allowed(good[i]));
    for (size_t i = 0; i < HONE_COUNT(bad); i++)
        assert_false(hone_flag_allowed(bad[i]));
    hone_compiler *c = open_compiler("");
    const hone_compiled *k;
    hone_err e = {0};
    hone_source src = source_of(test_kernels[0]);
    const char *const flags[] = {"-I/etc"};
    src.flags = flags;
    src.n_flags = 1;
    assert_int_equal(hone_compile(c, &src, &k, &e), HONE_E_USAGE);
    assert_null(k);
    hone_compiler_close(c);
}

static void tuning_and_flags_change_the_result(void **s) {
    (void)s;
    hone_compiler *c = open_compiler("");
    const char *text = "extern \"C\" __global__ void f(float *p) {\n#pragma unroll\n for (int i = 0; i < UNROLL; i++) p[i * 7] += 1; }\n";
    hone_source src = source_of(text);
    char hash[2][HONE_HASH_HEX], key[2][HONE_HASH_HEX];
    for (int i = 0; i < 2; i++) {
        hone_binding b = {"UNROLL", i ? 2 : 8};
        src.tuning = &b;
        src.n_tuning = 1;
        const hone_compiled *k;
        assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
        strcpy(hash[i], k->ptx_hash);
        strcpy(key[i], k->key);
        hone_compiled_release(c, k);
    }
    assert_string_not_equal(hash[0], hash[1]);
    assert_string_not_equal(key[0], key[1]);
    hone_compiler_close(c);
}

static void disk_cache_survives_and_ignores_damage(void **s) {
    (void)s;
    char key[HONE_HASH_HEX], path[300];
    hone_source src = source_of(test_kernels[2]);
    const hone_compiled *k;
    hone_compiler *c = open_compiler(dir);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_false(k->from_cache);
    strcpy(key, k->key);
    uint32_t spills = k->kernels[0].spill_store_bytes;
    hone_compiled_release(c, k);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_true(k->from_cache);   // in memory
    hone_compiled_release(c, k);
    hone_compiler_close(c);

    c = open_compiler(dir);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_true(k->from_cache);   // on disk
    assert_int_equal(k->kernels[0].spill_store_bytes, spills);
    hone_compiled_release(c, k);
    hone_compiler_close(c);

    snprintf(path, sizeof path, "%s/compile/%s", dir, key);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, 300, SEEK_SET);
    fputc('!', f);
    fclose(f);
    c = open_compiler(dir);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_false(k->from_cache);   // damaged: compiled again
    hone_compiled_release(c, k);
    hone_compiler_close(c);
    assert_int_equal(truncate(path, 20), 0);
    c = open_compiler(dir);
    assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
    assert_false(k->from_cache);
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void disk_cache_is_bounded(void **s) {
    (void)s;
    char bounded[300], list[400];
    snprintf(bounded, sizeof bounded, "%s/bounded", dir);
    hone_compiler *c;
    hone_err e = {0};
    hone_compiler_config cfg = {.cache_dir = bounded, .max_disk_bytes = 64 << 10};
    if (hone_compiler_open(&cfg, &c, &e) != HONE_OK)
        skip();
    for (int i = 0; i < 12; i++) {
        hone_binding b = {"V", i};
        hone_source src = source_of("extern \"C\" __global__ void f(int *p) { p[threadIdx.x] = V; }\n");
        src.tuning = &b;
        src.n_tuning = 1;
        const hone_compiled *k;
        assert_int_equal(hone_compile(c, &src, &k, NULL), HONE_OK);
        hone_compiled_release(c, k);
    }
    hone_compiler_close(c);
    snprintf(list, sizeof list, "test $(cat %s/compile/* | wc -c) -le %d", bounded, 80 << 10);
    assert_int_equal(system(list), 0);
}

static int make_dir(void **s) {
    (void)s;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **s) {
    (void)s;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_compilation_gives_both),
        cmocka_unit_test(cubin_agrees_with_ptxas),
        cmocka_unit_test(mangled_names_are_found),
        cmocka_unit_test(errors_have_places),
        cmocka_unit_test(too_much_shared_memory_is_a_compile_error),
        cmocka_unit_test(flags_have_a_list),
        cmocka_unit_test(tuning_and_flags_change_the_result),
        cmocka_unit_test(disk_cache_survives_and_ignores_damage),
        cmocka_unit_test(disk_cache_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
