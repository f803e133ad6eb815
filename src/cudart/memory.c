// Allocation, pools, what a pointer is.
#include "cudart/internal.h"
#include <string.h>

// ---- device memory

static cudaError_t give(void **out, CUdeviceptr p, cudaError_t r) {
    if (r == cudaSuccess)
        *out = (void *)(uintptr_t)p;
    return r;
}

RT_API cudaError_t cudaMalloc(void **out, size_t bytes) {
    CUdeviceptr p = 0;
    cudaError_t r = out ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess && bytes)   // no bytes: success and NULL
        r = RT_CU(cuMemAlloc_v2, &p, bytes);
    return rt_record(out ? give(out, p, r) : r);
}

RT_API cudaError_t cudaFree(void *p) {   // cudaFree(NULL) is how programs make the context
    const cudaError_t r = rt_enter();
    return rt_record(r != cudaSuccess || !p ? r : RT_CU(cuMemFree_v2, (CUdeviceptr)(uintptr_t)p));
}

static cudaError_t malloc_pitch(void **out, size_t *pitch, size_t width, size_t height) {
    enum { ELEMENT = 4 };
    CUdeviceptr p = 0;
    cudaError_t r = out && pitch ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess)
        return r;
    *pitch = 0;
    if (width && height)
        r = RT_CU(cuMemAllocPitch_v2, &p, pitch, width, height, ELEMENT);
    return give(out, p, r);
}
RT_API cudaError_t cudaMallocPitch(void **out, size_t *pitch, size_t width, size_t height) { return rt_record(malloc_pitch(out, pitch, width, height)); }

RT_API cudaError_t cudaMalloc3D(cudaPitchedPtr *out, cudaExtent n) {
    size_t rows;
    if (!out || hone_mul_size(n.height, n.depth, &rows, NULL) != HONE_OK)
        return rt_record(cudaErrorInvalidValue);
    *out = (cudaPitchedPtr){.xsize = n.width, .ysize = n.height};
    return rt_record(malloc_pitch(&out->ptr, &out->pitch, n.width, rows));
}

RT_API cudaError_t cudaMallocManaged(void **out, size_t bytes, unsigned flags) {
    enum { ATTACH_GLOBAL = 1, ATTACH_HOST = 2 };
    CUdeviceptr p = 0;
    cudaError_t r = out && bytes && (flags == ATTACH_GLOBAL || flags == ATTACH_HOST) ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = RT_CU(cuMemAllocManaged, &p, bytes, flags);
    return rt_record(out ? give(out, p, r) : r);
}

RT_API cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) { return RT_DO(cuMemGetInfo_v2, free_bytes, total); }

// ---- stream-ordered

static cudaError_t malloc_async(void **out, size_t bytes, cudaStream_t stream) {
    CUdeviceptr p = 0;
    cudaError_t r = out ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess && bytes)
        r = RT_CU(cuMemAllocAsync, &p, bytes, stream);
    return out ? give(out, p, r) : r;
}
RT_STREAM(cudaMallocAsync, malloc_async, (void **out, size_t bytes, cudaStream_t stream), out, bytes)

static cudaError_t malloc_from_pool(void **out, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
    CUdeviceptr p = 0;
    cudaError_t r = out ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = RT_CU(cuMemAllocFromPoolAsync, &p, bytes, pool, stream);
    return out ? give(out, p, r) : r;
}
RT_STREAM(cudaMallocFromPoolAsync, malloc_from_pool, (void **out, size_t bytes, cudaMemPool_t pool, cudaStream_t stream), out, bytes, pool)

static cudaError_t free_async(void *p, cudaStream_t stream) {
    const cudaError_t r = p ? rt_enter() : cudaErrorInvalidValue;
    return r != cudaSuccess ? r : RT_CU(cuMemFreeAsync, (CUdeviceptr)(uintptr_t)p, stream);
}
RT_STREAM(cudaFreeAsync, free_async, (void *p, cudaStream_t stream), p)

RT_API cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int d) { return RT_DO(cuDeviceGetDefaultMemPool, pool, d); }
RT_API cudaError_t cudaDeviceGetMemPool(cudaMemPool_t *pool, int d) { return RT_DO(cuDeviceGetMemPool, pool, d); }
RT_API cudaError_t cudaDeviceSetMemPool(int d, cudaMemPool_t pool) { return RT_DO(cuDeviceSetMemPool, d, pool); }
RT_API cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const void *properties) { return RT_DO(cuMemPoolCreate, pool, properties); }
RT_API cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) { return RT_DO(cuMemPoolDestroy, pool); }
RT_API cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, int attribute, void *value) { return RT_DO(cuMemPoolGetAttribute, pool, attribute, value); }
RT_API cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, int attribute, void *value) { return RT_DO(cuMemPoolSetAttribute, pool, attribute, value); }
RT_API cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep) { return RT_DO(cuMemPoolTrimTo, pool, keep); }
RT_API cudaError_t cudaMemPoolGetAccess(int *flags, cudaMemPool_t pool, void *location) { return RT_DO(cuMemPoolGetAccess, flags, pool, location); }
RT_API cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const void *access, size_t n) { return RT_DO(cuMemPoolSetAccess, pool, access, n); }

// ---- page-locked host memory

RT_API cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags) {
    cudaError_t r = out ? rt_enter() : cudaErrorInvalidValue;
    if (out)
        *out = NULL;
    if (r == cudaSuccess && bytes)
        r = RT_CU(cuMemHostAlloc, out, bytes, flags);
    return rt_record(r);
}
RT_API cudaError_t cudaMallocHost(void **out, size_t bytes) { return cudaHostAlloc(out, bytes, 0); }
RT_API cudaError_t cudaFreeHost(void *p) {
    const cudaError_t r = rt_enter();
    return rt_record(r != cudaSuccess || !p ? r : RT_CU(cuMemFreeHost, p));
}
RT_API cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned flags) { return RT_DO(cuMemHostRegister_v2, p, bytes, flags); }
RT_API cudaError_t cudaHostUnregister(void *p) { return RT_DO(cuMemHostUnregister, p); }
RT_API cudaError_t cudaHostGetFlags(unsigned *flags, void *p) { return RT_DO(cuMemHostGetFlags, flags, p); }
RT_API cudaError_t cudaHostGetDevicePointer(void **out, void *p, unsigned flags) {
    CUdeviceptr at = 0;
    const cudaError_t r = out ? RT_DO(cuMemHostGetDevicePointer_v2, &at, p, flags) : cudaErrorInvalidValue;
    return rt_record(out ? give(out, at, r) : r);
}

// ---- what a pointer is

static cudaError_t pointer_attributes(cudaPointerAttributes *a, const void *p) {
    enum { NO_DEVICE = -2 };
    const CUdeviceptr at = (CUdeviceptr)(uintptr_t)p;
    unsigned type = 0, managed = 0;
    void *host = NULL;
    cudaError_t r = a ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess)
        return r;
    memset(a, 0, sizeof *a);
    a->device = NO_DEVICE;
    a->hostPointer = (void *)(uintptr_t)p;
    r = RT_CU(cuPointerGetAttribute, &type, CU_POINTER_MEMORY_TYPE, at);
    if (r == cudaErrorInvalidValue)   // no memory of the driver's: an answer since CUDA 11
        return cudaSuccess;
    if (r != cudaSuccess)
        return r;
    RT_CU(cuPointerGetAttribute, &managed, CU_POINTER_IS_MANAGED, at);
    if (RT_CU(cuPointerGetAttribute, &host, CU_POINTER_HOST_POINTER, at) != cudaSuccess)
        host = NULL;
    a->type = managed ? cudaMemoryTypeManaged : type == CU_MEMORY_HOST ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    a->device = 0;
    a->devicePointer = (void *)(uintptr_t)p;
    a->hostPointer = host;
    return cudaSuccess;
}
RT_API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) { return rt_record(pointer_attributes(a, p)); }

// ---- hints about managed memory: nothing moves here, so they only check their arguments when the driver does not

static cudaError_t prefetch(const void *p, size_t bytes, int d, cudaStream_t stream) {
    const cudaError_t r = p && bytes ? rt_enter() : cudaErrorInvalidValue;
    return r != cudaSuccess || !rt_cu.cuMemPrefetchAsync ? r : RT_CU(cuMemPrefetchAsync, (CUdeviceptr)(uintptr_t)p, bytes, d, stream);
}
static cudaError_t advise(const void *p, size_t bytes, int advice, int d) {
    const cudaError_t r = p && bytes ? rt_enter() : cudaErrorInvalidValue;
    return r != cudaSuccess || !rt_cu.cuMemAdvise ? r : RT_CU(cuMemAdvise, (CUdeviceptr)(uintptr_t)p, bytes, advice, d);
}

enum { LOCATION_DEVICE = 1, CPU = -1 };   // cudaMemLocationTypeDevice, cudaCpuDeviceId
static int location_device(cudaMemLocation l) { return l.type == LOCATION_DEVICE ? l.id : CPU; }
static cudaError_t prefetch_to(const void *p, size_t bytes, cudaMemLocation to, unsigned flags, cudaStream_t stream) {
    return flags ? cudaErrorInvalidValue : prefetch(p, bytes, location_device(to), stream);
}
#if HONE_CUDART_MAJOR >= 13
#define PREFETCH_TO cudaMemPrefetchAsync
#define ADVISE_AT cudaMemAdvise
#else
#define PREFETCH_TO cudaMemPrefetchAsync_v2
#define ADVISE_AT cudaMemAdvise_v2
RT_STREAM(cudaMemPrefetchAsync, prefetch, (const void *p, size_t bytes, int d, cudaStream_t stream), p, bytes, d)
RT_API cudaError_t cudaMemAdvise(const void *p, size_t bytes, int advice, int d) { return rt_record(advise(p, bytes, advice, d)); }
#endif
#define RT_STREAM_NAMED(name, ...) RT_STREAM(name, __VA_ARGS__)
RT_STREAM_NAMED(PREFETCH_TO, prefetch_to, (const void *p, size_t bytes, cudaMemLocation to, unsigned flags, cudaStream_t stream), p, bytes, to, flags)
RT_API cudaError_t ADVISE_AT(const void *p, size_t bytes, int advice, cudaMemLocation at) { return rt_record(advise(p, bytes, advice, location_device(at))); }

RT_API cudaError_t cudaMemRangeGetAttribute(void *out, size_t bytes, int attribute, const void *p, size_t n) {
    return RT_DO(cuMemRangeGetAttribute, out, bytes, attribute, (CUdeviceptr)(uintptr_t)p, n);
}

// ---- batches. Locations and attributes are laid out as the driver's.

static cudaError_t copy_batch(const void **to, const void **from, const size_t *bytes, size_t n, const void *attributes, const size_t *first, size_t n_attributes,
                              cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    if (r != cudaSuccess || !rt_cu.cuMemcpyBatchAsync_v2)
        return r != cudaSuccess ? r : cudaErrorNotSupported;
    return RT_CU(cuMemcpyBatchAsync_v2, (const CUdeviceptr *)(const void *)to, (const CUdeviceptr *)(const void *)from, bytes, n, attributes, first, n_attributes, stream);
}
#if HONE_CUDART_MAJOR >= 13
static cudaError_t prefetch_batch(void **p, size_t *bytes, size_t n, cudaMemLocation *to, size_t *first, size_t n_to, unsigned long long flags, cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    return r != cudaSuccess || !rt_cu.cuMemPrefetchBatchAsync ? r : RT_CU(cuMemPrefetchBatchAsync, (CUdeviceptr *)(void *)p, bytes, n, to, first, n_to, flags, stream);
}
static cudaError_t discard_batch(void **p, size_t *bytes, size_t n, unsigned long long flags, cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    return r != cudaSuccess || !rt_cu.cuMemDiscardBatchAsync ? r : RT_CU(cuMemDiscardBatchAsync, (CUdeviceptr *)(void *)p, bytes, n, flags, stream);
}
static cudaError_t discard_and_prefetch(void **p, size_t *bytes, size_t n, cudaMemLocation *to, size_t *first, size_t n_to, unsigned long long flags, cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    if (r != cudaSuccess || !rt_cu.cuMemDiscardAndPrefetchBatchAsync)
        return r;
    return RT_CU(cuMemDiscardAndPrefetchBatchAsync, (CUdeviceptr *)(void *)p, bytes, n, to, first, n_to, flags, stream);
}
RT_STREAM(cudaMemcpyBatchAsync, copy_batch, (const void **to, const void **from, const size_t *bytes, size_t n, void *attributes, size_t *first, size_t n_attributes,
          cudaStream_t stream), to, from, bytes, n, attributes, first, n_attributes)
RT_STREAM(cudaMemPrefetchBatchAsync, prefetch_batch, (void **p, size_t *bytes, size_t n, cudaMemLocation *to, size_t *first, size_t n_to, unsigned long long flags,
          cudaStream_t stream), p, bytes, n, to, first, n_to, flags)
RT_STREAM(cudaMemDiscardBatchAsync, discard_batch, (void **p, size_t *bytes, size_t n, unsigned long long flags, cudaStream_t stream), p, bytes, n, flags)
RT_STREAM(cudaMemDiscardAndPrefetchBatchAsync, discard_and_prefetch, (void **p, size_t *bytes, size_t n, cudaMemLocation *to, size_t *first, size_t n_to,
          unsigned long long flags, cudaStream_t stream), p, bytes, n, to, first, n_to, flags)
RT_API cudaError_t cudaMemGetDefaultMemPool(cudaMemPool_t *out, cudaMemLocation *where, int type) { return RT_DO(cuMemGetDefaultMemPool, out, where, type); }
RT_API cudaError_t cudaMemGetMemPool(cudaMemPool_t *out, cudaMemLocation *where, int type) { return RT_DO(cuMemGetMemPool, out, where, type); }
RT_API cudaError_t cudaMemSetMemPool(cudaMemLocation *where, int type, cudaMemPool_t pool) { return RT_DO(cuMemSetMemPool, where, type, pool); }
#else   // with the index of the copy that failed; SIZE_MAX: not known
static cudaError_t copy_batch_12(const void **to, const void **from, const size_t *bytes, size_t n, const void *attributes, const size_t *first, size_t n_attributes,
                                 size_t *failed, cudaStream_t stream) {
    if (failed)
        *failed = SIZE_MAX;
    return copy_batch(to, from, bytes, n, attributes, first, n_attributes, stream);
}
RT_STREAM(cudaMemcpyBatchAsync, copy_batch_12, (const void **to, const void **from, const size_t *bytes, size_t n, void *attributes, size_t *first, size_t n_attributes,
          size_t *failed, cudaStream_t stream), to, from, bytes, n, attributes, first, n_attributes, failed)
#endif
