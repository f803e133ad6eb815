// The parts of compile/ that need no toolkit: PTX normalisation, the log parser, the cubin reader on damaged input.
#include "compile/compile.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void same(const char *a, const char *b, bool expect) {
    char x[HONE_HASH_HEX], y[HONE_HASH_HEX];
    hone_ptx_hash(a, strlen(a), x);
    hone_ptx_hash(b, strlen(b), y);
    assert_int_equal(strcmp(x, y) == 0, expect);
}

static void debug_lines_do_not_count(void **s) {
    (void)s;
    same("// made by X\n.version 9.0\n\t.file 1 \"a.cu\"\n.visible .entry f()\n{\n\t.loc 1 2 3\n$L__tmp0:\n\tret;\n}\n",
         ".version 9.0\n.visible .entry f()\n{\n    ret; // end\n\n}\n.section .debug_str\n{\n.b8 1,2\n}\n", true);
    same("add.u32 %r1, %r2, %r3;", "add.u32 %r1, %r2, %r4;", false);
    same("bra $L__BB0_1;\n$L__BB0_1:\n", "bra $L__BB0_1;\n", false);
    same(".b8 s[3] = {\"// \"};", ".b8 s[3] = {\"\"};", false);
    same("a /* x\n y */ b", "a  b", true);
}

static void normalised_text_is_clean(void **s) {
    (void)s;
    static const char ptx[] = "\t.reg  .b32 \t%r<5>;\n\n  // c\n\tret;";
    size_t n;
    char *t = hone_ptx_normalise(ptx, strlen(ptx), &n);
    assert_string_equal(t, ".reg .b32 %r<5>;\nret;\n");
    assert_int_equal(n, strlen(t));
    hone_free(t);
    t = hone_ptx_normalise("/* open", 7, &n);
    assert_non_null(t);
    hone_free(t);
}

static void log_is_taken_apart(void **s) {
    (void)s;
    static const char log[] =
        "k.cu(7): error: expected a \";\"\n      }\n      ^\n\nRemark: The warnings can be suppressed with \"-diag-suppress "
        "<warning-number>\"\n\n"
        "ptxas info    : Compiling entry function 'f' for 'sm_90'\nptxas info    : Function properties for f\n"
        "ptxas         .     8 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads\n"
        "ptxas info    : Used 255 registers, used 2 barriers, 400 bytes smem, 364 bytes cmem[0]\nptxas info    : Compile time = 3.550 ms\n"
        "ptxas error   : Entry function 'g' uses too much shared data (0x13880 bytes, 0xc000 max)\n";
    hone_kernel_info *k;
    hone_compile_diag *d;
    size_t nk, nd;
    char *text;
    assert_int_equal(hone_log_parse(log, "k.cu", &k, &nk, &d, &nd, &text, NULL), HONE_OK);
    assert_int_equal(nk, 1);
    assert_int_equal(k->registers, 255);
    assert_int_equal(k->barriers, 2);
    assert_int_equal(k->static_shared_bytes, 400);
    assert_int_equal(k->stack_bytes_per_thread, 8);
    assert_int_equal(k->spill_store_bytes, 16);
    assert_int_equal(k->spill_load_bytes, 24);
    assert_int_equal(nd, 2);
    assert_true(d[0].is_error && d[0].line == 7 && d[0].col == 5);
    assert_string_equal(d[0].msg, "expected a \";\"");
    assert_true(d[1].is_error && d[1].line == 0);
    assert_non_null(strstr(d[1].msg, "too much shared data"));
    assert_null(strstr(text, "ptxas info"));
    hone_free(k);
    hone_free(d);
    hone_free(text);
}

static void strange_logs_do_no_harm(void **s) {
    (void)s;
    static const char *const logs[] = {"",
                                       "\n\n\n",
                                       "k.cu(",
                                       "k.cu(12)",
                                       "k.cu(12):",
                                       "k.cu(12): error",
                                       "k.cu(x): error: y",
                                       "    ^",
                                       "ptxas info : Used registers",
                                       "ptxas error",
                                       "ptxas info    : Used 99999999999999999999 registers, bytes smem"};
    for (size_t i = 0; i < HONE_COUNT(logs); i++) {
        hone_kernel_info *k;
        hone_compile_diag *d;
        size_t nk, nd;
        char *text;
        assert_int_equal(hone_log_parse(logs[i], "k.cu", &k, &nk, &d, &nd, &text, NULL), HONE_OK);
        hone_free(k);
        hone_free(d);
        hone_free(text);
    }
}

static void damaged_cubins_are_refused(void **s) {
    (void)s;
    hone_kernel_info *k = NULL;
    size_t n;
    hone_err e = {0};
    assert_int_equal(hone_cubin_kernels("", 0, &k, &n, &e), HONE_E_PARSE);
    assert_non_null(strstr(e.msg, "no 64-bit ELF"));
    uint8_t head[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    head[40] = 0xff;   // section table far outside
    head[58] = 64;
    head[60] = 3;
    assert_int_equal(hone_cubin_kernels(head, sizeof head, &k, &n, NULL), HONE_E_PARSE);
    uint64_t x = 12345;
    for (int round = 0; round < 2000; round++) {   // noise after a good start never reads outside (the sanitizer build tells)
        for (size_t i = 7; i < sizeof head; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            head[i] = (uint8_t)(x >> 33) & (round & 1 ? 0xff : 0x3f);
        }
        if (hone_cubin_kernels(head, sizeof head, &k, &n, NULL) == HONE_OK)
            hone_free(k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debug_lines_do_not_count), cmocka_unit_test(normalised_text_is_clean), cmocka_unit_test(log_is_taken_apart),
        cmocka_unit_test(strange_logs_do_no_harm),  cmocka_unit_test(damaged_cubins_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
