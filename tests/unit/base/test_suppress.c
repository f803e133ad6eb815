// Suppression files: patterns, missing fields, comments, errors with their line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/base.h"
#include "base/suppress.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static hone_code load(const char *text, hone_suppressions **s, hone_err *e) {
    char path[] = "/tmp/hone-suppress-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    const hone_code c = hone_suppressions_load(path, s, e);
    unlink(path);
    return c;
}

static void patterns_match_and_missing_fields_match_all(void **state) {
    (void)state;
    hone_suppressions *s = NULL;
    hone_err e = {0};
    assert_int_equal(load("# known\n\n race.shared : reduce* :*.cu: 15  # old\nbarrier.*\n:helper::\n", &s, &e), HONE_OK);
    assert_true(hone_suppressed(s, "race.shared", "reduce_max", "dir/a.cu", 15));
    assert_false(hone_suppressed(s, "race.shared", "reduce_max", "dir/a.cu", 16));
    assert_false(hone_suppressed(s, "race.global", "reduce_max", "dir/a.cu", 15));
    assert_false(hone_suppressed(s, "race.shared", "scan", "dir/a.cu", 15));
    assert_true(hone_suppressed(s, "barrier.exited", NULL, NULL, 0));
    assert_true(hone_suppressed(s, "memory.misaligned", "helper", "x.cu", 3));
    assert_false(hone_suppressed(NULL, "barrier.exited", "k", "x.cu", 1));
    hone_suppressions_free(s);
}

static void a_bad_line_is_named(void **state) {
    (void)state;
    hone_suppressions *s = NULL;
    hone_err e = {0};
    assert_int_equal(load("barrier.*\nrace.*:k:f.cu:many\n", &s, &e), HONE_E_PARSE);
    assert_non_null(strstr(e.msg, ":2:"));
    hone_err_clear(&e);
    assert_int_equal(hone_suppressions_load("/nonexistent/file", &s, &e), HONE_E_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns_match_and_missing_fields_match_all), cmocka_unit_test(a_bad_line_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
