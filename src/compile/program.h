// program: a compiled file loaded on a device, its kernels looked up, and a launch plan sent to it. Both devices take the same path; the
// virtual GPU gets the PTX and ptxas's resource numbers, a physical one the cubin. It allocates no buffers and measures nothing.
#ifndef HONE_PROGRAM_H
#define HONE_PROGRAM_H
#include "compile/compile.h"

typedef struct hone_program {
    hone_device *device;             // borrowed
    const hone_compiled *compiled;   // borrowed
    CUmodule module;
    bool jit;                        // physical: the driver refused the cubin (209, no binary for this GPU) and compiled the PTX by itself
    struct hone_program_kernel { char name[128]; CUfunction f; int max_dynamic; } *kernels;
    size_t n_kernels;
} hone_program;
// Loads the module for the kernels that `plan` launches. errors: HONE_E_DEVICE, HONE_E_UNSUPPORTED (the virtual GPU does not know an
// instruction; the driver's words are in the message), HONE_E_PARSE for a missing kernel.
hone_code hone_program_load(hone_device *d, const hone_compiled *k, const hone_plan *plan, hone_program **out, hone_err *e);
void hone_program_free(hone_program *p);
// Sends every launch of the plan to the stream, in order. buffers: device addresses, in the plan's order. Does not synchronise.
// after: called after each launch when not NULL (the virtual GPU's counters are taken there).
typedef struct hone_launch_hook { hone_code (*after)(void *self, size_t launch, hone_err *e); void *self; } hone_launch_hook;
hone_code hone_program_launch(hone_program *p, const hone_plan *plan, const CUdeviceptr *buffers, CUstream stream,
                              const hone_launch_hook *hook, hone_err *e);
#endif
