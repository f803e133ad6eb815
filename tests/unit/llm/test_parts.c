// llm: the parts without a wire: model names, event streams, forms of messages, retries, redaction, keys.
#include "llm/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka last
#include <cmocka.h>

// ---- names

static void names(void **state) {
    (void)state;
    static const struct { const char *text, *url, *model; } good[] = {
        {"openai:gpt-x", "https://api.openai.com/v1/chat/completions", "gpt-x"},
        {"openai:m@http://127.0.0.1:9/", "http://127.0.0.1:9/v1/chat/completions", "m"},
        {"vllm:org/m@https://host/v1", "https://host/v1/chat/completions", "org/m"},
        {"ollama:qwen:7b", "http://127.0.0.1:11434/api/chat", "qwen:7b"},
        {"anthropic:c@d@https://h", "https://h/v1/messages", "c@d"},
    };
    static const char *const bad[] = {"", "openai", "openai:", ":m", "nobody:m", "openai:@http://h", "openai:m@http://user:pw@h", "openai:a b", "openai:m@http://h\r\nX: y"};
    for (size_t i = 0; i < HONE_COUNT(good); i++) {
        hone_llm_spec s;
        assert_int_equal(hone_llm_spec_parse(good[i].text, &s, NULL), HONE_OK);
        assert_string_equal(s.url, good[i].url);
        assert_string_equal(s.model, good[i].model);
    }
    for (size_t i = 0; i < HONE_COUNT(bad); i++) {
        hone_llm_spec s;
        hone_err e = {0};
        assert_int_equal(hone_llm_spec_parse(bad[i], &s, &e), HONE_E_USAGE);
        assert_null(strstr(e.msg, "user:pw"));   // a password in an address is not repeated
    }
}

// ---- frames

static hone_code collect(void *self, const char *data, size_t n, hone_err *e) {
    (void)e;
    hone_str_addc(self, '<');
    hone_str_addn(self, data, n);
    hone_str_addc(self, '>');
    return HONE_OK;
}

static hone_code frames(hone_frames_kind kind, const char *bytes, size_t piece, size_t max, hone_str *out, hone_err *e) {
    hone_frames f;
    size_t n = strlen(bytes);
    hone_code c = HONE_OK;
    hone_frames_init(&f, kind, max, collect, out);
    for (size_t i = 0; c == HONE_OK && i < n; i += piece)
        c = hone_frames_feed(&f, bytes + i, n - i < piece ? n - i : piece, e);
    if (c == HONE_OK)
        c = hone_frames_end(&f, e);
    hone_frames_free(&f);
    return c;
}

static void frames_in_any_pieces(void **state) {
    (void)state;
    static const struct { hone_frames_kind kind; const char *bytes, *events; } cases[] = {
        {HONE_FRAMES_SSE, "data: a\n\ndata:b\n\n", "<a><b>"},
        {HONE_FRAMES_SSE, ": hello\r\nevent: x\r\ndata: one\r\ndata: two\r\n\r\n", "<one\ntwo>"},
        {HONE_FRAMES_SSE, "data: a\r\rdata\n\nid: 7\n\n", "<a><>"},
        {HONE_FRAMES_SSE, "data: whole\n\ndata: half\n", "<whole>"},
        {HONE_FRAMES_SSE, "database: no\n\n", ""},
        {HONE_FRAMES_NDJSON, "{1}\n\n{2}\r\n{3}", "<{1}><{2}><{3}>"},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++)
        for (size_t piece = 1; piece < 9; piece++) {
            hone_str s;
            hone_str_init(&s, 1000);
            assert_int_equal(frames(cases[i].kind, cases[i].bytes, piece, 100, &s, NULL), HONE_OK);
            assert_string_equal(s.s, cases[i].events);
            hone_str_free(&s);
        }
}

static void frames_have_a_maximum(void **state) {
    (void)state;
    static const char *const bytes[] = {"data: 0123456789\n\n", "data: 0123\ndata: 4567\ndata: 89\n\n"};
    for (size_t i = 0; i < HONE_COUNT(bytes); i++) {
        hone_str s;
        hone_err e = {0};
        hone_str_init(&s, 1000);
        assert_int_equal(frames(HONE_FRAMES_SSE, bytes[i], 3, 10, &s, &e), HONE_E_LIMIT);
        assert_int_equal(s.len, 0);
        hone_str_free(&s);
    }
}

// ---- forms

static void feed(const hone_form *f, hone_sink *s, const char *const *events) {
    hone_sink_init(s, 1000);
    for (; *events; events++) {
        json_t *o = json_loads(*events, 0, NULL);
        assert_non_null(o);
        f->event(o, s);
        json_decref(o);
    }
}

static void forms(void **state) {
    (void)state;
    hone_sink s;
    feed(&hone_form_openai, &s, (const char *const[]){"{\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}", "{\"choices\":[{\"delta\":{\"content\":null},\"finish_reason\":\"length\"}]}",
                                                     "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}", NULL});
    assert_string_equal(s.text.s, "ab");
    assert_true(s.complete && s.stop == HONE_LLM_STOP_LENGTH && s.usage.known);
    assert_int_equal(s.usage.input, 7);
    assert_int_equal(s.usage.cached_input, 2);
    assert_int_equal(s.usage.output, 3);
    hone_sink_free(&s);
    feed(&hone_form_anthropic, &s, (const char *const[]){"{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":1,\"output_tokens\":1}}}",
                                                        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}",
                                                        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}", "{\"type\":\"ping\"}", "{\"type\":\"unheard-of\"}",
                                                        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"},\"usage\":{\"output_tokens\":9}}", NULL});
    assert_string_equal(s.text.s, "x");
    assert_true(s.stop == HONE_LLM_STOP_REFUSAL && !s.complete);   // message_stop is missing
    assert_int_equal(s.usage.input, 10);
    assert_int_equal(s.usage.output, 9);
    hone_sink_free(&s);
    feed(&hone_form_ollama, &s, (const char *const[]){"{\"message\":{\"content\":\"y\"},\"done\":false}", "{\"done\":true,\"done_reason\":\"something new\",\"prompt_eval_count\":3,\"eval_count\":1}", NULL});
    assert_true(s.complete && s.stop == HONE_LLM_STOP_OTHER);
    assert_string_equal(s.stop_word, "something new");
    hone_sink_free(&s);
}

static void every_stop_word_has_a_meaning(void **state) {
    (void)state;
    static const struct { const char *form, *word; hone_llm_stop stop; } words[] = {
        {"openai", "stop", HONE_LLM_STOP_END},          {"openai", "content_filter", HONE_LLM_STOP_REFUSAL}, {"openai", "tool_calls", HONE_LLM_STOP_TOOL},
        {"anthropic", "end_turn", HONE_LLM_STOP_END},   {"anthropic", "max_tokens", HONE_LLM_STOP_LENGTH},   {"anthropic", "model_context_window_exceeded", HONE_LLM_STOP_LENGTH},
        {"anthropic", "pause_turn", HONE_LLM_STOP_OTHER}, {"ollama", "length", HONE_LLM_STOP_LENGTH},        {"ollama", "max_tokens", HONE_LLM_STOP_OTHER},
    };
    for (size_t i = 0; i < HONE_COUNT(words); i++) {
        hone_sink s = {0};
        json_t *w = json_string(words[i].word);
        hone_sink_stop(&s, words[i].form, w);
        json_decref(w);
        assert_int_equal(s.stop, words[i].stop);
    }
}

// ---- retries

static void what_is_tried_again(void **state) {
    (void)state;
    static const struct { long status; const char *type, *code, *message; hone_retry want; } cases[] = {
        {429, "", "", "slow down", HONE_RETRY_BUSY},
        {429, "insufficient_quota", "insufficient_quota", "", HONE_RETRY_CREDIT},
        {429, "rate_limit_error", "", "Rate limit of your plan", HONE_RETRY_BUSY},
        {400, "invalid_request_error", "", "Your credit balance is too low", HONE_RETRY_CREDIT},
        {402, "", "", "", HONE_RETRY_CREDIT},
        {408, "", "", "", HONE_RETRY_BUSY},
        {500, "", "", "", HONE_RETRY_BUSY},
        {529, "overloaded_error", "", "", HONE_RETRY_BUSY},
        {401, "", "invalid_api_key", "", HONE_RETRY_KEY},
        {404, "", "model_not_found", "", HONE_RETRY_MODEL},
        {400, "invalid_request_error", "context_length_exceeded", "", HONE_RETRY_REQUEST},
        {200, "overloaded_error", "", "", HONE_RETRY_BUSY},
        {200, "authentication_error", "", "", HONE_RETRY_KEY},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        hone_http_result r = {.status = cases[i].status};
        hone_sink s = {.has_error = true};
        snprintf(s.error_type, sizeof s.error_type, "%s", cases[i].type);
        snprintf(s.error_code, sizeof s.error_code, "%s", cases[i].code);
        snprintf(s.error, sizeof s.error, "%s", cases[i].message);
        assert_int_equal(hone_retry_of(&r, &s), cases[i].want);
    }
    hone_http_result never = {.status = 503, .no_retry = true};
    hone_sink s = {0};
    assert_int_equal(hone_retry_of(&never, &s), HONE_RETRY_REQUEST);
}

static void waits(void **state) {
    (void)state;
    hone_llm_limits l = {0};
    hone_llm_limits_default(&l);
    hone_rng a, b;
    hone_rng_init(&a, 7, 1);
    hone_rng_init(&b, 7, 1);
    hone_http_result plain = {0}, asked = {.has_retry_after = true, .retry_after_s = 33};
    for (unsigned n = 1; n < 40; n++) {
        double w = hone_retry_wait_s(&l, n, &plain, &a), top = n < 7 ? (double)(1u << (n - 1)) : 60;
        top = top > 60 ? 60 : top;
        assert_true(w >= top / 2 && w <= top);
        assert_true(w == hone_retry_wait_s(&l, n, &plain, &b));   // the same seed waits the same
    }
    assert_true(hone_retry_wait_s(&l, 1, &asked, &a) >= 33);
    double s;
    assert_true(hone_http_duration("6m0s", &s) && s == 360);
    assert_true(hone_http_duration("250ms", &s) && s == 0.25);
    assert_true(hone_http_duration("1.5", &s) && s == 1.5);
    assert_false(hone_http_duration("2026-11-25T00:00:00Z", &s) || hone_http_duration("", &s) || hone_http_duration("-1s", &s));
}

// ---- secrets

static void redaction(void **state) {
    (void)state;
    const char *secrets[] = {"topsecretkey0123456789"};
    static const struct { const char *text, *want; } cases[] = {
        {"key topsecretkey0123456789 bad", "key [secret] bad"},
        {"Incorrect key: topsecre************6789.", "Incorrect key: [secret]************6789."},
        {"ends in 23456789 now", "ends in [secret] now"},
        {"Authorization: Bearer abcdefgh1234", "Authorization: Bearer [secret]"},
        {"sk-proj-abcdefghijkl and sk-1", "[secret] and sk-1"},
        {"task-abcdefghijklmnop stays", "task-abcdefghijklmnop stays"},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        char out[200];
        hone_redact(secrets, 1, cases[i].text, out, sizeof out);
        assert_string_equal(out, cases[i].want);
    }
    char tiny[6];
    hone_redact(secrets, 1, "topsecretkey0123456789", tiny, sizeof tiny);
    assert_string_equal(tiny, "[secr");
}

static void keys(void **state) {
    (void)state;
    char path[] = "/tmp/hone-key-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "abc-key\r\n", 9) == 9);
    close(fd);
    hone_llm_spec s;
    assert_int_equal(hone_llm_spec_parse("openai:m", &s, NULL), HONE_OK);
    hone_llm_settings set = {json_pack("{s:{s:{s:s}}}", "models", "openai:m", "key_file", path)};
    char *key = NULL;
    hone_err e = {0};
    chmod(path, 0640);
    assert_int_equal(hone_llm_key(&set, &s, &key, &e), HONE_E_USAGE);
    assert_non_null(strstr(e.hint, "chmod 600"));
    chmod(path, 0600);
    assert_int_equal(hone_llm_key(&set, &s, &key, NULL), HONE_OK);
    assert_string_equal(key, "abc-key");
    hone_free(key);
    json_decref(set.root);
    unlink(path);
    hone_llm_settings none = {NULL};
    setenv("OPENAI_API_KEY", "a\nX-Evil: 1", 1);
    assert_int_equal(hone_llm_key(&none, &s, &key, NULL), HONE_E_USAGE);   // a key that would be two headers
    unsetenv("OPENAI_API_KEY");
    assert_int_equal(hone_llm_key(&none, &s, &key, NULL), HONE_OK);
    assert_null(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(frames_in_any_pieces), cmocka_unit_test(frames_have_a_maximum), cmocka_unit_test(forms),
        cmocka_unit_test(every_stop_word_has_a_meaning), cmocka_unit_test(what_is_tried_again), cmocka_unit_test(waits), cmocka_unit_test(redaction), cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
