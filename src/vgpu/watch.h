// watch: instructions under observation. What only a sanitizing launch needs (races on global memory, uninitialised local memory and registers)
// costs other launches nothing: the handlers of the instructions concerned are exchanged for one that looks first and then calls them.
#ifndef HONE_VGPU_WATCH_H
#define HONE_VGPU_WATCH_H
#include "vgpu/warp.h"

// Makes the program's handlers fit a launch with these HONE_VGPU_* flags. False: no memory. threads: no launch of the program may be running
// with other flags (a context runs one launch at a time).
bool vg_watch(vg_program *p, uint32_t flags);
void vg_watch_free(vg_program *p);
// Registers that may be read before they are written: how many, for the frames that carry their masks (vg_frame.defined).
unsigned vg_watch_registers(const vg_code *code);

// op_watch.c: do the 32 values of a row rise by one step? One build per instruction set.
typedef bool (*vg_linear_fn)(const uint64_t *row, uint64_t *step);
bool vg_watch_linear_baseline(const uint64_t *row, uint64_t *step);
bool vg_watch_linear_avx2(const uint64_t *row, uint64_t *step);
bool vg_watch_linear_avx512(const uint64_t *row, uint64_t *step);
#endif
