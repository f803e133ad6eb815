// Modules, functions and launches over the driver table. See program.h.
#include "compile/program.h"
#include <stdio.h>
#include <string.h>

enum { MAX_ARGS = 256, JIT_LOG = 4096 };

static hone_code load_module(hone_program *p, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    bool is_virtual = p->device->info.is_virtual;
    char log[JIT_LOG] = "";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    const void *image = is_virtual ? (const void *)p->compiled->ptx : p->compiled->cubin;
    CUresult r = drv->ModuleLoadDataEx(&p->module, image, HONE_COUNT(options), options, values);
    p->jit = r == CUDA_ERROR_NO_BINARY_FOR_GPU && !is_virtual;   // a driver that wants to compile by itself
    if (p->jit)
        r = drv->ModuleLoadDataEx(&p->module, p->compiled->ptx, HONE_COUNT(options), options, values);
    if (r == CUDA_SUCCESS)
        return HONE_OK;
    p->module = NULL;
    log[sizeof log - 1] = 0;
    hone_driver_fail(drv, r, e, "load the module%s%s", *log ? ": " : "", log);
    bool refused = r == CUDA_ERROR_INVALID_PTX || r == CUDA_ERROR_NOT_SUPPORTED || r == CUDA_ERROR_UNSUPPORTED_PTX_VERSION ||
                   r == CUDA_ERROR_NO_BINARY_FOR_GPU;
    if (refused && e)
        e->code = HONE_E_UNSUPPORTED;
    return refused ? HONE_E_UNSUPPORTED : HONE_E_DEVICE;
}

static struct hone_program_kernel *find(hone_program *p, const char *name) {
    for (size_t i = 0; i < p->n_kernels; i++)
        if (strcmp(p->kernels[i].name, name) == 0)
            return &p->kernels[i];
    return NULL;
}

static hone_code add_kernel(hone_program *p, const char *name, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    const hone_kernel_info *info = hone_compiled_kernel(p->compiled, name);
    if (!info)
        return hone_fail(e, HONE_E_PARSE, 0, "the compiled file has no kernel '%s'", name);
    struct hone_program_kernel *k = &p->kernels[p->n_kernels];
    snprintf(k->name, sizeof k->name, "%s", name);
    CUresult r = drv->ModuleGetFunction(&k->f, p->module, info->name);
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "find the kernel '%s'", name);
    p->n_kernels++;
    if (drv->vgpu.SetResources)
        drv->vgpu.SetResources(k->f, info->registers, info->spill_store_bytes, info->spill_load_bytes);
    return HONE_OK;
}

hone_code hone_program_load(hone_device *d, const hone_compiled *k, const hone_plan *plan, hone_program **out, hone_err *e) {
    hone_program *p = hone_calloc(1, sizeof *p);
    if (p)
        p->kernels = hone_calloc(plan->n_launches ? plan->n_launches : 1, sizeof *p->kernels);
    if (!p || !p->kernels) {
        hone_free(p);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a program");
    }
    p->device = d;
    p->compiled = k;
    hone_code c = load_module(p, e);
    for (size_t i = 0; c == HONE_OK && i < plan->n_launches; i++)
        if (!find(p, plan->launches[i].kernel))
            c = add_kernel(p, plan->launches[i].kernel, e);
    if (c != HONE_OK) {
        hone_program_free(p);
        return c;
    }
    *out = p;
    return HONE_OK;
}

void hone_program_free(hone_program *p) {
    if (!p)
        return;
    if (p->module)
        p->device->driver->ModuleUnload(p->module);
    hone_free(p->kernels);
    hone_free(p);
}

// Dynamic shared memory beyond the default limit must be asked for.
static hone_code allow_shared(hone_program *p, struct hone_program_kernel *k, const hone_plan_launch *l, hone_err *e) {
    if ((int)l->smem_bytes <= k->max_dynamic)
        return HONE_OK;
    CUresult r = p->device->driver->FuncSetAttribute(k->f, CU_FUNC_MAX_DYNAMIC_SHARED, (int)l->smem_bytes);
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(p->device->driver, r, e, "give '%s' %u B of dynamic shared memory", l->kernel, l->smem_bytes);
    k->max_dynamic = (int)l->smem_bytes;
    return HONE_OK;
}

static CUresult launch_extended(const hone_driver *drv, CUfunction f, const hone_plan_launch *l, CUstream stream, void **params) {
    CUlaunchAttribute attributes[2];
    memset(attributes, 0, sizeof attributes);
    unsigned n = 0;
    if (l->cluster[0]) {
        attributes[n].id = CU_LAUNCH_CLUSTER_DIMENSION;
        attributes[n].value.clusterDim.x = l->cluster[0];
        attributes[n].value.clusterDim.y = l->cluster[1] ? l->cluster[1] : 1;
        attributes[n++].value.clusterDim.z = l->cluster[2] ? l->cluster[2] : 1;
    }
    if (l->cooperative) {
        attributes[n].id = CU_LAUNCH_COOPERATIVE;
        attributes[n++].value.cooperative = 1;
    }
    CUlaunchConfig c = {.gridDimX = l->grid[0],
                        .gridDimY = l->grid[1],
                        .gridDimZ = l->grid[2],
                        .blockDimX = l->block[0],
                        .blockDimY = l->block[1],
                        .blockDimZ = l->block[2],
                        .sharedMemBytes = l->smem_bytes,
                        .hStream = stream,
                        .attrs = attributes,
                        .numAttrs = n};
    return drv->LaunchKernelEx(&c, f, params, NULL);
}

static hone_code launch_one(hone_program *p, const hone_plan_launch *l, const CUdeviceptr *buffers, CUstream stream, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    struct hone_program_kernel *k = find(p, l->kernel);
    if (!k)
        return hone_fail(e, HONE_E_PARSE, 0, "the loaded program has no kernel '%s'", l->kernel);
    if (l->n_args > MAX_ARGS)
        return hone_fail(e, HONE_E_LIMIT, 0, "kernel '%s' has more than %d arguments", l->kernel, MAX_ARGS);
    HONE_TRY(allow_shared(p, k, l, e));
    CUdeviceptr addresses[MAX_ARGS];
    uint64_t values[MAX_ARGS];
    void *params[MAX_ARGS];
    for (size_t i = 0; i < l->n_args; i++) {
        const hone_plan_arg *a = &l->args[i];
        if (a->buffer >= 0)
            addresses[i] = buffers[a->buffer];
        else
            memcpy(&values[i], a->value, sizeof values[i]);
        params[i] = a->buffer >= 0 ? (void *)&addresses[i] : (void *)&values[i];
    }
    CUresult r;
    if (l->cooperative || l->cluster[0] > 1 || l->cluster[1] > 1 || l->cluster[2] > 1) {
        if (!drv->LaunchKernelEx)
            return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the driver has no extended launch, which '%s' needs", l->kernel);
        r = launch_extended(drv, k->f, l, stream, params);
    } else {
        r = drv->LaunchKernel(k->f, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->smem_bytes, stream,
                              params, NULL);
    }
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "launch '%s' <<<(%u,%u,%u), (%u,%u,%u), %u>>>", l->kernel, l->grid[0], l->grid[1], l->grid[2],
                                l->block[0], l->block[1], l->block[2], l->smem_bytes);
    return HONE_OK;
}

hone_code hone_program_launch(hone_program *p, const hone_plan *plan, const CUdeviceptr *buffers, CUstream stream,
                              const hone_launch_hook *hook, hone_err *e) {
    for (size_t i = 0; i < plan->n_launches; i++) {
        HONE_TRY(launch_one(p, &plan->launches[i], buffers, stream, e));
        if (hook)
            HONE_TRY(hook->after(hook->self, i, e));
    }
    return HONE_OK;
}
