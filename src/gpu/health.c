// Whether a device still computes, and memory from it with a message that says what was needed and what is free. Sits on the driver table.
#include "gpu/device.h"
#include <stdio.h>

// The oldest PTX that every driver in use takes; the driver compiles it for its device.
static const char tiny[] = ".version 7.0\n.target sm_52\n.address_size 64\n"
                           ".visible .entry hone_health(.param .u64 p)\n{\n"
                           "    .reg .b64 %rd<3>;\n    .reg .b32 %r<2>;\n"
                           "    ld.param.u64 %rd1, [p];\n    cvta.to.global.u64 %rd2, %rd1;\n"
                           "    mov.u32 %r1, 42;\n    st.global.u32 [%rd2], %r1;\n    ret;\n}\n";

static CUresult run_tiny(const hone_driver *drv, CUmodule m, CUdeviceptr at, uint32_t *got) {
    CUfunction f;
    void *params[] = {&at};
    CUresult r = drv->ModuleGetFunction(&f, m, "hone_health");
    if (r == CUDA_SUCCESS)
        r = drv->LaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL);
    if (r == CUDA_SUCCESS)
        r = drv->CtxSynchronize();
    return r == CUDA_SUCCESS ? drv->MemcpyDtoH(got, at, sizeof *got) : r;
}

hone_code hone_device_health(hone_device *d, hone_err *e) {
    const hone_driver *drv = d->driver;
    CUmodule m = NULL;
    CUdeviceptr at = 0;
    uint32_t got = 0;
    CUresult r = drv->ModuleLoadDataEx(&m, tiny, 0, NULL, NULL);
    if (r == CUDA_SUCCESS)
        r = drv->MemAlloc(&at, sizeof got);
    if (r == CUDA_SUCCESS)
        r = run_tiny(drv, m, at, &got);
    if (at)
        drv->MemFree(at);
    if (m)
        drv->ModuleUnload(m);
    if (r == CUDA_SUCCESS && got == 42)
        return HONE_OK;
    if (r == CUDA_SUCCESS)
        hone_fail(e, HONE_E_NO_DEVICE, 0, "the device '%s' computes wrongly: a kernel that writes 42 left %u", d->info.name, got);
    else
        hone_driver_fail(drv, r, e, "run a kernel of one thread on '%s'", d->info.name);
    if (e)
        e->code = HONE_E_NO_DEVICE;
    hone_hint(e, "nvidia-smi and the kernel's log (Xid lines) say more; the device may need a reset by its administrator");
    return HONE_E_NO_DEVICE;
}

// ---- memory

static const char *amount(size_t bytes, char buf[32]) {
    double mib = (double)bytes / (1 << 20);
    if (bytes < 1 << 20)
        snprintf(buf, 32, "%zu bytes", bytes);
    else
        snprintf(buf, 32, mib < 1024 ? "%.1f MiB" : "%.2f GiB", mib < 1024 ? mib : mib / 1024);
    return buf;
}

size_t hone_device_free_bytes(const hone_device *d) {
    size_t free_bytes = 0, total = 0;
    return d->driver->MemGetInfo && d->driver->MemGetInfo(&free_bytes, &total) == CUDA_SUCCESS ? free_bytes : 0;
}

hone_code hone_device_alloc(hone_device *d, size_t bytes, const char *what, CUdeviceptr *out, hone_err *e) {
    CUresult r = d->driver->MemAlloc(out, bytes ? bytes : 1);
    if (r == CUDA_SUCCESS)
        return HONE_OK;
    *out = 0;
    if (r != CUDA_ERROR_OUT_OF_MEMORY)
        return hone_driver_fail(d->driver, r, e, "allocate %zu bytes for %s on '%s'", bytes, what, d->info.name);
    char need[32], has[32], all[32];
    size_t free_bytes = hone_device_free_bytes(d);
    hone_fail(e, HONE_E_DEVICE, r, "not enough memory on '%s': %s needs %s, %s of %s are free", d->info.name, what, amount(bytes, need),
              free_bytes ? amount(free_bytes, has) : "an unknown part", amount(d->info.memory_bytes, all));
    return hone_hint(e, "smaller sizes in the task's `size` line need less memory; another process may hold the rest (nvidia-smi shows it)");
}
