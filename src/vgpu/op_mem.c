// The memory family: binds loads and stores to the handlers of their space (op_mem_global.c, op_mem_shared.c, op_mem_local.c), and discard. It
// resolves value registers, the address and which memory it means; nothing here runs in a hot loop.
#include "vgpu/bulk.h"
#include "vgpu/mem_row.h"

bool VG_NAME(vg_bind_mem)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_bind_tex)(vg_binder *b, const ptx_inst *in, vg_inst *out);   // op_tex.c

enum { T_GLOBAL, T_SHARED, T_LOCAL, T_PARAM, T_PARAM_AT, T_FRAME };
static const vg_mem_form *(*const tables[])(unsigned E, unsigned V) = {
    [T_GLOBAL] = VG_NAME(vg_mem_global), [T_SHARED] = VG_NAME(vg_mem_shared), [T_LOCAL] = VG_NAME(vg_mem_local),
    [T_PARAM] = VG_NAME(vg_mem_param),   [T_PARAM_AT] = VG_NAME(vg_mem_param_at), [T_FRAME] = VG_NAME(vg_mem_frame)};

VG_HANDLER(discard_global) {   // the bytes become undefined; we keep them and forget that they were written
    const uint64_t *at = (const uint64_t *)(const void *)(w->file + in->a);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t address = at[lane] + (uint64_t)in->imm;
        if (vg_lane_access(w, in, lane, VG_IN_GENERIC, address, 128, 's') && !vg_in_windows(address)) {
            vg_alloc *a = vg_memory_find(w->block->launch->ctx->memory, address, 128);
            vg_init_forget(a, address - a->base, 128);
        }
    }
}

static bool bind_rows(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o, unsigned V, unsigned E, ptx_type type) {
    uint32_t *const at[4] = {&out->d, &out->b, &out->c, &out->aux};
    if ((o->kind == PTX_O_VEC ? o->n_elems : 1u) != V)
        return vg_unsupported(b, in, "vector length and operand list differ");
    ptx_type widest = PTX_NOTYPE;
    for (unsigned e = 0; e < V; e++) {
        const ptx_operand *x = o->kind == PTX_O_VEC ? &o->elems[e] : o;
        if (x->kind == PTX_O_SINK) {
            *at[e] = vg_bind_scratch(b, 2);
            continue;
        }
        *at[e] = vg_bind_row(b, x, type);
        if (x->kind == PTX_O_REG)
            widest = vg_bind_reg_type(b, x);
    }
    unsigned bytes = widest == PTX_NOTYPE ? E : ptx_type_bytes(widest);
    if (E < 8 && bytes == 8)
        out->aux2 |= A_REG64;
    if (bytes <= 2)
        out->aux2 |= A_REG16;
    return bytes <= 8 || vg_unsupported(b, in, "128-bit registers");
}

// Address row, constant part and which table of handlers. in->space is what the instruction says, the symbol's space what its base says.
static bool bind_address(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o, int *table) {
    uint32_t row;
    bool wide = true, frame = false;
    int64_t offset;
    ptx_space symbol_space;
    if (!vg_bind_addr(b, in, o, &row, &wide, &offset, &symbol_space, &frame))
        return false;
    ptx_space space = in->space == PTX_GENERIC && symbol_space != PTX_GENERIC ? symbol_space : (ptx_space)in->space;
    switch (space) {
    case PTX_SHARED: case PTX_SHARED_CLUSTER: *table = T_SHARED; break;
    case PTX_LOCAL: *table = T_LOCAL; out->aux2 |= symbol_space == PTX_LOCAL ? A_FRAME : 0; break;
    case PTX_PARAM: *table = frame ? T_FRAME : row == VG_NO_ROW ? T_PARAM : T_PARAM_AT; break;
    case PTX_GENERIC: *table = T_GLOBAL; out->aux2 |= A_GENERIC; break;
    case PTX_CONST: *table = T_GLOBAL; out->aux2 |= A_CONST; break;
    default: *table = T_GLOBAL; break;
    }
    if (*table == T_FRAME && row != VG_NO_ROW)
        return vg_unsupported(b, in, "call parameter addressed through a register");
    out->imm = offset;
    if (row == VG_NO_ROW && *table != T_FRAME && *table != T_PARAM) {
        row = constant_row(b, 0, PTX_U64);
        wide = true;
    }
    out->a = row == VG_NO_ROW ? 0 : row;
    if (wide)
        out->aux2 |= A_WIDE;
    return true;
}

static bool is_signed(ptx_type t) { return t == PTX_S8 || t == PTX_S16 || t == PTX_S32 || t == PTX_S64; }

static bool bind_access(vg_binder *b, const ptx_inst *in, vg_inst *out, bool load) {
    ptx_type type = (ptx_type)in->type[0];
    unsigned E = ptx_type_bytes(type), V = in->vec ? in->vec : 1;
    int table = T_GLOBAL;
    if (E * V > 16 || E == 16)
        return VG_NAME(vg_bind_wide)(b, in, out, load);
    out->aux2 = 0;
    if (load && is_signed(type))
        out->aux2 |= A_SIGNED;
    if (in->mods & PTX_M_NC)
        out->aux2 |= A_NC;
    if (in->sem == PTX_VOLATILE || in->sem == PTX_RELAXED || in->sem == PTX_ACQUIRE)
        out->aux2 |= A_SPIN;
    if (!bind_rows(b, in, out, &in->operand[load ? 0 : 1], V, E, type) || !bind_address(b, in, out, &in->operand[load ? 1 : 0], &table))
        return false;
    const vg_mem_form *form = tables[table](E, V);
    if (!form)
        return vg_unsupported(b, in, "accesses of more than 16 bytes");
    const vg_handler tagged = load ? form->ld_tagged : form->st_tagged;
    out->full = out->masked = load ? form->ld : form->st;
    if (tagged && vg_bind_tracked(b, &in->operand[load ? 1 : 0])) {
        const vg_handler plain = load && table == T_GLOBAL ? VG_NAME(vg_mem_plain)(E, V) : NULL;
        out->full = out->masked = plain && !(out->aux2 & ~(A_WIDE | A_SIGNED | A_GENERIC | A_NC) & ~(E == 8 ? A_REG64 : 0)) ? plain : tagged;
        out->flags = VG_TAGGED_ADDRESS;
    }
    if (table == T_GLOBAL)
        out->flags |= vg_bind_near(b);
    return out->full || vg_unsupported(b, in, "store to the kernel's parameters");
}

static bool bind_discard(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    int table;
    if (!bind_address(b, in, out, &in->operand[0], &table))
        return false;
    if (table != T_GLOBAL || !(out->aux2 & A_WIDE))
        return vg_unsupported(b, in, "state space");
    out->full = out->masked = discard_global;
    return true;
}

bool VG_NAME(vg_bind_mem)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->aux2 = 0;
    switch (in->op) {
    case PTX_OP_LD: case PTX_OP_LDU: return bind_access(b, in, out, true);
    case PTX_OP_ST: return in->sub == PTX_CP_ASYNC ? vg_bind_async_store(b, in, out) : bind_access(b, in, out, false);
    case PTX_OP_DISCARD: return bind_discard(b, in, out);
    case PTX_OP_TEX: case PTX_OP_TLD4: case PTX_OP_TXQ: case PTX_OP_SULD: case PTX_OP_SUST: case PTX_OP_SURED: case PTX_OP_SUQ: case PTX_OP_ISTYPEP:
        return VG_NAME(vg_bind_tex)(b, in, out);
    default: return VG_NAME(vg_bind_copy)(b, in, out);
    }
}
