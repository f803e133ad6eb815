// race_global_row: a warp's access of global memory, cut into the fewest looks at granules (race_global.c): all lanes side by side or in one place, linear
// ones, runs of a few lanes, and lanes on their own.
#include "vgpu/access.h"
#include "vgpu/race_records.h"
#include <stdio.h>

static uint8_t flags_of(const ptx_inst *in, char kind) {
    const bool strong = race_is_strong(in);
    return (uint8_t)((kind == 'l' ? 0 : WRITES) | (strong ? STRONG : 0) | (race_is_volatile(in) ? VOLATILE : 0) |
                     (strong && in->scope == PTX_CTA ? OF_BLOCK : 0));
}

static void objects(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, char kind) {
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        race_strong(w, in->src, w->block->race->global->objects, address[lane] & ~3ull, 1u << lane, kind);
    }
}

static void touch_lane(cursor *k, access *x, uint64_t address, unsigned lane, unsigned bytes) {
    const vg_launch *l = k->w->block->launch;
    vg_alloc *a = vg_region_alloc(l->regions, address);
    if (!a || address < a->base || address - a->base > a->bytes || bytes > a->bytes - (address - a->base))
        return;   // out of bounds: the access itself says so
    uint32_t *cells = race_granules_of(a);
    x->base = 0;
    x->step = 0;
    x->flags |= SCATTERED;
    k->a = a;
    k->lane = (uint8_t)lane;
    k->known = false;
    if (cells)
        race_touch(k, cells, address - a->base, address - a->base + bytes);
}

// Lanes in one linear pattern within one allocation: its step; false when there is none.
static bool is_linear(const uint64_t address[VG_LANES], uint32_t mask, int64_t *step) {
    const unsigned first = (unsigned)__builtin_ctz(mask);
    if (mask == 0xffffffffu) {
        const uint64_t d = address[1] - address[0];
        uint64_t bad = 0;
        for (unsigned i = 1; i < VG_LANES; i++)
            bad |= address[i] - address[i - 1] - d;
        *step = (int64_t)d;
        return bad == 0 && *step >= -65536 && *step <= 65536 * 64;
    }
    const uint32_t rest = mask & (mask - 1);
    if (!rest) {
        *step = 0;
        return true;
    }
    const unsigned second = (unsigned)__builtin_ctz(rest);
    const int64_t apart = (int64_t)(address[second] - address[first]), d = apart / (int64_t)(second - first);
    *step = d;
    if (d < -65536 || d > 65536 * 64)
        return false;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        if (address[l] != address[first] + (uint64_t)(d * (int64_t)(l - first)))
            return false;
    }
    return true;
}

void vg_race_disagree(vg_warp *w, const vg_inst *in, unsigned lane, unsigned other, uint64_t address, unsigned bytes) {
    char where[120];
    const vg_alloc *a = vg_page_alloc(w->block->launch->ctx->memory, address);
    if (!a)
        return;
    snprintf(where, sizeof where, "at offset %llu of '%s'", (unsigned long long)(address - a->base), a->name);
    race_report(w, in, lane, "race.global", address, bytes, 's', &(race_other){race_site(w, in), w->index * VG_LANES + other, w->block->linear, "writes"}, where,
                "order");
}

typedef uint32_t v4u32 __attribute__((vector_size(16), aligned(4), may_alias));
// A read that adds nothing: every granule of [at, at + span) is one that two blocks have read, and nobody else's order matters.
static bool adds_nothing(const vg_race *r, const uint32_t *cells, size_t at, size_t span) {
    const vg_race_global *g = r->global;
    const size_t first = at / GRANULE, last = (at + span - 1) / GRANULE;
    if (r->knowledge)
        return false;
    uint32_t wrong = 0;
    size_t i = first;
    v4u32 four = {0};
    for (; i + 4 <= last + 1; i += 4) {
        const v4u32 x = *(const v4u32 *)(const void *)&cells[i];
        four |= (~x & (STATE | SHARED)) | (x & PAIR) | (((x & INDEX) - g->first_state) & STATE);   // the last: below the launch's first
    }
    for (; i <= last; i++)
        wrong |= (~cells[i] & (STATE | SHARED)) | (cells[i] & PAIR) | (((cells[i] & INDEX) - g->first_state) & STATE);
    return !(wrong | four[0] | four[1] | four[2] | four[3]);
}

bool vg_race_adds_nothing(vg_warp *w, const vg_inst *in, uint64_t address, unsigned bytes) {
    vg_race *r = w->block->race;
    const unsigned place = in->flags % HONE_COUNT(w->near);
    const vg_alloc *a = w->near[place].alloc;
    const uint64_t at = address - a->base;
    if (at >= a->bytes || bytes > a->bytes - at || a->freed || !a->granules || r->global->late.n)
        return false;
    const uint64_t next = at + (at - r->last_at[place]);   // where a loop would go: granules are far away
    r->last_at[place] = at;
    if (next < a->bytes)
        __builtin_prefetch(&a->granules[next / GRANULE]);
    return adds_nothing(r, a->granules, at, bytes);
}

typedef struct span { vg_alloc *a; uint32_t *cells; size_t at, bytes; } span;
static bool find_span(const vg_warp *w, const vg_inst *in, uint64_t low, uint64_t bytes, span *s) {
    const unsigned place = in->flags % HONE_COUNT(w->near);   // mostly where the instruction was last; of other instructions this is anything
    vg_alloc *a = place < w->code->n_near ? w->near[place].alloc : NULL;
    if (!a || low - a->base >= a->bytes || a->freed)
        a = vg_region_alloc(w->block->launch->regions, low);
    if (!a || low < a->base || low - a->base > a->bytes || bytes > a->bytes - (low - a->base))
        return false;
    *s = (span){a, race_granules_of(a), low - a->base, bytes};
    return s->cells != NULL;
}

static access begin_row(vg_warp *w, const vg_inst *in, char kind) {
    vg_race_global *g = w->block->race->global;
    const race_warp *s = race_warp_of(w);
    if (g->late.n)
        race_judge_late(g);
    if (race_record_bytes(g) > g->sweep_at || g->first_access + g->accesses.n >= ACCESSES_MAX)
        race_sweep(g);
    g->row_first = g->first_access + (uint32_t)g->accesses.n;
    const uint32_t site = race_site(w, in);
    return (access){.block = w->block->race->block, .clock = s->now.v[w->index], .epoch = s->epoch, .site = (site < SITES ? site : SITES - 1) & (SITES - 1),
                    .warp = w->index & 31, .flags = (uint32_t)flags_of(in->src, kind) & 63u};
}

bool vg_race_run(vg_warp *w, const vg_inst *in, uint64_t address, uint64_t step, unsigned bytes, char kind) {
    span t;
    if (!find_span(w, in, address, step ? VG_LANES * (uint64_t)bytes : bytes, &t) || (!step && kind != 'l'))
        return false;
    if (kind == 'l' && !w->block->race->global->late.n && adds_nothing(w->block->race, t.cells, t.at, t.bytes))
        return true;
    access x = begin_row(w, in, kind);
    x.base = (uint32_t)t.at;
    x.step = step ? (int32_t)step : -1;
    x.flags |= step ? 0 : ONE_PLACE;
    cursor k = {.w = w, .in = in, .x = &x, .kind = kind, .a = t.a};
    race_touch(&k, t.cells, t.at, t.at + t.bytes);
    return true;
}

// The longest run of lanes from the first in mask on that touch one place (*step 0) or places side by side.
static uint32_t run_from(const uint64_t address[VG_LANES], uint32_t mask, unsigned bytes, int64_t *step) {
    const unsigned first = (unsigned)__builtin_ctz(mask);
    uint32_t run = 1u << first, left = mask & (mask - 1);
    *step = 0;
    if (!left)
        return run;
    *step = address[__builtin_ctz(left)] == address[first] ? 0 : (int64_t)bytes;
    for (; left; left &= left - 1) {
        const unsigned l = (unsigned)__builtin_ctz(left);
        if (address[l] != address[first] + (uint64_t)*step * (l - first))
            break;
        run |= 1u << l;
    }
    return run;
}

// Lanes whose addresses are linear, within one allocation; false: they are not, and each is for itself.
static bool touch_linear(cursor *k, access *x, const uint64_t address[VG_LANES], uint32_t mask, int64_t step, unsigned bytes) {
    const unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
    const bool overlap = (step < 0 ? -step : step) < (int64_t)bytes && (step || (x->flags & WRITES && mask & (mask - 1)));
    const uint64_t low = step < 0 ? address[last] : address[first], reach = (step < 0 ? address[first] : address[last]) - low + bytes;
    span t;
    if (overlap || !find_span(k->w, k->in, low, reach, &t))
        return false;
    const bool whole = !step || (step == (int64_t)bytes && (mask >> first & ((mask >> first) + 1)) == 0);
    if (whole && k->kind == 'l' && adds_nothing(k->w->block->race, t.cells, t.at, t.bytes))
        return true;
    k->a = t.a;
    x->base = (uint32_t)(address[first] - t.a->base - (uint64_t)(step * (int64_t)first));
    x->step = step ? (int32_t)step : (int32_t)mask;
    x->flags |= step ? 0 : ONE_PLACE;
    if (whole)
        race_touch(k, t.cells, t.at, t.at + t.bytes);
    for (uint32_t m = whole ? 0 : mask; m; m &= m - 1) {
        const size_t place = address[__builtin_ctz(m)] - t.a->base;
        race_touch(k, t.cells, place, place + bytes);
    }
    return true;
}

// Addresses without one pattern: as warps of blocks 8 or 16 threads wide have them, they often are a few runs, each like a small warp; the lanes left
// over are looked at one by one.
enum { RUN_LANES = 4 };   // fewer are not worth a record of their own
void vg_race_row(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, unsigned bytes, char kind) {
    const access x = begin_row(w, in, kind);
    uint32_t left = mask, alone = 0;
    int64_t step;
    bool linear = is_linear(address, mask, &step);
    for (uint32_t run = mask; left; left &= ~run) {
        if (!linear)
            run = run_from(address, left, bytes, &step);
        access part = x;
        cursor k = {.w = w, .in = in, .x = &part, .kind = kind};
        const bool worth = linear || __builtin_popcount(run) >= RUN_LANES;
        if (!worth || !touch_linear(&k, &part, address, run, step, bytes))
            alone |= run;
    }
    access scattered = x;
    cursor k = {.w = w, .in = in, .x = &scattered, .kind = kind};
    for (uint32_t m = alone; m; m &= m - 1)
        touch_lane(&k, &scattered, address[__builtin_ctz(m)], (unsigned)__builtin_ctz(m), bytes);
    if (x.flags & STRONG)
        objects(w, in, address, mask, kind);
}
