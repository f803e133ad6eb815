// The timing model: counters of a launch → modelled time, with an account of how it came about.
//
// Each resource of an SM gives a number of cycles that the busiest SM needs it for: warp schedulers, execution pipes, the L1/shared data path,
// L2, DRAM, atomics. The chain of dependent instructions of one warp gives another: however wide the machine, a generation of resident blocks
// takes at least as long. They overlap, but not perfectly: C = (Σ C_k^q)^(1/q). T = launch + C / clock.
// See docs/virtual-gpu.md for the measured error.
#include "base/mem.h"
#include "vgpu/sample.h"
#include "vgpu/sass.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCHEDULERS = 4 };
static const double overlap_q = 5;

typedef struct work {            // of the whole grid, warp level
    double issue, pipe[VG_PIPE_COUNT];
    double l1_cycles, shared_cycles;   // data-path cycles
    double spill_chain;          // cycles that spill loads add to one warp's dependent chain
} work;

// ---- the dependent chain of a warp

typedef struct chain_state {
    const vg_device *device;
    const vg_code *code;
    const vg_inst_count *insts;  // of this function
    double *ready;               // per register: cycles from the block's start until its value is there
    double global_miss_latency;  // beyond L1
} chain_state;

static double memory_latency(const chain_state *s, const ptx_inst *in, const vg_inst_count *c) {
    const vg_device *d = s->device;
    bool returns = in->op == PTX_OP_LD || in->op == PTX_OP_LDU || in->op == PTX_OP_ATOM;
    if (!returns || in->space == PTX_PARAM || in->space == PTX_CONST)
        return 0;
    double requests = c->requests ? (double)c->requests : 1;
    if (in->space == PTX_SHARED)
        return vg_dev(d, VG_DEV_SHARED_LATENCY) + (double)c->wavefronts / requests - 1 + (in->op == PTX_OP_ATOM ? 20 : 0);
    if (in->space == PTX_LOCAL)
        return vg_dev(d, VG_DEV_L1_LATENCY);
    if (in->op == PTX_OP_ATOM)
        return s->global_miss_latency;
    double missed = fmin(1, ((double)c->sectors - (double)c->l1_hits) / requests);   // the warp waits for its slowest sector
    double wavefronts = (double)c->sectors / requests / 4;
    return vg_dev(d, VG_DEV_L1_LATENCY) + fmax(0, wavefronts - 1) + missed * s->global_miss_latency;
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

static double step(chain_state *s, const vg_inst *vi, const vg_inst_count *c, double *issued) {
    const ptx_inst *in = vi->src;
    vg_sass cost;
    vg_sass_cost(in, &cost);
    double at = in->has_guard ? s->ready[in->guard] : 0;
    bool result = has_result(in);
    for (unsigned k = result ? 1 : 0; k < in->n_operands; k++)
        each_source(&in->operand[k], s->ready, &at);
    *issued += cost.issue;
    if (result)
        set_ready(&in->operand[0], s->ready, at + cost.latency + memory_latency(s, in, c));
    else
        at += in->op == PTX_OP_BAR || in->op == PTX_OP_BARRIER ? cost.latency : 0;
    return at;
}

// One basic block: instructions issue when their operands are ready (ptxas schedules freely within a block), and the block lasts until its last
// one has issued. Values still under way are carried into the next block.
static double run_block(chain_state *s, size_t first, size_t stop) {
    double last = 0, issued = 0;
    for (size_t i = first; i < stop; i++)
        last = fmax(last, step(s, &s->code->insts[i], &s->insts[i], &issued));
    double length = fmax(last, issued);
    for (size_t r = 0; r < s->code->func->n_regs; r++)
        s->ready[r] = fmax(0, s->ready[r] - length);
    return length;
}

static bool loops_to_itself(const vg_code *code, size_t first, size_t stop) {
    const ptx_inst *last = code->insts[stop - 1].src;
    return stop > first && last->op == PTX_OP_BRA && last->operand[0].kind == PTX_O_LABEL && last->operand[0].label == first;
}

static double function_chain(const vg_device *d, const vg_func_count *f, const vg_counters *c, double executed_warps) {
    const vg_code *code = f->code;
    chain_state s = {.device = d, .code = code, .insts = f->insts};
    s.global_miss_latency = c->l2_hit_rate * vg_dev(d, VG_DEV_L2_LATENCY) + (1 - c->l2_hit_rate) * vg_dev(d, VG_DEV_DRAM_LATENCY);
    s.ready = hone_calloc(code->func->n_regs, sizeof *s.ready);
    if (!s.ready)
        return 0;
    double total = 0;
    for (size_t b = 0; b < code->n_blocks; b++) {
        size_t first = code->block_first[b], stop = b + 1 < code->n_blocks ? code->block_first[b + 1] : code->n_insts;
        if (first >= stop)
            continue;
        double length = run_block(&s, first, stop);
        if (loops_to_itself(code, first, stop))
            length = run_block(&s, first, stop);
        total += length * (double)f->insts[first].warps / executed_warps;
    }
    hone_free(s.ready);
    return total;
}

static double warp_chain(const vg_device *d, const vg_counters *c, double executed_warps) {
    double total = 0;
    for (size_t i = 0; i < c->n_funcs; i++)
        total += function_chain(d, &c->funcs[i], c, executed_warps);
    return total;
}

// ---- work of the grid

static void add_memory(const vg_inst_count *c, double scale, work *w) {
    if (c->wavefronts) {
        w->shared_cycles += (double)c->wavefronts * scale;
    } else if (c->sectors) {
        w->l1_cycles += fmax((double)c->sectors * scale / 4, (double)c->lines * scale);   // a line a cycle: measured on H200 (docs/virtual-gpu.md)
    }
}

// Spills: ptxas says how many bytes of spill code there are, not where. Each 4-byte access is taken to run as often as the kernel's average
// instruction; it issues, occupies a data-path cycle (32 lanes × 4 bytes) and, when it loads, holds up the warp for about half of an L1 hit.
static void add_spills(const vg_device *d, const vg_code *code, const vg_counters *c, const vg_resources *r, double scale, work *w) {
    double executed = 0, accesses = ((double)r->spill_store_bytes + r->spill_load_bytes) / 4;
    for (size_t i = 0; i < code->n_insts; i++)
        executed += (double)c->insts[i].warps;
    double each = code->n_insts ? executed / (double)code->n_insts * scale : 0;
    w->issue += accesses * each;
    w->l1_cycles += accesses * each;
    w->spill_chain = r->spill_load_bytes / 4.0 * each / fmax(1, c->total.warps) * 0.5 * vg_dev(d, VG_DEV_L1_LATENCY);
}

static void add_function(const vg_func_count *f, double scale, work *w) {
    for (size_t i = 0; i < f->code->n_insts; i++) {
        vg_sass cost;
        vg_sass_cost(f->code->insts[i].src, &cost);
        double n = (double)f->insts[i].warps * scale;
        w->issue += n * cost.issue;
        for (int p = 0; p < VG_PIPE_COUNT; p++)
            w->pipe[p] += n * cost.pipe[p];
        add_memory(&f->insts[i], scale, w);
    }
}

static work grid_work(const vg_counters *c, double scale) {
    work w = {0};
    for (size_t i = 0; i < c->n_funcs; i++)
        add_function(&c->funcs[i], scale, &w);
    w.l1_cycles += c->total.local_sectors / 4;
    return w;
}

// ---- cycles per resource, on the busiest SM

enum { R_ISSUE, R_PIPE, R_L1, R_SHARED, R_L2, R_DRAM, R_LATENCY, R_ATOMIC, R_BLOCKS, R_COUNT };
typedef struct cycles { double of[R_COUNT]; vg_pipe worst_pipe; } cycles;

static double pipe_cycles(const vg_device *d, const work *w, vg_pipe *worst) {
    const struct { vg_pipe pipe; vg_dev_key lanes; } widths[] = {
        {VG_PIPE_INT, VG_DEV_INT_LANES}, {VG_PIPE_FP32, VG_DEV_FP32_LANES}, {VG_PIPE_FP64, VG_DEV_FP64_LANES}, {VG_PIPE_FP16, VG_DEV_FP16_LANES},
        {VG_PIPE_SFU, VG_DEV_SFU_LANES},   // the load/store unit is counted in wavefronts and lines instead
    };
    double most = w->pipe[VG_PIPE_TENSOR] / vg_dev(d, VG_DEV_TENSOR_F16);
    *worst = VG_PIPE_TENSOR;
    for (size_t i = 0; i < HONE_COUNT(widths); i++) {
        double t = w->pipe[widths[i].pipe] * 32 / vg_dev(d, widths[i].lanes);
        if (t > most) {
            most = t;
            *worst = widths[i].pipe;
        }
    }
    return most;
}

typedef struct placement { double blocks, sms, busiest, resident, generations, share; } placement;

static placement place(const vg_device *d, double blocks, uint32_t blocks_per_sm) {
    placement p = {.blocks = blocks, .sms = vg_dev(d, VG_DEV_SMS)};
    p.busiest = ceil(blocks / p.sms);
    p.resident = fmin(p.busiest, blocks_per_sm ? blocks_per_sm : 1);
    p.generations = p.busiest / p.resident;   // new blocks start as others end: no rounding up, the last generation just thins out
    p.share = p.busiest / blocks;
    return p;
}

static double atomic_cycles(const vg_device *d, const vg_counters *c, double clock_mhz) {
    double spread_us = c->atomic_sectors / (vg_dev(d, VG_DEV_ATOM_GOPS) * 1e3);
    double slice = c->atomic_slice_max * vg_dev(d, VG_DEV_ATOM_SLICE_CLK), address = c->total.atomic_serial_max * vg_dev(d, VG_DEV_ATOM_CLK);
    return fmax(spread_us * clock_mhz, fmax(slice, address));
}

static cycles resource_cycles(const vg_device *d, const vg_counters *c, const work *w, const placement *p, double warps_per_block) {
    double mhz = vg_dev(d, VG_DEV_BOOST_MHZ);
    const honeVgpuCounters *t = &c->total;
    double to_l2 = t->l2_hit_sectors + t->dram_sectors_read + t->dram_sectors_written;
    double l2_bytes_clk = vg_dev(d, VG_DEV_L2_GBS) * 1e3 / mhz, dram_bytes_clk = vg_dev(d, VG_DEV_DRAM_GBS) * 1e3 / mhz;
    cycles k = {{0}, VG_PIPE_INT};
    k.of[R_ISSUE] = w->issue * p->share / SCHEDULERS;
    k.of[R_PIPE] = pipe_cycles(d, w, &k.worst_pipe) * p->share;
    k.of[R_L1] = w->l1_cycles * p->share * 128 / vg_dev(d, VG_DEV_L1_BYTES_CLK);
    k.of[R_SHARED] = w->shared_cycles * p->share;
    k.of[R_L2] = fmax(to_l2 * 32 / l2_bytes_clk, to_l2 * 32 * p->share / 64);   // one SM draws at most 64 B/clk
    k.of[R_L2] = fmax(k.of[R_L2], c->partial_store_lines / (vg_dev(d, VG_DEV_L2_PARTIAL_GOPS) * 1e3) * mhz);
    k.of[R_BLOCKS] = t->blocks * (vg_dev(d, VG_DEV_BLOCK_CLK) + warps_per_block * vg_dev(d, VG_DEV_BLOCK_WARP_CLK));
    k.of[R_DRAM] = (t->dram_sectors_read + t->dram_sectors_written) * 32 / dram_bytes_clk;
    k.of[R_ATOMIC] = atomic_cycles(d, c, mhz);
    double executed_warps = (double)c->blocks_executed * warps_per_block;
    k.of[R_LATENCY] = p->generations * (warp_chain(d, c, executed_warps) + w->spill_chain + vg_dev(d, VG_DEV_BLOCK_START_CYCLES));
    return k;
}

static double combine(const cycles *k) {
    double sum = 0, most = 0;
    for (int i = 0; i < R_COUNT; i++)
        most = fmax(most, k->of[i]);
    for (int i = 0; i < R_COUNT && most > 0; i++)
        sum += pow(k->of[i] / most, overlap_q);
    return most * pow(sum, 1 / overlap_q);
}

static const char *bottleneck(const cycles *k, double total, double launch_cycles) {
    static const char *const names[R_COUNT] = {"issue", "pipe", "l1", "shared", "l2", "dram", "latency", "atomics", "block launch"};
    static const char *const pipes[VG_PIPE_COUNT] = {"int", "fp32", "fp64", "fp16", "sfu", "lsu", "tensor", "control", "other"};
    if (launch_cycles > total)
        return "launch";
    int worst = 0;
    for (int i = 1; i < R_COUNT; i++)
        if (k->of[i] > k->of[worst])
            worst = i;
    return worst == R_PIPE ? pipes[k->worst_pipe] : names[worst];
}

static void report_shares(const cycles *k, double total, honeVgpuModel *out) {
    double *shares[R_COUNT] = {&out->share_issue, &out->share_pipe, &out->share_l1, &out->share_shared, &out->share_l2, &out->share_dram, &out->share_latency,
                               &out->share_atomic, &out->share_blocks};
    for (int i = 0; i < R_COUNT; i++)
        *shares[i] = total > 0 ? fmin(1, k->of[i] / total) : 0;
}

void vg_model_time(const vg_device *d, const vg_code *code, const vg_launch *l, const vg_resources *r, const vg_counters *c, honeVgpuModel *out) {
    memset(out, 0, sizeof *out);
    uint32_t threads = l->block[0] * l->block[1] * l->block[2], registers = r && r->registers ? r->registers : code->registers_estimate;
    uint32_t shared = (uint32_t)code->shared_bytes + l->dynamic_shared;
    vg_occupancy occ;
    vg_occupancy_of(d, threads, registers, shared, &occ);
    double scale = c->blocks_executed ? c->total.blocks / (double)c->blocks_executed : 1;
    placement p = place(d, c->total.blocks, occ.blocks_per_sm);
    work w = grid_work(c, scale);
    if (r)
        add_spills(d, code, c, r, scale, &w);
    cycles k = resource_cycles(d, c, &w, &p, occ.warps_per_block);
    double mhz = vg_dev(d, VG_DEV_BOOST_MHZ), total = combine(&k);
    out->cycles = total;
    out->clock_mhz = mhz;
    out->launch_us = vg_dev(d, VG_DEV_LAUNCH_US);
    out->time_us = out->launch_us + total / mhz;
    out->blocks_per_sm = occ.blocks_per_sm;
    out->registers = registers;
    out->shared_bytes = shared;
    out->occupancy = p.resident * occ.warps_per_block / vg_dev(d, VG_DEV_WARPS_PER_SM);
    out->waves = c->total.blocks / (p.sms * fmax(1, occ.blocks_per_sm));
    out->tail_fraction = p.busiest > 0 ? 1 - c->total.blocks / p.sms / p.busiest : 0;
    bool small_grid = p.busiest < occ.blocks_per_sm;
    snprintf(out->limiter, sizeof out->limiter, "%s", small_grid ? "grid" : occ.limiter);
    snprintf(out->bottleneck, sizeof out->bottleneck, "%s", bottleneck(&k, total, out->launch_us * mhz));
    report_shares(&k, total, out);
    out->error_band = 0.25;
}
