// address_row: rows of addresses looked at as a whole, for the families that reach memory. What is here is inlined into each family's handlers, once per
// instruction set: writing the values of a linear row (linear.h), and the extent of a row, which its tag keeps.
#ifndef HONE_VGPU_ADDRESS_ROW_H
#define HONE_VGPU_ADDRESS_ROW_H
#include "vgpu/linear.h"

#define ALWAYS static inline __attribute__((always_inline))
#define NEVER static __attribute__((noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
typedef uint32_t __attribute__((may_alias)) u32a;
typedef uint64_t v4u64 __attribute__((vector_size(32), may_alias));
typedef int64_t v4s64 __attribute__((vector_size(32), may_alias));
typedef uint32_t v8u32 __attribute__((vector_size(32), may_alias));

// vg_linear_spill with the instruction set's own vectors.
ALWAYS void spill_row(uint8_t *file, uint32_t row, bool wide) {
    vg_tag *t = vg_tag_at(file, row);
    if (!(t->flags & VG_STALE))
        return;
    if (!(t->flags & VG_LINEAR)) {
        vg_linear_spill(file, row, wide);
        return;
    }
    t->flags &= ~(uint32_t)VG_STALE;
    if (wide) {
        const uint64_t a = t->base, d = t->stride;
        v4u64 *to = __builtin_assume_aligned(file + row, 64), at = {a, a + d, a + 2 * d, a + 3 * d};
        for (unsigned i = 0; i < VG_LANES / 4; i++, at += 4 * d)
            to[i] = at;
    } else {
        const uint32_t a = (uint32_t)t->base, d = (uint32_t)t->stride;
        v8u32 *to = __builtin_assume_aligned(file + row, 64), at = {a, a + d, a + 2 * d, a + 3 * d, a + 4 * d, a + 5 * d, a + 6 * d, a + 7 * d};
        for (unsigned i = 0; i < VG_LANES / 8; i++, at += 8 * d)
            to[i] = at;
    }
}

// The least and the greatest of 32 signed numbers, and all of them or-ed.
ALWAYS void bounds_of(const void *row, uint64_t *least, uint64_t *greatest, uint64_t *all_bits) {
    const v4s64 *v = __builtin_assume_aligned(row, 64);
    v4s64 low = v[0], high = v[0], bits = v[0];
    for (unsigned i = 1; i < VG_LANES / 4; i++) {
        const v4s64 less = v[i] < low, more = v[i] > high;
        low = (v[i] & less) | (low & ~less);
        high = (v[i] & more) | (high & ~more);
        bits |= v[i];
    }
    int64_t lo = low[0], hi = high[0];
    for (unsigned i = 1; i < 4; i++) {
        lo = low[i] < lo ? low[i] : lo;
        hi = high[i] > hi ? high[i] : hi;
    }
    *least = (uint64_t)lo;
    *greatest = (uint64_t)hi;
    *all_bits = (uint64_t)(bits[0] | bits[1] | bits[2] | bits[3]);
}

// The extent of a 64-bit row of addresses, kept in its tag until the row is written: an address is often used more than once. All 32 lanes count,
// whoever is active; who finds it too wide looks at the active ones.
ALWAYS const vg_tag *row_extent(vg_warp *w, uint32_t row) {
    vg_tag *t = vg_tag_of(w, row);
    if (LIKELY(t->flags & VG_EXTENT))
        return t;
    spill_row(w->file, row, true);
    bounds_of(w->file + row, &t->low, &t->high, &t->bits);
    t->flags |= VG_EXTENT;
    return t;
}

// Do all 32 addresses of the row, + add, lie aligned within [0, room) for accesses of W bytes?
ALWAYS bool extent_fits(const vg_tag *t, uint64_t add, uint64_t room, unsigned W, int64_t imm) {
    const uint64_t at = t->low + add, span = t->high - t->low;   // high >= low as signed numbers: the difference does not wrap below 2^63
    return at < room && span <= room && W <= room - at && span <= room - at - W && !((t->bits | (uint64_t)imm) & (W - 1)) && span >> 62 == 0;
}
#endif
