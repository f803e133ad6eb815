// Kernels and variables by their host addresses. A table of each, open addressing on the address; entries are never moved once handed out, since a
// function's entry is its cudaKernel_t.
#include "cudart/internal.h"
#include <string.h>

typedef struct table { void **slots; size_t n, cap; } table;   // rt_function* or rt_variable*; `host` comes at the same place in both
static table functions, variables;
_Static_assert(offsetof(rt_function, host) == offsetof(rt_variable, host), "one table serves both");

static const void *host_of(const void *entry) { return ((const rt_function *)entry)->host; }
static size_t slot_of(const table *t, const void *host) { return (size_t)hone_hash64(&host, sizeof host, 0) & (t->cap - 1); }

static void *find(const table *t, const void *host) {
    for (size_t i = t->cap ? slot_of(t, host) : 0; t->cap && t->slots[i]; i = (i + 1) & (t->cap - 1))
        if (host_of(t->slots[i]) == host)
            return t->slots[i];
    return NULL;
}

static void place(table *t, void *entry) {
    size_t i = slot_of(t, host_of(entry));
    while (t->slots[i])
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = entry;
    t->n++;
}

static bool grow(table *t) {
    if (2 * (t->n + 1) <= t->cap)
        return true;
    table to = {.cap = t->cap ? 2 * t->cap : 64};
    to.slots = hone_calloc(to.cap, sizeof *to.slots);
    if (!to.slots)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i])
            place(&to, t->slots[i]);
    hone_free(t->slots);
    *t = to;
    return true;
}

// The first registration of an address wins: inline functions are registered by every unit that instantiates them.
static void add(table *t, const void *entry, size_t bytes) {
    pthread_mutex_lock(&rt_lock);
    void *copy = !find(t, host_of(entry)) && grow(t) ? hone_malloc(bytes) : NULL;
    if (copy) {
        memcpy(copy, entry, bytes);
        place(t, copy);
    }
    pthread_mutex_unlock(&rt_lock);
}
void rt_symbols_add_function(const rt_function *f) { add(&functions, f, sizeof *f); }
void rt_symbols_add_variable(const rt_variable *v) { add(&variables, v, sizeof *v); }

static void drop(table *t, const rt_binary *b) {
    table to = {.cap = t->cap};
    to.slots = t->cap ? hone_calloc(t->cap, sizeof *to.slots) : NULL;
    if (!to.slots)
        return;
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i] && ((rt_function *)t->slots[i])->binary == b)
            hone_free(t->slots[i]);
        else if (t->slots[i])
            place(&to, t->slots[i]);
    }
    hone_free(t->slots);
    *t = to;
}
void rt_symbols_drop(const rt_binary *b) {
    drop(&functions, b);
    drop(&variables, b);
}

// ---- functions

static cudaError_t resolve(rt_function *f, CUfunction *out) {
    if (!f->binary)   // a kernel of a library: its host address is the driver's handle
        return RT_CU(cuKernelGetFunction, out, (cudaKernel_t)(uintptr_t)f->host);
    CUcontext c = NULL;
    CUmodule m;
    RT_CU(cuCtxGetCurrent, &c);
    if (f->loaded && f->context == c && f->epoch == rt_epoch())
        return *out = f->loaded, cudaSuccess;
    cudaError_t r = rt_binary_module(f->binary, &m);
    if (r == cudaSuccess)
        r = RT_CU(cuModuleGetFunction, &f->loaded, m, f->name);
    f->context = c;
    f->epoch = r == cudaSuccess ? rt_epoch() : 0;
    *out = f->loaded;
    return r == cudaErrorSymbolNotFound ? cudaErrorInvalidDeviceFunction : r;
}

static rt_function *kernel_handle(const void *p) {   // a cudaKernel_t is the address of an entry
    for (size_t i = 0; i < functions.cap; i++)
        if (functions.slots[i] == p)
            return functions.slots[i];
    return NULL;
}

cudaError_t rt_kernel_of(const void *host, rt_function **out) {
    pthread_mutex_lock(&rt_lock);
    *out = find(&functions, host);
    pthread_mutex_unlock(&rt_lock);
    return *out ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}

static bool is_function_handle(const void *p) {   // a cudaFunction_t: what cudaGetFuncBySymbol gave out
    for (size_t i = 0; i < functions.cap; i++) {
        const rt_function *f = functions.slots[i];
        if (f && f->loaded == p && f->epoch == rt_epoch())
            return true;
    }
    return false;
}

cudaError_t rt_function_of(const void *func, CUfunction *out) {
    cudaError_t r = func ? rt_enter() : cudaErrorInvalidDeviceFunction;
    if (r != cudaSuccess)
        return r;
    pthread_mutex_lock(&rt_lock);
    rt_function *f = find(&functions, func);
    if (!f)
        f = kernel_handle(func);
    if (f)
        r = resolve(f, out);
    else if (is_function_handle(func))
        *out = (CUfunction)(uintptr_t)func;
    else
        r = cudaErrorInvalidDeviceFunction;
    pthread_mutex_unlock(&rt_lock);
    return r;
}

// ---- variables

static cudaError_t locate(const rt_variable *v, CUdeviceptr *at, size_t *bytes) {
    CUmodule m;
    const cudaError_t r = rt_binary_module(v->binary, &m);
    return r == cudaSuccess ? RT_CU(cuModuleGetGlobal_v2, at, bytes, m, v->name) : r;
}

// `symbol` is the address of the host's shadow; for managed variables, also their own.
static const rt_variable *variable_at(const void *symbol) {
    const rt_variable *v = find(&variables, symbol);
    for (size_t i = 0; !v && i < variables.cap; i++) {
        const rt_variable *x = variables.slots[i];
        v = x && x->managed && *x->managed == symbol ? x : NULL;
    }
    return v;
}

cudaError_t rt_variable_of(const void *symbol, CUdeviceptr *at, size_t *bytes) {
    cudaError_t r = symbol ? rt_enter() : cudaErrorInvalidSymbol;
    if (r != cudaSuccess)
        return r;
    size_t ignored;
    pthread_mutex_lock(&rt_lock);
    const rt_variable *v = variable_at(symbol);
    r = v ? locate(v, at, bytes ? bytes : &ignored) : cudaErrorInvalidSymbol;
    pthread_mutex_unlock(&rt_lock);
    return r == cudaErrorSymbolNotFound ? cudaErrorInvalidSymbol : r;
}

cudaError_t rt_symbols_bind_managed(rt_binary *b) {
    for (size_t i = 0; i < variables.cap; i++) {
        const rt_variable *v = variables.slots[i];
        CUdeviceptr at;
        if (!v || v->binary != b || !v->managed)
            continue;
        const cudaError_t r = locate(v, &at, &(size_t){0});
        if (r != cudaSuccess)
            return r;
        *v->managed = (void *)(uintptr_t)at;
    }
    return cudaSuccess;
}

RT_API cudaError_t cudaGetSymbolAddress(void **at, const void *symbol) {
    CUdeviceptr p = 0;
    const cudaError_t r = at ? rt_variable_of(symbol, &p, NULL) : cudaErrorInvalidValue;
    if (r == cudaSuccess)
        *at = (void *)(uintptr_t)p;
    return rt_record(r);
}
RT_API cudaError_t cudaGetSymbolSize(size_t *bytes, const void *symbol) {
    CUdeviceptr p;
    return rt_record(bytes ? rt_variable_of(symbol, &p, bytes) : cudaErrorInvalidValue);
}
RT_API cudaError_t cudaGetFuncBySymbol(CUfunction *f, const void *symbol) { return rt_record(f ? rt_function_of(symbol, f) : cudaErrorInvalidValue); }
static cudaError_t get_kernel(cudaKernel_t *k, const void *host) { return k ? rt_kernel_of(host, k) : cudaErrorInvalidValue; }
RT_API cudaError_t cudaGetKernel(cudaKernel_t *k, const void *host) { return rt_record(get_kernel(k, host)); }
RT_API cudaError_t __cudaGetKernel(cudaKernel_t *k, const void *host) { return rt_record(get_kernel(k, host)); }

// ---- kernels of libraries: the driver's handles, remembered, since launches tell handles from host addresses

static cudaError_t remember(cudaError_t r, const cudaKernel_t *k, unsigned n) {
    for (unsigned i = 0; r == cudaSuccess && i < n; i++)
        if (k[i])
            rt_symbols_add_function(&(rt_function){.host = k[i]});
    return r;
}
RT_API cudaError_t cudaLibraryGetKernel(cudaKernel_t *k, cudaLibrary_t l, const char *name) { return remember(RT_DO(cuLibraryGetKernel, k, l, name), k, 1); }
RT_API cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t *k, unsigned n, cudaLibrary_t l) {
    for (unsigned i = 0; k && i < n; i++)
        k[i] = NULL;   // a library may have fewer
    return remember(RT_DO(cuLibraryEnumerateKernels, k, n, l), k, n);
}
