// Energy as the objective, and the joules that a search itself takes.
#include "simulator.h"

// The least energy of those that are not too slow, and its interval against the baseline's.
static void energy_as_the_objective(void **state) {
    (void)state;
    simulator sim = {.physical = true, .energy = true};
    hone_search_result *r = NULL;
    hone_err e = {0};
    options o = {.evals = 60, .seed = 5, .objective = HONE_OBJ_ENERGY, .window_s = 1};
    if (run_search(&sim, &o, &r, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_non_null(r->best);
    double limit = HONE_ENERGY_MAX_SLOWDOWN * r->baseline->timing.time_us;
    unsigned slow = 0;
    for (size_t i = 1; i < r->n_entries; i++) {
        const hone_search_entry *x = r->entries[i];
        if (!x->candidate->ok || x->duplicate)
            continue;
        assert_true(x->candidate->cost == x->timing.energy_mj);
        assert_int_equal(x->too_slow, x->timing.paired_us > limit);
        slow += x->too_slow && x->candidate->cost < r->best->candidate->cost;
        assert_true(x->too_slow || x->candidate->cost >= r->best->candidate->cost);
    }
    assert_true(slow > 0);   // else this run shows nothing of the limit
    assert_true(r->best->timing.paired_us <= limit);
    assert_true(fabs(r->speedup - 100 / r->best->timing.energy_mj) < 1e-6);
    assert_int_equal(r->verdict, HONE_CMP_FAST);
    assert_true(sim.least_window_s == 1 && sim.most_window_s == 2 && sim.most_blocks == 6);   // twice both in the confirmation
    assert_true(sim.most_limit_s >= hone_job_energy_seconds(2, 6, 1));
    assert_true(r->has_energy_j && r->energy_j == sim.joules);
    hone_search_result_free(r);
}

static void an_interval_that_holds_the_baseline_is_no_saving(void **state) {
    (void)state;
    hone_timing base = {.time_us = 100, .lo_us = 99, .hi_us = 101, .cost = 100};
    hone_timing x = {.time_us = 50, .lo_us = 49, .hi_us = 51, .cost = 95, .cost_lo = 88, .cost_hi = 103};
    assert_int_equal(hone_compare_timings(&base, &x), HONE_CMP_AMBIGUOUS);
    x.cost_hi = 97;
    assert_int_equal(hone_compare_timings(&base, &x), HONE_CMP_FAST);
}

// What the devices took in an earlier sitting is in the archive.
static void joules_of_all_sittings(void **state) {
    options o = {.dir = *state, .evals = 8, .seed = 5, .objective = HONE_OBJ_EDP, .window_s = 1};
    simulator first = {.physical = true, .energy = true}, second = first;
    hone_search_result *r = NULL;
    hone_err e = {0};
    assert_int_equal(run_search(&first, &o, &r, &e), HONE_OK);
    for (size_t i = 1; i < r->n_entries; i++)
        if (r->entries[i]->candidate->ok && !r->entries[i]->duplicate)
            assert_true(fabs(r->entries[i]->candidate->cost - r->entries[i]->timing.energy_mj * r->entries[i]->timing.paired_us) < 1e-6);
    hone_search_result_free(r);
    o.evals = 16;
    assert_int_equal(run_search(&second, &o, &r, &e), HONE_OK);
    assert_true(first.joules > 0 && second.joules > 0);
    assert_true(r->has_energy_j && !r->energy_partial && fabs(r->energy_j - first.joules - second.joules) < 1e-6);
    hone_search_result_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(energy_as_the_objective),
        SIM_TEST(an_interval_that_holds_the_baseline_is_no_saving),
        SIM_TEST(joules_of_all_sittings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
