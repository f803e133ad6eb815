// op_mma: matrix instructions of a warp: mma.sync, wmma, ldmatrix, stmatrix, movmatrix. Fragments are gathered into whole matrices,
// multiplied
// there, and scattered back, so that one routine serves every shape.
//
// Arithmetic: products are exact; f16, bf16, tf32 and fp8 products and the accumulator are summed in binary64 in order of k and rounded
// once to the
// accumulator's type. Tensor cores keep fewer bits of the sum (they align and truncate products), so hardware differs from this in the
// last places. f64 uses one fused multiply-add per k; integers wrap, or saturate with .satfinite.
//
// Fragments of mma.sync, ldmatrix and stmatrix are those of the PTX ISA; those of wmma, which it leaves open, are an
// H100's (place_wmma).
#include "vgpu/access.h"
#include "vgpu/cvt_any.h"
#include "vgpu/mma_layout.h"
#include "vgpu/mma_tile.h"

// --- shapes -----------------------------------------------------------------------------------------------------------------------
static const shape shapes[] = {
    [PTX_M8N8K4] = {8, 8, 4}, [PTX_M8N8K16] = {8, 8, 16}, [PTX_M8N8K32] = {8, 8, 32}, [PTX_M16N8K4] = {16, 8, 4},
    [PTX_M16N8K8] = {16, 8, 8},
    [PTX_M16N8K16] = {16, 8, 16}, [PTX_M16N8K32] = {16, 8, 32}, [PTX_M16N8K64] = {16, 8, 64}, [PTX_M16N16K16] = {16, 16, 16},
    [PTX_M32N8K16] = {32, 8, 16},
    [PTX_M8N32K16] = {8, 32, 16}, [PTX_M16N16K8] = {16, 16, 8}, [PTX_M8N8K128] = {8, 8, 128}, [PTX_M16N8K128] = {16, 8, 128},
    [PTX_M16N8K256] = {16, 8, 256},
};

static unsigned bits_of(ptx_type t) { return t == PTX_B1 ? 1 : t == PTX_S4 || t == PTX_U4 ? 4 : 8 * cvt_element_bytes(t); }
static bool is_integer(ptx_type t) { return t == PTX_S8 || t == PTX_U8 || t == PTX_S4 || t == PTX_U4 || t == PTX_S32; }

static void put_bits(vg_warp *w, const fragment *f, unsigned lane, unsigned reg, unsigned elem, uint64_t value) {
    if (f->wide) {
        vg_u64(w, f->row[reg])[lane] = value;
        return;
    }
    uint32_t *x = &vg_u32(w, f->row[reg])[lane];
    const uint32_t keep = f->bits == 32 ? 0 : ~(((1u << f->bits) - 1) << (elem * f->bits));
    *x = (*x & keep) | (uint32_t)(value << (elem * f->bits));
}

// --- values -----------------------------------------------------------------------------------------------------------------------
static uint64_t bits_of_value(double x, ptx_type t) {
    switch (t) {
    case PTX_F16: {   // one rounding: binary64 → odd binary32 → f16
        const float f = (float)x;
        return fp_f16_of_f32(fp_odd32(f, fp_sign64(x - (double)f)));
    }
    case PTX_F32: return vg_bits_f32(vg_nan32((float)x));
    default: return vg_bits_f64(vg_nan64(x));
    }
}

typedef struct matrices { double a[MAX_M][MAX_K], b[MAX_K][MAX_N], c[MAX_M][MAX_N]; } matrices;

static void gather(vg_warp *w, const matrix_op *o, const fragment *f, part p, matrices *x) {
    unsigned r, c;
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < f->regs; reg++)
            for (unsigned e = 0; e < f->elems; e++) {
                place(o, f, p, lane, reg, e, &r, &c);
                const double v = value_of(get_bits(w, f, lane, reg, e), f->type);
                *(p == PART_A ? &x->a[r][c] : p == PART_B ? &x->b[r][c] : &x->c[r][c]) = v;
            }
}

static double integer_result(double x, bool saturate) {
    const int64_t v = (int64_t)x;   // |x| < 2^53: sums of 64 products of bytes and one s32
    if (saturate)
        return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (double)v;
    return (double)(int32_t)(uint32_t)(uint64_t)v;
}

static void multiply(const matrix_op *o, matrices *x) {
    const bool exact64 = o->d.type == PTX_F64, integer = is_integer(o->d.type);
    for (unsigned i = 0; i < o->s.m; i++)
        for (unsigned j = 0; j < o->s.n; j++) {
            const unsigned jb = column_of_b(o, i, j);
            double sum = exact64 ? x->c[i][j] : 0.0;
            for (unsigned k = 0; k < o->s.k; k++)
                sum = exact64 ? fma(x->a[i][k], x->b[k][jb], sum) : sum + x->a[i][k] * x->b[k][jb];
            if (!exact64)
                sum += x->c[i][j];
            x->c[i][j] = integer ? integer_result(sum, o->satfinite) : sum;
        }
}

static void scatter(vg_warp *w, const matrix_op *o, const matrices *x) {
    const fragment *f = &o->d;
    unsigned r, c;
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < f->regs; reg++)
            for (unsigned e = 0; e < f->elems; e++) {
                place(o, f, PART_CD, lane, reg, e, &r, &c);
                const double v = x->c[r][c];
                put_bits(w, f, lane, reg, e, is_integer(f->type) ? (uint32_t)(int32_t)v : bits_of_value(v, f->type));
            }
}

static const void *op_data(const vg_inst *in) { return (const void *)(uintptr_t)in->imm; }

// PTX ISA 9.7.14.5.14: every lane of the warp executes mma, or the behaviour is undefined.
static bool whole_warp(vg_warp *w, const vg_inst *in, uint32_t mask) {
    if (mask == 0xffffffffu)
        return true;
    const unsigned lane = (unsigned)__builtin_ctz(~mask);
    vg_report(w, in, lane, "warp.partial-matrix", 0, 0, false,
        "a matrix instruction is executed by the lanes 0x%08x only; all 32 must take part", mask);
    return false;
}

VG_HANDLER(mma) {
    const matrix_op *o = op_data(in);
    matrices x;
    if (!whole_warp(w, in, mask))
        return;
    gather(w, o, &o->a, PART_A, &x);
    gather(w, o, &o->b, PART_B, &x);
    gather(w, o, &o->c, PART_CD, &x);
    multiply(o, &x);
    scatter(w, o, &x);
}

// --- single bits: d = c + the number of ones in a xor b, or a and b, over k (PTX ISA 9.7.14.5.14). Sums wrap. ----------------------------
enum { BIT_WORDS = 8, MAX_BIT_ROWS = 16 };   // 256 bits
static void gather_bits(vg_warp *w, const matrix_op *o, const fragment *f, part p, uint32_t lines[MAX_BIT_ROWS][BIT_WORDS]) {
    unsigned r, c;
    memset(lines, 0, sizeof(uint32_t) * MAX_BIT_ROWS * BIT_WORDS);
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < f->regs; reg++)
            for (unsigned e = 0; e < f->elems; e++) {
                place(o, f, p, lane, reg, e, &r, &c);
                const unsigned line = p == PART_A ? r : c, k = p == PART_A ? c : r;
                lines[line][k / 32] |= (uint32_t)get_bits(w, f, lane, reg, e) << k % 32;
            }
}

VG_HANDLER(mma_bits) {
    const matrix_op *o = op_data(in);
    uint32_t a[MAX_BIT_ROWS][BIT_WORDS], b[MAX_BIT_ROWS][BIT_WORDS];
    unsigned r, c;
    if (!whole_warp(w, in, mask))
        return;
    gather_bits(w, o, &o->a, PART_A, a);
    gather_bits(w, o, &o->b, PART_B, b);
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < o->d.regs; reg++) {
            place(o, &o->d, PART_CD, lane, reg, 0, &r, &c);
            uint32_t sum = (uint32_t)get_bits(w, &o->c, lane, reg, 0);
            for (unsigned k = 0; k < o->s.k / 32u; k++)
                sum += (uint32_t)__builtin_popcount(o->ands ? a[r][k] & b[c][k] : a[r][k] ^ b[c][k]);
            put_bits(w, &o->d, lane, reg, 0, sum);
        }
}

// --- m16n8k8 and m16n8k16 of f16 and bf16 into f32: the common case, without going element by element ------------------------------
// Words of two neighbouring k: a (16,k/2) row-major, b (k/2,8). PTX ISA 9.7.14.5.7 and 8, as in place_mma.
static void gather_words(vg_warp *w, const matrix_op *o, uint32_t a[16 * 8], uint32_t b[8 * 8]) {
    const unsigned pitch = o->s.k / 2;
    for (unsigned r = 0; r < o->a.regs; r++)
        for (unsigned g = 0; g < 8; g++)
            memcpy(a + (g + 8 * (r & 1)) * pitch + r / 2 * 4, vg_u32(w, o->a.row[r]) + 4 * g, 16);
    for (unsigned r = 0; r < o->b.regs; r++)
        for (unsigned g = 0; g < 8; g += 4)
            tile_transpose4(vg_u32(w, o->b.row[r]) + 4 * g, b + r * 32 + g, 8);
}

static inline __attribute__((always_inline)) void mma_half(vg_warp *w, const matrix_op *o, unsigned k, bool brain) {
    _Alignas(64) uint32_t words_a[16 * 8], words_b[8 * 8];
    _Alignas(64) double a[16 * 16], b[16 * 8], sum[16 * 8];
    gather_words(w, o, words_a, words_b);
    tile_halves(a, words_a, 16 * k / 2, brain);
    tile_split(b, words_b, 8 * k / 2, brain);
    tile_multiply(16, 8, k, a, k, b, 8, sum);
    for (unsigned i = 0; i < 16; i++) {
        const unsigned high = i / 8 * 2, at = 4 * (i % 8);
        tile_round(sum + 8 * i, vg_f32(w, o->c.row[high]) + at, vg_f32(w, o->c.row[high + 1]) + at, vg_f32(w, o->d.row[high]) + at,
                   vg_f32(w, o->d.row[high + 1]) + at);
    }
}
VG_HANDLER(mma_f16_k16) { if (whole_warp(w, in, mask)) mma_half(w, op_data(in), 16, false); }
VG_HANDLER(mma_bf16_k16) { if (whole_warp(w, in, mask)) mma_half(w, op_data(in), 16, true); }
VG_HANDLER(mma_f16_k8) { if (whole_warp(w, in, mask)) mma_half(w, op_data(in), 8, false); }
VG_HANDLER(mma_bf16_k8) { if (whole_warp(w, in, mask)) mma_half(w, op_data(in), 8, true); }

// The quick handler for these, or NULL. Rows of c are read just before the same rows of d are written, which is right only when no register of
// d is one of a, b (read before) or another one of c.
static vg_handler quick_handler(const matrix_op *o) {
    const bool f16 = o->a.type == PTX_F16 && o->b.type == PTX_F16, bf16 = o->a.type == PTX_BF16 && o->b.type == PTX_BF16;
    if (o->wmma || (!f16 && !bf16) || o->d.type != PTX_F32 || o->c.type != PTX_F32 || o->s.m != 16 || o->s.n != 8 || (o->s.k != 8 && o->s.k != 16))
        return NULL;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++)
            if (i != j && o->d.row[i] == o->c.row[j])
                return NULL;
    return o->s.k == 16 ? (f16 ? mma_f16_k16 : mma_bf16_k16) : f16 ? mma_f16_k8 : mma_bf16_k8;
}

// --- memory -----------------------------------------------------------------------------------------------------------------------

// ldmatrix: lanes 8i … 8i+7 give the addresses of the rows of matrix i; register i of a lane holds row lane/4, columns 2(lane%4), +1.
VG_HANDLER(ldmatrix) {
    const matrix_memory *o = op_data(in);
    uint16_t m[4][8][8];
    if (!whole_warp(w, in, mask))
        return;
    memset(m, 0, sizeof m);
    for (unsigned l = 0; l < 8u * o->matrices; l++) {
        const uint8_t *p = vg_lane_access(w, in, l, (vg_where)o->where, address_of(w, o, l), 16, 'l');
        if (p)
            memcpy(m[l / 8][l % 8], p, 16);
    }
    for (unsigned i = 0; i < o->matrices; i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            const unsigned r = l / 4, c = 2 * (l % 4);
            const uint32_t lo = o->transposed ? m[i][c][r] : m[i][r][c], hi = o->transposed ? m[i][c + 1][r] : m[i][r][c + 1];
            vg_u32(w, o->f.row[i])[l] = lo | hi << 16;
        }
}

VG_HANDLER(stmatrix) {
    const matrix_memory *o = op_data(in);
    uint16_t m[4][8][8];
    if (!whole_warp(w, in, mask))
        return;
    for (unsigned i = 0; i < o->matrices; i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            const unsigned r = l / 4, c = 2 * (l % 4);
            const uint32_t x = vg_u32(w, o->f.row[i])[l];
            *(o->transposed ? &m[i][c][r] : &m[i][r][c]) = (uint16_t)x;
            *(o->transposed ? &m[i][c + 1][r] : &m[i][r][c + 1]) = (uint16_t)(x >> 16);
        }
    for (unsigned l = 0; l < 8u * o->matrices; l++) {
        uint8_t *p = vg_lane_access(w, in, l, (vg_where)o->where, address_of(w, o, l), 16, 's');
        if (p)
            memcpy(p, m[l / 8][l % 8], 16);
    }
}

VG_HANDLER(movmatrix) {   // transposes one 8×8 matrix held as ldmatrix leaves it
    uint16_t m[8][8];
    if (!whole_warp(w, in, mask))
        return;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint32_t x = vg_u32(w, in->a)[l];
        m[l / 4][2 * (l % 4)] = (uint16_t)x;
        m[l / 4][2 * (l % 4) + 1] = (uint16_t)(x >> 16);
    }
    for (unsigned l = 0; l < VG_LANES; l++)
        vg_u32(w, in->d)[l] = m[2 * (l % 4)][l / 4] | (uint32_t)m[2 * (l % 4) + 1][l / 4] << 16;
}

// wmma.load and wmma.store: element (r, c) is at base + (r·stride + c)·bytes, or (c·stride + r) column-major.
// Elements of less than a byte (never stored) lie in it from the low bits up.
static void move_fragment(vg_warp *w, const vg_inst *in, const matrix_memory *o, bool store) {
    const unsigned bits = o->f.bits, bytes = bits < 8 ? 1 : bits / 8;
    unsigned r, c;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const uint64_t base = address_of(w, o, l);
        const uint64_t stride = o->stride == VG_NO_ROW ? (o->column_major ? o->rows : o->cols) : vg_u32(w, o->stride)[l];
        for (unsigned reg = 0; reg < o->f.regs; reg++)
            for (unsigned e = 0; e < o->f.elems; e++) {
                place_wmma(&o->f, o->p, l, reg, e, o->rows, o->cols, &r, &c);
                const uint64_t at = o->column_major ? c * stride + r : r * stride + c;
                uint64_t v = store ? get_bits(w, &o->f, l, reg, e) : 0;
                uint8_t *p = vg_lane_access(w, in, l, (vg_where)o->where, base + at * bits / 8, bytes, store ? 's' : 'l');
                if (p)
                    memcpy(store ? (void *)p : (void *)&v, store ? (const void *)&v : (const void *)p, bytes);
                if (bits < 8)
                    v = v >> at * bits % 8 & ((1u << bits) - 1);
                if (!store)
                    put_bits(w, &o->f, l, reg, e, v);
            }
    }
}
VG_HANDLER(wmma_load) {
    if (whole_warp(w, in, mask))
        move_fragment(w, in, op_data(in), false);
}
VG_HANDLER(wmma_store) {
    if (whole_warp(w, in, mask))
        move_fragment(w, in, op_data(in), true);
}

// --- binding ----------------------------------------------------------------------------------------------------------------------
static void *new_data(vg_binder *b, const ptx_inst *in, vg_inst *out, size_t bytes) {
    void *p = hone_arena_alloc(vg_bind_module(b)->arena, bytes);
    if (!p)
        vg_unsupported(b, in, "out of memory");
    out->imm = (int64_t)(uintptr_t)p;
    return p;
}

// A vector operand as a fragment of elements of type t; want: elements that the layout needs per lane.
static bool bind_fragment(vg_binder *b, const ptx_inst *in, const ptx_operand *o, ptx_type t, unsigned want, fragment *f) {
    const bool one = o->kind != PTX_O_VEC;
    const unsigned n = one ? 1 : o->n_elems, bits = bits_of(t);
    const ptx_type reg = bits == 64 ? PTX_B64 : PTX_B32;
    *f = (fragment){.regs = (uint8_t)n, .bits = (uint8_t)bits, .wide = bits == 64, .type = t,
        .elems = (uint8_t)(bits == 64 ? 1 : 32 / (bits ? bits : 1))};
    if (n > MAX_REGS || n * f->elems != want)
        return vg_unsupported(b, in, "a fragment with another number of registers");
    for (unsigned i = 0; i < n; i++) {
        const ptx_operand *e = one ? o : &o->elems[i];
        const ptx_type have = vg_bind_reg_type(b, e);
        if (have != PTX_NOTYPE && ptx_type_bytes(have) != ptx_type_bytes(reg))
            return vg_unsupported(b, in, "a fragment of registers of another width");
        f->row[i] = vg_bind_row(b, e, reg);
    }
    return true;
}

// Elements per lane of a wmma fragment: f16 a and b fragments are twice as large as their share of a 16×16 matrix (PTX ISA 9.7.14.4).
static unsigned wmma_elems(ptx_type t, unsigned rows, unsigned cols, bool input) {
    if (input && t == PTX_F16)
        return 16;
    return rows * cols / VG_LANES;
}

static bool is_sub_byte(ptx_type t) { return t == PTX_S4 || t == PTX_U4 || t == PTX_B1; }

// Which shapes go with elements of less than a byte, as mma and as wmma (PTX ISA 9.7.14.2).
static bool legal_shape(const ptx_inst *in, ptx_type input) {
    const bool wmma = in->op == PTX_OP_WMMA;
    switch (in->shape) {
    case PTX_M8N8K128: return input == PTX_B1;
    case PTX_M16N8K128: case PTX_M16N8K256: return !wmma && input == PTX_B1;
    case PTX_M8N8K32: return input == PTX_S4 || input == PTX_U4;
    default: return !is_sub_byte(input) || (!wmma && (in->shape == PTX_M16N8K32 || in->shape == PTX_M16N8K64) && input != PTX_B1);
    }
}

static bool legal_types(const ptx_type t[4]) {   // d, a, b, c
    if (t[1] == PTX_B1 || t[2] == PTX_B1)
        return t[1] == t[2] && t[0] == PTX_S32 && t[3] == PTX_S32;
    const bool ints = is_integer(t[1]) && is_integer(t[2]) && t[1] != PTX_S32 && t[2] != PTX_S32;
    if (ints)
        return t[0] == PTX_S32 && t[3] == PTX_S32;
    const bool small = t[1] == PTX_F16 || t[1] == PTX_BF16 || t[1] == PTX_TF32 || t[1] == PTX_E4M3 || t[1] == PTX_E5M2;
    if (small && (t[1] == t[2] || ((t[1] == PTX_E4M3 || t[1] == PTX_E5M2) && (t[2] == PTX_E4M3 || t[2] == PTX_E5M2))))
        return (t[0] == PTX_F32 || (t[0] == PTX_F16 && (t[1] == PTX_F16 || t[1] == PTX_E4M3 || t[1] == PTX_E5M2))) &&
            (t[3] == PTX_F32 || t[3] == PTX_F16);
    return t[0] == PTX_F64 && t[1] == PTX_F64 && t[2] == PTX_F64 && t[3] == PTX_F64;
}

static bool bind_product(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    ptx_type t[4] = {(ptx_type)in->type[0], (ptx_type)in->type[1], (ptx_type)in->type[2], (ptx_type)in->type[3]};
    const bool wmma = in->op == PTX_OP_WMMA;
    if (wmma && in->n_types == 2) {   // .f32.f16: d and c, with f16 inputs
        t[3] = t[1];
        t[1] = t[2] = PTX_F16;
    }
    if (in->shape >= HONE_COUNT(shapes) || !shapes[in->shape].m || in->n_operands != 4 || !legal_types(t) || !legal_shape(in, t[1]) ||
        (in->atom != PTX_ATOM_NONE) != (t[1] == PTX_B1))
        return vg_unsupported(b, in, "this shape and these types");
    const bool quads = !wmma && in->shape == PTX_M8N8K4 && t[1] == PTX_F16;
    const shape s = quads ? (shape){32, 8, 4} : shapes[in->shape];
    if (!wmma && !quads && (in->mods2 & PTX_M2_COL_A || !(in->mods2 & PTX_M2_COL_B) || s.n != 8 || (in->shape == PTX_M8N8K4 && t[0] != PTX_F64)))
        return vg_unsupported(b, in, "only .row.col fragments");
    if (quads && t[0] == PTX_F16 && t[3] != PTX_F16)
        return vg_unsupported(b, in, "a sum of f16 begins with f16");
    if (wmma && is_sub_byte(t[1]) && ((in->mods2 & PTX_M2_COL_A) || !(in->mods2 & PTX_M2_COL_B)))
        return vg_unsupported(b, in, "only .row.col with elements of less than a byte");
    matrix_op *o = new_data(b, in, out, sizeof *o);
    if (!o)
        return false;
    o->s = s;
    o->wmma = wmma;
    o->satfinite = in->mods & PTX_M_SATFINITE;
    o->ands = in->atom == PTX_ATOM_AND;
    o->quads = quads;
    o->col_a = in->mods2 & PTX_M2_COL_A;
    o->col_b = in->mods2 & PTX_M2_COL_B;
    const unsigned ea = wmma ? wmma_elems(t[1], s.m, s.k, true) : s.m * s.k / VG_LANES;
    const unsigned eb = wmma ? wmma_elems(t[2], s.k, s.n, true) : quads ? ea : s.k * s.n / VG_LANES;
    out->full = out->masked = t[1] == PTX_B1 ? mma_bits : mma;
    if (!bind_fragment(b, in, &in->operand[0], t[0], s.m * s.n / VG_LANES, &o->d) || !bind_fragment(b, in, &in->operand[1], t[1], ea, &o->a) ||
        !bind_fragment(b, in, &in->operand[2], t[2], eb, &o->b) || !bind_fragment(b, in, &in->operand[3], t[3], s.m * s.n / VG_LANES, &o->c))
        return false;
    const vg_handler quick = quick_handler(o);
    if (quick)
        out->full = out->masked = quick;
    return true;
}

static bool bind_address(vg_binder *b, const ptx_inst *in, const ptx_operand *a, matrix_memory *o) {
    ptx_space symbol;
    bool frame;
    if (!vg_bind_addr(b, in, a, &o->base, &o->wide, &o->offset, &symbol, &frame))
        return false;
    const unsigned space = in->space ? in->space : (unsigned)symbol;
    switch (space) {
    case PTX_GLOBAL: o->where = VG_IN_GLOBAL; return true;
    case PTX_SHARED: o->where = VG_IN_SHARED; return true;
    case PTX_GENERIC: o->where = VG_IN_GENERIC; return true;
    default: return vg_unsupported(b, in, "its state space");
    }
}

static bool bind_matrix8(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool load = in->op == PTX_OP_LDMATRIX;
    matrix_memory *o = new_data(b, in, out, sizeof *o);
    if (!o)
        return false;
    if (in->shape != PTX_M8N8 || in->type[0] != PTX_B16 || in->n_operands != 2)
        return vg_unsupported(b, in, "only .m8n8 with .b16");
    o->matrices = in->vec;
    o->transposed = in->mods & PTX_M_TRANS;
    out->full = out->masked = load ? ldmatrix : stmatrix;
    return bind_fragment(b, in, &in->operand[load ? 0 : 1], PTX_B32, in->vec, &o->f) && bind_address(b, in, &in->operand[load ? 1 : 0], o);
}

static bool bind_wmma_memory(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool store = in->sub == PTX_WMMA_STORE_D;
    const ptx_type t = (ptx_type)in->type[0];
    const bool is_a = in->sub == PTX_WMMA_LOAD_A, is_b = in->sub == PTX_WMMA_LOAD_B, column = in->mods2 & PTX_M2_COL_A;
    if (in->shape >= HONE_COUNT(shapes) || !shapes[in->shape].m || in->n_operands < 2 || (t != PTX_S32 && !legal_shape(in, t)))
        return vg_unsupported(b, in, "this shape and type");
    if (is_sub_byte(t) && ((!is_a && !is_b) || column != is_b))
        return vg_unsupported(b, in, "only a by rows and b by columns with elements of less than a byte");
    const shape s = shapes[in->shape];
    matrix_memory *o = new_data(b, in, out, sizeof *o);
    if (!o)
        return false;
    o->p = is_a ? PART_A : is_b ? PART_B : PART_CD;
    o->rows = is_b ? s.k : s.m;
    o->cols = is_a ? s.k : s.n;
    o->column_major = column;
    o->stride = in->n_operands > 2 ? vg_bind_row(b, &in->operand[2], PTX_B32) : VG_NO_ROW;
    out->full = out->masked = store ? wmma_store : wmma_load;
    return bind_fragment(b, in, &in->operand[store ? 1 : 0], t, wmma_elems(t, o->rows, o->cols, is_a || is_b), &o->f) &&
           bind_address(b, in, &in->operand[store ? 0 : 1], o);
}

bool VG_NAME(vg_bind_wgmma)(vg_binder *b, const ptx_inst *in, vg_inst *out);   // op_wgmma.c
bool VG_NAME(vg_bind_mma)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->op) {
    case PTX_OP_MMA: return bind_product(b, in, out);
    case PTX_OP_WGMMA: return VG_NAME(vg_bind_wgmma)(b, in, out);
    case PTX_OP_WMMA: return in->sub == PTX_WMMA_MMA ? bind_product(b, in, out) : bind_wmma_memory(b, in, out);
    case PTX_OP_LDMATRIX: case PTX_OP_STMATRIX: return bind_matrix8(b, in, out);
    case PTX_OP_MOVMATRIX:
        out->full = out->masked = movmatrix;
        out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
        out->a = vg_bind_row(b, &in->operand[1], PTX_B32);
        return true;
    default: return vg_unsupported(b, in, "not a matrix instruction");
    }
}
