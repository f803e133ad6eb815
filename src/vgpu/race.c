// race: see race.h. Each 4-byte cell of shared memory keeps its last writers and readers with the bytes they touched; a record is ordered
// before a later access when the accessing warp's vector clock has reached the record's clock, or within one warp when the lanes
// synchronised since. Clocks go on from block to block, so that the cells need no clearing. After FastTrack (Flanagan and Freund, PLDI
// 2009), with warps as threads.
#include "vgpu/race.h"
#include "vgpu/context.h"
#include <stdio.h>
#include <string.h>

enum { WARPS_MAX = 32, BARRIERS = 18 /* the block's, then two that cluster barriers take in turn */, CELL = 4, BYTES_MAX = 16, PLACE_BYTES = 48 };

typedef struct record {
    uint32_t clock, epoch, line;       // line: of the source, or of the PTX with the top bit set
    uint16_t thread;                   // warp * 32 + lane
    uint8_t mask;                      // bytes of the cell; 0: unused
    bool atomic;
} record;
typedef struct cell {
    record writer[2];                  // [1]: another part of the cell, or a plain write before atomic ones
    record reader[3];                  // latest; another lane of its warp; a lane of another warp
} cell;
typedef struct clocks { uint32_t v[WARPS_MAX]; } clocks;   // per warp: up to which of its clocks everything is ordered before
typedef struct warp_state {
    clocks now, fence, pending;        // pending: seen by relaxed reads, in force after a fence
    bool fenced;
    uint32_t epoch, full;              // synchronisations of lanes; the last of all lanes
    uint32_t seen[VG_LANES][VG_LANES]; // [lane][other]: last epoch of `other` that is ordered before lane
} warp_state;
typedef struct object { clocks released; } object;
typedef struct store {                 // a plain write over an unordered one: a race when it changes the bytes
    vg_warp *w;
    const vg_inst *in;
    size_t offset;
    record other;
    unsigned lane, bytes;
    uint16_t conflict;                 // bytes in question
    uint8_t old[BYTES_MAX];
} store;

struct vg_race {
    size_t shared_bytes;
    uint32_t n_warps;
    cell *cells;
    warp_state *warps;
    clocks barrier[BARRIERS];
    uint32_t *object_of;               // per 4 bytes: index in objects + 1; NULL until needed
    HONE_VEC(object) objects;
    store last;                        // last.w NULL: none
};

static size_t cell_count(size_t shared_bytes) { return (shared_bytes + CELL - 1) / CELL + 1; }

vg_race *vg_race_new(size_t shared_bytes, uint32_t n_warps) {
    vg_race *r = hone_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->shared_bytes = shared_bytes;
    r->n_warps = n_warps;
    r->cells = hone_calloc(cell_count(shared_bytes), sizeof *r->cells);
    r->warps = hone_calloc(n_warps, sizeof *r->warps);
    if (r->cells && r->warps && n_warps <= WARPS_MAX)
        return r;
    vg_race_free(r);
    return NULL;
}

void vg_race_free(vg_race *r) {
    if (!r)
        return;
    hone_free(r->cells);
    hone_free(r->warps);
    hone_free(r->object_of);
    hone_vec_free(&r->objects);
    hone_free(r);
}

void vg_race_begin(vg_race *r) {
    uint32_t base = 0;
    for (uint32_t i = 0; i < r->n_warps; i++)
        base = r->warps[i].now.v[i] > base ? r->warps[i].now.v[i] : base;
    for (uint32_t i = 0; i < r->n_warps; i++) {
        warp_state *s = &r->warps[i];
        for (uint32_t k = 0; k < WARPS_MAX; k++)
            s->now.v[k] = base;
        s->now.v[i] = base + 1;
        s->fence = s->pending = (clocks){0};
        s->fenced = false;
        s->full = s->epoch++;
    }
    memset(r->barrier, 0, sizeof r->barrier);
    if (r->objects.n)
        memset(r->object_of, 0, cell_count(r->shared_bytes) * sizeof *r->object_of);
    r->objects.n = 0;
    r->last.w = NULL;
}

static void join(clocks *to, const clocks *from) {
    for (unsigned i = 0; i < WARPS_MAX; i++)
        to->v[i] = to->v[i] > from->v[i] ? to->v[i] : from->v[i];
}

static warp_state *state_of(const vg_warp *w) { return &w->block->race->warps[w->index]; }

// ---- findings

static bool is_ordered(const warp_state *s, const record *p, uint32_t thread) {
    const unsigned warp = p->thread / VG_LANES, lane = p->thread % VG_LANES;
    if (warp != thread / VG_LANES)
        return p->clock <= s->now.v[warp];
    return p->thread == thread || p->epoch <= s->full || p->epoch <= s->seen[thread % VG_LANES][lane];
}

static void report(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind, const record *other,
                   bool other_writes) {
    const uint32_t *block = w->block->launch->block, t = other->thread, line = other->line & 0x7fffffffu;
    char place[PLACE_BYTES] = "";
    if (line)
        snprintf(place, sizeof place, " in %sline %u", other->line >> 31 ? "PTX " : "", line);
    const bool same_warp = t / VG_LANES == w->index;
    vg_report(w, in, lane, "race.shared", VG_SHARED_WINDOW + offset, bytes, kind != 'l',
              "%s %u bytes at offset %zu of shared memory that thread (%u,%u,%u)%s %s%s, with no %s between the two",
              kind == 'l' ? "reads" : kind == 's' ? "writes" : "updates", bytes, offset, t % block[0],
              t / block[0] % block[1], t / block[0] / block[1],
              same_warp ? " of the same warp" : "", other->atomic ? "updates" : other_writes ? "writes" : "reads", place,
              same_warp ? "__syncwarp or barrier" : "barrier");
}

// The store that waited has happened: another value is a race, the same one is not.
void vg_race_flush(vg_race *r) {
    store *s = &r->last;
    if (!s->w)
        return;
    const uint8_t *now = s->w->block->shared + s->offset;
    bool changed = false;
    for (unsigned i = 0; i < s->bytes; i++)
        changed |= (s->conflict >> i & 1) && now[i] != s->old[i];
    if (changed)
        report(s->w, s->in, s->lane, s->offset, s->bytes, 's', &s->other, true);
    s->w = NULL;
}

// ---- accesses

static bool is_atomic(const ptx_inst *in) {
    if (in->op == PTX_OP_MBARRIER)
        return in->sub != PTX_MB_INIT;
    return in->op == PTX_OP_ATOM || in->op == PTX_OP_RED || in->sem >= PTX_RELAXED ||
           (in->op == PTX_OP_CP && in->sub == PTX_CP_MBARRIER_ARRIVE);
}

static void note_read(cell *c, const record *x) {
    record *r = c->reader;
    if (r[0].thread == x->thread && r[0].mask) {
        const bool same = r[0].clock == x->clock && r[0].epoch == x->epoch;
        const uint8_t mask = (uint8_t)((same ? r[0].mask : 0) | x->mask);
        r[0] = *x;
        r[0].mask = mask;
        return;
    }
    if (r[0].thread / VG_LANES == x->thread / VG_LANES) {
        r[1] = r[0];
    } else {
        r[2] = r[0];
        r[1].mask = 0;
    }
    r[0] = *x;
}

static void note_write(cell *c, const record *x) {
    record *k = c->writer;
    if (k[0].mask & ~x->mask || (k[0].mask && x->atomic && !k[0].atomic))   // an update does not hide the plain write below it
        k[1] = k[0];
    else if (!x->atomic && !(k[1].mask & ~x->mask))
        k[1].mask = 0;
    k[0] = *x;
    for (unsigned i = 0; i < 3; i++)
        c->reader[i].mask &= (uint8_t)~x->mask;
}

// The first record of the list that x races with, or NULL.
static const record *conflict(const warp_state *s, const record *list, unsigned n, const record *x) {
    for (unsigned i = 0; i < n; i++)
        if (list[i].mask & x->mask && !(list[i].atomic && x->atomic) && !is_ordered(s, &list[i], x->thread))
            return &list[i];
    return NULL;
}

static object *object_at(vg_race *r, size_t offset, bool make) {
    if (!r->object_of && make)
        r->object_of = hone_calloc(cell_count(r->shared_bytes), sizeof *r->object_of);
    if (!r->object_of)
        return NULL;
    uint32_t *index = &r->object_of[offset / CELL];
    if (!*index && make && hone_vec_push(&r->objects, (object){0}))
        *index = (uint32_t)r->objects.n;
    return *index ? &r->objects.v[*index - 1] : NULL;
}

// PTX ISA 8.9: a strong write after a fence, or with release semantics, publishes; a strong read observes, at once with acquire, else by
// a later fence.
static void strong_access(vg_warp *w, const ptx_inst *in, size_t offset, char kind) {
    vg_race *r = w->block->race;
    warp_state *s = state_of(w);
    const bool both = in->sem == PTX_ACQ_REL || in->sem == PTX_SC;
    object *o = object_at(r, offset, false);
    if (kind != 's' && o)
        join(in->sem == PTX_ACQUIRE || both ? &s->now : &s->pending, &o->released);
    if (kind == 'l')
        return;
    if (in->sem == PTX_RELEASE || both)
        vg_race_publish(w, offset);
    else if (s->fenced && (o = object_at(r, offset, true)))
        join(&o->released, &s->fence);
}

void vg_race_access(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind) {
    vg_race *r = w->block->race;
    vg_race_flush(r);
    if (!in->src || bytes > BYTES_MAX)
        return;
    warp_state *s = state_of(w);
    record x = {.clock = s->now.v[w->index], .epoch = s->epoch, .line = in->src->src_line ? in->src->src_line : in->src->line | 1u << 31,
                .thread = (uint16_t)(w->index * VG_LANES + lane), .atomic = is_atomic(in->src)};
    const record *found = NULL;
    bool found_write = false;
    store later = {.w = NULL};
    for (size_t at = offset; at < offset + bytes;) {
        const size_t end = (at / CELL + 1) * CELL < offset + bytes ? (at / CELL + 1) * CELL : offset + bytes;
        cell *c = &r->cells[at / CELL];
        x.mask = (uint8_t)(((1u << (end - at)) - 1) << at % CELL);
        const record *before = conflict(s, c->writer, 2, &x), *reader = kind == 'l' || before ? NULL : conflict(s, c->reader, 3, &x);
        if (before && kind == 's' && !x.atomic && !before->atomic) {
            later.other = later.conflict ? later.other : *before;
            later.conflict |= (uint16_t)(((1u << (end - at)) - 1) << (at - offset));
        } else if (!found && (before || reader)) {
            found = before ? before : reader;
            found_write = before != NULL;
        }
        if (found)
            break;
        if (kind == 'l')
            note_read(c, &x);
        else
            note_write(c, &x);
        at = end;
    }
    if (found)
        report(w, in, lane, offset, bytes, kind, found, found_write);
    else if (later.conflict) {
        later.w = w, later.in = in, later.offset = offset, later.lane = lane, later.bytes = bytes;
        memcpy(later.old, w->block->shared + offset, bytes);
        r->last = later;
    }
    if ((x.atomic && in->src->op != PTX_OP_MBARRIER && in->src->op != PTX_OP_CP) || in->src->sem == PTX_VOLATILE)
        strong_access(w, in->src, offset, kind);
}

// ---- order

void vg_race_warp_sync(vg_warp *w, uint32_t mask) {
    warp_state *s = state_of(w);
    if ((w->live & ~mask) == 0) {
        s->full = s->epoch++;
        return;
    }
    uint32_t all[VG_LANES] = {0};
    for (uint32_t m = mask; m; m &= m - 1)
        for (unsigned k = 0; k < VG_LANES; k++) {
            const uint32_t seen = s->seen[__builtin_ctz(m)][k];
            all[k] = seen > all[k] ? seen : all[k];
        }
    for (uint32_t m = mask; m; m &= m - 1)
        all[__builtin_ctz(m)] = s->epoch;
    for (uint32_t m = mask; m; m &= m - 1)
        memcpy(s->seen[__builtin_ctz(m)], all, sizeof all);
    s->epoch++;
}

void vg_race_arrive(vg_warp *w, unsigned barrier) {
    vg_race_flush(w->block->race);
    warp_state *s = state_of(w);
    join(&w->block->race->barrier[barrier], &s->now);
    s->now.v[w->index]++;
}

void vg_race_leave(vg_warp *w, unsigned barrier, uint32_t mask) {
    join(&state_of(w)->now, &w->block->race->barrier[barrier]);
    vg_race_warp_sync(w, mask);
}

void vg_race_barrier_done(vg_race *r, unsigned barrier) { r->barrier[barrier] = (clocks){0}; }

void vg_race_fence(vg_warp *w) {
    warp_state *s = state_of(w);
    join(&s->now, &s->pending);
    s->fence = s->now;
    s->fenced = true;
    s->now.v[w->index]++;
}

void vg_race_publish(vg_warp *w, size_t offset) {
    warp_state *s = state_of(w);
    object *o = object_at(w->block->race, offset, true);
    if (o)
        join(&o->released, &s->now);
    s->now.v[w->index]++;
}

void vg_race_observe(vg_warp *w, size_t offset) {
    const object *o = object_at(w->block->race, offset, false);
    if (o)
        join(&state_of(w)->now, &o->released);
}
