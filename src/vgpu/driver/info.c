// Facts: device attributes, error names, entry points by name.
#include "vgpu/driver/front.h"
#include <dlfcn.h>
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

// ---- device attributes: fixed by the architecture, or a number of the modelled device

typedef struct fixed_attribute { int attribute, value; } fixed_attribute;
static const fixed_attribute fixed[] = {
    {CU_DEV_MAX_THREADS_PER_BLOCK, 1024}, {CU_DEV_MAX_BLOCK_DIM_X, 1024}, {CU_DEV_MAX_BLOCK_DIM_Y, 1024}, {CU_DEV_MAX_BLOCK_DIM_Z, 64},
    {CU_DEV_MAX_GRID_DIM_X, 0x7fffffff}, {CU_DEV_MAX_GRID_DIM_Y, 65535}, {CU_DEV_MAX_GRID_DIM_Z, 65535}, {CU_DEV_SHARED_PER_BLOCK, 49152},
    {CU_DEV_CONSTANT_BYTES, 65536}, {CU_DEV_WARP_SIZE, 32}, {CU_DEV_MAX_PITCH, 0x7fffffff}, {CU_DEV_REGISTERS_PER_BLOCK, 65536},
    {CU_DEV_TEXTURE_ALIGNMENT, 512}, {CU_DEV_GPU_OVERLAP, 1}, {CU_DEV_KERNEL_TIMEOUT, 0}, {CU_DEV_INTEGRATED, 0}, {CU_DEV_CAN_MAP_HOST, 1},
    {CU_DEV_COMPUTE_MODE, 0}, {CU_DEV_CONCURRENT_KERNELS, 1}, {CU_DEV_ECC, 0}, {CU_DEV_PCI_BUS, 0}, {CU_DEV_PCI_DEVICE, 0}, {CU_DEV_TCC, 0},
    {CU_DEV_ASYNC_ENGINES, 1}, {CU_DEV_UNIFIED_ADDRESSING, 1}, {CU_DEV_PCI_DOMAIN, 0}, {CU_DEV_STREAM_PRIORITIES, 0}, {CU_DEV_GLOBAL_L1, 1},
    {CU_DEV_LOCAL_L1, 1}, {CU_DEV_MANAGED_MEMORY, 1}, {CU_DEV_MULTI_GPU_BOARD, 0}, {CU_DEV_CONCURRENT_MANAGED, 0}, {CU_DEV_COMPUTE_PREEMPTION, 0},
    {CU_DEV_COOPERATIVE_LAUNCH, 1}, {CU_DEV_HOST_REGISTER, 0}, {CU_DEV_RESERVED_SHARED, 1024}, {CU_DEV_MEMORY_POOLS, 0}};

typedef struct modelled_attribute { int attribute; vg_dev_key key; double scale; } modelled_attribute;
static const modelled_attribute modelled[] = {
    {CU_DEV_CLOCK_KHZ, VG_DEV_BOOST_MHZ, 1000}, {CU_DEV_SM_COUNT, VG_DEV_SMS, 1}, {CU_DEV_L2_BYTES, VG_DEV_L2_BYTES, 1},
    {CU_DEV_THREADS_PER_SM, VG_DEV_WARPS_PER_SM, 32}, {CU_DEV_CC_MAJOR, VG_DEV_CC_MAJOR, 1}, {CU_DEV_CC_MINOR, VG_DEV_CC_MINOR, 1},
    {CU_DEV_SHARED_PER_SM, VG_DEV_SHARED_PER_SM, 1}, {CU_DEV_REGISTERS_PER_SM, VG_DEV_REGS_PER_SM, 1},
    {CU_DEV_SHARED_PER_BLOCK_OPTIN, VG_DEV_SHARED_PER_BLOCK, 1}, {CU_DEV_BLOCKS_PER_SM, VG_DEV_BLOCKS_PER_SM, 1}};

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
            return *value = (int)(vg_dev(d, modelled[i].key) * modelled[i].scale), CUDA_SUCCESS;
    switch (attribute) {
    case CU_DEV_MEMORY_BUS_BITS: *value = bus_bits(d); return CUDA_SUCCESS;
    case CU_DEV_MEMORY_CLOCK_KHZ: *value = (int)(vg_dev(d, VG_DEV_DRAM_PEAK_GBS) * 1e6 * 4 / bus_bits(d)); return CUDA_SUCCESS;
    case CU_DEV_CLUSTER_LAUNCH: *value = vg_dev(d, VG_DEV_CC_MAJOR) >= 9; return CUDA_SUCCESS;
    default: *value = 0; return attribute > 0 && attribute < 148 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;   // known, and absent here
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
    if (r == CUDA_SUCCESS && n < 13)
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

// ---- entry points

// Names that callers ask for without the version suffix under which the current definition is exported.
static const char *const suffixes[] = {"_v2", "", "_v4", "_v3"};

static void *find_symbol(const char *name) {
    char full[128];
    for (size_t i = 0; i < HONE_COUNT(suffixes); i++) {
        Dl_info self;
        if (!dladdr((void *)(uintptr_t)&find_symbol, &self) || snprintf(full, sizeof full, "%s%s", name, suffixes[i]) >= (int)sizeof full)
            return NULL;
        void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        if (!library)
            return NULL;
        void *p = dlsym(library, full);
        dlclose(library);
        if (p)
            return p;
    }
    return NULL;
}

VG_API CUresult cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status) {
    (void)version;
    (void)flags;
    if (!name || !out)
        return CUDA_ERROR_INVALID_VALUE;
    bool ours = strncmp(name, "cu", 2) == 0 || strncmp(name, "honeVgpu", 8) == 0;
    *out = ours ? find_symbol(name) : NULL;
    if (status)
        *status = *out ? 0 : 1;   // found; symbol not found
    return *out ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
VG_API CUresult cuGetProcAddress(const char *name, void **out, int version, uint64_t flags) { return cuGetProcAddress_v2(name, out, version, flags, NULL); }

VG_API CUresult cuGetExportTable(const void **table, const CUuuid *id) {   // undocumented tables: there are none
    (void)id;
    if (table)
        *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

VG_API CUresult cuProfilerStart(void) { return CUDA_SUCCESS; }
VG_API CUresult cuProfilerStop(void) { return CUDA_SUCCESS; }
