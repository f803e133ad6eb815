// The entry points of programs that are built with a per-thread default stream (nvcc --default-stream per-thread): the same calls, in which stream 0 is
// the calling thread's own.
#include "vgpu/driver/work.h"

#define PER_THREAD(name, suffix, parameters, arguments)      \
    CUresult name parameters;                                \
    VG_API CUresult name##_##suffix parameters {             \
        vg_default_is_per_thread = true;                     \
        CUresult r = name arguments;                         \
        vg_default_is_per_thread = false;                    \
        return r;                                            \
    }
#include "vgpu/driver/per_thread.def"
