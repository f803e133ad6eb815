// Which blocks a SAMPLE or COUNT launch executes, and in which company. The executor asks for one set after another and runs the blocks of a
// set as if they were resident together on one SM: interleaved, a quantum of instructions per warp in turn (VG_COUNT_QUANTUM), so that what
// warps share in L1 is shared in the simulation too.
//
//   vg_sampler *s = vg_sampler_new(l, occ, budget);
//   while (vg_sampler_next(s, warp_insts_executed_so_far, &set)) { vg_count_set_begin(sink, &set); run set; vg_count_set_end(sink); }
//
// The first set is one block from the middle of the grid: its cost decides how many more, and how many together, fit the budget. When everything
// fits, all blocks run and the sampled fraction is 1.
#ifndef HONE_VGPU_SAMPLE_H
#define HONE_VGPU_SAMPLE_H
#include "vgpu/device.h"
#include "vgpu/warp.h"

enum { VG_COUNT_QUANTUM = 32 };         // instructions a warp runs before the next one, when counting
typedef struct vg_sample_set {
    const uint64_t *blocks; uint32_t n; // linear block numbers; borrowed until the next call
    uint32_t sm;                        // the SM they would share
    uint32_t group;                     // neighbourhood in the grid (a wave); the probe is group 0 alone
} vg_sample_set;
typedef struct vg_sampler vg_sampler;
// all: execute every block (COUNT without SAMPLE), still in sets. NULL when out of memory.
vg_sampler *vg_sampler_new(uint64_t n_blocks, uint32_t sms, uint32_t blocks_per_sm, uint64_t budget_warp_insts, bool all);
bool vg_sampler_next(vg_sampler *s, uint64_t warp_insts_so_far, vg_sample_set *out);
void vg_sampler_free(vg_sampler *s);

// ---- counting a launch (counters.c); one sink per launch since COUNT runs serially
// blocks_per_sm: as the occupancy allows; decides each set's share of L1 and L2. shared_bytes: per block, taken from L1. NULL when out of memory.
vg_counter_sink *vg_count_new(const vg_device *d, const vg_memory *mem, const vg_code *code, uint64_t n_blocks, uint32_t blocks_per_sm, uint32_t shared_bytes);
void vg_count_set_begin(vg_counter_sink *s, const vg_sample_set *set);
void vg_count_set_end(vg_counter_sink *s);
// Extrapolates to the whole grid and fills *out (out->insts is the caller's to free with vg_counters_free).
hone_code vg_count_finish(vg_counter_sink *s, const vg_launch *l, uint64_t blocks_executed, vg_counters *out, hone_err *e);
void vg_count_free(vg_counter_sink *s);
void vg_counters_free(vg_counters *c);

// ---- the timing model (timing.c). registers: from honeVgpuSetResources, else code->registers_estimate; 
typedef struct vg_resources { uint32_t registers, spill_store_bytes, spill_load_bytes; bool from_ptxas; } vg_resources;
void vg_model_time(const vg_device *d, const vg_code *code, const vg_launch *l, const vg_resources *r, const vg_counters *c, honeVgpuModel *out);
#endif
