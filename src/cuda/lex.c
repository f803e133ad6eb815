// The CUDA C++ lexer: bytes → tokens with positions, then partners of brackets. One pass, no preprocessing: a directive is one
// token that ends with its (continued) line. It accepts anything that a compiler might; only text whose extent cannot be known
// (an unterminated comment, string or bracket) is an error. Sits on base; kernels.c, normalise.c and task/ read its tokens.
#include "cuda/lex.h"
#include <string.h>

typedef HONE_VEC(hone_tok) tok_vec;
typedef struct lexer {
    const char *s;
    size_t at, end;
    uint32_t line;
    size_t line_at;          // offset of the current line's first byte
    bool lenient;            // inside a directive: nothing is an error
    bool space, line_start;  // before the next token: white space seen; only white space on this line so far
    tok_vec out;
    hone_err *e;
} lexer;

enum { MAX_DEPTH = 256, MAX_CONDITIONALS = 64 };

static bool is_ident_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_ident(char c) { return is_ident_start(c) || is_digit(c); }
static char peek(const lexer *x, size_t k) { return x->at + k < x->end ? x->s[x->at + k] : '\0'; }
static uint32_t column(const lexer *x) { return (uint32_t)(x->at - x->line_at + 1); }

static hone_code fail_at(lexer *x, uint32_t line, uint32_t col, const char *what) {
    return hone_fail(x->e, HONE_E_PARSE, 0, "%u:%u: %s", line, col, what);
}

// Moves over n bytes, counting lines.
static void advance(lexer *x, size_t n) {
    for (; n && x->at < x->end; n--, x->at++)
        if (x->s[x->at] == '\n') {
            x->line++;
            x->line_at = x->at + 1;
        }
}

// Length of a backslash-newline here (2 or 3 bytes), or 0.
static size_t continuation(const lexer *x) {
    if (peek(x, 0) != '\\')
        return 0;
    if (peek(x, 1) == '\n')
        return 2;
    return peek(x, 1) == '\r' && peek(x, 2) == '\n' ? 3 : 0;
}

static hone_code skip_block_comment(lexer *x) {
    uint32_t line = x->line, col = column(x);
    advance(x, 2);
    while (x->at < x->end && !(peek(x, 0) == '*' && peek(x, 1) == '/'))
        advance(x, 1);
    if (x->at >= x->end && !x->lenient)
        return fail_at(x, line, col, "unterminated comment");
    advance(x, 2);
    return HONE_OK;
}

static void skip_line_comment(lexer *x) {
    while (x->at < x->end && peek(x, 0) != '\n') {
        size_t n = continuation(x);
        advance(x, n ? n : 1);
    }
}

// White space, comments and continuations before the next token.
static hone_code skip_blank(lexer *x) {
    for (; x->at < x->end; x->space = true) {
        char c = x->s[x->at];
        size_t n;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f') {
            x->at++;
        } else if (c == '\n') {
            advance(x, 1);
            x->line_start = true;
        } else if ((n = continuation(x)) != 0) {
            advance(x, n);
        } else if (c == '/' && peek(x, 1) == '*') {
            HONE_TRY(skip_block_comment(x));
        } else if (c == '/' && peek(x, 1) == '/') {
            skip_line_comment(x);
        } else {
            break;
        }
    }
    return HONE_OK;
}

// Length of a quoted literal whose opening quote is at offset `from`; 0 when it does not end on its line.
static size_t quoted(const lexer *x, size_t from) {
    char q = peek(x, from);
    for (size_t k = from + 1; x->at + k < x->end; k++) {
        char c = peek(x, k);
        if (c == q)
            return k + 1;
        if (c == '\n')
            return 0;
        if (c == '\\') {
            k++;
            if (peek(x, k) == '\r' && peek(x, k + 1) == '\n')
                k++;
        }
    }
    return 0;
}

// Length of R"delim( … )delim" whose quote is at offset `from`; 0 when unterminated or not a raw string.
static size_t raw_string(const lexer *x, size_t from) {
    size_t d = from + 1, n = 0;
    while (n <= 16 && peek(x, d + n) != '(') {
        char c = peek(x, d + n);
        if (c == '\0' || c == ' ' || c == ')' || c == '\\' || c == '\n' || c == '"')
            return 0;
        n++;
    }
    if (n > 16)
        return 0;
    for (size_t k = d + n + 1; x->at + k + n + 1 < x->end; k++)
        if (peek(x, k) == ')' && memcmp(x->s + x->at + k + 1, x->s + x->at + d, n) == 0 && peek(x, k + 1 + n) == '"')
            return k + n + 2;
    return 0;
}

// A literal starting here, prefix included: its length, kind and whether it is a quote at all.
static bool literal(const lexer *x, size_t *len, hone_tok_kind *kind) {
    static const char *const prefixes[] = {"u8R", "uR", "UR", "LR", "R", "u8", "u", "U", "L", ""};
    const char first = peek(x, 0);
    if (first != '"' && first != '\'' && first != 'u' && first != 'U' && first != 'L' && first != 'R')
        return false;
    for (size_t i = 0; i < HONE_COUNT(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (x->end - x->at <= n || memcmp(x->s + x->at, prefixes[i], n) != 0)
            continue;
        char q = peek(x, n);
        bool raw = n && prefixes[i][n - 1] == 'R';
        if (q != '"' && (q != '\'' || raw))
            continue;
        *kind = q == '"' ? HONE_TOK_STRING : HONE_TOK_CHAR;
        *len = raw ? raw_string(x, n) : quoted(x, n);
        return true;
    }
    return false;
}

// A preprocessing number (C17 6.4.8 with C++ digit separators); "1..8" stops before the dots.
static size_t number(const lexer *x) {
    size_t n = 1;
    for (;; n++) {
        char c = peek(x, n), before = peek(x, n - 1);
        bool exponent = before == 'e' || before == 'E' || before == 'p' || before == 'P';
        if ((c == '+' || c == '-') && exponent)
            continue;
        if (c == '\'' && is_ident(peek(x, n + 1)))
            continue;
        if (c == '.' && peek(x, n + 1) == '.')
            return n;
        if (!is_ident(c) && c != '.')
            return n;
    }
}

static size_t punct(const lexer *x) {
    static const char starts[] = "<>.-:+=!&|*/%^#";   // of the operators of more than one byte
    if (!peek(x, 1) || !strchr(starts, peek(x, 0)) || !strchr("<>.-:+=&|*#", peek(x, 1)))
        return 1;
    static const char *const longest_first[] = {"<<<", ">>>", "<<=", ">>=", "...", "->*", "<=>", "::", "->", "++", "--", "<<", ">>", "<=",
                                                ">=", "==",
                                                "!=",  "&&",  "||",  "+=",  "-=",  "*=",  "/=",  "%=", "&=", "|=", "^=", "##", ".*", ".."};
    for (size_t i = 0; i < HONE_COUNT(longest_first); i++) {
        size_t n = strlen(longest_first[i]);
        if (x->end - x->at >= n && memcmp(x->s + x->at, longest_first[i], n) == 0)
            return n;
    }
    return 1;
}

// Length of the directive line from its '#', without the line's end. A block comment in it may span lines.
static hone_code directive(lexer *x, size_t *len) {
    lexer y = *x;
    while (y.at < y.end && peek(&y, 0) != '\n') {
        size_t n = continuation(&y), q;
        if (n) {
            advance(&y, n);
        } else if (peek(&y, 0) == '/' && peek(&y, 1) == '*') {
            HONE_TRY(skip_block_comment(&y));
        } else if (peek(&y, 0) == '/' && peek(&y, 1) == '/') {
            skip_line_comment(&y);
        } else if (peek(&y, 0) == '"' && (q = quoted(&y, 0)) != 0) {
            advance(&y, q);
        } else {
            advance(&y, 1);
        }
    }
    if (y.at > x->at && x->s[y.at - 1] == '\r')
        y.at--;
    *len = y.at - x->at;
    return HONE_OK;
}

static hone_code push(lexer *x, hone_tok_kind kind, size_t len) {
    hone_tok t = {.kind = kind, .at = (uint32_t)x->at, .len = (uint32_t)len, .line = x->line, .col = column(x), .space_before = x->space};
    if (!hone_vec_push(&x->out, t))
        return hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory reading CUDA source");
    if (kind == HONE_TOK_IDENT || kind == HONE_TOK_NUMBER || kind == HONE_TOK_PUNCT)
        x->at += len;   // no line ends within
    else
        advance(x, len);
    x->space = x->line_start = false;
    return HONE_OK;
}

static hone_code next(lexer *x) {
    char c = peek(x, 0);
    size_t len = 0;
    hone_tok_kind kind;
    if (c == '#' && x->line_start && !x->lenient) {
        HONE_TRY(directive(x, &len));
        return push(x, HONE_TOK_DIRECTIVE, len);
    }
    if (literal(x, &len, &kind)) {
        if (len)
            return push(x, kind, len);
        if (!x->lenient)
            return fail_at(x, x->line, column(x), kind == HONE_TOK_STRING ? "unterminated string" : "unterminated character constant");
        if (c == '"' || c == '\'')
            return push(x, HONE_TOK_PUNCT, 1);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(x, 1))))
        return push(x, HONE_TOK_NUMBER, number(x));
    if (is_ident_start(c)) {
        for (len = 1; is_ident(peek(x, len));)
            len++;
        return push(x, HONE_TOK_IDENT, len);
    }
    return push(x, HONE_TOK_PUNCT, punct(x));
}

static hone_code run(lexer *x) {
    for (;;) {
        HONE_TRY(skip_blank(x));
        if (x->at >= x->end)
            return push(x, HONE_TOK_EOF, 0);
        HONE_TRY(next(x));
    }
}

// ---- brackets. A stack of open ones; #if saves it, #else and #elif go back to what #if saved.
typedef struct matcher {
    uint32_t open[MAX_DEPTH];
    size_t depth;
    struct saved_stack { uint32_t open[MAX_DEPTH]; size_t depth; } *saved;   // [MAX_CONDITIONALS], from the first #if on
    size_t conditionals, too_deep;
} matcher;

static hone_span directive_word(const hone_tokens *t, size_t i) {
    const char *s = t->text + t->v[i].at, *end = s + t->v[i].len;
    for (s++; s < end && (*s == ' ' || *s == '\t');)
        s++;
    size_t n = 0;
    while (s + n < end && is_ident(s[n]))
        n++;
    return (hone_span){s, n};
}

static hone_code match_directive(matcher *m, const hone_tokens *t, size_t i, hone_err *e) {
    hone_span w = directive_word(t, i);
    bool opens = hone_span_eq(w, "if") || hone_span_eq(w, "ifdef") || hone_span_eq(w, "ifndef");
    bool turns = hone_span_eq(w, "else") || hone_span_eq(w, "elif") || hone_span_eq(w, "elifdef") || hone_span_eq(w, "elifndef");
    if (opens && !m->saved && !(m->saved = hone_calloc(MAX_CONDITIONALS, sizeof *m->saved)))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading CUDA source");
    if (opens && m->conditionals == MAX_CONDITIONALS) {
        m->too_deep++;
    } else if (opens) {
        memcpy(m->saved[m->conditionals].open, m->open, m->depth * sizeof m->open[0]);
        m->saved[m->conditionals++].depth = m->depth;
    } else if (turns && m->conditionals && !m->too_deep) {
        m->depth = m->saved[m->conditionals - 1].depth;
        memcpy(m->open, m->saved[m->conditionals - 1].open, m->depth * sizeof m->open[0]);
    } else if (hone_span_eq(w, "endif")) {
        if (m->too_deep)
            m->too_deep--;
        else if (m->conditionals)
            m->conditionals--;
    }
    return HONE_OK;
}

static char partner(char c) { return c == ')' ? '(' : c == ']' ? '[' : c == '}' ? '{' : '\0'; }

static hone_code match_close(matcher *m, hone_tokens *t, size_t i, bool lenient, hone_err *e) {
    hone_tok *close = &t->v[i];
    char c = t->text[close->at];
    if (!m->depth || t->text[t->v[m->open[m->depth - 1]].at] != partner(c)) {
        if (lenient)
            return HONE_OK;
        if (!m->depth)
            return hone_fail(e, HONE_E_PARSE, 0, "%u:%u: '%c' without '%c'", close->line, close->col, c, partner(c));
        const hone_tok *open = &t->v[m->open[m->depth - 1]];
        return hone_fail(e, HONE_E_PARSE, 0, "%u:%u: '%c' does not close the '%c' of %u:%u", close->line, close->col, c, t->text[open->at],
                         open->line,
                         open->col);
    }
    uint32_t o = m->open[--m->depth];
    t->v[o].match = (uint32_t)i;
    close->match = o;
    return HONE_OK;
}

static hone_code match_brackets(hone_tokens *t, bool lenient, hone_err *e) {
    matcher stack, *m = &stack;   // 1 KiB; the entries below depth are all that is read
    m->saved = NULL;
    m->depth = m->conditionals = m->too_deep = 0;
    hone_code c = HONE_OK;
    for (size_t i = 0; i < t->n && c == HONE_OK; i++) {
        const hone_tok *k = &t->v[i];
        char ch = t->text && k->len ? t->text[k->at] : '\0';
        if (k->kind == HONE_TOK_DIRECTIVE) {
            c = match_directive(m, t, i, e);
        } else if (k->kind == HONE_TOK_PUNCT && (ch == '(' || ch == '[' || ch == '{')) {
            if (m->depth < MAX_DEPTH)
                m->open[m->depth++] = (uint32_t)i;
            else if (!lenient)
                c = hone_fail(e, HONE_E_LIMIT, 0, "%u:%u: more than %d nested brackets", k->line, k->col, MAX_DEPTH);
        } else if (k->kind == HONE_TOK_PUNCT && partner(ch)) {
            c = match_close(m, t, i, lenient, e);
        }
    }
    if (c == HONE_OK && m->depth && !lenient) {
        const hone_tok *o = &t->v[m->open[m->depth - 1]];
        c = hone_fail(e, HONE_E_PARSE, 0, "%u:%u: '%c' is never closed", o->line, o->col, t->text[o->at]);
    }
    hone_free(m->saved);
    return c;
}

static hone_code finish(lexer *x, hone_arena *a, size_t len, hone_code c, hone_tokens *out) {
    if (c == HONE_OK) {
        hone_tok *v = hone_arena_array(a, x->out.n, sizeof *v);
        if (v) {
            memcpy(v, x->out.v, x->out.n * sizeof *v);
            *out = (hone_tokens){.text = x->s, .len = len, .v = v, .n = x->out.n};
            c = match_brackets(out, x->lenient, x->e);
        } else {
            c = hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory reading CUDA source");
        }
    }
    hone_vec_free(&x->out);
    return c;
}

hone_code hone_lex(hone_arena *a, const char *text, size_t len, hone_tokens *out, hone_err *e) {
    if (len > HONE_SOURCE_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "source of %zu bytes is larger than %u", len, HONE_SOURCE_MAX);
    lexer x = {.s = text, .end = len, .line = 1, .line_start = true, .e = e};
    hone_code c = run(&x);
    return finish(&x, a, len, c, out);
}

hone_code hone_lex_directive(hone_arena *a, const hone_tokens *t, size_t i, hone_tokens *out, hone_err *e) {
    const hone_tok *d = &t->v[i];
    lexer x = {.s = t->text, .at = d->at, .end = d->at + d->len, .line = d->line, .line_at = d->at - (d->col - 1), .lenient = true, .e = e};
    advance(&x, 1);   // the '#'
    hone_code c = run(&x);
    return finish(&x, a, t->len, c, out);
}

hone_span hone_tok_span(const hone_tokens *t, size_t i) { return (hone_span){t->text + t->v[i].at, t->v[i].len}; }

bool hone_tok_is(const hone_tokens *t, size_t i, const char *s) {
    if (i >= t->n)
        return false;
    const char *text = t->text + t->v[i].at;
    const size_t len = t->v[i].len;
    for (size_t k = 0; k < len; k++)   // most calls end at the first byte
        if (text[k] != s[k] || !s[k])
            return false;
    return s[len] == '\0';
}

bool hone_tok_is_pragma(const hone_tokens *t, size_t i) {
    if (t->v[i].kind != HONE_TOK_DIRECTIVE)
        return false;
    hone_span w = directive_word(t, i);
    const char *s = w.s + w.n, *end = t->text + t->v[i].at + t->v[i].len;
    if (!hone_span_eq(w, "pragma"))
        return false;
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    return end - s >= 4 && memcmp(s, "hone", 4) == 0 && (end - s == 4 || !is_ident(s[4]));
}
