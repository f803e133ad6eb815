// hone's side of the comparison: compiles the kernels with NVRTC and runs them on libhonegpu.so through the driver API.
#include "gpu/device.h"
#include "gpu/toolkit.h"
#include "peers.h"
#include <string.h>

struct peer_cuda {
    hone_device *device;
    CUmodule module;
    CUfunction function;
    CUdeviceptr at[PEER_BUFFERS];
};

static hone_code fail_compile(const hone_nvrtc *n, hone_nvrtc_program program, hone_err *e) {
    char log[2048] = "no log";
    size_t bytes = 0;
    if (!n->GetProgramLogSize(program, &bytes) && bytes <= sizeof log)
        n->GetProgramLog(program, log);
    return hone_fail(e, HONE_E_DEVICE, 0, "NVRTC refuses the kernels: %s", log);
}

static hone_code load_module(peer_cuda *p, const hone_nvrtc *n, hone_nvrtc_program program, hone_err *e) {
    size_t bytes = 0;
    const hone_driver *d = p->device->driver;
    if (n->GetPTXSize(program, &bytes))
        return hone_fail(e, HONE_E_DEVICE, 0, "NVRTC has no PTX");
    char *ptx = hone_calloc(bytes, 1);
    if (!ptx)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for PTX");
    n->GetPTX(program, ptx);
    const CUresult r = d->ModuleLoadDataEx(&p->module, ptx, 0, NULL, NULL);
    hone_free(ptx);
    return r ? hone_driver_fail(d, r, e, "load the kernels") : HONE_OK;
}

static hone_code compile(peer_cuda *p, const char *source, hone_err *e) {
    hone_toolkit t;
    hone_nvrtc *n = NULL;
    hone_nvrtc_program program = NULL;
    hone_code c = hone_toolkit_find(&t, e);
    if (c != HONE_OK || (c = hone_nvrtc_load(&t, &n, e)) != HONE_OK)
        return c;
    if (n->CreateProgram(&program, source, "kernels.cu", 0, NULL, NULL))
        c = hone_fail(e, HONE_E_DEVICE, 0, "NVRTC takes no program");
    else if (n->CompileProgram(program, 2, (const char *[]){"--gpu-architecture=compute_90", "--generate-line-info"}))
        c = fail_compile(n, program, e);
    else
        c = load_module(p, n, program, e);
    if (program)
        n->DestroyProgram(&program);
    hone_nvrtc_free(n);
    return c;
}

hone_code peer_cuda_open(const char *source, peer_cuda **out, hone_err *e) {
    peer_cuda *p = hone_calloc(1, sizeof *p);
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    *out = p;
    const hone_code c = hone_device_open("virtual:h200", &p->device, e);
    return c == HONE_OK ? compile(p, source, e) : c;
}

hone_code peer_cuda_set(peer_cuda *p, uint32_t flags, hone_err *e) {
    const CUresult r = p->device->driver->vgpu.SetOptions(&(honeVgpuOptions){.size = sizeof(honeVgpuOptions), .flags = flags});
    return r ? hone_driver_fail(p->device->driver, r, e, "set the virtual GPU's options") : HONE_OK;
}

static void release(peer_cuda *p) {
    for (int i = 0; i < PEER_BUFFERS; i++)
        if (p->at[i])
            p->device->driver->MemFree(p->at[i]);
    memset(p->at, 0, sizeof p->at);
}

hone_code peer_cuda_upload(peer_cuda *p, const peer_case *c, hone_err *e) {
    const hone_driver *d = p->device->driver;
    release(p);
    CUresult r = d->ModuleGetFunction(&p->function, p->module, c->kernel);
    for (int i = 0; i < c->n_buffers && !r; i++)
        if (!(r = d->MemAlloc(&p->at[i], c->buffer[i].bytes)))
            r = d->MemcpyHtoD(p->at[i], c->buffer[i].data, c->buffer[i].bytes);
    return r ? hone_driver_fail(d, r, e, "prepare '%s'", c->kernel) : HONE_OK;
}

static CUresult launch(peer_cuda *p, const peer_case *c, int at) {
    void *params[PEER_BUFFERS + PEER_INTS];
    for (int i = 0; i < c->n_buffers; i++)
        params[i] = &p->at[i];
    for (int i = 0; i < c->n_ints; i++)
        params[c->n_buffers + i] = &c->ints[at][i];
    return p->device->driver->LaunchKernel(p->function, c->grid[0], c->grid[1], 1, c->block[0], c->block[1], 1, 0, NULL, params, NULL);
}

hone_code peer_cuda_run(peer_cuda *p, const peer_case *c, hone_err *e) {
    CUresult r = CUDA_SUCCESS;
    for (int i = 0; i < c->n_launches && !r; i++)
        r = launch(p, c, i);
    if (!r)
        r = p->device->driver->CtxSynchronize();
    return r ? hone_driver_fail(p->device->driver, r, e, "run '%s'", c->kernel) : HONE_OK;
}

hone_code peer_cuda_count(peer_cuda *p, const peer_case *c, double *warp_insts, hone_err *e) {
    const hone_driver *d = p->device->driver;
    CUresult r = CUDA_SUCCESS;
    if (peer_cuda_set(p, HONE_VGPU_COUNT, e) != HONE_OK || peer_cuda_upload(p, c, e) != HONE_OK)
        return e->code;
    *warp_insts = 0;
    for (int i = 0; i < c->n_launches && !r; i++) {   // the library keeps the newest launches only: each is taken at once
        honeVgpuLaunch taken;
        uint32_t n = 0;
        if ((r = launch(p, c, i)) || (r = d->CtxSynchronize()) || (r = d->vgpu.TakeLaunches(&taken, 1, &n)))
            break;
        if (!n)
            return hone_fail(e, HONE_E_DEVICE, 0, "the launch of '%s' was not counted", c->kernel);
        *warp_insts += taken.counters.warp_insts;
    }
    return r ? hone_driver_fail(d, r, e, "count '%s'", c->kernel) : HONE_OK;
}

hone_code peer_cuda_result(peer_cuda *p, const peer_case *c, void *out, hone_err *e) {
    const int last = c->n_buffers - 1;
    const CUresult r = p->device->driver->MemcpyDtoH(out, p->at[last], c->buffer[last].bytes);
    return r ? hone_driver_fail(p->device->driver, r, e, "read the result of '%s'", c->kernel) : HONE_OK;
}

uint32_t peer_cuda_findings(peer_cuda *p) {
    uint32_t n = 0;
    p->device->driver->vgpu.TakeFindings(NULL, 0, &n);
    return n;
}

void peer_cuda_close(peer_cuda *p) {
    if (!p)
        return;
    if (p->device) {
        release(p);
        hone_device_close(p->device);
    }
    hone_free(p);
}
