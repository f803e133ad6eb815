// Device memory: one flat 64-bit address space with red zones between allocations, one initialisation bit per byte, names.
// Device addresses are not host addresses: base + offset are looked up, so that a stray address is a finding, not a crash.
#ifndef HONE_VGPU_MEM_H
#define HONE_VGPU_MEM_H
#include "base/base.h"

typedef struct vg_shadow { uint64_t *bits; size_t bytes; } vg_shadow;   // bit = 1: written since allocation

typedef struct vg_alloc {
    uint64_t base;          // device address
    size_t bytes;
    uint8_t *host;          // backing, page aligned, lazily populated (mmap)
    vg_shadow init;         // lazily populated (mmap); all ones means a plain memset
    char name[48];
    uint32_t id;            // running number
    bool freed;             // kept in quarantine for use-after-free findings
    bool read_only;
    uint32_t kind;          // 0 cuMemAlloc, 1 module global, 2 host-registered, 3 managed
} vg_alloc;

typedef struct vg_memory vg_memory;
vg_memory *vg_memory_new(size_t capacity_bytes);                          // capacity: the modelled device's
void vg_memory_free_all(vg_memory *m);
// errors: HONE_E_NOMEM over capacity or when the host has none. Address order depends on layout_seed (0: ascending).
hone_code vg_memory_alloc(vg_memory *m, size_t bytes, size_t align, uint32_t kind, vg_alloc **out, hone_err *e);
hone_code vg_memory_free(vg_memory *m, uint64_t base, hone_err *e);
// The live allocation that holds [addr, addr+bytes), or NULL. Lock-free for readers during launches.
vg_alloc *vg_memory_find(const vg_memory *m, uint64_t addr, size_t bytes);
// The nearest allocation, live or freed, for messages.
const vg_alloc *vg_memory_nearest(const vg_memory *m, uint64_t addr);
size_t vg_memory_used(const vg_memory *m);

// Windows of the generic address space for shared and local memory (as on hardware, apart from global addresses).
#define VG_SHARED_WINDOW 0x00007e0000000000ull   /* + offset */
#define VG_LOCAL_WINDOW  0x00007c0000000000ull   /* + lane-relative offset */
#define VG_WINDOW_BYTES  0x0000000001000000ull
#endif
