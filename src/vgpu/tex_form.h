// tex_form: what a decoded texture or surface instruction points to, and the parts of binding that both families share (op_tex.c, op_surf.c).
#ifndef HONE_VGPU_TEX_FORM_H
#define HONE_VGPU_TEX_FORM_H
#include "vgpu/access.h"
#include "vgpu/context.h"
#include "vgpu/op.h"
#include "vgpu/texture.h"

// vg_inst.imm points to one of these, in the program's arena.
typedef struct vg_tex_form {
    uint32_t value[4], at[4], level, dx[3], dy[3];     // rows
    uint8_t n_values, n_at, bytes, component;          // bytes: of one value
    bool wide, integer, has_level, has_grad, clamp, zero, formatted;
    vg_tex_shape shape;
    ptx_atom op;                                       // sured
    ptx_type type;
} vg_tex_form;
static inline const vg_tex_form *vg_tex_form_of(const vg_inst *in) { return (const vg_tex_form *)(uintptr_t)in->imm; }
static inline bool vg_is_layered(vg_tex_shape s) { return s == VG_TEX_A1D || s == VG_TEX_A2D || s == VG_TEX_ACUBE; }

// The object of a lane's handle, or NULL after a finding and the fault. any_shape: a query.
const vg_texture *VG_NAME(vg_tex_object)(vg_warp *w, const vg_inst *in, unsigned lane, uint32_t row, bool surface, bool any_shape);
vg_tex_form *VG_NAME(vg_tex_form_new)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_tex_bind_values)(vg_binder *b, const ptx_inst *in, vg_tex_form *f, const ptx_operand *o, ptx_type type);
// [object, {coordinates}]: the object's row goes to out->a.
bool VG_NAME(vg_tex_bind_coordinates)(vg_binder *b, const ptx_inst *in, vg_tex_form *f, vg_inst *out, const ptx_operand *o, ptx_type type);
bool VG_NAME(vg_tex_bind_handle)(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row);
bool VG_NAME(vg_bind_surf)(vg_binder *b, const ptx_inst *in, vg_inst *out);
#endif
