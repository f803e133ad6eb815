// export/write: the folder. All texts are made before the first file is written, so that a task that cannot be exported leaves nothing
// behind.
#include "export/internal.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 8, MAX_TEXT = 16 << 20 };

typedef struct out_file {
    char name[200];
    const void *data;
    size_t n;
    char *owned;
} out_file;
typedef struct out_files {
    out_file v[MAX_FILES];
    size_t n;
} out_files;

// ---- names and comments

static void identifier(const char *name, char id[128], char Id[128]) {
    size_t n = 0;
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        id[n++] = 'k';
    for (; *name && n < 96; name++)
        id[n++] = isalnum((unsigned char)*name) ? *name : '_';
    id[n] = 0;
    memcpy(Id, id, n + 1);
    Id[0] = (char)toupper((unsigned char)Id[0]);
    if (!strcmp(id, Id))   // the module and the class must differ
        memcpy(Id + n, "Kernel", 7);
}

void export_put(exporting *x, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '@')
            hone_str_add(x->out, x->id);
        else if (*p == '^')
            hone_str_add(x->out, x->Id);
        else
            hone_str_addc(x->out, *p);
    }
}

void export_expr(exporting *x, const hone_expr *expr, hone_dialect d, bool floating) {
    hone_expr_spell(expr, d, floating, &x->constants, x->out);
}

// Printable ASCII only: what stands in a comment must not end it.
static void comment_text(hone_str *out, const char *s) {
    for (; *s; s++)
        hone_str_addc(out, *s < ' ' || *s > '~' || *s == '\\' || *s == '"' ? ' ' : *s);
}

static const char *text_at(const json_t *o, const char *a, const char *b) {
    const json_t *v = json_object_get(o, a);
    const char *s = json_string_value(b ? json_object_get(v, b) : v);
    return s ? s : "";
}

void export_origin(exporting *x, const char *prefix) {
    hone_str_addf(x->out, "%sMade by hone %s from the task '", prefix, HONE_VERSION);
    comment_text(x->out, *text_at(x->result, "task", "name") ? text_at(x->result, "task", "name") : x->t->name);
    hone_str_add(x->out, "'.\n");
    double speedup = json_number_value(json_object_get(x->result, "speedup"));
    if (speedup > 0) {
        hone_str_addf(x->out, "%s%.2f times the baseline's speed on ", prefix, speedup);
        comment_text(x->out, text_at(x->result, "device", "name"));
        hone_str_addf(x->out, " (%s time; verdict ", !strcmp(text_at(x->result, "kind", NULL), "virtual") ? "modelled" : "measured");
        comment_text(x->out, text_at(x->result, "verdict", NULL));
        hone_str_add(x->out, json_is_true(json_object_get(x->result, "confirmed")) ? ", confirmed).\n" : ", not confirmed).\n");
    }
    hone_str_addf(x->out, "%sVerified at the sizes of the task file's `size` and `check` lines; other sizes are computed the same way.\n",
                  prefix);
}

// ---- collecting

static void add_file(out_files *f, const char *id, const char *end, const void *data, size_t n, char *owned) {
    out_file *o = &f->v[f->n++];
    snprintf(o->name, sizeof o->name, "%s%s", id, end);
    o->data = data, o->n = n, o->owned = owned;
}

static hone_code generate(exporting *x, out_files *f, const char *end, hone_code (*make)(exporting *x)) {
    hone_str s;
    hone_str_init(&s, MAX_TEXT);
    x->out = &s;
    hone_code c = make(x);
    size_t n = s.len;
    char *text = c == HONE_OK ? hone_str_take(&s) : NULL;
    hone_str_free(&s);
    HONE_TRY(c);
    if (!text)
        return hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory exporting '%s'", x->t->name);
    add_file(f, x->id, end, text, n, text);
    return HONE_OK;
}

static hone_code add_plan(exporting *x, out_files *f) {
    json_t *plan = hone_export_plan(x->t, &x->constants, text_at(x->result, "task", "name")[0] ? text_at(x->result, "task", "name") : NULL,
                                    x->ptx, x->e);
    if (!plan)
        return x->e->code;
    char *raw = json_dumps(plan, JSON_INDENT(1) | JSON_REAL_PRECISION(9)), *own = raw ? hone_strdup(raw) : NULL;
    json_decref(plan);
    free(raw);
    if (!own)
        return hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory exporting '%s'", x->t->name);
    add_file(f, "launch.json", "", own, strlen(own), own);
    return HONE_OK;
}

static hone_code collect(exporting *x, const hone_export_input *in, out_files *f) {
    add_file(f, x->id, ".cu", in->task->text, in->task->len, NULL);
    HONE_TRY(add_plan(x, f));
    if (!in->ptx)
        return HONE_OK;
    add_file(f, x->id, ".ptx", in->ptx, in->ptx_len, NULL);
    if (in->cubin)
        add_file(f, x->id, ".cubin", in->cubin, in->cubin_len, NULL);
    HONE_TRY(generate(x, f, ".h", export_c_header));
    HONE_TRY(generate(x, f, ".c", export_c_source));
    HONE_TRY(generate(x, f, ".py", export_python));
    return generate(x, f, "_torch.py", export_torch);
}

// ---- writing

static hone_code refuse_existing(const char *dir, const out_files *f, hone_err *e) {
    for (size_t i = 0; i < f->n; i++) {
        char *path = hone_path_join(dir, f->v[i].name);
        if (!path)
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory exporting");
        bool there = hone_is_file(path);
        if (there) {
            hone_fail(e, HONE_E_USAGE, EEXIST, "'%s' exists already", path);
            hone_hint(e, "--force overwrites it");
        }
        hone_free(path);
        if (there)
            return HONE_E_USAGE;
    }
    return HONE_OK;
}

static hone_code write_all(const char *dir, const out_files *f, json_t *names, hone_err *e) {
    for (size_t i = 0; i < f->n; i++) {
        char *path = hone_path_join(dir, f->v[i].name);
        hone_code c = path ? hone_write_file(path, f->v[i].data, f->v[i].n, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory exporting");
        hone_free(path);
        HONE_TRY(c);
        json_array_append_new(names, json_string(f->v[i].name));
    }
    return HONE_OK;
}

hone_code hone_export_write(const char *dir, const hone_export_input *in, json_t **files, hone_err *e) {
    char id[128], Id[128];
    hone_binding tune[64];
    hone_err own = {0};
    exporting x = {.t = in->task, .id = id, .Id = Id, .ptx = in->ptx, .result = in->result, .e = e ? e : &own, .constants = {.v = tune}};
    for (size_t i = 0; i < in->task->n_tunes && x.constants.n < HONE_COUNT(tune); i++)
        tune[x.constants.n++] = (hone_binding){in->task->tunes[i].name, in->task->tunes[i].values[0]};
    const char *name = text_at(in->result, "task", "name");   // the folder holds it as best.cu
    identifier(*name ? name : in->task->name, id, Id);
    out_files f = {.n = 0};
    *files = json_array();
    hone_code c = collect(&x, in, &f);
    if (c == HONE_OK && !in->overwrite)
        c = refuse_existing(dir, &f, x.e);
    if (c == HONE_OK)
        c = hone_mkdirs(dir, x.e);
    if (c == HONE_OK)
        c = write_all(dir, &f, *files, x.e);
    for (size_t i = 0; i < f.n; i++)
        hone_free(f.v[i].owned);
    if (c != HONE_OK) {
        json_decref(*files);
        *files = NULL;
    }
    return c;
}
