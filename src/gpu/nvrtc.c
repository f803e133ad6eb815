// NVRTC by dlopen: the function table of nvrtc.def. The builtins library is opened first by its full path, because NVRTC looks for it by
// name only.
#include "gpu/toolkit.h"
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

typedef struct symbol { size_t at; const char *name; } symbol;
static const symbol symbols[] = {
#define HONE_NVRTC(result, member, params, symbol) {offsetof(hone_nvrtc, member), symbol},
#include "gpu/nvrtc.def"
#undef HONE_NVRTC
};

static void open_builtins(hone_nvrtc *n, const char *nvrtc_path) {
    char pattern[900];
    int dir = (int)(hone_path_base(nvrtc_path) - nvrtc_path);
    snprintf(pattern, sizeof pattern, "%.*slibnvrtc-builtins.so.*", dir, nvrtc_path);
    glob_t g;
    if (glob(pattern, 0, NULL, &g) != 0)
        return;
    n->builtins = dlopen(g.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
    globfree(&g);
}

static hone_code fill(hone_nvrtc *n, const char *path, hone_err *e) {
    n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "cannot load NVRTC '%s': %s", path, dlerror());
    for (size_t i = 0; i < HONE_COUNT(symbols); i++) {
        void *p = dlsym(n->library, symbols[i].name);
        if (!p) {
            hone_fail(e, HONE_E_NO_DEVICE, 0, "NVRTC '%s' lacks the function '%s'", path, symbols[i].name);
            return hone_hint(e, "hone needs a CUDA toolkit of version 12.4 or newer");
        }
        memcpy((char *)n + symbols[i].at, &p, sizeof p);
    }
    if (n->Version(&n->major, &n->minor) != 0)
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "NVRTC '%s' does not say its version", path);
    return HONE_OK;
}

hone_code hone_nvrtc_load(const hone_toolkit *t, hone_nvrtc **out, hone_err *e) {
    hone_nvrtc *n = hone_calloc(1, sizeof *n);
    if (!n)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for NVRTC's table");
    open_builtins(n, t->nvrtc);
    hone_code c = fill(n, t->nvrtc, e);
    if (c != HONE_OK) {
        hone_nvrtc_free(n);
        return c;
    }
    *out = n;
    return HONE_OK;
}

// The libraries stay loaded: NVRTC keeps state of its own until the process ends.
void hone_nvrtc_free(hone_nvrtc *n) { hone_free(n); }
