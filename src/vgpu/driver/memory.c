// Memory calls: allocation, copies, sets, pointer attributes. A copy happens in the call that asks for it and moves the stream's modelled clock by
// its size over the modelled bandwidth. Copies carry the initialisation bits along: a copy of unwritten bytes is not a write.
#include "vgpu/driver/front.h"
#include <string.h>

// A side of a copy: host memory or part of an allocation.
typedef struct side { uint8_t *host; vg_alloc *a; size_t at; } side;

static CUresult device_side(struct CUctx_st *c, CUdeviceptr p, size_t bytes, side *s) {
    vg_alloc *a = vg_memory_find(c->vg->memory, p, bytes);
    if (!a)
        return CUDA_ERROR_INVALID_VALUE;
    *s = (side){a->host + (p - a->base), a, p - a->base};
    return CUDA_SUCCESS;
}

// Unified addressing: an address that no allocation holds is host memory.
static side any_side(struct CUctx_st *c, CUdeviceptr p, size_t bytes) {
    side s = {(uint8_t *)(uintptr_t)p, NULL, 0};
    device_side(c, p, bytes, &s);
    return s;
}

static void carry_bits(const side *to, const side *from, size_t bytes) {
    if (!to->a)
        return;
    size_t first = 0;
    if (!from->a || vg_init_missing(from->a, from->at, bytes, &first) == 0) {
        vg_init_mark(to->a, to->at, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (vg_init_all(from->a, from->at + i, 1))
            vg_init_mark(to->a, to->at + i, 1);
        else
            vg_init_forget(to->a, to->at + i, 1);
    }
}

static void move(const side *to, const side *from, size_t bytes) {
    if (!bytes)
        return;
    carry_bits(to, from, bytes);
    memmove(to->host, from->host, bytes);
}

static CUresult copy(CUdeviceptr to, bool to_device, CUdeviceptr from, bool from_device, size_t bytes, CUstream stream) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, stream);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (!bytes)
        return vg_front_leave(c, CUDA_SUCCESS);
    side t = any_side(c, to, bytes), f = any_side(c, from, bytes);
    if ((to_device && !t.a) || (from_device && !f.a) || (!to_device && !to) || (!from_device && !from))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    move(&t, &f, bytes);
    vg_stream_advance(c, s, vg_copy_us(vg_front_device(), bytes, !t.a || !f.a));
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n) { return copy(d, true, (CUdeviceptr)(uintptr_t)s, false, n, NULL); }
VG_API CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n) { return copy((CUdeviceptr)(uintptr_t)d, false, s, true, n, NULL); }
VG_API CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n) { return copy(d, true, s, true, n, NULL); }
VG_API CUresult cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n) { return copy(d, false, s, false, n, NULL); }
VG_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, CUstream q) { return copy(d, true, (CUdeviceptr)(uintptr_t)s, false, n, q); }
VG_API CUresult cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t n, CUstream q) { return copy((CUdeviceptr)(uintptr_t)d, false, s, true, n, q); }
VG_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return copy(d, true, s, true, n, q); }
VG_API CUresult cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return copy(d, false, s, false, n, q); }
VG_API CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n) { return cuMemcpyHtoD_v2(d, s, n); }
VG_API CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n) { return cuMemcpyDtoH_v2(d, s, n); }
VG_API CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n) { return cuMemcpyDtoD_v2(d, s, n); }

// Where row 0 of one side of a 2D copy starts; false for arrays and null pointers.
static bool start_2d(int type, const void *host, CUdeviceptr dev, size_t x, size_t y, size_t pitch, CUdeviceptr *at, bool *is_device) {
    if (type != CU_MEMORY_HOST && type != CU_MEMORY_DEVICE && type != CU_MEMORY_UNIFIED)
        return false;
    *at = (type == CU_MEMORY_HOST ? (CUdeviceptr)(uintptr_t)host : dev) + y * pitch + x;
    *is_device = type == CU_MEMORY_DEVICE;
    return *at != 0;
}

static CUresult copy_2d(const CUmemcpy2D *p, CUstream q) {
    CUdeviceptr from, to;
    bool from_device, to_device;
    if (!p || !start_2d(p->source_type, p->source_host, p->source_device, p->source_x, p->source_y, p->source_pitch, &from, &from_device) ||
        !start_2d(p->target_type, p->target_host, p->target_device, p->target_x, p->target_y, p->target_pitch, &to, &to_device))
        return CUDA_ERROR_INVALID_VALUE;
    if ((p->source_pitch && p->source_pitch < p->width_bytes) || (p->target_pitch && p->target_pitch < p->width_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    size_t source_pitch = p->source_pitch ? p->source_pitch : p->width_bytes, target_pitch = p->target_pitch ? p->target_pitch : p->width_bytes;
    for (size_t y = 0; y < p->height; y++) {
        CUresult r = copy(to + y * target_pitch, to_device, from + y * source_pitch, from_device, p->width_bytes, q);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return CUDA_SUCCESS;
}
VG_API CUresult cuMemcpy2D_v2(const CUmemcpy2D *p) { return copy_2d(p, NULL); }
VG_API CUresult cuMemcpy2DUnaligned_v2(const CUmemcpy2D *p) { return copy_2d(p, NULL); }
VG_API CUresult cuMemcpy2DAsync_v2(const CUmemcpy2D *p, CUstream q) { return copy_2d(p, q); }

// ---- sets: n elements of `width` bytes

static void fill(uint8_t *to, uint32_t value, unsigned width, size_t n) {
    if (width == 1) {
        memset(to, (int)value, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * width, &value, width);
}

// rows × n elements, rows `pitch` bytes apart
static CUresult set(CUdeviceptr d, size_t pitch, uint32_t value, unsigned width, size_t n, size_t rows, CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    size_t bytes;
    if (__builtin_mul_overflow(n, (size_t)width, &bytes) || d % width)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    for (size_t y = 0; bytes && y < rows; y++) {
        side t;
        r = device_side(c, d + y * pitch, bytes, &t);
        if (r != CUDA_SUCCESS)
            return vg_front_leave(c, r);
        fill(t.host, value, width, n);
        vg_init_mark(t.a, t.at, bytes);
    }
    vg_stream_advance(c, s, vg_copy_us(vg_front_device(), bytes * rows / 2, false));   // half of a copy's traffic
    return vg_front_leave(c, CUDA_SUCCESS);
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
    hone_err e = {0};
    if (p && vg_memory_free(c->vg->memory, p, &e) != HONE_OK)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) { return allocate(bytes, VG_ALLOC_DEVICE, p); }
VG_API CUresult cuMemAlloc(CUdeviceptr *p, size_t bytes) { return cuMemAlloc_v2(p, bytes); }
VG_API CUresult cuMemFree_v2(CUdeviceptr p) { return release(p); }
VG_API CUresult cuMemFree(CUdeviceptr p) { return release(p); }
VG_API CUresult cuMemAllocManaged(CUdeviceptr *p, size_t bytes, unsigned flags) { (void)flags; return allocate(bytes, VG_ALLOC_MANAGED, p); }
VG_API CUresult cuMemAllocPitch_v2(CUdeviceptr *p, size_t *pitch, size_t width, size_t height, unsigned element) {
    if (!pitch || !width || !height || (element != 4 && element != 8 && element != 16) || width > SIZE_MAX / 2 / height)
        return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + 511) / 512 * 512;
    return allocate(*pitch * height, VG_ALLOC_DEVICE, p);
}

static CUresult check_stream(CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    return r == CUDA_SUCCESS ? vg_front_leave(c, vg_stream_of(c, q) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE) : r;
}
VG_API CUresult cuMemAllocAsync(CUdeviceptr *p, size_t bytes, CUstream q) {
    CUresult r = check_stream(q);
    return r == CUDA_SUCCESS ? allocate(bytes, VG_ALLOC_DEVICE, p) : r;
}
VG_API CUresult cuMemFreeAsync(CUdeviceptr p, CUstream q) {
    CUresult r = check_stream(q);
    return r == CUDA_SUCCESS ? release(p) : r;
}

// Page-locked host memory lies at its own device address, as under unified addressing. Its bytes count as written: the host may write any time.
static CUresult host_alloc(void **p, size_t bytes) {
    CUdeviceptr at;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = allocate(bytes, VG_ALLOC_MANAGED, &at);
    struct CUctx_st *c = vg_front_current();
    if (r != CUDA_SUCCESS)
        return r;
    vg_init_mark(vg_memory_find(c->vg->memory, at, 1), 0, bytes);
    *p = (void *)(uintptr_t)at;
    return CUDA_SUCCESS;
}
VG_API CUresult cuMemAllocHost_v2(void **p, size_t bytes) { return host_alloc(p, bytes); }
VG_API CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned flags) { (void)flags; return host_alloc(p, bytes); }
VG_API CUresult cuMemFreeHost(void *p) { return release((CUdeviceptr)(uintptr_t)p); }
VG_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || flags || !vg_memory_find(c->vg->memory, (CUdeviceptr)(uintptr_t)p, 1))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *out = (CUdeviceptr)(uintptr_t)p;
    return vg_front_leave(c, CUDA_SUCCESS);
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

VG_API CUresult cuPointerGetAttribute(void *out, int attribute, CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = vg_memory_find(c->vg->memory, p, 1);
    if (!a || !out)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    bool visible = a->kind == VG_ALLOC_MANAGED;
    switch (attribute) {
    case CU_POINTER_CONTEXT: memcpy(out, &c, sizeof c); break;
    case CU_POINTER_MEMORY_TYPE: memcpy(out, &(unsigned){CU_MEMORY_DEVICE}, sizeof(unsigned)); break;
    case CU_POINTER_DEVICE_POINTER: memcpy(out, &p, sizeof p); break;
    case CU_POINTER_HOST_POINTER:
        if (!visible)
            return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
        memcpy(out, &p, sizeof p);
        break;
    case CU_POINTER_BUFFER_ID: memcpy(out, &(unsigned long long){a->id}, sizeof(unsigned long long)); break;
    case CU_POINTER_IS_MANAGED: memcpy(out, &(unsigned){visible}, sizeof(unsigned)); break;
    case CU_POINTER_DEVICE_ORDINAL: memset(out, 0, sizeof(int)); break;
    case CU_POINTER_RANGE_START: memcpy(out, &a->base, sizeof a->base); break;
    case CU_POINTER_RANGE_SIZE: memcpy(out, &a->bytes, sizeof a->bytes); break;
    case CU_POINTER_MAPPED: memcpy(out, &(unsigned){1}, sizeof(unsigned)); break;
    default: return vg_front_leave(c, CUDA_ERROR_NOT_SUPPORTED);
    }
    return vg_front_leave(c, CUDA_SUCCESS);
}
