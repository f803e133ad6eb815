// Observing a bare kernel: one run on the virtual GPU with big buffers shows which pointers it reads and writes, how far, and whether it reads what
// it has not written. Used by `hone init`.
#ifndef HONE_CLI_OBSERVE_H
#define HONE_CLI_OBSERVE_H
#include "task/task.h"

typedef struct hone_observation {
    hone_arena *arena;
    hone_observed *params; size_t n;
} hone_observation;
// text: the bare file. launches: CUDA notation, in order. The kernel runs on zeros. errors: HONE_E_PARSE (launch or signature), HONE_E_COMPILE,
// HONE_E_DEVICE (the kernel faults), HONE_E_NO_DEVICE. owns: free with hone_observation_free.
hone_code hone_observe(const char *path, const char *text, size_t len, const hone_sizes *sizes, const char *const *launches, size_t n_launches,
                       hone_observation *out, hone_err *e);
void hone_observation_free(hone_observation *o);
#endif
