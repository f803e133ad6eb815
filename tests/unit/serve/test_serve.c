// The parts of the servers that need no process and no socket: framing, messages, the candidate in a reply, rewards, and the desk with a scripted evaluator.
#include "export/score.h"
#include "serve/jsonrpc.h"
#include "serve/reward.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka's header needs those before it
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- framing

static void feed(hone_lines *l, const char *s) { assert_int_equal(hone_lines_feed(l, s, strlen(s), NULL), HONE_OK); }

static void next_is(hone_lines *l, const char *want) {
    hone_span s;
    hone_line_kind k = hone_lines_next(l, &s);
    if (!want) {
        assert_int_equal(k, HONE_LINE_NONE);
        return;
    }
    assert_int_equal(k, HONE_LINE);
    assert_true(hone_span_eq(s, want));
}

static void framing(void **state) {
    (void)state;
    hone_lines l;
    hone_span s;
    hone_lines_init(&l, 10);
    next_is(&l, NULL);
    feed(&l, "ab");
    next_is(&l, NULL);
    feed(&l, "c\r\n\nde\nf");
    next_is(&l, "abc");
    next_is(&l, "");
    next_is(&l, "de");
    next_is(&l, NULL);
    feed(&l, "g\n0123456789\n");
    next_is(&l, "fg");
    next_is(&l, "0123456789");
    feed(&l, "0123456789a\nb\n");   // one too long, whole
    assert_int_equal(hone_lines_next(&l, &s), HONE_LINE_TOO_LONG);
    next_is(&l, "b");
    feed(&l, "0123456789abc");      // and in pieces: told once, dropped to its end
    assert_int_equal(hone_lines_next(&l, &s), HONE_LINE_TOO_LONG);
    next_is(&l, NULL);
    feed(&l, "more of it, much more of it");
    next_is(&l, NULL);
    feed(&l, "end\nc\n");
    next_is(&l, "c");
    next_is(&l, NULL);
    hone_lines_free(&l);
}

static void kind_is(const char *text, hone_rpc_kind kind, int code) {
    hone_rpc m;
    hone_rpc_parse(text, strlen(text), &m);
    assert_int_equal(m.kind, kind);
    assert_int_equal(m.code, code);
    hone_rpc_free(&m);
}

static void messages(void **state) {
    (void)state;
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", HONE_RPC_REQUEST, 0);
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"m\",\"params\":{}}", HONE_RPC_REQUEST, 0);
    kind_is("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", HONE_RPC_NOTIFICATION, 0);
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", HONE_RPC_RESPONSE, 0);
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}", HONE_RPC_BAD, HONE_RPC_INVALID);
    kind_is("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", HONE_RPC_BAD, HONE_RPC_INVALID);
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", HONE_RPC_BAD, HONE_RPC_INVALID);
    kind_is("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":3}", HONE_RPC_BAD, HONE_RPC_PARAMS);
    kind_is("[1]", HONE_RPC_BAD, HONE_RPC_INVALID);
    kind_is("{\"a\":1,\"a\":2}", HONE_RPC_BAD, HONE_RPC_PARSE);
    kind_is("", HONE_RPC_BAD, HONE_RPC_PARSE);
}

// ---- replies

static void extracts(const char *reply, const char *want) {
    size_t n = 0;
    const char *why = NULL, *s = hone_reward_extract(reply, strlen(reply), &n, &why);
    if (!want) {
        assert_null(s);
        assert_non_null(why);
        return;
    }
    assert_non_null(s);
    assert_true(hone_span_eq((hone_span){s, n}, want));
}

static void replies(void **state) {
    (void)state;
    extracts("#pragma hone size n=1\n", "#pragma hone size n=1\n");
    extracts("text\n```cuda\n#pragma hone a\n```\nmore", "#pragma hone a\n");
    extracts("```\nint x;\n```\n```cuda\n#pragma hone a\n```", "#pragma hone a\n");
    extracts("````cuda\n#pragma hone a\n```\nstill\n````\n", "#pragma hone a\n```\nstill\n");
    extracts("```cuda\n#pragma hone a\n", NULL);                       // cut off
    extracts("```cuda\n#pragma hone a\n```\n```\n#pragma hone b\n```", NULL);   // which?
    extracts("```cuda\nint x;\n```", NULL);
    extracts("#pragma hone a\n```\nint x;\n```", NULL);
    extracts("nothing", NULL);
    extracts("", NULL);
}

static void rewards(void **state) {
    (void)state;
    double r;
    assert_float_equal(hone_score_speedup(1.239), 1.23, 1e-12);
    assert_float_equal(hone_score_speedup(1.15), 1.15, 1e-12);
    assert_float_equal(hone_score_speedup(0.991), 1.0, 1e-12);
    assert_float_equal(hone_score_speedup(0.5), 0.5, 1e-12);
    assert_float_equal(hone_score_speedup(-1), 0, 0);
    assert_float_equal(hone_score_reward(false, 100), 0, 0);
    assert_float_equal(hone_score_reward(true, 2), 2.3, 1e-12);
    json_decref(hone_score_components(NULL, 10, &r));
    assert_float_equal(r, 0, 0);
}

// ---- the desk, with an evaluator that answers what the text says: "// us=12.5" or "// fail"

enum { SLOTS = 2 };
typedef struct fake { hone_job jobs[SLOTS]; char *texts[SLOTS]; size_t n; unsigned submitted, cancelled; uint64_t seeds[64]; } fake;

static unsigned fake_free(void *self) { return SLOTS - (unsigned)((fake *)self)->n; }
static hone_code fake_submit(void *self, const hone_job *j, hone_err *e) {
    fake *f = self;
    (void)e;
    assert_true(f->n < SLOTS);
    f->seeds[f->submitted++ % 64] = j->seed;
    f->jobs[f->n] = *j;
    f->texts[f->n++] = hone_strdup(j->candidate_text ? j->candidate_text : "// us=100");
    return HONE_OK;
}
static void fake_cancel(void *self, uint64_t id) {
    fake *f = self;
    for (size_t i = 0; i < f->n; i++)
        if (f->jobs[i].id == id) {
            f->cancelled++;
            hone_free(f->texts[i]);
            f->n--;
            f->jobs[i] = f->jobs[f->n];
            f->texts[i] = f->texts[f->n];
            return;
        }
}
// The last one handed out answers first: order must not matter.
static hone_code fake_wait(void *self, int ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    fake *f = self;
    char json[600];
    double us = 1;
    (void)ms, (void)interrupt;
    if (!f->n)
        return hone_fail(e, HONE_E_TIMEOUT, 0, "nothing");
    char *text = f->texts[--f->n];
    const char *at = strstr(text, "us=");
    if (at)
        sscanf(at, "us=%lf", &us);
    bool second = f->jobs[f->n].seed != 1;
    if (second && (at = strstr(text, "then=")))
        sscanf(at, "then=%lf", &us);
    if (strstr(text, "fail"))
        snprintf(json, sizeof json, "{\"schema\":\"hone.outcome/1\",\"id\":%llu,\"verdict\":\"fail\",\"stages\":[{\"name\":\"compile\",\"status\":\"pass\"}],"
                 "\"findings\":[{\"kind\":\"diff.wrong\",\"message\":\"m\"}],\"seconds\":1}", (unsigned long long)f->jobs[f->n].id);
    else
        snprintf(json, sizeof json, "{\"schema\":\"hone.outcome/1\",\"id\":%llu,\"verdict\":\"pass\",\"stages\":[{\"name\":\"compile\",\"status\":\"pass\"}],"
                 "\"findings\":[],\"time\":{\"time_us\":%f,\"lo_us\":1,\"hi_us\":2,\"kind\":\"modelled\"},\"seconds\":1}", (unsigned long long)f->jobs[f->n].id, us);
    hone_free(text);
    return hone_outcome_parse(json, strlen(json), out, e);
}

typedef struct desk_test { fake f; hone_task *task; hone_desk *desk; } desk_test;

static void open_desk(desk_test *t, unsigned queue) {
    static const char text[] = "#pragma hone size n=64\n#pragma hone out y float[n]\n#pragma hone launch k<<<1, 64>>>(y)\n"
                               "extern \"C\" __global__ void k(float *y) { y[threadIdx.x] = 1.0f; }\n";
    *t = (desk_test){.f = {.n = 0}};
    hone_diags d = {.arena = hone_arena_new(1 << 20)};
    assert_int_equal(hone_task_parse("k.cu", text, strlen(text), &t->task, &d, NULL), HONE_OK);
    hone_arena_free(d.arena);
    const hone_task *const tasks[] = {t->task};
    hone_reward_config c = {.tasks = tasks, .n_tasks = 1, .evaluator = {&t->f, fake_free, fake_submit, fake_wait}, .cancel = fake_cancel, .queue = queue, .seed = 1, .workers = SLOTS};
    static const hone_task *kept[1];
    kept[0] = t->task;
    c.tasks = kept;
    assert_int_equal(hone_desk_open(&c, &t->desk, NULL), HONE_OK);
}

static void close_desk(desk_test *t) {
    hone_desk_close(t->desk);
    while (t->f.n)
        hone_free(t->f.texts[--t->f.n]);
    hone_task_free(t->task);
}

static hone_desk_request *take(desk_test *t, const char *items, unsigned want_status) {
    char body[4096];
    hone_err e = {0};
    hone_desk_request *r = NULL;
    unsigned status, retry = 0;
    int n = snprintf(body, sizeof body, "{\"items\":[%s]}", items);
    hone_desk_take(t->desk, body, (size_t)n, &r, &status, &retry, &e);
    assert_int_equal(status, want_status);
    assert_int_equal(r != NULL, status == 200);
    assert_int_equal(retry > 0, status == 429);
    return r;
}

static void finish(desk_test *t, hone_desk_request *r, const char *want) {
    for (int i = 0; i < 100 && !hone_desk_done(r); i++)
        assert_int_equal(hone_desk_work(t->desk, 0, NULL), HONE_OK);
    assert_true(hone_desk_done(r));
    json_t *a = hone_desk_answer(r);
    char *got = json_dumps(json_object_get(a, "rewards"), JSON_COMPACT | JSON_REAL_PRECISION(4));
    assert_string_equal(got, want);
    free(got);
    json_decref(a);
    hone_desk_drop(t->desk, r);
}

#define ITEM(text) "{\"task\":\"k\",\"text\":\"#pragma hone " text "\"}"

static void desk(void **state) {
    (void)state;
    desk_test t;
    open_desk(&t, 8);
    finish(&t, take(&t, ITEM("us=50") "," ITEM("fail") "," ITEM("us=200") ",{\"task\":\"k\",\"completion\":\"no\"}," ITEM("us=40"), 200), "[2.3,0.0,0.8,0.0,2.8]");
    unsigned before = t.f.submitted;
    finish(&t, take(&t, ITEM("us=50") "," ITEM("fail"), 200), "[2.3,0.0]");   // known
    assert_int_equal(t.f.submitted, before);
    // a jump is evaluated again, and the lower one counts
    finish(&t, take(&t, ITEM("us=10 then=25"), 200), "[4.3]");
    finish(&t, take(&t, ITEM("us=20 then=10"), 200), "[5.3]");
    assert_int_equal(t.f.submitted, before + 4);
    assert_true(t.f.seeds[before] != t.f.seeds[before + 1]);
    assert_false(hone_desk_busy(t.desk));
    close_desk(&t);
}

static void desk_limits(void **state) {
    (void)state;
    desk_test t;
    open_desk(&t, 3);
    take(&t, "", 400);
    take(&t, "{\"task\":\"other\",\"text\":\"x\"}", 400);
    take(&t, ITEM("us=1") ",{\"task\":\"k\",\"text\":\"#pragma hone\",\"tolerance\":1}", 400);
    take(&t, "{\"task\":\"k\",\"text\":1}", 400);
    take(&t, "7", 400);
    assert_false(hone_desk_busy(t.desk));
    hone_desk_request *a = take(&t, ITEM("us=1 a") "," ITEM("us=1 b") "," ITEM("us=1 c") "," ITEM("us=1 d"), 200);   // an empty desk takes any request
    take(&t, ITEM("us=1 e"), 429);
    assert_int_equal(hone_desk_work(t.desk, 0, NULL), HONE_OK);   // the baseline, and the first ones are handed out
    assert_false(hone_desk_started_all(a));
    hone_desk_drop(t.desk, a);                                     // the client went away
    assert_int_equal(t.f.cancelled, 2);
    assert_false(hone_desk_busy(t.desk));
    finish(&t, take(&t, ITEM("us=50"), 200), "[2.3]");
    close_desk(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(framing), cmocka_unit_test(messages), cmocka_unit_test(replies),
                                       cmocka_unit_test(rewards), cmocka_unit_test(desk),     cmocka_unit_test(desk_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
