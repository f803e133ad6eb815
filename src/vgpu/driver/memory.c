// Memory calls: copies, sets, allocation, pointer attributes. Copies and sets become work (copy.c) on the stream they name.
#include "vgpu/driver/work.h"
#include <string.h>

// ---- copies

static CUresult submit(vg_work_kind kind, const vg_work *w, CUstream stream) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, stream);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    r = kind == VG_WORK_COPY ? vg_copy_check(c, &w->copy) : vg_set_check(c, &w->set);
    if (r == CUDA_SUCCESS)
        r = vg_work_submit(c, s, w);
    return vg_front_leave(c, r);
}

// A copy that the host waits for: what is held back before it runs first.
static CUresult finish(CUresult r, CUstream stream) {
    struct CUctx_st *c;
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&c)) != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, stream);
    return vg_front_leave(c, c->held && s ? vg_work_drain(c, s) : CUDA_SUCCESS);
}

static CUresult copy(CUdeviceptr to, int to_type, CUdeviceptr from, int from_type, size_t bytes, CUstream stream) {
    if (bytes && (!to || !from))
        return vg_front_device() ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_INITIALIZED;
    vg_work w = {.kind = VG_WORK_COPY, .copy = {.from = {.type = from_type, .device = from, .host = (void *)(uintptr_t)from, .pitch = bytes, .rows = 1},
                                                .to = {.type = to_type, .device = to, .host = (void *)(uintptr_t)to, .pitch = bytes, .rows = 1},
                                                .width_bytes = bytes, .height = 1, .depth = 1}};
    return submit(VG_WORK_COPY, &w, stream);
}
static CUresult copy_now(CUdeviceptr to, int to_type, CUdeviceptr from, int from_type, size_t bytes) {
    return finish(copy(to, to_type, from, from_type, bytes, NULL), NULL);
}
#define ADDRESS(p) ((CUdeviceptr)(uintptr_t)(p))
enum { HOST = CU_MEMORY_HOST, DEVICE = CU_MEMORY_DEVICE, ANY = CU_MEMORY_UNIFIED };

VG_API CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n) { return copy_now(d, DEVICE, ADDRESS(s), HOST, n); }
VG_API CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n) { return copy_now(ADDRESS(d), HOST, s, DEVICE, n); }
VG_API CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n) { return copy_now(d, DEVICE, s, DEVICE, n); }
VG_API CUresult cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n) { return copy_now(d, ANY, s, ANY, n); }
VG_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, CUstream q) { return copy(d, DEVICE, ADDRESS(s), HOST, n, q); }
VG_API CUresult cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t n, CUstream q) { return copy(ADDRESS(d), HOST, s, DEVICE, n, q); }
VG_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return copy(d, DEVICE, s, DEVICE, n, q); }
VG_API CUresult cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return copy(d, ANY, s, ANY, n, q); }
VG_API CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n) { return cuMemcpyHtoD_v2(d, s, n); }
VG_API CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n) { return cuMemcpyDtoH_v2(d, s, n); }
VG_API CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n) { return cuMemcpyDtoD_v2(d, s, n); }

// One after another, which is one of the orders that a batch may have. Attributes are hints: which source accesses may be delayed, and where operands lie.
typedef struct CUmemcpyAttributes { int order; CUmemLocation from, to; unsigned flags; } CUmemcpyAttributes;
static CUresult copy_batch(const CUdeviceptr *to, const CUdeviceptr *from, const size_t *bytes, size_t n, const CUmemcpyAttributes *attributes, const size_t *first,
                           size_t n_attributes, size_t *failed, CUstream q) {
    if (failed)
        *failed = SIZE_MAX;
    if (!to || !from || !bytes || !n || !attributes || !first || !n_attributes || n_attributes > n || first[0] != 0 || q == CU_STREAM_LEGACY_HANDLE || (!q && !vg_default_is_per_thread))
        return CUDA_ERROR_INVALID_VALUE;   // the legacy stream takes no batches
    for (size_t i = 0; i < n_attributes; i++)
        if (attributes[i].order < 1 || attributes[i].order > 3 || (i && first[i] <= first[i - 1]) || first[i] >= n)
            return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < n; i++) {
        const CUresult r = bytes[i] ? cuMemcpyAsync(to[i], from[i], bytes[i], q) : CUDA_ERROR_INVALID_VALUE;
        if (r != CUDA_SUCCESS) {
            if (failed)
                *failed = i;
            return r;
        }
    }
    return CUDA_SUCCESS;
}
VG_API CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t n, CUmemcpyAttributes *attributes, size_t *first, size_t n_attributes,
                                   size_t *failed, CUstream q) {
    return copy_batch(to, from, bytes, n, attributes, first, n_attributes, failed, q);
}
VG_API CUresult cuMemcpyBatchAsync_v2(const CUdeviceptr *to, const CUdeviceptr *from, const size_t *bytes, size_t n, const CUmemcpyAttributes *attributes,
                                      const size_t *first, size_t n_attributes, CUstream q) {
    return copy_batch(to, from, bytes, n, attributes, first, n_attributes, NULL, q);
}

// Between contexts of the one device: both must be this context, whose memory no other shares.
static CUresult check_peers(CUcontext to, CUcontext from) {
    CUcontext here = vg_front_current();
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if ((to && !vg_handle_is(to, VG_CONTEXT)) || (from && !vg_handle_is(from, VG_CONTEXT)))
        return CUDA_ERROR_INVALID_CONTEXT;
    return (to && to != here) || (from && from != here) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}
VG_API CUresult cuMemcpyPeer(CUdeviceptr d, CUcontext to, CUdeviceptr s, CUcontext from, size_t n) {
    CUresult r = check_peers(to, from);
    return r == CUDA_SUCCESS ? cuMemcpyDtoD_v2(d, s, n) : r;
}
VG_API CUresult cuMemcpyPeerAsync(CUdeviceptr d, CUcontext to, CUdeviceptr s, CUcontext from, size_t n, CUstream q) {
    CUresult r = check_peers(to, from);
    return r == CUDA_SUCCESS ? cuMemcpyDtoDAsync_v2(d, s, n, q) : r;
}

// ---- copies of boxes

static CUresult copy_3d(const CUmemcpy3D *p, CUstream q) {
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    vg_work w = {.kind = VG_WORK_COPY, .copy = *p};
    CUcopySide *sides[2] = {&w.copy.from, &w.copy.to};
    for (int i = 0; i < 2; i++) {   // a pitch or height of 0 means dense
        sides[i]->pitch = sides[i]->pitch ? sides[i]->pitch : p->width_bytes;
        sides[i]->rows = sides[i]->rows ? sides[i]->rows : p->height;
    }
    return submit(VG_WORK_COPY, &w, q);
}
VG_API CUresult cuMemcpy3D_v2(const CUmemcpy3D *p) { return finish(copy_3d(p, NULL), NULL); }
VG_API CUresult cuMemcpy3DAsync_v2(const CUmemcpy3D *p, CUstream q) { return copy_3d(p, q); }
VG_API CUresult cuMemcpy3DPeerAsync(const CUmemcpy3D *p, CUstream q) {
    CUresult r = p ? check_peers(p->to.context, p->from.context) : CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? copy_3d(p, q) : r;
}
VG_API CUresult cuMemcpy3DPeer(const CUmemcpy3D *p) { return finish(cuMemcpy3DPeerAsync(p, NULL), NULL); }

static CUresult copy_2d(const CUmemcpy2D *p, CUstream q) {
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    if ((p->source_pitch && p->source_pitch < p->width_bytes) || (p->target_pitch && p->target_pitch < p->width_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    CUmemcpy3D box = {.from = {p->source_x, p->source_y, 0, 0, p->source_type, (void *)(uintptr_t)p->source_host, p->source_device, p->source_array, NULL,
                               p->source_pitch, 0},
                      .to = {p->target_x, p->target_y, 0, 0, p->target_type, p->target_host, p->target_device, p->target_array, NULL, p->target_pitch, 0},
                      .width_bytes = p->width_bytes, .height = p->height, .depth = 1};
    return copy_3d(&box, q);
}
VG_API CUresult cuMemcpy2D_v2(const CUmemcpy2D *p) { return finish(copy_2d(p, NULL), NULL); }
VG_API CUresult cuMemcpy2DUnaligned_v2(const CUmemcpy2D *p) { return finish(copy_2d(p, NULL), NULL); }
VG_API CUresult cuMemcpy2DAsync_v2(const CUmemcpy2D *p, CUstream q) { return copy_2d(p, q); }

// One row between an array and linear memory; `at`: bytes from the array's start.
static CUresult copy_array(CUarray array, size_t at, bool to_array, CUdeviceptr linear, int type, size_t bytes, CUstream q) {
    CUcopySide a = {.x = at, .type = CU_MEMORY_ARRAY, .array = array}, l = {.type = type, .device = linear, .host = (void *)(uintptr_t)linear};
    return copy_3d(&(CUmemcpy3D){.from = to_array ? l : a, .to = to_array ? a : l, .width_bytes = bytes, .height = 1, .depth = 1}, q);
}
VG_API CUresult cuMemcpyDtoA_v2(CUarray a, size_t at, CUdeviceptr s, size_t n) { return copy_array(a, at, true, s, DEVICE, n, NULL); }
VG_API CUresult cuMemcpyAtoD_v2(CUdeviceptr d, CUarray a, size_t at, size_t n) { return copy_array(a, at, false, d, DEVICE, n, NULL); }
VG_API CUresult cuMemcpyHtoA_v2(CUarray a, size_t at, const void *s, size_t n) { return copy_array(a, at, true, ADDRESS(s), HOST, n, NULL); }
VG_API CUresult cuMemcpyAtoH_v2(void *d, CUarray a, size_t at, size_t n) { return copy_array(a, at, false, ADDRESS(d), HOST, n, NULL); }
VG_API CUresult cuMemcpyHtoAAsync_v2(CUarray a, size_t at, const void *s, size_t n, CUstream q) { return copy_array(a, at, true, ADDRESS(s), HOST, n, q); }
VG_API CUresult cuMemcpyAtoHAsync_v2(void *d, CUarray a, size_t at, size_t n, CUstream q) { return copy_array(a, at, false, ADDRESS(d), HOST, n, q); }
VG_API CUresult cuMemcpyAtoA_v2(CUarray d, size_t to, CUarray s, size_t from, size_t n) {
    return copy_3d(&(CUmemcpy3D){.from = {.x = from, .type = CU_MEMORY_ARRAY, .array = s}, .to = {.x = to, .type = CU_MEMORY_ARRAY, .array = d},
                                 .width_bytes = n, .height = 1, .depth = 1}, NULL);
}

// ---- sets: n elements of `element` bytes, rows `pitch` bytes apart

static CUresult set(CUdeviceptr d, size_t pitch, uint32_t value, unsigned element, size_t n, size_t rows, CUstream q) {
    vg_work w = {.kind = VG_WORK_SET, .set = {d, pitch, value, element, n, rows}};
    return submit(VG_WORK_SET, &w, q);
}

VG_API CUresult cuMemsetD8_v2(CUdeviceptr d, unsigned char v, size_t n) { return set(d, 0, v, 1, n, 1, NULL); }
VG_API CUresult cuMemsetD16_v2(CUdeviceptr d, unsigned short v, size_t n) { return set(d, 0, v, 2, n, 1, NULL); }
VG_API CUresult cuMemsetD32_v2(CUdeviceptr d, unsigned v, size_t n) { return set(d, 0, v, 4, n, 1, NULL); }
VG_API CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream q) { return set(d, 0, v, 1, n, 1, q); }
VG_API CUresult cuMemsetD16Async(CUdeviceptr d, unsigned short v, size_t n, CUstream q) { return set(d, 0, v, 2, n, 1, q); }
VG_API CUresult cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream q) { return set(d, 0, v, 4, n, 1, q); }
VG_API CUresult cuMemsetD2D8_v2(CUdeviceptr d, size_t pitch, unsigned char v, size_t w, size_t h) { return set(d, pitch, v, 1, w, h, NULL); }
VG_API CUresult cuMemsetD2D16_v2(CUdeviceptr d, size_t pitch, unsigned short v, size_t w, size_t h) { return set(d, pitch, v, 2, w, h, NULL); }
VG_API CUresult cuMemsetD2D32_v2(CUdeviceptr d, size_t pitch, unsigned v, size_t w, size_t h) { return set(d, pitch, v, 4, w, h, NULL); }
VG_API CUresult cuMemsetD2D8Async(CUdeviceptr d, size_t pitch, unsigned char v, size_t w, size_t h, CUstream q) { return set(d, pitch, v, 1, w, h, q); }
VG_API CUresult cuMemsetD2D16Async(CUdeviceptr d, size_t pitch, unsigned short v, size_t w, size_t h, CUstream q) { return set(d, pitch, v, 2, w, h, q); }
VG_API CUresult cuMemsetD2D32Async(CUdeviceptr d, size_t pitch, unsigned v, size_t w, size_t h, CUstream q) { return set(d, pitch, v, 4, w, h, q); }
VG_API CUresult cuMemsetD8(CUdeviceptr d, unsigned char v, size_t n) { return cuMemsetD8_v2(d, v, n); }
VG_API CUresult cuMemsetD16(CUdeviceptr d, unsigned short v, size_t n) { return cuMemsetD16_v2(d, v, n); }
VG_API CUresult cuMemsetD32(CUdeviceptr d, unsigned v, size_t n) { return cuMemsetD32_v2(d, v, n); }

// ---- allocation

static CUresult allocate(size_t bytes, uint32_t kind, CUdeviceptr *out) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || !bytes)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    r = vg_capture_unsafe(c);
    if (r != CUDA_SUCCESS)
        return vg_front_leave(c, r);
    vg_alloc *a;
    hone_err e = {0};
    if (vg_memory_alloc(c->vg->memory, bytes, 512, kind, &a, &e) != HONE_OK)
        return vg_front_leave(c, vg_front_result(&e));
    *out = a->base;
    return vg_front_leave(c, CUDA_SUCCESS);
}

static CUresult release(CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = p ? vg_memory_find(c->vg->memory, p, 1) : NULL;
    bool ours = a && (a->use == VG_USE_PLAIN || a->use == VG_USE_POOL || a->use == VG_USE_GRAPH) && a->kind != VG_ALLOC_GLOBAL;
    if (p && (!ours || a->base != p))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);   // not what cuMemAlloc and its kin returned
    r = vg_work_drain(c, NULL);   // cuMemFree waits for the device
    if (p && r == CUDA_SUCCESS)
        r = vg_pool_release(c, p);
    return vg_front_leave(c, r);
}

VG_API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) { return allocate(bytes, VG_ALLOC_DEVICE, p); }
VG_API CUresult cuMemAlloc(CUdeviceptr *p, size_t bytes) { return cuMemAlloc_v2(p, bytes); }
VG_API CUresult cuMemFree_v2(CUdeviceptr p) { return release(p); }
VG_API CUresult cuMemFree(CUdeviceptr p) { return release(p); }
VG_API CUresult cuMemAllocManaged(CUdeviceptr *p, size_t bytes, unsigned flags) {
    return flags != 1 && flags != 2 ? CUDA_ERROR_INVALID_VALUE : allocate(bytes, VG_ALLOC_MANAGED, p);   // attached globally or to the host
}
VG_API CUresult cuMemAllocPitch_v2(CUdeviceptr *p, size_t *pitch, size_t width, size_t height, unsigned element) {
    if (!pitch || !width || !height || (element != 4 && element != 8 && element != 16) || width > SIZE_MAX / 2 / height)
        return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + 511) / 512 * 512;
    return allocate(*pitch * height, VG_ALLOC_DEVICE, p);
}

VG_API CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (total)
        *total = vg_memory_capacity(c->vg->memory);
    if (free_bytes)
        *free_bytes = vg_memory_capacity(c->vg->memory) - vg_memory_used(c->vg->memory);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuMemGetInfo(size_t *free_bytes, size_t *total) { return cuMemGetInfo_v2(free_bytes, total); }

VG_API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = vg_memory_find(c->vg->memory, p, 1);
    if (!a)
        return vg_front_leave(c, CUDA_ERROR_NOT_FOUND);
    if (base)
        *base = a->base;
    if (bytes)
        *bytes = a->bytes;
    return vg_front_leave(c, CUDA_SUCCESS);
}

