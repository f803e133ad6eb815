// What keeps a physical device busy while its energy counter is read: chunks of a few milliseconds of runs, two in flight, so that the device never
// waits for the host. Runs go over all sets in turn; inouts get their first contents in the stream before each run, in both arms alike.
#include "measure/energy.h"
#include "measure/runs.h"
#include <time.h>

enum { IN_FLIGHT = 2, MAX_CHUNK = 512 };
typedef struct loop {
    const hone_driver *drv;
    hone_nvml *nvml;
    hone_clock clock;
    CUstream stream;
    CUevent ended[IN_FLIGHT], from, to;
    hone_runs chunk[2];
    unsigned arm, head, flying;
    unsigned long long done;
} loop;

#define CU(l, call, ...)                                            \
    do {                                                            \
        CUresult cu_ = (call);                                      \
        if (cu_ != CUDA_SUCCESS)                                    \
            return hone_driver_fail((l)->drv, cu_, e, __VA_ARGS__); \
    } while (0)

static void read_nvml(void *self, hone_nvml_reading *r) { hone_nvml_read(((loop *)self)->nvml, r); }
static double now_s(void *self) { return hone_now_s(&((loop *)self)->clock); }
static void pause_s(void *self, double s) {
    (void)self;
    nanosleep(&(struct timespec){0, (long)(s * 1e9)}, NULL);
}

static hone_code send(loop *l, hone_err *e) {
    unsigned slot = (l->head + l->flying) % IN_FLIGHT;
    HONE_TRY(hone_runs_send(&l->chunk[l->arm], e));
    CU(l, l->drv->EventRecord(l->ended[slot], l->stream), "record an event");
    l->flying++;
    return HONE_OK;
}

// Counts the oldest chunk when it has ended; waits for it where the driver cannot be asked.
static hone_code reap(loop *l, bool wait, hone_err *e) {
    CUresult r = CUDA_ERROR_NOT_READY;
    if (!wait && l->drv->EventQuery)
        r = l->drv->EventQuery(l->ended[l->head]);
    else
        r = l->drv->EventSynchronize(l->ended[l->head]);
    if (r == CUDA_ERROR_NOT_READY)
        return HONE_OK;
    CU(l, r, "finish runs");
    l->head = (l->head + 1) % IN_FLIGHT;
    l->flying--;
    l->done += l->chunk[l->arm].n;
    return HONE_OK;
}

static hone_code start(void *self, unsigned arm, hone_err *e) {
    loop *l = self;
    l->arm = arm;
    l->head = l->flying = 0;
    l->done = 0;
    return send(l, e);
}

static hone_code work(void *self, unsigned long long *done, hone_err *e) {
    loop *l = self;
    while (l->flying < IN_FLIGHT)
        HONE_TRY(send(l, e));
    HONE_TRY(reap(l, false, e));
    while (l->flying < IN_FLIGHT)
        HONE_TRY(send(l, e));
    *done = l->done;
    return HONE_OK;
}

static hone_code stop(void *self, hone_err *e) {
    loop *l = self;
    while (l->flying)
        HONE_TRY(reap(l, true, e));
    return HONE_OK;
}

// Runs that take about 4 ms, as one graph where possible.
static hone_code make_chunk(loop *l, const hone_arm *arm, unsigned i, hone_err *e) {
    unsigned sets = arm->bound->w->n_sets;
    bool restore = hone_plan_has_inout(arm->bound->plan);
    hone_runs one = {0};
    float ms = 0;
    HONE_TRY(hone_runs_make(arm, l->stream, sets, 8, false, restore, &one, e));
    HONE_TRY(hone_runs_send(&one, e));
    CU(l, l->drv->EventRecord(l->from, l->stream), "record an event");
    HONE_TRY(hone_runs_send(&one, e));
    CU(l, l->drv->EventRecord(l->to, l->stream), "record an event");
    CU(l, l->drv->EventSynchronize(l->to), "finish runs");
    CU(l, l->drv->EventElapsedTime(&ms, l->from, l->to), "read the time between two events");
    unsigned n = ms > 0 ? (unsigned)(4 / (ms / 8)) : MAX_CHUNK;
    n = n < 1 ? 1 : n > MAX_CHUNK ? MAX_CHUNK : n;
    return hone_runs_make(arm, l->stream, sets, n, n > 1, restore, &l->chunk[i], e);
}

static hone_code open_loop(loop *l, const hone_arm *a, const hone_arm *b, hone_err *e) {
    CU(l, l->drv->StreamCreate(&l->stream, 0), "make a stream");
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        CU(l, l->drv->EventCreate(&l->ended[i], CU_EVENT_DEFAULT_FLAG), "make an event");
    CU(l, l->drv->EventCreate(&l->from, CU_EVENT_DEFAULT_FLAG), "make an event");
    CU(l, l->drv->EventCreate(&l->to, CU_EVENT_DEFAULT_FLAG), "make an event");
    HONE_TRY(make_chunk(l, a, 0, e));
    return b ? make_chunk(l, b, 1, e) : HONE_OK;
}

static void close_loop(loop *l) {
    CUevent all[] = {l->ended[0], l->ended[1], l->from, l->to};
    for (unsigned i = 0; i < 2; i++)
        hone_runs_free(&l->chunk[i]);
    for (unsigned i = 0; i < HONE_COUNT(all); i++)
        if (all[i])
            l->drv->EventDestroy(all[i]);
    if (l->stream)
        l->drv->StreamDestroy(l->stream);
}

hone_code hone_measure_energy(const hone_arm *a, const hone_arm *b, hone_nvml *nvml, const hone_energy_config *c, hone_energy *out, hone_err *e) {
    *out = (hone_energy){0};
    if (!nvml)
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "NVML is not available: energy is unknown");
    hone_nvml_reading r;
    hone_nvml_read(nvml, &r);   // before anything is sent: making chunks of runs takes time
    if (!r.has_energy_mj && !r.has_power_mw)
        return hone_energy_no_source(e);
    loop l = {.drv = a->bound->w->device->driver, .nvml = nvml, .clock = hone_clock_monotonic()};
    hone_energy_source s = {&l, read_nvml, now_s, pause_s, start, work, stop};
    hone_code code = open_loop(&l, a, b, e);
    if (code == HONE_OK)
        code = hone_energy_measure(&s, b != NULL, c, out, e);
    close_loop(&l);
    return code;
}
