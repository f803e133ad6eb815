// How long one warp takes when it never waits for others: its chain of dependent instructions, basic block by basic block, and from that how long a block
// waits at its barriers when it has the SM to itself. A part of the timing model (timing.c).
#include "base/mem.h"
#include "vgpu/timing.h"
#include <math.h>

typedef struct interval {        // between two barriers, in program order; of one block, over its whole run
    double chain;                // of one warp
    vg_work work;
} interval;

typedef struct chain_state {
    const vg_device *device;
    const vg_func_count *f;
    double blocks;               // executed
    double *ready;               // per register: cycles from the block's start until its value is there
    double global_latency;       // of a load that misses L1, from issue to result
    interval *at;                // the one that code is in now
    double weight;               // executions of the current basic block per warp
    double stored;               // when the last store that loads behind it may not overtake has issued
    uint32_t stored_base;        // its base register
} chain_state;

static double memory_latency(const chain_state *s, const ptx_inst *in, const vg_inst_count *c) {
    const vg_device *d = s->device;
    bool returns = in->op == PTX_OP_LD || in->op == PTX_OP_LDU || in->op == PTX_OP_ATOM;
    if (!returns || in->space == PTX_PARAM || in->space == PTX_CONST)
        return 0;
    double requests = c->requests ? (double)c->requests : 1;
    if (in->space == PTX_SHARED)
        return vg_dev(d, VG_DEV_SHARED_LATENCY) + fmax(0, (double)c->wavefronts / requests - 1) + (in->op == PTX_OP_ATOM ? 20 : 0);
    if (in->space == PTX_LOCAL)
        return vg_dev(d, VG_DEV_L1_LATENCY);
    if (in->op == PTX_OP_ATOM)
        return s->global_latency;
    double missed = (double)c->waits / requests, wavefronts = fmax((double)c->lines, (double)c->sectors / 4) / requests;
    return vg_dev(d, VG_DEV_L1_LATENCY) + fmax(0, wavefronts - 1) + missed * fmax(0, s->global_latency - vg_dev(d, VG_DEV_L1_LATENCY));
}

static void each_source(const ptx_operand *o, const double *ready, double *at) {
    if (o->kind == PTX_O_REG || (o->kind == PTX_O_ADDR && o->has_base))
        *at = fmax(*at, ready[o->reg]);
    for (unsigned k = 0; k < o->n_elems; k++)
        each_source(&o->elems[k], ready, at);
}

static void set_ready(const ptx_operand *o, double *ready, double at) {
    if (o->kind == PTX_O_REG)
        ready[o->reg] = at;
    for (unsigned k = 0; k < o->n_elems; k++)
        set_ready(&o->elems[k], ready, at);
}

static bool has_result(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_ST:
    case PTX_OP_RED:
    case PTX_OP_BRA:
    case PTX_OP_BAR:
    case PTX_OP_BARRIER:
    case PTX_OP_RET:
    case PTX_OP_EXIT:
    case PTX_OP_CP:
    case PTX_OP_MEMBAR:
    case PTX_OP_FENCE: return false;
    default: return in->n_operands > 0;
    }
}

static uint32_t base_of(const ptx_inst *in, unsigned k) {
    return k < in->n_operands && in->operand[k].kind == PTX_O_ADDR && in->operand[k].has_base ? in->operand[k].reg : UINT32_MAX;
}

// The compiler keeps a load of global memory behind a store that it cannot tell apart from it: through another pointer, without __restrict__.
static double after_stores(const chain_state *s, const ptx_inst *in, double at) {
    const bool may_alias = in->op == PTX_OP_LD && (in->space == PTX_GLOBAL || in->space == PTX_GENERIC) && !(in->mods & PTX_M_NC);
    return may_alias && base_of(in, 1) != s->stored_base ? fmax(at, s->stored) : at;
}

static void note_store(chain_state *s, const ptx_inst *in, double at) {
    if (in->op != PTX_OP_ST || (in->space != PTX_GLOBAL && in->space != PTX_GENERIC))
        return;
    s->stored = fmax(s->stored, at);
    s->stored_base = base_of(in, 0);
}

static double step(chain_state *s, const vg_inst *vi, const vg_inst_count *c, double *issued) {
    const ptx_inst *in = vi->src;
    vg_sass cost;
    vg_sass_cost(in, &cost);
    double at = in->has_guard ? s->ready[in->guard] : 0;
    bool result = has_result(in);
    for (unsigned k = result ? 1 : 0; k < in->n_operands; k++)
        each_source(&in->operand[k], s->ready, &at);
    at = after_stores(s, in, at);
    note_store(s, in, at);
    *issued += c->joined ? 0 : cost.issue;
    if (result)
        set_ready(&in->operand[0], s->ready, at + cost.latency + memory_latency(s, in, c));
    else
        at += in->op == PTX_OP_BAR || in->op == PTX_OP_BARRIER ? cost.latency : 0;
    return at;
}

// A run of instructions without a barrier: they issue when their operands are ready (ptxas schedules freely within a basic block), and the
// run lasts until its last one has issued. Values still under way are carried along.
static double run_straight(chain_state *s, size_t first, size_t stop) {
    double last = 0, issued = 0;
    for (size_t i = first; i < stop; i++)
        last = fmax(last, step(s, &s->f->code->insts[i], &s->f->insts[i], &issued));
    double length = fmax(last, issued);
    s->stored = 0;
    s->stored_base = UINT32_MAX;
    for (size_t r = 0; r < s->f->code->func->n_regs; r++)
        s->ready[r] = fmax(0, s->ready[r] - length);
    return length;
}

static bool is_barrier(const vg_inst *vi) { return vi->src->op == PTX_OP_BAR || vi->src->op == PTX_OP_BARRIER; }

// s->at moves on at barriers.
static double run_block(chain_state *s, size_t first, size_t stop) {
    double length = 0;
    for (size_t i = first, from = first; i < stop; i++) {
        bool barrier = is_barrier(&s->f->code->insts[i]);
        if (!barrier && i + 1 < stop)
            continue;
        double part = run_straight(s, from, i + 1);
        vg_work more = vg_work_of(s->device, s->f, 1 / s->blocks, from, i + 1);
        vg_work_add(&s->at->work, &more);
        s->at->chain += part * s->weight;
        s->at += barrier;
        length += part;
        from = i + 1;
    }
    return length;
}

static bool loops_to_itself(const vg_code *code, size_t first, size_t stop) {
    const ptx_inst *last = code->insts[stop - 1].src;
    return stop > first && last->op == PTX_OP_BRA && last->operand[0].kind == PTX_O_LABEL && last->operand[0].label == first;
}

static void warm_up(chain_state *s, size_t first, size_t stop) {
    for (size_t i = first, from = first; i < stop; i++) {
        if (!is_barrier(&s->f->code->insts[i]) && i + 1 < stop)
            continue;
        run_straight(s, from, i + 1);
        from = i + 1;
    }
}

static double run_code(chain_state *s, double executed_warps) {
    const vg_code *code = s->f->code;
    double total = 0;
    for (size_t b = 0; b < code->n_blocks; b++) {
        size_t first = code->block_first[b], stop = b + 1 < code->n_blocks ? code->block_first[b + 1] : code->n_insts;
        if (first >= stop)
            continue;
        if (loops_to_itself(code, first, stop))
            warm_up(s, first, stop);
        s->weight = (double)s->f->insts[first].warps / executed_warps;
        total += run_block(s, first, stop) * s->weight;
    }
    return total;
}

static double alone(const vg_device *d, const vg_work *w, double chain) {
    vg_pipe worst;
    const double x[] = {w->issue / VG_SCHEDULERS, vg_pipe_cycles(d, w, &worst), w->l1_cycles, w->shared_cycles, chain};
    return vg_overlap(x, HONE_COUNT(x));
}

// Between two barriers a block takes as long as its work or its chain, whichever is longer; what the intervals take beyond all of its work is waiting.
static double exposed(const vg_device *d, const interval *intervals, size_t n) {
    vg_work all = {0};
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += alone(d, &intervals[i].work, intervals[i].chain);
        vg_work_add(&all, &intervals[i].work);
    }
    return n > 1 ? fmax(0, sum - alone(d, &all, 0)) : 0;
}

static vg_chain function_chain(const vg_device *d, const vg_func_count *f, const vg_counters *c, double warps_per_block) {
    vg_chain out = {0, 0};
    size_t n = 1;
    for (size_t i = 0; i < f->code->n_insts; i++)
        n += is_barrier(&f->code->insts[i]);
    chain_state s = {.device = d, .f = f, .blocks = (double)c->blocks_executed};
    s.global_latency = c->l2_hit_rate * vg_dev(d, VG_DEV_L2_LATENCY) + (1 - c->l2_hit_rate) * vg_dev(d, VG_DEV_DRAM_LATENCY);
    s.stored_base = UINT32_MAX;
    s.ready = hone_calloc(f->code->func->n_regs, sizeof *s.ready);
    interval *intervals = s.at = hone_calloc(n, sizeof *intervals);
    if (s.ready && intervals && c->blocks_executed) {
        out.cycles = run_code(&s, (double)c->blocks_executed * warps_per_block);
        out.exposed = exposed(d, intervals, n);
    }
    hone_free(s.ready);
    hone_free(intervals);
    return out;
}

vg_chain vg_chain_of(const vg_device *d, const vg_counters *c, double warps_per_block) {
    vg_chain all = {0, 0};
    for (size_t i = 0; i < c->n_funcs; i++) {
        const vg_chain one = function_chain(d, &c->funcs[i], c, warps_per_block);
        all.cycles += one.cycles;
        all.exposed += one.exposed;
    }
    return all;
}
