// The timing model: counters of a launch → modelled time, with an account of how it came about.
//
// Each resource of an SM gives a number of cycles that the busiest SM needs it for (work.c): warp schedulers, execution pipes, the L1/shared data
// path, L2, DRAM, atomics. The chain of dependent instructions of one warp gives another (chain.c): however wide the machine, a generation of
// resident blocks takes at least as long. They overlap, but not perfectly: C = (Σ C_k^q)^(1/q). Blocks with barriers wait for latency all at once;
// what other resident blocks do not cover is added. T = launch + C / clock; the
// clock is lowered where the board's power limit demands it. See docs/virtual-gpu.md for the measured error.
#include "base/mem.h"
#include "vgpu/timing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double overlap_q = 5;

// ---- cycles per resource, on the busiest SM

enum { R_ISSUE, R_PIPE, R_L1, R_SHARED, R_L2, R_DRAM, R_LATENCY, R_ATOMIC, R_BLOCKS, R_COUNT };
typedef struct cycles { double of[R_COUNT]; vg_pipe worst_pipe; } cycles;

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

static cycles resource_cycles(const vg_device *d, const vg_counters *c, const vg_work *w, const placement *p, double warps_per_block) {
    double mhz = vg_dev(d, VG_DEV_BOOST_MHZ);
    const honeVgpuCounters *t = &c->total;
    double to_l2 = t->l2_hit_sectors + t->dram_sectors_read + t->dram_sectors_written;
    double l2_bytes_clk = vg_dev(d, VG_DEV_L2_GBS) * 1e3 / mhz, dram_bytes_clk = vg_dev(d, VG_DEV_DRAM_GBS) * 1e3 / mhz;
    cycles k = {{0}, VG_PIPE_INT};
    k.of[R_ISSUE] = w->issue * p->share / VG_SCHEDULERS;
    k.of[R_PIPE] = vg_pipe_cycles(d, w, &k.worst_pipe) * p->share;
    k.of[R_L1] = w->l1_cycles * p->share;
    k.of[R_SHARED] = w->shared_cycles * p->share;
    k.of[R_L2] = fmax(to_l2 * 32 / l2_bytes_clk, to_l2 * 32 * p->share / 64);   // one SM draws at most 64 B/clk
    k.of[R_L2] = fmax(k.of[R_L2], c->partial_store_lines / (vg_dev(d, VG_DEV_L2_PARTIAL_GOPS) * 1e3) * mhz);
    k.of[R_BLOCKS] = t->blocks * (vg_dev(d, VG_DEV_BLOCK_CLK) + warps_per_block * vg_dev(d, VG_DEV_BLOCK_WARP_CLK));
    k.of[R_DRAM] = (t->dram_sectors_read + t->dram_sectors_written) * 32 / dram_bytes_clk;
    k.of[R_ATOMIC] = atomic_cycles(d, c, mhz);
    return k;
}

double vg_overlap(const double *x, size_t n) {
    double sum = 0, most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    for (size_t i = 0; i < n && most > 0; i++)
        sum += pow(x[i] / most, overlap_q);
    return most * pow(sum, 1 / overlap_q);
}

// Blocks of one SM take turns between work, which they do one after another, and waiting, which they do side by side: a closed queue with one server
// (work) and a delay (exposed). Mean value analysis (Reiser and Lavenberg 1980) gives the cycles per block with `resident` of them.
static double cycles_per_block(double work, double exposed, double resident) {
    double queue = 0, each = work + exposed;
    for (double n = 1; n <= resident; n++) {
        double stay = work * (1 + queue);
        each = (stay + exposed) / n;
        queue = stay / each;
    }
    return each;
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

// Fills in the latency and gives the cycles of it all.
static double total_cycles(cycles *k, const vg_chain *chain, const vg_work *w, const placement *p, double block_start) {
    double throughput = vg_overlap(k->of, R_COUNT);
    k->of[R_LATENCY] = p->generations * (chain->cycles + w->spill_chain + block_start);
    double total = vg_overlap(k->of, R_COUNT);
    double turns = chain->exposed > 0 ? p->busiest * cycles_per_block(throughput / p->busiest, chain->exposed, p->resident) : 0;
    if (turns > total)
        k->of[R_LATENCY] = fmax(k->of[R_LATENCY], turns - throughput);
    return fmax(turns, total);
}

// The part of the clock that the board's power limit leaves. Voltage follows the clock, so an operation's energy goes with its square; DRAM has its own
// clock. With s = clock / boost and rates as at boost: P(s) = base·s + fp32·s³ + dram·s. Only for devices whose energies are known.
static double clock_share(const vg_device *d, const honeVgpuCounters *t, double time_us) {
    static const vg_dev_key needed[] = {VG_DEV_POWER_W, VG_DEV_POWER_BASE_W, VG_DEV_FP32_PJ, VG_DEV_DRAM_PJ};
    for (size_t i = 0; i < HONE_COUNT(needed); i++)
        if (!vg_dev_has(d, needed[i]))
            return 1;
    double fp32_w = t->flops_fp32 * vg_dev(d, VG_DEV_FP32_PJ) * 1e-6 / time_us;
    double linear_w = vg_dev(d, VG_DEV_POWER_BASE_W) + (t->dram_sectors_read + t->dram_sectors_written) * 32 * vg_dev(d, VG_DEV_DRAM_PJ) * 1e-6 / time_us;
    double lo = 0.25, hi = 1;
    for (int i = 0; i < 40; i++) {
        double s = (lo + hi) / 2;
        *(linear_w * s + fp32_w * s * s * s > vg_dev(d, VG_DEV_POWER_W) ? &hi : &lo) = s;
    }
    return linear_w + fp32_w <= vg_dev(d, VG_DEV_POWER_W) ? 1 : lo;
}

void vg_model_time(const vg_device *d, const vg_code *code, const vg_launch *l, const vg_resources *r, const vg_counters *c, honeVgpuModel *out) {
    memset(out, 0, sizeof *out);
    uint32_t threads = l->block[0] * l->block[1] * l->block[2], registers = r && r->registers ? r->registers : code->registers_estimate;
    uint32_t shared = (uint32_t)code->shared_bytes + l->dynamic_shared;
    vg_occupancy occ;
    vg_occupancy_of(d, threads, registers, shared, &occ);
    double scale = c->blocks_executed ? c->total.blocks / (double)c->blocks_executed : 1;
    placement p = place(d, c->total.blocks, occ.blocks_per_sm);
    vg_work w = vg_work_of_grid(d, c, r, scale);
    vg_chain chain = vg_chain_of(d, c, occ.warps_per_block);
    cycles k = resource_cycles(d, c, &w, &p, occ.warps_per_block);
    double mhz = vg_dev(d, VG_DEV_BOOST_MHZ), total = total_cycles(&k, &chain, &w, &p, vg_dev(d, VG_DEV_BLOCK_START_CYCLES));
    mhz *= total > 0 ? clock_share(d, &c->total, total / mhz) : 1;
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
