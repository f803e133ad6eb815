// Loads and stores of global memory, through global, generic and constant addresses. They decide the speed of the virtual GPU: the 32 addresses
// are tested for one linear pattern; uniform and unit-stride accesses then need one allocation lookup, one bounds test and one word-wise test of
// the initialisation bits for the whole warp. Other patterns that stay in one allocation are copied lane by lane behind one lookup; everything
// else, and everything that is wrong, goes through access.c.
#include "vgpu/mem_row.h"

ALWAYS char load_kind(const vg_inst *in) { return in->aux2 & A_NC ? 'n' : 'l'; }

ALWAYS vg_alloc *alloc_of(const vg_warp *w, uint64_t first, size_t bytes) {
    vg_alloc *a = vg_region_alloc(w->block->launch->regions, first);
    if (!a || first < a->base || first - a->base > a->bytes || bytes > a->bytes - (first - a->base))
        return NULL;
    return a;
}

// The same through the warp's memory of which allocation an instruction met last.
ALWAYS bool known_written(const vg_warp *w, vg_alloc *a) { return !w->careful || atomic_load_explicit(&a->initialized, memory_order_relaxed); }
NEVER vg_alloc *find_near(vg_warp *w, vg_near *near, uint64_t first, size_t bytes) {
    vg_alloc *a = alloc_of(w, first, bytes);
    if (a && a->kind != VG_ALLOC_HEAP)   // a kernel may free those while it runs
        *near = (vg_near){a->base, known_written(w, a) && !(w->careful && w->forgets) ? a->bytes : 0, a->host, a};
    return a;
}
ALWAYS vg_alloc *near_alloc(vg_warp *w, const vg_inst *in, uint64_t first, size_t bytes) {
    vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)];
    vg_alloc *a = near->alloc;
    const uint64_t at = first - a->base;
    return LIKELY(at < a->bytes && bytes <= a->bytes - at) ? a : find_near(w, near, first, bytes);
}
// Memory may have become known to be written since the warp met it.
ALWAYS void learn_written(vg_warp *w, const vg_inst *in) {
    vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)];
    if (!near->bytes && !w->forgets && known_written(w, near->alloc))
        near->bytes = near->alloc->bytes;
}
NEVER bool bits_written(const vg_alloc *a, uint64_t first, size_t bytes) { return vg_bits_all(a->init.bits, first - a->base, bytes); }
ALWAYS bool written(const vg_warp *w, const vg_alloc *a, uint64_t first, size_t bytes) {
    return !w->careful || atomic_load_explicit((_Atomic bool *)(uintptr_t)&a->initialized, memory_order_relaxed) || bits_written(a, first, bytes);
}
NEVER void count_range(vg_warp *w, const vg_inst *in, uint64_t first, size_t bytes, uint32_t mask, unsigned W, char kind) {
    if (!(in->aux2 & A_CONST))
        vg_count_global_range(w->count, in->index, first, (unsigned)bytes, (unsigned)__builtin_popcount(mask), W, kind);
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

// The allocation that holds all active addresses, when they are aligned and nothing is counted; found by the first of them. Bounds as sign bits, which
// every instruction set has for 64-bit lanes, unlike minima. NULL: the slow path finds out more.
ALWAYS vg_alloc *all_near(vg_warp *w, const vg_inst *in, const uint64_t addr[VG_LANES], uint32_t mask, unsigned W) {
    vg_alloc *a = w->count ? NULL : near_alloc(w, in, addr[__builtin_ctz(mask)], W);
    if (!a)
        return NULL;
    const uint64_t base = a->base, room = a->bytes - W;
    uint64_t bad = 0, low = 0;
    if (mask == FULL)
        for (unsigned l = 0; l < VG_LANES; l++) {
            bad |= (addr[l] - base) | (room - (addr[l] - base));
            low |= addr[l];
        }
    else
        for (unsigned l = 0; l < VG_LANES; l++) {
            const uint64_t on = 0 - (uint64_t)((mask >> l) & 1), at = (addr[l] - base) & on;
            bad |= at | (room - at);
            low |= addr[l] & on;
        }
    return (bad >> 63) || (low & (W - 1)) ? NULL : a;
}

ALWAYS void gather_global(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + (uint64_t)in->imm;
    vg_alloc *near = all_near(w, in, addr, mask, E * V);
    if (LIKELY(near && known_written(w, near))) {
        put_gathered(w, in, (uintptr_t)near->host - near->base, addr, true, mask, E, V);
        return;
    }
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
    put_gathered(w, in, (uintptr_t)a->host - a->base, addr, true, mask, E, V);
}

ALWAYS void scatter_global(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + (uint64_t)in->imm;
    vg_alloc *near = all_near(w, in, addr, mask, E * V);
    if (LIKELY(near && !near->read_only && atomic_load_explicit(&near->initialized, memory_order_relaxed))) {
        get_scattered(w, in, (uintptr_t)near->host - near->base, addr, true, mask, E, V);
        return;
    }
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
    get_scattered(w, in, (uintptr_t)a->host - a->base, addr, true, mask, E, V);
    for (uint32_t m = atomic_load_explicit(&a->initialized, memory_order_relaxed) ? 0 : mask; m; m &= m - 1)
        vg_bits_set(a->init.bits, addr[__builtin_ctz(m)] - a->base, E * V);
}

// The fast paths; false: the caller takes the lane-by-lane path. mask is a constant FULL in the hot copies. Lane l's address is base + l * stride.
ALWAYS unsigned first_lane(uint32_t mask) { return mask == FULL ? 0 : (unsigned)__builtin_ctz(mask); }
ALWAYS unsigned last_lane(uint32_t mask) { return mask == FULL ? 31 : 31 - (unsigned)__builtin_clz(mask); }

ALWAYS bool load_linear(vg_warp *w, const vg_inst *in, uint32_t mask, uint64_t base, uint64_t stride, unsigned E, unsigned V) {
    const unsigned W = E * V, first = first_lane(mask), last = last_lane(mask);
    if (stride != 0 && stride != W)
        return false;
    uint64_t address = base + first * stride + (uint64_t)in->imm;
    size_t bytes = stride ? (size_t)(last - first + 1) * W : W;
    const vg_alloc *a = near_alloc(w, in, address, bytes);
    if (!a || (address & (W - 1)))
        return false;
    if (!written(w, a, address, bytes))
        return false;
    if (UNLIKELY(w->count != NULL))
        count_range(w, in, address, bytes, mask, W, load_kind(in));
    const uint8_t *from = a->host + (address - a->base);
    if (stride)
        put_run(w, in, from, mask, first, bytes, E, V);
    else
        put_uniform(w, in, from, mask, E, V);
    return true;
}

ALWAYS bool store_linear(vg_warp *w, const vg_inst *in, uint32_t mask, uint64_t base, uint64_t stride, unsigned E, unsigned V) {
    const unsigned W = E * V, first = first_lane(mask), last = last_lane(mask);
    if (stride != W || !no_holes(mask, first))
        return false;
    uint64_t address = base + first * stride + (uint64_t)in->imm;
    size_t bytes = (size_t)(last - first + 1) * W;
    vg_alloc *a = near_alloc(w, in, address, bytes);
    if (!a || (address & (W - 1)) || a->read_only)
        return false;
    if (UNLIKELY(w->count != NULL))
        count_range(w, in, address, bytes, mask, W, 's');
    get_run(w, in, a->host + (address - a->base), mask, first, last, E, V);
    vg_alloc_mark(a, address - a->base, bytes);
    return true;
}

// The same for addresses whose shape the row has to tell.
ALWAYS bool row_shape(const uint64_t *r, uint32_t mask, uint64_t *base, uint64_t *stride) {
    const unsigned first = first_lane(mask);
    const bool linear = mask == FULL ? linear64_full(r, stride) : linear64(r, mask, first, stride);
    *base = r[first] - first * *stride;
    return linear;
}

// A few lanes of a diverged warp: each for itself, without a look at all 32. false: one of them is not where the warp was last (its row may be written
// in part, which the way above does again).
enum { FEW_LANES = 10 };
ALWAYS bool load_few(vg_warp *w, const vg_inst *in, uint32_t mask, const uint64_t *r, unsigned E, unsigned V) {
    if (E != 4 || V != 1 || in->aux2 & A_REG64 || mask == FULL || w->count || __builtin_popcount(mask) > FEW_LANES)
        return false;
    const vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)];
    const uint64_t room = near->bytes, add = (uint64_t)in->imm - near->base;
    uint32_t *row = __builtin_assume_aligned(w->file + in->d, 64);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint64_t at = r[l] + add;
        if (UNLIKELY(at >= room || room - at < 4 || at & 3))   // allocations begin at multiples of more
            return false;
        row[l] = load_part(near->host + at, 4);
    }
    return true;
}

// Whole warps of blocks narrower than a warp (VG_PLANE): each of their rows side by side or in one place. false: nothing was done.
ALWAYS bool load_plane(vg_warp *w, const vg_inst *in, const vg_tag *t, unsigned E, unsigned V) {
    if (E != 4 || V != 1 || !(t->flags & VG_PLANE) || in->aux2 & A_REG64 || w->count || (t->stride & ~4ull))
        return false;
    const vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)];
    const size_t bytes = t->stride ? t->width * 4 : 4;
    uint64_t at = t->base + (uint64_t)in->imm - near->base;
    for (unsigned l = 0; l < VG_LANES; l += t->width, at += t->jump) {
        if (at >= near->bytes || bytes > near->bytes - at || at & 3)   // allocations begin at multiples of more
            return false;
        put_words(w->file + in->d + 4 * l, near->host + at, t->width, t->stride != 0);
    }
    return true;
}
ALWAYS bool store_plane(vg_warp *w, const vg_inst *in, const vg_tag *t, unsigned E, unsigned V) {
    if (E != 4 || V != 1 || !(t->flags & VG_PLANE) || in->aux2 & A_REG64 || w->count || t->stride != 4)
        return false;
    const uint64_t first = t->base + (uint64_t)in->imm, bytes = t->width * 4;
    vg_alloc *a = near_alloc(w, in, first, bytes);
    uint64_t at = a ? first - a->base : 0;
    bool good = a && !a->read_only;
    for (unsigned l = 0; good && l < VG_LANES; l += t->width, at += t->jump)
        good = at < a->bytes && bytes <= a->bytes - at && !(at & 3);
    at = first - (a ? a->base : 0);
    for (unsigned l = 0; good && l < VG_LANES; l += t->width, at += t->jump) {
        get_words(a->host + at, w->file + in->d + 4 * l, t->width);
        vg_alloc_mark(a, at, bytes);
    }
    return good;
}

// Through the extent that the address row's tag keeps: no look at 32 addresses. false: nothing was done.
ALWAYS bool gather_known(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)];
    if (V > 1 || w->count || (mask != FULL && __builtin_popcount(mask) <= FEW_LANES) ||
        !extent_fits(row_extent(w, in->a), (uint64_t)in->imm - near->base, near->bytes, E, in->imm))
        return false;
    put_gathered(w, in, (uintptr_t)near->host - near->base + (uint64_t)in->imm, w->file + in->a, true, mask, E, V);
    return true;
}
ALWAYS bool scatter_known(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_alloc *a = w->near[in->flags % HONE_COUNT(w->near)].alloc;
    if (w->count || a->read_only || !atomic_load_explicit((_Atomic bool *)(uintptr_t)&a->initialized, memory_order_relaxed) ||
        !extent_fits(row_extent(w, in->a), (uint64_t)in->imm - a->base, a->bytes, E * V, in->imm))
        return false;
    get_scattered(w, in, (uintptr_t)a->host - a->base + (uint64_t)in->imm, w->file + in->a, true, mask, E, V);
    return true;
}

// ---- the handlers: `full` ones try the whole-warp fast path with nothing else in their frame; the rest is in the functions that they end in

#define WHOLE_ROW(mask) ((mask) == FULL && in->aux2 & A_WIDE)
#define ACCESS(E, V) \
    NEVER void ld_any_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        _Alignas(32) uint64_t tmp[VG_LANES], base, stride; \
        const uint64_t *r = wide_row(w, in, tmp); \
        if (load_few(w, in, mask, r, E, V)) \
            return; \
        if (!row_shape(r, mask, &base, &stride) || !load_linear(w, in, mask, base, stride, E, V)) \
            gather_global(w, in, mask, r, E, V); \
    } \
    NEVER void st_any_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        _Alignas(32) uint64_t tmp[VG_LANES], base, stride; \
        const uint64_t *r = wide_row(w, in, tmp); \
        if (!row_shape(r, mask, &base, &stride) || !store_linear(w, in, mask, base, stride, E, V)) \
            scatter_global(w, in, mask, r, E, V); \
    } \
    VG_HANDLER(ld_global_##E##_##V) { \
        const uint64_t *r = __builtin_assume_aligned(w->file + in->a, 64); \
        uint64_t stride; \
        SPIN(); \
        if (!WHOLE_ROW(mask) || !linear64_full(r, &stride) || !load_linear(w, in, FULL, r[0], stride, E, V)) \
            ld_any_##E##_##V(w, in, mask); \
    } \
    VG_HANDLER(st_global_##E##_##V) { \
        const uint64_t *r = __builtin_assume_aligned(w->file + in->a, 64); \
        uint64_t stride; \
        if (!WHOLE_ROW(mask) || !linear64_full(r, &stride) || !store_linear(w, in, FULL, r[0], stride, E, V)) \
            st_any_##E##_##V(w, in, mask); \
    } \
    NEVER void ld_spilled_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        const vg_tag *t = vg_tag_of(w, in->a); \
        learn_written(w, in); \
        if (t->flags & VG_LINEAR ? load_linear(w, in, mask, t->base, t->stride, E, V) : mask == FULL && load_plane(w, in, t, E, V)) \
            return; \
        if (gather_known(w, in, mask, E, V)) \
            return; \
        spill_row(w->file, in->a, true); \
        if (t->flags & VG_LINEAR) \
            gather_global(w, in, mask, (const uint64_t *)(const void *)(w->file + in->a), E, V); \
        else \
            ld_any_##E##_##V(w, in, mask); \
    } \
    NEVER void st_spilled_##E##_##V(vg_warp *w, const vg_inst *in, uint32_t mask) { \
        const vg_tag *t = vg_tag_of(w, in->a); \
        if (t->flags & VG_LINEAR ? store_linear(w, in, mask, t->base, t->stride, E, V) : mask == FULL && store_plane(w, in, t, E, V)) \
            return; \
        if (scatter_known(w, in, mask, E, V)) \
            return; \
        spill_row(w->file, in->a, true); \
        if (t->flags & VG_LINEAR) \
            scatter_global(w, in, mask, (const uint64_t *)(const void *)(w->file + in->a), E, V); \
        else \
            st_any_##E##_##V(w, in, mask); \
    } \
    VG_HANDLER(ld_tagged_##E##_##V) { \
        const vg_tag *t = vg_tag_of(w, in->a); \
        SPIN(); \
        if (mask != FULL || !(t->flags & VG_LINEAR) || !load_linear(w, in, FULL, t->base, t->stride, E, V)) \
            ld_spilled_##E##_##V(w, in, mask); \
    } \
    VG_HANDLER(st_tagged_##E##_##V) { \
        const vg_tag *t = vg_tag_of(w, in->a); \
        if (mask != FULL || !(t->flags & VG_LINEAR) || !store_linear(w, in, FULL, t->base, t->stride, E, V)) \
            st_spilled_##E##_##V(w, in, mask); \
    }
EACH_FORM(ACCESS)

// Words into registers of their own width through a tagged row: most loads of most kernels. Nothing but the moves is in their frame; what is not
// the usual case ends in the handler above, which also remembers the allocation.
#define PLAIN(E) \
    VG_HANDLER(ld_plain_##E) { \
        const vg_tag *t = vg_tag_of(w, in->a); \
        const vg_near *near = &w->near[in->flags % HONE_COUNT(w->near)]; \
        const uint64_t stride = t->stride, address = t->base + (uint64_t)in->imm, at = address - near->base; \
        const size_t bytes = stride ? VG_LANES * E : E; \
        if (UNLIKELY(at >= near->bytes || bytes > near->bytes - at || !(t->flags & VG_LINEAR) || (stride & ~(uint64_t)E) || (address & (E - 1)) || \
                     mask != FULL || w->count)) { \
            ld_spilled_##E##_1(w, in, mask); \
            return; \
        } \
        const uint8_t *from = near->host + at; \
        uint8_t *to = __builtin_assume_aligned(w->file + in->d, 64); \
        if (stride) { \
            memcpy(to, from, VG_LANES * E); \
        } else { \
            const u##E##_t v = *(const u##E##_t *)(const void *)from; \
            for (unsigned l = 0; l < VG_LANES; l++) \
                ((u##E##_t *)(void *)to)[l] = v; \
        } \
    }
typedef u32a u4_t;
typedef u64a u8_t;
PLAIN(4)
PLAIN(8)

#define FORM(E, V) {E, V, ld_global_##E##_##V, st_global_##E##_##V, ld_tagged_##E##_##V, st_tagged_##E##_##V},
const vg_mem_form *VG_NAME(vg_mem_global)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
vg_handler VG_NAME(vg_mem_plain)(unsigned E, unsigned V) { return V > 1 ? NULL : E == 4 ? ld_plain_4 : E == 8 ? ld_plain_8 : NULL; }
