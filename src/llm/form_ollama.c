// llm/form_ollama: Ollama's own chat form: one JSON object per line, the last with done = true and the counts. Ollama cuts a prompt that does not fit its
// context without a word; the context is therefore asked for, large enough for prompt and reply at two bytes to a token.
#include "llm/internal.h"
#include <string.h>

static size_t prompt_bytes(const hone_llm_request *q) {
    size_t n = q->system ? strlen(q->system) : 0;
    for (size_t i = 0; i < q->n_messages; i++)
        n += strlen(q->messages[i].text);
    return n;
}

static json_t *build(const char *model, const hone_llm_request *q, unsigned max_tokens, const json_t *extra, const char *tokens_key) {
    (void)tokens_key;
    json_t *messages = json_array(), *o = json_object();
    if (q->system)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", q->system));
    for (size_t i = 0; i < q->n_messages; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", q->messages[i].role, "content", q->messages[i].text));
    json_t *options = json_pack("{s:I, s:I}", "num_predict", (json_int_t)max_tokens, "num_ctx", (json_int_t)(prompt_bytes(q) / 2 + max_tokens + 256));
    if (extra)
        json_object_update(options, (json_t *)(uintptr_t)extra);
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "messages", messages);
    json_object_set_new(o, "options", options);
    json_object_set_new(o, "stream", json_true());
    return o;
}

static void event(const json_t *o, hone_sink *s) {
    if (json_object_get(o, "error")) {
        hone_sink_error(s, json_object_get(o, "error"));
        return;
    }
    hone_sink_text(s, json_object_get(json_object_get(o, "message"), "content"));
    if (!json_is_true(json_object_get(o, "done")))
        return;
    s->complete = true;
    s->stop = HONE_LLM_STOP_END;   // older versions give no reason
    hone_sink_stop(s, "ollama", json_object_get(o, "done_reason"));
    s->usage = (hone_llm_usage){true, hone_json_count(o, "prompt_eval_count"), 0, hone_json_count(o, "eval_count")};
}

const hone_form hone_form_ollama = {"ollama", build, event, event};
