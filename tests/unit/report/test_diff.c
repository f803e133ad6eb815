// Line diffs: applying the script to one text gives the other, for random texts too; and the unified rendering looks as people know it.
#include "report/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

// Rebuilds both texts from the script; lines of SAME edits must be equal.
static void assert_script_rebuilds(const char *a, const char *b) {
    hone_line_diff d;
    assert_int_equal(hone_line_diff_make(a, b, &d, NULL), HONE_OK);
    size_t i = 0, j = 0, removed = 0, added = 0;
    for (size_t k = 0; k < d.n; k++) {
        const hone_edit *x = &d.v[k];
        if (x->kind != HONE_EDIT_ADDED)
            assert_int_equal(x->a, i++);
        if (x->kind != HONE_EDIT_REMOVED)
            assert_int_equal(x->b, j++);
        if (x->kind == HONE_EDIT_SAME) {
            assert_int_equal(d.a[x->a].n, d.b[x->b].n);
            assert_memory_equal(d.a[x->a].s, d.b[x->b].s, d.a[x->a].n);
        }
        if (k && x->kind == HONE_EDIT_REMOVED)
            assert_int_not_equal(d.v[k - 1].kind, HONE_EDIT_ADDED);   // removed lines of a change come first
        removed += x->kind == HONE_EDIT_REMOVED;
        added += x->kind == HONE_EDIT_ADDED;
    }
    assert_int_equal(i, d.n_a);
    assert_int_equal(j, d.n_b);
    assert_int_equal(removed, d.removed);
    assert_int_equal(added, d.added);
    hone_line_diff_free(&d);
}

static void fixed_texts(void **state) {
    (void)state;
    static const char *const texts[] = {"",          "a\n",   "a", "\n", "\n\n", "a\nb\nc\n", "b\nc\nd\n", "x\na\nb\nc\n", "a\nb\nc\nx\n",
                                        "c\nb\na\n", "a\nc\n"};
    for (size_t i = 0; i < HONE_COUNT(texts); i++)
        for (size_t j = 0; j < HONE_COUNT(texts); j++)
            assert_script_rebuilds(texts[i], texts[j]);
}

static void random_texts(void **state) {
    (void)state;
    hone_rng r;
    hone_rng_init(&r, 1, 2);
    for (int round = 0; round < 300; round++) {
        char text[2][256];
        for (int k = 0; k < 2; k++) {
            size_t lines = hone_rng_below(&r, 30), n = 0;
            for (size_t i = 0; i < lines; i++) {
                text[k][n++] = (char)('a' + hone_rng_below(&r, 4));
                text[k][n++] = '\n';
            }
            text[k][n] = 0;
        }
        assert_script_rebuilds(text[0], text[1]);
    }
}

static void shortest_script(void **state) {
    (void)state;
    hone_line_diff d;   // the example of Myers' paper: abcabba → cbabac takes 5 edits
    assert_int_equal(hone_line_diff_make("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", &d, NULL), HONE_OK);
    assert_int_equal(d.added + d.removed, 5);
    hone_line_diff_free(&d);
}

static void far_apart_texts_are_replaced(void **state) {
    (void)state;
    hone_str a, b;
    hone_str_init(&a, 1 << 20);
    hone_str_init(&b, 1 << 20);
    hone_str_add(&a, "head\n");
    hone_str_add(&b, "head\n");
    for (int i = 0; i < 2000; i++) {
        hone_str_addf(&a, "a%d\n", i);
        hone_str_addf(&b, "b%d\n", i);
    }
    assert_script_rebuilds(a.s, b.s);
    hone_str_free(&a);
    hone_str_free(&b);
}

static void assert_unified(const char *a, const char *b, unsigned context, const char *expected) {
    hone_str out;
    hone_str_init(&out, 1 << 16);
    assert_int_equal(hone_report_diff(a, b, "old", "new", context, false, &out, NULL), HONE_OK);
    assert_string_equal(out.s, expected);
    hone_str_free(&out);
}

static void unified(void **state) {
    (void)state;
    assert_unified("a\nb\n", "a\nb\n", 3, "");
    assert_unified("a\nb\nc\n", "a\nB\nc\n", 3, "--- old\n+++ new\n@@ -1,3 +1,3 @@\n1 1   a\n2   - b\n  2 + B\n3 3   c\n");
    assert_unified("a\n", "", 3, "--- old\n+++ new\n@@ -1,1 +0,0 @@\n1   - a\n");
    // two changes far apart: two hunks; with more context: one
    assert_unified("1\n2\n3\n4\n5\n6\n", "1\nx\n3\n4\n5\ny\n", 1,
                   "--- old\n+++ new\n@@ -1,3 +1,3 @@\n1 1   1\n2   - 2\n  2 + x\n3 3   3\n@@ -5,2 +5,2 @@\n5 5   5\n6   - 6\n  6 + y\n");
    assert_unified("1\n2\n3\n4\n", "1\nx\n3\ny\n", 1,
                   "--- old\n+++ new\n@@ -1,4 +1,4 @@\n1 1   1\n2   - 2\n  2 + x\n3 3   3\n4   - 4\n  4 + y\n");
}

static void colour_and_bounds(void **state) {
    (void)state;
    hone_str out;
    hone_str_init(&out, 1 << 16);
    assert_int_equal(hone_report_diff("a\n", "b\n", "old", "new", 3, true, &out, NULL), HONE_OK);
    assert_non_null(strstr(out.s, "\033[31m1   - a\033[0m\n"));
    assert_non_null(strstr(out.s, "\033[32m  1 + b\033[0m\n"));
    hone_str_free(&out);
    hone_str_init(&out, 20);
    hone_err e = {0};
    assert_int_equal(hone_report_diff("a\n", "b\n", "old", "new", 3, false, &out, &e), HONE_E_LIMIT);
    hone_str_free(&out);
}

static void out_of_memory(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 5; n++) {
        hone_line_diff d;
        hone_err e = {0};
        hone_fail_alloc_at(n, true);
        hone_code c = hone_line_diff_make("a\nb\n", "b\nc\n", &d, &e);
        hone_fail_alloc_at(0, false);
        assert_int_equal(c, HONE_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fixed_texts),     cmocka_unit_test(random_texts),
                                       cmocka_unit_test(shortest_script), cmocka_unit_test(far_apart_texts_are_replaced),
                                       cmocka_unit_test(unified),         cmocka_unit_test(colour_and_bounds),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
