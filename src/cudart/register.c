// Fat binaries that programs register before main: each becomes one module of the current context when something in it is first used. nvcc's host code
// calls, per translation unit: __cudaRegisterFatBinary, then RegisterFunction and RegisterVar for each kernel and variable, RegisterFatBinaryEnd; at exit
// __cudaUnregisterFatBinary. A program linked with -rdc=true registers one binary whose wrapper lists the units' own binaries: their PTX is linked here.
#include "cudart/internal.h"
#include "ptx/fatbin.h"
#include "ptx/link.h"
#include <stdio.h>
#include <string.h>

enum { WRAPPER_MAGIC = 0x466243b1, WRAPPER_OF_UNITS = 2, UNITS_MAX = 4096, LOG_BYTES = 4096 };
#define FATBIN_MAX ((size_t)1 << 32)

typedef struct wrapper {   // source: fatbinary_section.h of the toolkit
    int magic, version;
    const void *data;
    void *units;           // version 2: const void *[], NULL at the end
} wrapper;
typedef struct load { CUcontext context; unsigned epoch; CUmodule module; cudaError_t error; struct load *next; } load;
struct rt_binary { const wrapper *w; load *loads; };

pthread_mutex_t rt_lock = PTHREAD_MUTEX_INITIALIZER;

static void complain(const hone_err *e) {
    rt_say("%s", e->msg);
    if (e->hint[0])
        rt_say("hint: %s", e->hint);
}

// ---- the PTX of a binary

static unsigned compute_capability(void) {
    enum { CC_MAJOR = 75, CC_MINOR = 76 };
    int major = 0, minor = 0;
    CUdevice d = 0;
    RT_CU(cuCtxGetDevice, &d);
    RT_CU(cuDeviceGetAttribute, &major, CC_MAJOR, d);
    RT_CU(cuDeviceGetAttribute, &minor, CC_MINOR, d);
    return (unsigned)(10 * major + minor);
}

static hone_code text_of(const void *image, unsigned cc, char **text, size_t *len, hone_err *e) {
    ptx_fat_entry x;
    size_t bytes;
    HONE_TRY(ptx_fatbin_bytes(image, FATBIN_MAX, &bytes, e));
    HONE_TRY(ptx_fatbin_choose(image, bytes, cc, &x, e));
    return ptx_fatbin_text(&x, text, len, e);
}

// The texts of all units linked. A unit without PTX (the toolkit's device runtime) is left out: what is missing then is found as undefined.
static hone_code link_units(const void *const *units, unsigned cc, char **text, size_t *len, hone_err *e) {
    char *texts[UNITS_MAX];
    size_t n = 0;
    hone_code r = HONE_OK;
    hone_err last = {0};
    for (size_t i = 0; units[i] && r == HONE_OK; i++) {
        size_t bytes;
        hone_err one = {0};
        r = n == UNITS_MAX ? hone_fail(e, HONE_E_LIMIT, 0, "more than %d translation units", UNITS_MAX) : text_of(units[i], cc, &texts[n], &bytes, &one);
        if (r == HONE_OK) {
            n++;
        } else if (r == HONE_E_UNSUPPORTED) {
            last = one;
            r = HONE_OK;
        } else if (e && !e->code) {
            *e = one;
        }
    }
    if (r == HONE_OK && !n) {
        r = last.code ? last.code : HONE_E_UNSUPPORTED;
        *e = last;
    }
    if (r == HONE_OK)
        r = ptx_link((const char *const *)texts, n, text, len, e);
    while (n)
        hone_free(texts[--n]);
    return r;
}

static hone_code binary_text(const rt_binary *b, char **text, size_t *len, hone_err *e) {
    const unsigned cc = compute_capability();
    if (b->w->magic != WRAPPER_MAGIC)
        return hone_fail(e, HONE_E_PARSE, 0, "what the program registers is no fat binary");
    if (b->w->version >= WRAPPER_OF_UNITS && b->w->units)
        return link_units(b->w->units, cc, text, len, e);
    return text_of(b->w->data, cc, text, len, e);
}

// ---- modules

static cudaError_t result_of(hone_code c) {
    return c == HONE_E_UNSUPPORTED ? cudaErrorNoKernelImageForDevice : c == HONE_E_NOMEM ? cudaErrorMemoryAllocation : cudaErrorInvalidKernelImage;
}

static cudaError_t load_text(const char *text, CUmodule *m) {
    char log[LOG_BYTES] = "";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    const cudaError_t r = RT_CU(cuModuleLoadDataEx, m, text, 2, options, values);
    if (r != cudaSuccess)
        rt_say("the program's PTX cannot be loaded: %s%s%s", cudaGetErrorString(r), log[0] ? ": " : "", log);
    return r;
}

static cudaError_t load_binary(const rt_binary *b, CUmodule *m) {
    hone_err e = {0};
    char *text;
    size_t len;
    const hone_code c = binary_text(b, &text, &len, &e);
    if (c != HONE_OK) {
        complain(&e);
        return result_of(c);
    }
    const cudaError_t r = load_text(text, m);
    hone_free(text);
    return r;
}

cudaError_t rt_binary_module(rt_binary *b, CUmodule *m) {
    CUcontext c = NULL;
    RT_CU(cuCtxGetCurrent, &c);
    for (const load *l = b->loads; l; l = l->next)
        if (l->context == c && l->epoch == rt_epoch())
            return *m = l->module, l->error;
    load *l = hone_calloc(1, sizeof *l);
    if (!l)
        return cudaErrorMemoryAllocation;
    *l = (load){.context = c, .epoch = rt_epoch(), .next = b->loads};
    l->error = load_binary(b, &l->module);   // kept: a second use says nothing again
    b->loads = l;
    *m = l->module;
    return l->error == cudaSuccess ? rt_symbols_bind_managed(b) : l->error;
}

// ---- what nvcc's host code calls

RT_API void **__cudaRegisterFatBinary(void *w) {
    rt_binary *b = hone_calloc(1, sizeof *b);
    if (b)
        b->w = w;
    return (void **)b;
}
RT_API void __cudaRegisterFatBinaryEnd(void **handle) { (void)handle; }

// At exit: the driver's own data may be gone already, so modules stay.
RT_API void __cudaUnregisterFatBinary(void **handle) {
    rt_binary *b = (rt_binary *)handle;
    if (!b)
        return;
    pthread_mutex_lock(&rt_lock);
    rt_symbols_drop(b);
    while (b->loads) {
        load *l = b->loads;
        b->loads = l->next;
        hone_free(l);
    }
    hone_free(b);
    pthread_mutex_unlock(&rt_lock);
}

// Before the program touches a managed variable on the host.
RT_API char __cudaInitModule(void **handle) {
    CUmodule m;
    cudaError_t r = handle ? rt_enter() : cudaErrorInvalidValue;
    pthread_mutex_lock(&rt_lock);
    if (r == cudaSuccess)
        r = rt_binary_module((rt_binary *)handle, &m);
    pthread_mutex_unlock(&rt_lock);
    return rt_record(r) == cudaSuccess;
}

RT_API void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int thread_limit, void *tid, void *bid, dim3 *block,
                                   dim3 *grid, int *warp) {
    (void)device, (void)thread_limit, (void)tid, (void)bid, (void)block, (void)grid, (void)warp;
    rt_symbols_add_function(&(rt_function){.binary = (rt_binary *)handle, .host = host, .name = name});
}
RT_API void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int ext, size_t bytes, int constant, int global) {
    (void)device, (void)ext, (void)constant, (void)global;
    rt_symbols_add_variable(&(rt_variable){.binary = (rt_binary *)handle, .host = host, .name = name, .bytes = bytes});
}
RT_API void __cudaRegisterManagedVar(void **handle, void **host, char *device, const char *name, int ext, size_t bytes, int constant, int global) {
    (void)device, (void)ext, (void)constant, (void)global;
    rt_symbols_add_variable(&(rt_variable){.binary = (rt_binary *)handle, .host = host, .managed = host, .name = name, .bytes = bytes});
}
RT_API void __cudaRegisterHostVar(void **handle, const char *name, char *host, size_t bytes) { (void)handle, (void)name, (void)host, (void)bytes; }
RT_API void __cudaRegisterUnifiedTable(void **handle, void *table) { (void)handle, (void)table; }
