// Errors, strings, spans, edit distance.
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void first_error_wins(void **state) {
    (void)state;
    hone_err e = {0};
    assert_int_equal(hone_fail(&e, HONE_E_IO, 5, "cannot read '%s'", "a"), HONE_E_IO);
    assert_int_equal(hone_fail(&e, HONE_E_PARSE, 0, "later"), HONE_E_PARSE);
    assert_int_equal(e.code, HONE_E_IO);
    assert_int_equal(e.sub, 5);
    assert_string_equal(e.msg, "cannot read 'a'");
    assert_int_equal(hone_hint(&e, "try %d", 1), HONE_E_IO);
    hone_hint(&e, "ignored");
    assert_string_equal(e.hint, "try 1");
    hone_err_clear(&e);
    assert_int_equal(e.code, HONE_OK);
    assert_int_equal(hone_fail(NULL, HONE_E_LIMIT, 0, "x"), HONE_E_LIMIT);
}

static void every_code_has_a_name(void **state) {
    (void)state;
    for (int c = HONE_OK; c <= HONE_E_INTERNAL; c++)
        assert_string_not_equal(hone_code_name((hone_code)c), "unknown");
    assert_string_equal(hone_code_name((hone_code)999), "unknown");
}

static void strings_grow_up_to_their_maximum(void **state) {
    (void)state;
    hone_str s;
    hone_str_init(&s, 10);
    assert_string_equal(s.s, "");
    hone_str_addf(&s, "%s-%d", "ab", 12);
    hone_str_addc(&s, '!');
    assert_string_equal(s.s, "ab-12!");
    hone_str_add(&s, "12345");   // 11 bytes in all
    assert_true(s.failed);
    hone_err e = {0};
    assert_int_equal(hone_str_check(&s, "a test", &e), HONE_E_LIMIT);
    assert_string_equal(s.s, "ab-12!");
    hone_str_clear(&s);
    assert_false(s.failed);
    hone_str_add(&s, "0123456789");
    assert_int_equal(hone_str_check(&s, "a test", &e), HONE_OK);
    char *taken = hone_str_take(&s);
    assert_string_equal(taken, "0123456789");
    assert_string_equal(s.s, "");
    hone_free(taken);
    hone_str_free(&s);
}

static void taking_an_empty_string_gives_an_owned_copy(void **state) {
    (void)state;
    hone_str s;
    hone_str_init(&s, 10);
    char *taken = hone_str_take(&s);
    assert_string_equal(taken, "");
    hone_free(taken);
}

static void spans_and_distances(void **state) {
    (void)state;
    assert_true(hone_span_eq((hone_span){"abcd", 3}, "abc"));
    assert_false(hone_span_eq((hone_span){"abcd", 3}, "abcd"));
    assert_int_equal(hone_edit_distance("launch", "lanch", 2), 1);
    assert_int_equal(hone_edit_distance("size", "sizes", 2), 1);
    assert_int_equal(hone_edit_distance("", "ab", 2), 2);
    assert_int_equal(hone_edit_distance("kitten", "sitting", 2), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(strings_grow_up_to_their_maximum),
        cmocka_unit_test(taking_an_empty_string_gives_an_owned_copy),
        cmocka_unit_test(spans_and_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
