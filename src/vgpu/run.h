// run: internal to the executor. A warp is a table of splits: groups of lanes that stand at the same instruction of the same call frame.
//
//   exec.c     runs one warp: basic block by basic block, always the split with the deepest call and the lowest address, so that
//              splits meet again without knowledge of post-dominators; splits that spin are parked so that the others get on
//   frames.c   call frames and calls        barrier.c  block barriers        sched.c  blocks, host threads, sampling, budget
#ifndef HONE_VGPU_RUN_H
#define HONE_VGPU_RUN_H
#include "vgpu/decode.h"

enum { VG_MAX_DEPTH = 512, VG_SPIN_LIMIT = 8192, VG_SPIN_HINT = 256, VG_PARK_BLOCKS = 2048, VG_BARRIERS = 16 };

typedef struct vg_frame vg_frame;
struct vg_frame {                      // one function at one call depth; lanes of several splits may share it
    const vg_code *code;
    uint8_t *file;
    uint32_t *pred;
    uint32_t *defined;                 // per doubtful register: lanes that have written it; NULL when there is none
    uint32_t depth, local_base, generation;   // generation: of the block whose special registers it holds
    bool filled;                       // its special registers were written once
    vg_frame *next;                    // all frames of the warp
    vg_frame *ret_frame[VG_LANES];     // per lane: where it was called from
    uint32_t ret_pc[VG_LANES];         // the call instruction
};

typedef enum vg_split_state { VG_READY, VG_PARKED, VG_WAIT_SYNC /* members of a warp-synchronous instruction */, VG_WAIT_BAR, VG_AT_BAR /* arrived */,
    VG_WAIT_CLUSTER } vg_split_state;
typedef struct vg_split {
    uint32_t mask, pc;
    vg_frame *frame;
    vg_split_state state;
    uint32_t score;                    // back edges since it last gave way
    uint32_t bar;                      // barrier it arrived at
} vg_split;

typedef struct vg_wx {                 // vg_warp.exec_private
    unsigned n, cur;
    vg_frame *frames;                  // the kernel's own is the last of the list
    uint32_t seen_spins, parked_for;
    uint32_t start_mask;               // lanes that exist
    bool gave_way, spun;               // since the last look of the scheduler
    uint32_t cluster_arrived, cluster_phase;   // lanes between barrier.cluster.arrive and wait; parity of the phase they arrived in
    bool forced_sync;                  // run the next warp-synchronous instruction with whoever is there
    uint64_t stop;                     // warp_insts at which the warp gives way
    uint64_t insts_reported;           // of warp_insts, already in the launch's budget
    struct vg_wgmma_flight *flight;    // registers of wgmma instructions that are not waited for (wgmma_watch.c); NULL: none yet
    uint64_t left_bar, at_bar;         // warp_insts when the last barrier opened, when it arrived at the next (counting only)
    vg_split split[VG_LANES + 2];      // last: only the first n count, and starting a warp clears only what is before
} vg_wx;

typedef struct vg_bar { uint32_t lanes, units, expected, pop, all, any; } vg_bar;
typedef struct vg_bx {                 // vg_block.exec_private
    vg_bar bar[VG_BARRIERS];
    uint32_t open;                     // bit per barrier that somebody waits at
    uint32_t threads, live;            // threads that exist; that have not exited
} vg_bx;

static inline vg_wx *vg_wx_of(const vg_warp *w) { return w->exec_private; }
static inline vg_bx *vg_bx_of(const vg_block *b) { return b->exec_private; }
static inline uint32_t vg_guard_mask(const vg_warp *w, const vg_inst *in) {
    return in->guard == VG_NO_PRED ? w->active : w->active & (w->pred[in->guard] ^ (in->guard_neg ? ~0u : 0u));
}

// exec.c: runs until the warp exits, blocks, gives way, faults, or has executed `quantum` more instructions (VG_RUN then).
vg_event vg_warp_run(vg_warp *w, uint64_t quantum);
void vg_warp_enter(vg_warp *w, unsigned k);            // makes split k the running one
bool vg_split_add(vg_warp *w, uint32_t mask, uint32_t pc, vg_frame *frame);   // a new READY split; merges into one at the same place
void vg_lanes_exit(vg_warp *w, uint32_t mask);         // of the running split

// frames.c
vg_frame *vg_frame_get(vg_warp *w, const vg_code *code, uint32_t depth, uint32_t local_base);   // NULL: no memory
void vg_frame_reset(vg_warp *w, vg_frame *f);          // constants, predicates
void vg_frame_special(vg_warp *w, vg_frame *f);        // special-register rows for the warp's block
void vg_refresh_clocks(vg_warp *w, const vg_inst *in);
void vg_frames_free(vg_warp *w);
void vg_do_call(vg_warp *w, const vg_inst *in, uint32_t mask);   // updates w->active/next and the splits
void vg_do_return(vg_warp *w, const vg_inst *in, uint32_t mask);
uint8_t *vg_param_byte(vg_warp *w, const vg_frame *f, uint32_t at, unsigned lane);   // byte `at` (a multiple of 4) of the parameter area
// heap.c: the device heap. Address 0: no room. A block that cannot be freed is a finding and a fault.
uint64_t vg_heap_alloc(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t bytes);
void vg_heap_free(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address);
// intrinsics.c: vprintf, __assertfail, malloc, free
void vg_intrinsic_call(vg_warp *w, const vg_inst *in, const vg_call *c, uint32_t mask);

// barrier.c. arrive: split k of w stands at `in`; true when it completed the barrier (all its splits are READY again).
bool vg_barrier_arrive(vg_warp *w, unsigned k, const vg_inst *in);
void vg_barrier_notify(vg_warp *w, const vg_inst *in, uint32_t mask);   // bar.arrive
void vg_barrier_exited(vg_warp *w, uint32_t lanes);
#endif
