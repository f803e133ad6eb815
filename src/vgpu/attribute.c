// Which instruction the modelled time goes to. The model (timing.c) combines the cycles of each resource to C = (Σ C_k^q)^(1/q). By Euler's theorem
// for homogeneous functions C is the sum over resources of C_k·∂C/∂C_k, that is of C·(C_k/C)^q: a resource that is barely used owns nearly nothing, the
// one that binds nearly all. What a resource owns is divided among instructions by how much of it they use.
//
// Latency is divided along the dependent chain: an instruction that waits charges its wait to the one that made the operand, as the line to look at.
#include "vgpu/attribute.h"
#include "base/mem.h"
#include "vgpu/sass.h"
#include "vgpu/timing.h"
#include <math.h>
#include <string.h>

static const double overlap_q = 5;   // as in timing.c

// ---- what an instruction uses

typedef struct pipe_width { vg_pipe pipe; vg_dev_key lanes; const char *name; } pipe_width;
static const pipe_width widths[] = {
    {VG_PIPE_INT, VG_DEV_INT_LANES, "int"},    {VG_PIPE_FP32, VG_DEV_FP32_LANES, "fp32"}, {VG_PIPE_FP64, VG_DEV_FP64_LANES, "fp64"},
    {VG_PIPE_FP16, VG_DEV_FP16_LANES, "fp16"}, {VG_PIPE_SFU, VG_DEV_SFU_LANES, "sfu"},    {VG_PIPE_TENSOR, VG_DEV_TENSOR_F16, "tensor"},
};

static const pipe_width *busiest(const vg_device *d, const vg_counters *c) {
    double cycles[HONE_COUNT(widths)] = {0};
    for (size_t f = 0; f < c->n_funcs; f++)
        for (size_t i = 0; i < c->funcs[f].code->n_insts; i++) {
            vg_sass cost;
            vg_sass_cost(c->funcs[f].code->insts[i].src, &cost);
            for (size_t p = 0; p < HONE_COUNT(widths); p++)
                cycles[p] += (double)c->funcs[f].insts[i].warps * cost.pipe[widths[p].pipe] * (widths[p].pipe == VG_PIPE_TENSOR ? 1 : 32) /
                             vg_dev(d, widths[p].lanes);
        }
    size_t worst = 0;
    for (size_t p = 1; p < HONE_COUNT(widths); p++)
        if (cycles[p] > cycles[worst])
            worst = p;
    return &widths[worst];
}

const char *vg_busiest_pipe(const vg_device *d, const vg_counters *c) { return busiest(d, c)->name; }

const char *vg_use_name(int use, const char *pipe) {
    static const char *const names[VG_USE_COUNT] = {"issue", "", "l1", "shared", "l2", "dram", "latency", "atomics"};
    return use == VG_USE_PIPE ? pipe : names[use];
}

static void uses_of(const vg_device *d, const vg_func_count *f, size_t i, vg_pipe pipe, vg_inst_time *t) {
    const vg_inst_count *n = &f->insts[i];
    const vg_work w = vg_work_of(d, f, 1, i, i + 1);
    bool store = f->code->insts[i].src->op == PTX_OP_ST;
    t->of[VG_USE_ISSUE] = w.issue;
    t->of[VG_USE_PIPE] = w.pipe[pipe];
    t->of[VG_USE_L1] = w.l1_cycles + (double)n->local_sectors / 4;
    t->of[VG_USE_SHARED] = w.shared_cycles;
    // Stores of partly written sectors weigh what their line costs L2: four sectors' time at least.
    t->of[VG_USE_L2] = fmax(store ? (double)n->sectors : (double)n->sectors - (double)n->l1_hits, 4 * (double)n->partial_lines);
    t->of[VG_USE_DRAM] = (double)n->dram;
    t->of[VG_USE_ATOMIC] = (double)n->atomic_ops;
}

// ---- the chain

enum { NOBODY = UINT32_MAX };
typedef struct chain {
    const vg_device *d;
    const vg_func_count *f;
    double miss_latency;   // beyond L1
    double *ready;         // per register: cycles from the block's start until its value is there
    uint32_t *maker;       // per register: the instruction that made it
    double *wait;          // per instruction: cycles that others waited for its result, or that it took to issue
} chain;

static double result_latency(const chain *s, const ptx_inst *in, const vg_inst_count *n, const vg_sass *cost) {
    bool loads = in->op == PTX_OP_LD || in->op == PTX_OP_LDU || in->op == PTX_OP_ATOM;
    if (!loads || in->space == PTX_PARAM || in->space == PTX_CONST)
        return cost->latency;
    double requests = n->requests ? (double)n->requests : 1;
    if (in->space == PTX_SHARED)
        return vg_dev(s->d, VG_DEV_SHARED_LATENCY) + (double)n->wavefronts / requests - 1;
    if (in->op == PTX_OP_ATOM)
        return s->miss_latency;
    double missed = in->space == PTX_LOCAL ? 0 : (double)n->waits / requests;
    return vg_dev(s->d, VG_DEV_L1_LATENCY) + missed * s->miss_latency;
}

static void latest(const chain *s, const ptx_operand *o, double *at, uint32_t *maker) {
    if ((o->kind == PTX_O_REG || (o->kind == PTX_O_ADDR && o->has_base)) && s->ready[o->reg] > *at) {
        *at = s->ready[o->reg];
        *maker = s->maker[o->reg];
    }
    for (unsigned k = 0; k < o->n_elems; k++)
        latest(s, &o->elems[k], at, maker);
}

static void define(chain *s, const ptx_operand *o, double at, uint32_t inst) {
    if (o->kind == PTX_O_REG) {
        s->ready[o->reg] = at;
        s->maker[o->reg] = inst;
    }
    for (unsigned k = 0; k < o->n_elems; k++)
        define(s, &o->elems[k], at, inst);
}

// One pass over a basic block; charges its waits when `charge`. Returns its length in cycles.
static double walk_block(chain *s, size_t first, size_t stop, double charge) {
    double now = 0, issued = 0;
    for (size_t i = first; i < stop; i++) {
        const ptx_inst *in = s->f->code->insts[i].src;
        vg_sass cost;
        vg_sass_cost(in, &cost);
        double at = 0;
        uint32_t maker = NOBODY;
        bool result = in->n_operands > 0 && in->op != PTX_OP_ST && in->op != PTX_OP_RED && in->op != PTX_OP_BRA && in->op != PTX_OP_CP;
        if (in->has_guard) {
            at = s->ready[in->guard];
            maker = s->maker[in->guard];
        }
        for (unsigned k = result ? 1 : 0; k < in->n_operands; k++)
            latest(s, &in->operand[k], &at, &maker);
        if (in->op == PTX_OP_BAR || in->op == PTX_OP_BARRIER) {
            at = now + cost.latency;
            maker = (uint32_t)i;
        }
        issued += cost.issue;
        if (at > now) {
            if (maker != NOBODY)
                s->wait[maker] += charge * (at - now);
            now = at;
        }
        if (result)
            define(s, &in->operand[0], at + result_latency(s, in, &s->f->insts[i], &cost), (uint32_t)i);
    }
    double length = fmax(now, issued);
    for (size_t i = first; i < stop && issued > now; i++) {   // issue, not waiting, makes the block as long as it is
        vg_sass cost;
        vg_sass_cost(s->f->code->insts[i].src, &cost);
        s->wait[i] += charge * (issued - now) * cost.issue / issued;
    }
    for (size_t r = 0; r < s->f->code->func->n_regs; r++)
        s->ready[r] = fmax(0, s->ready[r] - length);
    return length;
}

static bool loops(const vg_code *code, size_t first, size_t stop) {
    const ptx_inst *last = code->insts[stop - 1].src;
    return last->op == PTX_OP_BRA && last->operand[0].kind == PTX_O_LABEL && last->operand[0].label == first;
}

// Fills s->wait, summed over warps; returns the sum of block lengths over all executions.
static double walk_function(chain *s) {
    const vg_code *code = s->f->code;
    double total = 0;
    for (size_t b = 0; b < code->n_blocks; b++) {
        size_t first = code->block_first[b], stop = b + 1 < code->n_blocks ? code->block_first[b + 1] : code->n_insts;
        if (first >= stop)
            continue;
        double times = (double)s->f->insts[first].warps;
        if (loops(code, first, stop))
            walk_block(s, first, stop, 0);   // the steady state is the second time round
        total += times * walk_block(s, first, stop, times);
    }
    return total;
}

static hone_code charge_latency(const vg_device *d, const vg_counters *c, size_t f, vg_inst_time *t, double *cycles, hone_err *e) {
    const vg_code *code = c->funcs[f].code;
    chain s = {.d = d, .f = &c->funcs[f]};
    s.miss_latency = c->l2_hit_rate * vg_dev(d, VG_DEV_L2_LATENCY) + (1 - c->l2_hit_rate) * vg_dev(d, VG_DEV_DRAM_LATENCY);
    s.ready = hone_calloc(code->func->n_regs + 1, sizeof *s.ready);
    s.maker = hone_calloc(code->func->n_regs + 1, sizeof *s.maker);
    s.wait = hone_calloc(code->n_insts + 1, sizeof *s.wait);
    bool ok = s.ready && s.maker && s.wait;
    for (size_t r = 0; ok && r < code->func->n_regs; r++)
        s.maker[r] = NOBODY;
    if (ok)
        *cycles += walk_function(&s);
    for (size_t i = 0; ok && i < code->n_insts; i++)
        t[i].of[VG_USE_LATENCY] = s.wait[i];
    hone_free(s.ready);
    hone_free(s.maker);
    hone_free(s.wait);
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory attributing time");
}

// ---- all

static void weigh(const vg_counters *c, const honeVgpuModel *m, vg_inst_time **t) {
    const double shares[VG_USE_COUNT] = {m->share_issue, m->share_pipe, m->share_l1, m->share_shared,
                                         m->share_l2, m->share_dram, m->share_latency, m->share_atomic};
    double all = pow(m->share_blocks, overlap_q), sum[VG_USE_COUNT] = {0};
    for (int k = 0; k < VG_USE_COUNT; k++) {
        all += pow(shares[k], overlap_q);
        for (size_t f = 0; f < c->n_funcs; f++)
            for (size_t i = 0; i < c->funcs[f].code->n_insts; i++)
                sum[k] += t[f][i].of[k];
    }
    for (int k = 0; k < VG_USE_COUNT; k++)
        for (size_t f = 0; f < c->n_funcs; f++)
            for (size_t i = 0; i < c->funcs[f].code->n_insts; i++)
                t[f][i].of[k] = sum[k] > 0 && all > 0 ? t[f][i].of[k] / sum[k] * pow(shares[k], overlap_q) / all : 0;
}

void vg_attribute_free(vg_inst_time **t, size_t n_funcs) {
    for (size_t f = 0; t && f < n_funcs; f++)
        hone_free(t[f]);
    hone_free(t);
}

hone_code vg_attribute(const vg_device *d, const vg_counters *c, const honeVgpuModel *m, vg_inst_time ***out, double *chain_cycles, hone_err *e) {
    vg_inst_time **t = hone_calloc(c->n_funcs + 1, sizeof *t);
    hone_code code = t ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory attributing time");
    vg_pipe pipe = busiest(d, c)->pipe;
    double cycles = 0;
    for (size_t f = 0; f < c->n_funcs && code == HONE_OK; f++) {
        t[f] = hone_calloc(c->funcs[f].code->n_insts + 1, sizeof **t);
        if (!t[f]) {
            code = hone_fail(e, HONE_E_NOMEM, 0, "out of memory attributing time");
            break;
        }
        for (size_t i = 0; i < c->funcs[f].code->n_insts; i++)
            uses_of(d, &c->funcs[f], i, pipe, &t[f][i]);
        code = charge_latency(d, c, f, t[f], &cycles, e);
    }
    if (code != HONE_OK) {
        vg_attribute_free(t, c->n_funcs);
        return code;
    }
    weigh(c, m, t);
    double warps = c->total.warps * c->total.sampled_fraction;
    *chain_cycles = warps > 0 ? cycles / warps : 0;
    *out = t;
    return HONE_OK;
}
