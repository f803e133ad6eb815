// Address conversion, asynchronous copies, cache hints: the memory instructions beside loads and stores (op_mem_*.c) and atomics (op_atom.c).
#include "vgpu/bulk.h"
#include "vgpu/cluster.h"
#include "vgpu/mem_row.h"
#include "vgpu/race.h"

// ---- address conversion: generic = window + offset; global, const: the identity

VG_HANDLER(cvta_add) {
    const uint64_t *a = (const uint64_t *)(const void *)(w->file + in->a);
    uint64_t *d = vg_u64(w, in->d), add = (uint64_t)in->imm + (in->aux2 & A_FRAME ? w->local_frame : 0);
    VG_EACH {
        uint64_t v = a[l] + add;
        d[l] = VG_ON(l) ? v : d[l];
    }
}

VG_HANDLER(isspacep) {
    const uint64_t *a = (const uint64_t *)(const void *)(w->file + in->a);
    uint32_t hit = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        vg_where where = vg_where_of(a[l]);
        bool is = where == (vg_where)in->aux;
        if (is && in->aux == VG_IN_SHARED && in->src->space == PTX_SHARED) {   // .shared::cta: the own block's part of the cluster
            const uint64_t step = (a[l] - VG_SHARED_WINDOW) / VG_CLUSTER_STEP;
            is = step == 0 || step == w->block->rank + 1;
        }
        if (in->aux == VG_IN_GLOBAL || in->aux == VG_IN_CONST) {
            const vg_alloc *at = where == VG_IN_GLOBAL ? vg_page_alloc(w->block->launch->ctx->memory, a[l]) : NULL;
            is = where == VG_IN_GLOBAL && (at && at->read_only) == (in->aux == VG_IN_CONST);
        }
        hit |= (uint32_t)is << l;
    }
    vg_pred_write(w, in->d, hit, mask);
}

VG_HANDLER(no_effect) { (void)w; (void)in; (void)mask; }

// ---- cp.async: executed when issued. Legal because nothing may look at the destination before the matching wait.

enum { CP_IGNORES = 1 << 14, CP_UNLESS = 1 << 15 };   // aux2: c is a predicate that says to ignore the source, or its negation
VG_HANDLER(cp_async) {
    const uint64_t *to = (const uint64_t *)(const void *)(w->file + in->a), *from = (const uint64_t *)(const void *)(w->file + in->b);
    const uint32_t *size = in->c == VG_NO_ROW || in->aux2 & CP_IGNORES ? NULL : vg_u32(w, in->c);
    const uint32_t ignored = in->aux2 & CP_IGNORES ? w->pred[in->c] ^ (in->aux2 & CP_UNLESS ? ~0u : 0u) : 0;   // zeros instead
    const unsigned bytes = in->aux;
    uint64_t source[VG_LANES];
    uint32_t offset[VG_LANES] = {0}, reading = 0;
    bool narrow = !(in->aux2 & A_WIDE);
    const uint32_t *to32 = vg_u32(w, in->a);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        source[lane] = from[lane] + (uint64_t)(in->imm >> 32);
        offset[lane] = (narrow ? to32[lane] : (uint32_t)to[lane]) + (uint32_t)in->imm;
        unsigned n = ignored >> lane & 1 ? 0 : size ? (size[lane] < bytes ? size[lane] : bytes) : bytes;
        uint8_t *d = vg_lane_access(w, in, lane, VG_IN_SHARED, offset[lane], bytes, 's');
        const uint8_t *s = n ? vg_lane_access(w, in, lane, VG_IN_GLOBAL, source[lane], n == bytes ? bytes : 1, 'l') : NULL;
        if (s && n < bytes)
            s = vg_lane_bytes(w, in, lane, VG_IN_GLOBAL, source[lane], n, 'l');
        reading |= (uint32_t)(n != 0) << lane;
        if (d && w->block->race)
            vg_async_copy(w, in, lane, offset[lane], bytes);
        if (d) {
            memset(d, 0, bytes);
            if (s)
                memcpy(d, s, n);
        }
    }
    if (w->count && reading)
        vg_count_global(w->count, in->index, source, bytes, reading, 'l');
    if (w->count)
        vg_count_shared(w->count, in->index, offset, bytes, mask, 's');
}

// Groups matter to nobody but the race detector. aux: groups that may stay open.
VG_HANDLER(cp_commit) {
    (void)in;
    if (w->block->race)
        vg_async_commit(w, mask);
}
VG_HANDLER(cp_wait) {
    if (w->block->race)
        vg_async_wait(w, mask, in->aux);
}

// ---- binding

static bool bind_cvta(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->type[0] != PTX_U64)
        return vg_unsupported(b, in, "32-bit addresses");
    const ptx_operand *source = &in->operand[1];
    uint64_t window = 0;
    switch (in->space) {
    case PTX_SHARED: case PTX_SHARED_CLUSTER: window = VG_SHARED_WINDOW; break;
    case PTX_LOCAL: window = VG_LOCAL_WINDOW; break;
    case PTX_PARAM: window = VG_PARAM_WINDOW; break;
    case PTX_GLOBAL: case PTX_CONST: break;
    default: return vg_unsupported(b, in, "state space");
    }
    out->d = vg_bind_row(b, &in->operand[0], PTX_U64);
    out->a = vg_bind_row(b, source, PTX_U64);
    out->imm = in->mods & PTX_M_TO ? -(int64_t)window : (int64_t)window;
    out->full = out->masked = cvta_add;
    return true;
}

static bool bind_isspacep(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->space) {
    case PTX_GLOBAL: out->aux = VG_IN_GLOBAL; break;
    case PTX_SHARED: case PTX_SHARED_CLUSTER: out->aux = VG_IN_SHARED; break;
    case PTX_LOCAL: out->aux = VG_IN_LOCAL; break;
    case PTX_CONST: out->aux = VG_IN_CONST; break;
    case PTX_PARAM: out->aux = VG_IN_PARAM; break;
    default: return vg_unsupported(b, in, "state space");
    }
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->a = vg_bind_row(b, &in->operand[1], PTX_U64);
    out->full = out->masked = isspacep;
    return true;
}

// One address of cp.async: its row (made when the address is a constant).
static bool bind_cp_address(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row, bool *wide, int64_t *offset) {
    ptx_space space;
    bool frame;
    if (!vg_bind_addr(b, in, o, row, wide, offset, &space, &frame))
        return false;
    if (*row == VG_NO_ROW) {
        *row = constant_row(b, *offset, PTX_U64);
        *wide = true;
        *offset = 0;
    }
    return true;
}

static bool bind_cp(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->full = out->masked = no_effect;
    if (in->sub == PTX_CP_COMMIT_GROUP || in->sub == PTX_CP_WAIT_GROUP || in->sub == PTX_CP_WAIT_ALL) {   // copies are complete when issued
        out->full = out->masked = in->sub == PTX_CP_COMMIT_GROUP ? cp_commit : cp_wait;
        out->aux = in->sub == PTX_CP_WAIT_GROUP && in->operand[0].kind == PTX_O_INT ? (uint32_t)in->operand[0].i : UINT32_MAX;
        return true;
    }
    if (in->sub == PTX_CP_MBARRIER_ARRIVE)
        return vg_bind_mbarrier(b, in, out);
    if (in->sub == PTX_CP_BULK)
        return vg_bind_bulk(b, in, out);
    if (in->sub != PTX_CP_ASYNC || in->n_operands < 3 || in->operand[2].kind != PTX_O_INT)
        return vg_unsupported(b, in, "this form of cp");
    int64_t to_offset, from_offset, bytes = in->operand[2].i;
    bool to_wide = true, from_wide = true;
    if (bytes != 4 && bytes != 8 && bytes != 16)
        return vg_unsupported(b, in, "copy size");
    if (!bind_cp_address(b, in, &in->operand[0], &out->a, &to_wide, &to_offset) || !bind_cp_address(b, in, &in->operand[1], &out->b, &from_wide, &from_offset))
        return false;
    if (!from_wide || from_offset != (int32_t)from_offset || to_offset != (int32_t)to_offset)
        return vg_unsupported(b, in, "address form of cp.async");
    unsigned policy = (in->mods2 & PTX_M2_CACHE_HINT) != 0;
    bool sized = in->n_operands - policy > 3;
    const bool ignore = sized && in->operand[3].kind == PTX_O_REG && vg_bind_reg_type(b, &in->operand[3]) == PTX_PRED;
    out->c = ignore ? vg_bind_pred(b, &in->operand[3]) : sized ? vg_bind_row(b, &in->operand[3], PTX_U32) : VG_NO_ROW;
    out->imm = (int64_t)((uint64_t)from_offset << 32 | (uint32_t)to_offset);
    out->aux = (uint32_t)bytes;
    out->aux2 = (uint16_t)((to_wide ? A_WIDE : 0) | (ignore ? CP_IGNORES | (in->operand[3].negated ? CP_UNLESS : 0) : 0));
    out->full = out->masked = cp_async;
    return true;
}

// A cache policy is an opaque number that only hints read.
static bool bind_policy(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->d = vg_bind_row(b, &in->operand[0], PTX_B64);
    out->a = constant_row(b, 0, PTX_U64);
    out->imm = 0;
    out->full = out->masked = cvta_add;
    return true;
}

bool VG_NAME(vg_bind_copy)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->op) {
    case PTX_OP_CVTA: return bind_cvta(b, in, out);
    case PTX_OP_ISSPACEP: return bind_isspacep(b, in, out);
    case PTX_OP_CP: return bind_cp(b, in, out);
    case PTX_OP_MAPA: case PTX_OP_GETCTARANK: return vg_bind_cluster(b, in, out);
    case PTX_OP_TENSORMAP: return vg_bind_tensormap(b, in, out);
    case PTX_OP_ALLOCA: case PTX_OP_STACKSAVE: case PTX_OP_STACKRESTORE: return vg_bind_stack(b, in, out);
    case PTX_OP_CREATEPOLICY: return bind_policy(b, in, out);
    case PTX_OP_PREFETCH: case PTX_OP_PREFETCHU: case PTX_OP_APPLYPRIORITY:
        out->full = out->masked = no_effect;
        return true;
    default: return vg_unsupported(b, in, "memory instruction");
    }
}
