// Loads and stores that are wider than four rows or 16 bytes: .b128 registers, v4 of 64 bits and v8 of 32 bits (sm_100). Lane by lane through the
// checked slow path; everything narrower is in op_mem_global.c and its neighbours.
#include "vgpu/mem_row.h"

enum { MAX_ROWS = 8 };
typedef struct wide_access {             // vg_inst.imm points to it; the address row is vg_inst.a
    uint32_t row[MAX_ROWS];
    int64_t offset;
    uint8_t n, bytes, where;
    bool wide, spin, frame;
} wide_access;

static void move(vg_warp *w, const wide_access *o, unsigned l, uint8_t *p, bool load) {
    for (unsigned i = 0; i < o->n; i++) {
        uint8_t *r = w->file + o->row[i] + o->bytes * l;
        memcpy(load ? r : p + o->bytes * i, load ? p + o->bytes * i : r, o->bytes);
    }
}

static void access_wide(vg_warp *w, const vg_inst *in, uint32_t mask, bool load) {
    const wide_access *o = (const wide_access *)(uintptr_t)in->imm;
    const unsigned total = (unsigned)o->n * o->bytes;
    const char kind = load ? 'l' : 's';
    uint64_t address[VG_LANES];
    uint32_t offset[VG_LANES], shared = 0;
    for (uint32_t m = mask; m; m &= m - 1) {           // all addresses first: a destination may be the address row
        const unsigned l = (unsigned)__builtin_ctz(m);
        address[l] = (o->wide ? vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l]) + (uint64_t)o->offset + (o->frame ? w->local_frame : 0);
        const vg_where where = o->where == VG_IN_GENERIC ? vg_where_of(address[l]) : (vg_where)o->where;
        offset[l] = (uint32_t)(address[l] & (VG_WINDOW_BYTES - 1));
        shared |= (uint32_t)(where == VG_IN_SHARED) << l;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        uint8_t *p = vg_lane_access(w, in, l, (vg_where)o->where, address[l], total, kind);
        if (p)
            move(w, o, l, p, load);
    }
    w->spins += o->spin;
    if (w->count && mask & shared)
        vg_count_shared(w->count, in->index, offset, total, mask & shared, kind);
    if (w->count && mask & ~shared && (o->where == VG_IN_GLOBAL || o->where == VG_IN_GENERIC))
        vg_count_global(w->count, in->index, address, total, mask & ~shared, kind);
}
VG_HANDLER(load_wide) { access_wide(w, in, mask, true); }
VG_HANDLER(store_wide) { access_wide(w, in, mask, false); }

static bool bind_where(vg_binder *b, const ptx_inst *in, const ptx_operand *o, wide_access *x, uint32_t *row) {
    bool frame;
    ptx_space symbol;
    if (!vg_bind_addr(b, in, o, row, &x->wide, &x->offset, &symbol, &frame))
        return false;
    if (*row == VG_NO_ROW) {
        *row = vg_bind_row(b, &(ptx_operand){.kind = PTX_O_INT, .i = 0}, PTX_U64);
        x->wide = true;
    }
    switch (in->space == PTX_GENERIC && symbol != PTX_GENERIC ? symbol : (ptx_space)in->space) {
    case PTX_GLOBAL: case PTX_CONST: x->where = VG_IN_GLOBAL; return true;
    case PTX_SHARED: case PTX_SHARED_CLUSTER: x->where = VG_IN_SHARED; return true;
    case PTX_LOCAL: x->where = VG_IN_LOCAL; x->frame = symbol == PTX_LOCAL; return true;
    case PTX_GENERIC: x->where = VG_IN_GENERIC; return true;
    default: return vg_unsupported(b, in, "accesses of more than 16 bytes in this state space");
    }
}

bool VG_NAME(vg_bind_wide)(vg_binder *b, const ptx_inst *in, vg_inst *out, bool load) {
    const ptx_type t = (ptx_type)in->type[0];
    const unsigned bytes = ptx_type_bytes(t), n = in->vec ? in->vec : 1;
    const ptx_operand *value = &in->operand[load ? 0 : 1];
    if (bytes * n > 32 || n > MAX_ROWS || (bytes < 4) || (value->kind == PTX_O_VEC ? value->n_elems : 1u) != n)
        return vg_unsupported(b, in, "accesses of this width");
    wide_access *x = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *x);
    if (!x)
        return vg_unsupported(b, in, "out of memory");
    x->n = (uint8_t)n;
    x->bytes = (uint8_t)bytes;
    x->spin = in->sem == PTX_VOLATILE || in->sem == PTX_RELAXED || in->sem == PTX_ACQUIRE;
    for (unsigned i = 0; i < n; i++) {
        const ptx_operand *o = value->kind == PTX_O_VEC ? &value->elems[i] : value;
        const ptx_type reg = vg_bind_reg_type(b, o);
        if (reg != PTX_NOTYPE && ptx_type_bytes(reg) != bytes)
            return vg_unsupported(b, in, "wider registers than its type");
        x->row[i] = vg_bind_row(b, o, t);
    }
    out->full = out->masked = load ? load_wide : store_wide;
    out->imm = (int64_t)(uintptr_t)x;
    return bind_where(b, in, &in->operand[load ? 1 : 0], x, &out->a);
}
