// A task file, parsed: finds the `#pragma hone` lines, hands each to its directive's handler (directives.def), and keeps going after
// an error so that one run reports them all. Grammar of buffers and launches is in parse_args.c and parse_launch.c; what names mean
// is checked in check.c. Produces the hone_task of task.h.
#include "base/visible.h"
#include "task/internal.h"
#include <string.h>

// ---- memory
void *task_alloc(parser *p, size_t n, size_t size) {
    void *v = hone_arena_array(p->a, n, size);
    p->nomem |= !v;
    return v;
}

char *task_strndup(parser *p, const char *s, size_t n) {
    char *v = hone_arena_strndup(p->a, s, n);
    p->nomem |= !v;
    return v;
}

// ---- tokens
const hone_tok *tok_now(const parser *p) { return &p->line.v[p->i]; }
bool tok_at(const parser *p, const char *s) { return hone_tok_is(&p->line, p->i, s); }
bool tok_is_end(const parser *p) { return tok_now(p)->kind == HONE_TOK_EOF; }
const char *tok_text(parser *p) { return task_strndup(p, p->line.text + tok_now(p)->at, tok_now(p)->len); }

bool tok_take(parser *p, const char *s) {
    if (!tok_at(p, s))
        return false;
    p->i++;
    return true;
}

// ", found 'x'" or " at the end of the line"
static const char *found(const parser *p, char buf[64]) {
    const hone_tok *t = tok_now(p);
    hone_str b;
    hone_str_init(&b, 63);
    if (tok_is_end(p))
        hone_str_add(&b, " at the end of the line");
    else
        hone_str_addf(&b, ", found '%.*s'", (int)(t->len > 40 ? 40 : t->len), p->line.text + t->at);
    memcpy(buf, b.s, b.len + 1);
    hone_str_free(&b);
    return buf;
}

bool tok_expect(parser *p, const char *s, const char *where) {
    char buf[64];
    if (tok_take(p, s))
        return true;
    task_error(p, tok_now(p), NULL, "expected '%s' %s%s", s, where, found(p, buf));
    return false;
}

bool tok_ident(parser *p, const char *what, const char **name, hone_tok *at) {
    char buf[64];
    *at = *tok_now(p);
    if (at->kind != HONE_TOK_IDENT) {
        task_error(p, at, NULL, "expected %s%s", what, found(p, buf));
        return false;
    }
    *name = tok_text(p);
    p->i++;
    return *name != NULL;
}

// ---- names whose declaration is wrong
void parser_poison(parser *p, const char *name) {
    if (!parser_poisoned(p, name))
        p->nomem |= !hone_vec_push(&p->poisoned, name);
}

bool parser_poisoned(const parser *p, const char *name) {
    for (size_t i = 0; i < p->poisoned.n; i++)
        if (strcmp(p->poisoned.v[i], name) == 0)
            return true;
    return false;
}

// Every word of a line that should have declared something: which of them is the name, a broken line does not tell.
static void poison_line(parser *p) {
    for (size_t i = 3; i < p->line.n && !p->nomem; i++) {   // after "pragma hone directive"
        const char *word = p->line.v[i].kind == HONE_TOK_IDENT ? task_strndup(p, p->line.text + p->line.v[i].at, p->line.v[i].len) : NULL;
        if (word)
            parser_poison(p, word);
    }
}

// ---- sizes
// The value of a size. False after an error, and silently when it depends on a size that has one.
static bool size_value(parser *p, const hone_env *env, const char *name, const hone_tok *at, hone_expr *x, int64_t *v) {
    expr_fault f;
    p->exprs.n--;   // its names are other sizes of the same line; it is evaluated here, once
    for (size_t i = 0; i < p->poisoned.n; i++)
        if (hone_expr_mentions(x, p->poisoned.v[i]))
            return false;
    if (!expr_eval_int(x, env, v, &f)) {
        hone_tok where = task_expr_tok(f.at);
        if (f.at->op == OP_NAME)
            task_error(p, &where, "a size may use the sizes before it on its line", "unknown size '%s'", f.at->name);
        else
            task_error(p, &where, NULL, "%s in '%s'", f.why, hone_expr_text(x));
        return false;
    }
    if (*v < 1 || *v > (int64_t)1 << 40) {
        task_error(p, at, NULL, "size '%s' is %lld; sizes are 1 to 2^40", name, (long long)*v);
        return false;
    }
    return true;
}

static bool binding_named(const hone_sizes *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].name, name) == 0)
            return true;
    return false;
}

// NAME=expr. False when the rest of the line cannot be read; a wrong value poisons the name and reading goes on.
static bool parse_binding(parser *p, hone_sizes *s) {
    const char *name;
    hone_tok at;
    hone_expr *x;
    hone_env env = {s->v, s->n, NULL};
    int64_t value;
    if (!tok_ident(p, "a size's name", &name, &at) || !tok_expect(p, "=", "after the size's name") || !(x = parse_expr(p)))
        return false;
    if (binding_named(s, name)) {
        p->exprs.n--;
        task_error(p, &at, NULL, "size '%s' is given twice on this line", name);
    } else if (s->n == MAX_NAMES) {
        task_error(p, &at, NULL, "more than %d sizes", MAX_NAMES);
        return false;
    } else if (size_value(p, &env, name, &at, x, &value)) {
        s->v[s->n++] = (hone_binding){name, value};
    } else {
        parser_poison(p, name);
    }
    tok_take(p, ",");
    return true;
}

bool parse_sizes_line(parser *p, bool check) {
    hone_tok start = *tok_now(p);
    hone_sizes s = {.v = task_alloc(p, MAX_NAMES, sizeof *s.v), .line = start.line};
    if (!s.v)
        return false;
    do
        if (!parse_binding(p, &s))
            return false;
    while (!tok_is_end(p));
    if ((check ? p->checks.n : p->sizes.n) == MAX_SIZE_SETS) {
        task_error(p, &start, NULL, "more than %d lines of sizes", MAX_SIZE_SETS);
        return false;
    }
    bool ok = check ? hone_vec_push(&p->checks, s) : hone_vec_push(&p->sizes, s);
    p->nomem |= !ok;
    return ok;
}

// ---- tune
// A constant: evaluated now, names are errors.
static bool constant(parser *p, int64_t *v) {
    expr_fault f;
    hone_expr *x = parse_expr(p);
    if (!x)
        return false;
    p->exprs.n--;
    if (expr_eval_int(x, NULL, v, &f))
        return true;
    hone_tok at = task_expr_tok(f.at);
    if (f.at->op == OP_NAME)
        task_error(p, &at, "values of tune parameters are constants; a 'where' line can relate them to sizes", "'%s' is not a constant",
                   f.at->name);
    else
        task_error(p, &at, NULL, "%s in '%s'", f.why, hone_expr_text(x));
    return false;
}

// The array doubles at each power of two; what it outgrew stays in the arena.
static bool tune_push(parser *p, hone_tune *t, const hone_tok *at, int64_t v) {
    const size_t n = t->n_values;
    if (n == MAX_TUNE_VALUES) {
        task_error(p, at, NULL, "'%s' has more than %d values", t->name, MAX_TUNE_VALUES);
        return false;
    }
    if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {
        int64_t *more = task_alloc(p, n ? 2 * n : 8, sizeof *more);
        if (!more)
            return false;
        if (n)
            memcpy(more, t->values, n * sizeof *more);
        t->values = more;
    }
    t->values[t->n_values++] = v;
    return true;
}

static bool tune_add(parser *p, hone_tune *t, const hone_tok *at, int64_t v) {
    for (size_t i = 0; i < t->n_values; i++)
        if (t->values[i] == v) {
            task_error(p, at, NULL, "value %lld of '%s' is given twice", (long long)v, t->name);
            return false;
        }
    return tune_push(p, t, at, v);
}

static bool tune_set(parser *p, hone_tune *t) {
    do {
        hone_tok at = *tok_now(p);
        int64_t v;
        if (!constant(p, &v) || !tune_add(p, t, &at, v))
            return false;
    } while (tok_take(p, ","));
    return tok_expect(p, "}", "after the values");
}

static bool tune_range(parser *p, hone_tune *t) {
    hone_tok at = *tok_now(p);
    int64_t lo, hi, step = 1;
    if (!constant(p, &lo) || !tok_expect(p, "..", "between the first and last value") || !constant(p, &hi))
        return false;
    hone_tok step_at = *tok_now(p);
    if (tok_take(p, "step") && !constant(p, &step))
        return false;
    if (hi < lo || step < 1) {
        task_error(p, step < 1 ? &step_at : &at, NULL, step < 1 ? "the step of '%s' is not positive" : "the range of '%s' is empty",
                   t->name);
        return false;
    }
    for (int64_t v = lo;; v += step) {
        if (!tune_push(p, t, &at, v))
            return false;
        if (v > hi - step)
            return true;
    }
}

bool parse_tune(parser *p) {
    const hone_tok *d = &p->t->tokens.v[p->directive];
    hone_tune t = {.line = d->line, .text_at = d->at, .text_len = d->len};
    hone_tok at;
    if (!tok_ident(p, "a parameter's name", &t.name, &at) || !tok_expect(p, "=", "after the parameter's name"))
        return false;
    if (!(tok_take(p, "{") ? tune_set(p, &t) : tune_range(p, &t)))
        return false;
    if (p->tunes.n == MAX_TUNES) {
        task_error(p, &at, NULL, "more than %d tune parameters", MAX_TUNES);
        return false;
    }
    bool ok = hone_vec_push(&p->tunes, t) && hone_vec_push(&p->tune_at, at);
    p->nomem |= !ok;
    return ok;
}

// ---- small directives
static bool on_size(parser *p) { return parse_sizes_line(p, false); }
static bool on_check(parser *p) { return parse_sizes_line(p, true); }
static bool on_in(parser *p) { return parse_buffer(p, HONE_IN); }
static bool on_out(parser *p) { return parse_buffer(p, HONE_OUT); }
static bool on_inout(parser *p) { return parse_buffer(p, HONE_INOUT); }
static bool on_scratch(parser *p) { return parse_buffer(p, HONE_SCRATCH); }

static bool on_where(parser *p) {
    hone_expr *x = parse_expr(p);
    bool ok = x && hone_vec_push(&p->wheres, x);
    p->nomem |= x && !ok;
    return ok;
}

static bool on_objective(parser *p) {
    static const char *const names[] = {"time", "energy", "edp"};
    hone_tok at = *tok_now(p);
    if (p->has_objective) {
        task_error(p, &at, NULL, "a second objective");
        return false;
    }
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        if (tok_take(p, names[i])) {
            p->t->objective = (hone_objective)i;
            return p->has_objective = true;
        }
    task_error(p, &at, NULL, "the objective is one of time, energy and edp");
    return false;
}

static bool one_expr(parser *p, hone_expr **slot, const char *what) {
    hone_tok at = *tok_now(p);
    if (*slot) {
        task_error(p, &at, NULL, "a second '%s' line", what);
        return false;
    }
    return (*slot = parse_expr(p)) != NULL;
}
static bool on_flops(parser *p) { return one_expr(p, &p->t->flops, "flops"); }
static bool on_bytes(parser *p) { return one_expr(p, &p->t->bytes, "bytes"); }

// rtol=… or atol=… into *v
static bool tolerance_value(parser *p, double *v) {
    expr_fault f;
    hone_tok at = *tok_now(p);
    hone_expr *x = parse_expr(p);
    if (!x)
        return false;
    p->exprs.n--;
    if (expr_eval_double(x, NULL, v, &f) && *v >= 0)
        return true;
    task_error(p, &at, NULL, "a tolerance is a constant that is not negative");
    return false;
}

bool parse_tolerance(parser *p) {
    hone_tolerance t = {0};
    hone_tok at = *tok_now(p);
    bool word = tok_at(p, "auto") || tok_at(p, "exact") || ((tok_at(p, "rtol") || tok_at(p, "atol")) && hone_tok_is(&p->line, p->i + 1,
                                                                                                                    "="));
    if (!word && !tok_ident(p, "'auto', 'exact', 'rtol=' or a buffer's name", &t.buffer, &at))
        return false;
    if (tok_take(p, "auto")) {
        t.kind = HONE_TOL_AUTO;
    } else if (tok_take(p, "exact")) {
        t.kind = HONE_TOL_EXACT;
    } else {
        t.kind = HONE_TOL_RELATIVE;
        bool any = false;
        for (bool r; (r = tok_at(p, "rtol")) || tok_at(p, "atol"); any = true) {
            p->i++;
            if (!tok_expect(p, "=", r ? "after 'rtol'" : "after 'atol'") || !tolerance_value(p, r ? &t.rtol : &t.atol))
                return false;
        }
        if (!any) {
            task_error(p, tok_now(p), NULL, "expected 'auto', 'exact', 'rtol=' or 'atol='");
            return false;
        }
    }
    bool ok = hone_vec_push(&p->tolerances, t) && hone_vec_push(&p->tolerance_at, at);
    p->nomem |= !ok;
    return ok;
}

// ---- flags: options that change neither results beyond contraction of a*b+c nor what is compiled
static const struct { const char *name; long lo, hi; const char *words; } allowed_flags[] = {
    {"maxrregcount", 16, 255, NULL}, {"fmad", 0, 0, "true false"}, {"extra-device-vectorization", 0, 0, ""}, {"restrict", 0, 0, ""},
};
static const char flag_hint[] = "allowed: -maxrregcount=N, -fmad=true|false, -extra-device-vectorization, -restrict";

static bool flag_value_ok(size_t f, const char *value) {
    if (!allowed_flags[f].words) {
        long v = 0;
        for (const char *s = value; *s; s++) {
            if (*s < '0' || *s > '9' || v > 100000)
                return false;
            v = v * 10 + (*s - '0');
        }
        return *value && v >= allowed_flags[f].lo && v <= allowed_flags[f].hi;
    }
    if (!*allowed_flags[f].words)
        return !*value;
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

// One option: the tokens up to the next white space.
static bool parse_flag(parser *p) {
    hone_tok at = *tok_now(p);
    size_t first = p->i;
    do
        p->i++;
    while (!tok_is_end(p) && !tok_now(p)->space_before);
    const hone_tok *last = &p->line.v[p->i - 1];
    at.len = last->at + last->len - at.at;
    char *flag = task_strndup(p, p->line.text + p->line.v[first].at, at.len);
    if (!flag)
        return false;
    const char *name = flag + (flag[0] == '-') + (flag[0] == '-' && flag[1] == '-'), *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    for (size_t f = 0; flag[0] == '-' && f < HONE_COUNT(allowed_flags); f++) {
        if (strlen(allowed_flags[f].name) != n || memcmp(allowed_flags[f].name, name, n) != 0)
            continue;
        if (flag_value_ok(f, equals ? equals + 1 : "")) {
            bool ok = hone_vec_push(&p->flags, flag);
            p->nomem |= !ok;
            return ok;
        }
        task_error(p, &at, flag_hint, "value of option '%s' is out of range", flag);
        return false;
    }
    bool fast = strcmp(name, "use_fast_math") == 0 || strncmp(name, "ftz", 3) == 0 || strncmp(name, "prec-", 5) == 0;
    task_error(p, &at, fast ? "it lowers precision; write the fast intrinsics in the kernel, so that the check sees them" : flag_hint,
               "compiler option '%s' is not allowed", flag);
    return false;
}

bool parse_flags(parser *p) {
    bool ok = true;
    if (tok_is_end(p)) {
        task_error(p, tok_now(p), flag_hint, "expected a compiler option at the end of the line");
        return false;
    }
    while (!tok_is_end(p))
        ok &= parse_flag(p);
    return ok;
}

// ---- lines
static const struct { const char *name; bool (*handler)(parser *), declares; const char *form; } directives[] = {
#define DIRECTIVE(name, handler, declares, form, help) {name, handler, declares, form},
#include "task/directives.def"
#undef DIRECTIVE
};

static const char directive_hint[] =
    "directives: size check in out inout scratch scalar launch tune where flags tolerance objective flops bytes";

static void unknown_directive(parser *p, const hone_tok *at) {
    name_list known = {0};
    for (size_t i = 0; i < HONE_COUNT(directives); i++)
        names_add(&known, directives[i].name);
    const char *name = tok_text(p), *hint = name ? task_suggest(p, name, &known) : NULL;
    if (name)
        task_error(p, at,
                   hint ? hint : directive_hint,
                   "unknown directive '%s'", name);
}

static void parse_line(parser *p) {
    p->i = 2;   // past "pragma hone"
    hone_tok at = *tok_now(p);
    if (tok_is_end(p)) {
        task_error(p, &at, NULL, "expected a directive after '#pragma hone'");
        return;
    }
    for (size_t i = 0; i < HONE_COUNT(directives); i++) {
        if (!tok_at(p, directives[i].name))
            continue;
        p->i++;
        size_t before = p->n_errors;
        bool ok = directives[i].handler(p);
        if (ok && !tok_is_end(p)) {
            const hone_tok *t = tok_now(p);
            const char *hint = hone_arena_printf(p->a, "%s %s", directives[i].name, directives[i].form);
            task_error(p, t, hint, "unexpected '%.*s' after the directive", (int)(t->len > 40 ? 40 : t->len), p->line.text + t->at);
        } else if (!ok && p->n_errors == before && !p->nomem) {
            HONE_BUG("directive '%s' failed without a diagnostic", directives[i].name);
        }
        if (!ok && directives[i].declares)
            poison_line(p);
        return;
    }
    unknown_directive(p, &at);
    poison_line(p);
}

hone_code parse_lines(parser *p, hone_err *e) {
    for (size_t i = 0; i < p->t->tokens.n && !p->nomem && p->n_errors < MAX_DIAGS; i++) {
        if (!hone_tok_is_pragma(&p->t->tokens, i))
            continue;
        HONE_TRY(hone_lex_directive(p->a, &p->t->tokens, i, &p->line, e));
        p->directive = i;
        parse_line(p);
    }
    return HONE_OK;
}

// ---- the whole
static bool copy_out(parser *p, void *dst, size_t *n_dst, const void *v, size_t n, size_t size) {
    void *copy = task_alloc(p, n ? n : 1, size);
    if (!copy)
        return false;
    if (n)
        memcpy(copy, v, n * size);
    memcpy(dst, &copy, sizeof copy);
    *n_dst = n;
    return true;
}

static bool collect(parser *p) {
    hone_task *t = p->t;
    t->args = task_alloc(p, p->args.n ? p->args.n : 1, sizeof *t->args);
    for (size_t i = 0; t->args && i < p->args.n; i++)
        t->args[t->n_args++] = *p->args.v[i];
    return t->args && copy_out(p, &t->sizes, &t->n_sizes, p->sizes.v, p->sizes.n, sizeof *t->sizes) &&
           copy_out(p, &t->checks, &t->n_checks, p->checks.v, p->checks.n, sizeof *t->checks) &&
           copy_out(p, &t->launches, &t->n_launches, p->launches.v, p->launches.n, sizeof *t->launches) &&
           copy_out(p, &t->tunes, &t->n_tunes, p->tunes.v, p->tunes.n, sizeof *t->tunes) &&
           copy_out(p, &t->wheres, &t->n_wheres, p->wheres.v, p->wheres.n, sizeof *t->wheres) &&
           copy_out(p, &t->flags, &t->n_flags, p->flags.v, p->flags.n, sizeof *t->flags) &&
           copy_out(p, &t->tolerances, &t->n_tolerances, p->tolerances.v, p->tolerances.n, sizeof *t->tolerances);
}

void parser_free(parser *p) {
    hone_vec_free(&p->sizes);
    hone_vec_free(&p->checks);
    hone_vec_free(&p->args);
    hone_vec_free(&p->launches);
    hone_vec_free(&p->tunes);
    hone_vec_free(&p->wheres);
    hone_vec_free(&p->exprs);
    hone_vec_free(&p->flags);
    hone_vec_free(&p->tolerances);
    hone_vec_free(&p->tolerance_at);
    hone_vec_free(&p->arg_at);
    hone_vec_free(&p->launch_at);
    hone_vec_free(&p->tune_at);
    hone_vec_free(&p->poisoned);
}

// An error of the lexer, "line:col: what", as a diagnostic.
static void diag_of_lexer(parser *p, const hone_err *e) {
    hone_tok at = {.line = 1, .col = 1, .len = 1};
    const char *msg = e->msg, *s = msg;
    uint32_t v[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        while (*s >= '0' && *s <= '9')
            v[i] = v[i] * 10 + (uint32_t)(*s++ - '0');
        if (*s++ != ':')
            break;
    }
    if (v[0] && v[1]) {
        at.line = v[0];
        at.col = v[1];
        msg = *s == ' ' ? s + 1 : s;
    }
    task_error(p, &at, NULL, "%s", msg);
}

static hone_code parse_text(parser *p, hone_err *e) {
    hone_task *t = p->t;
    hone_err local = {0};
    hone_code c = hone_lex(p->a, t->text, t->len, &t->tokens, &local);
    if (c == HONE_OK)
        c = hone_find_kernels(p->a, &t->tokens, &t->kernels, &t->n_kernels, &local);
    if (c == HONE_E_PARSE)
        diag_of_lexer(p, &local);
    else if (c != HONE_OK)
        return hone_fail(e, c, local.sub, "%s: %s", t->path, local.msg);
    else
        HONE_TRY(parse_lines(p, e));
    if (c == HONE_OK && !p->nomem)
        task_check(p);
    if (p->nomem || !collect(p))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", t->path);
    return HONE_OK;
}

// HONE_E_PARSE with the number of errors and the first of them.
static hone_code summary(const parser *p, hone_err *e) {
    for (size_t i = 0; i < p->diags->n; i++) {
        const hone_diag *d = &p->diags->v[i];
        if (!d->is_error)
            continue;
        hone_fail(e, HONE_E_PARSE, (int)p->n_errors, "%s:%u:%u: %s%s", p->t->path, d->line, d->col, d->msg,
                  p->n_errors > 1 ? " (and more errors)" : "");
        if (d->hint && e)
            hone_hint(e, "%s", d->hint);
        break;
    }
    return HONE_E_PARSE;
}

static hone_task *task_new(const char *path, const char *text, size_t len) {
    hone_arena *a = hone_arena_new((size_t)1 << 30);
    hone_task *t = a ? hone_arena_alloc(a, sizeof *t) : NULL;
    if (!t) {
        hone_arena_free(a);
        return NULL;
    }
    const char *base = hone_path_base(path);
    size_t n = strlen(base);
    if (n > 3 && strcmp(base + n - 3, ".cu") == 0)
        n -= 3;
    t->arena = a;
    t->path = hone_arena_strdup(a, path);
    t->name = hone_arena_strndup(a, base, n);
    t->text = hone_arena_strndup(a, text, len);
    t->len = len;
    hone_sha256_hex(text, len, t->hash);
    if (t->path && t->name && t->text)
        return t;
    hone_arena_free(a);
    return NULL;
}

hone_code hone_task_parse(const char *path, const char *text, size_t len, hone_task **out, hone_diags *diags, hone_err *e) {
    *out = NULL;
    if (len > HONE_SOURCE_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "'%s' has %zu bytes; a task file has at most %u", path, len, HONE_SOURCE_MAX);
    size_t bad;
    if (!hone_is_utf8(text, len, &bad))   // programs would disagree on where it ends, or on what it says
        return hone_fail(e, HONE_E_LIMIT, 0, "'%s' is no UTF-8 text: byte %zu is 0x%02X", path, bad, (unsigned)(unsigned char)text[bad]);
    hone_task *t = task_new(path, text, len);
    if (!t)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", path);
    hone_diags own = {.arena = t->arena};
    parser p = {.t = t, .diags = diags ? diags : &own, .a = t->arena};
    hone_code c = parse_text(&p, e);
    task_sort_diags(p.diags);
    if (c == HONE_OK && p.n_errors)
        c = summary(&p, e);
    parser_free(&p);
    if (c != HONE_OK) {
        hone_task_free(t);
        return c;
    }
    *out = t;
    return HONE_OK;
}

void hone_task_free(hone_task *t) {
    if (t)
        hone_arena_free(t->arena);
}
