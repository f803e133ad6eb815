// Linking PTX modules: cuLink*. The texts become one (ptx/link.h) each time one is added, so that a clash is the adding call's error; cuLinkComplete returns
// that text, which is what the load functions of this library take. Not linked: machine code, NVVM and LTO inputs, libraries.
#include "ptx/link.h"
#include "vgpu/driver/fatbin.h"
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <string.h>

#define LINK_MAX ((size_t)256 << 20)
enum { INPUT_CUBIN = 0, INPUT_PTX = 1, INPUT_FATBIN = 2, INPUT_NVVM = 5, INPUT_LAST = 5 };
struct CUlinkState_st {
    HONE_VEC(char *) texts;              // as added
    char *linked;                        // of all of them
    size_t linked_bytes;
    bool complete;
    char *error_log, *info_log;          // the caller's, valid until the state is destroyed
    unsigned error_bytes;
};

// Takes the text over when it links with the others.
static CUresult add_text(struct CUlinkState_st *l, char *text, hone_err *e) {
    char *linked = NULL;
    size_t len = 0;
    if (!hone_vec_push(&l->texts, text))
        return CUDA_ERROR_OUT_OF_MEMORY;
    const hone_code code = ptx_link((const char *const *)l->texts.v, l->texts.n, &linked, &len, e);
    if (code != HONE_OK) {
        l->texts.n--;
        return code == HONE_E_NOMEM || code == HONE_E_LIMIT ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_PTX;
    }
    hone_free(l->linked);
    l->linked = linked;
    l->linked_bytes = len + 1;
    return CUDA_SUCCESS;
}

// ---- the calls

VG_API CUresult cuLinkCreate_v2(unsigned n, int *options, void **values, CUlinkState *out) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_front_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!out || (n && (!options || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    struct CUlinkState_st *l = hone_calloc(1, sizeof *l);
    if (!l || !vg_handle_add(l, VG_LINK)) {
        hone_free(l);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (unsigned i = 0; i < n; i++) {
        if (options[i] == CU_JIT_ERROR_LOG)
            l->error_log = values[i];
        else if (options[i] == CU_JIT_ERROR_LOG_BYTES)
            l->error_bytes = (unsigned)(uintptr_t)values[i];
    }
    if (l->error_log && l->error_bytes)
        l->error_log[0] = 0;
    *out = l;
    return CUDA_SUCCESS;
}
VG_API CUresult cuLinkCreate(unsigned n, int *options, void **values, CUlinkState *out) { return cuLinkCreate_v2(n, options, values, out); }

static CUresult log_error(struct CUlinkState_st *l, CUresult r, const char *name, const char *message) {
    if (l->error_log && l->error_bytes)
        snprintf(l->error_log, l->error_bytes, "%s: %s", name ? name : "input", message);
    return r;
}

// A copy with an end: the caller's bytes need none.
static CUresult text_of_input(int type, const void *data, size_t bytes, char **text, hone_err *e) {
    size_t len;
    if (type == INPUT_FATBIN) {
        hone_code code = vg_image_kind_of(data) == VG_IMAGE_FATBIN ? vg_fatbin_ptx(data, vg_compute_capability(), text, &len, e)
                                                                   : hone_fail(e, HONE_E_PARSE, 0, "not a fat binary");
        return code == HONE_OK ? CUDA_SUCCESS : code == HONE_E_UNSUPPORTED ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_INVALID_IMAGE;
    }
    *text = hone_strndup(data, strnlen(data, bytes));
    return *text ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

VG_API CUresult cuLinkAddData_v2(CUlinkState l, int type, void *data, size_t bytes, const char *name, unsigned n, int *options, void **values) {
    (void)values;
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK) || l->complete)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || bytes < 4 || bytes > LINK_MAX || type < 0 || type > INPUT_LAST || (n && !options))
        return CUDA_ERROR_INVALID_VALUE;
    if (type != INPUT_PTX && type != INPUT_FATBIN)
        return log_error(l, CUDA_ERROR_NOT_SUPPORTED, name, "only PTX and fat binaries with PTX can be linked");
    char *text = NULL;
    hone_err e = {0};
    CUresult r = text_of_input(type, data, bytes, &text, &e);
    ptx_module *m = NULL;
    if (r == CUDA_SUCCESS && ptx_parse(text, strlen(text), &m, &e) != HONE_OK)
        r = CUDA_ERROR_INVALID_PTX;
    ptx_free(m);
    if (r == CUDA_SUCCESS)
        r = add_text(l, text, &e);
    if (r == CUDA_SUCCESS)
        return r;
    hone_free(text);
    return log_error(l, r, name, e.msg);
}
VG_API CUresult cuLinkAddData(CUlinkState l, int type, void *data, size_t bytes, const char *name, unsigned n, int *options, void **values) {
    return cuLinkAddData_v2(l, type, data, bytes, name, n, options, values);
}
VG_API CUresult cuLinkAddFile_v2(CUlinkState l, int type, const char *path, unsigned n, int *options, void **values) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    char *data;
    size_t bytes;
    hone_err e = {0};
    if (hone_read_file(path, LINK_MAX, &data, &bytes, &e) != HONE_OK)
        return e.code == HONE_E_IO ? CUDA_ERROR_FILE_NOT_FOUND : vg_front_result(&e);
    CUresult r = cuLinkAddData_v2(l, type, data, bytes, path, n, options, values);
    hone_free(data);
    return r;
}
VG_API CUresult cuLinkAddFile(CUlinkState l, int type, const char *path, unsigned n, int *options, void **values) {
    return cuLinkAddFile_v2(l, type, path, n, options, values);
}

VG_API CUresult cuLinkComplete(CUlinkState l, void **out, size_t *bytes) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    ptx_module *m = NULL;
    hone_err e = {0};
    if (!l->linked || ptx_parse(l->linked, l->linked_bytes - 1, &m, &e) != HONE_OK)
        return log_error(l, CUDA_ERROR_INVALID_PTX, "linked module", l->linked ? e.msg : "nothing was added");
    ptx_free(m);
    l->complete = true;
    *out = l->linked;
    if (bytes)
        *bytes = l->linked_bytes;
    return CUDA_SUCCESS;
}

VG_API CUresult cuLinkDestroy(CUlinkState l) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK))
        return CUDA_ERROR_INVALID_HANDLE;
    vg_handle_drop(l);
    for (size_t i = 0; i < l->texts.n; i++)
        hone_free(l->texts.v[i]);
    hone_vec_free(&l->texts);
    hone_free(l->linked);
    hone_free(l);
    return CUDA_SUCCESS;
}
