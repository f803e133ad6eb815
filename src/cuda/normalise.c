// The normal form of a source text, for duplicate detection: two texts with the same token sequence and directives get the same bytes.
// Comments, white space, line breaks and continuations do not count; names do. Sits on lex.c; search/ hashes the result.
#include "cuda/lex.h"
#include <string.h>

static void add_token(hone_str *b, const hone_tokens *t, size_t i) {
    hone_span s = hone_tok_span(t, i);
    if (b->len && b->s[b->len - 1] != '\n')
        hone_str_addc(b, ' ');
    hone_str_addn(b, s.s, s.n);
}

// A directive other than ours keeps where it has white space, since `#define F(x)` and `#define F (x)` differ.
static void add_folded(hone_str *b, const hone_tokens *d) {
    hone_str_addc(b, '#');
    for (size_t i = 0; i + 1 < d->n; i++) {
        hone_span s = hone_tok_span(d, i);
        if (i && d->v[i].space_before)
            hone_str_addc(b, ' ');
        hone_str_addn(b, s.s, s.n);
    }
}

static hone_code add_directive(hone_str *b, const hone_tokens *t, size_t i, hone_err *e) {
    hone_arena *scratch = hone_arena_new(4 * (size_t)HONE_SOURCE_MAX);
    if (!scratch)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory normalising source");
    hone_tokens d;
    hone_code c = hone_lex_directive(scratch, t, i, &d, e);
    if (c == HONE_OK) {
        if (b->len && b->s[b->len - 1] != '\n')
            hone_str_addc(b, '\n');
        if (hone_tok_is_pragma(t, i)) {
            hone_str_add(b, "#pragma hone");
            for (size_t k = 2; k + 1 < d.n; k++)
                add_token(b, &d, k);
        } else {
            add_folded(b, &d);
        }
        hone_str_addc(b, '\n');
    }
    hone_arena_free(scratch);
    return c;
}

hone_code hone_normalise(const char *text, size_t len, char **out, size_t *out_len, hone_err *e) {
    hone_arena *a = hone_arena_new(16 * (size_t)HONE_SOURCE_MAX * sizeof(hone_tok));
    if (!a)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory normalising source");
    hone_tokens t;
    hone_str b;
    hone_str_init(&b, 2 * (size_t)HONE_SOURCE_MAX + 64);
    hone_code c = hone_lex(a, text, len, &t, e);
    for (size_t i = 0; c == HONE_OK && i + 1 < t.n; i++) {
        if (t.v[i].kind == HONE_TOK_DIRECTIVE)
            c = add_directive(&b, &t, i, e);
        else
            add_token(&b, &t, i);
    }
    if (c == HONE_OK)
        c = hone_str_check(&b, "normalised source", e);
    if (c == HONE_OK) {
        *out_len = b.len;
        *out = hone_str_take(&b);
        if (!*out)
            c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory normalising source");
    }
    hone_str_free(&b);
    hone_arena_free(a);
    return c;
}
