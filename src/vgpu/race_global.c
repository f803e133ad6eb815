// race_global: see race.h. Races on global memory, between threads of one block and between blocks, also when blocks run one after another.
// Every 8 bytes of an allocation have a 4-byte granule, which says who touched them last:
//
//   0                                   nobody           10 | number      a state: a list of accesses with the bytes of each
//   0 number:24 lane:5 halves:2         one access       11 | number      a pair: one access for each half
//                                                        101 | number     a state that another read of any byte adds nothing to
//
// An access is one record for a whole warp: a lane's bytes follow from a base and a step, or the granule names the lane. 32 lanes in a row cost
// 20 bytes beside their granules, scattered ones 8, and a warp that meets 16 equal granules looks once. Numbers go on from launch to launch: whatever
// is below a launch's first counts as empty, nothing is cleared.
#include "vgpu/access.h"
#include "vgpu/race_records.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

vg_race_global *vg_race_global_new(void) {
    vg_race_global *g = hone_calloc(1, sizeof *g);
    if (g && (g->objects = vg_sync_new())) {
        g->first_access = g->first_state = g->first_pair = 1;
        return g;
    }
    hone_free(g);
    return NULL;
}

void vg_race_global_free(vg_race_global *g) {
    if (!g)
        return;
    hone_vec_free(&g->accesses);
    hone_vec_free(&g->shapes);
    hone_vec_free(&g->moments);
    hone_vec_free(&g->states);
    hone_vec_free(&g->pairs);
    hone_vec_free(&g->late);
    vg_sync_free(g->objects);
    hone_free(g);
}

vg_sync *race_global_objects(vg_race_global *g) { return g->objects; }
size_t vg_race_global_bytes(const vg_race_global *g) {
    return g->accesses.cap * sizeof(record) + g->shapes.cap * sizeof(shape) + g->moments.cap * sizeof(moment) + g->states.cap * sizeof(state) +
           g->pairs.cap * sizeof(pair);
}

void race_global_flush(vg_race_global *g) {
    if (g && g->late.n)
        race_judge_late(g);
}

bool vg_race_global_begin(vg_race_global *g, vg_launch *l) {
    vg_race_global_end(g);
    g->launch = l;
    g->sweep_at = SWEEP_BYTES;
    if (g->first_access > ACCESSES || g->first_state > NUMBERS || g->first_pair > NUMBERS) {
        vg_memory_each(l->ctx->memory, race_drop_granules, NULL);
        g->first_access = g->first_state = g->first_pair = 1;
    }
    return true;
}

void vg_race_global_end(vg_race_global *g) {
    g->first_access += (uint32_t)g->accesses.n;
    g->first_state += (uint32_t)g->states.n;
    g->first_pair += (uint32_t)g->pairs.n;
    hone_vec_free(&g->accesses);
    hone_vec_free(&g->shapes);
    hone_vec_free(&g->moments);
    hone_vec_free(&g->states);
    hone_vec_free(&g->pairs);
    g->late.n = 0;
    memset(g->last, 0, sizeof g->last);
    memset(g->memo, 0, sizeof g->memo);
    vg_sync_clear(g->objects);
    g->launch = NULL;
}

uint32_t *race_granules_of(vg_alloc *a) {
    if (a->granules)
        return a->granules;
    const size_t bytes = (a->bytes / GRANULE + 2) * sizeof(uint32_t);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    a->granules = p;
    a->granule_bytes = bytes;
    return p;
}

// ---- numbers

// A reference: the number of an access, a lane where the access does not tell, halves.
static uint32_t ref_of(uint32_t number, unsigned lane) { return number << 7 | lane << 2 | BOTH; }
static unsigned lane_of(uint32_t ref) { return ref >> 2 & 31; }
static bool is_state(uint32_t x) { return (x & (STATE | PAIR)) == STATE; }

static bool same_access(const access *a, const access *b) {
    return a->block == b->block && a->clock == b->clock && a->epoch == b->epoch && a->base == b->base && a->step == b->step && a->warp == b->warp &&
           a->flags == b->flags;
}

enum { NO_PART = UINT32_MAX };
// The parts of x, NO_PART without memory.
static uint32_t moment_of(vg_race_global *g, const access *x) {
    uint32_t *last = &g->moment[(x->clock ^ x->epoch * 7u) % MOMENTS];
    const moment *old = *last < g->moments.n ? &g->moments.v[*last] : NULL;
    if (old && old->block == x->block && old->clock == x->clock && old->epoch == x->epoch)
        return *last;
    return hone_vec_push(&g->moments, ((moment){x->block, x->clock, x->epoch})) ? *last = (uint32_t)g->moments.n - 1 : NO_PART;
}
static uint32_t shape_of(vg_race_global *g, const access *x, uint32_t when) {
    return when != NO_PART && hone_vec_push(&g->shapes, ((shape){when, x->base, x->step})) ? (uint32_t)g->shapes.n - 1 : NO_PART;
}

// The number of x; 0 without memory. The same access again, as in a loop, keeps its number.
static uint32_t number_of(vg_race_global *g, const access *x) {
    uint32_t *last = &g->last[(x->site ^ x->warp * 7u ^ (x->base >> 2) * 2654435761u >> 20) % LAST];
    if (*last) {
        const access old = access_at(g, ref_of(*last, 0));
        if (old.what == x->what && same_access(&old, x))
            return *last;
    }
    const uint32_t when = moment_of(g, x), at = x->flags & SCATTERED ? when : shape_of(g, x, when);
    if (at == NO_PART || !hone_vec_push(&g->accesses, ((record){.at = at, .what = x->what})))
        return 0;
    return *last = g->first_access + (uint32_t)g->accesses.n - 1;
}

static void expand(const vg_race_global *g, uint32_t x, state *out) {
    static const uint8_t bytes[] = {0, 0x0f, 0xf0, 0xff};
    if (!is_live(g, x))
        *out = (state){.n = 0};
    else if (is_state(x))
        *out = *state_at(g, x);
    else if (x & STATE)
        *out = (state){.n = 2, .mask = {0x0f, 0xf0}, .access = {pair_at(g, x)->low, pair_at(g, x)->high}};
    else
        *out = (state){.n = 1, .mask = {bytes[x & BOTH]}, .access = {x | BOTH}};
}

static uint8_t read_by_two(const vg_race_global *g, const state *s) {
    uint8_t by_two = 0;
    for (unsigned i = 0; i < s->n; i++)
        for (unsigned k = i + 1; k < s->n; k++) {
            const access a = access_at(g, s->access[i]), b = access_at(g, s->access[k]);
            if (!((a.flags | b.flags) & WRITES) && a.block != b.block)
                by_two |= s->mask[i] & s->mask[k];
        }
    for (unsigned i = 0; i < s->n; i++)
        if (record_at(g, s->access[i])->flags & WRITES)
            by_two &= (uint8_t)~s->mask[i];
    return by_two;
}

static uint32_t number_of_pair(vg_race_global *g, uint32_t low, uint32_t high) {
    const pair *last = g->pairs.n ? &g->pairs.v[g->pairs.n - 1] : NULL;
    if ((!last || last->low != low || last->high != high) && !hone_vec_push(&g->pairs, ((pair){low, high})))
        return 0;
    return STATE | PAIR | (g->first_pair + (uint32_t)g->pairs.n - 1);
}

static uint32_t number_of_state(vg_race_global *g, state *s) {
    if (s->n == 1 && (s->mask[0] == 0xff || s->mask[0] == 0x0f || s->mask[0] == 0xf0))
        return (s->access[0] & ~(uint32_t)BOTH) | (s->mask[0] == 0xff ? BOTH : s->mask[0] == 0x0f ? LOW : HIGH);
    if (s->n == 2 && (s->mask[0] ^ s->mask[1]) == 0xff && (s->mask[0] == 0x0f || s->mask[0] == 0xf0))
        return s->mask[0] == 0x0f ? number_of_pair(g, s->access[0], s->access[1]) : number_of_pair(g, s->access[1], s->access[0]);
    s->shared = read_by_two(g, s);
    for (unsigned i = s->n; i < LIST; i++) {
        s->mask[i] = 0;
        s->access[i] = 0;
    }
    const bool again = g->states.n && memcmp(&g->states.v[g->states.n - 1], s, sizeof *s) == 0;
    if (!again && !hone_vec_push(&g->states, *s))
        return 0;
    return STATE | (s->shared == 0xff ? SHARED : 0) | (g->first_state + (uint32_t)g->states.n - 1);
}

// ---- order

// Lanes of p that touched byte `at` of the allocation.
static uint32_t lanes_at(const access *p, unsigned lane_named, uint32_t at) {
    if (p->flags & SCATTERED)
        return 1u << lane_named;
    if (p->flags & ONE_PLACE)
        return (uint32_t)p->step;
    const int32_t d = (int32_t)(at - p->base);
    const int32_t lane = p->step > 0 ? d / p->step : (-d - p->step - 1) / -p->step;
    return 1u << (lane & 31);
}

// Is all that p did to `bytes` of the granule at `at` ordered before x, which is about to happen? *local: the answer holds for this granule only.
static bool is_ordered(vg_warp *w, uint32_t ref, const access *x, unsigned lane, uint32_t at, uint8_t bytes, bool *local) {
    vg_race *r = w->block->race;
    const race_warp *s = race_warp_of(w);
    const access whole = access_at(r->global, ref), *p = &whole;
    if (p->block != x->block)
        return vg_sync_knows(r->global->objects, r->knowledge, &s->now, p->block, p->warp, p->clock);
    if (p->warp != x->warp)
        return p->clock <= s->now.v[p->warp];
    if (p->epoch <= s->full || (p->base == x->base && p->step == x->step && !((p->flags | x->flags) & (ONE_PLACE | SCATTERED))))
        return true;
    *local = true;
    for (uint32_t m = bytes; m; m &= m - 1) {
        const uint32_t byte = at + (uint32_t)__builtin_ctz(m);
        if (!race_lanes_ordered(s, lanes_at(x, lane, byte), lanes_at(p, lane_of(ref), byte), p->epoch))
            return false;
    }
    return true;
}

static bool may_conflict(const race_warp *s, const access *p, const access *x) {
    if (!((p->flags | x->flags) & WRITES))
        return false;
    if (!(p->flags & x->flags & STRONG) || (p->block != x->block && (p->flags | x->flags) & OF_BLOCK))
        return true;
    return p->block == x->block && p->warp == x->warp && (p->flags | x->flags) & VOLATILE && !s->fenced;
}

// ---- findings

static void report(vg_warp *w, const vg_inst *in, uint32_t ref, const access *x, unsigned lane_named, const vg_alloc *a, uint32_t at, uint8_t bytes, char kind) {
    char where[120];
    const access whole = access_at(w->block->race->global, ref), *p = &whole;
    const uint32_t byte = at + (uint32_t)__builtin_ctz(bytes);
    const size_t offset = (size_t)byte;
    const uint32_t mine = lanes_at(x, lane_named, byte), theirs = lanes_at(p, lane_of(ref), byte), others = theirs & ~(mine & -mine);
    const unsigned lane = (unsigned)__builtin_ctz(mine ? mine : 1), other = (unsigned)__builtin_ctz(others ? others : theirs ? theirs : 1);
    const bool same_warp = p->block == x->block && p->warp == x->warp;
    const unsigned size = in->src->op == PTX_OP_CP ? 16 : (unsigned)ptx_type_bytes((ptx_type)in->src->type[0]);
    snprintf(where, sizeof where, "at offset %zu of '%s'", offset, a->name);
    const bool scope = p->flags & x->flags & STRONG && p->block != x->block;
    race_report(w, in, lane, scope ? "race.scope" : "race.global", a->base + offset, size ? size : 1, kind,
                &(race_other){p->site == SITES - 1 ? UINT32_MAX : p->site, p->warp * VG_LANES + other, p->block,
                              !(p->flags & WRITES) ? "reads" : p->flags & STRONG && !(p->flags & VOLATILE) ? "updates" : "writes"},
                where, scope ? "scope wide enough" : same_warp ? "__syncwarp or barrier" : p->block == x->block ? "barrier" : "fence and signal");
}

void race_judge_late(vg_race_global *g) {
    for (size_t i = 0; i < g->late.n; i++) {
        const store *s = &g->late.v[i];
        uint8_t changed = 0;
        for (unsigned k = 0; k < GRANULE; k++)
            changed |= (uint8_t)((s->conflict >> k & 1 && s->host[k] != s->old[k]) << k);
        const vg_alloc *a = changed ? vg_page_alloc(g->launch->ctx->memory, s->address) : NULL;
        if (!a || s->access >> 7 < g->first_access)
            continue;
        const uint32_t at = (uint32_t)(s->address - a->base);
        access x = {.block = (uint32_t)s->w->block->linear, .base = at, .step = (int32_t)(1u << s->lane), .warp = s->w->index & 31, .flags = WRITES | ONE_PLACE};
        report(s->w, s->in, s->access, &x, 0, a, at, changed, 's');
    }
    g->late.n = 0;
}

// ---- one granule

static void late_store(vg_warp *w, const vg_inst *in, uint32_t ref, const access *x, unsigned lane, const vg_alloc *a, size_t at, uint8_t bytes) {
    vg_race_global *g = w->block->race->global;
    store s = {.w = w, .in = in, .host = a->host + at, .address = a->base + at, .access = ref, .conflict = bytes,
               .lane = (uint8_t)__builtin_ctz(lanes_at(x, lane, (uint32_t)at + (uint32_t)__builtin_ctz(bytes)) | 1u << 31)};
    const size_t n = a->bytes - at < GRANULE ? a->bytes - at : GRANULE;
    memcpy(s.old, s.host, n);
    s.conflict &= (uint8_t)((1u << n) - 1);
    (void)!hone_vec_push(&g->late, s);
}

// Looks for a conflict of x with what the granule holds; false when one was reported.
static bool look(vg_warp *w, const vg_inst *in, const state *s, const access *x, unsigned lane, const vg_alloc *a, size_t at, uint8_t bytes, char kind, bool *local) {
    vg_race_global *g = w->block->race->global;
    const race_warp *rw = race_warp_of(w);
    for (unsigned i = 0; i < s->n; i++) {
        const access whole = access_at(g, s->access[i]), *p = &whole;
        const uint8_t both = s->mask[i] & bytes;
        if (!both || !may_conflict(rw, p, x) || s->access[i] >> 7 >= g->row_first || is_ordered(w, s->access[i], x, lane, (uint32_t)at, both, local))
            continue;   // lanes of one instruction on one place: vg_race_disagree
        if (kind == 's' && p->flags & WRITES && !((p->flags | x->flags) & STRONG)) {
            late_store(w, in, s->access[i], x, lane, a, at, both);
            *local = true;
            continue;
        }
        report(w, in, s->access[i], x, lane, a, (uint32_t)at, both, kind);
        return false;
    }
    return true;
}

static void remove_at(state *s, unsigned i) {
    s->n--;
    memmove(&s->mask[i], &s->mask[i + 1], s->n - i);
    memmove(&s->access[i], &s->access[i + 1], (s->n - i) * sizeof *s->access);
}

// Which entry goes when the list is full: the oldest read, else the oldest.
static unsigned victim(const vg_race_global *g, const state *s) {
    for (unsigned i = 0; i < s->n; i++)
        if (!(record_at(g, s->access[i])->flags & WRITES))
            return i;
    return 0;
}

// Does x make the entry of p superfluous for the bytes they share?
static bool replaces(vg_warp *w, uint32_t ref, const access *x, unsigned lane, uint32_t at, uint8_t bytes) {
    bool local = false;
    const access whole = access_at(w->block->race->global, ref), *p = &whole;
    if (x->flags & WRITES)
        return !(p->flags & WRITES) || !(x->flags & STRONG) || p->flags & STRONG;   // an update does not hide the plain write below it
    return !(p->flags & WRITES) && p->block == x->block && is_ordered(w, ref, x, lane, at, bytes, &local);
}

// The granule after x touched `bytes` of it.
static uint32_t advance(vg_warp *w, state *s, const access *x, uint32_t ref, uint32_t at, uint8_t bytes) {
    vg_race_global *g = w->block->race->global;
    for (unsigned i = s->n; i-- > 0;) {
        if (s->access[i] == ref) {
            bytes |= s->mask[i];
            s->mask[i] = 0;
        } else if (s->mask[i] & bytes && replaces(w, s->access[i], x, lane_of(ref), at, s->mask[i] & bytes)) {
            s->mask[i] &= (uint8_t)~bytes;
        }
        if (!s->mask[i])
            remove_at(s, i);
    }
    if (s->n == LIST)
        remove_at(s, victim(g, s));
    s->mask[s->n] = bytes;
    s->access[s->n++] = ref;
    return number_of_state(g, s);
}

// Enough warps of the block read these bytes since anything ordered them: one more adds nothing.
static bool read_enough(vg_warp *w, const state *s, const access *x, unsigned lane, uint32_t at, uint8_t bytes) {
    unsigned n = 0;
    bool local = false;
    for (unsigned i = 0; i < s->n && !(x->flags & WRITES); i++) {
        const access whole = access_at(w->block->race->global, s->access[i]), *p = &whole;
        n += !(p->flags & WRITES) && p->block == x->block && p->warp != x->warp && (s->mask[i] & bytes) == bytes && !is_ordered(w, s->access[i], x, lane, at, bytes, &local);
    }
    return n >= READERS;
}

// Nothing to do for x: the granule says so already.
static bool says_enough(const vg_race_global *g, const vg_race *r, uint32_t old, const access *x, unsigned lane, uint8_t bytes) {
    static const uint8_t covers[] = {0, 0x0f, 0xf0, 0xff};
    if (!is_live(g, old))
        return false;
    if (!(old & STATE)) {
        if (bytes & ~covers[old & BOTH] || lane_of(old) != lane)
            return false;
        const access one = access_at(g, old);
        return same_access(&one, x);
    }
    if (!is_state(old) || x->flags & WRITES || r->knowledge)
        return false;
    return old & SHARED || (state_at(g, old)->shared & bytes) == bytes;   // mostly without a look at the state, which is far away
}

static uint32_t next_state(cursor *k, state *s, uint32_t old, uint32_t at, uint8_t bytes) {
    vg_race_global *g = k->w->block->race->global;
    if (read_enough(k->w, s, k->x, k->lane, at, bytes))
        return old;
    if (!k->number && !(k->number = number_of(g, k->x)))
        return old;
    const uint32_t ref = ref_of(k->number, k->lane);
    memo *m = &g->memo[(old * 2654435761u ^ ref * 40503u ^ bytes) % MEMO];
    if (m->access == ref && m->from == old && m->bytes == bytes && m->to)
        return m->to;
    *m = (memo){old, ref, advance(k->w, s, k->x, ref, at, bytes), bytes};
    return m->to;
}

// The usual granules, without taking them apart: untouched, or touched once in the other half. 0: it is not one of these.
static uint32_t next_of_few(cursor *k, uint32_t old, uint8_t bytes) {
    vg_race_global *g = k->w->block->race->global;
    const uint32_t halves = bytes == 0xff ? BOTH : bytes == 0x0f ? LOW : bytes == 0xf0 ? HIGH : 0;
    const bool fresh = !is_live(g, old);
    if (!halves || (!fresh && (old & STATE || old & halves)) || (!k->number && !(k->number = number_of(g, k->x))))
        return 0;
    const uint32_t ref = ref_of(k->number, k->lane);
    if (fresh)
        return (ref & ~(uint32_t)BOTH) | halves;
    if ((old | BOTH) == ref)
        return ref;
    memo *m = &g->memo[(old * 2654435761u ^ ref * 40503u ^ bytes) % MEMO];   // as in next_state
    if (m->access != ref || m->from != old || m->bytes != bytes || !m->to)
        *m = (memo){old, ref, halves == HIGH ? number_of_pair(g, old | BOTH, ref) : number_of_pair(g, ref, old | BOTH), bytes};
    return m->to;
}

void race_touch(cursor *k, uint32_t *cells, size_t first_byte, size_t end_byte) {
    vg_race_global *g = k->w->block->race->global;
    for (size_t i = first_byte / GRANULE; i * GRANULE < end_byte; i++) {
        const size_t at = i * GRANULE, lo = first_byte > at ? first_byte - at : 0, hi = end_byte - at < GRANULE ? end_byte - at : GRANULE;
        const uint8_t bytes = (uint8_t)(((1u << hi) - 1) & ~((1u << lo) - 1));
        const uint32_t old = cells[i];
        if (k->known && old == k->from && bytes == k->from_bytes) {
            cells[i] = k->to;
            continue;
        }
        if (says_enough(g, k->w->block->race, old, k->x, k->lane, bytes))
            continue;
        const uint32_t few = next_of_few(k, old, bytes);
        if (few) {
            *k = (cursor){k->w, k->in, k->x, k->a, k->number, old, few, bytes, k->lane, k->kind, true};
            cells[i] = few;
            continue;
        }
        state s;
        bool local = false;
        expand(g, old, &s);
        look(k->w, k->in, &s, k->x, k->lane, k->a, at, bytes, k->kind, &local);
        cells[i] = next_state(k, &s, old, (uint32_t)at, bytes);
        k->known = !local;
        k->from = old;
        k->to = cells[i];
        k->from_bytes = bytes;
    }
}
