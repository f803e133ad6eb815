// Libraries: code that belongs to no context. cuLibraryLoadData checks the PTX at once (in a context of its own, never run); a kernel becomes a function
// of a context, and its library a module there, when it is first used there. A CUkernel may be passed wherever a CUfunction may.
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <string.h>

struct CUkern_st {
    struct CUlib_st *library;
    const char *name;                    // in the library's own module
    struct { int attribute, value; } set[8];   // by cuKernelSetAttribute: for contexts to come
    unsigned n_set;
    struct CUkern_st *next;
};
struct CUlib_st {
    char *text;
    size_t len;
    vg_context *context;                 // the checking one
    vg_module *module;                   // in it: names, parameters
    struct CUkern_st *kernels;
    HONE_VEC(CUmodule) loaded;           // one per context that used it
    struct CUlib_st *next;
};
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUlib_st *libraries;

CUresult cuFuncSetAttribute(CUfunction f, int attribute, int value);
CUresult cuFuncGetName(const char **name, CUfunction f);
CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t *offset, size_t *bytes);
CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule m, const char *name);

// ---- into contexts

static struct CUmod_st *module_in(struct CUctx_st *c, struct CUlib_st *l) {   // c locked
    pthread_mutex_lock(&library_lock);
    struct CUmod_st *m = NULL;
    for (size_t i = 0; i < l->loaded.n && !m; i++)
        m = l->loaded.v[i]->context == c ? l->loaded.v[i] : NULL;
    if (!m) {
        hone_err e = {0};
        m = vg_module_new(c, l->text, l->len, &e);
        if (m && !hone_vec_push(&l->loaded, m)) {
            vg_module_drop(c, m);
            m = NULL;
        }
        if (m)
            m->of_library = true;
    }
    pthread_mutex_unlock(&library_lock);
    return m;
}

static void apply(const struct CUkern_st *k, struct CUfunc_st *f) {
    for (unsigned i = 0; i < k->n_set; i++)
        cuFuncSetAttribute(f, k->set[i].attribute, k->set[i].value);
}

struct CUfunc_st *vg_function_in(struct CUctx_st *c, CUfunction f) {
    if (vg_is_function(f))
        return f->module->context == c ? f : NULL;
    struct CUkern_st *k = (struct CUkern_st *)(void *)f;
    if (!vg_handle_is(k, VG_KERNEL))
        return NULL;
    struct CUmod_st *m = module_in(c, k->library);
    bool fresh = m && !m->functions;
    struct CUfunc_st *made = m ? vg_module_function(m, k->name) : NULL;
    if (made && (fresh || !made->kernel_attributes_set)) {
        made->kernel_attributes_set = true;
        apply(k, made);
    }
    return made;
}

struct CUfunc_st *vg_function_here(CUfunction f) {
    struct CUctx_st *c;
    if (vg_is_function(f))
        return f;
    if (!vg_handle_is(f, VG_KERNEL) || vg_front_enter(&c) != CUDA_SUCCESS)
        return NULL;
    f = vg_function_in(c, f);
    vg_front_leave(c, CUDA_SUCCESS);
    return f;
}

void vg_libraries_context_gone(struct CUctx_st *c) {
    pthread_mutex_lock(&library_lock);
    for (struct CUlib_st *l = libraries; l; l = l->next)
        for (size_t i = 0; i < l->loaded.n; i++)
            if (l->loaded.v[i]->context == c)
                l->loaded.v[i--] = l->loaded.v[--l->loaded.n];
    pthread_mutex_unlock(&library_lock);
}

// ---- loading

static void library_free(struct CUlib_st *l) {
    while (l->kernels) {
        struct CUkern_st *k = l->kernels;
        l->kernels = k->next;
        vg_handle_drop(k);
        hone_free(k);
    }
    vg_module_free(l->module);
    vg_context_free(l->context);
    hone_vec_free(&l->loaded);
    hone_free(l->text);
    hone_free(l);
}

static bool add_kernel(struct CUlib_st *l, const char *name) {
    struct CUkern_st *k = hone_calloc(1, sizeof *k);
    if (!k || !vg_handle_add(k, VG_KERNEL)) {
        hone_free(k);
        return false;
    }
    k->library = l;
    k->name = name;
    k->next = l->kernels;
    l->kernels = k;
    return true;
}

static CUresult check_text(struct CUlib_st *l, hone_err *e) {
    const vg_device *d = vg_front_device();
    if (vg_context_new(d, (size_t)vg_dev(d, VG_DEV_MEM_BYTES), &l->context, e) != HONE_OK || vg_module_load(l->context, l->text, l->len, &l->module, e) != HONE_OK)
        return vg_front_result(e);
    const ptx_module *m = l->module->ptx;
    for (size_t i = m->n_funcs; i-- > 0;)   // so that the list is in the order of the text
        if (m->funcs[i]->is_entry && !add_kernel(l, m->funcs[i]->name))
            return CUDA_ERROR_OUT_OF_MEMORY;
    return CUDA_SUCCESS;
}

static CUresult make(CUlibrary *out, const void *image, hone_err *e) {
    const char *text = NULL;
    char *owned = NULL;
    size_t len = 0;
    struct CUlib_st *l = hone_calloc(1, sizeof *l);
    CUresult r = l ? vg_text_of(image, &text, &len, &owned, e) : CUDA_ERROR_OUT_OF_MEMORY;
    if (r == CUDA_SUCCESS && !(l->text = owned ? owned : hone_strndup(text, len)))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r == CUDA_SUCCESS) {
        l->len = len;
        r = check_text(l, e);
    }
    if (r == CUDA_SUCCESS && !vg_handle_add(l, VG_LIBRARY))
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r != CUDA_SUCCESS) {
        if (l)
            library_free(l);
        return r;
    }
    pthread_mutex_lock(&library_lock);
    l->next = libraries;
    libraries = l;
    pthread_mutex_unlock(&library_lock);
    *out = l;
    return CUDA_SUCCESS;
}

VG_API CUresult cuLibraryLoadData(CUlibrary *out, const void *image, int *jit, void **jit_values, unsigned n_jit, int *options, void **values, unsigned n) {
    enum { UNIVERSAL_TABLE = 0, BINARY_IS_PRESERVED = 1 };
    hone_err e = {0};
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || !image || (n_jit && (!jit || !jit_values)) || (n && !options))
        return CUDA_ERROR_INVALID_VALUE;
    (void)values;
    for (unsigned i = 0; i < n; i++)
        if (options[i] != BINARY_IS_PRESERVED)
            return options[i] == UNIVERSAL_TABLE ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    CUresult r = make(out, image, &e);
    vg_write_jit_logs(n_jit, jit, jit_values, e.msg, e.hint);
    return r;
}

VG_API CUresult cuLibraryLoadFromFile(CUlibrary *out, const char *path, int *jit, void **jit_values, unsigned n_jit, int *options, void **values, unsigned n) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || !path)
        return CUDA_ERROR_INVALID_VALUE;
    char *text;
    size_t len;
    hone_err e = {0};
    if (hone_read_file(path, (size_t)256 << 20, &text, &len, &e) != HONE_OK)
        return e.code == HONE_E_IO ? CUDA_ERROR_FILE_NOT_FOUND : vg_front_result(&e);
    CUresult r = len ? cuLibraryLoadData(out, text, jit, jit_values, n_jit, options, values, n) : CUDA_ERROR_INVALID_IMAGE;
    hone_free(text);
    return r;
}

VG_API CUresult cuLibraryUnload(CUlibrary l) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LIBRARY))
        return CUDA_ERROR_INVALID_HANDLE;
    vg_handle_drop(l);
    pthread_mutex_lock(&library_lock);
    struct CUlib_st **p = &libraries;
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    pthread_mutex_unlock(&library_lock);
    for (size_t i = 0; i < l->loaded.n; i++) {
        struct CUctx_st *c = l->loaded.v[i]->context;
        pthread_mutex_lock(&c->lock);
        vg_module_drop(c, l->loaded.v[i]);
        pthread_mutex_unlock(&c->lock);
    }
    library_free(l);
    return CUDA_SUCCESS;
}

// ---- what is in a library

static CUresult check(const void *out, CUlibrary l) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    return !out ? CUDA_ERROR_INVALID_VALUE : vg_handle_is(l, VG_LIBRARY) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
VG_API CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary l, const char *name) {
    CUresult r = check(name ? out : NULL, l);
    if (r != CUDA_SUCCESS)
        return r;
    for (struct CUkern_st *k = l->kernels; k; k = k->next)
        if (strcmp(k->name, name) == 0)
            return *out = k, CUDA_SUCCESS;
    return CUDA_ERROR_NOT_FOUND;
}
VG_API CUresult cuLibraryGetKernelCount(unsigned *n, CUlibrary l) {
    CUresult r = check(n, l);
    if (r == CUDA_SUCCESS) {
        *n = 0;
        for (struct CUkern_st *k = l->kernels; k; k = k->next)
            ++*n;
    }
    return r;
}
VG_API CUresult cuLibraryEnumerateKernels(CUkernel *out, unsigned cap, CUlibrary l) {
    CUresult r = check(out, l);
    unsigned i = 0;
    for (struct CUkern_st *k = r == CUDA_SUCCESS ? l->kernels : NULL; k && i < cap; k = k->next)
        out[i++] = k;
    return r;
}
VG_API CUresult cuLibraryGetModule(CUmodule *out, CUlibrary l) {
    struct CUctx_st *c;
    CUresult r = check(out, l);
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&c)) != CUDA_SUCCESS)
        return r;
    *out = module_in(c, l);
    return vg_front_leave(c, *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}
VG_API CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary l, const char *name) {
    CUmodule m;
    CUresult r = name ? cuLibraryGetModule(&m, l) : CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? cuModuleGetGlobal_v2(address, bytes, m, name) : r;
}
VG_API CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *bytes, CUlibrary l, const char *name) {
    CUresult r = check(name, l);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_symbol *s = vg_module_symbol(l->module, name);
    return s && s->var->is_managed ? cuLibraryGetGlobal(address, bytes, l, name) : CUDA_ERROR_NOT_FOUND;
}

// ---- kernels

static CUresult check_kernel(const void *out, CUkernel k) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    return !out ? CUDA_ERROR_INVALID_VALUE : vg_handle_is(k, VG_KERNEL) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
VG_API CUresult cuKernelGetFunction(CUfunction *out, CUkernel k) {
    struct CUctx_st *c;
    CUresult r = check_kernel(out, k);
    if (r != CUDA_SUCCESS || (r = vg_front_enter(&c)) != CUDA_SUCCESS)
        return r;
    *out = vg_function_in(c, (CUfunction)(void *)k);
    return vg_front_leave(c, *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}
VG_API CUresult cuKernelGetLibrary(CUlibrary *out, CUkernel k) {
    CUresult r = check_kernel(out, k);
    return r == CUDA_SUCCESS ? (*out = k->library, r) : r;
}
VG_API CUresult cuKernelGetName(const char **name, CUkernel k) {
    CUresult r = check_kernel(name, k);
    return r == CUDA_SUCCESS ? (*name = k->name, r) : r;
}
VG_API CUresult cuKernelGetParamInfo(CUkernel k, size_t index, size_t *offset, size_t *bytes) {
    CUresult r = check_kernel(offset, k);
    if (r != CUDA_SUCCESS)
        return r;
    const ptx_func *f = vg_program_find(k->library->module->program, k->name)->func;
    if (index >= f->n_params)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = f->param_offsets[index];
    if (bytes)
        *bytes = f->params[index]->bytes;
    return CUDA_SUCCESS;
}
VG_API CUresult cuKernelGetAttribute(int *value, int attribute, CUkernel k, CUdevice d) {
    CUresult r = check_kernel(value, k);
    if (r == CUDA_SUCCESS && d != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    return r == CUDA_SUCCESS ? cuFuncGetAttribute(value, attribute, (CUfunction)(void *)k) : r;
}
VG_API CUresult cuKernelSetAttribute(int attribute, int value, CUkernel k, CUdevice d) {
    CUresult r = check_kernel(&value, k);
    if (r == CUDA_SUCCESS && d != 0)
        r = CUDA_ERROR_INVALID_DEVICE;
    if (r != CUDA_SUCCESS)
        return r;
    CUfunction f = vg_function_here((CUfunction)(void *)k);   // checks the value; needs a context
    if (!f)
        return CUDA_ERROR_INVALID_CONTEXT;
    r = cuFuncSetAttribute(f, attribute, value);
    unsigned i = 0;
    while (i < k->n_set && k->set[i].attribute != attribute)
        i++;
    if (r == CUDA_SUCCESS && i < HONE_COUNT(k->set)) {
        k->set[i].attribute = attribute;
        k->set[i].value = value;
        k->n_set = i == k->n_set ? i + 1 : k->n_set;
    }
    return r;
}
VG_API CUresult cuKernelSetCacheConfig(CUkernel k, int config, CUdevice d) {
    if (d != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return config < 0 || config > 3 ? CUDA_ERROR_INVALID_VALUE : check_kernel(&d, k);
}
