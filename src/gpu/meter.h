// meter: how long a physical device was kept at work, seen from the driver's functions. A device is at work from the moment something is
// sent to it until the host has waited for the end of everything sent. One meter per process: a worker has one physical device.
// threads: the one that uses the driver.
#ifndef HONE_GPU_METER_H
#define HONE_GPU_METER_H
#include "gpu/driver.h"

typedef struct hone_meter_reading {
    double first_s, last_s;   // monotonic clock: the first thing sent and the last wait ended; equal when nothing was sent
    double active_s;          // of that, with work sent and not waited for
    unsigned long launches;
} hone_meter_reading;
void hone_meter_install(hone_driver *d);             // puts itself before the driver's functions
void hone_meter_begin(void);                         // forgets what was read so far
void hone_meter_read(hone_meter_reading *r);
#endif
