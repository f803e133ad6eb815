// race: data races on the shared memory of a block (HONE_VGPU_RACE). Two accesses to one byte by different threads, at least one a write
// and not both atomic, with nothing that orders them, are a finding "race.shared" that names both. What orders: block barriers (named
// ones too), mbarriers, release and acquire on an atomic or through fences; within a warp also bar.warp.sync, shfl.sync and the other
// warp-synchronous instructions, for the lanes that take part. Plain writes of the value that is there already are no race. Off:
// block->race is NULL.
//
// Between warps order is a vector clock per warp, so lanes of one warp count as ordered by a barrier when any of them passed it. threads:
// a block belongs to one host thread at a time; so does its vg_race.
#ifndef HONE_VGPU_RACE_H
#define HONE_VGPU_RACE_H
#include "vgpu/warp.h"

typedef struct vg_race vg_race;
vg_race *vg_race_new(size_t shared_bytes, uint32_t n_warps);   // NULL: no memory. owns: free with vg_race_free
void vg_race_free(vg_race *r);
void vg_race_begin(vg_race *r);                                // a new block: everything before is ordered
void vg_race_flush(vg_race *r);                                // judges the last store; before the block's memory is used again

// One lane's access of shared memory, before it happens. kind as in access.h.
void vg_race_access(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind);

// Order.
void vg_race_warp_sync(vg_warp *w, uint32_t mask);             // the lanes in mask synchronised
void vg_race_arrive(vg_warp *w, unsigned barrier);             // at a block barrier
void vg_race_leave(vg_warp *w, unsigned barrier, uint32_t mask);
void vg_race_barrier_done(vg_race *r, unsigned barrier);       // all have left
void vg_race_fence(vg_warp *w);
void vg_race_publish(vg_warp *w, size_t offset);               // release on the object at that offset (mbarrier arrive)
void vg_race_observe(vg_warp *w, size_t offset);               // acquire (successful mbarrier wait)
#endif
