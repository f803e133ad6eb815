// vgpu core data: decoded code, warps, blocks, launches, and the contract between the executor (exec.c), the handler
// families (op_*.c), memory (mem.c, op_mem.c) and the counters. One instruction works on 32 lanes.
//
// The register file of a warp is a byte array. Every operand of a decoded instruction is a byte offset from its start:
//
//   warp->file ─► [ r0: 32 × u32 ][ r1: 32 × u32 ] … [ wide: 32 × u64 ] … [ constants, broadcast ][ special registers ]
//
// 8-, 16- and 32-bit registers take a row of 32 × u32 (upper bits of narrower ones are unspecified on read: mask them;
// write them zero-extended); 64-bit ones a row of 32 × u64. Rows are 64-byte aligned. Immediates are rows too, filled once per
// warp from the kernel's template, so that handlers know only rows. Predicates are not rows: pred[i] is a lane mask.
#ifndef HONE_VGPU_WARP_H
#define HONE_VGPU_WARP_H
#include "ptx/ptx.h"
#include "vgpu/counters.h"
#include "vgpu/mem.h"
#include <stdatomic.h>

enum { VG_LANES = 32, VG_NO_PRED = 0xffff, VG_LANE_ALL = -1 };
typedef struct vg_warp vg_warp;
typedef struct vg_block vg_block;
typedef struct vg_launch vg_launch;
typedef struct vg_code vg_code;
typedef struct vg_inst vg_inst;

// Executes one decoded instruction for the lanes in w->active (the guard is already applied by the executor: `mask` is what to
// execute, never 0). Handlers write only lanes in mask. Control-flow handlers set w->next and w->event.
typedef void (*vg_handler)(vg_warp *w, const vg_inst *in, uint32_t mask);

struct vg_inst {
    vg_handler full;     // used when mask == 0xffffffff
    vg_handler masked;   // may equal full when the handler copes with any mask
    uint32_t d, a, b, c; // byte offsets into warp->file, or predicate indices for predicate operands
    int64_t imm;         // address offset, branch target (instruction index), barrier id, lut …
    uint16_t guard;      // predicate index or VG_NO_PRED
    uint8_t guard_neg;
    uint8_t pipe;        // vg_pipe
    uint32_t aux;        // family's own: predicate index, vector width, packed modifiers
    uint32_t index;      // own position in code->insts
    uint32_t block;      // basic block number
    const ptx_inst *src; // PTX line, source line, types: for findings and slow paths
};

struct vg_code {                       // one decoded function (entry or device function)
    const ptx_module *module;
    const ptx_func *func;
    vg_inst *insts; size_t n_insts;
    size_t file_bytes;                 // of a warp's register file for this function
    unsigned n_preds;
    uint8_t *template_rows; size_t template_at, template_bytes;   // constant rows copied into the file at warp start
    uint32_t *block_first; size_t n_blocks;                       // basic blocks: first instruction of each
    size_t local_bytes, shared_bytes, param_bytes;
    // offsets in the file of the special-register rows the code uses, 0 when unused, indexed by ptx_sreg
    uint32_t sreg_row[PTX_SREG_COUNT];
    uint32_t registers_estimate;       // live 32-bit registers at the worst point
    void *decode_private;
};

typedef enum vg_event {                // why a warp's run stopped
    VG_RUN, VG_EXITED, VG_AT_BARRIER, VG_BLOCKED /* waits for lanes or memory; try again later */, VG_YIELD /* spinning, nanosleep */,
    VG_FAULT
} vg_event;

struct vg_warp {
    uint8_t *file;                     // 64-byte aligned
    uint32_t *pred;
    uint32_t active;                   // lanes of the running split
    uint32_t live;                     // lanes that have not exited
    uint32_t next;                     // next instruction index of the running split
    vg_event event;
    vg_block *block;
    const vg_code *code;               // of the running split's frame
    uint8_t *local;                    // local memory of 32 lanes: lane-major, local_stride apart
    size_t local_stride;
    uint64_t warp_insts;               // executed since launch
    uint32_t index;                    // within the block
    uint32_t file_generation;
    vg_counter_sink *count;            // NULL when not counting
    void *exec_private;                // splits, call frames
};

struct vg_block {
    vg_launch *launch;
    uint32_t ctaid[3];
    uint64_t linear;
    uint8_t *shared; size_t shared_bytes;
    vg_shadow *shared_shadow;          // initialisation of shared memory, NULL when not checking
    vg_warp *warps; uint32_t n_warps;
    uint32_t sm;                       // modelled SM it runs on
    vg_counter_sink *count;
    void *exec_private;                // barriers
};

struct vg_launch {
    struct vg_context *ctx;            // allocations, findings, options
    const vg_code *code;
    uint32_t grid[3], block[3], cluster[3];
    uint32_t dynamic_shared;
    const uint8_t *params; size_t param_bytes;
    uint64_t shared_window, local_window, const_base;   // generic addresses of the windows
    uint32_t flags;                    // HONE_VGPU_*
    uint64_t schedule_seed, max_warp_insts, sample_warp_insts;
    uint32_t threads;
    bool cooperative;
    vg_counters *counters;             // NULL when not counting
    _Atomic uint32_t fault;            // CUresult of the first fault; blocks stop when it is not 0
};

static inline uint32_t *vg_u32(vg_warp *w, uint32_t off) { return (uint32_t *)(void *)(w->file + off); }
static inline int32_t *vg_s32(vg_warp *w, uint32_t off) { return (int32_t *)(void *)(w->file + off); }
static inline float *vg_f32(vg_warp *w, uint32_t off) { return (float *)(void *)(w->file + off); }
static inline uint64_t *vg_u64(vg_warp *w, uint32_t off) { return (uint64_t *)(void *)(w->file + off); }
static inline int64_t *vg_s64(vg_warp *w, uint32_t off) { return (int64_t *)(void *)(w->file + off); }
static inline double *vg_f64(vg_warp *w, uint32_t off) { return (double *)(void *)(w->file + off); }

// Binding: each handler family turns a ptx_inst into handlers and operands. The binder resolves operands to rows.
typedef struct vg_binder vg_binder;    // decode.c
uint32_t vg_bind_row(vg_binder *b, const ptx_operand *o, ptx_type as);     // row of a register, immediate, special register or symbol address
uint32_t vg_bind_pred(vg_binder *b, const ptx_operand *o);                 // predicate index; constants get their own; VG_NO_PRED for '_'
uint32_t vg_bind_scratch(vg_binder *b, unsigned rows32);                   // rows for a family's own use
// Records why a form is not supported and returns false, so families end with `return vg_unsupported(b, in, "…")`.
bool vg_unsupported(vg_binder *b, const ptx_inst *in, const char *why);
typedef bool (*vg_bind_fn)(vg_binder *b, const ptx_inst *in, vg_inst *out);
// One table per instruction-set build of the handlers (baseline, AVX2, AVX-512), indexed by family.
enum { VG_FAM_INT, VG_FAM_FLOAT, VG_FAM_DOUBLE, VG_FAM_HALF, VG_FAM_CVT, VG_FAM_LOGIC, VG_FAM_CMP, VG_FAM_MEM, VG_FAM_ATOM, VG_FAM_WARP,
       VG_FAM_CONTROL, VG_FAM_SPECIAL, VG_FAM_MMA, VG_FAM_COUNT };
typedef enum vg_pipe { VG_PIPE_INT, VG_PIPE_FP32, VG_PIPE_FP64, VG_PIPE_FP16, VG_PIPE_SFU, VG_PIPE_LSU, VG_PIPE_TENSOR, VG_PIPE_CONTROL, VG_PIPE_OTHER,
       VG_PIPE_COUNT } vg_pipe;

// A finding at this instruction and lane; fatal ones also set the launch's fault and w->event.
void vg_report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write,
               const char *fmt, ...) __attribute__((format(printf, 8, 9)));
void vg_fault(vg_warp *w, uint32_t curesult);
#endif
