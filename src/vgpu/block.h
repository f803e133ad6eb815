// block: internal to the executor: a place for one resident block. See block.c.
#ifndef HONE_VGPU_BLOCK_H
#define HONE_VGPU_BLOCK_H
#include "vgpu/cluster.h"
#include "vgpu/run.h"

typedef struct vg_slot {
    vg_block block;
    vg_bx bx;
    vg_warp *warps;
    vg_wx *wx;
    uint32_t n_warps, generation, idle_rounds;
    uint8_t *shared, *local;
    size_t local_stride, shadow_words;
    vg_shadow shadow;
    uint64_t *local_bits; size_t local_words;   // per warp, initialisation of its local memory
    void *raw_warps, *raw_shared, *raw_local;
    struct vg_race *race;              // NULL when races are not watched
    struct vg_fs_cell *fs_shared, *fs_local;   // binary64 shadows (fpshadow.h); NULL in other launches
    vg_cluster own;                    // its cluster when it is the first block of one
    bool busy, done;                   // holds a block; which has ended but whose cluster has not
    bool watches_shared;
    struct vg_async *async;
    uint64_t warp_insts;               // executed by blocks in this slot, for the budget; the scheduler takes them out
} vg_slot;

typedef enum vg_round {
    VG_ROUND_DONE, VG_ROUND_BUSY, VG_ROUND_SPINS /* waits for something outside the block */, VG_ROUND_WAITS /* for its cluster's barrier */, VG_ROUND_FAULT
} vg_round;

// Starts block `linear` of the launch, as a cluster of one (vg_cluster_join makes it part of a larger one). Memory of an earlier block of the same launch is used again. errors: HONE_E_NOMEM.
hone_code vg_slot_start(vg_slot *s, vg_launch *l, uint64_t linear, uint32_t sm, vg_counter_sink *count, hone_err *e);
void vg_slot_free(vg_slot *s);
// Every live warp runs until it blocks, gives way, or has executed `quantum` instructions (0: no limit). order: warps, NULL = ascending.
vg_round vg_slot_round(vg_slot *s, uint64_t quantum, const uint32_t *order);
void vg_slot_deadlock(vg_slot *s);     // reports that the block, which had VG_ROUND_WAITS, waits for ever
#endif
