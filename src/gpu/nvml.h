// nvml: readings of a physical GPU (clocks, temperature, power events, energy). Read only: hone never sets clocks or power limits.
// Optional: each reading says whether it is there. threads: one caller at a time.
#ifndef HONE_GPU_NVML_H
#define HONE_GPU_NVML_H
#include "base/base.h"
typedef struct hone_nvml hone_nvml;
typedef struct hone_nvml_reading {
    bool has_sm_mhz; unsigned sm_mhz;
    bool has_memory_mhz; unsigned memory_mhz;
    bool has_temperature_c; unsigned temperature_c;
    bool has_power_mw; unsigned power_mw;
    bool has_energy_mj; unsigned long long energy_mj;     // since the driver was loaded
    bool has_throttle; unsigned long long throttle;       // bits; see hone_nvml_slowed
} hone_nvml_reading;
// pci_bus_id: "0000:1B:00.0". errors: HONE_E_NO_DEVICE when the library or the device is missing.
hone_code hone_nvml_open(const char *pci_bus_id, hone_nvml **out, hone_err *e);
void hone_nvml_close(hone_nvml *n);                       // NULL is fine
void hone_nvml_read(hone_nvml *n, hone_nvml_reading *r);  // n NULL: everything absent
// Whether the reasons include a thermal or hardware slowdown: nothing to measure by.
bool hone_nvml_slowed(const hone_nvml_reading *r);
// Whether clocks are held down since the work draws as much power as the device may take: a property of that work.
bool hone_nvml_capped(const hone_nvml_reading *r);
#endif
