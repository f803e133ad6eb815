// The proposer "tune": feasible values only, never the same twice, nothing for texts without tune lines, deterministic.
#include "propose/tune.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "#pragma hone size N=4096 M=64\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n"
#define KERNEL                                                                                                                             \
    "extern \"C\" __global__ void k(const float *a, float *b, int n) {\n  int i = blockIdx.x*blockDim.x+threadIdx.x;\n  if (i < n) b[i] "  \
    "= a[i];\n}\n"
static const char plain[] = HEAD "#pragma hone launch k<<<cdiv(N,256),256>>>(a,b,N)\n" KERNEL;
static const char tuned[] =
    HEAD "#pragma hone tune BX={32,64,128,256,2048}\n#pragma  hone tune UN=1..4 step 1\n#pragma hone where BX*UN <= 256\n"
         "#pragma hone where UN != 3\n#pragma hone launch k<<<cdiv(N,BX),BX>>>(a,b,N)\n" KERNEL;
static const char impossible[] =
    HEAD "#pragma hone tune BX={32,64}\n#pragma hone where BX > 100\n#pragma hone launch k<<<cdiv(N,BX),BX>>>(a,b,N)\n" KERNEL;
static const char divides[] = HEAD "#pragma hone tune BX={32,64}\n#pragma hone tune Z={1,0}\n#pragma hone where BX/Z > 0\n"
                                   "#pragma hone launch k<<<cdiv(N,BX),BX>>>(a,b,N)\n" KERNEL;
static const char too_wide[] = HEAD "#pragma hone tune BX={64,2048,4096}\n#pragma hone launch k<<<cdiv(N,BX),BX>>>(a,b,N)\n" KERNEL;

typedef struct bench {
    hone_arena *arena;
    hone_task *task;
    hone_rng rng;
    hone_candidate cands[64];
    const hone_candidate *history[64];
    hone_context ctx;
} bench;

static void open_bench(bench *b, const char *text, uint64_t seed) {
    memset(b, 0, sizeof *b);
    b->arena = hone_arena_new(16 << 20);
    hone_diags d = {.arena = b->arena};
    hone_err e = {0};
    if (hone_task_parse("t.cu", text, strlen(text), &b->task, &d, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    hone_rng_init(&b->rng, seed, 0);
    b->cands[0] = (hone_candidate){.text = text, .len = strlen(text), .evaluated = true, .ok = true, .time_us = 10, .cost = 10};
    b->history[0] = &b->cands[0];
    b->ctx = (hone_context){.task = b->task,
                            .arena = b->arena,
                            .rng = &b->rng,
                            .population = b->history,
                            .n_population = 1,
                            .history = b->history,
                            .n_history = 1,
                            .tune_cache = hone_tune_cache_new()};
}

static void close_bench(bench *b) {
    hone_tune_cache_free(b->ctx.tune_cache);
    hone_task_free(b->task);
    hone_arena_free(b->arena);
}

static size_t ask(bench *b, size_t n, hone_proposal *p) {
    size_t got = 99;
    hone_err e = {0};
    if (hone_proposer_tune.propose(&b->ctx, &b->cands[0], "parameters", n, p, &got, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return got;
}

static int64_t value(const hone_proposal *p, const char *name) {
    for (size_t i = 0; i < p->n_tuning; i++)
        if (strcmp(p->tuning[i].name, name) == 0)
            return p->tuning[i].value;
    fail();
    return 0;
}

static void nothing_without_tune_lines(void **state) {
    (void)state;
    bench b;
    hone_proposal p[4];
    open_bench(&b, plain, 1);
    assert_false(hone_proposer_tune.applies(&b.ctx, &b.cands[0], "parameters"));
    assert_int_equal(ask(&b, 4, p), 0);
    close_bench(&b);
    open_bench(&b, tuned, 1);
    assert_true(hone_proposer_tune.applies(&b.ctx, &b.cands[0], "parameters"));
    close_bench(&b);
}

// The whole space, asked for in portions: 32,64,128,256 × 1,2,4 with product ≤ 256: 9 of them, one (the first values) is known.
static void every_feasible_value_once(void **state) {
    (void)state;
    bench b;
    open_bench(&b, tuned, 7);
    for (;;) {
        hone_proposal p[3];
        size_t got = ask(&b, 3, p);
        if (!got)
            break;
        for (size_t i = 0; i < got; i++) {
            int64_t bx = value(&p[i], "BX"), un = value(&p[i], "UN");
            assert_true(bx * un <= 256 && un != 3);
            size_t n = b.ctx.n_history++;
            assert_true(n < 64);
            for (size_t k = 0; k < n; k++)
                assert_false(b.cands[k].n_tuning && b.cands[k].tuning[0].value == bx && b.cands[k].tuning[1].value == un);
            assert_false(bx == 32 && un == 1);
            b.cands[n] = (hone_candidate){.text = p[i].text,
                                          .len = p[i].len,
                                          .tuning = p[i].tuning,
                                          .n_tuning = p[i].n_tuning,
                                          .evaluated = true,
                                          .ok = n % 4 != 3,
                                          .cost = 5 + (double)(bx % 7)};
            b.history[n] = &b.cands[n];
            assert_non_null(strstr(p[i].note, "BX="));
        }
    }
    assert_int_equal(b.ctx.n_history, 9);
    close_bench(&b);
}

static void only_what_can_be_launched(void **state) {
    (void)state;
    bench b;
    hone_proposal p[4];
    open_bench(&b, too_wide, 1);   // 64 is known, the others exceed 1024 threads
    assert_int_equal(ask(&b, 4, p), 0);
    close_bench(&b);
    open_bench(&b, impossible, 1);
    assert_int_equal(ask(&b, 4, p), 0);
    close_bench(&b);
    open_bench(&b, divides, 1);
    size_t got = ask(&b, 4, p);
    assert_int_equal(got, 1);   // Z=0 divides by zero: not feasible; BX=32 Z=1 is known
    for (size_t i = 0; i < got; i++)
        assert_int_equal(value(&p[i], "Z"), 1);
    close_bench(&b);
}

static void deterministic_with_and_without_cache(void **state) {
    (void)state;
    bench a, b;
    hone_proposal p[4], q[4];
    open_bench(&a, tuned, 5);
    open_bench(&b, tuned, 5);
    hone_tune_cache_free(b.ctx.tune_cache);
    b.ctx.tune_cache = NULL;
    for (int round = 0; round < 3; round++) {
        size_t n = ask(&a, 4, p);
        assert_int_equal(ask(&b, 4, q), n);
        for (size_t i = 0; i < n; i++)
            assert_string_equal(p[i].note, q[i].note);
    }
    close_bench(&a);
    close_bench(&b);
}

static void a_broken_text_yields_nothing(void **state) {
    (void)state;
    bench b;
    hone_proposal p[4];
    open_bench(&b, tuned, 5);
    static const char broken[] = "#pragma hone tune BX={\n";
    b.cands[0].text = broken;
    b.cands[0].len = strlen(broken);
    assert_int_equal(ask(&b, 4, p), 0);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_without_tune_lines),   cmocka_unit_test(every_feasible_value_once),
        cmocka_unit_test(only_what_can_be_launched),    cmocka_unit_test(deterministic_with_and_without_cache),
        cmocka_unit_test(a_broken_text_yields_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
