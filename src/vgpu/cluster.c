// cluster: distributed shared memory, the cluster barrier, mapa and getctarank. See cluster.h for addresses; which blocks form a cluster and when
// they run is sched.c's.
#include "vgpu/cluster.h"
#include "vgpu/access.h"
#include "vgpu/exec.h"
#include "vgpu/op.h"
#include "vgpu/race.h"
#include "vgpu/run.h"

void vg_cluster_begin(vg_cluster *c, uint32_t n) { *c = (vg_cluster){.n = n}; }

void vg_cluster_join(vg_cluster *c, vg_block *b, uint32_t rank, uint32_t threads) {
    c->blocks[rank] = b;
    c->live += threads;
    b->cluster = c;
    b->rank = rank;
}

// ---- addresses

bool vg_cluster_split(const vg_block *b, uint64_t *address, uint32_t *rank) {
    const uint64_t step = *address / VG_CLUSTER_STEP;
    *rank = step ? (uint32_t)step - 1 : b->rank;
    *address %= VG_CLUSTER_STEP;
    return *rank < b->cluster->n;
}

static void report_rank(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, uint32_t rank, unsigned bytes, char kind) {
    if (vg_tolerant(w))
        return;
    vg_report(w, in, lane, "memory.out-of-bounds", VG_SHARED_WINDOW + address, bytes, kind != 'l',
              "%u bytes of the shared memory of block %u of the cluster, which has %u", bytes, rank, w->block->cluster->n);
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
}

// CUDA programming guide, distributed shared memory: the block must have started and must not have exited.
static bool is_there(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t offset, uint32_t rank, unsigned bytes, char kind) {
    const vg_cluster *c = w->block->cluster;
    if (rank == w->block->rank || vg_tolerant(w))
        return true;
    if (c->exited >> rank & 1) {
        vg_report(w, in, lane, "memory.exited-block", VG_SHARED_WINDOW + offset, bytes, kind != 'l',
                  "offset %llu of the shared memory of block %u of the cluster, which has exited", (unsigned long long)offset, rank);
        vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
        return false;
    }
    if (c->phase == 0 && vg_checks(w))
        vg_report(w, in, lane, "memory.unstarted-block", VG_SHARED_WINDOW + offset, bytes, kind != 'l',
                  "offset %llu of the shared memory of block %u of the cluster, which may not have started: no cluster barrier came before",
                  (unsigned long long)offset, rank);
    return true;
}

uint8_t *vg_cluster_access(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind) {
    uint32_t rank;
    uint64_t offset = address;
    if (!vg_cluster_split(w->block, &offset, &rank)) {
        report_rank(w, in, lane, address, rank, bytes, kind);
        return NULL;
    }
    if (rank == w->block->rank)
        return vg_lane_bytes(w, in, lane, VG_IN_SHARED, offset, bytes, kind);
    vg_block *b = w->block->cluster->blocks[rank];
    if (!is_there(w, in, lane, offset, rank, bytes, kind))
        return NULL;
    if (offset > b->shared_bytes || bytes > b->shared_bytes - offset) {
        if (!vg_tolerant(w)) {
            vg_report(w, in, lane, "memory.out-of-bounds", VG_SHARED_WINDOW + offset, bytes, kind != 'l',
                      "%u bytes at offset %llu of the shared memory of block %u of the cluster, which has %zu bytes", bytes, (unsigned long long)offset,
                      rank, b->shared_bytes);
            vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
        }
        return NULL;
    }
    if (b->shared_shadow && kind != 's' && !vg_tolerant(w) && !vg_bits_all(b->shared_shadow->bits, offset, bytes))
        vg_report_unwritten_shared(w, in, lane, b, offset, bytes);
    if (b->shared_shadow && kind != 'l')
        vg_bits_set(b->shared_shadow->bits, offset, bytes);
    return b->shared + offset;
}

// ---- the barrier

static unsigned race_slot(uint32_t phase) { return VG_BARRIERS + (phase & 1); }

static void complete(vg_cluster *c) {
    c->phase++;
    c->arrived = 0;
    c->waiting = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        vg_block *b = c->blocks[i];
        b->barrier_epoch++;
        if (b->race)   // everybody has left the phase before this one
            vg_race_barrier_done(b->race, race_slot(c->phase));
    }
}

void vg_cluster_arrive(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_cluster *c = w->block->cluster;
    vg_wx *x = vg_wx_of(w);
    const unsigned lane = (unsigned)__builtin_ctz(mask);
    if (vg_checks(w) && in->src->mods & PTX_M_ALIGNED && mask != w->live)
        vg_report(w, in, lane, "barrier.divergent", 0, 0, false, "%d of the warp's %d live threads reach this barrier without the others",
                  __builtin_popcount(mask), __builtin_popcount(w->live));
    if (x->cluster_arrived & mask) {
        vg_report(w, in, lane, "barrier.cluster-order", 0, 0, false, "arrives at the cluster barrier again without having waited for it");
        vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
        return;
    }
    x->cluster_arrived |= mask;
    x->cluster_phase = (x->cluster_phase & ~mask) | (c->phase & 1 ? mask : 0);
    c->arrived += (uint32_t)__builtin_popcount(mask);
    if (w->count)
        w->count->barriers++;
    if (w->block->race)
        vg_race_arrive(w, race_slot(c->phase));
    if (c->arrived >= c->live)
        complete(c);
}

bool vg_cluster_passed(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_cluster *c = w->block->cluster;
    vg_wx *x = vg_wx_of(w);
    const uint32_t never = mask & ~x->cluster_arrived, same = c->phase & 1 ? x->cluster_phase : ~x->cluster_phase;
    if (never) {
        vg_report(w, in, (unsigned)__builtin_ctz(never), "barrier.cluster-order", 0, 0, false, "waits for the cluster barrier without having arrived at it");
        vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
        return true;
    }
    if (mask & same)
        return false;
    x->cluster_arrived &= ~mask;
    if (w->block->race)
        vg_race_leave(w, race_slot(c->phase + 1), mask);
    return true;
}

void vg_cluster_lanes_exit(vg_warp *w, uint32_t mask) {
    vg_cluster *c = w->block->cluster;
    vg_wx *x = vg_wx_of(w);
    const uint32_t counted = mask & x->cluster_arrived & (c->phase & 1 ? x->cluster_phase : ~x->cluster_phase);
    c->live -= (uint32_t)__builtin_popcount(mask);
    c->arrived -= (uint32_t)__builtin_popcount(counted);
    x->cluster_arrived &= ~mask;
    if (vg_bx_of(w->block)->live == 0)
        c->exited |= 1u << w->block->rank;
    if (c->arrived && c->arrived >= c->live)
        complete(c);
}

// ---- mapa and getctarank. vg_inst use: d, a (address row), b (rank row); aux = F_*

enum { F_WIDE = 1 /* address row */, F_WIDE_RESULT = 2, F_GENERIC = 4 };

static uint64_t address_of(vg_warp *w, const vg_inst *in, unsigned lane) {
    const uint64_t a = in->aux & F_WIDE ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane];
    return in->aux & F_GENERIC ? a - VG_SHARED_WINDOW : a;
}

VG_HANDLER(mapa) {
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const uint32_t rank = vg_u32(w, in->b)[lane];
        const uint64_t at = address_of(w, in, lane);
        if (at >= VG_SHARED_SPAN || rank >= w->block->cluster->n) {
            if (!vg_tolerant(w)) {
                vg_report(w, in, lane, "memory.cluster-rank", 0, 0, false, at >= VG_SHARED_SPAN ? "maps an address that is not of shared memory (rank %u)"
                          : "maps an address to block %u of a cluster of fewer blocks", rank);
                vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
            }
            continue;
        }
        const uint64_t to = at % VG_CLUSTER_STEP + (uint64_t)(rank + 1) * VG_CLUSTER_STEP + (in->aux & F_GENERIC ? VG_SHARED_WINDOW : 0);
        if (in->aux & F_WIDE_RESULT)
            vg_u64(w, in->d)[lane] = to;
        else
            vg_u32(w, in->d)[lane] = (uint32_t)to;
    }
}

VG_HANDLER(getctarank) {
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t at = address_of(w, in, lane);
        uint32_t rank;
        vg_cluster_split(w->block, &at, &rank);
        vg_u32(w, in->d)[lane] = rank;
    }
}

VG_HANDLER(is_explicit_cluster) {
    const vg_launch *l = w->block->launch;
    vg_pred_write(w, in->d, vg_cluster_size(l->cluster) > 1 || l->code->func->explicit_cluster ? mask : 0, mask);
}

bool vg_bind_cluster(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->op == PTX_OP_MOV) {
        out->d = vg_bind_pred(b, &in->operand[0]);
        out->full = out->masked = is_explicit_cluster;
        return true;
    }
    const bool map = in->op == PTX_OP_MAPA, wide = in->type[0] == PTX_U64;
    const ptx_operand *a = &in->operand[1];
    if (in->type[0] != PTX_U32 && !wide)
        return vg_unsupported(b, in, "its type");
    if (in->space && in->space != PTX_SHARED_CLUSTER)
        return vg_unsupported(b, in, "its state space");
    const ptx_type have = vg_bind_reg_type(b, a);
    const bool wide_address = have == PTX_NOTYPE ? wide : ptx_type_bytes(have) == 8;
    out->a = vg_bind_row(b, a, wide_address ? PTX_U64 : PTX_U32);
    // a variable's name stands for its offset, in both forms (PTX ISA 9.7.8.24: a may be a shared variable)
    out->aux = (wide_address ? F_WIDE : 0) | (map && wide ? F_WIDE_RESULT : 0) | (!in->space && a->kind != PTX_O_SYMBOL ? F_GENERIC : 0);
    if (!map) {
        out->d = vg_bind_row(b, &in->operand[0], PTX_U32);
        out->full = out->masked = getctarank;
        return true;
    }
    if (a->kind == PTX_O_SYMBOL && !in->space)
        return vg_unsupported(b, in, "a variable as a generic address");
    out->d = vg_bind_row(b, &in->operand[0], (ptx_type)in->type[0]);
    out->b = vg_bind_row(b, &in->operand[2], PTX_U32);
    out->full = out->masked = mapa;
    return true;
}
