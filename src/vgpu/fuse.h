// fuse: instructions of a basic block put together into one (fuse.c decides which, op_fused.c executes them). A block with such instructions has a
// second, shorter form, which whole warps run when nothing watches single instructions: no counters, no sanitizer of registers or races between blocks.
#ifndef HONE_VGPU_FUSE_H
#define HONE_VGPU_FUSE_H
#include "vgpu/decode.h"

// The fused copy of an arithmetic instruction: where it reads memory, a and b are rows of addresses, with the offsets in imm (a low, b high) and the
// places of vg_warp.near in flags (a low, b high). aux: index in vg_code_full.fused_from, which says which instructions were the loads.
#define VG_NOT_FUSED UINT32_MAX
typedef struct vg_fused_from { uint32_t a, b; } vg_fused_from;   // VG_NOT_FUSED: that factor is in its row

// The last step of decoding a function: fills out->fused and the blocks' n_fused. False: no memory.
bool vg_fuse(vg_binder *b);
// For op_fused.c: the loads of the instruction that is being bound.
vg_fused_from *vg_bind_fused_from(vg_binder *b, const vg_inst *fused);
#endif
