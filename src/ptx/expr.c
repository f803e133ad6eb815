// ptx constant expressions: integer arithmetic over literals, as PTX ISA 4.6 has it (64-bit, signed unless a suffix says
// otherwise; hone keeps the bits and computes signed). Used by operands, offsets, sizes and initialisers.
#include "ptx/internal.h"

typedef struct binop { int punct, level; } binop;
#define P2(a, b) ((a) * 256 + (b))
static const binop binops[] = {
    {P2('|', '|'), 1}, {P2('&', '&'), 2}, {'|', 3}, {'^', 4}, {'&', 5}, {P2('=', '='), 6}, {P2('!', '='), 6}, {'<', 7}, {'>', 7},
    {P2('<', '='), 7},
    {P2('>', '='), 7}, {P2('<', '<'), 8}, {P2('>', '>'), 8}, {'+', 9}, {'-', 9}, {'*', 10}, {'/', 10}, {'%', 10},
};

static int level_of(const ptx_tok *t) {
    if (t->kind == PTX_T_PUNCT)
        for (size_t i = 0; i < HONE_COUNT(binops); i++)
            if (binops[i].punct == t->punct)
                return binops[i].level;
    return 0;
}

static int64_t wrap(uint64_t v) { return (int64_t)v; }

static hone_code divide(ptx_parser *p, const ptx_tok *at, int64_t a, int64_t b, int64_t *out) {
    if (b == 0)
        return ptx_error(p, at, HONE_E_PARSE, "division by zero in a constant expression at");
    *out = b == -1 ? (at->punct == '/' ? wrap(0 - (uint64_t)a) : 0) : at->punct == '/' ? a / b : a % b;
    return HONE_OK;
}

static hone_code apply(ptx_parser *p, const ptx_tok *at, int64_t a, int64_t b, int64_t *out) {
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (at->punct) {
    case P2('|', '|'): *out = a || b; break;
    case P2('&', '&'): *out = a && b; break;
    case '|': *out = wrap(x | y); break;
    case '^': *out = wrap(x ^ y); break;
    case '&': *out = wrap(x & y); break;
    case P2('=', '='): *out = a == b; break;
    case P2('!', '='): *out = a != b; break;
    case '<': *out = a < b; break;
    case '>': *out = a > b; break;
    case P2('<', '='): *out = a <= b; break;
    case P2('>', '='): *out = a >= b; break;
    case P2('<', '<'): *out = y > 63 ? 0 : wrap(x << y); break;
    case P2('>', '>'): *out = y > 63 ? (a < 0 ? -1 : 0) : a >> y; break;
    case '+': *out = wrap(x + y); break;
    case '-': *out = wrap(x - y); break;
    case '*': *out = wrap(x * y); break;
    default: return divide(p, at, a, b, out);
    }
    return HONE_OK;
}

static hone_code expr_level(ptx_parser *p, int level, unsigned depth, int64_t *out);

static hone_code parens(ptx_parser *p, unsigned depth, int64_t *out) {
    if (ptx_is_dot(&p->tok, "s64") || ptx_is_dot(&p->tok, "u64")) {   // a cast, which changes no bits
        HONE_TRY(ptx_advance(p));
        HONE_TRY(ptx_expect(p, ')'));
        return expr_level(p, 100, depth + 1, out);
    }
    HONE_TRY(expr_level(p, 0, depth + 1, out));
    if (ptx_is_punct(&p->tok, '?')) {
        int64_t yes, no;
        HONE_TRY(ptx_advance(p));
        HONE_TRY(expr_level(p, 0, depth + 1, &yes));
        HONE_TRY(ptx_expect(p, ':'));
        HONE_TRY(expr_level(p, 0, depth + 1, &no));
        *out = *out ? yes : no;
    }
    return ptx_expect(p, ')');
}

static hone_code primary(ptx_parser *p, unsigned depth, int64_t *out) {
    if (depth > PTX_MAX_DEPTH)
        return ptx_error(p, &p->tok, HONE_E_LIMIT, "expression nested too deep at");
    ptx_tok t = p->tok;
    if (t.kind == PTX_T_INT) {
        *out = (int64_t)t.value;
        return ptx_advance(p);
    }
    if (ptx_tok_is(&t, "WARP_SZ")) {
        *out = 32;
        return ptx_advance(p);
    }
    if (t.kind != PTX_T_PUNCT || !(t.punct == '(' || t.punct == '-' || t.punct == '+' || t.punct == '~' || t.punct == '!'))
        return ptx_error(p, &t, HONE_E_PARSE, "expected an integer constant at");
    HONE_TRY(ptx_advance(p));
    if (t.punct == '(')
        return parens(p, depth, out);
    HONE_TRY(primary(p, depth + 1, out));
    if (t.punct == '-')
        *out = wrap(0 - (uint64_t)*out);
    else if (t.punct == '~')
        *out = ~*out;
    else if (t.punct == '!')
        *out = !*out;
    return HONE_OK;
}

static hone_code expr_level(ptx_parser *p, int level, unsigned depth, int64_t *out) {
    HONE_TRY(primary(p, depth, out));
    for (int l; (l = level_of(&p->tok)) > level;) {
        ptx_tok at = p->tok;
        int64_t right;
        HONE_TRY(ptx_advance(p));
        HONE_TRY(expr_level(p, l, depth + 1, &right));
        HONE_TRY(apply(p, &at, *out, right, out));
    }
    return HONE_OK;
}

hone_code ptx_const_expr(ptx_parser *p, int64_t *out) { return expr_level(p, 0, 0, out); }
