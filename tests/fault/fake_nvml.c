// A libnvidia-ml.so.1 whose answers a test writes down. Nothing in it can set anything, as in what hone uses of the real one. HONE_FAKE_NVML holds words:
//   tick=S        the energy counter moves so often; default 0.02
//   watts=W       energy per time; default 300, or HONE_FAKE_WATTS, which may change on the way
//   celsius=C     temperature; default 50        heats=C    and so many degrees more every second
//   mhz=M         SM clock; default 1980
//   reasons=BITS  clock event reasons; default 0
//   no=NAME       this function answers NVML_ERROR_NOT_SUPPORTED (may be repeated), like no=nvmlDeviceGetTotalEnergyConsumption
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API __attribute__((visibility("default")))
enum { OK = 0, NOT_SUPPORTED = 3 };
typedef void *nvmlDevice_t;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double word(const char *name, double otherwise) {
    const char *text = getenv("HONE_FAKE_NVML"), *at = text ? strstr(text, name) : NULL;
    return at ? strtod(at + strlen(name), NULL) : otherwise;
}
static int refused(const char *name) {
    char key[96];
    const char *text = getenv("HONE_FAKE_NVML");
    snprintf(key, sizeof key, "no=%s", name);
    return text && strstr(text, key) ? NOT_SUPPORTED : OK;
}
static double watts(void) {
    const char *now = getenv("HONE_FAKE_WATTS");
    return now && *now ? strtod(now, NULL) : word("watts=", 300);
}

// Joules, summed up between looks, as of the last tick.
static double counted(double tick) {
    static double joules, shown, last, tick_at;
    double t = seconds();
    if (last <= 0)
        joules = shown = 300 * t;
    else
        joules += watts() * (t - last);
    last = t;
    if (floor(t / tick) > tick_at) {
        tick_at = floor(t / tick);
        shown = joules;
    }
    return shown;
}
#define ANSWER(to, value)           \
    do {                            \
        if (refused(__func__))      \
            return NOT_SUPPORTED;   \
        (void)d;                    \
        *(to) = (value);            \
        return OK;                  \
    } while (0)

API int nvmlInit_v2(void) { return refused(__func__); }
API int nvmlShutdown(void) { return OK; }
API int nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *d) { return *d = (void *)1, id ? OK : NOT_SUPPORTED; }
API int nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *d) { return *d = (void *)1, i == 0 ? OK : NOT_SUPPORTED; }
API int nvmlDeviceGetClockInfo(nvmlDevice_t d, int which, unsigned *mhz) { ANSWER(mhz, which == 1 ? (unsigned)word("mhz=", 1980) : 2619); }
API int nvmlDeviceGetTemperature(nvmlDevice_t d, int which, unsigned *c) {
    (void)which;
    static double from;
    from = from > 0 ? from : seconds();
    ANSWER(c, (unsigned)(word("celsius=", 50) + word("heats=", 0) * (seconds() - from)));
}
API int nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned *mw) { ANSWER(mw, (unsigned)(watts() * 1e3)); }
API int nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj) {
    double tick = word("tick=", 0.02);
    ANSWER(mj, (unsigned long long)(counted(tick) * 1e3));
}
API int nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t d, unsigned long long *bits) { ANSWER(bits, (unsigned long long)word("reasons=", 0)); }
