// The driver's functions that send work or wait for it, each with a clock around it. See meter.h. It changes no arguments and no results.
#include "gpu/meter.h"

static struct {
    hone_driver real;
    hone_clock clock;
    hone_meter_reading r;
    bool installed, working, any;
    double from;
} meter;

static double now(void) { return hone_now_s(&meter.clock); }

static void sent(void) {
    if (meter.working)
        return;
    meter.working = true;
    meter.from = now();
    if (!meter.any)
        meter.r.first_s = meter.from;
    meter.any = true;
}

static void waited(void) {
    if (!meter.working)
        return;
    meter.working = false;
    meter.r.last_s = now();
    meter.r.active_s += meter.r.last_s - meter.from;
}

#define SENDS(member, params, ...)                        \
    static CUresult metered_##member params {             \
        sent();                                           \
        return meter.real.member(__VA_ARGS__);            \
    }
#define WAITS(member, params, ...)                        \
    static CUresult metered_##member params {             \
        CUresult r = meter.real.member(__VA_ARGS__);      \
        waited();                                         \
        return r;                                         \
    }
#define COPIES(member, params, ...)                       \
    static CUresult metered_##member params {             \
        sent();                                           \
        CUresult r = meter.real.member(__VA_ARGS__);      \
        waited();                                         \
        return r;                                         \
    }
SENDS(MemsetD8, (CUdeviceptr d, unsigned char v, size_t n), d, v, n)
SENDS(MemcpyDtoD, (CUdeviceptr d, CUdeviceptr s, size_t n), d, s, n)
SENDS(MemsetD8Async, (CUdeviceptr d, unsigned char v, size_t n, CUstream q), d, v, n, q)
SENDS(MemcpyDtoDAsync, (CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q), d, s, n, q)
SENDS(GraphLaunch, (CUgraphExec x, CUstream q), x, q)
COPIES(MemcpyHtoD, (CUdeviceptr d, const void *s, size_t n), d, s, n)
COPIES(MemcpyDtoH, (void *d, CUdeviceptr s, size_t n), d, s, n)
WAITS(CtxSynchronize, (void))
WAITS(StreamSynchronize, (CUstream q), q)
WAITS(EventSynchronize, (CUevent v), v)

static CUresult metered_LaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                                     unsigned smem, CUstream q, void **params, void **extra) {
    sent();
    meter.r.launches++;
    return meter.real.LaunchKernel(f, gx, gy, gz, bx, by, bz, smem, q, params, extra);
}

static CUresult metered_LaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra) {
    sent();
    meter.r.launches++;
    return meter.real.LaunchKernelEx(c, f, params, extra);
}

void hone_meter_install(hone_driver *d) {
    if (meter.installed)
        return;
    meter.installed = true;
    meter.clock = hone_clock_monotonic();
    meter.real = *d;
    d->MemsetD8 = metered_MemsetD8;
    d->MemcpyDtoD = metered_MemcpyDtoD;
    d->MemcpyHtoD = metered_MemcpyHtoD;
    d->MemcpyDtoH = metered_MemcpyDtoH;
    d->CtxSynchronize = metered_CtxSynchronize;
    d->StreamSynchronize = metered_StreamSynchronize;
    d->EventSynchronize = metered_EventSynchronize;
    d->LaunchKernel = metered_LaunchKernel;
    if (d->MemsetD8Async)
        d->MemsetD8Async = metered_MemsetD8Async;
    if (d->MemcpyDtoDAsync)
        d->MemcpyDtoDAsync = metered_MemcpyDtoDAsync;
    if (d->GraphLaunch)
        d->GraphLaunch = metered_GraphLaunch;
    if (d->LaunchKernelEx)
        d->LaunchKernelEx = metered_LaunchKernelEx;
}

void hone_meter_begin(void) {
    meter.r = (hone_meter_reading){0};
    meter.any = meter.working = false;
}

void hone_meter_read(hone_meter_reading *r) { *r = meter.r; }
