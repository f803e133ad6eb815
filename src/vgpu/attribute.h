// attribute: which instruction the modelled time goes to (attribute.c). Used for counters per source line.
#ifndef HONE_VGPU_ATTRIBUTE_H
#define HONE_VGPU_ATTRIBUTE_H
#include "vgpu/sample.h"

enum { VG_USE_ISSUE, VG_USE_PIPE, VG_USE_L1, VG_USE_SHARED, VG_USE_L2, VG_USE_DRAM, VG_USE_LATENCY, VG_USE_ATOMIC, VG_USE_COUNT };
typedef struct vg_inst_time { double of[VG_USE_COUNT]; } vg_inst_time;   // shares of the launch's cycles, per resource

// One array per function, as c->funcs: (*out)[f][inst]. All shares together are 1 less what no instruction causes (block launches). Also gives the
// longest dependent chain of a warp, unloaded, in cycles. owns: *out by vg_attribute_free. errors: HONE_E_NOMEM.
hone_code vg_attribute(const vg_device *d, const vg_counters *c, const honeVgpuModel *m, vg_inst_time ***out, double *chain_cycles, hone_err *e);
void vg_attribute_free(vg_inst_time **t, size_t n_funcs);
// As honeVgpuModel.bottleneck names it; `pipe` is the model's name of the busiest pipe.
const char *vg_use_name(int use, const char *pipe);
const char *vg_busiest_pipe(const vg_device *d, const vg_counters *c);   // "int", "fp32" …
#endif
