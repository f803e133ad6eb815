// llm/forms: what the forms of messages share: texts, stop reasons, errors, counts.
#include "llm/internal.h"
#include <stdio.h>
#include <string.h>

const char *hone_llm_stop_name(hone_llm_stop s) {
    static const char *const names[] = {"none", "end", "length", "refusal", "tool", "other"};
    return (unsigned)s < HONE_COUNT(names) ? names[s] : "other";
}

void hone_sink_init(hone_sink *s, size_t max_text) {
    *s = (hone_sink){0};
    hone_str_init(&s->text, max_text);
}

void hone_sink_free(hone_sink *s) { hone_str_free(&s->text); }

void hone_sink_text(hone_sink *s, const json_t *string) {
    if (json_is_string(string))
        hone_str_addn(&s->text, json_string_value(string), json_string_length(string));
}

void hone_sink_stop(hone_sink *s, const char *form, const json_t *word) {
    static const struct { const char *form, *word; hone_llm_stop stop; } table[] = {
#define STOP(form, word, meaning) {#form, word, HONE_LLM_STOP_##meaning},
#include "llm/stops.def"
#undef STOP
    };
    const char *w = json_string_value(word);
    if (!w)
        return;
    snprintf(s->stop_word, sizeof s->stop_word, "%s", w);
    s->stop = HONE_LLM_STOP_OTHER;
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (!strcmp(table[i].form, form) && !strcmp(table[i].word, w))
            s->stop = table[i].stop;
}

static void take(const json_t *o, const char *key, char *out, size_t size) {
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v))
        snprintf(out, size, "%s", json_string_value(v));
    else if (json_is_integer(v))
        snprintf(out, size, "%lld", (long long)json_integer_value(v));
}

void hone_sink_error(hone_sink *s, const json_t *error) {
    s->has_error = true;
    if (json_is_string(error))
        snprintf(s->error, sizeof s->error, "%s", json_string_value(error));
    take(error, "message", s->error, sizeof s->error);
    take(error, "type", s->error_type, sizeof s->error_type);
    take(error, "code", s->error_code, sizeof s->error_code);
}

uint64_t hone_json_count(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    double x = json_is_number(v) ? json_number_value(v) : 0;
    return x > 0 && x < 1e12 ? (uint64_t)x : 0;
}
