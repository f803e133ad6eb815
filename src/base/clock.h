// The only clock. Passed in where time matters, so that tests and replays control it.
#ifndef HONE_BASE_CLOCK_H
#define HONE_BASE_CLOCK_H
#include <stdint.h>
typedef struct hone_clock { double (*now_s)(void *self); void *self; } hone_clock;   // monotonic seconds
hone_clock hone_clock_monotonic(void);
static inline double hone_now_s(const hone_clock *c) { return c->now_s(c->self); }
#endif
