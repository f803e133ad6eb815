// async: see async.h. The list is short: a pipeline has a few copies in flight.
#include "vgpu/async.h"
#include "base/base.h"
#include "vgpu/access.h"

typedef struct pending { uint32_t mbarrier, phase; uint64_t at; size_t bytes; } pending;
struct vg_async { HONE_VEC(pending) v; };

vg_async *vg_async_new(void) { return hone_calloc(1, sizeof(vg_async)); }
void vg_async_free(vg_async *a) {
    if (a)
        hone_vec_free(&a->v);
    hone_free(a);
}
void vg_async_clear(vg_async *a) { a->v.n = 0; }
bool vg_async_any(const vg_async *a) { return a->v.n != 0; }

// Pieces of one copy (rows of a tensor's box) are mostly neighbours: they become one entry.
static bool extend(vg_async *a, const pending *p) {
    pending *last = a->v.n ? &a->v.v[a->v.n - 1] : NULL;
    if (!last || last->mbarrier != p->mbarrier || last->phase != p->phase || last->at + last->bytes != p->at)
        return false;
    last->bytes += p->bytes;
    return true;
}

void vg_async_begin(vg_block *b, uint32_t mbarrier, uint32_t phase, uint64_t at, size_t bytes) {
    const pending p = {mbarrier, phase, at, bytes};
    if (!b->shared_shadow || !bytes)
        return;
    if (extend(b->async, &p) || hone_vec_push(&b->async->v, p))
        vg_bits_clear(b->shared_shadow->bits, at, bytes);
    else
        vg_bits_set(b->shared_shadow->bits, at, bytes);   // without memory the check is lost, nothing else
}

void vg_async_waited(vg_block *b, uint32_t mbarrier, uint32_t phase) {
    vg_async *a = b->async;
    for (size_t i = 0; i < a->v.n;) {
        const pending p = a->v.v[i];
        if (p.mbarrier != mbarrier || p.phase != phase) {
            i++;
            continue;
        }
        vg_bits_set(b->shared_shadow->bits, p.at, p.bytes);
        a->v.v[i] = a->v.v[--a->v.n];
    }
}

bool vg_async_pending(const vg_async *a, uint64_t at, size_t bytes, uint32_t *mbarrier) {
    for (size_t i = 0; a && i < a->v.n; i++)
        if (at < a->v.v[i].at + a->v.v[i].bytes && a->v.v[i].at < at + bytes) {
            *mbarrier = a->v.v[i].mbarrier;
            return true;
        }
    return false;
}
