// Loads a driver library and fills the function table from driver.def: each member takes the first name the library exports. It does not
// choose a device and keeps no state: device.c does. Sits at the bottom of gpu/.
#include "gpu/driver.h"
#include <dlfcn.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAMES = 3 };
typedef struct symbol { size_t at; bool needed; const char *names[MAX_NAMES]; } symbol;

#define HONE_CU(member, params, needed, ...) {offsetof(hone_driver, member), needed, {__VA_ARGS__}},
static const symbol symbols[] = {
#include "gpu/driver.def"
};
#undef HONE_CU
#define HONE_VG(member, params, name) {offsetof(hone_driver, vgpu.member), false, {name}},
static const symbol vgpu_symbols[] = {
#include "gpu/vgpu.def"
    {offsetof(hone_driver, vgpu.DeviceText), false, {"honeVgpuDeviceText"}},
    {offsetof(hone_driver, vgpu.Version), false, {"honeVgpuVersion"}},
};
#undef HONE_VG

static void *find_symbol(void *library, const symbol *s) {
    for (size_t i = 0; i < MAX_NAMES && s->names[i]; i++) {
        void *p = dlsym(library, s->names[i]);
        if (p)
            return p;
    }
    return NULL;
}

static hone_code fill(hone_driver *d, const symbol *table, size_t n, hone_err *e) {
    for (size_t i = 0; i < n; i++) {
        void *p = find_symbol(d->library, &table[i]);
        if (!p && table[i].needed)
            return hone_fail(e, HONE_E_NO_DEVICE, 0, "driver library '%s' lacks the function '%s'", d->path, table[i].names[0]);
        memcpy((char *)d + table[i].at, &p, sizeof p);
    }
    return HONE_OK;
}

// Places where libhonegpu.so may lie, most specific first. out is (4,512).
static size_t virtual_places(char out[4][512]) {
    size_t n = 0;
    const char *libdir = getenv("HONE_LIBDIR");
    if (libdir && *libdir)
        snprintf(out[n++], 512, "%s/libhonegpu.so", libdir);
    char exe[400];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = 0;
        const char *dir = dirname(exe);
        snprintf(out[n++], 512, "%s/libhonegpu.so", dir);
        snprintf(out[n++], 512, "%s/../lib/libhonegpu.so", dir);
    }
    snprintf(out[n++], 512, "libhonegpu.so");
    return n;
}

static hone_code open_library(hone_driver *d, const char *path, hone_err *e) {
    char places[4][512];
    size_t n = 1;
    const char *vendor = getenv("HONE_CUDA_DRIVER");
    if (path)
        snprintf(places[0], sizeof places[0], "%s", path);
    else if (d->is_virtual)
        n = virtual_places(places);
    else
        snprintf(places[0], sizeof places[0], "%s", vendor && *vendor ? vendor : "libcuda.so.1");
    for (size_t i = 0; i < n && !d->library; i++) {
        if (strchr(places[i], '/') && access(places[i], R_OK) != 0 && i + 1 < n)
            continue;
        d->library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
        snprintf(d->path, sizeof d->path, "%.511s", places[i]);
        if (!d->library && strchr(places[i], '/'))
            break;   // it is there but does not load: say why instead of trying another
    }
    if (d->library)
        return HONE_OK;
    hone_fail(e, HONE_E_NO_DEVICE, 0, "cannot load the %s driver '%s': %s", d->is_virtual ? "virtual GPU's" : "CUDA", d->path, dlerror());
    return d->is_virtual ? hone_hint(e, "set HONE_LIBDIR to the folder that holds libhonegpu.so")
                         : hone_hint(e, "use --device virtual:h200 to work without a GPU");
}

static hone_code init(hone_driver *d, hone_err *e) {
    CUresult r = d->Init(0);
    if (r != CUDA_SUCCESS) {
        hone_driver_fail(d, r, e, "initialise the driver '%s'", d->path);
        if (e)
            e->code = HONE_E_NO_DEVICE;
        return HONE_E_NO_DEVICE;
    }
    r = d->DriverGetVersion(&d->version);
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(d, r, e, "ask '%s' for its version", d->path);
}

hone_code hone_driver_load(bool is_virtual, const char *path, hone_driver **out, hone_err *e) {
    hone_driver *d = hone_calloc(1, sizeof *d);
    if (!d)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a driver table");
    d->is_virtual = is_virtual;
    hone_code c = open_library(d, path, e);
    if (c == HONE_OK)
        c = fill(d, symbols, HONE_COUNT(symbols), e);
    if (c == HONE_OK)
        c = fill(d, vgpu_symbols, HONE_COUNT(vgpu_symbols), e);
    if (c == HONE_OK)
        c = init(d, e);
    if (c != HONE_OK) {
        hone_driver_free(d);
        return c;
    }
    *out = d;
    return HONE_OK;
}

void hone_driver_free(hone_driver *d) {
    if (!d)
        return;
    // The vendor's driver keeps threads and at-exit handlers of its own: it stays loaded until the process ends.
    if (d->library && d->is_virtual)
        dlclose(d->library);
    hone_free(d);
}

const char *hone_result_name(const hone_driver *d, int r) {
    const char *name = NULL;
    return d->GetErrorName(r, &name) == CUDA_SUCCESS && name ? name : "unknown result";
}

hone_code hone_driver_fail(const hone_driver *d, CUresult r, hone_err *e, const char *fmt, ...) {
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const char *text = NULL;
    if (d->GetErrorString(r, &text) != CUDA_SUCCESS || !text)
        text = "no description";
    return hone_fail(e, HONE_E_DEVICE, r, "cannot %s: %s (%d, %s)", what, hone_result_name(d, r), r, text);
}

static bool among(int r, const int *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == r)
            return true;
    return false;
}

bool hone_result_is_loss(int r) {
    static const int loss[] = {
        CUDA_ERROR_DEINITIALIZED,      CUDA_ERROR_DEVICE_UNAVAILABLE,   CUDA_ERROR_NO_DEVICE,        CUDA_ERROR_INVALID_DEVICE,
        CUDA_ERROR_ECC_UNCORRECTABLE,  CUDA_ERROR_NVLINK_UNCORRECTABLE, CUDA_ERROR_SYSTEM_NOT_READY,
    };
    return among(r, loss, HONE_COUNT(loss));
}

bool hone_result_is_sticky(int r) {
    static const int sticky[] = {
        CUDA_ERROR_ILLEGAL_ADDRESS,
        CUDA_ERROR_LAUNCH_TIMEOUT,
        CUDA_ERROR_ASSERT,
        CUDA_ERROR_HARDWARE_STACK_ERROR,
        CUDA_ERROR_ILLEGAL_INSTRUCTION,
        CUDA_ERROR_MISALIGNED_ADDRESS,
        CUDA_ERROR_INVALID_ADDRESS_SPACE,
        CUDA_ERROR_INVALID_PC,
        CUDA_ERROR_LAUNCH_FAILED,
        CUDA_ERROR_UNKNOWN,
    };
    return hone_result_is_loss(r) || among(r, sticky, HONE_COUNT(sticky));
}
