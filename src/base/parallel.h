// A loop over independent pieces on a few threads, for filling and comparing large buffers. Threads live for one call: pieces should be worth
// a fraction of a millisecond each.
#ifndef HONE_PARALLEL_H
#define HONE_PARALLEL_H
#include <stddef.h>

enum { HONE_PARALLEL_MAX = 8 };
// Calls piece(self, i) once for each i < n, on at most `threads` threads (the caller is one of them; 0 counts as 1) and at most
// HONE_PARALLEL_MAX. Order is not defined; returns when all are done. A thread that cannot be had is done without.
void hone_parallel(unsigned threads, size_t n, void (*piece)(void *self, size_t i), void *self);
#endif
