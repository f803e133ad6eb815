// race_sweep: keeps the records of global memory's races few: those that no granule names any more are taken out in place, and the others get new
// numbers from 1 on.
#include "vgpu/race_records.h"
#include <string.h>
#include <sys/mman.h>

void race_drop_granules(vg_alloc *a, void *self) {
    (void)self;
    if (a->granules)
        madvise(a->granules, a->granule_bytes, MADV_DONTNEED);
}

// Which records are kept, a bit each, and how many of them are before each word of bits.
typedef struct kept { uint64_t *bits; uint32_t *before; size_t words; } kept;
typedef struct sweep { vg_race_global *g; kept accesses, shapes, moments, states, pairs; } sweep;

static bool kept_new(kept *k, size_t n) {
    k->words = n / 64 + 1;
    k->bits = hone_calloc(k->words, sizeof *k->bits);
    k->before = hone_calloc(k->words, sizeof *k->before);
    return k->bits && k->before;
}
static void kept_free(kept *k) {
    hone_free(k->bits);
    hone_free(k->before);
}
// Marks record i; false when it was marked already.
static bool keep(kept *k, size_t i) {
    const uint64_t bit = 1ull << i % 64;
    const bool fresh = !(k->bits[i / 64] & bit);
    k->bits[i / 64] |= bit;
    return fresh;
}
static uint32_t new_number(const kept *k, size_t i) {
    return 1 + k->before[i / 64] + (uint32_t)__builtin_popcountll(k->bits[i / 64] & ((1ull << i % 64) - 1));
}

static void keep_access(sweep *s, uint32_t ref) {
    const record *r = record_at(s->g, ref);
    if (!keep(&s->accesses, (ref >> 7) - s->g->first_access))
        return;
    if (!(r->flags & SCATTERED))
        keep(&s->shapes, r->at);
    keep(&s->moments, r->flags & SCATTERED ? r->at : s->g->shapes.v[r->at].moment);
}
static void keep_cell(sweep *s, uint32_t x) {
    const vg_race_global *g = s->g;
    if (!is_live(g, x))
        return;
    if (!(x & STATE)) {
        keep_access(s, x);
    } else if (x & PAIR) {
        if (keep(&s->pairs, (x & INDEX) - g->first_pair)) {
            keep_access(s, pair_at(g, x)->low);
            keep_access(s, pair_at(g, x)->high);
        }
    } else if (keep(&s->states, (x & INDEX) - g->first_state)) {
        for (unsigned i = 0; i < state_at(g, x)->n; i++)
            keep_access(s, state_at(g, x)->access[i]);
    }
}
static void keep_allocation(vg_alloc *a, void *self) {
    for (size_t i = 0; a->granules && i < a->granule_bytes / sizeof(uint32_t); i++)
        if (a->granules[i])
            keep_cell(self, a->granules[i]);
}

// Moves the kept ones of n records of `bytes` each to the front; their number.
static size_t compact(kept *k, void *records, size_t n, size_t bytes) {
    uint8_t *v = records;
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 64 == 0)
            k->before[i / 64] = (uint32_t)to;
        if (!(k->bits[i / 64] >> i % 64 & 1))
            continue;
        if (to != i)
            memcpy(v + to * bytes, v + i * bytes, bytes);
        to++;
    }
    return to;
}

static uint32_t moved_access(const sweep *s, uint32_t ref) { return new_number(&s->accesses, (ref >> 7) - s->g->first_access) << 7 | (ref & 127); }
static uint32_t moved_cell(const sweep *s, uint32_t x) {
    if (!is_live(s->g, x))
        return 0;
    if (!(x & STATE))
        return moved_access(s, x);
    return x & PAIR ? STATE | PAIR | new_number(&s->pairs, (x & INDEX) - s->g->first_pair) : (x & (STATE | SHARED)) | new_number(&s->states, (x & INDEX) - s->g->first_state);
}
static void move_allocation(vg_alloc *a, void *self) {
    for (size_t i = 0; a->granules && i < a->granule_bytes / sizeof(uint32_t); i++)
        if (a->granules[i])
            a->granules[i] = moved_cell(self, a->granules[i]);
}

// Of parts that have no number from launch to launch, but a place.
static uint32_t moved_part(const kept *k, uint32_t at) { return new_number(k, at) - 1; }

static void move_accesses(sweep *s) {
    vg_race_global *g = s->g;
    g->accesses.n = compact(&s->accesses, g->accesses.v, g->accesses.n, sizeof *g->accesses.v);
    g->shapes.n = compact(&s->shapes, g->shapes.v, g->shapes.n, sizeof *g->shapes.v);
    g->moments.n = compact(&s->moments, g->moments.v, g->moments.n, sizeof *g->moments.v);
    for (size_t i = 0; i < g->shapes.n; i++)
        g->shapes.v[i].moment = moved_part(&s->moments, g->shapes.v[i].moment);
    for (size_t i = 0; i < g->accesses.n; i++) {
        record *r = &g->accesses.v[i];
        r->at = moved_part(r->flags & SCATTERED ? &s->moments : &s->shapes, r->at);
    }
}

static void move_records(sweep *s) {
    vg_race_global *g = s->g;
    move_accesses(s);
    g->states.n = compact(&s->states, g->states.v, g->states.n, sizeof *g->states.v);
    g->pairs.n = compact(&s->pairs, g->pairs.v, g->pairs.n, sizeof *g->pairs.v);
    for (size_t i = 0; i < g->states.n; i++)
        for (unsigned k = 0; k < g->states.v[i].n; k++)
            g->states.v[i].access[k] = moved_access(s, g->states.v[i].access[k]);
    for (size_t i = 0; i < g->pairs.n; i++)
        g->pairs.v[i] = (pair){moved_access(s, g->pairs.v[i].low), moved_access(s, g->pairs.v[i].high)};
    vg_memory_each(g->launch->ctx->memory, move_allocation, s);
}

void race_sweep(vg_race_global *g) {
    sweep s = {.g = g};
    const bool ok = kept_new(&s.accesses, g->accesses.n) && kept_new(&s.shapes, g->shapes.n) && kept_new(&s.moments, g->moments.n) &&
                    kept_new(&s.states, g->states.n) && kept_new(&s.pairs, g->pairs.n);
    if (ok) {
        vg_memory_each(g->launch->ctx->memory, keep_allocation, &s);
        move_records(&s);
    }
    if (!ok || g->accesses.n >= ACCESSES_MAX / 2) {   // no memory, or no numbers: forget everything, as at the start of a launch
        vg_memory_each(g->launch->ctx->memory, race_drop_granules, NULL);
        g->accesses.n = g->shapes.n = g->moments.n = g->states.n = g->pairs.n = 0;
    }
    g->first_access = g->first_state = g->first_pair = 1;
    memset(g->last, 0, sizeof g->last);
    memset(g->memo, 0, sizeof g->memo);
    kept_free(&s.accesses);
    kept_free(&s.shapes);
    kept_free(&s.moments);
    kept_free(&s.states);
    kept_free(&s.pairs);
    const size_t n = race_record_bytes(g);
    g->sweep_at = n + n / 2 > SWEEP_BYTES ? n + n / 2 : SWEEP_BYTES;
}
