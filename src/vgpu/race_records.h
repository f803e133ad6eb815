// race_records: the records that the granules of global memory name (race_global.c), kept few by race_sweep.c.
#ifndef HONE_VGPU_RACE_RECORDS_H
#define HONE_VGPU_RACE_RECORDS_H
#include "vgpu/race_internal.h"

enum { GRANULE = 8, LIST = 6, LAST = 256, NUMBERS = 1 << 28, ACCESSES = 1 << 22, ACCESSES_MAX = (1 << 24) - 64, SWEEP_BYTES = 32 << 20, MEMO = 1024, MOMENTS = 64, READERS = 3 };
enum { LOW = 1, HIGH = 2, BOTH = 3 };   // halves of a granule
#define STATE 0x80000000u
#define PAIR  0x40000000u             /* with STATE */
#define SHARED 0x20000000u            /* with STATE, without PAIR: two blocks or more have read all of the granule since anybody wrote it */
#define INDEX 0x1fffffffu
enum { WRITES = 1, STRONG = 2, VOLATILE = 4, OF_BLOCK = 8 /* scope .cta */, ONE_PLACE = 16 /* step is a mask of lanes that share one place */,
       SCATTERED = 32 /* the granule names the lane */ };

enum { SITES = 1 << 21 };   // the last stands for all further instructions of a program, of which findings do not say where they are
#define ACCESS_WHAT union { struct { uint32_t site : 21, flags : 6, warp : 5; }; uint32_t what; }   /* what: as one word, to copy */
// An access as it is compared and judged. Kept in parts, since most of it is the same for many: when it was, for all warps of a block that stand at one
// clock and epoch; where it was, which scattered ones do not say; and the rest.
typedef struct access { uint32_t block, clock, epoch, base; int32_t step; ACCESS_WHAT; } access;
typedef struct moment { uint32_t block, clock, epoch; } moment;
typedef struct shape { uint32_t moment, base; int32_t step; } shape;
typedef struct record { uint32_t at; ACCESS_WHAT; } record;   // at: its shape, or the moment of a SCATTERED one
typedef struct state { uint8_t n, shared, mask[LIST]; uint32_t access[LIST]; } state;   // shared: bytes read by two blocks or more
typedef struct pair { uint32_t low, high; } pair;
typedef struct memo { uint32_t from, access, to; uint8_t bytes; } memo;   // granule `from` after `access`
typedef struct store { vg_warp *w; const vg_inst *in; const uint8_t *host; uint64_t address; uint32_t access; uint8_t lane, bytes, conflict, old[GRANULE]; } store;

struct vg_race_global {
    const vg_launch *launch;
    HONE_VEC(record) accesses;         // [0] of all launches is never used: number = first_access + index
    HONE_VEC(shape) shapes;
    HONE_VEC(moment) moments;
    HONE_VEC(state) states;
    HONE_VEC(pair) pairs;
    uint32_t first_access, first_state, first_pair, row_first;   // row_first: numbers of the running instruction begin here
    uint32_t last[LAST];               // number of the last access of a site (hashed)
    uint32_t moment[MOMENTS];          // the last of a clock and epoch (hashed)
    memo memo[MEMO];
    HONE_VEC(store) late;              // plain writes over unordered plain writes, judged once they have happened
    size_t sweep_at;                   // bytes of records
    vg_sync *objects;
};

static inline bool is_live(const vg_race_global *g, uint32_t x) {
    return !(x & STATE) ? x >> 7 >= g->first_access : (x & INDEX) >= (x & PAIR ? g->first_pair : g->first_state);
}
static inline const record *record_at(const vg_race_global *g, uint32_t ref) { return &g->accesses.v[(ref >> 7) - g->first_access]; }
static inline access access_at(const vg_race_global *g, uint32_t ref) {
    const record *r = record_at(g, ref);
    const shape *s = r->flags & SCATTERED ? NULL : &g->shapes.v[r->at];
    const moment *m = &g->moments.v[s ? s->moment : r->at];
    return (access){.block = m->block, .clock = m->clock, .epoch = m->epoch, .base = s ? s->base : 0, .step = s ? s->step : 0, .what = r->what};
}
static inline const state *state_at(const vg_race_global *g, uint32_t x) { return &g->states.v[(x & INDEX) - g->first_state]; }
static inline const pair *pair_at(const vg_race_global *g, uint32_t x) { return &g->pairs.v[(x & INDEX) - g->first_pair]; }

static inline size_t race_record_bytes(const vg_race_global *g) {
    return g->accesses.n * sizeof(record) + g->shapes.n * sizeof(shape) + g->moments.n * sizeof(moment) + g->states.n * sizeof(state) + g->pairs.n * sizeof(pair);
}

// An access on its way through granules. number: of x, 0: none yet; lane: of a scattered one; known: a granule that was `from` and has `from_bytes` touched becomes `to`.
typedef struct cursor {
    vg_warp *w;
    const vg_inst *in;
    const access *x;
    vg_alloc *a;
    uint32_t number, from, to;
    uint8_t from_bytes, lane;
    char kind;
    bool known;
} cursor;
void race_touch(cursor *k, uint32_t *cells, size_t first_byte, size_t end_byte);   // bytes of the allocation, whose granules cells are
uint32_t *race_granules_of(vg_alloc *a);                       // made when it has none; NULL: no memory
void race_judge_late(vg_race_global *g);                       // stores that waited until they had happened

// Takes out what no granule names any more; the others get new numbers from 1 on. Without memory for that, everything is forgotten.
void race_sweep(vg_race_global *g);
void race_drop_granules(vg_alloc *a, void *self);   // for vg_memory_each
#endif
