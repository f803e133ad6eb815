// The part of the CUDA driver ABI that this library implements: handles, result codes, attribute numbers and structure layouts, as the driver API
// reference documents them. Facts only: the library builds without a toolkit. Layouts are checked below.
#ifndef HONE_VGPU_CUDA_ABI_H
#define HONE_VGPU_CUDA_ABI_H
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
typedef struct CUuuid { char bytes[16]; } CUuuid;

enum {   // CUresult, those that can be returned; names and texts: results.def
#define RESULT(name, value, text) CUDA_##name = value,
#include "vgpu/driver/results.def"
#undef RESULT
};

enum {   // CUdevice_attribute
    CU_DEV_MAX_THREADS_PER_BLOCK = 1, CU_DEV_MAX_BLOCK_DIM_X = 2, CU_DEV_MAX_BLOCK_DIM_Y = 3, CU_DEV_MAX_BLOCK_DIM_Z = 4,
    CU_DEV_MAX_GRID_DIM_X = 5, CU_DEV_MAX_GRID_DIM_Y = 6, CU_DEV_MAX_GRID_DIM_Z = 7, CU_DEV_SHARED_PER_BLOCK = 8, CU_DEV_CONSTANT_BYTES = 9,
    CU_DEV_WARP_SIZE = 10, CU_DEV_MAX_PITCH = 11, CU_DEV_REGISTERS_PER_BLOCK = 12, CU_DEV_CLOCK_KHZ = 13, CU_DEV_TEXTURE_ALIGNMENT = 14,
    CU_DEV_GPU_OVERLAP = 15, CU_DEV_SM_COUNT = 16, CU_DEV_KERNEL_TIMEOUT = 17, CU_DEV_INTEGRATED = 18, CU_DEV_CAN_MAP_HOST = 19,
    CU_DEV_COMPUTE_MODE = 20, CU_DEV_CONCURRENT_KERNELS = 31, CU_DEV_ECC = 32, CU_DEV_PCI_BUS = 33, CU_DEV_PCI_DEVICE = 34, CU_DEV_TCC = 35,
    CU_DEV_MEMORY_CLOCK_KHZ = 36, CU_DEV_MEMORY_BUS_BITS = 37, CU_DEV_L2_BYTES = 38, CU_DEV_THREADS_PER_SM = 39, CU_DEV_ASYNC_ENGINES = 40,
    CU_DEV_UNIFIED_ADDRESSING = 41, CU_DEV_PCI_DOMAIN = 50, CU_DEV_CC_MAJOR = 75, CU_DEV_CC_MINOR = 76, CU_DEV_STREAM_PRIORITIES = 78,
    CU_DEV_GLOBAL_L1 = 79, CU_DEV_LOCAL_L1 = 80, CU_DEV_SHARED_PER_SM = 81, CU_DEV_REGISTERS_PER_SM = 82, CU_DEV_MANAGED_MEMORY = 83,
    CU_DEV_MULTI_GPU_BOARD = 84, CU_DEV_CONCURRENT_MANAGED = 89, CU_DEV_COMPUTE_PREEMPTION = 90, CU_DEV_COOPERATIVE_LAUNCH = 95,
    CU_DEV_SHARED_PER_BLOCK_OPTIN = 97, CU_DEV_HOST_REGISTER = 99, CU_DEV_BLOCKS_PER_SM = 106, CU_DEV_RESERVED_SHARED = 111,
    CU_DEV_MEMORY_POOLS = 115, CU_DEV_CLUSTER_LAUNCH = 120
};
enum {   // CUfunction_attribute
    CU_FUNC_MAX_THREADS_PER_BLOCK = 0, CU_FUNC_SHARED_BYTES = 1, CU_FUNC_CONST_BYTES = 2, CU_FUNC_LOCAL_BYTES = 3, CU_FUNC_REGISTERS = 4,
    CU_FUNC_PTX_VERSION = 5, CU_FUNC_BINARY_VERSION = 6, CU_FUNC_CACHE_MODE_CA = 7, CU_FUNC_MAX_DYNAMIC_SHARED = 8, CU_FUNC_CARVEOUT = 9,
    CU_FUNC_CLUSTER_MUST_BE_SET = 10, CU_FUNC_CLUSTER_WIDTH = 11, CU_FUNC_CLUSTER_HEIGHT = 12, CU_FUNC_CLUSTER_DEPTH = 13,
    CU_FUNC_NON_PORTABLE_CLUSTER = 14, CU_FUNC_CLUSTER_SCHEDULING = 15
};
enum {   // CUjit_option
    CU_JIT_MAX_REGISTERS = 0, CU_JIT_WALL_TIME = 2, CU_JIT_INFO_LOG = 3, CU_JIT_INFO_LOG_BYTES = 4, CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6
};
enum { CU_LIMIT_MALLOC_HEAP_SIZE = 2, CU_LIMIT_COUNT = 10 };
enum { CU_ATTRIBUTE_COOPERATIVE = 2, CU_ATTRIBUTE_CLUSTER = 4 };   // CUlaunchAttributeID
enum { CU_MEMORY_HOST = 1, CU_MEMORY_DEVICE = 2, CU_MEMORY_ARRAY = 3, CU_MEMORY_UNIFIED = 4 };
enum {   // CUpointer_attribute
    CU_POINTER_CONTEXT = 1, CU_POINTER_MEMORY_TYPE = 2, CU_POINTER_DEVICE_POINTER = 3, CU_POINTER_HOST_POINTER = 4, CU_POINTER_BUFFER_ID = 7,
    CU_POINTER_IS_MANAGED = 8, CU_POINTER_DEVICE_ORDINAL = 9, CU_POINTER_RANGE_START = 11, CU_POINTER_RANGE_SIZE = 12, CU_POINTER_MAPPED = 13
};
#define CU_PARAM_END ((void *)0)
#define CU_PARAM_POINTER ((void *)1)
#define CU_PARAM_SIZE ((void *)2)
#define CU_STREAM_LEGACY_HANDLE ((CUstream)1)
#define CU_STREAM_PER_THREAD_HANDLE ((CUstream)2)

typedef union CUlaunchAttributeValue {
    char pad[64];
    struct { unsigned x, y, z; } cluster;
    int cooperative;
} CUlaunchAttributeValue;
typedef struct CUlaunchAttribute {
    int id;
    char pad[4];
    CUlaunchAttributeValue value;
} CUlaunchAttribute;
typedef struct CUlaunchConfig {
    unsigned grid[3], block[3], shared_bytes;
    CUstream stream;
    CUlaunchAttribute *attributes;
    unsigned n_attributes;
} CUlaunchConfig;
typedef struct CUmemcpy2D {
    size_t source_x, source_y;
    int source_type;
    const void *source_host;
    CUdeviceptr source_device;
    void *source_array;
    size_t source_pitch;
    size_t target_x, target_y;
    int target_type;
    void *target_host;
    CUdeviceptr target_device;
    void *target_array;
    size_t target_pitch;
    size_t width_bytes, height;
} CUmemcpy2D;
_Static_assert(sizeof(CUlaunchAttribute) == 72 && sizeof(CUlaunchConfig) == 56 && sizeof(CUmemcpy2D) == 128, "driver API layouts");
#endif
