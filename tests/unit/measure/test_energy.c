// The energy protocol over a scripted source in scripted time: the counter's tick, windows that begin and end on it, intervals, what is discarded, and
// what happens where readings are missing. The loop that keeps a device busy: test_loop.c.
#include "measure/energy.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

// A device whose energy is known exactly: `watts` while it works, nothing in between; the counter shows what it was at the last tick.
typedef struct script {
    double tick_s, watts[2], run_s;          // per arm: power; of one run
    bool no_counter, no_power, no_temperature, stuck;
    double jitter;                           // of a window's power, alternating by a fixed sequence
    double (*celsius)(unsigned window);
    bool (*slowed)(unsigned window);
    unsigned fail_window, fail_stop;         // work fails in this one, waiting for it in that one; 0: never
    unsigned long long lost_at, back_at, miss_at;   // reads of the counter: none from this one on; one that goes backwards; one without an answer
    // state
    double t, joules, shown, next_tick_s, started_s;
    unsigned arm, windows, starts, stops, worked[2];
    unsigned long long reads;
} script;

static double factor(const script *s) { return 1 + s->jitter * ((double)(s->windows * 7 % 5) - 2) / 2; }

static void pass(script *s, double dt) {
    while (dt > 0) {
        double to_tick = s->next_tick_s - s->t, step = to_tick < dt ? to_tick : dt;
        s->joules += s->watts[s->arm] * factor(s) * step;
        s->t += step;
        dt -= step;
        if (s->t >= s->next_tick_s - 1e-12) {
            s->shown = s->stuck ? 0 : s->joules;
            s->next_tick_s += s->tick_s;
        }
    }
}

static void read_it(void *self, hone_nvml_reading *r) {
    script *s = self;
    *r = (hone_nvml_reading){.has_energy_mj = !s->no_counter, .energy_mj = (unsigned long long)(s->shown * 1e3), .has_power_mw = !s->no_power,
                             .power_mw = (unsigned)(s->watts[s->arm] * factor(s) * 1e3), .has_temperature_c = !s->no_temperature,
                             .temperature_c = (unsigned)(s->celsius ? s->celsius(s->windows) : 50), .has_throttle = true,
                             .throttle = s->slowed && s->slowed(s->windows) ? 0x20 : 0};
    s->reads++;
    if ((s->lost_at && s->reads >= s->lost_at) || (s->miss_at && s->reads == s->miss_at))
        r->has_energy_mj = false, r->energy_mj = 0;
    if (s->back_at && s->reads == s->back_at)
        r->energy_mj = 0;
}
static double now_s(void *self) { return ((script *)self)->t; }
static void pause_s(void *self, double dt) { pass(self, dt); }

static hone_code start(void *self, unsigned arm, hone_err *e) {
    (void)e;
    script *s = self;
    s->arm = arm;
    s->started_s = s->t;
    s->worked[arm]++;
    s->windows++;
    s->starts++;
    return HONE_OK;
}
static hone_code work(void *self, unsigned long long *done, hone_err *e) {
    script *s = self;
    if (s->fail_window && s->windows == s->fail_window)
        return hone_fail(e, HONE_E_DEVICE, 719, "a launch failed");
    *done = (unsigned long long)((s->t - s->started_s) / (4 * s->run_s)) * 4;   // in chunks of four
    return HONE_OK;
}
static hone_code stop(void *self, hone_err *e) {
    script *s = self;
    return ++s->stops == s->fail_stop ? hone_fail(e, HONE_E_DEVICE, 700, "the end was not reached") : HONE_OK;
}

static script usual(void) { return (script){.tick_s = 0.1, .next_tick_s = 0.1, .watts = {300, 200}, .run_s = 0.001}; }

// windows: the first one started is the search for the tick, so measured windows count from 2.
static const hone_energy_config six = {.window_s = 0.35};

static hone_code measure(script *s, bool paired, const hone_energy_config *c, hone_energy *out, hone_err *e) {
    hone_energy_source source = {s, read_it, now_s, pause_s, start, work, stop};
    hone_code code = hone_energy_measure(&source, paired, c, out, e);
    assert_int_equal(s->starts, s->stops);   // whatever happened: what was sent was waited for
    return code;
}

static void measured(script *s, bool paired, const hone_energy_config *c, hone_energy *out) {
    hone_err e = {0};
    if (measure(s, paired, c, out, &e) != HONE_OK)
        fail_msg("%s", e.msg);
}

static bool near(double x, double want, double share) { return fabs(x / want - 1) <= share; }

static void the_tick_is_found(void **st) {
    (void)st;
    static const double ticks[] = {0.01, 0.02, 0.1, 1};
    for (size_t i = 0; i < HONE_COUNT(ticks); i++) {
        script s = usual();
        s.tick_s = ticks[i];
        s.next_tick_s = 0.37 * ticks[i];
        double tick = 0;
        hone_err e = {0};
        hone_energy_source source = {&s, read_it, now_s, pause_s, start, work, stop};
        assert_int_equal(hone_energy_tick(&source, &tick, &e), HONE_OK);
        assert_true(fabs(tick - ticks[i]) < 0.001);
        assert_int_equal(s.starts, 1);
        assert_int_equal(s.stops, 1);
    }
}

// A window of 0.35 s over a counter that moves every 0.1 s: edges anywhere would be wrong by up to 29 %.
static void windows_begin_and_end_where_the_counter_moves(void **st) {
    (void)st;
    for (double phase = 0.01; phase < 0.1; phase += 0.013) {
        script s = usual();
        hone_energy m;
        s.next_tick_s = phase;
        measured(&s, true, &six, &m);
        assert_int_equal(m.n, 12);
        assert_int_equal(m.blocks, 6);
        for (size_t i = 0; i < m.n; i++) {
            assert_true(near(m.a_mj[i], 300, 0.005));
            assert_true(near(m.b_mj[i], 200, 0.005));
        }
        assert_true(fabs(m.window_s - 0.4) < 0.002);   // whole ticks
        assert_true(m.edge_error > 0 && m.edge_error < 0.01);
        assert_true(near(m.power_a_w, 300, 0.005) && near(m.power_b_w, 200, 0.005));
        assert_true(near(m.ratio.mid, 1.5, 0.005));
        assert_int_equal(s.worked[1], 12);
        hone_energy_free(&m);
    }
}

// Runs of 11 ms, seen to end four at a time, do not fit a window of 0.4 s: their rate counts, not how many were seen to end.
static void runs_that_do_not_fit_the_window(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.run_s = 0.011;
    measured(&s, true, &six, &m);
    for (size_t i = 0; i < m.n; i++)
        assert_true(near(m.a_mj[i], 3300, 0.01) && near(m.b_mj[i], 2200, 0.01));
    hone_energy_free(&m);
}

static void the_interval_holds_the_truth(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.jitter = 0.04;
    measured(&s, true, &six, &m);
    assert_true(m.a.lo < m.a.mid && m.a.mid < m.a.hi);
    assert_true(m.a.lo <= 300 && m.a.hi >= 300 && m.b.lo <= 200 && m.b.hi >= 200);
    assert_true(m.ratio.lo < 1.5 && m.ratio.hi > 1.5);
    assert_true(m.a.hi / m.a.lo > 1.01 && m.a.hi / m.a.lo < 1.1);   // ±4 % of power
    hone_energy_free(&m);
}

static void one_arm_alone(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    measured(&s, false, &six, &m);
    assert_int_equal(m.n, 24);
    assert_int_equal(s.worked[1], 0);
    assert_true(near(m.a.mid, 300, 0.005) && m.a.mid == m.b.mid && m.ratio.mid == 1);
    hone_energy_free(&m);
}

// ---- what is discarded

static bool in_second_block(unsigned window) { return window == 7; }
static bool always(unsigned window) { return window > 1; }
static double warms_in_second_block(unsigned window) { return window >= 7 ? 53 : 50; }
static double never_the_same(unsigned window) { return 50 + 3 * (window % 2); }
static double one_degree(unsigned window) { return 50 + window % 2; }

static void a_block_with_a_slowdown_is_discarded(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.slowed = in_second_block;
    measured(&s, true, &six, &m);
    assert_int_equal(m.discarded, 1);
    assert_int_equal(m.blocks, 6);
    assert_int_equal(m.n, 12);
    assert_int_equal(s.starts, 1 + 7 * 4);
    hone_energy_free(&m);
}

static void slowdowns_all_the_time_are_an_error(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    hone_err e = {0};
    s.slowed = always;
    assert_int_equal(measure(&s, true, &six, &m, &e), HONE_E_DEVICE);
    assert_non_null(strstr(e.msg, "no energy block without a slowdown in 14"));
    assert_non_null(strstr(e.hint, "cool down"));
    assert_null(m.a_mj);
}

static void a_block_at_two_temperatures_is_repeated(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.celsius = warms_in_second_block;
    measured(&s, true, &six, &m);
    assert_int_equal(m.discarded, 1);
    assert_int_equal(m.blocks, 6);
    assert_true(m.temperature_matched && m.temperature_lo_c == 50 && m.temperature_hi_c == 53);
    hone_energy_free(&m);
}

static void temperatures_that_never_match_are_taken_and_said(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.celsius = never_the_same;
    measured(&s, true, &six, &m);
    assert_int_equal(m.discarded, 3);   // half as many as are wanted
    assert_int_equal(m.blocks, 6);
    assert_false(m.temperature_matched);
    json_t *j = hone_energy_json(&m);
    assert_true(json_is_false(json_object_get(j, "temperature_matched")));
    assert_int_equal(json_integer_value(json_object_get(j, "discarded")), 3);
    json_decref(j);
    hone_energy_free(&m);
    s = usual();
    s.celsius = one_degree;   // is the same
    measured(&s, true, &six, &m);
    assert_true(m.temperature_matched && m.discarded == 0);
    hone_energy_free(&m);
}

// ---- what is missing

static void without_a_counter_power_is_integrated(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    s.no_counter = true;
    measured(&s, true, &six, &m);
    assert_true(m.integrated && m.tick_s == 0);
    assert_true(near(m.a.mid, 300, 0.01) && near(m.b.mid, 200, 0.01) && near(m.ratio.mid, 1.5, 0.01));
    json_t *j = hone_energy_json(&m);
    assert_string_equal(json_string_value(json_object_get(j, "source")), "power-integrated");
    assert_int_equal(json_array_size(json_object_get(j, "b_samples_mj")), 12);
    json_decref(j);
    hone_energy_free(&m);
    s = usual();
    s.no_temperature = true;
    measured(&s, true, &six, &m);
    j = hone_energy_json(&m);
    assert_string_equal(json_string_value(json_object_get(j, "source")), "energy-counter");
    assert_null(json_object_get(j, "temperature_c"));
    assert_true(m.temperature_matched);
    json_decref(j);
    hone_energy_free(&m);
}

static void with_neither_nothing_is_sent(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    hone_err e = {0};
    s.no_counter = s.no_power = true;
    assert_int_equal(measure(&s, true, &six, &m, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "neither an energy counter nor a power reading"));
    assert_int_equal(s.starts, 0);
}

static void readings_that_break(void **st) {
    (void)st;
    static const struct { bool stuck; unsigned long long lost, back; unsigned fails, fails_to_stop; hone_code code; const char *text; } table[] = {
        {.stuck = true, .code = HONE_E_UNSUPPORTED, .text = "did not move within 3.0 s"},
        {.lost = 2, .code = HONE_E_UNSUPPORTED, .text = "stopped answering"},
        {.lost = 3000, .code = HONE_E_UNSUPPORTED, .text = "stopped answering"},
        {.back = 400, .code = HONE_E_DEVICE, .text = "backwards"},
        {.fails = 1, .code = HONE_E_DEVICE, .text = "a launch failed"},
        {.fails_to_stop = 3, .code = HONE_E_DEVICE, .text = "the end was not reached"},
        {.fails = 6, .code = HONE_E_DEVICE, .text = "a launch failed"}};
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        script s = usual();
        hone_energy m;
        hone_err e = {0};
        s.stuck = table[i].stuck;
        s.lost_at = table[i].lost;
        s.back_at = table[i].back;
        s.fail_window = table[i].fails;
        s.fail_stop = table[i].fails_to_stop;
        hone_code c = measure(&s, true, &six, &m, &e);
        if (c != table[i].code || !strstr(e.msg, table[i].text))
            fail_msg("case %zu: %s", i, c == HONE_OK ? "no error" : e.msg);
        assert_null(m.a_mj);
        assert_true(!s.stuck || s.t < 3.1);   // of the script's time
    }
}

// One reading that fails, at the first look for an edge, is no move of the counter.
static void a_missing_reading_is_no_move(void **st) {
    (void)st;
    script s = usual();
    s.shown = 1000;
    s.joules = 1000;
    double tick = 0;
    hone_err e = {0};
    s.miss_at = 1;
    hone_energy_source source = {&s, read_it, now_s, pause_s, start, work, stop};
    assert_int_equal(hone_energy_tick(&source, &tick, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "stopped answering"));
}

// A run longer than the window: nothing ends within it, which is said and no number is made up.
static void runs_longer_than_a_window(void **st) {
    (void)st;
    script s = usual();
    hone_energy m;
    hone_err e = {0};
    s.run_s = 0.2;
    assert_int_equal(measure(&s, true, &six, &m, &e), HONE_E_DEVICE);
    assert_non_null(strstr(e.msg, "no run ended within a window"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_tick_is_found),
                                       cmocka_unit_test(windows_begin_and_end_where_the_counter_moves),
                                       cmocka_unit_test(runs_that_do_not_fit_the_window),
                                       cmocka_unit_test(the_interval_holds_the_truth),
                                       cmocka_unit_test(one_arm_alone),
                                       cmocka_unit_test(a_block_with_a_slowdown_is_discarded),
                                       cmocka_unit_test(slowdowns_all_the_time_are_an_error),
                                       cmocka_unit_test(a_block_at_two_temperatures_is_repeated),
                                       cmocka_unit_test(temperatures_that_never_match_are_taken_and_said),
                                       cmocka_unit_test(without_a_counter_power_is_integrated),
                                       cmocka_unit_test(with_neither_nothing_is_sent),
                                       cmocka_unit_test(readings_that_break),
                                       cmocka_unit_test(a_missing_reading_is_no_move),
                                       cmocka_unit_test(runs_longer_than_a_window)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
