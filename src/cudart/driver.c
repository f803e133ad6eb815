// Finds the driver: libhonegpu.so in the folder above this library (build/lib and LIBDIR/hone both lie so), else beside it, else wherever the loader
// looks. Looks up each function of driver.def.
#include "cudart/internal.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

rt_driver rt_cu;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static cudaError_t state = cudaErrorInsufficientDriver;

typedef struct entry { const char *name; size_t at; } entry;
static const entry entries[] = {
#define DRIVER(name, ...) {#name, offsetof(rt_driver, name)},
#include "cudart/driver.def"
#undef DRIVER
};

static void *open_driver(void) {
    static const char *const places[] = {"/../libhonegpu.so", "/libhonegpu.so"};
    Dl_info self;
    char path[4096];
    if (dladdr((void *)(uintptr_t)&open_driver, &self) && self.dli_fname) {
        const char *slash = strrchr(self.dli_fname, '/');
        const int folder = slash ? (int)(slash - self.dli_fname) : 1;
        for (size_t i = 0; i < HONE_COUNT(places); i++) {
            const int n = snprintf(path, sizeof path, "%.*s%s", folder, slash ? self.dli_fname : ".", places[i]);
            void *library = n < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
            if (library)
                return library;
        }
    }
    return dlopen("libhonegpu.so", RTLD_NOW | RTLD_LOCAL);
}

static void load(void) {
    rt_cu.library = open_driver();
    if (!rt_cu.library) {
        rt_say("cannot load libhonegpu.so: %s", dlerror());
        return;
    }
    for (size_t i = 0; i < HONE_COUNT(entries); i++) {
        void *p = dlsym(rt_cu.library, entries[i].name);
        memcpy((char *)&rt_cu + entries[i].at, &p, sizeof p);
    }
    state = RT_CU(cuInit, 0);
}

cudaError_t rt_driver_load(void) {
    pthread_once(&once, load);
    return state;
}
