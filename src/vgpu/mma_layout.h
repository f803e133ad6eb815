// mma_layout: what a decoded matrix instruction points to (vg_inst.imm), and where an element of a fragment lies in its matrix. Shared by the
// family (op_mma.c) and by the binary64 shadow of it (fpshadow_mma.c).
#ifndef HONE_VGPU_MMA_LAYOUT_H
#define HONE_VGPU_MMA_LAYOUT_H
#include "vgpu/cvt_any.h"
#include "vgpu/fp.h"

enum { MAX_M = 32, MAX_N = 32, MAX_K = 64, MAX_REGS = 32 };
typedef enum part { PART_A, PART_B, PART_CD } part;
typedef struct shape { uint8_t m, n; uint16_t k; } shape;   // k over MAX_K: only of .b1, which has no matrices of numbers

// What a vg_inst of this family points to by imm: rows of the registers of each operand.
typedef struct fragment { uint32_t row[MAX_REGS]; uint8_t regs, elems, bits; bool wide; ptx_type type; } fragment;
typedef struct matrix_op {
    fragment d, a, b, c;
    shape s;
    bool wmma, satfinite, ands;   // ands: of .b1, else xor
    bool quads, col_a, col_b;     // mma.m8n8k4 of f16: four products side by side, of which quad q and the one 16 lanes on hold the q-th. Here one below the
                                  // other, s = (32,8,4): a is (32,4), b (4,32), c and d (32,8)
} matrix_op;

typedef struct matrix_memory {
    fragment f;
    uint32_t base, stride;      // rows; VG_NO_ROW when absent
    bool wide, column_major, transposed;
    int64_t offset;
    uint8_t where;              // vg_where
    uint16_t rows, cols;
    uint8_t matrices;
    part p;
} matrix_memory;

static inline uint64_t address_of(vg_warp *w, const matrix_memory *o, unsigned lane) {
    const uint64_t base = o->base == VG_NO_ROW ? 0 : o->wide ? vg_u64(w, o->base)[lane] : vg_u32(w, o->base)[lane];
    return base + (uint64_t)o->offset;
}

static inline uint64_t get_bits(vg_warp *w, const fragment *f, unsigned lane, unsigned reg, unsigned elem) {
    const uint64_t x = f->wide ? vg_u64(w, f->row[reg])[lane] : vg_u32(w, f->row[reg])[lane];
    const uint64_t y = x >> (elem * f->bits);
    return f->bits == 64 ? y : y & ((1ull << f->bits) - 1);
}

// PTX ISA 9.7.14.5: lane = 4·group + t. A: rows group (+8 in odd registers), columns t·E + e, 4E further every second register.
// B: rows (k) t·E + e, 4E further every register, column group. C and D: rows group, +8 further on, columns 2t and 2t+1.
static inline void place_mma(const fragment *f, part p, unsigned lane, unsigned reg, unsigned elem, unsigned m, unsigned *row, unsigned *col) {
    const unsigned group = lane / 4, t = lane % 4, e = f->elems;
    if (p == PART_A) {
        const unsigned high = m == 16 ? reg & 1u : 0, step = m == 16 ? reg / 2 : reg;
        *row = group + 8 * high;
        *col = step * 4 * e + t * e + elem;
    } else if (p == PART_B) {
        *row = reg * 4 * e + t * e + elem;
        *col = group;
    } else {
        const unsigned i = reg * e + elem;
        *row = group + 8 * (i / 2);
        *col = 2 * t + i % 2;
    }
}

// Element i of a lane of a wmma fragment. PTX leaves the place open; this is the one that an H100 has and that assembled wmma.load and wmma.store address: products
// of 8 columns side by side, as mma.sync has them. `outer` is the dimension that is not k: of a rows, of b columns. Of a, and of b when the product is made transposed
// (m8n32), outer goes on by 8 before k does, within blocks of 16; of b otherwise k goes first. f16 factors come twice (four times where outer is 8).
static inline void place_wmma_input(unsigned i, unsigned e, unsigned lane, bool outer_first, unsigned size, unsigned k, unsigned *outer, unsigned *at) {
    const unsigned group = lane / 4, t = lane % 4, reg = i % (size * k / VG_LANES) / e, steps = k / (4 * e);
    const unsigned in_block = reg % (2 * steps), step = outer_first && size > 8 ? in_block / 2 : reg % steps;
    *outer = group + (outer_first && size > 8 ? reg / (2 * steps) * 16 + in_block % 2 * 8 : reg / steps * 8);
    *at = step * 4 * e + t * e + i % e;
}

static inline void place_wmma(const fragment *f, part p, unsigned lane, unsigned reg, unsigned elem, unsigned rows, unsigned cols, unsigned *row, unsigned *col) {
    const unsigned i = reg * f->elems + elem, along = lane / 4 + i / 2 * 8, across = lane % 4 * 2 + i % 2;
    if (p == PART_A)
        place_wmma_input(i, f->elems, lane, true, rows, cols, row, col);
    else if (p == PART_B)
        place_wmma_input(i, f->elems, lane, cols == 32, cols, rows, col, row);
    else if (cols == 32)   // transposed
        *row = across, *col = along;
    else
        *row = rows == 32 ? along : lane / 4 + i / 2 % 2 * 8, *col = across + (rows == 32 ? 0 : i / 4 * 8);
}

// PTX ISA 9.7.14.5.1
static inline void place_quads(const matrix_op *o, const fragment *f, part p, unsigned lane, unsigned i, unsigned *row, unsigned *col) {
    const unsigned first = lane % 16 / 4 * 8 + lane / 16 * 4, t = lane % 4;
    if (p == PART_A) {
        *row = first + (o->col_a ? i : t);
        *col = o->col_a ? t : i;
    } else if (p == PART_B) {
        *row = o->col_b ? i : t;
        *col = first + (o->col_b ? t : i);
    } else {
        *row = first + (f->bits == 16 ? t : (t & 1) + (i & 2));
        *col = f->bits == 16 ? i : (i & 4) + (t & 2) + (i & 1);
    }
}

// Which column of b makes element (i, j) of the product.
static inline unsigned column_of_b(const matrix_op *o, unsigned i, unsigned j) { return o->quads ? i / 8 * 8 + j : j; }

static inline void place(const matrix_op *o, const fragment *f, part p, unsigned lane, unsigned reg, unsigned elem, unsigned *row, unsigned *col) {
    const unsigned rows = p == PART_B ? o->s.k : o->s.m, cols = p == PART_A ? o->s.k : o->s.n;
    if (o->quads)
        place_quads(o, f, p, lane, reg * f->elems + elem, row, col);
    else if (o->wmma)
        place_wmma(f, p, lane, reg, elem, rows, cols, row, col);
    else
        place_mma(f, p, lane, reg, elem, o->s.m, row, col);
}

static inline double value_of(uint64_t bits, ptx_type t) {
    static const cvt_rules none = {0};
    switch (t) {
    case PTX_F16: return (double)fp_f32_of_f16((uint32_t)bits);
    case PTX_BF16: return (double)fp_f32_of_bf16((uint32_t)bits);
    case PTX_TF32: return (double)vg_f32_of((uint32_t)bits & 0xffffe000u);   // the low bits are ignored
    case PTX_F32: return (double)vg_f32_of((uint32_t)bits);
    case PTX_F64: return vg_f64_of(bits);
    case PTX_E4M3: case PTX_E5M2: return vg_f64_of(cvt_any(bits, t, PTX_F64, &none));
    case PTX_S8: return (double)(int8_t)bits;
    case PTX_S4: return (double)((int)(bits ^ 8u) - 8);
    case PTX_S32: return (double)(int32_t)(uint32_t)bits;
    default: return (double)bits;
    }
}

#endif
