// race_sync: what release and acquire publish and observe, for the race detector (race.h). A sync object is an address that strong accesses
// (atomics, volatile, mbarriers) go through. Every release on it is kept with the vector clock of its block; an acquire says "I know the first
// n releases of this object". Order between blocks is a search through these references, so that no clock is as long as the grid.
#ifndef HONE_VGPU_RACE_SYNC_H
#define HONE_VGPU_RACE_SYNC_H
#include "base/base.h"

enum { VG_RACE_WARPS = 32 };
typedef struct vg_clocks { uint32_t v[VG_RACE_WARPS]; } vg_clocks;   // per warp of one block: up to which of its clocks everything is known
static inline void vg_clocks_join(vg_clocks *to, const vg_clocks *from) {
    for (unsigned i = 0; i < VG_RACE_WARPS; i++)
        to->v[i] = to->v[i] > from->v[i] ? to->v[i] : from->v[i];
}

// What a block has acquired from others. A warp of the block knows an item once its own clock of `warp` has reached `clock`.
typedef struct vg_acquired { uint32_t object, n, warp, clock; } vg_acquired;
typedef struct vg_knowledge { HONE_VEC(vg_acquired) items; } vg_knowledge;

typedef struct vg_release {
    uint32_t object, at, block, warp, epoch;   // at: its number among the releases of the object
    uint32_t before;                           // earlier release of the same block on the same object + 1; 0: none
    vg_clocks device, local;                   // published to the device; to threads of the same block
    const vg_knowledge *knowledge;             // of the block, its first n_known items; NULL: none
    uint32_t n_known;
} vg_release;

typedef struct vg_sync vg_sync;
vg_sync *vg_sync_new(void);
void vg_sync_free(vg_sync *s);
void vg_sync_clear(vg_sync *s);
// The object at an address; make: false: UINT32_MAX when it has none.
uint32_t vg_sync_object(vg_sync *s, uint64_t address, bool make);
uint32_t vg_sync_releases(const vg_sync *s, uint32_t object);
void vg_sync_release(vg_sync *s, const vg_release *r);   // object, block, warp, epoch, clocks, knowledge are the caller's
// The latest release of a block among the first n of an object, or NULL.
const vg_release *vg_sync_latest(const vg_sync *s, uint32_t object, uint32_t n, uint32_t block);
vg_knowledge *vg_sync_knowledge(vg_sync *s);             // a new one, owned by s; NULL: no memory
// Does a warp with these clocks and knowledge know clock `clock` of warp `warp` of another block?
bool vg_sync_knows(vg_sync *s, const vg_knowledge *k, const vg_clocks *now, uint32_t block, uint32_t warp, uint32_t clock);
#endif
