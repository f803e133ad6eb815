// Hashes, random numbers, statistics: against published or hand-computed values.
#include "base/base.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

static void bootstrap_interval_holds_the_median(void **state) {
    (void)state;
    double x[101];
    hone_rng r;
    hone_rng_init(&r, 3, 0);
    for (int i = 0; i < 101; i++)
        x[i] = 10 + hone_rng_normal(&r);
    hone_interval a = hone_bootstrap_median(x, 101, 0.99, 1000, 5), b = hone_bootstrap_median(x, 101, 0.99, 1000, 5);
    assert_true(a.lo < a.mid && a.mid < a.hi && a.lo < 10 && a.hi > 10 && a.hi - a.lo < 1.5);
    assert_true(a.lo == b.lo && a.hi == b.hi);    // the seed decides
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_the_standard), cmocka_unit_test(hash64_sees_every_byte_and_length), cmocka_unit_test(philox_matches_known_answers),
        cmocka_unit_test(draws_have_their_distribution), cmocka_unit_test(streams_replay_and_differ), cmocka_unit_test(order_statistics),
        cmocka_unit_test(bootstrap_interval_holds_the_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
