// llm/form_openai: chat completions, as OpenAI, vLLM, llama.cpp's server and many others speak them. A stream is a list of chunks with deltas, a last
// chunk with the usage (asked for by stream_options), and the word [DONE].
#include "llm/internal.h"

static void add_message(json_t *list, const char *role, const char *text) {
    json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", text));
}

// extra: members from the configuration (temperature, reasoning_effort …) that the endpoint understands. tokens_key: newer endpoints want
// max_completion_tokens, others only know max_tokens.
static json_t *build(const char *model, const hone_llm_request *q, unsigned max_tokens, const json_t *extra, const char *tokens_key) {
    json_t *messages = json_array(), *o = json_object();
    if (q->system)
        add_message(messages, "system", q->system);
    for (size_t i = 0; i < q->n_messages; i++)
        add_message(messages, q->messages[i].role, q->messages[i].text);
    if (extra)
        json_object_update(o, (json_t *)(uintptr_t)extra);
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "messages", messages);
    json_object_set_new(o, tokens_key, json_integer(max_tokens));
    json_object_set_new(o, "stream", json_true());
    json_object_set_new(o, "stream_options", json_pack("{s:b}", "include_usage", 1));
    return o;
}

static void usage(const json_t *u, hone_sink *s) {
    if (!json_is_object(u))
        return;
    s->usage = (hone_llm_usage){true, hone_json_count(u, "prompt_tokens"),
                                hone_json_count(json_object_get(u, "prompt_tokens_details"), "cached_tokens"), hone_json_count(u, "completion_tokens")};
}

static void choice(const json_t *o, const char *part, hone_sink *s) {
    const json_t *c = json_array_get(json_object_get(o, "choices"), 0);
    const json_t *refusal = json_object_get(json_object_get(c, part), "refusal");
    hone_sink_text(s, json_object_get(json_object_get(c, part), "content"));
    hone_sink_stop(s, "openai", json_object_get(c, "finish_reason"));
    if (json_is_string(refusal) && json_string_length(refusal))
        s->stop = HONE_LLM_STOP_REFUSAL;
}

static void take(const json_t *o, const char *part, hone_sink *s) {
    if (json_object_get(o, "error")) {
        hone_sink_error(s, json_object_get(o, "error"));
        return;
    }
    choice(o, part, s);
    usage(json_object_get(o, "usage"), s);
    s->complete |= s->stop != HONE_LLM_STOP_NONE;
}

static void event(const json_t *o, hone_sink *s) { take(o, "delta", s); }
static void whole(const json_t *o, hone_sink *s) { take(o, "message", s); }

const hone_form hone_form_openai = {"openai", build, event, whole};
