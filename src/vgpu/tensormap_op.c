// tensormap_op: tensormap.replace, which changes one field of a tensor map in global or shared memory, and tensormap.cp_fenceproxy, which copies one from
// shared to global memory (PTX ISA 9.7.9.28, 9.7.9.29). Values are not checked here: a copy that uses a map which makes no sense is reported.
#include "vgpu/access.h"
#include "vgpu/bulk.h"
#include "vgpu/exec.h"
#include "vgpu/op.h"
#include "vgpu/tensormap.h"

// vg_inst: a = address row, b = row of the new value or of the source's address, aux = ordinal, aux2 = A_*, imm = offset (cp: both, source in the upper half)
enum { A_WIDE = 1, A_WIDE_FROM = 2, A_WIDE_VALUE = 4, A_WHERE_SHIFT = 3 };

static uint64_t value_of(vg_warp *w, uint32_t row, bool wide, unsigned lane) { return wide ? vg_u64(w, row)[lane] : vg_u32(w, row)[lane]; }

// PTX's number of an element type → CUtensorMapDataType; numbers of types that are not supported stay unknown.
static uint8_t element_type(uint64_t ptx) {
    static const uint8_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 8, 9, 11, 12};
    return ptx < HONE_COUNT(types) ? types[ptx] : 0xff;
}

static void replace_field(vg_tensormap *t, unsigned field, unsigned i, uint64_t v) {
    switch (field) {
    case PTX_TMAP_ADDRESS: t->address = v; break;
    case PTX_TMAP_RANK: t->rank = (uint8_t)(v < VG_TENSOR_MAX_RANK ? v + 1 : 0); break;
    case PTX_TMAP_BOX: t->box[i] = (uint16_t)(v > UINT16_MAX ? 0 : v); break;
    case PTX_TMAP_DIM: t->last[i] = (uint32_t)v - 1; break;
    case PTX_TMAP_STRIDE: t->stride[i] = v; break;
    case PTX_TMAP_STEP: t->step[i] = (uint8_t)(i ? v > 8 ? 0 : v : 1); break;
    case PTX_TMAP_TYPE: t->type = element_type(v); break;
    case PTX_TMAP_SWIZZLE: t->swizzle = (uint8_t)v; break;
    case PTX_TMAP_FILL: t->fill_nan = (uint8_t)v; break;
    default: break;   // no interleave and the usual atomicity: what there is
    }
}

static uint8_t *map_at(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t at, char kind) {
    if (at % 64 == 0)
        return vg_lane_bytes(w, in, lane, where, at, sizeof(vg_tensormap), kind);
    vg_report(w, in, lane, "memory.misaligned", at, 64, kind != 'l', "the tensor map is at 0x%llx, which is not a multiple of 64", (unsigned long long)at);
    vg_fault(w, VG_CU_MISALIGNED);
    return NULL;
}

VG_HANDLER(replace) {
    for (uint32_t m = mask; m && w->event != VG_FAULT; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        vg_tensormap t;
        uint8_t *p = map_at(w, in, lane, (vg_where)(in->aux2 >> A_WHERE_SHIFT), value_of(w, in->a, in->aux2 & A_WIDE, lane) + (uint64_t)in->imm, 'a');
        if (!p)
            continue;
        memcpy(&t, p, sizeof t);
        if (t.magic != VG_TENSORMAP_MAGIC) {
            vg_report(w, in, lane, "async.tensor-map", 0, sizeof t, true, "changes 128 bytes that are no tensor map");
            vg_fault(w, VG_CU_ILLEGAL_INSTRUCTION);
            return;
        }
        replace_field(&t, in->src->sub, in->aux, value_of(w, in->b, in->aux2 & A_WIDE_VALUE, lane));
        memcpy(p, &t, sizeof t);
    }
}

VG_HANDLER(copy_map) {   // the warp together copies one map, whose place all lanes give
    const unsigned lane = (unsigned)__builtin_ctz(mask);
    uint8_t *to = map_at(w, in, lane, VG_IN_GLOBAL, value_of(w, in->a, in->aux2 & A_WIDE, lane) + (uint64_t)(in->imm & 0xffffffff), 's');
    const uint8_t *from = to ? map_at(w, in, lane, VG_IN_SHARED, value_of(w, in->b, in->aux2 & A_WIDE_FROM, lane) + (uint64_t)(in->imm >> 32), 'l') : NULL;
    if (to && from)
        memcpy(to, from, sizeof(vg_tensormap));
}

static bool bind_place(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row, bool *wide, int64_t *offset) {
    ptx_space symbol;
    bool frame;
    if (o->kind != PTX_O_ADDR || !vg_bind_addr(b, in, o, row, wide, offset, &symbol, &frame))
        return vg_unsupported(b, in, "its operands");
    if (*offset < 0 || *offset > INT32_MAX)
        return vg_unsupported(b, in, "an offset that is negative or over 2 GiB");
    if (*row == VG_NO_ROW) {
        *row = vg_bind_row(b, &(ptx_operand){.kind = PTX_O_INT, .i = 0}, PTX_U64);
        *wide = true;
    }
    return true;
}

static bool bind_replace(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool indexed = in->sub == PTX_TMAP_BOX || in->sub == PTX_TMAP_DIM || in->sub == PTX_TMAP_STRIDE || in->sub == PTX_TMAP_STEP;
    const bool fixed = in->sub >= PTX_TMAP_TYPE, wide_value = in->type[0] == PTX_B64;
    const ptx_operand *o = in->operand, *value = &o[1 + indexed];
    const vg_where where = in->space == PTX_GLOBAL ? VG_IN_GLOBAL : in->space == PTX_SHARED ? VG_IN_SHARED : VG_IN_GENERIC;
    bool wide;
    if (in->n_operands != 2u + indexed || (in->space != PTX_GENERIC && where == VG_IN_GENERIC))
        return vg_unsupported(b, in, "its operands");
    if (indexed && (o[1].kind != PTX_O_INT || o[1].i < 0 || o[1].i >= VG_TENSOR_MAX_RANK - (in->sub == PTX_TMAP_STRIDE)))
        return vg_unsupported(b, in, "a dimension that is no constant below the greatest rank");
    if (fixed && value->kind != PTX_O_INT)
        return vg_unsupported(b, in, "a value that has to be a constant");
    if ((in->sub == PTX_TMAP_INTERLEAVE || in->sub == PTX_TMAP_ATOMICITY) && value->i != 0)
        return vg_unsupported(b, in, "interleaved layouts and other atomicities of the swizzle");
    if ((in->sub == PTX_TMAP_TYPE && !vg_tensor_bytes(element_type((uint64_t)value->i))) || (in->sub == PTX_TMAP_SWIZZLE && (value->i < 0 || value->i > VG_SWIZZLE_128B)) ||
        (in->sub == PTX_TMAP_FILL && (value->i < 0 || value->i > 1)))
        return vg_unsupported(b, in, "this value");
    if (value->kind != PTX_O_INT && (value->kind != PTX_O_REG || ptx_type_bytes(vg_bind_reg_type(b, value)) != (wide_value ? 8 : 4)))
        return vg_unsupported(b, in, "a value of another width");
    if (!bind_place(b, in, &o[0], &out->a, &wide, &out->imm))
        return false;
    out->b = vg_bind_row(b, value, wide_value ? PTX_U64 : PTX_U32);
    out->aux = indexed ? (uint32_t)o[1].i : 0;
    out->aux2 = (uint16_t)((wide ? A_WIDE : 0) | (wide_value ? A_WIDE_VALUE : 0) | (unsigned)where << A_WHERE_SHIFT);
    out->full = out->masked = replace;
    return true;
}

bool vg_bind_tensormap(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    int64_t to, from;
    bool wide, wide_from;
    if (in->sub != PTX_TMAP_COPY)
        return bind_replace(b, in, out);
    if (in->n_operands != 3 || in->operand[2].kind != PTX_O_INT || in->operand[2].i != (int64_t)sizeof(vg_tensormap))
        return vg_unsupported(b, in, "its operands");
    if (!bind_place(b, in, &in->operand[0], &out->a, &wide, &to) || !bind_place(b, in, &in->operand[1], &out->b, &wide_from, &from))
        return false;
    out->imm = from << 32 | to;
    out->aux2 = (wide ? A_WIDE : 0) | (wide_from ? A_WIDE_FROM : 0);
    out->full = out->masked = copy_map;
    return true;
}
