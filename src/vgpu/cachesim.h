// The simulated L1 of one SM (cachesim.c). Lines are 128-byte line numbers (address / 128), sectors a mask of four.
#ifndef HONE_VGPU_CACHESIM_H
#define HONE_VGPU_CACHESIM_H
#include "vgpu/counters.h"
vg_cache *vg_cache_new(size_t max_bytes);                               // NULL when out of memory
void vg_cache_free(vg_cache *c);
void vg_cache_reset(vg_cache *c, size_t bytes);                         // empties it and sets its size, at most max_bytes
// A load of these sectors of a line: returns those that hit; the others are filled.
unsigned vg_cache_load(vg_cache *c, uint64_t line, unsigned sectors);
// The same for a warp (one bit of 64): *first when it waits, since a sector misses or the warp loads the line for the first time since another one made
// it come. Warps that walk the same data do so in step, and all of them wait for what one of them misses.
unsigned vg_cache_load_by(vg_cache *c, uint64_t line, unsigned sectors, uint64_t warp, bool *first);
// The sectors of this mask that are present, without touching anything.
unsigned vg_cache_probe(vg_cache *c, uint64_t line, unsigned sectors);
// A store that allocates and is written back when it is evicted: returns those that were dirty already.
unsigned vg_cache_store(vg_cache *c, uint64_t line, unsigned sectors);
// A store drops these sectors (L1 on current GPUs: the next load of them goes to L2 again).
void vg_cache_drop(vg_cache *c, uint64_t line, unsigned sectors);
#endif
