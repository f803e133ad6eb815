// Between the parts of the timing model: work.c (what a launch asks of an SM's resources), chain.c (how long one warp and one block take when alone)
// and timing.c (the time).
#ifndef HONE_VGPU_TIMING_H
#define HONE_VGPU_TIMING_H
#include "vgpu/sample.h"
#include "vgpu/sass.h"

enum { VG_SCHEDULERS = 4 };              // per SM, since sm_70

typedef struct vg_work {                // warp level; of a range of instructions, all executions times a factor
    double issue, pipe[VG_PIPE_COUNT];
    double l1_cycles, shared_cycles;    // of the data path
    double spill_chain;                 // cycles that spill loads add to one warp's dependent chain
} vg_work;
vg_work vg_work_of(const vg_device *d, const vg_func_count *f, double scale, size_t first, size_t stop);
void vg_work_add(vg_work *to, const vg_work *more);
vg_work vg_work_of_grid(const vg_device *d, const vg_counters *c, const vg_resources *r, double scale);   // all functions, with spills; r may be NULL
double vg_pipe_cycles(const vg_device *d, const vg_work *w, vg_pipe *worst);   // of the busiest pipe, on one SM

// How far things overlap: (Σ x^q)^(1/q), between their maximum and their sum.
double vg_overlap(const double *x, size_t n);

typedef struct vg_chain {
    double cycles;                      // dependent chain of one warp from start to end
    double exposed;                     // cycles of a block, alone on its SM, in which it waits for latency; 0 without barriers
} vg_chain;
vg_chain vg_chain_of(const vg_device *d, const vg_counters *c, double warps_per_block);   // sums over the functions that run
#endif
