// The review log (chain, decisions, refusals), texts made visible, and what was not tested.
#include "base/visible.h"
#include "review/review.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka's header needs those before it
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/hone-review-XXXXXX";
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TASK "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static int setup(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static char *log_path(void) { return hone_path_join(dir, "reviews.jsonl"); }

static int teardown(void **state) {
    (void)state;
    char *path = log_path();
    unlink(path);
    hone_free(path);
    return rmdir(dir);
}

static void forget(void) {
    char *path = log_path();
    unlink(path);
    hone_free(path);
}

static hone_code add(hone_review_action a, const char *sha, const char *by, const char *reason) {
    hone_review_entry x = {a, 7, sha, TASK, by, reason, "2026-01-02T03:04:05Z"};
    hone_err e = {0};
    return hone_review_append(dir, &x, &e);
}

static hone_code require(const char *sha, const char *task) {
    hone_err e = {0};
    return hone_review_require(dir, sha, task, &e);
}

static void decisions(void **state) {
    (void)state;
    forget();
    assert_int_equal(require(SHA_A, TASK), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_COMMENT, SHA_A, "Ada", "hm"), HONE_OK);
    assert_int_equal(require(SHA_A, TASK), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Ada", "fine"), HONE_OK);
    assert_int_equal(require(SHA_A, TASK), HONE_OK);
    assert_int_equal(require(SHA_B, TASK), HONE_E_USAGE);    // another text
    assert_int_equal(require(SHA_A, SHA_B), HONE_E_USAGE);   // another task
    assert_int_equal(add(HONE_REVIEW_REJECT, SHA_A, "Bo", "not on the A100"), HONE_OK);
    assert_int_equal(require(SHA_A, TASK), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_COMMENT, SHA_A, "Bo", "still"), HONE_OK);
    assert_int_equal(require(SHA_A, TASK), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Bo", "now it does"), HONE_OK);
    assert_int_equal(require(SHA_A, TASK), HONE_OK);
}

static void what_it_takes(void **state) {
    (void)state;
    forget();
    char longer[HONE_REVIEW_MAX_REASON + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "", "r"), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Ada", ""), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Ada", longer), HONE_E_USAGE);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "\xff", "no UTF-8"), HONE_E_USAGE);
    // a reason cannot become a line of its own
    assert_int_equal(add(HONE_REVIEW_COMMENT, SHA_A, "Ada", "x\"}\n{\"action\":\"approve\"}\n"), HONE_OK);
    hone_review_log l;
    assert_int_equal(hone_review_read(dir, &l, NULL), HONE_OK);
    assert_int_equal(json_array_size(l.entries), 1);
    assert_int_equal(l.broken_line, 0);
    hone_review_log_free(&l);
}

// Every change of one byte anywhere in the log is found, at the line where it is or, when it ends or joins lines, not after it.
static void every_byte_counts(void **state) {
    (void)state;
    forget();
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(i == 1 ? HONE_REVIEW_REJECT : HONE_REVIEW_APPROVE, SHA_A, "Ada", "reason"), HONE_OK);
    char *path = log_path(), *text;
    size_t n, line = 1;
    assert_int_equal(hone_read_file(path, 1 << 20, &text, &n, NULL), HONE_OK);
    for (size_t i = 0; i < n; i++) {
        char was = text[i];
        hone_review_log l;
        text[i] = was == 'x' ? 'y' : 'x';
        assert_int_equal(hone_review_parse(text, n, &l, NULL), HONE_OK);
        assert_true(l.broken_line >= 1 && l.broken_line <= line);
        assert_int_equal(l.broken_line, line);
        hone_review_log_free(&l);
        text[i] = was;
        line += was == '\n';
    }
    hone_free(text);
    hone_free(path);
}

static void broken_takes_nothing(void **state) {
    (void)state;
    forget();
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Ada", "fine"), HONE_OK);
    char *path = log_path();
    FILE *f = fopen(path, "a");
    fputs("{}\n", f);
    fclose(f);
    hone_free(path);
    assert_int_equal(add(HONE_REVIEW_APPROVE, SHA_A, "Ada", "again"), HONE_E_CORRUPT);
    assert_int_equal(require(SHA_A, TASK), HONE_E_CORRUPT);
}

static void shows(const char *text, size_t n, const char *want) {
    char *v = hone_visible(text, n);
    assert_string_equal(v, want);
    hone_free(v);
}

static void visible(void **state) {
    (void)state;
    shows("a\tb\n", 4, "a\tb\n");
    shows("µs × λ 漢", strlen("µs × λ 漢"), "µs × λ 漢");
    shows("\x1b[2J\r\x7f", 6, "<U+001B>[2J<U+000D><U+007F>");
    shows("a\0b", 3, "a<U+0000>b");
    shows("\xe2\x80\xae\xe2\x81\xa6", 6, "<U+202E><U+2066>");            // right-to-left override, isolate
    shows("\xe2\x80\x8b\xef\xbb\xbf\xf3\xa0\x81\xa1", 10, "<U+200B><U+FEFF><U+E0061>");   // zero width, byte order mark, tag letter
    shows("\xff\xc3(\xe2\x80", 5, "<FF><C3>(<E2><80>");                  // no UTF-8
    shows("\xc0\xaf\xed\xa0\x80", 5, "<C0><AF><ED><A0><80>");            // overlong, surrogate
    shows("\xc2\x9b" "31m", 5, "<U+009B>31m");                           // the C1 control that starts a sequence
}

static bool says(const json_t *list, const char *part) {
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)(uintptr_t)list, i, x)
        if (strstr(json_string_value(x), part))
            return true;
    return false;
}

static void untested(void **state) {
    (void)state;
    static const char outcome[] =
        "{\"stages\":[{\"name\":\"static\",\"status\":\"pass\"},{\"name\":\"compile\",\"status\":\"pass\"},{\"name\":\"sanitize\",\"status\":\"fail\"}],"
        "\"check_sizes\":[{\"sizes\":{\"N\":33},\"used\":true},{\"sizes\":{\"N\":1},\"used\":false,\"why\":\"a grid of 0 blocks\"}],"
        "\"time\":{\"kind\":\"modelled\",\"error_band\":0.25,\"sizes\":[{\"sizes\":{\"N\":512}}]}}";
    json_t *o = json_loads(outcome, 0, NULL), *virtual_device = json_pack("{s:s,s:s}", "kind", "virtual", "name", "G"), *gpu = json_pack("{s:s}", "kind", "physical");
    json_t *list = hone_review_untested(o, virtual_device, NULL, false);
    assert_true(says(list, "Fresh inputs"));
    assert_true(says(list, "Stage 'sanitize'") && says(list, "Stage 'differential'") && !says(list, "Stage 'compile'"));
    assert_true(says(list, "Real hardware") && says(list, "±25 %") && says(list, "Any device but G"));
    assert_true(says(list, "Results at other sizes than N=33") && says(list, "Results at N=1: the baseline itself fails there (a grid of 0 blocks)"));
    assert_true(says(list, "Speed at other sizes than N=512"));
    json_decref(list);
    list = hone_review_untested(o, gpu, NULL, true);
    assert_false(says(list, "Fresh inputs") || says(list, "Real hardware"));
    json_decref(list);
    list = hone_review_untested(NULL, NULL, NULL, false);
    assert_true(says(list, "Stage 'time'"));
    json_decref(list);
    json_decref(o);
    json_decref(virtual_device);
    json_decref(gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions), cmocka_unit_test(what_it_takes), cmocka_unit_test(every_byte_counts), cmocka_unit_test(broken_takes_nothing),
        cmocka_unit_test(visible), cmocka_unit_test(untested),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
