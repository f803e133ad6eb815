// Stream capture and graphs, on the driver's. Edges carry data since 12.3 (a _v2 suffix in version 12, the plain names in 13); only the default, a full
// dependency, is known here.
#include "cudart/copy.h"
#include <string.h>

typedef struct edge_data { unsigned char from_port, to_port, type, reserved[5]; } edge_data;   // cudaGraphEdgeData
typedef struct kernel_params { void *func; dim3 grid, block; unsigned shared; void **params, **extra; } kernel_params;   // cudaKernelNodeParams
typedef struct driver_kernel_params {   // CUDA_KERNEL_NODE_PARAMS_v2
    CUfunction f;
    dim3 grid, block;
    unsigned shared;
    void **params, **extra;
    void *kernel;
    CUcontext context;
} driver_kernel_params;
_Static_assert(sizeof(edge_data) == 8 && sizeof(kernel_params) == 56 && sizeof(driver_kernel_params) == 72, "graph node layouts");

static cudaError_t check_edges(const edge_data *d, size_t n) {
    static const edge_data full;
    for (size_t i = 0; d && i < n; i++)
        if (memcmp(&d[i], &full, sizeof full) != 0)
            return cudaErrorNotSupported;
    return cudaSuccess;
}

// ---- capture

#define WITH_CONTEXT(...)                              \
    const cudaError_t r = rt_enter();                  \
    return r != cudaSuccess ? r : (__VA_ARGS__)

static cudaError_t begin(int mode, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamBeginCapture_v2, s, mode)); }
static cudaError_t end(cudaGraph_t *g, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamEndCapture, s, g)); }
RT_STREAM(cudaStreamBeginCapture, begin, (cudaStream_t stream, int mode), mode)
RT_STREAM(cudaStreamEndCapture, end, (cudaStream_t stream, cudaGraph_t *g), g)

// A driver without capture captures nothing.
static cudaError_t is_capturing(int *status, cudaStream_t s) {
    const cudaError_t r = status ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuStreamIsCapturing)
        return r != cudaSuccess ? r : RT_CU(cuStreamIsCapturing, s, status);
    *status = 0;
    return cudaSuccess;
}
RT_STREAM(cudaStreamIsCapturing, is_capturing, (cudaStream_t stream, int *status), status)

static cudaError_t info(int *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **nodes, size_t *n, cudaStream_t s) {
    const cudaError_t r = status ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuStreamGetCaptureInfo_v2)
        return r != cudaSuccess ? r : RT_CU(cuStreamGetCaptureInfo_v2, s, status, id, g, nodes, n);
    return is_capturing(status, s);
}
static cudaError_t info_edges(int *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **nodes, const edge_data **edges, size_t *n,
                              cudaStream_t s) {
    if (edges)
        *edges = NULL;   // all of them are full dependencies
    return info(status, id, g, nodes, n, s);
}
#if HONE_CUDART_MAJOR >= 13
#define INFO_EDGES cudaStreamGetCaptureInfo
#else
#define INFO_EDGES cudaStreamGetCaptureInfo_v3
static cudaError_t info_short(int *status, unsigned long long *id, cudaStream_t s) { return info(status, id, NULL, NULL, NULL, s); }
RT_STREAM(cudaStreamGetCaptureInfo, info_short, (cudaStream_t stream, int *status, unsigned long long *id), status, id)
RT_STREAM(cudaStreamGetCaptureInfo_v2, info, (cudaStream_t stream, int *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **nodes, size_t *n),
          status, id, g, nodes, n)
#endif
#define RT_STREAM_NAMED(name, ...) RT_STREAM(name, __VA_ARGS__)
RT_STREAM_NAMED(INFO_EDGES, info_edges, (cudaStream_t stream, int *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **nodes,
                const edge_data **edges, size_t *n), status, id, g, nodes, edges, n)

RT_API cudaError_t cudaThreadExchangeStreamCaptureMode(int *mode) { return RT_DO(cuThreadExchangeStreamCaptureMode, mode); }

// ---- graphs

RT_API cudaError_t cudaGraphCreate(cudaGraph_t *g, unsigned flags) { return RT_DO(cuGraphCreate, g, flags); }
RT_API cudaError_t cudaGraphDestroy(cudaGraph_t g) { return RT_DO(cuGraphDestroy, g); }
RT_API cudaError_t cudaGraphClone(cudaGraph_t *out, cudaGraph_t g) { return RT_DO(cuGraphClone, out, g); }
RT_API cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n) { return RT_DO(cuGraphGetNodes, g, nodes, n); }
RT_API cudaError_t cudaGraphGetRootNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n) { return RT_DO(cuGraphGetRootNodes, g, nodes, n); }
RT_API cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, int *type) { return RT_DO(cuGraphNodeGetType, node, type); }
RT_API cudaError_t cudaGraphDestroyNode(cudaGraphNode_t node) { return RT_DO(cuGraphDestroyNode, node); }
RT_API cudaError_t cudaGraphDebugDotPrint(cudaGraph_t g, const char *path, unsigned flags) { return RT_DO(cuGraphDebugDotPrint, g, path, flags); }

static cudaError_t change_edges(bool add, cudaGraph_t g, const cudaGraphNode_t *from, const cudaGraphNode_t *to, const edge_data *d, size_t n) {
    const cudaError_t r = check_edges(d, n);
    return rt_record(r != cudaSuccess ? r : add ? RT_DO(cuGraphAddDependencies, g, from, to, n) : RT_DO(cuGraphRemoveDependencies, g, from, to, n));
}
static void clear_edges(edge_data *d, const size_t *n, cudaError_t r) {
    if (r == cudaSuccess && d && n)
        memset(d, 0, *n * sizeof *d);
}
#if HONE_CUDART_MAJOR >= 13
#define EDGES(name) name
#else
#define EDGES(name) name##_v2
RT_API cudaError_t cudaGraphAddDependencies(cudaGraph_t g, const cudaGraphNode_t *from, const cudaGraphNode_t *to, size_t n) {
    return change_edges(true, g, from, to, NULL, n);
}
RT_API cudaError_t cudaGraphRemoveDependencies(cudaGraph_t g, const cudaGraphNode_t *from, const cudaGraphNode_t *to, size_t n) {
    return change_edges(false, g, from, to, NULL, n);
}
RT_API cudaError_t cudaGraphGetEdges(cudaGraph_t g, cudaGraphNode_t *from, cudaGraphNode_t *to, size_t *n) { return RT_DO(cuGraphGetEdges, g, from, to, n); }
RT_API cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t *out, size_t *n) { return RT_DO(cuGraphNodeGetDependencies, node, out, n); }
RT_API cudaError_t cudaGraphNodeGetDependentNodes(cudaGraphNode_t node, cudaGraphNode_t *out, size_t *n) {
    return RT_DO(cuGraphNodeGetDependentNodes, node, out, n);
}
#endif
RT_API cudaError_t EDGES(cudaGraphAddDependencies)(cudaGraph_t g, const cudaGraphNode_t *from, const cudaGraphNode_t *to, const edge_data *d, size_t n) {
    return change_edges(true, g, from, to, d, n);
}
RT_API cudaError_t EDGES(cudaGraphRemoveDependencies)(cudaGraph_t g, const cudaGraphNode_t *from, const cudaGraphNode_t *to, const edge_data *d, size_t n) {
    return change_edges(false, g, from, to, d, n);
}
RT_API cudaError_t EDGES(cudaGraphGetEdges)(cudaGraph_t g, cudaGraphNode_t *from, cudaGraphNode_t *to, edge_data *d, size_t *n) {
    const cudaError_t r = RT_DO(cuGraphGetEdges, g, from, to, n);
    clear_edges(d, n, r);
    return r;
}
RT_API cudaError_t EDGES(cudaGraphNodeGetDependencies)(cudaGraphNode_t node, cudaGraphNode_t *out, edge_data *d, size_t *n) {
    const cudaError_t r = RT_DO(cuGraphNodeGetDependencies, node, out, n);
    clear_edges(d, n, r);
    return r;
}
RT_API cudaError_t EDGES(cudaGraphNodeGetDependentNodes)(cudaGraphNode_t node, cudaGraphNode_t *out, edge_data *d, size_t *n) {
    const cudaError_t r = RT_DO(cuGraphNodeGetDependentNodes, node, out, n);
    clear_edges(d, n, r);
    return r;
}

// ---- nodes

#define NODE_PARAMETERS cudaGraphNode_t *node, cudaGraph_t g, const cudaGraphNode_t *before, size_t n

RT_API cudaError_t cudaGraphAddEmptyNode(NODE_PARAMETERS) { return RT_DO(cuGraphAddEmptyNode, node, g, before, n); }
RT_API cudaError_t cudaGraphAddHostNode(NODE_PARAMETERS, const void *p) { return RT_DO(cuGraphAddHostNode, node, g, before, n, p); }   // same layout
RT_API cudaError_t cudaGraphAddChildGraphNode(NODE_PARAMETERS, cudaGraph_t child) { return RT_DO(cuGraphAddChildGraphNode, node, g, before, n, child); }
RT_API cudaError_t cudaGraphAddEventRecordNode(NODE_PARAMETERS, cudaEvent_t v) { return RT_DO(cuGraphAddEventRecordNode, node, g, before, n, v); }
RT_API cudaError_t cudaGraphAddEventWaitNode(NODE_PARAMETERS, cudaEvent_t v) { return RT_DO(cuGraphAddEventWaitNode, node, g, before, n, v); }

static cudaError_t kernel_of(const kernel_params *p, driver_kernel_params *d) {
    CUfunction f = NULL;
    const cudaError_t r = p ? rt_function_of(p->func, &f) : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        *d = (driver_kernel_params){f, p->grid, p->block, p->shared, p->params, p->extra, NULL, NULL};
    return r;
}
RT_API cudaError_t cudaGraphAddKernelNode(NODE_PARAMETERS, const kernel_params *p) {
    driver_kernel_params d;
    const cudaError_t r = kernel_of(p, &d);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuGraphAddKernelNode_v2, node, g, before, n, &d));
}
RT_API cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const kernel_params *p) {
    driver_kernel_params d;
    const cudaError_t r = kernel_of(p, &d);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuGraphKernelNodeSetParams_v2, node, &d));
}
RT_API cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node, const kernel_params *p) {
    driver_kernel_params d;
    const cudaError_t r = kernel_of(p, &d);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuGraphExecKernelNodeSetParams_v2, x, node, &d));
}

static CUcontext current(void) {
    CUcontext c = NULL;
    RT_CU(cuCtxGetCurrent, &c);
    return c;
}
RT_API cudaError_t cudaGraphAddMemsetNode(NODE_PARAMETERS, const void *p) { return RT_DO(cuGraphAddMemsetNode, node, g, before, n, p, current()); }

static cudaError_t add_copy(NODE_PARAMETERS, const cudaMemcpy3DParms *p) {
    CUmemcpy3D d;
    cudaError_t r = p ? rt_enter() : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        r = rt_driver_copy(p, &d);
    return r != cudaSuccess ? r : RT_CU(cuGraphAddMemcpyNode, node, g, before, n, &d, current());
}
RT_API cudaError_t cudaGraphAddMemcpyNode(NODE_PARAMETERS, const cudaMemcpy3DParms *p) { return rt_record(add_copy(node, g, before, n, p)); }

static cudaMemcpy3DParms line_of(void *to, const void *from, size_t bytes, int kind) {
    return (cudaMemcpy3DParms){.srcPtr = {(void *)(uintptr_t)from, bytes, bytes, 1}, .dstPtr = {to, bytes, bytes, 1}, .extent = {bytes, 1, 1}, .kind = kind};
}
static cudaError_t add_line(NODE_PARAMETERS, void *to, const void *from, size_t bytes, int kind) {
    const cudaMemcpy3DParms p = line_of(to, from, bytes, kind);
    return add_copy(node, g, before, n, &p);
}
RT_API cudaError_t cudaGraphAddMemcpyNode1D(NODE_PARAMETERS, void *to, const void *from, size_t bytes, int kind) {
    return rt_record(add_line(node, g, before, n, to, from, bytes, kind));
}

RT_API cudaError_t cudaGraphMemcpyNodeSetParams(cudaGraphNode_t node, const cudaMemcpy3DParms *p) {
    CUmemcpy3D d;
    const cudaError_t r = p ? rt_driver_copy(p, &d) : cudaErrorInvalidValue;
    return rt_record(r) != cudaSuccess ? r : RT_DO(cuGraphMemcpyNodeSetParams, node, &d);
}
RT_API cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node, const cudaMemcpy3DParms *p) {
    CUmemcpy3D d;
    const cudaError_t r = p ? rt_driver_copy(p, &d) : cudaErrorInvalidValue;
    return rt_record(r) != cudaSuccess ? r : RT_DO(cuGraphExecMemcpyNodeSetParams, x, node, &d, current());
}
RT_API cudaError_t cudaGraphMemcpyNodeSetParams1D(cudaGraphNode_t node, void *to, const void *from, size_t bytes, int kind) {
    const cudaMemcpy3DParms p = line_of(to, from, bytes, kind);
    return cudaGraphMemcpyNodeSetParams(node, &p);
}
RT_API cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t x, cudaGraphNode_t node, void *to, const void *from, size_t bytes, int kind) {
    const cudaMemcpy3DParms p = line_of(to, from, bytes, kind);
    return cudaGraphExecMemcpyNodeSetParams(x, node, &p);
}
RT_API cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node, const void *p) {
    return RT_DO(cuGraphExecMemsetNodeSetParams, x, node, p, current());
}
static cudaError_t in_symbol(const void *symbol, size_t bytes, size_t offset, char **at) {
    CUdeviceptr p = 0;
    size_t whole = 0;
    const cudaError_t r = rt_variable_of(symbol, &p, &whole);
    *at = (char *)(uintptr_t)p + offset;
    return r != cudaSuccess ? r : offset > whole || bytes > whole - offset ? cudaErrorInvalidValue : cudaSuccess;
}
RT_API cudaError_t cudaGraphAddMemcpyNodeToSymbol(NODE_PARAMETERS, const void *symbol, const void *from, size_t bytes, size_t offset, int kind) {
    char *at;
    const cudaError_t r = in_symbol(symbol, bytes, offset, &at);
    return rt_record(r != cudaSuccess ? r : add_line(node, g, before, n, at, from, bytes, kind));
}
RT_API cudaError_t cudaGraphAddMemcpyNodeFromSymbol(NODE_PARAMETERS, void *to, const void *symbol, size_t bytes, size_t offset, int kind) {
    char *at;
    const cudaError_t r = in_symbol(symbol, bytes, offset, &at);
    return rt_record(r != cudaSuccess ? r : add_line(node, g, before, n, to, at, bytes, kind));
}

// ---- executable graphs

RT_API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags) {
    return RT_DO(cuGraphInstantiateWithFlags, x, g, flags);
}
RT_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags) { return RT_DO(cuGraphInstantiateWithFlags, x, g, flags); }
RT_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) { return RT_DO(cuGraphExecDestroy, x); }
RT_API cudaError_t cudaGraphExecUpdate(cudaGraphExec_t x, cudaGraph_t g, void *result) { return RT_DO(cuGraphExecUpdate_v2, x, g, result); }   // same layout
static cudaError_t upload(cudaGraphExec_t x, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuGraphUpload, x, s)); }
static cudaError_t launch(cudaGraphExec_t x, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuGraphLaunch, x, s)); }
RT_STREAM(cudaGraphUpload, upload, (cudaGraphExec_t x, cudaStream_t stream), x)
RT_STREAM(cudaGraphLaunch, launch, (cudaGraphExec_t x, cudaStream_t stream), x)
