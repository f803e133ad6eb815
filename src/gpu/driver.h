// driver: the CUDA driver API as a table of functions, loaded at run time from the vendor's libcuda.so.1 or from hone's libhonegpu.so.
// Nothing above this table knows which of the two it talks to, except to label results. owns: the driver owns its library; it is freed
// last.
#ifndef HONE_GPU_DRIVER_H
#define HONE_GPU_DRIVER_H
#include "base/base.h"
#include "gpu/cuda_abi.h"
#include "hone_vgpu.h"

typedef struct hone_driver {
#define HONE_CU(member, params, needed, ...) CUresult(*member) params;
#include "gpu/driver.def"
#undef HONE_CU
    struct {   // NULL members on a vendor driver
#define HONE_VG(member, params, name) int(*member) params;
#include "gpu/vgpu.def"
#undef HONE_VG
        const char *(*DeviceText)(void);
        const char *(*Version)(void);
    } vgpu;
    void *library;
    char path[512];
    bool is_virtual;
    int version;                 // 13000 = CUDA 13.0
} hone_driver;

// Loads and initialises a driver. path: a library file or NULL for the usual places (virtual: HONE_LIBDIR, beside the executable, ../lib,
// then the loader's path). errors: HONE_E_NO_DEVICE naming the places tried, the missing function, or cuInit's answer.
hone_code hone_driver_load(bool is_virtual, const char *path, hone_driver **out, hone_err *e);
void hone_driver_free(hone_driver *d);

// Records a failed driver call: "cannot <what>: CUDA_ERROR_… (<text>)". HONE_E_NOMEM-like results keep HONE_E_DEVICE; sub = r.
hone_code hone_driver_fail(const hone_driver *d, CUresult r, hone_err *e, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// Whether a result leaves the context unusable until it is destroyed (illegal address, launch failure, assert …).
bool hone_result_is_sticky(int r);
// Whether a result says that the device itself is gone or broken: no kernel is to blame for it.
bool hone_result_is_loss(int r);
const char *hone_result_name(const hone_driver *d, int r);
#endif
