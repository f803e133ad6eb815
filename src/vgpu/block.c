// block: one resident block of a launch: its warps, their register files, its shared and local memory. Memory is kept and used again
// for the next block of the same launch. A round lets every warp run once; the scheduler (sched.c) decides which block has the next round.
#include "vgpu/async.h"
#include "vgpu/block.h"
#include "vgpu/context.h"
#include "vgpu/decode.h"
#include "vgpu/fpshadow.h"
#include "vgpu/race.h"
#include "vgpu/wgmma_watch.h"
#include <string.h>

static void *aligned_calloc(size_t bytes, void **raw) {
    *raw = hone_calloc(bytes + 64, 1);
    return *raw ? (void *)(((uintptr_t)*raw + 63) & ~(uintptr_t)63) : NULL;
}

static vg_alloc nowhere;   // of no bytes: what a warp's memory of allocations begins with

static bool start_warp(vg_slot *s, uint32_t i) {
    vg_warp *w = &s->warps[i];
    vg_wx *x = &s->wx[i];
    const vg_launch *l = s->block.launch;
    const uint32_t threads = l->block[0] * l->block[1] * l->block[2], first = i * VG_LANES;
    const uint32_t mask = threads - first >= VG_LANES ? 0xffffffffu : (1u << (threads - first)) - 1;
    vg_frame *frames = x->frames;
    struct vg_wgmma_flight *flight = x->flight;
    memset(x, 0, offsetof(vg_wx, split));
    x->frames = frames;
    x->flight = flight;
    vg_wgmma_forget(flight);
    x->start_mask = mask;
    memset(w, 0, offsetof(vg_warp, near));
    w->live = mask;
    w->block = &s->block;
    w->index = i;
    w->exec_private = x;
    w->code = l->code;
    w->count = s->block.count;
    w->local = s->local ? s->local + (size_t)i * VG_LANES * s->local_stride : NULL;
    w->local_stride = s->local_stride;
    w->file_generation = s->generation;
    w->local_bits = s->local_bits ? s->local_bits + (size_t)i * s->local_words : NULL;
    w->whole = !s->block.count && !l->code->program->watched_for;
    w->forgets = l->code->program->forgets;
    w->careful = (l->flags & (HONE_VGPU_CHECK | HONE_VGPU_SAMPLE)) == HONE_VGPU_CHECK;
    w->fs_local = s->fs_local ? s->fs_local + (size_t)i * VG_LANES * s->local_stride / 4 : NULL;
    const bool fresh = !frames;                        // later warps of the place know the launch's allocations; the device heap's come and go
    for (size_t k = 0, n = !fresh && !vg_full(l->code)->n_calls ? 0 : l->code->calls ? HONE_COUNT(w->near) : l->code->n_near; k < n; k++)
        w->near[k] = (vg_near){.alloc = &nowhere};
    vg_frame *f = vg_frame_get(w, l->code, 0, 0);
    if (!f)
        return false;
    if (!fresh) {
        if (vg_full(l->code)->clears_registers)
            memset(f->file, 0, l->code->template_at);  // registers of the last block: reads of unwritten ones stay deterministic
        memset(f->pred, 0, (l->code->n_preds - l->code->n_pred_init) * sizeof *f->pred);
        if (f->defined)
            memset(f->defined, 0, vg_full(l->code)->n_doubtful * sizeof *f->defined);
    }
    vg_stack_enter(l->code, f->file, mask);
    vg_split_add(w, mask, 0, f);
    vg_warp_enter(w, 0);
    return true;
}

static bool allocate(vg_slot *s, const vg_launch *l) {
    const uint32_t threads = l->block[0] * l->block[1] * l->block[2];
    const size_t shared = vg_shared_total(l->code, l->dynamic_shared), words = (shared + 63) / 64 + 1;
    s->n_warps = (threads + VG_LANES - 1) / VG_LANES;
    s->local_stride = (l->code->local_bytes + 15) & ~(size_t)15;
    s->warps = aligned_calloc(s->n_warps * sizeof *s->warps, &s->raw_warps);
    s->wx = hone_calloc(s->n_warps, sizeof *s->wx);
    s->shared = aligned_calloc(shared + 64, &s->raw_shared);
    s->local = s->local_stride ? aligned_calloc(s->n_warps * VG_LANES * s->local_stride, &s->raw_local) : NULL;
    s->shadow.bits = l->flags & HONE_VGPU_CHECK ? hone_calloc(words, sizeof(uint64_t)) : NULL;
    s->shadow.bytes = shared;
    s->shadow_words = words;
    const bool own = (l->flags & HONE_VGPU_RACE) && shared, watched = own || l->races;
    s->race = watched ? vg_race_new(l->races, own, shared, s->n_warps) : NULL;
    s->watches_shared = own;
    s->local_words = (VG_LANES * s->local_stride + 63) / 64 + 1;
    s->local_bits = l->flags & HONE_VGPU_INIT && s->local_stride ? hone_calloc(s->n_warps * s->local_words, sizeof(uint64_t)) : NULL;
    const bool fs = vg_full(l->code)->fs != NULL;
    s->fs_shared = fs ? hone_calloc(shared / 4 + 2, sizeof *s->fs_shared) : NULL;
    s->fs_local = fs ? hone_calloc(s->n_warps * VG_LANES * s->local_stride / 4 + 2, sizeof *s->fs_local) : NULL;
    s->async = vg_async_new();
    return s->async && (!fs || (s->fs_shared && s->fs_local)) && s->warps && s->wx && s->shared && (s->local || !s->local_stride) && (s->shadow.bits || !(l->flags & HONE_VGPU_CHECK)) &&
           (s->race || !watched);
}

hone_code vg_slot_start(vg_slot *s, vg_launch *l, uint64_t linear, uint32_t sm, vg_counter_sink *count, hone_err *e) {
    if (!s->warps && !allocate(s, l))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory for a block of '%s'", l->code->func->name);
    const size_t shared = s->shadow.bytes;
    void *mem_private = s->block.mem_private;
    if (s->race) {
        vg_race_flush(s->race);
        vg_race_begin(s->race, linear);
    }
    s->generation++;
    s->bx = (vg_bx){0};
    s->bx.threads = s->bx.live = l->block[0] * l->block[1] * l->block[2];
    s->block = (vg_block){.launch = l, .linear = linear, .shared = s->shared, .shared_bytes = shared, .warps = s->warps, .n_warps = s->n_warps,
                          .sm = sm, .count = count, .exec_private = &s->bx, .mem_private = mem_private,
                          .shared_shadow = s->shadow.bits ? &s->shadow : NULL, .shared_open = s->watches_shared ? 0 : shared, .race = s->race,
                          .fs_shared = s->fs_shared, .async = s->async};
    vg_async_clear(s->async);
    vg_cluster_begin(&s->own, 1);
    vg_cluster_join(&s->own, &s->block, 0, s->bx.threads);
    s->done = false;
    s->block.ctaid[0] = (uint32_t)(linear % l->grid[0]);
    s->block.ctaid[1] = (uint32_t)(linear / l->grid[0] % l->grid[1]);
    s->block.ctaid[2] = (uint32_t)(linear / l->grid[0] / l->grid[1]);
    memset(s->shared, 0, shared);
    if (s->shadow.bits)
        memset(s->shadow.bits, 0, s->shadow_words * sizeof(uint64_t));
    if (s->local_bits)
        memset(s->local_bits, 0, s->n_warps * s->local_words * sizeof(uint64_t));
    s->idle_rounds = 0;
    for (uint32_t i = 0; i < s->n_warps; i++)
        if (!start_warp(s, i))
            return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory for a block of '%s'", l->code->func->name);
    s->busy = true;
    return HONE_OK;
}

void vg_slot_free(vg_slot *s) {
    if (s->race)
        vg_race_flush(s->race);
    vg_race_free(s->race);
    vg_async_free(s->async);
    for (uint32_t i = 0; s->wx && s->warps && i < s->n_warps; i++) {
        s->warps[i].exec_private = &s->wx[i];
        vg_frames_free(&s->warps[i]);
        hone_free(s->wx[i].flight);
    }
    hone_free(s->raw_warps);
    hone_free(s->raw_shared);
    hone_free(s->raw_local);
    hone_free(s->shadow.bits);
    hone_free(s->fs_shared);
    hone_free(s->fs_local);
    hone_free(s->local_bits);
    hone_free(s->wx);
    *s = (vg_slot){0};
}

static bool waits_for_cluster(const vg_slot *s) {
    for (uint32_t i = 0; i < s->n_warps; i++)
        for (unsigned k = 0; s->warps[i].live && k < s->wx[i].n; k++)
            if (s->wx[i].split[k].state == VG_WAIT_CLUSTER)
                return true;
    return false;
}

void vg_slot_deadlock(vg_slot *s) {
    const vg_cluster *c = s->block.cluster;
    for (uint32_t i = 0; i < s->n_warps; i++)
        for (unsigned k = 0; s->warps[i].live && k < s->wx[i].n; k++) {
            const vg_split *at = &s->wx[i].split[k];
            if (at->state != VG_WAIT_CLUSTER)
                continue;
            vg_report(&s->warps[i], &at->frame->code->insts[at->pc], (unsigned)__builtin_ctz(at->mask), "barrier.deadlock", 0, 0, false,
                      "waits for ever: %u of the cluster's %u live threads arrived at the cluster barrier", c->arrived, c->live);
            vg_fault(&s->warps[i], VG_CU_LAUNCH_TIMEOUT);
            return;
        }
}

// Nothing in the block can run. Lanes that wait for members that never come go on without them; else it is a deadlock.
static vg_round resolve_stuck(vg_slot *s) {
    const vg_inst *at = NULL;
    vg_warp *who = NULL;
    if (waits_for_cluster(s))
        return VG_ROUND_WAITS;
    for (uint32_t i = 0; i < s->n_warps; i++) {
        vg_wx *x = &s->wx[i];
        for (unsigned k = 0; s->warps[i].live && k < x->n; k++) {
            if (x->split[k].state == VG_WAIT_SYNC) {
                x->split[k].state = VG_READY;
                x->forced_sync = true;
                return VG_ROUND_BUSY;
            }
            if (!who) {
                who = &s->warps[i];
                at = &x->split[k].frame->code->insts[x->split[k].pc];
            }
        }
    }
    if (!who)
        return VG_ROUND_DONE;
    vg_report(who, at, (unsigned)__builtin_ctz(who->live), "barrier.deadlock", 0, 0, false,
              "waits for ever: %u of the block's %u live threads reached a barrier that the others never reach", s->bx.bar[0].lanes, s->bx.live);
    vg_fault(who, VG_CU_LAUNCH_TIMEOUT);
    return VG_ROUND_FAULT;
}

static vg_round classify(vg_slot *s, uint32_t ran, uint32_t gave_way, uint32_t spun) {
    if (ran == 0)
        return resolve_stuck(s);
    if (gave_way < ran)
        return s->idle_rounds = 0, VG_ROUND_BUSY;
    // Every warp that ran gave way: it waits for another block, when it says so by what it spins on, or after long enough.
    s->idle_rounds += spun ? 8 : 1;
    return s->idle_rounds >= 8 ? VG_ROUND_SPINS : VG_ROUND_BUSY;
}

vg_round vg_slot_round(vg_slot *s, uint64_t quantum, const uint32_t *order) {
    uint32_t ran = 0, gave_way = 0, spun = 0, live = 0;
    for (uint32_t i = 0; i < s->n_warps; i++) {
        vg_warp *w = &s->warps[order ? order[i] : i];
        vg_wx *x = vg_wx_of(w);
        if (!w->live)
            continue;
        const uint64_t before = w->warp_insts;
        x->spun = false;
        const vg_event ev = vg_warp_run(w, quantum);
        s->warp_insts += w->warp_insts - before;
        if (ev == VG_FAULT || s->block.launch->fault)
            return VG_ROUND_FAULT;
        live += w->live != 0;
        ran += ev != VG_BLOCKED || w->warp_insts != before;
        // A turn of a seeded schedule may be shorter than it takes to see that a loop spins: what its loads say is enough then.
        gave_way += ev == VG_YIELD || (quantum && x->spun && ev != VG_BLOCKED);
        spun += x->spun;
    }
    return live ? classify(s, ran, gave_way, spun) : VG_ROUND_DONE;
}
