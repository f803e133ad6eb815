// The peer of bench/vgpu_gemm.c: interprets PTX thread by thread, one switch per instruction, with bounds checks, the way a first emulator
// is written. Knows the instructions of that kernel only. A warp instruction counts when 32 threads have executed it.
#ifndef SCALAR_PEER_H
#define SCALAR_PEER_H
#include "vgpu/context.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct peer { const ptx_func *f; const vg_memory *mem; uint64_t reg[128]; uint32_t tid[3], ctaid[3]; uint64_t param[4]; uint64_t executed; } peer;

static uint64_t peer_value(const peer *t, const ptx_operand *o) {
    if (o->kind == PTX_O_REG)
        return t->reg[o->reg];
    if (o->kind == PTX_O_INT)
        return (uint64_t)o->i;
    if (o->kind == PTX_O_FLOAT)
        return o->bits;
    switch (o->sreg) {
    case PTX_SREG_NTID_X: return 32;
    case PTX_SREG_NTID_Y: return 8;
    case PTX_SREG_TID_X: return t->tid[0];
    case PTX_SREG_TID_Y: return t->tid[1];
    case PTX_SREG_CTAID_X: return t->ctaid[0];
    default: return t->ctaid[1];
    }
}
static float peer_f32(uint64_t v) {
    const uint32_t b = (uint32_t)v;
    float f;
    memcpy(&f, &b, 4);
    return f;
}
static bool peer_compare(uint8_t cmp, int32_t a, int32_t b) {
    return cmp == PTX_GE ? a >= b : cmp == PTX_LT ? a < b : cmp == PTX_EQ ? a == b : a != b;
}
static uint64_t peer_load(peer *t, const ptx_inst *in) {
    const ptx_operand *o = &in->operand[1];
    if (in->space == PTX_PARAM) {
        for (size_t i = 0; i < t->f->n_params; i++)
            if (t->f->params[i] == o->var)
                return t->param[i];
        return 0;
    }
    const uint64_t at = t->reg[o->reg] + (uint64_t)o->i;
    const vg_alloc *a = vg_page_alloc(t->mem, at);
    uint32_t v = 0;
    if (a && at - a->base + 4 <= a->bytes)
        memcpy(&v, a->host + (at - a->base), 4);
    return v;
}
static void peer_store(peer *t, const ptx_inst *in) {
    const uint64_t at = t->reg[in->operand[0].reg] + (uint64_t)in->operand[0].i;
    const vg_alloc *a = vg_page_alloc(t->mem, at);
    if (a && at - a->base + 4 <= a->bytes)
        memcpy(a->host + (at - a->base), &t->reg[in->operand[1].reg], 4);
}
static void peer_thread(peer *t) {
    for (size_t pc = 0; pc < t->f->n_insts; t->executed++) {
        const ptx_inst *in = &t->f->insts[pc++];
        if (in->has_guard && (t->reg[in->guard] != 0) == in->guard_neg)
            continue;
        const uint64_t a = in->n_operands > 1 ? peer_value(t, &in->operand[1]) : 0;
        const uint64_t b = in->n_operands > 2 ? peer_value(t, &in->operand[2]) : 0;
        const uint64_t c = in->n_operands > 3 ? peer_value(t, &in->operand[3]) : 0;
        uint64_t *d = in->n_operands && in->operand[0].kind == PTX_O_REG ? &t->reg[in->operand[0].reg] : NULL;
        switch (in->op) {
        case PTX_OP_LD: *d = peer_load(t, in); break;
        case PTX_OP_ST: peer_store(t, in); break;
        case PTX_OP_MOV: case PTX_OP_CVTA: *d = a; break;
        case PTX_OP_ADD: *d = ptx_type_bytes((ptx_type)in->type[0]) == 8 ? a + b : (uint32_t)(a + b); break;
        case PTX_OP_MAD: *d = (uint32_t)(a * b + c); break;
        case PTX_OP_MUL: *d = in->mods & PTX_M_WIDE ? (uint64_t)((int64_t)(int32_t)a * (int32_t)b) : (uint32_t)(a * b); break;
        case PTX_OP_FMA: {
            const float r = fmaf(peer_f32(a), peer_f32(b), peer_f32(c));
            uint32_t bits;
            memcpy(&bits, &r, 4);
            *d = bits;
            break;
        }
        case PTX_OP_SETP: *d = peer_compare(in->cmp, (int32_t)a, (int32_t)b); break;
        case PTX_OP_OR: *d = a | b; break;
        case PTX_OP_BRA: pc = in->operand[0].label; break;
        default: return;
        }
    }
}

// Million warp instructions per second over a few rows of blocks of the same launch.
static double scalar_peer_run(const ptx_func *f, const vg_memory *mem, const uint64_t buf[3], uint32_t n) {
    peer *t = calloc(1, sizeof *t);
    if (!t || f->n_regs > 128)
        return 0;
    t->f = f;
    t->mem = mem;
    memcpy(t->param, buf, 3 * sizeof *buf);
    t->param[3] = n;
    const hone_clock clock = hone_clock_monotonic();
    const double t0 = hone_now_s(&clock);
    for (t->ctaid[0] = 0; t->ctaid[0] < n / 32; t->ctaid[0]++)
        for (t->tid[1] = 0; t->tid[1] < 8; t->tid[1]++)
            for (t->tid[0] = 0; t->tid[0] < 32; t->tid[0]++)
                peer_thread(t);
    const double rate = (double)t->executed / 32 / (hone_now_s(&clock) - t0) * 1e-6;
    free(t);
    return rate;
}
#endif
