// A driver that prints what it is asked to do: loads, scratch space, launches with every argument.
#include "cuda.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// p: pointer, i: int32, l: int64, f: float
static const struct kernel { const char *name, *args; } kernels[] = {{"first", "ppif"}, {"_Z6secondPdPiPfli", "pppli"}};

CUresult cuInit(unsigned flags) { return (CUresult)flags; }
CUresult cuCtxGetCurrent(void **c) {
    *c = (void *)(uintptr_t)0x10;
    return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult r, const char **name) {
    *name = r == CUDA_ERROR_INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : "CUDA_ERROR_OTHER";
    return CUDA_SUCCESS;
}
CUresult cuModuleLoad(CUmodule *m, const char *path) {
    const char *base = strrchr(path, '/');
    if (!strstr(path, ".ptx"))   // as the virtual GPU: it takes no cubin
        return CUDA_ERROR_NOT_FOUND;
    printf("load %s\n", base ? base + 1 : path);
    *m = (CUmodule)(uintptr_t)1;
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule m) {
    (void)m;
    return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
    (void)m;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (!strcmp(kernels[i].name, name)) {
            *f = (CUfunction)(uintptr_t)&kernels[i];
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_NOT_FOUND;
}
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
    printf("scratch %zu\n", n);
    *p = 0xabc000;
    return CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr p) {
    (void)p;
    return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction f, int attribute, int value) {
    printf("attribute %s %d %d\n", ((const struct kernel *)f)->name, attribute, value);
    return CUDA_SUCCESS;
}

static void print_arg(char kind, const void *p) {
    float f;
    int64_t l;
    int32_t i;
    if (kind == 'f')
        printf(" %g", (double)*(float *)memcpy(&f, p, sizeof f));
    else if (kind == 'i')
        printf(" %d", *(int32_t *)memcpy(&i, p, sizeof i));
    else
        printf(kind == 'p' ? " 0x%llx" : " %lld", (long long)*(int64_t *)memcpy(&l, p, sizeof l));
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **args, void **extra) {
    const struct kernel *k = (const struct kernel *)f;
    (void)extra;
    printf("launch %s grid %u %u %u block %u %u %u shared %u", k->name, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY,
           c->blockDimZ, c->sharedMemBytes);
    for (unsigned i = 0; i < c->numAttrs; i++)
        if (c->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
            printf(" cooperative %d", c->attrs[i].value.cooperative);
        else
            printf(" cluster %u %u %u", c->attrs[i].value.clusterDim.x, c->attrs[i].value.clusterDim.y, c->attrs[i].value.clusterDim.z);
    printf(" args");
    for (size_t i = 0; k->args[i]; i++)
        print_arg(k->args[i], args[i]);
    putchar('\n');
    fflush(stdout);
    return CUDA_SUCCESS;
}
