// Contexts and devices beyond creation: identity, flags, limits' kin, execution affinity, peers, interprocess handles. One device, so no peers; nothing is
// shared with other processes, so interprocess calls are refused.
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <string.h>

static CUresult check_device(const void *out, CUdevice d) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    return d ? CUDA_ERROR_INVALID_DEVICE : out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// The context that a handle means: NULL is the current one.
static CUresult context_of(CUcontext handle, CUcontext *out) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    *out = handle ? handle : vg_front_current();
    return *out && vg_handle_is(*out, VG_CONTEXT) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

VG_API CUresult cuCtxGetId(CUcontext context, unsigned long long *id) {
    CUcontext c;
    CUresult r = context_of(context, &c);
    if (r == CUDA_SUCCESS && !id)
        r = CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? (*id = c->id, r) : r;
}
VG_API CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) {
    CUcontext c;
    CUresult r = context_of(context, &c);
    if (r == CUDA_SUCCESS && !version)
        r = CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? (*version = 3020, r) : r;
}
VG_API CUresult cuCtxSetFlags(unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (flags > 0xff)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    c->flags = flags;
    return vg_front_leave(c, CUDA_SUCCESS);
}

// A call that needs a usable context and nothing of it.
static CUresult of_context(const void *out) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    return vg_front_leave(c, out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}
VG_API CUresult cuCtxGetCacheConfig(int *config) { CUresult r = of_context(config); return r == CUDA_SUCCESS ? (*config = 0, r) : r; }
VG_API CUresult cuCtxSetCacheConfig(int config) { return config < 0 || config > 3 ? CUDA_ERROR_INVALID_VALUE : of_context(&config); }
VG_API CUresult cuCtxGetSharedMemConfig(int *config) { CUresult r = of_context(config); return r == CUDA_SUCCESS ? (*config = 1, r) : r; }
VG_API CUresult cuCtxSetSharedMemConfig(int config) { return config < 0 || config > 2 ? CUDA_ERROR_INVALID_VALUE : of_context(&config); }
VG_API CUresult cuCtxAttach(CUcontext *out, unsigned flags) {
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = of_context(out);
    return r == CUDA_SUCCESS ? (*out = vg_front_current(), r) : r;
}

CUresult cuCtxSynchronize(void);
VG_API CUresult cuCtxSynchronize_v2(CUcontext context) {
    CUcontext c;
    CUresult r = context_of(context, &c);
    if (r != CUDA_SUCCESS || c == vg_front_current())
        return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
    pthread_mutex_lock(&c->lock);
    r = vg_work_drain(c, NULL);
    return vg_front_leave(c, r);
}
VG_API CUresult cuCtxGetDevice_v2(CUdevice *out, CUcontext context) {
    CUcontext c;
    CUresult r = context_of(context, &c);
    return r != CUDA_SUCCESS ? r : out ? (*out = 0, r) : CUDA_ERROR_INVALID_VALUE;
}

// ---- execution affinity: none is supported, so a context has all SMs

enum { AFFINITY_SM_COUNT = 0 };
VG_API CUresult cuDeviceGetExecAffinitySupport(int *supported, int type, CUdevice d) {
    CUresult r = check_device(supported, d);
    if (r == CUDA_SUCCESS && type != AFFINITY_SM_COUNT)
        r = CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? (*supported = 0, r) : r;
}
VG_API CUresult cuCtxGetExecAffinity(int out[2], int type) {
    CUresult r = of_context(out);
    return r != CUDA_SUCCESS ? r : type == AFFINITY_SM_COUNT ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : CUDA_ERROR_INVALID_VALUE;
}

// ---- events that stand for a whole context

VG_API CUresult cuCtxRecordEvent(CUcontext context, CUevent v) {
    struct CUctx_st *c, *current;
    CUresult r = context_of(context, &c);
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&current)) != CUDA_SUCCESS)
        return r;
    if (c != current || !vg_is_event(c, v))
        return vg_front_leave(current, c != current ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE);
    r = vg_capture_unsafe(c);
    if (r == CUDA_SUCCESS)
        r = vg_work_submit(c, &c->null_stream, &(vg_work){.kind = VG_WORK_RECORD, .event = v});
    return vg_front_leave(current, r);
}
VG_API CUresult cuCtxWaitEvent(CUcontext context, CUevent v) {
    struct CUctx_st *c, *current;
    CUresult r = context_of(context, &c);
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&current)) != CUDA_SUCCESS)
        return r;
    if (c != current || !vg_is_event(c, v))
        return vg_front_leave(current, c != current ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE);
    r = vg_capture_unsafe(c);
    if (r == CUDA_SUCCESS)
        r = vg_work_submit(c, &c->null_stream, &(vg_work){.kind = VG_WORK_WAIT, .event = v});
    return vg_front_leave(current, r);
}

// ---- peers: there is one device

VG_API CUresult cuDeviceGetP2PAttribute(int *value, int attribute, CUdevice a, CUdevice b) {
    CUresult r = check_device(value, a);
    (void)b;
    if (r == CUDA_SUCCESS)   // of two different devices only
        r = attribute < 1 || attribute > 5 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
    return r;
}
VG_API CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    CUresult r = of_context(&flags);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_handle_is(peer, VG_CONTEXT) || peer == vg_front_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}
VG_API CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    CUresult r = of_context(&peer);
    return r != CUDA_SUCCESS ? r : vg_handle_is(peer, VG_CONTEXT) ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
}
VG_API CUresult cuFlushGPUDirectRDMAWrites(int target, int scope) { (void)target; (void)scope; return CUDA_ERROR_NOT_SUPPORTED; }

// ---- devices by bus address, old properties

VG_API CUresult cuDeviceGetByPCIBusId(CUdevice *out, const char *id) {
    unsigned domain = 0, bus, device, function = 0;
    CUresult r = check_device(id ? out : NULL, 0);
    if (r != CUDA_SUCCESS)
        return r;
    if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &device, &function) < 3 && (domain = 0, sscanf(id, "%x:%x.%x", &bus, &device, &function)) < 2)
        return CUDA_ERROR_INVALID_VALUE;
    return domain || bus || device || function ? CUDA_ERROR_INVALID_DEVICE : (*out = 0, CUDA_SUCCESS);
}

typedef struct CUdevprop { int threads_per_block, block[3], grid[3], shared, constant, warp, pitch, registers, clock_khz, texture_alignment; } CUdevprop;
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice dev);
VG_API CUresult cuDeviceGetProperties(CUdevprop *out, CUdevice d) {
    static const int attributes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};   // CUdevice_attribute, in the order of the structure
    _Static_assert(sizeof(CUdevprop) == sizeof attributes, "one attribute per member");
    CUresult r = check_device(out, d);
    int values[HONE_COUNT(attributes)];
    for (size_t i = 0; i < HONE_COUNT(attributes) && r == CUDA_SUCCESS; i++)
        r = cuDeviceGetAttribute(&values[i], attributes[i], d);
    if (r == CUDA_SUCCESS)
        memcpy(out, values, sizeof values);
    return r;
}
VG_API CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, int format, unsigned channels, CUdevice d) {
    CUresult r = check_device(width, d);
    bool known = format == 1 || format == 2 || format == 3 || format == 8 || format == 9 || format == 10 || format == 16 || format == 32;
    if (r == CUDA_SUCCESS && (!known || (channels != 1 && channels != 2 && channels != 4)))
        r = CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? (*width = (size_t)1 << 28, r) : r;
}

// ---- other processes

#define NOT_SUPPORTED(name, parameters) \
    VG_API CUresult name parameters { return vg_front_device() ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_NOT_INITIALIZED; }
typedef struct CUipcHandle { char reserved[64]; } CUipcHandle;
NOT_SUPPORTED(cuIpcGetEventHandle, (__attribute__((unused)) CUipcHandle *out, __attribute__((unused)) CUevent v))
NOT_SUPPORTED(cuIpcOpenEventHandle, (__attribute__((unused)) CUevent *out, __attribute__((unused)) CUipcHandle h))
NOT_SUPPORTED(cuIpcGetMemHandle, (__attribute__((unused)) CUipcHandle *out, __attribute__((unused)) CUdeviceptr p))
NOT_SUPPORTED(cuIpcOpenMemHandle_v2, (__attribute__((unused)) CUdeviceptr *out, __attribute__((unused)) CUipcHandle h, __attribute__((unused)) unsigned flags))
NOT_SUPPORTED(cuIpcCloseMemHandle, (__attribute__((unused)) CUdeviceptr p))
