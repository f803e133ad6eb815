// mem_row: what the load and store families share: the flags of a decoded access, tests of the 32 addresses for one linear pattern, moves between
// value rows and memory, the lane-by-lane path. Everything is inlined into each family's handlers, once per instruction set.
#ifndef HONE_VGPU_MEM_ROW_H
#define HONE_VGPU_MEM_ROW_H
#include "vgpu/access.h"
#include "vgpu/address_row.h"
#include "vgpu/op.h"

#define FULL 0xffffffffu
typedef uint8_t __attribute__((may_alias)) u8a;
typedef uint16_t __attribute__((may_alias)) u16a;
typedef uint64_t __attribute__((may_alias)) u64a;

// vg_inst use: a = address row; d, b, c, aux = value rows of the elements; imm = constant part of the address; aux2 = these flags.
enum {
    A_WIDE = 1,        // the address row is 64-bit
    A_SIGNED = 2,      // loads: sign-extend
    A_REG16 = 4,       // the value registers have 16 bits (or 8)
    A_REG64 = 8,       // the value registers have 64 bits though an element has fewer
    A_SPIN = 16,       // volatile, relaxed or acquire: what a spin loop does
    A_FRAME = 32,      // local address of a variable: add the frame's offset
    A_CONST = 64,      // constant space: not counted as global traffic
    A_GENERIC = 128,   // the address may lie in a window
    A_NC = 256         // ld.global.nc
};

ALWAYS uint32_t value_row(const vg_inst *in, unsigned e) { return e == 0 ? in->d : e == 1 ? in->b : e == 2 ? in->c : in->aux; }

// The handlers of one element size and vector length. One function per space says which exist: NULL when none does.
// *_tagged: the address row has a tag (linear.h); NULL when there is no such handler.
typedef struct vg_mem_form { uint8_t E, V; vg_handler ld, st, ld_tagged, st_tagged; } vg_mem_form;
const vg_mem_form *VG_NAME(vg_mem_global)(unsigned E, unsigned V);      // global, generic and const addresses
vg_handler VG_NAME(vg_mem_plain)(unsigned E, unsigned V);               // loads through a tagged row, no flag set but A_WIDE, A_GENERIC, A_NC; or NULL
const vg_mem_form *VG_NAME(vg_mem_shared)(unsigned E, unsigned V);
const vg_mem_form *VG_NAME(vg_mem_local)(unsigned E, unsigned V);
const vg_mem_form *VG_NAME(vg_mem_param)(unsigned E, unsigned V);       // kernel parameters at a constant offset
const vg_mem_form *VG_NAME(vg_mem_param_at)(unsigned E, unsigned V);    // … through a register
const vg_mem_form *VG_NAME(vg_mem_frame)(unsigned E, unsigned V);       // parameters of calls
bool VG_NAME(vg_bind_wide)(vg_binder *b, const ptx_inst *in, vg_inst *out, bool load);   // more than 16 bytes, 128-bit registers
bool VG_NAME(vg_bind_copy)(vg_binder *b, const ptx_inst *in, vg_inst *out);   // cvta, isspacep, cp, createpolicy, prefetch
static inline const vg_mem_form *vg_mem_form_find(const vg_mem_form *t, size_t n, unsigned E, unsigned V) {
    for (size_t i = 0; i < n; i++)
        if (t[i].E == E && t[i].V == V)
            return &t[i];
    return NULL;
}
#define SPIN() do { if (UNLIKELY(in->aux2 & A_SPIN)) w->spins++; } while (0)
#define EACH_FORM(X) X(1, 1) X(1, 2) X(1, 4) X(2, 1) X(2, 2) X(2, 4) X(4, 1) X(4, 2) X(4, 4) X(8, 1) X(8, 2)

// ---- address rows

ALWAYS const uint64_t *wide_row(const vg_warp *w, const vg_inst *in, uint64_t tmp[VG_LANES]) {
    const void *row = __builtin_assume_aligned(w->file + in->a, 64);
    if (in->aux2 & A_WIDE)
        return row;
    const uint32_t *narrow = row;
    for (unsigned l = 0; l < VG_LANES; l++)
        tmp[l] = narrow[l];
    return tmp;
}

ALWAYS const uint32_t *narrow_row(const vg_warp *w, const vg_inst *in, uint32_t tmp[VG_LANES]) {
    const void *row = __builtin_assume_aligned(w->file + in->a, 64);
    if (!(in->aux2 & A_WIDE))
        return row;
    const uint64_t *wide = row;
    for (unsigned l = 0; l < VG_LANES; l++)
        tmp[l] = (uint32_t)wide[l];
    return tmp;
}

// The active lanes' stride from lane to lane when there is one for all of them; false otherwise. `first` is the lowest active lane.

ALWAYS bool linear64_full(const uint64_t *r, uint64_t *stride) {
    const v4u64 *v = (const v4u64 *)(const void *)r;
    uint64_t d = r[1] - r[0];
    v4u64 at = {r[0], r[0] + d, r[0] + 2 * d, r[0] + 3 * d}, step = {4 * d, 4 * d, 4 * d, 4 * d}, bad = v[0] ^ at;
    for (unsigned i = 1; i < VG_LANES / 4; i++) {
        at += step;
        bad |= v[i] ^ at;
    }
    *stride = d;
    return (bad[0] | bad[1] | bad[2] | bad[3]) == 0;
}

ALWAYS bool linear64(const uint64_t *r, uint32_t mask, unsigned first, uint64_t *stride) {
    uint64_t d = mask >> first & 2 ? r[first + 1] - r[first] : 0, at = r[first] - first * d, bad = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        bad |= (r[l] ^ at) & (0 - (uint64_t)((mask >> l) & 1));
        at += d;
    }
    *stride = d;
    return bad == 0;
}

ALWAYS bool linear32_full(const uint32_t *r, uint32_t *stride) {
    const v8u32 *v = (const v8u32 *)(const void *)r;
    uint32_t a = r[0], d = r[1] - a, e = 8 * d;
    v8u32 at = {a, a + d, a + 2 * d, a + 3 * d, a + 4 * d, a + 5 * d, a + 6 * d, a + 7 * d}, step = {e, e, e, e, e, e, e, e}, bad = v[0] ^ at;
    for (unsigned i = 1; i < VG_LANES / 8; i++) {
        at += step;
        bad |= v[i] ^ at;
    }
    v4u64 wide = (v4u64)bad;
    *stride = d;
    return (wide[0] | wide[1] | wide[2] | wide[3]) == 0;
}

ALWAYS bool linear32(const uint32_t *r, uint32_t mask, unsigned first, uint32_t *stride) {
    uint32_t d = mask >> first & 2 ? r[first + 1] - r[first] : 0, at = r[first] - first * d, bad = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        bad |= (r[l] ^ at) & (0 - ((mask >> l) & 1));
        at += d;
    }
    *stride = d;
    return bad == 0;
}

// The bounds of a unit-stride run of lanes first..last without holes.
ALWAYS bool no_holes(uint32_t mask, unsigned first) {
    uint32_t run = mask >> first;
    return (run & (run + 1)) == 0;
}

// ---- value rows

ALWAYS uint32_t load_part(const uint8_t *p, unsigned E) { return E == 1 ? *(const u8a *)p : E == 2 ? *(const u16a *)(const void *)p : *(const u32a *)(const void *)p; }
ALWAYS uint64_t load_raw(const uint8_t *p, unsigned E) { return E == 8 ? *(const u64a *)(const void *)p : load_part(p, E); }
ALWAYS void store_raw(uint8_t *p, uint64_t v, unsigned E) {
    if (E == 8)
        *(u64a *)(void *)p = v;
    else if (E == 4)
        *(u32a *)(void *)p = (uint32_t)v;
    else if (E == 2)
        *(u16a *)(void *)p = (uint16_t)v;
    else
        *(u8a *)p = (uint8_t)v;
}

// What a register of the instruction's kind holds after loading raw bytes.
ALWAYS uint64_t extend(uint64_t raw, unsigned E, uint32_t flags) {
    if (E == 8)
        return raw;
    unsigned unused = 64 - 8 * E;
    uint64_t v = flags & A_SIGNED ? (uint64_t)((int64_t)(raw << unused) >> unused) : raw;
    return flags & A_REG64 ? v : flags & A_REG16 ? (v & 0xffff) : (v & 0xffffffffu);
}

ALWAYS void put_lane(vg_warp *w, const vg_inst *in, unsigned e, unsigned lane, uint64_t raw, unsigned E) {
    uint32_t row = value_row(in, e);
    if (E == 8 || (in->aux2 & A_REG64))
        vg_u64(w, row)[lane] = extend(raw, E, in->aux2);
    else
        vg_u32(w, row)[lane] = (uint32_t)extend(raw, E, in->aux2);
}

ALWAYS uint64_t get_lane(vg_warp *w, const vg_inst *in, unsigned e, unsigned lane, unsigned E) {
    uint32_t row = value_row(in, e);
    return E == 8 || (in->aux2 & A_REG64) ? vg_u64(w, row)[lane] : vg_u32(w, row)[lane];
}

// One element for all lanes from values whose lane l is at from + l * step.
ALWAYS void put_row(vg_warp *w, const vg_inst *in, unsigned e, const uint8_t *from, size_t step, uint32_t mask, unsigned E) {
    uint32_t at = value_row(in, e);
    if (E == 8 || (in->aux2 & A_REG64)) {
        uint64_t *row = __builtin_assume_aligned(w->file + at, 64);
        uint32_t flags = in->aux2;
        if (mask == FULL && E == 8)
            for (unsigned l = 0; l < VG_LANES; l++)
                row[l] = load_raw(from + l * step, E);
        else
            for (unsigned l = 0; l < VG_LANES; l++) {
                uint64_t v = extend(load_raw(from + l * step, E), E, flags);
                row[l] = VG_ON(l) ? v : row[l];
            }
        return;
    }
    uint32_t *row = __builtin_assume_aligned(w->file + at, 64);
    if (E == 4) {
        if (mask == FULL)
            for (unsigned l = 0; l < VG_LANES; l++)
                row[l] = load_part(from + l * step, E);
        else
            for (unsigned l = 0; l < VG_LANES; l++) {
                uint32_t v = load_part(from + l * step, E);
                row[l] = VG_ON(l) ? v : row[l];
            }
        return;
    }
    const unsigned shift = in->aux2 & A_SIGNED ? 32 - 8 * E : 0;
    const uint32_t keep = in->aux2 & A_REG16 ? 0xffff : FULL;
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint32_t v = (uint32_t)((int32_t)(load_part(from + l * step, E) << shift) >> shift) & keep;
        row[l] = VG_ON(l) ? v : row[l];
    }
}

ALWAYS void put_uniform(vg_warp *w, const vg_inst *in, const uint8_t *from, uint32_t mask, unsigned E, unsigned V) {
    for (unsigned e = 0; e < V; e++) {
        uint64_t v = extend(load_raw(from + e * E, E), E, in->aux2);
        if (E == 8 || (in->aux2 & A_REG64)) {
            uint64_t *row = __builtin_assume_aligned(w->file + value_row(in, e), 64);
            for (unsigned l = 0; l < VG_LANES; l++)
                row[l] = VG_ON(l) ? v : row[l];
        } else {
            uint32_t *row = __builtin_assume_aligned(w->file + value_row(in, e), 64);
            if (mask == FULL)
                for (unsigned l = 0; l < VG_LANES; l++)
                    row[l] = (uint32_t)v;
            else
                for (unsigned l = 0; l < VG_LANES; l++)
                    row[l] = VG_ON(l) ? (uint32_t)v : row[l];
        }
    }
}

// A unit-stride run of lanes first..last. Lanes outside it may not be read from memory, so a partial run goes through a copy.
ALWAYS void put_run(vg_warp *w, const vg_inst *in, const uint8_t *from, uint32_t mask, unsigned first, size_t bytes, unsigned E, unsigned V) {
    if (mask == FULL) {
        if (V == 1) {
            put_row(w, in, 0, from, E, FULL, E);
            return;
        }
        _Alignas(64) uint8_t copy[VG_LANES * 16];   // rows may alias nothing of host memory, but the compiler cannot know
        memcpy(copy, from, VG_LANES * E * V);
        for (unsigned e = 0; e < V; e++)
            put_row(w, in, e, copy + e * E, E * V, FULL, E);
        return;
    }
    _Alignas(64) uint8_t copy[VG_LANES * 16];
    memcpy(copy + first * E * V, from, bytes);
    for (unsigned e = 0; e < V; e++)
        put_row(w, in, e, copy + e * E, E * V, mask, E);
}

ALWAYS void get_run(vg_warp *w, const vg_inst *in, uint8_t *to, uint32_t mask, unsigned first, unsigned last, unsigned E, unsigned V) {
    bool wide = E == 8 || (in->aux2 & A_REG64);
    if (mask == FULL && V == 1 && !wide) {
        const uint32_t *row = __builtin_assume_aligned(w->file + in->d, 64);
        for (unsigned l = 0; l < VG_LANES; l++)
            store_raw(to + l * E, row[l], E);
        return;
    }
    if (mask == FULL && V == 1) {
        const uint64_t *row = __builtin_assume_aligned(w->file + in->d, 64);
        for (unsigned l = 0; l < VG_LANES; l++)
            store_raw(to + l * E, row[l], E);
        return;
    }
    for (unsigned e = 0; e < V; e++)
        for (unsigned l = first; l <= last; l++)
            store_raw(to + (l - first) * E * V + e * E, get_lane(w, in, e, l, E), E);
}

// `width` (8 or 16) words of one row of a VG_PLANE, side by side or all from one place. As vectors, whose number is all that is left to decide: a loop
// of `width` steps takes longer than what it copies.
ALWAYS void put_words(uint8_t *to, const uint8_t *from, unsigned width, bool apart) {
    v8u32 *row = __builtin_assume_aligned(to, sizeof *row);
    if (apart) {
        memcpy(&row[0], from, sizeof *row);
        if (width > 8)
            memcpy(&row[1], from + sizeof *row, sizeof *row);
        return;
    }
    const uint32_t x = load_part(from, 4);
    row[0] = (v8u32){x, x, x, x, x, x, x, x};
    if (width > 8)
        row[1] = row[0];
}
ALWAYS void get_words(uint8_t *to, const uint8_t *from, unsigned width) {
    memcpy(to, from, sizeof(v8u32));
    if (width > 8)
        memcpy(to + sizeof(v8u32), from + sizeof(v8u32), sizeof(v8u32));
}

// Elements at scattered places: lane l's at from + offset l (offsets of 64 bits or of 32). Usual registers leave nothing to decide per lane.
ALWAYS uint64_t offset_at(const void *off, bool wide, unsigned l) { return wide ? ((const uint64_t *)off)[l] : ((const uint32_t *)off)[l]; }
ALWAYS void put_gathered(vg_warp *w, const vg_inst *in, uintptr_t from, const void *off, bool wide, uint32_t mask, unsigned E, unsigned V) {
    const bool usual = E == 4 && !(in->aux2 & A_REG64);
    for (unsigned e = 0; e < V; e++, from += E) {
        uint32_t *row = __builtin_assume_aligned(w->file + value_row(in, e), 64);
        if (usual && mask == FULL) {
            _Pragma("GCC unroll 8") for (unsigned l = 0; l < VG_LANES; l++)
                row[l] = load_part((const uint8_t *)(from + offset_at(off, wide, l)), E);
        } else if (usual)
            for (uint32_t m = mask; m; m &= m - 1)
                row[__builtin_ctz(m)] = load_part((const uint8_t *)(from + offset_at(off, wide, (unsigned)__builtin_ctz(m))), E);
        else
            for (uint32_t m = mask; m; m &= m - 1)
                put_lane(w, in, e, (unsigned)__builtin_ctz(m), load_raw((const uint8_t *)(from + offset_at(off, wide, (unsigned)__builtin_ctz(m))), E), E);
    }
}
ALWAYS void get_scattered(vg_warp *w, const vg_inst *in, uintptr_t to, const void *off, bool wide, uint32_t mask, unsigned E, unsigned V) {
    const bool usual = E == 4 && !(in->aux2 & A_REG64);
    for (unsigned e = 0; e < V; e++, to += E) {
        const uint32_t *row = __builtin_assume_aligned(w->file + value_row(in, e), 64);
        if (usual)
            for (uint32_t m = mask; m; m &= m - 1)
                *(u32a *)(void *)(to + offset_at(off, wide, (unsigned)__builtin_ctz(m))) = row[__builtin_ctz(m)];
        else
            for (uint32_t m = mask; m; m &= m - 1)
                store_raw((uint8_t *)(to + offset_at(off, wide, (unsigned)__builtin_ctz(m))), get_lane(w, in, e, (unsigned)__builtin_ctz(m), E), E);
    }
}

// ---- the lane-by-lane path

// Bounds of the active addresses, whether all are multiples of W, whether one lies in a window.
typedef struct extent { uint64_t lo, hi; bool aligned, windows; } extent;
ALWAYS extent extent_of(const uint64_t addr[VG_LANES], uint32_t mask, unsigned W) {
    uint64_t lo = ~0ull, hi = 0, low_bits = 0;
    bool windows = false;
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint64_t on = 0 - (uint64_t)((mask >> l) & 1);
        uint64_t at = addr[l];
        lo = (at | ~on) < lo ? (at | ~on) : lo;
        hi = (at & on) > hi ? (at & on) : hi;
        low_bits |= at & on;
        windows |= on && vg_in_windows(at);
    }
    return (extent){lo, hi, (low_bits & (W - 1)) == 0, windows};
}

ALWAYS void load_slow(vg_warp *w, const vg_inst *in, const uint64_t addr[VG_LANES], uint32_t mask, vg_where where, unsigned E, unsigned V) {
    static const uint8_t zeros[32];
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = vg_lane_access(w, in, lane, where, addr[lane], E * V, 'l');
        for (unsigned e = 0; e < V; e++)
            put_lane(w, in, e, lane, load_raw((p ? p : zeros) + e * E, E), E);
    }
}

ALWAYS void store_slow(vg_warp *w, const vg_inst *in, const uint64_t addr[VG_LANES], uint32_t mask, vg_where where, unsigned E, unsigned V) {
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = vg_lane_access(w, in, lane, where, addr[lane], E * V, 's');
        for (unsigned e = 0; p && e < V; e++)
            store_raw(p + e * E, get_lane(w, in, e, lane, E), E);
    }
}

static inline uint32_t constant_row(vg_binder *b, int64_t value, ptx_type type) {
    ptx_operand o = {.kind = PTX_O_INT, .i = value};
    return vg_bind_row(b, &o, type);
}
#endif
