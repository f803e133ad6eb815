// Grammar of buffers, scalars, types and initialisers: `in A float[M][K] ~ normal(0,1)`, `scalar alpha float = 0.5`. One buffer
// per line. Whether names exist and an initialiser suits its type is checked in check.c.
#include "task/internal.h"
#include <string.h>

static const init_desc inits[] = {
    {"normal", HONE_INIT_NORMAL, 2, 2, true, false, "normal(mean, deviation)"},
    {"uniform", HONE_INIT_UNIFORM, 2, 2, true, false, "uniform(lo, hi): lo <= x < hi"},
    {"int", HONE_INIT_INT, 2, 2, true, true, "int(lo, hi): whole numbers, both ends included"},
    {"index", HONE_INIT_INDEX, 1, 1, false, true, "index(n): 0 <= x < n"},
    {"permutation", HONE_INIT_PERMUTATION, 0, 0, false, true, "permutation: each of 0 .. elements-1 once"},
    {"zipf", HONE_INIT_ZIPF, 2, 2, false, true, "zipf(s, n): 0 <= x < n, small ones far more often"},
    {"sorted", HONE_INIT_SORTED, 0, 2, true, true, "sorted or sorted(lo, hi): ascending"},
    {"one_hot", HONE_INIT_ONE_HOT, 1, 1, true, true, "one_hot(n): one 1 in every n elements"},
    {"sparse", HONE_INIT_SPARSE, 1, 1, true, true, "sparse(p): zero with probability p"},
    {"iota", HONE_INIT_IOTA, 0, 0, true, true, "iota: 0, 1, 2 …"},
    {"const", HONE_INIT_CONST, 1, 1, true, true, "const(v)"},
    {"csr", HONE_INIT_CSR, 2, 2, false, true, "csr(columns, mean_row): row pointers"},
    {"hash32", HONE_INIT_HASH32, 0, 0, false, true, "hash32: MurmurHash3 finaliser of the index"},
    {"zeros", HONE_INIT_ZEROS, 0, 0, true, true, "zeros"},
};

const init_desc *init_find(const char *name) {
    for (size_t i = 0; i < HONE_COUNT(inits); i++)
        if (strcmp(inits[i].name, name) == 0)
            return &inits[i];
    return NULL;
}

const init_desc *init_of(hone_init_kind kind) {
    for (size_t i = 0; i < HONE_COUNT(inits); i++)
        if (inits[i].kind == kind)
            return &inits[i];
    return NULL;
}

const init_desc *init_table(size_t *n) {
    *n = HONE_COUNT(inits);
    return inits;
}

static const char type_hint[] =
    "types: float double half bfloat16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool fp8_e4m3 fp8_e5m2";

// A type of one or more words ("unsigned int"); stops before [ = ~ or the end.
bool parse_type(parser *p, hone_dtype *out) {
    hone_tok at = *tok_now(p);
    hone_str b;
    hone_str_init(&b, 128);
    size_t words = 0;
    while (tok_now(p)->kind == HONE_TOK_IDENT) {
        hone_span s = hone_tok_span(&p->line, p->i++);
        hone_str_addf(&b, "%s%.*s", words++ ? " " : "", (int)(s.n > 100 ? 100 : s.n), s.s);
    }
    bool ok = words && !b.failed && dtype_from_task(b.s, out);
    if (!words) {
        task_error(p, &at, type_hint,
                   "expected a type");
    } else if (!ok) {
        name_list known = {0};
        for (size_t i = 0; i < HONE_DTYPE_COUNT; i++)
            names_add(&known, hone_dtype_name((hone_dtype)i));
        const char *hint = task_suggest(p, b.s, &known);
        const hone_tok *last = &p->line.v[p->i - 1];
        at.len = last->at + last->len - at.at;
        task_error(p, &at,
                   hint ? hint : type_hint,
                   "unknown type '%s'", b.failed ? "…" : b.s);
    }
    hone_str_free(&b);
    return ok;
}

static bool parse_dims(parser *p, hone_arg *a) {
    a->dims = task_alloc(p, MAX_DIMS, sizeof *a->dims);
    if (!a->dims)
        return false;
    if (!tok_at(p, "[")) {
        task_error(p, tok_now(p), "a single element is [1]; a value that the kernel takes by value is a 'scalar'",
                   "expected '[' and the extent of '%s'",
                   a->name);
        return false;
    }
    while (tok_at(p, "[")) {
        if (a->n_dims == MAX_DIMS) {
            task_error(p, tok_now(p), NULL, "'%s' has more than %d dimensions", a->name, MAX_DIMS);
            return false;
        }
        p->i++;
        hone_expr *x = parse_expr(p);
        if (!x || !tok_expect(p, "]", "after the extent"))
            return false;
        a->dims[a->n_dims++] = x;
    }
    return true;
}

static bool unknown_init(parser *p, const char *name, const hone_tok *at) {
    name_list known = {0};
    for (size_t i = 0; i < HONE_COUNT(inits); i++)
        names_add(&known, inits[i].name);
    const char *hint = task_suggest(p, name, &known);
    task_error(p, at,
               hint ? hint : "initialisers: normal uniform int index permutation zipf sorted one_hot sparse iota const csr hash32 zeros",
               "unknown initialiser '%s'", name);
    return false;
}

static bool parse_init(parser *p, hone_arg *a) {
    const char *name;
    hone_tok at;
    if (!tok_ident(p, "an initialiser", &name, &at))
        return false;
    const init_desc *d = init_find(name);
    if (!d)
        return unknown_init(p, name, &at);
    unsigned n = 0;
    if (tok_take(p, "(") && !tok_take(p, ")")) {
        do {
            hone_expr *x = parse_expr(p);
            if (!x)
                return false;
            if (n < 2)
                a->init.p[n] = x;
            n++;
        } while (tok_take(p, ","));
        if (!tok_expect(p, ")", "after the initialiser"))
            return false;
    }
    bool half = d->min_p == 0 && d->max_p == 2 && n == 1;   // sorted takes none or both
    if (n < d->min_p || n > d->max_p || half) {
        task_error(p, &at, d->help, "initialiser '%s' with %u parameter%s", name, n, n == 1 ? "" : "s");
        return false;
    }
    bool is_float = hone_dtype_is_float(a->type);
    if (is_float ? !d->floats : !d->integers) {
        task_error(p, &at,
                   is_float ? "for floating types there are normal, uniform, int, sparse …"
                            : "for integer types there are int, index, zipf, permutation …",
                   "initialiser '%s' does not suit %s '%s'", name, hone_dtype_name(a->type), a->name);
        return false;
    }
    a->init.kind = d->kind;
    a->init.n_p = n;
    return true;
}

static bool add_arg(parser *p, hone_arg *a, const hone_tok *at) {
    if (p->args.n == MAX_BUFFERS) {
        task_error(p, at, NULL, "more than %d buffers and scalars", MAX_BUFFERS);
        return false;
    }
    bool ok = hone_vec_push(&p->args, a) && hone_vec_push(&p->arg_at, *at);
    p->nomem |= !ok;
    return ok;
}

// "float x[N]", in the order of a C declaration.
static bool type_before_name(parser *p, const hone_arg *a, const hone_tok *at) {
    hone_dtype type;
    const hone_tok *t = tok_now(p);
    const char *next = t->kind == HONE_TOK_IDENT && dtype_from_task(a->name, &type) ? tok_text(p) : NULL;
    if (!next || dtype_from_task(next, &type))
        return false;
    task_error(p, at, hone_arena_printf(p->a, "write '%s %s%s'", next, a->name, a->role == HONE_SCALAR ? " = …" : "[…]"),
               "the name of a %s comes before its type", a->role == HONE_SCALAR ? "scalar" : "buffer");
    return true;
}

bool parse_buffer(parser *p, hone_role role) {
    hone_tok at;
    hone_arg *a = task_alloc(p, 1, sizeof *a);
    if (!a || !tok_ident(p, "a buffer's name", &a->name, &at))
        return false;
    a->role = role;
    a->line = at.line;
    if (type_before_name(p, a, &at) || !parse_type(p, &a->type) || !parse_dims(p, a))
        return false;
    hone_tok word = *tok_now(p);
    if (tok_take(p, "unordered")) {
        if (role != HONE_OUT && role != HONE_INOUT) {
            task_error(p, &word, "only results are compared: 'out' and 'inout' buffers", "'%s' is never compared", a->name);
            return false;
        }
        a->unordered = true;
    }
    hone_tok tilde = *tok_now(p);
    if (tok_take(p, "~")) {
        if (role == HONE_OUT || role == HONE_SCRATCH) {
            task_error(p, &tilde, "it is filled with poison before every run; a buffer that is also read is 'inout'",
                       "'%s' takes no initialiser", a->name);
            return false;
        }
        if (!parse_init(p, a))
            return false;
    }
    return add_arg(p, a, &at);
}

bool parse_scalar(parser *p) {
    hone_tok at;
    hone_arg *a = task_alloc(p, 1, sizeof *a);
    if (!a || !tok_ident(p, "a scalar's name", &a->name, &at))
        return false;
    a->role = HONE_SCALAR;
    a->line = at.line;
    if (type_before_name(p, a, &at) || !parse_type(p, &a->type) || !tok_expect(p, "=", "and the scalar's value") ||
        !(a->value = parse_expr(p)))
        return false;
    return add_arg(p, a, &at);
}
