// llm/exchange: requests with their replies as files, named by a hash of model and request (not of the address or the key). A run that asks the same again
// gets the same answer without network. A folder has a manifest.json with the models in order; a set written by hand lists replies per tag there ("script").
#include "llm/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXCHANGE_BYTES = 128 << 20, MAX_MANIFEST_BYTES = 4 << 20 };
#define SCHEMA "hone.exchange/1"
#define MANIFEST_SCHEMA "hone.exchanges/1"

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an exchange with a model"); }

// ---- JSON files

static hone_code read_json(const char *path, size_t max, const char *schema, json_t **out, hone_err *e) {
    char *text = NULL;
    size_t len;
    HONE_TRY(hone_read_file(path, max, &text, &len, e));
    *out = json_loadb(text, len, 0, NULL);
    hone_free(text);
    const char *s = json_string_value(json_object_get(*out, "schema"));
    if (s && !strcmp(s, schema))
        return HONE_OK;
    json_decref(*out);
    *out = NULL;
    return hone_fail(e, HONE_E_CORRUPT, 0, "'%s' is no %s", path, schema);
}

static hone_code write_json(const char *path, json_t *stolen, hone_err *e) {
    char *text = stolen ? json_dumps(stolen, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(stolen);
    hone_code c = text ? hone_write_file(path, text, strlen(text), e) : nomem(e);
    free(text);
    return c;
}

static hone_code path_of(const hone_recording *r, const char *name, char **out, hone_err *e) {
    *out = hone_path_join(r->dir, name);
    return *out ? HONE_OK : nomem(e);
}

// ---- the folder

hone_code hone_recording_open(const char *dir, bool only, hone_recording *out, hone_err *e) {
    *out = (hone_recording){.dir = hone_strdup(dir), .only = only};
    char *path = NULL;
    if (!out->dir)
        return nomem(e);
    HONE_TRY(path_of(out, "manifest.json", &path, e));
    hone_code c = HONE_OK;
    if (only || hone_is_file(path))
        c = read_json(path, MAX_MANIFEST_BYTES, MANIFEST_SCHEMA, &out->manifest, e);
    if (c == HONE_E_IO && only)
        hone_hint(e, "--model replay:DIR needs a folder of recorded exchanges: NAME.hone/exchanges of an earlier run");
    hone_free(path);
    return c;
}

void hone_recording_close(hone_recording *r) {
    hone_free(r->dir);
    json_decref(r->manifest);
    *r = (hone_recording){0};
}

hone_code hone_recording_models(const hone_recording *r, const json_t **models, hone_err *e) {
    *models = json_object_get(r->manifest, "models");
    return json_array_size(*models) ? HONE_OK : hone_fail(e, HONE_E_CORRUPT, 0, "'%s/manifest.json' lists no models", r->dir);
}

hone_code hone_recording_begin(const hone_recording *r, const char *const *names, size_t n, hone_err *e) {
    json_t *list = json_array();
    char *path = NULL;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(names[i]));
    hone_code c = hone_mkdirs(r->dir, e);
    if (c == HONE_OK)
        c = path_of(r, "manifest.json", &path, e);
    if (c == HONE_OK)
        c = write_json(path, json_pack("{s:s, s:O, s:b}", "schema", MANIFEST_SCHEMA, "models", list, "steps", 1), e);
    json_decref(list);
    hone_free(path);
    return c;
}

bool hone_recording_has_steps(const hone_recording *r) { return json_is_true(json_object_get(r->manifest, "steps")); }

// ---- one exchange

static json_t *request_json(const hone_llm_request *q) {
    json_t *messages = json_array();
    for (size_t i = 0; i < q->n_messages; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", q->messages[i].role, "text", q->messages[i].text));
    return json_pack("{s:s, s:o, s:I}", "system", q->system ? q->system : "", "messages", messages, "max_tokens", (json_int_t)q->max_tokens);
}

hone_code hone_exchange_key(const char *model, const hone_llm_request *q, unsigned nth, char key[HONE_HASH_HEX], hone_err *e) {
    json_t *o = json_pack("{s:s, s:i, s:o}", "model", model, "nth", (int)nth, "request", request_json(q));
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    if (!text)
        return hone_fail(e, HONE_E_PARSE, 0, "a prompt is no valid UTF-8");
    hone_sha256_hex(text, strlen(text), key);
    free(text);
    return HONE_OK;
}

static hone_llm_stop stop_of(const char *word) {
    for (unsigned i = 0; word && i <= HONE_LLM_STOP_OTHER; i++)
        if (!strcmp(hone_llm_stop_name((hone_llm_stop)i), word))
            return (hone_llm_stop)i;
    return HONE_LLM_STOP_OTHER;
}

static hone_code fill(const json_t *o, hone_llm_reply *out, hone_err *e) {
    const json_t *text = json_object_get(o, "text"), *u = json_object_get(o, "usage"), *cost = json_object_get(o, "cost");
    const char *closed = json_string_value(json_object_get(o, "closed")), *failed = json_string_value(json_object_get(o, "failed")), *why = closed ? closed : failed;
    out->end = closed ? HONE_LLM_CLOSED : failed ? HONE_LLM_FAILED : HONE_LLM_OK;
    snprintf(out->why, sizeof out->why, "%s", why ? why : "");
    out->stop = stop_of(json_string_value(json_object_get(o, "stop")));
    out->usage = (hone_llm_usage){json_is_true(json_object_get(u, "known")), hone_json_count(u, "input"), hone_json_count(u, "cached_input"),
                                  hone_json_count(u, "output")};
    out->has_cost = json_is_number(cost);
    out->cost = out->has_cost ? json_number_value(cost) : 0;
    out->replayed = true;
    out->sent = hone_json_count(o, "attempts") > 0;
    out->len = json_string_length(text);
    hone_free(out->text);
    out->text = hone_strndup(json_is_string(text) ? json_string_value(text) : "", out->len);
    return out->text ? HONE_OK : nomem(e);
}

hone_code hone_exchange_load(const hone_recording *r, const char *key, hone_llm_reply *out, bool *found, hone_err *e) {
    char name[HONE_HASH_HEX + 8], *path = NULL;
    json_t *o = NULL;
    *found = false;
    snprintf(name, sizeof name, "%s.json", key);
    HONE_TRY(path_of(r, name, &path, e));
    hone_code c = HONE_OK;
    if (hone_is_file(path) && (c = read_json(path, MAX_EXCHANGE_BYTES, SCHEMA, &o, e)) == HONE_OK) {
        *found = true;
        c = fill(json_object_get(o, "reply"), out, e);
        out->asked = hone_json_count(o, "asked");
        out->joined = hone_json_count(o, "joined");
        out->reopens = hone_json_count(o, "reopened");
    }
    json_decref(o);
    hone_free(path);
    return c;
}

hone_code hone_exchange_save(const hone_recording *r, const char *model, const hone_llm_request *q, const hone_llm_reply *a, hone_err *e) {
    char name[HONE_HASH_HEX + 8], *path = NULL;
    snprintf(name, sizeof name, "%s.json", a->key);
    json_t *text = json_stringn(a->text, a->len);
    json_t *usage = json_pack("{s:b, s:I, s:I, s:I}", "known", (int)a->usage.known, "input", (json_int_t)a->usage.input, "cached_input",
                              (json_int_t)a->usage.cached_input, "output", (json_int_t)a->usage.output);
    json_t *reply = json_pack("{s:o, s:s, s:o, s:i}", "text", text ? text : json_string(""), "stop", hone_llm_stop_name(a->stop), "usage", usage, "attempts",
                              (int)a->attempts);
    if (a->has_cost)
        json_object_set_new(reply, "cost", json_real(a->cost));
    json_t *why = json_string(a->why);   // NULL when it was cut inside a character
    if (a->end != HONE_LLM_OK)
        json_object_set_new(reply, a->end == HONE_LLM_CLOSED ? "closed" : "failed", why ? json_incref(why) : json_string("failed"));
    json_decref(why);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "schema", SCHEMA, "key", a->key, "model", model, "tag", q->tag ? q->tag : "", "request",
                          request_json(q), "reply", reply);
    if (a->asked)
        json_object_set_new(o, "asked", json_integer((json_int_t)a->asked));
    hone_code c = path_of(r, name, &path, e);
    c = c == HONE_OK ? write_json(path, o, e) : c;
    hone_free(path);
    return c;
}

hone_code hone_exchange_mark(const hone_recording *r, const char *key, const char *what, uint64_t at, hone_err *e) {
    char name[HONE_HASH_HEX + 8], *path = NULL;
    json_t *o = NULL;
    snprintf(name, sizeof name, "%s.json", key);
    HONE_TRY(path_of(r, name, &path, e));
    hone_code c = read_json(path, MAX_EXCHANGE_BYTES, SCHEMA, &o, e);
    if (c == HONE_OK) {
        json_object_set_new(o, what, json_integer((json_int_t)at));
        c = write_json(path, o, e);
    }
    hone_free(path);
    return c;
}

// ---- sets written by hand: {"script": {"softmax": [{"file": "softmax/1.md", "usage": {…}, "cost": …}, …]}}

static hone_code read_text(const hone_recording *r, const char *name, hone_llm_reply *out, hone_err *e) {
    char *path = NULL;
    hone_free(out->text);
    out->text = NULL;
    if (!name || strstr(name, ".."))
        return hone_fail(e, HONE_E_CORRUPT, 0, "'%s/manifest.json' has a bad file name", r->dir);
    HONE_TRY(path_of(r, name, &path, e));
    hone_code c = hone_read_file(path, MAX_MANIFEST_BYTES, &out->text, &out->len, e);
    hone_free(path);
    return c;
}

hone_code hone_exchange_script(const hone_recording *r, const char *tag, unsigned nth, hone_llm_reply *out, bool *found, hone_err *e) {
    const json_t *list = json_object_get(json_object_get(r->manifest, "script"), tag ? tag : ""), *o = json_array_get(list, nth);
    *found = o != NULL;
    if (!o)
        return HONE_OK;
    HONE_TRY(fill(o, out, e));
    return read_text(r, json_string_value(json_object_get(o, "file")), out, e);
}
