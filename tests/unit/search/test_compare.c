// When one time, or one interval of pairs, is better than another.
#include "simulator.h"

// Measured in turns: the interval of the pairs decides, whatever the two times' quotient says; a size that is slower by more than 1 % forbids FAST.
static void comparisons_of_pairs(void **state) {
    (void)state;
    static const struct { double lo, mid, hi, worst; hone_compare verdict; } table[] = {
        {1.006, 1.02, 1.03, 1.02, HONE_CMP_FAST},       {1.0049, 1.02, 1.03, 1.02, HONE_CMP_AMBIGUOUS}, {0.97, 0.98, 0.994, 0.98, HONE_CMP_SLOW},
        {0.97, 0.98, 0.996, 0.98, HONE_CMP_AMBIGUOUS},  {0.98, 1.004, 1.03, 1.004, HONE_CMP_SAME},      {0.98, 1.006, 1.03, 1.006, HONE_CMP_AMBIGUOUS},
        {1.3, 1.4, 1.5, 0.991, HONE_CMP_FAST},          {1.3, 1.4, 1.5, 0.989, HONE_CMP_AMBIGUOUS},     {0.97, 0.98, 0.994, 0.9, HONE_CMP_SLOW},
    };
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100};
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        for (int quotient = 0; quotient < 2; quotient++) {
            double us = quotient ? 40 : 250, lo, hi;
            hone_timing c = {.time_us = us, .lo_us = us, .hi_us = us, .cost = us, .paired = true, .ratio = table[i].mid, .ratio_lo = table[i].lo,
                             .ratio_hi = table[i].hi, .ratio_worst = table[i].worst};
            if (hone_compare_timings(&base, &c) != table[i].verdict)
                fail_msg("row %zu: %s", i, hone_compare_name(hone_compare_timings(&base, &c)));
            hone_compare_bounds(&base, &c, &lo, &hi);
            assert_true(lo == table[i].lo && hi == table[i].hi);
        }
}

// What an outcome's `time` says is what is judged; incomplete or modelled pairs are none.
static void timing_of_an_outcome(void **state) {
    (void)state;
    static const struct { const char *json; bool paired; } table[] = {
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":1.9,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", true},
        {"{\"kind\":\"modelled\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":1.9,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", false},
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51,\"ratio\":{\"lo\":2.1,\"median\":2,\"hi\":2.1,\"worst\":1.5}}", false},
        {"{\"kind\":\"measured\",\"time_us\":50,\"lo_us\":49,\"hi_us\":51}", false},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        json_t *j = json_loads(table[i].json, 0, NULL);
        hone_timing t = hone_timing_of_json(j);
        assert_true(t.paired == table[i].paired && t.time_us == 50 && t.cost == 50 && t.modelled == (i == 1));
        assert_true(!t.paired || (t.ratio == 2 && t.ratio_lo == 1.9 && t.ratio_hi == 2.1 && t.ratio_worst == 1.5));
        json_decref(j);
    }
    assert_false(hone_timing_of_json(NULL).paired);
}

static void comparisons(void **state) {
    (void)state;
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100},
                near = {.time_us = 99.8, .lo_us = 99, .hi_us = 100.5, .cost = 99.8};
    hone_timing fast = {.time_us = 50, .lo_us = 49, .hi_us = 51, .cost = 50},
                slow = {.time_us = 200, .lo_us = 199, .hi_us = 201, .cost = 200};
    hone_timing noisy = {.time_us = 95, .lo_us = 80, .hi_us = 110, .cost = 95};
    assert_int_equal(hone_compare_timings(&base, &fast), HONE_CMP_FAST);
    assert_int_equal(hone_compare_timings(&base, &slow), HONE_CMP_SLOW);
    assert_int_equal(hone_compare_timings(&base, &near), HONE_CMP_SAME);
    assert_int_equal(hone_compare_timings(&base, &noisy), HONE_CMP_AMBIGUOUS);
    hone_timing modelled = {.time_us = 100, .modelled = true, .error_band = 0.25, .cost = 100}, within = modelled, beyond = modelled;
    within.cost = 90;
    beyond.cost = 70;
    assert_int_equal(hone_compare_timings(&modelled, &within), HONE_CMP_AMBIGUOUS);
    assert_int_equal(hone_compare_timings(&modelled, &beyond), HONE_CMP_FAST);
    assert_string_equal(hone_compare_name(HONE_CMP_AMBIGUOUS), "ambiguous");
    assert_string_equal(hone_stop_name(HONE_STOP_PATIENCE), "patience");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(comparisons_of_pairs),
        SIM_TEST(timing_of_an_outcome),
        SIM_TEST(comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
