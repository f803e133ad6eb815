// race_shared: see race.h. Each 4-byte cell of shared memory keeps its last writers and readers with the bytes they touched; a record is
// ordered before a later access when the accessing warp's vector clock has reached the record's clock, or within one warp when the lanes
// synchronised since. A plain write over an unordered one is a race when it changes the bytes, so it is judged after it has happened.
#include "vgpu/race_internal.h"
#include <stdio.h>
#include <string.h>

enum { CELL = 4, BYTES_MAX = 16 };

typedef struct record {
    uint32_t clock, epoch, site;
    uint16_t thread;                   // warp * 32 + lane
    uint8_t mask;                      // bytes of the cell; 0: unused
    bool strong : 1, is_volatile : 1;
} record;
typedef struct cell {
    record writer[2];                  // [1]: another part of the cell, or a plain write before atomic ones
    record reader[3];                  // latest; another lane of its warp; a lane of another warp
} cell;
typedef struct store {                 // a plain write over an unordered one
    vg_warp *w;
    const vg_inst *in;
    size_t offset;
    record other;
    unsigned lane, bytes;
    uint16_t conflict;                 // bytes in question
    uint8_t old[BYTES_MAX];
} store;
struct race_cells {
    cell *cells;
    store last;                        // last.w NULL: none
};

race_cells *race_cells_new(size_t shared_bytes) {
    race_cells *c = hone_calloc(1, sizeof *c);
    if (c && (c->cells = hone_calloc((shared_bytes + CELL - 1) / CELL + 1, sizeof *c->cells)))
        return c;
    hone_free(c);
    return NULL;
}

void race_cells_free(race_cells *c) {
    if (c)
        hone_free(c->cells);
    hone_free(c);
}

static bool is_ordered(const race_warp *s, const record *p, uint32_t thread) {
    const unsigned warp = p->thread / VG_LANES;
    if (warp != thread / VG_LANES)
        return p->clock <= s->now.v[warp];
    return race_lanes_ordered(s, 1u << thread % VG_LANES, 1u << p->thread % VG_LANES, p->epoch);
}

static void report(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind, const record *p, bool other_writes) {
    char where[48];
    snprintf(where, sizeof where, "at offset %zu of shared memory", offset);
    const bool same_warp = p->thread / VG_LANES == w->index, rmw = p->strong && !p->is_volatile;
    race_report(w, in, lane, "race.shared", VG_SHARED_WINDOW + offset, bytes, kind,
                &(race_other){p->site, p->thread, w->block->linear, rmw ? "updates" : other_writes ? "writes" : "reads"}, where,
                same_warp ? "__syncwarp or barrier" : "barrier");
}

// The store that waited has happened: another value is a race, the same one is not.
void race_cells_flush(race_cells *c) {
    if (!c || !c->last.w)
        return;
    store *s = &c->last;
    const uint8_t *now = s->w->block->shared + s->offset;
    bool changed = false;
    for (unsigned i = 0; i < s->bytes; i++)
        changed |= (s->conflict >> i & 1) && now[i] != s->old[i];
    if (changed)
        report(s->w, s->in, s->lane, s->offset, s->bytes, 's', &s->other, true);
    s->w = NULL;
}

// The record of x by a thread. x itself keeps no thread: a field written just before the whole is read holds the processor up.
static inline void put_record(record *to, const record *x, uint16_t thread) {
    *to = *x;
    to->thread = thread;
}

static inline void note_read(cell *c, const record *x, uint16_t thread) {
    record *r = c->reader;
    if (r[0].thread == thread && r[0].mask) {
        const bool same = r[0].clock == x->clock && r[0].epoch == x->epoch;
        const uint8_t mask = (uint8_t)((same ? r[0].mask : 0) | x->mask);
        put_record(&r[0], x, thread);
        r[0].mask = mask;
        return;
    }
    if (r[0].thread / VG_LANES == thread / VG_LANES) {
        r[1] = r[0];
    } else {
        r[2] = r[0];
        r[1].mask = 0;
    }
    put_record(&r[0], x, thread);
}

static inline void note_write(cell *c, const record *x, uint16_t thread) {
    record *k = c->writer;
    if (k[0].mask & ~x->mask || (k[0].mask && x->strong && !k[0].strong))   // an update does not hide the plain write below it
        k[1] = k[0];
    else if (!x->strong && !(k[1].mask & ~x->mask))
        k[1].mask = 0;
    put_record(&k[0], x, thread);
    for (unsigned i = 0; i < 3; i++)
        c->reader[i].mask &= (uint8_t)~x->mask;
}

// Two strong accesses do not race; volatile ones within a warp do, unless a fence shows that they are meant to signal: warp-synchronous code
// with volatile was never promised to work since Volta.
static bool both_strong(const race_warp *s, const record *p, const record *x) {
    return p->strong && x->strong && (p->thread / VG_LANES != x->thread / VG_LANES || s->fenced || !(p->is_volatile || x->is_volatile));
}

// The first record of the list that x races with, or NULL.
static const record *conflict(const race_warp *s, const record *list, unsigned n, const record *x) {
    for (unsigned i = 0; i < n; i++)
        if (list[i].mask & x->mask && !both_strong(s, &list[i], x) && !is_ordered(s, &list[i], x->thread))
            return &list[i];
    return NULL;
}

static bool is_plain(const record *r) { return !r->strong || r->is_volatile; }

typedef struct verdict { record found, over; bool has_found, found_writes; uint16_t conflict; } verdict;   // over: the write that a plain store covers

static void judge(const race_warp *s, cell *c, const record *x, char kind, unsigned first_byte, unsigned n, verdict *v) {
    const record *before = conflict(s, c->writer, 2, x), *reader = kind == 'l' || before ? NULL : conflict(s, c->reader, 3, x);
    if (before && kind == 's' && is_plain(x) && is_plain(before)) {
        v->over = v->conflict ? v->over : *before;
        v->conflict |= (uint16_t)(((1u << n) - 1) << first_byte);
    } else if (before || reader) {
        v->found = before ? *before : *reader;
        v->found_writes = before != NULL;
        v->has_found = true;
    }
}

void vg_race_access(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes, char kind) {
    vg_race *r = w->block->race;
    race_cells_flush(r->cells);
    if (!r->cells || !in->src || bytes > BYTES_MAX)
        return;
    race_warp *s = race_warp_of(w);
    record x = {.clock = s->now.v[w->index], .epoch = s->epoch, .site = race_site(w, in), .thread = (uint16_t)(w->index * VG_LANES + lane),
                .strong = race_is_strong(in->src), .is_volatile = race_is_volatile(in->src)};
    verdict v = {.has_found = false};
    if (kind != 's')
        race_async_read(w, in, lane, offset, bytes);
    for (size_t at = offset; at < offset + bytes && !v.has_found;) {
        const size_t end = (at / CELL + 1) * CELL < offset + bytes ? (at / CELL + 1) * CELL : offset + bytes;
        cell *c = &r->cells->cells[at / CELL];
        x.mask = (uint8_t)(((1u << (end - at)) - 1) << at % CELL);
        judge(s, c, &x, kind, (unsigned)(at - offset), (unsigned)(end - at), &v);
        if (v.has_found)
            break;
        if (kind == 'l')
            note_read(c, &x, x.thread);
        else
            note_write(c, &x, x.thread);
        at = end;
    }
    if (v.has_found) {
        report(w, in, lane, offset, bytes, kind, &v.found, v.found_writes);
    } else if (v.conflict) {
        r->cells->last = (store){.w = w, .in = in, .offset = offset, .other = v.over, .lane = lane, .bytes = bytes, .conflict = v.conflict};
        memcpy(r->cells->last.old, w->block->shared + offset, bytes);
    }
    if (x.strong && in->src->op != PTX_OP_MBARRIER && in->src->op != PTX_OP_CP)
        race_strong(w, in->src, r->objects, offset / CELL * CELL, 1u << lane, kind);
}

// ---- a whole warp

// Is the record ordered before the thread, as can be seen at a glance?
static inline bool is_settled(const race_warp *s, const record *p, uint32_t thread) {
    const unsigned warp = p->thread / VG_LANES;
    return !p->mask || (warp != thread / VG_LANES ? p->clock <= s->now.v[warp] : p->epoch <= s->full || p->thread == thread);
}

// The same for whichever lane of the warp comes.
static inline bool is_settled_for_all(const race_warp *s, const record *p, uint32_t index) {
    const unsigned warp = p->thread / VG_LANES;
    return !p->mask || (warp != index ? p->clock <= s->now.v[warp] : p->epoch <= s->full);
}

// Are the writers of all cells ordered before a thread's load? *for_all: before any lane's of its warp.
static bool load_settled(const vg_race *r, const race_warp *s, uint32_t thread, uint32_t offset, unsigned bytes, bool *for_all) {
    bool mine = true, all = true;
    for (const cell *c = &r->cells->cells[offset / CELL], *end = c + bytes / CELL; c < end; c++)
        for (unsigned i = 0; i < 2; i++) {
            const bool each = is_settled_for_all(s, &c->writer[i], thread / VG_LANES);
            all &= each;
            mine &= each || c->writer[i].thread == thread;
        }
    *for_all = all;
    return mine;
}

static bool all_settled(const vg_race *r, const race_warp *s, uint32_t index, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes) {
    bool settled = true;
    int64_t before = -1;
    for (uint32_t m = mask; m && settled; m &= m - 1) {
        const uint32_t at = offset[__builtin_ctz(m)], thread = index * VG_LANES + (uint32_t)__builtin_ctz(m);
        settled = (int64_t)at > before;                // ascending: no two lanes on one place
        before = (int64_t)at + bytes - 1;
        for (const cell *c = &r->cells->cells[at / CELL], *end = c + bytes / CELL; c < end && settled; c++)
            settled = is_settled(s, &c->writer[0], thread) && is_settled(s, &c->writer[1], thread) && is_settled(s, &c->reader[0], thread) &&
                      is_settled(s, &c->reader[1], thread) && is_settled(s, &c->reader[2], thread);
    }
    return settled;
}

enum { NOWHERE = UINT32_MAX };
static void load_row(vg_warp *w, const vg_inst *in, const record *x, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes) {
    const vg_race *r = w->block->race;
    const race_warp *s = race_warp_of(w);
    uint32_t settled = NOWHERE;                        // the place of the lane before, whose writers are before all lanes
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint32_t next = m & (m - 1), third = next & (next - 1), thread = w->index * VG_LANES + l, at = offset[l];
        bool for_all = at == settled;
        if (!for_all && !load_settled(r, s, thread, at, bytes, &for_all)) {
            vg_race_access(w, in, l, at, bytes, 'l');
            continue;
        }
        settled = for_all ? at : NOWHERE;
        if (for_all && third && offset[__builtin_ctz(next)] == at && offset[__builtin_ctz(third)] == at)
            continue;                                  // of those who read one place only the last two are kept
        for (cell *c = &r->cells->cells[at / CELL], *end = c + bytes / CELL; c < end; c++)
            note_read(c, x, (uint16_t)thread);
    }
}

static void store_row(const vg_warp *w, const record *x, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes) {
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        for (cell *c = &w->block->race->cells->cells[offset[l] / CELL], *end = c + bytes / CELL; c < end; c++)
            note_write(c, x, (uint16_t)(w->index * VG_LANES + l));
    }
}

bool vg_race_shared_row(vg_warp *w, const vg_inst *in, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes, char kind) {
    vg_race *r = w->block->race;
    if (!r->cells || !in->src || r->async || bytes % CELL || race_is_strong(in->src))
        return false;
    race_cells_flush(r->cells);
    const race_warp *s = race_warp_of(w);
    const record x = {.clock = s->now.v[w->index], .epoch = s->epoch, .site = race_site(w, in), .mask = (1u << CELL) - 1};
    if (kind == 's' && !all_settled(r, s, w->index, offset, mask, bytes))
        return false;
    if (kind == 's')
        store_row(w, &x, offset, mask, bytes);
    else
        load_row(w, in, &x, offset, mask, bytes);
    return true;
}
