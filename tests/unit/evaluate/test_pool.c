// The pool against a scripted worker: this program starts itself as "worker fake:MODE". Hangs, crashes, garbage, oversized messages,
// workers that do not start: each is an outcome or an error with a name, and the next job gets a fresh worker.
#include "evaluate/internal.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

// ---- the scripted worker: what it does with a job is the job's task text

static void say(const char *text) { hone_msg_write(1, text, strlen(text), -1, NULL); }

static void answer(const hone_job *j, const char *more) {
    char text[600];
    snprintf(text, sizeof text,
             "{\"schema\":\"hone.outcome/"
             "1\",\"id\":%llu,\"verdict\":\"pass\",\"stages\":[{\"name\":\"static\",\"status\":\"pass\",\"seconds\":0}],"
             "\"findings\":[],\"seconds\":0.5%s}",
             (unsigned long long)j->id, more);
    say(text);
}

static void note(bool compiling) {
    char *text = hone_note_dump(compiling);
    say(text);
    free(text);
}

static void act(const hone_job *j) {
    const char *what = j->task_text;
    if (!strcmp(what, "hang")) {
        for (;;)
            pause();
    } else if (!strcmp(what, "crash")) {
        fprintf(stderr, "about to fall\n");
        fflush(stderr);
        signal(SIGSEGV, SIG_DFL);   // a sanitizer's handler would make an exit of it
        raise(SIGSEGV);
    } else if (!strcmp(what, "crash with bytes")) {
        fprintf(stderr, "\xff\xfe\xc0\x80 \x1b[2J caf\xc3");
        fflush(stderr);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (!strcmp(what, "crash compiling")) {
        note(true);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (!strcmp(what, "crash compiled")) {
        note(true);
        note(false);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (!strcmp(what, "hang compiling")) {
        note(true);
        for (;;)
            pause();
    } else if (!strcmp(what, "out of CPU compiling")) {
        note(true);
        raise(SIGXCPU);
    } else if (!strcmp(what, "out of CPU")) {
        raise(SIGXCPU);
    } else if (!strcmp(what, "notes without end")) {
        for (;;)
            note(false);
    } else if (!strcmp(what, "compiles")) {
        note(true);
        note(false);
        answer(j, "");
    } else if (!strcmp(what, "leave")) {
        _exit(3);
    } else if (!strcmp(what, "garbage")) {
        say("this is no JSON");
    } else if (!strcmp(what, "other-schema")) {
        say("{\"schema\":\"hone.outcome/9\",\"id\":1,\"verdict\":\"pass\"}");
    } else if (!strcmp(what, "other-id")) {
        hone_job k = *j;
        k.id++;
        answer(&k, "");
    } else if (!strcmp(what, "oversized")) {
        uint8_t head[4] = {0xff, 0xff, 0xff, 0x7f};
        if (write(1, head, 4) != 4)
            _exit(1);
        pause();
    } else if (!strcmp(what, "half")) {
        uint8_t head[4] = {100, 0, 0, 0};
        if (write(1, head, 4) != 4)
            _exit(1);
        pause();
    } else if (!strcmp(what, "last")) {
        answer(j, ",\"worker_exits\":true");
        _exit(0);
    } else if (!strcmp(what, "artifacts")) {
        answer(j, ",\"artifacts\":{\"ptx_bytes\":4,\"cubin_bytes\":3}");
        hone_msg_write(1, "ptx!", 4, -1, NULL);
        hone_msg_write(1, "\0\1\2", 3, -1, NULL);
    } else if (!strcmp(what, "noise")) {
        for (int i = 0; i < 20000; i++)
            fprintf(stderr, "a line of noise %d\n", i);
        answer(j, "");
    } else if (!strcmp(what, "race") || !strcmp(what, "race slowly")) {
        char more[200];
        if (what[4])
            usleep(300000);
        snprintf(more, sizeof more, ",\"race\":%g,\"rival\":\"%s\"", j->race_ratio, j->rival.text ? j->rival.text : "");
        answer(j, more);
    } else if (!strcmp(what, "pid")) {
        char more[64];
        snprintf(more, sizeof more, ",\"pid\":%d", (int)getpid());
        answer(j, more);
    } else {
        answer(j, "");
    }
}

static int fake_worker(const char *mode) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (!strcmp(mode, "none")) {
        say("{\"schema\":\"hone.worker/1\",\"error\":{\"code\":\"no-device\",\"number\":8,\"sub\":100,\"message\":\"no such "
            "thing\",\"hint\":\"buy one\"}}");
        return 4;
    }
    if (!strcmp(mode, "silent")) {
        fprintf(stderr, "cannot even start\n");
        return 1;
    }
    if (!strcmp(mode, "strange")) {
        say("{\"hello\":1}");
        return 0;
    }
    say(!strcmp(mode, "0") ? "{\"schema\":\"hone.worker/1\",\"device\":{\"name\":\"fake\",\"kind\":\"physical\"}}"
                           : "{\"schema\":\"hone.worker/1\",\"device\":{\"name\":\"fake\",\"kind\":\"virtual\"}}");
    for (;;) {
        char *text;
        size_t n;
        hone_job_message m;
        if (hone_msg_read(0, 1 << 20, -1, &text, &n, NULL) != HONE_OK || hone_job_parse(text, n, &m, NULL) != HONE_OK)
            return 0;
        hone_free(text);
        act(&m.job);
        hone_job_message_free(&m);
    }
}

// ---- tests

static hone_pool *open_pool(unsigned workers) {
    hone_pool_config c = {.device = "fake:ok", .workers = workers, .time_limit_s = 30};
    hone_pool *p = NULL;
    hone_err e = {0};
    if (hone_pool_open(&c, &p, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return p;
}

static hone_outcome *run(hone_pool *p, const char *what, double limit_s) {
    static uint64_t id = 100;
    hone_job j = {
        .id = id++, .task_path = "t.cu", .task_text = what, .stages = HONE_STAGE_ALL, .time_limit_s = limit_s, .seed = UINT64_MAX};
    hone_err e = {0};
    hone_outcome *o = NULL;
    if (hone_pool_submit(p, &j, &e) != HONE_OK || hone_pool_wait(p, 20000, NULL, &o, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(o->id, j.id);
    return o;
}

static void expect_ok_after(hone_pool *p) {
    hone_outcome *o = run(p, "fine", 0);
    assert_int_equal(o->verdict, HONE_PASS);
    assert_int_equal(o->stages_passed, HONE_STAGE_STATIC);
    hone_outcome_free(o);
}

static void a_device_introduces_itself(void **s) {
    (void)s;
    hone_pool *p = open_pool(2);
    assert_string_equal(json_string_value(json_object_get(hone_pool_device(p), "name")), "fake");
    assert_int_equal(hone_pool_workers(p), 2);
    assert_int_equal(hone_pool_free_slots(p), 2);
    expect_ok_after(p);
    hone_pool_close(p);
}

static void bad_workers_become_findings(void **s) {
    (void)s;
    static const struct { const char *what, *kind, *part; double limit; } table[] = {
        {"hang", "run.timeout", "0.3 seconds", 0.3},         {"crash", "run.crash", "signal 11", 0},
        {"leave", "run.crash", "status 3", 0},               {"garbage", "run.crash", "no JSON", 0},
        {"other-schema", "run.crash", "hone.outcome/9", 0},  {"other-id", "run.crash", "answer is for job", 0},
        {"oversized", "run.crash", "exceeds the limit", 0},  {"half", "run.timeout", "did not finish", 0.4},
        {"crash compiling", "compile.crash", "compiler ended its worker process with signal 11", 0},
        {"crash compiled", "run.crash", "evaluation ended", 0},
        {"hang compiling", "compile.limit", "compiler did not finish", 0.3},
        {"out of CPU compiling", "compile.limit", "CPU time", 0},
        {"out of CPU", "run.timeout", "signal", 0},
        {"notes without end", "run.timeout", "did not finish", 0.3},
    };
    hone_pool *p = open_pool(1);
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_outcome *o = run(p, table[i].what, table[i].limit);
        assert_int_equal(o->verdict, HONE_FAIL);
        assert_int_equal(o->n_findings, 1);
        assert_string_equal(o->findings[0].kind, table[i].kind);
        if (!strstr(o->findings[0].message, table[i].part))
            fail_msg("%s: %s", table[i].what, o->findings[0].message);
        hone_outcome_free(o);
        expect_ok_after(p);
    }
    hone_pool_close(p);
}

static void a_crash_keeps_its_last_words(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *o = run(p, "crash", 0);
    const char *words = json_string_value(json_object_get(o->findings[0].evidence, "stderr"));
    assert_non_null(words);
    assert_non_null(strstr(words, "about to fall"));
    hone_outcome_free(o);
    hone_pool_close(p);
}

static void strange_last_words_are_spelled_out(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *o = run(p, "crash with bytes", 0);
    const char *words = json_string_value(json_object_get(o->findings[0].evidence, "stderr"));
    assert_non_null(words);
    assert_string_equal(words, "<FF><FE><C0><80> <U+001B>[2J caf<C3>");
    char *text = hone_outcome_dump(o);
    hone_outcome *again = NULL;
    assert_non_null(text);
    assert_int_equal(hone_outcome_parse(text, strlen(text), &again, NULL), HONE_OK);
    hone_outcome_free(again);
    hone_free(text);
    hone_outcome_free(o);
    hone_pool_close(p);
}

static void notes_come_before_the_answer(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *o = run(p, "compiles", 0);
    assert_int_equal(o->verdict, HONE_PASS);
    hone_outcome_free(o);
    hone_pool_close(p);
}

static void much_stderr_does_not_block(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *o = run(p, "noise", 0);
    assert_int_equal(o->verdict, HONE_PASS);
    hone_outcome_free(o);
    hone_pool_close(p);
}

static void a_leaving_worker_is_replaced(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *a = run(p, "pid", 0), *b = run(p, "pid", 0);
    json_int_t first = json_integer_value(json_object_get(a->json, "pid"));
    assert_int_equal(first, json_integer_value(json_object_get(b->json, "pid")));   // kept warm
    hone_outcome_free(a);
    hone_outcome_free(b);
    a = run(p, "last", 0);
    assert_int_equal(a->verdict, HONE_PASS);
    hone_outcome_free(a);
    b = run(p, "pid", 0);
    assert_int_not_equal(first, json_integer_value(json_object_get(b->json, "pid")));
    hone_outcome_free(b);
    hone_pool_close(p);
}

static void an_idle_worker_may_die(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *a = run(p, "pid", 0);
    kill((pid_t)json_integer_value(json_object_get(a->json, "pid")), SIGKILL);
    usleep(50000);
    hone_outcome_free(a);
    hone_outcome *b = run(p, "fine", 0);
    // Its death shows when the job is sent (then a new worker takes it) or as a crash; both leave a working pool.
    hone_outcome_free(b);
    expect_ok_after(p);
    hone_pool_close(p);
}

static void artifacts_arrive(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_outcome *o = run(p, "artifacts", 0);
    assert_int_equal(o->ptx_len, 4);
    assert_string_equal(o->ptx, "ptx!");
    assert_int_equal(o->cubin_len, 3);
    assert_memory_equal(o->cubin, "\0\1\2", 3);
    hone_outcome_free(o);
    hone_pool_close(p);
}

static void many_jobs_share_the_workers(void **s) {
    (void)s;
    hone_pool *p = open_pool(3);
    unsigned sent = 0, got = 0;
    uint64_t sum = 0;
    hone_err e = {0};
    while (got < 40) {
        while (sent < 40 && hone_pool_free_slots(p)) {
            hone_job j = {.id = sent, .task_path = "t", .task_text = sent % 9 == 4 ? "leave" : "fine"};
            if (hone_pool_submit(p, &j, &e) != HONE_OK)
                fail_msg("%s", e.msg);
            sent++;
        }
        hone_outcome *o;
        if (hone_pool_wait(p, 20000, NULL, &o, &e) != HONE_OK)
            fail_msg("%s", e.msg);
        sum += o->id;
        got++;
        hone_outcome_free(o);
    }
    assert_int_equal(sum, 39 * 40 / 2);
    hone_pool_close(p);
}

static void no_slot_is_busy(void **s) {
    (void)s;
    hone_pool *p = open_pool(1);
    hone_job j = {.id = 1, .task_path = "t", .task_text = "hang"};
    hone_err e = {0};
    hone_outcome *o;
    assert_int_equal(hone_pool_submit(p, &j, &e), HONE_OK);
    assert_int_equal(hone_pool_submit(p, &j, &e), HONE_E_BUSY);
    assert_int_equal(hone_pool_free_slots(p), 0);
    hone_err_clear(&e);
    assert_int_equal(hone_pool_wait(p, 60, NULL, &o, &e), HONE_E_TIMEOUT);
    volatile int stop = 1;
    hone_err_clear(&e);
    assert_int_equal(hone_pool_wait(p, 10000, &stop, &o, &e), HONE_E_INTERRUPTED);
    hone_pool_close(p);   // kills the hanging one
}

static void a_worker_that_cannot_start_says_why(void **s) {
    (void)s;
    static const struct { const char *device; hone_code code; const char *part;
    } table[] = {{"fake:none", HONE_E_NO_DEVICE, "no such thing"},
                 {"fake:silent", HONE_E_IO, "closed the pipe"},
                 {"fake:strange", HONE_E_CORRUPT, "does not speak"}};
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_pool_config c = {.device = table[i].device, .workers = 1};
        hone_pool *p;
        hone_err e = {0};
        assert_int_equal(hone_pool_open(&c, &p, &e), table[i].code);
        assert_non_null(strstr(e.msg, table[i].part));
        assert_null(p);
    }
    hone_pool_config c = {.device = "fake:none", .program = "/nowhere/hone"};
    hone_pool *p;
    hone_err e = {0};
    assert_int_equal(hone_pool_open(&c, &p, &e), HONE_E_IO);
    assert_non_null(strstr(e.msg, "/nowhere/hone"));
}

static void jobs_survive_the_trip(void **s) {
    (void)s;
    hone_binding b[2] = {{"BM", 64}, {"BN", -3}};
    const char *flags[1] = {"-maxrregcount=32"};
    const double ratios[2] = {1.5, 1 / 3.0};
    hone_job j = {.id = 7,
                  .task_path = "a \"b\".cu",
                  .task_text = "line\n\"quote\" é",
                  .candidate_text = "x",
                  .tuning = b,
                  .n_tuning = 2,
                  .flags = flags,
                  .n_flags = 1,
                  .stages = 5,
                  .seed = UINT64_MAX,
                  .time_limit_s = 1.5,
                  .want_artifacts = true,
                  .timing_samples = 9,
                  .memory_limit_bytes = (size_t)3 << 30,
                  .rival = {"the best", b, 1, ratios, 2}};
    char *text = hone_job_dump(&j);
    hone_job_message m;
    hone_err e = {0};
    if (hone_job_parse(text, strlen(text), &m, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(m.job.id, 7);
    assert_string_equal(m.job.task_path, j.task_path);
    assert_string_equal(m.job.task_text, j.task_text);
    assert_string_equal(m.job.candidate_text, "x");
    assert_int_equal(m.job.n_tuning, 2);
    assert_string_equal(m.job.tuning[1].name, "BN");
    assert_int_equal(m.job.tuning[1].value, -3);
    assert_string_equal(m.job.flags[0], flags[0]);
    assert_true(m.job.seed == UINT64_MAX && m.job.stages == 5 && m.job.want_artifacts && m.job.timing_samples == 9 &&
                m.job.time_limit_s == 1.5 && m.job.memory_limit_bytes == j.memory_limit_bytes);
    assert_string_equal(m.job.rival.text, "the best");
    assert_true(m.job.rival.n_tuning == 1 && m.job.rival.tuning[0].value == 64 && m.job.rival.n_ratios == 2 && m.job.rival.ratios[1] == 1 / 3.0);
    hone_job_message_free(&m);
    hone_free(text);
    static const char *const bad[] = {
        "", "{}", "[]", "{\"schema\":1}", "{\"schema\":\"hone.job/1\"", "{\"schema\":\"hone.job/1\",\"id\":\"x\"}"};
    for (size_t i = 0; i < HONE_COUNT(bad); i++)
        assert_int_equal(hone_job_parse(bad[i], strlen(bad[i]), &m, NULL), HONE_E_CORRUPT);
    static const char *const rivals[] = {"1", "{}", "{\"text\":\"x\",\"tuning\":[],\"ratios\":[]}", "{\"text\":\"x\",\"tuning\":{\"A\":\"1\"},\"ratios\":[]}", "{\"text\":1,\"tuning\":{},\"ratios\":[]}"};
    for (size_t i = 0; i < HONE_COUNT(rivals); i++) {
        char *plain = hone_job_dump(&(hone_job){.task_text = "t"}), *with;
        assert_true(asprintf(&with, "%.*s,\"rival\":%s}", (int)strlen(plain) - 1, plain, rivals[i]) > 0);
        assert_int_equal(hone_job_parse(with, strlen(with), &m, NULL), HONE_E_CORRUPT);
        free(with);
        hone_free(plain);
    }
}

// A job that waits for the device meets the best of the moment at which it is measured; one that runs, and one that is timed in full, keeps its own.
static void who_waits_races_the_newest(void **s) {
    (void)s;
    hone_pool_config c = {.device = "cuda:0", .workers = 1, .time_limit_s = 30};
    hone_pool *p = NULL;
    hone_err e = {0};
    assert_int_equal(hone_pool_open(&c, &p, &e), HONE_OK);
    const double ratio = 3;
    hone_job j = {.task_path = "t.cu", .task_text = "race slowly", .candidate_text = "c", .stages = HONE_STAGE_TIME, .race_ratio = 1.5, .timing_enough = 0.01};
    const hone_job best = {.task_path = "t.cu", .task_text = "t", .candidate_text = "c", .race_ratio = ratio, .rival = {"newest", NULL, 0, &ratio, 1}};
    for (j.id = 1; j.id <= 3; j.id++, j.task_text = "race") {
        j.timing_enough = j.id == 3 ? 0 : 0.01;
        assert_int_equal(hone_pool_submit(p, &j, &e), HONE_OK);
    }
    assert_int_equal(hone_pool_race(p, &best, &e), HONE_OK);
    static const struct { double race; const char *rival; } told[] = {{1.5, ""}, {3, "newest"}, {1.5, ""}};
    for (size_t i = 0; i < 3; i++) {
        hone_outcome *o = NULL;
        assert_int_equal(hone_pool_wait(p, 20000, NULL, &o, &e), HONE_OK);
        assert_true(o->id == i + 1 && json_number_value(json_object_get(o->json, "race")) == told[i].race);
        assert_string_equal(json_string_value(json_object_get(o->json, "rival")), told[i].rival);
        hone_outcome_free(o);
    }
    hone_pool_close(p);
}

// Of those that wait for the device the one of least rank goes first, whenever it came.
static void the_first_in_rank_goes_first(void **s) {
    (void)s;
    hone_pool_config c = {.device = "cuda:0", .workers = 1, .time_limit_s = 30};
    hone_pool *p = NULL;
    hone_err e = {0};
    assert_int_equal(hone_pool_open(&c, &p, &e), HONE_OK);
    static const uint64_t ranks[] = {9, 5, 7, 3, 5}, order[] = {1, 4, 2, 5, 3};   // the first runs at once
    hone_job j = {.task_path = "t.cu", .task_text = "race slowly", .candidate_text = "c", .stages = HONE_STAGE_TIME};
    for (j.id = 1; j.id <= HONE_COUNT(ranks); j.id++, j.task_text = "race") {
        j.rank = ranks[j.id - 1];
        assert_int_equal(hone_pool_submit(p, &j, &e), HONE_OK);
    }
    for (size_t i = 0; i < HONE_COUNT(order); i++) {
        hone_outcome *o = NULL;
        assert_int_equal(hone_pool_wait(p, 20000, NULL, &o, &e), HONE_OK);
        assert_int_equal(o->id, order[i]);
        hone_outcome_free(o);
    }
    hone_pool_close(p);
}

// What is cancelled says nothing more; its place is free at once, in the queue as on the device.
static void what_is_cancelled_is_gone(void **s) {
    (void)s;
    hone_pool_config c = {.device = "cuda:0", .workers = 1, .time_limit_s = 30};
    hone_pool *p = NULL;
    hone_err e = {0};
    assert_int_equal(hone_pool_open(&c, &p, &e), HONE_OK);
    const unsigned places = hone_pool_free_slots(p);
    hone_job j = {.task_path = "t.cu", .task_text = "hang", .stages = HONE_STAGE_TIME};
    for (j.id = 1; j.id <= 2; j.id++)
        assert_int_equal(hone_pool_submit(p, &j, &e), HONE_OK);
    assert_int_equal(hone_pool_free_slots(p), places - 2);
    hone_pool_cancel(p, 2);
    hone_pool_cancel(p, 1);
    assert_int_equal(hone_pool_free_slots(p), places);
    expect_ok_after(p);
    hone_pool_close(p);
}

int main(int argc, char **argv) {
    if (argc >= 3 && !strcmp(argv[1], "worker"))
        return fake_worker(argv[2] + strlen("fake:"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_introduces_itself),  cmocka_unit_test(bad_workers_become_findings),
        cmocka_unit_test(a_crash_keeps_its_last_words),
        cmocka_unit_test(strange_last_words_are_spelled_out),
        cmocka_unit_test(notes_come_before_the_answer), cmocka_unit_test(much_stderr_does_not_block),
        cmocka_unit_test(a_leaving_worker_is_replaced), cmocka_unit_test(an_idle_worker_may_die),
        cmocka_unit_test(artifacts_arrive),            cmocka_unit_test(many_jobs_share_the_workers),
        cmocka_unit_test(no_slot_is_busy),             cmocka_unit_test(a_worker_that_cannot_start_says_why),
        cmocka_unit_test(jobs_survive_the_trip),       cmocka_unit_test(who_waits_races_the_newest),
        cmocka_unit_test(the_first_in_rank_goes_first), cmocka_unit_test(what_is_cancelled_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
