// wgmma_watch: registers of wgmma.mma_async instructions from wgmma.fence to issue and from issue to wgmma.wait_group. The products are made when they are issued (op_wgmma.c), so a
// kernel that looks too early, or hands a register over without a fence, would get the right values here and wrong ones on a device: this finds it. PTX ISA 9.7.15.
#ifndef HONE_VGPU_WGMMA_WATCH_H
#define HONE_VGPU_WGMMA_WATCH_H
#include "vgpu/decode.h"

struct vg_wgmma_flight;
typedef struct vg_wgmma_use vg_wgmma_use;       // what one instruction has to do with such registers

bool vg_wgmma_used(const vg_program *p);        // does any function have wgmma.mma_async?
// Uses of every instruction of the function, [n_insts], NULL for those without: *out NULL when it has no wgmma. False: no memory.
bool vg_wgmma_uses(const vg_code *code, vg_wgmma_use ***out);
void vg_wgmma_uses_free(const vg_code *code, vg_wgmma_use **uses);
// Before the instruction executes.
void vg_wgmma_look(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use);
void vg_wgmma_forget(struct vg_wgmma_flight *flight);   // a warp starts anew; NULL is fine
#endif
