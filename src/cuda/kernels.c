// Kernels in a token array: every `__global__` function with its name, parameters, launch bounds and token ranges. Signatures are
// read as text, without knowing what typedefs and macros mean. Sits on lex.c; task/ checks launch lines against it.
#include "cuda/lex.h"
#include <string.h>

typedef struct finder {
    hone_arena *a;
    const hone_tokens *t;
    hone_err *e;
} finder;

static bool is(const finder *f, size_t i, const char *s) { return hone_tok_is(f->t, i, s); }
static bool is_id(const finder *f, size_t i) { return i < f->t->n && f->t->v[i].kind == HONE_TOK_IDENT; }
static hone_code nomem(const finder *f) { return hone_fail(f->e, HONE_E_NOMEM, 0, "out of memory reading kernels"); }

static bool in_list(const finder *f, size_t i, const char *const *list) {
    for (; *list; list++)
        if (is(f, i, *list))
            return true;
    return false;
}

// First token of the declaration that holds token i: after the previous ; { } or directive.
static size_t declaration_start(const finder *f, size_t i) {
    while (i > 0 && f->t->v[i - 1].kind != HONE_TOK_DIRECTIVE && !is(f, i - 1, ";") && !is(f, i - 1, "{") && !is(f, i - 1, "}"))
        i--;
    return i;
}

static bool opens_extern_c(const finder *f, size_t brace) {
    return brace >= 2 && is(f, brace, "{") && is(f, brace - 1, "\"C\"") && is(f, brace - 2, "extern");
}

// Whether token i lies inside an extern "C" { … } block.
static bool inside_extern_c(const finder *f, size_t i) {
    for (size_t b = 2; b < i; b++)
        if (opens_extern_c(f, b) && f->t->v[b].match > i)
            return true;
    return false;
}

// Index after a balanced <…> that starts at i (a "<"), or i when it never ends.
static size_t skip_angles(const finder *f, size_t i) {
    size_t depth = 0;
    for (size_t k = i; k < f->t->n; k++) {
        if (f->t->v[k].match > k)
            k = f->t->v[k].match;
        else if (is(f, k, "<"))
            depth++;
        else if (is(f, k, ">") || is(f, k, ">>") || is(f, k, ">>>"))
            depth -= f->t->v[k].len < depth ? f->t->v[k].len : depth;
        else if (is(f, k, ";") || is(f, k, "{"))
            return i;
        if (depth == 0)
            return k + 1;
    }
    return i;
}

static uint32_t literal_u32(const finder *f, size_t first, size_t last) {
    uint64_t v = 0;
    if (first != last || f->t->v[first].kind != HONE_TOK_NUMBER)
        return 0;
    hone_span s = hone_tok_span(f->t, first);
    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] < '0' || s.s[i] > '9' || v > 100000)
            return 0;
        v = v * 10 + (uint64_t)(s.s[i] - '0');
    }
    return (uint32_t)v;
}

// __launch_bounds__(threads[, blocks]): literals only, an expression counts as absent.
static void read_bounds(const finder *f, size_t lparen, hone_kernel *k) {
    size_t rparen = f->t->v[lparen].match, start = lparen + 1, which = 0;
    for (size_t i = start; i <= rparen && which < 2; i++)
        if (i == rparen || is(f, i, ",")) {
            if (i > start)
                k->launch_bounds[which] = literal_u32(f, start, i - 1);
            which++;
            start = i + 1;
        }
}

// From the token after __global__ to the name: attributes and the return type are passed over.
static hone_code find_name(const finder *f, hone_kernel *k) {
    static const char *const attributes[] = {"__launch_bounds__", "__attribute__", "__cluster_dims__", "__maxnreg__", "__block_size__",
                                             "__align__",
                                             "alignas",           "__declspec",    "noexcept",         NULL};
    for (size_t i = k->tok_global + 1; i < f->t->n;) {
        bool call = is(f, i + 1, "(") && f->t->v[i + 1].match;
        if (is_id(f, i) && in_list(f, i, attributes) && call) {
            if (is(f, i, "__launch_bounds__"))
                read_bounds(f, i + 1, k);
            i = f->t->v[i + 1].match + 1;
        } else if (is(f, i, "[") && f->t->v[i].match) {
            i = f->t->v[i].match + 1;
        } else if (is_id(f, i)) {
            size_t after = is(f, i + 1, "<") ? skip_angles(f, i + 1) : i + 1;
            if (is(f, after, "(") && f->t->v[after].match) {
                k->name = hone_arena_strndup(f->a, hone_tok_span(f->t, i).s, f->t->v[i].len);
                k->tok_lparen = after;
                k->tok_rparen = f->t->v[after].match;
                k->line = f->t->v[i].line;
                return k->name ? HONE_OK : nomem(f);
            }
            i = after;
        } else if (is(f, i, "::") || is(f, i, "*") || is(f, i, "&")) {
            i++;
        } else {
            break;
        }
    }
    const hone_tok *g = &f->t->v[k->tok_global];
    return hone_fail(f->e, HONE_E_PARSE, 0, "%u:%u: no kernel name and parameter list after '__global__'", g->line, g->col);
}

static bool is_restrict_word(const finder *f, size_t i) {
    static const char *const words[] = {"__restrict__", "__restrict", "restrict", NULL};
    return in_list(f, i, words);
}

// Words of a parameter that are not part of its type.
static bool is_dropped(const finder *f, size_t i) { return is_restrict_word(f, i) || is(f, i, "__grid_constant__") || is(f, i,
                                                                                                                         "register"); }

static bool is_type_word(const finder *f, size_t i) {
    static const char *const words[] = {"void", "bool", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "const",
                                        "volatile", NULL};
    return in_list(f, i, words);
}

// Text of tokens first..last-1 without `const` when so asked and without dropped words; one space between, none around "::".
static const char *join(const finder *f, size_t first, size_t last, bool without_const, const char *tail) {
    hone_str b;
    hone_str_init(&b, 4096);
    for (size_t i = first; i < last; i++) {
        if (is_dropped(f, i) || (without_const && is(f, i, "const")))
            continue;
        bool glue = !b.len || is(f, i, "::") || (b.len >= 2 && memcmp(b.s + b.len - 2, "::", 2) == 0);
        if (!glue)
            hone_str_addc(&b, ' ');
        hone_span s = hone_tok_span(f->t, i);
        hone_str_addn(&b, s.s, s.n);
    }
    hone_str_add(&b, tail);
    const char *out = b.failed ? NULL : hone_arena_strndup(f->a, b.s, b.len);
    hone_str_free(&b);
    return out;
}

// The last "*" of the type, or `last` when there is none.
static size_t last_star(const finder *f, size_t first, size_t last) {
    size_t star = last;
    for (size_t i = first; i < last; i++)
        if (is(f, i, "*"))
            star = i;
    return star;
}

static bool has_const(const finder *f, size_t first, size_t last) {
    for (size_t i = first; i < last; i++)
        if (is(f, i, "const"))
            return true;
    return false;
}

// One parameter, tokens first..end-1 (its default value already cut off).
static hone_code read_param(const finder *f, size_t first, size_t end, hone_param *p) {
    size_t type_end = end;
    bool array = false;
    p->tok_first = first;
    p->tok_last = end - 1;
    while (type_end > first && is(f, type_end - 1, "]") && f->t->v[type_end - 1].match > first) {
        type_end = f->t->v[type_end - 1].match;
        array = true;
    }
    bool named = type_end > first + 1 && is_id(f, type_end - 1) && !is_type_word(f, type_end - 1) && !is_dropped(f, type_end - 1) &&
                 !is(f, type_end - 2, "::");
    p->name = named ? hone_arena_strndup(f->a, hone_tok_span(f->t, type_end - 1).s, f->t->v[type_end - 1].len) : "";
    if (named)
        type_end--;
    for (size_t i = first; i < type_end; i++)
        p->is_restrict |= is_restrict_word(f, i);
    size_t star = last_star(f, first, type_end), elem_end = array ? type_end : star;
    p->is_pointer = array || star < type_end;
    if (p->is_pointer) {
        p->elem = join(f, first, elem_end, true, "");
        p->is_const = has_const(f, first, elem_end);
        p->type = join(f, first, elem_end, false, " *");
    } else {
        p->type = join(f, first, type_end, true, "");
    }
    return p->name && p->type && (p->elem || !p->is_pointer) ? HONE_OK : nomem(f);
}

// Index of the parameter's end (a top-level comma or the closing parenthesis) and of its "=", if any.
static size_t param_end(const finder *f, size_t i, size_t rparen, size_t *cut) {
    size_t angles = 0;
    for (*cut = 0; i < rparen; i++) {
        if (f->t->v[i].match > i)
            i = f->t->v[i].match;
        else if (is(f, i, ",") && !angles)
            break;
        else if (is(f, i, "=") && !*cut)
            *cut = i;
        else if (is(f, i, "<") && !*cut)
            angles++;
        else if ((is(f, i, ">") || is(f, i, ">>")) && !*cut)
            angles -= f->t->v[i].len < angles ? f->t->v[i].len : angles;
    }
    if (!*cut)
        *cut = i;
    return i;
}

static hone_code read_params(const finder *f, hone_kernel *k) {
    HONE_VEC(hone_param) v = {0};
    hone_code c = HONE_OK;
    bool none = k->tok_rparen == k->tok_lparen + 1 || (k->tok_rparen == k->tok_lparen + 2 && is(f, k->tok_lparen + 1, "void"));
    for (size_t i = k->tok_lparen + 1, cut; !none && i < k->tok_rparen && c == HONE_OK; i++) {
        size_t end = param_end(f, i, k->tok_rparen, &cut);
        hone_param p = {0};
        if (cut == i) {
            const hone_tok *at = &f->t->v[i];
            c = hone_fail(f->e, HONE_E_PARSE, 0, "%u:%u: a parameter of kernel '%s' is missing", at->line, at->col, k->name);
        } else if ((c = read_param(f, i, cut, &p)) == HONE_OK && !hone_vec_push(&v, p)) {
            c = nomem(f);
        }
        i = end;
    }
    if (c == HONE_OK && v.n) {
        k->params = hone_arena_array(f->a, v.n, sizeof *v.v);
        k->n_params = v.n;
        if (k->params)
            memcpy(k->params, v.v, v.n * sizeof *v.v);
        else
            c = nomem(f);
    }
    hone_vec_free(&v);
    return c;
}

static hone_code read_kernel(const finder *f, size_t global, hone_kernel *k) {
    k->tok_global = global;
    k->tok_first = declaration_start(f, global);
    HONE_TRY(find_name(f, k));
    for (size_t i = k->tok_first; i < k->tok_lparen; i++) {
        k->is_template |= is(f, i, "template");
        k->extern_c |= is(f, i, "extern") && is(f, i + 1, "\"C\"");
        if (i < global && is(f, i, "__launch_bounds__") && is(f, i + 1, "(") && f->t->v[i + 1].match)
            read_bounds(f, i + 1, k);
    }
    k->extern_c |= inside_extern_c(f, global);
    HONE_TRY(read_params(f, k));
    size_t after = k->tok_rparen + 1;
    while (is_id(f, after))   // noexcept and macros between ) and {
        after++;
    if (is(f, after, "{") && f->t->v[after].match) {
        k->tok_lbrace = after;
        k->tok_rbrace = f->t->v[after].match;
    }
    return HONE_OK;
}

hone_code hone_find_kernels(hone_arena *a, const hone_tokens *t, hone_kernel **out, size_t *n, hone_err *e) {
    finder f = {a, t, e};
    HONE_VEC(hone_kernel) v = {0};
    hone_code c = HONE_OK;
    for (size_t i = 0; i < t->n && c == HONE_OK; i++) {
        if (t->v[i].kind != HONE_TOK_IDENT || !is(&f, i, "__global__"))
            continue;
        hone_kernel k = {0};
        c = read_kernel(&f, i, &k);
        if (c == HONE_OK && !hone_vec_push(&v, k))
            c = nomem(&f);
        if (c == HONE_OK)
            i = k.tok_rbrace ? k.tok_rbrace : k.tok_rparen;
    }
    *out = NULL;
    *n = 0;
    if (c == HONE_OK && v.n) {
        *out = hone_arena_array(a, v.n, sizeof *v.v);
        if (*out) {
            memcpy(*out, v.v, v.n * sizeof *v.v);
            *n = v.n;
        } else {
            c = nomem(&f);
        }
    }
    hone_vec_free(&v);
    return c;
}
