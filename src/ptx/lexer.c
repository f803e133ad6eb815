// ptx lexer: text → tokens with one token of lookahead. It knows spelling (numbers, comments, dotted words), not grammar.
// Tokens borrow the text; errors carry line and column.
#include "ptx/internal.h"
#include <stdio.h>
#include <stdlib.h>

hone_code ptx_error_at(ptx_parser *p, uint32_t line, uint32_t col, hone_code code, const char *what, const char *s, size_t n) {
    int shown = n > 80 ? 80 : (int)n;
    return hone_fail(p->e, code, 0, "ptx:%u:%u: %s '%.*s'", line, col, what, shown, s);
}

hone_code ptx_error(ptx_parser *p, const ptx_tok *at, hone_code code, const char *what) {
    if (at->kind == PTX_T_EOF)
        return ptx_error_at(p, at->line, at->col, code, what, "end of text", 11);
    bool dot = at->kind == PTX_T_DOT || at->kind == PTX_T_STR;
    return ptx_error_at(p, at->line, at->col, code, what, at->s - (dot ? 1 : 0), at->n + (dot ? 1u : 0u));
}

hone_code ptx_nomem(ptx_parser *p) {
    return hone_fail(p->e, HONE_E_LIMIT, 0, "ptx:%u:%u: out of memory, or over the limit of %zu MiB for parsed text, near '%.*s'",
        p->tok.line, p->tok.col,
                     PTX_MAX_ARENA >> 20, p->tok.n > 40 ? 40 : (int)p->tok.n, p->tok.s ? p->tok.s : "");
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$'; }
static int hex_value(char c) {
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void new_line(ptx_parser *p) {
    p->line++;
    p->line_start = p->at + 1;
}

// Skips blanks and comments. false: a comment without end; *t says where it begins.
static bool skip_space(ptx_parser *p, ptx_tok *t) {
    for (; p->at < p->end; p->at++) {
        char c = *p->at;
        if (c == '\n') {
            new_line(p);
        } else if (c == '/' && p->at + 1 < p->end && p->at[1] == '/') {
            while (p->at + 1 < p->end && p->at[1] != '\n')
                p->at++;
        } else if (c == '/' && p->at + 1 < p->end && p->at[1] == '*') {
            t->line = p->line;
            t->col = (uint32_t)(p->at - p->line_start) + 1;
            for (p->at += 2;; p->at++) {
                if (p->at + 1 >= p->end)
                    return false;
                if (*p->at == '\n')
                    new_line(p);
                if (p->at[0] == '*' && p->at[1] == '/')
                    break;
            }
            p->at++;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v') {
            return true;
        }
    }
    return true;
}

static bool lex_hex_float(ptx_parser *p, ptx_tok *t, unsigned digits) {
    const char *s = p->at + 2;
    uint64_t v = 0;
    for (unsigned i = 0; i < digits; i++, s++) {
        int h = s < p->end ? hex_value(*s) : -1;
        if (h < 0)
            return false;
        v = v << 4 | (uint64_t)h;
    }
    t->kind = PTX_T_FLOAT;
    t->value = v;
    t->is_f32 = digits == 8;
    p->at = s;
    return true;
}

static bool lex_decimal_float(ptx_parser *p, ptx_tok *t) {
    char buf[64];
    size_t n = 0;
    const char *s = p->at;
    while (s < p->end && n < sizeof buf - 1 && (is_digit(*s) || *s == '.' || *s == 'e' || *s == 'E' ||
        ((*s == '+' || *s == '-') && (s[-1] == 'e' || s[-1] == 'E'))))
        buf[n++] = *s++;
    buf[n] = 0;
    char *stop;
    double d = strtod(buf, &stop);
    if (*stop)
        return false;
    t->kind = PTX_T_FLOAT;
    memcpy(&t->value, &d, 8);
    p->at = s;
    return true;
}

static bool lex_int(ptx_parser *p, ptx_tok *t) {
    unsigned base = 10;
    const char *s = p->at;
    char k = s[0] == '0' && s + 1 < p->end ? s[1] : 0;
    if (k == 'x' || k == 'X')
        base = 16, s += 2;
    else if (k == 'b' || k == 'B')
        base = 2, s += 2;
    else if (is_digit(k))
        base = 8, s += 1;
    const char *first = s;
    uint64_t v = 0;
    for (int h; s < p->end && (h = hex_value(*s)) >= 0 && (unsigned)h < base; s++)
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)h, &v))
            return false;
    if (s == first)
        return false;
    if (s < p->end && (*s == 'U' || *s == 'u'))
        t->is_unsigned = true, s++;
    t->kind = PTX_T_INT;
    t->value = v;
    p->at = s;
    return true;
}

static bool lex_number(ptx_parser *p, ptx_tok *t) {
    char k = p->at + 1 < p->end && p->at[0] == '0' ? p->at[1] : 0;
    bool ok;
    if (k == 'f' || k == 'F')
        ok = lex_hex_float(p, t, 8);
    else if (k == 'd' || k == 'D')
        ok = lex_hex_float(p, t, 16);
    else if (k == 'x' || k == 'X')
        ok = lex_int(p, t);
    else {
        const char *s = p->at;
        while (s < p->end && is_digit(*s))
            s++;
        bool fraction = s < p->end && *s == '.' && s + 1 < p->end && is_digit(s[1]);
        bool exponent = s < p->end && (*s == 'e' || *s == 'E');
        ok = fraction || exponent ? lex_decimal_float(p, t) : lex_int(p, t);
    }
    return ok && !(p->at < p->end && is_word(*p->at));
}

static void lex_dot_word(ptx_parser *p, ptx_tok *t) {
    const char *s = p->at + 1;
    t->kind = PTX_T_DOT;
    t->s = s;
    while (s < p->end && (is_word(*s) || (*s == ':' && s + 2 < p->end && s[1] == ':' && is_word(s[2]))))
        s += *s == ':' ? 2 : 1;
    p->at = s;
}

static bool lex_string(ptx_parser *p, ptx_tok *t) {
    const char *s = p->at + 1;
    t->kind = PTX_T_STR;
    t->s = s;
    while (s < p->end && *s != '"' && *s != '\n')
        s += *s == '\\' && s + 1 < p->end ? 2 : 1;
    if (s >= p->end || *s != '"')
        return false;
    t->n = (uint32_t)(s - t->s);
    p->at = s + 1;
    return true;
}

static void lex_punct(ptx_parser *p, ptx_tok *t) {
    static const char pairs[] = "<<>><=>===!=&&||";
    char a = p->at[0], b = p->at + 1 < p->end ? p->at[1] : 0;
    t->kind = PTX_T_PUNCT;
    t->punct = (unsigned char)a;
    for (size_t i = 0; i + 1 < sizeof pairs; i += 2)
        if (a == pairs[i] && b == pairs[i + 1]) {
            t->punct = (unsigned char)a * 256 + (unsigned char)b;
            p->at++;
            break;
        }
    p->at++;
}

static hone_code lex(ptx_parser *p, ptx_tok *t) {
    *t = (ptx_tok){.kind = PTX_T_EOF};
    if (!skip_space(p, t))
        return ptx_error_at(p, t->line, t->col, HONE_E_PARSE, "comment without end", "/*", 2);
    t->line = p->line;
    t->col = (uint32_t)(p->at - p->line_start) + 1;
    t->s = p->at;
    if (p->at >= p->end)
        return HONE_OK;
    char c = *p->at;
    bool ok = true;
    if (is_digit(c)) {
        ok = lex_number(p, t);
    } else if (is_word(c) || c == '%') {
        t->kind = PTX_T_IDENT;
        for (p->at++; p->at < p->end && is_word(*p->at);)
            p->at++;
        ok = c != '%' || p->at - t->s > 1;
        if (!ok)
            t->kind = PTX_T_PUNCT, t->punct = '%', ok = true;
    } else if (c == '.' && p->at + 1 < p->end && is_word(p->at[1])) {
        lex_dot_word(p, t);
    } else if (c == '"') {
        ok = lex_string(p, t);
    } else if ((unsigned char)c > ' ' && (unsigned char)c < 127) {
        lex_punct(p, t);
    } else {
        ok = false;
    }
    if (!ok)
        return ptx_error_at(p, t->line, t->col, HONE_E_PARSE, "malformed token", t->s, p->at - t->s > 0 ? (size_t)(p->at - t->s) : 1);
    if (t->kind != PTX_T_STR) {
        size_t n = (size_t)(p->at - t->s);
        if (n > PTX_MAX_NAME)
            return ptx_error_at(p, t->line, t->col, HONE_E_LIMIT, "name too long", t->s, 40);
        t->n = (uint32_t)n;
    }
    return HONE_OK;
}

hone_code ptx_lex_start(ptx_parser *p) {
    p->line = 1;
    p->line_start = p->at;
    HONE_TRY(lex(p, &p->tok));
    return lex(p, &p->next);
}

hone_code ptx_advance(ptx_parser *p) {
    p->tok = p->next;
    return lex(p, &p->next);
}

bool ptx_tok_is(const ptx_tok *t, const char *s) {
    return (t->kind == PTX_T_IDENT || t->kind == PTX_T_DOT) && strlen(s) == t->n && !memcmp(t->s, s, t->n);
}

hone_code ptx_expect(ptx_parser *p, int punct) {
    if (ptx_is_punct(&p->tok, punct))
        return ptx_advance(p);
    char what[40];
    snprintf(what, sizeof what, "expected '%c' before", punct);
    return ptx_error(p, &p->tok, HONE_E_PARSE, what);
}
