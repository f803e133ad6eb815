// Exchanges of a result folder; see exchanges.h. The folder may come from somebody else: links are not followed, sizes and numbers have a maximum.
#include "cli/exchanges.h"
#include "propose/llm.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILES = 20000, MAX_BYTES = 64 << 20, MAX_PROMPT = 16 << 20 };

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for exchanges"); }

static void free_one(cli_exchange *x) {
    hone_free(x->prompt);
    hone_free(x->model);
    hone_free(x->reply);
    json_decref(x->messages);
}

void cli_exchanges_free(cli_exchanges *x) {
    for (size_t i = 0; i < x->n; i++)
        free_one(&x->v[i]);
    hone_free(x->v);
    *x = (cli_exchanges){0};
}

// ---- one file

static void add_message(cli_exchange *x, hone_str *prompt, const char *role, const char *text) {
    json_array_append_new(x->messages, json_pack("{s:s, s:s}", "role", role, "content", text));
    hone_str_addf(prompt, "%s%s", prompt->len ? "\n\n" : "", text);
}

static bool take_request(const json_t *request, cli_exchange *x) {
    const char *system = json_string_value(json_object_get(request, "system"));
    json_t *list = json_object_get(request, "messages"), *m;
    size_t i;
    hone_str prompt;
    hone_str_init(&prompt, MAX_PROMPT);
    x->messages = json_array();
    if (system && *system)
        add_message(x, &prompt, "system", system);
    json_array_foreach(list, i, m) {
        const char *role = json_string_value(json_object_get(m, "role")), *text = json_string_value(json_object_get(m, "text"));
        if (role && text)
            add_message(x, &prompt, role, text);
    }
    bool ok = json_array_size(list) && !prompt.failed;
    if (ok)
        hone_sha256_hex(prompt.s, prompt.len, x->prompt_sha);
    x->prompt = ok ? hone_str_take(&prompt) : NULL;
    hone_str_free(&prompt);
    return x->prompt != NULL;
}

static bool take_reply(const json_t *reply, cli_exchange *x) {
    const json_t *text = json_object_get(reply, "text");
    const char *stop = json_string_value(json_object_get(reply, "stop"));
    if (json_object_get(reply, "failed") || json_object_get(reply, "closed") || !json_string_length(text))
        return false;
    if (!(x->reply = hone_strdup(json_string_value(text))))
        return false;
    if (!hone_reply_file(x->reply, strlen(x->reply), &x->file, &x->why, &x->words)) {
        x->file = (hone_span){0};
        x->why = stop && !strcmp(stop, "length") ? "reply.cut" : x->why;
    }
    return true;
}

static bool take_exchange(const json_t *o, const char *baseline, cli_exchange *x) {
    const char *schema = json_string_value(json_object_get(o, "schema")), *key = json_string_value(json_object_get(o, "key")), *model = json_string_value(json_object_get(o, "model"));
    json_int_t asked = json_integer_value(json_object_get(o, "asked"));
    if (!schema || strcmp(schema, "hone.exchange/1") != 0 || !key)
        return false;
    snprintf(x->key, sizeof x->key, "%s", key);
    x->asked = asked > 0 ? (uint64_t)asked : 0;
    x->model = hone_strdup(model ? model : "");
    return x->model && take_request(json_object_get(o, "request"), x) && strstr(x->prompt, baseline) && take_reply(json_object_get(o, "reply"), x);
}

static hone_code read_one(const char *path, const char *baseline, cli_exchange *x, bool *ok, hone_err *e) {
    struct stat st;
    char *text = NULL;
    size_t len;
    *ok = false;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return HONE_OK;
    HONE_TRY(hone_read_file(path, MAX_BYTES, &text, &len, e));
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    hone_free(text);
    *x = (cli_exchange){0};
    *ok = take_exchange(o, baseline, x);
    if (!*ok)
        free_one(x);
    json_decref(o);
    return HONE_OK;
}

// ---- the folder

static int by_order(const void *a, const void *b) {
    const cli_exchange *x = a, *y = b;
    return x->asked != y->asked ? (x->asked < y->asked ? -1 : 1) : strcmp(x->key, y->key);
}

static bool is_json(const struct dirent *d) {
    size_t n = strlen(d->d_name);
    return n > 5 && !strcmp(d->d_name + n - 5, ".json") && strcmp(d->d_name, "manifest.json") != 0;
}

static hone_code read_folder(DIR *d, const char *dir, const char *baseline, cli_exchanges *out, hone_err *e) {
    HONE_VEC(cli_exchange) v = {0};
    hone_code c = HONE_OK;
    for (struct dirent *f; c == HONE_OK && (f = readdir(d));) {
        cli_exchange x;
        bool ok = false;
        char *path = is_json(f) ? hone_path_join(dir, f->d_name) : NULL;
        if (path)
            c = read_one(path, baseline, &x, &ok, e);
        hone_free(path);
        if (ok && (v.n == MAX_FILES || !hone_vec_push(&v, x))) {
            free_one(&x);
            c = v.n == MAX_FILES ? hone_fail(e, HONE_E_LIMIT, 0, "'%s' holds more than %d exchanges", dir, MAX_FILES) : nomem(e);
        }
    }
    *out = (cli_exchanges){v.v, v.n};
    if (c != HONE_OK)
        cli_exchanges_free(out);
    else if (out->n)
        qsort(out->v, out->n, sizeof *out->v, by_order);
    return c;
}

hone_code cli_exchanges_read(const char *dir, const char *baseline, cli_exchanges *out, hone_err *e) {
    char *path = hone_path_join(dir, "exchanges");
    struct stat st;
    *out = (cli_exchanges){0};
    if (!path)
        return nomem(e);
    DIR *d = lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    hone_code c = d ? read_folder(d, path, baseline, out, e) : HONE_OK;
    if (d)
        closedir(d);
    hone_free(path);
    return c;
}

const cli_exchange *cli_exchanges_find(const cli_exchanges *x, const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].file.n == len && !memcmp(x->v[i].file.s, text, len))
            return &x->v[i];
    return NULL;
}
