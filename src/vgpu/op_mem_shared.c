// Loads and stores of shared memory. Fast paths as for global memory, with the block's own array instead of an allocation: they may touch
// block->shared_open bytes, which is everything, or nothing when each access is watched for races; access.c does the rest.
#include "vgpu/mem_row.h"
#include "vgpu/race.h"

// Watched for races: a warp whose lanes are all within the block's memory and aligned is looked at as a whole, and then moved as one.
NEVER bool watched_row(vg_warp *w, const vg_inst *in, const uint32_t off[VG_LANES], uint32_t mask, unsigned W, char kind) {
    const vg_block *b = w->block;
    uint32_t hi = 0, low_bits = 0;
    if (!b->race || b->shared_open)
        return false;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t at = off[l] & (0 - (mask >> l & 1));
        hi = at > hi ? at : hi;
        low_bits |= at;
    }
    if ((low_bits & (W - 1)) || hi > b->shared_bytes || W > b->shared_bytes - hi)
        return false;
    uint64_t *bits = b->shared_shadow ? b->shared_shadow->bits : NULL, missing = 0;
    for (uint32_t m = bits && kind == 'l' ? mask : 0; m; m &= m - 1)
        missing |= ~bits[off[__builtin_ctz(m)] / 64] >> off[__builtin_ctz(m)] % 64 & ((1ull << W) - 1);   // aligned: never crosses a word
    if (missing || !vg_race_shared_row(w, in, off, mask, W, kind))
        return false;
    for (uint32_t m = bits && kind == 's' ? mask : 0; m; m &= m - 1)
        bits[off[__builtin_ctz(m)] / 64] |= ((1ull << W) - 1) << off[__builtin_ctz(m)] % 64;
    return true;
}

ALWAYS void gather_shared(vg_warp *w, const vg_inst *in, uint32_t mask, const uint32_t off[VG_LANES], unsigned E, unsigned V) {
    const unsigned W = E * V;
    const vg_block *b = w->block;
    uint32_t lo = FULL, hi = 0, low_bits = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t on = 0 - (mask >> l & 1), at = off[l] & on, from = off[l] | ~on;   // without branches: this loop is vectorised
        hi = at > hi ? at : hi;
        lo = from < lo ? from : lo;
        low_bits |= at;
    }
    bool bad = (low_bits & (W - 1)) || hi > b->shared_open || W > b->shared_open - hi;
    const uint64_t *bits = b->shared_shadow ? b->shared_shadow->bits : NULL;
    for (uint32_t m = bits && !bad && !vg_bits_all_near(bits, lo, hi + W) ? mask : 0; m && !bad; m &= m - 1)
        bad = ~bits[off[__builtin_ctz(m)] / 64] >> off[__builtin_ctz(m)] % 64 & ((1ull << W) - 1);   // aligned: never crosses a word
    if (bad && watched_row(w, in, off, mask, W, 'l'))
        bad = false;
    if (bad) {
        uint64_t addr[VG_LANES];
        for (unsigned l = 0; l < VG_LANES; l++)
            addr[l] = off[l];
        load_slow(w, in, addr, mask, VG_IN_SHARED, E, V);
        return;
    }
    put_gathered(w, in, (uintptr_t)b->shared, off, false, mask, E, V);
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
        bool good = !(at & (W - 1)) && at <= b->shared_open && bytes <= b->shared_open - at;
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
    uint32_t stride, lo = FULL, hi = 0, low_bits = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        off[l] = r[l] + (uint32_t)in->imm;
        const uint32_t on = 0 - (mask >> l & 1), at = off[l] & on, from = off[l] | ~on;
        hi = at > hi ? at : hi;
        lo = from < lo ? from : lo;
        low_bits |= at;
    }
    if (w->count)
        vg_count_shared(w->count, in->index, off, W, mask, 's');
    if (b->race && watched_row(w, in, off, mask, W, 's')) {
        get_scattered(w, in, (uintptr_t)b->shared, off, false, mask, E, V);
        return;
    }
    if ((low_bits & (W - 1)) || hi > b->shared_open || W > b->shared_open - hi) {
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
    get_scattered(w, in, (uintptr_t)b->shared, off, false, mask, E, V);
    for (uint32_t m = bits && !vg_bits_all_near(bits, lo, hi + W) ? mask : 0; m; m &= m - 1)
        bits[off[__builtin_ctz(m)] / 64] |= ((1ull << W) - 1) << (off[__builtin_ctz(m)] % 64);   // aligned: never crosses a word
}

// Addresses in a tagged row: uniform and unit-stride accesses of whole warps need no look at 32 offsets. false: the caller takes the way above.
ALWAYS bool tagged_range(const vg_warp *w, const vg_inst *in, unsigned W, uint32_t *at, uint32_t *stride, size_t *bytes) {
    const vg_block *b = w->block;
    const vg_tag *t = vg_tag_at(w->file, in->a);
    *at = (uint32_t)t->base + (uint32_t)in->imm;
    *stride = (uint32_t)t->stride;
    *bytes = *stride ? VG_LANES * W : W;
    return (t->flags & VG_LINEAR) && (*stride == 0 || *stride == W) && !(*at & (W - 1)) && *at <= b->shared_open && *bytes <= b->shared_open - *at && !w->count;
}

ALWAYS bool load_tagged(vg_warp *w, const vg_inst *in, unsigned E, unsigned V) {
    const vg_block *b = w->block;
    uint32_t at, stride;
    size_t bytes;
    if (!tagged_range(w, in, E * V, &at, &stride, &bytes) || (b->shared_shadow && !vg_bits_all(b->shared_shadow->bits, at, bytes)))
        return false;
    if (stride)
        put_run(w, in, b->shared + at, FULL, 0, bytes, E, V);
    else
        put_uniform(w, in, b->shared + at, FULL, E, V);
    return true;
}

ALWAYS bool store_tagged(vg_warp *w, const vg_inst *in, unsigned E, unsigned V) {
    const vg_block *b = w->block;
    uint32_t at, stride;
    size_t bytes;
    if (!tagged_range(w, in, E * V, &at, &stride, &bytes) || stride == 0)
        return false;
    get_run(w, in, b->shared + at, FULL, 0, 31, E, V);
    if (b->shared_shadow)
        vg_bits_set(b->shared_shadow->bits, at, bytes);
    return true;
}

// Whole warps of blocks narrower than a warp (VG_PLANE): each of their rows side by side or in one place.
ALWAYS bool plane_fits(const vg_warp *w, const vg_inst *in, const vg_tag *t, size_t bytes, bool read) {
    const vg_block *b = w->block;
    uint32_t at = (uint32_t)t->base + (uint32_t)in->imm;
    bool fits = true;
    for (unsigned l = 0; fits && l < VG_LANES; l += t->width, at += (uint32_t)t->jump)
        fits = !(at & 3) && at <= b->shared_open && bytes <= b->shared_open - at && (!read || !b->shared_shadow || vg_bits_all(b->shared_shadow->bits, at, bytes));
    return fits;
}
ALWAYS bool load_plane(vg_warp *w, const vg_inst *in, unsigned E, unsigned V) {
    const vg_tag *t = vg_tag_of(w, in->a);
    const uint32_t stride = (uint32_t)t->stride;
    if (E != 4 || V != 1 || !(t->flags & VG_PLANE) || in->aux2 & A_REG64 || w->count || (stride & ~4u) || !plane_fits(w, in, t, stride ? t->width * 4 : 4, true))
        return false;
    uint32_t at = (uint32_t)t->base + (uint32_t)in->imm;
    for (unsigned l = 0; l < VG_LANES; l += t->width, at += (uint32_t)t->jump)
        put_words(w->file + in->d + 4 * l, w->block->shared + at, t->width, stride != 0);
    return true;
}
ALWAYS bool store_plane(vg_warp *w, const vg_inst *in, unsigned E, unsigned V) {
    const vg_tag *t = vg_tag_of(w, in->a);
    if (E != 4 || V != 1 || !(t->flags & VG_PLANE) || in->aux2 & A_REG64 || w->count || (uint32_t)t->stride != 4 || !plane_fits(w, in, t, t->width * 4, false))
        return false;
    uint32_t at = (uint32_t)t->base + (uint32_t)in->imm;
    for (unsigned l = 0; l < VG_LANES; l += t->width, at += (uint32_t)t->jump) {
        get_words(w->block->shared + at, w->file + in->d + 4 * l, t->width);
        if (w->block->shared_shadow)
            vg_bits_set(w->block->shared_shadow->bits, at, t->width * 4);
    }
    return true;
}

// Through the extent that the address row's tag keeps: no look at 32 addresses. false: nothing was done.
ALWAYS bool load_known(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_block *b = w->block;
    if (V > 1 || w->count || !b->shared_open || !(in->aux2 & A_WIDE))
        return false;
    const vg_tag *t = row_extent(w, in->a);
    if (!extent_fits(t, (uint64_t)in->imm, b->shared_open, E, in->imm) ||
        (b->shared_shadow && !vg_bits_all_near(b->shared_shadow->bits, t->low + (uint64_t)in->imm, t->high + (uint64_t)in->imm + E)))
        return false;
    put_gathered(w, in, (uintptr_t)b->shared + (uint64_t)in->imm, w->file + in->a, true, mask, E, V);
    return true;
}
ALWAYS bool store_known(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_block *b = w->block;
    if (w->count || !b->shared_open || !(in->aux2 & A_WIDE))
        return false;
    const vg_tag *t = row_extent(w, in->a);
    if (!extent_fits(t, (uint64_t)in->imm, b->shared_open, E * V, in->imm) ||
        (b->shared_shadow && !vg_bits_all_near(b->shared_shadow->bits, t->low + (uint64_t)in->imm, t->high + (uint64_t)in->imm + E * V)))
        return false;
    get_scattered(w, in, (uintptr_t)b->shared + (uint64_t)in->imm, w->file + in->a, true, mask, E, V);
    return true;
}

#define ACCESS(E, V) \
    VG_HANDLER(ld_shared_##E##_##V) { SPIN(); load_shared(w, in, mask, E, V); } \
    VG_HANDLER(st_shared_##E##_##V) { store_shared(w, in, mask, E, V); } \
    NEVER void ld_spilled_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        if ((mask == FULL && load_plane(w, in, E, V)) || load_known(w, in, mask, E, V)) \
            return; \
        spill_row(w->file, in->a, in->aux2 & A_WIDE); \
        load_shared(w, in, mask, E, V); \
    } \
    NEVER void st_spilled_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        if ((mask == FULL && store_plane(w, in, E, V)) || store_known(w, in, mask, E, V)) \
            return; \
        spill_row(w->file, in->a, in->aux2 & A_WIDE); \
        store_shared(w, in, mask, E, V); \
    } \
    VG_HANDLER(ld_tagged_##E##_##V) { \
        SPIN(); \
        if (mask != FULL || !load_tagged(w, in, E, V)) \
            ld_spilled_##E##_##V(w, in, mask); \
    } \
    VG_HANDLER(st_tagged_##E##_##V) { \
        if (mask != FULL || !store_tagged(w, in, E, V)) \
            st_spilled_##E##_##V(w, in, mask); \
    }
EACH_FORM(ACCESS)

#define FORM(E, V) {E, V, ld_shared_##E##_##V, st_shared_##E##_##V, ld_tagged_##E##_##V, st_tagged_##E##_##V},
const vg_mem_form *VG_NAME(vg_mem_shared)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
