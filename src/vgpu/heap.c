// heap: device-side malloc and free. Every block is an allocation of the context's memory with red zones, its own initialisation bits and a
// name, so that bad accesses are found as for any buffer; the sum of all is limited as CU_LIMIT_MALLOC_HEAP_SIZE says. Blocks live until they are
// freed or the context ends, as on a device.
#include "vgpu/run.h"
#include "vgpu/context.h"
#include <stdio.h>
#include <string.h>

enum { HEAP_ALIGN = 16 };

static bool take(vg_context *c, size_t bytes) {
    size_t used = atomic_load(&c->heap_used);
    do {
        if (bytes > c->heap_bytes || used > c->heap_bytes - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&c->heap_used, &used, used + bytes));
    return true;
}

// CUDA programming guide, dynamic global memory allocation: NULL when the heap is full; at least 16-byte aligned.
uint64_t vg_heap_alloc(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t bytes) {
    vg_context *c = w->block->launch->ctx;
    vg_alloc *a = NULL;
    hone_err e = {0};
    if (bytes == 0 || !take(c, bytes))
        return 0;
    if (vg_memory_alloc(c->memory, bytes, HEAP_ALIGN, VG_ALLOC_HEAP, &a, &e) != HONE_OK) {
        atomic_fetch_sub(&c->heap_used, bytes);
        vg_report(w, in, lane, "memory.heap", 0, 0, false, "malloc of %llu bytes: %s", (unsigned long long)bytes, e.msg);
        vg_fault(w, VG_CU_OUT_OF_MEMORY);
        return 0;
    }
    snprintf(a->name, sizeof a->name, "malloc #%u, line %u", a->id, in->src->src_line ? in->src->src_line : in->src->line);
    return a->base;
}

void vg_heap_free(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address) {
    vg_context *c = w->block->launch->ctx;
    size_t bytes = 0;
    if (!address)
        return;
    switch (vg_memory_free_heap(c->memory, address, &bytes)) {
    case VG_HEAP_FREED:
        atomic_fetch_sub(&c->heap_used, bytes);
        return;
    case VG_HEAP_TWICE:
        vg_report(w, in, lane, "memory.bad-free", address, 0, false, "frees 0x%llx, which is free already", (unsigned long long)address);
        break;
    default:
        vg_report(w, in, lane, "memory.bad-free", address, 0, false, "frees 0x%llx, where no block of the device heap starts", (unsigned long long)address);
        break;
    }
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
}
