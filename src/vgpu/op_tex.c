// Textures: tex (.1d .2d .3d .a1d .a2d .cube .acube, with .level and .grad), tld4, txq, istypep; surfaces are in op_surf.c. Handles are 64-bit objects in
// registers, as nvcc emits them; the sampling itself is in texture.c. Levels from derivatives are isotropic: how hardware filters anisotropically is not
// documented. Not counted: the cost model knows no texture unit.
#include "vgpu/access.h"
#include "vgpu/context.h"
#include "vgpu/decode.h"
#include "vgpu/op.h"
#include "vgpu/tex_form.h"

bool VG_NAME(vg_bind_tex)(vg_binder *b, const ptx_inst *in, vg_inst *out);

const vg_texture *VG_NAME(vg_tex_object)(vg_warp *w, const vg_inst *in, unsigned lane, uint32_t row, bool surface, bool any_shape) {
    uint64_t handle = vg_u64(w, row)[lane];
    const vg_texture *t = vg_texture_of(w->block->launch->ctx->textures, handle);
    if (t && t->surface == surface && (any_shape || vg_texture_fits(t, vg_tex_form_of(in)->shape)))
        return t;
    vg_report(w, in, lane, "memory.out-of-bounds", handle, 0, in->src->op == PTX_OP_SUST, "%s of 0x%llx, which is no %s object%s",
              ptx_op_name((ptx_op)in->src->op), (unsigned long long)handle, surface ? "surface" : "texture", any_shape ? "" : " of this shape");
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    return NULL;
}

static void read_texels(vg_warp *w, const vg_inst *in, uint32_t mask, bool gathers) {
    const vg_tex_form *f = vg_tex_form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    uint32_t result[4][VG_LANES];
    unsigned first = vg_is_layered(f->shape);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const vg_texture *t = VG_NAME(vg_tex_object)(w, in, lane, in->a, false, false);
        vg_fetch q = {.shape = f->shape, .integer = f->integer, .layer = first ? vg_u32(w, f->at[0])[lane] : 0};
        uint32_t out[4];
        if (!t)
            return;
        for (unsigned i = first; i < f->n_at && i - first < 3; i++) {
            q.at[i - first] = vg_f32(w, f->at[i])[lane];
            q.index[i - first] = vg_s32(w, f->at[i])[lane];
        }
        if (f->has_level)
            q.level = f->integer ? (float)vg_s32(w, f->level)[lane] : vg_f32(w, f->level)[lane];
        q.has_grad = f->has_grad;
        for (unsigned i = 0; i < 3 && f->has_grad; i++) {
            q.dx[i] = vg_f32(w, f->dx[i])[lane];
            q.dy[i] = vg_f32(w, f->dy[i])[lane];
        }
        const vg_memory *m_of = w->block->launch->ctx->memory;
        vg_fetch_result r = gathers ? vg_texture_gather(m_of, t, &q, f->component, out) : vg_texture_fetch(m_of, t, &q, out);
        if (r != VG_FETCHED)
            vg_report(w, in, lane, r == VG_FETCH_FREED ? "memory.use-after-free" : "memory.uninitialized", t->level[0].base, t->level[0].element, false,
                      r == VG_FETCH_FREED ? "texture memory was freed" : "a texel that was never written");
        if (r == VG_FETCH_FREED) {
            vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
            return;
        }
        for (unsigned i = 0; i < 4; i++)
            result[i][lane] = out[i];
    }
    for (unsigned i = 0; i < f->n_values; i++)   // after all coordinates were read: a destination may be one of them
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            vg_u32(w, f->value[i])[lane] = result[i][lane];
        }
    vg_pred_write(w, in->d, mask, mask);   // every texel is resident: there are no sparse arrays
}
VG_HANDLER(tex) { read_texels(w, in, mask, false); }
VG_HANDLER(tld4) { read_texels(w, in, mask, true); }

// ---- queries (PTX ISA 9.7.10.3, 9.7.11.5): txq, suq

static const vg_image *level_of(vg_warp *w, const vg_inst *in, unsigned lane, const vg_texture *t) {
    const unsigned level = in->b == VG_NO_ROW ? 0 : vg_u32(w, in->b)[lane];
    return level < t->n_levels || level == 0 ? &t->level[level] : NULL;
}

// OpenCL's numbers, as the PTX ISA says. The formats are those of arrays: no normalised ones.
static uint32_t data_type(const vg_image *im) {
    static const uint16_t numbers[] = {[VG_TEXEL_U8] = 0x10da, [VG_TEXEL_U16] = 0x10db, [VG_TEXEL_U32] = 0x10dc, [VG_TEXEL_S8] = 0x10d7,
                                       [VG_TEXEL_S16] = 0x10d8, [VG_TEXEL_S32] = 0x10d9, [VG_TEXEL_F16] = 0x10dd, [VG_TEXEL_F32] = 0x10de};
    return numbers[im->texel];
}

static uint32_t answer(const vg_texture *t, const vg_image *im, unsigned what) {
    switch (what) {
    case PTX_TXQ_WIDTH: return (uint32_t)im->width;
    case PTX_TXQ_HEIGHT: return (uint32_t)im->height;
    case PTX_TXQ_DEPTH: return (uint32_t)im->depth;
    case PTX_TXQ_DATA_TYPE: return data_type(im);
    case PTX_TXQ_ORDER: return im->channels == 1 ? 0x10b0 : im->channels == 2 ? 0x10b2 : 0x10b5;   // R, RG, RGBA
    case PTX_TXQ_NORMALIZED: return t->normalized;
    case PTX_TXQ_LAYERS: return (uint32_t)(im->cube ? im->layers / 6 : im->layers);
    case PTX_TXQ_LEVELS: return t->n_levels ? t->n_levels : 1;
    case PTX_TXQ_SAMPLES: return 1;
    default: return t->linear_memory;   // memory_layout: 0 of an array, 1 of linear memory
    }
}

VG_HANDLER(query) {
    uint32_t result[VG_LANES] = {0};
    if (w->event == VG_FAULT)
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const vg_texture *t = VG_NAME(vg_tex_object)(w, in, lane, in->a, in->src->op == PTX_OP_SUQ, true);
        const vg_image *im = t ? level_of(w, in, lane, t) : NULL;
        if (!t)
            return;
        result[lane] = im ? answer(t, im, in->src->sub) : 0;
    }
    for (uint32_t m = mask; m; m &= m - 1)
        vg_u32(w, in->d)[__builtin_ctz(m)] = result[__builtin_ctz(m)];
}

// An assembled istypep asks for one bit, which addresses of .texref, .samplerref and .surfref variables have and handles of objects do not.
VG_HANDLER(istypep) {
    const unsigned bit = in->src->sub == PTX_IS_TEXREF ? 61 : in->src->sub == PTX_IS_SAMPLERREF ? 62 : 63;
    uint32_t hit = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        hit |= vg_u64(w, in->a)[__builtin_ctz(m)] >> bit & 1 ? m & -m : 0;
    vg_pred_write(w, in->d, hit, mask);
}

// ---- binding

bool VG_NAME(vg_tex_bind_values)(vg_binder *b, const ptx_inst *in, vg_tex_form *f, const ptx_operand *o, ptx_type type) {
    const ptx_operand *list = o->kind == PTX_O_VEC ? o->elems : o;
    f->n_values = (uint8_t)(o->kind == PTX_O_VEC ? o->n_elems : 1);
    f->bytes = (uint8_t)ptx_type_bytes(type);
    f->wide = f->bytes == 8;
    if (f->n_values != (in->vec ? in->vec : 1) || f->n_values > 4 || f->n_values * f->bytes > 16)
        return vg_unsupported(b, in, "vector length and operand list differ");
    for (unsigned i = 0; i < f->n_values; i++) {
        if (list[i].kind == PTX_O_REG && (ptx_type_bytes(vg_bind_reg_type(b, &list[i])) == 8) != f->wide)
            return vg_unsupported(b, in, "registers of another width");
        if (list[i].kind != PTX_O_REG && list[i].kind != PTX_O_SINK && (in->op != PTX_OP_SUST || list[i].kind != PTX_O_INT))
            return vg_unsupported(b, in, "operands");
        f->value[i] = list[i].kind == PTX_O_SINK ? vg_bind_scratch(b, 2) : vg_bind_row(b, &list[i], type);
    }
    return true;
}

bool VG_NAME(vg_tex_bind_handle)(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row) {
    bool wide, frame;
    int64_t offset;
    ptx_space space;
    if (o->kind != PTX_O_ADDR || o->symbol || !vg_bind_addr(b, in, o, row, &wide, &offset, &space, &frame) || *row == VG_NO_ROW || !wide || offset)
        return vg_unsupported(b, in, "only objects whose 64-bit handle is in a register");
    return true;
}

bool VG_NAME(vg_tex_bind_coordinates)(vg_binder *b, const ptx_inst *in, vg_tex_form *f, vg_inst *out, const ptx_operand *o, ptx_type type) {
    static const uint8_t count[] = {[VG_TEX_1D] = 1, [VG_TEX_2D] = 2, [VG_TEX_3D] = 4, [VG_TEX_A1D] = 2, [VG_TEX_A2D] = 4, [VG_TEX_CUBE] = 4, [VG_TEX_ACUBE] = 4};
    if (!VG_NAME(vg_tex_bind_handle)(b, in, o, &out->a))
        return false;
    f->n_at = o->n_elems;
    if (f->n_at != count[f->shape])
        return vg_unsupported(b, in, "number of coordinates");
    for (unsigned i = 0; i < f->n_at; i++) {
        if (o->elems[i].kind != PTX_O_REG && o->elems[i].kind != PTX_O_INT && o->elems[i].kind != PTX_O_FLOAT)
            return vg_unsupported(b, in, "coordinates");
        if (o->elems[i].kind == PTX_O_REG && ptx_type_bytes(vg_bind_reg_type(b, &o->elems[i])) != 4)
            return vg_unsupported(b, in, "coordinates that are not 32 bits wide");
        f->at[i] = vg_bind_row(b, &o->elems[i], i == 0 && vg_is_layered(f->shape) ? PTX_U32 : type);
    }
    return true;
}

static bool is_word(vg_binder *b, const ptx_operand *o) {
    return o->kind == PTX_O_REG ? ptx_type_bytes(vg_bind_reg_type(b, o)) == 4 : o->kind == PTX_O_FLOAT || o->kind == PTX_O_INT;
}

// {x, y} or {x, y, z, unused}: one derivative
static bool bind_gradient(vg_binder *b, const ptx_inst *in, const vg_tex_form *f, const ptx_operand *o, uint32_t rows[3]) {
    static const uint8_t count[] = {[VG_TEX_1D] = 1, [VG_TEX_2D] = 2, [VG_TEX_3D] = 4, [VG_TEX_A1D] = 1, [VG_TEX_A2D] = 2, [VG_TEX_CUBE] = 4, [VG_TEX_ACUBE] = 4};
    const ptx_operand *list = o->kind == PTX_O_VEC ? o->elems : o;
    if ((o->kind == PTX_O_VEC ? o->n_elems : 1u) != count[f->shape])
        return vg_unsupported(b, in, "number of derivatives");
    for (unsigned i = 0; i < 3; i++) {
        const bool there = i < count[f->shape];
        if (there && !is_word(b, &list[i]))
            return vg_unsupported(b, in, "derivatives that are not 32 bits wide");
        rows[i] = there ? vg_bind_row(b, &list[i], PTX_F32) : vg_bind_const(b, 0, 4);
    }
    return true;
}

// What follows the coordinates: a level, or two derivatives.
static bool bind_level(vg_binder *b, const ptx_inst *in, vg_tex_form *f, unsigned at) {
    f->has_level = in->mods2 & PTX_M2_LEVEL;
    f->has_grad = in->mods2 & PTX_M2_GRAD;
    if ((f->has_level && f->has_grad) || in->n_operands != at + (f->has_grad ? 2 : f->has_level))
        return vg_unsupported(b, in, "offsets and depth comparison");
    if (f->has_grad)
        return !f->integer && bind_gradient(b, in, f, &in->operand[at], f->dx) && bind_gradient(b, in, f, &in->operand[at + 1], f->dy)
                   ? true : vg_unsupported(b, in, "its derivatives");
    if (!f->has_level)
        return true;
    if (!is_word(b, &in->operand[at]))
        return vg_unsupported(b, in, "its level");
    f->level = vg_bind_row(b, &in->operand[at], f->integer ? PTX_S32 : PTX_F32);
    return true;
}

vg_tex_form *VG_NAME(vg_tex_form_new)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    vg_tex_form *f = hone_arena_alloc(b->program->arena, sizeof *f);
    if (!f || in->sub < PTX_TEX_1D || in->sub > PTX_TEX_ACUBE || in->n_operands < 2) {
        vg_unsupported(b, in, f ? "shape" : "out of memory");
        return NULL;
    }
    *f = (vg_tex_form){.shape = (vg_tex_shape)(in->sub - PTX_TEX_1D), .type = (ptx_type)in->type[0]};
    out->imm = (int64_t)(uintptr_t)f;
    return f;
}

static bool bind_fetch(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    vg_tex_form *f = VG_NAME(vg_tex_form_new)(b, in, out);
    const bool gathers = in->op == PTX_OP_TLD4, resident = in->operand[1].part;
    if (!f)
        return false;
    if (in->vec != 4 || ptx_type_bytes((ptx_type)in->type[0]) != 4)
        return vg_unsupported(b, in, "results that are not four of 32 bits");
    if (gathers && ((f->shape != VG_TEX_2D && f->shape != VG_TEX_A2D && f->shape != VG_TEX_CUBE && f->shape != VG_TEX_ACUBE) || in->type[1] != PTX_F32 ||
                    in->mods2 & (PTX_M2_LEVEL | PTX_M2_GRAD)))
        return vg_unsupported(b, in, "shape and coordinates");
    f->component = (uint8_t)(in->mods2 & PTX_M2_GREEN ? 1 : in->mods2 & PTX_M2_BLUE ? 2 : in->mods2 & PTX_M2_ALPHA ? 3 : 0);
    f->integer = in->type[1] == PTX_S32;
    out->full = out->masked = gathers ? tld4 : tex;
    out->d = resident ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    if (in->n_operands < 2u + resident)
        return vg_unsupported(b, in, "its operands");
    return VG_NAME(vg_tex_bind_values)(b, in, f, &in->operand[0], (ptx_type)in->type[0]) &&
           VG_NAME(vg_tex_bind_coordinates)(b, in, f, out, &in->operand[1 + resident], f->integer ? PTX_S32 : PTX_F32) && bind_level(b, in, f, 2 + resident);
}

static bool bind_query(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool level = in->mods2 & PTX_M2_LEVEL;
    if (in->n_operands != 2u + level || (level && in->sub > PTX_TXQ_DEPTH))
        return vg_unsupported(b, in, "its operands");
    out->full = out->masked = query;
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->b = level ? vg_bind_row(b, &in->operand[2], PTX_U32) : VG_NO_ROW;
    return VG_NAME(vg_tex_bind_handle)(b, in, &in->operand[1], &out->a);
}

bool VG_NAME(vg_bind_tex)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->op) {
    case PTX_OP_TEX: case PTX_OP_TLD4: return bind_fetch(b, in, out);
    case PTX_OP_TXQ: case PTX_OP_SUQ: return bind_query(b, in, out);
    case PTX_OP_ISTYPEP:
        out->full = out->masked = istypep;
        out->d = vg_bind_pred(b, &in->operand[0]);
        out->a = vg_bind_row(b, &in->operand[1], PTX_U64);
        return true;
    default: return VG_NAME(vg_bind_surf)(b, in, out);
    }
}
