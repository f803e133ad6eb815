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
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUlinkState_st *CUlinkState;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUuserObject_st *CUuserObject;
typedef struct CUarray_st *CUarray;
typedef struct CUmipmappedArray_st *CUmipmappedArray;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef unsigned long long CUtexObject, CUsurfObject, CUmemGenericAllocationHandle;
typedef struct CUuuid { char bytes[16]; } CUuuid;

enum {   // CUresult, those that can be returned; names and texts: results.def
#define RESULT(name, value, text) CUDA_##name = value,
#include "vgpu/driver/results.def"
#undef RESULT
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
enum { CU_ATTRIBUTE_COOPERATIVE = 2, CU_ATTRIBUTE_CLUSTER = 4, CU_ATTRIBUTE_PROGRAMMATIC_EVENT = 7, CU_ATTRIBUTE_COMPLETION_EVENT = 12, CU_ATTRIBUTE_UPDATABLE = 13 };   // CUlaunchAttributeID
enum { CU_MEMORY_HOST = 1, CU_MEMORY_DEVICE = 2, CU_MEMORY_ARRAY = 3, CU_MEMORY_UNIFIED = 4 };
enum {   // CUpointer_attribute
    CU_POINTER_CONTEXT = 1, CU_POINTER_MEMORY_TYPE = 2, CU_POINTER_DEVICE_POINTER = 3, CU_POINTER_HOST_POINTER = 4, CU_POINTER_P2P_TOKENS = 5,
    CU_POINTER_SYNC_MEMOPS = 6, CU_POINTER_BUFFER_ID = 7, CU_POINTER_IS_MANAGED = 8, CU_POINTER_DEVICE_ORDINAL = 9, CU_POINTER_IPC_CAPABLE = 10,
    CU_POINTER_RANGE_START = 11, CU_POINTER_RANGE_SIZE = 12, CU_POINTER_MAPPED = 13, CU_POINTER_HANDLE_TYPES = 14, CU_POINTER_RDMA_CAPABLE = 15,
    CU_POINTER_ACCESS_FLAGS = 16, CU_POINTER_POOL = 17, CU_POINTER_MAPPING_SIZE = 18, CU_POINTER_MAPPING_START = 19, CU_POINTER_BLOCK_ID = 20,
    CU_POINTER_DECOMPRESS = 21
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
    CUarray source_array;
    size_t source_pitch;
    size_t target_x, target_y;
    int target_type;
    void *target_host;
    CUdeviceptr target_device;
    CUarray target_array;
    size_t target_pitch;
    size_t width_bytes, height;
} CUmemcpy2D;
typedef struct CUcopySide {            // one half of CUDA_MEMCPY3D (and of its peer form, where `context` is used)
    size_t x, y, z, level;
    int type;
    void *host;
    CUdeviceptr device;
    CUarray array;
    void *context;
    size_t pitch, rows;                // rows: per slice
} CUcopySide;
typedef struct CUmemcpy3D { CUcopySide from, to; size_t width_bytes, height, depth; } CUmemcpy3D;

enum { CU_OP_WAIT_32 = 1, CU_OP_WRITE_32 = 2, CU_OP_FLUSH = 3, CU_OP_WAIT_64 = 4, CU_OP_WRITE_64 = 5, CU_OP_BARRIER = 6 };
typedef struct CUmemOp {               // CUstreamBatchMemOpParams: waits and writes share their layout
    int operation;
    CUdeviceptr address;
    uint64_t value;
    unsigned flags;
    CUdeviceptr alias;
    uint64_t pad;
} CUmemOp;

typedef struct CUkernelNode { CUfunction f; unsigned grid[3], block[3], shared_bytes; void **params, **extra; } CUkernelNode;   // version 1
typedef struct CUkernelNode2 { CUkernelNode v1; CUkernel kernel; CUcontext context; } CUkernelNode2;
typedef struct CUmemsetNode { CUdeviceptr to; size_t pitch; unsigned value, element; size_t width, height; } CUmemsetNode;
typedef struct CUhostNode { void (*fn)(void *); void *user; } CUhostNode;
typedef struct CUmemLocation { int type, id; } CUmemLocation;
typedef struct CUmemAccess { CUmemLocation where; int flags; } CUmemAccess;
typedef struct CUpoolProps {
    int type, handle_types;
    CUmemLocation where;
    void *security;
    size_t max_bytes;
    unsigned short usage;
    unsigned char reserved[54];
} CUpoolProps;
typedef struct CUallocNode { CUpoolProps pool; const CUmemAccess *access; size_t n_access, bytes; CUdeviceptr at; } CUallocNode;
typedef struct CUbatchNode { CUcontext context; unsigned n; CUmemOp *ops; unsigned flags; } CUbatchNode;
typedef struct CUmemcpyNode { int flags, reserved; CUcontext context; CUmemcpy3D copy; } CUmemcpyNode;
typedef struct CUgraphNodeParams {
    int type, reserved0[3];
    union {
        long long reserved1[29];
        CUkernelNode2 kernel;
        CUmemcpyNode copy;
        struct { CUmemsetNode v1; CUcontext context; } set;
        CUhostNode host;
        CUgraph child;
        CUevent event;
        CUallocNode alloc;
        CUdeviceptr free;
        CUbatchNode batch;
    };
    long long reserved2;
} CUgraphNodeParams;
typedef struct CUgraphEdge { unsigned char from_port, to_port, type, reserved[5]; } CUgraphEdge;
typedef struct CUgraphInstantiateParams { uint64_t flags; CUstream upload; CUgraphNode error_node; int result; } CUgraphInstantiateParams;
typedef struct CUgraphUpdateResult { int result; CUgraphNode node, from; } CUgraphUpdateResult;

typedef struct CUarrayDesc { size_t width, height; int format; unsigned channels; } CUarrayDesc;
typedef struct CUarray3DDesc { size_t width, height, depth; int format; unsigned channels, flags; } CUarray3DDesc;
enum { CU_ARRAY_LAYERED = 1, CU_ARRAY_SURFACE = 2, CU_ARRAY_CUBEMAP = 4, CU_ARRAY_GATHER = 8 };
enum { CU_RESOURCE_ARRAY = 0, CU_RESOURCE_MIPMAPPED = 1, CU_RESOURCE_LINEAR = 2, CU_RESOURCE_PITCH2D = 3 };
typedef struct CUresourceDesc {
    int type;
    union {
        CUarray array;
        CUmipmappedArray mipmapped;
        struct { CUdeviceptr at; int format; unsigned channels; size_t bytes; } linear;
        struct { CUdeviceptr at; int format; unsigned channels; size_t width, height, pitch; } pitch2d;
        int reserved[32];
    };
    unsigned flags;
} CUresourceDesc;
typedef struct CUtextureDesc {
    int address[3], filter;
    unsigned flags, anisotropy;
    int mip_filter;
    float mip_bias, mip_min, mip_max, border[4];
    int reserved[12];
} CUtextureDesc;
typedef struct CUviewDesc {
    int format;
    size_t width, height, depth;
    unsigned first_level, last_level, first_layer, last_layer, reserved[16];
} CUviewDesc;
typedef struct CUallocProps {
    int type, handle_types;
    CUmemLocation where;
    void *win32;
    struct { unsigned char compression, rdma; unsigned short usage; unsigned char reserved[4]; } flags;
} CUallocProps;
_Static_assert(sizeof(CUcopySide) == 88 && sizeof(CUmemcpy3D) == 200 && sizeof(CUmemOp) == 48 && sizeof(CUkernelNode) == 56 && sizeof(CUmemsetNode) == 40,
               "driver API layouts");
_Static_assert(sizeof(CUpoolProps) == 88 && sizeof(CUgraphNodeParams) == 256 && sizeof(CUresourceDesc) == 144 && sizeof(CUtextureDesc) == 104 &&
                   sizeof(CUviewDesc) == 112 && sizeof(CUallocProps) == 32 && sizeof(CUmemcpyNode) == 216, "driver API layouts");
_Static_assert(sizeof(CUlaunchAttribute) == 72 && sizeof(CUlaunchConfig) == 56 && sizeof(CUmemcpy2D) == 128, "driver API layouts");
#endif
