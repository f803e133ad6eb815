// The thread's context and last error. The runtime uses the driver's current context; a thread that has none gets the primary context of its device.
// A failure stays this thread's last error until cudaGetLastError takes it; one that ended the context (an illegal address …) comes back with each call.
#include "cudart/internal.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Thread_local cudaError_t last;
static _Thread_local int device;                 // of this thread
static _Thread_local unsigned entered;           // epoch in which this thread took its context
static _Thread_local CUcontext own;              // the primary context that this thread took
static atomic_uint epoch = 1;

typedef struct error_text { cudaError_t value; const char *name, *text; } error_text;
static const error_text errors[] = {
#define ERROR(name, value, text) {value, #name, text},
#include "cudart/errors.def"
#undef ERROR
};

void rt_say(const char *fmt, ...) {
    char text[2048];
    va_list a;
    va_start(a, fmt);
    vsnprintf(text, sizeof text, fmt, a);
    va_end(a);
    fprintf(stderr, "libcudart (hone): %s\n", text);
}

unsigned rt_epoch(void) { return atomic_load(&epoch); }

cudaError_t rt_record(cudaError_t r) {
    if (r != cudaSuccess && r != cudaErrorNotReady)   // not ready is an answer, not a failure
        last = r;
    return r;
}

cudaError_t rt_check_device(int d) {
    int n = 0;
    cudaError_t r = rt_driver_load();
    if (r == cudaSuccess)
        r = RT_CU(cuDeviceGetCount, &n);
    return r != cudaSuccess ? r : d < 0 || d >= n ? cudaErrorInvalidDevice : cudaSuccess;
}

static cudaError_t take_primary(void) {
    cudaError_t r = RT_CU(cuDevicePrimaryCtxRetain, &own, device);
    if (r == cudaSuccess)
        r = RT_CU(cuCtxSetCurrent, own);
    entered = r == cudaSuccess ? rt_epoch() : 0;
    return r;
}

cudaError_t rt_enter(void) {
    CUcontext c = NULL;
    cudaError_t r = rt_driver_load();
    if (r == cudaSuccess)
        r = RT_CU(cuCtxGetCurrent, &c);
    if (r != cudaSuccess)
        return r;
    const bool stale = c && c == own && entered != rt_epoch();   // the device was reset since
    return c && !stale ? cudaSuccess : take_primary();
}

// ---- errors

static bool ends_context(cudaError_t r) {
    return r == cudaErrorIllegalAddress || r == cudaErrorLaunchTimeout || r == cudaErrorAssert || (r >= cudaErrorHardwareStackError && r <= cudaErrorLaunchFailure);
}

RT_API cudaError_t cudaPeekAtLastError(void) { return last; }

RT_API cudaError_t cudaGetLastError(void) {
    const cudaError_t r = last;
    const bool lost = ends_context(r) && RT_CU(cuCtxSynchronize) == r;   // the context still refuses
    last = lost ? r : cudaSuccess;
    return r;
}

static const error_text *text_of(cudaError_t r) {
    for (size_t i = 0; i < HONE_COUNT(errors); i++)
        if (errors[i].value == r)
            return &errors[i];
    return NULL;
}
RT_API const char *cudaGetErrorName(cudaError_t r) { return text_of(r) ? text_of(r)->name : "unrecognized error code"; }
RT_API const char *cudaGetErrorString(cudaError_t r) { return text_of(r) ? text_of(r)->text : "unrecognized error code"; }

// ---- devices of threads

RT_API cudaError_t cudaGetDeviceCount(int *n) {
    if (!n)
        return rt_record(cudaErrorInvalidValue);
    const cudaError_t r = rt_driver_load();
    *n = 0;
    return rt_record(r == cudaSuccess ? RT_CU(cuDeviceGetCount, n) : r);
}

static cudaError_t set_device(int d) {
    const cudaError_t r = rt_check_device(d);
    if (r != cudaSuccess)
        return r;
    device = d;
    return take_primary();
}
RT_API cudaError_t cudaSetDevice(int d) { return rt_record(set_device(d)); }
RT_API cudaError_t cudaInitDevice(int d, unsigned device_flags, unsigned flags) {
    (void)device_flags;
    return rt_record(flags > 1 ? cudaErrorInvalidValue : set_device(d));
}

RT_API cudaError_t cudaGetDevice(int *d) {
    if (!d)
        return rt_record(cudaErrorInvalidValue);
    const cudaError_t r = rt_driver_load();
    CUcontext c = NULL;
    if (r == cudaSuccess && RT_CU(cuCtxGetCurrent, &c) == cudaSuccess && c && (c != own || entered == rt_epoch()))
        return rt_record(RT_CU(cuCtxGetDevice, d));
    *d = device;
    return rt_record(r);
}

RT_API cudaError_t cudaSetValidDevices(int *devices, int n) {
    for (int i = 0; devices && i < n; i++)
        if (rt_check_device(devices[i]) != cudaSuccess)
            return rt_record(cudaErrorInvalidDevice);
    return rt_record(n < 0 || (n && !devices) ? cudaErrorInvalidValue : cudaSuccess);
}

RT_API cudaError_t cudaSetDeviceFlags(unsigned flags) {
    const cudaError_t r = rt_driver_load();
    return rt_record(r == cudaSuccess ? RT_CU(cuDevicePrimaryCtxSetFlags_v2, device, flags) : r);
}
RT_API cudaError_t cudaGetDeviceFlags(unsigned *flags) {
    int active;
    if (!flags)
        return rt_record(cudaErrorInvalidValue);
    const cudaError_t r = rt_driver_load();
    return rt_record(r == cudaSuccess ? RT_CU(cuDevicePrimaryCtxGetState, device, flags, &active) : r);
}

RT_API cudaError_t cudaDeviceSynchronize(void) { return RT_DO(cuCtxSynchronize); }

// Everything of the device goes, for all threads; the next call begins anew.
RT_API cudaError_t cudaDeviceReset(void) {
    cudaError_t r = rt_driver_load();
    if (r == cudaSuccess) {
        RT_CU(cuCtxSetCurrent, NULL);
        pthread_mutex_lock(&rt_lock);
        r = RT_CU(cuDevicePrimaryCtxReset_v2, device);
        atomic_fetch_add(&epoch, 1);
        pthread_mutex_unlock(&rt_lock);
        own = NULL;
        last = cudaSuccess;
    }
    return rt_record(r);
}

#if HONE_CUDART_MAJOR < 13
RT_API cudaError_t cudaThreadSynchronize(void) { return cudaDeviceSynchronize(); }
RT_API cudaError_t cudaThreadExit(void) { return cudaDeviceReset(); }
#endif
