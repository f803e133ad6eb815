// hone_str: a growable, always NUL-terminated byte string with a stated maximum. A failed append (out of memory or
// over the maximum) sets `failed` and makes later appends no-ops, so a chain is checked once at its end.
#ifndef HONE_BASE_STR_H
#define HONE_BASE_STR_H
#include "base/err.h"

typedef struct hone_str {
    char *s;        // never NULL after hone_str_init, even when failed
    size_t len, cap, max;
    bool failed;
} hone_str;

void hone_str_init(hone_str *b, size_t max);
void hone_str_free(hone_str *b);
void hone_str_clear(hone_str *b);
void hone_str_add(hone_str *b, const char *s);
void hone_str_addn(hone_str *b, const char *s, size_t n);
void hone_str_addc(hone_str *b, char c);
void hone_str_addf(hone_str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *hone_str_take(hone_str *b);                       // caller owns (hone_free); b is empty again; NULL when failed
hone_code hone_str_check(const hone_str *b, const char *what, hone_err *e);   // HONE_OK, or NOMEM/LIMIT naming `what`

typedef struct hone_span { const char *s; size_t n; } hone_span;   // borrowed text, not terminated
bool hone_span_eq(hone_span a, const char *s);
// Edit distance ≤ max, for "did you mean"; returns max+1 when farther.
size_t hone_edit_distance(const char *a, const char *b, size_t max);
#endif
