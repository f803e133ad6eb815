// Floating-point operations of PTX instructions, as profilers count them: one per result of add, mul, div, sqrt …, two per fused multiply-add, and
// two per multiply-accumulate of a matrix instruction. Integer matrix instructions count nothing here.
#include "vgpu/counters.h"

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

// m·n·k of a matrix instruction's shape.
static double matrix_macs(unsigned shape) {
    switch (shape) {
    case PTX_M8N8K4: return 8 * 8 * 4;
    case PTX_M8N8K16: return 8 * 8 * 16;
    case PTX_M8N8K32: return 8 * 8 * 32;
    case PTX_M16N8K4: return 16 * 8 * 4;
    case PTX_M16N8K8: return 16 * 8 * 8;
    case PTX_M16N8K16: return 16 * 8 * 16;
    case PTX_M16N8K32: return 16 * 8 * 32;
    case PTX_M16N8K64: return 16 * 8 * 64;
    case PTX_M16N16K16: return 16 * 16 * 16;
    case PTX_M32N8K16: return 32 * 8 * 16;
    case PTX_M8N32K16: return 8 * 32 * 16;
    case PTX_M16N16K8: return 16 * 16 * 8;
    default: return 0;
    }
}

static bool is_matrix(const ptx_inst *in) { return in->op == PTX_OP_MMA || (in->op == PTX_OP_WMMA && in->sub == PTX_WMMA_MMA); }

void vg_count_flops(const ptx_inst *in, double warps, double lanes, honeVgpuCounters *t) {
    if (is_matrix(in)) {   // one product per warp, whatever the type of its parts; an s32 accumulator means integers
        t->flops_tensor += in->type[0] == PTX_S32 ? 0 : 2 * matrix_macs(in->shape) * warps;
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
