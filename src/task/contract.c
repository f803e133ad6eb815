// A candidate against its task: the lines that say what is computed must mean the same; and the text of a task with its tune
// parameters fixed. Sits on the parsed task; search/ and evaluate/ call it for every candidate.
#include "task/internal.h"
#include <string.h>

static hone_code differs(hone_err *e, const hone_task *c, uint32_t line, const char *what, const char *name) {
    hone_fail(e, HONE_E_WRONG, 0, "%s:%u: %s '%s' differs from the task", c->path, line, what, name);
    hone_hint(e, "a candidate keeps the task's size, check, in, out, inout, scalar, tolerance, objective, flops and bytes lines");
    return HONE_E_WRONG;
}

static bool same_expr(const hone_expr *a, const hone_expr *b) {
    return (!a && !b) || (a && b && strcmp(hone_expr_text(a), hone_expr_text(b)) == 0);
}

static bool same_arg(const hone_arg *a, const hone_arg *b) {
    bool same = a->role == b->role && a->unordered == b->unordered && a->type == b->type && a->n_dims == b->n_dims && a->init.kind == b->init.kind &&
        a->init.n_p == b->init.n_p &&
                same_expr(a->value, b->value);
    for (size_t k = 0; same && k < a->n_dims; k++)
        same = same_expr(a->dims[k], b->dims[k]);
    for (size_t k = 0; same && k < a->init.n_p; k++)
        same = same_expr(a->init.p[k], b->init.p[k]);
    return same;
}

static hone_code same_args(const hone_task *t, const hone_task *c, hone_err *e) {
    for (size_t i = 0; i < t->n_args; i++) {
        const hone_arg *a = &t->args[i], *b = task_find_arg(c, a->name);
        if (a->role == HONE_SCRATCH)
            continue;
        const char *what = a->role == HONE_SCALAR ? "scalar" : "buffer";
        if (!b) {
            hone_fail(e, HONE_E_WRONG, 0, "%s: %s '%s' of the task is missing", c->path, what, a->name);
            return HONE_E_WRONG;
        }
        if (!same_arg(a, b))
            return differs(e, c, b->line, what, a->name);
    }
    for (size_t i = 0; i < c->n_args; i++) {
        const hone_arg *b = &c->args[i], *a = task_find_arg(t, b->name);
        if (b->role != HONE_SCRATCH && (!a || a->role == HONE_SCRATCH)) {
            hone_fail(e, HONE_E_WRONG, 0, "%s:%u: '%s' is not in the task", c->path, b->line, b->name);
            return hone_hint(e, "a candidate may add 'scratch' buffers only");
        }
    }
    return HONE_OK;
}

static bool same_set(const hone_sizes *a, const hone_sizes *b) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        size_t k = 0;
        while (k < b->n && strcmp(a->v[i].name, b->v[k].name) != 0)
            k++;
        if (k == b->n || a->v[i].value != b->v[k].value)
            return false;
    }
    return true;
}

static hone_code same_sizes(const hone_task *c, const hone_sizes *a, size_t na, const hone_sizes *b, size_t nb, const char *word,
                            hone_err *e) {
    if (na != nb)
        return hone_fail(e, HONE_E_WRONG, 0, "%s: %zu '%s' lines, the task has %zu", c->path, nb, word, na);
    for (size_t i = 0; i < na; i++)
        if (!same_set(&a[i], &b[i]))
            return differs(e, c, b[i].line, "line", word);
    return HONE_OK;
}

static hone_code same_tolerances(const hone_task *t, const hone_task *c, hone_err *e) {
    bool same = t->n_tolerances == c->n_tolerances;
    for (size_t i = 0; same && i < t->n_tolerances; i++) {
        const hone_tolerance *a = &t->tolerances[i], *b = &c->tolerances[i];
        bool name = (!a->buffer && !b->buffer) || (a->buffer && b->buffer && strcmp(a->buffer, b->buffer) == 0);
        same = name && a->kind == b->kind && a->rtol == b->rtol && a->atol == b->atol;
    }
    return same ? HONE_OK : hone_fail(e, HONE_E_WRONG, 0, "%s: the tolerance differs from the task's", c->path);
}

hone_code hone_task_same_contract(const hone_task *t, const hone_task *c, hone_err *e) {
    HONE_TRY(same_args(t, c, e));
    HONE_TRY(same_sizes(c, t->sizes, t->n_sizes, c->sizes, c->n_sizes, "size", e));
    HONE_TRY(same_sizes(c, t->checks, t->n_checks, c->checks, c->n_checks, "check", e));
    HONE_TRY(same_tolerances(t, c, e));
    if (t->objective != c->objective)
        return hone_fail(e, HONE_E_WRONG, 0, "%s: the objective differs from the task's", c->path);
    if (!same_expr(t->flops, c->flops) || !same_expr(t->bytes, c->bytes))
        return hone_fail(e, HONE_E_WRONG, 0, "%s: '%s' differs from the task's", c->path, same_expr(t->flops,
                                                                                                    c->flops) ? "bytes" : "flops");
    return HONE_OK;
}

// ---- baking
typedef struct edit { size_t at, len; char *text; } edit;
typedef HONE_VEC(edit) edits;

static bool add_edit(edits *v, size_t at, size_t len, char *text) {
    edit x = {at, len, text};
    return text && hone_vec_push(v, x);
}

// For `#define NAME value` right after `#ifndef NAME`: the byte range of the value (may be empty).
static bool guarded_define(const hone_task *t, hone_arena *a, size_t i, const char *name, size_t *at, size_t *len) {
    const hone_tok *v = t->tokens.v;
    hone_tokens guard, define;
    if (i == 0 || v[i].kind != HONE_TOK_DIRECTIVE || v[i - 1].kind != HONE_TOK_DIRECTIVE)
        return false;
    if (hone_lex_directive(a, &t->tokens, i - 1, &guard, NULL) != HONE_OK || hone_lex_directive(a, &t->tokens, i, &define, NULL) != HONE_OK)
        return false;
    if (!hone_tok_is(&guard, 0, "ifndef") || !hone_tok_is(&guard, 1, name) || !hone_tok_is(&define, 0, "define") || !hone_tok_is(&define,
                                                                                                                                 1, name))
        return false;
    const hone_tok *n = &define.v[1], *last = &define.v[define.n - 2];   // before EOF
    *at = n->at + n->len;
    *len = last->at + last->len - *at;
    return true;
}

static bool bake_one(const hone_task *t, const hone_tune *u, int64_t value, hone_arena *a, edits *v) {
    bool has_define = false, ok = true;
    size_t at, len;
    for (size_t i = 0; i < t->tokens.n && ok; i++)
        if (guarded_define(t, a, i, u->name, &at, &len)) {
            has_define = true;
            ok = add_edit(v, at, len, hone_arena_printf(a, " %lld", (long long)value));
        }
    char *line = hone_arena_printf(a, "#pragma hone tune %s={%lld}", u->name, (long long)value);
    if (line && !has_define)
        line = hone_arena_printf(a, "%s\n#ifndef %s\n#define %s %lld\n#endif", line, u->name, u->name, (long long)value);
    return ok && add_edit(v, u->text_at, u->text_len, line);
}

static void sort_edits(edits *v) {
    for (size_t i = 1; i < v->n; i++)
        for (size_t k = i; k > 0 && v->v[k].at < v->v[k - 1].at; k--) {
            edit x = v->v[k];
            v->v[k] = v->v[k - 1];
            v->v[k - 1] = x;
        }
}

static hone_code apply(const hone_task *t, const edits *v, char **out, size_t *len, hone_err *e) {
    hone_str b;
    hone_str_init(&b, 2 * (size_t)HONE_SOURCE_MAX);
    size_t from = 0;
    for (size_t i = 0; i < v->n; i++) {
        hone_str_addn(&b, t->text + from, v->v[i].at - from);
        hone_str_add(&b, v->v[i].text);
        from = v->v[i].at + v->v[i].len;
    }
    hone_str_addn(&b, t->text + from, t->len - from);
    hone_code c = hone_str_check(&b, "a baked task", e);
    *len = b.len;
    if (c == HONE_OK && !(*out = hone_str_take(&b)))
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory baking '%s'", t->path);
    hone_str_free(&b);
    return c;
}

hone_code hone_task_bake(const hone_task *t, const hone_env *tuning, char **out, size_t *len, hone_err *e) {
    hone_arena *a = hone_arena_new((size_t)1 << 28);
    hone_sizes none = {0};
    hone_env *env = a ? task_full_env(t, &none, tuning, a) : NULL;
    edits v = {0};
    bool ok = env != NULL;
    for (size_t i = 0; ok && i < t->n_tunes; i++)
        ok = bake_one(t, &t->tunes[i], env[1].v[i].value, a, &v);
    hone_code c;
    if (ok) {
        sort_edits(&v);
        c = apply(t, &v, out, len, e);
    } else {
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory baking '%s'", t->path);
    }
    hone_vec_free(&v);
    hone_arena_free(a);
    return c;
}
