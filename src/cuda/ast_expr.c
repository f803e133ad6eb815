// cuda/ast_expr: expressions of CUDA C++ by precedence climbing: all C operators, calls, members, indexing, C and named casts,
// template calls. Lambdas, new, sizeof of types, brace construction are not understood: `bad` is set and the statement becomes opaque.
#include "cuda/ast_internal.h"
#include <string.h>

bool ast_tok(const ast_parser *p, size_t i, const char *s)
{
    return i < p->end && p->t->text[p->t->v[i].at] == s[0] && hone_tok_is(p->t, i, s);   // most tokens differ in the first byte
}

bool ast_ident(const ast_parser *p, size_t i)
{
    return i < p->end && p->t->v[i].kind == HONE_TOK_IDENT;
}

static bool in_list(hone_span s, const char *const *list, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (hone_span_eq(s, list[k]))
            return true;
    return false;
}

static const char *const type_words[] = {"void",  "bool",   "char",   "short",    "int",  "long",
                                         "float", "double", "signed", "unsigned", "auto", "__int64"};
static const char *const qualifiers[] = {"const",        "volatile",   "static",       "__shared__", "extern",
                                         "register",     "constexpr",  "__restrict__", "__restrict", "restrict",
                                         "__constant__", "__device__", "inline",       "struct",     "typename"};
static const char *const keywords[] = {"return",  "if",       "else",    "for",   "while",  "do",      "break",    "continue",
                                       "switch",  "case",     "default", "goto",  "sizeof", "new",     "delete",   "asm",
                                       "__asm__", "using",    "typedef", "true",  "false",  "nullptr", "operator", "union",
                                       "enum",    "template", "this",    "throw", "try"};
static const char *const type_names[] = {"size_t",        "half",           "half2",       "__half",       "__half2",
                                         "__nv_bfloat16", "__nv_bfloat162", "nv_bfloat16", "nv_bfloat162", "uint",
                                         "uchar",         "ushort",         "ulong",       "dim3",         "cudaTextureObject_t"};

static bool known_type_name(hone_span s)
{
    if (in_list(s, type_names, HONE_COUNT(type_names)) || (s.n > 2 && !memcmp(s.s + s.n - 2, "_t", 2)))
        return true;
    static const char *const bases[] = {"char", "uchar", "short",    "ushort",    "int",   "uint",
                                        "long", "ulong", "longlong", "ulonglong", "float", "double"};
    if (s.n < 4 || s.s[s.n - 1] < '1' || s.s[s.n - 1] > '4')
        return false;
    hone_span base = {s.s, s.n - 1};
    return in_list(base, bases, HONE_COUNT(bases));
}

static bool is_keyword(const ast_parser *p, size_t i)
{
    return in_list(hone_tok_span(p->t, i), keywords, HONE_COUNT(keywords));
}

// name<…> with only names, numbers, '*', ',', '::' inside: one past the '>', or i.
static size_t template_args_end(const ast_parser *p, size_t i)
{
    if (!ast_tok(p, i, "<"))
        return i;
    unsigned depth = 1;
    for (size_t j = i + 1; j < p->end && j < i + 24; j++) {
        unsigned closes = ast_tok(p, j, ">") ? 1 : ast_tok(p, j, ">>") ? 2 : 0;
        if (closes >= depth)
            return closes == depth ? j + 1 : i;
        depth = depth - closes + ast_tok(p, j, "<");
        bool fine = closes || ast_tok(p, j, "<") || ast_ident(p, j) || p->t->v[j].kind == HONE_TOK_NUMBER || ast_tok(p, j, "*") ||
                    ast_tok(p, j, ",") || ast_tok(p, j, "::") || ast_tok(p, j, "&");
        if (!fine)
            return i;
    }
    return i;
}

static size_t qualified_end(const ast_parser *p, size_t i)
{
    while (ast_tok(p, i + 1, "::") && ast_ident(p, i + 2))
        i += 2;
    return i + 1;
}

size_t ast_type_end(const ast_parser *p, size_t i, bool *certain)
{
    size_t start = i;
    bool core = false, words = false;
    *certain = false;
    while (ast_ident(p, i)) {
        hone_span s = hone_tok_span(p->t, i);
        if (in_list(s, qualifiers, HONE_COUNT(qualifiers))) {
            i++;
        } else if ((hone_span_eq(s, "alignas") || hone_span_eq(s, "__align__")) && ast_tok(p, i + 1, "(")) {
            i = p->t->v[i + 1].match + 1;
        } else if ((!core || words) && in_list(s, type_words, HONE_COUNT(type_words))) {
            core = words = *certain = true;
            i++;
        } else if (!core && !is_keyword(p, i)) {
            *certain = known_type_name(s);
            core = true;
            i = qualified_end(p, i);
            i = template_args_end(p, i);
        } else {
            break;
        }
    }
    return core ? i : start;
}

hone_node *ast_node(ast_parser *p, hone_node_kind kind, size_t first, size_t last, hone_node *const *kids, size_t n)
{
    hone_node *x = hone_arena_alloc(p->arena, sizeof *x);
    hone_node **v = n ? hone_arena_array(p->arena, n, sizeof *v) : NULL;
    if (!x || (n && !v)) {
        p->oom = p->bad = true;
        p->spare = (hone_node){.kind = HONE_N_OPAQUE, .op = "", .name = "", .kid = p->spare_kid};
        return &p->spare;
    }
    *x = (hone_node){.kind = kind, .first = first, .last = last, .op = "", .name = "", .kid = v, .n_kids = n};
    for (size_t k = 0; k < n; k++) {
        v[k] = kids[k];
        if (kids[k])
            kids[k]->parent = x;
    }
    return x;
}

const char *ast_text(ast_parser *p, size_t first, size_t last)
{
    hone_str s;
    hone_str_init(&s, 1 << 16);
    for (size_t i = first; i <= last && i < p->t->n; i++) {
        hone_span w = hone_tok_span(p->t, i);
        if (i > first && p->t->v[i].space_before)
            hone_str_addc(&s, ' ');
        hone_str_addn(&s, w.s, w.n);
    }
    const char *out = s.failed ? NULL : hone_arena_strndup(p->arena, s.s, s.len);
    hone_str_free(&s);
    if (!out)
        p->oom = p->bad = true;
    return out ? out : "";
}

static hone_node *bad(ast_parser *p)
{
    p->bad = true;
    size_t at = p->i < p->t->n ? p->i : p->t->n - 1;
    return ast_node(p, HONE_N_OPAQUE, at, at, NULL, 0);
}

static hone_node *unary(ast_parser *p);

static hone_node *call_args(ast_parser *p, hone_node *callee, size_t first)
{
    size_t close = p->t->v[p->i].match;
    ast_kids kids = {0};
    if (!hone_vec_push(&kids, callee))
        p->oom = true;
    p->i++;
    while (!p->bad && p->i < close) {
        if (!hone_vec_push(&kids, ast_assignment(p)))
            p->oom = true;
        if (p->i < close && !ast_tok(p, p->i, ","))
            p->bad = true;
        else if (p->i < close)
            p->i++;
    }
    hone_node *x = ast_node(p, HONE_N_CALL, first, close, kids.v, kids.n);
    hone_vec_free(&kids);
    if (callee->kind == HONE_N_IDENT)
        x->name = callee->name;
    p->i = close + 1;
    return x;
}

static bool cast_type(const ast_parser *p, size_t open)
{
    bool certain;
    size_t close = p->t->v[open].match, i = ast_type_end(p, open + 1, &certain);
    if (i == open + 1)
        return false;
    bool pointer = false;
    for (; ast_tok(p, i, "*") || ast_tok(p, i, "&") || ast_tok(p, i, "const") || ast_tok(p, i, "__restrict__"); i++)
        pointer = true;
    if (i != close)
        return false;
    bool operand = ast_ident(p, close + 1) || (close + 1 < p->end && p->t->v[close + 1].kind == HONE_TOK_NUMBER);
    return certain || pointer || operand;
}

static bool named_cast(const ast_parser *p, size_t i)
{
    return ast_tok(p, i, "reinterpret_cast") || ast_tok(p, i, "static_cast") || ast_tok(p, i, "const_cast");
}

static hone_node *cast_node(ast_parser *p, size_t first, size_t type_first, size_t type_last, hone_node *operand)
{
    hone_node *x = ast_node(p, HONE_N_CAST, first, p->i - 1, &operand, 1);
    x->name = ast_text(p, type_first, type_last);
    return x;
}

static hone_node *primary(ast_parser *p)
{
    size_t first = p->i;
    if (first >= p->end)
        return bad(p);
    hone_tok_kind kind = p->t->v[first].kind;
    if (kind == HONE_TOK_NUMBER || kind == HONE_TOK_STRING || kind == HONE_TOK_CHAR || ast_tok(p, first, "true") ||
        ast_tok(p, first, "false") || ast_tok(p, first, "nullptr")) {
        p->i++;
        hone_node *x = ast_node(p, HONE_N_LITERAL, first, first, NULL, 0);
        x->name = ast_text(p, first, first);
        return x;
    }
    if (ast_tok(p, first, "(")) {
        size_t close = p->t->v[first].match;
        p->i++;
        hone_node *in = ast_expr(p);
        if (p->i != close)
            return bad(p);
        p->i = close + 1;
        return ast_node(p, HONE_N_PAREN, first, close, &in, 1);
    }
    if (named_cast(p, first)) {
        size_t open = template_args_end(p, first + 1);
        if (!ast_tok(p, open, "("))
            return bad(p);
        p->i = open + 1;
        hone_node *in = ast_expr(p);
        if (p->i != p->t->v[open].match)
            return bad(p);
        p->i++;
        return cast_node(p, first, first + 2, open - 2, in);
    }
    if (kind != HONE_TOK_IDENT || is_keyword(p, first))
        return bad(p);
    p->i = qualified_end(p, first);
    size_t after = template_args_end(p, p->i);
    if (after > p->i && ast_tok(p, after, "("))
        p->i = after;
    hone_node *x = ast_node(p, HONE_N_IDENT, first, p->i - 1, NULL, 0);
    x->name = ast_text(p, first, p->i - 1);
    return x;
}

static hone_node *postfix(ast_parser *p)
{
    size_t first = p->i;
    hone_node *x = primary(p);
    while (!p->bad && p->i < p->end) {
        if (ast_tok(p, p->i, "(")) {
            x = call_args(p, x, first);
        } else if (ast_tok(p, p->i, "[")) {
            size_t close = p->t->v[p->i].match;
            p->i++;
            hone_node *kids[2] = {x, ast_expr(p)};
            if (p->i != close)
                return bad(p);
            p->i++;
            x = ast_node(p, HONE_N_INDEX, first, close, kids, 2);
        } else if ((ast_tok(p, p->i, ".") || ast_tok(p, p->i, "->")) && ast_ident(p, p->i + 1)) {
            hone_node *m = ast_node(p, HONE_N_MEMBER, first, p->i + 1, &x, 1);
            m->op = ast_text(p, p->i, p->i);
            m->name = ast_text(p, p->i + 1, p->i + 1);
            p->i += 2;
            x = m;
        } else if (ast_tok(p, p->i, "++") || ast_tok(p, p->i, "--")) {
            hone_node *m = ast_node(p, HONE_N_POSTFIX, first, p->i, &x, 1);
            m->op = ast_text(p, p->i, p->i);
            p->i++;
            x = m;
        } else {
            break;
        }
    }
    return x;
}

static hone_node *unary(ast_parser *p)
{
    static const char *const prefix[] = {"-", "+", "!", "~", "*", "&", "++", "--"};
    size_t first = p->i;
    if (++p->depth > HONE_AST_DEPTH) {
        p->depth--;
        return bad(p);
    }
    hone_node *x = NULL;
    for (size_t k = 0; k < HONE_COUNT(prefix) && !x; k++) {
        if (!ast_tok(p, first, prefix[k]))
            continue;
        p->i++;
        hone_node *in = unary(p);
        x = ast_node(p, HONE_N_UNARY, first, in->last, &in, 1);
        x->op = prefix[k];
    }
    if (!x && ast_tok(p, first, "(") && cast_type(p, first)) {
        size_t close = p->t->v[first].match;
        p->i = close + 1;
        hone_node *in = unary(p);
        x = cast_node(p, first, first + 1, close - 1, in);
    }
    if (!x)
        x = postfix(p);
    p->depth--;
    return x;
}

static const struct {
    const char *op;
    int level;
} binary_ops[] = {
    {"||", 1}, {"&&", 2}, {"|", 3},  {"^", 4},  {"&", 5}, {"==", 6}, {"!=", 6}, {"<", 7},  {">", 7},
    {"<=", 7}, {">=", 7}, {"<<", 8}, {">>", 8}, {"+", 9}, {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10},
};

static hone_node *binary(ast_parser *p, int min_level)
{
    hone_node *left = unary(p);
    while (!p->bad && p->i < p->end && p->t->v[p->i].kind == HONE_TOK_PUNCT) {
        size_t k = 0;
        while (k < HONE_COUNT(binary_ops) && !ast_tok(p, p->i, binary_ops[k].op))
            k++;
        if (k == HONE_COUNT(binary_ops) || binary_ops[k].level < min_level)
            break;
        p->i++;
        hone_node *kids[2] = {left, binary(p, binary_ops[k].level + 1)};
        left = ast_node(p, HONE_N_BINARY, left->first, kids[1]->last, kids, 2);
        left->op = binary_ops[k].op;
    }
    return left;
}

hone_node *ast_assignment(ast_parser *p)
{
    static const char *const assign[] = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="};
    if (++p->depth > HONE_AST_DEPTH) {
        p->depth--;
        return bad(p);
    }
    hone_node *x = binary(p, 1);
    if (!p->bad && ast_tok(p, p->i, "?")) {
        p->i++;
        hone_node *kids[3] = {x, ast_assignment(p), NULL};
        if (!p->bad && ast_tok(p, p->i, ":")) {
            p->i++;
            kids[2] = ast_assignment(p);
            x = ast_node(p, HONE_N_COND, x->first, kids[2]->last, kids, 3);
        } else {
            x = bad(p);
        }
    }
    for (size_t k = 0; k < HONE_COUNT(assign) && !p->bad; k++) {
        if (!ast_tok(p, p->i, assign[k]))
            continue;
        p->i++;
        hone_node *kids[2] = {x, ast_assignment(p)};
        x = ast_node(p, HONE_N_ASSIGN, x->first, kids[1]->last, kids, 2);
        x->op = assign[k];
        break;
    }
    p->depth--;
    return x;
}

hone_node *ast_expr(ast_parser *p)
{
    hone_node *x = ast_assignment(p);
    while (!p->bad && ast_tok(p, p->i, ",")) {
        p->i++;
        hone_node *kids[2] = {x, ast_assignment(p)};
        x = ast_node(p, HONE_N_COMMA, x->first, kids[1]->last, kids, 2);
    }
    return x;
}
