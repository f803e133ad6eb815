// The modelled GPU: a table of numbers read from a device file, each with its source beside it. Absent is not zero: NaN.
#ifndef HONE_VGPU_DEVICE_H
#define HONE_VGPU_DEVICE_H
#include "base/base.h"

typedef enum vg_dev_key {
#define DEV(name, key, meaning) VG_DEV_##name,
#include "vgpu/device.def"
#undef DEV
    VG_DEV_COUNT
} vg_dev_key;

typedef struct vg_device {
    char id[24], name[64];              // "h200", "NVIDIA H200"
    double v[VG_DEV_COUNT];             // NaN when the file does not say
    char *text;                         // the file, as honeVgpuDeviceText returns it
} vg_device;

// spec: a built-in id ("h200", case ignored) or a path to a device file. errors: HONE_E_NO_DEVICE with the ids there are; HONE_E_PARSE file:line.
hone_code vg_device_load(const char *spec, vg_device *out, hone_err *e);
void vg_device_free(vg_device *d);
// The value, or what the model assumes when the file leaves it out (documented in device.c).
double vg_dev(const vg_device *d, vg_dev_key k);
bool vg_dev_has(const vg_device *d, vg_dev_key k);
const char *const *vg_device_ids(void); // NULL-terminated

typedef struct vg_occupancy {
    uint32_t blocks_per_sm, warps_per_block;
    double occupancy;                   // resident warps / maximum when the grid is large enough
    const char *limiter;                // "registers", "shared", "warps", "blocks"
} vg_occupancy;
// blocks_per_sm is 0 when one block does not fit. registers: per thread; shared_bytes: static + dynamic per block.
void vg_occupancy_of(const vg_device *d, uint32_t threads, uint32_t registers, uint32_t shared_bytes, vg_occupancy *out);
#endif
