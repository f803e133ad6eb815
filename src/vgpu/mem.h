// Device memory: one flat 64-bit address space with red zones between allocations, one initialisation bit per byte, names.
// Device addresses are not host addresses: base + offset are looked up, so that a stray address is a finding, not a crash.
//
//   0x700000000000                                                                       (1 TiB of addresses)
//   | red zone | allocation 1 | rest of its page + red zone ≥ 4 KiB | allocation 2 | … | freed: quarantined | …
//
// A page (4 KiB) holds bytes of at most one allocation, so that a two-level page table finds the allocation of an address.
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
    uint32_t kind;          // 0 cuMemAlloc, 1 module global, 2 host-registered, 3 managed or page-locked host memory (device address = host address)
    _Atomic bool initialized;   // every byte is known to be written: `init` need not be read
    size_t mapped_bytes;    // of the host mapping (backing, then shadow)
    uint64_t range_end;     // end of its addresses with the red zone behind
    struct vg_fs_cell *fs_cells;   // binary64 shadows of its words (fpshadow.h), lazily mapped; NULL: none
    uint32_t use, use_flags;    // the driver front's own: what it was allocated for
    void *owner;                // the driver front's own: its pool …
    uint32_t *granules; size_t granule_bytes;   // of the race detector (race_global.c), lazily mapped; NULL: none
    bool is_input;          // writing it is a finding, and happens (honeVgpuProtect)
    uint64_t read_end, write_end;   // furthest byte offset + 1 that counted launches read or wrote (honeVgpuObserved)
} vg_alloc;

typedef struct vg_memory vg_memory;
enum { VG_ALLOC_DEVICE, VG_ALLOC_GLOBAL, VG_ALLOC_HOST, VG_ALLOC_MANAGED, VG_ALLOC_HEAP /* device-side malloc */, VG_ALLOC_RESERVED /* addresses: below */ };
enum { VG_HEAP_FREED, VG_HEAP_TWICE, VG_HEAP_UNKNOWN };
vg_memory *vg_memory_new(size_t capacity_bytes);                          // capacity: the modelled device's
void vg_memory_free_all(vg_memory *m);
// errors: HONE_E_NOMEM over capacity or when the host has none. Address order depends on layout_seed (0: ascending).
hone_code vg_memory_alloc(vg_memory *m, size_t bytes, size_t align, uint32_t kind, vg_alloc **out, hone_err *e);
// Gives host memory that somebody else owns a device address (kind VG_ALLOC_HOST); its bytes count as written.
hone_code vg_memory_register(vg_memory *m, void *host, size_t bytes, vg_alloc **out, hone_err *e);
hone_code vg_memory_free(vg_memory *m, uint64_t base, hone_err *e);
// Frees a block of the device heap while kernels run: VG_HEAP_*. Its bytes stay mapped, since another block may still look at them.
int vg_memory_free_heap(vg_memory *m, uint64_t base, size_t *bytes);
void vg_memory_set_layout(vg_memory *m, uint64_t layout_seed);
// Virtual memory management: a reservation is one allocation of addresses whose pages are no memory until they are opened. What is behind them is a file, so
// that several places can show the same bytes. All ranges are whole 2 MiB regions. at: offset in the reservation.
enum { VG_MAP_BYTES = 1 << 21 };
hone_code vg_memory_reserve(vg_memory *m, size_t bytes, size_t align, vg_alloc **out, hone_err *e);   // freed by vg_memory_free
bool vg_memory_map(vg_memory *m, vg_alloc *a, size_t at, size_t bytes, int fd, size_t file_at);       // closed at first; false: the host refuses
void vg_memory_unmap(vg_memory *m, vg_alloc *a, size_t at, size_t bytes);
bool vg_memory_open(vg_memory *m, vg_alloc *a, size_t at, size_t bytes, bool open);                   // whether kernels and copies find it; false: out of memory
hone_code vg_memory_charge(vg_memory *m, size_t bytes, hone_err *e);                                  // counts what is behind mappings. errors: HONE_E_NOMEM
void vg_memory_uncharge(vg_memory *m, size_t bytes);
// The live allocation that holds [addr, addr+bytes), or NULL. Lock-free for readers during launches.
vg_alloc *vg_memory_find(const vg_memory *m, uint64_t addr, size_t bytes);
// The nearest allocation, live or freed, for messages.
const vg_alloc *vg_memory_nearest(const vg_memory *m, uint64_t addr);
size_t vg_memory_used(const vg_memory *m);
void vg_memory_each(vg_memory *m, void (*visit)(vg_alloc *a, void *self), void *self);   // live allocations, by address
size_t vg_memory_capacity(const vg_memory *m);

// Initialisation of [at, at+bytes) of an allocation. threads: vg_init_mark is safe from several threads at once.
void vg_init_mark(vg_alloc *a, size_t at, size_t bytes);
void vg_init_forget(vg_alloc *a, size_t at, size_t bytes);
bool vg_init_all(const vg_alloc *a, size_t at, size_t bytes);
// How many bytes were never written; *first = offset of the first from `at` (untouched when 0).
size_t vg_init_missing(const vg_alloc *a, size_t at, size_t bytes, size_t *first);

// The page table, open for the inline lookup of the memory handlers (op_mem.c): vg_memory starts with it.
#if !defined(VG_DEVICE_BASE)   /* a build with ThreadSanitizer has others (CMakeLists.txt) */
#define VG_DEVICE_BASE 0x0000700000000000ull
#define VG_DEVICE_SPAN 0x0000010000000000ull   /* 1 TiB of device addresses */
#endif
enum { VG_PAGE_SHIFT = 12, VG_REGION_SHIFT = 21 };
typedef struct vg_page_table {
    // per 2 MiB region: NULL, the one allocation of the region, or (lowest bit set) a table of its 512 pages
    uintptr_t *regions;
} vg_page_table;

// The allocation on the page of `addr` (live only), or NULL: its bounds are still to be checked.
static inline vg_alloc *vg_region_alloc(const uintptr_t *regions, uint64_t addr) {
    uint64_t at = addr - VG_DEVICE_BASE;
    if (at >= VG_DEVICE_SPAN)
        return NULL;
    uintptr_t entry = __atomic_load_n(&regions[at >> VG_REGION_SHIFT], __ATOMIC_ACQUIRE);
    if (entry & 1) {
        const uintptr_t *pages = (const uintptr_t *)(entry - 1);
        entry = __atomic_load_n(&pages[(at >> VG_PAGE_SHIFT) & 511], __ATOMIC_ACQUIRE);
    }
    return (vg_alloc *)entry;
}
static inline const uintptr_t *vg_memory_regions(const vg_memory *m) { return ((const vg_page_table *)(const void *)m)->regions; }
static inline vg_alloc *vg_page_alloc(const vg_memory *m, uint64_t addr) { return vg_region_alloc(vg_memory_regions(m), addr); }

// Windows of the generic address space for shared and local memory (as on hardware, apart from global addresses).
#define VG_SHARED_WINDOW 0x00007e0000000000ull   /* + offset */
#define VG_SHARED_SPAN   0x0000000012000000ull   /* own shared memory, then that of the cluster's blocks by rank (cluster.h) */
#define VG_LOCAL_WINDOW  0x00007c0000000000ull   /* + lane-relative offset */
#define VG_WINDOW_BYTES  0x0000000001000000ull
#endif
