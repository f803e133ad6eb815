// Modules and functions: PTX text in, functions and variables by name out. A fat binary is searched for its PTX (fatbin.c); machine code (cubin) is
// refused: the virtual GPU executes PTX.
#include "vgpu/driver/fatbin.h"
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <string.h>

#define IMAGE_MAX ((size_t)256 << 20)
enum { STATIC_SHARED_LIMIT = 48 * 1024 };

// ---- JIT options that a caller can observe: logs

typedef struct jit_logs { char *info, *error; size_t info_bytes, error_bytes; void **info_size, **error_size; } jit_logs;

static jit_logs read_options(unsigned n, const int *options, void **values) {
    jit_logs j = {0};
    for (unsigned i = 0; options && values && i < n; i++)
        switch (options[i]) {
        case CU_JIT_INFO_LOG: j.info = values[i]; break;
        case CU_JIT_ERROR_LOG: j.error = values[i]; break;
        case CU_JIT_INFO_LOG_BYTES: j.info_bytes = (size_t)(uintptr_t)values[i]; j.info_size = &values[i]; break;
        case CU_JIT_ERROR_LOG_BYTES: j.error_bytes = (size_t)(uintptr_t)values[i]; j.error_size = &values[i]; break;
        default: break;
        }
    j.info_bytes &= 0xffffffffu;   // an unsigned int passed in a pointer
    j.error_bytes &= 0xffffffffu;
    return j;
}

static void write_log(char *log, size_t cap, void **size, const char *text) {
    size_t n = log && cap ? strlen(text) : 0;
    if (n && n >= cap)
        n = cap - 1;
    if (log && cap) {
        memcpy(log, text, n);
        log[n] = 0;
    }
    if (size)
        *size = (void *)(uintptr_t)(n ? n + 1 : 0);
}

void vg_write_jit_logs(unsigned n, const int *options, void **values, const char *message, const char *hint) {
    jit_logs j = read_options(n, options, values);
    char log[2048];
    snprintf(log, sizeof log, "%s%s%s", message, hint[0] ? "\n" : "", hint);
    write_log(j.info, j.info_bytes, j.info_size, "");
    write_log(j.error, j.error_bytes, j.error_size, log);
}

// ---- loading

// The PTX text of an image. *owned is what to free afterwards, NULL when the text is the image itself.
CUresult vg_text_of(const void *image, const char **text, size_t *len, char **owned, hone_err *e) {
    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    switch (vg_image_kind_of(image)) {
    case VG_IMAGE_ELF:
        hone_fail(e, HONE_E_UNSUPPORTED, 0, "the virtual GPU loads PTX text or a fat binary with PTX, not machine code");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case VG_IMAGE_FATBIN: case VG_IMAGE_WRAPPER: {
        hone_code code = vg_fatbin_ptx(image, vg_compute_capability(), owned, len, e);
        *text = *owned;
        return code == HONE_OK ? CUDA_SUCCESS : code == HONE_E_NOMEM ? CUDA_ERROR_OUT_OF_MEMORY : code == HONE_E_UNSUPPORTED ? CUDA_ERROR_NO_BINARY_FOR_GPU
                                                                                                                             : CUDA_ERROR_INVALID_IMAGE;
    }
    default:
        *text = image;
        *len = strnlen(image, IMAGE_MAX + 1);
        return *len > IMAGE_MAX ? CUDA_ERROR_INVALID_IMAGE : CUDA_SUCCESS;
    }
}

struct CUmod_st *vg_module_new(struct CUctx_st *c, const char *text, size_t len, hone_err *e) {
    struct CUmod_st *m = hone_calloc(1, sizeof *m);
    if (!m) {
        hone_fail(e, HONE_E_NOMEM, 0, "cannot load a module: out of memory");
        return NULL;
    }
    if (vg_module_load(c->vg, text, len, &m->vg, e) != HONE_OK) {
        hone_free(m);
        return NULL;
    }
    if (!vg_handle_add(m, VG_MODULE)) {
        vg_module_free(m->vg);
        hone_free(m);
        hone_fail(e, HONE_E_NOMEM, 0, "cannot load a module: out of memory");
        return NULL;
    }
    m->context = c;
    m->next = c->modules;
    c->modules = m;
    return m;
}

VG_API CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned n, int *options, void **values) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const char *text = NULL;
    char *owned = NULL;
    size_t len = 0;
    hone_err e = {0};
    r = out && (!n || (options && values)) ? vg_text_of(image, &text, &len, &owned, &e) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS) {
        *out = vg_module_new(c, text, len, &e);
        r = vg_front_result(&e);
    }
    if (r != CUDA_ERROR_INVALID_VALUE)
        vg_write_jit_logs(n, options, values, e.msg, e.hint);
    hone_free(owned);
    return vg_front_leave(c, r);
}

VG_API CUresult cuModuleLoadData(CUmodule *out, const void *image) { return cuModuleLoadDataEx(out, image, 0, NULL, NULL); }
VG_API CUresult cuModuleLoadFatBinary(CUmodule *out, const void *image) { return cuModuleLoadData(out, image); }

VG_API CUresult cuModuleLoad(CUmodule *out, const char *path) {
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    char *text;
    size_t len;
    hone_err e = {0};
    if (hone_read_file(path, IMAGE_MAX, &text, &len, &e) != HONE_OK)
        return e.code == HONE_E_IO ? CUDA_ERROR_FILE_NOT_FOUND : vg_front_result(&e);
    CUresult r = cuModuleLoadData(out, text);
    hone_free(text);
    return r;
}

static void module_free(struct CUmod_st *m) {
    while (m->functions) {
        struct CUfunc_st *f = m->functions;
        m->functions = f->next;
        vg_handle_drop(f);
        hone_free(f);
    }
    vg_module_free(m->vg);
    vg_handle_drop(m);
    hone_free(m);
}

void vg_module_drop(struct CUctx_st *c, struct CUmod_st *m) {
    for (struct CUmod_st **p = &c->modules; *p; p = &(*p)->next)
        if (*p == m) {
            *p = m->next;
            module_free(m);
            return;
        }
}

void vg_modules_free_all(struct CUctx_st *c) {
    while (c->modules) {
        struct CUmod_st *m = c->modules;
        c->modules = m->next;
        module_free(m);
    }
}

static bool is_module(struct CUctx_st *c, const struct CUmod_st *m) { return vg_handle_is(m, VG_MODULE) && m->context == c; }

VG_API CUresult cuModuleUnload(CUmodule m) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!is_module(c, m) || m->of_library)
        return vg_front_leave(c, is_module(c, m) ? CUDA_ERROR_NOT_PERMITTED : CUDA_ERROR_INVALID_HANDLE);
    r = vg_work_drain(c, NULL);
    vg_module_drop(c, m);
    return vg_front_leave(c, r);
}

VG_API CUresult cuModuleGetLoadingMode(int *mode) { return mode ? (*mode = 1, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE; }

// ---- functions

static struct CUfunc_st *function_of(struct CUmod_st *m, const vg_code *code) {
    for (struct CUfunc_st *f = m->functions; f; f = f->next)
        if (f->code == code)
            return f;
    struct CUfunc_st *f = hone_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    if (!vg_handle_add(f, VG_FUNCTION)) {
        hone_free(f);
        return NULL;
    }
    f->module = m;
    f->code = code;
    f->max_dynamic_shared = code->shared_bytes < STATIC_SHARED_LIMIT ? STATIC_SHARED_LIMIT - (uint32_t)code->shared_bytes : 0;
    f->carveout = -1;
    f->next = m->functions;
    m->functions = f;
    return f;
}

struct CUfunc_st *vg_module_function(struct CUmod_st *m, const char *name) {
    const vg_code *code = vg_program_find(m->vg->program, name);
    return code && code->func->is_entry ? function_of(m, code) : NULL;
}

VG_API CUresult cuModuleGetFunction(CUfunction *out, CUmodule m, const char *name) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || !name)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (!is_module(c, m))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    const vg_code *code = vg_program_find(m->vg->program, name);
    if (!code || !code->func->is_entry)
        return vg_front_leave(c, CUDA_ERROR_NOT_FOUND);
    *out = function_of(m, code);
    return vg_front_leave(c, *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

static size_t count_entries(const struct CUmod_st *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->vg->ptx->n_funcs; i++)
        n += m->vg->ptx->funcs[i]->is_entry;
    return n;
}

VG_API CUresult cuModuleGetFunctionCount(unsigned *n, CUmodule m) {
    if (!n || !vg_handle_is(m, VG_MODULE))
        return n ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    *n = (unsigned)count_entries(m);
    return CUDA_SUCCESS;
}

VG_API CUresult cuModuleEnumerateFunctions(CUfunction *out, unsigned cap, CUmodule m) {
    if (!out || !vg_handle_is(m, VG_MODULE))
        return out ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    unsigned n = 0;
    for (size_t i = 0; i < m->vg->ptx->n_funcs && n < cap; i++)
        if (m->vg->ptx->funcs[i]->is_entry) {
            CUresult r = cuModuleGetFunction(&out[n++], m, m->vg->ptx->funcs[i]->name);
            if (r != CUDA_SUCCESS)
                return r;
        }
    return CUDA_SUCCESS;
}

VG_API CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule m, const char *name) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!name)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (!is_module(c, m))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    const vg_symbol *s = vg_module_symbol(m->vg, name);
    if (!s || !s->alloc)
        return vg_front_leave(c, CUDA_ERROR_NOT_FOUND);
    if (address)
        *address = s->alloc->base;
    if (bytes)
        *bytes = s->alloc->bytes;
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuModuleGetGlobal(CUdeviceptr *address, size_t *bytes, CUmodule m, const char *name) {
    return cuModuleGetGlobal_v2(address, bytes, m, name);
}

bool vg_is_function(const struct CUfunc_st *f) { return vg_handle_is(f, VG_FUNCTION); }

uint32_t vg_registers_of(const struct CUfunc_st *f) { return f->resources.registers ? f->resources.registers : f->code->registers_estimate; }

// The most threads a block of this function may have: the device's limit, the function's bound, what the registers allow.
static int max_threads_of(const struct CUfunc_st *f) {
    const uint32_t *bound = f->code->func->maxntid[0] ? f->code->func->maxntid : f->code->func->reqntid;
    uint32_t most = 1024, registers = vg_registers_of(f);
    if (bound[0]) {
        uint32_t product = bound[0] * (bound[1] ? bound[1] : 1) * (bound[2] ? bound[2] : 1);
        most = product < most ? product : most;
    }
    uint32_t fit = registers ? 65536 / ((registers + 7) / 8 * 8) / 128 * 128 : most;   // allocated to 4 warps at a time
    return (int)(fit < most && !bound[0] ? fit : most);
}

VG_API CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction f) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    const ptx_module *m = f->module->vg->ptx;
    const uint32_t *cluster = f->code->func->cluster_dim;
    switch (attribute) {
    case CU_FUNC_MAX_THREADS_PER_BLOCK: *value = max_threads_of(f); break;
    case CU_FUNC_SHARED_BYTES: *value = (int)f->code->shared_bytes; break;
    case CU_FUNC_CONST_BYTES: {
        size_t bytes = 0;
        for (size_t i = 0; i < m->n_vars; i++)
            bytes += m->vars[i]->space == PTX_CONST ? m->vars[i]->bytes : 0;
        *value = (int)bytes;
        break;
    }
    case CU_FUNC_LOCAL_BYTES: *value = (int)f->code->local_bytes; break;
    case CU_FUNC_REGISTERS: *value = (int)vg_registers_of(f); break;
    case CU_FUNC_PTX_VERSION: *value = (int)m->sm; break;
    case CU_FUNC_BINARY_VERSION:
        *value = (int)vg_compute_capability();
        break;
    case CU_FUNC_CACHE_MODE_CA: *value = 0; break;
    case CU_FUNC_MAX_DYNAMIC_SHARED: *value = (int)f->max_dynamic_shared; break;
    case CU_FUNC_CARVEOUT: *value = f->carveout; break;
    case CU_FUNC_CLUSTER_MUST_BE_SET: case CU_FUNC_CLUSTER_SCHEDULING: *value = 0; break;
    case CU_FUNC_CLUSTER_WIDTH: case CU_FUNC_CLUSTER_HEIGHT: case CU_FUNC_CLUSTER_DEPTH: *value = (int)cluster[attribute - CU_FUNC_CLUSTER_WIDTH]; break;
    case CU_FUNC_NON_PORTABLE_CLUSTER: *value = f->non_portable_cluster; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

VG_API CUresult cuFuncSetAttribute(CUfunction f, int attribute, int value) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    size_t most = (size_t)vg_dev(vg_front_device(), VG_DEV_SHARED_PER_BLOCK);
    switch (attribute) {
    case CU_FUNC_MAX_DYNAMIC_SHARED:
        if (value < 0 || (size_t)value + f->code->shared_bytes > most)
            return CUDA_ERROR_INVALID_VALUE;
        f->max_dynamic_shared = (uint32_t)value;
        return CUDA_SUCCESS;
    case CU_FUNC_CARVEOUT:
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        f->carveout = value;
        return CUDA_SUCCESS;
    case CU_FUNC_NON_PORTABLE_CLUSTER:
        f->non_portable_cluster = value != 0;
        return CUDA_SUCCESS;
    case CU_FUNC_CLUSTER_SCHEDULING: return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

VG_API CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t *offset, size_t *bytes) {
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!offset || index >= f->code->func->n_params)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = f->code->func->param_offsets[index];
    if (bytes)
        *bytes = f->code->func->params[index]->bytes;
    return CUDA_SUCCESS;
}

VG_API CUresult cuFuncGetName(const char **name, CUfunction f) {
    f = vg_function_here(f);
    if (!name || !f)
        return name ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    *name = f->code->func->name;
    return CUDA_SUCCESS;
}

VG_API CUresult cuFuncGetModule(CUmodule *m, CUfunction f) {
    f = vg_function_here(f);
    if (!m || !f)
        return m ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    *m = f->module;
    return CUDA_SUCCESS;
}

VG_API CUresult cuFuncSetCacheConfig(CUfunction f, int config) { (void)config; return vg_function_here(f) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
VG_API CUresult cuFuncSetSharedMemConfig(CUfunction f, int config) { (void)config; return vg_function_here(f) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
VG_API CUresult cuFuncLoad(CUfunction f) { return vg_function_here(f) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
VG_API CUresult cuFuncIsLoaded(int *state, CUfunction f) {
    if (!state || !vg_function_here(f))
        return state ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    *state = 1;
    return CUDA_SUCCESS;
}
