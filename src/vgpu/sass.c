// PTX → SASS cost estimates. The weights come from looking at what ptxas emits for sm_90 (instruction counts of each expansion) and from the published
// pipe widths: moves and conversions between equal widths vanish, 64-bit integer work doubles, divisions and roots expand into sequences.
#include "vgpu/sass.h"
#include <string.h>

typedef enum type_class { ANY, I32, I64, F32, F64, HALF } type_class;

static type_class class_of(ptx_type t) {
    switch (t) {
    case PTX_F32:
    case PTX_F32X2: return F32;
    case PTX_F64: return F64;
    case PTX_F16:
    case PTX_F16X2:
    case PTX_BF16:
    case PTX_BF16X2: return HALF;
    case PTX_B64:
    case PTX_U64:
    case PTX_S64: return I64;
    default: return I32;
    }
}

typedef struct row {
    ptx_op op;
    type_class type;
    uint32_t mods;               // all must be present
    float issue;
    vg_pipe pipe; float slots;
    float sfu;                   // further slots on the special function pipe
    float latency;
} row;

// The first matching row counts; no row: one slot on the opcode's pipe, latency 4.
static const row rows[] = {
    {PTX_OP_MOV, ANY, 0, 0.25f, VG_PIPE_INT, 0.25f, 0, 1},         // mostly copy-propagated; loop phis remain
    {PTX_OP_CVTA, ANY, 0, 0, VG_PIPE_INT, 0, 0, 0},
    {PTX_OP_ADD, I64, 0, 1.3f, VG_PIPE_INT, 1.3f, 0, 5},           // IADD3 + IADD3.X, often folded into IMAD.WIDE or an address
    {PTX_OP_SUB, I64, 0, 2, VG_PIPE_INT, 2, 0, 8},
    {PTX_OP_MUL, I32, PTX_M_WIDE, 0.7f, VG_PIPE_INT, 0.7f, 0, 4},  // IMAD.WIDE takes the following add with it
    {PTX_OP_MAD, I32, PTX_M_WIDE, 1, VG_PIPE_INT, 1, 0, 5},
    {PTX_OP_MUL, I32, PTX_M_HI, 1.5f, VG_PIPE_INT, 2, 0, 6},
    {PTX_OP_MUL, I64, PTX_M_HI, 8, VG_PIPE_INT, 8, 0, 24},
    {PTX_OP_MUL, I64, 0, 4, VG_PIPE_INT, 4, 0, 12},
    {PTX_OP_MAD, I64, 0, 4, VG_PIPE_INT, 4, 0, 12},
    {PTX_OP_MUL, I32, 0, 1, VG_PIPE_INT, 1, 0, 4},
    {PTX_OP_MUL, F32, 0, 1, VG_PIPE_FP32, 1, 0, 4},
    {PTX_OP_MUL, F64, 0, 1, VG_PIPE_FP64, 1, 0, 8},
    {PTX_OP_MUL, HALF, 0, 1, VG_PIPE_FP16, 1, 0, 5},
    {PTX_OP_ADD, F32, 0, 1, VG_PIPE_FP32, 1, 0, 4},
    {PTX_OP_ADD, F64, 0, 1, VG_PIPE_FP64, 1, 0, 8},
    {PTX_OP_ADD, HALF, 0, 1, VG_PIPE_FP16, 1, 0, 5},
    {PTX_OP_SUB, F32, 0, 1, VG_PIPE_FP32, 1, 0, 4},
    {PTX_OP_SUB, F64, 0, 1, VG_PIPE_FP64, 1, 0, 8},
    {PTX_OP_SUB, HALF, 0, 1, VG_PIPE_FP16, 1, 0, 5},
    {PTX_OP_FMA, F32, 0, 1, VG_PIPE_FP32, 1, 0, 4},
    {PTX_OP_FMA, F64, 0, 1, VG_PIPE_FP64, 1, 0, 8},
    {PTX_OP_FMA, HALF, 0, 1, VG_PIPE_FP16, 1, 0, 5},
    {PTX_OP_NEG, F32, 0, 0.2f, VG_PIPE_FP32, 0.2f, 0, 1},          // an operand modifier
    {PTX_OP_ABS, F32, 0, 0.2f, VG_PIPE_FP32, 0.2f, 0, 1},
    {PTX_OP_NEG, F64, 0, 0.2f, VG_PIPE_INT, 0.2f, 0, 1},
    {PTX_OP_ABS, F64, 0, 0.2f, VG_PIPE_INT, 0.2f, 0, 1},
    {PTX_OP_MIN, F64, 0, 4, VG_PIPE_FP64, 1, 0, 14},
    {PTX_OP_MAX, F64, 0, 4, VG_PIPE_FP64, 1, 0, 14},
    {PTX_OP_DIV, F32, PTX_M_APPROX, 2, VG_PIPE_FP32, 1, 1, 24},
    {PTX_OP_DIV, F32, PTX_M_FULL, 5, VG_PIPE_FP32, 4, 1, 32},
    {PTX_OP_DIV, F32, 0, 54, VG_PIPE_FP32, 8, 1, 120},             // FCHK, MUFU.RCP, Newton steps around a call: bench/calibrate/div_peak on an H200
    {PTX_OP_DIV, F64, 0, 24, VG_PIPE_FP64, 14, 1, 160},
    {PTX_OP_DIV, I64, 0, 80, VG_PIPE_INT, 70, 2, 260},
    {PTX_OP_REM, I64, 0, 85, VG_PIPE_INT, 75, 2, 270},
    {PTX_OP_DIV, I32, 0, 20, VG_PIPE_INT, 16, 3, 85},              // I2F, RCP, F2I and corrections
    {PTX_OP_REM, I32, 0, 22, VG_PIPE_INT, 18, 3, 90},
    {PTX_OP_RCP, F32, PTX_M_APPROX, 1, VG_PIPE_FP32, 0, 1, 18},
    {PTX_OP_RCP, F32, 0, 36, VG_PIPE_FP32, 5, 1, 90},              // with its range check and call, like the next: n-body on an H200
    {PTX_OP_RCP, F64, 0, 14, VG_PIPE_FP64, 8, 1, 100},
    {PTX_OP_SQRT, F32, PTX_M_APPROX, 2, VG_PIPE_FP32, 1, 1, 24},
    {PTX_OP_SQRT, F32, 0, 36, VG_PIPE_FP32, 7, 1, 90},
    {PTX_OP_SQRT, F64, 0, 22, VG_PIPE_FP64, 12, 1, 150},
    {PTX_OP_RSQRT, F32, 0, 1.5f, VG_PIPE_FP32, 0.5f, 1, 20},
    {PTX_OP_RSQRT, F64, 0, 14, VG_PIPE_FP64, 8, 1, 100},
    {PTX_OP_EX2, ANY, 0, 1.5f, VG_PIPE_FP32, 0.5f, 1, 20},
    {PTX_OP_LG2, ANY, 0, 1.5f, VG_PIPE_FP32, 0.5f, 1, 22},
    {PTX_OP_SIN, ANY, 0, 2, VG_PIPE_FP32, 1, 1, 24},
    {PTX_OP_COS, ANY, 0, 2, VG_PIPE_FP32, 1, 1, 24},
    {PTX_OP_TANH, ANY, 0, 1, VG_PIPE_FP32, 0, 1, 18},
    {PTX_OP_SETP, F64, 0, 1, VG_PIPE_FP64, 1, 0, 10},
    {PTX_OP_SETP, I64, 0, 2, VG_PIPE_INT, 2, 0, 8},
    {PTX_OP_SELP, I64, 0, 2, VG_PIPE_INT, 2, 0, 5},
    {PTX_OP_SELP, F64, 0, 2, VG_PIPE_INT, 2, 0, 5},
    {PTX_OP_AND, ANY, 0, 0.7f, VG_PIPE_INT, 0.7f, 0, 4},           // three inputs fit one LOP3
    {PTX_OP_OR, ANY, 0, 0.7f, VG_PIPE_INT, 0.7f, 0, 4},
    {PTX_OP_XOR, ANY, 0, 0.7f, VG_PIPE_INT, 0.7f, 0, 4},
    {PTX_OP_SHL, I64, 0, 2, VG_PIPE_INT, 2, 0, 8},
    {PTX_OP_SHR, I64, 0, 2, VG_PIPE_INT, 2, 0, 8},
    {PTX_OP_POPC, ANY, 0, 1, VG_PIPE_INT, 0, 1, 14},
    {PTX_OP_CLZ, ANY, 0, 1.5f, VG_PIPE_INT, 0.5f, 1, 16},
    {PTX_OP_BFIND, ANY, 0, 1, VG_PIPE_INT, 0, 1, 14},
    {PTX_OP_BREV, ANY, 0, 1, VG_PIPE_INT, 0, 1, 14},
    {PTX_OP_BAR, ANY, 0, 1, VG_PIPE_CONTROL, 1, 0, 30},
    {PTX_OP_BARRIER, ANY, 0, 1, VG_PIPE_CONTROL, 1, 0, 30},
    {PTX_OP_SHFL, ANY, 0, 1, VG_PIPE_LSU, 1, 0, 24},
    {PTX_OP_VOTE, ANY, 0, 1, VG_PIPE_INT, 1, 0, 12},
    {PTX_OP_MATCH, ANY, 0, 4, VG_PIPE_INT, 4, 0, 30},
    {PTX_OP_REDUX, ANY, 0, 1, VG_PIPE_INT, 2, 0, 16},
    {PTX_OP_MEMBAR, ANY, 0, 1, VG_PIPE_OTHER, 1, 0, 300},
    {PTX_OP_FENCE, ANY, 0, 1, VG_PIPE_OTHER, 1, 0, 300},
    {PTX_OP_RET, ANY, 0, 1, VG_PIPE_CONTROL, 1, 0, 4},
    {PTX_OP_NANOSLEEP, ANY, 0, 1, VG_PIPE_CONTROL, 1, 0, 500},
};

static bool is_int(ptx_type t) {
    type_class c = class_of(t);
    return c == I32 || c == I64;
}

// cvt: widening and narrowing of integers vanish or cost one move; anything with a float on one side and an integer on the other, or F64, is a
// quarter-rate conversion; f32 ↔ half formats are one packed instruction.
static void convert_cost(const ptx_inst *in, vg_sass *o) {
    ptx_type d = in->type[0], s = in->n_types > 1 ? in->type[1] : d;
    if (is_int(d) && is_int(s)) {
        o->issue = o->pipe[VG_PIPE_INT] = 0.3f;
        o->latency = 2;
    } else if (class_of(d) == F64 || class_of(s) == F64) {
        o->issue = 1;
        o->pipe[VG_PIPE_FP64] = 2;
        o->latency = 20;
    } else if (is_int(d) || is_int(s)) {
        o->issue = o->pipe[VG_PIPE_SFU] = 1;
        o->latency = 14;
    } else {
        o->issue = o->pipe[VG_PIPE_INT] = 1;
        o->latency = 5;
    }
}

static void memory_cost(const ptx_inst *in, vg_sass *o) {
    o->latency = 0;              // the model adds what the memory takes
    if (in->space == PTX_PARAM || in->space == PTX_CONST) {
        o->issue = 0.1f;         // an operand from the constant bank
        return;
    }
    o->issue = o->pipe[VG_PIPE_LSU] = 1;
}

double vg_tensor_fmas(const ptx_inst *in) {
    static const uint16_t mnk[] = {
        [PTX_M8N8K4] = 256, [PTX_M8N8K16] = 1024, [PTX_M8N8K32] = 2048, [PTX_M16N8K4] = 512, [PTX_M16N8K8] = 1024, [PTX_M16N8K16] = 2048,
        [PTX_M16N8K32] = 4096, [PTX_M16N8K64] = 8192, [PTX_M16N16K16] = 4096, [PTX_M32N8K16] = 4096, [PTX_M8N32K16] = 4096, [PTX_M16N16K8] = 2048,
    };
    if (in->op == PTX_OP_WGMMA)   // a quarter of m64nNkK
        return in->sub == PTX_WGMMA_MMA_ASYNC ? 16.0 * 8 * (in->shape - PTX_M64 + 1) * in->vec : 0;
    const bool product = in->op == PTX_OP_MMA || (in->op == PTX_OP_WMMA && in->sub == PTX_WMMA_MMA);
    const unsigned products = in->op == PTX_OP_MMA && in->shape == PTX_M8N8K4 && in->type[1] == PTX_F16 ? 4 : 1;   // of f16: one per quad pair
    return product && in->shape < HONE_COUNT(mnk) ? mnk[in->shape] * products : 0;
}

// mma and wmma.mma: slots of the tensor pipe are FP16 multiply-adds; tf32 takes twice, 8-bit types half as long, f64 as long as 16 of them
// (dense rates of the A100 and H100 data sheets: FP64 a sixteenth of FP16). Latency: Accel-Sim's A100 and H100 configurations, about 25 cycles.
static void product_cost(const ptx_inst *in, vg_sass *o) {
    ptx_type a = (ptx_type)in->type[in->n_types > 1 ? 1 : 0];
    unsigned bytes = ptx_type_bytes(a);
    float weight = a == PTX_F64 ? 16 : a == PTX_F16 || a == PTX_BF16 || bytes == 2 ? 1 : bytes == 4 ? 2 : 0.5f;
    o->issue = 1;
    o->pipe[VG_PIPE_TENSOR] = (float)vg_tensor_fmas(in) * weight;
    o->latency = in->op == PTX_OP_WGMMA ? 4 : 25;   // wgmma is asynchronous: its chain of accumulators runs at the pipe's rate
}

void vg_sass_cost(const ptx_inst *in, vg_sass *o) {
    memset(o, 0, sizeof *o);
    if (in->op == PTX_OP_CVT) {
        convert_cost(in, o);
        return;
    }
    if (in->op == PTX_OP_LD || in->op == PTX_OP_LDU || in->op == PTX_OP_ST || in->op == PTX_OP_ATOM || in->op == PTX_OP_RED || in->op == PTX_OP_CP) {
        memory_cost(in, o);
        return;
    }
    if (vg_tensor_fmas(in) > 0) {
        product_cost(in, o);
        return;
    }
    type_class c = class_of(in->type[0]);
    for (size_t i = 0; i < HONE_COUNT(rows); i++) {
        const row *r = &rows[i];
        if (r->op != in->op || (r->type != ANY && r->type != c) || (in->mods & r->mods) != r->mods)
            continue;
        o->issue = r->issue;
        o->pipe[r->pipe] += r->slots;
        o->pipe[VG_PIPE_SFU] += r->sfu;
        o->latency = r->latency;
        return;
    }
    o->issue = 1;
    o->latency = 4;
    o->pipe[c == F32 ? VG_PIPE_FP32 : c == F64 ? VG_PIPE_FP64 : c == HALF ? VG_PIPE_FP16 : VG_PIPE_INT] = 1;
}
