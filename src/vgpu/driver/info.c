// Facts: device attributes, error names, entry points by name.
#include "vgpu/driver/front.h"
#include <stdio.h>
#include <string.h>

// ---- errors

typedef struct result_text { CUresult value; const char *name, *text; } result_text;
static const result_text results[] = {
#define RESULT(name, value, text) {value, "CUDA_" #name, text},
#include "vgpu/driver/results.def"
#undef RESULT
};

static const result_text *result_of(CUresult r) {
    for (size_t i = 0; i < HONE_COUNT(results); i++)
        if (results[i].value == r)
            return &results[i];
    return NULL;
}

VG_API CUresult cuGetErrorName(CUresult r, const char **s) {
    const result_text *t = result_of(r);
    if (s)
        *s = t ? t->name : NULL;
    return s && t ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuGetErrorString(CUresult r, const char **s) {
    const result_text *t = result_of(r);
    if (s)
        *s = t ? t->text : NULL;
    return s && t ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// ---- device attributes: fixed, or a number of the modelled device

enum {
#define FIXED(name, number, value) CU_DEV_##name = number,
#define MODELLED(name, number, key, factor) CU_DEV_##name = number,
#define COMPUTED(name, number) CU_DEV_##name = number,
#include "vgpu/driver/attributes.def"
#undef FIXED
#undef MODELLED
#undef COMPUTED
};
typedef struct fixed_attribute { int attribute, value; } fixed_attribute;
typedef struct modelled_attribute { int attribute; vg_dev_key key; double factor; } modelled_attribute;
#define COMPUTED(name, number)
#define MODELLED(name, number, key, factor)
#define FIXED(name, number, value) {number, value},
static const fixed_attribute fixed[] = {
#include "vgpu/driver/attributes.def"
};
#undef FIXED
#undef MODELLED
#define FIXED(name, number, value)
#define MODELLED(name, number, key, factor) {number, VG_DEV_##key, factor},
static const modelled_attribute modelled[] = {
#include "vgpu/driver/attributes.def"
};
#undef FIXED
#undef MODELLED
#undef COMPUTED

static CUresult check(const void *out, CUdevice d) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (d != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A bus width that the vendor uses for this bandwidth class; with it a clock that gives the device's peak bandwidth: clock × width / 8 × 2. */
static int bus_bits(const vg_device *d) {
    double gbs = vg_dev(d, VG_DEV_DRAM_PEAK_GBS);
    return gbs > 6500 ? 8192 : gbs > 3800 ? 6144 : gbs > 1200 ? 5120 : gbs > 500 ? 384 : 192;
}

VG_API CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice dev) {
    CUresult r = check(value, dev);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_device *d = vg_front_device();
    for (size_t i = 0; i < HONE_COUNT(fixed); i++)
        if (fixed[i].attribute == attribute)
            return *value = fixed[i].value, CUDA_SUCCESS;
    for (size_t i = 0; i < HONE_COUNT(modelled); i++)
        if (modelled[i].attribute == attribute)
            return *value = (int)(vg_dev(d, modelled[i].key) * modelled[i].factor), CUDA_SUCCESS;
    switch (attribute) {
    case CU_DEV_MEMORY_BUS_BITS: *value = bus_bits(d); return CUDA_SUCCESS;
    case CU_DEV_MEMORY_CLOCK_KHZ: *value = (int)(vg_dev(d, VG_DEV_DRAM_PEAK_GBS) * 1e6 * 4 / bus_bits(d)); return CUDA_SUCCESS;
    case CU_DEV_CLUSTER_LAUNCH: *value = vg_dev(d, VG_DEV_CC_MAJOR) >= 9; return CUDA_SUCCESS;
    case CU_DEV_DOUBLE_RATIO: *value = (int)(vg_dev(d, VG_DEV_FP32_LANES) / vg_dev(d, VG_DEV_FP64_LANES)); return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

VG_API CUresult cuDeviceGetName(char *name, int n, CUdevice dev) {
    CUresult r = check(name, dev);
    if (r != CUDA_SUCCESS)
        return r;
    if (n <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)n, "%s (virtual)", vg_front_device()->name);
    return CUDA_SUCCESS;
}

VG_API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev) {
    CUresult r = check(bytes, dev);
    if (r == CUDA_SUCCESS)
        *bytes = (size_t)vg_dev(vg_front_device(), VG_DEV_MEM_BYTES);
    return r;
}
VG_API CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev) { return cuDeviceTotalMem_v2(bytes, dev); }

VG_API CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev) {
    CUresult r = check(major, dev);
    if (r == CUDA_SUCCESS && !minor)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS)
        return r;
    *major = (int)vg_dev(vg_front_device(), VG_DEV_CC_MAJOR);
    *minor = (int)vg_dev(vg_front_device(), VG_DEV_CC_MINOR);
    return CUDA_SUCCESS;
}

VG_API CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev) {
    CUresult r = check(uuid, dev);
    if (r != CUDA_SUCCESS)
        return r;
    const char *id = vg_front_device()->id;
    uint64_t h[2] = {hone_hash64(id, strlen(id), 1), hone_hash64(id, strlen(id), 2)};
    memcpy(uuid->bytes, h, sizeof uuid->bytes);
    return CUDA_SUCCESS;
}
VG_API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev) { return cuDeviceGetUuid_v2(uuid, dev); }

VG_API CUresult cuDeviceGetPCIBusId(char *id, int n, CUdevice dev) {
    CUresult r = check(id, dev);
    if (r == CUDA_SUCCESS && n <= 0)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        snprintf(id, (size_t)n, "0000:00:00.0");
    return r;
}

VG_API CUresult cuDeviceCanAccessPeer(int *can, CUdevice a, CUdevice b) {
    CUresult r = check(can, a);
    if (r == CUDA_SUCCESS && b != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    if (r == CUDA_SUCCESS)
        *can = 0;
    return r;
}

// ---- entry points; undocumented tables, the profiler

typedef void (*entry_point)(void);
entry_point vg_entry_point(const char *name, int version, bool per_thread, int *status);   // api.c

VG_API CUresult cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status) {
    enum { NEWEST = 13999, PER_THREAD = 2 };
    int found;
    if (!name || !out || version < 0 || version > NEWEST || flags > PER_THREAD)
        return CUDA_ERROR_INVALID_VALUE;
    entry_point f = vg_entry_point(name, version, flags == PER_THREAD, &found);
    memcpy(out, &f, sizeof f);
    if (status)
        *status = found;
    return CUDA_SUCCESS;   // also when there is none: *out is NULL then
}
VG_API CUresult cuGetProcAddress(const char *name, void **out, int version, uint64_t flags) {   // as CUDA 11.3 defined it: no status, so an error
    int found = 0;
    CUresult r = cuGetProcAddress_v2(name, out, version, flags, &found);
    return r == CUDA_SUCCESS && found ? CUDA_ERROR_NOT_FOUND : r;
}

VG_API CUresult cuGetExportTable(const void **table, const CUuuid *id) {   // undocumented tables: there are none
    (void)id;
    if (table)
        *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

VG_API CUresult cuProfilerStart(void) { return CUDA_SUCCESS; }
VG_API CUresult cuProfilerStop(void) { return CUDA_SUCCESS; }
