// What a PTX instruction costs once ptxas has made SASS of it: issue slots, pipe slots, latency. Static estimates (sass.c) used by timing.c.
#ifndef HONE_VGPU_SASS_H
#define HONE_VGPU_SASS_H
#include "ptx/ptx.h"
#include "vgpu/warp.h"

typedef struct vg_sass {
    float issue;                 // issue slots of a warp scheduler
    float pipe[VG_PIPE_COUNT];   // instructions on each pipe
    float latency;               // cycles from issue to the result, unloaded; memory latencies are added by the model
} vg_sass;
// tensor instructions: pipe[VG_PIPE_TENSOR] holds FMAs per warp instruction (m·n·k), not instructions.
// FMAs of types that run at another rate than f16 are scaled to it.
void vg_sass_cost(const ptx_inst *in, vg_sass *out);
// Multiply-adds of one warp's share of a matrix product; 0 for other instructions.
double vg_tensor_fmas(const ptx_inst *in);
#endif
