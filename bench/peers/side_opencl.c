// The other side of the comparison: compiles the same kernels with whatever OpenCL runtime is installed and runs them on its CPU device.
// The runtime is loaded by name and needs no headers: the declarations below are the OpenCL 1.2 specification's.
#include "peers.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef void *object;
enum { DEVICE_TYPE_CPU = 2, DEVICE_NAME = 0x102B, PLATFORM_VERSION = 0x0901, BUILD_LOG = 0x1183, MEM_READ_WRITE = 1, MAX_PLATFORMS = 8 };
#define FUNCTIONS(F)                                                                                                                   \
    F(int, GetPlatformIDs, (uint32_t, object *, uint32_t *)) F(int, GetPlatformInfo, (object, uint32_t, size_t, void *, size_t *))     \
    F(int, GetDeviceIDs, (object, uint64_t, uint32_t, object *, uint32_t *)) F(int, GetDeviceInfo, (object, uint32_t, size_t, void *, size_t *)) \
    F(object, CreateContext, (const intptr_t *, uint32_t, const object *, void (*)(const char *, const void *, size_t, void *), void *, int *)) \
    F(object, CreateCommandQueue, (object, object, uint64_t, int *))                                                                   \
    F(object, CreateProgramWithSource, (object, uint32_t, const char **, const size_t *, int *))                                       \
    F(int, BuildProgram, (object, uint32_t, const object *, const char *, void (*)(object, void *), void *))                           \
    F(int, GetProgramBuildInfo, (object, object, uint32_t, size_t, void *, size_t *))                                                  \
    F(object, CreateKernel, (object, const char *, int *)) F(int, ReleaseKernel, (object))                                             \
    F(object, CreateBuffer, (object, uint64_t, size_t, void *, int *)) F(int, ReleaseMemObject, (object))                              \
    F(int, SetKernelArg, (object, uint32_t, size_t, const void *))                                                                     \
    F(int, EnqueueWriteBuffer, (object, object, uint32_t, size_t, size_t, const void *, uint32_t, const object *, object *))           \
    F(int, EnqueueReadBuffer, (object, object, uint32_t, size_t, size_t, void *, uint32_t, const object *, object *))                  \
    F(int, EnqueueNDRangeKernel, (object, object, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const object *, object *)) \
    F(int, Finish, (object)) F(int, ReleaseProgram, (object)) F(int, ReleaseCommandQueue, (object)) F(int, ReleaseContext, (object))

struct peer_opencl {
#define DECLARE(result, name, params) result(*name) params;
    FUNCTIONS(DECLARE)
    object device, context, queue, program, kernel, buffer[PEER_BUFFERS];
    char name[256];
};

static hone_code load(peer_opencl *p, hone_err *e) {
    static const struct { const char *name; size_t at; } table[] = {
#define ENTRY(result, name, params) {"cl" #name, offsetof(peer_opencl, name)},
        FUNCTIONS(ENTRY)
    };
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);   // stays loaded: its runtimes keep threads
    if (!library)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "no OpenCL runtime: %s", dlerror());
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        void *f = dlsym(library, table[i].name);
        if (!f)
            return hone_fail(e, HONE_E_NO_DEVICE, 0, "the OpenCL runtime lacks '%s'", table[i].name);
        memcpy((char *)p + table[i].at, &f, sizeof f);
    }
    return HONE_OK;
}

static hone_code choose_device(peer_opencl *p, hone_err *e) {
    object platforms[MAX_PLATFORMS];
    uint32_t n = 0, found = 0;
    if (p->GetPlatformIDs(MAX_PLATFORMS, platforms, &n))
        n = 0;
    for (uint32_t i = 0; i < n && i < MAX_PLATFORMS; i++)
        if (!p->GetDeviceIDs(platforms[i], DEVICE_TYPE_CPU, 1, &p->device, &found) && found) {
            char version[120] = "", name[120] = "";
            p->GetPlatformInfo(platforms[i], PLATFORM_VERSION, sizeof version, version, NULL);
            p->GetDeviceInfo(p->device, DEVICE_NAME, sizeof name, name, NULL);
            snprintf(p->name, sizeof p->name, "%s, %s", version, name);
            return HONE_OK;
        }
    return hone_fail(e, HONE_E_NO_DEVICE, 0, "no OpenCL platform with a CPU device (%u platforms)", n);
}

static hone_code build(peer_opencl *p, const char *source, hone_err *e) {
    int r = 0;
    if (!(p->context = p->CreateContext(NULL, 1, &p->device, NULL, NULL, &r)) || !(p->queue = p->CreateCommandQueue(p->context, p->device, 0, &r)) ||
        !(p->program = p->CreateProgramWithSource(p->context, 1, &source, NULL, &r)))
        return hone_fail(e, HONE_E_DEVICE, r, "OpenCL gives no context (%d)", r);
    if ((r = p->BuildProgram(p->program, 1, &p->device, "", NULL, NULL))) {
        char log[2048] = "no log";
        p->GetProgramBuildInfo(p->program, p->device, BUILD_LOG, sizeof log, log, NULL);
        return hone_fail(e, HONE_E_DEVICE, r, "OpenCL refuses the kernels (%d): %s", r, log);
    }
    return HONE_OK;
}

hone_code peer_opencl_open(const char *source, peer_opencl **out, hone_err *e) {
    peer_opencl *p = hone_calloc(1, sizeof *p);
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = load(p, e);
    if (c == HONE_OK)
        c = choose_device(p, e);
    if (c == HONE_OK)
        c = build(p, source, e);
    if (c == HONE_OK)
        *out = p;
    else
        hone_free(p);
    return c;
}

const char *peer_opencl_name(const peer_opencl *p) { return p->name; }

static void release(peer_opencl *p) {
    for (int i = 0; i < PEER_BUFFERS; i++)
        if (p->buffer[i])
            p->ReleaseMemObject(p->buffer[i]);
    memset(p->buffer, 0, sizeof p->buffer);
    if (p->kernel)
        p->ReleaseKernel(p->kernel);
    p->kernel = NULL;
}

hone_code peer_opencl_upload(peer_opencl *p, const peer_case *c, hone_err *e) {
    int r = 0;
    release(p);
    p->kernel = p->CreateKernel(p->program, c->kernel, &r);
    for (int i = 0; i < c->n_buffers && !r; i++) {
        p->buffer[i] = p->CreateBuffer(p->context, MEM_READ_WRITE, c->buffer[i].bytes, NULL, &r);
        if (!r)
            r = p->EnqueueWriteBuffer(p->queue, p->buffer[i], 1, 0, c->buffer[i].bytes, c->buffer[i].data, 0, NULL, NULL);
        if (!r)
            r = p->SetKernelArg(p->kernel, (uint32_t)i, sizeof(object), &p->buffer[i]);
    }
    return r ? hone_fail(e, HONE_E_DEVICE, r, "OpenCL cannot prepare '%s' (%d)", c->kernel, r) : HONE_OK;
}

hone_code peer_opencl_run(peer_opencl *p, const peer_case *c, hone_err *e) {
    const size_t local[2] = {c->block[0], c->block[1]}, global[2] = {local[0] * c->grid[0], local[1] * c->grid[1]};
    int r = 0;
    for (int i = 0; i < c->n_launches && !r; i++) {
        for (int k = 0; k < c->n_ints && !r; k++)
            r = p->SetKernelArg(p->kernel, (uint32_t)(c->n_buffers + k), sizeof(int), &c->ints[i][k]);
        if (!r)
            r = p->EnqueueNDRangeKernel(p->queue, p->kernel, 2, NULL, global, local, 0, NULL, NULL);
    }
    if (!r)
        r = p->Finish(p->queue);
    return r ? hone_fail(e, HONE_E_DEVICE, r, "OpenCL cannot run '%s' (%d)", c->kernel, r) : HONE_OK;
}

hone_code peer_opencl_result(peer_opencl *p, const peer_case *c, void *out, hone_err *e) {
    const int last = c->n_buffers - 1;
    const int r = p->EnqueueReadBuffer(p->queue, p->buffer[last], 1, 0, c->buffer[last].bytes, out, 0, NULL, NULL);
    return r ? hone_fail(e, HONE_E_DEVICE, r, "OpenCL cannot read the result of '%s' (%d)", c->kernel, r) : HONE_OK;
}

void peer_opencl_close(peer_opencl *p) {
    if (!p)
        return;
    release(p);
    p->ReleaseProgram(p->program);
    p->ReleaseCommandQueue(p->queue);
    p->ReleaseContext(p->context);
    hone_free(p);
}
