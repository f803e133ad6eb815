// race: see race.h. What is ordered: each warp has a vector clock over the warps of its block that barriers join, and what it acquired from other
// blocks (race_sync.h); within a warp, synchronisations of lanes are numbered by epochs. Clocks go on from block to block in one slot, so
// that records of earlier blocks need no clearing. After FastTrack (Flanagan and Freund, PLDI 2009), with warps as threads.
#include "vgpu/race_internal.h"
#include "vgpu/decode.h"
#include <stdio.h>
#include <string.h>

enum { PLACE_BYTES = 160, LOOK_BACK = 64 };

vg_race *vg_race_new(vg_race_global *global, bool shared, size_t shared_bytes, uint32_t n_warps) {
    vg_race *r = hone_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->n_warps = n_warps;
    r->global = global;
    r->warps = hone_calloc(n_warps, sizeof *r->warps);
    r->objects = vg_sync_new();
    r->cells = shared ? race_cells_new(shared_bytes) : NULL;
    if (r->warps && r->objects && (r->cells || !shared) && n_warps <= VG_RACE_WARPS)
        return r;
    vg_race_free(r);
    return NULL;
}

void vg_race_free(vg_race *r) {
    if (!r)
        return;
    for (uint32_t i = 0; r->warps && i < r->n_warps; i++)
        hone_vec_free(&r->warps[i].pending);
    race_cells_free(r->cells);
    race_async_free(r->async);
    vg_sync_free(r->objects);
    hone_free(r->warps);
    hone_free(r);
}

void vg_race_begin(vg_race *r, uint64_t block) {
    uint32_t base = 0, epoch = 0;                      // the same for all warps, so that their records share what they say of the moment
    for (uint32_t i = 0; i < r->n_warps; i++) {
        base = r->warps[i].now.v[i] > base ? r->warps[i].now.v[i] : base;
        epoch = r->warps[i].epoch > epoch ? r->warps[i].epoch : epoch;
    }
    for (uint32_t i = 0; i < r->n_warps; i++) {
        race_warp *s = &r->warps[i];
        for (uint32_t k = 0; k < VG_RACE_WARPS; k++)
            s->now.v[k] = base;
        s->now.v[i] = base + 1;
        s->fence_block = s->fence_device = (vg_clocks){0};
        s->fenced = s->fenced_device = false;
        s->pending.n = 0;
        s->full = epoch;
        s->epoch = epoch + 1;
    }
    r->block = (uint32_t)block;
    r->knowledge = NULL;
    memset(r->barrier, 0, sizeof r->barrier);
    vg_sync_clear(r->objects);
    race_async_begin(r->async);
}

void vg_race_flush(vg_race *r) {
    race_cells_flush(r->cells);
    race_global_flush(r->global);
}

// ---- lanes of a warp

bool race_lanes_ordered(const race_warp *s, uint32_t mine, uint32_t theirs, uint32_t epoch) {
    if (epoch <= s->full || (mine == theirs && !(mine & (mine - 1))))
        return true;
    for (uint32_t m = mine; m; m &= m - 1)
        for (uint32_t t = theirs & ~(m & -m); t; t &= t - 1)
            if (epoch > s->seen[__builtin_ctz(m)][__builtin_ctz(t)])
                return false;
    return true;
}

void vg_race_warp_sync(vg_warp *w, uint32_t mask) {
    race_warp *s = race_warp_of(w);
    if ((w->live & ~mask) == 0) {
        s->full = s->epoch++;
        return;
    }
    uint32_t all[VG_LANES] = {0};
    for (uint32_t m = mask; m; m &= m - 1)
        for (unsigned k = 0; k < VG_LANES; k++) {
            const uint32_t seen = s->seen[__builtin_ctz(m)][k];
            all[k] = seen > all[k] ? seen : all[k];
        }
    for (uint32_t m = mask; m; m &= m - 1)
        all[__builtin_ctz(m)] = s->epoch;
    for (uint32_t m = mask; m; m &= m - 1)
        memcpy(s->seen[__builtin_ctz(m)], all, sizeof all);
    s->epoch++;
}

void vg_race_warp_op(vg_warp *w, const vg_inst *in, uint32_t mask) {
    if (!w->code->sync_row || in->ctl == VG_CTL_ALIGNED_OP) {
        vg_race_warp_sync(w, mask);
        return;
    }
    const uint32_t *member = vg_u32(w, w->code->sync_row[in->index]);
    while (mask) {                             // lanes with one mask meet each other only
        const uint32_t named = member[__builtin_ctz(mask)];
        uint32_t group = mask & -mask;
        for (uint32_t m = mask & (mask - 1); m; m &= m - 1)
            group |= member[__builtin_ctz(m)] == named ? m & -m : 0;
        vg_race_warp_sync(w, group);
        mask &= ~group;
    }
}

// Lanes that acquired what a lane of the same warp released: after all that the warp did before. (Which lane it was is not kept.)
static void lanes_acquire(race_warp *s, uint32_t mask, uint32_t epoch) {
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t *seen = s->seen[__builtin_ctz(m)];
        for (unsigned k = 0; k < VG_LANES; k++)
            seen[k] = seen[k] > epoch ? seen[k] : epoch;
    }
}

// ---- release and acquire

static void acquire(vg_warp *w, const race_pending *p, uint32_t mask, bool of_block) {
    vg_race *r = w->block->race;
    race_warp *s = race_warp_of(w);
    const vg_release *x = vg_sync_latest(p->sync, p->object, p->n, r->block);
    if (x)
        vg_clocks_join(&s->now, &x->local);
    for (unsigned i = 0; x && i < LOOK_BACK; i++) {
        if (x->warp == w->index) {
            lanes_acquire(s, mask, x->epoch);
            break;
        }
        x = x->at ? vg_sync_latest(p->sync, p->object, x->at, r->block) : NULL;
    }
    if (of_block || p->of_block || p->sync == r->objects)
        return;
    if (!r->knowledge && !(r->knowledge = vg_sync_knowledge(p->sync)))
        return;
    const vg_acquired a = {p->object, p->n, w->index, s->now.v[w->index]};
    for (size_t i = r->knowledge->items.n; i-- > 0 && r->knowledge->items.n - i < LOOK_BACK;) {
        const vg_acquired *old = &r->knowledge->items.v[i];
        if (old->object == a.object && old->n >= a.n && old->warp == a.warp)
            return;
    }
    (void)!hone_vec_push(&r->knowledge->items, a);
}

// What relaxed reads have seen is in force now. Fences of a block leave what other blocks said pending.
static void acquire_pending(vg_warp *w, uint32_t mask, bool of_block) {
    race_warp *s = race_warp_of(w);
    for (size_t i = 0; i < s->pending.n; i++)
        acquire(w, &s->pending.v[i], mask, of_block);
    if (!of_block)
        s->pending.n = 0;
}

static void see(vg_warp *w, vg_sync *sync, uint32_t object, bool of_block) {
    race_warp *s = race_warp_of(w);
    const race_pending now = {sync, object, vg_sync_releases(sync, object), of_block};
    if (!now.n)
        return;
    for (size_t i = s->pending.n; i-- > 0;)
        if (s->pending.v[i].object == object && s->pending.v[i].sync == sync) {
            s->pending.v[i] = now;
            return;
        }
    (void)!hone_vec_push(&s->pending, now);
}

static void release(vg_warp *w, vg_sync *sync, uint64_t address, bool at_once, bool of_block) {
    vg_race *r = w->block->race;
    race_warp *s = race_warp_of(w);
    vg_release x = {.object = vg_sync_object(sync, address, true), .block = r->block, .warp = w->index, .epoch = at_once ? s->epoch : s->fence_epoch,
                    .device = at_once ? s->now : s->fence_device, .local = at_once ? s->now : s->fence_block, .knowledge = r->knowledge,
                    .n_known = r->knowledge ? (uint32_t)r->knowledge->items.n : 0};
    if (of_block)   // scope .cta says nothing to other blocks
        x.device = (vg_clocks){0};
    vg_sync_release(sync, &x);
    if (at_once) {
        s->now.v[w->index]++;
        s->epoch++;
    }
}

// PTX ISA 8.9: a strong write after a fence, or with release semantics, publishes; a strong read observes, at once with acquire, else by
// a later fence.
void race_strong(vg_warp *w, const ptx_inst *in, vg_sync *sync, uint64_t address, uint32_t mask, char kind) {
    const bool both = in->sem == PTX_ACQ_REL || in->sem == PTX_SC;
    const bool of_block = in->scope == PTX_CTA;
    const bool reads = kind != 's' || in->op == PTX_OP_ATOM;   // an exchange writes whatever was there, and returns it
    const uint32_t o = reads ? vg_sync_object(sync, address, false) : UINT32_MAX;
    if (o != UINT32_MAX) {
        see(w, sync, o, of_block);
        if (in->sem == PTX_ACQUIRE || both)
            acquire_pending(w, mask, false);
    }
    if (kind == 'l')
        return;
    if (in->sem == PTX_RELEASE || both)
        release(w, sync, address, true, of_block);
    else if (race_warp_of(w)->fenced)
        release(w, sync, address, false, of_block);
}

void vg_race_fence(vg_warp *w, uint32_t mask, bool of_block) {
    race_warp *s = race_warp_of(w);
    acquire_pending(w, mask, of_block);
    s->fence_block = s->now;
    s->fenced = true;
    if (!of_block) {
        s->fence_device = s->now;
        s->fenced_device = true;
    }
    s->now.v[w->index]++;
    s->fence_epoch = s->epoch++;
}

void vg_race_publish(vg_warp *w, size_t offset) { release(w, w->block->race->objects, offset, true, false); }

void vg_race_observe(vg_warp *w, size_t offset, uint32_t mask) {
    vg_race *r = w->block->race;
    const uint32_t o = vg_sync_object(r->objects, offset, false);
    if (o != UINT32_MAX)
        acquire(w, &(race_pending){r->objects, o, vg_sync_releases(r->objects, o), true}, mask, true);
}

// ---- barriers. They also hand on fences: a thread that fenced before the barrier is published by one that signals after it, and what one
// saw before it is in force for all behind it, as the "last block" pattern of the programming guide expects.

void vg_race_arrive(vg_warp *w, unsigned barrier) {
    vg_race_flush(w->block->race);
    race_warp *s = race_warp_of(w);
    race_meeting *m = &w->block->race->barrier[barrier];
    acquire_pending(w, w->live, false);
    vg_clocks_join(&m->now, &s->now);
    vg_clocks_join(&m->fence_block, &s->fence_block);
    vg_clocks_join(&m->fence_device, &s->fence_device);
    m->fenced |= s->fenced;
    m->fenced_device |= s->fenced_device;
    s->now.v[w->index]++;
}

void vg_race_leave(vg_warp *w, unsigned barrier, uint32_t mask) {
    race_warp *s = race_warp_of(w);
    const race_meeting *m = &w->block->race->barrier[barrier];
    vg_clocks_join(&s->now, &m->now);
    vg_clocks_join(&s->fence_block, &m->fence_block);
    vg_clocks_join(&s->fence_device, &m->fence_device);
    s->fenced |= m->fenced;
    s->fenced_device |= m->fenced_device;
    vg_race_warp_sync(w, mask);
}

void vg_race_barrier_done(vg_race *r, unsigned barrier) { r->barrier[barrier] = (race_meeting){0}; }

// ---- findings

const vg_code *race_code_of(const vg_program *p, uint32_t site) {
    for (size_t i = 0; i < p->module->n_funcs; i++) {
        const vg_code *c = p->codes[i] ? &p->codes[i]->code : NULL;
        if (c && site >= c->site_base && site - c->site_base < c->n_insts)
            return c;
    }
    return NULL;
}

static const char *verb_of(char kind) { return kind == 'l' ? "reads" : kind == 's' ? "writes" : "updates"; }

void race_report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, unsigned bytes, char how, const race_other *o,
                 const char *where, const char *between) {
    const uint32_t *block = w->block->launch->block, *grid = w->block->launch->grid, t = o->thread;
    const vg_code *code = race_code_of(w->code->program, o->site);
    const ptx_inst *other = code ? code->insts[o->site - code->site_base].src : NULL;
    vg_other second = {.src = other, .module = w->code->module, .verb = o->verb,
                       .thread = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]},
                       .block = {(uint32_t)(o->block % grid[0]), (uint32_t)(o->block / grid[0] % grid[1]), (uint32_t)(o->block / grid[0] / grid[1])}};
    char place[PLACE_BYTES] = "", whose[64] = "";
    if (other)
        snprintf(place, sizeof place, " in %sline %u", other->src_line ? "" : "PTX ", other->src_line ? other->src_line : other->line);
    if (o->block != w->block->linear)
        snprintf(whose, sizeof whose, " of block (%u,%u,%u)", second.block[0], second.block[1], second.block[2]);
    else if (t / VG_LANES == w->index)
        snprintf(whose, sizeof whose, " of the same warp");
    vg_report_pair(w, in, lane, kind, address, bytes, how != 'l', &second, "%s %u bytes %s that thread (%u,%u,%u)%s %s%s, with no %s between the two",
                   verb_of(how), bytes, where, second.thread[0], second.thread[1], second.thread[2], whose, o->verb, place, between);
}
