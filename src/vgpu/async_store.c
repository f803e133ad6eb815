// async_store: st.async and red.async (PTX ISA 9.7.9.12 and 9.7.13.8): a few bytes into the shared memory of a block of the cluster, counted by an mbarrier
// of that block. Made when issued, unwritten until the wait, as bulk copies are (bulk.c).
#include "vgpu/access.h"
#include "vgpu/async.h"
#include "vgpu/bulk.h"
#include "vgpu/cluster.h"
#include "vgpu/mbarrier.h"
#include "vgpu/op.h"

typedef struct store {                 // a vg_inst of this file points to one by imm
    uint32_t to, mbarrier, value[4];
    bool to_wide, mbarrier_wide, reduces;
    int64_t to_offset, mbarrier_offset;
    unsigned n, bytes;                 // elements, bytes of one
    ptx_atom op;
    ptx_type type;
} store;

static uint64_t address_of(vg_warp *w, uint32_t row, bool wide, int64_t offset, unsigned lane) {
    return (wide ? vg_u64(w, row)[lane] : vg_u32(w, row)[lane]) + (uint64_t)offset;
}

static void one_lane(vg_warp *w, const vg_inst *in, const store *o, unsigned lane) {
    uint64_t at = address_of(w, o->to, o->to_wide, o->to_offset, lane), word_at = address_of(w, o->mbarrier, o->mbarrier_wide, o->mbarrier_offset, lane);
    const unsigned bytes = o->n * o->bytes;
    uint8_t data[32];
    uint32_t rank, other;
    for (unsigned i = 0; i < o->n; i++)
        memcpy(data + i * o->bytes, o->bytes == 8 ? (const void *)&vg_u64(w, o->value[i])[lane] : (const void *)&vg_u32(w, o->value[i])[lane], o->bytes);
    if (at % bytes || word_at % 8) {
        if (!vg_tolerant(w))
            vg_lane_access(w, in, lane, VG_IN_SHARED, at % bytes ? at : word_at, at % bytes ? bytes : 8, 's');   // reports the misalignment
        return;
    }
    uint8_t *p = vg_cluster_access(w, in, lane, at, bytes, o->reduces ? 'a' : 's'), *word = p ? vg_cluster_access(w, in, lane, word_at, 8, 'a') : NULL;
    if (!word)
        return;
    if (o->reduces)
        vg_bulk_reduce(o->op, o->type, p, data, bytes);
    else
        memcpy(p, data, bytes);
    vg_cluster_split(w->block, &at, &rank);
    vg_cluster_split(w->block, &word_at, &other);
    if (rank == other && !vg_tolerant(w))
        vg_async_begin(w->block->cluster->blocks[rank], (uint32_t)word_at, vg_mbarrier_phase(word), at, bytes);
    if (!vg_mbarrier_complete_tx(word, bytes) && !vg_tolerant(w))
        vg_report(w, in, lane, "barrier.mbarrier-count", VG_SHARED_WINDOW + word_at, 8, true, "completes more bytes than the tx-count of an mbarrier can hold");
}

VG_HANDLER(async_store) {
    const store *o = (const store *)(uintptr_t)in->imm;
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1)
        one_lane(w, in, o, (unsigned)__builtin_ctz(m));
}

static bool bind_address(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row, bool *wide, int64_t *offset) {
    ptx_space symbol;
    bool frame;
    if (o->kind != PTX_O_ADDR || !o->has_base)
        return vg_unsupported(b, in, "its address");
    return vg_bind_addr(b, in, o, row, wide, offset, &symbol, &frame);
}

bool vg_bind_async_store(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_operand *value = &in->operand[1];
    const ptx_type t = (ptx_type)in->type[0];
    store *o = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *o);
    if (!o)
        return vg_unsupported(b, in, "out of memory");
    *o = (store){.n = in->vec, .bytes = ptx_type_bytes(t), .op = (ptx_atom)in->atom, .type = t, .reduces = in->op == PTX_OP_RED};
    if ((o->bytes != 4 && o->bytes != 8) || o->n > 4 || (in->space && in->space != PTX_SHARED_CLUSTER))
        return vg_unsupported(b, in, "this type, vector length or state space");
    if (o->reduces && (o->n != 1 || !vg_bulk_can_reduce(o->op, t) || t == PTX_F32 || t == PTX_F64))
        return vg_unsupported(b, in, "this reduction of this type");
    for (unsigned i = 0; i < o->n; i++)
        o->value[i] = vg_bind_row(b, value->kind == PTX_O_VEC ? &value->elems[i] : value, t);
    out->imm = (int64_t)(uintptr_t)o;
    out->full = out->masked = async_store;
    return bind_address(b, in, &in->operand[0], &o->to, &o->to_wide, &o->to_offset) &&
           bind_address(b, in, &in->operand[2], &o->mbarrier, &o->mbarrier_wide, &o->mbarrier_offset);
}
