// Using the fake driver (fake_driver.c) from a test: load it as a driver table and reach its controls. Include after cmocka.h.
#ifndef FAKE_DRIVER_H
#define FAKE_DRIVER_H
#include "gpu/device.h"
#include <dlfcn.h>
typedef struct fake_counts { long contexts, modules, allocations, streams, events, launches, calls; } fake_counts;
typedef struct fake {
    void (*answer)(const char *name, CUresult r, long from_call);
    fake_counts (*counts)(void);
    void (*event_ms)(float ms);
    void (*event_source)(float (*source)(void *self, const void *image), void *self);   // times from a function
} fake;
#define FAKE_PATH BUILD_DIR "/libfakedriver.so"
static inline bool fake_open(fake *f) {
    void *l = dlopen(FAKE_PATH, RTLD_NOW | RTLD_LOCAL);
    if (!l)
        return false;
    *(void **)&f->answer = dlsym(l, "fakeFail");
    *(void **)&f->counts = dlsym(l, "fakeCounts");
    *(void **)&f->event_ms = dlsym(l, "fakeEventMs");
    *(void **)&f->event_source = dlsym(l, "fakeEventSource");
    return f->answer && f->counts && f->event_ms && f->event_source;
}
static inline bool fake_nothing_left(const fake *f) {
    fake_counts c = f->counts();
    return !c.contexts && !c.modules && !c.allocations && !c.streams && !c.events;
}
#endif
