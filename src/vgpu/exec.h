// exec: decode a PTX module into programs and run launches. decode.c builds, exec.c and sched.c run. Callers: driver/ and unit tests.
#ifndef HONE_VGPU_EXEC_H
#define HONE_VGPU_EXEC_H
#include "vgpu/warp.h"

// Device address of a module-scope .global or .const variable; 0 when there is none (an extern that was not linked).
typedef uint64_t (*vg_resolve_fn)(void *user, const ptx_var *var);

// Decodes every function of the module. `m` must outlive the program. errors: HONE_E_UNSUPPORTED "ptx:LINE:COL: …", HONE_E_NOMEM.
hone_code vg_program_build(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e);
// The same without linear rows (linear.h): every register's values are in its row after every instruction. For tests and for modes that look at rows.
hone_code vg_program_build_on_values(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e);
// The same for launches with HONE_VGPU_SHADOW: every handler also keeps binary64 shadows (fpshadow.h).
hone_code vg_program_build_shadow(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e);
// The same, but instructions that are not implemented are recorded: *out is NULL when issues->n grew, and HONE_OK is returned.
hone_code vg_program_build_all(const ptx_module *m, vg_resolve_fn resolve, void *user, ptx_issues *issues, vg_program **out, hone_err *e);
void vg_program_free(vg_program *p);
// By name, entries and device functions; NULL when there is none. Entry codes carry shared_bytes (static), local_bytes (per thread),
// param_bytes and registers_estimate.
const vg_code *vg_program_find(const vg_program *p, const char *name);

// Runs a launch to its end. The caller fills vg_launch up to `counters`; l->fault holds the CUresult afterwards (0: success).
// With HONE_VGPU_SAMPLE only some blocks run. errors: HONE_E_NOMEM (host memory for blocks); faults of the kernel are no error here.
// threads: several launches may run at once from several host threads.
hone_code vg_exec_launch(vg_launch *l, hone_err *e);
// Shared memory of a block: static, then the dynamic part at its alignment.
size_t vg_shared_total(const vg_code *code, uint32_t dynamic_shared);

// CUresult values that the executor sets.
enum { VG_CU_ILLEGAL_ADDRESS = 700, VG_CU_LAUNCH_TIMEOUT = 702, VG_CU_ASSERT = 710, VG_CU_ILLEGAL_INSTRUCTION = 715, VG_CU_MISALIGNED = 716,
       VG_CU_INVALID_PC = 718, VG_CU_LAUNCH_FAILED = 719, VG_CU_OUT_OF_MEMORY = 2 };

// The instruction set that handlers run with: "baseline", "avx2" or "avx512" (by cpuid; HONE_VGPU_ISA overrides downwards).
const char *vg_isa_name(void);
const vg_bind_fn *vg_families(void);   // [VG_FAM_COUNT] for that instruction set
#endif
