// Host memory that the device sees, and what a pointer is. Page-locked memory lies at its own device address, as under unified addressing; memory that
// the caller registers gets a device address of its own (CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM is 0). Its bytes count as written:
// the host may write them at any time.
#include "vgpu/driver/work.h"
#include <string.h>

enum { ALLOC_FLAGS = 7, REGISTER_PORTABLE = 1, REGISTER_MAPPED = 2, REGISTER_IO = 4, REGISTER_READ_ONLY = 8 };
#define ADDRESS(p) ((CUdeviceptr)(uintptr_t)(p))

static CUresult host_alloc(void **p, size_t bytes, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    vg_alloc *a;
    hone_err e = {0};
    if (!p || !bytes || (flags & ~(unsigned)ALLOC_FLAGS))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    r = vg_capture_unsafe(c);
    if (r != CUDA_SUCCESS)
        return vg_front_leave(c, r);
    if (vg_memory_alloc(c->vg->memory, bytes, 512, VG_ALLOC_MANAGED, &a, &e) != HONE_OK)
        return vg_front_leave(c, vg_front_result(&e));
    vg_init_mark(a, 0, bytes);
    a->use = VG_USE_LOCKED;
    a->use_flags = flags;
    *p = (void *)(uintptr_t)a->base;
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuMemAllocHost_v2(void **p, size_t bytes) { return host_alloc(p, bytes, 0); }
VG_API CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned flags) { return host_alloc(p, bytes, flags); }

VG_API CUresult cuMemFreeHost(void *p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = vg_memory_find(c->vg->memory, ADDRESS(p), 1);
    if (!a || a->base != ADDRESS(p) || a->use != VG_USE_LOCKED)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    r = vg_work_drain(c, NULL);
    if (r == CUDA_SUCCESS && vg_memory_free(c->vg->memory, a->base, NULL) != HONE_OK)
        r = CUDA_ERROR_INVALID_VALUE;
    return vg_front_leave(c, r);
}

// The registration that holds host address p; *index its place.
static vg_alloc *find_registered(struct CUctx_st *c, const void *p, size_t *index) {
    for (size_t i = 0; i < c->registered.n; i++) {
        vg_alloc *a = c->registered.v[i];
        if ((const uint8_t *)p >= a->host && (const uint8_t *)p < a->host + a->bytes) {
            *index = i;
            return a;
        }
    }
    return NULL;
}

static bool overlaps(struct CUctx_st *c, const uint8_t *p, size_t bytes) {
    for (size_t i = 0; i < c->registered.n; i++)
        if (p < c->registered.v[i]->host + c->registered.v[i]->bytes && c->registered.v[i]->host < p + bytes)
            return true;
    return vg_memory_find(c->vg->memory, ADDRESS(p), 1) != NULL;
}

VG_API CUresult cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!p || !bytes || bytes > SIZE_MAX / 4 || ADDRESS(p) > SIZE_MAX - bytes || flags > 15)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (flags & (REGISTER_IO | REGISTER_READ_ONLY))
        return vg_front_leave(c, CUDA_ERROR_NOT_SUPPORTED);
    if (overlaps(c, p, bytes))
        return vg_front_leave(c, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    vg_alloc *a;
    hone_err e = {0};
    if (vg_memory_register(c->vg->memory, p, bytes, &a, &e) != HONE_OK)
        return vg_front_leave(c, vg_front_result(&e));
    a->use = VG_USE_REGISTERED;
    a->use_flags = flags;
    if (!hone_vec_push(&c->registered, a)) {
        vg_memory_free(c->vg->memory, a->base, NULL);
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    }
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuMemHostRegister(void *p, size_t bytes, unsigned flags) { return cuMemHostRegister_v2(p, bytes, flags); }

VG_API CUresult cuMemHostUnregister(void *p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    size_t i = 0;
    const vg_alloc *a = find_registered(c, p, &i);
    if (!a || a->host != p)
        return vg_front_leave(c, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    r = vg_work_drain(c, NULL);
    vg_memory_free(c->vg->memory, a->base, NULL);
    c->registered.v[i] = c->registered.v[--c->registered.n];
    return vg_front_leave(c, r);
}

// The allocation of a host pointer: page-locked, managed or registered; *at: its device address.
static const vg_alloc *of_host(struct CUctx_st *c, const void *p, CUdeviceptr *at) {
    size_t i;
    const vg_alloc *a = find_registered(c, p, &i);
    *at = a ? a->base + (size_t)((const uint8_t *)p - a->host) : ADDRESS(p);
    if (a)
        return a;
    a = vg_memory_find(c->vg->memory, ADDRESS(p), 1);
    return a && a->kind == VG_ALLOC_MANAGED ? a : NULL;
}

VG_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    CUdeviceptr at;
    if (!out || flags || !of_host(c, p, &at))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *out = at;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuMemHostGetFlags(unsigned *flags, void *p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    CUdeviceptr at;
    const vg_alloc *a = of_host(c, p, &at);
    if (!flags || !a || a->use != VG_USE_LOCKED)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *flags = a->use_flags | 2;   // under unified addressing all page-locked memory is mapped
    return vg_front_leave(c, CUDA_SUCCESS);
}

// ---- what a pointer is

static CUresult attribute_of(struct CUctx_st *c, void *out, int attribute, CUdeviceptr p, const vg_alloc *a, CUdeviceptr at) {
    bool managed = a->kind == VG_ALLOC_MANAGED && a->use == VG_USE_PLAIN, host = a->use == VG_USE_LOCKED || a->use == VG_USE_REGISTERED;
    CUdeviceptr host_at = ADDRESS(a->kind == VG_ALLOC_HOST ? a->host + (at - a->base) : (uint8_t *)(uintptr_t)p);
    unsigned long long id = a->id;
    switch (attribute) {
    case CU_POINTER_CONTEXT: memcpy(out, &c, sizeof c); break;
    case CU_POINTER_MEMORY_TYPE: memcpy(out, &(unsigned){host ? CU_MEMORY_HOST : CU_MEMORY_DEVICE}, sizeof(unsigned)); break;
    case CU_POINTER_DEVICE_POINTER: memcpy(out, &at, sizeof at); break;
    case CU_POINTER_HOST_POINTER:
        if (!managed && !host)
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(out, &host_at, sizeof host_at);
        break;
    case CU_POINTER_BUFFER_ID: case CU_POINTER_BLOCK_ID: memcpy(out, &id, sizeof id); break;
    case CU_POINTER_IS_MANAGED: memcpy(out, &(unsigned){managed}, sizeof(unsigned)); break;
    case CU_POINTER_SYNC_MEMOPS: memcpy(out, &(unsigned){1}, sizeof(unsigned)); break;
    case CU_POINTER_DEVICE_ORDINAL: memset(out, 0, sizeof(int)); break;
    case CU_POINTER_IPC_CAPABLE: case CU_POINTER_RDMA_CAPABLE: case CU_POINTER_DECOMPRESS: memset(out, 0, sizeof(unsigned)); break;
    case CU_POINTER_HANDLE_TYPES: memset(out, 0, sizeof(unsigned long long)); break;
    case CU_POINTER_RANGE_START: case CU_POINTER_MAPPING_START: memcpy(out, &a->base, sizeof a->base); break;
    case CU_POINTER_RANGE_SIZE: case CU_POINTER_MAPPING_SIZE: memcpy(out, &a->bytes, sizeof a->bytes); break;
    case CU_POINTER_MAPPED: memcpy(out, &(unsigned){1}, sizeof(unsigned)); break;
    case CU_POINTER_ACCESS_FLAGS: memcpy(out, &(unsigned){3}, sizeof(unsigned)); break;
    case CU_POINTER_POOL: memcpy(out, &(void *){a->use == VG_USE_POOL ? a->owner : NULL}, sizeof(void *)); break;
    default: return attribute == CU_POINTER_P2P_TOKENS ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

static const vg_alloc *of_pointer(struct CUctx_st *c, CUdeviceptr p, CUdeviceptr *at) {
    size_t i;
    const vg_alloc *a = find_registered(c, (const void *)(uintptr_t)p, &i);
    *at = a ? a->base + (size_t)((const uint8_t *)(uintptr_t)p - a->host) : p;
    return a ? a : vg_memory_find(c->vg->memory, p, 1);
}

VG_API CUresult cuPointerGetAttribute(void *out, int attribute, CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    CUdeviceptr at;
    const vg_alloc *a = of_pointer(c, p, &at);
    return vg_front_leave(c, a && out ? attribute_of(c, out, attribute, p, a, at) : CUDA_ERROR_INVALID_VALUE);
}

// Unlike the single query this one never fails for a pointer it does not know: its answers are zero then.
VG_API CUresult cuPointerGetAttributes(unsigned n, int *attributes, void **data, CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!n || !attributes || !data)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    CUdeviceptr at;
    const vg_alloc *a = of_pointer(c, p, &at);
    for (unsigned i = 0; i < n; i++) {
        static const uint8_t words[] = {[CU_POINTER_MEMORY_TYPE] = 1, [CU_POINTER_IS_MANAGED] = 1, [CU_POINTER_SYNC_MEMOPS] = 1, [CU_POINTER_DEVICE_ORDINAL] = 1,
                                        [CU_POINTER_IPC_CAPABLE] = 1, [CU_POINTER_MAPPED] = 1, [CU_POINTER_RDMA_CAPABLE] = 1, [CU_POINTER_ACCESS_FLAGS] = 1,
                                        [CU_POINTER_DECOMPRESS] = 1};
        if (!data[i] || attributes[i] < 1 || attributes[i] > CU_POINTER_DECOMPRESS)
            return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
        if (a && attribute_of(c, data[i], attributes[i], p, a, at) == CUDA_SUCCESS)
            continue;
        memset(data[i], 0, words[attributes[i]] ? 4 : 8);
        if (attributes[i] == CU_POINTER_DEVICE_ORDINAL)
            memset(data[i], 0xfe, 1), memset((char *)data[i] + 1, 0xff, 3);   // -2: no device
    }
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuPointerSetAttribute(const void *value, int attribute, CUdeviceptr p) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    bool fine = value && attribute == CU_POINTER_SYNC_MEMOPS && vg_memory_find(c->vg->memory, p, 1);   // every copy is synchronous here
    return vg_front_leave(c, fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

// ---- managed memory (hints: hints.c)

VG_API CUresult cuStreamAttachMemAsync(CUstream q, CUdeviceptr p, size_t bytes, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    bool known = vg_stream_of(c, q) != NULL;
    const vg_alloc *a = vg_memory_find(c->vg->memory, p, bytes ? bytes : 1);
    vg_front_leave(c, r);
    if (!known)
        return CUDA_ERROR_INVALID_HANDLE;
    return a && a->kind == VG_ALLOC_MANAGED && (flags == 1 || flags == 2 || flags == 4) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
