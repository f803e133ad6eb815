// The monotonic clock behind hone_clock. See clock.h.
#include "base/clock.h"
#include <stddef.h>
#include <time.h>

static double monotonic_now_s(void *self) {
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

hone_clock hone_clock_monotonic(void) { return (hone_clock){.now_s = monotonic_now_s, .self = NULL}; }
