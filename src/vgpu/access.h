// How handlers reach memory: classification of addresses, the slow path that resolves one lane and names what is wrong, and the
// initialisation bits of a range. op_mem.c, op_atom.c and the matrix loads use it; the fast paths themselves are in op_mem.c.
// Slow paths live in access.c, compiled once; what is here is small and inlined into each instruction-set build.
#ifndef HONE_VGPU_ACCESS_H
#define HONE_VGPU_ACCESS_H
#include "vgpu/context.h"
#include "vgpu/warp.h"
#include <string.h>

typedef enum vg_where { VG_IN_GLOBAL, VG_IN_SHARED, VG_IN_LOCAL, VG_IN_PARAM, VG_IN_CONST, VG_IN_GENERIC } vg_where;

// Generic addresses: the windows lie in one range above all device addresses.
static inline bool vg_in_windows(uint64_t a) { return a - VG_LOCAL_WINDOW < VG_SHARED_WINDOW + VG_SHARED_SPAN - VG_LOCAL_WINDOW; }
static inline bool vg_in_window(uint64_t a, uint64_t window) { return a - window < VG_WINDOW_BYTES; }
static inline vg_where vg_where_of(uint64_t a) {
    return a - VG_SHARED_WINDOW < VG_SHARED_SPAN ? VG_IN_SHARED : vg_in_window(a, VG_LOCAL_WINDOW) ? VG_IN_LOCAL
           : vg_in_window(a, VG_PARAM_WINDOW) ? VG_IN_PARAM : VG_IN_GLOBAL;
}

static inline bool vg_checks(const vg_warp *w) { return w->block->launch->flags & HONE_VGPU_CHECK; }
static inline bool vg_tolerant(const vg_warp *w) { return w->block->launch->flags & HONE_VGPU_SAMPLE; }

// One lane's access of `bytes` (a power of two is the alignment it needs): the host address of its memory, or NULL after recording the
// finding and the fault (tolerant launches: no finding, no fault). `address` is relative to the space: a device address, an offset in shared,
// local or parameter memory, or a generic address. kind: 'l' load, 's' store, 'a' atomic (read and write). Checks and marks initialisation.
uint8_t *vg_lane_access(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, char kind);
// The same without an alignment requirement.
uint8_t *vg_lane_bytes(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, char kind);
// Reports the lanes in mask whose bytes were never written (and only those).
void vg_report_uninitialized(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, vg_where where, unsigned bytes);

// Says of bytes of b's shared memory that nobody has written them, or that an asynchronous copy has not been waited for.
void vg_report_unwritten_shared(vg_warp *w, const vg_inst *in, unsigned lane, const vg_block *b, uint64_t offset, unsigned bytes);
// A lane's access of its local memory, when w->local_bits watches it.
void vg_local_touch(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t offset, unsigned bytes, char kind);

// mbarrier.c: mbarrier.* and cp.async.mbarrier.arrive.
bool vg_bind_mbarrier(vg_binder *b, const ptx_inst *in, vg_inst *out);

// Are the bits [at, at+bytes) of a shadow all set? bytes > 0.
static inline bool vg_bits_all(const uint64_t *bits, size_t at, size_t bytes) {
    size_t first = at / 64, last = (at + bytes - 1) / 64;
    uint64_t head = ~0ull << (at % 64), tail = ~0ull >> (63 - (at + bytes - 1) % 64);
    if (first == last)
        return ((bits[first] | ~(head & tail)) == ~0ull);
    uint64_t all = (bits[first] | ~head) & (bits[last] | ~tail);
    for (size_t i = first + 1; i < last; i++)
        all &= bits[i];
    return all == ~0ull;
}

// The same of [lo, hi), where only parts of it matter: false for ranges too long to be worth a look.
static inline bool vg_bits_all_near(const uint64_t *bits, size_t lo, size_t hi) { return hi - lo <= 2048 && vg_bits_all(bits, lo, hi - lo); }

// Sets bits that several host threads may set at once: a whole word is stored, a part is or-ed in when it is not set already.
static inline void vg_bits_or(uint64_t *word, uint64_t mask) {
    uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
    if ((old & mask) == mask)
        return;
    if (mask == ~0ull)
        __atomic_store_n(word, mask, __ATOMIC_RELAXED);
    else
        __atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
}
static inline void vg_bits_set(uint64_t *bits, size_t at, size_t bytes) {
    size_t first = at / 64, last = (at + bytes - 1) / 64;
    uint64_t head = ~0ull << (at % 64), tail = ~0ull >> (63 - (at + bytes - 1) % 64);
    if (first == last) {
        vg_bits_or(&bits[first], head & tail);
        return;
    }
    vg_bits_or(&bits[first], head);
    for (size_t i = first + 1; i < last; i++)
        vg_bits_or(&bits[i], ~0ull);
    vg_bits_or(&bits[last], tail);
}

static inline void vg_bits_clear(uint64_t *bits, size_t at, size_t bytes) {   // of memory that one host thread owns
    for (size_t i = at, end = at + bytes; i < end;) {
        const size_t n = 64 - i % 64 < end - i ? 64 - i % 64 : end - i;
        bits[i / 64] &= ~((n == 64 ? ~0ull : (1ull << n) - 1) << (i % 64));
        i += n;
    }
}

// Of an allocation: skips the bits when all of it is known to be written.
static inline bool vg_alloc_written(const vg_alloc *a, size_t at, size_t bytes) {
    return atomic_load_explicit((_Atomic bool *)(uintptr_t)&a->initialized, memory_order_relaxed) || vg_bits_all(a->init.bits, at, bytes);
}
static inline void vg_alloc_mark(vg_alloc *a, size_t at, size_t bytes) {
    if (!atomic_load_explicit(&a->initialized, memory_order_relaxed))
        vg_bits_set(a->init.bits, at, bytes);
}
#endif
