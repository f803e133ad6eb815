// compile/ against the real NVRTC: results, diagnostics, the cubin reader against ptxas's own report, cache behaviour. Skips loudly without
// a toolkit.
#include "compile/compile.h"
#include "kernels.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

// ---- an entry that another put there. Each way leaves something at PATH where the true entry was; OTHER is a true entry of another source.
static char *slurp(const char *path, size_t *n) {
    char *data = NULL;
    assert_int_equal(hone_read_file(path, 64 << 20, &data, n, NULL), HONE_OK);
    return data;
}

static void put(const char *path, const char *data, size_t n) {
    unlink(path);
    assert_int_equal(hone_write_file(path, data, n, NULL), HONE_OK);
    assert_int_equal(chmod(path, 0600), 0);
}

static void other_entry(const char *path, const char *other) {
    size_t n;
    char *data = slurp(other, &n);
    put(path, data, n);
    hone_free(data);
}
static void cut_entry(const char *path, const char *other) {
    (void)other;
    size_t n;
    char *data = slurp(path, &n);
    put(path, data, n / 2);
    hone_free(data);
}
static void changed_entry(const char *path, const char *other) {
    (void)other;
    size_t n;
    char *data = slurp(path, &n);
    data[n / 2] ^= 1;
    put(path, data, n);
    hone_free(data);
}
static void empty_entry(const char *path, const char *other) {
    (void)other;
    put(path, "", 0);
}
static void open_to_others(const char *path, const char *other) {
    (void)other;
    assert_int_equal(chmod(path, 0666), 0);
}
static void symbolic_link(const char *path, const char *other) {
    (void)other;
    char target[400];
    snprintf(target, sizeof target, "%s.moved", path);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
}
static void hard_link(const char *path, const char *other) {
    (void)other;
    char second[400];
    snprintf(second, sizeof second, "%s.linked", path);
    assert_int_equal(link(path, second), 0);
}
static void named_pipe(const char *path, const char *other) {
    (void)other;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
}
static void of_another_user(const char *path, const char *other) {
    (void)other;
    if (chown(path, 12345, 12345) != 0)   // only root may give files away
        assert_int_equal(chmod(path, 0666), 0);
}

static const hone_compiled *compile_here(hone_compiler *c, const hone_source *src) {
    const hone_compiled *k;
    assert_int_equal(hone_compile(c, src, &k, NULL), HONE_OK);
    return k;
}

static void entry_of(const char *base, const hone_source *src, char path[300], char hash[HONE_HASH_HEX]) {
    hone_compiler *c = open_compiler(base);
    const hone_compiled *k = compile_here(c, src);
    snprintf(path, 300, "%s/compile/%s", base, k->key);
    memcpy(hash, k->ptx_hash, HONE_HASH_HEX);
    hone_compiled_release(c, k);
    hone_compiler_close(c);
}

static void a_poisoned_entry_is_compiled_again(void **s) {
    (void)s;
    static void (*const ways[])(const char *path, const char *other) = {other_entry, cut_entry, changed_entry, empty_entry, open_to_others, symbolic_link,
                                                                        hard_link, named_pipe, of_another_user};
    char base[200], path[300], other[300], hash[HONE_HASH_HEX], theirs[HONE_HASH_HEX];
    hone_source src = source_of(test_kernels[0]), evil = source_of("extern \"C\" __global__ void evil(int *p) { *p = 666; }\n");
    snprintf(base, sizeof base, "%s/poison", dir);
    entry_of(base, &evil, other, theirs);
    for (size_t i = 0; i < HONE_COUNT(ways); i++) {
        entry_of(base, &src, path, hash);
        ways[i](path, other);
        hone_compiler *c = open_compiler(base);
        const hone_compiled *k = compile_here(c, &src);
        if (k->from_cache || strcmp(k->ptx_hash, hash) != 0)
            fail_msg("way %zu: the entry was taken", i);
        hone_compiled_release(c, k);
        hone_compiler_close(c);
        c = open_compiler(base);   // and a good one took its place
        k = compile_here(c, &src);
        if (!k->from_cache)
            fail_msg("way %zu: no entry was put in its place", i);
        hone_compiled_release(c, k);
        hone_compiler_close(c);
    }
}

static void the_cache_is_its_owners_alone(void **s) {
    (void)s;
    char base[200], path[300], hash[HONE_HASH_HEX], folder[300];
    struct stat st;
    hone_source src = source_of(test_kernels[0]);
    snprintf(base, sizeof base, "%s/open", dir);
    snprintf(folder, sizeof folder, "%s/compile", base);
    assert_int_equal(hone_mkdirs(folder, NULL), HONE_OK);
    assert_int_equal(chmod(folder, 0777), 0);
    entry_of(base, &src, path, hash);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
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
        cmocka_unit_test(a_poisoned_entry_is_compiled_again),
        cmocka_unit_test(the_cache_is_its_owners_alone),
        cmocka_unit_test(disk_cache_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
