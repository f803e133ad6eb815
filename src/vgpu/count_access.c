// Counting one warp's memory access: 32-byte sectors and 128-byte lines of global accesses through the L1 and the SM's share of L2,
// bank conflicts of shared ones, contention of atomics. Called by the memory handlers when a launch is counted.
#include "base/mem.h"
#include "vgpu/count_state.h"
#include <string.h>

enum { MAX_LINES = 64 };   // 32 lanes, each may straddle two lines
typedef struct line_set { uint64_t line[MAX_LINES]; uint8_t sectors[MAX_LINES]; unsigned n; } line_set;

static void add_line(line_set *s, uint64_t line, unsigned sectors) {
    for (unsigned i = s->n; i-- > 0;) {          // newest first: neighbours share lines
        if (s->line[i] == line) {
            s->sectors[i] |= (uint8_t)sectors;
            return;
        }
    }
    if (s->n < MAX_LINES) {
        s->line[s->n] = line;
        s->sectors[s->n++] = (uint8_t)sectors;
    }
}

static void add_range(line_set *s, uint64_t first, uint64_t bytes) {
    uint64_t last = first + bytes - 1;
    for (uint64_t line = first >> 7; line <= last >> 7; line++) {
        unsigned from = line == first >> 7 ? (unsigned)(first >> 5 & 3) : 0, to = line == last >> 7 ? (unsigned)(last >> 5 & 3) : 3;
        add_line(s, line, (2u << to) - (1u << from));
    }
}

// Whether the warp waits for L2.
static bool load_line(vg_counter_sink *s, vg_inst_count *c, uint64_t line, unsigned sectors, bool bypass) {
    vg_count_state *st = s->state;
    bool first = true;
    unsigned hit = bypass ? 0 : vg_cache_load_by(s->l1, line, sectors, s->warp, &first), miss = sectors & ~hit;
    c->l1_hits += (unsigned)__builtin_popcount(hit);
    if (!miss)
        return first;
    st->l1_misses += (unsigned)__builtin_popcount(miss);
    unsigned in_l2 = vg_cache_probe(st->l2, line, 15), wanted = miss & ~in_l2;
    unsigned pairs = (wanted | (wanted & 5) << 1 | (wanted & 10) >> 1) & ~in_l2;   // DRAM gives 64 bytes at a time
    vg_cache_load(st->l2, line, miss | pairs);
    st->dram_reads += (unsigned)__builtin_popcount(pairs);
    c->dram += (unsigned)__builtin_popcount(pairs);
    return true;
}

static void store_line(vg_counter_sink *s, vg_inst_count *c, uint64_t line, unsigned sectors) {
    vg_count_state *st = s->state;
    st->stores_l2 += (unsigned)__builtin_popcount(sectors);
    vg_cache_drop(s->l1, line, sectors);
    unsigned dirty = vg_cache_store(st->l2, line, sectors), fresh = (unsigned)__builtin_popcount(sectors & ~dirty);
    st->dram_writes += fresh;
    c->dram += fresh;
}

static void count_lines(vg_counter_sink *s, uint32_t inst, const line_set *set, uint64_t useful_bytes, char kind) {
    vg_inst_count *c = &s->insts[inst];
    unsigned sectors = 0;
    bool waits = false;
    for (unsigned i = 0; i < set->n; i++) {
        sectors += (unsigned)__builtin_popcount(set->sectors[i]);
        if (kind != 's')
            waits |= load_line(s, c, set->line[i], set->sectors[i], kind == 'a' || kind == 'b');
        if (kind == 's' || kind == 'a')
            store_line(s, c, set->line[i], set->sectors[i]);
        vg_footprint_mark(&s->state->all, set->line[i], set->sectors[i], &s->state->failed);
        vg_footprint_mark(&s->state->group, set->line[i], set->sectors[i], &s->state->failed);
    }
    if (kind == 's' && useful_bytes < 32u * sectors) {
        s->state->partial_store_lines += set->n;
        c->partial_lines += set->n;
    }
    if (kind == 'a')
        s->state->atomic_sectors += sectors;
    unsigned ideal = (unsigned)((useful_bytes + 31) / 32);
    c->requests++;
    c->waits += waits;
    c->sectors += sectors;
    c->sectors_ideal += ideal < sectors ? ideal : sectors;
    c->lines += set->n;
    *(kind == 's' ? &s->state->store_bytes : &s->state->load_bytes) += useful_bytes;
}

// Keeps how far the launch read and wrote each allocation, for `hone init`.
static void observe(const vg_count_state *st, uint64_t first, uint64_t end, char kind) {
    vg_alloc *a = vg_page_alloc(st->memory, first);
    if (!a || end - a->base > a->bytes)
        return;
    if (kind != 's' && end - a->base > a->read_end)
        a->read_end = end - a->base;
    if ((kind == 's' || kind == 'a') && end - a->base > a->write_end)
        a->write_end = end - a->base;
}

// Heavy hitters survive (Misra–Gries, one counter a slot).
static void count_hot(vg_hot_address *table, uint64_t key) {
    vg_hot_address *h = &table[(key * 0x9E3779B97F4A7C15ull >> 40) % HOT_SLOTS];
    if (h->addr == key || !h->count)
        *h = (vg_hot_address){key, h->count + 1};
    else
        h->count--;
}

// The most lanes of a warp that update one address: they take turns. A small hash table, since all of them may differ.
static unsigned same_address(const uint64_t addr[32], uint32_t mask) {
    enum { SLOTS = 64 };
    uint64_t key[SLOTS];
    uint8_t n[SLOTS] = {0}, most = 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint64_t a = addr[__builtin_ctz(m)];
        unsigned at = (unsigned)(a * 0x9E3779B97F4A7C15ull >> 58);
        while (n[at] && key[at] != a)
            at = (at + 1) % SLOTS;
        key[at] = a;
        if (++n[at] > most)
            most = n[at];
    }
    return most;
}

static void count_contention(vg_count_state *st, vg_inst_count *c, const uint64_t addr[32], uint32_t mask) {
    for (uint32_t m = mask; m; m &= m - 1) {
        uint64_t a = addr[__builtin_ctz(m)];
        count_hot(st->hot, a);
        count_hot(st->hot_slice, a >> 9);
    }
    st->atomic_requests++;
    st->atomic_ops += (unsigned)__builtin_popcount(mask);
    c->atomic_ops += (unsigned)__builtin_popcount(mask);
    c->atomic_serial += same_address(addr, mask);
}

// A load gives each lane `bytes`: a warp's registers come back one at a time, wide ones in half the time when all lanes get the same (pairs_share).
static unsigned registers_back(unsigned bytes, bool same) {
    unsigned words = bytes <= 4 ? 1 : bytes / 4;
    return same && words > 1 ? words / 2 : words;
}

void vg_count_global(vg_counter_sink *s, uint32_t inst, const uint64_t addr[32], unsigned bytes, uint32_t mask, char kind) {
    line_set set = {.n = 0};
    bool same = true;
    uint64_t first = addr[__builtin_ctz(mask)], last = first;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint64_t a = addr[__builtin_ctz(m)];
        same &= a == first;
        last = a > last ? a : last;
        add_range(&set, a, bytes);
    }
    observe(s->state, last, last + bytes, kind);
    if (kind != 's')
        s->insts[inst].returns += registers_back(bytes, same);
    count_lines(s, inst, &set, same ? bytes : (uint64_t)bytes * (unsigned)__builtin_popcount(mask), kind);
    if (kind == 'a')
        count_contention(s->state, &s->insts[inst], addr, mask);
}

void vg_count_global_range(vg_counter_sink *s, uint32_t inst, uint64_t first, unsigned bytes_total, unsigned lanes, unsigned bytes, char kind) {
    if (kind != 's')
        s->insts[inst].returns += registers_back(bytes, lanes > 1 && bytes_total == bytes);
    line_set set = {.n = 0};
    add_range(&set, first, bytes_total);
    observe(s->state, first, first + bytes_total, kind);
    count_lines(s, inst, &set, bytes_total, kind);
}

// Shared memory: 32 banks of 4 bytes. Wider accesses go in phases: 8 bytes by half-warps, 16 by quarter-warps; half as many for loads in which every
// two neighbours n, n^1 (or all n, n^2) read one address (pairs_share). Lanes that read one word share it; lanes that update one word atomically
// take turns.
static unsigned phase_wavefronts(const uint32_t offset[32], uint32_t mask, unsigned words, bool atomic) {
    uint32_t seen[32][8];
    uint8_t n[32] = {0};
    unsigned worst = mask ? 1 : 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t word = offset[__builtin_ctz(m)] >> 2;
        for (unsigned k = 0; k < words; k++, word++) {
            unsigned bank = word & 31, i = 0, kept = n[bank] < 8 ? n[bank] : 8;
            while (!atomic && i < kept && seen[bank][i] != word)
                i++;
            if (!atomic && i < kept)
                continue;
            if (n[bank] < 8)
                seen[bank][n[bank]] = word;
            if (++n[bank] > worst)
                worst = n[bank];
        }
    }
    return worst;
}

// Whether active lanes n and n^step always have the same address: then two registers return in the time of one. (NVIDIA developer forum, "Unexpected
// shared memory bank conflict", for compute capability 7.x; sgemm_reg8x8 on an H200 agrees.)
static bool pairs_share(const uint32_t offset[32], uint32_t mask, unsigned step) {
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m), other = lane ^ step;
        if ((mask >> other & 1) && offset[other] != offset[lane])
            return false;
    }
    return true;
}

static void count_shared(vg_inst_count *c, const uint32_t offset[32], unsigned bytes, uint32_t mask, char kind) {
    unsigned words = bytes <= 4 ? 1 : bytes / 4, phases = words > 2 ? 4 : words;
    if (kind == 'l' && words > 1 && (pairs_share(offset, mask, 1) || pairs_share(offset, mask, 2)))
        phases /= 2;
    unsigned width = 32 / phases;
    unsigned wavefronts = 0, ideal = 0;
    for (unsigned p = 0; p < phases; p++) {
        uint32_t part = mask & (uint32_t)(((1ull << width) - 1) << (p * width));
        wavefronts += phase_wavefronts(offset, part, words, kind == 'a');
        ideal += part ? 1 : 0;
    }
    c->requests++;
    c->shared_requests++;
    c->wavefronts += wavefronts;
    c->wavefronts_ideal += ideal;
    c->returns += kind == 's' ? 0 : ideal;
}

// A load that ptxas joins with others: the first of them counts for all. Only when its address is a multiple of the joined width; ptxas could not
// have proved it otherwise.
static void count_joined(vg_counter_sink *s, uint32_t inst, const uint32_t offset[32], unsigned bytes, uint32_t mask) {
    vg_merge *m = &s->state->merge[inst];
    uint32_t first[32], low_bits = 0;
    for (unsigned l = 0; l < 32; l++) {
        first[l] = offset[l] - m->before;
        low_bits |= mask >> l & 1 ? first[l] : 0;
    }
    if (low_bits & (bytes * m->n - 1)) {
        m->n = 1;
        count_shared(&s->insts[inst], offset, bytes, mask, 'l');
        return;
    }
    count_shared(&s->insts[inst], first, bytes * m->n, mask, 'l');
}

static const vg_merge alone = {0, 0, 0};

void vg_count_shared(vg_counter_sink *s, uint32_t inst, const uint32_t offset[32], unsigned bytes, uint32_t mask, char kind) {
    const vg_merge *m = s->code == s->state->code ? &s->state->merge[inst] : &alone;   // the table is the kernel's
    if (m->n < 2 || s->state->merge[m->leader].n < 2)
        count_shared(&s->insts[inst], offset, bytes, mask, kind);
    else if (m->leader == inst)
        count_joined(s, inst, offset, bytes, mask);
    else
        s->insts[inst].joined++;
}

void vg_count_local(vg_counter_sink *s, uint32_t inst, unsigned bytes, uint32_t mask, char kind) {
    (void)kind;   // local memory is interleaved by lane, so a warp's access is contiguous; it lives in L1
    unsigned sectors = ((unsigned)__builtin_popcount(mask) * bytes + 31) / 32;
    s->insts[inst].requests++;
    s->insts[inst].local_sectors += sectors;
    s->state->local_requests++;
    s->state->local_sectors += sectors;
}
