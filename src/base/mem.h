// Memory: checked sizes, one malloc (with a hook that makes the n-th call fail, for tests), and an arena.
#ifndef HONE_BASE_MEM_H
#define HONE_BASE_MEM_H
#include "base/err.h"

// *out = a*b or a+b; HONE_E_LIMIT when it does not fit.
hone_code hone_mul_size(size_t a, size_t b, size_t *out, hone_err *e);
hone_code hone_add_size(size_t a, size_t b, size_t *out, hone_err *e);

// Return NULL on failure. Zeroed unless resized. Free with hone_free (NULL is fine).
void *hone_malloc(size_t bytes);
void *hone_calloc(size_t n, size_t size);   // checks n*size
void *hone_realloc(void *p, size_t bytes);
char *hone_strdup(const char *s);
char *hone_strndup(const char *s, size_t n);
void hone_free(void *p);
// Test hook: the n-th allocation from now (1-based) fails, and every later one when `sticky`. 0 switches it off.
void hone_fail_alloc_at(uint64_t n, bool sticky);
uint64_t hone_alloc_count(void);

// An arena: everything allocated from it dies with it. Grows in blocks; limit_bytes is its stated maximum.
typedef struct hone_arena hone_arena;
hone_arena *hone_arena_new(size_t limit_bytes);                     // NULL when out of memory
void hone_arena_free(hone_arena *a);                                // NULL is fine
void *hone_arena_alloc(hone_arena *a, size_t bytes);                // zeroed, 16-aligned; NULL when out of memory or over the limit
void *hone_arena_array(hone_arena *a, size_t n, size_t size);       // checked n*size
char *hone_arena_strndup(hone_arena *a, const char *s, size_t n);
char *hone_arena_strdup(hone_arena *a, const char *s);
char *hone_arena_printf(hone_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Growable array: HONE_VEC(int) v = {0}; if (!hone_vec_push(&v, 3)) nomem; … hone_vec_free(&v).
#define HONE_VEC(T) struct { T *v; size_t n, cap; }
bool hone_vec_grow(void **v, size_t *cap, size_t n, size_t elem_size);
#define hone_vec_push(a, x)                                                                            \
    (((a)->n < (a)->cap || hone_vec_grow((void **)&(a)->v, &(a)->cap, (a)->n + 1, sizeof *(a)->v)) ?   \
         ((a)->v[(a)->n++] = (x), true) : false)
#define hone_vec_free(a) (hone_free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)
#endif
