// Input data and element types: distributions, domains, determinism, conversions.
#include "task/task.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N = 100000 };
typedef struct data { hone_task *t; hone_plan *p; double *v; size_t n; void *raw; } data;

// The first buffer of a task with one line `in a …`; n is N unless dims say otherwise.
static hone_code fill(const char *decl, hone_input k, uint64_t seed, data *d, hone_err *e) {
    char text[1024];
    *d = (data){0};
    snprintf(text, sizeof text, "#pragma hone size n=%d m=1000\n#pragma hone %s\n#pragma hone out o float[1]\n#pragma hone launch k<<<1,1>>>(o)\n"
             "__global__ void k(float *o) {}\n", N, decl);
    HONE_TRY(hone_task_parse("t.cu", text, strlen(text), &d->t, NULL, e));
    HONE_TRY(hone_plan_make(d->t, &d->t->sizes[0], NULL, &d->p, e));
    d->n = d->p->buffers[0].n_elems;
    d->raw = hone_malloc(d->p->buffers[0].bytes);
    d->v = hone_calloc(d->n, sizeof *d->v);
    HONE_TRY(hone_fill(d->p, 0, k, seed, d->raw, e));
    for (size_t i = 0; i < d->n; i++)
        d->v[i] = hone_dtype_get(d->p->buffers[0].arg->type, d->raw, i);
    return HONE_OK;
}

static data filled(const char *decl, hone_input k) {
    data d;
    hone_err e = {0};
    if (fill(decl, k, 1, &d, &e) != HONE_OK)
        fail_msg("%s: %s", decl, e.msg);
    return d;
}

static void done(data *d) {
    hone_free(d->v);
    hone_free(d->raw);
    hone_plan_free(d->p);
    hone_task_free(d->t);
}

static void moments(const data *d, double *mean, double *sd, double *lo, double *hi) {
    double sum = 0, squares = 0;
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t i = 0; i < d->n; i++) {
        sum += d->v[i];
        squares += d->v[i] * d->v[i];
        *lo = fmin(*lo, d->v[i]);
        *hi = fmax(*hi, d->v[i]);
    }
    *mean = sum / (double)d->n;
    *sd = sqrt(squares / (double)d->n - *mean * *mean);
}

static void test_distributions(void **s) {
    (void)s;
    const struct { const char *decl; double mean, sd, lo, hi, slack; } cases[] = {
        {"in a float[n]", 0, 1, -6, 6, 0.02}, {"in a float[n] ~ normal(3, 0.5)", 3, 0.5, 0, 6, 0.02}, {"in a double[n] ~ normal(0, 2)", 0, 2, -12, 12, 0.03},
        {"in a half[n] ~ normal(0, 1)", 0, 1, -6, 6, 0.02}, {"in a bfloat16[n] ~ uniform(-4, 4)", 0, 8 / sqrt(12), -4, 4, 0.03},
        {"in a float[n] ~ uniform(0, 1)", 0.5, 1 / sqrt(12), 0, 0.99999999, 0.01}, {"in a double[n] ~ uniform(0, 1)", 0.5, 1 / sqrt(12), 0, 1, 0.01},
        {"in a fp8_e4m3[n] ~ normal(0,1)", 0, 1, -6, 6, 0.02}, {"in a int32[n] ~ int(-50, 99)", 24.5, 150 / sqrt(12), -50, 99, 0.5},
        {"in a uint8[n] ~ int(0, 255)", 127.5, 256 / sqrt(12), 0, 255, 1}, {"in a int64[n] ~ int(-5, 5)", 0, sqrt(10), -5, 5, 0.05},
        {"in a int8[n] ~ int(-128, 127)", -0.5, 256 / sqrt(12), -128, 127, 1}, {"in a uint32[n] ~ index(m)", 499.5, 1000 / sqrt(12), 0, 999, 3},
        {"in a bool[n]", 0.5, 0.5, 0, 1, 0.01}, {"in a int16[n]", 0, 201 / sqrt(12), -100, 100, 0.6}, {"in a float[n] ~ int(1, 6)", 3.5, 6 / sqrt(12), 1, 6, 0.05},
        {"in a float[n] ~ sparse(0.75)", 0, 0.5, -6, 6, 0.02}, {"in a float[n] ~ const(2.5)", 2.5, 0, 2.5, 2.5, 1e-9}, {"in a int32[n] ~ zeros", 0, 0, 0, 0, 0},
        {"in a float[n] ~ sorted(2, 4)", 3, 2 / sqrt(12), 2, 4, 0.01},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        data d = filled(cases[i].decl, HONE_INPUT_TASK);
        double mean, sd, lo, hi;
        moments(&d, &mean, &sd, &lo, &hi);
        if (fabs(mean - cases[i].mean) > cases[i].slack || fabs(sd - cases[i].sd) > cases[i].slack || lo < cases[i].lo || hi > cases[i].hi)
            fail_msg("%s: mean %g sd %g in %g .. %g", cases[i].decl, mean, sd, lo, hi);
        done(&d);
    }
}

static void test_exact_kinds(void **s) {
    (void)s;
    data d = filled("in a int32[n] ~ permutation", HONE_INPUT_TASK);
    char *seen = hone_calloc(N, 1);
    size_t moved = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(d.v[i] >= 0 && d.v[i] < N && !seen[(size_t)d.v[i]]);
        seen[(size_t)d.v[i]] = 1;
        moved += d.v[i] != (double)i;
    }
    assert_true(moved > N - 100);
    hone_free(seen);
    done(&d);
    d = filled("in a int32[n] ~ iota", HONE_INPUT_TASK);
    assert_true(d.v[0] == 0 && d.v[N - 1] == N - 1);
    done(&d);
    d = filled("in a uint32[n] ~ hash32", HONE_INPUT_TASK);
    assert_true(d.v[0] == 0 && d.v[1] == 1364076727 && d.v[2] == 821347078);   // MurmurHash3 fmix32
    done(&d);
    d = filled("in a float[m][n/m] ~ one_hot(n/m)", HONE_INPUT_TASK);
    for (size_t r = 0; r < 1000; r++) {
        double sum = 0;
        for (size_t k = 0; k < N / 1000; k++)
            sum += d.v[r * (N / 1000) + k];
        assert_true(sum == 1);
    }
    done(&d);
    d = filled("in a int32[n] ~ sorted", HONE_INPUT_TASK);
    for (size_t i = 1; i < N; i++)
        assert_true(d.v[i] >= d.v[i - 1]);
    assert_true(d.v[N - 1] > N / 4);
    done(&d);
    d = filled("in a int32[n] ~ zipf(1.2, m)", HONE_INPUT_TASK);
    size_t zeros = 0, large = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(d.v[i] >= 0 && d.v[i] < 1000);
        zeros += d.v[i] == 0;
        large += d.v[i] > 500;
    }
    assert_true(zeros > 3 * large && large > 0);
    done(&d);
}

static void check_csr(hone_input k, double longest) {
    data d = filled("in a int32[m+1] ~ csr(64, 5)", k);
    double most = 0;
    assert_true(d.v[0] == 0 && d.v[1000] == 5000);
    for (size_t i = 0; i < 1000; i++) {
        double len = d.v[i + 1] - d.v[i];
        assert_true(len >= 0 && len <= 64);
        most = fmax(most, len);
    }
    assert_true(most == longest);
    done(&d);
}

static void test_csr(void **s) {
    (void)s;
    check_csr(HONE_INPUT_TASK, 9);         // 0 .. 2*mean-1
    check_csr(HONE_INPUT_CLUSTERED, 60);   // 12 rows' entries in one
    check_csr(HONE_INPUT_LOWEST, 64);
    check_csr(HONE_INPUT_HIGHEST, 64);
    data d = filled("in a int32[m+1] ~ csr(64, 5)", HONE_INPUT_HIGHEST);   // 78 full rows, one with the rest, then none
    assert_true(d.v[1] == 64 && d.v[78] == 4992 && d.v[79] == 5000);
    done(&d);
    d = filled("in a int32[m+1] ~ csr(64, 5)", HONE_INPUT_LOWEST);
    assert_true(d.v[921] == 0 && d.v[922] == 8 && d.v[923] == 72);
    done(&d);
    d = filled("in a int32[m+1] ~ csr(n, 5)", HONE_INPUT_HIGHEST);          // one huge row
    assert_true(d.v[1] == 5000 && d.v[2] == 5000);
    done(&d);
}

static void test_variants(void **s) {
    (void)s;
    double mean, sd, lo, hi;
    data d = filled("in a float[n] ~ normal(1, 2)", HONE_INPUT_TINY);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(fabs(sd - 0.002) < 1e-4);
    done(&d);
    d = filled("in a float[n] ~ uniform(-1, 1)", HONE_INPUT_LARGE);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo < -60 && hi > 60 && hi <= 64);
    done(&d);
    d = filled("in a float[n]", HONE_INPUT_SMALL_INT);
    for (size_t i = 0; i < N; i++)
        assert_true(d.v[i] == rint(d.v[i]) && fabs(d.v[i]) <= 4);
    done(&d);
    d = filled("in a float[m][n/m]", HONE_INPUT_ONE_HOT);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(fabs(mean * N - 1000) < 1e-6 && hi == 1 && lo == 0);
    done(&d);
    d = filled("in a float[n]", HONE_INPUT_CLUSTERED);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(hi > 50 && sd > 2 && sd < 6);
    done(&d);
    d = filled("in a float[n] ~ uniform(0, 1)", HONE_INPUT_NORMAL);   // stays in the domain
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo >= 0 && hi < 1 && fabs(mean - 0.5) < 0.01);
    done(&d);
    d = filled("in a int32[n] ~ index(m)", HONE_INPUT_LARGE);         // both ends
    for (size_t i = 0; i < N; i++)
        assert_true(d.v[i] == 0 || d.v[i] == 999);
    done(&d);
    d = filled("in a int32[n] ~ int(-100, 999)", HONE_INPUT_CLUSTERED);   // 32 of Zipf's, 32 close ones, …
    for (size_t i = 0; i + 64 <= N; i += 64) {
        double least = 1e9, most = -1e9;
        for (size_t k = 32; k < 64; k++) {
            least = fmin(least, d.v[i + k]);
            most = fmax(most, d.v[i + k]);
        }
        assert_true(least >= -100 && most <= 999 && most - least < 8);
    }
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == -100 && hi > 900 && mean < 300);
    done(&d);
    d = filled("in a int32[n] ~ index(m)", HONE_INPUT_LOWEST);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == 0 && hi == 0);
    done(&d);
    d = filled("in a uint8[n] ~ int(0, 1)", HONE_INPUT_HIGHEST);          // a mask of ones
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == 1 && hi == 1);
    done(&d);
    d = filled("in a float[n] ~ uniform(0, 1)", HONE_INPUT_LARGE);        // probabilities, 0 and 1 among them
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == 0 && hi == 1 && sd > 0.35);
    done(&d);
    d = filled("in a float[n] ~ uniform(2, 3)", HONE_INPUT_LARGE);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == 2 && hi < 3 && hi > 2.999);
    done(&d);
}

// Two inputs and an output of a product; A's kinds change by its rows, B's by its columns, w's by its only axis.
#define PRODUCT "#pragma hone size M=%d N=400 K=30\n#pragma hone in A float[M][K] ~ normal(0, 1)\n#pragma hone in B float[K][N] ~ normal(0, 1)\n" \
    "#pragma hone in w int32[K] ~ index(N)\n#pragma hone out C float[M][N]\n#pragma hone launch k<<<1,1>>>(A, B, w, C)\n" \
    "__global__ void k(const float *A, const float *B, const int *w, float *C) {}\n"

static hone_plan *product(int rows, hone_task **t) {
    char text[1024];
    hone_err e = {0};
    hone_plan *p;
    snprintf(text, sizeof text, PRODUCT, rows);
    assert_int_equal(hone_task_parse("t.cu", text, strlen(text), t, NULL, &e), HONE_OK);
    assert_int_equal(hone_plan_make(*t, &(*t)->sizes[0], NULL, &p, &e), HONE_OK);
    return p;
}

// All pure fillings of a buffer, one after the other.
static float *pure_fillings(const hone_plan *p, size_t buffer, uint64_t seed) {
    const size_t n = p->buffers[buffer].n_elems;
    hone_err e = {0};
    float *v = hone_calloc(n * HONE_INPUT_MIXED, sizeof *v);
    for (hone_input k = HONE_INPUT_TASK; k < HONE_INPUT_MIXED; k++)
        assert_int_equal(hone_fill(p, buffer, k, seed, v + n * k, &e), HONE_OK);
    return v;
}

// Which of them the elements first, first + step, … are equal to; HONE_INPUT_COUNT: none.
static hone_input kind_at(const float *pure, size_t all, const float *v, size_t first, size_t n, size_t step) {
    for (hone_input k = HONE_INPUT_TASK; k < HONE_INPUT_MIXED; k++) {
        bool same = true;
        for (size_t i = 0; i < n; i++)
            same &= pure[all * k + first + i * step] == v[first + i * step];
        if (same)
            return k;
    }
    return HONE_INPUT_COUNT;
}

static void test_mixed_axes(void **s) {
    (void)s;
    hone_task *t;
    hone_plan *p = product(400, &t);
    hone_err e = {0};
    float *A = hone_calloc(400 * 30, sizeof *A), *B = hone_calloc(400 * 30, sizeof *B), part[77];
    const hone_mixture m = hone_input_mixture(p);
    assert_true(m.apart && m.kinds == 9 && m.at_once == 9);      // those of w's are among them; A has its own there
    for (uint64_t seed = 1; seed <= 2; seed++) {
        unsigned rows = 0, columns = 0;
        float *pure_a = pure_fillings(p, 0, seed), *pure_b = pure_fillings(p, 1, seed);
        assert_int_equal(hone_fill(p, 0, HONE_INPUT_MIXED, seed, A, &e), HONE_OK);
        assert_int_equal(hone_fill(p, 1, HONE_INPUT_MIXED, seed, B, &e), HONE_OK);
        for (size_t i = 0; i < 400; i++) {
            const hone_input a = kind_at(pure_a, 12000, A, i * 30, 30, 1), b = kind_at(pure_b, 12000, B, i, 30, 400);
            assert_true(a < HONE_INPUT_MIXED && b < HONE_INPUT_MIXED);
            rows |= 1u << a;
            columns |= 1u << b;
        }
        assert_int_equal(rows, 0x7f);
        assert_int_equal(columns, 0x7f);
        assert_int_equal(hone_fill_range(p, 1, HONE_INPUT_MIXED, seed, 3000, 77, part, &e), HONE_OK);
        assert_memory_equal(part, B + 3000, sizeof part);
        hone_free(pure_a);
        hone_free(pure_b);
    }
    hone_free(A);
    hone_free(B);
    hone_plan_free(p);
    hone_task_free(t);
}

// Four rows have four kinds; the next seeds go on with the others.
static void test_mixed_few_rows(void **s) {
    (void)s;
    hone_task *t;
    hone_plan *p = product(4, &t);
    hone_err e = {0};
    float A[120];
    unsigned seen = 0;
    assert_int_equal(hone_input_mixture(p).at_once, 4);
    for (uint64_t seed = 11; seed < 14; seed++) {
        assert_int_equal(hone_fill(p, 0, HONE_INPUT_MIXED, seed, A, &e), HONE_OK);
        float *pure = pure_fillings(p, 0, seed);
        for (size_t i = 0; i < 4; i++)
            seen |= 1u << kind_at(pure, 120, A, i * 30, 30, 1);
        hone_free(pure);
    }
    assert_int_equal(seen, 0x7f);
    hone_plan_free(p);
    hone_task_free(t);
}

// Row pointers remain row pointers, every part keeps the mean, and rows of all kinds are among them.
static void test_mixed_csr(void **s) {
    (void)s;
    for (uint64_t seed = 1; seed < 9; seed++) {
        data d;
        hone_err e = {0};
        unsigned full = 0, empty = 0, plain = 0;
        assert_int_equal(fill("in a int32[m+1] ~ csr(64, 5)", HONE_INPUT_MIXED, seed, &d, &e), HONE_OK);
        assert_true(d.v[0] == 0 && d.v[1000] == 5000);
        for (size_t i = 0; i < 1000; i++) {
            const double len = d.v[i + 1] - d.v[i];
            assert_true(len >= 0 && len <= 64);
            full += len >= 60;
            empty += len == 0;
            plain += len > 0 && len < 10;
        }
        assert_true(full > 30 && empty > 400 && plain > 200);
        done(&d);
    }
}

static void test_mixed_domains(void **s) {
    (void)s;
    double mean, sd, lo, hi;
    data d = filled("in a int32[n] ~ int(-100, 999)", HONE_INPUT_MIXED);
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == -100 && hi == 999);
    done(&d);
    d = filled("in a int32[n] ~ permutation", HONE_INPUT_MIXED);      // has no other kinds: the task's
    assert_false(hone_input_applies(d.p->buffers[0].arg, HONE_INPUT_MIXED));
    moments(&d, &mean, &sd, &lo, &hi);
    assert_true(lo == 0 && hi == N - 1 && fabs(mean * 2 - (N - 1)) < 1e-6);
    assert_false(hone_input_mixture(d.p).apart);                      // the output has another extent
    done(&d);
}

static bool applies(const char *decl, hone_input k) {
    data d = filled(decl, HONE_INPUT_TASK);
    bool a = hone_input_applies(d.p->buffers[0].arg, k);
    done(&d);
    return a;
}

static void test_applies(void **s) {
    (void)s;
    for (int k = 0; k < HONE_INPUT_COUNT; k++) {
        assert_int_equal(applies("in a float[n]", (hone_input)k), k != HONE_INPUT_LOWEST && k != HONE_INPUT_HIGHEST);
        assert_int_equal(applies("in a int32[n] ~ permutation", (hone_input)k), k == HONE_INPUT_TASK);
        assert_int_equal(applies("in a float[n] ~ const(1)", (hone_input)k), k == HONE_INPUT_TASK);
        assert_non_null(hone_input_name((hone_input)k));
    }
    assert_true(applies("in a float[n] ~ uniform(0, 1)", HONE_INPUT_LARGE));
    assert_false(applies("in a float[n] ~ uniform(0, 1)", HONE_INPUT_HIGHEST));
    assert_true(applies("in a int32[n] ~ zipf(1.2, m)", HONE_INPUT_HIGHEST));
    assert_false(applies("in a float[n] ~ uniform(0.5, 1)", HONE_INPUT_ONE_HOT));
    assert_false(applies("in a int32[n] ~ index(m)", HONE_INPUT_SMALL_INT));
    assert_true(applies("in a int32[n] ~ int(-2, 90)", HONE_INPUT_SMALL_INT));
    assert_false(applies("in a int32[n] ~ int(5, 90)", HONE_INPUT_ONE_HOT));
    assert_true(applies("in a int32[m+1] ~ csr(9, 4)", HONE_INPUT_CLUSTERED));
}

static bool closed(const char *decl, hone_closure c) {
    data d = filled(decl, HONE_INPUT_TASK);
    const bool yes = hone_input_closed(d.p->buffers[0].arg, c);
    done(&d);
    return yes;
}

// What a change of the contents leaves in the declared domain.
static void test_closed(void **s) {
    (void)s;
    for (int c = HONE_CLOSED_ORDER; c <= HONE_CLOSED_LARGER; c++) {
        assert_true(closed("in a float[n] ~ normal(0, 1)", (hone_closure)c));
        assert_false(closed("in a int32[n] ~ sorted", (hone_closure)c));
        assert_false(closed("in a int32[m+1] ~ csr(9, 4)", (hone_closure)c));
    }
    assert_true(closed("in a int32[n] ~ permutation", HONE_CLOSED_ORDER));
    assert_false(closed("in a int32[n] ~ permutation", HONE_CLOSED_CHOICE));
    assert_true(closed("in a uint32[n] ~ hash32", HONE_CLOSED_ORDER));
    assert_false(closed("in a int32[n] ~ int(1, 5)", HONE_CLOSED_ZERO));
    assert_true(closed("in a int32[n] ~ int(-1, 5)", HONE_CLOSED_ZERO));
    assert_false(closed("in a int32[n] ~ int(-1, 5)", HONE_CLOSED_LARGER));
    assert_true(closed("in a float[n] ~ uniform(0, 1)", HONE_CLOSED_SMALLER));
    assert_false(closed("in a float[n] ~ uniform(0, 1)", HONE_CLOSED_LARGER));
    assert_false(closed("in a float[n] ~ uniform(1, 2)", HONE_CLOSED_SMALLER));
    data d = filled("in a int32[n] ~ index(m)", HONE_INPUT_TASK);
    assert_true(hone_input_mentions(d.p->buffers[0].arg, "m"));
    assert_false(hone_input_mentions(d.p->buffers[0].arg, "n"));
    done(&d);
}

static void test_determinism(void **s) {
    (void)s;
    static const char *const decls[] = {"in a float[n]", "in a bfloat16[n] ~ uniform(-1,1)", "in a uint8[n] ~ int(0,9)", "in a int32[n] ~ zipf(1,50)",
                                        "in a double[n]", "in a float[n] ~ sparse(0.5)"};
    for (size_t i = 0; i < HONE_COUNT(decls); i++) {
        data a, b;
        hone_err e = {0};
        assert_int_equal(fill(decls[i], HONE_INPUT_TASK, 7, &a, &e), HONE_OK);
        assert_int_equal(fill(decls[i], HONE_INPUT_TASK, 8, &b, &e), HONE_OK);
        size_t size = a.p->buffers[0].bytes / N, same = 0;
        assert_memory_not_equal(a.raw, b.raw, N * size);
        for (size_t k = 0; k < N; k++)
            same += a.v[k] == b.v[k];
        assert_true(same < N * 6 / 10);
        // in pieces, out of order
        static const size_t cuts[][2] = {{777, 1}, {50000, 50000}, {0, 777}, {778, 49222}};
        for (size_t c = 0; c < HONE_COUNT(cuts); c++)
            assert_int_equal(hone_fill_range(a.p, 0, HONE_INPUT_TASK, 7, cuts[c][0], cuts[c][1], (char *)b.raw + cuts[c][0] * size, &e), HONE_OK);
        assert_memory_equal(a.raw, b.raw, N * size);
        done(&a);
        done(&b);
    }
    data x = filled("in a float[n]", HONE_INPUT_TASK), y = filled("in b float[n]", HONE_INPUT_TASK);
    assert_memory_not_equal(x.raw, y.raw, 4096);
    done(&x);
    done(&y);
}

static void test_limits(void **s) {
    (void)s;
    static const char *const bad[] = {"in a uint8[n] ~ index(m)", "in a uint8[n] ~ permutation", "in a int8[n] ~ int(0, 200)", "in a int32[n] ~ int(5, 4)",
                                      "in a int32[n] ~ int(0.5, 4)", "in a int32[n] ~ csr(3, 4)", "in a uint8[n] ~ csr(300, 250)", "in a int32[n] ~ index(0)"};
    for (size_t i = 0; i < HONE_COUNT(bad); i++) {
        data d;
        hone_err e = {0};
        hone_code c = fill(bad[i], HONE_INPUT_TASK, 1, &d, &e);
        if (c != HONE_E_LIMIT && c != HONE_E_PARSE)
            fail_msg("%s was filled", bad[i]);
        assert_non_null(strstr(e.msg, "t.cu:2"));
        done(&d);
    }
    data d = filled("out a float[n]", HONE_INPUT_TASK);
    assert_true(d.v[0] == 0 && d.v[N - 1] == 0);
    done(&d);
}

static void test_types(void **s) {
    (void)s;
    static const struct { hone_dtype t; double in, out; } cases[] = {
        {HONE_HALF, 65504, 65504}, {HONE_HALF, 65519, 65504}, {HONE_HALF, 65520, INFINITY}, {HONE_HALF, 1.0 + 0x1p-11, 1}, {HONE_HALF, 1.0 + 3 * 0x1p-11, 1 + 0x1p-9},
        {HONE_HALF, 0x1p-24, 0x1p-24}, {HONE_HALF, 0x1p-25, 0}, {HONE_HALF, 0x1.8p-25, 0x1p-24}, {HONE_HALF, -2.5, -2.5}, {HONE_BFLOAT16, 1 + 0x1p-8, 1},
        {HONE_BFLOAT16, 1 + 3 * 0x1p-8, 1 + 0x1p-6}, {HONE_BFLOAT16, 1e39, INFINITY}, {HONE_FP8_E4M3, 448, 448}, {HONE_FP8_E4M3, 1e9, 448},
        {HONE_FP8_E4M3, 0x1p-9, 0x1p-9}, {HONE_FP8_E4M3, 17, 16}, {HONE_FP8_E5M2, 57344, 57344}, {HONE_FP8_E5M2, 1e9, INFINITY}, {HONE_INT8, 200, 127},
        {HONE_INT8, -200, -128}, {HONE_UINT8, -1, 0}, {HONE_UINT8, 2.5, 2}, {HONE_UINT8, 3.5, 4}, {HONE_UINT32, 1e10, 4294967295.0}, {HONE_INT64, -5, -5},
        {HONE_UINT64, 0x1p63, 0x1p63}, {HONE_BOOL, 3, 1}, {HONE_FLOAT, 0.1, (double)0.1f}, {HONE_DOUBLE, 0.1, 0.1}, {HONE_INT16, NAN, 0},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        uint64_t buf[2] = {0};
        hone_dtype_set(cases[i].t, buf, 1, cases[i].in);
        double v = hone_dtype_get(cases[i].t, buf, 1);
        if (v != cases[i].out)
            fail_msg("%s: %.17g became %.17g, not %.17g", hone_dtype_name(cases[i].t), cases[i].in, v, cases[i].out);
    }
    for (unsigned bits = 0; bits < 65536; bits++) {   // every half and bfloat16 survives a round trip
        uint16_t in = (uint16_t)bits, out = 0;
        for (int t = HONE_HALF; t <= HONE_BFLOAT16; t++) {
            double v = hone_dtype_get((hone_dtype)t, &in, 0);
            hone_dtype_set((hone_dtype)t, &out, 0, v);
            assert_true(isnan(v) || in == out);
        }
    }
}

// The block conversions agree with the conversion of single elements: subnormal, ordinary and overflowing values.
static void test_narrow_floats(void **s) {
    (void)s;
    static const char *const deviations[] = {"1e-6", "1", "2e4", "1e6"};
    static const struct { const char *name; hone_dtype t; } types[] = {{"half", HONE_HALF}, {"bfloat16", HONE_BFLOAT16}};
    for (size_t i = 0; i < HONE_COUNT(deviations) * HONE_COUNT(types); i++) {
        char wide[64], narrow[64];
        snprintf(wide, sizeof wide, "in a float[n] ~ normal(0, %s)", deviations[i / 2]);
        snprintf(narrow, sizeof narrow, "in a %s[n] ~ normal(0, %s)", types[i % 2].name, deviations[i / 2]);
        data f = filled(wide, HONE_INPUT_TASK), h = filled(narrow, HONE_INPUT_TASK);
        for (size_t k = 0; k < N; k++) {
            uint16_t bits;
            hone_dtype_set(types[i % 2].t, &bits, 0, f.v[k]);
            assert_memory_equal(&bits, (char *)h.raw + 2 * k, 2);
        }
        done(&f);
        done(&h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions), cmocka_unit_test(test_exact_kinds), cmocka_unit_test(test_csr),    cmocka_unit_test(test_variants), cmocka_unit_test(test_mixed_axes), cmocka_unit_test(test_mixed_few_rows),
        cmocka_unit_test(test_mixed_csr), cmocka_unit_test(test_mixed_domains),
        cmocka_unit_test(test_applies), cmocka_unit_test(test_closed),       cmocka_unit_test(test_determinism), cmocka_unit_test(test_limits), cmocka_unit_test(test_types),
        cmocka_unit_test(test_narrow_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
