// The search against a simulated evaluator: what was tried and what is best must depend neither on how many slots there are, nor on the order of outcomes,
// nor on where the process dies.
#include "simulator.h"
#include <sqlite3.h>
#include <sys/wait.h>

static void finds_the_optimum(void **state) {
    (void)state;
    simulator sim = {0};
    hone_search_result *r = NULL;
    options o = {.evals = 150, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, NULL), HONE_OK);
    assert_non_null(r->best);
    assert_true(r->confirmed);
    assert_int_equal(r->verdict, HONE_CMP_FAST);
    assert_true(r->speedup > 1.5);   // 173.3 → at most 105
    assert_true(r->best->timing.time_us < 106);
    assert_int_equal(r->lineage[r->n_lineage - 1]->candidate->id, 0);
    assert_ptr_equal(r->lineage[0], r->best);
    assert_int_equal(r->evaluations, 150);
    assert_true(r->refused > 0 && r->n_findings == 1);
    assert_string_equal(r->findings[0].kind, "output.wrong");
    for (size_t i = 1; i < r->n_convergence; i++)
        assert_true(r->convergence[i].time_us < r->convergence[i - 1].time_us);
    assert_non_null(strstr(r->best_outcome_json, "hone.outcome/1"));
    hone_search_result_free(r);
}

// The evaluator hears of each new best that was measured, so that what waits for a device meets it.
static void whom_to_race_is_told(void **state) {
    (void)state;
    simulator measured = {.physical = true}, modelled = {0};
    options o = {.evals = 60, .seed = 3, .ahead = 3};
    hone_search_result *r = result_of(&measured, &o);
    assert_true(measured.races > 0);
    assert_true(fabs(measured.race_ratio / (r->baseline->timing.cost / r->convergence[r->n_convergence - 1].time_us) - 1) < 1e-9);
    hone_search_result_free(r);
    run_ok(&modelled, &o);
    assert_int_equal(modelled.races, 0);
}

static void never_runs_a_program_twice(void **state) {
    (void)state;
    simulator sim = {.slots = 4, .order = 3};
    options o = {.evals = 120, .seed = 5};
    summary s = run_ok(&sim, &o);
    assert_true(s.duplicates > 0);
    assert_false(sim.ran_twice);
}

static void slots_and_order_do_not_matter(void **state) {
    (void)state;
    options o = {.evals = 60, .seed = 11};
    simulator one = {.slots = 1}, four = {.slots = 4, .order = 1}, many = {.slots = 9, .order = 5};
    summary a = run_ok(&one, &o);
    assert_same(a, run_ok(&four, &o));
    assert_same(a, run_ok(&many, &o));
    options other = {.evals = 60, .seed = 12};
    simulator again = {0};
    assert_true(run_ok(&again, &other).trace != a.trace);
}

// One sitting in a child that dies after so many outcomes; true when it ended by itself.
static bool sitting(const options *o, unsigned die_after, unsigned order) {
    pid_t pid = fork();
    if (pid == 0) {
        simulator sim = {.slots = 3, .order = order, .die_after = die_after};
        hone_search_result *r = NULL;
        _exit(run_search(&sim, o, &r, NULL) == HONE_OK ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == 0;
}

static void killed_at_every_point(void **state) {
    options o = {.evals = 24, .seed = 4};
    simulator sim = {0};
    summary undisturbed = run_ok(&sim, &o);
    bool finished = false;
    for (unsigned at = 1; !finished; at++) {
        char name[32];
        snprintf(name, sizeof name, "once-%u", at);
        options archived = {.dir = sub(state, name), .evals = 24, .seed = 4};
        finished = sitting(&archived, at, at % 5);
        simulator rest = {0};
        summary s = run_ok(&rest, &archived);
        assert_same(undisturbed, s);
        assert_false(s.warned);
    }
}

static void killed_again_and_again(void **state) {
    options o = {.evals = 40, .seed = 8}, archived = {.dir = sub(state, "again"), .evals = 40, .seed = 8};
    simulator sim = {0}, rest = {0};
    summary undisturbed = run_ok(&sim, &o);
    unsigned sittings = 1;
    while (!sitting(&archived, 5 + sittings % 7, sittings % 3))
        assert_true(++sittings < 100);
    assert_true(sittings > 4);
    summary s = run_ok(&rest, &archived);
    assert_true(s.resumed);
    assert_same(undisturbed, s);
    assert_int_equal(rest.outcomes, 0);   // everything came from the archive, the confirmation too
}

static void more_evaluations_go_on(void **state) {
    options o = {.evals = 30, .seed = 2}, first = {.dir = sub(state, "more"), .evals = 13, .seed = 2},
            more = {.dir = first.dir, .evals = 30, .seed = 2};
    simulator a = {0}, b = {0}, c = {0};
    summary whole = run_ok(&a, &o);
    assert_int_equal(run_ok(&b, &first).evaluations, 13);
    assert_same(whole, run_ok(&c, &more));
    assert_true(c.full_runs < a.full_runs);
}

static void interrupt_leaves_everything_valid(void **state) {
    options o = {.evals = 30, .seed = 6}, archived = {.dir = sub(state, "int"), .evals = 30, .seed = 6};
    volatile int flag = 0;
    simulator sim = {.interrupt = &flag, .interrupt_after = 17}, rest = {0}, undisturbed = {0};
    summary cut = run_ok(&sim, &archived);
    assert_int_equal(cut.stop, HONE_STOP_INTERRUPTED);
    assert_false(cut.confirmed);
    assert_true(cut.evaluations > 0 && cut.evaluations < 30);
    assert_same(run_ok(&undisturbed, &o), run_ok(&rest, &archived));
}

static void falls_back_when_confirmation_fails(void **state) {
    (void)state;
    simulator plain = {0}, strict = {.refuse_confirmations = 2}, all = {.refuse_confirmations = 1000};
    options o = {.evals = 60, .seed = 3};
    summary a = run_ok(&plain, &o);
    hone_search_result *r = NULL;
    assert_int_equal(run_search(&strict, &o, &r, NULL), HONE_OK);
    assert_true(r->confirmed);
    assert_int_equal(r->confirmations, 3);
    assert_int_equal(r->confirmations_failed, 2);
    assert_int_not_equal(r->best->candidate->id, a.best);
    assert_true(r->speedup <= a.speedup);
    hone_search_result_free(r);
    assert_int_equal(run_search(&all, &o, &r, NULL), HONE_OK);
    assert_null(r->best);
    assert_int_equal(r->verdict, HONE_CMP_NONE);
    assert_true(r->speedup == 1);
    hone_search_result_free(r);
}

static void refused_baseline(void **state) {
    (void)state;
    simulator sim = {.refuse_baseline = true};
    hone_search_result *r = NULL;
    options o = {.evals = 60, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, NULL), HONE_OK);
    assert_int_equal(r->stop, HONE_STOP_BASELINE);
    assert_null(r->best);
    assert_string_equal(r->baseline->finding_kind, "output.wrong");
    assert_non_null(strstr(r->baseline_outcome_json, "output.wrong"));
    hone_search_result_free(r);
}

// Proposing generations ahead is another search, and as repeatable: neither slots nor order nor a kill change it.
static void generations_ahead(void **state) {
    simulator none = {0};
    options plain = {.evals = 60, .seed = 11};
    uint64_t others[2] = {run_ok(&none, &plain).trace, 0};
    for (unsigned ahead = 1; ahead <= 3; ahead += 2) {
        char name[16];
        snprintf(name, sizeof name, "ahead%u", ahead);
        options o = {.evals = 60, .seed = 11, .ahead = ahead}, first = {.dir = sub(state, name), .evals = 23, .seed = 11, .ahead = ahead},
                rest = {.dir = first.dir, .evals = 60, .seed = 11, .ahead = ahead};
        simulator one = {.slots = 1}, many = {.slots = 16, .order = 5}, last = {.slots = 16, .newest_first = true}, a = {0}, b = {.slots = 4, .order = 3};
        summary s = run_ok(&one, &o);
        assert_int_equal(s.evaluations, 60);
        assert_same(s, run_ok(&many, &o));
        assert_same(s, run_ok(&last, &o));   // those proposed later overtake their twins
        assert_true(s.trace != others[0] && s.trace != others[1]);
        assert_int_equal(run_ok(&a, &first).evaluations, 23);
        summary resumed = run_ok(&b, &rest);
        assert_same(s, resumed);
        assert_false(resumed.warned || one.ran_twice || many.ran_twice || last.ran_twice);
        others[1] = s.trace;
    }
}

static void a_lost_outcome_is_asked_for_again(void **state) {
    (void)state;
    options o = {.evals = 60, .seed = 3};
    simulator plain = {0}, lossy = {.lose_once = true};
    assert_same(run_ok(&plain, &o), run_ok(&lossy, &o));
}

static void no_device(void **state) {
    (void)state;
    simulator sim = {.submit_fails = true};
    hone_search_result *r = NULL;
    hone_err e = {0};
    options o = {.evals = 60, .seed = 3};
    assert_int_equal(run_search(&sim, &o, &r, &e), HONE_E_NO_DEVICE);
    assert_string_equal(e.msg, "no such device");
    assert_null(r);
}

typedef struct links { char v[64][HONE_HASH_HEX]; size_t n; } links;
static int link_row(void *ctx, const hone_row *row) {
    links *l = ctx;
    assert_true(l->n + 1 < HONE_COUNT(l->v));
    assert_int_equal(hone_store_link(l->v[l->n], row, l->v[l->n + 1], NULL), HONE_OK);
    l->n++;
    return 0;
}

static void execute(const char *path, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

// Gives every row the hash that its contents ask for: an archive as another version of the search would have written it.
static void chain_anew(const char *dir, const char *path) {
    hone_store *store;
    uint64_t run;
    links l = {.n = 0};
    assert_int_equal(hone_store_open(dir, false, &store, NULL), HONE_OK);
    assert_int_equal(hone_store_latest_run(store, &run, NULL), HONE_OK);
    assert_int_equal(hone_store_chain_before(store, run, 0, l.v[0], NULL), HONE_OK);
    assert_int_equal(hone_store_each(store, run, link_row, &l, NULL), HONE_OK);
    hone_store_close(store);
    for (size_t i = 0; i < l.n; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE candidate SET chain='%s' WHERE seq=%zu", l.v[i + 1], i);
        execute(path, sql);
    }
}

// An archive whose rows are not what this search would try: goes on from the last agreeing row, twice with the same end. Rows that are not what their
// hashes say are no state to go on from.
static void another_history(void **state) {
    options o = {.evals = 30, .seed = 6}, archived = {.dir = sub(state, "hist"), .evals = 20, .seed = 6},
            more = {.dir = archived.dir, .evals = 30, .seed = 6};
    simulator a = {0}, b = {0}, c = {0}, whole = {0};
    hone_search_result *r = NULL;
    hone_err e = {0};
    run_ok(&a, &archived);
    char path[300];
    snprintf(path, sizeof path, "%s/archive.db", archived.dir);
    execute(path, "UPDATE candidate SET hash='other' WHERE seq=9");
    assert_int_equal(run_search(&b, &more, &r, &e), HONE_E_CORRUPT);
    assert_non_null(strstr(e.msg, "row 9"));
    assert_null(r);
    chain_anew(archived.dir, path);
    summary s = run_ok(&b, &more);
    assert_true(s.warned);
    assert_same(run_ok(&whole, &o), s);
    summary again = run_ok(&c, &more);
    assert_same(s, again);
    assert_int_equal(c.full_runs, 0);
}

static void allocations_fail(void **state) {
    (void)state;
    options o = {.evals = 6, .seed = 3};
    simulator count = {0};
    uint64_t before = hone_alloc_count();
    run_ok(&count, &o);
    uint64_t all = hone_alloc_count() - before;
    for (uint64_t n = 1; n < all + 20; n += 1 + n / 24) {
        simulator sim = {.slots = 2};
        hone_search_result *r = NULL;
        hone_err e = {0};
        hone_task *t = the_task();
        hone_search_config config = {
            .task = t, .evaluator = {&sim, sim_free, sim_submit, sim_wait}, .proposers = proposers, .seed = 3, .evals = 6};
        sim.search_seed = 3;
        hone_fail_alloc_at(n, false);
        hone_code c = hone_search_run(&config, &r, &e);
        hone_fail_alloc_at(0, false);
        assert_true((c == HONE_OK) == (r != NULL));
        assert_true(c == HONE_OK || e.msg[0]);
        hone_search_result_free(r);
        hone_task_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(finds_the_optimum),
        SIM_TEST(never_runs_a_program_twice),
        SIM_TEST(slots_and_order_do_not_matter),
        SIM_TEST(killed_at_every_point),
        SIM_TEST(killed_again_and_again),
        SIM_TEST(more_evaluations_go_on),
        SIM_TEST(interrupt_leaves_everything_valid),
        SIM_TEST(falls_back_when_confirmation_fails),
        SIM_TEST(refused_baseline),
        SIM_TEST(generations_ahead),
        SIM_TEST(whom_to_race_is_told),
        SIM_TEST(a_lost_outcome_is_asked_for_again),
        SIM_TEST(no_device),
        SIM_TEST(another_history),
        SIM_TEST(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
