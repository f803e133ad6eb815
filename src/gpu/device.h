// device: a chosen device with a context, and the facts about it. Device strings: "virtual:NAME" (a modelled GPU, or a path to a device
// file), "cuda:N", "auto" (cuda:0 when there is one, else virtual:h200).
#ifndef HONE_GPU_DEVICE_H
#define HONE_GPU_DEVICE_H
#include "base/build.h"
#include "gpu/driver.h"

typedef struct hone_device_info {
    char spec[256];                  // as asked for, "auto" resolved
    char name[96];
    bool is_virtual;
    uint32_t cc;                     // 90 = compute capability 9.0
    uint32_t sms, warp_size, max_threads_per_block, threads_per_sm, blocks_per_sm;
    uint32_t registers_per_block, registers_per_sm;
    uint32_t shared_per_block, shared_per_block_optin, shared_per_sm;   // bytes
    size_t l2_bytes, memory_bytes;
    bool has_clock_mhz; double clock_mhz;
    bool has_bandwidth; double bandwidth_gbs;   // peak, from memory clock and bus width
    bool cooperative;
    int driver_version;
    char driver_build[HONE_BUILD_ID];   // of the library behind it; empty when it has none
    uint32_t index, count;           // ordinal of this device, and how many the driver knows
    char pci_bus_id[32];             // physical: to find the same device through NVML; empty when unknown
} hone_device_info;

typedef struct hone_device {
    hone_driver *driver;             // owned unless `borrowed_driver`
    bool borrowed_driver;
    CUdevice ordinal;
    CUcontext context;
    hone_device_info info;
} hone_device;

// Opens the driver, the device and a context, which becomes current. errors: HONE_E_USAGE for a malformed string, HONE_E_NO_DEVICE.
hone_code hone_device_open(const char *spec, hone_device **out, hone_err *e);
// A second context on the same device and driver (borrowed: close it before the first). The new one becomes current.
hone_code hone_device_clone(hone_device *of, hone_device **out, hone_err *e);
// Destroys the context with everything in it and makes a new one: the way out of a sticky error.
hone_code hone_device_reset(hone_device *d, hone_err *e);
hone_code hone_device_use(hone_device *d, hone_err *e);      // makes its context current
void hone_device_close(hone_device *d);
// The facts of a physical device ("cuda:N") without a context on it: what a worker needs that only compiles for it.
// errors: as hone_device_open.
hone_code hone_device_facts(const char *spec, hone_device_info *info, hone_err *e);
// Runs a kernel of one thread and reads what it wrote. errors: HONE_E_NO_DEVICE: the device does not compute any more.
hone_code hone_device_health(hone_device *d, hone_err *e);
// Device memory for `what` ("'x', set 2 of 16"). errors: HONE_E_DEVICE with sub CUDA_ERROR_OUT_OF_MEMORY, saying how much was needed and how
// much is free.
hone_code hone_device_alloc(hone_device *d, size_t bytes, const char *what, CUdeviceptr *out, hone_err *e);
size_t hone_device_free_bytes(const hone_device *d);          // 0 when the driver does not say
// Reads the facts of device `ordinal` without making a context.
hone_code hone_device_describe(const hone_driver *drv, int ordinal, hone_device_info *info, hone_err *e);
#endif
