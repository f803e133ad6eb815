// Copies and sets. Each exists as a call that waits and as one on a stream; both are one implementation with the stream last. Copies of arrays and of
// boxes go to the driver as 3D copies.
#include "cudart/internal.h"
#include "cudart/copy.h"

static CUdeviceptr address(const void *p) { return (CUdeviceptr)(uintptr_t)p; }

static cudaError_t copy_async(void *to, const void *from, size_t n, int kind, cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    if (r != cudaSuccess || !n)
        return r;
    switch (kind) {
    case cudaMemcpyHostToDevice: return RT_CU(cuMemcpyHtoDAsync_v2, address(to), from, n, stream);
    case cudaMemcpyDeviceToHost: return RT_CU(cuMemcpyDtoHAsync_v2, to, address(from), n, stream);
    case cudaMemcpyDeviceToDevice: return RT_CU(cuMemcpyDtoDAsync_v2, address(to), address(from), n, stream);
    case cudaMemcpyHostToHost:
    case cudaMemcpyDefault: return RT_CU(cuMemcpyAsync, address(to), address(from), n, stream);
    default: return cudaErrorInvalidMemcpyDirection;
    }
}

static cudaError_t wait_for(cudaError_t r, cudaStream_t stream) { return r == cudaSuccess ? RT_CU(cuStreamSynchronize, stream) : r; }

static cudaError_t copy(void *to, const void *from, size_t n, int kind, cudaStream_t stream) {
    return wait_for(copy_async(to, from, n, kind, stream), stream);
}
RT_STREAM(cudaMemcpyAsync, copy_async, (void *to, const void *from, size_t n, int kind, cudaStream_t stream), to, from, n, kind)
RT_DEFAULT(cudaMemcpy, copy, (void *to, const void *from, size_t n, int kind), to, from, n, kind)

static cudaError_t copy_peer(void *to, int to_device, const void *from, int from_device, size_t n, cudaStream_t stream) {
    cudaError_t r = rt_check_device(to_device);
    if (r == cudaSuccess)
        r = rt_check_device(from_device);
    return r == cudaSuccess ? copy_async(to, from, n, cudaMemcpyDeviceToDevice, stream) : r;
}
RT_API cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t n, cudaStream_t stream) {
    return rt_record(copy_peer(to, to_device, from, from_device, n, stream));
}
RT_API cudaError_t cudaMemcpyPeer(void *to, int to_device, const void *from, int from_device, size_t n) {
    return rt_record(wait_for(copy_peer(to, to_device, from, from_device, n, NULL), NULL));
}

// ---- symbols

static cudaError_t part_of_symbol(const void *symbol, size_t n, size_t offset, void **at) {
    CUdeviceptr p;
    size_t bytes;
    const cudaError_t r = rt_variable_of(symbol, &p, &bytes);
    if (r != cudaSuccess)
        return r;
    *at = (char *)(uintptr_t)p + offset;
    return offset > bytes || n > bytes - offset ? cudaErrorInvalidValue : cudaSuccess;
}
static cudaError_t to_symbol_async(const void *symbol, const void *from, size_t n, size_t offset, int kind, cudaStream_t stream) {
    void *to;
    const bool fits = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDefault;
    const cudaError_t r = fits ? part_of_symbol(symbol, n, offset, &to) : cudaErrorInvalidMemcpyDirection;
    return r == cudaSuccess ? copy_async(to, from, n, kind, stream) : r;
}
static cudaError_t from_symbol_async(void *to, const void *symbol, size_t n, size_t offset, int kind, cudaStream_t stream) {
    void *from;
    const bool fits = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDefault;
    const cudaError_t r = fits ? part_of_symbol(symbol, n, offset, &from) : cudaErrorInvalidMemcpyDirection;
    return r == cudaSuccess ? copy_async(to, from, n, kind, stream) : r;
}
static cudaError_t to_symbol(const void *symbol, const void *from, size_t n, size_t offset, int kind, cudaStream_t stream) {
    return wait_for(to_symbol_async(symbol, from, n, offset, kind, stream), stream);
}
static cudaError_t from_symbol(void *to, const void *symbol, size_t n, size_t offset, int kind, cudaStream_t stream) {
    return wait_for(from_symbol_async(to, symbol, n, offset, kind, stream), stream);
}
RT_STREAM(cudaMemcpyToSymbolAsync, to_symbol_async, (const void *symbol, const void *from, size_t n, size_t offset, int kind, cudaStream_t stream), symbol, from,
          n, offset, kind)
RT_STREAM(cudaMemcpyFromSymbolAsync, from_symbol_async, (void *to, const void *symbol, size_t n, size_t offset, int kind, cudaStream_t stream), to, symbol, n,
          offset, kind)
RT_DEFAULT(cudaMemcpyToSymbol, to_symbol, (const void *symbol, const void *from, size_t n, size_t offset, int kind), symbol, from, n, offset, kind)
RT_DEFAULT(cudaMemcpyFromSymbol, from_symbol, (void *to, const void *symbol, size_t n, size_t offset, int kind), to, symbol, n, offset, kind)

// ---- two dimensions

static cudaError_t copy_2d_async(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind, cudaStream_t stream) {
    rt_kinds k;
    cudaError_t r = rt_enter();
    if (r == cudaSuccess)
        r = rt_kinds_of(kind, &k);
    if (r != cudaSuccess)
        return r;
    if (height > 1 && (to_pitch < width || from_pitch < width))
        return cudaErrorInvalidPitchValue;
    if (!width || !height)
        return cudaSuccess;
    const CUmemcpy2D c = {.src_type = k.from, .src_host = from, .src_device = address(from), .src_pitch = from_pitch, .dst_type = k.to, .dst_host = to,
                          .dst_device = address(to), .dst_pitch = to_pitch, .width_bytes = width, .height = height};
    return RT_CU(cuMemcpy2DAsync_v2, &c, stream);
}
static cudaError_t copy_2d(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind, cudaStream_t stream) {
    return wait_for(copy_2d_async(to, to_pitch, from, from_pitch, width, height, kind, stream), stream);
}
RT_STREAM(cudaMemcpy2DAsync, copy_2d_async, (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind, cudaStream_t stream),
          to, to_pitch, from, from_pitch, width, height, kind)
RT_DEFAULT(cudaMemcpy2D, copy_2d, (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind), to, to_pitch, from,
           from_pitch, width, height, kind)

// ---- three dimensions

// A driver without 3D copies is served row block by row block; it has no arrays either.
static cudaError_t copy_slices(const cudaMemcpy3DParms *p, cudaStream_t stream) {
    cudaError_t r = p->srcArray || p->dstArray ? cudaErrorNotSupported : cudaSuccess;
    for (size_t z = 0; z < p->extent.depth && r == cudaSuccess; z++) {
        char *to = (char *)p->dstPtr.ptr + ((p->dstPos.z + z) * p->dstPtr.ysize + p->dstPos.y) * p->dstPtr.pitch + p->dstPos.x;
        const char *from = (const char *)p->srcPtr.ptr + ((p->srcPos.z + z) * p->srcPtr.ysize + p->srcPos.y) * p->srcPtr.pitch + p->srcPos.x;
        r = copy_2d_async(to, p->dstPtr.pitch, from, p->srcPtr.pitch, p->extent.width, p->extent.height, p->kind, stream);
    }
    return r;
}
cudaError_t rt_copy_3d(const cudaMemcpy3DParms *p, cudaStream_t stream) {
    CUmemcpy3D c;
    cudaError_t r = p ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess || !p->extent.width || !p->extent.height || !p->extent.depth)
        return r;
    if (!rt_cu.cuMemcpy3DAsync_v2)
        return copy_slices(p, stream);
    r = rt_driver_copy(p, &c);
    return r == cudaSuccess ? RT_CU(cuMemcpy3DAsync_v2, &c, stream) : r;
}
static cudaError_t copy_3d(const cudaMemcpy3DParms *p, cudaStream_t stream) { return wait_for(rt_copy_3d(p, stream), stream); }
RT_STREAM(cudaMemcpy3DAsync, rt_copy_3d, (const cudaMemcpy3DParms *p, cudaStream_t stream), p)
RT_DEFAULT(cudaMemcpy3D, copy_3d, (const cudaMemcpy3DParms *p), p)

// ---- sets

static cudaError_t set_async(void *p, int value, size_t n, cudaStream_t stream) {
    const cudaError_t r = rt_enter();
    return r != cudaSuccess || !n ? r : RT_CU(cuMemsetD8Async, address(p), (unsigned char)value, n, stream);
}
static cudaError_t set_2d_async(void *p, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
    cudaError_t r = rt_enter();
    if (r == cudaSuccess && height > 1 && pitch < width)
        r = cudaErrorInvalidPitchValue;
    if (r == cudaSuccess && width && height && rt_cu.cuMemsetD2D8Async)
        return RT_CU(cuMemsetD2D8Async, address(p), pitch, (unsigned char)value, width, height, stream);
    for (size_t y = 0; y < height && r == cudaSuccess; y++)
        r = set_async((char *)p + y * pitch, value, width, stream);
    return r;
}
static cudaError_t set_3d_async(cudaPitchedPtr p, int value, cudaExtent n, cudaStream_t stream) {
    cudaError_t r = cudaSuccess;
    for (size_t z = 0; z < n.depth && r == cudaSuccess; z++)
        r = set_2d_async((char *)p.ptr + z * p.pitch * p.ysize, p.pitch, value, n.width, n.height, stream);
    return r;
}
// Sets do not wait, as documented: they are asynchronous to the host also without a stream.
RT_STREAM(cudaMemsetAsync, set_async, (void *p, int value, size_t n, cudaStream_t stream), p, value, n)
RT_STREAM(cudaMemset2DAsync, set_2d_async, (void *p, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream), p, pitch, value, width, height)
RT_STREAM(cudaMemset3DAsync, set_3d_async, (cudaPitchedPtr p, int value, cudaExtent n, cudaStream_t stream), p, value, n)
RT_DEFAULT(cudaMemset, set_async, (void *p, int value, size_t n), p, value, n)
RT_DEFAULT(cudaMemset2D, set_2d_async, (void *p, size_t pitch, int value, size_t width, size_t height), p, pitch, value, width, height)
RT_DEFAULT(cudaMemset3D, set_3d_async, (cudaPitchedPtr p, int value, cudaExtent n), p, value, n)
