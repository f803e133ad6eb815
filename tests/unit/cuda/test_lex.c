// The CUDA lexer: tokens, positions, brackets, directives; and the normal form made from them.
#include "cuda/lex.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static hone_arena *arena;
static int setup(void **s) { (void)s; return (arena = hone_arena_new(64u << 20)) ? 0 : -1; }
static int teardown(void **s) { (void)s; hone_arena_free(arena); return 0; }

static hone_tokens lex(const char *text) {
    hone_tokens t = {0};
    hone_err e = {0};
    assert_int_equal(hone_lex(arena, text, strlen(text), &t, &e), HONE_OK);
    return t;
}

static void expect_error(const char *text, const char *msg) {
    hone_tokens t;
    hone_err e = {0};
    assert_int_equal(hone_lex(arena, text, strlen(text), &t, &e), HONE_E_PARSE);
    assert_string_equal(e.msg, msg);
}

// Tokens joined by a blank.
static const char *joined(const hone_tokens *t) {
    static char buf[1024];
    size_t n = 0;
    for (size_t i = 0; i + 1 < t->n; i++) {
        hone_span s = hone_tok_span(t, i);
        if (i)
            buf[n++] = ' ';
        memcpy(buf + n, s.s, s.n);
        n += s.n;
    }
    buf[n] = '\0';
    return buf;
}

static void test_tokens(void **s) {
    (void)s;
    hone_tokens t = lex("k<<<dim3(1,2),256>>>(a->b, 1'000'000u, 0x1.8p-3, 'x', u8\"\\\"q\", c<<=2, p ? .5f : 1e+9);");
    assert_string_equal(joined(&t), "k <<< dim3 ( 1 , 2 ) , 256 >>> ( a -> b , 1'000'000u , 0x1.8p-3 , 'x' , u8\"\\\"q\" , c <<= 2 , p ? .5f : 1e+9 ) ;");
    assert_int_equal(t.v[t.n - 1].kind, HONE_TOK_EOF);
    t = lex("8..32 a...");
    assert_string_equal(joined(&t), "8 .. 32 a ...");
}

static void test_positions(void **s) {
    (void)s;
    hone_tokens t = lex("a\n  /* x\n */ bc // d\n\tef");
    assert_int_equal(t.n, 4);
    assert_int_equal(t.v[1].line, 3);
    assert_int_equal(t.v[1].col, 5);
    assert_true(t.v[1].space_before);
    assert_int_equal(t.v[2].line, 4);
    assert_int_equal(t.v[2].col, 2);
}

static void test_strings(void **s) {
    (void)s;
    hone_tokens t = lex("R\"x(a)\" \"b\n)x\" L\"// no comment\" '\\''");
    assert_int_equal(t.n, 4);
    assert_int_equal(t.v[0].kind, HONE_TOK_STRING);
    assert_int_equal(t.v[2].kind, HONE_TOK_CHAR);
    t = lex("\"a\\\nb\" c");
    assert_int_equal(t.n, 3);
    assert_int_equal(t.v[1].line, 2);
}

static void test_directives(void **s) {
    (void)s;
    hone_tokens t = lex("#define F(x) /* two\nlines */ x \\\n + 1\nint a; # not\n  # pragma hone size N=1\n");
    assert_int_equal(t.v[0].kind, HONE_TOK_DIRECTIVE);
    assert_true(hone_tok_is(&t, 1, "int"));
    assert_int_equal(t.v[1].line, 4);
    assert_true(hone_tok_is(&t, 4, "#"));
    assert_int_equal(t.v[4].kind, HONE_TOK_PUNCT);
    assert_int_equal(t.v[6].kind, HONE_TOK_DIRECTIVE);
    assert_true(hone_tok_is_pragma(&t, 6));
    assert_false(hone_tok_is_pragma(&t, 0));
    hone_tokens d;
    assert_int_equal(hone_lex_directive(arena, &t, 6, &d, NULL), HONE_OK);
    assert_string_equal(joined(&d), "pragma hone size N = 1");
    assert_int_equal(d.v[2].line, 5);
    assert_int_equal(d.v[2].col, 17);
    t = lex("#pragma honest\n#pragma hone\n");
    assert_false(hone_tok_is_pragma(&t, 0));
    assert_true(hone_tok_is_pragma(&t, 1));
}

static void test_brackets(void **s) {
    (void)s;
    hone_tokens t = lex("f({[1]})");
    assert_int_equal(t.v[1].match, 7);
    assert_int_equal(t.v[7].match, 1);
    assert_int_equal(t.v[3].match, 5);
    t = lex("void f() {\n#if A\n if (a) {\n#else\n {\n#endif\n }\n}\n");
    assert_int_equal(t.n, 17);
    expect_error("int a = (1 + ]", "1:14: ']' does not close the '(' of 1:9");
    expect_error("}", "1:1: '}' without '{'");
    expect_error("f(\n{\n}", "1:2: '(' is never closed");
}

static void test_unterminated(void **s) {
    (void)s;
    expect_error("a /* b", "1:3: unterminated comment");
    expect_error("\n\"abc\n\"", "2:1: unterminated string");
    expect_error("'a", "1:1: unterminated character constant");
    expect_error("R\"(abc", "1:1: unterminated string");
}

static void test_deep(void **s) {
    (void)s;
    char text[600];
    memset(text, '(', 300);
    memset(text + 300, ')', 300);
    hone_tokens t;
    hone_err e = {0};
    assert_int_equal(hone_lex(arena, text, sizeof text, &t, &e), HONE_E_LIMIT);
    text[0] = 'a';
    assert_int_equal(hone_lex(arena, "", 0, &t, NULL), HONE_OK);
    assert_int_equal(t.n, 1);
}

static char *normal(const char *text) {
    char *out;
    size_t n;
    assert_int_equal(hone_normalise(text, strlen(text), &out, &n, NULL), HONE_OK);
    assert_int_equal(strlen(out), n);
    return out;
}

static void expect_same(const char *a, const char *b, bool same) {
    char *x = normal(a), *y = normal(b);
    assert_int_equal(strcmp(x, y) == 0, same);
    hone_free(x);
    hone_free(y);
}

static void test_normalise(void **s) {
    (void)s;
    expect_same("int a = 1; // x", "int\n a=1;", true);
    expect_same("a + +b", "a ++b", false);
    expect_same("\"a  b\"", "\"a b\"", false);
    expect_same("#define F(x) x\nq", "#define F (x) x\nq", false);
    expect_same("#define F(x)   x // c\nq", "#define F(x) x\n\n q", true);
    expect_same("#pragma hone size N=1  M=2\nq", "#  pragma  hone size  N = 1 \\\n M = 2 // c\nq", true);
    expect_same("#pragma hone size N=1\nq", "#pragma hone size N=2\nq", false);
    expect_same("int x;", "int y;", false);
}

static void test_memory_failure(void **s) {
    (void)s;
    static const char text[] = "#pragma hone size N=1\n#define X 1\nint a[4] = {1,2};\n";
    for (uint64_t n = 1; n < 100; n++) {
        char *out = NULL;
        size_t len;
        hone_fail_alloc_at(n, true);
        hone_code c = hone_normalise(text, sizeof text - 1, &out, &len, NULL);
        hone_fail_alloc_at(0, false);
        if (c == HONE_OK) {
            hone_free(out);
            assert_true(n > 3);
            return;
        }
        assert_true(c == HONE_E_NOMEM || c == HONE_E_LIMIT);
    }
    fail_msg("never succeeds");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),     cmocka_unit_test_setup_teardown(test_positions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings, setup, teardown),    cmocka_unit_test_setup_teardown(test_directives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_brackets, setup, teardown),   cmocka_unit_test_setup_teardown(test_unterminated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep, setup, teardown),       cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
