// Device strings → driver, context and facts. Does not compile, time or judge anything. Sits on driver.c.
#include "gpu/device.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_VIRTUAL "virtual:h200"

static bool attribute(const hone_driver *drv, CUdevice dev, int which, int *out) {
    *out = 0;
    return drv->DeviceGetAttribute(out, which, dev) == CUDA_SUCCESS;
}

static void read_attributes(const hone_driver *drv, CUdevice dev, hone_device_info *i) {
    static const struct { int which; size_t at; } fields[] = {
        {CU_ATTR_SM_COUNT, offsetof(hone_device_info, sms)},
        {CU_ATTR_WARP_SIZE, offsetof(hone_device_info, warp_size)},
        {CU_ATTR_MAX_THREADS_PER_BLOCK, offsetof(hone_device_info, max_threads_per_block)},
        {CU_ATTR_THREADS_PER_SM, offsetof(hone_device_info, threads_per_sm)},
        {CU_ATTR_BLOCKS_PER_SM, offsetof(hone_device_info, blocks_per_sm)},
        {CU_ATTR_REGISTERS_PER_BLOCK, offsetof(hone_device_info, registers_per_block)},
        {CU_ATTR_REGISTERS_PER_SM, offsetof(hone_device_info, registers_per_sm)},
        {CU_ATTR_SHARED_PER_BLOCK, offsetof(hone_device_info, shared_per_block)},
        {CU_ATTR_SHARED_PER_BLOCK_OPTIN, offsetof(hone_device_info, shared_per_block_optin)},
        {CU_ATTR_SHARED_PER_SM, offsetof(hone_device_info, shared_per_sm)},
    };
    for (size_t k = 0; k < HONE_COUNT(fields); k++) {
        int v;
        attribute(drv, dev, fields[k].which, &v);
        uint32_t u = v > 0 ? (uint32_t)v : 0;
        memcpy((char *)i + fields[k].at, &u, sizeof u);
    }
    int khz, mem_khz, bits, v;
    i->has_clock_mhz = attribute(drv, dev, CU_ATTR_CLOCK_RATE_KHZ, &khz) && khz > 0;
    i->clock_mhz = khz * 1e-3;
    i->has_bandwidth = attribute(drv, dev, CU_ATTR_MEMORY_CLOCK_KHZ, &mem_khz) && attribute(drv, dev, CU_ATTR_MEMORY_BUS_BITS, &bits) &&
                       mem_khz > 0 && bits > 0;
    i->bandwidth_gbs = i->has_bandwidth ? 2.0 * mem_khz * 1e3 * bits / 8 * 1e-9 : 0;   // double data rate
    i->l2_bytes = attribute(drv, dev, CU_ATTR_L2_BYTES, &v) && v > 0 ? (size_t)v : 0;
    i->cooperative = attribute(drv, dev, CU_ATTR_COOPERATIVE_LAUNCH, &v) && v;
    if (i->shared_per_block_optin < i->shared_per_block)
        i->shared_per_block_optin = i->shared_per_block;
}

hone_code hone_device_describe(const hone_driver *drv, int ordinal, hone_device_info *i, hone_err *e) {
    *i = (hone_device_info){.is_virtual = drv->is_virtual, .driver_version = drv->version};
    HONE_BUILD_ID_OF(drv->DeviceGetCount, i->driver_build);
    int n = 0;
    CUdevice dev;
    CUresult r = drv->DeviceGetCount(&n);
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "count devices");
    if (ordinal < 0 || ordinal >= n)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "there is no device %d: the driver knows %d", ordinal, n);
    if ((r = drv->DeviceGet(&dev, ordinal)) != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "get device %d", ordinal);
    if ((r = drv->DeviceGetName(i->name, (int)sizeof i->name, dev)) != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "ask device %d for its name", ordinal);
    if ((r = drv->DeviceTotalMem(&i->memory_bytes, dev)) != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "ask device %d for its memory", ordinal);
    i->index = (uint32_t)ordinal;
    i->count = (uint32_t)n;
    int major, minor;
    if (!attribute(drv, dev, CU_ATTR_CC_MAJOR, &major) || !attribute(drv, dev, CU_ATTR_CC_MINOR, &minor) || major <= 0)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "device %d ('%s') does not say its compute capability", ordinal, i->name);
    i->cc = (uint32_t)(major * 10 + minor);
    if (!drv->is_virtual && drv->DeviceGetPCIBusId)
        drv->DeviceGetPCIBusId(i->pci_bus_id, (int)sizeof i->pci_bus_id, dev);
    read_attributes(drv, dev, i);
    return HONE_OK;
}

static hone_code make_context(hone_device *d, hone_err *e) {
    CUresult r = d->driver->CtxCreate(&d->context, 0, d->ordinal);
    if (r != CUDA_SUCCESS) {
        d->context = NULL;
        hone_driver_fail(d->driver, r, e, "make a context on '%s'", d->info.name);
        if (e)
            e->code = HONE_E_NO_DEVICE;
        return HONE_E_NO_DEVICE;
    }
    return HONE_OK;
}

static hone_code open_on(hone_driver *drv, bool borrowed, int ordinal, const char *spec, hone_device **out, hone_err *e) {
    hone_device *d = hone_calloc(1, sizeof *d);
    if (!d) {
        if (!borrowed)
            hone_driver_free(drv);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a device");
    }
    d->driver = drv;
    d->borrowed_driver = borrowed;
    hone_code c = hone_device_describe(drv, ordinal, &d->info, e);
    if (c == HONE_OK) {
        snprintf(d->info.spec, sizeof d->info.spec, "%s", spec);
        CUresult r = drv->DeviceGet(&d->ordinal, ordinal);
        c = r == CUDA_SUCCESS ? make_context(d, e) : hone_driver_fail(drv, r, e, "get device %d", ordinal);
    }
    if (c != HONE_OK) {
        hone_device_close(d);
        return c;
    }
    *out = d;
    return HONE_OK;
}

static hone_code open_virtual(const char *spec, hone_device **out, hone_err *e) {
    const char *model = spec + strlen("virtual:");
    if (!*model)
        return hone_fail(e, HONE_E_USAGE, 0, "device '%s' names no model", spec), hone_hint(e, "for example virtual:h200");
    setenv("HONE_VGPU_DEVICE", model, 1);   // read by libhonegpu.so when it initialises
    hone_driver *drv = NULL;
    HONE_TRY(hone_driver_load(true, NULL, &drv, e));
    return open_on(drv, false, 0, spec, out, e);
}

static hone_code ordinal_of(const char *spec, int *out, hone_err *e) {
    const char *digits = spec + strlen("cuda:");
    char *end;
    long n = strtol(digits, &end, 10);
    if (!isdigit((unsigned char)*digits) || *end || n > 1023)
        return hone_fail(e, HONE_E_USAGE, 0, "device '%s' is not cuda:N", spec), hone_hint(e, "for example cuda:0");
    *out = (int)n;
    return HONE_OK;
}

static hone_code open_cuda(const char *spec, hone_device **out, hone_err *e) {
    hone_driver *drv = NULL;
    int n;
    HONE_TRY(ordinal_of(spec, &n, e));
    HONE_TRY(hone_driver_load(false, NULL, &drv, e));
    return open_on(drv, false, n, spec, out, e);
}

hone_code hone_device_facts(const char *spec, hone_device_info *info, hone_err *e) {
    hone_driver *drv = NULL;
    int n;
    HONE_TRY(ordinal_of(spec, &n, e));
    HONE_TRY(hone_driver_load(false, NULL, &drv, e));
    hone_code c = hone_device_describe(drv, n, info, e);
    if (c == HONE_OK)
        snprintf(info->spec, sizeof info->spec, "%s", spec);
    hone_driver_free(drv);
    return c;
}

hone_code hone_device_open(const char *spec, hone_device **out, hone_err *e) {
    *out = NULL;
    if (!spec || !*spec || strcmp(spec, "auto") == 0) {
        if (open_cuda("cuda:0", out, NULL) == HONE_OK)
            return HONE_OK;
        return open_virtual(DEFAULT_VIRTUAL, out, e);
    }
    if (strcmp(spec, "virtual") == 0)
        return open_virtual(DEFAULT_VIRTUAL, out, e);
    if (strcmp(spec, "cuda") == 0)
        return open_cuda("cuda:0", out, e);
    if (strncmp(spec, "virtual:", 8) == 0)
        return open_virtual(spec, out, e);
    if (strncmp(spec, "cuda:", 5) == 0)
        return open_cuda(spec, out, e);
    hone_fail(e, HONE_E_USAGE, 0, "unknown device '%s'", spec);
    return hone_hint(e, "devices are virtual:h200, virtual:a100 …, cuda:0, cuda:1 …, auto");
}

hone_code hone_device_clone(hone_device *of, hone_device **out, hone_err *e) {
    return open_on(of->driver, true, of->ordinal, of->info.spec, out, e);
}

hone_code hone_device_reset(hone_device *d, hone_err *e) {
    if (d->context)
        d->driver->CtxDestroy(d->context);   // its result repeats the error that made the reset necessary
    d->context = NULL;
    return make_context(d, e);
}

hone_code hone_device_use(hone_device *d, hone_err *e) {
    CUresult r = d->driver->CtxSetCurrent(d->context);
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(d->driver, r, e, "switch to a context on '%s'", d->info.name);
}

void hone_device_close(hone_device *d) {
    if (!d)
        return;
    if (d->context)
        d->driver->CtxDestroy(d->context);
    if (!d->borrowed_driver)
        hone_driver_free(d->driver);
    hone_free(d);
}
