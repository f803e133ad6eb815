// toolkit: where a CUDA toolkit's parts lie (NVRTC library, headers, ptxas), in a full installation, a distribution's packages or PyPI's;
// and NVRTC itself as a table of functions. errors: HONE_E_NO_DEVICE with a hint how to get a toolkit.
#ifndef HONE_GPU_TOOLKIT_H
#define HONE_GPU_TOOLKIT_H
#include "base/base.h"

enum { HONE_TOOLKIT_INCLUDES = 4 };
typedef struct hone_toolkit {
    char root[512];
    char found_by[64];               // "CUDA_HOME", "nvcc in PATH" …
    char nvrtc[768];                 // library file
    char ptxas[768];                 // empty when there is none: nothing needs it
    char includes[HONE_TOOLKIT_INCLUDES][768];
    size_t n_includes;
} hone_toolkit;
// Looks at CUDA_HOME, CUDA_PATH, the toolkit the build was configured with, nvcc in PATH, and the usual folders, in that order.
hone_code hone_toolkit_find(hone_toolkit *t, hone_err *e);
// Fills t from one root folder; false when it holds no NVRTC or no headers.
bool hone_toolkit_at(const char *root, hone_toolkit *t);

typedef struct hone_nvrtc_program_st *hone_nvrtc_program;
typedef int hone_nvrtc_result;
typedef struct hone_nvrtc {
#define HONE_NVRTC(result, member, params, symbol) result(*member) params;
#include "gpu/nvrtc.def"
#undef HONE_NVRTC
    void *library, *builtins;
    int major, minor;
} hone_nvrtc;
hone_code hone_nvrtc_load(const hone_toolkit *t, hone_nvrtc **out, hone_err *e);
void hone_nvrtc_free(hone_nvrtc *n);
#endif
