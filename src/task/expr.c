// Expressions of task files, parsed: C precedence from ?: down to unary, calls of five functions, names and literals. Grammar
// functions are named after the grammar's symbols. Evaluation is in eval.c; whether names exist is checked in check.c.
#include "task/internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; expr_op op; unsigned n; } functions[] = {
    {"cdiv", OP_CDIV, 2}, {"min", OP_MIN, 2}, {"max", OP_MAX, 2}, {"round_up", OP_ROUND_UP, 2}, {"pow2_ceil", OP_POW2_CEIL, 1},
};
// Binary operators, loosest first.
static const struct { const char *s; expr_op op; unsigned level; } operators[] = {
    {"||", OP_LOR, 0}, {"&&", OP_LAND, 1}, {"|", OP_OR, 2}, {"^", OP_XOR, 3}, {"&", OP_AND, 4}, {"==", OP_EQ, 5}, {"!=", OP_NE, 5}, {"<",
                                                                                                                                     OP_LT,
                                                                                                                                         6},
    {"<=", OP_LE, 6}, {">", OP_GT, 6}, {">=", OP_GE, 6}, {"<<", OP_SHL, 7}, {">>", OP_SHR, 7}, {"+", OP_ADD, 8}, {"-", OP_SUB, 8}, {"*",
                                                                                                                                    OP_MUL,
                                                                                                                                        9},
    {"/", OP_DIV, 9}, {"%", OP_MOD, 9},
};
enum { LEVELS = 10 };

static hone_expr *conditional(parser *p);

static hone_expr *node(parser *p, expr_op op, const hone_tok *at, unsigned n, hone_expr *a, hone_expr *b, hone_expr *c) {
    hone_expr *x = task_alloc(p, 1, sizeof *x);
    if (!x || (n > 0 && !a) || (n > 1 && !b) || (n > 2 && !c))
        return NULL;
    *x = (hone_expr){.op = op, .k = {a, b, c}, .n_k = n, .line = at->line, .col = at->col, .at = at->at, .len = at->len, .weight = 1};
    for (unsigned i = 0; i < n; i++)
        x->weight += x->k[i]->weight;
    if (x->weight > MAX_EXPR_WEIGHT) {
        task_error(p, at, NULL, "expression has more than %d parts", MAX_EXPR_WEIGHT);
        return NULL;
    }
    return x;
}

// Widens a node's range to end where the token before the current one ends.
static hone_expr *spanning(parser *p, hone_expr *x, const hone_expr *first) {
    if (!x)
        return NULL;
    const hone_tok *last = &p->line.v[p->i - 1];
    x->line = first->line;
    x->col = first->col;
    x->at = first->at;
    x->len = last->at + last->len - x->at;
    return x;
}

// The digits of an integer literal, separators and suffix removed; false when it is no integer.
static bool integer_digits(const char *s, size_t n, char out[72], int *base) {
    size_t k = 0;
    *base = 10;
    if (n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        *base = 16;
    else if (n > 2 && s[0] == '0' && (s[1] == 'b' || s[1] == 'B'))
        *base = 2;
    size_t from = *base == 10 ? 0 : 2;
    while (n > from + 1 && strchr("uUlL", s[n - 1]))
        n--;
    for (size_t i = from; i < n; i++) {
        char c = s[i];
        if (c == '\'')
            continue;
        bool ok = *base == 16 ? strchr("0123456789abcdefABCDEF", c) != NULL : *base == 2 ? c == '0' || c == '1' : c >= '0' && c <= '9';
        if (!ok || !c || k >= 70)
            return false;
        out[k++] = c;
    }
    out[k] = '\0';
    return k > 0;
}

static hone_expr *floating(parser *p, const hone_tok *at, const char *s, size_t n) {
    char text[72], *end;
    size_t k = 0;
    for (size_t i = 0; i < n && k < 70; i++)
        if (s[i] != '\'')
            text[k++] = s[i];
    if (k && (text[k - 1] == 'f' || text[k - 1] == 'F'))
        k--;
    text[k] = '\0';
    hone_expr *x = node(p, OP_DOUBLE, at, 0, NULL, NULL, NULL);
    if (!x)
        return NULL;
    x->d = strtod(text, &end);
    if (*end || end == text || n > 70) {
        task_error(p, at, NULL, "'%.*s' is not a number", (int)(n > 70 ? 70 : n), s);
        return NULL;
    }
    if (x->d > 1.7e308) {
        task_error(p, at, NULL, "'%.*s' is too large for a double", (int)n, s);
        return NULL;
    }
    return x;
}

static hone_expr *number(parser *p) {
    hone_tok at = *tok_now(p);
    const char *s = p->line.text + at.at;
    char digits[72];
    int base;
    p->i++;
    if (!integer_digits(s, at.len, digits, &base))
        return floating(p, &at, s, at.len);
    if (base == 10 && digits[0] == '0' && digits[1]) {
        task_error(p, &at, "write it without the leading 0, or in hexadecimal", "octal literal '%.*s'", (int)at.len, s);
        return NULL;
    }
    hone_expr *x = node(p, OP_INT, &at, 0, NULL, NULL, NULL);
    if (!x)
        return NULL;
    errno = 0;
    x->i = strtoll(digits, NULL, base);
    if (errno) {
        task_error(p, &at, NULL, "'%.*s' does not fit 64 bits", (int)at.len, s);
        return NULL;
    }
    return x;
}

static hone_expr *call(parser *p, const char *name, const hone_tok *at) {
    size_t f = 0;
    while (f < HONE_COUNT(functions) && strcmp(functions[f].name, name) != 0)
        f++;
    if (f == HONE_COUNT(functions)) {
        name_list known = {0};
        for (size_t i = 0; i < HONE_COUNT(functions); i++)
            names_add(&known, functions[i].name);
        const char *hint = task_suggest(p, name, &known);
        task_error(p, at, hint ? hint : "there are cdiv, min, max, round_up and pow2_ceil", "unknown function '%s'", name);
        return NULL;
    }
    hone_expr *k[3] = {0};
    unsigned n = 0;
    p->i++;   // the "("
    do {
        if (n < 3 && !(k[n] = conditional(p)))
            return NULL;
        n++;
    } while (n < 3 && tok_take(p, ","));
    if (n != functions[f].n) {
        task_error(p, at, NULL, "'%s' takes %u argument%s", name, functions[f].n, functions[f].n == 1 ? "" : "s");
        return NULL;
    }
    if (!tok_expect(p, ")", "after the arguments"))
        return NULL;
    hone_expr *x = node(p, functions[f].op, at, n, k[0], k[1], k[2]);
    hone_expr first = {.line = at->line, .col = at->col, .at = at->at};
    return spanning(p, x, &first);
}

static hone_expr *primary(parser *p) {
    const hone_tok *t = tok_now(p);
    if (t->kind == HONE_TOK_NUMBER)
        return number(p);
    if (t->kind == HONE_TOK_IDENT) {
        hone_tok at = *t;
        const char *name = tok_text(p);
        if (!name)
            return NULL;
        p->i++;
        if (tok_at(p, "("))
            return call(p, name, &at);
        hone_expr *x = node(p, OP_NAME, &at, 0, NULL, NULL, NULL);
        if (x)
            x->name = name;
        return x;
    }
    if (tok_take(p, "(")) {
        hone_expr *x = conditional(p);
        return x && tok_expect(p, ")", "after the expression") ? x : NULL;
    }
    if (tok_is_end(p))
        task_error(p, t, NULL, "expected an expression at the end of the line");
    else
        task_error(p, t, NULL, "expected an expression, found '%.*s'", (int)t->len, p->line.text + t->at);
    return NULL;
}

static hone_expr *unary(parser *p) {
    hone_tok at = *tok_now(p);
    expr_op op = tok_at(p, "-") ? OP_NEG : tok_at(p, "!") ? OP_NOT : tok_at(p, "~") ? OP_COMPL : OP_INT;
    if (++p->depth > MAX_EXPR_DEPTH) {
        task_error(p, &at, NULL, "expression is nested more than %d deep", MAX_EXPR_DEPTH);
        return NULL;
    }
    hone_expr *x;
    if (op != OP_INT) {
        p->i++;
        hone_expr *k = unary(p), first = {.line = at.line, .col = at.col, .at = at.at};
        x = k ? spanning(p, node(p, op, &at, 1, k, NULL, NULL), &first) : NULL;
    } else if (tok_take(p, "+")) {
        x = unary(p);
    } else {
        x = primary(p);
    }
    p->depth--;
    return x;
}

static hone_expr *binary(parser *p, unsigned level) {
    if (level == LEVELS)
        return unary(p);
    hone_expr *x = binary(p, level + 1);
    while (x) {
        size_t o = 0;
        while (o < HONE_COUNT(operators) && !(operators[o].level == level && tok_at(p, operators[o].s)))
            o++;
        if (o == HONE_COUNT(operators))
            break;
        hone_tok at = *tok_now(p);
        p->i++;
        hone_expr *left = x, *right = binary(p, level + 1);
        x = right ? spanning(p, node(p, operators[o].op, &at, 2, left, right, NULL), left) : NULL;
    }
    return x;
}

static hone_expr *conditional(parser *p) {
    hone_expr *c = binary(p, 0);
    if (!c || !tok_at(p, "?"))
        return c;
    hone_tok at = *tok_now(p);
    if (++p->depth > MAX_EXPR_DEPTH) {
        task_error(p, &at, NULL, "expression is nested more than %d deep", MAX_EXPR_DEPTH);
        return NULL;
    }
    p->i++;
    hone_expr *yes = conditional(p);
    if (!yes || !tok_expect(p, ":", "in 'a ? b : c'"))
        return NULL;
    hone_expr *no = conditional(p);
    p->depth--;
    return no ? spanning(p, node(p, OP_COND, &at, 3, c, yes, no), c) : NULL;
}

// Tokens first..last-1 as one canonical text: a space around binary operators would not be canonical, so there is none at all,
// except between two words.
static const char *canonical(parser *p, size_t first, size_t last) {
    hone_str b;
    hone_str_init(&b, 65536);
    for (size_t i = first; i < last; i++) {
        hone_span s = hone_tok_span(&p->line, i);
        bool words = i > first && p->line.v[i].kind != HONE_TOK_PUNCT && p->line.v[i - 1].kind != HONE_TOK_PUNCT;
        bool signs = i > first && p->line.v[i].kind == HONE_TOK_PUNCT && p->line.v[i - 1].kind == HONE_TOK_PUNCT &&
            s.s[0] == b.s[b.len - 1];
        if (words || (signs && strchr("+-&|<>", s.s[0])))
            hone_str_addc(&b, ' ');
        hone_str_addn(&b, s.s, s.n);
    }
    const char *text = b.failed ? NULL : task_strndup(p, b.s, b.len);
    p->nomem |= b.failed;
    hone_str_free(&b);
    return text;
}

hone_expr *parse_expr(parser *p) {
    size_t first = p->i;
    p->depth = 0;
    hone_expr *x = conditional(p);
    if (!x)
        return NULL;
    x->text = canonical(p, first, p->i);
    if (!x->text || !hone_vec_push(&p->exprs, x)) {
        p->nomem = true;
        return NULL;
    }
    return x;
}

const char *hone_expr_text(const hone_expr *x) { return x->text ? x->text : x->name ? x->name : ""; }

bool hone_expr_mentions(const hone_expr *x, const char *name) {
    if (x->op == OP_NAME && (strcmp(x->name, name) == 0 || (x->scalar && hone_expr_mentions(x->scalar->value, name))))
        return true;
    for (unsigned i = 0; i < x->n_k; i++)
        if (hone_expr_mentions(x->k[i], name))
            return true;
    return false;
}

hone_tok task_expr_tok(const hone_expr *x) { return (hone_tok){.line = x->line, .col = x->col, .at = x->at, .len = x->len}; }
