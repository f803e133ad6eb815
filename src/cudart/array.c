// Arrays, texture and surface objects: the runtime's descriptions translated into the driver's.
#include "cudart/copy.h"
#include <string.h>

enum { KIND_SIGNED, KIND_UNSIGNED, KIND_FLOAT, KIND_NONE };   // cudaChannelFormatKind
enum { RESOURCE_ARRAY, RESOURCE_MIPMAPPED, RESOURCE_LINEAR, RESOURCE_PITCH_2D };

typedef struct format_row { int bits, kind, format; } format_row;   // CUarray_format
static const format_row formats[] = {{8, KIND_UNSIGNED, 0x01},  {16, KIND_UNSIGNED, 0x02}, {32, KIND_UNSIGNED, 0x03}, {8, KIND_SIGNED, 0x08},
                                     {16, KIND_SIGNED, 0x09},   {32, KIND_SIGNED, 0x0a},   {16, KIND_FLOAT, 0x10},    {32, KIND_FLOAT, 0x20}};

cudaError_t rt_format_of(const cudaChannelFormatDesc *d, int *format, unsigned *channels) {
    const int bits[4] = {d->x, d->y, d->z, d->w};
    *channels = 0;
    while (*channels < 4 && bits[*channels] == d->x && d->x)
        ++*channels;
    for (unsigned i = *channels; i < 4; i++)
        if (bits[i])
            return cudaErrorInvalidChannelDescriptor;
    for (size_t i = 0; i < HONE_COUNT(formats); i++)
        if (formats[i].bits == d->x && formats[i].kind == d->f)
            return *format = formats[i].format, *channels == 3 ? cudaErrorInvalidChannelDescriptor : cudaSuccess;
    return cudaErrorInvalidChannelDescriptor;
}

static cudaChannelFormatDesc channels_of(const CUarray3D *a) {
    cudaChannelFormatDesc d = {.f = KIND_NONE};
    int *const bits[4] = {&d.x, &d.y, &d.z, &d.w};
    for (size_t i = 0; i < HONE_COUNT(formats); i++)
        if (formats[i].format == a->format) {
            d.f = formats[i].kind;
            for (unsigned c = 0; c < a->channels && c < 4; c++)
                *bits[c] = formats[i].bits;
        }
    return d;
}

static cudaError_t describe(cudaArray_t a, CUarray3D *out) {
    const cudaError_t r = a ? rt_enter() : cudaErrorInvalidResourceHandle;
    return r != cudaSuccess ? r : RT_CU(cuArray3DGetDescriptor_v2, out, a);
}

cudaError_t rt_element_bytes(cudaArray_t a, size_t *bytes) {
    CUarray3D d;
    const cudaError_t r = describe(a, &d);
    if (r != cudaSuccess)
        return r;
    *bytes = (size_t)channels_of(&d).x / 8 * d.channels;
    return *bytes ? cudaSuccess : cudaErrorInvalidChannelDescriptor;
}

// ---- allocation

static cudaError_t create(cudaArray_t *out, const cudaChannelFormatDesc *d, cudaExtent n, unsigned flags) {
    CUarray3D a = {.width = n.width, .height = n.height, .depth = n.depth, .flags = flags};
    cudaError_t r = out && d ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = rt_format_of(d, &a.format, &a.channels);
    return r != cudaSuccess ? r : RT_CU(cuArray3DCreate_v2, out, &a);
}
RT_API cudaError_t cudaMallocArray(cudaArray_t *out, const cudaChannelFormatDesc *d, size_t width, size_t height, unsigned flags) {
    return rt_record(create(out, d, (cudaExtent){width, height, 0}, flags));
}
RT_API cudaError_t cudaMalloc3DArray(cudaArray_t *out, const cudaChannelFormatDesc *d, cudaExtent n, unsigned flags) {
    return rt_record(create(out, d, n, flags));
}
RT_API cudaError_t cudaFreeArray(cudaArray_t a) {
    const cudaError_t r = rt_enter();
    return rt_record(r != cudaSuccess || !a ? r : RT_CU(cuArrayDestroy, a));
}

RT_API cudaError_t cudaMallocMipmappedArray(cudaMipmappedArray_t *out, const cudaChannelFormatDesc *d, cudaExtent n, unsigned levels, unsigned flags) {
    CUarray3D a = {.width = n.width, .height = n.height, .depth = n.depth, .flags = flags};
    cudaError_t r = out && d ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = rt_format_of(d, &a.format, &a.channels);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuMipmappedArrayCreate, out, &a, levels));
}
RT_API cudaError_t cudaGetMipmappedArrayLevel(cudaArray_t *out, cudaMipmappedArray_t m, unsigned level) { return RT_DO(cuMipmappedArrayGetLevel, out, m, level); }
RT_API cudaError_t cudaFreeMipmappedArray(cudaMipmappedArray_t m) { return RT_DO(cuMipmappedArrayDestroy, m); }

RT_API cudaError_t cudaArrayGetInfo(cudaChannelFormatDesc *d, cudaExtent *n, unsigned *flags, cudaArray_t a) {
    CUarray3D x;
    const cudaError_t r = describe(a, &x);
    if (r != cudaSuccess)
        return rt_record(r);
    if (d)
        *d = channels_of(&x);
    if (n)
        *n = (cudaExtent){x.width, x.height, x.depth};
    if (flags)
        *flags = x.flags;
    return cudaSuccess;
}
RT_API cudaError_t cudaGetChannelDesc(cudaChannelFormatDesc *d, cudaArray_t a) {
    return d ? cudaArrayGetInfo(d, NULL, NULL, a) : rt_record(cudaErrorInvalidValue);
}
RT_API cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w, int f) { return (cudaChannelFormatDesc){x, y, z, w, f}; }

RT_API cudaError_t cudaDeviceGetTexture1DLinearMaxWidth(size_t *n, const cudaChannelFormatDesc *d, int device) {
    int format;
    unsigned channels;
    const cudaError_t r = d ? rt_format_of(d, &format, &channels) : cudaErrorInvalidValue;
    return rt_record(r) != cudaSuccess ? r : RT_DO(cuDeviceGetTexture1DLinearMaxWidth, n, format, channels, device);
}

// ---- copies of arrays

cudaError_t rt_kinds_of(int kind, rt_kinds *k) {
    static const rt_kinds kinds[] = {[cudaMemcpyHostToHost] = {CU_MEMORY_HOST, CU_MEMORY_HOST},     [cudaMemcpyHostToDevice] = {CU_MEMORY_HOST, CU_MEMORY_DEVICE},
                                     [cudaMemcpyDeviceToHost] = {CU_MEMORY_DEVICE, CU_MEMORY_HOST}, [cudaMemcpyDeviceToDevice] = {CU_MEMORY_DEVICE, CU_MEMORY_DEVICE},
                                     [cudaMemcpyDefault] = {CU_MEMORY_UNIFIED, CU_MEMORY_UNIFIED}};
    if (kind < 0 || kind > cudaMemcpyDefault)
        return cudaErrorInvalidMemcpyDirection;
    *k = kinds[kind];
    return cudaSuccess;
}

cudaError_t rt_driver_copy(const cudaMemcpy3DParms *p, CUmemcpy3D *c) {
    rt_kinds k;
    size_t from_bytes = 1, to_bytes = 1;   // what x counts on either side
    cudaError_t r = rt_kinds_of(p->kind, &k);
    if (r == cudaSuccess && (!p->srcArray == !p->srcPtr.ptr || !p->dstArray == !p->dstPtr.ptr))
        r = cudaErrorInvalidValue;   // exactly one source and one target
    if (r == cudaSuccess && p->srcArray)
        r = rt_element_bytes(p->srcArray, &from_bytes);
    if (r == cudaSuccess && p->dstArray)
        r = rt_element_bytes(p->dstArray, &to_bytes);
    if (r != cudaSuccess)
        return r;
    *c = (CUmemcpy3D){.src_x = p->srcPos.x * from_bytes, .src_y = p->srcPos.y, .src_z = p->srcPos.z, .src_type = p->srcArray ? CU_MEMORY_ARRAY : k.from,
                      .src_host = p->srcPtr.ptr, .src_device = (CUdeviceptr)(uintptr_t)p->srcPtr.ptr, .src_array = p->srcArray, .src_pitch = p->srcPtr.pitch,
                      .src_height = p->srcPtr.ysize, .dst_x = p->dstPos.x * to_bytes, .dst_y = p->dstPos.y, .dst_z = p->dstPos.z,
                      .dst_type = p->dstArray ? CU_MEMORY_ARRAY : k.to, .dst_host = p->dstPtr.ptr, .dst_device = (CUdeviceptr)(uintptr_t)p->dstPtr.ptr,
                      .dst_array = p->dstArray, .dst_pitch = p->dstPtr.pitch, .dst_height = p->dstPtr.ysize,
                      .width_bytes = p->extent.width * (p->srcArray ? from_bytes : to_bytes), .height = p->extent.height, .depth = p->extent.depth};
    return cudaSuccess;
}

// A rectangle of an array, offsets and widths in bytes as cudaMemcpy2DToArray has them.
typedef struct array_rect { cudaArray_t array; size_t x, y; } array_rect;
static cudaError_t copy_rect(array_rect to, void *to_ptr, size_t to_pitch, array_rect from, const void *from_ptr, size_t from_pitch, size_t width, size_t height,
                             int kind, cudaStream_t stream) {
    rt_kinds k;
    cudaError_t r = rt_enter();
    if (r == cudaSuccess)
        r = rt_kinds_of(kind, &k);
    if (r != cudaSuccess || !width || !height)
        return r;
    const CUmemcpy3D c = {.src_x = from.x, .src_y = from.y, .src_type = from.array ? CU_MEMORY_ARRAY : k.from, .src_host = from_ptr,
                          .src_device = (CUdeviceptr)(uintptr_t)from_ptr, .src_array = from.array, .src_pitch = from_pitch, .src_height = height, .dst_x = to.x,
                          .dst_y = to.y, .dst_type = to.array ? CU_MEMORY_ARRAY : k.to, .dst_host = to_ptr, .dst_device = (CUdeviceptr)(uintptr_t)to_ptr,
                          .dst_array = to.array, .dst_pitch = to_pitch, .dst_height = height, .width_bytes = width, .height = height, .depth = 1};
    return RT_CU(cuMemcpy3DAsync_v2, &c, stream);
}
static cudaError_t to_array(cudaArray_t a, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, int kind, cudaStream_t s) {
    return copy_rect((array_rect){a, x, y}, NULL, 0, (array_rect){0}, from, pitch, width, height, kind, s);
}
static cudaError_t from_array(void *to, size_t pitch, cudaArray_t a, size_t x, size_t y, size_t width, size_t height, int kind, cudaStream_t s) {
    return copy_rect((array_rect){0}, to, pitch, (array_rect){a, x, y}, NULL, 0, width, height, kind, s);
}
static cudaError_t between_arrays(cudaArray_t a, size_t x, size_t y, cudaArray_t b, size_t bx, size_t by, size_t width, size_t height, int kind, cudaStream_t s) {
    return copy_rect((array_rect){a, x, y}, NULL, 0, (array_rect){b, bx, by}, NULL, 0, width, height, kind, s);
}
static cudaError_t waited(cudaError_t r, cudaStream_t s) { return r == cudaSuccess ? RT_CU(cuStreamSynchronize, s) : r; }
static cudaError_t to_array_now(cudaArray_t a, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, int kind, cudaStream_t s) {
    return waited(to_array(a, x, y, from, pitch, width, height, kind, s), s);
}
static cudaError_t from_array_now(void *to, size_t pitch, cudaArray_t a, size_t x, size_t y, size_t width, size_t height, int kind, cudaStream_t s) {
    return waited(from_array(to, pitch, a, x, y, width, height, kind, s), s);
}
RT_STREAM(cudaMemcpy2DToArrayAsync, to_array,
          (cudaArray_t a, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, int kind, cudaStream_t stream), a, x, y, from, pitch,
          width, height, kind)
RT_STREAM(cudaMemcpy2DFromArrayAsync, from_array,
          (void *to, size_t pitch, cudaArray_t a, size_t x, size_t y, size_t width, size_t height, int kind, cudaStream_t stream), to, pitch, a, x, y, width,
          height, kind)
RT_DEFAULT(cudaMemcpy2DToArray, to_array_now, (cudaArray_t a, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, int kind), a, x, y,
           from, pitch, width, height, kind)
RT_DEFAULT(cudaMemcpy2DFromArray, from_array_now, (void *to, size_t pitch, cudaArray_t a, size_t x, size_t y, size_t width, size_t height, int kind), to, pitch,
           a, x, y, width, height, kind)
RT_DEFAULT(cudaMemcpy2DArrayToArray, between_arrays,
           (cudaArray_t a, size_t x, size_t y, cudaArray_t b, size_t bx, size_t by, size_t width, size_t height, int kind), a, x, y, b, bx, by, width, height, kind)
// One row; deprecated, still used.
RT_STREAM(cudaMemcpyToArrayAsync, to_array, (cudaArray_t a, size_t x, size_t y, const void *from, size_t n, int kind, cudaStream_t stream), a, x, y, from, n, n, 1, kind)
RT_STREAM(cudaMemcpyFromArrayAsync, from_array, (void *to, cudaArray_t a, size_t x, size_t y, size_t n, int kind, cudaStream_t stream), to, n, a, x, y, n, 1, kind)
RT_DEFAULT(cudaMemcpyToArray, to_array_now, (cudaArray_t a, size_t x, size_t y, const void *from, size_t n, int kind), a, x, y, from, n, n, 1, kind)
RT_DEFAULT(cudaMemcpyFromArray, from_array_now, (void *to, cudaArray_t a, size_t x, size_t y, size_t n, int kind), to, n, a, x, y, n, 1, kind)
RT_DEFAULT(cudaMemcpyArrayToArray, between_arrays, (cudaArray_t a, size_t x, size_t y, cudaArray_t b, size_t bx, size_t by, size_t n, int kind), a, x, y, b, bx,
           by, n, 1, kind)

// ---- texture and surface objects

typedef struct resource {   // cudaResourceDesc
    int type;
    union {
        void *handle;
        struct { void *at; cudaChannelFormatDesc channels; size_t n[3]; } memory;   // bytes; or width, height, pitch in bytes
        int reserved[32];
    } u;
    unsigned flags;
} resource;
typedef struct driver_resource {   // CUDA_RESOURCE_DESC
    int type;
    union {
        void *handle;
        struct { CUdeviceptr at; int format; unsigned channels; size_t n[3]; } memory;
        int reserved[32];
    } u;
    unsigned flags;
} driver_resource;
typedef struct texture {   // cudaTextureDesc
    int address[3], filter, read_mode, srgb;
    float border[4];
    int normalized;
    unsigned anisotropy;
    int mip_filter;
    float mip_bias, mip_min, mip_max;
    int no_trilinear_optimization, seamless_cubemap;
} texture;
typedef struct driver_texture {   // CUDA_TEXTURE_DESC
    int address[3], filter;
    unsigned flags, anisotropy;
    int mip_filter;
    float mip_bias, mip_min, mip_max, border[4];
    int reserved[12];
} driver_texture;
_Static_assert(sizeof(resource) == 144 && sizeof(driver_resource) == 144 && sizeof(texture) == 72 && sizeof(driver_texture) == 104, "descriptors");

static cudaError_t translate_resource(const resource *x, driver_resource *d) {
    *d = (driver_resource){.type = x->type, .flags = x->flags};
    if (x->type == RESOURCE_ARRAY || x->type == RESOURCE_MIPMAPPED)
        return d->u.handle = x->u.handle, cudaSuccess;
    if (x->type != RESOURCE_LINEAR && x->type != RESOURCE_PITCH_2D)
        return cudaErrorInvalidValue;
    d->u.memory.at = (CUdeviceptr)(uintptr_t)x->u.memory.at;
    memcpy(d->u.memory.n, x->u.memory.n, x->type == RESOURCE_LINEAR ? sizeof(size_t) : sizeof d->u.memory.n);
    return rt_format_of(&x->u.memory.channels, &d->u.memory.format, &d->u.memory.channels);
}

static driver_texture translate_texture(const texture *x) {
    enum { READ_ELEMENT = 0, AS_INTEGER = 1, NORMALIZED = 2, SRGB = 0x10, NO_TRILINEAR = 0x20, SEAMLESS = 0x40 };
    driver_texture d = {.filter = x->filter, .anisotropy = x->anisotropy, .mip_filter = x->mip_filter, .mip_bias = x->mip_bias, .mip_min = x->mip_min,
                        .mip_max = x->mip_max};
    memcpy(d.address, x->address, sizeof d.address);
    memcpy(d.border, x->border, sizeof d.border);
    d.flags = (x->read_mode == READ_ELEMENT ? AS_INTEGER : 0u) | (x->normalized ? NORMALIZED : 0u) | (x->srgb ? SRGB : 0u) |
              (x->no_trilinear_optimization ? NO_TRILINEAR : 0u) | (x->seamless_cubemap ? SEAMLESS : 0u);
    return d;
}

RT_API cudaError_t cudaCreateTextureObject(cudaTextureObject_t *out, const void *where, const void *how, const void *view) {
    driver_resource d;
    cudaError_t r = out && where && how ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = translate_resource(where, &d);
    if (r != cudaSuccess)
        return rt_record(r);
    const driver_texture t = translate_texture(how);
    return rt_record(RT_CU(cuTexObjectCreate, out, &d, &t, view));   // a view's numbers are the driver's
}
RT_API cudaError_t cudaDestroyTextureObject(cudaTextureObject_t t) { return RT_DO(cuTexObjectDestroy, t); }
RT_API cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t *out, const void *where) {
    driver_resource d;
    cudaError_t r = out && where ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = translate_resource(where, &d);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuSurfObjectCreate, out, &d));
}
RT_API cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t s) { return RT_DO(cuSurfObjectDestroy, s); }
