// Texts of others: candidates, model replies, archives, what a dying program wrote. Before they reach a terminal or JSON, what would act there is
// spelled out.
#ifndef HONE_BASE_VISIBLE_H
#define HONE_BASE_VISIBLE_H
#include <stdbool.h>
#include <stddef.h>

// A copy with control characters, characters that hide or reorder others, and bytes that are no UTF-8 spelled out (<U+001B>, <FF>); tabs and
// line ends stay. Always valid UTF-8. owns: caller (hone_free). NULL when out of memory. source: "Trojan Source" (Boucher, Anderson 2021).
char *hone_visible(const char *text, size_t n);
// Whether all n bytes are UTF-8 without NUL; else *bad is the first byte that is not.
bool hone_is_utf8(const char *text, size_t n, size_t *bad);
#endif
