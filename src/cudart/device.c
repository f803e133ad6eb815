// Devices: properties, attributes, limits, peers, versions, driver entry points.
#include "cudart/internal.h"
#include <stdio.h>
#include <string.h>

static cudaError_t attribute_of(int *value, int attribute, int d) {
    const cudaError_t r = rt_check_device(d);
    return r != cudaSuccess ? r : value ? RT_CU(cuDeviceGetAttribute, value, attribute, d) : cudaErrorInvalidValue;
}
RT_API cudaError_t cudaDeviceGetAttribute(int *value, int attribute, int d) { return rt_record(attribute_of(value, attribute, d)); }   // same numbers

// An attribute that the driver does not know is 0, as one that the device does not have.
static int number(int attribute, int d) {
    int value = 0;
    return RT_CU(cuDeviceGetAttribute, &value, attribute, d) == cudaSuccess ? value : 0;
}

static void fill_numbers(cudaDeviceProp *p, int d) {
#define FIELD_INT(name, attribute) p->name = number(attribute, d);
#define FIELD_UINT(name, attribute) p->name = (unsigned)number(attribute, d);
#define FIELD_SIZE(name, attribute) p->name = (size_t)number(attribute, d);
#define FIELD_INTS(name, n, ...)                                 \
    for (size_t i = 0; i < (n); i++)                             \
        p->name[i] = number(((const int[]){__VA_ARGS__})[i], d);
#include "cudart/properties.def"
#undef FIELD_INT
#undef FIELD_UINT
#undef FIELD_SIZE
#undef FIELD_INTS
}

static cudaError_t properties(cudaDeviceProp *p, int d) {
    cudaError_t r = p ? rt_check_device(d) : cudaErrorInvalidValue;
    if (r != cudaSuccess)
        return r;
    memset(p, 0, sizeof *p);
    r = RT_CU(cuDeviceGetName, p->name, sizeof p->name, d);
    if (r == cudaSuccess)
        r = RT_CU(cuDeviceTotalMem_v2, &p->totalGlobalMem, d);
    RT_CU(cuDeviceGetUuid_v2, &p->uuid, d);
    fill_numbers(p, d);
    return r;
}
#if HONE_CUDART_MAJOR >= 13
RT_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int d) { return rt_record(properties(p, d)); }
#else
RT_API cudaError_t cudaGetDeviceProperties_v2(cudaDeviceProp *p, int d) { return rt_record(properties(p, d)); }
#endif

RT_API cudaError_t cudaChooseDevice(int *d, const cudaDeviceProp *p) {
    if (!d || !p)
        return rt_record(cudaErrorInvalidValue);
    *d = 0;
    return rt_record(rt_check_device(0));
}

RT_API cudaError_t cudaDeviceGetPCIBusId(char *id, int n, int d) {
    const cudaError_t r = rt_check_device(d);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuDeviceGetPCIBusId, id, n, d));
}

static cudaError_t device_by_bus_id(int *d, const char *id) {
    char own[32];
    cudaError_t r = d && id ? rt_check_device(0) : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuDeviceGetByPCIBusId)
        return r != cudaSuccess ? r : RT_CU(cuDeviceGetByPCIBusId, d, id);
    r = RT_CU(cuDeviceGetPCIBusId, own, sizeof own, 0);
    *d = 0;
    return r != cudaSuccess ? r : strcmp(own, id) == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}
RT_API cudaError_t cudaDeviceGetByPCIBusId(int *d, const char *id) { return rt_record(device_by_bus_id(d, id)); }

// ---- limits and configurations

RT_API cudaError_t cudaDeviceSetLimit(int limit, size_t value) { return RT_DO(cuCtxSetLimit, limit, value); }
RT_API cudaError_t cudaDeviceGetLimit(size_t *value, int limit) { return RT_DO(cuCtxGetLimit, value, limit); }
RT_API cudaError_t cudaDeviceGetCacheConfig(int *config) { return RT_DO(cuCtxGetCacheConfig, config); }
RT_API cudaError_t cudaDeviceSetCacheConfig(int config) { return RT_DO(cuCtxSetCacheConfig, config); }
RT_API cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { return RT_DO(cuCtxGetStreamPriorityRange, least, greatest); }
RT_API cudaError_t cudaCtxResetPersistingL2Cache(void) { return RT_DO(cuCtxResetPersistingL2Cache); }

// Banks have been 4 bytes wide on every device since Maxwell: setting another width changes nothing, as on hardware.
RT_API cudaError_t cudaDeviceGetSharedMemConfig(int *config) {
    enum { FOUR_BYTES = 1 };
    if (config)
        *config = FOUR_BYTES;
    return rt_record(config ? cudaSuccess : cudaErrorInvalidValue);
}
RT_API cudaError_t cudaDeviceSetSharedMemConfig(int config) { return rt_record(config < 0 || config > 2 ? cudaErrorInvalidValue : cudaSuccess); }

#if HONE_CUDART_MAJOR < 13
RT_API cudaError_t cudaThreadSetLimit(int limit, size_t value) { return cudaDeviceSetLimit(limit, value); }
RT_API cudaError_t cudaThreadGetLimit(size_t *value, int limit) { return cudaDeviceGetLimit(value, limit); }
RT_API cudaError_t cudaThreadGetCacheConfig(int *config) { return cudaDeviceGetCacheConfig(config); }
RT_API cudaError_t cudaThreadSetCacheConfig(int config) { return cudaDeviceSetCacheConfig(config); }
RT_API cudaError_t cudaSetDoubleForDevice(double *d) { return d ? cudaSuccess : cudaErrorInvalidValue; }   // a leftover: doubles are doubles
RT_API cudaError_t cudaSetDoubleForHost(double *d) { return d ? cudaSuccess : cudaErrorInvalidValue; }
#endif

// ---- peers: a device is none of its own

RT_API cudaError_t cudaDeviceCanAccessPeer(int *can, int d, int peer) {
    cudaError_t r = rt_check_device(d);
    if (r == cudaSuccess)
        r = rt_check_device(peer);
    return rt_record(r != cudaSuccess ? r : RT_CU(cuDeviceCanAccessPeer, can, d, peer));
}
static cudaError_t peer_of_this(int peer, cudaError_t otherwise) {
    const cudaError_t r = rt_check_device(peer);
    return r != cudaSuccess || !peer ? cudaErrorInvalidDevice : otherwise;
}
RT_API cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    return rt_record(flags ? cudaErrorInvalidValue : peer_of_this(peer, cudaErrorPeerAccessUnsupported));
}
RT_API cudaError_t cudaDeviceDisablePeerAccess(int peer) { return rt_record(peer_of_this(peer, cudaErrorPeerAccessNotEnabled)); }
RT_API cudaError_t cudaDeviceGetP2PAttribute(int *value, int attribute, int d, int peer) { return RT_DO(cuDeviceGetP2PAttribute, value, attribute, d, peer); }

// ---- versions, entry points, profiler

RT_API cudaError_t cudaDriverGetVersion(int *version) {
    const cudaError_t r = version ? rt_driver_load() : cudaErrorInvalidValue;
    if (version)
        *version = 0;
    return rt_record(r == cudaSuccess ? RT_CU(cuDriverGetVersion, version) : r);
}
RT_API cudaError_t cudaRuntimeGetVersion(int *version) {
    if (version)
        *version = HONE_CUDART_MAJOR >= 13 ? 13000 : 12090;
    return rt_record(version ? cudaSuccess : cudaErrorInvalidValue);
}

static cudaError_t entry_point(const char *name, void **out, unsigned version, unsigned long long flags, int *status) {
    enum { NOT_FOUND = 1 };
    int found = NOT_FOUND;
    cudaError_t r = name && out ? rt_driver_load() : cudaErrorInvalidValue;
    if (r != cudaSuccess)
        return r;
    *out = NULL;
    r = RT_CU(cuGetProcAddress_v2, name, out, (int)version, flags, &found);
    if (status)
        *status = found;
    return r == cudaErrorSymbolNotFound && status ? cudaSuccess : r;   // the status says it
}
RT_API cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **out, unsigned version, unsigned long long flags, int *status) {
    return rt_record(entry_point(name, out, version, flags, status));
}
RT_API cudaError_t cudaGetDriverEntryPoint(const char *name, void **out, unsigned long long flags, int *status) {
    return rt_record(entry_point(name, out, HONE_CUDART_MAJOR * 1000, flags, status));
}
RT_API cudaError_t cudaGetDriverEntryPointByVersion_ptsz(const char *name, void **out, unsigned version, unsigned long long flags, int *status) {
    return rt_record(entry_point(name, out, version, flags, status));
}
RT_API cudaError_t cudaGetDriverEntryPoint_ptsz(const char *name, void **out, unsigned long long flags, int *status) {
    return rt_record(entry_point(name, out, HONE_CUDART_MAJOR * 1000, flags, status));
}

RT_API cudaError_t cudaProfilerStart(void) { return RT_DO(cuProfilerStart); }
RT_API cudaError_t cudaProfilerStop(void) { return RT_DO(cuProfilerStop); }
