// Initialisation, devices and contexts. One modelled device (HONE_VGPU_DEVICE, default h200) per process; any number of contexts.
#include "vgpu/driver/array.h"
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_MAX = 64 };
static pthread_mutex_t global_lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;
static vg_device device;
static struct CUctx_st *contexts, *primary;
static pthread_mutex_t primary_lock = PTHREAD_MUTEX_INITIALIZER;   // of making, counting and dropping the primary context; taken before global_lock
static unsigned primary_uses, primary_flags;
static uint64_t next_context_id = 1;
static honeVgpuOptions default_options = {.size = sizeof(honeVgpuOptions), .flags = HONE_VGPU_CHECK};
static _Thread_local struct { struct CUctx_st *c; uint64_t id; } stack[STACK_MAX];
static _Thread_local unsigned stack_n;

honeVgpuOptions *vg_front_options(void) { return &default_options; }
const vg_device *vg_front_device(void) { return initialized ? &device : NULL; }

unsigned vg_compute_capability(void) { return (unsigned)(10 * vg_dev(&device, VG_DEV_CC_MAJOR) + vg_dev(&device, VG_DEV_CC_MINOR)); }

CUresult vg_front_result(const hone_err *e) {
    switch (e->code) {
    case HONE_OK: return CUDA_SUCCESS;
    case HONE_E_NOMEM: return CUDA_ERROR_OUT_OF_MEMORY;
    case HONE_E_PARSE: case HONE_E_UNSUPPORTED: return CUDA_ERROR_INVALID_PTX;
    case HONE_E_NO_DEVICE: return CUDA_ERROR_NO_DEVICE;
    case HONE_E_LIMIT: case HONE_E_USAGE: return CUDA_ERROR_INVALID_VALUE;
    case HONE_E_DEVICE: return e->sub ? e->sub : CUDA_ERROR_UNKNOWN;
    default: return CUDA_ERROR_UNKNOWN;
    }
}

VG_API CUresult cuInit(unsigned flags) {
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&global_lock);
    CUresult r = CUDA_SUCCESS;
    if (!initialized) {
        const char *spec = getenv("HONE_VGPU_DEVICE");
        hone_err e = {0};
        if (vg_device_load(spec && *spec ? spec : "h200", &device, &e) == HONE_OK)
            initialized = (r = vg_sanitize_begin(&default_options)) == CUDA_SUCCESS;
        else
            r = e.code == HONE_E_NOMEM ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_NO_DEVICE;
    }
    pthread_mutex_unlock(&global_lock);
    return r;
}

VG_API CUresult cuDriverGetVersion(int *version) {
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = 13000;
    return CUDA_SUCCESS;
}

static CUresult check_device(const void *out, CUdevice d) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (d != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuDeviceGetCount(int *n) {
    CUresult r = check_device(n, 0);
    if (r == CUDA_SUCCESS)
        *n = 1;
    return r;
}

VG_API CUresult cuDeviceGet(CUdevice *d, int ordinal) {
    CUresult r = check_device(d, ordinal);
    if (r == CUDA_SUCCESS)
        *d = 0;
    return r;
}

// ---- contexts

static void print_sink(void *self, const char *text, size_t bytes) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   // blocks on several host threads print at once
    struct CUctx_st *c = self;
    pthread_mutex_lock(&lock);
    if (c->printed.len + bytes <= VG_PRINT_MAX)
        hone_str_addn(&c->printed, text, bytes);
    pthread_mutex_unlock(&lock);
}

void vg_front_flush_print(struct CUctx_st *c) {
    if (!c->printed.len)
        return;
    fwrite(c->printed.s, 1, c->printed.len, stdout);
    fflush(stdout);
    hone_str_clear(&c->printed);
}

static void default_limits(size_t limits[CU_LIMIT_COUNT]) {
    limits[0] = 1024;            // stack bytes per thread
    limits[1] = VG_PRINT_MAX;    // printf FIFO
    limits[2] = 8u << 20;        // malloc heap
    limits[3] = 2;
    limits[4] = 2048;
    limits[5] = 64;              // L2 fetch granularity
}

static void context_free(struct CUctx_st *c);

static CUresult context_new(unsigned flags, struct CUctx_st **out) {
    struct CUctx_st *c = hone_calloc(1, sizeof *c);
    hone_err e = {0};
    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (vg_context_new(&device, (size_t)vg_dev(&device, VG_DEV_MEM_BYTES), &c->vg, &e) != HONE_OK) {
        hone_free(c);
        return vg_front_result(&e);
    }
    c->vg->options = default_options;
    vg_memory_set_layout(c->vg->memory, default_options.schedule_seed);
    c->vg->print = print_sink;
    c->vg->print_self = c;
    hone_str_init(&c->printed, VG_PRINT_MAX + 1);
    pthread_mutex_init(&c->lock, NULL);
    c->null_stream = (struct CUstream_st){.context = c};
    c->flags = flags;
    default_limits(c->limits);
    if (!vg_handle_add(c, VG_CONTEXT)) {
        context_free(c);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&global_lock);
    c->id = next_context_id++;
    c->next = contexts;
    contexts = c;
    pthread_mutex_unlock(&global_lock);
    *out = c;
    return CUDA_SUCCESS;
}

static struct CUctx_st **find_context(const struct CUctx_st *c) {   // under global_lock
    for (struct CUctx_st **p = &contexts; *p; p = &(*p)->next)
        if (*p == c)
            return p;
    return NULL;
}

static void context_free(struct CUctx_st *c) {
    vg_front_flush_print(c);
    vg_sanitize_collect(c->vg);
    vg_stream_free_all(c);
    vg_libraries_context_gone(c);
    vg_modules_free_all(c);
    vg_texobj_free_all(c);
    vg_arrays_free_all(c);
    hone_vec_free(&c->registered);
    vg_context_free(c->vg);
    hone_str_free(&c->printed);
    hone_free(c->lines);
    pthread_mutex_destroy(&c->lock);
    vg_handle_drop(c);
    hone_free(c);
}

// Contexts that nobody destroyed have found something too. With none left nothing can be under way, at the process' end neither: then what the library
// itself keeps goes as well, for programs that unload it.
static __attribute__((destructor)) void at_end(void) {
    for (struct CUctx_st *c = contexts; c; c = c->next)
        vg_sanitize_collect(c->vg);
    vg_sanitize_end();
    if (contexts)
        return;
    initialized = false;
    vg_device_free(&device);
    vg_vmm_free();
    vg_handles_free();
}

struct CUctx_st *vg_front_current(void) { return stack_n ? stack[stack_n - 1].c : NULL; }

// A context may have been destroyed by another thread while it was current here, and its memory may hold a new one: ids tell.
bool vg_front_is_alive(const struct CUctx_st *c, uint64_t id) {
    pthread_mutex_lock(&global_lock);
    struct CUctx_st **p = find_context(c);
    bool alive = p && (*p)->id == id;
    pthread_mutex_unlock(&global_lock);
    return alive;
}

CUresult vg_front_enter(struct CUctx_st **c) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (vg_in_host_function())
        return CUDA_ERROR_NOT_PERMITTED;
    if (!stack_n || !stack[stack_n - 1].c)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!vg_front_is_alive(stack[stack_n - 1].c, stack[stack_n - 1].id))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    *c = stack[stack_n - 1].c;
    pthread_mutex_lock(&(*c)->lock);
    if ((*c)->refused != CUDA_SUCCESS)
        return vg_front_leave(*c, (*c)->refused);
    return CUDA_SUCCESS;
}

CUresult vg_front_leave(struct CUctx_st *c, CUresult r) {
    pthread_mutex_unlock(&c->lock);
    return r;
}

static CUresult push(struct CUctx_st *c) {
    if (stack_n == STACK_MAX)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack[stack_n].c = c;
    stack[stack_n++].id = c ? c->id : 0;
    return CUDA_SUCCESS;
}

VG_API CUresult cuCtxCreate_v2(CUcontext *out, unsigned flags, CUdevice d) {
    CUresult r = check_device(out, d);
    if (r == CUDA_SUCCESS)
        r = context_new(flags, out);
    return r == CUDA_SUCCESS ? push(*out) : r;
}
VG_API CUresult cuCtxCreate_v3(CUcontext *out, void *affinity, int n, unsigned flags, CUdevice d) {
    return affinity || n ? CUDA_ERROR_NOT_SUPPORTED : cuCtxCreate_v2(out, flags, d);
}
VG_API CUresult cuCtxCreate_v4(CUcontext *out, void *params, unsigned flags, CUdevice d) {
    return params ? CUDA_ERROR_NOT_SUPPORTED : cuCtxCreate_v2(out, flags, d);
}
VG_API CUresult cuCtxCreate(CUcontext *out, unsigned flags, CUdevice d) { return cuCtxCreate_v2(out, flags, d); }

VG_API CUresult cuCtxDestroy_v2(CUcontext c) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&global_lock);
    struct CUctx_st **p = c ? find_context(c) : NULL;
    bool ours = p && c != primary;
    if (ours)
        *p = c->next;
    pthread_mutex_unlock(&global_lock);
    if (!ours)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (stack_n && stack[stack_n - 1].c == c)
        stack_n--;
    context_free(c);
    return CUDA_SUCCESS;
}
VG_API CUresult cuCtxDestroy(CUcontext c) { return cuCtxDestroy_v2(c); }

VG_API CUresult cuCtxSetCurrent(CUcontext c) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (c && !vg_handle_is(c, VG_CONTEXT))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (stack_n)
        stack_n--;
    return c ? push(c) : CUDA_SUCCESS;
}

VG_API CUresult cuCtxGetCurrent(CUcontext *out) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = vg_front_current();
    return CUDA_SUCCESS;
}

VG_API CUresult cuCtxPushCurrent_v2(CUcontext c) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    return c && vg_handle_is(c, VG_CONTEXT) ? push(c) : CUDA_ERROR_INVALID_CONTEXT;
}
VG_API CUresult cuCtxPushCurrent(CUcontext c) { return cuCtxPushCurrent_v2(c); }

VG_API CUresult cuCtxPopCurrent_v2(CUcontext *out) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!stack_n)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack_n--;
    if (out)
        *out = stack[stack_n].c;
    return CUDA_SUCCESS;
}
VG_API CUresult cuCtxPopCurrent(CUcontext *out) { return cuCtxPopCurrent_v2(out); }

VG_API CUresult cuCtxSynchronize(void) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (vg_front_current() && r != CUDA_ERROR_CONTEXT_IS_DESTROYED && r != CUDA_ERROR_INVALID_CONTEXT && r != CUDA_ERROR_NOT_INITIALIZED)
        vg_front_flush_print(vg_front_current());   // also what a faulting kernel printed before
    if (r != CUDA_SUCCESS)
        return r;
    r = vg_capture_unsafe(c);
    if (r == CUDA_SUCCESS)
        r = vg_work_drain(c, NULL);
    vg_front_flush_print(c);
    return vg_front_leave(c, r);
}

VG_API CUresult cuCtxGetDevice(CUdevice *d) {
    if (!initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_front_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!d)
        return CUDA_ERROR_INVALID_VALUE;
    *d = 0;
    return CUDA_SUCCESS;
}

VG_API CUresult cuCtxGetLimit(size_t *value, int limit) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!value)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (limit < 0 || limit >= CU_LIMIT_COUNT)
        return vg_front_leave(c, CUDA_ERROR_UNSUPPORTED_LIMIT);
    *value = c->limits[limit];
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuCtxSetLimit(int limit, size_t value) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (limit < 0 || limit >= CU_LIMIT_COUNT)
        return vg_front_leave(c, CUDA_ERROR_UNSUPPORTED_LIMIT);
    c->limits[limit] = value;
    if (limit == CU_LIMIT_MALLOC_HEAP_SIZE)
        c->vg->heap_bytes = value;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuCtxResetPersistingL2Cache(void) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    return r == CUDA_SUCCESS ? vg_front_leave(c, r) : r;
}

VG_API CUresult cuCtxGetFlags(unsigned *flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!flags)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *flags = c->flags;
    return vg_front_leave(c, r);
}

// ---- the primary context

VG_API CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice d) {
    CUresult r = check_device(out, d);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&primary_lock);
    if (!primary)
        r = context_new(primary_flags, &primary);
    if (r == CUDA_SUCCESS) {
        primary_uses++;
        *out = primary;
    }
    pthread_mutex_unlock(&primary_lock);
    return r;
}

static void primary_drop(void) {
    pthread_mutex_lock(&global_lock);
    struct CUctx_st **p = primary ? find_context(primary) : NULL, *c = primary;
    if (p)
        *p = c->next;
    primary = NULL;
    pthread_mutex_unlock(&global_lock);
    if (c)
        context_free(c);
}

VG_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) {
    CUresult r = check_device(&d, d);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&primary_lock);
    if (!primary_uses)
        r = CUDA_ERROR_INVALID_CONTEXT;
    else if (--primary_uses == 0)
        primary_drop();
    pthread_mutex_unlock(&primary_lock);
    return r;
}
VG_API CUresult cuDevicePrimaryCtxRelease(CUdevice d) { return cuDevicePrimaryCtxRelease_v2(d); }

VG_API CUresult cuDevicePrimaryCtxReset_v2(CUdevice d) {
    CUresult r = check_device(&d, d);
    if (r == CUDA_SUCCESS) {
        pthread_mutex_lock(&primary_lock);
        primary_uses = 0;
        primary_drop();
        pthread_mutex_unlock(&primary_lock);
    }
    return r;
}
VG_API CUresult cuDevicePrimaryCtxReset(CUdevice d) { return cuDevicePrimaryCtxReset_v2(d); }

VG_API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice d, unsigned flags) {
    CUresult r = check_device(&d, d);
    if (r == CUDA_SUCCESS)
        primary_flags = flags;
    return r;
}
VG_API CUresult cuDevicePrimaryCtxSetFlags(CUdevice d, unsigned flags) { return cuDevicePrimaryCtxSetFlags_v2(d, flags); }

VG_API CUresult cuDevicePrimaryCtxGetState(CUdevice d, unsigned *flags, int *active) {
    CUresult r = check_device(flags, d);
    if (r == CUDA_SUCCESS && !active)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS)
        return r;
    *flags = primary_flags;
    *active = primary != NULL;
    return CUDA_SUCCESS;
}
