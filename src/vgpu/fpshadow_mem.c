// fpshadow_mem: loads, stores, asynchronous copies and atomics of words that carry shadows. Loads take a cell's shadow only when its bits are
// the bits just loaded; stores leave the register's shadow beside the bits that memory now holds.
#include "vgpu/fpshadow.h"
#include "vgpu/op.h"

static const vg_fs_word none = {0, 0, VG_FS_NONE};
enum { WIDE = 1, REG64 = 8, FRAME = 32 };              // vg_inst.aux2 of loads and stores, see mem_row.h

static uint64_t address_of(vg_warp *w, const vg_inst *in, unsigned lane) {
    const uint64_t base = in->aux2 & WIDE ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane];
    return base + (uint64_t)in->imm + (in->aux2 & FRAME ? w->local_frame : 0);
}
static uint32_t value_row(const vg_inst *in, unsigned e) { return e == 0 ? in->d : e == 1 ? in->b : e == 2 ? in->c : in->aux; }

static void load_element(vg_warp *w, unsigned lane, vg_where where, uint64_t at, uint32_t row, unsigned bytes) {
    if (bytes == 8) {
        const uint32_t *bits = vg_u32(w, row) + 2 * lane;
        const vg_fs_word hi = vg_fs_load_word(w, lane, where, at + 4, bits[1]);
        vg_fs_word lo = vg_fs_load_word(w, lane, where, at, bits[0]);
        const uint8_t *memory;
        const vg_fs_cell *c = lo.kind == VG_FS_F64 ? vg_fs_cell_at(w, lane, where, at + 4, false, &memory) : NULL;
        if (lo.kind == VG_FS_F64 && (!c || c->bits != bits[1]))
            lo = none;
        vg_fs_put64(w, row, lane, 0, lo);
        vg_fs_put64(w, row, lane, 1, hi);
    } else if (bytes == 4) {
        const vg_fs_word x = vg_fs_load_word(w, lane, where, at, vg_u32(w, row)[lane]);
        vg_fs_put(w, row, lane, x.kind == VG_FS_F64 ? none : x);
    } else {
        vg_fs_word x = none;
        vg_fs_load_half(w, lane, where, at, vg_u32(w, row)[lane], &x.kind, &x.lo);
        vg_fs_put(w, row, lane, x);
    }
}

static void store_element(vg_warp *w, unsigned lane, vg_where where, uint64_t at, uint32_t row, unsigned bytes) {
    if (bytes == 8) {
        vg_fs_store_word(w, lane, where, at, vg_fs_get64(w, row, lane, 0));
        const vg_fs_word hi = vg_fs_get64(w, row, lane, 1);
        const uint8_t *memory = NULL;
        vg_fs_cell *c = vg_fs_cell_at(w, lane, where, at + 4, hi.kind != VG_FS_NONE, &memory);
        if (c) {
            *c = (vg_fs_cell){hi.lo, hi.hi, 0, hi.kind};
            memcpy(&c->bits, memory, 4);
        }
    } else if (bytes == 4) {
        vg_fs_store_word(w, lane, where, at, vg_fs_get(w, row, lane));
    } else {
        const vg_fs_word x = vg_fs_get(w, row, lane);
        vg_fs_store_half(w, lane, where, at, x.kind == VG_FS_F16 || x.kind == VG_FS_BF16 ? x.kind : VG_FS_NONE, x.lo);
    }
}

void vg_fs_load(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    uint64_t at[VG_LANES];
    uint64_t lo = ~0ull, hi = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        at[l] = mask >> l & 1 ? address_of(w, in, l) : 0;       // the address row may be a destination
        lo = mask >> l & 1 && at[l] < lo ? at[l] : lo;
        hi = at[l] > hi ? at[l] : hi;
    }
    vg_fs_run(w, in, s, mask);
    if ((s->where == VG_IN_GLOBAL || s->where == VG_IN_GENERIC) && vg_fs_plain_memory(w, lo, hi + (uint64_t)s->vec * s->bytes)) {
        for (unsigned e = 0; e < s->vec; e++)
            for (unsigned h = 0; h < (s->bytes == 8 ? 2u : 1u); h++)
                vg_fs_forget(w, value_row(in, e) + 128 * h, mask);
        return;
    }
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1)
        for (unsigned e = 0, l = (unsigned)__builtin_ctz(m); e < s->vec; e++)
            load_element(w, l, (vg_where)s->where, at[l] + e * s->bytes, value_row(in, e), s->bytes);
}

void vg_fs_store(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1)
        for (unsigned e = 0, l = (unsigned)__builtin_ctz(m); e < s->vec; e++)
            store_element(w, l, (vg_where)s->where, address_of(w, in, l) + e * s->bytes, value_row(in, e), s->bytes);
}

// ---- parameters of calls: rows of the frame's area, an element of 8 bytes in two of them
static uint32_t frame_row(const vg_warp *w, const vg_inst *in, unsigned e, unsigned bytes) {
    return w->code->param_row + (uint32_t)((uint64_t)in->imm + e * bytes) / 4 * 128;
}

void vg_fs_load_frame(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1)
        for (unsigned e = 0, l = (unsigned)__builtin_ctz(m); e < s->vec; e++) {
            const uint32_t row = frame_row(w, in, e, s->bytes), to = value_row(in, e);
            const vg_fs_word x = vg_fs_get(w, row, l);
            if (s->bytes == 8) {
                vg_fs_put64(w, to, l, 0, x);
                vg_fs_put64(w, to, l, 1, vg_fs_get(w, row + 128, l));
            } else if (s->bytes == 4 || !((uint64_t)in->imm & 2)) {
                vg_fs_put(w, to, l, s->bytes == 4 || x.kind == VG_FS_F16 || x.kind == VG_FS_BF16 ? x : none);
            }
        }
}

void vg_fs_store_frame(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1)
        for (unsigned e = 0, l = (unsigned)__builtin_ctz(m); e < s->vec; e++) {
            const uint32_t row = frame_row(w, in, e, s->bytes), from = value_row(in, e);
            if (s->bytes == 8) {
                vg_fs_put(w, row, l, vg_fs_get64(w, from, l, 0));
                vg_fs_put(w, row + 128, l, vg_fs_get64(w, from, l, 1));
            } else if (s->bytes == 4 || !((uint64_t)in->imm & 2)) {
                vg_fs_put(w, row, l, vg_fs_get(w, from, l));
            }
        }
}

// ---- cp.async (op_mem_copy.c: a = shared address, b = global address, imm = both offsets, aux = bytes): done when issued
void vg_fs_cp_async(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint32_t to = (in->aux2 & WIDE ? (uint32_t)vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l]) + (uint32_t)in->imm;
        const uint64_t from = vg_u64(w, in->b)[l] + (uint64_t)(in->imm >> 32);
        for (unsigned k = 0; k < in->aux; k += 4) {
            const uint8_t *memory = NULL;
            uint32_t bits;
            if (!vg_fs_cell_at(w, l, VG_IN_SHARED, to + k, false, &memory))
                continue;
            memcpy(&bits, memory, 4);
            vg_fs_store_word(w, l, VG_IN_SHARED, to + k, vg_fs_load_word(w, l, VG_IN_GLOBAL, from + k, bits));
        }
    }
}

// ---- atomics. Lanes run in order, so replaying them in order gives the shadow of every old value.
enum { WHERE_SHIFT = 1, WHERE = 7, RETURNS = 16 };     // vg_inst.aux2, see op_atom.c

typedef struct target {
    vg_fs_cell *cell;
    const uint8_t *memory;
    uint64_t address;
    uint32_t compare, offer;           // operands, which the returned old value may overwrite
    vg_fs_word shadow;                 // of `offer`
} target;

static uint32_t bits_at(const uint8_t *memory) {
    uint32_t x;
    memcpy(&x, memory, 4);
    return x;
}

// Before the run: what is added goes to the cell at once, but the cell keeps the old bits until the run has updated memory.
static void add_lane(vg_warp *w, const vg_inst *in, const vg_fs_inst *s, unsigned l, const target *t) {
    vg_fs_cell *c = t->cell;
    const uint32_t old = bits_at(t->memory);
    if (s->kind == VG_FS_F64) {
        double v;
        memcpy(&v, t->memory, 8);
        const vg_fs_word b = vg_fs_get64(w, in->b, l, 0);
        const bool good = c->kind == VG_FS_F64 && c->bits == old && c[1].bits == bits_at(t->memory + 4);
        *c = (vg_fs_cell){(good ? c->lo : v) + (b.kind == VG_FS_F64 ? b.lo : vg_f64(w, in->b)[l]), 0, old, VG_FS_F64};
        c[1] = (vg_fs_cell){0, 0, bits_at(t->memory + 4), VG_FS_NONE};
        return;
    }
    const vg_fs_word x = c->bits == old ? (vg_fs_word){c->lo, c->hi, c->kind} : none, b = vg_fs_get(w, in->b, l);
    const uint32_t add = vg_u32(w, in->b)[l];
    vg_fs_cell n = {vg_fs_as(x, old, s->kind, 0), s->kind == VG_FS_F32 ? 0 : vg_fs_as(x, old, s->kind, 1), old, s->kind};
    const unsigned half = s->bytes == 2 ? t->address >> 1 & 1 : 0;
    *(half ? &n.hi : &n.lo) += vg_fs_as(b, add, s->kind, 0);
    if (s->pair)
        n.hi += vg_fs_as(b, add, s->kind, 1);
    *c = n;
}

static void finish_add(const target *t, const vg_fs_inst *s) {
    t->cell->bits = bits_at(t->memory);
    if (s->kind == VG_FS_F64)
        t->cell[1].bits = bits_at(t->memory + 4);
}

// exch, cas and the integer min and max on the bits of floats: the word that memory holds came from the lane that offered it.
static void offer_lane(vg_warp *w, const vg_inst *in, unsigned l, const target *t, bool cas) {
    const bool known = in->aux2 & RETURNS;
    const uint32_t old = known ? vg_u32(w, in->d)[l] : 0;
    if (known)         // d's shadow was set from the cell before this lane's update
        vg_fs_put(w, in->d, l, t->cell->bits == old ? (vg_fs_word){t->cell->lo, t->cell->hi, t->cell->kind} : none);
    if (cas && (!known || old != t->compare))
        return;
    if ((in->src->atom == PTX_ATOM_MIN || in->src->atom == PTX_ATOM_MAX) && bits_at(t->memory) != t->offer)
        return;
    *t->cell = (vg_fs_cell){t->shadow.lo, t->shadow.hi, t->offer, t->shadow.kind};
}

void vg_fs_atom(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    const vg_where where = (vg_where)(in->aux2 >> WHERE_SHIFT & WHERE);
    const bool adds = s->kind != VG_FS_NONE, cas = in->src->atom == PTX_ATOM_CAS;
    target t[VG_LANES] = {{0}};
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        t[l].address = (in->aux2 & WIDE ? vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l]) + (uint64_t)in->imm;
        if (!adds) {
            t[l].compare = vg_u32(w, in->b)[l];
            t[l].offer = vg_u32(w, cas ? in->c : in->b)[l];
            t[l].shadow = vg_fs_get(w, cas ? in->c : in->b, l);
        }
        const bool carries = adds || t[l].shadow.kind != VG_FS_NONE;
        t[l].cell = t[l].address % s->bytes ? NULL : vg_fs_cell_at(w, l, where, t[l].address, carries, &t[l].memory);
        if (t[l].cell && adds)
            add_lane(w, in, s, l, &t[l]);
    }
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        if (t[l].cell && adds)
            finish_add(&t[l], s);
        else if (t[l].cell)
            offer_lane(w, in, l, &t[l], cas);
    }
}
