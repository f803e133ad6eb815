// The text of inline assembly: every instruction's opcode must be on the allow-list of rules.def and no word of it on the PTX deny-list.
#include "check/internal.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ASM(text) text,
static const char *const allowed[] = {
#include "check/rules.def"
};
#define PTX(text, finding, what) text,
static const char *const denied[] = {
#include "check/rules.def"
};

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool in_list(const char *const *list, size_t count, const char *w, size_t n) {
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == n && memcmp(list[i], w, n) == 0)
            return true;
    return false;
}

static const char *offence(char word[64], const char *w, size_t n, const char *format) {
    static _Thread_local char text[128];
    snprintf(word, 64, "%.*s", (int)(n < 63 ? n : 63), w);
    snprintf(text, sizeof text, format, word);
    return text;
}

// Any word of the statement on the deny-list, with or without the doubled percent sign that asm texts use.
static const char *denied_word(const char *s, size_t n, char word[64]) {
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && s[i] == '%')
            i++;
        size_t name = i;
        while (i < n && is_word(s[i]))
            i++;
        if (i == name) {
            i = i > from ? i : i + 1;
            continue;
        }
        char spelled[64];
        int len = snprintf(spelled, sizeof spelled, "%s%.*s", name > from ? "%" : "", (int)(i - name < 60 ? i - name : 60), s + name);
        if (in_list(denied, HONE_COUNT(denied), spelled, (size_t)len))
            return offence(word, spelled, (size_t)len, "'%s' is not allowed");
    }
    return NULL;
}

static bool word_is_reg(const char *p, const char *end) { return end - p > 4 && memcmp(p, ".reg", 4) == 0 && !is_word(p[4]); }

static const char *statement_offence(const char *s, size_t n, char word[64]) {
    const char *p = s, *end = s + n;
    while (p < end && isspace((unsigned char)*p))
        p++;
    if (p < end && *p == '@') {                        // @!%p1 or @p
        while (p < end && !isspace((unsigned char)*p))
            p++;
        while (p < end && isspace((unsigned char)*p))
            p++;
    }
    const char *colon = memchr(p, ':', (size_t)(end - p));   // label: but not the :: of .L2::128B or .shared::cta
    if (colon && colon + 1 < end && colon[1] != ':' && (colon == s || colon[-1] != ':')) {
        bool label = true;
        for (const char *q = p; q < colon; q++)
            label &= is_word(*q) || *q == '$' || *q == '%' || *q == '=';
        if (label)
            return statement_offence(colon + 1, (size_t)(end - colon - 1), word);
    }
    if (p == end)
        return NULL;
    if (*p == '.')                                     // .reg .pred p;
        return word_is_reg(p, end) ? denied_word(p, (size_t)(end - p), word) : offence(word, p, (size_t)(end - p),
                                                                                       "the directive '%s' is not allowed");
    const char *q = p;
    while (q < end && is_word(*q))
        q++;
    if (q == p || !in_list(allowed, HONE_COUNT(allowed), p, (size_t)(q - p)))
        return offence(word, p, q > p ? (size_t)(q - p) : 1, "the instruction '%s' is not on the allow-list");
    return denied_word(p, (size_t)(end - p), word);
}

static size_t skip_comment(const char *text, size_t i, size_t n) {
    if (i + 1 >= n || text[i] != '/')
        return i;
    if (text[i + 1] == '/') {
        while (i < n && text[i] != '\n')
            i++;
        return i;
    }
    if (text[i + 1] != '*')
        return i;
    for (i += 2; i + 1 < n && !(text[i] == '*' && text[i + 1] == '/'); i++) {}
    return i + 2 < n ? i + 2 : n;
}

static void blank_comments(hone_str *out, const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t next = skip_comment(text, i, n);
        if (next != i)
            hone_str_addc(out, ' ');
        else
            hone_str_addc(out, text[next++]);
        i = next;
    }
}

// Braces of a scope separate statements, braces of a vector operand ({%0,%1}) do not: those stand inside a statement.
const char *hone_asm_offence(const char *text, size_t n, char word[64]) {
    hone_str clean;
    hone_str_init(&clean, 1u << 16);
    blank_comments(&clean, text, n);
    const char *why = clean.failed ? "the text is too long" : NULL;
    size_t from = 0;
    bool blank = true;
    for (size_t i = 0; i <= clean.len && !why; i++) {
        char c = i < clean.len ? clean.s[i] : ';';
        bool scope = (c == '{' || c == '}') && blank;
        if (c == ';' || scope) {
            why = statement_offence(clean.s + from, i - from, word);
            from = i + 1;
            blank = true;
        } else if (!isspace((unsigned char)c)) {
            blank = false;
        }
    }
    hone_str_free(&clean);
    return why;
}
