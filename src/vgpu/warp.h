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
//
// Aliasing: a destination row is the same row as a source only when the PTX names the same register (rows never overlap partly),
// so lane-by-lane loops are safe, while a handler that moves data between lanes, or writes one destination before it reads another
// source, copies its sources first.
#ifndef HONE_VGPU_WARP_H
#define HONE_VGPU_WARP_H
#include "ptx/ptx.h"
#include "vgpu/counters.h"
#include "vgpu/mem.h"
#include <stdatomic.h>

enum { VG_LANES = 32, VG_NO_PRED = 0xffff, VG_LANE_ALL = -1 };
#define VG_NO_ROW UINT32_MAX
typedef struct vg_warp vg_warp;
typedef struct vg_block vg_block;
typedef struct vg_launch vg_launch;
typedef struct vg_code vg_code;
typedef struct vg_inst vg_inst;
typedef struct vg_program vg_program;   // all functions of a module, decoded: exec.h

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
    uint32_t aux;        // family's own: fourth source row, predicate index, vector width, packed modifiers
    uint32_t index;      // own position in code->insts (= position of src in func->insts)
    uint16_t aux2;       // family's own
    uint8_t ctl;         // executor: enum vg_ctl (control.c), 0 for ordinary instructions
    uint8_t flags;       // executor
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
    vg_program *program;               // owns this code
    const struct vg_block_info *blocks;   // n_blocks, exec only
    uint32_t *sync_row;                // per instruction: row of the member mask of warp-synchronous ones, or NULL when there are none
    uint8_t *pred_init; size_t n_pred_init;   // constant predicates: values of the last n_pred_init predicates
    uint32_t param_row;                // file offset of the frame's parameter area: byte k of lane l is at param_row + k/4*128 + 4*l + k%4
    size_t frame_param_bytes;          // of that area: parameters and results of a device function, then its call parameters
    size_t frame_local_bytes;          // per lane: local variables of this function alone (local_bytes: entry with all it may call)
    unsigned n_near;                   // places in vg_warp.near that this function uses
    bool calls;                        // contains calls to functions of the module
    struct vg_linear *linear;          // per instruction: its part in tracked rows (linear.h), or NULL when no register is tracked
    uint32_t site_base;                // of this function's instructions among those of the program (race_internal.h)
};

typedef enum vg_event {                // why a warp's run stopped
    VG_RUN, VG_EXITED, VG_AT_BARRIER, VG_BLOCKED /* waits for lanes or memory; try again later */, VG_YIELD /* spinning, nanosleep */,
    VG_FAULT
} vg_event;

// The allocation that an access of global memory met last. `bytes` of it may be read without a further look: all, or 0 while some may be unwritten.
typedef struct vg_near { uint64_t base, bytes; uint8_t *host; vg_alloc *alloc; } vg_near;

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
    uint32_t local_frame;              // byte offset of the running frame's .local variables in a lane's local memory (0 in the kernel)
    uint32_t spins;                    // handlers add 1 for what a spin loop does: failed CAS, volatile or acquire load, atomic that returns
    uint32_t async_groups;             // free for op_mem.c: committed cp.async groups
    void *mem_private;                 // free for op_mem.c; zero at launch start
    bool whole;                        // runs the short forms of blocks (fuse.h): nothing watches single instructions
    bool careful;                      // reads of global memory check that it was written
    bool forgets;                      // the program can make written memory unwritten (discard)
    struct vg_fs_cell *fs_local;       // binary64 shadows of local memory (fpshadow.h), NULL without
    uint64_t *local_bits;              // initialisation of local memory, lane-major as `local`; NULL when not checking
    vg_near near[16];                  // last: by the instruction's number of one (flags); alloc is never NULL. The first code->n_near are in use
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
    uint64_t barrier_epoch;            // block-wide barriers completed: accesses in different epochs are ordered
    void *mem_private;                 // free for op_mem.c; NULL at block start
    size_t shared_open;                // of shared memory, what fast paths may touch: shared_bytes, or 0 when every access is watched
    struct vg_race *race;              // race detection (race.h), NULL when off
    struct vg_fs_cell *fs_shared;      // binary64 shadows of shared memory (fpshadow.h), NULL without
    struct vg_cluster *cluster; uint32_t rank;   // the blocks it shares its cluster with (cluster.h), itself among them
    struct vg_async *async;            // shared memory that asynchronous copies are to fill (async.h)
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
    uint64_t workspace;                // of grid-wide barriers: a cooperative launch finds it in %envreg1 and 2; set by vg_exec_launch
    uint32_t registers;                // per thread as ptxas says, for occupancy; 0: the estimate
    uint64_t warp_insts;               // executed, set when the launch ends
    struct vg_race_global *races;      // of global memory, NULL when not watched; set by vg_exec_launch
    const uintptr_t *regions;          // page table of the context's memory (mem.h), set by vg_exec_launch
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
// An ADDR operand (ld, st, atom …): *row of its base register or VG_NO_ROW, *wide when that row is 64 bits, *offset the constant part
// including a symbol's address or offset. *space: the symbol's state space, PTX_GENERIC when there is no symbol. For PTX_PARAM
// *frame says which memory: false: the kernel's parameters (launch->params + offset), true: the frame's parameter area in the file
// (w->code->param_row, see there; variables begin at multiples of 16).
// For PTX_SHARED the offset is within the block's shared memory; for PTX_LOCAL within the frame (add w->local_frame); for global and
// const it is the device address. false: a symbol that does not exist (reported).
bool vg_bind_addr(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row, bool *wide, int64_t *offset, ptx_space *space, bool *frame);
uint32_t vg_bind_cc(vg_binder *b);                                          // predicate index of the carry flag (add.cc …)
const ptx_module *vg_bind_module(const vg_binder *b);
uint8_t vg_bind_near(vg_binder *b);                                         // the next place in vg_warp.near, round and round
const vg_code *vg_bind_code(const vg_binder *b);
ptx_type vg_bind_reg_type(const vg_binder *b, const ptx_operand *o);       // declared type of a register operand
// Records why a form is not supported and returns false, so families end with `return vg_unsupported(b, in, "…")`.
bool vg_unsupported(vg_binder *b, const ptx_inst *in, const char *why);
typedef bool (*vg_bind_fn)(vg_binder *b, const ptx_inst *in, vg_inst *out);
// One table per instruction-set build of the handlers (baseline, AVX2, AVX-512), indexed by family.
enum { VG_FAM_INT, VG_FAM_FLOAT, VG_FAM_DOUBLE, VG_FAM_HALF, VG_FAM_CVT, VG_FAM_LOGIC, VG_FAM_CMP, VG_FAM_MEM, VG_FAM_ATOM, VG_FAM_WARP,
       VG_FAM_CONTROL, VG_FAM_SPECIAL, VG_FAM_MMA, VG_FAM_LINEAR, VG_FAM_VIDEO, VG_FAM_FUSED, VG_FAM_COUNT };
typedef enum vg_pipe { VG_PIPE_INT, VG_PIPE_FP32, VG_PIPE_FP64, VG_PIPE_FP16, VG_PIPE_SFU, VG_PIPE_LSU, VG_PIPE_TENSOR, VG_PIPE_CONTROL, VG_PIPE_OTHER,
       VG_PIPE_COUNT } vg_pipe;

// A finding at this instruction and lane; fatal ones also set the launch's fault and w->event.
void vg_report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write,
               const char *fmt, ...) __attribute__((format(printf, 8, 9)));
// The same with the other half of the story: the access that a race or an asynchronous copy is about.
typedef struct vg_other { const ptx_inst *src; const ptx_module *module; const char *verb; uint32_t block[3], thread[3]; } vg_other;
void vg_report_pair(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write, const vg_other *other,
                    const char *fmt, ...) __attribute__((format(printf, 9, 10)));
void vg_fault(vg_warp *w, uint32_t curesult);
// Memory services that the executor needs from op_mem.c's side (C2 implements them in mem or context): a lane's view of generic memory.
bool vg_generic_read(vg_warp *w, unsigned lane, uint64_t address, void *out, size_t bytes);
// Device printf: text of one call, in order per lane. Implemented beside the context.
void vg_print(vg_launch *l, const char *text, size_t n);
#endif
