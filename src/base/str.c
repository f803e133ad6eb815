// Growable strings with a maximum, spans and edit distance. See str.h.
#include "base/str.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static char empty_text[1];

void hone_str_init(hone_str *b, size_t max) { *b = (hone_str){.s = empty_text, .max = max}; }

void hone_str_free(hone_str *b) {
    if (b->s != empty_text)
        hone_free(b->s);
    hone_str_init(b, b->max);
}

void hone_str_clear(hone_str *b) {
    b->len = 0;
    b->failed = false;
    if (b->s != empty_text)
        b->s[0] = '\0';
}

static bool str_reserve(hone_str *b, size_t more) {
    if (b->failed || more > b->max || b->len > b->max - more)
        return !(b->failed = true);
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap * 2 : 64;
    if (cap < need)
        cap = need;
    char *grown = hone_realloc(b->s == empty_text ? NULL : b->s, cap);
    if (!grown)
        return !(b->failed = true);
    grown[b->len] = '\0';
    b->s = grown;
    b->cap = cap;
    return true;
}

void hone_str_addn(hone_str *b, const char *s, size_t n) {
    if (!n || !str_reserve(b, n))
        return;
    memcpy(b->s + b->len, s, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void hone_str_add(hone_str *b, const char *s) { hone_str_addn(b, s, strlen(s)); }

void hone_str_addc(hone_str *b, char c) { hone_str_addn(b, &c, 1); }

void hone_str_addf(hone_str *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0 && str_reserve(b, (size_t)n)) {
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

char *hone_str_take(hone_str *b) {
    char *s = NULL;
    if (!b->failed)
        s = b->s == empty_text ? hone_strdup("") : b->s;
    if (s == b->s)
        b->s = empty_text;
    hone_str_free(b);
    b->len = b->cap = 0;
    b->failed = false;
    return s;
}

hone_code hone_str_check(const hone_str *b, const char *what, hone_err *e) {
    if (!b->failed)
        return HONE_OK;
    if (b->len >= b->max / 2)
        return hone_fail(e, HONE_E_LIMIT, 0, "%s is larger than its limit of %zu bytes", what, b->max);
    return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for %s", what);
}

bool hone_span_eq(hone_span a, const char *s) { return strlen(s) == a.n && !memcmp(a.s, s, a.n); }

size_t hone_edit_distance(const char *a, const char *b, size_t max) {
    enum { LONGEST = 63 };
    size_t la = strlen(a), lb = strlen(b), row[LONGEST + 1];
    if (la > LONGEST || lb > LONGEST)
        return max + 1;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[lb] <= max ? row[lb] : max + 1;
}
