// Hashes, random numbers, statistics: against published or hand-computed values.
#include "base/base.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

// source: FIPS 180-4 example values
static void sha256_matches_the_standard(void **state) {
    (void)state;
    char hex[HONE_HASH_HEX];
    hone_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hone_sha *h = hone_sha_new();
    hone_sha_add(h, "a", 1);
    hone_sha_add(h, "bc", 2);
    char again[HONE_HASH_HEX];
    hone_sha_hex(h, again);
    assert_string_equal(hex, again);
}

static void hash64_sees_every_byte_and_length(void **state) {
    (void)state;
    uint8_t data[64] = {0};
    uint64_t base = hone_hash64(data, 40, 1);
    for (size_t i = 0; i < 40; i++) {
        data[i] = 1;
        assert_true(hone_hash64(data, 40, 1) != base);
        data[i] = 0;
    }
    assert_true(hone_hash64(data, 41, 1) != base);
    assert_true(hone_hash64(data, 40, 2) != base);
}

// source: Random123's known-answer vectors for philox4x32, 10 rounds
static void philox_matches_known_answers(void **state) {
    (void)state;
    static const struct { uint64_t key, stream, index; uint32_t out[4]; } cases[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        uint32_t out[4];
        hone_philox(cases[i].key, cases[i].stream, cases[i].index, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void draws_have_their_distribution(void **state) {
    (void)state;
    enum { N = 20000 };
    static double unit[N], normal[N], gamma_draw[N];
    hone_rng r;
    hone_rng_init(&r, 7, 1);
    unsigned counts[3] = {0};
    for (int i = 0; i < N; i++) {
        unit[i] = hone_rng_unit(&r);
        normal[i] = hone_rng_normal(&r);
        gamma_draw[i] = hone_rng_gamma(&r, 0.5);
        counts[hone_rng_below(&r, 3)]++;
        assert_true(unit[i] >= 0 && unit[i] < 1 && gamma_draw[i] >= 0);
    }
    double mean = 0, var = 0, g = 0;
    for (int i = 0; i < N; i++) {
        mean += normal[i] / N;
        var += normal[i] * normal[i] / N;
        g += gamma_draw[i] / N;
    }
    assert_true(fabs(mean) < 0.03 && fabs(var - 1) < 0.05);
    assert_true(fabs(g - 0.5) < 0.03);                          // mean of Gamma(k,1) is k
    assert_true(fabs(hone_median(unit, N) - 0.5) < 0.02);
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], N / 3 - 300, N / 3 + 300);
}

static void streams_replay_and_differ(void **state) {
    (void)state;
    hone_rng a, b, c;
    hone_rng_init(&a, 1, 2);
    hone_rng_init(&b, 1, 2);
    hone_rng_init(&c, 1, 3);
    bool differ = false;
    for (int i = 0; i < 100; i++) {
        uint64_t x = hone_rng_u64(&a);
        assert_true(x == hone_rng_u64(&b));
        differ |= x != hone_rng_u64(&c);
    }
    assert_true(differ);
}

static void order_statistics(void **state) {
    (void)state;
    const double x[] = {5, 1, 4, 2, 3};
    assert_true(hone_median(x, 5) == 3);
    assert_true(hone_quantile(x, 5, 0.25) == 2);
    assert_true(hone_quantile(x, 5, 1) == 5);
    assert_true(hone_median(x, 4) == 3);          // of 1 2 4 5
    assert_true(isnan(hone_median(x, 0)));
    assert_true(hone_mad(x, 5) == 1);
    const double y[] = {1, 2, 4};
    assert_true(fabs(hone_geomean(y, 3) - 2) < 1e-12);
    const double up[] = {10, 20, 30, 40}, down[] = {4, 3, 2, 1}, tied[] = {1, 1, 2, 2};
    assert_true(fabs(hone_spearman(up, down, 4) + 1) < 1e-12);
    assert_true(fabs(hone_spearman(up, tied, 4) - 0.8944271909999159) < 1e-9);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// From all n^n resamples, one by one.
static hone_interval bootstrap_by_hand(const double *x, size_t n, double level) {
    static double medians[3125];
    size_t count = 1;
    for (size_t i = 0; i < n; i++)
        count *= n;
    for (size_t r = 0; r < count; r++) {
        double draw[5];
        size_t rest = r;
        for (size_t i = 0; i < n; i++, rest /= n)
            draw[i] = x[rest % n];
        medians[r] = hone_median(draw, n);
    }
    qsort(medians, count, sizeof *medians, ascending);
    size_t cut = (size_t)ceil((1 - level) / 2 * (double)count);
    return (hone_interval){medians[cut - 1], hone_median(x, n), medians[count - cut]};
}

static void bootstrap_is_that_of_all_resamples(void **state) {
    (void)state;
    static const double x[5] = {3, -1, 7.5, 2, 11}, levels[] = {0.99, 0.9, 0.47, 0.2};
    for (size_t n = 1; n <= 5; n++)
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            hone_interval a = hone_bootstrap_median(x, n, levels[i]), b = bootstrap_by_hand(x, n, levels[i]);
            if (a.lo != b.lo || a.mid != b.mid || a.hi != b.hi)
                fail_msg("n = %zu, level %g: %g %g %g instead of %g %g %g", n, levels[i], a.lo, a.mid, a.hi, b.lo, b.mid, b.hi);
        }
    assert_true(isnan(hone_bootstrap_median(x, 0, 0.99).lo));
}

// How often the interval holds the true median: near its level, for samples of the sizes in use.
static void bootstrap_covers(void **state) {
    (void)state;
    hone_rng r;
    hone_rng_init(&r, 5, 0);
    for (unsigned n = 39; n <= 40; n++) {
        unsigned held = 0;
        for (int i = 0; i < 4000; i++) {
            double x[40];
            for (unsigned k = 0; k < n; k++)
                x[k] = hone_rng_normal(&r);
            hone_interval v = hone_bootstrap_median(x, n, 0.99);
            held += v.lo <= 0 && v.hi >= 0;
        }
        if (held < 3930 || held > 3985)
            fail_msg("n = %u: %u of 4000", n, held);
    }
    static double big[5001];
    for (int i = 0; i < 5001; i++)
        big[i] = i;
    hone_interval even = hone_bootstrap_median(big, 4096, 0.99), odd = hone_bootstrap_median(big, 5001, 0.99);
    assert_true(fabs(even.lo - (2047.5 - 2.5758 * 32)) < 3 && fabs(even.hi - (2047.5 + 2.5758 * 32)) < 3);   // half the root of n, times 2.58
    assert_true(fabs(odd.lo - (2500 - 2.5758 * 35.4)) < 3 && fabs(odd.hi - (2500 + 2.5758 * 35.4)) < 3);
}

static void sign_test_bounds_the_median(void **state) {
    (void)state;
    double x[20];
    for (int i = 0; i < 20; i++)
        x[i] = 20 - i;
    hone_interval none = hone_sign_bounds(x, 0, 1e-3), nine = hone_sign_bounds(x, 9, 1e-3), ten = hone_sign_bounds(x, 10, 1e-3), all = hone_sign_bounds(x, 20, 1e-3);
    assert_true(isinf(none.hi) && isinf(none.lo) && isinf(nine.hi) && isinf(nine.lo));   // 2^-9 > 0.001
    assert_true(ten.lo == 11 && ten.mid == 15.5 && ten.hi == 20);                        // 2^-10: smallest and largest
    assert_true(all.lo == 3 && all.mid == 10.5 && all.hi == 18);                         // P(Bin <= 2) = 0.0002, P(Bin <= 3) = 0.0013
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_the_standard), cmocka_unit_test(hash64_sees_every_byte_and_length), cmocka_unit_test(philox_matches_known_answers),
        cmocka_unit_test(draws_have_their_distribution), cmocka_unit_test(streams_replay_and_differ), cmocka_unit_test(order_statistics),
        cmocka_unit_test(bootstrap_is_that_of_all_resamples), cmocka_unit_test(bootstrap_covers), cmocka_unit_test(sign_test_bounds_the_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
