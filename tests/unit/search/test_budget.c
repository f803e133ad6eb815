// What ends a search: evaluations, patience, time over all sittings.
#include "simulator.h"

static void patience_and_evaluations(void **state) {
    (void)state;
    simulator a = {0}, b = {0};
    options patient = {.patience = 25, .seed = 3}, none = {.evals = 1, .seed = 3};
    assert_int_equal(run_ok(&a, &patient).stop, HONE_STOP_PATIENCE);
    summary s = run_ok(&b, &none);
    assert_int_equal(s.stop, HONE_STOP_EVALS);
    assert_int_equal(s.evaluations, 1);
}

static double ticking(void *self) { return *(double *)self += 0.05; }

static void time_over_all_sittings(void **state) {
    double now = 0;
    hone_clock clock = {ticking, &now};
    options o = {.dir = sub(state, "time"), .seed = 3, .time_s = 30, .clock = &clock};
    simulator a = {0}, b = {0};
    summary first = run_ok(&a, &o), second = run_ok(&b, &o);
    assert_int_equal(first.stop, HONE_STOP_TIME);
    assert_true(first.evaluations > 3);
    assert_int_equal(second.stop, HONE_STOP_TIME);   // spent already: nothing new is evaluated
    assert_same(first, second);
    assert_int_equal(b.full_runs, 0);
}

// The clock runs with the outcomes, and those of a generation come last first: whatever the moment at which time is up, what was measured counts.
static void what_was_measured_in_time_counts(void **state) {
    for (unsigned i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "late%u", i);
        simulator sim = {.slots = 4, .physical = true, .newest_first = true, .outcome_s = 0.1};
        hone_clock clock = {sim_now, &sim};
        options o = {.dir = sub(state, name), .seed = 3, .time_s = 5 + 0.1 * i, .ahead = 3, .clock = &clock};
        hone_search_result *r = result_of(&sim, &o);
        assert_int_equal(r->stop, HONE_STOP_TIME);
        assert_int_equal(r->evaluations + 1 - r->refused, sim.passed);
        hone_search_result_free(r);
        simulator again = {.slots = 3, .physical = true};
        o.time_s = 0;
        o.evals = 60;
        summary resumed = run_ok(&again, &o);   // the rows beyond the last whole generation are where they belong
        simulator whole = {.physical = true};
        options at_once = {.seed = 3, .evals = 60, .ahead = 3};
        assert_same(resumed, run_ok(&whole, &at_once));
    }
}

// The one that all others stand behind never ends: a tenth of the budget is all that it gets.
static void what_does_not_end_is_not_waited_for(void **state) {
    (void)state;
    simulator sim = {.slots = 4, .physical = true, .newest_first = true, .outcome_s = 0.1, .silent_from_s = 5};
    hone_clock clock = {sim_now, &sim};
    options o = {.seed = 3, .time_s = 5, .ahead = 3, .clock = &clock, .no_confirm = true};
    hone_search_result *r = result_of(&sim, &o);
    assert_int_equal(r->stop, HONE_STOP_TIME);
    assert_true(sim.now < 5.7);
    assert_true(sim.cancelled > 0 && sim.n == 0);   // nothing stands in the confirmation's way
    hone_search_result_free(r);
}

// A screened one is measured out of turn: those before it that nobody measured are left out.
static void a_screened_measurement_counts_too(void **state) {
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        simulator sim = {.slots = 6, .physical = true, .outcome_s = 0.1, .order = 3};
        hone_clock clock = {sim_now, &sim};
        options o = {.seed = 3, .time_s = 4 + 0.1 * i, .ahead = 1, .screen = 1, .batch = 16, .clock = &clock, .no_confirm = true};
        hone_search_result *r = result_of(&sim, &o);
        assert_int_equal(r->stop, HONE_STOP_TIME);
        assert_int_equal(r->screen_measured, sim.passed);
        hone_search_result_free(r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(patience_and_evaluations),
        SIM_TEST(time_over_all_sittings),
        SIM_TEST(what_was_measured_in_time_counts),
        SIM_TEST(what_does_not_end_is_not_waited_for),
        SIM_TEST(a_screened_measurement_counts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
