// The PTX linker: which statements stay, in which order, what is renamed; the result is PTX that the parser takes.
#include "base/base.h"
#include "ptx/link.h"
#include "ptx/ptx.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"
#define HEAD_90 ".version 9.0\n.target sm_90\n.address_size 64\n"

static char *link_texts(const char *const *texts, size_t n) {
    char *out;
    size_t len;
    hone_err e = {0};
    if (ptx_link(texts, n, &out, &len, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(len, strlen(out));
    return out;
}

static void parses(const char *text) {
    ptx_module *m = NULL;
    hone_err e = {0};
    if (ptx_parse(text, strlen(text), &m, &e) != HONE_OK)
        fail_msg("%s\n%s", e.msg, text);
    ptx_free(m);
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

static const char *const call = HEAD ".extern .func (.param .b32 r) helper (.param .b32 a)\n;\n.extern .global .align 4 .u32 table[4];\n"
                                     ".global .align 1 .b8 $str[3] = {104, 105, 0};\n"
                                     ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<4>; .reg .b64 %rd<4>;\nmov.u64 %rd1, $str; ld.global.u32 %r1, [table+4];\n"
                                     "{ .param .b32 a0; .param .b32 r0; st.param.b32 [a0], %r1; call.uni (r0), helper, (a0); ld.param.b32 %r2, [r0]; }\nret;\n}\n";
static const char *const defined = HEAD_90 "// a comment; with { a brace\n.visible .global .align 4 .u32 table[4] = {1, 2, 3, 4};\n.global .align 1 .b8 $str[4] = {98, 121, 101, 0};\n"
                                           ".visible .func (.param .b32 r) helper(.param .b32 a)\n{\n.reg .b32 %r<4>; .reg .b64 %rd<2>;\nld.param.b32 %r1, [a];\n"
                                           "mov.u64 %rd1, $str;\nst.param.b32 [r], %r1;\nret;\n}\n";

static void across_units(void **s) {
    (void)s;
    for (int order = 0; order < 2; order++) {
        const char *const texts[2] = {order ? defined : call, order ? call : defined};
        char *out = link_texts(texts, 2);
        parses(out);
        assert_int_equal(count(out, ".version 9.0"), 1);
        assert_int_equal(count(out, ".target sm_90"), 1);
        assert_int_equal(count(out, ".target"), 1);
        assert_int_equal(count(out, ".extern"), 0);
        assert_int_equal(count(out, "table[4]"), 1);
        assert_int_equal(count(out, "$str$m1"), 2);   // declared and used, in the second unit
        assert_int_equal(count(out, "$str"), 4);
        assert_true(strstr(out, "helper (") < strstr(out, ".visible .entry k"));   // declared before the call
        hone_free(out);
    }
}

static void weak_once(void **s) {
    (void)s;
    static const char *const unit = HEAD ".weak .func inline_one()\n{\nret;\n}\n.weak .global .u32 shared_one = 1;\n";
    static const char *const strong = HEAD ".visible .func inline_one()\n{\n.reg .b32 %r<2>;\nret;\n}\n";
    const char *const texts[] = {unit, unit, strong};
    char *out = link_texts(texts, 3);
    parses(out);
    assert_int_equal(count(out, "inline_one"), 1);
    assert_int_equal(count(out, ".visible .func inline_one"), 1);   // the strong one
    assert_int_equal(count(out, "shared_one"), 1);
    hone_free(out);
}

static void files_are_renumbered(void **s) {
    (void)s;
    static const char *const a = HEAD ".visible .entry k()\n{\n.loc 1 5 3\n.loc 2 6 3, function_name $L, inlined_at 1 9 1\nret;\n}\n.file 1 \"a.cu\"\n.file 2 \"a.h\"\n";
    static const char *const b = HEAD ".visible .entry l()\n{\n.loc 1 15 3\nret;\n}\n.file 1 \"b.cu\"\n";
    const char *const texts[] = {a, b};
    char *out = link_texts(texts, 2);
    assert_non_null(strstr(out, ".file 3 \"b.cu\""));
    assert_non_null(strstr(out, ".loc 3 15 3"));
    assert_non_null(strstr(out, ".loc 1 5 3"));
    hone_free(out);
}

static void undefined_stays_declared(void **s) {
    (void)s;
    static const char *const a = HEAD ".extern .func (.param .b32 r) vprintf (.param .b64 x, .param .b64 y)\n;\n.extern .shared .align 16 .b8 dyn[];\n"
                                      ".visible .entry k()\n{\nret;\n}\n";
    static const char *const b = HEAD ".extern .func (.param .b32 r) vprintf (.param .b64 x, .param .b64 y)\n;\n.extern .shared .align 16 .b8 dyn[];\n";
    const char *const texts[] = {a, b};
    char *out = link_texts(texts, 2);
    parses(out);
    assert_int_equal(count(out, ".extern .func"), 1);
    assert_int_equal(count(out, ".extern .shared"), 1);
    hone_free(out);
}

static void refused(void **s) {
    (void)s;
    static const char *const one = HEAD ".visible .func f()\n{\nret;\n}\n";
    const char *const twice[] = {one, one}, *const open[] = {HEAD ".visible .func f()\n{\nret;\n"};
    char *out;
    size_t len;
    hone_err e = {0};
    assert_int_equal(ptx_link(twice, 2, &out, &len, &e), HONE_E_PARSE);
    assert_string_equal(e.msg, "cannot link: 'f' is defined in module 1 and in module 2");
    hone_err_clear(&e);
    const char *const nameless[] = {HEAD ".visible .func ()\n{\nret;\n}\n"};
    assert_int_equal(ptx_link(nameless, 1, &out, &len, &e), HONE_E_PARSE);
    hone_err_clear(&e);
    assert_int_equal(ptx_link(open, 1, &out, &len, &e), HONE_E_PARSE);
    assert_int_equal(ptx_link(open, 0, &out, &len, NULL), HONE_E_LIMIT);
}

static void every_failing_allocation_is_an_error(void **s) {
    (void)s;
    const char *const texts[] = {call, defined};
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        char *out = NULL;
        size_t len;
        hone_err e = {0};
        hone_fail_alloc_at(n, true);
        const hone_code c = ptx_link(texts, 2, &out, &len, &e);
        hone_fail_alloc_at(0, false);
        done = c == HONE_OK;
        assert_true(n > 1 || !done);
        assert_true(done || e.code == HONE_E_NOMEM);
        hone_free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(across_units), cmocka_unit_test(weak_once), cmocka_unit_test(files_are_renumbered),
                                       cmocka_unit_test(undefined_stays_declared), cmocka_unit_test(refused),
                                       cmocka_unit_test(every_failing_allocation_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
