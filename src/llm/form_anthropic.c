// llm/form_anthropic: messages. A stream is typed events: message_start (input tokens), content_block_delta (text among other kinds), message_delta (stop
// reason, output tokens), message_stop, and error at any point, also after status 200.
#include "llm/internal.h"
#include <string.h>

static json_t *build(const char *model, const hone_llm_request *q, unsigned max_tokens, const json_t *extra, const char *tokens_key) {
    (void)tokens_key;   // always max_tokens, always required
    json_t *messages = json_array(), *o = json_object();
    for (size_t i = 0; i < q->n_messages; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", q->messages[i].role, "content", q->messages[i].text));
    if (extra)
        json_object_update(o, (json_t *)(uintptr_t)extra);
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "max_tokens", json_integer(max_tokens));
    if (q->system)
        json_object_set_new(o, "system", json_string(q->system));
    json_object_set_new(o, "messages", messages);
    json_object_set_new(o, "stream", json_true());
    return o;
}

// Input tokens come in three parts that add up.
static void usage(const json_t *u, hone_sink *s) {
    if (!json_is_object(u))
        return;
    s->usage.known = true;
    if (json_object_get(u, "input_tokens")) {
        s->usage.cached_input = hone_json_count(u, "cache_read_input_tokens");
        s->usage.input = hone_json_count(u, "input_tokens") + hone_json_count(u, "cache_creation_input_tokens") + s->usage.cached_input;
    }
    if (json_object_get(u, "output_tokens"))
        s->usage.output = hone_json_count(u, "output_tokens");   // cumulative
}

static void event(const json_t *o, hone_sink *s) {
    const char *type = json_string_value(json_object_get(o, "type"));
    if (!type)
        return;
    if (!strcmp(type, "message_start"))
        usage(json_object_get(json_object_get(o, "message"), "usage"), s);
    else if (!strcmp(type, "content_block_start"))
        hone_sink_text(s, json_object_get(json_object_get(o, "content_block"), "text"));
    else if (!strcmp(type, "content_block_delta"))
        hone_sink_text(s, json_object_get(json_object_get(o, "delta"), "text"));
    else if (!strcmp(type, "message_stop"))
        s->complete = true;
    else if (!strcmp(type, "error"))
        hone_sink_error(s, json_object_get(o, "error"));
    if (!strcmp(type, "message_delta")) {
        hone_sink_stop(s, "anthropic", json_object_get(json_object_get(o, "delta"), "stop_reason"));
        usage(json_object_get(o, "usage"), s);
    }
}

static void whole(const json_t *o, hone_sink *s) {
    size_t i;
    json_t *block;
    if (json_object_get(o, "error")) {
        hone_sink_error(s, json_object_get(o, "error"));
        return;
    }
    json_array_foreach(json_object_get(o, "content"), i, block) hone_sink_text(s, json_object_get(block, "text"));
    hone_sink_stop(s, "anthropic", json_object_get(o, "stop_reason"));
    usage(json_object_get(o, "usage"), s);
    s->complete = s->stop != HONE_LLM_STOP_NONE;
}

const hone_form hone_form_anthropic = {"anthropic", build, event, whole};
