// llm/settings: the configuration file (prices, key files, limits, more request members per model) and where keys come from: a file that only its owner can
// read, or the environment; never the configuration or the command line.
#include "llm/internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_CONFIG_BYTES = 1 << 20, MAX_KEY_BYTES = 8192 };

hone_code hone_llm_settings_read(const char *path, hone_llm_settings *out, hone_err *e) {
    *out = (hone_llm_settings){0};
    if (!path)
        return HONE_OK;
    char *text = NULL;
    size_t len;
    json_error_t why;
    HONE_TRY(hone_read_file(path, MAX_CONFIG_BYTES, &text, &len, e));
    out->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    hone_free(text);
    if (!out->root || !json_is_object(out->root)) {
        json_decref(out->root);
        out->root = NULL;
        hone_fail(e, HONE_E_PARSE, 0, "'%s' is no model configuration: line %d: %s", path, why.line, why.text);
        return hone_hint(e, "docs/models.md shows one");
    }
    return HONE_OK;
}

const json_t *hone_llm_settings_model(const hone_llm_settings *s, const char *name) { return json_object_get(json_object_get(s->root, "models"), name); }

bool hone_llm_settings_price(const hone_llm_settings *s, const char *name, hone_llm_price *out) {
    const json_t *p = json_object_get(hone_llm_settings_model(s, name), "price");
    const json_t *in = json_object_get(p, "input"), *cached = json_object_get(p, "cached_input"), *o = json_object_get(p, "output");
    if (!json_is_number(in) || !json_is_number(o) || !(json_number_value(in) >= 0) || !(json_number_value(o) >= 0))
        return false;
    *out = (hone_llm_price){json_number_value(in), json_is_number(cached) ? json_number_value(cached) : json_number_value(in), json_number_value(o)};
    return true;
}

static void take(const json_t *o, const char *key, double *out) {
    const json_t *v = json_object_get(o, key);
    if (json_is_number(v) && json_number_value(v) > 0)
        *out = json_number_value(v);
}

void hone_llm_settings_limits(const hone_llm_settings *s, hone_llm_limits *l) {
    const json_t *o = json_object_get(s->root, "limits");
    double retries = l->retries, max_tokens = l->max_tokens, text = (double)l->text_bytes;
    take(o, "connect_s", &l->connect_s);
    take(o, "idle_s", &l->idle_s);
    take(o, "total_s", &l->total_s);
    take(o, "backoff_s", &l->backoff_s);
    take(o, "retries", &retries);
    take(o, "max_output_tokens", &max_tokens);
    take(o, "reply_bytes", &text);
    l->retries = retries < 100 ? (unsigned)retries : 100;
    l->max_tokens = max_tokens < 1e6 ? (unsigned)max_tokens : 1000000;
    l->text_bytes = text < 64e6 ? (size_t)text : 64000000;
}

static hone_code private_file(const char *path, hone_err *e) {
    struct stat st;
    if (stat(path, &st) != 0)
        return hone_fail(e, HONE_E_IO, errno, "cannot open the key file '%s': %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && (st.st_mode & 077) == 0)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "the key file '%s' can be read by others", path);
    return hone_hint(e, "chmod 600 '%s'", path);
}

// A header may carry no control characters: a key with a line break would add headers.
static hone_code clean(char *key, const char *from, hone_err *e) {
    size_t n = strlen(key);
    while (n && strchr(" \t\r\n", key[n - 1]))
        key[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)key[i] < 0x21 || (unsigned char)key[i] > 0x7e)
            return hone_fail(e, HONE_E_USAGE, 0, "the key from %s holds a space or a control character", from);
    return HONE_OK;
}

hone_code hone_llm_key(const hone_llm_settings *s, const hone_llm_spec *m, char **key, hone_err *e) {
    const json_t *o = hone_llm_settings_model(s, m->name);
    const char *file = json_string_value(json_object_get(o, "key_file")), *env = json_string_value(json_object_get(o, "key_env"));
    *key = NULL;
    if (file) {
        size_t len;
        HONE_TRY(private_file(file, e));
        HONE_TRY(hone_read_file(file, MAX_KEY_BYTES, key, &len, e));
    } else {
        env = env ? env : m->provider->key_env;
        const char *value = env ? getenv(env) : NULL;
        if (!value || !*value)
            return HONE_OK;
        if (!(*key = hone_strdup(value)))
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    }
    hone_code c = clean(*key, file ? "the key file" : env, e);
    if (c != HONE_OK || !**key) {
        hone_free(*key);
        *key = NULL;
    }
    return c;
}
