// workload: a task's buffers at one size on one device, filled once and kept between candidates. Inputs are never written by hone again;
// outputs and scratch are poisoned and inouts restored before a run. A workload may hold several sets (copies with other contents), so that
// consecutive timed launches do not find their data in the L2 cache.
#ifndef HONE_WORKLOAD_H
#define HONE_WORKLOAD_H
#include "compile/program.h"

enum { HONE_MAX_SETS = 64 };
typedef struct hone_workload {
    hone_device *device;             // borrowed
    const hone_plan *base;           // the task's own plan: contract buffers; borrowed
    uint64_t seed;
    unsigned n_sets, threads;
    CUdeviceptr *at;                 // (n_sets, base->n_buffers); 0 for scratch
    CUdeviceptr *pristine;           // (n_sets, base->n_buffers); inout only
    size_t bytes;                    // on the device
} hone_workload;
// n_sets: 1 … HONE_MAX_SETS; contents of set i come from seed + i and do not depend on `threads`, the number of host threads that make
// them. errors: HONE_E_DEVICE (out of device memory), HONE_E_NOMEM.
hone_code hone_workload_open(hone_device *d, const hone_plan *base, uint64_t seed, unsigned n_sets, unsigned threads, hone_workload **out,
                             hone_err *e);
void hone_workload_close(hone_workload *w);
// How many sets make `l2_multiple` × the L2 cache, at most HONE_MAX_SETS and max_bytes in all.
unsigned hone_workload_sets_for(const hone_plan *base, size_t l2_bytes, unsigned l2_multiple, size_t max_bytes);

// A candidate's view: addresses of its plan's buffers. Contract buffers are the workload's, scratch is its own.
typedef struct hone_bound {
    hone_workload *w;
    const hone_plan *plan;
    CUdeviceptr *at;                 // (n_sets, plan->n_buffers)
} hone_bound;
hone_code hone_bound_make(hone_workload *w, const hone_plan *plan, hone_bound *out, hone_err *e);
void hone_bound_free(hone_bound *b);
const CUdeviceptr *hone_bound_set(const hone_bound *b, unsigned set);   // addresses in the plan's order
// Outputs and scratch get the byte `poison`, inouts their first contents. Synchronous with respect to the default stream.
hone_code hone_bound_reset(const hone_bound *b, unsigned set, uint8_t poison, hone_err *e);
// Inouts get their first contents, in the stream. errors: HONE_E_DEVICE. The driver must have MemcpyDtoDAsync.
hone_code hone_bound_restore(const hone_bound *b, unsigned set, CUstream stream, hone_err *e);
// Copies one buffer of the plan to the host. owns: *out by hone_free.
hone_code hone_bound_read(const hone_bound *b, unsigned set, size_t buffer, void **out, hone_err *e);
#endif
