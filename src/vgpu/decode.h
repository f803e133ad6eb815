// decode: internal to the decoder (program.c, decode.c, flow.c, control.c) and the executor. A vg_program holds all decoded functions of a
// module; a vg_binder is the state while one function is decoded.
#ifndef HONE_VGPU_DECODE_H
#define HONE_VGPU_DECODE_H
#include "vgpu/exec.h"

// What the executor itself does at an instruction. Ordinary instructions (VG_CTL_NONE) run in a tight loop; every other one ends its basic block.
typedef enum vg_ctl {
    VG_CTL_NONE, VG_CTL_BRA, VG_CTL_BRX, VG_CTL_CALL, VG_CTL_RET, VG_CTL_EXIT, VG_CTL_TRAP, VG_CTL_BAR_SYNC, VG_CTL_BAR_ARRIVE, VG_CTL_BAR_RED,
    VG_CTL_WARP_SYNC,    // bar.warp.sync: no handler
    VG_CTL_SYNC_OP,      // shfl.sync …: the handler runs once all members of the mask in code->sync_row are there
    VG_CTL_ALIGNED_OP,   // mma …: every live lane of the warp has to be there
    VG_CTL_CLOCK,        // reads a clock: its rows are refreshed first
    VG_CTL_CLUSTER_ARRIVE, VG_CTL_CLUSTER_WAIT,   // cluster.c
    VG_CTL_SLEEP, VG_CTL_NOP
} vg_ctl;

// n_plain instructions, then at most one with ctl: n in all. n_fused: length of its short form at fused + first (fuse.h), 0 when it has none.
typedef struct vg_block_info { uint32_t first, n_plain; uint32_t n, n_fused; } vg_block_info;

// Where a variable of the function lives: offset in shared memory, in the frame's local memory, or in the frame's parameter area.
typedef struct vg_place { const ptx_var *var; uint32_t at; } vg_place;
typedef enum vg_intrinsic { VG_CALL_FUNCTION, VG_CALL_VPRINTF, VG_CALL_ASSERT, VG_CALL_MALLOC, VG_CALL_FREE, VG_CALL_INDIRECT } vg_intrinsic;
typedef struct vg_sreg_use { uint32_t row, wide_row; uint8_t s; } vg_sreg_use;   // a special register that the code reads; rows as in sreg_row, 0: none

typedef struct vg_call {               // of one call instruction; inst->imm is its index in code_flow->calls
    vg_intrinsic kind;
    const vg_code *callee;             // FUNCTION
    uint32_t args[64], rets[2];         // offsets of the caller's variables in its parameter area, as passed
    uint32_t arg_bytes[64], ret_bytes[2];
    uint8_t n_args, n_rets;
} vg_call;

// What belongs to a vg_code beside the public part; the vg_code is its first member.
typedef struct vg_code_full {
    vg_code code;
    uint32_t *block_of;                // [n_insts] block number
    vg_block_info *info;
    vg_call *calls; size_t n_calls;
    uint32_t **tables; size_t n_tables;            // brx.idx targets (instruction indexes), [i][0] = count
    uint32_t sreg_wide_row[PTX_SREG_COUNT];        // 64-bit rows of special registers read as 64 bits; code.sreg_row: 32-bit ones
    vg_sreg_use *sregs; unsigned n_sregs, n_block_sregs;   // all of those; the first n_block_sregs differ from block to block
    uint8_t *lanewise;                 // [n_insts] 1: a lane's result depends on that lane alone and nothing but registers change, so lanes without a thread do not matter
    bool leaves_early;                 // nobody can tell when a thread returned: no barriers, calls, or instructions of several lanes
    bool clears_registers;             // a block's first instruction must not find the registers of the block before it
    uint32_t *local_fix; size_t n_local_fix;       // constant rows (u64 or u32) that hold local addresses: + frame's local base
    uint8_t *local_fix_wide;
    struct vg_place *places; size_t n_places;      // shared, local and frame parameter variables
    size_t static_shared, dynamic_align;           // of this function; dynamic_align 0: no dynamic shared memory
    bool indirect;                                 // calls through a register
    bool has_stack;                                // alloca (stack.c)
    uint32_t stack_at, stack_word;                 // where its memory begins in the frame's local memory; the word in use in its parameter area
    uint32_t *doubtful; unsigned n_doubtful;       // registers that may be read before they are written, and what is computed from them
    struct vg_watched *watched;                    // [n_insts] of a sanitizing launch (watch.c), or NULL
    uint32_t func_index;
    struct vg_fused_from *fused_from; uint32_t n_fused_from;
    vg_inst *fused;                    // short forms of blocks, each at its block's first instruction (fuse.h)
    struct vg_fs_inst *fs;                         // [n_insts] of a shadow program (fpshadow.h), else NULL
} vg_code_full;
enum { VG_STACK_BYTES = 16384 };
// A function is entered by these lanes, whose register file this is.
void vg_stack_enter(const vg_code *code, uint8_t *file, uint32_t mask);
static inline const vg_code_full *vg_full(const vg_code *c) { return (const vg_code_full *)(const void *)c; }

struct vg_program {
    const ptx_module *module;
    hone_arena *arena;
    vg_resolve_fn resolve;
    void *resolve_user;
    bool forgets;                      // contains discard: written memory can become unwritten
    bool shadow;                       // handlers keep binary64 shadows
    vg_code_full **codes;              // [module->n_funcs], NULL for declarations
    bool on_values;                    // no register is tracked as a linear row
    size_t common_shared;              // shared variables that device functions use, at the front of every block's shared memory
    uint32_t watched_for;              // flags that the handlers are set up for (watch.c)
    size_t dynamic_at;                 // offset of dynamic shared memory when a device function uses it, else 0
    vg_place *common; size_t n_common; // those of module scope
    ptx_issues *issues;                // instructions that cannot be decoded, while building
};
size_t vg_align(size_t x, size_t a);
const vg_place *vg_place_find(const vg_place *p, size_t n, const ptx_var *v);
// program.c: gives every function's variables their places. Needed before any function is decoded.
hone_code vg_layout(vg_program *p, hone_err *e);
#define VG_FUNC_BASE 0x7b00000000000000ull   /* address of function i, as an indirect call sees it: + 16 * i */

struct vg_binder {
    vg_program *program;
    const ptx_func *func;
    vg_code_full *out;
    hone_err *e;
    const ptx_inst *inst;              // being bound
    bool failed, unsupported;          // this instruction: cannot be bound; because it is not implemented
    uint32_t *slot;                    // [n_regs] file offset of a register, VG_NO_ROW when it is a predicate or unused
    uint16_t *pred;                    // [n_regs] predicate index
    uint32_t *only_use;                // [n_insts] the one instruction of the same block that reads operand 0 of this one, which nobody needs after; UINT32_MAX: none
    uint8_t *tracked;                  // [n_regs] 1: its row has a tag (linear.h)
    unsigned n_preds, cc, near;
    int8_t const_pred[2];              // index + 1 - n_reg_preds of the constant predicates false and true, -1 when unused
    uint32_t file_end;                 // bytes of the file in use
    HONE_VEC(uint8_t) tail;            // image of [template_at, file_end)
    struct vg_const { uint64_t bits; uint32_t row; uint32_t bytes; } *consts;
    size_t n_consts, cap_consts;
    HONE_VEC(uint32_t) local_fix;
    HONE_VEC(uint8_t) local_fix_wide;
    double *fs_const;                  // shadow programs: constants that registers hold
};

// flow.c: basic blocks into out->info/block_of (n_blocks), registers to rows by liveness; sets slot, pred, n_preds, file_end, registers_estimate.
hone_code vg_flow_build(vg_binder *b);
// linear.c: fills tracked; and, as the last step of binding an instruction, makes it respect tracked rows.
bool vg_linear_select(vg_binder *b);
bool vg_linear_apply(vg_binder *b, const ptx_inst *in, vg_inst *out);
typedef void (*vg_touch_fn)(void *self, uint32_t reg, bool write);
void vg_each_register(const ptx_inst *in, vg_touch_fn touch, void *self);   // reads first, then writes
// control.c: binds a control instruction (VG_FAM_CONTROL) and the ctl of every other one.
bool vg_bind_control(vg_binder *b, const ptx_inst *in, vg_inst *out);
vg_ctl vg_ctl_of(const ptx_inst *in);
bool vg_sreg_of_block(unsigned s);           // frames.c: does the special register differ between blocks of one launch?
bool vg_op_defines(const ptx_inst *in);      // operand 0 is written (false also when it is both read and written)
// decode.c
hone_code vg_decode(vg_program *p, size_t func, hone_err *e);
uint32_t vg_bind_const(vg_binder *b, uint64_t bits, unsigned bytes);
unsigned vg_bind_const_pred(vg_binder *b, bool value);
unsigned vg_family_of(const ptx_inst *in);
#endif
