// Learning parts: the bandit finds the arm that pays and keeps every arm alive, spaces know what is feasible, forests fit, the tuner beats
// random.
#include "learn/bandit.h"
#include "learn/forest.h"
#include "learn/tuner.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

// ---- bandit

static const char *const arm_names[] = {"rewrite/unroll", "rewrite/tile", "tune/parameters"};

static void share_of_picks(hone_bandit *b, const char *context, const bool *eligible, unsigned picks[3], hone_rng *rng, int good,
                           unsigned n) {
    memset(picks, 0, 3 * sizeof *picks);
    for (unsigned i = 0; i < n; i++) {
        int a = hone_bandit_pick(b, context, eligible, rng);
        assert_in_range(a, 0, 2);
        picks[a]++;
        assert_int_equal(hone_bandit_update(b, context, (size_t)a, a == good ? 0.9 : 0.05, 1, NULL), HONE_OK);
    }
}

static void bandit_finds_the_arm_that_pays(void **state) {
    (void)state;
    hone_bandit *b = hone_bandit_new(arm_names, 3, NULL);
    hone_rng rng;
    hone_rng_init(&rng, 1, 1);
    bool all[3] = {true, true, true};
    unsigned picks[3];
    share_of_picks(b, "dram/explore", all, picks, &rng, 1, 300);
    assert_true(picks[1] > 200);
    assert_true(picks[0] > 0 && picks[2] > 0);
    assert_true(hone_bandit_mean(b, "dram/explore", 1) > hone_bandit_mean(b, "dram/explore", 0));
    share_of_picks(b, "dram/explore", all, picks, &rng, 2, 400);   // the world changes: discounting follows
    assert_true(picks[2] > 200);
    hone_bandit_free(b);
}

static void bandit_contexts_differ(void **state) {
    (void)state;
    hone_bandit *b = hone_bandit_new(arm_names, 3, NULL);
    for (int i = 0; i < 60; i++) {
        hone_bandit_update(b, "dram", 0, 1, 1, NULL);
        hone_bandit_update(b, "dram", 1, 0, 1, NULL);
        hone_bandit_update(b, "latency", 0, 0, 1, NULL);
        hone_bandit_update(b, "latency", 1, 1, 1, NULL);
    }
    assert_true(hone_bandit_mean(b, "dram", 0) > hone_bandit_mean(b, "dram", 1));
    assert_true(hone_bandit_mean(b, "latency", 0) < hone_bandit_mean(b, "latency", 1));
    hone_bandit_free(b);
}

static void bandit_respects_eligibility(void **state) {
    (void)state;
    hone_bandit *b = hone_bandit_new(arm_names, 3, NULL);
    hone_rng rng;
    hone_rng_init(&rng, 2, 1);
    bool only[3] = {false, true, false}, none[3] = {false, false, false};
    for (int i = 0; i < 50; i++)
        assert_int_equal(hone_bandit_pick(b, "x", only, &rng), 1);
    assert_int_equal(hone_bandit_pick(b, "x", none, &rng), -1);
    hone_bandit_free(b);
}

static void bandit_state_round_trip(void **state) {
    (void)state;
    hone_bandit *a = hone_bandit_new(arm_names, 3, NULL), *b = hone_bandit_new(arm_names, 3, NULL),
                *prior = hone_bandit_new(arm_names, 3, NULL);
    for (int i = 0; i < 90; i++)
        hone_bandit_update(a, i % 2 ? "dram" : "latency", (size_t)(i % 3), i % 3 == 1, 0.7, NULL);
    hone_str s, t;
    hone_str_init(&s, 1 << 16);
    hone_str_init(&t, 1 << 16);
    hone_bandit_dump(a, &s);
    assert_int_equal(hone_bandit_load(b, s.s, true, NULL), HONE_OK);
    hone_bandit_dump(b, &t);
    assert_string_equal(s.s, t.s);
    assert_int_equal(hone_bandit_load(prior, s.s, false, NULL), HONE_OK);
    assert_true(hone_bandit_mean(prior, "new", 1) > hone_bandit_mean(prior, "new", 0));
    assert_int_equal(hone_bandit_load(b, "nonsense", true, NULL), HONE_E_PARSE);
    assert_int_equal(hone_bandit_load(b, "bandit 1\ncontext a rewrite/tile nan 1\n", true, NULL), HONE_E_PARSE);
    assert_int_equal(hone_bandit_load(b, "bandit 1\ncontext a gone/move 0x1p0 0x1p0\n", true, NULL), HONE_OK);
    hone_str_free(&s);
    hone_str_free(&t);
    hone_bandit_free(a);
    hone_bandit_free(b);
    hone_bandit_free(prior);
}

static void rewards_are_ranks(void **state) {
    (void)state;
    hone_reward_scale s = {0};
    double r;
    hone_reward_of(&s, -1, &r, NULL);
    assert_true(r == 0);
    hone_reward_of(&s, 0.5, &r, NULL);
    assert_true(r == 1);
    hone_reward_of(&s, 0.1, &r, NULL);
    assert_true(r == 0.5);
    hone_reward_of(&s, 9, &r, NULL);
    assert_true(r == 1);
    hone_reward_scale_free(&s);
}

// ---- spaces

static const int64_t pow2[] = {1, 2, 4, 8, 16, 32, 64, 128}, flag[] = {0, 1};
static const hone_space_param block[3] = {{"X", pow2, 8}, {"Y", pow2, 8}, {"S", flag, 2}};

static bool at_most_64(void *calls, const int64_t *v, size_t n) {
    ++*(unsigned *)calls;
    return n < 2 || v[0] * v[1] <= 64;
}

static hone_space *blocks(unsigned *calls, size_t max_list) {
    hone_space *s = NULL;
    assert_int_equal(hone_space_new(block, 3, at_most_64, calls, max_list, 10000, &s, NULL), HONE_OK);
    return s;
}

static void check_space(const hone_space *s) {
    hone_rng rng;
    hone_rng_init(&rng, 5, 0);
    unsigned feasible = 0;
    for (uint64_t c = 0; c < s->product; c++) {
        int64_t v[3];
        uint64_t back;
        hone_space_values(s, c, v);
        assert_true(hone_space_find(s, v, &back));
        assert_int_equal(back, c);
        assert_int_equal(hone_space_contains(s, c), v[0] * v[1] <= 64);
        feasible += v[0] * v[1] <= 64;
    }
    assert_int_equal(feasible, 56);
    for (int i = 0; i < 300; i++) {
        uint64_t c, n;
        assert_true(hone_space_sample(s, &rng, &c));
        assert_true(hone_space_contains(s, c));
        if (hone_space_neighbour(s, c, i % 2, &rng, &n)) {
            uint32_t a[3], b[3];
            hone_space_digits(s, c, a);
            hone_space_digits(s, n, b);
            assert_true(hone_space_contains(s, n));
            assert_int_equal((a[0] != b[0]) + (a[1] != b[1]) + (a[2] != b[2]), 1);
        }
    }
}

static void exact_space(void **state) {
    (void)state;
    unsigned calls = 0;
    hone_space *s = blocks(&calls, 1000);
    assert_true(s->exact);
    assert_int_equal(s->n_list, 56);
    assert_true(calls < 128 + 72);   // infeasible prefixes are cut: S is never tried below them
    check_space(s);
    hone_space_free(s);
}

static void space_too_large_to_list(void **state) {
    (void)state;
    unsigned calls = 0;
    hone_space *s = blocks(&calls, 10);
    assert_false(s->exact);
    check_space(s);
    hone_space_free(s);
}

static bool never(void *ctx, const int64_t *v, size_t n) {
    (void)ctx, (void)v;
    return n < 3;
}

static void space_without_solutions(void **state) {
    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        hone_space *s = NULL;
        hone_rng rng;
        hone_rng_init(&rng, 5, 0);
        assert_int_equal(hone_space_new(block, 3, never, NULL, 1000, exact ? 10000 : 10, &s, NULL), HONE_OK);
        uint64_t c, out[4];
        size_t got = 9;
        assert_false(hone_space_sample(s, &rng, &c));
        assert_int_equal(hone_tuner_ask(s, NULL, 0, NULL, &rng, 4, out, &got, NULL), HONE_OK);
        assert_int_equal(got, 0);
        hone_space_free(s);
    }
}

static void space_limits(void **state) {
    (void)state;
    hone_space_param many[HONE_SPACE_MAX_PARAMS + 1];
    for (size_t i = 0; i < HONE_COUNT(many); i++)
        many[i] = block[0];
    hone_space *s = NULL;
    assert_int_equal(hone_space_new(many, HONE_COUNT(many), NULL, NULL, 10, 10, &s, NULL), HONE_E_LIMIT);
    assert_int_equal(hone_space_new(many, 22, NULL, NULL, 10, 10, &s, NULL), HONE_E_LIMIT);
    assert_null(s);
}

// ---- forest

static void forest_fits(void **state) {
    (void)state;
    enum { N = 200 };
    float x[N][2];
    double y[N];
    hone_rng rng;
    hone_rng_init(&rng, 3, 0);
    for (size_t i = 0; i < N; i++) {
        x[i][0] = (float)hone_rng_unit(&rng);
        x[i][1] = (float)hone_rng_unit(&rng);
        y[i] = 3 * (double)x[i][0] + ((double)x[i][1] > 0.5 ? 2 : 0);
    }
    hone_forest *f = NULL;
    assert_int_equal(hone_forest_fit(&x[0][0], y, N, 2, NULL, &rng, &f, NULL), HONE_OK);
    double worst = 0, mean, sd;
    for (size_t i = 0; i < N; i++) {
        hone_forest_predict(f, x[i], &mean, &sd);
        worst = fmax(worst, fabs(mean - y[i]));
    }
    assert_true(worst < 1e-5);   // grown to single leaves: training points are reproduced
    float at[2] = {0.5f, 0.9f};
    hone_forest_predict(f, at, &mean, &sd);
    assert_true(fabs(mean - 3.5) < 0.4);
    assert_true(sd >= 0 && sd < 1);
    hone_forest_free(f);
    double one = 4;
    assert_int_equal(hone_forest_fit(&x[0][0], &one, 1, 2, NULL, &rng, &f, NULL), HONE_OK);
    hone_forest_predict(f, at, &mean, &sd);
    assert_true(mean == 4 && sd == 0);
    hone_forest_free(f);
}

// ---- tuner

static const hone_space_param big[5] = {{"A", pow2, 8}, {"B", pow2, 8}, {"C", pow2, 8}, {"D", pow2, 8}, {"S", flag, 2}};

// Best at A*B = 256, C = 8, D = 1, S = 1; fails when A*B*C is too large.
static bool measure(const hone_space *s, uint64_t c, double *cost) {
    int64_t v[5];
    hone_space_values(s, c, v);
    double ab = log2((double)(v[0] * v[1])) - 8, cc = log2((double)v[2]) - 3, d = log2((double)v[3]);
    *cost = 10 * exp(0.15 * ab * ab + 0.2 * cc * cc + 0.1 * d + (v[4] ? 0 : 0.3) + 0.05 * fabs(log2((double)v[0] / (double)v[1])));
    return v[0] * v[1] * v[2] <= 1 << 16;
}

static double best_after(const hone_space *s, unsigned n, bool random, uint64_t seed) {
    hone_observation *obs = calloc(n + 4, sizeof *obs);
    hone_rng rng;
    hone_rng_init(&rng, seed, 0);
    size_t k = 0;
    double best = INFINITY;
    while (k < n) {
        uint64_t ask[4];
        size_t got = 0;
        if (random)
            for (; got < 4; got++)
                assert_true(hone_space_sample(s, &rng, &ask[got]));
        else
            assert_int_equal(hone_tuner_ask(s, obs, k, NULL, &rng, 4, ask, &got, NULL), HONE_OK);
        assert_true(got > 0);
        for (size_t i = 0; i < got; i++) {
            for (size_t j = 0; !random && j < k; j++)
                assert_true(obs[j].config != ask[i]);   // never asked twice
            double cost;
            bool ok = measure(s, ask[i], &cost);
            obs[k++] = (hone_observation){ask[i], ok, cost};
            best = ok ? fmin(best, cost) : best;
        }
    }
    free(obs);
    return best;
}

static void tuner_beats_random(void **state) {
    (void)state;
    hone_space *s = NULL;
    assert_int_equal(hone_space_new(big, 5, NULL, NULL, 10000, 100000, &s, NULL), HONE_OK);
    unsigned wins = 0;
    for (uint64_t seed = 0; seed < 10; seed++)
        wins += best_after(s, 60, false, seed) <= best_after(s, 60, true, seed);
    assert_true(wins >= 8);
    assert_true(best_after(s, 120, false, 99) < 10.6);
    hone_space_free(s);
}

static void tuner_uses_up_a_small_space(void **state) {
    (void)state;
    unsigned calls = 0;
    hone_space *s = blocks(&calls, 1000);
    hone_observation obs[64];
    size_t n = 0;
    hone_rng rng;
    hone_rng_init(&rng, 4, 0);
    for (;;) {
        uint64_t ask[8];
        size_t got;
        assert_int_equal(hone_tuner_ask(s, obs, n, NULL, &rng, 8, ask, &got, NULL), HONE_OK);
        if (!got)
            break;
        for (size_t i = 0; i < got; i++)
            obs[n++] = (hone_observation){ask[i], n % 5 != 0, 1.0 + (double)(ask[i] % 7)};
        assert_true(n <= 56);
    }
    assert_int_equal(n, 56);
    hone_space_free(s);
}

static void tuner_is_deterministic(void **state) {
    (void)state;
    hone_space *s = NULL;
    assert_int_equal(hone_space_new(big, 5, NULL, NULL, 10000, 100000, &s, NULL), HONE_OK);
    assert_true(best_after(s, 40, false, 7) == best_after(s, 40, false, 7));
    hone_space_free(s);
}

static void each_allocation_fails(void **state) {
    (void)state;
    hone_space *s = NULL;
    assert_int_equal(hone_space_new(big, 5, NULL, NULL, 10000, 100000, &s, NULL), HONE_OK);
    hone_observation obs[20];
    for (size_t i = 0; i < 20; i++) {
        obs[i] = (hone_observation){i * 37, true, 0};
        measure(s, obs[i].config, &obs[i].cost);
    }
    hone_code c = HONE_E_NOMEM;
    for (uint64_t n = 1; n < 500 && c != HONE_OK; n++) {
        uint64_t ask[4];
        size_t got;
        hone_err e = {0};
        hone_rng rng;
        hone_rng_init(&rng, 4, 0);
        hone_fail_alloc_at(n, false);
        hone_bandit *b = hone_bandit_new(arm_names, 3, NULL);
        c = b ? hone_bandit_update(b, "x", 1, 1, 1, &e) : HONE_E_NOMEM;
        hone_bandit_free(b);
        if (c == HONE_OK)
            c = hone_tuner_ask(s, obs, 20, NULL, &rng, 4, ask, &got, &e);
        hone_fail_alloc_at(0, false);
        assert_true(c == HONE_OK || c == HONE_E_NOMEM);
    }
    assert_int_equal(c, HONE_OK);
    hone_space_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bandit_finds_the_arm_that_pays),
        cmocka_unit_test(bandit_contexts_differ),
        cmocka_unit_test(bandit_respects_eligibility),
        cmocka_unit_test(bandit_state_round_trip),
        cmocka_unit_test(rewards_are_ranks),
        cmocka_unit_test(exact_space),
        cmocka_unit_test(space_too_large_to_list),
        cmocka_unit_test(space_without_solutions),
        cmocka_unit_test(space_limits),
        cmocka_unit_test(forest_fits),
        cmocka_unit_test(tuner_beats_random),
        cmocka_unit_test(tuner_uses_up_a_small_space),
        cmocka_unit_test(tuner_is_deterministic),
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
