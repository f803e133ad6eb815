// op_fused: a float addition, product or multiply-add together with the loads of its factors, for whole warps. The loads' registers have no other
// use (fuse.c), so their rows are not written: the arithmetic reads memory where it lies, 32 values side by side or one for all lanes. What is not
// that usual case runs the instructions one by one, as if they had not been put together.
#include "vgpu/fuse.h"
#include "vgpu/linear.h"
#include "vgpu/mem_row.h"

bool VG_NAME(vg_bind_fused)(vg_binder *b, const ptx_inst *in, vg_inst *out);

typedef float __attribute__((may_alias)) f32a;
typedef struct source { const f32a *at; bool uniform; } source;   // at: NULL when the usual case does not hold

ALWAYS source global_source(vg_warp *w, uint32_t row, unsigned place, int32_t offset) {
    const vg_tag *t = vg_tag_of(w, row);
    const vg_near *near = &w->near[place];
    const uint64_t stride = t->stride, address = t->base + (uint64_t)(int64_t)offset, at = address - near->base;
    const size_t bytes = stride ? VG_LANES * 4 : 4;
    const bool odd = at >= near->bytes || bytes > near->bytes - at || !(t->flags & VG_LINEAR) || (stride & ~(uint64_t)4) || (address & 3);
    return (source){UNLIKELY(odd) ? NULL : (const f32a *)(const void *)(near->host + at), stride == 0};
}

ALWAYS source shared_source(vg_warp *w, uint32_t row, unsigned place, int32_t offset) {
    const vg_block *b = w->block;
    const vg_tag *t = vg_tag_of(w, row);
    const uint32_t at = (uint32_t)t->base + (uint32_t)offset, stride = (uint32_t)t->stride;
    const size_t bytes = stride ? VG_LANES * 4 : 4;
    const bool odd = !(t->flags & VG_LINEAR) || (stride & ~4u) || (at & 3) || at > b->shared_open || bytes > b->shared_open - at ||
                     (b->shared_shadow && !vg_bits_all(b->shared_shadow->bits, at, bytes));
    (void)place;
    return (source){UNLIKELY(odd) ? NULL : (const f32a *)(const void *)(b->shared + at), stride == 0};
}

NEVER void one_by_one(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_inst *insts = w->code->insts;
    const vg_fused_from from = vg_full(w->code)->fused_from[in->aux];
    const uint32_t first = from.a < from.b ? from.a : from.b, second = from.a < from.b ? from.b : from.a;   // VG_NOT_FUSED is the largest
    insts[first].full(w, &insts[first], mask);
    if (second != VG_NOT_FUSED)
        insts[second].full(w, &insts[second], mask);
    insts[in->index].full(w, &insts[in->index], mask);
}

#define EACH_LANE(x, y, expr) \
    VG_EACH { \
        const float a = x, b = y, c = rc[l]; \
        (void)c; \
        rd[l] = expr; \
    }
// Both factors from memory, or one of them from memory (always the first: they may change places) and one from its row.
#define TWO(name, from_a, from_b, expr) \
    VG_HANDLER(name) { \
        const source p = from_a(w, in->a, in->flags & 15, (int32_t)in->imm), q = from_b(w, in->b, in->flags >> 4, (int32_t)(in->imm >> 32)); \
        if (UNLIKELY(!p.at || !q.at)) { \
            one_by_one(w, in, mask); \
            return; \
        } \
        float *rd = VG_ROW(F32, in->d); \
        const float *rc = VG_ROW(F32, in->c); \
        if (p.uniform) { \
            const float x = p.at[0]; \
            if (q.uniform) { \
                const float y = q.at[0]; \
                EACH_LANE(x, y, expr) \
            } else \
                EACH_LANE(x, q.at[l], expr) \
        } else if (q.uniform) { \
            const float y = q.at[0]; \
            EACH_LANE(p.at[l], y, expr) \
        } else \
            EACH_LANE(p.at[l], q.at[l], expr) \
    }
#define ONE(name, from_a, expr) \
    VG_HANDLER(name) { \
        const source p = from_a(w, in->a, in->flags & 15, (int32_t)in->imm); \
        if (UNLIKELY(!p.at)) { \
            one_by_one(w, in, mask); \
            return; \
        } \
        float *rd = VG_ROW(F32, in->d); \
        const float *rb = VG_ROW(F32, in->b), *rc = VG_ROW(F32, in->c); \
        if (p.uniform) { \
            const float x = p.at[0]; \
            EACH_LANE(x, rb[l], expr) \
        } else \
            EACH_LANE(p.at[l], rb[l], expr) \
    }
#define FUSED(name, expr) \
    TWO(name##_gg, global_source, global_source, expr) TWO(name##_gs, global_source, shared_source, expr) TWO(name##_ss, shared_source, shared_source, expr) \
    ONE(name##_g, global_source, expr) ONE(name##_s, shared_source, expr)
// The arithmetic as in op_float.c.
FUSED(add, vg_nan32(a + b))
FUSED(add_ftz, vg_nan32(vg_ftz(vg_ftz(a) + vg_ftz(b))))
FUSED(mul, vg_nan32(a * b))
FUSED(mul_ftz, vg_nan32(vg_ftz(vg_ftz(a) * vg_ftz(b))))
FUSED(fma, vg_nan32(__builtin_fmaf(a, b, c)))
FUSED(fma_ftz, vg_nan32(vg_ftz(__builtin_fmaf(vg_ftz(a), vg_ftz(b), vg_ftz(c)))))

// ---- binding

typedef struct fused_form { uint16_t op; bool ftz; vg_handler g, s, gg, gs, ss; } fused_form;
#define F(op, ftz, name) { PTX_OP_##op, ftz, name##_g, name##_s, name##_gg, name##_gs, name##_ss }
static const fused_form g_forms[] = {
    F(ADD, false, add), F(ADD, true, add_ftz), F(MUL, false, mul), F(MUL, true, mul_ftz), F(FMA, false, fma), F(FMA, true, fma_ftz),
};

static const fused_form *form_of(const ptx_inst *in) {
    if (in->n_types != 1 || in->type[0] != PTX_F32 || in->mods & ~(uint32_t)PTX_M_FTZ || in->mods2 || in->rnd == PTX_RZ || in->rnd == PTX_RM || in->rnd == PTX_RP)
        return NULL;
    for (size_t i = 0; i < HONE_COUNT(g_forms); i++)
        if (g_forms[i].op == in->op && g_forms[i].ftz == ((in->mods & PTX_M_FTZ) != 0))
            return &g_forms[i];
    return NULL;
}

static bool is_global(const vg_inst *ld) { return ld->full == VG_NAME(vg_mem_plain)(4, 1); }
static bool is_shared(const vg_inst *ld) { return ld->full == VG_NAME(vg_mem_shared)(4, 1)->ld_tagged && !(ld->aux2 & (A_SPIN | A_REG64)); }

// out: a copy of the decoded arithmetic whose loads vg_bind_fused_from knows. Chooses the handler, and the order of the factors.
bool VG_NAME(vg_bind_fused)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const fused_form *f = form_of(in);
    const vg_inst *insts = vg_bind_code(b)->insts;
    vg_fused_from *from = vg_bind_fused_from(b, out);
    if (!f)
        return false;
    if (from->a == VG_NOT_FUSED || (from->b != VG_NOT_FUSED && is_shared(&insts[from->a]))) {
        *from = (vg_fused_from){from->b, from->a};
        out->b = out->a;                               // counts when only one factor is loaded
    }
    const vg_inst *first = &insts[from->a], *second = from->b == VG_NOT_FUSED ? NULL : &insts[from->b];
    const int64_t offset[2] = {first->imm, second ? second->imm : 0};
    const bool g = is_global(first), s = is_shared(first);
    if (!second)
        out->full = g ? f->g : s ? f->s : NULL;
    else
        out->full = g && is_global(second) ? f->gg : g && is_shared(second) ? f->gs : s && is_shared(second) ? f->ss : NULL;
    out->masked = out->full;
    out->a = first->a;
    out->b = second ? second->a : out->b;
    out->imm = (int64_t)((uint64_t)offset[1] << 32 | (uint32_t)offset[0]);
    out->flags = (uint8_t)((first->flags & 15) | (second ? (second->flags & 15) << 4 : 0));
    return out->full && offset[0] == (int32_t)offset[0] && offset[1] == (int32_t)offset[1];
}
