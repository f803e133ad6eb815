// Time that passes only where a test's device works: preloaded into hone (LD_PRELOAD) beside the driver of physical_driver.c. In workers CLOCK_MONOTONIC moves by
// a microsecond a look, by what somebody sleeps, and by what the driver's timeline waits for (hone_fake_clock_skip); nobody sleeps for real. So windows of
// half a second cost no time, and how busy the machine is shows in no result. Every other process and every other clock is left alone.
#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
enum { LOOK_NS = 1000 };
static _Atomic int64_t clock_ns;    // 0: not a worker

static int64_t ns_of(const struct timespec *t) { return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec; }

// A worker is `hone worker …`: the second word of its command line.
__attribute__((constructor)) static void begin(void) {
    char words[512];
    FILE *f = fopen("/proc/self/cmdline", "r");
    size_t n = f ? fread(words, 1, sizeof words - 1, f) : 0;
    struct timespec t;
    if (f)
        fclose(f);
    words[n] = 0;
    const size_t first = strlen(words) + 1;
    if (first < n && strcmp(words + first, "worker") == 0 && ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(CLOCK_MONOTONIC, &t) == 0)
        clock_ns = ns_of(&t);
}

API int hone_fake_clock_skip(double seconds) {
    if (!clock_ns)
        return 0;
    clock_ns += (int64_t)(seconds * 1e9);
    return 1;
}

API int clock_gettime(clockid_t id, struct timespec *t) {
    if (!clock_ns || id != CLOCK_MONOTONIC)
        return ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(id, t);
    const int64_t now = atomic_fetch_add(&clock_ns, LOOK_NS);
    *t = (struct timespec){now / 1000000000, now % 1000000000};
    return 0;
}

API int nanosleep(const struct timespec *t, struct timespec *left) {
    if (!clock_ns)
        return ((int (*)(const struct timespec *, struct timespec *))dlsym(RTLD_NEXT, "nanosleep"))(t, left);
    clock_ns += ns_of(t);
    sched_yield();
    return 0;
}
