// race_internal: what the parts of the race detector share (race.h).
#ifndef HONE_VGPU_RACE_INTERNAL_H
#define HONE_VGPU_RACE_INTERNAL_H
#include "vgpu/context.h"
#include "vgpu/exec.h"
#include "vgpu/race.h"
#include "vgpu/race_sync.h"

enum { RACE_BARRIERS = 18 };   // the block's, then two that cluster barriers take in turn
typedef struct race_pending { vg_sync *sync; uint32_t object, n; bool of_block; } race_pending;   // seen by a relaxed read, in force after a fence
typedef struct race_warp {
    vg_clocks now, fence_block, fence_device;
    bool fenced, fenced_device;
    uint32_t epoch, full, fence_epoch;     // synchronisations of lanes; the last of all lanes; the last fence's
    uint32_t seen[VG_LANES][VG_LANES];     // [lane][other]: last epoch of `other` that is ordered before lane
    HONE_VEC(race_pending) pending;
} race_warp;
typedef struct race_meeting { vg_clocks now, fence_block, fence_device; bool fenced, fenced_device; } race_meeting;   // at a barrier

typedef struct race_cells race_cells;      // race_shared.c
typedef struct race_async race_async;      // race_async.c
struct vg_race {
    uint32_t n_warps, block;
    race_warp *warps;
    race_meeting barrier[RACE_BARRIERS];
    vg_sync *objects;                      // of shared memory
    race_cells *cells;                     // NULL: shared memory is not watched
    race_async *async;                     // NULL until a copy is issued
    vg_race_global *global;
    uint64_t last_at[16];                  // by the place of an instruction's last allocation (vg_warp.near): offset of its last load
    vg_knowledge *knowledge;               // what the block acquired from others; NULL: nothing
};
static inline race_warp *race_warp_of(const vg_warp *w) { return &w->block->race->warps[w->index]; }

// A strong access of an object (PTX ISA 8.9): publishes and observes.
void race_strong(vg_warp *w, const ptx_inst *in, vg_sync *sync, uint64_t address, uint32_t mask, char kind);
static inline bool race_is_volatile(const ptx_inst *in) { return in->sem == PTX_VOLATILE; }
static inline bool race_is_strong(const ptx_inst *in) {
    if (in->op == PTX_OP_MBARRIER)
        return in->sub != PTX_MB_INIT;
    return in->op == PTX_OP_ATOM || in->op == PTX_OP_RED || in->sem >= PTX_VOLATILE || (in->op == PTX_OP_CP && in->sub == PTX_CP_MBARRIER_ARRIVE);
}
// Are lanes `mine` of the warp after what lanes `theirs` of it did in `epoch`? Lanes in both are one thread.
bool race_lanes_ordered(const race_warp *s, uint32_t mine, uint32_t theirs, uint32_t epoch);

race_cells *race_cells_new(size_t shared_bytes);
void race_cells_free(race_cells *c);
void race_cells_flush(race_cells *c);
void race_async_free(race_async *a);
void race_async_begin(race_async *a);
// A read of bytes that a copy is still writing.
void race_async_read(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes);
vg_sync *race_global_objects(vg_race_global *g);
void race_global_flush(vg_race_global *g);

// Sites: instructions of a program by one number.
static inline uint32_t race_site(const vg_warp *w, const vg_inst *in) { return w->code->site_base + in->index; }
const vg_code *race_code_of(const vg_program *p, uint32_t site);
// Both accesses as the finding's other half.
typedef struct race_other { uint32_t site, thread; uint64_t block; const char *verb; } race_other;
void race_report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, unsigned bytes, char how, const race_other *o,
                 const char *where, const char *between);
#endif
