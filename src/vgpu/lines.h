// lines: counters per source line of a launch (lines.c).
#ifndef HONE_VGPU_LINES_H
#define HONE_VGPU_LINES_H
#include "vgpu/sample.h"

// Sums the counters of every instruction per source line (per PTX line where there is none), extrapolated as c->total is; by file and line.
// *chain_cycles: see vg_attribute. owns: *out by hone_free. errors: HONE_E_NOMEM.
hone_code vg_lines(const vg_device *d, const vg_counters *c, const honeVgpuModel *m, honeVgpuLine **out, uint32_t *n, double *chain_cycles, hone_err *e);
#endif
