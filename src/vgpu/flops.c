// Floating-point operations of PTX instructions, as profilers count them: one per result of add, mul, div, sqrt …, two per fused multiply-add, and
// two per multiply-accumulate of a matrix instruction. Integer matrix instructions count nothing here.
#include "vgpu/counters.h"
#include "vgpu/sass.h"

static double per_lane(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_FMA:
    case PTX_OP_MAD: return 2;
    case PTX_OP_ADD:
    case PTX_OP_SUB:
    case PTX_OP_MUL:
    case PTX_OP_DIV:
    case PTX_OP_RCP:
    case PTX_OP_SQRT:
    case PTX_OP_RSQRT: return 1;
    default: return 0;
    }
}

void vg_count_flops(const ptx_inst *in, double warps, double lanes, honeVgpuCounters *t) {
    const double macs = vg_tensor_fmas(in);
    if (macs > 0) {   // one product per warp (wgmma: its quarter), whatever the type of its parts; an s32 accumulator means integers
        t->flops_tensor += in->type[0] == PTX_S32 ? 0 : 2 * macs * warps;
        return;
    }
    double n = per_lane(in) * lanes;
    switch (in->type[0]) {
    case PTX_F32: t->flops_fp32 += n; break;
    case PTX_F32X2: t->flops_fp32 += 2 * n; break;
    case PTX_F64: t->flops_fp64 += n; break;
    case PTX_F16:
    case PTX_BF16: t->flops_fp16 += n; break;
    case PTX_F16X2:
    case PTX_BF16X2: t->flops_fp16 += 2 * n; break;
    default: break;
    }
}
