// Launches, the configuration that <<<…>>> pushes for the host stub, attributes and occupancy of functions.
#include "cudart/internal.h"

typedef struct launch_shape { dim3 grid, block; size_t shared; cudaStream_t stream; } launch_shape;

// ---- <<<grid, block, shared, stream>>>: pushed by the caller, popped by the stub that nvcc generates

enum { PUSHED_MAX = 64 };
static _Thread_local launch_shape pushed[PUSHED_MAX];
static _Thread_local unsigned n_pushed;

RT_API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
    if (n_pushed == PUSHED_MAX)
        return 1;   // the caller does not call the stub then
    pushed[n_pushed++] = (launch_shape){grid, block, shared, stream};
    return 0;
}
RT_API cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    if (!n_pushed)
        return rt_record(cudaErrorMissingConfiguration);
    const launch_shape *s = &pushed[--n_pushed];
    *grid = s->grid;
    *block = s->block;
    *shared = s->shared;
    *(cudaStream_t *)stream = s->stream;
    return cudaSuccess;
}

// ---- launches

// The driver calls a bad shape an invalid value; the runtime tells it apart.
static cudaError_t check_shape(dim3 grid, dim3 block) {
    const unsigned long long threads = 1ull * block.x * block.y * block.z;
    const bool fits = block.x <= 1024 && block.y <= 1024 && block.z <= 64 && threads <= 1024 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
    return threads && grid.x && grid.y && grid.z && fits ? cudaSuccess : cudaErrorInvalidConfiguration;
}

static cudaError_t prepare(const void *func, const launch_shape *s, CUfunction *f) {
    cudaError_t r = rt_function_of(func, f);
    if (r == cudaSuccess)
        r = check_shape(s->grid, s->block);
    return r == cudaSuccess && s->shared > 0xffffffffu ? cudaErrorInvalidValue : r;
}

static cudaError_t launch(const void *func, dim3 g, dim3 b, void **args, size_t shared, cudaStream_t stream) {
    CUfunction f;
    const cudaError_t r = prepare(func, &(launch_shape){g, b, shared, stream}, &f);
    return r != cudaSuccess ? r : RT_CU(cuLaunchKernel, f, g.x, g.y, g.z, b.x, b.y, b.z, (unsigned)shared, stream, args, NULL);
}
RT_STREAM(cudaLaunchKernel, launch, (const void *func, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream), func, grid, block, args, shared)
RT_STREAM(__cudaLaunchKernel, launch, (cudaKernel_t k, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream), k, grid, block, args, shared)

static cudaError_t launch_cooperative(const void *func, dim3 g, dim3 b, void **args, size_t shared, cudaStream_t stream) {
    CUfunction f;
    const cudaError_t r = prepare(func, &(launch_shape){g, b, shared, stream}, &f);
    return r != cudaSuccess ? r : RT_CU(cuLaunchCooperativeKernel, f, g.x, g.y, g.z, b.x, b.y, b.z, (unsigned)shared, stream, args);
}
RT_STREAM(cudaLaunchCooperativeKernel, launch_cooperative, (const void *func, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream), func,
          grid, block, args, shared)

static CUlaunchConfig driver_config(const cudaLaunchConfig_t *k, cudaStream_t stream) {
    return (CUlaunchConfig){k->gridDim, k->blockDim, (unsigned)k->dynamicSmemBytes, stream, k->attrs, k->numAttrs};
}
static cudaError_t launch_config(const cudaLaunchConfig_t *k, const void *func, void **args, cudaStream_t stream) {
    CUfunction f;
    const cudaError_t r = prepare(func, &(launch_shape){k->gridDim, k->blockDim, k->dynamicSmemBytes, stream}, &f);
    const CUlaunchConfig d = driver_config(k, stream);
    return r != cudaSuccess ? r : RT_CU(cuLaunchKernelEx, &d, f, args, NULL);
}
RT_API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *k, const void *func, void **args) {
    return rt_record(k ? launch_config(k, func, args, k->stream) : cudaErrorInvalidConfiguration);
}
RT_API cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t *k, const void *func, void **args) {
    return rt_record(k ? launch_config(k, func, args, rt_thread_stream(k->stream)) : cudaErrorInvalidConfiguration);
}

// Work on a stream is done when its call returns, so a driver without host functions is served by calling at once.
static cudaError_t host_function(cudaHostFn_t fn, void *data, cudaStream_t stream) {
    const cudaError_t r = fn ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuLaunchHostFunc)
        return r != cudaSuccess ? r : RT_CU(cuLaunchHostFunc, stream, fn, data);
    fn(data);
    return cudaSuccess;
}
RT_STREAM(cudaLaunchHostFunc, host_function, (cudaStream_t stream, cudaHostFn_t fn, void *data), fn, data)

// ---- functions

// The numbers of CUfunction_attribute are the order of cudaFuncAttributes from maxThreadsPerBlock on, without the three sizes.
RT_API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, const void *func) {
    enum { SHARED = 1, CONST = 2, LOCAL = 3 };
    static const int numbers[] = {0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 14};
    CUfunction f;
    cudaError_t r = a ? rt_function_of(func, &f) : cudaErrorInvalidValue;
    if (r != cudaSuccess)
        return rt_record(r);
    int shared = 0, constant = 0, local = 0;
    *a = (cudaFuncAttributes){0};
    RT_CU(cuFuncGetAttribute, &shared, SHARED, f);
    RT_CU(cuFuncGetAttribute, &constant, CONST, f);
    RT_CU(cuFuncGetAttribute, &local, LOCAL, f);
    a->sharedSizeBytes = (size_t)shared;
    a->constSizeBytes = (size_t)constant;
    a->localSizeBytes = (size_t)local;
    for (size_t i = 0; i < HONE_COUNT(numbers) && r == cudaSuccess; i++)
        r = RT_CU(cuFuncGetAttribute, &a->attributes[i], numbers[i], f);
    return rt_record(r);
}

// Evaluates a driver call with the function in `f`.
#define WITH_FUNCTION(func, ...)                                  \
    CUfunction f;                                                 \
    const cudaError_t r = rt_function_of(func, &f);               \
    return rt_record(r != cudaSuccess ? r : (__VA_ARGS__))

RT_API cudaError_t cudaFuncSetAttribute(const void *func, int attribute, int value) { WITH_FUNCTION(func, RT_CU(cuFuncSetAttribute, f, attribute, value)); }
RT_API cudaError_t cudaFuncSetCacheConfig(const void *func, int config) { WITH_FUNCTION(func, RT_CU(cuFuncSetCacheConfig, f, config)); }
RT_API cudaError_t cudaFuncSetSharedMemConfig(const void *func, int config) { WITH_FUNCTION(func, RT_CU(cuFuncSetSharedMemConfig, f, config)); }
RT_API cudaError_t cudaFuncGetName(const char **name, const void *func) { WITH_FUNCTION(func, RT_CU(cuFuncGetName, name, f)); }
RT_API cudaError_t cudaFuncGetParamInfo(const void *func, size_t i, size_t *offset, size_t *bytes) {
    WITH_FUNCTION(func, RT_CU(cuFuncGetParamInfo, f, i, offset, bytes));
}
RT_API cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t k, int attribute, int value, int device) {
    (void)device;
    WITH_FUNCTION(k, RT_CU(cuFuncSetAttribute, f, attribute, value));
}

RT_API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *func, int block, size_t shared, unsigned flags) {
    WITH_FUNCTION(func, RT_CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, n, f, block, shared, flags));
}
RT_API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *func, int block, size_t shared) {
    WITH_FUNCTION(func, RT_CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, n, f, block, shared, 0));
}
RT_API cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *func, int blocks, int threads) {
    WITH_FUNCTION(func, RT_CU(cuOccupancyAvailableDynamicSMemPerBlock, bytes, f, blocks, threads));
}

#define WITH_CONFIG(driver_function, n, func, k)                                                        \
    CUfunction f;                                                                                       \
    const cudaError_t r = k ? rt_function_of(func, &f) : cudaErrorInvalidValue;                         \
    if (r != cudaSuccess)                                                                               \
        return rt_record(r);                                                                            \
    const CUlaunchConfig d = driver_config(k, k->stream);                                               \
    return rt_record(RT_CU(driver_function, n, f, &d))

RT_API cudaError_t cudaOccupancyMaxPotentialClusterSize(int *n, const void *func, const cudaLaunchConfig_t *k) {
    WITH_CONFIG(cuOccupancyMaxPotentialClusterSize, n, func, k);
}
RT_API cudaError_t cudaOccupancyMaxActiveClusters(int *n, const void *func, const cudaLaunchConfig_t *k) {
    WITH_CONFIG(cuOccupancyMaxActiveClusters, n, func, k);
}
