// race: data races (HONE_VGPU_RACE, HONE_VGPU_RACE_GLOBAL). Two accesses to one byte by different threads, at least one a write and not both
// atomic, with nothing that orders them, are a finding "race.shared" or "race.global" that names both. What orders: block barriers (named
// ones too), mbarriers, release and acquire on an atomic or a volatile variable, at once or through fences; within a warp also
// bar.warp.sync, shfl.sync and the other warp-synchronous instructions, for the lanes that take part. Plain writes of the value that is
// there already are no race. Off: block->race is NULL.
//
//   race.c         what is ordered: clocks of warps, epochs of lanes, fences     race_shared.c   cells of shared memory
//   race_sync.c    what release and acquire publish and observe                  race_global.c   granules of global memory
//   race_sweep.c   keeps their records few                                       race_global_row.c   warps cut into looks at granules
//
// Between warps order is a vector clock per warp, so lanes of one warp count as ordered by a barrier when any of them passed it. threads:
// a block belongs to one host thread at a time; so does its vg_race. With HONE_VGPU_RACE_GLOBAL a launch runs on one host thread.
#ifndef HONE_VGPU_RACE_H
#define HONE_VGPU_RACE_H
#include "vgpu/warp.h"

typedef struct vg_race vg_race;
typedef struct vg_race_global vg_race_global;                  // race_global.c: of a context
// global: NULL when global memory is not watched; shared: is shared memory watched? NULL: no memory. owns: free with vg_race_free
vg_race *vg_race_new(vg_race_global *global, bool shared, size_t shared_bytes, uint32_t n_warps);
void vg_race_free(vg_race *r);
void vg_race_begin(vg_race *r, uint64_t block);                // a new block: everything before is ordered
void vg_race_flush(vg_race *r);                                // judges the last stores; before the block's memory is used again

// One lane's access of shared memory, before it happens. kind as in access.h.
void vg_race_access(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind);
// The same for a warp's plain access whose lanes all lie within shared memory, aligned, a multiple of 4 bytes each. False: nothing was done, and
// vg_race_access has to do it lane by lane; so it does when a store may be over an unordered one.
bool vg_race_shared_row(vg_warp *w, const vg_inst *in, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes, char kind);
// A warp's access of global memory, before it happens; lanes outside mask have no address.
void vg_race_row(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, unsigned bytes, char kind);
// The same of all 32 lanes with plain accesses side by side (step = bytes) or all in one place (step 0, loads). False: vg_race_row has to do it.
bool vg_race_run(vg_warp *w, const vg_inst *in, uint64_t address, uint64_t step, unsigned bytes, char kind);
// A whole warp's plain load of [address, address + bytes), by an instruction whose last allocation holds it, of granules that another read adds nothing to,
// as most loads of most loops are: true, and vg_race_run has nothing to do.
bool vg_race_adds_nothing(vg_warp *w, const vg_inst *in, uint64_t address, unsigned bytes);
// Two lanes of one plain store wrote different values to one address.
void vg_race_disagree(vg_warp *w, const vg_inst *in, unsigned lane, unsigned other, uint64_t address, unsigned bytes);

// Order.
void vg_race_warp_sync(vg_warp *w, uint32_t mask);             // the lanes in mask synchronised
void vg_race_warp_op(vg_warp *w, const vg_inst *in, uint32_t mask);   // a warp-synchronous instruction: each lane with those its mask names
void vg_race_arrive(vg_warp *w, unsigned barrier);             // at a block barrier
void vg_race_leave(vg_warp *w, unsigned barrier, uint32_t mask);
void vg_race_barrier_done(vg_race *r, unsigned barrier);       // all have left
void vg_race_fence(vg_warp *w, uint32_t mask, bool of_block);  // of_block: __threadfence_block, which says nothing to other blocks
void vg_race_publish(vg_warp *w, size_t offset);               // release on the object at that offset of shared memory (mbarrier arrive)
void vg_race_observe(vg_warp *w, size_t offset, uint32_t mask);   // acquire (successful mbarrier wait)

// cp.async (HONE_VGPU_RACE): the copy by a lane, its groups. Reading what has not been waited for is "async.unwaited".
void vg_async_copy(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes);
void vg_async_commit(vg_warp *w, uint32_t mask);
void vg_async_wait(vg_warp *w, uint32_t mask, uint32_t pending);   // pending: newest groups that may stay open; UINT32_MAX: wait_all

// Of a context. NULL: no memory.
struct vg_context;
vg_race_global *vg_race_global_new(void);
void vg_race_global_free(vg_race_global *g);
bool vg_race_global_begin(vg_race_global *g, struct vg_launch *l);   // a launch: everything before is ordered
void vg_race_global_end(vg_race_global *g);
size_t vg_race_global_bytes(const vg_race_global *g);          // of records; the granules of each allocation are beside
#endif
