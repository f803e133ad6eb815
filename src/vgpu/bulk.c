// bulk: asynchronous bulk copies (PTX ISA 9.7.9.25): between global and shared memory and between the blocks of a cluster, plain or described by a
// tensor map (tile and im2col mode), with completion on an mbarrier or in bulk groups. A copy is made when it is issued: nothing may look at its destination, nor
// change its source, before the wait. What is to be waited for on an mbarrier counts as unwritten until then (async.h); bulk groups are complete when
// issued, so that a source changed before wait_group.read is not noticed.
#include "vgpu/bulk.h"
#include "vgpu/access.h"
#include "vgpu/async.h"
#include "vgpu/cluster.h"
#include "vgpu/exec.h"
#include "vgpu/mbarrier.h"
#include "vgpu/op.h"
#include "vgpu/tensormap.h"
#include <stdio.h>

typedef struct address { uint32_t row; bool wide; int64_t offset; bool is_global; } address;
typedef struct bulk {                  // a vg_inst of this file points to one by imm
    address to, from, mbarrier, map;
    uint32_t size, targets;            // rows; targets: cluster mask of a multicast, VG_NO_ROW when there is none
    uint32_t coordinate[VG_TENSOR_MAX_RANK];
    unsigned rank;
    uint32_t offset[VG_TENSOR_MAX_RANK - 2];   // rows of im2col offsets; VG_NO_ROW: none
    bool im2col;
    bool load, reduces, multicast;     // load: to shared memory, completed on an mbarrier
    ptx_atom op;
    ptx_type type;
} bulk;

enum { COUNT_PIECE = 4096, ALL_RANKS = 0xffff };

static const bulk *bulk_of(const vg_inst *in) { return (const bulk *)(uintptr_t)in->imm; }
static uint64_t value_of(vg_warp *w, const address *a, unsigned lane) {
    return (a->wide ? vg_u64(w, a->row)[lane] : vg_u32(w, a->row)[lane]) + (uint64_t)a->offset;
}

// ---- checks

static bool misaligned(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t at, unsigned align, const char *what) {
    if (at % align == 0)
        return false;
    if (!vg_tolerant(w)) {
        vg_report(w, in, lane, "memory.misaligned", at, align, false, "%s of an asynchronous bulk copy is 0x%llx, which is not a multiple of %u", what,
                  (unsigned long long)at, align);
        vg_fault(w, VG_CU_MISALIGNED);
    }
    return true;
}

static bool bad_map(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t at, const char *why) {
    if (!vg_tolerant(w)) {
        vg_report(w, in, lane, "async.tensor-map", at, sizeof(vg_tensormap), false, "the tensor map at 0x%llx %s", (unsigned long long)at, why);
        vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
    }
    return false;
}

static bool read_map(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane, vg_tensormap *t) {
    const uint64_t at = value_of(w, &o->map, lane);
    if (misaligned(w, in, lane, at, 64, "the tensor map"))
        return false;
    if (!vg_generic_read(w, lane, at, t, sizeof *t))
        return bad_map(w, in, lane, at, "lies outside every allocation");
    if (t->magic != VG_TENSORMAP_MAGIC)
        return bad_map(w, in, lane, at, "was not made by cuTensorMapEncodeTiled or cuTensorMapEncodeIm2col");
    const char *wrong = vg_tensormap_check(t);
    char why[128];
    snprintf(why, sizeof why, "cannot be used: %s", wrong ? wrong : "");
    if (wrong)
        return bad_map(w, in, lane, at, why);
    if (t->im2col != o->im2col)
        return bad_map(w, in, lane, at, t->im2col ? "is for im2col mode, the instruction is not" : "is for tile mode, the instruction is not");
    if (t->rank != o->rank)
        return bad_map(w, in, lane, at, "has another number of dimensions than the instruction");
    if (o->reduces && !vg_bulk_can_reduce(o->op, vg_bulk_tensor_type(t->type)))
        return bad_map(w, in, lane, at, "has elements that this reduction does not know");
    return true;
}

// ---- memory

static void count_global(vg_warp *w, const vg_inst *in, uint64_t at, size_t bytes, char kind) {
    for (size_t done = 0; w->count && done < bytes; done += COUNT_PIECE)
        vg_count_global_range(w->count, in->index, at + done, (unsigned)(bytes - done < COUNT_PIECE ? bytes - done : COUNT_PIECE), 1, 16, kind);
}

static void count_shared(vg_warp *w, const vg_inst *in, size_t bytes) {   // 128 bytes a cycle, no conflicts
    if (!w->count)
        return;
    vg_inst_count *c = &w->count->insts[in->index];
    c->requests++;
    c->shared_requests++;
    c->wavefronts += (bytes + 127) / 128;
    c->wavefronts_ideal += (bytes + 127) / 128;
}

// Shared memory that the copy engine writes: the same checks as a thread's access, but no thread's write for race detection.
static uint8_t *engine_access(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t at, size_t bytes, char kind) {
    struct vg_race *race = w->block->race;
    w->block->race = NULL;
    uint8_t *p = vg_cluster_access(w, in, lane, at, (unsigned)bytes, kind);
    w->block->race = race;
    return p;
}

// ---- destinations in shared memory

// A copy's destinations: one block, or those of a multicast. `at`, `mbarrier`: offsets in each of them.
typedef struct landing { uint32_t ranks; uint64_t at, mbarrier; size_t span; uint8_t *p[VG_CLUSTER_MAX]; uint8_t *word[VG_CLUSTER_MAX]; } landing;

static uint64_t in_rank(uint32_t rank, uint64_t offset) { return (uint64_t)(rank + 1) * VG_CLUSTER_STEP + offset; }

// Finds and checks every destination and its mbarrier; what is to arrive counts as unwritten from now on. span: bytes from the first to the last.
static bool land(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane, size_t span, unsigned align, landing *l) {
    uint32_t rank, other;
    l->at = value_of(w, &o->to, lane);
    l->mbarrier = value_of(w, &o->mbarrier, lane);
    l->span = span;
    const bool known = vg_cluster_split(w->block, &l->at, &rank) && vg_cluster_split(w->block, &l->mbarrier, &other);
    if (misaligned(w, in, lane, l->at, align, "the destination") || misaligned(w, in, lane, l->mbarrier, 8, "the mbarrier"))
        return false;
    l->ranks = o->multicast ? vg_u32(w, o->targets)[lane] & ALL_RANKS : known ? 1u << rank : 1u << VG_CLUSTER_MAX;
    for (uint32_t m = l->ranks; m; m &= m - 1) {
        const uint32_t r = (uint32_t)__builtin_ctz(m);
        l->p[r % VG_CLUSTER_MAX] = engine_access(w, in, lane, in_rank(r, l->at), span, o->reduces ? 'a' : 's');
        l->word[r % VG_CLUSTER_MAX] = engine_access(w, in, lane, in_rank(o->multicast ? r : other, l->mbarrier), 8, 'a');
        if (!l->p[r % VG_CLUSTER_MAX] || !l->word[r % VG_CLUSTER_MAX])
            return false;
        if (!vg_tolerant(w) && (o->multicast || other == r))
            vg_async_begin(w->block->cluster->blocks[r], (uint32_t)l->mbarrier, vg_mbarrier_phase(l->word[r]), l->at, span);
    }
    return true;
}

static void complete(vg_warp *w, const vg_inst *in, unsigned lane, const landing *l, size_t bytes) {
    for (uint32_t m = l->ranks; m; m &= m - 1)
        if (!vg_mbarrier_complete_tx(l->word[__builtin_ctz(m)], (uint32_t)bytes) && !vg_tolerant(w))
            vg_report(w, in, lane, "barrier.mbarrier-count", VG_SHARED_WINDOW + l->mbarrier, 8, true, "completes more bytes than the tx-count of an mbarrier "
                      "can hold: %zu", bytes);
}

// ---- plain copies

static void to_shared(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane, size_t bytes) {
    const uint64_t from = value_of(w, &o->from, lane);
    landing l;
    if (misaligned(w, in, lane, from, 16, "the source") || misaligned(w, in, lane, bytes, 16, "the size"))
        return;
    const uint8_t *s = bytes ? vg_lane_bytes(w, in, lane, o->from.is_global ? VG_IN_GLOBAL : VG_IN_SHARED, from, (unsigned)bytes, 'l') : NULL;
    if (!s || !land(w, in, o, lane, bytes, 16, &l))
        return;
    for (uint32_t m = l.ranks; m; m &= m - 1) {
        if (o->reduces)
            vg_bulk_reduce(o->op, o->type, l.p[__builtin_ctz(m)], s, bytes);
        else
            memmove(l.p[__builtin_ctz(m)], s, bytes);
        count_shared(w, in, bytes);
    }
    if (o->from.is_global)
        count_global(w, in, from, bytes, 'b');
    complete(w, in, lane, &l, bytes);
}

static void to_global(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane, size_t bytes) {
    const uint64_t from = value_of(w, &o->from, lane), to = value_of(w, &o->to, lane);
    if (misaligned(w, in, lane, from, 16, "the source") || misaligned(w, in, lane, to, 16, "the destination") ||
        misaligned(w, in, lane, bytes, 16, "the size") || !bytes)
        return;
    const uint8_t *s = vg_lane_bytes(w, in, lane, VG_IN_SHARED, from, (unsigned)bytes, 'l');
    uint8_t *d = s ? vg_lane_bytes(w, in, lane, VG_IN_GLOBAL, to, (unsigned)bytes, o->reduces ? 'a' : 's') : NULL;
    if (!d)
        return;
    if (o->reduces)
        vg_bulk_reduce(o->op, o->type, d, s, bytes);
    else
        memcpy(d, s, bytes);
    count_shared(w, in, bytes);
    count_global(w, in, to, bytes, o->reduces ? 'a' : 's');
}

VG_HANDLER(bulk_copy) {
    const bulk *o = bulk_of(in);
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        (o->load ? to_shared : to_global)(w, in, o, lane, vg_u32(w, o->size)[lane]);
    }
}

// ---- tensors

typedef struct spot { int32_t c[VG_TENSOR_MAX_RANK]; uint16_t offset[VG_TENSOR_MAX_RANK - 2]; } spot;   // coordinates, im2col offsets
static spot spot_of(vg_warp *w, const bulk *o, unsigned lane) {
    spot s = {0};
    for (unsigned i = 0; i < o->rank; i++)
        s.c[i] = vg_s32(w, o->coordinate[i])[lane];
    for (unsigned i = 0; i + 2 < o->rank; i++)
        s.offset[i] = o->offset[i] == VG_NO_ROW ? 0 : (uint16_t)vg_u32(w, o->offset[i])[lane];
    return s;
}

// The copy engine begins at a multiple of 16 bytes, inside the tensor or not: anything else is an illegal instruction on an H100, for loads and stores alike.
static bool starts_badly(vg_warp *w, const vg_inst *in, unsigned lane, const vg_tensormap *t, const spot *at) {
    const int64_t bytes = (int64_t)at->c[0] * vg_tensor_bytes(t->type);
    if (bytes % 16 == 0)
        return false;
    if (!vg_tolerant(w)) {
        vg_report(w, in, lane, "memory.misaligned", t->address + (uint64_t)bytes, 16, false,
                  "the first coordinate of a tensor copy, %d, is %lld bytes into a row, which is not a multiple of 16", at->c[0], (long long)bytes);
        vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
    }
    return true;
}

static void fill(const vg_tensormap *t, uint8_t *row, size_t bytes) {
    memset(row, 0, bytes);
    for (size_t i = 0; t->fill_nan && i + 1 < bytes; i += 2) {   // floats of 16, 32 and 64 bits
        row[i] = VG_OOB_NAN & 0xff;
        row[i + 1] = VG_OOB_NAN >> 8;
    }
}

// Row `row` of the box from global memory, what lies outside the tensor filled.
static bool fetch_row(vg_warp *w, const vg_inst *in, unsigned lane, const vg_tensormap *t, const vg_tensor_box *b, const spot *at_spot, uint32_t row,
                      uint8_t out[VG_TENSOR_ROW_MAX]) {
    const unsigned each = vg_tensor_bytes(t->type);
    const vg_tensor_row r = vg_tensor_row_of(t, b, at_spot->c, at_spot->offset, row);
    if (r.first || r.end < t->box[0])
        fill(t, out, b->row_bytes);
    if (r.first >= r.end)
        return true;
    const uint64_t at = r.address + (uint64_t)r.first * each;
    const size_t bytes = (size_t)(r.end - r.first) * each;
    const uint8_t *s = vg_lane_bytes(w, in, lane, VG_IN_GLOBAL, at, (unsigned)bytes, 'l');
    if (s)
        memcpy(out + (size_t)r.first * each, s, bytes);
    count_global(w, in, at, bytes, 'b');
    return s != NULL || vg_tolerant(w);
}

static void tensor_to_shared(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane) {
    vg_tensormap t;
    uint8_t row[VG_TENSOR_ROW_MAX];
    landing l;
    if (!read_map(w, in, o, lane, &t))
        return;
    const vg_tensor_box b = vg_tensor_box_of(&t);
    const spot c = spot_of(w, o, lane);
    if (starts_badly(w, in, lane, &t, &c) || !land(w, in, o, lane, (size_t)b.rows * b.pitch, 128, &l))
        return;
    for (uint32_t i = 0; i < b.rows; i++) {
        if (!fetch_row(w, in, lane, &t, &b, &c, i, row))
            return;
        for (uint32_t m = l.ranks; m; m &= m - 1)
            for (uint32_t k = 0; k < b.row_bytes; k += 16) {
                const uint64_t at = vg_swizzle(t.swizzle, l.at + (uint64_t)i * b.pitch + k);
                if (at - l.at < l.span)   // a destination that its swizzle's pattern does not divide wraps around inside the pattern
                    memcpy(l.p[__builtin_ctz(m)] + (at - l.at), row + k, 16);
            }
    }
    for (uint32_t m = l.ranks; m; m &= m - 1)
        count_shared(w, in, (size_t)b.rows * b.row_bytes);
    complete(w, in, lane, &l, (size_t)b.rows * b.row_bytes);
}

// Row `row` of the box from shared memory to where it lies inside the tensor.
static bool store_row(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane, const vg_tensormap *t, const vg_tensor_box *b, const spot *at_spot,
                      uint32_t row, uint64_t from) {
    const unsigned each = vg_tensor_bytes(t->type);
    uint8_t bytes_of[VG_TENSOR_ROW_MAX];
    for (uint32_t k = 0; k < b->row_bytes; k += 16) {
        const uint8_t *s = vg_lane_bytes(w, in, lane, VG_IN_SHARED, vg_swizzle(t->swizzle, from + (uint64_t)row * b->pitch + k), 16, 'l');
        if (!s)
            return false;
        memcpy(bytes_of + k, s, 16);
    }
    const vg_tensor_row r = vg_tensor_row_of(t, b, at_spot->c, at_spot->offset, row);
    if (r.first >= r.end)
        return true;
    const uint64_t at = r.address + (uint64_t)r.first * each;
    const size_t bytes = (size_t)(r.end - r.first) * each;
    uint8_t *d = vg_lane_bytes(w, in, lane, VG_IN_GLOBAL, at, (unsigned)bytes, o->reduces ? 'a' : 's');
    if (d && o->reduces)
        vg_bulk_reduce(o->op, vg_bulk_tensor_type(t->type), d, bytes_of + (size_t)r.first * each, bytes);
    else if (d)
        memcpy(d, bytes_of + (size_t)r.first * each, bytes);
    count_global(w, in, at, bytes, o->reduces ? 'a' : 's');
    return d != NULL || vg_tolerant(w);
}

static void tensor_to_global(vg_warp *w, const vg_inst *in, const bulk *o, unsigned lane) {
    vg_tensormap t;
    const uint64_t from = value_of(w, &o->from, lane);
    if (!read_map(w, in, o, lane, &t) || misaligned(w, in, lane, from, 128, "the source"))
        return;
    const vg_tensor_box b = vg_tensor_box_of(&t);
    const spot c = spot_of(w, o, lane);
    if (starts_badly(w, in, lane, &t, &c))
        return;
    for (uint32_t i = 0; i < b.rows; i++)
        if (!store_row(w, in, o, lane, &t, &b, &c, i, from))
            return;
    count_shared(w, in, (size_t)b.rows * b.row_bytes);
}

VG_HANDLER(tensor_copy) {
    const bulk *o = bulk_of(in);
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1)
        (o->load ? tensor_to_shared : tensor_to_global)(w, in, o, (unsigned)__builtin_ctz(m));
}

VG_HANDLER(no_effect) { (void)w; (void)in; (void)mask; }

// ---- binding

static bool bind_address(vg_binder *b, const ptx_inst *in, const ptx_operand *o, bool is_global, address *a) {
    ptx_space symbol;
    bool frame;
    if (o->kind != PTX_O_ADDR)
        return vg_unsupported(b, in, "its operands");
    if (!vg_bind_addr(b, in, o, &a->row, &a->wide, &a->offset, &symbol, &frame))
        return false;
    a->is_global = is_global;
    if (a->row == VG_NO_ROW) {
        a->row = vg_bind_row(b, &(ptx_operand){.kind = PTX_O_INT, .i = 0}, PTX_U64);
        a->wide = true;
    }
    return true;
}

static bool bind_map(vg_binder *b, const ptx_inst *in, const ptx_operand *o, bulk *k) {
    if (o->n_elems != in->vec)
        return vg_unsupported(b, in, "another number of coordinates than dimensions");
    k->rank = in->vec;
    for (unsigned i = 0; i < k->rank; i++)
        k->coordinate[i] = vg_bind_row(b, &o->elems[i], PTX_U32);
    return bind_address(b, in, o, true, &k->map);
}

// What follows the addresses and the size: the cluster mask of a multicast, then a cache policy.
static bool bind_rest(vg_binder *b, const ptx_inst *in, bulk *k, unsigned at) {
    const unsigned policy = (in->mods2 & PTX_M2_CACHE_HINT) != 0, mask = (in->mods2 & PTX_M2_MULTICAST) != 0;
    if (at + policy + mask != in->n_operands)
        return vg_unsupported(b, in, "its operands");
    k->multicast = mask;
    if (mask)
        k->targets = vg_bind_row(b, &in->operand[at], PTX_U16);
    return true;
}

static bool legal(vg_binder *b, const ptx_inst *in, const bulk *k) {
    const bool to_shared_space = in->space == PTX_SHARED || in->space == PTX_SHARED_CLUSTER;
    if (in->mods2 & PTX_M2_IM2COL && (in->vec < 3 || !(in->mods2 & PTX_M2_TENSOR) || !(in->mods2 & PTX_M2_NO_OFFSETS) != k->load))
        return vg_unsupported(b, in, "im2col mode: loads are .im2col, stores and reductions .im2col_no_offs, of 3 to 5 dimensions");
    if (k->load ? !to_shared_space || (in->space2 != PTX_GLOBAL && in->space2 != PTX_SHARED)
                : in->space != PTX_GLOBAL || in->space2 != PTX_SHARED || !(in->mods2 & PTX_M2_BULK_GROUP))
        return vg_unsupported(b, in, "these state spaces and this way of completion");
    if (k->reduces && k->load && in->space2 == PTX_GLOBAL)
        return vg_unsupported(b, in, "a reduction from global memory");
    if (k->reduces && !(in->mods2 & PTX_M2_TENSOR) && !vg_bulk_can_reduce(k->op, k->type))
        return vg_unsupported(b, in, "this reduction of this type");
    return true;
}

// {w, h, d}: one fewer than dimensions, without the images
static bool bind_offsets(vg_binder *b, const ptx_inst *in, const ptx_operand *o, bulk *k) {
    if (o->kind != PTX_O_VEC || o->n_elems + 2u != in->vec)
        return vg_unsupported(b, in, "another number of im2col offsets than dimensions less two");
    for (unsigned i = 0; i < o->n_elems; i++) {
        if (o->elems[i].kind != PTX_O_INT && (o->elems[i].kind != PTX_O_REG || ptx_type_bytes(vg_bind_reg_type(b, &o->elems[i])) != 2))
            return vg_unsupported(b, in, "im2col offsets that are not 16 bits wide");
        k->offset[i] = vg_bind_row(b, &o->elems[i], PTX_U16);
    }
    return true;
}

static bool bind_prefetch(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool im2col = in->mods2 & PTX_M2_IM2COL;
    out->full = out->masked = no_effect;
    if (in->operand[0].kind != PTX_O_ADDR || (im2col && (in->mods2 & PTX_M2_NO_OFFSETS || in->n_operands < 2)))
        return vg_unsupported(b, in, "its operands");
    return !im2col || bind_offsets(b, in, &in->operand[1], &(bulk){0});
}

bool vg_bind_bulk(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->mods2 & PTX_M2_PREFETCH)
        return bind_prefetch(b, in, out);
    const bool tensor = in->mods2 & PTX_M2_TENSOR;
    bulk *k = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *k);
    if (!k)
        return vg_unsupported(b, in, "out of memory");
    *k = (bulk){.offset = {VG_NO_ROW, VG_NO_ROW, VG_NO_ROW}, .im2col = in->mods2 & PTX_M2_IM2COL, .load = in->mods2 & PTX_M2_MBARRIER,
                .reduces = in->mods2 & PTX_M2_REDUCE, .op = (ptx_atom)in->atom, .type = (ptx_type)in->type[0]};
    out->imm = (int64_t)(uintptr_t)k;
    out->full = out->masked = tensor ? tensor_copy : bulk_copy;
    if (!legal(b, in, k) || in->n_operands < (k->load && !tensor ? 4 : tensor && !k->load ? 2 : 3))
        return vg_unsupported(b, in, "its operands");
    const ptx_operand *o = in->operand;
    if (tensor && k->load)
        return bind_address(b, in, &o[0], false, &k->to) && bind_map(b, in, &o[1], k) && bind_address(b, in, &o[2], false, &k->mbarrier) &&
               (!k->im2col || (in->n_operands > 3 && bind_offsets(b, in, &o[3], k))) && bind_rest(b, in, k, k->im2col ? 4 : 3);
    if (tensor)
        return bind_map(b, in, &o[0], k) && bind_address(b, in, &o[1], false, &k->from) && bind_rest(b, in, k, 2);
    k->size = vg_bind_row(b, &o[2], PTX_U32);
    return bind_address(b, in, &o[0], !k->load, &k->to) && bind_address(b, in, &o[1], in->space2 == PTX_GLOBAL, &k->from) &&
           (!k->load || bind_address(b, in, &o[3], false, &k->mbarrier)) && bind_rest(b, in, k, k->load ? 4 : 3);
}
