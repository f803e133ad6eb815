// The virtual GPU as a filter before a simulated device: what is measured, what is left out, and that an error of the model costs little.
#include "simulator.h"

static void the_screen_measures_the_promising(void **state) {
    options o = {.evals = 100, .seed = 3, .ahead = 1, .screen = 1, .dir = sub(state, "screen")};
    simulator good = {.slots = 3, .physical = true}, bad = {.slots = 3, .physical = true, .model_error = 3}, again = {.slots = 5, .order = 2, .physical = true};
    hone_search_result *r = result_of(&good, &o);
    assert_int_equal(r->evaluations, 100);
    assert_true(r->screen_left_out > r->screen_measured && r->screen_at_random > 0);
    assert_true(r->screen_rank_correlation > 0.99);
    assert_true(r->best && !r->best->screened && !r->best->timing.modelled && r->best->timing.time_us < 106 * 1.3);
    assert_int_equal(good.measured, r->screen_measured);
    assert_true(good.modelled >= r->screen_measured + r->screen_left_out);
    summary s = summarise(r);
    hone_search_result_free(r);
    assert_same(s, run_ok(&again, &o));   // from the archive
    assert_int_equal(again.measured, 0);
    options other = {.evals = 100, .seed = 3, .ahead = 1, .screen = 1};
    r = result_of(&bad, &other);
    assert_true(r->screen_rank_correlation < 0.9 && r->screen_share > 0.25);   // a model that orders badly is trusted less
    hone_search_result_free(r);
}

// A tenth is measured, and the best is as good as when everything is.
static void a_screen_spares_most(void **state) {
    (void)state;
    simulator some = {.slots = 3, .physical = true}, all = {.slots = 3, .physical = true};
    options screen = {.evals = 240, .batch = 48, .seed = 3, .ahead = 1, .screen = 1}, none = {.evals = 240, .batch = 4, .seed = 3, .ahead = 1};
    hone_search_result *r = result_of(&some, &screen), *b = result_of(&all, &none);
    assert_true((r->screen_measured - r->screen_at_random) * 10 < r->evaluations);
    assert_true(r->best && b->best && r->best->timing.time_us <= b->best->timing.time_us * 1.01);
    assert_int_equal(some.measured, r->screen_measured);
    hone_search_result_free(r);
    hone_search_result_free(b);
}

// What the model is wrong by differs between families of candidates: one that flatters the baseline and what is near it must not hide the rest.
static void a_flattered_baseline_hides_nothing(void **state) {
    (void)state;
    simulator fair = {.slots = 3, .physical = true}, flattered = {.slots = 3, .physical = true, .flatters = 0.3};
    options o = {.evals = 96, .batch = 16, .seed = 3, .ahead = 1, .screen = 1};
    hone_search_result *r = result_of(&fair, &o), *b = result_of(&flattered, &o);
    assert_true(r->best && b->best && b->best->timing.time_us < r->best->timing.time_us * 1.05);
    hone_search_result_free(r);
    hone_search_result_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(the_screen_measures_the_promising),
        SIM_TEST(a_screen_spares_most),
        SIM_TEST(a_flattered_baseline_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
