// Loads and stores of every space, address conversion. The fast paths decide the speed of the virtual GPU: the 32 addresses are tested for
// one linear pattern; uniform and unit-stride accesses then need one allocation lookup, one bounds test and one word-wise test of the
// initialisation bits for the whole warp. Other patterns that stay in one allocation are copied lane by lane behind one lookup; everything else,
// and everything that is wrong, goes through access.c.
#include "vgpu/access.h"
#include "vgpu/op.h"

bool VG_NAME(vg_bind_mem)(vg_binder *b, const ptx_inst *in, vg_inst *out);

#define ALWAYS static inline __attribute__((always_inline))
#define NEVER static __attribute__((noinline))
#define FULL 0xffffffffu
typedef uint8_t __attribute__((may_alias)) u8a;
typedef uint16_t __attribute__((may_alias)) u16a;
typedef uint32_t __attribute__((may_alias)) u32a;
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
ALWAYS char load_kind(const vg_inst *in) { return in->aux2 & A_NC ? 'n' : 'l'; }

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
typedef uint64_t v4u64 __attribute__((vector_size(32), may_alias));
typedef uint32_t v8u32 __attribute__((vector_size(32), may_alias));

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

// ---- global (and generic, and const)

ALWAYS vg_alloc *alloc_of(const vg_warp *w, uint64_t first, size_t bytes) {
    vg_alloc *a = vg_page_alloc(w->block->launch->ctx->memory, first);
    if (!a || first < a->base || first - a->base > a->bytes || bytes > a->bytes - (first - a->base))
        return NULL;
    return a;
}

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

// Counts generic accesses lane group by lane group: the windows are counted by their own spaces.
static void count_split(vg_warp *w, const vg_inst *in, const uint64_t addr[VG_LANES], uint32_t mask, unsigned bytes, char kind) {
    uint32_t shared = 0, local = 0, global = 0, offset[VG_LANES];
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        vg_where where = vg_where_of(addr[lane]);
        offset[lane] = (uint32_t)(addr[lane] & (VG_WINDOW_BYTES - 1));
        *(where == VG_IN_SHARED ? &shared : where == VG_IN_LOCAL ? &local : &global) |= 1u << lane;
    }
    if (shared)
        vg_count_shared(w->count, in->index, offset, bytes, shared, kind);
    if (local)
        vg_count_local(w->count, in->index, bytes, local, kind);
    if (global)
        vg_count_global(w->count, in->index, addr, bytes, global, kind);
}

ALWAYS void gather_global(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + (uint64_t)in->imm;
    extent x = extent_of(addr, mask, E * V);
    if (x.windows && (in->aux2 & A_GENERIC)) {
        if (w->count)
            count_split(w, in, addr, mask, E * V, load_kind(in));
        load_slow(w, in, addr, mask, VG_IN_GENERIC, E, V);
        return;
    }
    if (w->count && !(in->aux2 & A_CONST))
        vg_count_global(w->count, in->index, addr, E * V, mask, load_kind(in));
    const vg_alloc *a = x.aligned ? alloc_of(w, x.lo, x.hi - x.lo + E * V) : NULL;
    if (!a) {
        load_slow(w, in, addr, mask, VG_IN_GLOBAL, E, V);
        return;
    }
    if (vg_checks(w) && !vg_tolerant(w) && !vg_alloc_written(a, x.lo - a->base, x.hi - x.lo + E * V))
        vg_report_uninitialized(w, in, addr, mask, VG_IN_GLOBAL, E * V);
    const uint8_t *host = a->host - a->base;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = host + addr[lane];
        for (unsigned e = 0; e < V; e++)
            put_lane(w, in, e, lane, load_raw(p + e * E, E), E);
    }
}

ALWAYS void scatter_global(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + (uint64_t)in->imm;
    extent x = extent_of(addr, mask, E * V);
    if (x.windows && (in->aux2 & A_GENERIC)) {
        if (w->count)
            count_split(w, in, addr, mask, E * V, 's');
        store_slow(w, in, addr, mask, VG_IN_GENERIC, E, V);
        return;
    }
    if (w->count)
        vg_count_global(w->count, in->index, addr, E * V, mask, 's');
    vg_alloc *a = x.aligned ? alloc_of(w, x.lo, x.hi - x.lo + E * V) : NULL;
    if (!a || a->read_only) {
        store_slow(w, in, addr, mask, VG_IN_GLOBAL, E, V);
        return;
    }
    uint8_t *host = a->host - a->base;
    bool mark = !atomic_load_explicit(&a->initialized, memory_order_relaxed);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = host + addr[lane];
        for (unsigned e = 0; e < V; e++)
            store_raw(p + e * E, get_lane(w, in, e, lane, E), E);
        if (mark)
            vg_bits_set(a->init.bits, addr[lane] - a->base, E * V);
    }
}

// The fast paths; false: the caller takes the lane-by-lane path. mask is a constant FULL in the hot copies.
ALWAYS bool load_linear(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    const unsigned W = E * V;
    const unsigned first = mask == FULL ? 0 : (unsigned)__builtin_ctz(mask), last = mask == FULL ? 31 : 31 - (unsigned)__builtin_clz(mask);
    uint64_t stride;
    if (!(mask == FULL ? linear64_full(r, &stride) : linear64(r, mask, first, &stride)) || (stride != 0 && stride != W))
        return false;
    uint64_t address = r[first] + (uint64_t)in->imm;
    size_t bytes = stride ? (size_t)(last - first + 1) * W : W;
    const vg_alloc *a = alloc_of(w, address, bytes);
    if (!a || (address & (W - 1)))
        return false;
    uint32_t flags = w->block->launch->flags;
    if ((flags & (HONE_VGPU_CHECK | HONE_VGPU_SAMPLE)) == HONE_VGPU_CHECK && !vg_alloc_written(a, address - a->base, bytes))
        return false;
    if (w->count && !(in->aux2 & A_CONST))
        vg_count_global_range(w->count, in->index, address, (unsigned)bytes, (unsigned)__builtin_popcount(mask), W, load_kind(in));
    const uint8_t *from = a->host + (address - a->base);
    if (stride)
        put_run(w, in, from, mask, first, bytes, E, V);
    else
        put_uniform(w, in, from, mask, E, V);
    return true;
}

ALWAYS bool store_linear(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    const unsigned W = E * V;
    const unsigned first = mask == FULL ? 0 : (unsigned)__builtin_ctz(mask), last = mask == FULL ? 31 : 31 - (unsigned)__builtin_clz(mask);
    uint64_t stride;
    if (!(mask == FULL ? linear64_full(r, &stride) : linear64(r, mask, first, &stride)) || stride != W || !no_holes(mask, first))
        return false;
    uint64_t address = r[first] + (uint64_t)in->imm;
    size_t bytes = (size_t)(last - first + 1) * W;
    vg_alloc *a = alloc_of(w, address, bytes);
    if (!a || (address & (W - 1)) || a->read_only)
        return false;
    if (w->count)
        vg_count_global_range(w->count, in->index, address, (unsigned)bytes, last - first + 1, W, 's');
    get_run(w, in, a->host + (address - a->base), mask, first, last, E, V);
    vg_alloc_mark(a, address - a->base, bytes);
    return true;
}

// ---- shared

ALWAYS void gather_shared(vg_warp *w, const vg_inst *in, uint32_t mask, const uint32_t off[VG_LANES], unsigned E, unsigned V) {
    const unsigned W = E * V;
    const vg_block *b = w->block;
    uint32_t hi = 0, low_bits = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint32_t at = VG_ON(l) ? off[l] : 0;
        hi = at > hi ? at : hi;
        low_bits |= at;
    }
    bool bad = (low_bits & (W - 1)) || hi > b->shared_bytes || W > b->shared_bytes - hi;
    const uint64_t *bits = b->shared_shadow ? b->shared_shadow->bits : NULL;
    for (uint32_t m = mask; bits && m && !bad; m &= m - 1)
        bad = ~bits[off[__builtin_ctz(m)] / 64] >> off[__builtin_ctz(m)] % 64 & ((1ull << W) - 1);   // aligned: never crosses a word
    if (bad) {
        uint64_t addr[VG_LANES];
        for (unsigned l = 0; l < VG_LANES; l++)
            addr[l] = off[l];
        load_slow(w, in, addr, mask, VG_IN_SHARED, E, V);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = b->shared + off[lane];
        for (unsigned e = 0; e < V; e++)
            put_lane(w, in, e, lane, load_raw(p + e * E, E), E);
    }
}

ALWAYS void load_shared(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const unsigned W = E * V;
    const vg_block *b = w->block;
    _Alignas(32) uint32_t tmp[VG_LANES], off[VG_LANES];
    const uint32_t *r = narrow_row(w, in, tmp);
    const unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
    uint32_t stride;
    bool linear = (mask == FULL ? linear32_full(r, &stride) : linear32(r, mask, first, &stride)) && (stride == 0 || stride == W);
    if (w->count || !linear)
        for (unsigned l = 0; l < VG_LANES; l++)
            off[l] = r[l] + (uint32_t)in->imm;
    if (w->count)
        vg_count_shared(w->count, in->index, off, W, mask, 'l');
    if (linear) {
        uint32_t at = r[first] + (uint32_t)in->imm;
        size_t bytes = stride ? (size_t)(last - first + 1) * W : W;
        bool good = !(at & (W - 1)) && at <= b->shared_bytes && bytes <= b->shared_bytes - at;
        if (good && (!b->shared_shadow || vg_bits_all(b->shared_shadow->bits, at, bytes))) {
            if (stride)
                put_run(w, in, b->shared + at, mask, first, bytes, E, V);
            else
                put_uniform(w, in, b->shared + at, mask, E, V);
            return;
        }
        for (unsigned l = 0; l < VG_LANES; l++)
            off[l] = r[l] + (uint32_t)in->imm;
    }
    gather_shared(w, in, mask, off, E, V);
}

ALWAYS void store_shared(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const unsigned W = E * V;
    const vg_block *b = w->block;
    _Alignas(32) uint32_t tmp[VG_LANES], off[VG_LANES];
    const uint32_t *r = narrow_row(w, in, tmp);
    const unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
    uint32_t stride, hi = 0, low_bits = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        uint32_t at = r[l] + (uint32_t)in->imm;
        off[l] = at;
        at = VG_ON(l) ? at : 0;
        hi = at > hi ? at : hi;
        low_bits |= at;
    }
    if (w->count)
        vg_count_shared(w->count, in->index, off, W, mask, 's');
    if ((low_bits & (W - 1)) || hi > b->shared_bytes || W > b->shared_bytes - hi) {
        uint64_t addr[VG_LANES];
        for (unsigned l = 0; l < VG_LANES; l++)
            addr[l] = off[l];
        store_slow(w, in, addr, mask, VG_IN_SHARED, E, V);
        return;
    }
    uint64_t *bits = b->shared_shadow ? b->shared_shadow->bits : NULL;
    if ((mask == FULL ? linear32_full(r, &stride) : linear32(r, mask, first, &stride)) && stride == W && no_holes(mask, first)) {
        get_run(w, in, b->shared + off[first], mask, first, last, E, V);
        if (bits)
            vg_bits_set(bits, off[first], (size_t)(last - first + 1) * W);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = b->shared + off[lane];
        for (unsigned e = 0; e < V; e++)
            store_raw(p + e * E, get_lane(w, in, e, lane, E), E);
        if (bits)
            bits[off[lane] / 64] |= ((1ull << W) - 1) << (off[lane] % 64);   // aligned: never crosses a word
    }
}

// ---- local: every lane has its own memory

ALWAYS bool local_offsets(vg_warp *w, const vg_inst *in, uint32_t mask, uint64_t addr[VG_LANES], unsigned W) {
    _Alignas(32) uint64_t tmp[VG_LANES];
    const uint64_t *r = wide_row(w, in, tmp);
    uint64_t add = (uint64_t)in->imm + (in->aux2 & A_FRAME ? w->local_frame : 0);
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + add;
    extent x = extent_of(addr, mask, W);
    return x.aligned && x.hi <= w->local_stride && W <= w->local_stride - x.hi;
}

ALWAYS void load_local(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    bool good = local_offsets(w, in, mask, addr, E * V);
    if (w->count)
        vg_count_local(w->count, in->index, E * V, mask, 'l');
    if (!good) {
        load_slow(w, in, addr, mask, VG_IN_LOCAL, E, V);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = w->local + lane * w->local_stride + addr[lane];
        for (unsigned e = 0; e < V; e++)
            put_lane(w, in, e, lane, load_raw(p + e * E, E), E);
    }
}

ALWAYS void store_local(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    bool good = local_offsets(w, in, mask, addr, E * V);
    if (w->count)
        vg_count_local(w->count, in->index, E * V, mask, 's');
    if (!good) {
        store_slow(w, in, addr, mask, VG_IN_LOCAL, E, V);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = w->local + lane * w->local_stride + addr[lane];
        for (unsigned e = 0; e < V; e++)
            store_raw(p + e * E, get_lane(w, in, e, lane, E), E);
    }
}

// ---- parameters

// Of the kernel, at a constant offset.
ALWAYS void load_param(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_launch *l = w->block->launch;
    if ((uint64_t)in->imm + E * V <= l->param_bytes) {
        put_uniform(w, in, l->params + in->imm, mask, E, V);
        return;
    }
    uint64_t addr[VG_LANES];
    for (unsigned i = 0; i < VG_LANES; i++)
        addr[i] = (uint64_t)in->imm;
    load_slow(w, in, addr, mask, VG_IN_PARAM, E, V);
}

// Of the kernel, through a register.
ALWAYS void load_param_at(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    _Alignas(32) uint64_t tmp[VG_LANES], addr[VG_LANES];
    const uint64_t *r = wide_row(w, in, tmp);
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = (r[l] + (uint64_t)in->imm) & (VG_WINDOW_BYTES - 1);
    load_slow(w, in, addr, mask, VG_IN_PARAM, E, V);
}

// Of calls: rows of the frame's parameter area. Byte k of lane l is at k / 4 * 128 + 4 * l + k % 4, so an element of up to 4 bytes lies in one
// row and one of 8 bytes in two.
ALWAYS void load_frame(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const uint8_t *area = w->file + w->code->param_row;
    for (unsigned e = 0; e < V; e++) {
        size_t k = (size_t)in->imm + e * E;
        const uint8_t *row = area + k / 4 * 128 + k % 4;
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            uint64_t raw = load_part(row + 4 * lane, E == 8 ? 4 : E);
            if (E == 8)
                raw |= (uint64_t)load_part(row + 128 + 4 * lane, 4) << 32;
            put_lane(w, in, e, lane, raw, E);
        }
    }
}

ALWAYS void store_frame(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint8_t *area = w->file + w->code->param_row;
    for (unsigned e = 0; e < V; e++) {
        size_t k = (size_t)in->imm + e * E;
        uint8_t *row = area + k / 4 * 128 + k % 4;
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            uint64_t v = get_lane(w, in, e, lane, E);
            store_raw(row + 4 * lane, v, E == 8 ? 4 : E);
            if (E == 8)
                store_raw(row + 128 + 4 * lane, v >> 32, 4);
        }
    }
}

// ---- the handlers: one per space, element size and vector length

// `full` handlers try the whole-warp fast path with nothing else in their frame; the rest is in the functions that they end in.
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define WHOLE_ROW(mask) ((mask) == FULL && in->aux2 & A_WIDE)
#define SPIN() do { if (UNLIKELY(in->aux2 & A_SPIN)) w->spins++; } while (0)
#define ACCESS(E, V)                                                                                                      \
    NEVER void ld_any_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) {                                           \
        _Alignas(32) uint64_t tmp[VG_LANES];                                                                                           \
        const uint64_t *r = wide_row(w, in, tmp);                                                                         \
        if (!load_linear(w, in, mask, r, E, V))                                                                           \
            gather_global(w, in, mask, r, E, V);                                                                          \
    }                                                                                                                     \
    NEVER void st_any_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) {                                           \
        _Alignas(32) uint64_t tmp[VG_LANES];                                                                                           \
        const uint64_t *r = wide_row(w, in, tmp);                                                                         \
        if (!store_linear(w, in, mask, r, E, V))                                                                          \
            scatter_global(w, in, mask, r, E, V);                                                                         \
    }                                                                                                                     \
    VG_HANDLER(ld_global_##E##_##V) {                                                                                     \
        const uint64_t *r = __builtin_assume_aligned(w->file + in->a, 64);                                                \
        SPIN();                                                                                                           \
        if (!WHOLE_ROW(mask) || !load_linear(w, in, FULL, r, E, V))                                                       \
            ld_any_##E##_##V(w, in, mask);                                                                                \
    }                                                                                                                     \
    VG_HANDLER(st_global_##E##_##V) {                                                                                     \
        const uint64_t *r = __builtin_assume_aligned(w->file + in->a, 64);                                                \
        if (!WHOLE_ROW(mask) || !store_linear(w, in, FULL, r, E, V))                                                      \
            st_any_##E##_##V(w, in, mask);                                                                                \
    }                                                                                                                     \
    VG_HANDLER(ld_shared_##E##_##V) { SPIN(); load_shared(w, in, mask, E, V); }                                           \
    VG_HANDLER(st_shared_##E##_##V) { store_shared(w, in, mask, E, V); }                                                  \
    VG_HANDLER(ld_local_##E##_##V) { load_local(w, in, mask, E, V); }                                                     \
    VG_HANDLER(st_local_##E##_##V) { store_local(w, in, mask, E, V); }                                                    \
    VG_HANDLER(ld_param_##E##_##V) { load_param(w, in, mask, E, V); }                                                     \
    VG_HANDLER(ld_param_at_##E##_##V) { load_param_at(w, in, mask, E, V); }                                               \
    VG_HANDLER(ld_frame_##E##_##V) { load_frame(w, in, mask, E, V); }                                                     \
    VG_HANDLER(st_frame_##E##_##V) { store_frame(w, in, mask, E, V); }

ACCESS(1, 1) ACCESS(1, 2) ACCESS(1, 4)
ACCESS(2, 1) ACCESS(2, 2) ACCESS(2, 4)
ACCESS(4, 1) ACCESS(4, 2) ACCESS(4, 4)
ACCESS(8, 1) ACCESS(8, 2)

enum { T_GLOBAL, T_SHARED, T_LOCAL, T_PARAM, T_PARAM_AT, T_FRAME, T_COUNT };
typedef struct form { uint8_t E, V; vg_handler ld[T_COUNT], st[T_COUNT]; } form;
#define FORM(E, V) { E, V,                                                                                                \
    { ld_global_##E##_##V, ld_shared_##E##_##V, ld_local_##E##_##V, ld_param_##E##_##V, ld_param_at_##E##_##V, ld_frame_##E##_##V }, \
    { st_global_##E##_##V, st_shared_##E##_##V, st_local_##E##_##V, NULL, NULL, st_frame_##E##_##V } }
static const form forms[] = {FORM(1, 1), FORM(1, 2), FORM(1, 4), FORM(2, 1), FORM(2, 2), FORM(2, 4),
                             FORM(4, 1), FORM(4, 2), FORM(4, 4), FORM(8, 1), FORM(8, 2)};

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

VG_HANDLER(cp_async) {
    const uint64_t *to = (const uint64_t *)(const void *)(w->file + in->a), *from = (const uint64_t *)(const void *)(w->file + in->b);
    const uint32_t *size = in->c == VG_NO_ROW ? NULL : vg_u32(w, in->c);
    const unsigned bytes = in->aux;
    uint64_t source[VG_LANES];
    uint32_t offset[VG_LANES] = {0}, reading = 0;
    bool narrow = !(in->aux2 & A_WIDE);
    const uint32_t *to32 = vg_u32(w, in->a);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        source[lane] = from[lane] + (uint64_t)(in->imm >> 32);
        offset[lane] = (narrow ? to32[lane] : (uint32_t)to[lane]) + (uint32_t)in->imm;
        unsigned n = size ? (size[lane] < bytes ? size[lane] : bytes) : bytes;
        uint8_t *d = vg_lane_access(w, in, lane, VG_IN_SHARED, offset[lane], bytes, 's');
        const uint8_t *s = n ? vg_lane_access(w, in, lane, VG_IN_GLOBAL, source[lane], n == bytes ? bytes : 1, 'l') : NULL;
        if (s && n < bytes)
            s = vg_lane_bytes(w, in, lane, VG_IN_GLOBAL, source[lane], n, 'l');
        reading |= (uint32_t)(n != 0) << lane;
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

VG_HANDLER(discard_global) {   // the bytes become undefined; we keep them and forget that they were written
    const uint64_t *at = (const uint64_t *)(const void *)(w->file + in->a);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t address = at[lane] + (uint64_t)in->imm;
        if (vg_lane_access(w, in, lane, VG_IN_GENERIC, address, 128, 's') && !vg_in_windows(address)) {
            vg_alloc *a = vg_memory_find(w->block->launch->ctx->memory, address, 128);
            vg_init_forget(a, address - a->base, 128);
        }
    }
}

// ---- binding

static bool bind_rows(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o, unsigned V, unsigned E, ptx_type type) {
    uint32_t *const at[4] = {&out->d, &out->b, &out->c, &out->aux};
    if ((o->kind == PTX_O_VEC ? o->n_elems : 1u) != V)
        return vg_unsupported(b, in, "vector length and operand list differ");
    ptx_type widest = PTX_NOTYPE;
    for (unsigned e = 0; e < V; e++) {
        const ptx_operand *x = o->kind == PTX_O_VEC ? &o->elems[e] : o;
        if (x->kind == PTX_O_SINK) {
            *at[e] = vg_bind_scratch(b, 2);
            continue;
        }
        *at[e] = vg_bind_row(b, x, type);
        if (x->kind == PTX_O_REG)
            widest = vg_bind_reg_type(b, x);
    }
    unsigned bytes = widest == PTX_NOTYPE ? E : ptx_type_bytes(widest);
    if (E < 8 && bytes == 8)
        out->aux2 |= A_REG64;
    if (bytes <= 2)
        out->aux2 |= A_REG16;
    return bytes <= 8 || vg_unsupported(b, in, "128-bit registers");
}

static uint32_t constant_row(vg_binder *b, int64_t value, ptx_type type) {
    ptx_operand o = {.kind = PTX_O_INT, .i = value};
    return vg_bind_row(b, &o, type);
}

// Address row, constant part and which table of handlers. in->space is what the instruction says, the symbol's space what its base says.
static bool bind_address(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o, int *table) {
    uint32_t row;
    bool wide = true, frame = false;
    int64_t offset;
    ptx_space symbol_space;
    if (!vg_bind_addr(b, in, o, &row, &wide, &offset, &symbol_space, &frame))
        return false;
    ptx_space space = in->space == PTX_GENERIC && symbol_space != PTX_GENERIC ? symbol_space : (ptx_space)in->space;
    switch (space) {
    case PTX_SHARED: case PTX_SHARED_CLUSTER: *table = T_SHARED; break;
    case PTX_LOCAL: *table = T_LOCAL; out->aux2 |= symbol_space == PTX_LOCAL ? A_FRAME : 0; break;
    case PTX_PARAM: *table = frame ? T_FRAME : row == VG_NO_ROW ? T_PARAM : T_PARAM_AT; break;
    case PTX_GENERIC: *table = T_GLOBAL; out->aux2 |= A_GENERIC; break;
    case PTX_CONST: *table = T_GLOBAL; out->aux2 |= A_CONST; break;
    default: *table = T_GLOBAL; break;
    }
    if (*table == T_FRAME && row != VG_NO_ROW)
        return vg_unsupported(b, in, "call parameter addressed through a register");
    out->imm = offset;
    if (row == VG_NO_ROW && *table != T_FRAME && *table != T_PARAM) {
        row = constant_row(b, 0, PTX_U64);
        wide = true;
    }
    out->a = row == VG_NO_ROW ? 0 : row;
    if (wide)
        out->aux2 |= A_WIDE;
    return true;
}

static bool is_signed(ptx_type t) { return t == PTX_S8 || t == PTX_S16 || t == PTX_S32 || t == PTX_S64; }

static bool bind_access(vg_binder *b, const ptx_inst *in, vg_inst *out, bool load) {
    ptx_type type = (ptx_type)in->type[0];
    unsigned E = ptx_type_bytes(type), V = in->vec ? in->vec : 1;
    int table = T_GLOBAL;
    out->aux2 = 0;
    if (load && is_signed(type))
        out->aux2 |= A_SIGNED;
    if (in->mods & PTX_M_NC)
        out->aux2 |= A_NC;
    if (in->sem == PTX_VOLATILE || in->sem == PTX_RELAXED || in->sem == PTX_ACQUIRE)
        out->aux2 |= A_SPIN;
    if (!bind_rows(b, in, out, &in->operand[load ? 0 : 1], V, E, type) || !bind_address(b, in, out, &in->operand[load ? 1 : 0], &table))
        return false;
    for (size_t i = 0; i < HONE_COUNT(forms); i++) {
        if (forms[i].E != E || forms[i].V != V)
            continue;
        vg_handler h = load ? forms[i].ld[table] : forms[i].st[table];
        if (!h)
            return vg_unsupported(b, in, "store to the kernel's parameters");
        out->full = out->masked = h;
        return true;
    }
    return vg_unsupported(b, in, "accesses of more than 16 bytes");
}

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
    if (in->sub == PTX_CP_COMMIT_GROUP || in->sub == PTX_CP_WAIT_GROUP || in->sub == PTX_CP_WAIT_ALL)
        return true;   // copies are complete when issued
    if (in->sub == PTX_CP_MBARRIER_ARRIVE)
        return vg_bind_mbarrier(b, in, out);
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
    if (sized && in->operand[3].kind == PTX_O_REG && vg_bind_reg_type(b, &in->operand[3]) == PTX_PRED)
        return vg_unsupported(b, in, "ignore-src predicate of cp.async");
    out->c = sized ? vg_bind_row(b, &in->operand[3], PTX_U32) : VG_NO_ROW;
    out->imm = (int64_t)((uint64_t)from_offset << 32 | (uint32_t)to_offset);
    out->aux = (uint32_t)bytes;
    out->aux2 = to_wide ? A_WIDE : 0;
    out->full = out->masked = cp_async;
    return true;
}

static bool bind_discard(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    int table;
    if (!bind_address(b, in, out, &in->operand[0], &table))
        return false;
    if (table != T_GLOBAL || !(out->aux2 & A_WIDE))
        return vg_unsupported(b, in, "state space");
    out->full = out->masked = discard_global;
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

bool VG_NAME(vg_bind_mem)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->aux2 = 0;
    switch (in->op) {
    case PTX_OP_LD: case PTX_OP_LDU: return bind_access(b, in, out, true);
    case PTX_OP_ST: return bind_access(b, in, out, false);
    case PTX_OP_CVTA: return bind_cvta(b, in, out);
    case PTX_OP_ISSPACEP: return bind_isspacep(b, in, out);
    case PTX_OP_CP: return bind_cp(b, in, out);
    case PTX_OP_CREATEPOLICY: return bind_policy(b, in, out);
    case PTX_OP_DISCARD: return bind_discard(b, in, out);
    case PTX_OP_PREFETCH: case PTX_OP_PREFETCHU: case PTX_OP_APPLYPRIORITY:
        out->full = out->masked = no_effect;
        return true;
    default: return vg_unsupported(b, in, "memory instruction");
    }
}
