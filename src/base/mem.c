// Checked sizes, the one malloc with its failure hook, arenas and growable arrays. See mem.h.
#include "base/mem.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hone_code hone_mul_size(size_t a, size_t b, size_t *out, hone_err *e) {
    if (__builtin_mul_overflow(a, b, out))
        return hone_fail(e, HONE_E_LIMIT, 0, "size overflow: %zu * %zu bytes", a, b);
    return HONE_OK;
}

hone_code hone_add_size(size_t a, size_t b, size_t *out, hone_err *e) {
    if (__builtin_add_overflow(a, b, out))
        return hone_fail(e, HONE_E_LIMIT, 0, "size overflow: %zu + %zu bytes", a, b);
    return HONE_OK;
}

static _Atomic uint64_t alloc_calls, fail_at;
static _Atomic bool fail_sticky;

void hone_fail_alloc_at(uint64_t n, bool sticky) {
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_at, n ? atomic_load(&alloc_calls) + n : 0);
}

uint64_t hone_alloc_count(void) { return atomic_load(&alloc_calls); }

static bool must_fail(void) {
    uint64_t call = atomic_fetch_add_explicit(&alloc_calls, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return at && (call == at || (call > at && atomic_load(&fail_sticky)));
}

void *hone_malloc(size_t bytes) { return hone_calloc(1, bytes); }

void *hone_calloc(size_t n, size_t size) { return must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1); }

void *hone_realloc(void *p, size_t bytes) { return must_fail() ? NULL : realloc(p, bytes ? bytes : 1); }

void hone_free(void *p) { free(p); }

char *hone_strndup(const char *s, size_t n) {
    char *copy = hone_malloc(n + 1);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *hone_strdup(const char *s) { return hone_strndup(s, strlen(s)); }

// ---- arena: a list of blocks, newest first; big requests get a block of their own
//
//   arena ─► [block: used……|free……] ─► [block: full] ─► …
typedef struct arena_block {
    struct arena_block *older;
    size_t used, cap;
    _Alignas(16) uint8_t data[];
} arena_block;

struct hone_arena {
    arena_block *blocks;
    size_t total, limit;
};

enum { ARENA_FIRST_BLOCK = 4096, ARENA_MAX_BLOCK = 1 << 20 };

hone_arena *hone_arena_new(size_t limit_bytes) {
    hone_arena *a = hone_calloc(1, sizeof *a);
    if (a)
        a->limit = limit_bytes;
    return a;
}

void hone_arena_free(hone_arena *a) {
    if (!a)
        return;
    for (arena_block *b = a->blocks, *older; b; b = older) {
        older = b->older;
        hone_free(b);
    }
    hone_free(a);
}

static arena_block *arena_grow(hone_arena *a, size_t bytes) {
    size_t cap = a->blocks ? a->blocks->cap * 2 : ARENA_FIRST_BLOCK;
    if (cap > ARENA_MAX_BLOCK)
        cap = ARENA_MAX_BLOCK;
    if (cap < bytes)
        cap = bytes;
    if (cap > a->limit - a->total)
        cap = bytes;
    if (cap > a->limit - a->total)
        return NULL;
    arena_block *b = hone_malloc(sizeof *b + cap);
    if (!b)
        return NULL;
    b->cap = cap;
    b->older = a->blocks;
    a->blocks = b;
    a->total += cap;
    return b;
}

void *hone_arena_alloc(hone_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX - 32)
        return NULL;
    size_t need = (bytes + 15) & ~(size_t)15;
    if (!need)
        need = 16;
    arena_block *b = a->blocks;
    if (!b || b->cap - b->used < need) {
        b = arena_grow(a, need);
        if (!b)
            return NULL;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

void *hone_arena_array(hone_arena *a, size_t n, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : hone_arena_alloc(a, bytes);
}

char *hone_arena_strndup(hone_arena *a, const char *s, size_t n) {
    char *copy = hone_arena_alloc(a, n + 1);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *hone_arena_strdup(hone_arena *a, const char *s) { return hone_arena_strndup(a, s, strlen(s)); }

char *hone_arena_printf(hone_arena *a, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : hone_arena_alloc(a, (size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

bool hone_vec_grow(void **v, size_t *cap, size_t n, size_t elem_size) {
    size_t want = *cap ? *cap * 2 : 8, bytes;
    if (want < n)
        want = n;
    if (__builtin_mul_overflow(want, elem_size, &bytes))
        return false;
    void *grown = hone_realloc(*v, bytes);
    if (!grown)
        return false;
    *v = grown;
    *cap = want;
    return true;
}
