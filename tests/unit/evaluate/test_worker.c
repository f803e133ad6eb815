// The real worker on the virtual GPU, through the pool: verdicts, findings, stages, replays. This program starts itself as the worker.
// Skips loudly without a toolkit. `evaluate_test_worker eval TASK [CANDIDATE]` prints one outcome, for people.
#include "evaluate/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD                                                                                                                            \
    "#pragma hone size N=40000\n#pragma hone check N=1\n#pragma hone check N=1000\n#pragma hone in A float[N] ~ normal(0,1)\n"           \
    "#pragma hone out B float[N]\n"
#define TASK                                                                                                                               \
    HEAD "#pragma hone launch scale<<<cdiv(N,256), 256>>>(A, B, N)\nextern \"C\" __global__ void scale(const float *A, float *B, int N) "  \
         "{\n"                                                                                                                             \
         "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < N) B[i] = 2.0f * A[i] + 1.0f;\n}\n"
#define CANDIDATE(launch, body)                                                                                                            \
    HEAD "#pragma hone launch " launch "(A, B, N)\nextern \"C\" __global__ void scale(const float *A, float *B, int N) {\n"                \
         "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n" body "\n}\n"

static hone_pool *pool;

static hone_outcome *run_job(hone_job j) {
    static uint64_t id;
    j.id = ++id;
    j.task_path = "scale.cu";
    j.task_text = TASK;
    hone_err e = {0};
    hone_outcome *o = NULL;
    if (hone_pool_submit(pool, &j, &e) != HONE_OK || hone_pool_wait(pool, 600000, NULL, &o, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return o;
}

static hone_outcome *run(const char *candidate, unsigned stages, uint64_t seed) {
    return run_job((hone_job){.candidate_text = candidate, .stages = stages, .seed = seed});
}

static void show(const hone_outcome *o) {
    char *text = hone_outcome_dump(o);
    print_message("%s\n", text ? text : "(no outcome)");
    hone_free(text);
}

static bool has_finding(const hone_outcome *o, const char *kind) {
    for (size_t i = 0; i < o->n_findings; i++)
        if (strcmp(o->findings[i].kind, kind) == 0)
            return true;
    return false;
}

static void the_baseline_passes_everything(void **s) {
    (void)s;
    hone_outcome *o = run(NULL, HONE_STAGE_ALL | HONE_STAGE_PROFILE, 1);
    if (o->verdict != HONE_PASS)
        show(o);
    assert_int_equal(o->verdict, HONE_PASS);
    assert_int_equal(o->stages_passed, HONE_STAGE_ALL | HONE_STAGE_PROFILE);
    assert_true(o->has_time && o->time_us > 0 && o->time_is_modelled);
    assert_true(o->time_lo_us <= o->time_us && o->time_us <= o->time_hi_us);
    assert_true(o->has_resources && o->registers > 0 && o->spill_bytes == 0);
    assert_int_equal(strlen(o->ptx_hash), 64);
    assert_true(json_array_size(json_object_get(o->json, "lines")) > 0);
    hone_outcome_free(o);
}

static void wrong_candidates_are_refused_by_name(void **s) {
    (void)s;
    static const struct { const char *text, *kind;
    } table[] = {
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N) B[i] = 2.0f * A[i] + 1.5f;"), "diff.wrong"},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N - 1) B[i] = 2.0f * A[i] + 1.0f;"), "diff.unwritten"},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "B[i] = 2.0f * A[i] + 1.0f;"), "memory.out-of-bounds"},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N) B[i] = nonsense;"), "compile.error"},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N) B[i] = clock();"), "static.clock"},
        {CANDIDATE("scale<<<cdiv(N,2048), 2048>>>", "if (i < N) B[i] = 2.0f * A[i] + 1.0f;"), NULL},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "while (((volatile const float *)A)[0] < 1e30f) { } if (i < N) B[i] = 1;"),
         "launch.timeout"},
        {CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N) B[i] = ((float)B[i] != 0) ? 2.0f * A[i] + 1.0f : 2.0f * A[i] + 1.0f + B[i];"),
         "memory.uninitialized"},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        hone_outcome *o = run(table[i].text, HONE_STAGE_ALL, 1);
        if (o->verdict != HONE_FAIL || (table[i].kind && !has_finding(o, table[i].kind)))
            show(o);
        assert_int_equal(o->verdict, HONE_FAIL);
        assert_true(o->n_findings > 0);
        if (table[i].kind)
            assert_true(has_finding(o, table[i].kind));
        hone_outcome_free(o);
    }
}

// Were there a gap in the static rules, a file of the user still could not be read: it is not there for a worker.
static void files_are_not_there_for_the_compiler(void **s) {
    (void)s;
    if (!hone_sandbox_landlock()) {
        print_message("SKIPPED: the kernel has no Landlock\n");
        skip();
    }
    char path[] = "/tmp/hone-header-XXXXXX", text[2000];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "#define ONE 1.0f\n", 17) == 17);
    close(fd);
    const char *const includes[] = {path, "/etc/passwd"};
    for (size_t i = 0; i < HONE_COUNT(includes); i++) {
        snprintf(text, sizeof text, "%s#include \"%s\"\n", CANDIDATE("scale<<<cdiv(N,256), 256>>>", "if (i < N) B[i] = 2.0f * A[i] + 1.0f;"), includes[i]);
        hone_outcome *o = run_job((hone_job){.candidate_text = text, .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE, .seed = 1, .without_static = true});
        if (!has_finding(o, "compile.error") || !strstr(o->findings[0].message, "Permission denied"))
            show(o);
        assert_true(has_finding(o, "compile.error"));
        assert_non_null(strstr(o->findings[0].message, "Permission denied"));
        hone_outcome_free(o);
    }
    unlink(path);
}

static void good_candidates_pass_and_replay(void **s) {
    (void)s;
    static const char candidate[] = CANDIDATE("scale<<<cdiv(N,128), 128>>>", "if (i < N) B[i] = fmaf(2.0f, A[i], 1.0f);");
    hone_outcome *a = run(candidate, HONE_STAGE_ALL, 5), *b = run(NULL, HONE_STAGE_ALL, 9), *c = run(candidate, HONE_STAGE_ALL, 5);
    if (a->verdict != HONE_PASS)
        show(a);
    assert_int_equal(a->verdict, HONE_PASS);
    assert_true(a->time_us == c->time_us);   // whatever ran between
    assert_true(
        json_equal(json_object_get(json_object_get(a->json, "time"), "sizes"), json_object_get(json_object_get(c->json, "time"), "sizes")));
    assert_string_equal(a->ptx_hash, c->ptx_hash);
    assert_string_not_equal(a->ptx_hash, b->ptx_hash);
    hone_outcome_free(a);
    hone_outcome_free(b);
    hone_outcome_free(c);
}

static void outcomes_survive_the_trip(void **s) {
    (void)s;
    hone_outcome *a = run(NULL, HONE_STAGE_ALL, 1), *b;
    char *text = hone_outcome_dump(a);
    assert_int_equal(hone_outcome_parse(text, strlen(text), &b, NULL), HONE_OK);
    assert_true(a->id == b->id && a->verdict == b->verdict && a->stages_passed == b->stages_passed && a->registers == b->registers);
    assert_true(b->has_time && b->time_us / a->time_us < 1 + 1e-8 && a->time_us / b->time_us < 1 + 1e-8);
    assert_true(strlen(text) < 6000);
    hone_free(text);
    hone_outcome_free(a);
    hone_outcome_free(b);
    static const char *const bad[] = {"",
                                      "3",
                                      "{}",
                                      "{\"schema\":\"hone.outcome/1\"}",
                                      "{\"schema\":\"hone.outcome/1\",\"id\":1,\"verdict\":\"maybe\"}",
                                      "{\"schema\":\"hone.outcome/1\",\"id\":1,\"verdict\":\"pass\",\"findings\":[1]}"};
    for (size_t i = 0; i < HONE_COUNT(bad); i++)
        assert_int_equal(hone_outcome_parse(bad[i], strlen(bad[i]), &b, NULL), HONE_E_CORRUPT);
}

static int open_pool(void **s) {
    (void)s;
    hone_pool_config c = {.device = "virtual:h200", .workers = 1};
    hone_err e = {0};
    if (hone_pool_open(&c, &pool, &e) == HONE_OK)
        return 0;
    bool no_toolkit = strstr(e.msg, "toolkit") != NULL;   // anything else that is missing is a failure
    print_message("%s: %s\n", no_toolkit ? "SKIPPED" : "FAILED", e.msg);
    return no_toolkit ? 0 : -1;
}

static int close_pool(void **s) {
    (void)s;
    hone_pool_close(pool);
    return 0;
}

static int eval(int argc, char **argv) {
    char *task, *candidate = NULL;
    size_t n;
    hone_err e = {0};
    const char *device = getenv("DEVICE");
    hone_pool_config c = {.device = device ? device : "virtual:h200", .workers = 1, .time_limit_s = 300};
    hone_outcome *o = NULL;
    if (hone_read_file(argv[2], 1 << 20, &task, &n, &e) != HONE_OK ||
        (argc > 3 && hone_read_file(argv[3], 1 << 20, &candidate, &n, &e) != HONE_OK) || hone_pool_open(&c, &pool, &e) != HONE_OK) {
        printf("%s\n", e.msg);
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        hone_job j = {.id = 1, .task_path = argv[2], .task_text = task, .candidate_text = candidate, .stages = HONE_STAGE_ALL, .seed = 1};
        hone_outcome_free(o);
        if (hone_pool_submit(pool, &j, &e) != HONE_OK || hone_pool_wait(pool, -1, NULL, &o, &e) != HONE_OK) {
            printf("%s\n", e.msg);
            return 1;
        }
    }
    char *text = json_dumps(o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    puts(text);
    free(text);
    hone_outcome_free(o);
    hone_pool_close(pool);
    hone_free(task);
    hone_free(candidate);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3 && !strcmp(argv[1], "worker"))
        return hone_worker_main(argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 0, argc > 4 && !strcmp(argv[4], "host"));
    if (argc >= 3 && !strcmp(argv[1], "eval"))
        return eval(argc, argv);
    if (open_pool(NULL) != 0)
        return 1;
    if (!pool)
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_baseline_passes_everything), cmocka_unit_test(wrong_candidates_are_refused_by_name),
        cmocka_unit_test(files_are_not_there_for_the_compiler),
        cmocka_unit_test(good_candidates_pass_and_replay), cmocka_unit_test(outcomes_survive_the_trip)};
    int r = cmocka_run_group_tests(tests, NULL, close_pool);
    return r;
}
