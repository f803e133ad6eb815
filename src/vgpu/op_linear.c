// op_linear: instructions on tracked rows (linear.h). Each has one handler for full masks, which computes base and stride of the result when those of
// the sources are known, and falls back to values otherwise: `spill` writes the sources' values and runs the family's own handler.
#include "vgpu/linear.h"
#include "vgpu/mem_row.h"

bool VG_NAME(vg_bind_linear)(vg_binder *b, const ptx_inst *in, vg_inst *out);

ALWAYS const vg_linear *linear_of(const vg_warp *w, const vg_inst *in) { return &w->code->linear[in->index]; }

NEVER void spill(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_linear *x = linear_of(w, in);
    for (unsigned i = 0; i < x->n_rows; i++)
        spill_row(w->file, x->rows[i] & ~1u, x->rows[i] & 1);
    if (x->tracked) {
        if (mask != FULL)
            spill_row(w->file, in->d, x->wide);
        vg_tag_of(w, in->d)->flags = 0;
    }
    if (mask == FULL)
        x->full(w, in, mask);
    else
        x->masked(w, in, mask);
}

// The shape of source operand k's row: from its tag, or by looking at the values of a row without one. false: not linear.
ALWAYS bool shape(vg_warp *w, const vg_inst *in, unsigned k, uint32_t row, bool wide, vg_tag *t) {
    if (!(in->flags & VG_UNTAGGED(k))) {
        *t = *vg_tag_of(w, row);
        return t->flags & VG_LINEAR;
    }
    if (wide) {
        const uint64_t *r = VG_ROW(U64, row);
        t->base = r[0];
        return linear64_full(r, &t->stride);
    }
    const uint32_t *r = VG_ROW(U32, row);
    uint32_t stride;
    t->base = r[0];
    const bool linear = linear32_full(r, &stride);
    t->stride = stride;
    return linear;
}

ALWAYS void put_tag(vg_warp *w, const vg_inst *in, bool wide, uint64_t base, uint64_t stride) {
    vg_tag *d = vg_tag_of(w, in->d);
    d->base = wide ? base : (uint32_t)base;
    d->stride = wide ? stride : (uint32_t)stride;
    d->flags = VG_LINEAR | VG_STALE;
}

// ---- rows of blocks narrower than a warp (VG_PLANE). They come up where a form has found that not all sources are linear.

ALWAYS bool plane_of(vg_warp *w, const vg_inst *in, unsigned k, uint32_t row, vg_tag *t) {
    if (in->flags & VG_UNTAGGED(k))
        return false;
    *t = *vg_tag_of(w, row);
    if (t->flags & VG_LINEAR)
        t->width = 0;
    return t->flags & (VG_LINEAR | VG_PLANE);
}
// Gives linear tags the width of the others; false when there are two widths, or none.
ALWAYS bool one_width(vg_tag *t[], unsigned n) {
    uint32_t width = 0;
    for (unsigned i = 0; i < n; i++) {
        if (t[i]->width && width && t[i]->width != width)
            return false;
        width = t[i]->width ? t[i]->width : width;
    }
    for (unsigned i = 0; i < n; i++)
        if (!t[i]->width) {
            t[i]->width = width;
            t[i]->jump = width * t[i]->stride;
        }
    return width != 0;
}
ALWAYS void put_plane(vg_warp *w, const vg_inst *in, bool wide, uint64_t base, uint64_t stride, uint64_t jump, uint32_t width) {
    const uint64_t keep = wide ? ~0ull : UINT32_MAX;
    vg_tag *d = vg_tag_of(w, in->d);
    *d = (vg_tag){.base = base & keep, .stride = stride & keep, .flags = (((jump - width * stride) & keep) ? VG_PLANE : VG_LINEAR) | VG_STALE,
                  .width = width, .jump = jump & keep};
}
// Runs `body` with the sources' planes in pa, pb, pc; a, b, c are tags for the forms' expressions: strides of either direction, or both at once where
// a form asks whether a row is uniform.
ALWAYS vg_tag any_step(const vg_tag *t) { return (vg_tag){.base = t->base, .stride = t->stride | t->jump, .flags = t->flags}; }
#define PUT_PLANE(W, base_, stride_, next)                                         \
    const uint64_t base = base_, stride = stride_;                                 \
    next;                                                                          \
    put_plane(w, in, W, base, stride, stride_, pa.width);                          \
    return

// The first and the step of a 32-bit row whose values, read as signed or unsigned, do not wrap from lane to lane.
ALWAYS bool unwrapped(const vg_tag *t, bool is_signed, int64_t *first, int64_t *step) {
    *first = is_signed ? (int64_t)(int32_t)t->base : (int64_t)(uint32_t)t->base;
    *step = (int32_t)t->stride;
    const int64_t last = *first + 31 * *step;
    return is_signed ? last == (int32_t)last : last == (int64_t)(uint32_t)last;
}

// Each form has two functions: the handler, for sources that have tags, with nothing else in its frame, and one that also looks at rows without.
#define TAG_OF(x) const vg_tag x = *vg_tag_of(w, in->x)
#define LINEAR1(name, WD, WA, ok, base_, stride_)                                  \
    NEVER void name##_look(vg_warp *w, const vg_inst *in, uint32_t mask) {         \
        vg_tag a;                                                                  \
        if (shape(w, in, 1, in->a, WA, &a) && (ok)) {                              \
            put_tag(w, in, WD, base_, stride_);                                    \
            return;                                                                \
        }                                                                          \
        vg_tag pa;                                                                 \
        if (plane_of(w, in, 1, in->a, &pa) && one_width((vg_tag *[]){&pa}, 1)) {   \
            a = pa;                                                                \
            PUT_PLANE(WD, base_, stride_, a.stride = pa.jump);                     \
        }                                                                          \
        spill(w, in, mask);                                                        \
    }                                                                              \
    VG_HANDLER(name) {                                                             \
        TAG_OF(a);                                                                 \
        if (LIKELY(!in->flags && a.flags & VG_LINEAR && (ok)))                     \
            put_tag(w, in, WD, base_, stride_);                                    \
        else                                                                       \
            name##_look(w, in, mask);                                              \
    }
#define LINEAR2(name, W, WB, ok, base_, stride_)                                   \
    NEVER void name##_look(vg_warp *w, const vg_inst *in, uint32_t mask) {         \
        vg_tag a, b;                                                               \
        if (shape(w, in, 1, in->a, W, &a) && shape(w, in, 2, in->b, WB, &b) && (ok)) { \
            put_tag(w, in, W, base_, stride_);                                     \
            return;                                                                \
        }                                                                          \
        vg_tag pa, pb;                                                             \
        if (plane_of(w, in, 1, in->a, &pa) && plane_of(w, in, 2, in->b, &pb) && one_width((vg_tag *[]){&pa, &pb}, 2)) { \
            a = any_step(&pa);                                                     \
            b = any_step(&pb);                                                     \
            if (ok) {                                                              \
                a = pa;                                                            \
                b = pb;                                                            \
                PUT_PLANE(W, base_, stride_, (a.stride = pa.jump, b.stride = pb.jump)); \
            }                                                                      \
        }                                                                          \
        spill(w, in, mask);                                                        \
    }                                                                              \
    VG_HANDLER(name) {                                                             \
        TAG_OF(a);                                                                 \
        TAG_OF(b);                                                                 \
        if (LIKELY(!in->flags && a.flags & b.flags & VG_LINEAR && (ok)))           \
            put_tag(w, in, W, base_, stride_);                                     \
        else                                                                       \
            name##_look(w, in, mask);                                              \
    }
#define LINEAR3(name, W, ok, base_, stride_)                                       \
    NEVER void name##_look(vg_warp *w, const vg_inst *in, uint32_t mask) {         \
        vg_tag a, b, c;                                                            \
        if (shape(w, in, 1, in->a, W, &a) && shape(w, in, 2, in->b, W, &b) && shape(w, in, 3, in->c, W, &c) && (ok)) { \
            put_tag(w, in, W, base_, stride_);                                     \
            return;                                                                \
        }                                                                          \
        vg_tag pa, pb, pc;                                                         \
        if (plane_of(w, in, 1, in->a, &pa) && plane_of(w, in, 2, in->b, &pb) && plane_of(w, in, 3, in->c, &pc) && \
            one_width((vg_tag *[]){&pa, &pb, &pc}, 3)) {                           \
            a = any_step(&pa);                                                     \
            b = any_step(&pb);                                                     \
            c = any_step(&pc);                                                     \
            if (ok) {                                                              \
                a = pa;                                                            \
                b = pb;                                                            \
                c = pc;                                                            \
                PUT_PLANE(W, base_, stride_, (a.stride = pa.jump, b.stride = pb.jump, c.stride = pc.jump)); \
            }                                                                      \
        }                                                                          \
        spill(w, in, mask);                                                        \
    }                                                                              \
    VG_HANDLER(name) {                                                             \
        TAG_OF(a);                                                                 \
        TAG_OF(b);                                                                 \
        TAG_OF(c);                                                                 \
        if (LIKELY(!in->flags && a.flags & b.flags & c.flags & VG_LINEAR && (ok))) \
            put_tag(w, in, W, base_, stride_);                                     \
        else                                                                       \
            name##_look(w, in, mask);                                              \
    }
#define ONE_UNIFORM (a.stride == 0 || b.stride == 0)
LINEAR1(mov_32, false, false, true, a.base, a.stride)
LINEAR1(mov_64, true, true, true, a.base, a.stride)
LINEAR1(narrow, false, true, true, a.base, a.stride)
LINEAR1(address, true, true, true, a.base + (uint64_t)in->imm, a.stride)
LINEAR2(add_32, false, false, true, a.base + b.base, a.stride + b.stride)
LINEAR2(add_64, true, true, true, a.base + b.base, a.stride + b.stride)
LINEAR2(sub_32, false, false, true, a.base - b.base, a.stride - b.stride)
LINEAR2(sub_64, true, true, true, a.base - b.base, a.stride - b.stride)
LINEAR2(mul_32, false, false, ONE_UNIFORM, a.base * b.base, a.stride * b.base + b.stride * a.base)
LINEAR2(mul_64, true, true, ONE_UNIFORM, a.base * b.base, a.stride * b.base + b.stride * a.base)
LINEAR3(mad_32, false, ONE_UNIFORM, a.base * b.base + c.base, a.stride * b.base + b.stride * a.base + c.stride)
LINEAR3(mad_64, true, ONE_UNIFORM, a.base * b.base + c.base, a.stride * b.base + b.stride * a.base + c.stride)
#define SHIFTED(v, width) ((uint32_t)b.base >= (width) ? 0 : (v) << ((uint32_t)b.base & ((width) - 1)))
LINEAR2(shl_32, false, false, b.stride == 0, SHIFTED(a.base, 32), SHIFTED(a.stride, 32))
LINEAR2(shl_64, true, false, b.stride == 0, SHIFTED(a.base, 64), SHIFTED(a.stride, 64))

// A plane of a 32-bit row whose values do not wrap between its corners, widened to 64 bits.
ALWAYS bool unwrapped_plane(vg_tag *t, bool is_signed) {
    const int64_t first = is_signed ? (int64_t)(int32_t)t->base : (int64_t)(uint32_t)t->base, across = (int32_t)t->stride * (int64_t)(t->width - 1),
                  down = (int32_t)t->jump * (int64_t)(VG_LANES / t->width - 1), corner[] = {first, first + across, first + down, first + across + down};
    for (unsigned i = 0; i < 4; i++)
        if (corner[i] != (is_signed ? (int64_t)(int32_t)corner[i] : (int64_t)(uint32_t)corner[i]))
            return false;
    t->base = (uint64_t)first;
    t->stride = (uint64_t)(int64_t)(int32_t)t->stride;
    t->jump = (uint64_t)(int64_t)(int32_t)t->jump;
    return true;
}
NEVER bool widen_plane(vg_warp *w, const vg_inst *in, bool is_signed) {
    vg_tag a;
    if (!plane_of(w, in, 1, in->a, &a) || !one_width((vg_tag *[]){&a}, 1) || !unwrapped_plane(&a, is_signed))
        return false;
    put_plane(w, in, true, a.base, a.stride, a.jump, a.width);
    return true;
}
NEVER bool wide_plane(vg_warp *w, const vg_inst *in, bool is_signed, bool sum) {
    vg_tag a, b, c = {0};
    if (!plane_of(w, in, 1, in->a, &a) || !plane_of(w, in, 2, in->b, &b) || (sum && !plane_of(w, in, 3, in->c, &c)) ||
        !one_width((vg_tag *[]){&a, &b, &c}, sum ? 3 : 2) || !unwrapped_plane(&a, is_signed) || !unwrapped_plane(&b, is_signed) ||
        ((a.stride | a.jump) && (b.stride | b.jump)))
        return false;
    put_plane(w, in, true, a.base * b.base + c.base, a.base * b.stride + b.base * a.stride + c.stride, a.base * b.jump + b.base * a.jump + c.jump, a.width);
    return true;
}

ALWAYS bool widen(vg_warp *w, const vg_inst *in, bool is_signed) {
    vg_tag a;
    int64_t first, step;
    if (!shape(w, in, 1, in->a, false, &a) || !unwrapped(&a, is_signed, &first, &step))
        return widen_plane(w, in, is_signed);
    put_tag(w, in, true, (uint64_t)first, (uint64_t)step);
    return true;
}
VG_HANDLER(widen_s) { if (!widen(w, in, true)) spill(w, in, mask); }
VG_HANDLER(widen_u) { if (!widen(w, in, false)) spill(w, in, mask); }

// a * b (+ c) with 32-bit factors and 64-bit sums
ALWAYS bool wide_product(vg_warp *w, const vg_inst *in, bool is_signed, bool sum) {
    vg_tag a, b, c = {0};
    int64_t fa, sa, fb, sb;
    if (!shape(w, in, 1, in->a, false, &a) || !shape(w, in, 2, in->b, false, &b) || !ONE_UNIFORM || !unwrapped(&a, is_signed, &fa, &sa) ||
        !unwrapped(&b, is_signed, &fb, &sb) || (sum && !shape(w, in, 3, in->c, true, &c)))
        return wide_plane(w, in, is_signed, sum);
    const uint64_t base = (uint64_t)fa * (uint64_t)fb, stride = (uint64_t)fa * (uint64_t)sb + (uint64_t)fb * (uint64_t)sa;
    put_tag(w, in, true, base + c.base, stride + c.stride);
    return true;
}
VG_HANDLER(mulwide_s) { if (!wide_product(w, in, true, false)) spill(w, in, mask); }
VG_HANDLER(mulwide_u) { if (!wide_product(w, in, false, false)) spill(w, in, mask); }
VG_HANDLER(madwide_s) { if (!wide_product(w, in, true, true)) spill(w, in, mask); }
VG_HANDLER(madwide_u) { if (!wide_product(w, in, false, true)) spill(w, in, mask); }

VG_HANDLER(param_32) {
    const vg_launch *l = w->block->launch;
    if ((uint64_t)in->imm + 4 > l->param_bytes) {
        spill(w, in, mask);
        return;
    }
    put_tag(w, in, false, load_raw(l->params + in->imm, 4), 0);
}
VG_HANDLER(param_64) {
    const vg_launch *l = w->block->launch;
    if ((uint64_t)in->imm + 8 > l->param_bytes) {
        spill(w, in, mask);
        return;
    }
    put_tag(w, in, true, load_raw(l->params + in->imm, 8), 0);
}

// Any lane-wise instruction whose sources are all uniform has a uniform result, which the values of its row then tell.
VG_HANDLER(pure) {
    const vg_linear *x = linear_of(w, in);
    bool uniform = !in->flags;
    for (unsigned i = 0; i < x->n_rows; i++) {
        const vg_tag *t = vg_tag_of(w, x->rows[i] & ~1u);
        uniform &= (t->flags & VG_LINEAR) && t->stride == 0;
    }
    spill(w, in, mask);
    if (uniform)
        *vg_tag_of(w, in->d) = (vg_tag){.base = x->wide ? vg_u64(w, in->d)[0] : vg_u32(w, in->d)[0], .flags = VG_LINEAR};
}

// selp: one side for all lanes
enum { SRC_NEG = 1u << 16 };   // as op_cmp.c binds it
ALWAYS bool select_side(vg_warp *w, const vg_inst *in, bool wide) {
    const uint32_t p = w->pred[in->c & 0xffff] ^ (in->c & SRC_NEG ? ~0u : 0u);
    vg_tag t;
    if ((p != 0 && p != FULL) || !shape(w, in, p ? 1 : 2, p ? in->a : in->b, wide, &t))
        return false;
    put_tag(w, in, wide, t.base, t.stride);
    return true;
}
VG_HANDLER(select_32) { if (!select_side(w, in, false)) spill(w, in, mask); }
VG_HANDLER(select_64) { if (!select_side(w, in, true)) spill(w, in, mask); }

// Two 32-bit linear rows that do not wrap: are all lanes of one less than, or all greater than, those of the other? Their difference is monotonous.
ALWAYS bool same_side(const vg_tag *a, const vg_tag *b, bool is_signed) {
    int64_t a0, as, b0, bs;
    if (!unwrapped(a, is_signed, &a0, &as) || !unwrapped(b, is_signed, &b0, &bs))
        return false;
    const int64_t first = a0 - b0, last = first + 31 * (as - bs);
    return (first < 0 && last < 0) || (first > 0 && last > 0);
}

// setp on two uniform rows, or on linear ones that do not cross
#define COMPARE(name, T, WIDE, SIGNED, op)                                                                                                         \
    NEVER void name##_look(vg_warp *w, const vg_inst *in, uint32_t mask) {                                                                 \
        vg_tag a, b;                                                                                                                       \
        if (!shape(w, in, 1, in->a, WIDE, &a) || !shape(w, in, 2, in->b, WIDE, &b) ||                                                      \
            ((a.stride || b.stride) && (WIDE || !same_side(&a, &b, SIGNED))))                                                           \
            spill(w, in, mask);                                                                                                            \
        else                                                                                                                               \
            vg_pred_write(w, in->d, (T)a.base op (T)b.base ? FULL : 0, mask);                                                              \
    }                                                                                                                                      \
    VG_HANDLER(name) {                                                                                                                     \
        const vg_tag *a = vg_tag_of(w, in->a), *b = vg_tag_of(w, in->b);                                                                   \
        if (LIKELY(!in->flags && a->flags & b->flags & VG_LINEAR && !(a->stride | b->stride)))                                             \
            vg_pred_write(w, in->d, (T)a->base op (T)b->base ? FULL : 0, mask);                                                            \
        else                                                                                                                               \
            name##_look(w, in, mask);                                                                                                      \
    }
#define COMPARES(s, T, WIDE, SIGNED) \
    COMPARE(eq_##s, T, WIDE, SIGNED, ==) COMPARE(ne_##s, T, WIDE, SIGNED, !=) COMPARE(lt_##s, T, WIDE, SIGNED, <) \
    COMPARE(le_##s, T, WIDE, SIGNED, <=) COMPARE(gt_##s, T, WIDE, SIGNED, >) COMPARE(ge_##s, T, WIDE, SIGNED, >=)
COMPARES(s32, int32_t, false, true)
COMPARES(u32, uint32_t, false, false)
COMPARES(s64, int64_t, true, true)
COMPARES(u64, uint64_t, true, false)

// ---- binding

typedef struct compare_form { uint8_t cmp; vg_handler h[4]; } compare_form;   // by type: s32 u32 s64 u64
#define C(cmp, name) { PTX_##cmp, { name##_s32, name##_u32, name##_s64, name##_u64 } }
static const compare_form g_compares[] = {C(EQ, eq), C(NE, ne), C(LT, lt), C(LE, le), C(GT, gt), C(GE, ge), C(LO, lt), C(LS, le), C(HI_, gt), C(HS, ge)};

static vg_handler compare_of(const ptx_inst *in) {
    const ptx_type t = (ptx_type)in->type[0];
    const bool is_signed = t == PTX_S32 || t == PTX_S64;
    const unsigned column = (ptx_type_bytes(t) == 8 ? 2u : 0u) + (is_signed ? 0u : 1u);
    if (in->boolop != PTX_BOOL_NONE || in->operand[1].part || ptx_type_bytes(t) < 4)
        return spill;
    for (size_t i = 0; i < HONE_COUNT(g_compares); i++)
        if (g_compares[i].cmp == in->cmp)
            return g_compares[i].h[column];
    return spill;
}

static vg_handler cvt_of(const ptx_inst *in) {
    const unsigned to = ptx_type_bytes((ptx_type)in->type[0]), from = ptx_type_bytes((ptx_type)in->type[1]);
    const bool is_signed = in->type[1] == PTX_S32;
    return to > from ? (is_signed ? widen_s : widen_u) : to < from ? narrow : to == 8 ? mov_64 : mov_32;
}

typedef struct linear_form { uint16_t op; uint32_t mods; vg_handler narrow, wide; } linear_form;   // by the type of the instruction
static const linear_form g_forms[] = {
    {PTX_OP_ADD, 0, add_32, add_64}, {PTX_OP_SUB, 0, sub_32, sub_64}, {PTX_OP_MUL, PTX_M_LO, mul_32, mul_64}, {PTX_OP_MAD, PTX_M_LO, mad_32, mad_64},
    {PTX_OP_SHL, 0, shl_32, shl_64}, {PTX_OP_MOV, 0, mov_32, mov_64}, {PTX_OP_CVTA, 0, address, address}, {PTX_OP_LD, 0, param_32, param_64},
    {PTX_OP_SELP, 0, select_32, select_64},
};

static vg_handler form_of(const ptx_inst *in) {
    const bool wide = ptx_type_bytes((ptx_type)in->type[0]) == 8, is_signed = in->type[0] == PTX_S32;
    const uint32_t how = in->mods & (PTX_M_LO | PTX_M_HI | PTX_M_WIDE);
    if (how == PTX_M_WIDE)
        return in->op == PTX_OP_MUL ? (is_signed ? mulwide_s : mulwide_u) : (is_signed ? madwide_s : madwide_u);
    if (in->op == PTX_OP_CVT)
        return cvt_of(in);
    for (size_t i = 0; i < HONE_COUNT(g_forms); i++)
        if (g_forms[i].op == in->op && (g_forms[i].mods & how) == g_forms[i].mods)
            return wide ? g_forms[i].wide : g_forms[i].narrow;
    return pure;
}

static bool has_tag(const vg_binder *b, const ptx_inst *in, unsigned k, bool is_pure) {
    if (in->op == PTX_OP_LD || (in->op == PTX_OP_SELP && k == 3))
        return true;
    return vg_bind_tagged(b, &in->operand[k]) && !(is_pure && in->operand[k].kind == PTX_O_SREG);
}

bool VG_NAME(vg_bind_linear)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool setp = in->op == PTX_OP_SETP;
    const vg_linear *x = &vg_bind_code(b)->linear[out->index];
    out->full = out->masked = setp && x->n_rows ? compare_of(in) : spill;
    if (!x->tracked && out->full == spill)
        return true;
    if (x->tracked)
        out->full = form_of(in);
    out->flags = 0;
    for (unsigned k = 1; k < in->n_operands; k++)
        if (!has_tag(b, in, k, out->full == pure))
            out->flags |= (uint8_t)VG_UNTAGGED(k);
    return true;
}
