// What a launch asks of an SM's resources: issue slots, pipe slots, cycles of the L1/shared data path, from counters per instruction and the PTX → SASS
// weights of sass.c. A part of the timing model (timing.c).
#include "vgpu/timing.h"
#include <math.h>

// Both kinds of access return registers through one data path, l1_bytes_clk wide. Shared memory besides takes a cycle per wavefront of its banks,
// L1 a cycle per 128-byte line a warp touches (measured on an H200: docs/virtual-gpu.md), whatever that width.
static void add_memory(const vg_device *d, const vg_inst_count *c, double scale, vg_work *w) {
    double per_register = 128 / vg_dev(d, VG_DEV_L1_BYTES_CLK);
    if (c->wavefronts)
        w->shared_cycles += fmax((double)c->wavefronts, (double)c->returns * per_register) * scale;
    else if (c->sectors)
        w->l1_cycles += fmax((double)c->lines, fmax((double)c->sectors / 4, (double)c->returns) * per_register) * scale;
}

// Spills: ptxas says how many bytes of spill code there are, not where. Each 4-byte access is taken to run as often as the kernel's average
// instruction; it issues, occupies a data-path cycle (32 lanes × 4 bytes) and, when it loads, holds up the warp for about half of an L1 hit.
static void add_spills(const vg_device *d, const vg_counters *c, const vg_resources *r, double scale, vg_work *w) {
    const vg_func_count *kernel = &c->funcs[0];
    const size_t n = kernel->code->n_insts;
    double executed = 0, accesses = ((double)r->spill_store_bytes + r->spill_load_bytes) / 4;
    for (size_t i = 0; i < n; i++)
        executed += (double)kernel->insts[i].warps;
    double each = n ? executed / (double)n * scale : 0;
    w->issue += accesses * each;
    w->l1_cycles += accesses * each;
    w->spill_chain = r->spill_load_bytes / 4.0 * each / fmax(1, c->total.warps) * 0.5 * vg_dev(d, VG_DEV_L1_LATENCY);
}

vg_work vg_work_of(const vg_device *d, const vg_func_count *f, double scale, size_t first, size_t stop) {
    vg_work w = {0};
    for (size_t i = first; i < stop; i++) {
        vg_sass cost;
        vg_sass_cost(f->code->insts[i].src, &cost);
        double n = (double)(f->insts[i].warps - f->insts[i].joined) * scale;
        w.issue += n * cost.issue;
        for (int p = 0; p < VG_PIPE_COUNT; p++)
            w.pipe[p] += n * cost.pipe[p];
        add_memory(d, &f->insts[i], scale, &w);
    }
    return w;
}

void vg_work_add(vg_work *to, const vg_work *more) {
    to->issue += more->issue;
    to->l1_cycles += more->l1_cycles;
    to->shared_cycles += more->shared_cycles;
    for (int p = 0; p < VG_PIPE_COUNT; p++)
        to->pipe[p] += more->pipe[p];
}

vg_work vg_work_of_grid(const vg_device *d, const vg_counters *c, const vg_resources *r, double scale) {
    vg_work w = {0};
    for (size_t k = 0; k < c->n_funcs; k++) {
        vg_work more = vg_work_of(d, &c->funcs[k], scale, 0, c->funcs[k].code->n_insts);
        vg_work_add(&w, &more);
    }
    w.l1_cycles += c->total.local_sectors / 4 * 128 / vg_dev(d, VG_DEV_L1_BYTES_CLK);
    if (r)
        add_spills(d, c, r, scale, &w);
    return w;
}

double vg_pipe_cycles(const vg_device *d, const vg_work *w, vg_pipe *worst) {
    const struct { vg_pipe pipe; vg_dev_key lanes; } widths[] = {
        {VG_PIPE_INT, VG_DEV_INT_LANES}, {VG_PIPE_FP32, VG_DEV_FP32_LANES}, {VG_PIPE_FP64, VG_DEV_FP64_LANES}, {VG_PIPE_FP16, VG_DEV_FP16_LANES},
        {VG_PIPE_SFU, VG_DEV_SFU_LANES},   // the load/store unit is counted in wavefronts and lines instead
    };
    double most = w->pipe[VG_PIPE_TENSOR] / vg_dev(d, VG_DEV_TENSOR_F16);
    *worst = VG_PIPE_TENSOR;
    for (size_t i = 0; i < HONE_COUNT(widths); i++) {
        double results = widths[i].pipe == VG_PIPE_FP16 ? 64 : 32;   // a scalar FP16 instruction takes as long as a packed one
        double t = w->pipe[widths[i].pipe] * results / vg_dev(d, widths[i].lanes);
        if (t > most) {
            most = t;
            *worst = widths[i].pipe;
        }
    }
    return most;
}
