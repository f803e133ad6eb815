// The part of the CUDA driver ABI that hone calls: handles, result codes, attributes and the extended launch's structures, as documented by
// the driver API reference. Facts only, so that hone builds on a machine without a toolkit. Layouts are checked against the documented
// sizes below.
#ifndef HONE_GPU_CUDA_ABI_H
#define HONE_GPU_CUDA_ABI_H
#include <stddef.h>
#include <stdint.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
enum { CU_STREAM_CAPTURE_RELAXED = 2 };   // CUstreamCaptureMode

enum { // CUresult; the ones hone tells apart
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_ECC_UNCORRECTABLE = 214,
    CUDA_ERROR_INVALID_PTX = 218,
    CUDA_ERROR_NVLINK_UNCORRECTABLE = 220,
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_LAUNCH_TIMEOUT = 702,
    CUDA_ERROR_ASSERT = 710,
    CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
    CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
    CUDA_ERROR_MISALIGNED_ADDRESS = 716,
    CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
    CUDA_ERROR_INVALID_PC = 718,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_SYSTEM_NOT_READY = 802,
    CUDA_ERROR_UNKNOWN = 999
};

enum {   // CUdevice_attribute
    CU_ATTR_MAX_THREADS_PER_BLOCK = 1, CU_ATTR_SHARED_PER_BLOCK = 8, CU_ATTR_WARP_SIZE = 10, CU_ATTR_REGISTERS_PER_BLOCK = 12,
    CU_ATTR_CLOCK_RATE_KHZ = 13, CU_ATTR_SM_COUNT = 16, CU_ATTR_MEMORY_CLOCK_KHZ = 36, CU_ATTR_MEMORY_BUS_BITS = 37, CU_ATTR_L2_BYTES = 38,
    CU_ATTR_THREADS_PER_SM = 39, CU_ATTR_CC_MAJOR = 75, CU_ATTR_CC_MINOR = 76, CU_ATTR_SHARED_PER_SM = 81, CU_ATTR_REGISTERS_PER_SM = 82,
    CU_ATTR_COOPERATIVE_LAUNCH = 95, CU_ATTR_SHARED_PER_BLOCK_OPTIN = 97, CU_ATTR_BLOCKS_PER_SM = 106
};
enum {   // CUfunction_attribute
    CU_FUNC_MAX_THREADS_PER_BLOCK = 0, CU_FUNC_SHARED_BYTES = 1, CU_FUNC_CONST_BYTES = 2, CU_FUNC_LOCAL_BYTES = 3, CU_FUNC_REGISTERS = 4,
    CU_FUNC_MAX_DYNAMIC_SHARED = 8, CU_FUNC_PREFERRED_CARVEOUT = 9, CU_FUNC_NON_PORTABLE_CLUSTER = 13
};
enum { CU_STREAM_NON_BLOCKING_FLAG = 1, CU_EVENT_DEFAULT_FLAG = 0, CU_LIMIT_PERSISTING_L2 = 6 };
enum {   // CUjit_option
    CU_JIT_INFO_LOG = 3, CU_JIT_INFO_LOG_BYTES = 4, CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6
};
enum { CU_LAUNCH_CLUSTER_DIMENSION = 4, CU_LAUNCH_COOPERATIVE = 2 };   // CUlaunchAttributeID

typedef union CUlaunchAttributeValue {
    char pad[64];
    struct { unsigned x, y, z; } clusterDim;
    int cooperative;
} CUlaunchAttributeValue;
typedef struct CUlaunchAttribute {
    int id;
    char pad[8 - sizeof(int)];
    CUlaunchAttributeValue value;
} CUlaunchAttribute;
typedef struct CUlaunchConfig {
    unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute *attrs;
    unsigned numAttrs;
} CUlaunchConfig;
_Static_assert(sizeof(CUlaunchAttribute) == 72 && sizeof(CUlaunchConfig) == 56, "driver API layouts");
#endif
