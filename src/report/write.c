// report/write: the result folder. Every file is written atomically, result.json last: where it is, what it speaks of is there too. Files
// of a best that is no longer the best are removed.
#include "report/internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct folder { const char *dir; json_t *hashes; hone_err *e; } folder;   // hashes: of what was written

static hone_code write_file(const folder *f, const char *name, const void *data, size_t n) {
    char *path = hone_path_join(f->dir, name);
    if (!path)
        return hone_fail(f->e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    hone_code c = hone_write_file(path, data, n, f->e);
    hone_free(path);
    char hex[HONE_HASH_HEX];
    hone_sha256_hex(data, n, hex);
    if (c == HONE_OK && json_object_set_new(f->hashes, name, json_string(hex)) != 0)
        c = hone_fail(f->e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    return c;
}

static hone_code write_json(const folder *f, const char *name, const json_t *o) {
    char *text = json_dumps(o, HONE_RESULT_JSON_FLAGS);
    if (!text)
        return hone_fail(f->e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    size_t n = strlen(text);
    text[n] = '\n';   // over the terminator: one byte is enough, the length is known
    hone_code c = write_file(f, name, text, n + 1);
    free(text);
    return c;
}

static hone_code remove_file(const folder *f, const char *name) {
    char *path = hone_path_join(f->dir, name);
    if (!path)
        return hone_fail(f->e, HONE_E_NOMEM, 0, "out of memory for '%s'", name);
    hone_code c = HONE_OK;
    if (unlink(path) != 0 && errno != ENOENT) {
        int why = errno;
        c = hone_fail(f->e, HONE_E_IO, why, "cannot remove the old '%s': %s", path, strerror(why));
    }
    hone_free(path);
    return c;
}

// ---- best.cu: the candidate's text with its tuning fixed

enum { MAX_TUNING = 64 };

static hone_code bake(const char *text, const json_t *tuning, char **out, size_t *len, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    hone_task *t = NULL;
    if (!diags.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for best.cu");
    hone_binding v[MAX_TUNING];
    hone_env env = {.v = v};
    const char *name;
    json_t *value;
    hone_code c = hone_task_parse("best.cu", text, strlen(text), &t, &diags, e);
    json_object_foreach((json_t *)(uintptr_t)tuning, name, value) if (env.n < MAX_TUNING)
        v[env.n++] = (hone_binding){name, json_integer_value(value)};
    if (c == HONE_OK)
        c = hone_task_bake(t, &env, out, len, e);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return c;
}

static hone_code write_best_text(const folder *f, const json_t *result) {
    const char *text = hone_doc_text(json_object_get(result, "texts"), "best");
    const json_t *tuning = hone_doc_at(result, "best.tuning");
    char *baked = NULL;
    size_t len = strlen(text);
    if (json_object_size(tuning) > 0)
        HONE_TRY(bake(text, tuning, &baked, &len, f->e));
    hone_code c = write_file(f, "best.cu", baked ? baked : text, len);
    hone_free(baked);
    return c;
}

// A key that cannot be kept (no home, a full or read-only disk) is no reason to lose the certificate: it is then signed by one for this process alone.
static hone_code open_key(hone_key **out, hone_err *e) {
    char *dir = hone_config_dir();
    hone_err why = {0};
    hone_code c = hone_key_open(dir, out, &why);
    hone_free(dir);
    if (c == HONE_E_IO)
        return hone_key_open(NULL, out, e);
    return c == HONE_OK ? c : hone_fail(e, c, why.sub, "%s", why.msg);
}

static hone_code write_certificate(const folder *f, const json_t *result) {
    hone_key *key = NULL;
    HONE_TRY(open_key(&key, f->e));
    json_t *certificate = hone_report_certificate(result, f->hashes, key, f->e);
    hone_key_free(key);
    if (!certificate)
        return f->e->code;
    hone_code c = write_json(f, "certificate.json", certificate);
    json_decref(certificate);
    return c;
}

static hone_code write_best(const folder *f, const json_t *result, const hone_outcome *artifacts) {
    HONE_TRY(write_best_text(f, result));
    if (json_is_object(json_object_get(result, "plan")))
        HONE_TRY(write_json(f, "launch.json", json_object_get(result, "plan")));
    HONE_TRY(artifacts && artifacts->ptx ? write_file(f, "best.ptx", artifacts->ptx, artifacts->ptx_len) : remove_file(f, "best.ptx"));
    HONE_TRY(artifacts && artifacts->cubin ? write_file(f, "best.cubin", artifacts->cubin, artifacts->cubin_len) : remove_file(f, "best.cubin"));
    return write_certificate(f, result);
}

static hone_code remove_best(const folder *f) {
    static const char *const names[] = {"best.cu", "best.ptx", "best.cubin", "launch.json", "certificate.json"};
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        HONE_TRY(remove_file(f, names[i]));
    return HONE_OK;
}

static hone_code write_all(const folder *f, const json_t *result, const hone_outcome *artifacts) {
    HONE_TRY(hone_mkdirs(f->dir, f->e));
    HONE_TRY(json_is_object(json_object_get(result, "best")) ? write_best(f, result, artifacts) : remove_best(f));
    hone_str html;
    hone_str_init(&html, (size_t)256 << 20);
    hone_code c = hone_report_html(result, &html, f->e);
    if (c == HONE_OK)
        c = write_file(f, "report.html", html.s, html.len);
    hone_str_free(&html);
    return c == HONE_OK ? write_json(f, "result.json", result) : c;
}

hone_code hone_report_write(const char *dir, const json_t *result, const hone_outcome *artifacts, hone_err *e) {
    hone_err own = {0};
    folder f = {.dir = dir, .e = e ? e : &own};
    HONE_TRY(hone_doc_check(result, f.e));
    f.hashes = json_object();
    hone_code c = f.hashes ? write_all(&f, result, artifacts) : hone_fail(f.e, HONE_E_NOMEM, 0, "out of memory for '%s'", dir);
    json_decref(f.hashes);
    return c;
}
