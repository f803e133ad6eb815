// Drafting a task file for `hone init`: a bare kernel file, sizes, launches in CUDA notation and what a run on the virtual GPU saw
// of each pointer become directives. Roles and extents are observed, never guessed; where sizes leave two readings of an extent the
// draft says so in a comment. Sits on the parser, whose launch grammar it uses.
#include "task/internal.h"
#include <stdio.h>
#include <string.h>

typedef struct drafter {
    const char *path;
    const hone_sizes *sizes;
    const hone_observed *obs;
    size_t n_obs;
    parser p;
    hone_arena *a;
    hone_str buffers, scalars, launches;
    name_list declared;
    hone_err *e;
} drafter;

static hone_code bad(drafter *d, const char *hint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static hone_code bad(drafter *d, const char *hint, const char *fmt, ...) {
    char msg[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    hone_fail(d->e, HONE_E_USAGE, 0, "%s: %s", d->path, msg);
    if (hint)
        hone_hint(d->e, "%s", hint);
    return HONE_E_USAGE;
}

static bool is_declared(const drafter *d, const char *name) {
    for (size_t i = 0; i < d->declared.n; i++)
        if (strcmp(d->declared.v[i], name) == 0)
            return true;
    return false;
}

static bool is_size(const drafter *d, const char *name) {
    for (size_t i = 0; i < d->sizes->n; i++)
        if (strcmp(d->sizes->v[i].name, name) == 0)
            return true;
    return false;
}

// ---- extents: a number of elements as a product of sizes
typedef struct extent { char text[256]; unsigned cost; bool ambiguous; char other[256]; } extent;

// Keeps the cheapest spelling; a second one of the same cost makes the extent ambiguous.
static void offer(extent *x, unsigned cost, const char *text) {
    if (cost < x->cost) {
        x->cost = cost;
        x->ambiguous = false;
        memcpy(x->text, text, strlen(text) + 1);
    } else if (cost == x->cost && !x->ambiguous && strcmp(x->text, text) != 0) {
        x->ambiguous = true;
        memcpy(x->other, text, strlen(text) + 1);
    }
}

// Products of sizes, each used up to twice, times a constant up to 16 as the innermost extent.
static void offer_products(const drafter *d, uint64_t count, extent *x) {
    size_t n = d->sizes->n < 6 ? d->sizes->n : 6;
    unsigned codes = 1;
    for (size_t i = 0; i < n; i++)
        codes *= 3;
    for (unsigned code = 1; code < codes; code++) {
        uint64_t product = 1;
        unsigned cost = 0, rest = code;
        hone_str b;
        hone_str_init(&b, sizeof x->text - 16);
        for (size_t i = 0; i < n && product <= count; i++, rest /= 3)
            for (unsigned k = 0; k < rest % 3 && product <= count; k++) {
                product *= (uint64_t)d->sizes->v[i].value;
                cost += k ? 12 : 10;   // a size used twice is less likely than two sizes
                hone_str_addf(&b, "[%s]", d->sizes->v[i].name);
            }
        uint64_t c = product && count % product == 0 ? count / product : 0;
        if (c > 1 && c <= 16)
            hone_str_addf(&b, "[%llu]", (unsigned long long)c);
        if (c >= 1 && c <= 16 && !b.failed)
            offer(x, cost + (c > 1 ? 4 + (unsigned)c : 0), b.s);
        hone_str_free(&b);
    }
}

static void offer_sums(const drafter *d, uint64_t count, extent *x) {
    char text[256];
    for (size_t i = 0; i < d->sizes->n; i++) {
        uint64_t v = (uint64_t)d->sizes->v[i].value;
        if (count == v + 1) {
            snprintf(text, sizeof text, "[%.200s+1]", d->sizes->v[i].name);
            offer(x, 15, text);
        }
        for (uint64_t c = 32; c <= 1024; c *= 2)
            if (v > c && count == (v + c - 1) / c) {
                snprintf(text, sizeof text, "[cdiv(%.200s, %llu)]", d->sizes->v[i].name, (unsigned long long)c);
                offer(x, 22, text);
            }
    }
}

static extent find_extent(const drafter *d, uint64_t count) {
    extent x = {.cost = 60};
    snprintf(x.text, sizeof x.text, "[%llu]", (unsigned long long)(count ? count : 1));
    if (count > 1) {
        offer_products(d, count, &x);
        offer_sums(d, count, &x);
    }
    return x;
}

// ---- buffers
static const hone_observed *find_observed(const drafter *d, const char *buffer, const char *param) {
    for (size_t i = 0; i < d->n_obs; i++)
        if (strcmp(d->obs[i].param, buffer) == 0)
            return &d->obs[i];
    for (size_t i = 0; i < d->n_obs; i++)
        if (strcmp(d->obs[i].param, param) == 0)
            return &d->obs[i];
    return NULL;
}

// Whether a launch after the l-th reads the buffer through a pointer to const.
static bool read_later(const drafter *d, size_t l, const char *buffer) {
    for (size_t i = l + 1; i < d->p.launches.n; i++) {
        const hone_launch *x = &d->p.launches.v[i];
        const hone_kernel *k = task_find_kernel(d->p.t, x->kernel);
        for (size_t j = 0; k && j < x->n_args && j < k->n_params; j++)
            if (x->args[j].value->op == OP_NAME && strcmp(x->args[j].value->name, buffer) == 0 && k->params[j].is_const)
                return true;
    }
    return false;
}

static const char *role_of(const drafter *d, size_t l, const hone_param *k, const hone_observed *o, const char *buffer) {
    if (!o)
        return k->is_const ? "in" : "inout";
    if (!o->written)
        return "in";
    if (o->read_before_written)
        return "inout";
    return read_later(d, l, buffer) ? "scratch" : "out";
}

static hone_code draft_buffer(drafter *d, size_t l, const hone_param *k, const char *buffer) {
    hone_dtype type;
    unsigned lanes;
    if (is_declared(d, buffer))
        return HONE_OK;
    if (is_size(d, buffer))
        return bad(d, NULL, "'%s' is a size, but parameter '%s' of '%s' is '%s'", buffer, k->name, d->p.launches.v[l].kernel, k->type);
    if (!dtype_from_c(k->elem, &type, &lanes))
        return bad(d, "write the directives by hand: see docs/task-format.md", "element type '%s' of parameter '%s' is not known", k->elem,
                   k->name);
    const hone_observed *o = find_observed(d, buffer, k->name);
    extent x = find_extent(d, o ? (o->extent_bytes + hone_dtype_bytes(type) - 1) / hone_dtype_bytes(type) : 0);
    hone_str_addf(&d->buffers, "#pragma hone %s %s %s%s", role_of(d, l, k, o, buffer), buffer, hone_dtype_name(type), x.text);
    if (!o || !o->extent_bytes)
        hone_str_add(&d->buffers, "   // extent unknown: the run did not touch it");
    else if (x.ambiguous)
        hone_str_addf(&d->buffers, "   // or %s: the sizes fit both", x.other);
    hone_str_addc(&d->buffers, '\n');
    names_add(&d->declared, buffer);
    return HONE_OK;
}

// ---- values
// First name in an expression that is neither size nor scalar, or NULL.
static const char *foreign_name(const drafter *d, const hone_expr *x) {
    if (x->op == OP_NAME)
        return is_size(d, x->name) || is_declared(d, x->name) ? NULL : x->name;
    for (unsigned i = 0; i < x->n_k; i++) {
        const char *name = foreign_name(d, x->k[i]);
        if (name)
            return name;
    }
    return NULL;
}

static bool has_name(const hone_expr *x) {
    bool any = x->op == OP_NAME;
    for (unsigned i = 0; i < x->n_k; i++)
        any = any || has_name(x->k[i]);
    return any;
}

// A constant argument gets a name, so that it belongs to the contract. *text is what the launch passes.
static hone_code draft_value(drafter *d, const hone_param *k, const hone_expr *x, const char **text) {
    hone_dtype type;
    unsigned lanes;
    const char *foreign = foreign_name(d, x);
    if (foreign)
        return bad(d, "write the arguments in the launch, with values for those that are no sizes: k<<<grid, block>>>(A, N, 0.5)",
                   "argument '%s' is neither a size nor a pointer", foreign);
    *text = hone_expr_text(x);
    if (has_name(x) || !*k->name || is_size(d, k->name) || is_declared(d, k->name) || !dtype_from_c(k->type, &type, &lanes))
        return HONE_OK;
    hone_str_addf(&d->scalars, "#pragma hone scalar %s %s = %s\n", k->name, hone_dtype_name(type), *text);
    names_add(&d->declared, k->name);
    *text = k->name;
    return HONE_OK;
}

// ---- launches
// The arguments: as written, or the names of the parameters when the launch has none.
static hone_code fill_arguments(drafter *d, hone_launch *l, const hone_kernel *k) {
    if (l->n_args == k->n_params)
        return HONE_OK;
    if (l->n_args)
        return bad(d, NULL, "'%s' takes %zu arguments, the launch gives %zu", l->kernel, k->n_params, l->n_args);
    l->args = hone_arena_array(d->a, k->n_params, sizeof *l->args);
    hone_expr *x = hone_arena_array(d->a, k->n_params, sizeof *x);
    if (!l->args || !x)
        return hone_fail(d->e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", d->path);
    for (size_t i = 0; i < k->n_params; i++) {
        x[i] = (hone_expr){.op = OP_NAME, .name = k->params[i].name, .text = k->params[i].name, .weight = 1};
        l->args[i].value = &x[i];
    }
    l->n_args = k->n_params;
    return HONE_OK;
}

static void add_axes(hone_str *b, hone_expr *const v[3]) {
    size_t n = strcmp(hone_expr_text(v[2]), "1") != 0 ? 3 : strcmp(hone_expr_text(v[1]), "1") != 0 ? 2 : 1;
    hone_str_add(b, n > 1 ? "dim3(" : "");
    for (size_t i = 0; i < n; i++)
        hone_str_addf(b, "%s%s", i ? ", " : "", hone_expr_text(v[i]));
    hone_str_add(b, n > 1 ? ")" : "");
}

static hone_code draft_launch(drafter *d, size_t at) {
    hone_launch *l = &d->p.launches.v[at];
    const hone_kernel *k = task_find_kernel(d->p.t, l->kernel);
    if (!k)
        return bad(d, NULL, "no kernel '%s' in the file", l->kernel);
    HONE_TRY(fill_arguments(d, l, k));
    hone_str *b = &d->launches;
    hone_str_addf(b, "#pragma hone launch %s<<<", l->kernel);
    add_axes(b, l->grid);
    hone_str_add(b, ", ");
    add_axes(b, l->block);
    if (l->smem)
        hone_str_addf(b, ", %s", hone_expr_text(l->smem));
    hone_str_add(b, ">>>(");
    for (size_t i = 0; i < l->n_args; i++) {
        const hone_expr *x = l->args[i].value;
        const char *text = hone_expr_text(x);
        if (k->params[i].is_pointer && x->op != OP_NAME)
            return bad(d, NULL, "parameter '%s' of '%s' is a pointer; the launch passes '%s'", k->params[i].name, l->kernel, text);
        HONE_TRY(k->params[i].is_pointer ? draft_buffer(d, at, &k->params[i], x->name) : draft_value(d, &k->params[i], x, &text));
        hone_str_addf(b, "%s%s", i ? ", " : "", text);
    }
    hone_str_addc(b, ')');
    if (l->cluster[0]) {
        hone_str_add(b, " cluster=");
        add_axes(b, l->cluster);
    }
    hone_str_add(b, l->cooperative ? " cooperative\n" : "\n");
    return HONE_OK;
}

// ---- the whole
// The launches as directives in front of the source, one per line or between semicolons; a launch without arguments gets "()".
static hone_code synthetic(drafter *d, const char *launch_text, const char *text, size_t len, hone_str *b) {
    for (const char *s = launch_text; *s;) {
        size_t n = strcspn(s, ";\n"), skip = strspn(s, " \t\r");
        size_t end = n;
        while (end > skip && strchr(" \t\r", s[end - 1]))
            end--;
        if (end > skip)
            hone_str_addf(b, "#pragma hone launch %.*s%s\n", (int)(end - skip), s + skip, s[end - 1] == '>' ? "()" : "");
        s += n + (s[n] != '\0');
    }
    if (!b->len)
        return bad(d, "give it as kernel<<<grid, block>>>(arguments)", "no launch");
    hone_str_addn(b, text, len);
    return hone_str_check(b, "a draft", d->e);
}

static hone_code parse_launches(drafter *d, const char *text, size_t len, hone_diags *diags) {
    parser *p = &d->p;
    hone_task *t = hone_arena_alloc(d->a, sizeof *t);
    if (!t)
        return hone_fail(d->e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", d->path);
    *t = (hone_task){.arena = d->a, .path = d->path, .text = hone_arena_strndup(d->a, text, len), .len = len};
    *p = (parser){.t = t, .a = d->a, .diags = diags};
    if (!t->text)
        return hone_fail(d->e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", d->path);
    HONE_TRY(hone_lex(d->a, t->text, len, &t->tokens, d->e));
    HONE_TRY(hone_find_kernels(d->a, &t->tokens, &t->kernels, &t->n_kernels, d->e));
    HONE_TRY(parse_lines(p, d->e));
    if (p->n_errors)
        return bad(d, diags->n ? diags->v[0].hint : NULL, "in the launch: %s", diags->n ? diags->v[0].msg : "syntax error");
    return p->nomem ? hone_fail(d->e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", d->path) : HONE_OK;
}

static bool has_pragmas(hone_arena *a, const char *text, size_t len) {
    hone_tokens t;
    if (hone_lex(a, text, len, &t, NULL) != HONE_OK)
        return false;
    for (size_t i = 0; i < t.n; i++)
        if (hone_tok_is_pragma(&t, i))
            return true;
    return false;
}

static hone_code assemble(drafter *d, const char *text, size_t len, char **out, size_t *out_len) {
    hone_str b;
    hone_str_init(&b, 2 * (size_t)HONE_SOURCE_MAX);
    hone_str_add(&b,
                 "// Drafted by hone init from an observed run. Check roles, extents and inputs before trusting a result.\n"
                     "#pragma hone size");
    for (size_t i = 0; i < d->sizes->n; i++)
        hone_str_addf(&b, " %s=%lld", d->sizes->v[i].name, (long long)d->sizes->v[i].value);
    hone_str_addf(&b, "\n%s%s%s\n", d->buffers.s, d->scalars.s, d->launches.s);
    hone_str_addn(&b, text, len);
    b.failed |= d->buffers.failed || d->scalars.failed || d->launches.failed;
    hone_code c = hone_str_check(&b, "a draft", d->e);
    *out_len = b.len;
    if (c == HONE_OK && !(*out = hone_str_take(&b)))
        c = hone_fail(d->e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", d->path);
    hone_str_free(&b);
    return c;
}

static hone_code draft(drafter *d, const char *launch_text, const char *text, size_t len, char **out, size_t *out_len) {
    if (!d->sizes || !d->sizes->n)
        return bad(d, "give at least one, as N=1024", "no sizes");
    if (has_pragmas(d->a, text, len))
        return bad(d, "remove its '#pragma hone' lines first, or edit them", "this is a task file already");
    hone_str b;
    hone_str_init(&b, 2 * (size_t)HONE_SOURCE_MAX);
    hone_diags diags = {.arena = d->a};
    hone_code c = synthetic(d, launch_text ? launch_text : "", text, len, &b);
    if (c == HONE_OK)
        c = parse_launches(d, b.s, b.len, &diags);
    for (size_t i = 0; i < d->p.launches.n && c == HONE_OK; i++)
        c = draft_launch(d, i);
    if (c == HONE_OK)
        c = assemble(d, text, len, out, out_len);
    hone_str_free(&b);
    return c;
}

hone_code hone_draft(const char *path, const char *text, size_t len, const hone_sizes *sizes, const char *launch_text,
                     const hone_observed *obs,
                     size_t n_obs, char **out, size_t *out_len, hone_err *e) {
    *out = NULL;
    drafter d = {.path = path, .sizes = sizes, .obs = obs, .n_obs = n_obs, .e = e, .a = hone_arena_new((size_t)1 << 30)};
    if (!d.a)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory drafting '%s'", path);
    hone_str_init(&d.buffers, 1u << 20);
    hone_str_init(&d.scalars, 1u << 20);
    hone_str_init(&d.launches, 1u << 20);
    hone_code c = draft(&d, launch_text, text, len, out, out_len);
    parser_free(&d.p);
    hone_str_free(&d.buffers);
    hone_str_free(&d.scalars);
    hone_str_free(&d.launches);
    hone_arena_free(d.a);
    return c;
}
