// Loads and stores of what belongs to one thread: local memory, the kernel's parameters, the parameters of calls.
#include "vgpu/mem_row.h"

// ---- local: every lane has its own memory

ALWAYS bool local_offsets(vg_warp *w, const vg_inst *in, uint32_t mask, uint64_t addr[VG_LANES], unsigned W) {
    _Alignas(32) uint64_t tmp[VG_LANES];
    const uint64_t *r = wide_row(w, in, tmp);
    uint64_t add = (uint64_t)in->imm + (in->aux2 & A_FRAME ? w->local_frame : 0);
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + add;
    extent x = extent_of(addr, mask, W);
    return x.aligned && x.hi <= w->local_stride && W <= w->local_stride - x.hi;
}

ALWAYS void load_local(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    bool good = local_offsets(w, in, mask, addr, E * V);
    if (w->count)
        vg_count_local(w->count, in->index, E * V, mask, 'l');
    if (!good) {
        load_slow(w, in, addr, mask, VG_IN_LOCAL, E, V);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = w->local + lane * w->local_stride + addr[lane];
        for (unsigned e = 0; e < V; e++)
            put_lane(w, in, e, lane, load_raw(p + e * E, E), E);
    }
}

ALWAYS void store_local(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint64_t addr[VG_LANES];
    bool good = local_offsets(w, in, mask, addr, E * V);
    if (w->count)
        vg_count_local(w->count, in->index, E * V, mask, 's');
    if (!good) {
        store_slow(w, in, addr, mask, VG_IN_LOCAL, E, V);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *p = w->local + lane * w->local_stride + addr[lane];
        for (unsigned e = 0; e < V; e++)
            store_raw(p + e * E, get_lane(w, in, e, lane, E), E);
    }
}

// ---- parameters

// Of the kernel, at a constant offset.
ALWAYS void load_param(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const vg_launch *l = w->block->launch;
    if ((uint64_t)in->imm + E * V <= l->param_bytes) {
        put_uniform(w, in, l->params + in->imm, mask, E, V);
        return;
    }
    uint64_t addr[VG_LANES];
    for (unsigned i = 0; i < VG_LANES; i++)
        addr[i] = (uint64_t)in->imm;
    load_slow(w, in, addr, mask, VG_IN_PARAM, E, V);
}

// Of the kernel, through a register.
ALWAYS void load_param_at(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    _Alignas(32) uint64_t tmp[VG_LANES], addr[VG_LANES];
    const uint64_t *r = wide_row(w, in, tmp);
    for (unsigned l = 0; l < VG_LANES; l++)
        addr[l] = r[l] + (uint64_t)in->imm;   // a generic address is out of bounds: hardware reads something else there
    load_slow(w, in, addr, mask, VG_IN_PARAM, E, V);
}

// Of calls: rows of the frame's parameter area. Byte k of lane l is at k / 4 * 128 + 4 * l + k % 4, so an element of up to 4 bytes lies in one
// row and one of 8 bytes in two.
ALWAYS void load_frame(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    const uint8_t *area = w->file + w->code->param_row;
    for (unsigned e = 0; e < V; e++) {
        size_t k = (size_t)in->imm + e * E;
        const uint8_t *row = area + k / 4 * 128 + k % 4;
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            uint64_t raw = load_part(row + 4 * lane, E == 8 ? 4 : E);
            if (E == 8)
                raw |= (uint64_t)load_part(row + 128 + 4 * lane, 4) << 32;
            put_lane(w, in, e, lane, raw, E);
        }
    }
}

ALWAYS void store_frame(vg_warp *w, const vg_inst *in, uint32_t mask, unsigned E, unsigned V) {
    uint8_t *area = w->file + w->code->param_row;
    for (unsigned e = 0; e < V; e++) {
        size_t k = (size_t)in->imm + e * E;
        uint8_t *row = area + k / 4 * 128 + k % 4;
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            uint64_t v = get_lane(w, in, e, lane, E);
            store_raw(row + 4 * lane, v, E == 8 ? 4 : E);
            if (E == 8)
                store_raw(row + 128 + 4 * lane, v >> 32, 4);
        }
    }
}

#define ACCESS(E, V) \
    VG_HANDLER(ld_local_##E##_##V) { load_local(w, in, mask, E, V); } \
    VG_HANDLER(st_local_##E##_##V) { store_local(w, in, mask, E, V); } \
    VG_HANDLER(ld_param_##E##_##V) { load_param(w, in, mask, E, V); } \
    VG_HANDLER(ld_param_at_##E##_##V) { load_param_at(w, in, mask, E, V); } \
    VG_HANDLER(ld_frame_##E##_##V) { load_frame(w, in, mask, E, V); } \
    VG_HANDLER(st_frame_##E##_##V) { store_frame(w, in, mask, E, V); }
EACH_FORM(ACCESS)

#define FORM_LOCAL(E, V) {E, V, ld_local_##E##_##V, st_local_##E##_##V, NULL, NULL},
const vg_mem_form *VG_NAME(vg_mem_local)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM_LOCAL)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
#define FORM_PARAM(E, V) {E, V, ld_param_##E##_##V, NULL, NULL, NULL},
const vg_mem_form *VG_NAME(vg_mem_param)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM_PARAM)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
#define FORM_PARAM_AT(E, V) {E, V, ld_param_at_##E##_##V, NULL, NULL, NULL},
const vg_mem_form *VG_NAME(vg_mem_param_at)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM_PARAM_AT)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
#define FORM_FRAME(E, V) {E, V, ld_frame_##E##_##V, st_frame_##E##_##V, NULL, NULL},
const vg_mem_form *VG_NAME(vg_mem_frame)(unsigned E, unsigned V) {
    static const vg_mem_form forms[] = {EACH_FORM(FORM_FRAME)};
    return vg_mem_form_find(forms, HONE_COUNT(forms), E, V);
}
