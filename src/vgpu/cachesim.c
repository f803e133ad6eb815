// A sectored cache: 128-byte lines of four 32-byte sectors, 8-way sets with LRU. Serves as the L1 of one modelled SM (loads only: it is
// write-through without allocation) and as that SM's share of L2, which loads and stores compete for (counters.c).
#include "vgpu/cachesim.h"
#include "base/mem.h"
#include <string.h>

enum { WAYS = 8 };
typedef struct way {
    uint64_t line, touched;   // touched: warps that loaded it since its last fill, one bit each
    uint32_t stamp;
    uint8_t sectors, dirty;
} way;
struct vg_cache {
    way *ways;
    uint32_t sets;       // power of two or not: index by multiply-shift
    uint32_t capacity_sets;
    uint32_t clock;
};

vg_cache *vg_cache_new(size_t max_bytes) {
    vg_cache *c = hone_calloc(1, sizeof *c);
    uint32_t sets = (uint32_t)(max_bytes / (128 * WAYS));
    way *ways = hone_calloc((size_t)(sets ? sets : 1) * WAYS, sizeof *ways);
    if (!c || !ways) {
        hone_free(c);
        hone_free(ways);
        return NULL;
    }
    *c = (vg_cache){.ways = ways, .capacity_sets = sets ? sets : 1, .sets = sets ? sets : 1};
    return c;
}

void vg_cache_free(vg_cache *c) {
    if (c)
        hone_free(c->ways);
    hone_free(c);
}

void vg_cache_reset(vg_cache *c, size_t bytes) {
    uint32_t sets = (uint32_t)(bytes / (128 * WAYS));
    c->sets = sets < 1 ? 1 : sets > c->capacity_sets ? c->capacity_sets : sets;
    memset(c->ways, 0, (size_t)c->sets * WAYS * sizeof *c->ways);
    c->clock = 0;
}

static way *set_of(vg_cache *c, uint64_t line) {
    uint64_t mixed = (line * 0x9E3779B97F4A7C15ull) >> 32;   // hardware hashes the index too: power-of-two strides do not thrash one set
    return c->ways + (size_t)((mixed * c->sets) >> 32) * WAYS;
}

static unsigned hit_way(way *w, unsigned sectors, uint64_t warp, bool *first) {
    const unsigned hit = w->sectors & sectors;
    *first = hit != sectors || !(w->touched & warp);
    w->touched = hit == sectors ? w->touched | warp : warp;
    w->sectors |= (uint8_t)sectors;
    return hit;
}

unsigned vg_cache_load_by(vg_cache *c, uint64_t line, unsigned sectors, uint64_t warp, bool *first) {
    way *set = set_of(c, line), *victim = set;
    uint32_t now = ++c->clock;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].stamp && set[i].line == line) {
            set[i].stamp = now;
            return hit_way(&set[i], sectors, warp, first);
        }
        if (set[i].stamp < victim->stamp)
            victim = &set[i];
    }
    *victim = (way){.line = line, .stamp = now, .sectors = (uint8_t)sectors, .touched = warp};
    *first = true;
    return 0;
}

unsigned vg_cache_load(vg_cache *c, uint64_t line, unsigned sectors) {
    bool first;
    return vg_cache_load_by(c, line, sectors, 0, &first);
}

unsigned vg_cache_store(vg_cache *c, uint64_t line, unsigned sectors) {
    vg_cache_load(c, line, sectors);
    way *set = set_of(c, line);
    for (int i = 0; i < WAYS; i++)
        if (set[i].stamp && set[i].line == line) {
            const unsigned before = set[i].dirty & sectors;
            set[i].dirty |= (uint8_t)sectors;
            return before;
        }
    return 0;
}

void vg_cache_drop(vg_cache *c, uint64_t line, unsigned sectors) {
    way *set = set_of(c, line);
    for (int i = 0; i < WAYS; i++)
        if (set[i].stamp && set[i].line == line)
            set[i].sectors &= (uint8_t)~sectors;
}

unsigned vg_cache_probe(vg_cache *c, uint64_t line, unsigned sectors) {
    const way *set = set_of(c, line);
    for (int i = 0; i < WAYS; i++)
        if (set[i].stamp && set[i].line == line)
            return set[i].sectors & sectors;
    return 0;
}
