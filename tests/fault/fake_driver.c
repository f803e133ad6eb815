// A CUDA driver that does what a test says: memory is host memory, kernels do nothing (or write a byte), and any function can be told to
// answer with any error, from its n-th call on. It counts what is alive, so that a test can tell leaks. Built as a library and loaded as
// hone loads a driver.
#include "gpu/cuda_abi.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
typedef struct fake_counts { long contexts, modules, allocations, streams, events, launches, calls; } fake_counts;
static fake_counts counts;
static char fail_name[64];
static CUresult fail_with;
static long fail_from, seen;
static float event_ms = 0.05f;
static float (*event_source)(void *self, const void *image);
static void *event_self;
static const void *launched;   // image
typedef struct module { const void *image; } module;

API void fakeFail(const char *name, CUresult r, long from_call) {
    snprintf(fail_name, sizeof fail_name, "%s", name ? name : "");
    fail_with = r;
    fail_from = from_call;
    seen = 0;
}
API fake_counts fakeCounts(void) { return counts; }
API void fakeEventMs(float ms) { event_ms = ms; event_source = NULL; }
// Times from a function instead, which is told the image of the module that was launched last.
API void fakeEventSource(float (*source)(void *self, const void *image), void *self) { event_source = source; event_self = self; }

static CUresult enter(const char *name) {
    counts.calls++;
    if (strcmp(name, fail_name) == 0 && ++seen >= fail_from)
        return fail_with;
    return CUDA_SUCCESS;
}
#define ENTER                            \
    do {                                 \
        CUresult r_ = enter(__func__);   \
        if (r_ != CUDA_SUCCESS)          \
            return r_;                   \
    } while (0)

API CUresult cuInit(unsigned flags) { ENTER; (void)flags; return CUDA_SUCCESS; }
API CUresult cuDriverGetVersion(int *v) { ENTER; *v = 13000; return CUDA_SUCCESS; }
API CUresult cuGetErrorName(CUresult r, const char **s) {
    static char text[40];
    snprintf(text, sizeof text, "FAKE_ERROR_%d", r);
    *s = text;
    return CUDA_SUCCESS;
}
API CUresult cuGetErrorString(CUresult r, const char **s) { (void)r; *s = "as told"; return CUDA_SUCCESS; }
API CUresult cuDeviceGet(CUdevice *d, int i) { ENTER; *d = i; return CUDA_SUCCESS; }
API CUresult cuDeviceGetCount(int *n) { ENTER; *n = 1; return CUDA_SUCCESS; }
API CUresult cuDeviceGetName(char *s, int n, CUdevice d) { ENTER; (void)d; snprintf(s, (size_t)n, "Fake GPU"); return CUDA_SUCCESS; }
API CUresult cuDeviceGetAttribute(int *v, int a, CUdevice d) {
    ENTER;
    (void)d;
    static const struct {
        int a, v;
    } table[] = {{CU_ATTR_MAX_THREADS_PER_BLOCK, 1024},
                 {CU_ATTR_CC_MAJOR, 9},
                 {CU_ATTR_CC_MINOR, 0},
                 {CU_ATTR_SM_COUNT, 4},
                 {CU_ATTR_SHARED_PER_BLOCK_OPTIN, 101376},
                 {CU_ATTR_SHARED_PER_BLOCK, 49152},
                 {CU_ATTR_REGISTERS_PER_BLOCK, 65536},
                 {CU_ATTR_L2_BYTES, 4096},
                 {CU_ATTR_MEMORY_CLOCK_KHZ, 1000000},
                 {CU_ATTR_MEMORY_BUS_BITS, 1024}};
    *v = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].a == a)
            *v = table[i].v;
    return CUDA_SUCCESS;
}
API CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice d) { ENTER; (void)d; *n = (size_t)1 << 30; return CUDA_SUCCESS; }
API CUresult cuCtxCreate_v2(CUcontext *c, unsigned f, CUdevice d) {
    ENTER;
    (void)f;
    (void)d;
    *c = malloc(1);
    counts.contexts++;
    return CUDA_SUCCESS;
}
API CUresult cuCtxDestroy_v2(CUcontext c) { free(c); counts.contexts--; ENTER; return CUDA_SUCCESS; }
API CUresult cuCtxSetCurrent(CUcontext c) { ENTER; (void)c; return CUDA_SUCCESS; }
API CUresult cuCtxSynchronize(void) { ENTER; return CUDA_SUCCESS; }
API CUresult cuModuleLoadDataEx(CUmodule *m, const void *i, unsigned n, int *o, void **v) {
    ENTER;
    (void)n; (void)o; (void)v;
    module *made = malloc(sizeof *made);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->image = i;
    *m = (CUmodule)(void *)made;
    counts.modules++;
    return CUDA_SUCCESS;
}
API CUresult cuModuleUnload(CUmodule m) { free(m); counts.modules--; ENTER; return CUDA_SUCCESS; }
API CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
    ENTER;
    (void)name;
    *f = (CUfunction)(void *)m;
    return CUDA_SUCCESS;
}
API CUresult cuFuncGetAttribute(int *v, int a, CUfunction f) { ENTER; (void)a; (void)f; *v = 0; return CUDA_SUCCESS; }
API CUresult cuFuncSetAttribute(CUfunction f, int a, int v) { ENTER; (void)f; (void)a; (void)v; return CUDA_SUCCESS; }
API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
    ENTER;
    void *m = malloc(n);
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *p = (CUdeviceptr)(uintptr_t)m;
    counts.allocations++;
    return CUDA_SUCCESS;
}
API CUresult cuMemFree_v2(CUdeviceptr p) { free((void *)(uintptr_t)p); counts.allocations--; ENTER; return CUDA_SUCCESS; }
API CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n) { ENTER; memcpy((void *)(uintptr_t)d, s, n); return CUDA_SUCCESS; }
API CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n) { ENTER; memcpy(d, (void *)(uintptr_t)s, n); return CUDA_SUCCESS; }
API CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n) {
    ENTER;
    memcpy((void *)(uintptr_t)d, (void *)(uintptr_t)s, n);
    return CUDA_SUCCESS;
}
API CUresult cuMemsetD8_v2(CUdeviceptr d, unsigned char v, size_t n) { ENTER; memset((void *)(uintptr_t)d, v, n); return CUDA_SUCCESS; }
API CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem,
                            CUstream q, void **params, void **extra) {
    ENTER;
    launched = ((module *)(void *)f)->image;
    (void)gx; (void)gy; (void)gz; (void)bx; (void)by; (void)bz; (void)smem; (void)q; (void)params; (void)extra;
    counts.launches++;
    return CUDA_SUCCESS;
}
API CUresult cuStreamCreate(CUstream *q, unsigned f) { ENTER; (void)f; *q = malloc(1); counts.streams++; return CUDA_SUCCESS; }
API CUresult cuStreamDestroy_v2(CUstream q) { free(q); counts.streams--; ENTER; return CUDA_SUCCESS; }
API CUresult cuStreamSynchronize(CUstream q) { ENTER; (void)q; return CUDA_SUCCESS; }
API CUresult cuEventCreate(CUevent *v, unsigned f) { ENTER; (void)f; *v = malloc(1); counts.events++; return CUDA_SUCCESS; }
API CUresult cuEventDestroy_v2(CUevent v) { free(v); counts.events--; ENTER; return CUDA_SUCCESS; }
API CUresult cuEventRecord(CUevent v, CUstream q) { ENTER; (void)v; (void)q; return CUDA_SUCCESS; }
API CUresult cuEventSynchronize(CUevent v) { ENTER; (void)v; return CUDA_SUCCESS; }
API CUresult cuEventElapsedTime(float *ms, CUevent a, CUevent b) {
    ENTER;
    (void)a; (void)b;
    *ms = event_source ? event_source(event_self, launched) : event_ms;
    return CUDA_SUCCESS;
}
