// exec: runs one warp. Straight-line code runs in a tight loop over predecoded instructions; a control instruction ends each basic block.
// Divergence makes a split per path. With several splits the one with the deepest call and the lowest instruction runs (thread frontier:
// code layout puts the join behind its branches), and splits that stand at the same place merge. Spinning splits are parked for a while, so that
// each lane makes progress as on hardware with independent thread scheduling. Blocks, barriers and threads are elsewhere (run.h).
#include "vgpu/cluster.h"
#include "vgpu/race.h"
#include "vgpu/run.h"

void vg_warp_enter(vg_warp *w, unsigned k) {
    vg_wx *x = vg_wx_of(w);
    const vg_split *s = &x->split[k];
    x->cur = k;
    w->active = s->mask;
    w->next = s->pc;
    w->code = s->frame->code;
    w->file = s->frame->file;
    w->pred = s->frame->pred;
    w->local_frame = s->frame->local_base;
}

static void remove_split(vg_wx *x, unsigned k) { x->split[k] = x->split[--x->n]; }

bool vg_split_add(vg_warp *w, uint32_t mask, uint32_t pc, vg_frame *frame) {
    vg_wx *x = vg_wx_of(w);
    if (!mask)
        return true;
    x->split[x->n++] = (vg_split){.mask = mask, .pc = pc, .frame = frame, .state = VG_READY};
    return true;
}

// Merges splits that stand at the same place; a waiting one wakes up, to look again at whether everybody is there.
static void merge(vg_wx *x) {
    for (unsigned i = 0; i < x->n; i++)
        for (unsigned j = i + 1; j < x->n;) {
            vg_split *a = &x->split[i], *b = &x->split[j];
            if (a->pc == b->pc && a->frame == b->frame && a->state != VG_AT_BAR && b->state != VG_AT_BAR) {
                a->mask |= b->mask;
                a->score = a->score > b->score ? a->score : b->score;
                a->state = a->state == VG_PARKED && b->state == VG_PARKED ? VG_PARKED : VG_READY;
                remove_split(x, j);
            } else {
                j++;
            }
        }
}

static int pick(const vg_wx *x) {
    int best = -1;
    for (unsigned i = 0; i < x->n; i++) {
        const vg_split *s = &x->split[i];
        if (s->state != VG_READY)
            continue;
        const vg_split *t = best < 0 ? NULL : &x->split[best];
        if (!t || s->frame->depth > t->frame->depth || (s->frame->depth == t->frame->depth && s->pc < t->pc))
            best = (int)i;
    }
    return best;
}

// An adversarial schedule runs any split that can run: the programming model promises no order.
static int pick_seeded(const vg_warp *w, const vg_wx *x) {
    uint64_t h = (w->block->launch->schedule_seed * 0x9e3779b97f4a7c15ull) ^ ((w->block->linear << 6 | w->index) * 0xbf58476d1ce4e5b9ull) ^ w->warp_insts;
    h = (h ^ h >> 29) * 0x94d049bb133111ebull;
    unsigned ready = 0;
    for (unsigned i = 0; i < x->n; i++)
        ready += x->split[i].state == VG_READY;
    unsigned nth = ready ? (unsigned)((h >> 32) % ready) : 0;
    for (unsigned i = 0; i < x->n; i++)
        if (x->split[i].state == VG_READY && nth-- == 0)
            return (int)i;
    return -1;
}

void vg_lanes_exit(vg_warp *w, uint32_t mask) {
    w->live &= ~mask;
    w->active &= ~mask;
    vg_barrier_exited(w, mask);
}

// A back edge was taken. True when the split has spun long enough for somebody else to run.
static bool spun_enough(vg_warp *w, vg_wx *x, uint32_t weight) {
    vg_split *s = &x->split[x->cur];
    if (w->spins != x->seen_spins) {
        x->seen_spins = w->spins;
        x->spun = true;
        weight *= VG_SPIN_HINT;
    }
    s->score += weight;
    if (s->score < VG_SPIN_LIMIT)
        return false;
    s->score = 0;
    if (x->n > 1)
        s->state = VG_PARKED;
    return true;
}

// The hot loop: one basic block without its control instruction.
static inline __attribute__((always_inline)) void run_plain(vg_warp *w, const vg_inst *in, const vg_inst *end) {
    const uint32_t active = w->active;
    for (; in < end; in++) {
        if (__builtin_expect(in->guard == VG_NO_PRED, 1)) {
            if (__builtin_expect(active == 0xffffffffu, 1))
                in->full(w, in, active);
            else
                in->masked(w, in, active);
            continue;
        }
        const uint32_t mask = active & (w->pred[in->guard] ^ (in->guard_neg ? ~0u : 0u));
        if (mask == 0xffffffffu)
            in->full(w, in, mask);
        else if (mask)
            in->masked(w, in, mask);
    }
}

// The same when every thread that is left is active: where lanes are on their own, those without a thread may compute whatever they like, so that
// rows stay whole (and linear).
static void run_rest(vg_warp *w, const vg_inst *in, const vg_inst *end) {
    const uint8_t *lanewise = vg_full(w->code)->lanewise;
    const uint32_t nobody = ~w->live;
    for (; in < end; in++) {
        const uint32_t mask = vg_guard_mask(w, in);
        if (!mask)
            continue;
        if ((mask | nobody) == 0xffffffffu && lanewise[in->index])
            in->full(w, in, 0xffffffffu);
        else
            in->masked(w, in, mask);
    }
}

static inline void count_block(vg_warp *w, uint32_t block) {
    vg_counter_sink *c = w->count;
    if (c) {
        if (__builtin_expect(c->code != w->code, 0))
            vg_count_enter(c, w->code);
        c->warp = 1ull << ((w->block->linear * w->block->n_warps + w->index) & 63);
        c->bb_warps[block]++;
        c->bb_lanes[block] += (uint64_t)__builtin_popcount(w->active);
    }
}

// Lanes part at a forward branch and nobody watches how: `taken` and the others are the whole warp as far as it runs.
static inline bool is_plain_split(const vg_warp *w, const vg_wx *x) {
    return x->n == 1 && !x->parked_for && !w->block->count && !w->block->launch->schedule_seed && w->warp_insts < x->stop;
}

// A branch over one basic block: the lanes that do not take it run that block, and all meet behind it, as two splits would. False: it is not such a branch.
static bool step_over(vg_warp *w, const vg_inst *in, uint32_t taken) {
    const vg_code_full *full = vg_full(w->code);
    const vg_block_info *bi = &full->info[full->block_of[in->index + 1]];
    const uint32_t all = w->active;
    if (bi->n_plain != bi->n || bi->first + bi->n != (uint32_t)in->imm)
        return false;
    w->active = all & ~taken;
    w->warp_insts += bi->n;
    run_plain(w, full->code.insts + bi->first, full->code.insts + bi->first + bi->n);
    w->active = all;
    w->next = (uint32_t)in->imm;
    return true;
}

// Lanes that branch to the end of the kernel need not wait for the others there.
static bool leave_early(vg_warp *w, const vg_wx *x, const vg_inst *in, uint32_t taken) {
    const vg_inst *target = &w->code->insts[in->imm];
    if (!vg_full(w->code)->leaves_early || w->block->race || x->split[x->cur].frame->depth || (target->ctl != VG_CTL_RET && target->ctl != VG_CTL_EXIT) ||
        target->guard != VG_NO_PRED)
        return false;
    vg_lanes_exit(w, taken);
    w->next = in->index + 1;
    return true;
}

static vg_event do_branch(vg_warp *w, vg_wx *x, const vg_inst *in) {
    const uint32_t taken = vg_guard_mask(w, in), target = (uint32_t)in->imm;
    if (w->block->count)
        w->block->count->branches++;
    if (!taken) {
        w->next = in->index + 1;
        return VG_RUN;
    }
    if (taken != w->active) {
        if (w->block->count) {
            w->block->count->divergent++;
            w->block->count->insts[in->index].divergent++;
        }
        if (target > in->index + 1 && is_plain_split(w, x) && (step_over(w, in, taken) || leave_early(w, x, in, taken)))
            return w->event;
        if (target != in->index + 1)
            vg_split_add(w, w->active & ~taken, in->index + 1, x->split[x->cur].frame);
        else
            return w->next = target, VG_RUN;
        w->active = taken;
    }
    w->next = target;
    return target <= in->index && spun_enough(w, x, 1) ? VG_YIELD : VG_RUN;
}

static vg_event do_branch_table(vg_warp *w, vg_wx *x, const vg_inst *in) {
    const uint32_t *table = vg_full(w->code)->tables[in->imm], *row = vg_u32(w, in->a);
    uint32_t left = vg_guard_mask(w, in);
    vg_frame *frame = x->split[x->cur].frame;
    uint32_t rest = w->active & ~left;
    if (left == 0)
        return w->next = in->index + 1, VG_RUN;
    uint32_t first_mask = 0, first_pc = 0;
    while (left) {
        const unsigned l = (unsigned)__builtin_ctz(left);
        if (row[l] >= table[0]) {
            vg_report(w, in, l, "control.branch-index", 0, 0, false, "branches to entry %u of a table of %u", row[l], table[0]);
            vg_fault(w, VG_CU_INVALID_PC);
            return VG_FAULT;
        }
        uint32_t group = 0;
        for (uint32_t m = left; m; m &= m - 1)
            if (row[__builtin_ctz(m)] == row[l])
                group |= m & -m;
        left &= ~group;
        if (!first_mask) {
            first_mask = group;
            first_pc = table[1 + row[l]];
        } else {
            vg_split_add(w, group, table[1 + row[l]], frame);
        }
    }
    vg_split_add(w, rest, in->index + 1, frame);
    w->active = first_mask;
    w->next = first_pc;
    return first_pc <= in->index && spun_enough(w, x, 1) ? VG_YIELD : VG_RUN;
}

static uint32_t members_of(const vg_warp *w, const vg_inst *in, uint32_t mask) {
    if (in->ctl == VG_CTL_ALIGNED_OP)
        return w->live;
    const uint32_t *row = (const uint32_t *)(const void *)(w->file + w->code->sync_row[in->index]);
    uint32_t members = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        members |= row[__builtin_ctz(m)];
    return members & w->live;
}

// shfl.sync and the like: runs once every live member is in this split.
static vg_event do_sync(vg_warp *w, vg_wx *x, const vg_inst *in) {
    const uint32_t mask = vg_guard_mask(w, in);
    w->next = in->index + 1;
    if (!mask)
        return VG_RUN;
    const uint32_t missing = w->live & ~mask ? members_of(w, in, mask) & ~mask : 0;   // most often everybody is here
    if (missing && !x->forced_sync && (missing & ~w->active)) {   // some of them may still come
        if (mask != w->active)
            vg_split_add(w, w->active & ~mask, in->index + 1, x->split[x->cur].frame);
        w->active = mask;
        w->next = in->index;
        x->split[x->cur].state = VG_WAIT_SYNC;
        return VG_BLOCKED;
    }
    if (missing && (w->block->launch->flags & HONE_VGPU_CHECK))
        vg_report(w, in, (unsigned)__builtin_ctz(missing), "warp.sync-divergent", 0, 0, false,
                  "a warp-synchronous instruction names lanes 0x%08x that do not reach it", missing);
    x->forced_sync = false;
    if (__builtin_expect(w->block->race != NULL, 0))
        vg_race_warp_op(w, in, mask);
    if (in->full) {
        if (mask == 0xffffffffu)
            in->full(w, in, mask);
        else
            in->masked(w, in, mask);
    }
    return w->event;
}

static vg_event do_barrier(vg_warp *w, vg_wx *x, const vg_inst *in) {
    const uint32_t mask = vg_guard_mask(w, in);
    w->next = in->index + 1;
    if (!mask)
        return VG_RUN;
    if (in->ctl == VG_CTL_BAR_ARRIVE) {
        vg_barrier_notify(w, in, mask);
        return w->event;
    }
    if (mask != w->active)
        vg_split_add(w, w->active & ~mask, in->index + 1, x->split[x->cur].frame);
    w->active = mask;
    w->next = in->index;
    x->split[x->cur].state = VG_WAIT_BAR;
    return VG_BLOCKED;
}

static vg_event do_cluster_barrier(vg_warp *w, vg_wx *x, const vg_inst *in) {
    const uint32_t mask = vg_guard_mask(w, in);
    w->next = in->index + 1;
    if (!mask)
        return VG_RUN;
    if (in->ctl == VG_CTL_CLUSTER_ARRIVE) {
        vg_cluster_arrive(w, in, mask);
        return w->event;
    }
    if (vg_cluster_passed(w, in, mask))
        return w->event;
    if (mask != w->active)
        vg_split_add(w, w->active & ~mask, in->index + 1, x->split[x->cur].frame);
    w->active = mask;
    w->next = in->index;
    x->split[x->cur].state = VG_WAIT_CLUSTER;
    return VG_BLOCKED;
}

static vg_event do_trap(vg_warp *w, const vg_inst *in) {
    const uint32_t mask = vg_guard_mask(w, in);
    w->next = in->index + 1;
    if (!mask)
        return VG_RUN;
    vg_report(w, in, (unsigned)__builtin_ctz(mask), "kernel.trap", 0, 0, false, "the kernel executed a trap");
    vg_fault(w, VG_CU_LAUNCH_FAILED);
    return VG_FAULT;
}

static vg_event do_plain(vg_warp *w, const vg_inst *in) {
    const uint32_t mask = vg_guard_mask(w, in);
    w->next = in->index + 1;
    if (mask == 0xffffffffu)
        in->full(w, in, mask);
    else if (mask)
        in->masked(w, in, mask);
    return w->event;
}

static vg_event do_control(vg_warp *w, vg_wx *x, const vg_inst *in) {
    switch ((vg_ctl)in->ctl) {
    case VG_CTL_BRA: return do_branch(w, x, in);
    case VG_CTL_BRX: return do_branch_table(w, x, in);
    case VG_CTL_SYNC_OP: case VG_CTL_ALIGNED_OP: case VG_CTL_WARP_SYNC: return do_sync(w, x, in);
    case VG_CTL_BAR_SYNC: case VG_CTL_BAR_ARRIVE: case VG_CTL_BAR_RED: return do_barrier(w, x, in);
    case VG_CTL_CLUSTER_ARRIVE: case VG_CTL_CLUSTER_WAIT: return do_cluster_barrier(w, x, in);
    case VG_CTL_TRAP: return do_trap(w, in);
    case VG_CTL_CLOCK: vg_refresh_clocks(w, in); return do_plain(w, in);
    case VG_CTL_CALL: vg_do_call(w, in, vg_guard_mask(w, in)); return w->event;
    case VG_CTL_RET:
        w->next = in->index + 1;
        vg_do_return(w, in, vg_guard_mask(w, in));
        return w->event;
    case VG_CTL_EXIT:
        w->next = in->index + 1;
        vg_lanes_exit(w, vg_guard_mask(w, in));
        return w->event;
    case VG_CTL_SLEEP:
        w->next = in->index + 1;
        w->spins++;
        return spun_enough(w, x, VG_SPIN_LIMIT) ? VG_YIELD : VG_RUN;
    default:
        w->next = in->index + 1;
        return VG_RUN;
    }
}

// Runs the entered split until it is no longer the only one to run. Leaves its place in the table up to date.
static vg_event run_split(vg_warp *w, vg_wx *x, uint64_t stop) {
    for (;;) {
        const vg_code_full *full = vg_full(w->code);
        const uint32_t bk = full->block_of[w->next];
        const vg_block_info *bi = &full->info[bk];
        const vg_inst *in = full->code.insts + w->next, *end = full->code.insts + bi->first + bi->n_plain;
        count_block(w, bk);
        w->warp_insts += bi->n - (w->next - bi->first);
        if (bi->n_fused && w->active == 0xffffffffu && w->whole && w->next == bi->first)
            run_plain(w, full->fused + bi->first, full->fused + bi->first + bi->n_fused);
        else if (w->active != 0xffffffffu && w->active == w->live && w->whole)
            run_rest(w, in, end);
        else
            run_plain(w, in, end);
        if (__builtin_expect(w->event == VG_FAULT, 0))
            return VG_FAULT;
        vg_event ev = VG_RUN;
        if (bi->n_plain == bi->n)
            w->next = bi->first + bi->n;
        else
            ev = do_control(w, x, end);
        if (__builtin_expect(w->next >= w->code->n_insts && ev != VG_FAULT && w->active, 0))
            vg_do_return(w, w->code->insts + w->code->n_insts - 1, w->active);   // falling off the end returns
        vg_split *s = &x->split[x->cur];
        s->mask = w->active;
        s->pc = w->next;
        if (ev != VG_RUN || x->n > 1 || !w->active || w->warp_insts >= stop)
            return ev;
    }
}

static void unpark(vg_wx *x) {
    for (unsigned i = 0; i < x->n; i++)
        if (x->split[i].state == VG_PARKED)
            x->split[i].state = VG_READY;
    x->parked_for = 0;
}

// bar.warp.sync at different places with the same members: all of them are there together.
static bool release_warp_sync(vg_warp *w, vg_wx *x) {
    uint32_t here = 0, want = 0;
    for (unsigned i = 0; i < x->n; i++) {
        const vg_split *s = &x->split[i];
        const vg_inst *in = &s->frame->code->insts[s->pc];
        if (s->state != VG_WAIT_SYNC || in->ctl != VG_CTL_WARP_SYNC)
            continue;
        vg_warp_enter(w, i);
        here |= s->mask;
        want |= members_of(w, in, s->mask);
    }
    if (!here || (want & ~here))
        return false;
    if (w->block->race)
        vg_race_warp_sync(w, here);
    for (unsigned i = 0; i < x->n; i++) {
        vg_split *s = &x->split[i];
        if (s->state == VG_WAIT_SYNC && s->frame->code->insts[s->pc].ctl == VG_CTL_WARP_SYNC) {
            s->pc++;
            s->state = VG_READY;
        }
    }
    return true;
}

// No split is ready. True when one became so.
static bool wake(vg_warp *w, vg_wx *x) {
    if (release_warp_sync(w, x))
        return true;
    bool any = false;
    for (unsigned i = 0; i < x->n; i++)
        if (x->split[i].state == VG_WAIT_CLUSTER) {
            vg_warp_enter(w, i);
            if (vg_cluster_passed(w, &w->code->insts[w->next], w->active)) {
                x->split[i].state = VG_READY;
                x->split[i].pc++;
                any = true;
            }
        } else if (x->split[i].state == VG_WAIT_BAR) {
            const vg_split *s = &x->split[i];
            vg_warp_enter(w, i);
            any |= vg_barrier_arrive(w, i, &s->frame->code->insts[s->pc]);
            if (w->event == VG_FAULT)
                return true;
        }
    return any;
}

static bool any_parked(const vg_wx *x) {
    for (unsigned i = 0; i < x->n; i++)
        if (x->split[i].state == VG_PARKED)
            return true;
    return false;
}

vg_event vg_warp_run(vg_warp *w, uint64_t quantum) {
    vg_wx *x = vg_wx_of(w);
    const uint64_t stop = quantum ? w->warp_insts + quantum : UINT64_MAX;
    w->event = VG_RUN;
    x->stop = stop;
    x->gave_way = false;
    while (w->live) {
        if (x->n > 1)
            merge(x);
        if (x->parked_for && ++x->parked_for > VG_PARK_BLOCKS)
            unpark(x);
        const int k = __builtin_expect(x->n > 1 && w->block->launch->schedule_seed, 0) ? pick_seeded(w, x) : pick(x);
        if (k < 0) {
            if (any_parked(x)) {
                unpark(x);
                x->gave_way = true;
                return VG_YIELD;
            }
            if (!wake(w, x))
                return VG_BLOCKED;
            if (w->event == VG_FAULT)
                return VG_FAULT;
            continue;
        }
        vg_warp_enter(w, (unsigned)k);
        const vg_event ev = run_split(w, x, stop);
        if (ev == VG_FAULT)
            return VG_FAULT;
        if (!x->split[x->cur].mask)
            remove_split(x, x->cur);
        if (ev == VG_YIELD && x->n == 1) {
            x->gave_way = true;
            return VG_YIELD;
        }
        if (ev == VG_YIELD && !x->parked_for)
            x->parked_for = 1;
        if (w->warp_insts >= stop && w->live)
            return VG_RUN;
    }
    return VG_EXITED;
}
