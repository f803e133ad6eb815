// For tests through the driver front: prototypes of the functions they call, a fresh context per test, launching one kernel of a PTX text.
#ifndef HONE_TEST_DRIVER_FIXTURE_H
#define HONE_TEST_DRIVER_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/base.h"
#include "hone_vgpu.h"
#include "vgpu/driver/cuda_abi.h"
#include <stdio.h>
#include <string.h>

CUresult cuInit(unsigned flags);
CUresult cuCtxCreate_v2(CUcontext *c, unsigned flags, CUdevice d);
CUresult cuCtxDestroy_v2(CUcontext c);
CUresult cuCtxSynchronize(void);
CUresult cuCtxSetCurrent(CUcontext c);
CUresult cuCtxGetCurrent(CUcontext *c);
CUresult cuModuleLoadData(CUmodule *m, const void *image);
CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, int *options, void **values);
CUresult cuModuleUnload(CUmodule m);
CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name);
CUresult cuModuleGetGlobal_v2(CUdeviceptr *p, size_t *bytes, CUmodule m, const char *name);
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t bytes);
CUresult cuMemFree_v2(CUdeviceptr p);
CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n);
CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n);
CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n);
CUresult cuMemsetD8_v2(CUdeviceptr d, unsigned char v, size_t n);
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream,
                        void **params, void **extra);

static CUcontext test_context;
static inline int open_context(void **state) {
    (void)state;
    if (cuInit(0) != CUDA_SUCCESS || cuCtxCreate_v2(&test_context, 0, 0) != CUDA_SUCCESS)
        return -1;
    honeVgpuOptions o = {.size = sizeof o, .flags = HONE_VGPU_CHECK, .threads = 2};
    return honeVgpuSetOptions(&o);
}
static inline int close_context(void **state) {
    (void)state;
    return cuCtxDestroy_v2(test_context);
}
static inline void set_flags(uint32_t flags) {
    honeVgpuOptions o = {.size = sizeof o};
    assert_int_equal(honeVgpuGetOptions(&o), 0);
    o.flags = flags;
    assert_int_equal(honeVgpuSetOptions(&o), 0);
}
static inline CUfunction load_kernel(const char *ptx, const char *name) {
    CUmodule m;
    CUfunction f = NULL;
    char log[1024] = "";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    if (cuModuleLoadDataEx(&m, ptx, 2, options, values) != CUDA_SUCCESS)
        fail_msg("%s\n%s", log, ptx);
    assert_int_equal(cuModuleGetFunction(&f, m, name), CUDA_SUCCESS);
    return f;
}
static inline CUdeviceptr upload(const void *data, size_t bytes) {
    CUdeviceptr p = 0;
    assert_int_equal(cuMemAlloc_v2(&p, bytes), CUDA_SUCCESS);
    if (data)
        assert_int_equal(cuMemcpyHtoD_v2(p, data, bytes), CUDA_SUCCESS);
    return p;
}
static inline CUresult run_kernel(CUfunction f, unsigned grid, unsigned block, void **params) {
    CUresult r = cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, NULL, params, NULL);
    return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
}
// Takes all findings; fails unless there is exactly one, of this kind.
static inline honeVgpuFinding one_finding(const char *kind) {
    honeVgpuFinding f[4];
    uint32_t n;
    assert_int_equal(honeVgpuTakeFindings(f, 4, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(f[0].kind, kind);
    return f[0];
}
static inline void no_finding(void) {
    honeVgpuFinding f[1];
    uint32_t n;
    assert_int_equal(honeVgpuTakeFindings(f, 1, &n), 0);
    if (n)
        fail_msg("%s: %s", f[0].kind, f[0].message);
}
#define PTX_HEAD ".version 8.0\n.target sm_90\n.address_size 64\n"
#endif
