// Golden files: every tests/golden/task/NAME.cu must give exactly the diagnostics of NAME.txt. Set HONE_GOLDEN_WRITE=1 to write them anew.
#include "task/task.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void diagnose(const char *path, const char *name, hone_str *out) {
    char *text;
    size_t len;
    hone_err e = {0};
    hone_task *t;
    assert_int_equal(hone_read_file(path, 1u << 20, &text, &len, &e), HONE_OK);
    hone_diags d = {.arena = hone_arena_new(1u << 20)};
    hone_code c = hone_task_parse(name, text, len, &t, &d, &e);
    hone_diags_print(&d, name, text, len, out);
    hone_str_addf(out, "%s%s%s\n", hone_code_name(c), c ? ": " : "", e.msg);
    hone_task_free(c == HONE_OK ? t : NULL);
    hone_arena_free(d.arena);
    hone_free(text);
}

static void test_golden(void **s) {
    (void)s;
    DIR *dir = opendir(TESTS_DIR "/golden/task");
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *f; (f = readdir(dir));) {
        size_t k = strlen(f->d_name);
        if (k < 4 || strcmp(f->d_name + k - 3, ".cu") != 0)
            continue;
        char source[1024], expected[1024], *want;
        size_t len;
        snprintf(source, sizeof source, TESTS_DIR "/golden/task/%s", f->d_name);
        snprintf(expected, sizeof expected, TESTS_DIR "/golden/task/%.*s.txt", (int)(k - 3), f->d_name);
        hone_str got;
        hone_str_init(&got, 1u << 20);
        diagnose(source, f->d_name, &got);
        if (getenv("HONE_GOLDEN_WRITE"))
            assert_int_equal(hone_write_file(expected, got.s, got.len, NULL), HONE_OK);
        assert_int_equal(hone_read_file(expected, 1u << 20, &want, &len, NULL), HONE_OK);
        if (strcmp(got.s, want) != 0)
            print_error("%s:\n", f->d_name);
        assert_string_equal(got.s, want);
        hone_free(want);
        hone_str_free(&got);
        n++;
    }
    closedir(dir);
    assert_true(n >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
