// Stage 0 on the PTX: what the compiler made of the source. It works on the text, statement by statement, not on a parsed module, so that a
// construct the virtual GPU does not know yet is still judged. What the baseline's PTX contains too is not held against the candidate.
#include "check/internal.h"
#include <ctype.h>
#include <string.h>

typedef struct word_rule { const char *text; hone_finding_kind kind; const char *what; } word_rule;
#define PTX(text, finding, what) {text, HONE_F_##finding, what},
static const word_rule words[] = {
#include "check/rules.def"
};

typedef struct ptx_scan { const char *p, *end; uint32_t line; } ptx_scan;

static bool ident_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%'; }

// The next word (letters, digits, _ $ %), or one punctuation character; comments and strings are skipped. false at the end.
static bool next_word(ptx_scan *s, hone_span *w) {
    while (s->p < s->end) {
        char c = *s->p;
        if (c == '\n')
            s->line++, s->p++;
        else if (isspace((unsigned char)c))
            s->p++;
        else if (c == '/' && s->p + 1 < s->end && s->p[1] == '/')
            while (s->p < s->end && *s->p != '\n')
                s->p++;
        else if (c == '/' && s->p + 1 < s->end && s->p[1] == '*')
            for (s->p += 2; s->p < s->end && !(s->p[-1] == '/' && s->p[-2] == '*'); s->p++)
                s->line += *s->p == '\n';
        else if (c == '"')
            for (s->p++; s->p < s->end && *s->p++ != '"';) {}
        else
            break;
    }
    if (s->p >= s->end)
        return false;
    w->s = s->p;
    while (s->p < s->end && ident_char(*s->p))
        s->p++;
    if (s->p == w->s)
        s->p++;
    w->n = (size_t)(s->p - w->s);
    return true;
}

static bool span_same(hone_span a, hone_span b) { return a.n == b.n && memcmp(a.s, b.s, a.n) == 0; }

static bool contains_word_times(const char *ptx, size_t len, hone_span want, unsigned times) {
    if (!ptx)
        return false;
    ptx_scan s = {ptx, ptx + len, 1};
    hone_span w;
    while (next_word(&s, &w))
        if (span_same(w, want) && --times == 0)
            return true;
    return false;
}

static bool contains_word(const char *ptx, size_t len, hone_span want) { return contains_word_times(ptx, len, want, 1); }

// Words are reported once each: a kernel that reads the clock in a loop is one finding, not forty.
static void check_words(const char *ptx, size_t len, const char *base, size_t base_len, hone_findings *f) {
    bool seen[HONE_COUNT(words)] = {false};
    ptx_scan s = {ptx, ptx + len, 1};
    hone_span w;
    while (next_word(&s, &w))
        for (size_t k = 0; k < HONE_COUNT(words); k++) {
            if (seen[k] || !hone_span_eq(w, words[k].text))
                continue;
            seen[k] = true;
            if (!contains_word(base, base_len, w))
                hone_findings_add(f, words[k].kind, "ptx", s.line, json_pack("{s:s}", "word", words[k].text), "the compiled code %s ('%s')",
                                  words[k].what, words[k].text);
        }
}

static hone_finding_kind extern_kind(hone_span name, const char **what) {
    static const struct { const char *prefix; hone_finding_kind kind; const char *what; } known[] = {
        {"vprintf", HONE_F_STATIC_PRINT, "prints"},         {"__assertfail", HONE_F_STATIC_PRINT, "asserts"},
        {"malloc", HONE_F_STATIC_PRINT, "allocates"},       {"free", HONE_F_STATIC_PRINT, "frees"},
        {"cuda", HONE_F_STATIC_DEVICE_LAUNCH, "calls the CUDA runtime"},
        {"__cuda", HONE_F_STATIC_DEVICE_LAUNCH, "calls the CUDA runtime"},
    };
    for (size_t k = 0; k < HONE_COUNT(known); k++) {
        size_t n = strlen(known[k].prefix);
        if (name.n >= n && memcmp(name.s, known[k].prefix, n) == 0) {
            *what = known[k].what;
            return known[k].kind;
        }
    }
    *what = "is not defined here";
    return HONE_F_STATIC_EXTERN;
}

// A declaration at module scope, from its first word to ; { or =: what it declares and whether it is initialised.
typedef struct decl { bool is_extern, is_func, is_global, is_entry, initialised; hone_span name; uint32_t line; } decl;

static bool read_decl(ptx_scan *s, decl *d) {
    hone_span w;
    *d = (decl){0};
    bool after_dot = false;
    unsigned parens = 0;
    while (next_word(s, &w)) {
        if (!d->line)
            d->line = s->line;
        char c = w.s[0];
        if (c == ';' || c == '{' || c == '=') {
            d->initialised = c == '=';
            return true;
        }
        parens = c == '(' ? parens + 1 : c == ')' && parens ? parens - 1 : parens;
        if (after_dot) {
            d->is_extern |= hone_span_eq(w, "extern");
            d->is_func |= hone_span_eq(w, "func");
            d->is_entry |= hone_span_eq(w, "entry");
            d->is_global |= hone_span_eq(w, "global");
            if (hone_span_eq(w, "loc") || hone_span_eq(w, "file") || hone_span_eq(w, "version") || hone_span_eq(w, "target") ||
                hone_span_eq(w, "address_size"))
                return true;                            // lines without a terminator
        } else if (ident_char(c) && !isdigit((unsigned char)c) && !parens && !(d->is_func && d->name.n)) {
            d->name = w;
        }
        after_dot = c == '.';
    }
    return false;
}

static void skip_braces(ptx_scan *s, unsigned depth) {
    hone_span w;
    while (depth && next_word(s, &w))
        depth = w.s[0] == '{' ? depth + 1 : w.s[0] == '}' ? depth - 1 : depth;
}

// A variable that nothing names but its declaration keeps nothing: the toolkit's headers leave some, such as integral_constant<…>::value.
static void check_decl(const decl *d, const char *ptx, size_t len, const char *base, size_t base_len, hone_findings *f) {
    if (!d->name.n || contains_word(base, base_len, d->name))
        return;
    int n = (int)(d->name.n < 100 ? d->name.n : 100);
    json_t *evidence = json_pack("{s:s%}", "name", d->name.s, (size_t)n);
    if (d->is_extern && (d->is_func || d->is_global)) {
        const char *what;
        hone_finding_kind k = extern_kind(d->name, &what);
        hone_findings_add(f, k, "ptx", d->line, evidence, "the compiled code needs '%.*s', which %s", n, d->name.s, what);
    } else if (d->is_global && !d->is_func && !d->is_entry && !d->initialised && contains_word_times(ptx, len, d->name, 2)) {
        hone_findings_add(f, HONE_F_STATIC_PERSISTENT_STATE, "ptx", d->line, evidence,
                          "the variable '%.*s' lives in global memory from launch to launch", n, d->name.s);
    } else {
        json_decref(evidence);
    }
}

static void check_decls(const char *ptx, size_t len, const char *base, size_t base_len, hone_findings *f) {
    ptx_scan s = {ptx, ptx + len, 1};
    decl d;
    while (read_decl(&s, &d)) {
        check_decl(&d, ptx, len, base, base_len, f);
        char stopped = s.p > ptx ? s.p[-1] : ';';
        if (stopped == '{')
            skip_braces(&s, 1);
        else if (stopped == '=')
            for (hone_span w; next_word(&s, &w) && w.s[0] != ';';) {}
    }
}

hone_code hone_check_ptx(const char *ptx, size_t len, const char *baseline_ptx, size_t baseline_len, hone_findings *f, hone_err *e) {
    (void)e;
    check_words(ptx, len, baseline_ptx, baseline_len, f);
    check_decls(ptx, len, baseline_ptx, baseline_len, f);
    return HONE_OK;
}

static bool float_type(hone_span w) {
    static const char *const types[] = {"f16", "f16x2", "bf16", "bf16x2", "f32", "f64"};
    for (size_t i = 0; i < HONE_COUNT(types); i++)
        if (hone_span_eq(w, types[i]))
            return true;
    return false;
}

// An atomic compare-and-swap counts too: floats are added that way where the type has no atomic of its own.
bool hone_ptx_float_atomics(const char *ptx, size_t len) {
    ptx_scan s = {ptx, ptx + len, 1};
    hone_span w;
    bool atomic = false;
    while (next_word(&s, &w)) {
        if (hone_span_eq(w, "atom") || hone_span_eq(w, "red"))
            atomic = true;
        else if (w.s[0] == ';' || ((w.s[0] == '%' || w.s[0] == '[') && atomic))
            atomic = false;
        else if (atomic && (float_type(w) || hone_span_eq(w, "cas")))
            return true;
    }
    return false;
}
