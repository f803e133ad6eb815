// The kernel tree: what is parsed, what stays opaque, definitions and uses, counted loops, index polynomials.
#include "cuda/ast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct parsed {
    hone_arena *arena;
    hone_tokens *t;
    hone_kernel *k;
    hone_ast ast;
} parsed;

static parsed parse(const char *text)
{
    parsed p = {.arena = hone_arena_new(16 << 20)};
    size_t n = 0;
    hone_err e = {0};
    p.t = hone_arena_alloc(p.arena, sizeof *p.t);
    assert_non_null(p.t);
    assert_int_equal(hone_lex(p.arena, text, strlen(text), p.t, &e), HONE_OK);
    assert_int_equal(hone_find_kernels(p.arena, p.t, &p.k, &n, &e), HONE_OK);
    assert_int_equal(n, 1);
    assert_int_equal(hone_ast_parse(p.arena, p.t, &p.k[0], &p.ast, &e), HONE_OK);
    return p;
}

static parsed body(const char *statements)
{
    static char text[8192];
    snprintf(text, sizeof text, "__global__ void f(float *out, const float *in, const float4 *q, int n, int m)\n{\n%s\n}\n", statements);
    return parse(text);
}

static const hone_node *first(const parsed *p, hone_node_kind kind)
{
    for (size_t i = 0; i < p->ast.n; i++)
        if (p->ast.all[i]->kind == kind)
            return p->ast.all[i];
    return NULL;
}

static void assert_text(const parsed *p, const hone_node *n, const char *want)
{
    assert_non_null(n);
    assert_string_equal(hone_node_text(&p->ast, n), want);
}

static void test_statements(void **state)
{
    (void)state;
    parsed p = body(
        "int i = threadIdx.x, k[4];\n__shared__ float s[32][33];\nif (i < n) { out[i] = 1.0f; } else return;\n"
        "#pragma unroll\nfor (int j = 0; j < n; ++j) s[i][j] = 0;\nwhile (i) break;\ndo { continue; } while (n > 0);\n__syncthreads();\n;");
    static const hone_node_kind want[] = {HONE_N_DECL,  HONE_N_DECL, HONE_N_IF,   HONE_N_PRAGMA, HONE_N_FOR,
                                          HONE_N_WHILE, HONE_N_DO,   HONE_N_EXPR, HONE_N_EMPTY};
    assert_int_equal(p.ast.body->n_kids, HONE_COUNT(want));
    for (size_t k = 0; k < HONE_COUNT(want); k++)
        assert_int_equal(p.ast.body->kid[k]->kind, want[k]);
    assert_int_equal(p.ast.body->kid[0]->n_kids, 2);
    assert_true(p.ast.body->kid[1]->is_shared);
    assert_false(p.ast.has_opaque);
    assert_text(&p, p.ast.body->kid[4], "for (int j = 0; j < n; ++j) s[i][j] = 0;");
    hone_arena_free(p.arena);
}

static void test_precedence(void **state)
{
    (void)state;
    parsed p = body("out[0] = 1 + 2 * n << 3 < m && n || m ? -n : (float)n / m;");
    const hone_node *assign = first(&p, HONE_N_ASSIGN), *cond = assign->kid[1];
    assert_int_equal(cond->kind, HONE_N_COND);
    assert_string_equal(cond->kid[0]->op, "||");
    assert_string_equal(cond->kid[0]->kid[0]->op, "&&");
    assert_text(&p, cond->kid[0]->kid[0]->kid[0], "1 + 2 * n << 3 < m");
    assert_text(&p, cond->kid[0]->kid[0]->kid[0]->kid[0]->kid[0], "1 + 2 * n");
    assert_string_equal(cond->kid[2]->op, "/");
    assert_int_equal(cond->kid[2]->kid[0]->kind, HONE_N_CAST);
    assert_string_equal(cond->kid[2]->kid[0]->name, "float");
    hone_arena_free(p.arena);
}

static void test_casts_calls_and_templates(void **state)
{
    (void)state;
    parsed p = body("const float4 v = *reinterpret_cast<const float4*>(&in[4 * n]);\nsize_t k = (size_t)n * m;\nfloat w = (n) * 2;\n"
                    "vec<float, 4> z;\nout[k] = f<vec<int, 2>>(v.x, w) + fmaxf(p->y, z.v[1]);");
    assert_false(p.ast.has_opaque);
    const hone_node *cast = first(&p, HONE_N_CAST);
    assert_string_equal(cast->name, "const float4*");
    hone_local k = hone_ast_local(&p.ast, "k"), w = hone_ast_local(&p.ast, "w");
    assert_int_equal(hone_node_strip(k.var->kid[0]->kid[0])->kind, HONE_N_CAST);
    assert_int_equal(w.var->kid[0]->kid[0]->kind, HONE_N_PAREN);   // (n) * 2 is a product, no cast of *2
    hone_arena_free(p.arena);
}

static void test_strange_code_is_opaque_and_parsing_goes_on(void **state)
{
    (void)state;
    parsed p = body("auto g = [&](int x) { return x + 1; };\nasm volatile(\"bar.sync 0;\" ::: \"memory\");\nswitch (n) { case 1: break; "
                    "default: n = 2; }\nout[n] = 3.0f;");
    assert_true(p.ast.has_opaque);
    const hone_node *last = p.ast.body->kid[p.ast.body->n_kids - 1];
    assert_int_equal(last->kind, HONE_N_EXPR);
    assert_text(&p, last, "out[n] = 3.0f;");
    assert_true(hone_ast_writes(&p.ast, p.ast.body, "n"));   // an opaque statement that mentions a name may write it
    hone_arena_free(p.arena);
}

static void test_locals_and_writes(void **state)
{
    (void)state;
    parsed p = body("int a = 1; int b = 2; float4 c; { int a = 3; } b += 1; c.x = 2.0f; int d = a; foo(&d);");
    assert_int_equal(hone_ast_local(&p.ast, "a").declared, 2);
    assert_int_equal(hone_ast_local(&p.ast, "b").writes, 1);
    assert_int_equal(hone_ast_local(&p.ast, "c").writes, 1);
    assert_int_equal(hone_ast_local(&p.ast, "d").writes, 1);
    assert_null(hone_ast_local(&p.ast, "zz").var);
    hone_arena_free(p.arena);
}

static bool counted(const char *loop)
{
    parsed p = body(loop);
    hone_loop l;
    bool ok = hone_ast_loop(&p.ast, first(&p, HONE_N_FOR), &l);
    hone_arena_free(p.arena);
    return ok;
}

static void test_counted_loops(void **state)
{
    (void)state;
    assert_true(counted("for (int j = 0; j < n; j++) out[j] = 0;"));
    assert_true(counted("for (int j = m; j <= n * 2; j += 4) { out[j] = 0; }"));
    assert_false(counted("for (int j = 0; j < n; j++) { j = 3; }"));
    assert_false(counted("for (int j = 0; j < n; j++) { n--; }"));
    assert_false(counted("for (int j = 0; j < in[0]; j++) out[j] = 0;"));
    assert_false(counted("for (int j = n; j > 0; j--) out[j] = 0;"));
    assert_false(counted("for (int j = 1; j < n; j *= 2) out[j] = 0;"));
    assert_false(counted("for (int j = 0; j < j + n; j++) out[j] = 0;"));
}

static void test_strides(void **state)
{
    (void)state;
    parsed p = body("int i = blockIdx.x * blockDim.x + threadIdx.x;\nint k = (size_t)(i + 2) * n - i;\nfor (int j = 0; j < n; j++) out[k + "
                    "3 * j + i / 2] = in[j * j];");
    hone_access w, r;
    const hone_node *index[2] = {0};
    size_t n = 0;
    for (size_t i = 0; i < p.ast.n; i++)
        if (p.ast.all[i]->kind == HONE_N_INDEX)
            index[n++] = p.ast.all[i];
    assert_int_equal(n, 2);
    assert_true(hone_ast_access(&p.ast, index[0], NULL, &w));
    assert_true(hone_ast_access(&p.ast, index[1], NULL, &r));
    assert_true(w.written && !w.read && w.is_param && !r.written && r.read);
    int64_t v;
    hone_poly s = hone_poly_stride(&w.index, "j");
    assert_true(hone_poly_is_const(&s, &v));
    assert_int_equal(v, 3);
    s = hone_poly_stride(&r.index, "j");
    assert_false(s.ok);   // squared
    s = hone_poly_stride(&w.index, "i");
    assert_false(s.ok);   // inside i / 2
    const char *keep[] = {"k", NULL};
    assert_true(hone_ast_access(&p.ast, index[0], keep, &w));
    s = hone_poly_stride(&w.index, "k");
    assert_true(hone_poly_is_const(&s, &v) && v == 1);
    hone_arena_free(p.arena);
}

static void test_pointers_lead_to_parameters(void **state)
{
    (void)state;
    parsed p = body("const float *x = in + (size_t)n * m;\nconst float *y = &x[2];\nout[0] = y[n] + in[n * m + 2 + n];\nfloat *z = "
                    "out;\nz++;\nz[0] = 1;");
    hone_access a[4];
    size_t n = 0;
    for (size_t i = 0; i < p.ast.n && n < 4; i++) {
        const hone_node *x = p.ast.all[i];
        if (x->kind == HONE_N_INDEX && x->parent->kind != HONE_N_UNARY && hone_ast_access(&p.ast, x, NULL, &a[n]))
            n++;
    }
    assert_int_equal(n, 3);   // z moves: not traced
    assert_string_equal(a[1].base, "in");
    assert_string_equal(a[2].base, "in");
    assert_true(hone_poly_equal(&a[1].index, &a[2].index));
    hone_arena_free(p.arena);
}

static void test_deep_nesting_becomes_opaque(void **state)
{
    (void)state;
    char text[6000] = "__global__ void f(int n) { ";
    for (int k = 0; k < 500; k++)
        strcat(text, "if (n) ");
    strcat(text, "n = 1; }");
    hone_arena *a = hone_arena_new(16 << 20);
    hone_tokens t;
    hone_kernel *k;
    hone_ast ast;
    size_t n;
    hone_err e = {0};
    assert_int_equal(hone_lex(a, text, strlen(text), &t, &e), HONE_OK);
    assert_int_equal(hone_find_kernels(a, &t, &k, &n, &e), HONE_OK);
    assert_int_equal(hone_ast_parse(a, &t, &k[0], &ast, &e), HONE_OK);
    assert_true(ast.has_opaque);
    hone_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_casts_calls_and_templates),
        cmocka_unit_test(test_strange_code_is_opaque_and_parsing_goes_on),
        cmocka_unit_test(test_locals_and_writes),
        cmocka_unit_test(test_counted_loops),
        cmocka_unit_test(test_strides),
        cmocka_unit_test(test_pointers_lead_to_parameters),
        cmocka_unit_test(test_deep_nesting_becomes_opaque),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
