// Threads that take the next piece from a shared counter until none is left. See parallel.h.
#include "base/parallel.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct loop { void (*piece)(void *self, size_t i); void *self; size_t n; atomic_size_t next; } loop;

static void *take_pieces(void *arg) {
    loop *l = arg;
    for (size_t i; (i = atomic_fetch_add(&l->next, 1)) < l->n;)
        l->piece(l->self, i);
    return NULL;
}

void hone_parallel(unsigned threads, size_t n, void (*piece)(void *self, size_t i), void *self) {
    loop l = {.piece = piece, .self = self, .n = n};
    pthread_t helper[HONE_PARALLEL_MAX];
    unsigned started = 0, most = threads < HONE_PARALLEL_MAX ? threads : HONE_PARALLEL_MAX;
    atomic_init(&l.next, 0);
    while (started + 1 < most && started + 1 < n && pthread_create(&helper[started], NULL, take_pieces, &l) == 0)
        started++;
    take_pieces(&l);
    for (unsigned i = 0; i < started; i++)
        pthread_join(helper[i], NULL);
}
