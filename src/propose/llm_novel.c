// propose/llm_novel: whether an answer repeats a candidate that is known. Two texts are as alike as their sets of shingles (runs of five tokens, comments and
// white space aside) overlap. One that is alike to 98 % and has the same numbers and directives, tune lines among them, would be the same measurement again:
// it is asked for once more instead. A number or a directive that differs is a different idea, however short; so is any change to a candidate that was refused.
// source: Broder, On the resemblance and containment of documents (1997)
#include "cuda/lex.h"
#include "propose/llm_internal.h"
#include <stdlib.h>
#include <string.h>

enum { SHINGLE = 5, MAX_PRINTS = 512, SCRATCH = 32 << 20 };
static const double alike = 0.98;

typedef struct print {
    const hone_candidate *of;
    uint64_t *shingles;   // sorted, no two equal
    size_t n;
    uint64_t fixed;       // of the numbers and directives, in any order
} print;
struct hone_prints {
    HONE_VEC(print) v;
    size_t seen;   // of the history
};

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the llm proposer"); }

void hone_prints_free(struct hone_prints *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->v.n; i++)
        hone_free(p->v.v[i].shingles);
    hone_vec_free(&p->v);
    hone_free(p);
}

// ---- one text

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t hash_token(const hone_tokens *t, size_t i) {
    hone_span s = hone_tok_span(t, i);
    return hone_hash64(s.s, s.n, t->v[i].kind);
}

static bool shingles_of(const hone_tokens *t, print *out) {
    size_t n = t->n ? t->n - 1 : 0, kept = 0;   // without the end
    uint64_t *hash = hone_calloc(n + 1, sizeof *hash);
    out->shingles = hone_calloc(n + 1, sizeof *out->shingles);
    if (!hash || !out->shingles) {
        hone_free(hash);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        hash[i] = hash_token(t, i);
        if (t->v[i].kind == HONE_TOK_NUMBER || t->v[i].kind == HONE_TOK_DIRECTIVE)
            out->fixed += hash[i] * 0x9e3779b97f4a7c15u;
    }
    for (size_t i = 0; i + SHINGLE <= n; i++)
        out->shingles[out->n++] = hone_hash64(hash + i, SHINGLE * sizeof *hash, 0);
    qsort(out->shingles, out->n, sizeof *out->shingles, by_value);
    for (size_t i = 0; i < out->n; i++)
        if (i == 0 || out->shingles[i] != out->shingles[i - 1])
            out->shingles[kept++] = out->shingles[i];
    out->n = kept;
    hone_free(hash);
    return true;
}

// *ok false: it is no text that can be read; then it is like none.
static hone_code print_of(const char *text, size_t len, print *out, bool *ok, hone_err *e) {
    hone_arena *a = hone_arena_new(SCRATCH);
    hone_tokens t;
    hone_err why = {0};
    *out = (print){0};
    if (!a)
        return nomem(e);
    hone_code c = hone_lex(a, text, len, &t, &why);
    *ok = c == HONE_OK;
    bool made = c != HONE_OK || shingles_of(&t, out);
    hone_arena_free(a);
    if (c == HONE_E_NOMEM || !made) {
        hone_free(out->shingles);
        out->shingles = NULL;
        return nomem(e);
    }
    return HONE_OK;
}

static double overlap(const print *a, const print *b) {
    size_t i = 0, k = 0, both = 0;
    while (i < a->n && k < b->n) {
        uint64_t x = a->shingles[i], y = b->shingles[k];
        both += x == y;
        i += x <= y;
        k += y <= x;
    }
    size_t any = a->n + b->n - both;
    return any ? (double)both / (double)any : 0;
}

// ---- the archive

static bool has_text(const struct hone_prints *p, const hone_candidate *c) {
    for (size_t i = 0; i < p->v.n; i++)
        if (p->v.v[i].of->text == c->text)
            return true;
    return false;
}

static hone_code catch_up(struct hone_prints *p, const hone_context *ctx, hone_err *e) {
    for (; p->seen < ctx->n_history; p->seen++) {
        const hone_candidate *c = ctx->history[p->seen];
        print x;
        bool ok;
        if (!c->ok || p->v.n == MAX_PRINTS || has_text(p, c))
            continue;
        HONE_TRY(print_of(c->text, c->len, &x, &ok, e));
        x.of = c;
        if (ok && !hone_vec_push(&p->v, x)) {
            hone_free(x.shingles);
            return nomem(e);
        }
    }
    return HONE_OK;
}

hone_code hone_novel_check(hone_writer *w, const hone_context *ctx, const char *text, size_t len, const hone_candidate **like, double *share, hone_err *e) {
    print x;
    bool ok;
    *like = NULL;
    if (!w->prints && !(w->prints = hone_calloc(1, sizeof *w->prints)))
        return nomem(e);
    HONE_TRY(catch_up(w->prints, ctx, e));
    HONE_TRY(print_of(text, len, &x, &ok, e));
    for (size_t i = 0; ok && i < w->prints->v.n && !*like; i++) {
        const print *k = &w->prints->v.v[i];
        *share = k->fixed == x.fixed ? overlap(k, &x) : 0;
        if (*share >= alike)
            *like = k->of;
    }
    hone_free(x.shingles);
    return HONE_OK;
}
