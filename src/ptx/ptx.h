// ptx: PTX text → a checked tree. Every opcode, modifier and directive that is not in the tables is an error with line and
// column, never skipped. Used by vgpu/ (execution) and compile/ (facts about a candidate). owns: everything hangs on the
// module's arena; strings are NUL-terminated copies.
#ifndef HONE_PTX_H
#define HONE_PTX_H
#include "base/base.h"

typedef enum ptx_type {
    PTX_NOTYPE, PTX_PRED,
    PTX_B8, PTX_B16, PTX_B32, PTX_B64, PTX_B128,
    PTX_U8, PTX_U16, PTX_U32, PTX_U64, PTX_S8, PTX_S16, PTX_S32, PTX_S64,
    PTX_F16, PTX_F16X2, PTX_BF16, PTX_BF16X2, PTX_F32, PTX_F64, PTX_TF32,
    PTX_E4M3, PTX_E5M2, PTX_E4M3X2, PTX_E5M2X2, PTX_U16X2, PTX_S16X2, PTX_S4, PTX_U4, PTX_B1, PTX_F32X2,
    PTX_E2M1X2, PTX_E2M3X2, PTX_E3M2X2, PTX_UE8M0X2, PTX_S2, PTX_U2,
    PTX_TYPE_COUNT
} ptx_type;
unsigned ptx_type_bytes(ptx_type t);      // of one register's worth; 0 for pred and none, 1 for sub-byte types
const char *ptx_type_name(ptx_type t);    // "u32"

typedef enum ptx_space {
    PTX_GENERIC, PTX_REG, PTX_PARAM, PTX_GLOBAL, PTX_SHARED, PTX_SHARED_CLUSTER, PTX_LOCAL, PTX_CONST, PTX_TEX
} ptx_space;
typedef enum ptx_round { PTX_RND_NONE, PTX_RN, PTX_RZ, PTX_RM, PTX_RP, PTX_RNA, PTX_RNI, PTX_RZI, PTX_RMI, PTX_RPI } ptx_round;
typedef enum ptx_cmp {
    PTX_CMP_NONE, PTX_EQ, PTX_NE, PTX_LT, PTX_LE, PTX_GT, PTX_GE, PTX_LO, PTX_LS, PTX_HI_, PTX_HS,
    PTX_EQU, PTX_NEU, PTX_LTU, PTX_LEU, PTX_GTU, PTX_GEU, PTX_NUM, PTX_NAN
} ptx_cmp;
typedef enum ptx_boolop { PTX_BOOL_NONE, PTX_BOOL_AND, PTX_BOOL_OR, PTX_BOOL_XOR } ptx_boolop;
typedef enum ptx_sem { PTX_SEM_NONE, PTX_WEAK, PTX_VOLATILE, PTX_RELAXED, PTX_ACQUIRE, PTX_RELEASE, PTX_ACQ_REL, PTX_SC } ptx_sem;
typedef enum ptx_scope { PTX_SCOPE_NONE, PTX_CTA, PTX_CLUSTER, PTX_GPU, PTX_SYS } ptx_scope;
// the operation of atom, red, redux, vote, bar.red
typedef enum ptx_atom {
    PTX_ATOM_NONE, PTX_ATOM_ADD, PTX_ATOM_MIN, PTX_ATOM_MAX, PTX_ATOM_AND, PTX_ATOM_OR, PTX_ATOM_XOR, PTX_ATOM_EXCH,
    PTX_ATOM_CAS, PTX_ATOM_INC, PTX_ATOM_DEC, PTX_VOTE_ALL, PTX_VOTE_ANY, PTX_VOTE_UNI, PTX_VOTE_BALLOT, PTX_MATCH_ANY,
    PTX_MATCH_ALL, PTX_SHFL_UP, PTX_SHFL_DOWN, PTX_SHFL_BFLY, PTX_SHFL_IDX, PTX_ATOM_POPC
} ptx_atom;
enum {   // ptx_inst.mods
    PTX_M_FTZ = 1u << 0, PTX_M_SAT = 1u << 1, PTX_M_APPROX = 1u << 2, PTX_M_FULL = 1u << 3, PTX_M_HI = 1u << 4, PTX_M_LO = 1u << 5,
    PTX_M_WIDE = 1u << 6, PTX_M_UNI = 1u << 7, PTX_M_SYNC = 1u << 8, PTX_M_ALIGNED = 1u << 9, PTX_M_CC = 1u << 10,
    PTX_M_WRAP = 1u << 11, PTX_M_CLAMP = 1u << 12, PTX_M_RELU = 1u << 13, PTX_M_NAN = 1u << 14, PTX_M_XORSIGN_ABS = 1u << 15,
    PTX_M_NOFTZ = 1u << 16, PTX_M_SATFINITE = 1u << 17, PTX_M_NC = 1u << 18, PTX_M_SHIFTAMT = 1u << 19, PTX_M_LEFT = 1u << 20 /* shf.l */,
    PTX_M_RIGHT = 1u << 21 /* shf.r */, PTX_M_TO = 1u << 22 /* cvta.to */, PTX_M_CG = 1u << 23, PTX_M_CA = 1u << 24,
    PTX_M_ARRIVE = 1u << 25, PTX_M_RED = 1u << 26, PTX_M_WARP = 1u << 27 /* bar.warp */, PTX_M_TRANS = 1u << 28,
    PTX_M_NOINC = 1u << 29, PTX_M_ABS = 1u << 30, PTX_M_COMMIT = 1u << 31
};

enum {   // ptx_inst.mods2
    PTX_M2_PARITY = 1u << 0 /* mbarrier waits */, PTX_M2_CACHE_HINT = 1u << 1 /* the last operand is a cache policy */,
    PTX_M2_CLUSTER = 1u << 2 /* barrier.cluster */, PTX_M2_COL_A = 1u << 3 /* mma layouts, row when absent; */,
    PTX_M2_COL_B = 1u << 4 /* wmma.load and store use A */,
    PTX_M2_TRAP = 1u << 5, PTX_M2_ZERO = 1u << 6 /* surface clamp modes */, PTX_M2_NO_COMPLETE = 1u << 7,
    PTX_M2_CG_HINT = 1u << 8 /* any other cache hint */,
    PTX_M2_MBARRIER = 1u << 9 /* cp.async.bulk …: how completion is told */, PTX_M2_BULK_GROUP = 1u << 10, PTX_M2_TENSOR = 1u << 11 /* vec: dimensions */,
    PTX_M2_IM2COL = 1u << 12, PTX_M2_MULTICAST = 1u << 13, PTX_M2_READ = 1u << 14, PTX_M2_PREFETCH = 1u << 15, PTX_M2_REDUCE = 1u << 16,
    PTX_M2_RED = 1u << 17, PTX_M2_GREEN = 1u << 18, PTX_M2_BLUE = 1u << 19, PTX_M2_ALPHA = 1u << 20 /* tld4: of which component */,
    PTX_M2_FORMATTED = 1u << 21 /* sust.p, sured.p */, PTX_M2_TILE = 1u << 22, PTX_M2_BITS1024 = 1u << 23 /* tensormap */,
    PTX_M2_NO_OFFSETS = 1u << 26 /* im2col_no_offs */,
    PTX_M2_LEVEL = 1u << 24, PTX_M2_GRAD = 1u << 25 /* tex */, PTX_M2_OOB = 1u << 27 /* fma */
};

// The second word of an opcode that has several meanings; 0 when it has one.
typedef enum ptx_sub {
    PTX_SUB_NONE,
    PTX_CP_ASYNC, PTX_CP_COMMIT_GROUP, PTX_CP_WAIT_GROUP, PTX_CP_WAIT_ALL, PTX_CP_MBARRIER_ARRIVE, PTX_CP_BULK,
    PTX_MB_INIT, PTX_MB_INVAL, PTX_MB_ARRIVE, PTX_MB_ARRIVE_DROP, PTX_MB_ARRIVE_EXPECT_TX, PTX_MB_ARRIVE_DROP_EXPECT_TX, PTX_MB_EXPECT_TX, PTX_MB_COMPLETE_TX,
    PTX_MB_TEST_WAIT, PTX_MB_TRY_WAIT, PTX_MB_PENDING_COUNT,
    PTX_BAR_SYNC, PTX_BAR_ARRIVE, PTX_BAR_RED, PTX_BAR_WARP_SYNC, PTX_BAR_CLUSTER_ARRIVE, PTX_BAR_CLUSTER_WAIT,
    PTX_WMMA_LOAD_A, PTX_WMMA_LOAD_B, PTX_WMMA_LOAD_C, PTX_WMMA_STORE_D, PTX_WMMA_MMA,
    PTX_WGMMA_FENCE, PTX_WGMMA_COMMIT_GROUP, PTX_WGMMA_WAIT_GROUP, PTX_WGMMA_MMA_ASYNC,
    PTX_FENCE_PROXY, PTX_FENCE_MBARRIER_INIT, PTX_GRID_LAUNCH_DEPENDENTS, PTX_GRID_WAIT, PTX_REG_INC, PTX_REG_DEC,
    PTX_TESTP_FINITE, PTX_TESTP_INFINITE, PTX_TESTP_NUMBER, PTX_TESTP_NOTANUMBER, PTX_TESTP_NORMAL, PTX_TESTP_SUBNORMAL,
    PTX_VIDEO_SHR7, PTX_VIDEO_SHR15, PTX_CVT_PACK,
    PTX_PRMT_F4E, PTX_PRMT_B4E, PTX_PRMT_RC8, PTX_PRMT_ECL, PTX_PRMT_ECR, PTX_PRMT_RC16,
    PTX_TXQ_WIDTH, PTX_TXQ_HEIGHT, PTX_TXQ_DEPTH, PTX_TXQ_DATA_TYPE, PTX_TXQ_ORDER, PTX_TXQ_NORMALIZED, PTX_TXQ_LAYERS, PTX_TXQ_LEVELS, PTX_TXQ_SAMPLES,
    PTX_SUQ_LAYOUT, PTX_IS_TEXREF, PTX_IS_SAMPLERREF, PTX_IS_SURFREF,
    PTX_TMAP_ADDRESS, PTX_TMAP_RANK, PTX_TMAP_BOX, PTX_TMAP_DIM, PTX_TMAP_STRIDE, PTX_TMAP_STEP, PTX_TMAP_TYPE, PTX_TMAP_INTERLEAVE, PTX_TMAP_SWIZZLE,
    PTX_TMAP_ATOMICITY, PTX_TMAP_FILL, PTX_TMAP_COPY,
    PTX_TEX_1D, PTX_TEX_2D, PTX_TEX_3D, PTX_TEX_A1D, PTX_TEX_A2D, PTX_TEX_CUBE, PTX_TEX_ACUBE
} ptx_sub;
typedef enum ptx_shape {   // ptx_inst.shape
    PTX_SHAPE_NONE, PTX_M8N8, PTX_M8N8K4, PTX_M8N8K16, PTX_M8N8K32, PTX_M16N8K4, PTX_M16N8K8, PTX_M16N8K16, PTX_M16N8K32, PTX_M16N8K64,
    PTX_M8N8K128, PTX_M16N8K128, PTX_M16N8K256,
    PTX_M16N16K16, PTX_M32N8K16, PTX_M8N32K16, PTX_M16N16K8,
    PTX_M64 = 128   // wgmma m64nNkK: 128 + N / 8 - 1, with K in vec
} ptx_shape;

#define OP(name, text, family, pipe) PTX_OP_##name,
typedef enum ptx_op {
#include "ptx/ops.def"
    PTX_OP_COUNT
} ptx_op;
#undef OP
const char *ptx_op_name(ptx_op op);

typedef struct ptx_reg { const char *name; ptx_type type; } ptx_reg;    // one virtual register of a function
typedef struct ptx_var {                                               // .global .const .shared .local variable, or a parameter
    const char *name;
    ptx_space space;
    ptx_type type;          // element
    size_t bytes;           // whole variable; 0 for extern unsized (dynamic shared memory)
    size_t align;
    uint8_t *init;          // bytes long or NULL
    struct ptx_reloc { size_t at; const char *symbol; int64_t addend; unsigned size; bool generic; } *relocs;   // addresses inside init
    size_t n_relocs;
    bool is_extern, is_managed;
    uint32_t line;
} ptx_var;

typedef enum ptx_operand_kind {
    PTX_O_NONE, PTX_O_REG, PTX_O_INT, PTX_O_FLOAT, PTX_O_SREG, PTX_O_LABEL, PTX_O_SYMBOL, PTX_O_ADDR, PTX_O_VEC, PTX_O_SINK /* _ */
} ptx_operand_kind;
typedef struct ptx_operand {
    ptx_operand_kind kind;
    bool negated;               // !%p1
    uint32_t reg;               // REG: index into func->regs; ADDR: base register when has_base
    bool has_base;
    int64_t i;                  // INT value; ADDR and SYMBOL: byte offset
    uint64_t bits;              // FLOAT: the binary64 bits; with is_f32 the binary32 bits (0f…)
    bool is_f32;
    const char *symbol;         // SYMBOL, LABEL, ADDR with a symbol base, or NULL
    uint16_t sreg;              // SREG: enum ptx_sreg
    uint32_t label;             // LABEL: instruction index it stands before (func->insts), filled after parsing
    struct ptx_operand *elems;  // VEC; also tensor coordinates in an ADDR
    uint8_t n_elems;
    uint8_t part;               // |p: 1 when this is the second of d|p
    char select[6];             // of a video instruction: "h1" of %r1.h1, "b3210"; empty when there is none
    struct ptx_var *var;        // SYMBOL and ADDR: the variable that `symbol` names; NULL when it is a function
} ptx_operand;

#define PTX_MAX_OPERANDS 8
typedef struct ptx_inst {
    uint16_t op;                            // ptx_op
    uint8_t type[4];                        // ptx_type in order of appearance (cvt: d, a; mma: d, a, b, c)
    uint8_t n_types;
    uint8_t space, space2;                  // ptx_space; space2: source of cp.async, target of cvta …
    uint8_t rnd, cmp, boolop, sem, scope, atom, vec;   // vec: 1, 2, 4 or 8
    uint8_t shape;                          // ptx_shape
    uint32_t mods;                          // PTX_M_*
    bool has_guard, guard_neg;
    uint32_t guard;                         // register index
    uint8_t n_operands;
    ptx_operand operand[PTX_MAX_OPERANDS];  // destination first, as written
    // call only: return and argument parameter variables, callee
    const char *callee;                     // direct; NULL when through a register (then operand[0])
    ptx_var **call_rets, **call_args;       // param-space variables of the caller (declared inside {})
    uint8_t n_call_rets, n_call_args;
    uint32_t line;                          // in the PTX text, 1-based
    uint32_t src_line;                      // from .loc, 0 when none
    uint16_t src_file;                      // index into module->files
    uint8_t sub;                            // ptx_sub
    uint32_t mods2;                         // PTX_M2_*
    struct ptx_func *prototype;             // indirect call: its .callprototype (name, params, rets only)
} ptx_inst;

typedef struct ptx_func {
    const char *name;
    bool is_entry, is_extern;
    ptx_var **params; size_t n_params;      // in order; entry parameters have offsets by their natural alignment (offset below)
    size_t *param_offsets; size_t param_bytes;
    ptx_var **rets; size_t n_rets;          // device functions
    ptx_reg *regs; size_t n_regs;
    ptx_var **vars; size_t n_vars;          // .local .shared .param inside; names are unique: in inner braces "name@n"
    ptx_inst *insts; size_t n_insts;
    uint32_t maxntid[3], reqntid[3], minnctapersm, maxnreg;   // 0 when absent
    uint32_t cluster_dim[3];                // .reqnctapercluster
    bool explicit_cluster;
    uint32_t line;
    bool is_noreturn;
} ptx_func;

typedef struct ptx_module {
    hone_arena *arena;
    unsigned version_major, version_minor, sm;   // .version 9.0, .target sm_90
    bool arch_specific;                          // sm_90a
    unsigned address_bits;
    const char **files; size_t n_files;          // .file table, by its number
    ptx_var **vars; size_t n_vars;               // module scope
    ptx_func **funcs; size_t n_funcs;
} ptx_module;

// What a module needs and hone does not have, all of it and not just the first: parser and decoder record here and go on. `each` is told
// every one (NULL: nobody); the messages of the first ones are kept in `all`, for the error that ends the load.
typedef struct ptx_issues {
    size_t n;
    void (*each)(void *self, const hone_err *issue);
    void *self;
    hone_err all;
} ptx_issues;
void ptx_issue_add(ptx_issues *s, const hone_err *issue);
hone_code ptx_issues_fail(const ptx_issues *s, hone_err *e);         // HONE_OK when there are none, else all of them as one error

// Parses and validates len bytes of PTX. errors: HONE_E_PARSE or HONE_E_UNSUPPORTED, message "ptx:LINE:COL: what 'subject'".
hone_code ptx_parse(const char *text, size_t len, ptx_module **out, hone_err *e);
// The same, but instructions with an opcode or modifier that is not in the tables are recorded, left out, and parsing goes on: HONE_OK and
// a module that must not run when issues->n grew.
hone_code ptx_parse_all(const char *text, size_t len, ptx_issues *issues, ptx_module **out, hone_err *e);
// Writes a small module with one instruction of this form ("mad.lo.s32") and operands that fit it, as far as the tables know them.
// Operands that may be absent make several instructions: variant 0, 1 … false when there are no more, or no such opcode or modifier.
bool ptx_example(const char *form, unsigned variant, hone_str *out, hone_err *e);
void ptx_free(ptx_module *m);                                        // NULL is fine
ptx_func *ptx_find_func(const ptx_module *m, const char *name);     // by name; the definition rather than a declaration; NULL when absent

#define SREG(name, text) PTX_SREG_##name,
typedef enum ptx_sreg {
#include "ptx/sregs.def"
    PTX_SREG_COUNT
} ptx_sreg;
#undef SREG
#endif
