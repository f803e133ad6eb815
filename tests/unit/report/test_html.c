// report.html from a stored document (tests/golden/report/measured.json): escaped, self-contained, with every section that has data; and
// charts' axes.
#include "report/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static json_t *golden(void) {
    json_t *j = json_load_file(TESTS_DIR "/golden/report/measured.json", 0, NULL);
    assert_non_null(j);
    return j;
}

static char *html_of(const json_t *j) {
    hone_str out;
    hone_err e = {0};
    hone_str_init(&out, 1 << 24);
    assert_int_equal(hone_report_html(j, &out, &e), HONE_OK);
    return hone_str_take(&out);
}

static size_t count(const char *s, const char *what) {
    size_t n = 0;
    while ((s = strstr(s, what))) {
        n++;
        s += strlen(what);
    }
    return n;
}

static void assert_no_nan(const char *s) {
    static const char *const looks[] = {"=nan", ">nan", " nan", "=-nan", ">-nan", " -nan", "inf "};
    for (size_t i = 0; i < HONE_COUNT(looks); i++)
        assert_null(strstr(s, looks[i]));
}

static void sections(void **state) {
    (void)state;
    static const char *const headings[] = {">Time<", ">Search<", ">Where it stands on the machine<", ">How the best came about<",
                                           ">What changed on the machine<", ">What changed in the source<", ">What the best passed<",
                                           ">Why candidates were refused<", ">Moves<", ">Candidates<", ">Provenance<"};
    json_t *j = golden();
    char *s = html_of(j);
    for (size_t i = 0; i < HONE_COUNT(headings); i++)
        assert_int_equal(count(s, headings[i]), 1);
    assert_int_equal(count(s, "<svg"), 3);
    assert_int_equal(count(s, "<svg"), count(s, "</svg>"));
    assert_int_equal(count(s, "<table"), count(s, "</table>"));
    assert_int_equal(count(s, "<section"), count(s, "</section>"));
    assert_no_nan(s);
    hone_free(s);
    json_decref(j);
}

static void escaped_and_self_contained(void **state) {
    (void)state;
    json_t *j = golden();
    char *s = html_of(j);
    assert_null(strstr(s, "<script"));
    assert_non_null(strstr(s, "&lt;script&gt;alert(1)"));
    assert_null(strstr(s, "<b>not bold"));
    assert_non_null(strstr(s, "NVIDIA &quot;Test&quot; &lt;GPU&gt; &amp; Co"));
    static const char *const outside[] = {"http://", "https://", "src=", "<link", "@import", "url("};
    for (size_t i = 0; i < HONE_COUNT(outside); i++)
        assert_null(strstr(s, outside[i]));
    hone_free(s);
    json_decref(j);
}

static void differing_lines_stand_side_by_side(void **state) {
    (void)state;
    json_t *j = golden();
    char *s = html_of(j);
    // the launch lines are partners and what differs is marked; the new tune line has none
    assert_non_null(strstr(s, "mk m0\">256), 256<"));
    assert_non_null(strstr(s, "mk m1\">B), B<"));
    const char *tune = strstr(s, "#pragma hone tune B={128,256}");
    assert_non_null(tune);
    hone_free(s);
    json_decref(j);
}

static void says_virtual(void **state) {
    (void)state;
    json_t *j = golden();
    char *s = html_of(j);
    assert_null(strstr(s, "times are modelled"));
    hone_free(s);
    json_object_set_new(j, "kind", json_string("virtual"));
    s = html_of(j);
    assert_non_null(strstr(s, "times are modelled, not measured"));
    hone_free(s);
    json_decref(j);
}

// A document with hardly anything in it: a run whose baseline was refused, or an older program's.
static void sparse_documents(void **state) {
    (void)state;
    json_t *j = golden();
    static const char *const keys[] = {"best",       "outcomes", "lineage", "convergence", "moves", "findings",
                                       "candidates", "device",   "texts",   "baseline",    "task"};
    for (size_t i = 0; i < HONE_COUNT(keys); i++) {
        json_object_set_new(j, keys[i], json_null());
        char *s = html_of(j);
        assert_no_nan(s);
        hone_free(s);
        json_object_del(j, keys[i]);
        hone_free(html_of(j));
    }
    json_decref(j);
    hone_err e = {0};
    hone_str out;
    hone_str_init(&out, 1 << 20);
    j = json_pack("{s:s}", "schema", "hone.check/1");
    assert_int_equal(hone_report_html(j, &out, &e), HONE_E_PARSE);
    hone_str_free(&out);
    json_decref(j);
}

static void golden_summary(void **state) {
    (void)state;
    json_t *j = golden();
    char *expected;
    size_t n;
    assert_int_equal(hone_read_file(TESTS_DIR "/golden/report/measured.summary.txt", 1 << 16, &expected, &n, NULL), HONE_OK);
    hone_str out;
    hone_str_init(&out, 1 << 16);
    hone_report_summary(j, false, &out);
    assert_string_equal(out.s, expected);
    hone_str_free(&out);
    hone_free(expected);
    json_decref(j);
}

static void ticks(void **state) {
    (void)state;
    double v[24];
    hone_axis linear = {.lo = 0, .hi = 24, .from_px = 0, .to_px = 240};
    assert_int_equal(hone_axis_ticks(&linear, v, HONE_COUNT(v)), 5);   // 0 5 10 15 20
    assert_float_equal(v[4], 20, 1e-9);
    assert_float_equal(hone_axis_px(&linear, 12), 120, 1e-9);
    hone_axis log = {.lo = 1, .hi = 1e4, .from_px = 100, .to_px = 0, .log = true};
    assert_int_equal(hone_axis_ticks(&log, v, HONE_COUNT(v)), 5);
    assert_float_equal(hone_axis_px(&log, 100), 50, 1e-9);
    hone_axis narrow = {.lo = 4.5, .hi = 6.6, .from_px = 0, .to_px = 1, .log = true};
    assert_true(hone_axis_ticks(&narrow, v, HONE_COUNT(v)) >= 2);
    hone_axis empty = {.lo = 3, .hi = 3};
    assert_int_equal(hone_axis_ticks(&empty, v, HONE_COUNT(v)), 0);
}

static void classes(void **state) {
    (void)state;
    const char *text = "#pragma hone size N=1\n// note\nint f(float x) { return __ldg(&x) + 1.5f; }";
    uint8_t *c = hone_code_classes(text, strlen(text));
    const struct {
        const char *at;
        hone_code_class class;
    } expected[] = {{"#pragma", HONE_CODE_PRAGMA}, {"// note", HONE_CODE_COMMENT}, {"int", HONE_CODE_TYPE}, {"return", HONE_CODE_KEYWORD},
                    {"__ldg", HONE_CODE_BUILTIN},  {"1.5f", HONE_CODE_NUMBER},     {"f(", HONE_CODE_PLAIN}};
    for (size_t i = 0; i < HONE_COUNT(expected); i++)
        assert_int_equal(c[strstr(text, expected[i].at) - text], expected[i].class);
    hone_free(c);
    c = hone_code_classes("/* unterminated", 15);   // does not lex: plain
    assert_int_equal(c[0], HONE_CODE_PLAIN);
    hone_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sections),         cmocka_unit_test(escaped_and_self_contained),
                                       cmocka_unit_test(differing_lines_stand_side_by_side), cmocka_unit_test(says_virtual),
                                       cmocka_unit_test(sparse_documents), cmocka_unit_test(golden_summary),
                                       cmocka_unit_test(ticks),            cmocka_unit_test(classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
