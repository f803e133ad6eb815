// What a parsed task means: every name stands for one thing, nothing needed is missing, nothing given is unused, and every
// expression has a value at every size. Launches against signatures are in check_launch.c. Runs once, at the end of parsing.
#include "task/internal.h"
#include <string.h>

hone_arg *parser_arg(const parser *p, const char *name) {
    for (size_t i = 0; i < p->args.n; i++)
        if (strcmp(p->args.v[i]->name, name) == 0)
            return p->args.v[i];
    return NULL;
}

static bool is_size(const parser *p, const char *name) {
    for (size_t i = 0; p->sizes.n && i < p->sizes.v[0].n; i++)
        if (strcmp(p->sizes.v[0].v[i].name, name) == 0)
            return true;
    return false;
}

static bool is_tune(const parser *p, const char *name) {
    for (size_t i = 0; i < p->tunes.n; i++)
        if (strcmp(p->tunes.v[i].name, name) == 0)
            return true;
    return false;
}

bool parser_has_value(const parser *p, const char *name) {
    const hone_arg *a = parser_arg(p, name);
    return is_size(p, name) || is_tune(p, name) || (a && a->role == HONE_SCALAR);
}

static hone_tok line_tok(const parser *p, uint32_t line) {
    for (size_t i = 0; i < p->t->tokens.n; i++)
        if (p->t->tokens.v[i].line == line && p->t->tokens.v[i].kind == HONE_TOK_DIRECTIVE)
            return p->t->tokens.v[i];
    return (hone_tok){.line = line, .col = 1, .len = 1};
}

// ---- sets of sizes: all lines name the same sizes
static void check_size_line(parser *p, const hone_sizes *s, const char *word) {
    const hone_sizes *first = &p->sizes.v[0];
    hone_tok at = line_tok(p, s->line);
    for (size_t i = 0; i < first->n; i++) {
        bool found = false;
        for (size_t k = 0; k < s->n; k++)
            found |= strcmp(first->v[i].name, s->v[k].name) == 0;
        if (!found && !parser_poisoned(p, first->v[i].name))
            task_error(p, &at, "each 'size' and 'check' line is a whole set; a long one continues after a backslash",
                       "this '%s' line lacks '%s'", word,
                       first->v[i].name);
    }
    for (size_t k = 0; k < s->n; k++)
        if (!is_size(p, s->v[k].name) && !parser_poisoned(p, s->v[k].name))
            task_error(p, &at, NULL, "this '%s' line has '%s', which the first 'size' line lacks", word, s->v[k].name);
}

static void check_sizes(parser *p) {
    if (!p->sizes.n)
        return;
    for (size_t i = 1; i < p->sizes.n; i++)
        check_size_line(p, &p->sizes.v[i], "size");
    for (size_t i = 0; i < p->checks.n; i++)
        check_size_line(p, &p->checks.v[i], "check");
}

// ---- each name once
static bool is_function_name(const char *name) {
    static const char *const reserved[] = {"cdiv", "min", "max", "round_up", "pow2_ceil", "dim3"};
    for (size_t i = 0; i < HONE_COUNT(reserved); i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    return false;
}

static void check_duplicates(parser *p) {
    for (size_t i = 0; i < p->args.n; i++) {
        const hone_arg *a = p->args.v[i], *first = parser_arg(p, a->name);
        const char *what = a->role == HONE_SCALAR ? "scalar" : "buffer";
        if (is_function_name(a->name))
            task_error(p, &p->arg_at.v[i], NULL, "'%s' is the name of a function", a->name);
        else if (first != a)
            task_error(p, &p->arg_at.v[i], hone_arena_printf(p->a, "'%s' was first declared on line %u", a->name, first->line),
                       "duplicate name '%s'", a->name);
        else if (is_size(p, a->name))
            task_error(p, &p->arg_at.v[i], "a size is passed by its name; it needs no 'scalar' line", "%s '%s' has the name of a size",
                       what, a->name);
    }
    for (size_t i = 0; i < p->tunes.n; i++) {
        const char *name = p->tunes.v[i].name;
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice |= strcmp(p->tunes.v[k].name, name) == 0;
        if (is_function_name(name))
            task_error(p, &p->tune_at.v[i], NULL, "'%s' is the name of a function", name);
        else if (twice || is_size(p, name) || parser_arg(p, name))
            task_error(p, &p->tune_at.v[i], NULL, "duplicate name '%s'", name);
    }
}

// ---- names in expressions
static void unknown_name(parser *p, const hone_expr *x) {
    if (parser_poisoned(p, x->name))
        return;
    hone_tok at = task_expr_tok(x);
    name_list known = {0};
    for (size_t i = 0; p->sizes.n && i < p->sizes.v[0].n; i++)
        names_add(&known, p->sizes.v[0].v[i].name);
    for (size_t i = 0; i < p->tunes.n; i++)
        names_add(&known, p->tunes.v[i].name);
    for (size_t i = 0; i < p->args.n; i++)
        if (p->args.v[i]->role == HONE_SCALAR)
            names_add(&known, p->args.v[i]->name);
    const char *hint = task_suggest(p, x->name, &known);
    task_error(p, &at, hint ? hint : "names in expressions are sizes, scalars and tune parameters", "unknown name '%s'", x->name);
}

// Gives every name its meaning. n_scalars: only the first so many arguments may serve as scalars (a scalar may use those before it).
static void resolve(parser *p, hone_expr *x, size_t n_scalars) {
    x->weight = 1;
    for (unsigned i = 0; i < x->n_k; i++) {
        resolve(p, x->k[i], n_scalars);
        x->weight += x->k[i]->weight;
    }
    if (x->op != OP_NAME || is_size(p, x->name) || is_tune(p, x->name))
        return;
    for (size_t i = 0; i < p->args.n; i++) {
        const hone_arg *a = p->args.v[i];
        if (strcmp(a->name, x->name) != 0)
            continue;
        hone_tok at = task_expr_tok(x);
        if (a->role != HONE_SCALAR) {
            task_error(p, &at, NULL, "buffer '%s' in an expression", x->name);
        } else if (i >= n_scalars) {
            task_error(p, &at, "a scalar may use the scalars before it", "scalar '%s' is used before it is declared", x->name);
        } else if (a->value->weight > MAX_EXPR_WEIGHT - 1) {
            task_error(p, &at, NULL, "expression has more than %d parts", MAX_EXPR_WEIGHT);
        } else {
            x->scalar = a;   // weights bound the work: s1 = s0+s0, s2 = s1+s1 … would double it on every line
            x->weight += a->value->weight;
        }
        return;
    }
    unknown_name(p, x);
}

// A launch argument that is just a buffer's name becomes that buffer.
static void take_buffers(parser *p) {
    for (size_t i = 0; i < p->launches.n; i++)
        for (size_t k = 0; k < p->launches.v[i].n_args; k++) {
            struct hone_launch_arg *a = &p->launches.v[i].args[k];
            const hone_arg *b = a->value->op == OP_NAME ? parser_arg(p, a->value->name) : NULL;
            if (b && b->role != HONE_SCALAR)
                a->buffer = b->name;
        }
}

static void resolve_launch(parser *p, hone_launch *l) {
    hone_expr **sets[] = {l->grid, l->block, l->cluster};
    for (size_t s = 0; s < 3; s++)
        for (size_t k = 0; k < 3; k++)
            if (sets[s][k])
                resolve(p, sets[s][k], p->args.n);
    if (l->smem)
        resolve(p, l->smem, p->args.n);
    for (size_t i = 0; i < l->n_args; i++) {
        hone_expr *x = l->args[i].value;
        if (!l->args[i].buffer && (x->op != OP_NAME || parser_has_value(p, x->name)))   // unknown bare names: check_launch.c
            resolve(p, x, p->args.n);
    }
}

static void resolve_all(parser *p) {
    for (size_t i = 0; i < p->args.n; i++) {
        hone_arg *a = p->args.v[i];
        for (size_t k = 0; k < a->n_dims; k++)
            resolve(p, a->dims[k], p->args.n);
        for (size_t k = 0; k < a->init.n_p; k++)
            resolve(p, a->init.p[k], p->args.n);
        if (a->value)
            resolve(p, a->value, i);
    }
    for (size_t i = 0; i < p->launches.n; i++)
        resolve_launch(p, &p->launches.v[i]);
    for (size_t i = 0; i < p->wheres.n; i++)
        resolve(p, p->wheres.v[i], p->args.n);
    if (p->t->flops)
        resolve(p, p->t->flops, p->args.n);
    if (p->t->bytes)
        resolve(p, p->t->bytes, p->args.n);
}

// The contract (buffers, scalars, flops, bytes) must mean the same for every candidate.
static void no_tune(parser *p, const hone_expr *x, const char *what) {
    for (size_t i = 0; x && i < p->tunes.n; i++)
        if (hone_expr_mentions(x, p->tunes.v[i].name)) {
            hone_tok at = task_expr_tok(x);
            task_error(p, &at, "tune parameters belong in launch, scratch, where and the kernel", "%s depends on tune parameter '%s'", what,
                       p->tunes.v[i].name);
        }
}

static void check_contract_free_of_tunes(parser *p) {
    for (size_t i = 0; i < p->args.n; i++) {
        const hone_arg *a = p->args.v[i];
        for (size_t k = 0; a->role != HONE_SCRATCH && k < a->n_dims; k++)
            no_tune(p, a->dims[k], "the extent of a buffer");
        for (size_t k = 0; k < a->init.n_p; k++)
            no_tune(p, a->init.p[k], "an initialiser");
        no_tune(p, a->value, "a scalar");
    }
    no_tune(p, p->t->flops, "flops");
    no_tune(p, p->t->bytes, "bytes");
}

// ---- tolerances
static void check_tolerances(parser *p) {
    for (size_t i = 0; i < p->tolerances.n; i++) {
        const char *name = p->tolerances.v[i].buffer;
        const hone_arg *a = name ? parser_arg(p, name) : NULL;
        name_list known = {0};
        for (size_t k = 0; k < p->args.n; k++)
            if (p->args.v[k]->role == HONE_OUT || p->args.v[k]->role == HONE_INOUT)
                names_add(&known, p->args.v[k]->name);
        if (name && !a && parser_poisoned(p, name))
            continue;
        if (name && !a)
            task_error(p, &p->tolerance_at.v[i], task_suggest(p, name, &known), "tolerance for unknown buffer '%s'", name);
        else if (a && a->role != HONE_OUT && a->role != HONE_INOUT)
            task_error(p, &p->tolerance_at.v[i], NULL, "tolerance for '%s', which is no output", name);
        for (size_t k = 0; k < i; k++) {
            const char *other = p->tolerances.v[k].buffer;
            if ((!name && !other) || (name && other && strcmp(name, other) == 0))
                task_error(p, &p->tolerance_at.v[i], NULL, name ? "a second tolerance for '%s'" : "a second tolerance for all buffers%s",
                           name ? name : "");
        }
    }
}

// ---- missing and unused
static void check_missing(parser *p) {
    hone_tok top = {.line = 1, .col = 1, .len = 1};
    bool output = false;
    for (size_t i = 0; i < p->args.n; i++)
        output |= p->args.v[i]->role == HONE_OUT || p->args.v[i]->role == HONE_INOUT;
    if (!p->t->n_kernels)
        task_error(p, &top, "a task file holds at least one __global__ function", "no kernel");
    if (!p->sizes.n)
        task_error(p, &top, "#pragma hone size N=1024", "no 'size' line");
    if (!p->launches.n)
        task_error(p, &top, "#pragma hone launch kernel<<<cdiv(N,256), 256>>>(A, N)   ('hone init' drafts these lines)",
                   "no 'launch' line");
    if (!output)
        task_error(p, &top, "#pragma hone out C float[N]", "no 'out' or 'inout' buffer: nothing could be checked");
}

static bool any_expr_mentions(const parser *p, const char *name) {
    for (size_t i = 0; i < p->exprs.n; i++)
        if (hone_expr_mentions(p->exprs.v[i], name))
            return true;
    return false;
}

static bool launched(const parser *p, const char *buffer) {
    for (size_t i = 0; i < p->launches.n; i++)
        for (size_t k = 0; k < p->launches.v[i].n_args; k++)
            if (p->launches.v[i].args[k].buffer && strcmp(p->launches.v[i].args[k].buffer, buffer) == 0)
                return true;
    return false;
}

static bool word_byte(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

static bool has_word(hone_span text, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.n; i++) {
        bool left = i == 0 || !word_byte(text.s[i - 1]), right = i + n == text.n || !word_byte(text.s[i + n]);
        if (left && right && memcmp(text.s + i, word, n) == 0)
            return true;
    }
    return false;
}

// In the code or in a directive that is not ours (#if BM > 32).
static bool source_mentions(const parser *p, const char *name) {
    const hone_tokens *t = &p->t->tokens;
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].kind == HONE_TOK_IDENT && hone_tok_is(t, i, name))
            return true;
        if (t->v[i].kind == HONE_TOK_DIRECTIVE && !hone_tok_is_pragma(t, i) && has_word(hone_tok_span(t, i), name))
            return true;
    }
    return false;
}

static void check_unused(parser *p) {
    for (size_t i = 0; i < p->args.n; i++) {
        const hone_arg *a = p->args.v[i];
        if (a->role == HONE_SCALAR ? !any_expr_mentions(p, a->name) : !launched(p, a->name))
            task_warn(p, &p->arg_at.v[i], NULL, "%s '%s' is not passed to any launch", a->role == HONE_SCALAR ? "scalar" : "buffer",
                      a->name);
    }
    for (size_t i = 0; i < p->tunes.n; i++)
        if (!any_expr_mentions(p, p->tunes.v[i].name) && !source_mentions(p, p->tunes.v[i].name))
            task_warn(p, &p->tune_at.v[i], NULL, "tune parameter '%s' is not used", p->tunes.v[i].name);
}

// ---- trial evaluation: every expression at every size, with the first value of each tune parameter
typedef struct trial { parser *p; const hone_env *env; const char *set; uint32_t line; } trial;

// "N-4 is 0 with N=4 ('size', line 1)": what the values are in which something failed. part: the operand to blame, or NULL.
static const char *trial_hint(const trial *t, const hone_expr *top, const hone_expr *part) {
    hone_str b;
    expr_fault f;
    int64_t v;
    size_t named = 0;
    hone_str_init(&b, 400);   // of long values the short form below is enough
    if (part && part->op != OP_NAME && part->op != OP_INT && expr_eval_int(part, t->env, &v, &f))
        hone_str_addf(&b, "'%.*s' is %lld ", (int)(part->len > 100 ? 100 : part->len), t->p->t->text + part->at, (long long)v);
    for (const hone_env *e = t->env; e; e = e->outer)
        for (size_t i = 0; i < e->n; i++)
            if (named < 8 && hone_expr_mentions(top, e->v[i].name))
                hone_str_addf(&b, "%s%s=%lld", named++ ? ", " : "with ", e->v[i].name, (long long)e->v[i].value);
    const char *hint = b.failed || !named ? NULL : hone_arena_printf(t->p->a, "%s ('%s' on line %u)", b.s, t->set, t->line);
    hone_str_free(&b);
    return hint ? hint : hone_arena_printf(t->p->a, "with the values of '%s' on line %u", t->set, t->line);
}

static bool trial_fault(const trial *t, const expr_fault *f, const hone_expr *top) {
    hone_tok at = task_expr_tok(f->at);
    bool divides = f->at->op == OP_DIV || f->at->op == OP_MOD || f->at->op == OP_CDIV || f->at->op == OP_ROUND_UP;
    task_error(t->p, &at, trial_hint(t, top, divides ? f->at->k[1] : NULL), "%s in '%s'", f->why, hone_expr_text(top));
    return false;
}

static bool trial_int(const trial *t, const hone_expr *x, int64_t lowest, const char *what) {
    expr_fault f;
    int64_t v;
    if (!x)
        return true;
    if (!expr_eval_int(x, t->env, &v, &f))
        return trial_fault(t, &f, x);
    if (v >= lowest)
        return true;
    hone_tok at = task_expr_tok(x);
    task_error(t->p, &at, trial_hint(t, x, NULL), "%s is %lld", what, (long long)v);
    return false;
}

static bool trial_double(const trial *t, const hone_expr *x) {
    expr_fault f;
    double v;
    return !x || expr_eval_double(x, t->env, &v, &f) || trial_fault(t, &f, x);
}

// Extents that are each in order may still multiply to more than memory can hold.
static bool trial_elems(const trial *t, const hone_arg *a) {
    size_t elems = 1;
    for (size_t k = 0; k < a->n_dims; k++) {
        expr_fault f;
        int64_t v;
        if (!expr_eval_int(a->dims[k], t->env, &v, &f) || (!__builtin_mul_overflow(elems, v, &elems) && elems <= MAX_BUFFER_ELEMS))
            continue;
        hone_tok at = task_expr_tok(a->dims[0]), last = task_expr_tok(a->dims[a->n_dims - 1]);
        at.len = last.at + last.len - at.at;
        task_error(t->p, &at, trial_hint(t, a->dims[k], NULL), "buffer '%s' has more than 2^40 elements", a->name);
        return false;
    }
    return true;
}

static bool trial_arg(const trial *t, const hone_arg *a) {
    bool ok = true;
    for (size_t k = 0; k < a->n_dims; k++)
        ok &= trial_int(t, a->dims[k], 1, "an extent");
    ok = ok && trial_elems(t, a);
    for (size_t k = 0; k < a->init.n_p; k++)
        ok &= trial_double(t, a->init.p[k]);
    if (a->value)
        ok &= hone_dtype_is_float(a->type) ? trial_double(t, a->value) : trial_int(t, a->value, INT64_MIN, "");
    return ok;
}

static bool trial_launch(const trial *t, const hone_launch *l) {
    bool ok = trial_int(t, l->smem, 0, "the shared memory");
    for (size_t k = 0; k < 3; k++) {
        ok &= trial_int(t, l->grid[k], 1, "the grid's extent");
        ok &= trial_int(t, l->block[k], 1, "the block's extent");
        ok &= trial_int(t, l->cluster[k], 1, "the cluster's extent");
    }
    for (size_t i = 0; i < l->n_args; i++)
        if (!l->args[i].buffer)
            ok &= expr_is_floating(l->args[i].value) ? trial_double(t, l->args[i].value) : trial_int(t, l->args[i].value, INT64_MIN, "");
    return ok;
}

static bool trial_set(parser *p, const hone_sizes *s, const char *word) {
    hone_binding tunes[MAX_TUNES];
    for (size_t i = 0; i < p->tunes.n; i++)
        tunes[i] = (hone_binding){p->tunes.v[i].name, p->tunes.v[i].values[0]};
    hone_env outer = {tunes, p->tunes.n, NULL}, env = {s->v, s->n, &outer};
    trial t = {p, &env, word, s->line};
    bool ok = trial_double(&t, p->t->flops);
    ok &= trial_double(&t, p->t->bytes);
    for (size_t i = 0; i < p->args.n; i++)
        ok &= trial_arg(&t, p->args.v[i]);
    for (size_t i = 0; i < p->launches.n; i++)
        ok &= trial_launch(&t, &p->launches.v[i]);
    for (size_t i = 0; i < p->wheres.n; i++)
        ok &= trial_int(&t, p->wheres.v[i], INT64_MIN, "");
    return ok;
}

static void check_values(parser *p) {
    for (size_t i = 0; i < p->sizes.n; i++)
        if (!trial_set(p, &p->sizes.v[i], "size"))
            return;
    for (size_t i = 0; i < p->checks.n; i++)
        if (!trial_set(p, &p->checks.v[i], "check"))
            return;
}

void task_check(parser *p) {
    bool lines_ok = p->n_errors == 0;   // after a syntax error, what is missing or unknown may only follow from it
    check_sizes(p);
    check_duplicates(p);
    take_buffers(p);
    if (lines_ok || p->sizes.n)
        resolve_all(p);
    check_tolerances(p);
    check_contract_free_of_tunes(p);
    for (size_t i = 0; i < p->launches.n; i++)
        task_check_launch(p, &p->launches.v[i], &p->launch_at.v[i]);
    if (lines_ok)
        check_missing(p);
    if (!p->n_errors)
        check_unused(p);
    if (!p->n_errors)
        check_values(p);
    for (size_t i = 0; i < p->launches.n; i++)   // exactly one of buffer and value is set
        for (size_t k = 0; k < p->launches.v[i].n_args; k++)
            if (p->launches.v[i].args[k].buffer)
                p->launches.v[i].args[k].value = NULL;
}
