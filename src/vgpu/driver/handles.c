// The registry of live handles: an open-addressed hash table of pointers with their kinds, under one lock.
#include "vgpu/driver/handles.h"
#include "base/base.h"
#include <pthread.h>

typedef struct slot { const void *p; uint32_t kind; } slot;   // p NULL: never used; kind 0: dropped
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static slot *slots;
static size_t n_slots, n_used;   // a power of two; slots whose p is set

static size_t home(const void *p) { return (size_t)(((uint64_t)(uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (n_slots - 1); }

static slot *find(const void *p) {
    if (!n_slots || !p)
        return NULL;
    size_t i = home(p);
    while (slots[i].p && slots[i].p != p)
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static bool grow(void) {
    size_t old_n = n_slots, live = 0;
    slot *old = slots;
    for (size_t i = 0; i < old_n; i++)
        live += old[i].kind != 0;
    size_t n = 64;
    while (n < live * 4)
        n *= 2;
    slot *fresh = hone_calloc(n, sizeof *fresh);
    if (!fresh)
        return false;
    slots = fresh;
    n_slots = n;
    n_used = live;
    for (size_t i = 0; i < old_n; i++)
        if (old[i].kind)
            *find(old[i].p) = old[i];
    hone_free(old);
    return true;
}

bool vg_handle_add(const void *p, uint32_t kind) {
    pthread_mutex_lock(&lock);
    bool fine = (n_used + 1) * 2 <= n_slots || grow();
    if (fine) {
        slot *s = find(p);
        n_used += !s->p;
        *s = (slot){p, kind};
    }
    pthread_mutex_unlock(&lock);
    return fine;
}

void vg_handles_free(void) {
    pthread_mutex_lock(&lock);
    hone_free(slots);
    slots = NULL;
    n_slots = n_used = 0;
    pthread_mutex_unlock(&lock);
}

void vg_handle_drop(const void *p) {
    pthread_mutex_lock(&lock);
    slot *s = find(p);
    if (s && s->p)
        s->kind = 0;
    pthread_mutex_unlock(&lock);
}

bool vg_handle_is(const void *p, uint32_t kind) {
    pthread_mutex_lock(&lock);
    const slot *s = find(p);
    bool is = s && s->p && s->kind == kind;
    pthread_mutex_unlock(&lock);
    return is;
}
