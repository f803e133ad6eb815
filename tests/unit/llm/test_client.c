// llm: the client against a scripted endpoint (tests/fault/llm_server.py) that is slow, breaks off, floods, refuses and bills.
#include "llm/internal.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka last
#include <cmocka.h>

typedef struct server {
    char dir[64], url[64], log[128];
    hone_proc proc;
} server;

static void write_text(const char *dir, const char *name, const char *text, char path[128]) {
    snprintf(path, 128, "%s/%s", dir, name);
    assert_int_equal(hone_write_file(path, text, strlen(text), NULL), HONE_OK);
}

static void start(server *s, const char *script, bool tls) {
    char path[128], port_file[128], cert[128], key[128], program[512], *text = NULL;
    size_t n;
    *s = (server){.dir = "/tmp/hone-llm-XXXXXX"};
    assert_non_null(mkdtemp(s->dir));
    write_text(s->dir, "script.json", script, path);
    snprintf(port_file, sizeof port_file, "%s/port", s->dir);
    snprintf(s->log, sizeof s->log, "%s/log", s->dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", s->dir);
    snprintf(key, sizeof key, "%s/key.pem", s->dir);
    snprintf(program, sizeof program, "%s/fault/llm_server.py", TESTS_DIR);
    if (tls) {
        char command[700];
        snprintf(command, sizeof command, "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null", key, cert);
        if (system(command) != 0) {
            fprintf(stderr, "SKIPPED: no openssl program to make a certificate with\n");
            skip();
        }
    }
    char *argv[] = {"python3", program, path, port_file, s->log, tls ? cert : NULL, key, NULL};
    hone_proc_spec spec = {.argv = argv, .new_group = true};
    assert_int_equal(hone_proc_start(&spec, &s->proc, NULL), HONE_OK);
    for (int i = 0; i < 600 && !hone_is_file(port_file); i++)
        usleep(50000);
    assert_int_equal(hone_read_file(port_file, 100, &text, &n, NULL), HONE_OK);
    snprintf(s->url, sizeof s->url, "%s://127.0.0.1:%s", tls ? "https" : "http", text);
    hone_free(text);
}

static void stop(server *s) {
    hone_proc_kill(&s->proc);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
}

// Requests of the log, and what was billed.
static json_t *read_log(const server *s, uint64_t *in, uint64_t *out) {
    char *text = NULL;
    size_t n;
    json_t *list = json_array();
    *in = *out = 0;
    for (int i = 0; i < 100 && !hone_is_file(s->log); i++)
        usleep(20000);
    usleep(100000);   // the last line is written after the answer
    assert_int_equal(hone_read_file(s->log, 64 << 20, &text, &n, NULL), HONE_OK);
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        *in += hone_json_count(json_object_get(o, "billed"), "in");
        *out += hone_json_count(json_object_get(o, "billed"), "out");
        json_array_append_new(list, o);
        line = end + 1;
    }
    hone_free(text);
    return list;
}

typedef struct slept { double longest; unsigned n; } slept;
static void note_sleep(void *self, double s) {
    slept *x = self;
    x->longest = s > x->longest ? s : x->longest;
    x->n++;
}

typedef struct client { hone_llm *l; slept slept; char model[256]; const char *list[1]; } client;

static hone_code open_client(client *c, const char *model, const server *s, hone_llm_config *more, hone_err *e) {
    *c = (client){0};
    snprintf(c->model, sizeof c->model, "%s%s%s", model, s ? "@" : "", s ? s->url : "");
    c->list[0] = c->model;
    hone_llm_config k = more ? *more : (hone_llm_config){0};
    k.models = c->list;
    k.n_models = 1;
    k.seed = 1;
    k.sleep = note_sleep;
    k.sleep_self = &c->slept;
    return hone_llm_open(&k, &c->l, e);
}

static hone_code ask(client *c, const char *prompt, hone_llm_reply *r, hone_err *e) {
    hone_llm_message m = {"user", prompt};
    hone_llm_request q = {"be brief", &m, 1, 1000, "test"};
    return hone_llm_ask(c->l, 0, &q, r, e);
}

// ---- what the endpoint may do

typedef struct scenario {
    const char *what, *model, *script;
    hone_llm_end end;
    unsigned attempts;
    const char *says;   // in the text, or in why
    double slept;       // at least
} scenario;
static const scenario scenarios[] = {
    {"a reply", "openai:m", "[{\"do\":\"reply\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"a reply", "anthropic:m", "[{\"do\":\"reply\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"a reply", "ollama:m", "[{\"do\":\"reply\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"not streamed", "openai:m", "[{\"do\":\"json\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"not streamed", "anthropic:m", "[{\"do\":\"json\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"slow bytes", "anthropic:m", "[{\"do\":\"slow\",\"text\":\"hello\"}]", HONE_LLM_OK, 1, "hello", 0},
    {"cut, then whole", "openai:m", "[{\"do\":\"cut\",\"after\":120,\"text\":\"hello hello hello\"},{\"do\":\"reply\",\"text\":\"again\"}]", HONE_LLM_OK, 2, "again", 0.5},
    {"always cut", "anthropic:m", "[{\"do\":\"cut\",\"after\":400,\"text\":\"hello\"}]", HONE_LLM_FAILED, 3, "cut", 0.5},
    {"429 with Retry-After", "openai:m", "[{\"do\":\"status\",\"code\":429,\"headers\":{\"Retry-After\":\"17\"},\"body\":{\"error\":{\"message\":\"slow down\"}}},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 17},
    {"Retry-After beyond the deadline", "openai:m", "[{\"do\":\"status\",\"code\":429,\"headers\":{\"Retry-After\":\"99999\"}}]", HONE_LLM_FAILED, 1, "too late", 0},
    {"429 without credit", "openai:m", "[{\"do\":\"status\",\"code\":429,\"body\":{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"pay\"}}}]", HONE_LLM_CLOSED, 1, "credit", 0},
    {"rate limit's window", "openai:m", "[{\"do\":\"status\",\"code\":429,\"headers\":{\"x-ratelimit-remaining-tokens\":\"0\",\"x-ratelimit-reset-tokens\":\"21s\"}},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 21},
    {"rate limit's window", "anthropic:m", "[{\"do\":\"status\",\"code\":429,\"headers\":{\"anthropic-ratelimit-output-tokens-remaining\":\"0\",\"anthropic-ratelimit-output-tokens-reset\":\"now+40\"}},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 30},
    {"529", "anthropic:m", "[{\"do\":\"status\",\"code\":529,\"body\":{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 0.5},
    {"500 for ever", "ollama:m", "[{\"do\":\"status\",\"code\":500,\"body\":{\"error\":\"out of memory\"}}]", HONE_LLM_FAILED, 3, "out of memory", 0.5},
    {"an error in a stream", "anthropic:m", "[{\"do\":\"error-in-stream\"},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 0.5},
    {"malformed, then well", "openai:m", "[{\"do\":\"malformed\"},{\"do\":\"reply\"}]", HONE_LLM_OK, 2, "ready", 0.5},
    {"always malformed", "ollama:m", "[{\"do\":\"malformed\"}]", HONE_LLM_FAILED, 3, "malformed", 0.5},
    {"100 MB", "openai:m", "[{\"do\":\"flood\",\"bytes\":104857600}]", HONE_LLM_FAILED, 1, "larger than its limit", 0},
    {"100 MB in one line", "anthropic:m", "[{\"do\":\"endless-line\",\"bytes\":104857600}]", HONE_LLM_FAILED, 1, "larger than its limit", 0},
    {"a page instead", "openai:m", "[{\"do\":\"type\",\"type\":\"text/html\"}]", HONE_LLM_FAILED, 1, "text/html", 0},
    {"a bad key, quoted back", "openai:m", "[{\"do\":\"status\",\"code\":401,\"body\":{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"Incorrect key secret-test-key-42\"}}}]", HONE_LLM_CLOSED, 1, "[secret]", 0},
    {"an unknown model", "anthropic:m", "[{\"do\":\"status\",\"code\":404,\"body\":{\"error\":{\"type\":\"not_found_error\",\"message\":\"model: m\"}}}]", HONE_LLM_CLOSED, 1, "does not know", 0},
    {"a redirect", "openai:m", "[{\"do\":\"status\",\"code\":307,\"headers\":{\"Location\":\"http://127.0.0.1:1/\"}}]", HONE_LLM_FAILED, 1, "307", 0},
    {"a bad request", "openai:m", "[{\"do\":\"status\",\"code\":400,\"body\":{\"error\":{\"message\":\"no\"}}}]", HONE_LLM_FAILED, 1, "refused the request", 0},
    {"a refusal", "anthropic:m", "[{\"do\":\"reply\",\"stop\":\"refusal\"}]", HONE_LLM_FAILED, 1, "refused to answer", 0},
    {"silence", "openai:m", "[{\"do\":\"stall\",\"after\":60}]", HONE_LLM_FAILED, 3, "nothing was received", 0.5},
};

static void run(const scenario *k) {
    server s;
    client c;
    hone_llm_reply r;
    start(&s, k->script, false);
    hone_llm_config more = {.limits = {.retries = 2, .idle_s = !strcmp(k->what, "silence") ? 0.3 : 20, .total_s = 600}};
    assert_int_equal(open_client(&c, k->model, &s, &more, NULL), HONE_OK);
    assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
    if (r.end != k->end || r.attempts != k->attempts || !strstr(r.end == HONE_LLM_OK ? r.text : r.why, k->says) || c.slept.longest < k->slept)
        fail_msg("%s (%s): end %d, %u attempts, '%s', '%s', slept %g", k->what, k->model, r.end, r.attempts, r.text, r.why, c.slept.longest);
    assert_null(strstr(r.why, "secret-test-key-42"));
    hone_llm_reply_free(&r);
    hone_llm_close(c.l);
    stop(&s);
}

static void all_scenarios(void **state) {
    (void)state;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < HONE_COUNT(scenarios); i++)
        run(&scenarios[i]);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 80 << 10);   // KiB: 100 MB passed by twice
}

static void requests_have_the_right_form(void **state) {
    (void)state;
    static const char *const models[] = {"openai:m", "anthropic:m", "ollama:m"};
    for (size_t i = 0; i < HONE_COUNT(models); i++) {
        server s;
        client c;
        hone_llm_reply r;
        uint64_t in, out;
        start(&s, "[{\"do\":\"reply\"}]", false);
        assert_int_equal(open_client(&c, models[i], &s, NULL, NULL), HONE_OK);
        assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
        json_t *log = read_log(&s, &in, &out), *o = json_array_get(log, 0), *h = json_object_get(o, "headers"), *b = json_object_get(o, "body");
        const char *auth = json_string_value(json_object_get(h, i == 1 ? "x-api-key" : "authorization"));
        assert_string_equal(auth ? auth : "", i == 0 ? "Bearer secret-test-key-42" : i == 1 ? "anthropic-key-99" : "");
        if (i == 1) {
            assert_string_equal(json_string_value(json_object_get(h, "anthropic-version")), "2023-06-01");
            assert_string_equal(json_string_value(json_object_get(b, "system")), "be brief");
        }
        assert_int_equal(hone_json_count(i == 2 ? json_object_get(b, "options") : b, i == 2 ? "num_predict" : "max_tokens"), 1000);
        assert_true(i != 2 || hone_json_count(json_object_get(b, "options"), "num_ctx") > 1000);
        assert_true(json_is_true(json_object_get(b, "stream")));
        assert_int_equal(json_array_size(json_object_get(b, "messages")), i == 1 ? 1 : 2);
        json_decref(log);
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
        stop(&s);
    }
}

// ---- budgets and bills

static const char prices[] = "{\"models\":{\"openai:m\":{\"price\":{\"input\":2.0,\"output\":10.0}},\"anthropic:m\":{\"price\":{\"input\":3.0,\"output\":15.0}}}}";

static void the_bill_is_what_was_billed(void **state) {
    (void)state;
    static const char *const models[] = {"openai:m", "anthropic:m"};
    for (size_t i = 0; i < 2; i++) {
        server s;
        client c;
        uint64_t in, out;
        char config[128];
        start(&s, i == 0 ? "[{\"do\":\"reply\",\"in\":1234,\"out\":567},{\"do\":\"status\",\"code\":503},{\"do\":\"json\",\"in\":11,\"out\":7},{\"do\":\"reply\",\"in\":5,\"out\":3,\"stop\":\"length\"}]"
                         : "[{\"do\":\"reply\",\"in\":1234,\"out\":567},{\"do\":\"cut\",\"after\":400,\"in\":77,\"text\":\"a long text that does not arrive in whole\"},{\"do\":\"reply\",\"in\":11,\"out\":7,\"stop\":\"refusal\"},{\"do\":\"reply\"}]",
              false);
        write_text(s.dir, "models.json", prices, config);
        hone_llm_config more = {.config_path = config, .budget = {.cost = 1}};
        assert_int_equal(open_client(&c, models[i], &s, &more, NULL), HONE_OK);
        for (int k = 0; k < 3; k++) {
            hone_llm_reply r;
            assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
            hone_llm_reply_free(&r);
        }
        json_decref(read_log(&s, &in, &out));
        hone_llm_totals t = hone_llm_sum(c.l);
        double cost = i == 0 ? ((double)in * 2 + (double)out * 10) / 1e6 : ((double)in * 3 + (double)out * 15) / 1e6;
        assert_true(in > 1000 && out > 500);
        assert_int_equal(t.input, in);
        assert_int_equal(t.output, out);
        assert_int_equal(t.requests, 3);
        assert_false(t.estimated);
        assert_true(t.has_cost && t.cost > cost * (1 - 1e-12) && t.cost < cost * (1 + 1e-12));
        hone_llm_close(c.l);
        stop(&s);
    }
}

static void budgets_end_a_model(void **state) {
    (void)state;
    static const struct { hone_llm_budget b; unsigned answered; const char *why; } cases[] = {
        {{.requests = 2}, 2, "requests"},
        {{.tokens = 1700}, 1, "tokens"},       // 1000 may come back; 1000 are gone after one
        {{.cost = 0.012}, 1, "money"},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        server s;
        client c;
        char config[128];
        unsigned answered = 0;
        hone_llm_reply r = {0};
        start(&s, "[{\"do\":\"reply\",\"in\":500,\"out\":1000}]", false);
        write_text(s.dir, "models.json", prices, config);
        hone_llm_config more = {.config_path = config, .budget = cases[i].b};
        assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
        for (int k = 0; k < 4; k++) {
            assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
            answered += r.end == HONE_LLM_OK;
            if (k < 3)
                hone_llm_reply_free(&r);
        }
        assert_int_equal(answered, cases[i].answered);
        assert_int_equal(r.end, HONE_LLM_CLOSED);
        assert_non_null(strstr(r.why, cases[i].why));
        hone_llm_totals t = hone_llm_sum(c.l);
        assert_true(!(cases[i].b.cost > 0) || t.cost <= cases[i].b.cost);
        assert_true(!cases[i].b.tokens || t.input + t.output <= cases[i].b.tokens);
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
        stop(&s);
    }
    client c;
    hone_err e = {0};
    hone_llm_config more = {.budget = {.cost = 1}};
    assert_int_equal(open_client(&c, "openai:m", NULL, &more, &e), HONE_E_USAGE);
    assert_non_null(strstr(e.msg, "price"));
}

// ---- kept and repeated

static void a_recording_answers_again(void **state) {
    (void)state;
    server s;
    client c;
    char store[96], replay[128];
    hone_llm_reply first[3], r;
    start(&s, "[{\"do\":\"reply\",\"text\":\"one\",\"in\":10,\"out\":2},{\"do\":\"reply\",\"text\":\"two\"},{\"do\":\"malformed\"}]", false);
    snprintf(store, sizeof store, "%s/exchanges", s.dir);
    snprintf(replay, sizeof replay, "replay:%s", store);
    hone_llm_config more = {.store = store, .limits = {.retries = 1}};
    assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
    for (int i = 0; i < 3; i++)   // the same question three times: three answers, the last of them a failure
        assert_int_equal(ask(&c, "hi", &first[i], NULL), HONE_OK);
    hone_llm_totals t = hone_llm_sum(c.l);
    hone_llm_close(c.l);
    hone_proc_kill(&s.proc);   // no endpoint any more
    for (int round = 0; round < 2; round++) {
        assert_int_equal(open_client(&c, round ? "openai:m" : replay, round ? &s : NULL, round ? &more : NULL, NULL), HONE_OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
            assert_int_equal(r.end, first[i].end);
            assert_string_equal(r.text, first[i].text);
            assert_string_equal(r.key, first[i].key);
            assert_true(r.replayed && r.attempts == 0);
            hone_llm_reply_free(&r);
        }
        assert_int_equal(hone_llm_sum(c.l).input, t.input);
        assert_int_equal(hone_llm_sum(c.l).output, t.output);
        assert_int_equal(ask(&c, "something new", &r, NULL), HONE_OK);
        assert_int_equal(r.end, HONE_LLM_CLOSED);
        assert_non_null(strstr(r.why, round ? "cannot reach" : "no answer to this request"));
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
    }
    for (int i = 0; i < 3; i++)
        hone_llm_reply_free(&first[i]);
    char command[128];
    snprintf(command, sizeof command, "grep -rq secret-test-key-42 %s", store);
    assert_int_not_equal(system(command), 0);   // no key in what is kept
    snprintf(command, sizeof command, "rm -rf %s", s.dir);
    assert_int_equal(system(command), 0);
}

// ---- without waiting

static uint64_t post(client *c, const char *prompt, uint64_t at) {
    hone_llm_message m = {"user", prompt};
    hone_llm_request q = {"be brief", &m, 1, 1000, "test"};
    uint64_t ticket = 0;
    hone_err e = {0};
    assert_int_equal(hone_llm_post(c->l, 0, &q, at, &ticket, &e), HONE_OK);
    return ticket;
}

static bool take(client *c, uint64_t ticket, uint64_t at, hone_llm_phase phase, hone_llm_reply *r) {
    bool ready = false;
    hone_err e = {0};
    assert_int_equal(hone_llm_take(c->l, ticket, at, phase, r, &ready, &e), HONE_OK);
    return ready;
}

// Until it is there: the thread needs its time.
static void wait_take(client *c, uint64_t ticket, uint64_t at, hone_llm_reply *r) {
    for (int i = 0; i < 1200; i++) {
        if (take(c, ticket, at, HONE_LLM_LIVE, r))
            return;
        usleep(20000);
    }
    fail_msg("no answer came");
}

static void wait_file(const char *store, const char *key) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.json", store, key);
    for (int i = 0; i < 1200 && !hone_is_file(path); i++)
        usleep(20000);
    assert_true(hone_is_file(path));
}

static void answers_join_at_steps_that_are_kept(void **state) {
    (void)state;
    server s;
    client c;
    char store[96], replay[128], key[HONE_HASH_HEX];
    hone_llm_reply r;
    start(&s, "[{\"do\":\"reply\",\"text\":\"one\",\"in\":10,\"out\":2},{\"do\":\"reply\",\"text\":\"two\",\"in\":10,\"out\":2}]", false);
    snprintf(store, sizeof store, "%s/exchanges", s.dir);
    snprintf(replay, sizeof replay, "replay:%s", store);
    hone_llm_config more = {.store = store};
    assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
    hone_llm_message m = {"user", "first"};
    hone_llm_request q = {"be brief", &m, 1, 1000, "test"};
    uint64_t a = post(&c, "first", 3), b = post(&c, "second", 3);
    assert_int_equal(hone_exchange_key("openai:m", &q, 0, key, NULL), HONE_OK);
    wait_file(store, key);
    assert_false(take(&c, a, 4, HONE_LLM_REPEATING, &r));   // there, and not wanted
    assert_false(take(&c, a, 3, HONE_LLM_LIVE, &r));        // never at the step at which it was asked
    wait_take(&c, b, 5, &r);
    assert_string_equal(r.text, "two");
    assert_int_equal(r.joined, 5);
    hone_llm_reply_free(&r);
    wait_take(&c, a, 7, &r);
    assert_string_equal(r.text, "one");
    hone_llm_reply_free(&r);
    assert_int_equal(hone_llm_sum(c.l).requests, 2);
    assert_int_equal(hone_llm_sum(c.l).input, 20);
    post(&c, "third", 7);   // not taken: it is there, without a step
    m.text = "third";
    assert_int_equal(hone_exchange_key("openai:m", &q, 0, key, NULL), HONE_OK);
    wait_file(store, key);
    hone_llm_finish(c.l, false);
    assert_int_equal(hone_llm_sum(c.l).requests, 3);
    hone_llm_close(c.l);
    hone_proc_kill(&s.proc);
    for (int round = 0; round < 2; round++) {   // from the recording, and as the same run again
        assert_int_equal(open_client(&c, round ? "openai:m" : replay, round ? &s : NULL, round ? &more : NULL, NULL), HONE_OK);
        a = post(&c, "first", 3);
        b = post(&c, "second", 3);
        assert_false(take(&c, a, 4, HONE_LLM_LIVE, &r));
        assert_false(take(&c, b, 4, HONE_LLM_LIVE, &r));
        assert_true(take(&c, b, 5, HONE_LLM_REPEATING, &r));
        hone_llm_reply_free(&r);
        assert_false(take(&c, a, 6, HONE_LLM_LIVE, &r));
        assert_true(take(&c, a, 7, HONE_LLM_LIVE, &r));
        assert_string_equal(r.text, "one");
        hone_llm_reply_free(&r);
        a = post(&c, "third", 7);   // it never joined: in a recording only when nothing else is left, in the run when it goes on
        assert_int_equal(take(&c, a, 8, round ? HONE_LLM_REPEATING : HONE_LLM_LIVE, &r), false);
        assert_true(take(&c, a, 9, round ? HONE_LLM_LIVE : HONE_LLM_IDLE, &r));
        assert_string_equal(r.text, "two");
        hone_llm_reply_free(&r);
        assert_int_equal(hone_llm_sum(c.l).requests, 3);
        hone_llm_close(c.l);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", s.dir);
    assert_int_equal(system(command), 0);
}

static void a_closed_model_is_closed_again_and_reopens(void **state) {
    (void)state;
    server s;
    client c;
    char store[96];
    hone_llm_reply r, first;
    start(&s, "[{\"do\":\"status\",\"code\":401,\"body\":{\"error\":{\"message\":\"bad key\"}}},{\"do\":\"reply\",\"text\":\"fine\"}]", false);
    snprintf(store, sizeof store, "%s/exchanges", s.dir);
    hone_llm_config more = {.store = store};
    assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
    wait_take(&c, post(&c, "first", 1), 2, &first);
    assert_int_equal(first.end, HONE_LLM_CLOSED);
    wait_take(&c, post(&c, "second", 2), 3, &r);   // not sent
    assert_int_equal(r.end, HONE_LLM_CLOSED);
    assert_int_equal(r.attempts, 0);
    hone_llm_reply_free(&r);
    hone_llm_close(c.l);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
        assert_true(take(&c, post(&c, "first", 1), 2, HONE_LLM_REPEATING, &r));
        assert_int_equal(r.end, HONE_LLM_CLOSED);
        assert_true(r.replayed && strstr(r.why, "bad key"));
        assert_int_equal(r.reopens, round ? 4 : 0);
        assert_string_equal(r.key, first.key);
        if (round == 0)
            assert_int_equal(hone_llm_reopen(c.l, r.key, 4, NULL), HONE_OK);
        hone_llm_reply_free(&r);
        wait_take(&c, post(&c, "third", 4), 5, &r);
        assert_string_equal(r.text, "fine");
        assert_int_equal(r.replayed, round);
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
    }
    hone_llm_reply_free(&first);
    stop(&s);
}

static void posted_questions_keep_to_budgets(void **state) {
    (void)state;
    server s;
    client c;
    hone_llm_reply r;
    start(&s, "[{\"do\":\"reply\",\"in\":500,\"out\":1000}]", false);
    hone_llm_config more = {.budget = {.tokens = 1700}};
    assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
    uint64_t t[3];
    for (size_t i = 0; i < 3; i++)
        t[i] = post(&c, "hi", 1);   // all under way before the first is billed
    for (size_t i = 0; i < 3; i++) {
        wait_take(&c, t[i], 2, &r);
        assert_int_equal(r.end, i == 0 ? HONE_LLM_OK : HONE_LLM_CLOSED);
        hone_llm_reply_free(&r);
    }
    assert_int_equal(hone_llm_sum(c.l).input + hone_llm_sum(c.l).output, 1500);
    hone_llm_close(c.l);
    stop(&s);
}

static void a_request_under_way_is_cancelled(void **state) {
    (void)state;
    server s;
    client c;
    uint64_t in, out;
    start(&s, "[{\"do\":\"stall\",\"after\":60,\"delay\":1}]", false);
    assert_int_equal(open_client(&c, "openai:m", &s, NULL, NULL), HONE_OK);
    post(&c, "one", 1);
    post(&c, "two", 1);   // is never sent
    usleep(300000);
    hone_llm_finish(c.l, true);
    hone_llm_close(c.l);
    usleep(1500000);
    json_t *log = read_log(&s, &in, &out);
    assert_int_equal(json_array_size(log), 1);
    json_decref(log);
    stop(&s);
}

// ---- interrupt, TLS, clear text

static void *interrupt_soon(void *flag) {
    usleep(300000);
    *(volatile int *)flag = 1;
    return NULL;
}

static void an_interrupt_ends_it(void **state) {
    (void)state;
    static const char *const scripts[] = {"[{\"do\":\"stall\",\"after\":60,\"delay\":120}]", "[{\"do\":\"status\",\"code\":503,\"headers\":{\"Retry-After\":\"300\"}}]"};
    for (size_t i = 0; i < HONE_COUNT(scripts); i++) {
        server s;
        client c;
        hone_llm_reply r;
        volatile int flag = 0;
        pthread_t thread;
        start(&s, scripts[i], false);
        hone_llm_config more = {.interrupt = &flag};
        assert_int_equal(open_client(&c, "openai:m", &s, &more, NULL), HONE_OK);
        hone_llm_close(c.l);
        more.models = c.list;
        more.n_models = 1;
        assert_int_equal(hone_llm_open(&more, &c.l, NULL), HONE_OK);   // sleeps for real
        assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, (void *)(uintptr_t)&flag), 0);
        hone_err e = {0};
        assert_int_equal(ask(&c, "hi", &r, &e), HONE_E_INTERRUPTED);
        pthread_join(thread, NULL);
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
        stop(&s);
    }
}

// A host that no name server knows is reached through the proxy of the environment, unless no_proxy names it.
static void proxies_come_from_the_environment(void **state) {
    (void)state;
    server s;
    client c;
    hone_llm_reply r;
    start(&s, "[{\"do\":\"reply\",\"text\":\"through the proxy\"}]", false);
    setenv("http_proxy", s.url, 1);
    for (int direct = 0; direct < 2; direct++) {
        if (direct)
            setenv("no_proxy", "model.invalid", 1);
        hone_llm_config more = {.limits = {.retries = 1}};
        assert_int_equal(open_client(&c, "ollama:m@http://model.invalid", NULL, &more, NULL), HONE_OK);
        assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
        assert_int_equal(r.end, direct ? HONE_LLM_CLOSED : HONE_LLM_OK);
        assert_non_null(strstr(direct ? r.why : r.text, direct ? "cannot reach" : "through the proxy"));
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
    }
    unsetenv("http_proxy");
    setenv("no_proxy", "127.0.0.1", 1);
    stop(&s);
}

static void certificates_are_checked(void **state) {
    (void)state;
    server s;
    client c;
    hone_llm_reply r;
    char cert[128];
    start(&s, "[{\"do\":\"reply\",\"text\":\"hello\"}]", true);
    snprintf(cert, sizeof cert, "%s/cert.pem", s.dir);
    for (int trusted = 0; trusted < 2; trusted++) {
        if (trusted)
            setenv("SSL_CERT_FILE", cert, 1);
        assert_int_equal(open_client(&c, "openai:m", &s, NULL, NULL), HONE_OK);
        assert_int_equal(ask(&c, "hi", &r, NULL), HONE_OK);
        assert_int_equal(r.end, trusted ? HONE_LLM_OK : HONE_LLM_CLOSED);
        assert_true(trusted || strstr(r.why, "certificate"));
        hone_llm_reply_free(&r);
        hone_llm_close(c.l);
    }
    unsetenv("SSL_CERT_FILE");
    stop(&s);
}

static void a_key_is_not_sent_in_the_clear(void **state) {
    (void)state;
    client c;
    hone_err e = {0};
    assert_int_equal(open_client(&c, "openai:m@http://203.0.113.1:80", NULL, NULL, &e), HONE_E_USAGE);
    assert_non_null(strstr(e.msg, "without encryption"));
    assert_null(strstr(e.msg, "secret-test-key-42"));
}

int main(void) {
    setenv("OPENAI_API_KEY", "secret-test-key-42", 1);
    setenv("ANTHROPIC_API_KEY", "anthropic-key-99", 1);
    setenv("no_proxy", "127.0.0.1", 1);
    unsetenv("OLLAMA_API_KEY");
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_scenarios), cmocka_unit_test(requests_have_the_right_form), cmocka_unit_test(the_bill_is_what_was_billed),
        cmocka_unit_test(budgets_end_a_model), cmocka_unit_test(a_recording_answers_again), cmocka_unit_test(an_interrupt_ends_it),
        cmocka_unit_test(answers_join_at_steps_that_are_kept), cmocka_unit_test(a_closed_model_is_closed_again_and_reopens),
        cmocka_unit_test(posted_questions_keep_to_budgets), cmocka_unit_test(a_request_under_way_is_cancelled), cmocka_unit_test(proxies_come_from_the_environment),
        cmocka_unit_test(certificates_are_checked), cmocka_unit_test(a_key_is_not_sent_in_the_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
