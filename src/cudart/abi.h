// The part of the CUDA runtime ABI that libcudart implements, and of the driver ABI that it calls: handles, structures, numbers, as the two API
// references document them. Facts only: the library builds without a toolkit. HONE_CUDART_MAJOR is 12 or 13; some layouts differ.
#ifndef HONE_CUDART_ABI_H
#define HONE_CUDART_ABI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUuuid { char bytes[16]; } CUuuid;
typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUarray_st *cudaArray_t;
typedef struct CUmipmappedArray_st *cudaMipmappedArray_t;
typedef struct CUmemPool_st *cudaMemPool_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphNode_st *cudaGraphNode_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;
typedef struct CUlib_st *cudaLibrary_t;
typedef struct rt_function *cudaKernel_t;
typedef unsigned long long cudaTextureObject_t, cudaSurfaceObject_t;
typedef void (*cudaHostFn_t)(void *);

typedef int cudaError_t;
enum {
#define ERROR(name, value, text) name = value,
#include "cudart/errors.def"
#undef ERROR
};
enum { CUDA_SUCCESS = 0, CUDA_ERROR_NOT_SUPPORTED = 801 };   // CUresult: its values are cudaError_t's (the references' tables agree)
enum { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };
enum { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
enum { CU_MEMORY_HOST = 1, CU_MEMORY_DEVICE = 2, CU_MEMORY_ARRAY = 3, CU_MEMORY_UNIFIED = 4 };
enum { CU_POINTER_MEMORY_TYPE = 2, CU_POINTER_HOST_POINTER = 4, CU_POINTER_IS_MANAGED = 8 };
enum { CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6 };
#define CU_STREAM_PER_THREAD ((cudaStream_t)2)

typedef struct dim3 { unsigned x, y, z; } dim3;
typedef struct cudaExtent { size_t width, height, depth; } cudaExtent;
typedef struct cudaPos { size_t x, y, z; } cudaPos;
typedef struct cudaPitchedPtr { void *ptr; size_t pitch, xsize, ysize; } cudaPitchedPtr;
typedef struct cudaChannelFormatDesc { int x, y, z, w, f; } cudaChannelFormatDesc;
typedef struct cudaMemLocation { int type, id; } cudaMemLocation;
typedef struct cudaMemcpy3DParms {
    cudaArray_t srcArray;
    cudaPos srcPos;
    cudaPitchedPtr srcPtr;
    cudaArray_t dstArray;
    cudaPos dstPos;
    cudaPitchedPtr dstPtr;
    cudaExtent extent;
    int kind;
} cudaMemcpy3DParms;
typedef struct cudaPointerAttributes {
    int type, device;
    void *devicePointer, *hostPointer;
#if HONE_CUDART_MAJOR >= 13
    long reserved[8];
#endif
} cudaPointerAttributes;
typedef struct cudaFuncAttributes {
    size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
    int attributes[13];   // maxThreadsPerBlock, numRegs, ptxVersion …: one int per CUfunction_attribute (launch.c)
    int reserved[16];
} cudaFuncAttributes;
typedef union cudaLaunchAttributeValue { char pad[64]; dim3 clusterDim; int cooperative; } cudaLaunchAttributeValue;
typedef struct cudaLaunchAttribute { int id; char pad[4]; cudaLaunchAttributeValue val; } cudaLaunchAttribute;
typedef struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
} cudaLaunchConfig_t;
typedef struct CUlaunchConfig {
    dim3 grid, block;
    unsigned shared_bytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attributes;   // numbers and layouts are the driver's
    unsigned n_attributes;
} CUlaunchConfig;

typedef struct CUmemcpy3D {
    size_t src_x, src_y, src_z, src_lod;
    int src_type;
    const void *src_host;
    CUdeviceptr src_device;
    cudaArray_t src_array;
    void *src_reserved;
    size_t src_pitch, src_height;
    size_t dst_x, dst_y, dst_z, dst_lod;
    int dst_type;
    void *dst_host;
    CUdeviceptr dst_device;
    cudaArray_t dst_array;
    void *dst_reserved;
    size_t dst_pitch, dst_height;
    size_t width_bytes, height, depth;
} CUmemcpy3D;
typedef struct CUmemcpy2D {
    size_t src_x, src_y;
    int src_type;
    const void *src_host;
    CUdeviceptr src_device;
    cudaArray_t src_array;
    size_t src_pitch, dst_x, dst_y;
    int dst_type;
    void *dst_host;
    CUdeviceptr dst_device;
    cudaArray_t dst_array;
    size_t dst_pitch, width_bytes, height;
} CUmemcpy2D;
typedef struct CUarray3D { size_t width, height, depth; int format; unsigned channels, flags; } CUarray3D;

#define FIELD_INT(name, attribute) int name;
#define FIELD_UINT(name, attribute) unsigned name;
#define FIELD_SIZE(name, attribute) size_t name;
#define FIELD_INTS(name, n, ...) int name[n];
#if HONE_CUDART_MAJOR >= 13
#define ONLY_12(...)
#define ONLY_13(...) __VA_ARGS__
#else
#define ONLY_12(...) __VA_ARGS__
#define ONLY_13(...)
#endif
typedef struct cudaDeviceProp {
    char name[256];
    CUuuid uuid;
    char luid[8];
    unsigned luidDeviceNodeMask;
    size_t totalGlobalMem;
#include "cudart/properties.def"
    int reserved[HONE_CUDART_MAJOR >= 13 ? 56 : 63];
} cudaDeviceProp;
#undef FIELD_INT
#undef FIELD_UINT
#undef FIELD_SIZE
#undef FIELD_INTS
_Static_assert(sizeof(cudaDeviceProp) == (HONE_CUDART_MAJOR >= 13 ? 1008 : 1032), "cudaDeviceProp, as the toolkits' headers lay it out");
_Static_assert(sizeof(cudaFuncAttributes) == 144 && sizeof(cudaLaunchConfig_t) == 56 && sizeof(cudaMemcpy3DParms) == 160, "runtime API layouts");
_Static_assert(sizeof(CUmemcpy3D) == 200 && sizeof(CUmemcpy2D) == 128 && sizeof(CUlaunchConfig) == 56, "driver API layouts");
#endif
