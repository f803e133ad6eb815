// Counters per source line: the instructions of the kernel and of the functions it calls, ordered by where they come from (.loc) and summed.
#include "vgpu/lines.h"
#include "base/mem.h"
#include "vgpu/attribute.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct item { const vg_inst *in; const vg_inst_count *n; const vg_inst_time *t; } item;
typedef struct tally { honeVgpuLine line; double use[VG_USE_COUNT]; } tally;

static int by_line(const void *a, const void *b) {
    const item *p = a, *q = b;
    const ptx_inst *x = p->in->src, *y = q->in->src;
    if (x->src_file != y->src_file)
        return x->src_file < y->src_file ? -1 : 1;
    if (x->src_line != y->src_line)
        return x->src_line < y->src_line ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static bool same_line(const ptx_inst *x, const ptx_inst *y) {
    return x->src_file == y->src_file && x->src_line == y->src_line && (x->src_line || x->line == y->line);
}

static void add_memory(const vg_inst *in, const vg_inst_count *n, double scale, honeVgpuLine *l) {
    bool store = in->src->op == PTX_OP_ST;
    l->shared_wavefronts += scale * (double)n->wavefronts;
    l->shared_wavefronts_ideal += scale * (double)n->wavefronts_ideal;
    l->local_sectors += scale * (double)n->local_sectors;
    if (!n->sectors)
        return;
    l->global_requests += scale * (double)(n->requests - n->shared_requests);
    l->global_sectors += scale * (double)n->sectors;
    l->global_sectors_ideal += scale * (double)n->sectors_ideal;
    l->l1_hit_sectors += scale * (double)n->l1_hits;
    l->l2_sectors += scale * (store ? (double)n->sectors : (double)n->sectors - (double)n->l1_hits);
    l->dram_sectors += scale * (double)n->dram;
    if (n->atomic_ops) {
        l->atomic_requests += scale * (double)(n->requests - n->shared_requests);
        l->atomic_lane_ops += scale * (double)n->atomic_ops;
        l->atomic_warp_serial += scale * (double)n->atomic_serial;
    }
}

static void add_item(const item *x, double scale, tally *t) {
    honeVgpuLine *l = &t->line;
    double warps = scale * (double)x->n->warps;
    double *pipes[VG_PIPE_COUNT] = {&l->pipe_int, &l->pipe_fp32, &l->pipe_fp64, &l->pipe_fp16, &l->pipe_sfu, &l->pipe_lsu, &l->pipe_tensor, &l->pipe_control,
                                    &l->pipe_other};
    l->warp_insts += warps;
    l->thread_insts += scale * (double)x->n->lanes;
    if (x->in->pipe < VG_PIPE_COUNT)
        *pipes[x->in->pipe] += warps;
    l->divergent_branches += scale * (double)x->n->divergent;
    l->barrier_wait_insts += scale * (double)x->n->barrier_wait;
    add_memory(x->in, x->n, scale, l);
    honeVgpuCounters flops = {0};
    vg_count_flops(x->in->src, warps, scale * (double)x->n->lanes, &flops);
    l->flops += flops.flops_fp32 + flops.flops_fp64 + flops.flops_fp16 + flops.flops_tensor;
    for (int k = 0; k < VG_USE_COUNT; k++) {
        t->use[k] += x->t->of[k];
        l->time_share += x->t->of[k];
    }
}

static void begin_line(const item *x, const ptx_module *m, honeVgpuLine *l) {
    const ptx_inst *src = x->in->src;
    l->line = src->src_line;
    l->ptx_line = src->line;
    if (l->line && src->src_file < m->n_files && m->files[src->src_file])
        snprintf(l->file, sizeof l->file, "%s", m->files[src->src_file]);
}

static void finish_line(const tally *t, const char *pipe, honeVgpuLine *out) {
    int most = 0;
    for (int k = 1; k < VG_USE_COUNT; k++)
        if (t->use[k] > t->use[most])
            most = k;
    *out = t->line;
    if (t->use[most] > 0)
        snprintf(out->bound, sizeof out->bound, "%s", vg_use_name(most, pipe));
}

static size_t collect(const vg_counters *c, vg_inst_time **t, item *items) {
    size_t n = 0;
    for (size_t f = 0; f < c->n_funcs; f++)
        for (size_t i = 0; i < c->funcs[f].code->n_insts; i++)
            if (c->funcs[f].code->insts[i].src)
                items[n++] = (item){&c->funcs[f].code->insts[i], &c->funcs[f].insts[i], &t[f][i]};
    qsort(items, n, sizeof *items, by_line);
    return n;
}

static uint32_t sum_lines(const vg_device *d, const vg_counters *c, const item *items, size_t n_items, honeVgpuLine *lines) {
    const char *pipe = vg_busiest_pipe(d, c);
    double scale = c->total.sampled_fraction > 0 ? 1 / c->total.sampled_fraction : 1;
    uint32_t n = 0;
    for (size_t i = 0; i < n_items;) {
        tally t = {0};
        size_t first = i;
        begin_line(&items[i], c->funcs[0].code->module, &t.line);
        for (; i < n_items && same_line(items[first].in->src, items[i].in->src); i++)
            add_item(&items[i], scale, &t);
        t.line.share = c->total.warp_insts > 0 ? t.line.warp_insts / c->total.warp_insts : 0;
        finish_line(&t, pipe, &lines[n++]);
    }
    return n;
}

hone_code vg_lines(const vg_device *d, const vg_counters *c, const honeVgpuModel *m, honeVgpuLine **out, uint32_t *n, double *chain_cycles, hone_err *e) {
    size_t total = 0;
    for (size_t f = 0; f < c->n_funcs; f++)
        total += c->funcs[f].code->n_insts;
    vg_inst_time **t = NULL;
    HONE_TRY(vg_attribute(d, c, m, &t, chain_cycles, e));
    item *items = hone_calloc(total + 1, sizeof *items);
    honeVgpuLine *lines = hone_calloc(total + 1, sizeof *lines);
    hone_code code = items && lines ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for counters per line");
    if (code == HONE_OK) {
        *n = sum_lines(d, c, items, collect(c, t, items), lines);
        *out = lines;
        lines = NULL;
    }
    hone_free(items);
    hone_free(lines);
    vg_attribute_free(t, c->n_funcs);
    return code;
}
