// Surfaces: suld.b, sust.b and sust.p, sured.b and sured.p. Boundaries as the instruction says: .trap is a finding and a fault.
#include "vgpu/cvt_any.h"
#include "vgpu/exec.h"
#include "vgpu/fp.h"
#include "vgpu/tex_form.h"

// Host memory of a lane's surface access, NULL when there is none: outside, or a fault (w->event tells).
// *format: its image. Formatted accesses are a whole texel at an index of texels, others n values at a byte.
static uint8_t *surface_at(vg_warp *w, const vg_inst *in, unsigned lane, char kind, const vg_image **format) {
    const vg_tex_form *f = vg_tex_form_of(in);
    const vg_texture *t = VG_NAME(vg_tex_object)(w, in, lane, in->a, true, false);
    const unsigned first = vg_is_layered(f->shape), bytes = f->formatted && t ? t->level[0].element : (unsigned)f->bytes * f->n_values;
    int32_t c[4] = {0};
    uint64_t address;
    if (!t)
        return NULL;
    for (unsigned i = 0; i < f->n_at && i < 4; i++)
        c[i] = vg_s32(w, f->at[i])[lane];
    int32_t z = first ? c[0] : c[2], x = c[first], y = c[first + 1];
    *format = &t->level[0];
    if (f->formatted)   // far outside stays outside
        x = x < -(1 << 24) ? -(1 << 24) : x > 1 << 24 ? 1 << 24 : x * (int32_t)bytes;
    if (vg_surface_address(&t->level[0], f->shape, x, y, z, bytes, f->clamp, &address))
        return vg_lane_access(w, in, lane, VG_IN_GLOBAL, address, bytes, kind);
    if (!f->zero) {
        vg_report(w, in, lane, "memory.out-of-bounds", t->level[0].base, bytes, kind != 'l', "surface access at byte %d, row %d, slice %d is outside the surface", x, y, z);
        vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    }
    return NULL;
}

VG_HANDLER(suld) {
    const vg_tex_form *f = vg_tex_form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    uint64_t result[4][VG_LANES] = {{0}};
    const vg_image *format;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = surface_at(w, in, lane, 'l', &format);
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
    const vg_tex_form *f = vg_tex_form_of(in);
    if (w->event == VG_FAULT)   // the instruction before it in this basic block
        return;
    const vg_image *format;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = surface_at(w, in, lane, 's', &format);
        if (!p && w->event == VG_FAULT)
            return;
        for (unsigned i = 0; p && i < f->n_values; i++) {
            uint64_t v = f->wide ? vg_u64(w, f->value[i])[lane] : vg_u32(w, f->value[i])[lane];
            memcpy(p + i * f->bytes, &v, f->bytes);
        }
    }
}

// ---- formatted stores: a value per channel, converted to the surface's format; integers that do not fit saturate, floats are rounded towards zero

static int64_t between(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static uint32_t to_texel(vg_texel k, uint32_t bits) {
    switch (k) {
    case VG_TEXEL_U8: return bits > 0xff ? 0xff : bits;
    case VG_TEXEL_U16: return bits > 0xffff ? 0xffff : bits;
    case VG_TEXEL_S8: return (uint32_t)between((int32_t)bits, INT8_MIN, INT8_MAX);
    case VG_TEXEL_S16: return (uint32_t)between((int32_t)bits, INT16_MIN, INT16_MAX);
    case VG_TEXEL_F16: return (uint32_t)cvt_any(bits, PTX_F32, PTX_F16, &(cvt_rules){.rnd = PTX_RZ});   // an H100's; PTX does not say
    default: return bits;
    }
}

VG_HANDLER(sust_formatted) {
    const vg_tex_form *f = vg_tex_form_of(in);
    const vg_image *format;
    if (w->event == VG_FAULT)
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = surface_at(w, in, lane, 's', &format);
        if (!p && w->event == VG_FAULT)
            return;
        const unsigned each = p ? format->element / format->channels : 0;
        for (unsigned i = 0; p && i < format->channels; i++) {   // channels that the instruction does not give: 0
            const uint32_t v = to_texel(format->texel, i < f->n_values ? vg_u32(w, f->value[i])[lane] : 0);
            memcpy(p + i * each, &v, each);
        }
    }
}

// ---- reductions

static uint64_t combine(ptx_atom op, ptx_type type, uint64_t a, uint64_t b) {
    const bool is_signed = type == PTX_S32 || type == PTX_S64, narrow = ptx_type_bytes(type) == 4;
    const int64_t x = narrow ? (int32_t)(uint32_t)a : (int64_t)a, y = narrow ? (int32_t)(uint32_t)b : (int64_t)b;
    switch (op) {
    case PTX_ATOM_ADD: return a + b;
    case PTX_ATOM_MIN: return is_signed ? (x < y ? a : b) : a < b ? a : b;
    case PTX_ATOM_MAX: return is_signed ? (x > y ? a : b) : a > b ? a : b;
    case PTX_ATOM_AND: return a & b;
    default: return a | b;
    }
}

#define REDUCE(T)                                                                                                     \
    static void reduce_##T(T *at, ptx_atom op, ptx_type type, uint64_t b) {                                            \
        T old = __atomic_load_n(at, __ATOMIC_RELAXED);                                                                  \
        while (!__atomic_compare_exchange_n(at, &old, (T)combine(op, type, old, b), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} \
    }
REDUCE(uint32_t)
REDUCE(uint64_t)

// Of sured.p the surface's format says how it compares; one channel of 32 bits.
static bool reduces_format(vg_warp *w, const vg_inst *in, unsigned lane, const vg_image *im) {
    if (im->channels == 1 && (im->texel == VG_TEXEL_U32 || im->texel == VG_TEXEL_S32))
        return true;
    vg_report(w, in, lane, "memory.out-of-bounds", im->base, im->element, true, "sured.p of a surface whose texels are not one integer of 32 bits");
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
    return false;
}

VG_HANDLER(sured) {
    const vg_tex_form *f = vg_tex_form_of(in);
    const vg_image *format;
    if (w->event == VG_FAULT)
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = surface_at(w, in, lane, 'a', &format);
        if ((!p && w->event == VG_FAULT) || (p && f->formatted && !reduces_format(w, in, lane, format)))
            return;
        const ptx_type type = p && f->formatted ? (format->texel == VG_TEXEL_S32 ? PTX_S32 : PTX_U32) : f->type;
        if (p && f->bytes == 8)
            reduce_uint64_t((uint64_t *)(void *)p, f->op, type, vg_u64(w, f->value[0])[lane]);
        else if (p)
            reduce_uint32_t((uint32_t *)(void *)p, f->op, type, vg_u32(w, f->value[0])[lane]);
    }
}

// ---- binding

static bool legal_reduction(const ptx_inst *in, const vg_tex_form *f) {
    const ptx_type t = (ptx_type)in->type[0];
    const bool bits = in->atom == PTX_ATOM_AND || in->atom == PTX_ATOM_OR;
    if (f->shape > VG_TEX_3D || in->vec > 1)
        return false;
    if (f->formatted)
        return t == PTX_B32;
    return bits ? t == PTX_B32 : t == PTX_U32 || t == PTX_S32 || t == PTX_U64 || t == PTX_S64;
}

bool VG_NAME(vg_bind_surf)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool load = in->op == PTX_OP_SULD, reduces = in->op == PTX_OP_SURED;
    vg_tex_form *f = VG_NAME(vg_tex_form_new)(b, in, out);
    if (!f)
        return false;
    f->clamp = in->mods & PTX_M_CLAMP;
    f->zero = in->mods2 & PTX_M2_ZERO;
    f->formatted = in->mods2 & PTX_M2_FORMATTED;
    f->op = (ptx_atom)in->atom;
    if (f->shape > VG_TEX_A2D || in->n_operands != 2 || in->mods2 & (PTX_M2_LEVEL | PTX_M2_GRAD))
        return vg_unsupported(b, in, "shape");
    if (load && f->formatted)
        return vg_unsupported(b, in, "formatted loads, which PTX does not have");
    if (in->op == PTX_OP_SUST && f->formatted && ptx_type_bytes((ptx_type)in->type[0]) != 4)
        return vg_unsupported(b, in, "formatted stores of values that are not 32 bits wide");
    if (in->op == PTX_OP_SUST && !f->formatted && (in->type[0] == PTX_F32 || in->type[0] == PTX_F64))
        return vg_unsupported(b, in, "stores of floats without a format");
    if (reduces && !legal_reduction(in, f))
        return vg_unsupported(b, in, "this reduction of this type and shape");
    out->full = out->masked = load ? suld : reduces ? sured : f->formatted ? sust_formatted : sust;
    return VG_NAME(vg_tex_bind_values)(b, in, f, &in->operand[load ? 0 : 1], (ptx_type)in->type[0]) &&
           VG_NAME(vg_tex_bind_coordinates)(b, in, f, out, &in->operand[load ? 1 : 0], PTX_S32);
}
