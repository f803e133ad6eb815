// Finds the places of a task's kernels where a small change makes them wrong. It reads tokens, not types: a change may not compile, or change
// nothing, and whoever runs it finds out. Words that are exchanged for others are in mutants.def; here are the shapes that need more than a word.
#include "check/mutate.h"
#include <string.h>

typedef enum place { ANY, BINARY, UNARY, COMPARE, LOOP, BODY, MEMBER, CALL } place;
typedef struct word { hone_mutation kind; place where; const char *from, *to; } word;
static const word words[] = {
#define WORD(kind, where, from, to) {HONE_MUTATION_##kind, where, from, to},
#include "check/mutants.def"
};
static const struct { const char *name, *text, *advice; } kinds[] = {
#define MUTATION(name, kind, text, advice) {kind, text, advice},
#include "check/mutants.def"
};
const char *hone_mutation_name(hone_mutation m) { return kinds[m].name; }
const char *hone_mutation_text(hone_mutation m) { return kinds[m].text; }
const char *hone_mutation_advice(hone_mutation m) { return kinds[m].advice; }

typedef HONE_VEC(hone_mutant) mutants;
typedef struct finder {
    const hone_task *task;
    const hone_tokens *t;
    hone_arena *arena;
    mutants *out;
    bool *in_loop;           // by token: inside the brackets of a `for` or `while`
    bool nomem;
} finder;

static bool is(const finder *f, size_t i, const char *s) { return hone_tok_is(f->t, i, s); }

static bool is_one_of(const finder *f, size_t i, const char *const *v, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (is(f, i, v[k]))
            return true;
    return false;
}

// Replaces tokens first..last. to is the arena's or static.
static void add(finder *f, hone_mutation kind, size_t first, size_t last, const char *to) {
    const hone_tok *a = &f->t->v[first], *b = &f->t->v[last];
    const hone_mutant m = {kind, a->line, a->at, b->at + b->len - a->at, to};
    f->nomem |= !to || !hone_vec_push(f->out, m);
}

static const char *text_of(const finder *f, size_t first, size_t last, int *n) {
    *n = (int)(f->t->v[last].at + f->t->v[last].len - f->t->v[first].at);
    return f->t->text + f->t->v[first].at;
}

// ---- places

static bool is_type(const finder *f, size_t i) {
    static const char *const types[] = {"float", "double", "int", "unsigned", "char", "short", "long", "const", "half", "__half", "void", "bool", "auto",
                                        "__restrict__", "return", "case", "size_t", "float2", "float4", "int2", "int4", "uint4", "signed"};
    return is_one_of(f, i, types, HONE_COUNT(types));
}

static bool ends_operand(const finder *f, size_t i) {
    const hone_tok_kind k = f->t->v[i].kind;
    return k == HONE_TOK_NUMBER || (k == HONE_TOK_IDENT && !is_type(f, i)) || is(f, i, ")") || is(f, i, "]");
}

static bool starts_operand(const finder *f, size_t i) {
    const hone_tok_kind k = f->t->v[i].kind;
    return k == HONE_TOK_NUMBER || k == HONE_TOK_IDENT || is(f, i, "(") || is(f, i, "-") || is(f, i, "!") || is(f, i, "~");
}

// static_cast<float>(x): its brackets are no comparison
static bool is_cast(const finder *f, size_t i) {
    static const char *const casts[] = {"static_cast", "reinterpret_cast", "const_cast", "template"};
    return is_one_of(f, i - 1, casts, HONE_COUNT(casts)) || (is(f, i, ">") && i >= 3 && is_one_of(f, i - 3, casts, HONE_COUNT(casts)));
}

static bool suits(const finder *f, size_t i, place p) {
    const bool binary = ends_operand(f, i - 1) && starts_operand(f, i + 1);
    switch (p) {
    case ANY: return true;
    case BINARY: return binary;
    case UNARY: return !ends_operand(f, i - 1) && starts_operand(f, i + 1);
    case COMPARE: return binary && !is_cast(f, i);
    case LOOP: return f->in_loop[i];
    case BODY: return !f->in_loop[i];
    case MEMBER: return is(f, i - 1, ".") && f->t->v[i - 2].kind == HONE_TOK_IDENT && (is(f, i - 2, "threadIdx") || is(f, i - 2, "blockIdx"));
    case CALL: return is(f, i + 1, "(");
    }
    return false;
}

static void exchange_words(finder *f, size_t i) {
    for (size_t k = 0; k < HONE_COUNT(words); k++)
        if (is(f, i, words[k].from) && suits(f, i, words[k].where))
            add(f, words[k].kind, i, i, words[k].to);
}

// ---- constants

static bool is_floating(const char *s, int n) {
    const bool hex = n > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    for (int i = 0; i < n && !hex; i++)
        if (s[i] == '.' || s[i] == 'e' || s[i] == 'E')
            return true;
    return false;
}

static void change_number(finder *f, size_t i) {
    int n;
    const char *s = text_of(f, i, i, &n);
    if (f->t->v[i].kind != HONE_TOK_NUMBER)
        return;
    if (is_floating(s, n))
        add(f, HONE_MUTATION_COEFFICIENT, i, i, hone_arena_printf(f->arena, "(%.*s * 1.001f + %s)", n, s, n >= 2 && s[0] == '0' && s[1] == '.' ? "0.0001f" : "0.0f"));
    else
        add(f, HONE_MUTATION_CONSTANT, i, i, hone_arena_printf(f->arena, "(%.*s + 1)", n, s));
}

// ---- expressions and statements

static void change_index(finder *f, size_t i) {
    if (is(f, i, "[") && f->t->v[i].match && ends_operand(f, i - 1) && !is_type(f, i - 2) && !is(f, i - 2, "*"))
        add(f, HONE_MUTATION_INDEX, i, i, "[1 + ");
}

static void exchange_operands(finder *f, size_t i) {
    const hone_tok_kind a = f->t->v[i - 1].kind, b = f->t->v[i + 1].kind;
    const bool simple = (a == HONE_TOK_IDENT || a == HONE_TOK_NUMBER) && (b == HONE_TOK_IDENT || b == HONE_TOK_NUMBER);
    const bool larger = is(f, i - 2, ".") || is(f, i + 2, ".") || is(f, i + 2, "(") || is(f, i + 2, "[") || is(f, i - 2, "/") || is(f, i - 2, "*");
    if (!(is(f, i, "-") || is(f, i, "/")) || !simple || larger || is_type(f, i - 1))
        return;
    int na, nb, no;
    const char *sa = text_of(f, i - 1, i - 1, &na), *sb = text_of(f, i + 1, i + 1, &nb), *so = text_of(f, i, i, &no);
    add(f, HONE_MUTATION_OPERANDS, i - 1, i + 1, hone_arena_printf(f->arena, "%.*s %.*s %.*s", nb, sb, no, so, na, sa));
}

static void force_condition(finder *f, size_t i) {
    if (!is(f, i, "if") || !is(f, i + 1, "(") || !f->t->v[i + 1].match)
        return;
    add(f, HONE_MUTATION_CONDITION, i + 1, f->t->v[i + 1].match, "(true)");
    add(f, HONE_MUTATION_CONDITION, i + 1, f->t->v[i + 1].match, "(false)");
}

static void drop_barrier(finder *f, size_t i) {
    static const char *const barriers[] = {"__syncthreads", "__syncwarp"};
    if (is_one_of(f, i, barriers, HONE_COUNT(barriers)) && is(f, i + 1, "(") && f->t->v[i + 1].match)
        add(f, HONE_MUTATION_BARRIER, i, f->t->v[i + 1].match, "((void)0)");
}

// The `;` that ends the statement with token i, or 0 when a bracket closes first.
static size_t statement_end(const finder *f, size_t i) {
    for (; f->t->v[i].kind != HONE_TOK_EOF && !is(f, i, ";"); i++) {
        if (is(f, i, ")") || is(f, i, "}") || is(f, i, "]"))
            return 0;
        if (f->t->v[i].match > i)
            i = f->t->v[i].match;
    }
    return is(f, i, ";") ? i : 0;
}

// The first token of a statement `x = …;` or `x[…] op= …;` whose operator is token i; 0 when it declares or is no statement of its own.
static size_t statement_start(const finder *f, size_t i) {
    size_t k = i - 1;
    while (is(f, k, "]") && f->t->v[k].match)
        k = f->t->v[k].match - 1;
    if (is(f, k - 1, ".") && f->t->v[k].kind == HONE_TOK_IDENT)
        k -= 2;
    const bool own = is(f, k - 1, ";") || is(f, k - 1, "{") || is(f, k - 1, "}") || is(f, k - 1, ")") || is(f, k - 1, "else");
    return f->t->v[k].kind == HONE_TOK_IDENT && own ? k : 0;
}

// Whether the name of token i is declared as a float, or as a pointer to or an array of them.
static bool is_float_name(const finder *f, size_t i) {
    const hone_span name = hone_tok_span(f->t, i);
    for (size_t k = 1; k < f->t->n; k++) {
        const hone_span s = hone_tok_span(f->t, k);
        if (f->t->v[k].kind != HONE_TOK_IDENT || s.n != name.n || memcmp(s.s, name.s, s.n) != 0)
            continue;
        size_t b = k - 1;
        while (b && (is(f, b, "*") || is(f, b, "__restrict__") || is(f, b, "const")))
            b--;
        if (is(f, b, "float"))
            return true;
        if (is(f, b, ",") && k > i)
            break;
    }
    return false;
}

static const char *const narrow[] = {"0xffff0000u", "0xffffe000u"};   // a fraction of 7 bits, as bfloat16 has, and of 10, as TF32 and half have

static void change_statement(finder *f, size_t i) {
    const bool sum = is(f, i, "+="), set = is(f, i, "=");
    if ((!sum && !set) || f->in_loop[i])
        return;
    const size_t first = statement_start(f, i), end = statement_end(f, i);
    if (!first || !end || end < i + 2)
        return;
    add(f, HONE_MUTATION_DROPPED, first, end, ";");
    if (!is_float_name(f, first))
        return;
    int n, nl;
    const char *value = text_of(f, i + 1, end - 1, &n), *left = text_of(f, first, i - 1, &nl);
    for (size_t k = 0; sum && k < HONE_COUNT(narrow); k++)
        add(f, HONE_MUTATION_NARROW_SUM, first, end,
            hone_arena_printf(f->arena, "%.*s = __uint_as_float(__float_as_uint(%.*s + (%.*s)) & %s);", nl, left, nl, left, n, value, narrow[k]));
    if (!set || !is(f, i - 1, "]"))
        return;
    add(f, HONE_MUTATION_NARROW_RESULT, i + 1, end - 1, hone_arena_printf(f->arena, "__uint_as_float(__float_as_uint(%.*s) & %s)", n, value, narrow[1]));
    add(f, HONE_MUTATION_RANGE_RESULT, i + 1, end - 1, hone_arena_printf(f->arena, "fmaxf(%.*s, 0.0f)", n, value));
    add(f, HONE_MUTATION_RANGE_RESULT, i + 1, end - 1, hone_arena_printf(f->arena, "fminf(%.*s, 1.0f)", n, value));
}

// name[…] that is read
static void change_input(finder *f, size_t i) {
    const size_t close = is(f, i + 1, "[") ? f->t->v[i + 1].match : 0;
    if (f->t->v[i].kind != HONE_TOK_IDENT || !close || is(f, close + 1, "=") || is(f, close + 1, "+=") || is(f, close + 1, "[") || is_type(f, i - 1) ||
        is(f, i - 1, "&") || is(f, i - 1, "*") || !is_float_name(f, i))
        return;
    int n;
    const char *s = text_of(f, i, close, &n);
    add(f, HONE_MUTATION_NARROW_INPUT, i, close, hone_arena_printf(f->arena, "__uint_as_float(__float_as_uint(%.*s) & %s)", n, s, narrow[1]));
    add(f, HONE_MUTATION_RANGE_INPUT, i, close, hone_arena_printf(f->arena, "fmaxf(%.*s, 0.0f)", n, s));
    add(f, HONE_MUTATION_RANGE_INPUT, i, close, hone_arena_printf(f->arena, "fminf(%.*s, 1.0f)", n, s));
}

// ---- the launch: cdiv(n, tile) blocks become n / tile

static void shorten_launches(finder *f) {
    for (size_t i = 0; i < f->t->n; i++) {
        hone_tokens d;
        hone_err e = {0};
        if (!hone_tok_is_pragma(f->t, i) || hone_lex_directive(f->arena, f->t, i, &d, &e) != HONE_OK || !hone_tok_is(&d, 2, "launch"))
            continue;
        finder inner = *f;
        inner.t = &d;
        for (size_t k = 3; k < d.n; k++) {
            const size_t close = hone_tok_is(&d, k, "cdiv") ? d.v[k + 1].match : 0;
            size_t comma = k + 2;
            while (close && comma < close && !hone_tok_is(&d, comma, ","))
                comma += d.v[comma].match > comma ? d.v[comma].match - comma + 1 : 1;
            if (!close || comma >= close)
                continue;
            int na, nb;
            const char *a = text_of(&inner, k + 2, comma - 1, &na), *b = text_of(&inner, comma + 1, close - 1, &nb);
            add(&inner, HONE_MUTATION_TAIL, k, close, hone_arena_printf(f->arena, "max(1, (%.*s) / (%.*s))", na, a, nb, b));
        }
        f->nomem |= inner.nomem;
    }
}

// ---- all

static void find_in_bodies(finder *f) {
    for (size_t i = 2; i + 2 < f->t->n; i++) {
        if (!is(f, i, "{") || f->t->v[i].match <= i)
            continue;
        const size_t end = f->t->v[i].match;
        for (size_t k = i + 1; k < end; k++) {
            if (f->t->v[k].kind == HONE_TOK_DIRECTIVE)
                continue;
            exchange_words(f, k);
            change_number(f, k);
            change_index(f, k);
            exchange_operands(f, k);
            force_condition(f, k);
            drop_barrier(f, k);
            change_statement(f, k);
            change_input(f, k);
        }
        i = end;
    }
}

static void mark_loops(finder *f) {
    for (size_t i = 0; i + 1 < f->t->n; i++)
        if ((is(f, i, "for") || is(f, i, "while")) && is(f, i + 1, "(") && f->t->v[i + 1].match)
            for (size_t k = i + 2; k < f->t->v[i + 1].match; k++)
                f->in_loop[k] = true;
}

// Shuffled within each kind, then one of each kind in turn.
static hone_code put_in_order(const mutants *all, uint64_t seed, hone_arena *a, hone_mutant **out, hone_err *e) {
    hone_mutant *v = hone_arena_array(a, all->n + 1, sizeof *v), *of_kind = hone_arena_array(a, all->n + 1, sizeof *v);
    size_t from[HONE_MUTATION_COUNT + 1] = {0}, n = 0, done = 0;
    if (!v || !of_kind)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for mutants");
    for (int k = 0; k < HONE_MUTATION_COUNT; k++) {
        from[k] = n;
        for (size_t i = 0; i < all->n; i++)
            if ((int)all->v[i].kind == k)
                of_kind[n++] = all->v[i];
        for (size_t i = n; i > from[k] + 1; i--) {
            uint32_t r[4];
            hone_philox(seed, (uint64_t)k, i, r);
            const size_t other = from[k] + r[0] % (i - from[k]);
            const hone_mutant x = of_kind[i - 1];
            of_kind[i - 1] = of_kind[other];
            of_kind[other] = x;
        }
    }
    from[HONE_MUTATION_COUNT] = n;
    for (size_t turn = 0; done < n; turn++)
        for (int k = 0; k < HONE_MUTATION_COUNT; k++)
            if (from[k] + turn < from[k + 1])
                v[done++] = of_kind[from[k] + turn];
    *out = v;
    return HONE_OK;
}

hone_code hone_mutants_of(const hone_task *t, uint64_t seed, hone_arena *a, hone_mutant **out, size_t *n, hone_err *e) {
    mutants all = {0};
    finder f = {.task = t, .t = &t->tokens, .arena = a, .out = &all, .in_loop = hone_arena_array(a, t->tokens.n + 1, sizeof(bool))};
    *n = 0;
    if (!f.in_loop)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for mutants");
    mark_loops(&f);
    find_in_bodies(&f);
    shorten_launches(&f);
    hone_code c = f.nomem ? hone_fail(e, HONE_E_NOMEM, 0, "out of memory for mutants") : put_in_order(&all, seed, a, out, e);
    *n = c == HONE_OK ? all.n : 0;
    hone_vec_free(&all);
    return c;
}

hone_code hone_mutant_apply(const hone_task *t, const hone_mutant *m, char **out, size_t *len, hone_err *e) {
    hone_str s;
    hone_str_init(&s, 2 * (size_t)HONE_SOURCE_MAX);
    hone_str_addn(&s, t->text, m->at);
    hone_str_add(&s, m->to);
    hone_str_addn(&s, t->text + m->at + m->len, t->len - m->at - m->len);
    hone_code c = hone_str_check(&s, "a mutant", e);
    *len = s.len;
    if (c == HONE_OK && !(*out = hone_str_take(&s)))
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a mutant");
    hone_str_free(&s);
    return c;
}
