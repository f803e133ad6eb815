// The slow path of memory accesses: one lane at a time, every error named. See access.h.
#include "vgpu/access.h"
#include "vgpu/async.h"
#include "vgpu/cluster.h"
#include "vgpu/exec.h"
#include "vgpu/race.h"

static const char *verb(char kind) { return kind == 'l' ? "reads" : kind == 's' ? "writes" : "updates"; }

static uint64_t window_of(vg_where where) {
    switch (where) {
    case VG_IN_SHARED: return VG_SHARED_WINDOW;
    case VG_IN_LOCAL: return VG_LOCAL_WINDOW;
    case VG_IN_PARAM: return VG_PARAM_WINDOW;
    default: return 0;
    }
}

static void report_misaligned(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind) {
    vg_report(w, in, lane, "memory.misaligned", address, bytes, kind != 'l', "%s %u bytes at 0x%llx, which is not a multiple of %u", verb(kind), bytes,
              (unsigned long long)address, bytes);
    vg_fault(w, VG_CU_MISALIGNED);
}

// Says where a bad global address lies in words: behind the end of which allocation, in freed memory, or nowhere near one.
static void report_global(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind) {
    const vg_memory *m = w->block->launch->ctx->memory;
    const vg_alloc *a = vg_memory_nearest(m, address);
    unsigned long long at = address;
    if (address < 4096) {
        vg_report(w, in, lane, "memory.out-of-bounds", address, bytes, kind != 'l', "%s %u bytes through a null pointer (0x%llx)", verb(kind), bytes, at);
    } else if (a && a->freed && address >= a->base && address < a->base + a->bytes) {
        vg_report(w, in, lane, "memory.use-after-free", address, bytes, kind != 'l', "%s %u bytes at offset %llu of '%s' after it was freed", verb(kind),
                  bytes, (unsigned long long)(address - a->base), a->name);
    } else if (a && address >= a->base && address - a->base < a->bytes + (1u << 20)) {
        vg_report(w, in, lane, "memory.out-of-bounds", address, bytes, kind != 'l', "%s %u bytes at offset %llu of '%s', which has %zu bytes", verb(kind),
                  bytes, (unsigned long long)(address - a->base), a->name, a->bytes);
    } else if (a && address < a->base && a->base - address < (1u << 20)) {
        vg_report(w, in, lane, "memory.out-of-bounds", address, bytes, kind != 'l', "%s %u bytes %llu bytes before the start of '%s'", verb(kind), bytes,
                  (unsigned long long)(a->base - address), a->name);
    } else {
        vg_report(w, in, lane, "memory.out-of-bounds", address, bytes, kind != 'l', "%s %u bytes at 0x%llx, where nothing is allocated", verb(kind), bytes, at);
    }
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
}

// Bytes that an asynchronous copy is to fill count as unwritten until somebody of the block waited for it (async.h).
void vg_report_unwritten_shared(vg_warp *w, const vg_inst *in, unsigned lane, const vg_block *b, uint64_t offset, unsigned bytes) {
    uint32_t mbarrier;
    if (vg_async_pending(b->async, offset, bytes, &mbarrier))
        vg_report(w, in, lane, "async.read-before-wait", VG_SHARED_WINDOW + offset, bytes, false,
                  "reads %u bytes at offset %llu of shared memory that an asynchronous copy is to fill; no thread of the block has waited for the mbarrier at "
                  "offset %u since", bytes, (unsigned long long)offset, mbarrier);
    else
        vg_report(w, in, lane, "memory.uninitialized-shared", VG_SHARED_WINDOW + offset, bytes, false,
                  "reads %u bytes at offset %llu of shared memory that no thread of the block has written", bytes, (unsigned long long)offset);
}

static void report_uninitialized(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, const vg_alloc *a) {
    if (where == VG_IN_SHARED)
        vg_report_unwritten_shared(w, in, lane, w->block, address, bytes);
    else
        vg_report(w, in, lane, "memory.uninitialized", address, bytes, false, "reads %u bytes at offset %llu of '%s' that nothing has written", bytes,
                  (unsigned long long)(address - a->base), a->name);
}

static uint8_t *global_lane(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind) {
    vg_alloc *a = vg_memory_find(w->block->launch->ctx->memory, address, bytes);
    bool tolerant = vg_tolerant(w);
    if (a && a->is_input && kind != 'l' && !tolerant)
        vg_report(w, in, lane, "memory.input-written", address, bytes, true, "%s %u bytes at offset %llu of the input '%s'", verb(kind), bytes,
                  (unsigned long long)(address - a->base), a->name);
    if (!a || (a->read_only && !a->is_input && kind != 'l')) {
        if (!tolerant && a) {
            vg_report(w, in, lane, "memory.read-only", address, bytes, true, "%s %u bytes of constant '%s'", verb(kind), bytes, a->name);
            vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
        } else if (!tolerant) {
            report_global(w, in, lane, address, bytes, kind);
        }
        return NULL;
    }
    size_t at = address - a->base;
    if (kind != 's' && !tolerant && vg_checks(w) && !vg_alloc_written(a, at, bytes))
        report_uninitialized(w, in, lane, VG_IN_GLOBAL, address, bytes, a);
    if (kind != 'l')
        vg_alloc_mark(a, at, bytes);
    return a->host + at;
}

// Windows are small memories with a limit: shared, local, kernel parameters.
static bool in_limit(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t offset, unsigned bytes, size_t limit, char kind) {
    if (offset <= limit && bytes <= limit - offset)
        return true;
    if (vg_tolerant(w))
        return false;
    static const char *const names[] = {[VG_IN_SHARED] = "shared memory", [VG_IN_LOCAL] = "local memory", [VG_IN_PARAM] = "the kernel's parameters"};
    vg_report(w, in, lane, "memory.out-of-bounds", window_of(where) + offset, bytes, kind != 'l', "%s %u bytes at offset %lld of %s, which has %zu bytes%s",
              verb(kind), bytes, (long long)(int32_t)(uint32_t)offset, names[where], limit, where == VG_IN_SHARED ? " in this block" : "");
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    return false;
}

static uint8_t *shared_lane(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t offset, unsigned bytes, char kind) {
    vg_block *b = w->block;
    if (offset >= VG_CLUSTER_STEP && offset < VG_SHARED_SPAN && in->src &&
        (in->src->space != PTX_SHARED || offset / VG_CLUSTER_STEP == b->rank + 1))   // a shared::cta access reaches its own block only
        return vg_cluster_access(w, in, lane, offset, bytes, kind);
    if (!in_limit(w, in, lane, VG_IN_SHARED, offset, bytes, b->shared_bytes, kind))
        return NULL;
    if (b->race)
        vg_race_access(w, in, lane, offset, bytes, kind);
    if (b->shared_shadow) {
        if (kind != 's' && !vg_tolerant(w) && !vg_bits_all(b->shared_shadow->bits, offset, bytes))
            report_uninitialized(w, in, lane, VG_IN_SHARED, offset, bytes, NULL);
        if (kind != 'l')
            vg_bits_set(b->shared_shadow->bits, offset, bytes);
    }
    return b->shared + offset;
}

// Local memory: only an element of which no byte was written counts, because structures are copied with their padding.
void vg_local_touch(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t offset, unsigned bytes, char kind) {
    const size_t at = lane * w->local_stride + offset;
    if (kind != 's') {
        bool any = false;
        for (unsigned i = 0; i < bytes; i++)
            any |= w->local_bits[(at + i) / 64] >> (at + i) % 64 & 1;
        if (!any)
            vg_report(w, in, lane, "memory.uninitialized-local", VG_LOCAL_WINDOW + offset, bytes, false,
                      "reads %u bytes at offset %llu of its local memory that the thread has not written", bytes, (unsigned long long)offset);
    }
    if (kind != 'l')
        vg_bits_set(w->local_bits, at, bytes);
}

uint8_t *vg_lane_bytes(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, char kind) {
    if (where == VG_IN_GENERIC) {
        where = vg_where_of(address);
        address -= window_of(where);
    }
    vg_launch *l = w->block->launch;
    switch (where) {
    case VG_IN_SHARED:
        return shared_lane(w, in, lane, address, bytes, kind);
    case VG_IN_LOCAL:
        if (!in_limit(w, in, lane, where, address, bytes, w->local_stride, kind))
            return NULL;
        if (w->local_bits)
            vg_local_touch(w, in, lane, address, bytes, kind);
        return w->local + lane * w->local_stride + address;
    case VG_IN_PARAM:
        if (kind != 'l' && !vg_tolerant(w)) {
            vg_report(w, in, lane, "memory.read-only", VG_PARAM_WINDOW + address, bytes, true, "%s %u bytes of the kernel's parameters", verb(kind), bytes);
            vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
        }
        return kind == 'l' && in_limit(w, in, lane, where, address, bytes, l->param_bytes, kind) ? (uint8_t *)(uintptr_t)l->params + address : NULL;
    default:
        return global_lane(w, in, lane, address, bytes, kind);
    }
}

uint8_t *vg_lane_access(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, char kind) {
    if (address & (bytes - 1)) {
        if (!vg_tolerant(w))
            report_misaligned(w, in, lane, where == VG_IN_GENERIC ? address : window_of(where) + address, bytes, kind);
        return NULL;
    }
    return vg_lane_bytes(w, in, lane, where, address, bytes, kind);
}

void vg_report_uninitialized(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, vg_where where, unsigned bytes) {
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        if (where == VG_IN_SHARED) {
            if (!vg_bits_all(w->block->shared_shadow->bits, address[lane], bytes))
                report_uninitialized(w, in, lane, where, address[lane], bytes, NULL);
            continue;
        }
        const vg_alloc *a = vg_memory_find(w->block->launch->ctx->memory, address[lane], bytes);
        if (a && !vg_alloc_written(a, address[lane] - a->base, bytes))
            report_uninitialized(w, in, lane, where, address[lane], bytes, a);
    }
}

// A lane's view of generic memory for the executor's own needs (strings of printf and assert): silent, false when it is not all there.
bool vg_generic_read(vg_warp *w, unsigned lane, uint64_t address, void *out, size_t bytes) {
    vg_where where = vg_where_of(address);
    uint64_t at = address - window_of(where);
    const vg_launch *l = w->block->launch;
    const uint8_t *from = NULL;
    if (where == VG_IN_SHARED)
        from = at + bytes <= w->block->shared_bytes ? w->block->shared + at : NULL;
    else if (where == VG_IN_LOCAL)
        from = at + bytes <= w->local_stride ? w->local + lane * w->local_stride + at : NULL;
    else if (where == VG_IN_PARAM)
        from = at + bytes <= l->param_bytes ? l->params + at : NULL;
    else {
        const vg_alloc *a = vg_memory_find(l->ctx->memory, address, bytes);
        from = a ? a->host + (address - a->base) : NULL;
    }
    if (!from)
        return false;
    memcpy(out, from, bytes);
    return true;
}
