// frames: call frames of a warp and what happens at call and ret. A frame is one function at one depth of the call stack with its own
// register file; lanes that called it from different places share it and part again when they return. Parameters travel as rows:
// byte k of lane l of a parameter area is byte k % 4 of lane l in row k / 4 (see vg_code.param_row).
#include "vgpu/fpshadow.h"
#include "vgpu/cluster.h"
#include "vgpu/linear.h"
#include "vgpu/run.h"
#include <stdlib.h>
#include <string.h>

enum { ROW = 128 };

static void *aligned_rows(size_t bytes, void **raw) {
    *raw = hone_calloc(bytes + 64, 1);
    return *raw ? (void *)(((uintptr_t)*raw + 63) & ~(uintptr_t)63) : NULL;
}

typedef struct frame_box { vg_frame f; void *raw; } frame_box;   // what is freed

// Register file and predicates; in a shadow program the rows of shadows hang before it.
static uint8_t *file_new(const vg_code *code, size_t file, void **raw) {
    const bool shadow = vg_full(code)->fs != NULL;
    const size_t before = shadow ? 64 : 0, own = file + (code->n_preds + 1 + vg_full(code)->n_doubtful) * sizeof(uint32_t);
    const size_t at = (before + own + 63) & ~(size_t)63;
    uint8_t *base = aligned_rows(at + (shadow ? (file / ROW + 2) * sizeof(vg_fs_row) : 0), raw);
    if (base && shadow) {
        const vg_fs_row *rows = (const vg_fs_row *)(const void *)(base + at);
        memcpy(base, &rows, sizeof rows);
    }
    return base ? base + before : NULL;
}

void vg_frame_reset(vg_warp *w, vg_frame *f) {
    const vg_code *c = f->code;
    const vg_code_full *full = vg_full(c);
    (void)w;
    memset(f->file, 0, c->template_at);
    memcpy(f->file + c->template_at, c->template_rows, c->template_bytes);
    memset(f->pred, 0, c->n_preds * sizeof *f->pred);
    for (size_t i = 0; i < c->n_pred_init; i++)
        f->pred[c->n_preds - c->n_pred_init + i] = c->pred_init[i] ? 0xffffffffu : 0;
    for (size_t i = 0; i < full->n_local_fix; i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            uint8_t *row = f->file + full->local_fix[i];
            if (full->local_fix_wide[i])
                ((uint64_t *)(void *)row)[l] += f->local_base;
            else
                ((uint32_t *)(void *)row)[l] += f->local_base;
        }
}

vg_frame *vg_frame_get(vg_warp *w, const vg_code *code, uint32_t depth, uint32_t local_base) {
    vg_wx *x = vg_wx_of(w);
    for (vg_frame *f = x->frames; f; f = f->next)
        if (f->code == code && f->depth == depth && f->local_base == local_base) {
            vg_frame_special(w, f);
            return f;
        }
    frame_box *box = hone_calloc(1, sizeof *box);
    if (!box)
        return NULL;
    vg_frame *f = &box->f;
    const size_t file = (code->file_bytes + 63) & ~(size_t)63;
    const unsigned doubtful = vg_full(code)->n_doubtful;
    f->file = file_new(code, file, &box->raw);
    if (!f->file) {
        hone_free(box);
        return NULL;
    }
    f->pred = (uint32_t *)(void *)(f->file + file);
    f->defined = doubtful ? f->pred + code->n_preds + 1 : NULL;
    f->code = code;
    f->depth = depth;
    f->local_base = local_base;
    f->next = x->frames;
    x->frames = f;
    vg_frame_reset(w, f);
    vg_frame_special(w, f);
    return f;
}

void vg_frames_free(vg_warp *w) {
    vg_wx *x = vg_wx_of(w);
    for (vg_frame *f = x ? x->frames : NULL, *next; f; f = next) {
        next = f->next;
        frame_box *box = (frame_box *)(void *)f;
        hone_free(box->raw);
        hone_free(box);
    }
}

// ---- special registers
static uint32_t cluster_rank(const vg_block *b) {
    const uint32_t *ids = b->ctaid, x = vg_cluster_dim(b->launch, 0), y = vg_cluster_dim(b->launch, 1), z = vg_cluster_dim(b->launch, 2);
    return ids[0] % x + x * (ids[1] % y + y * (ids[2] % z));
}

static uint64_t cluster_value(const vg_block *b, unsigned s) {
    const vg_launch *l = b->launch;
    switch (s) {
    case PTX_SREG_CLUSTERID_X: case PTX_SREG_CLUSTERID_Y: case PTX_SREG_CLUSTERID_Z:
        return b->ctaid[s - PTX_SREG_CLUSTERID_X] / vg_cluster_dim(l, s - PTX_SREG_CLUSTERID_X);
    case PTX_SREG_NCLUSTERID_X: case PTX_SREG_NCLUSTERID_Y: case PTX_SREG_NCLUSTERID_Z:
        return l->grid[s - PTX_SREG_NCLUSTERID_X] / vg_cluster_dim(l, s - PTX_SREG_NCLUSTERID_X);
    case PTX_SREG_CLUSTER_CTAID_X: case PTX_SREG_CLUSTER_CTAID_Y: case PTX_SREG_CLUSTER_CTAID_Z:
        return b->ctaid[s - PTX_SREG_CLUSTER_CTAID_X] % vg_cluster_dim(l, s - PTX_SREG_CLUSTER_CTAID_X);
    case PTX_SREG_CLUSTER_NCTAID_X: case PTX_SREG_CLUSTER_NCTAID_Y: case PTX_SREG_CLUSTER_NCTAID_Z:
        return vg_cluster_dim(l, s - PTX_SREG_CLUSTER_NCTAID_X);
    case PTX_SREG_CLUSTER_CTARANK: return cluster_rank(b);
    case PTX_SREG_CLUSTER_NCTARANK: return vg_cluster_size(l->cluster);
    default: return 0;                 // grid id
    }
}

static uint64_t sreg_value(const vg_warp *w, unsigned s, unsigned lane) {
    const vg_block *b = w->block;
    const vg_launch *l = b->launch;
    const uint32_t t = w->index * VG_LANES + lane, nx = l->block[0], ny = l->block[1];
    const uint32_t dims = l->block[0] * l->block[1] * l->block[2];
    switch (s) {
    case PTX_SREG_TID_X: return t % nx;
    case PTX_SREG_TID_Y: return t / nx % ny;
    case PTX_SREG_TID_Z: return t / nx / ny;
    case PTX_SREG_NTID_X: case PTX_SREG_NTID_Y: case PTX_SREG_NTID_Z: return l->block[s - PTX_SREG_NTID_X];
    case PTX_SREG_CTAID_X: case PTX_SREG_CTAID_Y: case PTX_SREG_CTAID_Z: return b->ctaid[s - PTX_SREG_CTAID_X];
    case PTX_SREG_NCTAID_X: case PTX_SREG_NCTAID_Y: case PTX_SREG_NCTAID_Z: return l->grid[s - PTX_SREG_NCTAID_X];
    case PTX_SREG_LANEID: return lane;
    case PTX_SREG_WARPID: return w->index;
    case PTX_SREG_NWARPID: return (dims + VG_LANES - 1) / VG_LANES;
    case PTX_SREG_SMID: return b->sm;
    case PTX_SREG_NSMID: return 132;
    case PTX_SREG_LANEMASK_EQ: return 1u << lane;
    case PTX_SREG_LANEMASK_LE: return (uint32_t)((2ull << lane) - 1);
    case PTX_SREG_LANEMASK_LT: return (1u << lane) - 1;
    case PTX_SREG_LANEMASK_GE: return ~((1u << lane) - 1);
    case PTX_SREG_LANEMASK_GT: return ~(uint32_t)((2ull << lane) - 1);
    case PTX_SREG_TOTAL_SMEM_SIZE: case PTX_SREG_AGGR_SMEM_SIZE: return b->shared_bytes;
    case PTX_SREG_DYNAMIC_SMEM_SIZE: return l->dynamic_shared;
    case PTX_SREG_ENVREG1: return l->workspace >> 32;   // as cooperative groups read it: high half first
    case PTX_SREG_ENVREG2: return (uint32_t)l->workspace;
    default: return cluster_value(b, s);
    }
}

static bool differs_by_lane(unsigned s) { return s <= PTX_SREG_TID_Z || s == PTX_SREG_LANEID || (s >= PTX_SREG_LANEMASK_EQ && s <= PTX_SREG_LANEMASK_GT); }

static void put_uniform(uint8_t *file, const vg_sreg_use *u, uint64_t v) {
    if (u->row) {
        uint32_t *row = __builtin_assume_aligned(file + u->row, 64);
        for (unsigned l = 0; l < VG_LANES; l++)
            row[l] = (uint32_t)v;
        *vg_tag_at(file, u->row) = (vg_tag){.base = (uint32_t)v, .flags = VG_LINEAR};
    }
    if (u->wide_row) {
        uint64_t *row = __builtin_assume_aligned(file + u->wide_row, 64);
        for (unsigned l = 0; l < VG_LANES; l++)
            row[l] = v;
        *vg_tag_at(file, u->wide_row) = (vg_tag){.base = v, .flags = VG_LINEAR};
    }
}

static void fill_sreg(const vg_warp *w, const vg_frame *f, const vg_sreg_use *u) {
    if (!differs_by_lane(u->s)) {
        put_uniform(f->file, u, sreg_value(w, u->s, 0));
        return;
    }
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint64_t v = sreg_value(w, u->s, l);
        if (u->row)
            ((uint32_t *)(void *)(f->file + u->row))[l] = (uint32_t)v;
        if (u->wide_row)
            ((uint64_t *)(void *)(f->file + u->wide_row))[l] = v;
    }
    if (u->row)
        vg_linear_detect(f->file, u->row, false);
    if (u->wide_row)
        vg_linear_detect(f->file, u->wide_row, true);
}

// Frames stay with one warp of one launch: only these have to be written again for another block.
bool vg_sreg_of_block(unsigned s) {
    switch (s) {
    case PTX_SREG_CTAID_X: case PTX_SREG_CTAID_Y: case PTX_SREG_CTAID_Z: case PTX_SREG_SMID:
    case PTX_SREG_CLUSTERID_X: case PTX_SREG_CLUSTERID_Y: case PTX_SREG_CLUSTERID_Z:
    case PTX_SREG_CLUSTER_CTAID_X: case PTX_SREG_CLUSTER_CTAID_Y: case PTX_SREG_CLUSTER_CTAID_Z: case PTX_SREG_CLUSTER_CTARANK:
        return true;
    default:
        return false;
    }
}

void vg_frame_special(vg_warp *w, vg_frame *f) {
    if (f->filled && f->generation == w->file_generation)
        return;
    const vg_code_full *full = vg_full(f->code);
    for (unsigned i = 0, n = f->filled ? full->n_block_sregs : full->n_sregs; i < n; i++)
        fill_sreg(w, f, &full->sregs[i]);
    f->generation = w->file_generation;
    f->filled = true;
}

// Clocks advance with the instructions of the warp: deterministic, and moving for kernels that wait on them. 4 cycles, 2 ns each.
void vg_refresh_clocks(vg_warp *w, const vg_inst *in) {
    if (w->block->launch->flags & HONE_VGPU_CLOCKS)
        vg_report(w, in, (unsigned)__builtin_ctz(w->active | 1u << 31), "control.clock", 0, 0, false, "reads a clock or a timer: what it does can depend on being measured");
    const vg_code_full *full = vg_full(w->code);
    const uint64_t cycles = 1000 + 4 * w->warp_insts, ns = 1000 + 2 * w->warp_insts;
    const struct { unsigned s; uint64_t v; } clocks[] = {
        {PTX_SREG_CLOCK, cycles}, {PTX_SREG_CLOCK_HI, cycles >> 32}, {PTX_SREG_CLOCK64, cycles},
        {PTX_SREG_GLOBALTIMER, ns}, {PTX_SREG_GLOBALTIMER_LO, ns}, {PTX_SREG_GLOBALTIMER_HI, ns >> 32},
    };
    for (size_t i = 0; i < HONE_COUNT(clocks); i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            if (w->code->sreg_row[clocks[i].s])
                vg_u32(w, w->code->sreg_row[clocks[i].s])[l] = (uint32_t)clocks[i].v;
            if (full->sreg_wide_row[clocks[i].s])
                vg_u64(w, full->sreg_wide_row[clocks[i].s])[l] = clocks[i].v;
        }
}

// ---- calls
uint8_t *vg_param_byte(vg_warp *w, const vg_frame *f, uint32_t at, unsigned lane) {
    (void)w;
    return f->file + f->code->param_row + at / 4 * ROW + lane * 4;
}

static void copy_area(const vg_frame *from, uint32_t from_at, vg_frame *to, uint32_t to_at, uint32_t bytes, uint32_t mask) {
    for (uint32_t k = 0; k < bytes; k += 4) {
        const uint32_t *s = (const uint32_t *)(const void *)(from->file + from->code->param_row + (from_at + k) / 4 * ROW);
        uint32_t *d = (uint32_t *)(void *)(to->file + to->code->param_row + (to_at + k) / 4 * ROW);
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = mask >> l & 1 ? s[l] : d[l];
        if (vg_full(from->code)->fs)
            vg_fs_copy_row(from->file, from->code->param_row + (from_at + k) / 4 * ROW, to->file, to->code->param_row + (to_at + k) / 4 * ROW, mask);
    }
}

static uint32_t place_of(const vg_code *c, const ptx_var *v) {
    const vg_place *p = vg_place_find(vg_full(c)->places, vg_full(c)->n_places, v);
    return p ? p->at : 0;
}

static void enter_callee(vg_warp *w, const vg_inst *in, const vg_call *c, const vg_code *callee, uint32_t mask) {
    vg_wx *x = vg_wx_of(w);
    vg_frame *caller = x->split[x->cur].frame;
    const uint32_t base = caller->local_base + (uint32_t)caller->code->frame_local_bytes;
    const bool deep = caller->depth + 1 >= VG_MAX_DEPTH || base + callee->frame_local_bytes > w->local_stride;
    vg_frame *f = deep ? NULL : vg_frame_get(w, callee, caller->depth + 1, base);
    if (!f) {
        vg_report(w, in, (unsigned)__builtin_ctz(mask), "kernel.stack-overflow", 0, 0, false, "calls '%s' %u levels deep and overflows its stack",
                  callee->func->name, caller->depth + 1);
        vg_fault(w, deep ? VG_CU_ILLEGAL_ADDRESS : VG_CU_OUT_OF_MEMORY);
        return;
    }
    vg_stack_enter(callee, f->file, mask);
    for (unsigned i = 0; i < c->n_args && i < callee->func->n_params; i++) {
        const uint32_t bytes = (uint32_t)callee->func->params[i]->bytes;
        copy_area(caller, c->args[i], f, place_of(callee, callee->func->params[i]), bytes < c->arg_bytes[i] ? bytes : c->arg_bytes[i], mask);
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        f->ret_frame[__builtin_ctz(m)] = caller;
        f->ret_pc[__builtin_ctz(m)] = in->index;
    }
    x->split[x->cur].frame = f;
    x->split[x->cur].mask = w->active = mask;
    x->split[x->cur].pc = 0;
    vg_warp_enter(w, x->cur);
}

static const vg_code *function_at(const vg_warp *w, uint64_t address) {
    const vg_program *p = w->code->program;
    const uint64_t i = (address - VG_FUNC_BASE) / 16;
    return address >= VG_FUNC_BASE && address % 16 == 0 && i < p->module->n_funcs && p->codes[i] ? &p->codes[i]->code : NULL;
}

void vg_do_call(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_wx *x = vg_wx_of(w);
    const vg_call *c = &vg_full(w->code)->calls[in->imm];
    vg_frame *frame = x->split[x->cur].frame;
    w->next = in->index + 1;
    if (!mask)
        return;
    if (c->kind != VG_CALL_FUNCTION && c->kind != VG_CALL_INDIRECT) {
        vg_intrinsic_call(w, in, c, mask);
        return;
    }
    const vg_code *callee = c->callee;
    uint32_t now = mask;
    if (c->kind == VG_CALL_INDIRECT) {
        const uint64_t *to = vg_u64(w, in->a);
        const unsigned first = (unsigned)__builtin_ctz(mask);
        for (uint32_t m = mask; m; m &= m - 1)
            if (to[__builtin_ctz(m)] != to[first])
                now &= ~(m & -m);
        callee = function_at(w, to[first]);
        if (!callee || callee->func->n_params != c->n_args) {
            vg_report(w, in, first, "control.call-target", to[first], 0, false, "calls 0x%llx, which is no function of this module",
                      (unsigned long long)to[first]);
            vg_fault(w, VG_CU_INVALID_PC);
            return;
        }
    }
    vg_split_add(w, mask & ~now, in->index, frame);               // other targets: their turn comes
    vg_split_add(w, w->active & ~mask, in->index + 1, frame);     // guarded off
    enter_callee(w, in, c, callee, now);
}

void vg_do_return(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_wx *x = vg_wx_of(w);
    vg_frame *f = x->split[x->cur].frame;
    if (!mask)
        return;
    if (f->depth == 0) {
        vg_lanes_exit(w, mask);
        return;
    }
    const uint32_t stay = w->active & ~mask;
    bool first = true;
    while (mask) {
        const unsigned l = (unsigned)__builtin_ctz(mask);
        vg_frame *to = f->ret_frame[l];
        const uint32_t pc = f->ret_pc[l];
        uint32_t group = 0;
        for (uint32_t m = mask; m; m &= m - 1)
            if (f->ret_frame[__builtin_ctz(m)] == to && f->ret_pc[__builtin_ctz(m)] == pc)
                group |= m & -m;
        mask &= ~group;
        const vg_call *c = &vg_full(to->code)->calls[to->code->insts[pc].imm];
        for (unsigned i = 0; i < c->n_rets && i < f->code->func->n_rets; i++)
            copy_area(f, place_of(f->code, f->code->func->rets[i]), to, c->rets[i], c->ret_bytes[i], group);
        if (first) {
            x->split[x->cur] = (vg_split){.mask = group, .pc = pc + 1, .frame = to, .state = VG_READY};
            first = false;
        } else {
            vg_split_add(w, group, pc + 1, to);
        }
    }
    vg_split_add(w, stay, in->index + 1, f);
    vg_warp_enter(w, x->cur);
}
