// Counting a launch: what handlers report to, and what the timing model reads. A sink belongs to one host thread; sinks are merged
// after the launch. Handlers call the vg_count_* functions only when w->count is not NULL.
#ifndef HONE_VGPU_COUNTERS_H
#define HONE_VGPU_COUNTERS_H
#include "base/base.h"
#include "hone_vgpu.h"
#include "ptx/ptx.h"

typedef struct vg_inst_count {          // per static instruction
    uint64_t warps, lanes;              // executions, active lanes (from basic-block counts)
    uint64_t requests;                  // memory accesses, any space
    uint64_t shared_requests;           // of them to shared memory
    uint64_t sectors, sectors_ideal, lines, wavefronts, wavefronts_ideal;
    uint64_t l1_hits;                   // sectors that hit L1
    uint64_t waits;                     // requests that wait for L2: a sector misses L1, or another warp made it come (cachesim.h)
    uint64_t dram;                      // sectors that the SM's share of L2 did not have either
    uint64_t partial_lines;             // of stores that leave sectors partly written
    uint64_t local_sectors;
    uint64_t atomic_ops, atomic_serial; // global atomics: lanes; summed over requests, the most lanes on one address
    uint64_t divergent;                 // executions of a branch after which lanes part
    uint64_t barrier_wait;              // instructions that other warps of the block still executed before the barrier opened, summed over arrivals
    uint64_t returns;                   // loads: 128-byte registers of a warp that come back through the L1/shared data path
    uint64_t joined;                    // executions that another load of shared memory does along (merge.c)
} vg_inst_count;

typedef struct vg_code vg_code;
typedef struct vg_func_count {          // of one function of the module
    const vg_code *code;
    vg_inst_count *insts;               // [code->n_insts]
    uint64_t *bb_warps, *bb_lanes;      // [code->n_blocks], counted by the executor at block entry; folded into insts at the end
} vg_func_count;

typedef struct vg_cache vg_cache;       // set-associative, sectored: cachesim.c
typedef struct vg_counters {            // of one launch, merged
    honeVgpuCounters total;
    vg_func_count *funcs; size_t n_funcs;   // [0]: the kernel; then the device functions it may call
    vg_inst_count *insts; size_t n_insts;   // the kernel's: funcs[0].insts
    double l2_hit_rate;                 // of the sectors that L1 passes on
    double atomic_sectors;              // 32-byte sectors that warps' global atomics touch
    double atomic_slice_max;            // largest number of operations on one 512-byte neighbourhood
    double partial_store_lines;         // 128-byte lines of stores that leave sectors partly written: each is a request of its own to L2
    uint64_t blocks_executed;
} vg_counters;

typedef struct vg_counter_sink {
    const vg_code *code;                // the function that runs now, whose arrays the next three are (vg_count_enter)
    vg_inst_count *insts;
    uint64_t *bb_warps, *bb_lanes;
    uint64_t warp;                      // one bit: the warp that runs now, among those that share the SM
    vg_func_count *funcs; size_t n_funcs;
    uint64_t branches, divergent, barriers;
    vg_cache *l1;                       // of the modelled SM that runs now
    struct vg_count_state *state;       // counters.c: footprint sets, atomics contention, load-latency chain …
} vg_counter_sink;

// Adds the floating-point operations of one instruction executed by `warps` with `lanes` active lanes in all: flops.c.
void vg_count_flops(const ptx_inst *in, double warps, double lanes, honeVgpuCounters *t);

// The executor enters another function: its arrays become the current ones.
void vg_count_enter(vg_counter_sink *s, const vg_code *code);
vg_inst_count *vg_count_at(vg_counter_sink *s, const vg_code *code, uint32_t inst);   // NULL for a function that is not counted

// A warp's global (or generic→global) access: `addr[lane]` device addresses, bytes per lane, lanes in mask. kind: 'l' load, 's' store, 'a' atomic,
// 'n' non-coherent load, 'b' bulk copy (past L1). Counts sectors and lines and runs the caches.
void vg_count_global(vg_counter_sink *s, uint32_t inst, const uint64_t addr[32], unsigned bytes, uint32_t mask, char kind);
// The same where the caller already knows the pattern: one contiguous range (unit stride or uniform).
void vg_count_global_range(vg_counter_sink *s, uint32_t inst, uint64_t first, unsigned bytes_total, unsigned lanes, unsigned bytes, char kind);
void vg_count_shared(vg_counter_sink *s, uint32_t inst, const uint32_t offset[32], unsigned bytes, uint32_t mask, char kind);
void vg_count_local(vg_counter_sink *s, uint32_t inst, unsigned bytes, uint32_t mask, char kind);
#endif
