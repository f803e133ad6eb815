// fpshadow_mma: matrix instructions: products of the shadows of the fragments, summed in binary64 and not rounded; and what moves halves
// between memory and fragments.
#include "vgpu/fpshadow.h"
#include "vgpu/mma_layout.h"

static uint32_t kind_of(ptx_type t) {
    switch (t) {
    case PTX_F16: return VG_FS_F16;
    case PTX_BF16: return VG_FS_BF16;
    case PTX_F32: case PTX_TF32: return VG_FS_F32;
    case PTX_F64: return VG_FS_F64;
    default: return VG_FS_NONE;
    }
}

static double shadow_of(vg_warp *w, const fragment *f, unsigned lane, unsigned reg, unsigned elem) {
    const uint32_t kind = kind_of(f->type);
    if (kind == VG_FS_F64) {
        const vg_fs_word x = vg_fs_get64(w, f->row[reg], lane, 0);
        return x.kind == VG_FS_F64 ? x.lo : vg_f64(w, f->row[reg])[lane];
    }
    if (kind == VG_FS_NONE)
        return value_of(get_bits(w, f, lane, reg, elem), f->type);
    return vg_fs_as(vg_fs_get(w, f->row[reg], lane), vg_u32(w, f->row[reg])[lane], kind, elem);
}

typedef struct matrices { double a[MAX_M][MAX_K], b[MAX_K][MAX_N], c[MAX_M][MAX_N], size[MAX_M][MAX_N]; } matrices;

static void gather(vg_warp *w, const matrix_op *o, const fragment *f, part p, matrices *x) {
    unsigned r, c;
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < f->regs; reg++)
            for (unsigned e = 0; e < f->elems; e++) {
                place(o, f, p, lane, reg, e, &r, &c);
                *(p == PART_A ? &x->a[r][c] : p == PART_B ? &x->b[r][c] : &x->c[r][c]) = shadow_of(w, f, lane, reg, e);
            }
}

static void multiply(const matrix_op *o, matrices *x) {
    for (unsigned i = 0; i < o->s.m; i++)
        for (unsigned j = 0; j < o->s.n; j++) {
            const unsigned jb = column_of_b(o, i, j);
            double sum = x->c[i][j], size = fabs(sum);
            for (unsigned k = 0; k < o->s.k; k++) {
                sum += x->a[i][k] * x->b[k][jb];
                size += fabs(x->a[i][k] * x->b[k][jb]);
            }
            x->c[i][j] = sum;
            x->size[i][j] = size;
        }
}

// A shadow further from the value than a tenth of the sum of the magnitudes of all terms is no rounding error.
static double settle(double want, double got, double size, uint64_t *lost) {
    if (!isfinite(got))
        return isinf(got) && isfinite(want) ? want : got;
    if (isfinite(want) && fabs(want - got) <= 0.1 * size + 0x1p-24)
        return want;
    ++*lost;
    return got;
}

static void scatter(vg_warp *w, const vg_inst *in, const matrix_op *o, const matrices *x) {
    const fragment *f = &o->d;
    const uint32_t kind = kind_of(f->type);
    unsigned r, c;
    uint64_t lost = 0;
    for (unsigned lane = 0; lane < VG_LANES; lane++)
        for (unsigned reg = 0; reg < f->regs; reg++) {
            vg_fs_word t = {0, 0, kind};
            for (unsigned e = 0; e < f->elems; e++) {
                place(o, f, PART_CD, lane, reg, e, &r, &c);
                const double got = value_of(get_bits(w, f, lane, reg, e), f->type);
                *(e ? &t.hi : &t.lo) = settle(x->c[r][c], got, x->size[r][c], &lost);
            }
            if (kind != VG_FS_F64) {
                vg_fs_put(w, f->row[reg], lane, t);
                continue;
            }
            vg_fs_put64(w, f->row[reg], lane, 0, t);
            vg_fs_put64(w, f->row[reg], lane, 1, (vg_fs_word){0, 0, VG_FS_NONE});
        }
    vg_fs_lost(w, in, lost);
}

static const void *op_data(const vg_inst *in) { return (const void *)(uintptr_t)in->imm; }

void vg_fs_mma(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const matrix_op *o = op_data(in);
    matrices x = {0};
    const bool whole = mask == 0xffffffffu && kind_of(o->d.type) != VG_FS_NONE;
    if (whole) {
        gather(w, o, &o->a, PART_A, &x);
        gather(w, o, &o->b, PART_B, &x);
        gather(w, o, &o->c, PART_CD, &x);
    }
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    if (!whole)
        return;
    multiply(o, &x);
    scatter(w, in, o, &x);
}

// ---- memory
// Half e of the word of lane l: from address `at`, put together with the other half.
static void load_half(vg_warp *w, unsigned from_lane, vg_where where, uint64_t at, uint32_t row, unsigned l, unsigned half, vg_fs_word *x) {
    uint32_t kind = VG_FS_NONE;
    double v = 0;
    const uint32_t bits = vg_u32(w, row)[l] >> (16 * half) & 0xffffu;
    const bool found = vg_fs_load_half(w, from_lane, where, at, bits, &kind, &v);
    if (found && x->kind == VG_FS_NONE) {              // what came before had none: its value
        x->kind = kind;
        x->lo = vg_fs_value(vg_u32(w, row)[l], kind, 0);
    }
    if (x->kind != VG_FS_NONE)
        *(half ? &x->hi : &x->lo) = found && kind == x->kind ? v : vg_fs_value(vg_u32(w, row)[l], x->kind, half);
}

// Where ldmatrix and stmatrix find half e of register i of lane l: the lane whose address it is, and the offset from it.
static uint64_t place8(vg_warp *w, const matrix_memory *o, unsigned i, unsigned l, unsigned e) {
    const unsigned r = l / 4, c = 2 * (l % 4) + e;
    return address_of(w, o, 8 * i + (o->transposed ? c : r)) + 2 * (o->transposed ? r : c);
}

void vg_fs_ldmatrix(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const matrix_memory *o = op_data(in);
    uint64_t at[4][VG_LANES][2];
    for (unsigned i = 0; i < o->matrices; i++)         // the address row may be a destination
        for (unsigned l = 0; l < VG_LANES; l++)
            for (unsigned e = 0; e < 2; e++)
                at[i][l][e] = place8(w, o, i, l, e);
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    for (unsigned i = 0; i < o->matrices && w->event != VG_FAULT; i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            vg_fs_word x = o->transposed ? (vg_fs_word){0, 0, VG_FS_NONE}
                                         : vg_fs_load_word(w, l, (vg_where)o->where, at[i][l][0], vg_u32(w, o->f.row[i])[l]);
            for (unsigned e = 0; e < 2 && x.kind != VG_FS_F32; e++)     // 32-bit elements travel through ldmatrix as well
                load_half(w, l, (vg_where)o->where, at[i][l][e], o->f.row[i], l, e, &x);
            vg_fs_put(w, o->f.row[i], l, x);
        }
}

void vg_fs_stmatrix(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const matrix_memory *o = op_data(in);
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    for (unsigned i = 0; i < o->matrices && w->event != VG_FAULT; i++)
        for (unsigned l = 0; l < VG_LANES; l++)
            for (unsigned e = 0; e < 2; e++) {
                const vg_fs_word x = vg_fs_get(w, o->f.row[i], l);
                const bool half = x.kind == VG_FS_F16 || x.kind == VG_FS_BF16;
                vg_fs_store_half(w, l, (vg_where)o->where, place8(w, o, i, l, e), half ? x.kind : VG_FS_NONE, e ? x.hi : x.lo);
            }
}

static void store_element(vg_warp *w, const matrix_memory *o, unsigned l, unsigned reg, unsigned e, uint64_t at) {
    const vg_fs_word x = vg_fs_get(w, o->f.row[reg], l);
    if (o->f.bits == 32)
        vg_fs_store_word(w, l, (vg_where)o->where, at, x);
    else
        vg_fs_store_half(w, l, (vg_where)o->where, at, x.kind == VG_FS_F16 || x.kind == VG_FS_BF16 ? x.kind : VG_FS_NONE, e ? x.hi : x.lo);
}

// wmma.load and wmma.store of 16- and 32-bit elements
void vg_fs_wmma_memory(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const matrix_memory *o = op_data(in);
    const bool store = in->src->sub == PTX_WMMA_STORE_D;
    uint64_t base[VG_LANES], stride[VG_LANES];
    unsigned r, c;
    for (unsigned l = 0; l < VG_LANES; l++) {
        base[l] = address_of(w, o, l);
        stride[l] = o->stride == VG_NO_ROW ? (o->column_major ? o->rows : o->cols) : vg_u32(w, o->stride)[l];
    }
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    if (o->f.bits != 16 && o->f.bits != 32)
        return;
    for (unsigned l = 0; l < VG_LANES && w->event != VG_FAULT; l++)
        for (unsigned reg = 0; reg < o->f.regs; reg++) {
            vg_fs_word x = {0, 0, VG_FS_NONE};
            for (unsigned e = 0; e < o->f.elems; e++) {
                place_wmma(&o->f, o->p, l, reg, e, o->rows, o->cols, &r, &c);
                const uint64_t at = base[l] + (o->column_major ? c * stride[l] + r : r * stride[l] + c) * (o->f.bits / 8);
                if (store)
                    store_element(w, o, l, reg, e, at);
                else if (o->f.bits == 32)
                    x = vg_fs_load_word(w, l, (vg_where)o->where, at, vg_u32(w, o->f.row[reg])[l]);
                else
                    load_half(w, l, (vg_where)o->where, at, o->f.row[reg], l, e, &x);
            }
            if (!store)
                vg_fs_put(w, o->f.row[reg], l, x);
        }
}
