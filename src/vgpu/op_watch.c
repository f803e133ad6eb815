// The one test of the sanitizer's that runs for every global access (watch.c): are the 32 addresses of a row in one linear pattern? Once per
// instruction set, because it is all vector arithmetic.
#include "vgpu/mem_row.h"
#include "vgpu/watch.h"

bool VG_NAME(vg_watch_linear)(const uint64_t *row, uint64_t *step) { return linear64_full(__builtin_assume_aligned(row, 64), step); }
