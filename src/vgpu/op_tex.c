// Textures and surfaces: tex (.1d .2d .3d .a1d .a2d .cube .acube, with .level; no .grad, which needs anisotropic filtering) and suld/sust .b. Handles are
// 64-bit objects in registers, as nvcc emits them; the sampling itself is in texture.c. Not counted: the cost model knows no texture unit.
#include "vgpu/access.h"
#include "vgpu/context.h"
#include "vgpu/decode.h"
#include "vgpu/op.h"
#include "vgpu/texture.h"

bool VG_NAME(vg_bind_tex)(vg_binder *b, const ptx_inst *in, vg_inst *out);

// vg_inst.imm points to one of these, in the program's arena.
typedef struct form {
    uint32_t value[4], at[4], level;     // rows
    uint8_t n_values, n_at, bytes;       // bytes: of one value
    bool wide, integer, has_level, clamp, zero;
    vg_tex_shape shape;
} form;
static inline const form *form_of(const vg_inst *in) { return (const form *)(uintptr_t)in->imm; }
static bool is_layered(vg_tex_shape s) { return s == VG_TEX_A1D || s == VG_TEX_A2D || s == VG_TEX_ACUBE; }

static const vg_texture *object_of(vg_warp *w, const vg_inst *in, unsigned lane, bool surface) {
    uint64_t handle = vg_u64(w, in->a)[lane];
    const form *f = form_of(in);
    const vg_texture *t = vg_texture_of(w->block->launch->ctx->textures, handle);
    if (t && t->surface == surface && vg_texture_fits(t, f->shape))
        return t;
    vg_report(w, in, lane, "memory.out-of-bounds", handle, 0, in->src->op == PTX_OP_SUST, "%s of 0x%llx, which is no %s object of this shape",
              ptx_op_name((ptx_op)in->src->op), (unsigned long long)handle, surface ? "surface" : "texture");
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    return NULL;
}

VG_HANDLER(tex) {
    const form *f = form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    uint32_t result[4][VG_LANES];
    unsigned first = is_layered(f->shape);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const vg_texture *t = object_of(w, in, lane, false);
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
        vg_fetch_result r = vg_texture_fetch(w->block->launch->ctx->memory, t, &q, out);
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
}

// Host memory of a lane's surface access, NULL when there is none: outside, or a fault (w->event tells).
static uint8_t *surface_at(vg_warp *w, const vg_inst *in, unsigned lane, char kind) {
    const form *f = form_of(in);
    unsigned bytes = (unsigned)f->bytes * f->n_values, first = is_layered(f->shape);
    const vg_texture *t = object_of(w, in, lane, true);
    int32_t c[4] = {0};
    uint64_t address;
    if (!t)
        return NULL;
    for (unsigned i = 0; i < f->n_at && i < 4; i++)
        c[i] = vg_s32(w, f->at[i])[lane];
    int32_t z = first ? c[0] : c[2], x = c[first], y = c[first + 1];
    if (vg_surface_address(&t->level[0], f->shape, x, y, z, bytes, f->clamp, &address))
        return vg_lane_access(w, in, lane, VG_IN_GLOBAL, address, bytes, kind);
    if (!f->zero) {
        vg_report(w, in, lane, "memory.out-of-bounds", t->level[0].base, bytes, kind == 's', "surface access at byte %d, row %d, slice %d is outside the surface", x, y, z);
        vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    }
    return NULL;
}

VG_HANDLER(suld) {
    const form *f = form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    uint64_t result[4][VG_LANES] = {{0}};
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = surface_at(w, in, lane, 'l');
        if (!p && w->event == VG_FAULT)
            return;
        for (unsigned i = 0; p && i < f->n_values; i++)
            memcpy(&result[i][lane], p + i * f->bytes, f->bytes);
    }
    for (unsigned i = 0; i < f->n_values; i++)
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            if (f->wide)
                vg_u64(w, f->value[i])[lane] = result[i][lane];
            else
                vg_u32(w, f->value[i])[lane] = (uint32_t)result[i][lane];
        }
}

VG_HANDLER(sust) {
    const form *f = form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = surface_at(w, in, lane, 's');
        if (!p && w->event == VG_FAULT)
            return;
        for (unsigned i = 0; p && i < f->n_values; i++) {
            uint64_t v = f->wide ? vg_u64(w, f->value[i])[lane] : vg_u32(w, f->value[i])[lane];
            memcpy(p + i * f->bytes, &v, f->bytes);
        }
    }
}

// ---- binding

static bool bind_values(vg_binder *b, const ptx_inst *in, form *f, const ptx_operand *o, ptx_type type) {
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

static bool bind_coordinates(vg_binder *b, const ptx_inst *in, form *f, vg_inst *out, const ptx_operand *o, ptx_type type) {
    static const uint8_t count[] = {[VG_TEX_1D] = 1, [VG_TEX_2D] = 2, [VG_TEX_3D] = 4, [VG_TEX_A1D] = 2, [VG_TEX_A2D] = 4, [VG_TEX_CUBE] = 4, [VG_TEX_ACUBE] = 4};
    uint32_t row;
    bool wide, frame;
    int64_t offset;
    ptx_space space;
    if (o->kind != PTX_O_ADDR || o->symbol || !vg_bind_addr(b, in, o, &row, &wide, &offset, &space, &frame) || row == VG_NO_ROW || !wide || offset)
        return vg_unsupported(b, in, "only objects whose 64-bit handle is in a register");
    f->n_at = o->n_elems;
    if (f->n_at != count[f->shape])
        return vg_unsupported(b, in, "number of coordinates");
    for (unsigned i = 0; i < f->n_at; i++) {
        if (o->elems[i].kind != PTX_O_REG && o->elems[i].kind != PTX_O_INT && o->elems[i].kind != PTX_O_FLOAT)
            return vg_unsupported(b, in, "coordinates");
        if (o->elems[i].kind == PTX_O_REG && ptx_type_bytes(vg_bind_reg_type(b, &o->elems[i])) != 4)
            return vg_unsupported(b, in, "coordinates that are not 32 bits wide");
        f->at[i] = vg_bind_row(b, &o->elems[i], i == 0 && is_layered(f->shape) ? PTX_U32 : type);
    }
    out->a = row;
    return true;
}

static bool bind_level(vg_binder *b, const ptx_inst *in, form *f) {
    f->has_level = in->mods2 & PTX_M2_LEVEL;
    if (in->n_operands != (f->has_level ? 3u : 2u))
        return vg_unsupported(b, in, "offsets and depth comparison");
    const ptx_operand *o = &in->operand[2];
    if (f->has_level && ((o->kind == PTX_O_REG && ptx_type_bytes(vg_bind_reg_type(b, o)) != 4) || (o->kind != PTX_O_REG && o->kind != PTX_O_FLOAT && o->kind != PTX_O_INT)))
        return vg_unsupported(b, in, "its level");
    if (f->has_level)
        f->level = vg_bind_row(b, o, f->integer ? PTX_S32 : PTX_F32);
    return true;
}

bool VG_NAME(vg_bind_tex)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    bool tex_op = in->op == PTX_OP_TEX, load = in->op == PTX_OP_SULD;
    form *f = hone_arena_alloc(b->program->arena, sizeof *f);
    if (!f)
        return vg_unsupported(b, in, "out of memory");
    if (in->sub < PTX_TEX_1D || in->sub > PTX_TEX_ACUBE || in->n_operands < 2)
        return vg_unsupported(b, in, "shape");
    f->shape = (vg_tex_shape)(in->sub - PTX_TEX_1D);
    f->clamp = in->mods & PTX_M_CLAMP;
    f->zero = in->mods2 & PTX_M2_ZERO;
    out->imm = (int64_t)(uintptr_t)f;
    if (!tex_op) {
        if (f->shape > VG_TEX_A2D || in->n_operands != 2)
            return vg_unsupported(b, in, "shape");
        out->full = out->masked = load ? suld : sust;
        return bind_values(b, in, f, &in->operand[load ? 0 : 1], (ptx_type)in->type[0]) && bind_coordinates(b, in, f, out, &in->operand[load ? 1 : 0], PTX_S32);
    }
    if (in->mods2 & PTX_M2_GRAD || in->vec != 4 || ptx_type_bytes((ptx_type)in->type[0]) != 4)
        return vg_unsupported(b, in, in->mods2 & PTX_M2_GRAD ? "derivatives" : "results that are not four of 32 bits");
    f->integer = in->type[1] == PTX_S32;
    out->full = out->masked = tex;
    return bind_values(b, in, f, &in->operand[0], (ptx_type)in->type[0]) && bind_coordinates(b, in, f, out, &in->operand[1], f->integer ? PTX_S32 : PTX_F32) &&
           bind_level(b, in, f);
}
