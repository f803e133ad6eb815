// Entry points by name and version, from api.def, for cuGetProcAddress (info.c). The functions' real types do not matter here, so this file declares them all alike and
// includes no header that declares them.
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef void (*entry_point)(void);
entry_point vg_entry_point(const char *name, int version, bool per_thread, int *status);
enum { FOUND = 0, NO_SYMBOL = 1, VERSION_TOO_OLD = 2 };   // CUdriverProcAddressQueryResult

// First every function is declared, then the table takes their addresses. A row without a function (NONE) leaves no trace.
#define SECTION(title)
#define DECLARE_NONE(symbol, per_thread)
#define DECLARE_FULL(symbol, per_thread) void symbol(void); DECLARE2_##per_thread(symbol)
#define DECLARE_PART(symbol, per_thread) DECLARE_FULL(symbol, per_thread)
#define DECLARE_REFUSED(symbol, per_thread) DECLARE_FULL(symbol, per_thread)
#define DECLARE2_(symbol)
#define DECLARE2_ptsz(symbol) void symbol##_ptsz(void);
#define DECLARE2_ptds(symbol) void symbol##_ptds(void);
#define API(name, version, symbol, status, per_thread, note) DECLARE_##status(symbol, per_thread)
#include "vgpu/driver/api.def"
#undef API

typedef struct row { const char *name; int version; entry_point f, per_thread; } row;
#define ROW_NONE(name, version, symbol, per_thread)
#define ROW_FULL(name, version, symbol, per_thread) {name, version, symbol, THREAD_##per_thread(symbol)},
#define ROW_PART(name, version, symbol, per_thread) ROW_FULL(name, version, symbol, per_thread)
#define ROW_REFUSED(name, version, symbol, per_thread) ROW_FULL(name, version, symbol, per_thread)
#define THREAD_(symbol) NULL
#define THREAD_ptsz(symbol) symbol##_ptsz
#define THREAD_ptds(symbol) symbol##_ptds
#define API(name, version, symbol, status, per_thread, note) ROW_##status(#name, version, symbol, per_thread)
static const row rows[] = {
#include "vgpu/driver/api.def"
};

// The library's own functions (include/hone_vgpu.h) go by any version.
#define OWN(F)                                                                                                                       \
    F(honeVgpuSetOptions) F(honeVgpuGetOptions) F(honeVgpuTakeFindings) F(honeVgpuName) F(honeVgpuForget) F(honeVgpuUnwritten)       \
    F(honeVgpuSetResources) F(honeVgpuTakeLaunches) F(honeVgpuTakeLines) F(honeVgpuDeviceText) F(honeVgpuVersion) F(honeVgpuObserved) \
    F(honeVgpuShadowRead) F(honeVgpuShadowWrite) F(honeVgpuTakeShadowStats)
#define DECLARE_OWN(f) void f(void);
OWN(DECLARE_OWN)
#define ROW_OWN(f) {#f, 0, f, NULL},
static const row own[] = {OWN(ROW_OWN)};

entry_point vg_entry_point(const char *name, int version, bool per_thread, int *status) {
    const row *best = NULL;
    *status = NO_SYMBOL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0) {
            if (rows[i].version <= version && (!best || rows[i].version > best->version))
                best = &rows[i];
            *status = VERSION_TOO_OLD;
        }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(own[i].name, name) == 0)
            best = &own[i];
    if (!best)
        return NULL;
    *status = FOUND;
    return per_thread && best->per_thread ? best->per_thread : best->f;
}
