// Hints on managed memory: prefetches, advice, discards, one by one and in batches. Managed memory lies in one place here, so that they move nothing; what
// was asked for last is kept, because programs ask back (cuMemRangeGetAttribute).
#include "vgpu/driver/work.h"

// Hints on managed memory (PART: of the allocation as a whole, kept for cuMemRangeGetAttribute): bits of use_flags above those of its allocation.
enum { HINT_READ_MOSTLY = 1 << 8, HINT_PREFERRED = 9 /* two bits each: CUmemLocationType */, HINT_PREFETCHED = 11, HINT_BY_DEVICE = 1 << 13, HINT_BY_HOST = 1 << 14 };
enum { NOWHERE, ON_DEVICE, ON_HOST, INVALID_DEVICE = -2, CPU_DEVICE = -1 };

static CUresult hint(CUdeviceptr p, size_t bytes, CUstream q, uint32_t clear, uint32_t set) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    vg_alloc *a = bytes ? vg_memory_find(c->vg->memory, p, bytes) : NULL;
    if (!vg_stream_of(c, q))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (!a || a->kind != VG_ALLOC_MANAGED || a->use != VG_USE_PLAIN)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    a->use_flags = (a->use_flags & ~clear) | set;
    return vg_front_leave(c, CUDA_SUCCESS);
}
static bool is_place(int d) { return d == 0 || d == CPU_DEVICE; }   // the device, the host
static bool is_location(CUmemLocation l) { return (l.type == ON_DEVICE && l.id == 0) || l.type == ON_HOST; }
static CUmemLocation location_of(CUdevice d) { return (CUmemLocation){d == CPU_DEVICE ? ON_HOST : ON_DEVICE, d == CPU_DEVICE ? 0 : d}; }
static CUresult prefetch(CUdeviceptr p, size_t bytes, CUmemLocation to, CUstream q) {
    return hint(p, bytes, q, 3u << HINT_PREFETCHED, (uint32_t)to.type << HINT_PREFETCHED);
}

VG_API CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t bytes, CUdevice to, CUstream q) {
    return is_place(to) ? prefetch(p, bytes, location_of(to), q) : CUDA_ERROR_INVALID_DEVICE;
}
VG_API CUresult cuMemPrefetchAsync_v2(CUdeviceptr p, size_t bytes, CUmemLocation to, unsigned flags, CUstream q) {
    return flags ? CUDA_ERROR_INVALID_VALUE : is_location(to) ? prefetch(p, bytes, to, q) : CUDA_ERROR_INVALID_DEVICE;
}

enum { SET_READ_MOSTLY = 1, UNSET_READ_MOSTLY, SET_PREFERRED, UNSET_PREFERRED, SET_ACCESSED_BY, UNSET_ACCESSED_BY };
static CUresult advise(CUdeviceptr p, size_t bytes, int advice, CUmemLocation where) {
    const uint32_t by = where.type == ON_HOST ? HINT_BY_HOST : HINT_BY_DEVICE;
    switch (advice) {
    case SET_READ_MOSTLY: return hint(p, bytes, NULL, 0, HINT_READ_MOSTLY);
    case UNSET_READ_MOSTLY: return hint(p, bytes, NULL, HINT_READ_MOSTLY, 0);
    case SET_PREFERRED: return hint(p, bytes, NULL, 3u << HINT_PREFERRED, (uint32_t)where.type << HINT_PREFERRED);
    case UNSET_PREFERRED: return hint(p, bytes, NULL, 3u << HINT_PREFERRED, 0);
    case SET_ACCESSED_BY: return hint(p, bytes, NULL, 0, by);
    default: return hint(p, bytes, NULL, by, 0);
    }
}
VG_API CUresult cuMemAdvise(CUdeviceptr p, size_t bytes, int advice, CUdevice d) {
    if (advice < SET_READ_MOSTLY || advice > UNSET_ACCESSED_BY)
        return CUDA_ERROR_INVALID_VALUE;
    return is_place(d) ? advise(p, bytes, advice, location_of(d)) : CUDA_ERROR_INVALID_DEVICE;
}
VG_API CUresult cuMemAdvise_v2(CUdeviceptr p, size_t bytes, int advice, CUmemLocation where) {
    if (advice < SET_READ_MOSTLY || advice > UNSET_ACCESSED_BY)
        return CUDA_ERROR_INVALID_VALUE;
    return advice >= SET_PREFERRED && advice != UNSET_PREFERRED && !is_location(where) ? CUDA_ERROR_INVALID_DEVICE : advise(p, bytes, advice, where);
}

enum { RANGE_READ_MOSTLY = 1, RANGE_PREFERRED, RANGE_ACCESSED_BY, RANGE_PREFETCHED, RANGE_PREFERRED_TYPE, RANGE_PREFERRED_ID, RANGE_PREFETCHED_TYPE, RANGE_PREFETCHED_ID };
static int device_of(unsigned place) { return place == ON_DEVICE ? 0 : place == ON_HOST ? CPU_DEVICE : INVALID_DEVICE; }
static CUresult range_attribute(int *out, size_t bytes, int attribute, uint32_t hints) {
    const unsigned preferred = hints >> HINT_PREFERRED & 3, prefetched = hints >> HINT_PREFETCHED & 3;
    if (!out || !bytes || bytes % sizeof *out || (attribute != RANGE_ACCESSED_BY && bytes != sizeof *out))
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case RANGE_READ_MOSTLY: *out = (hints & HINT_READ_MOSTLY) != 0; break;
    case RANGE_PREFERRED: *out = device_of(preferred); break;
    case RANGE_PREFETCHED: *out = device_of(prefetched); break;
    case RANGE_PREFERRED_TYPE: *out = (int)preferred; break;
    case RANGE_PREFETCHED_TYPE: *out = (int)prefetched; break;
    case RANGE_PREFERRED_ID: case RANGE_PREFETCHED_ID: *out = 0; break;
    case RANGE_ACCESSED_BY: {
        size_t n = 0;
        if (hints & HINT_BY_DEVICE)
            out[n++] = 0;
        if (hints & HINT_BY_HOST && n < bytes / sizeof *out)
            out[n++] = CPU_DEVICE;
        for (; n < bytes / sizeof *out; n++)
            out[n] = INVALID_DEVICE;
        break;
    }
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
VG_API CUresult cuMemRangeGetAttributes(void **out, size_t *sizes, int *attributes, size_t n_attributes, CUdeviceptr p, size_t bytes) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = bytes ? vg_memory_find(c->vg->memory, p, bytes) : NULL;
    if (!out || !sizes || !attributes || !n_attributes || !a || a->kind != VG_ALLOC_MANAGED || a->use != VG_USE_PLAIN)
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; r == CUDA_SUCCESS && i < n_attributes; i++)
        r = range_attribute(out[i], sizes[i], attributes[i], a->use_flags);
    return vg_front_leave(c, r);
}
VG_API CUresult cuMemRangeGetAttribute(void *out, size_t size, int attribute, CUdeviceptr p, size_t bytes) {
    return cuMemRangeGetAttributes(&out, &size, &attribute, 1, p, bytes);
}

// Several ranges at once. to[i] holds from range first[i] on; the first of them is 0 and they rise.
static CUresult check_locations(const CUmemLocation *to, const size_t *first, size_t n, size_t ranges) {
    if (!to || !first || !n || n > ranges || first[0] != 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < n; i++)
        if ((i && first[i] <= first[i - 1]) || first[i] >= ranges || !is_location(to[i]))
            return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
static CUresult check_ranges(const CUdeviceptr *p, const size_t *bytes, size_t n, unsigned long long flags, CUstream q) {
    if (!p || !bytes || !n || flags)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < n; i++) {
        const CUresult r = hint(p[i], bytes[i], q, 0, 0);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return CUDA_SUCCESS;
}
VG_API CUresult cuMemPrefetchBatchAsync(CUdeviceptr *p, size_t *bytes, size_t n, CUmemLocation *to, size_t *first, size_t n_to, unsigned long long flags, CUstream q) {
    CUresult r = check_locations(to, first, n_to, n);
    if (r == CUDA_SUCCESS)
        r = check_ranges(p, bytes, n, flags, q);
    for (size_t i = 0, k = 0; r == CUDA_SUCCESS && i < n; i++) {
        k += k + 1 < n_to && first[k + 1] == i;
        r = prefetch(p[i], bytes[i], to[k], q);
    }
    return r;
}
// The bytes become undefined: what they were is as good as anything, but reading them before they are written again is a finding.
VG_API CUresult cuMemDiscardBatchAsync(CUdeviceptr *p, size_t *bytes, size_t n, unsigned long long flags, CUstream q) {
    CUresult r = check_ranges(p, bytes, n, flags, q);
    struct CUctx_st *c;
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&c)) != CUDA_SUCCESS)
        return r;
    r = vg_work_drain(c, NULL);
    for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++) {
        vg_alloc *a = vg_memory_find(c->vg->memory, p[i], bytes[i]);
        if (a)
            vg_init_forget(a, p[i] - a->base, bytes[i]);
    }
    return vg_front_leave(c, r);
}
VG_API CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *p, size_t *bytes, size_t n, CUmemLocation *to, size_t *first, size_t n_to, unsigned long long flags,
                                                  CUstream q) {
    const CUresult r = check_locations(to, first, n_to, n);
    return r == CUDA_SUCCESS ? cuMemDiscardBatchAsync(p, bytes, n, flags, q) : r;
}
