// A context of the virtual GPU: its memory, its options, what its sanitizer found, where device printf goes. The driver front
// (driver/*) creates contexts and modules; the executor (exec.c) and the handlers only read them through launch->ctx.
//
// `.global` and `.const` variables are allocations of vg_memory; the constant space is addressed by device addresses too (const_base is 0,
// cvta.const is the identity). Generic addresses of the kernel's parameters (cvta.param) are VG_PARAM_WINDOW + offset.
#ifndef HONE_VGPU_CONTEXT_H
#define HONE_VGPU_CONTEXT_H
#include "hone_vgpu.h"
#include "ptx/ptx.h"
#include "vgpu/mem.h"
#include "vgpu/warp.h"

#define VG_PARAM_WINDOW 0x00007d0000000000ull   /* generic address of the entry parameters */

typedef struct vg_findings vg_findings;
typedef struct vg_fs_stats {           // what shadow launches (fpshadow.h) could not follow; they run on one host thread
    uint64_t results;                  // floats computed with a shadow
    uint64_t lost;                     // results whose shadow was given up: the operation in binary64 does not give the value
    uint64_t rederived;                // inexact floats whose bits an integer instruction took apart: the value starts again
    char kernel[96];                   // of the first lost one
    uint32_t ptx_line;
} vg_fs_stats;

typedef struct vg_context {
    vg_memory *memory;
    vg_findings *findings;
    honeVgpuOptions options;                 // size set; copied at each launch
    const struct vg_device *device;          // the modelled device
    vg_fs_stats fs;
    struct vg_race_global *races;            // race.h; NULL until a launch asks for it
    // Device printf text, whole lines or parts of them in execution order; called from any host thread (locks itself). NULL: dropped.
    void (*print)(void *self, const char *text, size_t bytes);
    void *print_self;
    struct vg_textures *textures;            // texture and surface objects (texture.h), NULL while there are none
    size_t heap_bytes;                       // limit of device-side malloc
    _Atomic size_t heap_used;
} vg_context;

// errors: HONE_E_NOMEM. owns: free with vg_context_free; the options are the defaults (CHECK).
hone_code vg_context_new(const struct vg_device *device, size_t memory_bytes, vg_context **out, hone_err *e);
void vg_context_free(vg_context *c);

// A loaded module: the tree, its variables' allocations, the decoded functions.
typedef struct vg_symbol { const ptx_var *var; vg_alloc *alloc; } vg_symbol;   // of .global and .const variables; extern ones have no alloc
typedef struct vg_module {
    vg_context *ctx;
    ptx_module *ptx;
    vg_symbol *symbols; size_t n_symbols;
    vg_program *program;
    vg_program *fs_program;                  // the same with binary64 shadows; NULL until the first such launch
} vg_module;
// Parses PTX, allocates and initialises its variables, decodes every function. errors: HONE_E_PARSE, HONE_E_UNSUPPORTED, HONE_E_NOMEM.
hone_code vg_module_load(vg_context *c, const char *ptx, size_t len, vg_module **out, hone_err *e);
// The function's code for launches with HONE_VGPU_SHADOW, decoded at the first of them. errors: HONE_E_NOMEM.
hone_code vg_module_shadow_code(vg_module *m, const vg_code *code, const vg_code **out, hone_err *e);
void vg_module_free(vg_module *m);
// The module-scope .global or .const variable of that name, or NULL. Its device address is alloc->base.
const vg_symbol *vg_module_symbol(const vg_module *m, const char *name);

// Findings (findings.c). threads: any; the store locks itself. vg_report and vg_fault (warp.h) are there too.
vg_findings *vg_findings_new(void);
void vg_findings_free(vg_findings *f);
void vg_findings_clear(vg_findings *f);
// Copies at most cap, oldest first, forgets all, returns how many there were.
uint32_t vg_findings_take(vg_findings *f, honeVgpuFinding *out, uint32_t cap);
uint32_t vg_findings_count(vg_findings *f);
#endif
