// fpshadow: the binary64 shadow of a launch (HONE_VGPU_SHADOW). A module is decoded a second time, with handlers that wrap the normal ones:
// the normal handler runs as ever, and beside it the same operation runs in binary64 on the shadows of its sources. Results, control
// flow and findings of the run are therefore its own; what differs is knowledge: how far each float is from what exact arithmetic on the
// same path would have given.
//
// A shadow belongs to a 32-bit word (of a register row or of memory) and carries the bits that the word had when the shadow was made:
//
//     word: bits 0x3dcccccd   →   shadow: kind F32, lo = 0.1000000000000002, bits = 0x3dcccccd
//
// When the word's bits are others now (an integer instruction, a host copy, a memset wrote it), the shadow is stale and the value itself
// stands for it. That is the whole mechanism of validity: nothing has to be told about writes. A word of two halves has two values
// (lo, hi); a binary64 has its shadow at its lower word and is checked on both words.
//
//     fpshadow.c        rows, cells, commit, statistics       fpshadow_bind.c  which instruction is shadowed how
//     fpshadow_arith.c  arithmetic, conversions, functions    fpshadow_bits.c  moves, selections, bit operations, shuffles
//     fpshadow_mem.c    loads, stores, copies, atomics        fpshadow_mma.c   matrix instructions
#ifndef HONE_VGPU_FPSHADOW_H
#define HONE_VGPU_FPSHADOW_H
#include "vgpu/access.h"
#include "vgpu/decode.h"

typedef enum vg_fs_kind { VG_FS_NONE, VG_FS_F32, VG_FS_F16, VG_FS_BF16, VG_FS_F64 } vg_fs_kind;
typedef struct vg_fs_word { double lo, hi; uint32_t kind; } vg_fs_word;      // the shadow of one word; kind NONE: the value stands for it
struct vg_fs_row {                     // of one row of 32 words; any: some kind may not be NONE
    double lo[VG_LANES], hi[VG_LANES];
    uint32_t bits[VG_LANES], kind[VG_LANES], any;
};
struct vg_fs_cell { double lo, hi; uint32_t bits, kind; };                   // of four bytes of memory
typedef struct vg_fs_row vg_fs_row;
typedef struct vg_fs_cell vg_fs_cell;

typedef double (*vg_fs_eval)(double a, double b, double c);
struct vg_fs_inst {                    // beside the vg_inst of the same index
    vg_handler full, masked;           // the normal ones; NULL: not shadowed
    vg_handler shadow;                 // runs the normal one and keeps the shadow
    vg_fs_eval eval;                   // arithmetic
    double rel, abs;                   // how far the operation's own rounding may be from the exact result
    uint8_t kind, source_kind, sources;
    bool pair, clamp, relu, pick;      // two halves; .sat; .relu; the result is one of the sources (min, max)
    bool integral;                     // rounds to an integer by intent: the value is its own shadow
    uint8_t where;                     // vg_where of a memory access, VG_FS_FRAME for parameters of calls
    uint8_t bytes, vec;                // of an element; elements
    uint32_t row[5];                   // word rows of the sources of bit operations
};
typedef struct vg_fs_inst vg_fs_inst;
enum { VG_FS_FRAME = 100 };

// ---- rows. The rows of a frame hang before its register file (frames.c).
static inline const vg_fs_inst *vg_fs_of(const vg_warp *w, const vg_inst *in) { return &vg_full(w->code)->fs[in->index]; }
static inline vg_fs_row *vg_fs_rows(const uint8_t *file) {
    vg_fs_row *r;
    memcpy(&r, file - 64, sizeof r);
    return r;
}
static inline vg_fs_row *vg_fs_row_at(const vg_warp *w, uint32_t off) { return vg_fs_rows(w->file) + off / 128; }

// The shadow of lane l's word of a 32-bit row, of half h (0 low, 1 high word) of a 64-bit row.
static inline vg_fs_word vg_fs_get(vg_warp *w, uint32_t off, unsigned l) {
    const vg_fs_row *r = vg_fs_row_at(w, off);
    const bool good = r->kind[l] != VG_FS_NONE && r->bits[l] == vg_u32(w, off)[l];
    return (vg_fs_word){r->lo[l], r->hi[l], good ? r->kind[l] : VG_FS_NONE};
}
static inline void vg_fs_put(vg_warp *w, uint32_t off, unsigned l, vg_fs_word x) {
    vg_fs_row *r = vg_fs_row_at(w, off);
    r->lo[l] = x.lo;
    r->hi[l] = x.hi;
    r->kind[l] = x.kind;
    r->any |= x.kind;
    r->bits[l] = vg_u32(w, off)[l];
}
// The lanes in mask have no shadow any more. Cheap when none of the row has one, as in the registers of integer code.
static inline void vg_fs_forget(vg_warp *w, uint32_t off, uint32_t mask) {
    vg_fs_row *r = vg_fs_row_at(w, off);
    if (!r->any)
        return;
    for (unsigned l = 0; l < VG_LANES; l++)
        r->kind[l] = mask >> l & 1 ? VG_FS_NONE : r->kind[l];
    r->any = mask == 0xffffffffu ? 0 : r->any;
}
static inline vg_fs_word vg_fs_get64(vg_warp *w, uint32_t off, unsigned l, unsigned h) {
    const vg_fs_row *r = vg_fs_row_at(w, off);
    const uint32_t *bits = vg_u32(w, off) + 2 * l;
    bool good = r[h].kind[l] != VG_FS_NONE && r[h].bits[l] == bits[h];
    if (good && r[h].kind[l] == VG_FS_F64)
        good = h == 0 && r[1].bits[l] == bits[1];
    return (vg_fs_word){r[h].lo[l], r[h].hi[l], good ? r[h].kind[l] : VG_FS_NONE};
}
static inline void vg_fs_put64(vg_warp *w, uint32_t off, unsigned l, unsigned h, vg_fs_word x) {
    vg_fs_row *r = vg_fs_row_at(w, off) + h;
    r->lo[l] = x.lo;
    r->hi[l] = x.hi;
    r->kind[l] = x.kind;
    r->any |= x.kind;
    r->bits[l] = vg_u32(w, off)[2 * l + h];
}

// ---- values
double vg_fs_value(uint32_t bits, uint32_t kind, unsigned half);       // of a word's half as F16 or BF16, of the word as F32
// A word as a value of `kind`: its shadow where that is of the kind (or can be read as it), else its own value. half: of F16 and BF16.
double vg_fs_as(vg_fs_word x, uint32_t bits, uint32_t kind, unsigned half);
bool vg_fs_inexact(vg_fs_word x, uint32_t bits);                       // the shadow differs from the value
static inline void vg_fs_run(vg_warp *w, const vg_inst *in, const vg_fs_inst *s, uint32_t mask) {
    (mask == 0xffffffffu ? s->full : s->masked)(w, in, mask);
}
void vg_fs_lost(vg_warp *w, const vg_inst *in, uint64_t n);
void vg_fs_rederived(vg_warp *w, uint64_t n);

// ---- memory: the cell of four bytes, NULL when there is none (make: then it is made) or the address is wrong. *memory: the bytes.
// Whether global memory from `lo` to `hi` lies in one allocation that has no cells: then nothing in it has a shadow.
bool vg_fs_plain_memory(const vg_warp *w, uint64_t lo, uint64_t hi);
vg_fs_cell *vg_fs_cell_at(vg_warp *w, unsigned lane, vg_where where, uint64_t address, bool make, const uint8_t **memory);
void vg_fs_store_word(vg_warp *w, unsigned lane, vg_where where, uint64_t address, vg_fs_word x);
void vg_fs_store_half(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t kind, double x);   // NONE: forget
vg_fs_word vg_fs_load_word(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t bits);
bool vg_fs_load_half(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t bits, uint32_t *kind, double *x);
// Cells of an allocation; freed with it. NULL: no memory.
vg_fs_cell *vg_fs_alloc_cells(vg_alloc *a);
void vg_fs_alloc_free(vg_alloc *a);
// Shadow values of count elements of a buffer from `at`, the values themselves where there is none. type: HONE_VGPU_F32 …
bool vg_fs_read(const vg_alloc *a, size_t at, size_t count, int type, double *out);
bool vg_fs_write(vg_alloc *a, size_t at, size_t count, int type, const double *in);
void vg_fs_copy_row(const uint8_t *from_file, uint32_t from_off, uint8_t *to_file, uint32_t to_off, uint32_t mask);

// ---- handlers
double *vg_fs_constants(const ptx_func *f);            // per register: the float constant it always holds, NAN: none. hone_free it
bool vg_fs_bind(vg_binder *b, const ptx_inst *in, vg_inst *out);       // wraps `out` where the instruction carries floats
void vg_fs_arith(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_arith64(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_cvt(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_cvt_narrow(vg_warp *w, const vg_inst *in, uint32_t mask);   // to 8-bit floats: counted as lost
vg_fs_eval vg_fs_eval_of(unsigned op, double *abs_error);             // NULL: not arithmetic
void vg_fs_bits(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_move64(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_pack(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_unpack(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_shfl(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_load(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_store(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_load_frame(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_store_frame(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_cp_async(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_atom(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_mma(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_ldmatrix(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_stmatrix(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_wmma_memory(vg_warp *w, const vg_inst *in, uint32_t mask);
void vg_fs_opaque(vg_warp *w, const vg_inst *in, uint32_t mask);       // an instruction that computes floats and is not followed: lost
#endif
