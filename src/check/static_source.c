// Stage 0 on the source: rules over tokens, from rules.def. It reads what is written, not what it means; whatever a macro could hide
// (token pasting, _Pragma, spliced identifiers) is refused instead of expanded, and static_ptx.c looks again at what the compiler made of
// it.
#include "check/internal.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum match { EXACT, CALL, PREFIX, CAMEL } match;
typedef struct ident_rule { const char *text; match how; hone_finding_kind kind; const char *what; } ident_rule;
#define IDENT(text, how, finding, what) {text, how, HONE_F_##finding, what},
static const ident_rule ident_rules[] = {
#include "check/rules.def"
};
typedef struct header_rule { const char *text; match how; } header_rule;
#define HEADER(text, how) {text, how},
static const header_rule headers[] = {
#include "check/rules.def"
};

typedef struct scan {
    const hone_task *task;       // whose source is judged
    const hone_tokens *t;
    uint32_t line_base;          // added to token lines when a directive's text is scanned by itself
    hone_findings *f;
} scan;

static uint32_t line_of(const scan *s, size_t i) { return s->t->v[i].line + s->line_base; }

static json_t *evidence_of(const scan *s, size_t i) {
    hone_span w = hone_tok_span(s->t, i);
    return json_pack("{s:s%}", "text", w.s, w.n < 120 ? w.n : (size_t)120);
}

static bool ident_matches(const ident_rule *r, hone_span w, bool call) {
    size_t n = strlen(r->text);
    if (w.n < n || memcmp(w.s, r->text, n) != 0)
        return false;
    switch (r->how) {
    case EXACT: return w.n == n;
    case CALL: return w.n == n && call;
    case PREFIX: return true;
    case CAMEL: return w.n > n && isupper((unsigned char)w.s[n]);
    }
    return false;
}

static void check_ident(scan *s, size_t i) {
    hone_span w = hone_tok_span(s->t, i);
    if (memchr(w.s, '\\', w.n)) {
        hone_findings_add(s->f, HONE_F_STATIC_PRAGMA, s->task->path, line_of(s, i), evidence_of(s, i),
                          "an identifier is spliced over lines or spelled with escapes");
        return;
    }
    bool call = hone_tok_is(s->t, i + 1, "(");
    bool member = i && (hone_tok_is(s->t, i - 1, ".") || hone_tok_is(s->t, i - 1, "->"));
    for (size_t k = 0; k < HONE_COUNT(ident_rules) && !member; k++)
        if (ident_matches(&ident_rules[k], w, call)) {
            hone_findings_add(s->f, ident_rules[k].kind, s->task->path, line_of(s, i), evidence_of(s, i), "'%.*s' %s", (int)w.n, w.s,
                              ident_rules[k].what);
            return;
        }
}

// ---- inline assembly: the string tokens between the parenthesis and the first colon, concatenated
static void add_literal(hone_str *b, hone_span w) {
    const char *from = memchr(w.s, '"', w.n);
    const char *end = w.s + w.n;
    while (end > w.s && end[-1] != '"')
        end--;
    if (!from || end <= from + 1)
        return;
    for (const char *p = from + 1; p < end - 1; p++) {
        if (*p != '\\' || p + 1 >= end - 1) {
            hone_str_addc(b, *p);
            continue;
        }
        p++;
        if (*p == 'n' || *p == 't' || *p == 'r' || *p == '\n')
            hone_str_addc(b, *p == 't' ? ' ' : '\n');
        else
            hone_str_addn(b, "\\", 1), hone_str_addc(b, *p);   // \x41 and the like stay, and no opcode has a backslash
    }
    hone_str_addc(b, ' ');
}

static void check_asm(scan *s, size_t i) {
    size_t p = i + 1;
    while (p < s->t->n && s->t->v[p].kind == HONE_TOK_IDENT)   // volatile, goto, __volatile__
        p++;
    if (!hone_tok_is(s->t, p, "("))
        return;
    hone_str text;
    hone_str_init(&text, 1u << 16);
    bool readable = true;
    for (p++; p < s->t->n && !hone_tok_is(s->t, p, ":") && !hone_tok_is(s->t, p, "::") && !hone_tok_is(s->t, p, ")"); p++) {
        if (s->t->v[p].kind == HONE_TOK_STRING)
            add_literal(&text, hone_tok_span(s->t, p));
        else
            readable = false;
    }
    char word[64];
    const char *why = readable && !text.failed ? hone_asm_offence(text.s, text.len, word) :
        "its text is not written out as string literals";
    if (why)
        hone_findings_add(s->f, HONE_F_STATIC_ASM, s->task->path, line_of(s, i), json_pack("{s:s}", "text", text.s),
                          "inline assembly is refused: %s", why);
    hone_str_free(&text);
}

// ---- variables with static storage
static bool skip_attribute(const hone_tokens *t, size_t *i) {
    static const char *const with_parens[] = {"__align__", "alignas", "__attribute__", "__launch_bounds__", "__cluster_dims__",
                                              "__maxnreg__", "__declspec"};
    for (size_t k = 0; k < HONE_COUNT(with_parens); k++)
        if (hone_tok_is(t, *i, with_parens[k]) && hone_tok_is(t, *i + 1, "(") && t->v[*i + 1].match) {
            *i = t->v[*i + 1].match;
            return true;
        }
    return false;
}

// From a storage word to what decides: a parenthesis makes it a function, ; = [ { a variable. const anywhere but after a * makes it
// harmless.
static bool declares_mutable(const hone_tokens *t, size_t i, size_t *name) {
    bool constant = false;
    *name = i;
    for (size_t steps = 0; i < t->n && t->v[i].kind != HONE_TOK_EOF && steps < 64; i++, steps++) {
        if (skip_attribute(t, &i))
            continue;
        if (hone_tok_is(t, i, "(") || hone_tok_is(t, i, "__shared__") || hone_tok_is(t, i, "__constant__") || hone_tok_is(t, i,
                                                                                                                          "operator") ||
            hone_tok_is(t, i, "__global__"))
            return false;
        if (hone_tok_is(t, i, "const") || hone_tok_is(t, i, "constexpr"))
            constant = true;
        if (hone_tok_is(t, i, "*"))
            constant = false;                 // pointer to const is itself writable
        if (hone_tok_is(t, i, ";") || hone_tok_is(t, i, "=") || hone_tok_is(t, i, "[") || hone_tok_is(t, i, "{"))
            return !constant;
        if (t->v[i].kind == HONE_TOK_IDENT)
            *name = i;
    }
    return false;
}

static bool baseline_declares(const scan *s, const hone_task *baseline, size_t name) {
    hone_span w = hone_tok_span(s->t, name);
    for (size_t i = 0; baseline != s->task && i < baseline->tokens.n; i++) {
        hone_span b = hone_tok_span(&baseline->tokens, i);
        size_t at;
        bool storage = hone_tok_is(&baseline->tokens, i, "__device__") || hone_tok_is(&baseline->tokens, i, "static");
        if (storage && b.n && declares_mutable(&baseline->tokens, i, &at)) {
            hone_span other = hone_tok_span(&baseline->tokens, at);
            if (other.n == w.n && memcmp(other.s, w.s, w.n) == 0)
                return true;
        }
    }
    return baseline == s->task;
}

static void check_storage(scan *s, const hone_task *baseline, size_t i) {
    size_t name;
    if ((i && hone_tok_is(s->t, i - 1, "const")) || (i && hone_tok_is(s->t, i - 1, "constexpr")))
        return;
    if (!declares_mutable(s->t, i, &name) || baseline_declares(s, baseline, name))
        return;
    hone_span w = hone_tok_span(s->t, name);
    hone_findings_add(s->f, HONE_F_STATIC_PERSISTENT_STATE, s->task->path, line_of(s, name), evidence_of(s, name),
                      "the variable '%.*s' keeps its value between launches; declare a scratch buffer instead", (int)w.n, w.s);
}

// ---- addresses as numbers
static bool is_integer_word(hone_span w) {
    static const char *const words[] = {"uintptr_t", "intptr_t", "size_t", "uint64_t", "int64_t", "unsigned", "long", "int", "ptrdiff_t",
                                        "uint32_t"};
    for (size_t k = 0; k < HONE_COUNT(words); k++)
        if (hone_span_eq(w, words[k]))
            return true;
    return false;
}

// A small mask or modulus right behind the operand: an alignment test. Looks past the operand and its closing parentheses.
static bool tests_alignment(const hone_tokens *t, size_t i) {
    for (size_t steps = 0; i < t->n && steps < 24; i++, steps++) {
        if (hone_tok_is(t, i, "(") && t->v[i].match)
            i = t->v[i].match;
        else if ((hone_tok_is(t, i, "&") || hone_tok_is(t, i, "%")) && t->v[i + 1].kind == HONE_TOK_NUMBER)
            return strtoul(t->text + t->v[i + 1].at, NULL, 0) <= 255;
        else if (hone_tok_is(t, i, ";") || hone_tok_is(t, i, "{") || hone_tok_is(t, i, "}"))
            return false;
    }
    return false;
}

static bool is_pointer_param(const hone_task *task, const scan *s, size_t i) {
    hone_span w = hone_tok_span(s->t, i);
    for (size_t k = 0; k < task->n_kernels; k++)
        for (size_t p = 0; p < task->kernels[k].n_params; p++)
            if (i > task->kernels[k].tok_lbrace && i < task->kernels[k].tok_rbrace && task->kernels[k].params[p].is_pointer &&
                hone_span_eq(w, task->kernels[k].params[p].name))
                return true;
    return false;
}

static void check_address(scan *s, size_t i) {
    size_t operand;
    if (hone_tok_is(s->t, i, "reinterpret_cast") && hone_tok_is(s->t, i + 1, "<") && is_integer_word(hone_tok_span(s->t, i + 2))) {
        for (operand = i + 2; operand < s->t->n && !hone_tok_is(s->t, operand, ">"); operand++)
            if (hone_tok_is(s->t, operand, "*") || hone_tok_is(s->t, operand, "&"))
                return;                       // a pointer to an integer type: an ordinary access
        operand++;
    } else if (hone_tok_is(s->t, i, "(") && is_integer_word(hone_tok_span(s->t, i + 1)) && s->t->v[i].match) {
        operand = s->t->v[i].match + 1;
        if (hone_tok_is(s->t, operand - 2, "*"))
            return;
        bool pointer_word = hone_tok_is(s->t, i + 1, "uintptr_t") || hone_tok_is(s->t, i + 1, "intptr_t");
        bool bare = operand < s->t->n && is_pointer_param(s->task, s, operand) && !hone_tok_is(s->t, operand + 1, "[");
        if (!pointer_word && !bare)
            return;
    } else {
        return;
    }
    if (!tests_alignment(s->t, operand))
        hone_findings_add(s->f, HONE_F_STATIC_ADDRESS, s->task->path, line_of(s, i), evidence_of(s, operand),
                          "the address of a buffer is used as a number; only alignment tests such as '& 15' are allowed");
}

// ---- directives
static bool header_allowed(const char *name, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        if (name[i] == '.' && name[i + 1] == '.')
            return false;
    for (size_t k = 0; k < HONE_COUNT(headers); k++) {
        size_t len = strlen(headers[k].text);
        if (n >= len && memcmp(name, headers[k].text, len) == 0 && (headers[k].how == PREFIX || n == len))
            return true;
    }
    return false;
}

static void check_include(scan *s, size_t i, const char *p, const char *end) {
    while (p < end && isspace((unsigned char)*p))
        p++;
    char close = p < end && *p == '<' ? '>' : '"';
    const char *stop = p < end && (*p == '<' || *p == '"') ? memchr(p + 1, close, (size_t)(end - p - 1)) : NULL;
    if (!stop)
        hone_findings_add(s->f, HONE_F_STATIC_INCLUDE, s->task->path, line_of(s, i), evidence_of(s, i),
                          "an include whose name is not written out");
    else if (!header_allowed(p + 1, (size_t)(stop - p - 1)))
        hone_findings_add(s->f, HONE_F_STATIC_INCLUDE, s->task->path, line_of(s, i), evidence_of(s, i),
                          "the header '%.*s' is not on the allow-list", (int)(stop - p - 1), p + 1);
}

static void scan_tokens(scan *s, const hone_task *baseline, bool top);

// The text of a #define or #if is scanned like code; brackets in it need not match, so identifiers are found by hand when lexing fails.
static void check_directive_text(scan *s, const hone_task *baseline, size_t i, const char *p, size_t n) {
    hone_arena *a = hone_arena_new(1u << 24);
    hone_tokens inner;
    hone_err ignored = {0};
    if (a && hone_lex(a, p, n, &inner, &ignored) == HONE_OK) {
        scan sub = {s->task, &inner, line_of(s, i) - 1, s->f};
        scan_tokens(&sub, baseline, false);
    } else {
        for (size_t at = 0; at < n;) {
            size_t from = at;
            while (at < n && (isalnum((unsigned char)p[at]) || p[at] == '_'))
                at++;
            hone_tok one[2] = {{.kind = HONE_TOK_IDENT, .at = (uint32_t)from, .len = (uint32_t)(at - from), .line = 1},
                               {.kind = HONE_TOK_EOF, .at = (uint32_t)at}};
            hone_tokens word = {p, n, one, 2};
            scan sub = {s->task, &word, line_of(s, i) - 1, s->f};
            if (at > from)
                check_ident(&sub, 0);
            else
                at++;
        }
    }
    hone_arena_free(a);
}

static bool has_pasting(const char *p, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        if ((p[i] == '#' && p[i + 1] == '#') || (p[i] == '%' && p[i + 1] == ':') || (p[i] == '?' && p[i + 1] == '?'))
            return true;
    return false;
}

static bool word_at(const char *p, const char *end, const char *word) {
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 && (p + n == end || !(isalnum((unsigned char)p[n]) || p[n] == '_'));
}

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

// Whether a directive says what it is: its name stands behind '#' and blanks, in one piece, and no word of it is cut by a line's end. `#/**/include`,
// `#inc\` + `lude` and `__has_inc\` + `lude` mean the same to the compiler as the words themselves.
static bool written_out(const char *p, const char *end) {
    while (p < end && (*p == '#' || *p == ' ' || *p == '\t'))
        p++;
    if (p < end && !in_word(*p) && *p != '\r')
        return false;
    for (const char *at = p; at + 1 < end; at++) {
        const char *after = at + 1 + (at[1] == '\r' && at + 2 < end);
        if (*at == '\\' && at > p && in_word(at[-1]) && *after == '\n' && after + 1 < end && in_word(after[1]))
            return false;
    }
    return true;
}

static void check_directive(scan *s, const hone_task *baseline, size_t i) {
    hone_span w = hone_tok_span(s->t, i);
    const char *p = w.s, *end = w.s + w.n;
    if (!written_out(p, end)) {
        hone_findings_add(s->f, HONE_F_STATIC_PRAGMA, s->task->path, line_of(s, i), evidence_of(s, i), "a directive whose words are not written out");
        return;
    }
    while (p < end && (*p == '#' || isspace((unsigned char)*p)))
        p++;
    static const char *const hiding[] = {"line", "include_next", "import", "assert", "embed", "ident"};
    for (size_t k = 0; k < HONE_COUNT(hiding); k++)
        if (word_at(p, end, hiding[k]))
            hone_findings_add(s->f, HONE_F_STATIC_PRAGMA, s->task->path, line_of(s, i), evidence_of(s, i),
                              "the directive #%s is not allowed", hiding[k]);
    if (word_at(p, end, "include"))
        check_include(s, i, p + strlen("include"), end);
    if (word_at(p, end, "define") && has_pasting(p, (size_t)(end - p)))
        hone_findings_add(s->f, HONE_F_STATIC_TOKEN_PASTING, s->task->path, line_of(s, i), evidence_of(s, i),
                          "a macro pastes tokens together");
    bool splices = memmem(p, (size_t)(end - p), "\\u", 2) || memmem(p, (size_t)(end - p), "\\U", 2);
    if (splices && !word_at(p, end, "pragma"))
        hone_findings_add(s->f, HONE_F_STATIC_PRAGMA, s->task->path, line_of(s, i), evidence_of(s, i),
                          "a directive with escaped identifiers");
    if (word_at(p, end, "define") || word_at(p, end, "if") || word_at(p, end, "elif"))
        check_directive_text(s, baseline, i, p, (size_t)(end - p));
}

static bool mentions_incbin(hone_span w) { return memmem(w.s, w.n, ".incbin", 7) || memmem(w.s, w.n, ".include", 8); }

static void check_punct(scan *s, size_t i) {
    if (hone_tok_is(s->t, i, "<<<"))
        hone_findings_add(s->f, HONE_F_STATIC_DEVICE_LAUNCH, s->task->path, line_of(s, i), evidence_of(s, i),
                          "a kernel launch in code; launches belong in '#pragma hone launch' lines");
    const bool digraph = hone_tok_is(s->t, i, "%") && hone_tok_is(s->t, i + 1, ":") && s->t->v[i + 1].at == s->t->v[i].at + 1;   // %: is #
    if (hone_tok_is(s->t, i, "##") || digraph)
        hone_findings_add(s->f, HONE_F_STATIC_TOKEN_PASTING, s->task->path, line_of(s, i), evidence_of(s, i), "token pasting or digraphs");
}

static void scan_tokens(scan *s, const hone_task *baseline, bool top) {
    for (size_t i = 0; i < s->t->n && s->t->v[i].kind != HONE_TOK_EOF; i++) {
        const hone_tok *k = &s->t->v[i];
        if (k->kind == HONE_TOK_DIRECTIVE && top)
            check_directive(s, baseline, i);
        if (k->kind == HONE_TOK_STRING && mentions_incbin(hone_tok_span(s->t, i)))
            hone_findings_add(s->f, HONE_F_STATIC_INCBIN, s->task->path, line_of(s, i), evidence_of(s, i),
                              "assembly text that reads a file");
        if (k->kind == HONE_TOK_PUNCT)
            check_punct(s, i);
        check_address(s, i);
        if (k->kind != HONE_TOK_IDENT)
            continue;
        check_ident(s, i);
        if (hone_tok_is(s->t, i, "asm") || hone_tok_is(s->t, i, "__asm__") || hone_tok_is(s->t, i, "__asm"))
            check_asm(s, i);
        if (hone_tok_is(s->t, i, "__device__") || (hone_tok_is(s->t, i, "static") && !hone_tok_is(s->t, i + 1, "__device__")))
            check_storage(s, baseline, i);
    }
}

hone_code hone_check_source(const hone_task *task, const hone_task *candidate, hone_findings *f, hone_err *e) {
    if (task != candidate) {
        hone_err why = {0};
        hone_code c = hone_task_same_contract(task, candidate, &why);
        if (c == HONE_E_WRONG)
            hone_findings_add(f, HONE_F_STATIC_CONTRACT, candidate->path, 0, NULL, "%s", why.msg);
        else if (c != HONE_OK)
            return hone_fail(e, c, why.sub, "%s", why.msg);
    }
    scan s = {candidate, &candidate->tokens, 0, f};
    scan_tokens(&s, task, true);
    return HONE_OK;
}
