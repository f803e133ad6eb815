// The public C API as a program uses it. Tests that need workers run the hone program of this build and skip, loudly, when it is not built.
#include "hone.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char program[] = BUILD_DIR "/hone";
static const char head[] =
    "#pragma hone size n=4096\n#pragma hone check n=100\n#pragma hone in x float[n] ~ normal(0, 1)\n#pragma hone out y float[n]\n"
    "#pragma hone launch scale<<<cdiv(n, 32), 32>>>(x, y, n)\n"
    "extern \"C\" __global__ void scale(const float *x, float *y, int n)\n{\n    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n)\n";

static char *with_body(const char *body) {
    size_t n = sizeof head + strlen(body) + 16;
    char *s = malloc(n);
    assert_non_null(s);
    snprintf(s, n, "%s        %s\n}\n", head, body);
    return s;
}

static void need_program(void) {
    if (access(program, X_OK) != 0) {
        print_message("SKIPPED: %s is not built\n", program);
        skip();
    }
}

static honeOptions options(void) {
    honeOptions o;
    honeOptionsInit(&o);
    o.program = program;
    o.device = "virtual:h200";
    o.workers = 1;
    return o;
}

static honeTask *scale_task(void) {
    char *text = with_body("y[i] = 2.0f * x[i];");
    honeTask *t = NULL;
    honeError e = {0};
    if (honeTaskParse("scale.cu", text, strlen(text), &t, &e) != HONE_STATUS_OK)
        fail_msg("%s", e.message);
    free(text);
    return t;
}

static void task_knows_its_name_and_text(void **state) {
    (void)state;
    honeTask *t = scale_task();
    assert_string_equal(honeTaskName(t), "scale");
    assert_non_null(strstr(honeTaskText(t), "2.0f * x[i]"));
    honeTaskClose(t);
    honeTaskClose(NULL);
}

static void diagnostics_come_with_place_and_caret(void **state) {
    (void)state;
    const char text[] =
        "#pragma hone size n=4\n#pragma hone out y float[m]\n#pragma hone launch k<<<1, 32>>>(y)\n__global__ void k(float *y) { y[0] = 0; }\n";
    honeTask *t = (honeTask *)&t;
    honeError e = {0};
    assert_int_equal(honeTaskParse("bad.cu", text, strlen(text), &t, &e), HONE_STATUS_PARSE);
    assert_null(t);
    assert_int_equal(e.status, HONE_STATUS_PARSE);
    assert_non_null(strstr(e.message, "bad.cu:2:"));
    assert_non_null(strstr(e.message, "unknown name 'm'"));
    assert_non_null(strchr(e.message, '^'));
}

static void missing_file(void **state) {
    (void)state;
    honeTask *t;
    honeError e = {0};
    assert_int_equal(honeTaskOpen("/nowhere/task.cu", &t, &e), HONE_STATUS_IO);
    assert_null(t);
    assert_int_equal(honeTaskOpen("/nowhere/task.cu", &t, NULL), HONE_STATUS_IO);   // the error is optional
}

static void options_must_be_initialised(void **state) {
    (void)state;
    honeTask *t = scale_task();
    honeOptions o = {0};
    honeResult *r;
    honeError e = {0};
    assert_int_equal(honeOptimize(t, &o, &r, &e), HONE_STATUS_USAGE);
    assert_null(r);
    assert_non_null(strstr(e.hint, "honeOptionsInit"));
    honeTaskClose(t);
}

static void worker_that_does_not_exist(void **state) {
    (void)state;
    honeTask *t = scale_task();
    honeOptions o = options();
    o.program = "/nowhere/hone";
    int passed = 1;
    honeError e = {0};
    assert_int_not_equal(honeCheck(t, NULL, &o, &passed, NULL, &e), HONE_STATUS_OK);
    assert_int_equal(passed, 0);
    assert_true(e.message[0] != 0);
    honeTaskClose(t);
}

static void check_tells_right_from_wrong(void **state) {
    (void)state;
    need_program();
    honeTask *t = scale_task();
    honeOptions o = options();
    honeError e = {0};
    int passed = 0;
    char *right = with_body("y[i] = x[i] + x[i];"), *wrong = with_body("y[i] = 2.001f * x[i];"), *json = NULL;
    if (honeCheck(t, right, &o, &passed, NULL, &e) != HONE_STATUS_OK)
        fail_msg("%s", e.message);
    assert_int_equal(passed, 1);
    assert_int_equal(honeCheck(t, wrong, &o, &passed, &json, &e), HONE_STATUS_OK);
    assert_int_equal(passed, 0);
    json_t *outcome = json_loads(json, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(outcome, "schema")), "hone.outcome/1");
    assert_true(json_array_size(json_object_get(outcome, "findings")) > 0);
    json_decref(outcome);
    honeFree(json);
    free(right);
    free(wrong);
    honeTaskClose(t);
}

static void count_calls(void *user, const honeProgress *p) {
    unsigned *calls = user;
    assert_true(p->size == sizeof *p);
    assert_true(p->limit == 6);
    ++*calls;
}

static void optimize_gives_a_result(void **state) {
    (void)state;
    need_program();
    honeTask *t = scale_task();
    honeOptions o = options();
    honeResult *r = NULL;
    honeError e = {0};
    unsigned calls = 0;
    o.evals = 6;
    o.progress = count_calls;
    o.user = &calls;
    if (honeOptimize(t, &o, &r, &e) != HONE_STATUS_OK)
        fail_msg("%s", e.message);
    assert_true(calls > 0);
    json_t *result = json_loads(honeResultJson(r), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(result, "schema")), "hone.result/1");
    assert_string_equal(json_string_value(json_object_get(result, "verdict")), honeResultVerdict(r));
    assert_string_equal(json_string_value(json_object_get(result, "kind")), "virtual");
    assert_true(honeResultSpeedup(r) >= 1);
    if (honeResultBest(r)) {   // a task file again
        honeTask *again;
        assert_int_equal(honeTaskParse("best.cu", honeResultBest(r), strlen(honeResultBest(r)), &again, &e), HONE_STATUS_OK);
        honeTaskClose(again);
    } else {
        assert_string_equal(honeResultVerdict(r), "NONE");
    }
    json_decref(result);
    honeResultClose(r);
    honeTaskClose(t);
}

static void write_to(const char *dir, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

// A recorded model: one reply with a better kernel, one that changes the contract. The bill is that of the recording.
static void a_model_takes_part(void **state) {
    (void)state;
    need_program();
    char dir[] = "/tmp/hone-api-XXXXXX", from[64], command[64];
    assert_non_null(mkdtemp(dir));
    char *good = with_body("y[i] = x[i] + x[i];"), *reply = malloc(strlen(good) + 64), *at = strstr(good, "cdiv(n, 32), 32");
    assert_non_null(reply);
    memcpy(at, "cdiv(n,256),256", 15);
    snprintf(reply, strlen(good) + 64, "more threads\n```cuda\n%s```\n", good);
    write_to(dir, "good.md", reply);
    memcpy(strstr(reply, "n=100"), "n=200", 5);
    write_to(dir, "small.md", reply);
    write_to(dir, "manifest.json",
             "{\"schema\":\"hone.exchanges/1\",\"models\":[\"m:m\"],\"script\":{\"scale\":["
             "{\"file\":\"small.md\",\"stop\":\"end\",\"usage\":{\"known\":true,\"input\":10,\"output\":5},\"cost\":0.5},"
             "{\"file\":\"good.md\",\"stop\":\"end\",\"usage\":{\"known\":true,\"input\":20,\"output\":5},\"cost\":0.25}]}}");
    snprintf(from, sizeof from, "replay:%s", dir);
    const char *models[] = {from};
    honeTask *t = scale_task();
    honeOptions o = options();
    honeResult *r = NULL;
    honeError e = {0};
    o.evals = 5;
    o.models = models;
    o.n_models = 1;
    if (honeOptimize(t, &o, &r, &e) != HONE_STATUS_OK)
        fail_msg("%s", e.message);
    json_t *result = json_loads(honeResultJson(r), 0, NULL), *model = json_object_get(result, "model"), *list = json_object_get(model, "exchanges");
    assert_true(json_array_size(list) >= 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "outcome")), "static.contract");
    assert_true(json_object_get(json_array_get(list, 1), "candidate") != NULL);
    assert_true(json_number_value(json_object_get(model, "cost")) == 0.75);
    json_decref(result);
    honeResultClose(r);
    o.n_models = 0;   // a budget without a model is a mistake
    o.max_cost = 1;
    assert_int_equal(honeOptimize(t, &o, &r, &e), HONE_STATUS_USAGE);
    models[0] = "nobody:x";
    o.n_models = 1;
    assert_int_equal(honeOptimize(t, &o, &r, &e), HONE_STATUS_USAGE);
    assert_non_null(strstr(e.message, "nobody:x"));
    honeTaskClose(t);
    free(good);
    free(reply);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task_knows_its_name_and_text),
        cmocka_unit_test(diagnostics_come_with_place_and_caret),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(options_must_be_initialised),
        cmocka_unit_test(worker_that_does_not_exist),
        cmocka_unit_test(check_tells_right_from_wrong),
        cmocka_unit_test(optimize_gives_a_result),
        cmocka_unit_test(a_model_takes_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
