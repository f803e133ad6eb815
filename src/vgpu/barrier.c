// barrier: the sixteen barriers of a block (those of clusters: cluster.c). Arrivals are counted per lane, as since Volta; barriers without a count wait for every thread that has not exited. Divergence at an aligned barrier and threads
// that left early are findings: hardware mostly lets them pass, the programming model does not.
#include "vgpu/cluster.h"
#include "vgpu/race.h"
#include "vgpu/run.h"

static unsigned barrier_id(const vg_warp *w, const vg_inst *in, uint32_t mask) {
    if (in->a == VG_NO_ROW)
        return 0;
    return ((const uint32_t *)(const void *)(w->file + in->a))[__builtin_ctz(mask)];
}

static uint32_t expected_of(const vg_warp *w, const vg_inst *in, uint32_t mask) {
    return in->b == VG_NO_ROW ? 0 : ((const uint32_t *)(const void *)(w->file + in->b))[__builtin_ctz(mask)];
}

static bool complete(const vg_bx *bx, const vg_bar *bar) {
    return bar->expected ? bar->units >= bar->expected : bar->lanes >= bx->live;
}

static void write_reduction(vg_warp *w, const vg_inst *in, const vg_bar *bar, uint32_t mask) {
    if (in->aux2 == PTX_ATOM_POPC) {
        uint32_t *d = vg_u32(w, in->d);
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = mask >> l & 1 ? bar->pop : d[l];
    } else if (in->d != VG_NO_PRED) {
        const uint32_t v = (in->aux2 == PTX_ATOM_AND ? bar->all : bar->any) ? mask : 0;
        w->pred[in->d] = (w->pred[in->d] & ~mask) | v;
    }
}

// How long warps wait for each other, in instructions: what the busiest of them executed since the last barrier, less its own.
static void count_waits(vg_block *b, unsigned id) {
    uint64_t most = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < b->n_warps; i++) {
            vg_wx *x = vg_wx_of(&b->warps[i]);
            const vg_split *here = NULL;
            for (unsigned k = 0; b->warps[i].live && k < x->n && !here; k++)
                if (x->split[k].state == VG_AT_BAR && x->split[k].bar == id)
                    here = &x->split[k];
            const uint64_t own = x->at_bar - x->left_bar;
            if (!here)
                continue;
            if (pass == 0) {
                most = own > most ? own : most;
                continue;
            }
            vg_inst_count *c = vg_count_at(b->count, here->frame->code, here->pc);
            if (c)
                c->barrier_wait += most - own;
            x->left_bar = x->at_bar;
        }
}

static void release(vg_block *b, unsigned id) {
    if (b->count)
        count_waits(b, id);
    vg_bx *bx = vg_bx_of(b);
    const vg_bar done = bx->bar[id];
    for (uint32_t i = 0; i < b->n_warps; i++) {
        vg_warp *w = &b->warps[i];
        vg_wx *x = vg_wx_of(w);
        const unsigned cur = x->cur;
        const uint32_t active = w->active, next = w->next;   // of the warp that arrives or exits: ahead of its split's
        uint32_t here = 0;
        for (unsigned k = 0; w->live && k < x->n; k++) {
            vg_split *s = &x->split[k];
            if (s->state != VG_AT_BAR || s->bar != id)
                continue;
            const vg_inst *in = &s->frame->code->insts[s->pc];
            if (in->ctl == VG_CTL_BAR_RED) {
                vg_warp_enter(w, k);
                write_reduction(w, in, &done, s->mask);
            }
            s->state = VG_READY;
            s->pc++;
            here |= s->mask;
        }
        if (b->race && here)
            vg_race_leave(w, id, here);
        if (cur < x->n) {
            vg_warp_enter(w, cur);
            w->active = active;
            w->next = next;
        }
    }
    if (!done.expected || done.expected >= bx->live)
        b->barrier_epoch++;
    if (b->race)
        vg_race_barrier_done(b->race, id);
    bx->bar[id] = (vg_bar){0};
    bx->open &= ~(1u << id);
}

// Counts an arrival; false after a fault.
static bool arrive(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned *id) {
    vg_block *b = w->block;
    vg_bx *bx = vg_bx_of(b);
    *id = barrier_id(w, in, mask);
    const uint32_t expected = expected_of(w, in, mask);
    const bool check = b->launch->flags & HONE_VGPU_CHECK;
    const unsigned lane = (unsigned)__builtin_ctz(mask);
    if (*id >= VG_BARRIERS) {
        vg_report(w, in, lane, "barrier.id", 0, 0, false, "barrier %u does not exist: there are 16", *id);
        vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
        return false;
    }
    vg_bar *bar = &bx->bar[*id];
    if (check && in->src && (in->src->mods & PTX_M_ALIGNED || in->src->op == PTX_OP_BAR) && mask != w->live)
        vg_report(w, in, lane, "barrier.divergent", 0, 0, false, "%d of the warp's %d live threads reach this barrier without the others",
                  __builtin_popcount(mask), __builtin_popcount(w->live));
    if (check && !expected && bx->live < bx->threads)
        vg_report(w, in, lane, "barrier.exited", 0, 0, false, "%u of the block's %u threads returned before this barrier", bx->threads - bx->live,
                  bx->threads);
    if (check && ((bar->expected && expected && bar->expected != expected) || expected % VG_LANES))
        vg_report(w, in, lane, "barrier.count", 0, 0, false, "arrives at barrier %u with a count of %u%s", *id, expected,
                  expected % VG_LANES ? ", not a multiple of 32" : "; others used another count");
    bx->open |= 1u << *id;
    bar->expected = expected;
    bar->lanes += (uint32_t)__builtin_popcount(mask);
    bar->units += mask == w->live ? VG_LANES : (uint32_t)__builtin_popcount(mask);
    if (w->count) {
        w->count->barriers++;
        vg_wx_of(w)->at_bar = w->warp_insts;
    }
    if (b->race)
        vg_race_arrive(w, *id);
    return true;
}

bool vg_barrier_arrive(vg_warp *w, unsigned k, const vg_inst *in) {
    vg_split *s = &vg_wx_of(w)->split[k];
    unsigned id;
    if (!arrive(w, in, s->mask, &id))
        return false;
    vg_bx *bx = vg_bx_of(w->block);
    vg_bar *bar = &bx->bar[id];
    if (in->ctl == VG_CTL_BAR_RED) {
        const uint32_t p = (w->pred[in->c] ^ (in->aux ? ~0u : 0u)) & s->mask;
        bar->all = (bar->lanes == (uint32_t)__builtin_popcount(s->mask) ? 1 : bar->all) && p == s->mask;
        bar->any |= p != 0;
        bar->pop += (uint32_t)__builtin_popcount(p);
    }
    s->state = VG_AT_BAR;
    s->bar = id;
    if (!complete(bx, bar))
        return false;
    release(w->block, id);
    return true;
}

void vg_barrier_notify(vg_warp *w, const vg_inst *in, uint32_t mask) {
    unsigned id;
    if (arrive(w, in, mask, &id) && complete(vg_bx_of(w->block), &vg_bx_of(w->block)->bar[id]))
        release(w->block, id);
}

void vg_barrier_exited(vg_warp *w, uint32_t lanes) {
    vg_bx *bx = vg_bx_of(w->block);
    bx->live -= (uint32_t)__builtin_popcount(lanes);
    vg_cluster_lanes_exit(w, lanes);
    for (unsigned id = 0; bx->open >> id; id++)
        if (bx->bar[id].lanes && !bx->bar[id].expected && bx->live && complete(bx, &bx->bar[id]))
            release(w->block, id);
}
