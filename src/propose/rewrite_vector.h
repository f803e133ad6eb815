// propose/rewrite_vector: which buffers a kernel touches at its own index, for moves that give each thread several neighbouring elements.
#ifndef HONE_PROPOSE_REWRITE_VECTOR_H
#define HONE_PROPOSE_REWRITE_VECTOR_H
#include "propose/rewrite.h"
enum { MAX_LANES_BUFFERS = 12 };
typedef struct lanes_buffer { const char *name, *type, *local; bool read, written, conditional; unsigned bytes; } lanes_buffer;
typedef struct lanes { lanes_buffer b[MAX_LANES_BUFFERS]; size_t n; rw_subst s[64]; size_t n_s; } lanes;   // s: accesses → local.v[u]
// Every store is to buffer[i], as are loads from written buffers. With `atomics`, addresses taken for atomics are left alone.
bool rw_lanes_of(rw *r, const rw_unit *u, const rw_frame *f, lanes *l, bool atomics);
extern const char *rw_vector_key, *rw_vector_helper;
#endif
