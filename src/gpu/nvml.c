// NVML by dlopen, read only. A function that is missing or answers with an error makes its reading absent.
#include "gpu/nvml.h"
#include <dlfcn.h>

typedef struct nvmlDevice_st *nvmlDevice_t;
enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, TEMPERATURE_GPU = 0 };
enum { SW_POWER_CAP = 0x4, HW_SLOWDOWN = 0x8, SW_THERMAL = 0x20, HW_THERMAL = 0x40, HW_POWER_BRAKE = 0x80 };   // nvmlClocksEventReasons

struct hone_nvml {
    void *library;
    nvmlDevice_t device;
    int (*init)(void);
    int (*shutdown)(void);
    int (*by_bus_id)(const char *id, nvmlDevice_t *d);
    int (*by_index)(unsigned i, nvmlDevice_t *d);
    int (*clock)(nvmlDevice_t d, int which, unsigned *mhz);
    int (*temperature)(nvmlDevice_t d, int which, unsigned *c);
    int (*power)(nvmlDevice_t d, unsigned *mw);
    int (*energy)(nvmlDevice_t d, unsigned long long *mj);
    int (*reasons)(nvmlDevice_t d, unsigned long long *bits);
};

static void load(void *library, const char *name, const char *older, void *member) {
    void *p = dlsym(library, name);
    if (!p && older)
        p = dlsym(library, older);
    *(void **)member = p;
}

static void load_all(hone_nvml *n) {
    void *l = n->library;
    load(l, "nvmlInit_v2", "nvmlInit", &n->init);
    load(l, "nvmlShutdown", NULL, &n->shutdown);
    load(l, "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId", &n->by_bus_id);
    load(l, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex", &n->by_index);
    load(l, "nvmlDeviceGetClockInfo", NULL, &n->clock);
    load(l, "nvmlDeviceGetTemperature", NULL, &n->temperature);
    load(l, "nvmlDeviceGetPowerUsage", NULL, &n->power);
    load(l, "nvmlDeviceGetTotalEnergyConsumption", NULL, &n->energy);
    load(l, "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons", &n->reasons);
}

hone_code hone_nvml_open(const char *pci_bus_id, hone_nvml **out, hone_err *e) {
    hone_nvml *n = hone_calloc(1, sizeof *n);
    if (!n)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for NVML");
    n->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (n->library)
        load_all(n);
    if (!n->library || !n->init || n->init() != 0) {
        hone_nvml_close(n);
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "cannot load 'libnvidia-ml.so.1': clocks and energy stay unknown");
    }
    bool found = (n->by_bus_id && pci_bus_id && *pci_bus_id && n->by_bus_id(pci_bus_id, &n->device) == 0) ||
                 (n->by_index && n->by_index(0, &n->device) == 0);
    if (!found) {
        hone_nvml_close(n);
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "NVML does not know the device '%s'", pci_bus_id ? pci_bus_id : "");
    }
    *out = n;
    return HONE_OK;
}

void hone_nvml_close(hone_nvml *n) {
    if (!n)
        return;
    if (n->device && n->shutdown)
        n->shutdown();
    if (n->library)
        dlclose(n->library);
    hone_free(n);
}

void hone_nvml_read(hone_nvml *n, hone_nvml_reading *r) {
    *r = (hone_nvml_reading){0};
    if (!n)
        return;
    r->has_sm_mhz = n->clock && n->clock(n->device, CLOCK_SM, &r->sm_mhz) == 0;
    r->has_memory_mhz = n->clock && n->clock(n->device, CLOCK_MEMORY, &r->memory_mhz) == 0;
    r->has_temperature_c = n->temperature && n->temperature(n->device, TEMPERATURE_GPU, &r->temperature_c) == 0;
    r->has_power_mw = n->power && n->power(n->device, &r->power_mw) == 0;
    r->has_energy_mj = n->energy && n->energy(n->device, &r->energy_mj) == 0;
    r->has_throttle = n->reasons && n->reasons(n->device, &r->throttle) == 0;
}

bool hone_nvml_slowed(const hone_nvml_reading *r) {
    return r->has_throttle && (r->throttle & (HW_SLOWDOWN | SW_THERMAL | HW_THERMAL | HW_POWER_BRAKE));
}

bool hone_nvml_capped(const hone_nvml_reading *r) { return r->has_throttle && (r->throttle & SW_POWER_CAP); }
